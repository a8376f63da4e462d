//! Files from anywhere: whatever the bytes, the readers never panic, and they never hold more memory than a small
//! multiple of what they were given. Every allocation of the thread that reads is counted.

#![cfg(not(target_arch = "wasm32"))]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

use kiln::data::Split;
use kiln::files::run_file::{self, Data, Device, Metrics, RunFile, Shard, Versions};
use kiln::files::{self, About, layout, safetensors};
use kiln::model::{Convolution, NetworkConfig, SavedModel};
use kiln::protocol::DeviceKind;
use kiln::training::{Score, StepPoint};
use proptest::prelude::*;
use proptest::sample::Index;

/// Bytes that reading may hold for each byte of the file. JSON is the worst: an item of two characters becomes a
/// number of eight bytes or a text of 24, in a list that grows by doubling.
const TIMES: usize = 48;
/// Bytes besides: errors, and the smallest tables.
const BESIDES: usize = 16 << 10;

thread_local! {
    static HELD: Cell<usize> = const { Cell::new(0) };
    static MOST: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

fn count(change: impl Fn(usize) -> usize) {
    // A thread that is ending has no counters any more, and reads no files.
    let _ = HELD.try_with(|held| {
        held.set(change(held.get()));
        let _ = MOST.try_with(|most| most.set(most.get().max(held.get())));
    });
}

// SAFETY: everything is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(|held| held + layout.size());
        // SAFETY: as for this function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(|held| held.saturating_sub(layout.size()));
        // SAFETY: as for this function.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Reads a file and checks what it took. Whatever is read can also be written again.
fn survives(file: &[u8]) {
    let before = HELD.get();
    MOST.set(before);
    let read = black_box(files::read(file));
    let took = MOST.get() - before;
    assert!(took <= TIMES * file.len() + BESIDES, "{took} bytes for a file of {}", file.len());
    match read {
        Ok(files::Read::Model(model, about)) => drop(safetensors::write(&model, &about).expect("it was checked")),
        Ok(files::Read::Run(run)) => drop(run_file::write(&run)),
        Err(error) => assert!(error.to_string().len() < 1000, "{error}"),
    }
}

fn model_file() -> Vec<u8> {
    let convolutions = vec![Convolution::new(2, true), Convolution::new(3, true)];
    let network = NetworkConfig { convolutions, dense: vec![4], batch_norm: true, ..NetworkConfig::default() };
    let values: usize = layout::parts(&network).expect("it can be built").iter().map(layout::Part::len).sum();
    let weights: Vec<u8> = (0..values).flat_map(|index| (index as f32).to_le_bytes()).collect();
    let classes = (0..10).map(|digit| digit.to_string()).collect();
    let about = About { data: "MNIST".into(), ..About::default() };
    safetensors::write(&SavedModel { network, classes, weights: weights.into(), left_out: vec![3] }, &about)
        .expect("a model")
}

fn run_text() -> Vec<u8> {
    let score = Score { loss: 0.5, correct: 15, total: 20 };
    let history = kiln::training::History {
        points: (1..=8).map(|step| StepPoint { step, loss: 0.5, accuracy: 0.5 }).collect(),
        scores: vec![(1, score)],
        best: Some(1),
        test: Some(score),
        resumed: Vec::new(),
    };
    run_file::write(&RunFile {
        basis: None,
        version: run_file::VERSION,
        config: common::small_config(),
        data: Data {
            name: "MNIST".into(),
            synthetic: false,
            shards: vec![Shard { split: Split::Test, count: 30, sha256: "ab".repeat(32) }],
        },
        device: Device { kind: DeviceKind::Cpu, name: String::new() },
        versions: Versions::default(),
        metrics: Metrics::of(&history),
    })
}

/// One change of a file: bytes overwritten, taken out, put in, a cut, or text in place of text.
#[derive(Debug, Clone)]
enum Change {
    Overwrite(Index, Vec<u8>),
    Remove(Index, usize),
    Insert(Index, Vec<u8>),
    Cut(Index),
    Swap(&'static str, &'static str),
}

fn change() -> impl Strategy<Value = Change> {
    let bytes = || prop::collection::vec(any::<u8>(), 1..12);
    prop_oneof![
        (any::<Index>(), bytes()).prop_map(|(at, bytes)| Change::Overwrite(at, bytes)),
        (any::<Index>(), 1usize..40).prop_map(|(at, count)| Change::Remove(at, count)),
        (any::<Index>(), bytes()).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        any::<Index>().prop_map(Change::Cut),
        prop::sample::select(vec![
            ("\"shape\":[2", "\"shape\":[9999999999"),
            ("\"shape\":[4]", "\"shape\":[18446744073709551615,18446744073709551615]"),
            ("\"data_offsets\":[0", "\"data_offsets\":[18446744073709551615"),
            ("F32", "F64"),
            ("filters\\\":2", "filters\\\":1024"),
            ("filters\\\":2", "filters\\\":18446744073709551615"),
            ("kernel\\\":3", "kernel\\\":18446744073709551615"),
            ("kernel\\\":3", "kernel\\\":27"),
            ("dense\\\":[4]", "dense\\\":[1024,1024,1024,1024,1024,1024,1024,1024]"),
            ("classes\\\":10", "classes\\\":1000"),
            ("\"epochs\":2", "\"epochs\":4294967295"),
            ("\"batch_size\":16", "\"batch_size\":0"),
            ("\"train_size\":64", "\"train_size\":0"),
            ("\"filters\":32", "\"filters\":99999999999"),
            ("\"step\":[1", "\"step\":[1e300"),
            ("\"loss\":[0.5", "\"loss\":[1e300"),
            ("[", "[[[[[[[[[[[[[[[[[[[["),
            ("{", "{{{{{{{{{{{{"),
            ("\"", "\\\""),
        ])
        .prop_map(|(from, to)| Change::Swap(from, to)),
    ]
}

impl Change {
    fn make(&self, file: &mut Vec<u8>) {
        if file.is_empty() {
            return;
        }
        match self {
            Change::Overwrite(at, bytes) => {
                let at = at.index(file.len());
                let end = (at + bytes.len()).min(file.len());
                file[at..end].copy_from_slice(&bytes[..end - at]);
            }
            Change::Remove(at, count) => {
                let at = at.index(file.len());
                drop(file.drain(at..(at + count).min(file.len())));
            }
            Change::Insert(at, bytes) => {
                let at = at.index(file.len());
                drop(file.splice(at..at, bytes.iter().copied()));
            }
            Change::Cut(at) => file.truncate(at.index(file.len())),
            Change::Swap(from, to) => {
                if let Some(at) = file.windows(from.len()).position(|window| window == from.as_bytes()) {
                    drop(file.splice(at..at + from.len(), to.bytes()));
                }
            }
        }
    }
}

/// Puts the header's true length in front of a safetensors file whose header was changed.
fn with_header(change: &[Change]) -> Vec<u8> {
    let file = model_file();
    let length = u64::from_le_bytes(file[..8].try_into().expect("eight bytes")) as usize;
    let mut header = file[8..8 + length].to_vec();
    change.iter().for_each(|change| change.make(&mut header));
    [&(header.len() as u64).to_le_bytes(), &header[..], &file[8 + length..]].concat()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_changed_model_is_read_or_refused(changes in prop::collection::vec(change(), 1..4)) {
        let mut file = model_file();
        changes.iter().for_each(|change| change.make(&mut file));
        survives(&file);
    }

    #[test]
    fn a_model_with_a_changed_header_is_read_or_refused(changes in prop::collection::vec(change(), 1..4)) {
        survives(&with_header(&changes));
    }

    #[test]
    fn a_changed_run_is_read_or_refused(changes in prop::collection::vec(change(), 1..4)) {
        let mut file = run_text();
        changes.iter().for_each(|change| change.make(&mut file));
        survives(&file);
    }

    #[test]
    fn any_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        survives(&bytes);
    }
}

