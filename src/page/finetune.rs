//! Fine-tuning on the bench: the switch of modes, what the words of its sentence open, and why Train waits.

use leptos::html;
use leptos::prelude::*;

use super::recipe::{Place, Setting};
use super::settings::Field;
use super::state::Action;
use super::state::digits::names;
use super::state::finetune::{Act, Source};
use super::words::{Lang, Text};
use super::{Page, pictures};
use crate::model::trainable_parameters;
use crate::page::reactive::{Show, Views, handler, live};
use crate::training::collection::CLASSES_RANGE;
use crate::training::finetune::{FineTune, NewData, Shift, Trainable};

/// The ways to fine-tune, in the order in which they are offered.
pub const WAYS: [Trainable; 3] = [Trainable::Dense, Trainable::Everything, Trainable::Last];
/// How many old digits can be mixed in for each new one.
const REPLAYS: [u32; 4] = [0, 1, 2, 4];

impl Page {
    pub(super) fn tune(self, act: Act) {
        self.act(Action::FineTune(act));
    }

    /// Changes what the next fine-tuning run is told.
    fn change_finetune(self, change: impl FnOnce(&mut FineTune)) {
        let mut settings = self.state.with_untracked(|state| state.settings.clone());
        if let Some(finetune) = &mut settings.finetune {
            change(finetune);
            self.act(Action::Configure(settings));
        }
    }
}

/// From scratch, or from a trained network.
#[component]
pub fn Modes() -> impl IntoView {
    let page = expect_context::<Page>();
    let tunes = page.slice(|state| state.tunes());
    let busy = page.slice(|state| state.is_busy());
    let button = move |finetune: bool, testid: &'static str, words: Text| {
        view! {
            <button
                data-testid=testid
                aria-pressed=move || (tunes.get() == finetune).to_string()
                aria-disabled=move || (busy.get() && tunes.get() != finetune).then_some("true")
                on:click=handler(move |_| page.tune(Act::Mode(finetune)))
            >
                {page.say(words)}
            </button>
        }
    };
    view! {
        <div class="modes" role="group" aria-label=page.say(Lang::modes)>
            {button(false, "mode-scratch", Lang::train_from_scratch)}
            {button(true, "mode-finetune", Lang::fine_tune)}
        </div>
    }
}

/// Why Train waits, with the way round it; or what the network will be called.
#[component]
pub fn Why() -> impl IntoView {
    let page = expect_context::<Page>();
    let waits = page.slice(|state| {
        let resting = matches!(state.phase, super::state::Phase::Ready | super::state::Phase::LoadingData);
        if !state.tunes() || !resting {
            return None;
        }
        let own = state.collection();
        let few = own.training() == 0 || own.held_out() == 0;
        let unlearned: Vec<String> = own
            .labels()
            .filter(|label| own.of(*label).all(|sample| sample.held_out))
            .map(|label| own.classes()[usize::from(label)].clone())
            .collect();
        Some((
            state.tuning.base.is_none(),
            state.tunes_on_own(),
            own.missing(),
            own.samples().len(),
            few,
            unlearned,
            state.can_tune(),
        ))
    });
    live(move || {
        let lang = page.lang.get();
        let (no_base, own, missing, drawn, few, unlearned, can) = waits.get()?;
        if no_base {
            return Some(
                view! {
                    <p class="small dim aside" id="why">
                        <button class="link" data-testid="finetune-scratch" on:click=handler(move |_| page.tune(Act::Mode(false)))>
                            {lang.train_one_first()}
                        </button>
                    </p>
                }
                .into_any(),
            );
        }
        if !own || (missing == 0 && can) {
            return None;
        }
        if drawn == 0 || few {
            let (before, _) = (lang.drawn_of(drawn, drawn + missing), ());
            return Some(
                view! { <p class="small dim aside" id="why">{before} " " {lang.few_to_measure()}</p> }.into_any(),
            );
        }
        let unlearned: Vec<&str> = unlearned.iter().map(String::as_str).collect();
        let wont = (!unlearned.is_empty()).then(|| lang.wont_learn(&unlearned));
        let fewer = (!can).then(|| {
            view! {
                {lang.more_to_draw(missing)}
                <button class="link" data-testid="finetune-fewer" on:click=handler(move |_| page.tune(Act::Fewer))>
                    {lang.train_with_these(drawn)}
                </button>
                {if lang == Lang::En { "." } else { "。" }}
            }
        });
        Some(view! { <p class="small dim aside" id="why">{fewer} " " {wont}</p> }.into_any())
    })
}

