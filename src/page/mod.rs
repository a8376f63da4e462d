//! The page: what a visitor sees and touches. It holds no tensor and computes nothing heavy; it shows what the
//! worker's events say and posts commands.
//!
//! One way only: a click is an [`Action`] on the [`state`], which answers with requests to the [`engine`]; the
//! engine's events are applied to the state; views read it. An event is applied at once, and what comes after it before
//! the next frame in that: however fast batches are done, the page does its work twice for each picture at most.

pub mod browser;
mod chart;
mod comparison;
mod device;
mod digits;
pub mod drop;
pub mod engine;
mod fault;
mod files;
mod finetune;
mod inside;
mod keys;
mod lines;
mod mast;
mod mistakes;
mod modal;
mod models;
pub mod number;
mod pad;
pub mod picture;
mod pictures;
pub mod plot;
mod reactive;
mod recipe;
pub mod rest;
mod resumable;
mod run;
mod save;
pub mod settings;
pub mod state;
mod story;
mod sweep;
pub mod words;

use std::ops::Deref;
use std::rc::Rc;

use leptos::prelude::*;
use wasm_bindgen::JsCast;

use self::browser::{OncePerFrame, after, document, now, on_window, recall, remember, window, write_address};
use self::engine::Engine;
use self::reactive::{Memo, Views, effect, handler, live, part_of};
use self::rest::Rest;
use self::settings::{Note, Settings};
use self::state::sweep::SweepAction;
use self::state::{Action, PageState, Phase, Request, WayOn};
use self::words::{Lang, Text, Token};
use crate::protocol::{DeviceReason, Event};

/// What every view gets: the state to read, and the ways to act on it. A pointer, as hundreds of closures hold one; what
/// it points to lives as long as the tab.
#[derive(Clone, Copy)]
pub struct Page(&'static Parts);

impl Deref for Page {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        self.0
    }
}

/// What a [`Page`] points to.
pub struct Parts {
    /// What the page knows. Views read slices of it through [`Page::slice`].
    pub state: RwSignal<PageState>,
    /// The language.
    pub lang: RwSignal<Lang>,
    /// What of the address was not followed.
    notes: StoredValue<Vec<Note>>,
    /// Whether the recipe's sheet is open.
    sheet: RwSignal<bool>,
    /// The group of the sheet that is to be open.
    group: RwSignal<Option<recipe::Group>>,
    /// Whether the list of keys is open.
    keys: RwSignal<bool>,
    /// The word of the recipe whose field is open.
    word: RwSignal<Option<Token>>,
    /// Whether the device's box is open.
    device_box: RwSignal<bool>,
    /// Raised to clear the pad.
    cleared: RwSignal<u32>,
    /// Raised when another picture waits for its label.
    pictured: RwSignal<u32>,
    /// What is spoken next.
    said: RwSignal<String>,
    /// The code of what is not seen at first.
    pub rest: RwSignal<Rest>,
    offline: RwSignal<bool>,
    engine: StoredValue<Rc<dyn Engine>, LocalStorage>,
    /// Whether the address is about to be written.
    address_waits: StoredValue<bool>,
}

/// Milliseconds between a change of the recipe and the address's.
const ADDRESS_RESTS_MS: i32 = 300;

