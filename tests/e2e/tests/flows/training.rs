//! The main job: train, watch, draw; pause, step, resume, stop.

use anyhow::Context;
use kiln_e2e::{Kind, Site, ensure, play};

use crate::{ENDLESS, LOAD, LONG, SOON};

#[test]
fn a_click_trains_a_network_that_reads_what_is_drawn() {
    play(Site::start(), Kind::Plain, async |page| {
        // 128 batches in two epochs.
        page.visit("?device=cpu&epochs=2&train-size=2048&batch-size=32").await?;
        let ready = page.until_state("ready", LOAD).await?;
        assert_eq!((ready.loss_points, ready.accuracy_points), (0, 0));
        ensure(ready.device.contains("CPU") && ready.device.contains("You asked for"), || ready.device.clone())?;
        ensure(ready.can("train"), || format!("{:?}", ready.enabled))?;

        page.press("train").await?;
        let first = page.until("the first points", SOON, |shown| shown.loss_points > 0).await?;
        assert_eq!(first.state, "training");
        let later = page.until("more points", SOON, |shown| shown.loss_points > first.loss_points).await?;
        ensure(later.accuracy_points > 0, || format!("{later:?}"))?;
        let exam = page.until_state("evaluating", LONG).await?;
        ensure(exam.can("stop") && !exam.can("train"), || format!("{:?}", exam.enabled))?;
        let done = page.until_state("finished", LONG).await?;
        assert_eq!((done.loss_points, done.accuracy_points), (128, 128));
        let accuracy = done.test_accuracy.strip_suffix(" %").context("the accuracy is written like 98.62 %")?;
        let accuracy: f32 = accuracy.parse().context("the accuracy is a number")?;
        ensure((60.0..=100.0).contains(&accuracy), || format!("{accuracy} % after 128 batches"))?;

        let read = page.read_a_one().await?;
        let bars = page
            .run(
                "return [...Array(10).keys()].map((digit) => Number(getComputedStyle(document.querySelector(
            `[data-testid=answer-${digit}]`)).getPropertyValue('--p')))",
            )
            .await?;
        let bars: Vec<f64> = serde_json::from_value(bars)?;
        let sum: f64 = bars.iter().sum();
        ensure((0.98..1.02).contains(&sum), || format!("ten probabilities sum to 1: {bars:?}"))?;
        // Of digits that a program drew, nobody knows how much a stroke of the mouse looks like one of them.
        let manifest = page.run("return fetch('data/manifest.json').then((answer) => answer.json())").await?;
        if manifest["synthetic"] == false {
            assert_eq!(read.prediction, "1", "{bars:?}");
        } else {
            ensure(read.prediction.parse::<u8>().is_ok_and(|digit| digit < 10), || read.prediction.clone())?;
        }
        page.press("pad-clear").await?;
        page.until("a clean pad has no answer", SOON, |shown| shown.prediction.is_empty()).await?;
        assert_eq!(page.uncaught().await?, Vec::<String>::new());
        Ok(())
    });
}

/// Sixty frames a second take from two processors a fifth of what they could train.
#[test]
fn nothing_moves_by_itself_while_a_network_trains() {
    play(Site::start(), Kind::Plain, async |page| {
        // No epoch ends meanwhile, and what is on the pad is read again and again.
        page.visit("?device=cpu").await?;
        page.until_state("ready", LOAD).await?;
        page.draw_one().await?;
        page.press("train").await?;
        page.until("some points", SOON, |shown| shown.loss_points >= 3).await?;
        // What began with the click comes to an end.
        page.run("return Promise.all(document.getAnimations().map((moving) => moving.finished)).then(() => true)")
            .await?;
        page.run(
            "window.moved = [];
             for (const kind of ['animationstart', 'transitionrun']) document.addEventListener(kind, ({ target }) =>
                 moved.push(`${kind} ${target.outerHTML.slice(0, 80)}`))",
        )
        .await?;
        let so_far = page.look().await?.loss_points;
        page.until("more points", SOON, |shown| shown.loss_points >= so_far + 20).await?;
        assert_eq!(page.run("return moved").await?, serde_json::json!([]));
        Ok(())
    });
}

