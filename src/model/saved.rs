//! A trained network as it is kept, sent and written to a file. Plain data.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::NetworkConfig;

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
