//! Before and after: what fine-tuning changed on the user's own data, and what it forgot.

use leptos::html;
use leptos::prelude::*;

use super::finetune::name;
use super::pad::put_pixels;
use super::state::finetune::{Act, FORGOTTEN};
use super::words::{Lang, count, percent};
use super::{Page, bold};
use crate::data::SIDE;
use crate::page::reactive::{Views, handler, live, on_load};
use crate::training::Score;
use crate::training::exam::Exam;
use crate::training::finetune::{BeforeAfter, NewData, Trainable};

/// Held-out drawings that are shown.
const DRAWINGS: usize = 100;

/// The room. There from the first comparison on.
#[component]
pub fn BeforeAndAfter() -> impl IntoView {
    let page = expect_context::<Page>();
    // The results change seldom and as a whole: the room is made anew.
    let shown = page.slice(|state| state.tuning.shown_arm().map(|_| (state.tuning.version, state.tuning.shown)));
    view! {
        <section class="sec" id="before-after" data-testid="comparison" hidden=move || shown.get().is_none()>
            {live(move || {
                page.lang.track();
                shown.get().map(|_| view! { <Room /> })
            })}
        </section>
    }
}

#[component]
fn Room() -> impl IntoView {
    let page = expect_context::<Page>();
    let lang = page.lang.get_untracked();
    let arm = page.state.with_untracked(|state| state.tuning.shown_arm().cloned());
    let Some(arm) = arm else { return ().into_any() };
    let from = page.state.with_untracked(|state| lang.base(state.tuning.from.as_ref()));
    let data = page.state.with_untracked(|state| state.data.name.clone());
    let classes = arm.prepared.classes.clone();
    let new = arm.comparison.held_out.clone();
    let drawings = (!arm.comparison.samples.is_empty()).then(|| {
        view! { <Drawings samples=arm.comparison.samples.clone() pair=new.clone() classes=classes.clone() /> }
    });
    let by_class = arm
        .comparison
        .samples
        .is_empty()
        .then(|| view! { <Dumbbells pair=new.clone() classes=classes.clone() label=lang.new_held_out(&arm) /> });
    let (before, after) = (new.before.score(), new.after.score());
    let caveats = lang
        .inconclusive(before, after)
        .into_iter()
        .chain(arm.prepared.validation_is_held_out.then(|| lang.flattering().to_owned()))
        .map(|text| view! { <p class="small dim caveat" data-testid="comparison-caveat">{text}</p> })
        .views();
    let old = match arm.comparison.old_test.clone() {
        None => view! { <p class="sub">{lang.no_longer_applies()}</p> }.into_any(),
        Some(old) => {
            let (forgotten, regained) = old.changes();
            let changes = bold(&lang.forgotten_and_regained(forgotten.len(), regained.len()));
            view! {
                <BigScore
                    before=old.before.score()
                    after=old.after.score()
                    testids=("compare-old-before", "compare-old-after")
                    rest=lang.counted_of(&old.after)
                />
                <p class="small dim">{changes} " " {(!forgotten.is_empty()).then(|| view! { <SeeForgotten /> })}</p>
                <Forgotten pair=old.clone() classes=classes.clone() />
                <Dumbbells pair=old classes=classes.clone() label=lang.class_by_class() />
            }
            .into_any()
        }
    };
    view! {
        <header>
            <h2 class="t">{lang.before_and_after()}</h2>
            <p>{lang.same_checkpoint(&from)}</p>
        </header>
        <div class="ba">
            <div>
                <h3 class="h3">{lang.new_held_out(&arm)}</h3>
                <BigScore before after testids=("compare-new-before", "compare-new-after") rest=lang.none_trained_on(after.total) />
                {caveats}
                {drawings}
                {by_class}
                <Ways />
            </div>
            <div>
                <h3 class="h3">{lang.old_test(if data.is_empty() { "MNIST" } else { &data })}</h3>
                {old}
            </div>
        </div>
    }
    .into_any()
}

