//! Where the kernels keep what they load vectors from: numbers that begin with a line of the cache. The allocator of
//! WebAssembly promises eight bytes, and a vector that lies across two lines costs two loads. Measured: without this
//! all layers of the article take 1 to 7 % longer, depending on where the allocator puts them.

use std::ops::{Deref, DerefMut};

/// Bytes of a line of the cache.
const LINE: usize = 64;

/// So many floats, the first of them at the beginning of a line.
#[derive(Debug)]
pub(crate) struct Aligned {
    data: Vec<f32>,
    start: usize,
}

impl Aligned {
    /// Zeros.
    pub fn zeros(len: usize) -> Self {
        Self::build(len, |data| data.resize(data.len() + len, 0.0))
    }

    /// What `push` pushes: so many.
    pub fn build(len: usize, push: impl FnOnce(&mut Vec<f32>)) -> Self {
        let mut data: Vec<f32> = Vec::with_capacity(len + LINE / 4);
        // A vector of floats never lies so that none of the first sixteen begins a line.
        let start = data.as_ptr().align_offset(LINE).min(LINE / 4);
        data.resize(start, 0.0);
        push(&mut data);
        assert_eq!(data.len(), start + len, "as many as were announced, so that they lie where they were to lie");
        Self { data, start }
    }
}

impl Deref for Aligned {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.data[self.start..]
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.data[self.start..]
    }
}
