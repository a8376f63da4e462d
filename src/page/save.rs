//! The charts as files: a picture or the numbers, as ordinary downloads.

use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement};

use super::Page;
use super::browser::{document, download, on_press, window};
use super::chart::{Look, format_value, reads_ninety, value_of};
use super::picture::{Label, Panel, Picture, Stroke};
use super::plot::{Measure, Smoothed, along};
use super::state::Run;
use super::words::{Lang, Text};
use crate::page::reactive::{Show, handler};
use crate::training::{History, csv};

/// Width and height of the picture.
const SIZE: (f32, f32) = (1240.0, 420.0);
/// How many canvas pixels a pixel of the picture gets in a PNG.
const SCALE: f64 = 2.0;

/// What the charts are saved as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Svg,
    Png,
    Csv,
}

/// The button and its list.
#[component]
pub fn Save(look: Look) -> impl IntoView {
    let page = expect_context::<Page>();
    let open = RwSignal::new(false);
    let (place, button) = (NodeRef::<html::Span>::new(), NodeRef::<html::Button>::new());
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
    let leave = move |event: leptos::ev::KeyboardEvent| {
        if event.key() == "Escape" && open.get_untracked() {
            event.stop_propagation();
            close();
        }
    };
    let choice = move |kind: Kind, testid: &'static str, words: Text| {
        view! {
            <button
                class="link"
                data-testid=testid
                on:click=handler(move |_| {
                    save(page, look, kind);
                    close();
                })
            >
                {page.say(words)}
            </button>
        }
    };
    view! {
        <span class="savebox" node_ref=place on:keydown=handler(leave)>
            <button
                node_ref=button
                data-testid="chart-save"
                aria-expanded=move || open.get().to_string()
                on:click=handler(move |_| open.update(|open| *open = !*open))
            >
                {page.say(Lang::save)}
            </button>
            <Show when=move || open.get()>
                <span class="pop save" role="group" aria-label=page.say(Lang::save_as)>
                    {choice(Kind::Svg, "chart-save-svg", Lang::as_svg)}
                    {choice(Kind::Png, "chart-save-png", Lang::as_png)}
                    {choice(Kind::Csv, "chart-save-csv", Lang::as_csv)}
                </span>
            </Show>
        </span>
    }
}

fn save(page: Page, look: Look, kind: Kind) {
    if kind == Kind::Csv {
        let text = page.state.with_untracked(|state| {
            state.run.as_ref().map_or_else(String::new, |run| {
                let (points, scores, test) = (run.points.clone(), run.scores.clone(), run.test);
                csv::write(&run.config, &History { points, scores, test, ..History::default() })
            })
        });
        return download("kiln-charts.csv", "text/csv", text.as_bytes());
    }
    let Some(picture) = untrack(|| picture(page, look)) else { return };
    match kind {
        Kind::Svg => download("kiln-charts.svg", "image/svg+xml", picture.svg().as_bytes()),
        _ => save_png(&picture),
    }
}

fn save_png(picture: &Picture) {
    let canvas =
        document().create_element("canvas").ok().and_then(|canvas| canvas.dyn_into::<HtmlCanvasElement>().ok());
    let Some(canvas) = canvas else { return };
    canvas.set_width((f64::from(picture.size.0) * SCALE) as u32);
    canvas.set_height((f64::from(picture.size.1) * SCALE) as u32);
    let context = canvas.get_context("2d").ok().flatten().map(JsCast::unchecked_into::<CanvasRenderingContext2d>);
    let Some(context) = context else { return };
    let _ = context.scale(SCALE, SCALE);
    picture.paint(&context);
    let done = Closure::once_into_js(|blob: JsValue| {
        let Ok(blob) = blob.dyn_into::<web_sys::Blob>() else { return };
        wasm_bindgen_futures::spawn_local(async move {
            if let Ok(bytes) = wasm_bindgen_futures::JsFuture::from(blob.array_buffer()).await {
                download("kiln-charts.png", "image/png", &js_sys::Uint8Array::new(&bytes).to_vec());
            }
        });
    });
    let _ = canvas.to_blob(done.unchecked_ref());
}

/// Both charts as they are now: smoothing, scale, zoom and compared runs.
fn picture(page: Page, look: Look) -> Option<Picture> {
    let style = window().get_computed_style(&document().document_element()?).ok().flatten()?;
    let colour = |name: &str| style.get_property_value(name).unwrap_or_default().trim().to_owned();
    let lang = page.lang.get();
    page.state.with(|state| {
        let run = state.run.as_ref()?;
        let mut picture = Picture {
            size: SIZE,
            paper: colour("--paper"),
            dot: colour("--cobalt"),
            strokes: Vec::new(),
            panels: Vec::new(),
            labels: Vec::new(),
        };
        for (measure, left, title) in [(Measure::Loss, 70.0, lang.loss()), (Measure::Accuracy, 690.0, lang.accuracy())]
        {
            let frame = (left, 60.0, 520.0, 300.0);
            let compared = look.compared_lines(state, measure);
            chart(&mut picture, run, measure, title, frame, look, lang, &colour, &compared);
        }
        Some(picture)
    })
}

