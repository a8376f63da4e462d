//! Kiln's built page in a real browser: what a visitor sees, and what it gets when something goes wrong.
//!
//! A test is a [`Site`] (the built folder behind a server that can be made to answer wrongly), a browser of a
//! [`Kind`], and a scenario on a [`Page`]. Nothing in a scenario sleeps for a fixed time: each wait names what it waits
//! for and has a deadline. A scenario that fails leaves what the page said, the console and a screenshot.
//!
//! The page is known only by its contract: the `data-testid`s, the states of `status`, and the address's parameters.

mod chrome;
mod page;
mod site;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, anyhow};

pub use chrome::Kind;
pub use page::{Page, Snapshot};
pub use site::{Fault, Site};

/// Browsers that train take all processors, and their deadlines suppose that no other one does.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Opens a fresh browser for the site and plays a scenario in it.
///
/// # Panics
/// When the scenario fails, after a report of what the page showed.
pub fn play<S>(site: Site, kind: Kind, scenario: S)
where
    S: AsyncFnOnce(&Page) -> Result<()>,
{
    // A test that failed has poisoned the lock; the next one starts afresh all the same.
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let name = name_of::<S>();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    let page = runtime.block_on(Page::open(site, kind)).unwrap_or_else(|error| panic!("{name}: {error:#}"));
    let played = catch_unwind(AssertUnwindSafe(|| runtime.block_on(scenario(&page))));
    if !matches!(played, Ok(Ok(()))) {
        runtime.block_on(page.report(name));
    }
    runtime.block_on(page.close());
    match played {
        Ok(result) => result.unwrap_or_else(|error| panic!("{name}: {error:#}")),
        Err(panicked) => resume_unwind(panicked),
    }
}

/// The name of the function that a closure was written in. Only reports use it.
fn name_of<T>() -> &'static str {
    let parts = || std::any::type_name::<T>().split("::");
    let at = parts().position(|part| part.starts_with('{')).unwrap_or(0);
    parts().nth(at.saturating_sub(1)).unwrap_or("scenario")
}

/// `Err` with these words unless it is so. In place of `assert!`, where a page's text is worth showing.
///
/// # Errors
/// When it is not so.
pub fn ensure(so: bool, words: impl FnOnce() -> String) -> Result<()> {
    if so { Ok(()) } else { Err(anyhow!(words())) }
}
