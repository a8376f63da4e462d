//! Backward through pool and ReLU without ever spreading the gradient out: only a window's winner carries any, and none
//! where ReLU was off. Exact, not an approximation.

use crate::simd::F4;
use crate::{Bordered, OFF, Shape};

/// Bytes of input whose winners are listed at a time: sixteen channels of them stay in the first cache while each list
/// is walked. Measured: a few images more or less make little difference, sixteen double the time.
const INPUT: usize = 20 << 10;
/// Channels of a tap that are summed at a time. They are copied together first: left between the others, they would
/// fall on a fraction of the first cache's sets.
const TAP: usize = 16;
/// Images whose winners are listed at a time, at most.
const MOST_IMAGES: usize = 16;

/// A winner: where it is (what that means is its user's) and the gradient that it carries.
#[derive(Debug, Clone, Copy, Default)]
struct Winner {
    at: i32,
    gradient: f32,
}

/// Gradients of weights `[output][input][3][3]` and bias `[output]` from the gradient of the pooled output and the
/// winners of [`crate::conv_relu_pool`].
///
/// The winners of an output channel are listed; then for a row of the filter, three taps by up to sixteen channels are
/// summed in registers over the whole list.
///
/// # Panics
/// If gradient or winners are of another shape.
pub fn pooled_backward_weights(
    shape: &Shape,
    input: &Bordered,
    winners: &[u8],
    gradient: &[f32],
) -> (Vec<f32>, Vec<f32>) {
    check(shape, winners, gradient);
    let Shape { batch, outputs, .. } = *shape;
    let (rows, columns) = shape.pooled();
    let per_image = rows * columns;
    let channels = input.channels;
    // [output][tap row][a run of floats]: three taps of all channels.
    let run = 3 * channels;
    let width = if input.is_thin() { run.next_multiple_of(4) } else { run };
    let mut sums = vec![0.0; outputs * 3 * width];
    let mut bias = vec![0.0; outputs];
    let pixels = (shape.height + 2) * (shape.width + 2);
    let images = (INPUT / (pixels * 4 * channels.min(16))).clamp(1, MOST_IMAGES.min(batch.max(1)));
    let room = images * per_image;
    let mut lists = vec![Winner::default(); outputs * room];
    let mut lens = vec![0; outputs];
    let stride = if input.is_thin() { channels } else { TAP };
    let row = (shape.width + 2) * stride;
    let mut block = if input.is_thin() { Vec::new() } else { vec![0.0; images * pixels * TAP] };
    for first in (0..batch).step_by(images) {
        lens.fill(0);
        let end = batch.min(first + images);
        for image in first..end {
            for place in 0..per_image {
                let (y, x) = (2 * (place / columns), 2 * (place % columns));
                let window = (image * per_image + place) * outputs;
                let patch = (image - first) * pixels * stride + y * row + x * stride;
                let at = [patch, patch + stride, patch + row, patch + row + stride];
                let bytes = &winners[window..window + outputs];
                let gradients = &gradient[window..window + outputs];
                for ((list, count), (&byte, &gradient)) in
                    lists.chunks_exact_mut(room).zip(&mut lens).zip(bytes.iter().zip(gradients))
                {
                    if counts(byte, gradient) == 1 {
                        list[*count] = Winner { at: at[usize::from(byte % 4)] as i32, gradient };
                        *count += 1;
                    }
                }
            }
        }
        for (output, &count) in lens.iter().enumerate() {
            bias[output] += lists[output * room..][..count].iter().map(|winner| winner.gradient).sum::<f32>();
        }
        let data = &input.data[first * pixels * channels..];
        if input.is_thin() {
            for (output, &count) in lens.iter().enumerate() {
                let list = &lists[output * room..][..count];
                let sums = &mut sums[output * 3 * width..][..3 * width];
                // SAFETY: `at` is where a patch of these images begins, so three rows of a run lie inside of `data`, and
                // `Bordered` has slack behind the last; `sums` has three rows of `width`.
                unsafe {
                    match width / 4 {
                        1 => add_patches::<1>(list, data.as_ptr(), row, sums.as_mut_ptr()),
                        2 => add_patches::<2>(list, data.as_ptr(), row, sums.as_mut_ptr()),
                        _ => add_patches::<3>(list, data.as_ptr(), row, sums.as_mut_ptr()),
                    }
                }
            }
            continue;
        }
        for channel in (0..channels).step_by(TAP) {
            let some = TAP.min(channels - channel);
            for (to, from) in
                block.chunks_exact_mut(TAP).zip(data[..(end - first) * pixels * channels].chunks_exact(channels))
            {
                to[..some].copy_from_slice(&from[channel..channel + some]);
            }
            for (output, &count) in lens.iter().enumerate() {
                let list = &lists[output * room..][..count];
                for tap_row in 0..3 {
                    let from = block[tap_row * row..].as_ptr();
                    let sums = sums[(output * 3 + tap_row) * width + channel..].as_mut_ptr();
                    // SAFETY: `at` is where a patch begins in the block; three taps of each of its rows lie inside. `sums`
                    // has a row of three taps from here on.
                    unsafe {
                        match some / 4 {
                            1 => add_taps::<1>(list, from, channels, sums),
                            2 => add_taps::<2>(list, from, channels, sums),
                            3 => add_taps::<3>(list, from, channels, sums),
                            _ => add_taps::<4>(list, from, channels, sums),
                        }
                    }
                }
            }
        }
    }
    let mut weights = vec![0.0; shape.weights_len()];
    for output in 0..outputs {
        for channel in 0..shape.inputs {
            for tap in 0..9 {
                weights[(output * shape.inputs + channel) * 9 + tap] =
                    sums[(output * 3 + tap / 3) * width + tap % 3 * channels + channel];
            }
        }
    }
    (weights, bias)
}

