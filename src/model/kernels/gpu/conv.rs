//! Convolution 3×3 "same" + bias + ReLU + pool, forward and backward.
//!
//! Names in the programs: `y`, `x` pixels, `by`, `bx` blocks of 2×2 pixels (a pool's windows), `i` the input's and `o`
//! the output's channels in groups of [`Shape::step`] and four. Maps lie as `[image][row][column][channel]`, the
//! weights as `[tap][in][out]` ([`Pack`]); those of a first layer with one channel as they are.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use burn_cubecl::cubecl::server::Handle;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::program::{LANES, Program, launch};
use super::{Gpu, bias_at, buffer, channels_last, channels_second, dims, gradients, is_channels_last, tensor};
use crate::model::kernels::{After, Saved};

/// Images that a thread works on at once: each weight that it loads serves all of them.
const IMAGES: u32 = 4;

/// A convolution's shape, all that its programs depend on: not on the number of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Shape {
    height: u32,
    width: u32,
    inputs: u32,
    outputs: u32,
    pool: bool,
}

impl Shape {
    /// Input channels that are loaded at once: four, or the only one.
    fn step(&self) -> u32 {
        if self.inputs == 1 { 1 } else { 4 }
    }

    /// Groups of input channels.
    fn input_groups(&self) -> u32 {
        self.inputs / self.step()
    }

    /// Groups of four output channels.
    fn output_groups(&self) -> u32 {
        self.outputs / 4
    }

    /// Rows and columns of the output.
    fn output(&self) -> (u32, u32) {
        if self.pool { (self.height / 2, self.width / 2) } else { (self.height, self.width) }
    }

    /// Rows and columns of 2×2 blocks that cover the input.
    fn blocks(&self) -> (u32, u32) {
        (self.height.div_ceil(2), self.width.div_ceil(2))
    }

    /// What the input is an array of.
    fn element(&self) -> &'static str {
        if self.inputs == 1 { "f32" } else { "vec4f" }
    }

    /// Nothing of that.
    fn zero(&self) -> &'static str {
        if self.inputs == 1 { "0.0" } else { "vec4f()" }
    }

    /// One channel of what was loaded.
    fn channel(&self, value: &str, channel: u32) -> String {
        if self.inputs == 1 { value.into() } else { format!("{value}.{}", XYZW[channel as usize]) }
    }

    /// What the weights are an array of.
    fn weights(&self) -> &'static str {
        if self.inputs == 1 { "f32" } else { "vec4f" }
    }

    /// Four output channels' weights of a tap and an input channel of group `i`, for output group `o`.
    fn weight(&self, tap: u32, channel: u32) -> String {
        if self.inputs == 1 {
            let each = (0..4).map(|at| format!("weights[(o * 4u + {at}u) * 9u + {tap}u]"));
            format!("vec4f({})", each.collect::<Vec<_>>().join(", "))
        } else {
            let (inputs, outputs) = (self.inputs, self.output_groups());
            format!("weights[({}u + i * 4u) * {outputs}u + o]", tap * inputs + channel)
        }
    }
}

/// Statements that only some blocks need, gathered by what they need.
#[derive(Default)]
struct Guarded(BTreeMap<String, String>);

impl Guarded {
    fn push<const N: usize>(&mut self, needs: [(bool, &str); N], statement: String) {
        let needs: Vec<&str> = needs.into_iter().filter(|(needed, _)| *needed).map(|(_, name)| name).collect();
        let statements = self.0.entry(needs.join(" && ")).or_default();
        statements.push_str(&statement);
        statements.push('\n');
    }

    fn write(self, body: &mut String) {
        for (needs, statements) in self.0 {
            let _ = match needs.as_str() {
                "" => write!(body, "{statements}"),
                needs => write!(body, "if ({needs}) {{\n{statements}}}\n"),
            };
        }
    }
}