impl Page {
    /// A page with the engine that `engine` makes; it is given what hears the engine's events.
    pub fn new(settings: Settings, engine: impl FnOnce(Box<dyn Fn(Event)>) -> Rc<dyn Engine>) -> Self {
        let mut state = PageState::new(settings.config, settings.choice);
        state.workers = settings.workers;
        let state = RwSignal::new(state);
        // The engine is made before the page that its events go to.
        let page_slot = StoredValue::<Option<Page>, LocalStorage>::new_local(None);
        let hear = move |events| {
            if let Some(page) = page_slot.try_get_value().flatten() {
                page.hear(events);
            }
        };
        let waiting = StoredValue::<Vec<Event>>::new(Vec::new());
        let frame = OncePerFrame::new(move || {
            let events = waiting.try_update_value(std::mem::take).unwrap_or_default();
            if !events.is_empty() {
                hear(events);
            }
        });
        let engine = engine(Box::new(move |event| {
            if frame.is_asked_for() {
                waiting.try_update_value(|waiting| waiting.push(event));
            } else {
                frame.ask();
                hear(vec![event]);
            }
        }));
        let language = recall("language").or_else(|| window().navigator().language()).unwrap_or_default();
        let page = Self(Box::leak(Box::new(Parts {
            state,
            lang: RwSignal::new(Lang::of(&language)),
            notes: StoredValue::new(settings.notes),
            sheet: RwSignal::new(false),
            group: RwSignal::new(None),
            keys: RwSignal::new(false),
            word: RwSignal::new(None),
            device_box: RwSignal::new(false),
            cleared: RwSignal::new(0),
            pictured: RwSignal::new(0),
            said: RwSignal::new(String::new()),
            rest: RwSignal::new(Rest::Coming(0)),
            offline: RwSignal::new(!window().navigator().on_line()),
            engine: StoredValue::new_local(engine),
            address_waits: StoredValue::new(false),
        })));
        page_slot.set_value(Some(page));
        page
    }

    /// Does what the user asked for.
    pub fn act(self, action: Action) {
        let writes_address = matches!(
            action,
            Action::Configure(_)
                | Action::Recover(_)
                | Action::UseDevice(_)
                | Action::UseWorkers(_)
                | Action::FineTune(_)
                | Action::Tune(SweepAction::Open(_))
        );
        let opens_sheet = action == Action::Recover(WayOn::ChangeRecipe);
        let requests = self.state.try_update(|state| state.act(action, now()));
        self.answer(requests.unwrap_or_default());
        if writes_address {
            self.write_address_soon();
        }
        if opens_sheet {
            self.sheet.set(true);
        }
    }

    /// Brings the address up to date once the recipe rests: browsers take only so many changes a minute, and a slider
    /// makes many.
    fn write_address_soon(self) {
        if self.address_waits.try_update_value(|waits| std::mem::replace(waits, true)) == Some(false) {
            after(ADDRESS_RESTS_MS, move || {
                self.address_waits.try_set_value(false);
                self.state.try_with_untracked(|state| write_address(&state.settings, state.choice, state.workers));
            });
        }
    }

    /// Starts the engine for the device that the address asks for.
    pub fn start(self) {
        let choice = self.state.with_untracked(|state| state.choice);
        self.engine.with_value(|engine| engine.start(choice, None));
    }

    fn hear(self, events: Vec<Event>) {
        let requests = self.state.try_update(|state| {
            let now = now();
            events.into_iter().flat_map(|event| state.apply(event, now)).collect::<Vec<_>>()
        });
        self.answer(requests.unwrap_or_default());
    }

    fn answer(self, requests: Vec<Request>) {
        // Taken out first: what the engine does may come back here.
        let engine = self.engine.get_value();
        for request in requests {
            match request {
                Request::Send(command) => engine.send(command),
                Request::Restart(choice, reason) => {
                    engine.start(choice, (reason == DeviceReason::Lost).then_some(reason));
                }
                Request::Download { name, mime, bytes } => browser::download(&name, &mime, &bytes),
                Request::Reload => {
                    let _ = window().location().reload();
                }
                Request::ClearPad => self.cleared.update(|times| *times += 1),
                Request::ShowPicture => self.pictured.update(|times| *times += 1),
                Request::KeepDigits => engine.send(self.state.with_untracked(state::digits::keep_command)),
            }
        }
    }

