//! Batches from a set of images that the device keeps as bytes: a workgroup makes one image, changed as augmentation
//! would have it, and its one-hot target. Only what is asked for is sent to the device, a few words for each image.

use burn::tensor::{Device, Tensor, TensorData};
use burn_cubecl::cubecl::bytes::Bytes;
use burn_cubecl::cubecl::server::Handle;
use burn_cubecl::tensor::CubeTensor;

use super::program::{LANES, Program, UNPACK, launch};
use super::{Gpu, buffer, tensor};
use crate::data::augment::{Changes, Motion, Shading};
use crate::data::{Images, PIXELS, SIDE};

/// Words of four pixels in an image.
const WORDS: u32 = PIXELS as u32 / 4;
/// Images sent at once: each takes its room twice on the way, and a tab's memory never shrinks.
const AT_ONCE: usize = 4096;
/// Bytes that a program can see of one buffer on every WebGPU device (`maxStorageBufferBindingSize`).
const MOST: usize = 128 << 20;

/// The copy of a set of images on a GPU.
#[derive(Debug)]
pub struct Kept {
    /// Any tensor on the device.
    like: CubeTensor,
    pixels: Handle,
    /// How many images there is room for, and how many are there.
    room: usize,
    len: usize,
}

impl Kept {
    /// Room for so many images; `None` if the device is no GPU, or can't keep as many.
    pub fn new(room: usize, device: &Device) -> Option<Self> {
        let like = Tensor::<1>::from_data(TensorData::new(vec![0.0f32], [1]), &device.clone().inner());
        let like = like.try_into_primitive::<Gpu>().ok()?;
        let bytes = room.checked_mul(PIXELS).filter(|bytes| (1..=MOST).contains(bytes))?;
        let pixels = like.client.empty(bytes);
        Some(Self { like, pixels, room, len: 0 })
    }

    /// How many images it has room for: the first ones of the set.
    pub fn room(&self) -> usize {
        self.room
    }

    /// Copies those of the first `end` images that are not there yet.
    fn update(&mut self, images: &Images, end: usize) {
        while self.len < end {
            let next = end.min(self.len + AT_ONCE);
            let bytes = images.pixels[self.len * PIXELS..next * PIXELS].to_vec();
            let mut place = self.pixels.clone();
            place.offset_start = (self.len > 0).then_some((self.len * PIXELS) as u64);
            place.offset_end = (next < self.room).then_some(((self.room - next) * PIXELS) as u64);
            self.like.client.write(&place, Bytes::from_bytes_vec(bytes));
            self.len = next;
        }
    }

    /// The images at `indices` of the set that this is the copy of, each with the changes that `draw` gives it, and
    /// their one-hot targets: `[len, 1, 28, 28]` and `[len, classes]`, for autodiff. What is not on the device yet is
    /// copied there, from the first image to the last that is asked for; then it must not change any more.
    ///
    /// # Panics
    /// If an index is not in `images`, or there is no room for it.
    pub fn batch(
        &mut self,
        images: &Images,
        indices: &[u32],
        classes: usize,
        draw: impl Fn(u32) -> Changes,
    ) -> (Tensor<4>, Tensor<2>) {
        let end = indices.iter().max().map_or(0, |&last| last as usize + 1);
        assert!(end <= self.room, "room for every image");
        self.update(images, end);
        let drawn: Vec<Changes> = indices.iter().map(|&index| draw(index)).collect();
        let changed = !drawn.iter().all(Changes::is_none);
        let mut info = vec![indices.len() as u32];
        for (&index, changes) in indices.iter().zip(&drawn) {
            info.extend([index, images.labels[index as usize].into()]);
            if changed {
                let Motion { start, across, down } = changes.motion();
                info.extend([start, across, down].as_flattened().iter().map(|place| place.cast_unsigned()));
                let Shading { gain, light, noise, noise_seed } = changes.shading();
                info.extend([gain, light, noise].map(f32::to_bits));
                info.extend([noise_seed as u32, (noise_seed >> 32) as u32]);
            }
        }
        let (like, len) = (&self.like, indices.len());
        let pixels = tensor(like, buffer(like, len * PIXELS), 0, [len, 1, SIDE, SIDE]);
        let targets = tensor(like, buffer(like, len * classes), 0, [len, classes]);
        let program = Gather { changed, classes: classes as u32 };
        launch(&like.client, program, len as u32, &[&self.pixels, &pixels.handle, &targets.handle], &info);
        (Tensor::from_primitive::<Gpu>(pixels).autodiff(), Tensor::from_primitive::<Gpu>(targets).autodiff())
    }
}

/// An image a workgroup, from `info`: how many there are, and of each its place in the set and its label and, if any is
/// changed, its motion and shading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Gather {
    changed: bool,
    classes: u32,
}

impl Program for Gather {
    fn buffers(&self) -> Vec<(&'static str, &'static str)> {
        vec![("pixels", "u32"), ("images", "vec4f"), ("targets", "f32")]
    }

