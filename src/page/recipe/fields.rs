//! A setting's name, what it does, the control that holds its value, and the default where it differs.

use leptos::html;
use leptos::prelude::*;

use crate::page::Page;
use crate::page::reactive::{Memo, Views, handler, live};
use crate::page::settings::{Bounds, Field, is_changed};
use crate::page::state::{Action, Phase};
use crate::page::words::Lang;
use crate::training::RunConfig;

/// Where a setting stands. The same one may stand in several places, and each has names of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the sheet.
    Sheet,
    /// Once more in the sheet, beside the network's layers.
    Network,
    /// Under its word in the sentence.
    Word,
}

impl Place {
    fn name(self) -> &'static str {
        match self {
            Place::Sheet => "setting",
            Place::Network => "network",
            Place::Word => "word",
        }
    }
}

/// Changes the recipe; what it answers is why not.
pub fn change(page: Page, edit: impl FnOnce(&mut RunConfig) -> Result<(), Bounds>) -> Result<(), Bounds> {
    let mut settings = page.state.with_untracked(|state| state.settings.clone());
    edit(&mut settings)?;
    page.act(Action::Configure(settings));
    Ok(())
}

/// One setting.
#[component]
pub fn Setting(field: Field, place: Place) -> impl IntoView {
    let page = expect_context::<Page>();
    let value = page.slice(move |state| field.get(&state.settings));
    let changed = page.slice(move |state| is_changed(field, &state.settings));
    let effect = page.slice(move |state| {
        let running = matches!(state.phase, Phase::Training(_) | Phase::Paused);
        page.lang.get().effect(field, &state.settings, running)
    });
    // What has no effect with what else is chosen is not shown.
    let meant = page.slice(move |state| match field {
        Field::Momentum => Field::Optimizer.get(&state.settings) == "sgd",
        Field::DecayEvery | Field::DecayFactor => Field::Schedule.get(&state.settings) == "step",
        _ => true,
    });
    let error = RwSignal::new(None);
    let id = format!("{}-{}", place.name(), field.name());
    let testid = id.clone();
    let set = Callback::new(move |text: String| {
        let taken = change(page, |settings| field.set(settings, &text));
        error.set(taken.err());
    });
    let control = if field == Field::BatchNorm {
        view! {
            <span class="in bare">
                <button
                    class="sw"
                    class:on=move || value.get() == "true"
                    role="switch"
                    id=id.clone()
                    aria-checked=move || value.get()
                    data-testid=testid
                    on:click=handler(move |_| set.run(if value.get_untracked() == "true" { "false" } else { "true" }.into()))
                ></button>
            </span>
        }
        .into_any()
    } else if !field.choices().is_empty() {
        view! {
            <span class="in" class:ch=move || changed.get()>
                <Choice field id=id.clone() testid value set />
                <Reset field changed set />
            </span>
        }
        .into_any()
    } else {
        let entered = Callback::new(move |()| {
            if place == Place::Word {
                page.word.set(None);
            }
        });
        view! {
            <span class="in" class:ch=move || changed.get() class:wrong=move || error.with(Option::is_some)>
                <Entry id=id.clone() testid value set error entered />
                {if field == Field::Seed {
                    view! {
                        <button
                            class="reset"
                            data-testid="seed-new"
                            on:click=handler(move |_| set.run(((js_sys::Math::random() * 1e6) as u32).to_string()))
                        >
                            {page.say(Lang::new_seed)}
                        </button>
                    }
                        .into_any()
                } else {
                    view! { <Reset field changed set /> }.into_any()
                }}
            </span>
        }
        .into_any()
    };
    view! {
        <div class="field" hidden=move || !meant.get()>
            <label for=id>{move || page.lang.get().field(field)}</label>
            <p>{move || effect.get()}</p>
            {control}
            <Wrong error />
        </div>
    }
}

/// Why a value was not taken.
#[component]
fn Wrong(error: RwSignal<Option<Bounds>>) -> impl IntoView {
    let page = expect_context::<Page>();
    live(move || {
        error.get().map(|bounds| view! { <p class="wrong" role="alert">{page.lang.get().bounds(&bounds)}</p> })
    })
}

/// What is typed into. What can't be taken stays as it was typed, with the bounds under it.
#[component]
pub fn Entry(
    /// Its `id`, for a label.
    #[prop(into)]
    id: String,
    /// Its `data-testid`.
    #[prop(into)]
    testid: String,
    /// The value.
    value: Memo<String>,
    /// Takes another one, and tells in `error` why not.
    set: Callback<String>,
    /// Why the last one was not taken.
    error: RwSignal<Option<Bounds>>,
    /// Enter was pressed and the value is taken.
    #[prop(optional)]
    entered: Option<Callback<()>>,
    /// Its name, where no label stands beside it.
    #[prop(optional, into)]
    name: Signal<Option<String>>,
) -> impl IntoView {
    let input = NodeRef::<html::Input>::new();
    let take = move |text: String| {
        set.run(text);
        if let (Some(input), true) = (input.get_untracked(), error.with_untracked(Option::is_none)) {
            input.set_value(&value.get_untracked());
        }
    };
    view! {
        <input
            node_ref=input
            id=id
            inputmode="decimal"
            autocomplete="off"
            data-testid=testid
            aria-label=move || name.get()
            aria-invalid=move || error.with(Option::is_some).then_some("true")
            prop:value=move || value.get()
            on:change=handler(move |event| take(event_target_value(&event)))
            on:keydown=handler(move |event: leptos::ev::KeyboardEvent| {
                if event.key() == "Enter" && let Some(entered) = entered {
                    take(event_target_value(&event));
                    if error.with_untracked(Option::is_none) {
                        entered.run(());
                    }
                }
            })
        />
    }
}

/// A value of a few.
#[component]
fn Choice(field: Field, id: String, testid: String, value: Memo<String>, set: Callback<String>) -> impl IntoView {
    let page = expect_context::<Page>();
    let options = field.choices().iter().map(|choice| {
        view! {
            <option value=*choice prop:selected=move || value.get() == *choice>
                {move || page.lang.get().choice(field, choice)}
            </option>
        }
    });
    view! {
        <select id=id data-testid=testid on:change=handler(move |event| set.run(event_target_value(&event)))>
            {options.views()}
        </select>
    }
}

/// The default, to go back to.
#[component]
fn Reset(field: Field, changed: Memo<bool>, set: Callback<String>) -> impl IntoView {
    let page = expect_context::<Page>();
    let default = move || page.state.with_untracked(|state| field.get(&state.settings.defaults()));
    let words = move || {
        let default = default();
        if field.choices().is_empty() { default } else { page.lang.get().choice(field, &default).to_owned() }
    };
    live(move || {
        changed.get().then(|| {
            view! {
                <button
                    class="reset"
                    data-testid=format!("reset-{}", field.name())
                    aria-label=move || page.lang.get().back_to(&words())
                    on:click=handler(move |_| set.run(default()))
                >
                    {words}
                </button>
            }
        })
    })
}
