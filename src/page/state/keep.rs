//! What the page knows of what is kept: the run that can go on, the shelf, and whether there is room. Pure.

use std::collections::HashMap;

use super::{PageState, Phase, Request, Run};
use crate::protocol::{Command, Event};
use crate::shelf::{ModelCard, ModelId, Resumable, Shelf, StorageTrouble};
use crate::training::{History, RunConfig};

/// Models that can be compared at once.
const COMPARED: usize = 2;

/// What a user can ask of what is kept.
#[derive(Debug, Clone, PartialEq)]
pub enum KeepAction {
    /// Go on with the run of an earlier visit.
    Resume,
    /// Use a model.
    Open(ModelId),
    /// Call it something else.
    Rename(ModelId, String),
    /// Take it off the shelf.
    Delete(ModelId),
    /// Put it back.
    Restore(ModelId),
    /// The time to put deleted ones back is over.
    Purge,
    /// Choose a model to compare, or no longer.
    Choose(ModelId),
    /// Look at the shelf again.
    Look,
    /// The trouble was read.
    Dismiss,
}

/// What is kept.
#[derive(Debug, Clone, Default)]
pub struct Keep {
    /// The run of an earlier visit that can go on.
    pub resumable: Option<Box<Resumable>>,
    /// The shelf, once the worker has looked.
    pub shelf: Shelf,
    /// The model that answers drawings now, if it was opened from the shelf.
    pub open: Option<Box<ModelCard>>,
    /// The model that the run on show became.
    pub kept: Option<ModelId>,
    /// What is wrong with the storage.
    pub trouble: Option<StorageTrouble>,
    /// The models to compare, in the order in which they were chosen.
    pub chosen: Vec<ModelId>,
    /// Measurements of models' runs, as far as they were asked for; `None`: none were kept.
    pub histories: HashMap<ModelId, Option<History>>,
}

impl Keep {
    /// The model of that id that is not deleted.
    pub fn model(&self, id: ModelId) -> Option<&ModelCard> {
        self.shelf.models.iter().find(|card| card.id == id && card.deleted.is_none())
    }

    /// The name of the model that the run on show became.
    pub fn kept_name(&self) -> Option<&str> {
        self.kept.and_then(|id| self.model(id)).map(|card| card.name.as_str())
    }

    /// The two models to compare, once they are chosen.
    pub fn compared(&self) -> Option<[&ModelCard; COMPARED]> {
        let cards: Vec<_> = self.chosen.iter().filter_map(|id| self.model(*id)).collect();
        cards.try_into().ok()
    }
}

impl Run {
    /// A run as it was measured, up to that step.
    fn of_history(config: RunConfig, step: u32, history: History) -> Self {
        let History { points, scores, best, test, resumed } = history;
        let mut run = Self { scores, best, test, resumed, step, ..Self::new(config) };
        run.points.extend(points);
        run
    }
}

impl PageState {
    /// The run that is offered to go on, while nothing else is on show.
    pub fn resumable(&self) -> Option<&Resumable> {
        let idle = matches!(self.phase, Phase::LoadingData | Phase::Ready) && self.keep.open.is_none();
        self.keep.resumable.as_deref().filter(|_| idle)
    }

    /// The model on show, if it was opened from the shelf.
    pub fn opened(&self) -> Option<&ModelCard> {
        let idle = matches!(self.phase, Phase::LoadingData | Phase::Ready);
        self.keep.open.as_deref().filter(|_| idle)
    }

    /// Whether there is a room with models.
    pub fn has_shelf(&self) -> bool {
        !self.keep.shelf.models.is_empty() || self.keep.shelf.unreadable > 0
    }

    /// Whether a model of the shelf can take the place of the network on show.
    pub fn can_open(&self) -> bool {
        let idle = matches!(self.phase, Phase::LoadingData | Phase::Ready | Phase::Finished { .. });
        idle && self.device.is_some()
    }