#[expect(clippy::too_many_arguments, reason = "a chart is made of that many things, and only here")]
fn chart(
    picture: &mut Picture,
    run: &Run,
    measure: Measure,
    title: &str,
    frame: (f32, f32, f32, f32),
    look: Look,
    lang: Lang,
    colour: &impl Fn(&str) -> String,
    compared: &[(u32, Vec<(f32, f32)>)],
) {
    let (left, top, width, height) = frame;
    let (axis, span) = (look.axis(measure, measure == Measure::Accuracy && reads_ninety(run)), look.span.get());
    let at = |along: f32, value: f32| (left + span.place(along) * width, top + axis.place(value) * height);
    let rule = |from, to, name: &str| Stroke {
        points: vec![from, to],
        colour: colour(name),
        width: 1.0,
        opacity: 1.0,
        dotted: false,
    };
    let text = |at, text: String, anchor, name: &str| Label {
        at,
        text,
        colour: colour(name),
        size: 13.0,
        bold: false,
        anchor,
    };
    for (value, label) in axis.ticks() {
        let y = top + axis.place(value) * height;
        picture.strokes.push(rule((left, y), (left + width, y), "--line"));
        picture.labels.push(text((left - 8.0, y + 4.5), label, "end", "--ink-3"));
    }
    let epochs = run.config.epochs;
    for (epoch, label) in span.ticks(epochs) {
        let x = left + span.place(epoch / epochs as f32) * width;
        picture.strokes.push(rule((x, top + height), (x, top + height + 5.0), "--edge"));
        picture.labels.push(text((x, top + height + 20.0), label, "middle", "--ink-3"));
    }
    picture.strokes.push(rule((left, top + height), (left + width, top + height), "--edge"));
    picture.labels.push(text((left - 8.0, top + height + 20.0), lang.epoch().to_owned(), "end", "--ink-3"));
    picture.labels.push(Label { size: 16.0, bold: true, ..text((left, 34.0), title.to_owned(), "start", "--ink") });

    let mut smoothed = Smoothed::default();
    smoothed.update(&run.points, measure, axis, look.smoothing.get(), (run.generation, run.config.steps()));
    let along_run = |step| along(step, &run.config);
    let raw = run.points.iter().map(|point| at(along_run(point.step), measure.of(point))).collect();
    let smooth = run.points.iter().zip(smoothed.values()).map(|(point, value)| at(along_run(point.step), *value));
    let scores = run.scores.iter();
    let scores: Vec<_> =
        scores.map(|(epoch, score)| at(*epoch as f32 / epochs as f32, value_of(measure, score))).collect();
    let mut strokes = Vec::new();
    for (number, line) in compared {
        let points: Vec<_> = line.iter().map(|(along, value)| at(*along, *value)).collect();
        if let Some((x, y)) = points.iter().rev().find(|(x, _)| *x <= left + width) {
            picture.labels.push(text((x - 4.0, y - 6.0), lang.run_name(*number), "end", "--ink-2"));
        }
        strokes.push(Stroke { points, colour: colour("--ink"), width: 1.5, opacity: 0.4, dotted: false });
    }
    let clay = colour("--clay");
    strokes.push(Stroke { points: raw, colour: clay.clone(), width: 1.0, opacity: 0.32, dotted: false });
    strokes.push(Stroke { points: smooth.collect(), colour: clay, width: 2.25, opacity: 1.0, dotted: false });
    let cobalt = colour("--cobalt");
    strokes.push(Stroke { points: scores.clone(), colour: cobalt, width: 2.0, opacity: 1.0, dotted: true });
    let inside = |(x, y): &(f32, f32)| (left..=left + width).contains(x) && (top..=top + height).contains(y);
    let dots = scores.into_iter().filter(inside).collect();
    picture.panels.push(Panel { frame, strokes, dots });

    // The key: the name of each line with its latest value, from the right.
    let training = smoothed.values().last().map(|value| (lang.training(), *value, "--clay"));
    let validation = run.scores.last().map(|(_, score)| (lang.validation(), value_of(measure, score), "--cobalt"));
    let mut right = left + width;
    for (name, value, ink) in validation.into_iter().chain(training) {
        let label = format!("{name} {}", format_value(measure, value));
        let length = 7.5 * label.chars().map(|letter| if letter.is_ascii() { 1.0 } else { 1.8 }).sum::<f32>();
        picture.labels.push(text((right, 34.0), label, "end", ink));
        right -= length + 16.0;
    }
}
