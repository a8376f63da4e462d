//! What is read back from storage is only used if it fits: models, checkpoints, measurements; and names on the shelf.

mod common;

use common::{drive, small_config, small_session, start};
use kiln::model::{Convolution, ModelError, NetworkConfig, SavedModel};
use kiln::protocol::Event;
use kiln::shelf::{GLAZES, MAX_NAME, clean_name, free_name, fresh_name};
#[cfg(not(target_arch = "wasm32"))]
use kiln::training::RunConfig;
use kiln::training::{Checkpoint, History, Score, StepPoint};
#[cfg(not(target_arch = "wasm32"))]
use proptest::prelude::*;
use serde_bytes::ByteBuf;

#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_dedicated_worker);

/// Events of a small run, with its checkpoints.
async fn events() -> Vec<Event> {
    let mut session = small_session();
    session.handle(start(1, &small_config()));
    drive(&mut session).await
}

fn checkpoints(events: &[Event]) -> Vec<Checkpoint> {
    let checkpoint = |event: &Event| match event {
        Event::Checkpoint { checkpoint, .. } => Some((**checkpoint).clone()),
        _ => None,
    };
    events.iter().filter_map(checkpoint).collect()
}

fn model() -> SavedModel {
    let network = NetworkConfig {
        convolutions: vec![Convolution::new(1, true)],
        dense: Vec::new(),
        classes: 2,
        ..NetworkConfig::default()
    };
    // 9 + 1 of the convolution, 2 × (196 + 1) of the dense layer.
    let weights = ByteBuf::from(vec![0; 4 * (10 + 394)]);
    SavedModel { network, classes: vec!["0".into(), "1".into()], weights, left_out: Vec::new() }
}

