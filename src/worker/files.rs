//! Files in and out, for the page: [`crate::files`] writes and reads them, [`super::keep`] has the shelf's models. Each
//! file is a task of its own, so that training waits for none.

use futures_channel::mpsc::UnboundedSender;
use serde_bytes::ByteBuf;
use wasm_bindgen_futures::spawn_local;

use super::Input;
use super::keep::{self, Database, Room};
use super::port::post;
use crate::data::manifest::Manifest;
use crate::files::run_file::{self, Data, Device, Metrics, RunFile, Versions};
use crate::files::{self, About, Read, onnx, safetensors, tensorboard};
use crate::model::{SavedModel, summarize};
use crate::protocol::{Command, Event, ExportOf, Failure, FileKind, Imported};
use crate::shelf::{ModelCard, ModelId, StorageTrouble, clean_name, fresh_name};
use crate::training::finetune::Basis;
use crate::training::session::Session;
use crate::training::{History, RunConfig, csv};

/// What is known of the data that is here.
pub struct Desk {
    inbox: UnboundedSender<Input>,
    data: Option<Data>,
}

/// What a file is written about.
struct Subject {
    config: Option<RunConfig>,
    history: History,
    about: About,
    data: Option<Data>,
    device: Device,
    basis: Option<Box<Basis>>,
}

impl Desk {
    /// What the worker is to take goes to `inbox`.
    pub fn new(inbox: UnboundedSender<Input>) -> Self {
        Self { inbox, data: None }
    }

    /// What the data is.
    pub fn about(&mut self, manifest: &Manifest) {
        self.data = Some(Data::of(manifest));
    }

    /// Writes a file and posts it.
    pub fn export(&self, session: &Session, kind: FileKind, of: ExportOf) {
        let opened = session.device();
        let device = Device { kind: opened.kind, name: opened.name.clone() };
        match of {
            ExportOf::Run { config, history } => {
                let Some(model) = session.model() else { return };
                let best = history.best.and_then(|best| history.scores.iter().find(|(epoch, _)| *epoch == best));
                let about = About {
                    name: String::new(),
                    data: self.data.as_ref().map(|data| data.name.clone()).unwrap_or_default(),
                    synthetic: self.data.as_ref().is_some_and(|data| data.synthetic),
                    validation: best.copied(),
                    test: history.test,
                };
                let data = self.data.clone();
                let basis = session.basis().cloned().map(Box::new);
                let subject = Subject { config: Some(*config), history: *history, about, data, device, basis };
                spawn_local(async move {
                    match model.await {
                        Ok(model) => post(&subject.write(kind, &model)),
                        Err(lost) => post(&Event::Failed { run: None, failure: Failure::GpuLost { message: lost.0 } }),
                    }
                });
            }
            ExportOf::Model { id } => {
                // The shelf does not say which shards a model was trained on, so a run file can't either.
                let data = self.data.clone();
                spawn_local(async move {
                    match kept(id).await {
                        Ok((card, model, history)) => {
                            let about = About {
                                name: card.name,
                                data: card.data.clone(),
                                synthetic: card.synthetic,
                                validation: card.validation,
                                test: card.test,
                            };
                            let data = data.filter(|data| data.name == card.data);
                            let subject = Subject { config: card.config, history, about, data, device, basis: None };
                            post(&subject.write(kind, &model));
                        }
                        Err(trouble) => post(&Event::Storage { trouble: Some(trouble) }),
                    }
                });
            }
        }
    }

    /// Reads a file and does with it what it is for: a model goes on the shelf and is opened, a run goes to the page.
    pub fn import(&self, name: String, bytes: &[u8]) {
        match files::read(bytes) {
            Ok(Read::Model(model, about)) => {
                let inbox = self.inbox.clone();
                spawn_local(async move {
                    let opening = shelve(&name, *model, about).await;
                    post(&Event::Imported { name, what: Imported::Model });
                    // The loop takes it as long as the worker lives.
                    opening.into_iter().for_each(|input| drop(inbox.unbounded_send(input)));
                });
            }
            Ok(Read::Run(file)) => {
                let same_data = self.data.as_ref().is_some_and(|data| data.shards == file.data.shards);
                let what = Imported::Run { config: Box::new(file.config), same_data, basis: file.basis };
                post(&Event::Imported { name, what });
            }
            Err(error) => {
                let failure = Failure::NotAModel { file: name, what: error.to_string() };
                post(&Event::Failed { run: None, failure });
            }
        }
    }
}

