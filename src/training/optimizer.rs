//! What turns gradients into changes of the weights: burn's update rules, applied to each trainable tensor of a
//! network in its order, with the state in our hands. burn's own `ModuleOptimizer` reads its state synchronously, which
//! a browser's GPU can't, and clips each tensor by itself; here the state goes out in one asynchronous read, and the
//! norm is that of all gradients together. Called by [`super::trainer`].

use burn::backend::Flex;
use burn::backend::tensor::FloatTensor;
use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::optim::decay::{WeightDecay, WeightDecayConfig};
use burn::optim::momentum::{Momentum, MomentumConfig, MomentumState};
use burn::optim::{
    Adam, AdamConfig, AdamState, AdamW, AdamWConfig, AdamWState, AdaptiveMomentumState, CenteredState,
    Optimizer as Rule, RmsProp, RmsPropConfig, RmsPropState, SquareAvgState,
};
use burn::tensor::{Device, Tensor, TensorData};

use super::RunConfig;
use super::config::Optimizer as Choice;
use crate::device::{DeviceLost, on_cpu, read};
use crate::model::Network;

/// Keeps divisions by small moments finite; Keras' value.
const EPSILON: f32 = 1e-7;

/// How much of Adam's first and second moment stays; the values of its authors.
const BETAS: (f32, f32) = (0.9, 0.999);

/// An optimizer and its state.
pub struct Optimizer {
    update: Update,
    /// The largest norm of all gradients together; 0 is off.
    clip_norm: f64,
    /// Steps done.
    time: u32,
    /// For each trainable tensor, flat, what the rule keeps of it.
    moments: Vec<Vec<Tensor<1>>>,
}

/// A flat tensor's new value, and what is kept of it for the next step.
type Stepped = (Tensor<1>, Vec<Tensor<1>>);

enum Update {
    /// With its weight decay, which burn's rule keeps to itself.
    Adam(Adam, f32),
    AdamW(AdamW),
    Sgd {
        momentum: Option<Momentum>,
        decay: Option<WeightDecay>,
    },
    RmsProp(RmsProp),
}

/// Saved state that does not belong to this optimizer and network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found} bytes of optimizer state where {expected} are kept")]
pub struct StateError {
    /// Bytes that this optimizer keeps for this network.
    pub expected: usize,
    /// Bytes that were given.
    pub found: usize,
}

impl Optimizer {
    /// The optimizer that a run asks for, before its first step.
    pub fn new(config: &RunConfig) -> Self {
        let penalty = config.weight_decay as f32;
        let decay = (penalty > 0.0).then(|| WeightDecayConfig::new(penalty));
        let update = match config.optimizer {
            Choice::Adam => Update::Adam(
                AdamConfig::new()
                    .with_beta_1(BETAS.0)
                    .with_beta_2(BETAS.1)
                    .with_epsilon(EPSILON)
                    .with_weight_decay(decay)
                    .build(),
                penalty,
            ),
            Choice::AdamW => {
                let rule = AdamWConfig::new()
                    .with_beta_1(BETAS.0)
                    .with_beta_2(BETAS.1)
                    .with_epsilon(EPSILON)
                    .with_weight_decay(penalty)
                    .build();
                Update::AdamW(rule)
            }
            Choice::Sgd => Update::Sgd {
                momentum: (config.momentum > 0.0)
                    .then(|| Momentum::new(&MomentumConfig::new().with_momentum(config.momentum).with_dampening(0.0))),
                decay: decay.as_ref().map(WeightDecay::new),
            },
            Choice::RmsProp => Update::RmsProp(
                RmsPropConfig::new().with_momentum(0.0).with_epsilon(EPSILON).with_weight_decay(decay).build(),
            ),
        };
        Self { update, clip_norm: config.clip_norm, time: 0, moments: Vec::new() }
    }

    /// One step of size `learning_rate` along the flat gradients of all trainable tensors, in the network's order. A
    /// tensor without a gradient stays as it is.
    pub fn step(&mut self, network: Network, mut gradients: Vec<Option<Tensor<1>>>, learning_rate: f64) -> Network {
        if self.clip_norm > 0.0 {
            clip(&mut gradients, self.clip_norm);
        }
        let ready = self.all_at_once(&network, &gradients, learning_rate).unwrap_or_default();
        let mut moments = std::mem::take(&mut self.moments).into_iter();
        let network = network.map(&mut Step {
            optimizer: self,
            gradients: gradients.into_iter(),
            before: &mut moments,
            ready: ready.into_iter(),
            learning_rate,
        });
        self.time += 1;
        network
    }

