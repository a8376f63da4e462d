//! What is shown when something failed: what, why, and the ways on. The first of them is the filled button.

use leptos::html;
use leptos::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};

use super::Page;
use super::browser::window;
use super::state::{Action, WayOn};
use super::words::Lang;
use crate::page::reactive::{Views, handler, live, memo, on_load};
use crate::protocol::Failure;

/// The panel; nothing while all is well.
#[component]
pub fn Fault() -> impl IntoView {
    let page = expect_context::<Page>();
    let failure = page.slice(|state| state.failure().cloned());
    live(move || failure.get().map(|failure| view! { <Panel failure /> }))
}

#[component]
fn Panel(failure: Failure) -> impl IntoView {
    let page = expect_context::<Page>();
    let heading = NodeRef::<html::H2>::new();
    // A fault takes the focus: a button that was pressed may have gone with it.
    on_load(heading, |heading| {
        let _ = heading.focus();
    });
    let kind = super::state::failure_kind(&failure);
    let details = page.state.with_untracked(|state| {
        let device = state.device.as_ref().map(|device| format!("{:?} {}", device.kind, device.name));
        let step = state.run.as_ref().map(|run| format!("seed {}, step {}", run.config.seed, run.step));
        let last_words = match &failure {
            Failure::WorkerDied { message } if message.is_empty() => "without a word".to_owned(),
            Failure::WorkerDied { message } | Failure::GpuLost { message } => message.clone(),
            failure => {
                let (what, why) = Lang::En.failure(failure, state.run.as_ref());
                format!("{what}. {why}")
            }
        };
        let last_words = format!("{kind}: {last_words}");
        [Some(last_words), device, step].into_iter().flatten().collect::<Vec<_>>().join("; ")
    });
    let (ways, filled) = page.state.with_untracked(|state| (state.ways_on(), state.failed()));
    let texts = {
        let failure = failure.clone();
        memo(move || {
            let lang = page.lang.get();
            page.state.with_untracked(|state| lang.failure(&failure, state.run.as_ref()))
        })
    };
    let buttons = ways
        .into_iter()
        .enumerate()
        .map(|(index, way)| {
            let failure = failure.clone();
            // Beside a run that goes on, the filled button is the run's.
            let class = if index == 0 && filled { "btn primary" } else { "btn big" };
            let take = move |_| {
                if way == WayOn::ChooseFile {
                    super::files::choose(page);
                }
                page.act(Action::Recover(way));
            };
            view! {
                <button class=class data-testid=testid(way) on:click=handler(take)>
                    {move || page.lang.get().way_on(way, &failure)}
                </button>
            }
        })
        .views();
    let copy = matches!(failure, Failure::Unsupported { .. }).then(|| view! { <CopyAddress /> });
    view! {
        <div class="panel" role="alert" data-testid="error" data-kind=kind>
            <h2 tabindex="-1" node_ref=heading>
                <svg viewBox="0 0 16 16" aria-hidden="true">
                    <path
                        fill="currentColor"
                        fill-rule="evenodd"
                        d="M8 1l7.5 13.5H.5zM7.2 6h1.6v4H7.2zm0 5.2h1.6v1.6H7.2z"
                    />
                </svg>
                <span>{move || texts.get().0}</span>
            </h2>
            <p>{move || texts.get().1}</p>
            <div class="acts">{buttons} {copy}</div>
            <details class="more" data-testid="error-details">
                <summary>{page.say(Lang::details)}</summary>
                <p>
                    <code>{details}</code>
                </p>
            </details>
        </div>
    }
}

#[component]
fn CopyAddress() -> impl IntoView {
    let copy = move |_| {
        let address = window().location().href().unwrap_or_default();
        let written = window().navigator().clipboard().write_text(&address);
        spawn_local(async move {
            // Where the clipboard is refused, the address bar still has it.
            let _ = JsFuture::from(written).await;
        });
    };
    view! {
        <button class="btn primary" data-testid="copy-address" on:click=handler(copy)>
            {expect_context::<Page>().say(Lang::copy_address)}
        </button>
    }
}

fn testid(way: WayOn) -> &'static str {
    match way {
        WayOn::ResumeFrom(_) => "resume",
        WayOn::StartAgain | WayOn::GoBack(_) => "train",
        WayOn::OnCpu => "resume-cpu",
        WayOn::Restart | WayOn::FetchAgain => "retry",
        WayOn::ChooseFile => "choose-file",
        WayOn::LeaveFile => "leave-file",
        WayOn::Reload => "reload",
        WayOn::Defaults => "recipe-defaults",
        WayOn::ChangeRecipe => "change-recipe",
    }
}