/// A list of which one is chosen.
fn choices<T: Copy + PartialEq + Send + Sync + 'static>(
    all: Vec<(T, String, String, String)>,
    chosen: impl Fn() -> Option<T> + Copy + Send + Sync + 'static,
    choose: impl Fn(T) + Copy + Send + Sync + 'static,
) -> impl IntoView {
    all.into_iter()
        .map(|(value, testid, title, effect)| {
            view! {
                <button
                    class="choice"
                    role="radio"
                    data-testid=testid
                    aria-checked=move || (chosen() == Some(value)).to_string()
                    on:click=handler(move |_| choose(value))
                >
                    <b>{title}</b>
                    <span>{effect}</span>
                </button>
            }
        })
        .views()
}

/// Which network to start from.
#[component]
pub fn StartChoices() -> impl IntoView {
    let page = expect_context::<Page>();
    let sources = page.slice(move |state| {
        let lang = page.lang.get();
        let trained =
            state.tuning.trained.iter().map(|base| (Source::Run, "start-run".to_owned(), lang.base(Some(base))));
        let file = state.tuning.base.iter().filter(|base| base.source == Source::File);
        let file = file.map(|base| (Source::File, "start-file".to_owned(), lang.base(Some(base))));
        // The latest run is on the shelf too, under its name.
        let named = state.tuning.trained.as_ref().map(|base| base.name.clone()).filter(|name| !name.is_empty());
        let shelf = state.shelf_models().filter(|card| Some(&card.name) != named.as_ref()).map(|card| {
            let score = card.score().map(|(_, score)| super::words::percent(score.accuracy(), 2)).unwrap_or_default();
            (Source::Shelf(card.id), format!("start-{}", card.id.0), format!("{}  {score}", card.name))
        });
        trained.chain(file).chain(shelf).collect::<Vec<_>>()
    });
    let chosen = page.slice(|state| state.tuning.base.as_ref().map(|base| base.source));
    view! {
        <div role="radiogroup" aria-label=page.say(Lang::start_what)>
            <h3 class="poptitle">{page.say(Lang::start_what)}</h3>
            {live(move || {
                let all = sources.get().into_iter().map(|(source, id, title)| (source, id, title, String::new()));
                choices(
                    all.collect(),
                    move || chosen.get(),
                    move |source| {
                        page.tune(Act::StartFrom(source));
                        page.word.set(None);
                    },
                )
            })}
            {live(move || {
                sources
                    .with(Vec::is_empty)
                    .then(|| {
                        view! {
                            <button class="link" on:click=handler(move |_| page.tune(Act::Mode(false)))>
                                {page.say(Lang::train_one_first)}
                            </button>
                        }
                    })
            })}
        </div>
    }
}

/// Which layers learn.
#[component]
pub fn FreezeChoices() -> impl IntoView {
    let page = expect_context::<Page>();
    let network = page.slice(|state| state.next_network());
    let chosen = page.slice(|state| state.finetune().map(|finetune| finetune.trainable));
    view! {
        <div role="radiogroup" aria-label=page.say(Lang::freeze_what)>
            <h3 class="poptitle">{page.say(Lang::freeze_what)}</h3>
            {live(move || {
                let lang = page.lang.get();
                let all = WAYS
                    .into_iter()
                    .map(|way| {
                        let parameters = trainable_parameters(&network.get(), way).unwrap_or(0);
                        (way, format!("freeze-way-{}", name(way)), lang.way(way).into(), lang.way_effect(way, parameters))
                    })
                    .collect();
                choices(
                    all,
                    move || chosen.get(),
                    move |way| {
                        page.change_finetune(|finetune| finetune.trainable = way);
                        page.word.set(None);
                    },
                )
            })}
        </div>
    }
}

