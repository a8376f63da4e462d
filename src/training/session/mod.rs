//! The state machine around training: takes [`Command`]s, does one small piece of work at a time, answers with
//! [`Event`]s. Whoever drives it calls [`Session::handle`] for each command and, as long as [`Session::has_work`],
//! [`Session::advance`]; between two pieces of work commands get their turn, so a pause takes effect within one step.
//!
//! ```text
//!  Start ─► Train ─► Validate ─► Train … ─► Validate ─► Test ─► ended
//!      └─► Prepare ─► Train … ─► Validate ─► Compare ─► ended      (fine-tuning)
//!            each of them: running ─ Pause ─► paused ─ Resume or Step ─► running;  Stop ─► ended
//! ```

mod finetune;
mod run;
mod sweep;

use burn::tensor::{Device, Tensor, TensorData};
use serde_bytes::ByteBuf;

use self::finetune::{FineTuning, Sets};
use self::run::{Activity, Pace, Run, source};
use self::sweep::Tuning;
use super::crew::{Alone, Crew, Team};
use super::finetune::{Basis, FineTuneProblem};
use super::source::scaled;
use super::{Checkpoint, RunConfig, config};
use crate::data::augment::{Augmentation, Changes};
use crate::data::set::{self, SetFile};
use crate::data::{CLASSES, Dataset, Images, PIXELS, SIDE, Split};
use crate::device::{DeviceLost, Opened, read};
use crate::model::{Network, SavedModel, digit_names, summarize};
use crate::protocol::{
    Command, ConfigurationProblem, DeviceKind, Event, Failure, LayerMaps, MOST_IMAGES, PREVIEWS, RunId,
};

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

/// One device, one data set, at most one run, or one sweep.
pub struct Session {
    device: Opened,
    /// Who computes a step's slices; on the CPU.
    team: Option<Team>,
    data: Dataset,
    expected: Expected,
    run: Option<Run>,
    /// The sweep that `run` is a trial of.
    tuning: Option<Tuning>,
    /// Answers drawings while there is no run: untrained, or a model that was opened.
    idle: Network,
    /// Sets that were imported to fine-tune on.
    sets: Sets,
    /// The latest drawing that was not answered yet, and whether it is to be looked into.
    drawing: Option<(Drawing, bool)>,
    /// The drawing that was answered and is to be looked into now.
    looking: Option<Drawing>,
    /// The latest augmentation that was not shown yet, and the seed to show it with.
    preview: Option<(u32, Augmentation, u32)>,
    /// Whether the device has its kernels ready.
    warm: bool,
}

impl Session {
    /// A session without data on an open device.
    pub fn new(device: Opened) -> Self {
        let config = RunConfig::default();
        let idle = Network::new(&config.network, config.seed, &device.device).expect("the default can be built");
        let warm = device.kind == DeviceKind::Cpu;
        let team = warm.then(|| Team::new(Alone));
        Self {
            device,
            team,
            data: Dataset::default(),
            expected: Expected::default(),
            run: None,
            tuning: None,
            idle,
            sets: Sets::new(),
            drawing: None,
            looking: None,
            preview: None,
            warm,
        }
    }

    /// The same session with helpers beside it. On a GPU they have nothing to do.
    pub fn with_crew(mut self, crew: impl Crew + 'static) -> Self {
        if self.team.is_some() {
            self.team = Some(Team::new(crew));
        }
        self
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
            Command::Start { run, config, one_batch, from, basis } => {
                self.end_sweep();
                return self.start(run, config, one_batch, from.map(|from| *from), basis);
            }
            Command::UseWorkers { count } => {
                if let Some(team) = &mut self.team {
                    team.ask_for(count.map(usize::from));
                    return team.news().into_iter().map(workers).collect();
                }
            }
            Command::Sweep { run, config } => return self.sweep(run, *config),
            Command::StopSweep { run } => return self.stop_sweep(run),
            Command::Predict { id, pixels, inside } if pixels.len() == PIXELS => {
                self.drawing = Some((Drawing { id, pixels: pixels.into_vec() }, inside));
                self.looking = None;
            }
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
                    && run.is_ready()
                {
                    run.activity = run.exam();
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
            Command::Images { id, split, indices } => return vec![images(self.data.split(split), id, indices)],
            Command::ImportSet { id, name, files } => return vec![self.import(id, name, files)],
            Command::ForgetSet { name } => self.sets.retain(|(known, _)| *known != name),
            Command::HeldOut { run, id, indices } => {
                if let Some(tuning) = self.run_mut(run).and_then(|run| run.finetuning.as_ref()) {
                    return vec![images(tuning.held_out(), id, indices)];
                }
            }
            Command::PreviewAugmentation { id, augmentation, seed } if augmentation.out_of_bounds().is_none() => {
                self.preview = Some((id, augmentation, seed));
            }
            // Not a session's: data, device and what is kept.
            Command::PreviewAugmentation { .. }
            | Command::Predict { .. }
            | Command::Open { .. }
            | Command::FetchAgain
            | Command::ResumeKept { .. }
            | Command::KeepModel { .. }
            | Command::OpenModel { .. }
            | Command::RenameModel { .. }
            | Command::DeleteModel { .. }
            | Command::RestoreModel { .. }
            | Command::PurgeModels
            | Command::ModelHistory { .. }
            | Command::LookAtShelf
            | Command::ReadModel { .. }
            | Command::KeepDigits(_)
            | Command::Export { .. }
            | Command::Import { .. } => {}
        }
        Vec::new()
    }

