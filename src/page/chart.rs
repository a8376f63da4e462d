//! The two charts: loss and accuracy over the whole planned run.
//!
//! The axes are SVG: they change a few times a run, take their colours from the style sheet, and are in the static
//! page too. The lines are a canvas of our own: 4,290 points arrive in a run of ten epochs, up to hundreds a second,
//! and a chart library (or one SVG path grown by text) costs more than the lines themselves. A frame draws at most
//! four vertices for each pixel column, however many points there are, and nothing at all while off screen.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use leptos::html;
use leptos::prelude::*;

use super::Page;
use super::browser::OncePerFrame;
use super::lines::{View, clear, draw_lines, watch};
use super::plot::{Axis, Measure, Smoothed, Span, along, epoch_means, nearest};
use super::save::Save;
use super::state::past::PastRun;
use super::state::{PageState, Run};
use super::words::{Lang, Text, decimal, percent};
use crate::page::number;
use crate::page::reactive::{Memo, Show, Views, effect, handler, live, memo, on_load};

/// How the user wants the lines.
#[derive(Clone, Copy)]
pub struct Look {
    /// The smoothing's strength.
    pub smoothing: RwSignal<f32>,
    /// Whether the loss is on a log axis.
    pub log: RwSignal<bool>,
    table: RwSignal<bool>,
    /// The index of the point under the crosshair.
    at: RwSignal<Option<usize>>,
    /// The part of the run on show, in both charts.
    pub span: RwSignal<Span>,
    /// The values on show in the loss' chart and in the accuracy's, where a part of them was chosen.
    values: [RwSignal<Option<(f32, f32)>>; 2],
    /// The earlier runs that are drawn too, by their numbers.
    pub compared: RwSignal<BTreeSet<u32>>,
}

impl Look {
    fn values(&self, measure: Measure) -> RwSignal<Option<(f32, f32)>> {
        self.values[usize::from(measure == Measure::Accuracy)]
    }

    fn is_zoomed(&self) -> bool {
        !self.span.get().is_whole() || self.values.iter().any(|values| values.get().is_some())
    }

    fn show_all(&self) {
        self.span.set(Span::default());
        self.values.iter().for_each(|values| values.set(None));
    }

    /// The vertical axis of a chart, as it is now.
    pub fn axis(&self, measure: Measure, settled: bool) -> Axis {
        let axis = Axis::new(measure, self.log.get(), settled);
        self.values(measure).get().map_or(axis, |values| axis.within(values))
    }

    /// The lines of the compared runs: each one's number, and places along the present run with values.
    pub fn compared_lines(&self, state: &PageState, measure: Measure) -> Vec<(u32, Vec<(f32, f32)>)> {
        let compared = self.compared.get();
        let past = state.past.runs().iter().filter(|past| compared.contains(&past.number));
        let Some(run) = &state.run else { return Vec::new() };
        past.map(|past| {
            let mut smoothed = Smoothed::default();
            let axis = Axis::new(measure, self.log.get(), false);
            smoothed.update(&past.points, measure, axis, self.smoothing.get(), (0, past.points.len() as u32));
            let places = past.points.iter().map(|point| past.along(point.step, &run.config));
            (past.number, places.zip(smoothed.values().iter().copied()).collect())
        })
        .collect()
    }
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
        span: RwSignal::new(Span::default()),
        values: [RwSignal::new(None), RwSignal::new(None)],
        compared: RwSignal::new(BTreeSet::new()),
    };
    // Another run begins with all of it on show, beside the run before.
    let runs = page.slice(|state| {
        let latest = state.past.runs().last().map(|past| past.number);
        (state.run.as_ref().map(|run| run.generation), latest)
    });
    effect(move || {
        look.show_all();
        look.compared.set(runs.get().1.into_iter().collect());
    });
    let empty = page.slice(|state| state.run.as_ref().is_none_or(|run| run.points.is_empty()));
    let smoothing = move |event| {
        let value: f32 = number::read(&event_target_value(&event)).unwrap_or(80.0);
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
                        on:input=handler(smoothing)
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
                        on:click=handler(move |_| look.log.update(|log| *log = !*log))
                    ></button>
                    {page.say(Lang::log_scale)}
                </label>
                <Show when=move || look.is_zoomed()>
                    <button class="link" data-testid="chart-whole" on:click=handler(move |_| look.show_all())>
                        {page.say(Lang::whole_run)}
                    </button>
                </Show>
                <span class="end">
                    <button
                        data-testid="chart-table"
                        aria-pressed=move || look.table.get().to_string()
                        on:click=handler(move |_| look.table.update(|table| *table = !*table))
                    >
                        {move || {
                            let lang = page.lang.get();
                            if look.table.get() { lang.chart() } else { lang.table() }
                        }}
                    </button>
                    <Save look />
                </span>
            </div>
            <Compare look />
        </div>
    }
}

