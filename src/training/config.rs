//! The configuration of a run, its defaults, and the bounds that a user's value must keep.
//! Rules and formulas: `docs/training.md`.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::finetune::FineTune;
use crate::data::augment::Augmentation;
use crate::model::NetworkConfig;

/// The rule that turns gradients into changes of the weights, with the learning rate to begin with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Optimizer {
    /// Kingma & Ba 2015, β 0.9 and 0.999, ε 1e-7 (Keras'). 1e-3.
    #[default]
    Adam,
    /// Adam with decoupled weight decay (Loshchilov & Hutter 2019). 1e-3, with a decay of 0.01.
    AdamW,
    /// Stochastic gradient descent with [`RunConfig::momentum`], undamped. 0.05, with a decay of 5e-4.
    Sgd,
    /// Tieleman & Hinton 2012, α 0.99, ε 1e-7. 1e-3; its first steps are ten times as long, so a warm-up helps.
    RmsProp,
}

/// How the learning rate changes over a run, after the warm-up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// It does not.
    #[default]
    Constant,
    /// Multiplied by [`RunConfig::decay_factor`] every [`RunConfig::decay_every`] epochs.
    Step,
    /// Falls along half a cosine to nothing at the run's end (Loshchilov & Hutter 2017).
    Cosine,
}

/// Everything that decides a run. The same configuration on the same data and device gives the same losses.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunConfig {
    /// The network to train.
    pub network: NetworkConfig,
    /// How often the run sees every training image.
    pub epochs: u32,
    /// Images looked at before each change of the weights.
    pub batch_size: u32,
    /// The optimizer's step size, before the schedule.
    pub learning_rate: f64,
    /// How many of the training images are used, from the first on; in fine-tuning, of the new ones.
    pub train_size: u32,
    /// Decides first weights, order of batches, dropout and augmentation.
    pub seed: u32,
    /// What turns gradients into changes.
    pub optimizer: Optimizer,
    /// Share of the last change that the next one keeps; of [`Optimizer::Sgd`] alone.
    pub momentum: f64,
    /// How the learning rate changes.
    pub schedule: Schedule,
    /// Epochs between two decays of [`Schedule::Step`].
    pub decay_every: u32,
    /// What the learning rate is multiplied by at each of them.
    pub decay_factor: f64,
    /// Epochs over which the learning rate rises evenly from nothing; 0 is off.
    pub warm_up: f64,
    /// Pulls weights towards zero: added to the gradients as λw, or decoupled with [`Optimizer::AdamW`]; 0 is off.
    pub weight_decay: f64,
    /// The largest norm that all gradients together may have; larger ones are scaled down. 0 is off.
    pub clip_norm: f64,
    /// Share of each target that is spread over all classes (Szegedy et al. 2016); 0 is off.
    pub label_smoothing: f64,
    /// Validations in a row without a gain after which the run ends; 0 is off.
    pub patience: u32,
    /// Random changes of the training images.
    pub augmentation: Augmentation,
    /// Set: the run starts from a trained network.
    pub finetune: Option<FineTune>,
}

/// Images in the training split of MNIST, as Kiln divides it.
pub const TRAIN_IMAGES: u32 = 55_000;

/// Bounds of [`RunConfig::epochs`].
pub const EPOCHS: RangeInclusive<u32> = 1..=100;
/// Bounds of [`RunConfig::batch_size`].
pub const BATCH_SIZE: RangeInclusive<u32> = 1..=1024;
/// Bounds of [`RunConfig::learning_rate`].
pub const LEARNING_RATE: RangeInclusive<f64> = 1e-6..=1.0;
/// Bounds of [`RunConfig::train_size`].
pub const TRAIN_SIZE: RangeInclusive<u32> = 1..=TRAIN_IMAGES;
/// Bounds of [`NetworkConfig::dropout`].
pub const DROPOUT: RangeInclusive<f64> = 0.0..=0.9;
/// Bounds of [`RunConfig::momentum`].
pub const MOMENTUM: RangeInclusive<f64> = 0.0..=0.999;
/// Bounds of [`RunConfig::decay_every`].
pub const DECAY_EVERY: RangeInclusive<u32> = 1..=100;
/// Bounds of [`RunConfig::decay_factor`].
pub const DECAY_FACTOR: RangeInclusive<f64> = 0.01..=1.0;
/// Bounds of [`RunConfig::warm_up`].
pub const WARM_UP: RangeInclusive<f64> = 0.0..=10.0;
/// Bounds of [`RunConfig::weight_decay`].
pub const WEIGHT_DECAY: RangeInclusive<f64> = 0.0..=1.0;
/// Bounds of [`RunConfig::clip_norm`].
pub const CLIP_NORM: RangeInclusive<f64> = 0.0..=1000.0;
/// Bounds of [`RunConfig::label_smoothing`].
pub const LABEL_SMOOTHING: RangeInclusive<f64> = 0.0..=0.5;
/// Bounds of [`RunConfig::patience`].
pub const PATIENCE: RangeInclusive<u32> = 0..=100;

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            network: NetworkConfig::default(),
            epochs: 10,
            batch_size: 128,
            learning_rate: 1e-3,
            train_size: TRAIN_IMAGES,
            seed: 42,
            optimizer: Optimizer::Adam,
            momentum: 0.9,
            schedule: Schedule::Constant,
            decay_every: 3,
            decay_factor: 0.5,
            warm_up: 0.0,
            weight_decay: 0.0,
            clip_norm: 0.0,
            label_smoothing: 0.0,
            patience: 0,
            augmentation: Augmentation::default(),
            finetune: None,
        }
    }
}

