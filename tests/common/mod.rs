//! What several tests share: small sets of drawn digits and a way to drive a session to rest.
#![allow(dead_code)] // each test file uses its own part

use kiln::data::order::{Stream, rng};
use kiln::data::{CLASSES, Images, SIDE, Split};
use kiln::device::Opened;
use kiln::protocol::{Command, Event, RunId};
use kiln::training::RunConfig;
use kiln::training::session::{Expected, Session};
use rand::RngExt;

/// Easy images, the same ones each time: a class is a bright square in its own place, a little off and noisy.
pub fn digits(count: usize, seed: u32) -> Images {
    let mut rng = rng(seed, Stream::Weights);
    let mut images = Images::default();
    for index in 0..count {
        let class = index % CLASSES;
        let (row, column) = (2 + 5 * (class / 2), 3 + 12 * (class % 2));
        let (row, column) = (row + rng.random_range(0..3), column + rng.random_range(0..4));
        for y in 0..SIDE {
            for x in 0..SIDE {
                let inside = (row..row + 5).contains(&y) && (column..column + 7).contains(&x);
                images.pixels.push(if inside { 255 } else { 0 } ^ rng.random_range(0..32));
            }
        }
        images.labels.push(class as u8);
    }
    images
}

/// The same, on paper: no noise around the squares, as there is none around a digit.
pub fn drawn(count: usize, seed: u32) -> Images {
    let mut images = digits(count, seed);
    images.pixels.iter_mut().filter(|pixel| **pixel < 32).for_each(|pixel| *pixel = 0);
    images
}

/// A run small enough for a test.
pub fn small_config() -> RunConfig {
    RunConfig { epochs: 2, batch_size: 16, train_size: 64, seed: 7, ..RunConfig::default() }
}

/// A CPU session with 64 training images in two shards, 20 validation and 30 test images.
pub fn small_session() -> Session {
    let mut session = empty_session(Opened::cpu());
    fill(&mut session);
    session
}

/// A session that expects the data of [`small_session`] and has none of it.
pub fn empty_session(device: Opened) -> Session {
    let mut session = Session::new(device);
    session.expect(Expected { train: 64, validation: 20, test: 30, block: 32 });
    session
}

/// Brings the data.
pub fn fill(session: &mut Session) {
    let train = digits(64, 1);
    for half in 0..2 {
        session.push(Split::Train, train.part(half * 32..(half + 1) * 32));
    }
    session.push(Split::Validation, digits(20, 2));
    session.push(Split::Test, digits(30, 3));
}

/// `Start` of a whole run.
pub fn start(run: u32, config: &RunConfig) -> Command {
    Command::Start { run: RunId(run), config: config.clone(), one_batch: false, from: None, basis: None }
}

/// One body, run natively and in a browser's worker.
#[macro_export]
macro_rules! both {
    ($($(#[$meta:meta])* async fn $name:ident() $body:block)*) => {$(
        $(#[$meta])*
        #[cfg(target_arch = "wasm32")]
        #[wasm_bindgen_test::wasm_bindgen_test]
        async fn $name() $body

        $(#[$meta])*
        #[cfg(not(target_arch = "wasm32"))]
        #[test]
        fn $name() {
            pollster::block_on(async $body)
        }
    )*};
}

/// Works until nothing is left to do.
pub async fn drive(session: &mut Session) -> Vec<Event> {
    let mut events = Vec::new();
    while session.has_work() {
        events.extend(session.advance().await);
    }
    events
}

/// The losses that were told, in order.
pub fn losses(events: &[Event]) -> Vec<f32> {
    events
        .iter()
        .filter_map(|event| match event {
            Event::Steps { points, .. } => Some(points),
            _ => None,
        })
        .flatten()
        .map(|point| point.loss)
        .collect()
}
