//! The unfinished run: written at each checkpoint, offered in the next visit, put on the shelf when it ends.

use js_sys::Function;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;

use super::database::{Change, Room};
use super::record::{End, RunRecord, Unfinished};
use super::{Beginning, Task, sets};
use crate::protocol::{Command, Event, RunId};
use crate::shelf::{ModelCard, StorageTrouble, clean_name, fresh_name};
use crate::training::History;
use crate::web::{LIFE_LOCK, field};
use crate::worker::port;

/// Ended runs that can still be put on the shelf, at most.
const MAX_ENDED: usize = 4;
/// How often, and at what distance in milliseconds, the lock of a worker that has just gone is looked at: a page that
/// is loaded again may start faster than the browser lets go of the old one.
const LOOKS: u32 = 10;
const LOOK_EVERY: i32 = 200;

impl Task {
    /// Tells what is on the shelf, and of a run that somebody left.
    pub(super) async fn welcome(&mut self) -> Result<(), StorageTrouble> {
        self.purge().await?;
        let left = self.left().await?;
        let mut damaged = None;
        let mut best: Option<(String, Unfinished)> = None;
        for (key, run) in left {
            match run.and_then(|run| match run.check() {
                Ok(()) => Ok(run),
                Err(what) => Err(StorageTrouble::Damaged { what }),
            }) {
                Ok(run) if best.as_ref().is_none_or(|(_, best)| best.saved < run.saved) => best = Some((key, run)),
                Ok(_) => {}
                Err(trouble) => damaged = Some(trouble),
            }
        }
        if let Some((key, run)) = best {
            self.offered = Some(key);
            (self.tell)(&Event::Resumable(Box::new(run.resumable())));
        }
        damaged.map_or(Ok(()), Err)
    }

    /// The unfinished runs of workers that no longer live.
    async fn left(&mut self) -> Result<Vec<(String, Result<Unfinished, StorageTrouble>)>, StorageTrouble> {
        let runs = self.database().await?.all::<Unfinished>(Room::Runs).await?;
        let others: Vec<_> = runs.into_iter().filter(|(key, _)| *key != self.owner).collect();
        let mut alive = living().await;
        for _ in 0..LOOKS {
            if !others.iter().any(|(key, _)| alive.contains(key)) {
                break;
            }
            port::sleep(LOOK_EVERY).await;
            alive = living().await;
        }
        Ok(others.into_iter().filter(|(key, _)| !alive.contains(key)).collect())
    }

    /// A run begins. A fresh one puts what was left half trained on the shelf; one that goes on from a checkpoint takes
    /// over what was measured up to it.
    pub(super) async fn begin(&mut self, beginning: Beginning) -> Result<(), StorageTrouble> {
        let Beginning { run, config, from } = beginning;
        if let Some(run) = self.run.take() {
            self.ended.truncate(MAX_ENDED - 1);
            self.ended.insert(0, run);
        }
        // Its name is known before anything can fail: a run is never without a record to hear its events.
        let fresh = RunRecord {
            run,
            name: fresh_name(std::iter::empty()),
            config: config.clone(),
            data: self.data.clone(),
            history: History::default(),
            checkpoint: from.clone(),
            model: None,
            end: None,
        };
        self.run = Some(fresh);
        let database = self.database().await?;
        let runs = database.all::<Unfinished>(Room::Runs).await?;
        let mut mine = Vec::new();
        let mut taken = Vec::new();
        for (key, unfinished) in runs {
            let Ok(unfinished) = unfinished else { continue };
            taken.push(unfinished.name.clone());
            if (key == self.owner || Some(&key) == self.offered.as_ref()) && unfinished.check().is_ok() {
                mine.push((key, unfinished));
            }
        }
        self.offered = None;
        let Some(from) = from else {
            for (key, unfinished) in mine {
                // Batches that nobody measured are no loss; what the page promised to keep is kept all the same.
                if unfinished.checkpoint.epoch > 0 || key != self.owner {
                    self.shelve_left(&key, unfinished).await?;
                } else {
                    database.write(vec![Change::Delete(Room::Runs, key)]).await?;
                }
            }
            let cards = database.all::<ModelCard>(Room::Cards).await?;
            taken.extend(cards.into_iter().filter_map(|(_, card)| card.ok()).map(|card| card.name));
            taken.extend(self.ended.iter().map(|run| run.name.clone()));
            if let Some(run) = &mut self.run {
                run.name = fresh_name(taken.iter().map(String::as_str));
            }
            return self.tell_shelf().await;
        };
        let same = |unfinished: &Unfinished| {
            let kept = &unfinished.checkpoint;
            (kept.step, kept.config.seed, &kept.config.network) == (from.step, config.seed, &config.network)
        };
        let kept = mine.into_iter().find(|(_, unfinished)| same(unfinished));
        let ended =
            self.ended.iter().find(|ended| ended.config.seed == config.seed && ended.config.network == config.network);
        let (name, history, data, model) = match (kept, ended) {
            (Some((_, kept)), _) => {
                let kept = kept.into_run(run);
                (kept.name, kept.history, kept.data, kept.model)
            }
            (None, Some(ended)) => (ended.name.clone(), ended.history.clone(), ended.data.clone(), ended.model),
            (None, None) => {
                let name = fresh_name(taken.iter().map(String::as_str));
                (name, History::default(), self.data.clone(), None)
            }
        };
        if let Some(run) = &mut self.run {
            (run.name, run.history, run.data, run.model) = (name, history, data, model);
            run.history.rewind(from.step, from.epoch);
        }
        Ok(())
    }

