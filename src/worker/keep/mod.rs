//! Keeping: the unfinished run, the models on the shelf, and what else is to outlive the tab. Wasm only.
//!
//! A [`Keeper`] hears the events of a run as they are posted and keeps the run by itself, in a task of its own:
//! training never waits for the disk, and a storage that is full or forbidden stops nothing but the keeping. What is
//! kept is written in whole transactions of the [`database`], so the last good checkpoint stays until the next one is
//! complete.
//!
//! Each worker keeps its run under its own name. A run whose worker no longer lives (its life lock is free) is one that
//! somebody left; it is offered to the next visitor, and a run of another tab that is still going is not.
//!
//! For the other parts of the worker: [`load`] and [`add`] read and write whole models, [`Database::get`] and
//! [`Database::put`] records of any kind; after a change to the shelf, [`Keeper::look`] has the page told.

pub mod database;
mod record;
mod runs;
mod samples;
mod sets;
mod shelf;

use std::cell::RefCell;
use std::rc::Rc;

use futures_channel::mpsc::{UnboundedReceiver, UnboundedSender, unbounded};
use futures_util::StreamExt;
use wasm_bindgen_futures::spawn_local;

pub use self::database::{Database, Room};
use self::record::RunRecord;
use self::sets::Arriving;
pub use self::shelf::{add, load};
use super::Input;
use crate::data::manifest::Manifest;
use crate::model::SavedModel;
use crate::protocol::{Command, ConfigurationProblem, Event, Failure, RunId};
use crate::shelf::{ModelCard, StorageTrouble};
use crate::training::{Checkpoint, History, RunConfig};

/// Keeps in the background.
pub struct Keeper {
    jobs: UnboundedSender<Job>,
    sets: Rc<RefCell<Vec<String>>>,
}

enum Job {
    /// The device is open: tell what is here.
    Welcome,
    Data(About),
    Command(Command),
    Begin(Box<Beginning>),
    Event(Event),
    /// A set is handed in.
    Arriving(Arriving),
    /// A set is to be read back for a run that is to begin.
    FetchSet(String, Command),
}

struct Beginning {
    run: RunId,
    config: RunConfig,
    from: Option<Box<Checkpoint>>,
}

/// The data that runs are trained on.
#[derive(Debug, Clone, Default, PartialEq)]
struct About {
    name: String,
    synthetic: bool,
    classes: Vec<String>,
}

/// A model that was taken from the shelf to be used.
pub struct Opened {
    /// What is known of it.
    pub card: ModelCard,
    /// It.
    pub model: SavedModel,
    /// What was measured of its run.
    pub history: Option<History>,
}

impl Keeper {
    /// Starts keeping in the database `name`, as the worker `owner`. What the session is to take goes to `inbox`, what
    /// the page is to know to `tell`.
    pub fn start(
        name: &'static str,
        owner: String,
        inbox: UnboundedSender<Input>,
        tell: impl Fn(&Event) + 'static,
    ) -> Self {
        let (sender, jobs) = unbounded();
        let sets = Rc::default();
        let task = Task {
            name,
            owner,
            inbox,
            tell: Box::new(tell),
            database: None,
            data: About::default(),
            run: None,
            ended: Vec::new(),
            offered: None,
            told: None,
            arriving: None,
            sets: Rc::clone(&sets),
        };
        spawn_local(task.work(jobs));
        Self { jobs: sender, sets }
    }

    /// The device is open: the page is told what is on the shelf and which run can go on.
    pub fn welcome(&self) {
        self.send(Job::Welcome);
    }

    /// What the data is called.
    pub fn about(&self, manifest: &Manifest) {
        let Manifest { name, synthetic, classes, .. } = manifest;
        self.send(Job::Data(About { name: name.clone(), synthetic: *synthetic, classes: classes.clone() }));
    }

    /// The shelf was changed from elsewhere: the page is told.
    pub fn look(&self) {
        self.send(Job::Command(Command::LookAtShelf));
    }

    /// Takes the commands that are about what is kept; `false`: this one is not, or not only.
    pub fn take(&self, command: &Command) -> bool {
        match command {
            Command::Start { run, config, from, .. } => {
                self.send(Job::Begin(Box::new(Beginning { run: *run, config: config.clone(), from: from.clone() })));
                let missing = sets::missing(config, &self.sets);
                if let Some(name) = missing {
                    self.send(Job::FetchSet(name.to_owned(), command.clone()));
                }
                missing.is_some()
            }
            Command::ImportSet { id, name, files } => {
                // What has no form in JavaScript is not kept; bytes have one.
                if let Ok(arriving) = Arriving::new(*id, name, files) {
                    self.send(Job::Arriving(arriving));
                }
                false
            }
            Command::ForgetSet { name } => {
                self.sets.borrow_mut().retain(|here| here != name);
                self.send(Job::Command(command.clone()));
                false
            }
            Command::ResumeKept { .. }
            | Command::KeepModel { .. }
            | Command::OpenModel { .. }
            | Command::RenameModel { .. }
            | Command::DeleteModel { .. }
            | Command::RestoreModel { .. }
            | Command::PurgeModels
            | Command::ModelHistory { .. }
            | Command::LookAtShelf
            | Command::ReadModel { .. }
            | Command::KeepDigits(_) => {
                self.send(Job::Command(command.clone()));
                true
            }
            _ => false,
        }
    }

