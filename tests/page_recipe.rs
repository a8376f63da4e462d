//! The recipe in a real browser: the address, the sheet's fields, the network's editor, and augmentation with its
//! preview.

#![cfg(target_arch = "wasm32")]

mod mounted;

use kiln::data::PIXELS;
use kiln::data::augment::{Amount, Augmentation, Change};
use kiln::model::{Convolution, NetworkConfig, NetworkError, Padding, summarize};
use kiln::page::settings::layers::{self, Repair, repair};
use kiln::page::settings::{Bounds, Field, Note, read, write};
use kiln::page::state::DeviceChoice;
use kiln::protocol::{Command, Event, RunId};
use kiln::training::RunConfig;
use kiln::training::config::{Optimizer, Schedule};
use mounted::{Mounted, frames, mount, ready_events, set};
use serde_bytes::ByteBuf;
use wasm_bindgen::JsCast;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};
use web_sys::{HtmlCanvasElement, HtmlElement, HtmlInputElement};

wasm_bindgen_test_configure!(run_in_browser);

fn from_address(pairs: &[(&str, &str)]) -> (RunConfig, Vec<Note>) {
    let settings = read(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    (settings.config, settings.notes)
}

fn round_trip(config: &RunConfig) {
    let written = write(config, DeviceChoice::Auto, None);
    let pairs: Vec<_> = written.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(from_address(&pairs), (config.clone(), Vec::new()), "{written:?}");
}

#[wasm_bindgen_test]
fn every_setting_survives_the_address() {
    round_trip(&RunConfig::default());
    assert_eq!(write(&RunConfig::default(), DeviceChoice::Auto, None), []);
    for augmentation in [
        Augmentation::GENTLE,
        Augmentation::ROBUST,
        Augmentation { rotation: Amount::new(15.0, 0.5), noise: Amount::new(0.06, 1.0), ..Augmentation::NONE },
        Augmentation { rotation: Amount::OFF, ..Augmentation::ROBUST },
    ] {
        for (optimizer, schedule) in [
            (Optimizer::AdamW, Schedule::Cosine),
            (Optimizer::Sgd, Schedule::Step),
            (Optimizer::RmsProp, Schedule::Constant),
        ] {
            let mut config = RunConfig {
                epochs: 3,
                batch_size: 32,
                learning_rate: 0.0025,
                train_size: 640,
                seed: 7,
                optimizer,
                momentum: 0.8,
                schedule,
                decay_every: 2,
                decay_factor: 0.25,
                warm_up: 0.5,
                weight_decay: 0.01,
                clip_norm: 1.5,
                label_smoothing: 0.1,
                patience: 4,
                augmentation,
                ..RunConfig::default()
            };
            config.network.convolutions[1] =
                Convolution { filters: 48, kernel: 5, padding: Padding::Valid, pool: false };
            config.network.dense = vec![64, 32];
            (config.network.batch_norm, config.network.dropout) = (true, 0.25);
            round_trip(&config);
        }
    }
}

#[wasm_bindgen_test]
fn a_mixture_has_a_name_and_single_changes_lie_on_top_of_it_wherever_they_stand() {
    let config = RunConfig { augmentation: Augmentation::ROBUST, ..RunConfig::default() };
    assert_eq!(write(&config, DeviceChoice::Auto, None), [("augment", "robust".to_owned())]);
    let (config, notes) = from_address(&[("augment-rotation", "30:1"), ("augment", "gentle")]);
    assert_eq!(notes, []);
    assert_eq!(config.augmentation, Augmentation { rotation: Amount::new(30.0, 1.0), ..Augmentation::GENTLE });
    let (config, _) = from_address(&[("augment-noise", "0.1")]);
    assert_eq!(config.augmentation.noise, Amount::new(0.1, 0.5), "half of the images where nothing else is said");
}

#[wasm_bindgen_test]
fn what_can_not_be_in_the_address_is_left_at_its_default_and_named() {
    let wrong = [
        ("optimizer", "adagrad"),
        ("momentum", "1"),
        ("schedule", "random"),
        ("decay-every", "0"),
        ("decay-factor", "2"),
        ("warm-up", "-1"),
        ("patience", "1.5"),
        ("weight-decay", "NaN"),
        ("clip", "inf"),
        ("label-smoothing", "0.9"),
        ("augment", "heavy"),
        ("augment-rotation", "90:0.5"),
        ("augment-flip", "1:2"),
        ("augment-scale", "0.1:"),
        ("network", "32p-0p.64"),
        ("network", "32k4.64"),
        ("network", "32.2048"),
        ("network", "1-1-1-1-1-1-1-1-1."),
        ("network", "+8."),
        ("network", "-."),
        ("augment-colour", "1"),
    ];
    for (name, value) in wrong {
        let (config, notes) = from_address(&[(name, value)]);
        assert_eq!(config, RunConfig::default(), "{name}={value}");
        let named = match &notes[..] {
            [Note::Invalid { name, .. } | Note::Unknown { name }] => name.as_str(),
            notes => panic!("{name}={value}: {notes:?}"),
        };
        assert_eq!(named, name);
    }
}

#[wasm_bindgen_test]
fn layers_are_one_word() {
    assert_eq!(layers::write(&NetworkConfig::default()), "32p-64p-64p-64.64");
    let (convolutions, dense) = layers::read("16k5vp-32.128-64").unwrap();
    assert_eq!(convolutions[0], Convolution { filters: 16, kernel: 5, padding: Padding::Valid, pool: true });
    assert_eq!((convolutions[1], dense), (Convolution::new(32, false), vec![128, 64]));
    assert_eq!(layers::read(".32"), Some((Vec::new(), vec![32])), "dense layers alone");
    assert_eq!(layers::read("8p"), Some((vec![Convolution::new(8, true)], Vec::new())));
}

/// Four unpadded convolutions and four pools.
fn unpadded() -> NetworkConfig {
    let block = Convolution { padding: Padding::Valid, ..Convolution::new(32, true) };
    NetworkConfig { convolutions: vec![block; 4], ..NetworkConfig::default() }
}

#[wasm_bindgen_test]
fn a_network_that_does_not_fit_has_the_least_way_on() {
    let error = summarize(&unpadded()).unwrap_err();
    assert_eq!(error, NetworkError::Kernel { layer: 4, kernel: 3, side: 1 });
    let (way, network) = repair(&unpadded(), &error).unwrap();
    assert_eq!(way, Repair::SamePadding);
    assert!(summarize(&network).is_ok());
    let five = NetworkConfig { convolutions: vec![Convolution::new(8, true); 5], ..NetworkConfig::default() };
    let error = summarize(&five).unwrap_err();
    assert_eq!(error, NetworkError::Pool { layer: 5, side: 1 });
    assert_eq!(repair(&five, &error).unwrap().0, Repair::NoPool(5), "padding was there already");
}

#[wasm_bindgen_test]
async fn the_sheet_sets_what_the_next_run_is_started_with() {
    let page = Mounted::ready().await;
    page.commands();
    for (testid, value) in [
        ("setting-optimizer", "adamw"),
        ("setting-schedule", "cosine"),
        ("setting-warm-up", "1"),
        ("setting-weight-decay", "0.01"),
        ("setting-clip", "5"),
        ("setting-label-smoothing", "0.1"),
        ("setting-patience", "3"),
    ] {
        set(&page, testid, value).await;
    }
    page.click("augment-robust").await;
    assert!(page.text("recipe-optimizer").contains("AdamW"));
    assert!(page.get("recipe-optimizer").class_list().contains("changed"), "the word has its dot");
    assert!(!page.get("recipe-epochs").class_list().contains("changed"));
    assert_eq!(page.text("recipe-changes"), "8 changes");
    for (group, words) in [
        ("group-augmentation", "robust"),
        ("group-schedule", "cosine, warm-up 1, stops after 3"),
        ("group-regularisation", "weight decay 0.01, gradient clipping 5, label smoothing 0.1"),
    ] {
        assert!(page.text(group).contains(words), "{group}: {}", page.text(group));
    }
    page.click("train").await;
    let expected = RunConfig {
        optimizer: Optimizer::AdamW,
        schedule: Schedule::Cosine,
        warm_up: 1.0,
        weight_decay: 0.01,
        clip_norm: 5.0,
        label_smoothing: 0.1,
        patience: 3,
        augmentation: Augmentation::ROBUST,
        ..RunConfig::default()
    };
    let commands = page.commands_but_predict();
    assert!(matches!(&commands[..], [Command::Start { config, .. }] if *config == expected), "{commands:?}");
    page.click("recipe-reset").await;
    assert_eq!(page.text("recipe-changes"), "All at their defaults");
}

#[wasm_bindgen_test]
async fn a_changed_field_goes_back_to_its_default_by_its_link() {
    let page = Mounted::ready().await;
    assert!(page.find("reset-optimizer").is_none());
    set(&page, "setting-optimizer", "sgd").await;
    assert_eq!(page.text("reset-optimizer"), "Adam");
    assert!(page.get("setting-momentum").closest("[hidden]").unwrap().is_none(), "momentum has a meaning now");
    page.click("reset-optimizer").await;
    assert!(page.text("recipe-optimizer").contains("Adam"));
    assert!(page.get("setting-momentum").closest("[hidden]").unwrap().is_some());
}

#[wasm_bindgen_test]
async fn a_word_opens_its_fields_and_the_optimizer_is_one() {
    let page = Mounted::ready().await;
    page.click("recipe-optimizer").await;
    set(&page, "word-optimizer", "rmsprop").await;
    assert!(page.text("recipe-optimizer").contains("RMSprop"));
    page.click("recipe-network").await;
    assert!(page.find("word-optimizer").is_none(), "one popover at a time");
    page.click("recipe-more").await;
    assert!(page.get("group-network").has_attribute("open"), "from the word to the layers");
    page.click("recipe-close").await;
}

#[wasm_bindgen_test]
async fn the_learning_rate_is_drawn_over_the_run_before_it_begins() {
    let page = Mounted::ready().await;
    let path = || page.get("schedule-plot").query_selector("path").unwrap().unwrap().get_attribute("d").unwrap();
    let constant = path();
    assert!(constant.starts_with("M0.00 0.00") && constant.ends_with("L100.00 0.00"), "{constant}");
    set(&page, "setting-schedule", "cosine").await;
    let cosine = path();
    assert!(cosine.starts_with("M0.00 0.00L"), "{cosine}");
    let end: f64 = cosine.rsplit(' ').next().unwrap().parse().unwrap();
    assert!(end > 99.9, "it ends at nothing: {cosine}");
    set(&page, "setting-warm-up", "2").await;
    assert!(path().starts_with("M0.00 9"), "it begins low: {}", path());
    let words = page.get("schedule-plot").get_attribute("aria-label").unwrap();
    assert!(words.contains("10 epochs") && words.contains("at most 0.001"), "{words}");
}

#[wasm_bindgen_test]
async fn a_network_that_does_not_fit_says_so_at_its_layer_and_can_not_be_trained() {
    let page = Mounted::ready().await;
    for layer in 1..=3 {
        set(&page, &format!("conv-{layer}-padding"), "valid").await;
        assert!(page.find("network-error").is_none() && page.buttons() == "train step", "28 → 13 → 5 → 1");
    }
    set(&page, "conv-4-padding", "valid").await;
    let error = page.get("network-error");
    assert!(error.text_content().unwrap().contains("Layer 4 doesn't fit: a 3×3 kernel on 1×1 pixels."));
    let row = error.closest("li").unwrap().unwrap();
    assert!(row.contains(Some(&page.get("conv-4-padding"))), "at the field");
    assert!(page.text("recipe-error").contains("Layer 4"), "and under the sentence");
    assert_eq!(page.buttons(), "train*");
    page.commands();
    page.click("train").await;
    assert_eq!(page.commands_but_predict(), []);
    assert!(page.text("network-error-repair").contains("same"));
    page.click("network-error-repair").await;
    assert!(page.find("network-error").is_none() && page.find("recipe-error").is_none());
    assert_eq!(page.buttons(), "train step");
}

#[wasm_bindgen_test]
async fn the_editor_changes_the_network() {
    let page = Mounted::ready().await;
    set(&page, "conv-1-filters", "8").await;
    set(&page, "conv-1-kernel", "5").await;
    assert!(page.text("conv-1-output").contains("8 × 14×14 · 208"), "{}", page.text("conv-1-output"));
    page.click("conv-4-pool").await;
    assert!(page.text("conv-4-output").contains("64 × 1×1"));
    page.click("conv-2-up").await;
    page.click("network-add-convolution").await;
    page.click("conv-3-remove").await;
    set(&page, "dense-1-width", "32").await;
    page.click("network-add-dense").await;
    assert!(page.find("conv-5-filters").is_none() && page.find("dense-2-width").is_some());
    page.commands();
    page.click("train").await;
    let commands = page.commands_but_predict();
    let [Command::Start { config, .. }] = &commands[..] else { panic!("{commands:?}") };
    assert_eq!(layers::write(&config.network), "64p-8k5p-64p-64.32-64");
    assert_eq!(page.text("recipe-network").trim(), format!("a network of {} parameters", page.text("summary-total")));
    set(&page, "conv-1-filters", "0").await;
    assert_eq!(page.get("conv-1-filters").get_attribute("aria-invalid").as_deref(), Some("true"));
    page.click("reset-network").await;
    assert_eq!(page.text("summary-total"), "130,250");
}

/// Opens the sheet and its augmentation.
async fn look_at_augmentation(page: &Mounted) {
    page.click("recipe-open").await;
    let summary = page.get("group-augmentation").query_selector("summary").unwrap().unwrap();
    summary.unchecked_into::<HtmlElement>().click();
    frames().await;
}

fn previews(commands: &[Command]) -> Vec<(u32, Augmentation)> {
    let preview = |command: &Command| match command {
        Command::PreviewAugmentation { id, augmentation, .. } => Some((*id, *augmentation)),
        _ => None,
    };
    commands.iter().filter_map(preview).collect()
}

fn answer(id: u32, ink: u8) -> Event {
    Event::AugmentationPreview { id, pixels: ByteBuf::from(vec![ink; 12 * PIXELS]) }
}

fn tile(page: &Mounted) -> HtmlCanvasElement {
    page.get("augment-preview").query_selector("canvas").unwrap().unwrap().unchecked_into()
}

#[wasm_bindgen_test]
async fn the_preview_follows_the_sliders_while_somebody_looks() {
    let page = Mounted::ready().await;
    assert_eq!(previews(&page.commands()), [], "nobody looks");
    look_at_augmentation(&page).await;
    assert_eq!(previews(&page.commands()), [(1, Augmentation::NONE)]);
    assert!(page.text("augment-preview").contains("first digits"), "in words until there is something to see");
    page.tell([answer(1, 0)]).await;
    let before = tile(&page).to_data_url().unwrap();
    assert_eq!(tile(&page).width(), 28);
    set(&page, "augment-rotation", "20").await;
    set(&page, "augment-rotation", "30").await;
    let asked = previews(&page.commands());
    let turned = |strength| Augmentation { rotation: Amount::new(strength, 0.5), ..Augmentation::NONE };
    assert_eq!(asked, [(2, turned(20.0))], "one request at a time");
    page.tell([answer(2, 90)]).await;
    assert_ne!(tile(&page).to_data_url().unwrap(), before);
    assert_eq!(previews(&page.commands()), [(3, turned(30.0))], "the latest follows, what lay between is left out");
    page.tell([answer(2, 10), answer(3, 200)]).await;
    assert_eq!(page.get("augment-preview").get_attribute("data-version").as_deref(), Some("3"));
    page.click("augment-again").await;
    assert!(matches!(page.commands()[..], [Command::PreviewAugmentation { seed: 43, .. }]), "another luck");
    page.click("recipe-close").await;
    page.click("recipe-reset").await;
    assert_eq!(previews(&page.commands()), []);
}

#[wasm_bindgen_test]
async fn a_new_engine_is_asked_for_the_preview_again() {
    let page = mount(read([]));
    look_at_augmentation(&page).await;
    assert_eq!(previews(&page.commands()), [], "no engine yet");
    page.tell(ready_events()).await;
    assert_eq!(previews(&page.commands()).len(), 1);
    page.tell(ready_events()).await;
    assert_eq!(previews(&page.commands()).len(), 1, "the first never answered");
}

#[wasm_bindgen_test]
async fn sliders_say_their_values_and_a_flip_warns() {
    let page = Mounted::ready().await;
    for change in Change::ALL {
        let slider = page.get(&format!("augment-{}", change.name())).unchecked_into::<HtmlInputElement>();
        assert_eq!((slider.type_().as_str(), slider.value().as_str()), ("range", "0"), "{change:?}");
        assert_eq!(slider.get_attribute("aria-valuetext").as_deref(), Some("off"));
        let label = page.root.query_selector(&format!("label[for={}]", slider.id())).unwrap();
        assert!(label.is_some_and(|label| !label.text_content().unwrap().is_empty()), "{change:?} has a label");
    }
    set(&page, "augment-rotation", "15").await;
    set(&page, "augment-rotation-often", "0.7").await;
    let says = |testid: &str| page.get(testid).get_attribute("aria-valuetext").unwrap();
    assert_eq!(says("augment-rotation"), "up to 15° either way");
    assert_eq!(says("augment-rotation-often"), "70% of digits");
    set(&page, "augment-flip", "0.5").await;
    assert!(page.text("group-augmentation").contains("a mirrored 2 is not a 2"));
    page.commands();
    page.click("train").await;
    let commands = page.commands_but_predict();
    let [Command::Start { config, .. }] = &commands[..] else { panic!("{commands:?}") };
    assert_eq!(
        (config.augmentation.rotation, config.augmentation.flip),
        (Amount::new(15.0, 0.7), Amount::new(1.0, 0.5))
    );
    page.click("augment-none").await;
    assert_eq!(says("augment-rotation"), "off");
}

#[wasm_bindgen_test]
async fn the_learning_rate_is_changed_from_the_next_batch_on_when_paused_too() {
    let page = Mounted::training().await;
    page.commands();
    set(&page, "setting-learning-rate", "0.002").await;
    page.click("pause").await;
    page.tell([Event::Paused { run: RunId(1), step: 3 }]).await;
    assert!(page.get("recipe").text_content().unwrap().contains("from the next batch on"));
    page.click("recipe-learning-rate").await;
    set(&page, "word-learning-rate", "0.003").await;
    let rates = [0.002, 0.003].map(|learning_rate| Command::SetLearningRate { run: RunId(1), learning_rate });
    let sent: Vec<_> =
        page.commands_but_predict().into_iter().filter(|c| matches!(c, Command::SetLearningRate { .. })).collect();
    assert_eq!(sent, rates);
    set(&page, "setting-optimizer", "sgd").await;
    assert_eq!(page.commands_but_predict(), [], "the rest waits for the next run");
    assert!(page.text("recipe-changes").contains("from the next run on"));
}

#[wasm_bindgen_test]
async fn a_run_that_ended_early_says_why_and_counts_its_own_epochs() {
    let page = mount(read([("patience".to_owned(), "2".to_owned())]));
    page.tell(ready_events()).await;
    page.click("train").await;
    let run = RunId(1);
    page.tell([Event::Started { run }, mounted::steps(1, 1..=429 * 3)]).await;
    let finished = Event::Finished { run, step: 429 * 3, stopped: false, early: true, best_epoch: Some(1), test: None };
    page.tell([finished]).await;
    let said = page.text("progress");
    assert!(said.contains("Ended early: 2 epochs without a gain") && said.contains("3 epochs in"), "{said}");
}

#[wasm_bindgen_test]
fn bounds_are_told() {
    let mut config = RunConfig::default();
    assert_eq!(Field::Patience.set(&mut config, "101"), Err(Bounds::Range("0".into(), "100".into())));
    assert_eq!(Field::Schedule.set(&mut config, ""), Err(Bounds::OneOf(&["constant", "step", "cosine"])));
    assert_eq!(config, RunConfig::default());
}
