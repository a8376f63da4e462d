//! The page in a real browser: its state and views driven by events as a worker would send them, with an engine in
//! place that only writes down what it is asked for.

#![cfg(target_arch = "wasm32")]

mod mounted;

use kiln::data::{CLASSES, Split};
use kiln::model::NetworkError;
use kiln::page::browser::{document, window};
use kiln::page::number::read as read_number;
use kiln::page::rest::Rest;
use kiln::page::settings::{Note, read, write};
use kiln::page::state::{Action, DeviceChoice, PageState};
use kiln::page::words::{count, percent};
use kiln::protocol::{
    Command, ConfigurationProblem, DataProgress, DeviceReason, Event, Failure, LayerMaps, RunId, VERSION,
};
use kiln::training::{Checkpoint, RunConfig, Score};
use kiln::web::{pack, unpack};
use leptos::prelude::Set;
use mounted::{Mounted, data, frames, key, mount, opened, ready_events, steps};
use serde_bytes::ByteBuf;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};
use web_sys::{CanvasRenderingContext2d, Element, HtmlCanvasElement, HtmlElement, PointerEvent, PointerEventInit};

wasm_bindgen_test_configure!(run_in_browser);

fn score(correct: u32) -> Score {
    Score { loss: 0.1, correct, total: 5000 }
}

fn checkpoint(epoch: u32) -> Box<Checkpoint> {
    Box::new(Checkpoint {
        config: RunConfig::default(),
        learning_rate: 1e-3,
        step: epoch * 429,
        epoch,
        score: Some(score(4900)),
        weights: ByteBuf::from(vec![1, 2, 3]),
        optimizer: ByteBuf::new(),
        best: None,
        without_gain: 0,
        basis: None,
    })
}

fn epoch_done(run: u32, epoch: u32) -> [Event; 3] {
    let run_id = RunId(run);
    [
        steps(run, epoch * 429 - 1..=epoch * 429),
        Event::Validated { run: run_id, epoch, score: score(4900), best: true },
        Event::Checkpoint { run: run_id, checkpoint: checkpoint(epoch) },
    ]
}

fn died() -> Event {
    Event::Failed { run: None, failure: Failure::WorkerDied { message: String::new() } }
}

#[wasm_bindgen_test]
async fn the_page_is_usable_before_the_worker_is_there() {
    let page = mount(read([]));
    frames().await;
    assert_eq!(page.state(), ("loading".into(), "worker".into()));
    assert_eq!(page.buttons(), "train*");
    assert_eq!(page.points(), ["0", "0"]);
    assert_eq!(page.asked.borrow().starts, [(DeviceChoice::Auto, None)]);
    page.tell([Event::Ready { version: VERSION }]).await;
    assert_eq!(page.state(), ("loading".into(), "data".into()));
    page.tell([opened(), data(0)]).await;
    assert_eq!(page.buttons(), "train*");
    page.tell([data(1)]).await;
    assert_eq!(page.state(), ("loading".into(), "data".into()));
    assert_eq!(page.buttons(), "train step", "the first shard is enough");
    assert!(page.text("progress").contains("1.0 of 4.0 MB"), "{}", page.text("progress"));
    page.tell([data(4)]).await;
    assert_eq!(page.state().0, "ready");
    assert!(page.text("device").contains("CPU") && page.text("device").contains("no WebGPU"));
}

#[wasm_bindgen_test]
async fn a_device_that_opens_after_all_data_came_makes_it_ready() {
    let page = mount(read([]));
    page.tell([Event::Ready { version: VERSION }, data(4)]).await;
    assert_eq!(page.state(), ("loading".into(), "data".into()));
    page.tell([opened()]).await;
    assert_eq!(page.state().0, "ready");
}

#[wasm_bindgen_test]
async fn a_page_whose_data_come_with_the_first_run_is_ready_without_them() {
    let page = mount(read([]));
    let Event::Data(none) = data(0) else { unreachable!("data are data") };
    let waits = Event::Data(DataProgress { waits: true, ..none });
    page.tell([Event::Ready { version: VERSION }, opened(), waits]).await;
    assert_eq!(page.state().0, "ready");
    assert_eq!(page.buttons(), "train step");
    assert!(page.text("status").contains("4.0 MB, are fetched when you train"), "{}", page.text("status"));
}

