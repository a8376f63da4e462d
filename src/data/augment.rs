//! Augmentation: training images changed a little, at random, each time they are seen.

mod changes;

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

pub use changes::{Changes, Motion, Shading};

/// How strong one change may be, and how often it is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Amount {
    /// The largest change, in the unit of the field that holds it; a change is drawn evenly between none and this, in
    /// either direction where there are two. 0 is off.
    pub strength: f32,
    /// The share of images that get it, 0 to 1.
    pub probability: f32,
}

impl Amount {
    /// Never.
    pub const OFF: Self = Self::new(0.0, 0.0);

    /// Up to `strength`, for that share of the images.
    pub const fn new(strength: f32, probability: f32) -> Self {
        Self { strength, probability }
    }

    /// Whether any image gets it.
    pub fn is_on(self) -> bool {
        self.strength > 0.0 && self.probability > 0.0
    }
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
    /// More or less contrast about the image's mean, as a share.
    pub contrast: Amount,
    /// Noise at each pixel: its standard deviation, as a share of full ink.
    pub noise: Amount,
}

/// One of the changes, for whoever goes through them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    /// [`Augmentation::rotation`].
    Rotation,
    /// [`Augmentation::crop`].
    Crop,
    /// [`Augmentation::flip`].
    Flip,
    /// [`Augmentation::scale`].
    Scale,
    /// [`Augmentation::translation`].
    Translation,
    /// [`Augmentation::brightness`].
    Brightness,
    /// [`Augmentation::contrast`].
    Contrast,
    /// [`Augmentation::noise`].
    Noise,
}

impl Change {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Change; 8] = [
        Change::Rotation,
        Change::Translation,
        Change::Scale,
        Change::Crop,
        Change::Brightness,
        Change::Contrast,
        Change::Noise,
        Change::Flip,
    ];

    /// The field's name.
    pub fn name(self) -> &'static str {
        match self {
            Change::Rotation => "rotation",
            Change::Crop => "crop",
            Change::Flip => "flip",
            Change::Scale => "scale",
            Change::Translation => "translation",
            Change::Brightness => "brightness",
            Change::Contrast => "contrast",
            Change::Noise => "noise",
        }
    }

    /// Bounds of its strength: beyond them people could not read the digit either.
    pub fn strengths(self) -> RangeInclusive<f32> {
        0.0..=match self {
            Change::Rotation => 45.0,
            Change::Translation => 8.0,
            Change::Flip => 1.0,
            Change::Contrast => 0.9,
            Change::Crop | Change::Scale | Change::Brightness | Change::Noise => 0.5,
        }
    }
}

impl Augmentation {
    /// No change.
    pub const NONE: Self = Self {
        rotation: Amount::OFF,
        crop: Amount::OFF,
        flip: Amount::OFF,
        scale: Amount::OFF,
        translation: Amount::OFF,
        brightness: Amount::OFF,
        contrast: Amount::OFF,
        noise: Amount::OFF,
    };

    /// What another writer of the same hand might do: a little slant, size and place.
    pub const GENTLE: Self = Self {
        rotation: Amount::new(10.0, 0.5),
        scale: Amount::new(0.1, 0.5),
        translation: Amount::new(2.0, 0.5),
        ..Self::NONE
    };

    /// For digits from other pens, papers and cameras. Nothing is mirrored: a mirrored digit is another sign.
    pub const ROBUST: Self = Self {
        rotation: Amount::new(20.0, 0.7),
        crop: Amount::new(0.1, 0.3),
        scale: Amount::new(0.16, 0.5),
        translation: Amount::new(3.0, 0.7),
        brightness: Amount::new(0.2, 0.3),
        contrast: Amount::new(0.4, 0.3),
        noise: Amount::new(0.1, 0.3),
        ..Self::NONE
    };

    /// The presets by name, as an address on the page names them.
    pub const PRESETS: [(&str, Self); 3] = [("none", Self::NONE), ("gentle", Self::GENTLE), ("robust", Self::ROBUST)];

    /// The same changes, that many times as strong; none at 0.
    pub fn times(&self, factor: f32) -> Self {
        let mut other = if factor > 0.0 { *self } else { Self::NONE };
        for change in Change::ALL {
            let strength = &mut other.amount_mut(change).strength;
            // Three digits, so that it is written as it is.
            *strength = (*strength * factor * 1000.0).round() / 1000.0;
        }
        other
    }

    /// The amount of one change.
    pub fn amount(&self, change: Change) -> Amount {
        match change {
            Change::Rotation => self.rotation,
            Change::Crop => self.crop,
            Change::Flip => self.flip,
            Change::Scale => self.scale,
            Change::Translation => self.translation,
            Change::Brightness => self.brightness,
            Change::Contrast => self.contrast,
            Change::Noise => self.noise,
        }
    }

    /// The amount of one change, to be set.
    pub fn amount_mut(&mut self, change: Change) -> &mut Amount {
        match change {
            Change::Rotation => &mut self.rotation,
            Change::Crop => &mut self.crop,
            Change::Flip => &mut self.flip,
            Change::Scale => &mut self.scale,
            Change::Translation => &mut self.translation,
            Change::Brightness => &mut self.brightness,
            Change::Contrast => &mut self.contrast,
            Change::Noise => &mut self.noise,
        }
    }

    /// Whether any image is changed.
    pub fn is_on(&self) -> bool {
        Change::ALL.into_iter().any(|change| self.amount(change).is_on())
    }

    /// The first change whose strength or probability is out of its bounds.
    pub fn out_of_bounds(&self) -> Option<Change> {
        Change::ALL.into_iter().find(|&change| {
            let Amount { strength, probability } = self.amount(change);
            !change.strengths().contains(&strength) || !(0.0..=1.0).contains(&probability)
        })
    }
}
