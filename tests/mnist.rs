//! The accuracy that the README promises, and how fast a frozen epoch is, measured on real MNIST. It takes minutes, so
//! it runs only when asked for:
//!
//! ```text
//! KILN_MNIST_DIR=<the four files> cargo test --no-default-features --features cpu --test mnist -- --ignored --nocapture
//! ```
//!
//! `KILN_EPOCHS` says how long it trains (1).

#![cfg(not(target_arch = "wasm32"))]

use std::path::Path;
use std::time::{Duration, Instant};

use kiln::data::shift::Shift;
use kiln::data::{Images, Split, idx};
use kiln::device::Opened;
use kiln::model::{SavedModel, Trainable, digit_names};
use kiln::protocol::{Command, Event, RunId};
use kiln::training::RunConfig;
use kiln::training::finetune::{Basis, Comparison, FineTune, NewData};
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

fn session() -> Session {
    let folder = std::env::var("KILN_MNIST_DIR").expect("KILN_MNIST_DIR names the folder with MNIST's four files");
    let mut train = load(Path::new(&folder), "train");
    let validation = Images { pixels: train.pixels.split_off(55_000 * 784), labels: train.labels.split_off(55_000) };
    let mut session = Session::new(Opened::cpu());
    session.expect(Expected { train: 55_000, validation: 5_000, test: 10_000, block: 5_000 });
    session.push(Split::Train, train);
    session.push(Split::Validation, validation);
    session.push(Split::Test, load(Path::new(&folder), "t10k"));
    session
}

#[test]
#[ignore = "takes minutes"]
fn the_default_run_reaches_the_promised_accuracy_on_mnist() {
    let epochs = std::env::var("KILN_EPOCHS").map_or(1, |text| text.parse().expect("a number of epochs"));
    let mut session = session();
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

/// A whole fine-tuning run: the time of its preparation and of its fastest epoch with its validation, and the
/// comparison.
fn tuned(
    session: &mut Session,
    model: &SavedModel,
    trainable: Trainable,
    epochs: u32,
) -> (Duration, Duration, Comparison) {
    let data = NewData::Shifted { shift: Shift::Rotated };
    let finetune = Some(FineTune { trainable, data, replay: 0.0, ..FineTune::default() });
    let config = RunConfig { epochs, train_size: 10_000, finetune, ..RunConfig::default() };
    let basis = Some(Box::new(Basis { model: model.clone(), samples: Vec::new() }));
    session.handle(Command::Start { run: RunId(2), config, one_batch: false, from: None, basis });
    let (mut since, mut preparation, mut epoch) = (Instant::now(), Duration::MAX, Duration::MAX);
    let mut comparison = None;
    while session.has_work() {
        for event in pollster::block_on(session.advance()) {
            match event {
                Event::Prepared { .. } => {
                    preparation = since.elapsed();
                    since = Instant::now();
                }
                Event::Checkpoint { .. } => {
                    epoch = epoch.min(since.elapsed());
                    since = Instant::now();
                }
                Event::Compared { comparison: found, .. } => comparison = Some(*found),
                _ => {}
            }
        }
    }
    (preparation, epoch, comparison.expect("the run was compared"))
}

#[test]
#[ignore = "takes minutes"]
fn a_frozen_epoch_is_at_least_five_times_as_fast_as_a_full_one() {
    let mut session = session();
    let config = RunConfig { epochs: 1, train_size: 10_000, ..RunConfig::default() };
    session.handle(Command::Start { run: RunId(1), config, one_batch: false, from: None, basis: None });
    let mut model = None;
    while session.has_work() && model.is_none() {
        model = pollster::block_on(session.advance()).into_iter().find_map(|event| match event {
            Event::Checkpoint { checkpoint, .. } => Some(SavedModel {
                network: checkpoint.config.network,
                classes: digit_names(),
                weights: checkpoint.weights,
                left_out: Vec::new(),
            }),
            _ => None,
        });
    }
    let model = model.expect("the run leaves a checkpoint");
    let mut times = Vec::new();
    for (trainable, epochs) in [(Trainable::Everything, 1), (Trainable::Dense, 5), (Trainable::Last, 5)] {
        let (preparation, epoch, comparison) = tuned(&mut session, &model, trainable, epochs);
        let [new, old] = [Some(&comparison.held_out), comparison.old_test.as_ref()].map(|exams| {
            let exams = exams.expect("both apply");
            (exams.before.score().correct, exams.after.score().correct)
        });
        println!(
            "{trainable:?}: prepared in {preparation:.2?}, an epoch of 10,000 in {epoch:.2?}, new {new:?}, old {old:?}"
        );
        times.push(epoch);
    }
    let ratio = times[0].as_secs_f64() / times[1].as_secs_f64();
    println!("a frozen epoch is {ratio:.1} times as fast as a full one");
    assert!(ratio >= 5.0, "{ratio}");
}
