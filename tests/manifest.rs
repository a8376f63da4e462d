//! The manifest and its shards, whole and broken in every way. Runs natively and in the browser.
#![cfg(feature = "data")]

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;
#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

use kiln::data::gzip::gzip;
use kiln::data::manifest::{Manifest, ManifestError, ShardEntry};
use kiln::data::shard::{self, ShardError};
use kiln::data::{Images, PIXELS, Split, synthetic};

/// A shard of three digits and its entry.
fn packed() -> (ShardEntry, Vec<u8>, Images) {
    let images = synthetic::generate(3, 1);
    let file = shard::encode(&images);
    (ShardEntry::new(Split::Train, 0, images.len(), &file), file, images)
}

/// An entry that is right about `content`'s packed form and claims `count` images.
fn listed(count: u32, content: &[u8]) -> (ShardEntry, Vec<u8>) {
    let file = gzip(content);
    (ShardEntry { count, ..ShardEntry::new(Split::Test, 0, 1, &file) }, file)
}

/// A shard's content: magic, count, pixels, labels.
fn content(magic: &[u8; 4], count: u32, pixels: usize, labels: &[u8]) -> Vec<u8> {
    [&magic[..], &count.to_le_bytes(), &vec![0; pixels], labels].concat()
}

fn error(entry: &ShardEntry, file: &[u8]) -> (ShardError, String, String) {
    let error = shard::decode(entry, file).expect_err("the shard is broken");
    let (expected, found) = error.clone().into_expected_and_found();
    (error, expected, found)
}

fn manifest() -> Manifest {
    let shards = Split::ALL
        .into_iter()
        .map(|split| {
            let images = synthetic::generate(2, split as u64);
            ShardEntry::new(split, 0, 2, &shard::encode(&images))
        })
        .collect();
    Manifest::new("synthetic digits", "a test", true, shards)
}

/// What becomes of the manifest with one thing changed.
fn changed(change: impl FnOnce(&mut Manifest)) -> ManifestError {
    let mut manifest = manifest();
    change(&mut manifest);
    Manifest::parse(manifest.to_json().as_bytes()).expect_err("it can't be used")
}

#[test]
fn a_shard_gives_back_the_images_that_it_was_made_of() {
    let (entry, file, images) = packed();
    assert_eq!(shard::decode(&entry, &file), Ok(images));
}

#[test]
fn packing_is_deterministic_and_the_name_holds_the_hash() {
    let (entry, file, images) = packed();
    assert_eq!(shard::encode(&images), file);
    assert_eq!(entry.file, format!("train-00-{}.kiln.gz", &shard::sha256(&file)[..12]));
    // No time and no name of the machine: the fields that hold them are zero, and the system is "unknown".
    assert_eq!(file[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 2, 255]);
}

#[test]
fn a_truncated_shard_is_told_by_its_size() {
    let (entry, file, _) = packed();
    let (kind, expected, found) = error(&entry, &file[..100]);
    assert!(matches!(kind, ShardError::Size { .. }));
    assert_eq!((expected, found), (format!("{} bytes", file.len()), "100 bytes".into()));
    assert!(matches!(error(&entry, &[]).0, ShardError::Size { .. }));
}

#[test]
fn a_shard_with_any_bit_flipped_is_told_by_its_hash() {
    let (entry, mut file, _) = packed();
    for at in 0..file.len() {
        file[at] ^= 1 << (at % 8);
        let (kind, expected, found) = error(&entry, &file);
        assert!(matches!(kind, ShardError::Hash { .. }));
        assert_eq!(expected, format!("SHA-256 {}", entry.sha256));
        assert_eq!(found, format!("SHA-256 {}", shard::sha256(&file)));
        file[at] ^= 1 << (at % 8);
    }
}

#[test]
fn a_listed_file_that_is_no_shard_is_told() {
    let plain = b"<html>not found</html>";
    let entry = ShardEntry::new(Split::Test, 0, 3, plain);
    assert!(matches!(error(&entry, plain).0, ShardError::Format { .. }));
    let (entry, file) = listed(1, &content(b"KLN2", 1, PIXELS, &[1]));
    let (kind, expected, found) = error(&entry, &file);
    assert!(matches!(kind, ShardError::Format { .. }));
    assert!(expected.contains("KLN1") && found.contains("KLN2"), "{expected}, {found}");
    let (entry, file) = listed(1, b"KLN1");
    assert!(matches!(error(&entry, &file).0, ShardError::Format { .. }));
}

