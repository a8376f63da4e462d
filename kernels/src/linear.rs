//! Dense layers, and softmax with cross-entropy behind the last one. Rows are images; weights lie `[input][output]`, as
//! burn has them. A dense layer is a convolution of one pixel and one tap, and is summed as one ([`crate::dense`]).

use crate::dense::{Gradients, Rows, before_relu, convolve, pack, relu, weight_gradient};
use crate::{BLOCK, Shape, Weights};

/// A dense layer over rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Linear {
    /// Images.
    pub rows: usize,
    /// Numbers that a row has.
    pub inputs: usize,
    /// Numbers that come out of it.
    pub outputs: usize,
}

impl Linear {
    fn pixel(&self) -> Shape {
        Shape { batch: self.rows, height: 1, width: 1, inputs: self.inputs, outputs: self.outputs }
    }

    fn check(&self, input: &[f32], weights: &Weights) {
        assert_eq!(input.len(), self.rows * self.inputs, "the input is of another shape");
        weights.check(self.inputs, self.outputs, 1);
    }
}

/// Input `[row][input]`, weights `[input][output]` and bias `[output]` to `[row][output]`.
///
/// # Panics
/// If input, weights or bias are of another shape.
pub fn linear(shape: &Linear, input: &[f32], weights: &Weights, bias: &[f32]) -> Vec<f32> {
    shape.check(input, weights);
    let Linear { inputs, outputs, .. } = *shape;
    assert_eq!(bias.len(), outputs, "the bias is of another shape");
    let packed = weights.forward.get_or_init(|| pack(1, [inputs, outputs], weights, [outputs, 1], false));
    let mut start = bias.to_vec();
    start.resize(outputs.next_multiple_of(BLOCK), 0.0);
    let rows = Rows { values: input, stride: inputs, len: inputs };
    convolve(&shape.pixel(), 1, rows, packed, &start, outputs)
}

/// [`linear`] with ReLU. What is no number stays so.
///
/// # Panics
/// If input, weights or bias are of another shape.
pub fn linear_relu(shape: &Linear, input: &[f32], weights: &Weights, bias: &[f32]) -> Vec<f32> {
    let mut output = linear(shape, input, weights, bias);
    relu(&mut output);
    output
}

/// Gradients of [`linear`]'s input `[row][input]` (if asked for), weights `[input][output]` and bias `[output]` from the
/// output's; of [`linear_relu`]'s too, if its output is given, which tells where ReLU was off.
///
/// # Panics
/// If an argument is of another shape.
pub fn linear_backward(
    shape: &Linear,
    input: &[f32],
    weights: &Weights,
    output: Option<&[f32]>,
    gradient: &[f32],
    with_input: bool,
) -> Gradients {
    shape.check(input, weights);
    let Linear { rows, inputs, outputs } = *shape;
    let is_output = |values: &[f32]| values.len() == rows * outputs;
    assert!(is_output(gradient) && output.is_none_or(is_output), "the output has another shape");
    let padded = outputs.next_multiple_of(BLOCK);
    let (before, bias) = before_relu(outputs, output, gradient, 1);
    let input_gradient = with_input.then(|| {
        let packed = weights.backward.get_or_init(|| pack(1, [outputs, inputs], weights, [1, outputs], false));
        let start = vec![0.0; inputs.next_multiple_of(BLOCK)];
        convolve(&shape.pixel(), 1, Rows { values: &before, stride: padded, len: outputs }, packed, &start, inputs)
    });
    let sums = weight_gradient(&shape.pixel(), 1, input, &before, padded);
    let weights = sums.chunks_exact(padded).flat_map(|sums| &sums[..outputs]).copied().collect();
    (input_gradient, weights, bias)
}

/// How logits do.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// The mean cross-entropy of the rows, in nats.
    pub loss: f32,
    /// How many rows are read right: their greatest logit, the first of equals, is where their target is.
    pub correct: f32,
    /// The gradient of the loss by each logit: `[row][class]`.
    pub gradient: Vec<f32>,
}

/// Softmax and cross-entropy of logits `[row][class]` and one-hot targets of the same shape, of which the share
/// `smoothing` is spread over all classes, also of a row without a target. Such a row is read neither right nor wrong.
///
/// # Panics
/// If there are no classes, or not as many targets as logits.
pub fn score(classes: usize, logits: &[f32], targets: &[f32], smoothing: f32) -> Scored {
    assert_eq!(logits.len(), targets.len(), "a target for each logit");
    let rows = (logits.len() / classes) as f32;
    let (mut loss, mut correct, mut gradient) = (0.0, 0.0, Vec::with_capacity(logits.len()));
    for (logits, targets) in logits.chunks_exact(classes).zip(targets.chunks_exact(classes)) {
        let (answer, largest) = first_largest(logits);
        let (wanted, _) = first_largest(targets);
        if answer == wanted {
            correct += targets.iter().sum::<f32>();
        }
        // The largest is taken off first, so that nothing overflows.
        let start = gradient.len();
        gradient.extend(logits.iter().map(|logit| (logit - largest).exp()));
        let powers = &mut gradient[start..];
        let sum: f32 = powers.iter().sum();
        let log_sum = sum.ln();
        let smoothed = |target: f32| target * (1.0 - smoothing) + smoothing / classes as f32;
        let share: f32 = targets.iter().copied().map(smoothed).sum();
        for ((power, logit), target) in powers.iter_mut().zip(logits).zip(targets) {
            let target = smoothed(*target);
            // A logit of minus infinity where nothing is wanted costs nothing.
            if target != 0.0 {
                // Of large logits the difference comes first: it is what counts.
                loss += target * (log_sum - (logit - largest));
            }
            *power = (*power / sum * share - target) / rows;
        }
    }
    Scored { loss: loss / rows, correct, gradient }
}

fn first_largest(values: &[f32]) -> (usize, f32) {
    let first = (0, values[0]);
    values.iter().copied().enumerate().fold(first, |best, (at, value)| if value > best.1 { (at, value) } else { best })
}