impl Subject {
    fn write(&self, kind: FileKind, model: &SavedModel) -> Event {
        let seconds = js_sys::Date::now() / 1000.0;
        // A model from elsewhere has no run; its files have its network.
        let config =
            self.config.clone().unwrap_or_else(|| RunConfig { network: model.network.clone(), ..RunConfig::default() });
        let (bytes, mime) = match kind {
            FileKind::Safetensors | FileKind::Onnx => {
                let write = if kind == FileKind::Onnx { onnx::write } else { safetensors::write };
                match write(model, &self.about) {
                    Ok(bytes) => (bytes, "application/octet-stream"),
                    // Weights that are no numbers any more.
                    Err(error) => {
                        let failure = Failure::NotAModel { file: self.name(kind, seconds), what: error.to_string() };
                        return Event::Failed { run: None, failure };
                    }
                }
            }
            FileKind::Csv => (csv::write(&config, &self.history).into_bytes(), "text/csv"),
            FileKind::TensorBoard => (tensorboard::write(&config, &self.history, seconds), "application/octet-stream"),
            FileKind::Run => {
                let file = RunFile {
                    version: run_file::VERSION,
                    config,
                    data: self.data.clone().unwrap_or_else(|| Data {
                        name: self.about.data.clone(),
                        synthetic: self.about.synthetic,
                        shards: Vec::new(),
                    }),
                    device: self.device.clone(),
                    versions: Versions::default(),
                    basis: self.basis.clone(),
                    metrics: Metrics::of(&self.history),
                };
                (run_file::write(&file), "application/json")
            }
        };
        Event::Exported { name: self.name(kind, seconds), mime: mime.into(), bytes: ByteBuf::from(bytes) }
    }

    /// A file name: of the model's name, what any file system takes.
    fn name(&self, kind: FileKind, seconds: f64) -> String {
        let plain: String = self.about.name.chars().map(|c| if c.is_alphanumeric() { c } else { '-' }).collect();
        let stem = match plain.trim_matches('-') {
            "" => "kiln".to_owned(),
            name => format!("kiln-{}", name.to_lowercase()),
        };
        match kind {
            FileKind::Safetensors => format!("{stem}.safetensors"),
            FileKind::Onnx => format!("{stem}.onnx"),
            FileKind::Csv => format!("{stem}-metrics.csv"),
            // TensorBoard takes a file for one of its own by this part of the name.
            FileKind::TensorBoard => format!("events.out.tfevents.{}.{stem}", seconds as u64),
            FileKind::Run => format!("{stem}-run.json"),
        }
    }
}

/// A model of the shelf with what was measured of its run.
async fn kept(id: ModelId) -> Result<(ModelCard, SavedModel, History), StorageTrouble> {
    let database = Database::open().await?;
    let (card, model) = keep::load(&database, id).await?;
    let history = database.get::<History>(Room::Histories, &id.0.to_string()).await.ok().flatten();
    let fits = |history: &History| card.config.as_ref().is_some_and(|config| history.fits(config));
    let mut history = history.filter(fits).unwrap_or_default();
    history.test = card.test;
    Ok((card, model, history))
}

/// Puts a checked model on the shelf; what opens it then. Without room it is opened all the same, and not kept.
async fn shelve(file: &str, model: SavedModel, about: About) -> [Input; 2] {
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let name = clean_name(&about.name).or_else(|| clean_name(stem)).unwrap_or_else(|| fresh_name(std::iter::empty()));
    let parameters = summarize(&model.network).map_or(0, |summary| summary.parameters() as u32);
    let card = ModelCard {
        id: ModelId(0),
        name,
        saved: js_sys::Date::now(),
        data: about.data,
        synthetic: about.synthetic,
        config: None,
        step: 0,
        validation: about.validation,
        test: about.test,
        network: model.network.clone(),
        classes: model.classes.clone(),
        base: None,
        parameters,
        bytes: model.weights.len() as u32,
        deleted: None,
    };
    let added = async {
        let database = Database::open().await?;
        keep::add(&database, card.clone(), &model, None).await
    };
    match added.await {
        Ok(id) => [Input::Command(Command::LookAtShelf), Input::Command(Command::OpenModel { id })],
        Err(trouble) => {
            post(&Event::Storage { trouble: Some(trouble) });
            let opened = keep::Opened { card, model, history: None };
            [Input::Command(Command::LookAtShelf), Input::Model(Box::new(opened))]
        }
    }
}
