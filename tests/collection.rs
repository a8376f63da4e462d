//! The user's collection of labelled images: what is held out, and the file that they travel in.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;
#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);

use kiln::data::PIXELS;
use kiln::training::collection::{Collection, CollectionError, MAX_FILE, WANTED};
use kiln::training::finetune::Origin;

fn add(collection: &mut Collection, label: u8) -> u32 {
    let mut pixels = [0; PIXELS];
    pixels[usize::from(label)] = label + 1;
    collection.add(label, Origin::Drawn, &pixels).unwrap()
}

fn fill(collection: &mut Collection, labels: impl IntoIterator<Item = u8>) {
    labels.into_iter().for_each(|label| {
        add(collection, label);
    });
}

fn held(collection: &Collection, label: u8) -> usize {
    collection.of(label).filter(|sample| sample.held_out).count()
}

#[test]
fn of_each_six_of_a_class_two_are_held_out_in_whatever_order_they_come() {
    // Round by round, as the pad asks for them; class by class, as a user may draw them; and back and forth.
    let rounds: Vec<u8> = (0..6).flat_map(|_| 0..10).collect();
    let classes: Vec<u8> = (0..10).flat_map(|label| [label; 6]).collect();
    let mixed: Vec<u8> = (0..6).flat_map(|round| (0..10).map(move |label| (label * 7 + round * 3) % 10)).collect();
    for order in [rounds, classes, mixed] {
        let mut collection = Collection::default();
        fill(&mut collection, order.iter().copied());
        assert!((0..10).all(|label| held(&collection, label) == 2), "{order:?}");
        assert_eq!((collection.training(), collection.held_out(), collection.missing()), (40, 20, 0));
        assert_eq!(collection.fewest(), None);
    }
}

#[test]
fn ten_drawings_of_ten_digits_can_be_measured_and_trained_on() {
    let mut collection = Collection::default();
    fill(&mut collection, 0..10);
    assert_eq!((collection.training(), collection.held_out()), (7, 3));
    assert_eq!(collection.missing(), 10 * (WANTED - 1));
}

#[test]
fn what_is_held_out_stays_so_whatever_is_clicked() {
    let mut collection = Collection::default();
    let ids: Vec<u32> = (0..6).map(|_| add(&mut collection, 4)).collect();
    let before: Vec<bool> = collection.samples().iter().map(|sample| sample.held_out).collect();
    let held_out = ids[before.iter().position(|held| *held).unwrap()];
    assert_eq!(collection.relabel(held_out, 9), Some(4));
    let (at, sample) = collection.remove(ids[0]).unwrap();
    add(&mut collection, 4);
    collection.put_back(at, sample);
    let kept: Vec<bool> = ids.iter().map(|id| collection.get(*id).unwrap().held_out).collect();
    assert_eq!(kept, before);
    assert_eq!(collection.relabel(held_out, 10), None, "there are ten classes");
    assert_eq!(collection.get(held_out).unwrap().label, 9);
}

#[test]
fn an_image_of_the_test_set_is_never_held_out_and_is_added_once() {
    let mut collection = Collection::default();
    for index in 0..12 {
        collection.add(3, Origin::Test { index }, &[1; PIXELS]).unwrap();
    }
    let first = collection.samples()[0].id;
    assert_eq!(collection.add(5, Origin::Test { index: 0 }, &[1; PIXELS]), Ok(first));
    assert_eq!((collection.samples().len(), collection.held_out(), collection.own(3)), (12, 0, 0));
}

#[test]
fn the_pad_asks_for_the_class_with_the_fewest() {
    let mut collection = Collection::default();
    let asked: Vec<u8> = (0..12)
        .map(|_| {
            let label = collection.fewest().unwrap();
            add(&mut collection, label);
            label
        })
        .collect();
    assert_eq!(asked, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]);
    let id = collection.of(7).next().unwrap().id;
    collection.remove(id);
    assert_eq!(collection.fewest(), Some(7));
}

#[test]
fn a_file_gives_back_the_same_samples() {
    let mut collection = Collection::default();
    fill(&mut collection, (0..25).map(|n| n % 10));
    collection.add(3, Origin::Test { index: 9999 }, &[255; PIXELS]).unwrap();
    assert_eq!(Collection::from_csv(collection.to_csv().as_bytes()).unwrap(), collection);

    let mut named = Collection::new(vec!["猫".into(), "sun and moon".into()]);
    fill(&mut named, [0, 1, 0, 1]);
    assert_eq!(Collection::from_csv(named.to_csv().as_bytes()).unwrap(), named);
    assert_eq!(Collection::default().merge(&collection), Ok(()));
}

