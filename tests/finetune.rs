//! Fine-tuning: what is frozen stays as it is, what is held out is never trained on, and before and after are counted
//! honestly. Run natively and in the browser.

mod common;

use burn::tensor::Device;
use common::{digits, drive, losses};
use kiln::data::augment::Amount;
use kiln::data::division::divide;
use kiln::data::set::{SetFile, SetProblem};
use kiln::data::shift::Shift;
use kiln::data::{Images, PIXELS, Split, idx};
use kiln::device::{Opened, read};
use kiln::files::run_file::{self, Data, Metrics, RunFile, Versions};
use kiln::model::{
    Convolution, Network, NetworkConfig, SavedModel, Trainable, digit_names, summarize, trainable_parameters,
};
use kiln::protocol::{Command, DeviceKind, Event, Failure, RunId};
use kiln::training::config::Optimizer;
use kiln::training::evaluation::CHUNK;
use kiln::training::finetune::{Basis, Comparison, FineTune, FineTuneProblem, NewData, Origin, Prepared, Sample};
use kiln::training::session::{Expected, Session};
use kiln::training::source::{Features, Source};
use kiln::training::trainer::{Batch, Trainer};
use kiln::training::{Checkpoint, RunConfig, Score, wilson};
#[cfg(not(target_arch = "wasm32"))]
use proptest::prelude::*;
use serde_bytes::ByteBuf;

#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

const RUN: RunId = RunId(1);

fn network() -> NetworkConfig {
    NetworkConfig {
        convolutions: vec![Convolution::new(4, true), Convolution::new(8, true)],
        dense: vec![16, 12],
        batch_norm: true,
        ..NetworkConfig::default()
    }
}

/// Weights and statistics of the convolution blocks, in bytes.
fn bytes_of_blocks(config: &NetworkConfig) -> usize {
    let summary = summarize(config).unwrap();
    let learn = |layer: &&kiln::model::Layer| !layer.name.starts_with("dense");
    let parameters: usize = summary.layers.iter().filter(learn).map(|layer| layer.parameters).sum();
    4 * (parameters + config.convolutions.iter().map(|conv| 2 * conv.filters).sum::<usize>())
}

/// A session with 200 training, 40 validation and 60 test images.
fn session() -> Session {
    let mut session = Session::new(Opened::cpu());
    session.expect(Expected { train: 200, validation: 40, test: 60, block: 100 });
    fill(&mut session);
    session
}

fn fill(session: &mut Session) {
    session.push(Split::Train, digits(200, 1));
    session.push(Split::Validation, digits(40, 2));
    session.push(Split::Test, digits(60, 3));
}

fn config() -> RunConfig {
    RunConfig { network: network(), epochs: 2, batch_size: 20, train_size: 200, seed: 5, ..RunConfig::default() }
}

/// A network trained for some epochs on the digits of [`session`].
async fn trained(epochs: u32) -> SavedModel {
    let mut session = session();
    let config = RunConfig { epochs, learning_rate: 3e-3, ..config() };
    session.handle(common::start(1, &config));
    let events = drive(&mut session).await;
    let weights = checkpoints(&events).last().unwrap().weights.clone();
    SavedModel { network: network(), classes: digit_names(), weights, left_out: Vec::new() }
}

/// A network that was never trained: where only the way matters.
async fn untrained(config: &NetworkConfig) -> SavedModel {
    let weights = Network::new(config, 11, &Device::flex()).unwrap().to_bytes().await.unwrap();
    let classes = (0..config.classes).map(|class| class.to_string()).collect();
    SavedModel { network: config.clone(), classes, weights: ByteBuf::from(weights), left_out: Vec::new() }
}

/// Samples of `count` images; every third is held out.
fn samples(count: usize, seed: u32) -> Vec<Sample> {
    let images = digits(count, seed);
    (0..count)
        .map(|index| Sample {
            id: 100 + index as u32,
            label: images.labels[index],
            held_out: index % 3 == 2,
            origin: Origin::Drawn,
            pixels: ByteBuf::from(images.image(index)),
        })
        .collect()
}

fn tune(finetune: FineTune) -> RunConfig {
    RunConfig { finetune: Some(finetune), ..config() }
}

fn begin(config: &RunConfig, model: &SavedModel, samples: Vec<Sample>) -> Command {
    let basis = Some(Box::new(Basis { model: model.clone(), samples }));
    Command::Start { run: RUN, config: config.clone(), one_batch: false, from: None, basis }
}

