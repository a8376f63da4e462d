//! Kiln's own convolution on the CPU, as an operation of burn: its autodiff sees one step with three parents and calls
//! back for the gradients. Called by [`super::block`] alone; what is not for it, block does with burn's operations.
//!
//! The kernels keep channels last, burn's tensors have them second. A tensor's strides bridge that: what comes out is
//! laid out for the next block and says so in its strides, so that between blocks nothing is copied and burn's own
//! operations (batch norm, flatten) still see channels second.

use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::{Tensor, TensorData};
use kiln_kernels::{
    Bordered, Shape, conv_relu, conv_relu_backward, conv_relu_pool, pooled_backward_input, pooled_backward_weights,
};

type Primitive = FloatTensor<Flex>;
type Tracked = FloatTensor<Autodiff<Flex>>;

/// Convolution 3×3 "same", bias, ReLU and, if asked for, the pool; `None` if the tensors are not on the CPU.
pub fn convolve(input: &Tensor<4>, weight: &Tensor<4>, bias: &Tensor<1>, pool: bool) -> Option<Tensor<4>> {
    let tracked = input
        .clone()
        .try_into_primitive::<Autodiff<Flex>>()
        .ok()
        .zip(weight.clone().try_into_primitive::<Autodiff<Flex>>().ok());
    if let Some((input, weight)) = tracked {
        let bias = bias.clone().try_into_primitive::<Autodiff<Flex>>().ok()?;
        return Some(Tensor::from_primitive::<Autodiff<Flex>>(track(input, weight, bias, pool)));
    }
    let input = input.clone().try_into_primitive::<Flex>().ok()?;
    let weight = weight.clone().try_into_primitive::<Flex>().ok()?;
    let bias = bias.clone().try_into_primitive::<Flex>().ok()?;
    Some(Tensor::from_primitive::<Flex>(forward(&input, &weight, &bias, pool).0))
}

/// What the gradients are made from.
#[derive(Debug)]
struct Saved {
    shape: Shape,
    weights: Primitive,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Pooled { input: Bordered, winners: Vec<u8> },
    Plain { input: Primitive, output: Primitive },
}

fn forward(input: &Primitive, weight: &Primitive, bias: &Primitive, pool: bool) -> (Primitive, Saved) {
    let [batch, inputs, height, width] = dims(input);
    let [outputs, ..] = dims(weight);
    let shape = Shape { batch, height, width, inputs, outputs };
    let input = channels_last(input);
    let (weight, bias) = (weight.to_contiguous(), bias.to_contiguous());
    if pool {
        let bordered = Bordered::new(&shape, floats(&input));
        let (output, winners) = conv_relu_pool(&shape, &bordered, floats(&weight), floats(&bias));
        let (rows, columns) = shape.pooled();
        let output = channels_second(output, [batch, rows, columns, outputs]);
        (output, Saved { shape, weights: weight, kind: Kind::Pooled { input: bordered, winners } })
    } else {
        let output = conv_relu(&shape, floats(&input), floats(&weight), floats(&bias));
        let output = channels_second(output, [batch, height, width, outputs]);
        (output.clone(), Saved { shape, weights: weight, kind: Kind::Plain { input, output } })
    }
}

impl Saved {
    /// Gradients of input (if it is wanted), weight and bias.
    fn backward(&self, gradient: &Primitive, with_input: bool) -> (Option<Primitive>, Primitive, Primitive) {
        let gradient = channels_last(gradient);
        let gradient = floats(&gradient);
        let shape = &self.shape;
        let Shape { batch, height, width, inputs, outputs } = *shape;
        let (input, weights, bias) = match &self.kind {
            Kind::Pooled { input, winners } => {
                let (weights, bias) = pooled_backward_weights(shape, input, winners, gradient);
                let input = with_input.then(|| pooled_backward_input(shape, floats(&self.weights), winners, gradient));
                (input, weights, bias)
            }
            Kind::Plain { input, output } => {
                let output = channels_last(output);
                conv_relu_backward(shape, floats(input), floats(&self.weights), floats(&output), gradient, with_input)
            }
        };
        let input = input.map(|input| channels_second(input, [batch, height, width, inputs]));
        (input, tensor(weights, &[outputs, inputs, 3, 3]), tensor(bias, &[outputs]))
    }
}

/// The step that autodiff keeps.
#[derive(Debug)]
struct ConvolutionBackward;

impl Backward<Flex, 3> for ConvolutionBackward {
    type State = Arc<Saved>;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<Flex>(&ops.node);
        let [input, weight, bias] = ops.parents;
        let (input_gradient, weight_gradient, bias_gradient) = ops.state.backward(&gradient, input.is_some());
        for (parent, gradient) in
            [(input, input_gradient), (weight, Some(weight_gradient)), (bias, Some(bias_gradient))]
        {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<Flex>(parent.id, gradient);
            }
        }
    }
}

fn track(input: Tracked, weight: Tracked, bias: Tracked, pool: bool) -> Tracked {
    let parents = [input.node(), weight.node(), bias.node()];
    let step = ConvolutionBackward.prepare::<NoCheckpointing>(parents).compute_bound().stateful();
    let (output, saved) = forward(input.primitive(), weight.primitive(), bias.primitive(), pool);
    match step {
        OpsKind::Tracked(step) => step.finish(Arc::new(saved), output),
        OpsKind::UnTracked(step) => step.finish(output),
    }
}

fn dims(tensor: &Primitive) -> [usize; 4] {
    let shape = tensor.layout().shape();
    [shape[0], shape[1], shape[2], shape[3]]
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
