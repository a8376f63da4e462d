//! Every kernel against the plain sums in f64, over shapes of every kind: on this machine drawn anew each time, and in the
//! browser, whose SIMD is another, always the same ones.

use kiln_kernels::{
    Bordered, Linear, Shape, Weights, conv_relu, conv_relu_backward, conv_relu_pool, linear, linear_backward,
    linear_relu, pooled_backward_input, pooled_backward_weights, score,
};
#[cfg(not(target_arch = "wasm32"))]
use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test;

#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

/// Numbers that look random and are the same each time, from −1 to 1.
fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(1);
    (0..count)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

struct Reference {
    /// Before ReLU and pool.
    sums: Vec<f64>,
}

impl Reference {
    fn new(shape: &Shape, input: &[f32], weights: &[f32], bias: &[f32]) -> Self {
        let mut sums = Vec::new();
        each(shape, |n, y, x, o| {
            let mut sum = f64::from(bias[o]);
            taps(shape, y, x, |tap, sy, sx| {
                for i in 0..shape.inputs {
                    let value = input[((n * shape.height + sy) * shape.width + sx) * shape.inputs + i];
                    sum += f64::from(value) * f64::from(weights[(o * shape.inputs + i) * 9 + tap]);
                }
            });
            sums.push(sum);
        });
        Self { sums }
    }

    /// Gradients of input, weights and bias from the gradient before ReLU.
    fn backward(shape: &Shape, input: &[f32], weights: &[f32], before: &[f64]) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
        let mut dx = vec![0.0; shape.input_len()];
        let mut dw = vec![0.0; shape.weights_len()];
        let mut db = vec![0.0; shape.outputs];
        let mut gradients = before.iter();
        each(shape, |n, y, x, o| {
            let gradient = *gradients.next().unwrap();
            db[o] += gradient;
            taps(shape, y, x, |tap, sy, sx| {
                for i in 0..shape.inputs {
                    let at = ((n * shape.height + sy) * shape.width + sx) * shape.inputs + i;
                    let weight = (o * shape.inputs + i) * 9 + tap;
                    dx[at] += gradient * f64::from(weights[weight]);
                    dw[weight] += gradient * f64::from(input[at]);
                }
            });
        });
        (dx, dw, db)
    }
}

fn each(shape: &Shape, mut visit: impl FnMut(usize, usize, usize, usize)) {
    for n in 0..shape.batch {
        for y in 0..shape.height {
            for x in 0..shape.width {
                (0..shape.outputs).for_each(|o| visit(n, y, x, o));
            }
        }
    }
}

fn taps(shape: &Shape, y: usize, x: usize, mut visit: impl FnMut(usize, usize, usize)) {
    for tap in 0..9 {
        let (sy, sx) = (y + tap / 3, x + tap % 3);
        if (1..=shape.height).contains(&sy) && (1..=shape.width).contains(&sx) {
            visit(tap, sy - 1, sx - 1);
        }
    }
}

fn close(found: &[f32], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(1.0f64, |scale, value| scale.max(value.abs()));
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let difference = (f64::from(*found) - expected).abs();
        assert!(difference <= 1e-5 * scale, "{what} {index}: {found} for {expected}");
    }
}

/// Input, weights and bias. With odd seeds the input is blank but for a part of each image, as a drawing's is.
fn data(shape: &Shape, seed: u64) -> (Vec<f32>, Weights, Vec<f32>) {
    let mut input = numbers(shape.input_len(), seed);
    if seed % 2 == 1 {
        for (at, pixel) in input.chunks_exact_mut(shape.inputs).enumerate() {
            let (y, x) = (at / shape.width % shape.height, at % shape.width);
            if 3 * y < 2 * shape.height || 3 * x > shape.width {
                pixel.fill(0.0);
            }
        }
    }
    let scale = 1.0 / (9.0 * shape.inputs as f32).sqrt();
    let weights: Vec<f32> = numbers(shape.weights_len(), seed + 1).into_iter().map(|w| w * scale).collect();
    let weights = Weights::new(shape.inputs, shape.outputs, &weights);
    (input, weights, numbers(shape.outputs, seed + 2).into_iter().map(|b| b * 0.1).collect())
}

