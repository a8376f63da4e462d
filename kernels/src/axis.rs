//! The transforms of [`crate::winograd`] along one axis. A tile of one, two or three windows is F(2, 3), F(4, 3) or
//! F(6, 3): the product of a polynomial of the filter and one of the outputs is put together from what both are at a few
//! points (Toom and Cook), and transposed, so that it is a convolution.
//!
//! - F(2, 3) takes the points 0, 1, −1 and ∞.
//! - F(4, 3) takes 2 and −1/2 besides. With −2 in place of −1/2, as in Lavin & Gray, the corners of a tile round three times
//!   as coarsely.
//! - F(6, 3) takes the remainders by x² + 1 besides, two numbers each, which three products multiply (Barabasz & Gregg
//!   2019, arXiv:1905.05233). Two more points instead would be a term less, and six times as coarse.
//!
//! So the terms of a shorter tile are the first ones of a longer, and one form of the weights serves all. `G` has what
//! F(6, 3) divides by; what the shorter ones divide by otherwise is in their `Aᵀ`.
//!
//! `Bᵀ` works with differences of pixels two apart: over an even area they are zero to the last bit, and so are all terms
//! but that of the point 1.

use std::hint::black_box;

use crate::simd::F4;

/// Terms along an axis of the longest tile, and of the weights.
pub const SIDE: usize = 9;

/// Terms along an axis of a tile of one, two or three windows: the first ones of the weights'.
pub fn terms(windows: usize) -> usize {
    [4, 6, SIDE][windows - 1]
}

/// Inputs that such a tile sees along the axis.
pub fn seen(windows: usize) -> usize {
    2 * windows + 2
}

/// Where numbers lie that are transformed along an axis, four channels each: how far it is from a line to the next, and
/// from a number of a line to the next, in floats.
#[derive(Clone, Copy)]
pub struct Lines<P> {
    pub start: P,
    pub line: usize,
    pub number: usize,
}

/// What the transforms multiply by. Numbers, not constants: V8 makes a constant vector anew wherever it is used, in three
/// instructions each time.
#[derive(Debug)]
pub struct Factors {
    half: F4,
    five_quarters: F4,
    three_halves: F4,
    three: F4,
    five: F4,
    seven: F4,
}

impl Factors {
    #[inline(always)]
    pub fn new() -> Self {
        let numbers = black_box([0.5, 1.25, 1.5, 3.0, 5.0, 7.0]);
        let [half, five_quarters, three_halves, three, five, seven] = numbers.map(F4::splat);
        Self { half, five_quarters, three_halves, three, five, seven }
    }
}

/// `Bᵀ d` of so many lines.
///
/// # Safety
/// All numbers that are read and written lie in what `from` and `to` are of.
#[inline(always)]
pub unsafe fn patch(by: &Factors, windows: usize, lines: usize, from: Lines<*const f32>, to: Lines<*mut f32>) {
    // SAFETY: as the caller promises.
    unsafe {
        match windows {
            1 => each(lines, patch_of_one, from, to),
            2 => each(lines, |numbers| patch_of_two(by, numbers), from, to),
            _ => each(lines, |numbers| patch_of_three(by, numbers), from, to),
        }
    }
}

/// `Aᵀ m` of so many lines.
///
/// # Safety
/// As for [`patch`].
#[inline(always)]
pub unsafe fn back(by: &Factors, windows: usize, lines: usize, from: Lines<*const f32>, to: Lines<*mut f32>) {
    // SAFETY: as the caller promises.
    unsafe {
        match windows {
            1 => each(lines, |numbers| back_of_one(by, numbers), from, to),
            2 => each(lines, |numbers| back_of_two(by, numbers), from, to),
            _ => each(lines, |numbers| back_of_three(by, numbers), from, to),
        }
    }
}

/// Transforms each line.
///
/// # Safety
/// As for [`patch`].
#[inline(always)]
unsafe fn each<const FROM: usize, const TO: usize>(
    lines: usize,
    transform: impl Fn([F4; FROM]) -> [F4; TO],
    mut from: Lines<*const f32>,
    mut to: Lines<*mut f32>,
) {
    for _ in 0..lines {
        // SAFETY: as the caller promises. An address behind the last one is not read.
        unsafe {
            let mut at = from.start;
            let numbers = core::array::from_fn(|_| {
                let number = F4::load(at);
                at = at.wrapping_add(from.number);
                number
            });
            let mut at = to.start;
            for number in transform(numbers) {
                number.store(at);
                at = at.wrapping_add(to.number);
            }
        }
        from.start = from.start.wrapping_add(from.line);
        to.start = to.start.wrapping_add(to.line);
    }
}

