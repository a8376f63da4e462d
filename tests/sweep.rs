//! The plan of a sweep: what it tries, in which order, and when it gives a run up. Run natively and in the browser.

#[cfg(target_arch = "wasm32")]
use wasm_bindgen_test::wasm_bindgen_test as test;
#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

use kiln::data::augment::Augmentation;
use kiln::training::sweep::{
    Axis, COMPLETE_BEFORE_PRUNING, Search, Setting, Sweep, SweepConfig, SweepError, TrialState, Verdict, best,
};
use kiln::training::{RunConfig, Score};

fn axis(setting: Setting, values: &[f64]) -> Axis {
    Axis { setting, values: values.to_vec() }
}

fn config(search: Search, runs: u32, axes: Vec<Axis>) -> SweepConfig {
    SweepConfig { base: RunConfig::default(), axes, search, runs, epochs: 3, seed: 1 }
}

/// As many trials as asked for, over nothing that matters.
fn plan(runs: u32, epochs: u32) -> Sweep {
    let axes = vec![axis(Setting::LearningRate, &[1e-4, 1e-2])];
    Sweep::new(SweepConfig { epochs, ..config(Search::Random, runs, axes) }).unwrap()
}

fn score(correct: u32) -> Score {
    Score { loss: 0.1, correct, total: 100 }
}

/// Brings the next trial through these validations; the last verdict.
fn play(sweep: &mut Sweep, corrects: &[u32]) -> Verdict {
    sweep.begin().expect("a trial is left");
    let verdicts: Vec<Verdict> = corrects.iter().map(|correct| sweep.report(score(*correct), 1.0)).collect();
    let (last, before) = verdicts.split_last().expect("at least one validation");
    assert!(before.iter().all(|verdict| *verdict == Verdict::GoOn), "{verdicts:?}");
    if *last == Verdict::GoOn {
        sweep.end(TrialState::Done, 2.0);
    }
    *last
}

fn settings(sweep: &Sweep) -> Vec<Vec<f64>> {
    sweep.trials().iter().map(|trial| trial.values.clone()).collect()
}

#[test]
fn a_grid_tries_each_combination_once_in_reading_order() {
    let axes = vec![axis(Setting::LearningRate, &[1e-3, 1e-2]), axis(Setting::BatchSize, &[64.0, 128.0, 64.0])];
    let sweep = Sweep::new(config(Search::Grid, 4, axes)).unwrap();
    assert_eq!(settings(&sweep), [[1e-3, 64.0], [1e-3, 128.0], [1e-2, 64.0], [1e-2, 128.0]]);
}

#[test]
fn a_trial_runs_the_base_with_its_settings_and_opens_at_full_length() {
    let axes = vec![
        axis(Setting::LearningRate, &[0.01]),
        axis(Setting::BatchSize, &[64.0]),
        axis(Setting::WeightDecay, &[0.02]),
        axis(Setting::Dropout, &[0.3]),
        axis(Setting::Augmentation, &[0.5]),
    ];
    let base = RunConfig { seed: 9, epochs: 10, ..RunConfig::default() };
    let config = SweepConfig { base: base.clone(), ..config(Search::Grid, 1, axes) };
    let mut sweep = Sweep::new(config.clone()).unwrap();
    let mut expected = RunConfig { learning_rate: 0.01, batch_size: 64, weight_decay: 0.02, ..base };
    expected.network.dropout = 0.3;
    expected.augmentation = Augmentation::ROBUST.times(0.5);
    assert_eq!(config.recipe(&sweep.trials()[0]), expected);
    assert_eq!(sweep.begin(), Some(RunConfig { epochs: 3, ..expected }));
    assert_eq!(sweep.begin(), None);
}

#[test]
fn an_augmentation_is_a_multiple_of_the_robust_one_and_keeps_its_bounds() {
    let robust = Augmentation::ROBUST;
    assert_eq!((robust.times(0.0), robust.times(1.0)), (Augmentation::NONE, robust));
    let half = robust.times(0.5);
    assert_eq!((half.rotation.strength, half.scale.strength), (10.0, 0.08));
    assert_eq!(half.rotation.probability, robust.rotation.probability);
    let (low, high) = Setting::Augmentation.bounds().into_inner();
    for factor in [low, high] {
        assert_eq!(robust.times(factor as f32).out_of_bounds(), None);
    }
}

