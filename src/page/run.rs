//! The buttons and the progress. The filled button is one element for all it can be, so it keeps its place and the
//! focus when Train becomes Pause.

use leptos::prelude::*;

use super::state::sweep::SweepAction;
use super::state::{Action, Activity, PageState, Phase, finetune};
use super::words::{Lang, Text};
use super::{Page, bold, browser, speed_key};
use crate::page::number;
use crate::page::reactive::{Views, handler, live, memo, rows};

/// The longest run whose epochs each get a segment of their own.
const MOST_SEGMENTS: u32 = 20;

/// A triangle.
pub const PLAY: &str = "M4 2.5v11l9.5-5.5z";
const PAUSE: &str = "M3.5 2.5h3v11h-3zM9.5 2.5h3v11h-3z";
const STEP: &str = "M2.5 2.5v11l7.5-5.5zM11 2.5h2.5v11H11z";
const STOP: &str =
    "M4.5 3h7A1.5 1.5 0 0 1 13 4.5v7a1.5 1.5 0 0 1-1.5 1.5h-7A1.5 1.5 0 0 1 3 11.5v-7A1.5 1.5 0 0 1 4.5 3z";

/// What a button is just now.
#[derive(Debug, Clone)]
pub struct Button {
    /// Its `data-testid`.
    pub id: &'static str,
    /// What it does.
    pub action: Action,
    words: Text,
    icon: &'static str,
    /// Whether it can be pressed.
    pub enabled: bool,
}

impl PartialEq for Button {
    /// Its words are a function, which has no identity to compare: what it says has.
    fn eq(&self, other: &Self) -> bool {
        let said = |button: &Self| (button.words)(Lang::En);
        (self.id, self.enabled, said(self)) == (other.id, other.enabled, said(other))
    }
}

fn button(id: &'static str, action: Action, words: Text, icon: &'static str) -> Button {
    Button { id, action, words, icon, enabled: true }
}

/// The filled button: the next thing to do. None where there is nothing to do, or where a fault's panel has it.
pub fn primary(state: &PageState, lang: Lang) -> Option<Button> {
    if state.failed() {
        return None;
    }
    match &state.phase {
        // The panel has it.
        _ if state.resumable().is_some() => None,
        Phase::LoadingWorker | Phase::LoadingData | Phase::Ready => {
            let enabled = state.can_train() && (!state.tunes() || state.can_tune());
            Some(Button { enabled, ..button("train", Action::Train, Lang::train, PLAY) })
        }
        Phase::Training(Activity::Pausing) => {
            Some(Button { enabled: false, ..button("pause", Action::Pause, Lang::pausing, PAUSE) })
        }
        Phase::Training(activity) => {
            let enabled = !matches!(activity, Activity::Starting | Activity::Compiling);
            Some(Button { enabled, ..button("pause", Action::Pause, Lang::pause, PAUSE) })
        }
        Phase::Paused => Some(button("resume", Action::Resume, Lang::resume, PLAY)),
        Phase::Finished { stopped: true } if can_resume(state) => {
            Some(button("resume", Action::Resume, Lang::resume, PLAY))
        }
        Phase::Finished { .. } => match state.keepable() {
            Some(arm) => {
                let base = state.tuning.from.as_ref().map_or("", |base| base.name.as_str());
                let data = arm.config.finetune.as_ref().map(|finetune| finetune.data.clone()).unwrap_or_default();
                // The name is the visitor's to change on the shelf.
                let called = lang.tuned_name(base, &data);
                let keep = Action::FineTune(finetune::Act::Keep(arm.trainable(), called));
                let words: Text = if arm.kept { Lang::network_kept } else { Lang::keep_network };
                Some(Button { enabled: !arm.kept, ..button("keep-model", keep, words, "") })
            }
            None if state.tunes() => Some(Button {
                enabled: state.can_train() && state.can_tune(),
                ..button("train", Action::Train, Lang::train_again, PLAY)
            }),
            None => Some(button("teach", Action::FineTune(finetune::Act::Mode(true)), Lang::teach_it, "")),
        },
        Phase::Swept => {
            let best = state.sweeps.best()?;
            Some(button("sweep-best", Action::Tune(SweepAction::Open(best)), Lang::use_best, PLAY))
        }
        Phase::Evaluating { .. } | Phase::Sweeping | Phase::Failed(_) => None,
    }
}

/// Whether a stopped run has batches left.
fn can_resume(state: &PageState) -> bool {
    state.run.as_ref().is_some_and(|run| run.step < run.config.steps())
}

