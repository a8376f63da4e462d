//! The hot operations of Kiln's network on the CPU: a 3×3 "same" convolution with bias and ReLU, with and without a 2×2
//! maximum pool after it, and dense layers with their loss, forward and backward, in SIMD that every browser has. Pure
//! arithmetic on slices: no tensor, no framework, no thread. `kiln`'s model is the one caller.
//!
//! Numbers lie as `[image][row][column][channel]` (NHWC), weights as `[output][input][3][3]`. What makes it fast:
//!
//! - **Pooling windows are Winograd's tiles.** Three by three windows are made from an 8×8 patch with 81 products instead
//!   of 324, two by two with 36 instead of 144 ([`axis`]). So the map before the pool is never stored ([`winograd`],
//!   [`pool`]); one byte a window says which pixel won.
//! - **Backward is sparse.** Only a window's winner carries gradient, and only where ReLU let it through: at most one
//!   pixel in four. The gradient is never spread out to the size before the pool ([`sparse`]). This is exact.
//! - **The paper costs next to nothing.** All pooling windows of a batch that see nothing but zeros are equal, six in ten
//!   of a drawn digit's. The first layer sums one of them ([`thin`]), and only its bias learns from them, the sum of their
//!   gradients: so backward the second layer adds up what is carried to all of them, and multiplies once ([`alike`]).
//! - **Small maps take images as rows.** Without a pool, the rows of a register tile are four images at the same pixel,
//!   so only taps that fall inside the map are done ([`dense`]).
//!
//! Every dense kernel's register tile is two rows by sixteen output channels ([`product`]), within the sixteen registers of
//! x86-64 and of V8 on it. What depends on the data is no branch in an inner loop, for no processor guesses it: neither is a
//! choice of two floats, which V8 makes a branch. Sums are made in a fixed order, so equal inputs give equal bits, natively
//! and in the browser (but for the feature `relaxed`).

mod adam;
mod aligned;
mod alike;
mod axis;
mod bordered;
mod dense;
mod linear;
mod pool;
mod product;
mod simd;
mod sparse;
mod thin;
mod weights;
mod winograd;

pub use adam::Adam;
pub use bordered::Bordered;
pub use dense::{conv_relu, conv_relu_backward};
pub use linear::{Linear, Scored, linear, linear_backward, linear_relu, score};
pub use pool::conv_relu_pool;
pub use sparse::{pooled_backward_input, pooled_backward_weights};
pub use weights::Weights;

/// Adds to each number its counterpart.
///
/// # Panics
/// If there are not as many of both.
pub fn add(sums: &mut [f32], values: &[f32]) {
    simd::zip(sums, values, |sum, value| sum + value);
}

/// One 3×3 convolution with "same" padding over a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Images.
    pub batch: usize,
    /// Rows of the input, and of the output before a pool.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Input channels.
    pub inputs: usize,
    /// Output channels.
    pub outputs: usize,
}

impl Shape {
    /// Floats of the input.
    pub fn input_len(&self) -> usize {
        self.batch * self.height * self.width * self.inputs
    }

    /// Floats of the output without a pool.
    pub fn output_len(&self) -> usize {
        self.batch * self.height * self.width * self.outputs
    }

    /// Rows and columns after a 2×2 pool; a last odd one is dropped.
    pub fn pooled(&self) -> (usize, usize) {
        (self.height / 2, self.width / 2)
    }

    /// Floats of the output after a pool.
    pub fn pooled_len(&self) -> usize {
        self.windows() * self.outputs
    }

    /// Floats of the weights.
    pub fn weights_len(&self) -> usize {
        self.outputs * self.inputs * 9
    }

    /// Pooling windows of the whole batch.
    fn windows(&self) -> usize {
        self.batch * (self.height / 2) * (self.width / 2)
    }

    /// Blocks of eight output channels.
    fn output_blocks(&self) -> usize {
        self.outputs.div_ceil(BLOCK)
    }
}

/// Output channels of a register tile.
const BLOCK: usize = 8;
/// The byte of a window whose winner ReLU turned off: all bits, as a comparison answers. Otherwise it is the winner's
/// place: 0 1 over 2 3.
const OFF: u8 = 255;
