//! The top bar: name, anchors, device, language, text size, theme.

use leptos::prelude::*;

use super::Page;
use super::browser::{document, recall, remember, window};
use super::settings::MOST_WORKERS;
use super::state::{Action, DeviceChoice, PageState, Phase};
use super::words::{Lang, Text, count};
use crate::page::reactive::{Show, Views, effect, handler, live};
use crate::protocol::DeviceKind;

/// Sizes of the root's text, in percent. All of the page is measured in it.
const TEXT_SIZES: [&str; 3] = ["100", "125", "150"];

/// The bar.
#[component]
pub fn Mast() -> impl IntoView {
    let page = expect_context::<Page>();
    let mistakes = page.slice(|state| state.mistakes.any().then(|| state.mistakes.confusion().mistakes()));
    let compared = page.slice(|state| state.tuning.shown_arm().is_some());
    let collects = page.slice(|state| state.shows_digits());
    let shelf = page.slice(PageState::has_shelf);
    let tuned = page.slice(|state| state.sweeps.sweep.is_some());
    view! {
        <header class="mast">
            <div class="wrap">
                <a class="brand" href="#bench" aria-label=page.say(Lang::to_top)>
                    <svg viewBox="0 0 24 28" aria-hidden="true">
                        <path class="arch" d="M2 27V13a10 11.5 0 0 1 20 0v14z" />
                        <path class="glow" d="M7 27V15.5a5 6 0 0 1 10 0V27z" />
                        <path class="arch" d="M0 27h24" />
                    </svg>
                    "Kiln"
                </a>
                <nav class="nav" aria-label=page.say(Lang::on_this_page)>
                    <a href="#bench" aria-current="true">{page.say(Lang::nav_train)}</a>
                    <Show when=move || mistakes.get().is_some()>
                        <a href="#mistakes" data-testid="nav-mistakes">
                            {page.say(Lang::nav_mistakes)}
                            <span class="n">{move || mistakes.get().map(count)}</span>
                        </a>
                    </Show>
                    <Show when=move || compared.get()>
                        <a href="#before-after">{page.say(Lang::before_and_after)}</a>
                    </Show>
                    <Show when=move || collects.get()>
                        <a href="#digits">{page.say(Lang::your_digits)}</a>
                    </Show>
                    <Show when=move || tuned.get()>
                        <a href="#sweep">{page.say(Lang::tuning)}</a>
                    </Show>
                    <a href="#inside">{page.say(Lang::nav_inside)}</a>
                    <Show when=move || shelf.get()>
                        <a href="#models">{page.say(Lang::models)}</a>
                    </Show>
                </nav>
                <div class="tools">
                    <DeviceChip />
                    <button
                        class="icon wide-icon"
                        data-testid="language"
                        lang=move || if page.lang.get() == Lang::En { "zh" } else { "en" }
                        aria-label=page.say(Lang::other_name)
                        on:click=handler(move |_| {
                            page.lang.update(|lang| *lang = if *lang == Lang::En { Lang::Zh } else { Lang::En });
                            remember("language", Some(page.lang.get_untracked().code()));
                        })
                    >
                        {page.say(Lang::other)}
                    </button>
                    <TextSize />
                    <Theme />
                </div>
            </div>
        </header>
    }
}

#[component]
fn TextSize() -> impl IntoView {
    let page = expect_context::<Page>();
    let size = RwSignal::new(recall("text-size").unwrap_or_else(|| TEXT_SIZES[0].into()));
    effect(move || set_root("data-text", Some(&size.get())));
    view! {
        <button
            class="icon"
            data-testid="text-size"
            aria-label=page.say(Lang::larger_text)
            on:click=handler(move |_| {
                let at = TEXT_SIZES.iter().position(|known| *known == size.get_untracked()).unwrap_or(0);
                let next = TEXT_SIZES[(at + 1) % TEXT_SIZES.len()];
                remember("text-size", Some(next));
                size.set(next.into());
            })
        >
            <span aria-hidden="true" class="aa">
                <span>"A"</span>
                <span>"A"</span>
            </span>
        </button>
    }
}

#[component]
fn Theme() -> impl IntoView {
    let page = expect_context::<Page>();
    let system_dark = || {
        let query = window().match_media("(prefers-color-scheme: dark)").ok().flatten();
        query.is_some_and(|query| query.matches())
    };
    let chosen = RwSignal::new(recall("theme"));
    let dark = move || chosen.with(|chosen| chosen.as_deref().map_or_else(system_dark, |theme| theme == "dark"));
    effect(move || set_root("data-theme", chosen.get().as_deref()));
    view! {
        <button
            class="icon"
            data-testid="theme"
            aria-label=move || {
                let lang = page.lang.get();
                if dark() { lang.light_theme() } else { lang.dark_theme() }
            }
            on:click=handler(move |_| {
                let next = if dark() { "light" } else { "dark" };
                remember("theme", Some(next));
                chosen.set(Some(next.into()));
            })
        >
            <svg viewBox="0 0 16 16" aria-hidden="true">
                <path fill="currentColor" d="M8 1.2a6.8 6.8 0 1 0 0 13.6zM8 0a8 8 0 1 1 0 16A8 8 0 0 1 8 0z" />
            </svg>
        </button>
    }
}

