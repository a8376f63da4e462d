//! The edge to the browser: address, storage, clock, frames. Nothing else in the page reads a raw [`JsValue`].

use std::cell::Cell;
use std::rc::Rc;

use leptos::ev::EventDescriptor;
use leptos::prelude::*;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{IntersectionObserver, IntersectionObserverEntry};

use super::settings::{self, Settings};
use super::state::DeviceChoice;
use crate::training::RunConfig;

/// The window. There is always one: the page's binary runs in nothing else.
pub fn window() -> web_sys::Window {
    web_sys::window().expect("the page runs in a window")
}

/// The document.
pub fn document() -> web_sys::Document {
    window().document().expect("a window has a document")
}

/// Milliseconds since the page was opened.
pub fn now() -> f64 {
    window().performance().map_or(0.0, |performance| performance.now())
}

/// A moment (milliseconds since 1970) for people, where they are: days ago, the time, the date.
pub fn moment(since_1970: f64, language: &str) -> (i32, String, String) {
    let (then, now) = (js_sys::Date::new(&since_1970.into()), js_sys::Date::new_0());
    let time = format!("{:02}:{:02}", then.get_hours(), then.get_minutes());
    let date = String::from(then.to_locale_date_string(language, &JsValue::UNDEFINED));
    // From midnight to midnight; a day of 23 or 25 hours is still one.
    let midnight = |date: &js_sys::Date| {
        let day = js_sys::Date::new(&date.get_time().into());
        day.set_hours(0);
        day.set_minutes(0);
        day.set_seconds(0);
        day.set_milliseconds(0);
        day.get_time()
    };
    (((midnight(&now) - midnight(&then)) / 86_400_000.0).round() as i32, time, date)
}

/// What the address asks for.
pub fn read_address() -> Settings {
    let search = window().location().search().unwrap_or_default();
    let parameters = web_sys::UrlSearchParams::new_with_str(&search).ok();
    let pairs = parameters.map_or_else(js_sys::Array::new, |parameters| js_sys::Array::from(parameters.as_ref()));
    settings::read(pairs.iter().filter_map(|pair| {
        let pair = js_sys::Array::from(&pair);
        Some((pair.get(0).as_string()?, pair.get(1).as_string()?))
    }))
}

/// Writes the recipe into the address, without a new entry in the history.
pub fn write_address(config: &RunConfig, choice: DeviceChoice, workers: Option<u8>) {
    let location = window().location();
    let mut address = location.pathname().unwrap_or_default();
    for (index, (name, value)) in settings::write(config, choice, workers).iter().enumerate() {
        address.push(if index == 0 { '?' } else { '&' });
        address.extend([name, "=", value]);
    }
    address.push_str(&location.hash().unwrap_or_default());
    // An address that can't be replaced (a sandboxed frame) costs the bookmark, not the run.
    if let Ok(history) = window().history() {
        let _ = history.replace_state_with_url(&JsValue::NULL, "", Some(&address));
    }
}

/// What was remembered under a key. Nothing where storage is blocked.
pub fn recall(key: &str) -> Option<String> {
    window().local_storage().ok()??.get_item(&format!("kiln-{key}")).ok()?
}

/// Remembers a value, or forgets it. Where storage is blocked the choice lasts as long as the page.
pub fn remember(key: &str, value: Option<&str>) {
    let key = format!("kiln-{key}");
    if let Ok(Some(storage)) = window().local_storage() {
        let _ = match value {
            Some(value) => storage.set_item(&key, value),
            None => storage.remove_item(&key),
        };
    }
}

/// Runs a piece of work once before the next frame, however often it was asked for. Frames stop in a hidden tab, and
/// may do so at any moment: then it runs after a short wait instead.
#[derive(Clone)]
pub struct OncePerFrame {
    waiting: Rc<Cell<Option<i32>>>,
    run: Rc<Closure<dyn FnMut()>>,
}

/// How long a frame is waited for.
const FRAME_MS: i32 = 250;

