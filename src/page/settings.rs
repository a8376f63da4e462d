//! The recipe in the address: `?epochs=5&batch-size=64`. What is out of range or unknown is left at its default and
//! named on the page. Pure: the browser's part (reading and replacing the address) is in [`super::browser`].

pub mod layers;

use std::fmt::Display;
use std::ops::RangeInclusive;

use super::number::{self, Number};
use super::state::DeviceChoice;
use crate::data::augment::{Amount, Augmentation, Change};
use crate::training::RunConfig;
use crate::training::config::{
    BATCH_SIZE, CLIP_NORM, DECAY_EVERY, DECAY_FACTOR, DROPOUT, EPOCHS, LABEL_SMOOTHING, LEARNING_RATE, MOMENTUM,
    Optimizer, PATIENCE, Schedule, TRAIN_SIZE, WARM_UP, WEIGHT_DECAY,
};
use crate::training::finetune::NewData;

/// The address's word for fine-tuning.
const FINETUNE: &str = "finetune";

/// What a user can set, by its name in the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// How often every image is seen.
    Epochs,
    /// Images in a batch.
    BatchSize,
    /// The optimizer's step size.
    LearningRate,
    /// The rule that changes the weights.
    Optimizer,
    /// Of SGD alone.
    Momentum,
    /// Images used for training.
    TrainSize,
    /// What decides the run.
    Seed,
    /// The layers, as [`layers`] writes them.
    Network,
    /// Batch normalisation.
    BatchNorm,
    /// Dropout.
    Dropout,
    /// How the learning rate changes.
    Schedule,
    /// Of the step schedule alone.
    DecayEvery,
    /// Of the step schedule alone.
    DecayFactor,
    /// Epochs of warm-up.
    WarmUp,
    /// Validations without a gain after which the run ends.
    Patience,
    /// Weight decay.
    WeightDecay,
    /// The gradients' largest norm.
    ClipNorm,
    /// Label smoothing.
    LabelSmoothing,
    /// All of the augmentation: a mixture by its name.
    Augment,
    /// One change of the images: `strength:probability`.
    Change(Change),
}

impl Field {
    /// All of them. A mixture comes before the changes that differ from it.
    pub fn all() -> impl Iterator<Item = Field> {
        let single = [
            Field::Epochs,
            Field::BatchSize,
            Field::LearningRate,
            Field::Optimizer,
            Field::Momentum,
            Field::TrainSize,
            Field::Seed,
            Field::Network,
            Field::BatchNorm,
            Field::Dropout,
            Field::Schedule,
            Field::DecayEvery,
            Field::DecayFactor,
            Field::WarmUp,
            Field::Patience,
            Field::WeightDecay,
            Field::ClipNorm,
            Field::LabelSmoothing,
            Field::Augment,
        ];
        single.into_iter().chain(Change::ALL.map(Field::Change))
    }

