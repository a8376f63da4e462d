//! The operations on a GPU, as WGSL that is written for the shape at hand and launched through burn's client: few
//! dispatches, no reading back. Convolution, bias, ReLU and pool are one dispatch forward; both gradients of a layer
//! are one dispatch; the last layer with its loss is two forward, one backward. A batch is made in one dispatch too, from
//! the images that the GPU keeps ([`Kept`]).
//!
//! As on the CPU ([`super::cpu`]) the map before the pool is never stored, one byte of a window says which pixel won,
//! and backward knows a gradient's place by it. Loops over channels are left to the GPU, all others are unrolled here:
//! a load costs as much as several multiply-adds, so each value that is loaded is used for all outputs that a thread
//! makes, of several images at once.

pub mod adam;
mod conv;
mod dense;
mod gather;
mod program;
mod tile;

use burn::tensor::{DType, Shape};
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::server::Handle;
use burn_cubecl::cubecl::zspace::Strides;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

pub use conv::convolve;
pub use dense::{hidden, score};
pub use gather::Kept;
pub use tile::set_emulated;

/// burn's backend for every GPU.
pub type Gpu = CubeBackend;

/// Floats in a multiple of which a second tensor may begin in a buffer: WebGPU's 256 bytes.
const ALIGNMENT: usize = 64;

/// A new buffer for so many floats, on the device of `like`.
fn buffer(like: &CubeTensor, floats: usize) -> Handle {
    like.client.empty(4 * floats)
}

/// The floats from `start` of a buffer as a tensor.
fn tensor<const D: usize>(like: &CubeTensor, mut buffer: Handle, start: usize, shape: [usize; D]) -> CubeTensor {
    let place = 4 * start as u64..4 * (start + shape.iter().product::<usize>()) as u64;
    // Parts of one buffer must not overlap where they are bound together.
    buffer.offset_start = (place.start > 0).then_some(place.start);
    buffer.offset_end = (place.end < buffer.size()).then(|| buffer.size() - place.end);
    CubeTensor::new_contiguous(like.client.clone(), like.device.clone(), Shape::from(shape), buffer, DType::F32)
}

/// Where the bias follows so many weights in a buffer of gradients.
fn bias_at(weights: usize) -> usize {
    weights.next_multiple_of(ALIGNMENT)
}

/// A buffer for the gradients of a layer's weights and bias, and both as its parts.
fn gradients<const D: usize>(like: &CubeTensor, weights: [usize; D], outputs: usize) -> (Handle, [CubeTensor; 2]) {
    let at = bias_at(weights.iter().product());
    let all = buffer(like, at + outputs);
    let parts = [tensor(like, all.clone(), 0, weights), tensor(like, all.clone(), at, [outputs])];
    (all, parts)
}

/// A buffer that holds `[batch, row, column, channel]` as burn's `[batch, channel, row, column]`.
fn channels_second(like: &CubeTensor, buffer: Handle, [batch, height, width, channels]: [usize; 4]) -> CubeTensor {
    let mut tensor = tensor(like, buffer, 0, [batch, channels, height, width]);
    tensor.meta.strides = Strides::new(&[height * width * channels, 1, width * channels, channels]);
    tensor
}

/// Whether a four-dimensional tensor has its channels last in memory.
fn is_channels_last(tensor: &CubeTensor) -> bool {
    let [_, channels, height, width] = dims(tensor);
    tensor.meta.strides()[..] == [height * width * channels, 1, width * channels, channels]
}

/// With channels last in memory.
fn channels_last(tensor: CubeTensor) -> CubeTensor {
    if is_channels_last(&tensor) {
        return tensor;
    }
    let [batch, channels, height, width] = dims(&tensor);
    let copied = into_contiguous(permute(tensor, [0, 2, 3, 1]));
    channels_second(&copied.clone(), copied.handle, [batch, height, width, channels])
}

fn permute(mut tensor: CubeTensor, axes: [usize; 4]) -> CubeTensor {
    let shape = axes.map(|axis| tensor.meta.shape()[axis]);
    let strides = axes.map(|axis| tensor.meta.strides()[axis]);
    tensor.meta.shape = Shape::from(shape);
    tensor.meta.strides = Strides::new(&strides);
    tensor
}

fn dims<const D: usize>(tensor: &CubeTensor) -> [usize; D] {
    std::array::from_fn(|axis| tensor.meta.shape()[axis])
}
