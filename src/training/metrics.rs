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
}
