//! `cargo xtask build`: Trunk makes `dist`, a folder that works under any path of any static host.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use kiln::data::shard::sha256;

use crate::paths;
use crate::split;
use crate::toolchain::{Toolchain, run};

/// How `dist` is built.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// With the development profile, the one that tests use: built in seconds once its dependencies are.
    pub dev: bool,
    /// Without the GPU's worker, whose dependencies take by far the longest; the page then uses the CPU.
    pub no_gpu: bool,
}

impl Kind {
    fn name(self) -> &'static str {
        match (self.dev, self.no_gpu) {
            (false, false) => "published build",
            (false, true) => "published build without the GPU's worker",
            (true, false) => "development build",
            (true, true) => "development build without the GPU's worker",
        }
    }
}

/// In place of those of .cargo/config.toml: the same, and Leptos' views behind pointers, which takes a quarter off the
/// page's binary; and LLVM is kept from splitting the addresses in loops (its strength reduction), which WebAssembly's loads
/// add up by themselves: a twelfth fewer instructions in the kernels' loops. Not for tests: whoever builds them otherwise
/// should not have to know.
const PUBLISHED_FLAGS: &str = "-C target-feature=+simd128 --cfg erase_components -C llvm-args=-disable-lsr";

/// Builds `dist`, unless it is there, of the same kind and from the same sources.
pub fn build(toolchain: &Toolchain, kind: Kind) -> Result<String> {
    let stamp = format!("{} {}", kind.name(), sources(&paths::root())?);
    if paths::dist().join("index.html").is_file()
        && fs::read_to_string(stamp_file(toolchain)).is_ok_and(|old| old == stamp)
    {
        return Ok(format!("{}: nothing changed since it was built", kind.name()));
    }
    if !kind.dev {
        toolchain.check_published_build()?;
    }
    let _ = fs::remove_file(stamp_file(toolchain));
    let page = if kind.no_gpu { Some(PageWithoutGpu::write()?) } else { None };
    let mut trunk = toolchain.command("trunk");
    trunk.args(["build", "--skip-version-check"]);
    // Trunk reads NO_COLOR as a flag of its own, and takes only `true` and `false`.
    trunk.env_remove("NO_COLOR");
    if !kind.dev {
        trunk.arg("--release").env("RUSTFLAGS", PUBLISHED_FLAGS);
    }
    if let Some(page) = &page {
        trunk.args(["--html-output", "index.html"]).arg(&page.0);
    }
    run(&mut trunk)?;
    if !kind.dev {
        split::split(toolchain, PUBLISHED_FLAGS)?;
    }
    paths::write(&stamp_file(toolchain), stamp.as_bytes())?;
    Ok(kind.name().into())
}

/// Whether `dist` was last built for publishing, as far as is known.
pub fn is_published(toolchain: &Toolchain) -> bool {
    let published = Kind { dev: false, no_gpu: false }.name();
    fs::read_to_string(stamp_file(toolchain))
        .is_ok_and(|stamp| stamp.strip_prefix(published).is_some_and(|rest| rest.split_whitespace().count() == 1))
}

/// Where it is noted what `dist` was built from. Not in `dist`, which is published.
fn stamp_file(toolchain: &Toolchain) -> PathBuf {
    let project = sha256(paths::root().as_os_str().as_encoded_bytes());
    toolchain.target().join(format!("dist-{}.stamp", &project[..12]))
}

/// A hash of every file that `dist` depends on.
fn sources(root: &Path) -> Result<String> {
    let mut all = Vec::new();
    for part in ["Cargo.toml", "Cargo.lock", "Trunk.toml", "index.html", ".cargo", "kernels", "src", "www", "xtask/src"]
    {
        gather(&root.join(part), &mut all)?;
    }
    Ok(sha256(all.concat().as_bytes()))
}

/// A line for each file, in an order that does not depend on the file system.
fn gather(path: &Path, all: &mut Vec<String>) -> Result<()> {
    let read = || format!("reading {}", path.display());
    if path.is_dir() {
        let mut files = fs::read_dir(path)?.collect::<std::io::Result<Vec<_>>>().with_context(read)?;
        files.sort_by_key(|file| file.file_name());
        return files.iter().try_for_each(|file| gather(&file.path(), all));
    }
    all.push(format!("{} {}\n", path.display(), sha256(&fs::read(path).with_context(read)?)));
    Ok(())
}

/// `index.html` without the link to the GPU's worker, beside it for as long as Trunk needs it.
struct PageWithoutGpu(PathBuf);

impl PageWithoutGpu {
    fn write() -> Result<PageWithoutGpu> {
        let page = fs::read_to_string(paths::root().join("index.html")).context("reading index.html")?;
        let path = paths::root().join(".index-without-gpu.html");
        fs::write(&path, without_gpu(&page)?)?;
        Ok(PageWithoutGpu(path))
    }
}

impl Drop for PageWithoutGpu {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Cuts out the `<link>` that has `data-bin="worker_gpu"`.
fn without_gpu(page: &str) -> Result<String> {
    let cut = || {
        let at = page.find("data-bin=\"worker_gpu\"")?;
        let start = page[..at].rfind('<')?;
        let end = at + page[at..].find('>')? + 1;
        Some(format!("{}{}", &page[..start], &page[end..]))
    };
    match cut() {
        Some(page) => Ok(page),
        None => bail!("index.html has no link with data-bin=\"worker_gpu\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_link_to_the_gpus_worker_is_cut_out() {
        let page = "<link data-bin=\"worker_cpu\"/>\n<link rel=\"rust\"\n  data-bin=\"worker_gpu\" data-type=\"worker\"/>\n<p>";
        assert_eq!(without_gpu(page).unwrap(), "<link data-bin=\"worker_cpu\"/>\n\n<p>");
        assert!(without_gpu("<p>").is_err());
    }
}