#[test]
fn lists_that_go_on_and_on_take_no_more_than_their_text() {
    let list = |item: &str, count: usize| vec![item; count].join(",");
    let run = |from: &str, to: String| String::from_utf8(run_text()).expect("JSON").replacen(from, &to, 1).into_bytes();
    survives(&run("\"dense\":[64]", format!("\"dense\":[{}]", list("1", 200_000))));
    survives(&run("\"step\":[1", format!("\"step\":[{}", list("1", 200_000))));
    survives(&run(
        "\"convolutions\":[",
        format!("\"convolutions\":[{},", list(r#"{"filters":1,"kernel":1,"padding":"same","pool":false}"#, 20_000)),
    ));
    survives(&run("\"config\":{", format!("\"config\":{{\"other\":[{}],", list("[]", 200_000))));
    let swap = |from: &'static str, to: String| with_header(&[Change::Swap(from, to.leak())]);
    survives(&swap("[\\\"0\\\"", format!("[{}", list("\\\"\\\"", 100_000))));
    survives(&swap("\"shape\":[4]", format!("\"shape\":[{}]", list("0", 300_000))));
    survives(&swap("{", format!("{{{},", list(r#""a":{"dtype":"F32","shape":[],"data_offsets":[0,0]}"#, 10_000))));
    let many: Vec<_> =
        (0..15_000).map(|n| format!(r#""{n}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}"#)).collect();
    survives(&swap("{", format!("{{{},", many.join(","))));
}

#[test]
fn the_files_themselves_are_read() {
    assert!(matches!(files::read(&model_file()), Ok(files::Read::Model(..))));
    assert!(matches!(files::read(&run_text()), Ok(files::Read::Run(_))));
}
