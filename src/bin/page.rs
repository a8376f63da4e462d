//! The page's binary: takes the place of the static page in `index.html` and starts the engine.

#[cfg(target_arch = "wasm32")]
fn main() {
    use std::rc::Rc;

    use kiln::page::browser::{document, read_address, window};
    use kiln::page::engine::WorkerEngine;
    use kiln::page::{App, Page};
    use kiln::web::field;
    use leptos::prelude::*;
    use wasm_bindgen::JsCast;

    console_error_panic_hook::set_once();
    if field(&window(), "kilnUnsupported").is_truthy() {
        return; // www/check.js has said why
    }
    let Some(body) = document().body() else { return };
    // The static page stands until the real one, which looks the same, is there to take its place.
    let shell = document().get_element_by_id("app").map(|app| app.unchecked_into::<web_sys::HtmlElement>());
    let root = shell.unwrap_or(body);
    root.set_inner_html("");
    mount_to(root, || {
        let page = Page::new(read_address(), |listener| Rc::new(WorkerEngine::new(listener)));
        page.start();
        view! { <App page /> }
    })
    .forget();
}

/// The page is a browser's program; natively there is nothing to run.
#[cfg(not(target_arch = "wasm32"))]
fn main() {}
