//! The page's voice: one headline and one line under it.

use leptos::prelude::*;

use super::Page;
use super::state::Phase;
use super::words::{percent, stressed};
use crate::page::reactive::{Views, live};

/// Headline and line, with the contract's `status` around them.
#[component]
pub fn Story() -> impl IntoView {
    let page = expect_context::<Page>();
    let name = page.slice(|state| state.name());
    let detail = page.slice(|state| state.detail());
    let detail = move || match detail.get() {
        "" if name.get() == "ready" && page.offline.get() => "offline",
        detail => detail,
    };
    let headline = page.slice(move |state| page.lang.get().headline(state));
    let line = page.slice(move |state| page.lang.get().line(state, page.is_offline_and_whole()));
    let tested = page.slice(|state| match (&state.phase, &state.run) {
        _ if state.failed() => None,
        (Phase::Finished { .. }, Some(run)) if run.config.finetune.is_none() => run.test,
        _ => state.opened().and_then(|card| card.test),
    });
    let opened = page.slice(|state| state.opened().cloned());
    view! {
        <div data-testid="status" data-state=move || name.get() data-detail=detail>
            <h1>
                {live(move || {
                    stressed(&headline.get())
                        .map(|(stress, piece)| {
                            let piece = piece.to_owned();
                            if stress { view! { <em>{piece}</em> }.into_any() } else { piece.into_any() }
                        })
                        .views()
                })}
            </h1>
            <p class="sub">
                {live(move || match tested.get() {
                    None => line.get().into_any(),
                    Some(score) => {
                        let lang = page.lang.get();
                        // Which digits a model of the shelf got wrong was not kept.
                        let [before, between, link, after] = match opened.get() {
                            Some(card) => lang.opened_score_line(&card),
                            None => lang.finished_line(score.total - score.correct),
                        };
                        let accuracy = percent(score.accuracy(), 2);
                        let number = accuracy.trim_end_matches('%').to_owned();
                        let value = number.clone();
                        // Tools read "98.62 %"; eyes read it without the space.
                        view! {
                            {before}
                            <span class="nb" data-testid="test-accuracy" data-value=value>
                                {number}
                                <span class="thin">" "</span>
                                "%"
                            </span>
                            {between}
                            <a class="link" href="#mistakes">{link}</a>
                            {after}
                        }
                            .into_any()
                    }
                })}
            </p>
        </div>
    }
}
