//! Whether a GPU can be trusted: one forward pass, held against the CPU's. Called once, when a GPU was opened.

use burn::tensor::{Device, Tensor, TensorData};

use crate::data::{PIXELS, SIDE};
use crate::device::{DeviceLost, read};
use crate::model::{Network, NetworkConfig};

/// The largest difference that one forward pass may show between GPU and CPU before the GPU is distrusted. Seen:
/// about 1e-6.
pub const SELF_CHECK_TOLERANCE: f32 = 1e-3;

/// Runs one forward pass on the GPU and on the CPU and gives the largest difference of a logit. A kernel that failed
/// is silent in a browser: only its numbers tell.
///
/// # Errors
/// The GPU was lost.
pub async fn self_check(gpu: &Device) -> Result<f32, DeviceLost> {
    let mut logits = Vec::new();
    for device in [gpu, &Device::flex()] {
        let network = Network::new(&NetworkConfig::default(), 1, device).expect("the default network can be built");
        let image: Vec<f32> = (0..PIXELS).map(|i| (i % 13) as f32 / 12.0).collect();
        let image = Tensor::from_data(TensorData::new(image, [1, 1, SIDE, SIDE]), device);
        logits.push(read(vec![network.forward(image).flatten(0, 1)]).await?.remove(0));
    }
    let difference = logits[0].iter().zip(&logits[1]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    // A NaN is lost in `max`; it is a difference without bound.
    Ok(if logits[0].iter().all(|x| x.is_finite()) { difference } else { f32::INFINITY })
}
