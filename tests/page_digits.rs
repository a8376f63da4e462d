//! Fine-tuning in the page: labels, the gallery, gathering, the mode and its sentence, before and after; with an engine
//! in place that only writes down what it is asked for.

#![cfg(target_arch = "wasm32")]

mod mounted;

use kiln::data::PIXELS;
use kiln::model::{NetworkConfig, SavedModel};
use kiln::page::browser::document;
use kiln::page::settings::{Note, read, write};
use kiln::page::state::{Action, DeviceChoice, PageState, Phase, Request, digits, finetune};
use kiln::protocol::{Command, Event, RunId};
use kiln::shelf::{ModelCard, ModelId, Shelf};
use kiln::training::collection::KeptDigits;
use kiln::training::exam::Exam;
use kiln::training::finetune::{BeforeAfter, Comparison, NewData, Origin, Prepared, Sample, Shift, Trainable};
use kiln::training::{BestNetwork, Checkpoint, RunConfig, Score};
use mounted::{Mounted, frames, key, mount, ready_events, set, steps};
use serde_bytes::ByteBuf;
use wasm_bindgen::JsCast;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};
use web_sys::{HtmlElement, HtmlInputElement};

wasm_bindgen_test_configure!(run_in_browser);

fn drawing(ink: u8) -> Option<Box<[u8; PIXELS]>> {
    let mut pixels = Box::new([0; PIXELS]);
    pixels[400] = ink;
    Some(pixels)
}

/// A state with an engine, all of the data, and nothing kept from earlier.
fn ready() -> PageState {
    let mut state = PageState::new(RunConfig::default(), DeviceChoice::Auto);
    for event in ready_events().into_iter().chain([Event::Digits(Box::default())]) {
        state.apply(event, 0.0);
    }
    state
}

fn label(state: &mut PageState, ink: u8, label: u8) -> Vec<Request> {
    state.act(Action::Draw(None), 0.0);
    state.act(Action::Draw(drawing(ink)), 0.0);
    state.act(Action::Digits(digits::Act::Label(label)), 0.0)
}

fn labels(state: &PageState) -> Vec<u8> {
    state.collection().samples().iter().map(|sample| sample.label).collect()
}

fn checkpoint(config: RunConfig) -> Event {
    let best = BestNetwork {
        epoch: config.epochs,
        score: Score { loss: 0.1, correct: 4900, total: 5000 },
        weights: ByteBuf::from(vec![9; 4]),
    };
    let checkpoint = Checkpoint {
        learning_rate: config.learning_rate,
        step: config.steps(),
        epoch: config.epochs,
        score: Some(best.score),
        weights: ByteBuf::from(vec![1; 4]),
        optimizer: ByteBuf::new(),
        best: Some(best),
        without_gain: 0,
        basis: None,
        config,
    };
    Event::Checkpoint { run: RunId(1), checkpoint: Box::new(checkpoint) }
}

/// What a run from scratch tells from its start to its end.
fn trained() -> [Event; 4] {
    let test = Score { loss: 0.1, correct: 9921, total: 10_000 };
    [
        Event::Started { run: RunId(1) },
        steps(1, 1..=3),
        checkpoint(RunConfig::default()),
        Event::Finished {
            run: RunId(1),
            step: 4290,
            stopped: false,
            early: false,
            best_epoch: Some(10),
            test: Some(test),
        },
    ]
}

fn exam(labels: &[u8], read: &[u8]) -> Exam {
    Exam {
        labels: ByteBuf::from(labels.to_vec()),
        read: ByteBuf::from(read.to_vec()),
        sure: vec![0.9; labels.len()],
        loss: 0.5,
        left_out: Vec::new(),
    }
}

