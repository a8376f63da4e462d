//! Who computes the slices of a step: the worker that trains, and helpers beside it. How many is chosen by measuring,
//! and changes nothing but the time: see [`super::slice`].

use std::collections::VecDeque;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use super::slice::{Job, Part};
use crate::data::Images;

/// What a helper answers in the end, or `None` if it died.
pub type Answer = Pin<Box<dyn Future<Output = Option<Done>>>>;

/// What a helper has done.
#[derive(Debug, Clone)]
pub struct Done {
    /// Its slices in their order, those added up that belong together ([`super::slice::add`]).
    pub parts: Vec<Part>,
    /// How long it computed, by its own clock.
    pub took: Duration,
}

/// Slices of a step for a helper. It needs nothing else and remembers nothing, so one that dies costs its answer.
#[derive(Debug, Clone)]
pub struct Work {
    /// What is the same for all slices.
    pub job: Job,
    /// The network's values, in the order of [`crate::model::Network::parts`].
    pub weights: Rc<Vec<f32>>,
    /// The first slice's index.
    pub first: u32,
    /// The images of each slice.
    pub slices: Vec<Images>,
}

/// Helpers.
pub trait Crew {
    /// How many live now.
    fn len(&self) -> usize;

    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Has helper `index` compute at once.
    fn compute(&mut self, index: usize, work: Work) -> Answer;
}

/// No helpers.
pub struct Alone;

impl Crew for Alone {
    fn len(&self) -> usize {
        0
    }

    fn compute(&mut self, _: usize, _: Work) -> Answer {
        Box::pin(async { None })
    }
}

/// Steps that a count of workers is measured over.
const MEASURED: u32 = 4;
/// Steps before that: a helper's first ones are slow, for its code is compiled meanwhile.
const UNMEASURED: u32 = 6;
/// The steps by which a worker's pace is judged.
const LATEST: usize = 5;

/// A crew, and how many of it are put to work.
pub struct Team {
    crew: Box<dyn Crew>,
    /// The user's own choice of workers.
    asked: Option<usize>,
    /// How many it was told that work.
    told: usize,
    /// Steps done since the last change of what there is to choose from.
    steps: u32,
    /// The choices, each with its best time for a step.
    times: Vec<(usize, Duration)>,
    /// Of each who has computed anything: first the one that trains.
    paces: Vec<Pace>,
}

/// How fast one computes: seconds for an image in the last steps, the oldest first.
#[derive(Debug, Clone, Default)]
struct Pace(VecDeque<f64>);

impl Pace {
    fn add(&mut self, latest: f64) {
        if self.0.len() == LATEST {
            self.0.pop_front();
        }
        self.0.push_back(latest);
    }

    /// The median, so that being held up now and then counts for nothing.
    fn usual(&self) -> Option<f64> {
        let mut sorted: Vec<f64> = self.0.iter().copied().collect();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted.get(sorted.len().checked_sub(1)? / 2).copied()
    }
}

impl Team {
    /// A team of whoever is in the crew. Members may come and go later.
    pub fn new(crew: impl Crew + 'static) -> Self {
        Self { crew: Box::new(crew), asked: None, told: 0, steps: 0, times: Vec::new(), paces: Vec::new() }
    }

    /// The user's own choice of workers, at least 1, as far as they are there; `None` leaves it to measuring.
    pub fn ask_for(&mut self, workers: Option<usize>) {
        self.asked = workers;
    }

    /// Helpers.
    pub fn crew(&mut self) -> &mut dyn Crew {
        &mut *self.crew
    }

    /// How many work on the next step of so many slices, the one that trains included.
    pub fn workers(&mut self, slices: usize) -> usize {
        let most = slices.min(self.crew.len() + 1);
        if let Some(asked) = self.asked {
            return asked.clamp(1, most);
        }
        // What does not shorten the longest share is no choice, but for all there are: some may be slow.
        let is_shorter = |n: usize| n == 1 || slices.div_ceil(n) < slices.div_ceil(n - 1);
        let choices: Vec<usize> = (1..=most).filter(|&n| is_shorter(n) || n == most).collect();
        if !self.times.iter().map(|(workers, _)| workers).eq(&choices) {
            self.times = choices.iter().map(|&workers| (workers, Duration::MAX)).collect();
            self.steps = 0;
        }
        match self.steps.checked_sub(UNMEASURED).map(|step| self.times.get((step / MEASURED) as usize)) {
            None => *choices.last().unwrap_or(&1),
            Some(Some((workers, _))) => *workers,
            Some(None) => self.fastest().unwrap_or(1),
        }
    }

    /// So many slices dealt out to so many workers, so that all are done at about the same time: each one's, one after the
    /// other, first those of the one that trains. A processor that also draws the page, or that others use, gets fewer.
    pub fn shares(&self, slices: usize, workers: usize) -> Vec<Range<usize>> {
        let paces: Vec<_> = (0..workers).map(|worker| self.paces.get(worker).and_then(Pace::usual)).collect();
        let known = || paces.iter().flatten();
        let usual = if known().count() == 0 { 1.0 } else { known().sum::<f64>() / known().count() as f64 };
        // One at least, or it would never be known that a slow one is no longer slow.
        let mut counts = vec![1; workers];
        for _ in workers..slices {
            let end = |worker: usize| (counts[worker] + 1) as f64 * paces[worker].unwrap_or(usual);
            if let Some(soonest) = (0..workers).min_by(|&a, &b| end(a).total_cmp(&end(b))) {
                counts[soonest] += 1;
            }
        }
        let next = |end: &mut usize, count: usize| {
            *end += count;
            Some(*end - count..*end)
        };
        counts.into_iter().scan(0, next).collect()
    }

    /// A worker, 0 is the one that trains, computed slices of so many images together in that time.
    pub fn computed(&mut self, worker: usize, images: usize, time: Duration) {
        // A coarse clock may see no time pass.
        if images == 0 || time.is_zero() {
            return;
        }
        if self.paces.len() <= worker {
            self.paces.resize(worker + 1, Pace::default());
        }
        self.paces[worker].add(time.as_secs_f64() / images as f64);
    }

    /// The count with the best time so far.
    fn fastest(&self) -> Option<usize> {
        self.times.iter().min_by_key(|(_, time)| time).map(|(workers, _)| *workers)
    }

    /// How many work from now on, if that was not told yet and is no trial.
    pub fn news(&mut self) -> Option<usize> {
        let measuring = self.asked.is_none() && self.steps < UNMEASURED + MEASURED * self.times.len() as u32;
        let working = self.asked.map(|asked| asked.clamp(1, self.crew.len() + 1)).or_else(|| self.fastest())?;
        // Whoever has always been alone is nothing new.
        let alone = self.told == 0 && self.crew.is_empty();
        (!measuring && !alone && self.told != working).then(|| {
            self.told = working;
            working
        })
    }

    /// A step by so many workers took so long.
    pub fn took(&mut self, workers: usize, time: Duration) {
        let measured = self.steps >= UNMEASURED;
        self.steps = self.steps.saturating_add(1);
        if self.steps == UNMEASURED {
            self.paces.clear(); // a helper's first ones say nothing of its speed
        }
        if let Some((_, best)) = self.times.iter_mut().find(|(of, _)| measured && *of == workers) {
            *best = time.min(*best);
        }
    }
}

/// So many things dealt out to so many, as evenly as can be: each one's, one after the other.
pub fn shares(things: usize, among: usize) -> impl Iterator<Item = Range<usize>> {
    (0..among).map(move |one| one * things / among..(one + 1) * things / among)
}