/// Adds gradient × input for three taps of `4 × V` channels.
///
/// # Safety
/// Three taps lie at each winner's place in `from`; `sums` has three taps, `channels` from one to the next.
#[inline(always)]
unsafe fn add_taps<const V: usize>(list: &[Winner], from: *const f32, channels: usize, sums: *mut f32) {
    // SAFETY: as the caller promises.
    unsafe {
        let mut totals: [[F4; V]; 3] =
            core::array::from_fn(|tap| core::array::from_fn(|v| F4::load(sums.add(tap * channels + 4 * v))));
        for winner in list {
            let gradient = F4::splat(winner.gradient);
            // An array of a known shape: the distances become part of the instructions.
            let from = from.add(winner.at as usize).cast::<[[[f32; 4]; TAP / 4]; 3]>();
            for (tap, totals) in totals.iter_mut().enumerate() {
                for (v, total) in totals.iter_mut().enumerate() {
                    *total = total.add_product(gradient, F4::load((&raw const (*from)[tap][v]).cast()));
                }
            }
        }
        for (tap, totals) in totals.iter().enumerate() {
            for (v, total) in totals.iter().enumerate() {
                total.store(sums.add(tap * channels + 4 * v));
            }
        }
    }
}

/// Adds gradient × input for a whole filter of fewer than four channels: three runs of `4 × V` floats, of which those
/// behind the run are left out later.
///
/// # Safety
/// As for [`add_taps`]; a run may read up to nine floats past its end.
#[inline(always)]
unsafe fn add_patches<const V: usize>(list: &[Winner], data: *const f32, stride: usize, sums: *mut f32) {
    // SAFETY: as the caller promises.
    unsafe {
        let mut totals: [[F4; V]; 3] =
            core::array::from_fn(|row| core::array::from_fn(|v| F4::load(sums.add((row * V + v) * 4))));
        for winner in list {
            let gradient = F4::splat(winner.gradient);
            let from = data.add(winner.at as usize);
            for (row, totals) in totals.iter_mut().enumerate() {
                for (v, total) in totals.iter_mut().enumerate() {
                    *total = total.add_product(gradient, F4::load(from.add(row * stride + 4 * v)));
                }
            }
        }
        for (row, totals) in totals.iter().enumerate() {
            for (v, total) in totals.iter().enumerate() {
                total.store(sums.add((row * V + v) * 4));
            }
        }
    }
}

