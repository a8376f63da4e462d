//! `cargo xtask data`: MNIST (or, where it can't be had, synthetic digits) cut into shards under `www/data`.

use std::ffi::{OsStr, OsString};

use std::fs;
use std::path::Path;
use std::thread;

use anyhow::{Context, Result, bail};
use kiln::data::manifest::{Manifest, ShardEntry};
use kiln::data::{Images, PIXELS, Split, shard, synthetic};

use crate::mnist;
use crate::paths;
use crate::report::note;

/// Images in a shard: the first of them is a megabyte, so that training starts soon.
const SHARD: usize = 5_000;
/// Of the training file's images, in its order, the first so many are learned from; the rest validates.
const TRAIN: usize = 55_000;
/// The seed of synthetic digits.
const SEED: u64 = 28;

/// Where the data is to come from.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// Draw the digits, whatever else could be had.
    pub synthetic: bool,
    /// A folder with MNIST's four files. It must be right: nothing else is tried.
    pub mnist_dir: Option<OsString>,
}

impl Choice {
    /// What the environment says: `KILN_MNIST_DIR`.
    pub fn from_env(synthetic: bool) -> Choice {
        Choice { synthetic, mnist_dir: std::env::var_os("KILN_MNIST_DIR").filter(|dir| !dir.is_empty()) }
    }
}

/// A data set before it is cut.
struct Set {
    name: &'static str,
    source: String,
    synthetic: bool,
    train: Images,
    test: Images,
}

/// Fills `folder` unless what is there is already what was asked for. Returns a few words on what it holds.
pub fn prepare(folder: &Path, choice: &Choice) -> Result<String> {
    let present = present(folder);
    if choice.synthetic {
        return match present {
            Some(manifest) if manifest.synthetic => Ok(format!("{}, already here", describe(&manifest))),
            _ => fill(folder, &draw()),
        };
    }
    if let Some(dir) = &choice.mnist_dir {
        // Read even if the shards are here, so that a wrong folder is always told. That takes a second.
        let mnist = given(dir)?;
        return match present {
            Some(manifest) if !manifest.synthetic => Ok(format!("{}, already here", describe(&manifest))),
            _ => fill(folder, &real(mnist)),
        };
    }
    if let Some(manifest) = present.as_ref().filter(|manifest| !manifest.synthetic) {
        return Ok(format!("{}, already here", describe(manifest)));
    }
    match (mnist::from_anywhere(&paths::cache()?.join("mnist"))?, present) {
        (Some(mnist), _) => fill(folder, &real(mnist)),
        (None, Some(manifest)) => Ok(format!("{}, already here", describe(&manifest))),
        (None, None) => {
            note("MNIST can't be had here. The page gets synthetic digits and says so.");
            note("To train on MNIST, put its four files into a folder and set KILN_MNIST_DIR to it.");
            fill(folder, &draw())
        }
    }
}

/// The manifest in `folder`, if every one of its shards is there and whole.
fn given(dir: &OsStr) -> Result<mnist::Mnist> {
    mnist::from_folder(Path::new(dir)).context("KILN_MNIST_DIR is set, but can't be used")
}

/// MNIST itself, for who needs its images; `None` if it can't be had.
pub fn mnist() -> Result<Option<mnist::Mnist>> {
    match Choice::from_env(false).mnist_dir {
        Some(dir) => given(&dir).map(Some),
        None => mnist::from_anywhere(&paths::cache()?.join("mnist")),
    }
}

fn present(folder: &Path) -> Option<Manifest> {
    let manifest = Manifest::parse(&fs::read(folder.join("manifest.json")).ok()?).ok()?;
    let whole =
        |entry: &ShardEntry| fs::read(folder.join(&entry.file)).is_ok_and(|file| shard::sha256(&file) == entry.sha256);
    manifest.shards.iter().all(whole).then_some(manifest)
}

fn real(mnist: mnist::Mnist) -> Set {
    Set { name: "MNIST", source: mnist.source, synthetic: false, train: mnist.train, test: mnist.test }
}

fn draw() -> Set {
    note("drawing 70,000 synthetic digits");
    let draw = |count, seed| move || synthetic::generate(count, seed);
    let (train, test) = thread::scope(|scope| {
        let parts = [draw(TRAIN / 2, SEED), draw(60_000 - TRAIN / 2, SEED + 1)].map(|part| scope.spawn(part));
        let test = synthetic::generate(10_000, SEED + 2);
        let mut train = Images::default();
        for part in parts {
            train.append(part.join().expect("drawing does not panic"));
        }
        (train, test)
    });
    Set { name: "synthetic digits", source: "drawn by kiln from stroke models".into(), synthetic: true, train, test }
}

