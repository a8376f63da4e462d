//! The operations on the CPU, by the crate `kiln-kernels`.

use std::cell::RefCell;
use std::sync::Arc;

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use burn::tensor::TensorData;
use kiln_kernels::{
    Bordered, Linear, Scored, Shape, Weights, conv_relu, conv_relu_backward, conv_relu_pool, linear, linear_backward,
    linear_relu, pooled_backward_input, pooled_backward_weights,
};

use super::After;

type Primitive = FloatTensor<Flex>;

thread_local! {
    /// Tensors that are weights, and their kernels' form, so that a step's slices share it.
    static PACKED: RefCell<Vec<(Primitive, Arc<Weights>)>> = const { RefCell::new(Vec::new()) };
}

/// The kernels' form of a layer's weights. It is known again by where the numbers lie: a tensor that is kept here is
/// shared, so burn writes no other numbers there.
fn packed(inputs: usize, outputs: usize, weights: &Primitive) -> Arc<Weights> {
    let values = floats(weights);
    PACKED.with_borrow_mut(|kept| {
        let is_it =
            |(kept, _): &&(Primitive, _)| std::ptr::eq(floats(kept), values) && kept.layout() == weights.layout();
        if let Some((_, packed)) = kept.iter().find(is_it) {
            return packed.clone();
        }
        let packed = Arc::new(Weights::new(inputs, outputs, values));
        // Those of steps that are done are nobody else's any more.
        kept.retain(|(tensor, _)| !tensor.is_unique());
        kept.push((weights.clone(), packed.clone()));
        packed
    })
}

/// What the gradients are made from.
#[derive(Debug)]
pub(super) struct Convolution {
    shape: Shape,
    weights: Arc<Weights>,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Pooled { input: Bordered, alike: Option<Arc<[bool]>>, winners: Vec<u8> },
    Plain { input: Primitive, output: Primitive },
}

/// See [`super::convolve`]; `alike` are such pixels of the input ([`super::Maps`]).
pub(super) fn convolve(
    [input, weight, bias]: [&Primitive; 3],
    after: After,
    alike: Option<Arc<[bool]>>,
) -> Option<(Primitive, Convolution)> {
    let [batch, inputs, height, width] = dims(input);
    let [outputs, _, _, _] = dims(weight);
    let shape = Shape { batch, height, width, inputs, outputs };
    let input = channels_last(input);
    let (weights, bias) = (packed(inputs, outputs, &weight.to_contiguous()), bias.to_contiguous());
    let (output, kind) = if after.pool {
        let bordered = Bordered::new(&shape, floats(&input));
        let (output, winners) = conv_relu_pool(&shape, &bordered, &weights, floats(&bias));
        let (rows, columns) = shape.pooled();
        let output = channels_second(output, [batch, rows, columns, outputs]);
        (output, Kind::Pooled { input: bordered, alike, winners })
    } else {
        let output = conv_relu(&shape, floats(&input), &weights, floats(&bias));
        let output = channels_second(output, [batch, height, width, outputs]);
        (output.clone(), Kind::Plain { input, output })
    };
    Some((output, Convolution { shape, weights, kind }))
}

impl Convolution {
    /// Such pixels of the output ([`super::Maps`]).
    pub(super) fn alike(&self) -> Option<Arc<[bool]>> {
        match &self.kind {
            Kind::Pooled { input, .. } => input.blank_windows().cloned(),
            Kind::Plain { .. } => None,
        }
    }
}

impl super::Saved<Flex> for Convolution {
    fn backward(&self, gradient: Primitive, with_input: bool) -> [Option<Primitive>; 3] {
        let gradient = channels_last(&gradient);
        let gradient = floats(&gradient);
        let shape = &self.shape;
        let Shape { batch, height, width, inputs, outputs } = *shape;
        let (input, weights, bias) = match &self.kind {
            Kind::Pooled { input, alike, winners } => {
                let alike = alike.as_deref();
                let (weights, bias) = pooled_backward_weights(shape, input, winners, gradient, alike);
                let input = with_input.then(|| pooled_backward_input(shape, &self.weights, winners, gradient, alike));
                (input, weights, bias)
            }
            Kind::Plain { input, output } => {
                let output = channels_last(output);
                conv_relu_backward(shape, floats(input), &self.weights, floats(&output), gradient, with_input)
            }
        };
        let input = input.map(|input| channels_second(input, [batch, height, width, inputs]));
        [input, Some(tensor(weights, &[outputs, inputs, 3, 3])), Some(tensor(bias, &[outputs]))]
    }
}

