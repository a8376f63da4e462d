//! Tuning on the page: the form, the table, and the page around them while a sweep runs.

#![cfg(target_arch = "wasm32")]

mod mounted;

use kiln::page::browser::{document, window};
use kiln::page::state::sweep::{Column, Form, SweepAction, Wrong, order};
use kiln::page::state::{Action, DeviceChoice, PageState, Phase};
use kiln::protocol::{Command, Event, Failure, RunId};
use kiln::training::sweep::{Search, Setting, SweepConfig, SweepError, Trial, TrialState};
use kiln::training::{RunConfig, Score};
use mounted::{Mounted, ready_events, set, steps};
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};
use web_sys::Element;

wasm_bindgen_test_configure!(run_in_browser);

fn score(correct: u32) -> Score {
    Score { loss: 0.1, correct, total: 5000 }
}

fn trial(values: &[f64], correct: Option<u32>, epochs: u32, state: TrialState) -> Trial {
    let seconds = f64::from(epochs) * 7.0;
    Trial { values: values.to_vec(), best: correct.map(score), epochs, seconds, state }
}

/// Four runs over learning rate and batch size: done, pruned, running, waiting.
fn trials() -> Vec<Trial> {
    vec![
        trial(&[0.003, 128.0], Some(4800), 2, TrialState::Done),
        trial(&[0.0003, 64.0], Some(4300), 1, TrialState::Pruned),
        trial(&[0.001, 256.0], Some(4900), 1, TrialState::Running),
        trial(&[0.01, 64.0], None, 0, TrialState::Waiting),
    ]
}

fn ended() -> Vec<Trial> {
    let mut trials = trials();
    trials[2] = trial(&[0.001, 256.0], Some(4950), 2, TrialState::Done);
    trials[3] = trial(&[0.01, 64.0], None, 0, TrialState::Diverged);
    trials
}

fn told(run: u32, trials: Vec<Trial>) -> Event {
    Event::Sweep { run: RunId(run), trials }
}

async fn sweeping() -> Mounted {
    let page = Mounted::ready().await;
    page.commands();
    page.click("sweep-start").await;
    page
}

fn rows(page: &Mounted) -> Vec<Element> {
    let rows = page.get("sweep").query_selector_all("tbody tr").unwrap();
    (0..rows.length()).map(|at| wasm_bindgen::JsCast::unchecked_into(rows.get(at).unwrap())).collect()
}

/// The numbers of the runs, from the top.
fn numbers(page: &Mounted) -> Vec<String> {
    rows(page).iter().map(|row| row.query_selector("th").unwrap().unwrap().text_content().unwrap()).collect()
}

fn text(row: &Element) -> String {
    row.text_content().unwrap()
}

#[wasm_bindgen_test]
async fn the_form_says_what_it_will_do_and_starts_that() {
    let page = Mounted::ready().await;
    page.commands();
    assert!(page.text("sweep-plan").contains("8 runs of 2 epochs each"), "{}", page.text("sweep-plan"));
    page.click("sweep-grid").await;
    set(&page, "sweep-learning-rate", "0.001, 0.01").await;
    set(&page, "sweep-batch-size", "").await;
    set(&page, "sweep-dropout", "0, 0.3").await;
    set(&page, "sweep-runs", "4").await;
    set(&page, "sweep-epochs", "1").await;
    set(&page, "sweep-seed", "9").await;
    assert!(page.text("sweep-plan").contains("4 runs of 1 epoch each"), "{}", page.text("sweep-plan"));
    page.click("sweep-start").await;
    let commands = page.commands_but_predict();
    let [Command::Sweep { run: RunId(1), config }] = &commands[..] else { panic!("{commands:?}") };
    let SweepConfig { base, axes, search, runs, epochs, seed } = &**config;
    assert_eq!((base, *search, *runs, *epochs, *seed), (&RunConfig::default(), Search::Grid, 4, 1, 9));
    let axes: Vec<(Setting, &[f64])> = axes.iter().map(|axis| (axis.setting, &axis.values[..])).collect();
    assert_eq!(axes, [(Setting::LearningRate, &[0.001, 0.01][..]), (Setting::Dropout, &[0.0, 0.3][..])]);
}

