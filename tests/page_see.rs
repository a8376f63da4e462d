//! What can be seen of a run, on a mounted page: the mistakes of its test, and what the charts can do.

#![cfg(target_arch = "wasm32")]

mod mounted;

use kiln::data::{PIXELS, Split};
use kiln::page::browser::document;
use kiln::page::plot::{Axis, Measure, Span, round_values, thinned};
use kiln::page::words::Lang;
use kiln::protocol::{Command, Event, RunId};
use kiln::training::config::Optimizer;
use kiln::training::exam::Exam;
use kiln::training::{RunConfig, StepPoint};
use mounted::{Mounted, frames, key, set, steps};
use serde_bytes::ByteBuf;
use wasm_bindgen::JsCast;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};
use web_sys::{Element, HtmlElement, PointerEvent, PointerEventInit};

wasm_bindgen_test_configure!(run_in_browser);

/// 100 images, ten of each digit: three 9s were read as 4, one 2 as 7, one 0 as 6.
fn exam() -> Exam {
    let labels: Vec<u8> = (0..100).map(|index| index % 10).collect();
    let mut read = labels.clone();
    let mut sure = vec![0.9; 100];
    for (index, wrong, how_sure) in [(9, 4, 0.5), (19, 4, 0.995), (29, 4, 0.7), (2, 7, 0.98), (0, 6, 0.6)] {
        (read[index], sure[index]) = (wrong, how_sure);
    }
    Exam { labels: ByteBuf::from(labels), read: ByteBuf::from(read), sure, loss: 0.1, left_out: Vec::new() }
}

/// The test's end, with these images left out by the engine.
fn tested(left_out: Vec<u32>) -> [Event; 2] {
    let exam = Exam { left_out, ..exam() };
    let test = Some(exam.score());
    let run = RunId(1);
    [
        Event::Examined { run, exam: Box::new(exam) },
        Event::Finished { run, step: 4290, stopped: false, early: false, best_epoch: Some(1), test },
    ]
}

async fn finished() -> Mounted {
    let page = Mounted::training().await;
    page.commands();
    page.tell(tested(Vec::new())).await;
    page
}

fn asked_images(page: &Mounted) -> Vec<Vec<u32>> {
    let asked = page.commands().into_iter();
    asked
        .filter_map(|command| match command {
            Command::Images { split, indices, .. } => {
                assert_eq!(split, Split::Test);
                Some(indices)
            }
            _ => None,
        })
        .collect()
}

fn all(page: &Mounted, within: &str) -> Vec<Element> {
    let found = page.get(within).query_selector_all(".shot").unwrap();
    (0..found.length()).map(|at| found.get(at).unwrap().unchecked_into()).collect()
}

fn captions(page: &Mounted, within: &str) -> Vec<String> {
    all(page, within).iter().map(|shot| shot.text_content().unwrap_or_default()).collect()
}

fn active_id() -> String {
    document().active_element().map(|element| element.id()).unwrap_or_default()
}

#[wasm_bindgen_test]
async fn the_mistakes_come_with_the_test_and_the_largest_confusion_is_open() {
    let page = Mounted::training().await;
    assert!(page.find("mistakes").is_none() && page.find("nav-mistakes").is_none());
    page.commands();
    page.tell(tested(Vec::new())).await;
    assert_eq!(page.get("confusion").get_attribute("data-count").as_deref(), Some("5"));
    assert!(page.text("nav-mistakes").contains('5'));
    assert_eq!(page.text("cell-9-4"), "3");
    assert_eq!(page.text("cell-4-9"), "", "a zero is not written");
    assert_eq!(
        captions(&page, "cell-images"),
        ["was 9, read 4>99% sure", "was 9, read 470% sure", "was 9, read 450% sure"]
    );
    assert_eq!(captions(&page, "worst")[..2], ["was 9, read 4>99% sure", "was 2, read 798% sure"]);
    assert_eq!(asked_images(&page), [[0, 2, 9, 19, 29]], "only what is on show is asked for");
}

