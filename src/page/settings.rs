//! The recipe in the address: `?epochs=5&batch-size=64`. What is out of range or unknown is left at its default and
//! named on the page. Pure: the browser's part (reading and replacing the address) is in [`super::browser`].

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::state::DeviceChoice;
use crate::training::RunConfig;
use crate::training::config::{BATCH_SIZE, DROPOUT, EPOCHS, LEARNING_RATE, TRAIN_SIZE};

/// What a user can set, by its name in the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// How often every image is seen.
    Epochs,
    /// Images in a batch.
    BatchSize,
    /// Adam's step size.
    LearningRate,
    /// Images used for training.
    TrainSize,
    /// What decides the run.
    Seed,
    /// Batch normalisation.
    BatchNorm,
    /// Dropout.
    Dropout,
}

impl Field {
    /// All of them.
    pub const ALL: [Field; 7] = [
        Field::Epochs,
        Field::BatchSize,
        Field::LearningRate,
        Field::TrainSize,
        Field::Seed,
        Field::BatchNorm,
        Field::Dropout,
    ];

    /// Its name in the address and in `data-testid`s.
    pub fn name(self) -> &'static str {
        match self {
            Field::Epochs => "epochs",
            Field::BatchSize => "batch-size",
            Field::LearningRate => "learning-rate",
            Field::TrainSize => "train-size",
            Field::Seed => "seed",
            Field::BatchNorm => "batch-norm",
            Field::Dropout => "dropout",
        }
    }

    /// Its value in a recipe, as it is written in the address.
    pub fn get(self, config: &RunConfig) -> String {
        match self {
            Field::Epochs => config.epochs.to_string(),
            Field::BatchSize => config.batch_size.to_string(),
            Field::LearningRate => config.learning_rate.to_string(),
            Field::TrainSize => config.train_size.to_string(),
            Field::Seed => config.seed.to_string(),
            Field::BatchNorm => config.network.batch_norm.to_string(),
            Field::Dropout => config.network.dropout.to_string(),
        }
    }

    /// Sets its value in a recipe.
    ///
    /// # Errors
    /// The bounds, if the value is none or lies outside of them; the recipe is as before.
    pub fn set(self, config: &mut RunConfig, value: &str) -> Result<(), Bounds> {
        let value = value.trim();
        match self {
            Field::Epochs => bounded(value, EPOCHS, &mut config.epochs),
            Field::BatchSize => bounded(value, BATCH_SIZE, &mut config.batch_size),
            Field::LearningRate => bounded(value, LEARNING_RATE, &mut config.learning_rate),
            Field::TrainSize => bounded(value, TRAIN_SIZE, &mut config.train_size),
            Field::Seed => bounded(value, 0..=u32::MAX, &mut config.seed),
            Field::Dropout => bounded(value, DROPOUT, &mut config.network.dropout),
            Field::BatchNorm => {
                config.network.batch_norm = match value {
                    "true" | "1" | "on" | "" => true,
                    "false" | "0" | "off" => false,
                    _ => return Err(Bounds("false".into(), "true".into())),
                };
                Ok(())
            }
        }
    }
}

/// The least and the greatest value, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds(pub String, pub String);

fn bounded<T: FromStr + PartialOrd + Display>(text: &str, range: RangeInclusive<T>, to: &mut T) -> Result<(), Bounds> {
    match text.parse() {
        Ok(value) if range.contains(&value) => {
            *to = value;
            Ok(())
        }
        _ => Err(Bounds(range.start().to_string(), range.end().to_string())),
    }
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
    /// What is not followed.
    pub notes: Vec<Note>,
}

/// Reads the parameters of an address.
pub fn read(parameters: impl IntoIterator<Item = (String, String)>) -> Settings {
    let mut settings = Settings { config: RunConfig::default(), choice: DeviceChoice::Auto, notes: Vec::new() };
    for (name, value) in parameters {
        if name == "device" {
            match value.as_str() {
                "auto" => settings.choice = DeviceChoice::Auto,
                "cpu" => settings.choice = DeviceChoice::Cpu,
                "webgpu" => settings.choice = DeviceChoice::WebGpu,
                _ => settings.notes.push(Note::Invalid { name, value, used: "auto".into() }),
            }
        } else if let Some(field) = Field::ALL.into_iter().find(|field| field.name() == name) {
            if field.set(&mut settings.config, &value).is_err() {
                settings.notes.push(Note::Invalid { name, value, used: field.get(&settings.config) });
            }
        } else {
            settings.notes.push(Note::Unknown { name });
        }
    }
    settings
}

/// The parameters that say what differs from the defaults.
pub fn write(config: &RunConfig, choice: DeviceChoice) -> Vec<(&'static str, String)> {
    let defaults = RunConfig::default();
    let device = match choice {
        DeviceChoice::Auto => None,
        DeviceChoice::Cpu => Some(("device", "cpu".to_owned())),
        DeviceChoice::WebGpu => Some(("device", "webgpu".to_owned())),
    };
    let changed = Field::ALL.into_iter().filter(|field| field.get(config) != field.get(&defaults));
    device.into_iter().chain(changed.map(|field| (field.name(), field.get(config)))).collect()
}
