//! Without a pool: the taps summed directly. The rows of the register tile are four images at the same pixel, so the
//! border needs no zeros: taps that fall outside are not done, which on a 3×3 map saves half of the work. A dense layer
//! is the same of one pixel and one tap ([`crate::linear`]).

use std::ops::Range;

use crate::aligned::Aligned;
use crate::product::{WIDE, add_products, blocks};
use crate::simd::{F4, zip};
use crate::{BLOCK, Shape, Weights};

/// Convolution, bias and ReLU: `[image][row][column][output]`. What is no number stays so.
///
/// # Panics
/// If input, weights or bias are of another shape.
pub fn conv_relu(shape: &Shape, input: &[f32], weights: &Weights, bias: &[f32]) -> Vec<f32> {
    assert_eq!(input.len(), shape.input_len(), "the input is of another shape");
    weights.check(shape.inputs, shape.outputs, 9);
    assert_eq!(bias.len(), shape.outputs, "the bias is of another shape");
    let Shape { inputs, outputs, .. } = *shape;
    let packed = weights.forward.get_or_init(|| pack(9, [inputs, outputs], weights, [9, inputs * 9], false));
    let mut start = bias.to_vec();
    start.resize(shape.output_blocks() * BLOCK, 0.0);
    let mut result = convolve(shape, 9, Rows { values: input, stride: inputs, len: inputs }, packed, &start, outputs);
    relu(&mut result);
    result
}

/// What is no number stays so.
pub(crate) fn relu(values: &mut [f32]) {
    let (fours, rest) = values.as_chunks_mut::<4>();
    for four in fours {
        // SAFETY: four floats.
        unsafe {
            let values = F4::load(four.as_ptr());
            values.except(values.is_at_most(F4::zero())).store(four.as_mut_ptr());
        }
    }
    for value in rest {
        // Not `max`, which would make a number of what is none.
        if *value <= 0.0 {
            *value = 0.0;
        }
    }
}

/// The gradients of input (if asked for), weights and bias, each as its user has it.
pub type Gradients = (Option<Vec<f32>>, Vec<f32>, Vec<f32>);

/// Gradients of input `[image][row][column][input]` (if asked for), weights `[output][input][3][3]` and bias `[output]`
/// from the gradient of the output and the output itself, which tells where ReLU was off.
///
/// # Panics
/// If an argument is of another shape.
pub fn conv_relu_backward(
    shape: &Shape,
    input: &[f32],
    weights: &Weights,
    output: &[f32],
    gradient: &[f32],
    with_input: bool,
) -> Gradients {
    assert_eq!(input.len(), shape.input_len(), "the input is of another shape");
    weights.check(shape.inputs, shape.outputs, 9);
    assert!(output.len() == shape.output_len() && gradient.len() == shape.output_len(), "the output has another shape");
    let Shape { width, inputs, outputs, .. } = *shape;
    let padded = shape.output_blocks() * BLOCK;
    let (before, bias) = before_relu(outputs, Some(output), gradient, width);
    let input_gradient = with_input.then(|| {
        // A convolution too: of the gradient, with outputs and inputs exchanged and the taps turned round.
        let packed = weights.backward.get_or_init(|| pack(9, [outputs, inputs], weights, [inputs * 9, 9], true));
        let start = vec![0.0; inputs.next_multiple_of(BLOCK)];
        convolve(shape, 9, Rows { values: &before, stride: padded, len: outputs }, packed, &start, inputs)
    });
    let sums = weight_gradient(shape, 9, input, &before, padded);
    let mut weights = vec![0.0; shape.weights_len()];
    // Eight outputs at a time: what is read lies together, and what is written stays in the first cache.
    for first in (0..outputs).step_by(BLOCK) {
        for tap in 0..9 {
            for input in 0..inputs {
                let sums = &sums[(tap * inputs + input) * padded + first..][..BLOCK];
                for (output, sum) in (first..outputs).zip(sums) {
                    weights[(output * inputs + input) * 9 + tap] = *sum;
                }
            }
        }
    }
    (input_gradient, weights, bias)
}

