//! Teaching it your hand: draw and label, fine-tune with frozen convolutions, see what changed and what was forgotten.

use std::path::Path;

use anyhow::Result;
use kiln_e2e::{Kind, Page, Site, ensure, play};
use serde_json::Value;

use crate::{LOAD, LONG, SOON};

/// A short run to start from.
const BRIEF: &str = "?device=cpu&epochs=1&train-size=1024&batch-size=32";

/// Digits as somebody may draw them in one stroke, on a pad from 0 to 1.
const STROKES: [&[(f64, f64)]; 10] = [
    &[(0.5, 0.2), (0.3, 0.4), (0.32, 0.68), (0.5, 0.8), (0.68, 0.65), (0.68, 0.38), (0.52, 0.2)],
    &[(0.5, 0.2), (0.5, 0.5), (0.5, 0.8)],
    &[(0.3, 0.35), (0.45, 0.2), (0.65, 0.3), (0.55, 0.55), (0.3, 0.8), (0.7, 0.8)],
    &[(0.32, 0.25), (0.6, 0.22), (0.62, 0.4), (0.45, 0.48), (0.66, 0.6), (0.58, 0.78), (0.32, 0.75)],
    &[(0.58, 0.2), (0.28, 0.58), (0.72, 0.58), (0.6, 0.4), (0.58, 0.82)],
    &[(0.68, 0.2), (0.38, 0.2), (0.35, 0.45), (0.62, 0.48), (0.65, 0.7), (0.35, 0.78)],
    &[(0.62, 0.2), (0.38, 0.45), (0.34, 0.7), (0.55, 0.8), (0.66, 0.65), (0.5, 0.52), (0.36, 0.64)],
    &[(0.3, 0.22), (0.7, 0.22), (0.55, 0.5), (0.45, 0.82)],
    &[(0.62, 0.28), (0.4, 0.24), (0.42, 0.42), (0.62, 0.6), (0.5, 0.8), (0.36, 0.64), (0.58, 0.42), (0.62, 0.28)],
    &[(0.64, 0.35), (0.5, 0.22), (0.36, 0.36), (0.5, 0.5), (0.64, 0.36), (0.6, 0.82)],
];

/// An attribute of an element.
async fn attribute(page: &Page, testid: &str, name: &str) -> Result<String> {
    let script = format!("return document.querySelector('[data-testid={testid}]')?.getAttribute('{name}') ?? ''");
    Ok(page.run(&script).await?.as_str().unwrap_or_default().to_owned())
}

/// An element's text.
async fn text(page: &Page, testid: &str) -> Result<String> {
    let script = format!(
        "return document.querySelector('[data-testid={testid}]')?.textContent.replace(/\\s+/g, ' ').trim() ?? ''"
    );
    Ok(page.run(&script).await?.as_str().unwrap_or_default().to_owned())
}

/// Waits until as many samples are in the gallery.
async fn until_count(page: &Page, count: usize) -> Result<()> {
    let wanted = count.to_string();
    for _ in 0..500 {
        if attribute(page, "your-digits", "data-count").await? == wanted {
            return Ok(());
        }
        page.look().await?;
    }
    anyhow::bail!("{wanted} samples; the gallery has {}", attribute(page, "your-digits", "data-count").await?)
}

/// Draws a digit on a clean pad and presses what it is.
async fn draw_and_label(page: &Page, digit: usize, count: usize) -> Result<()> {
    if page.look().await?.can("pad-clear") {
        page.press("pad-clear").await?;
    }
    page.draw(STROKES[digit]).await?;
    page.press(&format!("label-{digit}")).await?;
    until_count(page, count).await
}

/// "7 of 10, 70.00%" → (7, 10).
fn counts(text: &str) -> Result<(u32, u32)> {
    let (correct, rest) = text.split_once(" of ").ok_or_else(|| anyhow::anyhow!("no count in {text:?}"))?;
    let (total, rest) = rest.split_once(", ").ok_or_else(|| anyhow::anyhow!("no total in {text:?}"))?;
    ensure(rest.contains('%'), || format!("no percentage in {text:?}"))?;
    Ok((correct.replace(',', "").parse()?, total.replace(',', "").parse()?))
}

