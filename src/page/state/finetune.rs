//! Fine-tuning as the page knows it: what it starts from, what is wanted of it, and what came of each way to do it.
//!
//! Each mode has a bench of its own: its settings and its run. Changing the mode changes the bench, so that nothing of
//! the other one is lost.

use super::{PageState, Phase, Request, Run};
use crate::data::set::{SetCounts, SetFile, SetProblem};
use crate::data::{PIXELS, Split};
use crate::model::{NetworkConfig, SavedModel};
use crate::protocol::{Command, RunId};
use crate::shelf::{ModelCard, ModelId};
use crate::training::finetune::{Basis, Comparison, FineTune, NewData, Prepared, Sample, Trainable};
use crate::training::{RunConfig, Score};

/// Forgotten images that are shown.
pub const FORGOTTEN: usize = 40;
/// Names the question for them among the other questions for images.
const FORGOTTEN_ID: u32 = u32::MAX;

/// Where a network to start from comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The latest run from scratch.
    Run,
    /// The shelf.
    Shelf(ModelId),
    /// A file.
    File,
}

/// A network to start from.
#[derive(Debug, Clone, PartialEq)]
pub struct Base {
    /// Where it comes from.
    pub source: Source,
    /// What it is called, if it has a name.
    pub name: String,
    /// Its test, or else its validation.
    pub score: Option<Score>,
    /// It.
    pub model: SavedModel,
}

/// One way to fine-tune, from the same start as the others: what came of it.
#[derive(Debug, Clone)]
pub struct Arm {
    /// Its run.
    pub run: RunId,
    /// What it was told.
    pub config: RunConfig,
    /// What it had.
    pub prepared: Prepared,
    /// Before and after.
    pub comparison: Comparison,
    /// The network that came of it.
    pub model: SavedModel,
    /// Whether it was put on the shelf.
    pub kept: bool,
}

impl Arm {
    /// Which layers learned.
    pub fn trainable(&self) -> Trainable {
        self.config.finetune.as_ref().map(|finetune| finetune.trainable).unwrap_or_default()
    }
}

/// The bench of the mode that is not on show.
#[derive(Debug, Clone)]
struct Bench {
    settings: RunConfig,
    run: Option<Run>,
    phase: Phase,
    live: Option<RunId>,
}

/// What the page knows of fine-tuning.
#[derive(Debug, Clone)]
pub struct FineTuning {
    other: Box<Bench>,
    /// What the next run starts from.
    pub base: Option<Base>,
    /// The network of the latest run from scratch, whatever is chosen.
    pub trained: Option<Base>,
    /// The model of the shelf that was asked for and is not here yet.
    asked: Option<ModelId>,
    /// Whether to train although digits are missing.
    pub fewer: bool,
    /// What came of it, one for each way, the latest last.
    pub arms: Vec<Arm>,
    /// The way whose before and after is on show.
    pub shown: Trainable,
    /// What the results on show started from.
    pub from: Option<Base>,
    /// What was forgotten, as images of the test set, while it is open.
    pub forgotten: Option<Vec<(u32, Vec<u8>)>>,
    /// Grows with every change of what is on show.
    pub version: u32,
    /// What the arms have in common.
    together: Option<Together>,
    /// What the run under way started from; to begin it again after the engine has gone.
    basis: Option<Box<Basis>>,
    /// Sets that were imported.
    pub sets: Vec<(String, SetCounts)>,
    /// Why the latest one was not.
    pub set_problem: Option<SetProblem>,
    /// Sets asked for.
    imports: u32,
}

/// What arms must have in common to be compared.
#[derive(Debug, Clone, PartialEq)]
struct Together {
    config: RunConfig,
    basis: Basis,
}