/// What a fine-tuning run tells from its preparation to its end. Of three held out one was read right, and now two;
/// of ten old ones one is forgotten and one is not counted.
fn tuned(run: u32, config: &RunConfig, samples: Vec<u32>) -> Vec<Event> {
    let id = RunId(run);
    let prepared = Prepared {
        classes: (0..10).map(|class| class.to_string()).collect(),
        train: vec![1; 7],
        validation: vec![1; 3],
        held_out: vec![1; 3],
        validation_is_held_out: true,
        images: 7,
        trainable: 37_578,
        parameters: 130_250,
        kept: true,
        ..Prepared::default()
    };
    let all: Vec<u8> = (0..10).collect();
    let mut before = exam(&all, &all);
    before.left_out = vec![3];
    let mut after = exam(&all, &[0, 1, 7, 3, 4, 5, 6, 7, 8, 9]);
    after.left_out = vec![3];
    let held_out = BeforeAfter { before: exam(&[2, 5, 8], &[2, 1, 1]), after: exam(&[2, 5, 8], &[2, 5, 1]) };
    let comparison = Comparison { held_out, samples, old_test: Some(BeforeAfter { before, after }) };
    let mut config = config.clone();
    if let Some(finetune) = &mut config.finetune {
        finetune.images = 7;
    }
    let score = Score { loss: 0.3, correct: 2, total: 3 };
    let Event::Checkpoint { checkpoint, .. } = checkpoint(config) else { unreachable!() };
    vec![
        Event::Started { run: id },
        Event::Prepared { run: id, prepared: Box::new(prepared) },
        steps(run, 1..=1),
        Event::Validated { run: id, epoch: 1, score, best: true },
        Event::Checkpoint { run: id, checkpoint },
        Event::Compared { run: id, comparison: Box::new(comparison) },
        Event::Finished {
            run: id,
            step: 20,
            stopped: false,
            early: false,
            best_epoch: Some(1),
            test: Some(Score { loss: 0.1, correct: 8, total: 9 }),
        },
    ]
}

/// A state in fine-tuning mode with a network to start from and ten drawings, one of each digit.
fn teaching() -> PageState {
    let mut state = ready();
    state.act(Action::Train, 0.0);
    for event in trained() {
        state.apply(event, 0.0);
    }
    (0..10).for_each(|digit| drop(label(&mut state, digit + 1, digit)));
    state.act(Action::FineTune(finetune::Act::Mode(true)), 0.0);
    state
}

fn started(requests: &[Request]) -> (&RunConfig, &kiln::training::finetune::Basis) {
    match requests {
        [Request::Send(Command::Start { config, basis: Some(basis), .. })] => (config, basis),
        other => panic!("no fine-tuning run begins: {other:?}"),
    }
}

#[wasm_bindgen_test]
fn a_label_adds_the_drawing_once_and_another_one_corrects_it() {
    let mut state = ready();
    let requests = label(&mut state, 5, 4);
    assert!(requests.contains(&Request::KeepDigits), "it is there again in the next visit: {requests:?}");
    assert_eq!((labels(&state), state.kept_as()), (vec![4], Some(4)));
    state.act(Action::Digits(digits::Act::Label(9)), 0.0);
    assert_eq!((labels(&state), state.kept_as()), (vec![9], Some(9)), "the same drawing is something else now");
    // Another stroke makes another drawing of it.
    state.act(Action::Draw(drawing(6)), 0.0);
    assert_eq!(state.kept_as(), None);
    state.act(Action::Digits(digits::Act::Label(3)), 0.0);
    assert_eq!(labels(&state), [9, 3]);
    for expected in [vec![9], vec![4], vec![]] {
        state.act(Action::Digits(digits::Act::Undo), 0.0);
        assert_eq!(labels(&state), expected);
    }
    state.act(Action::Draw(None), 0.0);
    assert_eq!(state.act(Action::Digits(digits::Act::Label(3)), 0.0), [], "an empty pad is nothing");
}

#[wasm_bindgen_test]
fn a_removed_sample_comes_back_to_its_place() {
    let mut state = ready();
    (0..3).for_each(|digit| drop(label(&mut state, digit + 1, digit)));
    let id = state.collection().samples()[1].id;
    state.act(Action::Digits(digits::Act::Remove(id)), 0.0);
    assert_eq!(labels(&state), [0, 2]);
    state.act(Action::Digits(digits::Act::Undo), 0.0);
    assert_eq!(labels(&state), [0, 1, 2]);
}