#[test]
fn pause_step_resume_and_stop_do_as_they_say() {
    play(Site::start(), Kind::Plain, async |page| {
        page.visit(ENDLESS).await?;
        page.until_state("ready", LOAD).await?;
        page.press("train").await?;
        page.until("some points", SOON, |shown| shown.loss_points >= 3).await?;

        page.press("pause").await?;
        let paused = page.until_state("paused", SOON).await?;
        // The worker answers a drawing after whatever was still under way.
        let read = page.read_a_one().await?;
        assert_eq!((read.state.as_str(), read.loss_points), ("paused", paused.loss_points));

        for steps in 1..=2 {
            page.press("step").await?;
            let stepped = page
                .until("one more batch", SOON, |shown| {
                    shown.state == "paused" && shown.loss_points >= paused.loss_points + steps
                })
                .await?;
            assert_eq!(stepped.loss_points, paused.loss_points + steps);
            let read = page.read_a_one().await?;
            assert_eq!((read.state.as_str(), read.loss_points), ("paused", paused.loss_points + steps));
        }

        page.press("resume").await?;
        page.until("the run goes on", SOON, |shown| {
            shown.state == "training" && shown.loss_points > paused.loss_points + 4
        })
        .await?;
        page.press("stop").await?;
        let stopped = page.until_state("finished", SOON).await?;
        ensure(stopped.test_accuracy.is_empty(), || format!("no test was taken: {}", stopped.test_accuracy))?;
        let read = page.read_a_one().await?;
        assert_eq!((read.state.as_str(), read.loss_points), ("finished", stopped.loss_points));
        Ok(())
    });
}

#[test]
fn a_drawing_is_read_while_the_network_learns() {
    play(Site::start(), Kind::Plain, async |page| {
        page.visit(ENDLESS).await?;
        page.until_state("ready", LOAD).await?;
        let before = page.read_a_one().await?;
        assert_eq!(before.state, "ready", "an untrained network guesses");
        page.press("train").await?;
        page.until("some points", SOON, |shown| shown.loss_points > 0).await?;
        let read = page.read_a_one().await?;
        assert_eq!(read.state, "training");
        page.until("the run goes on", SOON, |shown| shown.loss_points > read.loss_points).await?;
        Ok(())
    });
}

#[test]
fn one_batch_of_a_new_run_leaves_it_paused_after_one_point() {
    play(Site::start(), Kind::Plain, async |page| {
        page.visit(ENDLESS).await?;
        page.until_state("ready", LOAD).await?;
        page.press("step").await?;
        let paused = page.until_state("paused", SOON).await?;
        assert_eq!((paused.loss_points, paused.accuracy_points), (1, 1));
        Ok(())
    });
}

#[test]
fn the_same_address_gives_the_same_losses() {
    play(Site::start(), Kind::Plain, async |page| {
        let mut runs = Vec::new();
        for _ in 0..2 {
            page.visit("?device=cpu&epochs=1&train-size=64&batch-size=16&seed=7").await?;
            page.until_state("ready", LOAD).await?;
            page.press("train").await?;
            page.until_state("evaluating", LONG).await?;
            page.press("stop").await?;
            page.until_state("finished", SOON).await?;
            let rows = page.run("return document.querySelector('[data-testid=chart-rows] tbody').textContent").await?;
            runs.push(rows.as_str().unwrap_or_default().to_owned());
        }
        ensure(!runs[0].is_empty() && runs[0] == runs[1], || format!("{runs:?}"))
    });
}

#[test]
fn one_worker_and_two_have_the_same_losses() {
    play(Site::start(), Kind::Plain, async |page| {
        let mut runs = Vec::new();
        for workers in [1, 2] {
            let address = format!("?device=cpu&epochs=1&train-size=640&batch-size=32&seed=7&workers={workers}");
            page.visit(&address).await?;
            page.until_state("ready", LOAD).await?;
            page.press("train").await?;
            page.until_state("evaluating", LONG).await?;
            page.press("stop").await?;
            page.until_state("finished", SOON).await?;
            let losses = page
                .run("return [...document.querySelectorAll('[data-testid=chart-rows] [data-value]')].map((cell) => cell.dataset.value)")
                .await?;
            runs.push(losses);
            page.press("device").await?;
            let as_asked = format!(
                "return Number(document.querySelector('[data-testid=workers]').dataset.count)
                    === Math.min({workers}, navigator.hardwareConcurrency)"
            );
            page.until_run("as many work as were asked for", SOON, &as_asked, |so| *so == true).await?;
        }
        ensure(runs[0].as_array().is_some_and(|losses| !losses.is_empty()) && runs[0] == runs[1], || {
            format!("{runs:?}")
        })
    });
}
