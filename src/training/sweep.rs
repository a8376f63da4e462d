//! Tuning: many short runs over other settings, judged by their validation alone. The test set is never looked at.
