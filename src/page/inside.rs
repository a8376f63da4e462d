//! Inside the network: the drawing on its way through the layers. Empty tiles with their shapes until there is one.

use leptos::html;
use leptos::prelude::*;

use super::Page;
use super::browser::on_sight;
use super::finetune::Lock;
use super::pad::put_pixels;
use super::state::{Action, PageState};
use super::words::Lang;
use crate::data::{CLASSES, PIXELS, SIDE};
use crate::model::summary::summarize;
use crate::page::reactive::{Views, effect, live, memo, on_load};
use crate::protocol::LayerMaps;

/// Ink of a tile where a map is zero, so that its square is seen.
const GROUND: u8 = 22;
/// About how many canvas pixels a map's side gets: small maps are drawn larger, so that the gaps stay thin.
const TILE: usize = 14;

/// One layer of the strip.
#[derive(Debug, Clone, PartialEq)]
struct Shown {
    /// Its name in the summary.
    name: String,
    /// What lies between it and the layer before.
    steps: Vec<String>,
    /// Maps, and width and height of each; 1 for a dense layer.
    maps: usize,
    side: usize,
    columns: usize,
    rows: usize,
    parameters: usize,
}

/// How many maps are shown, in columns and rows: what keeps them large enough to see.
fn tiles(maps: usize, side: usize) -> (usize, usize) {
    let (columns, rows) = match side {
        20.. => (4, 2),
        12..20 => (4, 4),
        6..12 => (6, 6),
        _ => (8, 8),
    };
    (columns.min(maps), rows.min(maps.div_ceil(columns)))
}

/// The section.
#[component]
pub fn Inside() -> impl IntoView {
    let page = expect_context::<Page>();
    let network = page.slice(|state| {
        let config = state.run.as_ref().map_or(&state.settings, |run| &run.config);
        config.network.clone()
    });
    let layers = memo(move || {
        let config = network.get();
        let Ok(summary) = summarize(&config) else { return Vec::new() };
        let mut steps = Vec::new();
        let mut shown = Vec::new();
        for layer in &summary.layers {
            let kind = layer.name.trim_end_matches(|letter: char| letter.is_ascii_digit());
            match (kind, layer.output.as_slice()) {
                ("conv", &[maps, side, _]) => {
                    let block = layer.name[kind.len()..].parse::<usize>().unwrap_or(1);
                    let kernel = config.convolutions[block - 1].kernel;
                    steps.push(format!("conv {kernel}×{kernel}"));
                    let (columns, rows) = tiles(maps, side);
                    let (name, parameters) = (layer.name.clone(), layer.parameters);
                    let steps = std::mem::take(&mut steps);
                    shown.push(Shown { name, steps, maps, side, columns, rows, parameters });
                }
                ("dense", &[maps]) => {
                    let (columns, rows) = tiles(maps, 1);
                    let (name, parameters) = (layer.name.clone(), layer.parameters);
                    let steps = std::mem::take(&mut steps);
                    shown.push(Shown { name, steps, maps, side: 1, columns, rows, parameters });
                }
                ("flatten", &[features]) => steps.push(format!("flatten {features}")),
                _ => steps.push(kind.to_owned()),
            }
        }
        shown
    });
    let answered = page.slice(|state| state.answered().is_some());
    let drawing = page.slice(|state| state.drawn());
    let strip = NodeRef::<html::Div>::new();
    on_load(strip, move |strip| on_sight(&strip, move |seen| page.act(Action::SeeInside(seen))));
    let canvas = NodeRef::<html::Canvas>::new();
    effect(move || {
        let _ = drawing.get();
        let Some(canvas) = canvas.get() else { return };
        page.state.with_untracked(|state| {
            let pixels = state.drawing();
            put_pixels(&canvas, SIDE, SIDE, (0..PIXELS).map(|at| pixels.map_or(0, |pixels| pixels[at])));
        });
    });
    let tiles = live(move || {
        let layers = layers.get();
        // The last dense layer is the ten answers, which have a form of their own.
        let Some((answers, before)) = layers.split_last() else { return Vec::new() };
        let mut views = Vec::new();
        for (index, layer) in before.iter().enumerate() {
            views.push(view! { <Step steps=layer.steps.clone() /> }.into_any());
            views.push(view! { <Layer index layer=layer.clone() /> }.into_any());
        }
        views.push(view! { <Step steps=vec!["softmax".into()] /> }.into_any());
        views.push(view! { <TenAnswers parameters=answers.parameters layer=answers.name.clone() /> }.into_any());
        views
    });
    view! {
        <section class="sec" id="inside" data-testid="inside">
            <header>
                <h2 class="t">{page.say(Lang::inside)}</h2>
                <p>
                    {move || {
                        let lang = page.lang.get();
                        if answered.get() { lang.inside_filled() } else { lang.inside_empty() }
                    }}
                </p>
            </header>
            <div class="strip" node_ref=strip tabindex="0" role="group" aria-label=page.say(Lang::strip)>
                <div class="lay">
                    <span class="pic drawing">
                        <canvas class="ink" node_ref=canvas></canvas>
                    </span>
                    <b>{page.say(Lang::your_drawing)}</b>
                    {page.say(Lang::pixels)}
                </div>
                {tiles}
            </div>
        </section>
    }
}

