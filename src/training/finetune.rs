//! Fine-tuning: what a run that starts from a trained network is told besides its [`super::RunConfig`]. Plain data.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::RunConfig;
use super::exam::Exam;
pub use crate::data::shift::Shift;
use crate::model::SavedModel;
pub use crate::model::Trainable;

/// The new data.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NewData {
    /// The samples that come with the command.
    #[default]
    Yours,
    /// A set that was imported, by its name.
    Set {
        /// As the page named it in `Command::ImportSet`.
        name: String,
    },
    /// MNIST, changed.
    Shifted {
        /// How.
        shift: Shift,
    },
}

/// What fine-tuning is told besides the run's configuration. Part of [`super::RunConfig`].
///
/// The network of the run is the basis' own: [`super::RunConfig::network`] has its convolutions, dense layers and
/// batch norm, with as many classes as there are names in `classes`, if there are any. Dropout is free.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FineTune {
    /// Which layers learn.
    pub trainable: Trainable,
    /// What they learn from. [`super::RunConfig::train_size`] is the most that is used of it.
    pub data: NewData,
    /// Names of new classes, [`CLASSES`] of them: the last layer is replaced. Empty: the network's own classes stay.
    pub classes: Vec<String>,
    /// Images of the first training mixed in for each new one, in [`REPLAY`], against forgetting. They need the
    /// network's own classes.
    pub replay: f64,
    /// Images that an epoch looks at, new and replayed. 0 until the run has prepared its data: the session finds it
    /// and tells it in [`Prepared`], so that everything that counts batches need only ask the configuration.
    pub images: u32,
}

impl RunConfig {
    /// What a fine-tuning run is told if nobody says otherwise: a few drawings are looked at often, a large set not.
    pub fn fine_tuning(data: NewData) -> Self {
        let finetune = Some(FineTune { data: data.clone(), ..FineTune::default() });
        match data {
            NewData::Yours => Self { epochs: 20, batch_size: 8, finetune, ..Self::default() },
            NewData::Set { .. } | NewData::Shifted { .. } => {
                Self { epochs: 5, batch_size: 64, train_size: 5_000, finetune, ..Self::default() }
            }
        }
    }

    /// The imported set that it learns from, by name.
    pub fn set(&self) -> Option<&str> {
        match &self.finetune.as_ref()?.data {
            NewData::Set { name } => Some(name),
            NewData::Yours | NewData::Shifted { .. } => None,
        }
    }

    /// The defaults of its mode.
    pub fn defaults(&self) -> Self {
        self.finetune.as_ref().map_or_else(Self::default, |finetune| Self::fine_tuning(finetune.data.clone()))
    }

    /// Fine-tunes on other data: what was at its default for the old ones is so for the new.
    pub fn set_new_data(&mut self, data: NewData, classes: Vec<String>) {
        let Some(finetune) = &mut self.finetune else { return };
        let (old, new) = (Self::fine_tuning(finetune.data.clone()), Self::fine_tuning(data.clone()));
        if !classes.is_empty() {
            finetune.replay = 0.0;
        }
        (finetune.data, finetune.classes) = (data, classes);
        if self.epochs == old.epochs {
            self.epochs = new.epochs;
        }
        if self.batch_size == old.batch_size {
            self.batch_size = new.batch_size;
        }
        if self.train_size == old.train_size {
            self.train_size = new.train_size;
        }
    }
}

/// Bounds of the number of new classes.
pub const CLASSES: RangeInclusive<usize> = 2..=20;
/// Bounds of [`FineTune::replay`].
pub const REPLAY: RangeInclusive<f64> = 0.0..=4.0;

impl Default for FineTune {
    fn default() -> Self {
        Self { trainable: Trainable::Dense, data: NewData::Yours, classes: Vec::new(), replay: 0.0, images: 0 }
    }
}

/// Where a sample comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Drawn on the pad.
    Drawn,
    /// An image file.
    File,
    /// An image of the test set: it no longer counts in any test.
    Test {
        /// Which one.
        index: u32,
    },
}

/// One labelled image of the user's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// Unique within the collection.
    pub id: u32,
    /// What it is.
    pub label: u8,
    /// Held out: never trained on, whatever is clicked.
    pub held_out: bool,
    /// Where it comes from.
    pub origin: Origin,
    /// 28×28 bytes, 0 is paper.
    pub pixels: ByteBuf,
}

