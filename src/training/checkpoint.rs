//! A run as it stands, enough to go on as if it had never stopped. Plain data: it travels to the page and into storage.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::config::{BATCH_SIZE, EPOCHS, TRAIN_SIZE};
use super::finetune::Basis;
use super::{RunConfig, Score};
use crate::model::saved::check_weights;

/// A run between two steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// What decides the run.
    pub config: RunConfig,
    /// The base learning rate now; it may have been changed since the start.
    pub learning_rate: f64,
    /// Steps done. `step % batches_per_epoch` is the position in the epoch.
    pub step: u32,
    /// Epochs done and validated.
    pub epoch: u32,
    /// The latest validation, once there was one.
    pub score: Option<Score>,
    /// All parameters and batch norm statistics, little-endian f32, in the order of `Network::parts`.
    pub weights: ByteBuf,
    /// The optimizer's state, as `Trainer::optimizer_bytes` gives it; empty: a new optimizer begins.
    pub optimizer: ByteBuf,
    /// The network with the best validation so far.
    pub best: Option<BestNetwork>,
    /// Validations in a row that brought nothing better; for early stopping.
    pub without_gain: u32,
    /// What a fine-tuning run started from, so that its data can be prepared again and before and after compared.
    #[serde(default)]
    pub basis: Option<Box<Basis>>,
}

/// The network with the best validation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BestNetwork {
    /// Epochs done by then.
    pub epoch: u32,
    /// Its validation.
    pub score: Score,
    /// As [`Checkpoint::weights`].
    pub weights: ByteBuf,
}

impl Checkpoint {
    /// Whether a run can go on from here, whoever wrote it: nothing is built, and nothing allocated by what it claims.
    /// The optimizer's
    /// state and the rest of the configuration are checked by the session that goes on with it.
    ///
    /// # Errors
    /// What does not fit, in words.
    pub fn check(&self) -> Result<(), String> {
        let RunConfig { epochs, batch_size, train_size, .. } = &self.config;
        if !(EPOCHS.contains(epochs) && BATCH_SIZE.contains(batch_size) && TRAIN_SIZE.contains(train_size)) {
            return Err(format!("{epochs} epochs of {train_size} images, {batch_size} at a time"));
        }
        let (step, epoch, per_epoch) = (self.step, self.epoch, self.config.batches_per_epoch());
        if step > self.config.steps() || epoch > step / per_epoch {
            return Err(format!("step {step} of {}, epoch {epoch}", self.config.steps()));
        }
        let weights = std::iter::once(&self.weights).chain(self.best.as_ref().map(|best| &best.weights));
        for weights in weights {
            check_weights(&self.config.network, weights).map_err(|error| error.to_string())?;
        }
        match &self.best {
            Some(best) if best.epoch == 0 || best.epoch > epoch => {
                Err(format!("the best of {epoch} is {}", best.epoch))
            }
            _ => Ok(()),
        }
    }
}
