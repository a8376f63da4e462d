//! Kiln trains a convolutional network in a browser tab.
//!
//! The rooms of the house, and who may call whom. An arrow means "may call".
//!
//! ```text
//!   page ──► protocol ◄── worker ──► training ──► model ──► device ──► (burn)
//!                                                   └────► (kiln-kernels)
//! ```
//!
//! Besides, every room may call `data`; `training` answers in the terms of `protocol`; and what is plain data in
//! `training` (configuration, metrics) and in `model` (configuration, summary) is for `protocol` and `page` too.
//!
//! - [`data`]: IDX files, shards and their manifest, the order of batches, a drawing brought to 28×28. Knows no tensor.
//! - `device` (`cpu`): opening the CPU or a GPU, and the one way to read from it.
//! - [`model`]: what a network is (configuration, shapes, summary) and, with `cpu`, the network itself on burn.
//! - [`training`]: what a run is (configuration, metrics) and, with `cpu`, one training step, evaluation and the
//!   session: the state machine that takes a [`protocol::Command`] and answers with [`protocol::Event`]s. It knows
//!   neither page nor worker and runs natively and in the browser by the same tests.
//! - [`files`] (`cpu`): a network, what was measured and a run, as bytes of files and back; knows no tensor. The
//!   worker calls it.
//! - [`shelf`]: what is said of a kept model and of a run that can go on: cards and names. Plain data.
//! - [`protocol`]: all that passes between page and worker, versioned.
//! - `worker` (wasm, `cpu`): the ports, fetching and keeping shards, opening the device; drives a session.
//! - `web` (wasm): the one error that is made from what JavaScript throws; for worker and page.
//! - `page` (wasm, `page`): the page's state (an event is applied to it), views, charts, pad.
//!
//! The walls are cargo features, so that a line in the wrong room does not compile: `page` links no burn, `cpu` links
//! burn's CPU backend and no GPU code, `relaxed` is that with an instruction that some browsers refuse, `gpu` adds the
//! WebGPU backend to the same engine; `split` is `page` in two files (`page::rest`). There is one binary for each
//! (`src/bin`), so a visitor downloads only what the machine can use. Modules below that name no feature are plain data
//! and belong to every binary.
//!
//! Flow is one way: a click → `Command` → worker → `Session` → `Event` → page state → views.

pub mod data;
#[cfg(feature = "cpu")]
pub mod device;
#[cfg(feature = "cpu")]
pub mod files;
pub mod model;
pub mod protocol;
pub mod shelf;
pub mod training;

#[cfg(all(feature = "page", target_arch = "wasm32"))]
pub mod page;
#[cfg(all(any(feature = "page", feature = "cpu"), target_arch = "wasm32"))]
pub mod web;
#[cfg(all(feature = "cpu", target_arch = "wasm32"))]
pub mod worker;