    fn writes(&self) -> &'static [&'static str] {
        &["images", "targets"]
    }

    fn declarations(&self) -> String {
        if !self.changed {
            return UNPACK.into();
        }
        format!("var<workgroup> sums: array<u32, {LANES}>;\nconst SIDE = {SIDE};\n{UNPACK}{CHANGES}")
    }

    fn body(&self) -> String {
        let classes = self.classes;
        let about = if self.changed { 13 } else { 2 };
        let mut body = format!(
            "if (group >= info[0]) {{ return; }}
let about = 1u + group * {about}u;
let first = info[about] * {WORDS}u;
for (var k = lane; k < {classes}u; k += {LANES}u) {{
targets[group * {classes}u + k] = select(0.0, 1.0, k == info[about + 1u]);
}}
"
        );
        let words = (0..WORDS.div_ceil(LANES)).map(|at| format!("lane + {}u", at * LANES));
        if !self.changed {
            for word in words {
                body += &format!(
                    "if ({word} < {WORDS}u) {{ images[group * {WORDS}u + {word}] = vec4f(unpack(pixels[first + {word}])) / 255.0; }}\n"
                );
            }
            return body;
        }
        body += "let moved = array<vec2i, 3>(point(about + 2u), point(about + 4u), point(about + 6u));
let gain = bitcast<f32>(info[about + 8u]); let noise = bitcast<f32>(info[about + 10u]);
let seed = vec2u(info[about + 11u], info[about + 12u]);
var sum = 0u;
";
        for (at, word) in (0..).zip(words.clone()) {
            body += &format!(
                "var p{at} = vec4u(); if ({word} < {WORDS}u) {{ p{at} = four(first, {word}, moved); sum += p{at}.x + p{at}.y + p{at}.z + p{at}.w; }}\n"
            );
        }
        body += &format!(
            "sums[lane] = sum;
workgroupBarrier();
var total = 0u;
for (var other = 0u; other < {LANES}u; other++) {{ total += sums[other]; }}
let mean = f32(total) / {PIXELS}.0;
let shift = mean * (1.0 - gain) + bitcast<f32>(info[about + 9u]) + 0.5 - 510.0 * noise;
"
        );
        for (at, word) in (0..).zip(words) {
            body += &format!(
                "if ({word} < {WORDS}u) {{
var n = vec4f(); if (noise != 0.0) {{ n = drawn(seed, {word}); }}
images[group * {WORDS}u + {word}] = floor(clamp(vec4f(p{at}) * gain + shift + n * noise, vec4f(), vec4f(255.0))) / 255.0;
}}
"
            );
        }
        body
    }
}

/// What [`Changes::apply`] does, for four pixels at once.
const CHANGES: &str = "
fn point(at: u32) -> vec2i { return bitcast<vec2i>(vec2u(info[at], info[at + 1u])); }

fn pixel(first: u32, row: i32, column: i32) -> u32 {
let inside = (row >= 0) & (row < SIDE) & (column >= 0) & (column < SIDE);
let at = u32(clamp(row, 0, SIDE - 1) * SIDE + clamp(column, 0, SIDE - 1));
return select(0u, (pixels[first + at / 4u] >> (at % 4u * 8u)) & 255u, inside);
}

fn between(first: u32, to: vec2i) -> u32 {
let near = clamp(to, vec2i(-65536), vec2i(SIDE * 65536));
let at = near >> vec2u(16u);
let right = u32(near.x >> 8u) & 255u; let low = u32(near.y >> 8u) & 255u;
let upper = pixel(first, at.y, at.x) * (256u - right) + pixel(first, at.y, at.x + 1) * right;
let lower = pixel(first, at.y + 1, at.x) * (256u - right) + pixel(first, at.y + 1, at.x + 1) * right;
return (upper * (256u - low) + lower * low + 32768u) >> 16u;
}

fn four(first: u32, word: u32, moved: array<vec2i, 3>) -> vec4u {
let pixel = i32(word * 4u); let row = pixel / SIDE; let column = pixel % SIDE;
let start = moved[0] + moved[2] * row + moved[1] * column;
return vec4u(between(first, start), between(first, start + moved[1]),
between(first, start + moved[1] * 2), between(first, start + moved[1] * 3));
}

// Numbers of 64 bits, the lower half first.
fn times(a: vec2u, b: vec2u) -> vec2u {
let a0 = a.x & 65535u; let a1 = a.x >> 16u; let b0 = b.x & 65535u; let b1 = b.x >> 16u;
let low = a0 * b0; let middle = a1 * b0 + (low >> 16u); let other = a0 * b1 + (middle & 65535u);
let high = a1 * b1 + (middle >> 16u) + (other >> 16u);
return vec2u(a.x * b.x, high + a.x * b.y + a.y * b.x);
}

fn shifted(a: vec2u, by: u32) -> vec2u { return a ^ vec2u((a.x >> by) | (a.y << (32u - by)), a.y >> by); }

// The sums of four bytes of each half of the number that SplitMix64 draws for a pair of pixels.
fn pair(seed: vec2u, number: u32) -> vec2f {
let step = times(vec2u(number + 1u, 0u), vec2u(0x7f4a7c15u, 0x9e3779b9u));
let low = seed.x + step.x;
var state = vec2u(low, seed.y + step.y + select(0u, 1u, low < seed.x));
state = times(shifted(state, 30u), vec2u(0x1ce4e5b9u, 0xbf58476du));
state = times(shifted(state, 27u), vec2u(0x133111ebu, 0x94d049bbu));
state = shifted(state, 31u);
let a = unpack(state.x); let b = unpack(state.y);
return vec2f(vec2u(a.x + a.y + a.z + a.w, b.x + b.y + b.z + b.w));
}

fn drawn(seed: vec2u, word: u32) -> vec4f { return vec4f(pair(seed, 2u * word), pair(seed, 2u * word + 1u)); }
";
