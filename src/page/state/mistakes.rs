//! The mistakes of the test that was taken last: which cell of the confusion matrix is open, which of its images were
//! fetched, and which are chosen for the user's own digits. Pure, like the rest of the state.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Request;
use crate::data::{PIXELS, Split};
use crate::protocol::{Command, MOST_IMAGES};
use crate::training::exam::{Confusion, Exam};
use crate::training::{RunConfig, Score};

/// Images of a cell that are shown at first, and each time that more are asked for.
pub const PORTION: usize = 56;
/// Images of "most sure, and wrong".
pub const WORST: usize = 14;

/// What a user can do with the mistakes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MistakesAction {
    /// Show the images of a cell.
    Open {
        /// What they are.
        truth: usize,
        /// What they were read as.
        read: usize,
    },
    /// Show more images of the open cell.
    More,
    /// Choose an image that is on show, or no longer.
    Toggle(u32),
    /// Choose all images of the open cell that are on show, or none of them if all are chosen.
    ToggleAll,
}

/// An image on show: what it was read as, and how sure the network was.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shot {
    /// Its place in the test set.
    pub index: u32,
    /// What it is.
    pub label: u8,
    /// What it was read as.
    pub read: u8,
    /// The probability that the reading got, 0 to 1.
    pub sure: f32,
}

/// Fetched images, by their place in the test set.
pub type Fetched = BTreeMap<u32, Arc<[u8; PIXELS]>>;

/// An image of the test set that the user wants to train on.
#[derive(Debug, Clone, PartialEq)]
pub struct Chosen {
    /// Its place in the test set.
    pub index: u32,
    /// What it is.
    pub label: u8,
    /// 28×28 bytes, 0 is paper.
    pub pixels: Arc<[u8; PIXELS]>,
}

/// What the room "Mistakes" shows. Empty before the first test. What is costly to work out is kept, and shared with
/// the views: they look at it with every picture.
#[derive(Debug, Clone, Default)]
pub struct Mistakes {
    exam: Exam,
    names: Arc<Vec<String>>,
    confusion: Arc<Confusion>,
    open: Option<(usize, usize)>,
    /// How many images of the open cell are shown at most.
    most: usize,
    on_show: Arc<Vec<Shot>>,
    worst: Arc<Vec<Shot>>,
    chosen: BTreeSet<u32>,
    fetched: Arc<Fetched>,
    asked: u32,
    /// Images that the network was trained on, as the engine says, however the user's digits changed since.
    trained_on: BTreeSet<u32>,
    /// Images of the test set that are among the user's digits.
    in_set: BTreeSet<u32>,
}

impl Mistakes {
    /// Whether a test was taken.
    pub fn any(&self) -> bool {
        !self.exam.labels.is_empty()
    }

    /// Another network is on show, of which nobody knows what it gets wrong. The user's digits stay what they are.
    pub fn forget(&mut self) {
        let (in_set, asked) = (std::mem::take(&mut self.in_set), self.asked);
        *self = Self { in_set, asked, fetched: self.fetched.clone(), ..Self::default() };
    }

    /// The names of the classes.
    pub fn names(&self) -> Arc<Vec<String>> {
        self.names.clone()
    }

    /// How often each class was read as each.
    pub fn confusion(&self) -> Arc<Confusion> {
        self.confusion.clone()
    }

    /// The open cell: what its images are and what they were read as.
    pub fn open(&self) -> Option<(usize, usize)> {
        self.open
    }

    /// The images of the open cell that are on show, the most sure first.
    pub fn on_show(&self) -> Arc<Vec<Shot>> {
        self.on_show.clone()
    }

    /// The most sure mistakes.
    pub fn worst(&self) -> Arc<Vec<Shot>> {
        self.worst.clone()
    }

    /// The images that were fetched.
    pub fn fetched(&self) -> Arc<Fetched> {
        self.fetched.clone()
    }

    /// The images that are chosen.
    pub fn chosen(&self) -> &BTreeSet<u32> {
        &self.chosen
    }

    /// Images of the test set.
    pub fn images(&self) -> u32 {
        self.exam.labels.len() as u32
    }

    /// Images that count nowhere: those that the network was trained on, and those that it may be trained on next.
    pub fn left_out(&self) -> (u32, u32) {
        let trained = self.trained_on.len() as u32;
        (trained, self.exam.left_out.len() as u32 - trained)
    }

