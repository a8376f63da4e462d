//! The order in which an epoch visits the training images: seeded, and the same whether the shards were there at
//! the start or are still arriving.
//!
//! The first epoch visits one block of images (a shard) after the other, each block shuffled in itself, so that
//! training can start on the first shard without the order depending on the network's speed. Every later epoch
//! shuffles all images.

use rand::{Rng, RngExt, SeedableRng, rngs::ChaCha8Rng};

/// Independent streams of random numbers drawn from a run's one seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// The network's first weights.
    Weights,
    /// The order of epoch `.0`, counted from 0.
    Order(u32),
    /// Dropout masks of a step's slice, both counted from 0.
    Dropout {
        /// The step.
        step: u32,
        /// The slice, less than 16.
        slice: u32,
    },
    /// The settings that a sweep draws.
    Sweep,
    /// What of a new set is set aside.
    Division,
    /// Which old images are mixed in with new ones.
    Replay,
    /// The noise over image `.0` of a shifted set.
    Shift(u32),
}

/// A generator for one purpose of a run. Streams of one seed are independent of each other (ChaCha's stream number),
/// and the same on every machine.
pub fn rng(seed: u32, stream: Stream) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(u64::from(seed));
    rng.set_stream(match stream {
        Stream::Weights => 0,
        Stream::Sweep => u64::MAX,
        Stream::Order(epoch) => 2 + u64::from(epoch),
        Stream::Dropout { step, slice } => (1 << 40) + 16 * u64::from(step) + u64::from(slice),
        Stream::Division => 1 << 33,
        Stream::Replay => (1 << 33) + 1,
        Stream::Shift(image) => (1 << 34) + u64::from(image),
    });
    rng
}

/// The images of `epoch` (from 0), each of `0..len` once.
///
/// `block` is the number of images in a shard; 0 means that the first epoch is shuffled like any other.
pub fn epoch_order(seed: u32, epoch: u32, len: usize, block: usize) -> Vec<u32> {
    let mut order: Vec<u32> =
        (0..u32::try_from(len).expect("a data set in memory has fewer than 2³² images")).collect();
    let mut rng = rng(seed, Stream::Order(epoch));
    let block = if epoch == 0 && block > 0 { block } else { len.max(1) };
    for part in order.chunks_mut(block) {
        shuffle(part, &mut rng);
    }
    order
}

/// Fisher–Yates, from the last place down (Knuth, TAOCP 2, algorithm 3.4.2 P).
pub fn shuffle<T>(items: &mut [T], rng: &mut impl Rng) {
    for last in (1..items.len()).rev() {
        items.swap(last, rng.random_range(0..=last));
    }
}