/// The earlier runs of this visit, each with what differs from the present one; a press draws it or takes it away.
#[component]
fn Compare(look: Look) -> impl IntoView {
    let page = expect_context::<Page>();
    // The latest number tells that there is another one; the runs themselves are not compared with every picture.
    let latest = page.slice(|state| state.past.runs().last().map(|past| past.number));
    let present = page.slice(|state| state.run.as_ref().map(|run| run.config.clone()));
    live(move || {
        latest.track();
        let (lang, Some(present)) = (page.lang.get(), present.get()) else { return None };
        let runs: Vec<_> = page.state.with_untracked(|state| state.past.runs().iter().rev().cloned().collect());
        let chip = |past: Arc<PastRun>| {
            let number = past.number;
            let differences = lang.differences(&past.config, &present);
            let differences =
                if differences.is_empty() { lang.same_settings().to_owned() } else { differences.join(", ") };
            view! {
                <button
                    class="chip"
                    data-testid=format!("compare-{number}")
                    aria-pressed=move || look.compared.with(|compared| compared.contains(&number)).to_string()
                    on:click=handler(move |_| {
                        look.compared
                            .update(|compared| {
                                if !compared.remove(&number) {
                                    compared.insert(number);
                                }
                            });
                    })
                >
                    <b>{lang.run_name(number)}</b>
                    <span>{differences}</span>
                </button>
            }
        };
        (!runs.is_empty()).then(|| {
            view! {
                <div class="earlier" role="group" aria-label=lang.compare_with()>
                    <span>{lang.compare_with()}</span>
                    {runs.into_iter().map(chip).views()}
                </div>
            }
        })
    })
}

