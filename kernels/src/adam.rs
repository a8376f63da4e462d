//! Adam (Kingma & Ba 2014, arXiv:1412.6980, with the factors of section 2's last paragraph) in one pass over the
//! parameters: four arrays are read, one is made and two change in place, instead of a dozen operations with an array
//! each. The order of operations is burn's, so that the result is burn's, bit for bit.

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

impl Adam {
    /// What the first moment is multiplied by, and what is added to the second one's root: the moments begin at zero, and
    /// this makes up for it.
    pub fn corrected(&self) -> (f32, f32) {
        let correction = (1.0 - self.beta_2.powi(self.time)).sqrt();
        (correction / (1.0 - self.beta_1.powi(self.time)), self.epsilon * correction)
    }

    /// One step: the new values. `moments` are the first and second ones, zeros before the first step; what becomes of
    /// them is written over them.
    ///
    /// # Panics
    /// If the arrays differ in length.
    pub fn step(&self, values: &[f32], gradients: &[f32], moments: &mut [Vec<f32>; 2]) -> Vec<f32> {
        let len = values.len();
        let [first, second] = moments;
        assert!([gradients.len(), first.len(), second.len()] == [len; 3], "a gradient and two moments for each value");
        let (factor, epsilon) = self.corrected();
        // Four at a time, by hand: of five arrays the compiler does not see that none lies in another.
        let one = |[value, gradient, first, second]: [F4; 4]| {
            let scaled = |numbers: F4, factor: f32| numbers * F4::splat(factor);
            let gradient = if self.penalty != 0.0 { scaled(value, self.penalty) + gradient } else { gradient };
            let first = scaled(first, self.beta_1) + scaled(gradient, 1.0 - self.beta_1);
            let second = scaled(second, self.beta_2) + scaled(gradient * gradient, 1.0 - self.beta_2);
            let change = scaled(first, factor) / (second.sqrt() + F4::splat(epsilon));
            [value - scaled(change, self.learning_rate), first, second]
        };
        let mut made = Vec::with_capacity(len);
        let fours = len - len % 4;
        for at in (0..fours).step_by(4) {
            // SAFETY: four floats from `at` on lie in each array, and have room in what is made.
            unsafe {
                let read = [values.as_ptr(), gradients.as_ptr(), first.as_ptr(), second.as_ptr()];
                let written = [made.as_mut_ptr(), first.as_mut_ptr(), second.as_mut_ptr()];
                for (to, four) in written.into_iter().zip(one(read.map(|from| F4::load(from.add(at))))) {
                    four.store(to.add(at));
                }
            }
        }
        // SAFETY: so many were just written.
        unsafe { made.set_len(fours) };
        for at in fours..len {
            let read = [values[at], gradients[at], first[at], second[at]];
            let [value, one_first, one_second] = one(read.map(F4::splat)).map(|four| four.to_array()[0]);
            made.push(value);
            (first[at], second[at]) = (one_first, one_second);
        }
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_steps_move_by_the_learning_rate_against_the_gradient() {
        let rule = Adam { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8, time: 1, learning_rate: 0.01, penalty: 0.0 };
        let mut moments = [vec![0.0; 3], vec![0.0; 3]];
        let values = rule.step(&[1.0, 1.0, 1.0], &[5.0, -0.1, 0.0], &mut moments);
        for (value, expected) in values.iter().zip([0.99, 1.01, 1.0]) {
            assert!((value - expected).abs() < 1e-5, "{value} {expected}");
        }
        let again = Adam { time: 2, ..rule }.step(&values, &[5.0, -0.1, 0.0], &mut moments);
        for (value, expected) in again.iter().zip([0.98, 1.02, 1.0]) {
            assert!((value - expected).abs() < 1e-5, "{value} {expected}");
        }
    }
}
