//! Augmentation's changes against cases worked out by hand, and what must hold of all of them.

use kiln::data::augment::{Amount, Augmentation, Change, Changes};
use kiln::data::{PIXELS, SIDE};
use kiln::training::RunConfig;
#[cfg(not(target_arch = "wasm32"))]
use proptest::prelude::*;
#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

type Image = [u8; PIXELS];

/// Paper with ink of those strengths at (column, row).
fn ink(spots: &[(usize, usize, u8)]) -> Image {
    let mut image = [0; PIXELS];
    for &(x, y, value) in spots {
        image[y * SIDE + x] = value;
    }
    image
}

/// An image without any symmetry.
fn texture() -> Image {
    std::array::from_fn(|index| (index * index / 7 % 256) as u8)
}

fn changed(changes: Changes, source: &Image) -> Image {
    let mut target = [9; PIXELS];
    changes.apply(source, &mut target);
    target
}

fn always(change: Change, strength: f32) -> Augmentation {
    let mut augmentation = Augmentation::NONE;
    *augmentation.amount_mut(change) = Amount::new(strength, 1.0);
    augmentation
}

#[test]
fn no_change_is_the_same_bytes() {
    assert_eq!(changed(Changes::default(), &texture()), texture());
    for change in Change::ALL {
        let most = *change.strengths().end();
        for amount in [Amount::new(0.0, 1.0), Amount::new(most, 0.0)] {
            let mut augmentation = Augmentation::NONE;
            *augmentation.amount_mut(change) = amount;
            for image in 0..50 {
                let changes = Changes::draw(&augmentation, 3, 1, image);
                assert_eq!(changed(changes, &texture()), texture(), "{change:?}");
            }
        }
    }
}

#[test]
fn a_quarter_turn_takes_the_top_to_the_right() {
    let source = ink(&[(13, 2, 200), (20, 5, 90)]);
    let turned = changed(Changes { rotation: 90.0, ..Changes::default() }, &source);
    // Clockwise: (x, y) goes to (27 − y, x).
    assert_eq!(turned, ink(&[(25, 13, 200), (22, 20, 90)]));
    let back = changed(Changes { rotation: -90.0, ..Changes::default() }, &turned);
    assert_eq!(back, source);
}

#[test]
fn a_flip_mirrors_columns_and_nothing_else() {
    let flipped = changed(Changes { flip: true, ..Changes::default() }, &texture());
    for (row, line) in texture().chunks(SIDE).enumerate() {
        assert!(line.iter().rev().eq(&flipped[row * SIDE..(row + 1) * SIDE]));
    }
}

#[test]
fn a_move_goes_right_and_down_and_brings_paper_in() {
    let moved = changed(Changes { translation: [3.0, -2.0], ..Changes::default() }, &texture());
    for y in 0..SIDE {
        for x in 0..SIDE {
            let expected = if x >= 3 && y < SIDE - 2 { texture()[(y + 2) * SIDE + x - 3] } else { 0 };
            assert_eq!(moved[y * SIDE + x], expected, "{x}, {y}");
        }
    }
}

#[test]
fn half_a_pixel_divides_the_ink_between_neighbours() {
    let moved = changed(Changes { translation: [0.5, 0.0], ..Changes::default() }, &ink(&[(10, 10, 200)]));
    assert_eq!(moved, ink(&[(10, 10, 100), (11, 10, 100)]));
    let moved = changed(Changes { translation: [0.25, 0.5], ..Changes::default() }, &ink(&[(10, 10, 160)]));
    // Three quarters stay in the column, half in the row.
    assert_eq!(moved, ink(&[(10, 10, 60), (11, 10, 20), (10, 11, 60), (11, 11, 20)]));
}

#[test]
fn twice_the_size_is_seen_from_the_middle() {
    let grown = changed(Changes { scale: 1.0, ..Changes::default() }, &ink(&[(14, 14, 160)]));
    // The centre lies between pixels 13 and 14: what is half a pixel from it goes to a whole one, 14.5, and spreads.
    let bright = |x: usize, y: usize| grown[y * SIDE + x];
    assert_eq!([bright(14, 14), bright(15, 14), bright(14, 15), bright(15, 15)], [90; 4]);
    assert_eq!([bright(13, 14), bright(16, 14), bright(13, 13), bright(12, 14)], [30, 30, 10, 0]);
}

