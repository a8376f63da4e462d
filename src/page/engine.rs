//! The worker as the page sees it: commands go in, events come out, and its end is noticed however it comes.
//!
//! A worker can end without a word: the browser takes its memory, or a driver takes the process. No event tells of
//! that. So the worker takes a Web Lock with its own name before it says that it is ready, and holds it while it
//! lives; the page then waits for the same lock, and when it is granted the worker is gone. What the page ends itself
//! it first forgets, so that its own doing is no fault.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::spawn_local;
use web_sys::{ErrorEvent, MessageEvent, Worker, WorkerOptions, WorkerType};

use super::browser::{after, document, window};
use super::device;
use super::state::DeviceChoice;
use crate::protocol::{Command, DeviceKind, DeviceReason, Event, Failure, VERSION};
use crate::web::{LIFE_LOCK, WebError, ask_for_lock, field, pack, unpack};

/// How long a worker may take until it listens.
const READY_SECONDS: u32 = 30;
/// How long a dying worker's last words are waited for, after its lock is free.
const LAST_WORDS_MS: i32 = 100;

/// What the page needs of an engine. Tests put another one in its place.
pub trait Engine {
    /// Posts a command.
    fn send(&self, command: Command);
    /// Ends the worker, if there is one, and starts one for this choice. `because` is the reason that is told where
    /// the user's choice is no reason of its own.
    fn start(&self, choice: DeviceChoice, because: Option<DeviceReason>);
}

/// An engine in a dedicated worker.
pub struct WorkerEngine {
    inner: Rc<Inner>,
}

struct Inner {
    listener: Box<dyn Fn(Event)>,
    /// Counts the workers; what an earlier one still says is not heard.
    current: Cell<u32>,
    ready: Cell<bool>,
    worker: RefCell<Option<Spawned>>,
}

struct Spawned {
    worker: Worker,
    _on_message: Closure<dyn FnMut(MessageEvent)>,
    _on_error: Closure<dyn FnMut(ErrorEvent)>,
}

impl Drop for Spawned {
    fn drop(&mut self) {
        self.worker.set_onmessage(None);
        self.worker.set_onerror(None);
        self.worker.terminate();
    }
}

impl WorkerEngine {
    /// An engine that is not started. `listener` hears every event.
    pub fn new(listener: impl Fn(Event) + 'static) -> Self {
        let inner = Inner {
            listener: Box::new(listener),
            current: Cell::new(0),
            ready: Cell::new(false),
            worker: RefCell::new(None),
        };
        Self { inner: Rc::new(inner) }
    }
}

impl Engine for WorkerEngine {
    fn send(&self, command: Command) {
        self.inner.send(&command);
    }

    fn start(&self, choice: DeviceChoice, because: Option<DeviceReason>) {
        let inner = self.inner.clone();
        let id = inner.current.get() + 1;
        inner.current.set(id);
        inner.ready.set(false);
        inner.worker.replace(None);
        spawn_local(async move {
            let (device, reason) = device::choose(choice).await;
            let reason = if reason == DeviceReason::Asked { because.unwrap_or(reason) } else { reason };
            if inner.current.get() == id {
                inner.spawn(id, device, reason);
            }
        });
    }
}

impl Inner {
    fn send(&self, command: &Command) {
        let posted = pack(command).and_then(|(message, handed_over)| match &*self.worker.borrow() {
            Some(spawned) => Ok(spawned.worker.post_message_with_transfer(&message, &handed_over)?),
            None => Ok(()),
        });
        if let Err(error) = posted {
            self.died(self.current.get(), error.0);
        }
    }

    fn spawn(self: Rc<Self>, id: u32, device: DeviceKind, reason: DeviceReason) {
        let script = match device {
            DeviceKind::Cpu if device::has_relaxed_simd() => "worker_cpu_relaxed_loader.js",
            DeviceKind::Cpu => "worker_cpu_loader.js",
            DeviceKind::WebGpu => "worker_gpu_loader.js",
        };
        // A name that no other tab has: locks are shared by all pages of an origin.
        let name = format!("{}-{id}-{}", js_sys::Date::now(), js_sys::Math::random());
        let lock = format!("{LIFE_LOCK}{name}");
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        options.set_name(&name);
        let worker = match Worker::new_with_options(&relative(script), &options) {
            Ok(worker) => worker,
            Err(error) => return self.died(id, WebError::from(error).0),
        };
        let on_message = Closure::new({
            let this = self.clone();
            move |event: MessageEvent| this.heard(id, &event.data(), device, &reason, &lock)
        });
        let on_error = Closure::new({
            let this = self.clone();
            move |event: ErrorEvent| {
                event.prevent_default();
                let message = field(event.as_ref(), "message").as_string();
                this.died(id, message.unwrap_or_else(|| format!("{script} can't be loaded")));
            }
        });
        worker.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        worker.set_onerror(Some(on_error.as_ref().unchecked_ref()));
        self.worker.replace(Some(Spawned { worker, _on_message: on_message, _on_error: on_error }));
        after(READY_SECONDS as i32 * 1000, move || {
            if !self.ready.get() {
                self.failed(id, Failure::WorkerSilent { seconds: READY_SECONDS });
            }
        });
    }

    fn heard(self: &Rc<Self>, id: u32, message: &JsValue, device: DeviceKind, reason: &DeviceReason, lock: &str) {
        if id != self.current.get() {
            return;
        }
        if field(message, "type").as_string().as_deref() == Some("panic") {
            return self.died(id, field(message, "message").as_string().unwrap_or_default());
        }
        let event = match unpack(message) {
            Ok(event) => event,
            Err(error) => return self.died(id, error.0),
        };
        if let Event::Ready { version } = event {
            self.ready.set(true);
            if version != VERSION {
                return self.failed(id, Failure::Version { worker: version, page: VERSION });
            }
            self.watch(id, lock);
            let (reason, manifest) = (reason.clone(), relative("data/manifest.json"));
            self.send(&Command::Open { device, reason, manifest, sparing: spares_connection() });
        }
        (self.listener)(event);
    }

    /// Waits for the lock that the worker holds.
    fn watch(self: &Rc<Self>, id: u32, lock: &str) {
        let this = self.clone();
        let granted = Closure::once_into_js(move || {
            // A panic's message may still be on its way.
            after(LAST_WORDS_MS, move || this.died(id, String::new()));
        });
        // Outside of a secure context there are no Web Locks; errors are heard there too.
        let _ = ask_for_lock(lock, &granted);
    }

    fn died(&self, id: u32, message: String) {
        self.failed(id, Failure::WorkerDied { message });
    }

    fn failed(&self, id: u32, failure: Failure) {
        if id == self.current.get() {
            // Nothing more is heard of this worker.
            self.current.set(id + 1);
            self.ready.set(true);
            let gone = self.worker.replace(None);
            // Not here: this may be running inside one of the closures that go with it.
            after(0, move || drop(gone));
            (self.listener)(Event::Failed { run: None, failure });
        }
    }
}

/// Whether the visitor's connection is to be spared: they asked the browser to, or it counts what it carries.
fn spares_connection() -> bool {
    let connection = field(window().navigator().as_ref(), "connection");
    field(&connection, "saveData").is_truthy() || field(&connection, "type").as_string().as_deref() == Some("cellular")
}

/// A file beside the document, wherever that lies.
fn relative(file: &str) -> String {
    let base = document().base_uri().ok().flatten().unwrap_or_default();
    web_sys::Url::new_with_base(file, &base).map_or_else(|_| file.to_owned(), |url| url.href())
}
