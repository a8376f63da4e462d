//! Files to learn from: pictures, which go on the pad to be labelled, collections, and sets in IDX files.

use wasm_bindgen::JsCast;
use wasm_bindgen_futures::{JsFuture, spawn_local};
use web_sys::{CanvasRenderingContext2d, File, HtmlCanvasElement, ImageBitmap};

use super::Page;
use super::browser::{document, window};
use super::state::Action;
use super::state::digits::{Act, Refused};
use super::state::finetune::Act::ImportSet;
use crate::data::PIXELS;
use crate::data::drawing::normalize;
use crate::data::picture::{MAX_SIDE, ink};
use crate::data::set::SetFile;
use crate::training::collection::{Collection, CollectionError, MAX_FILE};
use crate::web::WebError;

/// The largest IDX file that is read.
const MAX_IDX: f64 = 128e6;

/// Takes in files that were chosen or dropped together. What a file is, its first bytes say; a picture is what the
/// browser takes for one.
pub fn open(page: Page, files: Vec<File>) {
    spawn_local(async move {
        let (mut pictures, mut set) = (Vec::new(), Vec::new());
        for file in files {
            if is_idx(&file).await && file.size() <= MAX_IDX {
                set.push(file);
                continue;
            }
            let act = if file.type_().starts_with("image/") {
                match picture(&file).await {
                    Ok(Some(picture)) => {
                        pictures.push(picture);
                        continue;
                    }
                    Ok(None) | Err(_) => Act::Refuse(Refused::Picture(file.name())),
                }
            } else {
                match collection(&file).await {
                    Ok(read) => Act::Import(Box::new(read)),
                    Err(error) => Act::Refuse(Refused::File(error)),
                }
            };
            page.act(Action::Digits(act));
        }
        if !pictures.is_empty() {
            page.act(Action::Digits(Act::Pictures(pictures)));
        }
        if !set.is_empty() {
            let name = set_name(set.iter().map(File::name));
            let mut files = Vec::new();
            for file in set {
                if let Ok(bytes) = bytes(&file).await {
                    files.push(SetFile { name: file.name(), bytes: bytes.into() });
                }
            }
            page.tune(ImportSet { name, files });
        }
    });
}

async fn bytes(file: &File) -> Result<Vec<u8>, WebError> {
    Ok(js_sys::Uint8Array::new(&JsFuture::from(file.array_buffer()).await?).to_vec())
}

/// Whether a file begins as IDX does, or as gzip.
async fn is_idx(file: &File) -> bool {
    let Ok(head) = file.slice_with_i32_and_i32(0, 4) else { return false };
    let Ok(head) = JsFuture::from(head.array_buffer()).await else { return false };
    matches!(js_sys::Uint8Array::new(&head).to_vec()[..], [0x1f, 0x8b, ..] | [0, 0, 8, 1 | 3])
}

/// What a set's files have in common in their names; most of them are called like MNIST's own, whatever is in them.
fn set_name(names: impl Iterator<Item = String>) -> String {
    const PARTS: [&str; 12] =
        ["train", "t10k", "test", "images", "labels", "image", "label", "idx3", "idx1", "ubyte", "gz", "imgs"];
    let own = |name: String| {
        let words = name.split(['-', '_', '.']).filter(|word| !PARTS.contains(word)).map(str::to_owned);
        words.collect::<Vec<_>>().join(" ")
    };
    names.map(own).find(|name| !name.is_empty()).unwrap_or_else(|| "IDX set".into())
}

async fn collection(file: &File) -> Result<Collection, CollectionError> {
    // Nothing is read of a file that is too long.
    if file.size() > MAX_FILE as f64 {
        return Err(CollectionError::TooLong(file.size() as usize));
    }
    // One that can't be read is as good as one with nothing in it.
    Collection::from_csv(&bytes(file).await.unwrap_or_default())
}

/// A picture's ink in 28×28; `None` if there is none.
async fn picture(file: &File) -> Result<Option<Box<[u8; PIXELS]>>, WebError> {
    let bitmap = JsFuture::from(window().create_image_bitmap_with_blob(file)?).await?;
    let bitmap: ImageBitmap = bitmap.unchecked_into();
    let (width, height) = (f64::from(bitmap.width()), f64::from(bitmap.height()));
    let scale = (MAX_SIDE as f64 / width.max(height)).min(1.0);
    let (width, height) = ((width * scale).round().max(1.0), (height * scale).round().max(1.0));
    let canvas: HtmlCanvasElement = document().create_element("canvas")?.unchecked_into();
    canvas.set_width(width as u32);
    canvas.set_height(height as u32);
    let context = canvas.get_context("2d")?.ok_or_else(|| WebError("no canvas".into()))?;
    let context: CanvasRenderingContext2d = context.unchecked_into();
    context.draw_image_with_image_bitmap_and_dw_and_dh(&bitmap, 0.0, 0.0, width, height)?;
    bitmap.close();
    let rgba = context.get_image_data(0.0, 0.0, width, height)?.data().0;
    let found = ink(&rgba, width as usize, height as usize).and_then(|ink| normalize(&ink));
    Ok(found.map(|stages| Box::new(stages.centred)))
}
