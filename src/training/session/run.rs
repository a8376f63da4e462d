//! One run of a [`super::Session`]: where it is, what it is busy with, and its pieces of work.

use std::time::Duration;

use burn::tensor::{Device, Tensor};
use serde_bytes::ByteBuf;
use web_time::Instant;

use super::super::crew::Team;
use super::super::evaluation::Evaluation;
use super::super::finetune::FineTuneProblem;
use super::super::source::Source;
use super::super::trainer::{Batch, Trainer, Underway, pick};
use super::super::{BestNetwork, Checkpoint, RunConfig, Score, StepPoint, config};
use super::finetune::{Comparing, FineTuning, Sets};
use crate::data::augment::Changes;
use crate::data::order::epoch_order;
use crate::data::{Dataset, Split};
use crate::device::{DeviceLost, read};
use crate::model::{Network, Trainable};
use crate::protocol::{ConfigurationProblem, Event, Failure, RunId};

/// How often the losses of a run are read from the device, at most. Reading waits for the device, which keeps the
/// queue short, and costs a round trip, so it is not done after every step where steps are fast.
const READ_EVERY: Duration = Duration::from_millis(100);
/// Steps queued without a read, at most.
const MAX_UNREAD: usize = 32;

/// What a run is busy with.
#[derive(Debug)]
pub(super) enum Activity {
    /// A fine-tuning run gets its data ready.
    Prepare,
    Train,
    Validate(Evaluation),
    Test(Evaluation),
    /// A fine-tuning run is compared with what it began with: its test.
    Compare(Box<Comparing>),
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
    /// Set if it is a fine-tuning run.
    pub(super) finetuning: Option<Box<FineTuning>>,
    /// Steps done.
    pub(super) step: u32,
    /// The next one, if it has begun. It is ended before anything else is done.
    pub(super) underway: Option<Underway>,
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
    /// The latest validation.
    pub(super) score: Option<Score>,
    /// Validations in a row that brought nothing better.
    pub(super) without_gain: u32,
    pub(super) tested: bool,
    /// Whether it belongs to a sweep: then it never sees the test images, and leaves no checkpoint.
    pub(super) is_trial: bool,
    /// Whether it ends itself before its last step, since validation brings nothing better any more.
    pub(super) early: bool,
    pub(super) best: Option<Best>,
    /// Set when the run ended with its last step: the network that is used from then on.
    pub(super) chosen: Option<Network>,
}

pub(super) struct Best {
    pub(super) epoch: u32,
    pub(super) score: Score,
    pub(super) network: Network,
}

/// Training speed, read every now and then: the mean of the first second, then a moving average over about a second.
pub(super) struct Meter {
    since: Instant,
    /// What has been read so far, up to that second.
    seconds: f32,
    images_per_second: f32,
}

impl Meter {
    pub(super) fn new() -> Self {
        Self { since: Instant::now(), seconds: 0.0, images_per_second: 0.0 }
    }

    /// Whether it is time to read: the first step is told at once, for somebody waits for it.
    fn is_due(&self) -> bool {
        self.seconds == 0.0 || self.since.elapsed() >= READ_EVERY
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
            self.seconds = (self.seconds + seconds).min(1.0);
            self.images_per_second += (seconds / self.seconds).min(1.0) * (now - self.images_per_second);
        }
        self.images_per_second
    }
}

