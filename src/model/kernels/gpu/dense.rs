//! Dense layers: a hidden one with its ReLU, and the last one with softmax and cross-entropy. Rows are images, weights
//! lie `[in][out]`, as burn has them.

use std::fmt::Write as _;

use burn_cubecl::cubecl::server::Handle;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;

use super::program::{LANES, Program, launch};
use super::{Gpu, bias_at, buffer, dims, gradients, tensor};
use crate::model::kernels::Saved;

/// Rows that a thread works on at once.
const ROWS: u32 = 4;
/// Classes that a last layer may have here: a thread holds them all.
const MOST_CLASSES: usize = 32;

/// Four rows and four outputs a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Forward {
    inputs: u32,
    outputs: u32,
}

impl Program for Forward {
    fn buffers(&self) -> Vec<(&'static str, &'static str)> {
        vec![("input", "vec4f"), ("weights", "vec4f"), ("bias", "vec4f"), ("output", "vec4f")]
    }

    fn writes(&self) -> &'static [&'static str] {
        &["output"]
    }

    fn body(&self) -> String {
        let (inputs, outputs) = (self.inputs / 4, self.outputs / 4);
        let mut body = format!(
            "let rows = info[0];
let at = group * {LANES}u + lane;
let o = at % {outputs}u;
let first = at / {outputs}u * {ROWS}u;
if (first >= rows) {{ return; }}
"
        );
        for row in 0..ROWS {
            let _ = writeln!(body, "let row{row} = min(first + {row}u, rows - 1u); var sum{row} = bias[o];");
        }
        let _ = writeln!(body, "for (var i = 0u; i < {inputs}u; i++) {{");
        for part in 0..4 {
            let _ = writeln!(body, "let w{part} = weights[(i * 4u + {part}u) * {outputs}u + o];");
        }
        for row in 0..ROWS {
            let _ = writeln!(
                body,
                "{{ let x = input[row{row} * {inputs}u + i]; sum{row} += x.x * w0 + x.y * w1 + x.z * w2 + x.w * w3; }}"
            );
        }
        body.push_str("}\n");
        for row in 0..ROWS {
            let _ = writeln!(
                body,
                "if (first + {row}u < rows) {{ output[row{row} * {outputs}u + o] = max(sum{row}, vec4f()); }}"
            );
        }
        body
    }
}

/// The gradients of a hidden layer. The first threads make those of 4×4 weights each, then come those of the bias, and
/// from the next workgroup on those of the input, four rows and four columns a thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Backward {
    inputs: u32,
    outputs: u32,
    with_input: bool,
}

impl Backward {
    fn weight_groups(&self) -> u32 {
        ((self.inputs / 4 + 1) * (self.outputs / 4)).div_ceil(LANES)
    }
}

impl Program for Backward {
    fn buffers(&self) -> Vec<(&'static str, &'static str)> {
        let mut buffers = vec![("input", "vec4f"), ("output", "vec4f"), ("gradient", "vec4f"), ("gradients", "vec4f")];
        if self.with_input {
            buffers.extend([("weights", "vec4f"), ("input_gradient", "vec4f")]);
        }
        buffers
    }

