//! What the page knows, and how it changes: an [`Event`] of the worker is applied, or an [`Action`] of the user is
//! done. Both answer with [`Request`]s for the engine. Pure: no DOM, no clock of its own, so a test can drive it.

pub mod files;
pub mod keep;
pub mod mistakes;
pub mod past;
mod recipe;
pub mod sweep;

use serde_bytes::ByteBuf;

use self::files::Files;
use self::keep::{Keep, KeepAction};
use self::mistakes::{Mistakes, MistakesAction};
use self::past::Past;
pub use self::recipe::Preview;
use self::sweep::{SweepAction, Tuning};
use crate::data::PIXELS;
use crate::data::augment::Augmentation;
use crate::data::ranking::ranking;
use crate::model::summarize;
use crate::protocol::{Command, DataProgress, DeviceKind, DeviceReason, Event, Failure, LayerMaps, RunId, VERSION};
use crate::training::exam::Exam;
use crate::training::finetune::{Basis, Prepared};
use crate::training::{Checkpoint, RunConfig, Score, StepPoint};

pub mod digits;
pub mod finetune;

use self::digits::Digits;
use self::finetune::FineTuning;

/// Milliseconds between two readings of the same drawing while the network learns.
const READ_AGAIN_MS: f64 = 500.0;

/// What is going on. `status` shows it as `data-state`, and the finer part as `data-detail`.
#[derive(Debug, Clone, PartialEq)]
pub enum Phase {
    /// The worker's binary is on its way.
    LoadingWorker,
    /// The worker is there, the data is on its way.
    LoadingData,
    /// Everything is here.
    Ready,
    /// A run is going.
    Training(Activity),
    /// A run waits for the user.
    Paused,
    /// The test images are looked at.
    Evaluating {
        /// Images looked at.
        done: u32,
        /// All test images.
        total: u32,
    },
    /// A run ended.
    Finished {
        /// Before its last step.
        stopped: bool,
    },
    /// A sweep is going.
    Sweeping,
    /// A sweep ended, with something to show.
    Swept,
    /// Something failed.
    Failed(Failure),
}

/// What a run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// It was asked for and has not begun.
    Starting,
    /// The device prepares its kernels.
    Compiling,
    /// Batches are done.
    Running,
    /// It waits for images.
    Waiting,
    /// An epoch's validation is under way.
    Validating,
    /// It pauses after the batch under way.
    Pausing,
}

impl Phase {
    /// The contract's `data-state`.
    pub fn name(&self) -> &'static str {
        match self {
            Phase::LoadingWorker | Phase::LoadingData => "loading",
            Phase::Ready => "ready",
            Phase::Training(_) | Phase::Sweeping => "training",
            Phase::Paused => "paused",
            Phase::Evaluating { .. } => "evaluating",
            Phase::Finished { .. } | Phase::Swept => "finished",
            Phase::Failed(_) => "failed",
        }
    }
}

/// The device that the worker opened.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    /// What it is.
    pub kind: DeviceKind,
    /// The adapter's name.
    pub name: String,
    /// Why it was chosen.
    pub reason: DeviceReason,
}

/// Where something went wrong in a run, for the charts.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// Steps done by then.
    pub step: u32,
    /// What.
    pub failure: Failure,
}

/// Room for something of each of a run's steps, taken when it begins: a tab's memory grows then or not at all. Only a
/// run of more than a quarter of a million steps has to grow later.
pub fn room(steps: u32) -> usize {
    steps.min(1 << 18) as usize
}

/// The most that [`make_room`] takes.
const MOST_ROOM: usize = 16 << 20;

/// Takes room for a run's checkpoints and gives it back, so that the tab's memory grows now. One comes each epoch, as a
/// message and then as what it says, while the one before is still there; and a fourth fills the gaps between them and
/// what else is kept.
fn make_room(config: &RunConfig) {
    // Of each parameter its value, the best one, and two moments, at most.
    let checkpoint = 16 * summarize(&config.network).map_or(0, |summary| summary.parameters());
    // The lines of both charts take theirs from it.
    let lines = 2 * size_of::<f32>() * room(config.steps());
    let mut room = Vec::<u8>::new();
    // Where there is none, memory grows later or not at all.
    let _ = room.try_reserve_exact((4 * checkpoint + lines).min(MOST_ROOM));
    // Or the compiler would see that nothing is done with it.
    std::hint::black_box(&room);
}

