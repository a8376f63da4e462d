//! The user's own labelled images: what is added, what is held out, and the file that they travel in. Plain data: the
//! page keeps one, and it is tested natively.
//!
//! What is held out is fixed the moment a sample is added and never again: of each six of a class two are. Images of
//! the test set are never held out: a measure of the user's own hand has no place for them.
//!
//! The file is CSV, as MNIST is often passed on: one line for each image, a `label` (0 to 9) or a `class` (a name),
//! then 784 pixels from 0 (paper) to 255 (ink). `held_out` and `origin` may be there; a file without them is taken as
//! image files of which some are held out by the same rule. Format: `docs/data.md`.

use std::fmt::Write;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::finetune::{Origin, Sample};
use crate::data::{CLASSES, PIXELS};

/// Samples of each class that are asked for.
pub const WANTED: usize = 6;
/// The most samples that a collection holds: 3 MB.
pub const MAX_SAMPLES: usize = 4000;
/// The longest file that is read: a full collection fits.
pub const MAX_FILE: usize = 16_000_000;
/// Bounds of the number of classes.
pub const CLASSES_RANGE: std::ops::RangeInclusive<usize> = 2..=20;
/// The longest name of a class, in characters.
pub const MAX_NAME: usize = 16;

/// Labelled images, in the order in which they were added.
#[derive(Debug, Clone, PartialEq)]
pub struct Collection {
    classes: Vec<String>,
    samples: Vec<Sample>,
    next: u32,
}

/// Everything that the user collected, as it is kept from one visit to the next.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct KeptDigits {
    /// Digits.
    pub digits: Vec<Sample>,
    /// Names of the user's own classes.
    pub classes: Vec<String>,
    /// What was drawn of them.
    pub named: Vec<Sample>,
}

/// Why a file is no collection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CollectionError {
    /// Longer than [`MAX_FILE`].
    #[error("{0} bytes; at most {MAX_FILE} are read")]
    TooLong(usize),
    /// Not text.
    #[error("not text: byte {0} is not UTF-8")]
    NotText(usize),
    /// The first line names no label, or another number of pixels.
    #[error("the first line must name a label and {PIXELS} pixels; it names {pixels} pixels")]
    Header {
        /// Columns that can be pixels.
        pixels: usize,
    },
    /// A line with too few or too many values.
    #[error("line {line}: {found} values instead of {expected}")]
    Columns {
        /// From 1.
        line: usize,
        /// As the first line has.
        expected: usize,
        /// In this line.
        found: usize,
    },
    /// A value that can't be.
    #[error("line {line}, {column}: {found:?} can't be")]
    Value {
        /// From 1.
        line: usize,
        /// The column's name.
        column: String,
        /// What stands there, cut short.
        found: String,
    },
    /// Too few or too many classes.
    #[error("{0} classes; 2 to 20 can be told apart")]
    Classes(usize),
    /// More samples than a collection holds.
    #[error("more than {MAX_SAMPLES} images")]
    TooMany,
    /// Nothing in it.
    #[error("no image in it")]
    Empty,
}

/// A collection that is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a collection holds at most {MAX_SAMPLES} images")]
pub struct Full;

impl Default for Collection {
    /// Of the ten digits.
    fn default() -> Self {
        Self::new((0..CLASSES).map(|digit| digit.to_string()).collect())
    }
}

impl Collection {
    /// An empty one for these classes.
    pub fn new(classes: Vec<String>) -> Self {
        Self { classes, samples: Vec::new(), next: 1 }
    }

    /// The classes' names, in the order of the labels.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Whether the classes are the ten digits.
    pub fn is_digits(&self) -> bool {
        self.classes == Self::default().classes
    }

    /// All samples.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// One of them.
    pub fn get(&self, id: u32) -> Option<&Sample> {
        self.samples.iter().find(|sample| sample.id == id)
    }

