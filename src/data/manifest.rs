//! The list of shards: what the data is, and for each shard its split, size and hash. Format: `docs/data.md`.
//!
//! Written once at set-up and read by the worker, which fetches nothing that is not in here. It is input from outside
//! like any other, so [`Manifest::parse`] takes only what can be true.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::{CLASSES, SIDE, Split, shard};

/// The version that this build reads and writes.
pub const VERSION: u32 = 1;
/// The most images that a shard may hold.
pub const MAX_SHARD_IMAGES: u32 = 100_000;
/// The most images that all shards together may hold; they take 785 bytes each in the tab's memory.
pub const MAX_IMAGES: u64 = 500_000;

/// A data set, cut into shards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`VERSION`].
    pub version: u32,
    /// What the data is called, for example `MNIST` or `synthetic digits`.
    pub name: String,
    /// Whether a program drew the digits.
    pub synthetic: bool,
    /// Where the data came from, in words.
    pub source: String,
    /// Rows and columns of an image, in pixels.
    pub shape: [usize; 2],
    /// A name for each class, in the order of the labels.
    pub classes: Vec<String>,
    /// Shards in the order in which they are to be fetched; within a split, that is the order of the images.
    pub shards: Vec<ShardEntry>,
}

/// One shard, as the manifest knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardEntry {
    /// Its file's name, beside the manifest.
    pub file: String,
    /// The split that its images belong to.
    pub split: Split,
    /// Number of images.
    pub count: u32,
    /// Size of the file, in bytes.
    pub bytes: u64,
    /// SHA-256 of the file, 64 lower-case hexadecimal digits.
    pub sha256: String,
}

/// Why bytes are no manifest, or not one that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// Not JSON, or not with these fields.
    #[error("not a manifest: {0}")]
    Json(String),
    /// Written by another version.
    #[error("version {0} is not known; this build reads version {VERSION}")]
    Version(u32),
    /// Images of another size.
    #[error("images of {}×{} pixels; the network takes {SIDE}×{SIDE}", .0[0], .0[1])]
    Shape([usize; 2]),
    /// Another number of classes.
    #[error("{0} classes; the network tells {CLASSES} apart")]
    Classes(usize),
    /// A name that could lead out of the manifest's folder.
    #[error("{0:?} is no plain file name")]
    File(String),
    /// A file that is listed twice.
    #[error("{0} is listed twice")]
    Twice(String),
    /// No image, or too many.
    #[error("{file}: {count} images; a shard holds 1 to {MAX_SHARD_IMAGES}")]
    Count {
        /// The shard's file.
        file: String,
        /// Images that it claims.
        count: u32,
    },
    /// A size that so many images can't have.
    #[error("{file}: {bytes} bytes can't be {count} images")]
    Bytes {
        /// The shard's file.
        file: String,
        /// Bytes that it claims.
        bytes: u64,
        /// Images that it claims.
        count: u32,
    },
    /// Not 64 lower-case hexadecimal digits.
    #[error("{file}: {sha256:?} is no SHA-256")]
    Hash {
        /// The shard's file.
        file: String,
        /// What stands in its place.
        sha256: String,
    },
    /// More than a tab should hold.
    #[error("{0} images; at most {MAX_IMAGES} are taken")]
    Images(u64),
    /// A split without images.
    #[error("no {} images", split_name(*.0))]
    Missing(Split),
}

impl Manifest {
    /// A manifest of the current version for 28×28 digits.
    pub fn new(name: &str, source: &str, synthetic: bool, shards: Vec<ShardEntry>) -> Manifest {
        Manifest {
            version: VERSION,
            name: name.into(),
            synthetic,
            source: source.into(),
            shape: [SIDE; 2],
            classes: (0..CLASSES).map(|digit| digit.to_string()).collect(),
            shards,
        }
    }

    /// Reads a manifest and checks it: what comes back can be used without a further look.
    pub fn parse(json: &[u8]) -> Result<Manifest, ManifestError> {
        // The version first: another version may well have other fields.
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let error = |error: serde_json::Error| ManifestError::Json(error.to_string());
        let Versioned { version } = serde_json::from_slice(json).map_err(error)?;
        if version != VERSION {
            return Err(ManifestError::Version(version));
        }
        let manifest: Manifest = serde_json::from_slice(json).map_err(error)?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The manifest as JSON, one field a line.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("strings and numbers become JSON") + "\n"
    }

    /// Bytes of all shards.
    pub fn total_bytes(&self) -> u64 {
        self.shards.iter().map(|shard| shard.bytes).sum()
    }

    /// Images of all shards of one split.
    pub fn images(&self, split: Split) -> u64 {
        self.shards.iter().filter(|shard| shard.split == split).map(|shard| u64::from(shard.count)).sum()
    }

    fn check(&self) -> Result<(), ManifestError> {
        if self.shape != [SIDE; 2] {
            return Err(ManifestError::Shape(self.shape));
        }
        if self.classes.len() != CLASSES {
            return Err(ManifestError::Classes(self.classes.len()));
        }
        let mut files = HashSet::new();
        for shard in &self.shards {
            shard.check()?;
            if !files.insert(&shard.file) {
                return Err(ManifestError::Twice(shard.file.clone()));
            }
        }
        let images = Split::ALL.map(|split| self.images(split)).iter().sum();
        if images > MAX_IMAGES {
            return Err(ManifestError::Images(images));
        }
        match Split::ALL.into_iter().find(|&split| self.images(split) == 0) {
            Some(split) => Err(ManifestError::Missing(split)),
            None => Ok(()),
        }
    }
}

impl ShardEntry {
    /// The entry of a packed shard, the `number`th of its split (from 0). The name holds the hash, so that a file of
    /// that name never changes and may be kept in a cache for good.
    pub fn new(split: Split, number: usize, count: usize, packed: &[u8]) -> ShardEntry {
        let sha256 = shard::sha256(packed);
        ShardEntry {
            file: format!("{}-{number:02}-{}.kiln.gz", split_name(split), &sha256[..12]),
            split,
            count: u32::try_from(count).expect("a shard has fewer than 2³² images"),
            bytes: packed.len() as u64,
            sha256,
        }
    }

    fn check(&self) -> Result<(), ManifestError> {
        let file = || self.file.clone();
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if self.file.is_empty() || self.file.len() > 128 || self.file.starts_with('.') || !self.file.chars().all(plain)
        {
            return Err(ManifestError::File(file()));
        }
        if self.count == 0 || self.count > MAX_SHARD_IMAGES {
            return Err(ManifestError::Count { file: file(), count: self.count });
        }
        // What gzip can't shrink grows by a few bytes in each block.
        let unpacked = shard::unpacked_bytes(self.count);
        if self.bytes == 0 || self.bytes > unpacked + unpacked / 1000 + 64 {
            return Err(ManifestError::Bytes { file: file(), bytes: self.bytes, count: self.count });
        }
        if self.sha256.len() != 64 || !self.sha256.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(ManifestError::Hash { file: file(), sha256: self.sha256.clone() });
        }
        Ok(())
    }
}

/// A split as the manifest and the files' names spell it.
fn split_name(split: Split) -> &'static str {
    match split {
        Split::Train => "train",
        Split::Validation => "validation",
        Split::Test => "test",
    }
}
