//! What can be seen of a run, on a mounted page: the mistakes of its test, and what the charts can do.

#![cfg(target_arch = "wasm32")]

mod mounted;

use kiln::data::{PIXELS, Split};
use kiln::page::browser::document;
use kiln::protocol::{Command, Event, RunId};
use kiln::training::exam::Exam;
use mounted::{Mounted, frames, key};
use serde_bytes::ByteBuf;
use wasm_bindgen::JsCast;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};
use web_sys::{Element, HtmlElement};

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
