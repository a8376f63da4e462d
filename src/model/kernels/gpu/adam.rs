//! Adam over all of a network's tensors in a dispatch or two. They are parts of one buffer then, and so are each of
//! their moments, so that few buffers are bound; what comes from elsewhere is copied into one first.

use std::ops::Range;

use burn::tensor::Tensor;
use burn_cubecl::cubecl::server::Handle;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use kiln_kernels::Adam;

use super::program::{LANES, Program, launch};
use super::{ALIGNMENT, Gpu, buffer, tensor};

/// Buffers of gradients that a dispatch reads; with values, moments and `info` it binds eight, which every device can.
const MOST: usize = 3;

/// A tensor's new values and its two moments.
pub type Stepped = (Tensor<1>, Vec<Tensor<1>>);

/// One step of `rule`, by its own numbers ([`Adam::step`]), for flat tensors with a gradient each; `moments` are those
/// that the step before gave, or none. `None` if they are not on a GPU.
pub fn step(
    rule: &Adam,
    values: &[Tensor<1>],
    gradients: &[Tensor<1>],
    moments: &[Vec<Tensor<1>>],
) -> Option<Vec<Stepped>> {
    let all = |tensors: &mut dyn Iterator<Item = Tensor<1>>| {
        tensors
            .map(|tensor| Some(into_contiguous(tensor.try_into_primitive::<Gpu>().ok()?)))
            .collect::<Option<Vec<_>>>()
    };
    let values = all(&mut values.iter().cloned())?;
    let gradients = all(&mut gradients.iter().cloned())?;
    let like = values.first()?;
    let places = places(&values);
    let len = places.last()?.end;
    let [first, second] = [0, 1].map(|moment| {
        let before = all(&mut moments.iter().filter_map(|moments| moments.get(moment).cloned()))?;
        (before.len() == values.len()).then(|| flat(&before, &places))
    });
    let begins = first.is_none() || second.is_none();
    let [first, second] = [first, second].map(|buffer| buffer.unwrap_or_else(|| self::buffer(like, len)));
    let (before, after) = (flat(&values, &places), buffer(like, len));

    let (factor, epsilon) = rule.corrected();
    let numbers = [factor, epsilon, rule.learning_rate, rule.penalty, rule.beta_1, rule.beta_2];
    let mut info: Vec<u32> = numbers.into_iter().map(f32::to_bits).collect();
    info.push(u32::from(begins));
    for runs in runs(&gradients, &places).chunks(MOST) {
        let program = Step { runs: runs.iter().map(|(_, range)| (range.start as u32, range.len() as u32)).collect() };
        let threads: u32 = program.runs.iter().map(|(_, len)| len).sum();
        let mut buffers = vec![&before, &after, &first, &second];
        buffers.extend(runs.iter().map(|(handle, _)| handle));
        launch(&like.client, program, threads.div_ceil(LANES), &buffers, &info);
    }
    let part = |buffer: &Handle, place: &Range<usize>| {
        Tensor::from_primitive::<Gpu>(tensor(like, buffer.clone(), place.start, [place.len()]))
    };
    Some(places.iter().map(|place| (part(&after, place), vec![part(&first, place), part(&second, place)])).collect())
}

/// Where each tensor lies in the one buffer.
fn places(tensors: &[CubeTensor]) -> Vec<Range<usize>> {
    let mut end = 0;
    tensors
        .iter()
        .map(|tensor| {
            let start = end;
            let len = tensor.meta.shape().num_elements();
            end = (start + len).next_multiple_of(ALIGNMENT);
            start..start + len
        })
        .collect()
}

/// Where a tensor begins in its buffer, in floats.
fn start(tensor: &CubeTensor) -> usize {
    tensor.handle.offset_start.unwrap_or_default() as usize / 4
}

/// Whether two tensors are parts of one buffer, the second as far behind the first as its place is.
fn together(first: &CubeTensor, second: &CubeTensor, distance: usize) -> bool {
    let id = |tensor: &CubeTensor| tensor.handle.clone().binding().memory.id();
    id(first) == id(second) && start(second) == start(first) + distance
}

