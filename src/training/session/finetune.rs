//! The fine-tuning part of a run: what it starts from, its own data, what the frozen layers make of them, and the
//! comparison with what it started from.
//!
//! The data are prepared in pieces, before the first step, so that a drawing is answered in between: shifted images
//! are made, old ones mixed in and then, if layers are frozen, the features of every image are computed once.

use std::collections::VecDeque;
use std::ops::Range;

use burn::tensor::Device;

use super::super::RunConfig;
use super::super::evaluation::{CHUNK, Evaluation, advance_together};
use super::super::finetune::{
    Basis, BeforeAfter, CLASSES, Comparison, FineTune, FineTuneProblem, NewData, Origin, Prepared, REPLAY,
};
use super::super::source::{Features, Source, features};
use crate::data::division::{Division, divide};
use crate::data::order::{Stream, rng, shuffle};
use crate::data::set::Set;
use crate::data::{CLASSES as DIGITS, Dataset, Images, PIXELS, Split, per_class};
use crate::device::DeviceLost;
use crate::model::{Network, NetworkConfig, trainable_parameters};

/// Shifted images that are made at once.
const MAKE: usize = 500;
/// Bytes of features that are kept of one part of the data, at most; of more, they are computed for each batch.
const MOST_KEPT: usize = 400 << 20;
/// Shares of an imported set that are set aside: to choose the best epoch by, and to measure on.
const SET_ASIDE: (f64, f64) = (0.1, 0.1);

/// Imported sets, by name.
pub(super) type Sets = Vec<(String, Set)>;

/// What makes a run a fine-tuning run.
pub(super) struct FineTuning {
    pub(super) basis: Box<Basis>,
    told: FineTune,
    /// The network that the run begins with, for reading.
    before: Network,
    /// A name for each output.
    pub(super) classes: Vec<String>,
    /// Whether the outputs are the digits that the old data are of.
    reads_digits: bool,
    train: Part,
    validation: Part,
    held_out: Part,
    /// Whether the held-out images validate too, because there are too few to set more aside.
    validates_on_held_out: bool,
    /// Old images among those to train on: the last of them.
    replayed: usize,
    /// What is left to prepare; `None`: not planned yet.
    work: Option<VecDeque<Work>>,
    /// Images prepared, and all of the plan.
    progress: (usize, usize),
}

/// One part of the new data.
#[derive(Default)]
struct Part {
    images: Images,
    /// What the frozen layers make of the images, once that is known of all of them.
    features: Features,
}

impl Part {
    fn source(&self) -> Source<'_> {
        if self.features.len > 0 { (&self.features).into() } else { (&self.images).into() }
    }
}

/// A piece of the preparation.
enum Work {
    /// Make these images of a part of the old data.
    Shift(Split, Range<usize>),
    /// Mix in these old images.
    Replay(Vec<u32>),
    /// Compute the features of these images of a part.
    Keep(Split, Range<usize>),
}

impl Work {
    fn images(&self) -> usize {
        match self {
            Work::Shift(_, range) | Work::Keep(_, range) => range.len(),
            Work::Replay(indices) => indices.len(),
        }
    }
}

impl FineTuning {
    /// Takes what a run starts from, if all of it fits together. `device` is where the network is read.
    pub(super) fn new(
        told: &FineTune,
        config: &RunConfig,
        mut basis: Box<Basis>,
        sets: &Sets,
        device: &Device,
    ) -> Result<Self, FineTuneProblem> {
        if told.data != NewData::Yours {
            // They are not used, so nothing may look as if they were.
            basis.samples.clear();
        }
        let (model, replaced) = (&basis.model, !told.classes.is_empty());
        if replaced && !CLASSES.contains(&told.classes.len()) {
            return Err(FineTuneProblem::Classes { count: told.classes.len() as u32 });
        }
        if !REPLAY.contains(&told.replay) {
            return Err(FineTuneProblem::Replay);
        }
        let reads_digits = !replaced && model.reads_digits();
        if told.replay > 0.0 && !reads_digits {
            return Err(FineTuneProblem::ReplayWithNewClasses);
        }
        let classes = if replaced { told.classes.clone() } else { model.classes.clone() };
        let network =
            NetworkConfig { classes: classes.len(), dropout: config.network.dropout, ..model.network.clone() };
        if config.network != network {
            return Err(FineTuneProblem::OtherNetwork);
        }
        check_data(told, &basis, sets, classes.len() as u32)?;
        let before = begin(told, config, &basis, device)?;
        Ok(Self {
            basis,
            told: told.clone(),
            before,
            classes,
            reads_digits,
            train: Part::default(),
            validation: Part::default(),
            held_out: Part::default(),
            validates_on_held_out: false,
            replayed: 0,
            work: None,
            progress: (0, 0),
        })
    }

