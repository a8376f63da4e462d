//! A page that is mounted in the test's own document, with an engine in place that only writes down what it is asked
//! for, and events as a worker would send them.
#![allow(dead_code)] // each test file uses its own part

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use kiln::page::browser::{after, document};
use kiln::page::engine::Engine;
use kiln::page::settings::{Settings, read};
use kiln::page::state::DeviceChoice;
use kiln::page::{App, Page};
use kiln::protocol::{Command, DataProgress, DeviceKind, DeviceReason, Event, RunId, VERSION};
use kiln::training::StepPoint;
use leptos::mount::{UnmountHandle, mount_to};
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Element, HtmlButtonElement, HtmlElement, HtmlInputElement, KeyboardEvent, KeyboardEventInit};

/// What the engine was asked for.
#[derive(Default)]
pub struct Asked {
    pub commands: Vec<Command>,
    pub starts: Vec<(DeviceChoice, Option<DeviceReason>)>,
}

pub struct FakeEngine(Rc<RefCell<Asked>>);

impl Engine for FakeEngine {
    fn send(&self, command: Command) {
        self.0.borrow_mut().commands.push(command);
    }

    fn start(&self, choice: DeviceChoice, because: Option<DeviceReason>) {
        self.0.borrow_mut().starts.push((choice, because));
    }
}

/// A mounted page. It is taken off the document when dropped.
pub struct Mounted {
    pub root: HtmlElement,
    pub asked: Rc<RefCell<Asked>>,
    pub page: Page,
    tell: Box<dyn Fn(Event)>,
    _mount: Box<dyn std::any::Any>,
}

impl Drop for Mounted {
    fn drop(&mut self) {
        self.root.remove();
    }
}

pub fn mount(settings: Settings) -> Mounted {
    let root: HtmlElement = document().create_element("div").unwrap().unchecked_into();
    document().body().unwrap().append_child(&root).unwrap();
    let asked = Rc::new(RefCell::new(Asked::default()));
    let listener = Rc::new(RefCell::new(None));
    let page = Rc::new(Cell::new(None));
    let handle: UnmountHandle<_> = mount_to(root.clone(), {
        let (asked, listener, slot) = (asked.clone(), listener.clone(), page.clone());
        move || {
            let page = Page::new(settings, |hears| {
                *listener.borrow_mut() = Some(hears);
                Rc::new(FakeEngine(asked))
            });
            page.start();
            slot.set(Some(page));
            view! { <App page /> }
        }
    });
    let tell = listener.borrow_mut().take().unwrap();
    Mounted { root, asked, page: page.get().unwrap(), tell, _mount: Box::new(handle) }
}

impl Mounted {
    /// A page whose worker is there with all of the data.
    pub async fn ready() -> Self {
        let page = mount(read([]));
        page.tell(ready_events()).await;
        page
    }

    /// A page with a run of 10 epochs on its way.
    pub async fn training() -> Self {
        let page = Self::ready().await;
        page.click("train").await;
        page.tell([Event::Started { run: RunId(1) }, steps(1, 1..=3)]).await;
        page
    }

    /// Tells the page some events, and waits until they are on show.
    pub async fn tell(&self, events: impl IntoIterator<Item = Event>) {
        events.into_iter().for_each(&self.tell);
        frames().await;
    }

    pub fn find(&self, testid: &str) -> Option<Element> {
        self.root.query_selector(&format!("[data-testid={testid}]")).unwrap()
    }

    pub fn get(&self, testid: &str) -> Element {
        self.find(testid).unwrap_or_else(|| panic!("no {testid} on the page"))
    }

    pub fn text(&self, testid: &str) -> String {
        self.get(testid).text_content().unwrap_or_default()
    }

    pub fn state(&self) -> (String, String) {
        let status = self.get("status");
        let read = |name| status.get_attribute(name).unwrap_or_default();
        (read("data-state"), read("data-detail"))
    }

    pub fn points(&self) -> Vec<String> {
        ["chart-loss", "chart-accuracy"].map(|chart| self.get(chart).get_attribute("data-points").unwrap()).into()
    }

    /// The visible buttons of the run, in order, with a star for each that can't be pressed.
    pub fn buttons(&self) -> String {
        let all = self.root.query_selector_all(".dock button, .panel .acts button").unwrap();
        let buttons = (0..all.length()).map(|at| all.get(at).unwrap().unchecked_into::<HtmlButtonElement>());
        let name = |button: HtmlButtonElement| {
            let off = button.disabled() || button.get_attribute("aria-disabled").as_deref() == Some("true");
            let star = if off { "*" } else { "" };
            button.get_attribute("data-testid").unwrap() + star
        };
        buttons.filter(|button| !button.hidden()).map(name).collect::<Vec<_>>().join(" ")
    }

    pub async fn click(&self, testid: &str) {
        self.get(testid).unchecked_into::<HtmlElement>().click();
        frames().await;
    }

    pub fn commands(&self) -> Vec<Command> {
        std::mem::take(&mut self.asked.borrow_mut().commands)
    }

    pub fn commands_but_predict(&self) -> Vec<Command> {
        self.commands().into_iter().filter(|command| !matches!(command, Command::Predict { .. })).collect()
    }
}

pub async fn sleep(milliseconds: i32) {
    let promise = js_sys::Promise::new(&mut |resolve, _| {
        after(milliseconds, move || {
            let _ = resolve.call0(&wasm_bindgen::JsValue::UNDEFINED);
        });
    });
    JsFuture::from(promise).await.unwrap();
}

/// Long enough for a frame and the effects after it, in a hidden tab too.
pub async fn frames() {
    sleep(150).await;
}

pub fn data(shards: u32) -> Event {
    Event::Data(DataProgress {
        name: "MNIST".into(),
        bytes: u64::from(shards) * 1_000_000,
        total_bytes: 4_000_000,
        shards,
        total_shards: 4,
        train_images: shards * 27_500,
        total_train_images: 55_000,
        validation_images: 5_000,
        test_images: 10_000,
        ..DataProgress::default()
    })
}

pub fn opened() -> Event {
    Event::Opened { device: DeviceKind::Cpu, name: String::new(), reason: DeviceReason::NoWebGpu }
}

pub fn ready_events() -> [Event; 3] {
    [Event::Ready { version: VERSION }, opened(), data(4)]
}

pub fn steps(run: u32, steps: std::ops::RangeInclusive<u32>) -> Event {
    let point = |step| StepPoint { step, loss: 1.0 / step as f32, accuracy: 0.5 };
    Event::Steps { run: RunId(run), points: steps.map(point).collect(), images_per_second: 1000.0 }
}

/// Presses a key on an element.
pub fn key(at: &Element, key: &str) {
    let init = KeyboardEventInit::new();
    init.set_bubbles(true);
    init.set_key(key);
    at.dispatch_event(&KeyboardEvent::new_with_keyboard_event_init_dict("keydown", &init).unwrap()).unwrap();
}

/// Types into a field and leaves it, or moves a slider and lets it go.
pub async fn set(page: &Mounted, testid: &str, value: &str) {
    let input = page.get(testid).unchecked_into::<HtmlInputElement>();
    input.set_value(value);
    for kind in ["input", "change"] {
        input.dispatch_event(&web_sys::Event::new(kind).unwrap()).unwrap();
    }
    frames().await;
}
