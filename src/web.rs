//! The edge to JavaScript that worker and page share: the one error that is made from what it throws, and the reading
//! of an object's field, and the form in which messages travel.

use js_sys::{Array, Reflect, Uint8Array};
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

/// A field of an object; `undefined` of what is none.
pub fn field(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &JsValue::from_str(name)).unwrap_or(JsValue::UNDEFINED)
}
