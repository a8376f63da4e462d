//! The network on burn: one model for every device; which one is decided by the device its tensors are made on.
//!
//! First weights come from one host generator, not from the device's, so that CPU and GPU start equal and a seed
//! reproduces a run.

use burn::module::{Module, Param};
use burn::nn::{BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Linear};
use burn::tensor::{Device, Gradients, Tensor, TensorData, activation};
use rand::{Rng, RngExt};

use super::block::Block;
use super::kernels;
use super::{NetworkConfig, NetworkError, Padding, Trainable, summarize};
use crate::data::SIDE;
use crate::data::order::{Stream, rng};
use crate::device::{DeviceLost, read_flat};

/// A convolutional network for `[batch, 1, 28, 28]` images in 0 … 1, answering `[batch, classes]` logits.
#[derive(Module, Debug)]
pub struct Network {
    blocks: Vec<Block>,
    dense: Vec<Linear>,
    dropout: Dropout,
    /// Layers that don't learn, from the image on: blocks, then dense layers.
    frozen: usize,
}

/// What a network can answer to.
#[derive(Debug, Clone)]
pub enum Input {
    /// `[batch, 1, 28, 28]`, 0 … 1.
    Images(Tensor<4>),
    /// What [`Network::features`] answered to images: `[batch, features]`.
    Features(Tensor<2>),
}

/// What one parameter tensor is, for whoever fills it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// A kernel or matrix with that many inputs and outputs for each of its units.
    Weight { inputs: usize, outputs: usize },
    /// Starts at zero: biases, batch norm's shift and mean.
    Zeros,
    /// Starts at one: batch norm's scale and variance.
    Ones,
}

/// Saved weights do not fit the configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WeightsError {
    /// The network itself can't be built.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// Another number of values than the network has.
    #[error("{found} bytes of weights where the network has {expected}")]
    Length {
        /// Bytes that the network takes.
        expected: usize,
        /// Bytes that were given.
        found: usize,
    },
}

impl Network {
    /// A new network with Glorot-uniform weights (Glorot & Bengio 2010, eq. 16) and zero biases drawn from `seed`.
    ///
    /// # Errors
    /// The layer that can't be built.
    pub fn new(config: &NetworkConfig, seed: u32, device: &Device) -> Result<Self, NetworkError> {
        let mut rng = rng(seed, Stream::Weights);
        Self::build(config, device, |part, len| match part {
            Part::Weight { inputs, outputs } => glorot(inputs, outputs, len, &mut rng),
            Part::Zeros => vec![0.0; len],
            Part::Ones => vec![1.0; len],
        })
    }

    /// A network with the values that [`Network::to_bytes`] gave.
    ///
    /// # Errors
    /// A configuration that can't be built, or bytes of another length than its parameters take.
    pub fn from_bytes(config: &NetworkConfig, bytes: &[u8], device: &Device) -> Result<Self, WeightsError> {
        let expected = 4 * Self::values(config)?;
        if bytes.len() != expected {
            return Err(WeightsError::Length { expected, found: bytes.len() });
        }
        let values: Vec<f32> = bytes.as_chunks().0.iter().copied().map(f32::from_le_bytes).collect();
        Self::from_values(config, &values, device)
    }

    /// A network with the given values, in the order of [`Network::parts`].
    ///
    /// # Errors
    /// A configuration that can't be built, or another number of values than it has.
    pub fn from_values(config: &NetworkConfig, values: &[f32], device: &Device) -> Result<Self, WeightsError> {
        let mut rest = values;
        Self::filled(config, values.len(), |len| rest.split_off(..len).unwrap_or_default().to_vec(), device)
    }

    /// A network with `found` values, of which `next` gives the next so many, in the order of [`Network::parts`].
    ///
    /// # Errors
    /// A configuration that can't be built, or another number of values than it has: `next` is not asked then.
    pub fn filled(
        config: &NetworkConfig,
        found: usize,
        mut next: impl FnMut(usize) -> Vec<f32>,
        device: &Device,
    ) -> Result<Self, WeightsError> {
        let expected = Self::values(config)?;
        if found != expected {
            return Err(WeightsError::Length { expected: 4 * expected, found: 4 * found });
        }
        Ok(Self::build(config, device, |_, len| next(len))?)
    }

    /// How many values there are: parameters and batch norm's statistics.
    fn values(config: &NetworkConfig) -> Result<usize, NetworkError> {
        let statistics = if config.batch_norm { config.convolutions.iter().map(|c| 2 * c.filters).sum() } else { 0 };
        Ok(summarize(config)?.parameters() + statistics)
    }

