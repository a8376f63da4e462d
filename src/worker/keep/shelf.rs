//! The shelf: cards, models and the measurements of their runs, each under the model's id.

use js_sys::{Function, Promise};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use super::database::{Change, Database, Room};
use super::record::{End, RunRecord, Unfinished};
use super::{Opened, Task};
use crate::model::SavedModel;
use crate::model::saved::weight_bytes;
use crate::protocol::{Event, RunId};
use crate::shelf::{ModelCard, ModelId, Shelf, StorageTrouble, UNDO_MS, clean_name, free_name};
use crate::training::History;
use crate::web::field;
use crate::worker::Input;

/// A model of the shelf.
///
/// # Errors
/// The storage failed, there is no such model, or it can't be read.
pub async fn load(database: &Database, id: ModelId) -> Result<(ModelCard, SavedModel), StorageTrouble> {
    let key = id.0.to_string();
    let damaged = |what: String| StorageTrouble::Damaged { what };
    let missing = || damaged("no such model".into());
    let card: ModelCard = database.get(Room::Cards, &key).await?.ok_or_else(missing)?;
    let model: SavedModel = database.get(Room::Models, &key).await?.ok_or_else(missing)?;
    check(&card).and_then(|()| model.check().map_err(|error| error.to_string())).map_err(damaged)?;
    if (&card.network, &card.classes) != (&model.network, &model.classes) {
        return Err(damaged("a card of another model".into()));
    }
    Ok((card, model))
}

/// Puts a model on the shelf under an id and a name that are free, as of now: what the card says of these is at most a
/// wish. Answers with the id. [`super::Keeper::look`] tells the page.
///
/// # Errors
/// The storage is full or failed, or the model is none.
pub async fn add(
    database: &Database,
    card: ModelCard,
    model: &SavedModel,
    history: Option<&History>,
) -> Result<ModelId, StorageTrouble> {
    model.check().map_err(|error| StorageTrouble::Damaged { what: error.to_string() })?;
    let cards: Vec<_> = database.all::<ModelCard>(Room::Cards).await?;
    let taken = cards.iter().filter_map(|(_, card)| card.as_ref().ok()).map(|card| card.name.as_str());
    let (id, name) = (fresh_id(), free_name(&card.name, taken));
    let card = ModelCard { id, name, saved: js_sys::Date::now(), deleted: None, ..card };
    database.write(put(&card, model, history)?).await?;
    Ok(id)
}

/// An id that no other tab draws at the same time.
fn fresh_id() -> ModelId {
    ModelId((js_sys::Math::random() * f64::from(u32::MAX)) as u32)
}

fn put(card: &ModelCard, model: &SavedModel, history: Option<&History>) -> Result<Vec<Change>, StorageTrouble> {
    let key = card.id.0.to_string();
    let history = history.map(|history| Change::put(Room::Histories, key.clone(), history)).transpose()?;
    let card = Change::put(Room::Cards, key.clone(), card)?;
    Ok([card, Change::put(Room::Models, key, model)?].into_iter().chain(history).collect())
}

/// Whether a card can be true.
fn check(card: &ModelCard) -> Result<(), String> {
    let expected = weight_bytes(&card.network).map_err(|error| error.to_string())?;
    let scores = card.validation.iter().map(|(_, score)| score).chain(&card.test);
    if u64::from(card.bytes) != expected || card.classes.len() != card.network.classes {
        return Err("a card of another network".into());
    }
    if clean_name(&card.name).as_ref() != Some(&card.name) {
        return Err("no name".into());
    }
    if scores.into_iter().any(|score| score.correct > score.total) {
        return Err("more right than there are".into());
    }
    Ok(())
}

impl Task {
    /// The cards, the latest first, and how many can't be read.
    async fn cards(&mut self) -> Result<(Vec<ModelCard>, u32), StorageTrouble> {
        let all = self.database().await?.all::<ModelCard>(Room::Cards).await?;
        let total = all.len();
        let sound = |(key, card): (String, Result<ModelCard, StorageTrouble>)| {
            card.ok().filter(|card| key == card.id.0.to_string() && check(card).is_ok())
        };
        let mut cards: Vec<ModelCard> = all.into_iter().filter_map(sound).collect();
        let unreadable = (total - cards.len()) as u32;
        cards.sort_by(|a, b| b.saved.total_cmp(&a.saved));
        Ok((cards, unreadable))
    }

    pub(super) async fn tell_shelf(&mut self) -> Result<(), StorageTrouble> {
        let (models, unreadable) = self.cards().await?;
        let (usage, quota, persisted) = room().await;
        (self.tell)(&Event::Shelf(Shelf { models, unreadable, usage, quota, persisted }));
        Ok(())
    }