fn with_pool(shape: &Shape, seed: u64) {
    let (input, weights, bias) = data(shape, seed);
    let reference = Reference::new(shape, &input, &weights, &bias);
    let bordered = Bordered::new(shape, &input);
    let (output, winners) = conv_relu_pool(shape, &bordered, &weights, &bias);
    let gradient = numbers(shape.pooled_len(), seed + 3);
    let (rows, columns) = shape.pooled();
    let (mut expected, mut before) = (Vec::new(), vec![0.0; shape.output_len()]);
    for n in 0..shape.batch {
        for window in 0..rows * columns {
            for o in 0..shape.outputs {
                let index = (n * rows * columns + window) * shape.outputs + o;
                let at = |place: usize| {
                    let (y, x) = (2 * (window / columns) + place / 2, 2 * (window % columns) + place % 2);
                    ((n * shape.height + y) * shape.width + x) * shape.outputs + o
                };
                let best = (0..4).map(|place| reference.sums[at(place)]).fold(f64::MIN, f64::max);
                expected.push(best.max(0.0));
                match winners[index] {
                    255 => assert!(best <= 1e-5, "off, and {best} was the best"),
                    winner => {
                        // Among nearly equal ones, which is the greater is the rounding's to say.
                        assert!(reference.sums[at(winner as usize)] >= best - 1e-5);
                        before[at(winner as usize)] = f64::from(gradient[index]);
                    }
                }
            }
        }
    }
    close(&output, &expected, "output");
    let (dx, dw, db) = Reference::backward(shape, &input, &weights, &before);
    let (weight_gradient, bias_gradient) = pooled_backward_weights(shape, &bordered, &winners, &gradient, None);
    close(&weight_gradient, &dw, "weights");
    close(&bias_gradient, &db, "bias");
    let found = pooled_backward_input(shape, &weights, &winners, &gradient, None);
    close(&found, &dx, "input");

    // Of pixels that are alike the first gets what all of them got, and the others get nothing; nothing else changes.
    let alike: Vec<bool> = numbers(dx.len() / shape.inputs, seed + 4).into_iter().map(|number| number > 0.3).collect();
    let (mut sums, mut others, mut left) = (vec![0.0; shape.inputs], found, None);
    for (at, dx) in dx.chunks_exact(shape.inputs).enumerate().filter(|(at, _)| alike[*at]) {
        sums.iter_mut().zip(dx).for_each(|(sum, dx)| *sum += dx);
        others[at * shape.inputs..][..shape.inputs].fill(0.0);
        left = left.or(Some(at * shape.inputs));
    }
    let mut found = pooled_backward_input(shape, &weights, &winners, &gradient, Some(&alike));
    if let Some(first) = left {
        close(&found[first..first + shape.inputs], &sums, "input, alike");
        found[first..first + shape.inputs].fill(0.0);
    }
    assert_eq!(found, others, "input, the rest");
}

fn without_pool(shape: &Shape, seed: u64) {
    let (input, weights, bias) = data(shape, seed);
    let reference = Reference::new(shape, &input, &weights, &bias);
    let output = conv_relu(shape, &input, &weights, &bias);
    close(&output, &reference.sums.iter().map(|sum| sum.max(0.0)).collect::<Vec<_>>(), "output");
    let gradient = numbers(shape.output_len(), seed + 3);
    let before: Vec<f64> =
        output.iter().zip(&gradient).map(|(o, g)| if *o > 0.0 { f64::from(*g) } else { 0.0 }).collect();
    let (dx, dw, db) = Reference::backward(shape, &input, &weights, &before);
    let (input_gradient, weight_gradient, bias_gradient) =
        conv_relu_backward(shape, &input, &weights, &output, &gradient, true);
    close(&input_gradient.unwrap(), &dx, "input");
    close(&weight_gradient, &dw, "weights");
    close(&bias_gradient, &db, "bias");
}

