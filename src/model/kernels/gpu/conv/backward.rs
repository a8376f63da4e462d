//! Backward: one program makes all gradients of a layer. Its first workgroups make those of weights and bias, the others
//! the input's.
//!
//! A workgroup of the first kind has several tiles: each is one row of taps of four input channels (or the only one)
//! and eight output channels. The lanes of a tile share the rows of all images, and add up at the end.
//!
//! A thread of the second kind makes one block of pixels, for several images and channels.

use std::fmt::Write as _;

use super::place::{self, Axis, On};
use super::{OFF, Shape, XYZW, element, part, zero};
use crate::model::kernels::gpu::bias_at;
use crate::model::kernels::gpu::program::{LANES, Program, UNPACK};
use crate::model::kernels::gpu::tile::Tile;

/// Lanes of a tile, at most: more would have too little to do.
const MOST_LANES: u32 = 32;

/// The program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Backward {
    shape: Shape,
    /// The output's gradient, and without a pool the output, have their channels second.
    planar: bool,
    /// For the input's gradient, if it is wanted.
    tile: Option<Tile>,
    /// Lanes of a tile of weights.
    lanes: u32,
}

impl Backward {
    /// About so many threads sum up the weights' gradients.
    pub fn new(shape: Shape, planar: bool, tile: Option<Tile>, threads: u32) -> Self {
        let mut program = Self { shape, planar, tile, lanes: 1 };
        program.lanes = (threads / program.tiles()).max(1).next_power_of_two().min(MOST_LANES);
        program
    }

    /// Workgroups for so many images.
    pub fn groups(&self, images: u32) -> u32 {
        let Some(tile) = self.tile else { return self.weight_groups() };
        let [rows, columns] = self.shape.blocks();
        let threads = images.div_ceil(tile.images) * rows.blocks * columns.blocks * self.made(tile);
        self.weight_groups() + threads.div_ceil(LANES)
    }

    /// Input channels that a tile of weights has.
    fn step(&self) -> u32 {
        self.shape.inputs.min(4)
    }

    fn tiles(&self) -> u32 {
        self.shape.inputs / self.step() * self.shape.outputs.div_ceil(8) * 3
    }

    /// Workgroups for the weights.
    fn weight_groups(&self) -> u32 {
        self.tiles().div_ceil(LANES / self.lanes)
    }

    /// Fours of sums that a lane keeps for a tap; with the first tap go the bias's two.
    fn kept(&self, tap: u32) -> u32 {
        2 * self.step() + if tap == 0 { 2 } else { 0 }
    }

    /// Groups of the input's channels, of which a thread makes one.
    fn made(&self, tile: Tile) -> u32 {
        let Shape { inputs, .. } = self.shape;
        if inputs == 1 { 1 } else { inputs / (4 * tile.groups) }
    }

    /// How many of the output's channels are loaded at once.
    fn at_once(&self) -> u32 {
        if self.planar { 1 } else { self.tile.map_or(4, |tile| tile.step) }
    }

    /// Four channels of the gradient (or of the output) at a pixel or window.
    fn load(&self, from: &str, image: &str, place: &str, o: &str) -> String {
        let (rows, columns) = self.shape.output();
        let each = |at: u32| self.load_one(from, image, place, &format!("{o} * 4u + {at}u"));
        match self.at_once() {
            1 => format!("vec4f({}, {}, {}, {})", each(0), each(1), each(2), each(3)),
            _ => format!("{from}[({image} * {}u + {place}) * {}u + {o}]", rows * columns, self.shape.outputs / 4),
        }
    }

    /// One channel of that.
    fn load_one(&self, from: &str, image: &str, place: &str, channel: &str) -> String {
        let (rows, columns) = self.shape.output();
        let (outputs, size) = (self.shape.outputs, rows * columns);
        match self.planar {
            true => format!("{from}[({image} * {outputs}u + {channel}) * {size}u + {place}]"),
            false => format!("{from}[({image} * {size}u + {place}) * {outputs}u + {channel}]"),
        }
    }

