//! Python with the tools that Kiln's files are for, so that tests can open each file with its own: a virtual
//! environment in the cache, made once for each list of tools.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::paths;
use crate::report::note;
use crate::toolchain::{find, run};

/// The tools and their versions.
fn list() -> PathBuf {
    paths::root().join("tests/files/requirements.txt")
}

/// The folder of the environment.
fn folder() -> Result<PathBuf> {
    Ok(paths::cache()?.join("python"))
}

/// Its interpreter.
pub fn program() -> Result<PathBuf> {
    Ok(folder()?.join(if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" }))
}

/// Makes the environment, or finds it as it should be. `install_venv` brings what an operating system may leave out of
/// its Python.
pub fn setup(install_venv: impl FnOnce() -> Result<()>) -> Result<String> {
    let (folder, program) = (folder()?, program()?);
    let wanted = fs::read_to_string(list()).with_context(|| format!("reading {}", list().display()))?;
    // Written last: an installation that was broken off has none.
    let stamp = folder.join("kiln-requirements.txt");
    if program.exists() && fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(format!("{} has them", folder.display()));
    }
    let python = ["python3", "python"].into_iter().find_map(find);
    let Some(python) = python else {
        bail!("tests open Kiln's files with Python's tools, and there is no Python here; install Python 3.11 or newer");
    };
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    note(format_args!("python3 -m venv {}", folder.display()));
    if let Err(error) = venv(&python, &folder) {
        note(format_args!("{error:#}"));
        install_venv()?;
        venv(&python, &folder)?;
    }
    note(format_args!("pip install -r {} (300 MB, once)", list().display()));
    let mut pip = std::process::Command::new(&program);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "3", "-r"]).arg(list());
    run(&mut pip).context(
        "the tools could not be installed; check that this machine reaches PyPI, and that its Python is 3.11 or newer",
    )?;
    paths::write(&stamp, wanted.as_bytes())?;
    Ok(format!("installed into {}", folder.display()))
}

fn venv(python: &Path, folder: &Path) -> Result<()> {
    run(std::process::Command::new(python).args(["-m", "venv"]).arg(folder))
}
