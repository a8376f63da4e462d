//! One training step: forward, loss, backward, Adam. Knows no epoch, no order, no page.

use burn::module::Module;
use burn::optim::{AdamConfig, GradientsParams, ModuleOptimizer};
use burn::tensor::{Device, Tensor, TensorData, activation};

use crate::data::{Images, PIXELS, SIDE};
use crate::model::Network;

/// Images and one-hot targets on a device.
#[derive(Debug, Clone)]
pub struct Batch {
    /// `[batch, 1, 28, 28]`, 0 … 1.
    pub images: Tensor<4>,
    /// `[batch, classes]`, one-hot; a row of zeros is padding and counts for nothing.
    pub targets: Tensor<2>,
}

impl Batch {
    /// Gathers the images at `indices` and pads with empty ones up to `len`.
    ///
    /// # Panics
    /// If an index is not in `source`, or there are more than `len`.
    pub fn gather(source: &Images, indices: &[u32], len: usize, classes: usize, device: &Device) -> Self {
        let images = gather_images(source, indices, len, device);
        let mut targets = vec![0.0f32; len * classes];
        for (row, &index) in indices.iter().enumerate() {
            targets[row * classes + source.labels[index as usize] as usize] = 1.0;
        }
        Self { images, targets: Tensor::from_data(TensorData::new(targets, [len, classes]), device) }
    }
}

/// The images at `indices` without their labels, padded with empty ones up to `len`: `[len, 1, 28, 28]`, 0 … 1.
///
/// # Panics
/// If an index is not in `source`, or there are more than `len`.
pub fn gather_images(source: &Images, indices: &[u32], len: usize, device: &Device) -> Tensor<4> {
    assert!(indices.len() <= len, "more images than the batch holds");
    let mut pixels = Vec::with_capacity(len * PIXELS);
    for &index in indices {
        pixels.extend(source.image(index as usize).iter().map(|&p| f32::from(p) / 255.0));
    }
    pixels.resize(len * PIXELS, 0.0);
    Tensor::from_data(TensorData::new(pixels, [len, 1, SIDE, SIDE]), device)
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
    optimizer: ModuleOptimizer,
    device: Device,
}

impl Trainer {
    /// Takes a network over, on its device. Adam with the article's defaults: β 0.9 and 0.999, ε 1e-7 (Keras').
    pub fn new(network: Network, device: &Device) -> Self {
        Self {
            network: network.train(),
            optimizer: AdamConfig::new().with_epsilon(1e-7).init(),
            device: device.clone().autodiff(),
        }
    }

    /// Where batches for [`Trainer::step`] are made.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The network as it stands, for reading: no gradients, no dropout, its own batch norm statistics.
    pub fn network(&self) -> Network {
        self.network.valid()
    }

    /// One step on `batch`. Gives `[2]`: the mean loss and the share read right, both from before the change. They
    /// stay on the device until somebody reads them.
    pub fn step(&mut self, batch: Batch, learning_rate: f64) -> Tensor<1> {
        let rows = batch.targets.dims()[0] as f32;
        let logits = self.network.forward(batch.images);
        let loss = cross_entropy(logits.clone(), batch.targets.clone()).mean();
        let correct = count_correct(logits.without_autodiff(), batch.targets.without_autodiff());
        let metrics = Tensor::cat(vec![loss.clone().without_autodiff(), correct / rows], 0);
        let gradients = GradientsParams::from_grads(loss.backward(), &self.network);
        // burn's optimizer takes the module by value and gives it back.
        self.network = self.optimizer.step(learning_rate, self.network.clone(), gradients);
        metrics
    }
}
