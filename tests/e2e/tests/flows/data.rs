//! The digits on their way: kept for the next visit, and what happens when they do not arrive as they should.

use anyhow::Result;
use kiln_e2e::{Fault, Kind, Page, Site, ensure, play};

use crate::{ENDLESS, LOAD, SOON};

#[test]
fn a_second_visit_fetches_no_shard() {
    play(Site::start(), Kind::Plain, async |page| {
        page.visit("?device=cpu").await?;
        page.until_state("ready", LOAD).await?;
        let fetched = shards(&page.site);
        ensure(fetched.iter().all(|count| *count > 0), || format!("train, validation, test: {fetched:?}"))?;
        page.visit("?device=cpu").await?;
        page.until_state("ready", LOAD).await?;
        assert_eq!(shards(&page.site), fetched);
        assert_eq!(page.site.requests("/data/manifest.json"), 2, "a new manifest may be there");
        Ok(())
    });
}

#[test]
fn training_starts_with_the_first_shard() {
    let site = Site::start().with("/data/train-01", Fault::Held);
    play(site, Kind::Plain, async |page| {
        page.visit("?device=cpu&epochs=1&train-size=512&batch-size=64").await?;
        let early = page.until("training is offered", LOAD, |shown| shown.can("train")).await?;
        assert_eq!(early.state, "loading");
        page.press("train").await?;
        // The run may be further by the time that this is read: all of it is in the first shard.
        let learned = page.until("all batches of the first shard", SOON, |shown| shown.loss_points == 8).await?;
        ensure(learned.error.is_empty(), || learned.error.clone())
    });
}

#[test]
fn a_connection_to_be_spared_carries_no_shard_before_the_first_run() {
    play(Site::start(), Kind::Plain, async |page| {
        page.before_each_document("Object.defineProperty(navigator, 'connection', { value: { saveData: true } })")
            .await?;
        page.visit(ENDLESS).await?;
        let ready = page.until_state("ready", LOAD).await?;
        assert_eq!(shards(&page.site), [0, 0, 0]);
        ensure(ready.status.contains("fetched when you train"), || ready.status.clone())?;
        page.press("train").await?;
        page.until("points", LOAD, |shown| shown.loss_points > 1).await?;
        ensure(shards(&page.site)[0] > 0, || "training images were fetched".into())
    });
}

#[test]
fn a_bad_shard_is_named_and_never_trained_on() {
    play(Site::start().with("/data/train-00", Fault::Altered), Kind::Plain, async |page| {
        page.visit(ENDLESS).await?;
        let failed = page.until_state("failed", LOAD).await?;
        assert_eq!(failed.error_kind, "bad-shard");
        ensure(failed.error.contains("train-00-"), || format!("the file is named: {}", failed.error))?;
        ensure(failed.error.contains("Fetch it again"), || format!("the way on is named: {}", failed.error))?;
        ensure(page.site.requests("/data/train-00") > 1, || "it was asked for again by itself".into())?;
        ensure(!failed.can("train") && !failed.can("step"), || format!("{:?}", failed.enabled))?;

        // Still bad.
        page.press("retry").await?;
        page.until("it is asked for once more", SOON, |shown| shown.state == "loading").await?;
        let again = page.until_state("failed", LOAD).await?;
        assert_eq!((again.error_kind.as_str(), again.loss_points), ("bad-shard", 0));

        page.site.mend();
        leads_back(page, "retry").await
    });
}

#[test]
fn a_shard_cut_short_is_named() {
    play(Site::start().with("/data/train-02", Fault::Truncated), Kind::Plain, async |page| {
        page.visit(ENDLESS).await?;
        let failed = page.until_state("failed", LOAD).await?;
        assert_eq!(failed.error_kind, "bad-shard");
        ensure(failed.error.contains("train-02-"), || format!("the file is named: {}", failed.error))?;
        page.site.mend();
        leads_back(page, "retry").await?;
        Ok(())
    });
}

#[test]
fn a_missing_shard_is_named() {
    play(Site::start().with("/data/test-00", Fault::Missing), Kind::Plain, async |page| {
        page.visit(ENDLESS).await?;
        let failed = page.until_state("failed", LOAD).await?;
        assert_eq!(failed.error_kind, "missing-shard");
        ensure(failed.error.contains("test-00-"), || format!("the file is named: {}", failed.error))?;
        page.site.mend();
        leads_back(page, "retry").await
    });
}

#[test]
fn without_a_manifest_there_is_a_way_on() {
    play(Site::start().with("/data/manifest.json", Fault::Missing), Kind::Plain, async |page| {
        page.visit(ENDLESS).await?;
        let failed = page.until_state("failed", LOAD).await?;
        assert_eq!(failed.error_kind, "no-data");
        ensure(failed.error.contains("404"), || format!("what was found is said: {}", failed.error))?;
        page.site.mend();
        leads_back(page, "retry").await
    });
}

#[test]
fn a_manifest_that_is_none_is_refused() {
    play(Site::start().with("/data/manifest.json", Fault::Nonsense), Kind::Plain, async |page| {
        page.visit(ENDLESS).await?;
        let failed = page.until_state("failed", LOAD).await?;
        assert_eq!((failed.error_kind.as_str(), failed.loss_points), ("no-data", 0));
        page.site.mend();
        leads_back(page, "retry").await
    });
}

/// How often shards of each split were asked for.
fn shards(site: &Site) -> [usize; 3] {
    ["/data/train-", "/data/validation-", "/data/test-"].map(|path| site.requests(path))
}

/// After a failure about the data, with everything mended: the way on leads to a page that trains.
async fn leads_back(page: &Page, button: &str) -> Result<()> {
    page.press(button).await?;
    let ready = page.until_state("ready", LOAD).await?;
    ensure(ready.error.is_empty() && ready.loss_points == 0, || format!("{ready:?}"))?;
    page.press("train").await?;
    page.until("points", SOON, |shown| shown.loss_points > 1).await?;
    Ok(())
}
