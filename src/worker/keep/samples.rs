//! The user's digits: one record of all of them. They are few, and whoever collects them changes one at a time.

use super::Task;
use super::database::Room;
use crate::protocol::Event;
use crate::shelf::{ModelId, StorageTrouble};
use crate::training::collection::KeptDigits;

/// The record's key.
const KEY: &str = "digits";

impl Task {
    /// Tells what was kept; nothing, too: only then may anything be kept in its place.
    pub(super) async fn tell_digits(&mut self) -> Result<(), StorageTrouble> {
        let kept: Option<KeptDigits> = self.database().await?.get(Room::Samples, KEY).await?;
        (self.tell)(&Event::Digits(Box::new(kept.unwrap_or_default())));
        Ok(())
    }

    pub(super) async fn keep_digits(&mut self, kept: &KeptDigits) -> Result<(), StorageTrouble> {
        self.database().await?.put(Room::Samples, KEY, kept).await?;
        self.troubled(None);
        Ok(())
    }

    /// Tells a model of the shelf, for fine-tuning to start from.
    pub(super) async fn read_model(&mut self, id: ModelId) -> Result<(), StorageTrouble> {
        let (card, model) = super::load(&*self.database().await?, id).await?;
        (self.tell)(&Event::ModelRead { card: Box::new(card), model: Box::new(model) });
        Ok(())
    }
}
