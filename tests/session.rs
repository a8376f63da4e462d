//! The session's state machine, driven as a worker drives it. Run natively and in the browser.

mod common;

use common::{drive, empty_session, fill, losses, small_config, small_session, start};
use kiln::data::Split;
use kiln::data::augment::{Amount, Augmentation, Changes};
use kiln::device::Opened;
use kiln::protocol::{Command, Event, Failure, MOST_IMAGES, PREVIEWS, RunId};
use kiln::training::slice::slices;
use kiln::training::{Checkpoint, RunConfig, Score};
#[cfg(not(target_arch = "wasm32"))]
use proptest::prelude::*;
use serde_bytes::ByteBuf;

#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

const RUN: RunId = RunId(1);

fn finished(events: &[Event]) -> Option<(u32, bool, Option<Score>)> {
    events.iter().rev().find_map(|event| match event {
        Event::Finished { step, stopped, test, .. } => Some((*step, *stopped, *test)),
        _ => None,
    })
}

fn predict(id: u32, inside: bool) -> Command {
    Command::Predict { id, pixels: ByteBuf::from(common::digits(3, 9).image(2)), inside }
}

/// The losses of a run of [`small_config`] that nobody interferes with and that has its data from the start.
async fn undisturbed() -> Vec<f32> {
    let mut session = small_session();
    session.handle(start(1, &small_config()));
    losses(&drive(&mut session).await)
}

