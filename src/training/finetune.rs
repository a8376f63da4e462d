//! Fine-tuning: what a run that starts from a trained network is told besides its [`super::RunConfig`]. Plain data.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::model::SavedModel;

/// Which layers learn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trainable {
    /// All of them.
    Everything,
    /// The dense layers; convolutions, pools and batch norm stay as they are.
    #[default]
    Dense,
    /// The last dense layer alone.
    Last,
}

/// A change of MNIST's images that makes new data of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shift {
    /// Turned by 40 degrees.
    Rotated,
    /// Ink on paper turned into paper on ink.
    Inverted,
    /// Noise over the whole image.
    Noisy,
    /// Strokes a pixel thicker on each side.
    Thick,
}

/// The new data.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum NewData {
    /// The samples that come with the command.
    #[default]
    Yours,
    /// A set that was imported, by its name.
    Set {
        /// As `Event::Imported` told it.
        name: String,
    },
    /// MNIST, changed.
    Shifted {
        /// How.
        shift: Shift,
    },
}

/// What fine-tuning is told besides the run's configuration. Part of [`super::RunConfig`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct FineTune {
    /// Which layers learn.
    pub trainable: Trainable,
    /// What they learn from.
    pub data: NewData,
    /// Names of new classes, 2 to 20: the last layer is replaced. Empty: the network's own classes stay.
    pub classes: Vec<String>,
    /// MNIST images mixed in for each new one, 0 to 4, against forgetting.
    pub replay: f64,
}

/// Where a sample comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
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
