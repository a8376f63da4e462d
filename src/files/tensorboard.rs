//! What was measured of a run as TensorBoard reads it: a file of records (TFRecord), each an `Event` with a scalar.
//! Only what is needed of the messages is declared; field numbers are those of
//! <https://github.com/tensorflow/tensorboard/blob/master/tensorboard/compat/proto/event.proto> and `summary.proto`.

use prost::Message;

use crate::training::{History, RunConfig};

/// `Event`.
#[derive(Clone, PartialEq, Message)]
pub struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    pub wall_time: f64,
    /// The run's step.
    #[prost(int64, tag = "2")]
    pub step: i64,
    /// The format's version, in the first record alone.
    #[prost(string, optional, tag = "3")]
    pub file_version: Option<String>,
    /// What was measured.
    #[prost(message, optional, tag = "5")]
    pub summary: Option<Summary>,
}

/// `Summary`.
#[derive(Clone, PartialEq, Message)]
pub struct Summary {
    /// The numbers.
    #[prost(message, repeated, tag = "1")]
    pub value: Vec<Value>,
}

/// `Summary.Value`.
#[derive(Clone, PartialEq, Message)]
pub struct Value {
    /// Its name.
    #[prost(string, tag = "1")]
    pub tag: String,
    /// The number. A zero is written too: it is one of a `oneof`.
    #[prost(float, optional, tag = "2")]
    pub simple_value: Option<f32>,
}

/// Writes the measurements. `written` (seconds since 1970) is the time of every record: a step's own time is not kept.
pub fn write(config: &RunConfig, history: &History, written: f64) -> Vec<u8> {
    let mut file = Vec::new();
    let version = Some("brain.Event:2".to_owned());
    record(&mut file, &Event { wall_time: written, file_version: version, ..Event::default() });
    let mut scalars = |step: u32, values: &[(&str, f32)]| {
        let value = |(tag, value): &(&str, f32)| Value { tag: (*tag).to_owned(), simple_value: Some(*value) };
        let summary = Some(Summary { value: values.iter().map(value).collect() });
        record(&mut file, &Event { wall_time: written, step: i64::from(step), file_version: None, summary });
    };
    let end_of = |epoch: u32| epoch.saturating_mul(config.batches_per_epoch());
    for point in &history.points {
        scalars(point.step, &[("loss/training", point.loss), ("accuracy/training", point.accuracy)]);
    }
    for (epoch, score) in &history.scores {
        scalars(end_of(*epoch), &[("loss/validation", score.loss), ("accuracy/validation", score.accuracy())]);
    }
    if let Some(test) = &history.test {
        let last = history.points.last().map(|point| point.step);
        let last = last.or(history.scores.last().map(|(epoch, _)| end_of(*epoch))).unwrap_or_default();
        scalars(last, &[("loss/test", test.loss), ("accuracy/test", test.accuracy())]);
    }
    file
}

/// Appends a record as TFRecord frames it: length, its checksum, the bytes, their checksum; all little-endian.
fn record(file: &mut Vec<u8>, event: &Event) {
    let bytes = event.encode_to_vec();
    let length = (bytes.len() as u64).to_le_bytes();
    file.extend(length);
    file.extend(masked(&length).to_le_bytes());
    file.extend_from_slice(&bytes);
    file.extend(masked(&bytes).to_le_bytes());
}

/// CRC-32C, turned and shifted as TFRecord does it, so that a checksum of checksums is no trap.
fn masked(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}