fn dense(shape: &Linear, seed: u64) {
    let Linear { rows, inputs, outputs } = *shape;
    let (input, bias) = (numbers(rows * inputs, seed), numbers(outputs, seed + 2));
    let scale = 1.0 / (inputs as f32).sqrt();
    let weights: Vec<f32> = numbers(inputs * outputs, seed + 1).into_iter().map(|w| w * scale).collect();
    let weights = Weights::new(inputs, outputs, &weights);
    let gradient = numbers(rows * outputs, seed + 3);
    let mut sums = Vec::new();
    for row in 0..rows {
        for o in 0..outputs {
            let terms = (0..inputs).map(|i| f64::from(input[row * inputs + i]) * f64::from(weights[i * outputs + o]));
            sums.push(f64::from(bias[o]) + terms.sum::<f64>());
        }
    }
    close(&linear(shape, &input, &weights, &bias), &sums, "output");
    let output = linear_relu(shape, &input, &weights, &bias);
    close(&output, &sums.iter().map(|sum| sum.max(0.0)).collect::<Vec<_>>(), "output after ReLU");
    for output in [None, Some(&output[..])] {
        let passes = |at: usize| output.is_none_or(|output| output[at] > 0.0);
        let (mut dx, mut dw, mut db) = (vec![0.0; input.len()], vec![0.0; weights.len()], vec![0.0; outputs]);
        for at in (0..rows * outputs).filter(|&at| passes(at)) {
            let (row, o, gradient) = (at / outputs, at % outputs, f64::from(gradient[at]));
            db[o] += gradient;
            for i in 0..inputs {
                dx[row * inputs + i] += gradient * f64::from(weights[i * outputs + o]);
                dw[i * outputs + o] += gradient * f64::from(input[row * inputs + i]);
            }
        }
        let (of_input, of_weights, of_bias) = linear_backward(shape, &input, &weights, output, &gradient, true);
        close(&of_input.unwrap(), &dx, "input");
        close(&of_weights, &dw, "weights");
        close(&of_bias, &db, "bias");
        assert!(linear_backward(shape, &input, &weights, output, &gradient, false).0.is_none());
    }
}

/// Cross-entropy by its definition, in f64; and its gradient by finite differences.
fn cross_entropy(classes: usize, seed: u64, smoothing: f32) {
    let rows = 1 + (seed % 9) as usize;
    let logits: Vec<f32> = numbers(rows * classes, seed).into_iter().map(|logit| logit * 9.0).collect();
    let mut targets = vec![0.0; rows * classes];
    // The last row is padding.
    (0..rows.max(2) - 1).for_each(|row| targets[row * classes + (row * 7 + seed as usize) % classes] = 1.0);
    let smoothed =
        |at: usize| f64::from(targets[at]) * f64::from(1.0 - smoothing) + f64::from(smoothing) / classes as f64;
    let loss = |logits: &[f64]| {
        let of_row = |row: usize| {
            let logits = &logits[row * classes..][..classes];
            let log_sum = logits.iter().map(|logit| logit.exp()).sum::<f64>().ln();
            (0..classes).map(|class| smoothed(row * classes + class) * (log_sum - logits[class])).sum::<f64>()
        };
        (0..rows).map(of_row).sum::<f64>() / rows as f64
    };
    let exact: Vec<f64> = logits.iter().copied().map(f64::from).collect();
    let found = score(classes, &logits, &targets, smoothing);
    close(&[found.loss], &[loss(&exact)], "loss");
    let slopes: Vec<f64> = (0..logits.len())
        .map(|at| {
            let moved = |by: f64| {
                let mut logits = exact.clone();
                logits[at] += by;
                loss(&logits)
            };
            (moved(1e-5) - moved(-1e-5)) / 2e-5
        })
        .collect();
    close(&found.gradient, &slopes, "gradient");
    let right = logits.chunks_exact(classes).zip(targets.chunks_exact(classes)).filter(|(logits, targets)| {
        let wanted = targets.iter().position(|target| *target == 1.0);
        wanted.is_some_and(|wanted| logits.iter().all(|logit| *logit <= logits[wanted]))
    });
    assert_eq!(found.correct, right.count() as f32);
}

