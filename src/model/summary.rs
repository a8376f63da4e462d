//! Shapes and parameters of each layer, as Keras prints them; and, for a network that can't be built, which layer
//! fails and why.

use serde::{Deserialize, Serialize};

use super::{NetworkConfig, Padding, Trainable};
use crate::data::SIDE;

/// One line of a summary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// A stable name: `conv1`, `pool1`, `norm1`, `flatten`, `dense1`, `dropout1`.
    pub name: String,
    /// The output of one image: `[channels, height, width]` or `[features]`.
    pub output: Vec<usize>,
    /// Trainable parameters.
    pub parameters: usize,
}

/// All layers of a network that can be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// From the image to the logits.
    pub layers: Vec<Layer>,
}

impl Summary {
    /// All trainable parameters.
    pub fn parameters(&self) -> usize {
        self.layers.iter().map(|layer| layer.parameters).sum()
    }

    /// Whether a layer learns. It has parameters then, and [`Trainable`] leaves it out of what is frozen.
    pub fn learns(&self, layer: &Layer, trainable: Trainable) -> bool {
        let last = self.layers.iter().rfind(|layer| layer.parameters > 0);
        layer.parameters > 0
            && match trainable {
                Trainable::Everything => true,
                Trainable::Dense => layer.name.starts_with("dense"),
                Trainable::Last => Some(layer) == last,
            }
    }

    /// The layer of that name.
    pub fn layer(&self, name: &str) -> Option<&Layer> {
        self.layers.iter().find(|layer| layer.name == name)
    }
}

/// Why a network can't be built. Layers are counted as a reader does: convolution blocks from 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkError {
    /// The kernel is larger than what it is laid on.
    #[error("Layer {layer} doesn't fit: a {kernel}×{kernel} kernel on {side}×{side} pixels.")]
    Kernel {
        /// The block, from 1.
        layer: usize,
        /// The kernel's side.
        kernel: usize,
        /// The input's side.
        side: usize,
    },
    /// Nothing is left to pool.
    #[error("Layer {layer} doesn't fit: {side}×{side} can't be pooled.")]
    Pool {
        /// The block, from 1.
        layer: usize,
        /// The side of the map before the pool.
        side: usize,
    },
    /// A size is zero, even where it must be odd, or larger than a tab can hold.
    #[error("Layer {layer}: {bound}.")]
    Size {
        /// The layer, from 1, dense layers counted on after the blocks.
        layer: usize,
        /// What it does not keep.
        bound: SizeBound,
    },
    /// Dropout outside 0 … 0.9.
    #[error("Dropout must lie between 0 and 0.9.")]
    Dropout,
}

/// What a layer must keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum SizeBound {
    /// [`MAX_CONVOLUTIONS`].
    #[error("at most {MAX_CONVOLUTIONS} convolutions")]
    Convolutions,
    /// [`MAX_WIDTH`], for a convolution.
    #[error("1 to {MAX_WIDTH} filters")]
    Filters,
    /// [`MAX_KERNEL`].
    #[error("the kernel's side must be odd, from 1 to {MAX_KERNEL}")]
    Kernel,
    /// [`MAX_DENSE`].
    #[error("at most {MAX_DENSE} hidden dense layers")]
    Dense,
    /// [`MAX_WIDTH`], for a dense layer.
    #[error("1 to {MAX_WIDTH} outputs")]
    Outputs,
    /// [`MAX_PARAMETERS`].
    #[error("with it the network has more than 16 million parameters")]
    Parameters,
}

/// Parameters that learn; `None` for a network that can't be built.
pub fn trainable_parameters(config: &NetworkConfig, trainable: Trainable) -> Option<usize> {
    let summary = summarize(config).ok()?;
    Some(summary.layers.iter().filter(|layer| summary.learns(layer, trainable)).map(|layer| layer.parameters).sum())
}

/// The most filters or dense outputs that one layer may have.
pub const MAX_WIDTH: usize = 1024;

/// The most convolution blocks.
pub const MAX_CONVOLUTIONS: usize = 8;
/// The most hidden dense layers.
pub const MAX_DENSE: usize = 4;
/// The largest side of a kernel.
pub const MAX_KERNEL: usize = 11;
/// The most trainable parameters: with an optimizer's moments and the gradients they take 16 bytes each.
pub const MAX_PARAMETERS: usize = 1 << 24;

/// Works out every layer's output and parameters.
///
/// # Errors
/// The first layer that can't be built, and why.
pub fn summarize(config: &NetworkConfig) -> Result<Summary, NetworkError> {
    let mut layers = Vec::new();
    let mut push =
        |name: String, output: Vec<usize>, parameters: usize| layers.push(Layer { name, output, parameters });
    let mut total = 0;
    let mut within = |layer: usize, parameters: usize| {
        total += parameters;
        if total > MAX_PARAMETERS { Err(NetworkError::Size { layer, bound: SizeBound::Parameters }) } else { Ok(()) }
    };
    let (mut channels, mut side) = (1, SIDE);
    for (index, conv) in config.convolutions.iter().enumerate() {
        let layer = index + 1;
        if index == MAX_CONVOLUTIONS {
            return Err(NetworkError::Size { layer, bound: SizeBound::Convolutions });
        }
        if conv.filters == 0 || conv.filters > MAX_WIDTH {
            return Err(NetworkError::Size { layer, bound: SizeBound::Filters });
        }
        if conv.kernel % 2 == 0 || conv.kernel > MAX_KERNEL {
            return Err(NetworkError::Size { layer, bound: SizeBound::Kernel });
        }
        if conv.padding == Padding::Valid {
            if conv.kernel > side {
                return Err(NetworkError::Kernel { layer, kernel: conv.kernel, side });
            }
            side -= conv.kernel - 1;
        }
        let parameters = conv.filters * (channels * conv.kernel * conv.kernel + 1);
        within(layer, parameters)?;
        channels = conv.filters;
        push(format!("conv{layer}"), vec![channels, side, side], parameters);
        if conv.pool {
            if side < 2 {
                return Err(NetworkError::Pool { layer, side });
            }
            side /= 2;
            push(format!("pool{layer}"), vec![channels, side, side], 0);
        }
        if config.batch_norm {
            push(format!("norm{layer}"), vec![channels, side, side], 2 * channels);
        }
    }
    let mut features = channels * side * side;
    push("flatten".into(), vec![features], 0);
    if !(0.0..=0.9).contains(&config.dropout) {
        return Err(NetworkError::Dropout);
    }
    for (index, &width) in config.dense.iter().chain([&config.classes]).enumerate() {
        let dense = index + 1;
        let layer = config.convolutions.len() + dense;
        if dense <= config.dense.len() && index == MAX_DENSE {
            return Err(NetworkError::Size { layer, bound: SizeBound::Dense });
        }
        if width == 0 || width > MAX_WIDTH {
            return Err(NetworkError::Size { layer, bound: SizeBound::Outputs });
        }
        within(layer, width * (features + 1))?;
        push(format!("dense{dense}"), vec![width], width * (features + 1));
        features = width;
        if dense <= config.dense.len() && config.dropout > 0.0 {
            push(format!("dropout{dense}"), vec![width], 0);
        }
    }
    Ok(Summary { layers })
}