/// The run that the charts show.
#[derive(Debug, Clone)]
pub struct Run {
    /// Its configuration.
    pub config: RunConfig,
    /// Every step so far.
    pub points: Vec<StepPoint>,
    /// Epochs done and what was scored at their end.
    pub scores: Vec<(u32, Score)>,
    /// The epoch with the best score.
    pub best: Option<u32>,
    /// The latest checkpoint.
    pub checkpoint: Option<Box<Checkpoint>>,
    /// Steps done.
    pub step: u32,
    /// Training speed; 0 before it was measured.
    pub images_per_second: f32,
    /// Milliseconds that it was training, pauses left out.
    pub active_ms: f64,
    /// Whether it ended itself before its last epoch, since validation brought nothing better.
    pub early: bool,
    /// The test, once taken.
    pub test: Option<Score>,
    /// What a fine-tuning run works with, once it is counted.
    pub prepared: Option<Prepared>,
    /// What went wrong on the way.
    pub faults: Vec<Fault>,
    /// Steps after which it was taken up again in another visit.
    pub resumed: Vec<u32>,
    /// Grows when points are taken away, so that a chart knows to begin anew.
    pub generation: u32,
}

impl Run {
    fn new(config: RunConfig) -> Self {
        Self {
            points: Vec::with_capacity(room(config.steps())),
            config,
            scores: Vec::new(),
            best: None,
            checkpoint: None,
            step: 0,
            images_per_second: 0.0,
            active_ms: 0.0,
            early: false,
            test: None,
            prepared: None,
            faults: Vec::new(),
            resumed: Vec::new(),
            generation: 0,
        }
    }

    /// The epoch under way, from 1.
    pub fn epoch(&self) -> u32 {
        (self.step.saturating_sub(1) / self.config.batches_per_epoch() + 1).min(self.config.epochs)
    }

    /// The last batch done of that epoch, from 1; 0 before the first.
    pub fn batch(&self) -> u32 {
        self.step - (self.epoch() - 1) * self.config.batches_per_epoch()
    }

    /// Seconds left, once a speed was measured.
    pub fn seconds_left(&self) -> Option<f32> {
        let images = self.config.steps().saturating_sub(self.step) as f32 * self.config.batch_len() as f32;
        (self.images_per_second > 0.0).then(|| images / self.images_per_second)
    }

    /// The latest score.
    pub fn score(&self) -> Option<Score> {
        self.scores.last().map(|(_, score)| *score)
    }

    /// Drops what came after a checkpoint, or everything if there is none: those batches are run again.
    fn rewind(&mut self) {
        let (step, epoch) = self.checkpoint.as_ref().map_or((0, 0), |checkpoint| (checkpoint.step, checkpoint.epoch));
        self.points.retain(|point| point.step <= step);
        self.scores.retain(|(done, _)| *done <= epoch);
        self.step = step;
        self.test = None;
        self.generation += 1;
    }
}

/// What the network made of the drawing.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// One for each class.
    pub probabilities: Vec<f32>,
    /// The most likely class and the second, each with its probability.
    pub best: [(usize, f32); 2],
}

impl Reading {
    fn new(probabilities: Vec<f32>) -> Self {
        let order = ranking(probabilities.len(), |a, b| probabilities[b].total_cmp(&probabilities[a]));
        let best = [0, 1].map(|place| (order[place], probabilities[order[place]]));
        Self { probabilities, best }
    }
}

/// What the layers made of a drawing, and which answer that belongs to.
#[derive(Debug, Clone, PartialEq)]
pub struct Inside {
    /// The layers' outputs; empty where there is no answer.
    pub layers: Vec<LayerMaps>,
    of: u32,
    /// Whether they can be seen; until it is known, they can. What nobody sees is not asked for.
    seen: bool,
}

/// What a user can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Begin a run.
    Train,
    /// Do one batch: of a new run, or of the paused one.
    Step,
    /// Pause.
    Pause,
    /// Go on.
    Resume,
    /// End the run.
    Stop,
    /// Look at the test images with a stopped run's network.
    Test,
    /// Tune.
    Tune(SweepAction),
    /// Change the recipe. During a run only the learning rate counts at once.
    Configure(RunConfig),
    /// Show an augmentation at work, with a seed's luck; `None`: no longer.
    Preview(Option<(Augmentation, u32)>),
    /// Read this drawing; `None`: the pad was cleared.
    Draw(Option<Box<[u8; PIXELS]>>),
    /// The network's layers came into sight, or went out of it.
    SeeInside(bool),
    /// Take the way on that a failure offers.
    Recover(WayOn),
    /// Open another device.
    UseDevice(DeviceChoice),
    /// Have so many workers compute a step; `None`: as many as prove fastest.
    UseWorkers(Option<u8>),
    /// Do something with what is kept.
    Keep(KeepAction),
    /// Look at the mistakes.
    Mistakes(MistakesAction),
    /// Add the images that are chosen among the mistakes to the user's digits.
    AddToSet,
    /// Do something with the user's own digits.
    Digits(digits::Act),
    /// Do something in fine-tuning.
    FineTune(finetune::Act),
    /// Save or open a file.
    Files(files::Act),
}