/// What a first layer learns from the gradients of its windows, and what it learns where those that see nothing are summed.
fn blank_windows(shape: &Shape, next: usize, seed: u64) {
    let (input, weights, bias) = data(shape, seed);
    let bordered = Bordered::new(shape, &input);
    let (output, winners) = conv_relu_pool(shape, &bordered, &weights, &bias);
    let alike = bordered.blank_windows().expect("a part is blank");
    let maps: Vec<&[f32]> = output.chunks_exact(shape.outputs).collect();
    let first = alike.iter().position(|&alike| alike).unwrap();
    assert!(maps.iter().zip(alike.iter()).all(|(map, &alike)| !alike || *map == maps[first]), "they are alike");

    let (height, width) = shape.pooled();
    let second = Shape { batch: shape.batch, height, width, inputs: shape.outputs, outputs: next };
    let (_, second_weights, second_bias) = data(&second, seed + 10);
    let second_input = Bordered::new(&second, &output);
    let (_, second_winners) = conv_relu_pool(&second, &second_input, &second_weights, &second_bias);
    let gradient = numbers(second.pooled_len(), seed + 3);
    let [one_by_one, summed] = [None, Some(&alike[..])]
        .map(|alike| pooled_backward_weights(&second, &second_input, &second_winners, &gradient, alike));
    let expected = [one_by_one.0, one_by_one.1].map(|found| found.into_iter().map(f64::from).collect::<Vec<_>>());
    close(&summed.0, &expected[0], "weights of the next layer");
    close(&summed.1, &expected[1], "bias of the next layer");
    let [one_by_one, summed] = [None, Some(&alike[..])].map(|alike| {
        let gradient = pooled_backward_input(&second, &second_weights, &second_winners, &gradient, alike);
        pooled_backward_weights(shape, &bordered, &winners, &gradient, None)
    });
    assert_eq!(one_by_one.0, summed.0, "weights");
    let expected: Vec<f64> = one_by_one.1.into_iter().map(f64::from).collect();
    close(&summed.1, &expected, "bias");
}

/// As large a batch as a test can wait for.
fn bearable([height, width, inputs, outputs, batch]: [usize; 5]) -> Shape {
    let batch = batch.min((300_000 / (height * width * inputs * outputs)).max(1));
    Shape { batch, height, width, inputs, outputs }
}

#[cfg(not(target_arch = "wasm32"))]
fn shapes() -> impl Strategy<Value = Shape> {
    (1..40usize, 1..40usize, 1..70usize, 1..70usize, 1..130usize)
        .prop_map(|(height, width, inputs, outputs, batch)| bearable([height, width, inputs, outputs, batch]))
}

#[cfg(not(target_arch = "wasm32"))]
proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]

    #[test]
    fn with_a_pool_output_and_gradients_are_the_plain_sums(shape in shapes(), seed in 0..1000u64) {
        with_pool(&shape, seed);
    }

    #[test]
    fn without_a_pool_output_and_gradients_are_the_plain_sums(shape in shapes(), seed in 0..1000u64) {
        without_pool(&shape, seed);
    }

    #[test]
    fn what_two_layers_learn_from_blank_windows_in_sum_is_what_they_learn_from_each(
        height in 6..30usize, width in 6..30usize, inputs in 1..4usize, outputs in 1..40usize, next in 1..20usize,
        batch in 1..6usize, seed in 0..500u64,
    ) {
        blank_windows(&Shape { batch, height, width, inputs, outputs }, next, 2 * seed + 1);
    }

    #[test]
    fn a_dense_layer_and_its_gradients_are_the_plain_sums(
        rows in 1..130usize, inputs in 1..90usize, outputs in 1..70usize, seed in 0..1000u64,
    ) {
        dense(&Linear { rows, inputs, outputs }, seed);
    }

    #[test]
    fn the_loss_and_its_gradient_are_those_of_the_definition(
        classes in 1..40usize, seed in 0..1000u64, smoothing in prop::sample::select(vec![0.0f32, 0.1, 0.9]),
    ) {
        cross_entropy(classes, seed, smoothing);
    }
}

