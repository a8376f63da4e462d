//! The rest of the page: rooms that show once there is something in them, and what opens over the page. Nothing of it is
//! seen at first. The published build has its code in a file of its own (feature `split`; `xtask/src/split.rs` makes it),
//! fetched when the first part stands, so that who came to train waits for less.
//!
//! What is to be in that file is reached from [`views`] alone.

use leptos::prelude::*;
#[cfg(feature = "split")]
use leptos::task::spawn_local;

use super::reactive::{Show, effect, handler, live, memo};
use super::state::Request;
use super::words::Lang;
use super::{Page, comparison, digits, keys, mistakes, models, recipe, sweep};

/// The code of the rest.
#[derive(Debug, Clone, Copy)]
pub enum Rest {
    /// On its way, after so many times that it did not arrive.
    Coming(u32),
    /// Here.
    Here(Views),
    /// It did not arrive, so many times.
    Missing(u32),
}

impl Rest {
    /// How many times it did not arrive, as long as that matters.
    fn missed(self) -> u32 {
        match self {
            Rest::Coming(times) | Rest::Missing(times) => times,
            Rest::Here(_) => 0,
        }
    }
}

/// The views of the rest, as addresses: naming them would put their code into the first file.
#[derive(Debug, Clone, Copy)]
pub struct Views {
    above_inside: fn() -> AnyView,
    below_inside: fn() -> AnyView,
    overlays: fn() -> AnyView,
}

/// With the feature `split` this is asynchronous: it fetches the file that it lies in.
#[cfg_attr(feature = "split", wasm_split_helpers::wasm_split(rest, fallible))]
fn views() -> Result<Views, NotFetched> {
    fn above_inside() -> AnyView {
        view! {
            <mistakes::Mistakes />
            <comparison::BeforeAndAfter />
            <digits::YourDigits />
            <sweep::Room />
        }
        .into_any()
    }
    fn below_inside() -> AnyView {
        view! { <models::Models /> }.into_any()
    }
    fn overlays() -> AnyView {
        view! {
            <recipe::Sheet />
            <keys::Keys />
        }
        .into_any()
    }
    Ok(Views { above_inside, below_inside, overlays })
}

/// The file with the rest did not come; the browser's console says more.
struct NotFetched;

#[cfg(feature = "split")]
impl From<wasm_split_helpers::SplitLoaderError> for NotFetched {
    fn from(_: wasm_split_helpers::SplitLoaderError) -> Self {
        NotFetched
    }
}

/// Gets the rest. If it is missing, gets it again when something of it is to open, and when the browser is back online.
pub fn gather(page: Page) {
    fetch(page);
    let again = move || {
        if let Rest::Missing(_) = page.rest.get_untracked() {
            fetch(page);
        }
    };
    effect(move || {
        if page.wants_rest() {
            again();
        }
    });
    effect(move || {
        if !page.offline.get() {
            again();
        }
    });
}

fn fetch(page: Page) {
    #[cfg(feature = "split")]
    {
        page.rest.set(Rest::Coming(page.rest.get_untracked().missed()));
        spawn_local(async move { arrived(page, views().await) });
    }
    #[cfg(not(feature = "split"))]
    arrived(page, views());
}

fn arrived(page: Page, views: Result<Views, NotFetched>) {
    match views {
        Ok(views) => page.rest.set(Rest::Here(views)),
        Err(NotFetched) => {
            page.rest.set(Rest::Missing(page.rest.get_untracked().missed() + 1));
            page.open_nothing();
        }
    }
}

impl Page {
    /// Whether the page is offline with all that it needs to go on, the rest of its code too.
    pub(super) fn is_offline_and_whole(self) -> bool {
        self.offline.get() && matches!(self.rest.get(), Rest::Here(_))
    }

    /// Whether something is to open that is part of the rest.
    fn wants_rest(self) -> bool {
        self.sheet.get() || self.keys.get()
    }

    /// Whether something is open over the page. What waits for its code is not, and takes no key from the page.
    pub(super) fn is_covered(self) -> bool {
        let open = self.sheet.get_untracked() || self.keys.get_untracked();
        open && matches!(self.rest.get_untracked(), Rest::Here(_))
    }

    /// Takes back what is to open.
    pub(super) fn open_nothing(self) {
        self.sheet.set(false);
        self.keys.set(false);
    }
}

fn show(page: Page, part: fn(Views) -> fn() -> AnyView) -> AnyView {
    live(move || match page.rest.get() {
        Rest::Here(views) => part(views)(),
        Rest::Coming(_) | Rest::Missing(_) => ().into_any(),
    })
}

/// The rooms above the network's inside.
#[component]
pub fn AboveInside() -> impl IntoView {
    show(expect_context::<Page>(), |views| views.above_inside)
}

/// The rooms below it.
#[component]
pub fn BelowInside() -> impl IntoView {
    show(expect_context::<Page>(), |views| views.below_inside)
}

/// What opens over the page.
#[component]
pub fn Overlays() -> impl IntoView {
    show(expect_context::<Page>(), |views| views.overlays)
}

/// Says that the rest is missing, and the ways out; or that it is on its way, if it is waited for. What stays away may be
/// gone for good: a newer page has taken this one's place, and loading that is the way out, where the browser is online.
#[component]
pub fn Waiting() -> impl IntoView {
    let page = expect_context::<Page>();
    let missed = memo(move || page.rest.get().missed());
    let coming = memo(move || matches!(page.rest.get(), Rest::Coming(_)));
    view! {
        <Show when=move || { missed.get() > 0 }>
            <p class="note" role="alert" data-testid="rest-missing">
                <span>{page.say(Lang::rest_missing)}</span>
                // It stays while it is fetched again, so that who presses it keeps the focus.
                <button
                    class="link"
                    data-testid="rest-again"
                    aria-disabled=move || coming.get().to_string()
                    on:click=handler(move |_| {
                        if !coming.get_untracked() {
                            fetch(page);
                        }
                    })
                >
                    {page.say(Lang::rest_again)}
                </button>
                <Show when=move || { missed.get() > 1 && !page.offline.get() }>
                    <button
                        class="link"
                        data-testid="rest-reload"
                        on:click=handler(move |_| page.answer(vec![Request::Reload]))
                    >
                        {page.say(Lang::rest_reload)}
                    </button>
                </Show>
            </p>
        </Show>
        <Show when=move || coming.get() && page.wants_rest()>
            <p class="note" role="status" data-testid="rest-coming">{page.say(Lang::rest_coming)}</p>
        </Show>
    }
}