#[test]
fn ten_drawings_teach_it_and_both_accuracies_are_told() {
    play(Site::start(), Kind::Plain, async |page| {
        page.visit(BRIEF).await?;
        page.until_state("ready", LOAD).await?;
        page.press("train").await?;
        let trained = page.until_state("finished", LONG).await?;
        ensure(trained.can("teach"), || format!("the next thing to do: {:?}", trained.enabled))?;

        // Labelled on the ordinary pad.
        for digit in 0..10 {
            draw_and_label(page, digit, digit + 1).await?;
        }
        ensure(text(page, "label-line").await?.contains("Kept as a 9"), || "the latest is told".into())?;
        // Relabel, delete, take back.
        let first = page.run("return document.querySelector('[data-testid^=sample-]').dataset.testid").await?;
        let first = first.as_str().unwrap_or_default().to_owned();
        page.press(&first).await?;
        page.press("relabel-6").await?;
        ensure(attribute(page, &first, "aria-label").await?.starts_with("a 6"), || "it is a 6 now".into())?;
        page.press("label-undo").await?;
        ensure(attribute(page, &first, "aria-label").await?.starts_with("a 0"), || "and a 0 again".into())?;
        page.press("sample-remove").await?;
        until_count(page, 9).await?;
        page.press("label-undo").await?;
        until_count(page, 10).await?;
        let held_out = attribute(page, "held-out", "data-count").await?;
        assert_eq!(held_out, "3", "of ten, one each");

        page.press("teach").await?;
        let teach = page.until_state("ready", SOON).await?;
        ensure(teach.status.contains("teach it your hand"), || teach.status.clone())?;
        ensure(!teach.can("train"), || "Train waits for the missing digits".into())?;
        page.until_run("the address", SOON, "return location.search", |address| {
            address.as_str().is_some_and(|address| address.contains("mode=finetune"))
        })
        .await?;
        assert_eq!(attribute(page, "freeze-conv1", "data-frozen").await?, "true");
        assert_eq!(attribute(page, "freeze-dense1", "data-frozen").await?, "false");
        page.press("finetune-fewer").await?;
        page.press("train").await?;
        let done = page.until_state("finished", LONG).await?;
        ensure(done.loss_points > 0, || format!("its own metrics are charted: {done:?}"))?;
        ensure(done.can("keep-model") && done.can("train"), || format!("{:?}", done.enabled))?;

        let new = (counts(&text(page, "compare-new-before").await?)?, counts(&text(page, "compare-new-after").await?)?);
        let old = (counts(&text(page, "compare-old-before").await?)?, counts(&text(page, "compare-old-after").await?)?);
        assert_eq!((new.0.1, new.1.1), (3, 3));
        assert_eq!((old.0.1, old.1.1), (10_000, 10_000));
        ensure(old.0.0 > 1000, || format!("the network that it starts from has learned something: {old:?}"))?;
        ensure(!text(page, "comparison-caveat").await?.is_empty(), || "three can't tell much, and it says so".into())?;

        // The second way trains when it is asked for, from the same start.
        page.press("keep-everything").await?;
        page.until("the second way", LONG, |shown| shown.state == "training" || shown.state == "evaluating").await?;
        page.until_state("finished", LONG).await?;
        assert_eq!(attribute(page, "show-everything", "aria-pressed").await?, "true");
        assert_eq!(counts(&text(page, "compare-old-before").await?)?, old.0, "from the same start");
        page.press("keep-model").await?;
        page.until("it is kept", SOON, |shown| !shown.can("keep-model")).await?;
        assert_eq!(page.uncaught().await?, Vec::<String>::new());
        Ok(())
    });
}

/// Two IDX files of eighty images whose class shows as a bar: images and labels.
fn bars() -> [Vec<u8>; 2] {
    let words = |words: &[u32]| words.iter().flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>();
    let (mut images, mut labels) = (words(&[0x803, 80, 28, 28]), words(&[0x801, 80]));
    for label in 0..80_u32 {
        images.extend((0..784).map(|pixel| if pixel / 56 == label % 10 + 2 { 220 } else { (pixel * 7 % 30) as u8 }));
        labels.push((label % 10) as u8);
    }
    [images, labels]
}