    /// The winners of a window's four channels, in one word.
    fn winners(&self, image: &str, place: &str, o: &str) -> String {
        let (rows, columns) = self.shape.output();
        format!("saved[({image} * {}u + {place}) * {}u + {o}]", rows * columns, self.shape.outputs / 4)
    }

    fn weights_body(&self) -> String {
        let Shape { height, width, inputs: all_inputs, outputs, pool } = self.shape;
        let (rows, columns) = self.shape.output();
        let (step, lanes, tiles) = (self.step(), self.lanes, LANES / self.lanes);
        let (inputs, groups, zero) = (all_inputs / step, outputs / 4, zero(step));
        let mut body = format!(
            "let tile = group * {tiles}u + lane % {tiles}u;
let i = tile % {inputs}u;
let ky = tile / {inputs}u % 3u;
let o0 = min(tile / {}u, {}u) * 2u;
let o1 = min(o0 + 1u, {}u);
",
            3 * inputs,
            outputs.div_ceil(8) - 1,
            groups - 1,
        );
        for half in 0..2 {
            let _ = writeln!(body, "var bias{half} = vec4f();");
            for tap in 0..3 {
                for channel in 0..step {
                    let _ = writeln!(body, "var sum{tap}{half}{channel} = vec4f();");
                }
            }
        }
        // Adds what one output pixel gives, whose three inputs have these names.
        let add = |body: &mut String, gradient: &str, values: [String; 3]| {
            for (tap, value) in values.iter().enumerate() {
                for half in 0..2 {
                    for channel in 0..step {
                        let value = part(value, channel, step);
                        let _ = writeln!(body, "sum{tap}{half}{channel} += {value} * {gradient}{half};");
                    }
                }
            }
        };
        let _ = writeln!(
            body,
            "for (var unit = lane / {tiles}u; unit < images * {rows}u; unit += {lanes}u) {{
let image = unit / {rows}u;
let row = unit % {rows}u;",
        );
        let lines = if pool { 2 } else { 1 };
        for r in 0..lines {
            let _ = writeln!(
                body,
                "let y{r} = i32(row * {lines}u + {r}u + ky) - 1; let in_y{r} = (y{r} >= 0) & (y{r} < {height});
let line{r} = (image * {height}u + u32(clamp(y{r}, 0, {}))) * {width}u;
var p{r}0 = {zero}; var p{r}1 = select({zero}, input[line{r} * {inputs}u + i], in_y{r});",
                height - 1,
            );
        }
        let _ = writeln!(body, "for (var column = 0u; column < {columns}u; column++) {{");
        let place = format!("(row * {columns}u + column)");
        for half in 0..2 {
            let o = format!("o{half}");
            let gradient = self.load("gradient", "image", &place, &o);
            if pool {
                let _ = writeln!(
                    body,
                    "let g{half} = {gradient}; let winner{half} = unpack({});
bias{half} += select(g{half}, vec4f(), winner{half} == vec4u({OFF}u));",
                    self.winners("image", &place, &o)
                );
            } else {
                let _ = writeln!(
                    body,
                    "let d{half} = select(vec4f(), {gradient}, {} > vec4f()); bias{half} += d{half};",
                    self.load("saved", "image", &place, &o)
                );
            }
        }
        if pool {
            for r in 0..2 {
                let _ = writeln!(
                    body,
                    "let p{r}2 = select({zero}, input[(line{r} + column * 2u + 1u) * {inputs}u + i], in_y{r});
let p{r}3 = select({zero}, input[(line{r} + min(column * 2u + 2u, {}u)) * {inputs}u + i], in_y{r} & (column * 2u + 2u < {width}u));",
                    width - 1,
                );
            }
            for pixel in 0..4 {
                let (r, c) = (pixel / 2, pixel % 2);
                for half in 0..2 {
                    let _ = writeln!(
                        body,
                        "let d{pixel}{half} = select(vec4f(), g{half}, winner{half} == vec4u({pixel}u));"
                    );
                }
                add(&mut body, &format!("d{pixel}"), [0, 1, 2].map(|tap| format!("p{r}{}", c + tap)));
            }
            body.push_str("p00 = p02; p01 = p03; p10 = p12; p11 = p13;\n");
        } else {
            let _ = writeln!(
                body,
                "let p02 = select({zero}, input[(line0 + min(column + 1u, {}u)) * {inputs}u + i], in_y0 & (column + 1u < {width}u));",
                width - 1,
            );
            add(&mut body, "d", [0, 1, 2].map(|tap| format!("p0{tap}")));
            body.push_str("p00 = p01; p01 = p02;\n");
        }
        body.push_str("}\n}\n");
        if lanes == 1 {
            self.store(&mut body);
        } else {
            (0..3).for_each(|tap| self.reduce(&mut body, tap));
        }
        body
    }