#[wasm_bindgen_test]
async fn images_that_arrive_are_drawn_and_not_asked_for_again() {
    let page = finished().await;
    let indices = asked_images(&page).remove(0);
    let pixels = ByteBuf::from(vec![255; indices.len() * PIXELS]);
    page.tell([Event::Images { id: 1, indices, pixels }]).await;
    let canvas = all(&page, "cell-images")[0].query_selector("canvas").unwrap().unwrap();
    assert_eq!(canvas.unchecked_into::<web_sys::HtmlCanvasElement>().width(), 28);
    page.click("cell-2-7").await;
    assert_eq!(asked_images(&page), Vec::<Vec<u32>>::new(), "it is among the worst, so it is here");
    page.click("cell-1-1").await;
    assert_eq!(asked_images(&page).concat().len(), 10);
}

#[wasm_bindgen_test]
async fn the_matrix_is_one_tab_stop_whose_arrows_move_and_enter_opens_and_escape_returns() {
    let page = finished().await;
    let stops = page.get("confusion").query_selector_all("button[tabindex='0']").unwrap();
    assert_eq!(stops.length(), 1);
    let cell: HtmlElement = page.get("cell-9-4").unchecked_into();
    cell.focus().unwrap();
    key(&cell, "ArrowUp");
    frames().await;
    key(&page.get("cell-8-4"), "ArrowRight");
    frames().await;
    assert_eq!(active_id(), "confusion-8-5");
    key(&page.get("cell-8-5"), "Home");
    key(&page.get("cell-8-0"), "ArrowLeft");
    frames().await;
    assert_eq!(active_id(), "confusion-8-0", "it stops at the edge");
    key(&page.get("cell-8-0"), "Enter");
    frames().await;
    assert_eq!(active_id(), "cell-images");
    assert_eq!(page.get("cell-8-0").parent_element().unwrap().get_attribute("aria-selected").as_deref(), Some("true"));
    key(&page.get("cell-images"), "Escape");
    frames().await;
    assert_eq!(active_id(), "confusion-8-0");
}

#[wasm_bindgen_test]
async fn images_are_chosen_one_by_one_or_all_of_a_cell() {
    let page = finished().await;
    let pressed = |page: &Mounted| {
        let pressed = page.get("cell-images").query_selector_all("[aria-pressed=true]").unwrap();
        pressed.length()
    };
    all(&page, "cell-images")[1].unchecked_ref::<HtmlElement>().click();
    frames().await;
    assert_eq!(pressed(&page), 1);
    page.click("choose-all").await;
    assert_eq!(pressed(&page), 3);
    page.click("choose-all").await;
    assert_eq!(pressed(&page), 0);
}

#[wasm_bindgen_test]
async fn images_that_were_trained_on_are_left_out_of_every_count_and_the_page_says_so() {
    let page = Mounted::training().await;
    page.tell(tested(vec![19, 29, 50])).await;
    assert!(page.text("mistakes-of").contains("97 of 100: 3 that it trained on are left out."));
    assert_eq!(page.get("confusion").get_attribute("data-count").as_deref(), Some("3"));
    assert_eq!(page.text("cell-9-4"), "1");
    assert!(page.text("status").contains("94 of 97"), "{}", page.text("status"));
    let zeros = page.get("per-class").query_selector("tbody tr").unwrap().unwrap();
    assert_eq!(
        zeros.text_content().as_deref(),
        Some("098888.8100.0"),
        "class, digits, read as it, right, recall, precision"
    );
}

#[wasm_bindgen_test]
async fn recall_and_precision_stand_at_the_edges_and_the_worst_of_each_is_marked() {
    let page = finished().await;
    let low = page.get("confusion").query_selector_all(".lo").unwrap();
    let low: Vec<String> = (0..low.length()).map(|at| low.get(at).unwrap().text_content().unwrap()).collect();
    assert_eq!(low, ["70.0", "76.9"], "of ten 9s seven were found; of thirteen read as 4 ten were 4s");
}

