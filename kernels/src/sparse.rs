//! Backward through pool and ReLU without ever spreading the gradient out: only a window's winner carries any, and none
//! where ReLU was off. Exact, not an approximation.

use std::hint::black_box;
use std::mem::MaybeUninit;

use crate::aligned::Aligned;
use crate::alike::Alike;
use crate::simd::{Bits, F4, places_of, store_chosen, zip};
use crate::{Bordered, OFF, Shape, Weights};

/// Bytes of input whose winners are listed at a time: sixteen channels of them stay in the first cache while each list
/// is walked. Measured: a few images more or less make little difference, sixteen double the time.
const INPUT: usize = 20 << 10;
/// Channels of a tap that are summed at a time. They are copied together first: left between the others, they would
/// fall on a fraction of the first cache's sets.
const TAP: usize = 16;
/// Channels of the input's gradient that are summed at a time: the most that registers hold. Measured: half of them, whose
/// weights would stay in the first cache, take a tenth longer.
const GATHERED: usize = 32;
/// Windows of a thin input that are listed at a time: their gradients and winners stay in the first cache.
const LISTED: usize = 64;
/// Images whose winners are listed at a time, at most.
const MOST_IMAGES: usize = 16;

/// What a window's byte lets through of its gradient. A factor, for a choice between two numbers would be a branch that
/// no processor can guess; and hidden from the compiler (`black_box`), which would make it such a choice.
const CARRIED: [f32; 8] = [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0];

/// A winner: where it is (what that means is its user's) and the gradient that it carries.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)] // as `store_chosen` writes it
struct Winner {
    gradient: f32,
    at: i32,
}

/// Gradients of weights `[output][input][3][3]` and bias `[output]` from the gradient of the pooled output and the
/// winners of [`crate::conv_relu_pool`].
///
/// Pixels that are `alike` `[image][row][column]` are the same numbers ([`Bordered::blank_windows`]). Windows that see no
/// others are not gone through one by one: what their winners carry to each tap is added up, and multiplied by them once.
///
/// # Panics
/// If input, gradient, winners or `alike` are of another shape.
pub fn pooled_backward_weights(
    shape: &Shape,
    input: &Bordered,
    winners: &[u8],
    gradient: &[f32],
    alike: Option<&[bool]>,
) -> (Vec<f32>, Vec<f32>) {
    check(shape, winners, gradient, alike);
    input.check(shape);
    // [output][tap row][a run of floats]: three taps of all channels.
    let run = 3 * input.channels;
    let width = run.next_multiple_of(4);
    let mut sums = Aligned::zeros(shape.outputs * 3 * width);
    let mut bias = vec![0.0; shape.outputs];
    let to = Sums { weights: &mut sums, width, bias: &mut bias };
    match width / 4 {
        _ if !input.is_thin() => listed_weights(shape, input, winners, gradient, alike, to),
        1 => thin_weights::<1>(shape, input, winners, gradient, to),
        2 => thin_weights::<2>(shape, input, winners, gradient, to),
        _ => thin_weights::<3>(shape, input, winners, gradient, to),
    }
    let mut weights = vec![0.0; shape.weights_len()];
    for (filters, sums) in weights.chunks_exact_mut(shape.inputs * 9).zip(sums.chunks_exact(3 * width)) {
        for tap in 0..9 {
            let of_tap = &sums[tap / 3 * width + tap % 3 * input.channels..][..shape.inputs];
            for (filter, sum) in filters.as_chunks_mut::<9>().0.iter_mut().zip(of_tap) {
                filter[tap] = *sum;
            }
        }
    }
    (weights, bias)
}

/// What gradients are added to.
struct Sums<'a> {
    /// `[output][tap row][width]`
    weights: &'a mut [f32],
    width: usize,
    /// `[output]`
    bias: &'a mut [f32],
}