/// Gradient of the input `[image][row][column][input]` from the gradient of the pooled output and the winners.
///
/// An image's winners are listed by row and column, as in a compressed sparse row matrix. A pixel gathers from three
/// rows; in each, the winners of the three columns around it follow each other, and a winner's place in the weights
/// moves evenly with the pixel's column, so that one loop does the three taps.
///
/// # Panics
/// If weights, gradient or winners are of another shape.
pub fn pooled_backward_input(shape: &Shape, weights: &[f32], winners: &[u8], gradient: &[f32]) -> Vec<f32> {
    check(shape, winners, gradient);
    assert_eq!(weights.len(), shape.weights_len(), "the weights are of another shape");
    let Shape { batch, height, width, inputs, outputs } = *shape;
    let (rows, columns) = shape.pooled();
    // [sixteen inputs][tap row][tap column][output][input]: what is summed at a time stays in the first cache.
    let blocks = inputs.div_ceil(TAP);
    let mut packed = vec![0.0; blocks * 9 * outputs * TAP];
    for output in 0..outputs {
        for input in 0..inputs {
            for tap in 0..9 {
                packed[((input / TAP * 9 + tap) * outputs + output) * TAP + input % TAP] =
                    weights[(output * inputs + input) * 9 + tap];
            }
        }
    }
    let column = outputs * TAP; // floats from a tap's column to the next
    let mut result = vec![0.0; shape.input_len()];
    let (covered_rows, covered) = (2 * rows, 2 * columns);
    let mut starts = vec![0usize; covered_rows * covered + 1];
    let mut next = vec![0usize; covered_rows * covered];
    let mut list = vec![Winner::default(); rows * columns * outputs + 1];
    for image in 0..batch {
        let windows = image * rows * columns * outputs..(image + 1) * rows * columns * outputs;
        let (bytes, gradients) = (&winners[windows.clone()], &gradient[windows]);
        let pixel = |place: usize, byte: u8| {
            let (y, x) = (2 * (place / columns) + usize::from(byte / 2), 2 * (place % columns) + usize::from(byte % 2));
            (y * covered + x, x)
        };
        next.fill(0);
        for (place, (bytes, gradients)) in places(bytes, gradients, outputs) {
            let pixels = [0, 1, 2, 3].map(|winner| pixel(place, winner).0);
            for (&byte, &gradient) in bytes.iter().zip(gradients) {
                next[pixels[usize::from(byte % 4)]] += counts(byte, gradient);
            }
        }
        let mut total = 0;
        for (start, next) in starts.iter_mut().zip(&mut next) {
            *start = total;
            total += *next;
            *next = *start;
        }
        starts[covered_rows * covered] = total;
        for (place, (bytes, gradients)) in places(bytes, gradients, outputs) {
            let pixels = [0, 1, 2, 3].map(|winner| pixel(place, winner));
            for (output, (&byte, &gradient)) in bytes.iter().zip(gradients).enumerate() {
                let (pixel, x) = pixels[usize::from(byte % 4)];
                let at = (output * TAP) as i32 - (x * column) as i32;
                let counts = counts(byte, gradient);
                // What does not count goes behind them all.
                list[if counts == 1 { next[pixel] } else { total }] = Winner { at, gradient };
                next[pixel] += counts;
            }
        }
        let to = &mut result[image * height * width * inputs..(image + 1) * height * width * inputs];
        for (block, packed) in packed.chunks_exact(9 * outputs * TAP).enumerate() {
            let some = TAP.min(inputs - block * TAP);
            for (pixel, to) in to.chunks_exact_mut(inputs).enumerate() {
                let (y, x) = (pixel / width, pixel % width);
                // The winners of each row around, and what their places in the weights are counted from.
                let mut around: [(&[Winner], usize); 3] = [(&[], 0); 3];
                for (tap_row, around) in around.iter_mut().enumerate() {
                    // A filter's tap row 0 looks up: it saw this pixel from the row below.
                    let Some(row) = (y + 1).checked_sub(tap_row).filter(|&row| row < covered_rows) else { continue };
                    let from = x.saturating_sub(1).min(covered);
                    let end = (x + 2).min(covered);
                    let winners = &list[starts[row * covered + from]..starts[row * covered + end]];
                    *around = (winners, (tap_row * 3 + x + 1) * column);
                }
                let to = &mut to[block * TAP..][..some];
                // SAFETY: a winner in column p of output o stands for place (o − p × outputs) × 16; with what it is
                // counted from, (tap row × 3 + x + 1 − p) × column + o × 16: x + 1 − p is 0, 1 or 2, so it lies in the
                // block's nine taps, and sixteen floats from there on end within the output's.
                unsafe {
                    match some.div_ceil(4) {
                        1 => gather::<1>(&around, packed.as_ptr(), to),
                        2 => gather::<2>(&around, packed.as_ptr(), to),
                        3 => gather::<3>(&around, packed.as_ptr(), to),
                        _ => gather::<4>(&around, packed.as_ptr(), to),
                    }
                }
            }
        }
    }
    result
}

