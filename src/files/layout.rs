//! The tensors of a network in the order of `Network::parts`, with the names and shapes that PyTorch gives them. What
//! both formats of a network are written and read by.

use crate::data::SIDE;
use crate::model::saved::weight_bytes;
use crate::model::{ModelError, NetworkConfig, summarize};

/// One tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Such as `conv1.weight`, `norm1.running_mean`, `dense1.bias`.
    pub name: String,
    /// In PyTorch's layout: `[out, in, kernel, kernel]`, `[out, in]` or `[out]`.
    pub shape: Vec<usize>,
}

impl Part {
    /// Values in it.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether there are none; a layer always has some.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its bytes in PyTorch's layout, from those in burn's; and the other way round, for [`Part::from_torch`].
    pub fn to_torch(&self, burn: &[u8]) -> Vec<u8> {
        match self.shape[..] {
            // burn's dense weights are [in, out].
            [outputs, inputs] => transpose(burn, inputs, outputs),
            _ => burn.to_vec(),
        }
    }

    /// Appends its bytes in burn's layout, from those in PyTorch's.
    pub fn from_torch(&self, torch: &[u8], burn: &mut Vec<u8>) {
        match self.shape[..] {
            [outputs, inputs] => burn.extend(transpose(torch, outputs, inputs)),
            _ => burn.extend_from_slice(torch),
        }
    }
}

/// A matrix of f32 turned over its diagonal.
fn transpose(bytes: &[u8], rows: usize, columns: usize) -> Vec<u8> {
    let (values, _) = bytes.as_chunks::<4>();
    (0..columns).flat_map(|column| (0..rows).flat_map(move |row| values[row * columns + column])).collect()
}

/// All tensors of a network. One that no build makes is refused before anything is made of it.
///
/// # Errors
/// The layer that can't be built.
pub fn parts(config: &NetworkConfig) -> Result<Vec<Part>, ModelError> {
    weight_bytes(config)?;
    let summary = summarize(config)?;
    let mut parts = Vec::new();
    let mut push = |name: String, shape: &[usize]| parts.push(Part { name, shape: shape.to_vec() });
    let mut inputs = 1;
    for (conv, number) in config.convolutions.iter().zip(1..) {
        let outputs = conv.filters;
        push(format!("conv{number}.weight"), &[outputs, inputs, conv.kernel, conv.kernel]);
        push(format!("conv{number}.bias"), &[outputs]);
        if config.batch_norm {
            for name in ["weight", "bias", "running_mean", "running_var"] {
                push(format!("norm{number}.{name}"), &[outputs]);
            }
        }
        inputs = outputs;
    }
    inputs = summary.layer("flatten").map_or(SIDE * SIDE, |flatten| flatten.output[0]);
    for (&outputs, number) in config.dense.iter().chain([&config.classes]).zip(1..) {
        push(format!("dense{number}.weight"), &[outputs, inputs]);
        push(format!("dense{number}.bias"), &[outputs]);
        inputs = outputs;
    }
    Ok(parts)
}

/// A network's tensors, each with its bytes in PyTorch's layout.
///
/// # Errors
/// The configuration can't be built, or the weights are another network's.
pub fn tensors(config: &NetworkConfig, weights: &[u8]) -> Result<Vec<(Part, Vec<u8>)>, ModelError> {
    crate::model::saved::check_weights(config, weights)?;
    let mut rest = weights;
    let mut cut = |part: Part| {
        let (bytes, after) = rest.split_at(4 * part.len());
        rest = after;
        let torch = part.to_torch(bytes);
        (part, torch)
    };
    Ok(parts(config)?.into_iter().map(&mut cut).collect())
}