/// What a user can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// Show the bench of fine-tuning, or that of training from scratch.
    Mode(bool),
    /// Start from another network.
    StartFrom(Source),
    /// Train with what is drawn.
    Fewer,
    /// Put a way's network on the shelf, called so.
    Keep(Trainable, String),
    /// Try another way from the same start.
    Try(Trainable),
    /// Show a way's before and after.
    Show(Trainable),
    /// Open what it forgot, or close it.
    SeeForgotten(bool),
    /// Take in a data set.
    ImportSet {
        /// Its name.
        name: String,
        /// Its files.
        files: Vec<SetFile>,
    },
    /// Have the set that is chosen no longer.
    ForgetSet,
}

impl FineTuning {
    /// Beside a page that trains by `settings`: the other mode has its defaults.
    pub fn new(settings: &RunConfig) -> Self {
        let other = match settings.finetune {
            Some(_) => RunConfig::default(),
            None => RunConfig::fine_tuning(NewData::Yours),
        };
        Self {
            other: Box::new(Bench { settings: other, run: None, phase: Phase::Ready, live: None }),
            base: None,
            trained: None,
            asked: None,
            fewer: false,
            arms: Vec::new(),
            shown: Trainable::Dense,
            from: None,
            forgotten: None,
            version: 0,
            together: None,
            basis: None,
            sets: Vec::new(),
            set_problem: None,
            imports: 0,
        }
    }

    /// The engine was ended: it has no run any more, and no set.
    pub(super) fn engine_gone(&mut self) {
        self.other.live = None;
        self.sets.clear();
    }

    /// A way's result.
    pub fn arm(&self, trainable: Trainable) -> Option<&Arm> {
        self.arms.iter().find(|arm| arm.trainable() == trainable)
    }

    /// A sample that the results on show were measured on or trained with.
    pub fn sample(&self, id: u32) -> Option<&Sample> {
        self.together.as_ref()?.basis.samples.iter().find(|sample| sample.id == id)
    }

    fn show(&mut self, trainable: Trainable) {
        self.shown = trainable;
        self.forgotten = None;
        self.version += 1;
    }

    /// The result on show.
    pub fn shown_arm(&self) -> Option<&Arm> {
        self.arm(self.shown)
    }
}

/// The network that a run has made so far.
fn made_by(run: &Run) -> Option<Base> {
    let checkpoint = run.checkpoint.as_ref()?;
    let (weights, score) = match &checkpoint.best {
        Some(best) => (&best.weights, Some(best.score)),
        None => (&checkpoint.weights, checkpoint.score),
    };
    let network = run.config.network.clone();
    let model = SavedModel {
        classes: (0..network.classes).map(|class| class.to_string()).collect(),
        network,
        weights: weights.clone(),
        left_out: Vec::new(),
    };
    Some(Base { source: Source::Run, name: String::new(), score: run.test.or(score), model })
}

impl PageState {
    /// Whether the bench of fine-tuning is on show.
    pub fn tunes(&self) -> bool {
        self.settings.finetune.is_some()
    }

    /// Whether the next run learns from what the user drew.
    pub fn tunes_on_own(&self) -> bool {
        self.settings.finetune.as_ref().is_some_and(|finetune| finetune.data == NewData::Yours)
    }

    /// What fine-tuning is told on the bench; `None` while that trains from scratch.
    pub fn finetune(&self) -> Option<&FineTune> {
        self.settings.finetune.as_ref()
    }

    /// The network that the next run works on: the basis' own, with new outputs where classes were named.
    pub fn next_network(&self) -> NetworkConfig {
        let mut network = self.settings.network.clone();
        let (Some(finetune), Some(base)) = (&self.settings.finetune, &self.tuning.base) else { return network };
        let dropout = network.dropout;
        network = NetworkConfig { dropout, ..base.model.network.clone() };
        if !finetune.classes.is_empty() {
            network.classes = finetune.classes.len();
        }
        network
    }

