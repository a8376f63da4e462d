//! JSON whose errors name the field. serde_json tells the place in the text; the path to it is found by reading the
//! text up to there. Nothing is built of the text but the value itself.

use serde::de::DeserializeOwned;

use super::{FileError, field};

/// The longest part of a key that is shown.
const MAX_KEY: usize = 40;
/// The longest that an error may be: it may quote the text.
const MAX_WORDS: usize = 200;

/// Reads a value.
///
/// # Errors
/// The field that is wrong, by its path from `root`.
pub fn read<T: DeserializeOwned>(root: &str, text: &[u8]) -> Result<T, FileError> {
    serde_json::from_slice(text).map_err(|error| {
        let path = path(text, offset(text, error.line(), error.column()));
        let name = match (root, path.as_str()) {
            ("", "") => "the file itself".to_owned(),
            (root, "") => root.to_owned(),
            ("", path) => path.trim_start_matches('.').to_owned(),
            (root, path) => format!("{root}{path}"),
        };
        // The place is no help to anybody who does not read the file.
        let what = error.to_string();
        let what = what.rsplit_once(" at line ").map_or(&*what, |(what, _)| what);
        field(name, what.chars().take(MAX_WORDS).collect::<String>())
    })
}

/// Where a line and column (both from 1) lie in a text.
fn offset(text: &[u8], line: usize, column: usize) -> usize {
    let start = match line.checked_sub(2) {
        Some(breaks) => {
            text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(breaks).map_or(0, |(at, _)| at + 1)
        }
        None => 0,
    };
    (start + column).min(text.len())
}

/// The path of the value that `end` lies in or behind, such as `.config.dense[1]`.
fn path(text: &[u8], end: usize) -> String {
    /// An object with its latest key, or a list with the index of its present item.
    enum Open {
        Object(String),
        List(usize),
    }
    let mut open: Vec<Open> = Vec::new();
    let mut at = 0;
    while at < end {
        match text[at] {
            b'{' => open.push(Open::Object(String::new())),
            b'[' => open.push(Open::List(0)),
            b'}' | b']' => {
                // An error about a whole object or list is found at its end, and belongs to it.
                if at + 1 >= end {
                    break;
                }
                open.pop();
            }
            b',' => match open.last_mut() {
                Some(Open::List(index)) => *index += 1,
                Some(Open::Object(key)) => key.clear(),
                None => {}
            },
            b'"' => {
                let start = at + 1;
                at = start;
                while at < text.len() && text[at] != b'"' {
                    at += if text[at] == b'\\' { 2 } else { 1 };
                }
                if let Some(Open::Object(key)) = open.last_mut()
                    && key.is_empty()
                {
                    let shown = &text[start..at.min(text.len()).min(start + MAX_KEY)];
                    *key = String::from_utf8_lossy(shown).into_owned();
                }
            }
            _ => {}
        }
        at += 1;
    }
    // The last brace closed what the error is about: what is missing in an object is its own fault.
    if text.get(end.wrapping_sub(1)).is_some_and(|byte| matches!(byte, b'}' | b']')) {
        open.pop();
    }
    let mut path = String::new();
    for level in open {
        match level {
            Open::Object(key) if key.is_empty() => {}
            Open::Object(key) => path.extend([".", &key]),
            Open::List(index) => path.push_str(&format!("[{index}]")),
        }
    }
    path
}
