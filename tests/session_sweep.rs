//! A session's sweep, driven as a worker drives it. Run natively and in the browser.

mod common;

use common::{digits, drive, losses, small_config, small_session, start};
use kiln::data::{Images, Split};
use kiln::device::Opened;
use kiln::protocol::{Command, Event, Failure, RunId};
use kiln::training::sweep::{Axis, Search, Setting, SweepConfig, Trial, TrialState};
use kiln::training::{RunConfig, Score};
use serde_bytes::ByteBuf;

#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

const SWEEP: RunId = RunId(7);

/// A grid over learning rates.
fn rates(values: &[f64], epochs: u32) -> SweepConfig {
    SweepConfig {
        base: small_config(),
        axes: vec![Axis { setting: Setting::LearningRate, values: values.to_vec() }],
        search: Search::Grid,
        runs: 10,
        epochs,
        seed: 1,
    }
}

fn sweep(config: SweepConfig) -> Command {
    Command::Sweep { run: SWEEP, config: Box::new(config) }
}

fn trials(events: &[Event]) -> Vec<Trial> {
    let latest = events.iter().rev().find_map(|event| match event {
        Event::Sweep { run: SWEEP, trials } => Some(trials.clone()),
        _ => None,
    });
    latest.expect("the sweep was told")
}

fn states(events: &[Event]) -> Vec<TrialState> {
    trials(events).iter().map(|trial| trial.state).collect()
}

fn predict(id: u32) -> Command {
    Command::Predict { id, pixels: ByteBuf::from(digits(3, 9).image(2)), inside: false }
}

/// What the session makes of a drawing just now.
async fn reading(session: &mut kiln::training::session::Session) -> Vec<f32> {
    session.handle(predict(1));
    let events = session.advance().await;
    let [Event::Prediction { probabilities, .. }] = &events[..] else { panic!("{events:?}") };
    probabilities.to_vec()
}

/// What a run of its own has as the best validation.
async fn best_of_a_run(config: &RunConfig) -> Option<Score> {
    let mut session = small_session();
    session.handle(start(1, config));
    let scores = drive(&mut session).await.into_iter().filter_map(|event| match event {
        Event::Validated { score, .. } => Some(score),
        _ => None,
    });
    scores.reduce(|best, next| if next.correct > best.correct { next } else { best })
}

