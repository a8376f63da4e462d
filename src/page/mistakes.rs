//! Where it is wrong: the confusion matrix of the last test, the images of a cell, and the mistakes that it was most
//! sure of. From here images go to the user's own digits.

use std::sync::Arc;

use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast;

use super::browser::{after, document};
use super::pad::put_pixels;
use super::state::mistakes::{Fetched, MistakesAction, Shot};
use super::state::{Action, PageState};
use super::words::{Lang, count, decimal};
use super::{Page, bold};
use crate::data::SIDE;
use crate::page::reactive::{Memo, Show, Views, effect, handler, live, memo, rows};
use crate::training::exam::{ClassScore, Confusion};

/// The room, once a test was taken.
#[component]
pub fn Mistakes() -> impl IntoView {
    let page = expect_context::<Page>();
    let any = page.slice(|state| state.mistakes.any());
    view! {
        <Show when=move || any.get()>
            <Room />
        </Show>
    }
}

/// What the views of the room share.
#[derive(Clone, Copy)]
struct Shared {
    names: Memo<Arc<Vec<String>>>,
    confusion: Memo<Arc<Confusion>>,
    open: Memo<Option<(usize, usize)>>,
    fetched: Memo<Arc<Fetched>>,
}

impl Shared {
    fn name(self, class: usize) -> String {
        self.names.with(|names| names.get(class).cloned().unwrap_or_default())
    }
}

#[component]
fn Room() -> impl IntoView {
    let page = expect_context::<Page>();
    let shared = Shared {
        names: page.slice(|state| state.mistakes.names()),
        confusion: page.slice(|state| state.mistakes.confusion()),
        open: page.slice(|state| state.mistakes.open()),
        fetched: page.slice(|state| state.mistakes.fetched()),
    };
    let mistakes = memo(move || shared.confusion.with(|confusion| confusion.mistakes()));
    let counted = page.slice(|state| (state.mistakes.images(), state.mistakes.left_out()));
    let untested = page.slice(|state| state.run.as_ref().is_some_and(|run| run.test.is_none()));
    view! {
        <section class="sec" id="mistakes" data-testid="mistakes">
            <header>
                <h2 class="t">{move || page.lang.get().mistakes_title(mistakes.get())}</h2>
                <p data-testid="mistakes-of">
                    {move || {
                        let (images, (trained, in_set)) = counted.get();
                        page.lang.get().mistakes_of(images, trained, in_set)
                    }}
                    {move || untested.get().then(|| format!(" {}", page.lang.get().tested_before()))}
                </p>
            </header>
            <div class="mist">
                <div>
                    <Matrix shared mistakes />
                    <PerClass shared />
                </div>
                <div>
                    <Cell shared />
                    <Worst shared />
                </div>
            </div>
        </section>
    }
}

/// The cell of the matrix, for the focus.
fn cell_id(truth: usize, read: usize) -> String {
    format!("confusion-{truth}-{read}")
}

fn focus(id: &str) {
    if let Some(element) = document().get_element_by_id(id) {
        let _ = element.unchecked_into::<web_sys::HtmlElement>().focus();
    }
}

/// A share as the margins show it: per cent, without the sign.
fn in_percent(share: Option<f32>) -> String {
    share.map_or_else(String::new, |share| decimal((f64::from(share) * 1000.0 + 1e-4).floor() / 10.0, 1))
}

/// The place of the least share, if it is not all.
fn worst_of(classes: &[ClassScore], share: fn(&ClassScore) -> Option<f32>) -> Option<usize> {
    let known = classes.iter().enumerate().filter_map(|(class, score)| Some((class, share(score)?)));
    known.filter(|(_, share)| *share < 1.0).min_by(|a, b| a.1.total_cmp(&b.1)).map(|(class, _)| class)
}

/// How dark a cell off the diagonal is, in per cent of clay.
fn darkness(count: u32, most: u32) -> f32 {
    if count == 0 { 0.0 } else { 14.0 + 46.0 * (count as f32 / most as f32).powf(0.7) }
}

