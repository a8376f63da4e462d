//! How a network does on images that it does not learn from, chunk by chunk, so that a session can answer between.

use burn::tensor::Device;

use super::exam::{Exam, Read};
use super::{Score, trainer::gather_images};
use crate::data::Images;
use crate::device::{DeviceLost, read};
use crate::model::Network;

/// Images in a chunk: enough to keep the device busy, few enough that a drawing is answered in between. Every chunk
/// has this shape; the last one is padded.
pub const CHUNK: usize = 250;

/// An evaluation under way. Only the logits leave the device, once a chunk; what they mean is worked out here.
#[derive(Debug)]
pub struct Evaluation {
    network: Network,
    classes: usize,
    /// Of the images that count, summed.
    loss: f64,
    counted: u32,
    exam: Exam,
}

impl Evaluation {
    /// Of a network that is no longer in training ([`super::trainer::Trainer::network`]).
    pub fn new(network: Network, classes: usize) -> Self {
        Self { network, classes, loss: 0.0, counted: 0, exam: Exam::default() }
    }

    /// Leaves images out of every count: those that the network was trained on. They are read all the same.
    pub fn leaving_out(mut self, mut indices: Vec<u32>) -> Self {
        indices.sort_unstable();
        indices.dedup();
        self.exam.left_out = indices;
        self
    }

    /// Images looked at.
    pub fn done(&self) -> usize {
        self.exam.read.len()
    }

    /// Looks at the next chunk of `images`.
    ///
    /// # Errors
    /// The device was lost.
    pub async fn advance(&mut self, images: &Images, device: &Device) -> Result<(), DeviceLost> {
        let range = self.done()..images.len().min(self.done() + CHUNK);
        let indices: Vec<u32> = (range.start as u32..range.end as u32).collect();
        let batch = gather_images(images, &indices, CHUNK.min(images.len().max(1)), device);
        let logits = read(vec![self.network.forward(batch).flatten(0, 1)]).await?.remove(0);
        // Rows beyond the range are padding.
        for (index, logits) in range.zip(logits.chunks_exact(self.classes)) {
            let label = images.labels[index];
            let Read { class, sure, loss } = Read::new(logits, label);
            self.exam.labels.push(label);
            self.exam.read.push(class);
            self.exam.sure.push(sure);
            if self.exam.counts(index) {
                self.loss += f64::from(loss);
                self.counted += 1;
            }
        }
        Ok(())
    }

    /// The readings of the images looked at so far.
    pub fn exam(&self) -> Exam {
        Exam { loss: (self.loss / f64::from(self.counted.max(1))) as f32, ..self.exam.clone() }
    }

    /// The score of the images looked at so far.
    pub fn score(&self) -> Score {
        self.exam().score()
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
