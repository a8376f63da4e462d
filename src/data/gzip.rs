//! gzip with an upper bound, for set-up (the files that MNIST comes in) and for the worker (shards).
//!
//! A few bytes of gzip can claim gigabytes. Whoever unpacks knows how large the result may be, and says so.

use std::io::{Read, Write};

use flate2::{Compression, bufread::GzDecoder, write::GzEncoder};

/// Why a gzip file can't be unpacked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GzipError {
    /// More comes out than allowed. Nothing beyond the limit was kept.
    #[error("more than {limit} bytes unpacked")]
    TooLong {
        /// Bytes that were allowed.
        limit: u64,
    },
    /// Not gzip, cut short, or its own checksum fails.
    #[error("a damaged gzip file ({what})")]
    Damaged {
        /// The decoder's words.
        what: String,
    },
}

/// Unpacks at most `limit` bytes. Memory grows with what really comes out, never with what a header claims.
pub fn gunzip(bytes: &[u8], limit: u64) -> Result<Vec<u8>, GzipError> {
    let mut unpacked = Vec::new();
    GzDecoder::new(bytes)
        .take(limit.saturating_add(1))
        .read_to_end(&mut unpacked)
        .map_err(|error| GzipError::Damaged { what: error.to_string() })?;
    if unpacked.len() as u64 > limit { Err(GzipError::TooLong { limit }) } else { Ok(unpacked) }
}

/// Packs as small as gzip can. Equal input gives equal bytes: no time and no name is in the header.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).and_then(|()| encoder.finish()).expect("writing to memory does not fail")
}
