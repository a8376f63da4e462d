//! All that passes between page and worker: a [`Command`] one way, [`Event`]s the other. Nothing else does.
//!
//! Both are plain data and travel as bytes ([`encode`]): a list of ten thousand numbers is one buffer that is handed
//! over, not ten thousand objects, and the code that reads it is small. A worker of another build is told by
//! [`VERSION`]. What belongs to a run carries the run's id; the page ignores events of a run that is no longer its own,
//! and the session ignores commands of a run that it no longer has. Why something failed is an enum, never text to
//! match.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::data::Split;
use crate::data::augment::Augmentation;
use crate::data::set::{SetCounts, SetFile, SetProblem};
use crate::model::{NetworkError, SavedModel};
use crate::shelf::{ModelCard, ModelId, Resumable, Shelf, StorageTrouble};
use crate::training::collection::KeptDigits;
use crate::training::exam::Exam;
use crate::training::finetune::{Basis, Comparison, FineTuneProblem, Prepared};
use crate::training::sweep::{SweepConfig, SweepError, Trial};
use crate::training::{Checkpoint, History, RunConfig, Score, StepPoint};

/// Raised with every change of the types in this module. A worker answers [`Event::Ready`] with its own.
pub const VERSION: u32 = 7;

/// Bytes that can't be what they are said to be, or a value that can't be made bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a message of this version: {0}")]
pub struct MessageError(#[from] postcard::Error);

/// A [`Command`] or [`Event`] as bytes, in [postcard](https://postcard.jamesmunns.com)'s format. It names no fields: only
/// a build with the same [`VERSION`] reads it.
///
/// # Errors
/// None for the types of this module.
pub fn encode(message: &impl Serialize) -> Result<Vec<u8>, MessageError> {
    Ok(postcard::to_allocvec(message)?)
}

/// What [`encode`] made bytes of.
///
/// # Errors
/// The bytes are nothing of the kind.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, MessageError> {
    Ok(postcard::from_bytes(bytes)?)
}

/// Names one run within a page's life. The page counts them up from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RunId(pub u32);

/// What runs the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceKind {
    /// burn's CPU backend, with SIMD.
    Cpu,
    /// burn's WebGPU backend.
    WebGpu,
}

/// Why that device was chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceReason {
    /// A hardware adapter with all that is needed.
    UsableGpu,
    /// The user asked for it.
    Asked,
    /// The browser offers no WebGPU.
    NoWebGpu,
    /// The browser has WebGPU and gave no adapter.
    NoAdapter,
    /// The adapter is emulated in software: slower than the CPU's own way.
    SoftwareAdapter,
    /// The adapter lacks a feature that burn needs.
    MissingFeature(String),
    /// The adapter refused to open a device.
    Refused(String),
    /// One forward pass came out otherwise than on the CPU, by that much.
    SelfCheck {
        /// Largest difference of a logit.
        difference: f32,
    },
    /// The GPU was lost in a run.
    Lost,
}

/// A kind of file that Kiln writes. The formats: `docs/files.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileKind {
    /// The network's weights, with its configuration.
    Safetensors,
    /// The network as a graph that other programs run.
    Onnx,
    /// What was measured, a line each step.
    Csv,
    /// What was measured, as TensorBoard reads it.
    TensorBoard,
    /// All that another tab needs to replay the run.
    Run,
}

/// What an exported file is about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExportOf {
    /// The run at hand, which the page has followed from its beginning.
    Run {
        /// What decided it.
        config: Box<RunConfig>,
        /// What was measured of it.
        history: Box<History>,
    },
    /// A model of the shelf.
    Model {
        /// Which one.
        id: ModelId,
    },
}

/// What an imported file was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Imported {
    /// A trained network. It is on the shelf, and opened unless a run is under way.
    Model,
    /// A run to be replayed.
    Run {
        /// Its configuration.
        config: Box<RunConfig>,
        /// Whether it was trained on the very shards that are here.
        same_data: bool,
        /// What it starts from, if it fine-tunes.
        basis: Option<Box<Basis>>,
    },
}