    /// Asks `fill` for each tensor's values, in the order of [`Network::parts`].
    fn build(
        config: &NetworkConfig,
        device: &Device,
        mut fill: impl FnMut(Part, usize) -> Vec<f32>,
    ) -> Result<Self, NetworkError> {
        summarize(config)?;
        let (mut channels, mut side) = (1, SIDE);
        let blocks = config
            .convolutions
            .iter()
            .map(|conv| {
                let area = conv.kernel * conv.kernel;
                let part = Part::Weight { inputs: channels * area, outputs: conv.filters * area };
                let weight = fill(part, conv.filters * channels * area);
                let weight = Param::from_data(
                    TensorData::new(weight, [conv.filters, channels, conv.kernel, conv.kernel]),
                    device,
                );
                let bias = vector(fill(Part::Zeros, conv.filters), device);
                let norm = config.batch_norm.then(|| BatchNorm {
                    gamma: vector(fill(Part::Ones, conv.filters), device),
                    beta: vector(fill(Part::Zeros, conv.filters), device),
                    running_mean: running(fill(Part::Zeros, conv.filters), device),
                    running_var: running(fill(Part::Ones, conv.filters), device),
                    ..BatchNormConfig::new(conv.filters).init(device)
                });
                channels = conv.filters;
                let padding = match conv.padding {
                    Padding::Same => conv.kernel / 2,
                    Padding::Valid => {
                        side -= conv.kernel - 1;
                        0
                    }
                };
                if conv.pool {
                    side /= 2;
                }
                Block { weight, bias, norm, padding, pool: conv.pool }
            })
            .collect();
        let mut inputs = channels * side * side;
        let dense = config
            .dense
            .iter()
            .chain([&config.classes])
            .map(|&outputs| {
                let weight = fill(Part::Weight { inputs, outputs }, inputs * outputs);
                let weight = Param::from_data(TensorData::new(weight, [inputs, outputs]), device);
                inputs = outputs;
                Linear { weight, bias: Some(vector(fill(Part::Zeros, outputs), device)) }
            })
            .collect();
        Ok(Self { blocks, dense, dropout: DropoutConfig::new(config.dropout).init(), frozen: 0 })
    }

    /// The same network with a new last layer, drawn from `seed`.
    pub fn replace_head(mut self, classes: usize, seed: u32, device: &Device) -> Self {
        if let Some(head) = self.dense.last_mut() {
            let [inputs, _] = head.weight.dims();
            let weight = glorot(inputs, classes, inputs * classes, &mut rng(seed, Stream::Weights));
            let weight = Param::from_data(TensorData::new(weight, [inputs, classes]), device);
            *head = Linear { weight, bias: Some(vector(vec![0.0; classes], device)) };
        }
        self
    }

    /// The same network with all but the `trainable` layers frozen: they get no gradients, and their batch norm keeps
    /// its statistics.
    pub fn freeze(mut self, trainable: Trainable) -> Self {
        self.frozen = match trainable {
            Trainable::Everything => 0,
            Trainable::Dense => self.blocks.len(),
            Trainable::Last => self.blocks.len() + self.dense.len() - 1,
        };
        let frozen = self.frozen;
        let freeze = |index: usize| index < frozen;
        let first_dense = self.blocks.len();
        self.blocks = self.blocks.into_iter().zip(0..).map(|(b, at)| if freeze(at) { b.freeze() } else { b }).collect();
        self.dense =
            self.dense.into_iter().zip(first_dense..).map(|(d, at)| if freeze(at) { d.freeze() } else { d }).collect();
        self
    }

    /// Whether there are layers that don't learn.
    pub fn is_frozen(&self) -> bool {
        self.frozen > 0
    }

    /// Dense layers that don't learn.
    fn frozen_dense(&self) -> usize {
        self.frozen.saturating_sub(self.blocks.len())
    }

