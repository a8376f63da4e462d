//! What was measured of a run as CSV (RFC 4180): a line each step, and in the line of an epoch's last step its
//! validation. What was not measured is empty.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{History, RunConfig, Score, StepPoint};

/// The names of the columns.
pub const HEADER: &str = "step,epoch,training_loss,training_accuracy,validation_loss,validation_accuracy,\
                          validation_correct,validation_total,test_loss,test_accuracy,test_correct,test_total";

/// Writes the measurements.
pub fn write(config: &RunConfig, history: &History) -> String {
    let per_epoch = config.batches_per_epoch();
    let mut lines: BTreeMap<u32, (Option<StepPoint>, Option<Score>)> = BTreeMap::new();
    for point in &history.points {
        lines.entry(point.step).or_default().0 = Some(*point);
    }
    for (epoch, score) in &history.scores {
        lines.entry(epoch.saturating_mul(per_epoch)).or_default().1 = Some(*score);
    }
    let last = lines.keys().next_back().copied();
    let mut csv = format!("{HEADER}\r\n");
    for (step, (point, validation)) in lines {
        let test = history.test.filter(|_| Some(step) == last);
        let epoch = step.saturating_sub(1) / per_epoch + 1;
        let training = point.map_or(",".to_owned(), |point| format!("{},{}", point.loss, point.accuracy));
        let score = |score: Option<Score>| match score {
            Some(score) => format!("{},{},{},{}", score.loss, score.accuracy(), score.correct, score.total),
            None => ",,,".to_owned(),
        };
        write!(csv, "{step},{epoch},{training},{},{}\r\n", score(validation), score(test)).expect("memory takes text");
    }
    csv
}
