//! The worker behind the page: late, missing, killed.

use kiln_e2e::{Fault, Kind, Site, ensure, play};

use crate::{ENDLESS, LOAD, LONG, SOON};

/// Keeps every worker within reach of a script, as `kilnWorkers`.
const REACH_WORKERS: &str = "
window.kilnWorkers = [];
window.Worker = class extends Worker {
  constructor(...given) {
    super(...given);
    if (String(given[0]).includes('/worker_')) kilnWorkers.push(this);
  }
};
";

/// Ends the latest of them as a browser that runs out of memory does: without a word.
const KILL: &str = "kilnWorkers.at(-1).terminate(); return kilnWorkers.length";

/// Half a minute passes in a second.
const HURRY: &str = "
const setTimeoutUnhurried = window.setTimeout;
window.setTimeout = (act, after, ...given) => setTimeoutUnhurried(act, after >= 30000 ? 1000 : after, ...given);
";

#[test]
fn a_worker_killed_in_its_first_epoch_is_noticed_and_the_run_begins_again() {
    play(Site::start(), Kind::Plain, async |page| {
        page.before_each_document(REACH_WORKERS).await?;
        page.visit(ENDLESS).await?;
        page.until_state("ready", LOAD).await?;
        page.press("train").await?;
        page.until("some points", SOON, |shown| shown.loss_points > 2).await?;
        assert_eq!(page.run(KILL).await?, 1);
        let failed = page.until_state("failed", 10).await?;
        assert_eq!(failed.error_kind, "worker-died");
        ensure(failed.loss_points > 2, || "the charts keep what was done".into())?;
        ensure(failed.can("train"), || format!("{:?}", failed.enabled))?;
        page.press("train").await?;
        let again =
            page.until("points of the new run", LOAD, |shown| shown.state == "training" && shown.loss_points > 2);
        again.await?;
        assert_eq!(page.run("return kilnWorkers.length").await?, 2);
        let read = page.read_a_one().await?;
        assert_eq!(read.state, "training");
        Ok(())
    });
}

#[test]
fn a_worker_killed_later_goes_on_from_the_last_epoch() {
    play(Site::start(), Kind::Plain, async |page| {
        page.before_each_document(REACH_WORKERS).await?;
        // Eight batches an epoch, then its validation.
        page.visit("?device=cpu&epochs=100&train-size=512&batch-size=64").await?;
        page.until_state("ready", LOAD).await?;
        page.press("train").await?;
        page.until("the second epoch", LONG, |shown| shown.loss_points > 8).await?;
        page.run(KILL).await?;
        let failed = page.until_state("failed", 10).await?;
        assert_eq!(failed.error_kind, "worker-died");
        ensure(failed.error.contains("Resume from epoch"), || format!("the way on is named: {}", failed.error))?;
        page.press("resume").await?;
        // Straight on from the epoch's end: never below its eight batches.
        let resumed = page.until("the run goes on", LOAD, |shown| {
            assert!(shown.loss_points >= 8, "epoch 1 is kept: {shown:?}");
            shown.state == "training" && shown.loss_points > failed.loss_points
        });
        resumed.await?;
        Ok(())
    });
}

#[test]
fn a_worker_killed_while_nothing_runs_is_started_again() {
    play(Site::start(), Kind::Plain, async |page| {
        page.before_each_document(REACH_WORKERS).await?;
        page.visit(ENDLESS).await?;
        page.until_state("ready", LOAD).await?;
        page.run(KILL).await?;
        let failed = page.until_state("failed", 10).await?;
        assert_eq!(failed.error_kind, "worker-died");
        page.press("retry").await?;
        page.until_state("ready", LOAD).await?;
        page.read_a_one().await?;
        Ok(())
    });
}

#[test]
fn a_worker_that_is_not_there_is_a_failure_with_a_way_on() {
    play(Site::start().with("/worker_cpu", Fault::Missing), Kind::Plain, async |page| {
        page.before_each_document(HURRY).await?;
        page.visit(ENDLESS).await?;
        let failed = page.until_state("failed", LOAD).await?;
        ensure(["worker-died", "worker-silent"].contains(&failed.error_kind.as_str()), || failed.error_kind.clone())?;
        page.site.mend();
        page.press("retry").await?;
        page.until("a worker that is there", LOAD, |shown| shown.can("train")).await?;
        Ok(())
    });
}

#[test]
fn a_worker_that_says_nothing_for_half_a_minute_is_a_failure_with_a_way_on() {
    play(Site::start().with("/worker_cpu", Fault::Held), Kind::Plain, async |page| {
        page.before_each_document(HURRY).await?;
        page.visit(ENDLESS).await?;
        let failed = page.until_state("failed", LOAD).await?;
        assert_eq!(failed.error_kind, "worker-silent");
        ensure(failed.error.contains("30 seconds"), || failed.error.clone())?;
        // No longer in a hurry: the second worker gets the time that it needs.
        page.run("window.setTimeout = setTimeoutUnhurried").await?;
        page.site.mend();
        page.press("retry").await?;
        page.until_state("ready", LOAD).await?;
        Ok(())
    });
}