    /// Those of a class, in the order in which they were added.
    pub fn of(&self, label: u8) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(move |sample| sample.label == label)
    }

    /// Samples of a class that are the user's own, so not from the test set.
    pub fn own(&self, label: u8) -> usize {
        self.of(label).filter(|sample| is_own(sample)).count()
    }

    /// Samples to train on.
    pub fn training(&self) -> usize {
        self.samples.len() - self.held_out()
    }

    /// Samples that are held out.
    pub fn held_out(&self) -> usize {
        self.samples.iter().filter(|sample| sample.held_out).count()
    }

    /// Samples that are still wanted: [`WANTED`] of each class.
    pub fn missing(&self) -> usize {
        self.labels().map(|label| WANTED.saturating_sub(self.own(label))).sum()
    }

    /// The class with the fewest own samples, the first of several; `None` if enough are there.
    pub fn fewest(&self) -> Option<u8> {
        let label = self.labels().min_by_key(|label| self.own(*label))?;
        (self.own(label) < WANTED).then_some(label)
    }

    /// The labels.
    pub fn labels(&self) -> impl Iterator<Item = u8> + use<> {
        0..self.classes.len() as u8
    }

    /// Adds a sample and says which id it got. An image of the test set that is there already is not added again.
    ///
    /// # Errors
    /// No room is left.
    pub fn add(&mut self, label: u8, origin: Origin, pixels: &[u8; PIXELS]) -> Result<u32, Full> {
        let known = self.samples.iter().find(|sample| !is_own(sample) && sample.origin == origin);
        if let Some(known) = known {
            return Ok(known.id);
        }
        let held_out = matches!(origin, Origin::Drawn | Origin::File) && self.holds_out_next(label);
        self.push(label, held_out, origin, pixels)
    }

    /// Whether the next own sample of a class is held out. A class that has had three gets its first one, one that has
    /// had six its second. Where classes are still smaller than that, one of three samples of any class is held out,
    /// so that a few drawings can be measured too.
    fn holds_out_next(&self, label: u8) -> bool {
        let held = |of: &dyn Fn(&&Sample) -> bool| {
            let own = self.samples.iter().filter(|sample| is_own(sample)).filter(|sample| of(sample));
            own.fold((1, 0), |(all, held), sample| (all + 1, held + usize::from(sample.held_out)))
        };
        let (all, held_of_all) = held(&|_| true);
        let (class, held_of_class) = held(&|sample| sample.label == label);
        held_of_class < class / 3 || (held_of_class < class.div_ceil(3) && held_of_all < all / 3)
    }

    fn push(&mut self, label: u8, held_out: bool, origin: Origin, pixels: &[u8; PIXELS]) -> Result<u32, Full> {
        if self.samples.len() >= MAX_SAMPLES {
            return Err(Full);
        }
        let id = self.next;
        self.next += 1;
        self.samples.push(Sample { id, label, held_out, origin, pixels: ByteBuf::from(pixels.to_vec()) });
        Ok(id)
    }

    /// Takes a sample out, and says where it was.
    pub fn remove(&mut self, id: u32) -> Option<(usize, Sample)> {
        let at = self.samples.iter().position(|sample| sample.id == id)?;
        Some((at, self.samples.remove(at)))
    }

    /// Puts a sample back that was taken out.
    pub fn put_back(&mut self, at: usize, sample: Sample) {
        self.samples.insert(at.min(self.samples.len()), sample);
    }

    /// Changes what a sample is, and says what it was. Whether it is held out stays.
    pub fn relabel(&mut self, id: u32, label: u8) -> Option<u8> {
        let known = usize::from(label) < self.classes.len();
        let sample = self.samples.iter_mut().find(|sample| sample.id == id && known)?;
        Some(std::mem::replace(&mut sample.label, label))
    }

    /// Adds a sample as it is, under a new id, if it can be one: it comes from storage.
    pub fn take(&mut self, sample: &Sample) {
        let known = !is_own(sample) && self.samples.iter().any(|known| known.origin == sample.origin);
        let Ok(pixels) = <&[u8; PIXELS]>::try_from(sample.pixels.as_slice()) else { return };
        if usize::from(sample.label) < self.classes.len() && !known {
            // A full collection stays as it is.
            let _ = self.push(sample.label, sample.held_out && is_own(sample), sample.origin, pixels);
        }
    }

    /// Adds what another collection of the same classes holds, held out as it is there.
    ///
    /// # Errors
    /// No room is left for all of it; then nothing is added.
    pub fn merge(&mut self, other: &Collection) -> Result<(), Full> {
        if self.samples.len() + other.samples.len() > MAX_SAMPLES {
            return Err(Full);
        }
        other.samples.iter().for_each(|sample| self.take(sample));
        Ok(())
    }

    /// The collection as a file.
    pub fn to_csv(&self) -> String {
        let mut text = String::with_capacity(64 + self.samples.len() * PIXELS * 2);
        text.push_str(if self.is_digits() { "label" } else { "class" });
        text.push_str(",held_out,origin");
        for pixel in 0..PIXELS {
            let _ = write!(text, ",pixel{pixel}");
        }
        text.push('\n');
        for sample in &self.samples {
            let name = self.classes.get(usize::from(sample.label)).map_or("", String::as_str);
            let _ = write!(text, "{name},{}", u8::from(sample.held_out));
            let _ = match sample.origin {
                Origin::Drawn => write!(text, ",drawn"),
                Origin::File => write!(text, ",file"),
                Origin::Test { index } => write!(text, ",test-{index}"),
            };
            for pixel in sample.pixels.iter() {
                let _ = write!(text, ",{pixel}");
            }
            text.push('\n');
        }
        text
    }

    /// Reads a file that anybody may have written.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub fn from_csv(file: &[u8]) -> Result<Self, CollectionError> {
        if file.len() > MAX_FILE {
            return Err(CollectionError::TooLong(file.len()));
        }
        let text = str::from_utf8(file).map_err(|error| CollectionError::NotText(error.valid_up_to()))?;
        let mut lines =
            text.trim_start_matches('\u{feff}').lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
        let header = lines.next().ok_or(CollectionError::Empty)?.0;
        let columns: Vec<Column> = header.split(',').map(Column::of).collect();
        let pixels = columns.iter().filter(|column| **column == Column::Pixel).count();
        let once = |wanted: Column| columns.iter().filter(|column| **column == wanted).count();
        let names = once(Column::Class) == 1;
        let labelled = once(Column::Class) + once(Column::Label) == 1;
        if pixels != PIXELS || !labelled || once(Column::HeldOut) > 1 || once(Column::Origin) > 1 {
            return Err(CollectionError::Header { pixels });
        }
        let mut collection = if names { Self::new(Vec::new()) } else { Self::default() };
        for (text, line) in lines {
            if collection.samples.len() >= MAX_SAMPLES {
                return Err(CollectionError::TooMany);
            }
            let found = text.split(',').count();
            if found != columns.len() {
                return Err(CollectionError::Columns { line, expected: columns.len(), found });
            }
            collection.read_line(text, line, header, &columns)?;
        }
        if collection.samples.is_empty() {
            return Err(CollectionError::Empty);
        }
        if !CLASSES_RANGE.contains(&collection.classes.len()) {
            return Err(CollectionError::Classes(collection.classes.len()));
        }
        Ok(collection)
    }

    fn read_line(&mut self, text: &str, line: usize, header: &str, columns: &[Column]) -> Result<(), CollectionError> {
        let (mut label, mut held_out, mut origin) = (0, None, Origin::File);
        let (mut pixels, mut at) = ([0; PIXELS], 0);
        for ((value, column), name) in text.split(',').map(unquoted).zip(columns).zip(header.split(',')) {
            let wrong = || {
                let (column, found) = (unquoted(name).to_owned(), value.chars().take(24).collect());
                CollectionError::Value { line, column, found }
            };
            match column {
                Column::Label => {
                    label = value.parse().ok().filter(|label| usize::from(*label) < CLASSES).ok_or_else(wrong)?;
                }
                Column::Class => {
                    let value = class_name(value).ok_or_else(wrong)?;
                    let known = self.classes.iter().position(|class| *class == value);
                    label = known.unwrap_or(self.classes.len()) as u8;
                    if known.is_none() {
                        if self.classes.len() == *CLASSES_RANGE.end() {
                            return Err(CollectionError::Classes(self.classes.len() + 1));
                        }
                        self.classes.push(value);
                    }
                }
                Column::HeldOut => {
                    held_out = match value {
                        "0" | "false" => Some(false),
                        "1" | "true" => Some(true),
                        "" => None,
                        _ => return Err(wrong()),
                    };
                }
                Column::Origin => origin = parse_origin(value).ok_or_else(wrong)?,
                Column::Pixel => {
                    pixels[at] = value.parse().map_err(|_| wrong())?;
                    at += 1;
                }
            }
        }
        let added = match held_out {
            // What may have been trained on is never held out, whatever a file says.
            Some(held_out) => self.push(label, held_out && !matches!(origin, Origin::Test { .. }), origin, &pixels),
            None => self.add(label, origin, &pixels),
        };
        added.map(|_| ()).map_err(|Full| CollectionError::TooMany)
    }
}

/// What a column of the file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Label,
    Class,
    HeldOut,
    Origin,
    Pixel,
}

impl Column {
    fn of(name: &str) -> Self {
        match unquoted(name) {
            "label" => Column::Label,
            "class" => Column::Class,
            "held_out" => Column::HeldOut,
            "origin" => Column::Origin,
            _ => Column::Pixel,
        }
    }
}

fn unquoted(value: &str) -> &str {
    let value = value.trim();
    value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value)
}

fn parse_origin(value: &str) -> Option<Origin> {
    match value {
        "drawn" => Some(Origin::Drawn),
        "file" | "" => Some(Origin::File),
        _ => value.strip_prefix("test-")?.parse().ok().map(|index| Origin::Test { index }),
    }
}

/// Whether a sample is the user's own.
fn is_own(sample: &Sample) -> bool {
    !matches!(sample.origin, Origin::Test { .. })
}

/// A class's name, if it can be one: short, and without what would break a line of the file.
pub fn class_name(name: &str) -> Option<String> {
    let name = name.trim();
    let fits = (1..=MAX_NAME).contains(&name.chars().count());
    let plain = name.chars().all(|letter| !letter.is_control() && !matches!(letter, ',' | '"'));
    (fits && plain).then(|| name.to_owned())
}
