//! Files in and out: a trained network as [`safetensors`] and [`onnx`], what was measured as [`tensorboard`] events
//! (and as [`crate::training::csv`], which the page writes too), and a run as a [`run_file`] that another tab replays.
//! Bytes to plain data and back; no tensor, no browser. The formats are described in `docs/files.md`. The worker calls
//! this, and a native program can.
//!
//! What is read was written by somebody else: every size, shape and count is checked against the bytes that are
//! really there before anything is allocated for it, and an error names the tensor or field that is wrong.

pub mod json;
pub mod layout;
pub mod onnx;
pub mod run_file;
pub mod safetensors;
pub mod tensorboard;

use crate::model::{ModelError, NetworkError, SavedModel};
use crate::training::Score;

/// The most bytes of a file that are looked at.
pub const MAX_BYTES: usize = 256_000_000;

/// What a model's file says besides the network: how it came to be, and how it did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct About {
    /// What it is called; empty: nothing.
    pub name: String,
    /// What it was trained on, for example `MNIST`; empty where nobody knows.
    pub data: String,
    /// Whether a program drew that data.
    pub synthetic: bool,
    /// Its validation, after that many epochs.
    pub validation: Option<(u32, Score)>,
    /// Its test.
    pub test: Option<Score>,
}

/// A file that was read.
#[derive(Debug, Clone, PartialEq)]
pub enum Read {
    /// A trained network.
    Model(Box<SavedModel>, About),
    /// A run.
    Run(Box<run_file::RunFile>),
}

/// Why a file can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FileError {
    /// Larger than anything that is read.
    #[error("{0} bytes; at most {MAX_BYTES} are read")]
    TooLong(usize),
    /// Neither kind of file.
    #[error("neither safetensors nor JSON")]
    Unknown,
    /// A safetensors file whose header is none, as the official reader says.
    #[error("its header can't be used: {0}")]
    Header(String),
    /// A tensor that is missing, or not what the configuration says.
    #[error("tensor {name}: {what}")]
    Tensor {
        /// Its name.
        name: String,
        /// What is wrong.
        what: String,
    },
    /// A field that is missing, or can't have its value.
    #[error("field {name}: {what}")]
    Field {
        /// Its path, such as `config.network.dense[0]`.
        name: String,
        /// What is wrong.
        what: String,
    },
    /// A network that no build makes.
    #[error(transparent)]
    Model(#[from] ModelError),
}

impl From<NetworkError> for FileError {
    fn from(error: NetworkError) -> Self {
        Self::Model(error.into())
    }
}

fn field(name: impl Into<String>, what: impl Into<String>) -> FileError {
    FileError::Field { name: name.into(), what: what.into() }
}

/// Reads a file of Kiln's. What it is, its content says.
///
/// # Errors
/// Which tensor or field is wrong, and how.
pub fn read(bytes: &[u8]) -> Result<Read, FileError> {
    if bytes.len() > MAX_BYTES {
        return Err(FileError::TooLong(bytes.len()));
    }
    if bytes.trim_ascii_start().first() == Some(&b'{') {
        return run_file::read(bytes).map(|run| Read::Run(Box::new(run)));
    }
    // safetensors: eight bytes of length, then JSON.
    if bytes.get(8) != Some(&b'{') {
        return Err(FileError::Unknown);
    }
    safetensors::read(bytes).map(|(model, about)| Read::Model(Box::new(model), about))
}