#[test]
fn the_page_is_there_before_its_engine() {
    play(Site::start().with("/worker_cpu", Fault::Held), Kind::Plain, async |page| {
        // The note about the address tells the page from the static one that it takes the place of.
        page.visit(&format!("{ENDLESS}&colour=red")).await?;
        let early = page.until("the page", SOON, |shown| !shown.notes.is_empty()).await?;
        assert_eq!(early.state, "loading");
        ensure(!early.can("train"), || format!("{:?}", early.enabled))?;
        page.press("recipe-open").await?;
        page.press("recipe-close").await?;
        // The pad takes a drawing; its answer comes with the engine.
        page.draw_one().await?;
        let drawn = page.until("the drawing can be cleared", SOON, |shown| shown.can("pad-clear")).await?;
        assert_eq!((drawn.state.as_str(), drawn.prediction.as_str()), ("loading", ""));
        page.site.mend();
        page.until("the drawing is answered once the engine is there", LOAD, |shown| !shown.prediction.is_empty())
            .await?;
        Ok(())
    });
}

#[test]
fn the_first_paint_needs_no_binary() {
    play(Site::start().with("/page", Fault::Held), Kind::Plain, async |page| {
        page.visit(ENDLESS).await?;
        let first = page.look().await?;
        assert_eq!(first.state, "loading");
        ensure(!first.status.is_empty() && !first.can("train"), || format!("{first:?}"))?;
        let drawn = page.run("return document.querySelector('[data-testid=pad]').getBoundingClientRect().width > 100");
        assert_eq!(drawn.await?, true);
        page.site.mend();
        page.until_state("ready", LOAD).await?;
        Ok(())
    });
}

/// A development build has one file of code, so this is for `KILN_DIST=<a published dist>`.
#[test]
fn without_the_second_file_of_its_code_the_page_trains_and_gets_it_when_it_is_wanted() {
    const MISSING: &str = "return document.querySelector('[data-testid=rest-missing]') !== null";
    const RELOAD: &str = "return document.querySelector('[data-testid=rest-reload]') !== null";
    const OPEN: &str = "return document.querySelector('[data-testid=recipe]')?.open === true";
    let Some(second) = Site::second_file() else {
        eprintln!("NOT TESTED: this dist is a development build, whose page is one file of code");
        return;
    };
    play(Site::start().with(&second, Fault::Missing), Kind::Plain, async |page| {
        page.visit(ENDLESS).await?;
        page.until_run("the page says so", SOON, MISSING, |missing| *missing == true).await?;
        page.until_state("ready", LOAD).await?;
        // What is not there does not open, and the page's keys still work.
        let asked = page.site.requests(&second);
        page.press("recipe-open").await?;
        page.until("it is asked for again", SOON, |_| page.site.requests(&second) > asked).await?;
        page.until_run("and still missing", SOON, MISSING, |missing| *missing == true).await?;
        page.until_run("the page can be loaded again", SOON, RELOAD, |offered| *offered == true).await?;
        page.key('t').await?;
        page.until("it trains", SOON, |shown| shown.state == "training" && shown.loss_points > 2).await?;
        page.site.mend();
        page.press("rest-again").await?;
        page.until_run("the page says so no longer", SOON, MISSING, |missing| *missing == false).await?;
        page.press("recipe-open").await?;
        page.until_run("the settings open", SOON, OPEN, |open| *open == true).await?;
        Ok(())
    });
}

/// As after a newer page has taken this one's place.
#[test]
fn a_page_whose_second_file_stays_away_is_loaded_again() {
    const MISSING: &str = "return document.querySelector('[data-testid=rest-missing]') !== null";
    const RELOAD: &str = "return document.querySelector('[data-testid=rest-reload]') !== null";
    const HERE: &str = "return document.querySelector('[data-testid=recipe]') !== null";
    let Some(second) = Site::second_file() else {
        eprintln!("NOT TESTED: this dist is a development build, whose page is one file of code");
        return;
    };
    play(Site::start().with(&second, Fault::Missing), Kind::Plain, async |page| {
        page.visit(ENDLESS).await?;
        page.until_run("the page says so", SOON, MISSING, |missing| *missing == true).await?;
        page.press("rest-again").await?;
        page.until_run("it can be loaded again", SOON, RELOAD, |offered| *offered == true).await?;
        page.site.mend();
        page.press("rest-reload").await?;
        page.until_run("all is here", LOAD, HERE, |here| *here == true).await?;
        page.until_state("ready", LOAD).await?;
        Ok(())
    });
}
