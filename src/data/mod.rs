//! Images and labels, from files to batches of bytes. Everything here is plain data: no tensor, no browser.
//!
//! The path of the data: IDX files ([`idx`]) are cut into compressed shards listed in a [`manifest`] (both done once,
//! at set-up); the worker fetches shards and [`shard::decode`]s them into a [`Dataset`]; [`order`] says which images
//! make which batch. A [`drawing`] takes the way of MNIST's own digits to the same 28×28.
//! Without MNIST, [`synthetic`] digits are drawn.
//!
//! New data to fine-tune on come from a [`set`] that somebody hands in, whose [`division`] keeps the share of each
//! class, or from the old data by a [`shift`].

pub mod augment;
pub mod division;
pub mod drawing;
#[cfg(feature = "data")]
pub mod gzip;
pub mod idx;
#[cfg(feature = "data")]
pub mod manifest;
pub mod order;
pub mod picture;
pub mod ranking;
pub mod set;
#[cfg(feature = "data")]
pub mod shard;
pub mod shift;
#[cfg(feature = "data")]
pub mod synthetic;

mod dataset;
pub use dataset::{Dataset, Images, Split, per_class};

/// Width and height of an image, in pixels.
pub const SIDE: usize = 28;
/// Pixels of one image.
pub const PIXELS: usize = SIDE * SIDE;
/// Digits to tell apart.
pub const CLASSES: usize = 10;