/// A value as the charts write it.
pub fn format_value(measure: Measure, value: f32) -> String {
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
    let epochs = memo(move || config.with(|config| config.epochs));
    // The domain changes once: at the first tenth point of the smoothed or validated accuracy above 90 %.
    let generation = page.slice(|state| (state.run.as_ref().map(|run| run.generation), state.past.runs().len()));
    let settled = page.slice(move |state| {
        let run = state.run.as_ref();
        measure == Measure::Accuracy && run.is_some_and(|run| run.config.finetune.is_none() && reads_ninety(run))
    });
    let axis = memo(move || look.axis(measure, settled.get()));
    let span = look.span;
    let compared = memo(move || {
        let _ = generation.get();
        page.state.with_untracked(|state| Arc::new(look.compared_lines(state, measure)))
    });
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
            let Some(run) = &state.run else { return clear(&canvas) };
            let view = View { axis: axis.get_untracked(), span: span.get_untracked() };
            let past: Vec<_> = compared.get_untracked().iter().map(|(_, line)| line.clone()).collect();
            smoothed.with_value(|smoothed| draw_lines(&canvas, run, measure, view, smoothed.values(), &past));
        });
    });
    let visible = Rc::new(RefCell::new(true));
    {
        let (draw, visible) = (draw.clone(), visible.clone());
        effect(move || {
            let (axis, strength) = (axis.get(), look.smoothing.get());
            points.track();
            span.track();
            compared.track();
            canvas.track();
            // Before the frame, not in it: what a frame writes after it was laid out is laid out again.
            let last = page.state.with_untracked(|state| {
                let run = state.run.as_ref()?;
                let length = (run.generation, run.config.steps());
                smoothed.try_update_value(|smoothed| {
                    smoothed.update(&run.points, measure, axis, strength, length);
                    smoothed.values().last().copied()
                })?
            });
            latest.set(last);
            if *visible.borrow() {
                draw.ask();
            }
        });
    }
    on_load(canvas, move |canvas| watch(&canvas, draw, visible));

    let x = move |place: f32| format!("{:.2}%", place * 100.0);
    let grid = live(move || {
        let axis = axis.get();
        let tick = |(value, label): (f32, String)| {
            let y = x(axis.place(value));
            view! {
                <line class="grid" x1="0" x2="100%" y1=y.clone() y2=y.clone() />
                <text class="y" x="0" y=y dx="-.65em" dy=".32em">{label}</text>
            }
        };
        axis.ticks().into_iter().map(tick).views()
    });
    let columns = live(move || {
        let epochs = epochs.get();
        let ticks = span.get().ticks(epochs);
        let count = ticks.len();
        ticks
            .into_iter()
            .enumerate()
            .map(|(index, (epoch, label))| {
                let place = x(span.get().place(epoch / epochs as f32));
                let key = index == 0 || index + 1 == count || 2 * index + 1 == count;
                let last = epoch == epochs as f32;
                view! {
                    <line class="grid" x1=place.clone() x2=place.clone() y1="97%" y2="100%" />
                    <text class="x" class:k=key class:last=last x=place y="100%" dy="1.4em">{label}</text>
                }
            })
            .views()
    });
    let validated = live(move || {
        let (axis, span, scores, epochs) = (axis.get(), span.get(), scores.get(), epochs.get() as f32);
        let place = |(epoch, value): &(u32, f32)| (span.place(*epoch as f32 / epochs), axis.place(*value));
        let places: Vec<_> = scores.iter().map(place).collect();
        let lines = places
            .windows(2)
            .map(|pair| {
                view! {
                    <line class="val" x1=x(pair[0].0) y1=x(pair[0].1) x2=x(pair[1].0) y2=x(pair[1].1) />
                }
            })
            .views();
        let dots = places
            .iter()
            .filter(|(x, y)| (0.0..=1.0).contains(y) && (0.0..=1.0).contains(x))
            .map(|(px, py)| view! { <circle class="dot" cx=x(*px) cy=x(*py) r="3.6" /> })
            .views();
        let best = best.get().map(|epoch| span.place(epoch as f32 / epochs));
        let best = best.filter(|place| (0.0..=1.0).contains(place)).map(|place| {
            view! { <circle class="best" cx=x(place) cy="100%" r="3" /> }
        });
        // An inner picture cuts off what the axis leaves out; dots and labels may stand over the edge.
        view! {
            <svg width="100%" height="100%">{lines}</svg>
            {dots}
            {best}
        }
    });
    // The name of an earlier run stands at the end of its line.
    let names = live(move || {
        let (axis, span, lang) = (axis.get(), span.get(), page.lang.get());
        let name = |(number, line): &(u32, Vec<(f32, f32)>)| {
            let (along, value) = *line.iter().rev().find(|(along, _)| span.place(*along) <= 1.0)?;
            let (left, top) = (span.place(along), axis.place(value));
            let seen = (0.0..=1.0).contains(&left) && (0.0..=1.0).contains(&top);
            seen.then(|| {
                view! {
                    <text class="past" class:before={left > 0.85} x=x(left) y=x(top) dy="-.4em">
                        {lang.run_name(*number)}
                    </text>
                }
            })
        };
        compared.get().iter().filter_map(name).views()
    });
    let broken = live(move || {
        let lang = page.lang.get();
        faults
            .get()
            .into_iter()
            .map(|(along, failure)| (span.get().place(along), failure))
            .filter(|(place, _)| (0.0..=1.0).contains(place))
            .map(|(place, failure)| {
                view! {
                    <line class="break" x1=x(place) x2=x(place) y1="0" y2="100%" />
                    <text class="tag" class:before={place > 0.7} x=x(place) y="0" dy="1em">
                        {lang.fault(&failure)}
                    </text>
                }
            })
            .views()
    });
    let hovered = move || {
        let index = look.at.get()?;
        let _ = points.get();
        page.state.with_untracked(|state| {
            let run = state.run.as_ref()?;
            let point = run.points.get(index)?;
            let smooth = smoothed.with_value(|smoothed| smoothed.values().get(index).copied());
            let (along, rows) = hover_box(run, measure, point.step, measure.of(point), smooth);
            let place = span.get().place(along);
            (0.0..=1.0).contains(&place).then_some((place, rows))
        })
    };
    let cross = live(move || {
        hovered().map(|(place, _)| view! { <line class="cross" x1=x(place) x2=x(place) y1="0" y2="100%" /> })
    });
    let tip = live(move || {
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
    });
    let to_point = move |place: f32| {
        page.state.with_untracked(|state| {
            let run = state.run.as_ref()?;
            nearest(&run.points, &run.config, span.get_untracked().along(place))
        })
    };
    let plot = NodeRef::<html::Div>::new();
    // Two corners of the part that is being chosen, from the chart's upper left.
    let drag = RwSignal::new(None::<[(f32, f32); 2]>);
    let corner = move |event: &leptos::ev::PointerEvent| {
        let bounds = plot.get_untracked()?.get_bounding_client_rect();
        let x = (f64::from(event.client_x()) - bounds.left()) / bounds.width().max(1.0);
        let y = (f64::from(event.client_y()) - bounds.top()) / bounds.height().max(1.0);
        Some((x as f32, y as f32))
    };
    let press = move |event: leptos::ev::PointerEvent| {
        if event.button() != 0 || points.get_untracked().0 == 0 {
            return;
        }
        if let (Some(plot), Some(corner)) = (plot.get_untracked(), corner(&event)) {
            // Pointer events made by a program have no pointer to capture; they choose all the same.
            let _ = plot.set_pointer_capture(event.pointer_id());
            drag.set(Some([corner, corner]));
        }
    };
    let hover = move |event: leptos::ev::PointerEvent| {
        let Some(corner) = corner(&event) else { return };
        if drag.get_untracked().is_some() {
            drag.update(|drag| {
                if let Some([_, to]) = drag {
                    *to = (corner.0.clamp(0.0, 1.0), corner.1.clamp(0.0, 1.0));
                }
            });
            look.at.set(None);
        } else {
            look.at.set(to_point(corner.0));
        }
    };
    let release = move |_: leptos::ev::PointerEvent| {
        let Some(part) = drag.try_update(Option::take).flatten().and_then(chosen) else { return };
        if let Some((from, to)) = part.across {
            span.update(|span| *span = span.part(from, to));
        }
        if let Some((from, to)) = part.down {
            look.values(measure).set(Some(axis.get_untracked().part(from, to)));
        }
    };
    let chosen_part = live(move || {
        let part = drag.get().and_then(chosen)?;
        let ((left, right), (top, bottom)) = (part.across.unwrap_or((0.0, 1.0)), part.down.unwrap_or((0.0, 1.0)));
        Some(view! {
            <div
                class="part"
                style:--l=x(left)
                style:--w=x(right - left)
                style:--t=x(top)
                style:--h=x(bottom - top)
            ></div>
        })
    });
    let hovered_place = move || untrack(hovered).map(|(place, _)| place);
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
            "Escape" => {
                if drag.try_update(Option::take).flatten().is_none() {
                    look.show_all();
                }
                return;
            }
            key @ ("+" | "=" | "-") => {
                let around = hovered_place().unwrap_or(0.5);
                span.update(|span| *span = span.scaled(around, if key == "-" { 2.0 } else { 0.5 }));
                return;
            }
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
            data-zoom=move || {
                let ((from, to), epochs) = (span.get().ends(), epochs.get() as f32);
                (!span.get().is_whole()).then(|| format!("{:.2}-{:.2}", from * epochs, to * epochs))
            }
            data-values=move || {
                look.values(measure).get().map(|(low, high)| format!("{low:.4}-{high:.4}"))
            }
            tabindex="0"
            role="group"
            aria-label=page.say(label)
            on:keydown=handler(walk)
            on:focusout=handler(move |_| look.at.set(None))
        >
            <figcaption>
                <b>{page.say(title)}</b>
                <Keys measure latest scores />
            </figcaption>
            <div
                class="plot"
                class:zoomed=move || look.is_zoomed()
                node_ref=plot
                on:pointerdown=handler(press)
                on:pointermove=handler(hover)
                on:pointerup=handler(release)
                on:pointercancel=handler(move |_| drag.set(None))
                on:dblclick=handler(move |_| look.show_all())
                on:pointerleave=handler(move |_| look.at.set(None))
            >
                <svg class="axis" aria-hidden="true">
                    {grid}
                    {columns}
                    <text class="x ep" x="0" y="100%" dx="-.65em" dy="1.4em">{page.say(Lang::epoch)}</text>
                </svg>
                <canvas node_ref=canvas aria-hidden="true"></canvas>
                <svg class="over-lines" aria-hidden="true">
                    {validated}
                    {names}
                    {broken}
                    {cross}
                </svg>
                {chosen_part}
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

