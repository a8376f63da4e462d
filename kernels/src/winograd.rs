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

use crate::simd::F4;
use crate::{BLOCK, Bordered, OFF, Shape};

/// Tiles that are taken at a time.
const TILES: usize = 8;

/// Convolution, bias, ReLU and pool: the output `[image][row][column][output]` and, for each of its numbers, which
/// pixel of the window won (0 1 over 2 3; the first of equals), or [`OFF`] where ReLU lets nothing through. What is no
/// number wins and is kept.
///
/// # Panics
/// If weights or bias are of another shape.
pub fn conv_relu_pool(shape: &Shape, input: &Bordered, weights: &[f32], bias: &[f32]) -> (Vec<f32>, Vec<u8>) {
    assert_eq!(weights.len(), shape.weights_len(), "the weights are of another shape");
    assert_eq!(bias.len(), shape.outputs, "the bias is of another shape");
    let mut output = vec![0.0; shape.pooled_len()];
    let mut winners = vec![OFF; shape.pooled_len()];
    let mut padded = bias.to_vec();
    padded.resize(shape.output_blocks() * BLOCK, 0.0);
    let pool = Pool { shape, bias: &padded, output: &mut output, winners: &mut winners };
    if input.is_thin() {
        thin(shape, input, weights, pool);
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
    /// Takes the four numbers of window `window` for the four channels from `channel` on.
    #[inline(always)]
    fn put(&mut self, window: usize, channel: usize, numbers: [F4; 4]) {
        let mut best = numbers[0];
        let mut winner = F4::zero();
        for (place, &number) in numbers.iter().enumerate().skip(1) {
            let wins = number.wins_over(best);
            best = F4::choose(wins, number, best);
            winner = F4::choose(wins, F4::splat(place as f32), winner);
        }
        // SAFETY: the bias is padded to whole blocks.
        let value = best + unsafe { F4::load(self.bias[channel..channel + 4].as_ptr()) };
        let off = value.at_most(F4::zero());
        let value = F4::choose(off, F4::zero(), value);
        let winner = F4::choose(off, F4::splat(f32::from(OFF)), winner);
        let (value, winner) = (value.to_array(), winner.to_bytes());
        let count = self.shape.outputs.saturating_sub(channel).min(4);
        let at = window * self.shape.outputs + channel;
        if count == 4 {
            self.output[at..at + 4].copy_from_slice(&value);
            self.winners[at..at + 4].copy_from_slice(&winner);
        } else if count > 0 {
            self.output[at..at + count].copy_from_slice(&value[..count]);
            self.winners[at..at + count].copy_from_slice(&winner[..count]);
        }
    }
}

/// The window's four pixels are the rows; its taps, a filter row after the other, are summed.
fn thin(shape: &Shape, input: &Bordered, weights: &[f32], mut pool: Pool) {
    let run = 3 * input.channels; // floats of a filter's row
    let packed = pack_thin(shape, weights);
    let (rows, columns) = shape.pooled();
    for window in 0..shape.windows() {
        let (image, y, x) = (window / (rows * columns), window / columns % rows, window % columns);
        let patch = input.patch(image, 2 * y, 2 * x);
        let patch = &input.data[patch..patch + 3 * input.row + input.channels + run];
        let starts = [0, input.channels, input.row, input.row + input.channels];
        for block in 0..shape.output_blocks() {
            let mut sums = [[F4::zero(); 2]; 4];
            let mut from = packed[block * 3 * run * BLOCK..(block + 1) * 3 * run * BLOCK].as_ptr();
            for tap_row in 0..3 {
                for tap in 0..run {
                    // SAFETY: the slices above hold all that the offsets below reach: three rows of `run` weights a
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
            for half in 0..2 {
                pool.put(window, block * BLOCK + half * 4, sums.map(|sums| sums[half]));
            }
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
            for channel in (0..blocks * BLOCK).step_by(4) {
                let product = |term: usize| {
                    let at = (term * TILES + tile) * blocks * BLOCK + channel;
                    // SAFETY: the slice has four floats.
                    unsafe { F4::load(products[at..at + 4].as_ptr()) }
                };
                pool.put(start + tile, channel, transform_back(product));
            }
        }
    }
}

/// `G g Gᵀ` of each filter: `[16 terms][block][input][8 outputs]`.
fn transform_weights(shape: &Shape, channels: usize, weights: &[f32]) -> Vec<f32> {
    let blocks = shape.output_blocks();
    let mut kernels = vec![0.0; 16 * blocks * channels * BLOCK];
    // G·(a, b, c)
    let g = |a: f32, b: f32, c: f32| [a, 0.5 * (a + b + c), 0.5 * (a - b + c), c];
    for output in 0..shape.outputs {
        for input in 0..shape.inputs {
            let filter = &weights[(output * shape.inputs + input) * 9..][..9];
            let down: [[f32; 4]; 3] = core::array::from_fn(|x| g(filter[x], filter[3 + x], filter[6 + x]));
            let [left, middle, right] = down;
            for (y, ((left, middle), right)) in left.into_iter().zip(middle).zip(right).enumerate() {
                for (x, value) in g(left, middle, right).into_iter().enumerate() {
                    let at = (((y * 4 + x) * blocks + output / BLOCK) * channels + input) * BLOCK + output % BLOCK;
                    kernels[at] = value;
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
            let down: [[F4; 4]; 4] = core::array::from_fn(|x| b(core::array::from_fn(|y| load(y, x))));
            for (y, row) in transposed(down).into_iter().enumerate() {
                for (x, value) in b(row).into_iter().enumerate() {
                    value.store(to.as_mut_ptr().add((y * 4 + x) * TILES * channels + channel));
                }
            }
        }
    }
}

/// Columns as rows.
#[inline(always)]
fn transposed(columns: [[F4; 4]; 4]) -> [[F4; 4]; 4] {
    core::array::from_fn(|y| core::array::from_fn(|x| columns[x][y]))
}

/// `Aᵀ m A`: the window's four numbers from its sixteen products.
#[inline(always)]
fn transform_back(product: impl Fn(usize) -> F4) -> [F4; 4] {
    let a = |m: [F4; 4]| [m[0] + m[1] + m[2], m[1] - m[2] - m[3]];
    let down: [[F4; 2]; 4] = core::array::from_fn(|x| a(core::array::from_fn(|y| product(y * 4 + x))));
    let [top, bottom] = [0, 1].map(|y| a(core::array::from_fn(|x| down[x][y])));
    [top[0], top[1], bottom[0], bottom[1]]
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
