//! A run that was interrupted goes the way of one that was not: bit for bit on the CPU, with everything on that draws
//! random numbers or keeps state. Run natively and in the browser.

mod common;

use common::{drive, losses, small_session};
use kiln::data::augment::{Amount, Augmentation};
use kiln::model::{Convolution, NetworkConfig};
use kiln::protocol::{Command, Event, Failure, RunId};
use kiln::training::config::{Optimizer, Schedule};
use kiln::training::session::Session;
use kiln::training::{Checkpoint, RunConfig};
use serde_bytes::ByteBuf;

#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

const RUN: RunId = RunId(1);

/// Three epochs of four steps.
fn everything() -> RunConfig {
    let network = NetworkConfig {
        convolutions: vec![Convolution::new(4, true), Convolution::new(6, true)],
        dense: vec![12],
        batch_norm: true,
        dropout: 0.3,
        ..NetworkConfig::default()
    };
    RunConfig {
        network,
        epochs: 3,
        batch_size: 16,
        train_size: 64,
        learning_rate: 3e-3,
        optimizer: Optimizer::AdamW,
        schedule: Schedule::Cosine,
        warm_up: 0.5,
        weight_decay: 0.01,
        clip_norm: 1.0,
        label_smoothing: 0.1,
        augmentation: Augmentation { noise: Amount::new(0.1, 1.0), ..Augmentation::ROBUST },
        ..common::small_config()
    }
}

fn start_from(config: &RunConfig, from: Option<Checkpoint>) -> Command {
    Command::Start { run: RUN, config: config.clone(), one_batch: false, from: from.map(Box::new), basis: None }
}

fn last_checkpoint(events: &[Event]) -> Option<Checkpoint> {
    events.iter().rev().find_map(|event| match event {
        Event::Checkpoint { checkpoint, .. } => Some((**checkpoint).clone()),
        _ => None,
    })
}

/// What the run said of itself, but for its speed and its checkpoints.
fn told(events: &[Event]) -> Vec<Event> {
    let kept =
        |event: &&Event| matches!(event, Event::Validated { .. } | Event::Examined { .. } | Event::Finished { .. });
    events.iter().filter(kept).cloned().collect()
}

/// Pauses before piece `pieces` of work, and gives what was told until then.
async fn paused_after(session: &mut Session, pieces: usize) -> Vec<Event> {
    let mut events = Vec::new();
    for _ in 0..pieces {
        events.extend(session.advance().await);
    }
    session.handle(Command::Pause { run: RUN });
    events.extend(drive(session).await);
    events
}