/// "12 → 17", each with its percentage and its interval.
#[component]
fn BigScore(before: Score, after: Score, testids: (&'static str, &'static str), rest: String) -> impl IntoView {
    let page = expect_context::<Page>();
    let lang = page.lang.get_untracked();
    // Eyes get the count large and the rest small; tools read "17 of 20, 85.0%".
    let one = move |score: Score, testid: &'static str| {
        view! {
            <span class="one" data-testid=testid data-correct=score.correct data-total=score.total>
                <b>{count(score.correct)}</b>
                <span class="thin">{format!(" of {}, ", count(score.total))}</span>
                <small>
                    {percent(score.accuracy(), 2)} <br /> <span class="faint">{lang.interval95(score)}</span>
                </small>
            </span>
        }
    };
    view! {
        <p class="score">
            <span class="was">{one(before, testids.0)}</span>
            <svg viewBox="0 0 26 16" aria-hidden="true">
                <path d="M1 8h22M17 2l6 6-6 6" fill="none" stroke="currentColor" stroke-width="1.5" />
            </svg>
            {one(after, testids.1)}
        </p>
        <p class="small dim">{lang.with_intervals(&rest)}</p>
    }
}

/// Each held-out drawing with its reading before and after.
#[component]
fn Drawings(samples: Vec<u32>, pair: BeforeAfter, classes: Vec<String>) -> impl IntoView {
    let page = expect_context::<Page>();
    let lang = page.lang.get_untracked();
    let all = samples.len();
    let class = move |class: u8| classes.get(usize::from(class)).cloned().unwrap_or_default();
    let tiles = samples
        .into_iter()
        .enumerate()
        .take(DRAWINGS)
        .map(|(at, id)| {
            let (label, before, after) = (pair.after.labels[at], pair.before.read[at], pair.after.read[at]);
            let right = after == label;
            let gained = right && before != label;
            let canvas = NodeRef::<html::Canvas>::new();
            on_load(canvas, move |canvas| {
                page.state.with_untracked(|state| {
                    if let Some(sample) = state.tuning.sample(id) {
                        put_pixels(&canvas, SIDE, SIDE, sample.pixels.iter().copied());
                    }
                });
            });
            let reading = if before == after {
                view! { <b>{class(after)}</b> }.into_any()
            } else {
                view! { {class(before)} " → " <b>{class(after)}</b> }.into_any()
            };
            view! {
                <figure
                    class="hd"
                    class:up=gained
                    class:no=!right
                    data-testid=format!("held-out-{id}")
                    aria-label=lang.reading_change(&class(label), &class(before), &class(after))
                >
                    <span class="dg">
                        <canvas class="ink" node_ref=canvas></canvas>
                    </span>
                    <figcaption>{reading} {if right { " ✓" } else { " ✗" }}</figcaption>
                </figure>
            }
        })
        .views();
    let more = all.saturating_sub(DRAWINGS);
    view! {
        <p class="small dim">{lang.each_as_read()}</p>
        <div class="held-grid">{tiles}</div>
        {(more > 0).then(|| view! { <p class="tiny dim">{lang.more_samples(more)}</p> })}
    }
}

/// Right answers of each class: how many, of how many that count.
fn by_class(exam: &Exam, classes: usize) -> Vec<(u32, u32)> {
    exam.confusion(classes).per_class().iter().map(|class| (class.right, class.images)).collect()
}

