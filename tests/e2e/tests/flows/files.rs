//! Files: each is exported by a click, opened by its own tool, and a network comes back as it went.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use kiln_e2e::{Kind, Page, Site, ensure, play};

use crate::{ENDLESS, LOAD, LONG, SOON};

/// What a run's file is dropped as.
const RUN: &str = "kiln-run.json";

/// Runs the script that opens files with their own tools (`tests/files/check.py`); what it printed.
fn check(arguments: &[&Path]) -> Result<String> {
    let mut python = Command::new(xtask::python::program()?);
    python.arg(xtask::paths::root().join("tests/files/check.py")).args(arguments);
    let output = python.output().context("Python does not start; run `cargo xtask setup`")?;
    ensure(output.status.success(), || String::from_utf8_lossy(&output.stderr).into_owned())?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The ten probabilities that are on show, to a thousandth.
async fn bars(page: &Page) -> Result<Vec<f64>> {
    let script = "return [...Array(10).keys()].map((digit) => Number(getComputedStyle(document.querySelector(
        `[data-testid=answer-${digit}]`)).getPropertyValue('--p')))";
    Ok(serde_json::from_value(page.run(script).await?)?)
}

/// The 28×28 bytes that the network got.
async fn pixels(page: &Page) -> Result<Vec<u8>> {
    let script = "const canvas = document.querySelector('[data-testid=stage-centre] canvas');
        const { data } = canvas.getContext('2d').getImageData(0, 0, 28, 28);
        return [...Array(784).keys()].map((pixel) => data[4 * pixel + 3])";
    Ok(serde_json::from_value(page.run(script).await?)?)
}

fn agree(what: &str, found: &[f64], expected: &[f64]) -> Result<()> {
    let difference = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    ensure(found.len() == 10 && difference <= 0.001, || format!("{what}: {found:?} instead of {expected:?}"))
}

#[test]
fn every_file_is_exported_and_its_tool_agrees_with_the_page() {
    play(Site::start(), Kind::Plain, async |page| {
        let folder = tempfile::tempdir()?;
        let folder = folder.path();
        page.visit("?device=cpu&epochs=2&train-size=1024&batch-size=32&seed=3").await?;
        page.until_state("ready", LOAD).await?;
        page.press("train").await?;
        page.until_state("finished", LONG).await?;
        page.read_a_one().await?;
        let (expected, image) = (bars(page).await?, folder.join("image.u8"));
        std::fs::write(&image, pixels(page).await?)?;

        let mut files = Vec::new();
        for item in ["safetensors", "onnx", "csv", "tensorboard", "run"] {
            page.press("export").await?;
            files.push(page.download(&format!("export-{item}"), folder).await?);
        }
        let [safetensors, onnx, csv, events, run] = &files[..] else { unreachable!("five were exported") };
        for network in [safetensors, onnx] {
            let said = check(&["predict".as_ref(), network, &image])?;
            agree(&network.display().to_string(), &serde_json::from_str::<Vec<f64>>(&said)?, &expected)?;
        }
        let measured = std::fs::read_to_string(csv)?;
        assert_eq!(measured.lines().count(), 1 + 64, "a header and a line for each batch");
        ensure(events.display().to_string().contains("tfevents"), || events.display().to_string())?;
        let said = check(&["scalars".as_ref(), folder])?;
        let scalars: serde_json::Value = serde_json::from_str(&said)?;
        assert_eq!((&scalars["loss/training"], &scalars["accuracy/test"]), (&64.into(), &1.into()));
        let kept: serde_json::Value = serde_json::from_slice(&std::fs::read(run)?)?;
        assert_eq!((&kept["config"]["seed"], kept["metrics"]["loss"].as_array().map(Vec::len)), (&3.into(), Some(64)));

        // The network comes back into another visit and reads as it did.
        page.visit("?device=cpu").await?;
        page.until_state("ready", LOAD).await?;
        page.read_a_one().await?;
        ensure(bars(page).await? != expected, || "an untrained network reads otherwise".into())?;
        page.choose("model-import", &[safetensors]).await?;
        page.until_shown("[data-testid=file-note]", "on the shelf and open").await?;
        page.until("the model is open", SOON, |shown| shown.detail == "opened").await?;
        // The pad may lie between other pixels of the screen than before, so the drawing may not be the same.
        page.read_a_one().await?;
        std::fs::write(&image, pixels(page).await?)?;
        let said = check(&["predict".as_ref(), safetensors, &image])?;
        agree("after the import", &bars(page).await?, &serde_json::from_str::<Vec<f64>>(&said)?)?;

        // And the run is replayed with the same losses.
        page.drop_file(RUN, &std::fs::read(run)?).await?;
        page.until_shown("[data-testid=file-note]", "on the same digits").await?;
        page.until_state("finished", LONG).await?;
        page.press("export").await?;
        let again = page.download("export-run", folder).await?;
        let again: serde_json::Value = serde_json::from_slice(&std::fs::read(again)?)?;
        ensure(again["metrics"] == kept["metrics"], || "the replayed run measured something else".into())?;
        assert_eq!(page.uncaught().await?, Vec::<String>::new());
        Ok(())
    });
}

#[test]
fn a_file_that_is_no_model_says_what_is_wrong_and_the_run_goes_on() {
    play(Site::start(), Kind::Plain, async |page| {
        page.visit(ENDLESS).await?;
        page.until_state("ready", LOAD).await?;
        page.drop_file("cat.safetensors", b"\x02\0\0\0\0\0\0\0{}").await?;
        let failed = page.until_state("failed", SOON).await?;
        assert_eq!((failed.error_kind.as_str(), failed.detail.as_str()), ("not-a-model", "not-a-model"));
        ensure(failed.status.contains("That file is no Kiln model."), || failed.status.clone())?;
        ensure(failed.error.contains("field kiln: missing in the metadata"), || failed.error.clone())?;
        ensure(failed.can("choose-file"), || format!("{:?}", failed.enabled))?;
        page.press("leave-file").await?;
        page.until_state("ready", SOON).await?;

        page.press("train").await?;
        page.until("points", SOON, |shown| shown.loss_points > 1).await?;
        page.drop_file("notes.txt", b"dear diary").await?;
        let refused = page.until("the panel", SOON, |shown| shown.error_kind == "not-a-model").await?;
        ensure(refused.error.contains("“dear diary”"), || refused.error.clone())?;
        page.until("more points", SOON, |shown| shown.loss_points > refused.loss_points).await?;
        page.press("leave-file").await?;
        page.press("pause").await?;
        page.until_state("paused", SOON).await?;
        Ok(())
    });
}