/// A way's name in `data-testid`s.
pub fn name(way: Trainable) -> &'static str {
    match way {
        Trainable::Everything => "everything",
        Trainable::Dense => "frozen",
        Trainable::Last => "last",
    }
}

/// What it learns from: the kinds of new data, new classes by name, and old digits mixed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Yours,
    Classes,
    Shifted(Shift),
    Set(usize),
}

/// What it learns from.
#[component]
pub fn DataChoices() -> impl IntoView {
    let page = expect_context::<Page>();
    let sets = page.slice(|state| state.tuning.sets.clone());
    let problem = page.slice(|state| state.tuning.set_problem.clone());
    let chosen = page.slice(|state| {
        let finetune = state.finetune()?;
        Some(match &finetune.data {
            NewData::Yours if !finetune.classes.is_empty() => Kind::Classes,
            NewData::Yours => Kind::Yours,
            NewData::Shifted { shift } => Kind::Shifted(*shift),
            NewData::Set { name } => Kind::Set(state.tuning.sets.iter().position(|(known, _)| known == name)?),
        })
    });
    // Naming classes begins before there are names.
    let naming = RwSignal::new(false);
    let old_names = page.state.with_untracked(|state| state.digits.collection(true).classes().join(", "));
    let choose = move |kind: Kind| {
        let mut settings = page.state.with_untracked(|state| state.settings.clone());
        let data = match kind {
            Kind::Yours | Kind::Classes => NewData::Yours,
            Kind::Shifted(shift) => NewData::Shifted { shift },
            Kind::Set(at) => match sets.with_untracked(|sets| sets.get(at).cloned()) {
                Some((name, _)) => NewData::Set { name },
                None => return,
            },
        };
        let known = page.state.with_untracked(|state| state.digits.collection(true).classes().to_vec());
        let classes = if kind == Kind::Classes { known } else { Vec::new() };
        naming.set(kind == Kind::Classes && classes.is_empty());
        if kind == Kind::Classes && classes.is_empty() {
            return;
        }
        settings.set_new_data(data, classes);
        page.act(Action::Configure(settings));
    };
    let name_classes = move |text: String| {
        let names = names(text.split([',', '，', '、', '\n']).map(str::to_owned));
        if CLASSES_RANGE.contains(&names.len()) {
            let mut settings = page.state.with_untracked(|state| state.settings.clone());
            settings.set_new_data(NewData::Yours, names);
            page.act(Action::Configure(settings));
            naming.set(false);
        }
    };
    let shows_names = move || naming.get() || chosen.get() == Some(Kind::Classes);
    let replay = page.slice(|state| state.finetune().map_or(0.0, |finetune| finetune.replay));
    let can_replay = move || chosen.get() != Some(Kind::Classes);
    let size = page.slice(|state| (!state.tunes_on_own()).then_some(()));
    let files = NodeRef::<html::Input>::new();
    view! {
        <div role="radiogroup" aria-label=page.say(Lang::data_what)>
            <h3 class="poptitle">{page.say(Lang::data_what)}</h3>
            {live(move || {
                let lang = page.lang.get();
                let fixed = [
                    (Kind::Yours, "data-yours", lang.data_yours()),
                    (Kind::Classes, "data-classes", lang.data_classes()),
                    (Kind::Shifted(Shift::Rotated), "data-rotated", lang.data_rotated()),
                    (Kind::Shifted(Shift::Inverted), "data-inverted", lang.data_inverted()),
                    (Kind::Shifted(Shift::Noisy), "data-noisy", lang.data_noisy()),
                    (Kind::Shifted(Shift::Thick), "data-thick", lang.data_thick()),
                ];
                let fixed = fixed.into_iter().map(|(kind, id, title)| (kind, id.into(), title.into(), String::new()));
                let sets = sets
                    .get()
                    .into_iter()
                    .enumerate()
                    .map(|(at, (name, counts))| {
                        let images = counts.train.iter().chain(&counts.test).sum();
                        let title = lang.imported_set(&name, images, counts.classes());
                        (Kind::Set(at), format!("data-set-{at}"), title, String::new())
                    });
                choices(
                    fixed.chain(sets).collect(),
                    move || if naming.get() { Some(Kind::Classes) } else { chosen.get() },
                    choose,
                )
            })}
        </div>
        <div class="field" hidden=move || !shows_names()>
            <label for="class-names">{page.say(Lang::class_names)}</label>
            <p>{move || page.lang.get().names_hint()}</p>
            <span class="in names">
                <input
                    id="class-names"
                    autocomplete="off"
                    data-testid="class-names"
                    value=old_names
                    on:change=handler(move |event| name_classes(event_target_value(&event)))
                />
            </span>
        </div>
        {live(move || size.get().map(|()| view! { <Setting field=Field::TrainSize place=Place::Word /> }))}
        <div class="field" hidden=move || !can_replay()>
            <span class="label" id="replay-label">{page.say(Lang::replay_old)}</span>
            <p>{page.say(Lang::replay_effect)}</p>
            <span class="in bare segs3" role="radiogroup" aria-labelledby="replay-label">
                {REPLAYS
                    .map(|times| {
                        view! {
                            <button
                                role="radio"
                                data-testid=format!("replay-{times}")
                                aria-checked=move || (replay.get() == f64::from(times)).to_string()
                                on:click=handler(move |_| page.change_finetune(|finetune| finetune.replay = times.into()))
                            >
                                {times}
                            </button>
                        }
                    }).views()}
            </span>
        </div>
        <p class="tiny dim">
            {page.say(Lang::other_set)} " "
            <label class="link filebtn">
                {page.say(Lang::choose_files)}
                <input
                    class="vh"
                    type="file"
                    multiple
                    data-testid="set-import"
                    node_ref=files
                    on:change=handler(move |_| {
                        if let Some(input) = files.get_untracked() {
                            if let Some(list) = input.files() {
                                pictures::open(page, (0..list.length()).filter_map(|at| list.get(at)).collect());
                            }
                            input.set_value("");
                        }
                    })
                />
            </label>
            <Show when=move || matches!(chosen.get(), Some(Kind::Set(_)))>
                " · "
                <button class="link" data-testid="set-forget" on:click=handler(move |_| page.tune(Act::ForgetSet))>
                    {page.say(Lang::forget_set)}
                </button>
            </Show>
        </p>
        {live(move || {
            problem
                .get()
                .map(|problem| {
                    view! { <p class="refused" role="alert" data-testid="set-refused">{page.lang.get().set_problem(&problem)}</p> }
                })
        })}
    }
}

