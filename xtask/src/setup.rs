//! `cargo xtask setup`: what a build and a test need and this machine lacks. What is there is left alone.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::report::{note, step};
use crate::toolchain::{FALLBACK, Toolchain, WASM, command, find, run};
use crate::{paths, python};

/// A program that `cargo install` gives.
struct Tool {
    krate: &'static str,
    /// The version that is installed if there is none that fits.
    version: String,
    /// What a version that fits starts with.
    fits: String,
    /// Whether the crate's own lock file is used.
    locked: bool,
}

/// What the machine is set up for, beside a development build.
#[derive(Debug, Clone, Copy)]
pub struct For {
    /// Tests, which run in a browser.
    pub tests: bool,
    /// The published build, which wasm-opt goes over, and whose page wasm-split cuts in two.
    pub published: bool,
}

/// Makes sure of the wasm target, the tools that build, and whatever else is asked for.
pub fn setup(For { tests, published }: For) -> Result<Toolchain> {
    step("Wasm target", wasm_target)?;
    let toolchain = Toolchain::find()?;
    for tool in tools(&paths::root().join("Cargo.lock"), tests)? {
        step(tool.krate, || install(&toolchain, &tool))?;
    }
    if published {
        step("wasm-opt", || optimizer(&toolchain))?;
        step("wasm-split", || splitter(&toolchain))?;
    }
    if tests {
        step("rustfmt and clippy", || checkers(&toolchain))?;
        step("Browser for tests", browser)?;
        step("Python tools for the files' tests", || python::setup(debian_python))?;
    }
    Ok(toolchain)
}

fn wasm_target() -> Result<String> {
    let toolchain = Toolchain::find()?;
    if toolchain.has_wasm() {
        return Ok(format!("toolchain {} has it", toolchain.name()));
    }
    let Some(rustup) = find("rustup") else {
        bail!(
            "this Rust ({}) has no {WASM} target, and there is no rustup to add it. Install Rust from \
             https://rustup.rs, or add the target by the means that your Rust came by",
            toolchain.name()
        );
    };
    note(format_args!("rustup target add {WASM}"));
    let added = run(toolchain.command(&rustup).args(["target", "add", WASM]));
    let Err(error) = added else { return Ok(format!("added to toolchain {}", toolchain.name())) };
    if !debian_as_root() {
        return Err(error.context(format!(
            "rustup could not add {WASM}. Check that this machine reaches the internet, then run `rustup target add \
             {WASM}`"
        )));
    }
    note(format_args!("{error:#}. Building the target's standard library from Debian's packages instead"));
    let rustc = debian::packages()?;
    debian::standard_library(&rustc)?;
    run(command(rustup, None).args(["toolchain", "link", FALLBACK, "/usr"]))?;
    match Toolchain::find()? {
        toolchain if toolchain.has_wasm() => Ok(format!("built; toolchain {} has it", toolchain.name())),
        _ => bail!("the toolchain `{FALLBACK}` was linked to /usr, and still finds no {WASM} target"),
    }
}

/// The tools, each in the version that this project was seen to work with.
fn tools(lock: &Path, tests: bool) -> Result<Vec<Tool>> {
    let lock = fs::read_to_string(lock).context("reading Cargo.lock")?;
    // The tool and the crate exchange a format that is private to each version.
    let bindgen = locked_version(&lock, "wasm-bindgen").context("Cargo.lock has no wasm-bindgen")?;
    let tool =
        |krate, version: &str, fits: &str, locked| Tool { krate, version: version.into(), fits: fits.into(), locked };
    let mut tools = vec![
        // Its own lock file names a crate that was withdrawn.
        tool("wasm-bindgen-cli", bindgen, bindgen, false),
        tool("trunk", "0.21.14", "0.21.", true),
    ];
    if tests {
        tools.push(tool("wasm-pack", "0.15.1", "0.", true));
    }
    Ok(tools)
}

/// The version of a crate in a lock file.
fn locked_version<'a>(lock: &'a str, krate: &str) -> Option<&'a str> {
    let (_, entry) = lock.split_once(&format!("name = \"{krate}\"\nversion = \""))?;
    Some(entry.split_once('"')?.0)
}

