//! What a network made of every image of a set: the counts, the confusion matrix and the mistakes all come from here.
//! Plain data.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::Score;
use crate::data::ranking::ranking;

/// A network's reading of each image of a set, in the set's order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Exam {
    /// What each image is.
    pub labels: ByteBuf,
    /// What it was read as.
    pub read: ByteBuf,
    /// The probability that the reading got, 0 to 1.
    pub sure: Vec<f32>,
    /// Mean cross-entropy, in nats, of the images that count.
    pub loss: f32,
    /// Images that do not count, because the network was trained on them; ascending.
    pub left_out: Vec<u32>,
}

/// One image's reading, from its logits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Read {
    /// The class with the largest logit; the first of several.
    pub class: u8,
    /// Its probability.
    pub sure: f32,
    /// Cross-entropy with the true class, in nats.
    pub loss: f32,
}

impl Read {
    /// From one row of logits, one for each class.
    pub fn new(logits: &[f32], label: u8) -> Self {
        let first_largest = |best: usize, class: usize| if logits[class] > logits[best] { class } else { best };
        let class = (0..logits.len()).reduce(first_largest).unwrap_or_default();
        let largest = logits.get(class).copied().unwrap_or_default();
        // The largest is subtracted first, so that nothing overflows.
        let sum: f32 = logits.iter().map(|logit| (logit - largest).exp()).sum();
        let truth = logits.get(usize::from(label)).copied().unwrap_or(f32::NAN);
        Self { class: class as u8, sure: 1.0 / sum, loss: sum.ln() + largest - truth }
    }
}

/// How one class was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClassScore {
    /// Images of the class.
    pub images: u32,
    /// Images that were read as the class, right or wrong.
    pub read: u32,
    /// Images of the class that were read as it.
    pub right: u32,
}

impl ClassScore {
    /// Share of the class' images that were read right; `None` if it has none.
    pub fn recall(&self) -> Option<f32> {
        (self.images > 0).then(|| self.right as f32 / self.images as f32)
    }

    /// Share of what was read as the class that is of it; `None` if nothing was.
    pub fn precision(&self) -> Option<f32> {
        (self.read > 0).then(|| self.right as f32 / self.read as f32)
    }
}

/// How often each class was read as each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    /// `[truth, read]`, row by row.
    counts: Vec<u32>,
}

impl Confusion {
    /// Classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Images of class `truth` that were read as class `read`.
    ///
    /// # Panics
    /// If there is no such class.
    pub fn count(&self, truth: usize, read: usize) -> u32 {
        assert!(read < self.classes, "class {read} of {}", self.classes);
        self.counts[truth * self.classes + read]
    }

    /// Images read as what they are not.
    pub fn mistakes(&self) -> u32 {
        self.wrong().map(|(_, _, count)| count).sum()
    }

    /// The cell off the diagonal with the most images, `(truth, read)`; the first of several, `None` without mistakes.
    pub fn largest(&self) -> Option<(usize, usize)> {
        let most = self.wrong().map(|(_, _, count)| count).max().filter(|most| *most > 0)?;
        self.wrong().find(|(_, _, count)| *count == most).map(|(truth, read, _)| (truth, read))
    }

    /// How each class was read.
    pub fn per_class(&self) -> Vec<ClassScore> {
        (0..self.classes)
            .map(|class| ClassScore {
                images: (0..self.classes).map(|read| self.count(class, read)).sum(),
                read: (0..self.classes).map(|truth| self.count(truth, class)).sum(),
                right: self.count(class, class),
            })
            .collect()
    }

    fn wrong(&self) -> impl Iterator<Item = (usize, usize, u32)> + '_ {
        let all = self.counts.iter().enumerate();
        all.map(|(at, count)| (at / self.classes, at % self.classes, *count)).filter(|(truth, read, _)| truth != read)
    }
}

impl Exam {
    /// Whether image `index` counts.
    pub fn counts(&self, index: usize) -> bool {
        self.left_out.binary_search(&(index as u32)).is_err()
    }

    /// The images that count.
    pub fn counted(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.labels.len()).filter(|index| self.counts(*index))
    }

    /// Whether image `index` was read right.
    pub fn is_right(&self, index: usize) -> bool {
        self.labels[index] == self.read[index]
    }

    /// The score over the images that count.
    pub fn score(&self) -> Score {
        let (mut correct, mut total) = (0, 0);
        for index in self.counted() {
            total += 1;
            correct += u32::from(self.is_right(index));
        }
        Score { loss: self.loss, correct, total }
    }

    /// How often each of `classes` classes was read as each, over the images that count. A label or reading beyond
    /// the classes is not counted.
    pub fn confusion(&self, classes: usize) -> Confusion {
        let mut counts = vec![0; classes * classes];
        for index in self.counted() {
            let (truth, read) = (usize::from(self.labels[index]), usize::from(self.read[index]));
            if truth < classes && read < classes {
                counts[truth * classes + read] += 1;
            }
        }
        Confusion { classes, counts }
    }

    /// The images of class `truth` that were read as `read` and count, the most sure first.
    pub fn cell(&self, truth: usize, read: usize) -> Vec<u32> {
        self.most_sure(|index| usize::from(self.labels[index]) == truth && usize::from(self.read[index]) == read)
    }

    /// The images that were read wrong and count, the most sure first.
    pub fn mistakes(&self) -> Vec<u32> {
        self.most_sure(|index| !self.is_right(index))
    }

    fn most_sure(&self, wanted: impl Fn(usize) -> bool) -> Vec<u32> {
        let indices: Vec<usize> = self.counted().filter(|index| wanted(*index)).collect();
        let sure = |at: usize| self.sure.get(indices[at]).copied().unwrap_or_default();
        ranking(indices.len(), |a, b| sure(b).total_cmp(&sure(a))).into_iter().map(|at| indices[at] as u32).collect()
    }
}