/// What the page asks for. `Open` comes first and once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(clippy::large_enum_variant, reason = "commands are few, and each is sent away at once")]
pub enum Command {
    /// Open the device and start fetching the data.
    Open {
        /// What the page chose. A worker without GPU code opens the CPU.
        device: DeviceKind,
        /// Why.
        reason: DeviceReason,
        /// URL of the manifest.
        manifest: String,
        /// Whether the visitor's connection is to be spared: nothing but the manifest is fetched before the first run.
        sparing: bool,
    },
    /// Fetch again what failed or is missing.
    FetchAgain,
    /// Begin a run; a run under way is given up.
    Start {
        /// The new run.
        run: RunId,
        /// Its configuration.
        config: RunConfig,
        /// Do one batch, then pause.
        one_batch: bool,
        /// Go on from here instead of from the beginning.
        from: Option<Box<Checkpoint>>,
        /// What a fine-tuning run starts from; set if `config.finetune` is. Without it, `from` has its own.
        basis: Option<Box<Basis>>,
    },
    /// Pause after the batch under way.
    Pause {
        /// The run.
        run: RunId,
    },
    /// Go on, after a pause or after a stop.
    Resume {
        /// The run.
        run: RunId,
    },
    /// Do one batch of a paused run, and pause again.
    Step {
        /// The run.
        run: RunId,
    },
    /// End the run; its network stays as it is.
    Stop {
        /// The run.
        run: RunId,
    },
    /// Look at the test images with the network of a stopped run.
    Test {
        /// The run.
        run: RunId,
    },
    /// Use another learning rate from the next batch on.
    SetLearningRate {
        /// The run.
        run: RunId,
        /// The new rate.
        learning_rate: f64,
    },
    /// Take in a data set in IDX files, to fine-tune on: an image file and a label file, or two of each (a training
    /// and a test part), in any order, each packed by gzip or not.
    ImportSet {
        /// Comes back in the answer.
        id: u32,
        /// What it is called from now on; a set of that name is replaced.
        name: String,
        /// The files.
        files: Vec<SetFile>,
    },
    /// Have an imported set no longer, nor in the next visit.
    ForgetSet {
        /// Its name.
        name: String,
    },
    /// Begin a sweep. A run that is there is set aside, and is there again when the sweep has ended.
    Sweep {
        /// Names the sweep and all of its runs.
        run: RunId,
        /// What is tried.
        config: Box<SweepConfig>,
    },
    /// End a sweep; what it has measured stays.
    StopSweep {
        /// The sweep.
        run: RunId,
    },
    /// Go on with the run that [`Event::Resumable`] told of, under a new id.
    ResumeKept {
        /// The run's id from now on.
        run: RunId,
    },
    /// Put the network of an ended run on the shelf. Runs from scratch are put there by themselves.
    KeepModel {
        /// The run.
        run: RunId,
        /// What it is to be called; `None`: a glaze.
        name: Option<String>,
    },
    /// Use a model of the shelf: it answers drawings from now on. Not while a run is under way.
    OpenModel {
        /// Which one.
        id: ModelId,
    },
    /// Call a model something else.
    RenameModel {
        /// Which one.
        id: ModelId,
        /// Its new name.
        name: String,
    },
    /// Take a model off the shelf. For [`crate::shelf::UNDO_MS`] it can be had back.
    DeleteModel {
        /// Which one.
        id: ModelId,
    },
    /// Put a deleted model back.
    RestoreModel {
        /// Which one.
        id: ModelId,
    },
    /// Drop for good what was deleted long enough ago.
    PurgeModels,
    /// Tell the measurements of a model's run.
    ModelHistory {
        /// Which one.
        id: ModelId,
    },
    /// Look again at what is on the shelf and how much room there is.
    LookAtShelf,
    /// Tell a model of the shelf, for fine-tuning to start from.
    ReadModel {
        /// Which one.
        id: ModelId,
    },
    /// Keep the user's digits for the next visit, over what was kept before.
    KeepDigits(Box<KeptDigits>),
    /// Read a drawing. Only the latest one is answered.
    Predict {
        /// Comes back in the answer.
        id: u32,
        /// 28×28 bytes, 0 is paper.
        pixels: ByteBuf,
        /// Whether [`Event::Inside`] is to follow the answer.
        inside: bool,
    },
    /// Show held-out images of a fine-tuning run, by their place in [`Comparison::held_out`], at most [`MOST_IMAGES`] at
    /// once. [`Event::Images`] answers.
    HeldOut {
        /// The run.
        run: RunId,
        /// Comes back in the answer.
        id: u32,
        /// Which ones. Those that are not there are not answered.
        indices: Vec<u32>,
    },
    /// Show images of a split, at most [`MOST_IMAGES`] at once.
    Images {
        /// Comes back in the answer.
        id: u32,
        /// Of which split.
        split: Split,
        /// Which ones. Those that are not there are not answered.
        indices: Vec<u32>,
    },
    /// Show the first [`PREVIEWS`] training images as an augmentation changes them. Only the latest one is answered,
    /// once there are training images.
    PreviewAugmentation {
        /// Comes back in the answer.
        id: u32,
        /// The changes.
        augmentation: Augmentation,
        /// A run's seed: the same one changes the images in the same way, so that a moved strength moves them evenly.
        seed: u32,
    },
    /// Have so many workers compute a step's slices on the CPU, as far as they are there; `None`: as many as prove
    /// fastest.
    UseWorkers {
        /// At least 1.
        count: Option<u8>,
    },
    /// Write a file; [`Event::Exported`] brings it.
    Export {
        /// Which.
        kind: FileKind,
        /// About what.
        of: ExportOf,
    },
    /// Read a file of Kiln's: a model or a run. What it is, its content says.
    Import {
        /// The file's name.
        name: String,
        /// Its content; nobody has looked at it yet.
        bytes: ByteBuf,
    },
}

