//! Images with a border of zeros, so that no kernel asks whether a tap falls inside.

use std::sync::Arc;

use crate::Shape;
use crate::aligned::Aligned;
use crate::simd::{Bits, F4};

/// A batch as `[image][row + 2][column + 2][channel]`, zeros all around it, channels padded with zeros to a multiple of
/// four (fewer than four are left as they are: a filter's row of them is taken as one run of floats).
#[derive(Debug)]
pub struct Bordered {
    pub(crate) data: Aligned,
    /// Channels, padding included.
    pub(crate) channels: usize,
    /// Floats from a row to the next.
    pub(crate) row: usize,
    /// Floats from an image to the next.
    pub(crate) image: usize,
    /// See [`Bordered::blank_windows`].
    blank: Option<Arc<[bool]>>,
}

/// What a vector may read past the last float.
const SLACK: usize = 16;

/// Of so many windows less than one is too few: what the second layer does for blank ones costs a tenth of what they spare.
const FEW: usize = 8;

/// Channels that so many become.
fn padded(inputs: usize) -> usize {
    if inputs < 4 { inputs } else { inputs.next_multiple_of(4) }
}

impl Bordered {
    /// Copies a batch.
    ///
    /// # Panics
    /// If `input` is not of that shape.
    pub fn new(shape: &Shape, input: &[f32]) -> Self {
        let Shape { batch, height, width, inputs, .. } = *shape;
        assert_eq!(input.len(), shape.input_len(), "the input is of another shape");
        let channels = padded(inputs);
        let row = (width + 2) * channels;
        let image = (height + 2) * row;
        let data = Aligned::build(batch * image + SLACK, |data| {
            for rows in input.chunks_exact(height * width * inputs) {
                // The row above with the pixel before the next one; then behind each row the last pixel and the next first.
                data.resize(data.len() + row + channels, 0.0);
                for from in rows.chunks_exact(width * inputs) {
                    if channels == inputs {
                        data.extend_from_slice(from);
                    } else {
                        for pixel in from.chunks_exact(inputs) {
                            data.extend_from_slice(pixel);
                            data.resize(data.len() + channels - inputs, 0.0);
                        }
                    }
                    data.resize(data.len() + 2 * channels, 0.0);
                }
                data.resize(data.len() + row - channels, 0.0);
            }
            data.resize(data.len() + SLACK, 0.0);
        });
        let mut bordered = Self { data, channels, row, image, blank: None };
        if bordered.is_thin() {
            bordered.blank = bordered.find_blank(shape);
        }
        bordered
    }

    /// Asserts that it was made of a batch of that shape: what the kernels read without a check lies inside then.
    pub(crate) fn check(&self, shape: &Shape) {
        let channels = padded(shape.inputs);
        let (row, rows) = ((shape.width + 2) * channels, shape.height + 2);
        let fits = self.channels == channels && self.row == row && self.image == rows * row;
        assert!(fits && self.data.len() == shape.batch * self.image + SLACK, "the input is of another shape");
    }

    /// Whether a filter's row of all channels is taken as one run of floats.
    pub(crate) fn is_thin(&self) -> bool {
        self.channels < 4
    }

    /// `[image][row][column]` of the windows of a 2×2 pool after a convolution: which of them see nothing but zeros, and so
    /// come out equal. `None` if they are too few to be worth a thought; of more than three channels it isn't asked.
    pub fn blank_windows(&self) -> Option<&Arc<[bool]>> {
        self.blank.as_ref()
    }

    /// Whether that window is one of them.
    #[inline(always)]
    pub(crate) fn is_blank(&self, window: usize) -> bool {
        self.blank.as_ref().is_some_and(|blank| blank[window])
    }

    /// [`Bordered::blank_windows`], looked for.
    fn find_blank(&self, shape: &Shape) -> Option<Arc<[bool]>> {
        let (rows, columns) = shape.pooled();
        let sees_nothing = |row: usize, column: usize| {
            let patch = self.patch(row / rows, 2 * (row % rows), 2 * column);
            let patch = &self.data[patch..patch + 3 * self.row + 4 * self.channels];
            let mut bits = Bits::zero();
            for four in 0..self.channels {
                for row in 0..4 {
                    // SAFETY: four of the row's `4 × channels` floats.
                    bits = bits.or(unsafe { F4::load(patch.as_ptr().add(row * self.row + 4 * four)) }.to_bits());
                }
            }
            bits.is_zero()
        };
        let mut blank = Vec::with_capacity(shape.windows());
        for row in 0..shape.batch * rows {
            blank.extend((0..columns).map(|column| sees_nothing(row, column)));
        }
        let count = blank.iter().filter(|&&blank| blank).count();
        (count > 0 && count >= blank.len() / FEW).then(|| blank.into())
    }

    /// Where the 3×3 patch around a pixel begins.
    pub(crate) fn patch(&self, image: usize, y: usize, x: usize) -> usize {
        image * self.image + y * self.row + x * self.channels
    }
}