#[wasm_bindgen_test]
async fn a_run_from_the_click_to_the_test() {
    let page = Mounted::ready().await;
    let train = page.get("train");
    train.unchecked_ref::<HtmlElement>().focus().unwrap();
    page.click("train").await;
    let started =
        Command::Start { run: RunId(1), config: RunConfig::default(), one_batch: false, from: None, basis: None };
    assert_eq!(page.commands_but_predict(), [started]);
    assert_eq!(page.state(), ("training".into(), "compiling".into()));
    page.tell([Event::Started { run: RunId(1) }, steps(1, 1..=7)]).await;
    assert_eq!(page.buttons(), "pause stop");
    assert_eq!(page.get("pause"), train, "the same element is now Pause");
    assert_eq!(document().active_element(), Some(train), "and it kept the focus");
    assert_eq!(page.points(), ["7", "7"]);
    assert!(page.text("progress").contains("epoch 1 of 10"));
    page.tell(epoch_done(1, 1)).await;
    assert!(page.text("status").contains("98.0%"), "{}", page.text("status"));
    page.click("pause").await;
    assert_eq!(page.commands_but_predict(), [Command::Pause { run: RunId(1) }]);
    assert_eq!(page.buttons(), "pause* stop");
    page.tell([Event::Paused { run: RunId(1), step: 429 }]).await;
    assert_eq!((page.state().0.as_str(), page.buttons().as_str()), ("paused", "resume step stop export"));
    page.click("step").await;
    page.click("resume").await;
    assert_eq!(page.commands_but_predict(), [Command::Step { run: RunId(1) }, Command::Resume { run: RunId(1) }]);
    page.tell([Event::Testing { run: RunId(1), done: 6400, total: 10_000 }]).await;
    assert_eq!((page.state().0.as_str(), page.buttons().as_str()), ("evaluating", "stop"));
    let test = Some(Score { loss: 0.03, correct: 9921, total: 10_000 });
    page.tell([Event::Finished { run: RunId(1), step: 4290, stopped: false, early: false, best_epoch: Some(1), test }])
        .await;
    assert_eq!((page.state().0.as_str(), page.buttons().as_str()), ("finished", "teach train export"));
    assert!(page.text("status").contains("9,921 of 10,000"));
    assert_eq!(page.text("test-accuracy"), "99.21 %");
    page.click("train").await;
    assert!(matches!(page.commands_but_predict()[..], [Command::Start { run: RunId(2), .. }]));
    assert_eq!(page.points(), ["0", "0"]);
}

#[wasm_bindgen_test]
async fn a_stopped_run_can_go_on_or_be_tested() {
    let page = Mounted::training().await;
    page.click("stop").await;
    page.tell([Event::Finished { run: RunId(1), step: 3, stopped: true, early: false, best_epoch: None, test: None }])
        .await;
    assert_eq!(page.state(), ("finished".into(), "stopped".into()));
    assert_eq!(page.buttons(), "resume train test export");
    page.commands();
    page.click("test").await;
    assert_eq!(page.commands_but_predict(), [Command::Test { run: RunId(1) }]);
    assert_eq!(page.state().0, "evaluating");
}

#[wasm_bindgen_test]
async fn one_batch_begins_a_run_that_pauses() {
    let page = Mounted::ready().await;
    page.click("step").await;
    assert!(matches!(page.commands_but_predict()[..], [Command::Start { one_batch: true, .. }]));
    page.tell([steps(1, 1..=1), Event::Paused { run: RunId(1), step: 1 }]).await;
    assert_eq!(page.buttons(), "resume step stop export");
}

