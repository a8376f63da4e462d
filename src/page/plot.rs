//! What a chart shows, as numbers: its axis, the smoothed line, the point under the pointer. Pure.

use super::state::room;
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
    measure: Measure,
    low: f32,
    high: f32,
    log: bool,
    /// Whether it is a part of what the chart shows by itself.
    zoomed: bool,
}

/// The shortest part of an axis that can be zoomed to, of what is on show.
const LEAST_PART: f32 = 0.01;

impl Axis {
    /// The axis of a chart. `settled`: it has read 90 % right, so the upper tenth is what counts from now on.
    pub fn new(measure: Measure, log: bool, settled: bool) -> Self {
        let (low, high) = match measure {
            Measure::Loss if log => (0.004, 3.0),
            Measure::Loss => (0.0, 2.5),
            Measure::Accuracy => (if settled { 0.9 } else { 0.0 }, 1.0),
        };
        Axis { measure, low, high, log: log && measure == Measure::Loss, zoomed: false }
    }

    /// Where a value lies: 0 at the top, 1 at the bottom; beyond for what the axis leaves out.
    pub fn place(&self, value: f32) -> f32 {
        self.place_scaled(self.scale(value))
    }

    /// The values that it shows, from the least to the greatest.
    pub fn shows(&self) -> (f32, f32) {
        (self.low, self.high)
    }

    /// The part between two places, 0 at the top.
    pub fn part(&self, from: f32, to: f32) -> (f32, f32) {
        let (top, bottom) = longer_than(LEAST_PART, from, to);
        let at =
            |place: f32| self.unscale(self.scale(self.high) - place * (self.scale(self.high) - self.scale(self.low)));
        (at(bottom), at(top))
    }

    /// The same axis, showing these values alone. On a log axis nothing is below a ten thousandth.
    pub fn within(self, (low, high): (f32, f32)) -> Self {
        let low = if self.log { low.max(1e-4) } else { low };
        Axis { low, high: high.max(low + 1e-6), zoomed: true, ..self }
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
    pub fn ticks(&self) -> Vec<(f32, String)> {
        let known: &[(f32, &str)] = match (self.zoomed, self.measure) {
            (false, Measure::Loss) if self.log => &[(1.0, "1"), (0.1, "0.1"), (0.01, "0.01")],
            (false, Measure::Loss) => &[(2.0, "2"), (1.0, "1"), (0.0, "0")],
            (false, Measure::Accuracy) if self.low > 0.0 => &[(1.0, "100%"), (0.95, "95"), (0.9, "90")],
            (false, Measure::Accuracy) => &[(1.0, "100%"), (0.5, "50"), (0.0, "0")],
            (true, _) => return self.round_ticks(),
        };
        known.iter().map(|(value, label)| (*value, (*label).to_owned())).collect()
    }

    /// Round values within a part of the axis.
    fn round_ticks(&self) -> Vec<(f32, String)> {
        let (low, high) = (f64::from(self.low), f64::from(self.high));
        if self.log {
            let mantissas: &[f64] = if high / low > 50.0 { &[1.0] } else { &[1.0, 2.0, 5.0] };
            let decades = low.log10().floor() as i32..=high.log10().ceil() as i32;
            let values = decades.flat_map(|decade| mantissas.iter().map(move |mantissa| mantissa * 10f64.powi(decade)));
            let within: Vec<f64> = values.filter(|value| (low..=high).contains(value)).collect();
            if within.len() >= 2 {
                let label = |value: &f64| (*value as f32, format!("{}", *value as f32));
                return within.iter().map(label).collect();
            }
        }
        let percent = self.measure == Measure::Accuracy;
        let by = if percent { 100.0 } else { 1.0 };
        round_values(low * by, high * by, 3)
            .into_iter()
            .map(|(value, label)| ((value / by) as f32, if percent { label + "%" } else { label }))
            .collect()
    }
}

/// Two places in order, within 0 to 1 and not closer to each other than `least`.
fn longer_than(least: f32, a: f32, b: f32) -> (f32, f32) {
    let (from, to) = (a.min(b).clamp(0.0, 1.0 - least), a.max(b).clamp(least, 1.0));
    if to - from >= least { (from, to) } else { (from, from + least) }
}

/// Round values from `low` to `high`, about `wanted` of them and at least two, with as many decimals as they need.
pub fn round_values(low: f64, high: f64, wanted: usize) -> Vec<(f64, String)> {
    let length = (high - low).max(1e-9);
    let decade = 10f64.powi((length / wanted as f64).log10().floor() as i32);
    // The ends come from 32-bit floats: 0.9 of them is a little less than 90 %.
    let count = |step: f64| (high / step + 1e-6).floor() - (low / step - 1e-6).ceil() + 1.0;
    let steps = [10.0, 5.0, 2.0, 1.0, 0.5].map(|times| times * decade);
    let step = steps.into_iter().find(|step| count(*step) >= 2.0_f64.max(wanted as f64 - 1.0)).unwrap_or(steps[4]);
    let decimals = (-step.log10()).ceil().max(0.0) as usize;
    let first = (low / step - 1e-6).ceil();
    (0..count(step).max(0.0) as u32)
        .map(|index| (first + f64::from(index)) * step)
        .map(|value| (value, format!("{:.decimals$}", value + 0.0)))
        .collect()
}

/// The part of the horizontal axis that is on show: from 0, the run's beginning, to 1, its planned end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    from: f32,
    to: f32,
}

