//! The pad: a drawing, the stages that it goes through, and the ten answers.

use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::{Clamped, JsCast};
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement, ImageData, PointerEvent};

use super::Page;
use super::browser::{OncePerFrame, after, now, window};
use super::digits::{LabelLine, Labels};
use super::state::digits::Act;
use super::state::{Action, PageState};
use super::words::{Lang, class_name};
use crate::data::drawing::{BOX, Bitmap, Crop, Point, RASTER, Stages, normalize, rasterize};
use crate::data::{CLASSES, SIDE};
use crate::page::reactive::{Memo, Views, effect, handler, live, memo, on_change, on_load};
use crate::web::field;

/// The pen's width as a share of the pad's side.
const PEN: f32 = 0.08;
/// How often an unfinished stroke is read.
const READ_MS: f64 = 100.0;
/// Steps of the pen when it is moved by keys.
const KEY_STEP: f32 = 1.0 / 28.0;
/// How long the drawing must rest before its answer is spoken.
const SPEAK_MS: i32 = 600;

/// How long the pen must rest until a drawing that was asked for is kept.
const KEEP_MS: i32 = 700;

/// Each digit as it may be written, on 100×100: the ghost on an empty pad.
const GHOSTS: [&str; CLASSES] = [
    "M52 12C34 12 25 32 25 51C25 72 34 88 51 88C68 88 76 71 76 50C76 31 69 12 52 12",
    "M38 27L54 12L52 89",
    "M28 31C29 18 39 11 51 11C64 11 72 20 71 32C70 49 46 64 26 87L77 85",
    "M28 21C35 14 43 11 51 11C64 11 71 19 71 29C71 41 60 47 46 48C63 48 74 55 74 68C74 82 62 89 49 89C39 89 31 85 25 78",
    "M60 11L23 61L79 56M64 32L56 89",
    "M71 12L37 13L33 46C40 41 46 40 52 40C66 40 75 50 75 64C75 79 64 89 49 89C39 89 31 85 25 78",
    "M65 11C45 24 28 44 28 65C28 80 38 89 51 89C64 89 73 80 73 67C73 54 64 46 52 46C42 46 33 51 29 60",
    "M30.2 21.0C32.7 20.7 39.0 19.1 45.6 19.1C52.1 19.1 65.4 20.9 69.3 21.3M69.3 21.3C67.6 24.9 62.2 35.1 59.0 43.0C55.9 50.9 54.0 60.7 50.4 68.8C46.9 77.0 39.8 87.9 37.7 91.8\
     M39.5 54.4C40.8 53.7 43.0 51.5 47.1 50.7C51.3 49.9 61.4 49.8 64.3 49.6",
    "M70 22C66 14 59 11 51 11C39 11 31 18 31 28C31 48 73 50 73 70C73 82 63 89 50 89C37 89 28 82 28 71C28 52 70 46 70 22",
    "M71 34C69 45 61 52 50 52C37 52 28 44 28 32C28 20 37 11 50 11C63 11 71 20 71 34L65 89",
];

/// What is drawn. Plain data outside of the signals: strokes grow with every move of the pen.
#[derive(Default)]
struct Sheet {
    strokes: Vec<Vec<Point>>,
    /// The pointer that draws.
    pointer: Option<i32>,
    read_at: f64,
}

