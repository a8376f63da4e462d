//! The two charts: loss and accuracy over the whole planned run.
//!
//! The axes are SVG: they change a few times a run, take their colours from the style sheet, and are in the static
//! page too. The lines are a canvas of our own: 4,290 points arrive in a run of ten epochs, up to hundreds a second,
//! and a chart library (or one SVG path grown by text) costs more than the lines themselves. A frame draws at most
//! four vertices for each pixel column, however many points there are, and nothing at all while off screen.

use std::cell::RefCell;
use std::rc::Rc;

use leptos::html;
use leptos::prelude::*;

use super::Page;
use super::browser::OncePerFrame;
use super::lines::{clear, draw_lines, watch};
use super::plot::{Axis, Measure, Smoothed, along, epoch_means, epoch_ticks, nearest};
use super::state::Run;
use super::words::{Lang, Text, decimal, percent};

/// How the user wants the lines.
#[derive(Clone, Copy)]
struct Look {
    smoothing: RwSignal<f32>,
    log: RwSignal<bool>,
    table: RwSignal<bool>,
    /// The index of the point under the crosshair.
    at: RwSignal<Option<usize>>,
}

/// Both charts, their tools and their table.
#[component]
pub fn Charts() -> impl IntoView {
    let page = expect_context::<Page>();
    let look = Look {
        smoothing: RwSignal::new(0.8),
        log: RwSignal::new(true),
        table: RwSignal::new(false),
        at: RwSignal::new(None),
    };
    let empty = page.slice(|state| state.run.as_ref().is_none_or(|run| run.points.is_empty()));
    let smoothing = move |event| {
        let value: f32 = event_target_value(&event).parse().unwrap_or(80.0);
        look.smoothing.set(value / 100.0);
    };
    view! {
        <div class="charts" class:tabled=move || look.table.get() class:empty=move || empty.get()>
            <Chart measure=Measure::Loss look />
            <Chart measure=Measure::Accuracy look />
            <Table look />
            <div class="ctools" class:idle=move || empty.get()>
                <label>
                    {page.say(Lang::smoothing)}
                    <input
                        type="range"
                        min="0"
                        max="99"
                        value="80"
                        data-testid="chart-smoothing"
                        style:--v=move || format!("{:.0}%", look.smoothing.get() / 0.99 * 100.0)
                        on:input=smoothing
                    />
                    <span>{move || decimal(look.smoothing.get().into(), 2).trim_end_matches('0').to_owned()}</span>
                </label>
                <label for="chart-log">
                    <button
                        class="sw"
                        class:on=move || look.log.get()
                        role="switch"
                        id="chart-log"
                        aria-checked=move || look.log.get().to_string()
                        data-testid="chart-log"
                        on:click=move |_| look.log.update(|log| *log = !*log)
                    ></button>
                    {page.say(Lang::log_scale)}
                </label>
                <span class="end">
                    <button
                        data-testid="chart-table"
                        aria-pressed=move || look.table.get().to_string()
                        on:click=move |_| look.table.update(|table| *table = !*table)
                    >
                        {move || {
                            let lang = page.lang.get();
                            if look.table.get() { lang.chart() } else { lang.table() }
                        }}
                    </button>
                </span>
            </div>
        </div>
    }
}

fn format_value(measure: Measure, value: f32) -> String {
    match measure {
        Measure::Loss => decimal(value.into(), 3),
        Measure::Accuracy => percent(value, 1),
    }
}

