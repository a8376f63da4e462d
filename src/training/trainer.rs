//! One training step: forward, loss, backward, optimizer. Knows no epoch, no order, no page.

use std::ops::Range;
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData, activation};
use web_time::Instant;

use super::RunConfig;
use super::crew::{Answer, Done, Team, Work};
use super::optimizer::{Optimizer, StateError, sizes};
use super::slice::{self, Job, Part};
use super::source::Source;
use crate::data::augment::Changes;
use crate::data::{Images, PIXELS};
use crate::device::{DeviceLost, read_flat};
#[cfg(feature = "gpu")]
use crate::model::Kept;
use crate::model::{Input, Network};

/// What a network is given and one-hot targets, on a device.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Images, or what frozen layers made of them.
    pub input: Input,
    /// `[batch, classes]`, one-hot; a row of zeros is padding: it counts for nothing, but where labels are smoothed.
    pub targets: Tensor<2>,
}

impl Batch {
    /// All of a few images.
    pub fn of(images: &Images, classes: usize, device: &Device) -> Self {
        let indices: Vec<u32> = (0..).take(images.labels.len()).collect();
        Self::gather(images, &indices, indices.len(), classes, device)
    }

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
}

/// The images at `indices` of a set, each with the changes that `draw` gives it.
///
/// # Panics
/// If an index is not in `source`.
pub fn pick(source: &Images, indices: &[u32], draw: impl Fn(u32) -> Changes) -> Images {
    let (images, mut changed) = (source.pixels.as_chunks().0, [0; PIXELS]);
    let mut picked = Images { pixels: Vec::with_capacity(indices.len() * PIXELS), labels: Vec::new() };
    for &index in indices {
        draw(index).apply(&images[index as usize], &mut changed);
        picked.pixels.extend_from_slice(&changed); // one copy: an iterator's bytes come one by one
        picked.labels.push(source.labels[index as usize]);
    }
    picked
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

/// What the last layer makes of what it is given, `[batch, in]`: the mean loss `[1]` of targets of which that share is
/// spread over all classes, and, untracked, `[2]`: that and the share of rows read right.
pub(super) fn score(
    network: &Network,
    hidden: Tensor<2>,
    targets: Tensor<2>,
    smoothing: f64,
) -> (Tensor<1>, Tensor<1>) {
    network.score(&hidden, &targets, smoothing).unwrap_or_else(|| {
        let [rows, _] = targets.dims();
        let logits = network.logits(hidden);
        let loss = smoothed_cross_entropy(logits.clone(), targets.clone(), smoothing).mean();
        let correct = count_correct(logits.without_autodiff(), targets.without_autodiff());
        let metrics = Tensor::cat(vec![loss.clone().without_autodiff(), correct / rows as f32], 0);
        (loss, metrics)
    })
}

/// Cross-entropy of each row, with that share of the targets spread over all classes.
fn smoothed_cross_entropy(logits: Tensor<2>, targets: Tensor<2>, smoothing: f64) -> Tensor<1> {
    let [_, classes] = targets.dims();
    let targets = if smoothing > 0.0 {
        targets.mul_scalar(1.0 - smoothing).add_scalar(smoothing / classes as f64)
    } else {
        targets
    };
    cross_entropy(logits, targets)
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
    /// How many images the run learns from, for a copy of them.
    #[cfg(feature = "gpu")]
    images: usize,
    /// The copy that a GPU keeps of them.
    #[cfg(feature = "gpu")]
    kept: Option<Kept>,
    /// What is said of it to whoever computes slices; also its own settings.
    job: Job,
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
            #[cfg(feature = "gpu")]
            images: config.images() as usize,
            #[cfg(feature = "gpu")]
            kept: None,
            job: Job {
                network: config.network.clone(),
                label_smoothing: config.label_smoothing,
                seed: config.seed,
                step: 0,
                rows: 0,
            },
        }
    }

    /// Goes on after step `step` with the optimizer's state that [`Trainer::optimizer_bytes`] gave then.
    ///
    /// # Errors
    /// The state is of another optimizer or network.
    pub fn restore(&mut self, step: u32, optimizer: &[u8]) -> Result<(), StateError> {
        self.optimizer.restore(&self.network, optimizer, &self.device.clone().inner())?;
        self.job.step = step;
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

    /// Whether a step on images can be done in slices. Batch norm looks at a whole batch, and frozen layers are not
    /// worth helpers.
    pub fn can_slice(&self) -> bool {
        !self.job.network.batch_norm && self.frozen.is_none()
    }

    /// A batch for [`Trainer::step`]: the images at `indices`, each with the changes that `draw` gives it. `images` is what
    /// the run learns from, as far as it is here; a GPU keeps a copy of it, to which only what came since is added, and
    /// makes the batch there.
    ///
    /// # Panics
    /// If an index is not in `images`.
    pub fn batch(&mut self, images: &Images, indices: &[u32], draw: impl Fn(u32) -> Changes) -> Batch {
        let classes = self.job.network.classes;
        #[cfg(feature = "gpu")]
        {
            let end = indices.iter().max().map_or(0, |&last| last as usize + 1);
            if self.kept.as_ref().is_none_or(|kept| kept.room() < end) {
                // How many a fine-tuning run has, it knows when they are all there.
                let all = if self.images < end { images.len() } else { self.images };
                self.kept = None; // first, so that there are never two
                self.kept = Kept::new(all, &self.device);
            }
            if let Some(kept) = &mut self.kept {
                let (images, targets) = kept.batch(images, indices, classes, draw);
                return Batch { input: Input::Images(images), targets };
            }
        }
        Batch::of(&pick(images, indices, draw), classes, &self.device)
    }

    /// No batch is asked for in a while: a GPU need not keep the images.
    pub fn rest(&mut self) {
        #[cfg(feature = "gpu")]
        {
            self.kept = None;
        }
    }

    /// One step on `batch`. Gives `[2]`: the mean loss (of the smoothed targets, if labels are smoothed) and the share
    /// read right, both from before the change. They stay on the device until somebody reads them.
    pub fn step(&mut self, batch: Batch, learning_rate: f64) -> Tensor<1> {
        let Batch { input, targets } = batch;
        let input = match (input, &self.frozen) {
            // Untracked, and for autodiff again: what learns is an operation of one kind of tensors.
            (Input::Images(images), Some(frozen)) => {
                Input::Features(frozen.features(images.without_autodiff()).autodiff())
            }
            (input, _) => input,
        };
        let hidden = seeded(&self.device, self.job.masks(0), || self.network.hidden(input));
        let (loss, metrics) = score(&self.network, hidden, targets, self.job.label_smoothing);
        let gradients = slice::flat(&self.network, &mut loss.backward());
        self.change(gradients, learning_rate);
        metrics
    }

    /// [`Trainer::step`] on the CPU, in slices, by as many of a team as it puts to work.
    ///
    /// # Errors
    /// None on the CPU.
    pub async fn step_in_slices(
        &mut self,
        batch: &Images,
        learning_rate: f64,
        team: &mut Team,
    ) -> Result<Tensor<1>, DeviceLost> {
        let step = self.begin(batch, learning_rate, team).await?;
        self.finish(step, team).await
    }

    /// Begins such a step: the helpers have their slices from now on.
    ///
    /// # Errors
    /// None on the CPU.
    pub async fn begin(&mut self, batch: &Images, learning_rate: f64, team: &mut Team) -> Result<Underway, DeviceLost> {
        let started = Instant::now();
        self.job.rows = batch.labels.len();
        let slices: Vec<Images> = slice::slices(self.job.rows).into_iter().map(|range| batch.part(range)).collect();
        let workers = team.workers(slices.len());
        let mut shares = team.shares(slices.len(), workers).into_iter();
        let own = shares.next().unwrap_or_default();
        let weights = if workers > 1 { read_flat(self.network().parts()).await? } else { Vec::new() };
        let weights = Rc::new(weights);
        let answers = (0..)
            .zip(shares)
            .map(|(helper, share)| {
                let (job, weights, first) = (self.job.clone(), weights.clone(), share.start as u32);
                let work = Work { job, weights, first, slices: slices[share.clone()].to_vec() };
                (share, team.crew().compute(helper, work))
            })
            .collect();
        let spent = Duration::ZERO;
        Ok(Underway { started, learning_rate, slices, workers, own, spent, parts: Vec::new(), answers })
    }

    /// Computes one of the slices that are left to this worker; whether another is left then.
    ///
    /// # Errors
    /// None on the CPU.
    pub async fn go_on(&self, step: &mut Underway) -> Result<bool, DeviceLost> {
        if let Some(index) = step.own.next() {
            let started = Instant::now();
            slice::add(&mut step.parts, self.compute(index, &step.slices).await?);
            step.spent += started.elapsed();
        }
        Ok(!step.own.is_empty())
    }

    /// Computes what is left to this worker, takes the helpers' slices in and ends the step. What a helper owes when it
    /// dies is computed here, so the step is done all the same.
    ///
    /// # Errors
    /// None on the CPU.
    pub async fn finish(&mut self, mut step: Underway, team: &mut Team) -> Result<Tensor<1>, DeviceLost> {
        while self.go_on(&mut step).await? {}
        let Underway { started, learning_rate, slices, workers, own, spent, mut parts, answers } = step;
        let images = |share: Range<usize>| slices[share].iter().map(|slice| slice.labels.len()).sum();
        team.computed(0, images(0..own.end), spent);
        let sizes = sizes(&self.network);
        for (worker, (share, answer)) in (1..).zip(answers) {
            match answer.await.filter(|answer| covers(&answer.parts, &share, &sizes)) {
                Some(Done { parts: helped, took }) => {
                    team.computed(worker, images(share), took);
                    helped.into_iter().for_each(|part| slice::add(&mut parts, part));
                }
                None => {
                    for index in share {
                        slice::add(&mut parts, self.compute(index, &slices).await?);
                    }
                }
            }
        }
        let Part { loss, correct, gradients, .. } = parts.pop().unwrap_or_default();
        let device = self.device.clone().inner();
        let tensor = |values: Vec<f32>| {
            let len = values.len();
            Tensor::from_data(TensorData::new(values, [len]), &device)
        };
        let gradients = gradients.into_iter().map(|values| Some(tensor(values))).collect();
        self.change(gradients, learning_rate);
        team.took(workers, started.elapsed());
        Ok(tensor(vec![loss, correct / self.job.rows as f32]))
    }

    async fn compute(&self, index: usize, slices: &[Images]) -> Result<Part, DeviceLost> {
        slice::compute(&self.network, &self.job, index as u32, &slices[index], &self.device).await
    }

    fn change(&mut self, gradients: Vec<Option<Tensor<1>>>, learning_rate: f64) {
        // burn's modules are mapped by value.
        self.network = self.optimizer.step(self.network.clone(), gradients, learning_rate);
        self.job.step += 1;
    }
}

