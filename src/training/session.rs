//! The state machine around training: takes [`Command`]s, does one small piece of work at a time, answers with
//! [`Event`]s. Whoever drives it calls [`Session::handle`] for each command and, as long as [`Session::has_work`],
//! [`Session::advance`]; between two pieces of work commands get their turn, so a pause takes effect within one step.
//!
//! ```text
//!  Start ─► Train ─► Validate ─► Train … ─► Validate ─► Test ─► ended
//!            each of them: running ─ Pause ─► paused ─ Resume or Step ─► running;  Stop ─► ended
//! ```

use std::time::Duration;

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use serde_bytes::ByteBuf;
use web_time::Instant;

use super::evaluation::Evaluation;
use super::trainer::{Batch, Trainer};
use super::{RunConfig, Score, StepPoint, config};
use crate::data::order::{Stream, epoch_order, rng};
use crate::data::{CLASSES, Dataset, Images, PIXELS, SIDE, Split};
use crate::device::{DeviceLost, Opened, read};
use crate::model::{Network, summarize};
use crate::protocol::{Checkpoint, Command, DeviceKind, Event, Failure, LayerMaps, RunId};

/// How often the losses of a run are read from the device, at most. Reading waits for the device, which keeps the
/// queue short, and costs a round trip, so it is not done after every step where steps are fast.
const READ_EVERY: Duration = Duration::from_millis(100);
/// Steps queued without a read, at most.
const MAX_UNREAD: usize = 32;

/// What the manifest promises: how many images of each split there will be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Expected {
    /// Training images.
    pub train: usize,
    /// Validation images.
    pub validation: usize,
    /// Test images.
    pub test: usize,
    /// Training images in a shard.
    pub block: usize,
}

/// What a run is busy with.
#[derive(Debug)]
enum Activity {
    Train,
    Validate(Evaluation),
    Test(Evaluation),
    /// No longer busy.
    Ended,
}

/// Whether it goes on by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pace {
    Running,
    /// Does one step, then pauses.
    OneBatch,
    /// Was asked to pause, or to stop: unread losses are read first.
    Pausing,
    Paused,
    Stopping,
}

struct Run {
    id: RunId,
    config: RunConfig,
    learning_rate: f64,
    trainer: Trainer,
    /// Steps done.
    step: u32,
    /// The order of the epoch that `step` lies in.
    order: (u32, Vec<u32>),
    activity: Activity,
    pace: Pace,
    /// Whether it was said that the run waits for data.
    waiting: bool,
    /// Metrics of the last steps, still on the device.
    unread: Vec<Tensor<1>>,
    meter: Meter,
    /// Epochs validated.
    validated: u32,
    tested: bool,
    best: Option<Best>,
    /// Set when the run ended with its last step: the network that is used from then on.
    chosen: Option<Network>,
}

struct Best {
    epoch: u32,
    score: Score,
    network: Network,
}

/// Training speed over the steps since the last read.
struct Meter {
    since: Instant,
    images_per_second: f32,
}

impl Meter {
    fn new() -> Self {
        Self { since: Instant::now(), images_per_second: 0.0 }
    }

    /// A pause is not training time.
    fn restart(&mut self) {
        self.since = Instant::now();
    }

