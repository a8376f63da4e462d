//! Kiln's chores, run by `cargo xtask`: set-up, data, build, serve, test, bench, size. Nothing of burn is in here, so that
//! it compiles in a minute or two on a fresh machine.
//!
//! A library as well, because the end-to-end tests use [`server`].

pub mod bench;
pub mod build;
pub mod data;
pub mod mnist;
pub mod paths;
pub mod python;
pub mod report;
pub mod serve;
pub mod server;
pub mod setup;
pub mod size;
pub mod split;
pub mod test;
pub mod toolchain;