impl Run {
    /// A run before its first step, or as the checkpoint has it.
    pub(super) fn start(
        id: RunId,
        config: RunConfig,
        from: Option<Checkpoint>,
        finetuning: Option<Box<FineTuning>>,
        device: &Device,
    ) -> Result<Run, Failure> {
        let unfit = |what| Failure::Configuration { problem: ConfigurationProblem::Checkpoint { what } };
        let training = device.clone().autodiff();
        let network = match (&from, &finetuning) {
            (Some(from), _) => restore(&config, &from.weights, &training).map_err(unfit)?,
            (None, Some(tuning)) => {
                tuning.network(&config, &training).map_err(|problem| Failure::FineTune { problem })?
            }
            (None, None) => Network::new(&config.network, config.seed, &training)
                .map_err(|error| Failure::Configuration { problem: ConfigurationProblem::Network(error) })?,
        };
        let mut run = Run {
            id,
            learning_rate: config.learning_rate,
            trainer: Trainer::new(network, &config, device),
            finetuning,
            config,
            step: 0,
            underway: None,
            order: (u32::MAX, Vec::new()),
            activity: Activity::Train,
            pace: Pace::Running,
            waiting: false,
            unread: Vec::new(),
            meter: Meter::new(),
            validated: 0,
            score: None,
            without_gain: 0,
            tested: false,
            is_trial: false,
            early: false,
            best: None,
            chosen: None,
        };
        if let Some(from) = from {
            run.go_on_from(from, device).map_err(unfit)?;
        }
        run.take_up();
        Ok(run)
    }

    /// Takes over all of a checkpoint but its weights. It may come from a file, so nothing in it is taken for granted.
    fn go_on_from(&mut self, from: Checkpoint, device: &Device) -> Result<(), String> {
        let Checkpoint { learning_rate, step, epoch, score, optimizer, best, without_gain, .. } = from;
        let (done, into) = (step / self.config.batches_per_epoch(), step % self.config.batches_per_epoch());
        // Between an epoch's last step and the end of its validation, one epoch more has its steps than is validated.
        let validating = into == 0 && epoch.checked_add(1) == Some(done);
        if step > self.config.steps() || (epoch != done && !validating) {
            return Err(format!("step {step} of {}, epoch {epoch}", self.config.steps()));
        }
        if !config::LEARNING_RATE.contains(&learning_rate) {
            return Err("learning_rate is out of its bounds".into());
        }
        self.trainer.restore(step, &optimizer).map_err(|error| error.to_string())?;
        if let Some(BestNetwork { epoch, score, weights }) = best {
            self.best = Some(Best { epoch, score, network: restore(&self.config, &weights, device)? });
        }
        (self.learning_rate, self.step, self.validated) = (learning_rate, step, epoch);
        (self.score, self.without_gain) = (score, without_gain);
        if !validating {
            self.lose_patience();
        }
        Ok(())
    }

    /// Takes up what is to be done next. `false`: nothing is left.
    fn take_up(&mut self) -> bool {
        if !self.is_ready() {
            self.activity = Activity::Prepare;
        } else if self.validated < self.step / self.config.batches_per_epoch() {
            self.validate();
        } else if self.unfinished() {
            self.activity = Activity::Train;
        } else if !self.tested {
            self.test();
        } else {
            return false;
        }
        true
    }

    /// Whether it has its data, as far as they are its own.
    pub(super) fn is_ready(&self) -> bool {
        self.finetuning.as_ref().is_none_or(|tuning| tuning.is_ready())
    }