    fn read(&mut self, images: usize) -> f32 {
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

/// One device, one data set, at most one run.
pub struct Session {
    device: Opened,
    data: Dataset,
    expected: Expected,
    run: Option<Run>,
    /// Answers drawings before the first run.
    untrained: Network,
    /// The latest drawing that was not answered yet.
    drawing: Option<(u32, Vec<u8>)>,
    /// Whether the device has its kernels ready.
    warm: bool,
}

impl Session {
    /// A session without data on an open device.
    pub fn new(device: Opened) -> Self {
        let config = RunConfig::default();
        let untrained = Network::new(&config.network, config.seed, &device.device).expect("the default can be built");
        let warm = device.kind == DeviceKind::Cpu;
        Self {
            device,
            data: Dataset::default(),
            expected: Expected::default(),
            run: None,
            untrained,
            drawing: None,
            warm,
        }
    }

    /// What the manifest promises. Runs wait for data up to these counts.
    pub fn expect(&mut self, expected: Expected) {
        self.expected = expected;
    }

    /// Adds a checked shard. Shards of a split come in the manifest's order.
    pub fn push(&mut self, split: Split, images: Images) {
        self.data.push(split, images);
    }

    /// The data that is here.
    pub fn data(&self) -> &Dataset {
        &self.data
    }

    /// Takes a command that is not about data or device. One that does not fit the state, or that belongs to another
    /// run, changes nothing.
    pub fn handle(&mut self, command: Command) -> Vec<Event> {
        match command {
            Command::Start { run, config, one_batch, from } => return self.start(run, config, one_batch, from),
            Command::Predict { id, pixels } if pixels.len() == PIXELS => self.drawing = Some((id, pixels.into_vec())),
            Command::Pause { run } => {
                if let Some(run) = self.run_mut(run) {
                    run.pause();
                }
            }
            Command::Resume { run } => {
                if let Some(run) = self.run_mut(run) {
                    return run.go(Pace::Running);
                }
            }
            Command::Step { run } => {
                if let Some(run) = self.run_mut(run) {
                    return run.go(Pace::OneBatch);
                }
            }
            Command::Stop { run } => {
                if let Some(run) = self.run_mut(run)
                    && !matches!(run.activity, Activity::Ended)
                {
                    run.pace = Pace::Stopping;
                }
            }
            Command::Test { run } => {
                if let Some(run) = self.run_mut(run)
                    && matches!(run.activity, Activity::Ended)
                {
                    run.activity = Activity::Test(Evaluation::new(run.network(), run.config.network.classes));
                    run.pace = Pace::Running;
                }
            }
            Command::SetLearningRate { run, learning_rate } => {
                if let Some(run) = self.run_mut(run)
                    && config::LEARNING_RATE.contains(&learning_rate)
                {
                    run.learning_rate = learning_rate;
                }
            }
            Command::Predict { .. } | Command::Open { .. } | Command::FetchAgain => {}
        }
        Vec::new()
    }

    fn run_mut(&mut self, id: RunId) -> Option<&mut Run> {
        self.run.as_mut().filter(|run| run.id == id)
    }

    fn start(&mut self, id: RunId, config: RunConfig, one_batch: bool, from: Option<Checkpoint>) -> Vec<Event> {
        let refuse = |what: String| vec![Event::Failed { run: Some(id), failure: Failure::Configuration { what } }];
        if let Err(what) = check(&config) {
            return refuse(what);
        }
        if self.expected.train > 0 && config.train_size as usize > self.expected.train {
            return refuse(format!("{} of {} training images", config.train_size, self.expected.train));
        }
        let device = &self.device.device;
        // Masks of dropout are drawn on the device.
        device.seed(rand::Rng::next_u64(&mut rng(config.seed, Stream::Dropout)));
        let training = device.clone().autodiff();
        let per_epoch = config.batches_per_epoch();
        let (network, step, best) = match from {
            None => match Network::new(&config.network, config.seed, &training) {
                Ok(network) => (network, 0, None),
                Err(error) => return refuse(error.to_string()),
            },
            Some(Checkpoint { epoch, score, weights }) => {
                if epoch > config.epochs {
                    return refuse(format!("epoch {epoch} of {}", config.epochs));
                }
                match Network::from_bytes(&config.network, &weights, &training) {
                    Ok(network) => {
                        let best = Best { epoch, score, network: network.clone().valid() };
                        (network, epoch * per_epoch, Some(best))
                    }
                    Err(error) => return refuse(error.to_string()),
                }
            }
        };
        self.run = Some(Run {
            id,
            learning_rate: config.learning_rate,
            trainer: Trainer::new(network, device),
            config,
            step,
            order: (u32::MAX, Vec::new()),
            activity: Activity::Train,
            pace: if one_batch { Pace::OneBatch } else { Pace::Running },
            waiting: false,
            unread: Vec::new(),
            meter: Meter::new(),
            validated: step / per_epoch,
            tested: false,
            best,
            chosen: None,
        });
        vec![Event::Started { run: id }]
    }

    /// Whether [`Session::advance`] would do something now. What is missing otherwise is a command or more data.
    pub fn has_work(&self) -> bool {
        if self.drawing.is_some() {
            return true;
        }
        let Some(run) = &self.run else { return false };
        match (&run.activity, run.pace) {
            (Activity::Ended, _) | (_, Pace::Paused) => false,
            (_, Pace::Pausing | Pace::Stopping) => true,
            _ => !run.waiting || self.missing(run).is_none(),
        }
    }

    /// The split whose images the run can't go on without.
    fn missing(&self, run: &Run) -> Option<Split> {
        let (split, needed) = match run.activity {
            Activity::Train if run.step >= run.config.steps() => return None,
            Activity::Train => (Split::Train, run.needed(self.expected.block)),
            Activity::Validate(_) => (Split::Validation, self.expected.validation.max(1)),
            Activity::Test(_) => (Split::Test, self.expected.test.max(1)),
            Activity::Ended => return None,
        };
        (self.data.split(split).len() < needed).then_some(split)
    }

    /// Does one small piece of work: reads a drawing, or does one training step, or looks at one chunk of images.
    pub async fn advance(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        let done = if self.drawing.is_some() { self.predict(&mut events).await } else { self.work(&mut events).await };
        if let Err(DeviceLost(message)) = done {
            let run = self.run.take().map(|run| run.id);
            events.push(Event::Failed { run, failure: Failure::GpuLost { message } });
        }
        events
    }

    async fn work(&mut self, events: &mut Vec<Event>) -> Result<(), DeviceLost> {
        let Some(run) = &self.run else { return Ok(()) };
        let id = run.id;
        let missing = self.missing(run);
        let Some(run) = &mut self.run else { return Ok(()) };
        match (run.pace, &run.activity) {
            (Pace::Paused, _) | (_, Activity::Ended) => return Ok(()),
            (Pace::Pausing, _) => {
                if run.flush(events).await? {
                    run.pace = Pace::Paused;
                    events.push(Event::Paused { run: id, step: run.step });
                }
                return Ok(());
            }
            (Pace::Stopping, _) => {
                if run.flush(events).await? {
                    run.end(true, None, events);
                }
                return Ok(());
            }
            (Pace::Running | Pace::OneBatch, _) => {}
        }
        if missing.is_some() {
            run.waiting = true;
            run.flush(events).await?;
            events.push(Event::Waiting { run: id });
            return Ok(());
        }
        run.waiting = false;
        if !self.warm {
            // The next step takes long: say so first.
            self.warm = true;
            events.push(Event::Compiling { run: id });
            return Ok(());
        }
        let device = &self.device.device;
        match &mut run.activity {
            Activity::Train if run.step >= run.config.steps() => run.test(),
            Activity::Train => run.train(self.data.split(Split::Train), self.expected.block, events).await?,
            Activity::Validate(evaluation) => {
                let images = self.data.split(Split::Validation);
                if evaluation.done() == 0 {
                    events.push(Event::Validating { run: id });
                }
                evaluation.advance(images, device).await?;
                if evaluation.done() >= images.len() {
                    run.validated(events).await?;
                }
            }
            Activity::Test(evaluation) => {
                let images = self.data.split(Split::Test);
                if evaluation.done() == 0 {
                    events.push(Event::Testing { run: id, done: 0, total: images.len() as u32 });
                }
                evaluation.advance(images, device).await?;
                let (done, total) = (evaluation.done() as u32, images.len() as u32);
                if done < total {
                    events.push(Event::Testing { run: id, done, total });
                } else {
                    let score = evaluation.score();
                    run.end(run.unfinished(), Some(score), events);
                }
            }
            Activity::Ended => {}
        }
        Ok(())
    }

    async fn predict(&mut self, events: &mut Vec<Event>) -> Result<(), DeviceLost> {
        let Some((id, pixels)) = self.drawing.take() else { return Ok(()) };
        let network = match &self.run {
            Some(run) => run.network(),
            None => self.untrained.clone(),
        };
        let pixels: Vec<f32> = pixels.into_iter().map(|p| f32::from(p) / 255.0).collect();
        let image = Tensor::from_data(TensorData::new(pixels, [1, 1, SIDE, SIDE]), &self.device.device);
        let (logits, layers) = network.inside(image);
        let (names, maps): (Vec<_>, Vec<_>) = layers.into_iter().map(|(name, side, maps)| ((name, side), maps)).unzip();
        let mut values = read([vec![logits.flatten(0, 1)], maps].concat()).await?.into_iter();
        let logits = values.next().unwrap_or_default();
        let inside = names
            .into_iter()
            .zip(values)
            .map(|((name, side), maps)| LayerMaps { name, side: side as u32, maps: ByteBuf::from(to_bytes(&maps)) })
            .collect();
        events.push(Event::Prediction { id, probabilities: softmax(&logits), inside });
        Ok(())
    }
}

impl Run {
    /// The network that answers drawings: the best one once the run has had its last step, else the present one.
    fn network(&self) -> Network {
        self.chosen.clone().unwrap_or_else(|| self.trainer.network())
    }

    fn pause(&mut self) {
        if matches!(self.pace, Pace::Running | Pace::OneBatch) && !matches!(self.activity, Activity::Ended) {
            self.pace = Pace::Pausing;
        }
    }

    /// Whether steps or validations are left.
    fn unfinished(&self) -> bool {
        self.step < self.config.steps() || self.validated < self.config.epochs
    }

    /// Goes on from a pause, or from a stop with whatever was left to do.
    fn go(&mut self, pace: Pace) -> Vec<Event> {
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
    fn needed(&self, block: usize) -> usize {
        let (per_epoch, size) = (self.config.batches_per_epoch(), self.config.train_size as usize);
        if self.step >= per_epoch || block == 0 {
            return size;
        }
        // The first epoch visits one shard after the other (data::order).
        let end = (self.step as usize + 1) * self.config.batch_len();
        (end.div_ceil(block) * block).min(size)
    }

    /// One training step, and the read of what has gathered when it is time.
    async fn train(&mut self, images: &Images, block: usize, events: &mut Vec<Event>) -> Result<(), DeviceLost> {
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
    async fn flush(&mut self, events: &mut Vec<Event>) -> Result<bool, DeviceLost> {
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
    async fn validated(&mut self, events: &mut Vec<Event>) -> Result<(), DeviceLost> {
        let Activity::Validate(evaluation) = &self.activity else { return Ok(()) };
        let (score, epoch) = (evaluation.score(), self.step / self.config.batches_per_epoch());
        let network = self.trainer.network();
        let weights = ByteBuf::from(network.to_bytes().await?);
        // The earlier one wins a tie: it has seen less.
        let best = self.best.as_ref().is_none_or(|best| score.correct > best.score.correct);
        self.validated = epoch;
        if best {
            self.best = Some(Best { epoch, score, network });
        }
        events.push(Event::Validated { run: self.id, epoch, score, best });
        events.push(Event::Checkpoint { run: self.id, checkpoint: Checkpoint { epoch, score, weights } });
        self.meter.restart();
        if self.unfinished() {
            self.activity = Activity::Train;
        } else {
            self.test();
        }
        Ok(())
    }

    fn validate(&mut self) {
        self.activity = Activity::Validate(Evaluation::new(self.trainer.network(), self.config.network.classes));
    }

    /// After the last step: the network with the best validation takes the test.
    fn test(&mut self) {
        self.chosen = self.best.as_ref().map(|best| best.network.clone());
        self.activity = Activity::Test(Evaluation::new(self.network(), self.config.network.classes));
    }

    fn end(&mut self, stopped: bool, test: Option<Score>, events: &mut Vec<Event>) {
        self.activity = Activity::Ended;
        self.pace = Pace::Paused;
        self.waiting = false;
        self.tested = test.is_some();
        let best_epoch = self.chosen.as_ref().and(self.best.as_ref()).map(|best| best.epoch);
        events.push(Event::Finished { run: self.id, step: self.step, stopped, best_epoch, test });
    }
}

/// Whether a configuration that came through the protocol keeps its bounds.
fn check(config: &RunConfig) -> Result<(), String> {
    let bounded = config::EPOCHS.contains(&config.epochs)
        && config::BATCH_SIZE.contains(&config.batch_size)
        && config::TRAIN_SIZE.contains(&config.train_size)
        && config::LEARNING_RATE.contains(&config.learning_rate);
    if !bounded {
        return Err("a setting is out of its bounds".into());
    }
    if config.network.classes != CLASSES {
        return Err(format!("{} classes, and the data has {CLASSES}", config.network.classes));
    }
    summarize(&config.network).map(|_| ()).map_err(|error| error.to_string())
}

/// Probabilities from logits; the largest is subtracted first, so that nothing overflows.
fn softmax(logits: &[f32]) -> [f32; CLASSES] {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut probabilities = [0.0; CLASSES];
    for (p, logit) in probabilities.iter_mut().zip(logits) {
        *p = (logit - largest).exp();
    }
    let sum: f32 = probabilities.iter().sum();
    probabilities.map(|p| p / sum)
}

/// Maps scaled to bytes by the layer's largest value; all are ≥ 0 after ReLU.
fn to_bytes(maps: &[f32]) -> Vec<u8> {
    let largest = maps.iter().copied().fold(0.0, f32::max);
    let scale = if largest > 0.0 { 255.0 / largest } else { 0.0 };
    maps.iter().map(|value| (value * scale).round() as u8).collect()
}
