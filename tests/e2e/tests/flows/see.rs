//! What can be seen of a run: the mistakes of its test and their images; a part of the charts; the charts as files.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use kiln_e2e::{Kind, Page, Site, ensure, play};
use serde_json::{Value, json};

use crate::{LOAD, LONG, SOON};

/// 40 batches, then the test: a network that still makes many mistakes.
const SMALL: &str = "?device=cpu&epochs=1&train-size=1280&batch-size=32&seed=7";

async fn to_the_end(page: &Page) -> Result<()> {
    page.visit(SMALL).await?;
    page.until_state("ready", LOAD).await?;
    page.press("train").await?;
    page.until_state("finished", LONG).await?;
    Ok(())
}

#[test]
fn a_cell_of_the_matrix_opens_the_images_that_were_read_so() {
    play(Site::start(), Kind::Plain, async |page| {
        to_the_end(page).await?;
        let counts = page
            .run(
                "const matrix = document.querySelector('[data-testid=confusion]');
                 const number = (cell) => Number(cell.textContent.replaceAll(',', ''));
                 const cells = [...matrix.querySelectorAll('[data-testid^=cell-]')];
                 const wrong = cells.filter((cell) => cell.closest('.diag') === null);
                 return [Number(matrix.dataset.count), wrong.map(number).reduce((a, b) => a + b), cells.length,
                     cells.map(number).reduce((a, b) => a + b)]",
            )
            .await?;
        let counts: [u32; 4] = serde_json::from_value(counts)?;
        assert_eq!((counts[0], counts[2]), (counts[1], 100), "the matrix counts what it says");
        let tested = page.look().await?.test_accuracy;
        let accuracy = f64::from(counts[3] - counts[0]) / f64::from(counts[3]) * 100.0;
        ensure(tested == format!("{accuracy:.2} %"), || format!("{tested} and {counts:?}"))?;

        // A cell that is not the one that is open at first.
        let cell = page
            .run(
                "const cells = [...document.querySelectorAll('[data-testid=confusion] td:not(.diag) button')];
                 const some = cells.filter((cell) => cell.textContent !== ''
                     && cell.closest('td').getAttribute('aria-selected') === 'false');
                 return [some[0].dataset.testid, some[0].textContent]",
            )
            .await?;
        let [cell, images]: [String; 2] = serde_json::from_value(cell)?;
        page.press(&cell).await?;
        let (truth, read) =
            cell.strip_prefix("cell-").and_then(|cell| cell.split_once('-')).context("a cell's name")?;
        let expected = images.replace(',', "").parse::<usize>()?.min(56);
        let shown = page
            .until_run(
                "the images of the cell, drawn",
                SOON,
                "const shots = [...document.querySelectorAll('[data-testid=cell-images] .shot')];
                 const drawn = shots.every((shot) => {
                     const canvas = shot.querySelector('canvas');
                     const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
                     return canvas.width === 28 && pixels.some((value, at) => at % 4 === 3 && value > 128);
                 });
                 return drawn ? shots.map((shot) => shot.textContent) : []",
                |shown| shown.as_array().is_some_and(|shown| shown.len() == expected),
            )
            .await?;
        let captions: Vec<String> = serde_json::from_value(shown)?;
        let was = format!("was {truth}, read {read}");
        ensure(captions.iter().all(|caption| caption.starts_with(&was)), || format!("{captions:?}"))?;

        page.run("document.querySelector('[data-testid=cell-images] .shot').click()").await?;
        let pressed = "return document.querySelector('[data-testid=cell-images] .shot').getAttribute('aria-pressed')";
        page.until_run("it is chosen", SOON, pressed, |pressed| pressed == "true").await?;
        assert_eq!(page.uncaught().await?, Vec::<String>::new());
        Ok(())
    });
}

