//! How the digits are changed at random: a mixture or each change by its slider, and some digits that show it.

use leptos::html;
use leptos::prelude::*;

use super::fields::change;
use super::sheet::IsOpen;
use crate::data::SIDE;
use crate::data::augment::Change;
use crate::page::Page;
use crate::page::number;
use crate::page::pad::put_pixels;
use crate::page::reactive::{Views, effect, handler, memo};
use crate::page::settings::{Field, mixture};
use crate::page::state::Action;
use crate::page::words::Lang;
use crate::protocol::PREVIEWS;

/// Mixtures, preview and sliders.
#[component]
pub fn Augmentation() -> impl IntoView {
    let page = expect_context::<Page>();
    let chosen = page.slice(|state| mixture(&state.settings.augmentation));
    let presets = Field::Augment.choices().iter().map(|name| {
        view! {
            <button
                class="btn"
                data-testid=format!("augment-{name}")
                aria-pressed=move || (chosen.get() == Some(*name)).to_string()
                on:click=handler(move |_| {
                    let _ = change(page, |settings| Field::Augment.set(settings, name));
                })
            >
                {move || page.lang.get().choice(Field::Augment, name)}
            </button>
        }
    });
    let sliders = Change::ALL.map(|change| view! { <Amount change /> });
    view! {
        <p class="tiny dim">{page.say(Lang::augmentation_is)}</p>
        <div class="row choices" role="group" aria-label=page.say(Lang::presets)>
            {presets.views()}
        </div>
        <Preview />
        <div class="aug head" aria-hidden="true">
            <span></span>
            <span>{page.say(Lang::how_strong)}</span>
            <span>{page.say(Lang::how_often)}</span>
        </div>
        {sliders.views()}
    }
}

/// Twelve digits as the network will see them. Asked for while somebody looks.
#[component]
fn Preview() -> impl IntoView {
    let page = expect_context::<Page>();
    let IsOpen(open) = expect_context::<IsOpen>();
    let rolled = RwSignal::new(0u32);
    let recipe = page.slice(|state| (state.settings.augmentation, state.settings.seed));
    let wanted = memo(move || {
        (page.sheet.get() && open.get()).then(|| {
            let (augmentation, seed) = recipe.get();
            (augmentation, seed.wrapping_add(rolled.get()))
        })
    });
    let mut looked = false;
    effect(move || {
        let wanted = wanted.get();
        let looks = wanted.is_some();
        if std::mem::replace(&mut looked, looks) || looks {
            page.act(Action::Preview(wanted));
        }
    });
    let answered = page.slice(|state| state.preview.answered());
    let waiting = page.slice(|state| state.preview.is_waiting());
    let tiles = (0..PREVIEWS)
        .map(|index| {
            let canvas = NodeRef::<html::Canvas>::new();
            effect(move || {
                let (_, Some(canvas)) = (answered.get(), canvas.get()) else { return };
                page.state.with_untracked(|state| match state.preview.images().nth(index) {
                    Some(image) => put_pixels(&canvas, SIDE, SIDE, image.iter().copied()),
                    None => put_pixels(&canvas, 1, 1, [0].into_iter()),
                });
            });
            view! { <canvas class="ink" node_ref=canvas></canvas> }
        })
        .views();
    view! {
        <div class="preview">
            <div
                class="tiles"
                role="img"
                data-testid="augment-preview"
                data-version=move || answered.get()
                aria-busy=move || waiting.get().to_string()
                aria-label=move || recipe.with(|(augmentation, _)| page.lang.get().preview(augmentation))
            >
                {tiles}
                <p class="wait" hidden=move || answered.get() != 0>
                    {page.say(Lang::preview_waits)}
                </p>
            </div>
            <button class="link tiny" data-testid="augment-again" on:click=handler(move |_| rolled.update(|rolled| *rolled += 1))>
                {page.say(Lang::roll_again)}
            </button>
        </div>
    }
}

/// One change: how strong, and how often. A flip is made or not, so it has no strength.
#[component]
fn Amount(change: Change) -> impl IntoView {
    let page = expect_context::<Page>();
    let field = Field::Change(change);
    let amount = page.slice(move |state| state.settings.augmentation.amount(change));
    let id = field.name();
    let most = *change.strengths().end();
    let set = move |strength: f32, probability: f32| {
        let _ = super::fields::change(page, |settings| {
            let amount = settings.augmentation.amount_mut(change);
            (amount.strength, amount.probability) = (strength, probability);
            Ok(())
        });
    };
    let strong = move |strength: f32| {
        let often = amount.get_untracked().probability;
        set(strength, if strength > 0.0 && often == 0.0 { 0.5 } else { often });
    };
    let often = move |probability: f32| {
        let strength = amount.get_untracked().strength;
        set(if change == Change::Flip { 1.0 } else { strength }, probability);
    };
    let sliders = if change == Change::Flip {
        view! {
            <Slider
                id
                most=1.0
                step=0.05
                value=Signal::derive(move || if amount.get().is_on() { amount.get().probability } else { 0.0 })
                text=Signal::derive(move || page.lang.get().amount(change, amount.get()))
                set=Callback::new(often)
            />
        }
        .into_any()
    } else {
        view! {
            <Slider
                id
                most
                step=step(change)
                value=Signal::derive(move || amount.get().strength)
                text=Signal::derive(move || page.lang.get().strength(change, amount.get().strength))
                set=Callback::new(strong)
            />
            <Slider
                id=format!("{id}-often")
                most=1.0
                step=0.05
                value=Signal::derive(move || amount.get().probability)
                text=Signal::derive(move || page.lang.get().probability(amount.get().probability))
                name=Signal::derive(move || {
                    let lang = page.lang.get();
                    Some(lang.control_of(lang.field(field), lang.how_often()))
                })
                off=Signal::derive(move || amount.get().strength == 0.0)
                set=Callback::new(often)
            />
        }
        .into_any()
    };
    view! {
        <div class="aug" class:on=move || amount.get().is_on()>
            <div>
                <label for=id>{move || page.lang.get().field(field)}</label>
                <p>{move || page.lang.get().amount(change, amount.get())}</p>
            </div>
            {sliders}
            {(change == Change::Flip).then(|| view! { <p class="warn">{page.say(Lang::flip_warns)}</p> })}
        </div>
    }
}

/// What a slider moves by.
fn step(change: Change) -> f32 {
    match change {
        Change::Rotation => 1.0,
        Change::Translation => 0.5,
        Change::Contrast => 0.05,
        _ => 0.01,
    }
}

/// A native slider that says its value in words.
#[component]
fn Slider(
    #[prop(into)] id: String,
    most: f32,
    step: f32,
    value: Signal<f32>,
    text: Signal<String>,
    set: Callback<f32>,
    #[prop(optional, into)] name: Signal<Option<String>>,
    #[prop(optional, into)] off: Signal<bool>,
) -> impl IntoView {
    view! {
        <input
            type="range"
            id=id.clone()
            data-testid=id
            min="0"
            max=most.to_string()
            step=step.to_string()
            aria-label=move || name.get()
            aria-valuetext=move || text.get()
            disabled=move || off.get()
            prop:value=move || value.get().to_string()
            style:--v=move || format!("{:.1}%", 100.0 * value.get() / most)
            on:input=handler(move |event| {
                if let Some(value) = number::read(&event_target_value(&event)) {
                    set.run(value);
                }
            })
        />
    }
}
