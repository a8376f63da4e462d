//! Shards: the files that the page fetches, some thousand images each. Format: `docs/data.md`.
//!
//! A shard is gzip of: the four bytes `KLN1`, the number of images as u32 little-endian, all pixels, then all labels.
//! Pixels come before labels, and not image by image, because that is how [`Images`] holds them: two slices to copy,
//! and gzip does not meet a stray label every 784 bytes.
//!
//! Packed at set-up; the worker decodes. Nothing of a shard is looked at before its SHA-256 is what the manifest says.

use sha2::{Digest, Sha256};

use super::gzip::{GzipError, gunzip, gzip};
use super::manifest::ShardEntry;
use super::{CLASSES, Images, PIXELS};

const MAGIC: &[u8; 4] = b"KLN1";
const HEADER: usize = 8;

/// Why a shard is not used. Each variant says what was expected and what was found, ready to be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShardError {
    /// The file is shorter or longer than the manifest says.
    #[error("size: expected {expected}, found {found}")]
    Size {
        /// Such as `1000 bytes`.
        expected: String,
        /// Such as `999 bytes`.
        found: String,
    },
    /// The file was altered.
    #[error("hash: expected {expected}, found {found}")]
    Hash {
        /// Such as `SHA-256 9f86…`, in full.
        expected: String,
        /// The same, of the file.
        found: String,
    },
    /// The hash is right and the file is no shard: whoever made the manifest listed something else.
    #[error("format: expected {expected}, found {found}")]
    Format {
        /// Such as `a gzip file`.
        expected: String,
        /// What is there instead.
        found: String,
    },
    /// The shard holds another number of images than the manifest says.
    #[error("count: expected {expected}, found {found}")]
    Count {
        /// Such as `5000 images`.
        expected: String,
        /// Such as `4999 images`.
        found: String,
    },
    /// Images and labels differ in number.
    #[error("labels: expected {expected}, found {found}")]
    Labels {
        /// Such as `5000 labels for 5000 images`.
        expected: String,
        /// Such as `4999 labels`.
        found: String,
    },
    /// A label that is no class.
    #[error("label: expected {expected}, found {found}")]
    Label {
        /// Such as `a label from 0 to 9`.
        expected: String,
        /// Such as `12 for image 3`.
        found: String,
    },
}

impl ShardError {
    /// What was expected and what was found.
    pub fn into_expected_and_found(self) -> (String, String) {
        match self {
            ShardError::Size { expected, found }
            | ShardError::Hash { expected, found }
            | ShardError::Format { expected, found }
            | ShardError::Count { expected, found }
            | ShardError::Labels { expected, found }
            | ShardError::Label { expected, found } => (expected, found),
        }
    }
}

/// Packs images into a shard. Equal images give equal bytes.
pub fn encode(images: &Images) -> Vec<u8> {
    let count = u32::try_from(images.len()).expect("a shard has fewer than 2³² images");
    gzip(&[MAGIC, &count.to_le_bytes()[..], &images.pixels, &images.labels].concat())
}

/// The images of a fetched shard, if it is the one that `entry` describes.
pub fn decode(entry: &ShardEntry, file: &[u8]) -> Result<Images, ShardError> {
    let length = file.len() as u64;
    if length != entry.bytes {
        return Err(ShardError::Size { expected: format!("{} bytes", entry.bytes), found: format!("{length} bytes") });
    }
    let hash = sha256(file);
    if hash != entry.sha256 {
        return Err(ShardError::Hash {
            expected: format!("SHA-256 {}", entry.sha256),
            found: format!("SHA-256 {hash}"),
        });
    }
    // Room for a few labels too many, so that they can be told from a file that goes on and on.
    let limit = unpacked_bytes(entry.count) + PIXELS as u64;
    let unpacked = gunzip(file, limit).map_err(|error| match error {
        GzipError::TooLong { .. } => {
            ShardError::Count { expected: format!("{} images", entry.count), found: "more".into() }
        }
        GzipError::Damaged { .. } => ShardError::Format { expected: "a gzip file".into(), found: error.to_string() },
    })?;
    split(entry.count, unpacked)
}

/// SHA-256 as 64 lower-case hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Size of an unpacked shard of `count` images, in bytes.
pub(super) fn unpacked_bytes(count: u32) -> u64 {
    HEADER as u64 + u64::from(count) * (PIXELS as u64 + 1)
}

/// Takes the unpacked bytes apart.
fn split(count: u32, unpacked: Vec<u8>) -> Result<Images, ShardError> {
    let header =
        unpacked.split_first_chunk::<4>().and_then(|(magic, rest)| Some((magic, rest.split_first_chunk::<4>()?)));
    let Some((MAGIC, (claimed, body))) = header else {
        return Err(ShardError::Format {
            expected: "a file that starts with KLN1".into(),
            found: format!(
                "{} bytes that start with {:?}",
                unpacked.len(),
                unpacked.iter().take(4).map(|&b| char::from(b)).collect::<String>()
            ),
        });
    };
    let claimed = u32::from_le_bytes(*claimed);
    if claimed != count {
        return Err(ShardError::Count { expected: format!("{count} images"), found: format!("{claimed} images") });
    }
    // `count` is a claim too: hold it against what is there before cutting.
    let all_pixels = u64::from(count) * PIXELS as u64;
    let labels = (body.len() as u64).checked_sub(all_pixels).ok_or_else(|| ShardError::Count {
        expected: format!("{count} images"),
        found: format!("{} images", body.len() / PIXELS),
    })?;
    if labels != u64::from(count) {
        return Err(ShardError::Labels {
            expected: format!("{count} labels for {count} images"),
            found: format!("{labels} labels"),
        });
    }
    let (pixels, labels) = body.split_at(body.len() - count as usize);
    match labels.iter().position(|&label| usize::from(label) >= CLASSES) {
        Some(index) => Err(ShardError::Label {
            expected: format!("a label from 0 to {}", CLASSES - 1),
            found: format!("{} for image {index}", labels[index]),
        }),
        None => Ok(Images { pixels: pixels.to_vec(), labels: labels.to_vec() }),
    }
}
