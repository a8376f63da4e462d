//! Digits drawn by a program, for machines on which MNIST can't be had: the page then still has something to train
//! on. They are never called MNIST.
//!
//! Each digit has a few ways of being written, as strokes through points. A drawing takes one of them, moves each
//! point a little, bends, slants, turns and stretches the whole, picks a pen, and then goes the way that a drawing
//! on the pad goes ([`super::drawing`]), so the form is MNIST's: ink in 20×20, its centre of mass in the middle.
//!
//! Called at set-up and by tests. Only `+ − × ÷` and square roots are used, no sine from the platform's library, so that
//! the digits are the same bytes on every machine.

use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

use super::drawing::{Point, normalize, rasterize};
use super::{CLASSES, Images, PIXELS};

/// Points that a stroke runs smoothly through, x to the right and y down, 0 to 1. A stroke that starts exactly where
/// another one ended goes on from there, with a corner.
type Stroke = &'static [(f32, f32)];

/// For each digit the ways to write it.
const DIGITS: [&[&[Stroke]]; CLASSES] = [
    &[
        &[&[
            (0.56, 0.0),
            (0.24, 0.12),
            (0.08, 0.5),
            (0.22, 0.9),
            (0.5, 1.0),
            (0.8, 0.86),
            (0.92, 0.48),
            (0.78, 0.1),
            (0.5, 0.0),
        ]],
        &[&[
            (0.7, 0.06),
            (0.4, 0.04),
            (0.16, 0.3),
            (0.12, 0.7),
            (0.36, 1.0),
            (0.72, 0.88),
            (0.9, 0.5),
            (0.76, 0.12),
            (0.48, 0.1),
        ]],
        &[&[
            (0.5, 0.0),
            (0.28, 0.2),
            (0.22, 0.55),
            (0.34, 0.92),
            (0.54, 1.0),
            (0.72, 0.84),
            (0.8, 0.5),
            (0.7, 0.14),
            (0.46, 0.02),
        ]],
    ],
    &[
        &[&[(0.5, 0.0), (0.5, 0.5), (0.5, 1.0)]],
        &[&[(0.3, 0.2), (0.52, 0.0)], &[(0.52, 0.0), (0.52, 0.5), (0.5, 1.0)]],
        &[&[(0.32, 0.18), (0.5, 0.0)], &[(0.5, 0.0), (0.5, 0.98)], &[(0.26, 1.0), (0.5, 0.98), (0.76, 1.0)]],
        &[&[(0.54, 0.0), (0.48, 0.35), (0.52, 0.7), (0.48, 1.0)]],
    ],
    &[
        &[
            &[(0.14, 0.22), (0.32, 0.03), (0.66, 0.02), (0.82, 0.24), (0.64, 0.55), (0.12, 0.98)],
            &[(0.12, 0.98), (0.5, 0.95), (0.9, 0.98)],
        ],
        &[&[
            (0.18, 0.2),
            (0.44, 0.0),
            (0.76, 0.16),
            (0.66, 0.5),
            (0.34, 0.86),
            (0.12, 0.98),
            (0.1, 0.82),
            (0.32, 0.78),
            (0.6, 0.94),
            (0.92, 0.92),
        ]],
        &[
            &[(0.1, 0.1), (0.46, 0.02), (0.76, 0.1), (0.74, 0.38), (0.42, 0.7), (0.1, 0.96)],
            &[(0.1, 0.96), (0.88, 1.0)],
        ],
    ],
    &[
        &[
            &[(0.16, 0.12), (0.46, 0.0), (0.76, 0.14), (0.7, 0.38), (0.42, 0.48)],
            &[(0.42, 0.48), (0.78, 0.58), (0.84, 0.82), (0.54, 1.0), (0.14, 0.9)],
        ],
        &[
            &[(0.14, 0.04), (0.78, 0.02)],
            &[(0.78, 0.02), (0.42, 0.4)],
            &[(0.42, 0.4), (0.76, 0.5), (0.84, 0.78), (0.56, 1.0), (0.14, 0.92)],
        ],
        &[&[
            (0.2, 0.14),
            (0.5, 0.0),
            (0.72, 0.2),
            (0.5, 0.44),
            (0.36, 0.48),
            (0.54, 0.48),
            (0.8, 0.68),
            (0.66, 0.96),
            (0.34, 1.0),
            (0.12, 0.86),
        ]],
    ],
    &[
        &[
            &[(0.24, 0.02), (0.16, 0.34), (0.14, 0.56)],
            &[(0.14, 0.56), (0.5, 0.54), (0.86, 0.52)],
            &[(0.78, 0.0), (0.72, 0.5), (0.68, 1.0)],
        ],
        &[
            &[(0.66, 0.0), (0.36, 0.34), (0.08, 0.66)],
            &[(0.08, 0.66), (0.92, 0.64)],
            &[(0.66, 0.0), (0.66, 0.5), (0.64, 1.0)],
        ],
        &[
            &[(0.2, 0.06), (0.18, 0.34), (0.3, 0.52), (0.56, 0.48), (0.78, 0.3)],
            &[(0.8, 0.04), (0.78, 0.3), (0.7, 0.66), (0.68, 1.0)],
        ],
    ],
    &[
        &[
            &[(0.26, 0.04), (0.2, 0.44)],
            &[(0.2, 0.44), (0.5, 0.38), (0.82, 0.56), (0.78, 0.86), (0.46, 1.0), (0.12, 0.9)],
            &[(0.26, 0.04), (0.84, 0.02)],
        ],
        &[
            &[(0.84, 0.02), (0.54, 0.04), (0.3, 0.06)],
            &[(0.3, 0.06), (0.22, 0.4), (0.52, 0.44), (0.78, 0.62), (0.7, 0.9), (0.4, 1.0), (0.1, 0.92)],
        ],
        &[&[(0.88, 0.0), (0.5, 0.06), (0.32, 0.2), (0.36, 0.4), (0.64, 0.56), (0.7, 0.8), (0.46, 1.0), (0.14, 0.96)]],
    ],
    &[
        &[&[
            (0.68, 0.0),
            (0.38, 0.22),
            (0.18, 0.6),
            (0.28, 0.94),
            (0.6, 1.0),
            (0.8, 0.78),
            (0.66, 0.56),
            (0.38, 0.6),
            (0.2, 0.8),
        ]],
        &[&[(0.48, 0.0), (0.28, 0.3), (0.22, 0.7), (0.4, 0.98), (0.7, 0.94), (0.76, 0.7), (0.54, 0.58), (0.26, 0.72)]],
        &[&[
            (0.82, 0.06),
            (0.48, 0.08),
            (0.2, 0.4),
            (0.16, 0.78),
            (0.44, 1.0),
            (0.78, 0.86),
            (0.72, 0.58),
            (0.4, 0.54),
            (0.18, 0.7),
        ]],
    ],
    &[
        &[&[(0.12, 0.06), (0.5, 0.04), (0.86, 0.02)], &[(0.86, 0.02), (0.6, 0.48), (0.42, 1.0)]],
        &[
            &[(0.1, 0.16), (0.18, 0.04), (0.5, 0.08), (0.84, 0.04)],
            &[(0.84, 0.04), (0.66, 0.36), (0.52, 0.7), (0.48, 1.0)],
        ],
        &[&[(0.14, 0.04), (0.84, 0.02)], &[(0.84, 0.02), (0.58, 0.5), (0.38, 1.0)], &[(0.34, 0.5), (0.82, 0.48)]],
    ],
    &[
        &[&[
            (0.74, 0.12),
            (0.46, 0.0),
            (0.24, 0.2),
            (0.46, 0.44),
            (0.76, 0.7),
            (0.6, 0.98),
            (0.3, 0.94),
            (0.22, 0.7),
            (0.5, 0.46),
            (0.78, 0.22),
            (0.7, 0.08),
        ]],
        &[
            &[(0.5, 0.46), (0.26, 0.3), (0.34, 0.04), (0.64, 0.02), (0.74, 0.28), (0.5, 0.46)],
            &[(0.5, 0.46), (0.22, 0.66), (0.28, 0.96), (0.66, 0.98), (0.8, 0.7), (0.5, 0.46)],
        ],
        &[&[
            (0.6, 0.42),
            (0.3, 0.34),
            (0.34, 0.06),
            (0.64, 0.0),
            (0.76, 0.22),
            (0.54, 0.5),
            (0.32, 0.76),
            (0.4, 1.0),
            (0.62, 0.94),
            (0.66, 0.66),
            (0.46, 0.4),
        ]],
    ],
    &[
        &[
            &[(0.78, 0.14), (0.5, 0.0), (0.22, 0.18), (0.28, 0.46), (0.58, 0.46), (0.78, 0.14)],
            &[(0.78, 0.14), (0.74, 0.56), (0.66, 1.0)],
        ],
        &[
            &[(0.74, 0.12), (0.42, 0.02), (0.18, 0.28), (0.34, 0.5), (0.66, 0.36), (0.76, 0.12)],
            &[(0.76, 0.12), (0.8, 0.5), (0.64, 0.88), (0.28, 0.98)],
        ],
        &[&[(0.7, 0.3), (0.44, 0.5), (0.22, 0.34), (0.4, 0.04), (0.7, 0.06), (0.74, 0.4), (0.62, 0.72), (0.44, 1.0)]],
    ],
];

