//! Runs of this visit that came to their end or were given up: small records, to compare the present one with.

use std::sync::Arc;

use super::Run;
use crate::page::plot::thinned;
use crate::training::{RunConfig, Score, StepPoint};

/// Points that are kept of a run: as many as a chart has room for.
const POINTS: usize = 430;
/// Runs that are kept.
const RUNS: usize = 8;

/// What is left of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct PastRun {
    /// Which one of the visit, from 1.
    pub number: u32,
    /// Its configuration.
    pub config: RunConfig,
    /// Its line, with means in place of single batches.
    pub points: Vec<StepPoint>,
    /// Epochs done and what was scored at their end.
    pub scores: Vec<(u32, Score)>,
    /// The test, once taken.
    pub test: Option<Score>,
}

impl PastRun {
    /// Where a step of it lies in a chart of another run: 0 to 1, beyond where it took longer.
    pub fn along(&self, step: u32, config: &RunConfig) -> f32 {
        step as f32 / self.config.batches_per_epoch() as f32 / config.epochs.max(1) as f32
    }
}

/// The past runs, the latest last.
#[derive(Debug, Clone, Default)]
pub struct Past {
    runs: Vec<Arc<PastRun>>,
    count: u32,
}

impl Past {
    /// All that are kept.
    pub fn runs(&self) -> &[Arc<PastRun>] {
        &self.runs
    }

    /// Keeps what is left of a run, if it has come far enough to be seen.
    pub fn keep(&mut self, run: Run) {
        if run.points.len() < 2 {
            return;
        }
        self.count += 1;
        let points = thinned(&run.points, POINTS);
        let Run { config, scores, test, .. } = run;
        self.runs.push(Arc::new(PastRun { number: self.count, config, points, scores, test }));
        if self.runs.len() > RUNS {
            self.runs.remove(0);
        }
    }
}