#[test]
fn a_part_of_the_charts_is_shown_by_a_drag_and_all_of_them_by_escape() {
    play(Site::start(), Kind::Plain, async |page| {
        to_the_end(page).await?;
        let zoom = "return [...document.querySelectorAll('.chart')].map((chart) => chart.dataset.zoom ?? '')";
        page.drag("[data-testid=chart-loss] .plot", &[(0.25, 0.5), (0.4, 0.5), (0.5, 0.5)]).await?;
        // Places are whole pixels.
        let quarter = |zoom: &Value| {
            let ends = zoom.as_str().and_then(|zoom| zoom.split_once('-'));
            let near = |end: &str, to: f64| end.parse::<f64>().is_ok_and(|end| (end - to).abs() < 0.02);
            ends.is_some_and(|(from, to)| near(from, 0.25) && near(to, 0.5))
        };
        page.until_run("both charts show the part", SOON, zoom, |zoom| {
            zoom.as_array().is_some_and(|zoom| zoom.len() == 2 && zoom.iter().all(quarter))
        })
        .await?;
        // The chart has the focus since the mouse was pressed on it.
        page.key('\u{e00c}').await?;
        page.until_run("both charts show all", SOON, zoom, |zoom| *zoom == json!(["", ""])).await?;
        Ok(())
    });
}

#[test]
fn the_charts_are_saved_as_a_picture_and_as_numbers() {
    play(Site::start(), Kind::Plain, async |page| {
        let folder = xtask::paths::root().join("target/e2e/downloads").join(std::process::id().to_string());
        std::fs::create_dir_all(&folder)?;
        let allow = json!({ "behavior": "allow", "downloadPath": folder.display().to_string() });
        page.devtools("Browser.setDownloadBehavior", allow).await?;
        to_the_end(page).await?;
        for kind in ["csv", "svg", "png"] {
            page.press("chart-save").await?;
            page.press(&format!("chart-save-{kind}")).await?;
            let file = downloaded(&folder.join(format!("kiln-charts.{kind}"))).await?;
            match kind {
                "png" => ensure(file.starts_with(b"\x89PNG\r\n"), || "no PNG".into())?,
                "csv" => {
                    let text = String::from_utf8(file)?;
                    let lines: Vec<_> = text.lines().collect();
                    assert_eq!(lines.len(), 41, "a head and a line for each batch");
                    let last: Vec<_> = lines[40].split(',').collect();
                    ensure(last.len() == 12 && !last[4].is_empty(), || format!("the epoch's validation: {last:?}"))?;
                    ensure(!last[8].is_empty(), || format!("the run's test: {last:?}"))?;
                }
                _ => {
                    let text = String::from_utf8(file)?;
                    ensure(text.starts_with("<svg xmlns="), || text.clone())?;
                    ensure(text.contains("Loss") && text.contains("Accuracy"), || text.clone())?;
                    // It stands alone: its colours are in it, and no style or script.
                    let parsed = page.run(&format!("{CHECK}({})", Value::from(text))).await?;
                    assert_eq!(parsed, json!({ "error": false, "styles": 0, "own": true }));
                }
            }
        }
        std::fs::remove_dir_all(&folder)?;
        Ok(())
    });
}

/// Whether a text is an SVG by itself.
const CHECK: &str = "return ((text) => {
    const svg = new DOMParser().parseFromString(text, 'image/svg+xml');
    const all = [...svg.querySelectorAll('*')];
    return {
        error: svg.querySelector('parsererror') !== null,
        styles: all.filter((element) => element.hasAttribute('style') || element.tagName === 'style').length,
        own: all.every((element) => !/var\\(|url\\(/.test(element.outerHTML.slice(0, 400))),
    };
})";

async fn downloaded(path: &Path) -> Result<Vec<u8>> {
    let deadline = Instant::now() + Duration::from_secs(SOON);
    loop {
        // Under its own name only once it is complete.
        if let Ok(file) = std::fs::read(path)
            && !file.is_empty()
        {
            return Ok(file);
        }
        if Instant::now() > deadline {
            bail!("{} was not downloaded", path.display());
        }
        tokio::time::sleep(Duration::from_millis(40)).await;
    }
}
