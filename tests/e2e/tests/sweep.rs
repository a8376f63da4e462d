//! Tuning, in a real browser: a sweep from the recipe's sheet to an ordinary run with the best settings.

use std::time::Duration;

use kiln_e2e::{Kind, Page, Site, ensure, play};
use serde_json::Value;

/// Until the worker is there and all data was checked, in seconds.
const LOAD: u64 = 120;
/// Until a button has had its effect.
const SOON: u64 = 60;
/// Until four short runs were trained and validated on a slow machine.
const LONG: u64 = 400;

/// Types into a field of the form.
async fn fill(page: &Page, field: &str, text: &str) -> anyhow::Result<()> {
    let script = format!(
        "const field = document.querySelector('[data-testid=sweep-{field}]'); field.value = '{text}';
        field.dispatchEvent(new Event('input', {{ bubbles: true }}))"
    );
    page.run(&script).await?;
    Ok(())
}

/// Opens the sheet and its group, and begins a grid of these learning rates, one epoch each.
async fn start(page: &Page, rates: &str) -> anyhow::Result<()> {
    page.until_state("ready", LOAD).await?;
    page.press("recipe-open").await?;
    page.run("document.querySelector('[data-testid=group-sweep]').open = true").await?;
    page.press("sweep-grid").await?;
    for (field, text) in [("learning-rate", rates), ("batch-size", ""), ("runs", "8"), ("epochs", "1")] {
        fill(page, field, text).await?;
    }
    page.press("sweep-start").await?;
    page.until("the sweep runs", SOON, |shown| shown.detail == "sweep" && shown.can("sweep-stop")).await?;
    Ok(())
}

/// The table: `data-runs`, and each row's cells.
async fn table(page: &Page) -> anyhow::Result<(u32, Vec<Vec<String>>)> {
    let read = page
        .run(
            "const table = document.querySelector('[data-testid=sweep]');
            return [Number(table.dataset.runs), [...table.tBodies[0].rows].map((row) =>
              [...row.cells].map((cell) => cell.textContent.trim()))]",
        )
        .await?;
    Ok(serde_json::from_value(read)?)
}

async fn until_runs(page: &Page, runs: u32) -> anyhow::Result<Vec<Vec<String>>> {
    let deadline = std::time::Instant::now() + Duration::from_secs(LONG);
    loop {
        let (done, rows) = table(page).await?;
        if done >= runs {
            return Ok(rows);
        }
        ensure(std::time::Instant::now() < deadline, || format!("{runs} runs: not within {LONG} s; {rows:?}"))?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[test]
fn a_sweep_of_four_runs_fills_its_table_and_the_best_opens_as_an_ordinary_run() {
    play(Site::start(), Kind::Plain, async |page| {
        page.visit("?device=cpu&train-size=512&batch-size=32").await?;
        start(page, "0.000001, 0.001, 0.003, 0.00001").await?;
        let read = page.read_a_one().await?;
        ensure(!read.prediction.is_empty(), || "drawings are answered meanwhile".into())?;
        let rows = until_runs(page, 4).await?;
        let done = page.until_state("finished", SOON).await?;
        assert_eq!((done.detail.as_str(), done.loss_points), ("sweep", 0));
        assert_eq!(rows.len(), 4);
        for (row, rate) in rows.iter().zip(["0.000001", "0.001", "0.003", "0.00001"]) {
            assert_eq!(row[1], rate);
            ensure(row[2].contains(" of 5,000") && row[2].ends_with('%'), || format!("{row:?}"))?;
            ensure(row[3] == "1 of 1" && row[5].starts_with("done"), || format!("{row:?}"))?;
        }

        page.press("sweep-sort-score").await?;
        let (_, sorted) = table(page).await?;
        let share =
            |row: &[String]| row[2].split_whitespace().last().unwrap_or("").trim_end_matches('%').parse::<f64>();
        let shares = sorted.iter().map(|row| share(row)).collect::<Result<Vec<f64>, _>>()?;
        ensure(shares.is_sorted_by(|a, b| a >= b), || format!("{shares:?}"))?;
        ensure(sorted[0][5].contains("best"), || format!("{:?}", sorted[0]))?;
        let rate = sorted[0][1].clone();
        ensure(rate == "0.001" || rate == "0.003", || format!("steps of {rate} learn nothing in one epoch"))?;

        page.press(&format!("trial-{}", sorted[0][0])).await?;
        page.until_state("ready", SOON).await?;
        let recipe =
            page.run("return document.querySelector('[data-testid=recipe-learning-rate]').textContent").await?;
        assert_eq!(recipe.as_str().unwrap_or_default().trim(), rate);
        page.until_run("the address", SOON, "return location.search", |address| {
            let named = address.as_str().is_some_and(|address| address.contains(&format!("learning-rate={rate}")));
            named || rate == "0.001"
        })
        .await?;
        page.press("train").await?;
        page.until("an ordinary run", SOON, |shown| shown.state == "training" && shown.loss_points > 0).await?;
        assert_eq!(page.uncaught().await?, Vec::<String>::new());
        Ok(())
    });
}

#[test]
fn a_sweep_that_is_stopped_keeps_its_rows() {
    play(Site::start(), Kind::Plain, async |page| {
        page.visit("?device=cpu&train-size=512&batch-size=32").await?;
        start(page, "0.001, 0.002, 0.003, 0.004, 0.005, 0.006").await?;
        until_runs(page, 1).await?;
        page.press("sweep-stop").await?;
        page.until_state("finished", SOON).await?;
        let (runs, rows) = table(page).await?;
        ensure((1..6).contains(&runs), || format!("{runs} of {rows:?}"))?;
        ensure(rows[0][5].starts_with("done") && rows[5][5] == "not run", || format!("{rows:?}"))?;
        let same = table(page).await?;
        assert_eq!(same, (runs, rows));
        let tested = page.run("return document.querySelector('[data-testid=test-accuracy]')").await?;
        assert_eq!(tested, Value::Null, "the test images were not looked at");
        Ok(())
    });
}

#[test]
fn on_a_phone_the_table_scrolls_in_itself() {
    play(Site::start(), Kind::Plain, async |page| {
        page.become_phone().await?;
        page.visit("?device=cpu&train-size=256&batch-size=32").await?;
        start(page, "0.001, 0.003").await?;
        until_runs(page, 2).await?;
        let over = page.run("return document.documentElement.scrollWidth - innerWidth").await?;
        // Less where the scroll bar takes room.
        ensure(over.as_f64().is_some_and(|over| over <= 0.0), || format!("{over} pixels beyond the window"))?;
        Ok(())
    });
}
