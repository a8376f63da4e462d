//! A trained network as it is kept, sent and written to a file. Plain data.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::{NetworkConfig, NetworkError, summarize};
use crate::data::CLASSES;

/// The most classes that a network may tell apart.
pub const MAX_CLASSES: usize = 20;
/// The longest name of a class, in characters.
pub const MAX_CLASS_NAME: usize = 40;

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

/// Why kept data is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// The network can't be built.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// Names that do not fit the outputs.
    #[error("{names} class names for {outputs} outputs")]
    Classes {
        /// Names given.
        names: usize,
        /// Outputs of the network.
        outputs: usize,
    },
    /// A class' name is empty or endless.
    #[error("a class name of {0} characters")]
    ClassName(usize),
    /// Another number of bytes than the network has.
    #[error("{found} bytes of weights where the network has {expected}")]
    Length {
        /// Bytes that the network takes.
        expected: u64,
        /// Bytes that are there.
        found: usize,
    },
    /// A weight is no number.
    #[error("weight {0} is not a finite number")]
    NotFinite(usize),
}

impl SavedModel {
    /// Whether this can be used, whoever wrote it: nothing is built, and nothing allocated by what it claims.
    ///
    /// # Errors
    /// What does not fit.
    pub fn check(&self) -> Result<(), ModelError> {
        check_weights(&self.network, &self.weights)?;
        let (names, outputs) = (self.classes.len(), self.network.classes);
        if names != outputs || !(2..=MAX_CLASSES).contains(&outputs) {
            return Err(ModelError::Classes { names, outputs });
        }
        let length = |name: &String| name.chars().count();
        match self.classes.iter().map(length).find(|length| !(1..=MAX_CLASS_NAME).contains(length)) {
            Some(length) => Err(ModelError::ClassName(length)),
            None => Ok(()),
        }
    }

    /// Whether its outputs are the ten digits, so that the digits' test set applies to it.
    pub fn reads_digits(&self) -> bool {
        self.network.classes == CLASSES && self.classes == digit_names()
    }
}

/// Bytes that a network's parameters and statistics take.
///
/// # Errors
/// A network that can't be built.
pub fn weight_bytes(network: &NetworkConfig) -> Result<u64, ModelError> {
    let parameters = summarize(network)?.parameters() as u64;
    let statistics: u64 = match network.batch_norm {
        true => network.convolutions.iter().map(|conv| 2 * conv.filters as u64).sum(),
        false => 0,
    };
    Ok(4 * (parameters + statistics))
}

/// Whether `weights` are those of `network`.
///
/// # Errors
/// What does not fit.
pub fn check_weights(network: &NetworkConfig, weights: &[u8]) -> Result<(), ModelError> {
    let (expected, found) = (weight_bytes(network)?, weights.len());
    if found as u64 != expected {
        return Err(ModelError::Length { expected, found });
    }
    let mut values = weights.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    values.position(|value| !value.is_finite()).map_or(Ok(()), |index| Err(ModelError::NotFinite(index)))
}

/// The names of the ten digits.
pub fn digit_names() -> Vec<String> {
    (0..CLASSES).map(|digit| digit.to_string()).collect()
}
