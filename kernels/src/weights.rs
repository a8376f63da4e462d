//! A layer's weights: as they are, and packed as the kernels want them. What is packed is kept, so whoever keeps this as
//! long as the weights are the same packs them once, however many slices of a batch he has.

use std::ops::Deref;
use std::sync::OnceLock;

use crate::aligned::Aligned;

/// A layer's weights: of a convolution `[output][input][3][3]`, of a dense layer `[input][output]`.
#[derive(Debug)]
pub struct Weights {
    inputs: usize,
    outputs: usize,
    values: Vec<f32>,
    /// For [`crate::winograd`].
    pub(crate) winograd: OnceLock<Aligned>,
    /// For [`crate::thin`].
    pub(crate) thin: OnceLock<Aligned>,
    /// For the input's gradient through a pool ([`crate::sparse`]).
    pub(crate) gathered: OnceLock<Aligned>,
    /// Summed directly ([`crate::dense`]), forward and for the input's gradient.
    pub(crate) forward: OnceLock<Aligned>,
    pub(crate) backward: OnceLock<Aligned>,
}

impl Weights {
    /// Copies a layer's weights.
    pub fn new(inputs: usize, outputs: usize, values: &[f32]) -> Self {
        Self {
            inputs,
            outputs,
            values: values.to_vec(),
            winograd: OnceLock::new(),
            thin: OnceLock::new(),
            gathered: OnceLock::new(),
            forward: OnceLock::new(),
            backward: OnceLock::new(),
        }
    }

    /// Asserts that it is a layer of so many inputs and outputs, and so many taps: what is packed is of its shape then.
    pub(crate) fn check(&self, inputs: usize, outputs: usize, taps: usize) {
        let fits = self.inputs == inputs && self.outputs == outputs && self.values.len() == inputs * outputs * taps;
        assert!(fits, "the weights are of another shape");
    }
}

impl Deref for Weights {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values
    }
}