#[wasm_bindgen_test]
fn what_is_kept_from_earlier_visits_is_never_written_over() {
    let mut state = PageState::new(RunConfig::default(), DeviceChoice::Auto);
    // Labelled before the engine is there: nothing may be kept in the old ones' place yet.
    assert_eq!(label(&mut state, 1, 7), []);
    for event in ready_events() {
        assert!(!state.apply(event, 0.0).contains(&Request::KeepDigits));
    }
    let sample =
        |id| Sample { id, label: 3, held_out: id == 2, origin: Origin::Drawn, pixels: ByteBuf::from(vec![1; PIXELS]) };
    let kept = KeptDigits { digits: vec![sample(1), sample(2)], ..KeptDigits::default() };
    let requests = state.apply(Event::Digits(Box::new(kept.clone())), 0.0);
    assert_eq!(requests, [Request::KeepDigits]);
    assert_eq!(labels(&state), [3, 3, 7]);
    assert!(state.collection().samples()[1].held_out);
    // A worker that is started again tells them again.
    state.apply(Event::Digits(Box::new(kept)), 0.0);
    assert_eq!(labels(&state), [3, 3, 7]);
    let broken = Sample { pixels: ByteBuf::from(vec![1; 3]), ..sample(4) };
    let other = Sample { label: 200, ..sample(5) };
    let mut state = PageState::new(RunConfig::default(), DeviceChoice::Auto);
    let kept = KeptDigits { digits: vec![broken, other, sample(1)], ..KeptDigits::default() };
    state.apply(Event::Digits(Box::new(kept)), 0.0);
    assert_eq!(labels(&state), [3], "what is no digit is left out");
}

#[wasm_bindgen_test]
fn the_pad_asks_for_the_fewest_and_keeps_what_it_asked_for() {
    let mut state = teaching();
    assert_eq!(state.asked_for(), Some(0));
    state.act(Action::Draw(drawing(1)), 0.0);
    let requests = state.act(Action::Digits(digits::Act::Keep), 0.0);
    assert!(requests.contains(&Request::ClearPad), "{requests:?}");
    state.act(Action::Draw(None), 0.0);
    assert_eq!((state.asked_for(), state.collection().own(0)), (Some(1), 2));
    state.act(Action::Digits(digits::Act::Undo), 0.0);
    assert_eq!((state.asked_for(), state.collection().own(0)), (Some(0), 1), "taken back, it is asked for again");
    state.act(Action::Digits(digits::Act::Gather(false)), 0.0);
    assert_eq!(state.asked_for(), None);
}

#[wasm_bindgen_test]
fn train_waits_until_all_are_drawn_or_fewer_are_wanted() {
    let mut state = teaching();
    assert!(!state.can_tune());
    assert_eq!(state.act(Action::Train, 0.0), []);
    state.act(Action::FineTune(finetune::Act::Fewer), 0.0);
    let requests = state.act(Action::Train, 0.0);
    let (config, basis) = started(&requests);
    let finetune = config.finetune.as_ref().unwrap();
    assert_eq!((finetune.trainable, &finetune.data), (Trainable::Dense, &NewData::Yours));
    assert_eq!((config.epochs, config.batch_size, config.network.classes), (20, 8, 10));
    assert_eq!(basis.samples.len(), 10);
    assert_eq!(basis.model.weights.as_ref(), [9; 4], "the best epoch's network, not the last one's");
}

#[wasm_bindgen_test]
fn each_mode_has_a_bench_of_its_own() {
    let mut state = teaching();
    assert_eq!((&state.phase, state.run.is_none()), (&Phase::Ready, true), "nothing is trained here yet");
    assert_eq!((state.settings.epochs, state.settings.batch_size), (20, 8));
    state.act(Action::FineTune(finetune::Act::Mode(false)), 0.0);
    assert_eq!(state.phase, Phase::Finished { stopped: false });
    assert_eq!(state.run.as_ref().unwrap().points.len(), 3);
    assert_eq!(state.settings, RunConfig::default());
    state.act(Action::FineTune(finetune::Act::Mode(true)), 0.0);
    state.act(Action::FineTune(finetune::Act::Fewer), 0.0);
    state.act(Action::Train, 0.0);
    state.act(Action::FineTune(finetune::Act::Mode(false)), 0.0);
    assert!(state.tunes(), "not while a run is under way");
}

