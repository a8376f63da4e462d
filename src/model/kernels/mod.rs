//! Kiln's own operations inside burn's autodiff: each is one step with three parents (input, weight, bias), and is
//! called back for the gradients of those that want one. Called by [`super::block`] and [`super::network`] alone; what
//! none of it is for, they do with burn's operations, to the same result. [`cpu`] and `gpu` have the operations
//! themselves.
//!
//! The kernels keep channels last, burn's tensors have them second. A tensor's strides bridge that: what comes out is
//! laid out for the next block and says so in its strides, so that between blocks nothing is copied and burn's own
//! operations (batch norm, flatten) still see channels second.

mod cpu;
#[cfg(feature = "gpu")]
mod gpu;

use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::Arc;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Flex};
use burn::tensor::Tensor;

#[cfg(feature = "gpu")]
use gpu::Gpu;
#[cfg(feature = "gpu")]
pub use gpu::{Kept, adam, set_emulated};

/// What follows a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct After {
    /// A 2×2 maximum pool, which is part of the operation.
    pub pool: bool,
    /// A dense layer, to which an image is a row: channels had better lie second, where that costs nothing.
    pub dense: bool,
}

/// Feature maps, as they go from block to block.
#[derive(Debug, Clone)]
pub struct Maps {
    values: Tensor<4>,
    /// `[image][row][column]`: the pixels that are equal because nothing but zeros went into them. Whoever made them learns
    /// their gradients' sum alone, so the next block gives that to the first of them, and zeros to the others. Only if those
    /// who made them are asked for no gradients of their own input, which would need each.
    alike: Option<Arc<[bool]>>,
}

impl Maps {
    /// `[batch, channels, height, width]`.
    pub fn values(self) -> Tensor<4> {
        self.values
    }

    /// The lengths of its sides.
    pub fn dims(&self) -> [usize; 4] {
        self.values.dims()
    }
}

impl From<Tensor<4>> for Maps {
    fn from(values: Tensor<4>) -> Self {
        Self { values, alike: None }
    }
}

/// What an operation keeps for its gradients, and how they are made.
trait Saved<B: Backend>: Debug + Send + Sync + 'static {
    /// Gradients of input (if it is wanted), weight and bias, from the output's.
    fn backward(&self, gradient: FloatTensor<B>, with_input: bool) -> [Option<FloatTensor<B>>; 3];
}

/// The step that autodiff keeps.
#[derive(Debug)]
struct Step<S>(PhantomData<S>);

impl<B: Backend, S: Saved<B>> Backward<B, 3> for Step<S> {
    type State = Arc<S>;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let gradients = ops.state.backward(gradient, ops.parents[0].is_some());
        for (parent, gradient) in ops.parents.into_iter().zip(gradients) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<B>(parent.id, gradient);
            }
        }
    }
}

type Tracked<B> = FloatTensor<Autodiff<B>>;

/// Computes an operation as a step of autodiff.
fn track<B: Backend, S: Saved<B>>(
    [input, weight, bias]: [Tracked<B>; 3],
    forward: impl FnOnce([&FloatTensor<B>; 3]) -> Option<(FloatTensor<B>, S)>,
) -> Option<Tracked<B>> {
    let (output, saved) = forward([input.primitive(), weight.primitive(), bias.primitive()])?;
    let parents = [input.node(), weight.node(), bias.node()];
    let step = Step::<S>(PhantomData).prepare::<NoCheckpointing>(parents).compute_bound().stateful();
    Some(match step {
        OpsKind::Tracked(step) => step.finish(Arc::new(saved), output),
        OpsKind::UnTracked(step) => step.finish(output),
    })
}

/// Input, weight and bias as a backend's own tensors; `None` if they are not on it. A macro, for burn's traits that say
/// what a backend's tensor becomes have no public names.
macro_rules! primitives {
    ($backend:ty, $($tensor:expr),+) => {
        (|| Some([$($tensor.clone().try_into_primitive::<$backend>().ok()?),+]))()
    };
}

/// Computes an operation of a backend, tracked or not; `None` if the tensors are not on it, or there is no kernel for
/// them.
macro_rules! compute {
    ($backend:ty, $input:expr, $weight:expr, $bias:expr, $forward:expr) => {
        if let Some(tracked) = primitives!(Autodiff<$backend>, $input, $weight, $bias) {
            track::<$backend, _>(tracked, $forward).map(Tensor::from_primitive::<Autodiff<$backend>>)
        } else {
            primitives!($backend, $input, $weight, $bias).and_then(|[input, weight, bias]| {
                $forward([&input, &weight, &bias]).map(|(output, _)| Tensor::from_primitive::<$backend>(output))
            })
        }
    };
}

/// Convolution 3×3 "same", bias, ReLU and, if asked for, the pool; `None` where there is no kernel for it.
pub fn convolve(input: &Maps, weight: &Tensor<4>, bias: &Tensor<1>, after: After) -> Option<Maps> {
    let Maps { values, alike } = input;
    let mut output_alike = None;
    let is_asked = primitives!(Autodiff<Flex>, values).is_some_and(|[values]| values.is_tracked());
    let output: Option<Tensor<4>> = compute!(Flex, values, weight, bias, |tensors| {
        let (output, saved) = cpu::convolve(tensors, after, alike.clone())?;
        output_alike = if is_asked { None } else { saved.alike() };
        Some((output, saved))
    });
    #[cfg(feature = "gpu")]
    let output = output.or_else(|| compute!(Gpu, values, weight, bias, |tensors| gpu::convolve(tensors, after)));
    Some(Maps { values: output?, alike: output_alike })
}

/// A dense layer and its ReLU: `[batch, in]` → `[batch, out]`; `None` where there is no kernel for it.
pub fn hidden(input: &Tensor<2>, weight: &Tensor<2>, bias: &Tensor<1>) -> Option<Tensor<2>> {
    let output = compute!(Flex, input, weight, bias, cpu::hidden);
    #[cfg(feature = "gpu")]
    let output = output.or_else(|| compute!(Gpu, input, weight, bias, gpu::hidden));
    output
}

/// The last dense layer with softmax and cross-entropy, of rows `[batch, in]` and targets `[batch, classes]`: the mean
/// loss `[1]`, and `[2]`, untracked: that and the share of rows read right. `None` where there is no kernel for it.
pub fn score(
    input: &Tensor<2>,
    weight: &Tensor<2>,
    bias: &Tensor<1>,
    targets: &Tensor<2>,
    smoothing: f64,
) -> Option<(Tensor<1>, Tensor<1>)> {
    /// By one backend's kernel.
    macro_rules! score {
        ($backend:ty, $score:path) => {
            targets.clone().inner().try_into_primitive::<$backend>().ok().and_then(|targets| {
                let mut metrics = None;
                let loss: Option<Tensor<1>> = compute!($backend, input, weight, bias, |tensors| {
                    let (loss, told, saved) = $score(tensors, &targets, smoothing as f32)?;
                    metrics = Some(told);
                    Some((loss, saved))
                });
                loss.zip(metrics.map(Tensor::from_primitive::<$backend>))
            })
        };
    }
    let scored = score!(Flex, cpu::score);
    #[cfg(feature = "gpu")]
    let scored = scored.or_else(|| score!(Gpu, gpu::score));
    scored
}
