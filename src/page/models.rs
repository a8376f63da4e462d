//! The shelf: the models that are kept, and two of them side by side.

use leptos::html;
use leptos::prelude::*;
use wasm_bindgen_futures::{JsFuture, spawn_local};

use super::Page;
use super::browser::{after, moment, window};
use super::plot::{Axis, Measure, epoch_means};
use super::settings::Field;
use super::state::Action;
use super::state::keep::KeepAction;
use super::words::{Lang, Text, count, percent};
use crate::page::reactive::{Show, Views, effect, handler, live, memo, on_load, rows};
use crate::shelf::{MAX_NAME, ModelCard, ModelId, UNDO_MS};
use crate::training::{History, RunConfig};

/// The room; nothing until there is a model.
#[component]
pub fn Models() -> impl IntoView {
    let page = expect_context::<Page>();
    let cards = page.slice(|state| state.keep.shelf.models.clone());
    let unreadable = page.slice(|state| state.keep.shelf.unreadable);
    let there = page.slice(|state| state.has_shelf());
    // Which model is being renamed.
    let renaming = RwSignal::new(None::<ModelId>);
    let heads: [(Text, &str); 5] = [
        (Lang::model_name, ""),
        (Lang::trained_on, "hide"),
        (Lang::model_accuracy, "num"),
        (Lang::size, "num hide"),
        (Lang::saved, "num hide"),
    ];
    let head = move |(words, class): (Text, &'static str)| view! { <th class=class>{page.say(words)}</th> };
    view! {
        <Show when=move || there.get()>
            <section class="sec" id="models" data-testid="models">
                <header>
                    <h2 class="t">{page.say(Lang::models)}</h2>
                    <p>{page.say(Lang::models_line)}</p>
                </header>
                <table class="tbl shelf">
                    <thead>
                        <tr>
                            <th>
                                <span class="vh">{page.say(Lang::compare)}</span>
                            </th>
                            {heads.map(head).views()}
                            <th>
                                <span class="vh">{page.say(Lang::actions)}</span>
                            </th>
                        </tr>
                    </thead>
                    <tbody>
                        {rows(
                            move || cards.get(),
                            |card| (card.id, card.deleted.is_some()),
                            move |card| view! { <Row card renaming /> },
                        )}
                    </tbody>
                </table>
                <Show when=move || unreadable.with(|count| *count > 0)>
                    <p class="small dim" data-testid="unreadable">
                        {move || page.lang.get().unreadable(unreadable.get())}
                    </p>
                </Show>
                <Comparison />
                <super::files::OpenFile />
                <Room />
            </section>
        </Show>
    }
}

#[component]
fn Row(card: ModelCard, renaming: RwSignal<Option<ModelId>>) -> impl IntoView {
    let page = expect_context::<Page>();
    let id = card.id;
    let act = move |action| page.act(Action::Keep(action));
    if card.deleted.is_some() {
        let name = card.name;
        let undo = move |_| act(KeepAction::Restore(id));
        return view! {
            <tr class="gone-row" data-testid=format!("model-{}", id.0)>
                <td></td>
                <td colspan="6">
                    {move || page.lang.get().was_deleted(&name)} " "
                    <button class="link" data-testid=format!("model-undo-{}", id.0) on:click=handler(undo)>
                        {page.say(Lang::undo)}
                    </button>
                </td>
            </tr>
        }
        .into_any();
    }
    // The row lives as long as its model; what it says follows the card.
    let last = StoredValue::new(card);
    let card = memo(move || {
        if let Some(card) = page.state.with(|state| state.keep.model(id).cloned()) {
            last.set_value(card);
        }
        last.get_value()
    });
    let open = page.slice(move |state| state.opened().is_some_and(|card| card.id == id));
    let can_open = page.slice(|state| state.can_open());
    let chosen = page.slice(move |state| state.keep.chosen.contains(&id));
    let name = move || card.with(|card| card.name.clone());
    let renames = memo(move || renaming.get() == Some(id));
    let label = move |words: Text| move || page.lang.get().of_model(words, &name());
    let delete = move |_| {
        act(KeepAction::Delete(id));
        after(UNDO_MS as i32 + 100, move || page.act(Action::Keep(KeepAction::Purge)));
    };
    view! {
        <tr class:on=move || open.get() data-testid=format!("model-{}", id.0)>
            <td class="pick">
                <input
                    type="checkbox"
                    data-testid=format!("model-choose-{}", id.0)
                    aria-label=label(Lang::compare)
                    prop:checked=move || chosen.get()
                    on:change=handler(move |_| act(KeepAction::Choose(id)))
                />
            </td>
            <td class="name">
                {live(move || {
                    if renames.get() {
                        view! { <Rename id name=name() renaming /> }.into_any()
                    } else {
                        view! { <b>{move || name()}</b> }.into_any()
                    }
                })}
            </td>
            <td class="hide dim">{move || card.with(|card| page.lang.get().trained_on_what(card))}</td>
            <td class="num">
                {live(move || {
                    let lang = page.lang.get();
                    card.with(|card| match card.score() {
                        Some((_, score)) => {
                            view! {
                                <b>{percent(score.accuracy(), 2)}</b>
                                <small>{lang.measured_by(card)}</small>
                            }
                                .into_any()
                        }
                        None => view! { <span class="dim">{lang.not_tested()}</span> }.into_any(),
                    })
                })}
            </td>
            <td class="num hide">{move || card.with(|card| page.lang.get().model_size(card.bytes))}</td>
            <td class="num hide">
                {move || {
                    let lang = page.lang.get();
                    let (days, time, date) = moment(card.with(|card| card.saved), lang.code());
                    lang.moment(days, &time, &date)
                }}
            </td>
            <td class="num does">
                <button
                    class="link"
                    data-testid=format!("model-open-{}", id.0)
                    aria-label=label(Lang::open_model)
                    disabled=move || open.get() || !can_open.get()
                    on:click=handler(move |_| act(KeepAction::Open(id)))
                >
                    {move || {
                        let lang = page.lang.get();
                        if open.get() { lang.open_now() } else { lang.open_model() }
                    }}
                </button>
                <button
                    class="link"
                    data-testid=format!("model-rename-{}", id.0)
                    aria-label=label(Lang::rename)
                    on:click=handler(move |_| renaming.set(Some(id)))
                >
                    {page.say(Lang::rename)}
                </button>
                <super::files::Menu model=Some(id) />
                <button
                    class="link"
                    data-testid=format!("model-delete-{}", id.0)
                    aria-label=label(Lang::delete)
                    on:click=handler(delete)
                >
                    {page.say(Lang::delete)}
                </button>
            </td>
        </tr>
    }
    .into_any()
}

/// The name as a field: Enter or leaving it takes the name, Escape does not.
#[component]
fn Rename(id: ModelId, name: String, renaming: RwSignal<Option<ModelId>>) -> impl IntoView {
    let page = expect_context::<Page>();
    let field = NodeRef::<html::Input>::new();
    on_load(field, |field| {
        let _ = field.focus();
        field.select();
    });
    let before = name.clone();
    let take = move || {
        // Enter and the loss of the focus that follows both come here.
        if renaming.get_untracked() != Some(id) {
            return;
        }
        let name = field.get_untracked().map(|field| field.value()).unwrap_or_default();
        renaming.set(None);
        if !name.trim().is_empty() && name != before {
            page.act(Action::Keep(KeepAction::Rename(id, name)));
        }
    };
    let keys = {
        let take = take.clone();
        move |event: leptos::ev::KeyboardEvent| match event.key().as_str() {
            "Enter" => take(),
            "Escape" => {
                event.stop_propagation();
                renaming.set(None);
            }
            _ => {}
        }
    };
    view! {
        <span class="in">
            <input
                node_ref=field
                value=name
                maxlength=MAX_NAME
                aria-label=page.say(Lang::model_name)
                data-testid=format!("model-name-{}", id.0)
                on:keydown=handler(keys)
                on:blur=handler(move |_| take())
            />
        </span>
    }
}

/// Two models side by side.
#[component]
fn Comparison() -> impl IntoView {
    let page = expect_context::<Page>();
    let pair = page.slice(|state| {
        let [first, second] = state.keep.compared()?;
        let history = |card: &ModelCard| state.keep.histories.get(&card.id).cloned().flatten();
        Some([(first.clone(), history(first)), (second.clone(), history(second))])
    });
    let two = memo(move || pair.with(Option::is_some));
    let shown = RwSignal::new(false);
    // Another pair is compared when it is asked for.
    effect(move || {
        if !two.get() {
            shown.set(false);
        }
    });
    view! {
        <Show when=move || two.get()>
            <p class="row">
                <button
                    class="btn"
                    data-testid="model-compare"
                    aria-expanded=move || shown.get().to_string()
                    on:click=handler(move |_| shown.update(|shown| *shown = !*shown))
                >
                    {move || {
                        let lang = page.lang.get();
                        if shown.get() { lang.close_comparison() } else { lang.compare() }
                    }}
                </button>
            </p>
        </Show>
        <Show when=move || shown.get() && two.get()>
            {move || pair.get().map(|pair| side_by_side(page.lang.get(), pair))}
        </Show>
    }
}

fn side_by_side(lang: Lang, pair: [(ModelCard, Option<History>); 2]) -> impl IntoView {
    let [first, second] = &pair;
    let cards = [&first.0, &second.0];
    let names = cards.map(|card| card.name.as_str());
    let row = |head: String, cells: [String; 2]| {
        view! {
            <tr>
                <th scope="row">{head}</th>
                {cells.map(|cell| view! { <td class="num">{cell}</td> }).views()}
            </tr>
        }
    };
    let score = |score: Option<crate::training::Score>| {
        score.map_or_else(|| lang.not_measured().to_owned(), |score| lang.with_interval(score))
    };
    let measures = [
        row(lang.on_test().into(), cards.map(|card| score(card.test))),
        row(lang.on_validation().into(), cards.map(|card| score(card.validation.map(|(_, score)| score)))),
        row(lang.parameters().into(), cards.map(|card| count(card.parameters))),
        row(lang.size().into(), cards.map(|card| lang.model_size(card.bytes))),
        row(lang.trained_on().into(), cards.map(|card| lang.trained_on_what(card))),
    ]
    .views();
    // Two counts can be held against each other where the same images were counted.
    let verdict = match cards.map(|card| card.test) {
        [Some(a), Some(b)] if a.total == b.total => Some(lang.verdict(names, [a, b])),
        _ => match cards.map(|card| card.validation) {
            [Some((_, a)), Some((_, b))] if a.total == b.total => Some(lang.verdict(names, [a, b])),
            _ => None,
        },
    };
    let differences = match cards.map(|card| card.config.as_ref()) {
        [Some(a), Some(b)] => {
            let differing = Field::all().filter(|field| field.get(a) != field.get(b));
            differing.map(|field| row(lang.field(field).into(), [a, b].map(|config| field.get(config)))).views()
        }
        _ => Vec::new(),
    };
    let alike = differences.is_empty().then(|| lang.settings_alike());
    let curves = match [&first.1, &second.1] {
        [None, None] => view! { <p class="small dim">{lang.no_curves()}</p> }.into_any(),
        histories => {
            let lines =
                std::array::from_fn(|index| (names[index], histories[index].as_ref(), cards[index].config.as_ref()));
            [Measure::Loss, Measure::Accuracy].map(|measure| curve(lang, measure, lines)).views().into_any()
        }
    };
    view! {
        <div class="compare" data-testid="model-comparison" role="group" aria-label=lang.compared(names)>
            <table class="tbl">
                <caption class="vh">{lang.compared(names)}</caption>
                <thead>
                    <tr>
                        <td></td>
                        {names.map(|name| view! { <th scope="col" class="num">{name.to_owned()}</th> }).views()}
                    </tr>
                </thead>
                <tbody>{measures} {differences}</tbody>
            </table>
            <p class="small dim">{alike} " " {lang.intervals()}</p>
            {verdict.map(|verdict| view! { <p data-testid="model-verdict">{verdict}</p> })}
            <div class="curves">{curves}</div>
        </div>
    }
}

/// The validations of two runs in one plot: the first a full line, the second a dashed one.
fn curve(
    lang: Lang,
    measure: Measure,
    lines: [(&str, Option<&History>, Option<&RunConfig>); 2],
) -> impl IntoView + use<> {
    let title = match measure {
        Measure::Loss => lang.curve_loss(),
        Measure::Accuracy => lang.curve_accuracy(),
    };
    let value = |score: &crate::training::Score| match measure {
        Measure::Loss => score.loss,
        Measure::Accuracy => score.accuracy(),
    };
    let epochs = lines.iter().filter_map(|(_, history, _)| Some(history.as_ref()?.scores.last()?.0)).max().unwrap_or(1);
    let settled = lines
        .iter()
        .filter_map(|(_, history, _)| *history)
        .all(|history| history.scores.iter().all(|(_, score)| score.accuracy() >= 0.9));
    let axis = Axis::new(measure, true, settled);
    let x = |epoch: u32| 40.0 + 250.0 * epoch as f32 / epochs.max(1) as f32;
    let y = |value: f32| 6.0 + 96.0 * axis.place(value).clamp(0.0, 1.0);
    let ticks = axis.ticks().into_iter().map(|(value, label)| {
        let y = y(value).to_string();
        view! {
            <line class="grid" x1="40" x2="290" y1=y.clone() y2=y.clone() />
            <text x="34" y=y dy=".32em" text-anchor="end">{label}</text>
        }
    });
    let ticks = ticks.views();
    let path = |(_, history, config): (&str, Option<&History>, Option<&RunConfig>), class: &'static str| {
        let history = history?;
        let points: Vec<String> =
            history.scores.iter().map(|(epoch, score)| format!("{:.1},{:.1}", x(*epoch), y(value(score)))).collect();
        // What its batches averaged is a fainter line under it.
        let means = history.scores.iter().filter_map(|(epoch, _)| {
            let (loss, accuracy) = epoch_means(&history.points, config?, *epoch)?;
            let mean = if measure == Measure::Loss { loss } else { accuracy };
            Some(format!("{:.1},{:.1}", x(*epoch), y(mean)))
        });
        let means: Vec<String> = means.collect();
        Some(view! {
            <polyline class=format!("mean {class}") points=means.join(" ") />
            <polyline class=class points=points.join(" ") />
        })
    };
    let keys = lines.map(|(name, _, _)| name.to_owned());
    let [first, second] = lines;
    view! {
        <figure>
            <figcaption>
                <b>{title}</b>
                {keys
                    .into_iter()
                    .zip(["first", "second"])
                    .map(|(name, class)| {
                        view! {
                            <span>
                                <svg viewBox="0 0 24 8" aria-hidden="true">
                                    <path class=class d="M0 4h24" />
                                </svg>
                                {name}
                            </span>
                        }
                    })
                    .views()}
            </figcaption>
            <svg viewBox="0 0 300 124" aria-hidden="true">
                {ticks}
                {path(first, "first")}
                {path(second, "second")}
                <text x="40" y="118" text-anchor="middle">"0"</text>
                <text x="290" y="118" text-anchor="middle">{epochs}</text>
                <text x="165" y="118" text-anchor="middle">{lang.epoch()}</text>
            </svg>
        </figure>
    }
}