#[wasm_bindgen_test]
fn the_second_way_starts_from_the_same_network_and_samples() {
    let mut state = teaching();
    state.act(Action::FineTune(finetune::Act::Fewer), 0.0);
    let requests = state.act(Action::Train, 0.0);
    let (config, basis) = started(&requests);
    let (config, basis) = (config.clone(), basis.clone());
    for event in tuned(2, &config, vec![3, 6, 9]) {
        state.apply(event, 0.0);
    }
    assert_eq!(state.tuning.shown, Trainable::Dense);
    // What is drawn in the meantime changes nothing of the comparison.
    label(&mut state, 77, 1);
    let requests = state.act(Action::FineTune(finetune::Act::Try(Trainable::Everything)), 0.0);
    let (second, second_basis) = started(&requests);
    assert_eq!(second_basis, &basis);
    assert_eq!(second.finetune.as_ref().unwrap().trainable, Trainable::Everything);
    let second = second.clone();
    for event in tuned(3, &second, vec![3, 6, 9]) {
        state.apply(event, 0.0);
    }
    assert_eq!((state.tuning.arms.len(), state.tuning.shown), (2, Trainable::Everything));
    assert_eq!(state.keepable().map(|arm| arm.run), Some(RunId(3)));
    state.act(Action::FineTune(finetune::Act::Show(Trainable::Dense)), 0.0);
    assert_eq!(state.keepable().map(|arm| arm.run), Some(RunId(2)));
    // Other samples are another comparison.
    state.act(Action::Train, 0.0);
    assert_eq!(state.tuning.arms.len(), 0);
}

#[wasm_bindgen_test]
fn new_classes_get_a_collection_of_their_own() {
    let mut state = teaching();
    let mut settings = state.settings.clone();
    settings.set_new_data(NewData::Yours, vec!["sun".into(), "moon".into()]);
    state.act(Action::Configure(settings.clone()), 0.0);
    assert_eq!((state.collection().classes().len(), labels(&state)), (2, vec![]));
    assert_eq!(state.next_network().classes, 2);
    state.act(Action::Digits(digits::Act::Gather(true)), 0.0);
    label(&mut state, 5, 1);
    // Renaming one keeps what was drawn of the other.
    settings.set_new_data(NewData::Yours, vec!["moon".into(), "star".into(), "sun".into()]);
    state.act(Action::Configure(settings.clone()), 0.0);
    assert_eq!(labels(&state), [0], "a moon is a moon");
    settings.set_new_data(NewData::Yours, Vec::new());
    state.act(Action::Configure(settings), 0.0);
    assert_eq!(labels(&state).len(), 10, "the digits are as they were");
}

#[wasm_bindgen_test]
fn larger_data_has_other_defaults_unless_they_were_changed() {
    let mut config = RunConfig::fine_tuning(NewData::Yours);
    config.epochs = 7;
    config.set_new_data(NewData::Shifted { shift: Shift::Rotated }, Vec::new());
    assert_eq!((config.epochs, config.batch_size, config.train_size), (7, 64, 5_000));
    assert_eq!(write(&config, DeviceChoice::Auto, None), [("mode", "finetune".to_owned()), ("epochs", "7".to_owned())]);
}

#[wasm_bindgen_test]
fn the_address_can_ask_for_fine_tuning() {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let settings = read([pair("epochs", "3"), pair("mode", "finetune")]);
    assert_eq!((settings.config.epochs, settings.config.batch_size), (3, 8));
    assert!(settings.config.finetune.is_some() && settings.notes.is_empty());
    let wrong = read([pair("mode", "dream")]);
    assert!(matches!(&wrong.notes[..], [Note::Invalid { name, .. }] if name == "mode"));
    assert_eq!(wrong.config, RunConfig::default());
}

