//! Things brought into an order, as indices. What the page sorts goes through here: each type of its own that is sorted
//! would bring the whole of the library's sorting into its binary once more.

use std::cmp::Ordering;

/// The indices `0..count` in the order that `compare` says; equal ones stay as they are.
pub fn ranking(count: usize, compare: impl Fn(usize, usize) -> Ordering) -> Vec<usize> {
    fn rank(count: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
        let mut indices: Vec<usize> = (0..count).collect();
        indices.sort_by(|a, b| compare(*a, *b));
        indices
    }
    rank(count, &compare)
}

/// The value in the middle, or of an even number the larger one of the two; `None` of none.
pub fn median(values: &[f32]) -> Option<f32> {
    let order = ranking(values.len(), |a, b| values[a].total_cmp(&values[b]));
    order.get(values.len() / 2).map(|at| values[*at])
}
