//! Forward with pool: Winograd's F(2×2, 3×3) (Lavin & Gray 2016, arXiv:1509.09308, section 4.1), fused with bias, ReLU
//! and the 2×2 maximum pool.
//!
//! A tile's output is `Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A`, summed over input channels before the last step. For eight tiles at a
//! time the patches are transformed, which leaves 16 independent products of an 8×inputs by an inputs×outputs matrix;
//! their results are transformed back, and the tile's four numbers are the pool's window. All that lies between stays
//! in the first caches.
//!
//! With fewer than four input channels (the image itself) there is too little to transform: there the window's four
//! pixels are the rows of the register tile and the filter's taps are summed directly.

use std::hint::black_box;

use crate::simd::{Bits, F4};
use crate::{BLOCK, Bordered, OFF, Shape};

/// Tiles that are taken at a time.
const TILES: usize = 8;

/// Convolution, bias, ReLU and pool: the output `[image][row][column][output]` and, for each of its numbers, which
/// pixel of the window won (0 1 over 2 3; the first of equals), or [`OFF`] where ReLU lets nothing through. A window in
/// which something is infinite or no number gives no number, so that it is seen.
///
/// # Panics
/// If input, weights or bias are of another shape.
pub fn conv_relu_pool(shape: &Shape, input: &Bordered, weights: &[f32], bias: &[f32]) -> (Vec<f32>, Vec<u8>) {
    assert_eq!(weights.len(), shape.weights_len(), "the weights are of another shape");
    assert_eq!(bias.len(), shape.outputs, "the bias is of another shape");
    input.check(shape);
    let mut output = vec![0.0; shape.pooled_len()];
    let mut winners = vec![OFF; shape.pooled_len()];
    let mut padded = bias.to_vec();
    padded.resize(shape.output_blocks() * BLOCK, 0.0);
    let pool = Pool { shape, bias: &padded, output: &mut output, winners: &mut winners };
    if input.is_thin() {
        // Of a known number of taps, the loop over them leaves nothing but arithmetic.
        match input.channels {
            1 => thin::<3>(shape, input, weights, pool),
            2 => thin::<6>(shape, input, weights, pool),
            _ => thin::<9>(shape, input, weights, pool),
        }
    } else {
        winograd(shape, input, weights, pool);
    }
    (output, winners)
}

/// The end of the kernel: four numbers of each window become one and a byte.
struct Pool<'a> {
    shape: &'a Shape,
    bias: &'a [f32],
    output: &'a mut [f32],
    winners: &'a mut [u8],
}

impl Pool<'_> {
    /// Takes the four numbers of window `window` for the eight channels from `channel` on.
    #[inline(always)]
    fn put(&mut self, window: usize, channel: usize, numbers: [[F4; 2]; 4]) {
        // SAFETY: the bias is padded to whole blocks.
        let bias = unsafe {
            let bias = self.bias[channel..channel + BLOCK].as_ptr();
            [F4::load(bias), F4::load(bias.add(4))]
        };
        let [a, b, c, d] = numbers;
        let left = largest([a[0], b[0], c[0], d[0]], bias[0]);
        let right = largest([a[1], b[1], c[1], d[1]], bias[1]);
        let winner = Bits::to_bytes([left.1, right.1]);
        let count = BLOCK.min(self.shape.outputs - channel);
        let at = window * self.shape.outputs + channel;
        let (output, winners) = (&mut self.output[at..at + count], &mut self.winners[at..at + count]);
        if count == BLOCK {
            // SAFETY: there is room for eight.
            unsafe {
                left.0.store(output.as_mut_ptr());
                right.0.store(output.as_mut_ptr().add(4));
            }
            winners.copy_from_slice(&winner);
        } else {
            output.copy_from_slice(&[left.0, right.0].map(F4::to_array).as_flattened()[..count]);
            winners.copy_from_slice(&winner[..count]);
        }
    }
}

/// The greatest of a window's four numbers after bias and ReLU, and which it was, or [`OFF`].
#[inline(always)]
fn largest(numbers: [F4; 4], bias: F4) -> (F4, Bits) {
    let [a, b, c, d] = numbers;
    let (top, bottom) = (a.greater(b), c.greater(d));
    let is_bottom = top.is_below(bottom);
    let is_right = is_bottom.choose(c.is_below(d), a.is_below(b));
    // What is no number loses each comparison. So that it is not lost, zero times the sum is added: zero, if the sum is
    // finite.
    let sum = (a + b) + (c + d);
    let value = top.greater(bottom) + bias + sum * F4::zero();
    let off = value.is_at_most(F4::zero());
    let place = is_right.and(Bits::splat(1)).or(is_bottom.and(Bits::splat(2)));
    (value.except(off), off.choose(Bits::splat(u32::from(OFF)), place))
}