    /// What the network on show calls its answers, where they are no digits.
    pub fn answer_names(&self) -> Vec<String> {
        let prepared = self.run.as_ref().and_then(|run| run.prepared.as_ref());
        prepared.map(|prepared| prepared.classes.clone()).unwrap_or_default()
    }

    /// Whether a fine-tuning run has all that it needs.
    pub fn can_tune(&self) -> bool {
        let Some(finetune) = &self.settings.finetune else { return false };
        let has_data = match &finetune.data {
            NewData::Yours => {
                let own = self.collection();
                own.training() > 0 && own.held_out() > 0 && (self.tuning.fewer || own.missing() == 0)
            }
            NewData::Set { name } => self.tuning.sets.iter().any(|(known, _)| known == name),
            NewData::Shifted { .. } => self.data.train_images > 0,
        };
        self.tuning.base.is_some() && has_data
    }

    /// The way whose network the filled button keeps, once a fine-tuning run has ended.
    pub fn keepable(&self) -> Option<&Arm> {
        let ended = self.phase == Phase::Finished { stopped: false } && self.tunes();
        self.tuning.shown_arm().filter(|_| ended)
    }

    pub(super) fn act_on_tuning(&mut self, act: Act) -> Vec<Request> {
        match act {
            Act::Mode(finetune) => return self.change_mode(finetune),
            Act::StartFrom(source) => return self.start_from(source),
            Act::Fewer => self.tuning.fewer = true,
            Act::Keep(trainable, name) => {
                let Some(arm) = self.tuning.arm(trainable).filter(|arm| !arm.kept) else { return Vec::new() };
                return vec![Request::Send(Command::KeepModel { run: arm.run, name: Some(name) })];
            }
            Act::Try(trainable) if self.can_train() => {
                let Some(Together { config, basis }) = self.tuning.together.clone() else { return Vec::new() };
                let mut config = config;
                if let Some(finetune) = &mut config.finetune {
                    finetune.trainable = trainable;
                }
                return self.begin_tuning(config, Box::new(basis), false);
            }
            Act::Show(trainable) => self.tuning.show(trainable),
            Act::SeeForgotten(open) => return self.see_forgotten(open),
            Act::ImportSet { name, files } if self.device.is_some() => {
                self.tuning.imports += 1;
                self.tuning.set_problem = None;
                let id = self.tuning.imports;
                return vec![Request::Send(Command::ImportSet { id, name, files })];
            }
            Act::ForgetSet => {
                let Some(name) = self.settings.set().map(str::to_owned) else { return Vec::new() };
                self.tuning.sets.retain(|(known, _)| *known != name);
                self.settings.set_new_data(NewData::Yours, Vec::new());
                return vec![Request::Send(Command::ForgetSet { name })];
            }
            Act::Try(_) | Act::ImportSet { .. } => {}
        }
        Vec::new()
    }

    /// Asks for the images that the way on show forgot, the first of them.
    fn see_forgotten(&mut self, open: bool) -> Vec<Request> {
        self.tuning.forgotten = open.then(Vec::new);
        self.tuning.version += 1;
        let old = self.tuning.shown_arm().and_then(|arm| arm.comparison.old_test.as_ref()).filter(|_| open);
        let Some(old) = old else { return Vec::new() };
        let indices = old.changes().0.into_iter().take(FORGOTTEN).collect();
        vec![Request::Send(Command::Images { id: FORGOTTEN_ID, split: Split::Test, indices })]
    }

    /// Images of the test set came; `true`: they were asked for here.
    pub(super) fn forgotten_came(&mut self, id: u32, indices: &[u32], pixels: &[u8]) -> bool {
        if let (FORGOTTEN_ID, Some(forgotten)) = (id, &mut self.tuning.forgotten) {
            let images = indices.iter().copied().zip(pixels.chunks_exact(PIXELS).map(<[u8]>::to_vec));
            *forgotten = images.collect();
            self.tuning.version += 1;
        }
        id == FORGOTTEN_ID
    }

