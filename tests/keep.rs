//! What the worker keeps in the browser's storage, driven as the worker drives it: a run that goes on after a reload,
//! the shelf, and records that are damaged.

#![cfg(target_arch = "wasm32")]

mod common;

use common::{drive, losses, small_config, small_session, start};
use futures_channel::mpsc::{UnboundedReceiver, unbounded};
use futures_util::StreamExt;
use kiln::data::PIXELS;
use kiln::data::idx::{IMAGES_MAGIC, LABELS_MAGIC};
use kiln::data::set::{SetCounts, SetFile};
use kiln::protocol::{Command, Event, RunId};
use kiln::shelf::{ModelCard, ModelId, Resumable, Shelf, StorageTrouble};
use kiln::training::RunConfig;
use kiln::training::finetune::NewData;
use kiln::training::session::Session;
use kiln::worker::Input;
use kiln::worker::keep::database::Change;
use kiln::worker::keep::{Database, Keeper, Room, load};
use serde_bytes::ByteBuf;
use wasm_bindgen::JsValue;
use wasm_bindgen_test::{wasm_bindgen_test, wasm_bindgen_test_configure};

wasm_bindgen_test_configure!(run_in_dedicated_worker);

/// A worker: its keeper, its session, and what it told.
struct Worker {
    keeper: Keeper,
    session: Session,
    inbox: UnboundedReceiver<Input>,
    told: UnboundedReceiver<Event>,
}

impl Worker {
    /// One of that name on a database of the test's own.
    fn new(database: &'static str, owner: &str) -> Self {
        let (sender, inbox) = unbounded();
        let (teller, told) = unbounded();
        let tell = move |event: &Event| drop(teller.unbounded_send(event.clone()));
        let keeper = Keeper::start(database, owner.into(), sender, tell);
        Self { keeper, session: small_session(), inbox, told }
    }

    /// Takes a command as the worker's loop does.
    fn command(&mut self, command: Command) -> Vec<Event> {
        if self.keeper.take(&command) { Vec::new() } else { self.heard(command) }
    }

    fn heard(&mut self, command: Command) -> Vec<Event> {
        let events = self.session.handle(command);
        events.iter().for_each(|event| self.keeper.hear(event));
        events
    }

    /// Works on until `stop`, or until nothing is left to do.
    async fn work(&mut self, mut stop: impl FnMut(&Event) -> bool) -> Vec<Event> {
        let mut all = Vec::new();
        while self.session.has_work() {
            let events = self.session.advance().await;
            events.iter().for_each(|event| self.keeper.hear(event));
            let done = events.iter().any(&mut stop);
            all.extend(events);
            if done {
                break;
            }
        }
        all
    }

    /// The next thing told that `of` takes.
    async fn hears<T>(&mut self, of: impl Fn(Event) -> Option<T>) -> T {
        loop {
            let event = self.told.next().await.expect("the keeper lives");
            if let Some(found) = of(event) {
                return found;
            }
        }
    }

    /// The shelf once everything that was asked for is done.
    async fn shelf(&mut self) -> Shelf {
        self.keeper.look();
        // The keeper works in order: what comes before the answer about a model that nobody has is done.
        let nobody = ModelId(u32::MAX);
        self.command(Command::ModelHistory { id: nobody });
        let mut last = None;
        loop {
            match self.told.next().await.expect("the keeper lives") {
                Event::Shelf(shelf) => last = Some(shelf),
                Event::ModelHistory { id, .. } if id == nobody => return last.expect("it was asked for"),
                _ => {}
            }
        }
    }
}

fn shelf(event: Event) -> Option<Shelf> {
    if let Event::Shelf(shelf) = event { Some(shelf) } else { None }
}

fn resumable(event: Event) -> Option<Resumable> {
    if let Event::Resumable(kept) = event { Some(*kept) } else { None }
}

fn kept(event: Event) -> Option<ModelId> {
    if let Event::Kept { id, .. } = event { Some(id) } else { None }
}

fn trouble(event: Event) -> Option<StorageTrouble> {
    if let Event::Storage { trouble } = event { trouble } else { None }
}