fn secondaries(state: &PageState) -> Vec<Button> {
    if state.failed() {
        return Vec::new();
    }
    let step = || button("step", Action::Step, Lang::one_batch, STEP);
    let stop = || button("stop", Action::Stop, Lang::stop, STOP);
    match &state.phase {
        _ if state.resumable().is_some() => Vec::new(),
        Phase::LoadingData | Phase::Ready if state.can_train() && !state.tunes() => vec![step()],
        Phase::Training(_) | Phase::Evaluating { .. } => vec![stop()],
        Phase::Sweeping => vec![button("sweep-stop", Action::Tune(SweepAction::Stop), Lang::sweep_stop, STOP)],
        Phase::Swept => {
            vec![Button { enabled: state.can_train(), ..button("train", Action::Train, Lang::train, "") }]
        }
        Phase::Paused => vec![step(), stop()],
        Phase::Finished { stopped: true } => {
            let again = button("train", Action::Train, Lang::train_again, "");
            let again = can_resume(state).then(|| Button { enabled: state.can_train(), ..again });
            let test = state.is_live().then(|| button("test", Action::Test, Lang::test_now, ""));
            again.into_iter().chain(test).collect()
        }
        Phase::Finished { stopped: false } if state.keepable().is_some() || !state.tunes() => {
            let enabled = state.can_train() && (!state.tunes() || state.can_tune());
            vec![Button { enabled, ..button("train", Action::Train, Lang::train_again, "") }]
        }
        _ => Vec::new(),
    }
}

/// Buttons and progress.
#[component]
pub fn Run() -> impl IntoView {
    let page = expect_context::<Page>();
    let main = page.slice(move |state| primary(state, page.lang.get()));
    let others = page.slice(secondaries);
    let read = move |part: fn(&Button) -> &'static str| main.with(|main| main.as_ref().map(part));
    let enabled = move || main.with(|main| main.as_ref().map(|button| (button.id, button.enabled)));
    let other = move |button: Button| {
        view! {
            <button
                class="btn big"
                data-testid=button.id
                disabled=!button.enabled
                on:click=handler(move |_| page.act(button.action.clone()))
            >
                {(!button.icon.is_empty())
                    .then(|| {
                        view! {
                            <svg viewBox="0 0 16 16" aria-hidden="true">
                                <path fill="currentColor" d=button.icon />
                            </svg>
                        }
                    })}
                <span>{page.say(button.words)}</span>
            </button>
        }
    };
    view! {
        <div class="dock run">
            <button
                class="btn primary"
                data-testid=move || read(|button| button.id)
                hidden=move || main.with(|main| main.is_none())
                // Only Train, before it can be pressed, is disabled: a browser takes the focus from a disabled button,
                // and Pause can be pressed again in a moment.
                disabled=move || enabled() == Some(("train", false))
                aria-disabled=move || enabled().is_some_and(|(_, enabled)| !enabled).then_some("true")
                on:click=handler(move |_| page.primary())
            >
                <svg viewBox="0 0 16 16" aria-hidden="true" class:none=move || read(|button| button.icon) == Some("")>
                    <path fill="currentColor" d=move || read(|button| button.icon) />
                </svg>
                <span>{move || main.with(|main| main.as_ref().map(|button| (button.words)(page.lang.get())))}</span>
            </button>
            {rows(move || others.get(), |button| (button.id, button.enabled), other)}
            <super::finetune::Why />
            <super::files::Export phone=false />
            <Progress />
        </div>
    }
}

/// What the progress shows.
#[derive(Debug, Clone, PartialEq)]
struct Shown {
    /// Filled parts, each 0 to 1; one part is a plain bar, none no bar at all.
    parts: u32,
    filled: f32,
    /// Left and right of the line under it.
    left: Vec<String>,
    right: Vec<String>,
}