/// Cuts the set into shards, writes them, and the manifest last: it never lists a file that is not there.
fn fill(folder: &Path, set: &Set) -> Result<String> {
    if set.train.len() <= TRAIN {
        bail!("{} training images are too few: {TRAIN} are learned from, and the rest validates", set.train.len());
    }
    let splits = [
        (Split::Train, &set.train, 0..TRAIN),
        (Split::Validation, &set.train, TRAIN..set.train.len()),
        (Split::Test, &set.test, 0..set.test.len()),
    ];
    note(format_args!("packing {} images", set.train.len() + set.test.len()));
    // One thread a shard: there are few, and packing is all that they do.
    let packed: Vec<(ShardEntry, Vec<u8>)> = thread::scope(|scope| {
        let mut threads = Vec::new();
        for (split, images, range) in splits {
            for (number, from) in range.clone().step_by(SHARD).enumerate() {
                let part = from..(from + SHARD).min(range.end);
                threads.push(scope.spawn(move || {
                    let packed = shard::encode(&Images {
                        pixels: images.pixels[part.start * PIXELS..part.end * PIXELS].to_vec(),
                        labels: images.labels[part.clone()].to_vec(),
                    });
                    (ShardEntry::new(split, number, part.len(), &packed), packed)
                }));
            }
        }
        threads.into_iter().map(|thread| thread.join().expect("packing does not panic")).collect()
    });
    for (entry, packed) in &packed {
        paths::write(&folder.join(&entry.file), packed)?;
    }
    let entries = packed.into_iter().map(|(entry, _)| entry).collect();
    let manifest = Manifest::new(set.name, &set.source, set.synthetic, entries);
    Manifest::parse(manifest.to_json().as_bytes()).context("the manifest just made is not valid")?;
    paths::write(&folder.join("manifest.json"), manifest.to_json().as_bytes())?;
    sweep(folder, &manifest)?;
    Ok(describe(&manifest))
}

/// Removes shards of an earlier data set.
fn sweep(folder: &Path, manifest: &Manifest) -> Result<()> {
    for file in fs::read_dir(folder)? {
        let file = file?;
        let name = file.file_name().to_string_lossy().into_owned();
        if name.ends_with(".kiln.gz") && !manifest.shards.iter().any(|shard| shard.file == name) {
            fs::remove_file(file.path())?;
        }
    }
    Ok(())
}

fn describe(manifest: &Manifest) -> String {
    let [train, validation, test] = Split::ALL.map(|split| manifest.images(split));
    format!(
        "{} ({}): {train} training, {validation} validation and {test} test images in {} shards, {:.1} MB",
        manifest.name,
        manifest.source,
        manifest.shards.len(),
        manifest.total_bytes() as f64 / 1e6
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blank images, just enough of them.
    fn set(synthetic: bool) -> Set {
        let blank = |count| Images { pixels: vec![0; count * PIXELS], labels: vec![3; count] };
        let name = if synthetic { "synthetic digits" } else { "MNIST" };
        Set { name, source: "a test".into(), synthetic, train: blank(TRAIN + 10), test: blank(10) }
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_set_is_cut_in_the_order_of_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut set = set(false);
        set.train.labels[0] = 1;
        set.train.labels[TRAIN] = 2;
        fill(folder.path(), &set).unwrap();
        let manifest = present(folder.path()).expect("whole");
        assert_eq!(Split::ALL.map(|split| manifest.images(split)), [TRAIN as u64, 10, 10]);
        let first = |split| {
            let entry = manifest.shards.iter().find(|entry| entry.split == split).unwrap();
            shard::decode(entry, &fs::read(folder.path().join(&entry.file)).unwrap()).unwrap().labels[0]
        };
        assert_eq!(Split::ALL.map(first), [1, 2, 3]);
    }

    #[test]
    fn what_is_here_and_whole_is_not_made_again() {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path(), &set(true)).unwrap();
        let words = prepare(folder.path(), &Choice { synthetic: true, mnist_dir: None }).unwrap();
        assert!(words.contains("already here"), "{words}");
    }

    #[test]
    fn a_damaged_or_missing_shard_means_that_the_data_is_not_here() {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path(), &set(false)).unwrap();
        let shard = folder.path().join(names(folder.path()).pop().unwrap());
        fs::write(&shard, "damaged").unwrap();
        assert_eq!(present(folder.path()), None);
        fs::remove_file(&shard).unwrap();
        assert_eq!(present(folder.path()), None);
    }

    #[test]
    fn shards_of_an_earlier_set_are_removed_and_other_files_are_not() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("train-00-0123456789ab.kiln.gz"), "old").unwrap();
        fs::write(folder.path().join("notes.txt"), "mine").unwrap();
        fill(folder.path(), &set(false)).unwrap();
        let names = names(folder.path());
        assert!(
            !names.iter().any(|name| name.contains("0123456789ab")) && names.iter().any(|name| name == "notes.txt")
        );
    }

    #[test]
    fn a_given_folder_that_is_wrong_is_an_error_even_if_digits_are_here() {
        let folder = tempfile::tempdir().unwrap();
        fill(folder.path(), &set(false)).unwrap();
        let empty = tempfile::tempdir().unwrap();
        let choice = Choice { synthetic: false, mnist_dir: Some(empty.path().into()) };
        let error = format!("{:#}", prepare(folder.path(), &choice).unwrap_err());
        assert!(error.contains("KILN_MNIST_DIR") && error.contains("train-images-idx3-ubyte"), "{error}");
    }
}