#[test]
fn a_crop_shows_the_part_that_it_is_centred_on() {
    let corner = Changes { crop: 0.5, crop_at: [-1.0, -1.0], ..Changes::default() };
    // The upper left quarter fills the image: source column 3 ends up between 6 and 7.
    let cut = changed(corner, &ink(&[(3, 3, 160), (20, 20, 255)]));
    assert_eq!([cut[6 * SIDE + 6], cut[6 * SIDE + 7], cut[7 * SIDE + 7]], [90; 3]);
    assert_eq!(cut[10 * SIDE + 10..].iter().max(), Some(&0), "what was cut away is gone");
}

#[test]
fn brightness_is_added_and_stays_between_paper_and_ink() {
    let source = ink(&[(1, 1, 100), (2, 1, 250)]);
    let lighter = changed(Changes { brightness: -0.2, ..Changes::default() }, &source);
    assert_eq!(lighter, ink(&[(1, 1, 49), (2, 1, 199)]));
    let darker = changed(Changes { brightness: 0.2, ..Changes::default() }, &source);
    assert_eq!((darker[0], darker[SIDE + 1], darker[SIDE + 2]), (51, 151, 255));
}

#[test]
fn contrast_moves_pixels_from_the_mean_or_towards_it() {
    // Half 40, half 120: the mean is 80.
    let source: Image = std::array::from_fn(|index| if index % 2 == 0 { 40 } else { 120 });
    let more = changed(Changes { contrast: 0.5, ..Changes::default() }, &source);
    assert_eq!(more[..2], [20, 140]);
    let less = changed(Changes { contrast: -0.5, ..Changes::default() }, &source);
    assert_eq!(less[..2], [60, 100]);
}

#[test]
fn noise_has_the_deviation_that_was_asked_for_and_no_direction() {
    let grey = [128; PIXELS];
    let (mut sum, mut squares, mut count) = (0.0, 0.0, 0.0);
    for seed in 0..40u64 {
        for value in changed(Changes { noise: 0.1, noise_seed: seed << 20, ..Changes::default() }, &grey) {
            let off = f64::from(value) - 128.0;
            (sum, squares, count) = (sum + off, squares + off * off, count + 1.0);
        }
    }
    // 31,360 draws: the mean is within 5 standard errors of 0, the deviation within 3 % of 25.5.
    assert!((sum / count).abs() < 0.75, "mean {}", sum / count);
    let deviation = (squares / count).sqrt();
    assert!((deviation / 25.5 - 1.0).abs() < 0.03, "deviation {deviation}");
}

#[test]
fn changes_are_made_to_the_share_of_images_that_was_asked_for_and_within_their_strength() {
    for change in Change::ALL {
        let mut augmentation = Augmentation::NONE;
        let strength = *change.strengths().end();
        *augmentation.amount_mut(change) = Amount::new(strength, 0.3);
        let mut made = 0;
        for image in 0..2000 {
            let Changes {
                rotation, crop, flip, scale, translation: [right, down], brightness, contrast, noise, ..
            } = Changes::draw(&augmentation, 11, 0, image);
            let drawn = match change {
                Change::Rotation => rotation,
                Change::Crop => crop,
                Change::Flip => f32::from(u8::from(flip)),
                Change::Scale => scale,
                Change::Translation => right.abs().max(down.abs()),
                Change::Brightness => brightness,
                Change::Contrast => contrast,
                Change::Noise => noise,
            };
            assert!(drawn.abs() <= strength);
            made += u32::from(drawn != 0.0);
        }
        // 600 expected, 20 the standard deviation.
        assert!((500..700).contains(&made), "{change:?}: {made} of 2,000");
    }
}

#[test]
fn the_same_seed_epoch_and_image_give_the_same_changes_and_any_other_others() {
    let draw = |seed, epoch, image| Changes::draw(&Augmentation::ROBUST, seed, epoch, image);
    assert_eq!(draw(1, 2, 3), draw(1, 2, 3));
    for other in [draw(2, 2, 3), draw(1, 3, 3), draw(1, 2, 4), draw(2, 1, 3)] {
        assert_ne!(draw(1, 2, 3).noise_seed, other.noise_seed);
    }
}

