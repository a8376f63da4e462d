//! Which Rust toolchain builds, and how other programs are started with it.
//!
//! Most machines build with the toolchain that runs `cargo xtask`. Where rustup could not fetch the wasm target,
//! set-up made a toolchain called `web` out of Debian's packages (see [`crate::setup`]); if it is there and complete, it
//! builds everything, for two compilers share no artefacts. The question is asked anew in each run and answered by
//! what is on the disk, so that it always comes out the same.

use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use kiln::data::shard::sha256;

use crate::paths;

/// The target of everything that runs in the browser.
pub const WASM: &str = "wasm32-unknown-unknown";
/// The toolchain that set-up makes where rustup can't fetch the target.
pub const FALLBACK: &str = "web";

/// The toolchain that builds, and where it builds to.
#[derive(Debug, Clone)]
pub struct Toolchain {
    /// `RUSTUP_TOOLCHAIN` for everything that is started; `None` on a machine without rustup.
    name: Option<OsString>,
    /// `CARGO_TARGET_DIR` for everything that is started.
    target: PathBuf,
}

impl Toolchain {
    /// The toolchain `web` if it can build for the browser, else the one that runs `cargo xtask`.
    pub fn find() -> Result<Toolchain> {
        // rustup sets RUSTUP_TOOLCHAIN for whatever it starts, `cargo xtask` included.
        let own = env::var_os("RUSTUP_TOOLCHAIN");
        let name = if has_wasm(Some(OsStr::new(FALLBACK))) { Some(FALLBACK.into()) } else { own };
        let target = target(name.as_deref())?;
        Ok(Toolchain { name, target })
    }

    /// Whether it can build for the browser.
    pub fn has_wasm(&self) -> bool {
        has_wasm(self.name.as_deref())
    }

    /// Fails in words if its standard library can't take part in the published build, which optimises across crates:
    /// one that was built by hand may hold machine code alone.
    pub fn check_published_build(&self) -> Result<()> {
        let folder =
            wasm_folder(self.name.as_deref()).with_context(|| format!("no {WASM} target; run `cargo xtask setup`"))?;
        let core = find_library(&folder, "libcore-").context("the target has no libcore")?;
        if !has_bitcode(&core) {
            bail!(
                "the standard library in {} was built without bitcode (`-C embed-bitcode=yes`), which the published \
                 build needs. Remove that folder and run `cargo xtask setup`, which makes it anew; or build with --dev",
                folder.display()
            );
        }
        Ok(())
    }

    /// Its name, for people.
    pub fn name(&self) -> String {
        self.name.as_ref().map_or_else(|| "system".into(), |name| name.to_string_lossy().into_owned())
    }

    /// The folder that cargo builds into.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// A program to be started in the project's root with this toolchain.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = command(program, self.name.as_deref());
        command.env("CARGO_TARGET_DIR", &self.target).current_dir(paths::root());
        command
    }
}

/// Whether a toolchain has the target's standard library.
fn has_wasm(toolchain: Option<&OsStr>) -> bool {
    wasm_folder(toolchain).is_some_and(|folder| find_library(&folder, "libstd-").is_some())
}

/// Where a toolchain looks for the target's libraries, whether they are there or not.
fn wasm_folder(toolchain: Option<&OsStr>) -> Option<PathBuf> {
    let output = command("rustc", toolchain).args(["--print", "target-libdir", "--target", WASM]).output().ok()?;
    let folder = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| folder.trim().into())
}

fn find_library(folder: &Path, start: &str) -> Option<PathBuf> {
    let files = std::fs::read_dir(folder).ok()?.filter_map(|file| Some(file.ok()?.path()));
    let named = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(start) && name.ends_with(".rlib")
    };
    files.into_iter().find(named)
}

/// Whether a library has bitcode beside its machine code: a section of that name.
pub fn has_bitcode(library: &Path) -> bool {
    std::fs::read(library).is_ok_and(|bytes| bytes.windows(7).any(|window| window == b".llvmbc"))
}

/// `$CARGO_TARGET_DIR` if set. Else `target` in the project; but in CI, where each run is a fresh clone, a folder in
/// the user's cache that is kept for each lock file and compiler.
fn target(toolchain: Option<&OsStr>) -> Result<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty());
    if let Some(folder) = set("CARGO_TARGET_DIR") {
        return Ok(paths::root().join(folder));
    }
    if set("CI").is_none_or(|ci| ci == "false") {
        return Ok(paths::root().join("target"));
    }
    let lock = std::fs::read(paths::root().join("Cargo.lock")).context("reading Cargo.lock")?;
    let rustc = command("rustc", toolchain).arg("-vV").output().context("rustc does not start")?;
    let key = sha256(&[lock, rustc.stdout].concat());
    Ok(paths::cache()?.join(format!("target-{}", &key[..12])))
}

/// A program with the given toolchain, with cargo's own folder of programs on its path, and without what cargo told
/// this process about itself: it would mislead a cargo of another toolchain.
pub fn command(program: impl AsRef<OsStr>, toolchain: Option<&OsStr>) -> Command {
    // An absolute path, because a program is looked up on the path of the one that starts it.
    let mut command = Command::new(find(&program).unwrap_or_else(|| program.as_ref().into()));
    command.env("PATH", path());
    match toolchain {
        Some(name) => command.env("RUSTUP_TOOLCHAIN", name),
        None => command.env_remove("RUSTUP_TOOLCHAIN"),
    };
    let leftover = |name: &str| {
        matches!(name, "CARGO" | "RUSTC" | "RUSTDOC" | "OUT_DIR" | "CARGO_CRATE_NAME" | "CARGO_PRIMARY_PACKAGE")
            || ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"].iter().any(|prefix| name.starts_with(prefix))
    };
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(leftover) {
            command.env_remove(name);
        }
    }
    command
}

/// Where a program is, if it is installed.
pub fn find(program: impl AsRef<OsStr>) -> Option<PathBuf> {
    which::which_in(program, Some(path()), paths::root()).ok()
}

/// The search path, with the folder first that `cargo install` fills: not everyone has it on theirs.
fn path() -> OsString {
    let home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cargo")));
    let rest = env::var_os("PATH").unwrap_or_default();
    let folders = home.map(|home| home.join("bin")).into_iter().chain(env::split_paths(&rest));
    env::join_paths(folders).unwrap_or(rest)
}

/// Runs a program to its end; a failure names the command.
pub fn run(command: &mut Command) -> Result<()> {
    let words = words(command);
    let status = command.status().with_context(|| format!("{words} does not start"))?;
    if !status.success() {
        bail!("`{words}` failed ({status})");
    }
    Ok(())
}

/// A command as one would type it.
fn words(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    std::iter::once(program).chain(command.get_args()).map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}