fn install(toolchain: &Toolchain, tool: &Tool) -> Result<String> {
    if let Some(version) = installed(toolchain, tool) {
        return Ok(format!("{version} is installed"));
    }
    cargo_install(toolchain, tool.krate, &tool.version, if tool.locked { &["--locked"] } else { &[] })?;
    installed(toolchain, tool)
        .map(|version| format!("{version} installed"))
        .with_context(|| format!("{} was installed, but no version that fits is found on the path", tool.krate))
}

/// Builds a program from its crate into cargo's folder of programs.
fn cargo_install(toolchain: &Toolchain, krate: &str, version: &str, options: &[&str]) -> Result<()> {
    note(format_args!("cargo install {krate} --version {version} (minutes, once)"));
    let mut install = toolchain.command("cargo");
    install.args(["install", "--quiet", krate, "--version", version]);
    install.args(options);
    // One folder for all tools, which share crates; and a profile that is compiled in minutes: they run for seconds.
    install.arg("--target-dir").arg(paths::cache()?.join("tools"));
    install.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1");
    install.env("CARGO_PROFILE_RELEASE_LTO", "off");
    install.env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    run(&mut install)
}

/// The installed version, if it fits.
fn installed(toolchain: &Toolchain, tool: &Tool) -> Option<String> {
    // `wasm-bindgen-cli` gives the program `wasm-bindgen`; the others are called as their crates are.
    let output = toolchain.command(tool.krate.trim_end_matches("-cli")).arg("--version").output().ok()?;
    let output = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = output.split_whitespace().nth(1)?;
    version.starts_with(&tool.fits).then(|| version.to_string())
}

/// Trunk runs the wasm-opt that is on the path, and fetches one of its own where there is none.
fn optimizer(toolchain: &Toolchain) -> Result<String> {
    // Seen: 108 (Debian 12) says that all is well and turns wasm-bindgen's table of JavaScript values into one of
    // functions, so that the binary fails when it starts. 116 is right.
    const OLDEST: u32 = 116;
    let version = || {
        let output = toolchain.command("wasm-opt").arg("--version").output().ok()?;
        wasm_opt_version(&String::from_utf8_lossy(&output.stdout))
    };
    match version() {
        Some(version) if version >= OLDEST => return Ok(format!("version {version} is installed")),
        Some(version) => note(format_args!("version {version} breaks what wasm-bindgen makes; {OLDEST} does not")),
        None if answers(WASM_OPT_HOME) => return Ok("Trunk fetches it".into()),
        None => note(format_args!("{WASM_OPT_HOME} can't be reached, from where Trunk would fetch it")),
    }
    cargo_install(toolchain, "wasm-opt", "0.116.1", &["--locked"])?;
    match version() {
        Some(version) if version >= OLDEST => Ok(format!("version {version} installed")),
        _ => bail!("wasm-opt was installed by cargo, but another one comes first on the path"),
    }
}

/// Where Trunk fetches wasm-opt from.
const WASM_OPT_HOME: &str = "https://github.com/WebAssembly/binaryen/releases";

/// Whether there is anything at an address. A network may let one server through and not another.
fn answers(url: &str) -> bool {
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(10))).build().into();
    agent.head(url).call().is_ok()
}

/// The number in `wasm-opt version 116 (version_116)`.
fn wasm_opt_version(words: &str) -> Option<u32> {
    words.strip_prefix("wasm-opt version ")?.split_whitespace().next()?.parse().ok()
}

/// The program that goes with the crate `wasm_split_helpers`. It doesn't tell its version, so cargo is asked.
fn splitter(toolchain: &Toolchain) -> Result<String> {
    const CRATE: &str = "wasm_split_cli_support";
    const VERSION: &str = "0.2.4";
    let here = || -> Result<bool> {
        let list = toolchain.command("cargo").args(["install", "--list"]).output().context("cargo does not start")?;
        let listed = String::from_utf8_lossy(&list.stdout).lines().any(|line| line == format!("{CRATE} v{VERSION}:"));
        Ok(listed && find("wasm-split-cli").is_some())
    };
    if here()? {
        return Ok(format!("{VERSION} is installed"));
    }
    cargo_install(toolchain, CRATE, VERSION, &["--locked", "--force", "--features", "build-binary"])?;
    if here()? {
        Ok(format!("{VERSION} installed"))
    } else {
        bail!("wasm-split-cli was installed by cargo, but is not found on the path")
    }
}