    /// The settings of a mode, on show or not.
    pub(super) fn bench_of(&mut self, finetune: bool) -> &mut RunConfig {
        if finetune == self.tunes() { &mut self.settings } else { &mut self.tuning.other.settings }
    }

    pub(super) fn change_mode(&mut self, finetune: bool) -> Vec<Request> {
        // A run that is not at rest keeps its bench.
        if finetune == self.tunes() || self.is_busy() || matches!(self.phase, Phase::Failed(_)) {
            return Vec::new();
        }
        let other = &mut *self.tuning.other;
        std::mem::swap(&mut self.settings, &mut other.settings);
        std::mem::swap(&mut self.run, &mut other.run);
        std::mem::swap(&mut self.live, &mut other.live);
        // While the engine or the data are on their way, both benches wait.
        if matches!(self.phase, Phase::Ready | Phase::Finished { .. }) {
            std::mem::swap(&mut self.phase, &mut other.phase);
        }
        // What the engine did for the other bench in the meantime took this one's place there.
        if self.live.is_some_and(|live| live.0 != self.last_run) {
            self.live = None;
        }
        if let Some(run) = &mut self.run {
            run.generation += 1;
        }
        let mut requests = self.gather(finetune && self.run.is_none() && self.collection().missing() > 0);
        // A model that was opened is the one that is meant.
        let opened = self.keep.open.as_ref().map(|card| card.id).filter(|_| finetune);
        requests.extend(match opened {
            Some(id) => self.start_from(Source::Shelf(id)),
            None => self.look_for_base(),
        });
        requests
    }

    /// Without a network to start from, the latest of the shelf is asked for.
    pub(super) fn look_for_base(&mut self) -> Vec<Request> {
        if !self.tunes() || self.tuning.base.is_some() || self.tuning.asked.is_some() {
            return Vec::new();
        }
        let latest = self.shelf_models().next().map(|card| card.id);
        latest.map_or_else(Vec::new, |id| self.start_from(Source::Shelf(id)))
    }

    /// The models on the shelf, the latest first.
    pub fn shelf_models(&self) -> impl Iterator<Item = &ModelCard> {
        self.keep.shelf.models.iter().filter(|card| card.deleted.is_none())
    }

    fn start_from(&mut self, source: Source) -> Vec<Request> {
        self.tuning.asked = None;
        match source {
            Source::Run => self.tuning.base = self.tuning.trained.clone(),
            Source::Shelf(id) => {
                self.tuning.asked = Some(id);
                return vec![Request::Send(Command::ReadModel { id })];
            }
            Source::File => {}
        }
        Vec::new()
    }

    /// A model of the shelf came; it is started from if it is still the one that was asked for.
    pub(super) fn model_read(&mut self, card: ModelCard, model: SavedModel) {
        if self.tuning.asked == Some(card.id) {
            self.tuning.asked = None;
            let score = card.score().map(|(_, score)| score);
            self.tuning.base = Some(Base { source: Source::Shelf(card.id), name: card.name, score, model });
        }
    }

    /// A network from a file can be started from.
    pub fn offer_file(&mut self, model: SavedModel) {
        self.tuning.asked = None;
        self.tuning.base = Some(Base { source: Source::File, name: String::new(), score: None, model });
    }

    /// Begins the fine-tuning run of a file: by the settings, from what it started from.
    pub(super) fn replay_tuning(&mut self, basis: Basis) -> Vec<Request> {
        self.offer_file(basis.model.clone());
        self.begin_together(self.settings.clone(), basis, false)
    }

    /// Begins a fine-tuning run by the settings.
    pub(super) fn start_tuning(&mut self, one_batch: bool) -> Vec<Request> {
        let (true, Some(base)) = (self.can_tune(), self.tuning.base.clone()) else { return Vec::new() };
        let samples = if self.tunes_on_own() { self.collection().samples().to_vec() } else { Vec::new() };
        let basis = Basis { model: base.model.clone(), samples };
        let config = RunConfig { network: self.next_network(), ..self.settings.clone() };
        self.begin_together(config, basis, one_batch)
    }