    /// Takes in a data set, in the place of one of the same name.
    fn import(&mut self, id: u32, name: String, files: Vec<SetFile>) -> Event {
        match set::import(files) {
            Err(problem) => Event::SetRefused { id, problem },
            Ok(set) => {
                let counts = set.counts();
                self.sets.retain(|(known, _)| *known != name);
                self.sets.push((name.clone(), set));
                Event::SetImported { id, name, counts }
            }
        }
    }

    /// Uses a checked model: it answers drawings from now on. `false`: a run is under way, or the model is none.
    pub fn open_model(&mut self, model: &SavedModel) -> bool {
        let busy =
            self.tuning.is_some() || self.run.as_ref().is_some_and(|run| !matches!(run.activity, Activity::Ended));
        let (network, device) = (&model.network, &self.device.device);
        match Network::from_bytes(network, &model.weights, device) {
            Ok(network) if !busy => {
                (self.run, self.idle) = (None, network);
                true
            }
            _ => false,
        }
    }

    fn run_mut(&mut self, id: RunId) -> Option<&mut Run> {
        self.run.as_mut().filter(|run| run.id == id && !run.is_trial)
    }

    fn start(
        &mut self,
        id: RunId,
        mut config: RunConfig,
        one_batch: bool,
        mut from: Option<Checkpoint>,
        basis: Option<Box<Basis>>,
    ) -> Vec<Event> {
        let refuse = |failure| vec![Event::Failed { run: Some(id), failure }];
        if let Err(problem) = check(&config) {
            return refuse(Failure::Configuration { problem });
        }
        let basis = basis.or_else(|| from.as_mut().and_then(|from| from.basis.take()));
        let finetuning = match self.finetuning(&config, basis) {
            Ok(finetuning) => finetuning,
            Err(problem) => return refuse(Failure::FineTune { problem }),
        };
        // How long a fine-tuning run is, is known from its checkpoint, or when its data are prepared.
        if let Some(told) = &mut config.finetune {
            told.images = from.as_ref().and_then(|from| from.config.finetune.as_ref()).map_or(0, |told| told.images);
        } else if self.expected.train > 0 && config.train_size as usize > self.expected.train {
            let (asked, here) = (config.train_size, self.expected.train as u32);
            return refuse(Failure::Configuration { problem: ConfigurationProblem::Images { asked, here } });
        }
        match Run::start(id, config, from, finetuning, &self.device.device) {
            Ok(run) => self.run = Some(Run { pace: if one_batch { Pace::OneBatch } else { Pace::Running }, ..run }),
            Err(failure) => return refuse(failure),
        }
        vec![Event::Started { run: id }]
    }

    /// What makes a run a fine-tuning run, if that is what is asked for.
    fn finetuning(
        &self,
        config: &RunConfig,
        basis: Option<Box<Basis>>,
    ) -> Result<Option<Box<FineTuning>>, FineTuneProblem> {
        let Some(told) = &config.finetune else { return Ok(None) };
        let Some(basis) = basis else {
            return Err(FineTuneProblem::Basis { what: "it did not come with the run".into() });
        };
        FineTuning::new(told, config, basis, &self.sets, &self.device.device).map(|tuning| Some(Box::new(tuning)))
    }

    /// The network of the run at hand, as it answers drawings; `None` before the first run. What comes reads it from the
    /// device and borrows nothing of the session, which can go on in the meantime.
    pub fn model(&self) -> Option<impl Future<Output = Result<SavedModel, DeviceLost>> + use<>> {
        let run = self.run.as_ref()?;
        let tuned = run.finetuning.as_ref();
        let classes = tuned.map_or_else(digit_names, |tuning| tuning.classes.clone());
        let left_out = tuned.map_or_else(Vec::new, |tuning| tuning.left_out());
        let (weights, network) = (run.network(), run.config.network.clone());
        Some(async move {
            let weights = ByteBuf::from(weights.to_bytes().await?);
            Ok(SavedModel { network, classes, weights, left_out })
        })
    }

