//! The mistakes of the test that was taken last: which cell of the confusion matrix is open, which of its images were
//! fetched, and which are chosen for the user's own digits. Pure, like the rest of the state.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Request;
use crate::data::{PIXELS, Split};
use crate::protocol::{Command, MOST_IMAGES};
use crate::training::Score;
use crate::training::exam::{Confusion, Exam};

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
    /// Choose an image of the open cell, or no longer.
    Toggle(u32),
    /// Choose all images on show of the open cell, or none if all of them are chosen.
    ToggleAll,
}

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

/// What the room "Mistakes" shows. Empty before the first test.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mistakes {
    exam: Arc<Exam>,
    confusion: Arc<Confusion>,
    open: Option<(usize, usize)>,
    shown: usize,
    chosen: BTreeSet<u32>,
    /// Images of the test set that were fetched.
    images: BTreeMap<u32, Arc<[u8; PIXELS]>>,
    asked: u32,
    /// What the network was trained on, as the engine says, however the collection changed since.
    trained_on: BTreeSet<u32>,
    /// Images of the test set that are among the user's digits.
    in_set: BTreeSet<u32>,
}

impl Mistakes {
    /// Whether a test was taken.
    pub fn any(&self) -> bool {
        !self.exam.labels.is_empty()
    }

    /// The readings; images that do not count are marked in it.
    pub fn exam(&self) -> &Exam {
        &self.exam
    }

    /// How often each class was read as each.
    pub fn confusion(&self) -> &Arc<Confusion> {
        &self.confusion
    }

    /// The open cell: what its images are and what they were read as.
    pub fn open(&self) -> Option<(usize, usize)> {
        self.open
    }

    /// The images of the open cell that are on show, the most sure first.
    pub fn on_show(&self) -> Vec<u32> {
        let mut images = self.open.map_or_else(Vec::new, |(truth, read)| self.exam.cell(truth, read));
        images.truncate(self.shown);
        images
    }

    /// The most sure mistakes.
    pub fn worst(&self) -> Vec<u32> {
        let mut images = self.exam.mistakes();
        images.truncate(WORST);
        images
    }

    /// An image that was fetched.
    pub fn image(&self, index: u32) -> Option<Arc<[u8; PIXELS]>> {
        self.images.get(&index).cloned()
    }

    /// The images that are chosen.
    pub fn chosen(&self) -> &BTreeSet<u32> {
        &self.chosen
    }

    /// Images that the network was trained on, and those that it may be trained on next: none of them counts.
    pub fn left_out(&self) -> (u32, u32) {
        let trained = self.trained_on.len() as u32;
        (trained, self.exam.left_out.len() as u32 - trained)
    }

    /// A test was taken. What it says once the user's digits are left out.
    pub fn examined(&mut self, exam: Exam, classes: usize) -> (Score, Vec<Request>) {
        self.trained_on = exam.left_out.iter().copied().collect();
        self.exam = Arc::new(exam);
        self.confusion = Arc::new(self.exam.confusion(classes));
        self.leave_out(self.in_set.clone());
        self.chosen.clear();
        self.open = self.confusion.largest();
        self.shown = PORTION;
        (self.exam.score(), self.fetch())
    }

    /// Takes the images among the user's digits out of every count, and puts back what is no longer among them and
    /// was not trained on.
    pub fn leave_out(&mut self, in_set: BTreeSet<u32>) {
        self.in_set = in_set;
        let left_out: Vec<u32> = self.trained_on.union(&self.in_set).copied().collect();
        if !self.any() || left_out == self.exam.left_out {
            return;
        }
        let exam = Arc::make_mut(&mut self.exam);
        exam.left_out = left_out;
        self.confusion = Arc::new(self.exam.confusion(self.confusion.classes()));
        self.chosen.retain(|index| self.exam.counts(*index as usize));
    }

    /// Does what the user asked for.
    pub fn act(&mut self, action: MistakesAction) -> Vec<Request> {
        match action {
            MistakesAction::Open { truth, read } if truth.max(read) < self.confusion.classes() => {
                self.open = Some((truth, read));
                self.shown = PORTION;
                self.chosen.clear();
            }
            MistakesAction::Open { .. } => {}
            MistakesAction::More => self.shown += PORTION,
            MistakesAction::Toggle(index) => {
                if !self.chosen.remove(&index) && self.on_show().contains(&index) {
                    self.chosen.insert(index);
                }
            }
            MistakesAction::ToggleAll => {
                let all: BTreeSet<u32> = self.on_show().into_iter().collect();
                self.chosen = if self.chosen == all { BTreeSet::new() } else { all };
            }
        }
        self.fetch()
    }

    /// The chosen images that are here, for the user's digits.
    pub fn take_chosen(&mut self) -> Vec<Chosen> {
        let chosen = std::mem::take(&mut self.chosen);
        let taken = chosen.into_iter().filter_map(|index| {
            let label = *self.exam.labels.get(index as usize)?;
            Some(Chosen { index, label, pixels: self.image(index)? })
        });
        taken.collect()
    }

    /// Images that were asked for are here.
    pub fn received(&mut self, indices: &[u32], pixels: &[u8]) {
        for (index, pixels) in indices.iter().zip(pixels.as_chunks::<PIXELS>().0) {
            self.images.insert(*index, Arc::new(*pixels));
        }
    }

    /// Asks for the images on show that are not here.
    fn fetch(&mut self) -> Vec<Request> {
        let mut missing: Vec<u32> = [self.on_show(), self.worst()].concat();
        missing.retain(|index| !self.images.contains_key(index));
        missing.truncate(MOST_IMAGES);
        if missing.is_empty() {
            return Vec::new();
        }
        self.asked += 1;
        vec![Request::Send(Command::Images { id: self.asked, split: Split::Test, indices: missing })]
    }
}