/// The run's losses, batch by batch, from its exported file.
async fn losses(page: &Page, folder: &Path) -> Result<(Vec<u8>, Value)> {
    page.press("export").await?;
    let file = std::fs::read(page.download("export-run", folder).await?)?;
    let run: Value = serde_json::from_slice(&file)?;
    Ok((file, run["metrics"]["loss"].clone()))
}

#[test]
fn an_imported_set_is_kept_and_a_run_that_learned_from_it_is_replayed_from_its_file() {
    play(Site::start(), Kind::Plain, async |page| {
        let folder = tempfile::tempdir()?;
        let folder = folder.path();
        page.visit(BRIEF).await?;
        page.until_state("ready", LOAD).await?;
        page.press("train").await?;
        page.until_state("finished", LONG).await?;

        let files = [folder.join("bars-images"), folder.join("bars-labels")];
        for (file, bytes) in files.iter().zip(bars()) {
            std::fs::write(file, bytes)?;
        }
        page.press("mode-finetune").await?;
        page.press("finetune-data").await?;
        page.choose("set-import", &[&files[0], &files[1]]).await?;
        page.press("data-set-0").await?;
        page.press("finetune-data").await?;
        page.press("train").await?;
        page.until_state("finished", LONG).await?;
        let (file, first) = losses(page, folder).await?;
        ensure(first.as_array().is_some_and(|losses| losses.len() > 1), || format!("{first}"))?;

        // Another visit has the set, and no need for the model: the file brings it.
        page.visit("?device=cpu").await?;
        page.until_state("ready", LOAD).await?;
        page.press("mode-finetune").await?;
        page.press("finetune-data").await?;
        page.until_shown("[data-testid=data-set-0]", "bars").await?;
        page.press("finetune-data").await?;
        page.drop_file("kiln-run.json", &file).await?;
        page.until_state("finished", LONG).await?;
        assert_eq!(losses(page, folder).await?.1, first);

        // Removed, it is gone for good, and the file says what it misses.
        page.press("finetune-data").await?;
        page.press("set-forget").await?;
        page.until_run("no set", SOON, "return document.querySelector('[data-testid=data-set-0]') === null", |none| {
            *none == true
        })
        .await?;
        page.visit("?device=cpu").await?;
        page.until_state("ready", LOAD).await?;
        page.drop_file("kiln-run.json", &file).await?;
        let missing = page.until("the file's failure", SOON, |shown| shown.state == "failed").await?;
        ensure(missing.error.contains("bars") || missing.status.contains("bars"), || format!("{missing:?}"))?;
        Ok(())
    });
}

#[test]
fn drawings_are_there_again_after_a_reload() {
    play(Site::start(), Kind::Plain, async |page| {
        page.visit(BRIEF).await?;
        page.until_state("ready", LOAD).await?;
        for (count, digit) in [4, 4, 7].into_iter().enumerate() {
            draw_and_label(page, digit, count + 1).await?;
        }
        let held = |page| attribute(page, "held-out", "data-count");
        let before = held(page).await?;
        page.visit(BRIEF).await?;
        page.until_state("ready", LOAD).await?;
        until_count(page, 3).await?;
        assert_eq!(held(page).await?, before, "what is held out is as it was");
        Ok(())
    });
}

#[test]
fn the_pad_asks_for_one_digit_after_the_other() {
    play(Site::start(), Kind::Plain, async |page| {
        page.visit("?device=cpu&mode=finetune").await?;
        page.until_state("ready", LOAD).await?;
        for (digit, strokes) in STROKES.iter().enumerate().take(3) {
            assert_eq!(attribute(page, "pad-title", "data-asked").await?, digit.to_string());
            page.draw(strokes).await?;
            // Kept by itself once the pen has rested.
            until_count(page, digit + 1).await?;
        }
        page.key('\u{e003}').await?;
        until_count(page, 2).await?;
        assert_eq!(attribute(page, "pad-title", "data-asked").await?, "2", "taken back, it is asked for again");
        let shown = page.look().await?;
        ensure(!shown.can("train") && shown.can("finetune-scratch"), || {
            format!("there is no network to start from yet: {:?}", shown.enabled)
        })
    });
}
