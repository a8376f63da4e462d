//! The learning rate over the run, drawn before it begins.

use leptos::prelude::*;

use crate::page::Page;
use crate::page::words::recipe::rate;
use crate::training::RunConfig;

/// Places along the run that are asked for: enough for a step to look like one.
const SAMPLES: u32 = 240;

/// What is drawn.
#[derive(Debug, Clone, PartialEq)]
struct Line {
    path: String,
    epochs: u32,
    first: f64,
    most: f64,
    last: f64,
}

fn line(config: &RunConfig) -> Line {
    let last = config.steps() - 1;
    let samples = SAMPLES.min(last).max(1);
    let at = |sample: u32| config.learning_rate_at((u64::from(last) * u64::from(sample) / u64::from(samples)) as u32);
    let rates: Vec<f64> = (0..=samples).map(at).collect();
    let most = rates.iter().copied().fold(0.0, f64::max);
    let mut path = String::new();
    for (sample, rate) in rates.iter().enumerate() {
        let (x, y) = (100.0 * sample as f64 / f64::from(samples), 100.0 - 100.0 * rate / most.max(f64::MIN_POSITIVE));
        path += &format!("{}{x:.2} {y:.2}", if sample == 0 { 'M' } else { 'L' });
    }
    Line { path, epochs: config.epochs, first: rates[0], most, last: rates[rates.len() - 1] }
}

/// The plot.
#[component]
pub fn Plot() -> impl IntoView {
    let page = expect_context::<Page>();
    let line = page.slice(|state| line(&state.settings));
    view! {
        <div
            class="rate"
            role="img"
            data-testid="schedule-plot"
            aria-label=move || {
                let Line { epochs, first, most, last, .. } = line.get();
                page.lang.get().schedule_plot(epochs, first, most, last)
            }
        >
            <span>{move || line.with(|line| rate(line.most))}</span>
            <svg viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">
                <path d=move || line.with(|line| line.path.clone()) />
            </svg>
            <span>"0"</span>
            <span>{move || line.with(|line| page.lang.get().epoch_mark(line.epochs))}</span>
        </div>
    }
}