/// With fewer than four input channels a filter is three vectors of `4 × V` floats, of which those behind a run of three
/// taps are left out later. There is too little to do for a winner to list it first: windows are listed, and those that
/// carry nothing count as zero. Of a window that sees nothing but zeros only the bias learns.
fn thin_weights<const V: usize>(shape: &Shape, input: &Bordered, winners: &[u8], gradient: &[f32], to: Sums) {
    let outputs = shape.outputs;
    let (rows, columns) = shape.pooled();
    let mut windows = Thin::<V> { input, winners, gradient, list: Vec::with_capacity(LISTED), to };
    let mut of_blank = vec![0.0; outputs];
    // A row of windows after the other.
    for row in 0..shape.batch * rows {
        let of_row = row * columns..(row + 1) * columns;
        let patch = |window: usize| input.patch(row / rows, 2 * (row % rows), 2 * (window - row * columns));
        of_blank.fill(0.0);
        for window in of_row.clone() {
            if input.is_blank(window) {
                let at = window * outputs..(window + 1) * outputs;
                add_carried(&mut of_blank, &winners[at.clone()], &gradient[at]);
            } else {
                windows.take(window, patch(window));
            }
        }
        if of_blank.iter().all(|sum| sum.is_finite()) {
            zip(windows.to.bias, &of_blank, |sum, value| sum + value);
        } else {
            // Zero times what is infinite or no number is no number: as with all others, then.
            of_row.filter(|&window| input.is_blank(window)).for_each(|window| windows.take(window, patch(window)));
        }
    }
    windows.add();
}

/// Windows of a thin input.
struct Thin<'a, const V: usize> {
    input: &'a Bordered,
    winners: &'a [u8],
    gradient: &'a [f32],
    /// Of each that waits, where its winners and gradients begin, and where its patch.
    list: Vec<(usize, usize)>,
    /// What is added to, in rows of `4 × V`.
    to: Sums<'a>,
}

impl<const V: usize> Thin<'_, V> {
    /// Takes another one.
    fn take(&mut self, window: usize, patch: usize) {
        let window = window * self.to.bias.len();
        assert!(window + self.to.bias.len() <= self.gradient.len().min(self.winners.len()), "a window of the shape");
        let seen = 3 * self.input.row + self.input.channels + 4 * V;
        assert!(patch + seen <= self.input.data.len(), "a patch of the input, and what is read behind it");
        self.list.push((window, patch));
        if self.list.len() == LISTED {
            self.add();
        }
    }

    /// Adds what those that wait add.
    #[cfg_attr(all(feature = "relaxed", target_arch = "wasm32"), target_feature(enable = "relaxed-simd"))]
    fn add(&mut self) {
        let Self { input, winners, gradient, list, to } = self;
        let (winners, gradient, data, row) = (winners.as_ptr(), gradient.as_ptr(), input.data.as_ptr(), input.row);
        let offsets = [0, input.channels, row, row + input.channels, 0, 0, 0, 0].map(|floats| 4 * floats);
        let carried = black_box(CARRIED);
        for (output, (sums, of_bias)) in to.weights.chunks_exact_mut(12 * V).zip(to.bias.iter_mut()).enumerate() {
            let sums = sums.as_mut_ptr();
            // SAFETY: twelve floats for each `V`. It was asserted that each window has a winner and a gradient for each bias, and
            // that from the last of its pixels three rows of `4 × V` floats can be read.
            unsafe {
                let mut totals: [[F4; V]; 3] =
                    core::array::from_fn(|row| core::array::from_fn(|v| F4::load(sums.add((row * V + v) * 4))));
                let mut bias = 0.0;
                for &(window, patch) in list.iter() {
                    let place = usize::from(*winners.add(window + output) % 8);
                    let gradient = carried[place] * *gradient.add(window + output);
                    bias += gradient;
                    let gradient = F4::splat(gradient);
                    let from = data.add(patch).byte_add(offsets[place]);
                    for (tap_row, totals) in totals.iter_mut().enumerate() {
                        for (v, total) in totals.iter_mut().enumerate() {
                            *total = total.add_product(gradient, F4::load(from.add(tap_row * row + 4 * v)));
                        }
                    }
                }
                *of_bias += bias;
                for (row, totals) in totals.iter().enumerate() {
                    for (v, total) in totals.iter().enumerate() {
                        total.store(sums.add((row * V + v) * 4));
                    }
                }
            }
        }
        list.clear();
    }
}