    /// A part of the state that views follow: they run again only when this part changes.
    pub fn slice<T: PartialEq + Send + Sync + 'static>(
        self,
        part: impl Fn(&PageState) -> T + Send + Sync + 'static,
    ) -> Memo<T> {
        part_of(self.state, part)
    }

    /// A fixed text in the page's language.
    fn say(self, words: Text) -> impl Fn() -> &'static str + Copy + Send + Sync + 'static {
        move || words(self.lang.get())
    }

    /// The heads of a table of numbers.
    fn heads<const N: usize>(self, heads: [Text; N]) -> impl IntoView {
        let head = |head| view! { <th scope="col" class="num">{self.say(head)}</th> };
        view! { <tr>{heads.map(head).views()}</tr> }
    }

    /// Speaks to those who listen to the page.
    fn announce(self, text: String) {
        self.said.set(text);
    }

    /// Does the next thing, whatever it is: the filled button's key.
    fn primary(self) {
        let button = self
            .state
            .with_untracked(|state| run::primary(state, self.lang.get_untracked()))
            .filter(|button| button.enabled);
        if let Some(button) = button {
            self.act(button.action);
        }
    }
}

/// Text with its stressed parts in `<b>`.
fn bold(text: &str) -> Vec<AnyView> {
    words::stressed(text)
        .map(|(stress, piece)| {
            let piece = piece.to_owned();
            if stress { view! { <b>{piece}</b> }.into_any() } else { piece.into_any() }
        })
        .collect()
}

/// The whole page.
#[component]
pub fn App(
    /// What the views work on.
    page: Page,
) -> impl IntoView {
    provide_context(page);
    follow_document(page);
    drop::listen(page);
    listen_to_keys(page);
    announce_progress(page);
    remember_speed(page);
    rest::gather(page);
    let resumable = page.slice(|state| state.resumable().is_some());
    view! {
        <a class="skip" href="#bench">{page.say(Lang::skip)}</a>
        <mast::Mast />
        <main class="wrap">
            <section class="bench" id="bench">
                <div class="story">
                    <finetune::Modes />
                    <story::Story />
                    <div hidden=move || resumable.get()>
                        <recipe::Recipe />
                    </div>
                    <fault::Fault />
                    <resumable::Resumable />
                    <resumable::Storage />
                    <run::Run />
                    <files::Notice />
                    <rest::Waiting />
                    <Notes />
                </div>
                <chart::Charts />
                <pad::Try />
            </section>
            <rest::AboveInside />
            <inside::Inside />
            <rest::BelowInside />
            <files::Room />
        </main>
        <footer class="end">
            <div class="wrap">
                <span>{page.say(Lang::nothing_leaves)}</span>
                <span>
                    "Rust · WebAssembly · burn. "
                    <button class="link" data-testid="keys-open" on:click=handler(move |_| page.keys.set(true))>
                        {page.say(Lang::keyboard)}
                    </button>
                </span>
            </div>
        </footer>
        <rest::Overlays />
        <div class="vh" role="status" aria-live="polite" data-testid="announcer">
            {move || page.said.get()}
        </div>
    }
}

/// What of the address was not followed.
#[component]
fn Notes() -> impl IntoView {
    let page = expect_context::<Page>();
    live(move || {
        let lang = page.lang.get();
        page.notes.with_value(|notes| {
            let note = |note| view! { <p class="note" data-testid="note">{lang.note(note)}</p> };
            notes.iter().map(note).views()
        })
    })
}

/// Keeps the document's language and state in step; the style reads them.
fn follow_document(page: Page) {
    let phase = page.slice(|state| state.name());
    effect(move || {
        if let Some(root) = document().document_element() {
            let _ = root.set_attribute("data-state", phase.get());
            let _ = root.set_attribute("lang", page.lang.get().code());
        }
    });
    for (event, offline) in [(leptos::ev::Custom::new("online"), false), (leptos::ev::Custom::new("offline"), true)] {
        on_window(event, move |_: web_sys::Event| page.offline.set(offline));
    }
    // Nothing moves until the first picture is there.
    after(400, || {
        if let Some(root) = document().document_element() {
            let _ = root.set_attribute("data-live", "");
        }
    });
}