    /// Changes one flat tensor.
    fn update(
        &self,
        learning_rate: f64,
        value: Tensor<1>,
        gradient: Tensor<1>,
        mut moments: Vec<Tensor<1>>,
    ) -> Stepped {
        const KEPT: &str = "burn's rules give their state back";
        if let Some(stepped) = self.in_one_pass(learning_rate, &value, &gradient, &mut moments) {
            return stepped;
        }
        let mut moments = moments.into_iter();
        match &self.update {
            Update::Adam(rule, _) => {
                let state = adaptive(self.time, moments).map(AdamState::new);
                let (value, state) = rule.step(learning_rate, value, gradient, state);
                let state = state.expect(KEPT).momentum;
                (value, vec![state.moment_1, state.moment_2])
            }
            Update::AdamW(rule) => {
                let state = adaptive(self.time, moments).map(AdamWState::new);
                let (value, state) = rule.step(learning_rate, value, gradient, state);
                let state = state.expect(KEPT).momentum;
                (value, vec![state.moment_1, state.moment_2])
            }
            Update::Sgd { momentum, decay } => {
                let gradient = match decay {
                    Some(decay) => decay.transform(gradient, value.clone()),
                    None => gradient,
                };
                match momentum {
                    // Without Nesterov's look ahead, the change is the velocity itself.
                    Some(momentum) => {
                        let (velocity, _) = momentum.transform(gradient, moments.next().map(MomentumState::new));
                        (value - velocity.clone().mul_scalar(learning_rate), vec![velocity])
                    }
                    None => (value - gradient.mul_scalar(learning_rate), Vec::new()),
                }
            }
            Update::RmsProp(rule) => {
                let state = moments.next().map(|squares| {
                    let centred = CenteredState::new(None, squares.clone());
                    RmsPropState::new(SquareAvgState::new(squares), centred, None)
                });
                let (value, state) = rule.step(learning_rate, value, gradient, state);
                (value, vec![state.expect(KEPT).square_avg.square_avg])
            }
        }
    }

    /// [`Optimizer::update`] for all tensors together, on a GPU; `None` for another rule or device.
    #[cfg(feature = "gpu")]
    fn all_at_once(
        &self,
        network: &Network,
        gradients: &[Option<Tensor<1>>],
        learning_rate: f64,
    ) -> Option<Vec<Stepped>> {
        let rule = self.adam(learning_rate)?;
        let gradients = gradients.iter().cloned().collect::<Option<Vec<_>>>()?;
        let mut values = Values(Vec::new());
        network.visit(&mut values);
        crate::model::adam::step(&rule, &values.0, &gradients, &self.moments)
    }

    #[cfg(not(feature = "gpu"))]
    fn all_at_once(&self, _: &Network, _: &[Option<Tensor<1>>], _: f64) -> Option<Vec<Stepped>> {
        None
    }

    /// The numbers of the next step, for Kiln's own kernels; `None` for another rule.
    fn adam(&self, learning_rate: f64) -> Option<kiln_kernels::Adam> {
        let Update::Adam(_, penalty) = self.update else { return None };
        let (beta_1, beta_2) = BETAS;
        let (time, learning_rate) = (self.time as i32 + 1, learning_rate as f32);
        Some(kiln_kernels::Adam { beta_1, beta_2, epsilon: EPSILON, time, learning_rate, penalty })
    }

    /// [`Optimizer::update`] on the CPU by Kiln's own kernel, to the same bits; `None` for another rule or device, which
    /// leaves the moments.
    fn in_one_pass(
        &self,
        learning_rate: f64,
        value: &Tensor<1>,
        gradient: &Tensor<1>,
        moments: &mut Vec<Tensor<1>>,
    ) -> Option<Stepped> {
        let rule = self.adam(learning_rate)?;
        let (value, gradient) = (on_cpu(value)?, on_cpu(gradient)?);
        let (value, gradient) = (value.as_slice::<f32>()?, gradient.as_slice()?);
        // Where the values are, the moments are too. Nobody else has them, so nothing is copied here.
        let owned = |moment: Tensor<1>| moment.try_into_primitive::<Flex>().ok()?.into_data().try_into_vec().ok();
        let kept: Option<Vec<Vec<f32>>> = std::mem::take(moments).into_iter().map(owned).collect();
        let mut moments = kept?.try_into().unwrap_or_else(|_| [(); 2].map(|()| vec![0.0; value.len()]));
        let stepped = rule.step(value, gradient, &mut moments);
        let tensor = |values: Vec<f32>| {
            let len = values.len();
            Tensor::from_primitive::<Flex>(FloatTensor::<Flex>::from_data(TensorData::new(values, [len])))
        };
        Some((tensor(stepped), moments.map(tensor).into()))
    }

    /// Numbers kept for each trainable parameter, after the first step.
    fn kept(&self) -> usize {
        match &self.update {
            Update::Adam(..) | Update::AdamW(_) => 2,
            Update::Sgd { momentum: Some(_), .. } | Update::RmsProp(_) => 1,
            Update::Sgd { momentum: None, .. } => 0,
        }
    }