fn shown(state: &PageState, lang: Lang) -> Option<Shown> {
    let bar = |filled, left, right| Some(Shown { parts: 1, filled, left, right });
    match &state.phase {
        // The panel says where the run stands.
        Phase::Ready if state.resumable().is_some() => None,
        Phase::LoadingWorker => bar(0.0, Vec::new(), Vec::new()),
        Phase::LoadingData => {
            let data = &state.data;
            let filled = if data.total_bytes == 0 { 0.0 } else { data.bytes as f32 / data.total_bytes as f32 };
            if data.total_shards == 0 {
                return bar(0.0, Vec::new(), Vec::new());
            }
            bar(
                filled,
                vec![lang.shards(data.shards, data.total_shards)],
                vec![lang.bytes(data.bytes, data.total_bytes)],
            )
        }
        Phase::Training(_) | Phase::Paused => {
            let run = state.run.as_ref()?;
            let (config, batches) = (&run.config, run.config.batches_per_epoch());
            let left = vec![lang.epoch_of(run.epoch(), config.epochs), lang.batch_of(run.batch(), batches)];
            let right = if state.phase == Phase::Paused {
                vec![lang.everything_kept().to_owned()]
            } else {
                let speed = (run.images_per_second > 0.0).then(|| lang.speed(run.images_per_second));
                speed.into_iter().chain(run.seconds_left().map(|seconds| lang.left(seconds))).collect()
            };
            let parts = if config.epochs <= MOST_SEGMENTS { config.epochs } else { 1 };
            Some(Shown { parts, filled: run.step as f32 / config.steps() as f32 * parts as f32, left, right })
        }
        Phase::Evaluating { done, total } => {
            bar(*done as f32 / (*total).max(1) as f32, vec![lang.tested(*done, *total)], Vec::new())
        }
        Phase::Finished { stopped: false } => {
            let run = state.run.as_ref()?;
            let took = (run.active_ms > 0.0).then(|| lang.took(run.epoch(), run.active_ms));
            let early = run.early.then(|| lang.ended_early(run.config.patience));
            let tuned = state.keepable().and_then(|arm| {
                let data = &arm.config.finetune.as_ref()?.data;
                Some(lang.to_be_named(&lang.tuned_name(state.tuning.from.as_ref().map_or("", |base| &base.name), data)))
            });
            let best = run.best.map(|epoch| match state.keep.kept_name() {
                Some(name) => lang.best_kept(epoch, name),
                None => tuned.unwrap_or_else(|| lang.best_at(epoch)),
            });
            let left = took.into_iter().chain(early).chain(best).collect();
            Some(Shown { parts: 0, filled: 0.0, left, right: Vec::new() })
        }
        Phase::Finished { stopped: true } => {
            let left = vec![lang.kept_as(state.keep.kept_name()?)];
            Some(Shown { parts: 0, filled: 0.0, left, right: Vec::new() })
        }
        Phase::Ready if state.tunes() => None,
        Phase::Ready => {
            let device = state.device.as_ref()?;
            let speed: f32 = number::read(&browser::recall(&speed_key(device))?)?;
            let images = state.settings.steps() as f32 * state.settings.batch_len() as f32;
            let left = vec![lang.forecast(images / speed.max(1.0))];
            Some(Shown { parts: 0, filled: 0.0, left, right: Vec::new() })
        }
        Phase::Sweeping => {
            let tuning = &state.sweeps;
            let (all, trial) = (tuning.trials().len() as u32, tuning.running());
            let (sweep, (index, trial)) = (tuning.sweep.as_ref()?, trial?);
            let left = vec![
                lang.run_of(index + 1, all as usize),
                lang.epoch_of((trial.epochs + 1).min(sweep.config.epochs), sweep.config.epochs),
            ];
            let speed = (tuning.images_per_second > 0.0).then(|| lang.speed(tuning.images_per_second));
            let parts = if all <= MOST_SEGMENTS { all } else { 1 };
            let done = index as f32 + tuning.share();
            Some(Shown { parts, filled: done / all as f32 * parts as f32, left, right: speed.into_iter().collect() })
        }
        Phase::Swept | Phase::Failed(_) => None,
    }
}

#[component]
fn Progress() -> impl IntoView {
    let page = expect_context::<Page>();
    let shown = page.slice(move |state| shown(state, page.lang.get()));
    let parts = memo(move || shown.with(|shown| shown.as_ref().map(|shown| shown.parts)));
    let filled = move || shown.with(|shown| shown.as_ref().map_or(0.0, |shown| shown.filled));
    let spoken = move || {
        shown.with(|shown| {
            let words = shown.as_ref().map(|shown| [shown.left.as_slice(), &shown.right].concat().join(", "));
            words.unwrap_or_default().replace('*', "")
        })
    };
    let texts = move |right: bool| {
        shown
            .get()
            .map(|shown| if right { shown.right } else { shown.left })
            .unwrap_or_default()
            .into_iter()
            .map(|text| view! { <span>{bold(&text)}</span> })
            .views()
    };
    live(move || {
        let parts = parts.get()?;
        if parts == 0 {
            return Some(
                view! {
                    <p class="small dim aside" data-testid="progress">
                        {move || texts(false)}
                    </p>
                }
                .into_any(),
            );
        }
        let segments = (0..parts)
            .map(|index| {
                let part = memo(move || (filled() - index as f32).clamp(0.0, 1.0));
                view! {
                    <i
                        class:now=move || (f32::MIN_POSITIVE..1.0).contains(&part.get())
                        style:--f=move || format!("{:.1}%", part.get() * 100.0)
                    ></i>
                }
            })
            .views();
        Some(
            view! {
                <div
                    class="fire"
                    data-testid="progress"
                    role="progressbar"
                    aria-label=page.say(Lang::nav_train)
                    aria-valuemin="0"
                    aria-valuemax=parts
                    aria-valuenow=move || format!("{:.2}", filled())
                    aria-valuetext=spoken
                >
                    <div class="segs">{segments}</div>
                    <div class="facts">
                        <div>{move || texts(false)}</div>
                        <div>{move || texts(true)}</div>
                    </div>
                </div>
            }
            .into_any(),
        )
    })
}