/// The card with pad, stages and answers.
#[component]
pub fn Try() -> impl IntoView {
    let page = expect_context::<Page>();
    let sheet = StoredValue::new_local(Sheet::default());
    let empty = RwSignal::new(true);
    let stages = RwSignal::new(None::<Stages>);
    let drawing = RwSignal::new(false);
    let pen = RwSignal::new(None::<(f32, f32, bool)>);
    let ink = NodeRef::<html::Canvas>::new();

    let draw = OncePerFrame::new(move || {
        if let Some(canvas) = ink.try_get_untracked().flatten() {
            sheet.with_value(|sheet| draw_strokes(&canvas, &sheet.strokes));
        }
    });
    let read = move || {
        let found = sheet.with_value(|sheet| normalize(&rasterize(&sheet.strokes, PEN)));
        page.act(Action::Draw(found.as_ref().map(|stages| Box::new(stages.centred))));
        stages.set(found);
        sheet.update_value(|sheet| sheet.read_at = now());
        speak_later(page);
    };
    let asked = page.slice(|state| {
        let label = state.asked_for()?;
        Some((label, state.collection().classes().get(usize::from(label)).cloned().unwrap_or_default()))
    });
    let pictures = page.slice(|state| state.digits.pictures.len());
    let names = page.slice(|state| state.names_classes());
    let changed = StoredValue::new_local(draw);
    let redraw = move || changed.with_value(OncePerFrame::ask);
    let clear = move || {
        sheet.update_value(|sheet| *sheet = Sheet::default());
        empty.set(true);
        pen.set(None);
        redraw();
        read();
    };
    on_change(move || page.cleared.get(), clear);
    // A picture that waits for its label lies on the pad like a drawing.
    let picture = NodeRef::<html::Canvas>::new();
    let shown = RwSignal::new(false);
    let show = move || {
        clear();
        let front = page.state.with_untracked(|state| state.digits.pictures.front().cloned());
        shown.set(front.is_some());
        if let (Some(front), Some(canvas)) = (front, picture.get_untracked()) {
            put_pixels(&canvas, SIDE, SIDE, front.iter().copied());
            empty.set(false);
            page.act(Action::Draw(Some(front)));
        }
    };
    on_change(move || page.pictured.get(), show);
    let pad = NodeRef::<html::Div>::new();
    let add = move |points: Vec<Point>| {
        sheet.update_value(|sheet| {
            if let Some(stroke) = sheet.strokes.last_mut() {
                stroke.extend(points);
            }
        });
        redraw();
        if now() - sheet.with_value(|sheet| sheet.read_at) >= READ_MS {
            read();
        }
    };
    let begin = move |point: Point| {
        sheet.update_value(|sheet| sheet.strokes.push(vec![point]));
        empty.set(false);
        redraw();
    };
    let down = move |event: PointerEvent| {
        let free = sheet.with_value(|sheet| sheet.pointer.is_none());
        if !event.is_primary() || event.button() != 0 || !free || shown.get_untracked() {
            return;
        }
        let Some(pad) = pad.get_untracked() else { return };
        // Pointer events made by a program have no pointer to capture; they draw all the same.
        let _ = pad.set_pointer_capture(event.pointer_id());
        sheet.update_value(|sheet| sheet.pointer = Some(event.pointer_id()));
        drawing.set(true);
        begin(place(&pad.get_bounding_client_rect(), &event));
    };
    let moved = move |event: PointerEvent| {
        let ours = sheet.with_value(|sheet| sheet.pointer == Some(event.pointer_id()));
        let Some(pad) = pad.get_untracked().filter(|_| ours) else { return };
        let bounds = pad.get_bounding_client_rect();
        add(coalesced(&event).iter().map(|event| place(&bounds, event)).collect());
    };
    let up = move |event: PointerEvent| {
        let ours = sheet.with_value(|sheet| sheet.pointer == Some(event.pointer_id()));
        if ours {
            sheet.update_value(|sheet| sheet.pointer = None);
            drawing.set(false);
            read();
            keep_later(page, sheet);
        }
    };
    let keyed = move |event: leptos::ev::KeyboardEvent| {
        if shown.get_untracked() {
            return;
        }
        let (mut x, mut y, mut down) = pen.get_untracked().unwrap_or((0.5, 0.25, false));
        match event.key().as_str() {
            "ArrowLeft" => x -= KEY_STEP,
            "ArrowRight" => x += KEY_STEP,
            "ArrowUp" => y -= KEY_STEP,
            "ArrowDown" => y += KEY_STEP,
            " " => {
                down = !down;
                if down {
                    begin(Point { x, y });
                }
            }
            _ => return,
        }
        event.prevent_default();
        (x, y) = (x.clamp(0.04, 0.96), y.clamp(0.04, 0.96));
        pen.set(Some((x, y, down)));
        if down {
            add(vec![Point { x, y }]);
        }
        read();
    };
    on_load(ink, move |canvas| watch_size(&canvas, changed));
    // On phones the buttons at the bottom would be under the finger.
    effect(move || {
        if let Some(root) = super::browser::document().document_element() {
            let _ = root.toggle_attribute_with_force("data-drawing", drawing.get());
        }
    });
    let flash = memo(move || stages.with(|stages| stages.as_ref().map(|stages| stages.crop)));
    let ghost = live(move || {
        let asked = asked.get();
        match asked {
            // A sign of one's own has no model: its name stands there.
            Some((_, name)) if names.get() => view! { <text class="ghostname" x="50" y="52">{name}</text> }.into_any(),
            asked => {
                let digit = asked.map_or(7, |(label, _)| usize::from(label));
                let strokes = GHOSTS[digit.min(CLASSES - 1)]
                    .split('M')
                    .filter(|stroke| !stroke.is_empty())
                    .map(|stroke| view! { <path class="ghost" pathLength="1" d=format!("M{stroke}") /> })
                    .views();
                view! { <g transform="translate(50 45) scale(.62) translate(-50 -50)">{strokes}</g> }.into_any()
            }
        }
    });
    view! {
        <section class="try" aria-label=page.say(Lang::try_it)>
            <div class="sheet">
                <header>
                    <h2 data-testid="pad-title" data-asked=move || asked.get().map(|(label, _)| label)>
                        {move || {
                            let lang = page.lang.get();
                            match (pictures.get(), asked.get()) {
                                (0, None) => lang.try_it().to_owned(),
                                (0, Some((_, name))) => lang.draw_a(&name),
                                (waiting, _) => lang.what_is_this(waiting),
                            }
                        }}
                    </h2>
                    <button
                        class="icon wide-icon"
                        class:gone=move || empty.get()
                        data-testid="pad-clear"
                        on:click=handler(move |_| {
                            if shown.get_untracked() {
                                page.act(Action::Digits(Act::SkipPicture));
                            } else {
                                clear();
                            }
                        })
                    >
                        {move || {
                            let lang = page.lang.get();
                            if shown.get() { lang.skip_picture() } else { lang.clear() }
                        }}
                    </button>
                </header>
                <div class="padrow">
                    <div
                        class="pad"
                        data-testid="pad"
                        tabindex="0"
                        role="application"
                        aria-label=page.say(Lang::pad)
                        node_ref=pad
                        on:pointerdown=handler(down)
                        on:pointermove=handler(moved)
                        on:pointerup=handler(up)
                        on:pointercancel=handler(up)
                        on:lostpointercapture=handler(up)
                        on:keydown=handler(keyed)
                        on:blur=handler(move |_| pen.set(None))
                    >
                        <canvas node_ref=ink aria-hidden="true"></canvas>
                        <canvas class="picture" class:gone=move || !shown.get() node_ref=picture aria-hidden="true"></canvas>
                        <svg viewBox="0 0 100 100" aria-hidden="true" class:gone=move || !empty.get()>
                            {ghost}
                        </svg>
                        <CropFlash crop=flash drawing />
                        {live(move || {
                            pen.get()
                                .map(|(x, y, down)| {
                                    view! {
                                        <i
                                            class="pen"
                                            class:down=down
                                            style:--x=format!("{:.2}%", x * 100.0)
                                            style:--y=format!("{:.2}%", y * 100.0)
                                        ></i>
                                    }
                                })
                        })}
                        <span class="hint" class:gone=move || !empty.get()>
                            {move || {
                                let lang = page.lang.get();
                                if asked.get().is_some() { lang.as_you_write_it() } else { lang.draw_here() }
                            }}
                        </span>
                    </div>
                    <StageViews stages sheet />
                </div>
                <Answers empty />
            </div>
        </section>
    }
}