    /// Stores a sum of four output channels, from `o` on, for the tile's input channel `at`.
    fn store_weights(&self, body: &mut String, tap: u32, sum: &str) {
        let inputs = self.shape.inputs;
        for (at, part) in XYZW.into_iter().enumerate() {
            let _ = writeln!(body, "gradients[((o + {at}u) * {inputs}u + at) * 9u + ky * 3u + {tap}u] = {sum}.{part};");
        }
    }

    /// Stores the bias's sum of four output channels, group `half`.
    fn store_bias(&self, body: &mut String, sum: &str) {
        let at = bias_at(9 * (self.shape.inputs * self.shape.outputs) as usize);
        for (channel, part) in XYZW.into_iter().enumerate() {
            let _ = writeln!(body, "gradients[{at}u + half * 4u + {channel}u] = {sum}.{part};");
        }
    }

    /// Where a tile has one lane, that stores all of its sums.
    fn store(&self, body: &mut String) {
        let (step, groups) = (self.step(), self.shape.outputs / 4);
        for half in 0..2 {
            let _ = writeln!(
                body,
                "if ((tile < {}u) & (o0 + {half}u < {groups}u)) {{ let half = o0 + {half}u; let o = half * 4u;",
                self.tiles()
            );
            for channel in 0..step {
                let _ = writeln!(body, "{{ let at = i * {step}u + {channel}u;");
                (0..3).for_each(|tap| self.store_weights(body, tap, &format!("sum{tap}{half}{channel}")));
                body.push_str("}\n");
            }
            body.push_str("if ((i == 0u) & (ky == 0u)) {\n");
            self.store_bias(body, &format!("bias{half}"));
            body.push_str("}\n}\n");
        }
    }

