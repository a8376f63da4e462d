//! Without a pool: the taps summed directly. The rows of the register tile are four images at the same pixel, so the
//! border needs no zeros: taps that fall outside are not done, which on a 3×3 map saves half of the work. A dense layer
//! is the same of one pixel and one tap ([`crate::linear`]).

use crate::aligned::Aligned;
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
    let packed = weights
        .forward
        .get_or_init(|| pack(9, inputs, outputs, |input, output, tap| weights[(output * inputs + input) * 9 + tap]));
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
        let turned = |output: usize, input: usize, tap: usize| weights[(output * inputs + input) * 9 + 8 - tap];
        let packed = weights.backward.get_or_init(|| pack(9, outputs, inputs, turned));
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

/// `[tap][block][from][8 to]`, the last block padded with zeros.
pub(crate) fn pack(taps: usize, from: usize, to: usize, weight: impl Fn(usize, usize, usize) -> f32) -> Aligned {
    let blocks = to.div_ceil(BLOCK);
    let mut packed = Aligned::zeros(taps * blocks * from * BLOCK);
    for block in 0..blocks {
        let some = block * BLOCK..to.min((block + 1) * BLOCK);
        for tap in 0..taps {
            let packed = &mut packed[(tap * blocks + block) * from * BLOCK..][..from * BLOCK];
            for (f, packed) in packed.chunks_exact_mut(BLOCK).enumerate() {
                for (packed, t) in packed.iter_mut().zip(some.clone()) {
                    *packed = weight(f, t, tap);
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
    let Shape { batch, height, width, .. } = *shape;
    let Rows { values: input, stride, len: from } = from;
    let blocks = to.div_ceil(BLOCK);
    let image = height * width * stride;
    let mut result = vec![0.0; batch * height * width * to];
    assert!(input.len() == batch * image && from <= stride && start.len() == blocks * BLOCK);
    assert!(packed.len() == all_taps * blocks * from * BLOCK && matches!(all_taps, 1 | 9), "weights of these taps");
    for first in (0..batch).step_by(4) {
        // Behind the last image the last one is done once more and not kept.
        let images: [usize; 4] = core::array::from_fn(|row| (first + row).min(batch - 1) * image);
        for (pixel, (y, x)) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))).enumerate() {
            for block in 0..blocks {
                // SAFETY: an image and a pixel inside of it, then `from` of its `stride` floats; `from × 8` weights of a tap's
                // block; eight floats of `start` for each block. The lengths were asserted.
                let sums = unsafe {
                    let start = start.as_ptr().add(block * BLOCK);
                    let mut sums = [[F4::load(start), F4::load(start.add(4))]; 4];
                    for (tap, seen) in taps(shape, all_taps, y, x) {
                        let [a, b, c, d] = images; // not by `map`, which is a call here in a development build
                        let at = |image: usize| input.as_ptr().add(image + seen * stride);
                        let rows = [at(a), at(b), at(c), at(d)];
                        let weights = packed.as_ptr().add((tap * blocks + block) * from * BLOCK);
                        for channel in 0..from {
                            let weights = weights.add(channel * BLOCK);
                            let (left, right) = (F4::load(weights), F4::load(weights.add(4)));
                            for (row, sums) in rows.iter().zip(&mut sums) {
                                let value = F4::load_splat(row.add(channel));
                                sums[0] = sums[0].add_product(value, left);
                                sums[1] = sums[1].add_product(value, right);
                            }
                        }
                    }
                    sums
                };
                let count = BLOCK.min(to - block * BLOCK);
                for (row, sums) in sums.iter().enumerate().take(batch - first) {
                    let at = ((first + row) * height * width + pixel) * to + block * BLOCK;
                    let values = sums.map(F4::to_array);
                    zip(&mut result[at..at + count], &values.as_flattened()[..count], |_, value| value);
                }
            }
        }
    }
    result
}

/// Sums input × gradient over images and pixels for each tap, nine or one: four input by eight output channels at a time,
/// over as many images as the first cache holds. `[tap][input][padded outputs]`
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
    let mut pairs: Vec<(usize, usize)> = Vec::new();
    for (first, tap) in (0..batch).step_by(group).flat_map(|first| (0..all_taps).map(move |tap| (first, tap))) {
        let before = side / 2;
        let inside = |offset: usize, len: usize| before.saturating_sub(offset)..len.min(len + before - offset);
        pairs.clear();
        for image in first..batch.min(first + group) {
            for y in inside(tap / side, height) {
                for x in inside(tap % side, width) {
                    let seen = (image * height + y + tap / side - before) * width + x + tap % side - before;
                    pairs.push((seen * inputs, ((image * height + y) * width + x) * padded));
                }
            }
        }
        for channel in (0..inputs).step_by(4) {
            let rows: [usize; 4] = core::array::from_fn(|row| (channel + row).min(inputs - 1));
            for block in (0..padded).step_by(BLOCK) {
                // SAFETY: `tap`, a channel below `inputs` and a block of `padded` floats lie in `sums`; an image, a pixel whose
                // tap falls inside and a channel lie in `input`, and so does the block in `gradient`.
                unsafe {
                    let at = |row: usize| (tap * inputs + rows[row]) * padded + block;
                    let mut totals: [[F4; 2]; 4] = core::array::from_fn(|row| {
                        let from = sums.as_ptr().add(at(row));
                        [F4::load(from), F4::load(from.add(4))]
                    });
                    for &(from, to) in &pairs {
                        let (from, to) = (input.as_ptr().add(from), gradient.as_ptr().add(to + block));
                        let (left, right) = (F4::load(to), F4::load(to.add(4)));
                        for (&row, totals) in rows.iter().zip(&mut totals) {
                            let value = F4::load_splat(from.add(row));
                            totals[0] = totals[0].add_product(value, left);
                            totals[1] = totals[1].add_product(value, right);
                        }
                    }
                    // From the last row up: behind the last channel the same row stands more than once.
                    for row in (0..4).rev() {
                        let to = sums.as_mut_ptr().add(at(row));
                        totals[row][0].store(to);
                        totals[row][1].store(to.add(4));
                    }
                }
            }
        }
    }
    sums
}