#[component]
fn Chart(measure: Measure, look: Look) -> impl IntoView {
    let page = expect_context::<Page>();
    let (testid, title, label, hint): (_, Text, Text, Text) = match measure {
        Measure::Loss => ("chart-loss", Lang::loss, Lang::loss_chart, Lang::loss_empty),
        Measure::Accuracy => ("chart-accuracy", Lang::accuracy, Lang::accuracy_chart, Lang::accuracy_empty),
    };
    let config = page.slice(|state| state.run.as_ref().map_or(state.settings.clone(), |run| run.config.clone()));
    let epochs = Memo::new(move |_| config.with(|config| config.epochs));
    // The domain changes once: at the first tenth point of the smoothed or validated accuracy above 90 %.
    let settled = page.slice(move |state| {
        let run = state.run.as_ref();
        measure == Measure::Accuracy && run.is_some_and(|run| run.config.finetune.is_none() && reads_ninety(run))
    });
    let axis = Memo::new(move |_| Axis::new(measure, look.log.get(), settled.get()));
    let points = page.slice(|state| state.run.as_ref().map_or((0, 0), |run| (run.points.len(), run.generation)));
    let scores = page.slice(move |state| {
        let run = state.run.as_ref();
        run.map_or_else(Vec::new, |run| {
            run.scores.iter().map(|(epoch, score)| (*epoch, value_of(measure, score))).collect()
        })
    });
    let faults = page.slice(|state| {
        state.run.as_ref().map_or_else(Vec::new, |run| {
            run.faults.iter().map(|fault| (along(fault.step, &run.config), fault.failure.clone())).collect()
        })
    });
    let best = page.slice(|state| state.run.as_ref().and_then(|run| run.best));
    let smoothed = StoredValue::new_local(Smoothed::default());
    let latest = RwSignal::new(None::<f32>);
    let canvas = NodeRef::<html::Canvas>::new();

    let draw = OncePerFrame::new(move || {
        let Some(canvas) = canvas.try_get_untracked().flatten() else { return };
        page.state.with_untracked(|state| {
            let Some(run) = &state.run else {
                latest.set(None);
                return clear(&canvas);
            };
            let axis = axis.get_untracked();
            smoothed.update_value(|smoothed| {
                let steps = (run.generation, run.config.steps());
                smoothed.update(&run.points, measure, axis, look.smoothing.get_untracked(), steps);
                latest.set(smoothed.values().last().copied());
                draw_lines(&canvas, run, measure, axis, smoothed.values());
            });
        });
    });
    let visible = Rc::new(RefCell::new(true));
    {
        let (draw, visible) = (draw.clone(), visible.clone());
        Effect::new(move |_| {
            let _ = (points.get(), axis.get());
            look.smoothing.track();
            canvas.track();
            if *visible.borrow() {
                draw.ask();
            }
        });
    }
    canvas.on_load(move |canvas| watch(&canvas, draw, visible));

    let x = move |place: f32| format!("{:.2}%", place * 100.0);
    let grid = move || {
        let axis = axis.get();
        axis.ticks().map(|(value, label)| {
            let y = x(axis.place(value));
            view! {
                <line class="grid" x1="0" x2="100%" y1=y.clone() y2=y.clone() />
                <text class="y" x="0" y=y dx="-.65em" dy=".32em">{label}</text>
            }
        })
    };
    let columns = move || {
        let epochs = epochs.get();
        epoch_ticks(epochs)
            .map(|epoch| {
                let place = x(epoch as f32 / epochs as f32);
                let key = epoch == 0 || epoch == epochs || 2 * epoch == epochs;
                let last = epoch == epochs;
                view! {
                    <line class="grid" x1=place.clone() x2=place.clone() y1="97%" y2="100%" />
                    <text class="x" class:k=key class:last=last x=place y="100%" dy="1.4em">{epoch}</text>
                }
            })
            .collect::<Vec<_>>()
    };
    let validated = move || {
        let (axis, scores, epochs) = (axis.get(), scores.get(), epochs.get() as f32);
        let places: Vec<_> = scores.iter().map(|(epoch, value)| (*epoch as f32 / epochs, axis.place(*value))).collect();
        let lines: Vec<_> = places
            .windows(2)
            .map(|pair| {
                view! {
                    <line class="val" x1=x(pair[0].0) y1=x(pair[0].1) x2=x(pair[1].0) y2=x(pair[1].1) />
                }
            })
            .collect();
        let dots: Vec<_> = places
            .iter()
            .filter(|(_, y)| *y <= 1.0)
            .map(|(px, py)| view! { <circle class="dot" cx=x(*px) cy=x(*py) r="3.6" /> })
            .collect();
        let best = best.get().map(|epoch| {
            view! { <circle class="best" cx=x(epoch as f32 / epochs) cy="100%" r="3" /> }
        });
        view! { {lines} {dots} {best} }
    };
    let broken = move || {
        let lang = page.lang.get();
        faults
            .get()
            .into_iter()
            .map(|(place, failure)| {
                view! {
                    <line class="break" x1=x(place) x2=x(place) y1="0" y2="100%" />
                    <text class="tag" class:before={place > 0.7} x=x(place) y="0" dy="1em">
                        {lang.fault(&failure)}
                    </text>
                }
            })
            .collect::<Vec<_>>()
    };
    let hovered = move || {
        let index = look.at.get()?;
        let _ = points.get();
        page.state.with_untracked(|state| {
            let run = state.run.as_ref()?;
            let point = run.points.get(index)?;
            let smooth = smoothed.with_value(|smoothed| smoothed.values().get(index).copied());
            Some(hover_box(run, measure, point.step, measure.of(point), smooth))
        })
    };
    let cross =
        move || hovered().map(|(place, _)| view! { <line class="cross" x1=x(place) x2=x(place) y1="0" y2="100%" /> });
    let tip = move || {
        let lang = page.lang.get();
        let (place, rows) = hovered()?;
        let first = lang.at_batch(f64::from(rows.epoch), rows.batch);
        let raw = view! { <span>{lang.raw()}</span> <b>{rows.raw}</b> };
        let smooth = rows.smooth.map(|smooth| view! { <span>{lang.training()}</span> <b>{smooth}</b> });
        let validation =
            rows.validation.map(|(epoch, value)| view! { <span>{lang.validation_at(epoch)}</span> <b>{value}</b> });
        Some(view! {
            <div
                class="tip"
                class:before={place > 0.5}
                class:low=measure == Measure::Accuracy
                style:--x=x(place)
            >
                <strong>{first}</strong>
                {smooth}
                {raw}
                {validation}
            </div>
        })
    };
    let to_point = move |place: f32| {
        page.state.with_untracked(|state| {
            let run = state.run.as_ref()?;
            nearest(&run.points, &run.config, place)
        })
    };
    let plot = NodeRef::<html::Div>::new();
    let hover = move |event: leptos::ev::PointerEvent| {
        let Some(plot) = plot.get_untracked() else { return };
        let bounds = plot.get_bounding_client_rect();
        let place = (f64::from(event.client_x()) - bounds.left()) / bounds.width().max(1.0);
        look.at.set(to_point(place as f32));
    };
    let walk = move |event: leptos::ev::KeyboardEvent| {
        let (count, batches) = page.state.with_untracked(|state| {
            state.run.as_ref().map_or((0, 1), |run| (run.points.len(), run.config.batches_per_epoch() as usize))
        });
        let Some(last) = count.checked_sub(1) else { return };
        let at = look.at.get_untracked().unwrap_or(last);
        let next = match event.key().as_str() {
            "ArrowLeft" => at.saturating_sub(1),
            "ArrowRight" => at + 1,
            "PageUp" => at.saturating_sub(batches),
            "PageDown" => at + batches,
            "Home" => 0,
            "End" => last,
            _ => return,
        };
        event.prevent_default();
        look.at.set(Some(next.min(last)));
        let lang = page.lang.get_untracked();
        if let Some((_, rows)) = untrack(hovered) {
            let smooth = rows.smooth.unwrap_or_default();
            page.announce(format!(
                "{}: {} {smooth}, {} {}",
                lang.at_batch(rows.epoch.into(), rows.batch),
                lang.training(),
                lang.raw(),
                rows.raw
            ));
        }
    };
    view! {
        <figure
            class="chart"
            data-testid=testid
            data-points=move || points.get().0
            tabindex="0"
            role="group"
            aria-label=page.say(label)
            on:keydown=walk
            on:focusout=move |_| look.at.set(None)
        >
            <figcaption>
                <b>{page.say(title)}</b>
                <Keys measure latest scores />
            </figcaption>
            <div
                class="plot"
                node_ref=plot
                on:pointermove=hover
                on:pointerleave=move |_| look.at.set(None)
            >
                <svg class="axis" aria-hidden="true">
                    {grid}
                    {columns}
                    <text class="x ep" x="0" y="100%" dx="-.65em" dy="1.4em">{page.say(Lang::epoch)}</text>
                </svg>
                <canvas node_ref=canvas aria-hidden="true"></canvas>
                <svg class="over-lines" aria-hidden="true">
                    {validated}
                    {broken}
                    {cross}
                </svg>
                {tip}
                <Show when=move || points.get().0 == 0>
                    <p class="say">
                        <span>{page.say(hint)}</span>
                    </p>
                </Show>
            </div>
        </figure>
    }
}