/// Images that one [`Command::Images`] can ask for.
pub const MOST_IMAGES: usize = 256;

/// Images in an [`Event::AugmentationPreview`], if there are that many.
pub const PREVIEWS: usize = 12;

/// How much of the data is here.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataProgress {
    /// What the data is called, for example `MNIST` or `synthetic digits`; empty until the manifest is here.
    pub name: String,
    /// Whether a program drew the digits.
    pub synthetic: bool,
    /// Bytes here, from the network or from the cache.
    pub bytes: u64,
    /// Bytes of all shards.
    pub total_bytes: u64,
    /// Bytes that came over the network in this visit.
    pub fetched_bytes: u64,
    /// Shards here and checked.
    pub shards: u32,
    /// All shards.
    pub total_shards: u32,
    /// Training images here and checked.
    pub train_images: u32,
    /// All training images.
    pub total_train_images: u32,
    /// All validation images.
    pub validation_images: u32,
    /// All test images.
    pub test_images: u32,
    /// Whether the rest is fetched when a run begins, and not before.
    pub waits: bool,
}

/// The outputs of one layer for a drawing, each map scaled to bytes by the layer's largest value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerMaps {
    /// The layer's name, as in the summary.
    pub name: String,
    /// Width and height of a map; 1 for a dense layer.
    pub side: u32,
    /// `maps × side × side` bytes.
    pub maps: ByteBuf,
}

