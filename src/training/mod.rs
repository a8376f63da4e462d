//! Training. What a run is ([`config`], [`metrics`]) is plain data, and so is the user's own [`collection`]; with the
//! feature `cpu` come one step ([`trainer`] and its [`optimizer`], on the CPU in [`slice`]s by a [`crew`]), the look at
//! unseen images ([`evaluation`]) and the state machine around them ([`session`]).
//!
//! A worker drives a [`session::Session`]; a test or a native program can drive it just as well, or use the
//! [`trainer::Trainer`] alone.

pub mod checkpoint;
pub mod collection;
pub mod config;
#[cfg(feature = "cpu")]
pub mod crew;
pub mod csv;
#[cfg(feature = "cpu")]
pub mod evaluation;
pub mod exam;
pub mod finetune;
pub mod history;
pub mod metrics;
#[cfg(feature = "cpu")]
pub mod optimizer;
#[cfg(feature = "gpu")]
pub mod self_check;
#[cfg(feature = "cpu")]
pub mod session;
#[cfg(feature = "cpu")]
pub mod slice;
#[cfg(feature = "cpu")]
pub mod source;
pub mod sweep;
#[cfg(feature = "cpu")]
pub mod trainer;

pub use checkpoint::{BestNetwork, Checkpoint};
pub use config::RunConfig;
pub use history::History;
pub use metrics::{Score, StepPoint, wilson};
