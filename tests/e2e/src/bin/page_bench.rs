//! What a visitor waits for, measured in the page while it draws its charts: `cargo xtask bench --page` calls this with
//! how many rounds there are to be and the folders of the builds, which take turns.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kiln_e2e::{Kind, Page, Site, play};
use serde::Deserialize;

/// A run that lasts for as long as anybody measures, of the default recipe otherwise.
const RUN: &str = "?device=cpu&epochs=100&seed=42";
/// Seconds until page, worker and data are there.
const LOAD: u64 = 120;
/// The first batches are not measured: the browser still compiles.
const WARM_UP: u32 = 100;
/// How long the speed is measured while nobody draws. Nobody looks at the page meanwhile: that takes time too.
const SPEED: Duration = Duration::from_secs(12);
/// Strokes that are answered while the network trains.
const STROKES: usize = 40;
/// Their places run from here to here: over each other, as if somebody tried things out.
const EDGES: [f64; 2] = [0.2, 0.8];

/// Tells of each wait in the clock that the browser stamps its events by.
const WATCH: &str = "
const at = (id) => document.querySelector(`[data-testid=${id}]`);
const [answers, chart] = [at('answers'), at('chart-loss')];
window.kilnWaits = { first: null, answers: [] };
let clicked = 0, lifted = 0, reading = false;
at('train').addEventListener('click', (event) => { clicked = event.timeStamp; });
addEventListener('pointerup', (event) => {
  [lifted, reading] = [event.timeStamp, answers.dataset.reading === 'true'];
});
const look = () => {
  const now = performance.now();
  if (clicked && Number(chart.dataset.points) > 0) {
    kilnWaits.first = now - clicked;
    clicked = 0;
  }
  if (answers.dataset.reading === 'true') {
    reading = true;
  } else if (lifted && reading) {
    kilnWaits.answers.push(now - lifted);
    [lifted, reading] = [0, false];
  }
};
const observer = new MutationObserver(look);
observer.observe(answers, { attributeFilter: ['data-reading'] });
observer.observe(chart, { attributeFilter: ['data-points'] });
";

/// Time and how many batches are in the chart.
const PROGRESS: &str =
    "return [performance.now(), Number(document.querySelector('[data-testid=chart-loss]').dataset.points)]";

/// Images of a batch in [`RUN`].
const BATCH: f64 = 128.0;

/// What one visit showed.
struct Visit {
    /// Milliseconds from the click on Train to the first point in the chart.
    first: f64,
    /// Images a second while nobody draws, and while somebody does.
    speed: f64,
    speed_drawing: f64,
    /// Milliseconds from the end of each stroke to the answer to it.
    answers: Vec<f64>,
}

#[derive(Deserialize)]
struct Waits {
    first: Option<f64>,
    answers: Vec<f64>,
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let rounds: usize = arguments.next().context("how many rounds?")?.parse()?;
    let builds: Vec<PathBuf> = arguments.map(PathBuf::from).collect();
    ensure!(!builds.is_empty(), "no build to measure");
    let mut visits: Vec<Vec<Visit>> = builds.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds.max(1) {
        for (build, visits) in builds.iter().zip(&mut visits) {
            visits.push(visit(build));
        }
    }
    println!(
        "| | click to first point, ms | images/s, best and median | while somebody draws | ms to an answer while \
         training: median | 95th percentile |"
    );
    println!("|---|---|---|---|---|---|");
    for (build, visits) in builds.iter().zip(visits) {
        let each = |value: fn(&Visit) -> f64| sorted(visits.iter().map(value).collect());
        let (speed, drawing) = (each(|visit| visit.speed), each(|visit| visit.speed_drawing));
        let answers = sorted(visits.iter().flat_map(|visit| visit.answers.iter().copied()).collect());
        let best = |speeds: &[f64]| speeds.last().copied().unwrap_or_default();
        println!(
            "| {} | {:.0} | {:.0} and {:.0} | {:.0} and {:.0} | {:.0} | {:.0} |",
            build.display(),
            at(&each(|visit| visit.first), 0.5),
            best(&speed),
            at(&speed, 0.5),
            best(&drawing),
            at(&drawing, 0.5),
            at(&answers, 0.5),
            at(&answers, 0.95),
        );
    }
    Ok(())
}

/// Trains and draws in a fresh browser.
fn visit(build: &Path) -> Visit {
    let mut visit = None;
    play(Site::of(build), Kind::Plain, async |page| {
        page.visit(RUN).await?;
        page.until_state("ready", LOAD).await?;
        page.run(WATCH).await?;
        page.press("train").await?;
        page.until("the first batches", LOAD, |shown| shown.loss_points > WARM_UP).await?;
        let before = progress(page).await?;
        tokio::time::sleep(SPEED).await;
        let between = progress(page).await?;
        for stroke in 0..STROKES {
            draw(page, stroke).await?;
            let answered = format!("return kilnWaits.answers.length > {stroke}");
            page.until_run("an answer", LOAD, &answered, |so| *so == true).await?;
        }
        let after = progress(page).await?;
        let waits: Waits = serde_json::from_value(page.run("return kilnWaits").await?)?;
        let speed = |from: (f64, f64), to: (f64, f64)| BATCH * (to.1 - from.1) / (to.0 - from.0) * 1e3;
        visit = Some(Visit {
            first: waits.first.context("no first point was seen")?,
            speed: speed(before, between),
            speed_drawing: speed(between, after),
            answers: waits.answers,
        });
        Ok(())
    });
    visit.expect("the scenario was played to its end, or `play` would have panicked")
}

async fn progress(page: &Page) -> Result<(f64, f64)> {
    Ok(serde_json::from_value(page.run(PROGRESS).await?)?)
}

/// Draws a stroke across the pad, each a bit further than the one before.
async fn draw(page: &Page, stroke: usize) -> Result<()> {
    let along = EDGES[0] + (EDGES[1] - EDGES[0]) * (stroke as f64 / STROKES as f64);
    let places: Vec<(f64, f64)> = (0..5).map(|place| (along, EDGES[0] + 0.15 * f64::from(place))).collect();
    page.draw(&places).await
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

/// The value that a share of all is not above.
fn at(sorted: &[f64], share: f64) -> f64 {
    let index = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(index.saturating_sub(1)).copied().unwrap_or_default()
}
