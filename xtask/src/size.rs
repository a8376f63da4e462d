//! `cargo xtask size`: what a visitor downloads, against the budget of each binary.

use std::fs;
use std::path::Path;
use std::thread;

use anyhow::{Context, Result, bail};
use kiln::data::gzip::gzip;

/// Each binary: the start of its file's name, and the most that it may take as brotli, in bytes.
const BUDGETS: [(&str, usize); 5] = [
    ("page", 300_000),
    ("split_rest", 100_000),
    ("worker_cpu", 700_000),
    ("worker_cpu_relaxed", 700_000),
    ("worker_gpu", 3_000_000),
];

/// The sizes of one file, in bytes.
struct Size {
    name: String,
    raw: usize,
    gzip: usize,
    brotli: usize,
}

/// Prints the sizes of the binaries in `dist` and of the scripts that load them. Over budget is an error.
pub fn size(dist: &Path) -> Result<()> {
    let read = || format!("reading {}; run `cargo xtask build` first", dist.display());
    let mut files = list(dist, "").with_context(read)?;
    for folder in fs::read_dir(dist).with_context(read)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok())
    {
        if folder.starts_with("page-") && dist.join(&folder).is_dir() {
            files.extend(list(&dist.join(&folder), &format!("{folder}/")).with_context(read)?);
        }
    }
    files.sort();
    let sizes = thread::scope(|scope| {
        let threads: Vec<_> = files.into_iter().map(|name| scope.spawn(move || measure(dist, name))).collect();
        threads.into_iter().map(|thread| thread.join().expect("measuring does not panic")).collect::<Result<Vec<_>>>()
    })?;
    println!("{:<44} {:>11} {:>11} {:>11} {:>11}", "file", "raw", "gzip", "brotli", "budget");
    let mut over = Vec::new();
    for size in &sizes {
        let budget = budget(&size.name);
        let words = budget.map_or_else(String::new, |budget| budget.to_string());
        println!("{:<44} {:>11} {:>11} {:>11} {words:>11}", size.name, size.raw, size.gzip, size.brotli);
        if let Some(budget) = budget.filter(|&budget| size.brotli > budget) {
            over.push(format!("{} takes {} bytes of brotli; its budget is {budget}", size.name, size.brotli));
        }
    }
    for (binary, _) in BUDGETS {
        if !sizes.iter().any(|size| is_binary(&size.name, binary)) {
            over.push(format!("{} has no binary {binary}", dist.display()));
        }
    }
    if over.is_empty() { Ok(()) } else { bail!("{}", over.join("\n")) }
}

/// The files of a folder that are weighed, with `prefix` before their names.
fn list(folder: &Path, prefix: &str) -> std::io::Result<Vec<String>> {
    let weighed = |name: &String| [".wasm", ".js", ".css", ".html"].iter().any(|end| name.ends_with(end));
    let names = fs::read_dir(folder)?.filter_map(|file| file.ok()?.file_name().into_string().ok());
    Ok(names.filter(weighed).map(|name| format!("{prefix}{name}")).collect())
}

fn measure(dist: &Path, name: String) -> Result<Size> {
    let bytes = fs::read(dist.join(&name)).with_context(|| format!("reading {name}"))?;
    let mut packed = Vec::new();
    let parameters = brotli::enc::BrotliEncoderParams { quality: 11, lgwin: 24, ..Default::default() };
    brotli::BrotliCompress(&mut &bytes[..], &mut packed, &parameters)?;
    Ok(Size { name, raw: bytes.len(), gzip: gzip(&bytes).len(), brotli: packed.len() })
}

/// The budget of a file, if it is one of the binaries.
fn budget(file: &str) -> Option<usize> {
    BUDGETS.into_iter().find(|(binary, _)| is_binary(file, binary)).map(|(_, budget)| budget)
}

/// A binary is called `worker_cpu_bg.wasm`, or `page-<hash>_bg.wasm` by Trunk, or `page-<hash>/page_bg.wasm` and
/// `page-<hash>/split_rest.wasm` in the published build.
fn is_binary(file: &str, binary: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or(file);
    let rest = name.strip_prefix(binary).and_then(|rest| rest.strip_suffix(".wasm"));
    rest.is_some_and(|rest| ["", "_bg"].contains(&rest) || rest.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_binary_has_its_budget_and_nothing_else_has_one() {
        assert_eq!(budget("page-0123456789abcdef_bg.wasm"), Some(300_000));
        assert_eq!(budget("page-0123456789ab/page_bg.wasm"), Some(300_000));
        assert_eq!(budget("page-0123456789ab/split_rest.wasm"), Some(100_000));
        assert_eq!(budget("page-0123456789ab/page.js"), None);
        assert_eq!(budget("worker_cpu_bg.wasm"), Some(700_000));
        assert_eq!(budget("worker_cpu_relaxed_bg.wasm"), Some(700_000));
        assert_eq!(budget("worker_gpu_bg.wasm"), Some(3_000_000));
        assert_eq!(budget("worker_cpu.js"), None);
        assert_eq!(budget("index.html"), None);
    }
}
