//! What a network made of every image of a set: the counts, the confusion matrix and the mistakes all come from here.
//! Plain data.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::Score;

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

impl Exam {
    /// The images that count.
    pub fn counted(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.labels.len()).filter(|index| self.left_out.binary_search(&(*index as u32)).is_err())
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
}
