//! Files out and in: what is written is read back as it was, and a file that is wrong is refused with the name of the
//! tensor or field. Natively and in the browser from one source.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;
#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

mod common;

use kiln::data::{PIXELS, Split};
use kiln::files::run_file::{self, Data, Device, Metrics, RunFile, Shard, Versions};
use kiln::files::{self, About, FileError, Read, layout, onnx, safetensors, tensorboard};
use kiln::model::{Convolution, NetworkConfig, SavedModel};
use kiln::protocol::DeviceKind;
use kiln::training::finetune::{Basis, NewData, Origin, Sample};
use kiln::training::{History, RunConfig, Score, StepPoint, csv};
use prost::Message;

fn small() -> NetworkConfig {
    let convolutions = vec![Convolution::new(2, true), Convolution::new(3, false)];
    NetworkConfig { convolutions, dense: vec![4], batch_norm: true, ..NetworkConfig::default() }
}

/// A model whose weights count up, so that each has its own value.
fn model() -> SavedModel {
    let values: usize = layout::parts(&small()).expect("it can be built").iter().map(layout::Part::len).sum();
    let weights: Vec<u8> = (0..values).flat_map(|index| (index as f32).to_le_bytes()).collect();
    let classes = (0..10).map(|digit| digit.to_string()).collect();
    SavedModel { network: small(), classes, weights: weights.into(), left_out: vec![3, 17] }
}

fn about() -> About {
    let score = |correct| Score { loss: 0.25, correct, total: 100 };
    About {
        name: "Celadon".into(),
        data: "MNIST".into(),
        synthetic: false,
        validation: Some((2, score(97))),
        test: Some(score(98)),
    }
}

fn history() -> History {
    let point = |step: u32| StepPoint { step, loss: 1.0 / step as f32, accuracy: 0.5 };
    History {
        points: (1..=8).map(point).collect(),
        scores: vec![
            (1, Score { loss: 0.5, correct: 15, total: 20 }),
            (2, Score { loss: 0.1, correct: 19, total: 20 }),
        ],
        best: Some(2),
        test: Some(Score { loss: 0.2, correct: 28, total: 30 }),
        resumed: Vec::new(),
    }
}

fn run() -> RunFile {
    RunFile {
        version: run_file::VERSION,
        config: common::small_config(),
        data: Data {
            name: "MNIST".into(),
            synthetic: false,
            shards: vec![Shard { split: Split::Train, count: 64, sha256: "0f".repeat(32) }],
        },
        device: Device { kind: DeviceKind::Cpu, name: String::new() },
        versions: Versions::default(),
        basis: None,
        metrics: Metrics::of(&history()),
    }
}

/// A safetensors file with one thing changed in its header; the length follows.
fn changed(from: &str, to: &str) -> String {
    let file = safetensors::write(&model(), &about()).expect("a model");
    let length = u64::from_le_bytes(file[..8].try_into().expect("eight bytes")) as usize;
    let header = std::str::from_utf8(&file[8..8 + length]).expect("JSON");
    assert!(header.contains(from), "{from} is in {header}");
    let header = header.replacen(from, to, 1);
    let file = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &file[8 + length..]].concat();
    safetensors::read(&file).expect_err("it is wrong").to_string()
}

/// What is said of a run file with one thing changed.
fn changed_run(change: impl FnOnce(&mut serde_json::Value)) -> String {
    let mut json = serde_json::from_slice(&run_file::write(&run())).expect("JSON");
    change(&mut json);
    run_file::read(json.to_string().as_bytes()).expect_err("it is wrong").to_string()
}

#[test]
fn a_model_comes_back_as_it_was() {
    let file = safetensors::write(&model(), &about()).expect("a model");
    assert_eq!(safetensors::read(&file), Ok((model(), about())));
    assert_eq!(files::read(&file), Ok(Read::Model(Box::new(model()), about())));
}

#[test]
fn dense_weights_lie_in_the_file_as_pytorch_has_them() {
    let file = safetensors::write(&model(), &about()).expect("a model");
    let opened = ::safetensors::SafeTensors::deserialize(&file).expect("the official reader opens it");
    let tensor = opened.tensor("dense2.weight").expect("it is there");
    assert_eq!(tensor.shape(), [10, 4]);
    let values = |bytes: &[u8]| -> Vec<f32> {
        bytes.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect()
    };
    // The last part but one of the model: 4 inputs, 10 outputs, in burn's order, then ten biases.
    let all = values(&model().weights);
    let burn = &all[all.len() - 50..all.len() - 10];
    let torch = values(tensor.data());
    for output in 0..10 {
        for input in 0..4 {
            assert_eq!(torch[output * 4 + input], burn[input * 10 + output]);
        }
    }
}