#[wasm_bindgen_test]
async fn events_of_another_run_are_ignored() {
    let page = Mounted::training().await;
    page.tell([steps(7, 4..=90), Event::Paused { run: RunId(7), step: 90 }]).await;
    assert_eq!(page.points(), ["3", "3"]);
    assert_eq!(page.state().0, "training");
}

#[wasm_bindgen_test]
async fn a_dead_worker_is_replaced_and_the_run_goes_on_from_its_checkpoint() {
    let page = Mounted::training().await;
    page.tell(epoch_done(1, 1)).await;
    page.tell([steps(1, 430..=500), died()]).await;
    assert_eq!(page.state(), ("failed".into(), "worker-died".into()));
    assert_eq!(page.buttons(), "resume");
    assert!(page.text("resume").contains("epoch 1"));
    assert!(page.text("status").contains("epoch 1"), "says what was kept");
    assert_eq!(page.points(), ["76", "76"]);
    let focused = document().active_element().unwrap();
    assert_eq!(focused.closest("[data-testid=error]").unwrap(), page.find("error"), "the fault has the focus");
    page.commands();
    page.click("resume").await;
    assert_eq!(page.asked.borrow().starts.len(), 2, "another worker");
    assert_eq!(page.state().0, "loading");
    page.tell(ready_events()).await;
    let from = Some(checkpoint(1));
    let going_on = Command::Start { run: RunId(2), config: RunConfig::default(), one_batch: false, from, basis: None };
    assert_eq!(page.commands_but_predict(), [going_on]);
    assert_eq!(page.points(), ["5", "5"], "what came after the checkpoint is run again");
    page.tell([steps(2, 430..=431)]).await;
    assert_eq!(page.points(), ["7", "7"]);
    assert_eq!(page.state().0, "training");
}

#[wasm_bindgen_test]
async fn every_failure_has_a_headline_and_a_way_on() {
    let what = || "HTTP 404".to_owned();
    let file = || "train-2-abc.bin".to_owned();
    let failures = [
        (Failure::WorkerSilent { seconds: 30 }, "retry resume-cpu"),
        (Failure::Version { worker: 9, page: VERSION }, "reload"),
        (Failure::WorkerDied { message: "boom".into() }, "retry"),
        (Failure::NoData { url: "data/manifest.json".into(), what: what() }, "retry"),
        (Failure::MissingShard { file: file(), what: what() }, "retry"),
        (Failure::BadShard { file: file(), split: Split::Train, expected: "abc".into(), found: "def".into() }, "retry"),
        (Failure::NotFinite { step: 12 }, "train change-recipe"),
        (Failure::GpuLost { message: "unknown".into() }, "retry resume-cpu"),
        (
            Failure::Configuration { problem: ConfigurationProblem::Network(NetworkError::Dropout) },
            "recipe-defaults change-recipe",
        ),
        (Failure::Unsupported { missing: "module workers".into() }, "copy-address"),
    ];
    for (failure, buttons) in failures {
        let page =
            if matches!(failure, Failure::WorkerSilent { .. }) { mount(read([])) } else { Mounted::ready().await };
        page.tell([Event::Failed { run: None, failure: failure.clone() }]).await;
        assert_eq!(page.state().0, "failed", "{failure}");
        assert_eq!(page.buttons(), buttons, "{failure}");
        assert!(!page.text("status").is_empty() && page.text("error-details").len() > 30, "{failure}");
        if let Failure::MissingShard { file, .. } | Failure::BadShard { file, .. } = &failure {
            assert!(page.text("error").contains(file), "the shard is named");
        }
    }
}

#[wasm_bindgen_test]
async fn a_loss_that_ran_away_goes_back_with_a_tenth_of_the_rate() {
    let page = Mounted::training().await;
    page.tell(epoch_done(1, 1)).await;
    page.tell([Event::Failed { run: Some(RunId(1)), failure: Failure::NotFinite { step: 500 } }]).await;
    assert_eq!(page.buttons(), "train change-recipe");
    page.commands();
    page.click("train").await;
    let config = RunConfig { learning_rate: 1e-3 / 10.0, ..RunConfig::default() };
    let back = Command::Start { run: RunId(2), config, one_batch: false, from: Some(checkpoint(1)), basis: None };
    assert_eq!(page.commands_but_predict(), [back]);
}