/// A line for each class: hollow before, filled after, with the counts.
#[component]
fn Dumbbells(pair: BeforeAfter, classes: Vec<String>, label: &'static str) -> impl IntoView {
    let page = expect_context::<Page>();
    let lang = page.lang.get_untracked();
    let (before, after) = (by_class(&pair.before, classes.len()), by_class(&pair.after, classes.len()));
    let share = |(right, all): (u32, u32)| if all == 0 { 1.0 } else { right as f32 / all as f32 };
    let lowest = before.iter().chain(&after).map(|counts| share(*counts)).fold(1.0, f32::min);
    // A little room on the left, so that the lowest dot is whole.
    let low = (lowest - 0.05 * (1.0 - lowest) - 1e-3).max(0.0);
    let place = move |counts| format!("{:.1}%", (share(counts) - low) / (1.0 - low) * 100.0);
    let rows = classes
        .into_iter()
        .zip(before.into_iter().zip(after))
        .filter(|(_, (_, (_, all)))| *all > 0)
        .map(|(name, (before, after))| {
            let (was, is) = (place(before), place(after));
            let change = i64::from(after.0) - i64::from(before.0);
            let (class, sign) = match change {
                1.. => ("up", "▲ "),
                0 => ("same", "–"),
                _ => ("down", "▼ "),
            };
            let size = (change != 0).then(|| count(change.unsigned_abs() as u32));
            let (left, right) = if change >= 0 { (was.clone(), is.clone()) } else { (is.clone(), was.clone()) };
            let spoken = lang.class_change(&name, before.0, after.0, after.1);
            view! {
                <div class="dbrow" role="listitem" aria-label=spoken>
                    <b>{name}</b>
                    <div class=format!("tr {class}") aria-hidden="true">
                        <i style:--from=left style:--to=right></i>
                        <u style:--at=was></u>
                        <u class="a" style:--at=is></u>
                    </div>
                    <span class=format!("v {class}") aria-hidden="true">
                        {format!("{} → {} / {} ", count(before.0), count(after.0), count(after.1))} <b>{sign} {size}</b>
                    </span>
                </div>
            }
        })
        .views();
    view! {
        <div class="db" role="list" aria-label=label>
            {rows}
        </div>
    }
}

/// Opens what was forgotten.
#[component]
fn SeeForgotten() -> impl IntoView {
    let page = expect_context::<Page>();
    let open = page.slice(|state| state.tuning.forgotten.is_some());
    view! {
        <button
            class="link"
            data-testid="see-forgotten"
            aria-expanded=move || open.get().to_string()
            on:click=handler(move |_| page.tune(Act::SeeForgotten(!open.get_untracked())))
        >
            {move || {
                let lang = page.lang.get();
                if open.get() { lang.hide_forgotten() } else { lang.see_forgotten() }
            }}
        </button>
    }
}

/// What was read right before and is read wrong now, as pictures.
#[component]
fn Forgotten(pair: BeforeAfter, classes: Vec<String>) -> impl IntoView {
    let page = expect_context::<Page>();
    let here = page.slice(|state| state.tuning.forgotten.as_ref().map(|images| (images.len(), state.tuning.version)));
    let open = page.slice(|state| state.tuning.forgotten.is_some());
    let class = move |class: u8| classes.get(usize::from(class)).cloned().unwrap_or_default();
    let all = pair.changes().0.len();
    let shots = live(move || {
        let lang = page.lang.get();
        let _ = here.get();
        let images = page.state.with_untracked(|state| state.tuning.forgotten.clone().unwrap_or_default());
        images
            .into_iter()
            .map(|(index, pixels)| {
                let at = index as usize;
                let canvas = NodeRef::<html::Canvas>::new();
                on_load(canvas, move |canvas| put_pixels(&canvas, SIDE, SIDE, pixels.iter().copied()));
                let words = lang.forgotten_one(&class(pair.after.labels[at]), &class(pair.after.read[at]));
                view! {
                    <figure class="shot">
                        <span class="p">
                            <canvas class="ink" node_ref=canvas></canvas>
                        </span>
                        <figcaption>{bold(&words)}</figcaption>
                    </figure>
                }
            })
            .views()
    });
    let more = all.saturating_sub(FORGOTTEN);
    view! {
        <div hidden=move || !open.get() data-testid="forgotten">
            <h3 class="h3">{page.say(Lang::forgotten_title)}</h3>
            <div class="shots">{shots}</div>
            {(more > 0).then(|| view! { <p class="tiny dim">{move || page.lang.get().more_samples(more)}</p> })}
        </div>
    }
}

