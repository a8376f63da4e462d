//! What is counted of an exam, against cases worked out by hand. Runs natively and in the browser.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

use kiln::training::exam::{ClassScore, Exam, Read};
#[cfg(not(target_arch = "wasm32"))]
use proptest::prelude::*;
use serde_bytes::ByteBuf;

/// An exam of images given as (label, read, sure).
fn exam(images: &[(u8, u8, f32)]) -> Exam {
    Exam {
        labels: ByteBuf::from(images.iter().map(|image| image.0).collect::<Vec<_>>()),
        read: ByteBuf::from(images.iter().map(|image| image.1).collect::<Vec<_>>()),
        sure: images.iter().map(|image| image.2).collect(),
        ..Exam::default()
    }
}

/// Three classes: two of each read right, a 0 read as 2 twice, a 1 read as 0.
fn three() -> Exam {
    exam(&[
        (0, 0, 0.9),
        (0, 2, 0.6),
        (1, 1, 0.8),
        (0, 2, 0.95),
        (1, 0, 0.7),
        (2, 2, 0.99),
        (0, 0, 0.5),
        (1, 1, 0.5),
        (2, 2, 0.4),
    ])
}

#[test]
fn a_reading_is_the_largest_logit_its_probability_and_the_loss_of_the_truth() {
    let (a, b, c) = (1f32.exp(), 3f32.exp(), 2f32.exp());
    let read = Read::new(&[1.0, 3.0, 2.0], 2);
    assert_eq!(read.class, 1);
    assert!((read.sure - b / (a + b + c)).abs() < 1e-6);
    assert!((read.loss + (c / (a + b + c)).ln()).abs() < 1e-6);
    let huge = Read::new(&[-1000.0, 1000.0], 1);
    assert_eq!((huge.class, huge.sure, huge.loss), (1, 1.0, 0.0));
    assert_eq!(Read::new(&[2.0, 2.0], 0).class, 0, "the first of equals");
    let twenty: Vec<f32> = (0..20).map(|class| class as f32).collect();
    assert_eq!(Read::new(&twenty, 3).class, 19);
}

#[test]
fn a_confusion_counts_rows_of_truth_and_columns_of_readings() {
    let confusion = three().confusion(3);
    let rows: Vec<Vec<u32>> = (0..3).map(|truth| (0..3).map(|read| confusion.count(truth, read)).collect()).collect();
    assert_eq!(rows, [[2, 0, 2], [1, 2, 0], [0, 0, 2]]);
    assert_eq!(confusion.mistakes(), 3);
    assert_eq!(confusion.largest(), Some((0, 2)));
    assert_eq!(exam(&[(0, 0, 1.0)]).confusion(2).largest(), None, "nothing is confused");
}

#[test]
fn recall_is_of_what_a_class_is_and_precision_of_what_it_was_read_as() {
    let classes = three().confusion(4).per_class();
    assert_eq!(classes[0], ClassScore { images: 4, read: 3, right: 2 });
    assert_eq!(classes[2], ClassScore { images: 2, read: 4, right: 2 });
    assert_eq!((classes[2].recall(), classes[2].precision()), (Some(1.0), Some(0.5)));
    assert_eq!((classes[3].recall(), classes[3].precision()), (None, None), "no image, no share");
}

#[test]
fn mistakes_are_listed_most_sure_first() {
    assert_eq!(three().mistakes(), [3, 4, 1]);
    assert_eq!(three().cell(0, 2), [3, 1]);
    assert_eq!(three().cell(1, 1), [2, 7], "what was read right can be looked at too");
}

#[test]
fn images_that_were_trained_on_count_nowhere() {
    let exam = Exam { left_out: vec![0, 3], ..three() };
    let score = exam.score();
    assert_eq!((score.correct, score.total), (5, 7));
    assert_eq!(exam.confusion(3).count(0, 0), 1);
    assert_eq!(exam.cell(0, 2), [1]);
    assert_eq!(exam.mistakes(), [4, 1]);
}

#[test]
fn a_class_beyond_the_classes_is_not_counted_and_does_not_panic() {
    let confusion = exam(&[(0, 7, 0.9), (9, 1, 0.9), (1, 1, f32::NAN)]).confusion(2);
    assert_eq!((confusion.mistakes(), confusion.count(1, 1)), (0, 1));
}

#[cfg(not(target_arch = "wasm32"))]
proptest! {
    #[test]
    fn all_counts_agree_with_each_other(
        images in prop::collection::vec((0u8..20, 0u8..20, 0f32..1.0), 0..200),
        left_out in prop::collection::btree_set(0u32..200, 0..50),
    ) {
        let exam = Exam { left_out: left_out.into_iter().collect(), ..exam(&images) };
        let (score, confusion) = (exam.score(), exam.confusion(20));
        let classes = confusion.per_class();
        let sum = |of: fn(&ClassScore) -> u32| classes.iter().map(of).sum::<u32>();
        prop_assert_eq!(sum(|class| class.images), score.total);
        prop_assert_eq!(sum(|class| class.read), score.total);
        prop_assert_eq!(sum(|class| class.right), score.correct);
        prop_assert_eq!(confusion.mistakes(), score.total - score.correct);
        prop_assert_eq!(exam.mistakes().len() as u32, confusion.mistakes());
        for pair in exam.mistakes().windows(2) {
            prop_assert!(exam.sure[pair[0] as usize] >= exam.sure[pair[1] as usize]);
        }
    }
}
