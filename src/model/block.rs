//! The one block that the network is made of: convolution + bias + ReLU + pool, behind one function, so that faster
//! operations can take its place without touching anything else. Called by [`super::network`] alone.

use burn::module::{Module, Param};
use burn::nn::BatchNorm;
use burn::tensor::{
    Tensor, activation,
    module::{conv2d, max_pool2d},
    ops::{ConvOptions, MaxPoolOptions},
};

pub use super::kernels::{After, Maps};

/// Convolution, bias, ReLU and, if asked for, a 2×2 maximum pool with stride 2.
///
/// `input` is `[batch, in, height, width]`, `weight` `[out, in, kernel, kernel]`, `bias` `[out]`; `padding` is the
/// number of zeros on each side. A pool drops a last odd row and column (7 → 3).
pub fn conv_relu_pool(input: Maps, weight: Tensor<4>, bias: Tensor<1>, padding: usize, after: After) -> Maps {
    let output = match own(&input, &weight, &bias, padding, after) {
        Some(output) => return output,
        None => conv_relu(input.values(), weight, bias, padding),
    };
    if after.pool { pool(output).into() } else { output.into() }
}

/// By Kiln's own kernels: 3×3 "same" convolutions.
fn own(input: &Maps, weight: &Tensor<4>, bias: &Tensor<1>, padding: usize, after: After) -> Option<Maps> {
    let [.., height, width] = input.dims();
    let same = weight.dims()[2..] == [3, 3] && padding == 1;
    let fits = !after.pool || (height >= 2 && width >= 2);
    if same && fits { super::kernels::convolve(input, weight, bias, after) } else { None }
}

/// The block before its pool: `[batch, out, height, width]`.
pub fn conv_relu(input: Tensor<4>, weight: Tensor<4>, bias: Tensor<1>, padding: usize) -> Tensor<4> {
    let options = ConvOptions::new([1, 1], [padding, padding], [1, 1], 1);
    activation::relu(conv2d(input, weight, Some(bias), options))
}

fn pool(maps: Tensor<4>) -> Tensor<4> {
    max_pool2d(maps, MaxPoolOptions::new([2, 2]))
}

/// A block's parameters. Batch normalisation, when on, follows the pool, as in the article.
#[derive(Module, Debug)]
pub struct Block {
    /// `[out, in, kernel, kernel]`.
    pub weight: Param<Tensor<4>>,
    /// `[out]`.
    pub bias: Param<Tensor<1>>,
    /// Over the output's channels.
    pub norm: Option<BatchNorm>,
    /// Zeros on each side of the input.
    pub padding: usize,
    /// Whether a pool follows the convolution.
    pub pool: bool,
}

impl Block {
    /// `[batch, in, height, width]` → `[batch, out, height', width']`. The `last` block is followed by a dense layer.
    pub fn forward(&self, input: Maps, last: bool) -> Maps {
        let after = After { pool: self.pool, dense: last && self.norm.is_none() };
        let output = conv_relu_pool(input, self.weight.val(), self.bias.val(), self.padding, after);
        if self.norm.is_some() { self.normalize(output.values()).into() } else { output }
    }

    /// What the convolution answers before the pool: the maps that a reader is shown.
    pub fn maps(&self, input: Tensor<4>) -> Tensor<4> {
        conv_relu(input, self.weight.val(), self.bias.val(), self.padding)
    }

    /// The rest of the block, after [`Block::maps`].
    pub fn after_maps(&self, maps: Tensor<4>) -> Tensor<4> {
        self.normalize(if self.pool { pool(maps) } else { maps })
    }

    fn normalize(&self, output: Tensor<4>) -> Tensor<4> {
        match &self.norm {
            Some(norm) => norm.forward(output),
            None => output,
        }
    }
}
