//! Helpers: workers of the same binary that compute slices of a step beside the one that trains
//! ([`crate::training::crew`]). Here are both ends: [`Helpers`] starts them and gives them work, [`start`] is what runs
//! in one. They hold no state, so one that dies is left out and missed by nobody.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use burn::module::Module;
use burn::tensor::Device;
use futures_channel::oneshot;
use js_sys::{Array, Float32Array, Uint8Array};
use serde::{Deserialize, Serialize};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;
use web_sys::{DedicatedWorkerGlobalScope, ErrorEvent, MessageEvent, Worker, WorkerOptions, WorkerType};

use super::port;
use crate::data::Images;
use crate::model::Network;
use crate::training::crew::{Answer, Crew, Done, Work};
use crate::training::slice::{self, Job, Part};
use crate::web::{LIFE_LOCK, WebError, ask_for_lock, field};

/// A worker with such a name is a helper.
const NAME: &str = "helper-";

/// What is posted to a helper.
#[derive(Serialize, Deserialize)]
struct Request {
    job: Job,
    first: u32,
    #[serde(with = "serde_wasm_bindgen::preserve")]
    weights: Float32Array,
    /// All slices' images, one after the other.
    #[serde(with = "serde_wasm_bindgen::preserve")]
    pixels: Uint8Array,
    /// Their labels, an array for each slice.
    #[serde(with = "serde_wasm_bindgen::preserve")]
    labels: Array,
}

/// What a helper answers.
#[derive(Serialize, Deserialize)]
struct Response {
    /// Of each part its first slice and how many there are, its loss and the images read right.
    told: Vec<(u32, u32, f32, f32)>,
    /// Seconds that it took.
    seconds: f64,
    /// How many gradients each tensor has.
    sizes: Vec<u32>,
    /// All parts' gradients, one after the other.
    #[serde(with = "serde_wasm_bindgen::preserve")]
    gradients: Float32Array,
}

/// The helpers of a worker or a page.
#[derive(Default)]
pub struct Helpers {
    living: Rc<RefCell<Vec<Rc<Helper>>>>,
    /// Those that were started and are not known to be ready.
    starting: Vec<oneshot::Receiver<()>>,
}

struct Helper {
    worker: Worker,
    /// Its last answer's gradients, to post the next step's weights in: a new buffer of half a megabyte costs more than what
    /// is copied into it.
    spare: Cell<Option<Float32Array>>,
    /// Who waits for answers, the oldest first. Let go when the helper dies, which each of them notices.
    waiting: RefCell<VecDeque<oneshot::Sender<Done>>>,
    listeners: RefCell<Option<Listeners>>,
    died: Cell<bool>,
}

/// Held as long as they are called.
type Listeners = (Closure<dyn FnMut(MessageEvent)>, Closure<dyn FnMut(ErrorEvent)>);

impl Helpers {
    /// Starts so many workers of `script`, a module that starts this binary. They take part once they say that they
    /// are ready. Where a browser lets no worker start another, there are none.
    pub fn start(script: &str, count: usize) -> Self {
        let mut helpers = Self::default();
        for _ in 0..count {
            if let Err(error) = helpers.add(script) {
                web_sys::console::warn_1(&format!("no helper: {error}").into());
                break;
            }
        }
        helpers
    }

    /// Waits until each is ready, or is known to have failed.
    pub async fn ready(&mut self) {
        for helper in self.starting.drain(..) {
            let _ = helper.await;
        }
    }