#[wasm_bindgen_test]
async fn a_form_that_can_not_be_run_says_why_and_starts_nothing() {
    let page = Mounted::ready().await;
    page.commands();
    for (field, value, word) in [
        ("sweep-learning-rate", "0.001, fast", "“fast” is no number"),
        ("sweep-learning-rate", "3", "can't be 3"),
        ("sweep-batch-size", "32.5", "whole numbers from 1 to 1024"),
        ("sweep-weight-decay", "0, 0.1", "above 0"),
        ("sweep-runs", "0", "from 1 to 100"),
        ("sweep-epochs", "many", "from 1 to 100"),
        ("sweep-seed", "-1", "whole number"),
    ] {
        let before = page.get(field).unchecked_into_input().value();
        set(&page, field, value).await;
        assert!(page.text("sweep-plan").contains(word), "{field}: {}", page.text("sweep-plan"));
        assert!(page.get("sweep-start").has_attribute("disabled"), "{field}");
        set(&page, field, &before).await;
    }
    assert!(!page.get("sweep-start").has_attribute("disabled"));
    page.click("sweep-grid").await;
    set(&page, "sweep-runs", "5").await;
    assert!(page.text("sweep-plan").contains("6 combinations, and there are 5 runs"), "{}", page.text("sweep-plan"));
    for field in ["sweep-learning-rate", "sweep-batch-size"] {
        set(&page, field, " ").await;
    }
    assert!(page.text("sweep-plan").contains("at least one setting"), "{}", page.text("sweep-plan"));
    page.click("sweep-start").await;
    assert_eq!(page.commands_but_predict(), []);
}

trait Input {
    fn unchecked_into_input(self) -> web_sys::HtmlInputElement;
}

impl Input for Element {
    fn unchecked_into_input(self) -> web_sys::HtmlInputElement {
        wasm_bindgen::JsCast::unchecked_into(self)
    }
}

#[wasm_bindgen_test]
async fn while_it_runs_the_page_says_so_and_shows_each_run() {
    let page = sweeping().await;
    assert_eq!(page.state(), ("training".into(), "sweep".into()));
    page.tell([told(1, trials()), steps(1, 1..=3)]).await;
    assert_eq!(page.buttons(), "sweep-stop");
    assert_eq!(page.get("sweep").get_attribute("data-runs").as_deref(), Some("2"), "two have run");
    assert_eq!(numbers(&page), ["1", "2", "3", "4"]);
    let rows = rows(&page);
    for (row, words) in rows.iter().zip([
        &["0.003", "128", "4,800 of 5,000", "96.0%", "2 of 2", "14 s", "done"][..],
        &["0.0003", "64", "86.0%", "1 of 2", "7 s", "pruned"],
        &["0.001", "98.0%", "running", "best"],
        &["0.01", "0 of 2", "waiting"],
    ]) {
        for word in words {
            assert!(text(row).contains(word), "{word}: {}", text(row));
        }
    }
    assert!(rows[1].class_list().contains("pale") && !rows[0].class_list().contains("pale"));
    assert!(rows[2].class_list().contains("best"));
    assert!(page.text("status").contains("98.0%"), "{}", page.text("status"));
    assert!(page.text("progress").contains("run 3 of 4"), "{}", page.text("progress"));
    assert_eq!(page.points(), ["0", "0"], "the charts are for the user's own run");
    page.click("language").await;
    assert!(page.text("status").contains("正在调参") && text(&rows[1]).contains("已剪除"));
    page.click("language").await;
}

#[wasm_bindgen_test]
async fn a_stop_is_asked_for_and_what_was_measured_stays() {
    let page = sweeping().await;
    page.tell([told(1, trials())]).await;
    page.commands();
    page.click("sweep-stop").await;
    assert_eq!(page.commands_but_predict(), [Command::StopSweep { run: RunId(1) }]);
    let mut stopped = trials();
    stopped.iter_mut().for_each(Trial::give_up);
    page.tell([told(1, stopped)]).await;
    assert_eq!(page.state(), ("finished".into(), "sweep".into()));
    assert_eq!(page.get("sweep").get_attribute("data-runs").as_deref(), Some("3"));
    assert!(text(&rows(&page)[2]).contains("stopped") && text(&rows(&page)[3]).contains("not run"));
    assert_eq!(page.buttons(), "sweep-best train");
}

