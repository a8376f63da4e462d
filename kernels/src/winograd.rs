//! Winograd's convolution (Lavin & Gray 2016, arXiv:1509.09308, section 4.1), for [`crate::conv_relu_pool`].
//!
//! A tile's output is `Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A`, summed over input channels before the last step. For eight tiles at a
//! time the patches are transformed, which leaves a product of an 8×inputs by an inputs×outputs matrix for each term;
//! their results are transformed back. All that lies between stays in the first caches.
//!
//! Along either axis a tile is one pooling window, two or three ([`crate::axis`]): three by three windows are made with
//! 81 products instead of the 324 that direct sums take, two by two with 36 instead of 144.
//!
//! It rounds a few times as coarsely as direct sums do (measured, of 64 channels: 3e-7 in the mean and 4e-6 at most, in
//! outputs of about one), and of equal pixels the first wins only where the sums come out equal: over an even area they do.

use crate::aligned::Aligned;
use crate::axis::{self, Factors, Lines, SIDE, filter, seen, terms};
use crate::pool::Pool;
use crate::product::{WIDE, add_products, blocks};
use crate::simd::F4;
use crate::{BLOCK, Bordered, Shape, Weights};

/// Tiles that are taken at a time.
const TILES: usize = 8;

/// Convolution of the whole batch.
pub(crate) fn convolve(shape: &Shape, input: &Bordered, weights: &Weights, pool: &mut Pool) {
    let (rows, columns) = shape.pooled();
    let (channels, outputs) = (input.channels, shape.output_blocks() * BLOCK);
    let mut scratch = Scratch {
        transform: Transform { by: Factors::new(), between: [[[0.0; 4]; SIDE]; SIDE] },
        patches: Aligned::zeros(SIDE * SIDE * apart(TILES * channels)),
        products: Aligned::zeros(SIDE * SIDE * apart(TILES * outputs)),
    };
    // All tiles of a size after each other.
    for size in (1..=3).flat_map(|height| (1..=3).map(move |width| [height, width])) {
        let [height, width] = size;
        let of_image =
            |image| begins(rows, height).flat_map(move |y| begins(columns, width).map(move |x| (image, y, x)));
        let list: Vec<_> = (0..shape.batch).flat_map(of_image).collect();
        tiles(shape, input, weights, size, &list, &mut scratch, pool);
    }
}

/// Along an axis of so many windows: where the tiles of that many begin.
fn begins(windows: usize, of: usize) -> impl Iterator<Item = usize> {
    let tiles = core::iter::successors(Some(0), move |at| Some(at + tile(windows - at)));
    tiles.take_while(move |&at| at < windows).filter(move |at| tile(windows - at) == of)
}

/// How many of the windows that are left the next tile takes: three, which costs least for each, or two where three would
/// leave a single one.
fn tile(left: usize) -> usize {
    match left {
        0..=2 => left,
        4 => 2,
        _ => 3,
    }
}

/// What lies between the steps of a few tiles.
struct Scratch {
    transform: Transform,
    /// `[term][tile][input]`
    patches: Aligned,
    /// `[term][tile][output]`
    products: Aligned,
}

/// Floats from a term's matrix of so many to the next one's: a line of the cache more, for matrices that are a power of
/// two apart would all fall on the same few of its sets.
fn apart(floats: usize) -> usize {
    floats + 16
}