    /// Hears what the session told.
    pub fn hear(&self, event: &Event) {
        if let Event::SetImported { name, .. } = event {
            self.sets.borrow_mut().push(name.clone());
        }
        let matters = matches!(
            event,
            Event::Steps { .. }
                | Event::Validated { .. }
                | Event::Checkpoint { .. }
                | Event::Finished { .. }
                | Event::SetImported { .. }
        );
        if matters {
            self.send(Job::Event(event.clone()));
        }
    }

    fn send(&self, job: Job) {
        // The task listens as long as this end lives.
        drop(self.jobs.unbounded_send(job));
    }
}

/// What works through the jobs, one after the other.
struct Task {
    name: &'static str,
    owner: String,
    inbox: UnboundedSender<Input>,
    tell: Box<dyn Fn(&Event)>,
    database: Option<Rc<Database>>,
    data: About,
    /// The run of this worker.
    run: Option<RunRecord>,
    /// Runs before it, which may still be put on the shelf.
    ended: Vec<RunRecord>,
    /// The key of the unfinished run that the page was told of.
    offered: Option<String>,
    /// The trouble that the page was last told of.
    told: Option<StorageTrouble>,
    /// The set that was handed in last, until the session has looked at it.
    arriving: Option<Arriving>,
    /// The sets that the session has.
    sets: Rc<RefCell<Vec<String>>>,
}

impl Task {
    async fn work(mut self, mut jobs: UnboundedReceiver<Job>) {
        while let Some(job) = jobs.next().await {
            let done = match job {
                Job::Welcome => self.tell_digits().await.and(self.tell_sets().await).and(self.welcome().await),
                Job::Data(about) => {
                    self.data = about;
                    Ok(())
                }
                Job::Begin(beginning) => self.begin(*beginning).await,
                Job::Event(Event::SetImported { id, name, counts }) => self.keep_set(id, &name, &counts).await,
                Job::Event(event) => self.hear(event).await,
                Job::Arriving(arriving) => {
                    self.arriving = Some(arriving);
                    Ok(())
                }
                Job::FetchSet(name, start) => {
                    let fetched = self.fetch_set(&name).await;
                    self.to_session(start);
                    fetched
                }
                Job::Command(command) => self.obey(command).await,
            };
            if let Err(trouble) = done {
                // A connection that was closed is opened again for the next job.
                self.database = None;
                self.troubled(Some(trouble));
            }
        }
    }

    async fn obey(&mut self, command: Command) -> Result<(), StorageTrouble> {
        match command {
            Command::ResumeKept { run } => {
                let resumed = self.resume(run).await;
                if let Err(trouble) = &resumed {
                    // The page waits for this run to begin.
                    let failure = Failure::Configuration { problem: ConfigurationProblem::Storage(trouble.clone()) };
                    (self.tell)(&Event::Failed { run: Some(run), failure });
                }
                resumed
            }
            Command::KeepModel { run, name } => self.keep_model(run, name).await,
            Command::OpenModel { id } => self.open_model(id).await,
            Command::RenameModel { id, name } => self.rename(id, &name).await,
            Command::DeleteModel { id } => self.set_deleted(id, Some(js_sys::Date::now())).await,
            Command::RestoreModel { id } => self.set_deleted(id, None).await,
            Command::PurgeModels => self.purge().await,
            Command::ModelHistory { id } => self.tell_history(id).await,
            Command::LookAtShelf => self.tell_shelf().await,
            Command::ReadModel { id } => self.read_model(id).await,
            Command::KeepDigits(kept) => self.keep_digits(&kept).await,
            Command::ForgetSet { name } => self.forget_set(&name).await,
            _ => Ok(()),
        }
    }

    async fn database(&mut self) -> Result<Rc<Database>, StorageTrouble> {
        if let Some(database) = &self.database {
            return Ok(database.clone());
        }
        let database = Rc::new(Database::named(self.name).await?);
        self.database = Some(database.clone());
        Ok(database)
    }

    /// Tells of trouble, or that there is none any more; not twice of the same.
    fn troubled(&mut self, trouble: Option<StorageTrouble>) {
        if self.told != trouble {
            self.told.clone_from(&trouble);
            (self.tell)(&Event::Storage { trouble });
        }
    }
}