#[wasm_bindgen_test]
async fn a_sweep_stopped_before_anything_was_measured_leaves_the_page_as_it_was() {
    let page = sweeping().await;
    let mut none = vec![trial(&[0.1], None, 0, TrialState::Running)];
    page.tell([told(1, none.clone())]).await;
    none[0].give_up();
    page.tell([told(1, none)]).await;
    assert_eq!(page.state().0, "ready");
    assert_eq!(page.buttons(), "train step");
}

#[wasm_bindgen_test]
async fn the_best_opens_as_an_ordinary_run() {
    let page = sweeping().await;
    page.tell([told(1, ended())]).await;
    assert_eq!(page.state(), ("finished".into(), "sweep".into()));
    page.commands();
    page.click("sweep-best").await;
    assert_eq!(page.state().0, "ready");
    assert!(page.text("recipe-learning-rate").contains("0.001") && page.text("recipe-batch").contains("256"));
    assert!(window().location().search().unwrap().contains("batch-size=256"));
    assert!(rows(&page)[2].class_list().contains("on"));
    page.click("train").await;
    let commands = page.commands_but_predict();
    let [Command::Start { run: RunId(2), config, .. }] = &commands[..] else { panic!("{commands:?}") };
    assert_eq!(config, &RunConfig { batch_size: 256, ..RunConfig::default() }, "at full length");
    page.click("recipe-reset").await;
}

#[wasm_bindgen_test]
async fn any_run_opens_by_a_click_on_its_row() {
    let page = sweeping().await;
    page.tell([told(1, ended())]).await;
    wasm_bindgen::JsCast::unchecked_ref::<web_sys::HtmlElement>(&rows(&page)[1]).click();
    mounted::frames().await;
    assert!(page.text("recipe-learning-rate").contains("0.0003"));
    let button = document().active_element().and_then(|focus| focus.get_attribute("data-testid"));
    assert_eq!(button.as_deref(), Some("train"), "ready to train");
    assert!(page.text("announcer").contains("settings of run 2"), "{}", page.text("announcer"));
    page.click("recipe-reset").await;
}

#[wasm_bindgen_test]
async fn columns_sort_both_ways_and_say_so() {
    let page = sweeping().await;
    page.tell([told(1, trials())]).await;
    let sort = |testid: &str| page.get(testid).parent_element().unwrap().get_attribute("aria-sort").unwrap();
    assert_eq!([sort("sweep-sort-run"), sort("sweep-sort-score")], ["ascending", "none"]);
    page.click("sweep-sort-score").await;
    assert_eq!(numbers(&page), ["3", "1", "2", "4"], "the best first, one without a score last");
    assert_eq!([sort("sweep-sort-run"), sort("sweep-sort-score")], ["none", "descending"]);
    page.click("sweep-sort-score").await;
    assert_eq!(numbers(&page), ["2", "1", "3", "4"]);
    assert_eq!(sort("sweep-sort-score"), "ascending");
    page.click("sweep-sort-learning-rate").await;
    assert_eq!(numbers(&page), ["2", "3", "1", "4"]);
    page.tell([told(1, ended())]).await;
    assert_eq!(numbers(&page), ["2", "3", "1", "4"], "and it stays sorted");
}

#[wasm_bindgen_test]
async fn the_users_own_run_is_there_again_after_a_sweep() {
    let page = Mounted::training().await;
    let test = Some(Score { loss: 0.1, correct: 9900, total: 10_000 });
    let finished =
        Event::Finished { run: RunId(1), step: 3, stopped: true, early: false, best_epoch: None, test: None };
    page.tell([finished]).await;
    assert_eq!(page.state(), ("finished".into(), "stopped".into()));
    page.click("sweep-start").await;
    page.tell([told(2, trials()), steps(2, 1..=9)]).await;
    assert_eq!(page.points(), ["3", "3"]);
    page.tell([told(2, ended())]).await;
    page.click("sweep-best").await;
    assert_eq!(page.state(), ("finished".into(), "stopped".into()));
    page.commands();
    page.click("test").await;
    assert_eq!(page.commands_but_predict(), [Command::Test { run: RunId(1) }]);
    page.tell([Event::Finished { run: RunId(1), step: 3, stopped: true, early: false, best_epoch: None, test }]).await;
    assert!(page.text("test-accuracy").contains("99.00"));
    page.click("recipe-reset").await;
}

