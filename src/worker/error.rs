//! The one error that is made from what JavaScript throws.

use wasm_bindgen::{JsCast, JsValue};

/// Something that a browser's function threw or rejected with, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WebError(pub String);

impl From<JsValue> for WebError {
    fn from(value: JsValue) -> Self {
        let text = match value.dyn_ref::<js_sys::Error>() {
            Some(error) => format!("{}: {}", error.name(), error.message()),
            None => value.as_string().unwrap_or_else(|| format!("{value:?}")),
        };
        Self(text)
    }
}