/// F(2, 3).
#[inline(always)]
fn patch_of_one(d: [F4; 4]) -> [F4; 4] {
    [d[0] - d[2], d[1] + d[2], d[2] - d[1], d[3] - d[1]]
}

/// F(4, 3).
#[inline(always)]
fn patch_of_two(by: &Factors, d: [F4; 6]) -> [F4; 6] {
    let fall: [F4; 4] = core::array::from_fn(|at| d[at] - d[at + 2]);
    let left = fall[1].add_product(d[2], by.three_halves);
    let right = fall[2].add_product(d[3], by.three_halves);
    [
        (fall[0] - fall[2]).add_product(fall[1], by.three_halves),
        left + right,
        left - right,
        (fall[1] - fall[3]).add_product(fall[2], by.three_halves),
        fall[2].add_product(fall[1], by.half),
        fall[2] - (fall[1] + fall[1]),
    ]
}

/// F(6, 3).
#[inline(always)]
fn patch_of_three(by: &Factors, d: [F4; 8]) -> [F4; 9] {
    let fall: [F4; 6] = core::array::from_fn(|at| d[at] - d[at + 2]);
    let (odd, even) = (fall[1] + fall[3], fall[2] + fall[4]);
    let left = odd.add_product(d[2] + d[4], by.three_halves);
    let right = even.add_product(d[3] + d[5], by.three_halves);
    let real = (fall[1] - fall[3]).add_product(fall[2], by.three_halves);
    let imaginary = (fall[2] - fall[4]).add_product(fall[3], by.three_halves);
    let (first, second) = (imaginary.add_product(real, by.seven), real - by.seven * imaginary);
    [
        (fall[0] - fall[4]).add_product(odd, by.three_halves),
        left + right,
        left - right,
        (fall[1] - fall[5]).add_product(even, by.three_halves),
        even.add_product(odd, by.half),
        even - (odd + odd),
        first,
        second,
        by.half * (first + second),
    ]
}

/// F(2, 3).
#[inline(always)]
fn back_of_one(by: &Factors, m: [F4; 4]) -> [F4; 2] {
    [m[0].add_product(m[1] + m[2], by.three), m[3].add_product(m[1] - m[2], by.three)]
}

/// F(4, 3).
#[inline(always)]
fn back_of_two(by: &Factors, m: [F4; 6]) -> [F4; 4] {
    let (even, odd) = (m[1] + m[2], m[1] - m[2]);
    let (even, odd) = (even + even, odd + odd);
    // At the points 2 and −1/2: their terms times powers of the points.
    let far: [F4; 4] = powers(by, by.five * m[4], by.five_quarters * m[5]);
    [m[0] + even + far[0], odd + far[1], even + far[2], odd + far[3] + m[3]]
}

/// F(6, 3).
#[inline(always)]
fn back_of_three(by: &Factors, m: [F4; 9]) -> [F4; 6] {
    let (even, odd) = (m[1] + m[2], m[1] - m[2]);
    let (real, imaginary) = (m[6] + m[8], m[7] + m[8]);
    let far: [F4; 6] = powers(by, m[4], m[5]);
    [
        m[0] + (even + real) + far[0],
        (odd + imaginary) + far[1],
        (even - real) + far[2],
        (odd - imaginary) + far[3],
        (even + real) + far[4],
        (odd + imaginary) + far[5] + m[3],
    ]
}

/// `2ⁿ a + (−1/2)ⁿ b`, from n = 0 on.
#[inline(always)]
fn powers<const COUNT: usize>(by: &Factors, mut a: F4, mut b: F4) -> [F4; COUNT] {
    core::array::from_fn(|n| {
        let sum = if n % 2 == 0 { a + b } else { a - b };
        (a, b) = (a + a, by.half * b);
        sum
    })
}

/// `G g`: what all tiles' weights are made of.
#[inline(always)]
pub fn filter([a, b, c]: [F4; 3]) -> [F4; SIDE] {
    let f = F4::splat;
    let sixth = f(1.0 / 6.0) * (a + c);
    let (real, imaginary) = (f(1.0 / 25.0) * (c - a), f(-1.0 / 25.0) * b);
    [
        a,
        sixth.add_product(b, f(1.0 / 6.0)),
        sixth.add_product(b, f(-1.0 / 6.0)),
        c,
        (f(-1.0 / 75.0) * a).add_product(b, f(-2.0 / 75.0)).add_product(c, f(-4.0 / 75.0)),
        (f(64.0 / 75.0) * a).add_product(b, f(-32.0 / 75.0)).add_product(c, f(16.0 / 75.0)),
        real,
        imaginary,
        f(-1.0) * (real + imaginary),
    ]
}