#[wasm_bindgen_test]
fn only_a_model_that_was_asked_for_is_started_from() {
    let model = |weight| SavedModel {
        network: NetworkConfig::default(),
        classes: Vec::new(),
        weights: ByteBuf::from(vec![weight]),
        left_out: Vec::new(),
    };
    let card = |id| ModelCard {
        id: ModelId(id),
        name: format!("Glaze {id}"),
        saved: 0.0,
        data: "MNIST".into(),
        synthetic: false,
        config: None,
        step: 0,
        validation: None,
        test: Some(Score { loss: 0.1, correct: 9_900, total: 10_000 }),
        network: NetworkConfig::default(),
        classes: Vec::new(),
        base: None,
        parameters: 130_250,
        bytes: 521_000,
        deleted: None,
    };
    let read = |id| Event::ModelRead { card: Box::new(card(id)), model: Box::new(model(id as u8)) };
    let mut state = teaching();
    let base = state.tuning.base.clone().unwrap();
    assert_eq!((base.source, base.score.map(|score| score.correct)), (finetune::Source::Run, Some(9921)));
    state.apply(read(5), 0.0);
    assert_eq!(state.tuning.base, Some(base), "nobody asked for it");
    let requests = state.act(Action::FineTune(finetune::Act::StartFrom(finetune::Source::Shelf(ModelId(7)))), 0.0);
    assert_eq!(requests, [Request::Send(Command::ReadModel { id: ModelId(7) })]);
    state.apply(read(5), 0.0);
    state.apply(read(7), 0.0);
    assert_eq!(state.tuning.base.as_ref().map(|base| base.name.as_str()), Some("Glaze 7"));
    // A page that is opened in this mode looks for one by itself.
    let mut state = PageState::new(RunConfig::fine_tuning(NewData::Yours), DeviceChoice::Auto);
    for event in ready_events() {
        state.apply(event, 0.0);
    }
    let shelf = Shelf { models: vec![ModelCard { deleted: Some(1.0), ..card(9) }, card(8)], ..Shelf::default() };
    let requests = state.apply(Event::Shelf(shelf), 0.0);
    assert_eq!(requests, [Request::Send(Command::ReadModel { id: ModelId(8) })]);
}

async fn shown() -> Mounted {
    let page = mount(read([]));
    page.tell(ready_events()).await;
    page.tell([Event::Digits(Box::default())]).await;
    page
}

/// Puts a drawing on the pad as the pen does, by keys: a short stroke.
async fn draw(page: &Mounted) {
    let pad = page.get("pad");
    for pressed in [" ", "ArrowDown", "ArrowDown", "ArrowDown", "ArrowDown", "ArrowDown", " "] {
        key(&pad, pressed);
    }
    frames().await;
}

#[wasm_bindgen_test]
async fn keys_under_the_bars_label_the_drawing_and_the_gallery_shows_it() {
    let page = shown().await;
    assert!(page.get("your-digits").unchecked_ref::<HtmlElement>().hidden());
    assert_eq!(page.get("label-4").get_attribute("aria-disabled").as_deref(), Some("true"));
    draw(&page).await;
    page.click("label-4").await;
    assert_eq!(page.get("your-digits").get_attribute("data-count").as_deref(), Some("1"));
    assert!(page.text("label-line").contains("Kept as a 4"), "{}", page.text("label-line"));
    let kept = page.commands_but_predict();
    assert!(matches!(&kept[..], [Command::KeepDigits(kept)] if kept.digits[0].label == 4), "{kept:?}");
    // The number key says the same as the key under the bar.
    key(&document().body().unwrap(), "7");
    frames().await;
    assert_eq!(page.get("sample-1").get_attribute("aria-label").as_deref(), Some("a 7"));
    page.click("label-undo").await;
    page.click("label-undo").await;
    assert_eq!(page.get("your-digits").get_attribute("data-count").as_deref(), Some("0"));
}

#[wasm_bindgen_test]
async fn a_sample_of_the_gallery_can_be_relabelled_and_removed_by_mouse_and_keys() {
    let page = shown().await;
    draw(&page).await;
    page.click("label-4").await;
    page.click("sample-1").await;
    page.click("relabel-6").await;
    assert_eq!(page.get("sample-1").get_attribute("aria-label").as_deref(), Some("a 6"));
    key(&page.get("sample-1"), "2");
    frames().await;
    assert_eq!(page.get("sample-1").get_attribute("aria-label").as_deref(), Some("a 2"));
    key(&page.get("sample-1"), "Delete");
    frames().await;
    assert!(page.find("sample-1").is_none() && page.find("sample-chosen").is_none());
}

