//! A sweep of a [`super::Session`]: its trials run one after the other, each an ordinary [`super::Run`] that is never
//! tested. A run that was there is set aside and comes back when the sweep has ended.

use web_time::Instant;

use super::run::{Pace, Run};
use super::{Session, check};
use crate::protocol::{ConfigurationProblem, Event, Failure, RunId};
use crate::training::sweep::{Sweep, SweepConfig, TrialState, Verdict};

/// A sweep under way.
pub(super) struct Tuning {
    id: RunId,
    plan: Sweep,
    /// When the running trial began.
    since: Instant,
    /// The run that was there before. It answers drawings meanwhile.
    aside: Option<Run>,
}

impl Session {
    /// The run whose network answers drawings: the user's own, where there is one, and a trial's where there is none.
    pub(super) fn answering(&self) -> Option<&Run> {
        self.tuning.as_ref().and_then(|tuning| tuning.aside.as_ref()).or(self.run.as_ref())
    }

    /// Begins a sweep, in the place of one that is under way.
    pub(super) fn sweep(&mut self, id: RunId, config: SweepConfig) -> Vec<Event> {
        let refuse = |problem| vec![Event::Failed { run: Some(id), failure: Failure::Configuration { problem } }];
        let plan = match Sweep::new(config) {
            Ok(plan) => plan,
            Err(error) => return refuse(ConfigurationProblem::Sweep(error)),
        };
        if let Some(problem) = plan.trials().iter().find_map(|trial| check(&plan.config().run(trial)).err()) {
            return refuse(problem);
        }
        let mut aside = match self.tuning.take() {
            Some(earlier) => earlier.aside,
            None => self.run.take(),
        };
        if let Some(run) = &mut aside {
            // Should it be under way, it does not go on by itself when it comes back.
            run.pace = Pace::Paused;
        }
        self.tuning = Some(Tuning { id, plan, since: Instant::now(), aside });
        self.next_trial()
    }

    /// Ends a sweep at once.
    pub(super) fn stop_sweep(&mut self, id: RunId) -> Vec<Event> {
        let Some(tuning) = self.tuning.as_mut().filter(|tuning| tuning.id == id) else { return Vec::new() };
        tuning.plan.stop(tuning.since.elapsed().as_secs_f64());
        self.next_trial()
    }

    /// Begins the next trial, or puts back the run that was there before. Both are told.
    fn next_trial(&mut self) -> Vec<Event> {
        let Some(tuning) = &mut self.tuning else { return Vec::new() };
        tuning.since = Instant::now();
        let (run, next) = (tuning.id, tuning.plan.begin());
        let told = Event::Sweep { run, trials: tuning.plan.trials().to_vec() };
        self.run = None;
        if let Some(config) = next {
            let began = self.start(run, config, false, None, None);
            if let Some(run) = &mut self.run {
                run.is_trial = true;
                return vec![told];
            }
            // More images than there are: so it is with all trials, and the first one says it.
            self.end_sweep();
            return began;
        }
        self.end_sweep();
        vec![told]
    }

    /// Gives a sweep up, if there is one, and puts back the run that was there before.
    pub(super) fn end_sweep(&mut self) {
        if let Some(tuning) = self.tuning.take() {
            self.run = tuning.aside;
        }
    }

    /// What a trial's run tells, made into what the sweep tells.
    pub(super) fn tune(&mut self, told: Vec<Event>) -> Vec<Event> {
        let mut events = Vec::new();
        for event in told {
            let Some(tuning) = &mut self.tuning else { break };
            let seconds = tuning.since.elapsed().as_secs_f64();
            let ended = match event {
                Event::Validated { score, .. } => {
                    let verdict = tuning.plan.report(score, seconds);
                    if verdict == Verdict::GoOn {
                        let trials = tuning.plan.trials().to_vec();
                        events.push(Event::Sweep { run: tuning.id, trials });
                    }
                    verdict == Verdict::Prune
                }
                Event::Finished { .. } => {
                    tuning.plan.end(TrialState::Done, seconds);
                    true
                }
                Event::Failed { failure: Failure::NotFinite { .. }, .. } => {
                    tuning.plan.end(TrialState::Diverged, seconds);
                    true
                }
                Event::Failed { .. } => {
                    self.tuning = None;
                    events.push(event);
                    false
                }
                Event::Steps { .. }
                | Event::Compiling { .. }
                | Event::Waiting { .. }
                | Event::Prediction { .. }
                | Event::Inside { .. } => {
                    events.push(event);
                    false
                }
                // What else a run tells is for its charts and its checkpoints.
                _ => false,
            };
            if ended {
                events.extend(self.next_trial());
                break;
            }
        }
        events
    }
}