    fn writes(&self) -> &'static [&'static str] {
        &["gradients", "input_gradient"]
    }

    fn body(&self) -> String {
        let (inputs, outputs) = (self.inputs / 4, self.outputs / 4);
        let bias_at = bias_at((self.inputs * self.outputs) as usize) / 4;
        let weight_groups = self.weight_groups();
        let mut body = format!(
            "let rows = info[0];
if (group < {weight_groups}u) {{
let at = group * {LANES}u + lane;
let o = at % {outputs}u;
let i = at / {outputs}u;
if (i > {inputs}u) {{ return; }}
var sum0 = vec4f(); var sum1 = vec4f(); var sum2 = vec4f(); var sum3 = vec4f();
for (var row = 0u; row < rows; row++) {{
let d = select(vec4f(), gradient[row * {outputs}u + o], output[row * {outputs}u + o] > vec4f());
if (i < {inputs}u) {{
let x = input[row * {inputs}u + i];
sum0 += x.x * d; sum1 += x.y * d; sum2 += x.z * d; sum3 += x.w * d;
}} else {{ sum0 += d; }}
}}
if (i < {inputs}u) {{
"
        );
        for part in 0..4 {
            let _ = writeln!(body, "gradients[(i * 4u + {part}u) * {outputs}u + o] = sum{part};");
        }
        let _ = writeln!(body, "}} else {{ gradients[{bias_at}u + o] = sum0; }}\n}}");
        if self.with_input {
            let _ = writeln!(
                body,
                "else {{
let at = (group - {weight_groups}u) * {LANES}u + lane;
let i = at % {inputs}u;
let first = at / {inputs}u * {ROWS}u;
if (first >= rows) {{ return; }}"
            );
            for row in 0..ROWS {
                let _ = writeln!(body, "let row{row} = min(first + {row}u, rows - 1u); var sum{row} = vec4f();");
            }
            let _ = writeln!(body, "for (var o = 0u; o < {outputs}u; o++) {{");
            for part in 0..4 {
                let _ = writeln!(body, "let w{part} = weights[(i * 4u + {part}u) * {outputs}u + o];");
            }
            for row in 0..ROWS {
                let _ = writeln!(
                    body,
                    "{{ let place = row{row} * {outputs}u + o; let d = select(vec4f(), gradient[place], output[place] > vec4f());
sum{row} += vec4f(dot(d, w0), dot(d, w1), dot(d, w2), dot(d, w3)); }}"
                );
            }
            body.push_str("}\n");
            for row in 0..ROWS {
                let _ = writeln!(
                    body,
                    "if (first + {row}u < rows) {{ input_gradient[row{row} * {inputs}u + i] = sum{row}; }}"
                );
            }
            body.push_str("}\n");
        }
        body
    }
}

/// What a hidden layer's gradients are made from.
#[derive(Debug)]
pub struct Hidden {
    input: CubeTensor,
    weight: CubeTensor,
    output: CubeTensor,
}

/// See [`super::super::hidden`].
pub fn hidden([input, weight, bias]: [&CubeTensor; 3]) -> Option<(CubeTensor, Hidden)> {
    let ([rows, inputs], [_, outputs]) = (dims(input), dims(weight));
    if rows == 0 || inputs % 4 != 0 || outputs % 4 != 0 {
        return None;
    }
    let [input, weight, bias] = [input, weight, bias].map(|tensor| into_contiguous(tensor.clone()));
    let output = tensor(&input, buffer(&input, rows * outputs), 0, [rows, outputs]);
    let program = Forward { inputs: inputs as u32, outputs: outputs as u32 };
    let threads = (rows as u32).div_ceil(ROWS) * program.outputs / 4;
    let buffers = [&input.handle, &weight.handle, &bias.handle, &output.handle];
    launch(&input.client, program, threads.div_ceil(LANES), &buffers, &[rows as u32]);
    Some((output.clone(), Hidden { input, weight, output }))
}

impl Saved<Gpu> for Hidden {
    fn backward(&self, gradient: CubeTensor, with_input: bool) -> [Option<CubeTensor>; 3] {
        let ([rows, inputs], [_, outputs]) = (dims(&self.input), dims(&self.weight));
        let gradient = into_contiguous(gradient);
        let (gradients, [weight, bias]) = gradients(&gradient, [inputs, outputs], outputs);
        let input_gradient = with_input.then(|| buffer(&gradient, rows * inputs));
        let program = Backward { inputs: inputs as u32, outputs: outputs as u32, with_input };
        let threads = (rows as u32).div_ceil(ROWS) * program.inputs / 4;
        let groups = program.weight_groups() + if with_input { threads.div_ceil(LANES) } else { 0 };
        let mut buffers = vec![&self.input.handle, &self.output.handle, &gradient.handle, &gradients];
        if let Some(input_gradient) = &input_gradient {
            buffers.extend([&self.weight.handle, input_gradient]);
        }
        launch(&gradient.client, program, groups, &buffers, &[rows as u32]);
        [input_gradient.map(|buffer| tensor(&gradient, buffer, 0, [rows, inputs])), Some(weight), Some(bias)]
    }
}

/// Logits, softmax and cross-entropy of a row a thread: its loss, whether it was read right, and the gradient of its
/// logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Score {
    inputs: u32,
    classes: u32,
}

