//! IDX files, gzip, the order of batches, and synthetic digits. Runs natively and in the browser.
#![cfg(feature = "data")]

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;
#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

use kiln::data::gzip::{GzipError, gunzip, gzip};
use kiln::data::idx::{self, IMAGES_MAGIC, IdxError, LABELS_MAGIC};
use kiln::data::order::epoch_order;
use kiln::data::{CLASSES, PIXELS, SIDE, shard, synthetic};

/// An IDX file of these header numbers and this content.
fn file(header: &[u32], body: &[u8]) -> Vec<u8> {
    [header.iter().flat_map(|number| number.to_be_bytes()).collect(), body.to_vec()].concat()
}

/// Two images and their labels.
fn pair() -> (Vec<u8>, Vec<u8>) {
    let pixels: Vec<u8> = (0..2 * PIXELS).map(|at| (at % 251) as u8).collect();
    (file(&[IMAGES_MAGIC, 2, 28, 28], &pixels), file(&[LABELS_MAGIC, 2], &[9, 0]))
}

#[test]
fn idx_images_and_labels_are_read() {
    let (images, labels) = pair();
    let set = idx::parse(&images, &labels).unwrap();
    assert_eq!(set.len(), 2);
    assert_eq!(set.labels, [9, 0]);
    assert_eq!(set.image(1), &images[16 + PIXELS..]);
}

#[test]
fn an_idx_file_cut_anywhere_is_an_error() {
    let (images, labels) = pair();
    for end in 0..images.len() {
        assert!(idx::parse_images(&images[..end]).is_err(), "images cut after {end}");
    }
    for end in 0..labels.len() {
        assert!(idx::parse_labels(&labels[..end]).is_err(), "labels cut after {end}");
    }
    assert_eq!(idx::parse_images(&images[..7]), Err(IdxError::Header { expected: 16, found: 7 }));
    assert_eq!(idx::parse_labels(&labels[..9]), Err(IdxError::Length { count: 2, expected: 10, found: 9 }));
}

#[test]
fn an_idx_file_with_something_after_its_end_is_an_error() {
    let (mut images, _) = pair();
    images.push(0);
    assert!(matches!(idx::parse_images(&images), Err(IdxError::Length { count: 2, .. })));
}

#[test]
fn labels_are_not_taken_for_images_nor_images_for_labels() {
    let (images, labels) = pair();
    assert_eq!(idx::parse_labels(&images), Err(IdxError::Magic { expected: LABELS_MAGIC, found: IMAGES_MAGIC }));
    let long_labels = file(&[LABELS_MAGIC, 20], &[0; 20]);
    assert_eq!(idx::parse(&long_labels, &labels), Err(IdxError::Magic { expected: IMAGES_MAGIC, found: LABELS_MAGIC }));
}

#[test]
fn idx_images_of_another_size_are_an_error() {
    let images = file(&[IMAGES_MAGIC, 1, 32, 28], &[0; 32 * 28]);
    assert_eq!(idx::parse_images(&images), Err(IdxError::Side { rows: 32, columns: 28 }));
}

#[test]
fn a_giant_count_in_an_idx_header_is_an_error_and_allocates_nothing() {
    let images = file(&[IMAGES_MAGIC, u32::MAX, 28, 28], &[0; PIXELS]);
    let expected = 16 + u64::from(u32::MAX) * PIXELS as u64;
    assert_eq!(
        idx::parse_images(&images),
        Err(IdxError::Length { count: u32::MAX, expected, found: 16 + PIXELS as u64 })
    );
    assert!(idx::parse_labels(&file(&[LABELS_MAGIC, u32::MAX], &[0])).is_err());
    // In 32 bits 0x8000_0001 × 784 comes to 784, the very length that is here.
    assert!(idx::parse_images(&file(&[IMAGES_MAGIC, 0x8000_0001, 28, 28], &[0; PIXELS])).is_err());
}

#[test]
fn idx_images_and_labels_that_differ_in_number_are_an_error() {
    let (images, _) = pair();
    let labels = file(&[LABELS_MAGIC, 3], &[1, 2, 3]);
    assert_eq!(idx::parse(&images, &labels), Err(IdxError::Counts { images: 2, labels: 3 }));
}

#[test]
fn an_idx_label_above_nine_is_an_error() {
    assert_eq!(idx::parse_labels(&file(&[LABELS_MAGIC, 3], &[1, 10, 3])), Err(IdxError::Label { index: 1, found: 10 }));
}

#[test]
fn gunzip_gives_back_what_gzip_packed_and_stops_at_its_limit() {
    let bytes = vec![7; 1_000_000];
    let packed = gzip(&bytes);
    assert!(packed.len() < 2_000);
    assert_eq!(gunzip(&packed, 1_000_000), Ok(bytes));
    assert_eq!(gunzip(&packed, 999_999), Err(GzipError::TooLong { limit: 999_999 }));
    assert!(gunzip(&packed, u64::MAX).is_ok());
}

