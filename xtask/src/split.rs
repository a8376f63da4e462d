//! The published page, in two files: what a visitor needs to train, and the rest (`src/page/rest.rs`), which the page
//! fetches once the first part stands. Trunk makes one file of a binary, and insists on making one of the page's. So the
//! page is made once more here, by what Trunk runs (cargo, wasm-bindgen, wasm-opt) with wasm-split in between, and takes
//! the place of Trunk's, for which `index.html` therefore asks neither for wasm-opt nor for hashes.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use kiln::data::shard::sha256;

use crate::paths;
use crate::toolchain::{Toolchain, WASM, find, run};

/// A page waits for people and draws a little, so its size is what counts: nothing is inlined but the smallest functions,
/// for code that is written out again and again compresses worse; and functions are sorted by name, so that what is
/// compiled for one type after the other stands side by side, which compresses better.
const SMALLER: [&str; 4] = [
    "-O2",
    "--flexible-inline-max-function-size=0",
    "--one-caller-inline-max-function-size=30",
    "--reorder-functions-by-name",
];

/// Puts the page in two files in the place of the one that Trunk made in `dist`.
pub fn split(toolchain: &Toolchain, flags: &str) -> Result<()> {
    let page = paths::dist().join("page");
    let put = make(toolchain, flags, &page).and_then(|()| put(&page));
    if put.is_err() {
        // What was begun is not published by whoever does not look.
        let _ = fs::remove_dir_all(page);
    }
    put
}

/// Makes both files, and the scripts that load them, in the folder `page`.
fn make(toolchain: &Toolchain, flags: &str, page: &Path) -> Result<()> {
    let parts = toolchain.target().join("page-parts");
    for folder in [parts.as_path(), page] {
        let _ = fs::remove_dir_all(folder);
    }
    // wasm-split follows the linker's relocations to see what calls what.
    let mut cargo = toolchain.command("cargo");
    cargo.args(["rustc", "--quiet", "--profile", "page", "--target", WASM, "--no-default-features"]);
    cargo.args(["--features", "split", "--bin", "page", "--", "-C", "link-arg=--emit-relocs"]);
    run(cargo.env("RUSTFLAGS", flags))?;
    let whole = toolchain.target().join(WASM).join("page/page.wasm");
    run(toolchain.command("wasm-split-cli").arg(whole).arg(&parts).args(["--out-name", "page"]))?;
    let mut bindgen = toolchain.command("wasm-bindgen");
    bindgen.args(["--target", "web", "--no-typescript", "--keep-lld-exports", "--out-dir"]);
    run(bindgen.arg(page).arg(parts.join("page.wasm")))?;
    let optimizer = optimizer()?;
    for (from, to) in [(page, "page_bg.wasm"), (parts.as_path(), "split_rest.wasm")] {
        run(toolchain.command(&optimizer).args(SMALLER).arg(from.join(to)).arg("-o").arg(page.join(to)))?;
    }
    let loader = fs::read_to_string(parts.join("__wasm_split.js")).context("reading what wasm-split made")?;
    paths::write(&page.join("__wasm_split.js"), for_any_host(&loader)?.as_bytes())
}

/// Puts the folder `page` in the place of Trunk's page, named after what is in it: the two files of one build belong
/// together, in every cache.
fn put(page: &Path) -> Result<()> {
    let dist = paths::dist();
    let named = name(page)?;
    fs::rename(page, dist.join(&named)).with_context(|| format!("renaming {}", page.display()))?;
    let index = dist.join("index.html");
    let html = fs::read_to_string(&index).context("reading dist/index.html")?;
    let trunks = trunks_name(&html).context("dist/index.html names no page")?;
    paths::write(&index, renamed(&html, &trunks, &named).as_bytes())?;
    for end in [".js", "_bg.wasm"] {
        let file = dist.join(format!("{trunks}{end}"));
        fs::remove_file(&file).with_context(|| format!("removing {}", file.display()))?;
    }
    Ok(())
}

/// wasm-split's script, so that it loads from a host too that knows no type for `.wasm`, as wasm-bindgen's does: the
/// browser compiles no stream of another type.
fn for_any_host(loader: &str) -> Result<String> {
    const STREAM: &str = "WebAssembly.instantiateStreaming(src, imports)";
    const BYTES: &str = "src.then((answer) => answer.ok ? answer.arrayBuffer() : Promise.reject(answer.status))\
                         .then((bytes) => WebAssembly.instantiate(bytes, imports))";
    if !loader.contains(STREAM) {
        bail!("wasm-split's script has changed: it has no {STREAM}");
    }
    Ok(loader.replace(STREAM, BYTES))
}

/// `page-` and a hash of the files.
fn name(page: &Path) -> Result<String> {
    let mut all = Vec::new();
    for file in ["page.js", "page_bg.wasm", "split_rest.wasm", "__wasm_split.js"] {
        all.extend(fs::read(page.join(file)).with_context(|| format!("reading {file}"))?);
    }
    Ok(format!("page-{}", &sha256(&all)[..12]))
}

