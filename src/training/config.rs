//! The configuration of a run, its defaults, and the bounds that a user's value must keep.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::model::NetworkConfig;

/// Everything that decides a run. The same configuration on the same data and device gives the same losses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunConfig {
    /// The network to train.
    pub network: NetworkConfig,
    /// How often the run sees every training image.
    pub epochs: u32,
    /// Images looked at before each change of the weights.
    pub batch_size: u32,
    /// Adam's step size.
    pub learning_rate: f64,
    /// How many of the training images are used, from the first on.
    pub train_size: u32,
    /// Decides first weights, order of batches and dropout.
    pub seed: u32,
}

/// Images in the training split of MNIST, as Kiln divides it.
pub const TRAIN_IMAGES: u32 = 55_000;

/// Bounds of [`RunConfig::epochs`].
pub const EPOCHS: RangeInclusive<u32> = 1..=100;
/// Bounds of [`RunConfig::batch_size`].
pub const BATCH_SIZE: RangeInclusive<u32> = 1..=1024;
/// Bounds of [`RunConfig::learning_rate`].
pub const LEARNING_RATE: RangeInclusive<f64> = 1e-6..=1.0;
/// Bounds of [`RunConfig::train_size`].
pub const TRAIN_SIZE: RangeInclusive<u32> = 1..=TRAIN_IMAGES;
/// Bounds of [`NetworkConfig::dropout`].
pub const DROPOUT: RangeInclusive<f64> = 0.0..=0.9;

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            network: NetworkConfig::default(),
            epochs: 10,
            batch_size: 128,
            learning_rate: 1e-3,
            train_size: TRAIN_IMAGES,
            seed: 42,
        }
    }
}

impl RunConfig {
    /// Images in a batch: never more than there are to train on.
    pub fn batch_len(&self) -> usize {
        self.batch_size.min(self.train_size).max(1) as usize
    }

    /// Full batches in an epoch. The last, partial one is left out: every batch has the same shape, and the shuffle
    /// leaves out other images each time.
    pub fn batches_per_epoch(&self) -> u32 {
        (self.train_size / self.batch_len() as u32).max(1)
    }

    /// Steps of the whole run.
    pub fn steps(&self) -> u32 {
        self.epochs * self.batches_per_epoch()
    }
}
