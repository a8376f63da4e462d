//! What the page knows of tuning: the form as it was typed, and the sweep on show. Everything else on the page stays
//! as it was while one runs: its runs are rows of a table, and the charts go on showing the user's own run.

use super::{PageState, Phase, Request};
use crate::data::ranking::ranking;
use crate::page::number;
use crate::protocol::{Command, Event, RunId};
use crate::training::RunConfig;
use crate::training::sweep::{Axis, Search, Setting, SweepConfig, SweepError, Trial, TrialState, best};

/// What the form holds, as it was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// The values of each of [`Setting::ALL`], with commas between them; empty: not tuned.
    pub values: [String; Setting::ALL.len()],
    /// Grid or random.
    pub search: Search,
    /// The most runs.
    pub runs: String,
    /// Epochs of each.
    pub epochs: String,
    /// What decides a random search.
    pub seed: String,
}

impl Default for Form {
    /// A look at what matters most, in a few short runs.
    fn default() -> Self {
        let values = Setting::ALL.map(|setting| match setting {
            Setting::LearningRate => "0.0003, 0.01".to_owned(),
            Setting::BatchSize => "64, 128, 256".to_owned(),
            _ => String::new(),
        });
        Self { values, search: Search::Random, runs: "8".into(), epochs: "2".into(), seed: "1".into() }
    }
}

/// Why the form's sweep can't be started.
#[derive(Debug, Clone, PartialEq)]
pub enum Wrong {
    /// Something among the values that is no number.
    NoNumber {
        /// Whose values.
        setting: Setting,
        /// What was typed.
        text: String,
    },
    /// The seed is no whole number.
    Seed,
    /// Each part is well, the whole can't be made.
    Sweep(SweepError),
}

impl Form {
    /// The sweep that it stands for, on a recipe.
    ///
    /// # Errors
    /// What is wrong with it first.
    pub fn config(&self, base: &RunConfig) -> Result<SweepConfig, Wrong> {
        let mut axes = Vec::new();
        for (setting, text) in Setting::ALL.into_iter().zip(&self.values) {
            let values: Result<Vec<f64>, &str> = text
                .split([',', '，', '、', ' ', '\t'])
                .map(str::trim)
                .filter(|value| !value.is_empty())
                .map(|value| number::read(value).ok_or(value))
                .collect();
            match values {
                Ok(values) if values.is_empty() => {}
                Ok(values) => axes.push(Axis { setting, values }),
                Err(text) => return Err(Wrong::NoNumber { setting, text: text.to_owned() }),
            }
        }
        // What is no number is out of bounds too.
        let number = |text: &str| text.trim().parse().unwrap_or(0);
        let config = SweepConfig {
            base: base.clone(),
            axes,
            search: self.search,
            runs: number(&self.runs),
            epochs: number(&self.epochs),
            seed: self.seed.trim().parse().map_err(|_| Wrong::Seed)?,
        };
        config.check().map_err(Wrong::Sweep)?;
        Ok(config)
    }
}

/// The sweep on show, under way or ended.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Its id.
    pub run: RunId,
    /// What is tried.
    pub config: SweepConfig,
    /// Its runs.
    pub trials: Vec<Trial>,
    /// The run whose settings the recipe took.
    pub opened: Option<usize>,
}

/// What the running trial is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Busy {
    /// It trains, or is validated.
    Training,
    /// The device prepares its kernels.
    Compiling,
    /// It waits for images.
    Waiting,
}

/// Everything about tuning.
#[derive(Debug, Clone)]
pub struct Tuning {
    /// What the form holds.
    pub form: Form,
    /// The sweep on show.
    pub sweep: Option<Shown>,
    /// What its running trial is doing.
    pub busy: Busy,
    /// Steps of the running trial.
    pub step: u32,
    /// Training speed; 0 before it was measured.
    pub images_per_second: f32,
    /// What the page was at, and the run that it had, when the sweep began.
    before: (Phase, Option<RunId>),
}

impl Tuning {
    pub(super) fn new() -> Self {
        Self {
            form: Form::default(),
            sweep: None,
            busy: Busy::Training,
            step: 0,
            images_per_second: 0.0,
            before: (Phase::Ready, None),
        }
    }

    /// The running trial and its place.
    pub fn running(&self) -> Option<(usize, &Trial)> {
        self.trials().iter().enumerate().find(|(_, trial)| trial.state == TrialState::Running)
    }

    /// All trials; none before the first sweep.
    pub fn trials(&self) -> &[Trial] {
        self.sweep.as_ref().map_or(&[], |sweep| &sweep.trials)
    }

    /// The best trial so far.
    pub fn best(&self) -> Option<usize> {
        best(self.trials())
    }

    /// How many trials were run.
    pub fn done(&self) -> usize {
        self.trials().iter().filter(|trial| trial.has_run()).count()
    }

    /// How much of the running trial is done, 0 to 1.
    pub fn share(&self) -> f32 {
        let (Some(sweep), Some((_, trial))) = (&self.sweep, self.running()) else { return 0.0 };
        let steps = sweep.config.run(trial).steps();
        (self.step as f32 / steps.max(1) as f32).min(1.0)
    }
}

/// What a user can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum SweepAction {
    /// Change the form.
    Fill(Box<Form>),
    /// Begin the sweep that the form stands for.
    Start,
    /// End it; what was measured stays.
    Stop,
    /// Take over a trial's settings as the recipe.
    Open(usize),
}

