//! The images a session holds, growing as shards arrive.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::PIXELS;

/// Which part of the data an image belongs to. The parts never mix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Split {
    /// What the network learns from.
    Train,
    /// Looked at after each epoch, to choose the best checkpoint.
    Validation,
    /// Looked at once, at the end.
    Test,
}

impl Split {
    /// All splits, in the order in which they are fetched.
    pub const ALL: [Split; 3] = [Split::Train, Split::Validation, Split::Test];
}

/// Images as bytes with a label each: `pixels` is `[len, 28, 28]`, 0 is paper and 255 is ink.
///
/// Bytes, not floats: MNIST takes 55 MB of a tab's memory instead of 220 MB.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Images {
    /// `len × 784` bytes, row by row.
    pub pixels: Vec<u8>,
    /// One class for each image.
    pub labels: Vec<u8>,
}

impl Images {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Some of them, one after the other.
    ///
    /// # Panics
    /// If there are not as many.
    pub fn part(&self, range: Range<usize>) -> Images {
        let pixels = self.pixels[range.start * PIXELS..range.end * PIXELS].to_vec();
        Images { pixels, labels: self.labels[range].to_vec() }
    }

    /// The pixels of image `index`.
    ///
    /// # Panics
    /// If there is no such image.
    pub fn image(&self, index: usize) -> &[u8] {
        &self.pixels[index * PIXELS..(index + 1) * PIXELS]
    }

    /// Images of each of `classes` classes.
    pub fn per_class(&self, classes: usize) -> Vec<u32> {
        per_class(&self.labels, classes)
    }

    /// A copy of the images at `indices`, in this order.
    ///
    /// # Panics
    /// If an index is not in the set.
    pub fn pick(&self, indices: &[u32]) -> Images {
        let mut picked = Images { pixels: Vec::with_capacity(indices.len() * PIXELS), labels: Vec::new() };
        for &index in indices {
            picked.pixels.extend_from_slice(self.image(index as usize));
            picked.labels.push(self.labels[index as usize]);
        }
        picked
    }

    /// Appends another set of images.
    pub fn append(&mut self, mut other: Images) {
        self.pixels.append(&mut other.pixels);
        self.labels.append(&mut other.labels);
    }
}

/// Labels of each of `classes` classes. Labels beyond them are not counted.
pub fn per_class(labels: &[u8], classes: usize) -> Vec<u32> {
    let mut counts = vec![0; classes];
    for &label in labels {
        if let Some(count) = counts.get_mut(usize::from(label)) {
            *count += 1;
        }
    }
    counts
}

/// The three splits, each as far as it has arrived.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dataset {
    train: Images,
    validation: Images,
    test: Images,
}

impl Dataset {
    /// The images of one split that are here.
    pub fn split(&self, split: Split) -> &Images {
        match split {
            Split::Train => &self.train,
            Split::Validation => &self.validation,
            Split::Test => &self.test,
        }
    }

    /// Adds the images of a shard. Shards of one split arrive in the manifest's order.
    pub fn push(&mut self, split: Split, images: Images) {
        match split {
            Split::Train => self.train.append(images),
            Split::Validation => self.validation.append(images),
            Split::Test => self.test.append(images),
        }
    }
}