#[test]
fn what_can_not_be_made_is_named() {
    let rates = || vec![axis(Setting::LearningRate, &[1e-3, 1e-2])];
    let with = |search, axes| config(search, 2, axes).check();
    assert_eq!(with(Search::Grid, rates()), Ok(2));
    assert_eq!(with(Search::Grid, vec![]), Err(SweepError::NoAxis));
    assert_eq!(with(Search::Grid, vec![axis(Setting::Dropout, &[])]), Err(SweepError::NoValues(Setting::Dropout)));
    assert_eq!(
        with(Search::Random, vec![axis(Setting::Dropout, &[0.1; 21])]),
        Err(SweepError::TooManyValues(Setting::Dropout))
    );
    assert_eq!(with(Search::Grid, [rates(), rates()].concat()), Err(SweepError::Twice(Setting::LearningRate)));
    for (setting, value) in [
        (Setting::LearningRate, 2.0),
        (Setting::LearningRate, 0.0),
        (Setting::BatchSize, 32.5),
        (Setting::BatchSize, 0.0),
        (Setting::Dropout, 0.95),
        (Setting::WeightDecay, -1e-9),
    ] {
        assert_eq!(with(Search::Grid, vec![axis(setting, &[value])]), Err(SweepError::Value { setting, value }));
    }
    assert!(matches!(
        with(Search::Random, vec![axis(Setting::Dropout, &[f64::NAN])]),
        Err(SweepError::Value { setting: Setting::Dropout, .. })
    ));
    let decay = || vec![axis(Setting::WeightDecay, &[0.0, 0.1])];
    assert_eq!(with(Search::Random, decay()), Err(SweepError::Zero(Setting::WeightDecay)));
    assert_eq!(with(Search::Grid, decay()), Ok(2), "a grid may have it off");
    let many = vec![axis(Setting::LearningRate, &[1e-3, 1e-2]), axis(Setting::Dropout, &[0.1, 0.2])];
    assert_eq!(with(Search::Grid, many), Err(SweepError::OverBudget { points: 4, runs: 2 }));
    assert_eq!(SweepConfig { runs: 0, ..config(Search::Grid, 0, rates()) }.check(), Err(SweepError::Runs(0)));
    assert_eq!(SweepConfig { epochs: 0, ..config(Search::Grid, 2, rates()) }.check(), Err(SweepError::Epochs(0)));
    assert!(Sweep::new(config(Search::Grid, 1, rates())).is_err());
}

#[test]
fn a_random_search_of_few_points_makes_each_run_once() {
    let sweep = Sweep::new(config(Search::Random, 10, vec![axis(Setting::BatchSize, &[32.0, 64.0])])).unwrap();
    let mut sizes = settings(&sweep);
    sizes.sort_by(|a, b| a[0].total_cmp(&b[0]));
    assert_eq!(sizes, [[32.0], [64.0]]);
}

#[test]
fn learning_rates_are_drawn_evenly_over_their_decades() {
    let axes = vec![axis(Setting::LearningRate, &[1e-5, 1e-1])];
    let sweep = Sweep::new(config(Search::Random, 100, axes)).unwrap();
    let mut decades = [0; 4];
    for values in settings(&sweep) {
        decades[(values[0].log10() + 5.0).clamp(0.0, 3.0) as usize] += 1;
    }
    // A quarter each is 25; one that has less than 10 in it is a matter of one in ten thousand.
    assert!(decades.iter().all(|count| *count >= 10), "{decades:?}");
}

#[test]
fn nothing_is_pruned_before_three_runs_were_complete() {
    let mut sweep = plan(4, 2);
    for best in [90, 80, 1] {
        assert_eq!(play(&mut sweep, &[best, best]), Verdict::GoOn);
    }
    assert_eq!(COMPLETE_BEFORE_PRUNING, 3);
    // The others have 1, 80 and 90 after the first epoch.
    assert_eq!(play(&mut sweep, &[79]), Verdict::Prune);
    assert_eq!(sweep.trials()[3].state, TrialState::Pruned);
}

#[test]
fn a_run_at_the_median_goes_on_and_one_below_it_does_not() {
    let mut sweep = plan(6, 3);
    play(&mut sweep, &[60, 70, 80]);
    play(&mut sweep, &[50, 60, 70]);
    play(&mut sweep, &[40, 90, 90]);
    // 40, 50, 60: 50 is not below 50. After epoch 2, 60, 70, 90: 65 is below 70.
    assert_eq!(play(&mut sweep, &[50, 65]), Verdict::Prune);
    assert_eq!(sweep.trials()[3].epochs, 2);
    // Of four the median lies between the two in the middle: 40, 50, 50, 60 → 50; 60, 65, 70, 90 → 67.5.
    assert_eq!(play(&mut sweep, &[50, 67]), Verdict::Prune);
    // 40, 50, 50, 50, 60 → 50; 60, 65, 67, 70, 90 → 67. What counts is the best so far, not the latest.
    assert_eq!(play(&mut sweep, &[68, 10, 10]), Verdict::GoOn);
    assert_eq!(sweep.trials()[5].best, Some(score(68)));
}

#[test]
fn the_last_epoch_is_never_pruned() {
    let mut sweep = plan(4, 1);
    for _ in 0..3 {
        play(&mut sweep, &[90]);
    }
    assert_eq!(play(&mut sweep, &[1]), Verdict::GoOn);
    assert_eq!(sweep.trials()[3].state, TrialState::Done);
}

#[test]
fn a_run_whose_loss_is_no_number_ends_alone_and_keeps_what_it_had() {
    let mut sweep = plan(2, 2);
    sweep.begin();
    sweep.report(score(50), 1.0);
    sweep.end(TrialState::Diverged, 2.0);
    assert!(sweep.begin().is_some());
    let trial = &sweep.trials()[0];
    assert_eq!((trial.state, trial.best, trial.epochs, trial.seconds), (TrialState::Diverged, Some(score(50)), 1, 2.0));
}