/// rustup's minimal profile leaves them out, and so may a toolchain of Debian's packages.
fn checkers(toolchain: &Toolchain) -> Result<String> {
    let here = || {
        ["fmt", "clippy"].iter().all(|checker| {
            let version = toolchain.command("cargo").args([checker, "--version"]).output();
            version.is_ok_and(|version| version.status.success())
        })
    };
    if here() {
        return Ok(format!("toolchain {} has them", toolchain.name()));
    }
    if toolchain.name() == FALLBACK && debian_as_root() {
        debian::install(&["rust-web-clippy", "rustfmt-web"])?;
    } else if let Some(rustup) = find("rustup") {
        run(toolchain.command(rustup).args(["component", "add", "rustfmt", "clippy"]))?;
    }
    if here() { Ok("installed".into()) } else { bail!("`cargo fmt` and `cargo clippy` are missing; install both") }
}

/// Chrome or Chromium and the driver that goes with it.
fn browser() -> Result<String> {
    let here = || Some((chrome()?, find("chromedriver")?));
    if here().is_none() && debian_as_root() {
        debian::install(&["chromium", "chromium-driver"])?;
    }
    match here() {
        Some((chrome, driver)) => Ok(format!("{} with {}", chrome.display(), driver.display())),
        None => bail!(
            "tests run in a real browser: install Chrome or Chromium, and the chromedriver of the same version, so that \
             both are on the path (Debian: apt install chromium chromium-driver; others: \
             https://googlechromelabs.github.io/chrome-for-testing)"
        ),
    }
}

/// Chrome or Chromium: on the path, or where macOS keeps it.
pub fn chrome() -> Option<PathBuf> {
    let mac = PathBuf::from("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome");
    ["chromium", "google-chrome", "chrome", "chromium-browser"]
        .into_iter()
        .find_map(find)
        .or_else(|| mac.is_file().then_some(mac))
}

/// Debian keeps the part of Python that makes environments in a package of its own.
fn debian_python() -> Result<()> {
    if !debian_as_root() {
        bail!("Python can't make a virtual environment here; install its `venv` (Debian: apt install python3-venv)");
    }
    debian::install(&["python3-venv"])
}

/// Whether packages can be installed here without asking anyone.
fn debian_as_root() -> bool {
    let root = || {
        let user = Command::new("id").arg("-u").output();
        user.is_ok_and(|user| user.stdout.trim_ascii() == b"0")
    };
    Path::new("/etc/debian_version").exists() && find("apt-get").is_some() && root()
}

/// The way round rustup's own servers: Debian's Rust packages bring a compiler and the source of its standard
/// library, from which the part for wasm is built once.
mod debian {
    use super::*;

    /// The compiler, the source of its standard library, the checkers, and the linker.
    const PACKAGES: [&str; 6] = ["rustc-web", "cargo-web", "rust-web-src", "rust-web-clippy", "rustfmt-web", "lld-22"];
    const LLD: &str = "/usr/lib/llvm-22/bin/lld";

    /// Installs the packages, and returns the compiler that they bring.
    pub fn packages() -> Result<PathBuf> {
        install(&PACKAGES)?;
        Ok("/usr/bin/rustc".into())
    }

    /// Installs packages; twice if need be, because a download may fail.
    pub fn install(packages: &[&str]) -> Result<()> {
        note(format_args!("apt-get install {}", packages.join(" ")));
        let apt = |arguments: &[&str]| {
            let mut apt = Command::new("apt-get");
            apt.args(["-qq", "-o", "DPkg::Lock::Timeout=400"]).args(arguments);
            // Nobody is there to be asked, and what it has to say goes to the terminal's error side, like the rest.
            run(apt.env("DEBIAN_FRONTEND", "noninteractive").stdout(std::io::stderr()))
        };
        let all = || apt(&["update"]).and_then(|()| apt(&[&["install", "-y"], packages].concat()));
        all().or_else(|error| {
            note(format_args!("{error:#}; trying once more"));
            all()
        })
    }

