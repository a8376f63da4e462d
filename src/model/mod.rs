//! The network: what it is made of ([`config`]), what comes out of each layer ([`summary`]) and, with the feature
//! `cpu`, the network itself on burn ([`network`]), whose one convolution block is [`block`].

#[cfg(feature = "cpu")]
pub mod block;
pub mod config;
#[cfg(feature = "cpu")]
mod kernels;
#[cfg(feature = "cpu")]
pub mod network;
pub mod saved;
pub mod summary;

pub use config::{Convolution, NetworkConfig, Padding, Trainable};
#[cfg(feature = "gpu")]
pub use kernels::set_emulated;
#[cfg(feature = "gpu")]
pub(crate) use kernels::{Kept, adam};
#[cfg(feature = "cpu")]
pub use network::{Input, Network, WeightsError};
pub use saved::{ModelError, SavedModel, digit_names};
pub use summary::{Layer, NetworkError, Summary, summarize, trainable_parameters};
