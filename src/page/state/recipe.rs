//! The recipe beyond its values: whether it can be run, and the preview of its augmentation.

use super::{PageState, Request};
use crate::data::PIXELS;
use crate::data::augment::Augmentation;
use crate::model::{NetworkError, summarize};
use crate::protocol::Command;

/// Digits as an augmentation changes them. One request is under way at most; what is asked for meanwhile waits, so
/// that a slider can't flood a busy engine.
#[derive(Debug, Clone, Default)]
pub struct Preview {
    wanted: Option<(Augmentation, u32)>,
    /// Whether what is wanted was asked for.
    sent: bool,
    asked: u32,
    answered: u32,
    pixels: Vec<u8>,
}

impl Preview {
    /// The changed digits; none before the first answer.
    pub fn images(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.pixels.chunks_exact(PIXELS)
    }

    /// Whether something else is wanted than what is shown.
    pub fn is_waiting(&self) -> bool {
        self.wanted.is_some() && (!self.sent || self.asked != self.answered)
    }

    /// Another answer has a higher number; 0 before the first.
    pub fn answered(&self) -> u32 {
        if self.pixels.is_empty() { 0 } else { self.answered }
    }
}

impl PageState {
    /// Why the recipe's network can't be built, if it can't.
    pub fn network_error(&self) -> Option<NetworkError> {
        summarize(&self.settings.network).err()
    }

    /// Asks to see an augmentation with a seed's luck; `None`: nobody looks any more.
    pub(super) fn preview(&mut self, wanted: Option<(Augmentation, u32)>) -> Vec<Request> {
        if self.preview.wanted != wanted {
            self.preview.wanted = wanted;
            self.preview.sent = false;
        }
        self.ask_preview()
    }

    /// An engine that is new was not asked for anything.
    pub(super) fn preview_anew(&mut self) -> Vec<Request> {
        self.preview.sent = false;
        self.preview.answered = self.preview.asked;
        self.ask_preview()
    }

    pub(super) fn previewed(&mut self, id: u32, pixels: Vec<u8>) -> Vec<Request> {
        if id != self.preview.asked {
            return Vec::new();
        }
        self.preview.answered = id;
        self.preview.pixels = pixels;
        self.ask_preview()
    }

    fn ask_preview(&mut self) -> Vec<Request> {
        let preview = &mut self.preview;
        let (Some((augmentation, seed)), Some(_)) = (preview.wanted, &self.device) else { return Vec::new() };
        if preview.sent || preview.asked != preview.answered {
            return Vec::new();
        }
        preview.sent = true;
        preview.asked += 1;
        vec![Request::Send(Command::PreviewAugmentation { id: preview.asked, augmentation, seed })]
    }
}