#[wasm_bindgen_test]
async fn a_lost_gpu_can_be_left_for_the_cpu() {
    let page = Mounted::training().await;
    let failure = Failure::GpuLost { message: "unknown".into() };
    page.tell([Event::Failed { run: Some(RunId(1)), failure }, died()]).await;
    assert_eq!(page.state().1, "gpu-lost", "the worker's end after it adds nothing");
    assert_eq!(page.buttons(), "train resume-cpu", "no epoch was done: the run starts again");
    page.click("resume-cpu").await;
    assert_eq!(page.asked.borrow().starts[1], (DeviceChoice::Cpu, Some(DeviceReason::Lost)));
    page.tell(ready_events()).await;
    assert!(matches!(page.commands_but_predict()[..], [.., Command::Start { run: RunId(2), from: None, .. }]));
}

#[wasm_bindgen_test]
async fn a_shard_is_fetched_again() {
    let page = mount(read([]));
    page.tell([Event::Ready { version: VERSION }, opened(), data(1)]).await;
    let failure = Failure::MissingShard { file: "x.bin".into(), what: "HTTP 500".into() };
    page.tell([Event::Failed { run: None, failure }]).await;
    page.click("retry").await;
    assert_eq!(page.commands_but_predict(), [Command::FetchAgain]);
    assert_eq!(page.state(), ("loading".into(), "data".into()));
    page.tell([data(4)]).await;
    assert_eq!(page.state().0, "ready");
}

fn pointer(kind: &str, at: &Element, x: f64, y: f64) {
    let bounds = at.get_bounding_client_rect();
    let init = PointerEventInit::new();
    init.set_bubbles(true);
    init.set_is_primary(true);
    init.set_pointer_id(1);
    init.set_button(0);
    init.set_client_x((bounds.left() + x * bounds.width()) as i32);
    init.set_client_y((bounds.top() + y * bounds.height()) as i32);
    at.dispatch_event(&PointerEvent::new_with_event_init_dict(kind, &init).unwrap()).unwrap();
}

/// The pad needs a size of its own here: there is no style sheet.
fn pad(page: &Mounted) -> Element {
    let pad = page.get("pad");
    let style = pad.unchecked_ref::<HtmlElement>().style();
    for (name, value) in [("width", "200px"), ("height", "200px"), ("position", "relative")] {
        style.set_property(name, value).unwrap();
    }
    pad
}

#[wasm_bindgen_test]
async fn a_drawing_is_read_after_each_stroke_and_cleared() {
    let page = Mounted::ready().await;
    let pad = pad(&page);
    page.commands();
    pointer("pointerdown", &pad, 0.5, 0.2);
    pointer("pointermove", &pad, 0.5, 0.8);
    pointer("pointerup", &pad, 0.5, 0.8);
    frames().await;
    let asked = page.commands();
    let Some(Command::Predict { id, pixels, .. }) = asked.last() else { panic!("not asked: {asked:?}") };
    assert_eq!(pixels.len(), 784);
    assert!(pixels[14 * 28 + 14] > 200 && pixels[14 * 28 + 4] == 0, "a stroke in the middle");
    assert_eq!(page.text("prediction"), "", "not answered yet");
    let mut probabilities = vec![0.0; CLASSES];
    (probabilities[7], probabilities[3]) = (0.58, 0.42);
    page.tell([Event::Prediction { id: *id, probabilities: probabilities.clone() }]).await;
    assert_eq!(page.text("prediction"), "7");
    assert!(page.get("prediction").parent_element().unwrap().text_content().unwrap().contains("torn with a 3"));
    page.click("pad-clear").await;
    assert_eq!(page.text("prediction"), "");
    page.tell([Event::Prediction { id: *id, probabilities }]).await;
    assert_eq!(page.text("prediction"), "", "the answer to what was cleared is not shown");
}