/// A whole run.
async fn run(config: &RunConfig, model: &SavedModel, samples: Vec<Sample>) -> Vec<Event> {
    let mut session = session();
    let mut events = session.handle(begin(config, model, samples));
    events.extend(drive(&mut session).await);
    events
}

fn checkpoints(events: &[Event]) -> Vec<&Checkpoint> {
    let found = events.iter().filter_map(|event| match event {
        Event::Checkpoint { checkpoint, .. } => Some(&**checkpoint),
        _ => None,
    });
    found.collect()
}

fn prepared(events: &[Event]) -> &Prepared {
    let found = events.iter().find_map(|event| match event {
        Event::Prepared { prepared, .. } => Some(&**prepared),
        _ => None,
    });
    found.expect("the run has prepared its data")
}

fn comparison(events: &[Event]) -> &Comparison {
    let found = events.iter().find_map(|event| match event {
        Event::Compared { comparison, .. } => Some(&**comparison),
        _ => None,
    });
    found.expect("the run was compared")
}

fn finished(events: &[Event]) -> Option<(u32, bool, Option<Score>)> {
    events.iter().rev().find_map(|event| match event {
        Event::Finished { step, stopped, test, .. } => Some((*step, *stopped, *test)),
        _ => None,
    })
}

fn problem(events: &[Event]) -> FineTuneProblem {
    match events.last() {
        Some(Event::Failed { run: Some(RUN), failure: Failure::FineTune { problem } }) => problem.clone(),
        other => panic!("{other:?}"),
    }
}

fn idx_images(images: &Images) -> Vec<u8> {
    let header = [idx::IMAGES_MAGIC, images.len() as u32, 28, 28].map(u32::to_be_bytes).concat();
    [header, images.pixels.clone()].concat()
}

fn idx_labels(images: &Images) -> Vec<u8> {
    let header = [idx::LABELS_MAGIC, images.len() as u32].map(u32::to_be_bytes).concat();
    [header, images.labels.clone()].concat()
}

fn file(name: &str, bytes: Vec<u8>) -> SetFile {
    SetFile { name: name.into(), bytes: ByteBuf::from(bytes) }
}

fn import(session: &mut Session, files: Vec<SetFile>) -> Event {
    session.handle(Command::ImportSet { id: 9, name: "clothes".into(), files }).remove(0)
}