impl RunConfig {
    /// Images that an epoch looks at.
    pub fn images(&self) -> u32 {
        self.finetune.as_ref().map_or(self.train_size, |finetune| finetune.images)
    }

    /// Images in a batch: never more than there are to train on.
    pub fn batch_len(&self) -> usize {
        self.batch_size.min(self.images()).max(1) as usize
    }

    /// Full batches in an epoch. The last, partial one is left out: every batch has the same shape, and the shuffle
    /// leaves out other images each time.
    pub fn batches_per_epoch(&self) -> u32 {
        (self.images() / self.batch_len() as u32).max(1)
    }

    /// Steps of the whole run.
    pub fn steps(&self) -> u32 {
        self.epochs * self.batches_per_epoch()
    }

    /// The step size of step `step`, counted from 0. The run's plot and the run itself both ask here.
    pub fn learning_rate_at(&self, step: u32) -> f64 {
        self.learning_rate * self.schedule_at(step)
    }

    /// What the base learning rate is multiplied by at step `step`, counted from 0.
    ///
    /// While the warm-up lasts it rises evenly, to the whole at its last step. A step schedule counts whole epochs of
    /// the run, the warm-up's among them; a cosine falls from the warm-up's end to the run's, and the step after the
    /// last one would have nothing.
    pub fn schedule_at(&self, step: u32) -> f64 {
        let warm_up = (self.warm_up * f64::from(self.batches_per_epoch())).round();
        let (done, steps) = (f64::from(step), f64::from(self.steps()));
        if done < warm_up {
            return (done + 1.0) / warm_up;
        }
        match self.schedule {
            Schedule::Constant => 1.0,
            Schedule::Step => {
                let epoch = step / self.batches_per_epoch();
                self.decay_factor.powi((epoch / self.decay_every.max(1)) as i32)
            }
            Schedule::Cosine if done < steps => {
                0.5 * (1.0 + (std::f64::consts::PI * (done - warm_up) / (steps - warm_up)).cos())
            }
            Schedule::Cosine => 0.0,
        }
    }

    /// The name of the first field that is out of its bounds. The network has its own check,
    /// [`crate::model::summarize`].
    pub fn out_of_bounds(&self) -> Option<&'static str> {
        let bounds = [
            ("epochs", EPOCHS.contains(&self.epochs)),
            ("batch_size", BATCH_SIZE.contains(&self.batch_size)),
            ("learning_rate", LEARNING_RATE.contains(&self.learning_rate)),
            ("train_size", TRAIN_SIZE.contains(&self.train_size)),
            ("momentum", MOMENTUM.contains(&self.momentum)),
            ("decay_every", DECAY_EVERY.contains(&self.decay_every)),
            ("decay_factor", DECAY_FACTOR.contains(&self.decay_factor)),
            ("warm_up", WARM_UP.contains(&self.warm_up)),
            ("weight_decay", WEIGHT_DECAY.contains(&self.weight_decay)),
            ("clip_norm", CLIP_NORM.contains(&self.clip_norm)),
            ("label_smoothing", LABEL_SMOOTHING.contains(&self.label_smoothing)),
            ("patience", PATIENCE.contains(&self.patience)),
        ];
        let field = bounds.into_iter().find_map(|(field, inside)| (!inside).then_some(field));
        field.or_else(|| self.augmentation.out_of_bounds().map(|change| change.name()))
    }
}
