//! Augmentation: training images changed a little, at random, each time they are seen.

use serde::{Deserialize, Serialize};

/// How strong one change may be, and how often it is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Amount {
    /// The largest change, in the unit of the field that holds it; a change is drawn evenly between none and this, in
    /// either direction where there are two. 0 is off.
    pub strength: f32,
    /// The share of images that get it, 0 to 1.
    pub probability: f32,
}

/// Every change that can be made. The default makes none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Augmentation {
    /// Turned, in degrees.
    pub rotation: Amount,
    /// Cut to a part of the image and enlarged again: the share of the side that is cut away.
    pub crop: Amount,
    /// Mirrored left to right; any strength above 0 is on. A mirrored digit is another sign.
    pub flip: Amount,
    /// Larger or smaller, as a share.
    pub scale: Amount,
    /// Moved, in pixels, along each axis.
    pub translation: Amount,
    /// Lighter or darker, as a share of full ink.
    pub brightness: Amount,
    /// More or less contrast, as a share.
    pub contrast: Amount,
    /// Noise at each pixel: its standard deviation, as a share of full ink.
    pub noise: Amount,
}
