//! The update rules step by step against burn's own optimizers and against cases worked out by hand; their state as
//! bytes. Run natively and in the browser.

mod common;

use burn::module::Module;
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamConfig, AdamWConfig, GradientsParams, ModuleOptimizer, RmsPropConfig, SgdConfig};
use burn::tensor::Device;
use common::digits;
use kiln::device::read;
use kiln::model::{Convolution, Network, NetworkConfig};
use kiln::training::RunConfig;
use kiln::training::config::Optimizer;
use kiln::training::trainer::{Batch, Trainer};

#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

const RATE: f64 = 0.01;

fn network() -> NetworkConfig {
    NetworkConfig {
        convolutions: vec![Convolution::new(4, true), Convolution::new(4, true)],
        dense: vec![8],
        batch_norm: true,
        ..NetworkConfig::default()
    }
}

fn run(optimizer: Optimizer) -> RunConfig {
    RunConfig { network: network(), optimizer, weight_decay: 0.02, seed: 3, ..RunConfig::default() }
}

const ALL: [Optimizer; 4] = [Optimizer::Adam, Optimizer::AdamW, Optimizer::Sgd, Optimizer::RmsProp];

fn start(config: &RunConfig) -> Network {
    Network::new(&config.network, config.seed, &Device::flex().autodiff()).unwrap()
}

/// Batch `step`, another one each time.
fn batch(step: u32) -> Batch {
    let indices: Vec<u32> = (8 * step..8 * step + 8).collect();
    Batch::gather(&digits(80, 1), &indices, 8, 10, &Device::flex().autodiff())
}

async fn weights(network: &Network) -> Vec<f32> {
    read(network.valid().parts()).await.unwrap().concat()
}

/// The trainable values alone: batch norm's statistics change without any optimizer.
async fn trained(network: &Network) -> Vec<f32> {
    // For each of the two blocks: weight, bias, scale, shift, mean, variance.
    let mut parts = network.valid().parts();
    let mut at = 0..;
    parts.retain(|_| at.next().is_some_and(|at| at >= 12 || at % 6 < 4));
    read(parts).await.unwrap().concat()
}

