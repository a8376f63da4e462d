//! The page in a real browser: the run that can go on, the shelf, and the storage's bar.

#![cfg(target_arch = "wasm32")]

mod mounted;

use kiln::page::settings::read;
use kiln::protocol::{Command, Event, RunId};
use kiln::shelf::{ModelCard, ModelId, Resumable, Shelf, StorageTrouble};
use kiln::training::{History, RunConfig, Score, StepPoint};
use mounted::{Mounted, frames, key, mount, ready_events, set, steps};
use wasm_bindgen::JsCast;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};
use web_sys::HtmlElement;

wasm_bindgen_test_configure!(run_in_browser);

fn score(correct: u32, total: u32) -> Score {
    Score { loss: 0.04, correct, total }
}

fn resumable() -> Event {
    let point = |step| StepPoint { step, loss: 1.0 / step as f32, accuracy: 0.9 };
    Event::Resumable(Box::new(Resumable {
        name: "Celadon".into(),
        saved: js_sys::Date::now(),
        config: RunConfig::default(),
        learning_rate: 5e-4,
        step: 858,
        epoch: 2,
        history: History {
            points: (1..=858).map(point).collect(),
            scores: vec![(1, score(4900, 5000)), (2, score(4945, 5000))],
            best: Some(2),
            ..History::default()
        },
    }))
}

fn card(id: u32, name: &str, test: Option<Score>) -> ModelCard {
    let config = RunConfig { seed: id, ..RunConfig::default() };
    ModelCard {
        id: ModelId(id),
        name: name.into(),
        saved: js_sys::Date::now(),
        data: "MNIST".into(),
        synthetic: false,
        step: config.steps(),
        validation: Some((10, score(4960, 5000))),
        test,
        network: config.network.clone(),
        classes: (0..10).map(|class| class.to_string()).collect(),
        config: Some(config),
        base: None,
        parameters: 130_250,
        bytes: 521_000,
        deleted: None,
    }
}

fn shelf(models: Vec<ModelCard>) -> Event {
    Event::Shelf(Shelf { models, usage: Some(12.3e6), quota: Some(5e9), ..Shelf::default() })
}

/// A page with two models on the shelf.
async fn with_models() -> Mounted {
    let page = Mounted::ready().await;
    page.tell([shelf(vec![card(7, "Tenmoku", Some(score(9934, 10_000))), card(3, "Celadon", None)])]).await;
    page
}

#[wasm_bindgen_test]
async fn a_run_that_was_left_is_offered_and_goes_on() {
    let page = mount(read([]));
    let [ready, opened, data] = ready_events();
    page.tell([ready, opened, resumable()]).await;
    assert_eq!(page.buttons(), "resume* train*", "there is nothing to train on yet");
    page.tell([data]).await;
    assert_eq!(page.state(), ("ready".into(), "resumable".into()));
    assert_eq!(page.buttons(), "resume train");
    assert!(page.text("status").starts_with("Welcome back."));
    let panel = page.text("resumable");
    assert!(panel.contains("Celadon · epoch 2 of 10 · 98.9% on validation"), "{panel}");
    assert!(panel.contains("keeps Celadon on the shelf"), "{panel}");
    assert_eq!(page.points(), ["858", "858"]);

    page.click("resume").await;
    assert_eq!(page.commands_but_predict(), [Command::ResumeKept { run: RunId(1) }]);
    assert!(page.find("resumable").is_none());
    page.tell([Event::Started { run: RunId(1) }, steps(1, 859..=860)]).await;
    assert_eq!((page.state().0.as_str(), page.points()), ("training", vec!["860".to_owned(), "860".to_owned()]));
    // What changed before it was left is what goes on.
    assert!(page.text("recipe-learning-rate").contains("0.0005"));
}