impl Program for Score {
    fn buffers(&self) -> Vec<(&'static str, &'static str)> {
        vec![
            ("input", "f32"),
            ("weights", "f32"),
            ("bias", "f32"),
            ("targets", "f32"),
            ("told", "vec2f"),
            ("deltas", "f32"),
        ]
    }

    fn writes(&self) -> &'static [&'static str] {
        &["told", "deltas"]
    }

    fn body(&self) -> String {
        let Self { inputs, classes } = self;
        let mut body = format!(
            "let rows = info[0]; let smoothing = bitcast<f32>(info[1]);
let row = group * {LANES}u + lane;
if (row >= rows) {{ return; }}
"
        );
        for class in 0..*classes {
            let _ = writeln!(body, "var z{class} = bias[{class}];");
        }
        let _ = writeln!(body, "for (var i = 0u; i < {inputs}u; i++) {{ let x = input[row * {inputs}u + i];");
        for class in 0..*classes {
            let _ = writeln!(body, "z{class} += x * weights[i * {classes}u + {class}u];");
        }
        // The first of several that are largest, as argmax.
        body.push_str("}\nvar largest = z0; var answer = 0u; var wanted = 0u;\n");
        for class in 0..*classes {
            let _ = writeln!(body, "let t{class} = targets[row * {classes}u + {class}u];");
            if class > 0 {
                let _ = writeln!(body, "if (z{class} > largest) {{ largest = z{class}; answer = {class}u; }}");
            }
        }
        body.push_str("var most = t0; var weight = t0;\n");
        for class in 1..*classes {
            let _ =
                writeln!(body, "if (t{class} > most) {{ most = t{class}; wanted = {class}u; }} weight += t{class};");
        }
        body.push_str("var sum = 0.0;\n");
        for class in 0..*classes {
            let _ = writeln!(body, "let e{class} = exp(z{class} - largest); sum += e{class};");
        }
        body.push_str("let log_sum = log(sum); var loss = 0.0; var share = 0.0;\n");
        for class in 0..*classes {
            let _ = writeln!(
                body,
                "let s{class} = t{class} * (1.0 - smoothing) + smoothing / {classes}.0;
loss += select(0.0, s{class} * (log_sum - (z{class} - largest)), s{class} != 0.0); share += s{class};"
            );
        }
        for class in 0..*classes {
            let _ = writeln!(
                body,
                "deltas[row * {classes}u + {class}u] = (e{class} / sum * share - s{class}) / f32(rows);"
            );
        }
        body.push_str("told[row] = vec2f(loss, select(0.0, weight, answer == wanted));");
        body
    }
}

/// The mean of what was told of all rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Mean;

impl Program for Mean {
    fn buffers(&self) -> Vec<(&'static str, &'static str)> {
        vec![("told", "vec2f"), ("mean", "vec2f"), ("loss", "f32")]
    }

    fn writes(&self) -> &'static [&'static str] {
        &["mean", "loss"]
    }

    fn declarations(&self) -> String {
        format!("var<workgroup> shared_sums: array<vec2f, {LANES}>;")
    }

    fn body(&self) -> String {
        format!(
            "let rows = info[0];
var sum = vec2f();
for (var row = lane; row < rows; row += {LANES}u) {{ sum += told[row]; }}
shared_sums[lane] = sum;
workgroupBarrier();
if (group == 0u && lane == 0u) {{
sum = vec2f();
for (var other = 0u; other < {LANES}u; other++) {{ sum += shared_sums[other]; }}
mean[0] = sum / f32(rows);
loss[0] = sum.x / f32(rows);
}}"
        )
    }
}

/// The gradients of the last layer, a number a thread: weights, bias, input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct ScoreBackward {
    inputs: u32,
    classes: u32,
    with_input: bool,
}

impl Program for ScoreBackward {
    fn buffers(&self) -> Vec<(&'static str, &'static str)> {
        let mut buffers = vec![("input", "f32"), ("deltas", "f32"), ("gradient", "f32"), ("gradients", "f32")];
        if self.with_input {
            buffers.extend([("weights", "f32"), ("input_gradient", "f32")]);
        }
        buffers
    }

