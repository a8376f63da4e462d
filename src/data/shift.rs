//! New data made of old: a fixed change of every image, the same on every machine. The labels stay. Called by a
//! session that fine-tunes, and by the page for its previews.

use rand::Rng;
use serde::{Deserialize, Serialize};

use super::order::{Stream, rng};
use super::{Images, PIXELS, SIDE};

/// A change of the images that makes new data of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shift {
    /// Turned clockwise by 40 degrees.
    Rotated,
    /// Ink on paper turned into paper on ink.
    Inverted,
    /// Noise over the whole image.
    Noisy,
    /// Strokes a pixel thicker on each side.
    Thick,
}

impl Shift {
    /// All of them.
    pub const ALL: [Shift; 4] = [Shift::Rotated, Shift::Inverted, Shift::Noisy, Shift::Thick];

    /// One changed image: 28×28 bytes each. Noise is drawn from `seed` and `index`, so that it is the same for an
    /// image in whatever order the images are made.
    ///
    /// # Panics
    /// If `image` is not of 28×28 bytes.
    pub fn apply(self, image: &[u8], seed: u32, index: u32) -> [u8; PIXELS] {
        let image: &[u8; PIXELS] = image.try_into().expect("an image is 28×28 bytes");
        match self {
            Shift::Rotated => rotated(image),
            Shift::Inverted => image.map(|pixel| 255 - pixel),
            Shift::Noisy => noisy(image, seed, index),
            Shift::Thick => thick(image),
        }
    }

    /// The images of `range`, changed.
    pub fn of(self, images: &Images, range: std::ops::Range<usize>, seed: u32) -> Images {
        let pixels = range.clone().flat_map(|index| self.apply(images.image(index), seed, index as u32)).collect();
        Images { pixels, labels: images.labels[range].to_vec() }
    }
}

/// Turned round the image's middle, each new pixel between the four old ones that it comes to lie on.
fn rotated(image: &[u8; PIXELS]) -> [u8; PIXELS] {
    // 40°; written out, since sine and cosine differ from platform to platform in their last bit.
    const COSINE: f32 = 0.766_044_44;
    const SINE: f32 = 0.642_787_6;
    const MIDDLE: f32 = (SIDE - 1) as f32 / 2.0;
    let at = |x: i32, y: i32| {
        let inside = (0..SIDE as i32).contains(&x) && (0..SIDE as i32).contains(&y);
        if inside { f32::from(image[y as usize * SIDE + x as usize]) } else { 0.0 }
    };
    std::array::from_fn(|index| {
        let (dx, dy) = ((index % SIDE) as f32 - MIDDLE, (index / SIDE) as f32 - MIDDLE);
        let (x, y) = (MIDDLE + COSINE * dx + SINE * dy, MIDDLE - SINE * dx + COSINE * dy);
        let (left, top) = (x.floor(), y.floor());
        let (right_share, low_share) = (x - left, y - top);
        let (left, top) = (left as i32, top as i32);
        let row = |y| (1.0 - right_share) * at(left, y) + right_share * at(left + 1, y);
        ((1.0 - low_share) * row(top) + low_share * row(top + 1)).round() as u8
    })
}

/// Bell-shaped noise with a deviation of a quarter of full ink: four random bytes make one number of it.
fn noisy(image: &[u8; PIXELS], seed: u32, index: u32) -> [u8; PIXELS] {
    const DEVIATION: f32 = 64.0;
    /// Mean and deviation of the sum of four even bytes: 4 × 127.5, √(4 × (256² − 1) ÷ 12).
    const SUM: (f32, f32) = (510.0, 147.8);
    let mut rng = rng(seed, Stream::Shift(index));
    image.map(|pixel| {
        let sum: u16 = rng.next_u32().to_le_bytes().into_iter().map(u16::from).sum();
        (f32::from(pixel) + (f32::from(sum) - SUM.0) / SUM.1 * DEVIATION).round().clamp(0.0, 255.0) as u8
    })
}

/// Each pixel as dark as the darkest of it and its eight neighbours.
fn thick(image: &[u8; PIXELS]) -> [u8; PIXELS] {
    std::array::from_fn(|index| {
        let (x, y) = (index % SIDE, index / SIDE);
        let near = |at: usize| at.saturating_sub(1)..=(at + 1).min(SIDE - 1);
        near(y).flat_map(|y| near(x).map(move |x| image[y * SIDE + x])).max().unwrap_or_default()
    })
}
