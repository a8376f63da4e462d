//! Messages come through as bytes as they were, and bytes that are none are refused. Natively and in the browser.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;
#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

use kiln::data::augment::Augmentation;
use kiln::data::set::{SetCounts, SetFile, SetProblem};
use kiln::data::{PIXELS, Split};
use kiln::model::{NetworkConfig, NetworkError, SavedModel, digit_names};
use kiln::protocol::{
    Command, ConfigurationProblem, DataProgress, DeviceKind, DeviceReason, Event, ExportOf, Failure, FileKind,
    Imported, LayerMaps, RunId, VERSION, decode, encode,
};
use kiln::shelf::{ModelId, Shelf, StorageTrouble};
use kiln::training::collection::KeptDigits;
use kiln::training::config::{Optimizer, Schedule};
use kiln::training::exam::Exam;
use kiln::training::finetune::{
    Basis, BeforeAfter, Comparison, FineTune, FineTuneProblem, NewData, Origin, Prepared, Sample, Shift, Trainable,
};
use kiln::training::sweep::{Axis, Search, Setting, Sweep, SweepConfig, SweepError};
use kiln::training::{BestNetwork, Checkpoint, History, RunConfig, Score, StepPoint};
use serde_bytes::ByteBuf;

const RUN: RunId = RunId(3);

fn score() -> Score {
    Score { correct: 4_900, total: 5_000, loss: 0.125 }
}

fn model() -> SavedModel {
    SavedModel {
        network: NetworkConfig::default(),
        classes: digit_names(),
        weights: ByteBuf::from(vec![7; 40]),
        left_out: vec![3, 9],
    }
}

/// A sample of each origin.
fn samples() -> Vec<Sample> {
    let origins = [Origin::Drawn, Origin::File, Origin::Test { index: 12 }];
    let sample = |(id, origin)| Sample {
        id,
        label: 4,
        held_out: id == 1,
        origin,
        pixels: ByteBuf::from(vec![id as u8; PIXELS]),
    };
    (0..).zip(origins).map(sample).collect()
}

/// A configuration in which nothing is at its default, for each kind of new data and none.
fn configs() -> Vec<RunConfig> {
    let set = NewData::Set { name: "clothes".into() };
    let data = [None, Some(NewData::Yours), Some(set), Some(NewData::Shifted { shift: Shift::Noisy })];
    let config = |data: Option<NewData>| RunConfig {
        optimizer: Optimizer::AdamW,
        schedule: Schedule::Cosine,
        augmentation: Augmentation::ROBUST,
        finetune: data.map(|data| FineTune {
            trainable: Trainable::Last,
            data,
            classes: vec!["α".into(), "β".into()],
            replay: 2.0,
            images: 77,
        }),
        ..RunConfig::default()
    };
    data.into_iter().map(config).collect()
}

fn history() -> History {
    let point = |step| StepPoint { step, loss: 2.3, accuracy: 0.125 };
    History {
        points: (1..=3).map(point).collect(),
        scores: vec![(1, score())],
        best: Some(1),
        test: Some(score()),
        resumed: vec![2],
    }
}

fn checkpoint() -> Box<Checkpoint> {
    Box::new(Checkpoint {
        config: configs().remove(1),
        learning_rate: 1e-3,
        step: 429,
        epoch: 1,
        score: Some(score()),
        weights: ByteBuf::from(vec![1, 2, 3]),
        optimizer: ByteBuf::from(vec![4, 5]),
        best: Some(BestNetwork { epoch: 1, score: score(), weights: ByteBuf::from(vec![6]) }),
        without_gain: 2,
        basis: Some(Box::new(Basis { model: model(), samples: samples() })),
    })
}

fn exam() -> Exam {
    Exam {
        labels: ByteBuf::from(vec![1, 2]),
        read: ByteBuf::from(vec![1, 7]),
        sure: vec![0.5, 1.0],
        loss: 0.25,
        left_out: vec![1],
    }
}

fn sweep() -> SweepConfig {
    let axes = vec![Axis { setting: Setting::LearningRate, values: vec![1e-3, 1e-2] }];
    SweepConfig { base: RunConfig::default(), axes, search: Search::Grid, runs: 4, epochs: 1, seed: 9 }
}

