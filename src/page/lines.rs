//! The lines of a chart on its canvas, and when they have to be drawn.
//!
//! Points that share a pixel column are drawn as their first, least, greatest and last, so that a frame costs the
//! same for four thousand points as for four hundred.

use std::cell::RefCell;
use std::rc::Rc;

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement};

use super::browser::{OncePerFrame, on_sight, window};
use super::plot::{Axis, Measure, Span, along};
use super::state::Run;

/// Draws when the canvas comes into view, when its size changes and when the theme does.
pub fn watch(canvas: &HtmlCanvasElement, draw: OncePerFrame, visible: Rc<RefCell<bool>>) {
    on_sight(canvas, {
        let draw = draw.clone();
        move |seen| {
            *visible.borrow_mut() = seen;
            if seen {
                draw.ask();
            }
        }
    });
    let again = Closure::<dyn FnMut()>::new(move || draw.ask());
    let resize = web_sys::ResizeObserver::new(again.as_ref().unchecked_ref()).ok();
    let theme = web_sys::MutationObserver::new(again.as_ref().unchecked_ref()).ok();
    let system = window().match_media("(prefers-color-scheme: dark)").ok().flatten();
    if let Some(observer) = &resize {
        observer.observe(canvas);
    }
    if let (Some(observer), Some(root)) = (&theme, super::browser::document().document_element()) {
        let options = web_sys::MutationObserverInit::new();
        options.set_attributes(true);
        options.set_attribute_filter(&js_sys::Array::of1(&"data-theme".into()));
        let _ = observer.observe_with_options(&root, &options);
    }
    if let Some(system) = &system {
        let _ = system.add_event_listener_with_callback("change", again.as_ref().unchecked_ref());
    }
    // The observers live as long as the canvas' owner does.
    let kept = StoredValue::new_local(Some((again, resize, theme, system)));
    on_cleanup(move || {
        let Some((again, resize, theme, system)) = kept.try_update_value(Option::take).flatten() else { return };
        if let Some(observer) = resize {
            observer.disconnect();
        }
        if let Some(observer) = theme {
            observer.disconnect();
        }
        if let Some(system) = system {
            let _ = system.remove_event_listener_with_callback("change", again.as_ref().unchecked_ref());
        }
    });
}

fn context(canvas: &HtmlCanvasElement) -> Option<CanvasRenderingContext2d> {
    canvas.get_context("2d").ok().flatten().map(JsCast::unchecked_into)
}

/// Takes the lines away.
pub fn clear(canvas: &HtmlCanvasElement) {
    if let Some(context) = context(canvas) {
        context.clear_rect(0.0, 0.0, canvas.width().into(), canvas.height().into());
    }
}

/// What of a chart is on show.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct View {
    /// Up and down.
    pub axis: Axis,
    /// From left to right.
    pub span: Span,
}

/// Draws the lines of earlier runs (places along the run, and values), the raw line and the smoothed one over them.
pub fn draw_lines(
    canvas: &HtmlCanvasElement,
    run: &Run,
    measure: Measure,
    view: View,
    smoothed: &[f32],
    past: &[Vec<(f32, f32)>],
) {
    let ratio = window().device_pixel_ratio();
    let width = (f64::from(canvas.client_width()) * ratio).round();
    let height = (f64::from(canvas.client_height()) * ratio).round();
    if (canvas.width(), canvas.height()) != (width as u32, height as u32) {
        canvas.set_width(width as u32);
        canvas.set_height(height as u32);
    }
    let (Some(context), true) = (context(canvas), width > 0.0 && height > 0.0) else { return };
    context.clear_rect(0.0, 0.0, width, height);
    context.set_line_join("round");
    context.set_line_cap("round");
    let style = window().get_computed_style(canvas).ok().flatten();
    let colour = |name| style.as_ref().and_then(|style| style.get_property_value(name).ok()).unwrap_or_default();
    context.set_stroke_style_str(colour("--ink").trim());
    context.set_global_alpha(0.4);
    context.set_line_width(1.5 * ratio);
    for line in past {
        trace(&context, line.iter().copied(), &[], view, (width, height));
    }
    context.set_stroke_style_str(colour("--clay").trim());
    let places = run.points.iter().map(|point| along(point.step, &run.config));
    let raw = places.clone().zip(run.points.iter().map(|point| measure.of(point)));
    let smooth = places.zip(smoothed.iter().copied());
    context.set_global_alpha(0.32);
    context.set_line_width(ratio);
    let gaps: Vec<f32> = run.resumed.iter().map(|step| along(*step, &run.config)).collect();
    trace(&context, raw, &gaps, view, (width, height));
    context.set_global_alpha(1.0);
    context.set_line_width(2.25 * ratio);
    trace(&context, smooth, &gaps, view, (width, height));
}

/// Half of the gap where a run was taken up again, in pixels of the screen.
const GAP: f64 = 2.5;

/// Strokes a line, with a thin gap where the run was taken up again. Points that share a pixel column are drawn as
/// their first, least, greatest and last.
fn trace(
    context: &CanvasRenderingContext2d,
    points: impl Iterator<Item = (f32, f32)>,
    gaps: &[f32],
    view: View,
    (width, height): (f64, f64),
) {
    context.begin_path();
    let mut column: Option<Column> = None;
    let (mut skip_to, mut broken) = (f64::NEG_INFINITY, false);
    let gap = GAP * window().device_pixel_ratio();
    // Far outside is enough: the canvas cuts it off, and an endless number would end the line.
    let across = |along: f32| f64::from(view.span.place(along).clamp(-100.0, 100.0)) * width;
    // The points come in order, and so do the gaps.
    let mut gaps = gaps.iter().map(|along| across(*along)).peekable();
    for (along, value) in points {
        let x = across(along);
        if let Some(at) = gaps.next_if(|at| *at - gap < x) {
            if let Some(column) = column.take() {
                column.draw(context);
            }
            skip_to = at + gap;
            broken = true;
        }
        if x < skip_to {
            continue;
        }
        let y = f64::from(view.axis.place(value).clamp(-100.0, 100.0)) * height;
        if !y.is_finite() {
            continue;
        }
        match &mut column {
            Some(column) if (column.x - x).abs() < 1.0 => column.add(y),
            _ => {
                if std::mem::take(&mut broken) {
                    context.move_to(x, y);
                }
                if let Some(column) = column.replace(Column { x, first: y, low: y, high: y, last: y }) {
                    column.draw(context);
                }
            }
        }
    }
    if let Some(column) = column {
        column.draw(context);
    }
    context.stroke();
}

struct Column {
    x: f64,
    first: f64,
    low: f64,
    high: f64,
    last: f64,
}

impl Column {
    fn add(&mut self, y: f64) {
        self.low = self.low.min(y);
        self.high = self.high.max(y);
        self.last = y;
    }

    fn draw(&self, context: &CanvasRenderingContext2d) {
        context.line_to(self.x, self.first);
        if self.low != self.high {
            context.line_to(self.x, self.low);
            context.line_to(self.x, self.high);
            context.line_to(self.x, self.last);
        }
    }
}
