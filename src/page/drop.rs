//! Files that come to the page: dropped anywhere on it, or chosen where it asks for one. What a file is, its first
//! bytes say, never its name. [`open`] is the one place where each kind goes its way.
//!
//! Nothing is read of a file but its first bytes until its kind and size are known.

use js_sys::Uint8Array;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{Blob, DragEvent, File, FileList};

use super::Page;
use super::browser::on_window;
use super::state::Action;
use super::state::files::Act;
use crate::protocol::Failure;
use crate::web::WebError;

/// The most bytes that are read of a file.
pub const MAX_BYTES: f64 = 256e6;
/// Bytes that tell what a file is.
const HEAD: f64 = 16.0;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A model (safetensors) or JSON: for the worker to read.
    Kiln,
    /// Something to learn from: an IDX file, as such or packed by gzip, a picture that a browser can draw, or a
    /// collection of digits.
    ToLearn,
    /// Something else.
    Unknown,
}

/// Tells a file by its first bytes.
pub fn kind(head: &[u8]) -> Kind {
    match head {
        [0x1f, 0x8b, ..] | [0, 0, 8, 1 | 3, ..] => Kind::ToLearn,
        [0x89, b'P', b'N', b'G', ..] | [0xff, 0xd8, 0xff, ..] | [b'G', b'I', b'F', b'8', ..] | [b'B', b'M', ..] => {
            Kind::ToLearn
        }
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Kind::ToLearn,
        _ if head.starts_with(b"label,held_out") || head.starts_with(b"class,held_out") => Kind::ToLearn,
        // safetensors: the header's length as a little-endian u64, then its JSON.
        [_, _, _, _, _, _, 0, 0, b'{', ..] => Kind::Kiln,
        _ if head.trim_ascii_start().first() == Some(&b'{') => Kind::Kiln,
        _ => Kind::Unknown,
    }
}

/// Opens files that came together. One that can't be opened is named, and the others are opened all the same.
pub fn open(page: Page, files: FileList) {
    let files: Vec<File> = (0..files.length()).filter_map(|index| files.get(index)).collect();
    spawn_local(async move {
        // What there is to learn from goes together: a set is two files or four.
        let mut to_learn = Vec::new();
        for file in files {
            match read(&file).await {
                Ok(Read::Kiln(bytes)) => {
                    page.act(Action::Files(Act::Import { name: file.name(), bytes: bytes.into() }));
                }
                Ok(Read::ToLearn) => to_learn.push(file),
                Ok(Read::Unknown(what)) | Err(WebError(what)) => {
                    page.act(Action::Files(Act::Refuse(Failure::NotAModel { file: file.name(), what })));
                }
            }
        }
        if !to_learn.is_empty() {
            super::pictures::open(page, to_learn);
        }
    });
}

/// What became of a file.
enum Read {
    /// Its content, for the worker.
    Kiln(Vec<u8>),
    /// Something to learn from, which is read there.
    ToLearn,
    /// What was found instead.
    Unknown(String),
}

async fn read(file: &File) -> Result<Read, WebError> {
    let head = bytes(&file.slice_with_f64_and_f64(0.0, HEAD)?).await?;
    match kind(&head) {
        Kind::ToLearn => Ok(Read::ToLearn),
        Kind::Unknown => Ok(Read::Unknown(found(&head))),
        Kind::Kiln if file.size() > MAX_BYTES => {
            let (size, most) = ((file.size() / 1e6).round(), MAX_BYTES / 1e6);
            Ok(Read::Unknown(format!("{size} MB; at most {most} MB are read")))
        }
        Kind::Kiln => Ok(Read::Kiln(bytes(file).await?)),
    }
}

async fn bytes(blob: &Blob) -> Result<Vec<u8>, WebError> {
    Ok(Uint8Array::new(&JsFuture::from(blob.array_buffer()).await?).to_vec())
}

/// What an unknown file begins with, in words.
fn found(head: &[u8]) -> String {
    if head.is_empty() {
        return "it is empty".into();
    }
    let text = head.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t'));
    if text {
        return format!("it begins with “{}”", String::from_utf8_lossy(head).trim());
    }
    let bytes: Vec<_> = head.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("it begins with the bytes {}", bytes.join(" "))
}

/// Opens what is dropped anywhere on the page; while files hover over it, the document says so to the style.
pub fn listen(page: Page) {
    let has_files =
        |event: &DragEvent| event.data_transfer().is_some_and(|data| data.types().iter().any(|kind| kind == "Files"));
    on_window(leptos::ev::dragover, move |event| {
        if has_files(&event) {
            event.prevent_default();
            mark(true);
        }
    });
    on_window(leptos::ev::dragleave, |event| {
        // Leaving one element for another is no leave.
        if event.related_target().is_none() {
            mark(false);
        }
    });
    on_window(leptos::ev::drop, move |event| {
        if has_files(&event) {
            event.prevent_default();
            mark(false);
            if let Some(files) = event.data_transfer().and_then(|data| data.files()) {
                open(page, files);
            }
        }
    });
}

fn mark(hovering: bool) {
    if let Some(root) = super::browser::document().document_element() {
        let root: web_sys::Element = root.unchecked_into();
        let _ = if hovering { root.set_attribute("data-drop", "") } else { root.remove_attribute("data-drop") };
    }
}