fn set_root(name: &str, value: Option<&str>) {
    if let Some(root) = document().document_element() {
        let _ = match value {
            Some(value) => root.set_attribute(name, value),
            None => root.remove_attribute(name),
        };
    }
}

/// What runs the network, why, and the way to change it.
#[component]
fn DeviceChip() -> impl IntoView {
    let page = expect_context::<Page>();
    let device = page.slice(|state| state.device.clone());
    let gone = page.slice(|state| match &state.phase {
        Phase::Failed(failure) if state.engine_gone() => Some(failure.clone()),
        _ => None,
    });
    let label = live(move || {
        let lang = page.lang.get();
        if let Some(failure) = gone.get() {
            return view! { <i></i> <b>{lang.fault(&failure)}</b> }.into_any();
        }
        match device.get() {
            None => view! { <span>{lang.choosing()}</span> }.into_any(),
            Some(device) => {
                let reason = lang.device_reason(device.kind, &device.reason);
                let dot = device.kind == DeviceKind::Cpu;
                view! {
                    <i class:hollow=dot></i>
                    <b>{lang.device_kind(device.kind)}</b>
                    <span>{device.name}</span>
                    <span class="vh">{format!(". {reason}")}</span>
                }
                .into_any()
            }
        }
    });
    view! {
        <div class="chipbox">
            <button
                class="chip"
                class:off=move || gone.get().is_some()
                data-testid="device"
                aria-haspopup="dialog"
                aria-expanded=move || page.device_box.get().to_string()
                on:click=handler(move |_| page.device_box.update(|open| *open = !*open))
            >
                {label}
            </button>
            <Show when=move || page.device_box.get()>
                <div class="pop device" role="dialog" aria-label=page.say(Lang::device)>
                    <DeviceChoices />
                </div>
            </Show>
        </div>
    }
}

/// How many workers compute a step on the CPU.
#[component]
fn Workers() -> impl IntoView {
    let page = expect_context::<Page>();
    let asked = page.slice(|state| state.workers);
    let working = page.slice(|state| state.working);
    let processors = window().navigator().hardware_concurrency() as u8;
    let button = |count: Option<u8>| {
        view! {
            <button
                class="btn"
                data-testid=count.map_or_else(|| "workers-auto".to_owned(), |count| format!("workers-{count}"))
                aria-pressed=move || (asked.get() == count).to_string()
                on:click=handler(move |_| page.act(Action::UseWorkers(count)))
            >
                {move || count.map_or_else(|| page.lang.get().workers_auto().to_owned(), |count| count.to_string())}
            </button>
        }
    };
    let counts = (1..=processors.clamp(1, MOST_WORKERS)).map(Some);
    view! {
        <p class="small" data-testid="workers" data-count=move || working.get().unwrap_or(0)>
            <b>{page.say(Lang::workers)}</b>
            {move || working.get().map(|count| format!(" {count}"))}
        </p>
        <div class="row choices" role="group" aria-label=page.say(Lang::workers)>
            {[None].into_iter().chain(counts).map(button).views()}
        </div>
        <p class="tiny dim">{page.say(Lang::workers_are)}</p>
    }
}

/// The reason, and a button for each other device.
#[component]
pub fn DeviceChoices() -> impl IntoView {
    let page = expect_context::<Page>();
    let device = page.slice(|state| state.device.clone());
    let choice = page.slice(|state| state.choice);
    let busy = page.slice(|state| state.is_busy());
    let trained = page.slice(|state| state.run.is_some());
    let button = move |this: DeviceChoice, testid: &'static str, words: Text| {
        view! {
            <button
                class="btn"
                data-testid=testid
                aria-pressed=move || (choice.get() == this).to_string()
                disabled=move || busy.get() || choice.get() == this
                on:click=handler(move |_| {
                    page.device_box.set(false);
                    page.act(Action::UseDevice(this));
                })
            >
                {page.say(words)}
            </button>
        }
    };
    view! {
        <p class="small">
            {move || device.get().map(|device| page.lang.get().device_reason(device.kind, &device.reason))}
        </p>
        <div class="row choices">
            {button(DeviceChoice::Auto, "device-auto", Lang::device_auto)}
            {button(DeviceChoice::WebGpu, "device-webgpu", Lang::device_gpu)}
            {button(DeviceChoice::Cpu, "device-cpu", Lang::device_cpu)}
        </div>
        <p class="tiny dim">
            {move || {
                let lang = page.lang.get();
                if busy.get() {
                    lang.device_busy()
                } else if trained.get() {
                    lang.device_gives_up()
                } else {
                    ""
                }
            }}
        </p>
        <Show when=move || device.with(|device| device.as_ref().is_some_and(|device| device.kind == DeviceKind::Cpu))>
            <Workers />
        </Show>
    }
}
