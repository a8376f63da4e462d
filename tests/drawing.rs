//! A drawing on its way to 28×28, against cases worked out by hand. Runs natively and in the browser.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;
#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);

use kiln::data::drawing::{BOX, Bitmap, Crop, Point, RASTER, normalize, rasterize};
use kiln::data::picture::ink;
use kiln::data::{PIXELS, SIDE};

fn rectangle(width: usize, height: usize, crop: Crop, ink: u8) -> Bitmap {
    let mut bitmap = Bitmap::new(width, height);
    for y in crop.y..crop.y + crop.height {
        for x in crop.x..crop.x + crop.width {
            bitmap.pixels[y * width + x] = ink;
        }
    }
    bitmap
}

fn centre_of_mass(pixels: &[u8; PIXELS]) -> (f32, f32) {
    let mass: f32 = pixels.iter().map(|&ink| f32::from(ink)).sum();
    let sum = |of: fn(usize) -> usize| -> f32 {
        pixels.iter().enumerate().map(|(at, &ink)| f32::from(ink) * of(at) as f32).sum()
    };
    (sum(|at| at % SIDE) / mass, sum(|at| at / SIDE) / mass)
}

#[test]
fn an_empty_drawing_is_none() {
    assert!(normalize(&Bitmap::new(200, 200)).is_none());
    assert!(normalize(&rasterize(&[], 0.08)).is_none());
    assert!(normalize(&rasterize(&[vec![]], 0.08)).is_none());
}

#[test]
fn a_square_fills_the_box_and_lies_in_the_middle() {
    let crop = Crop { x: 3, y: 50, width: 40, height: 40 };
    let stages = normalize(&rectangle(100, 100, crop, 255)).unwrap();
    assert_eq!(stages.crop, crop);
    assert!(stages.fit.pixels.iter().all(|&ink| ink == 255));
    // Columns 0..20 have their centre of mass at 9.5; 14 − 9.5 = 4.5 is rounded to 5.
    for y in 0..SIDE {
        for x in 0..SIDE {
            let inside = (5..25).contains(&x) && (5..25).contains(&y);
            assert_eq!(stages.centred[y * SIDE + x], if inside { 255 } else { 0 }, "at {x}, {y}");
        }
    }
}

#[test]
fn a_bar_keeps_its_shape() {
    // 10 × 40 pixels become 5 × 20, in columns 7..12 of the box.
    let stages = normalize(&rectangle(60, 60, Crop { x: 0, y: 20, width: 10, height: 40 }, 255)).unwrap();
    for y in 0..BOX {
        for x in 0..BOX {
            assert_eq!(stages.fit.at(x, y), if (7..12).contains(&x) { 255 } else { 0 }, "at {x}, {y}");
        }
    }
    // The middle column of the bar, 9, comes to 14; rows as in the square.
    assert_eq!(stages.centred[14 * SIDE + 12..14 * SIDE + 17], [255; 5]);
    assert_eq!((stages.centred[14 * SIDE + 11], stages.centred[14 * SIDE + 17]), (0, 0));
}

#[test]
fn one_pixel_is_scaled_up() {
    let stages = normalize(&rectangle(9, 9, Crop { x: 8, y: 0, width: 1, height: 1 }, 255)).unwrap();
    assert!(stages.fit.pixels.iter().all(|&ink| ink == 255));
}

#[test]
fn edges_are_antialiased_by_the_mean_of_what_a_pixel_covers() {
    // 40 × 40 with the left half of every second column inked: each 2 × 2 block has one column of ink.
    let mut bitmap = Bitmap::new(40, 40);
    for y in 0..40 {
        for x in (0..40).step_by(2) {
            bitmap.pixels[y * 40 + x] = 255;
        }
    }
    bitmap.pixels[39] = 255; // so that the crop is 40 wide
    let stages = normalize(&bitmap).unwrap();
    assert_eq!((stages.crop.width, stages.crop.height), (40, 40));
    assert_eq!(stages.fit.at(0, 0), 128); // (255 + 0) / 2, rounded
    assert_eq!(stages.fit.at(19, 0), 191); // three of four: 765 / 4, rounded
    assert_eq!(stages.fit.at(10, 10), 128);
}

