//! The run of an earlier visit that can go on, and the bar that says what is wrong with the storage.

use leptos::prelude::*;

use super::Page;
use super::browser::moment;
use super::run::PLAY;
use super::state::keep::KeepAction;
use super::state::{Action, PageState, files};
use super::words::Lang;
use crate::page::reactive::{Show, handler, live};
use crate::protocol::FileKind;
use crate::shelf::StorageTrouble;

/// The panel; nothing where there is no such run.
#[component]
pub fn Resumable() -> impl IntoView {
    let page = expect_context::<Page>();
    let kept = page.slice(|state| state.resumable().cloned());
    let can = page.slice(|state| state.can_train());
    let text = move |words: fn(Lang, &crate::shelf::Resumable) -> String| {
        move || kept.with(|kept| kept.as_ref().map(|kept| words(page.lang.get(), kept)))
    };
    view! {
        <Show when=move || kept.with(Option::is_some)>
            <section class="panel warm" data-testid="resumable">
                <h2>{text(Lang::resumable_title)}</h2>
                <p>
                    {text(|lang, kept| {
                        let (days, time, date) = moment(kept.saved, lang.code());
                        lang.resumable_line(&lang.moment_at(days, &time, &date))
                    })}
                </p>
                <div class="acts">
                    <button
                        class="btn primary"
                        data-testid="resume"
                        disabled=move || !can.get()
                        on:click=handler(move |_| page.act(Action::Keep(KeepAction::Resume)))
                    >
                        <svg viewBox="0 0 16 16" aria-hidden="true">
                            <path fill="currentColor" d=PLAY />
                        </svg>
                        {page.say(Lang::resume)}
                    </button>
                    <button
                        class="btn big"
                        data-testid="train"
                        disabled=move || !can.get()
                        on:click=handler(move |_| page.act(Action::Train))
                    >
                        {page.say(Lang::start_afresh)}
                    </button>
                    <span class="small dim">{text(|lang, kept| lang.afresh_keeps(&kept.name))}</span>
                </div>
            </section>
        </Show>
    }
}

/// The bar; nothing while keeping works.
#[component]
pub fn Storage() -> impl IntoView {
    let page = expect_context::<Page>();
    let trouble = page.slice(|state| state.keep.trouble.clone());
    let some = page.slice(|state| !state.keep.shelf.models.is_empty());
    let exports = page.slice(PageState::can_export);
    live(move || {
        trouble.get().map(|trouble| {
            let kind = match trouble {
                StorageTrouble::Full => "full",
                StorageTrouble::Forbidden { .. } => "forbidden",
                StorageTrouble::Damaged { .. } => "damaged",
            };
            let full = trouble == StorageTrouble::Full;
            let damaged = kind == "damaged";
            view! {
                <div class="storage" role="status" data-testid="storage" data-kind=kind>
                    <p>{move || page.lang.get().storage_trouble(&trouble)}</p>
                    <span class="row">
                        <Show when=move || full && some.get()>
                            <a class="btn" href="#models" data-testid="make-room">
                                {page.say(Lang::make_room)}
                            </a>
                        </Show>
                        <Show when=move || !damaged && exports.get()>
                            <button
                                class="btn"
                                data-testid="storage-save"
                                on:click=handler(move |_| {
                                    page.act(Action::Files(files::Act::Export(FileKind::Safetensors, None)));
                                })
                            >
                                {page.say(Lang::save_to_file)}
                            </button>
                        </Show>
                        <button
                            class="btn"
                            data-testid="storage-dismiss"
                            on:click=handler(move |_| page.act(Action::Keep(KeepAction::Dismiss)))
                        >
                            {page.say(Lang::dismiss)}
                        </button>
                    </span>
                </div>
            }
        })
    })
}