both! {
    async fn a_run_tells_its_whole_history_and_checkpoints_that_fit() {
        let events = events().await;
        let mut history = History::default();
        events.iter().for_each(|event| history.hear(event));
        assert_eq!((history.points.len(), history.scores.len()), (8, 2));
        assert!(history.best.is_some() && history.test.is_some());
        assert!(history.fits(&small_config()));
        for checkpoint in checkpoints(&events) {
            assert_eq!(checkpoint.check(), Ok(()));
        }
        history.rewind(4, 1);
        assert_eq!((history.points.len(), history.scores.len(), history.test), (4, 1, None));
        assert!(history.best.is_none_or(|best| best == 1));
    }

    async fn a_checkpoint_that_does_not_fit_is_told_apart() {
        let sound = checkpoints(&events().await).pop().unwrap();
        let broken: [fn(&mut Checkpoint); 7] = [
            |c| c.weights.truncate(4),
            |c| c.step = c.config.steps() + 1,
            |c| c.epoch += 1,
            |c| c.config.epochs = 0,
            |c| c.config.batch_size = u32::MAX,
            |c| c.config.network.dense = vec![usize::MAX],
            |c| c.weights[..4].copy_from_slice(&f32::NAN.to_le_bytes()),
        ];
        for (index, damage) in broken.into_iter().enumerate() {
            let mut checkpoint = sound.clone();
            damage(&mut checkpoint);
            assert!(checkpoint.check().is_err(), "damage {index}");
        }
        let mut checkpoint = sound.clone();
        checkpoint.best.as_mut().unwrap().weights.clear();
        assert!(checkpoint.check().is_err());
    }

    async fn a_model_that_does_not_fit_is_told_apart() {
        assert_eq!(model().check(), Ok(()));
        let check = |damage: fn(&mut SavedModel)| {
            let mut model = model();
            damage(&mut model);
            model.check()
        };
        assert_eq!(check(|m| m.weights.truncate(1615)), Err(ModelError::Length { expected: 1616, found: 1615 }));
        assert_eq!(check(|m| drop(m.classes.pop())), Err(ModelError::Classes { names: 1, outputs: 2 }));
        assert_eq!(check(|m| m.classes[1].clear()), Err(ModelError::ClassName(0)));
        assert_eq!(check(|m| m.weights[4..8].copy_from_slice(&f32::INFINITY.to_le_bytes())), Err(ModelError::NotFinite(1)));
        assert!(check(|m| m.network.convolutions[0].kernel = usize::MAX).is_err());
        assert!(check(|m| m.network.convolutions[0].filters = usize::MAX).is_err());
        assert!(check(|m| m.network.convolutions = vec![Convolution::new(1, false); 1000]).is_err());
    }

    async fn measurements_that_are_not_of_the_run_are_told_apart() {
        let point = |step| StepPoint { step, loss: 1.0, accuracy: 0.5 };
        let fits = |steps: &[u32], scores: &[(u32, Score)]| {
            let points = steps.iter().map(|step| point(*step)).collect();
            History { points, scores: scores.to_vec(), ..History::default() }.fits(&small_config())
        };
        let score = |correct| Score { loss: 1.0, correct, total: 20 };
        assert!(fits(&[1, 2, 4], &[(1, score(20))]));
        assert!(!fits(&[2, 1], &[]));
        assert!(!fits(&[0], &[]));
        assert!(!fits(&[9], &[]));
        assert!(!fits(&[1], &[(3, score(1))]));
        assert!(!fits(&[1], &[(1, score(21))]));
    }

    async fn no_two_models_get_the_same_name() {
        let mut taken: Vec<String> = Vec::new();
        for _ in 0..2 * GLAZES.len() + 1 {
            let name = fresh_name(taken.iter().map(String::as_str));
            assert!(!taken.contains(&name));
            taken.push(name);
        }
        assert_eq!((taken[0].as_str(), taken[GLAZES.len()].as_str()), ("Celadon", "Celadon 2"));
    }

    async fn a_name_that_is_taken_gets_a_number() {
        let taken = ["Mine", "Mine 2"];
        assert_eq!(free_name("Mine", taken.into_iter()), "Mine 3");
        assert_eq!(free_name("Yours", taken.into_iter()), "Yours");
        assert_eq!(free_name(" ", taken.into_iter()), "Celadon");
        let long = "x".repeat(MAX_NAME);
        assert!(free_name(&long, [long.as_str()].into_iter()).len() <= MAX_NAME);
    }

    async fn a_name_is_brought_into_one_line() {
        assert_eq!(clean_name("  my\n  hand\t2 ").as_deref(), Some("my hand 2"));
        assert_eq!(clean_name(" \n"), None);
        assert_eq!(clean_name(&"字".repeat(500)).unwrap().chars().count(), MAX_NAME);
    }
}

#[cfg(not(target_arch = "wasm32"))]
proptest! {
    #[test]
    fn no_configuration_from_storage_makes_a_check_panic(
        filters in prop::collection::vec(any::<usize>(), 0..5),
        kernel in any::<usize>(),
        dense in prop::collection::vec(any::<usize>(), 0..5),
        classes in any::<usize>(),
        (epochs, batch_size, train_size, step, epoch) in any::<(u32, u32, u32, u32, u32)>(),
        weights in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let convolutions = filters.iter().map(|&filters| Convolution { kernel, ..Convolution::new(filters, true) });
        let network =
            NetworkConfig { convolutions: convolutions.collect(), dense, classes, ..NetworkConfig::default() };
        let weights = ByteBuf::from(weights);
        let model = SavedModel { network: network.clone(), classes: Vec::new(), weights: weights.clone(), left_out: Vec::new() };
        prop_assert!(model.check().is_err());
        let config = RunConfig { network, epochs, batch_size, train_size, ..RunConfig::default() };
        let checkpoint = Checkpoint {
            config,
            learning_rate: 1e-3,
            step,
            epoch,
            score: None,
            weights,
            optimizer: ByteBuf::new(),
            best: None,
            without_gain: 0,
            basis: None,
        };
        prop_assert!(checkpoint.check().is_err());
    }
}