/// Whether a layer learns, under it in the strip.
#[component]
pub fn Lock(
    /// Its name in the summary.
    layer: String,
) -> impl IntoView {
    let page = expect_context::<Page>();
    let learns = page.slice({
        let layer = layer.clone();
        move |state| {
            let finetune = state.finetune()?;
            let network = state.next_network();
            let summary = crate::model::summarize(&network).ok()?;
            Some(summary.layer(&layer).is_some_and(|layer| summary.learns(layer, finetune.trainable)))
        }
    });
    live(move || {
        learns.get().map(|learns| {
            let lang = page.lang.get();
            let path = if learns {
                "M3.5 6V4.2a2.5 2.5 0 0 1 4.9-.7h-1.3A1.3 1.3 0 0 0 4.7 4.2V6H10v6H2V6z"
            } else {
                "M3.5 6V4.2a2.5 2.5 0 0 1 5 0V6H10v6H2V6zm1.2 0h2.6V4.2a1.3 1.3 0 0 0-2.6 0z"
            };
            view! {
                <button
                    class="lock"
                    class:free=learns
                    data-testid=format!("freeze-{layer}")
                    data-frozen=(!learns).to_string()
                    on:click=handler(move |_| page.word.set(Some(super::words::Token::Freeze)))
                >
                    <svg viewBox="0 0 12 13" aria-hidden="true">
                        <path fill="currentColor" fill-rule="evenodd" d=path />
                    </svg>
                    {if learns { lang.layer_trains() } else { lang.is_frozen() }}
                </button>
            }
        })
    })
}
