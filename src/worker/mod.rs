//! The worker's side of the browser: it drives a [`Session`] with what comes from the page and from the network.
//! The binaries `worker_cpu`, `worker_cpu_relaxed` and `worker_gpu` call [`start`] and nothing else.
//!
//! One loop, one inbox: commands and shards are taken in the order in which they arrive, between two pieces of the
//! session's work. After each piece the loop gives the browser a turn, so that messages and bytes can arrive.

mod bench;
mod device;
pub mod fetch;
mod files;
mod helper;
pub mod keep;
mod port;
pub mod store;

use futures_channel::mpsc;
use futures_util::StreamExt;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::spawn_local;

use crate::data::manifest::Manifest;
use crate::data::{Images, Split};
use crate::protocol::{Command, DeviceKind, DeviceReason, Event, VERSION};
use crate::training::session::{Expected, Session};

/// What the loop takes from its inbox.
pub enum Input {
    /// From the page.
    Command(Command),
    /// The manifest is here.
    Manifest(Manifest),
    /// A shard is here and was checked.
    Shard(Split, Images),
    /// An unfinished run was read back; this `Start` goes on with it.
    Resume(Command),
    /// A model was taken from the shelf, to be used.
    Model(Box<keep::Opened>),
}

/// Runs the linker's constructors, once, before anything else. Without one explicit call the linker has every export
/// run them all again, and burn's are many: 20 ms a call were measured.
pub fn call_constructors() {
    unsafe extern "C" {
        fn __wasm_call_ctors();
    }
    // SAFETY: the linker makes this function; it is called once, before anything that the constructors set up is used.
    unsafe { __wasm_call_ctors() }
}

/// A worker with this name uses the binary by itself: that of `bench.html`.
const BENCH: &str = "bench";

/// Starts the engine: listens for commands, says that it is ready, and works until the worker ends.
pub fn start() {
    let Ok(scope) = js_sys::global().dyn_into::<web_sys::DedicatedWorkerGlobalScope>() else { return };
    if scope.name() == BENCH {
        return;
    }
    port::report_panics();
    if helper::is_one(&scope) {
        spawn_local(helper::start(scope));
        return;
    }
    let (inbox, inputs) = mpsc::unbounded();
    port::listen(inbox.clone());
    spawn_local(async move {
        if let Err(error) = port::hold_life_lock().await {
            // Without it the page can't tell at once that this worker ended; everything else works.
            web_sys::console::warn_1(&format!("no life lock: {error}").into());
        }
        port::post(&Event::Ready { version: VERSION });
        run(inputs, inbox).await;
    });
}

async fn run(mut inputs: mpsc::UnboundedReceiver<Input>, inbox: mpsc::UnboundedSender<Input>) {
    // Nothing can be done before the device is chosen, so all but `Open` is dropped until then.
    let (device, reason, manifest, sparing) = loop {
        match inputs.next().await {
            Some(Input::Command(Command::Open { device, reason, manifest, sparing })) => {
                break (device, reason, manifest, sparing);
            }
            Some(_) => {}
            None => return,
        }
    };
    // Bytes travel while the device opens.
    let keeper = keep::Keeper::start("kiln", port::name(), inbox.clone(), port::post);
    let mut desk = files::Desk::new(inbox.clone());
    let loader = fetch::Loader::start(manifest, sparing, inbox, port::post);
    let mut session = open(device, reason).await;
    keeper.welcome();
    loop {
        while let Ok(input) = inputs.try_recv() {
            take(&mut session, &loader, &keeper, &mut desk, input);
        }
        if session.has_work() {
            tell(&keeper, &session.advance().await);
            port::turn().await;
        } else {
            match inputs.next().await {
                Some(input) => take(&mut session, &loader, &keeper, &mut desk, input),
                None => return,
            }
        }
    }
}

async fn open(device: DeviceKind, reason: DeviceReason) -> Session {
    let (opened, reason) = device::open(device, reason).await;
    port::post(&Event::Opened { device: opened.kind, name: opened.name.clone(), reason });
    let on_cpu = opened.kind == DeviceKind::Cpu;
    let session = Session::new(opened);
    if on_cpu { session.with_crew(helper::Helpers::start(&port::script(), helper::useful())) } else { session }
}

/// Events go to the page and to the keeper.
fn tell(keeper: &keep::Keeper, events: &[Event]) {
    for event in events {
        keeper.hear(event);
        port::post(event);
    }
}

fn take(session: &mut Session, loader: &fetch::Loader, keeper: &keep::Keeper, desk: &mut files::Desk, input: Input) {
    match input {
        Input::Command(Command::FetchAgain) => loader.again(),
        Input::Command(Command::Export { kind, of }) => desk.export(session, kind, of),
        Input::Command(Command::Import { name, bytes }) => desk.import(name, &bytes),
        Input::Command(command) if keeper.take(&command) => {}
        Input::Command(command) | Input::Resume(command) => {
            if matches!(command, Command::Start { .. } | Command::Sweep { .. }) {
                loader.again(); // a run needs what was not fetched before, to spare the connection
            }
            tell(keeper, &session.handle(command));
        }
        Input::Model(opened) => {
            // One that was asked for while a run was about to begin is left.
            if session.open_model(&opened.model) {
                let keep::Opened { card, history, .. } = *opened;
                port::post(&Event::ModelOpened { card: Box::new(card), history });
            }
        }
        Input::Manifest(manifest) => {
            keeper.about(&manifest);
            desk.about(&manifest);
            session.expect(expected(&manifest));
        }
        Input::Shard(split, images) => session.push(split, images),
    }
}

fn expected(manifest: &Manifest) -> Expected {
    // A checked manifest lists at most a few hundred thousand images.
    let count = |split| manifest.images(split) as usize;
    Expected {
        train: count(Split::Train),
        validation: count(Split::Validation),
        test: count(Split::Test),
        block: manifest.shards.iter().find(|s| s.split == Split::Train).map_or(0, |s| s.count as usize),
    }
}