/// Whether an answer has the gradients, of tensors of these sizes, of all slices that were asked for.
fn covers(answer: &[Part], share: &Range<usize>, sizes: &[usize]) -> bool {
    let next = |at: usize, part: &Part| {
        let fits = part.gradients.iter().map(Vec::len).eq(sizes.iter().copied());
        (part.first as usize == at && fits).then_some(at + part.slices as usize)
    };
    answer.iter().try_fold(share.start, next) == Some(share.end)
}

/// A step in slices that is under way.
pub struct Underway {
    started: Instant,
    learning_rate: f64,
    slices: Vec<Images>,
    /// Those who compute.
    workers: usize,
    /// What is left to this one.
    own: Range<usize>,
    /// How long it has computed.
    spent: Duration,
    /// The slices that are computed, from the first on, those added up that belong together.
    parts: Vec<Part>,
    /// What the helpers will answer, in the slices' order.
    answers: Vec<(Range<usize>, Answer)>,
}

/// Calls `forward` with the generator of dropout's masks seeded, if there is dropout. The device has one generator: it
/// is seeded anew for each step, so that an interruption changes no mask, and held meanwhile, so that no other thread's
/// trainer takes from it.
pub(super) fn seeded<R>(device: &Device, seed: Option<u64>, forward: impl FnOnce() -> R) -> R {
    static GENERATOR: Mutex<()> = Mutex::new(());
    let Some(seed) = seed else { return forward() };
    let _held = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    device.seed(seed);
    forward()
}
