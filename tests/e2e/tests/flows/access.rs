//! The address, the keyboard, small screens, and nobody else on the wire.

use anyhow::Result;
use kiln_e2e::{Fault, Kind, Page, Site, ensure, play};
use serde_json::json;

use crate::{ENDLESS, LOAD, SOON};

/// As in the WebDriver standard.
const TAB: char = '\u{e004}';
const ENTER: char = '\u{e007}';

/// How wide window and page are, and which parts reach beyond, themselves or with their text; not those that scroll
/// within another part.
const WIDTHS: &str = "
const scrolls = (part) => part && (getComputedStyle(part).overflowX !== 'visible' || scrolls(part.parentElement));
const over = [...document.querySelectorAll('main *')]
  .filter((part) => part.getBoundingClientRect().left + part.scrollWidth > innerWidth && !scrolls(part))
  .map((part) => `${part.tagName} ${part.getAttribute('class')}: ${part.textContent.slice(0, 40)}`);
return { window: innerWidth, page: document.documentElement.scrollWidth, over: over.slice(0, 8) };
";

#[test]
fn parameters_that_can_not_be_are_named_and_left_at_their_defaults() {
    play(Site::start(), Kind::Plain, async |page| {
        page.visit("?device=cpu&epochs=0&batch-size=9999&learning-rate=fast&train-size=-1&seed=x&batch-norm=perhaps&dropout=2&colour=red").await?;
        let ready = page.until_state("ready", LOAD).await?;
        let names = ["epochs", "batch-size", "learning-rate", "train-size", "seed", "batch-norm", "dropout", "colour"];
        for name in names {
            ensure(ready.notes.iter().any(|note| note.contains(name)), || format!("{name} in {:?}", ready.notes))?;
        }
        assert_eq!(ready.notes.len(), names.len());
        assert_eq!(recipe(page).await?, ["55,000 digits", "10 epochs", "128 at a time", "0.001"]);

        page.visit("?device=quantum").await?;
        let ready = page.until_state("ready", LOAD).await?;
        ensure(ready.notes.len() == 1 && ready.notes[0].contains("quantum"), || format!("{:?}", ready.notes))
    });
}

#[test]
fn parameters_that_can_be_are_followed_without_a_word() {
    play(Site::start(), Kind::Plain, async |page| {
        page.visit(
            "?device=cpu&epochs=3&batch-size=32&learning-rate=0.01&train-size=640&seed=1&batch-norm=true&dropout=0.25",
        )
        .await?;
        let ready = page.until_state("ready", LOAD).await?;
        assert_eq!(ready.notes, Vec::<String>::new());
        assert_eq!(recipe(page).await?, ["640 digits", "3 epochs", "32 at a time", "0.01"]);
        page.press("step").await?;
        page.until_state("paused", SOON).await?;
        Ok(())
    });
}

#[test]
fn the_keyboard_alone_trains_and_the_page_speaks() {
    play(Site::start(), Kind::Plain, async |page| {
        page.visit(ENDLESS).await?;
        page.until_state("ready", LOAD).await?;
        page.until("it is spoken", SOON, |shown| !shown.announcer.is_empty()).await?;
        let mut passed = Vec::new();
        while passed.last().map(String::as_str) != Some("train") {
            page.key(TAB).await?;
            passed.push(page.focused().await?);
            ensure(passed.len() < 40, || format!("Train can't be reached by the keyboard: {passed:?}"))?;
        }
        page.key(ENTER).await?;
        page.until("points", SOON, |shown| shown.loss_points > 0).await?;
        assert_eq!(page.focused().await?, "pause", "the button keeps its place, and the focus");
        page.until("Pause can be pressed", SOON, |shown| shown.can("pause")).await?;
        page.key(ENTER).await?;
        page.until_state("paused", SOON).await?;
        assert_eq!(page.focused().await?, "resume");
        let spoken = page.spoken().await?;
        for words in ["Ready", "started", "Paused"] {
            ensure(spoken.iter().any(|said| said.contains(words)), || format!("{words} in {spoken:?}"))?;
        }
        Ok(())
    });
}

#[test]
fn single_keys_train_step_and_clear() {
    play(Site::start(), Kind::Plain, async |page| {
        page.visit(ENDLESS).await?;
        page.until_state("ready", LOAD).await?;
        page.key('s').await?;
        page.until("one batch", SOON, |shown| shown.state == "paused" && shown.loss_points == 1).await?;
        page.key('t').await?;
        page.until("the run goes on", SOON, |shown| shown.state == "training" && shown.loss_points > 1).await?;
        page.key('t').await?;
        page.until_state("paused", SOON).await?;
        page.read_a_one().await?;
        page.key('c').await?;
        page.until("a clean pad", SOON, |shown| shown.prediction.is_empty() && !shown.can("pad-clear")).await?;
        Ok(())
    });
}

