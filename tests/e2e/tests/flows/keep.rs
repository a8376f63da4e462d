//! What outlives the tab: a run that goes on after a reload, the shelf of models, storage that is full.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use kiln_e2e::{Kind, Page, Site, ensure, play};
use serde_json::{Value, json};

use crate::{LOAD, LONG, SOON};

/// Two epochs of 40 batches.
const SMALL: &str = "?device=cpu&epochs=2&train-size=640&batch-size=16&seed=7";

#[test]
fn a_run_goes_on_after_a_reload_with_the_losses_of_one_that_never_stopped() {
    play(Site::start(), Kind::Plain, async |page| {
        page.visit(SMALL).await?;
        page.until_state("ready", LOAD).await?;
        page.press("train").await?;
        let undisturbed = to_the_exam(page).await?;

        // Paused in mid-epoch, then left; and left once more after the first epoch, without a pause.
        page.visit(SMALL).await?;
        page.until_state("ready", LOAD).await?;
        page.press("train").await?;
        page.until("some batches", SOON, |shown| shown.loss_points >= 5).await?;
        page.press("pause").await?;
        let paused = page.until_state("paused", SOON).await?;
        ensure(paused.loss_points < 40, || format!("in the first epoch: {paused:?}"))?;
        kept(page, paused.loss_points).await?;

        page.visit(SMALL).await?;
        let back = page.until("the run is offered", LOAD, |shown| shown.detail == "resumable").await?;
        assert_eq!((back.state.as_str(), back.loss_points), ("ready", paused.loss_points));
        ensure(back.status.starts_with("Welcome back."), || back.status.clone())?;
        page.press("resume").await?;
        page.until("the second epoch", LONG, |shown| shown.loss_points > 40).await?;
        kept(page, 40).await?;

        page.visit(SMALL).await?;
        let back = page.until("the run is offered again", LOAD, |shown| shown.detail == "resumable").await?;
        assert_eq!(back.loss_points, 40);
        page.press("resume").await?;
        assert_eq!(to_the_exam(page).await?, undisturbed);
        assert_eq!(page.uncaught().await?, Vec::<String>::new());
        Ok(())
    });
}

#[test]
fn a_model_is_kept_renamed_deleted_had_back_and_opened() {
    play(Site::start(), Kind::Plain, async |page| {
        let small = "?device=cpu&epochs=1&train-size=640&batch-size=32";
        page.visit(small).await?;
        page.until_state("ready", LOAD).await?;
        let none = page.run("return document.querySelector('[data-testid=models]') === null").await?;
        assert_eq!(none, true);
        page.press("train").await?;
        let done = page.until_state("finished", LONG).await?;
        page.until("it says how it is kept", SOON, |shown| shown.progress.contains("kept as Celadon")).await?;
        let id = rows(page).await?.pop().context("a model is on the shelf")?;

        page.press(&format!("model-rename-{id}")).await?;
        page.run(&format!(
            "const field = document.querySelector('[data-testid=model-name-{id}]');
             field.value = 'My first'; field.blur();"
        ))
        .await?;
        shows(page, &id, "My first").await?;

        // All of it is still there in another visit.
        page.visit(small).await?;
        page.until_state("ready", LOAD).await?;
        shows(page, &id, "My first").await?;
        page.press(&format!("model-delete-{id}")).await?;
        shows(page, &id, "is deleted").await?;
        page.press(&format!("model-undo-{id}")).await?;
        shows(page, &id, "My first").await?;

        let untrained = page.read_a_one().await?;
        assert_eq!(untrained.test_accuracy, "");
        page.press(&format!("model-open-{id}")).await?;
        let opened = page.until("its figures", SOON, |shown| !shown.test_accuracy.is_empty()).await?;
        assert_eq!((opened.detail.as_str(), opened.test_accuracy), ("opened", done.test_accuracy));
        ensure(opened.status.starts_with("My first reads"), || opened.status.clone())?;
        assert_eq!(opened.loss_points, 20, "its curve was kept");
        let read = page.read_a_one().await?;
        ensure(!read.prediction.is_empty(), || format!("{read:?}"))?;
        assert_eq!(page.uncaught().await?, Vec::<String>::new());
        Ok(())
    });
}

#[test]
fn full_storage_is_said_and_stops_nothing() {
    play(Site::start(), Kind::Plain, async |page| {
        // Before anything is kept: the browser asks for the room that is left from time to time only.
        let origin = page.site.url();
        page.devtools("Storage.overrideQuotaForOrigin", json!({ "origin": origin, "quotaSize": 1 })).await?;
        page.visit(SMALL).await?;
        page.until_state("ready", LOAD).await?;
        page.press("train").await?;
        until(page, "the bar", LONG, "document.querySelector('[data-testid=storage]')?.dataset.kind === 'full'")
            .await?;
        let told = page.look().await?;
        ensure(told.error.is_empty() && told.state != "failed", || format!("{told:?}"))?;
        page.until_state("evaluating", LONG).await?;
        page.press("stop").await?;
        let ended = page.until_state("finished", SOON).await?;
        assert_eq!(ended.loss_points, 80, "training went on");
        Ok(())
    });
}

/// Trains to the end of the last epoch; every loss that the table knows, whole.
async fn to_the_exam(page: &Page) -> Result<Vec<String>> {
    page.until_state("evaluating", LONG).await?;
    page.press("stop").await?;
    page.until_state("finished", SOON).await?;
    let values = page
        .run("return [...document.querySelectorAll('[data-testid=chart-rows] [data-value]')].map((cell) => cell.dataset.value)")
        .await?;
    let values: Vec<String> = serde_json::from_value(values)?;
    // The training and the validation loss of both epochs.
    ensure(values.len() == 4, || format!("{values:?}"))?;
    Ok(values)
}

/// Waits until the storage holds the run after that many batches, or more.
async fn kept(page: &Page, batches: u32) -> Result<()> {
    let look = format!(
        "(await new Promise((done, failed) => {{
            const opening = indexedDB.open('kiln');
            opening.onerror = failed;
            opening.onsuccess = () => {{
                const all = opening.result.transaction('runs').objectStore('runs').getAll();
                all.onerror = failed;
                all.onsuccess = () => {{ opening.result.close(); done(all.result); }};
            }};
        }})).some((record) => record.value.checkpoint.step >= {batches})"
    );
    until(page, "the run is kept", SOON, &look).await
}

/// The ids of the models on show.
async fn rows(page: &Page) -> Result<Vec<String>> {
    let rows =
        "return [...document.querySelectorAll('tr[data-testid^=model-]')].map((row) => row.dataset.testid.slice(6))";
    Ok(serde_json::from_value(page.run(rows).await?)?)
}

async fn shows(page: &Page, id: &str, text: &str) -> Result<()> {
    let row = format!("(document.querySelector('[data-testid=model-{id}]')?.textContent ?? '').includes('{text}')");
    until(page, text, SOON, &row).await
}

/// Waits for an expression, which may await, to hold.
async fn until(page: &Page, what: &str, seconds: u64, expression: &str) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        let so = page.run(&format!("return (async () => {expression})()")).await?;
        if so == Value::Bool(true) {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("{what}: not within {seconds} s; the page shows {:#?}", page.look().await?);
        }
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
}
