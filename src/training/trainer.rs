//! One training step: forward, loss, backward, optimizer. Knows no epoch, no order, no page.

use std::sync::{Mutex, PoisonError};

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData, activation};
use rand::Rng;

use super::RunConfig;
use super::optimizer::{Optimizer, StateError};
use super::source::{Source, scaled};
use crate::data::augment::Changes;
use crate::data::order::{Stream, rng};
use crate::data::{Images, PIXELS, SIDE};
use crate::device::DeviceLost;
use crate::model::{Input, Network};

/// What a network is given and one-hot targets, on a device.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Images, or what frozen layers made of them.
    pub input: Input,
    /// `[batch, classes]`, one-hot; a row of zeros is padding and counts for nothing.
    pub targets: Tensor<2>,
}

impl Batch {
    /// Gathers the images at `indices` and pads with empty ones up to `len`.
    ///
    /// # Panics
    /// If an index is not in `source`, or there are more than `len`.
    pub fn gather<'a>(
        source: impl Into<Source<'a>>,
        indices: &[u32],
        len: usize,
        classes: usize,
        device: &Device,
    ) -> Self {
        let source = source.into();
        let input = source.gather(indices, len, device);
        Self { input, targets: one_hot(source.labels(), indices, len, classes, device) }
    }

    /// Gathers the images at `indices`, each with the changes that `draw` gives it.
    ///
    /// # Panics
    /// If an index is not in `source`.
    pub fn augmented(
        source: &Images,
        indices: &[u32],
        classes: usize,
        device: &Device,
        draw: impl Fn(u32) -> Changes,
    ) -> Self {
        let len = indices.len();
        let mut pixels = Vec::with_capacity(len * PIXELS);
        let (images, mut changed) = (source.pixels.as_chunks().0, [0; PIXELS]);
        for &index in indices {
            draw(index).apply(&images[index as usize], &mut changed);
            pixels.extend(changed.map(scaled));
        }
        let images = Tensor::from_data(TensorData::new(pixels, [len, 1, SIDE, SIDE]), device);
        Self { input: Input::Images(images), targets: one_hot(&source.labels, indices, len, classes, device) }
    }
}

fn one_hot(labels: &[u8], indices: &[u32], len: usize, classes: usize, device: &Device) -> Tensor<2> {
    let mut targets = vec![0.0f32; len * classes];
    for (row, &index) in indices.iter().enumerate() {
        targets[row * classes + labels[index as usize] as usize] = 1.0;
    }
    Tensor::from_data(TensorData::new(targets, [len, classes]), device)
}

/// Cross-entropy of each row from logits, in nats: `[batch, classes]` twice → `[batch]`. Padding rows give 0.
pub fn cross_entropy(logits: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
    (targets * activation::log_softmax(logits, 1)).sum_dim(1).squeeze_dim::<1>(1).neg()
}

/// How many rows are read right: `[batch, classes]` twice → `[1]`. Padding rows count for nothing.
pub fn count_correct(logits: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
    let right = logits.argmax(1).equal(targets.clone().argmax(1)).float();
    (right * targets.sum_dim(1)).sum()
}

/// A network in training and its optimizer.
pub struct Trainer {
    network: Network,
    /// The frozen layers, for reading: nothing that they compute is tracked. `None` if all layers learn.
    frozen: Option<Network>,
    optimizer: Optimizer,
    device: Device,
    label_smoothing: f64,
    /// What dropout masks are drawn from, if there is dropout.
    seed: Option<u32>,
    /// Steps done.
    step: u32,
}

impl Trainer {
    /// Takes a network over, on its device, before the first step of the run that `config` describes.
    pub fn new(network: Network, config: &RunConfig, device: &Device) -> Self {
        let network = network.train();
        Self {
            frozen: network.is_frozen().then(|| network.valid()),
            network,
            optimizer: Optimizer::new(config),
            device: device.clone().autodiff(),
            label_smoothing: config.label_smoothing,
            seed: (config.network.dropout > 0.0).then_some(config.seed),
            step: 0,
        }
    }

    /// Goes on after step `step` with the optimizer's state that [`Trainer::optimizer_bytes`] gave then.
    ///
    /// # Errors
    /// The state is of another optimizer or network.
    pub fn restore(&mut self, step: u32, optimizer: &[u8]) -> Result<(), StateError> {
        self.optimizer.restore(&self.network, optimizer, &self.device.clone().inner())?;
        self.step = step;
        Ok(())
    }

    /// The optimizer's state, to go on from with the network as it stands. One read from the device.
    ///
    /// # Errors
    /// The device was lost.
    pub async fn optimizer_bytes(&self) -> Result<Vec<u8>, DeviceLost> {
        self.optimizer.to_bytes().await
    }

    /// Where batches for [`Trainer::step`] are made.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The network as it stands, for reading: no gradients, no dropout, its own batch norm statistics.
    pub fn network(&self) -> Network {
        self.network.valid()
    }

    /// One step on `batch`. Gives `[2]`: the mean loss (of the smoothed targets, if labels are smoothed) and the share
    /// read right, both from before the change. They stay on the device until somebody reads them.
    pub fn step(&mut self, batch: Batch, learning_rate: f64) -> Tensor<1> {
        let [rows, classes] = batch.targets.dims();
        let logits = self.forward(batch.input);
        let targets = if self.label_smoothing > 0.0 {
            let spread = self.label_smoothing / classes as f64;
            batch.targets.clone().mul_scalar(1.0 - self.label_smoothing).add_scalar(spread)
        } else {
            batch.targets.clone()
        };
        let loss = cross_entropy(logits.clone(), targets).mean();
        let correct = count_correct(logits.without_autodiff(), batch.targets.without_autodiff());
        let metrics = Tensor::cat(vec![loss.clone().without_autodiff(), correct / rows as f32], 0);
        // burn's modules are mapped by value.
        self.network = self.optimizer.step(self.network.clone(), &mut loss.backward(), learning_rate);
        self.step += 1;
        metrics
    }

    /// The masks of dropout are drawn on the device, by its one generator. It is seeded anew for each step, so that an
    /// interruption changes no mask, and held meanwhile, so that no other thread's trainer takes from it.
    fn forward(&self, input: Input) -> Tensor<2> {
        let input = match (input, &self.frozen) {
            (Input::Images(images), Some(frozen)) => Input::Features(frozen.features(images.without_autodiff())),
            (input, _) => input,
        };
        static GENERATOR: Mutex<()> = Mutex::new(());
        let Some(seed) = self.seed else { return self.network.answer(input) };
        let _held = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
        self.device.seed(rng(seed, Stream::Dropout(self.step)).next_u64());
        self.network.answer(input)
    }
}