/// What the worker tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// The binary is loaded and listens. The first of the events in every version, so that each can read it.
    Ready {
        /// [`VERSION`] of the worker.
        version: u32,
    },
    /// The device is open.
    Opened {
        /// What it is.
        device: DeviceKind,
        /// The adapter's name; empty for the CPU.
        name: String,
        /// Why it was chosen.
        reason: DeviceReason,
    },
    /// More data is here.
    Data(DataProgress),
    /// A run began.
    Started {
        /// The run.
        run: RunId,
    },
    /// A fine-tuning run prepares its data: it makes the new images, and computes what the frozen layers answer.
    Preparing {
        /// The run.
        run: RunId,
        /// Images done.
        done: u32,
        /// All images.
        total: u32,
    },
    /// A fine-tuning run has its data, and trains from here on.
    Prepared {
        /// The run.
        run: RunId,
        /// What there is.
        prepared: Box<Prepared>,
    },
    /// The device prepares its kernels for the run's first batch.
    Compiling {
        /// The run.
        run: RunId,
    },
    /// The run waits for images that are still on their way.
    Waiting {
        /// The run.
        run: RunId,
    },
    /// Batches were done.
    Steps {
        /// The run.
        run: RunId,
        /// In order; possibly several at once.
        points: Vec<StepPoint>,
        /// Training speed over the last second or so; 0 before it was measured.
        images_per_second: f32,
    },
    /// As many workers compute a step's slices from now on.
    Workers {
        /// How many.
        count: u8,
    },
    /// An epoch's validation is under way.
    Validating {
        /// The run.
        run: RunId,
    },
    /// An epoch ended and was validated.
    Validated {
        /// The run.
        run: RunId,
        /// Epochs done.
        epoch: u32,
        /// On the validation images.
        score: Score,
        /// Whether it is the best so far, and so the one that is kept.
        best: bool,
    },
    /// The run as it stands at an epoch's end or at a pause, to go on from there.
    Checkpoint {
        /// The run.
        run: RunId,
        /// The run.
        checkpoint: Box<Checkpoint>,
    },
    /// The run is paused.
    Paused {
        /// The run.
        run: RunId,
        /// Steps done.
        step: u32,
    },
    /// The run goes on.
    Resumed {
        /// The run.
        run: RunId,
    },
    /// The test is under way; in fine-tuning, all exams before and after.
    Testing {
        /// The run.
        run: RunId,
        /// Images looked at.
        done: u32,
        /// All images to look at.
        total: u32,
    },
    /// What the test's network made of each test image. Comes before [`Event::Finished`]; in fine-tuning only if the
    /// old test set still applies, and before [`Event::Compared`].
    Examined {
        /// The run.
        run: RunId,
        /// The readings.
        exam: Box<Exam>,
    },
    /// A fine-tuning run was compared with what it started from. [`Event::Finished`] follows, whose test is the one
    /// on the old test set, if that applies.
    Compared {
        /// The run.
        run: RunId,
        /// Before and after.
        comparison: Box<Comparison>,
    },
    /// The run ended.
    Finished {
        /// The run.
        run: RunId,
        /// Steps done.
        step: u32,
        /// Whether it was stopped before its last step.
        stopped: bool,
        /// Whether it ended itself before its last step, since validation brought nothing better any more.
        early: bool,
        /// The epoch whose network is used now, if one was validated.
        best_epoch: Option<u32>,
        /// The test, if it was taken.
        test: Option<Score>,
    },
    /// Something changed in a sweep. It has ended when nothing is to come of any trial ([`Trial::is_open`]). Of a
    /// sweep's runs nothing else is told but their steps, and what they wait for.
    Sweep {
        /// The sweep.
        run: RunId,
        /// All trials, in the order in which they run.
        trials: Vec<Trial>,
    },
    /// A drawing was read.
    Prediction {
        /// The id of the command.
        id: u32,
        /// One for each class of the network; they sum to 1.
        probabilities: Vec<f32>,
    },
    /// What each layer made of a drawing that was read. It costs more than the answer, and so comes after it; not at all
    /// if the next drawing comes first.
    Inside {
        /// The id of the command.
        id: u32,
        /// From the first convolution to the last hidden dense layer.
        layers: Vec<LayerMaps>,
    },
    /// Images that were asked for.
    Images {
        /// The id of the command.
        id: u32,
        /// The ones that are there, in the order in which they were asked for.
        indices: Vec<u32>,
        /// `indices × 784` bytes.
        pixels: ByteBuf,
    },
    /// A model of the shelf, as it was asked for.
    ModelRead {
        /// What is known of it.
        card: Box<ModelCard>,
        /// It.
        model: Box<SavedModel>,
    },
    /// The user's digits of earlier visits; told once the device is open, if they can be read.
    Digits(Box<KeptDigits>),
    /// The sets of earlier visits; told once the device is open. A run that learns from one has it read back first.
    Sets(Vec<(String, SetCounts)>),
    /// A data set was taken in.
    SetImported {
        /// The id of the command.
        id: u32,
        /// Its name.
        name: String,
        /// What is in it.
        counts: SetCounts,
    },
    /// Files are no data set that can be used.
    SetRefused {
        /// The id of the command.
        id: u32,
        /// What is wrong.
        problem: SetProblem,
    },
    /// The first training images, changed.
    AugmentationPreview {
        /// The id of the command.
        id: u32,
        /// 28×28 bytes for each of up to [`PREVIEWS`] images, as the network would see them.
        pixels: ByteBuf,
    },
    /// What is on the shelf: after opening, and whenever it changed.
    Shelf(Shelf),
    /// A run of an earlier visit can go on.
    Resumable(Box<Resumable>),
    /// The network of an ended run is on the shelf now.
    Kept {
        /// The run.
        run: RunId,
        /// As which model.
        id: ModelId,
    },
    /// A model of the shelf answers drawings now.
    ModelOpened {
        /// It.
        card: Box<ModelCard>,
        /// The measurements of its run, if they were kept.
        history: Option<History>,
    },
    /// The measurements of a model's run.
    ModelHistory {
        /// Which one's.
        id: ModelId,
        /// `None`: none were kept.
        history: Option<History>,
    },
    /// Something could not be kept or read back; nothing else stops for it.
    Storage {
        /// `None`: keeping works again.
        trouble: Option<StorageTrouble>,
    },
    /// A file is written.
    Exported {
        /// A name for it.
        name: String,
        /// Its media type.
        mime: String,
        /// Its content.
        bytes: ByteBuf,
    },
    /// A file was read. One that is none of Kiln's comes as [`Failure::NotAModel`].
    Imported {
        /// The file's name.
        name: String,
        /// What it was.
        what: Imported,
    },
    /// Something failed.
    Failed {
        /// The run that it ended, if any.
        run: Option<RunId>,
        /// What and why.
        failure: Failure,
    },
}

