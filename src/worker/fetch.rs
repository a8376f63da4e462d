//! Fetching the data: the manifest, then one shard after the other, in the order in which a run needs them. Each is
//! checked against its SHA-256 before anybody sees it, whether it comes from the network or from the [`Store`].

use std::cell::Cell;
use std::rc::Rc;

use futures_channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures_util::StreamExt;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{
    AbortSignal, DedicatedWorkerGlobalScope, ReadableStreamDefaultReader, RequestCache, RequestInit, Response,
};

use super::Input;
use super::port::sleep;
use super::store::Store;
use crate::data::manifest::{Manifest, ShardEntry};
use crate::data::shard::{self, ShardError};
use crate::data::{Images, Split};
use crate::protocol::{DataProgress, Event, Failure};
use crate::web::{WebError, field};

/// How often a file is asked for before it counts as missing; the wait grows threefold each time.
const ATTEMPTS: u32 = 3;
/// The first wait, in milliseconds.
const BACK_OFF: i32 = 300;
/// A file that takes longer than this is given up, in milliseconds.
const TIME_LIMIT: u32 = 120_000;
/// A manifest is a few kilobytes.
const MANIFEST_LIMIT: usize = 1 << 20;
/// Progress is told at most this often, in milliseconds.
const TELL_EVERY: f64 = 100.0;

/// Fetches in the background.
pub struct Loader {
    again: UnboundedSender<()>,
}

impl Loader {
    /// Starts fetching what `manifest` (a URL) lists. Images go to `inbox`; progress and failures to `tell`. A `sparing`
    /// one fetches no shard before it is told to, but takes those that are kept.
    pub fn start(
        manifest: String,
        sparing: bool,
        inbox: UnboundedSender<Input>,
        tell: impl Fn(&Event) + 'static,
    ) -> Self {
        let (again, agains) = unbounded();
        spawn_local(async move {
            let (store, tell) = (Store::open().await, Box::new(tell));
            let mut job = Job { url: manifest, sparing, store, inbox, tell, agains, plan: None };
            while let Err(failure) = job.run().await {
                (job.tell)(&Event::Failed { run: None, failure });
                if wait(&mut job.agains).await.is_none() {
                    return;
                }
            }
        });
        Self { again }
    }

    /// Tries again what failed, and fetches what was not to be fetched before. Does nothing while all is well.
    pub fn again(&self) {
        // A loader that has everything no longer listens.
        drop(self.again.unbounded_send(()));
    }
}

/// The next request to try again; older ones, from before the failure, are forgotten.
async fn wait(agains: &mut UnboundedReceiver<()>) -> Option<()> {
    while agains.try_recv().is_ok() {}
    agains.next().await
}

struct Job {
    url: String,
    /// Whether no shard is fetched before somebody asks.
    sparing: bool,
    store: Store,
    inbox: UnboundedSender<Input>,
    tell: Box<dyn Fn(&Event)>,
    agains: UnboundedReceiver<()>,
    plan: Option<Plan>,
}

/// What the manifest lists, and how much of it is here.
struct Plan {
    shards: Vec<ShardEntry>,
    next: usize,
    progress: DataProgress,
}

impl Job {
    async fn run(&mut self) -> Result<(), Failure> {
        if self.plan.is_none() {
            let manifest = self.manifest().await?;
            self.plan = Some(Plan::new(&manifest));
            self.send(Input::Manifest(manifest));
        }
        let plan = self.plan.as_mut().expect("was just made");
        while let Some(entry) = plan.shards.get(plan.next) {
            let url = resolve(&entry.file, &self.url).map_err(|e| missing(entry, e.to_string()))?;
            if self.sparing && !self.store.has(&url).await {
                plan.progress.waits = true;
                (self.tell)(&Event::Data(plan.progress.clone()));
                if wait(&mut self.agains).await.is_none() {
                    return Ok(());
                }
                plan.progress.waits = false;
                self.sparing = false;
            }
            let (images, fetched) = load(entry, &url, &self.store, &plan.progress, &*self.tell).await?;
            plan.progress.bytes += entry.bytes;
            plan.progress.fetched_bytes += fetched;
            plan.progress.shards += 1;
            if entry.split == Split::Train {
                plan.progress.train_images += entry.count;
            }
            let split = entry.split;
            plan.next += 1;
            // The inbox is there as long as the worker.
            drop(self.inbox.unbounded_send(Input::Shard(split, images)));
            (self.tell)(&Event::Data(plan.progress.clone()));
        }
        let mut keep: Vec<String> = plan.shards.iter().filter_map(|s| resolve(&s.file, &self.url).ok()).collect();
        keep.push(self.url.clone());
        self.store.retain(&keep).await;
        Ok(())
    }

    fn send(&self, input: Input) {
        drop(self.inbox.unbounded_send(input));
    }

    /// From the network, or, without one, as it was kept.
    async fn manifest(&self) -> Result<Manifest, Failure> {
        let no_data = |what: String| Failure::NoData { url: self.url.clone(), what };
        let fetched = retry(async |_| fetch(&self.url, MANIFEST_LIMIT, RequestCache::NoCache, |_| {}).await).await;
        let (bytes, fresh) = match fetched {
            Ok(bytes) => (bytes, true),
            Err(error) => match self.store.get(&self.url).await {
                Some(bytes) => (bytes, false),
                None => return Err(no_data(error.to_string())),
            },
        };
        let manifest = Manifest::parse(&bytes).map_err(|error| no_data(error.to_string()))?;
        if fresh {
            keep(&self.store, &self.url, &bytes).await;
        }
        Ok(manifest)
    }
}