/// The gradient before ReLU (or as it is, if there is none), channels padded to whole blocks, and each channel's sum over
/// all pixels: of so many at a time first, for one long sum of thousands loses its last digits.
pub(crate) fn before_relu(
    outputs: usize,
    output: Option<&[f32]>,
    gradient: &[f32],
    at_a_time: usize,
) -> (Aligned, Vec<f32>) {
    let padded = outputs.next_multiple_of(BLOCK);
    let mut before = Aligned::zeros(gradient.len() / outputs * padded);
    let (mut sums, mut some) = (vec![0.0; outputs], vec![0.0; outputs]);
    for (index, (to, gradient)) in before.chunks_exact_mut(padded).zip(gradient.chunks_exact(outputs)).enumerate() {
        let to = &mut to[..outputs];
        zip(to, gradient, |_, gradient| gradient);
        if let Some(output) = output {
            // 0 is off; what is no number lets its gradient through, so that it is seen.
            let output = &output[index * outputs..][..outputs];
            zip(to, output, |to, output| to.except(output.is_at_most(F4::zero())));
        }
        zip(&mut some, to, |sum, value| sum + value);
        if (index + 1) % at_a_time == 0 {
            zip(&mut sums, &some, |sum, value| sum + value);
            some.fill(0.0);
        }
    }
    (before, sums)
}

/// Packs weights from so many channels to so many others as in [`crate::product`], a tap after the other, from the last if
/// they are `turned`. `apart` tells how far a channel's weights lie from those of the next, of both kinds; its taps follow
/// each other. What is behind the last channel nobody asks for.
pub(crate) fn pack(taps: usize, [from, to]: [usize; 2], weights: &[f32], apart: [usize; 2], turned: bool) -> Aligned {
    assert_eq!(weights.len(), taps * from * to, "weights of these taps");
    assert!(weights.len() > (from - 1) * apart[0] + (to - 1) * apart[1] + taps - 1, "channels that lie inside");
    let padded = to.next_multiple_of(BLOCK);
    let mut packed = Aligned::zeros(taps * padded * from);
    for (first, channels) in blocks(padded) {
        for (channel, tap) in (0..from).flat_map(|channel| (0..taps).map(move |tap| (channel, tap))) {
            let start = channel * apart[0] + if turned { taps - 1 - tap } else { tap };
            let packed = &mut packed[(tap * padded + first) * from + channel * channels..][..channels];
            for (first, packed) in (first..to).step_by(4).zip(packed.as_chunks_mut::<4>().0) {
                // SAFETY: channels below `from` and `to`, and a tap: the last of them lies inside, as was asserted.
                unsafe {
                    let of = |channel: usize| weights.as_ptr().add(start + channel * apart[1]);
                    if first + 4 > to {
                        *packed = core::array::from_fn(|lane| *of((first + lane).min(to - 1)));
                    } else if apart[1] == 1 {
                        F4::load(of(first)).store(packed.as_mut_ptr());
                    } else {
                        F4::load_apart(of(first), apart[1]).store(packed.as_mut_ptr());
                    }
                }
            }
        }
    }
    packed
}

/// The taps around pixel `(y, x)`, nine or the middle one, that fall inside: the tap's number and the pixel that it sees.
fn taps(shape: &Shape, taps: usize, y: usize, x: usize) -> impl Iterator<Item = (usize, usize)> {
    let Shape { height, width, .. } = *shape;
    let side = if taps == 1 { 1 } else { 3 };
    (0..taps).filter_map(move |tap| {
        let row = (y + tap / side).checked_sub(side / 2).filter(|&row| row < height)?;
        let column = (x + tap % side).checked_sub(side / 2).filter(|&column| column < width)?;
        Some((tap, row * width + column))
    })
}

/// What is summed: of each image's each pixel `stride` floats, of which the first `len` count.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub values: &'a [f32],
    pub stride: usize,
    pub len: usize,
}

