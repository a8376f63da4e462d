//! The user's own digits: the keys under the bars, and the gallery with a column for each class.

use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::HtmlElement;

use super::browser::{document, download};
use super::pad::put_pixels;
use super::state::Action;
use super::state::digits::Act;
use super::words::Lang;
use super::{Page, pictures};
use crate::data::SIDE;
use crate::page::reactive::{Views, handler, live, on_change, on_load, rows};
use crate::training::collection::WANTED;

/// Samples of a class that are shown; the rest is counted.
const SHOWN: usize = 36;

impl Page {
    fn digits(self, act: Act) {
        self.act(Action::Digits(act));
    }
}

/// The classes under the bars, as keys: what the drawing really was.
#[component]
pub fn Labels() -> impl IntoView {
    let page = expect_context::<Page>();
    let classes = page.slice(|state| state.collection().classes().to_vec());
    let top = page.slice(|state| state.answer.as_ref().map(|answer| answer.best[0].0));
    let kept = page.slice(|state| state.kept_as().map(usize::from));
    let drawn = page.slice(|state| state.drawing().is_some());
    // One stop for the Tab key; the arrows move inside.
    let stop = RwSignal::new(0usize);
    let walk = move |event: leptos::ev::KeyboardEvent| {
        let last = classes.with_untracked(Vec::len).saturating_sub(1);
        let next = match event.key().as_str() {
            "ArrowLeft" => stop.get_untracked().saturating_sub(1),
            "ArrowRight" => (stop.get_untracked() + 1).min(last),
            "Home" => 0,
            "End" => last,
            _ => return,
        };
        event.prevent_default();
        stop.set(next);
        focus(&format!("label-{next}"));
    };
    live(move || {
        let keys = classes.get().into_iter().enumerate().map(|(label, name)| {
            let spoken = name.clone();
            view! {
                <button
                    class:top=move || top.get() == Some(label)
                    class:kept=move || kept.get() == Some(label)
                    data-testid=format!("label-{label}")
                    aria-label=move || page.lang.get().it_was(&spoken)
                    aria-pressed=move || (kept.get() == Some(label)).to_string()
                    aria-disabled=move || (!drawn.get()).then_some("true")
                    tabindex=move || if stop.get() == label { "0" } else { "-1" }
                    on:focus=handler(move |_| stop.set(label))
                    on:keydown=handler(walk)
                    on:click=handler(move |_| page.digits(Act::Label(label as u8)))
                >
                    {name}
                </button>
            }
        });
        keys.views()
    })
}

fn focus(testid: &str) {
    let found = document().query_selector(&format!("[data-testid={testid}]")).ok().flatten();
    if let Some(element) = found.and_then(|element| element.dyn_into::<HtmlElement>().ok()) {
        let _ = element.focus();
    }
}

/// The line under the keys: what became of the latest drawing, with the way back.
#[component]
pub fn LabelLine() -> impl IntoView {
    let page = expect_context::<Page>();
    let latest = page.slice(|state| {
        let latest = state.digits.changes.last().cloned();
        latest.map(|change| (change, state.collection().classes().to_vec()))
    });
    let gathered = page.slice(|state| {
        let own = state.collection();
        state.asked_for().map(|_| (own.classes().len() * WANTED - own.missing(), own.classes().len() * WANTED))
    });
    let answered = page.slice(|state| (state.answered().is_some(), state.names_classes()));
    let refused = page.slice(|state| state.digits.refused.clone());
    // Said aloud once it is there.
    on_change(
        move || page.state.with(|state| state.digits.version),
        move || {
            if let Some((change, classes)) = latest.get_untracked() {
                page.announce(page.lang.get_untracked().changed(&change, &classes));
            }
        },
    );
    view! {
        <div class="wrongline" data-testid="label-line">
            {live(move || {
                let lang = page.lang.get();
                let gathered = gathered.get().map(|(drawn, wanted)| {
                    view! { <span data-testid="gathered">{lang.drawn_of(drawn, wanted)}</span> }
                });
                let latest = latest.get().map(|(change, classes)| {
                    view! {
                        <span>
                            {lang.changed(&change, &classes)} " · "
                            <button class="link" data-testid="label-undo" on:click=handler(move |_| page.digits(Act::Undo))>
                                {lang.undo_label()}
                            </button>
                        </span>
                    }
                });
                let hint = (latest.is_none() && gathered.is_none())
                    .then(|| answered.get())
                    .and_then(|(answered, named)| {
                        answered.then(|| if named { lang.wrong_press_class() } else { lang.wrong_press() })
                    });
                view! { {gathered} {latest} {hint} }
            })}
        </div>
        {live(move || {
            refused
                .get()
                .map(|refused| {
                    view! {
                        <p class="refused" role="alert" data-testid="digits-refused">
                            {page.lang.get().refused(&refused)} " "
                            <button class="link" on:click=handler(move |_| page.digits(Act::Dismiss))>
                                {page.say(Lang::close)}
                            </button>
                        </p>
                    }
                })
        })}
    }
}

