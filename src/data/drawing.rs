//! A drawing brought to the form of MNIST's own digits. Pure arithmetic: the page calls it after each stroke, and
//! shows every stage of it.
//!
//! MNIST's digits were cropped, scaled into 20×20 pixels with their shape kept and their edges antialiased, and laid
//! into 28×28 so that the centre of mass of the ink lies in the middle. A network only reads what was prepared in
//! the same way, so the pad does the same: [`rasterize`] the strokes, then [`normalize`] the bitmap.

use super::{PIXELS, SIDE};

/// Side of the box that the ink is scaled into.
pub const BOX: usize = 20;
/// Side of the bitmap that strokes are drawn on: ten pixels for each one of the box.
pub const RASTER: usize = 200;
/// The pixel on which the centre of mass comes to lie: MNIST's own mean is 14.0, to a hundredth of a pixel.
const CENTRE: f32 = (SIDE / 2) as f32;

/// A place on the pad; 0 to 1 from left to right and from top to bottom. What lies outside is cut off.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// From the left.
    pub x: f32,
    /// From the top.
    pub y: f32,
}

/// A grey image, row by row: 0 is paper and 255 is ink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bitmap {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `width × height` bytes.
    pub pixels: Vec<u8>,
}

impl Bitmap {
    /// An empty sheet.
    pub fn new(width: usize, height: usize) -> Self {
        Self { width, height, pixels: vec![0; width * height] }
    }

    /// One pixel.
    pub fn at(&self, x: usize, y: usize) -> u8 {
        self.pixels[y * self.width + x]
    }
}

/// Where the ink is: a rectangle of whole pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crop {
    /// First column.
    pub x: usize,
    /// First row.
    pub y: usize,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// Every stage on the way from a drawing to the network's input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stages {
    /// Where the ink was found.
    pub crop: Crop,
    /// The ink scaled so that its longer side takes 20 pixels, in the middle of 20×20.
    pub fit: Bitmap,
    /// The same ink in 28×28, its centre of mass in the middle: what the network sees.
    pub centred: [u8; PIXELS],
}

/// Draws strokes with a round pen as wide as `pen` (a share of the pad's side). A stroke of one point is a dot.
pub fn rasterize(strokes: &[Vec<Point>], pen: f32) -> Bitmap {
    let mut bitmap = Bitmap::new(RASTER, RASTER);
    let radius = pen / 2.0 * RASTER as f32;
    let scale = |point: &Point| (point.x * RASTER as f32, point.y * RASTER as f32);
    for stroke in strokes {
        if let [only] = stroke.as_slice() {
            segment(&mut bitmap, scale(only), scale(only), radius);
        }
        for pair in stroke.windows(2) {
            segment(&mut bitmap, scale(&pair[0]), scale(&pair[1]), radius);
        }
    }
    bitmap
}

/// Inks each pixel whose centre is no farther than `radius` from the line between two points.
fn segment(bitmap: &mut Bitmap, (ax, ay): (f32, f32), (bx, by): (f32, f32), radius: f32) {
    // `as usize` takes what lies left of the sheet to 0 and what is no number to 0: the ranges can't leave it.
    let range = |a: f32, b: f32, end: usize| {
        let (low, high) = (a.min(b) - radius, a.max(b) + radius);
        (low.floor() as usize)..(high.ceil().max(0.0) as usize).min(end)
    };
    let (dx, dy) = (bx - ax, by - ay);
    let length = dx * dx + dy * dy;
    for y in range(ay, by, bitmap.height) {
        for x in range(ax, bx, bitmap.width) {
            let (px, py) = (x as f32 + 0.5 - ax, y as f32 + 0.5 - ay);
            let along = if length > 0.0 { ((px * dx + py * dy) / length).clamp(0.0, 1.0) } else { 0.0 };
            let (rx, ry) = (px - along * dx, py - along * dy);
            if rx * rx + ry * ry <= radius * radius {
                bitmap.pixels[y * bitmap.width + x] = u8::MAX;
            }
        }
    }
}

/// Takes a drawing the way of MNIST's digits. `None` if there is no ink.
pub fn normalize(bitmap: &Bitmap) -> Option<Stages> {
    let crop = find_ink(bitmap)?;
    let fit = fit(bitmap, crop);
    let centred = centre(&fit);
    Some(Stages { crop, fit, centred })
}

fn find_ink(bitmap: &Bitmap) -> Option<Crop> {
    let inked = |x: usize, y: usize| bitmap.at(x, y) > 0;
    let row = |y: &usize| (0..bitmap.width).any(|x| inked(x, *y));
    let column = |x: &usize| (0..bitmap.height).any(|y| inked(*x, y));
    let top = (0..bitmap.height).find(row)?;
    let bottom = (0..bitmap.height).rev().find(row)?;
    let left = (0..bitmap.width).find(column)?;
    let right = (0..bitmap.width).rev().find(column)?;
    Some(Crop { x: left, y: top, width: right - left + 1, height: bottom - top + 1 })
}

/// Scales the crop into the box. Each new pixel is the mean of what it covers, which is what antialiases the edges.
fn fit(bitmap: &Bitmap, crop: Crop) -> Bitmap {
    let longer = crop.width.max(crop.height);
    let scaled = |side: usize| ((side * BOX + longer / 2) / longer).max(1);
    let (width, height) = (scaled(crop.width), scaled(crop.height));
    let (left, top) = ((BOX - width) / 2, (BOX - height) / 2);
    let (step_x, step_y) = (crop.width as f32 / width as f32, crop.height as f32 / height as f32);
    let mut fit = Bitmap::new(BOX, BOX);
    for y in 0..height {
        for x in 0..width {
            let mut sum = 0.0;
            for (sy, share_y) in covered(y, step_y, crop.height) {
                for (sx, share_x) in covered(x, step_x, crop.width) {
                    sum += share_x * share_y * f32::from(bitmap.at(crop.x + sx, crop.y + sy));
                }
            }
            fit.pixels[(top + y) * BOX + left + x] = (sum / (step_x * step_y)).round() as u8;
        }
    }
    fit
}

/// The source pixels under target pixel `index`, each with the length of the overlap.
fn covered(index: usize, step: f32, end: usize) -> impl Iterator<Item = (usize, f32)> {
    let (from, to) = (index as f32 * step, (index + 1) as f32 * step);
    (from as usize..(to.ceil() as usize).min(end))
        .map(move |at| (at, (to.min((at + 1) as f32) - from.max(at as f32)).max(0.0)))
}

/// Lays the box into the field by whole pixels, so that nothing is blurred a second time.
fn centre(fit: &Bitmap) -> [u8; PIXELS] {
    let (mut mass, mut sum_x, mut sum_y) = (0.0, 0.0, 0.0);
    for y in 0..BOX {
        for x in 0..BOX {
            let ink = f32::from(fit.at(x, y));
            mass += ink;
            sum_x += ink * x as f32;
            sum_y += ink * y as f32;
        }
    }
    let mut centred = [0; PIXELS];
    if mass == 0.0 {
        return centred;
    }
    let shift = |sum: f32| (CENTRE - sum / mass).round() as isize;
    let (shift_x, shift_y) = (shift(sum_x), shift(sum_y));
    for y in 0..BOX {
        for x in 0..BOX {
            let (to_x, to_y) = (x as isize + shift_x, y as isize + shift_y);
            let field = 0..SIDE as isize;
            if field.contains(&to_x) && field.contains(&to_y) {
                centred[to_y as usize * SIDE + to_x as usize] = fit.at(x, y);
            }
        }
    }
    centred
}