impl Default for Span {
    /// The whole run.
    fn default() -> Self {
        Self { from: 0.0, to: 1.0 }
    }
}

impl Span {
    /// Whether it is the whole run.
    pub fn is_whole(&self) -> bool {
        *self == Self::default()
    }

    /// Its beginning and end.
    pub fn ends(&self) -> (f32, f32) {
        (self.from, self.to)
    }

    /// The part between two places of this one, 0 at the left.
    pub fn part(&self, a: f32, b: f32) -> Self {
        let (from, to) = longer_than(LEAST_PART, a, b);
        let (from, to) = (self.along(from), self.along(to));
        // A part of a part of a part has an end where a batch is as wide as the chart.
        if to - from < 1e-4 { *self } else { Self { from, to } }
    }

    /// Half or twice as much around a place, never more than the whole run.
    pub fn scaled(&self, around: f32, by: f32) -> Self {
        let middle = self.along(around);
        let (from, to) = (middle - (middle - self.from) * by, middle + (self.to - middle) * by);
        let (from, to) = (from.max(0.0), to.min(1.0));
        if to - from < 1e-4 { *self } else { Self { from, to } }
    }

    /// Where on the chart something of the run lies: 0 at the left, 1 at the right, beyond for what is not on show.
    pub fn place(&self, along: f32) -> f32 {
        (along - self.from) / (self.to - self.from)
    }

    /// What of the run lies at a place of the chart.
    pub fn along(&self, place: f32) -> f32 {
        self.from + place * (self.to - self.from)
    }

    /// The epochs with a mark and a label.
    pub fn ticks(&self, epochs: u32) -> Vec<(f32, String)> {
        if self.is_whole() {
            return epoch_ticks(epochs).map(|epoch| (epoch as f32, epoch.to_string())).collect();
        }
        let epochs = f64::from(epochs);
        let ticks = round_values(f64::from(self.from) * epochs, f64::from(self.to) * epochs, 6);
        ticks.into_iter().map(|(epoch, label)| (epoch as f32, label)).collect()
    }
}

/// The smoothed line: a debiased exponential mean, worked out once for each point.
///
/// A strength is meant for a line of some hundred points. A run has ten times as many, so it is spread over the run:
/// the line looks as smooth for 10 batches an epoch as for 430.
#[derive(Debug, Clone, Default)]
pub struct Smoothed {
    /// What the line depends on: the space, the run, its length and the strength.
    key: Option<(bool, u32, u32, u32)>,
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
        // Only the space matters, not what of it is on show: the axis may change under the line.
        let key = Some((axis.log, generation, steps, strength.to_bits()));
        if self.key != key || points.len() < self.values.len() {
            let mut values = std::mem::take(&mut self.values);
            values.clear();
            values.reserve(room(steps));
            *self = Self { key, values, ..Self::default() };
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

/// A line of about `most` points in place of a longer one: means of neighbours.
pub fn thinned(points: &[StepPoint], most: usize) -> Vec<StepPoint> {
    let together = points.len().div_ceil(most.max(1)).max(1);
    let mean = |chunk: &[StepPoint]| {
        let mean = |of: fn(&StepPoint) -> f32| chunk.iter().map(of).sum::<f32>() / chunk.len() as f32;
        StepPoint {
            step: chunk.last().map_or(0, |point| point.step),
            loss: mean(|point| point.loss),
            accuracy: mean(|point| point.accuracy),
        }
    };
    points.chunks(together).map(mean).collect()
}