    /// After a validation: whether it ends itself for want of a better one.
    fn lose_patience(&mut self) {
        let out_of_patience = self.config.patience > 0 && self.without_gain >= self.config.patience;
        self.early = out_of_patience && self.step < self.config.steps();
    }

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
        !self.early && (self.step < self.config.steps() || self.validated < self.config.epochs)
    }

    /// Goes on from a pause, or from a stop with whatever was left to do.
    pub(super) fn go(&mut self, pace: Pace) -> Vec<Event> {
        if matches!(self.activity, Activity::Ended) {
            if !self.take_up() {
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
        let (per_epoch, size) = (self.config.batches_per_epoch(), self.config.images() as usize);
        if self.step >= per_epoch || block == 0 {
            return size;
        }
        // The first epoch visits one shard after the other (data::order).
        let end = (self.step as usize + 1) * self.config.batch_len();
        (end.div_ceil(block) * block).min(size)
    }

    /// One piece of the preparation of a fine-tuning run.
    pub(super) async fn prepare(
        &mut self,
        old: &Dataset,
        sets: &Sets,
        device: &Device,
        events: &mut Vec<Event>,
    ) -> Result<(), DeviceLost> {
        let Some(tuning) = &mut self.finetuning else { return Ok(()) };
        tuning.prepare(&self.config, old, sets, device).await?;
        let (done, total) = tuning.progress();
        events.push(Event::Preparing { run: self.id, done, total });
        if !tuning.is_ready() {
            return Ok(());
        }
        let prepared = tuning.prepared(&self.config);
        if let Some(told) = &mut self.config.finetune {
            let expected = std::mem::replace(&mut told.images, prepared.images);
            if ![0, prepared.images].contains(&expected) {
                let problem = FineTuneProblem::OtherData { expected, found: prepared.images };
                self.give_up(Failure::FineTune { problem }, events);
                return Ok(());
            }
        }
        events.push(Event::Prepared { run: self.id, prepared: Box::new(prepared) });
        self.take_up();
        self.meter.restart();
        Ok(())
    }

    /// One training step, or on the CPU one slice of it, so that a drawing waits for no more than that; and the read of
    /// what has gathered when it is time.
    pub(super) async fn train(
        &mut self,
        data: &Dataset,
        block: usize,
        mut team: Option<&mut Team>,
        events: &mut Vec<Event>,
    ) -> Result<(), DeviceLost> {
        let whole = match self.underway {
            None => self.begin(data, block, team.as_deref_mut()).await?,
            Some(_) => None,
        };
        let metrics = match (whole, self.underway.take(), team) {
            (None, Some(mut step), Some(team)) => {
                if self.trainer.go_on(&mut step).await? {
                    self.underway = Some(step);
                    return Ok(());
                }
                self.trainer.finish(step, team).await?
            }
            (Some(metrics), ..) => metrics,
            (None, ..) => return Ok(()),
        };
        self.unread.push(metrics);
        self.step += 1;
        let one_batch = self.pace == Pace::OneBatch;
        let epoch_ends = self.step.is_multiple_of(self.config.batches_per_epoch());
        let due = self.meter.is_due() || self.unread.len() >= MAX_UNREAD;
        if (due || one_batch || epoch_ends) && !self.flush(events).await? {
            return Ok(());
        }
        if epoch_ends {
            self.validate();
        }
        if one_batch {
            self.paused(events).await?;
        }
        Ok(())
    }

    /// Begins a step. Gives its metrics if it was done as a whole; else it is under way.
    async fn begin(
        &mut self,
        data: &Dataset,
        block: usize,
        team: Option<&mut Team>,
    ) -> Result<Option<Tensor<1>>, DeviceLost> {
        let (per_epoch, len) = (self.config.batches_per_epoch(), self.config.batch_len());
        let epoch = self.step / per_epoch;
        if self.order.0 != epoch {
            let size = self.config.images() as usize;
            self.order = (epoch, epoch_order(self.config.seed, epoch, size, block));
        }
        let start = (self.step % per_epoch) as usize * len;
        let indices = &self.order.1[start..start + len];
        let learning_rate = self.learning_rate * self.config.schedule_at(self.step);
        let batch = match source(&self.finetuning, data, Split::Train) {
            Source::Images(images) => {
                let changes = |image| Changes::draw(&self.config.augmentation, self.config.seed, epoch, image);
                if let Some(team) = team.filter(|_| self.trainer.can_slice()) {
                    let batch = pick(images, indices, changes);
                    self.underway = Some(self.trainer.begin(&batch, learning_rate, team).await?);
                    return Ok(None);
                }
                self.trainer.batch(images, indices, changes)
            }
            features => Batch::gather(features, indices, len, self.config.network.classes, self.trainer.device()),
        };
        Ok(Some(self.trainer.step(batch, learning_rate)))
    }

    /// The pause has come: the run as it stands is told first, so that the page can be closed.
    pub(super) async fn paused(&mut self, events: &mut Vec<Event>) -> Result<(), DeviceLost> {
        self.pace = Pace::Paused;
        self.keep(events).await?;
        events.push(Event::Paused { run: self.id, step: self.step });
        Ok(())
    }

    /// Tells the run as it stands, if there is something to keep. Everything that was measured has been told.
    pub(super) async fn keep(&self, events: &mut Vec<Event>) -> Result<(), DeviceLost> {
        if self.step > 0 && !self.is_trial {
            let checkpoint = Box::new(self.checkpoint().await?);
            events.push(Event::Checkpoint { run: self.id, checkpoint });
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
        self.give_up(Failure::NotFinite { step: points[bad].step }, events);
        Ok(false)
    }

    /// Ends the run for good: nothing can go on from here.
    fn give_up(&mut self, failure: Failure, events: &mut Vec<Event>) {
        (self.step, self.validated, self.tested) = (self.config.steps(), self.config.epochs, true);
        self.activity = Activity::Ended;
        self.chosen = self.best.as_ref().map(|best| best.network.clone());
        events.push(Event::Failed { run: Some(self.id), failure });
    }

    /// An epoch's validation is complete.
    pub(super) async fn validated(&mut self, events: &mut Vec<Event>) -> Result<(), DeviceLost> {
        let Activity::Validate(evaluation) = &self.activity else { return Ok(()) };
        let (score, epoch) = (evaluation.score(), self.step / self.config.batches_per_epoch());
        let network = self.trainer.network();
        // The earlier one wins a tie: it has seen less.
        let best = self.best.as_ref().is_none_or(|best| score.correct > best.score.correct);
        (self.validated, self.score) = (epoch, Some(score));
        self.without_gain = self.without_gain.saturating_add(1);
        if best {
            self.best = Some(Best { epoch, score, network });
            self.without_gain = 0;
        }
        events.push(Event::Validated { run: self.id, epoch, score, best });
        self.keep(events).await?;
        self.meter.restart();
        self.lose_patience();
        if self.unfinished() {
            self.activity = Activity::Train;
        } else {
            self.complete(events);
        }
        Ok(())
    }

    /// The run as it stands, for [`Run::start`] to go on from.
    async fn checkpoint(&self) -> Result<Checkpoint, DeviceLost> {
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
            score: self.score,
            weights: ByteBuf::from(self.trainer.network().to_bytes().await?),
            optimizer: ByteBuf::from(self.trainer.optimizer_bytes().await?),
            best,
            without_gain: self.without_gain,
            basis: self.finetuning.as_ref().map(|tuning| tuning.basis.clone()),
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
        self.activity = self.exam();
    }

    /// The test of the network that is used now.
    pub(super) fn exam(&self) -> Activity {
        match &self.finetuning {
            Some(tuning) => Activity::Compare(Box::new(tuning.compare(&self.network()))),
            None => Activity::Test(Evaluation::new(self.network(), self.config.network.classes)),
        }
    }

    pub(super) fn end(&mut self, stopped: bool, test: Option<Score>, events: &mut Vec<Event>) {
        self.activity = Activity::Ended;
        self.pace = Pace::Paused;
        self.trainer.rest();
        self.waiting = false;
        self.tested = !stopped || test.is_some();
        let best_epoch = self.chosen.as_ref().and(self.best.as_ref()).map(|best| best.epoch);
        events.push(Event::Finished { run: self.id, step: self.step, stopped, early: self.early, best_epoch, test });
    }
}

fn restore(config: &RunConfig, weights: &[u8], device: &Device) -> Result<Network, String> {
    let trainable = config.finetune.as_ref().map_or(Trainable::Everything, |told| told.trainable);
    let network = Network::from_bytes(&config.network, weights, device).map_err(|error| error.to_string())?;
    Ok(network.freeze(trainable))
}

/// Where a run's batches come from: its own new data, or the session's.
pub(super) fn source<'a>(finetuning: &'a Option<Box<FineTuning>>, data: &'a Dataset, split: Split) -> Source<'a> {
    match finetuning {
        Some(tuning) => tuning.source(split),
        None => data.split(split).into(),
    }
}
