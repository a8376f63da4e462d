//! A run as JSON: all that another tab needs to replay it, and what was measured, to compare.

use serde::{Deserialize, Serialize};

use super::{FileError, field, json};
use crate::data::manifest::Manifest;
use crate::data::{PIXELS, Split};
use crate::model::saved::MAX_CLASS_NAME;
use crate::model::summarize;
use crate::protocol::DeviceKind;
use crate::training::finetune::{Basis, CLASSES, FineTune};
use crate::training::{History, RunConfig, Score, StepPoint};

/// The version that this build reads and writes.
pub const VERSION: u32 = 1;
/// The most shards that a data set may have.
const MAX_SHARDS: usize = 10_000;
/// The most images that an epoch of fine-tuning looks at: of the largest set, with as many old ones as can be mixed in.
const MAX_IMAGES: u32 = 1_000_000;

/// The file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunFile {
    /// [`VERSION`]; its name says what the file is.
    #[serde(rename = "kiln-run")]
    pub version: u32,
    /// What decides the run; the seed is in it.
    pub config: RunConfig,
    /// What it was trained on.
    pub data: Data,
    /// What trained it.
    pub device: Device,
    /// What it was trained with.
    pub versions: Versions,
    /// What it starts from, if it fine-tunes: the network, and the samples if it learns from the user's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basis: Option<Box<Basis>>,
    /// What was measured.
    pub metrics: Metrics,
}

/// A data set, known by its shards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Data {
    /// What it is called.
    pub name: String,
    /// Whether a program drew it.
    pub synthetic: bool,
    /// Its shards, in order.
    pub shards: Vec<Shard>,
}

/// A shard.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shard {
    /// Its split.
    pub split: Split,
    /// Images in it.
    pub count: u32,
    /// Of the file, in hexadecimal digits.
    pub sha256: String,
}

/// A device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Device {
    /// What it is.
    pub kind: DeviceKind,
    /// Its name; empty for the CPU.
    pub name: String,
}

/// Versions of what computes. Another one may round otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Versions {
    /// Kiln's.
    pub kiln: String,
    /// burn's.
    pub burn: String,
}

impl Default for Versions {
    fn default() -> Self {
        // burn's is pinned in Cargo.toml, and a test compares the two.
        Self { kiln: env!("CARGO_PKG_VERSION").into(), burn: "0.22.1".into() }
    }
}

/// What was measured.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Metrics {
    /// The run's steps, from 1.
    pub step: Vec<u32>,
    /// The training loss at each of them.
    pub loss: Vec<f32>,
    /// The training accuracy at each of them.
    pub accuracy: Vec<f32>,
    /// Epochs done, and the validation at their end.
    pub validation: Vec<(u32, Score)>,
    /// The epoch whose network was used.
    pub best_epoch: Option<u32>,
    /// The test.
    pub test: Option<Score>,
}

impl Data {
    /// What the manifest lists.
    pub fn of(manifest: &Manifest) -> Self {
        let shards = manifest.shards.iter();
        let shards = shards.map(|s| Shard { split: s.split, count: s.count, sha256: s.sha256.clone() }).collect();
        Self { name: manifest.name.clone(), synthetic: manifest.synthetic, shards }
    }
}

impl Metrics {
    /// As the page shows them.
    pub fn of(history: &History) -> Self {
        Self {
            step: history.points.iter().map(|point| point.step).collect(),
            loss: history.points.iter().map(|point| point.loss).collect(),
            accuracy: history.points.iter().map(|point| point.accuracy).collect(),
            validation: history.scores.clone(),
            best_epoch: history.best,
            test: history.test,
        }
    }

    /// The steps, of checked metrics.
    pub fn points(&self) -> impl Iterator<Item = StepPoint> + '_ {
        let rest = self.loss.iter().zip(&self.accuracy);
        self.step.iter().zip(rest).map(|(&step, (&loss, &accuracy))| StepPoint { step, loss, accuracy })
    }
}

/// Writes a run.
pub fn write(file: &RunFile) -> Vec<u8> {
    serde_json::to_vec(file).expect("plain data with text for keys becomes JSON")
}

/// Reads a run and checks it: what comes back can be started without a further look.
///
/// # Errors
/// Which field is wrong, and how.
pub fn read(bytes: &[u8]) -> Result<RunFile, FileError> {
    // The version first: another one may well have other fields, and other JSON has none.
    #[derive(Deserialize)]
    struct Versioned {
        #[serde(rename = "kiln-run")]
        version: u32,
    }
    let Versioned { version } = json::read("", bytes)?;
    if version != VERSION {
        return Err(field("kiln-run", format!("version {version} is not known; this build reads {VERSION}")));
    }
    let file: RunFile = json::read("", bytes)?;
    file.check()?;
    Ok(file)
}

