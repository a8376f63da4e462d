//! Adam (Kingma & Ba 2014, arXiv:1412.6980, with the factors of section 2's last paragraph) in one pass over the
//! parameters: four arrays are read and three are made, instead of a dozen operations with an array each. The order of
//! operations is burn's, so that the result is burn's, bit for bit.

use crate::simd::F4;

/// The numbers of a step.
#[derive(Debug, Clone, Copy)]
pub struct Adam {
    /// How much of the first moment stays.
    pub beta_1: f32,
    /// How much of the second moment stays.
    pub beta_2: f32,
    /// Keeps the division finite.
    pub epsilon: f32,
    /// Steps done, this one included.
    pub time: i32,
    /// The size of the step.
    pub learning_rate: f32,
    /// Times the values, added to the gradients (L2 penalty); 0 is off.
    pub penalty: f32,
}

/// What a step makes of some parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Stepped {
    /// Their new values.
    pub values: Vec<f32>,
    /// Their new first and second moments.
    pub moments: [Vec<f32>; 2],
}

impl Adam {
    /// What the first moment is multiplied by, and what is added to the second one's root: the moments begin at zero, and
    /// this makes up for it.
    pub fn corrected(&self) -> (f32, f32) {
        let correction = (1.0 - self.beta_2.powi(self.time)).sqrt();
        (correction / (1.0 - self.beta_1.powi(self.time)), self.epsilon * correction)
    }

    /// One step. `moments` are those of the step before.
    ///
    /// # Panics
    /// If the arrays differ in length.
    pub fn step(&self, values: &[f32], gradients: &[f32], moments: Option<[&[f32]; 2]>) -> Stepped {
        let len = values.len();
        assert_eq!(len, gradients.len(), "a gradient for each value");
        let zeros = if moments.is_none() { vec![0.0; len] } else { Vec::new() };
        let [first, second] = moments.unwrap_or([&zeros, &zeros]);
        assert!(first.len() == len && second.len() == len, "two moments for each value");
        let (factor, epsilon) = self.corrected();
        // Four at a time, by hand: of seven arrays the compiler does not see that none lies in another.
        let one = |[value, gradient, first, second]: [F4; 4]| {
            let scaled = |numbers: F4, factor: f32| numbers * F4::splat(factor);
            let gradient = if self.penalty != 0.0 { scaled(value, self.penalty) + gradient } else { gradient };
            let first = scaled(first, self.beta_1) + scaled(gradient, 1.0 - self.beta_1);
            let second = scaled(second, self.beta_2) + scaled(gradient * gradient, 1.0 - self.beta_2);
            let change = scaled(first, factor) / (second.sqrt() + F4::splat(epsilon));
            [value - scaled(change, self.learning_rate), first, second]
        };
        let read = [values, gradients, first, second];
        let mut made: [Vec<f32>; 3] = core::array::from_fn(|_| Vec::with_capacity(len));
        let fours = len - len % 4;
        for at in (0..fours).step_by(4) {
            // SAFETY: four floats from `at` on lie in each array that is read and have room in each that is made.
            unsafe {
                let four = one(read.map(|from| F4::load(from.as_ptr().add(at))));
                for (made, four) in made.iter_mut().zip(four) {
                    four.store(made.as_mut_ptr().add(at));
                }
            }
        }
        for made in &mut made {
            // SAFETY: so many were just written.
            unsafe { made.set_len(fours) };
        }
        for at in fours..len {
            for (made, one) in made.iter_mut().zip(one(read.map(|from| F4::splat(from[at])))) {
                made.push(one.to_array()[0]);
            }
        }
        let [values, first, second] = made;
        Stepped { values, moments: [first, second] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_steps_move_by_the_learning_rate_against_the_gradient() {
        let rule = Adam { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8, time: 1, learning_rate: 0.01, penalty: 0.0 };
        let stepped = rule.step(&[1.0, 1.0, 1.0], &[5.0, -0.1, 0.0], None);
        for (value, expected) in stepped.values.iter().zip([0.99, 1.01, 1.0]) {
            assert!((value - expected).abs() < 1e-5, "{value} {expected}");
        }
        let [first, second] = &stepped.moments;
        let again = Adam { time: 2, ..rule }.step(&stepped.values, &[5.0, -0.1, 0.0], Some([first, second]));
        for (value, expected) in again.values.iter().zip([0.98, 1.02, 1.0]) {
            assert!((value - expected).abs() < 1e-5, "{value} {expected}");
        }
    }
}