/// A tile of the gallery, without its pixels.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Tile {
    id: u32,
    label: u8,
    held_out: bool,
    test: bool,
}

/// The gallery. There from the first labelled drawing on, and while digits are asked for.
#[component]
pub fn YourDigits() -> impl IntoView {
    let page = expect_context::<Page>();
    let shown = page.slice(|state| state.shows_digits());
    let count = page.slice(|state| state.collection().samples().len());
    let classes = page.slice(|state| state.collection().classes().to_vec());
    let named = page.slice(|state| state.names_classes());
    let line = page.slice(|state| {
        let own = state.collection();
        (own.training(), own.held_out(), own.missing())
    });
    let gathering = page.slice(|state| state.digits.gathering);
    let can_gather = page.slice(|state| state.tunes_on_own() && !state.is_busy());
    let input = NodeRef::<html::Input>::new();
    let save = move |_| {
        let csv = page.state.with_untracked(|state| state.collection().to_csv());
        download("kiln-digits.csv", "text/csv", csv.as_bytes());
    };
    let open = move |_| {
        let Some(input) = input.get_untracked() else { return };
        if let Some(files) = input.files() {
            pictures::open(page, (0..files.length()).filter_map(|at| files.get(at)).collect());
        }
        // The same file can be chosen again.
        input.set_value("");
    };
    let header = live(move || {
        let lang = page.lang.get();
        let (training, held_out, missing) = line.get();
        let (before, held, after) = lang.gallery_line(training, held_out, missing);
        view! {
            {before}
            <span class="heldword" data-testid="held-out" data-count=held_out title=lang.held_out_hint()>
                {held}
            </span>
            {after}
        }
    });
    let gather = live(move || {
        let (_, _, missing) = line.get();
        (can_gather.get() && missing > 0).then(|| {
            let on = gathering.get();
            view! {
                <button class="link" data-testid="digits-gather" on:click=handler(move |_| page.digits(Act::Gather(!on)))>
                    {page.say(if on { Lang::stop_gathering } else { Lang::draw_missing })}
                </button>
            }
        })
    });
    view! {
        <section
            class="sec"
            id="digits"
            data-testid="your-digits"
            data-count=move || count.get()
            hidden=move || !shown.get()
        >
            <header>
                <h2 class="t">
                    {move || {
                        let lang = page.lang.get();
                        if named.get() { lang.your_classes() } else { lang.your_digits() }
                    }}
                </h2>
                <p>{header}</p>
            </header>
            <div class="tray" style:--n=move || classes.get().len().to_string()>
                {live(move || {
                    classes
                        .get()
                        .into_iter()
                        .enumerate()
                        .map(|(label, name)| view! { <Column label=label as u8 name /> })
                        .views()
                })}
            </div>
            <Chosen />
            <div class="row traytools">
                <button class="btn" data-testid="digits-export" disabled=move || count.get() == 0 on:click=handler(save)>
                    {page.say(Lang::export_digits)}
                </button>
                <label class="btn filebtn">
                    {page.say(Lang::import_digits)}
                    <input
                        class="vh"
                        type="file"
                        multiple
                        accept=".csv,text/csv,image/*"
                        data-testid="digits-import"
                        node_ref=input
                        on:change=handler(open)
                    />
                </label>
                <span class="small dim">{page.say(Lang::import_hint)}</span>
                {gather}
            </div>
        </section>
    }
}

