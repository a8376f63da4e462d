//! The trainer and the evaluation on the CPU. Run natively and in the browser.

mod common;

use burn::tensor::Device;
use common::digits;
use kiln::device::read;
use kiln::model::{Convolution, Network, NetworkConfig};
use kiln::training::RunConfig;
use kiln::training::config::Optimizer;
use kiln::training::evaluation::{Evaluation, evaluate};
use kiln::training::trainer::{Batch, Trainer};

#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

fn small() -> NetworkConfig {
    NetworkConfig {
        convolutions: vec![Convolution::new(8, true), Convolution::new(16, true)],
        dense: vec![32],
        ..NetworkConfig::default()
    }
}

fn small_run() -> RunConfig {
    RunConfig { network: small(), learning_rate: 3e-3, ..RunConfig::default() }
}

/// Losses of some steps over the same 64 images.
async fn overfit(config: &RunConfig, steps: usize) -> (Trainer, Vec<f32>) {
    let (device, images) = (Device::flex(), digits(64, 1));
    let network = Network::new(&config.network, 3, &device.clone().autodiff()).unwrap();
    let mut trainer = Trainer::new(network, config, &device);
    let order: Vec<u32> = (0..64).collect();
    let mut losses = Vec::new();
    for _ in 0..steps {
        let batch = Batch::gather(&images, &order, 64, 10, trainer.device());
        let metrics = trainer.step(batch, config.learning_rate);
        losses.push(read(vec![metrics]).await.unwrap()[0][0]);
    }
    (trainer, losses)
}

both! {
    async fn sixty_four_images_are_learnt_by_heart() {
        let (trainer, losses) = overfit(&small_run(), 60).await;
        assert!(losses[0] > 2.0, "an untrained network guesses: {}", losses[0]);
        let score = evaluate(trainer.network(), &digits(64, 1), 10, &Device::flex()).await.unwrap();
        assert_eq!((score.correct, score.total), (64, 64));
    }

    async fn every_optimizer_learns_at_the_rate_to_begin_with() {
        for (optimizer, learning_rate) in
            [(Optimizer::AdamW, 1e-3), (Optimizer::Sgd, 0.05), (Optimizer::RmsProp, 1e-3)]
        {
            let config = RunConfig { optimizer, learning_rate, weight_decay: 5e-4, ..small_run() };
            let (_, losses) = overfit(&config, 60).await;
            assert!(losses[59] < 0.3 * losses[0], "{optimizer:?}: {} → {}", losses[0], losses[59]);
        }
    }

    async fn batch_norm_and_dropout_train_too_and_are_quiet_while_reading() {
        let network = NetworkConfig { batch_norm: true, dropout: 0.3, ..small() };
        let config = RunConfig { network, ..small_run() };
        let (trainer, losses) = overfit(&config, 60).await;
        assert!(losses[59] < 0.3 * losses[0], "{} → {}", losses[0], losses[59]);
        let read_twice = async || {
            let batch = Batch::gather(&digits(8, 2), &[0, 1, 2, 3, 4, 5, 6, 7], 8, 10, &Device::flex());
            read(vec![trainer.network().answer(batch.input).flatten(0, 1)]).await.unwrap()
        };
        assert_eq!(read_twice().await, read_twice().await);
    }

    async fn the_same_seed_gives_the_same_losses_bit_for_bit() {
        for network in [small(), NetworkConfig { dropout: 0.5, ..small() }] {
            let config = RunConfig { network, ..small_run() };
            let (first, second) = (overfit(&config, 8).await.1, overfit(&config, 8).await.1);
            assert_eq!(first, second);
        }
    }

    async fn padding_of_the_last_chunk_counts_for_nothing() {
        let (device, images) = (Device::flex(), digits(260, 5));
        let network = Network::new(&small(), 1, &device).unwrap();
        let whole = evaluate(network.clone(), &images, 10, &device).await.unwrap();
        assert_eq!(whole.total, 260);
        let mut parts = Vec::new();
        for range in [0..130, 130..260] {
            parts.push(evaluate(network.clone(), &images.part(range), 10, &device).await.unwrap());
        }
        assert_eq!(whole.correct, parts[0].correct + parts[1].correct);
        assert!((whole.loss - (parts[0].loss + parts[1].loss) / 2.0).abs() < 1e-5);
    }

    async fn images_left_out_of_an_evaluation_are_in_no_count_of_it() {
        let (device, images) = (Device::flex(), digits(40, 5));
        let network = Network::new(&small(), 1, &device).unwrap();
        let mut evaluation = Evaluation::new(network.clone(), 10).leaving_out((20..40).rev().collect());
        evaluation.advance(&images, &device).await.unwrap();
        let (rest, first) = (evaluation.score(), evaluate(network, &images.part(0..20), 10, &device).await.unwrap());
        assert_eq!((rest.correct, rest.total), (first.correct, 20));
        assert!((rest.loss - first.loss).abs() < 1e-5);
        assert_eq!(evaluation.exam().read.len(), 40, "they are read all the same");
    }
}