fn sets(event: Event) -> Option<Vec<(String, SetCounts)>> {
    if let Event::Sets(sets) = event { Some(sets) } else { None }
}

async fn undisturbed() -> Vec<f32> {
    let mut session = small_session();
    session.handle(start(1, &small_config()));
    losses(&drive(&mut session).await)
}

/// Goes on in another worker with what the first one left, to the end.
async fn goes_on(database: &'static str, mut before: Vec<f32>) -> Vec<f32> {
    let mut second = Worker::new(database, "second");
    second.keeper.welcome();
    let offered = second.hears(resumable).await;
    let read: Vec<f32> = offered.history.points.iter().map(|point| point.loss).collect();
    assert_eq!((offered.name.as_str(), offered.step as usize), ("Celadon", before.len()));
    assert_eq!(read, before, "every loss that was told is kept, bit for bit");
    second.command(Command::ResumeKept { run: RunId(5) });
    let Some(Input::Resume(start)) = second.inbox.next().await else { panic!("the run is handed to the session") };
    assert_eq!(second.heard(start), [Event::Started { run: RunId(5) }]);
    before.extend(losses(&second.work(|_| false).await));
    // It finished: it is on the shelf and no longer one that can go on.
    second.hears(kept).await;
    let mut third = Worker::new(database, "third");
    third.keeper.welcome();
    third.keeper.look();
    let mut shelves = Vec::new();
    while shelves.len() < 2 {
        match third.told.next().await.expect("the keeper lives") {
            Event::Shelf(shelf) => shelves.push(shelf),
            Event::Digits(_) => {}
            Event::Sets(sets) if sets.is_empty() => {}
            other => panic!("no run is offered: {other:?}"),
        }
    }
    let Shelf { models, .. } = &shelves[0];
    assert_eq!(models.iter().map(|card| card.name.as_str()).collect::<Vec<_>>(), ["Celadon"]);
    assert!(models[0].test.is_some());
    before
}

#[wasm_bindgen_test]
async fn a_run_paused_in_mid_epoch_goes_on_in_another_worker_with_the_same_losses() {
    let mut first = Worker::new("pause", "first");
    first.command(start(1, &small_config()));
    let mut told = losses(&first.work(|event| matches!(event, Event::Steps { .. })).await);
    while told.len() < 3 {
        told.extend(losses(&first.work(|event| matches!(event, Event::Steps { .. })).await));
    }
    first.command(Command::Pause { run: RunId(1) });
    told.extend(losses(&first.work(|_| false).await));
    assert!(told.len() < 8, "it is still under way");
    // Written before anybody else looks.
    first.shelf().await;
    assert_eq!(goes_on("pause", told).await, undisturbed().await);
}

#[wasm_bindgen_test]
async fn a_run_whose_worker_died_after_an_epoch_goes_on_from_there() {
    let mut first = Worker::new("died", "first");
    first.command(start(1, &small_config()));
    let told = losses(&first.work(|event| matches!(event, Event::Checkpoint { .. })).await);
    assert_eq!(told.len(), 4);
    first.shelf().await;
    drop(first);
    assert_eq!(goes_on("died", told).await, undisturbed().await);
}

#[wasm_bindgen_test]
async fn starting_afresh_keeps_what_was_left_on_the_shelf() {
    let mut first = Worker::new("afresh", "first");
    first.command(start(1, &small_config()));
    first.work(|event| matches!(event, Event::Checkpoint { .. })).await;
    first.shelf().await;
    let mut second = Worker::new("afresh", "second");
    second.keeper.welcome();
    second.hears(resumable).await;
    second.command(start(1, &small_config()));
    let cards = second.shelf().await.models;
    assert_eq!((cards.len(), cards[0].name.as_str(), cards[0].step), (1, "Celadon", 4));
    assert_eq!((cards[0].validation.map(|(epoch, _)| epoch), cards[0].test), (Some(1), None));
    second.work(|_| false).await;
    second.hears(kept).await;
    let names: Vec<String> = second.shelf().await.models.into_iter().map(|card| card.name).collect();
    assert_eq!(names, ["Tenmoku", "Celadon"], "never twice the same");
}

