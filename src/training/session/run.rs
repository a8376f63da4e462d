//! One run of a [`super::Session`]: where it is, what it is busy with, and its pieces of work.

use std::time::Duration;

use burn::tensor::Tensor;
use serde_bytes::ByteBuf;
use web_time::Instant;

use super::super::evaluation::Evaluation;
use super::super::trainer::{Batch, Trainer};
use super::super::{BestNetwork, Checkpoint, RunConfig, Score, StepPoint};
use crate::data::Images;
use crate::data::order::epoch_order;
use crate::device::{DeviceLost, read};
use crate::model::Network;
use crate::protocol::{Event, Failure, RunId};

/// How often the losses of a run are read from the device, at most. Reading waits for the device, which keeps the
/// queue short, and costs a round trip, so it is not done after every step where steps are fast.
const READ_EVERY: Duration = Duration::from_millis(100);
/// Steps queued without a read, at most.
const MAX_UNREAD: usize = 32;

/// What a run is busy with.
#[derive(Debug)]
pub(super) enum Activity {
    Train,
    Validate(Evaluation),
    Test(Evaluation),
    /// No longer busy.
    Ended,
}

/// Whether it goes on by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    Running,
    /// Does one step, then pauses.
    OneBatch,
    /// Was asked to pause, or to stop: unread losses are read first.
    Pausing,
    Paused,
    Stopping,
}

pub(super) struct Run {
    pub(super) id: RunId,
    pub(super) config: RunConfig,
    pub(super) learning_rate: f64,
    pub(super) trainer: Trainer,
    /// Steps done.
    pub(super) step: u32,
    /// The order of the epoch that `step` lies in.
    pub(super) order: (u32, Vec<u32>),
    pub(super) activity: Activity,
    pub(super) pace: Pace,
    /// Whether it was said that the run waits for data.
    pub(super) waiting: bool,
    /// Metrics of the last steps, still on the device.
    pub(super) unread: Vec<Tensor<1>>,
    pub(super) meter: Meter,
    /// Epochs validated.
    pub(super) validated: u32,
    pub(super) tested: bool,
    /// Whether it belongs to a sweep: then it never sees the test images, and leaves no checkpoint.
    pub(super) is_trial: bool,
    pub(super) best: Option<Best>,
    /// Set when the run ended with its last step: the network that is used from then on.
    pub(super) chosen: Option<Network>,
}

pub(super) struct Best {
    pub(super) epoch: u32,
    pub(super) score: Score,
    pub(super) network: Network,
}

/// Training speed over the steps since the last read.
pub(super) struct Meter {
    pub(super) since: Instant,
    pub(super) images_per_second: f32,
}

impl Meter {
    pub(super) fn new() -> Self {
        Self { since: Instant::now(), images_per_second: 0.0 }
    }

    /// A pause is not training time.
    pub(super) fn restart(&mut self) {
        self.since = Instant::now();
    }

    pub(super) fn read(&mut self, images: usize) -> f32 {
        let seconds = self.since.elapsed().as_secs_f32();
        self.since = Instant::now();
        if seconds > 0.0 {
            let now = images as f32 / seconds;
            // A moving average over about a second.
            let weight = if self.images_per_second == 0.0 { 1.0 } else { seconds.min(1.0) };
            self.images_per_second += weight * (now - self.images_per_second);
        }
        self.images_per_second
    }
}

impl Run {
    /// The network that answers drawings: the best one once the run has had its last step, else the present one.
    pub(super) fn network(&self) -> Network {
        self.chosen.clone().unwrap_or_else(|| self.trainer.network())
    }

    pub(super) fn pause(&mut self) {
        if matches!(self.pace, Pace::Running | Pace::OneBatch) && !matches!(self.activity, Activity::Ended) {
            self.pace = Pace::Pausing;
        }
    }

    /// Whether steps or validations are left.
    pub(super) fn unfinished(&self) -> bool {
        self.step < self.config.steps() || self.validated < self.config.epochs
    }

    /// Goes on from a pause, or from a stop with whatever was left to do.
    pub(super) fn go(&mut self, pace: Pace) -> Vec<Event> {
        if matches!(self.activity, Activity::Ended) {
            let epoch = self.step / self.config.batches_per_epoch();
            if self.validated < epoch {
                self.validate();
            } else if self.unfinished() {
                self.activity = Activity::Train;
            } else if !self.tested {
                self.test();
            } else {
                return Vec::new();
            }
        } else if self.pace != Pace::Paused {
            return Vec::new();
        }
        self.pace = pace;
        self.waiting = false;
        self.meter.restart();
        vec![Event::Resumed { run: self.id }]
    }

    /// Training images that the next batch can't do without.
    pub(super) fn needed(&self, block: usize) -> usize {
        let (per_epoch, size) = (self.config.batches_per_epoch(), self.config.train_size as usize);
        if self.step >= per_epoch || block == 0 {
            return size;
        }
        // The first epoch visits one shard after the other (data::order).
        let end = (self.step as usize + 1) * self.config.batch_len();
        (end.div_ceil(block) * block).min(size)
    }