/// What the user wants to train on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceChoice {
    /// The page chooses.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// WebGPU, a software adapter too.
    WebGpu,
}

/// A way on after a failure. The first one offered is the filled button.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WayOn {
    /// Start the engine again and go on from the epoch's end.
    ResumeFrom(u32),
    /// Start the engine again and the run from its beginning.
    StartAgain,
    /// Start the engine again.
    Restart,
    /// Go on with the CPU.
    OnCpu,
    /// Go back to the epoch's end (0: to the beginning) with a tenth of the learning rate.
    GoBack(u32),
    /// Fetch again what is missing.
    FetchAgain,
    /// Load the page again.
    Reload,
    /// Go back to the default recipe.
    Defaults,
    /// Open the settings.
    ChangeRecipe,
    /// Choose another file.
    ChooseFile,
    /// Leave a file that can't be opened.
    LeaveFile,
}

/// What the state asks of the engine.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::large_enum_variant, reason = "requests are few, and each is done at once")]
pub enum Request {
    /// Post a command to the worker.
    Send(Command),
    /// End the worker and start one for this choice.
    Restart(DeviceChoice, DeviceReason),
    /// Load the page again.
    Reload,
    /// Clear the pad.
    ClearPad,
    /// Put the picture that waits for its label on the pad, or clear it.
    ShowPicture,
    /// Have the user's digits kept for the next visit.
    KeepDigits,
    /// Give a file to the user.
    Download {
        /// Its name.
        name: String,
        /// Its media type.
        mime: String,
        /// Its content.
        bytes: ByteBuf,
    },
}

/// Everything that the page knows.
#[derive(Debug, Clone)]
pub struct PageState {
    /// What is going on.
    pub phase: Phase,
    /// The device, once open.
    pub device: Option<Device>,
    /// What the user wants to train on.
    pub choice: DeviceChoice,
    /// How many workers the user wants to compute a step; `None`: as many as prove fastest.
    pub workers: Option<u8>,
    /// How many do, once it is known.
    pub working: Option<u8>,
    /// How much of the data is here.
    pub data: DataProgress,
    /// The recipe of the next run.
    pub settings: RunConfig,
    /// The run on show.
    pub run: Option<Run>,
    /// Earlier runs of this visit.
    pub past: Past,
    /// What the network made of the drawing.
    pub answer: Option<Reading>,
    /// And its layers, somewhat later.
    pub inside: Inside,
    /// The mistakes of the latest test.
    pub mistakes: Mistakes,
    /// What the recipe's augmentation does to some digits.
    pub preview: Preview,
    /// Files in and out.
    pub files: Files,
    /// What is kept: the run that can go on, the shelf, the room for them.
    pub keep: Keep,
    /// The user's own digits.
    pub digits: Digits,
    /// Fine-tuning.
    pub tuning: FineTuning,
    /// Sweeps.
    pub sweeps: Tuning,
    live: Option<RunId>,
    last_run: u32,
    resume_here: bool,
    drawing: Option<Box<[u8; PIXELS]>>,
    drawn: u32,
    asked: u32,
    answered: u32,
    asked_at: f64,
    active_since: Option<f64>,
}

impl PageState {
    /// A page that waits for its worker.
    pub fn new(settings: RunConfig, choice: DeviceChoice) -> Self {
        let (tuning, gathering) = (FineTuning::new(&settings), settings.finetune.is_some());
        Self {
            phase: Phase::LoadingWorker,
            device: None,
            choice,
            workers: None,
            working: None,
            data: DataProgress::default(),
            settings,
            run: None,
            past: Past::default(),
            answer: None,
            inside: Inside { layers: Vec::new(), of: 0, seen: true },
            mistakes: Mistakes::default(),
            preview: Preview::default(),
            files: Files::default(),
            keep: Keep::default(),
            digits: Digits::new(gathering),
            tuning,
            sweeps: Tuning::new(),
            live: None,
            last_run: 0,
            resume_here: false,
            drawing: None,
            drawn: 0,
            asked: 0,
            answered: 0,
            asked_at: f64::NEG_INFINITY,
            active_since: None,
        }
    }

    /// Whether a run of the recipe can begin.
    pub fn can_train(&self) -> bool {
        self.is_free() && self.network_error().is_none()
    }