#[wasm_bindgen_test]
async fn a_model_is_kept_renamed_deleted_had_back_and_opened() {
    let mut worker = Worker::new("shelf", "first");
    worker.command(start(1, &small_config()));
    let events = worker.work(|_| false).await;
    let test = events.iter().find_map(|event| if let Event::Finished { test, .. } = event { *test } else { None });
    let id = worker.hears(kept).await;
    let cards = worker.shelf().await.models;
    assert_eq!((cards.len(), cards[0].id, cards[0].test), (1, id, test));
    assert_eq!((cards[0].parameters, cards[0].bytes), (130_250, 521_000));

    worker.command(Command::RenameModel { id, name: "  My \n hand ".into() });
    assert_eq!(worker.shelf().await.models[0].name, "My hand");
    worker.command(Command::DeleteModel { id });
    assert!(worker.shelf().await.models[0].deleted.is_some());
    worker.command(Command::PurgeModels);
    assert_eq!(worker.shelf().await.models.len(), 1, "it can still be had back");
    worker.command(Command::RestoreModel { id });
    assert_eq!(worker.shelf().await.models[0].deleted, None);

    worker.command(Command::OpenModel { id });
    let Some(Input::Model(opened)) = worker.inbox.next().await else { panic!("the model is handed to the session") };
    assert_eq!(opened.history.as_ref().map(|history| history.points.len()), Some(8));
    assert!(worker.session.open_model(&opened.model));
    let (card, model) = load(&Database::named("shelf").await.unwrap(), id).await.unwrap();
    assert_eq!((card.name.as_str(), model), ("My hand", opened.model));
}

#[wasm_bindgen_test]
async fn an_imported_set_is_there_in_the_next_visit_and_read_back_for_the_run_that_wants_it() {
    let mut first = Worker::new("sets", "first");
    let files = set_files();
    let import = |id, files| Command::ImportSet { id, name: "clothes".into(), files };
    let told = first.command(import(1, files.clone()));
    let [Event::SetImported { counts, .. }] = &told[..] else { panic!("{told:?}") };
    // What is no set is not kept.
    let broken = vec![SetFile { name: "x".into(), bytes: ByteBuf::from(vec![1, 2, 3]) }];
    let told = first.command(Command::ImportSet { id: 2, name: "broken".into(), files: broken });
    assert!(matches!(told[..], [Event::SetRefused { .. }]), "{told:?}");
    first.shelf().await;

    let mut second = Worker::new("sets", "second");
    second.keeper.welcome();
    assert_eq!(second.hears(sets).await, [("clothes".to_owned(), counts.clone())]);
    let start = start_on_set("clothes");
    assert!(second.command(start.clone()).is_empty(), "it waits for its set");
    let Some(Input::Resume(fetched)) = second.inbox.next().await else { panic!("the set is handed to the session") };
    assert_eq!(fetched, import(0, files));
    second.heard(fetched);
    let Some(Input::Resume(held)) = second.inbox.next().await else { panic!("and then the run") };
    assert_eq!(held, start);
    assert!(!second.keeper.take(&start), "the next run finds it there");

    second.command(Command::ForgetSet { name: "clothes".into() });
    second.shelf().await;
    let mut third = Worker::new("sets", "third");
    third.keeper.welcome();
    assert_eq!(third.hears(sets).await, []);
    // A run on a set that is nowhere begins all the same; the session says what is missing.
    assert!(third.command(start.clone()).is_empty());
    let Some(Input::Resume(held)) = third.inbox.next().await else { panic!("the run") };
    assert_eq!(held, start);
}

fn start_on_set(name: &str) -> Command {
    let config = RunConfig::fine_tuning(NewData::Set { name: name.into() });
    Command::Start { run: RunId(1), config, one_batch: false, from: None, basis: None }
}

