//! What the chores tell the terminal: each step with a heading and the time that it took.

use std::time::{Duration, Instant};

use anyhow::Result;

/// Announces a step, does it, and says how long it took. The step returns a few words on its outcome.
pub fn step(heading: &str, work: impl FnOnce() -> Result<String>) -> Result<()> {
    eprintln!("▸ {heading}");
    let start = Instant::now();
    let outcome = work();
    let time = seconds(start.elapsed());
    match &outcome {
        Ok(words) if words.is_empty() => eprintln!("  done ({time})"),
        Ok(words) => eprintln!("  {words} ({time})"),
        Err(_) => eprintln!("  failed after {time}"),
    }
    outcome.map(|_| ())
}

/// A remark within a step.
pub fn note(words: impl std::fmt::Display) {
    eprintln!("  {words}");
}

/// A time as a person reads it.
pub fn seconds(time: Duration) -> String {
    let seconds = time.as_secs();
    if seconds < 60 {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}