both! {
    async fn frozen_weights_and_statistics_stay_as_they_are_bit_for_bit() {
        let model = trained(1).await;
        let frozen = bytes_of_blocks(&network());
        for trainable in [Trainable::Dense, Trainable::Last, Trainable::Everything] {
            let config = RunConfig {
                optimizer: Optimizer::AdamW,
                weight_decay: 0.1,
                ..tune(FineTune { trainable, ..FineTune::default() })
            };
            let events = run(&config, &model, samples(60, 8)).await;
            let found = checkpoints(&events).last().unwrap().weights.clone();
            assert_eq!(found.len(), model.weights.len());
            assert_eq!(found[..frozen] == model.weights[..frozen], trainable != Trainable::Everything, "{trainable:?}");
            let last = found.len() - 4 * (12 * 10 + 10);
            assert_eq!(found[..last] == model.weights[..last], trainable == Trainable::Last, "{trainable:?}");
            assert_ne!(found[last..], model.weights[last..]);
        }
    }

    async fn features_that_are_kept_give_the_same_losses_as_features_that_are_computed_for_each_batch() {
        let (device, images) = (Device::flex(), digits(70, 4));
        for trainable in [Trainable::Dense, Trainable::Last] {
            let network = || Network::new(&network(), 3, &device.clone().autodiff()).unwrap().freeze(trainable);
            let config = RunConfig { network: self::network(), ..RunConfig::default() };
            let trainer = || Trainer::new(network(), &config, &device);
            let (mut computing, mut keeping) = (trainer(), trainer());
            let all: Vec<u32> = (0..70).collect();
            let kiln::model::Input::Images(batch) = Source::Images(&images).gather(&all, CHUNK, &device) else { panic!() };
            let answer = keeping.network().features(batch);
            let len = answer.dims()[1];
            let mut values = read(vec![answer.flatten(0, 1)]).await.unwrap().remove(0);
            values.truncate(70 * len);
            let features = Features { len, values, labels: images.labels.clone() };
            for step in 0..6 {
                let indices: Vec<u32> = (0..16).map(|row| (row * 7 + step * 5) % 70).collect();
                let computed = computing.step(Batch::gather(&images, &indices, 16, 10, computing.device()), 1e-2);
                let kept = keeping.step(Batch::gather(&features, &indices, 16, 10, keeping.device()), 1e-2);
                let values = read(vec![computed, kept]).await.unwrap();
                assert_eq!(values[0], values[1], "step {step} of {trainable:?}");
            }
        }
    }

    async fn with_augmentation_features_are_computed_for_each_batch_and_what_is_frozen_stays() {
        let model = untrained(&network()).await;
        let mut config = RunConfig { network: NetworkConfig { dropout: 0.3, ..network() }, ..tune(FineTune::default()) };
        let plain = run(&config, &model, samples(60, 8)).await;
        config.augmentation.rotation = Amount { strength: 20.0, probability: 1.0 };
        let events = run(&config, &model, samples(60, 8)).await;
        assert!(prepared(&plain).kept && !prepared(&events).kept);
        assert_ne!(losses(&events), losses(&plain));
        let frozen = bytes_of_blocks(&network());
        assert_eq!(checkpoints(&events)[1].weights[..frozen], model.weights[..frozen]);
        assert_eq!(comparison(&events).held_out.before, comparison(&plain).held_out.before);
    }

    async fn what_learns_is_counted_by_layer() {
        let config = NetworkConfig::default();
        assert_eq!(trainable_parameters(&config, Trainable::Everything), Some(130_250));
        assert_eq!(trainable_parameters(&config, Trainable::Dense), Some(576 * 64 + 64 + 64 * 10 + 10));
        assert_eq!(trainable_parameters(&config, Trainable::Last), Some(650));
        assert_eq!(trainable_parameters(&NetworkConfig { dropout: 2.0, ..config }, Trainable::Last), None);
    }

    async fn a_run_says_what_it_works_with_and_ends_with_both_exams() {
        let model = untrained(&network()).await;
        let events = run(&tune(FineTune { replay: 0.5, ..FineTune::default() }), &model, samples(60, 8)).await;
        assert_eq!(events[0], Event::Started { run: RUN });
        let prepared = prepared(&events);
        assert_eq!(prepared.train.iter().sum::<u32>(), 40);
        assert_eq!((prepared.replayed, prepared.images), (20, 60));
        assert_eq!(prepared.held_out, [2; 10]);
        assert!(prepared.validation_is_held_out && prepared.kept);
        assert_eq!(prepared.classes, digit_names());
        assert_eq!(losses(&events).len(), 2 * 3, "two epochs of three batches");
        let comparison = comparison(&events);
        assert_eq!(comparison.held_out.before.score().total, 20);
        assert_eq!(comparison.samples, (0..20).map(|n| 102 + 3 * n).collect::<Vec<u32>>());
        let old = comparison.old_test.as_ref().unwrap();
        assert_eq!((old.before.labels.len(), old.after.labels.len()), (60, 60));
        assert!(events.contains(&Event::Examined { run: RUN, exam: Box::new(old.after.clone()) }));
        assert_eq!(finished(&events), Some((6, false, Some(old.after.score()))));
        assert!(events.iter().all(|event| event.run() == Some(RUN)));
    }

    async fn a_set_smaller_than_a_batch_is_one_batch() {
        let model = untrained(&network()).await;
        let config = RunConfig { batch_size: 128, epochs: 3, ..tune(FineTune::default()) };
        let events = run(&config, &model, samples(9, 8)).await;
        assert_eq!(prepared(&events).images, 6);
        assert_eq!(losses(&events).len(), 3);
        assert_eq!(checkpoints(&events)[0].config.batch_len(), 6);
    }

    async fn new_classes_replace_the_last_layer() {
        let model = untrained(&network()).await;
        let names: Vec<String> = ["cat", "dog", "owl"].map(String::from).into();
        let finetune = FineTune { classes: names.clone(), ..FineTune::default() };
        let config = RunConfig { network: NetworkConfig { classes: 3, ..network() }, ..tune(finetune) };
        let mut few = samples(60, 8);
        few.retain(|sample| sample.label < 3);
        few.iter_mut().enumerate().for_each(|(at, sample)| sample.held_out = at % 2 == 0);
        let mut session = session();
        session.handle(begin(&config, &model, few));
        let mut events = drive(&mut session).await;
        assert_eq!(prepared(&events).classes, names);
        let comparison = comparison(&events);
        assert_eq!(comparison.old_test, None, "the digits' test does not apply");
        assert_eq!(comparison.held_out.after.score().total, 9);
        assert!(matches!(finished(&events), Some((_, false, None))));
        session.handle(Command::Predict { id: 1, pixels: ByteBuf::from(vec![0; PIXELS]), inside: false });
        events = drive(&mut session).await;
        let [Event::Prediction { probabilities, .. }] = &events[..] else { panic!("{events:?}") };
        assert_eq!(probabilities.len(), 3);
        assert!((probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        assert!(session.handle(Command::Resume { run: RUN }).is_empty(), "nothing is left to do");
    }

    async fn held_out_samples_change_nothing_of_what_is_learnt() {
        let model = untrained(&network()).await;
        let config = tune(FineTune { trainable: Trainable::Everything, ..FineTune::default() });
        let plain = run(&config, &model, samples(30, 8)).await;
        let mut other = samples(30, 8);
        for sample in other.iter_mut().filter(|sample| sample.held_out) {
            sample.pixels = ByteBuf::from(vec![77; PIXELS]);
            sample.label = 9;
        }
        let changed = run(&config, &model, other).await;
        assert_eq!(losses(&plain), losses(&changed));
        assert_eq!(checkpoints(&plain)[1].weights, checkpoints(&changed)[1].weights);
        assert_ne!(comparison(&plain).held_out, comparison(&changed).held_out);
    }

    async fn test_images_that_were_added_count_neither_before_nor_after() {
        let model = SavedModel { left_out: vec![1, 40], ..untrained(&network()).await };
        let mut samples = samples(30, 8);
        for (sample, index) in samples.iter_mut().zip([7, 3, 40]) {
            sample.origin = Origin::Test { index };
        }
        let events = run(&tune(FineTune::default()), &model, samples.clone()).await;
        let old = comparison(&events).old_test.clone().unwrap();
        for exam in [&old.before, &old.after] {
            assert_eq!(exam.left_out, [1, 3, 7, 40]);
            assert_eq!((exam.labels.len(), exam.score().total), (60, 56));
        }
        assert_eq!(prepared(&events).left_out, [1, 3, 7, 40]);
        // Of samples that this run does not use, nothing is left out.
        let shifted = tune(FineTune { data: NewData::Shifted { shift: Shift::Inverted }, ..FineTune::default() });
        let events = run(&shifted, &model, samples).await;
        assert_eq!(prepared(&events).left_out, [1, 40]);
    }

    async fn a_shifted_set_is_learnt_and_mixing_in_old_images_lessens_what_is_forgotten() {
        let model = trained(6).await;
        let tuned = async |replay| {
            let finetune = FineTune {
                trainable: Trainable::Everything,
                data: NewData::Shifted { shift: Shift::Inverted },
                replay,
                ..FineTune::default()
            };
            let events = run(&RunConfig { epochs: 6, learning_rate: 3e-3, ..tune(finetune) }, &model, Vec::new()).await;
            assert_eq!(prepared(&events).validation.iter().sum::<u32>(), 40);
            assert!(!prepared(&events).validation_is_held_out);
            comparison(&events).clone()
        };
        let (alone, mixed) = (tuned(0.0).await, tuned(2.0).await);
        for comparison in [&alone, &mixed] {
            let (before, after) = (comparison.held_out.before.score(), comparison.held_out.after.score());
            assert_eq!((before.total, after.total), (60, 60));
            assert!(after.correct > before.correct + 20, "{} → {}", before.correct, after.correct);
        }
        let kept = |comparison: &Comparison| comparison.old_test.as_ref().unwrap().after.score().correct;
        let before = alone.old_test.as_ref().unwrap().before.score().correct;
        assert!(kept(&alone) < before, "alone it forgets: {} of {before}", kept(&alone));
        assert!(kept(&mixed) > kept(&alone), "{} with old images, {} without", kept(&mixed), kept(&alone));
    }

    async fn a_run_waits_for_the_old_images_that_it_needs() {
        let model = untrained(&network()).await;
        let config = tune(FineTune { data: NewData::Shifted { shift: Shift::Thick }, ..FineTune::default() });
        let mut session = Session::new(Opened::cpu());
        session.expect(Expected { train: 200, validation: 40, test: 60, block: 100 });
        session.handle(begin(&config, &model, Vec::new()));
        assert_eq!(drive(&mut session).await, [Event::Waiting { run: RUN }]);
        fill(&mut session);
        let events = drive(&mut session).await;
        assert_eq!(losses(&events), losses(&run(&config, &model, Vec::new()).await));
        assert!(finished(&events).is_some());
    }

    async fn a_stop_while_data_are_prepared_can_be_taken_back() {
        let model = untrained(&network()).await;
        let config = tune(FineTune { replay: 1.0, ..FineTune::default() });
        let expected = losses(&run(&config, &model, samples(60, 8)).await);
        let mut session = session();
        session.handle(begin(&config, &model, samples(60, 8)));
        session.advance().await;
        session.handle(Command::Stop { run: RUN });
        assert_eq!(finished(&drive(&mut session).await), Some((0, true, None)));
        session.handle(Command::Test { run: RUN });
        assert!(!session.has_work(), "there is nothing to test with yet");
        session.handle(Command::Resume { run: RUN });
        assert_eq!(losses(&drive(&mut session).await), expected);
    }

    async fn a_checkpoint_has_all_that_a_run_needs_to_go_on() {
        let model = untrained(&network()).await;
        let config = tune(FineTune { replay: 1.0, ..FineTune::default() });
        let events = run(&config, &model, samples(60, 8)).await;
        let checkpoint = checkpoints(&events)[0].clone();
        let per_epoch = checkpoint.config.batches_per_epoch() as usize;
        assert_eq!(per_epoch, 4);
        let mut other = session();
        let config = checkpoint.config.clone();
        let from = Some(Box::new(checkpoint));
        other.handle(Command::Start { run: RUN, config, one_batch: false, from, basis: None });
        let resumed = drive(&mut other).await;
        assert_eq!(losses(&resumed), losses(&events)[per_epoch..]);
        assert_eq!(comparison(&resumed), comparison(&events));
    }

    async fn a_checkpoint_of_other_data_is_refused() {
        let model = untrained(&network()).await;
        let events = run(&tune(FineTune::default()), &model, samples(60, 8)).await;
        let checkpoint = checkpoints(&events)[0].clone();
        let mut other = session();
        let basis = Some(Box::new(Basis { model, samples: samples(30, 8) }));
        let (config, from) = (checkpoint.config.clone(), Some(Box::new(checkpoint)));
        other.handle(Command::Start { run: RUN, config, one_batch: false, from, basis });
        let problem = problem(&drive(&mut other).await);
        assert_eq!(problem, FineTuneProblem::OtherData { expected: 40, found: 20 });
        assert!(!other.has_work());
    }

    async fn what_does_not_fit_together_is_refused_by_name() {
        let model = untrained(&network()).await;
        let refused = |config: RunConfig, samples: Vec<Sample>| {
            let mut session = session();
            let problem = problem(&session.handle(begin(&config, &model, samples)));
            assert!(!session.has_work());
            problem
        };
        let with = |change: fn(&mut FineTune)| {
            let mut finetune = FineTune::default();
            change(&mut finetune);
            refused(tune(finetune), samples(30, 8))
        };
        assert_eq!(with(|told| told.classes = vec!["one".into()]), FineTuneProblem::Classes { count: 1 });
        assert_eq!(with(|told| told.classes = vec!["a".into(); 21]), FineTuneProblem::Classes { count: 21 });
        assert_eq!(with(|told| told.classes = vec!["a".into(); 3]), FineTuneProblem::OtherNetwork);
        assert_eq!(with(|told| told.replay = f64::NAN), FineTuneProblem::Replay);
        let absent = with(|told| told.data = NewData::Set { name: "kites".into() });
        assert_eq!(absent, FineTuneProblem::NoSet { name: "kites".into() });
        let three = FineTune { classes: vec!["a".into(); 3], ..FineTune::default() };
        let network = NetworkConfig { classes: 3, ..network() };
        let config = RunConfig { network, ..tune(FineTune { replay: 1.0, ..three.clone() }) };
        assert_eq!(refused(config.clone(), samples(30, 8)), FineTuneProblem::ReplayWithNewClasses);
        let config = RunConfig { finetune: Some(three), ..config };
        assert_eq!(refused(config, samples(30, 8)), FineTuneProblem::Label { label: 9, classes: 3 });
        let all = |held_out| {
            let mut samples = samples(30, 8);
            samples.iter_mut().for_each(|sample| sample.held_out = held_out);
            samples
        };
        assert_eq!(refused(tune(FineTune::default()), all(true)), FineTuneProblem::NothingToTrainOn);
        assert_eq!(refused(tune(FineTune::default()), all(false)), FineTuneProblem::NothingHeldOut);
        let mut short = samples(30, 8);
        short[4].pixels.truncate(700);
        assert_eq!(refused(tune(FineTune::default()), short), FineTuneProblem::Sample { id: 104, found: 700 });
        let mut session = session();
        let alone = session.handle(common::start(1, &tune(FineTune::default())));
        assert!(matches!(problem(&alone), FineTuneProblem::Basis { .. }));
    }

    async fn held_out_images_can_be_looked_at() {
        let model = untrained(&network()).await;
        let mut session = session();
        session.handle(begin(&tune(FineTune::default()), &model, samples(30, 8)));
        drive(&mut session).await;
        let answer = session.handle(Command::HeldOut { run: RUN, id: 4, indices: vec![9, 0, 10] });
        let held_out = samples(30, 8).into_iter().filter(|sample| sample.held_out).collect::<Vec<_>>();
        let pixels = ByteBuf::from([held_out[9].pixels.to_vec(), held_out[0].pixels.to_vec()].concat());
        assert_eq!(answer, [Event::Images { id: 4, indices: vec![9, 0], pixels }]);
    }

    async fn a_run_of_a_file_has_the_losses_of_the_one_that_was_written() {
        let model = untrained(&network()).await;
        let config = tune(FineTune::default());
        let mut first = session();
        first.handle(begin(&config, &model, samples(30, 8)));
        let events = drive(&mut first).await;
        let images = prepared(&events).images;
        let mut told = config.clone();
        told.finetune.as_mut().expect("it fine-tunes").images = images;
        let file = RunFile {
            version: run_file::VERSION,
            config: told,
            data: Data { name: "digits".into(), synthetic: true, shards: Vec::new() },
            device: run_file::Device { kind: DeviceKind::Cpu, name: String::new() },
            versions: Versions::default(),
            basis: first.basis().cloned().map(Box::new),
            metrics: Metrics::default(),
        };
        let read = run_file::read(&run_file::write(&file)).expect("what was written");
        let start = Command::Start { run: RUN, config: read.config, one_batch: false, from: None, basis: read.basis };
        let mut second = session();
        second.handle(start);
        let replayed = losses(&drive(&mut second).await);
        assert!(!replayed.is_empty());
        assert_eq!(replayed, losses(&events));
    }

    async fn a_set_is_imported_in_any_order_packed_or_not_and_trained_on() {
        let images = digits(120, 6);
        let packed = kiln::data::gzip::gzip(&idx_images(&images));
        let mut session = session();
        let told = import(&mut session, vec![file("labels", idx_labels(&images)), file("images.gz", packed)]);
        let Event::SetImported { id: 9, name, counts } = told else { panic!("{told:?}") };
        assert_eq!((name.as_str(), counts.train, counts.test), ("clothes", vec![12; 10], Vec::new()));
        let model = untrained(&network()).await;
        let config = tune(FineTune { data: NewData::Set { name }, ..FineTune::default() });
        session.handle(begin(&config, &model, Vec::new()));
        let events = drive(&mut session).await;
        let prepared = prepared(&events);
        assert_eq!((&prepared.train, &prepared.validation, &prepared.held_out), (&vec![10; 10], &vec![1; 10], &vec![1; 10]));
        assert!(comparison(&events).old_test.is_some(), "the digits' own classes were kept");
    }

    async fn of_two_pairs_the_smaller_one_is_held_out_whole() {
        let (train, test) = (digits(120, 6), digits(30, 7));
        let mut session = session();
        let told = import(&mut session, vec![
            file("t10k-labels", idx_labels(&test)),
            file("train-images", idx_images(&train)),
            file("t10k-images", idx_images(&test)),
            file("train-labels", idx_labels(&train)),
        ]);
        let Event::SetImported { counts, .. } = told else { panic!("{told:?}") };
        assert_eq!((counts.classes(), counts.train, counts.test), (10, vec![12; 10], vec![3; 10]));
        let model = untrained(&network()).await;
        let data = NewData::Set { name: "clothes".into() };
        let config = RunConfig { train_size: 50, ..tune(FineTune { data, ..FineTune::default() }) };
        session.handle(begin(&config, &model, Vec::new()));
        let prepared = prepared(&drive(&mut session).await).clone();
        assert_eq!((prepared.images, prepared.held_out), (50, vec![3; 10]));
        assert_eq!(prepared.validation, [1; 10]);
    }

    async fn a_broken_set_says_which_file_is_wrong_and_how() {
        let images = digits(20, 6);
        let (pixels, labels) = (idx_images(&images), idx_labels(&images));
        let refused = |files: Vec<SetFile>| match import(&mut session(), files) {
            Event::SetRefused { id: 9, problem } => problem,
            other => panic!("{other:?}"),
        };
        let with = |pixels: Vec<u8>, labels: Vec<u8>| refused(vec![file("p", pixels), file("l", labels)]);
        assert_eq!(refused(vec![file("p", pixels.clone())]), SetProblem::Files { images: 1, labels: 0 });
        let side = SetProblem::Idx { file: "p".into(), problem: idx::IdxError::Side { rows: 32, columns: 28 } };
        let mut other = pixels.clone();
        other[11] = 32;
        assert_eq!(with(other, labels.clone()), side);
        let mut other = labels.clone();
        other[8 + 5] = 26;
        let label = SetProblem::Idx { file: "l".into(), problem: idx::IdxError::Label { index: 5, found: 26 } };
        assert_eq!(with(pixels.clone(), other), label);
        // A header that claims four thousand million images.
        let mut other = pixels.clone();
        other[4..8].fill(255);
        assert!(matches!(with(other, labels.clone()), SetProblem::Idx { problem: idx::IdxError::Length { .. }, .. }));
        let fewer = idx_labels(&images.part(0..19));
        assert_eq!(with(pixels.clone(), fewer), SetProblem::NoLabels { file: "p".into(), images: 20 });
        let mut packed = kiln::data::gzip::gzip(&pixels);
        packed.truncate(packed.len() / 2);
        assert!(matches!(with(packed, labels.clone()), SetProblem::Gzip { .. }));
        let one = Images { labels: vec![3; 20], ..images.clone() };
        assert_eq!(with(pixels, idx_labels(&one)), SetProblem::OneClass);
        let none = Images::default();
        assert_eq!(with(idx_images(&none), idx_labels(&none)), SetProblem::Empty);
    }

    async fn shifted_images_are_the_same_each_time_and_what_their_name_says() {
        let images = digits(20, 6);
        for shift in Shift::ALL {
            assert_eq!(shift.of(&images, 0..20, 3), shift.of(&images, 0..20, 3));
            // In pieces as at once.
            assert_eq!(shift.of(&images, 7..20, 3), shift.of(&images, 0..20, 3).part(7..20));
        }
        let image = images.image(4);
        assert_eq!(Shift::Inverted.apply(&Shift::Inverted.apply(image, 3, 4), 3, 4), image);
        assert!(Shift::Thick.apply(image, 3, 4).iter().zip(image).all(|(thick, thin)| thick >= thin));
        assert_ne!(Shift::Noisy.apply(image, 3, 4), Shift::Noisy.apply(image, 3, 5));
        // A dot right of the middle comes to lie right and below: clockwise.
        let mut dot = [0; PIXELS];
        dot[13 * 28 + 23] = 255;
        let turned = Shift::Rotated.apply(&dot, 0, 0);
        let most = (0..PIXELS).max_by_key(|&at| turned[at]).unwrap();
        let (x, y) = (most % 28, most / 28);
        assert!((20..=22).contains(&x) && (18..=21).contains(&y), "{x}, {y}");
    }

    async fn a_set_is_divided_by_class_and_the_same_way_each_time() {
        let labels = [vec![0; 50], vec![1; 20], vec![2; 2], vec![3]].concat();
        let division = divide(&labels, 0.1, 0.2, 4);
        let count = |part: &[u32]| [0, 1, 2, 3].map(|class| part.iter().filter(|&&at| labels[at as usize] == class).count());
        assert_eq!(count(&division.held_out), [10, 4, 1, 0]);
        assert_eq!(count(&division.validation), [5, 2, 0, 0]);
        assert_eq!(count(&division.train), [35, 14, 1, 1]);
        assert_eq!(division, divide(&labels, 0.1, 0.2, 4));
        assert_ne!(division, divide(&labels, 0.1, 0.2, 5));
    }

    async fn intervals_are_wilsons() {
        let near = |(low, high): (f32, f32), (a, b): (f32, f32)| (low - a).abs() < 5e-4 && (high - b).abs() < 5e-4;
        assert!(near(wilson(17, 20), (0.6396, 0.9476)), "{:?}", wilson(17, 20));
        assert!(near(wilson(9921, 10_000), (0.9902, 0.9937)), "{:?}", wilson(9921, 10_000));
        assert!(near(wilson(0, 4), (0.0, 0.4899)) && near(wilson(4, 4), (0.5101, 1.0)));
        assert_eq!(wilson(0, 0), (0.0, 1.0));
    }
}

#[cfg(not(target_arch = "wasm32"))]
proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_division_has_each_image_once_and_of_each_class_its_share(
        labels in proptest::collection::vec(0u8..12, 0..400),
        (validation, held_out) in (0.0f64..0.4, 0.0f64..0.4),
        seed: u32,
    ) {
        let division = divide(&labels, validation, held_out, seed);
        let mut all = [&division.train[..], &division.validation, &division.held_out].concat();
        all.sort_unstable();
        prop_assert_eq!(all, (0..labels.len() as u32).collect::<Vec<_>>());
        let count = |part: &[u32], class| part.iter().filter(|&&at| labels[at as usize] == class).count();
        for class in 0..12 {
            let whole = labels.iter().filter(|&&label| label == class).count();
            for (share, part) in [(validation, &division.validation), (held_out, &division.held_out)] {
                prop_assert!(count(part, class) as f64 <= (share * whole as f64).round().max(1.0));
            }
            prop_assert!(whole == 0 || count(&division.train, class) > 0);
            if whole >= 10 {
                let found = count(&division.held_out, class) as f64;
                prop_assert!((found - held_out * whole as f64).abs() <= 1.0);
            }
        }
        prop_assert_eq!(&division, &divide(&labels, validation, held_out, seed));
    }

    #[test]
    fn files_changed_at_random_are_refused_or_read_and_never_a_panic(
        changes in proptest::collection::vec((0usize..400, any::<u8>()), 0..6),
        (cut, packed) in (0usize..1000, any::<bool>()),
    ) {
        let images = digits(12, 6);
        let mut pixels = idx_images(&images);
        if packed {
            pixels = kiln::data::gzip::gzip(&pixels);
        }
        let mut labels = idx_labels(&images);
        for (at, byte) in changes {
            if let Some(place) = pixels.get_mut(at) {
                *place = byte;
            }
            if let Some(place) = labels.get_mut(at) {
                *place = byte;
            }
        }
        if cut < pixels.len() {
            pixels.truncate(pixels.len() - cut);
        }
        match kiln::data::set::import(vec![file("p", pixels), file("l", labels)]) {
            Ok(set) => prop_assert!(set.train.len() == 12 && set.train.pixels.len() == 12 * PIXELS),
            Err(problem) => prop_assert!(!problem.to_string().is_empty()),
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_that_is_held_out_is_learnt_from(
        flags in proptest::collection::vec(any::<bool>(), 12..30),
        trainable in prop_oneof![Just(Trainable::Everything), Just(Trainable::Dense), Just(Trainable::Last)],
        ink: u8,
    ) {
        prop_assume!(flags.contains(&true) && flags.contains(&false));
        pollster::block_on(async {
            let model = untrained(&network()).await;
            let config = tune(FineTune { trainable, ..FineTune::default() });
            let mut first = samples(flags.len(), 8);
            first.iter_mut().zip(&flags).for_each(|(sample, held_out)| sample.held_out = *held_out);
            let mut second = first.clone();
            for sample in second.iter_mut().filter(|sample| sample.held_out) {
                sample.pixels = ByteBuf::from(vec![ink; PIXELS]);
            }
            let (first, second) = (run(&config, &model, first).await, run(&config, &model, second).await);
            assert_eq!(losses(&first), losses(&second));
            assert_eq!(checkpoints(&first)[1].weights, checkpoints(&second)[1].weights);
        });
    }
}