#[wasm_bindgen_test]
fn a_part_of_an_axis_is_the_values_between_two_places_and_has_round_ticks() {
    let accuracy = Axis::new(Measure::Accuracy, true, false);
    let (low, high) = accuracy.part(0.1, 0.3);
    assert!((low - 0.7).abs() < 1e-5 && (high - 0.9).abs() < 1e-5, "{low} {high}");
    let labels = |axis: Axis| axis.ticks().into_iter().map(|(_, label)| label).collect::<Vec<_>>();
    assert_eq!(labels(accuracy.within((0.7, 0.9))), ["70%", "80%", "90%"]);
    assert_eq!(labels(accuracy.within((0.981, 0.984))), ["98.2%", "98.4%"]);
    let loss = Axis::new(Measure::Loss, true, false);
    assert_eq!(labels(loss), ["1", "0.1", "0.01"]);
    assert_eq!(labels(loss.within((0.03, 0.6))), ["0.05", "0.1", "0.2", "0.5"]);
    assert_eq!(loss.within((0.03, 0.6)).place(0.6), 0.0);
    assert_eq!(labels(loss.within((0.11, 0.13))), ["0.11", "0.12", "0.13"], "too small for powers of ten");
    let values =
        |low, high, wanted| round_values(low, high, wanted).into_iter().map(|value| value.1).collect::<Vec<_>>();
    assert_eq!(values(-0.3, 0.3, 3), ["-0.2", "0.0", "0.2"]);
}

#[wasm_bindgen_test]
fn a_part_of_a_part_stays_within_the_run_and_keeps_a_width() {
    let half = Span::default().part(0.75, 0.25);
    assert_eq!(half.ends(), (0.25, 0.75));
    assert_eq!(half.part(0.5, 1.0).ends(), (0.5, 0.75));
    assert_eq!((half.place(0.5), half.along(0.5)), (0.5, 0.5));
    assert_eq!(half.scaled(0.5, 4.0), Span::default());
    let mut deep = half;
    for _ in 0..100 {
        deep = deep.part(0.5, 0.5);
    }
    let (from, to) = deep.ends();
    assert!(0.25 <= from && from < to && to <= 0.75);
    let labels: Vec<_> = half.ticks(10).into_iter().map(|(_, label)| label).collect();
    assert_eq!(labels, ["3", "4", "5", "6", "7"]);
}

#[wasm_bindgen_test]
fn what_differs_between_two_runs_is_said_in_both_languages() {
    let config = RunConfig::default();
    assert_eq!(Lang::En.differences(&config, &config), Vec::<String>::new());
    let mut other = RunConfig { learning_rate: 0.01, optimizer: Optimizer::Sgd, ..RunConfig::default() };
    other.network.batch_norm = true;
    assert_eq!(
        Lang::En.differences(&other, &config),
        ["Learning rate 0.01 → 0.001", "Optimizer SGD → Adam", "Batch normalisation on → off"]
    );
    assert_eq!(Lang::Zh.differences(&other, &config)[0], "学习率 0.01 → 0.001");
}

#[wasm_bindgen_test]
fn a_thinned_line_has_the_means_of_neighbours_and_the_same_end() {
    let points: Vec<_> = (1..=1000).map(|step| StepPoint { step, loss: step as f32, accuracy: 0.5 }).collect();
    let thin = thinned(&points, 430);
    assert!((300..=430).contains(&thin.len()), "{}", thin.len());
    assert_eq!((thin[0].loss, thin.last().unwrap().step), (2.0, 1000));
    assert_eq!(thinned(&points[..5], 430), points[..5]);
}

/// Drags over a chart, from place to place.
async fn drag(page: &Mounted, chart: &str, from: (f64, f64), to: (f64, f64)) {
    let plot = page.get(chart).query_selector(".plot").unwrap().unwrap();
    let bounds = plot.get_bounding_client_rect();
    let event = |kind: &str, (x, y): (f64, f64)| {
        let init = PointerEventInit::new();
        init.set_bubbles(true);
        init.set_client_x((bounds.left() + x * bounds.width()) as i32);
        init.set_client_y((bounds.top() + y * bounds.height()) as i32);
        plot.dispatch_event(&PointerEvent::new_with_event_init_dict(kind, &init).unwrap()).unwrap();
    };
    event("pointerdown", from);
    event("pointermove", to);
    event("pointerup", to);
    frames().await;
}

