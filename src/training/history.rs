//! What was measured in a run, from its first step on. Plain data: it is shown, kept beside the checkpoint and the
//! model, and written to files.

use serde::{Deserialize, Serialize};

use super::{RunConfig, Score, StepPoint};
use crate::protocol::Event;

/// The measurements of one run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// Every step, in order.
    #[serde(with = "packed")]
    pub points: Vec<StepPoint>,
    /// Epochs done, and the validation at their end.
    pub scores: Vec<(u32, Score)>,
    /// The epoch with the best validation.
    pub best: Option<u32>,
    /// The test, once taken.
    pub test: Option<Score>,
    /// Steps after which the run was taken up again in another visit.
    pub resumed: Vec<u32>,
}

impl History {
    /// Adds what an event of the run tells.
    pub fn hear(&mut self, event: &Event) {
        match event {
            Event::Steps { points, .. } => self.points.extend_from_slice(points),
            Event::Validated { epoch, score, best, .. } => {
                self.scores.push((*epoch, *score));
                if *best {
                    self.best = Some(*epoch);
                }
            }
            Event::Finished { best_epoch, test, .. } => {
                self.best = best_epoch.or(self.best);
                self.test = test.or(self.test);
            }
            _ => {}
        }
    }

    /// Drops what came after `step` steps and `epoch` validated epochs: from there the run goes on.
    pub fn rewind(&mut self, step: u32, epoch: u32) {
        self.points.retain(|point| point.step <= step);
        self.scores.retain(|(done, _)| *done <= epoch);
        self.resumed.retain(|at| *at <= step);
        self.best = self.best.filter(|best| *best <= epoch);
        self.test = None;
    }

    /// The latest validation.
    pub fn score(&self) -> Option<Score> {
        self.scores.last().map(|(_, score)| *score)
    }

    /// Whether this can be the history of such a run: steps and epochs rise and stay within it.
    pub fn fits(&self, config: &RunConfig) -> bool {
        let rises = |mut steps: std::vec::IntoIter<u32>, most: u32| {
            let mut last = 0;
            steps.all(|step| std::mem::replace(&mut last, step) < step && step <= most)
        };
        let steps: Vec<u32> = self.points.iter().map(|point| point.step).collect();
        let epochs: Vec<u32> = self.scores.iter().map(|(epoch, _)| *epoch).collect();
        let sound = |score: &Score| score.correct <= score.total;
        rises(steps.into_iter(), config.steps())
            && rises(epochs.into_iter(), config.epochs)
            && self.scores.iter().all(|(_, score)| sound(score))
            && self.test.iter().all(sound)
    }
}

/// Points as bytes, 12 each: a long run has tens of thousands, and an object for each would cost more than a step.
mod packed {
    use serde::de::Error;
    use serde::{Deserializer, Serializer};
    use serde_bytes::ByteBuf;

    use super::StepPoint;

    const SIZE: usize = 12;

    pub fn serialize<S: Serializer>(points: &[StepPoint], serializer: S) -> Result<S::Ok, S::Error> {
        let pack = |p: &StepPoint| [p.step.to_le_bytes(), p.loss.to_le_bytes(), p.accuracy.to_le_bytes()].concat();
        let bytes: Vec<u8> = points.iter().flat_map(pack).collect();
        serde_bytes::serialize(&bytes, serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<StepPoint>, D::Error> {
        let bytes: ByteBuf = serde_bytes::deserialize(deserializer)?;
        if !bytes.len().is_multiple_of(SIZE) {
            return Err(D::Error::custom(format!("{} bytes of points, {SIZE} each", bytes.len())));
        }
        let four = |chunk: &[u8], at: usize| [chunk[at], chunk[at + 1], chunk[at + 2], chunk[at + 3]];
        let point = |chunk: &[u8]| StepPoint {
            step: u32::from_le_bytes(four(chunk, 0)),
            loss: f32::from_le_bytes(four(chunk, 4)),
            accuracy: f32::from_le_bytes(four(chunk, 8)),
        };
        Ok(bytes.chunks_exact(SIZE).map(point).collect())
    }
}
