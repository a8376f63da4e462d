//! Which worker to fetch: the one with WebGPU, ten times as large, only where a usable adapter was found; the CPU's in
//! the form that the browser can run fastest.
//!
//! Asked through `navigator.gpu` by name: the typed bindings of WebGPU are unstable in web-sys, and three fields are
//! all that is needed. What the worker then opened is what the page shows.

use js_sys::{Function, Object, Promise, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use super::browser::window;
use super::state::DeviceChoice;
use crate::protocol::{DeviceKind, DeviceReason};
use crate::web::{WebError, field};

/// What burn's kernels are measured with; without it, the backend does not open.
const NEEDED_FEATURE: &str = "timestamp-query";

/// Words by which an adapter that is emulated on the CPU gives itself away.
const SOFTWARE: [&str; 4] = ["swiftshader", "llvmpipe", "software", "basic render"];

/// Chooses.
pub async fn choose(choice: DeviceChoice) -> (DeviceKind, DeviceReason) {
    if choice == DeviceChoice::Cpu {
        return (DeviceKind::Cpu, DeviceReason::Asked);
    }
    let adapter = match request_adapter().await {
        Ok(adapter) => adapter,
        Err(reason) => return (DeviceKind::Cpu, reason),
    };
    if !has_feature(&adapter, NEEDED_FEATURE) {
        return (DeviceKind::Cpu, DeviceReason::MissingFeature(NEEDED_FEATURE.into()));
    }
    if choice == DeviceChoice::WebGpu {
        return (DeviceKind::WebGpu, DeviceReason::Asked);
    }
    if is_software(&adapter) {
        return (DeviceKind::Cpu, DeviceReason::SoftwareAdapter);
    }
    (DeviceKind::WebGpu, DeviceReason::UsableGpu)
}

/// Whether this browser has relaxed SIMD, with which the CPU's worker multiplies and adds in one instruction.
pub fn has_relaxed_simd() -> bool {
    // The smallest module with such an instruction: twice i32.const 0 and i8x16.splat, i8x16.relaxed_swizzle, drop.
    const MODULE: [u8; 36] = [
        0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 10, 16, 1, 14, 0, 65, 0, 253, 15, 65, 0, 253, 15,
        253, 128, 2, 26, 11,
    ];
    js_sys::WebAssembly::validate(&js_sys::Uint8Array::from(&MODULE[..])).unwrap_or(false)
}

async fn request_adapter() -> Result<JsValue, DeviceReason> {
    let gpu = field(window().navigator().as_ref(), "gpu");
    if gpu.is_undefined() || gpu.is_null() {
        return Err(DeviceReason::NoWebGpu);
    }
    let options = Object::new();
    let _ = Reflect::set(&options, &"powerPreference".into(), &"high-performance".into());
    let asked = async {
        let promise = field(&gpu, "requestAdapter").dyn_into::<Function>()?.call1(&gpu, &options)?;
        JsFuture::from(promise.dyn_into::<Promise>()?).await
    };
    match asked.await.map_err(WebError::from) {
        Ok(adapter) if adapter.is_object() => Ok(adapter),
        Ok(_) => Err(DeviceReason::NoAdapter),
        Err(error) => Err(DeviceReason::Refused(error.0)),
    }
}

fn has_feature(adapter: &JsValue, name: &str) -> bool {
    let features = field(adapter, "features");
    let has = field(&features, "has").dyn_into::<Function>();
    has.and_then(|has| has.call1(&features, &name.into())).is_ok_and(|has| has.is_truthy())
}

fn is_software(adapter: &JsValue) -> bool {
    let info = field(adapter, "info");
    let flagged = [&info, adapter].into_iter().any(|object| field(object, "isFallbackAdapter").is_truthy());
    let named = ["vendor", "architecture", "description", "device"].into_iter().any(|name| {
        let text = field(&info, name).as_string().unwrap_or_default().to_ascii_lowercase();
        SOFTWARE.iter().any(|word| text.contains(word))
    });
    flagged || named
}