/// Before, and each way from the same start: its counts, and the way to keep it or to try it.
#[component]
fn Ways() -> impl IntoView {
    let page = expect_context::<Page>();
    let lang = page.lang.get_untracked();
    let (arms, shown, base) = page.state.with_untracked(|state| {
        let base = state.tuning.from.as_ref().map(|base| base.name.clone()).unwrap_or_default();
        (state.tuning.arms.clone(), state.tuning.shown, base)
    });
    let Some(first) = arms.first() else { return ().into_any() };
    let of = |score: Score| format!("{} / {}", count(score.correct), count(score.total));
    let before = (
        of(first.comparison.held_out.before.score()),
        first.comparison.old_test.as_ref().map(|old| percent(old.before.score().accuracy(), 2)),
    );
    let row = |way: Trainable| {
        let arm = arms.iter().find(|arm| arm.trainable() == way);
        let on = way == shown;
        let id = format!("keep-{}", name(way));
        let network = &first.config.network;
        let parameters = crate::model::trainable_parameters(network, way).unwrap_or(0) as u32;
        let title = match arm {
            Some(_) => view! {
                <button
                    class="rowname"
                    aria-pressed=on.to_string()
                    data-testid=format!("show-{}", name(way))
                    on:click=handler(move |_| page.tune(Act::Show(way)))
                >
                    {lang.way(way)}
                </button>
            }
            .into_any(),
            None => lang.way(way).into_any(),
        };
        let cells = arm.map(|arm| {
            let old = arm.comparison.old_test.as_ref();
            (
                of(arm.comparison.held_out.after.score()),
                old.map(|old| percent(old.after.score().accuracy(), 2)),
                old.map(|old| count(old.changes().0.len() as u32)),
            )
        });
        let (new, old, forgotten) = cells.unwrap_or((String::new(), None, None));
        let act = match arm {
            Some(arm) if arm.kept => view! { <span data-testid=id>{lang.is_kept()}</span> }.into_any(),
            Some(arm) => {
                let data = arm.config.finetune.as_ref().map_or(NewData::Yours, |finetune| finetune.data.clone());
                let called = lang.tuned_name(&base, &data);
                let keep = move |_| page.tune(Act::Keep(way, called.clone()));
                view! { <button class="link" data-testid=id on:click=handler(keep)>{lang.keep_it()}</button> }
                    .into_any()
            }
            None => {
                let try_it = move |_| page.tune(Act::Try(way));
                view! { <button class="link" data-testid=id on:click=handler(try_it)>{lang.try_it_too()}</button> }
                    .into_any()
            }
        };
        view! {
            <tr class:on=on>
                <td>{title}</td>
                <td class="num">{count(parameters)}</td>
                <td class="num">{new}</td>
                <td class="num">{old}</td>
                <td class="num hide">{forgotten}</td>
                <td class="num">{act}</td>
            </tr>
        }
    };
    let extra = arms.iter().any(|arm| arm.trainable() == Trainable::Last).then(|| row(Trainable::Last));
    let rows = view! { {row(Trainable::Dense)} {row(Trainable::Everything)} {extra} };
    view! {
        <table class="tbl ways" data-testid="ways">
            <thead>
                <tr>
                    <th scope="col">{lang.same_start()}</th>
                    <th scope="col" class="num">{lang.trains_column()}</th>
                    <th scope="col" class="num">{lang.new_column(first)}</th>
                    <th scope="col" class="num">{lang.old_column()}</th>
                    <th scope="col" class="num hide">{lang.forgotten_count()}</th>
                    <th scope="col"><span class="vh">{lang.keep_it()}</span></th>
                </tr>
            </thead>
            <tbody>
                <tr>
                    <td>{lang.as_before()}</td>
                    <td class="num">"–"</td>
                    <td class="num">{before.0}</td>
                    <td class="num">{before.1}</td>
                    <td class="num hide">"–"</td>
                    <td></td>
                </tr>
                {rows}
            </tbody>
        </table>
    }
    .into_any()
}
