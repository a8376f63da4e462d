//! Imported sets: what is in each, and its files as they were handed in. The files are large and rarely wanted: they
//! are read back, and taken in anew like files that were just dropped, when a run is to learn from them.

use std::cell::RefCell;

use super::database::{Change, Room};
use super::{Input, Task};
use crate::data::set::{SetCounts, SetFile};
use crate::protocol::{Command, Event};
use crate::shelf::StorageTrouble;
use crate::training::RunConfig;

/// The key of a record of what is in a set begins so, and ends with the set's name.
const COUNTS: &str = "set/";
/// The key of a record of a set's files begins so.
const FILES: &str = "set-files/";
/// [`Command::ImportSet::id`] of a set that nobody has just handed in.
const NOBODYS: u32 = 0;

/// A set that was handed in. Whether it is one, the session will say.
pub(super) struct Arriving {
    id: u32,
    files: Change,
}

impl Arriving {
    /// Copies the files out of the engine's memory.
    pub(super) fn new(id: u32, name: &str, files: &[SetFile]) -> Result<Self, StorageTrouble> {
        Ok(Self { id, files: Change::put(Room::Samples, format!("{FILES}{name}"), &files)? })
    }
}

/// The set that a run is to learn from, if it is none of those that the session has.
pub(super) fn missing<'a>(config: &'a RunConfig, here: &RefCell<Vec<String>>) -> Option<&'a str> {
    config.set().filter(|name| !here.borrow().iter().any(|here| here == name))
}

impl Task {
    /// Tells which sets are kept.
    pub(super) async fn tell_sets(&mut self) -> Result<(), StorageTrouble> {
        let database = self.database().await?;
        let mut sets = Vec::new();
        for key in database.keys(Room::Samples).await? {
            let Some(name) = key.strip_prefix(COUNTS) else { continue };
            // One that can't be read is as good as none: its files can be handed in again.
            if let Ok(Some(counts)) = database.get::<SetCounts>(Room::Samples, &key).await
                && counts.check()
            {
                sets.push((name.to_owned(), counts));
            }
        }
        (self.tell)(&Event::Sets(sets));
        Ok(())
    }

    /// The session took a set in. If it was handed in, it is kept.
    pub(super) async fn keep_set(&mut self, id: u32, name: &str, counts: &SetCounts) -> Result<(), StorageTrouble> {
        let Some(Arriving { files, .. }) = self.arriving.take_if(|arriving| arriving.id == id) else { return Ok(()) };
        let counts = Change::put(Room::Samples, format!("{COUNTS}{name}"), counts)?;
        self.database().await?.write(vec![counts, files]).await?;
        self.troubled(None);
        Ok(())
    }

    /// Has the session take in a kept set. One that is not there the session will miss, and say so.
    pub(super) async fn fetch_set(&mut self, name: &str) -> Result<(), StorageTrouble> {
        let files: Option<Vec<SetFile>> = self.database().await?.get(Room::Samples, &format!("{FILES}{name}")).await?;
        if let Some(files) = files {
            self.to_session(Command::ImportSet { id: NOBODYS, name: name.into(), files });
        }
        Ok(())
    }

    pub(super) async fn forget_set(&mut self, name: &str) -> Result<(), StorageTrouble> {
        let keys = [COUNTS, FILES].map(|kind| Change::Delete(Room::Samples, format!("{kind}{name}")));
        self.database().await?.write(keys.into()).await
    }

    pub(super) fn to_session(&self, command: Command) {
        // The loop takes it as long as the worker lives.
        drop(self.inbox.unbounded_send(Input::Resume(command)));
    }
}