#[component]
fn Column(label: u8, name: String) -> impl IntoView {
    let page = expect_context::<Page>();
    let tiles = page.slice(move |state| {
        let tile = |sample: &crate::training::finetune::Sample| Tile {
            id: sample.id,
            label,
            held_out: sample.held_out,
            test: !matches!(
                sample.origin,
                crate::training::finetune::Origin::Drawn | crate::training::finetune::Origin::File
            ),
        };
        state.collection().of(label).take(SHOWN).map(tile).collect::<Vec<_>>()
    });
    let counts = page.slice(move |state| (state.collection().own(label), state.collection().of(label).count()));
    let asks = page.slice(|state| state.tunes_on_own());
    let next = page.slice(move |state| state.asked_for() == Some(label));
    let tile_name = name.clone();
    let empty = live(move || {
        let missing = if asks.get() { WANTED.saturating_sub(counts.get().0) } else { 0 };
        (0..missing)
            .map(|at| view! { <span class="dg next" class:asked=move || at == 0 && next.get() aria-hidden="true"></span> })
            .views()
    });
    let more = live(move || {
        let hidden = counts.get().1.saturating_sub(SHOWN);
        (hidden > 0).then(|| view! { <p class="tiny dim">{page.lang.get().more_samples(hidden)}</p> })
    });
    view! {
        <div class="trayclass">
            <h3>
                <span class="name">{name}</span>
                <span>{move || page.lang.get().of_wanted(counts.get().0)}</span>
            </h3>
            <div class="traytiles">
                {rows(
                    move || tiles.get(),
                    Tile::clone,
                    move |tile| view! { <Sample tile name=tile_name.clone() /> },
                )}
                {empty}
            </div>
            {more}
        </div>
    }
}

#[component]
fn Sample(tile: Tile, name: String) -> impl IntoView {
    let page = expect_context::<Page>();
    let Tile { id, held_out, test, .. } = tile;
    let chosen = page.slice(move |state| state.digits.chosen == Some(id));
    let canvas = NodeRef::<html::Canvas>::new();
    on_load(canvas, move |canvas| {
        page.state.with_untracked(|state| {
            if let Some(sample) = state.collection().get(id) {
                put_pixels(&canvas, SIDE, SIDE, sample.pixels.iter().copied());
            }
        });
    });
    let keyed = move |event: leptos::ev::KeyboardEvent| {
        let classes = page.state.with_untracked(|state| state.collection().classes().len());
        match (event.key().as_str(), super::state::digits::label_of_key(&event.key())) {
            ("Delete" | "Backspace", _) => page.digits(Act::Remove(id)),
            (_, Some(label)) if usize::from(label) < classes => page.digits(Act::Relabel(id, label)),
            _ => return,
        }
        event.prevent_default();
        // The digit on the pad is not meant.
        event.stop_propagation();
    };
    let title = move || {
        let lang = page.lang.get();
        if held_out {
            lang.held_out_hint()
        } else if test {
            lang.test_hint()
        } else {
            ""
        }
    };
    view! {
        <button
            class="dg"
            class:held=held_out
            class:test=test
            data-testid=format!("sample-{id}")
            data-held=held_out.to_string()
            aria-label=move || page.lang.get().sample(&name, held_out)
            aria-pressed=move || chosen.get().to_string()
            title=title
            on:keydown=handler(keyed)
            on:click=handler(move |_| page.digits(Act::Choose((!chosen.get_untracked()).then_some(id))))
        >
            <canvas class="ink" node_ref=canvas></canvas>
        </button>
    }
}

/// What can be done with the chosen sample.
#[component]
fn Chosen() -> impl IntoView {
    let page = expect_context::<Page>();
    let chosen = page.slice(|state| {
        let sample = state.collection().get(state.digits.chosen?)?;
        Some((sample.id, sample.label, sample.held_out, state.collection().classes().to_vec()))
    });
    live(move || {
        chosen.get().map(|(id, label, held_out, classes)| {
            let name = classes.get(usize::from(label)).cloned().unwrap_or_default();
            let keys = classes.into_iter().enumerate().map(|(class, name)| {
                let spoken = name.clone();
                view! {
                    <button
                        class="labelkey"
                        class:top=class == usize::from(label)
                        data-testid=format!("relabel-{class}")
                        aria-label=move || page.lang.get().it_was(&spoken)
                        aria-pressed=(class == usize::from(label)).to_string()
                        on:click=handler(move |_| page.digits(Act::Relabel(id, class as u8)))
                    >
                        {name}
                    </button>
                }
            });
            view! {
                <div class="row chosen" role="group" data-testid="sample-chosen">
                    <span>{move || page.lang.get().this_is(&name)}</span>
                    <span class="labelkeys">{keys.views()}</span>
                    <button class="btn" data-testid="sample-remove" on:click=handler(move |_| page.digits(Act::Remove(id)))>
                        {page.say(Lang::remove_sample)}
                    </button>
                    {held_out.then(|| view! { <span class="small dim">{page.say(Lang::held_out_hint)}</span> })}
                </div>
            }
        })
    })
}
