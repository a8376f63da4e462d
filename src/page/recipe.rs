//! The recipe: a sentence whose words open their field, the sheet with all settings, and the list of keys.

use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{HtmlElement, HtmlInputElement};

use super::Page;
use super::browser::{document, recall, remember};
use super::mast::DeviceChoices;
use super::settings::Field;
use super::state::Action;
use super::words::{Lang, Piece, Text, Token, count};
use crate::model::summary::summarize;
use crate::training::RunConfig;

impl Token {
    fn testid(self) -> &'static str {
        match self {
            Token::Network => "recipe-network",
            Token::Data => "recipe-data",
            Token::Epochs => "recipe-epochs",
            Token::Batch => "recipe-batch",
            Token::Optimizer => "recipe-optimizer",
            Token::LearningRate => "recipe-learning-rate",
        }
    }

    /// The settings that the word stands for.
    fn fields(self) -> &'static [Field] {
        match self {
            Token::Network => &[Field::BatchNorm, Field::Dropout],
            Token::Data => &[Field::TrainSize],
            Token::Epochs => &[Field::Epochs],
            Token::Batch => &[Field::BatchSize],
            Token::Optimizer => &[],
            Token::LearningRate => &[Field::LearningRate],
        }
    }
}

fn is_changed(field: Field, config: &RunConfig) -> bool {
    field.get(config) != field.get(&RunConfig::default())
}

/// The sentence. While a fault is on show, its panel takes the place.
#[component]
pub fn Recipe() -> impl IntoView {
    let page = expect_context::<Page>();
    let pieces = page.slice(move |state| page.lang.get().sentence(state));
    let failed = page.slice(|state| state.phase.name() == "failed");
    let sentence = move || {
        let pieces = pieces.get();
        let mut views = Vec::new();
        let mut at = 0;
        while at < pieces.len() {
            match &pieces[at] {
                Piece::Plain(text) => views.push((*text).into_any()),
                Piece::Word(token, text) => {
                    let word = view! { <Word token=*token text=text.clone() /> };
                    // A comma or a full stop stays on the line of the word before it.
                    match pieces.get(at + 1) {
                        Some(Piece::Plain(next)) if next.starts_with([',', '.', '，', '。']) => {
                            let end = next.chars().next().map_or(0, char::len_utf8);
                            let (mark, rest) = next.split_at(end);
                            views.push(view! { <span class="nb">{word} {mark}</span> {rest} }.into_any());
                            at += 1;
                        }
                        _ => views.push(word.into_any()),
                    }
                }
            }
            at += 1;
        }
        views
    };
    view! {
        <div class="recipebox" hidden=move || failed.get()>
            <p class="recipe">
                {sentence} " "
                <button class="link all" data-testid="recipe-open" on:click=move |_| page.sheet.set(true)>
                    {page.say(Lang::all_settings)}
                </button>
            </p>
            {move || page.word.get().map(|token| view! { <Popover token /> })}
        </div>
    }
}

#[component]
fn Word(token: Token, text: String) -> impl IntoView {
    let page = expect_context::<Page>();
    let changed = page.slice(move |state| token.fields().iter().any(|field| is_changed(*field, &state.settings)));
    if token.fields().is_empty() {
        return view! { <span class="word" data-testid=token.testid()>{text}</span> }.into_any();
    }
    view! {
        <button
            class="tok"
            class:changed=move || changed.get()
            data-testid=token.testid()
            aria-haspopup="dialog"
            aria-expanded=move || (page.word.get() == Some(token)).to_string()
            on:click=move |_| page.word.update(|open| *open = if *open == Some(token) { None } else { Some(token) })
        >
            {text}
        </button>
    }
    .into_any()
}

/// One word's fields, under the word.
#[component]
fn Popover(token: Token) -> impl IntoView {
    let page = expect_context::<Page>();
    let popover = NodeRef::<html::Div>::new();
    let word = move || {
        let selector = format!("[data-testid={}]", token.testid());
        document().query_selector(&selector).ok().flatten().and_then(|word| word.dyn_into::<HtmlElement>().ok())
    };
    popover.on_load(move |popover| {
        if let Some(word) = word() {
            let room = popover.offset_parent().map_or(0, |parent| parent.client_width() - popover.offset_width());
            let style = web_sys::HtmlElement::style(&popover);
            let _ = style.set_property("left", &format!("{}px", word.offset_left().min(room).max(0)));
            let _ = style.set_property("top", &format!("{}px", word.offset_top() + word.offset_height() + 6));
        }
        if let Ok(Some(input)) = popover.query_selector("input") {
            let input = input.unchecked_into::<HtmlInputElement>();
            let _ = input.focus();
            input.select();
        }
    });
    on_cleanup(move || {
        if let Some(word) = word() {
            let _ = word.focus();
        }
    });
    let outside = window_event_listener(leptos::ev::pointerdown, move |event| {
        let target = event.target().and_then(|target| target.dyn_into::<web_sys::Node>().ok());
        let inside = popover.get_untracked().is_some_and(|popover| popover.contains(target.as_ref()));
        let on_word = word().is_some_and(|word| word.contains(target.as_ref()));
        if !inside && !on_word {
            page.word.set(None);
        }
    });
    on_cleanup(move || outside.remove());
    let fields = token.fields().iter().map(|field| view! { <Setting field=*field place="word" /> }).collect::<Vec<_>>();
    view! {
        <div class="pop" role="dialog" data-testid="recipe-popover" node_ref=popover>
            {fields}
        </div>
    }
}

