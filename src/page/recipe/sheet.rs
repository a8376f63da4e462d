//! The sheet with all settings. What is rarely touched is folded, with its present value beside its name.

use leptos::context::Provider;
use leptos::html;
use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::Element;

use super::augmentation::Augmentation;
use super::fields::{Place, Setting};
use super::network::Editor;
use super::schedule::Plot;
use crate::page::Page;
use crate::page::browser::after;
use crate::page::mast::DeviceChoices;
use crate::page::modal::Modal;
use crate::page::reactive::{Views, effect, handler};
use crate::page::settings::{Field, is_changed};
use crate::page::state::{Action, PageState};
use crate::page::sweep::Tuning;
use crate::page::words::{Lang, Text};

/// A folded part of the sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// The layers.
    Network,
    /// Random changes of the images.
    Augmentation,
    /// How the learning rate changes, and when a run ends by itself.
    Schedule,
    /// What keeps it from learning by heart.
    Regularisation,
    /// The digits.
    Data,
    /// Tuning.
    Sweep,
    /// What runs it.
    Device,
}

impl Group {
    fn name(self) -> &'static str {
        match self {
            Group::Network => "network",
            Group::Augmentation => "augmentation",
            Group::Schedule => "schedule",
            Group::Regularisation => "regularisation",
            Group::Data => "data",
            Group::Sweep => "sweep",
            Group::Device => "device",
        }
    }

    fn title(self) -> Text {
        match self {
            Group::Network => Lang::network,
            Group::Augmentation => Lang::augmentation,
            Group::Schedule => Lang::schedule_and_stopping,
            Group::Regularisation => Lang::regularisation,
            Group::Data => Lang::data,
            Group::Sweep => Lang::tuning,
            Group::Device => Lang::device,
        }
    }

    /// Its present value in a few words.
    fn summary(self, state: &PageState, lang: Lang) -> String {
        let config = &state.settings;
        match self {
            Group::Network => lang.network_summary(&config.network),
            Group::Augmentation => lang.augmentation_summary(&config.augmentation),
            Group::Schedule => lang.schedule_summary(config),
            Group::Regularisation => lang.regularisation_summary(config),
            Group::Data => lang.data_summary(config.train_size, state.data.total_train_images, &state.data.name),
            Group::Sweep => lang.tuning_summary(&state.sweeps),
            Group::Device => {
                state.device.as_ref().map_or(String::new(), |device| lang.chosen(device.kind, &device.reason))
            }
        }
    }
}

/// All settings.
#[component]
pub fn Sheet() -> impl IntoView {
    let page = expect_context::<Page>();
    let changed = page.slice(|state| {
        let changed = Field::all().filter(|field| is_changed(*field, &state.settings)).count();
        (changed, state.is_busy())
    });
    let split = page.slice(|state| (state.data.validation_images, state.data.test_images));
    let settings =
        |fields: &[Field]| fields.iter().map(|field| view! { <Setting field=*field place=Place::Sheet /> }).views();
    let often = [Field::Epochs, Field::BatchSize, Field::LearningRate, Field::Optimizer, Field::Momentum, Field::Seed];
    view! {
        <Modal open=page.sheet class="over" testid="recipe" title=Lang::recipe>
            <div class="body">
                {settings(&often)} <Folded group=Group::Network>
                    <Editor />
                </Folded> <Folded group=Group::Augmentation>
                    <Augmentation />
                </Folded> <Folded group=Group::Schedule>
                    {settings(&[Field::Schedule, Field::DecayEvery, Field::DecayFactor, Field::WarmUp])} <Plot />
                    {settings(&[Field::Patience])}
                </Folded> <Folded group=Group::Regularisation>
                    {settings(&[Field::WeightDecay, Field::ClipNorm, Field::LabelSmoothing, Field::Dropout])}
                </Folded> <Folded group=Group::Data>
                    {settings(&[Field::TrainSize])}
                    <p class="tiny dim">
                        {move || {
                            let (validation, test) = split.get();
                            (test > 0).then(|| page.lang.get().data_split(validation, test))
                        }}
                    </p>
                </Folded> <Folded group=Group::Sweep>
                    <Tuning />
                </Folded> <Folded group=Group::Device>
                    <DeviceChoices />
                </Folded>
            </div>
            <footer>
                <span class="dim" data-testid="recipe-changes">
                    {move || {
                        let (changed, busy) = changed.get();
                        page.lang.get().changes(changed, busy)
                    }}
                </span>
                <button
                    class="link"
                    data-testid="recipe-reset"
                    on:click=handler(move |_| {
                        page.act(Action::Configure(page.state.with_untracked(|state| state.settings.defaults())));
                    })
                >
                    {page.say(Lang::back_to_defaults)}
                </button>
            </footer>
        </Modal>
    }
}

/// Whether a group is open, for what is in it.
#[derive(Debug, Clone, Copy)]
pub struct IsOpen(pub RwSignal<bool>);

/// One group. It opens by itself when the page asks for it.
#[component]
fn Folded(group: Group, children: Children) -> impl IntoView {
    let page = expect_context::<Page>();
    let open = RwSignal::new(false);
    let details = NodeRef::<html::Details>::new();
    effect(move || {
        if page.group.get() == Some(group) {
            page.group.set(None);
            open.set(true);
            // Once the sheet is there and the group has its height.
            after(100, move || {
                if let Some(details) = details.get_untracked() {
                    details.scroll_into_view();
                }
            });
        }
    });
    let summary = page.slice(move |state| group.summary(state, page.lang.get()));
    let unfit = page.slice(move |state| group == Group::Network && state.network_error().is_some());
    view! {
        <details
            class="grp"
            node_ref=details
            data-testid=format!("group-{}", group.name())
            prop:open=move || open.get()
            on:toggle=handler(move |event: leptos::ev::Event| {
                let details = event.target().map(JsCast::unchecked_into::<Element>);
                open.set(details.is_some_and(|details| details.has_attribute("open")));
            })
        >
            <summary>
                {page.say(group.title())} <span class:wrong=move || unfit.get()>{move || summary.get()}</span>
            </summary>
            <div class="inner">
                <Provider value=IsOpen(open)>{children()}</Provider>
            </div>
        </details>
    }
}
