//! A step on the CPU in slices: the batch is cut into parts by a rule that knows nothing but its length, the gradient
//! of each part is computed by itself, and they are added in a fixed order, as a binary tree. So the parts can be
//! computed in one place or in several at one time ([`super::crew`]), and the sum is the same to the last bit.
//! [`super::trainer`] cuts and adds; helpers compute.

use std::ops::Range;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Gradients, Tensor};
use rand::Rng;
use serde::{Deserialize, Serialize};
use web_time::Instant;

use super::crew::{Done, shares};
use super::trainer::{Batch, score, seeded};
use crate::data::Images;
use crate::data::order::{Stream, rng};
use crate::device::{DeviceLost, read};
use crate::model::{Network, NetworkConfig};

/// Parts of a batch, at most: a power of two.
pub const MOST: usize = 8;

/// The images of each part of a batch of `len`: as many parts as a power of two, of lengths that differ by one at
/// most, one after the other. Many, so that many workers, and such of different speed, can be done at the same time; but
/// each has its own gradients of all weights, so not of few images.
pub fn slices(len: usize) -> Vec<Range<usize>> {
    let count = match len {
        0..16 => 1,
        16..32 => 2,
        32..128 => 4,
        _ => MOST,
    };
    shares(len, count).collect()
}

/// What is the same for all slices of a step, but for the weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The network, all of which learns and which has no batch norm: that looks at a whole batch.
    pub network: NetworkConfig,
    /// Share of the targets that is spread over all classes.
    pub label_smoothing: f64,
    /// The run's seed: dropout masks are drawn from it, the step, and the slice.
    pub seed: u32,
    /// Steps done.
    pub step: u32,
    /// Images of the whole batch.
    pub rows: usize,
}

impl Job {
    /// What the dropout masks of a slice are drawn from, if there is dropout.
    pub(super) fn masks(&self, slice: u32) -> Option<u64> {
        (self.network.dropout > 0.0).then(|| rng(self.seed, Stream::Dropout { step: self.step, slice }).next_u64())
    }
}

/// What a slice adds to a step, or several that belong together.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Part {
    /// The first slice.
    pub first: u32,
    /// How many there are: a power of two.
    pub slices: u32,
    /// Their part of the mean loss over the batch, in nats.
    pub loss: f32,
    /// Images read right.
    pub correct: f32,
    /// Their part of the gradients of each trainable tensor, in the network's order.
    pub gradients: Vec<Vec<f32>>,
}

impl Part {
    /// Whether these two are the halves of a larger one.
    fn is_half_with(&self, right: &Part) -> bool {
        let len = self.slices;
        len > 0 && right.slices == len && self.first.is_multiple_of(2 * len) && self.first + len == right.first
    }

    /// The sum of two neighbours.
    fn add(mut self, right: &Part) -> Part {
        self.slices += right.slices;
        self.loss += right.loss;
        self.correct += right.correct;
        for (sum, values) in self.gradients.iter_mut().zip(&right.gradients) {
            kiln_kernels::add(sum, values);
        }
        self
    }
}

/// Puts a part behind those before it, and adds up what belongs together: neighbours first, then their sums, as a binary
/// tree over all slices. Whoever has both halves of a part can add them, so that a helper answers with one sum; once all
/// slices are there, in their order, one part is left.
pub fn add(parts: &mut Vec<Part>, part: Part) {
    parts.push(part);
    while let [.., left, right] = &parts[..]
        && left.is_half_with(right)
    {
        if let (Some(right), Some(left)) = (parts.pop(), parts.pop()) {
            parts.push(left.add(&right));
        }
    }
}

/// Computes slice `index` of a step. `network` is in training, on `device`.
///
/// # Errors
/// The device was lost; the CPU never is.
pub async fn compute(
    network: &Network,
    job: &Job,
    index: u32,
    images: &Images,
    device: &Device,
) -> Result<Part, DeviceLost> {
    let Batch { input, targets } = Batch::of(images, job.network.classes, device);
    let hidden = seeded(device, job.masks(index), || network.hidden(input));
    let (loss, metrics) = score(network, hidden, targets, job.label_smoothing);
    let rows = images.labels.len() as f32;
    let share = rows / job.rows as f32;
    let mut told = vec![metrics];
    told.extend(flat(network, &mut (loss * share).backward()).into_iter().flatten());
    let mut values = read(told).await?.into_iter();
    let metrics = values.next().unwrap_or_default();
    let metric = |at: usize| metrics.get(at).copied().unwrap_or_default();
    let gradients = values.collect();
    Ok(Part { first: index, slices: 1, loss: metric(0) * share, correct: (metric(1) * rows).round(), gradients })
}

/// Computes a helper's slices, of which `first` is the first one's index, as [`compute`] does, and adds up those that
/// belong together.
///
/// # Errors
/// As [`compute`].
pub async fn help(
    network: &Network,
    job: &Job,
    first: u32,
    slices: &[Images],
    device: &Device,
) -> Result<Done, DeviceLost> {
    let started = Instant::now();
    let mut parts = Vec::new();
    for (index, images) in (first..).zip(slices) {
        add(&mut parts, compute(network, job, index, images, device).await?);
    }
    Ok(Done { parts, took: started.elapsed() })
}

/// Takes the gradients of all trainable tensors, flat, in the network's order; `None` for one that had no part in the
/// loss.
pub fn flat(network: &Network, gradients: &mut Gradients) -> Vec<Option<Tensor<1>>> {
    let mut gather = Gather { gradients, flat: Vec::new() };
    network.visit(&mut gather);
    gather.flat
}

struct Gather<'a> {
    gradients: &'a mut Gradients,
    flat: Vec<Option<Tensor<1>>>,
}

impl ModuleVisitor for Gather<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.is_require_grad() {
            let gradient = param.val().grad_remove(self.gradients);
            self.flat.push(gradient.map(|gradient| gradient.flatten(0, D - 1)));
        }
    }
}