    /// A test was taken, by a network of this configuration. Its score, without what is among the user's digits.
    pub fn examined(&mut self, exam: Exam, config: &RunConfig) -> (Score, Vec<Request>) {
        let classes = config.network.classes;
        let named = config.finetune.as_ref().map(|finetune| &finetune.classes).filter(|named| named.len() == classes);
        let numbered = || (0..classes).map(|class| class.to_string()).collect();
        self.names = Arc::new(named.cloned().unwrap_or_else(numbered));
        self.trained_on = exam.left_out.iter().copied().collect();
        self.exam = exam;
        self.chosen.clear();
        self.count();
        self.open = self.confusion.largest();
        self.most = PORTION;
        (self.exam.score(), self.show())
    }

    /// Takes the images among the user's digits out of every count, and puts back what is no longer among them and was
    /// not trained on. Gives the new score, if there was a test.
    pub fn leave_out(&mut self, in_set: BTreeSet<u32>) -> (Option<Score>, Vec<Request>) {
        self.in_set = in_set;
        if !self.any() {
            return (None, Vec::new());
        }
        self.count();
        (Some(self.exam.score()), self.show())
    }

    /// The score of the images that count, if there was a test.
    pub fn score(&self) -> Option<Score> {
        self.any().then(|| self.exam.score())
    }

    /// Does what the user asked for.
    pub fn act(&mut self, action: MistakesAction) -> Vec<Request> {
        match action {
            MistakesAction::Open { truth, read } if truth.max(read) < self.confusion.classes() => {
                self.open = Some((truth, read));
                self.most = PORTION;
            }
            MistakesAction::Open { .. } => {}
            MistakesAction::More => self.most += PORTION,
            MistakesAction::Toggle(index) => {
                let on_show = self.on_show.iter().chain(self.worst.iter()).any(|shot| shot.index == index);
                if !self.chosen.remove(&index) && on_show {
                    self.chosen.insert(index);
                }
                return Vec::new();
            }
            MistakesAction::ToggleAll => {
                let all: BTreeSet<u32> = self.on_show.iter().map(|shot| shot.index).collect();
                if all.is_subset(&self.chosen) {
                    self.chosen.retain(|index| !all.contains(index));
                } else {
                    self.chosen.extend(all);
                }
                return Vec::new();
            }
        }
        self.show()
    }

    /// The chosen images, for the user's digits. One that was not fetched yet stays chosen.
    pub fn take_chosen(&mut self) -> Vec<Chosen> {
        let (exam, fetched) = (&self.exam, &self.fetched);
        let chosen = |index: &u32| {
            let label = *exam.labels.get(*index as usize)?;
            Some(Chosen { index: *index, label, pixels: fetched.get(index)?.clone() })
        };
        let taken: Vec<Chosen> = self.chosen.iter().filter_map(chosen).collect();
        self.chosen.retain(|index| !fetched.contains_key(index));
        taken
    }

    /// Images that were asked for are here.
    pub fn received(&mut self, indices: &[u32], pixels: &[u8]) {
        let images = indices.iter().copied().zip(pixels.as_chunks::<PIXELS>().0.iter().map(|pixels| Arc::new(*pixels)));
        Arc::make_mut(&mut self.fetched).extend(images);
    }

    /// Counts what counts.
    fn count(&mut self) {
        self.exam.left_out = self.trained_on.union(&self.in_set).copied().collect();
        // An image that the test set does not have can't be left out of it.
        self.exam.left_out.retain(|index| (*index as usize) < self.exam.labels.len());
        self.confusion = Arc::new(self.exam.confusion(self.names.len()));
        let exam = &self.exam;
        self.chosen.retain(|index| exam.counts(*index as usize));
    }

    /// Works out which images are on show, and asks for those that are not here.
    fn show(&mut self) -> Vec<Request> {
        let shots = |indices: Vec<u32>, most: usize| {
            let shot = |index: u32| {
                let at = index as usize;
                let (label, read) = (self.exam.labels[at], self.exam.read[at]);
                Shot { index, label, read, sure: self.exam.sure[at] }
            };
            Arc::new(indices.into_iter().take(most).map(shot).collect::<Vec<_>>())
        };
        let cell = self.open.map_or_else(Vec::new, |(truth, read)| self.exam.cell(truth, read));
        (self.on_show, self.worst) = (shots(cell, self.most), shots(self.exam.mistakes(), WORST));
        let shown = self.on_show.iter().chain(self.worst.iter()).map(|shot| shot.index);
        let missing = shown.filter(|index| !self.fetched.contains_key(index)).collect::<BTreeSet<_>>();
        if missing.is_empty() {
            return Vec::new();
        }
        self.asked += 1;
        let requests = missing.into_iter().collect::<Vec<_>>();
        let ask = |indices: &[u32]| {
            Request::Send(Command::Images { id: self.asked, split: Split::Test, indices: indices.to_vec() })
        };
        requests.chunks(MOST_IMAGES).map(ask).collect()
    }
}