both! {
    async fn a_run_trains_validates_each_epoch_and_takes_the_test_once() {
        let mut session = small_session();
        assert_eq!(session.handle(start(1, &small_config())), [Event::Started { run: RUN }]);
        let events = drive(&mut session).await;
        assert_eq!(losses(&events).len(), 8);
        let epochs: Vec<u32> = events
            .iter()
            .filter_map(|event| match event {
                Event::Validated { epoch, score, .. } => {
                    assert_eq!(score.total, 20);
                    Some(*epoch)
                }
                _ => None,
            })
            .collect();
        assert_eq!(epochs, [1, 2]);
        let (step, stopped, test) = finished(&events).unwrap();
        assert_eq!((step, stopped, test.unwrap().total), (8, false, 30));
        assert!(events.iter().all(|event| event.run() == Some(RUN)));
    }

    async fn the_test_tells_how_each_image_was_read_and_the_counts_agree() {
        let mut session = small_session();
        session.handle(start(1, &small_config()));
        let events = drive(&mut session).await;
        let exam = events.iter().find_map(|event| match event {
            Event::Examined { exam, .. } => Some(exam),
            _ => None,
        });
        let exam = exam.expect("the test was taken");
        assert_eq!(exam.labels.to_vec(), common::digits(30, 3).labels);
        assert_eq!((exam.read.len(), exam.sure.len()), (30, 30));
        assert!(exam.sure.iter().all(|sure| (0.1..=1.0).contains(sure)), "the winner of ten has a tenth at least");
        assert_eq!(Some(exam.score()), finished(&events).unwrap().2);
    }

    async fn images_of_a_split_are_shown_and_those_that_are_not_there_are_not() {
        let mut session = small_session();
        let shown = session.handle(Command::Images { id: 5, split: Split::Test, indices: vec![29, 30, u32::MAX, 0] });
        let images = common::digits(30, 3);
        let pixels = ByteBuf::from([images.image(29), images.image(0)].concat());
        assert_eq!(shown, [Event::Images { id: 5, indices: vec![29, 0], pixels }]);
        let many = session.handle(Command::Images { id: 6, split: Split::Test, indices: vec![1; 10_000] });
        assert!(matches!(&many[..], [Event::Images { indices, .. }] if indices.len() == MOST_IMAGES));
    }

    async fn the_same_seed_gives_the_same_run_and_another_seed_another() {
        let run = async |seed| {
            let mut session = small_session();
            session.handle(start(1, &RunConfig { seed, ..small_config() }));
            losses(&drive(&mut session).await)
        };
        assert_eq!(run(7).await, run(7).await);
        assert_ne!(run(7).await, run(8).await);
    }

    async fn a_run_that_waits_for_its_shards_goes_the_same_way_as_one_that_has_them() {
        let expected = undisturbed().await;

        let mut streamed = empty_session(Opened::cpu());
        streamed.handle(start(1, &small_config()));
        let mut events = drive(&mut streamed).await;
        assert_eq!(events, [Event::Waiting { run: RUN }]);
        assert!(!streamed.has_work());
        let train = common::digits(64, 1);
        streamed.push(kiln::data::Split::Train, train.part(0..32));
        events.extend(drive(&mut streamed).await);
        assert_eq!(losses(&events).len(), 2, "one shard holds two batches of the first epoch");
        streamed.push(kiln::data::Split::Train, train.part(32..64));
        streamed.push(kiln::data::Split::Validation, common::digits(20, 2));
        streamed.push(kiln::data::Split::Test, common::digits(30, 3));
        events.extend(drive(&mut streamed).await);
        assert_eq!(losses(&events), expected);
        assert!(finished(&events).is_some());
    }

    async fn a_pause_takes_effect_within_one_step_and_changes_nothing_of_the_run() {
        let expected = undisturbed().await;

        let mut session = small_session();
        session.handle(start(1, &small_config()));
        let mut events = session.advance().await; // the first of the batch's two slices
        session.handle(Command::Pause { run: RUN });
        events.extend(drive(&mut session).await);
        assert_eq!(events.last(), Some(&Event::Paused { run: RUN, step: 1 }));
        assert!(!session.has_work());
        assert_eq!(session.handle(Command::Resume { run: RUN }), [Event::Resumed { run: RUN }]);
        events.extend(drive(&mut session).await);
        assert_eq!(losses(&events), expected);
    }

    async fn the_first_step_is_told_at_once() {
        let mut session = small_session();
        session.handle(start(1, &RunConfig { epochs: 100, ..small_config() }));
        let mut events = Vec::new();
        while losses(&events).is_empty() {
            events = session.advance().await;
        }
        assert_eq!(losses(&events).len(), 1);
    }

    async fn a_drawing_waits_for_a_slice_of_a_step_and_changes_nothing_of_the_run() {
        let expected = undisturbed().await;

        let mut session = small_session();
        session.handle(start(1, &small_config()));
        let mut events = session.advance().await;
        session.handle(predict(1, true));
        let answer = session.advance().await;
        assert!(matches!(answer[..], [Event::Prediction { id: 1, .. }]));
        events.extend(drive(&mut session).await);
        assert_eq!(losses(&events), expected);
    }

    async fn a_pause_before_the_first_step_holds() {
        let mut session = small_session();
        session.handle(start(1, &small_config()));
        session.handle(Command::Pause { run: RUN });
        assert_eq!(drive(&mut session).await, [Event::Paused { run: RUN, step: 0 }]);
    }

    async fn single_steps_go_one_batch_at_a_time() {
        let mut session = small_session();
        session.handle(Command::Start { run: RUN, config: small_config(), one_batch: true, from: None, basis: None });
        for step in 1..=3 {
            let events = drive(&mut session).await;
            assert_eq!(losses(&events).len(), 1);
            assert_eq!(events.last(), Some(&Event::Paused { run: RUN, step }));
            session.handle(Command::Step { run: RUN });
        }
    }

    async fn stop_keeps_the_network_and_the_rest_of_the_run_can_still_be_done() {
        let expected = undisturbed().await;

        let mut session = small_session();
        session.handle(start(1, &small_config()));
        let mut events = Vec::new();
        for _ in 0..3 * slices(16).len() {
            events.extend(session.advance().await);
        }
        session.handle(Command::Stop { run: RUN });
        events.extend(drive(&mut session).await);
        assert_eq!(finished(&events), Some((3, true, None)));
        session.handle(Command::Test { run: RUN });
        let tested = drive(&mut session).await;
        assert!(matches!(finished(&tested), Some((3, true, Some(Score { total: 30, .. })))));
        session.handle(Command::Resume { run: RUN });
        events.extend(drive(&mut session).await);
        assert_eq!(losses(&events), expected);
        assert!(matches!(finished(&events), Some((8, false, Some(_)))));
    }

    async fn commands_of_another_run_change_nothing() {
        let mut session = small_session();
        session.handle(start(1, &small_config()));
        for run in [RunId(0), RunId(2)] {
            session.handle(Command::Pause { run });
            session.handle(Command::Stop { run });
            session.handle(Command::SetLearningRate { run, learning_rate: 0.5 });
        }
        let events = drive(&mut session).await;
        assert!(matches!(finished(&events), Some((8, false, Some(_)))));
        assert_eq!(losses(&events), undisturbed().await);
    }

    async fn a_new_run_takes_the_place_of_the_old_one() {
        let mut session = small_session();
        session.handle(start(1, &small_config()));
        session.advance().await;
        session.handle(start(2, &small_config()));
        let events = drive(&mut session).await;
        assert!(events.iter().all(|event| event.run() == Some(RunId(2))));
        assert!(finished(&events).is_some());
    }

    async fn another_learning_rate_works_from_the_next_batch_on() {
        let expected = undisturbed().await;
        let mut session = small_session();
        session.handle(start(1, &small_config()));
        let mut events = session.advance().await;
        session.handle(Command::SetLearningRate { run: RUN, learning_rate: 0.05 });
        events.extend(drive(&mut session).await);
        let found = losses(&events);
        // The loss of a batch is from before its change: the first two know the old rate only.
        assert_eq!(found[..2], expected[..2]);
        assert_ne!(found[2..], expected[2..]);
    }

    async fn a_checkpoint_of_an_epoch_carries_the_network_over_to_another_session() {
        let mut session = small_session();
        session.handle(start(1, &small_config()));
        let events = drive(&mut session).await;
        let checkpoint = events
            .iter()
            .find_map(|event| match event {
                Event::Checkpoint { checkpoint, .. } if checkpoint.epoch == 1 => Some(checkpoint.clone()),
                _ => None,
            })
            .unwrap();
        let mut other = small_session();
        let from = Some(checkpoint);
        other.handle(Command::Start { run: RunId(5), config: small_config(), one_batch: false, from, basis: None });
        let resumed = drive(&mut other).await;
        // The same network on the same batch: its first loss is the one that the first run had there.
        assert_eq!(losses(&resumed)[0], losses(&events)[4]);
        assert!(matches!(finished(&resumed), Some((8, false, Some(_)))));
    }

    async fn a_loss_that_is_no_number_ends_the_run_and_says_at_which_step() {
        let mut session = small_session();
        session.handle(start(1, &RunConfig { learning_rate: 1.0, epochs: 100, ..small_config() }));
        let mut weights = vec![0u8; 4 * 130_250];
        weights[..4].copy_from_slice(&f32::NAN.to_le_bytes());
        let from = Some(Box::new(Checkpoint {
            config: small_config(),
            learning_rate: 1e-3,
            step: 0,
            epoch: 0,
            score: None,
            weights: ByteBuf::from(weights),
            optimizer: ByteBuf::new(),
            best: None,
            without_gain: 0,
            basis: None,
        }));
        session.handle(Command::Start { run: RunId(2), config: small_config(), one_batch: false, from, basis: None });
        let events = drive(&mut session).await;
        let failure = Failure::NotFinite { step: 1 };
        assert_eq!(events.last(), Some(&Event::Failed { run: Some(RunId(2)), failure }));
        assert!(!session.has_work());
        assert!(session.handle(Command::Resume { run: RunId(2) }).is_empty());
    }

    async fn a_configuration_out_of_bounds_is_refused_and_nothing_starts() {
        let mut session = small_session();
        for config in [
            RunConfig { epochs: 0, ..small_config() },
            RunConfig { batch_size: 0, ..small_config() },
            RunConfig { learning_rate: f64::NAN, ..small_config() },
            RunConfig { train_size: 65, ..small_config() },
            RunConfig { momentum: 1.5, ..small_config() },
            RunConfig {
                augmentation: Augmentation { rotation: Amount::new(f32::NAN, 0.5), ..Augmentation::NONE },
                ..small_config()
            },
        ] {
            let events = session.handle(start(1, &config));
            assert!(matches!(&events[..], [Event::Failed { failure: Failure::Configuration { .. }, .. }]));
            assert!(!session.has_work());
        }
    }

    async fn an_augmentation_is_shown_on_the_first_training_images_between_two_steps() {
        let preview = |id, augmentation| Command::PreviewAugmentation { id, augmentation, seed: 7 };
        let shown = |events: Vec<Event>, expected: u32| {
            let [Event::AugmentationPreview { id, pixels }] = &events[..] else { panic!("{events:?}") };
            assert_eq!(*id, expected);
            pixels.to_vec()
        };
        let mut session = empty_session(Opened::cpu());
        session.handle(preview(1, Augmentation::NONE));
        assert!(!session.has_work(), "there is no image to show yet");
        fill(&mut session);
        let images = common::digits(64, 1);
        assert_eq!(shown(session.advance().await, 1), images.pixels[..PREVIEWS * 784]);

        session.handle(start(1, &small_config()));
        session.advance().await;
        session.handle(preview(2, Augmentation::NONE));
        session.handle(preview(3, Augmentation::ROBUST)); // the latest one is answered
        let robust = shown(session.advance().await, 3);
        let mut first = [0; 784];
        Changes::draw(&Augmentation::ROBUST, 7, 0, 0).apply(&images.pixels.as_chunks().0[0], &mut first);
        assert_eq!(robust[..784], first, "as the run of that seed sees them in its first epoch");
        assert_eq!(losses(&drive(&mut session).await).len(), 8);

        let beyond = Augmentation { noise: Amount::new(9.0, 1.0), ..Augmentation::NONE };
        session.handle(preview(4, beyond));
        assert!(!session.has_work(), "strengths out of their bounds are not drawn");
    }

    async fn a_drawing_is_read_before_during_and_after_a_run() {
        let mut session = small_session();
        let predict = |id| predict(id, false);
        let check = |events: Vec<Event>, expected: u32| {
            let [Event::Prediction { id, probabilities }] = &events[..] else { panic!("{events:?}") };
            assert_eq!(*id, expected);
            assert!((probabilities.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            probabilities.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0
        };
        session.handle(predict(1));
        session.handle(predict(2)); // the latest one is answered
        check(session.advance().await, 2);
        session.handle(start(1, &RunConfig { epochs: 12, ..small_config() }));
        session.advance().await;
        session.handle(predict(3));
        check(session.advance().await, 3);
        drive(&mut session).await;
        session.handle(predict(4));
        assert_eq!(check(session.advance().await, 4), 2, "a trained network reads a drawing of class 2");
        assert!(!session.has_work(), "nobody asked for a look inside");
    }

    async fn a_look_inside_comes_after_the_answer_and_not_at_all_after_the_next_drawing() {
        let mut session = small_session();
        session.handle(start(1, &small_config()));
        session.advance().await;
        session.handle(predict(1, true));
        assert!(matches!(session.advance().await[..], [Event::Prediction { id: 1, .. }]));
        let events = session.advance().await;
        let [Event::Inside { id: 1, layers }] = &events[..] else { panic!("{events:?}") };
        let shapes: Vec<_> = layers.iter().map(|layer| (layer.name.as_str(), layer.side, layer.maps.len())).collect();
        let maps = |name, count: usize, side| (name, side, count * (side * side) as usize);
        let expected = [
            maps("conv1", 32, 28),
            maps("conv2", 64, 14),
            maps("conv3", 64, 7),
            maps("conv4", 64, 3),
            maps("dense1", 64, 1),
        ];
        assert_eq!(shapes, expected);
        assert!(layers.iter().all(|layer| layer.maps.contains(&255)), "by the layer's largest value");

        session.handle(predict(2, true));
        session.advance().await;
        session.handle(predict(3, false));
        assert!(matches!(session.advance().await[..], [Event::Prediction { id: 3, .. }]));
        let rest = drive(&mut session).await;
        assert!(!rest.iter().any(|event| matches!(event, Event::Inside { .. })), "{rest:?}");
    }
}

/// What a user, a slow network and a late page can ask for, in any order.
#[derive(Debug, Clone)]
enum Action {
    Start(u32),
    OneBatch(u32),
    Pause(u32),
    Resume(u32),
    Step(u32),
    Stop(u32),
    Test(u32),
    Rate(u32),
    Fill,
    Work(u8),
}

#[cfg(not(target_arch = "wasm32"))]
fn action() -> impl Strategy<Value = Action> {
    let run = || 1..3u32;
    prop_oneof![
        run().prop_map(Action::Start),
        run().prop_map(Action::OneBatch),
        run().prop_map(Action::Pause),
        run().prop_map(Action::Resume),
        run().prop_map(Action::Step),
        run().prop_map(Action::Stop),
        run().prop_map(Action::Test),
        run().prop_map(Action::Rate),
        Just(Action::Fill),
        (1..9u8).prop_map(Action::Work),
    ]
}

/// A network of a few parameters: the state machine is under test, not the mathematics.
fn tiny_config() -> RunConfig {
    let network = kiln::model::NetworkConfig {
        convolutions: vec![kiln::model::Convolution::new(2, true)],
        dense: vec![],
        ..kiln::model::NetworkConfig::default()
    };
    RunConfig { network, ..small_config() }
}

/// Whatever is asked in whatever order: steps come one after the other, nothing speaks for a run that is gone, a
/// session without work is at rest, and with its data it can always be brought to an end.
async fn holds_in_any_order(actions: Vec<Action>) {
    let mut session = empty_session(Opened::cpu());
    let (mut filled, mut current, mut step, mut ended) = (false, None, 0u32, true);
    let mut see = |events: Vec<Event>, current: &mut Option<RunId>| {
        for event in events {
            if let Event::Started { run } = event {
                (*current, step, ended) = (Some(run), 0, false);
            }
            assert_eq!(event.run(), *current, "{event:?}");
            match event {
                Event::Steps { points, .. } => {
                    for point in points {
                        step += 1;
                        assert_eq!(point.step, step);
                    }
                }
                Event::Paused { step: at, .. } => assert_eq!(at, step),
                Event::Resumed { .. } => ended = false,
                Event::Finished { step: at, .. } => {
                    assert_eq!(at, step);
                    ended = true;
                }
                Event::Failed { failure, .. } => panic!("{failure}"),
                _ => {}
            }
        }
        ended
    };
    for action in actions {
        let config = tiny_config();
        let events = match action {
            Action::Start(run) => session.handle(start(run, &config)),
            Action::OneBatch(run) => {
                session.handle(Command::Start { run: RunId(run), config, one_batch: true, from: None, basis: None })
            }
            Action::Pause(run) => session.handle(Command::Pause { run: RunId(run) }),
            Action::Resume(run) => session.handle(Command::Resume { run: RunId(run) }),
            Action::Step(run) => session.handle(Command::Step { run: RunId(run) }),
            Action::Stop(run) => session.handle(Command::Stop { run: RunId(run) }),
            Action::Test(run) => session.handle(Command::Test { run: RunId(run) }),
            Action::Rate(run) => session.handle(Command::SetLearningRate { run: RunId(run), learning_rate: 0.01 }),
            Action::Fill if !filled => {
                filled = true;
                fill(&mut session);
                Vec::new()
            }
            Action::Fill => Vec::new(),
            Action::Work(pieces) => {
                let mut events = Vec::new();
                for _ in 0..pieces {
                    if session.has_work() {
                        events.extend(session.advance().await);
                    }
                }
                events
            }
        };
        see(events, &mut current);
    }
    if !filled {
        fill(&mut session);
    }
    // To the end: whatever state it is in, Resume and work lead to a finished run.
    for _ in 0..4 {
        see(drive(&mut session).await, &mut current);
        if let Some(run) = current {
            see(session.handle(Command::Resume { run }), &mut current);
        }
    }
    let ended = see(drive(&mut session).await, &mut current);
    assert!(current.is_none() || ended);
    assert!(!session.has_work());
}

#[cfg(not(target_arch = "wasm32"))]
proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn every_order_of_commands_keeps_the_state_machine_whole(actions in proptest::collection::vec(action(), 1..24)) {
        pollster::block_on(holds_in_any_order(actions));
    }
}

/// In the browser the property runs over a few fixed orders only: a browser can't be waited for synchronously.
#[cfg(target_arch = "wasm32")]
#[wasm_bindgen_test::wasm_bindgen_test]
async fn some_orders_of_commands_keep_the_state_machine_whole() {
    use Action::*;
    holds_in_any_order(vec![Start(1), Work(3), Fill, Rate(1), Work(2), Pause(1), Step(1), Work(4), Stop(1), Test(1)])
        .await;
    holds_in_any_order(vec![OneBatch(2), Stop(2), Fill, Resume(2), Work(8), Start(1), Work(8), Stop(1)]).await;
}