    /// Does what the user asked for.
    pub(super) fn act_on_kept(&mut self, action: KeepAction, now: f64) -> Vec<Request> {
        let send = |command| vec![Request::Send(command)];
        match action {
            KeepAction::Resume if self.resumable().is_some() && self.can_train() => self.resume_kept(now),
            KeepAction::Open(id) if self.can_open() => send(Command::OpenModel { id }),
            KeepAction::Rename(id, name) => send(Command::RenameModel { id, name }),
            KeepAction::Delete(id) => {
                self.keep.chosen.retain(|chosen| *chosen != id);
                send(Command::DeleteModel { id })
            }
            KeepAction::Restore(id) => send(Command::RestoreModel { id }),
            KeepAction::Purge => send(Command::PurgeModels),
            KeepAction::Look => send(Command::LookAtShelf),
            KeepAction::Choose(id) => self.choose(id),
            KeepAction::Dismiss => {
                self.keep.trouble = None;
                Vec::new()
            }
            KeepAction::Resume | KeepAction::Open(_) => Vec::new(),
        }
    }

    fn choose(&mut self, id: ModelId) -> Vec<Request> {
        let chosen = &mut self.keep.chosen;
        if let Some(at) = chosen.iter().position(|chosen| *chosen == id) {
            chosen.remove(at);
            return Vec::new();
        }
        // A third one takes the place of the second.
        chosen.truncate(COMPARED - 1);
        chosen.push(id);
        let unknown = !self.keep.histories.contains_key(&id);
        unknown.then_some(Request::Send(Command::ModelHistory { id })).into_iter().collect()
    }

    fn resume_kept(&mut self, now: f64) -> Vec<Request> {
        let Some(kept) = self.keep.resumable.take() else { return Vec::new() };
        // The recipe on show is the one that goes on.
        let config = RunConfig { learning_rate: kept.learning_rate, ..kept.config };
        self.settings = config.clone();
        let mut run = Run::of_history(config, kept.step, kept.history);
        run.resumed.push(kept.step);
        run.generation = self.run.as_ref().map_or(0, |run| run.generation + 1);
        self.run = Some(run);
        self.keep.kept = None;
        self.set_phase(Phase::Training(super::Activity::Starting), now);
        let run = self.next_run();
        vec![Request::Send(Command::ResumeKept { run })]
    }

    /// Applies what the worker told of what is kept.
    pub(super) fn hear_of_kept(&mut self, event: Event, now: f64) -> Vec<Request> {
        match event {
            Event::Shelf(shelf) => {
                self.keep.shelf = shelf;
                let keep = &mut self.keep;
                let there =
                    |id: &ModelId| keep.shelf.models.iter().any(|card| card.id == *id && card.deleted.is_none());
                keep.chosen.retain(there);
                keep.histories.retain(|id, _| there(id));
            }
            Event::Resumable(kept) => {
                let idle = matches!(self.phase, Phase::LoadingData | Phase::Ready) && !self.resume_here;
                if idle && self.keep.open.is_none() {
                    self.show(Run::of_history(kept.config.clone(), kept.step, kept.history.clone()));
                    self.keep.resumable = Some(kept);
                }
            }
            Event::Kept { id, .. } => self.keep.kept = Some(id),
            Event::ModelOpened { card, history } if self.can_open() => {
                let config = card.config.clone().unwrap_or_default();
                let config = RunConfig { network: card.network.clone(), ..config };
                let mut run = Run::of_history(config, card.step, history.unwrap_or_default());
                if run.scores.is_empty() {
                    run.scores.extend(card.validation);
                }
                run.test = card.test;
                // Those of the network that was on show before.
                self.mistakes.forget();
                self.show(run);
                self.live = None;
                self.keep.open = Some(card);
                self.set_phase(if self.has_data() { Phase::Ready } else { Phase::LoadingData }, now);
                return self.read_again(now);
            }
            Event::ModelHistory { id, history } => drop(self.keep.histories.insert(id, history)),
            Event::Storage { trouble } => self.keep.trouble = trouble,
            _ => {}
        }
        Vec::new()
    }

    /// Puts another run on show.
    fn show(&mut self, run: Run) {
        let generation = self.run.as_ref().map_or(0, |run| run.generation + 1);
        self.run = Some(Run { generation, ..run });
        self.keep.kept = None;
    }

    /// Another run begins: what was kept of the one on show belongs to it no longer.
    pub(super) fn leave_kept(&mut self) {
        (self.keep.resumable, self.keep.open, self.keep.kept) = (None, None, None);
    }
}
