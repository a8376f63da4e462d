//! How much of a convolution one thread makes. A real GPU has few registers for a thread and wants many threads; one
//! that is emulated on the CPU has neither bound, and there a load costs as much as twenty multiply-adds, whatever its
//! neighbours load: the more a thread makes of what it has loaded, the better.

use std::sync::atomic::{AtomicBool, Ordering};

/// How much one thread makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tile {
    /// Images.
    pub images: u32,
    /// Of the channels that are made, groups of four.
    pub groups: u32,
    /// Of the channels that are summed over, how many are loaded at once: one or four.
    pub step: u32,
}

/// Estimated for real GPUs, and not measured (a hundred registers for 32 sums and what they are made from).
const REAL: Tile = Tile { images: 2, groups: 1, step: 4 };
/// Measured with SwiftShader in Chromium.
const EMULATED: Tile = Tile { images: 8, groups: 2, step: 1 };

static IS_EMULATED: AtomicBool = AtomicBool::new(false);

/// Tells whether the GPU is emulated on the CPU: [`crate::device::open_gpu`] does when it opens one. Either way the
/// numbers are the same, but for rounding.
pub fn set_emulated(is_emulated: bool) {
    IS_EMULATED.store(is_emulated, Ordering::Relaxed);
}

impl Tile {
    /// What suits the device for so many channels that are made, and that are summed over.
    pub fn of(made: u32, summed: u32) -> Self {
        let tile = if IS_EMULATED.load(Ordering::Relaxed) { EMULATED } else { REAL };
        Self {
            groups: if made.is_multiple_of(4 * tile.groups) { tile.groups } else { 1 },
            step: if summed.is_multiple_of(tile.step) { tile.step } else { 1 },
            ..tile
        }
    }
}

/// Threads that sum up the gradient of a layer's weights, about.
pub fn summing_threads() -> u32 {
    if IS_EMULATED.load(Ordering::Relaxed) { 192 } else { 6144 }
}
