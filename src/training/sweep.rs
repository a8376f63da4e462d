//! Tuning: many short runs over other settings, judged by their validation alone. The test set is never looked at.
//!
//! [`SweepConfig`] says what is tried, a [`Trial`] how one run of it did. [`Sweep`] is the plan between them: a
//! session asks it for the next run and tells it each validation. It is pure, and the same for the same seed.

use std::ops::RangeInclusive;

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

use super::{RunConfig, Score, config};
use crate::data::augment::Augmentation;
use crate::data::order::{Stream, rng};

/// A setting that can be tuned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Setting {
    /// [`RunConfig::learning_rate`].
    LearningRate,
    /// [`RunConfig::batch_size`].
    BatchSize,
    /// [`RunConfig::weight_decay`].
    WeightDecay,
    /// [`crate::model::NetworkConfig::dropout`].
    Dropout,
    /// [`RunConfig::augmentation`]: how many times as strong as [`Augmentation::ROBUST`].
    Augmentation,
}

impl Setting {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Setting; 5] =
        [Setting::LearningRate, Setting::BatchSize, Setting::WeightDecay, Setting::Dropout, Setting::Augmentation];

    /// What its values must keep.
    pub fn bounds(self) -> RangeInclusive<f64> {
        match self {
            Setting::LearningRate => config::LEARNING_RATE,
            Setting::BatchSize => f64::from(*config::BATCH_SIZE.start())..=f64::from(*config::BATCH_SIZE.end()),
            Setting::WeightDecay => config::WEIGHT_DECAY,
            Setting::Dropout => config::DROPOUT,
            // Beyond it a strength is out of its own bounds.
            Setting::Augmentation => 0.0..=2.0,
        }
    }

    /// Whether it is drawn evenly on a log scale: what counts there is the factor between two values.
    fn is_logarithmic(self) -> bool {
        matches!(self, Setting::LearningRate | Setting::WeightDecay)
    }

    /// Its value in a recipe; none where an augmentation is no multiple of the one that is tuned.
    pub fn get(self, config: &RunConfig) -> Option<f64> {
        match self {
            Setting::LearningRate => Some(config.learning_rate),
            Setting::BatchSize => Some(f64::from(config.batch_size)),
            Setting::WeightDecay => Some(config.weight_decay),
            Setting::Dropout => Some(config.network.dropout),
            Setting::Augmentation => {
                [0.0, 1.0].into_iter().find(|factor| config.augmentation == Augmentation::ROBUST.times(*factor as f32))
            }
        }
    }

    fn set(self, config: &mut RunConfig, value: f64) {
        match self {
            Setting::LearningRate => config.learning_rate = value,
            Setting::BatchSize => config.batch_size = value as u32,
            Setting::WeightDecay => config.weight_decay = value,
            Setting::Dropout => config.network.dropout = value,
            Setting::Augmentation => config.augmentation = Augmentation::ROBUST.times(value as f32),
        }
    }
}

/// One setting and the values to try. A random search draws between the smallest and the largest of them; of batch
/// sizes it picks one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Axis {
    /// The setting.
    pub setting: Setting,
    /// Its values.
    pub values: Vec<f64>,
}

/// How points are chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Search {
    /// Every combination of the values.
    Grid,
    /// As many random ones as there are runs (Bergstra & Bengio 2012).
    #[default]
    Random,
}

/// What is tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SweepConfig {
    /// Everything that is not tuned.
    pub base: RunConfig,
    /// What is tuned, each setting at most once.
    pub axes: Vec<Axis>,
    /// How points are chosen.
    pub search: Search,
    /// The most runs that may be made.
    pub runs: u32,
    /// Epochs of each run.
    pub epochs: u32,
    /// Decides what a random search draws. The runs themselves all have the base's seed, so that they differ in
    /// nothing but their settings.
    pub seed: u32,
}

/// Bounds of [`SweepConfig::runs`].
pub const RUNS: RangeInclusive<u32> = 1..=100;
/// Values of an axis, at most.
pub const MAX_VALUES: usize = 20;
/// Runs that were seen to their end before one may be pruned.
pub const COMPLETE_BEFORE_PRUNING: usize = 3;
/// How often a draw that was there already is repeated. After that the settings have too few points left.
const REDRAWS: usize = 100;

/// Why a sweep can't be made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum SweepError {
    /// Nothing to tune.
    #[error("no setting has values to try")]
    NoAxis,
    /// An axis without values.
    #[error("{0:?} has no values")]
    NoValues(Setting),
    /// More values than anybody can mean.
    #[error("{0:?} has more than {MAX_VALUES} values")]
    TooManyValues(Setting),
    /// Two axes for one setting.
    #[error("{0:?} is there twice")]
    Twice(Setting),
    /// A value out of its setting's bounds, or a batch size that is no whole number.
    #[error("{setting:?} can't be {value}")]
    Value {
        /// The setting.
        setting: Setting,
        /// The value.
        value: f64,
    },
    /// A random search over factors has to start above nothing.
    #[error("{0:?} is drawn on a log scale, which has no 0")]
    Zero(Setting),
    /// A grid with more points than runs.
    #[error("the grid has {points} points, more than {runs} runs")]
    OverBudget {
        /// Combinations.
        points: u64,
        /// Runs that may be made.
        runs: u32,
    },
    /// [`SweepConfig::runs`] out of bounds.
    #[error("{0} runs")]
    Runs(u32),
    /// [`SweepConfig::epochs`] out of bounds.
    #[error("{0} epochs a run")]
    Epochs(u32),
    /// The base is a fine-tuning run.
    #[error("a sweep trains from scratch")]
    FineTune,
}