    /// Its name in the address and in `data-testid`s.
    pub fn name(self) -> &'static str {
        match self {
            Field::Epochs => "epochs",
            Field::BatchSize => "batch-size",
            Field::LearningRate => "learning-rate",
            Field::Optimizer => "optimizer",
            Field::Momentum => "momentum",
            Field::TrainSize => "train-size",
            Field::Seed => "seed",
            Field::Network => "network",
            Field::BatchNorm => "batch-norm",
            Field::Dropout => "dropout",
            Field::Schedule => "schedule",
            Field::DecayEvery => "decay-every",
            Field::DecayFactor => "decay-factor",
            Field::WarmUp => "warm-up",
            Field::Patience => "patience",
            Field::WeightDecay => "weight-decay",
            Field::ClipNorm => "clip",
            Field::LabelSmoothing => "label-smoothing",
            Field::Augment => "augment",
            Field::Change(Change::Rotation) => "augment-rotation",
            Field::Change(Change::Crop) => "augment-crop",
            Field::Change(Change::Flip) => "augment-flip",
            Field::Change(Change::Scale) => "augment-scale",
            Field::Change(Change::Translation) => "augment-translation",
            Field::Change(Change::Brightness) => "augment-brightness",
            Field::Change(Change::Contrast) => "augment-contrast",
            Field::Change(Change::Noise) => "augment-noise",
        }
    }

    /// The values of a field that has only a few.
    pub fn choices(self) -> &'static [&'static str] {
        match self {
            Field::Optimizer => &["adam", "adamw", "sgd", "rmsprop"],
            Field::Schedule => &["constant", "step", "cosine"],
            Field::BatchNorm => &["false", "true"],
            Field::Augment => &["none", "gentle", "robust"],
            _ => &[],
        }
    }

    /// Its value in a recipe, as it is written in the address.
    pub fn get(self, config: &RunConfig) -> String {
        match self {
            Field::Epochs => config.epochs.to_string(),
            Field::BatchSize => config.batch_size.to_string(),
            Field::LearningRate => config.learning_rate.to_string(),
            Field::Optimizer => match config.optimizer {
                Optimizer::Adam => "adam".into(),
                Optimizer::AdamW => "adamw".into(),
                Optimizer::Sgd => "sgd".into(),
                Optimizer::RmsProp => "rmsprop".into(),
            },
            Field::Momentum => config.momentum.to_string(),
            Field::TrainSize => config.train_size.to_string(),
            Field::Seed => config.seed.to_string(),
            Field::Network => layers::write(&config.network),
            Field::BatchNorm => config.network.batch_norm.to_string(),
            Field::Dropout => config.network.dropout.to_string(),
            Field::Schedule => match config.schedule {
                Schedule::Constant => "constant".into(),
                Schedule::Step => "step".into(),
                Schedule::Cosine => "cosine".into(),
            },
            Field::DecayEvery => config.decay_every.to_string(),
            Field::DecayFactor => config.decay_factor.to_string(),
            Field::WarmUp => config.warm_up.to_string(),
            Field::Patience => config.patience.to_string(),
            Field::WeightDecay => config.weight_decay.to_string(),
            Field::ClipNorm => config.clip_norm.to_string(),
            Field::LabelSmoothing => config.label_smoothing.to_string(),
            Field::Augment => mixture(&config.augmentation).unwrap_or("custom").into(),
            Field::Change(change) => {
                let amount = config.augmentation.amount(change);
                if amount.is_on() { format!("{}:{}", amount.strength, amount.probability) } else { "off".into() }
            }
        }
    }

    /// Sets its value in a recipe.
    ///
    /// # Errors
    /// What would be taken, if the value is none or lies out of bounds; the recipe is as before.
    pub fn set(self, config: &mut RunConfig, value: &str) -> Result<(), Bounds> {
        let value = value.trim();
        match self {
            Field::Epochs => bounded(value, EPOCHS, &mut config.epochs),
            Field::BatchSize => bounded(value, BATCH_SIZE, &mut config.batch_size),
            Field::LearningRate => bounded(value, LEARNING_RATE, &mut config.learning_rate),
            Field::Momentum => bounded(value, MOMENTUM, &mut config.momentum),
            Field::TrainSize => bounded(value, TRAIN_SIZE, &mut config.train_size),
            Field::Seed => bounded(value, 0..=u32::MAX, &mut config.seed),
            Field::Dropout => bounded(value, DROPOUT, &mut config.network.dropout),
            Field::DecayEvery => bounded(value, DECAY_EVERY, &mut config.decay_every),
            Field::DecayFactor => bounded(value, DECAY_FACTOR, &mut config.decay_factor),
            Field::WarmUp => bounded(value, WARM_UP, &mut config.warm_up),
            Field::Patience => bounded(value, PATIENCE, &mut config.patience),
            Field::WeightDecay => bounded(value, WEIGHT_DECAY, &mut config.weight_decay),
            Field::ClipNorm => bounded(value, CLIP_NORM, &mut config.clip_norm),
            Field::LabelSmoothing => bounded(value, LABEL_SMOOTHING, &mut config.label_smoothing),
            Field::Optimizer => {
                config.optimizer = match value {
                    "adam" => Optimizer::Adam,
                    "adamw" => Optimizer::AdamW,
                    "sgd" => Optimizer::Sgd,
                    "rmsprop" => Optimizer::RmsProp,
                    _ => return Err(Bounds::OneOf(self.choices())),
                };
                Ok(())
            }
            Field::Schedule => {
                config.schedule = match value {
                    "constant" => Schedule::Constant,
                    "step" => Schedule::Step,
                    "cosine" => Schedule::Cosine,
                    _ => return Err(Bounds::OneOf(self.choices())),
                };
                Ok(())
            }
            Field::BatchNorm => {
                config.network.batch_norm = match value {
                    "true" | "1" | "on" | "" => true,
                    "false" | "0" | "off" => false,
                    _ => return Err(Bounds::OneOf(self.choices())),
                };
                Ok(())
            }
            Field::Network => {
                let default = RunConfig::default().network;
                let (convolutions, dense) = layers::read(value).ok_or_else(|| Bounds::Like(layers::write(&default)))?;
                (config.network.convolutions, config.network.dense) = (convolutions, dense);
                Ok(())
            }
            Field::Augment => {
                let preset = Augmentation::PRESETS.into_iter().find(|(name, _)| *name == value);
                config.augmentation = preset.ok_or(Bounds::OneOf(self.choices()))?.1;
                Ok(())
            }
            Field::Change(change) => {
                *config.augmentation.amount_mut(change) = match value {
                    "off" => Amount::OFF,
                    _ => amount(value, change)
                        .ok_or_else(|| Bounds::Like(format!("{}:0.5", change.strengths().end())))?,
                };
                Ok(())
            }
        }
    }
}

/// `strength:probability`, or the strength alone: half of the images get it.
fn amount(text: &str, change: Change) -> Option<Amount> {
    let (strength, probability) = text.split_once(':').unwrap_or((text, "0.5"));
    let amount = Amount::new(number::read(strength)?, number::read(probability)?);
    let bounded = change.strengths().contains(&amount.strength) && (0.0..=1.0).contains(&amount.probability);
    bounded.then_some(amount)
}