/// How much room there is, and whether the browser may take it back.
#[component]
fn Room() -> impl IntoView {
    let page = expect_context::<Page>();
    let used = page.slice(|state| (state.keep.shelf.usage, state.keep.shelf.quota));
    let persisted = page.slice(|state| state.keep.shelf.persisted);
    let refused = RwSignal::new(false);
    let ask = move |_| {
        let Ok(asked) = window().navigator().storage().persist() else { return refused.set(true) };
        spawn_local(async move {
            let granted = JsFuture::from(asked).await;
            refused.set(!granted.is_ok_and(|granted| granted.is_truthy()));
            page.act(Action::Keep(KeepAction::Look));
        });
    };
    view! {
        <div class="shelf-room small dim">
            <p data-testid="storage-used">
                {move || {
                    let (usage, quota) = used.get();
                    usage.map(|usage| page.lang.get().storage_used(usage, quota))
                }}
            </p>
            {live(move || {
                if persisted.get() {
                    view! { <p data-testid="persisted">{page.say(Lang::persist_granted)}</p> }.into_any()
                } else {
                    view! {
                        <p>
                            {page.say(Lang::persist_why)} " "
                            <button class="link" data-testid="persist" on:click=handler(ask)>
                                {page.say(Lang::ask_persist)}
                            </button>
                        </p>
                        <p role="status">{move || refused.get().then(|| page.lang.get().persist_refused())}</p>
                    }
                        .into_any()
                }
            })}
        </div>
    }
}
