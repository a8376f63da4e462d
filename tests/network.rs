//! The network's numbers: shapes, first weights, and forward, loss and gradients against a plain reference in f64.
//! Run natively and in the browser.

mod common;

use burn::tensor::{Device, Tensor};
use common::{digits, drawn};
use kiln::data::Images;
use kiln::device::read;
use kiln::model::{Convolution, Network, NetworkConfig, NetworkError, Padding, summarize};
use kiln::training::trainer::{Batch, count_correct, cross_entropy};

#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

/// A network small enough for finite differences, with everything in it that the article's has.
fn tiny() -> NetworkConfig {
    NetworkConfig {
        convolutions: vec![
            Convolution::new(3, true),
            Convolution { filters: 4, kernel: 3, padding: Padding::Valid, pool: true },
            Convolution::new(5, false),
        ],
        dense: vec![6],
        classes: 10,
        batch_norm: false,
        dropout: 0.0,
    }
}

fn values(bytes: &[u8]) -> Vec<f64> {
    bytes.chunks_exact(4).map(|b| f64::from(f32::from_le_bytes(b.try_into().expect("four bytes")))).collect()
}

/// The mean cross-entropy of the network, written out as the textbook has it.
fn reference_loss(config: &NetworkConfig, weights: &[f64], images: &Images) -> f64 {
    let mut total = 0.0;
    for index in 0..images.len() {
        let mut rest = weights;
        let mut take = |count: usize| {
            let (head, tail) = rest.split_at(count);
            rest = tail;
            head.to_vec()
        };
        let mut x: Vec<f64> = images.image(index).iter().map(|&p| f64::from(p as f32 / 255.0)).collect();
        let (mut channels, mut side) = (1usize, 28usize);
        for conv in &config.convolutions {
            let (k, pad) = (conv.kernel, if conv.padding == Padding::Same { conv.kernel / 2 } else { 0 });
            let (weight, bias) = (take(conv.filters * channels * k * k), take(conv.filters));
            let out = side + 2 * pad + 1 - k;
            let mut y = vec![0.0; conv.filters * out * out];
            for f in 0..conv.filters {
                for row in 0..out {
                    for column in 0..out {
                        let mut sum = bias[f];
                        for c in 0..channels {
                            for dy in 0..k {
                                for dx in 0..k {
                                    let (r, s) = (row + dy, column + dx);
                                    if r >= pad && s >= pad && r - pad < side && s - pad < side {
                                        sum += weight[((f * channels + c) * k + dy) * k + dx]
                                            * x[(c * side + r - pad) * side + s - pad];
                                    }
                                }
                            }
                        }
                        y[(f * out + row) * out + column] = sum.max(0.0);
                    }
                }
            }
            (x, channels, side) = (y, conv.filters, out);
            if conv.pool {
                let half = side / 2;
                let mut pooled = Vec::new();
                for c in 0..channels {
                    for row in 0..half {
                        for column in 0..half {
                            let at = |dy, dx| x[(c * side + 2 * row + dy) * side + 2 * column + dx];
                            pooled.push(at(0, 0).max(at(0, 1)).max(at(1, 0)).max(at(1, 1)));
                        }
                    }
                }
                (x, side) = (pooled, half);
            }
        }
        let layers = config.dense.len();
        for (layer, &outputs) in config.dense.iter().chain([&config.classes]).enumerate() {
            let (weight, bias) = (take(x.len() * outputs), take(outputs));
            let y: Vec<f64> = (0..outputs)
                .map(|o| bias[o] + x.iter().enumerate().map(|(i, v)| v * weight[i * outputs + o]).sum::<f64>())
                .collect();
            x = if layer < layers { y.into_iter().map(|v| v.max(0.0)).collect() } else { y };
        }
        let largest = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = x.iter().map(|v| (v - largest).exp()).sum();
        total += sum.ln() + largest - x[images.labels[index] as usize];
    }
    total / images.len() as f64
}

