//! The user's own digits as the page knows them: what is collected, what the pad asks for, and what can be undone.
//! The collection itself, with what it holds out, is [`Collection`].

use std::collections::{BTreeSet, VecDeque};

use super::{PageState, Request};
use crate::data::{CLASSES, PIXELS};
use crate::protocol::Command;
use crate::training::collection::{CLASSES_RANGE, Collection, CollectionError, Full, KeptDigits, class_name};
use crate::training::finetune::{Origin, Sample};

/// Changes that can be taken back.
const UNDOS: usize = 200;

/// A change that can be taken back.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A sample was added.
    Added {
        /// It.
        id: u32,
        /// What it is.
        label: u8,
        /// Whether it is held out.
        held_out: bool,
    },
    /// One was taken out.
    Removed {
        /// Where it was.
        at: usize,
        /// It.
        sample: Sample,
    },
    /// One is something else now.
    Relabelled {
        /// It.
        id: u32,
        /// What it was.
        from: u8,
        /// What it is.
        to: u8,
    },
}

/// Why something was not taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// No room is left.
    Full,
    /// A file that is no collection.
    File(CollectionError),
    /// A file of other classes than the ones that are collected.
    OtherClasses,
    /// A picture that the browser can't draw, or without ink.
    Picture(String),
}

/// What the page knows of the user's digits.
#[derive(Debug, Clone)]
pub struct Digits {
    digits: Collection,
    /// For classes that the user named.
    named: Collection,
    /// What can be taken back, the latest last. The page tells of the latest.
    pub changes: Vec<Change>,
    /// The sample that the drawing on the pad was kept as.
    kept: Option<u32>,
    /// The sample that is chosen in the gallery.
    pub chosen: Option<u32>,
    /// Whether the pad asks for one digit after the other.
    pub gathering: bool,
    /// What was not taken in.
    pub refused: Option<Refused>,
    /// Pictures that wait for their label, the first of them on the pad.
    pub pictures: VecDeque<Box<[u8; PIXELS]>>,
    /// Grows with every change of a collection.
    pub version: u32,
    /// Whether what was kept in earlier visits is here. Before, nothing may be kept in its place.
    restored: bool,
}

/// What a user can do with them.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// Say what the drawing is.
    Label(u8),
    /// Keep the drawing as what the pad asked for.
    Keep,
    /// Take back the latest change.
    Undo,
    /// Choose a sample, or none.
    Choose(Option<u32>),
    /// Take a sample out.
    Remove(u32),
    /// Say what a sample is.
    Relabel(u32, u8),
    /// Have the pad ask for one digit after the other, or stop that.
    Gather(bool),
    /// Add images of the test set, each with its number and its label.
    AddTest(Vec<(u32, u8, Box<[u8; PIXELS]>)>),
    /// Add what a file holds.
    Import(Box<Collection>),
    /// A file could not be taken in.
    Refuse(Refused),
    /// The refusal was seen.
    Dismiss,
    /// Put pictures on the pad, one after the other, to be labelled.
    Pictures(Vec<Box<[u8; PIXELS]>>),
    /// Leave out the picture on the pad.
    SkipPicture,
}

impl Digits {
    /// An empty collection; the pad may ask for the first one at once.
    pub fn new(gathering: bool) -> Self {
        Self {
            digits: Collection::default(),
            named: Collection::new(Vec::new()),
            changes: Vec::new(),
            kept: None,
            chosen: None,
            gathering,
            refused: None,
            pictures: VecDeque::new(),
            version: 0,
            restored: false,
        }
    }

    /// What is collected: the ten digits, or what the user named.
    pub fn collection(&self, named: bool) -> &Collection {
        if named { &self.named } else { &self.digits }
    }

    /// Everything, as it is kept.
    pub fn to_keep(&self) -> KeptDigits {
        KeptDigits {
            digits: self.digits.samples().to_vec(),
            classes: self.named.classes().to_vec(),
            named: self.named.samples().to_vec(),
        }
    }

    /// Images of the test set that are among the digits.
    fn of_test(&self) -> BTreeSet<u32> {
        let index = |sample: &Sample| match sample.origin {
            Origin::Test { index } => Some(index),
            Origin::Drawn | Origin::File => None,
        };
        self.digits.samples().iter().filter_map(index).collect()
    }

    fn collection_mut(&mut self, named: bool) -> &mut Collection {
        if named { &mut self.named } else { &mut self.digits }
    }

    fn changed(&mut self, change: Option<Change>) {
        self.version += 1;
        self.refused = None;
        if let Some(change) = change {
            self.changes.push(change);
            if self.changes.len() > UNDOS {
                self.changes.remove(0);
            }
        }
    }