/// Adds gradient × weight for `4 × V` channels. By value: what is only passed on stays in registers.
///
/// # Safety
/// `4 × V` floats can be read at each winner's place from `weights` on.
#[inline(always)]
unsafe fn add_winners<const V: usize>(mut totals: [F4; V], winners: &[Winner], weights: *const f32) -> [F4; V] {
    for winner in winners {
        let gradient = F4::splat(winner.gradient);
        // SAFETY: as the caller promises.
        unsafe {
            let line = weights.wrapping_offset(winner.at as isize).cast::<[[f32; 4]; V]>();
            for (v, total) in totals.iter_mut().enumerate() {
                *total = total.add_product(gradient, F4::load((&raw const (*line)[v]).cast()));
            }
        }
    }
    totals
}

/// Sums gradient × weight for `4 × V` channels of one pixel.
///
/// # Safety
/// Each winner's place, plus what it is counted from, plus `4 × V`, lies in the weights.
#[inline(always)]
unsafe fn gather<const V: usize>(around: &[(&[Winner], usize); 3], weights: *const f32, to: &mut [f32]) {
    let mut totals = [F4::zero(); V];
    for &(winners, base) in around {
        // SAFETY: as the caller promises.
        totals = unsafe { add_winners(totals, winners, weights.wrapping_add(base)) };
    }
    if to.len() >= 4 * V {
        for (v, total) in totals.into_iter().enumerate() {
            // SAFETY: it was just seen that there is room.
            unsafe { total.store(to.as_mut_ptr().add(4 * v)) };
        }
    } else {
        for (total, to) in totals.into_iter().zip(to.chunks_mut(4)) {
            to.copy_from_slice(&total.to_array()[..to.len()]);
        }
    }
}

/// 1 for a winner that carries a gradient, 0 for another: what a list's length grows by. A number, for where a branch
/// would be a coin's toss that no processor can guess.
#[inline(always)]
fn counts(byte: u8, gradient: f32) -> usize {
    usize::from(byte < OFF) & usize::from(gradient != 0.0)
}

/// Each place of an image with its windows' bytes and gradients.
fn places<'a>(
    bytes: &'a [u8],
    gradients: &'a [f32],
    outputs: usize,
) -> impl Iterator<Item = (usize, (&'a [u8], &'a [f32]))> {
    bytes.chunks_exact(outputs).zip(gradients.chunks_exact(outputs)).enumerate()
}

fn check(shape: &Shape, winners: &[u8], gradient: &[f32]) {
    assert_eq!(winners.len(), shape.pooled_len(), "the winners are of another shape");
    assert_eq!(gradient.len(), shape.pooled_len(), "the gradient is of another shape");
    assert!(shape.batch * (shape.height + 2) * (shape.width + 2) * shape.inputs.next_multiple_of(4) < 1 << 31);
    assert!((shape.width + 4) * shape.outputs * shape.inputs.next_multiple_of(4) < 1 << 31);
}
