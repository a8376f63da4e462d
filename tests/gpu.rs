//! The GPU against the CPU, from equal weights: batches, forward, loss and gradients agree, and the loss falls. In the
//! browser this runs on whatever WebGPU adapter there is, a software one included; natively, on Vulkan, Metal or DirectX
//! (`cargo test --no-default-features --features gpu --test gpu`).

#![cfg(feature = "gpu")]

mod common;

use burn::tensor::{Device, Tensor, TensorData};
use common::digits;
use futures_util::lock::Mutex;
use kiln::data::augment::{Amount, Augmentation, Changes};
use kiln::data::{Images, PIXELS};
use kiln::device::{open_gpu, read};
use kiln::model::block::{After, conv_relu_pool};
use kiln::model::{Convolution, Input, Network, NetworkConfig, Trainable, set_emulated};
use kiln::training::RunConfig;
use kiln::training::config::Optimizer;
use kiln::training::self_check::self_check;
use kiln::training::trainer::{Batch, Trainer, cross_entropy, pick};
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::console_log as say;

#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

#[cfg(not(target_arch = "wasm32"))]
macro_rules! say {
    ($($said:tt)*) => { eprintln!($($said)*) };
}

/// burn opens a device once; every test shares it.
async fn gpu() -> Option<Device> {
    static DEVICE: Mutex<Option<Option<Device>>> = Mutex::new(None);
    let mut device = DEVICE.lock().await;
    if device.is_none() {
        // A test has no `main` that does it first, as the worker's binary has.
        #[cfg(target_arch = "wasm32")]
        kiln::worker::call_constructors();
        let opened = open_gpu().await;
        match &opened {
            Ok(opened) => say!("GPU: {}", opened.name),
            Err(why) => say!("NOT TESTED: there is no GPU here: {why}"),
        }
        *device = Some(opened.ok().map(|opened| opened.device));
    }
    device.clone().expect("was just set")
}