#[test]
fn a_failure_takes_the_focus() {
    play(Site::start().with("/data/manifest.json", Fault::Missing), Kind::Plain, async |page| {
        page.visit(ENDLESS).await?;
        page.until_state("failed", LOAD).await?;
        let inside =
            "return document.querySelector('[data-testid=error][role=alert]').contains(document.activeElement)";
        assert_eq!(page.run(inside).await?, true);
        Ok(())
    });
}

#[test]
fn nothing_is_wider_than_a_phone() {
    play(Site::start(), Kind::Plain, async |page| {
        page.become_phone().await?;
        page.visit(ENDLESS).await?;
        page.until_state("ready", LOAD).await?;
        fits(page, "ready").await?;
        page.press("train").await?;
        page.until("points", SOON, |shown| shown.loss_points > 0).await?;
        page.read_a_one().await?;
        fits(page, "training").await?;
        page.press("pause").await?;
        page.until_state("paused", SOON).await?;
        fits(page, "paused").await?;
        page.press("stop").await?;
        page.until_state("finished", SOON).await?;
        fits(page, "finished").await?;
        page.press("recipe-open").await?;
        page.until("the sheet is open", SOON, |shown| shown.can("recipe-close")).await?;
        fits(page, "settings").await
    });
}

#[test]
fn a_failure_fits_a_phone() {
    play(Site::start().with("/data/train-00", Fault::Altered), Kind::Plain, async |page| {
        page.become_phone().await?;
        page.visit(ENDLESS).await?;
        page.until_state("failed", LOAD).await?;
        page.run("document.querySelector('[data-testid=error-details]').open = true").await?;
        fits(page, "failed").await
    });
}

#[test]
fn a_dark_system_gets_a_dark_page() {
    play(Site::start(), Kind::Plain, async |page| {
        let lightness = "const [red, green, blue] = getComputedStyle(document.body).backgroundColor.match(/[0-9.]+/g);
            return Number(red) + Number(green) + Number(blue)";
        let loaded = "return [...document.styleSheets].length > 0 && getComputedStyle(document.body).margin === '0px'";
        for (scheme, dark) in [("light", false), ("dark", true)] {
            let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
            page.devtools("Emulation.setEmulatedMedia", features).await?;
            page.visit(ENDLESS).await?;
            page.until("the page is there", SOON, |shown| shown.can("recipe-open")).await?;
            page.until_run("its style", SOON, loaded, |loaded| *loaded == true).await?;
            let lightness = page.run(lightness).await?.as_f64().unwrap_or_default();
            assert_eq!(lightness < 380.0, dark, "{scheme}: {lightness} of 765");
        }
        Ok(())
    });
}

#[test]
fn nobody_else_is_asked_for_anything() {
    play(Site::start(), Kind::Plain, async |page| {
        page.visit("?device=cpu&epochs=1&train-size=64&batch-size=16").await?;
        page.until_state("ready", LOAD).await?;
        page.press("train").await?;
        page.until("points", SOON, |shown| shown.loss_points > 0).await?;
        page.read_a_one().await?;
        let asked = page.run("return performance.getEntriesByType('resource').map((entry) => entry.name)").await?;
        let asked: Vec<String> = serde_json::from_value(asked)?;
        ensure(!asked.is_empty(), || "the page fetches its parts".into())?;
        let others: Vec<_> = asked.iter().filter(|address| !address.starts_with(&page.site.url())).collect();
        ensure(others.is_empty(), || format!("{others:?}"))?;
        // No name resolves in this browser: a request of a worker's to another host is an error in the console.
        let errors: Vec<_> = page.console().await?.into_iter().filter(|line| line.starts_with("SEVERE")).collect();
        ensure(errors.is_empty(), || format!("{errors:?}"))
    });
}

/// The words of the recipe: data, epochs, batch, learning rate. Whether the digits are synthetic is left out.
async fn recipe(page: &Page) -> Result<[String; 4]> {
    let words = page
        .run(
            "return ['data', 'epochs', 'batch', 'learning-rate'].map((word) =>
            document.querySelector(`[data-testid=recipe-${word}]`).textContent.trim().replace(' synthetic', ''))",
        )
        .await?;
    Ok(serde_json::from_value(words)?)
}

/// Nothing reaches beyond the window's edge, where a visitor would have to scroll sideways.
async fn fits(page: &Page, when: &str) -> Result<()> {
    let wide = page.run(WIDTHS).await?;
    assert_eq!(wide["window"], 390);
    let page_wide = wide["page"].as_u64().unwrap_or(u64::MAX);
    ensure(page_wide <= 390, || format!("{when}: {wide:#}"))
}
