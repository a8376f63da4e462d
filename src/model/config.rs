//! What a network is made of. Plain data: the page edits it, a file carries it, [`super::summarize`] checks it.

use serde::{Deserialize, Serialize};

use crate::data::CLASSES;

/// What a convolution does at the image's border.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Padding {
    /// Zeros around the image: the output is as large as the input.
    Same,
    /// Nothing around it: the output is smaller by the kernel's side less one.
    Valid,
}

/// One block: convolution, bias, ReLU and, if asked for, a 2×2 maximum pool with stride 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Convolution {
    /// Output channels.
    pub filters: usize,
    /// The kernel's side, odd.
    pub kernel: usize,
    /// The border.
    pub padding: Padding,
    /// Whether a pool follows.
    pub pool: bool,
}

impl Convolution {
    /// A 3×3 convolution with "same" padding.
    pub const fn new(filters: usize, pool: bool) -> Self {
        Self { filters, kernel: 3, padding: Padding::Same, pool }
    }
}

/// A network for 28×28 images of one channel: convolution blocks, then dense layers, the last with a logit a class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetworkConfig {
    /// The convolution blocks, from the image on.
    pub convolutions: Vec<Convolution>,
    /// Widths of the hidden dense layers.
    pub dense: Vec<usize>,
    /// Outputs.
    pub classes: usize,
    /// Whether each block ends in batch normalisation (after its pool, as in the article).
    pub batch_norm: bool,
    /// Share of each hidden dense layer's outputs that a training step sets to zero; 0 is off.
    pub dropout: f64,
}

/// Which layers learn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trainable {
    /// All of them.
    #[default]
    Everything,
    /// The dense layers; convolutions, pools and batch norm stay as they are.
    Dense,
    /// The last dense layer alone.
    Last,
}

impl Default for NetworkConfig {
    /// The article's network: 130,250 parameters.
    fn default() -> Self {
        Self {
            convolutions: vec![
                Convolution::new(32, true),
                Convolution::new(64, true),
                Convolution::new(64, true),
                Convolution::new(64, false),
            ],
            dense: vec![64],
            classes: CLASSES,
            batch_norm: false,
            dropout: 0.0,
        }
    }
}