/// The window's four pixels are the rows; its taps, a filter row of `RUN` floats after the other, are summed.
#[cfg_attr(all(feature = "relaxed", target_arch = "wasm32"), target_feature(enable = "relaxed-simd"))]
fn thin<const RUN: usize>(shape: &Shape, input: &Bordered, weights: &[f32], mut pool: Pool) {
    assert_eq!(RUN, 3 * input.channels, "a filter's row");
    let packed = pack_thin(shape, weights);
    let (rows, columns) = shape.pooled();
    // Not told to the compiler: it would lay out all taps one after the other, more than V8 has registers for.
    let filter_rows = black_box(3);
    for window in 0..shape.windows() {
        let (image, y, x) = (window / (rows * columns), window / columns % rows, window % columns);
        let patch = input.patch(image, 2 * y, 2 * x);
        let patch = &input.data[patch..patch + 3 * input.row + input.channels + RUN];
        let starts = [0, input.channels, input.row, input.row + input.channels];
        for block in 0..shape.output_blocks() {
            let mut sums = [[F4::zero(); 2]; 4];
            let mut from = packed[block * 3 * RUN * BLOCK..(block + 1) * 3 * RUN * BLOCK].as_ptr();
            for tap_row in 0..filter_rows {
                for tap in 0..RUN {
                    // SAFETY: the slices above hold all that the offsets below reach: three rows of `RUN` weights a
                    // block, and four rows of the input of which the last ends with the window's patch.
                    unsafe {
                        let weights = [F4::load(from), F4::load(from.add(4))];
                        for (sums, start) in sums.iter_mut().zip(starts) {
                            let pixel = F4::load_splat(patch.as_ptr().add(start + tap_row * input.row + tap));
                            sums[0] = sums[0].add_product(pixel, weights[0]);
                            sums[1] = sums[1].add_product(pixel, weights[1]);
                        }
                        from = from.add(BLOCK);
                    }
                }
            }
            pool.put(window, block * BLOCK, sums);
        }
    }
}

/// `[block][tap row][tap column][input][8 outputs]`.
fn pack_thin(shape: &Shape, weights: &[f32]) -> Vec<f32> {
    let mut packed = vec![0.0; shape.output_blocks() * 9 * shape.inputs * BLOCK];
    for output in 0..shape.outputs {
        for input in 0..shape.inputs {
            for tap in 0..9 {
                let at = ((output / BLOCK * 9 + tap) * shape.inputs + input) * BLOCK + output % BLOCK;
                packed[at] = weights[(output * shape.inputs + input) * 9 + tap];
            }
        }
    }
    packed
}

#[cfg_attr(all(feature = "relaxed", target_arch = "wasm32"), target_feature(enable = "relaxed-simd"))]
fn winograd(shape: &Shape, input: &Bordered, weights: &[f32], mut pool: Pool) {
    let (channels, blocks) = (input.channels, shape.output_blocks());
    let kernels = transform_weights(shape, channels, weights);
    let mut patches = vec![0.0; 16 * TILES * channels];
    let mut products = vec![0.0; 16 * TILES * blocks * BLOCK];
    let (rows, columns) = shape.pooled();
    for start in (0..shape.windows()).step_by(TILES) {
        let count = TILES.min(shape.windows() - start);
        for tile in 0..count {
            let window = start + tile;
            let (image, y, x) = (window / (rows * columns), window / columns % rows, window % columns);
            transform_patch(input, input.patch(image, 2 * y, 2 * x), tile, &mut patches);
        }
        for (term, kernel) in kernels.chunks_exact(blocks * channels * BLOCK).enumerate() {
            for rows in (0..count).step_by(4) {
                let row = term * TILES + rows;
                let patches = &patches[row * channels..(row + 4) * channels];
                let products = &mut products[row * blocks * BLOCK..(row + 4) * blocks * BLOCK];
                multiply(patches, kernel, channels, blocks, products);
            }
        }
        for tile in 0..count {
            for channel in (0..blocks * BLOCK).step_by(BLOCK) {
                let first = tile * blocks * BLOCK + channel;
                let from = products[first..first + 15 * TILES * blocks * BLOCK + BLOCK].as_ptr();
                // SAFETY: the slice reaches eight floats past the last term's first.
                let product =
                    |term: usize, half: usize| unsafe { F4::load(from.add(term * TILES * blocks * BLOCK + half)) };
                let [a, b, c, d] = transform_back(|term| product(term, 0));
                let [e, f, g, h] = transform_back(|term| product(term, 4));
                pool.put(start + tile, channel, [[a, e], [b, f], [c, g], [d, h]]);
            }
        }
    }
}

