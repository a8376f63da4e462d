//! How a network does on images that it does not learn from, chunk by chunk, so that a session can answer between.

use std::ops::Range;

use burn::tensor::Device;

use super::Score;
use super::exam::{Exam, Read};
use super::source::Source;
use crate::data::Images;
use crate::device::{DeviceLost, read};
use crate::model::{Input, Network};

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

    /// Looks at the next chunk of `source`.
    ///
    /// # Errors
    /// The device was lost.
    pub async fn advance<'a>(&mut self, source: impl Into<Source<'a>>, device: &Device) -> Result<(), DeviceLost> {
        advance_together(std::slice::from_mut(self), source.into(), device).await
    }

    /// Takes one row of logits for each image of `range`; rows beyond it are padding.
    fn take(&mut self, range: Range<usize>, labels: &[u8], logits: &[f32]) {
        for (index, logits) in range.zip(logits.chunks_exact(self.classes)) {
            let label = labels[index];
            let Read { class, sure, loss } = Read::new(logits, label);
            self.exam.labels.push(label);
            self.exam.read.push(class);
            self.exam.sure.push(sure);
            if self.exam.counts(index) {
                self.loss += f64::from(loss);
                self.counted += 1;
            }
        }
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

/// Looks at the next chunk of `source` with networks whose frozen layers are the same: what these make of the images is
/// computed once for all.
///
/// # Errors
/// The device was lost.
pub async fn advance_together(
    evaluations: &mut [Evaluation],
    source: Source<'_>,
    device: &Device,
) -> Result<(), DeviceLost> {
    let Some(first) = evaluations.first() else { return Ok(()) };
    let range = first.done()..source.len().min(first.done() + CHUNK);
    let indices: Vec<u32> = (range.start as u32..range.end as u32).collect();
    let input = match source.gather(&indices, CHUNK.min(source.len().max(1)), device) {
        Input::Images(images) if first.network.is_frozen() => Input::Features(first.network.features(images)),
        input => input,
    };
    let logits = evaluations.iter().map(|one| one.network.answer(input.clone()).flatten(0, 1)).collect();
    for (evaluation, logits) in evaluations.iter_mut().zip(read(logits).await?) {
        evaluation.take(range.clone(), source.labels(), &logits);
    }
    Ok(())
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