#[wasm_bindgen_test]
fn a_paused_run_is_not_taken_away() {
    let mut state = PageState::new(RunConfig::default(), DeviceChoice::Auto);
    ready_events().into_iter().for_each(|event| drop(state.apply(event, 0.0)));
    assert!(state.can_sweep());
    state.act(Action::Train, 1.0);
    state.apply(Event::Paused { run: RunId(1), step: 4 }, 2.0);
    assert!(!state.can_sweep());
    assert!(state.act(Action::Tune(SweepAction::Start), 3.0).is_empty());
    assert_eq!(state.phase, Phase::Paused);
}

#[wasm_bindgen_test]
fn an_engine_that_ends_in_a_sweep_leaves_its_rows_and_begins_no_run() {
    let mut state = PageState::new(RunConfig::default(), DeviceChoice::Auto);
    ready_events().into_iter().for_each(|event| drop(state.apply(event, 0.0)));
    state.act(Action::Tune(SweepAction::Start), 1.0);
    state.apply(told(1, trials()), 2.0);
    state.apply(Event::Failed { run: None, failure: Failure::WorkerDied { message: "x".into() } }, 3.0);
    let states: Vec<TrialState> = state.sweeps.trials().iter().map(|trial| trial.state).collect();
    assert_eq!(states, [TrialState::Done, TrialState::Pruned, TrialState::Stopped, TrialState::Stopped]);
    let way = state.ways_on()[0];
    assert_eq!(state.act(Action::Recover(way), 4.0).len(), 1);
    for event in ready_events() {
        assert!(state.apply(event, 5.0).is_empty(), "no run begins");
    }
    assert_eq!(state.phase, Phase::Ready);
    assert!(state.apply(told(1, ended()), 6.0).is_empty());
    assert_eq!(state.sweeps.done(), 3, "what an engine that is gone would have told changes nothing");
}

#[wasm_bindgen_test]
fn a_shard_that_fails_in_a_sweep_is_fetched_and_the_sweep_goes_on() {
    let mut state = PageState::new(RunConfig::default(), DeviceChoice::Auto);
    ready_events().into_iter().for_each(|event| drop(state.apply(event, 0.0)));
    state.act(Action::Tune(SweepAction::Start), 1.0);
    state.apply(told(1, trials()), 2.0);
    let failure = Failure::MissingShard { file: "x.bin".into(), what: "HTTP 500".into() };
    state.apply(Event::Failed { run: None, failure }, 3.0);
    let way = state.ways_on()[0];
    state.act(Action::Recover(way), 4.0);
    assert_eq!(state.phase, Phase::Sweeping);
    state.apply(told(1, ended()), 5.0);
    assert_eq!(state.phase, Phase::Swept);
}

#[wasm_bindgen_test]
fn values_may_be_written_with_commas_of_either_script() {
    let values = |text: &str| {
        let values = Setting::ALL.map(|setting| if setting == Setting::Dropout { text.into() } else { String::new() });
        Form { values, ..Form::default() }.config(&RunConfig::default())
    };
    for text in ["0.1, 0.2", "0.1，0.2", " 0.1 0.2 ,", "1e-1、2e-1"] {
        assert_eq!(values(text).unwrap().axes[0].values, [0.1, 0.2], "{text}");
    }
    assert_eq!(values(" , "), Err(Wrong::Sweep(SweepError::NoAxis)));
    assert!(matches!(values("0.1;0.2"), Err(Wrong::NoNumber { setting: Setting::Dropout, .. })));
}

#[wasm_bindgen_test]
fn what_a_trial_has_not_got_comes_last_either_way() {
    let trials = ended();
    assert_eq!(order(&trials, Column::Score, true), [2, 0, 1, 3]);
    assert_eq!(order(&trials, Column::Score, false), [1, 0, 2, 3]);
    assert_eq!(order(&trials, Column::Run, true), [3, 2, 1, 0]);
    assert_eq!(order(&trials, Column::Axis(1), false), [1, 3, 0, 2], "equals in the order of their runs");
    assert_eq!(order(&trials, Column::Axis(1), true), [2, 0, 1, 3]);
}