    fn add(&mut self, script: &str) -> Result<(), WebError> {
        // A name that no other tab has: locks are shared by all pages of an origin.
        let name = format!("{NAME}{}-{}", js_sys::Date::now(), js_sys::Math::random());
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        options.set_name(&name);
        let worker = Worker::new_with_options(script, &options)?;
        let (waiting, listeners) = (RefCell::default(), RefCell::default());
        let helper = Rc::new(Helper { worker, spare: Cell::default(), waiting, listeners, died: Cell::new(false) });
        let living = self.living.clone();
        let (ready, starting) = oneshot::channel();
        self.starting.push(starting);
        let ready = Rc::new(Cell::new(Some(ready)));
        let on_message = Closure::new({
            let (helper, living, ready) = (helper.clone(), living.clone(), ready.clone());
            move |event: MessageEvent| {
                let data = event.data();
                if data.as_string().as_deref() == Some("ready") {
                    living.borrow_mut().push(helper.clone());
                    watch(&name, &helper, &living);
                    let _ = ready.take().map(|ready| ready.send(()));
                } else if let Some((done, spare)) = done(&data) {
                    helper.spare.set(Some(spare));
                    let waiter = helper.waiting.borrow_mut().pop_front();
                    waiter.map(|waiter| waiter.send(done).ok());
                } else {
                    helper.die(&living);
                }
            }
        });
        let on_error = Closure::new({
            let helper = helper.clone();
            move |event: ErrorEvent| {
                event.prevent_default();
                helper.die(&living);
                drop(ready.take());
            }
        });
        helper.worker.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        helper.worker.set_onerror(Some(on_error.as_ref().unchecked_ref()));
        helper.listeners.replace(Some((on_message, on_error)));
        Ok(())
    }
}

impl Drop for Helpers {
    fn drop(&mut self) {
        for helper in self.living.take() {
            helper.worker.terminate();
        }
    }
}

impl Crew for Helpers {
    fn len(&self) -> usize {
        self.living.borrow().len()
    }

    fn compute(&mut self, index: usize, work: Work) -> Answer {
        let (answer, answered) = oneshot::channel();
        // One that died since it was counted leaves its place to the next, or nobody answers.
        if let Some(helper) = self.living.borrow().get(index) {
            let post = |(request, handed_over): (JsValue, Array)| {
                helper.worker.post_message_with_transfer(&request, &handed_over).map_err(WebError::from)
            };
            match request(&work, helper.spare.take()).and_then(post) {
                Ok(()) => helper.waiting.borrow_mut().push_back(answer),
                Err(error) => web_sys::console::warn_1(&format!("a helper can't be asked: {error}").into()),
            }
        }
        Box::pin(async move { answered.await.ok() })
    }
}

impl Helper {
    fn die(self: &Rc<Self>, living: &RefCell<Vec<Rc<Helper>>>) {
        if !self.died.replace(true) {
            living.borrow_mut().retain(|other| !Rc::ptr_eq(self, other));
            self.worker.terminate();
            self.waiting.borrow_mut().clear();
        }
    }
}

/// Waits for the lock that the helper holds: when it is granted, the helper is gone.
fn watch(name: &str, helper: &Rc<Helper>, living: &Rc<RefCell<Vec<Rc<Helper>>>>) {
    let (helper, living) = (helper.clone(), living.clone());
    let granted = Closure::once_into_js(move || helper.die(&living));
    // Without Web Locks a helper that ends without a word is not noticed; errors are.
    let _ = ask_for_lock(&format!("{LIFE_LOCK}{name}"), &granted);
}

/// What is posted, and which of it is handed over without a copy.
fn request(work: &Work, spare: Option<Float32Array>) -> Result<(JsValue, Array), WebError> {
    let pixels = work.slices.iter().map(|slice| &slice.pixels[..]).collect::<Vec<_>>().concat();
    let (weights, pixels) = (array(spare, work.weights.len()), Uint8Array::from(&pixels[..]));
    weights.copy_from(&work.weights);
    let handed_over = Array::of2(&weights.buffer(), &pixels.buffer());
    let request = Request {
        job: work.job.clone(),
        first: work.first,
        weights,
        pixels,
        labels: work.slices.iter().map(|slice| Uint8Array::from(&slice.labels[..])).collect(),
    };
    Ok((serde_wasm_bindgen::to_value(&request)?, handed_over))
}

/// An array of so many floats: in that one's buffer, if it has room for them.
fn array(spare: Option<Float32Array>, len: usize) -> Float32Array {
    let len = len as u32;
    match spare {
        Some(spare) if spare.length() >= len => spare.subarray(0, len),
        _ => Float32Array::new_with_length(len),
    }
}

/// Copies an array out piece by piece: the next so many floats each time.
fn in_turn(array: Float32Array) -> impl FnMut(usize) -> Vec<f32> {
    let mut end = 0;
    move |len| {
        end += len as u32;
        array.subarray(end - len as u32, end).to_vec()
    }
}

