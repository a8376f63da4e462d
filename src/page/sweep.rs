//! Tuning: the group in the recipe's sheet that begins a sweep, and the room with the table of its runs.

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::HtmlElement;

use super::Page;
use super::browser::document;
use super::state::sweep::{Column, Form, SweepAction, order};
use super::state::{Action, PageState, Phase};
use super::words::{Lang, percent};
use crate::page::reactive::{Show, Views, effect, handler, live, rows};
use crate::training::sweep::{Search, Setting, TrialState};

/// A field of the form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slot {
    /// The values of one of [`Setting::ALL`].
    Values(usize),
    Runs,
    Epochs,
    Seed,
}

impl Slot {
    fn name(self) -> &'static str {
        match self {
            Slot::Values(index) => name(Setting::ALL[index]),
            Slot::Runs => "runs",
            Slot::Epochs => "epochs",
            Slot::Seed => "seed",
        }
    }

    fn text(self, form: &Form) -> &str {
        match self {
            Slot::Values(index) => &form.values[index],
            Slot::Runs => &form.runs,
            Slot::Epochs => &form.epochs,
            Slot::Seed => &form.seed,
        }
    }

    fn fill(self, form: &mut Form, text: String) {
        *match self {
            Slot::Values(index) => &mut form.values[index],
            Slot::Runs => &mut form.runs,
            Slot::Epochs => &mut form.epochs,
            Slot::Seed => &mut form.seed,
        } = text;
    }

    fn label(self, lang: Lang) -> &'static str {
        match self {
            Slot::Values(index) => lang.setting(Setting::ALL[index]),
            Slot::Runs => lang.sweep_runs(),
            Slot::Epochs => lang.sweep_epochs(),
            Slot::Seed => lang.sweep_seed(),
        }
    }

    fn effect(self, lang: Lang, state: &PageState) -> String {
        match self {
            Slot::Values(index) => lang.values_effect(Setting::ALL[index], &state.settings),
            Slot::Runs => lang.sweep_runs_effect().into(),
            Slot::Epochs => lang.sweep_epochs_effect().into(),
            Slot::Seed => lang.sweep_seed_effect().into(),
        }
    }
}

fn fill(page: Page, change: impl FnOnce(&mut Form)) {
    let mut form = page.state.with_untracked(|state| state.sweeps.form.clone());
    change(&mut form);
    page.act(Action::Tune(SweepAction::Fill(Box::new(form))));
}

/// What is in the group in the recipe's sheet.
#[component]
pub fn Tuning() -> impl IntoView {
    let page = expect_context::<Page>();
    let search = page.slice(|state| state.sweeps.form.search);
    let plan = page.slice(|state| state.sweeps.form.config(&state.settings));
    let can = page.slice(|state| (state.can_sweep(), state.phase == Phase::Paused));
    let ready = move || can.get().0 && plan.with(Result::is_ok);
    let searches = [Search::Random, Search::Grid].map(|kind| {
        let testid = if kind == Search::Grid { "sweep-grid" } else { "sweep-random" };
        view! {
            <button
                class="btn"
                data-testid=testid
                aria-pressed=move || (search.get() == kind).to_string()
                on:click=handler(move |_| fill(page, |form| form.search = kind))
            >
                {move || page.lang.get().search_name(kind)}
            </button>
        }
    });

    let values = (0..Setting::ALL.len()).map(|index| view! { <Entry field=Slot::Values(index) /> }).views();
    view! {
        <p class="small dim">{page.say(Lang::tuning_effect)}</p>
        <div class="row choices" role="group" aria-label=page.say(Lang::search)>
            {searches.views()}
        </div>
        <p class="tiny dim">{move || page.lang.get().search_effect(search.get())}</p>
        {values}
        <Entry field=Slot::Runs />
        <Entry field=Slot::Epochs />
        <Entry field=Slot::Seed />
        <p class="small plan" class:wrong=move || plan.with(Result::is_err) role="status" data-testid="sweep-plan">
            {move || {
                let lang = page.lang.get();
                plan.with(|plan| match plan {
                    Err(wrong) => lang.sweep_wrong(wrong),
                    Ok(config) => lang.sweep_plan(config.check().unwrap_or_default(), config),
                })
            }}
            {move || {
                let (can, paused) = can.get();
                (!can).then(|| format!(" {}", page.lang.get().sweep_waits(paused)))
            }}
        </p>
        <button
            class="btn"
            data-testid="sweep-start"
            disabled=move || !ready()
            on:click=handler(move |_| {
                page.act(Action::Tune(SweepAction::Start));
                page.sheet.set(false);
            })
        >
            {page.say(Lang::sweep_start)}
        </button>
    }
}