    /// Sums over a tile's lanes, for one tap. Each lane then has some of its tile's sums to store.
    fn reduce(&self, body: &mut String, tap: u32) {
        let outputs = self.shape.outputs;
        let (step, lanes, tiles) = (self.step(), self.lanes, LANES / self.lanes);
        // Lanes are neighbours in the workgroup's memory, so that they never ask one bank of it for two numbers.
        let keep = |body: &mut String, place: u32, name: &str| {
            for (at, part) in (0..).zip(XYZW) {
                let _ = writeln!(body, "shared_sums[{}u + lane] = {name}.{part};", (4 * place + at) * LANES);
            }
        };
        for half in 0..2 {
            for channel in 0..step {
                keep(body, half * step + channel, &format!("sum{tap}{half}{channel}"));
            }
            if tap == 0 {
                keep(body, 2 * step + half, &format!("bias{half}"));
            }
        }
        let _ = writeln!(
            body,
            "workgroupBarrier();
for (var k = lane / {tiles}u; k < {}u; k += {lanes}u) {{
var total = vec4f();
for (var other = lane % {tiles}u; other < {LANES}u; other += {tiles}u) {{
let at = k * {}u + other;
total += vec4f(shared_sums[at], shared_sums[at + {LANES}u], shared_sums[at + {}u], shared_sums[at + {}u]);
}}
let o = (o0 + k / {step}u) * 4u;
if ((tile < {}u) & (k < {}u) & (o < {outputs}u)) {{
let at = i * {step}u + k % {step}u;",
            self.kept(tap),
            4 * LANES,
            2 * LANES,
            3 * LANES,
            self.tiles(),
            2 * step,
        );
        self.store_weights(body, tap, "total");
        body.push_str("}\n");
        if tap == 0 {
            let _ = writeln!(
                body,
                "let half = o0 + k - {first}u;
if ((tile < {}u) & (k >= {first}u) & (i == 0u) & (ky == 0u) & (half < {}u)) {{",
                self.tiles(),
                outputs / 4,
                first = 2 * step,
            );
            self.store_bias(body, "total");
            body.push_str("}\n");
        }
        body.push_str("}\n");
        if tap < 2 {
            body.push_str("workgroupBarrier();\n");
        }
    }

    /// Four of the input's channels' weights (or the only one's), of a tap and one of the output channels at `o`.
    fn weight(&self, tile: Tile, tap: u32, channel: u32, group: u32) -> String {
        let (Shape { inputs, outputs, .. }, step) = (self.shape, tile.step);
        if inputs == 1 {
            format!("weights[(o * {step}u + {channel}u) * 9u + {tap}u]")
        } else {
            let row = format!("({}u + o * {step}u)", (9 + tap) * outputs + channel);
            format!("weights[{row} * {}u + i * {}u + {group}u]", inputs / 4, tile.groups)
        }
    }

    /// Declares `d0_0` …, the gradient of the convolution's output around a block, of one image; of the places that it
    /// tells to be on the map, one more on each side than the block has.
    fn gradient_around(&self, body: &mut String, tile: Tile, image: &str, around: [&[On]; 2]) -> Vec<Vec<bool>> {
        let (step, zero) = (tile.step, zero(tile.step));
        let load = |from: &str, place: &str| match step {
            1 => self.load_one(from, image, place, "o"),
            _ => self.load(from, image, place, "o"),
        };
        let [in_y, in_x] = around;
        let mut there = vec![vec![false; in_x.len()]; in_y.len()];
        for (r, in_y) in in_y.iter().enumerate() {
            for (c, in_x) in in_x.iter().enumerate() {
                let (on, place) = (in_y.and(in_x), format!("(y{r} + x{c})"));
                there[r][c] = on != On::Never;
                if !there[r][c] {
                    continue;
                }
                if self.shape.pool {
                    let (off, winner) = match step {
                        1 => {
                            let word = self.winners(image, &place, "o / 4u");
                            (format!("{OFF}u"), format!("({word} >> (o % 4u * 8u)) & 255u"))
                        }
                        _ => (format!("vec4u({OFF}u)"), format!("unpack({})", self.winners(image, &place, "o"))),
                    };
                    let winner = on.pick(&off, &winner).unwrap_or(off);
                    let _ = writeln!(body, "let g{r}_{c} = {}; let q{r}_{c} = {winner};", load("gradient", &place));
                } else {
                    let mut passes = format!("{} > {zero}", load("saved", &place));
                    if let On::If(condition) = on {
                        passes = match step {
                            1 => format!("({condition}) & ({passes})"),
                            _ => format!("vec4<bool>({condition}) & ({passes})"),
                        };
                    }
                    let _ = writeln!(body, "let d{r}_{c} = select({zero}, {}, {passes});", load("gradient", &place));
                }
            }
        }
        if !self.shape.pool {
            return there;
        }
        // The pixels of row and column -1, 0, 1, 2 of the block: in which window, and where there.
        const WINDOW: [usize; 4] = [0, 1, 1, 2];
        const PLACE: [u32; 4] = [1, 0, 1, 0];
        let mut pixels = vec![vec![false; 4]; 4];
        for r in 0..4 {
            for c in 0..4 {
                let (y, x, place) = (WINDOW[r], WINDOW[c], 2 * PLACE[r] + PLACE[c]);
                pixels[r][c] = there[y][x];
                let place = if step == 1 { format!("{place}u") } else { format!("vec4u({place}u)") };
                if there[y][x] {
                    let _ = writeln!(body, "let d{r}_{c} = select({zero}, g{y}_{x}, q{y}_{x} == {place});");
                }
            }
        }
        pixels
    }

    fn input_body(&self, tile: Tile) -> String {
        let Shape { height, width, inputs, outputs, pool } = self.shape;
        let Tile { images, step, .. } = tile;
        let [rows, columns] = self.shape.blocks();
        let (made, all_groups) = (self.made(tile), inputs.div_ceil(4));
        let groups = if inputs == 1 { 1 } else { tile.groups };
        let nothing = zero(inputs.min(4));
        let mut body = format!("let at = (group - {}u) * {LANES}u + lane;\n", self.weight_groups());
        body += &place::thread(('i', made), [rows, columns], images);
        // What lies around the block: with a pool its windows, of which it has one.
        let (out_rows, out_columns) = self.shape.output();
        let around = |axis: Axis, len| if pool { Axis { len, block: 1, ..axis } } else { axis };
        let in_y = around(rows, out_rows).around(&mut body, out_columns);
        let in_x = around(columns, out_columns).around(&mut body, 1);
        let pixels: Vec<(u32, u32)> = (0..rows.block).flat_map(|y| (0..columns.block).map(move |x| (y, x))).collect();
        for image in 0..images {
            let _ = writeln!(body, "let image{image} = min(first + {image}u, images - 1u);");
            for pixel in 0..pixels.len() {
                for group in 0..groups {
                    let _ = writeln!(body, "var sum{image}_{pixel}_{group} = {nothing};");
                }
            }
        }
        let _ = writeln!(body, "for (var o = 0u; o < {}u; o++) {{", outputs / step);
        for tap in 0..9 {
            for channel in 0..step {
                for group in 0..groups {
                    let weight = self.weight(tile, tap, channel, group);
                    let _ = writeln!(body, "let w{tap}_{channel}_{group} = {weight};");
                }
            }
        }
        for image in 0..images {
            body.push_str("{\n");
            let there = self.gradient_around(&mut body, tile, &format!("image{image}"), [&in_y, &in_x]);
            for (pixel, &(y, x)) in pixels.iter().enumerate() {
                for group in 0..groups {
                    for tap in 0..9 {
                        let (r, c) = (y + 2 - tap / 3, x + 2 - tap % 3);
                        if !there[r as usize][c as usize] {
                            continue;
                        }
                        for channel in 0..step {
                            let value = part(&format!("d{r}_{c}"), channel, step);
                            let _ = writeln!(body, "sum{image}_{pixel}_{group} += {value} * w{tap}_{channel}_{group};");
                        }
                    }
                }
            }
            body.push_str("}\n");
        }
        body.push_str("}\n");
        let (own_y, own_x) = (rows.own(), columns.own());
        for image in 0..images {
            let _ = writeln!(body, "if (first + {image}u < images) {{");
            for (pixel, &(y, x)) in pixels.iter().enumerate() {
                let mut stores = String::new();
                for group in 0..groups {
                    let _ = writeln!(
                        stores,
                        "input_gradient[((image{image} * {height}u + by * {}u + {y}u) * {width}u + bx * {}u + {x}u) * {all_groups}u + i * {groups}u + {group}u] = sum{image}_{pixel}_{group};",
                        rows.block, columns.block,
                    );
                }
                body.push_str(&own_y[y as usize].and(&own_x[x as usize]).guard(&stores));
            }
            body.push_str("}\n");
        }
        body
    }
}

impl Program for Backward {
    fn buffers(&self) -> Vec<(&'static str, &'static str)> {
        let gradient = element(self.at_once());
        let saved = if self.shape.pool { "u32" } else { gradient };
        let input = element(self.step());
        let mut buffers = vec![("input", input), ("saved", saved), ("gradient", gradient), ("gradients", "f32")];
        if self.tile.is_some() {
            buffers.extend([("weights", input), ("input_gradient", input)]);
        }
        buffers
    }

    fn writes(&self) -> &'static [&'static str] {
        &["gradients", "input_gradient"]
    }

    fn declarations(&self) -> String {
        match self.lanes {
            1 => UNPACK.into(),
            _ => format!("var<workgroup> shared_sums: array<f32, {}>;\n{UNPACK}", 4 * LANES * self.kept(0)),
        }
    }

    fn body(&self) -> String {
        let input = self.tile.map(|tile| self.input_body(tile)).unwrap_or_default();
        format!(
            "let images = info[0];
if (group < {}u) {{
{}
}} else {{
{input}
}}",
            self.weight_groups(),
            self.weights_body(),
        )
    }
}
