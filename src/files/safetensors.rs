//! A trained network as safetensors, by the official crate: plain names, PyTorch's layouts, the configuration in the
//! metadata.

use std::borrow::Cow;
use std::collections::HashMap;

use ::safetensors::{Dtype, SafeTensors, View};
use serde_bytes::ByteBuf;

use super::layout::{self, Part};
use super::{About, FileError, field, json};
use crate::model::{NetworkConfig, SavedModel};

/// The version of the metadata. Another one is refused.
pub const VERSION: &str = "1";
/// The longest header that is read: the largest network that a build makes has one of a few kilobytes.
const MAX_HEADER: u64 = 1 << 20;

struct Tensor {
    part: Part,
    bytes: Vec<u8>,
}

impl View for Tensor {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.part.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

/// Writes a network.
///
/// # Errors
/// A model that is none: a configuration that can't be built, or weights of another one.
pub fn write(model: &SavedModel, about: &About) -> Result<Vec<u8>, FileError> {
    model.check()?;
    let tensors = layout::tensors(&model.network, &model.weights)?;
    let tensors = tensors.into_iter().map(|(part, bytes)| (part.name.clone(), Tensor { part, bytes }));
    ::safetensors::serialize(tensors, Some(metadata(model, about)))
        .map_err(|error| FileError::Header(error.to_string()))
}

/// What goes into the metadata of both formats of a network: text by name.
pub(super) fn metadata(model: &SavedModel, about: &About) -> HashMap<String, String> {
    let json = |value: Result<String, serde_json::Error>| value.expect("plain data becomes JSON");
    let mut metadata = HashMap::from([
        // What PyTorch's own writer says of itself; some readers ask for it.
        ("format".to_owned(), "pt".to_owned()),
        ("kiln".into(), VERSION.into()),
        ("kiln.network".into(), json(serde_json::to_string(&model.network))),
        ("kiln.classes".into(), json(serde_json::to_string(&model.classes))),
        ("kiln.build".into(), env!("CARGO_PKG_VERSION").into()),
    ]);
    if !model.left_out.is_empty() {
        metadata.insert("kiln.left_out".into(), json(serde_json::to_string(&model.left_out)));
    }
    if !about.name.is_empty() {
        metadata.insert("kiln.name".into(), about.name.clone());
    }
    if !about.data.is_empty() {
        metadata.insert("kiln.data".into(), about.data.clone());
        metadata.insert("kiln.synthetic".into(), about.synthetic.to_string());
    }
    if let Some(validation) = &about.validation {
        metadata.insert("kiln.validation".into(), json(serde_json::to_string(validation)));
    }
    if let Some(test) = &about.test {
        metadata.insert("kiln.test".into(), json(serde_json::to_string(test)));
    }
    metadata
}

/// Reads a network that Kiln wrote, or that somebody wrote in its way.
///
/// # Errors
/// Which tensor or field is wrong, and how.
pub fn read(bytes: &[u8]) -> Result<(SavedModel, About), FileError> {
    let header = bytes.first_chunk::<8>().map(|length| u64::from_le_bytes(*length));
    let header = header.ok_or_else(|| FileError::Header(format!("{} bytes are no file", bytes.len())))?;
    if header > MAX_HEADER || header + 8 > bytes.len() as u64 {
        return Err(FileError::Header(format!("{header} bytes long, in a file of {}", bytes.len())));
    }
    let file = SafeTensors::deserialize(bytes).map_err(|error| FileError::Header(error.to_string()))?;
    // The crate keeps the metadata to itself once the file is open.
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| FileError::Header(error.to_string()))?;
    let empty = HashMap::new();
    let metadata = Metadata(header.metadata().as_ref().unwrap_or(&empty));
    match metadata.get("kiln")? {
        VERSION => {}
        other => {
            return Err(field("kiln", format!("version {} is not known; this build reads {VERSION}", short(other))));
        }
    }
    let network: NetworkConfig = json::read("kiln.network", metadata.get("kiln.network")?.as_bytes())?;
    let classes: Vec<String> = json::read("kiln.classes", metadata.get("kiln.classes")?.as_bytes())?;
    let parts = layout::parts(&network)?;
    if let Some(name) = file.names().into_iter().find(|name| !parts.iter().any(|part| part.name == **name)) {
        return Err(tensor(&short(name), "the network has no such tensor"));
    }
    // All are looked at before the first is copied.
    let views = parts.iter().map(|part| view(&file, part)).collect::<Result<Vec<_>, _>>()?;
    let mut weights = Vec::with_capacity(views.iter().map(|view| view.len()).sum());
    for (part, data) in parts.iter().zip(views) {
        part.from_torch(data, &mut weights);
    }
    let left_out: Vec<u32> = metadata.optional("kiln.left_out")?.unwrap_or_default();
    if !left_out.is_sorted_by(|a, b| a < b) {
        return Err(field("kiln.left_out", "must rise"));
    }
    let model = SavedModel { network, classes, weights: ByteBuf::from(weights), left_out };
    model.check()?;
    let about = About {
        name: metadata.0.get("kiln.name").cloned().unwrap_or_default(),
        data: metadata.0.get("kiln.data").cloned().unwrap_or_default(),
        synthetic: metadata.0.get("kiln.synthetic").is_some_and(|synthetic| synthetic == "true"),
        validation: metadata.optional("kiln.validation")?,
        test: metadata.optional("kiln.test")?,
    };
    for score in [about.test, about.validation.map(|(_, score)| score)].into_iter().flatten() {
        if score.correct > score.total {
            return Err(field("kiln.test", format!("{} of {} read right", score.correct, score.total)));
        }
    }
    Ok((model, about))
}

struct Metadata<'a>(&'a HashMap<String, String>);

impl Metadata<'_> {
    fn get(&self, name: &str) -> Result<&str, FileError> {
        self.0.get(name).map(String::as_str).ok_or_else(|| field(name, "missing in the metadata"))
    }

    fn optional<T: serde::de::DeserializeOwned>(&self, name: &str) -> Result<Option<T>, FileError> {
        self.0.get(name).map(|text| json::read(name, text.as_bytes())).transpose()
    }
}

/// A tensor's bytes, if it is what the configuration says.
fn view<'a>(file: &SafeTensors<'a>, part: &Part) -> Result<&'a [u8], FileError> {
    let Ok(view) = file.tensor(&part.name) else { return Err(tensor(&part.name, "missing")) };
    if view.dtype() != Dtype::F32 {
        return Err(tensor(&part.name, format!("holds {}; Kiln reads F32", view.dtype())));
    }
    if view.shape() != part.shape {
        let found = view.shape().iter().take(8).collect::<Vec<_>>();
        return Err(tensor(&part.name, format!("shape {found:?} where the network has {:?}", part.shape)));
    }
    let data = view.data();
    let (values, _) = data.as_chunks::<4>();
    let variance = part.name.ends_with("running_var");
    for (value, index) in values.iter().map(|value| f32::from_le_bytes(*value)).zip(0..) {
        let wrong = if !value.is_finite() { "is no number" } else { "is a negative variance" };
        if !value.is_finite() || (variance && value < 0.0) {
            return Err(tensor(&part.name, format!("value {index} {wrong}")));
        }
    }
    Ok(data)
}

fn tensor(name: &str, what: impl Into<String>) -> FileError {
    FileError::Tensor { name: name.into(), what: what.into() }
}

/// Somebody else's text, cut to what can be shown.
fn short(text: &str) -> String {
    text.chars().take(40).collect()
}
