//! Whether a GPU can be trusted: one forward pass and two training steps, held against the CPU's. Called once, when a GPU
//! was opened; the usual network's programs are compiled by it, so that the first click finds them ready.

use burn::tensor::Device;

use super::RunConfig;
use super::trainer::{Batch, Trainer};
use crate::data::augment::Changes;
use crate::data::{CLASSES, Images, PIXELS};
use crate::device::{DeviceLost, read};
use crate::model::Network;

/// The largest difference that a logit or a loss may show between GPU and CPU before the GPU is distrusted. Seen: about
/// 1e-6.
pub const SELF_CHECK_TOLERANCE: f32 = 1e-3;

/// Computes the same on the GPU and on the CPU and gives the largest difference of a logit or a loss. A kernel that
/// failed is silent in a browser: only its numbers tell.
///
/// # Errors
/// The GPU was lost.
pub async fn self_check(gpu: &Device) -> Result<f32, DeviceLost> {
    let config = RunConfig { train_size: 2, ..RunConfig::default() };
    let pixels: Vec<u8> = (0..2 * PIXELS).map(|i| (i % 13 * 21) as u8).collect();
    let images = Images { pixels, labels: vec![3, 8] };
    let mut found = Vec::new();
    for device in [gpu, &Device::flex()] {
        let network = Network::new(&config.network, 1, &device.clone().autodiff());
        let mut trainer = Trainer::new(network.expect("the default network can be built"), &config, device);
        let logits = trainer.network().answer(Batch::of(&images, CLASSES, device).input);
        let mut told = read(vec![logits.flatten(0, 1)]).await?.remove(0);
        // A batch as it is, and one that is changed in every way: the GPU makes them itself.
        let changed =
            Changes { rotation: 10.0, translation: [1.5, -1.0], contrast: 0.2, noise: 0.05, ..Changes::default() };
        for changes in [Changes::default(), changed] {
            let batch = trainer.batch(&images, &[0, 1], |_| changes);
            told.push(read(vec![trainer.step(batch, config.learning_rate)]).await?[0][0]);
        }
        found.push(told);
    }
    let difference = found[0].iter().zip(&found[1]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    // A NaN is lost in `max`; it is a difference without bound.
    Ok(if found[0].iter().all(|x| x.is_finite()) { difference } else { f32::INFINITY })
}