/// `G g Gᵀ` of each filter: `[16 terms][block][input][8 outputs]`. Eight outputs at a time, so that what is written lies
/// together: the terms are a multiple of the first cache's stride apart.
fn transform_weights(shape: &Shape, channels: usize, weights: &[f32]) -> Vec<f32> {
    let blocks = shape.output_blocks();
    let mut kernels = vec![0.0; 16 * blocks * channels * BLOCK];
    let half = F4::splat(0.5);
    // G·(a, b, c)
    let g = |a: F4, b: F4, c: F4| [a, half * (a + b + c), half * (a - b + c), c];
    for (block, input) in (0..blocks).flat_map(|block| (0..shape.inputs).map(move |input| (block, input))) {
        for lanes in [0, 4] {
            // Behind the last output it is done once more; nobody asks for what comes of that.
            let filters: [&[f32]; 4] = core::array::from_fn(|lane| {
                let output = (block * BLOCK + lanes + lane).min(shape.outputs - 1);
                &weights[(output * shape.inputs + input) * 9..][..9]
            });
            let tap = |tap: usize| F4::of(filters.map(|filter| filter[tap]));
            let column = |x: usize| g(tap(x), tap(3 + x), tap(6 + x));
            let (left, middle, right) = (column(0), column(1), column(2));
            for (y, ((left, middle), right)) in left.into_iter().zip(middle).zip(right).enumerate() {
                for (x, value) in g(left, middle, right).into_iter().enumerate() {
                    let at = (((y * 4 + x) * blocks + block) * channels + input) * BLOCK + lanes;
                    // SAFETY: four of a block's eight floats.
                    unsafe { value.store(kernels[at..at + 4].as_mut_ptr()) };
                }
            }
        }
    }
    kernels
}

/// `Bᵀ d B` of the 4×4 patch at `patch` into row `tile` of each of the 16 matrices.
#[inline(always)]
fn transform_patch(input: &Bordered, patch: usize, tile: usize, patches: &mut [f32]) {
    let channels = input.channels;
    let from = &input.data[patch..patch + 3 * input.row + 4 * channels];
    let to = &mut patches[tile * channels..];
    assert!(to.len() > 15 * TILES * channels + channels - 1, "sixteen matrices");
    let b = |d: [F4; 4]| [d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]];
    for channel in (0..channels).step_by(4) {
        // SAFETY: `from` holds four rows of four pixels of `channels` floats, a multiple of four; `to` holds row `tile` of
        // sixteen matrices of `TILES` rows, which was just asserted.
        unsafe {
            let load = |y: usize, x: usize| F4::load(from.as_ptr().add(y * input.row + x * channels + channel));
            let column = |x: usize| b([load(0, x), load(1, x), load(2, x), load(3, x)]);
            let down = [column(0), column(1), column(2), column(3)];
            let row = |y: usize| b([down[0][y], down[1][y], down[2][y], down[3][y]]);
            for (y, row) in [row(0), row(1), row(2), row(3)].into_iter().enumerate() {
                for (x, value) in row.into_iter().enumerate() {
                    value.store(to.as_mut_ptr().add((y * 4 + x) * TILES * channels + channel));
                }
            }
        }
    }
}

/// `Aᵀ m A`: the window's four numbers from its sixteen products.
#[inline(always)]
fn transform_back(product: impl Fn(usize) -> F4) -> [F4; 4] {
    let a = |m: [F4; 4]| [m[0] + m[1] + m[2], m[1] - m[2] - m[3]];
    let column = |x: usize| a([product(x), product(4 + x), product(8 + x), product(12 + x)]);
    let down = [column(0), column(1), column(2), column(3)];
    let row = |y: usize| a([down[0][y], down[1][y], down[2][y], down[3][y]]);
    let ([a, b], [c, d]) = (row(0), row(1));
    [a, b, c, d]
}

/// Four rows of `inputs` numbers times `[block][inputs][8]`, into four rows of `blocks × 8`.
#[inline(always)]
fn multiply(rows: &[f32], matrix: &[f32], inputs: usize, blocks: usize, products: &mut [f32]) {
    assert!(
        rows.len() >= 4 * inputs && matrix.len() >= blocks * inputs * BLOCK && products.len() >= 4 * blocks * BLOCK
    );
    for block in 0..blocks {
        // SAFETY: the lengths were just asserted, and no offset below goes past them.
        unsafe {
            let mut weights = matrix.as_ptr().add(block * inputs * BLOCK);
            let mut sums = [[F4::zero(); 2]; 4];
            for input in 0..inputs {
                let (left, right) = (F4::load(weights), F4::load(weights.add(4)));
                for (row, sums) in sums.iter_mut().enumerate() {
                    let value = F4::load_splat(rows.as_ptr().add(row * inputs + input));
                    sums[0] = sums[0].add_product(value, left);
                    sums[1] = sums[1].add_product(value, right);
                }
                weights = weights.add(BLOCK);
            }
            for (row, sums) in sums.iter().enumerate() {
                let to = products.as_mut_ptr().add((row * blocks + block) * BLOCK);
                sums[0].store(to);
                sums[1].store(to.add(4));
            }
        }
    }
}