/// Tiles of so many windows, each given by its image and the row and column of its first one.
#[cfg_attr(all(feature = "relaxed", target_arch = "wasm32"), target_feature(enable = "relaxed-simd"))]
fn tiles(
    shape: &Shape,
    input: &Bordered,
    weights: &Weights,
    size: [usize; 2],
    tiles: &[(usize, usize, usize)],
    scratch: &mut Scratch,
    pool: &mut Pool,
) {
    if tiles.is_empty() {
        return;
    }
    let (channels, outputs) = (input.channels, shape.output_blocks() * BLOCK);
    let (of_kernels, of_patches, of_products) =
        (apart(channels * outputs), apart(TILES * channels), apart(TILES * outputs));
    let kernels = weights.winograd.get_or_init(|| transform_weights(shape, channels, weights, of_kernels));
    let Scratch { transform, patches, products } = scratch;
    let (rows, columns) = shape.pooled();
    // Of eight channels, four by four: a tile writes all that it reads of it.
    let mut halves = [[[[0.0; 4]; OUTPUTS]; OUTPUTS]; 2];
    for tiles in tiles.chunks(TILES) {
        for (tile, &(image, y, x)) in tiles.iter().enumerate() {
            let patch = input.patch(image, 2 * y, 2 * x);
            transform.patch(size, input, patch, &mut patches[tile * channels..], of_patches);
        }
        let (height, width) = (terms(size[0]), terms(size[1]));
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            let kernel = &kernels[(y * SIDE + x) * of_kernels..][..of_kernels];
            let patches = &patches[(y * width + x) * of_patches..][..of_patches];
            let products = &mut products[(y * width + x) * of_products..][..of_products];
            multiply(patches, kernel, tiles.len(), channels, outputs, products);
        }
        for (tile, &(image, y, x)) in tiles.iter().enumerate() {
            let window = (image * rows + y) * columns + x;
            for channel in (0..outputs).step_by(BLOCK) {
                let products = &products[tile * outputs + channel..];
                for (half, numbers) in halves.iter_mut().enumerate() {
                    transform.back(size, &products[4 * half..], of_products, numbers);
                }
                for y in 0..size[0] {
                    for x in 0..size[1] {
                        let numbers = [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(down, right)| {
                            // SAFETY: four floats.
                            halves
                                .each_ref()
                                .map(|half| unsafe { F4::load(half[2 * y + down][2 * x + right].as_ptr()) })
                        });
                        pool.put(window + y * columns + x, channel, numbers);
                    }
                }
            }
        }
    }
}

/// `G g Gᵀ` of each filter: for each term weights as in [`crate::product`], `apart` floats from a term to the next.
fn transform_weights(shape: &Shape, channels: usize, weights: &[f32], apart: usize) -> Aligned {
    let outputs = shape.output_blocks() * BLOCK;
    let filters = weights.as_chunks::<9>().0;
    let mut kernels = Aligned::zeros(SIDE * SIDE * apart);
    for (first, width) in blocks(outputs) {
        for (input, lanes) in (0..shape.inputs).flat_map(|input| (0..width).step_by(4).map(move |lanes| (input, lanes)))
        {
            // Behind the last output it is done once more; nobody asks for what comes of that.
            let of_lanes: [&[f32; 9]; 4] = core::array::from_fn(|lane| {
                &filters[(first + lanes + lane).min(shape.outputs - 1) * shape.inputs + input]
            });
            let tap = |tap: usize| F4::of(of_lanes.map(|filter| filter[tap]));
            let columns = [0, 1, 2].map(|x| filter([tap(x), tap(3 + x), tap(6 + x)]));
            for y in 0..SIDE {
                for (x, value) in filter(columns.map(|column| column[y])).into_iter().enumerate() {
                    let at = (y * SIDE + x) * apart + first * channels + input * width + lanes;
                    // SAFETY: four floats.
                    unsafe { value.store(kernels[at..at + 4].as_mut_ptr()) };
                }
            }
        }
    }
    kernels
}

/// The transforms of both axes: of each column first, then of each row of what that gave.
struct Transform {
    by: Factors,
    /// What the first one writes, column by column, of four channels each.
    between: [[[f32; 4]; SIDE]; SIDE],
}

/// Outputs along an axis of the longest tile.
const OUTPUTS: usize = 6;

impl Transform {
    /// `Bᵀ d B` of the patch at `patch`, seen by a tile of so many windows: each term's channels into its matrix, `apart`
    /// floats from one to the next.
    #[cfg_attr(all(feature = "relaxed", target_arch = "wasm32"), target_feature(enable = "relaxed-simd"))]
    #[inline(never)] // so that V8 has all registers for its loops
    fn patch(&mut self, size: [usize; 2], input: &Bordered, patch: usize, to: &mut [f32], apart: usize) {
        let ([height, width], channels) = (size, input.channels);
        let from = &input.data[patch..patch + (seen(height) - 1) * input.row + seen(width) * channels];
        let (rows, columns) = (terms(height), terms(width));
        assert!(to.len() >= (rows * columns - 1) * apart + channels, "a row of each term's matrix");
        for channel in (0..channels).step_by(4) {
            // SAFETY: `from` holds as many rows and pixels of `channels` floats, a multiple of four; `to` as many channels of
            // each term's matrix, which was just asserted; and `between` all that a tile has.
            unsafe {
                let from = Lines { start: from.as_ptr().add(channel), line: channels, number: input.row };
                axis::patch(&self.by, height, seen(width), from, columns_of(&mut self.between));
                let to = Lines { start: to.as_mut_ptr().add(channel), line: columns * apart, number: apart };
                axis::patch(&self.by, width, rows, rows_of(&self.between), to);
            }
        }
    }