/// The preset that an augmentation is, if it is one. How strong or how often something is that is never done does not
/// count.
pub fn mixture(augmentation: &Augmentation) -> Option<&'static str> {
    let same = |(_, preset): &(_, Augmentation)| {
        Change::ALL.into_iter().all(|change| {
            let (one, other) = (augmentation.amount(change), preset.amount(change));
            one == other || (!one.is_on() && !other.is_on())
        })
    };
    Augmentation::PRESETS.into_iter().find(same).map(|(name, _)| name)
}

/// What a field takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bounds {
    /// From the least to the greatest value.
    Range(String, String),
    /// One of a few.
    OneOf(&'static [&'static str]),
    /// Something written like this.
    Like(String),
}

/// A number within its bounds.
///
/// # Errors
/// The bounds, if it lies outside or is none.
pub fn bounded<T: Number + PartialOrd + Display>(
    text: &str,
    range: RangeInclusive<T>,
    to: &mut T,
) -> Result<(), Bounds> {
    match number::read(text) {
        Some(value) if range.contains(&value) => {
            *to = value;
            Ok(())
        }
        _ => Err(Bounds::Range(range.start().to_string(), range.end().to_string())),
    }
}

/// Whether a field has another value than by default. A mixture speaks for the changes in it.
pub fn is_changed(field: Field, config: &RunConfig) -> bool {
    let mixture = mixture(&config.augmentation);
    let spoken_for = match field {
        Field::Augment => mixture.is_none(),
        Field::Change(_) => mixture.is_some(),
        _ => false,
    };
    !spoken_for && field.get(config) != field.get(&config.defaults())
}

/// Something in the address that is not followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// No such parameter.
    Unknown {
        /// Its name.
        name: String,
    },
    /// A value that can't be.
    Invalid {
        /// The parameter.
        name: String,
        /// Its value.
        value: String,
        /// What is used instead.
        used: String,
    },
}

/// What an address says.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The recipe.
    pub config: RunConfig,
    /// The device.
    pub choice: DeviceChoice,
    /// How many workers compute a step on the CPU; `None`: as many as prove fastest.
    pub workers: Option<u8>,
    /// What is not followed.
    pub notes: Vec<Note>,
}

/// Reads the parameters of an address.
pub fn read(parameters: impl IntoIterator<Item = (String, String)>) -> Settings {
    let mut settings =
        Settings { config: RunConfig::default(), choice: DeviceChoice::Auto, workers: None, notes: Vec::new() };
    let parameters: Vec<_> = parameters.into_iter().collect();
    // The mode before all: it decides what the others default to.
    if parameters.iter().any(|(name, value)| name == "mode" && value == FINETUNE) {
        settings.config = RunConfig::fine_tuning(NewData::Yours);
    }
    // A mixture first, wherever it stands: single changes are on top of it.
    let (mixtures, others): (Vec<_>, Vec<_>) =
        parameters.into_iter().partition(|(name, _)| name == Field::Augment.name());
    for (name, value) in mixtures.into_iter().chain(others) {
        if name == "mode" {
            if value != FINETUNE && value != "scratch" {
                settings.notes.push(Note::Invalid { name, value, used: "scratch".into() });
            }
        } else if name == "device" {
            match value.as_str() {
                "auto" => settings.choice = DeviceChoice::Auto,
                "cpu" => settings.choice = DeviceChoice::Cpu,
                "webgpu" => settings.choice = DeviceChoice::WebGpu,
                _ => settings.notes.push(Note::Invalid { name, value, used: "auto".into() }),
            }
        } else if name == "workers" {
            match value.parse() {
                Ok(count) if (1..=MOST_WORKERS).contains(&count) => settings.workers = Some(count),
                _ if value == "auto" => {}
                _ => settings.notes.push(Note::Invalid { name, value, used: "auto".into() }),
            }
        } else if let Some(field) = Field::all().find(|field| field.name() == name) {
            if field.set(&mut settings.config, &value).is_err() {
                settings.notes.push(Note::Invalid { name, value, used: field.get(&settings.config) });
            }
        } else {
            settings.notes.push(Note::Unknown { name });
        }
    }
    settings
}

/// Workers that can compute a step, at most: as many as a large batch has slices.
pub const MOST_WORKERS: u8 = 8;

/// The parameters that say what differs from the defaults.
pub fn write(config: &RunConfig, choice: DeviceChoice, workers: Option<u8>) -> Vec<(&'static str, String)> {
    let device = match choice {
        DeviceChoice::Auto => None,
        DeviceChoice::Cpu => Some(("device", "cpu".to_owned())),
        DeviceChoice::WebGpu => Some(("device", "webgpu".to_owned())),
    };
    let mode = config.finetune.as_ref().map(|_| ("mode", FINETUNE.to_owned()));
    let changed = Field::all().filter(|field| is_changed(*field, config));
    let workers = workers.map(|count| ("workers", count.to_string()));
    mode.into_iter()
        .chain(device)
        .chain(workers)
        .chain(changed.map(|field| (field.name(), field.get(config))))
        .collect()
}
