//! WebGPU against the CPU, from equal weights: forward, loss and gradients agree, and the loss falls. In the browser
//! this runs on whatever adapter there is, a software one included.

#![cfg(all(target_arch = "wasm32", feature = "gpu"))]

mod common;

use burn::tensor::Device;
use common::digits;
use futures_util::lock::Mutex;
use kiln::device::{open_gpu, read};
use kiln::model::{Convolution, Network, NetworkConfig};
use kiln::training::RunConfig;
use kiln::training::config::Optimizer;
use kiln::training::self_check::self_check;
use kiln::training::trainer::{Batch, Trainer, cross_entropy};
use wasm_bindgen_test::*;

wasm_bindgen_test_configure!(run_in_dedicated_worker);

/// burn opens a device once; every test shares it.
async fn gpu() -> Option<Device> {
    static DEVICE: Mutex<Option<Option<Device>>> = Mutex::new(None);
    let mut device = DEVICE.lock().await;
    if device.is_none() {
        // A test has no `main` that does it first, as the worker's binary has.
        kiln::worker::call_constructors();
        let opened = open_gpu().await;
        match &opened {
            Ok(opened) => console_log!("WebGPU adapter: {}", opened.name),
            Err(why) => console_error!("NOT TESTED: this browser has no WebGPU adapter: {why}"),
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

#[wasm_bindgen_test]
async fn the_self_check_finds_gpu_and_cpu_in_agreement() {
    let Some(gpu) = gpu().await else { return };
    let difference = self_check(&gpu).await.unwrap();
    assert!(difference < 1e-4, "logits differ by {difference}");
}

#[wasm_bindgen_test]
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

#[wasm_bindgen_test]
async fn the_loss_falls_as_it_does_on_the_cpu() {
    let Some(gpu) = gpu().await else { return };
    let mut runs = Vec::new();
    for device in [gpu, Device::flex()] {
        let network = Network::new(&config(), 4, &device.clone().autodiff()).unwrap();
        let mut trainer = Trainer::new(network, &RunConfig::default(), &device);
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

#[wasm_bindgen_test]
async fn the_optimizers_state_is_read_and_goes_on_there() {
    let Some(gpu) = gpu().await else { return };
    let run = RunConfig { network: config(), optimizer: Optimizer::AdamW, clip_norm: 0.5, ..RunConfig::default() };
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
