//! `cargo xtask test`: every check there is, from the fastest to the slowest. The first that fails ends the run.

use std::process::Command;

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::build::{self, Kind};
use crate::paths;
use crate::report::step;
use crate::toolchain::{Toolchain, WASM, find, run};

/// A part of the tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// The sources are formatted.
    Fmt,
    /// No warning from the compiler or clippy, natively and for wasm.
    Clippy,
    /// Tests on this machine, without a browser.
    Native,
    /// Tests in a headless browser: the core, the GPU on a software adapter, the page's views.
    Browser,
    /// The built page in a real browser: the development build, as one file of code. What `KILN_DIST` names is tested by
    /// `cargo test -p kiln-e2e`, a published page in two files too.
    E2e,
}

/// Runs one part, or all of them.
pub fn test(toolchain: &Toolchain, only: Option<Part>) -> Result<()> {
    for part in Part::value_variants() {
        if only.is_none_or(|only| only == *part) {
            match part {
                Part::Fmt => check("Format", cargo(toolchain, "fmt --all --check"))?,
                Part::Clippy => clippy(toolchain)?,
                Part::Native => native(toolchain)?,
                Part::Browser => browser(toolchain)?,
                Part::E2e => end_to_end(toolchain)?,
            }
        }
    }
    Ok(())
}

fn clippy(toolchain: &Toolchain) -> Result<()> {
    let clippy = |of: &str| cargo(toolchain, &format!("clippy {of} --all-targets -- -D warnings"));
    check("Clippy: the engine on this machine", clippy("--no-default-features --features cpu"))?;
    check("Clippy: kernels, xtask and the end-to-end tests", clippy("-p kiln-kernels -p xtask -p kiln-e2e"))?;
    check("Clippy: the page for wasm", clippy(&format!("--target {WASM} --no-default-features --features page")))?;
    check("Clippy: the page in two files", clippy(&format!("--target {WASM} --no-default-features --features split")))?;
    // The CPU's worker is within: `gpu` only adds to `cpu`, and what `cpu` alone compiles is above.
    check("Clippy: the workers for wasm", clippy(&format!("--target {WASM} --no-default-features --features gpu")))
}

fn native(toolchain: &Toolchain) -> Result<()> {
    check("Tests on this machine: kiln", cargo(toolchain, "test -p kiln --no-default-features --features cpu"))?;
    check("Tests on this machine: kernels", cargo(toolchain, "test -p kiln-kernels"))?;
    check("Tests on this machine: xtask", cargo(toolchain, "test -p xtask"))
}

/// The kernels with and without relaxed SIMD, and the rest with one binary's features each, so that the crates are the
/// very ones that the build of `dist` uses.
fn browser(toolchain: &Toolchain) -> Result<()> {
    let driver = find("chromedriver").context("chromedriver is not on the path; run `cargo xtask setup`")?;
    for (of, folder, features) in [
        ("kernels", "kernels", ""),
        ("kernels with relaxed SIMD", "kernels", "relaxed"),
        ("the engine", ".", "gpu"),
        ("the page", ".", "page"),
    ] {
        let mut pack = toolchain.command("wasm-pack");
        pack.args(["test", "--headless", "--chrome", "--chromedriver"]).arg(&driver);
        pack.args([folder, "--no-default-features", "--features", features]);
        check(&format!("Tests in the browser: {of}"), pack)?;
    }
    Ok(())
}

fn end_to_end(toolchain: &Toolchain) -> Result<()> {
    step("The page, to be tested end to end", || build::build(toolchain, Kind { dev: true, no_gpu: false }))?;
    let mut cargo = cargo(toolchain, "test -p kiln-e2e");
    cargo.env("KILN_DIST", paths::dist());
    check("Tests end to end", cargo)
}

fn check(heading: &str, mut command: Command) -> Result<()> {
    step(heading, || run(&mut command).map(|()| String::new()))
}

fn cargo(toolchain: &Toolchain, arguments: &str) -> Command {
    let mut cargo = toolchain.command("cargo");
    cargo.args(arguments.split(' '));
    cargo
}