/// Sums over taps, nine or one, and channels into `to` channels, beginning with `start`.
#[cfg_attr(all(feature = "relaxed", target_arch = "wasm32"), target_feature(enable = "relaxed-simd"))]
pub(crate) fn convolve(
    shape: &Shape,
    all_taps: usize,
    from: Rows,
    packed: &[f32],
    start: &[f32],
    to: usize,
) -> Vec<f32> {
    let pixels = shape.batch * shape.height * shape.width;
    let padded = to.next_multiple_of(BLOCK);
    assert!(from.values.len() == pixels * from.stride && from.len <= from.stride && start.len() == padded);
    assert!(packed.len() == all_taps * padded * from.len && matches!(all_taps, 1 | 9), "weights of these taps");
    let mut result = vec![0.0; pixels * to];
    let sum = Convolution { shape, all_taps, from, packed, start, to };
    for (first, channels) in blocks(padded) {
        if channels == WIDE { sum.block::<2, 4>(first, &mut result) } else { sum.block::<4, 2>(first, &mut result) }
    }
    result
}

/// What [`convolve`] is called with, of the shapes that it asserts.
struct Convolution<'a> {
    shape: &'a Shape,
    all_taps: usize,
    from: Rows<'a>,
    packed: &'a [f32],
    start: &'a [f32],
    to: usize,
}

impl Convolution<'_> {
    /// A block of `4 × VECTORS` channels from `first` on, for `ROWS` images at a time.
    #[inline(always)]
    fn block<const ROWS: usize, const VECTORS: usize>(&self, first: usize, result: &mut [f32]) {
        let Shape { batch, height, width, .. } = *self.shape;
        let Rows { values, stride, len } = self.from;
        let (image, tap_len) = (height * width * stride, self.start.len() * len);
        for (pixel, (y, x)) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))).enumerate() {
            for images in (0..batch).step_by(ROWS) {
                // SAFETY: an image and a pixel inside of it, then `len` of its `stride` floats; a tap's block of weights; as
                // many floats of `start` as the block has channels.
                let sums = unsafe {
                    let start = self.start.as_ptr().add(first);
                    let mut sums: [[F4; VECTORS]; ROWS] = [core::array::from_fn(|v| F4::load(start.add(4 * v))); ROWS];
                    for (tap, seen) in taps(self.shape, self.all_taps, y, x) {
                        // Behind the last image the last one is done once more and not kept.
                        let row =
                            |row: usize| values.as_ptr().add((images + row).min(batch - 1) * image + seen * stride);
                        let weights = self.packed.as_ptr().add(tap * tap_len + first * len);
                        sums = add_products::<ROWS, VECTORS>(sums, core::array::from_fn(row), weights, len);
                    }
                    sums
                };
                let count = (4 * VECTORS).min(self.to - first);
                for (row, sums) in sums.into_iter().enumerate().take(batch - images) {
                    let at = ((images + row) * height * width + pixel) * self.to + first;
                    let values = sums.map(F4::to_array);
                    zip(&mut result[at..at + count], &values.as_flattened()[..count], |_, value| value);
                }
            }
        }
    }
}