#[test]
fn a_damaged_gzip_file_is_an_error() {
    let packed = gzip(b"some bytes that are worth a checksum");
    for end in 0..packed.len() {
        assert!(matches!(gunzip(&packed[..end], 1_000), Err(GzipError::Damaged { .. })), "cut after {end}");
    }
    let mut wrong_checksum = packed.clone();
    let at = packed.len() - 8;
    wrong_checksum[at] ^= 1;
    assert!(gunzip(&wrong_checksum, 1_000).is_err());
    assert!(gunzip(b"plain text", 1_000).is_err());
}

fn is_permutation(order: &[u32]) -> bool {
    let mut sorted = order.to_vec();
    sorted.sort_unstable();
    sorted.iter().copied().eq(0..order.len() as u32)
}

#[test]
fn an_epoch_visits_each_image_once() {
    for len in [0, 1, 2, 63, 1_000] {
        for epoch in 0..3 {
            for block in [0, 1, 7, 64, 5_000] {
                let order = epoch_order(5, epoch, len, block);
                assert!(order.len() == len && is_permutation(&order), "{len} images, epoch {epoch}, block {block}");
            }
        }
    }
}

#[test]
fn the_first_epoch_takes_one_shard_after_the_other_and_shuffles_within() {
    let order = epoch_order(5, 0, 250, 100);
    for (number, block) in order.chunks(100).enumerate() {
        let first = 100 * number as u32;
        assert!(block.iter().all(|image| (first..first + block.len() as u32).contains(image)));
        assert!(!block.is_sorted());
    }
    let later = epoch_order(5, 1, 250, 100);
    assert!(later[..100].iter().any(|&image| image >= 100), "later epochs mix the shards");
}

#[test]
fn the_same_seed_gives_the_same_order_and_another_seed_or_epoch_another() {
    let order = epoch_order(5, 1, 1_000, 100);
    assert_eq!(order, epoch_order(5, 1, 1_000, 100));
    assert_ne!(order, epoch_order(6, 1, 1_000, 100));
    assert_ne!(order, epoch_order(5, 2, 1_000, 100));
}

#[test]
fn synthetic_digits_are_the_same_bytes_on_every_machine() {
    let images = synthetic::generate(500, 1);
    // Found natively on x86-64. Where this fails, the digits are others, and so are the hashes of their shards.
    assert_eq!(shard::sha256(&images.pixels), "320e80ee843b88a586f9616006941a522a65eafebcf3c08a3ca46df856829714");
    assert_ne!(images, synthetic::generate(500, 2));
}

#[test]
fn a_shorter_synthetic_set_is_the_start_of_a_longer_one() {
    let (short, long) = (synthetic::generate(33, 4), synthetic::generate(60, 4));
    assert_eq!(short.labels, long.labels[..33]);
    assert_eq!(short.pixels, long.pixels[..33 * PIXELS]);
}

#[test]
fn each_synthetic_digit_occurs_as_often_as_the_others_and_no_two_are_alike() {
    let images = synthetic::generate(500, 3);
    for digit in 0..CLASSES as u8 {
        assert_eq!(images.labels.iter().filter(|&&label| label == digit).count(), 50);
    }
    let mut seen: Vec<&[u8]> = (0..500).map(|index| images.image(index)).collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 500);
    assert!(!images.labels.is_sorted());
}

#[test]
fn synthetic_digits_have_mnists_form() {
    let images = synthetic::generate(500, 3);
    for index in 0..images.len() {
        let image = images.image(index);
        let inked = |along: &dyn Fn(usize) -> usize| {
            let at: Vec<usize> = (0..PIXELS).filter(|&at| image[at] > 0).map(along).collect();
            at.iter().max().unwrap() - at.iter().min().unwrap() + 1
        };
        let (width, height) = (inked(&|at| at % SIDE), inked(&|at| at / SIDE));
        assert_eq!(width.max(height), 20, "image {index} is {width}×{height}: its ink fills 20×20");
        let mass: f64 = image.iter().map(|&ink| f64::from(ink)).sum();
        let mean = |of: &dyn Fn(usize) -> usize| {
            (0..PIXELS).map(|at| f64::from(image[at]) * of(at) as f64).sum::<f64>() / mass
        };
        let (x, y) = (mean(&|at| at % SIDE), mean(&|at| at / SIDE));
        assert!((x - 14.0).abs() <= 0.5 && (y - 14.0).abs() <= 0.5, "image {index}: centre of mass at ({x}, {y})");
        // MNIST's own images have between 2 % and 45 % of their field inked.
        assert!(
            (0.015..0.45).contains(&(mass / 255.0 / PIXELS as f64)),
            "image {index} has too much or too little ink"
        );
    }
}