#[wasm_bindgen_test]
async fn layers_are_asked_for_when_they_can_be_seen() {
    let page = Mounted::ready().await;
    let (pad, strip) = (pad(&page), page.get("inside").query_selector(".strip").unwrap().unwrap());
    let hide = |hidden: bool| strip.unchecked_ref::<HtmlElement>().set_hidden(hidden);
    let asked = || match page.commands().last() {
        Some(Command::Predict { id, inside, .. }) => Some((*id, *inside)),
        _ => None,
    };
    let inked = |layer: &str| {
        let canvas = page.get(layer).query_selector("canvas").unwrap().unwrap().unchecked_into::<HtmlCanvasElement>();
        let context = canvas.get_context("2d").unwrap().unwrap().unchecked_into::<CanvasRenderingContext2d>();
        let pixels = context.get_image_data(0.0, 0.0, canvas.width().into(), canvas.height().into()).unwrap().data();
        pixels.chunks_exact(4).filter(|pixel| pixel[3] > 0).count()
    };
    hide(true);
    frames().await;
    page.commands();
    pointer("pointerdown", &pad, 0.5, 0.2);
    pointer("pointerup", &pad, 0.5, 0.8);
    frames().await;
    let Some((id, false)) = asked() else { panic!("not asked, or for what nobody sees") };
    page.tell([Event::Prediction { id, probabilities: vec![0.1; CLASSES] }]).await;
    assert_eq!(inked("layer-0"), 0);

    hide(false);
    strip.scroll_into_view();
    frames().await;
    let Some((id, true)) = asked() else { panic!("the layers came into sight and were not asked for") };
    page.tell([Event::Prediction { id, probabilities: vec![0.1; CLASSES] }]).await;
    assert_eq!(inked("layer-0"), 0, "they come after the answer");
    let layers = vec![LayerMaps { name: "conv1".into(), side: 28, maps: ByteBuf::from(vec![9; 32 * 784]) }];
    page.tell([Event::Inside { id, layers }]).await;
    assert!(inked("layer-0") > 784);
    page.click("pad-clear").await;
    assert_eq!(inked("layer-0"), 0);
}

#[wasm_bindgen_test]
async fn the_pad_draws_by_keys() {
    let page = Mounted::ready().await;
    let pad = pad(&page);
    page.commands();
    key(&pad, " ");
    for _ in 0..8 {
        key(&pad, "ArrowDown");
    }
    frames().await;
    assert!(matches!(page.commands().last(), Some(Command::Predict { .. })));
}

#[wasm_bindgen_test]
async fn the_drawing_is_read_again_while_the_network_learns() {
    let page = Mounted::training().await;
    let pad = pad(&page);
    pointer("pointerdown", &pad, 0.5, 0.5);
    pointer("pointerup", &pad, 0.5, 0.5);
    frames().await;
    page.commands();
    page.tell(epoch_done(1, 1)).await;
    assert!(page.commands().iter().any(|command| matches!(command, Command::Predict { .. })));
}

#[wasm_bindgen_test]
async fn shortcuts_act_outside_of_fields() {
    let page = Mounted::ready().await;
    key(&document().body().unwrap(), "t");
    frames().await;
    assert!(matches!(page.commands_but_predict()[..], [Command::Start { .. }]));
    let field = page.get("setting-epochs");
    key(&field, "t");
    frames().await;
    assert_eq!(page.commands_but_predict(), []);
}

#[wasm_bindgen_test]
async fn the_learning_rate_changes_in_mid_run_and_the_rest_waits() {
    let page = Mounted::training().await;
    page.commands();
    let set = |testid: &str, value: &str| {
        let input = page.get(testid).unchecked_into::<web_sys::HtmlInputElement>();
        input.set_value(value);
        input.dispatch_event(&web_sys::Event::new("change").unwrap()).unwrap();
    };
    set("setting-learning-rate", "0.0005");
    set("setting-epochs", "3");
    frames().await;
    assert_eq!(page.commands_but_predict(), [Command::SetLearningRate { run: RunId(1), learning_rate: 0.0005 }]);
    assert!(page.text("progress").contains("of 10"), "the run keeps its ten epochs");
    assert!(page.text("recipe-epochs").contains("3 epochs"));
    set("setting-epochs", "1000");
    frames().await;
    assert_eq!(page.get("setting-epochs").get_attribute("aria-invalid").as_deref(), Some("true"));
    assert!(page.text("recipe-epochs").contains("3 epochs"), "what can't be is not taken");
    page.click("recipe-reset").await;
}