impl PageState {
    /// Whether a sweep could begin. A paused run is not to be taken away.
    pub fn can_sweep(&self) -> bool {
        self.can_train() && self.phase != Phase::Paused
    }

    pub(super) fn is_sweeping(&self) -> bool {
        self.sweeps.sweep.as_ref().is_some_and(|sweep| self.live == Some(sweep.run))
    }

    pub(super) fn tune(&mut self, action: SweepAction, now: f64) -> Vec<Request> {
        match action {
            SweepAction::Fill(form) => self.sweeps.form = *form,
            SweepAction::Start if self.can_sweep() => {
                let Ok(config) = self.sweeps.form.config(&self.settings) else { return Vec::new() };
                if self.phase != Phase::Swept {
                    self.sweeps.before = (self.phase.clone(), self.live);
                }
                let run = self.next_run();
                self.sweeps.sweep = Some(Shown { run, config: config.clone(), trials: Vec::new(), opened: None });
                (self.sweeps.step, self.sweeps.busy) = (0, Busy::Training);
                self.set_phase(Phase::Sweeping, now);
                return vec![Request::Send(Command::Sweep { run, config: Box::new(config) })];
            }
            SweepAction::Stop if self.is_sweeping() => return self.send_live(|run| Command::StopSweep { run }),
            SweepAction::Open(index) => {
                let Some(sweep) = &mut self.sweeps.sweep else { return Vec::new() };
                let Some(trial) = sweep.trials.get(index) else { return Vec::new() };
                sweep.opened = Some(index);
                let recipe = sweep.config.recipe(trial);
                if self.phase == Phase::Swept {
                    let phase = self.rest();
                    self.set_phase(phase, now);
                }
                return self.configure(recipe);
            }
            SweepAction::Start | SweepAction::Stop => {}
        }
        Vec::new()
    }

    /// Applies what is told of a sweep. `Err`: it is told of something else.
    pub(super) fn apply_to_sweep(&mut self, event: Event, now: f64) -> Result<Vec<Request>, Event> {
        if !self.is_sweeping() {
            return Err(event);
        }
        match event {
            Event::Steps { points, images_per_second, .. } => {
                self.sweeps.step = points.last().map_or(self.sweeps.step, |point| point.step);
                (self.sweeps.images_per_second, self.sweeps.busy) = (images_per_second, Busy::Training);
                // Where there is no run of the user's own, the trial's network answers, and learns.
                let learns = self.run.is_none() && now - self.asked_at >= super::READ_AGAIN_MS;
                return Ok(if learns { self.read_again(now) } else { Vec::new() });
            }
            Event::Compiling { .. } => self.sweeps.busy = Busy::Compiling,
            Event::Waiting { .. } => self.sweeps.busy = Busy::Waiting,
            Event::Sweep { trials, .. } => {
                let before = self.sweeps.running().map(|(index, _)| index);
                if let Some(sweep) = &mut self.sweeps.sweep {
                    sweep.trials = trials;
                }
                if self.sweeps.running().map(|(index, _)| index) != before {
                    self.sweeps.step = 0;
                }
                if !self.sweeps.trials().iter().any(Trial::is_open) {
                    self.live = self.sweeps.before.1;
                    let phase = if self.sweeps.best().is_some() { Phase::Swept } else { self.rest() };
                    self.set_phase(phase, now);
                    return Ok(self.read_again(now));
                }
            }
            event => return Err(event),
        }
        Ok(Vec::new())
    }

    /// What the page goes back to after a sweep.
    fn rest(&self) -> Phase {
        match &self.sweeps.before.0 {
            Phase::LoadingData if self.has_data() => Phase::Ready,
            phase => phase.clone(),
        }
    }

    /// The sweep ended with a failure. What was measured stays. Whether there was one.
    pub(super) fn lose_sweep(&mut self) -> bool {
        let sweeping = self.is_sweeping();
        if let (true, Some(sweep)) = (sweeping, &mut self.sweeps.sweep) {
            sweep.trials.iter_mut().for_each(Trial::give_up);
        }
        sweeping
    }
}

/// What a column of the table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column {
    /// The run's number.
    Run,
    /// The setting of an axis.
    Axis(usize),
    /// The best validation.
    Score,
    /// Epochs done.
    Epochs,
    /// Seconds.
    Time,
    /// Where it is.
    State,
}

/// The trials in the order of a column. What a trial has not got yet comes last either way; equals stay in the order
/// in which they run.
pub fn order(trials: &[Trial], column: Column, descending: bool) -> Vec<usize> {
    let key = |trial: &Trial| match column {
        Column::Run => None,
        Column::Axis(axis) => trial.values.get(axis).copied(),
        Column::Score => trial.best.map(|best| f64::from(best.accuracy())),
        Column::Epochs => (trial.epochs > 0).then_some(f64::from(trial.epochs)),
        Column::Time => (trial.seconds > 0.0).then_some(trial.seconds),
        Column::State => Some(f64::from(trial.state as u8)),
    };
    ranking(trials.len(), |a, b| match (key(&trials[a]), key(&trials[b])) {
        _ if column == Column::Run && descending => b.cmp(&a),
        _ if column == Column::Run => a.cmp(&b),
        (Some(a), Some(b)) if descending => b.total_cmp(&a),
        (Some(a), Some(b)) => a.total_cmp(&b),
        (a, b) => b.is_some().cmp(&a.is_some()),
    })
}