    /// `Aᵀ m A`: four channels of a tile's outputs from its products, `apart` floats from a term to the next.
    #[cfg_attr(all(feature = "relaxed", target_arch = "wasm32"), target_feature(enable = "relaxed-simd"))]
    #[inline(never)]
    fn back(&mut self, size: [usize; 2], products: &[f32], apart: usize, to: &mut [[[f32; 4]; OUTPUTS]; OUTPUTS]) {
        let [height, width] = size;
        let (rows, columns) = (terms(height), terms(width));
        assert!(products.len() >= (rows * columns - 1) * apart + 4, "four channels of each term");
        // SAFETY: it was just asserted that they are there; `between` and `to` hold all that a tile has.
        unsafe {
            let from = Lines { start: products.as_ptr(), line: apart, number: columns * apart };
            axis::back(&self.by, height, columns, from, columns_of(&mut self.between));
            let to = Lines { start: to.as_mut_ptr().cast(), line: OUTPUTS * 4, number: 4 };
            axis::back(&self.by, width, 2 * height, rows_of(&self.between), to);
        }
    }
}

fn columns_of(between: &mut [[[f32; 4]; SIDE]; SIDE]) -> Lines<*mut f32> {
    Lines { start: between.as_mut_ptr().cast(), line: SIDE * 4, number: 4 }
}

fn rows_of(between: &[[[f32; 4]; SIDE]; SIDE]) -> Lines<*const f32> {
    Lines { start: between.as_ptr().cast(), line: 4, number: SIDE * 4 }
}

/// `[tile][inputs]` of so many tiles times weights as in [`crate::product`], into `[tile][outputs]`.
#[cfg_attr(all(feature = "relaxed", target_arch = "wasm32"), target_feature(enable = "relaxed-simd"))]
#[inline(never)] // as above, and V8 unrolls its loops
fn multiply(patches: &[f32], weights: &[f32], tiles: usize, inputs: usize, outputs: usize, products: &mut [f32]) {
    assert!(tiles <= TILES && patches.len() >= TILES * inputs, "no tile behind the last few");
    assert!(weights.len() >= outputs * inputs && products.len() >= TILES * outputs, "as many outputs");
    for (first, channels) in blocks(outputs) {
        // SAFETY: the lengths were just asserted; tiles are taken two or four at a time, of which eight is a multiple.
        unsafe {
            let (weights, products) = (weights.as_ptr().add(first * inputs), products.as_mut_ptr().add(first));
            if channels == WIDE {
                multiply_block::<2, 4>(patches, weights, tiles, inputs, outputs, products);
            } else {
                multiply_block::<4, 2>(patches, weights, tiles, inputs, outputs, products);
            }
        }
    }
}

/// A block of `4 × VECTORS` outputs for `ROWS` tiles at a time.
///
/// # Safety
/// There are so many tiles, rounded up to whole `ROWS`, so many weights, and as much room from `products` on.
#[inline(always)]
unsafe fn multiply_block<const ROWS: usize, const VECTORS: usize>(
    patches: &[f32],
    weights: *const f32,
    tiles: usize,
    inputs: usize,
    outputs: usize,
    products: *mut f32,
) {
    for tile in (0..tiles).step_by(ROWS) {
        // SAFETY: as the caller promises.
        unsafe {
            let rows = core::array::from_fn(|row| patches.as_ptr().add((tile + row) * inputs));
            let sums = add_products::<ROWS, VECTORS>([[F4::zero(); VECTORS]; ROWS], rows, weights, inputs);
            for (row, sums) in sums.into_iter().enumerate() {
                for (v, sum) in sums.into_iter().enumerate() {
                    sum.store(products.add((tile + row) * outputs + 4 * v));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_take_each_window_once_and_one_alone_only_where_it_is() {
        for windows in 0..40 {
            let mut taken = vec![0; windows];
            for of in 1..=3 {
                begins(windows, of).for_each(|at| taken[at..at + of].iter_mut().for_each(|times| *times += 1));
            }
            assert_eq!(taken, vec![1; windows]);
            assert_eq!(begins(windows, 1).count(), usize::from(windows == 1), "{windows}");
        }
    }
}