    /// Puts the network of a run on the shelf, or over the model that it became before, and takes the run itself out
    /// of what can go on: one transaction.
    pub(super) async fn shelve(&mut self, run: RunId, end: End, name: Option<String>) -> Result<(), StorageTrouble> {
        let is_current = self.run.as_ref().is_some_and(|current| current.run == run);
        let Some(mut record) = self.run.iter().chain(&self.ended).find(|record| record.run == run).cloned() else {
            return Ok(());
        };
        let (cards, _) = self.cards().await?;
        let before = record.model.and_then(|id| cards.iter().find(|card| card.id == id && card.deleted.is_none()));
        let id = before.map_or_else(fresh_id, |card| card.id);
        record.name = name.or_else(|| before.map(|card| card.name.clone())).unwrap_or(record.name);
        let Some(made) = record.model(id, js_sys::Date::now(), end) else { return Ok(()) };
        let (card, model) = made.map_err(|error| StorageTrouble::Damaged { what: error.to_string() })?;
        let mut changes = put(&card, &model, Some(&record.history))?;
        if is_current {
            changes.push(Change::Delete(Room::Runs, self.owner.clone()));
        }
        self.database().await?.write(changes).await?;
        for record in self.run.iter_mut().chain(&mut self.ended).filter(|record| record.run == run) {
            (record.model, record.name) = (Some(id), card.name.clone());
        }
        self.troubled(None);
        self.tell_shelf().await?;
        (self.tell)(&Event::Kept { run, id });
        Ok(())
    }

    /// Puts a run that was left half trained on the shelf, as it stands.
    pub(super) async fn shelve_left(&mut self, key: &str, left: Unfinished) -> Result<(), StorageTrouble> {
        let step = left.checkpoint.step;
        let record: RunRecord = left.into_run(RunId(0));
        let Some(made) = record.model(record.model.unwrap_or_else(fresh_id), js_sys::Date::now(), End::At(step)) else {
            return Ok(());
        };
        let (card, model) = made.map_err(|error| StorageTrouble::Damaged { what: error.to_string() })?;
        let mut changes = put(&card, &model, Some(&record.history))?;
        changes.push(Change::Delete(Room::Runs, key.to_owned()));
        self.database().await?.write(changes).await
    }

    pub(super) async fn open_model(&mut self, id: ModelId) -> Result<(), StorageTrouble> {
        let database = self.database().await?;
        let (card, model) = load(&database, id).await?;
        let history = self.history(id, &card).await;
        // The loop takes it as long as the worker lives.
        drop(self.inbox.unbounded_send(Input::Model(Box::new(Opened { card, model, history }))));
        Ok(())
    }

    /// Measurements that can't be read are no reason not to use a model.
    async fn history(&mut self, id: ModelId, card: &ModelCard) -> Option<History> {
        let config = card.config.as_ref()?;
        let history = self.database().await.ok()?.get::<History>(Room::Histories, &id.0.to_string()).await;
        history.ok().flatten().filter(|history| history.fits(config))
    }

    pub(super) async fn tell_history(&mut self, id: ModelId) -> Result<(), StorageTrouble> {
        let card = self.cards().await?.0.into_iter().find(|card| card.id == id);
        let history = match &card {
            Some(card) => self.history(id, card).await,
            None => None,
        };
        (self.tell)(&Event::ModelHistory { id, history });
        Ok(())
    }

    pub(super) async fn rename(&mut self, id: ModelId, name: &str) -> Result<(), StorageTrouble> {
        let Some(name) = clean_name(name) else { return self.tell_shelf().await };
        self.change(id, |card| card.name = name).await
    }

    pub(super) async fn set_deleted(&mut self, id: ModelId, deleted: Option<f64>) -> Result<(), StorageTrouble> {
        self.change(id, |card| card.deleted = deleted).await
    }

    async fn change(&mut self, id: ModelId, change: impl FnOnce(&mut ModelCard)) -> Result<(), StorageTrouble> {
        if let Some(mut card) = self.cards().await?.0.into_iter().find(|card| card.id == id) {
            change(&mut card);
            self.database().await?.put(Room::Cards, &id.0.to_string(), &card).await?;
        }
        self.tell_shelf().await
    }

    /// Drops what was deleted long enough ago.
    pub(super) async fn purge(&mut self) -> Result<(), StorageTrouble> {
        let now = js_sys::Date::now();
        let old = |card: &ModelCard| card.deleted.is_some_and(|deleted| now - deleted >= UNDO_MS || deleted > now);
        let cards = self.cards().await?.0;
        let keys = cards.into_iter().filter(old).map(|card| card.id.0.to_string());
        let rooms = [Room::Cards, Room::Models, Room::Histories];
        let drop = keys.flat_map(|key| rooms.map(|room| Change::Delete(room, key.clone()))).collect::<Vec<_>>();
        if !drop.is_empty() {
            self.database().await?.write(drop).await?;
        }
        self.tell_shelf().await
    }
}

/// Bytes used, bytes that may be used, and whether they stay: as far as the browser says.
async fn room() -> (Option<f64>, Option<f64>, bool) {
    async fn ask(what: &str) -> Option<JsValue> {
        let storage = field(&field(&js_sys::global(), "navigator"), "storage");
        let ask: Function = field(&storage, what).dyn_into().ok()?;
        let asked: Promise = ask.call0(&storage).ok()?.dyn_into().ok()?;
        JsFuture::from(asked).await.ok()
    }
    let estimate = ask("estimate").await.unwrap_or_default();
    let persisted = ask("persisted").await.is_some_and(|persisted| persisted.is_truthy());
    (field(&estimate, "usage").as_f64(), field(&estimate, "quota").as_f64(), persisted)
}