#[wasm_bindgen_test]
async fn teaching_shows_its_sentence_its_locks_and_what_is_missing() {
    let page = shown().await;
    page.click("train").await;
    page.tell(trained()).await;
    assert_eq!(page.buttons(), "teach train export");
    page.click("teach").await;
    assert_eq!(page.state().0, "ready");
    assert_eq!(page.get("mode-finetune").get_attribute("aria-pressed").as_deref(), Some("true"));
    assert!(page.text("status").contains("teach it your hand"), "{}", page.text("status"));
    assert!(page.text("finetune-start").contains("99.21%"));
    assert!(page.text("finetune-freeze").contains("convolutions frozen"));
    assert!(page.text("finetune-data").contains("0 of your digits"));
    assert_eq!(page.buttons(), "train*");
    assert!(page.text("pad-title").contains("Draw a 0"));
    let frozen = |layer: &str| page.get(&format!("freeze-{layer}")).get_attribute("data-frozen").unwrap();
    assert_eq!(
        [frozen("conv1"), frozen("conv4"), frozen("dense1"), frozen("dense2")],
        ["true", "true", "false", "false"]
    );
    page.click("finetune-freeze").await;
    page.click("freeze-way-last").await;
    assert_eq!([frozen("conv1"), frozen("dense1"), frozen("dense2")], ["true", "true", "false"]);
    // Named classes have a field, and what is no name is not taken.
    page.click("finetune-data").await;
    page.click("data-classes").await;
    set(&page, "class-names", "sun, moon").await;
    assert!(page.text("finetune-data").contains("2 new classes"), "{}", page.text("finetune-data"));
    assert!(page.find("label-1").is_some() && page.find("label-2").is_none());
    let field = page.get("class-names").unchecked_into::<HtmlInputElement>();
    assert_eq!(field.value(), "sun, moon");
}

#[wasm_bindgen_test]
async fn before_and_after_tell_counts_percentages_and_what_is_left_out() {
    let page = shown().await;
    page.click("train").await;
    page.tell(trained()).await;
    for label in ["label-2", "label-5", "label-8"] {
        draw(&page).await;
        page.click(label).await;
        page.click("pad-clear").await;
    }
    page.click("teach").await;
    page.click("finetune-fewer").await;
    page.commands();
    page.click("train").await;
    let commands = page.commands_but_predict();
    let [Command::Start { config, .. }] = &commands[..] else { panic!("{commands:?}") };
    page.tell(tuned(2, config, vec![1, 2, 3])).await;
    assert!(page.text("status").contains("from 1 to 2 of 3"), "{}", page.text("status"));
    assert!(page.text("status").contains("forgot 1 of MNIST's 9"), "{}", page.text("status"));
    assert!(page.text("compare-new-before").contains("1 of 3, 33.33%"), "{}", page.text("compare-new-before"));
    assert!(page.text("compare-new-after").contains("2 of 3, 66.67%"));
    assert!(page.text("compare-old-before").contains("9 of 9, 100.00%"));
    assert!(page.text("compare-old-after").contains("8 of 9, 88.89%"));
    assert!(
        page.text("comparison").contains("9 of 10: 1 that it trained on are left out"),
        "{}",
        page.text("comparison")
    );
    assert!(page.text("comparison-caveat").contains("may be luck"));
    assert_eq!(page.buttons(), "keep-model train export");
    page.click("see-forgotten").await;
    let asked = page.commands_but_predict();
    assert!(matches!(&asked[..], [Command::Images { indices, .. }] if indices == &[2]), "{asked:?}");
    page.click("keep-model").await;
    let kept = page.commands_but_predict();
    assert!(matches!(&kept[..], [Command::KeepModel { run: RunId(2), name: Some(_) }]), "{kept:?}");
    page.click("keep-everything").await;
    let second = page.commands_but_predict();
    assert!(
        matches!(&second[..], [Command::Start { config, .. }]
        if config.finetune.as_ref().unwrap().trainable == Trainable::Everything),
        "{second:?}"
    );
}
