//! How a network does on images that it does not learn from, chunk by chunk, so that a session can answer between.

use burn::tensor::Device;

use super::Score;
use super::trainer::{Batch, count_correct, cross_entropy};
use crate::data::Images;
use crate::device::{DeviceLost, read};
use crate::model::Network;

/// Images in a chunk: enough to keep the device busy, few enough that a drawing is answered in between. Every chunk
/// has this shape; the last one is padded.
pub const CHUNK: usize = 250;

/// An evaluation under way.
#[derive(Debug)]
pub struct Evaluation {
    network: Network,
    classes: usize,
    loss: f64,
    correct: u32,
    done: usize,
}

impl Evaluation {
    /// Of a network that is no longer in training ([`super::trainer::Trainer::network`]).
    pub fn new(network: Network, classes: usize) -> Self {
        Self { network, classes, loss: 0.0, correct: 0, done: 0 }
    }

    /// Images looked at.
    pub fn done(&self) -> usize {
        self.done
    }

    /// Looks at the next chunk of `images`.
    ///
    /// # Errors
    /// The device was lost.
    pub async fn advance(&mut self, images: &Images, device: &Device) -> Result<(), DeviceLost> {
        let end = images.len().min(self.done + CHUNK);
        let indices: Vec<u32> = (self.done as u32..end as u32).collect();
        let len = CHUNK.min(images.len().max(1));
        let batch = Batch::gather(images, &indices, len, self.classes, device);
        let logits = self.network.forward(batch.images);
        let correct = count_correct(logits.clone(), batch.targets.clone());
        let loss = cross_entropy(logits, batch.targets).sum();
        let values = read(vec![loss, correct]).await?;
        self.loss += f64::from(values[0][0]);
        self.correct += values[1][0].round() as u32;
        self.done = end;
        Ok(())
    }

    /// The score of the images looked at so far.
    pub fn score(&self) -> Score {
        let total = self.done as u32;
        Score { loss: (self.loss / f64::from(total.max(1))) as f32, correct: self.correct, total }
    }
}

/// Looks at all images at once.
///
/// # Errors
/// The device was lost.
pub async fn evaluate(network: Network, images: &Images, classes: usize, device: &Device) -> Result<Score, DeviceLost> {
    let mut evaluation = Evaluation::new(network, classes);
    while evaluation.done() < images.len() {
        evaluation.advance(images, device).await?;
    }
    Ok(evaluation.score())
}