    /// `[batch, classes]` logits of `[batch, 1, 28, 28]` images.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        self.classify(self.features(images))
    }

    /// `[batch, classes]` logits, from wherever the input stands.
    pub fn answer(&self, input: Input) -> Tensor<2> {
        self.logits(self.hidden(input))
    }

    /// What the blocks and the frozen dense layers make of images: `[batch, 1, 28, 28]` → `[batch, features]`. Of an
    /// image it is the same each time as long as these layers don't learn, so it can be kept.
    pub fn features(&self, images: Tensor<4>) -> Tensor<2> {
        let blocks = (1..).zip(&self.blocks);
        let maps = blocks.fold(images.into(), |x, (number, block)| block.forward(x, number == self.blocks.len()));
        self.dense[..self.frozen_dense()].iter().fold(maps.values().flatten(1, 3), |x, dense| dense_relu(dense, x))
    }

    /// How many features an image has.
    pub fn feature_len(&self) -> usize {
        self.dense[self.frozen_dense()].weight.dims()[0]
    }

    /// The dense layers that [`Network::features`] left: `[batch, features]` → `[batch, classes]`.
    pub fn classify(&self, features: Tensor<2>) -> Tensor<2> {
        self.logits(self.hidden(Input::Features(features)))
    }

    /// What the last layer is given, from wherever the input stands: `[batch, in]`.
    pub fn hidden(&self, input: Input) -> Tensor<2> {
        let features = match input {
            Input::Images(images) => self.features(images),
            Input::Features(features) => features,
        };
        let first = self.frozen_dense();
        // Features that come from a frozen dense layer are drawn from as any hidden layer's output is.
        let features = if first > 0 { self.dropout.forward(features) } else { features };
        let hidden = &self.dense[first..self.dense.len() - 1];
        hidden.iter().fold(features, |x, dense| self.dropout.forward(dense_relu(dense, x)))
    }

    /// The last layer: `[batch, in]` → `[batch, classes]`.
    pub fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        self.last().forward(hidden)
    }

    /// The last layer with its loss, as one operation: of what it is given and one-hot targets `[batch, classes]`, that
    /// share of which is spread over all classes, the mean cross-entropy `[1]` in nats and, untracked, `[2]`: that and
    /// the share of rows read right. `None` where there is no such operation.
    pub fn score(&self, hidden: &Tensor<2>, targets: &Tensor<2>, smoothing: f64) -> Option<(Tensor<1>, Tensor<1>)> {
        let last = self.last();
        kernels::score(hidden, &last.weight.val(), &last.bias.as_ref()?.val(), targets, smoothing)
    }

    fn last(&self) -> &Linear {
        self.dense.last().expect("a network has at least its output layer")
    }

    /// A look inside: what each layer answers to one image `[1, 1, 28, 28]`, from `conv1` to the last hidden dense layer,
    /// with the layer's name and the side of its maps, which are those before the pool.
    pub fn inside(&self, image: Tensor<4>) -> Vec<(String, usize, Tensor<1>)> {
        let mut layers = Vec::new();
        let mut x = image;
        for (number, block) in (1..).zip(&self.blocks) {
            let maps = block.maps(x);
            let side = maps.dims()[3];
            layers.push((format!("conv{number}"), side, maps.clone().flatten(0, 3)));
            x = block.after_maps(maps);
        }
        let mut hidden: Tensor<2> = x.flatten(1, 3);
        for (number, dense) in (1..).zip(&self.dense[..self.dense.len() - 1]) {
            hidden = dense_relu(dense, hidden);
            layers.push((format!("dense{number}"), 1, hidden.clone().flatten(0, 1)));
        }
        layers
    }

    /// All tensors, flat, in the order in which they are built: for each block its weight, bias and batch norm's
    /// scale, shift, mean and variance; then each dense layer's weight and bias.
    pub fn parts(&self) -> Vec<Tensor<1>> {
        let mut parts = Vec::new();
        for block in &self.blocks {
            parts.push(block.weight.val().flatten(0, 3));
            parts.push(block.bias.val());
            if let Some(norm) = &block.norm {
                parts.extend([norm.gamma.val(), norm.beta.val(), norm.running_mean.value(), norm.running_var.value()]);
            }
        }
        for dense in &self.dense {
            parts.push(dense.weight.val().flatten(0, 1));
            parts.extend(dense.bias.as_ref().map(Param::val));
        }
        parts
    }

    /// The gradients of all trainable tensors, flat, in the order of [`Network::parts`] less the statistics; `None`
    /// for a frozen one.
    pub fn gradients(&self, gradients: &Gradients) -> Vec<Option<Tensor<1>>> {
        let mut parts = Vec::new();
        for block in &self.blocks {
            parts.push(block.weight.val().grad(gradients).map(|g| g.flatten(0, 3)));
            parts.push(block.bias.val().grad(gradients));
            if let Some(norm) = &block.norm {
                parts.push(norm.gamma.val().grad(gradients));
                parts.push(norm.beta.val().grad(gradients));
            }
        }
        for dense in &self.dense {
            parts.push(dense.weight.val().grad(gradients).map(|g| g.flatten(0, 1)));
            parts.extend(dense.bias.as_ref().map(|bias| bias.val().grad(gradients)));
        }
        parts
    }

    /// All values as little-endian f32, in the order of [`Network::parts`]. One read from the device.
    ///
    /// # Errors
    /// The device was lost.
    pub async fn to_bytes(&self) -> Result<Vec<u8>, DeviceLost> {
        Ok(read_flat(self.valid().parts()).await?.into_iter().flat_map(f32::to_le_bytes).collect())
    }
}

/// A hidden dense layer: by Kiln's own operation where there is one.
fn dense_relu(dense: &Linear, input: Tensor<2>) -> Tensor<2> {
    let own = |bias: &Param<Tensor<1>>| kernels::hidden(&input, &dense.weight.val(), &bias.val());
    match dense.bias.as_ref().and_then(own) {
        Some(output) => output,
        None => activation::relu(dense.forward(input)),
    }
}

fn glorot(inputs: usize, outputs: usize, len: usize, rng: &mut impl Rng) -> Vec<f32> {
    let limit = (6.0 / (inputs + outputs) as f32).sqrt();
    (0..len).map(|_| rng.random_range(-limit..limit)).collect()
}

fn vector(values: Vec<f32>, device: &Device) -> Param<Tensor<1>> {
    let len = values.len();
    Param::from_data(TensorData::new(values, [len]), device)
}

fn running(values: Vec<f32>, device: &Device) -> burn::module::RunningState<Tensor<1>> {
    let len = values.len();
    burn::module::RunningState::new(Tensor::from_data(TensorData::new(values, [len]), device))
}