    /// Whether engine and data are there and no run is under way.
    fn is_free(&self) -> bool {
        self.device.is_some()
            && (self.data.train_images > 0 || self.data.waits)
            && matches!(
                self.phase,
                Phase::LoadingData | Phase::Ready | Phase::Paused | Phase::Finished { .. } | Phase::Swept
            )
    }

    /// Ready once device and data are both here, whichever came first.
    fn become_ready(&mut self, now: f64) {
        if self.has_data() && self.phase == Phase::LoadingData && self.device.is_some() {
            self.set_phase(Phase::Ready, now);
        }
    }

    /// Whether all of the data is here, or comes when a run begins.
    pub fn has_data(&self) -> bool {
        self.data.total_shards > 0 && (self.data.waits || self.data.shards >= self.data.total_shards)
    }

    /// Whether a run is under way: what is changed now counts from the next one on.
    pub fn is_busy(&self) -> bool {
        matches!(self.phase, Phase::Training(_) | Phase::Paused | Phase::Evaluating { .. } | Phase::Sweeping)
    }

    /// Whether there is no worker behind the page until the user has it started again.
    pub fn engine_gone(&self) -> bool {
        matches!(&self.phase, Phase::Failed(failure) if ends_engine(failure))
    }

    /// Whether the engine still has the run on show.
    pub fn is_live(&self) -> bool {
        self.live.is_some()
    }

