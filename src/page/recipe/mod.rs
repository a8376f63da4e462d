//! The recipe: a sentence whose words open their fields, and the [`sheet`] with all settings.

mod augmentation;
mod fields;
mod network;
mod schedule;
mod sheet;

use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::{HtmlElement, HtmlInputElement};

pub(super) use self::fields::{Place, Setting};
pub use self::sheet::{Group, Sheet};
use super::browser::{document, on_press};
use super::settings::layers::repair;
use super::settings::{Field, is_changed};
use super::state::{Action, PageState};
use super::words::{Lang, Piece, Text, Token};
use super::{Page, finetune};
use crate::page::reactive::{Views, handler, live, on_load};
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
            Token::Start => "finetune-start",
            Token::Freeze => "finetune-freeze",
            Token::NewData => "finetune-data",
        }
    }

    /// The settings that the word opens.
    fn fields(self) -> &'static [Field] {
        match self {
            Token::Network => &[Field::BatchNorm, Field::Dropout],
            Token::Data => &[Field::TrainSize],
            Token::Epochs => &[Field::Epochs],
            Token::Batch => &[Field::BatchSize],
            Token::Optimizer => &[Field::Optimizer, Field::Momentum],
            Token::LearningRate => &[Field::LearningRate, Field::Schedule],
            // What they open is a part of [`finetune`].
            Token::Start | Token::Freeze | Token::NewData => &[],
        }
    }

    /// The group of the sheet that has more of the same.
    fn group(self) -> Option<(Group, Text)> {
        match self {
            Token::Network => Some((Group::Network, Lang::edit_layers)),
            Token::Data => Some((Group::Augmentation, Lang::augmentation)),
            Token::LearningRate => Some((Group::Schedule, Lang::schedule_and_stopping)),
            _ => None,
        }
    }

    /// All that the word stands for: what it opens, and what has its place in the sheet.
    fn meaning(self) -> impl Iterator<Item = Field> {
        let more: &[Field] = match self {
            Token::Network => &[Field::Network],
            Token::LearningRate => &[Field::DecayEvery, Field::DecayFactor, Field::WarmUp],
            _ => &[],
        };
        self.fields().iter().chain(more).copied()
    }

    /// Whether any of it is not as by default.
    fn is_changed(self, state: &PageState) -> bool {
        self.meaning().any(|field| is_changed(field, &state.settings))
    }

    const ALL: [Token; 6] =
        [Token::Network, Token::Data, Token::Epochs, Token::Batch, Token::Optimizer, Token::LearningRate];
}

/// Whether something is changed that no word of the sentence stands for.
fn other_changes(state: &PageState) -> bool {
    let named = |field: &Field| Token::ALL.iter().any(|token| token.meaning().any(|meant| meant == *field));
    Field::all().any(|field| is_changed(field, &state.settings) && !named(&field))
}

/// The sentence. While a fault is on show, its panel takes the place.
#[component]
pub fn Recipe() -> impl IntoView {
    let page = expect_context::<Page>();
    let pieces = page.slice(move |state| page.lang.get().sentence(state));
    let failed = page.slice(|state| state.failed());
    let others = page.slice(other_changes);
    let sentence = live(move || {
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
    });
    view! {
        <div class="recipebox" hidden=move || failed.get()>
            <p class="recipe">
                {sentence} " "
                <button
                    class="link all"
                    class:changed=move || others.get()
                    data-testid="recipe-open"
                    on:click=handler(move |_| page.sheet.set(true))
                >
                    {page.say(Lang::all_settings)}
                </button>
            </p>
            <Unfit testid="recipe-error" />
            {live(move || page.word.get().map(|token| view! { <Popover token /> }))}
        </div>
    }
}

#[component]
fn Word(token: Token, text: String) -> impl IntoView {
    let page = expect_context::<Page>();
    let changed = page.slice(move |state| token.is_changed(state));
    view! {
        <button
            class="tok"
            class:changed=move || changed.get()
            data-testid=token.testid()
            aria-haspopup="dialog"
            aria-expanded=move || (page.word.get() == Some(token)).to_string()
            on:click=handler(move |_| page.word.update(|open| *open = if *open == Some(token) { None } else { Some(token) }))
        >
            {text}
        </button>
    }
}

/// Why the network can't be built, and the way on. Nothing where it can.
#[component]
fn Unfit(testid: &'static str) -> impl IntoView {
    let page = expect_context::<Page>();
    let error = page.slice(PageState::network_error);
    live(move || {
        error.get().map(|error| {
            let way = page.state.with_untracked(|state| repair(&state.settings.network, &error)).map(|(way, _)| {
                view! {
                    <button class="link" data-testid=format!("{testid}-repair") on:click=handler(move |_| mend(page))>
                        {page.lang.get().repair(way)}
                    </button>
                }
            });
            view! {
                <p class="wrong" data-testid=testid role="alert">
                    {page.lang.get().network_error(&error)} " " {way}
                </p>
            }
        })
    })
}

/// Takes the way on from a network that can't be built.
fn mend(page: Page) {
    let mended = page.state.with_untracked(|state| {
        let (_, network) = repair(&state.settings.network, &state.network_error()?)?;
        Some(RunConfig { network, ..state.settings.clone() })
    });
    if let Some(settings) = mended {
        page.act(Action::Configure(settings));
    }
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
    on_load(popover, move |popover| {
        if let Some(word) = word() {
            let room = popover.offset_parent().map_or(0, |parent| parent.client_width() - popover.offset_width());
            let style = web_sys::HtmlElement::style(&popover);
            let _ = style.set_property("left", &format!("{}px", word.offset_left().min(room).max(0)));
            let _ = style.set_property("top", &format!("{}px", word.offset_top() + word.offset_height() + 6));
        }
        let chosen = popover.query_selector("[aria-checked=true]").ok().flatten();
        let first = || popover.query_selector("input,select,button").ok().flatten();
        if let Some(control) = chosen.or_else(first) {
            let _ = control.unchecked_ref::<HtmlElement>().focus();
            if let Some(input) = control.dyn_ref::<HtmlInputElement>() {
                input.select();
            }
        }
    });
    on_cleanup(move || {
        if let Some(word) = word() {
            let _ = word.focus();
        }
    });
    on_press(move |target| {
        let inside = popover.get_untracked().is_some_and(|popover| popover.contains(target));
        let on_word = word().is_some_and(|word| word.contains(target));
        if !inside && !on_word {
            page.word.set(None);
        }
    });
    let fields = token.fields().iter().map(|field| view! { <Setting field=*field place=Place::Word /> }).views();
    let more = token.group().map(|(group, words)| {
        view! {
            <button
                class="link"
                data-testid="recipe-more"
                on:click=handler(move |_| {
                    page.word.set(None);
                    page.group.set(Some(group));
                    page.sheet.set(true);
                })
            >
                {page.say(words)}
            </button>
        }
    });
    view! {
        <div class="pop" role="dialog" aria-label=page.say(Lang::recipe) data-testid="recipe-popover" node_ref=popover>
            {fields}
            {match token {
                Token::Start => Some(view! { <finetune::StartChoices /> }.into_any()),
                Token::Freeze => Some(view! { <finetune::FreezeChoices /> }.into_any()),
                Token::NewData => Some(view! { <finetune::DataChoices /> }.into_any()),
                _ => None,
            }}
            {more}
        </div>
    }
}