/// `count` digits with their labels, each class as often as the others and in mixed order. The same `seed` gives the
/// same bytes on every machine, and the first digits of a longer set are those of a shorter one.
pub fn generate(count: usize, seed: u64) -> Images {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut images = Images { pixels: Vec::with_capacity(count * PIXELS), labels: Vec::with_capacity(count) };
    let mut round: [u8; CLASSES] = std::array::from_fn(|digit| digit as u8);
    while images.len() < count {
        super::order::shuffle(&mut round, &mut rng);
        for digit in round.into_iter().take(count - images.len()) {
            images.pixels.extend_from_slice(&draw(usize::from(digit), &mut rng));
            images.labels.push(digit);
        }
    }
    images
}

/// One digit, written anew.
fn draw(digit: usize, rng: &mut ChaCha8Rng) -> [u8; PIXELS] {
    let ways = DIGITS[digit];
    let way = ways[rng.random_range(0..ways.len())];
    let hand = Hand::new(rng);
    let mut strokes: Vec<Vec<Point>> = Vec::with_capacity(way.len());
    let mut written: Vec<((f32, f32), Point)> = Vec::new();
    for stroke in way {
        let points: Vec<Point> = stroke
            .iter()
            .map(|&point| match written.iter().find(|(before, _)| *before == point) {
                Some(&(_, moved)) => moved,
                None => {
                    let moved = hand.place(point, rng);
                    written.push((point, moved));
                    moved
                }
            })
            .collect();
        strokes.push(smooth(&points));
    }
    normalize(&rasterize(&strokes, hand.pen)).expect("the strokes lie on the sheet").centred
}