fn value_of(measure: Measure, score: &crate::training::Score) -> f32 {
    match measure {
        Measure::Loss => score.loss,
        Measure::Accuracy => score.accuracy(),
    }
}

/// Whether a run has once read 90 % right: by a validation, or on average over some batches.
fn reads_ninety(run: &Run) -> bool {
    const BATCHES: usize = 20;
    let validated = run.scores.iter().any(|(_, score)| score.accuracy() >= 0.9);
    let recent = run.points.len().checked_sub(BATCHES).map(|from| &run.points[from..]);
    let mean =
        |points: &[crate::training::StepPoint]| points.iter().map(|point| point.accuracy).sum::<f32>() / BATCHES as f32;
    validated || recent.is_some_and(|recent| mean(recent) >= 0.9)
}

/// What the box at the crosshair says.
struct Rows {
    epoch: f32,
    batch: u32,
    smooth: Option<String>,
    raw: String,
    validation: Option<(u32, String)>,
}

fn hover_box(run: &Run, measure: Measure, step: u32, raw: f32, smooth: Option<f32>) -> (f32, Rows) {
    let epoch = step as f32 / run.config.batches_per_epoch() as f32;
    let validation = run.scores.iter().rev().find(|(done, _)| *done as f32 <= epoch);
    let rows = Rows {
        epoch,
        batch: step,
        smooth: smooth.map(|value| format_value(measure, value)),
        raw: format_value(measure, raw),
        validation: validation.map(|(done, score)| (*done, format_value(measure, value_of(measure, score)))),
    };
    (along(step, &run.config), rows)
}

