//! The worker's ends: messages in and out, the lock that tells the page that this worker lives, the browser's turn.

use futures_channel::mpsc::UnboundedSender;
use futures_channel::oneshot;
use futures_util::future::{Either, select};
use js_sys::Promise;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{DedicatedWorkerGlobalScope, MessageChannel, MessageEvent};

use super::Input;
use crate::protocol::Event;
use crate::web::{LIFE_LOCK, WebError, ask_for_lock, field, pack, unpack};

fn scope() -> DedicatedWorkerGlobalScope {
    js_sys::global().unchecked_into()
}

/// Sends an event to the page.
pub fn post(event: &Event) {
    let sent =
        pack(event).and_then(|(message, handed_over)| Ok(scope().post_message_with_transfer(&message, &handed_over)?));
    if let Err(error) = sent {
        web_sys::console::error_2(&"an event could not be sent".into(), &error.0.into());
    }
}

/// Puts each command that arrives into the inbox. What is no command is named on the console and left out.
pub fn listen(inbox: UnboundedSender<Input>) {
    let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |message: MessageEvent| {
        match unpack(&message.data()) {
            // The receiver lives as long as the worker.
            Ok(command) => drop(inbox.unbounded_send(Input::Command(command))),
            Err(error) => web_sys::console::error_2(&"not a command".into(), &error.0.into()),
        }
    });
    scope().set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    on_message.forget(); // listens as long as the worker lives
}

/// Lets the page know the words of a panic; the instance is lost after it.
pub fn report_panics() {
    std::panic::set_hook(Box::new(|info| {
        let message = js_sys::Object::new();
        let set = |key: &str, value: String| js_sys::Reflect::set(&message, &key.into(), &value.into());
        let posted = set("type", "panic".into())
            .and_then(|_| set("message", info.to_string()))
            .and_then(|_| scope().post_message(&message));
        // Nothing is left to tell an error to but the console, which the next line writes to anyway.
        drop(posted);
        console_error_panic_hook::hook(info);
        scope().close();
    }));
}

/// The address of the script that this worker runs.
pub fn script() -> String {
    field(&field(&scope(), "location"), "href").as_string().unwrap_or_default()
}

/// This worker's name, which no other worker of any tab has.
pub fn name() -> String {
    scope().name()
}

/// Takes the lock `kiln-engine-<name of this worker>` and keeps it until the worker ends, however it ends. The page
/// waits for the same lock: the browser's own word that the worker is gone.
///
/// # Errors
/// The browser has no Web Locks (an insecure address) or refuses.
pub async fn hold_life_lock() -> Result<(), WebError> {
    let name = format!("{LIFE_LOCK}{}", name());
    let (held, granted) = oneshot::channel();
    let callback = Closure::once_into_js(move |_lock: JsValue| {
        let _ = held.send(()); // the receiver waits below
        Promise::new(&mut |_, _| {}) // never settles: the lock is held for life
    });
    let asked = ask_for_lock(&name, &callback)?;
    // What is asked for settles only if it is refused.
    match select(granted, JsFuture::from(asked)).await {
        Either::Left((Ok(()), _)) => Ok(()),
        Either::Right((Err(refused), _)) => Err(refused.into()),
        _ => Err(WebError("the lock was not granted".into())),
    }
}

/// Gives the browser one turn of its event loop. A message to oneself is the shortest one; `setTimeout(0)` is
/// clamped to 4 ms, and a microtask lets no message in.
pub async fn turn() {
    thread_local! {
        static CHANNEL: MessageChannel = MessageChannel::new().expect("every worker can make a channel");
    }
    let promise = Promise::new(&mut |resolve, _| {
        CHANNEL.with(|channel| {
            channel.port1().set_onmessage(Some(&resolve));
            channel.port2().post_message(&JsValue::NULL).expect("null can be posted");
        });
    });
    drop(JsFuture::from(promise).await);
}

/// Waits.
pub async fn sleep(milliseconds: i32) {
    let promise = Promise::new(&mut |resolve, _| {
        scope()
            .set_timeout_with_callback_and_timeout_and_arguments_0(&resolve, milliseconds)
            .expect("a worker has timers");
    });
    drop(JsFuture::from(promise).await);
}
