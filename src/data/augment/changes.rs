//! Augmentation's work: the changes of one image are drawn from (seed, epoch, image), so that neither batches nor
//! interruptions of a run matter, and made in at most two passes: one affine resampling for all that moves pixels,
//! one for all that changes their shade. Called where batches and previews are made; a GPU that makes batches itself
//! follows the same [`Motion`] and [`Shading`].

use super::{Amount, Augmentation};
use crate::data::{PIXELS, SIDE};

/// The changes of one image, drawn. The default changes nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Changes {
    /// Turned clockwise, in degrees.
    pub rotation: f32,
    /// Share of the side that is cut away before the rest is enlarged.
    pub crop: f32,
    /// Where the cut is centred on each axis: −1 and 1 touch the image's borders.
    pub crop_at: [f32; 2],
    /// Mirrored left to right.
    pub flip: bool,
    /// Enlarged by that share.
    pub scale: f32,
    /// Moved to the right and down, in pixels.
    pub translation: [f32; 2],
    /// Added to each pixel, as a share of full ink.
    pub brightness: f32,
    /// Distance from the mean enlarged by that share.
    pub contrast: f32,
    /// Standard deviation of the noise, as a share of full ink.
    pub noise: f32,
    /// What the noise is drawn from.
    pub noise_seed: u64,
}

impl Changes {
    /// Draws the changes of image `image` in epoch `epoch`.
    ///
    /// Every number is drawn whether it is used or not, so that setting one change leaves the others as they were, and
    /// a change grows with its strength.
    pub fn draw(augmentation: &Augmentation, seed: u32, epoch: u32, image: u32) -> Self {
        let mut draws = Draws(mix(u64::from(seed) << 32 | u64::from(epoch)).wrapping_add(u64::from(image)));
        draws.0 = mix(draws.0);
        let mut strength = |Amount { strength, probability }| {
            if draws.uniform() < probability { strength } else { 0.0 }
        };
        let rotation = strength(augmentation.rotation);
        let crop = strength(augmentation.crop);
        let flip = strength(augmentation.flip) > 0.0;
        let scale = strength(augmentation.scale);
        let translation = strength(augmentation.translation);
        let brightness = strength(augmentation.brightness);
        let contrast = strength(augmentation.contrast);
        let noise = strength(augmentation.noise);
        Self {
            rotation: rotation * draws.signed(),
            crop: crop * draws.uniform(),
            crop_at: [draws.signed(), draws.signed()],
            flip,
            scale: scale * draws.signed(),
            translation: [translation * draws.signed(), translation * draws.signed()],
            brightness: brightness * draws.signed(),
            contrast: contrast * draws.signed(),
            noise: noise * draws.uniform(),
            noise_seed: draws.next(),
        }
    }

    /// Makes them: `source` and `target` are 28×28, 0 is paper. What is moved in from outside is paper.
    pub fn apply(&self, source: &[u8; PIXELS], target: &mut [u8; PIXELS]) {
        if self.moves() {
            self.resample(source, target)
        } else {
            *target = *source
        }
        if self.shades() {
            self.shade(target);
        }
    }

    /// Whether the image stays as it is, whatever else was drawn for it.
    pub fn is_none(&self) -> bool {
        !self.moves() && !self.shades()
    }

    fn shades(&self) -> bool {
        self.brightness != 0.0 || self.contrast != 0.0 || self.noise != 0.0
    }

    fn moves(&self) -> bool {
        self.rotation != 0.0 || self.crop != 0.0 || self.flip || self.scale != 0.0 || self.translation != [0.0; 2]
    }

    /// Where pixels come from: crop, then mirror, scale, turn and move, backwards.
    pub fn motion(&self) -> Motion {
        const ONE: f32 = 65536.0;
        let (sin, cos) = self.rotation.to_radians().sin_cos();
        let zoom = (1.0 - self.crop) / (1.0 + self.scale);
        let mirror = if self.flip { -1.0 } else { 1.0 };
        let (across, down) = ([zoom * mirror * cos, -zoom * sin], [zoom * mirror * sin, zoom * cos]);
        let centre = (SIDE - 1) as f32 / 2.0;
        let from = self.translation.map(|pixels| -centre - pixels);
        let start: [f32; 2] = std::array::from_fn(|axis| {
            let cut = self.crop * self.crop_at[axis] * SIDE as f32 / 2.0;
            centre + cut + across[axis] * from[0] + down[axis] * from[1]
        });
        let fixed = |value: f32| (value * ONE).round() as i32;
        Motion { start: start.map(fixed), across: across.map(fixed), down: down.map(fixed) }
    }