/// Sums input × gradient over images and pixels for each tap, nine or one, over as many images as the first cache holds.
/// `[tap][input][padded outputs]`
#[cfg_attr(all(feature = "relaxed", target_arch = "wasm32"), target_feature(enable = "relaxed-simd"))]
pub(crate) fn weight_gradient(
    shape: &Shape,
    all_taps: usize,
    input: &[f32],
    gradient: &[f32],
    padded: usize,
) -> Aligned {
    const CACHE: usize = 6_000; // floats
    let Shape { batch, height, width, inputs, .. } = *shape;
    let pixels = height * width;
    assert!(input.len() == batch * pixels * inputs && gradient.len() == batch * pixels * padded);
    assert!(padded.is_multiple_of(BLOCK) && matches!(all_taps, 1 | 9), "whole blocks, of these taps");
    // Of the many inputs of one pixel a line of the cache at a time is looked at.
    let looked_at = if pixels == 1 { inputs.min(16) } else { inputs };
    let group = (CACHE / (pixels * (looked_at + padded))).max(1);
    let side: usize = if all_taps == 1 { 1 } else { 3 };
    let mut sums = Aligned::zeros(all_taps * inputs * padded);
    // Where input and gradient lie for all pixels of some images whose tap falls inside: one long loop goes over them
    // instead of three short ones, each of whose ends the processor would guess wrong.
    let mut pairs = Pairs { input, gradient, padded, places: Vec::new() };
    for (first, tap) in (0..batch).step_by(group).flat_map(|first| (0..all_taps).map(move |tap| (first, tap))) {
        let before = side / 2;
        let inside = |offset: usize, len: usize| before.saturating_sub(offset)..len.min(len + before - offset);
        pairs.places.clear();
        for image in first..batch.min(first + group) {
            for y in inside(tap / side, height) {
                for x in inside(tap % side, width) {
                    let seen = (image * height + y + tap / side - before) * width + x + tap % side - before;
                    pairs.places.push((seen * inputs, ((image * height + y) * width + x) * padded));
                }
            }
        }
        let sums = &mut sums[tap * inputs * padded..][..inputs * padded];
        // Four channels at a time, so that the lines that they are on are looked at once.
        for some in (0..inputs).step_by(4).map(|channel| channel..inputs.min(channel + 4)) {
            for (first, channels) in blocks(padded) {
                // SAFETY: the channels are below `inputs` and the block is one of `padded`; the places are such as `Pairs` wants.
                unsafe {
                    if channels == WIDE {
                        pairs.add::<2, 4>(some.clone(), first, sums);
                    } else {
                        pairs.add::<4, 2>(some.clone(), first, sums);
                    }
                }
            }
        }
    }
    sums
}

/// Pixels whose input and gradient belong together for a tap.
struct Pairs<'a> {
    input: &'a [f32],
    gradient: &'a [f32],
    padded: usize,
    /// Where a pixel's numbers begin in the input, and its `padded` ones in the gradient.
    places: Vec<(usize, usize)>,
}

impl Pairs<'_> {
    /// Adds input × gradient to sums `[inputs][padded]`: of some channels, `ROWS` at a time, by the `4 × VECTORS` from `first`
    /// on.
    ///
    /// # Safety
    /// The places are as they are said to be; there are such channels, and so many from `first` on.
    #[inline(always)]
    unsafe fn add<const ROWS: usize, const VECTORS: usize>(&self, some: Range<usize>, first: usize, sums: &mut [f32]) {
        for channel in some.clone().step_by(ROWS) {
            // Behind the last channel the last one is done once more.
            let rows: [usize; ROWS] = core::array::from_fn(|row| (channel + row).min(some.end - 1));
            // SAFETY: as the caller promises.
            unsafe {
                let at = |row: usize| rows[row] * self.padded + first;
                let mut totals: [[F4; VECTORS]; ROWS] =
                    core::array::from_fn(|row| core::array::from_fn(|v| F4::load(sums.as_ptr().add(at(row) + 4 * v))));
                for &(from, to) in &self.places {
                    let from = self.input.as_ptr().add(from);
                    // An array of a known shape: the distances become part of the instructions.
                    let to = self.gradient.as_ptr().add(to + first).cast::<[[f32; 4]; VECTORS]>();
                    let values: [F4; ROWS] = core::array::from_fn(|row| F4::load_splat(from.add(rows[row])));
                    for v in 0..VECTORS {
                        let gradient = F4::load((&raw const (*to)[v]).cast());
                        for (totals, value) in totals.iter_mut().zip(values) {
                            totals[v] = totals[v].add_product(value, gradient);
                        }
                    }
                }
                // From the last row up: behind the last channel the same row stands more than once.
                for (row, totals) in totals.into_iter().enumerate().rev() {
                    for (v, total) in totals.into_iter().enumerate() {
                        total.store(sums.as_mut_ptr().add(at(row) + 4 * v));
                    }
                }
            }
        }
    }
}