#[test]
fn a_stop_keeps_what_was_measured_and_runs_nothing_more() {
    let mut sweep = plan(4, 2);
    play(&mut sweep, &[50, 60]);
    sweep.begin();
    sweep.report(score(70), 4.0);
    sweep.stop(5.0);
    let states: Vec<TrialState> = sweep.trials().iter().map(|trial| trial.state).collect();
    assert_eq!(states, [TrialState::Done, TrialState::Stopped, TrialState::Stopped, TrialState::Stopped]);
    assert_eq!(sweep.begin(), None);
    assert_eq!((sweep.trials()[1].best, sweep.trials()[1].seconds), (Some(score(70)), 5.0));
    assert_eq!(best(sweep.trials()), Some(1));
    let has_run: Vec<bool> = sweep.trials().iter().map(|trial| trial.has_run()).collect();
    assert_eq!(has_run, [true, true, false, false]);
}

#[test]
fn of_equals_the_earlier_run_is_the_best() {
    let mut sweep = plan(3, 1);
    assert_eq!(best(sweep.trials()), None);
    for correct in [50, 60, 60] {
        play(&mut sweep, &[correct]);
    }
    assert_eq!(best(sweep.trials()), Some(1));
}

#[cfg(not(target_arch = "wasm32"))]
mod properties {
    use super::*;
    use proptest::prelude::*;

    fn axes() -> impl Strategy<Value = Vec<Axis>> {
        let values = |setting: Setting| {
            let (low, high) = (*setting.bounds().start(), *setting.bounds().end());
            let value = match setting {
                Setting::BatchSize => (1..=1024u32).prop_map(f64::from).boxed(),
                _ => (low.max(1e-9)..=high).boxed(),
            };
            prop::collection::vec(value, 1..5).prop_map(move |values| Axis { setting, values })
        };
        prop::sample::subsequence(Setting::ALL.to_vec(), 1..=Setting::ALL.len())
            .prop_flat_map(move |settings| settings.into_iter().map(values).collect::<Vec<_>>())
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_plan_keeps_its_budget_its_bounds_and_its_seed(
            axes in axes(), random in any::<bool>(), runs in 1..40u32, seed in any::<u32>(),
        ) {
            let search = if random { Search::Random } else { Search::Grid };
            let config = SweepConfig { seed, ..config(search, runs, axes.clone()) };
            let Ok(mut sweep) = Sweep::new(config.clone()) else {
                let points: usize = axes.iter().map(|axis| axis.values.len()).product();
                prop_assert!(search == Search::Grid && points > runs as usize);
                return Ok(());
            };
            prop_assert!((1..=runs as usize).contains(&sweep.trials().len()));
            let points = settings(&sweep);
            prop_assert_eq!(&points, &settings(&Sweep::new(config.clone()).unwrap()));
            for (index, point) in points.iter().enumerate() {
                prop_assert!(!points[..index].contains(point), "twice: {:?}", point);
                for (axis, value) in axes.iter().zip(point) {
                    let low = axis.values.iter().copied().fold(f64::INFINITY, f64::min);
                    let high = axis.values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    prop_assert!((low..=high).contains(value), "{value} of {axis:?}");
                    prop_assert!(axis.setting.bounds().contains(value));
                    if search == Search::Grid || axis.setting == Setting::BatchSize {
                        prop_assert!(axis.values.contains(value));
                    }
                }
            }
            if search == Search::Grid {
                // Every combination is there: as many as there are, and none twice.
                let distinct = |axis: &Axis| {
                    let mut values = axis.values.clone();
                    values.sort_by(f64::total_cmp);
                    values.dedup();
                    values.len()
                };
                prop_assert_eq!(points.len(), axes.iter().map(distinct).product::<usize>());
            }
            let mut begun = 0;
            while sweep.begin().is_some() {
                begun += 1;
                sweep.end(TrialState::Done, 0.0);
            }
            prop_assert_eq!(begun, points.len());
        }

        #[test]
        fn whatever_is_scored_the_first_three_and_the_best_so_far_are_never_pruned(
            corrects in prop::collection::vec(prop::collection::vec(0..=100u32, 4), 1..12),
        ) {
            let mut sweep = plan(corrects.len() as u32, 4);
            let mut pruned = 0;
            for (index, epochs) in corrects.iter().enumerate() {
                sweep.begin();
                let before = best(sweep.trials()).and_then(|best| sweep.trials()[best].best);
                for correct in epochs {
                    if sweep.report(score(*correct), 0.0) == Verdict::Prune {
                        pruned += 1;
                        prop_assert!(index >= COMPLETE_BEFORE_PRUNING);
                        prop_assert!(before.is_some_and(|before| before.correct > *correct), "the best was pruned");
                        break;
                    }
                }
                sweep.end(TrialState::Done, 0.0);
            }
            let states = sweep.trials().iter().filter(|trial| trial.state == TrialState::Pruned).count();
            prop_assert_eq!(states, pruned);
        }
    }
}