    /// What the run that the model comes from started from, if it fine-tunes.
    pub fn basis(&self) -> Option<&Basis> {
        Some(&self.run.as_ref()?.finetuning.as_ref()?.basis)
    }

    /// What runs the network.
    pub fn device(&self) -> &Opened {
        &self.device
    }

    /// Whether [`Session::advance`] would do something now. What is missing otherwise is a command or more data.
    pub fn has_work(&self) -> bool {
        if self.drawing.is_some() || self.looking.is_some() || self.can_preview() {
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
        let promised = |split| match split {
            Split::Train => self.expected.train.max(1),
            Split::Validation => self.expected.validation.max(1),
            Split::Test => self.expected.test.max(1),
        };
        let lacks = |split: &Split| self.data.split(*split).len() < promised(*split);
        match (&run.activity, &run.finetuning) {
            (Activity::Prepare, Some(tuning)) => tuning.needs().iter().copied().find(lacks),
            (Activity::Compare(comparing), Some(tuning)) => {
                Some(Split::Test).filter(|split| comparing.wants_old_test(tuning) && lacks(split))
            }
            (Activity::Train | Activity::Validate(_), Some(_)) => None,
            (Activity::Train, None) if run.step >= run.config.steps() => None,
            (Activity::Train, None) => {
                let needed = run.needed(self.expected.block);
                (self.data.split(Split::Train).len() < needed).then_some(Split::Train)
            }
            (Activity::Validate(_), None) => Some(Split::Validation).filter(lacks),
            (Activity::Test(_), _) => Some(Split::Test).filter(lacks),
            (Activity::Ended | Activity::Prepare | Activity::Compare(_), _) => None,
        }
    }

    /// Does one small piece of work: reads a drawing or looks into one, or does one training step (on the CPU a slice of one), or looks at
    /// one chunk of images.
    pub async fn advance(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        if self.can_preview() {
            events.extend(self.show_preview());
            return events;
        }
        let done = if let Some((drawing, inside)) = self.drawing.take() {
            self.predict(drawing, inside, &mut events).await
        } else if let Some(drawing) = self.looking.take() {
            self.look_inside(drawing, &mut events).await
        } else {
            self.work(&mut events).await
        };
        if let Err(DeviceLost(message)) = done {
            let run = self.run.take().map(|run| run.id);
            events.push(Event::Failed { run, failure: Failure::GpuLost { message } });
        }
        events.extend(self.team.as_mut().and_then(Team::news).map(workers));
        if self.tuning.is_some() {
            return self.tune(events);
        }
        events
    }

    fn can_preview(&self) -> bool {
        self.preview.is_some() && !self.data.split(Split::Train).is_empty()
    }

    /// The first training images as an augmentation changes them in the first epoch.
    fn show_preview(&mut self) -> Option<Event> {
        let (id, augmentation, seed) = self.preview.take()?;
        let images = self.data.split(Split::Train).pixels.as_chunks().0;
        let mut pixels = vec![0; PREVIEWS.min(images.len()) * PIXELS];
        for ((index, image), target) in (0..).zip(images).zip(pixels.as_chunks_mut().0) {
            Changes::draw(&augmentation, seed, 0, index).apply(image, target);
        }
        Some(Event::AugmentationPreview { id, pixels: ByteBuf::from(pixels) })
    }

    async fn work(&mut self, events: &mut Vec<Event>) -> Result<(), DeviceLost> {
        let Some(run) = &self.run else { return Ok(()) };
        let id = run.id;
        let missing = self.missing(run);
        let Some(run) = &mut self.run else { return Ok(()) };
        if run.underway.is_some() {
            return run.train(&self.data, self.expected.block, self.team.as_mut(), events).await;
        }
        match (run.pace, &run.activity) {
            (Pace::Paused, _) | (_, Activity::Ended) => return Ok(()),
            (Pace::Pausing, _) => {
                if run.flush(events).await? {
                    run.paused(events).await?;
                }
                return Ok(());
            }
            (Pace::Stopping, _) => {
                if run.flush(events).await? {
                    run.keep(events).await?;
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
            Activity::Train if run.step >= run.config.steps() => run.complete(events),
            Activity::Train => run.train(&self.data, self.expected.block, self.team.as_mut(), events).await?,
            Activity::Prepare => run.prepare(&self.data, &self.sets, device, events).await?,
            Activity::Validate(evaluation) => {
                let images = source(&run.finetuning, &self.data, Split::Validation);
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
                    let exam = evaluation.exam();
                    let score = exam.score();
                    events.push(Event::Examined { run: id, exam: Box::new(exam) });
                    run.end(run.unfinished(), Some(score), events);
                }
            }
            Activity::Compare(comparing) => {
                let Some(tuning) = &run.finetuning else { return Ok(()) };
                let (done, total) = comparing.progress(tuning, &self.data);
                if done == 0 {
                    events.push(Event::Testing { run: id, done: 0, total: total as u32 });
                }
                comparing.advance(tuning, &self.data, device).await?;
                let (done, total) = comparing.progress(tuning, &self.data);
                if done < total {
                    events.push(Event::Testing { run: id, done: done as u32, total: total as u32 });
                } else {
                    let comparison = comparing.comparison(tuning);
                    let test = comparison.old_test.as_ref().map(|exams| exams.after.score());
                    let exam = comparison.old_test.as_ref().map(|exams| Box::new(exams.after.clone()));
                    events.extend(exam.map(|exam| Event::Examined { run: id, exam }));
                    events.push(Event::Compared { run: id, comparison: Box::new(comparison) });
                    run.end(run.unfinished(), test, events);
                }
            }
            Activity::Ended => {}
        }
        Ok(())
    }

    /// The network that answers drawings.
    fn answers(&self) -> Network {
        self.answering().map_or_else(|| self.idle.clone(), Run::network)
    }

    async fn predict(&mut self, drawing: Drawing, inside: bool, events: &mut Vec<Event>) -> Result<(), DeviceLost> {
        let logits = self.answers().forward(drawing.image(&self.device.device));
        let logits = read(vec![logits.flatten(0, 1)]).await?.concat();
        events.push(Event::Prediction { id: drawing.id, probabilities: softmax(&logits) });
        self.looking = inside.then_some(drawing);
        Ok(())
    }

    async fn look_inside(&self, drawing: Drawing, events: &mut Vec<Event>) -> Result<(), DeviceLost> {
        let layers = self.answers().inside(drawing.image(&self.device.device));
        let (names, maps): (Vec<_>, Vec<_>) = layers.into_iter().map(|(name, side, maps)| ((name, side), maps)).unzip();
        let maps = read(maps).await?;
        let layers = names
            .into_iter()
            .zip(maps)
            .map(|((name, side), maps)| LayerMaps { name, side: side as u32, maps: ByteBuf::from(to_bytes(&maps)) })
            .collect();
        events.push(Event::Inside { id: drawing.id, layers });
        Ok(())
    }
}

/// A drawing as it came.
struct Drawing {
    id: u32,
    /// 28×28 bytes.
    pixels: Vec<u8>,
}

impl Drawing {
    fn image(&self, device: &Device) -> Tensor<4> {
        let pixels: Vec<f32> = self.pixels.iter().copied().map(scaled).collect();
        Tensor::from_data(TensorData::new(pixels, [1, 1, SIDE, SIDE]), device)
    }
}

/// Images to look at: those of `indices` that are here, and not more than can be asked for.
fn images(images: &Images, id: u32, mut indices: Vec<u32>) -> Event {
    indices.retain(|index| (*index as usize) < images.len());
    indices.truncate(MOST_IMAGES);
    let pixels: Vec<u8> = indices.iter().flat_map(|index| images.image(*index as usize)).copied().collect();
    Event::Images { id, indices, pixels: ByteBuf::from(pixels) }
}

/// Whether a configuration that came through the protocol keeps its bounds.
fn check(config: &RunConfig) -> Result<(), ConfigurationProblem> {
    if let Some(field) = config.out_of_bounds() {
        return Err(ConfigurationProblem::Bounds { field: field.into() });
    }
    // How many classes a fine-tuning run has is for its basis and its own classes to say.
    if config.finetune.is_none() && config.network.classes != CLASSES {
        let (asked, here) = (config.network.classes as u32, CLASSES as u32);
        return Err(ConfigurationProblem::Classes { asked, here });
    }
    summarize(&config.network).map(|_| ()).map_err(ConfigurationProblem::Network)
}

/// Probabilities from logits; the largest is subtracted first, so that nothing overflows.
fn softmax(logits: &[f32]) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exponentials: Vec<f32> = logits.iter().map(|logit| (logit - largest).exp()).collect();
    let sum: f32 = exponentials.iter().sum();
    exponentials.into_iter().map(|e| e / sum).collect()
}

/// Maps scaled to bytes by the layer's largest value; all are ≥ 0 after ReLU.
fn to_bytes(maps: &[f32]) -> Vec<u8> {
    let largest = maps.iter().copied().fold(0.0, f32::max);
    let scale = if largest > 0.0 { 255.0 / largest } else { 0.0 };
    maps.iter().map(|value| (value * scale).round() as u8).collect()
}

fn workers(count: usize) -> Event {
    Event::Workers { count: count.min(u8::MAX.into()) as u8 }
}