/// The key with the current values: it is the legend.
#[component]
fn Keys(measure: Measure, latest: RwSignal<Option<f32>>, scores: Memo<Vec<(u32, f32)>>) -> impl IntoView {
    let page = expect_context::<Page>();
    let tuned = page.slice(|state| state.run.as_ref().is_some_and(|run| run.config.finetune.is_some()));
    move || {
        let lang = page.lang.get();
        let training = latest.get()?;
        let validation = scores.with(|scores| scores.last().copied()).map(|(_, value)| {
            view! {
                <span>
                    <svg viewBox="0 0 24 8" aria-hidden="true">
                        <path class="val" d="M0 4h24" />
                        <circle class="dot" cx="12" cy="4" r="3.2" />
                    </svg>
                    <span>{if tuned.get() { lang.held_out_key() } else { lang.validation() }}</span>
                    <b>{format_value(measure, value)}</b>
                </span>
            }
        });
        Some(view! {
            <span class="keys">
                <span>
                    <svg viewBox="0 0 24 8" aria-hidden="true">
                        <path class="train" d="M0 4h24" />
                    </svg>
                    <span>{lang.training()}</span>
                    <b>{format_value(measure, training)}</b>
                </span>
                {validation}
            </span>
        })
    }
}

/// The epochs as a table: on show when asked for, and always there for those who hear the page.
#[component]
fn Table(look: Look) -> impl IntoView {
    let page = expect_context::<Page>();
    // The means are worked out when an epoch is done, not when a batch is.
    let done = page.slice(|state| state.run.as_ref().map(|run| (run.scores.len(), run.generation)));
    let rows = Memo::new(move |_| {
        done.get()?;
        page.state.with_untracked(|state| {
            let run = state.run.as_ref()?;
            let row = |(epoch, score): &(u32, crate::training::Score)| {
                (*epoch, epoch_means(&run.points, &run.config, *epoch), *score)
            };
            Some(run.scores.iter().map(row).collect::<Vec<_>>())
        })
    });
    let heads: [Text; 5] =
        [Lang::epoch, Lang::training_loss, Lang::validation_loss, Lang::training_accuracy, Lang::validation_accuracy];
    let row = |(epoch, means, score): (u32, Option<(f32, f32)>, crate::training::Score)| {
        let loss = means.map_or_else(String::new, |(loss, _)| format_value(Measure::Loss, loss));
        let accuracy = means.map_or_else(String::new, |(_, accuracy)| format_value(Measure::Accuracy, accuracy));
        view! {
            <tr>
                <th scope="row">{epoch}</th>
                // The whole value, for tools: two runs are the same if these are.
                <td class="num" data-value=means.map(|(loss, _)| loss.to_string())>{loss}</td>
                <td class="num" data-value=score.loss.to_string()>{format_value(Measure::Loss, score.loss)}</td>
                <td class="num">{accuracy}</td>
                <td class="num">{format_value(Measure::Accuracy, score.accuracy())}</td>
            </tr>
        }
    };
    view! {
        <div class="charttable" class:vh=move || !look.table.get()>
            <table class="tbl" data-testid="chart-rows">
                <caption class="vh">{page.say(Lang::table_title)}</caption>
                <thead>
                    <tr>
                        {heads
                            .map(|head| {
                                view! {
                                    <th scope="col" class="num">
                                        {page.say(head)}
                                    </th>
                                }
                            })}
                    </tr>
                </thead>
                <tbody>{move || rows.get().into_iter().flatten().map(row).collect::<Vec<_>>()}</tbody>
            </table>
        </div>
    }
}