    /// The session told something of a run.
    pub(super) async fn hear(&mut self, event: Event) -> Result<(), StorageTrouble> {
        let Some(run) = self.run.as_mut().filter(|run| Some(run.run) == event.run()) else { return Ok(()) };
        run.history.hear(&event);
        match event {
            Event::Checkpoint { checkpoint, .. } => {
                run.checkpoint = Some(checkpoint);
                self.save().await
            }
            Event::Finished { step, best_epoch, test, .. } => {
                let end = if best_epoch.is_some() { End::Best } else { End::At(step) };
                run.end = Some(end);
                self.finished(end, test.is_some()).await
            }
            _ => Ok(()),
        }
    }

    /// Writes the run at its checkpoint over what was written of it before, in one transaction.
    async fn save(&mut self) -> Result<(), StorageTrouble> {
        let Some(unfinished) = self.run.as_ref().and_then(|run| run.unfinished(js_sys::Date::now())) else {
            return Ok(());
        };
        let owner = self.owner.clone();
        self.database().await?.put(Room::Runs, &owner, &unfinished).await?;
        self.troubled(None);
        Ok(())
    }

    /// A run ended: its network goes on the shelf, and the run is no longer one to go on with. A fine-tuned network
    /// goes there when the user says so.
    async fn finished(&mut self, end: End, tested: bool) -> Result<(), StorageTrouble> {
        let Some(run) = &self.run else { return Ok(()) };
        let measured = tested || run.checkpoint.as_ref().is_some_and(|checkpoint| checkpoint.epoch > 0);
        if measured && run.config.finetune.is_none() {
            return self.shelve(run.run, end, None).await;
        }
        let owner = self.owner.clone();
        self.database().await?.write(vec![Change::Delete(Room::Runs, owner)]).await
    }

    /// The user wants an ended run's network on the shelf.
    pub(super) async fn keep_model(&mut self, run: RunId, name: Option<String>) -> Result<(), StorageTrouble> {
        let of = |record: &&RunRecord| record.run == run;
        let Some(record) = self.run.iter().chain(&self.ended).find(of) else { return Ok(()) };
        // Of a run that goes on, the network at its latest checkpoint.
        let Some(checkpoint) = &record.checkpoint else { return Ok(()) };
        let end = record.end.unwrap_or(End::At(checkpoint.step));
        self.shelve(run, end, name.as_deref().and_then(clean_name)).await
    }

    /// Goes on with the run that was offered: from now on it is this worker's.
    pub(super) async fn resume(&mut self, id: RunId) -> Result<(), StorageTrouble> {
        let gone = || StorageTrouble::Damaged { what: "the unfinished run is gone".into() };
        let key = self.offered.take().ok_or_else(gone)?;
        let database = self.database().await?;
        let mut unfinished: Unfinished = database.get(Room::Runs, &key).await?.ok_or_else(gone)?;
        unfinished.check().map_err(|what| StorageTrouble::Damaged { what })?;
        unfinished.history.resumed.push(unfinished.checkpoint.step);
        // It moves in one transaction: at no moment is it nowhere, or offered twice.
        let moved =
            vec![Change::put(Room::Runs, self.owner.clone(), &unfinished)?, Change::Delete(Room::Runs, key.clone())];
        let moved = database.write(moved).await;
        let run = unfinished.into_run(id);
        let start = Command::Start {
            run: id,
            config: run.config.clone(),
            one_batch: false,
            from: run.checkpoint.clone(),
            basis: run.checkpoint.as_ref().and_then(|checkpoint| checkpoint.basis.clone()),
        };
        let fetched = match sets::missing(&run.config, &self.sets) {
            Some(name) => self.fetch_set(name).await,
            None => Ok(()),
        };
        self.run = Some(run);
        self.to_session(start);
        // A full storage does not keep the run from going on.
        moved.and(fetched)
    }
}

/// The workers that live, of all tabs, by name.
async fn living() -> Vec<String> {
    async fn held() -> Option<Vec<String>> {
        let locks = field(&field(&js_sys::global(), "navigator"), "locks");
        let query: Function = field(&locks, "query").dyn_into().ok()?;
        let asked: js_sys::Promise = query.call0(&locks).ok()?.dyn_into().ok()?;
        let held: js_sys::Array = field(&JsFuture::from(asked).await.ok()?, "held").dyn_into().ok()?;
        let names = held.iter().filter_map(|lock| field(&lock, "name").as_string());
        Some(names.filter_map(|name| name.strip_prefix(LIFE_LOCK).map(str::to_owned)).collect())
    }
    // Without Web Locks nobody knows: what was left is offered.
    held().await.unwrap_or_default()
}