/// What a helper's answer says, and its array of gradients, which is of no more use; `None` if it is none.
fn done(message: &JsValue) -> Option<(Done, Float32Array)> {
    let Response { told, seconds, sizes, gradients } = serde_wasm_bindgen::from_value(message.clone()).ok()?;
    let len = sizes.iter().try_fold(0u32, |sum, &len| sum.checked_add(len))?;
    if told.is_empty() || len.checked_mul(told.len() as u32) != Some(gradients.length()) {
        return None;
    }
    let mut next = in_turn(gradients.clone());
    let part = |(first, slices, loss, correct)| {
        let gradients = sizes.iter().map(|&len| next(len as usize)).collect();
        Part { first, slices, loss, correct, gradients }
    };
    let parts = told.into_iter().map(part).collect();
    Some((Done { parts, took: Duration::try_from_secs_f64(seconds).ok()? }, gradients))
}

/// Helpers that may be of use: as many as there are processors beside the first, and slices beside the first.
pub fn useful() -> usize {
    let processors = field(&field(&js_sys::global(), "navigator"), "hardwareConcurrency").as_f64().unwrap_or(1.0);
    (processors as usize).clamp(1, slice::MOST) - 1
}

/// Whether this worker was started as a helper.
pub fn is_one(scope: &DedicatedWorkerGlobalScope) -> bool {
    scope.name().starts_with(NAME)
}

/// Works as a helper until the worker ends.
pub async fn start(scope: DedicatedWorkerGlobalScope) {
    let on_message = Closure::<dyn FnMut(MessageEvent)>::new({
        let scope = scope.clone();
        move |event: MessageEvent| {
            let scope = scope.clone();
            spawn_local(async move {
                let answered = match answer(event.data()).await {
                    Ok((response, gradients)) => {
                        scope.post_message_with_transfer(&response, &Array::of1(&gradients.buffer()))
                    }
                    // No answer is an answer: whoever asked takes this helper for dead and computes by itself.
                    Err(error) => scope.post_message(&error.0.into()),
                };
                if let Err(error) = answered {
                    web_sys::console::error_2(&"a helper can't answer".into(), &error);
                }
            });
        }
    });
    scope.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    on_message.forget(); // listens as long as the worker lives
    if let Err(error) = port::hold_life_lock().await {
        web_sys::console::warn_1(&format!("no life lock: {error}").into());
    }
    if let Err(error) = scope.post_message(&"ready".into()) {
        web_sys::console::error_2(&"a helper can't say that it is ready".into(), &error);
    }
}

async fn answer(message: JsValue) -> Result<(JsValue, Float32Array), WebError> {
    let Request { job, first, weights, pixels, labels } = serde_wasm_bindgen::from_value(message)?;
    let mut rest = 0;
    let slices: Vec<Images> = labels
        .iter()
        .map(|labels| {
            let labels = Uint8Array::new(&labels).to_vec();
            let start = rest;
            rest += (labels.len() * crate::data::PIXELS) as u32;
            Images { pixels: pixels.subarray(start, rest).to_vec(), labels }
        })
        .collect();
    let device = Device::flex().autodiff();
    let network = Network::filled(&job.network, weights.length() as usize, in_turn(weights.clone()), &device)
        .map_err(|error| WebError(error.to_string()))?
        .train();
    let Done { parts, took } =
        slice::help(&network, &job, first, &slices, &device).await.map_err(|lost| WebError(lost.0))?;
    let all = || parts.iter().flat_map(|part| &part.gradients);
    let gradients = array(Some(weights), all().map(Vec::len).sum());
    let mut end = 0;
    for values in all() {
        let start = end;
        end += values.len() as u32;
        gradients.subarray(start, end).copy_from(values);
    }
    let response = Response {
        told: parts.iter().map(|part| (part.first, part.slices, part.loss, part.correct)).collect(),
        seconds: took.as_secs_f64(),
        sizes: parts
            .first()
            .map(|part| part.gradients.iter().map(|values| values.len() as u32).collect())
            .unwrap_or_default(),
        gradients: gradients.clone(),
    };
    let response = serde_wasm_bindgen::to_value(&response)?;
    Ok((response, gradients))
}