/// So many rows and columns from the one before block (`by`, `bx`) on, of a map that has `scale` for a block: where each
/// begins (`row0`, `column0`), and whether it is on the map (`in_y0`, `in_x0`).
fn surroundings(body: &mut String, count: u32, scale: u32, (rows, columns): (u32, u32)) {
    for r in 0..count {
        let _ = writeln!(
            body,
            "let y{r} = i32(by * {scale}u + {r}u) - 1; let in_y{r} = y{r} >= 0 && y{r} < {rows};
let row{r} = u32(clamp(y{r}, 0, {})) * {columns}u;
let x{r} = i32(bx * {scale}u + {r}u) - 1; let in_x{r} = x{r} >= 0 && x{r} < {columns};
let column{r} = u32(clamp(x{r}, 0, {}));",
            rows - 1,
            columns - 1,
        );
    }
}

const XYZW: [char; 4] = ['x', 'y', 'z', 'w'];

/// Weights as burn has them, `[out][in][3][3]`, to `[tap][in][out]`, so that four outputs' are loaded at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Pack {
    inputs: u32,
    outputs: u32,
}

impl Program for Pack {
    fn buffers(&self) -> Vec<(&'static str, &'static str)> {
        vec![("weights", "f32"), ("packed", "f32")]
    }

    fn writes(&self) -> &'static [&'static str] {
        &["packed"]
    }

    fn body(&self) -> String {
        let Self { inputs, outputs } = self;
        format!(
            "let at = group * {LANES}u + lane;
if (at >= info[0]) {{ return; }}
let o = at % {outputs}u;
let i = at / {outputs}u % {inputs}u;
let tap = at / {outputs}u / {inputs}u;
packed[at] = weights[(o * {inputs}u + i) * 9u + tap];"
        )
    }
}

/// One output block of several images and four channels a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Forward {
    shape: Shape,
    /// The output has its channels second.
    planar: bool,
}

impl Program for Forward {
    fn buffers(&self) -> Vec<(&'static str, &'static str)> {
        let output = if self.planar { "f32" } else { "vec4f" };
        let mut buffers = vec![
            ("input", self.shape.element()),
            ("weights", self.shape.weights()),
            ("bias", "vec4f"),
            ("output", output),
        ];
        if self.shape.pool {
            buffers.push(("winners", "u32"));
        }
        buffers
    }

