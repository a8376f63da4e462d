//! What is measured of a run: plain numbers, once they have been read from the device.

use serde::{Deserialize, Serialize};

/// One training step, measured on its own batch before the step changed the network.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StepPoint {
    /// Steps of the run so far, this one included: from 1.
    pub step: u32,
    /// Mean cross-entropy of the batch, in nats.
    pub loss: f32,
    /// Share of the batch that was read right, 0 to 1.
    pub accuracy: f32,
}

/// How a network did on images that it does not learn from.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Mean cross-entropy, in nats.
    pub loss: f32,
    /// Images read right.
    pub correct: u32,
    /// Images looked at.
    pub total: u32,
}

impl Score {
    /// Share read right, 0 to 1; 0 of an empty set.
    pub fn accuracy(&self) -> f32 {
        if self.total == 0 { 0.0 } else { self.correct as f32 / self.total as f32 }
    }

    /// The interval that holds the true accuracy with 95 % confidence.
    pub fn interval(&self) -> (f32, f32) {
        wilson(self.correct, self.total)
    }
}

/// The interval that holds the true share with 95 % confidence, when `correct` of `total` were right (Wilson 1927).
/// 0 to 1 when nothing was looked at: then nothing is known.
pub fn wilson(correct: u32, total: u32) -> (f32, f32) {
    const Z: f64 = 1.959_963_984_540_054;
    if total == 0 {
        return (0.0, 1.0);
    }
    let (n, share) = (f64::from(total), f64::from(correct) / f64::from(total));
    let scale = 1.0 + Z * Z / n;
    let middle = (share + Z * Z / (2.0 * n)) / scale;
    let half = Z / scale * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    ((middle - half).max(0.0) as f32, (middle + half).min(1.0) as f32)
}