/// The part of a chart that is chosen by a drag: from side to side, from top to bottom, or both.
struct Part {
    across: Option<(f32, f32)>,
    down: Option<(f32, f32)>,
}

/// What a drag chooses. One that is nearly level chooses batches, one that is nearly upright values, any other both; one
/// that is hardly one is a click.
fn chosen([from, to]: [(f32, f32); 2]) -> Option<Part> {
    let (wide, high) = ((to.0 - from.0).abs(), (to.1 - from.1).abs());
    let part = Part {
        across: (wide >= 0.02 && (wide >= 0.08 || high < 0.25)).then(|| (from.0.min(to.0), from.0.max(to.0))),
        down: (high >= 0.25).then(|| (from.1.min(to.1), from.1.max(to.1))),
    };
    (part.across.is_some() || part.down.is_some()).then_some(part)
}

/// A validation's value.
pub fn value_of(measure: Measure, score: &crate::training::Score) -> f32 {
    match measure {
        Measure::Loss => score.loss,
        Measure::Accuracy => score.accuracy(),
    }
}

/// Whether a run has once read 90 % right: by a validation, or on average over some batches.
pub fn reads_ninety(run: &Run) -> bool {
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
    let begun = memo(move || latest.get().is_some());
    live(move || {
        let lang = page.lang.get();
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
        begun.get().then(|| {
            view! {
                <span class="keys">
                    <span>
                        <svg viewBox="0 0 24 8" aria-hidden="true">
                            <path class="train" d="M0 4h24" />
                        </svg>
                        <span>{lang.training()}</span>
                        <b>{move || latest.get().map(|value| format_value(measure, value))}</b>
                    </span>
                    {validation}
                </span>
            }
        })
    })
}

/// The epochs as a table: on show when asked for, and always there for those who hear the page.
#[component]
fn Table(look: Look) -> impl IntoView {
    let page = expect_context::<Page>();
    // The means are worked out when an epoch is done, not when a batch is.
    let done = page.slice(|state| state.run.as_ref().map(|run| (run.scores.len(), run.generation)));
    let rows = memo(move || {
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
                    {page.heads(heads)}
                </thead>
                <tbody>{live(move || rows.get().into_iter().flatten().map(row).views())}</tbody>
            </table>
        </div>
    }
}
