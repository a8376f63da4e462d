//! Records in the browser's IndexedDB: rooms, keys, values. Knows what a record is and not what it is about.
//!
//! Every change is one transaction, and the browser makes a transaction happen as a whole or not at all: a tab that is
//! closed while one is under way leaves what was there before. Nothing here awaits anything else inside of one.
//!
//! What is read back may be from another build, damaged or forged: each record carries a version, and its size is
//! looked at before it is copied into the engine's memory.

use std::cell::RefCell;
use std::rc::Rc;

use futures_channel::oneshot;
use idb::{ObjectStore, TransactionMode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::{JsCast, JsValue};

use crate::shelf::StorageTrouble;
use crate::web::field;

/// The version of the records that this build writes, and the one that it reads.
const VERSION: u32 = 1;
/// No record that Kiln writes is larger than this, in bytes.
const MAX_RECORD: f64 = 256e6;

/// A kind of record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Unfinished runs, by the name of the worker that keeps them.
    Runs,
    /// What is known of each model.
    Cards,
    /// The models themselves.
    Models,
    /// The measurements of the models' runs.
    Histories,
    /// What the user collected: samples and sets, under whatever key their owner likes.
    Samples,
}

impl Room {
    const ALL: [Room; 5] = [Room::Runs, Room::Cards, Room::Models, Room::Histories, Room::Samples];

    fn name(self) -> &'static str {
        match self {
            Room::Runs => "runs",
            Room::Cards => "cards",
            Room::Models => "models",
            Room::Histories => "histories",
            Room::Samples => "samples",
        }
    }
}

/// A part of a transaction.
pub enum Change {
    /// Writes a record, over an earlier one of the same key.
    Put(Room, String, JsValue),
    /// Drops a record, if it is there.
    Delete(Room, String),
}

impl Change {
    /// Writes `value` under `key`.
    ///
    /// # Errors
    /// A value that has no form in JavaScript.
    pub fn put<T: Serialize>(room: Room, key: impl Into<String>, value: &T) -> Result<Self, StorageTrouble> {
        #[derive(Serialize)]
        struct Record<'a, T> {
            version: u32,
            value: &'a T,
        }
        let record = serde_wasm_bindgen::to_value(&Record { version: VERSION, value });
        Ok(Self::Put(room, key.into(), record.map_err(|error| damaged(error.to_string()))?))
    }
}

/// A connection.
pub struct Database(idb::Database);

impl Database {
    /// Opens Kiln's database, or makes it.
    ///
    /// # Errors
    /// There is none, it is forbidden, or it belongs to a newer build.
    pub async fn open() -> Result<Self, StorageTrouble> {
        Self::named("kiln").await
    }

    /// Opens another one; for tests.
    ///
    /// # Errors
    /// As [`Database::open`].
    pub async fn named(name: &str) -> Result<Self, StorageTrouble> {
        let stores = Room::ALL.map(|room| ObjectStore::builder(room.name()));
        let builder =
            stores.into_iter().fold(idb::Database::builder(name).version(1), |b, store| b.add_object_store(store));
        builder.build().await.map(Self).map_err(trouble)
    }

    /// The record under `key`.
    ///
    /// # Errors
    /// The storage failed, or the record can't be read.
    pub async fn get<T: DeserializeOwned>(&self, room: Room, key: &str) -> Result<Option<T>, StorageTrouble> {
        let transaction = self.0.transaction(&[room.name()], TransactionMode::ReadOnly).map_err(trouble)?;
        let store = transaction.object_store(room.name()).map_err(trouble)?;
        let record = store.get(JsValue::from_str(key)).map_err(trouble)?.await.map_err(trouble)?;
        record.map(|record| decode(&record)).transpose()
    }

