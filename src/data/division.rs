//! Dividing a set, so that each part has of every class what the whole has (stratified). Seeded.

use super::order::{Stream, rng, shuffle};

/// Which images of a set are for what. Each image is in one part only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Division {
    /// To train on, in an order as random as the division: the first of them are a fair sample.
    pub train: Vec<u32>,
    /// To choose the best epoch by.
    pub validation: Vec<u32>,
    /// To measure on.
    pub held_out: Vec<u32>,
}

/// Divides a set with these labels: of each class `validation` and `held_out`, as shares of it, are set aside; a part
/// whose share is not 0 gets at least one image of each class that leaves one to train on.
pub fn divide(labels: &[u8], validation: f64, held_out: f64, seed: u32) -> Division {
    let mut rng = rng(seed, Stream::Division);
    let mut classes = vec![Vec::new(); 256];
    for (index, &label) in (0..).zip(labels) {
        classes[usize::from(label)].push(index);
    }
    let mut division = Division::default();
    for mut of_class in classes {
        shuffle(&mut of_class, &mut rng);
        let whole = of_class.len();
        for (share, part) in [(held_out, &mut division.held_out), (validation, &mut division.validation)] {
            let wanted = (share * whole as f64).round().max(if share > 0.0 { 1.0 } else { 0.0 }) as usize;
            part.extend(of_class.drain(..wanted.min(of_class.len().saturating_sub(1))));
        }
        division.train.extend(of_class);
    }
    shuffle(&mut division.train, &mut rng);
    division.validation.sort_unstable();
    division.held_out.sort_unstable();
    division
}