    /// Builds the standard library for wasm and puts it, and a linker, where the compiler looks for them.
    pub fn standard_library(rustc: &Path) -> Result<()> {
        note("building the standard library for wasm (2 minutes, once)");
        let scratch = tempfile::tempdir()?;
        let libraries = build(rustc, scratch.path())?;
        let rustlib = rustlib(rustc)?;
        let folder = rustlib.join(WASM).join("lib");
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        for library in libraries {
            fs::copy(&library, folder.join(library.file_name().context("a library has a name")?))?;
        }
        let linker = rustlib.join(host(rustc)?).join("bin/rust-lld");
        if !linker.exists() {
            fs::create_dir_all(linker.parent().context("it lies in bin")?)?;
            #[cfg(unix)]
            std::os::unix::fs::symlink(LLD, &linker).context("linking rust-lld")?;
        }
        Ok(())
    }

    /// Builds the standard library of `rustc` as the dependency of an empty crate in `scratch`, and returns its parts.
    pub fn build(rustc: &Path, scratch: &Path) -> Result<Vec<PathBuf>> {
        fs::create_dir_all(scratch.join("src"))?;
        fs::write(scratch.join("src/lib.rs"), "")?;
        fs::write(scratch.join("Cargo.toml"), "[package]\nname = \"empty\"\nedition = \"2024\"\n[workspace]\n")?;
        // The unstable flag is what building a standard library takes; the compiler is Debian's, its source too.
        let cargo = rustc.with_file_name("cargo");
        let mut cargo = command(cargo, None);
        cargo.args(["build", "--quiet", "--release", "--target", WASM, "-Zbuild-std=std,panic_abort,test"]);
        cargo.env("RUSTC_BOOTSTRAP", "1").env("RUSTC", rustc).env("CARGO_TARGET_DIR", scratch.join("target"));
        // As rustup's own: machine code for every build, and bitcode for the published one, which optimises across crates.
        cargo.env("RUSTFLAGS", "-C embed-bitcode=yes");
        run(cargo.current_dir(scratch))?;
        let parts = fs::read_dir(scratch.join("target").join(WASM).join("release/deps"))?
            .filter_map(|file| Some(file.ok()?.path()))
            .filter(|path| path.extension() == Some(OsStr::new("rlib")))
            .filter(|path| !path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libempty-")))
            .collect();
        Ok(parts)
    }

    fn rustlib(rustc: &Path) -> Result<PathBuf> {
        let output = command(rustc, None).args(["--print", "sysroot"]).output()?;
        Ok(Path::new(String::from_utf8(output.stdout)?.trim()).join("lib/rustlib"))
    }

    fn host(rustc: &Path) -> Result<String> {
        let output = command(rustc, None).arg("-vV").output()?;
        let output = String::from_utf8(output.stdout)?;
        output.lines().find_map(|line| line.strip_prefix("host: ")).map(str::to_string).context("rustc names no host")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_a_crate_is_read_from_the_lock_file() {
        let lock = "[[package]]\nname = \"wasm-bindgen-futures\"\nversion = \"0.4.9\"\n\n\
                    [[package]]\nname = \"wasm-bindgen\"\nversion = \"0.2.130\"\nsource = \"x\"\n";
        assert_eq!(locked_version(lock, "wasm-bindgen"), Some("0.2.130"));
        assert_eq!(locked_version(lock, "burn"), None);
    }

    #[test]
    fn the_version_of_wasm_opt_is_read_with_and_without_a_tag() {
        assert_eq!(wasm_opt_version("wasm-opt version 108\n"), Some(108));
        assert_eq!(wasm_opt_version("wasm-opt version 116 (version_116)\n"), Some(116));
        assert_eq!(wasm_opt_version(""), None);
    }

    /// Takes minutes and needs Debian's packages: `cargo test -p xtask -- --ignored`.
    #[test]
    #[ignore]
    fn the_standard_library_for_wasm_can_be_built_from_debians_packages() {
        let scratch = tempfile::tempdir().unwrap();
        let parts = debian::build(Path::new("/usr/bin/rustc"), scratch.path()).unwrap();
        let has = |name: &str| parts.iter().any(|part| part.file_name().unwrap().to_string_lossy().starts_with(name));
        assert!(["libstd-", "libcore-", "libtest-", "libpanic_abort-"].iter().all(|name| has(name)), "{parts:?}");
        assert!(parts.iter().all(|part| crate::toolchain::has_bitcode(part)), "{parts:?}");
    }
}