#[component]
fn Step(steps: Vec<String>) -> impl IntoView {
    let lines = steps.into_iter().map(|step| view! { <span>{step}</span> }).views();
    view! {
        <div class="op">
            {lines}
            <svg viewBox="0 0 60 8" preserveAspectRatio="xMaxYMid slice" aria-hidden="true">
                <path d="M-200 4h256M52 .8L56 4l-4 3.2" fill="none" stroke="currentColor" />
            </svg>
        </div>
    }
}

#[component]
fn Layer(index: usize, layer: Shown) -> impl IntoView {
    let page = expect_context::<Page>();
    let looked = page.slice(PageState::looked_inside);
    let filled = memo(move || looked.get().is_some());
    let (columns, rows, dense) = (layer.columns, layer.rows, layer.side == 1);
    let canvas = NodeRef::<html::Canvas>::new();
    let name = layer.name.clone();
    effect(move || {
        let _ = looked.get();
        let Some(canvas) = canvas.get() else { return };
        page.state.with_untracked(|state| match state.inside.layers.iter().find(|maps| maps.name == name) {
            Some(maps) => draw_maps(&canvas, maps, columns, rows, dense),
            None => put_pixels(&canvas, 1, 1, [0].into_iter()),
        });
    });
    let lock = layer.name.clone();
    let Shown { name, maps: all, side, parameters, .. } = layer;
    let shown = live(move || {
        let lang = page.lang.get();
        if dense { lang.numbers(all) } else { lang.maps((columns * rows).min(all), all, side) }
    });
    view! {
        <div class="lay" data-testid=format!("layer-{index}")>
            <span
                class=format!("pic grid{columns}x{rows}")
                class:blank=move || !filled.get()
                class:wide={columns > rows}
            >
                <canvas class="ink" node_ref=canvas></canvas>
            </span>
            <b>{move || page.lang.get().layer_title(&name)}</b>
            {shown}
            <br />
            <span class="faint">{move || page.lang.get().parameter_count(parameters)}</span>
            <Lock layer=lock />
        </div>
    }
}

/// All maps of a layer on one canvas, with gaps between them.
fn draw_maps(canvas: &web_sys::HtmlCanvasElement, maps: &LayerMaps, columns: usize, rows: usize, dense: bool) {
    let side = maps.side as usize;
    let scale = TILE.div_ceil(side.max(1)).max(1);
    let tile = side * scale;
    let gap = if dense { 0 } else { tile.div_ceil(16) };
    let (width, height) = (columns * (tile + gap) - gap, rows * (tile + gap) - gap);
    let pixel = |at: usize| {
        let (x, y) = (at % width, at / width);
        let (column, row) = (x / (tile + gap), y / (tile + gap));
        let (x, y) = (x % (tile + gap), y % (tile + gap));
        if x >= tile || y >= tile {
            return 0;
        }
        let index = ((row * columns + column) * side + y / scale) * side + x / scale;
        maps.maps.get(index).map_or(0, |value| GROUND + ((255 - GROUND as u16) * u16::from(*value) / 255) as u8)
    };
    put_pixels(canvas, width, height, (0..width * height).map(pixel));
}

#[component]
fn TenAnswers(parameters: usize, layer: String) -> impl IntoView {
    let page = expect_context::<Page>();
    let answer = page.slice(|state| {
        let answer = state.answer.as_ref()?;
        Some((answer.probabilities.clone(), answer.best[0].0))
    });
    let rows = (0..CLASSES)
        .map(|digit| {
            let share = move || {
                answer.with(|answer| answer.as_ref().and_then(|(shares, _)| shares.get(digit).copied()).unwrap_or(0.0))
            };
            view! {
                <div class:top=move || answer.with(|answer| answer.as_ref().is_some_and(|(_, top)| *top == digit))>
                    <span>{digit}</span>
                    <i style:--p=move || format!("{:.1}%", share() * 100.0)></i>
                    <span>{move || (share() >= 0.02).then(|| format!("{:.0}", share() * 100.0))}</span>
                </div>
            }
        })
        .views();
    view! {
        <div class="lay">
            <div class="outs">{rows}</div>
            <b>{page.say(Lang::ten_answers)}</b>
            {page.say(Lang::sum_to_100)}
            <br />
            <span class="faint">{move || page.lang.get().parameter_count(parameters)}</span>
            <Lock layer />
        </div>
    }
}