/// What a dense layer's gradients are made from.
#[derive(Debug)]
pub(super) struct Dense {
    shape: Linear,
    input: Primitive,
    weights: Arc<Weights>,
    kind: DenseKind,
}

#[derive(Debug)]
enum DenseKind {
    /// With its output, after ReLU.
    Hidden(Primitive),
    /// With the gradient of the loss by each logit.
    Last(Vec<f32>),
}

/// See [`super::hidden`].
pub(super) fn hidden(tensors: [&Primitive; 3]) -> Option<(Primitive, Dense)> {
    let (shape, input, weights, bias) = contiguous(tensors);
    let output = linear_relu(&shape, floats(&input), &weights, floats(&bias));
    let output = tensor(output, &[shape.rows, shape.outputs]);
    Some((output.clone(), Dense { shape, input, weights, kind: DenseKind::Hidden(output) }))
}

/// See [`super::score`]: the loss, what is told, and what is kept.
pub(super) fn score(
    tensors: [&Primitive; 3],
    targets: &Primitive,
    smoothing: f32,
) -> Option<(Primitive, Primitive, Dense)> {
    let (shape, input, weights, bias) = contiguous(tensors);
    if shape.rows == 0 || shape.outputs == 0 {
        return None;
    }
    let logits = linear(&shape, floats(&input), &weights, floats(&bias));
    let Scored { loss, correct, gradient } =
        kiln_kernels::score(shape.outputs, &logits, floats(&targets.to_contiguous()), smoothing);
    let told = tensor(vec![loss, correct / shape.rows as f32], &[2]);
    Some((tensor(vec![loss], &[1]), told, Dense { shape, input, weights, kind: DenseKind::Last(gradient) }))
}

/// Shape, input, weights and bias as the kernels want them.
fn contiguous([input, weight, bias]: [&Primitive; 3]) -> (Linear, Primitive, Arc<Weights>, Primitive) {
    let ([rows, inputs], [_, outputs]) = (dims(input), dims(weight));
    let weights = packed(inputs, outputs, &weight.to_contiguous());
    (Linear { rows, inputs, outputs }, input.to_contiguous(), weights, bias.to_contiguous())
}

impl super::Saved<Flex> for Dense {
    fn backward(&self, gradient: Primitive, with_input: bool) -> [Option<Primitive>; 3] {
        let Linear { rows, inputs, outputs } = self.shape;
        let gradient = gradient.to_contiguous();
        let (output, gradient) = match &self.kind {
            DenseKind::Hidden(output) => (Some(floats(output)), floats(&gradient)),
            DenseKind::Last(of_logits) => {
                let of_loss = floats(&gradient)[0];
                (None, &of_logits.iter().map(|value| value * of_loss).collect::<Vec<_>>()[..])
            }
        };
        let (input, weights, bias) =
            linear_backward(&self.shape, floats(&self.input), &self.weights, output, gradient, with_input);
        let input = input.map(|input| tensor(input, &[rows, inputs]));
        [input, Some(tensor(weights, &[inputs, outputs])), Some(tensor(bias, &[outputs]))]
    }
}

fn dims<const D: usize>(tensor: &Primitive) -> [usize; D] {
    std::array::from_fn(|axis| tensor.layout().shape()[axis])
}

fn floats(tensor: &Primitive) -> &[f32] {
    tensor.as_slice::<f32>().expect("it was made contiguous")
}

fn tensor(values: Vec<f32>, shape: &[usize]) -> Primitive {
    Primitive::from_data(TensorData::new(values, shape))
}

/// As the kernels want it; without a copy where a kernel made it.
fn channels_last(tensor: &Primitive) -> Primitive {
    tensor.permute(&[0, 2, 3, 1]).to_contiguous()
}

/// As burn wants it, by strides alone.
fn channels_second(values: Vec<f32>, shape: [usize; 4]) -> Primitive {
    tensor(values, &shape).permute(&[0, 3, 1, 2])
}