impl RunFile {
    fn check(&self) -> Result<(), FileError> {
        let config = &self.config;
        let outside = |name: String| field(name, "outside of its bounds");
        if let Some(change) = config.augmentation.out_of_bounds() {
            return Err(outside(format!("config.augmentation.{}", change.name())));
        }
        if let Some(name) = config.out_of_bounds() {
            return Err(outside(format!("config.{name}")));
        }
        summarize(&config.network).map_err(|error| field("config.network", error.to_string()))?;
        match (&config.finetune, &self.basis) {
            (None, None) => {}
            (None, Some(_)) => return Err(field("basis", "of a run that starts from scratch")),
            (Some(_), None) => {
                let what = "a fine-tuning run starts from a network, which is not in the file: it was kept on the \
                            shelf, not exported after training";
                return Err(field("config.finetune", what));
            }
            (Some(told), Some(basis)) => check_finetuning(told, basis)?,
        }
        if self.data.shards.len() > MAX_SHARDS {
            return Err(field("data.shards", format!("{} of them; at most {MAX_SHARDS}", self.data.shards.len())));
        }
        for (shard, index) in self.data.shards.iter().zip(0..) {
            let digits = shard.sha256.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            if shard.sha256.len() != 64 || !digits {
                return Err(field(format!("data.shards[{index}].sha256"), "no SHA-256"));
            }
        }
        self.metrics.check(config)
    }
}

fn check_finetuning(told: &FineTune, basis: &Basis) -> Result<(), FileError> {
    if !told.classes.is_empty() && !CLASSES.contains(&told.classes.len()) {
        return Err(field("config.finetune.classes", format!("{} of them", told.classes.len())));
    }
    if let Some(index) = told.classes.iter().position(|name| !(1..=MAX_CLASS_NAME).contains(&name.chars().count())) {
        return Err(field(format!("config.finetune.classes[{index}]"), "no name of a class"));
    }
    if told.images > MAX_IMAGES {
        return Err(field("config.finetune.images", format!("{}; at most {MAX_IMAGES}", told.images)));
    }
    basis.model.check().map_err(|error| field("basis.model", error.to_string()))?;
    match basis.samples.iter().position(|sample| sample.pixels.len() != PIXELS) {
        Some(index) => Err(field(format!("basis.samples[{index}].pixels"), format!("not {PIXELS} of them"))),
        None => Ok(()),
    }
}

impl Metrics {
    fn check(&self, config: &RunConfig) -> Result<(), FileError> {
        let (steps, losses, accuracies) = (self.step.len(), self.loss.len(), self.accuracy.len());
        if losses != steps || accuracies != steps {
            return Err(field("metrics.loss", format!("{losses} losses and {accuracies} accuracies of {steps} steps")));
        }
        let rises = |numbers: &[u32]| numbers.windows(2).all(|pair| pair[0] < pair[1]);
        if !rises(&self.step) || self.step.first() == Some(&0) || self.step.last() > Some(&config.steps()) {
            return Err(field("metrics.step", format!("must rise within 1 … {}", config.steps())));
        }
        if let Some(index) = self.loss.iter().position(|loss| !loss.is_finite()) {
            return Err(field(format!("metrics.loss[{index}]"), "no number"));
        }
        if let Some(index) = self.accuracy.iter().position(|accuracy| !(0.0..=1.0).contains(accuracy)) {
            return Err(field(format!("metrics.accuracy[{index}]"), "not within 0 … 1"));
        }
        let epochs: Vec<u32> = self.validation.iter().map(|(epoch, _)| *epoch).collect();
        if !rises(&epochs) || epochs.last() > Some(&config.epochs) {
            return Err(field("metrics.validation", format!("its epochs must rise within {}", config.epochs)));
        }
        let scores = self.validation.iter().map(|(_, score)| ("metrics.validation", score));
        for (name, score) in scores.chain(self.test.iter().map(|score| ("metrics.test", score))) {
            if score.correct > score.total || !score.loss.is_finite() {
                return Err(field(
                    name,
                    format!("{} of {} read right, loss {}", score.correct, score.total, score.loss),
                ));
            }
        }
        Ok(())
    }
}