both! {
    async fn from_any_pause_another_session_gives_the_same_losses_and_the_same_test() {
        let config = everything();
        let mut session = small_session();
        session.handle(start_from(&config, None));
        let whole = drive(&mut session).await;
        assert_eq!(losses(&whole).len(), 12);

        // Twelve steps and three validations are fifteen pieces of work: the pauses fall within epochs, between an
        // epoch's last step and its validation, and after the last validation.
        for pieces in 1..=15 {
            let mut session = small_session();
            session.handle(start_from(&config, None));
            let mut events = paused_after(&mut session, pieces).await;
            assert!(matches!(events[events.len() - 2..], [Event::Checkpoint { .. }, Event::Paused { .. }]));
            let checkpoint = last_checkpoint(&events).unwrap();
            assert_eq!(checkpoint.step as usize, losses(&events).len());

            let mut other = small_session();
            assert_eq!(other.handle(start_from(&config, Some(checkpoint))), [Event::Started { run: RUN }]);
            events.extend(drive(&mut other).await);
            assert_eq!(losses(&events), losses(&whole), "paused before piece {pieces}");
            assert_eq!(told(&events), told(&whole), "paused before piece {pieces}");
        }
    }

    async fn a_pause_in_the_same_session_changes_nothing_either() {
        let config = everything();
        let mut session = small_session();
        session.handle(start_from(&config, None));
        let whole = drive(&mut session).await;
        session.handle(start_from(&config, None));
        let mut events = paused_after(&mut session, 6).await;
        session.handle(Command::Resume { run: RUN });
        events.extend(drive(&mut session).await);
        assert_eq!((losses(&events), told(&events)), (losses(&whole), told(&whole)));
    }

    async fn a_stop_leaves_a_checkpoint_too() {
        let mut session = small_session();
        session.handle(start_from(&everything(), None));
        session.advance().await;
        session.handle(Command::Stop { run: RUN });
        let events = drive(&mut session).await;
        assert_eq!(last_checkpoint(&events).unwrap().step, 1);
        assert!(matches!(events.last(), Some(Event::Finished { stopped: true, early: false, .. })));
    }

    async fn a_learning_rate_that_was_changed_stays_changed() {
        let mut session = small_session();
        session.handle(start_from(&everything(), None));
        session.advance().await;
        session.handle(Command::SetLearningRate { run: RUN, learning_rate: 0.02 });
        let events = paused_after(&mut session, 1).await;
        let checkpoint = last_checkpoint(&events).unwrap();
        assert_eq!(checkpoint.learning_rate, 0.02);
        session.handle(Command::Resume { run: RUN });
        let rest = losses(&drive(&mut session).await);
        let mut other = small_session();
        other.handle(start_from(&everything(), Some(checkpoint)));
        assert_eq!(losses(&drive(&mut other).await), rest);
    }

    async fn a_learning_rate_changed_in_mid_run_keeps_to_the_schedule() {
        let config = everything();
        let mut session = small_session();
        session.handle(start_from(&RunConfig { learning_rate: 0.01, ..config.clone() }, None));
        let expected = losses(&drive(&mut session).await);
        session.handle(start_from(&config, None));
        session.handle(Command::SetLearningRate { run: RUN, learning_rate: 0.01 });
        assert_eq!(losses(&drive(&mut session).await), expected);
    }

    async fn a_checkpoint_that_does_not_fit_is_refused_and_says_why() {
        let config = everything();
        let mut session = small_session();
        session.handle(start_from(&config, None));
        let good = last_checkpoint(&paused_after(&mut session, 6).await).unwrap();
        let best = |weights: usize| {
            let mut best = good.best.clone().unwrap();
            best.weights = ByteBuf::from(vec![0; weights]);
            Some(best)
        };
        for (wrong, what) in [
            (Checkpoint { step: 13, ..good.clone() }, "step"),
            (Checkpoint { epoch: 2, ..good.clone() }, "epoch"),
            (Checkpoint { epoch: u32::MAX, ..good.clone() }, "epoch"),
            (Checkpoint { learning_rate: f64::NAN, ..good.clone() }, "learning_rate"),
            (Checkpoint { weights: ByteBuf::from(vec![0; 8]), ..good.clone() }, "weights"),
            (Checkpoint { optimizer: ByteBuf::from(vec![0; 8]), ..good.clone() }, "optimizer"),
            (Checkpoint { best: best(4), ..good.clone() }, "weights"),
        ] {
            let events = small_session().handle(start_from(&config, Some(wrong)));
            let [Event::Failed { failure: Failure::Configuration { problem: said }, .. }] = &events[..] else {
                panic!("{what}: {events:?}");
            };
            assert!(said.to_string().contains(what), "{said}");
        }
    }

    async fn a_run_without_gain_ends_itself_and_takes_the_test_with_its_best_network() {
        // So small a step that nothing is read otherwise than at first.
        let config = RunConfig { epochs: 9, learning_rate: 1e-6, patience: 2, ..common::small_config() };
        let mut session = small_session();
        session.handle(start_from(&config, None));
        let events = drive(&mut session).await;
        assert_eq!(losses(&events).len(), 3 * 4, "one epoch to begin with, two without gain");
        let Some(Event::Finished { step: 12, stopped: false, early: true, best_epoch: Some(1), test: Some(_), .. }) =
            events.last()
        else {
            panic!("{:?}", events.last());
        };
        assert!(session.handle(Command::Resume { run: RUN }).is_empty(), "nothing is left to do");

        // Its last checkpoint goes straight to the test.
        let mut other = small_session();
        other.handle(start_from(&config, last_checkpoint(&events)));
        let resumed = drive(&mut other).await;
        assert!(losses(&resumed).is_empty());
        assert_eq!(resumed.last(), events.last());
    }

    async fn with_patience_off_or_gains_in_time_the_run_goes_to_its_end() {
        for patience in [0, 9] {
            let config = RunConfig { epochs: 4, learning_rate: 1e-6, patience, ..common::small_config() };
            let mut session = small_session();
            session.handle(start_from(&config, None));
            let events = drive(&mut session).await;
            assert!(matches!(events.last(), Some(Event::Finished { step: 16, stopped: false, early: false, .. })));
        }
    }
}
