//! The register tile of the dense kernels: a few rows times packed weights, summed in registers.
//!
//! Sixteen output channels of two rows are eight sums, and with a vector of weights and each row's number they stay
//! within the sixteen registers of x86-64 and of V8 on it. The eight channels that may be left over are summed for four
//! rows. Four rows by eight channels take as many loads, but each row has an address of its own that moves: V8 makes 31
//! instructions of it where it makes 28 of this, and starting instructions is what a processor spends its time on here.

use crate::BLOCK;
use crate::simd::F4;

/// Output channels of a wide block.
pub const WIDE: usize = 16;

/// Blocks of that many channels, a multiple of eight: where each begins and how many it has, sixteen or the last eight.
/// Weights lie `[block][input][of the block]`, so a block's begin at its first channel times the inputs.
pub fn blocks(channels: usize) -> impl Iterator<Item = (usize, usize)> {
    debug_assert!(channels.is_multiple_of(BLOCK), "whole blocks");
    (0..channels).step_by(WIDE).map(move |first| (first, WIDE.min(channels - first)))
}

/// Adds each row's `count` numbers times the weights `[count][4 × VECTORS]`. By value: what is only passed on stays in
/// registers.
///
/// # Safety
/// So many numbers can be read at each row's beginning, and so many weights.
#[inline(always)]
pub unsafe fn add_products<const ROWS: usize, const VECTORS: usize>(
    mut sums: [[F4; VECTORS]; ROWS],
    rows: [*const f32; ROWS],
    weights: *const f32,
    count: usize,
) -> [[F4; VECTORS]; ROWS] {
    // An array of a known shape: the distances become part of the instructions.
    let mut weights = weights.cast::<[[f32; 4]; VECTORS]>();
    // Counted up to zero, which costs no comparison.
    let ends = rows.map(|row| row.wrapping_add(count));
    let mut left = -(count as isize);
    while left != 0 {
        // SAFETY: as the caller promises.
        unsafe {
            let values: [F4; ROWS] = core::array::from_fn(|row| F4::load_splat(ends[row].offset(left)));
            for v in 0..VECTORS {
                let weight = F4::load((&raw const (*weights)[v]).cast());
                for (sums, value) in sums.iter_mut().zip(values) {
                    sums[v] = sums[v].add_product(value, weight);
                }
            }
            weights = weights.add(1);
        }
        left += 1;
    }
    sums
}
