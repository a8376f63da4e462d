//! Winograd's convolution (Lavin & Gray 2016, arXiv:1509.09308, section 4.1), for [`crate::conv_relu_pool`].
//!
//! A tile's output is `Aᵀ[(G g Gᵀ) ⊙ (Bᵀ d B)]A`, summed over input channels before the last step. For eight tiles at a
//! time the patches are transformed, which leaves a product of an 8×inputs by an inputs×outputs matrix for each term;
//! their results are transformed back. All that lies between stays in the first caches.
//!
//! Along either axis a tile is one pooling window, F(2, 3), or two, F(4, 3): two by two windows are made with 36 products
//! instead of 64, or of the 144 that direct sums take. Windows of an odd last row or column are taken two by one.
//! F(2, 3) is made from four of F(4, 3)'s points, so that one form of the weights serves all tiles.
//!
//! F(4, 3) rounds some four times as coarsely as direct sums do (measured: 2e-7 in outputs of about one), and of equal
//! pixels the first wins only where the sums come out equal: over an even area they do.

use crate::aligned::Aligned;
use crate::pool::Pool;
use crate::simd::F4;
use crate::{BLOCK, Bordered, Shape, Weights};

/// Tiles that are taken at a time.
const TILES: usize = 8;

/// Terms along an axis of the longest tile, and of the weights.
const SIDE: usize = 6;

/// Convolution of the whole batch.
pub(crate) fn convolve(shape: &Shape, input: &Bordered, weights: &Weights, pool: &mut Pool) {
    let (rows, columns) = shape.pooled();
    // Two by two windows; in an odd last column two above each other, in an odd last row two side by side, and the last one.
    let mut lists: [Vec<(usize, usize, usize)>; 4] = Default::default();
    for image in 0..shape.batch {
        for (y, x) in (0..rows).step_by(2).flat_map(|y| (0..columns).step_by(2).map(move |x| (y, x))) {
            lists[2 * usize::from(y + 1 == rows) + usize::from(x + 1 == columns)].push((image, y, x));
        }
    }
    let [fours, tall, wide, ones] = &lists;
    let (channels, outputs) = (input.channels, shape.output_blocks() * BLOCK);
    let mut scratch = Scratch {
        patches: Aligned::zeros(SIDE * SIDE * apart(TILES * channels)),
        products: Aligned::zeros(SIDE * SIDE * apart(TILES * outputs)),
    };
    tiles::<Two, Two>(shape, input, weights, fours, &mut scratch, pool);
    tiles::<Two, One>(shape, input, weights, tall, &mut scratch, pool);
    tiles::<One, Two>(shape, input, weights, wide, &mut scratch, pool);
    tiles::<One, One>(shape, input, weights, ones, &mut scratch, pool);
}

/// What lies between the steps of a few tiles.
struct Scratch {
    /// `[term][tile][input]`
    patches: Aligned,
    /// `[term][tile][output]`
    products: Aligned,
}

/// As many numbers as an axis has, at most.
type Line = [F4; SIDE];

/// One axis of a tile.
trait Axis {
    /// Windows, each of two outputs.
    const WINDOWS: usize;
    /// Which of the weights' terms are multiplied.
    const TERMS: &[usize];
    /// Inputs that are seen, which is as many as there are terms.
    const SIDE: usize = Self::TERMS.len();
    /// `Bᵀ d`
    fn patch(d: Line) -> Line;
    /// `Aᵀ m`
    fn back(m: Line) -> Line;
}

/// F(2, 3), from the points 0, 1, −1, ∞. In the paper its `G g` is 4, −3, −3 and 1 times what [`filter`] gives for these
/// points; here `Aᵀ` has the factors, so that the weights need not.
struct One;

impl Axis for One {
    const WINDOWS: usize = 1;
    const TERMS: &[usize] = &[0, 1, 2, 5];

    #[inline(always)]
    fn patch(d: Line) -> Line {
        line([d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]])
    }

    #[inline(always)]
    fn back(m: Line) -> Line {
        let (four, less_three) = (F4::splat(4.0), F4::splat(-3.0));
        line([(four * m[0]).add_product(m[1] + m[2], less_three), less_three * (m[1] - m[2]) - m[3]])
    }
}

/// F(4, 3), from the points 0, 1, −1, 2, −2, ∞.
struct Two;