/// How one drawing is written: what is the same for all of its points.
struct Hand {
    pen: f32,
    shake: f32,
    bend: [f32; 2],
    size: [f32; 2],
    slant: f32,
    cos: f32,
    sin: f32,
}

impl Hand {
    fn new(rng: &mut ChaCha8Rng) -> Hand {
        // The tangent of half the angle: sine and cosine follow from it by arithmetic alone. 0.1 is 11°.
        let half: f32 = rng.random_range(-0.1..0.1);
        Hand {
            pen: rng.random_range(0.045..0.105),
            shake: rng.random_range(0.01..0.055),
            bend: [rng.random_range(-0.25..0.25), rng.random_range(-0.2..0.2)],
            size: [rng.random_range(0.34..0.62), 0.6],
            slant: bell(rng, 0.22) + 0.1,
            cos: (1.0 - half * half) / (1.0 + half * half),
            sin: 2.0 * half / (1.0 + half * half),
        }
    }

    /// Where a point of the stroke model comes to lie on the sheet.
    fn place(&self, (x, y): (f32, f32), rng: &mut ChaCha8Rng) -> Point {
        let (x, y) = (x - 0.5 + bell(rng, self.shake), y - 0.5 + bell(rng, self.shake));
        let (x, y) = (x + self.bend[0] * (y * y - 0.08), y + self.bend[1] * (x * x - 0.08));
        let (x, y) = (x * self.size[0] - y * self.size[1] * self.slant, y * self.size[1]);
        Point { x: 0.5 + self.cos * x - self.sin * y, y: 0.5 + self.sin * x + self.cos * y }
    }
}

/// A number near 0, bell-shaped, its standard deviation about `spread`.
fn bell(rng: &mut ChaCha8Rng, spread: f32) -> f32 {
    (0..3).map(|_| rng.random_range(-1.0..1.0f32)).sum::<f32>() * spread
}

/// A smooth line through all points (Catmull–Rom), as short straight pieces.
fn smooth(points: &[Point]) -> Vec<Point> {
    const PIECES: usize = 6;
    let at = |index: isize| points[index.clamp(0, points.len() as isize - 1) as usize];
    let mut line = Vec::with_capacity(points.len() * PIECES);
    for index in 0..points.len() as isize - 1 {
        let [a, b, c, d] = [at(index - 1), at(index), at(index + 1), at(index + 2)];
        for piece in 0..PIECES {
            let t = piece as f32 / PIECES as f32;
            let along = |a: f32, b: f32, c: f32, d: f32| {
                b + 0.5 * t * (c - a + t * (2.0 * a - 5.0 * b + 4.0 * c - d + t * (3.0 * (b - c) + d - a)))
            };
            line.push(Point { x: along(a.x, b.x, c.x, d.x), y: along(a.y, b.y, c.y, d.y) });
        }
    }
    line.extend(points.last().copied());
    line
}
