//! The edge to JavaScript that worker and page share: the one error that is made from what it throws, and the reading
//! of an object's field.

use js_sys::Reflect;
use wasm_bindgen::{JsCast, JsValue};

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

impl From<serde_wasm_bindgen::Error> for WebError {
    fn from(error: serde_wasm_bindgen::Error) -> Self {
        Self(error.to_string())
    }
}

/// A field of an object; `undefined` of what is none.
pub fn field(object: &JsValue, name: &str) -> JsValue {
    Reflect::get(object, &JsValue::from_str(name)).unwrap_or(JsValue::UNDEFINED)
}