fn commands() -> Vec<Command> {
    let id = ModelId(2);
    let basis = Some(Box::new(Basis { model: model(), samples: samples() }));
    let mut commands = vec![
        Command::Open {
            device: DeviceKind::WebGpu,
            reason: DeviceReason::MissingFeature("x".into()),
            manifest: "data/manifest.json".into(),
            sparing: true,
        },
        Command::FetchAgain,
        Command::Pause { run: RUN },
        Command::Resume { run: RUN },
        Command::Step { run: RUN },
        Command::Stop { run: RUN },
        Command::Test { run: RUN },
        Command::SetLearningRate { run: RUN, learning_rate: 1.0 },
        Command::ImportSet {
            id: 1,
            name: "clothes".into(),
            files: vec![SetFile { name: "images.gz".into(), bytes: ByteBuf::from(vec![1]) }],
        },
        Command::ForgetSet { name: "clothes".into() },
        Command::Sweep { run: RUN, config: Box::new(sweep()) },
        Command::StopSweep { run: RUN },
        Command::ResumeKept { run: RUN },
        Command::KeepModel { run: RUN, name: None },
        Command::OpenModel { id },
        Command::RenameModel { id, name: "青瓷".into() },
        Command::DeleteModel { id },
        Command::RestoreModel { id },
        Command::PurgeModels,
        Command::ModelHistory { id },
        Command::LookAtShelf,
        Command::ReadModel { id },
        Command::KeepDigits(Box::new(KeptDigits { digits: samples(), classes: vec!["α".into()], named: samples() })),
        Command::Predict { id: 1, pixels: ByteBuf::from(vec![0, 128, 255]), inside: true },
        Command::HeldOut { run: RUN, id: 1, indices: vec![1, 300] },
        Command::Images { id: 1, split: Split::Test, indices: vec![1, 300] },
        Command::PreviewAugmentation { id: 1, augmentation: Augmentation::ROBUST, seed: 2 },
        Command::UseWorkers { count: Some(2) },
        Command::UseWorkers { count: None },
        Command::Export { kind: FileKind::TensorBoard, of: ExportOf::Model { id } },
        Command::Export {
            kind: FileKind::Run,
            of: ExportOf::Run { config: Box::new(RunConfig::default()), history: Box::new(history()) },
        },
        Command::Import { name: "a.onnx".into(), bytes: ByteBuf::from(vec![1, 2]) },
    ];
    commands.extend(configs().into_iter().map(|config| Command::Start {
        run: RUN,
        config,
        one_batch: true,
        from: Some(checkpoint()),
        basis: basis.clone(),
    }));
    commands.push(Command::Start { run: RUN, config: RunConfig::default(), one_batch: false, from: None, basis: None });
    commands
}

fn failures() -> Vec<Failure> {
    let configuration = [
        ConfigurationProblem::Bounds { field: "epochs".into() },
        ConfigurationProblem::Classes { asked: 3, here: 10 },
        ConfigurationProblem::Images { asked: 60_000, here: 55_000 },
        ConfigurationProblem::Network(NetworkError::Pool { layer: 4, side: 1 }),
        ConfigurationProblem::Sweep(SweepError::Zero(Setting::Dropout)),
        ConfigurationProblem::Checkpoint { what: "w".into() },
        ConfigurationProblem::Storage(StorageTrouble::Full),
    ];
    let mut failures = vec![
        Failure::Unsupported { missing: "x".into() },
        Failure::WorkerSilent { seconds: 30 },
        Failure::Version { worker: 1, page: 2 },
        Failure::WorkerDied { message: String::new() },
        Failure::NoData { url: "u".into(), what: "w".into() },
        Failure::MissingShard { file: "f".into(), what: "w".into() },
        Failure::BadShard { file: "f".into(), split: Split::Validation, expected: "a".into(), found: "b".into() },
        Failure::NotFinite { step: 9 },
        Failure::GpuLost { message: "m".into() },
        Failure::NotAModel { file: "f".into(), what: "w".into() },
        Failure::FineTune { problem: FineTuneProblem::NoSet { name: "n".into() } },
        Failure::FineTune { problem: FineTuneProblem::Label { label: 12, classes: 10 } },
    ];
    failures.extend(configuration.map(|problem| Failure::Configuration { problem }));
    failures
}

