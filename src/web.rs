//! The edge to JavaScript that worker and page share: the one error that is made from what it throws, and the reading
//! of an object's field, locks, and the form in which messages travel.

use js_sys::{Array, Function, Promise, Reflect, Uint8Array};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::{JsCast, JsValue};

use crate::protocol::{self, MessageError};

/// What the browser refused, in its own words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WebError(pub String);

impl From<JsValue> for WebError {
    fn from(value: JsValue) -> Self {
        let text = match value.dyn_ref::<js_sys::Error>() {
            Some(error) => Some(error.message().into()),
            None => value.as_string().or_else(|| field(&value, "message").as_string()),
        };
        Self(text.unwrap_or_else(|| format!("{value:?}")))
    }
}

#[cfg(feature = "cpu")]
impl From<serde_wasm_bindgen::Error> for WebError {
    fn from(error: serde_wasm_bindgen::Error) -> Self {
        Self(error.to_string())
    }
}

impl From<MessageError> for WebError {
    fn from(error: MessageError) -> Self {
        Self(error.to_string())
    }
}

/// A message of the protocol as `postMessage` takes it, and what is handed over with it.
pub fn pack(message: &impl Serialize) -> Result<(Uint8Array, Array), WebError> {
    let bytes = Uint8Array::from(protocol::encode(message)?.as_slice());
    let handed_over = Array::of1(&bytes.buffer());
    Ok((bytes, handed_over))
}

/// A message that came.
pub fn unpack<T: DeserializeOwned>(message: &JsValue) -> Result<T, WebError> {
    let bytes = message.dyn_ref::<Uint8Array>().ok_or_else(|| WebError("not a message".into()))?;
    Ok(protocol::decode(&bytes.to_vec())?)
}

/// The name of a worker's life lock begins so and ends with the worker's own name. It holds it as long as it lives, and
/// whoever asks for it too learns when it has ended.
pub const LIFE_LOCK: &str = "kiln-engine-";

/// Asks for a Web Lock, which is held until the promise that `granted` gives settles. web-sys has them behind a flag only.
///
/// # Errors
/// The browser has none: the address is not a secure one.
pub fn ask_for_lock(name: &str, granted: &JsValue) -> Result<Promise, WebError> {
    let locks = field(&field(&js_sys::global(), "navigator"), "locks");
    let request: Function = field(&locks, "request").dyn_into().map_err(|_| WebError("no Web Locks".into()))?;
    Ok(request.call2(&locks, &name.into(), granted)?.unchecked_into())
}

/// A field of an object; `undefined` of what is none.
pub fn field(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &JsValue::from_str(name)).unwrap_or(JsValue::UNDEFINED)
}