    /// The network to train: the basis, with a new last layer if the classes were replaced.
    pub(super) fn network(&self, config: &RunConfig, training: &Device) -> Result<Network, FineTuneProblem> {
        begin(&self.told, config, &self.basis, training)
    }

    /// Whether all is prepared.
    pub(super) fn is_ready(&self) -> bool {
        self.work.as_ref().is_some_and(VecDeque::is_empty)
    }

    /// Images prepared, and all of them.
    pub(super) fn progress(&self) -> (u32, u32) {
        (self.progress.0 as u32, self.progress.1 as u32)
    }

    /// The splits of the old data that the preparation can't do without.
    pub(super) fn needs(&self) -> &'static [Split] {
        match self.told.data {
            NewData::Shifted { .. } => &Split::ALL,
            _ if self.told.replay > 0.0 => &[Split::Train],
            _ => &[],
        }
    }

    /// New data to train on, or to validate on.
    pub(super) fn source(&self, split: Split) -> Source<'_> {
        self.part(split).source()
    }

    /// Held-out images, to look at.
    pub(super) fn held_out(&self) -> &Images {
        &self.held_out.images
    }

    fn part(&self, split: Split) -> &Part {
        match split {
            Split::Train => &self.train,
            Split::Validation => &self.validation,
            Split::Test => &self.held_out,
        }
    }

    fn part_mut(&mut self, split: Split) -> &mut Part {
        match split {
            Split::Train => &mut self.train,
            Split::Validation => &mut self.validation,
            Split::Test => &mut self.held_out,
        }
    }

    /// Does one piece of the preparation.
    pub(super) async fn prepare(
        &mut self,
        config: &RunConfig,
        old: &Dataset,
        sets: &Sets,
        device: &Device,
    ) -> Result<(), DeviceLost> {
        let Some(work) = &mut self.work else {
            let work = self.plan(config, old, sets);
            self.progress = (0, work.iter().map(Work::images).sum());
            self.work = Some(work);
            return Ok(());
        };
        let Some(work) = work.pop_front() else { return Ok(()) };
        self.progress.0 += work.images();
        match work {
            Work::Shift(split, range) => {
                let NewData::Shifted { shift } = self.told.data else { return Ok(()) };
                // The splits' noise differs, as that of any two images does.
                let seed = config.seed.wrapping_add(split as u32);
                self.part_mut(split).images.append(shift.of(old.split(split), range, seed));
            }
            Work::Replay(indices) => self.train.images.append(old.split(Split::Train).pick(&indices)),
            Work::Keep(split, range) => self.keep(split, range, device).await?,
        }
        Ok(())
    }

    /// Takes what is here already, and lists what is to be done.
    fn plan(&mut self, config: &RunConfig, old: &Dataset, sets: &Sets) -> VecDeque<Work> {
        let mut work = VecDeque::new();
        let most = config.train_size as usize;
        let mut lens = [0; 3];
        match &self.told.data {
            NewData::Yours => {
                let samples = |held_out| self.basis.samples.iter().filter(move |sample| sample.held_out == held_out);
                let images = |held_out| Images {
                    pixels: samples(held_out).flat_map(|sample| sample.pixels.iter().copied()).collect(),
                    labels: samples(held_out).map(|sample| sample.label).collect(),
                };
                (self.train.images, self.held_out.images) = (images(false), images(true));
            }
            NewData::Set { name } => {
                if let Some((_, set)) = sets.iter().find(|(known, _)| known == name) {
                    let aside = if set.test.is_some() { 0.0 } else { SET_ASIDE.1 };
                    let Division { mut train, validation, held_out } =
                        divide(&set.train.labels, SET_ASIDE.0, aside, config.seed);
                    train.truncate(most);
                    self.train.images = set.train.pick(&train);
                    self.validation.images = set.train.pick(&validation);
                    self.held_out.images = set.test.clone().unwrap_or_else(|| set.train.pick(&held_out));
                }
            }
            NewData::Shifted { .. } => {
                lens = Split::ALL.map(|split| old.split(split).len());
                lens[0] = lens[0].min(most);
                for (split, len) in Split::ALL.into_iter().zip(lens) {
                    work.extend(pieces(len, MAKE).map(|range| Work::Shift(split, range)));
                }
            }
        }
        if work.is_empty() {
            if self.validation.images.is_empty() {
                self.validation.images = self.held_out.images.clone();
                self.validates_on_held_out = true;
            }
            lens = Split::ALL.map(|split| self.part(split).images.len());
        }
        let old_train = old.split(Split::Train).len();
        self.replayed = ((lens[0] as f64 * self.told.replay).round() as usize).min(old_train);
        if self.replayed > 0 {
            let mut indices: Vec<u32> = (0..old_train as u32).collect();
            shuffle(&mut indices, &mut rng(config.seed, Stream::Replay));
            indices.truncate(self.replayed);
            work.push_back(Work::Replay(indices));
            lens[0] += self.replayed;
        }
        if self.before.is_frozen() {
            let bytes = 4 * self.before.feature_len();
            for (split, len) in Split::ALL.into_iter().zip(lens) {
                // An image that is changed each time it is seen has other features each time.
                let changes = split == Split::Train && config.augmentation.is_on();
                if !changes && len.saturating_mul(bytes) <= MOST_KEPT {
                    work.extend(pieces(len, CHUNK).map(|range| Work::Keep(split, range)));
                }
            }
        }
        work
    }

    /// Computes the features of some images. When they are known of all, the images of a part that nobody looks at
    /// are let go.
    async fn keep(&mut self, split: Split, range: Range<usize>, device: &Device) -> Result<(), DeviceLost> {
        let network = self.before.clone();
        let part = self.part_mut(split);
        let indices: Vec<u32> = (range.start as u32..range.end as u32).collect();
        let chunk = CHUNK.min(part.images.len());
        // All at once: growing by and by would take twice as much, and a tab's memory never shrinks.
        part.features.values.reserve_exact((part.images.len() - range.start) * network.feature_len());
        let mut values = features(&network, &part.images, &indices, chunk, device).await?;
        part.features.values.append(&mut values);
        if range.end == part.images.len() {
            part.features.len = network.feature_len();
            part.features.labels = part.images.labels.clone();
            if split != Split::Test {
                part.images = Images::default();
            }
        }
        Ok(())
    }

    /// What was prepared.
    pub(super) fn prepared(&self, config: &RunConfig) -> Prepared {
        let classes = self.classes.len();
        let labels = self.train.source().labels();
        let (new, _) = labels.split_at(labels.len() - self.replayed);
        let count = |labels: &[u8]| per_class(labels, classes);
        let parameters = |trainable| trainable_parameters(&config.network, trainable).unwrap_or_default() as u32;
        Prepared {
            classes: self.classes.clone(),
            train: count(new),
            validation: count(self.validation.source().labels()),
            held_out: count(self.held_out.source().labels()),
            validation_is_held_out: self.validates_on_held_out,
            replayed: self.replayed as u32,
            images: labels.len() as u32,
            trainable: parameters(self.told.trainable),
            parameters: parameters(Default::default()),
            kept: self.train.features.len > 0,
            left_out: self.left_out(),
        }
    }

    /// Test images that count no longer: those that were added to the new data, of this run or of one before it.
    pub(super) fn left_out(&self) -> Vec<u32> {
        let added = self.basis.samples.iter().filter_map(|sample| match sample.origin {
            Origin::Test { index } => Some(index),
            Origin::Drawn | Origin::File => None,
        });
        let mut left_out: Vec<u32> = self.basis.model.left_out.iter().copied().chain(added).collect();
        left_out.sort_unstable();
        left_out.dedup();
        left_out
    }

    /// Begins the comparison of what the run began with and what it has come to.
    pub(super) fn compare(&self, after: &Network) -> Comparing {
        let exam = |network: &Network| Evaluation::new(network.clone(), self.classes.len());
        let pair = || [exam(&self.before), exam(after)];
        let old_test = self.reads_digits.then(|| pair().map(|exam| exam.leaving_out(self.left_out())));
        Comparing { held_out: pair(), old_test }
    }

    /// The ids of the held-out samples.
    fn samples(&self) -> Vec<u32> {
        self.basis.samples.iter().filter(|sample| sample.held_out).map(|sample| sample.id).collect()
    }
}

