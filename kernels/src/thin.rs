//! Forward with pool for fewer than four input channels (the image itself): there is too little to transform, so the
//! window's four pixels are the rows of the register tile and the filter's taps are summed directly. All windows that see
//! nothing but zeros are equal, so one of them is summed: six in ten of a drawn digit's.

use std::hint::black_box;

use crate::aligned::Aligned;
use crate::pool::Pool;
use crate::simd::F4;
use crate::{BLOCK, Bordered, Shape, Weights};

/// All windows of the batch, for [`crate::conv_relu_pool`].
pub(crate) fn convolve(shape: &Shape, input: &Bordered, weights: &Weights, pool: &mut Pool) {
    // Of a known number of taps, the loop over them leaves nothing but arithmetic.
    match input.channels {
        1 => sum::<3>(shape, input, weights, pool),
        2 => sum::<6>(shape, input, weights, pool),
        _ => sum::<9>(shape, input, weights, pool),
    }
}

/// The window's four pixels are the rows; its taps, a filter row of `RUN` floats after the other, are summed.
#[cfg_attr(all(feature = "relaxed", target_arch = "wasm32"), target_feature(enable = "relaxed-simd"))]
fn sum<const RUN: usize>(shape: &Shape, input: &Bordered, weights: &Weights, pool: &mut Pool) {
    assert_eq!(RUN, 3 * input.channels, "a filter's row");
    let packed = weights.thin.get_or_init(|| pack(shape, weights));
    let (rows, columns) = shape.pooled();
    // Not told to the compiler: it would lay out all taps one after the other, more than V8 has registers for.
    let filter_rows = black_box(3);
    let mut blank = None;
    let places = (0..shape.batch * rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
    for (window, (row, column)) in places.enumerate() {
        let patch = input.patch(row / rows, 2 * (row % rows), 2 * column);
        if input.is_blank(window) {
            match blank {
                Some(first) => {
                    pool.repeat(window, first);
                    continue;
                }
                None => blank = Some(window),
            }
        }
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
fn pack(shape: &Shape, weights: &[f32]) -> Aligned {
    let mut packed = Aligned::zeros(shape.output_blocks() * 9 * shape.inputs * BLOCK);
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