impl Plan {
    fn new(manifest: &Manifest) -> Self {
        let mut shards = manifest.shards.clone();
        shards.sort_by_key(|entry| Split::ALL.iter().position(|&split| split == entry.split)); // stable
        // A checked manifest lists at most a few hundred thousand images.
        let images = |split| manifest.images(split) as u32;
        let progress = DataProgress {
            name: manifest.name.clone(),
            synthetic: manifest.synthetic,
            total_bytes: manifest.total_bytes(),
            total_shards: shards.len() as u32,
            total_train_images: images(Split::Train),
            validation_images: images(Split::Validation),
            test_images: images(Split::Test),
            ..DataProgress::default()
        };
        Self { shards, next: 0, progress }
    }
}

/// One shard, and how many bytes of it came over the network.
async fn load(
    entry: &ShardEntry,
    url: &str,
    store: &Store,
    progress: &DataProgress,
    tell: &dyn Fn(&Event),
) -> Result<(Images, u64), Failure> {
    if let Some(bytes) = store.get(url).await {
        match shard::decode(entry, &bytes) {
            Ok(images) => return Ok((images, 0)),
            Err(_) => store.remove(url).await, // kept badly; the network has a good one
        }
    }
    let last = Rc::new(Cell::new(0.0));
    let on_bytes = |bytes: usize| {
        let now = js_sys::Date::now();
        if now - last.get() >= TELL_EVERY {
            last.set(now);
            let bytes = (bytes as u64).min(entry.bytes);
            let mut progress = progress.clone();
            progress.bytes += bytes;
            progress.fetched_bytes += bytes;
            tell(&Event::Data(progress));
        }
    };
    let limit = usize::try_from(entry.bytes).unwrap_or(usize::MAX);
    let (bytes, images) = retry(async |attempt| {
        // The browser's own cache may hold the damaged one: the second time it is asked past it.
        let cache = if attempt == 0 { RequestCache::Default } else { RequestCache::Reload };
        let bytes = fetch(url, limit, cache, on_bytes).await.map_err(|error| missing(entry, error.to_string()))?;
        let images = shard::decode(entry, &bytes).map_err(|error| bad(entry, error))?;
        Ok((bytes, images))
    })
    .await?;
    keep(store, url, &bytes).await;
    Ok((images, entry.bytes))
}

async fn keep(store: &Store, url: &str, bytes: &[u8]) {
    if let Err(error) = store.put(url, bytes).await {
        web_sys::console::warn_1(&format!("{url} is not kept: {error}").into());
    }
}

fn missing(entry: &ShardEntry, what: String) -> Failure {
    Failure::MissingShard { file: entry.file.clone(), what }
}

fn bad(entry: &ShardEntry, error: ShardError) -> Failure {
    let (expected, found) = error.into_expected_and_found();
    Failure::BadShard { file: entry.file.clone(), split: entry.split, expected, found }
}

/// The absolute URL of a file beside the manifest.
fn resolve(file: &str, manifest: &str) -> Result<String, WebError> {
    Ok(web_sys::Url::new_with_base(file, manifest)?.href())
}

/// Tries up to [`ATTEMPTS`] times, with growing waits between; the last error is the one that counts. `action` gets
/// the number of the attempt, from 0.
async fn retry<T, E>(action: impl AsyncFn(u32) -> Result<T, E>) -> Result<T, E> {
    let mut attempt = 0;
    loop {
        match action(attempt).await {
            Err(_) if attempt + 1 < ATTEMPTS => sleep(BACK_OFF * 3i32.pow(attempt)).await,
            ended => return ended,
        }
        attempt += 1;
    }
}

/// The bytes at `url`, told as they arrive. More than `limit` are not read: nobody can make a tab allocate what it
/// did not ask for.
async fn fetch(url: &str, limit: usize, cache: RequestCache, on_bytes: impl Fn(usize)) -> Result<Vec<u8>, WebError> {
    let init = RequestInit::new();
    init.set_cache(cache);
    init.set_signal(Some(&AbortSignal::timeout_with_u32(TIME_LIMIT)));
    let scope: DedicatedWorkerGlobalScope = js_sys::global().unchecked_into();
    let response: Response = JsFuture::from(scope.fetch_with_str_and_init(url, &init)).await?.unchecked_into();
    if !response.ok() {
        return Err(WebError(format!("the server answered {}", response.status())));
    }
    let body = response.body().ok_or_else(|| WebError("the server's answer is empty".into()))?;
    let reader: ReadableStreamDefaultReader = body.get_reader().unchecked_into();
    let mut bytes = Vec::new();
    loop {
        let chunk = JsFuture::from(reader.read()).await?;
        if field(&chunk, "done").is_truthy() {
            return Ok(bytes);
        }
        let value: js_sys::Uint8Array = field(&chunk, "value").unchecked_into();
        if bytes.len() + value.length() as usize > limit {
            drop(reader.cancel());
            return Err(WebError(format!("the file is longer than the {limit} bytes that it should have")));
        }
        let start = bytes.len();
        bytes.resize(start + value.length() as usize, 0);
        value.copy_to(&mut bytes[start..]);
        on_bytes(bytes.len());
    }
}
