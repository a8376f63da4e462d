//! The flows of a visit, in a real browser against the built page. They run one at a time.
//!
//! One of them: `cargo test -p kiln-e2e data::a_bad_shard`.

mod access;
mod data;
mod device;
mod engine;
mod files;
mod finetune;
mod keep;
mod recipe;
mod see;
mod training;

/// Until the worker is there and all data was checked, in seconds. The development build's worker is large.
const LOAD: u64 = 120;
/// Until the next batch, or until a button has had its effect.
const SOON: u64 = 60;
/// Until something slow on a slow machine: validation, test, the first batch on a GPU that is emulated.
const LONG: u64 = 300;

/// On the CPU, with small batches and more epochs than any test waits for.
const ENDLESS: &str = "?device=cpu&epochs=100&train-size=5000&batch-size=32";