/// Single keys, as the list in the footer says. Not in fields, and not with a modifier.
fn listen_to_keys(page: Page) {
    on_window(leptos::ev::keydown, move |event| {
        if event.key() == "Escape" {
            page.word.set(None);
            page.device_box.set(false);
            if !page.is_covered() {
                page.open_nothing();
            }
            return;
        }
        let typing = event
            .target()
            .and_then(|target| target.dyn_into::<web_sys::Element>().ok())
            .is_some_and(|element| matches!(element.tag_name().as_str(), "INPUT" | "SELECT" | "TEXTAREA"));
        let modified = event.ctrl_key() || event.meta_key() || event.alt_key();
        if typing || modified || page.is_covered() || event.repeat() || recall("keys").as_deref() == Some("off") {
            return;
        }
        match event.key().as_str() {
            "t" | "T" => page.primary(),
            "s" | "S" => page.act(Action::Step),
            "c" | "C" => page.cleared.update(|times| *times += 1),
            "r" | "R" => page.sheet.set(true),
            "?" => page.keys.set(true),
            key => label_by_key(page, key, &event),
        }
    });
}

/// The keys of the pad: a digit says what the drawing is; while the pad asks, Enter keeps it at once and Backspace takes
/// the last one back.
fn label_by_key(page: Page, key: &str, event: &leptos::ev::KeyboardEvent) {
    let asks = page.state.with_untracked(|state| state.asked_for().is_some());
    let on_button = event
        .target()
        .and_then(|target| target.dyn_into::<web_sys::Element>().ok())
        .is_some_and(|element| matches!(element.tag_name().as_str(), "BUTTON" | "A" | "SUMMARY"));
    let act = match (key, state::digits::label_of_key(key)) {
        (_, Some(label)) => state::digits::Act::Label(label),
        ("Enter", _) if asks && !on_button => state::digits::Act::Keep,
        ("Backspace", _) if asks => state::digits::Act::Undo,
        _ => return,
    };
    event.prevent_default();
    page.act(Action::Digits(act));
}

/// Speaks at the start, after epochs (at most one in five seconds), when paused and at the end.
fn announce_progress(page: Page) {
    let spoken_at = StoredValue::new(f64::NEG_INFINITY);
    let phase = page.slice(|state| state.phase.clone());
    effect(move || {
        let _ = phase.get();
        let text = page.state.with_untracked(|state| page.lang.get_untracked().announce(state));
        if let Some(text) = text {
            page.announce(text);
        }
    });
    let epoch = page.slice(|state| state.run.as_ref().and_then(|run| run.scores.last().copied()));
    effect(move || {
        let Some((epoch, score)) = epoch.get() else { return };
        // What an earlier visit measured is no news.
        let live = page.state.with_untracked(PageState::is_busy);
        if !live || now() - spoken_at.get_value() < 5000.0 {
            return;
        }
        spoken_at.set_value(now());
        let epochs = page.state.with_untracked(|state| state.run.as_ref().map_or(0, |run| run.config.epochs));
        page.announce(page.lang.get_untracked().announce_epoch(epoch, epochs, score.accuracy()));
    });
}

/// Remembers how fast this device trained, so that the next visit can say how long a run will take.
fn remember_speed(page: Page) {
    let measured = page.slice(|state| match (&state.phase, &state.device, &state.run) {
        (Phase::Paused | Phase::Finished { .. }, Some(device), Some(run)) if run.images_per_second > 0.0 => {
            Some((speed_key(device), run.images_per_second.round() as u32))
        }
        _ => None,
    });
    effect(move || {
        if let Some((key, speed)) = measured.get() {
            remember(&key, Some(&speed.to_string()));
        }
    });
}

/// Under what a device's speed is remembered.
fn speed_key(device: &state::Device) -> String {
    format!("speed-{:?}-{}", device.kind, device.name)
}