/// While the pad asks for something, a drawing is kept once the pen has rested.
fn keep_later(page: Page, sheet: StoredValue<Sheet, LocalStorage>) {
    let drawn = page.state.with_untracked(|state| state.drawn());
    after(KEEP_MS, move || {
        let rests = sheet.try_with_value(|sheet| sheet.pointer.is_none()).unwrap_or(false);
        let same = page.state.try_with_untracked(|state| state.drawn() == drawn && state.asked_for().is_some());
        if rests && same.unwrap_or(false) {
            page.act(Action::Digits(Act::Keep));
        }
    });
}

/// Speaks the answer once the drawing has rested.
fn speak_later(page: Page) {
    let drawn = page.state.with_untracked(|state| state.drawn());
    after(SPEAK_MS, move || {
        let spoken = page.state.try_with_untracked(|state| {
            let answer = state.answer.as_ref().filter(|_| state.drawn() == drawn)?;
            Some(page.lang.try_get_untracked()?.spoken_answer(answer, &state.answer_names()))
        });
        if let Some(text) = spoken.flatten() {
            page.announce(text);
        }
    });
}

/// Where in these bounds a pointer is.
fn place(bounds: &web_sys::DomRect, event: &PointerEvent) -> Point {
    let along = |at: i32, from: f64, length: f64| ((f64::from(at) - from) / length.max(1.0)) as f32;
    Point {
        x: along(event.client_x(), bounds.left(), bounds.width()),
        y: along(event.client_y(), bounds.top(), bounds.height()),
    }
}

/// All places that the pointer was at since the last event: a fast stroke has more of them than frames.
fn coalesced(event: &PointerEvent) -> Vec<PointerEvent> {
    let all = if field(event.as_ref(), "getCoalescedEvents").is_function() {
        event.get_coalesced_events().iter().map(JsCast::unchecked_into).collect()
    } else {
        Vec::new()
    };
    if all.is_empty() { vec![event.clone()] } else { all }
}