#[cfg(target_arch = "wasm32")]
#[wasm_bindgen_test]
fn of_many_shapes_all_is_the_plain_sums() {
    for seed in 0..60 {
        let drawn = numbers(8, 1000 + seed);
        let below = |at: usize, end: usize| 1 + ((drawn[at] + 1.0) / 2.0 * (end - 1) as f32) as usize;
        let shape = bearable([below(0, 40), below(1, 40), below(2, 70), below(3, 70), below(4, 130)]);
        with_pool(&shape, seed);
        without_pool(&shape, seed);
        dense(&Linear { rows: below(5, 130), inputs: below(6, 90), outputs: below(7, 70) }, seed);
        cross_entropy(below(5, 40), seed, [0.0, 0.1, 0.9][seed as usize % 3]);
        let side = |at: usize| 6 + below(at, 24);
        let shape =
            Shape { batch: below(4, 6), height: side(0), width: side(1), inputs: below(2, 4), outputs: below(3, 40) };
        blank_windows(&shape, below(7, 20), 2 * seed + 1);
    }
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test)]
fn the_articles_layers_are_the_plain_sums() {
    with_pool(&Shape { batch: 5, height: 28, width: 28, inputs: 1, outputs: 32 }, 1);
    with_pool(&Shape { batch: 5, height: 14, width: 14, inputs: 32, outputs: 64 }, 2);
    with_pool(&Shape { batch: 5, height: 7, width: 7, inputs: 64, outputs: 64 }, 3);
    without_pool(&Shape { batch: 37, height: 3, width: 3, inputs: 64, outputs: 64 }, 4);
    blank_windows(&Shape { batch: 5, height: 28, width: 28, inputs: 1, outputs: 32 }, 64, 1);
    blank_windows(&Shape { batch: 3, height: 17, width: 22, inputs: 3, outputs: 35 }, 5, 3);
    dense(&Linear { rows: 37, inputs: 576, outputs: 64 }, 5);
    dense(&Linear { rows: 128, inputs: 64, outputs: 10 }, 6);
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test)]
fn of_equal_pixels_in_an_even_area_the_first_wins() {
    // Seven windows a side, so that each way of making them is taken: of the last one everything but the border is even.
    for inputs in [1, 2, 3, 8, 11] {
        let shape = Shape { batch: 2, height: 15, width: 15, inputs, outputs: 9 };
        let (_, weights, _) = data(&shape, 8);
        let bordered = Bordered::new(&shape, &vec![0.7; shape.input_len()]);
        let (output, winners) = conv_relu_pool(&shape, &bordered, &weights, &[9.0; 9]);
        for (index, (&winner, &value)) in winners.iter().zip(&output).enumerate() {
            let (y, x, channel) = (index / 9 / 7 % 7, index / 9 % 7, index % 9);
            if y > 0 && x > 0 {
                assert_eq!(winner, 0, "window {y} {x}, {inputs} channels");
                assert!((value - output[(7 + 1) * 9 + channel]).abs() < 1e-5, "as its neighbours");
            }
        }
    }
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test)]
fn dead_windows_carry_no_gradient() {
    let shape = Shape { batch: 2, height: 6, width: 6, inputs: 4, outputs: 5 };
    let (input, weights, _) = data(&shape, 5);
    let bordered = Bordered::new(&shape, &input);
    let (output, winners) = conv_relu_pool(&shape, &bordered, &weights, &[-100.0; 5]);
    assert!(output.iter().all(|&value| value == 0.0) && winners.iter().all(|&winner| winner == 255));
    let gradient = vec![1.0; shape.pooled_len()];
    let (dw, db) = pooled_backward_weights(&shape, &bordered, &winners, &gradient, None);
    let dx = pooled_backward_input(&shape, &weights, &winners, &gradient, None);
    assert!(dw.iter().chain(&db).chain(&dx).all(|&value| value == 0.0));
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test)]
fn extreme_logits_cost_what_they_should() {
    let found = score(3, &[1000.0, 0.0, f32::NEG_INFINITY], &[1.0, 0.0, 0.0], 0.0);
    assert_eq!(found.loss, 0.0);
    assert_eq!((found.correct, found.gradient), (1.0, vec![0.0; 3]));
    assert_eq!(score(3, &[1000.0, 0.0, 0.0], &[0.0, 1.0, 0.0], 0.0).loss, 1000.0);
    // What the wrong classes still have, however large the logits are.
    assert!((score(2, &[1020.0, 1008.0], &[1.0, 0.0], 0.0).loss - 6.144_193e-6).abs() < 1e-7);
    assert_eq!(score(2, &[1.0, 1.0], &[0.0, 1.0], 0.0).correct, 0.0, "of equal logits the first is the answer");
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test)]
fn what_is_no_number_is_not_lost() {
    for bad in [f32::NAN, f32::INFINITY] {
        assert!(!score(3, &[0.0, bad, 1.0], &[1.0, 0.0, 0.0], 0.0).loss.is_finite(), "{bad} as a logit");
        let shape = Linear { rows: 5, inputs: 7, outputs: 3 };
        let mut input = numbers(35, 1);
        input[33] = bad;
        let output = linear_relu(&shape, &input, &Weights::new(7, 3, &numbers(21, 2)), &numbers(3, 3));
        assert!(output.iter().any(|value| !value.is_finite()), "{bad} in a dense layer");
    }
    for bad in [f32::NAN, f32::INFINITY] {
        for inputs in [1, 8] {
            let shape = Shape { batch: 1, height: 6, width: 6, inputs, outputs: 8 };
            let (mut input, weights, bias) = data(&shape, 6);
            input[14 * inputs] = bad;
            let (output, _) = conv_relu_pool(&shape, &Bordered::new(&shape, &input), &weights, &bias);
            assert!(output.iter().any(|value| !value.is_finite()), "{bad} with a pool, {inputs} channels");
            let output = conv_relu(&shape, &input, &weights, &bias);
            assert!(output.iter().any(|value| !value.is_finite()), "{bad} without, {inputs} channels");
        }
    }
}

