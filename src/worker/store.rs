//! Shards kept in the browser's Cache Storage. A cache that is missing, full or forbidden costs a download, nothing
//! else; what comes out of it is checked like what comes from the network.

use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Cache, CacheStorage, Response};

use crate::web::{WebError, field};

/// The cache's name; raised when the shards' format changes.
const NAME: &str = "kiln-data-1";

/// Files by URL.
pub struct Store(Option<Cache>);

impl Store {
    /// Opens it, or stands for an empty one where there is none.
    pub async fn open() -> Self {
        Self(Self::try_open().await.ok())
    }

    async fn try_open() -> Result<Cache, WebError> {
        let caches: CacheStorage =
            field(&js_sys::global(), "caches").dyn_into().map_err(|_| WebError("no Cache Storage".into()))?;
        Ok(JsFuture::from(caches.open(NAME)).await?.unchecked_into())
    }

    /// The file kept under `url`.
    pub async fn get(&self, url: &str) -> Option<Vec<u8>> {
        let cache = self.0.as_ref()?;
        let response: Response = JsFuture::from(cache.match_with_str(url)).await.ok()?.dyn_into().ok()?;
        let buffer = JsFuture::from(response.array_buffer().ok()?).await.ok()?;
        Some(js_sys::Uint8Array::new(&buffer).to_vec())
    }

    /// Whether a file is kept under `url`.
    pub async fn has(&self, url: &str) -> bool {
        let Some(cache) = &self.0 else { return false };
        JsFuture::from(cache.match_with_str(url)).await.is_ok_and(|found| !found.is_undefined())
    }

    /// Keeps a file.
    ///
    /// # Errors
    /// The browser's storage is full or forbidden.
    pub async fn put(&self, url: &str, bytes: &[u8]) -> Result<(), WebError> {
        let Some(cache) = &self.0 else { return Ok(()) };
        let body = js_sys::Uint8Array::from(bytes);
        let response = Response::new_with_opt_buffer_source(Some(&body))?;
        JsFuture::from(cache.put_with_str(url, &response)).await?;
        Ok(())
    }

    /// Drops one file.
    pub async fn remove(&self, url: &str) {
        if let Some(cache) = &self.0 {
            // One that can't be dropped is found damaged again and fetched again.
            drop(JsFuture::from(cache.delete_with_str(url)).await);
        }
    }

    /// Drops every file that `keep` does not name.
    pub async fn retain(&self, keep: &[String]) {
        let Some(cache) = &self.0 else { return };
        let Ok(keys) = JsFuture::from(cache.keys()).await else { return };
        for key in js_sys::Array::from(&keys).iter() {
            let url = field(&key, "url").as_string();
            if let Some(url) = url.filter(|url| !keep.contains(url)) {
                self.remove(&url).await;
            }
        }
    }
}