impl SweepConfig {
    /// How many runs it may come to. A random search makes fewer where settings have too few points.
    ///
    /// # Errors
    /// It can't be made.
    pub fn check(&self) -> Result<u32, SweepError> {
        if !RUNS.contains(&self.runs) {
            return Err(SweepError::Runs(self.runs));
        }
        if !config::EPOCHS.contains(&self.epochs) {
            return Err(SweepError::Epochs(self.epochs));
        }
        if self.base.finetune.is_some() {
            return Err(SweepError::FineTune);
        }
        if self.axes.is_empty() {
            return Err(SweepError::NoAxis);
        }
        for (index, Axis { setting, values }) in self.axes.iter().enumerate() {
            if self.axes[..index].iter().any(|axis| axis.setting == *setting) {
                return Err(SweepError::Twice(*setting));
            }
            if values.is_empty() {
                return Err(SweepError::NoValues(*setting));
            }
            if values.len() > MAX_VALUES {
                return Err(SweepError::TooManyValues(*setting));
            }
            let fits = |value: f64| {
                setting.bounds().contains(&value) && (*setting != Setting::BatchSize || value.fract() == 0.0)
            };
            if let Some(&value) = values.iter().find(|value| !fits(**value)) {
                return Err(SweepError::Value { setting: *setting, value });
            }
            let drawn = self.search == Search::Random && setting.is_logarithmic();
            if drawn && values.contains(&0.0) && values.iter().any(|value| *value > 0.0) {
                return Err(SweepError::Zero(*setting));
            }
        }
        match self.search {
            Search::Random => Ok(self.runs),
            Search::Grid => {
                // At most 20⁵.
                let points = self.axes.iter().map(|axis| distinct(&axis.values).len() as u64).product();
                let over = SweepError::OverBudget { points, runs: self.runs };
                u32::try_from(points).ok().filter(|points| *points <= self.runs).ok_or(over)
            }
        }
    }

    /// The recipe with a trial's settings, for a run of the usual length.
    pub fn recipe(&self, trial: &Trial) -> RunConfig {
        let mut config = self.base.clone();
        for (axis, value) in self.axes.iter().zip(&trial.values) {
            axis.setting.set(&mut config, *value);
        }
        config
    }

    /// What a trial runs.
    pub fn run(&self, trial: &Trial) -> RunConfig {
        RunConfig { epochs: self.epochs, ..self.recipe(trial) }
    }

    fn points(&self, runs: u32) -> Vec<Vec<f64>> {
        match self.search {
            Search::Grid => self.axes.iter().fold(vec![Vec::new()], |points, axis| {
                let values = distinct(&axis.values);
                points.iter().flat_map(|point| values.iter().map(|value| [&point[..], &[*value]].concat())).collect()
            }),
            Search::Random => {
                let mut rng = rng(self.seed, Stream::Sweep);
                let mut points: Vec<Vec<f64>> = Vec::new();
                let mut draw = || self.axes.iter().map(|axis| axis.draw(&mut rng)).collect();
                for _ in 0..runs {
                    // The same settings once more would give the same run.
                    let new = (0..=REDRAWS).map(|_| draw()).find(|point| !points.contains(point));
                    points.extend(new);
                }
                points
            }
        }
    }
}

impl Axis {
    fn draw(&self, rng: &mut impl Rng) -> f64 {
        if self.setting == Setting::BatchSize {
            return self.values[rng.random_range(0..self.values.len())];
        }
        let low = self.values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = self.values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let share: f64 = rng.random();
        let value = if self.setting.is_logarithmic() && low > 0.0 {
            low * (high / low).powf(share)
        } else {
            low + share * (high - low)
        };
        // Three digits: what is shown is what was run.
        let short = format!("{value:.2e}").parse().unwrap_or(value);
        f64::clamp(short, low, high)
    }
}

/// The values in their order, each once.
fn distinct(values: &[f64]) -> Vec<f64> {
    let mut once: Vec<f64> = Vec::new();
    for value in values {
        if !once.contains(value) {
            once.push(*value);
        }
    }
    once
}

/// Where a trial is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrialState {
    /// Its turn has not come.
    Waiting,
    /// It is the one that trains.
    Running,
    /// It had all of its epochs.
    Done,
    /// It was behind the others, and stopped for that.
    Pruned,
    /// The user stopped the sweep, before it or in it.
    Stopped,
    /// Its loss was no longer a number.
    Diverged,
}