fn config() -> NetworkConfig {
    NetworkConfig {
        convolutions: vec![Convolution::new(8, true), Convolution::new(8, true), Convolution::new(8, false)],
        dense: vec![16],
        ..NetworkConfig::default()
    }
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    assert!(a.iter().chain(b).all(|x| x.is_finite()));
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

both! {
    async fn the_self_check_finds_gpu_and_cpu_in_agreement() {
        let Some(gpu) = gpu().await else { return };
        let difference = self_check(&gpu).await.unwrap();
        assert!(difference < 1e-4, "logits differ by {difference}");
    }

    async fn forward_loss_and_gradients_agree_with_the_cpu() {
        let Some(gpu) = gpu().await else { return };
        for config in [config(), NetworkConfig { batch_norm: true, ..config() }] {
            let mut found = Vec::new();
            for device in [gpu.clone().autodiff(), Device::flex().autodiff()] {
                let network = Network::new(&config, 4, &device).unwrap();
                let batch = Batch::gather(&digits(8, 2), &[0, 1, 2, 3, 4, 5, 6, 7], 8, 10, &device);
                let logits = network.answer(batch.input);
                let loss = cross_entropy(logits.clone(), batch.targets).mean();
                let told = vec![logits.without_autodiff().flatten(0, 1), loss.clone().without_autodiff()];
                let told = read(told).await.unwrap();
                let gradients = loss.backward();
                let gradients = network.gradients(&gradients).into_iter().map(|g| g.expect("all are trained")).collect();
                found.push((told, read(gradients).await.unwrap().concat()));
            }
            let ((gpu_told, gpu_gradients), (cpu_told, cpu_gradients)) = (&found[0], &found[1]);
            assert!(largest_difference(&gpu_told[0], &cpu_told[0]) < 1e-4, "logits");
            assert!(largest_difference(&gpu_told[1], &cpu_told[1]) < 1e-5, "loss");
            assert!(largest_difference(gpu_gradients, cpu_gradients) < 1e-4, "gradients");
            assert!(cpu_gradients.iter().any(|g| g.abs() > 1e-2), "the gradients are not all small");
        }
    }
}

/// Numbers between -1 and 1 that look drawn, the same each time.
fn numbers(len: usize, seed: u32) -> Vec<f32> {
    let drawn = |at: u32| (at.wrapping_mul(2_654_435_761).wrapping_add(seed.wrapping_mul(40_503)) >> 8) % 2003;
    (0..len as u32).map(|at| drawn(at) as f32 / 1001.0 - 1.0).collect()
}

both! {
    async fn a_convolution_of_any_shape_and_its_gradients_are_the_cpus() {
        let Some(gpu) = gpu().await else { return };
        let shapes = [
            // images, input channels, rows, columns, output channels, pool, a dense layer after it
            (3, 1, 6, 9, 4, true, false),
            (5, 1, 5, 4, 12, false, true),
            (9, 4, 7, 7, 20, true, true),
            (2, 12, 2, 3, 8, true, false),
            (6, 8, 3, 3, 16, false, true),
            (1, 20, 5, 6, 12, false, false),
            (9, 16, 7, 5, 24, true, false),
            (10, 8, 3, 2, 8, false, false),
            (2, 4, 1, 5, 4, false, false),
            (3, 16, 4, 3, 16, true, true),
            // No kernel is for it: burn's own operations.
            (2, 3, 5, 5, 5, true, true),
        ];
        for (images, inputs, rows, columns, outputs, pool, dense) in shapes {
            let mut found = Vec::new();
            // As a GPU is given its work, and as an emulated one is; then the CPU.
            for (device, emulated) in [(&gpu, false), (&gpu, true), (&Device::flex(), true)] {
                set_emulated(emulated);
                let device = device.clone().autodiff();
                let tensor = |shape: &[usize], seed| {
                    let values = numbers(shape.iter().product(), seed);
                    TensorData::new(values, shape.to_vec())
                };
                let input = Tensor::<4>::from_data(tensor(&[images, inputs, rows, columns], 1), &device).require_grad();
                let weight = Tensor::<4>::from_data(tensor(&[outputs, inputs, 3, 3], 2), &device).require_grad();
                let bias = Tensor::<1>::from_data(tensor(&[outputs], 3), &device).require_grad();
                let after = After { pool, dense };
                let output = conv_relu_pool(input.clone().into(), weight.clone(), bias.clone(), 1, after).values();
                let [_, _, height, width] = output.dims();
                let pull = Tensor::from_data(tensor(&[images, outputs, height, width], 4), &device);
                let gradients = (output.clone() * pull).sum().backward();
                let all = vec![
                    output.without_autodiff().flatten(0, 3),
                    input.grad(&gradients).expect("it was asked for").flatten(0, 3),
                    weight.grad(&gradients).expect("it was asked for").flatten(0, 3),
                    bias.grad(&gradients).expect("it was asked for"),
                ];
                found.push(read(all).await.unwrap());
            }
            let cpu = found.pop().expect("three were asked");
            let names = ["output", "input", "weight", "bias"];
            let told = found.iter().flat_map(|gpu| names.iter().zip(gpu.iter().zip(&cpu)));
            for (what, (gpu, cpu)) in told {
                let difference = largest_difference(gpu, cpu);
                let size = cpu.iter().fold(1.0, |most: f32, x| most.max(x.abs()));
                assert!(
                    difference < 1e-5 * size,
                    "{what} of {images} × {inputs}×{rows}×{columns} → {outputs}: {difference}"
                );
            }
        }
    }

    async fn a_batch_that_the_device_makes_is_the_hosts() {
        let Some(gpu) = gpu().await else { return };
        // More than is sent at once, and of every shade.
        let set = Images {
            pixels: numbers(4500 * PIXELS, 5).into_iter().map(|x| (x * 400.0) as u8).collect(),
            labels: (0..4500).map(|image| (image % 10) as u8).collect(),
        };
        let network = Network::new(&config(), 4, &gpu.clone().autodiff()).unwrap();
        let mut trainer = Trainer::new(network.clone(), &RunConfig::default(), &gpu);
        let mirrored = Augmentation { flip: Amount::new(1.0, 0.5), ..Augmentation::ROBUST };
        // As shards arrive: with room for all, and with room for fewer than come.
        for (train_size, len) in [4500, 200].into_iter().flat_map(|size| [40, 300, 4500].map(|len| (size, len))) {
            if len == 40 {
                let run = RunConfig { network: config(), train_size, ..RunConfig::default() };
                trainer = Trainer::new(network.clone(), &run, &gpu);
            }
            let images = set.part(0..len);
            let indices: Vec<u32> = (0..37).map(|at| (at * 7919) % len as u32).collect();
            for augmentation in [Augmentation::NONE, Augmentation::GENTLE, mirrored] {
                let changes = |image| Changes::draw(&augmentation, 3, 1, image);
                let host = Batch::of(&pick(&images, &indices, changes), 10, &Device::flex());
                let device = trainer.batch(&images, &indices, changes);
                let mut found = Vec::new();
                for Batch { input, targets } in [host, device] {
                    let Input::Images(images) = input else { panic!("images were asked for") };
                    let tensors = [images.flatten(0, 3), targets.flatten(0, 1)];
                    found.push(read(tensors.map(|tensor| tensor.without_autodiff()).into()).await.unwrap());
                }
                assert_eq!(found[0][1], found[1][1], "targets");
                let differences = found[0][0].iter().zip(&found[1][0]).map(|(a, b)| (a - b).abs());
                let (largest, shades) = differences.fold((0f32, 0), |(largest, shades), difference| {
                    (largest.max(difference), shades + usize::from(difference > 1e-6))
                });
                // Places are whole numbers. A shade is not: where it is rounded, a GPU may come out one lower or higher.
                let (most, share) = if augmentation == mirrored { (1.01 / 255.0, 1000) } else { (1e-6, usize::MAX) };
                assert!(largest < most, "{augmentation:?}: {largest}");
                assert!(shades <= 37 * PIXELS / share, "{augmentation:?}: {shades}");
            }
        }
    }

    async fn the_loss_falls_as_it_does_on_the_cpu() {
        let Some(gpu) = gpu().await else { return };
        let mut runs = Vec::new();
        let run = RunConfig { network: config(), label_smoothing: 0.1, weight_decay: 0.01, ..RunConfig::default() };
        for device in [gpu, Device::flex()] {
            let network = Network::new(&config(), 4, &device.clone().autodiff()).unwrap();
            let mut trainer = Trainer::new(network, &run, &device);
            let mut losses = Vec::new();
            for _ in 0..12 {
                let batch = Batch::gather(&digits(8, 2), &[0, 1, 2, 3, 4, 5, 6, 7], 8, 10, trainer.device());
                losses.push(read(vec![trainer.step(batch, 5e-3)]).await.unwrap()[0][0]);
            }
            runs.push(losses);
        }
        assert!(runs[0][11] < 0.8 * runs[0][0], "{:?}", runs[0]);
        assert!(largest_difference(&runs[0], &runs[1]) < 1e-3, "{runs:?}");
    }

    async fn frozen_layers_and_batch_norm_learn_from_batches_of_the_device_as_on_the_cpu() {
        let Some(gpu) = gpu().await else { return };
        let images = digits(20, 2);
        let normed = NetworkConfig { batch_norm: true, ..config() };
        for (network, trainable) in [(config(), Trainable::Dense), (normed, Trainable::Everything)] {
            // Adam would follow the sign of a gradient that is nearly nothing, which is the rounding's to say.
            let run =
                RunConfig { network: network.clone(), train_size: 20, optimizer: Optimizer::Sgd, ..RunConfig::default() };
            let mut runs = Vec::new();
            for device in [&gpu, &Device::flex()] {
                let network = Network::new(&network, 4, &device.clone().autodiff()).unwrap().freeze(trainable);
                let mut trainer = Trainer::new(network, &run, device);
                let mut losses = Vec::new();
                for epoch in 0..6 {
                    let changes = |image| Changes::draw(&Augmentation::GENTLE, 3, epoch, image);
                    let batch = trainer.batch(&images, &[3, 17, 8, 1, 12, 19, 0, 5], changes);
                    losses.push(read(vec![trainer.step(batch, 2e-2)]).await.unwrap()[0][0]);
                }
                runs.push(losses);
            }
            assert!(runs[0][5] < runs[0][0], "{trainable:?}: {:?}", runs[0]);
            assert!(largest_difference(&runs[0], &runs[1]) < 1e-3, "{trainable:?}: {runs:?}");
        }
    }

    async fn the_optimizers_state_is_read_and_goes_on_there() {
        let Some(gpu) = gpu().await else { return };
        let run = RunConfig { network: config(), ..RunConfig::default() };
        // Adam is one program for all tensors, with a penalty or without; the others are burn's.
        let runs = [
            run.clone(),
            RunConfig { weight_decay: 0.01, ..run.clone() },
            RunConfig { optimizer: Optimizer::AdamW, clip_norm: 0.5, ..run },
        ];
        for run in runs {
            let batch = || Batch::gather(&digits(8, 2), &[0, 1, 2, 3, 4, 5, 6, 7], 8, 10, &gpu.clone().autodiff());
            let training = gpu.clone().autodiff();
            let mut whole = Trainer::new(Network::new(&config(), 4, &training).unwrap(), &run, &gpu);
            for _ in 0..3 {
                whole.step(batch(), 5e-3);
            }
            let (weights, state) = (whole.network().to_bytes().await.unwrap(), whole.optimizer_bytes().await.unwrap());
            let mut resumed = Trainer::new(Network::from_bytes(&config(), &weights, &training).unwrap(), &run, &gpu);
            resumed.restore(3, &state).unwrap();
            for _ in 0..3 {
                let losses = [whole.step(batch(), 5e-3), resumed.step(batch(), 5e-3)];
                let losses = read(losses.into()).await.unwrap();
                assert!((losses[0][0] - losses[1][0]).abs() < 1e-5, "{losses:?}");
            }
        }
    }
}
