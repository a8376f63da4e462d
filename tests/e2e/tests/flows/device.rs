//! Which device trains, and why.

use anyhow::Result;
use kiln_e2e::{Kind, Page, Site, ensure, play};

use crate::{LOAD, LONG, SOON};

const SMALL: &str = "epochs=1&train-size=512&batch-size=64";

#[test]
fn without_webgpu_the_cpu_trains_and_the_page_says_why() {
    play(Site::start(), Kind::Plain, async |page| {
        page.before_each_document("Object.defineProperty(Navigator.prototype, 'gpu', { get: () => undefined })")
            .await?;
        trains_on_the_cpu_because(page, &format!("?device=auto&{SMALL}"), "offers no WebGPU").await
    });
}

#[test]
fn without_an_adapter_the_cpu_trains_and_the_page_says_why() {
    play(Site::start(), Kind::Plain, async |page| {
        let none =
            "Object.defineProperty(Navigator.prototype, 'gpu', { get: () => ({ requestAdapter: async () => null }) })";
        page.before_each_document(none).await?;
        // Asking for it does not make one appear.
        trains_on_the_cpu_because(page, &format!("?device=webgpu&{SMALL}"), "no GPU to offer").await
    });
}

#[test]
fn this_browser_without_a_gpu_trains_by_itself() {
    play(Site::start(), Kind::Plain, async |page| {
        trains_on_the_cpu_because(page, &format!("?{SMALL}"), "Kiln trains on the CPU").await
    });
}

#[test]
fn a_software_adapter_is_not_chosen_by_itself() {
    play(Site::start(), Kind::SoftwareGpu, async |page| {
        page.visit(&format!("?{SMALL}")).await?;
        if !has_adapter(page).await? {
            return Ok(());
        }
        trains_on_the_cpu_because(page, &format!("?device=auto&{SMALL}"), "emulated in software").await
    });
}

#[test]
fn with_and_without_relaxed_simd_the_cpu_trains_to_nearly_the_same_loss() {
    play(Site::start(), Kind::Plain, async |page| {
        let parameters = format!("?device=cpu&{SMALL}");
        let relaxed = last_loss(page, &parameters).await?;
        ensure(page.site.requests("/worker_cpu_relaxed_bg") > 0, || "this browser has relaxed SIMD".into())?;
        ensure(page.site.requests("/worker_cpu_bg") == 0, || "one form of the worker is enough".into())?;
        // As a browser that refuses the module with such an instruction.
        let refuse =
            "const all = WebAssembly.validate; WebAssembly.validate = (bytes) => bytes.length !== 36 && all(bytes)";
        page.before_each_document(refuse).await?;
        let plain = last_loss(page, &parameters).await?;
        ensure(page.site.requests("/worker_cpu_bg") > 0, || "the plain form was fetched".into())?;
        // Shown with three decimals: the last one may be rounded either way.
        ensure((relaxed - plain).abs() < 1.5e-3, || format!("{relaxed} with relaxed SIMD, {plain} without"))
    });
}

/// The loss after all batches of a small run.
async fn last_loss(page: &Page, parameters: &str) -> Result<f32> {
    page.visit(parameters).await?;
    page.until_state("ready", LOAD).await?;
    page.press("train").await?;
    // Not by the points: what is drawn in a frame and what is written beside it may be a frame apart.
    page.until_state("finished", LOAD).await?;
    loss(page).await
}

/// The last loss in the chart's key.
async fn loss(page: &Page) -> Result<f32> {
    let loss = page.run("return document.querySelector('[data-testid=chart-loss] .keys b').textContent").await?;
    Ok(loss.as_str().unwrap_or_default().parse()?)
}

#[test]
fn webgpu_trains_when_asked_for_even_in_software() {
    play(Site::start(), Kind::SoftwareGpu, async |page| {
        // 50 batches: more than are done before the run is paused.
        let parameters = "?device=webgpu&epochs=1&train-size=400&batch-size=8";
        page.visit(parameters).await?;
        if !has_adapter(page).await? {
            return trains_on_the_cpu_because(page, parameters, "no GPU to offer").await;
        }
        let ready = page.until_state("ready", LONG).await?;
        ensure(ready.device.contains("WebGPU") && ready.device.contains("You asked for"), || ready.device.clone())?;
        ensure(page.site.requests("/worker_gpu") > 0, || "its worker was fetched".into())?;
        page.press("train").await?;
        let first = page.until("the first points", LONG, |shown| shown.loss_points > 0).await?;
        page.until("more points", LONG, |shown| shown.loss_points > first.loss_points).await?;
        page.press("pause").await?;
        page.until_state("paused", LONG).await?;
        let loss = loss(page).await?;
        ensure((0.0..10.0).contains(&loss), || format!("the loss is {loss}"))?;
        let read = page.read_a_one().await?;
        assert_eq!(read.state, "paused");
        page.press("stop").await?;
        page.until_state("finished", LONG).await?;
        assert_eq!(page.uncaught().await?, Vec::<String>::new());
        Ok(())
    });
}

/// Whether the browser gives an adapter. Says so loudly where it gives none.
async fn has_adapter(page: &Page) -> Result<bool> {
    let asked =
        page.run("return navigator.gpu ? navigator.gpu.requestAdapter().then((found) => !!found) : false").await?;
    let found = asked == true;
    if !found {
        eprintln!("!! This browser gives no WebGPU adapter, not even the software one: WebGPU IS NOT TESTED here.");
    }
    Ok(found)
}

async fn trains_on_the_cpu_because(page: &Page, parameters: &str, reason: &str) -> Result<()> {
    page.visit(parameters).await?;
    let ready = page.until_state("ready", LOAD).await?;
    ensure(ready.device.contains("CPU") && ready.device.contains(reason), || {
        format!("the device says “{}” and should say “{reason}”", ready.device)
    })?;
    ensure(ready.error.is_empty(), || format!("that is no failure: {}", ready.error))?;
    page.press("train").await?;
    page.until("all batches", SOON, |shown| shown.loss_points == 8).await?;
    assert_eq!(page.site.requests("/worker_gpu"), 0, "the GPU's worker is ten times as large, and of no use here");
    Ok(())
}