#[test]
fn mnist_as_it_is_passed_on_in_csv_can_be_read() {
    let header = (0..PIXELS).fold("label".to_owned(), |line, at| line + &format!(",{}x{}", at / 28 + 1, at % 28 + 1));
    let row = "7".to_owned() + &",13".repeat(PIXELS);
    let read = Collection::from_csv(format!("{header}\r\n{row}\r\n{row}\r\n{row}\r\n").as_bytes()).unwrap();
    let [first, second, third] = read.samples() else { panic!() };
    assert_eq!((first.label, first.origin, first.pixels[783]), (7, Origin::File, 13));
    assert_eq!([first.held_out, second.held_out, third.held_out], [false, false, true]);
}

#[test]
fn a_wrong_file_is_told_by_line_and_column() {
    let good = {
        let mut collection = Collection::default();
        add(&mut collection, 1);
        collection.to_csv()
    };
    let read = |text: &str| Collection::from_csv(text.as_bytes()).unwrap_err();
    let (header, row) = good.trim_end().split_once('\n').unwrap();
    let value =
        |column: &str, found: &str| CollectionError::Value { line: 2, column: column.into(), found: found.into() };
    assert_eq!(read(""), CollectionError::Empty);
    assert_eq!(read(header), CollectionError::Empty);
    assert_eq!(read("a,b\n1,2"), CollectionError::Header { pixels: 2 });
    assert_eq!(read(&good.replacen("1,0", "12,0", 1)), value("label", "12"));
    assert_eq!(read(&good.replacen(",drawn", ",stolen", 1)), value("origin", "stolen"));
    assert_eq!(read(&good.replacen("1,0,", "1,no,", 1)), value("held_out", "no"));
    assert_eq!(read(&format!("{header}\n{}999", row.strip_suffix('0').unwrap())), value("pixel783", "999"));
    assert_eq!(read(&format!("{good}1,0")), CollectionError::Columns { line: 3, expected: 787, found: 2 });
    assert_eq!(Collection::from_csv(&[b'a', 0xff]), Err(CollectionError::NotText(1)));
    assert_eq!(Collection::from_csv(&vec![b' '; MAX_FILE + 1]), Err(CollectionError::TooLong(MAX_FILE + 1)));
    let names: String = (0..21).map(|n| row.replacen("1,0", &format!("n{n},0"), 1) + "\n").collect();
    assert_eq!(read(&format!("{}\n{names}", header.replacen("label", "class", 1))), CollectionError::Classes(21));
    assert_eq!(
        read(&format!("{}\n{row}", header.replacen("label", "class", 1))),
        CollectionError::Classes(1),
        "one class can't be told from another"
    );
    let stolen = good.replacen("1,0,drawn", "1,1,test-3", 1);
    assert!(!Collection::from_csv(stolen.as_bytes()).unwrap().samples()[0].held_out);
}

#[cfg(not(target_arch = "wasm32"))]
mod properties {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// However many are drawn of whatever: about a third of each class is held out.
        #[test]
        fn a_third_of_each_class_is_held_out(labels in prop::collection::vec(0u8..10, 0..120)) {
            let mut collection = Collection::default();
            fill(&mut collection, labels.iter().copied());
            for label in 0..10 {
                let all = collection.own(label);
                prop_assert!((all / 3..=all.div_ceil(3)).contains(&held(&collection, label)));
            }
            prop_assert!(collection.held_out() <= labels.len() / 3 + 10);
        }

        /// No bytes are too strange: they are read or refused.
        #[test]
        fn a_mutated_file_is_read_or_refused(
            at in prop::collection::vec((0usize..6000, any::<u8>()), 0..8),
            cut in 0usize..6000,
        ) {
            let mut collection = Collection::default();
            fill(&mut collection, 0..2);
            let mut file = collection.to_csv().into_bytes();
            for (at, byte) in at {
                let at = at % file.len();
                file[at] = byte;
            }
            file.truncate(file.len() - cut % file.len());
            if let Ok(read) = Collection::from_csv(&file) {
                prop_assert!(read.samples().iter().all(|sample| sample.pixels.len() == PIXELS));
                prop_assert!(read.samples().iter().all(|sample| usize::from(sample.label) < read.classes().len()));
            }
        }
    }
}