    /// For each pixel of the target, what lies in the source between the four neighbours of the place that it comes from.
    fn resample(&self, source: &[u8; PIXELS], target: &mut [u8; PIXELS]) {
        // A frame of paper, so that no neighbour is outside.
        const STRIDE: usize = 32;
        let mut framed = [0u8; STRIDE * STRIDE];
        for (row, line) in source.chunks_exact(SIDE).enumerate() {
            framed[(row + 1) * STRIDE + 1..][..SIDE].copy_from_slice(line);
        }
        let Motion { start: mut line, across, down } = self.motion();
        for row in target.chunks_exact_mut(SIDE) {
            let mut place = line;
            for pixel in row {
                let [x, y] = place.map(|value| value.clamp(-1 << 16, (SIDE as i32) << 16) + (1 << 16));
                let at = ((y >> 16) as usize * STRIDE) + (x >> 16) as usize;
                let near = &framed[at..at + STRIDE + 2];
                let corners = [near[0], near[1], near[STRIDE], near[STRIDE + 1]];
                // Most of a digit's image is paper.
                *pixel = if corners == [0; 4] { 0 } else { between(corners, x, y) };
                place = [place[0] + across[0], place[1] + across[1]];
            }
            line = [line[0] + down[0], line[1] + down[1]];
        }
    }

    /// What becomes of a pixel's shade.
    pub fn shading(&self) -> Shading {
        // The sum of four evenly drawn bytes is close to normal (Irwin–Hall); its variance is 4/12 of 256².
        let noise = 255.0 * self.noise * 3f32.sqrt() / 256.0;
        Shading { gain: 1.0 + self.contrast, light: 255.0 * self.brightness, noise, noise_seed: self.noise_seed }
    }

    /// Contrast, brightness and noise in one pass.
    fn shade(&self, pixels: &mut [u8; PIXELS]) {
        let Shading { gain, light, noise, noise_seed } = self.shading();
        let sum: u32 = pixels.iter().map(|&pixel| u32::from(pixel)).sum();
        let mean = sum as f32 / PIXELS as f32;
        // The half is for rounding: a number becomes a byte by its whole part, and one out of range the nearest byte.
        let shift = mean * (1.0 - gain) + light + 0.5;
        if noise == 0.0 {
            for pixel in pixels {
                *pixel = (f32::from(*pixel) * gain + shift) as u8;
            }
            return;
        }
        let shift = shift - 2.0 * 255.0 * noise;
        let mut draws = Draws(noise_seed);
        for pair in pixels.as_chunks_mut::<2>().0 {
            let bits = draws.next();
            for (pixel, bits) in pair.iter_mut().zip([bits as u32, (bits >> 32) as u32]) {
                let sum: u32 = bits.to_le_bytes().map(u32::from).iter().sum();
                *pixel = (f32::from(*pixel) * gain + shift + sum as f32 * noise) as u8;
            }
        }
    }
}

/// The place in an image that each pixel comes from, column and row in 1/65,536 of a pixel. What lies outside is paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Motion {
    /// Where the first pixel comes from.
    pub start: [i32; 2],
    /// From a pixel to the one at its right.
    pub across: [i32; 2],
    /// From a pixel to the one below it.
    pub down: [i32; 2],
}

/// A pixel becomes the byte nearest to `pixel * gain + mean * (1 - gain) + light + noise * (n - 510)`: `mean` is the moved
/// image's, and `n` the sum of four bytes drawn for the pixel. For each two pixels one number of SplitMix64 is drawn,
/// whose lower half is the first one's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shading {
    /// See above.
    pub gain: f32,
    /// See above.
    pub light: f32,
    /// See above; 0 is none.
    pub noise: f32,
    /// What the noise is drawn from.
    pub noise_seed: u64,
}

/// What lies between four neighbours (upper left, upper right, lower left, lower right) at the fractions of the place
/// (x, y), in 1/256.
fn between(corners: [u8; 4], x: i32, y: i32) -> u8 {
    let [a, b, c, d] = corners.map(u32::from);
    let (right, low) = ((x as u32 >> 8) & 255, (y as u32 >> 8) & 255);
    let (upper, lower) = (a * (256 - right) + b * right, c * (256 - right) + d * right);
    ((upper * (256 - low) + lower * low + (1 << 15)) >> 16) as u8
}

/// SplitMix64 (Steele, Lea & Flood 2014): a pixel's noise has to cost about a nanosecond.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Evenly from 0 to 1, never 1.
    fn uniform(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 24) as f32
    }

    /// Evenly from −1 to 1.
    fn signed(&mut self) -> f32 {
        2.0 * self.uniform() - 1.0
    }
}

/// SplitMix64's finaliser.
fn mix(state: u64) -> u64 {
    let state = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ state >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ state >> 31
}