/// One setting: its name, what it does, its value, and the default where it differs.
#[component]
fn Setting(field: Field, place: &'static str) -> impl IntoView {
    let page = expect_context::<Page>();
    let value = page.slice(move |state| field.get(&state.settings));
    let changed = page.slice(move |state| is_changed(field, &state.settings));
    let error = RwSignal::new(None);
    let id = format!("{place}-{}", field.name());
    let input = NodeRef::<html::Input>::new();
    let set = move |text: &str| {
        let mut settings = page.state.with_untracked(|state| state.settings.clone());
        match field.set(&mut settings, text) {
            Ok(()) => {
                error.set(None);
                page.act(Action::Configure(settings));
            }
            Err(bounds) => error.set(Some(bounds)),
        }
        // What could not be taken leaves the field as it was typed, with the bounds under it.
        if let (Some(input), true) = (input.get_untracked(), error.with_untracked(Option::is_none)) {
            input.set_value(&value.get_untracked());
        }
    };
    let control = if field == Field::BatchNorm {
        view! {
            <span class="in bare">
                <button
                    class="sw"
                    class:on=move || value.get() == "true"
                    role="switch"
                    id=id.clone()
                    aria-checked=move || value.get()
                    data-testid=format!("setting-{}", field.name())
                    on:click=move |_| set(if value.get_untracked() == "true" { "false" } else { "true" })
                ></button>
            </span>
        }
        .into_any()
    } else {
        let default = field.get(&RunConfig::default());
        let reset_to = default.clone();
        view! {
            <span class="in" class:ch=move || changed.get() class:wrong=move || error.get().is_some()>
                <input
                    node_ref=input
                    id=id.clone()
                    inputmode="decimal"
                    autocomplete="off"
                    data-testid=format!("setting-{}", field.name())
                    aria-invalid=move || error.get().is_some().then_some("true")
                    prop:value=move || value.get()
                    on:change=move |event| set(&event_target_value(&event))
                    on:keydown=move |event| {
                        if event.key() == "Enter" && place == "word" {
                            set(&event_target_value(&event));
                            if error.with_untracked(Option::is_none) {
                                page.word.set(None);
                            }
                        }
                    }
                />
                {(field == Field::Seed)
                    .then(|| {
                        view! {
                            <button
                                class="reset"
                                data-testid="seed-new"
                                on:click=move |_| set(&((js_sys::Math::random() * 1e6) as u32).to_string())
                            >
                                {page.say(Lang::new_seed)}
                            </button>
                        }
                    })}
                <Show when=move || changed.get() && field != Field::Seed>
                    <button
                        class="reset"
                        data-testid=format!("reset-{}", field.name())
                        on:click={
                            let reset_to = reset_to.clone();
                            move |_| set(&reset_to)
                        }
                    >
                        {default.clone()}
                    </button>
                </Show>
            </span>
        }
        .into_any()
    };
    view! {
        <div class="field">
            <label for=id>{move || page.lang.get().field(field)}</label>
            <p>{move || page.lang.get().effect(field)}</p>
            {control}
            {move || {
                error
                    .get()
                    .map(|bounds| view! { <p class="wrong" role="alert">{page.lang.get().bounds(&bounds)}</p> })
            }}
        </div>
    }
}