    /// One training step, and the read of what has gathered when it is time.
    pub(super) async fn train(
        &mut self,
        images: &Images,
        block: usize,
        events: &mut Vec<Event>,
    ) -> Result<(), DeviceLost> {
        let (per_epoch, len) = (self.config.batches_per_epoch(), self.config.batch_len());
        let epoch = self.step / per_epoch;
        if self.order.0 != epoch {
            let size = self.config.train_size as usize;
            self.order = (epoch, epoch_order(self.config.seed, epoch, size, block));
        }
        let start = (self.step % per_epoch) as usize * len;
        let indices = &self.order.1[start..start + len];
        let batch = Batch::gather(images, indices, len, self.config.network.classes, self.trainer.device());
        self.unread.push(self.trainer.step(batch, self.learning_rate));
        self.step += 1;
        let one_batch = self.pace == Pace::OneBatch;
        let epoch_ends = self.step.is_multiple_of(per_epoch);
        let due = self.meter.since.elapsed() >= READ_EVERY || self.unread.len() >= MAX_UNREAD;
        if (due || one_batch || epoch_ends) && !self.flush(events).await? {
            return Ok(());
        }
        if epoch_ends {
            self.validate();
        }
        if one_batch {
            self.pace = Pace::Paused;
            events.push(Event::Paused { run: self.id, step: self.step });
        }
        Ok(())
    }

    /// Reads what has gathered and tells it. `false`: a loss is no longer a number, and the run has ended.
    pub(super) async fn flush(&mut self, events: &mut Vec<Event>) -> Result<bool, DeviceLost> {
        if self.unread.is_empty() {
            return Ok(true);
        }
        let unread = std::mem::take(&mut self.unread);
        let count = unread.len();
        let first = self.step - count as u32;
        let values = read(vec![Tensor::cat(unread, 0)]).await?.remove(0);
        let points: Vec<StepPoint> = values
            .chunks_exact(2)
            .zip(first + 1..)
            .map(|(metrics, step)| StepPoint { step, loss: metrics[0], accuracy: metrics[1] })
            .collect();
        let images_per_second = self.meter.read(count * self.config.batch_len());
        let bad = points.iter().position(|point| !point.loss.is_finite());
        let good = points[..bad.unwrap_or(points.len())].to_vec();
        if !good.is_empty() {
            events.push(Event::Steps { run: self.id, points: good, images_per_second });
        }
        let Some(bad) = bad else { return Ok(true) };
        let step = points[bad].step;
        // Nothing can go on from here.
        (self.step, self.validated, self.tested) = (self.config.steps(), self.config.epochs, true);
        self.activity = Activity::Ended;
        self.chosen = self.best.as_ref().map(|best| best.network.clone());
        events.push(Event::Failed { run: Some(self.id), failure: Failure::NotFinite { step } });
        Ok(false)
    }

    /// An epoch's validation is complete.
    pub(super) async fn validated(&mut self, events: &mut Vec<Event>) -> Result<(), DeviceLost> {
        let Activity::Validate(evaluation) = &self.activity else { return Ok(()) };
        let (score, epoch) = (evaluation.score(), self.step / self.config.batches_per_epoch());
        let network = self.trainer.network();
        // The earlier one wins a tie: it has seen less.
        let best = self.best.as_ref().is_none_or(|best| score.correct > best.score.correct);
        self.validated = epoch;
        if best {
            self.best = Some(Best { epoch, score, network });
        }
        events.push(Event::Validated { run: self.id, epoch, score, best });
        if !self.is_trial {
            let checkpoint = self.checkpoint(Some(score)).await?;
            events.push(Event::Checkpoint { run: self.id, checkpoint: Box::new(checkpoint) });
        }
        self.meter.restart();
        if self.unfinished() {
            self.activity = Activity::Train;
        } else {
            self.complete(events);
        }
        Ok(())
    }

    /// The run as it stands, after `score` if it was just validated.
    async fn checkpoint(&self, score: Option<Score>) -> Result<Checkpoint, DeviceLost> {
        let best = match &self.best {
            Some(Best { epoch, score, network }) => {
                Some(BestNetwork { epoch: *epoch, score: *score, weights: ByteBuf::from(network.to_bytes().await?) })
            }
            None => None,
        };
        Ok(Checkpoint {
            config: self.config.clone(),
            learning_rate: self.learning_rate,
            step: self.step,
            epoch: self.validated,
            score,
            weights: ByteBuf::from(self.trainer.network().to_bytes().await?),
            optimizer: ByteBuf::new(),
            best,
            without_gain: 0,
            basis: None,
        })
    }

    pub(super) fn validate(&mut self) {
        self.activity = Activity::Validate(Evaluation::new(self.trainer.network(), self.config.network.classes));
    }

    /// After the last step.
    pub(super) fn complete(&mut self, events: &mut Vec<Event>) {
        if self.is_trial { self.end(false, None, events) } else { self.test() }
    }

    /// The network with the best validation takes the test.
    pub(super) fn test(&mut self) {
        self.chosen = self.best.as_ref().map(|best| best.network.clone());
        self.activity = Activity::Test(Evaluation::new(self.network(), self.config.network.classes));
    }

    pub(super) fn end(&mut self, stopped: bool, test: Option<Score>, events: &mut Vec<Event>) {
        self.activity = Activity::Ended;
        self.pace = Pace::Paused;
        self.waiting = false;
        self.tested = test.is_some();
        let best_epoch = self.chosen.as_ref().and(self.best.as_ref()).map(|best| best.epoch);
        events.push(Event::Finished { run: self.id, step: self.step, stopped, best_epoch, test });
    }
}