/// What a fine-tuning run starts from; goes with `Command::Start`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Basis {
    /// The trained network.
    pub model: SavedModel,
    /// The user's samples, for [`NewData::Yours`].
    pub samples: Vec<Sample>,
}

/// What a fine-tuning run works with, counted before its first step. Counts are one for each class.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Prepared {
    /// A name for each output of the network.
    pub classes: Vec<String>,
    /// New images that are trained on.
    pub train: Vec<u32>,
    /// New images that choose the best epoch; never trained on.
    pub validation: Vec<u32>,
    /// New images that before and after are measured on; never trained on.
    pub held_out: Vec<u32>,
    /// Whether the same images do both, because there are too few to set more aside: what is measured is a little
    /// flattering then.
    pub validation_is_held_out: bool,
    /// Images of the first training that are mixed in.
    pub replayed: u32,
    /// Images that an epoch looks at: [`FineTune::images`].
    pub images: u32,
    /// Parameters that learn.
    pub trainable: u32,
    /// All parameters.
    pub parameters: u32,
    /// Whether what the frozen layers answer was computed once and kept; otherwise it is computed for each batch.
    pub kept: bool,
    /// Test images that count no longer, because they were added to the new data of this run or of one before it.
    pub left_out: Vec<u32>,
}

/// The same exam before and after.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct BeforeAfter {
    /// By the network that the run began with: the basis, or with replaced classes the basis with a new last layer.
    pub before: Exam,
    /// By the run's best network.
    pub after: Exam,
}

impl BeforeAfter {
    /// Images that count and were read right before and are not after; and those of which it is the other way round.
    pub fn changes(&self) -> (Vec<u32>, Vec<u32>) {
        let both = self.after.counted().filter(|index| *index < self.before.read.len());
        let (mut lost, mut won) = (Vec::new(), Vec::new());
        for index in both {
            match (self.before.is_right(index), self.after.is_right(index)) {
                (true, false) => lost.push(index as u32),
                (false, true) => won.push(index as u32),
                _ => {}
            }
        }
        (lost, won)
    }
}

/// Before and after a fine-tuning run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// On the held-out new data.
    pub held_out: BeforeAfter,
    /// The ids of the held-out samples, in the exam's order; empty if the new data are not samples.
    pub samples: Vec<u32>,
    /// On the old test set: what was forgotten. `None` if the classes were replaced, so that it no longer applies.
    pub old_test: Option<BeforeAfter>,
}

/// Why a fine-tuning run can't start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum FineTuneProblem {
    /// It came without the network to start from, or with one that can't be read.
    #[error("the network to start from can't be used: {what}")]
    Basis {
        /// Why not.
        what: String,
    },
    /// The configuration's network is another one than the basis.
    #[error("the recipe's network is not the one that the run starts from")]
    OtherNetwork,
    /// Too few or too many classes.
    #[error("{count} classes; {} to {} are possible", CLASSES.start(), CLASSES.end())]
    Classes {
        /// How many were named.
        count: u32,
    },
    /// More old images than can be mixed in.
    #[error("{} to {} old images for each new one are possible", REPLAY.start(), REPLAY.end())]
    Replay,
    /// Old images can't be mixed in, because their classes are gone.
    #[error("old images can't be mixed in when the classes are replaced")]
    ReplayWithNewClasses,
    /// An imported set is not here (any more).
    #[error("the set {name} is not here; import it again")]
    NoSet {
        /// Its name.
        name: String,
    },
    /// An image is of a class that the network does not have.
    #[error("class {label} in the new data; the network has {classes} classes")]
    Label {
        /// The image's class.
        label: u8,
        /// The network's.
        classes: u32,
    },
    /// A sample that is not 28×28.
    #[error("sample {id} has {found} pixels")]
    Sample {
        /// Its id.
        id: u32,
        /// Its pixels.
        found: u32,
    },
    /// Nothing to train on.
    #[error("there is no new image to train on")]
    NothingToTrainOn,
    /// Nothing to measure on.
    #[error("no new image is held out, so nothing could be measured")]
    NothingHeldOut,
    /// A checkpoint of other data than what is here now.
    #[error("the saved run looked at {expected} images an epoch, and {found} are here")]
    OtherData {
        /// In the checkpoint.
        expected: u32,
        /// Here.
        found: u32,
    },
}