    /// The state: steps done as little-endian u32, then for each trainable tensor its moments as little-endian f32.
    /// Nothing before the first step. One read from the device.
    ///
    /// # Errors
    /// The device was lost.
    pub async fn to_bytes(&self) -> Result<Vec<u8>, DeviceLost> {
        if self.time == 0 {
            return Ok(Vec::new());
        }
        let moments: Vec<Tensor<1>> = self.moments.iter().flatten().cloned().collect();
        let values = if moments.is_empty() { Vec::new() } else { read(moments).await? };
        let values = values.into_iter().flatten().flat_map(f32::to_le_bytes);
        Ok(self.time.to_le_bytes().into_iter().chain(values).collect())
    }

    /// Goes on from what [`Optimizer::to_bytes`] gave, for the same rule and the same trainable tensors. Of no bytes
    /// it begins anew.
    ///
    /// # Errors
    /// Bytes of another length than would be kept; nothing has changed then.
    pub fn restore(&mut self, network: &Network, bytes: &[u8], device: &Device) -> Result<(), StateError> {
        let (sizes, kept) = (sizes(network), self.kept());
        let expected = 4 + 4 * kept * sizes.iter().sum::<usize>();
        let Some((time, values)) = bytes.split_first_chunk::<4>().filter(|_| bytes.len() == expected) else {
            if bytes.is_empty() {
                (self.time, self.moments) = (0, Vec::new());
                return Ok(());
            }
            return Err(StateError { expected, found: bytes.len() });
        };
        self.time = u32::from_le_bytes(*time);
        let mut values = values.as_chunks().0.iter().copied().map(f32::from_le_bytes);
        let mut tensor = |len| {
            let values: Vec<f32> = values.by_ref().take(len).collect();
            Tensor::from_data(TensorData::new(values, [len]), device)
        };
        self.moments = sizes.into_iter().map(|len| (0..kept).map(|_| tensor(len)).collect()).collect();
        Ok(())
    }
}

/// What Adam keeps, from its two moments; nothing before the first step.
fn adaptive(time: u32, mut moments: impl Iterator<Item = Tensor<1>>) -> Option<AdaptiveMomentumState<1>> {
    Some(AdaptiveMomentumState::new(time as usize, moments.next()?, moments.next()?))
}

/// Scales all gradients by one factor, so that their norm, taken together, is at most `norm`. Nothing is read from the
/// device.
fn clip(gradients: &mut [Option<Tensor<1>>], norm: f64) {
    let squares = gradients.iter().flatten().map(|gradient| gradient.clone().square().sum());
    let Some(sum) = squares.reduce(|sum, square| sum + square) else { return };
    let factor = sum.sqrt().add_scalar(1e-12).recip().mul_scalar(norm).clamp_max(1.0);
    for gradient in gradients.iter_mut().flatten() {
        *gradient = gradient.clone() * factor.clone();
    }
}

/// How many values each trainable tensor has, in the network's order.
pub fn sizes(network: &Network) -> Vec<usize> {
    let mut sizes = Sizes(Vec::new());
    network.visit(&mut sizes);
    sizes.0
}

struct Sizes(Vec<usize>);

impl ModuleVisitor for Sizes {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.is_require_grad() {
            self.0.push(param.val().shape().num_elements());
        }
    }
}

/// All trainable tensors, flat, in the same order.
#[cfg(feature = "gpu")]
struct Values(Vec<Tensor<1>>);

#[cfg(feature = "gpu")]
impl ModuleVisitor for Values {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if param.is_require_grad() {
            self.0.push(param.val().inner().flatten(0, D - 1));
        }
    }
}

/// Changes all trainable tensors, in the same order.
struct Step<'a> {
    optimizer: &'a mut Optimizer,
    gradients: std::vec::IntoIter<Option<Tensor<1>>>,
    before: &'a mut std::vec::IntoIter<Vec<Tensor<1>>>,
    /// What was computed for all together; else each is by itself.
    ready: std::vec::IntoIter<Stepped>,
    learning_rate: f64,
}

impl ModuleMapper for Step<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if !param.is_require_grad() {
            return param;
        }
        let moments = self.before.next().unwrap_or_default();
        let Some(gradient) = self.gradients.next().flatten() else {
            self.optimizer.moments.push(moments);
            return param;
        };
        let (id, value, mapper) = param.consume();
        let shape = value.dims();
        let (value, moments) = self.ready.next().unwrap_or_else(|| {
            self.optimizer.update(self.learning_rate, value.inner().flatten(0, D - 1), gradient, moments)
        });
        self.optimizer.moments.push(moments);
        Param::from_mapped_value(id, Tensor::from_inner(value.reshape(shape)).require_grad(), mapper)
    }
}