/// What Trunk calls the page: `page-` and a hash.
fn trunks_name(html: &str) -> Option<String> {
    let (before, _) = html.split_once("_bg.wasm")?;
    let name = &before[before.rfind("page-")?..];
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-').then(|| name.to_owned())
}

/// `dist/index.html` with the folder's page in place of Trunk's. `page.js` imports wasm-split's script: without a tag of
/// its own that would be asked for only once `page.js` is there.
fn renamed(html: &str, trunks: &str, folder: &str) -> String {
    let script = format!("<link rel=\"modulepreload\" href=\"./{folder}/__wasm_split.js\" crossorigin=\"anonymous\">");
    html.replace(&format!("{trunks}_bg.wasm"), &format!("{folder}/page_bg.wasm"))
        .replace(&format!("{trunks}.js"), &format!("{folder}/page.js"))
        .replacen("</head>", &format!("{script}</head>"), 1)
}

/// wasm-opt: the one on the path, else the newest that Trunk has fetched.
fn optimizer() -> Result<PathBuf> {
    find("wasm-opt").or_else(|| newest(&trunks_cache()?)).context("no wasm-opt; run `cargo xtask setup`")
}

/// Where Trunk keeps the programs that it fetches.
fn trunks_cache() -> Option<PathBuf> {
    let folder = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if cfg!(windows) {
        Some(folder("LOCALAPPDATA")?.join("trunkrs/trunk/cache"))
    } else if cfg!(target_os = "macos") {
        Some(folder("HOME")?.join("Library/Caches/dev.trunkrs.trunk"))
    } else {
        Some(folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")))?.join("trunk"))
    }
}

/// The wasm-opt of the highest version in Trunk's cache.
fn newest(cache: &Path) -> Option<PathBuf> {
    let version = |folder: &Path| -> Option<u32> {
        folder.file_name()?.to_str()?.strip_prefix("wasm-opt-version_")?.parse().ok()
    };
    let folders = fs::read_dir(cache).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let (_, folder) = folders.filter_map(|folder| Some((version(&folder)?, folder))).max()?;
    let program = folder.join("bin/wasm-opt").with_extension(env::consts::EXE_EXTENSION);
    program.is_file().then_some(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_trunk_wrote_loads_the_folders_page() {
        let html = "<link rel=\"preload\" href=\"./page-12ab_bg.wasm\"></head><script>import init from \
                    './page-12ab.js'; init('./page-12ab_bg.wasm')</script>";
        let trunks = trunks_name(html).unwrap();
        assert_eq!(trunks, "page-12ab");
        assert_eq!(
            renamed(html, &trunks, "page-cd"),
            "<link rel=\"preload\" href=\"./page-cd/page_bg.wasm\"><link rel=\"modulepreload\" \
             href=\"./page-cd/__wasm_split.js\" crossorigin=\"anonymous\"></head><script>import init from \
             './page-cd/page.js'; init('./page-cd/page_bg.wasm')</script>"
        );
        assert_eq!(trunks_name("<p>page-</p><p>_bg.wasm"), None);
        assert_eq!(trunks_name("<p>"), None);
    }

    #[test]
    fn a_script_without_the_call_that_is_replaced_is_an_error() {
        let loader =
            for_any_host("return async (imports) => (WebAssembly.instantiateStreaming(src, imports));").unwrap();
        assert!(loader.contains("arrayBuffer()") && !loader.contains("instantiateStreaming"), "{loader}");
        assert!(for_any_host("return other();").is_err());
    }

    #[test]
    fn the_newest_wasm_opt_that_trunk_fetched_is_found() {
        let cache = tempfile::tempdir().unwrap();
        assert_eq!(newest(cache.path()), None);
        let program = |version: &str| {
            let folder = cache.path().join(format!("wasm-opt-version_{version}/bin"));
            let program = folder.join("wasm-opt").with_extension(env::consts::EXE_EXTENSION);
            fs::create_dir_all(folder).unwrap();
            fs::write(&program, "").unwrap();
            program
        };
        let _older = program("99");
        let newer = program("123");
        fs::create_dir_all(cache.path().join("wasm-bindgen-0.2.130")).unwrap();
        assert_eq!(newest(cache.path()), Some(newer));
    }

    #[test]
    fn a_pages_name_changes_with_each_of_its_files() {
        let page = tempfile::tempdir().unwrap();
        let files = ["page.js", "page_bg.wasm", "split_rest.wasm", "__wasm_split.js"];
        files.iter().for_each(|file| fs::write(page.path().join(file), file).unwrap());
        let mut names = vec![name(page.path()).unwrap()];
        for file in files {
            fs::write(page.path().join(file), "changed").unwrap();
            names.push(name(page.path()).unwrap());
        }
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 5);
        fs::remove_file(page.path().join("split_rest.wasm")).unwrap();
        assert!(name(page.path()).is_err());
    }
}
