//! A trained network as it is kept, sent and written to a file. Plain data.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::NetworkConfig;
use crate::data::CLASSES;

/// Everything that is needed to use a network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SavedModel {
    /// What it is made of.
    pub network: NetworkConfig,
    /// A name for each of its outputs.
    pub classes: Vec<String>,
    /// All parameters and batch norm statistics, little-endian f32, in the order of `Network::parts`.
    pub weights: ByteBuf,
    /// Test images that it, or a network that it comes from, was given to learn from; ascending. They count in no
    /// test of it.
    #[serde(default)]
    pub left_out: Vec<u32>,
}

impl SavedModel {
    /// Whether its outputs are the ten digits, so that the digits' test set applies to it.
    pub fn reads_digits(&self) -> bool {
        self.network.classes == CLASSES && self.classes == digit_names()
    }
}

/// The names of the ten digits.
pub fn digit_names() -> Vec<String> {
    (0..CLASSES).map(|digit| digit.to_string()).collect()
}