    /// The keys of a room's records.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn keys(&self, room: Room) -> Result<Vec<String>, StorageTrouble> {
        let transaction = self.0.transaction(&[room.name()], TransactionMode::ReadOnly).map_err(trouble)?;
        let store = transaction.object_store(room.name()).map_err(trouble)?;
        let keys = store.get_all_keys(None, None).map_err(trouble)?.await.map_err(trouble)?;
        Ok(keys.into_iter().filter_map(|key| key.as_string()).collect())
    }

    /// All records of a room with their keys; each may be unreadable by itself.
    ///
    /// # Errors
    /// The storage failed.
    pub async fn all<T: DeserializeOwned>(
        &self,
        room: Room,
    ) -> Result<Vec<(String, Result<T, StorageTrouble>)>, StorageTrouble> {
        let transaction = self.0.transaction(&[room.name()], TransactionMode::ReadOnly).map_err(trouble)?;
        let store = transaction.object_store(room.name()).map_err(trouble)?;
        // Both are asked for before either is awaited: one moment's keys and records.
        let (keys, records) = (store.get_all_keys(None, None), store.get_all(None, None));
        let keys = keys.map_err(trouble)?.await.map_err(trouble)?;
        let records = records.map_err(trouble)?.await.map_err(trouble)?;
        let keys = keys.into_iter().map(|key| key.as_string().unwrap_or_default());
        Ok(keys.zip(records.iter().map(decode)).collect())
    }

    /// Makes all changes, or none.
    ///
    /// # Errors
    /// The storage is full or failed; everything is as before.
    pub async fn write(&self, changes: Vec<Change>) -> Result<(), StorageTrouble> {
        let mut transaction =
            self.0.transaction(&Room::ALL.map(Room::name), TransactionMode::ReadWrite).map_err(trouble)?;
        let (told, ended) = oneshot::channel();
        let told = Rc::new(RefCell::new(Some(told)));
        let tell = |committed: bool| {
            let told = told.clone();
            move |event: web_sys::Event| {
                let why = event.target().map_or(JsValue::UNDEFINED, |target| field(&target, "error"));
                if let Some(told) = told.borrow_mut().take() {
                    // The receiver waits below.
                    let _ = told.send(if committed { Ok(()) } else { Err(why) });
                }
            }
        };
        transaction.on_complete(tell(true));
        transaction.on_abort(tell(false));
        for change in &changes {
            let done = match change {
                Change::Put(room, key, record) => transaction
                    .object_store(room.name())
                    .and_then(|store| store.put(record, Some(&JsValue::from_str(key))).map(drop)),
                Change::Delete(room, key) => transaction
                    .object_store(room.name())
                    .and_then(|store| store.delete(JsValue::from_str(key)).map(drop)),
            };
            if let Err(error) = done {
                let error = trouble(error);
                // What was asked for before is taken back; it is over when the browser says so, not before.
                if let Ok(_aborted) = transaction.abort() {
                    let _ = ended.await;
                }
                return Err(error);
            }
        }
        match ended.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(why)) => Err(named(&why)),
            Err(_) => Err(StorageTrouble::Forbidden { what: "the transaction ended without a word".into() }),
        }
    }

    /// Writes one record.
    ///
    /// # Errors
    /// As [`Database::write`].
    pub async fn put<T: Serialize>(&self, room: Room, key: &str, value: &T) -> Result<(), StorageTrouble> {
        self.write(vec![Change::put(room, key, value)?]).await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// A record's value, if this build can read it.
fn decode<T: DeserializeOwned>(record: &JsValue) -> Result<T, StorageTrouble> {
    match field(record, "version").as_f64() {
        Some(version) if version == f64::from(VERSION) => {}
        Some(version) => return Err(damaged(format!("version {version}; this build reads {VERSION}"))),
        None => return Err(damaged("no version".into())),
    }
    let value = field(record, "value");
    let size = weigh(&value, 0.0, 0);
    if size > MAX_RECORD {
        return Err(damaged(format!("a record of {size} bytes or more")));
    }
    serde_wasm_bindgen::from_value(value).map_err(|error| damaged(error.to_string()))
}

/// About how many bytes a value takes; stops counting where it is far too large already.
fn weigh(value: &JsValue, so_far: f64, depth: u32) -> f64 {
    if so_far > MAX_RECORD || depth > 16 {
        return f64::INFINITY;
    }
    if let Some(bytes) = value.dyn_ref::<js_sys::Uint8Array>() {
        return so_far + f64::from(bytes.length());
    }
    if let Some(text) = value.dyn_ref::<js_sys::JsString>() {
        return so_far + 3.0 * f64::from(text.length());
    }
    let parts = match (value.dyn_ref::<js_sys::Array>(), value.dyn_ref::<js_sys::Object>()) {
        (Some(array), _) if f64::from(array.length()) * 8.0 > MAX_RECORD => return f64::INFINITY,
        (Some(array), _) => array.clone(),
        (None, Some(object)) => js_sys::Object::values(object),
        (None, None) => return so_far + 8.0,
    };
    parts.iter().fold(so_far, |so_far, part| weigh(&part, so_far, depth + 1))
}

fn damaged(what: String) -> StorageTrouble {
    StorageTrouble::Damaged { what }
}

fn trouble(error: idb::Error) -> StorageTrouble {
    classified(error.to_string())
}

/// The browser's reason for a transaction's end.
fn named(why: &JsValue) -> StorageTrouble {
    let part = |name| field(why, name).as_string().unwrap_or_default();
    classified(format!("{}: {}", part("name"), part("message")))
}

fn classified(what: String) -> StorageTrouble {
    // Full storage has this one name in every browser.
    if what.contains("QuotaExceededError") { StorageTrouble::Full } else { StorageTrouble::Forbidden { what } }
}