impl Event {
    /// The run that the event belongs to, if it belongs to one.
    pub fn run(&self) -> Option<RunId> {
        match self {
            Event::Started { run }
            | Event::Preparing { run, .. }
            | Event::Prepared { run, .. }
            | Event::Compiling { run }
            | Event::Waiting { run }
            | Event::Steps { run, .. }
            | Event::Validating { run }
            | Event::Validated { run, .. }
            | Event::Checkpoint { run, .. }
            | Event::Paused { run, .. }
            | Event::Resumed { run }
            | Event::Testing { run, .. }
            | Event::Examined { run, .. }
            | Event::Compared { run, .. }
            | Event::Finished { run, .. }
            | Event::Sweep { run, .. }
            | Event::Kept { run, .. } => Some(*run),
            Event::Failed { run, .. } => *run,
            Event::Ready { .. }
            | Event::Workers { .. }
            | Event::Opened { .. }
            | Event::Data(_)
            | Event::Prediction { .. }
            | Event::Inside { .. }
            | Event::Images { .. }
            | Event::ModelRead { .. }
            | Event::Digits(_)
            | Event::Sets(_)
            | Event::SetImported { .. }
            | Event::SetRefused { .. }
            | Event::AugmentationPreview { .. }
            | Event::Shelf(_)
            | Event::Resumable(_)
            | Event::ModelOpened { .. }
            | Event::ModelHistory { .. }
            | Event::Storage { .. }
            | Event::Exported { .. }
            | Event::Imported { .. } => None,
        }
    }
}