    fn writes(&self) -> &'static [&'static str] {
        &["output", "winners"]
    }

    fn body(&self) -> String {
        let shape = &self.shape;
        let Shape { height, width, pool, .. } = *shape;
        let (rows, columns) = shape.output();
        let (block_rows, block_columns) = if pool { (rows, columns) } else { shape.blocks() };
        let (inputs, groups, step) = (shape.input_groups(), shape.output_groups(), shape.step());
        let mut body = format!(
            "let images = info[0];
let at = group * {LANES}u + lane;
let o = at % {groups}u;
let bx = at / {groups}u % {block_columns}u;
let by = at / {} % {block_rows}u;
let first = at / {} * {IMAGES}u;
if (first >= images) {{ return; }}
",
            format_args!("{}u", groups * block_columns),
            format_args!("{}u", groups * block_columns * block_rows),
        );
        // The 4×4 patch under the block.
        surroundings(&mut body, 4, 2, (height, width));
        for image in 0..IMAGES {
            let size = height * width * inputs;
            let _ = writeln!(body, "let image{image} = min(first + {image}u, images - 1u) * {size}u;");
            for pixel in 0..4 {
                let _ = writeln!(body, "var sum{image}{pixel} = vec4f();");
            }
        }
        let _ = writeln!(body, "for (var i = 0u; i < {inputs}u; i++) {{");
        for tap in 0..9 {
            for channel in 0..step {
                let _ = writeln!(body, "let w{tap}{channel} = {};", shape.weight(tap, channel));
            }
        }
        for image in 0..IMAGES {
            body.push_str("{\n");
            for r in 0..4 {
                for c in 0..4 {
                    let _ = writeln!(
                        body,
                        "let p{r}{c} = select({}, input[image{image} + (row{r} + column{c}) * {inputs}u + i], in_y{r} && in_x{c});",
                        shape.zero(),
                    );
                }
            }
            // Without a pool a last odd row or column is half a block.
            let (odd_rows, odd_columns) = (!pool && height % 2 == 1, !pool && width % 2 == 1);
            let mut sums = Guarded::default();
            for pixel in 0..4 {
                let (r, c) = (pixel / 2, pixel % 2);
                let needs = [(odd_rows && r == 1, "in_y2"), (odd_columns && c == 1, "in_x2")];
                for tap in 0..9 {
                    let value = format!("p{}{}", r + tap / 3, c + tap % 3);
                    for channel in 0..step {
                        let value = shape.channel(&value, channel);
                        sums.push(needs, format!("sum{image}{pixel} += {value} * w{tap}{channel};"));
                    }
                }
            }
            sums.write(&mut body);
            body.push_str("}\n");
        }
        body.push_str("}\nlet b = bias[o];\n");
        for image in 0..IMAGES {
            let _ = writeln!(body, "if (first + {image}u < images) {{");
            if pool {
                let _ = writeln!(body, "var best = sum{image}0 + b; var winner = vec4u();");
                for pixel in 1..4 {
                    let _ = writeln!(
                        body,
                        "{{ let other = sum{image}{pixel} + b; let more = other > best;
best = select(best, other, more); winner = select(winner, vec4u({pixel}u), more); }}"
                    );
                }
                let _ = writeln!(
                    body,
                    "winner = select(vec4u({OFF}u), winner, best > vec4f());
winners[(((first + {image}u) * {rows}u + by) * {columns}u + bx) * {groups}u + o] = winner.x | (winner.y << 8u) | (winner.z << 16u) | (winner.w << 24u);
best = max(best, vec4f());"
                );
                self.store(&mut body, image, "by", "bx", "best");
            } else {
                for pixel in 0..4 {
                    let (r, c) = (pixel / 2, pixel % 2);
                    let _ = writeln!(body, "if (by * 2u + {r}u < {height}u && bx * 2u + {c}u < {width}u) {{");
                    let value = format!("max(sum{image}{pixel} + b, vec4f())");
                    self.store(&mut body, image, &format!("(by * 2u + {r}u)"), &format!("(bx * 2u + {c}u)"), &value);
                    body.push_str("}\n");
                }
            }
            body.push_str("}\n");
        }
        body
    }
}

impl Forward {
    fn store(&self, body: &mut String, image: u32, y: &str, x: &str, value: &str) {
        let (rows, columns) = self.shape.output();
        let (outputs, groups) = (self.shape.outputs, self.shape.output_groups());
        if self.planar {
            let _ = writeln!(body, "let value = {value};");
            for (at, part) in XYZW.into_iter().enumerate() {
                let _ = writeln!(
                    body,
                    "output[(((first + {image}u) * {outputs}u + o * 4u + {at}u) * {rows}u + {y}) * {columns}u + {x}] = value.{part};"
                );
            }
        } else {
            let _ = writeln!(
                body,
                "output[(((first + {image}u) * {rows}u + {y}) * {columns}u + {x}) * {groups}u + o] = {value};"
            );
        }
    }
}

/// Tiles of a workgroup that makes the weights' gradients. More tiles mean fewer barriers; fewer, more lanes for each.
const TILES: u32 = 4;

/// The winner of a window that ReLU turned off; below it the winner's place: 0 1 over 2 3.
const OFF: u32 = 4;

/// The gradients of a layer. The first workgroups make those of weights and bias, the others the input's.
///
/// A workgroup of the first kind has [`TILES`] tiles: each is one row of taps of [`Shape::step`] input and eight output
/// channels. The lanes of a tile share the rows of all images, and add up at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Backward {
    shape: Shape,
    /// The output's gradient, and without a pool the output, have their channels second.
    planar: bool,
    with_input: bool,
}