#[wasm_bindgen_test]
async fn starting_afresh_starts_a_run_of_its_own() {
    let page = Mounted::ready().await;
    page.tell([resumable()]).await;
    page.click("train").await;
    let commands = page.commands_but_predict();
    assert!(matches!(&commands[..], [Command::Start { run: RunId(1), from: None, .. }]), "{commands:?}");
    assert!(page.find("resumable").is_none());
    assert_eq!(page.points(), ["0", "0"]);
}

#[wasm_bindgen_test]
async fn a_run_that_is_going_is_not_disturbed_by_one_that_was_left() {
    let page = Mounted::training().await;
    page.tell([resumable()]).await;
    assert!(page.find("resumable").is_none());
    assert_eq!(page.points(), ["3", "3"]);
}

#[wasm_bindgen_test]
async fn the_room_is_there_from_the_first_model_on() {
    let page = Mounted::ready().await;
    assert!(page.find("models").is_none());
    page.tell([shelf(vec![card(3, "Celadon", Some(score(9921, 10_000)))])]).await;
    let row = page.text("model-3");
    for text in ["Celadon", "MNIST, 55,000 digits", "99.21%", "test, 9,921 of 10,000", "0.5 MB", "today"] {
        assert!(row.contains(text), "{text} in {row}");
    }
    assert!(page.text("storage-used").contains("12.3 MB of the 5.0 GB"));
    assert!(page.root.query_selector("nav a[href='#models']").unwrap().is_some());
    page.tell([shelf(vec![card(3, "Celadon", None)])]).await;
    let row = page.text("model-3");
    assert!(row.contains("99.20%") && row.contains("validation, epoch 10"), "{row}");
}

#[wasm_bindgen_test]
async fn a_model_is_opened_and_shows_its_figures() {
    let page = with_models().await;
    page.click("model-open-7").await;
    assert_eq!(page.commands_but_predict(), [Command::OpenModel { id: ModelId(7) }]);
    let card = card(7, "Tenmoku", Some(score(9934, 10_000)));
    page.tell([Event::ModelOpened { card: Box::new(card), history: None }]).await;
    assert_eq!(page.state(), ("ready".into(), "opened".into()));
    assert!(page.text("status").starts_with("Tenmoku reads 9,934 of 10,000 test digits."));
    assert_eq!(page.get("test-accuracy").get_attribute("data-value").as_deref(), Some("99.34"));
    assert_eq!(page.text("model-open-7"), "open");
    page.click("train").await;
    assert_eq!(page.state().0, "training");
    assert_eq!(page.text("model-open-7"), "Open");
}

#[wasm_bindgen_test]
async fn no_model_is_opened_over_a_run_that_is_going() {
    let page = Mounted::training().await;
    page.tell([shelf(vec![card(3, "Celadon", None)])]).await;
    page.commands();
    page.click("model-open-3").await;
    assert_eq!(page.commands_but_predict(), []);
}

#[wasm_bindgen_test]
async fn a_name_is_changed_in_its_place() {
    let page = with_models().await;
    page.click("model-rename-3").await;
    set(&page, "model-name-3", "First try").await;
    key(&page.get("model-name-3"), "Enter");
    frames().await;
    let renamed = Command::RenameModel { id: ModelId(3), name: "First try".into() };
    assert_eq!(page.commands_but_predict(), [renamed]);
    assert!(page.find("model-name-3").is_none());
    // Escape leaves it as it was.
    page.click("model-rename-3").await;
    set(&page, "model-name-3", "Another").await;
    key(&page.get("model-name-3"), "Escape");
    frames().await;
    assert!(page.find("model-name-3").is_none());
    assert_eq!(page.commands_but_predict(), []);
}

#[wasm_bindgen_test]
async fn a_deleted_model_can_be_had_back() {
    let page = with_models().await;
    page.click("model-delete-3").await;
    assert_eq!(page.commands_but_predict(), [Command::DeleteModel { id: ModelId(3) }]);
    let deleted = ModelCard { deleted: Some(js_sys::Date::now()), ..card(3, "Celadon", None) };
    page.tell([shelf(vec![card(7, "Tenmoku", None), deleted])]).await;
    assert!(page.text("model-3").contains("Celadon is deleted."));
    page.click("model-undo-3").await;
    assert_eq!(page.commands_but_predict(), [Command::RestoreModel { id: ModelId(3) }]);
}