fn watch_size(canvas: &HtmlCanvasElement, draw: StoredValue<OncePerFrame, LocalStorage>) {
    let again = wasm_bindgen::closure::Closure::<dyn FnMut()>::new(move || {
        draw.try_with_value(OncePerFrame::ask);
    });
    let Ok(observer) = web_sys::ResizeObserver::new(again.as_ref().unchecked_ref()) else { return };
    observer.observe(canvas);
    let kept = StoredValue::new_local(Some((again, observer)));
    on_cleanup(move || {
        if let Some((_, observer)) = kept.try_update_value(Option::take).flatten() {
            observer.disconnect();
        }
    });
}

fn context(canvas: &HtmlCanvasElement) -> Option<CanvasRenderingContext2d> {
    canvas.get_context("2d").ok().flatten().map(JsCast::unchecked_into)
}

/// Draws the strokes as smooth lines: each point pulls the curve, which runs through the middles between them.
fn draw_strokes(canvas: &HtmlCanvasElement, strokes: &[Vec<Point>]) {
    let side = f64::from(canvas.client_width()) * window().device_pixel_ratio();
    if canvas.width() != side as u32 {
        canvas.set_width(side as u32);
        canvas.set_height(side as u32);
    }
    let Some(context) = context(canvas) else { return };
    context.clear_rect(0.0, 0.0, side, side);
    // The light theme's ink; the style sheet turns it into the dark one's.
    context.set_stroke_style_str("#211b16");
    context.set_line_cap("round");
    context.set_line_join("round");
    context.set_line_width(f64::from(PEN) * side);
    let scale = |point: &Point| (f64::from(point.x) * side, f64::from(point.y) * side);
    for stroke in strokes {
        let Some(first) = stroke.first().map(scale) else { continue };
        context.begin_path();
        context.move_to(first.0, first.1);
        for pair in stroke.windows(2) {
            let ((ax, ay), (bx, by)) = (scale(&pair[0]), scale(&pair[1]));
            context.quadratic_curve_to(ax, ay, (ax + bx) / 2.0, (ay + by) / 2.0);
        }
        let last = stroke.last().map_or(first, scale);
        context.line_to(last.0, last.1);
        context.stroke();
    }
}

/// Shows for a moment where a small or an off-centre drawing was found.
#[component]
fn CropFlash(crop: Memo<Option<Crop>>, drawing: RwSignal<bool>) -> impl IntoView {
    let shown = move || {
        let crop = crop.get().filter(|_| !drawing.get())?;
        let middle = |from: usize, length: usize| (from + length / 2).abs_diff(RASTER / 2) > RASTER / 6;
        let small = crop.width.max(crop.height) < RASTER / 2;
        (small || middle(crop.x, crop.width) || middle(crop.y, crop.height)).then_some(crop)
    };
    live(move || {
        shown().map(|crop| {
            let percent = |pixels: usize| pixels as f32 / RASTER as f32 * 100.0;
            view! {
                <svg viewBox="0 0 100 100" aria-hidden="true">
                    <rect
                        class="box"
                        x=percent(crop.x)
                        y=percent(crop.y)
                        width=percent(crop.width)
                        height=percent(crop.height)
                    />
                </svg>
            }
        })
    })
}

/// Puts grey bytes on a canvas, as ink with that much alpha: so it follows the theme.
pub fn put_pixels(canvas: &HtmlCanvasElement, width: usize, height: usize, ink: impl Iterator<Item = u8>) {
    let bytes: Vec<u8> = ink.flat_map(|alpha| [33, 27, 22, alpha]).collect();
    let size = (width as u32, height as u32);
    if (canvas.width(), canvas.height()) != size {
        canvas.set_width(size.0);
        canvas.set_height(size.1);
    }
    let image = ImageData::new_with_u8_clamped_array_and_sh(Clamped(&bytes), size.0, size.1);
    if let (Some(context), Ok(image)) = (context(canvas), image) {
        let _ = context.put_image_data(&image, 0.0, 0.0);
    }
}