/// A comparison under way: each pair is before and after.
#[derive(Debug)]
pub(super) struct Comparing {
    held_out: [Evaluation; 2],
    old_test: Option<[Evaluation; 2]>,
}

impl Comparing {
    /// Whether the next chunk is one of the old test set.
    pub(super) fn wants_old_test(&self, tuning: &FineTuning) -> bool {
        self.old_test.is_some() && self.held_out[0].done() >= tuning.held_out.source().len()
    }

    /// Images looked at, and all of them.
    pub(super) fn progress(&self, tuning: &FineTuning, old: &Dataset) -> (usize, usize) {
        let held_out = (self.held_out[0].done(), tuning.held_out.source().len());
        let old_test = self.old_test.as_ref().map_or((0, 0), |[exam, _]| (exam.done(), old.split(Split::Test).len()));
        (held_out.0 + old_test.0, held_out.1 + old_test.1)
    }

    /// Looks at the next chunk, before and after at once.
    pub(super) async fn advance(
        &mut self,
        tuning: &FineTuning,
        old: &Dataset,
        device: &Device,
    ) -> Result<(), DeviceLost> {
        if self.wants_old_test(tuning)
            && let Some(pair) = &mut self.old_test
        {
            return advance_together(pair, old.split(Split::Test).into(), device).await;
        }
        advance_together(&mut self.held_out, tuning.held_out.source(), device).await
    }