#[test]
fn a_shard_with_another_count_than_the_manifests_is_told() {
    let (entry, file) = listed(3, &content(b"KLN1", 2, 2 * PIXELS, &[1, 2]));
    let (kind, expected, found) = error(&entry, &file);
    assert!(matches!(kind, ShardError::Count { .. }));
    assert_eq!((expected.as_str(), found.as_str()), ("3 images", "2 images"));
}

#[test]
fn a_shard_whose_images_and_labels_differ_in_number_is_told() {
    for labels in [&[1, 2][..], &[1, 2, 3, 4]] {
        let (entry, file) = listed(3, &content(b"KLN1", 3, 3 * PIXELS, labels));
        let (kind, expected, found) = error(&entry, &file);
        assert!(matches!(kind, ShardError::Labels { .. }));
        assert_eq!((expected, found), ("3 labels for 3 images".into(), format!("{} labels", labels.len())));
    }
}

#[test]
fn a_shard_with_fewer_pixels_than_it_claims_is_told() {
    let (entry, file) = listed(3, &content(b"KLN1", 3, 2 * PIXELS, &[]));
    let (kind, _, found) = error(&entry, &file);
    assert!(matches!(kind, ShardError::Count { .. }));
    assert_eq!(found, "2 images");
}

#[test]
fn a_shard_with_a_label_that_is_no_digit_is_told() {
    let (entry, file) = listed(2, &content(b"KLN1", 2, 2 * PIXELS, &[1, 12]));
    let (kind, expected, found) = error(&entry, &file);
    assert!(matches!(kind, ShardError::Label { .. }));
    assert_eq!((expected.as_str(), found.as_str()), ("a label from 0 to 9", "12 for image 1"));
}

#[test]
fn a_giant_count_is_an_error_and_allocates_nothing() {
    for count in [u32::MAX, u32::MAX / 785, 1 << 31] {
        let (entry, file) = listed(count, &content(b"KLN1", count, PIXELS, &[1]));
        assert!(matches!(error(&entry, &file).0, ShardError::Count { .. }));
    }
}

#[test]
fn a_shard_that_unpacks_to_far_more_than_it_may_is_stopped() {
    let (entry, file) = listed(1, &content(b"KLN1", 1, 20_000_000, &[]));
    let (kind, expected, found) = error(&entry, &file);
    assert!(matches!(kind, ShardError::Count { .. }));
    assert_eq!((expected.as_str(), found.as_str()), ("1 images", "more"));
}

#[test]
fn a_manifest_gives_back_what_was_written() {
    let manifest = manifest();
    assert_eq!(Manifest::parse(manifest.to_json().as_bytes()), Ok(manifest.clone()));
    assert_eq!(Split::ALL.map(|split| manifest.images(split)), [2, 2, 2]);
    assert_eq!(manifest.total_bytes(), manifest.shards.iter().map(|shard| shard.bytes).sum::<u64>());
}

#[test]
fn a_manifest_cut_anywhere_is_an_error() {
    let json = manifest().to_json();
    for end in 0..json.len() - 2 {
        assert!(matches!(Manifest::parse(&json.as_bytes()[..end]), Err(ManifestError::Json(_))), "cut after {end}");
    }
    assert!(matches!(Manifest::parse(b"<html>not found</html>"), Err(ManifestError::Json(_))));
    assert!(matches!(Manifest::parse(&[0xff, 0xfe]), Err(ManifestError::Json(_))));
}

