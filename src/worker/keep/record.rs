//! An unfinished run as it is kept, and the model that it becomes.

use serde::{Deserialize, Serialize};

use super::About;
use crate::model::{ModelError, SavedModel, digit_names, summarize};
use crate::protocol::RunId;
use crate::shelf::{MAX_NAME, ModelCard, ModelId, Resumable};
use crate::training::finetune::Origin;
use crate::training::{Checkpoint, History, RunConfig};

/// A run of this worker.
#[derive(Debug, Clone)]
pub(super) struct RunRecord {
    pub(super) run: RunId,
    pub(super) name: String,
    pub(super) config: RunConfig,
    pub(super) data: About,
    pub(super) history: History,
    pub(super) checkpoint: Option<Box<Checkpoint>>,
    /// The model on the shelf that it became.
    pub(super) model: Option<ModelId>,
    /// Which network it ended with, once it has.
    pub(super) end: Option<End>,
}

/// What is written of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Unfinished {
    pub(super) name: String,
    pub(super) saved: f64,
    pub(super) data: String,
    pub(super) synthetic: bool,
    pub(super) classes: Vec<String>,
    pub(super) history: History,
    pub(super) checkpoint: Box<Checkpoint>,
    pub(super) model: Option<ModelId>,
}

impl Unfinished {
    /// Whether a run can go on from this, whoever wrote it.
    pub(super) fn check(&self) -> Result<(), String> {
        self.checkpoint.check()?;
        if !self.history.fits(&self.checkpoint.config) {
            return Err("measurements that are not of this run".into());
        }
        if self.name.is_empty() || self.name.chars().count() > MAX_NAME {
            return Err("no name".into());
        }
        match &self.checkpoint.basis {
            Some(basis) => basis.model.check().map_err(|error| error.to_string()),
            None => Ok(()),
        }
    }

    pub(super) fn resumable(&self) -> Resumable {
        Resumable {
            name: self.name.clone(),
            saved: self.saved,
            config: self.checkpoint.config.clone(),
            learning_rate: self.checkpoint.learning_rate,
            step: self.checkpoint.step,
            epoch: self.checkpoint.epoch,
            history: self.history.clone(),
        }
    }

    pub(super) fn into_run(self, run: RunId) -> RunRecord {
        let Self { name, data, synthetic, classes, history, checkpoint, model, .. } = self;
        let config = checkpoint.config.clone();
        let data = About { name: data, synthetic, classes };
        RunRecord { run, name, config, data, history, checkpoint: Some(checkpoint), model, end: None }
    }
}

impl RunRecord {
    /// What is written of the run at its latest checkpoint.
    pub(super) fn unfinished(&self, now: f64) -> Option<Unfinished> {
        Some(Unfinished {
            name: self.name.clone(),
            saved: now,
            data: self.data.name.clone(),
            synthetic: self.data.synthetic,
            classes: self.data.classes.clone(),
            history: self.history.clone(),
            checkpoint: self.checkpoint.clone()?,
            model: self.model,
        })
    }

    /// The model that the run's network makes, with its card: the network of the best epoch where the run `chose` it,
    /// else the one at the latest checkpoint. `tested_at`: the step of the network that took the test.
    pub(super) fn model(&self, id: ModelId, now: f64, end: End) -> Option<Result<(ModelCard, SavedModel), ModelError>> {
        let checkpoint = self.checkpoint.as_ref()?;
        let best = checkpoint.best.as_ref().filter(|_| end == End::Best);
        let (weights, validation) = match best {
            Some(best) => (&best.weights, Some((best.epoch, best.score))),
            None => (&checkpoint.weights, self.history.scores.last().copied()),
        };
        // A test of other weights than these says nothing of them.
        let tested = best.is_some() || end == End::At(checkpoint.step);
        let network = checkpoint.config.network.clone();
        let finetune = checkpoint.config.finetune.as_ref();
        let basis = checkpoint.basis.as_ref();
        let classes = match (finetune, basis) {
            (Some(finetune), _) if !finetune.classes.is_empty() => finetune.classes.clone(),
            (_, Some(basis)) => basis.model.classes.clone(),
            _ if self.data.classes.is_empty() => digit_names(),
            _ => self.data.classes.clone(),
        };
        let mut left_out: Vec<u32> = basis.map_or_else(Vec::new, |basis| basis.model.left_out.clone());
        left_out.extend(basis.iter().flat_map(|basis| &basis.samples).filter_map(|sample| match sample.origin {
            Origin::Test { index } => Some(index),
            Origin::Drawn | Origin::File => None,
        }));
        left_out.sort_unstable();
        left_out.dedup();
        let weights = weights.clone();
        let model = SavedModel { network: network.clone(), classes: classes.clone(), weights, left_out };
        let parameters = match summarize(&network) {
            Ok(summary) => summary.parameters() as u32,
            Err(error) => return Some(Err(error.into())),
        };
        let card = ModelCard {
            id,
            name: self.name.clone(),
            saved: now,
            data: self.data.name.clone(),
            synthetic: self.data.synthetic,
            config: Some(self.config.clone()),
            step: checkpoint.step,
            validation,
            test: self.history.test.filter(|_| tested),
            network,
            classes,
            base: None,
            parameters,
            bytes: model.weights.len() as u32,
            deleted: None,
        };
        Some(model.check().map(|()| (card, model)))
    }
}

/// Which network a run ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// That of the best epoch.
    Best,
    /// The one after so many steps.
    At(u32),
}
