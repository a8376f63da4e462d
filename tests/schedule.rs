//! The learning rate over a run, against values worked out by hand.

use kiln::training::RunConfig;
use kiln::training::config::Schedule;

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

/// 4 steps an epoch, 5 epochs.
fn config(schedule: Schedule) -> RunConfig {
    RunConfig { schedule, epochs: 5, batch_size: 16, train_size: 64, learning_rate: 0.1, ..RunConfig::default() }
}

fn rates(config: &RunConfig, steps: &[u32]) -> Vec<f64> {
    steps.iter().map(|&step| config.learning_rate_at(step)).collect()
}

fn close(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?}, expected {expected:?}");
}

#[test]
fn by_default_it_stays_as_it_is() {
    close(&rates(&config(Schedule::Constant), &[0, 7, 19, 20]), &[0.1; 4]);
    assert_eq!(RunConfig::default().learning_rate_at(4289), 1e-3);
}

#[test]
fn steps_fall_at_the_ends_of_epochs() {
    let config = RunConfig { decay_every: 2, decay_factor: 0.5, ..config(Schedule::Step) };
    close(&rates(&config, &[0, 7, 8, 15, 16, 19]), &[0.1, 0.1, 0.05, 0.05, 0.025, 0.025]);
}

#[test]
fn a_cosine_falls_from_the_whole_through_the_half_to_nothing() {
    let config = config(Schedule::Cosine);
    // (1 + cos(π/4)) / 2 after a quarter.
    close(&rates(&config, &[0, 5, 10, 20, 25]), &[0.1, 0.085_355_339_059_327_38, 0.05, 0.0, 0.0]);
    assert!(config.learning_rate_at(19) > 0.0, "the last step still changes something");
}

#[test]
fn a_warm_up_rises_evenly_to_the_whole_and_what_follows_begins_there() {
    let config = RunConfig { warm_up: 1.0, ..config(Schedule::Cosine) };
    close(&rates(&config, &[0, 1, 2, 3]), &[0.025, 0.05, 0.075, 0.1]);
    close(&rates(&config, &[4, 12, 20]), &[0.1, 0.05, 0.0]);
    let half = RunConfig { warm_up: 0.5, schedule: Schedule::Constant, ..config };
    close(&rates(&half, &[0, 1, 2]), &[0.05, 0.1, 0.1]);
}

#[test]
fn a_warm_up_longer_than_the_run_rises_to_its_end() {
    let config = RunConfig { warm_up: 10.0, ..config(Schedule::Cosine) };
    close(&rates(&config, &[19]), &[0.05]);
}

#[test]
fn a_field_out_of_its_bounds_is_named() {
    let config = config(Schedule::Constant);
    assert_eq!(config.out_of_bounds(), None);
    for (field, changed) in [
        ("epochs", RunConfig { epochs: 101, ..config.clone() }),
        ("learning_rate", RunConfig { learning_rate: f64::NAN, ..config.clone() }),
        ("momentum", RunConfig { momentum: 1.0, ..config.clone() }),
        ("decay_every", RunConfig { decay_every: 0, ..config.clone() }),
        ("decay_factor", RunConfig { decay_factor: 0.0, ..config.clone() }),
        ("warm_up", RunConfig { warm_up: -1.0, ..config.clone() }),
        ("weight_decay", RunConfig { weight_decay: f64::INFINITY, ..config.clone() }),
        ("clip_norm", RunConfig { clip_norm: -1.0, ..config.clone() }),
        ("label_smoothing", RunConfig { label_smoothing: 0.6, ..config.clone() }),
        ("patience", RunConfig { patience: 101, ..config.clone() }),
    ] {
        assert_eq!(changed.out_of_bounds(), Some(field));
    }
}
