//! Each of Kiln's files, opened by the tool that it is for: safetensors by Python's `safetensors` and a forward pass in
//! plain numpy, ONNX by `onnx.checker` and `onnxruntime`, events by TensorBoard's own `EventAccumulator`, CSV by
//! Python's `csv`. Networks are trained here, on MNIST where `KILN_MNIST_DIR` names it and on synthetic digits where it
//! does not, and what the tools compute is compared with what Kiln computes (`tests/files/check.py`).

#![cfg(not(target_arch = "wasm32"))]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command as Process;

use burn::tensor::{Tensor, TensorData};
use kiln::data::{Images, PIXELS, SIDE, Split, idx, synthetic};
use kiln::device::{Opened, read};
use kiln::files::{About, layout, onnx, safetensors, tensorboard};
use kiln::model::{Convolution, Network, NetworkConfig, Padding, SavedModel};
use kiln::protocol::{Command, Event, RunId};
use kiln::training::session::{Expected, Session};
use kiln::training::{History, RunConfig, csv};

/// Python with the tools, as `cargo xtask setup` makes it.
fn python() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = || set("XDG_CACHE_HOME").or_else(|| Some(set("HOME").or_else(|| set("USERPROFILE"))?.join(".cache")));
    let program = if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" };
    let python = set("KILN_PYTHON").or_else(|| Some(cache()?.join("kiln/python").join(program)));
    let python = python.expect("a home folder is set");
    assert!(python.exists(), "{} is missing: run `cargo xtask setup`", python.display());
    python
}

/// Runs the script; what it measured goes to the test's output.
fn check(what: &str, folder: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files/check.py");
    let output = Process::new(python()).arg(script).arg(what).arg(folder).output().expect("Python starts");
    println!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A folder for one test's files.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder can be made");
    folder
}

/// Images to train on and to test with: MNIST's, or as many synthetic ones as make a good test.
fn digits() -> (Images, Images) {
    let Some(folder) = std::env::var_os("KILN_MNIST_DIR").map(PathBuf::from) else {
        println!("KILN_MNIST_DIR is not set: synthetic digits");
        return (synthetic::generate(6_000, 1), synthetic::generate(10_000, 2));
    };
    let load = |name: &str| {
        let read = |kind: &str| {
            let path = folder.join(format!("{name}-{kind}-ubyte.gz"));
            let packed = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            kiln::data::gzip::gunzip(&packed, 1 << 30).expect("a .gz file")
        };
        idx::parse(&read("images-idx3"), &read("labels-idx1")).expect("MNIST's own files")
    };
    (load("train"), load("t10k"))
}

fn part(images: &Images, range: std::ops::Range<usize>) -> Images {
    let pixels = images.pixels[range.start * PIXELS..range.end * PIXELS].to_vec();
    Images { pixels, labels: images.labels[range].to_vec() }
}

/// Trains a network, and what was measured on the way.
fn trained(network: NetworkConfig, epochs: u32, train: &Images) -> (SavedModel, RunConfig, History) {
    let config = RunConfig { network, epochs, train_size: 2_560, ..RunConfig::default() };
    let mut session = Session::new(Opened::cpu());
    session.expect(Expected { train: 2_560, validation: 500, test: 500, block: 2_560 });
    session.push(Split::Train, part(train, 0..2_560));
    session.push(Split::Validation, part(train, 3_000..3_500));
    session.push(Split::Test, part(train, 4_000..4_500));
    let start = Command::Start { run: RunId(1), config: config.clone(), one_batch: false, from: None, basis: None };
    let mut history = History::default();
    session.handle(start).iter().for_each(|event| history.hear(event));
    while session.has_work() {
        for event in pollster::block_on(session.advance()) {
            assert!(!matches!(event, Event::Failed { .. }), "{event:?}");
            history.hear(&event);
        }
    }
    let test = history.test.expect("the run ends with its test");
    assert!(test.accuracy() > 0.7, "too little was learned to tell a right file from a wrong one: {test:?}");
    let model = pollster::block_on(session.model().expect("there was a run")).expect("the CPU is not lost");
    (model, config, history)
}