#[test]
fn a_wrong_tensor_is_named() {
    let shape = changed(r#""shape":[2,1,3,3]"#, r#""shape":[2,3,3,1]"#);
    assert!(shape.starts_with("tensor conv1.weight: shape [2, 3, 3, 1] where"), "{shape}");
    let missing = changed("norm1.running_var", "norm1.running_foo");
    assert_eq!(missing, "tensor norm1.running_foo: the network has no such tensor");
    let kind = changed(r#""conv1.weight":{"dtype":"F32""#, r#""conv1.weight":{"dtype":"I32""#);
    assert_eq!(kind, "tensor conv1.weight: holds I32; Kiln reads F32");
    let mut nan = model();
    nan.weights[0..4].copy_from_slice(&f32::NAN.to_le_bytes());
    safetensors::write(&nan, &about()).expect_err("it would not be read again");
}

#[test]
fn a_value_that_is_no_number_and_a_negative_variance_are_named() {
    let file = safetensors::write(&model(), &about()).expect("a model");
    let opened = ::safetensors::SafeTensors::deserialize(&file).expect("the official reader opens it");
    let put = |tensor: &str, index: usize, value: f32| {
        let start = opened.tensor(tensor).expect("it is there").data().as_ptr() as usize - file.as_ptr() as usize;
        let mut file = file.clone();
        file[start + 4 * index..start + 4 * index + 4].copy_from_slice(&value.to_le_bytes());
        safetensors::read(&file).expect_err("it is wrong").to_string()
    };
    assert_eq!(put("dense1.bias", 3, f32::INFINITY), "tensor dense1.bias: value 3 is no number");
    assert_eq!(put("norm2.running_var", 1, -1.0), "tensor norm2.running_var: value 1 is a negative variance");
}

#[test]
fn a_wrong_configuration_is_named() {
    let version = changed(r#""kiln":"1""#, r#""kiln":"2""#);
    assert_eq!(version, "field kiln: version 2 is not known; this build reads 1");
    let kernel = changed(r#"\"kernel\":3"#, r#"\"kernel\":\"x\""#);
    assert_eq!(kernel, r#"field kiln.network.convolutions[0].kernel: invalid type: string "x", expected usize"#);
    let endless = changed(r#"\"kernel\":3"#, r#"\"kernel\":4097"#);
    assert!(endless.contains("from 1 to 11"), "{endless}");
    let missing = changed(r#"\"dropout\""#, r#"\"dropped\""#);
    assert_eq!(missing, "field kiln.network: missing field `dropout`");
    let foreign = changed(r#""kiln""#, r#""other""#);
    assert_eq!(foreign, "field kiln: missing in the metadata");
    let left_out = changed("[3,17]", "[17,3]");
    assert_eq!(left_out, "field kiln.left_out: must rise");
    let classes = changed(r#"[\"0\",\"1\","#, r#"[\"0\","#);
    assert_eq!(classes, "9 class names for 10 outputs");
}

#[test]
fn a_header_that_claims_more_than_there_is_is_refused() {
    let refused = |file: &[u8]| matches!(safetensors::read(file), Err(FileError::Header(_)));
    assert!(refused(b""));
    assert!(refused(&u64::MAX.to_le_bytes()));
    assert!(refused(&[&1000u64.to_le_bytes()[..], b"{}"].concat()));
    assert!(refused(&[&2u64.to_le_bytes()[..], b"{}", &[0; 8]].concat()));
    assert_eq!(files::read(b"PK\x03\x04 not a model"), Err(FileError::Unknown));
    assert_eq!(files::read(b""), Err(FileError::Unknown));
}

#[test]
fn a_run_comes_back_as_it_was() {
    let file = run_file::write(&run());
    assert_eq!(run_file::read(&file), Ok(run()));
    assert_eq!(files::read(&file), Ok(Read::Run(Box::new(run()))));
    assert_eq!(run().metrics.points().collect::<Vec<_>>(), history().points);
}

#[test]
fn a_wrong_field_of_a_run_is_named() {
    let said = changed_run(|json| json["config"]["epochs"] = "ten".into());
    assert_eq!(said, r#"field config.epochs: invalid type: string "ten", expected u32"#);
    let said = changed_run(|json| json["config"]["epochs"] = 1000.into());
    assert_eq!(said, "field config.epochs: outside of its bounds");
    let said = changed_run(|json| json["config"]["network"]["dense"][0] = (-1).into());
    assert_eq!(said, "field config.network.dense[0]: invalid value: integer `-1`, expected usize");
    let said = changed_run(|json| json["data"]["shards"][0]["sha256"] = "00".into());
    assert_eq!(said, "field data.shards[0].sha256: no SHA-256");
    let said = changed_run(|json| json["metrics"]["step"][3] = 1.into());
    assert_eq!(said, "field metrics.step: must rise within 1 … 8");
    let said = changed_run(|json| json["metrics"]["accuracy"][0] = 2.into());
    assert_eq!(said, "field metrics.accuracy[0]: not within 0 … 1");
    let said = changed_run(|json| json["kiln-run"] = 7.into());
    assert_eq!(said, "field kiln-run: version 7 is not known; this build reads 1");
    let said = changed_run(|json| drop(json.as_object_mut().and_then(|json| json.remove("device"))));
    assert_eq!(said, "field the file itself: missing field `device`");
    assert_eq!(
        run_file::read(br#"{"hello": 1}"#).expect_err("no run").to_string(),
        "field the file itself: missing field `kiln-run`"
    );
}

#[test]
fn the_run_file_names_burns_pinned_version() {
    let burn = Versions::default().burn;
    assert!(include_str!("../Cargo.toml").contains(&format!("burn = {{ version = \"={burn}\"")), "{burn}");
}

#[test]
fn csv_has_a_line_for_each_step_and_the_validation_at_an_epochs_end() {
    let config = RunConfig { epochs: 2, batch_size: 16, train_size: 64, ..RunConfig::default() };
    let csv = csv::write(&config, &history());
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 9);
    assert_eq!(lines[0], csv::HEADER);
    assert_eq!(lines[1], "1,1,1,0.5,,,,,,,,");
    assert_eq!(lines[4], "4,1,0.25,0.5,0.5,0.75,15,20,,,,");
    assert_eq!(lines[8], "8,2,0.125,0.5,0.1,0.95,19,20,0.2,0.93333334,28,30");
}

#[test]
fn events_are_framed_with_their_checksums() {
    let config = RunConfig { epochs: 2, batch_size: 16, train_size: 64, ..RunConfig::default() };
    let file = tensorboard::write(&config, &history(), 1.5);
    let length = u64::from_le_bytes(file[..8].try_into().expect("eight bytes")) as usize;
    let first = tensorboard::Event::decode(&file[12..12 + length]).expect("an event");
    assert_eq!(first.file_version.as_deref(), Some("brain.Event:2"));
    let masked = crc32c::crc32c(&file[..8]).rotate_right(15).wrapping_add(0xa282_ead8);
    assert_eq!(file[8..12], masked.to_le_bytes());
}

#[test]
fn the_graph_has_a_free_batch_and_no_softmax() {
    let file = onnx::write(&model(), &about()).expect("a model");
    let opened = onnx::Model::decode(&file[..]).expect("a model");
    let graph = opened.graph.expect("a graph");
    let kinds: Vec<_> = graph.node.iter().map(|node| node.op_type.as_str()).collect();
    let expected = ["Conv", "Relu", "MaxPool", "BatchNormalization", "Conv", "Relu", "BatchNormalization"];
    assert_eq!(kinds, [&expected[..], &["Flatten", "Gemm", "Relu", "Gemm"]].concat());
    assert_eq!(graph.node.last().map(|node| &node.output[0][..]), Some("logits"));
    let shape = |value: &onnx::ValueInfo| value.r#type.clone().and_then(|of| of.tensor_type).and_then(|of| of.shape);
    let first = shape(&graph.input[0]).expect("a shape").dim[0].value.clone();
    assert_eq!(first, Some(onnx::Extent::Name("batch".into())));
    assert_eq!(onnx::write(&model(), &about()), Ok(file), "equal networks give equal files");
}

/// A fine-tuning run on two samples.
fn tuning() -> RunFile {
    let sample =
        |id| Sample { id, label: 1, held_out: id == 0, origin: Origin::Drawn, pixels: vec![id as u8; PIXELS].into() };
    let basis = Basis { model: model(), samples: vec![sample(0), sample(1)] };
    let config = RunConfig { network: small(), ..RunConfig::fine_tuning(NewData::Yours) };
    RunFile { config, basis: Some(Box::new(basis)), metrics: Metrics::default(), ..run() }
}

#[test]
fn a_fine_tuning_run_has_what_it_starts_from_with_it() {
    let file = tuning();
    assert_eq!(run_file::read(&run_file::write(&file)), Ok(file));
}

#[test]
fn a_fine_tuning_run_that_could_not_start_is_refused() {
    let wrong = |change: fn(&mut RunFile)| {
        let mut file = tuning();
        change(&mut file);
        run_file::read(&run_file::write(&file)).expect_err("it is wrong").to_string()
    };
    let without = wrong(|file| file.basis = None);
    assert!(without.starts_with("field config.finetune: a fine-tuning run starts from a network"), "{without}");
    let needless = wrong(|file| file.config.finetune = None);
    assert!(needless.starts_with("field basis: "), "{needless}");
    let pixels = wrong(|file| file.basis.as_mut().expect("there").samples[1].pixels = vec![0; 9].into());
    assert_eq!(pixels, "field basis.samples[1].pixels: not 784 of them");
    let weights = wrong(|file| file.basis.as_mut().expect("there").model.weights.truncate(8));
    assert!(weights.starts_with("field basis.model: "), "{weights}");
    let classes = wrong(|file| file.config.finetune.as_mut().expect("there").classes = vec![String::new(); 2]);
    assert!(classes.starts_with("field config.finetune.classes[0]: "), "{classes}");
    let images = wrong(|file| file.config.finetune.as_mut().expect("there").images = u32::MAX);
    assert!(images.starts_with("field config.finetune.images: "), "{images}");
}