/// The test's document has no style sheet: the charts get a size.
fn give_size(page: &Mounted) {
    for chart in ["chart-loss", "chart-accuracy"] {
        let plot = page.get(chart).query_selector(".plot").unwrap().unwrap();
        plot.set_attribute("style", "width:400px;height:200px;position:relative").unwrap();
    }
}

fn zoom(page: &Mounted, chart: &str) -> Option<(f32, f32)> {
    let (from, to) = page
        .get(chart)
        .get_attribute("data-zoom")?
        .split_once('-')
        .map(|(from, to)| (from.parse().unwrap(), to.parse().unwrap()))?;
    Some((from, to))
}

#[wasm_bindgen_test]
async fn a_drag_shows_a_part_in_both_charts_and_a_double_click_or_escape_shows_all() {
    let page = Mounted::training().await;
    give_size(&page);
    page.tell([steps(1, 4..=2000)]).await;
    drag(&page, "chart-loss", (0.2, 0.5), (0.4, 0.55)).await;
    let (from, to) = zoom(&page, "chart-loss").expect("a part is on show");
    assert!((from - 2.0).abs() < 0.1 && (to - 4.0).abs() < 0.1, "{from} {to}");
    assert_eq!(zoom(&page, "chart-accuracy"), Some((from, to)), "both charts show the same batches");
    assert_eq!(page.get("chart-loss").get_attribute("data-values"), None, "a level drag chooses no values");
    page.get("chart-loss")
        .query_selector(".plot")
        .unwrap()
        .unwrap()
        .dispatch_event(&web_sys::MouseEvent::new("dblclick").unwrap())
        .unwrap();
    frames().await;
    assert_eq!(zoom(&page, "chart-loss"), None);

    drag(&page, "chart-accuracy", (0.1, 0.1), (0.9, 0.6)).await;
    let values = page.get("chart-accuracy").get_attribute("data-values").expect("a tall drag chooses values too");
    let (low, high) = values.split_once('-').map(|(low, high)| (low.parse::<f32>(), high.parse::<f32>())).unwrap();
    let (low, high) = (low.unwrap(), high.unwrap());
    // To a pixel of the plot's height.
    assert!((low - 0.4).abs() < 0.01 && (high - 0.9).abs() < 0.01, "{values}");
    assert_eq!(page.get("chart-loss").get_attribute("data-values"), None, "of its own chart");
    key(&page.get("chart-accuracy"), "Escape");
    frames().await;
    assert_eq!(page.get("chart-accuracy").get_attribute("data-values"), None);
    assert!(page.find("chart-whole").is_none());

    drag(&page, "chart-loss", (0.2, 0.5), (0.205, 0.5)).await;
    assert_eq!(zoom(&page, "chart-loss"), None, "a click chooses nothing");
    key(&page.get("chart-loss"), "+");
    frames().await;
    assert!(zoom(&page, "chart-loss").is_some(), "the keyboard can do it too");
    page.click("chart-whole").await;
    assert_eq!(zoom(&page, "chart-loss"), None);
}

#[wasm_bindgen_test]
async fn a_run_before_is_drawn_beside_the_present_one_with_what_differs_between_them() {
    let page = Mounted::training().await;
    give_size(&page);
    page.tell(tested(Vec::new())).await;
    assert!(page.find("compare-1").is_none());
    page.click("recipe-open").await;
    set(&page, "setting-learning-rate", "0.01").await;
    page.click("recipe-close").await;
    page.click("train").await;
    page.tell([Event::Started { run: RunId(2) }, steps(2, 1..=500)]).await;
    assert!(page.text("compare-1").contains("Learning rate 0.001 → 0.01"), "{}", page.text("compare-1"));
    let names = || {
        let names = page.get("chart-loss").query_selector_all("text.past").unwrap();
        (0..names.length()).map(|at| names.get(at).unwrap().text_content().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(names(), ["Run 1"]);
    page.click("compare-1").await;
    assert_eq!(names(), Vec::<String>::new());
}