both! {
    async fn each_trial_is_the_run_that_its_settings_make_by_themselves() {
        let mut session = small_session();
        let mut events = session.handle(sweep(rates(&[1e-3, 1e-2], 2)));
        assert_eq!(states(&events), [TrialState::Running, TrialState::Waiting]);
        events.extend(drive(&mut session).await);
        assert!(!session.has_work());
        assert_eq!(losses(&events).len(), 16, "two trials of two epochs with four batches");
        let trials = trials(&events);
        for (trial, learning_rate) in trials.iter().zip([1e-3, 1e-2]) {
            assert_eq!((&trial.values[..], trial.epochs, trial.state), (&[learning_rate][..], 2, TrialState::Done));
            assert!(trial.seconds > 0.0);
            assert_eq!(trial.best, best_of_a_run(&RunConfig { learning_rate, ..small_config() }).await);
        }
    }

    async fn the_test_images_are_never_looked_at() {
        let mut session = kiln::training::session::Session::new(Opened::cpu());
        session.expect(kiln::training::session::Expected { train: 64, validation: 20, test: 30, block: 32 });
        let train = digits(64, 1);
        session.push(Split::Train, train.part(0..32));
        session.push(Split::Train, train.part(32..64));
        session.push(Split::Validation, digits(20, 2));
        // No class has this number: whoever makes a batch of such an image panics.
        session.push(Split::Test, Images { labels: vec![255; 30], ..digits(30, 3) });
        let mut events = session.handle(sweep(rates(&[1e-3, 1e-2, 1e-4, 2e-3], 1)));
        events.extend(drive(&mut session).await);
        assert_eq!(states(&events), [TrialState::Done; 4]);
        assert!(trials(&events).iter().all(|trial| trial.best.is_some_and(|score| score.total == 20)));
        let tested = |event: &Event| matches!(event, Event::Testing { .. } | Event::Finished { .. });
        assert!(!events.iter().any(tested), "{events:?}");
    }

    async fn a_run_whose_loss_is_no_number_ends_its_trial_and_not_the_sweep() {
        let mut session = small_session();
        let mut config = rates(&[1.0, 1e-5], 2);
        // Undamped steps of 1, one image at a time: each layer's change multiplies the others', and soon an f32 does not
        // hold it.
        config.base.optimizer = kiln::training::config::Optimizer::Sgd;
        config.base.network.dense = vec![64; 4];
        config.base.network.convolutions = vec![kiln::model::Convolution::new(2, true)];
        config.base.batch_size = 1;
        let mut events = session.handle(sweep(config));
        events.extend(drive(&mut session).await);
        assert_eq!(states(&events), [TrialState::Diverged, TrialState::Done]);
        assert!(!events.iter().any(|event| matches!(event, Event::Failed { .. })));
    }

    async fn a_hopeless_trial_is_pruned_and_the_next_one_begins() {
        let mut session = small_session();
        // Three that learn, one that can't move, one more that learns.
        let mut events = session.handle(sweep(rates(&[3e-3, 4e-3, 5e-3, 1e-6, 6e-3], 4)));
        events.extend(drive(&mut session).await);
        let trials = trials(&events);
        assert_eq!(trials[3].state, TrialState::Pruned);
        assert!(trials[3].epochs < 4);
        assert!(trials[..3].iter().all(|trial| trial.state == TrialState::Done));
        assert!(!trials[4].is_open());
    }

    async fn a_stop_keeps_what_was_measured_and_leaves_nothing_to_do() {
        let mut session = small_session();
        let mut events = session.handle(sweep(rates(&[1e-3, 2e-3, 3e-3], 1)));
        while states(&events)[1] != TrialState::Running {
            events.extend(session.advance().await);
        }
        assert!(session.handle(Command::StopSweep { run: RunId(8) }).is_empty(), "another sweep's stop");
        events.extend(session.handle(Command::StopSweep { run: SWEEP }));
        assert_eq!(states(&events), [TrialState::Done, TrialState::Stopped, TrialState::Stopped]);
        assert!(trials(&events)[0].best.is_some());
        assert!(!session.has_work());
        assert!(session.handle(Command::StopSweep { run: SWEEP }).is_empty());
    }

    async fn commands_for_a_run_change_nothing_of_a_sweep() {
        let mut session = small_session();
        let mut events = session.handle(sweep(rates(&[1e-3], 2)));
        for command in [
            Command::Pause { run: SWEEP },
            Command::Stop { run: SWEEP },
            Command::Step { run: SWEEP },
            Command::Test { run: SWEEP },
            Command::SetLearningRate { run: SWEEP, learning_rate: 0.5 },
        ] {
            assert!(session.handle(command).is_empty());
        }
        events.extend(drive(&mut session).await);
        assert_eq!(trials(&events)[0].best, best_of_a_run(&small_config()).await);
    }

    async fn the_run_that_was_there_answers_meanwhile_and_goes_on_afterwards() {
        let mut undisturbed = small_session();
        undisturbed.handle(start(1, &small_config()));
        let expected = losses(&drive(&mut undisturbed).await);

        let mut session = small_session();
        session.handle(start(1, &small_config()));
        let mut events = session.advance().await;
        session.handle(Command::Stop { run: RunId(1) });
        events.extend(drive(&mut session).await);
        let before = reading(&mut session).await;
        let mut told = session.handle(sweep(rates(&[1e-3, 1e-2], 1)));
        told.extend(session.advance().await);
        assert_eq!(reading(&mut session).await, before);
        told.extend(drive(&mut session).await);
        assert_eq!(states(&told), [TrialState::Done; 2]);
        assert_eq!(reading(&mut session).await, before);
        assert_eq!(session.handle(Command::Resume { run: RunId(1) }), [Event::Resumed { run: RunId(1) }]);
        events.extend(drive(&mut session).await);
        assert_eq!(losses(&events), expected);
    }

    async fn a_run_under_way_waits_until_it_is_asked_to_go_on() {
        let mut session = small_session();
        session.handle(start(1, &small_config()));
        session.advance().await;
        session.handle(sweep(rates(&[1e-3], 1)));
        let events = drive(&mut session).await;
        assert!(events.iter().all(|event| event.run() == Some(SWEEP)));
        session.handle(Command::Resume { run: RunId(1) });
        let events = drive(&mut session).await;
        assert!(matches!(events.last(), Some(Event::Finished { run: RunId(1), step: 8, .. })));
    }

    async fn before_any_run_a_trial_answers() {
        let mut session = small_session();
        let untrained = reading(&mut session).await;
        session.handle(sweep(rates(&[1e-2], 2)));
        let mut events = Vec::new();
        while losses(&events).len() < 4 {
            events.extend(session.advance().await);
        }
        let read = reading(&mut session).await;
        assert_ne!(read, untrained);
        assert!(session.has_work(), "the sweep goes on");
    }

    async fn a_run_takes_the_place_of_a_sweep() {
        let mut session = small_session();
        session.handle(sweep(rates(&[1e-3, 1e-2], 1)));
        session.advance().await;
        session.handle(start(8, &small_config()));
        let events = drive(&mut session).await;
        assert!(events.iter().all(|event| event.run() == Some(RunId(8))));
        assert_eq!(losses(&events).len(), 8);
    }

    async fn a_sweep_that_can_not_be_made_is_refused_and_the_run_stays() {
        let mut session = small_session();
        session.handle(start(1, &small_config()));
        drive(&mut session).await;
        let before = reading(&mut session).await;
        let too_many_images = RunConfig { train_size: 65, ..small_config() };
        let mut dropout = rates(&[1e-3], 1);
        dropout.base.network.dropout = 2.0;
        for config in [rates(&[], 1), rates(&[5.0], 1), dropout, SweepConfig { base: too_many_images, ..rates(&[1e-3], 1) }] {
            let events = session.handle(sweep(config));
            let [Event::Failed { run: Some(SWEEP), failure: Failure::Configuration { .. } }] = &events[..] else {
                panic!("{events:?}")
            };
            assert!(!session.has_work());
        }
        assert_eq!(reading(&mut session).await, before);
    }

    async fn a_sweep_waits_for_its_images() {
        let mut session = common::empty_session(Opened::cpu());
        session.handle(sweep(rates(&[1e-3], 1)));
        assert_eq!(drive(&mut session).await, [Event::Waiting { run: SWEEP }]);
        assert!(!session.has_work());
        common::fill(&mut session);
        assert_eq!(states(&drive(&mut session).await), [TrialState::Done]);
    }
}