impl Backward {
    /// Workgroups for the weights.
    fn weight_groups(&self) -> u32 {
        self.tiles().div_ceil(TILES)
    }

    fn tiles(&self) -> u32 {
        self.shape.input_groups() * self.shape.outputs.div_ceil(8) * 3
    }

    /// Sums that a lane keeps for a tap, and the two of the bias.
    fn kept(&self) -> u32 {
        2 * self.shape.step() + 2
    }

    /// Loads four channels of the gradient (or of `output`) at a pixel or window.
    fn load(&self, from: &str, image: &str, place: &str, o: &str) -> String {
        let (rows, columns) = self.shape.output();
        let (outputs, groups, size) = (self.shape.outputs, self.shape.output_groups(), rows * columns);
        if self.planar {
            let each =
                (0..4).map(|at| format!("{from}[({image} * {outputs}u + {o} * 4u + {at}u) * {size}u + {place}]"));
            format!("vec4f({})", each.collect::<Vec<_>>().join(", "))
        } else {
            format!("{from}[({image} * {size}u + {place}) * {groups}u + {o}]")
        }
    }

    /// The four winners of a window.
    fn winner(&self, image: &str, place: &str, o: &str) -> String {
        let (rows, columns) = self.shape.output();
        format!("unpack(saved[({image} * {}u + {place}) * {}u + {o}])", rows * columns, self.shape.output_groups())
    }

