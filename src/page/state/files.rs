//! Files in and out, as the page knows them: what was asked for, what came of it, and a file that could not be opened.
//! Such a file touches nothing else: the phase stays as it is under its panel.

use serde_bytes::ByteBuf;

use super::{PageState, Phase, Request};
use crate::protocol::{Command, ExportOf, Failure, FileKind, Imported};
use crate::shelf::ModelId;
use crate::training::History;

/// What the page knows of files.
#[derive(Debug, Clone, Default)]
pub struct Files {
    /// The file that could not be opened, until the user has seen to it.
    pub refused: Option<Failure>,
    /// What came of the last file that was opened.
    pub opened: Option<Opened>,
}

/// A file that was opened.
#[derive(Debug, Clone, PartialEq)]
pub struct Opened {
    /// Its name.
    pub name: String,
    /// What it is.
    pub what: What,
}

/// What an opened file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A network, which answers drawings from now on.
    Model,
    /// A network, but a run is under way.
    Later,
    /// A run, which is replayed.
    Replay {
        /// On the same shards.
        same_data: bool,
    },
    /// A run whose recipe is set, but another run is under way.
    Recipe,
}

/// What a user can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// Save a file about what is on show, or about a model of the shelf.
    Export(FileKind, Option<ModelId>),
    /// Open a file.
    Import {
        /// Its name.
        name: String,
        /// Its content.
        bytes: ByteBuf,
    },
    /// The page itself saw that a file is none that can be opened.
    Refuse(Failure),
    /// The panel was seen.
    Dismiss,
}

impl PageState {
    /// Whether what is on show can be written to files: a model that was opened, or a run that has done a step and is
    /// not just doing the next.
    pub fn can_export(&self) -> bool {
        let rests = matches!(self.phase, Phase::Paused | Phase::Finished { .. });
        let trained = self.is_live() && self.run.as_ref().is_some_and(|run| run.step > 0);
        self.device.is_some() && (self.opened().is_some() || (rests && trained))
    }

    /// What is on show, for whoever writes a file about it.
    fn on_show(&self) -> Option<ExportOf> {
        if let Some(card) = self.opened() {
            return Some(ExportOf::Model { id: card.id });
        }
        let run = self.run.as_ref().filter(|_| self.can_export())?;
        let history = History {
            points: run.points.clone(),
            scores: run.scores.clone(),
            best: run.best,
            test: run.test,
            resumed: run.resumed.clone(),
        };
        Some(ExportOf::Run { config: Box::new(run.config.clone()), history: Box::new(history) })
    }

    /// What is shown as failed: a file that can't be opened, else what ended the phase.
    pub fn failure(&self) -> Option<&Failure> {
        match (&self.files.refused, &self.phase) {
            (Some(refused), _) => Some(refused),
            (None, Phase::Failed(failure)) => Some(failure),
            _ => None,
        }
    }

    /// Whether the failure has the page's filled button: a refused file beside a run that goes on leaves it to the run.
    pub fn failed(&self) -> bool {
        matches!(self.phase, Phase::Failed(_)) || (self.files.refused.is_some() && !self.is_busy())
    }

    pub(super) fn act_on_files(&mut self, act: Act) -> Vec<Request> {
        match act {
            Act::Export(kind, model) if self.device.is_some() => {
                let of = model.map(|id| ExportOf::Model { id }).or_else(|| self.on_show());
                return of.map(|of| Request::Send(Command::Export { kind, of })).into_iter().collect();
            }
            Act::Import { name, bytes } if self.device.is_some() => {
                self.files.refused = None;
                return vec![Request::Send(Command::Import { name, bytes })];
            }
            Act::Refuse(failure) => self.files.refused = Some(failure),
            Act::Dismiss => self.files.refused = None,
            Act::Export(..) | Act::Import { .. } => {}
        }
        Vec::new()
    }

    pub(super) fn imported(&mut self, name: String, what: Imported) -> Vec<Request> {
        self.files.refused = None;
        let (what, requests) = match what {
            // It was put on the shelf; that it is open comes from there.
            Imported::Model => (if self.can_open() { What::Model } else { What::Later }, Vec::new()),
            Imported::Run { config, same_data, basis } => {
                let finetune = config.finetune.is_some();
                let mut requests = self.change_mode(finetune);
                *self.bench_of(finetune) = *config;
                // The mode on show stays where a run or a failure holds it.
                if self.tunes() == finetune && self.can_train() && !self.is_busy() {
                    requests.extend(match basis {
                        Some(basis) => self.replay_tuning(*basis),
                        None => self.start(self.settings.clone(), false, None),
                    });
                    (What::Replay { same_data }, requests)
                } else {
                    (What::Recipe, requests)
                }
            }
        };
        self.files.opened = Some(Opened { name, what });
        requests
    }
}