/// Why a configuration can't be run. The page lets nobody ask for most of it; a file and a kept run may.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum ConfigurationProblem {
    /// A number out of its bounds.
    #[error("{field} is out of its bounds")]
    Bounds {
        /// As it is called in [`RunConfig`].
        field: String,
    },
    /// Another number of classes than the data has.
    #[error("{asked} classes, and the data has {here}")]
    Classes {
        /// The network's.
        asked: u32,
        /// The data's.
        here: u32,
    },
    /// More training images than there are.
    #[error("{asked} of {here} training images")]
    Images {
        /// [`RunConfig::train_size`].
        asked: u32,
        /// How many there are.
        here: u32,
    },
    /// A network that can't be built.
    #[error("{0}")]
    Network(NetworkError),
    /// A sweep that can't be made.
    #[error("{0}")]
    Sweep(SweepError),
    /// A checkpoint that is not one of this run.
    #[error("the saved run does not fit: {what}")]
    Checkpoint {
        /// What of it.
        what: String,
    },
    /// A kept run that can't be had.
    #[error("{0}")]
    Storage(StorageTrouble),
}

/// What can fail. Each has a page of its own with a way on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Failure {
    /// The browser lacks something without which nothing works. Found by the page.
    #[error("this browser lacks {missing}")]
    Unsupported {
        /// What is missing.
        missing: String,
    },
    /// The worker's binary did not say that it is ready in time. Found by the page.
    #[error("the engine did not start within {seconds} s")]
    WorkerSilent {
        /// How long it was waited for.
        seconds: u32,
    },
    /// The worker is of another build than the page. Found by the page.
    #[error("the engine speaks version {worker} and the page version {page}")]
    Version {
        /// The worker's.
        worker: u32,
        /// The page's.
        page: u32,
    },
    /// The worker ended. Found by the page.
    #[error("the engine stopped: {message}")]
    WorkerDied {
        /// The panic's message or the browser's.
        message: String,
    },
    /// The manifest could not be fetched or read.
    #[error("the list of digits ({url}) can't be used: {what}")]
    NoData {
        /// The manifest's URL.
        url: String,
        /// What went wrong.
        what: String,
    },
    /// A shard could not be fetched.
    #[error("{file} can't be fetched: {what}")]
    MissingShard {
        /// The shard's file name.
        file: String,
        /// What went wrong.
        what: String,
    },
    /// A shard is not what the manifest says.
    #[error("{file} is damaged: expected {expected}, found {found}")]
    BadShard {
        /// The shard's file name.
        file: String,
        /// Its split.
        split: Split,
        /// What the manifest says: a SHA-256, a size or a count.
        expected: String,
        /// What was found.
        found: String,
    },
    /// The loss is no longer a number.
    #[error("the loss is no longer a number, at step {step}")]
    NotFinite {
        /// The step at which it was seen.
        step: u32,
    },
    /// The GPU was lost.
    #[error("the GPU was lost: {message}")]
    GpuLost {
        /// The browser's or the driver's word.
        message: String,
    },
    /// A file that was dropped or chosen is none that can be opened. Nothing else is touched by it.
    #[error("{file} can't be opened: {what}")]
    NotAModel {
        /// The file's name.
        file: String,
        /// What was found: which tensor or field is wrong, and how.
        what: String,
    },
    /// A configuration that can't be run.
    #[error("{problem}")]
    Configuration {
        /// What is wrong.
        problem: ConfigurationProblem,
    },
    /// A fine-tuning run that can't start.
    #[error("{problem}")]
    FineTune {
        /// Why not.
        problem: FineTuneProblem,
    },
}
