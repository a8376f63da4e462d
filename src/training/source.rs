//! Where batches come from: images, or what the frozen layers of a network made of them, kept from one epoch to the
//! next. Whoever trains or looks takes both in the same way.

use burn::tensor::{Device, Tensor, TensorData};

use crate::data::{Images, PIXELS, SIDE};
use crate::device::{DeviceLost, read};
use crate::model::{Input, Network};

/// What the frozen layers made of each image of a set ([`crate::model::Network::features`]), with the image's label.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Features {
    /// Numbers for an image.
    pub len: usize,
    /// `labels × len` of them.
    pub values: Vec<f32>,
    /// One class for each image.
    pub labels: Vec<u8>,
}

/// A set to take batches from.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// Images.
    Images(&'a Images),
    /// Features.
    Features(&'a Features),
}

impl<'a> From<&'a Images> for Source<'a> {
    fn from(images: &'a Images) -> Self {
        Source::Images(images)
    }
}

impl<'a> From<&'a Features> for Source<'a> {
    fn from(features: &'a Features) -> Self {
        Source::Features(features)
    }
}

impl<'a> Source<'a> {
    /// One class for each image.
    pub fn labels(self) -> &'a [u8] {
        match self {
            Source::Images(images) => &images.labels,
            Source::Features(features) => &features.labels,
        }
    }

    /// Number of images.
    pub fn len(self) -> usize {
        self.labels().len()
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.labels().is_empty()
    }

    /// What a network is given of the images at `indices`, padded with empty ones up to `len`.
    ///
    /// # Panics
    /// If an index is not in the set, or there are more than `len`.
    pub fn gather(self, indices: &[u32], len: usize, device: &Device) -> Input {
        assert!(indices.len() <= len, "more images than the batch holds");
        match self {
            Source::Images(images) => Input::Images(gather(images, indices, len, device)),
            Source::Features(features) => {
                let mut values = Vec::with_capacity(len * features.len);
                for &index in indices {
                    let start = index as usize * features.len;
                    values.extend_from_slice(&features.values[start..start + features.len]);
                }
                values.resize(len * features.len, 0.0);
                Input::Features(Tensor::from_data(TensorData::new(values, [len, features.len]), device))
            }
        }
    }
}

/// The images at `indices`, padded with empty ones: `[len, 1, 28, 28]`.
fn gather(images: &Images, indices: &[u32], len: usize, device: &Device) -> Tensor<4> {
    let mut pixels = Vec::with_capacity(len * PIXELS);
    for &index in indices {
        pixels.extend(images.image(index as usize).iter().copied().map(scaled));
    }
    pixels.resize(len * PIXELS, 0.0);
    Tensor::from_data(TensorData::new(pixels, [len, 1, SIDE, SIDE]), device)
}

/// What the frozen layers of `network` make of the images at `indices`, one after the other. They are computed as a batch
/// of `len`, so that there is one shape of them. One read from the device.
///
/// # Errors
/// The device was lost.
///
/// # Panics
/// If an index is not in the set.
pub async fn features(
    network: &Network,
    images: &Images,
    indices: &[u32],
    len: usize,
    device: &Device,
) -> Result<Vec<f32>, DeviceLost> {
    let features = network.features(gather(images, indices, len, device)).flatten(0, 1);
    let mut values = read(vec![features]).await?.remove(0);
    values.truncate(indices.len() * network.feature_len());
    Ok(values)
}

/// A byte of an image as the network takes it.
pub(super) fn scaled(pixel: u8) -> f32 {
    f32::from(pixel) / 255.0
}