#[test]
fn heavy_ink_is_what_is_centred_not_the_box() {
    // An L: a bar of 4 × 40 on the left and one of 40 × 4 at the bottom.
    let mut bitmap = rectangle(40, 40, Crop { x: 0, y: 0, width: 4, height: 40 }, 255);
    for y in 36..40 {
        for x in 0..40 {
            bitmap.pixels[y * 40 + x] = 255;
        }
    }
    let stages = normalize(&bitmap).unwrap();
    // In the box: 2 × 20 and 18 × 2. x: (40·0.5 + 36·10.5) / 76 = 5.24, so 9 to the right;
    // y: (40·9.5 + 36·18.5) / 76 = 13.76, so none down.
    assert_eq!(stages.centred[9], 255);
    assert_eq!(stages.centred[8], 0);
    assert_eq!(stages.centred[19 * SIDE + 27], 255, "what still fits stays");
    let (x, y) = centre_of_mass(&stages.centred);
    assert!((x - 14.0).abs() <= 0.5 && (y - 14.0).abs() <= 0.5, "{x}, {y}");
}

#[test]
fn where_and_how_large_it_is_drawn_does_not_matter() {
    let seven = |scale: f32, x: f32, y: f32| {
        let at = |px: f32, py: f32| Point { x: x + px * scale, y: y + py * scale };
        normalize(&rasterize(&[vec![at(0.0, 0.0), at(0.6, 0.0), at(0.2, 1.0)]], 0.1 * scale)).unwrap()
    };
    let (large, small) = (seven(0.8, 0.1, 0.1), seven(0.4, 0.5, 0.55));
    let difference: i32 =
        large.centred.iter().zip(&small.centred).map(|(a, b)| (i32::from(*a) - i32::from(*b)).abs()).sum();
    let ink: i32 = large.centred.iter().map(|&ink| i32::from(ink)).sum();
    assert!(difference * 10 < ink, "{difference} of {ink}");
}

#[test]
fn a_dot_is_round_and_what_lies_outside_is_cut_off() {
    let dot = rasterize(&[vec![Point { x: 0.5, y: 0.5 }]], 0.1);
    let crop = normalize(&dot).unwrap().crop;
    assert_eq!(crop, Crop { x: RASTER / 2 - 10, y: RASTER / 2 - 10, width: 20, height: 20 });
    assert_eq!(dot.at(crop.x, crop.y), 0, "a corner is paper");
    let line = [Point { x: -3.0, y: 0.5 }, Point { x: 4.0, y: 0.5 }];
    assert_eq!(normalize(&rasterize(&[line.to_vec()], 0.1)).unwrap().crop.width, RASTER);
    assert!(normalize(&rasterize(&[vec![Point { x: f32::NAN, y: -9.0 }]], 0.1)).is_none());
}

/// A picture of a bar on paper: RGBA of `paper`, with `ink` where the bar is.
fn picture(paper: [u8; 4], ink: [u8; 4]) -> Vec<u8> {
    let bar = |x: usize, y: usize| (20..26).contains(&x) && (8..40).contains(&y);
    (0..60 * 50).flat_map(|at| if bar(at % 60, at / 60) { ink } else { paper }).collect()
}

#[test]
fn dark_ink_and_chalk_and_transparent_paper_read_alike() {
    let read = |rgba: &[u8]| normalize(&ink(rgba, 60, 50).unwrap()).unwrap();
    let expected = read(&picture([255; 4], [0, 0, 0, 255]));
    assert_eq!((expected.crop.x, expected.crop.y, expected.crop.width, expected.crop.height), (20, 8, 6, 32));
    for (paper, ink) in [
        ([230, 225, 210, 255], [20, 30, 90, 255]),
        ([20, 40, 30, 255], [240, 240, 230, 255]),
        ([0, 0, 0, 0], [0, 0, 0, 255]),
    ] {
        assert_eq!(read(&picture(paper, ink)), expected);
    }
}

#[test]
fn a_picture_without_ink_or_of_another_size_is_none() {
    let plain = picture([200; 4], [200; 4]);
    assert_eq!(ink(&plain, 60, 50), None);
    assert_eq!(ink(&plain, 60, 51), None);
    assert_eq!(ink(&plain, 0, 0), None);
    assert_eq!(ink(&[], usize::MAX, 4), None);
}

#[test]
fn grain_on_the_paper_is_no_ink() {
    let mut rgba = picture([240, 240, 240, 255], [0, 0, 0, 255]);
    for (at, pixel) in rgba.chunks_exact_mut(4).enumerate() {
        if pixel[0] == 240 && at % 7 == 0 {
            pixel[..3].fill(205);
        }
    }
    let crop = normalize(&ink(&rgba, 60, 50).unwrap()).unwrap().crop;
    assert_eq!((crop.x, crop.width), (20, 6));
}