    fn forget_changes(&mut self) {
        self.changes.clear();
        self.kept = None;
        self.chosen = None;
    }
}

impl PageState {
    /// What is collected just now.
    pub fn collection(&self) -> &Collection {
        self.digits.collection(self.names_classes())
    }

    /// Whether the next run learns classes that the user named.
    pub fn names_classes(&self) -> bool {
        self.settings.finetune.as_ref().is_some_and(|finetune| !finetune.classes.is_empty())
    }

    /// Whether the gallery is there: from the first labelled drawing on, and while digits are asked for.
    pub fn shows_digits(&self) -> bool {
        self.tunes_on_own() || !self.collection().samples().is_empty()
    }

    /// What the pad asks for, if it asks.
    pub fn asked_for(&self) -> Option<u8> {
        let asks = self.digits.gathering && self.digits.pictures.is_empty() && self.tunes_on_own() && !self.is_busy();
        asks.then(|| self.collection().fewest()).flatten()
    }

    /// The drawing's label, once it has one.
    pub fn kept_as(&self) -> Option<u8> {
        self.digits.kept.and_then(|id| self.collection().get(id)).map(|sample| sample.label)
    }

    /// The pad has another drawing: it is not kept yet.
    pub(super) fn drawing_changed(&mut self) {
        self.digits.kept = None;
    }

    /// The user named classes: what was drawn of the ones that are still there stays.
    pub(super) fn name_classes(&mut self, classes: Vec<String>) {
        let before = std::mem::replace(&mut self.digits.named, Collection::new(classes));
        let names = self.digits.named.classes().to_vec();
        for sample in before.samples() {
            let name = &before.classes()[usize::from(sample.label)];
            if let Some(label) = names.iter().position(|class| class == name) {
                self.digits.named.take(&Sample { label: label as u8, ..sample.clone() });
            }
        }
        self.digits.forget_changes();
        self.digits.changed(None);
    }

    /// What was kept in earlier visits. What was drawn before it was here stays. A worker that was started again tells
    /// what this page has had kept itself.
    pub(super) fn restore_digits(&mut self, kept: KeptDigits) -> Vec<Request> {
        if std::mem::replace(&mut self.digits.restored, true) {
            return self.keep_digits();
        }
        let digits = std::mem::take(&mut self.digits.digits);
        for sample in kept.digits.iter().chain(digits.samples()) {
            self.digits.digits.take(sample);
        }
        if self.digits.named.classes().is_empty() {
            self.digits.named = Collection::new(names(kept.classes));
            for sample in &kept.named {
                self.digits.named.take(sample);
            }
        }
        self.digits.changed(None);
        let mut requests = self.leave_own_out();
        if digits.samples().is_empty() {
            return requests;
        }
        // They have other names now.
        self.digits.forget_changes();
        requests.extend(self.keep_digits());
        requests
    }

    /// Images of the test set among the user's digits count in no test: neither in the matrix nor in the headline.
    fn leave_own_out(&mut self) -> Vec<Request> {
        let before = self.mistakes.score();
        let (after, requests) = self.mistakes.leave_out(self.digits.of_test());
        // Another bench's run has a test of its own.
        if let Some(run) = self.run.as_mut().filter(|run| run.test.is_some() && run.test == before) {
            run.test = after;
        }
        requests
    }

    /// Has the digits kept, where that can be done now.
    fn keep_digits(&self) -> Vec<Request> {
        let can = self.digits.restored && self.device.is_some() && self.digits.version > 0;
        can.then_some(Request::KeepDigits).into_iter().collect()
    }

