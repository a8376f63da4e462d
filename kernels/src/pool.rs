//! Forward with pool: which kernel makes a window's four numbers, and what becomes of them. Bias, ReLU and the 2×2
//! maximum pool are fused into the end of both kernels, so that the map before the pool is never stored.

use std::mem::MaybeUninit;

use crate::simd::{Bits, F4};
use crate::{BLOCK, Bordered, Shape, Weights, thin, winograd};

/// Convolution, bias, ReLU and pool: the output `[image][row][column][output]` and, for each of its numbers, which
/// pixel of the window won (0 1 over 2 3; the first, if their sums come out equal), or 255 where ReLU lets nothing through.
/// A window in which something is infinite or no number gives no number, so that it is seen; so may those around it that
/// are made with it, up to eight.
///
/// # Panics
/// If input, weights or bias are of another shape.
pub fn conv_relu_pool(shape: &Shape, input: &Bordered, weights: &Weights, bias: &[f32]) -> (Vec<f32>, Vec<u8>) {
    weights.check(shape.inputs, shape.outputs, 9);
    assert_eq!(bias.len(), shape.outputs, "the bias is of another shape");
    input.check(shape);
    let len = shape.pooled_len();
    let (mut output, mut winners) = (Vec::with_capacity(len), Vec::with_capacity(len));
    let mut padded = bias.to_vec();
    padded.resize(shape.output_blocks() * BLOCK, 0.0);
    let mut pool = Pool {
        outputs: shape.outputs,
        bias: &padded,
        output: &mut output.spare_capacity_mut()[..len],
        winners: &mut winners.spare_capacity_mut()[..len],
    };
    if input.is_thin() {
        thin::convolve(shape, input, weights, &mut pool);
    } else {
        winograd::convolve(shape, input, weights, &mut pool);
    }
    // SAFETY: both kernels put all channels of each window.
    unsafe {
        output.set_len(len);
        winners.set_len(len);
    }
    (output, winners)
}

/// The end of a kernel: four numbers of each window become one and a byte.
pub(crate) struct Pool<'a> {
    outputs: usize,
    /// Padded to whole blocks.
    bias: &'a [f32],
    /// Not written yet: to fill it with zeros first would cost more than it looks, for nothing of it is in the caches.
    output: &'a mut [MaybeUninit<f32>],
    winners: &'a mut [MaybeUninit<u8>],
}

impl Pool<'_> {
    /// Takes the four numbers of window `window` for the eight channels from `channel` on.
    #[inline(always)]
    pub fn put(&mut self, window: usize, channel: usize, numbers: [[F4; 2]; 4]) {
        let at = window * self.outputs + channel;
        assert!(
            channel + BLOCK <= self.bias.len() && at < self.output.len() && self.output.len() == self.winners.len()
        );
        // SAFETY: it was just asserted that eight floats of the bias lie there.
        let bias = unsafe {
            let bias = self.bias.as_ptr().add(channel);
            [F4::load(bias), F4::load(bias.add(4))]
        };
        let [a, b, c, d] = numbers;
        let left = largest([a[0], b[0], c[0], d[0]], bias[0]);
        let right = largest([a[1], b[1], c[1], d[1]], bias[1]);
        let winner = Bits::to_bytes([left.1, right.1]);
        if channel + BLOCK <= self.outputs && at + BLOCK <= self.output.len() {
            // SAFETY: it was just seen that there is room for eight floats and eight bytes.
            unsafe {
                let to = self.output.as_mut_ptr().add(at).cast::<f32>();
                left.0.store(to);
                right.0.store(to.add(4));
                self.winners.as_mut_ptr().add(at).cast::<[u8; BLOCK]>().write_unaligned(winner);
            }
        } else {
            self.put_some(at, self.outputs - channel, [left.0, right.0].map(F4::to_array).as_flattened(), &winner);
        }
    }

    /// Gives a window what another one before it was given.
    pub fn repeat(&mut self, window: usize, of: usize) {
        let (from, to) = (of * self.outputs, window * self.outputs);
        let (before, output) = self.output.split_at_mut(to);
        copy(&mut output[..self.outputs], &before[from..from + self.outputs]);
        let (before, winners) = self.winners.split_at_mut(to);
        copy(&mut winners[..self.outputs], &before[from..from + self.outputs]);
    }

    /// The last channels, where they are fewer than eight.
    #[cold]
    #[inline(never)]
    fn put_some(&mut self, at: usize, count: usize, output: &[f32], winners: &[u8]) {
        self.output[at..at + count].write_copy_of_slice(&output[..count]);
        self.winners[at..at + count].write_copy_of_slice(&winners[..count]);
    }
}

/// Copies eight at a time: a copy of an unknown length would be a call.
fn copy<T: Copy>(to: &mut [T], from: &[T]) {
    let (blocks, rest) = to.as_chunks_mut::<BLOCK>();
    let (from, from_rest) = from.as_chunks::<BLOCK>();
    blocks.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
    rest.iter_mut().zip(from_rest).for_each(|(to, from)| *to = *from);
}

/// The greatest of a window's four numbers after bias and ReLU, and which it was, or [`crate::OFF`].
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
    // What is set counts as −1.
    let place = Bits::zero().minus(is_right).minus(is_bottom).minus(is_bottom);
    (value.except(off), place.or(off))
}