/// The buffer in which the tensors lie at their places: theirs if they do, else a new one.
fn flat(tensors: &[CubeTensor], places: &[Range<usize>]) -> Handle {
    let head = &tensors[0];
    let is_flat =
        start(head) == 0 && tensors.iter().zip(places).all(|(tensor, place)| together(head, tensor, place.start));
    if is_flat {
        let mut whole = head.handle.clone();
        (whole.offset_start, whole.offset_end) = (None, None);
        return whole;
    }
    let all = buffer(head, places.last().map_or(0, |place| place.end));
    for (tensor, place) in tensors.iter().zip(places) {
        let info = [place.len() as u32, place.start as u32];
        launch(&head.client, Copy, info[0].div_ceil(LANES), &[&tensor.handle, &all], &info);
    }
    all
}

/// The gradients, those that lie in one buffer as their tensors do taken together.
fn runs(gradients: &[CubeTensor], places: &[Range<usize>]) -> Vec<(Handle, Range<usize>)> {
    let mut runs: Vec<(&CubeTensor, Range<usize>)> = Vec::new();
    for (gradient, place) in gradients.iter().zip(places) {
        match runs.last_mut() {
            Some((head, range)) if together(head, gradient, place.start - range.start) => range.end = place.end,
            _ => runs.push((gradient, place.clone())),
        }
    }
    let whole = |head: &CubeTensor| {
        let mut handle = head.handle.clone();
        handle.offset_end = None;
        handle
    };
    runs.into_iter().map(|(head, range)| (whole(head), range)).collect()
}

/// A tensor's values to its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Copy;

impl Program for Copy {
    fn buffers(&self) -> Vec<(&'static str, &'static str)> {
        vec![("part", "f32"), ("whole", "f32")]
    }

    fn writes(&self) -> &'static [&'static str] {
        &["whole"]
    }

    fn body(&self) -> String {
        format!("let at = group * {LANES}u + lane;\nif (at < info[0]) {{ whole[info[1] + at] = part[at]; }}")
    }
}

/// A step for parts of the one buffer: where each begins, and its length. Each has a buffer of gradients.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Step {
    runs: Vec<(u32, u32)>,
}

impl Program for Step {
    fn buffers(&self) -> Vec<(&'static str, &'static str)> {
        let mut buffers = vec![("before", "f32"), ("after", "f32"), ("first", "f32"), ("second", "f32")];
        buffers.extend(
            ["gradient0", "gradient1", "gradient2"].into_iter().take(self.runs.len()).map(|name| (name, "f32")),
        );
        buffers
    }

    fn writes(&self) -> &'static [&'static str] {
        &["after", "first", "second"]
    }

    fn body(&self) -> String {
        let mut body = format!("var number = group * {LANES}u + lane;\nvar at = 0u; var g = 0.0;\n");
        for (run, (start, len)) in self.runs.iter().enumerate() {
            body += &format!(
                "if (number < {len}u) {{ at = {start}u + number; g = gradient{run}[number]; }} else {{ number -= {len}u;\n"
            );
        }
        body += "return;\n";
        body += &"}".repeat(self.runs.len());
        body += "
let factor = bitcast<f32>(info[0]); let epsilon = bitcast<f32>(info[1]); let rate = bitcast<f32>(info[2]);
let penalty = bitcast<f32>(info[3]); let beta_1 = bitcast<f32>(info[4]); let beta_2 = bitcast<f32>(info[5]);
let begins = info[6] == 1u;
let value = before[at];
if (penalty != 0.0) { g += value * penalty; }
let m = select(first[at], 0.0, begins) * beta_1 + g * (1.0 - beta_1);
let v = select(second[at], 0.0, begins) * beta_2 + g * g * (1.0 - beta_2);
first[at] = m;
second[at] = v;
after[at] = value - m * factor / (sqrt(v) + epsilon) * rate;";
        body
    }
}
