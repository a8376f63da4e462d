//! What a chart shows, as numbers: its axis, the smoothed line, the point under the pointer. Pure.

use crate::training::{RunConfig, StepPoint};

/// Which of the two charts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Mean cross-entropy.
    Loss,
    /// Share read right.
    Accuracy,
}

impl Measure {
    /// Its value at a step.
    pub fn of(self, point: &StepPoint) -> f32 {
        match self {
            Measure::Loss => point.loss,
            Measure::Accuracy => point.accuracy,
        }
    }
}

/// A vertical axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Axis {
    low: f32,
    high: f32,
    log: bool,
}

impl Axis {
    /// The axis of a chart. `settled`: it has read 90 % right, so the upper tenth is what counts from now on.
    pub fn new(measure: Measure, log: bool, settled: bool) -> Self {
        match measure {
            Measure::Loss if log => Axis { low: 0.004, high: 3.0, log: true },
            Measure::Loss => Axis { low: 0.0, high: 2.5, log: false },
            Measure::Accuracy => Axis { low: if settled { 0.9 } else { 0.0 }, high: 1.0, log: false },
        }
    }

    /// Where a value lies: 0 at the top, 1 at the bottom; beyond for what the axis leaves out.
    pub fn place(&self, value: f32) -> f32 {
        self.place_scaled(self.scale(value))
    }

    /// A value in the axis' own space, in which it is smoothed. A line smoothed otherwise would lag on a log axis.
    fn scale(&self, value: f32) -> f32 {
        if self.log { value.max(1e-6).ln() } else { value }
    }

    fn place_scaled(&self, scaled: f32) -> f32 {
        (self.scale(self.high) - scaled) / (self.scale(self.high) - self.scale(self.low))
    }

    fn unscale(&self, scaled: f32) -> f32 {
        if self.log { scaled.exp() } else { scaled }
    }

    /// The values with a line, and their labels.
    pub fn ticks(&self) -> [(f32, &'static str); 3] {
        match (self.log, self.high == 1.0, self.low > 0.0) {
            (true, ..) => [(1.0, "1"), (0.1, "0.1"), (0.01, "0.01")],
            (_, true, true) => [(1.0, "100%"), (0.95, "95"), (0.9, "90")],
            (_, true, false) => [(1.0, "100%"), (0.5, "50"), (0.0, "0")],
            _ => [(2.0, "2"), (1.0, "1"), (0.0, "0")],
        }
    }
}

/// The smoothed line: a debiased exponential mean, worked out once for each point.
///
/// A strength is meant for a line of some hundred points. A run has ten times as many, so it is spread over the run:
/// the line looks as smooth for 10 batches an epoch as for 430.
#[derive(Debug, Clone, Default)]
pub struct Smoothed {
    key: Option<(Axis, u32, u32, u32)>,
    mean: f32,
    weight: f32,
    values: Vec<f32>,
}

/// Points of a run for which a strength counts as it is.
const NOMINAL_POINTS: f32 = 430.0;

impl Smoothed {
    /// Brings the line up to date with all points so far.
    pub fn update(&mut self, points: &[StepPoint], measure: Measure, axis: Axis, strength: f32, run: (u32, u32)) {
        let (generation, steps) = run;
        // Only the space matters, not what of it is on show: the accuracy's axis may change under the line.
        let space = Axis { low: 0.0, high: 0.0, log: axis.log };
        let key = Some((space, generation, steps, strength.to_bits()));
        if self.key != key || points.len() < self.values.len() {
            *self = Self { key, ..Self::default() };
        }
        let keep = strength.powf((NOMINAL_POINTS / steps.max(1) as f32).min(1.0));
        for point in &points[self.values.len()..] {
            let value = axis.scale(measure.of(point));
            if value.is_finite() {
                self.mean = keep * self.mean + (1.0 - keep) * value;
                self.weight = keep * self.weight + (1.0 - keep);
            }
            self.values.push(axis.unscale(if self.weight > 0.0 { self.mean / self.weight } else { value }));
        }
    }

    /// One value for each point.
    pub fn values(&self) -> &[f32] {
        &self.values
    }
}

/// Where a step lies on the horizontal axis of the whole planned run: 0 to 1.
pub fn along(step: u32, config: &RunConfig) -> f32 {
    step as f32 / config.steps().max(1) as f32
}

/// The epochs that get a label: each, or about ten where there are more than fifteen.
pub fn epoch_ticks(epochs: u32) -> impl Iterator<Item = u32> {
    let every = match epochs {
        0..=15 => 1,
        16..=50 => 5,
        _ => 10,
    };
    (0..=epochs).step_by(every)
}

/// The index of the point nearest to a place on the horizontal axis.
pub fn nearest(points: &[StepPoint], config: &RunConfig, place: f32) -> Option<usize> {
    let step = place * config.steps() as f32;
    let after = points.partition_point(|point| (point.step as f32) < step);
    let near = |index: &usize| (points[*index].step as f32 - step).abs();
    (after.saturating_sub(1)..points.len().min(after + 1)).min_by(|a, b| near(a).total_cmp(&near(b)))
}

/// The means of one epoch's training points: loss and accuracy.
pub fn epoch_means(points: &[StepPoint], config: &RunConfig, epoch: u32) -> Option<(f32, f32)> {
    let batches = config.batches_per_epoch();
    let from = points.partition_point(|point| point.step <= (epoch - 1) * batches);
    let to = points.partition_point(|point| point.step <= epoch * batches);
    let epoch = &points[from..to];
    let mean = |of: fn(&StepPoint) -> f32| epoch.iter().map(of).sum::<f32>() / epoch.len() as f32;
    (!epoch.is_empty()).then(|| (mean(|point| point.loss), mean(|point| point.accuracy)))
}