    /// What was found.
    pub(super) fn comparison(&self, tuning: &FineTuning) -> Comparison {
        let pair = |[before, after]: &[Evaluation; 2]| BeforeAfter { before: before.exam(), after: after.exam() };
        Comparison {
            held_out: pair(&self.held_out),
            samples: tuning.samples(),
            old_test: self.old_test.as_ref().map(pair),
        }
    }
}

/// `0..len` in pieces of at most `most`.
fn pieces(len: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    (0..len).step_by(most).map(move |start| start..len.min(start + most))
}

/// The network that a run begins with.
fn begin(told: &FineTune, config: &RunConfig, basis: &Basis, device: &Device) -> Result<Network, FineTuneProblem> {
    let config_of_basis = NetworkConfig { dropout: config.network.dropout, ..basis.model.network.clone() };
    let network = Network::from_bytes(&config_of_basis, &basis.model.weights, device)
        .map_err(|error| FineTuneProblem::Basis { what: error.to_string() })?;
    let network = match told.classes.len() {
        0 => network,
        classes => network.replace_head(classes, config.seed, device),
    };
    Ok(network.freeze(told.trainable))
}

/// Whether the new data are there and can be read by a network with so many classes.
fn check_data(told: &FineTune, basis: &Basis, sets: &Sets, classes: u32) -> Result<(), FineTuneProblem> {
    let fits = |largest: Option<u8>| match largest {
        Some(label) if u32::from(label) >= classes => Err(FineTuneProblem::Label { label, classes }),
        _ => Ok(()),
    };
    match &told.data {
        NewData::Yours => {
            if let Some(sample) = basis.samples.iter().find(|sample| sample.pixels.len() != PIXELS) {
                return Err(FineTuneProblem::Sample { id: sample.id, found: sample.pixels.len() as u32 });
            }
            fits(basis.samples.iter().map(|sample| sample.label).max())?;
            if basis.samples.iter().all(|sample| sample.held_out) {
                return Err(FineTuneProblem::NothingToTrainOn);
            }
            if !basis.samples.iter().any(|sample| sample.held_out) {
                return Err(FineTuneProblem::NothingHeldOut);
            }
            Ok(())
        }
        NewData::Set { name } => {
            let Some((_, set)) = sets.iter().find(|(known, _)| known == name) else {
                return Err(FineTuneProblem::NoSet { name: name.clone() });
            };
            fits(set.train.labels.iter().chain(set.test.iter().flat_map(|test| &test.labels)).max().copied())?;
            // Of a class with one image nothing is held out.
            if set.test.is_none() && set.train.per_class(DIGITS).into_iter().all(|count| count < 2) {
                return Err(FineTuneProblem::NothingHeldOut);
            }
            Ok(())
        }
        NewData::Shifted { .. } => fits(Some(DIGITS as u8 - 1)),
    }
}
