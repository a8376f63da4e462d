//! IDX, the format that MNIST is published in: a magic number, big-endian sizes, then bytes.
//!
//! Called at set-up, and wherever someone hands in an IDX set of their own. Sizes are held against the file's length
//! before anything is allocated.

use serde::{Deserialize, Serialize};

use super::{CLASSES, Images, PIXELS, SIDE};

/// Magic number of unsigned bytes in three dimensions: images, rows, columns.
pub const IMAGES_MAGIC: u32 = 2051;
/// Magic number of unsigned bytes in one dimension: labels.
pub const LABELS_MAGIC: u32 = 2049;

/// Why bytes are no IDX file, or not one of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum IdxError {
    /// Too short for a header.
    #[error("an IDX file starts with {expected} bytes of header; this one ends after {found}")]
    Header {
        /// Bytes of a header.
        expected: usize,
        /// Bytes in the file.
        found: usize,
    },
    /// Another kind of file.
    #[error("expected the magic number {expected}, found {found}")]
    Magic {
        /// [`IMAGES_MAGIC`] or [`LABELS_MAGIC`].
        expected: u32,
        /// The first four bytes.
        found: u32,
    },
    /// Images of another size.
    #[error("expected images of {SIDE}×{SIDE} pixels, found {rows}×{columns}")]
    Side {
        /// Rows of an image.
        rows: u32,
        /// Columns of an image.
        columns: u32,
    },
    /// Cut short, or something follows.
    #[error("the header says {count} items, {expected} bytes in all; the file has {found}")]
    Length {
        /// Items that the header claims.
        count: u32,
        /// Bytes of a file with so many.
        expected: u64,
        /// Bytes in the file.
        found: u64,
    },
    /// Two files that do not belong together.
    #[error("{images} images and {labels} labels: the files do not belong together")]
    Counts {
        /// Images in the one.
        images: usize,
        /// Labels in the other.
        labels: usize,
    },
    /// A label that is no class.
    #[error("label {index} is {found}; labels are 0 to {}", CLASSES - 1)]
    Label {
        /// Which label, from 0.
        index: usize,
        /// Its value.
        found: u8,
    },
}

/// The pixels of an unpacked image file: `[count, 28, 28]`, 0 is paper and 255 is ink.
pub fn parse_images(file: &[u8]) -> Result<&[u8], IdxError> {
    let [magic, count, rows, columns] = header(file)?;
    expect_magic(IMAGES_MAGIC, magic)?;
    if [rows, columns] != [SIDE as u32; 2] {
        return Err(IdxError::Side { rows, columns });
    }
    body(file, 16, count, PIXELS)
}

/// The labels of an unpacked label file, each below [`CLASSES`].
pub fn parse_labels(file: &[u8]) -> Result<&[u8], IdxError> {
    let [magic, count] = header(file)?;
    expect_magic(LABELS_MAGIC, magic)?;
    let labels = body(file, 8, count, 1)?;
    match labels.iter().position(|&label| usize::from(label) >= CLASSES) {
        Some(index) => Err(IdxError::Label { index, found: labels[index] }),
        None => Ok(labels),
    }
}

/// An image file and a label file, both unpacked, as one set.
pub fn parse(images: &[u8], labels: &[u8]) -> Result<Images, IdxError> {
    let (pixels, labels) = (parse_images(images)?, parse_labels(labels)?);
    let count = pixels.len() / PIXELS;
    if count != labels.len() {
        return Err(IdxError::Counts { images: count, labels: labels.len() });
    }
    Ok(Images { pixels: pixels.to_vec(), labels: labels.to_vec() })
}

/// The `N` big-endian numbers that a file starts with.
fn header<const N: usize>(file: &[u8]) -> Result<[u32; N], IdxError> {
    let (words, _) = file.as_chunks::<4>();
    let words = words.first_chunk::<N>().ok_or(IdxError::Header { expected: 4 * N, found: file.len() })?;
    Ok(words.map(u32::from_be_bytes))
}

fn expect_magic(expected: u32, found: u32) -> Result<(), IdxError> {
    if found == expected { Ok(()) } else { Err(IdxError::Magic { expected, found }) }
}

/// What follows a header of `start` bytes, if it is `count` items of `size` bytes and nothing else.
fn body(file: &[u8], start: usize, count: u32, size: usize) -> Result<&[u8], IdxError> {
    let expected = start as u64 + u64::from(count) * size as u64;
    let found = file.len() as u64;
    if found == expected { Ok(&file[start..]) } else { Err(IdxError::Length { count, expected, found }) }
}
