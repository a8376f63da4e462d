//! A sheet over the page.

use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast;

use super::Page;
use super::words::{Lang, Text};
use crate::page::reactive::{effect, handler};

/// A native modal dialog that follows a signal: the browser holds the focus inside, closes it on Esc and gives the
/// focus back.
#[component]
pub fn Modal(
    open: RwSignal<bool>,
    class: &'static str,
    testid: &'static str,
    title: Text,
    children: Children,
) -> impl IntoView {
    let page = expect_context::<Page>();
    let dialog = NodeRef::<html::Dialog>::new();
    effect(move || {
        let Some(dialog) = dialog.get() else { return };
        if open.get() && !dialog.open() {
            let _ = dialog.show_modal();
        } else if !open.get() && dialog.open() {
            dialog.close();
        }
    });
    view! {
        <dialog
            class=class
            data-testid=testid
            aria-labelledby=format!("{testid}-title")
            node_ref=dialog
            on:close=handler(move |_| open.set(false))
            on:click=handler(move |event: leptos::ev::MouseEvent| {
                // The dialog itself is only hit outside of what it holds: on the backdrop.
                let on_backdrop = event.target().map(JsCast::unchecked_into::<web_sys::Element>);
                if on_backdrop.is_some_and(|target| target.tag_name() == "DIALOG") {
                    open.set(false);
                }
            })
        >
            <div class="drawer">
                <header>
                    <h2 id=format!("{testid}-title")>{page.say(title)}</h2>
                    <button
                        class="icon"
                        data-testid=format!("{testid}-close")
                        aria-label=page.say(Lang::close)
                        on:click=handler(move |_| open.set(false))
                    >
                        "✕"
                    </button>
                </header>
                {children()}
            </div>
        </dialog>
    }
}