    pub(super) fn act_on_digits(&mut self, act: Act) -> Vec<Request> {
        let named = self.names_classes();
        let version = self.digits.version;
        let mut requests = Vec::new();
        match act {
            Act::Label(label) => requests = self.label(label),
            Act::Keep => {
                if let Some(label) = self.asked_for() {
                    requests = self.label(label);
                }
            }
            Act::Undo => self.undo(),
            Act::Choose(id) => self.digits.chosen = id.filter(|id| self.digits.collection(named).get(*id).is_some()),
            Act::Remove(id) => {
                if let Some((at, sample)) = self.digits.collection_mut(named).remove(id) {
                    self.digits.chosen = None;
                    self.digits.changed(Some(Change::Removed { at, sample }));
                }
            }
            Act::Relabel(id, label) => self.relabel(id, label),
            Act::Gather(on) => requests = self.gather(on),
            Act::AddTest(images) => {
                for (index, label, pixels) in images {
                    self.add(label, Origin::Test { index }, &pixels);
                }
            }
            Act::Import(file) => {
                let own = self.digits.collection(named);
                if file.classes() != own.classes() {
                    self.digits.refused = Some(Refused::OtherClasses);
                } else if self.digits.collection_mut(named).merge(&file) == Err(Full) {
                    self.digits.refused = Some(Refused::Full);
                } else {
                    self.digits.changed(None);
                }
            }
            Act::Refuse(refused) => self.digits.refused = Some(refused),
            Act::Dismiss => self.digits.refused = None,
            Act::Pictures(pictures) => {
                self.digits.pictures.extend(pictures);
                requests.push(Request::ShowPicture);
            }
            Act::SkipPicture => {
                self.digits.pictures.pop_front();
                requests.push(Request::ShowPicture);
            }
        }
        if self.digits.version != version {
            requests.extend(self.leave_own_out());
            requests.extend(self.keep_digits());
        }
        requests
    }

    /// Has the pad ask for one digit after the other; what lies on it is none of them.
    pub(super) fn gather(&mut self, on: bool) -> Vec<Request> {
        self.digits.gathering = on;
        on.then_some(Request::ClearPad).into_iter().collect()
    }

    /// The drawing is a `label`: it is kept, or, where it was already, it is something else now.
    fn label(&mut self, label: u8) -> Vec<Request> {
        let Some(pixels) = self.drawing().copied() else { return Vec::new() };
        if usize::from(label) >= self.collection().classes().len() {
            return Vec::new();
        }
        if let Some(id) = self.digits.kept {
            self.relabel(id, label);
            return Vec::new();
        }
        let gathering = self.asked_for().is_some();
        let picture = !self.digits.pictures.is_empty();
        let origin = if picture { Origin::File } else { Origin::Drawn };
        let Some(id) = self.add(label, origin, &pixels) else { return Vec::new() };
        self.digits.kept = Some(id);
        if picture {
            self.digits.pictures.pop_front();
            return vec![Request::ShowPicture];
        }
        if gathering {
            self.digits.gathering = self.collection().fewest().is_some();
            return vec![Request::ClearPad];
        }
        Vec::new()
    }

    fn add(&mut self, label: u8, origin: Origin, pixels: &[u8; PIXELS]) -> Option<u32> {
        // Images of the test set are digits, whatever else is collected.
        let named = self.names_classes() && !matches!(origin, Origin::Test { .. });
        let collection = self.digits.collection_mut(named);
        let before = collection.samples().len();
        let Ok(id) = collection.add(label, origin, pixels) else {
            self.digits.refused = Some(Refused::Full);
            return None;
        };
        if collection.samples().len() > before {
            let held_out = collection.get(id).is_some_and(|sample| sample.held_out);
            self.digits.changed(Some(Change::Added { id, label, held_out }));
        }
        Some(id)
    }

    fn relabel(&mut self, id: u32, to: u8) {
        let named = self.names_classes();
        let from = self.digits.collection_mut(named).relabel(id, to);
        if let Some(from) = from.filter(|from| *from != to) {
            self.digits.changed(Some(Change::Relabelled { id, from, to }));
        }
    }

    fn undo(&mut self) {
        let named = self.names_classes();
        let Some(change) = self.digits.changes.pop() else { return };
        let collection = self.digits.collection_mut(named);
        match change {
            Change::Added { id, .. } => {
                collection.remove(id);
                self.digits.kept = self.digits.kept.filter(|kept| *kept != id);
                self.digits.chosen = self.digits.chosen.filter(|chosen| *chosen != id);
            }
            Change::Removed { at, sample } => collection.put_back(at, sample),
            Change::Relabelled { id, from, .. } => drop(collection.relabel(id, from)),
        }
        self.digits.changed(None);
    }
}

/// Names of classes that can be used: each once, and as many as a network may have.
pub fn names(names: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut kept = Vec::<String>::new();
    for name in names.into_iter().filter_map(|name| class_name(&name)) {
        if !kept.contains(&name) && kept.len() < *CLASSES_RANGE.end() {
            kept.push(name);
        }
    }
    kept
}

/// The keys under the bars: as many as classes are collected.
pub fn label_of_key(key: &str) -> Option<u8> {
    key.parse::<u8>().ok().filter(|label| key.len() == 1 && usize::from(*label) < CLASSES)
}

/// The command that keeps what is collected.
pub fn keep_command(state: &PageState) -> Command {
    Command::KeepDigits(Box::new(state.digits.to_keep()))
}