    fn writes(&self) -> &'static [&'static str] {
        &["gradients", "input_gradient"]
    }

    fn body(&self) -> String {
        let Self { inputs, classes, with_input } = self;
        let weights = inputs * classes;
        let bias_at = bias_at(weights as usize);
        let mut body = format!(
            "let rows = info[0];
var at = group * {LANES}u + lane;
let c = at % {classes}u;
var sum = 0.0;
if (at < {weights}u) {{
let i = at / {classes}u;
for (var row = 0u; row < rows; row++) {{ sum += input[row * {inputs}u + i] * deltas[row * {classes}u + c]; }}
gradients[at] = sum * gradient[0];
return;
}}
at -= {weights}u;
if (at < {classes}u) {{
for (var row = 0u; row < rows; row++) {{ sum += deltas[row * {classes}u + at]; }}
gradients[{bias_at}u + at] = sum * gradient[0];
return;
}}
"
        );
        if *with_input {
            let _ = writeln!(
                body,
                "at -= {classes}u;
if (at >= rows * {inputs}u) {{ return; }}
let row = at / {inputs}u; let i = at % {inputs}u;
for (var k = 0u; k < {classes}u; k++) {{ sum += deltas[row * {classes}u + k] * weights[i * {classes}u + k]; }}
input_gradient[at] = sum * gradient[0];"
            );
        }
        body
    }
}

/// What the last layer's gradients are made from.
#[derive(Debug)]
pub struct Last {
    input: CubeTensor,
    weight: CubeTensor,
    deltas: Handle,
}

/// See [`super::super::score`]: the loss, what is told, and what is kept.
pub fn score(
    [input, weight, bias]: [&CubeTensor; 3],
    targets: &CubeTensor,
    smoothing: f32,
) -> Option<(CubeTensor, CubeTensor, Last)> {
    let ([rows, inputs], [_, classes]) = (dims(input), dims(weight));
    if rows == 0 || classes == 0 || classes > MOST_CLASSES {
        return None;
    }
    let [input, weight, bias, targets] = [input, weight, bias, targets].map(|tensor| into_contiguous(tensor.clone()));
    let [told, deltas] = [2 * rows, rows * classes].map(|len| buffer(&input, len));
    let program = Score { inputs: inputs as u32, classes: classes as u32 };
    let buffers = [&input.handle, &weight.handle, &bias.handle, &targets.handle, &told, &deltas];
    let groups = (rows as u32).div_ceil(LANES);
    launch(&input.client, program, groups, &buffers, &[rows as u32, smoothing.to_bits()]);
    let metrics = tensor(&input, buffer(&input, 2), 0, [2]);
    let loss = tensor(&input, buffer(&input, 1), 0, [1]);
    launch(&input.client, Mean, 1, &[&told, &metrics.handle, &loss.handle], &[rows as u32]);
    Some((loss, metrics, Last { input, weight, deltas }))
}

impl Saved<Gpu> for Last {
    fn backward(&self, gradient: CubeTensor, with_input: bool) -> [Option<CubeTensor>; 3] {
        let ([rows, inputs], [_, classes]) = (dims(&self.input), dims(&self.weight));
        let (gradients, [weight, bias]) = gradients(&gradient, [inputs, classes], classes);
        let input_gradient = with_input.then(|| buffer(&gradient, rows * inputs));
        let program = ScoreBackward { inputs: inputs as u32, classes: classes as u32, with_input };
        let threads = (inputs + 1) * classes + if with_input { rows * inputs } else { 0 };
        let mut buffers = vec![&self.input.handle, &self.deltas, &gradient.handle, &gradients];
        if let Some(input_gradient) = &input_gradient {
            buffers.extend([&self.weight.handle, input_gradient]);
        }
        launch(&gradient.client, program, (threads as u32).div_ceil(LANES), &buffers, &[rows as u32]);
        [input_gradient.map(|buffer| tensor(&gradient, buffer, 0, [rows, inputs])), Some(weight), Some(bias)]
    }
}
