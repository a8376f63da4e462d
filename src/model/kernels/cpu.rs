//! The convolution on the CPU, by the crate `kiln-kernels`.

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use burn::tensor::TensorData;
use kiln_kernels::{
    Bordered, Shape, conv_relu, conv_relu_backward, conv_relu_pool, pooled_backward_input, pooled_backward_weights,
};

use super::After;

type Primitive = FloatTensor<Flex>;

/// What the gradients are made from.
#[derive(Debug)]
pub(super) struct Convolution {
    shape: Shape,
    weights: Primitive,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Pooled { input: Bordered, winners: Vec<u8> },
    Plain { input: Primitive, output: Primitive },
}

/// See [`super::convolve`].
pub(super) fn convolve([input, weight, bias]: [&Primitive; 3], after: After) -> Option<(Primitive, Convolution)> {
    let [batch, inputs, height, width] = dims(input);
    let [outputs, ..] = dims(weight);
    let shape = Shape { batch, height, width, inputs, outputs };
    let input = channels_last(input);
    let (weight, bias) = (weight.to_contiguous(), bias.to_contiguous());
    let (output, kind) = if after.pool {
        let bordered = Bordered::new(&shape, floats(&input));
        let (output, winners) = conv_relu_pool(&shape, &bordered, floats(&weight), floats(&bias));
        let (rows, columns) = shape.pooled();
        let output = channels_second(output, [batch, rows, columns, outputs]);
        (output, Kind::Pooled { input: bordered, winners })
    } else {
        let output = conv_relu(&shape, floats(&input), floats(&weight), floats(&bias));
        let output = channels_second(output, [batch, height, width, outputs]);
        (output.clone(), Kind::Plain { input, output })
    };
    Some((output, Convolution { shape, weights: weight, kind }))
}

impl super::Saved<Flex> for Convolution {
    fn backward(&self, gradient: Primitive, with_input: bool) -> [Option<Primitive>; 3] {
        let gradient = channels_last(&gradient);
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
        [input, Some(tensor(weights, &[outputs, inputs, 3, 3])), Some(tensor(bias, &[outputs]))]
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
