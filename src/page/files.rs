//! Files in and out: the export menu, the field that opens a file, and what came of it. What is dropped on the page
//! comes by [`super::drop`] and goes the same way.

use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;
use web_sys::{HtmlElement, HtmlInputElement};

use super::Page;
use super::browser::{document, narrow, on_press};
use super::state::files::Act;
use super::state::{Action, PageState};
use super::words::Lang;
use crate::page::reactive::{Show, Views, effect, handler, live, on_load};
use crate::protocol::FileKind;
use crate::shelf::ModelId;

const KINDS: [(FileKind, &str); 5] = [
    (FileKind::Safetensors, "export-safetensors"),
    (FileKind::Onnx, "export-onnx"),
    (FileKind::Csv, "export-csv"),
    (FileKind::TensorBoard, "export-tensorboard"),
    (FileKind::Run, "export-run"),
];

/// The export button and its menu: beside the run's buttons, or on a phone among the models. There while there is a
/// network to export.
#[component]
pub fn Export(
    /// Whether this is the phone's place.
    phone: bool,
) -> impl IntoView {
    let page = expect_context::<Page>();
    let narrow = narrow();
    let there = page.slice(|state| state.can_export() && !state.failed());
    live(move || (there.get() && narrow.get() == phone).then(|| view! { <Menu model=None /> }))
}

/// The button and its menu.
#[component]
pub fn Menu(
    /// A model of the shelf; `None`: what is on show.
    model: Option<ModelId>,
) -> impl IntoView {
    let page = expect_context::<Page>();
    let open = RwSignal::new(false);
    let place = NodeRef::<html::Div>::new();
    let button = NodeRef::<html::Button>::new();
    on_press(move |target| {
        if !place.get_untracked().is_some_and(|place| place.contains(target)) {
            open.set(false);
        }
    });
    let close = move || {
        open.set(false);
        if let Some(button) = button.get_untracked() {
            let _ = button.focus();
        }
    };
    // A menu's keys: arrows go round its items, Escape and Tab leave it.
    let keys = move |event: leptos::ev::KeyboardEvent| {
        let Some(place) = place.get_untracked() else { return };
        let Ok(items) = place.query_selector_all("[role=menuitem]") else { return };
        let items: Vec<HtmlElement> =
            (0..items.length()).filter_map(|index| items.get(index)?.dyn_into().ok()).collect();
        let active = document().active_element();
        let at = items.iter().position(|item| active.as_ref().is_some_and(|active| item.is_same_node(Some(active))));
        let last = items.len().saturating_sub(1);
        let to = match (event.key().as_str(), at) {
            ("Escape", _) => return close(),
            ("Tab", _) => return open.set(false),
            ("ArrowDown", Some(at)) => {
                if at == last {
                    0
                } else {
                    at + 1
                }
            }
            ("ArrowUp", Some(at)) => at.checked_sub(1).unwrap_or(last),
            ("ArrowDown" | "Home", _) => 0,
            ("ArrowUp" | "End", _) => last,
            _ => return,
        };
        event.prevent_default();
        if let Some(item) = items.get(to) {
            let _ = item.focus();
        }
    };
    let items = move || {
        let list = NodeRef::<html::Div>::new();
        on_load(list, |list| {
            if let Ok(Some(first)) = list.query_selector("[role=menuitem]") {
                let _ = first.unchecked_into::<HtmlElement>().focus();
            }
        });
        let item = |(kind, testid)| {
            let words = move || page.lang.get().file_kind(kind);
            view! {
                <button
                    role="menuitem"
                    tabindex="-1"
                    data-testid=testid
                    on:click=handler(move |_| {
                        page.act(Action::Files(Act::Export(kind, model)));
                        close();
                    })
                >
                    <b>{move || words().0}</b>
                    <span class="small dim">{move || words().1}</span>
                </button>
            }
        };
        view! {
            <div class="pop menu" role="menu" aria-label=page.say(Lang::export) node_ref=list>
                {KINDS.map(item).views()}
            </div>
        }
    };
    view! {
        <div class="menubox" node_ref=place on:keydown=handler(keys)>
            <button
                class=if model.is_some() { "link" } else { "btn big" }
                data-testid=model.map_or_else(|| "export".to_owned(), |id| format!("model-export-{}", id.0))
                aria-haspopup="menu"
                aria-expanded=move || open.get().to_string()
                node_ref=button
                on:click=handler(move |_| open.update(|open| *open = !*open))
            >
                <span>{page.say(Lang::export)}</span>
                <svg viewBox="0 0 12 12" aria-hidden="true">
                    <path fill="none" stroke="currentColor" stroke-width="1.6" d="M2 4l4 4 4-4" />
                </svg>
            </button>
            {move || open.get().then(items)}
        </div>
    }
}

/// What came of the file that was opened last.
#[component]
pub fn Notice() -> impl IntoView {
    let page = expect_context::<Page>();
    let opened = page.slice(|state| state.files.opened.clone());
    effect(move || {
        if let Some(opened) = opened.get() {
            page.announce(page.lang.get_untracked().opened_file(&opened));
        }
    });
    live(move || {
        let text = page.lang.get().opened_file(&opened.get()?);
        Some(view! { <p class="note" data-testid="file-note">{text}</p> })
    })
}

/// The room of the models while none is kept: files come in here, and on a phone they go out from here too.
#[component]
pub fn Room() -> impl IntoView {
    let page = expect_context::<Page>();
    let shelf = page.slice(PageState::has_shelf);
    view! {
        <Show when=move || !shelf.get()>
            <section class="sec" id="models" data-testid="models-empty">
                <header>
                    <h2 class="t">{page.say(Lang::models)}</h2>
                    <p>{page.say(Lang::no_models)}</p>
                </header>
                <OpenFile />
            </section>
        </Show>
        <p class="dropnote" aria-hidden="true">
            {page.say(Lang::drop_here)}
        </p>
    }
}

/// The field that opens a file, and on a phone the export menu.
#[component]
pub fn OpenFile() -> impl IntoView {
    let page = expect_context::<Page>();
    let field = NodeRef::<html::Input>::new();
    let chosen = move |_| {
        let Some(field) = field.get_untracked() else { return };
        if let Some(files) = field.files() {
            super::drop::open(page, files);
        }
        // So that the same file can be chosen again.
        field.set_value("");
    };
    view! {
        <div class="row openfile">
        <label class="btn filebtn">
            <input
                class="vh"
                type="file"
                multiple
                data-testid="model-import"
                aria-describedby="open-file-which"
                node_ref=field
                on:change=handler(chosen)
            />
            <span>{page.say(Lang::open_file)}</span>
        </label>
        <Export phone=true />
        <span class="small dim" id="open-file-which">{page.say(Lang::open_file_which)}</span>
        </div>
    }
}

/// Opens the browser's own box of files, by a field of its own: the page's may not be there yet.
pub fn choose(page: Page) {
    let Ok(field) = document().create_element("input") else { return };
    let field: HtmlInputElement = field.unchecked_into();
    field.set_type("file");
    field.set_multiple(true);
    let chosen = Closure::once_into_js({
        let field = field.clone();
        move || {
            if let Some(files) = field.files() {
                super::drop::open(page, files);
            }
        }
    });
    field.set_onchange(Some(chosen.unchecked_ref()));
    field.click();
}
