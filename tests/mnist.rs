//! The accuracy that the README promises, measured on real MNIST. It takes minutes, so it runs only when asked for:
//!
//! ```text
//! KILN_MNIST_DIR=<the four files> cargo test --no-default-features --features cpu --test mnist -- --ignored --nocapture
//! ```
//!
//! `KILN_EPOCHS` says how long it trains (1).

#![cfg(not(target_arch = "wasm32"))]

use std::path::Path;

use kiln::data::{Images, Split, idx};
use kiln::device::Opened;
use kiln::protocol::{Command, Event, RunId};
use kiln::training::RunConfig;
use kiln::training::session::{Expected, Session};

fn load(folder: &Path, name: &str) -> Images {
    let read = |kind: &str| {
        let path = folder.join(format!("{name}-{kind}-ubyte.gz"));
        let packed = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed[..]), &mut bytes).expect("a .gz file");
        bytes
    };
    idx::parse(&read("images-idx3"), &read("labels-idx1")).expect("MNIST's own files")
}

#[test]
#[ignore = "takes minutes"]
fn the_default_run_reaches_the_promised_accuracy_on_mnist() {
    let folder = std::env::var("KILN_MNIST_DIR").expect("KILN_MNIST_DIR names the folder with MNIST's four files");
    let epochs = std::env::var("KILN_EPOCHS").map_or(1, |text| text.parse().expect("a number of epochs"));
    let mut train = load(Path::new(&folder), "train");
    let validation = Images { pixels: train.pixels.split_off(55_000 * 784), labels: train.labels.split_off(55_000) };
    let mut session = Session::new(Opened::cpu());
    session.expect(Expected { train: 55_000, validation: 5_000, test: 10_000, block: 5_000 });
    session.push(Split::Train, train);
    session.push(Split::Validation, validation);
    session.push(Split::Test, load(Path::new(&folder), "t10k"));
    let config = RunConfig { epochs, ..RunConfig::default() };
    session.handle(Command::Start { run: RunId(1), config, one_batch: false, from: None, basis: None });
    let (mut test, mut speed) = (None, 0.0);
    while session.has_work() {
        for event in pollster::block_on(session.advance()) {
            match event {
                Event::Steps { images_per_second, .. } => speed = images_per_second,
                Event::Validated { epoch, score, .. } => {
                    println!("epoch {epoch}: {} of {}, {speed:.0} images/s", score.correct, score.total);
                }
                Event::Finished { test: score, best_epoch, .. } => {
                    test = score;
                    println!("best epoch {best_epoch:?}: {score:?}");
                }
                _ => {}
            }
        }
    }
    let promised = if epochs >= 10 { 0.99 } else { 0.975 };
    let accuracy = test.expect("the run ends with the test").accuracy();
    assert!(accuracy >= promised, "{accuracy} after {epochs} epochs, and {promised} was promised");
}
