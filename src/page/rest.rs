//! The rest of the page: the rooms below the bench, which show once there is something in them, and what opens over the
//! page. Nothing of it is seen at first. The published build has its code in a file of its own (feature `split`;
//! `xtask/src/split.rs` makes it), fetched when the first part stands, so that who came to train waits for less.
//!
//! What is to be in that file is reached from [`views`] alone.

use leptos::prelude::*;
#[cfg(feature = "split")]
use leptos::task::spawn_local;

use super::reactive::{effect, handler, live};
use super::words::Lang;
use super::{Page, comparison, digits, files, keys, mistakes, models, recipe, sweep};

/// The code of the rest.
#[derive(Debug, Clone, Copy)]
pub enum Rest {
    /// On its way.
    Coming,
    /// Here.
    Here(Views),
    /// It could not be fetched.
    Missing,
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
        view! {
            <models::Models />
            <files::Room />
        }
        .into_any()
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

/// Gets the rest, and once more if it is missing when something of it is to open.
pub fn gather(page: Page) {
    fetch(page);
    effect(move || {
        let wanted = page.sheet.get() || page.keys.get();
        if wanted && matches!(page.rest.get_untracked(), Rest::Missing) {
            fetch(page);
        }
    });
}

fn fetch(page: Page) {
    #[cfg(feature = "split")]
    {
        page.rest.set(Rest::Coming);
        spawn_local(async move { arrived(page, views().await) });
    }
    #[cfg(not(feature = "split"))]
    arrived(page, views());
}

fn arrived(page: Page, views: Result<Views, NotFetched>) {
    match views {
        Ok(views) => page.rest.set(Rest::Here(views)),
        Err(NotFetched) => {
            // Else the page would wait, without its keys, for something that is not there to be closed.
            page.sheet.set(false);
            page.keys.set(false);
            page.rest.set(Rest::Missing);
        }
    }
}

fn show(page: Page, part: fn(Views) -> fn() -> AnyView) -> AnyView {
    live(move || match page.rest.get() {
        Rest::Here(views) => part(views)(),
        Rest::Coming | Rest::Missing => ().into_any(),
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

/// Says that the rest is missing, and the way out.
#[component]
pub fn Missing() -> impl IntoView {
    let page = expect_context::<Page>();
    live(move || {
        matches!(page.rest.get(), Rest::Missing).then(|| {
            view! {
                <p class="note" role="alert" data-testid="rest-missing">
                    <span>{page.say(Lang::rest_missing)}</span>
                    <button class="link" data-testid="rest-again" on:click=handler(move |_| fetch(page))>
                        {page.say(Lang::rest_again)}
                    </button>
                </p>
            }
        })
    })
}
