//! Convolution 3×3 "same" + bias + ReLU + pool, forward and backward.
//!
//! Names in the programs: `by`, `bx` a block of pixels, `y`, `x` what lies around it ([`place`]), `i` the input's and
//! `o` the output's channels, in groups. Maps lie as `[image][row][column][channel]`, the weights as `[tap][in][out]`
//! and again as `[tap][out][in]` ([`Pack`]), so that neighbours' are loaded at once either way; those of a first layer
//! with one channel as they are.

mod backward;
mod forward;
mod place;

use burn_cubecl::cubecl::server::Handle;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::program::{LANES, Program, launch};
use super::tile::{Tile, summing_threads};
use super::{Gpu, buffer, channels_last, channels_second, dims, gradients, is_channels_last, tensor};
use crate::model::kernels::{After, Saved};
use backward::Backward;
use forward::Forward;
use place::Axis;

/// A convolution's shape, all that its programs depend on: not on the number of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Shape {
    height: u32,
    width: u32,
    inputs: u32,
    outputs: u32,
    pool: bool,
}

impl Shape {
    /// Rows and columns of the output.
    fn output(&self) -> (u32, u32) {
        if self.pool { (self.height / 2, self.width / 2) } else { (self.height, self.width) }
    }

    /// The input's rows and columns in blocks. One block has all of a small map, and no tap of it that falls outside.
    fn blocks(&self) -> [Axis; 2] {
        let axis = |name, len| Axis::whole(name, len, if self.pool || len > 3 { 2 } else { len });
        [axis('y', self.height), axis('x', self.width)]
    }
}

const XYZW: [char; 4] = ['x', 'y', 'z', 'w'];

/// The winner of a window that ReLU turned off; below it the winner's place: 0 1 over 2 3.
const OFF: u32 = 4;

/// One of the values that were loaded at once.
fn part(value: &str, at: u32, of: u32) -> String {
    if of == 1 { value.into() } else { format!("{value}.{}", XYZW[at as usize]) }
}

/// What a buffer is an array of, of which so many values are loaded at once.
fn element(at_once: u32) -> &'static str {
    if at_once == 1 { "f32" } else { "vec4f" }
}

/// Nothing of that.
fn zero(at_once: u32) -> &'static str {
    if at_once == 1 { "0.0" } else { "vec4f()" }
}

/// Weights as burn has them, `[out][in][3][3]`, to `[tap][in][out]` and, behind that, `[tap][out][in]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Pack {
    inputs: u32,
    outputs: u32,
}

impl Program for Pack {
    fn buffers(&self) -> Vec<(&'static str, &'static str)> {
        vec![("weights", "f32"), ("packed", "f32")]
    }

    fn writes(&self) -> &'static [&'static str] {
        &["packed"]
    }

    fn body(&self) -> String {
        let Self { inputs, outputs } = self;
        format!(
            "let at = group * {LANES}u + lane;
if (at >= info[0]) {{ return; }}
let o = at % {outputs}u;
let i = at / {outputs}u % {inputs}u;
let tap = at / {outputs}u / {inputs}u;
let weight = weights[(o * {inputs}u + i) * 9u + tap];
packed[at] = weight;
packed[info[0] + (tap * {outputs}u + o) * {inputs}u + i] = weight;"
        )
    }
}

/// What the gradients are made from.
#[derive(Debug)]
pub struct Convolution {
    shape: Shape,
    images: usize,
    input: CubeTensor,
    /// Packed, if there is more than one input channel.
    weights: Handle,
    /// With a pool the winners, without it the output.
    saved: Handle,
    /// The saved output has its channels second.
    planar: bool,
}

/// See [`super::super::convolve`].
pub fn convolve([input, weight, bias]: [&CubeTensor; 3], after: After) -> Option<(CubeTensor, Convolution)> {
    let [images, inputs, height, width] = dims(input);
    let [outputs, _, _, _] = dims(weight);
    let fits = images > 0 && outputs % 4 == 0 && (inputs == 1 || inputs % 4 == 0);
    if !fits {
        return None;
    }
    let shape = Shape {
        height: height as u32,
        width: width as u32,
        inputs: inputs as u32,
        outputs: outputs as u32,
        pool: after.pool,
    };
    let input = channels_last(input.clone());
    let (weight, bias) = (into_contiguous(weight.clone()), into_contiguous(bias.clone()));
    let client = &input.client;
    let weights = if inputs == 1 {
        weight.handle
    } else {
        let len = 9 * inputs * outputs;
        let packed = buffer(&input, 2 * len);
        let pack = Pack { inputs: shape.inputs, outputs: shape.outputs };
        launch(client, pack, (len as u32).div_ceil(LANES), &[&weight.handle, &packed], &[len as u32]);
        packed
    };
    let (rows, columns) = shape.output();
    let output_shape = [images, rows as usize, columns as usize, outputs];
    let windows = images * (rows * columns) as usize;
    let output = buffer(&input, windows * outputs);
    let winners = shape.pool.then(|| buffer(&input, windows * outputs / 4));
    let mut buffers = vec![&input.handle, &weights, &bias.handle, &output];
    buffers.extend(&winners);
    let planar = after.dense;
    let program = Forward { shape, tile: Tile::of(shape.outputs, shape.inputs), planar };
    launch(client, program, program.threads(images as u32).div_ceil(LANES), &buffers, &[images as u32]);
    let answer = if planar {
        tensor(&input, output.clone(), 0, [images, outputs, rows as usize, columns as usize])
    } else {
        channels_second(&input, output.clone(), output_shape)
    };
    let saved = winners.unwrap_or(output);
    Some((answer, Convolution { shape, images, input, weights, saved, planar }))
}

impl Saved<Gpu> for Convolution {
    fn backward(&self, gradient: CubeTensor, with_input: bool) -> [Option<CubeTensor>; 3] {
        let Shape { height, width, inputs, outputs, pool } = self.shape;
        // Without a pool, gradient and output are read side by side and lie alike.
        let planar = if pool { !is_channels_last(&gradient) } else { self.planar };
        let gradient = if planar { into_contiguous(gradient) } else { channels_last(gradient) };
        let (gradients, [weight, bias]) =
            gradients(&gradient, [outputs as usize, inputs as usize, 3, 3], outputs as usize);
        let input_shape = [self.images, height as usize, width as usize, inputs as usize];
        let input_gradient = with_input.then(|| buffer(&gradient, input_shape.iter().product()));
        let tile = with_input.then(|| Tile::of(inputs, outputs));
        let program = Backward::new(self.shape, planar, tile, summing_threads());
        let images = self.images as u32;
        let mut buffers = vec![&self.input.handle, &self.saved, &gradient.handle, &gradients];
        if let Some(input_gradient) = &input_gradient {
            buffers.extend([&self.weights, input_gradient]);
        }
        launch(&gradient.client, program, program.groups(images), &buffers, &[images]);
        [input_gradient.map(|buffer| channels_second(&gradient, buffer, input_shape)), Some(weight), Some(bias)]
    }
}