    /// The contract's `data-state`: the phase's, or that of a file that could not be opened.
    pub fn name(&self) -> &'static str {
        if self.failed() { "failed" } else { self.phase.name() }
    }

    /// What is on the pad, as the network gets it.
    pub fn drawing(&self) -> Option<&[u8; PIXELS]> {
        self.drawing.as_deref()
    }

    /// Names the answer on show; another one has a higher number.
    pub fn answered(&self) -> Option<u32> {
        self.answer.as_ref().map(|_| self.answered)
    }

    /// Names the layers' outputs on show; others have a higher number.
    pub fn looked_inside(&self) -> Option<u32> {
        (!self.inside.layers.is_empty()).then_some(self.inside.of)
    }

    /// Whether the answer on show is not yet the one to what is on the pad now.
    pub fn is_reading(&self) -> bool {
        self.drawing.is_some() && self.answer.is_some() && self.answered != self.asked
    }

    /// How often the pad changed.
    pub fn drawn(&self) -> u32 {
        self.drawn
    }

    /// `data-detail`: the finer part of the state.
    pub fn detail(&self) -> &'static str {
        match &self.phase {
            _ if self.failed() => self.failure().map_or("", failure_kind),
            Phase::LoadingWorker => "worker",
            Phase::LoadingData => "data",
            Phase::Ready if self.resumable().is_some() => "resumable",
            Phase::Ready if self.opened().is_some() => "opened",
            Phase::Ready if self.data.synthetic => "synthetic",
            Phase::Training(Activity::Starting | Activity::Compiling) => "compiling",
            Phase::Training(Activity::Waiting) => "waiting",
            Phase::Training(Activity::Validating) => "validating",
            Phase::Training(Activity::Pausing) => "pausing",
            Phase::Finished { stopped: true } => "stopped",
            Phase::Sweeping | Phase::Swept => "sweep",
            _ => "",
        }
    }

    /// The ways on from the failure, the best first.
    pub fn ways_on(&self) -> Vec<WayOn> {
        let Some(failure) = self.failure() else { return Vec::new() };
        let epoch = self.run.as_ref().and_then(|run| run.checkpoint.as_ref()).map(|checkpoint| checkpoint.epoch);
        let again = match epoch {
            _ if !self.resume_here => WayOn::Restart,
            Some(epoch) => WayOn::ResumeFrom(epoch),
            None => WayOn::StartAgain,
        };
        match failure {
            Failure::GpuLost { .. } => vec![again, WayOn::OnCpu],
            Failure::WorkerDied { .. } | Failure::WorkerSilent { .. } => {
                let cpu = self.device.as_ref().is_some_and(|device| device.kind == DeviceKind::Cpu);
                if cpu || self.choice == DeviceChoice::Cpu { vec![again] } else { vec![again, WayOn::OnCpu] }
            }
            Failure::Version { .. } => vec![WayOn::Reload],
            Failure::NoData { .. } | Failure::MissingShard { .. } | Failure::BadShard { .. } => {
                vec![WayOn::FetchAgain]
            }
            Failure::NotFinite { .. } => vec![WayOn::GoBack(epoch.unwrap_or(0)), WayOn::ChangeRecipe],
            Failure::Configuration { .. } => vec![WayOn::Defaults, WayOn::ChangeRecipe],
            Failure::FineTune { .. } => vec![WayOn::ChangeRecipe],
            Failure::NotAModel { .. } => vec![WayOn::ChooseFile, WayOn::LeaveFile],
            Failure::Unsupported { .. } => Vec::new(),
        }
    }

    /// Does what the user asked for, if it can be done now.
    pub fn act(&mut self, action: Action, now: f64) -> Vec<Request> {
        match action {
            Action::Step if self.phase == Phase::Paused => self.send_live(|run| Command::Step { run }),
            Action::Train | Action::Step if self.tunes() && self.can_train() => {
                self.start_tuning(action == Action::Step)
            }
            Action::Train if self.can_train() => self.start(self.settings.clone(), false, None),
            Action::Step if self.can_train() => self.start(self.settings.clone(), true, None),
            Action::Pause if matches!(self.phase, Phase::Training(_)) => {
                self.set_phase(Phase::Training(Activity::Pausing), now);
                self.send_live(|run| Command::Pause { run })
            }
            // Its bench was put aside, and the engine has another run by now: it begins again at its checkpoint.
            Action::Resume if self.phase == (Phase::Finished { stopped: true }) && self.live.is_none() => self.go_on(),
            Action::Resume if matches!(self.phase, Phase::Paused | Phase::Finished { stopped: true }) => {
                self.set_phase(Phase::Training(Activity::Running), now);
                self.send_live(|run| Command::Resume { run })
            }
            Action::Stop if self.is_busy() => self.send_live(|run| Command::Stop { run }),
            Action::Test if matches!(self.phase, Phase::Finished { stopped: true }) => {
                self.set_phase(Phase::Evaluating { done: 0, total: self.data.test_images }, now);
                self.send_live(|run| Command::Test { run })
            }
            Action::Tune(action) => self.tune(action, now),
            Action::Configure(settings) => self.configure(settings),
            Action::Preview(wanted) => self.preview(wanted),
            Action::Draw(drawing) => self.draw(drawing, now),
            Action::SeeInside(seen) => self.see_inside(seen, now),
            Action::Digits(act) => self.act_on_digits(act),
            Action::FineTune(act) => self.act_on_tuning(act),
            Action::Recover(way) => self.recover(way, now),
            Action::Keep(action) => self.act_on_kept(action, now),
            Action::UseDevice(choice) if !self.is_busy() => {
                self.choice = choice;
                self.restart(choice, DeviceReason::Asked, now)
            }
            Action::UseWorkers(count) => {
                self.workers = count;
                vec![Request::Send(Command::UseWorkers { count })]
            }
            Action::Mistakes(action) => self.mistakes.act(action),
            Action::AddToSet => {
                let chosen = self.mistakes.take_chosen().into_iter();
                let images = chosen.map(|image| (image.index, image.label, Box::new(*image.pixels))).collect();
                self.act_on_digits(digits::Act::AddTest(images))
            }
            Action::Files(act) => self.act_on_files(act),
            _ => Vec::new(),
        }
    }

    /// Applies what the worker told. What belongs to a run that is no longer the page's own is ignored.
    pub fn apply(&mut self, event: Event, now: f64) -> Vec<Request> {
        // A network may be put on the shelf after its run.
        let kept = matches!(event, Event::Kept { .. });
        if event.run().is_some() && event.run() != self.live && !kept {
            return Vec::new();
        }
        let event = match self.apply_to_sweep(event, now) {
            Ok(requests) => return requests,
            Err(event) => event,
        };
        match event {
            Event::Ready { version } if version != VERSION => {
                return self.fail(Failure::Version { worker: version, page: VERSION }, false, now);
            }
            Event::Ready { .. } => self.set_phase(Phase::LoadingData, now),
            Event::Opened { device, name, reason } => {
                self.device = Some(Device { kind: device, name, reason });
                self.become_ready(now);
                let mut requests = self.read_again(now);
                self.working = None;
                if self.workers.is_some() {
                    requests.push(Request::Send(Command::UseWorkers { count: self.workers }));
                }
                requests.extend(self.preview_anew());
                requests.extend(self.begin_pending());
                return requests;
            }
            Event::Data(progress) => {
                self.data = progress;
                self.become_ready(now);
                return self.begin_pending();
            }
            Event::Started { .. } => {}
            Event::Preparing { .. } => self.set_phase(Phase::Training(Activity::Waiting), now),
            Event::Prepared { prepared, .. } => {
                if let Some(run) = &mut self.run {
                    // From here on the length of the run is known.
                    if let Some(finetune) = &mut run.config.finetune {
                        finetune.images = prepared.images;
                    }
                    let left = room(run.config.steps()).saturating_sub(run.points.len());
                    run.points.reserve(left);
                    run.prepared = Some(*prepared);
                }
                self.set_phase(Phase::Training(Activity::Running), now);
            }
            Event::Compared { comparison, .. } => self.compared(*comparison),
            Event::SetImported { name, counts, .. } => self.set_imported(name, counts),
            Event::Sets(sets) => {
                for (name, counts) in sets {
                    self.set_imported(name, counts);
                }
            }
            Event::SetRefused { problem, .. } => self.tuning.set_problem = Some(problem),
            Event::Digits(kept) => return self.restore_digits(*kept),
            Event::Workers { count } => self.working = Some(count),
            Event::Compiling { .. } => self.set_phase(Phase::Training(Activity::Compiling), now),
            Event::Waiting { .. } => self.set_phase(Phase::Training(Activity::Waiting), now),
            Event::Steps { points, images_per_second, .. } => return self.steps(&points, images_per_second, now),
            Event::Validating { .. } => {
                if self.phase != Phase::Training(Activity::Pausing) {
                    self.set_phase(Phase::Training(Activity::Validating), now);
                }
            }
            Event::Validated { epoch, score, best, .. } => {
                if let Some(run) = &mut self.run {
                    run.scores.push((epoch, score));
                    run.best = if best { Some(epoch) } else { run.best };
                }
                return self.read_again(now);
            }
            Event::Checkpoint { checkpoint, .. } => {
                if let Some(run) = &mut self.run {
                    run.checkpoint = Some(checkpoint);
                }
            }
            Event::Paused { step, .. } => {
                self.set_step(step);
                self.set_phase(Phase::Paused, now);
                return self.read_again(now);
            }
            Event::Resumed { .. } => self.set_phase(Phase::Training(Activity::Running), now),
            Event::Testing { done, total, .. } => self.set_phase(Phase::Evaluating { done, total }, now),
            Event::Examined { exam, .. } => return self.examined(*exam),
            Event::Finished { step, stopped, early, best_epoch, test, .. } => {
                self.set_step(step);
                if let Some(run) = &mut self.run {
                    run.best = best_epoch.or(run.best);
                    run.early = early;
                    // What was counted here knows better which images do not count.
                    run.test = run.test.or(test);
                }
                // One that was tested or compared after a stop has nothing left to do.
                let ended = test.is_some() || self.tuning.arms.iter().any(|arm| Some(arm.run) == self.live);
                self.set_phase(Phase::Finished { stopped: stopped && !ended }, now);
                self.trained();
                return self.read_again(now);
            }
            // Told of a sweep that is no longer on show.
            Event::Sweep { .. } => {}
            Event::Prediction { id, probabilities } => {
                if id > self.answered && self.drawing.is_some() {
                    self.answered = id;
                    self.answer = Some(Reading::new(probabilities));
                }
            }
            Event::Inside { id, layers } => {
                if id > self.inside.of && self.answer.is_some() {
                    (self.inside.of, self.inside.layers) = (id, layers);
                }
            }
            Event::AugmentationPreview { id, pixels } => return self.previewed(id, pixels.into_vec()),
            Event::Images { id, indices, pixels } => {
                if !self.forgotten_came(id, &indices, &pixels) {
                    self.mistakes.received(&indices, &pixels);
                }
            }
            Event::Exported { name, mime, bytes } => return vec![Request::Download { name, mime, bytes }],
            Event::Imported { name, what } => return self.imported(name, what),
            Event::Failed { failure: failure @ Failure::NotAModel { .. }, .. } => self.files.refused = Some(failure),
            Event::Failed { run, failure } => return self.fail(failure, run.is_some(), now),
            Event::ModelRead { card, model } => self.model_read(*card, *model),
            Event::Kept { run, id } => {
                self.named(run, id);
                if Some(run) == self.live {
                    return self.hear_of_kept(event, now);
                }
            }
            event @ (Event::Shelf(_)
            | Event::Resumable(_)
            | Event::ModelOpened { .. }
            | Event::ModelHistory { .. }
            | Event::Storage { .. }) => {
                let mut requests = self.hear_of_kept(event, now);
                requests.extend(self.look_for_base());
                return requests;
            }
        }
        Vec::new()
    }

    fn steps(&mut self, points: &[StepPoint], images_per_second: f32, now: f64) -> Vec<Request> {
        if let Some(run) = &mut self.run {
            run.points.extend_from_slice(points);
            run.step = points.last().map_or(run.step, |point| point.step);
            run.images_per_second = images_per_second;
        }
        // A shard's failure stays on show while the run goes on with what is here; a batch that was under way when
        // the user paused does not undo that.
        if matches!(self.phase, Phase::Training(activity) if activity != Activity::Pausing) {
            self.set_phase(Phase::Training(Activity::Running), now);
        }
        if now - self.asked_at >= READ_AGAIN_MS { self.read_again(now) } else { Vec::new() }
    }

    fn examined(&mut self, exam: Exam) -> Vec<Request> {
        let Some(run) = &mut self.run else { return Vec::new() };
        let (score, requests) = self.mistakes.examined(exam, &run.config);
        run.test = Some(score);
        requests
    }

    fn set_step(&mut self, step: u32) {
        if let Some(run) = &mut self.run {
            run.step = step;
        }
    }

    /// Changes the phase, and adds up the time in which a run was going.
    fn set_phase(&mut self, phase: Phase, now: f64) {
        let active = matches!(phase, Phase::Training(_));
        match (self.active_since, active) {
            (None, true) => self.active_since = Some(now),
            (Some(since), false) => {
                self.active_since = None;
                if let Some(run) = &mut self.run {
                    run.active_ms += now - since;
                }
            }
            _ => {}
        }
        self.phase = phase;
    }

    fn send_live(&self, command: impl FnOnce(RunId) -> Command) -> Vec<Request> {
        self.live.map(command).map(Request::Send).into_iter().collect()
    }

    fn next_run(&mut self) -> RunId {
        self.last_run += 1;
        let run = RunId(self.last_run);
        self.live = Some(run);
        run
    }

    fn start(&mut self, config: RunConfig, one_batch: bool, basis: Option<Box<Basis>>) -> Vec<Request> {
        self.active_since = None;
        self.leave_kept();
        let generation = self.run.as_ref().map_or(0, |run| run.generation + 1);
        if let Some(run) = self.run.take() {
            self.past.keep(run);
        }
        self.run = Some(Run { generation, ..Run::new(config.clone()) });
        make_room(&config);
        self.phase = Phase::Training(Activity::Starting);
        let run = self.next_run();
        vec![Request::Send(Command::Start { run, config, one_batch, from: None, basis })]
    }

    /// Goes on with the run on show, from its checkpoint if it has one.
    fn go_on(&mut self) -> Vec<Request> {
        let id = self.next_run();
        let Some(run) = &mut self.run else { return Vec::new() };
        run.rewind();
        let (config, from) = (run.config.clone(), run.checkpoint.clone());
        let basis = self.basis_again(&config, from.is_some());
        self.phase = Phase::Training(Activity::Starting);
        vec![Request::Send(Command::Start { run: id, config, one_batch: false, from, basis })]
    }

    /// After a restart: goes on as soon as device and data are there.
    fn begin_pending(&mut self) -> Vec<Request> {
        if !(self.resume_here && self.phase != Phase::LoadingWorker && self.is_free()) {
            return Vec::new();
        }
        self.resume_here = false;
        self.go_on()
    }

    fn configure(&mut self, settings: RunConfig) -> Vec<Request> {
        let learning_rate = settings.learning_rate;
        let changed = learning_rate != self.settings.learning_rate;
        let names = settings.finetune.as_ref().map(|finetune| finetune.classes.clone()).unwrap_or_default();
        if !names.is_empty() && names != self.digits.collection(true).classes() {
            self.name_classes(names);
        }
        self.settings = settings;
        if !(changed && matches!(self.phase, Phase::Training(_) | Phase::Paused)) {
            return Vec::new();
        }
        if let Some(run) = &mut self.run {
            run.config.learning_rate = learning_rate;
        }
        self.send_live(|run| Command::SetLearningRate { run, learning_rate })
    }

    fn draw(&mut self, drawing: Option<Box<[u8; PIXELS]>>, now: f64) -> Vec<Request> {
        if drawing.is_none() {
            self.forget_answer();
        }
        self.drawing = drawing;
        self.drawn += 1;
        self.drawing_changed();
        self.read_again(now)
    }

    fn read_again(&mut self, now: f64) -> Vec<Request> {
        let (Some(pixels), Some(_)) = (&self.drawing, &self.device) else { return Vec::new() };
        self.asked += 1;
        self.asked_at = now;
        let (pixels, inside) = (ByteBuf::from(pixels.to_vec()), self.inside.seen);
        vec![Request::Send(Command::Predict { id: self.asked, pixels, inside })]
    }

    /// Nothing of what was asked so far is shown any more, nor what still comes of it.
    fn forget_answer(&mut self) {
        self.answer = None;
        self.answered = self.asked;
        self.inside.layers.clear();
        self.inside.of = self.asked;
    }

    fn see_inside(&mut self, seen: bool, now: f64) -> Vec<Request> {
        self.inside.seen = seen;
        // What was answered while nobody looked has no layers to show.
        if seen && self.inside.of < self.asked { self.read_again(now) } else { Vec::new() }
    }

    fn fail(&mut self, failure: Failure, ends_run: bool, now: f64) -> Vec<Request> {
        let engine_gone = ends_engine(&failure);
        let sweep_gone = (engine_gone || ends_run) && self.lose_sweep();
        let busy = self.is_busy() && !sweep_gone;
        if engine_gone {
            // A second word about the same end adds nothing to the first.
            if matches!(&self.phase, Phase::Failed(Failure::GpuLost { .. } | Failure::WorkerDied { .. })) {
                return Vec::new();
            }
            self.resume_here |= busy;
            self.data = DataProgress::default();
        }
        if let Some(run) = self.run.as_mut().filter(|_| !sweep_gone && ((engine_gone && busy) || ends_run)) {
            run.faults.push(Fault { step: run.step, failure: failure.clone() });
        }
        if engine_gone || ends_run {
            self.live = None;
        }
        self.set_phase(Phase::Failed(failure), now);
        Vec::new()
    }

    fn recover(&mut self, way: WayOn, now: f64) -> Vec<Request> {
        if self.failure().is_none() {
            return Vec::new();
        }
        match way {
            WayOn::ResumeFrom(_) | WayOn::StartAgain | WayOn::Restart => {
                let reason = self.device.as_ref().map_or(DeviceReason::Asked, |device| device.reason.clone());
                self.restart(self.choice, reason, now)
            }
            WayOn::OnCpu => {
                let lost = matches!(self.phase, Phase::Failed(Failure::GpuLost { .. }));
                self.choice = DeviceChoice::Cpu;
                self.restart(DeviceChoice::Cpu, if lost { DeviceReason::Lost } else { DeviceReason::Asked }, now)
            }
            WayOn::GoBack(_) => {
                if let Some(run) = &mut self.run {
                    run.config.learning_rate /= 10.0;
                    self.settings.learning_rate = run.config.learning_rate;
                }
                self.go_on()
            }
            WayOn::FetchAgain => {
                let phase = match self.live {
                    Some(_) if self.is_sweeping() => Phase::Sweeping,
                    Some(_) => Phase::Training(Activity::Waiting),
                    None => Phase::LoadingData,
                };
                self.set_phase(phase, now);
                vec![Request::Send(Command::FetchAgain)]
            }
            WayOn::Reload => vec![Request::Reload],
            // The file's field does the choosing; what is chosen takes the panel's place.
            WayOn::ChooseFile => Vec::new(),
            WayOn::LeaveFile => self.act_on_files(files::Act::Dismiss),
            WayOn::Defaults | WayOn::ChangeRecipe => {
                if way == WayOn::Defaults {
                    self.settings = RunConfig::default();
                }
                self.set_phase(Phase::Ready, now);
                Vec::new()
            }
        }
    }

    fn restart(&mut self, choice: DeviceChoice, reason: DeviceReason, now: f64) -> Vec<Request> {
        self.set_phase(Phase::LoadingWorker, now);
        self.device = None;
        self.leave_kept();
        self.tuning.engine_gone();
        self.live = None;
        self.forget_answer();
        self.data = DataProgress::default();
        vec![Request::Restart(choice, reason)]
    }
}

/// Whether a failure leaves no worker to go on with.
fn ends_engine(failure: &Failure) -> bool {
    matches!(
        failure,
        Failure::WorkerDied { .. } | Failure::GpuLost { .. } | Failure::WorkerSilent { .. } | Failure::Version { .. }
    )
}

/// The name of a failure's kind, as it travels.
pub fn failure_kind(failure: &Failure) -> &'static str {
    match failure {
        Failure::Unsupported { .. } => "unsupported",
        Failure::WorkerSilent { .. } => "worker-silent",
        Failure::Version { .. } => "version",
        Failure::WorkerDied { .. } => "worker-died",
        Failure::NoData { .. } => "no-data",
        Failure::MissingShard { .. } => "missing-shard",
        Failure::BadShard { .. } => "bad-shard",
        Failure::NotFinite { .. } => "not-finite",
        Failure::GpuLost { .. } => "gpu-lost",
        Failure::Configuration { .. } => "configuration",
        Failure::FineTune { .. } => "fine-tune",
        Failure::NotAModel { .. } => "not-a-model",
    }
}
