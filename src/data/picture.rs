//! A picture of a digit, from a file: paper and ink told apart, so that it can go the way of a [`drawing`].
//!
//! [`drawing`]: super::drawing

use super::drawing::Bitmap;
use super::ranking::median;

/// The longest side that a picture is brought to before it is looked at.
pub const MAX_SIDE: usize = 400;
/// Differences from the paper that are no ink: shadows, grain, compression.
const FLOOR: f32 = 0.25;

/// Ink on paper, from RGBA bytes as a canvas gives them. The paper's tone is the middle one along the picture's edge,
/// so dark ink on bright paper and chalk on a board both come out as ink. `None` if no ink stands out, or if the bytes
/// are no picture of that size.
pub fn ink(rgba: &[u8], width: usize, height: usize) -> Option<Bitmap> {
    if width == 0 || height == 0 || width > MAX_SIDE || height > MAX_SIDE || rgba.len() != width * height * 4 {
        return None;
    }
    // What is transparent is white paper. Weights of Rec. 601.
    let grey: Vec<f32> = rgba
        .chunks_exact(4)
        .map(|pixel| {
            let light = 0.299 * f32::from(pixel[0]) + 0.587 * f32::from(pixel[1]) + 0.114 * f32::from(pixel[2]);
            255.0 + (light - 255.0) * f32::from(pixel[3]) / 255.0
        })
        .collect();
    let edge = |at: usize| {
        let (x, y) = (at % width, at / width);
        x == 0 || y == 0 || x == width - 1 || y == height - 1
    };
    let border: Vec<f32> = (0..grey.len()).filter(|at| edge(*at)).map(|at| grey[at]).collect();
    let paper = median(&border)?;
    // Ink lies on the other side of grey than the paper: a stain of the paper's own side is none.
    let difference = |grey: f32| if paper >= 127.5 { paper - grey } else { grey - paper };
    let strongest = grey.iter().map(|grey| difference(*grey)).fold(0.0, f32::max);
    if strongest < 32.0 {
        return None;
    }
    let floor = FLOOR * strongest;
    let pixels = grey.iter().map(|grey| ((difference(*grey) - floor) / (strongest - floor) * 255.0).round() as u8);
    Some(Bitmap { width, height, pixels: pixels.collect() })
}