#[component]
fn Entry(field: Slot) -> impl IntoView {
    let page = expect_context::<Page>();
    let text = page.slice(move |state| field.text(&state.sweeps.form).to_owned());
    let effect = page.slice(move |state| field.effect(page.lang.get(), state));
    let id = format!("sweep-field-{}", field.name());
    let several = matches!(field, Slot::Values(_));
    view! {
        <div class="field">
            <label for=id.clone()>{move || field.label(page.lang.get())}</label>
            <p>{move || effect.get()}</p>
            <span class="in">
                <input
                    id=id
                    inputmode=if several { "text" } else { "numeric" }
                    autocomplete="off"
                    data-testid=format!("sweep-{}", field.name())
                    prop:value=move || text.get()
                    on:input=handler(move |event| fill(page, |form| field.fill(form, event_target_value(&event))))
                />
            </span>
        </div>
    }
}

/// The room: there from the first sweep on.
#[component]
pub fn Room() -> impl IntoView {
    let page = expect_context::<Page>();
    let there = page.slice(|state| state.sweeps.sweep.is_some());
    let line = page.slice(move |state| page.lang.get().sweep_room(&state.sweeps));
    announce(page);
    view! {
        <Show when=move || there.get()>
            <section class="sec" id="sweep">
                <header>
                    <h2 class="t">{page.say(Lang::tuning)}</h2>
                    <p>{move || line.get()}</p>
                </header>
                <div class="scroll" role="region" tabindex="0" aria-label=page.say(Lang::sweep_caption)>
                    <Table />
                </div>
            </section>
        </Show>
    }
}

/// Says how each run ended, and whose settings were taken.
fn announce(page: Page) {
    let ended = page.slice(|state| {
        let trials = state.sweeps.trials();
        (trials.iter().filter(|trial| trial.has_run()).count(), trials.iter().rposition(|trial| trial.has_run()))
    });
    effect(move || {
        let (_, Some(index)) = ended.get() else { return };
        let said = page.state.with_untracked(|state| {
            let going = state.phase == Phase::Sweeping;
            going.then(|| page.lang.get_untracked().announce_trial(&state.sweeps, index)).flatten()
        });
        if let Some(said) = said {
            page.announce(said);
        }
    });
    let opened = page.slice(|state| state.sweeps.sweep.as_ref().and_then(|sweep| sweep.opened));
    effect(move || {
        if let Some(index) = opened.get() {
            page.announce(page.lang.get_untracked().opened_trial(index + 1));
        }
    });
}

#[component]
fn Table() -> impl IntoView {
    let page = expect_context::<Page>();
    let sorted = RwSignal::new((Column::Run, false));
    let axes = page.slice(|state| {
        let axes = state.sweeps.sweep.as_ref().map(|sweep| sweep.config.axes.iter().map(|axis| axis.setting).collect());
        axes.unwrap_or_else(Vec::new)
    });
    let trials = page.slice(move |state| {
        let (column, descending) = sorted.get();
        // Another sweep has rows of its own.
        let run = state.sweeps.sweep.as_ref().map(|sweep| sweep.run);
        order(state.sweeps.trials(), column, descending).into_iter().map(|index| (run, index)).collect::<Vec<_>>()
    });
    let done = page.slice(|state| state.sweeps.done());
    let head = move |column: Column| {
        let sort = move || match sorted.get() {
            (now, descending) if now == column => {
                if descending {
                    "descending"
                } else {
                    "ascending"
                }
            }
            _ => "none",
        };
        let words = live(move || {
            let lang = page.lang.get();
            match column {
                Column::Run => lang.column_run(),
                Column::Axis(index) => axes.with(|axes| axes.get(index).map_or("", |setting| lang.setting(*setting))),
                Column::Score => lang.column_score(),
                Column::Epochs => lang.column_epochs(),
                Column::Time => lang.column_time(),
                Column::State => lang.column_state(),
            }
        });
        let testid = match column {
            Column::Run => "sweep-sort-run".to_owned(),
            Column::Axis(index) => axes
                .with_untracked(|axes| format!("sweep-sort-{}", axes.get(index).map_or("", |setting| name(*setting)))),
            Column::Score => "sweep-sort-score".into(),
            Column::Epochs => "sweep-sort-epochs".into(),
            Column::Time => "sweep-sort-time".into(),
            Column::State => "sweep-sort-state".into(),
        };
        let class = if matches!(column, Column::Run | Column::State) { "" } else { "num" };
        view! {
            <th scope="col" class=class aria-sort=sort>
                <button
                    data-testid=testid
                    on:click=handler(move |_| {
                        sorted
                            .update(|(now, descending)| {
                                // The best first, everything else from its beginning; once more turns it round.
                                *descending = if *now == column { !*descending } else { column == Column::Score };
                                *now = column;
                            })
                    })
                >
                    {words}
                </button>
            </th>
        }
    };
    view! {
        <table class="tbl sortable" data-testid="sweep" data-runs=move || done.get()>
            <caption class="vh">{page.say(Lang::sweep_caption)}</caption>
            <thead>
                <tr>
                    {head(Column::Run)}
                    {live(move || (0..axes.with(Vec::len)).map(|index| head(Column::Axis(index))).views())}
                    {head(Column::Score)} {head(Column::Epochs)} {head(Column::Time)} {head(Column::State)}
                </tr>
            </thead>
            <tbody>
                {rows(move || trials.get(), |trial| *trial, |(_, index)| view! { <Row index /> })}
            </tbody>
        </table>
    }
}

