//! A data set that somebody hands in as IDX files: an image file and a label file, or two of each. Files are untrusted:
//! how large one may become is known before it is unpacked, and every size is checked before anything is allocated.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

#[cfg(feature = "data")]
use super::gzip::{GzipError, gunzip};
use super::idx::IdxError;
#[cfg(feature = "data")]
use super::idx::{self, IMAGES_MAGIC};
#[cfg(feature = "data")]
use super::{Images, PIXELS};

/// Images that one file may hold: more than any set of the family has.
pub const MOST_IMAGES: usize = 300_000;

/// A file as it was handed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetFile {
    /// Its name, for messages.
    pub name: String,
    /// Its bytes, packed by gzip or not.
    pub bytes: ByteBuf,
}

/// What is in a set: how many images of each class, from class 0 on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetCounts {
    /// Of its only part, or of its training part.
    pub train: Vec<u32>,
    /// Of its test part; empty if it has none.
    pub test: Vec<u32>,
}

impl SetCounts {
    /// Classes that its labels name, from 0 to the largest.
    pub fn classes(&self) -> usize {
        self.train.len().max(self.test.len())
    }

    /// Whether a set can have these, whoever counted.
    pub fn check(&self) -> bool {
        let within = |part: &[u32]| {
            part.len() <= 256 && part.iter().map(|&count| u64::from(count)).sum::<u64>() <= MOST_IMAGES as u64
        };
        within(&self.train) && within(&self.test)
    }
}

/// Why files are no set that can be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum SetProblem {
    /// Not the files of one or two parts.
    #[error("a set is one or two pairs of files, of images and of labels; found {images} and {labels}")]
    Files {
        /// Image files.
        images: u32,
        /// Label files.
        labels: u32,
    },
    /// A file that can't be unpacked.
    #[error("{file}: {what}")]
    Gzip {
        /// Its name.
        file: String,
        /// The decoder's words.
        what: String,
    },
    /// A file with more than a set may have.
    #[error("{file} holds more than {MOST_IMAGES} images")]
    TooLarge {
        /// Its name.
        file: String,
    },
    /// A file that is no IDX file of images or labels, or one of another size or with other labels.
    #[error("{file}: {problem}")]
    Idx {
        /// Its name.
        file: String,
        /// What is wrong with it.
        problem: IdxError,
    },
    /// An image file without a label file of as many.
    #[error("{file} has {images} images, and no label file has as many labels")]
    NoLabels {
        /// The image file's name.
        file: String,
        /// Its images.
        images: u32,
    },
    /// A set that holds nothing.
    #[error("the set holds no image")]
    Empty,
    /// All images are of one class.
    #[error("the set has images of one class only")]
    OneClass,
}

/// A set as it is kept.
#[cfg(feature = "data")]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Set {
    /// Its only part, or its training part.
    pub train: Images,
    /// Its test part, if it has one.
    pub test: Option<Images>,
}

#[cfg(feature = "data")]
impl Set {
    /// What is in it.
    pub fn counts(&self) -> SetCounts {
        let largest = self.train.labels.iter().chain(self.test.iter().flat_map(|test| &test.labels)).max();
        let classes = largest.map_or(0, |&label| usize::from(label) + 1);
        let test = self.test.as_ref().map(|test| test.per_class(classes));
        SetCounts { train: self.train.per_class(classes), test: test.unwrap_or_default() }
    }
}

/// Reads a set. Of two pairs the larger is the training part; which labels belong to which images is known by their
/// number.
///
/// # Errors
/// What is wrong, and with which file.
#[cfg(feature = "data")]
pub fn import(files: Vec<SetFile>) -> Result<Set, SetProblem> {
    let (mut images, mut labels) = (Vec::new(), Vec::new());
    for SetFile { name, bytes } in files {
        let bytes = unpack(&name, bytes.into_vec())?;
        let wrong = |problem| SetProblem::Idx { file: name.clone(), problem };
        if bytes.first_chunk().is_some_and(|&magic| u32::from_be_bytes(magic) == IMAGES_MAGIC) {
            let count = idx::parse_images(&bytes).map_err(wrong)?.len() / PIXELS;
            images.push((name, count, bytes));
        } else {
            labels.push(idx::parse_labels(&bytes).map_err(wrong)?.to_vec());
        }
    }
    if images.len() != labels.len() || !(1..=2).contains(&images.len()) {
        return Err(SetProblem::Files { images: images.len() as u32, labels: labels.len() as u32 });
    }
    let mut parts = Vec::new();
    for (file, count, mut bytes) in images {
        let Some(at) = labels.iter().position(|labels| labels.len() == count) else {
            return Err(SetProblem::NoLabels { file, images: count as u32 });
        };
        bytes.drain(..bytes.len() - count * PIXELS); // the header
        parts.push(Images { pixels: bytes, labels: labels.swap_remove(at) });
    }
    parts.sort_by_key(|part| std::cmp::Reverse(part.len()));
    let mut parts = parts.into_iter();
    let set = Set { train: parts.next().unwrap_or_default(), test: parts.next() };
    match set.counts().train.iter().filter(|&&count| count > 0).count() {
        0 => Err(SetProblem::Empty),
        1 => Err(SetProblem::OneClass),
        _ if set.test.as_ref().is_some_and(Images::is_empty) => Err(SetProblem::Empty),
        _ => Ok(set),
    }
}

/// The bytes of a file, unpacked if gzip packed it.
#[cfg(feature = "data")]
fn unpack(name: &str, bytes: Vec<u8>) -> Result<Vec<u8>, SetProblem> {
    const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
    let limit = 16 + MOST_IMAGES * PIXELS;
    let file = || name.to_owned();
    if bytes.starts_with(&GZIP_MAGIC) {
        return gunzip(&bytes, limit as u64).map_err(|error| match error {
            GzipError::TooLong { .. } => SetProblem::TooLarge { file: file() },
            GzipError::Damaged { what } => SetProblem::Gzip { file: file(), what },
        });
    }
    if bytes.len() > limit { Err(SetProblem::TooLarge { file: file() }) } else { Ok(bytes) }
}