#[component]
fn Matrix(shared: Shared, mistakes: Memo<u32>) -> impl IntoView {
    let page = expect_context::<Page>();
    // The cell that has the one tab stop.
    let at = RwSignal::new((0, 0));
    effect(move || {
        if let Some(open) = shared.open.get() {
            at.set(open);
        }
    });
    let open = move |truth, read| page.act(Action::Mistakes(MistakesAction::Open { truth, read }));
    let walk = move |event: leptos::ev::KeyboardEvent| {
        let last = shared.confusion.with_untracked(|confusion| confusion.classes()).saturating_sub(1);
        let (truth, read) = at.get_untracked();
        let to = match event.key().as_str() {
            "ArrowUp" => (truth.saturating_sub(1), read),
            "ArrowDown" => ((truth + 1).min(last), read),
            "ArrowLeft" => (truth, read.saturating_sub(1)),
            "ArrowRight" => (truth, (read + 1).min(last)),
            "Home" if event.ctrl_key() => (0, 0),
            "End" if event.ctrl_key() => (last, last),
            "Home" => (truth, 0),
            "End" => (truth, last),
            "Enter" => {
                event.prevent_default();
                open(truth, read);
                // The images are there with the next picture.
                after(0, || focus("cell-images"));
                return;
            }
            _ => return,
        };
        event.prevent_default();
        at.set(to);
        focus(&cell_id(to.0, to.1));
    };
    let cell = move |confusion: &Confusion, most: u32, truth: usize, read: usize| {
        let images = confusion.count(truth, read);
        let diagonal = truth == read;
        let label = move || page.lang.get().confused(&shared.name(truth), &shared.name(read), images);
        view! {
            <td
                role="gridcell"
                class:diag=diagonal
                aria-selected=move || (shared.open.get() == Some((truth, read))).to_string()
            >
                <button
                    id=cell_id(truth, read)
                    class:hot={!diagonal && 3 * images >= 2 * most && images > 0}
                    data-testid=format!("cell-{truth}-{read}")
                    tabindex=move || if at.get() == (truth, read) { "0" } else { "-1" }
                    aria-label=label
                    style:--w=(!diagonal).then(|| format!("{:.0}%", darkness(images, most)))
                    on:focus=handler(move |_| at.set((truth, read)))
                    on:click=handler(move |_| open(truth, read))
                >
                    {(images > 0).then(|| count(images))}
                </button>
            </td>
        }
    };
    let rows = live(move || {
        let confusion = shared.confusion.get();
        let classes = confusion.per_class();
        let most = confusion.largest().map_or(1, |(truth, read)| confusion.count(truth, read));
        let (low_recall, low_precision) =
            (worst_of(&classes, ClassScore::recall), worst_of(&classes, ClassScore::precision));
        let rows = (0..confusion.classes())
            .map(|truth| {
                let cells = (0..confusion.classes()).map(|read| cell(&confusion, most, truth, read)).views();
                view! {
                    <tr>
                        <th scope="row">{shared.name(truth)}</th>
                        {cells}
                        <td class="m" class:lo={low_recall == Some(truth)}>
                            {in_percent(classes[truth].recall())}
                        </td>
                    </tr>
                }
            })
            .views();
        let precisions = (0..confusion.classes())
            .map(|read| {
                view! {
                    <td class="m" class:lo={low_precision == Some(read)}>
                        {in_percent(classes[read].precision())}
                    </td>
                }
            })
            .views();
        view! {
            {rows}
            <tr>
                <th class="m" scope="row">
                    {page.say(Lang::precision)}
                </th>
                {precisions}
                <td></td>
            </tr>
        }
    });
    let heads = live(move || {
        let names = shared.names.get();
        names.iter().map(|name| view! { <th scope="col">{name.clone()}</th> }).views()
    });
    let example = move || shared.names.with(|names| names.last().cloned().unwrap_or_default());
    view! {
        <table
            class="cm"
            class:many=move || shared.names.with(|names| names.len() > 10)
            role="grid"
            aria-label=page.say(Lang::confusion_keys)
            data-testid="confusion"
            data-count=move || mistakes.get()
            on:keydown=handler(walk)
        >
            <caption>{page.say(Lang::confusion_caption)}</caption>
            <thead>
                <tr>
                    <th>
                        <span class="vh">{page.say(Lang::was)}</span>
                    </th>
                    {heads}
                    <th class="m" scope="col">
                        {page.say(Lang::recall)}
                    </th>
                </tr>
            </thead>
            <tbody>{rows}</tbody>
        </table>
        <p class="tiny dim under">{move || page.lang.get().recall_and_precision(&example())}</p>
    }
}

/// Recall and precision with their counts.
#[component]
fn PerClass(shared: Shared) -> impl IntoView {
    let page = expect_context::<Page>();
    let heads: [super::words::Text; 6] = [
        Lang::class,
        Lang::class_images,
        Lang::class_read,
        Lang::class_right,
        Lang::recall_title,
        Lang::precision_title,
    ];
    let rows = live(move || {
        let classes = shared.confusion.with(|confusion| confusion.per_class());
        let row = |(class, score): (usize, &ClassScore)| {
            view! {
                <tr>
                    <th scope="row" class="num">
                        {shared.name(class)}
                    </th>
                    <td class="num">{count(score.images)}</td>
                    <td class="num">{count(score.read)}</td>
                    <td class="num">{count(score.right)}</td>
                    <td class="num">{in_percent(score.recall())}</td>
                    <td class="num">{in_percent(score.precision())}</td>
                </tr>
            }
        };
        classes.iter().enumerate().map(row).views()
    });
    view! {
        <details class="more">
            <summary>{page.say(Lang::per_class)}</summary>
            <table class="tbl" data-testid="per-class">
                <thead>
                    {page.heads(heads)}
                </thead>
                <tbody>{rows}</tbody>
            </table>
        </details>
    }
}