#[wasm_bindgen_test]
async fn two_models_are_compared_side_by_side() {
    let page = Mounted::ready().await;
    let mut second = card(3, "Celadon", Some(score(9921, 10_000)));
    second.config.as_mut().unwrap().batch_size = 64;
    page.tell([shelf(vec![card(7, "Tenmoku", Some(score(9934, 10_000))), second])]).await;
    page.click("model-choose-7").await;
    assert!(page.find("model-compare").is_none(), "one alone is not compared");
    page.click("model-choose-3").await;
    let asked = [7, 3].map(|id| Command::ModelHistory { id: ModelId(id) });
    assert_eq!(page.commands_but_predict(), asked);
    page.click("model-compare").await;
    let history = History { scores: vec![(1, score(4900, 5000)), (2, score(4950, 5000))], ..History::default() };
    page.tell([Event::ModelHistory { id: ModelId(3), history: Some(history) }]).await;
    let comparison = page.text("model-comparison");
    // Wilson's interval of 9,934 of 10,000.
    for text in ["9,934 of 10,000 · 99.34% (99.16% to 99.48%)", "Batch size", "128", "64", "130,250"] {
        assert!(comparison.contains(text), "{text} in {comparison}");
    }
    assert!(!comparison.contains("Dropout"), "only what differs: {comparison}");
    assert!(page.text("model-verdict").contains("overlap"));
    assert_eq!(page.root.query_selector_all(".curves polyline.first, .curves polyline.second").unwrap().length(), 4);
    page.click("model-choose-3").await;
    assert!(page.find("model-comparison").is_none());
}

#[wasm_bindgen_test]
async fn full_storage_is_a_bar_and_training_goes_on() {
    let page = Mounted::training().await;
    page.tell([Event::Storage { trouble: Some(StorageTrouble::Full) }, shelf(vec![card(3, "Celadon", None)])]).await;
    assert_eq!(page.get("storage").get_attribute("data-kind").as_deref(), Some("full"));
    assert!(page.text("storage").contains("training goes on, saving doesn't"));
    assert!(page.find("make-room").is_some());
    assert_eq!(page.state().0, "training");
    page.tell([steps(1, 4..=5)]).await;
    assert_eq!(page.points(), ["5", "5"]);
    // Keeping works again.
    page.tell([Event::Storage { trouble: None }]).await;
    assert!(page.find("storage").is_none());
}

#[wasm_bindgen_test]
async fn forbidden_storage_is_told_once_and_can_be_dismissed() {
    let page = Mounted::ready().await;
    page.tell([Event::Storage { trouble: Some(StorageTrouble::Forbidden { what: "SecurityError".into() }) }]).await;
    assert_eq!(page.get("storage").get_attribute("data-kind").as_deref(), Some("forbidden"));
    page.click("storage-dismiss").await;
    assert!(page.find("storage").is_none());
    assert_eq!(page.state().0, "ready");
}

#[wasm_bindgen_test]
async fn a_finished_run_says_under_which_name_it_was_kept() {
    let page = Mounted::training().await;
    let finished = Event::Finished {
        run: RunId(1),
        step: 4290,
        stopped: false,
        early: false,
        best_epoch: Some(10),
        test: Some(score(9921, 10_000)),
    };
    page.tell([finished, shelf(vec![card(3, "Celadon", None)]), Event::Kept { run: RunId(1), id: ModelId(3) }]).await;
    assert!(page.text("progress").contains("Best at epoch 10, kept as Celadon"));
    page.get("language").unchecked_into::<HtmlElement>().click();
    frames().await;
    assert!(page.text("progress").contains("保存为 Celadon"));
    page.get("language").unchecked_into::<HtmlElement>().click();
    frames().await;
}
