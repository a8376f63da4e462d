//! The recipe: augmentation and its preview, optimizers and schedules, the network's editor, and what may change in
//! mid-run.

use anyhow::{Context, Result};
use kiln_e2e::{Kind, Page, Site, ensure, play};

use crate::{ENDLESS, LOAD, LONG, SOON};

const RIGHT: char = '\u{e014}';
const ENTER: char = '\u{e007}';

/// All twelve pictures of the preview, once what was asked for is drawn; else empty.
const PICTURES: &str = "
const preview = document.querySelector('[data-testid=augment-preview]');
if (!preview || preview.dataset.version === '0' || preview.ariaBusy !== 'false') return '';
return [...preview.querySelectorAll('canvas')].map((canvas) => canvas.toDataURL()).join();
";

/// Waits until the preview shows something else than it did.
async fn preview_after(page: &Page, before: &str) -> Result<String> {
    page.until_run("another preview", SOON, PICTURES, |pictures| {
        pictures.as_str().is_some_and(|pictures| !pictures.is_empty() && pictures != before)
    })
    .await
    .map(|pictures| pictures.as_str().unwrap_or_default().to_owned())
}

/// Opens the sheet and a group of it.
async fn open_group(page: &Page, group: &str) -> Result<()> {
    page.press("recipe-open").await?;
    page.until("the sheet is open", SOON, |shown| shown.can("recipe-close")).await?;
    page.run(&format!("document.querySelector('[data-testid=group-{group}] summary').click()")).await?;
    Ok(())
}

/// Sets a control of the sheet as a visitor would leave it.
async fn set(page: &Page, control: &str, value: &str) -> Result<()> {
    page.run(&format!(
        "const control = document.querySelector('[data-testid={control}]');
        control.value = '{value}';
        for (const kind of ['input', 'change']) control.dispatchEvent(new Event(kind, {{ bubbles: true }}))"
    ))
    .await?;
    Ok(())
}

#[test]
fn a_slider_moves_and_the_preview_changes() {
    play(Site::start(), Kind::Plain, async |page| {
        page.visit("?device=cpu").await?;
        page.until_state("ready", LOAD).await?;
        open_group(page, "augmentation").await?;
        let plain = preview_after(page, "").await?;
        // By the keyboard: the slider is a native one.
        page.run("document.querySelector('[data-testid=augment-rotation]').focus()").await?;
        for _ in 0..20 {
            page.key(RIGHT).await?;
        }
        let turned = preview_after(page, &plain).await?;
        let address = page.until_run("the address", SOON, "return location.search", |address| {
            address.as_str().is_some_and(|address| address.contains("augment-rotation=20:0.5"))
        });
        address.await?;
        page.press("augment-robust").await?;
        let robust = preview_after(page, &turned).await?;
        page.press("augment-again").await?;
        let again = preview_after(page, &robust).await?;
        page.press("augment-none").await?;
        ensure(preview_after(page, &again).await? == plain, || "without augmentation they are as they were".into())
    });
}

#[test]
fn adamw_with_a_cosine_learns_from_robust_digits() {
    play(Site::start(), Kind::Plain, async |page| {
        page.visit(
            "?device=cpu&epochs=4&train-size=2048&batch-size=32&optimizer=adamw&weight-decay=0.01&schedule=cosine\
             &warm-up=0.5&augment=robust&label-smoothing=0.05&clip=5",
        )
        .await?;
        let ready = page.until_state("ready", LOAD).await?;
        assert_eq!(ready.notes, Vec::<String>::new());
        let optimizer = page.run("return document.querySelector('[data-testid=recipe-optimizer]').textContent").await?;
        assert_eq!(optimizer, "AdamW");
        page.press("train").await?;
        let done = page.until_state("finished", LONG).await?;
        assert_eq!(done.loss_points, 256);
        let accuracy = done.test_accuracy.strip_suffix(" %").context("the accuracy is written like 98.62 %")?;
        let accuracy: f32 = accuracy.parse().context("the accuracy is a number")?;
        ensure(accuracy > 60.0, || format!("{accuracy} % after 256 batches"))
    });
}

#[test]
fn the_learning_rate_changes_in_mid_run_while_paused_and_while_it_trains() {
    play(Site::start(), Kind::Plain, async |page| {
        for paused in [false, true] {
            page.visit(ENDLESS).await?;
            page.until_state("ready", LOAD).await?;
            page.press("train").await?;
            page.until("some points", SOON, |shown| shown.loss_points >= 8).await?;
            if paused {
                page.press("pause").await?;
                page.until_state("paused", SOON).await?;
            }
            page.press("recipe-learning-rate").await?;
            set(page, "word-learning-rate", "1").await?;
            page.key(ENTER).await?;
            if paused {
                page.press("resume").await?;
            }
            // A thousandfold rate ruins what was learned: the loss climbs over that of a guess, or is lost altogether.
            let ruined = "return document.querySelector('[data-testid=status]').dataset.detail === 'not-finite'
                || Number(document.querySelector('[data-testid=chart-loss] .keys b')?.textContent) > 3";
            page.until_run("the rate has its effect", SOON, ruined, |ruined| *ruined == true).await?;
        }
        Ok(())
    });
}

#[test]
fn a_network_that_does_not_fit_is_named_and_mended() {
    play(Site::start(), Kind::Plain, async |page| {
        page.visit("?device=cpu&epochs=1&train-size=64&batch-size=16&network=8vp-8vp-8vp-8vp.16").await?;
        page.until_state("ready", LOAD).await?;
        let shown = page.run("return document.querySelector('[data-testid=recipe-error]').textContent").await?;
        let shown = shown.as_str().unwrap_or_default();
        ensure(shown.contains("Layer 4") && shown.contains("1×1"), || shown.into())?;
        ensure(!page.look().await?.can("train"), || "it can't be trained".into())?;
        page.press("recipe-error-repair").await?;
        page.press("train").await?;
        page.until("points", SOON, |shown| shown.loss_points > 0).await?;
        Ok(())
    });
}