#[test]
fn a_manifest_of_another_version_is_told_even_if_its_fields_are_others() {
    assert_eq!(Manifest::parse(br#"{"version": 2, "sets": []}"#), Err(ManifestError::Version(2)));
}

#[test]
fn a_manifest_for_another_network_is_told() {
    assert_eq!(changed(|manifest| manifest.shape = [32, 32]), ManifestError::Shape([32, 32]));
    assert_eq!(changed(|manifest| manifest.classes.truncate(9)), ManifestError::Classes(9));
}

#[test]
fn a_file_name_that_leads_elsewhere_is_an_error() {
    let names = [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "/a",
        "a\\b",
        "https://elsewhere",
        "//a",
        "a?b",
        "a#b",
        "%2e%2e",
        "a b",
        "ä",
        ".a",
    ];
    for name in names {
        assert_eq!(changed(|manifest| manifest.shards[0].file = name.into()), ManifestError::File(name.into()));
    }
    let long = "a".repeat(129);
    assert_eq!(changed(|manifest| manifest.shards[0].file = long.clone()), ManifestError::File(long.clone()));
}

#[test]
fn a_file_listed_twice_is_an_error() {
    let twice = changed(|manifest| manifest.shards.push(manifest.shards[0].clone()));
    assert!(matches!(twice, ManifestError::Twice(_)));
}

#[test]
fn counts_and_sizes_that_can_not_be_are_errors() {
    for count in [0, 100_001, u32::MAX] {
        let error = changed(|manifest| manifest.shards[0].count = count);
        assert!(matches!(error, ManifestError::Count { .. }), "{count} images");
    }
    for bytes in [0, 10_000, u64::MAX] {
        let error = changed(|manifest| manifest.shards[0].bytes = bytes);
        assert!(matches!(error, ManifestError::Bytes { .. }), "{bytes} bytes for two images");
    }
    let all = changed(|manifest| {
        for number in 0..6 {
            manifest.shards.push(ShardEntry {
                file: format!("train-{number}"),
                count: 100_000,
                ..manifest.shards[0].clone()
            });
        }
    });
    assert_eq!(all, ManifestError::Images(600_006));
}

#[test]
fn a_hash_that_is_none_is_an_error() {
    for hash in ["", "0123", &"g".repeat(64), &"A".repeat(64), &"0".repeat(65)] {
        let error = changed(|manifest| manifest.shards[0].sha256 = hash.into());
        assert!(matches!(error, ManifestError::Hash { .. }), "{hash}");
    }
}

#[test]
fn a_manifest_without_one_of_the_splits_is_an_error() {
    for (index, split) in Split::ALL.into_iter().enumerate() {
        let error = changed(|manifest| {
            manifest.shards.remove(index);
        });
        assert_eq!(error, ManifestError::Missing(split));
    }
}

/// Native only: many cases, and the browser runs the same code.
#[cfg(not(target_arch = "wasm32"))]
mod properties {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// Behind the hash: a shard listed as it is, whose content was altered before it was packed.
        #[test]
        fn altered_content_is_an_error_or_exactly_what_it_says(
            at in 0usize..8 + 3 * 785,
            to in any::<u8>(),
            keep in 0usize..8 + 3 * 785 + 1,
        ) {
            let images = synthetic::generate(3, 1);
            let mut content = [b"KLN1", &3u32.to_le_bytes()[..], &images.pixels, &images.labels].concat();
            let whole = keep == content.len();
            content[at] = to;
            content.truncate(keep);
            let (entry, file) = listed(3, &content);
            match shard::decode(&entry, &file) {
                Ok(decoded) => {
                    prop_assert!(whole, "cut after {keep}");
                    prop_assert_eq!(&content[8..], [decoded.pixels, decoded.labels.clone()].concat());
                    prop_assert!(content.starts_with(b"KLN1\x03\0\0\0") && decoded.labels.iter().all(|&label| label < 10));
                }
                Err(_) => prop_assert!(!whole || at < 8 || (at >= 8 + 3 * PIXELS && to > 9)),
            }
        }

        /// In front of the hash: whatever arrives in a shard's place.
        #[test]
        fn no_other_bytes_pass_for_a_shard(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
            let (entry, _, _) = packed();
            prop_assert!(shard::decode(&entry, &bytes).is_err());
            // And with an entry that lists exactly them.
            let listed = ShardEntry { count: 3, ..ShardEntry::new(Split::Train, 0, 3, &bytes) };
            prop_assert!(shard::decode(&listed, &bytes).is_err());
        }

        /// A manifest with bytes replaced never panics; what it accepts would be accepted again, and is plausible.
        #[test]
        fn a_mutated_manifest_is_an_error_or_valid(at in any::<prop::sample::Index>(), to in any::<u8>()) {
            let mut json = manifest().to_json().into_bytes();
            let at = at.index(json.len());
            json[at] = to;
            if let Ok(read) = Manifest::parse(&json) {
                prop_assert_eq!(Manifest::parse(read.to_json().as_bytes()), Ok(read.clone()));
                for shard in read.shards {
                    prop_assert!(shard.sha256.len() == 64 && (1..=100_000).contains(&shard.count));
                    prop_assert!(!shard.file.contains(['/', '\\', ':', '?', '#', '%']));
                }
            }
        }
    }
}