#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test)]
fn what_is_no_number_is_not_lost_in_a_blank_area() {
    // Zero times it is no number either.
    for (bad, inputs) in [(f32::NAN, 1), (f32::INFINITY, 1), (f32::NEG_INFINITY, 3), (f32::NAN, 8)] {
        let shape = Shape { batch: 2, height: 6, width: 6, inputs, outputs: 8 };
        let bordered = Bordered::new(&shape, &vec![0.0; shape.input_len()]);
        let bias = [1.0; 8];
        let mut weights = numbers(shape.weights_len(), 6);
        weights[7] = bad;
        let packed = Weights::new(inputs, 8, &weights);
        let (output, _) = conv_relu_pool(&shape, &bordered, &packed, &bias);
        for (at, value) in output.iter().enumerate() {
            assert_eq!(
                value.is_finite(),
                at % 8 != 0,
                "{bad} among the first of {inputs} filters, output {at}: {value}"
            );
        }

        weights[7] = 1.0;
        let packed = Weights::new(inputs, 8, &weights);
        let (output, winners) = conv_relu_pool(&shape, &bordered, &packed, &bias);
        assert!(output.iter().all(|&value| value == 1.0) && winners.iter().all(|&winner| winner == 0));
        let mut gradient = numbers(shape.pooled_len(), 7);
        gradient[8 * 11 + 2] = bad;
        let (dw, db) = pooled_backward_weights(&shape, &bordered, &winners, &gradient, None);
        for output in 0..8 {
            assert_eq!(db[output].is_finite(), output != 2, "{bad} in a gradient: bias {output}");
            let filter = &dw[output * 9 * inputs..][..9 * inputs];
            assert_eq!(filter.iter().all(|value| value.is_finite()), output != 2, "{bad} in a gradient: {filter:?}");
        }
    }
}

#[cfg(not(target_arch = "wasm32"))] // where a panic ends the test
#[test]
#[should_panic(expected = "the input is of another shape")]
fn an_input_of_another_shape_is_refused_before_it_is_read() {
    let shape = Shape { batch: 2, height: 6, width: 6, inputs: 4, outputs: 8 };
    let (input, weights, bias) = data(&shape, 7);
    let bordered = Bordered::new(&shape, &input);
    conv_relu_pool(&Shape { batch: 3, ..shape }, &bordered, &weights, &bias);
}