    fn weights_body(&self) -> String {
        let shape = &self.shape;
        let Shape { height, width, inputs: all_inputs, outputs, pool, .. } = *shape;
        let (rows, columns) = shape.output();
        let (inputs, groups, step) = (shape.input_groups(), shape.output_groups(), shape.step());
        let (zero, bias_at, kept) = (shape.zero(), bias_at(9 * (all_inputs * outputs) as usize), self.kept());
        let mut body = format!(
            "let tile = group * {TILES}u + lane % {TILES}u;
let i = tile % {inputs}u;
let ky = tile / {inputs}u % 3u;
let block = min(tile / {}u, {}u);
let o0 = block * 2u;
let o1 = min(block * 2u + 1u, {}u);
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
                        let value = shape.channel(value, channel);
                        let _ = writeln!(body, "sum{tap}{half}{channel} += {value} * {gradient}{half};");
                    }
                }
            }
        };
        let _ = writeln!(
            body,
            "for (var unit = lane / {TILES}u; unit < images * {rows}u; unit += {}u) {{
let image = unit / {rows}u;
let row = unit % {rows}u;",
            LANES / TILES,
        );
        let lines = if pool { 2 } else { 1 };
        for r in 0..lines {
            let _ = writeln!(
                body,
                "let y{r} = i32(row * {lines}u + {r}u + ky) - 1; let in_y{r} = y{r} >= 0 && y{r} < {height};
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
                    "let g{half} = {gradient}; let winner{half} = {};
bias{half} += select(g{half}, vec4f(), winner{half} == vec4u({OFF}u));",
                    self.winner("image", &place, &o)
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
let p{r}3 = select({zero}, input[(line{r} + min(column * 2u + 2u, {}u)) * {inputs}u + i], in_y{r} && column * 2u + 2u < {width}u);",
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
                "let p02 = select({zero}, input[(line0 + min(column + 1u, {}u)) * {inputs}u + i], in_y0 && column + 1u < {width}u);",
                width - 1,
            );
            add(&mut body, "d", [0, 1, 2].map(|tap| format!("p0{tap}")));
            body.push_str("p00 = p01; p01 = p02;\n");
        }
        body.push_str("}\n}\n");
        // Sums over a tile's lanes, one tap at a time; the bias goes with the first. Each lane then has one of its tile's
        // sums to store.
        for tap in 0..3 {
            for half in 0..2 {
                for channel in 0..step {
                    let place = half * step + channel;
                    let _ = writeln!(body, "shared_sums[lane * {kept}u + {place}u] = sum{tap}{half}{channel};");
                }
                if tap == 0 {
                    let place = 2 * step + half;
                    let _ = writeln!(body, "shared_sums[lane * {kept}u + {place}u] = bias{half};");
                }
            }
            let _ = writeln!(
                body,
                "workgroupBarrier();
{{ let k = lane / {TILES}u; var total = vec4f();
if (k < {kept}u && tile < {}u) {{
for (var other = lane % {TILES}u; other < {LANES}u; other += {TILES}u) {{ total += shared_sums[other * {kept}u + k]; }}
let o = (o0 + k / {step}u) * 4u;
if (k < {}u && o < {outputs}u) {{
let at = i * {step}u + k % {step}u;",
                self.tiles(),
                2 * step,
            );
            for (at, part) in XYZW.into_iter().enumerate() {
                let _ = writeln!(
                    body,
                    "gradients[((o + {at}u) * {all_inputs}u + at) * 9u + ky * 3u + {tap}u] = total.{part};"
                );
            }
            body.push_str("}\n");
            if tap == 0 {
                let _ = writeln!(
                    body,
                    "let half = o0 + k - {}u;
if (k >= {}u && i == 0u && ky == 0u && half < {groups}u) {{",
                    2 * step,
                    2 * step,
                );
                for (at, part) in XYZW.into_iter().enumerate() {
                    let _ = writeln!(body, "gradients[{bias_at}u + half * 4u + {at}u] = total.{part};");
                }
                body.push_str("}\n");
            }
            body.push_str("} }\n");
            if tap < 2 {
                body.push_str("workgroupBarrier();\n");
            }
        }
        body
    }

    fn input_body(&self) -> String {
        let shape = &self.shape;
        let Shape { height, width, pool, .. } = *shape;
        let (rows, columns) = shape.output();
        let (block_rows, block_columns) = shape.blocks();
        let (inputs, groups, step) = (shape.input_groups(), shape.output_groups(), shape.step());
        let mut body = format!(
            "let at = (group - {}u) * {LANES}u + lane;
let i = at % {inputs}u;
let bx = at / {inputs}u % {block_columns}u;
let by = at / {}u % {block_rows}u;
let first = at / {}u * {IMAGES}u;
if (first >= images) {{ return; }}
",
            self.weight_groups(),
            inputs * block_columns,
            inputs * block_columns * block_rows,
        );
        // What lies around the block: 3×3 windows with a pool, 4×4 pixels without.
        let (around, scale) = if pool { (3, 1) } else { (4, 2) };
        surroundings(&mut body, around, scale, (rows, columns));
        for image in 0..IMAGES {
            let _ = writeln!(body, "let image{image} = min(first + {image}u, images - 1u);");
            for pixel in 0..4 {
                let _ = writeln!(body, "var sum{image}{pixel} = {};", shape.zero());
            }
        }
        let _ = writeln!(body, "for (var o = 0u; o < {groups}u; o++) {{");
        for tap in 0..9 {
            for channel in 0..step {
                let _ = writeln!(body, "let w{tap}{channel} = {};", shape.weight(tap, channel));
            }
        }
        for image in 0..IMAGES {
            let name = format!("image{image}");
            body.push_str("{\n");
            for r in 0..around {
                for c in 0..around {
                    let place = format!("(row{r} + column{c})");
                    let gradient = self.load("gradient", &name, &place, "o");
                    if pool {
                        let _ = writeln!(
                            body,
                            "let g{r}{c} = select(vec4f(), {gradient}, in_y{r} && in_x{c}); let q{r}{c} = {};",
                            self.winner(&name, &place, "o"),
                        );
                    } else {
                        let _ = writeln!(
                            body,
                            "let d{r}{c} = select(vec4f(), {gradient}, vec4<bool>(in_y{r} && in_x{c}) & ({} > vec4f()));",
                            self.load("saved", &name, &place, "o"),
                        );
                    }
                }
            }
            if pool {
                // The pixels of row and column -1, 0, 1, 2 of the block: in which window, and where there.
                const WINDOW: [u32; 4] = [0, 1, 1, 2];
                const PLACE: [u32; 4] = [1, 0, 1, 0];
                for r in 0..4 {
                    for c in 0..4 {
                        let window = format!("{}{}", WINDOW[r], WINDOW[c]);
                        let place = 2 * PLACE[r] + PLACE[c];
                        let _ =
                            writeln!(body, "let d{r}{c} = select(vec4f(), g{window}, q{window} == vec4u({place}u));");
                    }
                }
            }
            // A last odd row or column is half a block, and no window reaches below or right of it.
            let (odd_rows, odd_columns) = (height % 2 == 1, width % 2 == 1);
            let [row, column] = if pool { ["in_y1", "in_x1"] } else { ["in_y2", "in_x2"] };
            let mut sums = Guarded::default();
            for pixel in 0..4 {
                for tap in 0..9 {
                    let (r, c) = (pixel / 2 + 2 - tap / 3, pixel % 2 + 2 - tap % 3);
                    let beyond = if pool { 1 } else { 2 };
                    let needs = [
                        (odd_rows && (r >= beyond || pixel / 2 == 1), row),
                        (odd_columns && (c >= beyond || pixel % 2 == 1), column),
                    ];
                    let each = (0..step).map(|channel| format!("dot(d{r}{c}, w{tap}{channel})"));
                    let each = each.collect::<Vec<_>>().join(", ");
                    sums.push(needs, format!("sum{image}{pixel} += {}({each});", shape.element()));
                }
            }
            sums.write(&mut body);
            body.push_str("}\n");
        }
        body.push_str("}\n");
        for image in 0..IMAGES {
            let _ = writeln!(body, "if (first + {image}u < images) {{");
            for pixel in 0..4 {
                let (r, c) = (pixel / 2, pixel % 2);
                let _ = writeln!(
                    body,
                    "if (by * 2u + {r}u < {height}u && bx * 2u + {c}u < {width}u) {{
input_gradient[((image{image} * {height}u + by * 2u + {r}u) * {width}u + bx * 2u + {c}u) * {inputs}u + i] = sum{image}{pixel}; }}"
                );
            }
            body.push_str("}\n");
        }
        body
    }
}

impl Program for Backward {
    fn buffers(&self) -> Vec<(&'static str, &'static str)> {
        let gradient = if self.planar { "f32" } else { "vec4f" };
        let saved = if self.shape.pool { "u32" } else { gradient };
        let mut buffers =
            vec![("input", self.shape.element()), ("saved", saved), ("gradient", gradient), ("gradients", "f32")];
        if self.with_input {
            buffers.extend([("weights", self.shape.weights()), ("input_gradient", self.shape.element())]);
        }
        buffers
    }

    fn writes(&self) -> &'static [&'static str] {
        &["gradients", "input_gradient"]
    }

    fn declarations(&self) -> String {
        format!(
            "var<workgroup> shared_sums: array<vec4f, {}>;
fn unpack(word: u32) -> vec4u {{ return vec4u(word & 255u, (word >> 8u) & 255u, (word >> 16u) & 255u, word >> 24u); }}",
            LANES * self.kept()
        )
    }

    fn body(&self) -> String {
        let input = if self.with_input { self.input_body() } else { String::new() };
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

/// What the gradients are made from.
#[derive(Debug)]
pub struct Convolution {
    shape: Shape,
    images: usize,
    input: CubeTensor,
    /// Packed, if there is more than one input channel.
    weights: Handle,
    /// With a pool the winners, without it the output.
    saved: Handle,
    /// The saved output has its channels second.
    planar: bool,
}

/// See [`super::super::convolve`].
pub fn convolve([input, weight, bias]: [&CubeTensor; 3], after: After) -> Option<(CubeTensor, Convolution)> {
    let [images, inputs, height, width] = dims(input);
    let [outputs, _, _, _] = dims(weight);
    let fits = images > 0 && outputs % 4 == 0 && (inputs == 1 || inputs % 4 == 0);
    if !fits {
        return None;
    }
    let shape = Shape {
        height: height as u32,
        width: width as u32,
        inputs: inputs as u32,
        outputs: outputs as u32,
        pool: after.pool,
    };
    let input = channels_last(input.clone());
    let (weight, bias) = (into_contiguous(weight.clone()), into_contiguous(bias.clone()));
    let client = &input.client;
    let weights = if inputs == 1 {
        weight.handle
    } else {
        let len = 9 * inputs * outputs;
        let packed = buffer(&input, len);
        let pack = Pack { inputs: shape.inputs, outputs: shape.outputs };
        launch(client, pack, (len as u32).div_ceil(LANES), &[&weight.handle, &packed], &[len as u32]);
        packed
    };
    let (rows, columns) = shape.output();
    let output_shape = [images, rows as usize, columns as usize, outputs];
    let windows = images * (rows * columns) as usize;
    let output = buffer(&input, windows * outputs);
    let winners = shape.pool.then(|| buffer(&input, windows * outputs / 4));
    let (block_rows, block_columns) = if shape.pool { (rows, columns) } else { shape.blocks() };
    let threads = (images as u32).div_ceil(IMAGES) * block_rows * block_columns * shape.output_groups();
    let mut buffers = vec![&input.handle, &weights, &bias.handle, &output];
    buffers.extend(&winners);
    let planar = after.dense;
    launch(client, Forward { shape, planar }, threads.div_ceil(LANES), &buffers, &[images as u32]);
    let answer = if planar {
        tensor(&input, output.clone(), 0, [images, outputs, rows as usize, columns as usize])
    } else {
        channels_second(&input, output.clone(), output_shape)
    };
    let saved = winners.unwrap_or(output);
    Some((answer, Convolution { shape, images, input, weights, saved, planar }))
}

impl Saved<Gpu> for Convolution {
    fn backward(&self, gradient: CubeTensor, with_input: bool) -> [Option<CubeTensor>; 3] {
        let Shape { height, width, inputs, outputs, pool } = self.shape;
        // Without a pool, gradient and output are read side by side and lie alike.
        let planar = if pool { !is_channels_last(&gradient) } else { self.planar };
        let gradient = if planar { into_contiguous(gradient) } else { channels_last(gradient) };
        let (gradients, [weight, bias]) =
            gradients(&gradient, [outputs as usize, inputs as usize, 3, 3], outputs as usize);
        let input_shape = [self.images, height as usize, width as usize, inputs as usize];
        let input_gradient = with_input.then(|| buffer(&gradient, input_shape.iter().product()));
        let program = Backward { shape: self.shape, planar, with_input };
        let (block_rows, block_columns) = self.shape.blocks();
        let images = self.images as u32;
        let threads = images.div_ceil(IMAGES) * block_rows * block_columns * self.shape.input_groups();
        let groups = program.weight_groups() + if with_input { threads.div_ceil(LANES) } else { 0 };
        let mut buffers = vec![&self.input.handle, &self.saved, &gradient.handle, &gradients];
        if let Some(input_gradient) = &input_gradient {
            buffers.extend([&self.weights, input_gradient]);
        }
        launch(&gradient.client, program, groups, &buffers, &[images]);
        [input_gradient.map(|buffer| channels_second(&gradient, buffer, input_shape)), Some(weight), Some(bias)]
    }
}