impl Axis for Two {
    const WINDOWS: usize = 2;
    const TERMS: &[usize] = &[0, 1, 2, 3, 4, 5];

    #[inline(always)]
    fn patch(d: Line) -> Line {
        let (two, four, less_four) = (F4::splat(2.0), F4::splat(4.0), F4::splat(-4.0));
        // Differences first: over an even area they are zero to the last bit.
        let (even, odd) = (d[4] - d[2], d[3] - d[1]);
        let (near_even, near_odd) = (d[4].add_product(d[2], less_four), d[3].add_product(d[1], less_four));
        let twice = two * odd;
        [
            even.add_product(d[0] - d[2], four),
            near_even + near_odd,
            near_even - near_odd,
            even + twice,
            even - twice,
            (d[5] - d[3]).add_product(odd, less_four),
        ]
    }

    #[inline(always)]
    fn back(m: Line) -> Line {
        let (near_even, near_odd) = (m[1] + m[2], m[1] - m[2]);
        let (far_even, far_odd) = (m[3] + m[4], m[3] - m[4]);
        line([
            m[0] + near_even + far_even,
            near_odd.add_product(far_odd, F4::splat(2.0)),
            near_even.add_product(far_even, F4::splat(4.0)),
            m[5] + near_odd.add_product(far_odd, F4::splat(8.0)),
        ])
    }
}

/// `G g` of F(4, 3), of which [`One`] takes four.
#[inline(always)]
fn filter([a, b, c]: [F4; 3]) -> Line {
    let (sixth, less_sixth) = (F4::splat(1.0 / 6.0), F4::splat(-1.0 / 6.0));
    let (even, odd) = (a * F4::splat(1.0 / 24.0) + c * sixth, b * F4::splat(1.0 / 12.0));
    [a * F4::splat(0.25), less_sixth * (a + b + c), less_sixth * (a - b + c), even + odd, even - odd, c]
}

/// These numbers, and behind them zeros that nobody looks at.
#[inline(always)]
fn line<const LEN: usize>(numbers: [F4; LEN]) -> Line {
    core::array::from_fn(|index| if index < LEN { numbers[index] } else { F4::zero() })
}

/// A transform of both axes: of each column first, then of each row of what that gave.
#[inline(always)]
fn both<V: Axis, H: Axis>(
    vertical: impl Fn(Line) -> Line,
    horizontal: impl Fn(Line) -> Line,
    number: impl Fn(usize, usize) -> F4,
) -> [Line; 6] {
    let column = |x: usize| core::array::from_fn(|y| if y < V::SIDE { number(y, x) } else { F4::zero() });
    let columns: [Line; 6] = core::array::from_fn(|x| if x < H::SIDE { vertical(column(x)) } else { line([]) });
    core::array::from_fn(|y| horizontal(core::array::from_fn(|x| columns[x][y])))
}

/// Floats from a term's matrix of so many to the next one's: a line of the cache more, for matrices that are a power of
/// two apart would all fall on the same few of its sets.
fn apart(floats: usize) -> usize {
    floats + 16
}

/// Tiles of `V` by `H`, each given by its image and the row and column of its first window.
#[cfg_attr(all(feature = "relaxed", target_arch = "wasm32"), target_feature(enable = "relaxed-simd"))]
fn tiles<V: Axis, H: Axis>(
    shape: &Shape,
    input: &Bordered,
    weights: &Weights,
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
    let Scratch { patches, products } = scratch;
    let (rows, columns) = shape.pooled();
    for tiles in tiles.chunks(TILES) {
        for (row, &(image, y, x)) in tiles.iter().enumerate() {
            let patch = input.patch(image, 2 * y, 2 * x);
            transform_patch::<V, H>(input, patch, &mut patches[row * channels..], of_patches);
        }
        let terms = V::TERMS.iter().flat_map(|y| H::TERMS.iter().map(move |x| y * SIDE + x));
        for (term, of_weights) in terms.enumerate() {
            let kernel = &kernels[of_weights * of_kernels..][..of_kernels];
            for row in (0..tiles.len()).step_by(4) {
                let patches = &patches[term * of_patches + row * channels..][..4 * channels];
                let products = &mut products[term * of_products + row * outputs..][..4 * outputs];
                multiply(patches, kernel, channels, shape.output_blocks(), products);
            }
        }
        for (row, &(image, y, x)) in tiles.iter().enumerate() {
            let window = (image * rows + y) * columns + x;
            for channel in (0..outputs).step_by(BLOCK) {
                let products = &products[row * outputs + channel..];
                let left = transform_back::<V, H>(products, of_products);
                let right = transform_back::<V, H>(&products[4..], of_products);
                let number = |y: usize, x: usize| [left[y][x], right[y][x]];
                for (y, x) in (0..V::WINDOWS).flat_map(|y| (0..H::WINDOWS).map(move |x| (y, x))) {
                    let (top, left) = (2 * y, 2 * x);
                    let (bottom, right) = (top + 1, left + 1);
                    let numbers = [(top, left), (top, right), (bottom, left), (bottom, right)];
                    pool.put(window + y * columns + x, channel, numbers.map(|(y, x)| number(y, x)));
                }
            }
        }
    }
}