/// The images of the open cell, and the way to the user's digits.
#[component]
fn Cell(shared: Shared) -> impl IntoView {
    let page = expect_context::<Page>();
    let on_show = page.slice(|state| state.mistakes.on_show());
    let chosen = page.slice(|state| state.mistakes.chosen().len() as u32);
    let all_chosen = page.slice(all_chosen);
    let in_cell = move || {
        let (truth, read) = shared.open.get()?;
        shared.confusion.with(|confusion| {
            let all = confusion.per_class().get(truth)?.images;
            Some((truth, read, confusion.count(truth, read), all))
        })
    };
    let title = live(move || {
        let (truth, read, images, all) = in_cell()?;
        let text = page.lang.get().cell_title(&shared.name(truth), &shared.name(read), images, all);
        Some(bold(&text))
    });
    let line = live(move || {
        let (truth, read, images, _) = in_cell()?;
        let lang = page.lang.get();
        Some(match images {
            0 => lang.none_here(),
            _ if truth == read => lang.rightly(),
            _ => lang.would_you(),
        })
    });
    let more = move || in_cell().is_some_and(|(_, _, images, _)| images as usize > on_show.with(|shown| shown.len()));
    let act = move |action| page.act(Action::Mistakes(action));
    // Back to the cell that the images belong to.
    let leave = move |event: leptos::ev::KeyboardEvent| {
        if event.key() == "Escape"
            && let Some((truth, read)) = shared.open.get_untracked()
        {
            event.stop_propagation();
            focus(&cell_id(truth, read));
        }
    };
    view! {
        <div on:keydown=handler(leave)>
            <h3 class="cellhead">{title}</h3>
            <p class="small dim">{line}</p>
            <div
                class="shots"
                role="group"
                tabindex="-1"
                id="cell-images"
                data-testid="cell-images"
                aria-label=page.say(Lang::cell_images)
            >
                {rows(move || on_show.get().to_vec(), shot_key, move |shot| view! { <Picture shared shot /> })}
            </div>
            <div class="row shotacts" class:gone=move || on_show.with(|shown| shown.is_empty())>
                <button
                    class="btn"
                    data-testid="add-to-set"
                    aria-disabled=move || (chosen.get() == 0).then_some("true")
                    on:click=handler(move |_| page.act(Action::AddToSet))
                >
                    {move || page.lang.get().add_to_set(chosen.get())}
                </button>
                <button class="link small" data-testid="choose-all" on:click=handler(move |_| act(MistakesAction::ToggleAll))>
                    {move || {
                        let lang = page.lang.get();
                        if all_chosen.get() { lang.choose_none() } else { lang.choose_all() }
                    }}
                </button>
                <Show when=more>
                    <button class="link small" data-testid="show-more" on:click=handler(move |_| act(MistakesAction::More))>
                        {page.say(Lang::show_more)}
                    </button>
                </Show>
            </div>
        </div>
    }
}

fn all_chosen(state: &PageState) -> bool {
    let chosen = state.mistakes.chosen();
    !chosen.is_empty() && state.mistakes.on_show().iter().all(|shot| chosen.contains(&shot.index))
}

/// An image whose reading changes is another one to the list.
fn shot_key(shot: &Shot) -> (u32, u8, u32) {
    (shot.index, shot.read, shot.sure.to_bits())
}

#[component]
fn Worst(shared: Shared) -> impl IntoView {
    let page = expect_context::<Page>();
    let worst = page.slice(|state| state.mistakes.worst());
    view! {
        <Show when=move || worst.with(|worst| !worst.is_empty())>
            <h3 class="cellhead worsthead">
                <b>{page.say(Lang::worst)}</b>
            </h3>
            <div class="shots" data-testid="worst">
                {rows(move || worst.get().to_vec(), shot_key, move |shot| view! { <Picture shared shot /> })}
            </div>
        </Show>
    }
}

/// One image: what it was, what it was read as, how sure. A toggle.
#[component]
fn Picture(shared: Shared, shot: Shot) -> impl IntoView {
    let page = expect_context::<Page>();
    let Shot { index, label, read, sure } = shot;
    let chosen = page.slice(move |state| state.mistakes.chosen().contains(&index));
    let canvas = NodeRef::<html::Canvas>::new();
    effect(move || {
        let pixels = shared.fetched.with(|fetched| fetched.get(&index).cloned());
        if let (Some(canvas), Some(pixels)) = (canvas.get(), pixels) {
            put_pixels(&canvas, SIDE, SIDE, pixels.iter().copied());
        }
    });
    let was = live(move || {
        let lang = page.lang.get();
        bold(&lang.was_read(&shared.name(label.into()), &shared.name(read.into())))
    });
    view! {
        <button
            class="shot"
            data-index=index
            aria-pressed=move || chosen.get().to_string()
            on:click=handler(move |_| page.act(Action::Mistakes(MistakesAction::Toggle(index))))
        >
            <span class="p">
                <canvas class="ink" node_ref=canvas aria-hidden="true"></canvas>
            </span>
            <span>{was}</span>
            <span>{move || page.lang.get().sure(sure)}</span>
        </button>
    }
}