#[wasm_bindgen_test]
async fn the_network_is_summed_up() {
    let page = Mounted::ready().await;
    assert_eq!(page.text("summary-total"), "130,250");
    assert!(page.text("layer-0").contains("320 parameters"));
}

#[wasm_bindgen_test]
async fn the_address_is_followed_and_what_is_wrong_in_it_is_named() {
    let pairs =
        [("epochs", "5"), ("learning-rate", "0.01"), ("batch-norm", "true"), ("device", "cpu"), ("workers", "2")];
    let bad = [("batch-size", "0"), ("dropout", "x"), ("colour", "red"), ("device", "tpu"), ("workers", "9")];
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let settings = read(pairs.into_iter().chain(bad).map(owned));
    assert_eq!((settings.config.epochs, settings.config.batch_size), (5, 128));
    assert!(settings.config.network.batch_norm && settings.config.network.dropout == 0.0);
    assert_eq!((settings.choice, settings.workers), (DeviceChoice::Cpu, Some(2)));
    assert_eq!(settings.notes.len(), 5);
    assert_eq!(settings.notes[2], Note::Unknown { name: "colour".into() });
    let written = write(&settings.config, settings.choice, settings.workers);
    let again = read(written.into_iter().map(|(name, value)| (name.to_owned(), value)));
    assert_eq!((again.config, again.choice), (settings.config.clone(), settings.choice));
    assert_eq!((again.workers, again.notes.len()), (settings.workers, 0));
    let page = mount(settings);
    frames().await;
    let notes = page.root.query_selector_all("[data-testid=note]").unwrap();
    let text = |at| notes.get(at).unwrap().text_content().unwrap();
    assert!(text(0).contains("batch-size") && text(2).contains("colour"));
    assert_eq!(page.asked.borrow().starts, [(DeviceChoice::Cpu, None)]);
}

#[wasm_bindgen_test]
async fn the_language_is_switched_and_remembered() {
    let page = Mounted::ready().await;
    page.click("language").await;
    assert!(page.text("status").contains("教这个标签页认识手写数字"));
    assert_eq!(document().document_element().unwrap().get_attribute("lang").as_deref(), Some("zh"));
    page.click("language").await;
    assert!(page.text("status").contains("Teach this tab"));
}

#[wasm_bindgen_test]
fn the_engine_gone_while_idle_is_started_again_without_a_run() {
    let mut state = PageState::new(RunConfig::default(), DeviceChoice::Auto);
    ready_events().into_iter().for_each(|event| assert!(state.apply(event, 0.0).is_empty()));
    state.apply(died(), 1.0);
    let way = state.ways_on()[0];
    assert_eq!(state.act(Action::Recover(way), 2.0).len(), 1);
    ready_events().into_iter().for_each(|event| assert!(state.apply(event, 3.0).is_empty(), "no run begins"));
}

#[wasm_bindgen_test]
fn numbers_are_written_for_readers() {
    assert_eq!([count(7), count(999), count(9921), count(1_234_567)], ["7", "999", "9,921", "1,234,567"]);
    assert_eq!([percent(0.983, 1), percent(0.99996, 1), percent(1.0, 0)], ["98.3%", "99.9%", "100%"]);
}

#[wasm_bindgen_test]
fn what_is_no_message_is_refused() {
    assert!(unpack::<Event>(&JsValue::NULL).is_err());
    assert!(unpack::<Event>(&js_sys::Object::new()).is_err());
    assert!(unpack::<Event>(&js_sys::Uint8Array::new_with_length(0)).is_err());
}