/// Twenty images of two classes, as IDX files.
fn set_files() -> Vec<SetFile> {
    let header = |numbers: &[u32]| numbers.iter().flat_map(|number| number.to_be_bytes()).collect::<Vec<u8>>();
    let images = [header(&[IMAGES_MAGIC, 20, 28, 28]), vec![9; 20 * PIXELS]].concat();
    let labels = [header(&[LABELS_MAGIC, 20]), (0..20).map(|index| index % 2).collect()].concat();
    let file = |name: &str, bytes| SetFile { name: name.into(), bytes: ByteBuf::from(bytes) };
    vec![file("images", images), file("labels", labels)]
}

#[wasm_bindgen_test]
async fn damaged_records_are_left_out_and_told() {
    let database = Database::named("damaged").await.unwrap();
    let record = |json: &str| js_sys::JSON::parse(json).unwrap();
    let put = |room, key: &str, json: &str| Change::Put(room, key.into(), record(json));
    let broken = [
        put(Room::Runs, "a", "{}"),
        put(Room::Runs, "b", r#"{"version": 2, "value": {}}"#),
        put(Room::Runs, "c", r#"{"version": 1, "value": {"name": 3}}"#),
        put(Room::Cards, "1", "7"),
        put(Room::Cards, "2", r#"{"version": 1, "value": null}"#),
        put(Room::Models, "1", r#"{"version": 1, "value": []}"#),
    ];
    database.write(broken.into()).await.unwrap();
    let mut worker = Worker::new("damaged", "first");
    worker.keeper.welcome();
    let shelf = worker.hears(shelf).await;
    assert_eq!((shelf.models.len(), shelf.unreadable), (0, 2));
    assert!(matches!(worker.hears(trouble).await, StorageTrouble::Damaged { .. }));
    worker.command(Command::OpenModel { id: ModelId(1) });
    // Everything works all the same.
    worker.command(start(1, &small_config()));
    worker.work(|_| false).await;
    worker.hears(kept).await;
    assert_eq!(worker.shelf().await.models.len(), 1);
}

#[wasm_bindgen_test]
async fn a_card_whose_model_is_another_is_not_opened() {
    let mut worker = Worker::new("swapped", "first");
    worker.command(start(1, &small_config()));
    worker.work(|_| false).await;
    let id = worker.hears(kept).await;
    let database = Database::named("swapped").await.unwrap();
    let (card, mut model) = load(&database, id).await.unwrap();
    model.weights.truncate(8);
    database.put(Room::Models, &id.0.to_string(), &model).await.unwrap();
    assert!(matches!(load(&database, id).await, Err(StorageTrouble::Damaged { .. })));
    database.put(Room::Cards, &id.0.to_string(), &ModelCard { bytes: 8, ..card }).await.unwrap();
    assert!(matches!(load(&database, id).await, Err(StorageTrouble::Damaged { .. })));
}

#[wasm_bindgen_test]
async fn a_transaction_happens_as_a_whole_or_not_at_all() {
    let database = Database::named("whole").await.unwrap();
    database.put(Room::Samples, "kept", &1u32).await.unwrap();
    // A function can't be stored: the second part fails, and the first one with it.
    let function = js_sys::Function::new_no_args("").into();
    let changes = vec![
        Change::put(Room::Samples, "kept", &2u32).unwrap(),
        Change::Put(Room::Samples, "function".into(), function),
    ];
    assert!(matches!(database.write(changes).await, Err(StorageTrouble::Forbidden { .. })));
    assert_eq!(database.get::<u32>(Room::Samples, "kept").await, Ok(Some(1)));
    assert_eq!(database.get::<u32>(Room::Samples, "function").await, Ok(None));
    assert!(database.get::<String>(Room::Samples, "kept").await.is_err(), "another type is no panic");
    let many =
        vec![Change::Delete(Room::Samples, "kept".into()), Change::Put(Room::Samples, "x".into(), JsValue::TRUE)];
    database.write(many).await.unwrap();
    assert!(matches!(database.get::<u32>(Room::Samples, "x").await, Err(StorageTrouble::Damaged { .. })));
}