/// One run of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// A value for each axis.
    pub values: Vec<f64>,
    /// The best validation so far.
    pub best: Option<Score>,
    /// Epochs validated.
    pub epochs: u32,
    /// Seconds that it took so far.
    pub seconds: f64,
    /// Where it is.
    pub state: TrialState,
}

impl Trial {
    /// Whether it trained and will not go on.
    pub fn has_run(&self) -> bool {
        match self.state {
            TrialState::Waiting | TrialState::Running => false,
            TrialState::Done | TrialState::Pruned | TrialState::Diverged => true,
            TrialState::Stopped => self.epochs > 0,
        }
    }

    /// Whether anything is still to come of it.
    pub fn is_open(&self) -> bool {
        matches!(self.state, TrialState::Waiting | TrialState::Running)
    }

    /// Nothing more comes of it.
    pub fn give_up(&mut self) {
        if self.is_open() {
            self.state = TrialState::Stopped;
        }
    }
}

/// The trial with the best validation, the earliest of equals.
pub fn best(trials: &[Trial]) -> Option<usize> {
    let scored = trials.iter().enumerate().filter_map(|(index, trial)| Some((index, trial.best?.accuracy())));
    scored.reduce(|best, next| if next.1 > best.1 { next } else { best }).map(|(index, _)| index)
}

/// What is to become of the trial that was reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    GoOn,
    /// It is hopeless, and has been marked as pruned.
    Prune,
}

/// A sweep under way: which trial is next, and which one is hopeless.
#[derive(Debug, Clone)]
pub struct Sweep {
    config: SweepConfig,
    trials: Vec<Trial>,
    /// For each trial, its best accuracy after each of its epochs.
    bests: Vec<Vec<f32>>,
}

impl Sweep {
    /// Plans it.
    ///
    /// # Errors
    /// It can't be made.
    pub fn new(config: SweepConfig) -> Result<Self, SweepError> {
        let runs = config.check()?;
        let trial = |values| Trial { values, best: None, epochs: 0, seconds: 0.0, state: TrialState::Waiting };
        let trials: Vec<Trial> = config.points(runs).into_iter().map(trial).collect();
        Ok(Self { bests: vec![Vec::new(); trials.len()], trials, config })
    }

    /// All trials, in the order in which they run.
    pub fn trials(&self) -> &[Trial] {
        &self.trials
    }

    /// What is run.
    pub fn config(&self) -> &SweepConfig {
        &self.config
    }

    /// Begins the next trial; what it runs. `None`: all had their turn.
    pub fn begin(&mut self) -> Option<RunConfig> {
        let next = self.trials.iter().position(|trial| trial.state == TrialState::Waiting)?;
        self.trials[next].state = TrialState::Running;
        Some(self.config.run(&self.trials[next]))
    }

    fn running(&self) -> Option<usize> {
        self.trials.iter().position(|trial| trial.state == TrialState::Running)
    }

    /// The running trial was validated, `seconds` after it began.
    ///
    /// The median rule (Golovin et al. 2017): a trial whose best accuracy so far is below the median of what the
    /// others had after as many epochs is not worth its time. Before [`COMPLETE_BEFORE_PRUNING`] trials were seen to
    /// their end nobody can tell, and after the last epoch there is no time left to save.
    pub fn report(&mut self, score: Score, seconds: f64) -> Verdict {
        let Some(index) = self.running() else { return Verdict::GoOn };
        let trial = &mut self.trials[index];
        trial.epochs += 1;
        trial.seconds = seconds;
        let best = trial.best.filter(|best| best.accuracy() >= score.accuracy()).unwrap_or(score);
        trial.best = Some(best);
        let epoch = trial.epochs as usize;
        self.bests[index].push(best.accuracy());
        let complete = self.trials.iter().filter(|trial| trial.state == TrialState::Done).count();
        if complete < COMPLETE_BEFORE_PRUNING || epoch as u32 >= self.config.epochs {
            return Verdict::GoOn;
        }
        let others = self.bests.iter().enumerate().filter(|(other, _)| *other != index);
        let others: Vec<f32> = others.filter_map(|(_, bests)| bests.get(epoch - 1).copied()).collect();
        if best.accuracy() < median(others) {
            self.trials[index].state = TrialState::Pruned;
            return Verdict::Prune;
        }
        Verdict::GoOn
    }

    /// The running trial ended, `seconds` after it began.
    pub fn end(&mut self, state: TrialState, seconds: f64) {
        if let Some(index) = self.running() {
            (self.trials[index].state, self.trials[index].seconds) = (state, seconds);
        }
    }

    /// Nothing more is run. What was measured stays.
    pub fn stop(&mut self, seconds: f64) {
        self.end(TrialState::Stopped, seconds);
        self.trials.iter_mut().for_each(Trial::give_up);
    }
}

/// The middle one, or the mean of the two in the middle; nothing is below that of none.
fn median(mut values: Vec<f32>) -> f32 {
    if values.is_empty() {
        return f32::NEG_INFINITY;
    }
    values.sort_by(f32::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}