/// `G g Gᵀ` of each filter: `[term][block][input][8 outputs]`, `apart` floats from a term to the next. Eight outputs at
/// a time, so that what is written lies together.
fn transform_weights(shape: &Shape, channels: usize, weights: &[f32], apart: usize) -> Aligned {
    let mut kernels = Aligned::zeros(SIDE * SIDE * apart);
    for (block, input) in
        (0..shape.output_blocks()).flat_map(|block| (0..shape.inputs).map(move |input| (block, input)))
    {
        for lanes in [0, 4] {
            // Behind the last output it is done once more; nobody asks for what comes of that.
            let filters: [&[f32; 9]; 4] = core::array::from_fn(|lane| {
                let output = (block * BLOCK + lanes + lane).min(shape.outputs - 1);
                &weights.as_chunks::<9>().0[output * shape.inputs + input]
            });
            let tap = |tap: usize| F4::of([filters[0][tap], filters[1][tap], filters[2][tap], filters[3][tap]]);
            let column = |x: usize| filter([tap(x), tap(3 + x), tap(6 + x)]);
            let (left, middle, right) = (column(0), column(1), column(2));
            for (y, ((left, middle), right)) in left.into_iter().zip(middle).zip(right).enumerate() {
                for (x, value) in filter([left, middle, right]).into_iter().enumerate() {
                    let at = (y * SIDE + x) * apart + (block * channels + input) * BLOCK + lanes;
                    // SAFETY: four of a block's eight floats.
                    unsafe { value.store(kernels[at..at + 4].as_mut_ptr()) };
                }
            }
        }
    }
    kernels
}

/// `Bᵀ d B` of the patch at `patch`: each term's channels into its matrix, `apart` floats from one to the next.
#[inline(always)]
fn transform_patch<V: Axis, H: Axis>(input: &Bordered, patch: usize, to: &mut [f32], apart: usize) {
    let channels = input.channels;
    let from = &input.data[patch..patch + (V::SIDE - 1) * input.row + H::SIDE * channels];
    assert!(to.len() >= (V::SIDE * H::SIDE - 1) * apart + channels, "a row of each term's matrix");
    for channel in (0..channels).step_by(4) {
        // SAFETY: `from` holds as many rows and pixels of `channels` floats, a multiple of four; `to` holds so many of each
        // term's matrix, which was just asserted.
        unsafe {
            let terms = both::<V, H>(V::patch, H::patch, |y, x| {
                F4::load(from.as_ptr().add(y * input.row + x * channels + channel))
            });
            for (y, row) in terms.into_iter().enumerate().take(V::SIDE) {
                for (x, value) in row.into_iter().enumerate().take(H::SIDE) {
                    value.store(to.as_mut_ptr().add((y * H::SIDE + x) * apart + channel));
                }
            }
        }
    }
}

/// `Aᵀ m A`: four channels of a tile's outputs, row by row, from its products, `apart` floats from a term to the next.
#[inline(always)]
fn transform_back<V: Axis, H: Axis>(products: &[f32], apart: usize) -> [Line; 6] {
    assert!(products.len() >= (V::SIDE * H::SIDE - 1) * apart + 4, "four channels of each term");
    // SAFETY: it was just asserted that they are there.
    let product = |y: usize, x: usize| unsafe { F4::load(products.as_ptr().add((y * H::SIDE + x) * apart)) };
    both::<V, H>(V::back, H::back, product)
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