/// A native modal dialog that follows a signal: the browser holds the focus inside, closes it on Esc and gives the
/// focus back.
#[component]
fn Modal(
    open: RwSignal<bool>,
    class: &'static str,
    testid: &'static str,
    title: Text,
    children: Children,
) -> impl IntoView {
    let page = expect_context::<Page>();
    let dialog = NodeRef::<html::Dialog>::new();
    Effect::new(move |_| {
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
            on:close=move |_| open.set(false)
            on:click=move |event| {
                // The dialog itself is only hit outside of what it holds: on the backdrop.
                let on_backdrop = event.target().map(JsCast::unchecked_into::<web_sys::Element>);
                if on_backdrop.is_some_and(|target| target.tag_name() == "DIALOG") {
                    open.set(false);
                }
            }
        >
            <div class="drawer">
                <header>
                    <h2 id=format!("{testid}-title")>{page.say(title)}</h2>
                    <button
                        class="icon"
                        data-testid=format!("{testid}-close")
                        aria-label=page.say(Lang::close)
                        on:click=move |_| open.set(false)
                    >
                        "✕"
                    </button>
                </header>
                {children()}
            </div>
        </dialog>
    }
}

/// All settings.
#[component]
pub fn Sheet() -> impl IntoView {
    let page = expect_context::<Page>();
    let changed = page.slice(|state| {
        let changed = Field::ALL.iter().filter(|field| is_changed(**field, &state.settings)).count();
        (changed, state.is_busy())
    });
    let config = page.slice(|state| state.settings.network.clone());
    let summary = Memo::new(move |_| summarize(&config.get()));
    let network =
        page.slice(|state| (state.settings.network.convolutions.len(), state.settings.network.dense.len() + 1));
    let chosen = page.slice(|state| state.device.clone());
    view! {
        <Modal open=page.sheet class="over" testid="recipe" title=Lang::recipe>
            <div class="body">
                <Setting field=Field::Epochs place="sheet" />
                <Setting field=Field::BatchSize place="sheet" />
                <Setting field=Field::LearningRate place="sheet" />
                <Setting field=Field::TrainSize place="sheet" />
                <Setting field=Field::Seed place="sheet" />
                <details class="grp" open>
                    <summary>
                        {page.say(Lang::network)}
                        <span>
                            {move || {
                                let parameters = summary.get().map_or(0, |summary| summary.parameters());
                                let (convolutions, dense) = network.get();
                                page.lang.get().network_summary(convolutions, dense, parameters)
                            }}
                        </span>
                    </summary>
                    <div class="inner">
                        <Setting field=Field::BatchNorm place="sheet" />
                        <Setting field=Field::Dropout place="sheet" />
                        <Summary />
                    </div>
                </details>
                <details class="grp">
                    <summary>
                        {page.say(Lang::device)}
                        <span>
                            {move || {
                                chosen.get().map(|device| page.lang.get().chosen(device.kind, &device.reason))
                            }}
                        </span>
                    </summary>
                    <div class="inner">
                        <DeviceChoices />
                    </div>
                </details>
            </div>
            <footer>
                <span class="dim">
                    {move || {
                        let (changed, busy) = changed.get();
                        page.lang.get().changes(changed, busy)
                    }}
                </span>
                <button
                    class="link"
                    data-testid="recipe-reset"
                    on:click=move |_| page.act(Action::Configure(RunConfig::default()))
                >
                    {page.say(Lang::back_to_defaults)}
                </button>
            </footer>
        </Modal>
    }
}

/// The network, layer by layer, as Keras prints it.
#[component]
fn Summary() -> impl IntoView {
    let page = expect_context::<Page>();
    let config = page.slice(|state| state.settings.network.clone());
    let summary = Memo::new(move |_| summarize(&config.get()).ok());
    let shape = |output: &[usize]| output.iter().map(usize::to_string).collect::<Vec<_>>().join(" × ");
    view! {
        <table class="tbl summary" data-testid="summary">
            <thead>
                <tr>
                    <th>{page.say(Lang::layer)}</th>
                    <th>{page.say(Lang::output_shape)}</th>
                    <th class="num">{page.say(Lang::parameters)}</th>
                </tr>
            </thead>
            <tbody>
                {move || {
                    summary
                        .get()
                        .into_iter()
                        .flat_map(|summary| summary.layers)
                        .map(|layer| {
                            view! {
                                <tr>
                                    <td>{layer.name}</td>
                                    <td>{shape(&layer.output)}</td>
                                    <td class="num">{count(layer.parameters as u32)}</td>
                                </tr>
                            }
                        })
                        .collect::<Vec<_>>()
                }}
            </tbody>
            <tfoot>
                <tr>
                    <td colspan="2">{page.say(Lang::total)}</td>
                    <td class="num" data-testid="summary-total">
                        {move || summary.get().map(|summary| count(summary.parameters() as u32))}
                    </td>
                </tr>
            </tfoot>
        </table>
    }
}

/// The list of keys, and the switch that turns them off.
#[component]
pub fn Keys() -> impl IntoView {
    let page = expect_context::<Page>();
    let on = RwSignal::new(recall("keys").as_deref() != Some("off"));
    let keys: [(&str, Text); 6] = [
        ("T", Lang::key_train),
        ("S", Lang::key_step),
        ("C", Lang::key_clear),
        ("R", Lang::key_recipe),
        ("?", Lang::key_list),
        ("Esc", Lang::key_escape),
    ];
    let rows = keys.map(|(key, words)| {
        view! {
            <div class="key">
                <dt>
                    <kbd>{key}</kbd>
                </dt>
                <dd>{page.say(words)}</dd>
            </div>
        }
    });
    view! {
        <Modal open=page.keys class="over" testid="keys" title=Lang::keyboard>
            <div class="body">
                <dl class="keylist">{rows}</dl>
                <div class="field">
                    <label for="keys-on">{page.say(Lang::shortcuts)}</label>
                    <span class="in bare">
                        <button
                            class="sw"
                            class:on=move || on.get()
                            id="keys-on"
                            data-testid="keys-on"
                            role="switch"
                            aria-checked=move || on.get().to_string()
                            on:click=move |_| {
                                on.update(|on| *on = !*on);
                                remember("keys", (!on.get_untracked()).then_some("off"));
                            }
                        ></button>
                    </span>
                </div>
            </div>
        </Modal>
    }
}
