//! Numbers as people write them, in fields and in the address. The browser reads the fractions: Rust's own reader
//! brings tables of ten kilobytes, which no compression makes smaller.

use wasm_bindgen::JsValue;

/// What [`read`] reads.
pub trait Number: Sized {
    /// The number that the text is, if it is one of the kind.
    fn of(text: &str) -> Option<Self>;
}

/// Reads a number: digits, a point, an exponent, a sign; nothing else, and no infinity.
pub fn read<T: Number>(text: &str) -> Option<T> {
    T::of(text)
}

macro_rules! whole {
    ($($kind:ty)*) => {
        $(impl Number for $kind {
            fn of(text: &str) -> Option<Self> {
                text.parse().ok()
            }
        })*
    };
}

whole!(u32 usize);

impl Number for f64 {
    fn of(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
        if text.is_empty() || !text.bytes().all(plain) {
            return None;
        }
        // What JavaScript's unary plus makes of it: NaN if it is no number.
        let number = JsValue::from_str(text).unchecked_into_f64();
        number.is_finite().then_some(number)
    }
}

impl Number for f32 {
    fn of(text: &str) -> Option<Self> {
        f64::of(text).map(|number| number as f32)
    }
}