/// The winners of an output channel are listed; then for a row of the filter, three taps by up to sixteen channels are
/// summed in registers over the whole list.
#[cfg_attr(all(feature = "relaxed", target_arch = "wasm32"), target_feature(enable = "relaxed-simd"))]
fn listed_weights(shape: &Shape, input: &Bordered, winners: &[u8], gradient: &[f32], alike: Option<&[bool]>, to: Sums) {
    let Shape { batch, outputs, .. } = *shape;
    let (rows, columns) = shape.pooled();
    let per_image = rows * columns;
    let channels = input.channels;
    let pixels = (shape.height + 2) * (shape.width + 2);
    let images = (INPUT / (pixels * 4 * channels.min(TAP))).clamp(1, MOST_IMAGES.min(batch.max(1)));
    // One more than there can be: what carries nothing is written there, and over.
    let room = images * per_image + 1;
    let mut lists = vec![Winner::default(); outputs * room];
    let (mut ends, mut bias) = (vec![0; outputs], vec![0.0; outputs]);
    let row = (shape.width + 2) * TAP;
    let mut block = Aligned::zeros(images * pixels * TAP);
    let offsets = [0, TAP, row, row + TAP, 0, 0, 0, 0].map(|floats| 4 * floats as i32);
    let mut alike = alike.map(|alike| Alike::new(shape, alike));
    for first in (0..batch).step_by(images) {
        let end = batch.min(first + images);
        for (output, end) in ends.iter_mut().enumerate() {
            *end = output * room;
        }
        bias.fill(0.0);
        let some = first * per_image * outputs..end * per_image * outputs;
        let windows = winners[some.clone()].chunks_exact(outputs).zip(gradient[some].chunks_exact(outputs));
        for (window, (bytes, gradients)) in windows.enumerate() {
            let (image, y, x) = (window / per_image, window / columns % rows, window % columns);
            add_carried(&mut bias, bytes, gradients);
            if let Some(alike) = &mut alike {
                alike.look_at(first + image);
                if alike.is_all(y, x) {
                    alike.add_window(y, x, bytes, gradients);
                    continue;
                }
            }
            let patch = 4 * (image * pixels * TAP + 2 * y * row + 2 * x * TAP) as i32;
            for ((&byte, &gradient), end) in bytes.iter().zip(gradients).zip(&mut ends) {
                let place = *end;
                // SAFETY: each window so far has added one at most, and a list has room for more than all of them.
                unsafe {
                    *lists.get_unchecked_mut(place) = Winner { gradient, at: patch + offsets[usize::from(byte % 8)] };
                }
                *end = place + usize::from(byte < OFF);
            }
        }
        zip(to.bias, &bias, |sum, value| sum + value);
        let data = &input.data[first * pixels * channels..end * pixels * channels];
        for channel in (0..channels).step_by(TAP) {
            let some = TAP.min(channels - channel);
            for (to, from) in block.chunks_exact_mut(TAP).zip(data.chunks_exact(channels)) {
                zip(&mut to[..some], &from[channel..channel + some], |_, from| from);
            }
            for (output, &end) in ends.iter().enumerate() {
                let list = &lists[output * room..end];
                for tap_row in 0..3 {
                    let from = block[tap_row * row..].as_ptr();
                    let sums = to.weights[(output * 3 + tap_row) * to.width + channel..].as_mut_ptr();
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
    let Some((alike, first)) = alike.and_then(|alike| alike.first().map(|first| (alike, first))) else { return };
    let (image, pixel) = (first / (shape.height * shape.width), first % (shape.height * shape.width));
    let middle = input.patch(image, pixel / shape.width, pixel % shape.width) + input.row + channels;
    let numbers = &input.data[middle..middle + channels];
    for (output, sums) in to.weights.chunks_exact_mut(3 * to.width).enumerate() {
        for tap in 0..9 {
            let carried = F4::splat(alike.carried(output, tap));
            let sums = &mut sums[tap / 3 * to.width + tap % 3 * channels..][..channels];
            zip(sums, numbers, |sum, number| sum.add_product(carried, number));
        }
    }
}

/// Adds the gradients that a window carries. By hand: the compiler would make a branch of the choice.
///
/// # Panics
/// If there are not as many of all.
fn add_carried(sums: &mut [f32], bytes: &[u8], gradients: &[f32]) {
    assert!(sums.len() == bytes.len() && gradients.len() == bytes.len(), "a sum and a gradient for each byte");
    let (sixteens, rest) = bytes.as_chunks::<16>();
    let done = 16 * sixteens.len();
    for (at, bytes) in (0..).step_by(16).zip(sixteens) {
        let off = places_of(OFF, bytes);
        for four in [0, 4, 8, 12] {
            // SAFETY: four of sixteen sums and gradients.
            unsafe {
                let sum = sums[at + four..].as_mut_ptr();
                let gradient = F4::load(gradients[at + four..].as_ptr()).except(Bits::of_places(off >> four & 15));
                (F4::load(sum) + gradient).store(sum);
            }
        }
    }
    let carried = black_box(CARRIED);
    for ((sum, &byte), &gradient) in sums[done..].iter_mut().zip(rest).zip(&gradients[done..]) {
        *sum += carried[usize::from(byte % 8)] * gradient;
    }
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
            let from = from.byte_add(winner.at as usize).cast::<[[[f32; 4]; TAP / 4]; 3]>();
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

/// Gradient of the input `[image][row][column][input]` from the gradient of the pooled output and the winners.
///
/// An image's winners are listed by row and column, as in a compressed sparse row matrix. A pixel gathers from three
/// rows; in each, the winners of the three columns around it follow each other, and a winner's place in the weights
/// moves evenly with the pixel's column, so that one loop does the three taps.
///
/// Pixels that are `alike` `[image][row][column]` are the same numbers, made from nothing ([`Bordered::blank_windows`]), so
/// that only their gradients' sum is of use: the first of them gets it, and the others zero. For the sum of products that
/// differ in their gradients alone is one product: those that a tap carries to such pixels are added up first.
///
/// # Panics
/// If weights, gradient, winners or `alike` are of another shape.
#[cfg_attr(all(feature = "relaxed", target_arch = "wasm32"), target_feature(enable = "relaxed-simd"))]
pub fn pooled_backward_input(
    shape: &Shape,
    weights: &Weights,
    winners: &[u8],
    gradient: &[f32],
    alike: Option<&[bool]>,
) -> Vec<f32> {
    check(shape, winners, gradient, alike);
    let Shape { batch, height, width, inputs, outputs } = *shape;
    weights.check(inputs, outputs, 9);
    let pixels = height * width;
    let packed = weights.gathered.get_or_init(|| pack(inputs, outputs, weights));
    let (rows, columns) = shape.pooled();
    let column = outputs * GATHERED; // floats from a tap's column to the next
    let mut result = Vec::with_capacity(shape.input_len());
    // Not filled with zeros first, of which none would be in the caches when it is written.
    let all = &mut result.spare_capacity_mut()[..shape.input_len()];
    let (covered_rows, covered) = (2 * rows, 2 * columns);
    // Where the winners of each pixel begin, and of the one behind the last.
    let mut starts = vec![0; covered_rows * covered + 1];
    // More than there can be, for what `list_place` needs.
    let mut list = vec![Winner::default(); (rows * columns + 1) * outputs + 4];
    let mut alike = alike.map(|alike| Alike::new(shape, alike));
    for image in 0..batch {
        let mut count = 0;
        if let Some(alike) = &mut alike {
            alike.look_at(image);
        }
        for y in 0..covered_rows {
            for x in 0..covered {
                starts[y * covered + x] = count;
                let window = ((image * rows + y / 2) * columns + x / 2) * outputs;
                let (bytes, gradients) = (&winners[window..window + outputs], &gradient[window..window + outputs]);
                let place = (y % 2 * 2 + x % 2) as u8;
                let first = -4 * (x * column) as i32;
                let some = list_place(bytes, gradients, place, first, &mut list[count..]);
                if let Some(alike) = &mut alike {
                    let marks = alike.around(y, x);
                    for winner in &list[count..count + some] {
                        alike.add((winner.at - first) as usize / (4 * GATHERED), winner.gradient, marks);
                    }
                }
                count += some;
            }
        }
        starts[covered_rows * covered] = count;
        let to = &mut all[image * pixels * inputs..(image + 1) * pixels * inputs];
        for (block, packed) in packed.chunks_exact(9 * outputs * GATHERED).enumerate() {
            let some = block * GATHERED..inputs.min((block + 1) * GATHERED);
            for (pixel, to) in to.chunks_exact_mut(inputs).enumerate() {
                let (to, y, x) = (&mut to[some.clone()], pixel / width, pixel % width);
                if alike.as_ref().is_some_and(|alike| alike.is(y, x)) {
                    to.fill(MaybeUninit::new(0.0));
                    continue;
                }
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
                // SAFETY: a winner in column p of output o stands for place (o − p × outputs) × GATHERED; with what it is
                // counted from, (tap row × 3 + x + 1 − p) × column + o × GATHERED: x + 1 − p is 0, 1 or 2, so it lies in the
                // block's nine taps, and as many floats from there on end within the output's.
                unsafe { gather(&around, packed.as_ptr(), to) };
            }
        }
    }
    if let Some((alike, first)) = alike.and_then(|alike| alike.first().map(|first| (alike, first))) {
        // As if each tap of each output were a winner.
        let of_tap = |tap: usize| {
            let alike = &alike;
            (0..outputs).map(move |output| {
                let at = (4 * (tap * outputs + output) * GATHERED) as i32;
                Winner { gradient: alike.carried(output, tap), at }
            })
        };
        let list: Vec<Winner> = (0..9).flat_map(of_tap).collect();
        let to = &mut all[first * inputs..(first + 1) * inputs];
        for (packed, to) in packed.chunks_exact(9 * outputs * GATHERED).zip(to.chunks_mut(GATHERED)) {
            // SAFETY: each is at the block's weights of its tap and output.
            unsafe { gather(&[(&list, 0), (&[], 0), (&[], 0)], packed.as_ptr(), to) };
        }
    }
    // SAFETY: each pixel's each block was written.
    unsafe { result.set_len(shape.input_len()) };
    result
}

/// Lists the outputs of a window whose winner is at that place; how many they are. `first` is what stands for output 0.
///
/// # Panics
/// If `list` has no room for all of them and four more.
#[inline(always)]
fn list_place(bytes: &[u8], gradients: &[f32], place: u8, first: i32, list: &mut [Winner]) -> usize {
    const STEP: i32 = 4 * GATHERED as i32;
    assert!(bytes.len() == gradients.len() && bytes.len() + 4 <= list.len());
    let of = |lanes: [i32; 4]| Bits::of(lanes.map(i32::cast_unsigned));
    let (mut at, step) = (of([0, 1, 2, 3].map(|lane| first + lane * STEP)), of([4 * STEP; 4]));
    let mut count = 0;
    let (sixteens, rest) = bytes.as_chunks::<16>();
    for (bytes, gradients) in sixteens.iter().zip(gradients.as_chunks::<16>().0) {
        let places = places_of(place, bytes);
        for four in [0, 4, 8, 12] {
            // SAFETY: four of sixteen gradients. As many are listed at most as were looked at, and four more have room.
            unsafe {
                let gradient = F4::load(gradients.as_ptr().add(four));
                count += store_chosen(gradient, at, places >> four & 15, list.as_mut_ptr().add(count).cast());
            }
            at = at.plus(step);
        }
    }
    let done = bytes.len() - rest.len();
    for ((&byte, &gradient), output) in rest.iter().zip(&gradients[done..]).zip(done..) {
        list[count] = Winner { at: first + output as i32 * STEP, gradient };
        count += usize::from(byte == place);
    }
    count
}

/// `[some inputs][tap row][tap column][output][input]`
fn pack(inputs: usize, outputs: usize, weights: &[f32]) -> Aligned {
    let blocks = inputs.div_ceil(GATHERED);
    let mut packed = Aligned::zeros(blocks * 9 * outputs * GATHERED);
    for (block, packed) in packed.chunks_exact_mut(9 * outputs * GATHERED).enumerate() {
        let first = block * GATHERED;
        for output in 0..outputs {
            let filters = &weights[(output * inputs + first) * 9..(output * inputs + inputs.min(first + GATHERED)) * 9];
            // A tap after the other, so that what is written lies together.
            for tap in 0..9 {
                let to = &mut packed[(tap * outputs + output) * GATHERED..][..GATHERED];
                for (to, filter) in to.iter_mut().zip(filters.as_chunks::<9>().0) {
                    *to = filter[tap];
                }
            }
        }
    }
    packed
}

/// Adds gradient × weight for `4 × V` channels. By value: what is only passed on stays in registers.
///
/// # Safety
/// `4 × V` floats can be read at the winner's place from `weights` on.
#[inline(always)]
unsafe fn add_winner<const V: usize>(mut totals: [F4; V], winner: &Winner, weights: *const f32) -> [F4; V] {
    let gradient = F4::splat(winner.gradient);
    // SAFETY: as the caller promises.
    unsafe {
        let line = weights.wrapping_byte_offset(winner.at as isize).cast::<[[f32; 4]; V]>();
        for (v, total) in totals.iter_mut().enumerate() {
            *total = total.add_product(gradient, F4::load((&raw const (*line)[v]).cast()));
        }
    }
    totals
}

/// Sums gradient × weight for some channels of one pixel, as many as are gathered at a time at most.
///
/// # Safety
/// Each winner's place, plus what it is counted from, plus that many, lies in the weights.
#[cfg_attr(all(feature = "relaxed", target_arch = "wasm32"), target_feature(enable = "relaxed-simd"))]
unsafe fn gather(around: &[(&[Winner], usize); 3], weights: *const f32, to: &mut [MaybeUninit<f32>]) {
    // SAFETY: as the caller promises.
    unsafe {
        match to.len().div_ceil(4) {
            1 => gather_channels::<1>(around, weights, to),
            2 => gather_channels::<2>(around, weights, to),
            3 => gather_channels::<3>(around, weights, to),
            4 => gather_channels::<4>(around, weights, to),
            5 => gather_channels::<5>(around, weights, to),
            6 => gather_channels::<6>(around, weights, to),
            7 => gather_channels::<7>(around, weights, to),
            _ => gather_channels::<8>(around, weights, to),
        }
    }
}

/// [`gather`] for `4 × V` channels.
///
/// # Safety
/// As there.
#[inline(always)]
unsafe fn gather_channels<const V: usize>(
    around: &[(&[Winner], usize); 3],
    weights: *const f32,
    to: &mut [MaybeUninit<f32>],
) {
    let mut totals = [F4::zero(); V];
    for &(winners, base) in around {
        for winner in winners {
            // SAFETY: as the caller promises.
            totals = unsafe { add_winner(totals, winner, weights.wrapping_add(base)) };
        }
    }
    if to.len() >= 4 * V {
        for (v, total) in totals.into_iter().enumerate() {
            // SAFETY: it was just seen that there is room.
            unsafe { total.store(to.as_mut_ptr().add(4 * v).cast()) };
        }
    } else {
        for (total, to) in totals.into_iter().zip(to.chunks_mut(4)) {
            to.write_copy_of_slice(&total.to_array()[..to.len()]);
        }
    }
}

fn check(shape: &Shape, winners: &[u8], gradient: &[f32], alike: Option<&[bool]>) {
    let pixels = shape.batch * shape.height * shape.width;
    assert!(alike.is_none_or(|alike| alike.len() == pixels), "which pixels are alike is of another shape");
    assert_eq!(winners.len(), shape.pooled_len(), "the winners are of another shape");
    assert_eq!(gradient.len(), shape.pooled_len(), "the gradient is of another shape");
    // Bytes in the lists of winners.
    let side = 4 * (shape.width + 4).max(9);
    assert!((shape.height + 2) * side * TAP * MOST_IMAGES < 1 << 31 && side * shape.outputs * GATHERED < 1 << 31);
}