both! {
    async fn the_articles_network_has_130_250_parameters_and_its_shapes() {
        let summary = summarize(&NetworkConfig::default()).unwrap();
        assert_eq!(summary.parameters(), 130_250);
        let shape = |name: &str| summary.layer(name).unwrap().output.clone();
        assert_eq!(shape("conv1"), [32, 28, 28]);
        assert_eq!(shape("pool1"), [32, 14, 14]);
        assert_eq!(shape("pool2"), [64, 7, 7]);
        assert_eq!(shape("pool3"), [64, 3, 3]);
        assert_eq!(shape("conv4"), [64, 3, 3]);
        assert_eq!(shape("flatten"), [576]);
        assert_eq!(shape("dense1"), [64]);
        assert_eq!(shape("dense2"), [10]);
        let network = Network::new(&NetworkConfig::default(), 1, &Device::flex()).unwrap();
        assert_eq!(network.to_bytes().await.unwrap().len(), 4 * 130_250);
    }

    async fn a_network_of_dense_layers_alone_answers() {
        let config = NetworkConfig { convolutions: Vec::new(), dense: vec![16], ..NetworkConfig::default() };
        let network = Network::new(&config, 1, &Device::flex()).unwrap();
        let batch = Batch::gather(&digits(8, 2), &[0, 1, 2], 3, 10, &Device::flex());
        assert_eq!(network.feature_len(), 784);
        let logits = read(vec![network.answer(batch.input).flatten(0, 1)]).await.unwrap().remove(0);
        assert!(logits.len() == 30 && logits.iter().all(|logit| logit.is_finite()), "{logits:?}");
    }

    async fn a_network_that_can_not_be_built_names_the_layer_and_the_reason() {
        let unpadded = Convolution { filters: 8, kernel: 3, padding: Padding::Valid, pool: true };
        let config = NetworkConfig { convolutions: vec![unpadded; 4], ..NetworkConfig::default() };
        let error = summarize(&config).unwrap_err();
        assert_eq!(error, NetworkError::Kernel { layer: 4, kernel: 3, side: 1 });
        assert_eq!(error.to_string(), "Layer 4 doesn't fit: a 3×3 kernel on 1×1 pixels.");
        let pooled = NetworkConfig { convolutions: vec![Convolution::new(8, true); 5], ..NetworkConfig::default() };
        assert_eq!(summarize(&pooled).unwrap_err(), NetworkError::Pool { layer: 5, side: 1 });
    }

    async fn a_network_larger_than_a_tab_can_hold_names_the_layer_before_anything_is_allocated() {
        let network = |convolutions, dense| NetworkConfig { convolutions, dense, ..NetworkConfig::default() };
        let conv = |filters, kernel| Convolution { kernel, ..Convolution::new(filters, false) };
        summarize(&network(vec![conv(8, 3); 8], vec![16; 4])).unwrap();
        for (config, failing) in [
            (network(vec![conv(8, 3); 9], vec![]), 9),
            (network(vec![conv(8, 3); 2], vec![16; 5]), 7),
            (network(vec![conv(8, 3), conv(8, 13)], vec![]), 2),
            (network(vec![conv(8, 0)], vec![]), 1),
            (network(vec![conv(0, 3)], vec![]), 1),
            (network(vec![conv(8, 3)], vec![0]), 2),
            // 1,024 × 1,024 × 3 × 3 is 9.4 million, twice that too much.
            (network(vec![conv(1024, 3); 4], vec![]), 3),
            (network(vec![conv(64, 3)], vec![1024]), 2),
        ] {
            let error = summarize(&config).unwrap_err();
            assert!(matches!(error, NetworkError::Size { layer, .. } if layer == failing), "{error}");
            assert!(Network::from_bytes(&config, &[], &Device::flex()).is_err());
        }
    }

    async fn the_same_seed_gives_the_same_first_weights_and_another_seed_others() {
        let weights = async |seed| Network::new(&tiny(), seed, &Device::flex()).unwrap().to_bytes().await.unwrap();
        assert_eq!(weights(1).await, weights(1).await);
        assert_ne!(weights(1).await, weights(2).await);
    }

    async fn first_weights_lie_within_glorots_limit_and_biases_are_zero() {
        let network = Network::new(&NetworkConfig::default(), 3, &Device::flex()).unwrap();
        let parts = read(network.parts()).await.unwrap();
        // conv2: 32 → 64 channels, 3×3.
        let limit = (6.0f32 / (32.0 * 9.0 + 64.0 * 9.0)).sqrt();
        assert!(parts[2].iter().all(|w| w.abs() <= limit));
        assert!(parts[2].iter().any(|w| w.abs() > 0.95 * limit));
        assert!(parts[3].iter().all(|&b| b == 0.0));
    }

    async fn a_network_from_its_own_bytes_answers_the_same() {
        let device = Device::flex();
        for config in [tiny(), NetworkConfig { batch_norm: true, ..tiny() }] {
            let network = Network::new(&config, 5, &device).unwrap();
            let bytes = network.to_bytes().await.unwrap();
            let copy = Network::from_bytes(&config, &bytes, &device).unwrap();
            let batch = Batch::gather(&digits(4, 1), &[0, 1, 2, 3], 4, 10, &device);
            let logits = [network, copy].map(|n| n.answer(batch.input.clone()).flatten(0, 1));
            let logits = read(logits.into()).await.unwrap();
            assert_eq!(logits[0], logits[1]);
            assert!(Network::from_bytes(&config, &bytes[4..], &device).is_err());
        }
    }

    async fn loss_and_gradients_agree_with_finite_differences_of_an_f64_reference() {
        // On paper, where the first layers see nothing, what they learn is summed before it reaches them: with a first layer
        // that the second takes for thin, and with one that it doesn't.
        let same = |filters| NetworkConfig {
            convolutions: vec![Convolution::new(filters, true), Convolution::new(6, true), Convolution::new(4, true)],
            ..tiny()
        };
        for (config, images) in [(tiny(), digits(6, 4)), (same(3), drawn(6, 4)), (same(5), drawn(6, 4))] {
            let device = Device::flex().autodiff();
            // Biases, for without them nothing comes of a blank window.
            let mut start = values(&Network::new(&config, 9, &device).unwrap().to_bytes().await.unwrap());
            for (index, value) in start.iter_mut().enumerate().filter(|(_, value)| **value == 0.0) {
                *value = f64::from(0.01 * ((index * 7 % 11) as f32 - 3.0));
            }
            let start: Vec<f32> = start.into_iter().map(|value| value as f32).collect();
            let network = Network::from_values(&config, &start, &device).unwrap();
            let weights = values(&network.to_bytes().await.unwrap());
            let batch = Batch::gather(&images, &[0, 1, 2, 3, 4, 5], 6, 10, &device);
            let loss = cross_entropy(network.answer(batch.input), batch.targets).mean();
            let told = read(vec![loss.clone().without_autodiff()]).await.unwrap()[0][0];
            assert!((f64::from(told) - reference_loss(&config, &weights, &images)).abs() < 1e-5);

            let gradients = loss.backward();
            let gradients: Vec<_> =
                network.gradients(&gradients).into_iter().map(|g| g.expect("all are trained")).collect();
            let gradients: Vec<f32> = read(gradients).await.unwrap().concat();
            assert_eq!(gradients.len(), weights.len());
            // Every 7th parameter, so that each tensor has its share. A step of 1e-6 crosses no kink of ReLU or pool here.
            let mut compared = 0;
            for index in (0..weights.len()).step_by(7) {
                let at = |step: f64| {
                    let mut moved = weights.clone();
                    moved[index] += step;
                    reference_loss(&config, &moved, &images)
                };
                let expected = (at(1e-6) - at(-1e-6)) / 2e-6;
                let found = f64::from(gradients[index]);
                assert!((found - expected).abs() < 1e-5 + 1e-3 * expected.abs(), "{index}: {found} against {expected}");
                compared += usize::from(expected.abs() > 1e-6);
            }
            assert!(compared > 40, "only {compared} of the compared gradients were not zero");
        }
    }

    async fn the_last_layer_with_its_loss_is_what_burns_own_operations_give() {
        let device = Device::flex().autodiff();
        let network = Network::new(&tiny(), 9, &device).unwrap();
        for smoothing in [0.0, 0.1] {
            let mut found = Vec::new();
            for own in [true, false] {
                // The last of seven rows is padding.
                let Batch { input, targets } = Batch::gather(&digits(6, 4), &[0, 1, 2, 3, 4, 5], 7, 10, &device);
                let hidden = network.hidden(input);
                let (loss, metrics) = if own {
                    network.score(&hidden, &targets, smoothing).expect("the CPU has a kernel for it")
                } else {
                    let logits = network.logits(hidden);
                    let correct = count_correct(logits.clone().without_autodiff(), targets.clone().without_autodiff());
                    let targets = targets.mul_scalar(1.0 - smoothing).add_scalar(smoothing / 10.0);
                    let loss = cross_entropy(logits, targets).mean();
                    (loss.clone(), Tensor::cat(vec![loss.without_autodiff(), correct / 7.0], 0))
                };
                let gradients = loss.clone().backward();
                let gradients = network.gradients(&gradients).into_iter().map(|g| g.expect("all are trained"));
                let tensors = [loss.without_autodiff(), metrics].into_iter().chain(gradients).collect();
                found.push(read(tensors).await.unwrap().concat());
            }
            assert_eq!(found[0].len(), found[1].len());
            for (own, burn) in found[0].iter().zip(&found[1]) {
                assert!((own - burn).abs() < 1e-6, "{own} for {burn} with smoothing {smoothing}");
            }
        }
    }
}
