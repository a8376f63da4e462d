//! The shelf: what is said of a kept model and of a run that can go on, without their weights. Plain data for page
//! and worker; the keeping itself is the worker's.

use serde::{Deserialize, Serialize};

use crate::model::NetworkConfig;
use crate::training::{History, RunConfig, Score};

/// Names one model on the shelf, for as long as it lies there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ModelId(pub u32);

/// Milliseconds for which a deleted model can be had back.
pub const UNDO_MS: f64 = 10_000.0;
/// The longest name of a model, in characters.
pub const MAX_NAME: usize = 60;

/// Models are named after glazes.
pub const GLAZES: [&str; 24] = [
    "Celadon",
    "Tenmoku",
    "Shino",
    "Raku",
    "Chun",
    "Oribe",
    "Kaki",
    "Nuka",
    "Ash",
    "Cobalt",
    "Rutile",
    "Kinuta",
    "Hare’s Fur",
    "Oxblood",
    "Peach Bloom",
    "Copper Red",
    "Iron Yellow",
    "Chrysanthemum",
    "Tea Dust",
    "Oil Spot",
    "Salt",
    "Majolica",
    "Lustre",
    "Crackle",
];

/// A glaze's name that none of `taken` is called by; when all were used, with a number behind it.
pub fn fresh_name<'a>(taken: impl Iterator<Item = &'a str> + Clone) -> String {
    let free = |name: &str| !taken.clone().any(|taken| taken == name);
    let numbered = (2u32..).flat_map(|number| GLAZES.map(|glaze| format!("{glaze} {number}")));
    GLAZES.map(str::to_owned).into_iter().chain(numbered).find(|name| free(name)).expect("numbers do not end")
}

/// `wanted`, or with a number behind it if it is taken; a glaze's name if nothing is left of it.
pub fn free_name<'a>(wanted: &str, taken: impl Iterator<Item = &'a str> + Clone) -> String {
    let Some(name) = clean_name(wanted) else { return fresh_name(taken) };
    let free = |name: &String| !taken.clone().any(|taken| taken == name);
    let stem: String = name.chars().take(MAX_NAME - 8).collect();
    let numbered = (2u32..).map(|number| format!("{} {number}", stem.trim_end()));
    std::iter::once(name.clone()).chain(numbered).find(free).expect("numbers do not end")
}

/// A name as it is kept: no line breaks or doubled blanks, not endless. `None` if nothing is left of it.
pub fn clean_name(name: &str) -> Option<String> {
    let words: Vec<&str> =
        name.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    let name: String = words.join(" ").chars().take(MAX_NAME).collect();
    (!name.is_empty()).then(|| name.trim_end().to_owned())
}

/// What is known of a model on the shelf.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelCard {
    /// Which one.
    pub id: ModelId,
    /// What it is called.
    pub name: String,
    /// When it was put there, in milliseconds since 1970.
    pub saved: f64,
    /// What it was trained on, for example `MNIST`; empty where nobody knows.
    pub data: String,
    /// Whether a program drew that data.
    pub synthetic: bool,
    /// The run that made it; `None` for a model from elsewhere.
    pub config: Option<RunConfig>,
    /// Steps done in that run.
    pub step: u32,
    /// Its latest validation, after that many epochs.
    pub validation: Option<(u32, Score)>,
    /// Its test, if it took it.
    pub test: Option<Score>,
    /// What it is made of.
    pub network: NetworkConfig,
    /// A name for each of its outputs.
    pub classes: Vec<String>,
    /// The name of the model that it was fine-tuned from.
    pub base: Option<String>,
    /// Trainable parameters.
    pub parameters: u32,
    /// Bytes that it takes.
    pub bytes: u32,
    /// When it was deleted, if it was: for [`UNDO_MS`] it can be had back.
    pub deleted: Option<f64>,
}

impl ModelCard {
    /// What its accuracy is told by: the test, else the validation. `true`: it is the test.
    pub fn score(&self) -> Option<(bool, Score)> {
        self.test.map(|score| (true, score)).or(self.validation.map(|(_, score)| (false, score)))
    }
}

/// Everything on the shelf, and the room for it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Shelf {
    /// The models, the latest first; deleted ones too while they can be had back.
    pub models: Vec<ModelCard>,
    /// Records that are damaged or from a newer build. They are left alone.
    pub unreadable: u32,
    /// Bytes that this site's storage takes, by the browser's estimate.
    pub usage: Option<f64>,
    /// Bytes that it may take.
    pub quota: Option<f64>,
    /// Whether the browser has promised not to clear it by itself.
    pub persisted: bool,
}

/// A run of an earlier visit that can go on, without its weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resumable {
    /// What its network is called.
    pub name: String,
    /// When it was kept, in milliseconds since 1970.
    pub saved: f64,
    /// The run.
    pub config: RunConfig,
    /// The learning rate by then.
    pub learning_rate: f64,
    /// Steps done.
    pub step: u32,
    /// Epochs done and validated.
    pub epoch: u32,
    /// What was measured.
    pub history: History,
}

/// Why something could not be kept, or read back. Training goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum StorageTrouble {
    /// No room is left.
    #[error("the browser's storage is full")]
    Full,
    /// The browser forbids storage, or it failed.
    #[error("the browser's storage can't be used: {what}")]
    Forbidden {
        /// In the browser's words.
        what: String,
    },
    /// A record is damaged or of another version; it is left out.
    #[error("a record can't be read: {what}")]
    Damaged {
        /// What does not fit.
        what: String,
    },
}