fn events() -> Vec<Event> {
    let before_after = BeforeAfter { before: exam(), after: exam() };
    let trials = Sweep::new(sweep()).expect("a sweep").trials().to_vec();
    let counts = SetCounts { train: vec![12; 10], test: Vec::new() };
    let mut events = vec![
        Event::Ready { version: VERSION },
        Event::Data(DataProgress { name: "MNIST".into(), bytes: 1 << 40, ..DataProgress::default() }),
        Event::Started { run: RUN },
        Event::Preparing { run: RUN, done: 1, total: 2 },
        Event::Prepared { run: RUN, prepared: Box::new(Prepared { train: vec![1; 10], ..Prepared::default() }) },
        Event::Compiling { run: RUN },
        Event::Waiting { run: RUN },
        Event::Steps { run: RUN, points: history().points, images_per_second: 2_000.0 },
        Event::Workers { count: 2 },
        Event::Validating { run: RUN },
        Event::Validated { run: RUN, epoch: 1, score: score(), best: true },
        Event::Checkpoint { run: RUN, checkpoint: checkpoint() },
        Event::Paused { run: RUN, step: 5 },
        Event::Resumed { run: RUN },
        Event::Testing { run: RUN, done: 1, total: 2 },
        Event::Examined { run: RUN, exam: Box::new(exam()) },
        Event::Compared {
            run: RUN,
            comparison: Box::new(Comparison {
                held_out: before_after.clone(),
                samples: vec![1],
                old_test: Some(before_after),
            }),
        },
        Event::Finished { run: RUN, step: 9, stopped: true, early: false, best_epoch: None, test: None },
        Event::Finished { run: RUN, step: 9, stopped: false, early: true, best_epoch: Some(2), test: Some(score()) },
        Event::Sweep { run: RUN, trials },
        Event::Prediction { id: 1, probabilities: vec![0.25; 4] },
        Event::Inside {
            id: 1,
            layers: vec![LayerMaps { name: "conv1".into(), side: 2, maps: ByteBuf::from(vec![1, 2, 3, 4]) }],
        },
        Event::Images { id: 1, indices: vec![3], pixels: ByteBuf::from(vec![0; PIXELS]) },
        Event::Digits(Box::new(KeptDigits { digits: samples(), ..KeptDigits::default() })),
        Event::Sets(vec![("clothes".into(), counts.clone())]),
        Event::SetImported { id: 1, name: "clothes".into(), counts },
        Event::SetRefused { id: 1, problem: SetProblem::Files { images: 1, labels: 2 } },
        Event::AugmentationPreview { id: 1, pixels: ByteBuf::from(vec![7]) },
        Event::Shelf(Shelf::default()),
        Event::Kept { run: RUN, id: ModelId(1) },
        Event::ModelHistory { id: ModelId(1), history: None },
        Event::ModelHistory { id: ModelId(1), history: Some(history()) },
        Event::Exported { name: "n".into(), mime: "m".into(), bytes: ByteBuf::from(vec![1]) },
        Event::Imported { name: "n".into(), what: Imported::Model },
        Event::Failed { run: None, failure: Failure::NotFinite { step: 1 } },
    ];
    let basis = Some(Box::new(Basis { model: model(), samples: samples() }));
    events.extend([None, basis].map(|basis| {
        let config = Box::new(RunConfig::default());
        Event::Imported { name: "n".into(), what: Imported::Run { config, same_data: true, basis } }
    }));
    let troubles = [
        None,
        Some(StorageTrouble::Full),
        Some(StorageTrouble::Forbidden { what: "w".into() }),
        Some(StorageTrouble::Damaged { what: "w".into() }),
    ];
    events.extend(troubles.map(|trouble| Event::Storage { trouble }));
    let reasons = [
        DeviceReason::UsableGpu,
        DeviceReason::Asked,
        DeviceReason::NoWebGpu,
        DeviceReason::NoAdapter,
        DeviceReason::SoftwareAdapter,
        DeviceReason::MissingFeature("f".into()),
        DeviceReason::Refused("r".into()),
        DeviceReason::SelfCheck { difference: 1.0 },
        DeviceReason::Lost,
    ];
    events.extend(reasons.map(|reason| Event::Opened { device: DeviceKind::Cpu, name: "n".into(), reason }));
    events.extend(failures().into_iter().map(|failure| Event::Failed { run: Some(RUN), failure }));
    events
}

/// A message cut off at each of its first bytes, and with each of them altered.
fn broken(message: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    (0..message.len().min(200)).flat_map(|at| {
        let altered = [0x01, 0x80, 0xff].map(|bits| {
            let mut bytes = message.to_vec();
            bytes[at] ^= bits;
            bytes
        });
        altered.into_iter().chain([message[..at].to_vec()])
    })
}

#[test]
fn commands_come_through_as_they_were() {
    for command in commands() {
        let bytes = encode(&command).expect("it has a form");
        assert_eq!(decode::<Command>(&bytes).as_ref(), Ok(&command));
    }
}

#[test]
fn events_come_through_as_they_were() {
    for event in events() {
        let bytes = encode(&event).expect("it has a form");
        assert_eq!(decode::<Event>(&bytes).as_ref(), Ok(&event));
    }
}

#[test]
fn a_broken_message_is_no_panic() {
    for command in commands() {
        let bytes = encode(&command).expect("it has a form");
        broken(&bytes).for_each(|broken| drop(decode::<Command>(&broken)));
    }
    for event in events() {
        let bytes = encode(&event).expect("it has a form");
        broken(&bytes).for_each(|broken| drop(decode::<Event>(&broken)));
        assert!(decode::<Event>(&bytes[..bytes.len() - 1]).is_err(), "{event:?} cut off");
    }
    assert!(decode::<Event>(&[]).is_err());
}

#[test]
fn every_version_can_tell_its_number() {
    assert_eq!(encode(&Event::Ready { version: 1 }), Ok(vec![0, 1]), "the first of the events, and its number");
}