/// A setting's name in `data-testid`s.
fn name(setting: Setting) -> &'static str {
    match setting {
        Setting::LearningRate => "learning-rate",
        Setting::BatchSize => "batch-size",
        Setting::WeightDecay => "weight-decay",
        Setting::Dropout => "dropout",
        Setting::Augmentation => "augmentation",
    }
}

#[component]
fn Row(index: usize) -> impl IntoView {
    let page = expect_context::<Page>();
    let trial = page.slice(move |state| state.sweeps.trials().get(index).cloned());
    let is_best = page.slice(move |state| state.sweeps.best() == Some(index));
    let epochs = page.slice(|state| state.sweeps.sweep.as_ref().map_or(0, |sweep| sweep.config.epochs));
    let opened = page.slice(move |state| state.sweeps.sweep.as_ref().and_then(|sweep| sweep.opened) == Some(index));
    let pale = move || {
        let state = trial.with(|trial| trial.as_ref().map(|trial| trial.state));
        matches!(state, Some(TrialState::Pruned | TrialState::Diverged | TrialState::Stopped | TrialState::Waiting))
    };
    // Settings are chosen with the sweep.
    let values = trial.with_untracked(|trial| trial.as_ref().map(|trial| trial.values.clone()).unwrap_or_default());
    let number = index + 1;
    view! {
        <tr class:pale=pale class:best=move || is_best.get() class:on=move || opened.get() on:click=handler(move |_| open(page, index))>
            <th scope="row">
                <button
                    class="link"
                    data-testid=format!("trial-{number}")
                    aria-label=move || page.lang.get().open_trial(number)
                >
                    {number}
                </button>
            </th>
            {values.into_iter().map(|value| view! { <td class="num">{value.to_string()}</td> }).views()}
            <td class="num">
                {live(move || {
                    trial
                        .with(|trial| trial.as_ref().and_then(|trial| trial.best))
                        .map(|best| {
                            view! {
                                <span class="dim tiny nb">{page.lang.get().score_count(best)}</span>
                                " "
                                <b>{percent(best.accuracy(), 1)}</b>
                            }
                        })
                })}
            </td>
            <td class="num nb">
                {move || {
                    let done = trial.with(|trial| trial.as_ref().map_or(0, |trial| trial.epochs));
                    page.lang.get().epochs_done(done, epochs.get())
                }}
            </td>
            <td class="num nb">
                {move || {
                    let seconds = trial.with(|trial| trial.as_ref().map_or(0.0, |trial| trial.seconds));
                    (seconds > 0.0).then(|| page.lang.get().seconds(seconds))
                }}
            </td>
            <td class="nb">
                {move || trial.with(|trial| trial.as_ref().map(|trial| page.lang.get().trial_state(trial)))}
                {live(move || is_best.get().then(|| view! { <span class="mark">{page.say(Lang::best_mark)}</span> }))}
            </td>
        </tr>
    }
}

/// Takes a trial's settings over; the recipe above has them, and the filled button trains.
fn open(page: Page, index: usize) {
    page.act(Action::Tune(SweepAction::Open(index)));
    if page.state.with_untracked(|state| state.phase == Phase::Sweeping) {
        return;
    }
    let find = |selector: &str| document().query_selector(selector).ok().flatten();
    if let Some(bench) = find("#bench") {
        bench.scroll_into_view();
    }
    if let Some(button) = find(".dock .primary").and_then(|button| button.dyn_into::<HtmlElement>().ok()) {
        let _ = button.focus();
    }
}