impl OncePerFrame {
    /// For that work.
    pub fn new(mut work: impl FnMut() + 'static) -> Self {
        let waiting = Rc::new(Cell::new(None));
        let run = Closure::new({
            let waiting = waiting.clone();
            move || {
                // Frame and timer both come here; the first of them does the work.
                if let Some(timer) = waiting.take() {
                    window().clear_timeout_with_handle(timer);
                    work();
                }
            }
        });
        Self { waiting, run: Rc::new(run) }
    }

    /// Whether it was asked for, and the frame has not come yet.
    pub fn is_asked_for(&self) -> bool {
        self.waiting.get().is_some()
    }

    /// Asks for it.
    pub fn ask(&self) {
        if self.is_asked_for() {
            return;
        }
        let run = self.run.as_ref().as_ref().unchecked_ref();
        self.waiting.set(window().set_timeout_with_callback_and_timeout_and_arguments_0(run, FRAME_MS).ok());
        let _ = window().request_animation_frame(run);
    }
}

/// Calls `work` once after `milliseconds`.
pub fn after(milliseconds: i32, work: impl FnOnce() + 'static) {
    let run = Closure::once_into_js(work);
    let _ = window().set_timeout_with_callback_and_timeout_and_arguments_0(run.unchecked_ref(), milliseconds);
}

/// Does `work` at an event of the window, for as long as what asks for it is there.
pub fn on_window<E: EventDescriptor + 'static>(event: E, work: impl Fn(E::EventType) + 'static)
where
    E::EventType: JsCast,
{
    let handle = window_event_listener(event, work);
    on_cleanup(move || handle.remove());
}

/// Tells `work` whether an element is in sight, at first and whenever that changes, for as long as what asks for it is
/// there. Where the browser can't tell, nothing is told.
pub fn on_sight(element: &web_sys::Element, mut work: impl FnMut(bool) + 'static) {
    let changed = Closure::<dyn FnMut(js_sys::Array)>::new(move |entries: js_sys::Array| {
        work(entries.pop().unchecked_into::<IntersectionObserverEntry>().is_intersecting());
    });
    let Ok(observer) = IntersectionObserver::new(changed.as_ref().unchecked_ref()) else { return };
    observer.observe(element);
    let kept = StoredValue::new_local(Some((changed, observer)));
    on_cleanup(move || {
        if let Some((_, observer)) = kept.try_update_value(Option::take).flatten() {
            observer.disconnect();
        }
    });
}

/// Does `work` whenever a pointer is pressed, with what it is pressed on.
pub fn on_press(work: impl Fn(Option<&web_sys::Node>) + 'static) {
    on_window(leptos::ev::pointerdown, move |event| {
        work(event.target().and_then(|target| target.dyn_into().ok()).as_ref());
    });
}

/// Gives a file to the user as an ordinary download.
pub fn download(name: &str, mime: &str, bytes: &[u8]) {
    let options = web_sys::BlobPropertyBag::new();
    options.set_type(mime);
    let parts = js_sys::Array::of1(&js_sys::Uint8Array::from(bytes));
    let Ok(blob) = web_sys::Blob::new_with_u8_array_sequence_and_options(&parts, &options) else { return };
    let Ok(url) = web_sys::Url::create_object_url_with_blob(&blob) else { return };
    if let Ok(link) = document().create_element("a") {
        let link: web_sys::HtmlAnchorElement = link.unchecked_into();
        link.set_href(&url);
        link.set_download(name);
        link.click();
    }
    // Some browsers begin to read it only after the click was handled.
    after(60_000, move || {
        let _ = web_sys::Url::revoke_object_url(&url);
    });
}

/// Whether the page is as narrow as a phone, where the buttons are a dock; as in `style.css`.
pub fn narrow() -> RwSignal<bool> {
    let Ok(Some(query)) = window().match_media("(max-width: 40rem)") else { return RwSignal::new(false) };
    let narrow = RwSignal::new(query.matches());
    let changed = Closure::<dyn FnMut()>::new({
        let query = query.clone();
        move || {
            let _ = narrow.try_set(query.matches());
        }
    });
    query.set_onchange(Some(changed.as_ref().unchecked_ref()));
    let kept = StoredValue::new_local((query, changed));
    on_cleanup(move || {
        let _ = kept.try_with_value(|(query, _)| query.set_onchange(None));
    });
    narrow
}