    /// Begins a run, and puts what came of earlier ones away if they had another start.
    fn begin_together(&mut self, mut config: RunConfig, basis: Basis, one_batch: bool) -> Vec<Request> {
        if let Some(finetune) = &mut config.finetune {
            finetune.images = 0;
        }
        let common = |config: &RunConfig| {
            let finetune = config.finetune.clone().map(|finetune| FineTune { trainable: Trainable::Dense, ..finetune });
            RunConfig { finetune, ..config.clone() }
        };
        let together = Together { config: common(&config), basis: basis.clone() };
        if self.tuning.together.as_ref() != Some(&together) {
            self.tuning.arms.clear();
            self.tuning.from.clone_from(&self.tuning.base);
            self.tuning.together = Some(together);
            self.tuning.version += 1;
        }
        self.begin_tuning(config, Box::new(basis), one_batch)
    }

    fn begin_tuning(&mut self, config: RunConfig, basis: Box<Basis>, one_batch: bool) -> Vec<Request> {
        self.digits.gathering = false;
        self.tuning.basis = Some(basis.clone());
        self.start(config, one_batch, Some(basis))
    }

    /// What a run that begins again must be told besides its configuration, if it has no checkpoint that knows.
    pub(super) fn basis_again(&self, config: &RunConfig, has_checkpoint: bool) -> Option<Box<Basis>> {
        self.tuning.basis.clone().filter(|_| config.finetune.is_some() && !has_checkpoint)
    }

    /// A run was compared with what it started from.
    pub(super) fn compared(&mut self, comparison: Comparison) {
        let (Some(run), Some(id)) = (&self.run, self.live) else { return };
        let (Some(prepared), Some(made)) = (run.prepared.clone(), made_by(run)) else { return };
        let model = SavedModel { classes: prepared.classes.clone(), left_out: prepared.left_out.clone(), ..made.model };
        let arm = Arm { run: id, config: run.config.clone(), prepared, comparison, model, kept: false };
        let trainable = arm.trainable();
        let arms = &mut self.tuning.arms;
        arms.retain(|known| known.trainable() != trainable);
        let place = |arm: &Arm| match arm.trainable() {
            Trainable::Last => 0,
            Trainable::Dense => 1,
            Trainable::Everything => 2,
        };
        let at = arms.partition_point(|known| place(known) < place(&arm));
        arms.insert(at, arm);
        self.tuning.show(trainable);
    }

    /// A run from scratch ended: the next fine-tuning starts from it.
    pub(super) fn trained(&mut self) {
        let made = self.run.as_ref().filter(|run| run.config.finetune.is_none()).and_then(made_by);
        if let Some(made) = made {
            self.tuning.trained = Some(made.clone());
            self.tuning.asked = None;
            self.tuning.base = Some(made);
        }
    }

    /// A run's network is on the shelf.
    pub(super) fn named(&mut self, run: RunId, id: ModelId) {
        let name = self.shelf_models().find(|card| card.id == id).map(|card| card.name.clone());
        if let (true, Some(name)) = (self.live == Some(run) && !self.tunes(), name) {
            let bases = [&mut self.tuning.base, &mut self.tuning.trained];
            for base in bases.into_iter().flatten().filter(|base| base.source == Source::Run) {
                base.name.clone_from(&name);
            }
        }
        for arm in self.tuning.arms.iter_mut().filter(|arm| arm.run == run) {
            arm.kept = true;
            self.tuning.version += 1;
        }
    }

    pub(super) fn set_imported(&mut self, name: String, counts: SetCounts) {
        match self.tuning.sets.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = counts,
            None => self.tuning.sets.push((name, counts)),
        }
    }
}