#[test]
fn a_change_grows_with_its_strength_and_leaves_the_others_as_they_were() {
    for image in 0..100 {
        let mut stronger = Augmentation::ROBUST;
        stronger.rotation.strength *= 2.0;
        let before = Changes::draw(&Augmentation::ROBUST, 5, 0, image);
        let after = Changes::draw(&stronger, 5, 0, image);
        assert_eq!(Changes { rotation: 2.0 * before.rotation, ..before }, after);
    }
}

#[test]
fn presets_keep_the_bounds_and_only_flip_is_never_among_them() {
    for (name, preset) in Augmentation::PRESETS {
        assert_eq!(preset.out_of_bounds(), None, "{name}");
        assert!(!preset.flip.is_on(), "{name} mirrors digits");
        assert_eq!(preset.is_on(), name != "none");
    }
    assert_eq!(RunConfig::default().augmentation, Augmentation::NONE);
    for change in Change::ALL {
        assert_eq!(always(change, *change.strengths().end()).out_of_bounds(), None);
        for strength in [-0.1, 1.01 * change.strengths().end(), f32::NAN] {
            assert_eq!(always(change, strength).out_of_bounds(), Some(change));
        }
    }
}

#[cfg(not(target_arch = "wasm32"))]
proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is asked for within the bounds: no panic, ink stays between what there was unless shades change, and
    /// an image of paper stays paper under all that moves pixels.
    #[test]
    fn pixels_moved_are_never_stronger_than_they_were(
        strengths in proptest::array::uniform8(0.0f32..=1.0),
        source in proptest::collection::vec(any::<u8>(), PIXELS),
        seed in any::<u32>(),
        image in any::<u32>(),
    ) {
        let mut augmentation = Augmentation::NONE;
        for (change, share) in Change::ALL.into_iter().zip(strengths) {
            *augmentation.amount_mut(change) = Amount::new(share * change.strengths().end(), 0.8);
        }
        let source: Image = source.try_into().unwrap();
        let changes = Changes::draw(&augmentation, seed, 0, image);
        changed(changes, &source);
        let moved = Changes { brightness: 0.0, contrast: 0.0, noise: 0.0, ..changes };
        prop_assert!(changed(moved, &source).iter().max() <= source.iter().max());
        prop_assert_eq!(changed(moved, &[0; PIXELS]), [0; PIXELS]);
    }
}

fn milliseconds() -> f64 {
    #[cfg(target_arch = "wasm32")]
    return js_sys::Date::now();
    #[cfg(not(target_arch = "wasm32"))]
    return 1e3 * std::time::UNIX_EPOCH.elapsed().expect("the clock is past 1970").as_secs_f64();
}

/// What augmentation costs: `cargo test --release --no-default-features --test augment -- --ignored --nocapture`.
#[test]
#[ignore = "measures time"]
fn the_cost_of_a_batch() {
    // A ring, with about as much ink as a digit has: 150 pixels.
    let ring: Image = std::array::from_fn(|index| {
        let (x, y) = (index % SIDE, index / SIDE);
        let distance = (x as f32 - 13.5).hypot(y as f32 - 13.5);
        (255.0 * (2.0 - (distance - 8.0).abs()).clamp(0.0, 1.0)) as u8
    });
    let everything = Change::ALL.into_iter().fold(Augmentation::NONE, |mut all, change| {
        *all.amount_mut(change) = Amount::new(0.5 * change.strengths().end(), 1.0);
        all
    });
    for (name, augmentation) in [("none", Augmentation::NONE), ("robust", Augmentation::ROBUST), ("all", everything)] {
        let mut target = [0; PIXELS];
        // The best of a hundred, since other programs take their turns too.
        let cost = (0..100).fold(f64::INFINITY, |best, round| {
            let start = milliseconds();
            for epoch in 20 * round..20 * (round + 1) {
                for image in 0..128 {
                    Changes::draw(&augmentation, 1, epoch, image).apply(&ring, std::hint::black_box(&mut target));
                }
            }
            best.min((milliseconds() - start) / 20.0)
        });
        #[cfg(target_arch = "wasm32")]
        wasm_bindgen_test::console_log!("{name}: {cost:.3} ms for 128 images");
        #[cfg(not(target_arch = "wasm32"))]
        println!("{name}: {cost:.3} ms for 128 images");
    }
}