both! {
    async fn each_rule_changes_the_weights_as_burns_own_optimizer_does() {
        let decay = || Some(WeightDecayConfig::new(0.02));
        for optimizer in ALL {
            let mut theirs: ModuleOptimizer = match optimizer {
                Optimizer::Adam => AdamConfig::new().with_epsilon(1e-7).with_weight_decay(decay()).init(),
                Optimizer::AdamW => AdamWConfig::new().with_epsilon(1e-7).with_weight_decay(0.02).init(),
                Optimizer::Sgd => {
                    let momentum = MomentumConfig::new().with_momentum(0.9).with_dampening(0.0);
                    SgdConfig::new().with_momentum(Some(momentum)).with_weight_decay(decay()).init()
                }
                Optimizer::RmsProp => {
                    let config = RmsPropConfig::new().with_momentum(0.0).with_epsilon(1e-7);
                    config.with_weight_decay(decay()).init()
                }
            };
            let config = run(optimizer);
            let mut network = start(&config).train();
            let mut trainer = Trainer::new(start(&config), &config, &Device::flex());
            for step in 0..5 {
                let Batch { input, targets } = batch(step);
                let hidden = network.hidden(input);
                let (loss, _) = network.score(&hidden, &targets, 0.0).expect("the CPU has a kernel for it");
                let gradients = GradientsParams::from_grads(loss.backward(), &network);
                network = theirs.step(RATE, network, gradients);
                trainer.step(batch(step), RATE);
                assert_eq!(weights(&trainer.network()).await, weights(&network).await, "{optimizer:?}, step {step}");
            }
        }
    }

    async fn a_restored_state_goes_on_bit_for_bit() {
        for optimizer in ALL {
            for momentum in [0.9, 0.0] {
                let config = RunConfig { momentum, ..run(optimizer) };
                let mut whole = Trainer::new(start(&config), &config, &Device::flex());
                for step in 0..3 {
                    whole.step(batch(step), RATE);
                }
                let bytes = whole.optimizer_bytes().await.unwrap();
                let saved = whole.network().to_bytes().await.unwrap();
                let network = Network::from_bytes(&config.network, &saved, &Device::flex().autodiff()).unwrap();
                let mut resumed = Trainer::new(network, &config, &Device::flex());
                resumed.restore(3, &bytes).unwrap();
                assert_eq!(resumed.optimizer_bytes().await.unwrap(), bytes);
                for step in 3..6 {
                    whole.step(batch(step), RATE);
                    resumed.step(batch(step), RATE);
                }
                assert_eq!(weights(&whole.network()).await, weights(&resumed.network()).await, "{optimizer:?}");
            }
        }
    }

    async fn state_of_another_size_is_refused_and_the_present_one_stays() {
        let parameters = kiln::model::summarize(&network()).unwrap().parameters();
        for (optimizer, kept) in ALL.into_iter().zip([2, 2, 1, 1]) {
            let config = run(optimizer);
            let mut trainer = Trainer::new(start(&config), &config, &Device::flex());
            assert!(trainer.optimizer_bytes().await.unwrap().is_empty(), "nothing is kept before the first step");
            trainer.step(batch(0), RATE);
            let bytes = trainer.optimizer_bytes().await.unwrap();
            assert_eq!(bytes.len(), 4 + 4 * kept * parameters);
            for len in [1, 3, 4, 5, bytes.len() - 4, bytes.len() - 1, bytes.len() + 4] {
                let mut wrong = bytes.clone();
                wrong.resize(len, 0);
                let error = trainer.restore(9, &wrong).unwrap_err();
                assert_eq!((error.expected, error.found), (bytes.len(), len));
            }
            assert_eq!(trainer.optimizer_bytes().await.unwrap(), bytes);
            trainer.restore(0, &[]).unwrap();
            assert!(trainer.optimizer_bytes().await.unwrap().is_empty());
        }
    }

    async fn gradients_are_clipped_by_their_norm_taken_together() {
        let change = async |clip_norm| {
            let config = RunConfig { clip_norm, momentum: 0.0, weight_decay: 0.0, ..run(Optimizer::Sgd) };
            let mut trainer = Trainer::new(start(&config), &config, &Device::flex());
            let before = trained(&trainer.network()).await;
            trainer.step(batch(0), 1.0);
            let after = trained(&trainer.network()).await;
            before.iter().zip(after).map(|(b, a)| b - a).collect::<Vec<f32>>()
        };
        let norm = |change: &[f32]| change.iter().map(|c| f64::from(*c).powi(2)).sum::<f64>().sqrt();
        // With a step size of 1 and no momentum the change is the gradient.
        let free = change(0.0).await;
        let whole = norm(&free);
        assert!(whole > 0.2, "{whole}");
        let clipped = change(whole / 4.0).await;
        assert!((norm(&clipped) - whole / 4.0).abs() < 1e-4 * whole);
        assert!(free.iter().zip(&clipped).all(|(free, clipped)| (free / 4.0 - clipped).abs() < 1e-5), "one direction");
        assert_eq!(change(2.0 * whole).await, free, "a smaller norm is left as it is");
    }

    async fn smoothed_labels_give_every_class_its_share_of_the_loss() {
        let config = RunConfig { label_smoothing: 0.2, ..run(Optimizer::Adam) };
        let Batch { input, targets } = batch(0);
        let log = burn::tensor::activation::log_softmax(start(&config).train().answer(input), 1);
        let own = (targets * log.clone()).sum_dim(1).mean().neg();
        let all = log.mean().neg();
        let parts = read(vec![own.without_autodiff(), all.without_autodiff()]).await.unwrap();
        let told = Trainer::new(start(&config), &config, &Device::flex()).step(batch(0), RATE);
        let told = read(vec![told]).await.unwrap()[0][0];
        let expected = 0.8 * parts[0][0] + 0.2 * parts[1][0];
        assert!((told - expected).abs() < 1e-5, "{told}, expected {expected}");
    }
}