/// What Kiln's own network answers.
fn logits(model: &SavedModel, images: &Images) -> Vec<f32> {
    let device = Opened::cpu().device;
    let network = Network::from_bytes(&model.network, &model.weights, &device).expect("its own weights");
    let chunks = images.pixels.chunks(250 * PIXELS);
    chunks
        .flat_map(|chunk| {
            let pixels: Vec<f32> = chunk.iter().map(|&pixel| f32::from(pixel) / 255.0).collect();
            let count = pixels.len() / PIXELS;
            let batch = Tensor::from_data(TensorData::new(pixels, [count, 1, SIDE, SIDE]), &device);
            pollster::block_on(read(vec![network.forward(batch).flatten(0, 1)])).expect("the CPU is not lost").remove(0)
        })
        .collect()
}

/// Both formats of a network agree with Kiln on every image of the test set.
fn agrees(name: &str, model: &SavedModel, images: &Images) {
    let folder = folder(name);
    let write = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).expect("the disk takes it");
    write("model.safetensors", &safetensors::write(model, &About::default()).expect("a model"));
    write("model.onnx", &onnx::write(model, &About::default()).expect("a model"));
    write("images.u8", &images.pixels);
    let logits = logits(model, images);
    write("logits.f32", &logits.iter().flat_map(|logit| logit.to_le_bytes()).collect::<Vec<_>>());
    let shapes: serde_json::Map<_, _> = layout::parts(&model.network)
        .expect("it was built")
        .into_iter()
        .map(|part| (part.name, part.shape.into()))
        .collect();
    write("tensors.json", serde_json::Value::from(shapes).to_string().as_bytes());
    check("model", &folder);
}

#[test]
fn the_articles_network_means_the_same_to_every_tool() {
    let (train, test) = digits();
    let (model, ..) = trained(NetworkConfig::default(), 2, &train);
    agrees("article", &model, &test);
}

#[test]
fn batch_norm_dropout_and_unpadded_kernels_mean_the_same_to_every_tool() {
    let (train, test) = digits();
    let convolutions = vec![
        Convolution { kernel: 5, padding: Padding::Valid, ..Convolution::new(8, true) },
        Convolution::new(16, false),
        Convolution { kernel: 1, ..Convolution::new(16, true) },
    ];
    let network =
        NetworkConfig { convolutions, dense: vec![32, 24], batch_norm: true, dropout: 0.2, ..NetworkConfig::default() };
    // Batch norm's statistics follow slowly: too few steps, and it reads worse than it learned.
    let (model, ..) = trained(network, 8, &train);
    agrees("norm", &model, &test);
}

#[test]
fn measurements_come_back_from_tensorboard_and_csv_as_they_were() {
    let (train, _) = digits();
    let convolutions = vec![Convolution::new(4, true), Convolution::new(8, true)];
    let (_, config, history) = trained(NetworkConfig { convolutions, ..NetworkConfig::default() }, 2, &train);
    let folder = folder("metrics");
    let events = tensorboard::write(&config, &history, 1.8e9);
    fs::write(folder.join("events.out.tfevents.1800000000.kiln"), events).expect("the disk takes it");
    fs::write(folder.join("metrics.csv"), csv::write(&config, &history)).expect("the disk takes it");
    let steps = |value: fn(&kiln::training::StepPoint) -> f32| -> Vec<(u32, f32)> {
        history.points.iter().map(|point| (point.step, value(point))).collect()
    };
    let epochs = |value: fn(&kiln::training::Score) -> f32| -> Vec<(u32, f32)> {
        history.scores.iter().map(|(epoch, score)| (epoch * config.batches_per_epoch(), value(score))).collect()
    };
    let test = history.test.expect("the run ends with its test");
    let last = config.steps();
    let expected = serde_json::json!({
        "loss/training": steps(|point| point.loss),
        "accuracy/training": steps(|point| point.accuracy),
        "loss/validation": epochs(|score| score.loss),
        "accuracy/validation": epochs(|score| score.accuracy()),
        "loss/test": [(last, test.loss)],
        "accuracy/test": [(last, test.accuracy())],
    });
    assert_eq!((history.points.len(), history.scores.len()), (40, 2));
    fs::write(folder.join("metrics.json"), expected.to_string()).expect("the disk takes it");
    check("metrics", &folder);
}
