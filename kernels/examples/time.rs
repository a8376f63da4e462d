//! Times each kernel on the article's layers, its weights packed before: `cargo run --release -p kiln-kernels --example time`.

use std::hint::black_box;
use std::time::Instant;

use kiln_kernels::{
    Bordered, Shape, Weights, conv_relu, conv_relu_backward, conv_relu_pool, pooled_backward_input,
    pooled_backward_weights,
};

fn median(mut work: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..15)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[7]
}

fn main() {
    let mut state = 1u32;
    let mut numbers = |count: usize| -> Vec<f32> {
        (0..count)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 9) as f32 / (1 << 22) as f32 - 1.0
            })
            .collect()
    };
    for (height, inputs, outputs) in [(28, 1, 32), (14, 32, 64), (7, 64, 64)] {
        let shape = Shape { batch: 64, height, width: height, inputs, outputs };
        let (x, w, b) = (numbers(shape.input_len()), numbers(shape.weights_len()), numbers(outputs));
        let w = Weights::new(inputs, outputs, &w);
        let bordered = Bordered::new(&shape, &x);
        let (_, winners) = conv_relu_pool(&shape, &bordered, &w, &b);
        let gradient = numbers(shape.pooled_len());
        println!("{shape:?}");
        println!("  border  {:.2} ms", median(|| drop(black_box(Bordered::new(&shape, black_box(&x))))));
        println!(
            "  forward {:.2} ms",
            median(|| drop(black_box(conv_relu_pool(&shape, &bordered, black_box(&w), &b))))
        );
        println!(
            "  dW      {:.2} ms",
            median(|| drop(black_box(pooled_backward_weights(
                &shape,
                &bordered,
                black_box(&winners),
                &gradient,
                None
            ))))
        );
        println!(
            "  dX      {:.2} ms",
            median(|| drop(black_box(pooled_backward_input(&shape, &w, black_box(&winners), &gradient, None))))
        );
    }
    let shape = Shape { batch: 64, height: 3, width: 3, inputs: 64, outputs: 64 };
    let (x, w, b) = (numbers(shape.input_len()), numbers(shape.weights_len()), numbers(64));
    let w = Weights::new(64, 64, &w);
    let y = conv_relu(&shape, &x, &w, &b);
    let gradient = numbers(shape.output_len());
    println!("{shape:?}");
    println!("  forward {:.2} ms", median(|| drop(black_box(conv_relu(&shape, black_box(&x), &w, &b)))));
    println!(
        "  dX, dW  {:.2} ms",
        median(|| drop(black_box(conv_relu_backward(&shape, &x, black_box(&w), &y, &gradient, true))))
    );
}