#[component]
fn StageViews(stages: RwSignal<Option<Stages>>, sheet: StoredValue<Sheet, LocalStorage>) -> impl IntoView {
    let page = expect_context::<Page>();
    let (crop, fit, centre) =
        (NodeRef::<html::Canvas>::new(), NodeRef::<html::Canvas>::new(), NodeRef::<html::Canvas>::new());
    effect(move || {
        let (Some(crop), Some(fit), Some(centre)) = (crop.get(), fit.get(), centre.get()) else { return };
        stages.with(|stages| match stages {
            None => {
                for canvas in [&crop, &fit, &centre] {
                    put_pixels(canvas, 1, 1, [0].into_iter());
                }
            }
            Some(stages) => {
                let drawn = sheet.with_value(|sheet| rasterize(&sheet.strokes, PEN));
                let cut = cut_square(&drawn, stages.crop);
                put_pixels(&crop, cut.width, cut.height, cut.pixels.into_iter());
                put_pixels(&fit, BOX, BOX, stages.fit.pixels.iter().copied());
                put_pixels(&centre, SIDE, SIDE, stages.centred.iter().copied());
            }
        });
    });
    view! {
        <div class="stages" role="group" aria-label=page.say(Lang::stages)>
            <div class="stage" data-testid="stage-crop">
                <span>
                    <canvas class="ink smooth" node_ref=crop></canvas>
                </span>
                {page.say(Lang::cropped)}
            </div>
            <div class="stage" data-testid="stage-fit">
                <span>
                    <canvas class="ink" node_ref=fit></canvas>
                </span>
                {page.say(Lang::fit)}
            </div>
            <div class="stage" data-testid="stage-centre">
                <span>
                    <canvas class="ink" node_ref=centre></canvas>
                </span>
                {page.say(Lang::centred)}
            </div>
        </div>
    }
}

/// The crop in the middle of a square, so that its shape is kept.
fn cut_square(drawn: &Bitmap, crop: Crop) -> Bitmap {
    let side = crop.width.max(crop.height);
    let (left, top) = ((side - crop.width) / 2, (side - crop.height) / 2);
    let mut cut = Bitmap::new(side, side);
    for y in 0..crop.height {
        for x in 0..crop.width {
            cut.pixels[(top + y) * side + left + x] = drawn.at(crop.x + x, crop.y + y);
        }
    }
    cut
}

/// The digit that is read, how sure that is, and ten bars that never change places.
#[component]
fn Answers(empty: RwSignal<bool>) -> impl IntoView {
    let page = expect_context::<Page>();
    let answer = page.slice(|state| state.answer.clone());
    let opened = page.slice(|state| state.device.is_some() && !state.engine_gone());
    let top = memo(move || answer.with(|answer| answer.as_ref().map(|answer| answer.best[0].0)));
    let names = page.slice(|state| state.answer_names());
    let reads = live(move || {
        let top = top.get()?;
        Some(names.with(|names| class_name(names, top)))
    });
    let sentence = live(move || {
        answer.with(|answer| answer.as_ref().map(|answer| names.with(|names| page.lang.get().answer(answer, names))))
    });
    let asked = page.slice(|state| {
        let label = state.asked_for()?;
        state.collection().classes().get(usize::from(label)).cloned()
    });
    // A bar for each of the classes that are collected; they have answers where the network has the same ones.
    let classes = page.slice(|state| {
        let classes = state.collection().classes().len();
        (classes, state.answer.as_ref().is_none_or(|answer| answer.probabilities.len() == classes))
    });
    let waits = live(move || {
        let lang = page.lang.get();
        if let Some(name) = asked.get() {
            return lang.lift_the_pen(&name);
        }
        let waits = if empty.get() || opened.get() { lang.answers_wait() } else { lang.answers_wait_engine() };
        waits.to_owned()
    });
    let probability = move |digit: usize| {
        answer.with(|answer| {
            answer.as_ref().map_or(0.0, |answer| answer.probabilities.get(digit).copied().unwrap_or(0.0))
        })
    };
    let bars = live(move || {
        let (classes, same) = classes.get();
        let share = move |class: usize| if same { probability(class) } else { 0.0 };
        let bar = move |class: usize| {
            view! {
                <div
                    class="c"
                    class:top=move || same && top.get() == Some(class)
                    data-testid=format!("answer-{class}")
                    style:--p=move || format!("{:.3}", share(class))
                >
                    <small>
                        {move || (share(class) >= 0.02).then(|| format!("{:.0}", share(class) * 100.0))}
                    </small>
                    <i></i>
                </div>
            }
        };
        (0..classes).map(bar).views()
    });
    let reading = page.slice(PageState::is_reading);
    view! {
        <div class="answer">
            <p class="read">
                <b data-testid="prediction">{reads}</b>
                <span>{sentence}</span>
            </p>
            <p class="wait" hidden=move || top.get().is_some()>
                {waits}
            </p>
            <div
                class="cols"
                role="group"
                data-testid="answers"
                data-reading=move || reading.get().to_string()
                aria-label=page.say(Lang::answers)
                style:--n=move || classes.get().0.to_string()
            >
                {bars}
                <Labels />
            </div>
            <LabelLine />
        </div>
    }
}