#[wasm_bindgen_test]
fn a_message_is_bytes_that_are_handed_over() {
    let event = Event::Exported { name: "n".into(), mime: "m".into(), bytes: ByteBuf::from(vec![1; 1000]) };
    let (message, handed_over) = pack(&event).unwrap();
    assert!(js_sys::Object::is(&handed_over.get(0), &message.buffer()));
    assert_eq!(unpack::<Event>(&message).unwrap(), event);
}

#[wasm_bindgen_test]
fn numbers_are_read_as_they_are_written_and_nothing_else() {
    for (text, number) in [("0.001", 0.001), ("1e-3", 1e-3), (".5", 0.5), ("+2", 2.0), ("-7", -7.0), ("12", 12.0)] {
        assert_eq!(read_number::<f64>(text), Some(number), "{text}");
        assert_eq!(read_number::<f64>(text), text.parse().ok(), "as Rust reads it");
    }
    for text in ["", " ", "1 ", "0x10", "1e999", "Infinity", "inf", "NaN", "1,5", "e", "1e", "--1", "一"] {
        assert_eq!(read_number::<f64>(text), None, "{text}");
    }
    assert_eq!([read_number::<u32>("3"), read_number("3.0"), read_number("-3")], [Some(3), None, None]);
}

/// In the published build the rooms and what opens over the page come in a second file, which may come late or not at all.
#[wasm_bindgen_test]
async fn without_the_rest_of_its_code_the_page_trains_and_says_what_is_missing() {
    let page = Mounted::ready().await;
    assert!(page.find("recipe").is_some() && page.find("rest-missing").is_none());

    // What is asked for while it comes takes no key from the page, and can be taken back.
    page.page.rest.set(Rest::Coming(0));
    frames().await;
    page.click("recipe-open").await;
    assert!(page.find("recipe").is_none() && page.find("rest-coming").is_some());
    key(&page.root, "t");
    page.tell([Event::Started { run: RunId(1) }, steps(1, 1..=3)]).await;
    assert_eq!(page.state().0, "training");
    key(&page.root, "Escape");
    frames().await;
    assert!(page.find("rest-coming").is_none());

    page.page.rest.set(Rest::Missing(1));
    frames().await;
    assert!(page.find("rest-reload").is_none());
    assert_eq!(page.get("rest-missing").get_attribute("role").as_deref(), Some("alert"));
    page.click("rest-again").await;
    assert!(page.find("rest-missing").is_none());
    assert!(!page.get("recipe").unchecked_into::<web_sys::HtmlDialogElement>().open());

    // What is to open is fetched once more by itself.
    page.page.rest.set(Rest::Missing(1));
    frames().await;
    page.click("recipe-open").await;
    assert!(page.get("recipe").unchecked_into::<web_sys::HtmlDialogElement>().open());
    assert!(page.find("rest-missing").is_none());
}

/// A newer page may have taken this one's place, and its second file with it.
#[wasm_bindgen_test]
async fn what_stays_away_while_online_is_asked_for_by_loading_the_page_again() {
    let page = Mounted::ready().await;
    let browser_says = async |event: &str| {
        window().dispatch_event(&web_sys::Event::new(event).unwrap()).unwrap();
        frames().await;
    };
    page.page.rest.set(Rest::Missing(1));
    frames().await;
    assert!(page.find("rest-again").is_some() && page.find("rest-reload").is_none());
    page.page.rest.set(Rest::Missing(2));
    frames().await;
    assert!(page.find("rest-again").is_some() && page.find("rest-reload").is_some());

    // Offline there is nothing to load it from, and not everything is here.
    browser_says("offline").await;
    assert!(page.find("rest-missing").is_some() && page.find("rest-reload").is_none());
    assert!(!page.text("status").contains("Everything is already here"), "{}", page.text("status"));
    browser_says("online").await;
    assert!(page.find("rest-missing").is_none(), "it was fetched once more");
    browser_says("offline").await;
    assert!(page.text("status").contains("Everything is already here"), "{}", page.text("status"));
    browser_says("online").await;
}
