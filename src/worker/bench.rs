//! What `bench.html` measures: the trainer itself, without session and messages, so that a step here is a step there.
//! It runs in a worker, as the engine does.

use burn::tensor::{Tensor, TensorData};
use wasm_bindgen::prelude::*;
use web_time::Instant;

use super::helper::Helpers;
use crate::data::augment::{Augmentation, Changes};
use crate::data::{CLASSES, Images, PIXELS, SIDE};
use crate::device::{DeviceLost, Opened, read};
use crate::model::{Network, NetworkConfig, Trainable};
use crate::protocol::{DeviceKind, DeviceReason};
use crate::training::RunConfig;
use crate::training::crew::{Crew, Team};
use crate::training::source::{self, Features};
use crate::training::trainer::{Batch, Trainer, pick};

/// The article's network, or one of other filters, in training on a data set that the caller brings.
#[wasm_bindgen]
pub struct Bench {
    device: Opened,
    config: NetworkConfig,
    images: Images,
    trainer: Trainer,
    team: Team,
    /// Those that work on a step.
    workers: usize,
}

fn thrown(what: impl std::fmt::Display) -> JsValue {
    js_sys::Error::new(&what.to_string()).into()
}

#[wasm_bindgen]
impl Bench {
    /// Opens `device` (`cpu` or `webgpu`). `weights` are in the order of `Network::parts`, `filters` has each
    /// convolution's, `pixels` and `labels` the training images. On the CPU, `workers` work on a step; `script` starts
    /// a helper.
    ///
    /// # Errors
    /// The device can't be opened, or the weights are of another network.
    pub async fn open(
        device: String,
        filters: Vec<usize>,
        weights: Vec<f32>,
        pixels: Vec<u8>,
        labels: Vec<u8>,
        workers: usize,
        script: String,
    ) -> Result<Bench, JsValue> {
        let kind = if device == "webgpu" { DeviceKind::WebGpu } else { DeviceKind::Cpu };
        let (opened, reason) = super::device::open(kind, DeviceReason::Asked).await;
        if opened.kind != kind {
            return Err(thrown(format!("{device} can't be opened: {reason:?}")));
        }
        let mut config = RunConfig { train_size: labels.len() as u32, ..RunConfig::default() };
        config.network.convolutions.truncate(filters.len());
        for (convolution, filters) in config.network.convolutions.iter_mut().zip(filters) {
            convolution.filters = filters;
        }
        let training = opened.device.clone().autodiff();
        let network = Network::from_values(&config.network, &weights, &training).map_err(thrown)?;
        let trainer = Trainer::new(network, &config, &opened.device);
        let helpers = if kind == DeviceKind::Cpu { workers.saturating_sub(1) } else { 0 };
        let mut helpers = Helpers::start(&script, helpers);
        helpers.ready().await;
        let workers = helpers.len() + 1;
        let mut team = Team::new(helpers);
        team.ask_for(Some(workers));
        Ok(Bench { device: opened, config: config.network, images: Images { pixels, labels }, trainer, team, workers })
    }

    /// How many work on a step.
    #[wasm_bindgen(getter)]
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// One step on the images at `indices`. With `read_loss`, waits for it and gives the loss; else 0.
    ///
    /// # Errors
    /// The device was lost.
    pub async fn step(&mut self, indices: Vec<u32>, learning_rate: f64, read_loss: bool) -> Result<f32, JsValue> {
        let metrics = if self.device.kind == DeviceKind::Cpu {
            let batch = pick(&self.images, &indices, |_| Changes::default());
            self.trainer.step_in_slices(&batch, learning_rate, &mut self.team).await.map_err(thrown)?
        } else {
            let batch = self.trainer.batch(&self.images, &indices, |_| Changes::default());
            self.trainer.step(batch, learning_rate)
        };
        Ok(if read_loss { read(vec![metrics]).await.map_err(thrown)?[0][0] } else { 0.0 })
    }

    /// Makes a batch of the images at `indices` with the page's strongest augmentation; how many images it has.
    pub fn augment(&self, indices: Vec<u32>) -> usize {
        let batch = pick(&self.images, &indices, |index| Changes::draw(&Augmentation::ROBUST, 1, 1, index));
        batch.labels.len()
    }

    /// An epoch of the first `count` images in batches of 128 with the convolutions frozen: milliseconds for what they
    /// make of each image, which is kept, and for the epoch itself.
    ///
    /// # Errors
    /// The device was lost.
    pub async fn frozen(&self, count: usize) -> Result<Vec<f64>, JsValue> {
        const BATCH: usize = 128;
        let indices: Vec<u32> = (0..count.min(self.images.labels.len()) as u32).collect();
        let started = Instant::now();
        let network = self.trainer.network();
        let mut features = Features { len: network.feature_len(), ..Features::default() };
        for batch in indices.chunks(BATCH) {
            let device = &self.device.device;
            features
                .values
                .extend(source::features(&network, &self.images, batch, BATCH, device).await.map_err(thrown)?);
            features.labels.extend(batch.iter().map(|&index| self.images.labels[index as usize]));
        }
        let prepared = started.elapsed();
        let mut config = RunConfig::default();
        config.network = self.config.clone();
        let training = self.device.device.clone().autodiff();
        let weights = network.to_bytes().await.map_err(thrown)?;
        let network = Network::from_bytes(&config.network, &weights, &training).map_err(thrown)?;
        let mut trainer = Trainer::new(network.freeze(Trainable::Dense), &config, &self.device.device);
        let started = Instant::now();
        for batch in indices.chunks(BATCH) {
            let batch = Batch::gather(&features, batch, batch.len(), CLASSES, trainer.device());
            read(vec![trainer.step(batch, 1e-3)]).await.map_err(thrown)?;
        }
        Ok([prepared, started.elapsed()].map(|time| time.as_secs_f64() * 1000.0).into())
    }

    /// `count × 10` logits of `count × 784` pixels.
    ///
    /// # Errors
    /// The device was lost, or there are not that many pixels.
    pub async fn infer(&self, pixels: Vec<u8>, count: usize) -> Result<Vec<f32>, JsValue> {
        if pixels.len() != count * PIXELS {
            return Err(thrown("784 pixels for each image"));
        }
        let values: Vec<f32> = pixels.into_iter().map(|p| f32::from(p) / 255.0).collect();
        let images = Tensor::from_data(TensorData::new(values, [count, 1, SIDE, SIDE]), &self.device.device);
        let logits = self.trainer.network().forward(images).flatten(0, 1);
        read(vec![logits]).await.map(|mut values| values.remove(0)).map_err(|lost: DeviceLost| thrown(lost))
    }
}
