//! Pixels that are the same numbers, as all are that a first layer made of blank windows
//! ([`crate::Bordered::blank_windows`]), and how backward profits from that ([`crate::sparse`]). What is summed over many
//! pairs of a gradient and a factor, where the factor is always the same one, is the sum of the gradients times that
//! factor. So what the winners carry to such pixels is added up for each tap of each output, a number each, and multiplied
//! once: by the pixels themselves for the gradient of the weights, by the weights for the sum of the pixels' gradients.

use crate::aligned::Aligned;
use crate::simd::F4;
use crate::{OFF, Shape};

/// Pixels that are alike, and what each tap of each output carries to them, summed.
pub struct Alike<'a> {
    /// `[output][tap row][three taps, and a number that means nothing]`
    sums: Aligned,
    /// `[image][row][column]`
    pixels: &'a [bool],
    height: usize,
    width: usize,
    /// The image that is looked at, if any is.
    image: Option<usize>,
    /// One where a pixel of it is alike, with a border of zeros.
    marks: Vec<f32>,
    /// Whether a pixel of it is alike, or of the border.
    is_alike: Vec<bool>,
}

impl<'a> Alike<'a> {
    pub fn new(shape: &Shape, pixels: &'a [bool]) -> Self {
        let &Shape { height, width, outputs, .. } = shape;
        // One more than there are, for the last row is looked at by four.
        let len = (height + 2) * (width + 2) + 1;
        let (marks, is_alike) = (vec![0.0; len], vec![true; len]);
        Self { sums: Aligned::zeros(outputs * 12), pixels, height, width, image: None, marks, is_alike }
    }

    /// The first of them.
    pub fn first(&self) -> Option<usize> {
        self.pixels.iter().position(|&alike| alike)
    }

    /// Looks at an image from now on.
    pub fn look_at(&mut self, image: usize) {
        if self.image.replace(image) == Some(image) {
            return;
        }
        let pixels = &self.pixels[image * self.height * self.width..];
        for (row, pixels) in pixels.chunks_exact(self.width).enumerate().take(self.height) {
            let at = (row + 1) * (self.width + 2) + 1;
            self.is_alike[at..at + self.width].copy_from_slice(pixels);
            for (mark, &alike) in self.marks[at..at + self.width].iter_mut().zip(pixels) {
                *mark = f32::from(u8::from(alike));
            }
        }
    }

    /// Whether a pixel is.
    pub fn is(&self, y: usize, x: usize) -> bool {
        self.is_alike[(y + 1) * (self.width + 2) + x + 1]
    }

    /// Whether all are that a window sees, or of the border.
    pub fn is_all(&self, y: usize, x: usize) -> bool {
        let from = &self.is_alike[2 * y * (self.width + 2) + 2 * x..];
        (0..4).all(|row| from[row * (self.width + 2)..].first_chunk() == Some(&[true; 4]))
    }

    /// Adds what a window's winners carry.
    pub fn add_window(&mut self, y: usize, x: usize, bytes: &[u8], gradients: &[f32]) {
        let carrying = bytes.iter().zip(gradients).enumerate().filter(|(_, (byte, _))| **byte < OFF);
        for (output, (&byte, &gradient)) in carrying {
            let place = usize::from(byte);
            let marks = self.around(2 * y + place / 2, 2 * x + place % 2);
            self.add(output, gradient, marks);
        }
    }

    /// The marks of the nine pixels that one sees.
    #[inline(always)]
    pub fn around(&self, y: usize, x: usize) -> [F4; 3] {
        let from = &self.marks[y * (self.width + 2) + x..][..2 * (self.width + 2) + 4];
        // SAFETY: four floats each.
        [0, 1, 2].map(|row| unsafe { F4::load(from.as_ptr().add(row * (self.width + 2))) })
    }

    /// Adds what an output's winner carries to marked ones.
    #[inline(always)]
    pub fn add(&mut self, output: usize, gradient: f32, marks: [F4; 3]) {
        let sums = &mut self.sums[output * 12..][..12];
        for (sums, marks) in sums.as_chunks_mut::<4>().0.iter_mut().zip(marks) {
            // SAFETY: four floats.
            unsafe {
                (F4::load(sums.as_ptr()) + F4::splat(gradient) * marks).store(sums.as_mut_ptr());
            }
        }
    }

    /// What a tap of an output carries to them, summed.
    pub fn carried(&self, output: usize, tap: usize) -> f32 {
        self.sums[output * 12 + tap / 3 * 4 + tap % 3]
    }
}
