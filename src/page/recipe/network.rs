//! The network's editor: its blocks and dense layers as rows, what each gives, and why one does not fit; and the
//! summary that Keras would print.

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use web_sys::HtmlElement;

use super::Unfit;
use super::fields::{Entry, Place, Setting, change};
use crate::model::summary::{MAX_CONVOLUTIONS, MAX_DENSE, MAX_WIDTH, summarize};
use crate::model::{Convolution, NetworkConfig, NetworkError, Padding};
use crate::page::Page;
use crate::page::browser::{after, document};
use crate::page::reactive::{Show, Views, handler, live, memo, rows};
use crate::page::settings::layers::KERNELS;
use crate::page::settings::{Bounds, Field, bounded, is_changed};
use crate::page::words::{Lang, count};
use crate::training::RunConfig;

/// Convolutions or dense layers: what can be moved among its like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Convolution,
    Dense,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Convolution => "conv",
            Kind::Dense => "dense",
        }
    }

    fn len(self, network: &NetworkConfig) -> usize {
        match self {
            Kind::Convolution => network.convolutions.len(),
            Kind::Dense => network.dense.len(),
        }
    }

    fn title(self, lang: Lang, index: usize) -> String {
        match self {
            Kind::Convolution => lang.conv_title(index + 1),
            Kind::Dense => lang.dense_title(index + 1),
        }
    }
}

/// Changes the network. Whatever comes out is taken: one that does not fit says so.
fn edit(page: Page, edit: impl FnOnce(&mut NetworkConfig)) {
    let _ = change(page, |settings| {
        edit(&mut settings.network);
        Ok(())
    });
}

/// The editor and the summary.
#[component]
pub fn Editor() -> impl IntoView {
    let page = expect_context::<Page>();
    let convolutions = page.slice(|state| state.settings.network.convolutions.len());
    let dense = page.slice(|state| state.settings.network.dense.len());
    let changed = page.slice(|state| is_changed(Field::Network, &state.settings));
    view! {
        <ol class="layers">
            {rows(move || (0..convolutions.get()).collect(), |index| *index, |index| view! { <Block index /> })}
        </ol>
        <div class="row">
            <button
                class="link"
                data-testid="network-add-convolution"
                disabled=move || convolutions.get() == MAX_CONVOLUTIONS
                on:click=handler(move |_| {
                    edit(
                        page,
                        |network| {
                            let filters = network.convolutions.last().map_or(32, |last| last.filters);
                            network.convolutions.push(Convolution::new(filters, false));
                        },
                    )
                })
            >
                {page.say(Lang::add_convolution)}
            </button>
        </div>
        <ol class="layers">
            {rows(move || (0..dense.get()).collect(), |index| *index, |index| view! { <Dense index /> })}
            <li class="layer fixed">
                <b>{move || page.lang.get().dense_title(dense.get() + 1)}</b>
                <span class="gives">{page.say(Lang::answers_layer)}</span>
            </li>
        </ol>
        <div class="row">
            <button
                class="link"
                data-testid="network-add-dense"
                disabled=move || dense.get() == MAX_DENSE
                on:click=handler(move |_| edit(page, |network| network.dense.push(64)))
            >
                {page.say(Lang::add_dense)}
            </button>
            <button
                class="link"
                data-testid="reset-network"
                hidden=move || !changed.get()
                on:click=handler(move |_| {
                    let usual = RunConfig::default().network;
                    edit(page, |network| (network.convolutions, network.dense) = (usual.convolutions, usual.dense));
                })
            >
                {page.say(Lang::default_layers)}
            </button>
        </div>
        <Setting field=Field::BatchNorm place=Place::Sheet />
        <Setting field=Field::Dropout place=Place::Network />
        <Summary />
    }
}

/// The layer that does not fit, from 1, dense layers counted on.
fn failing(error: &NetworkError) -> Option<usize> {
    match error {
        NetworkError::Kernel { layer, .. } | NetworkError::Pool { layer, .. } | NetworkError::Size { layer, .. } => {
            Some(*layer)
        }
        NetworkError::Dropout => None,
    }
}

/// One convolution, with its pool.
#[component]
fn Block(index: usize) -> impl IntoView {
    let page = expect_context::<Page>();
    // A row outlives its block by a moment when one is removed.
    let block = page.slice(move |state| {
        let block = state.settings.network.convolutions.get(index);
        block.copied().unwrap_or(Convolution::new(1, false))
    });
    let gives = page.slice(move |state| {
        let network = &state.settings.network;
        // Of the blocks up to this one alone: what comes after it may not fit.
        let convolutions = network.convolutions.get(..=index)?.to_vec();
        let summary = summarize(&NetworkConfig { convolutions, ..network.clone() }).ok()?;
        let of_block = |name: &str| summary.layer(&format!("{name}{}", index + 1)).cloned();
        let (convolution, last) = (of_block("conv")?, of_block("pool").or_else(|| of_block("conv"))?);
        Some((last.output[0], last.output[1], convolution.parameters))
    });
    let wrong = page.slice(move |state| state.network_error().as_ref().and_then(failing) == Some(index + 1));
    let set = move |part: fn(&mut Convolution, usize), value: usize| {
        edit(page, |network| {
            if let Some(block) = network.convolutions.get_mut(index) {
                part(block, value);
            }
        });
    };
    let id = move |part: &str| format!("conv-{}-{part}", index + 1);
    let kernels = KERNELS.map(|kernel| {
        view! {
            <option value=kernel.to_string() prop:selected=move || block.get().kernel == kernel>
                {format!("{kernel}×{kernel}")}
            </option>
        }
    });
    view! {
        <li class="layer" class:wrong=move || wrong.get()>
            <b>{move || page.lang.get().conv_title(index + 1)}</b>
            <span class="gives" data-testid=id("output")>
                {move || gives.get().map(|(maps, side, parameters)| page.lang.get().block_output(maps, side, parameters))}
            </span>
            <Handles kind=Kind::Convolution index />
            <div class="parts">
                <label>
                    {page.say(Lang::filters)}
                    <Number
                        testid=id("filters")
                        most=MAX_WIDTH
                        value=Signal::derive(move || block.get().filters)
                        set=Callback::new(move |filters| set(|block, filters| block.filters = filters, filters))
                    />
                </label>
                <label>
                    {page.say(Lang::kernel)} <span class="in">
                        <select
                            data-testid=id("kernel")
                            on:change=handler(move |event| {
                                if let Ok(kernel) = event_target_value(&event).parse() {
                                    set(|block, kernel| block.kernel = kernel, kernel);
                                }
                            })
                        >
                            {kernels.views()}
                        </select>
                    </span>
                </label>
                <label>
                    {page.say(Lang::padding)} <span class="in">
                        <select
                            data-testid=id("padding")
                            on:change=handler(move |event| {
                                let valid = event_target_value(&event) == "valid";
                                set(
                                    |block, valid| {
                                        block.padding = if valid == 1 { Padding::Valid } else { Padding::Same };
                                    },
                                    valid.into(),
                                );
                            })
                        >
                            <option value="same" prop:selected=move || block.get().padding == Padding::Same>
                                {page.say(Lang::padding_same)}
                            </option>
                            <option value="valid" prop:selected=move || block.get().padding == Padding::Valid>
                                {page.say(Lang::padding_none)}
                            </option>
                        </select>
                    </span>
                </label>
                <label>
                    {page.say(Lang::pool)} <span class="in bare">
                        <button
                            class="sw"
                            class:on=move || block.get().pool
                            role="switch"
                            aria-checked=move || block.get().pool.to_string()
                            data-testid=id("pool")
                            on:click=handler(move |_| {
                                set(|block, pool| block.pool = pool == 1, (!block.get_untracked().pool).into());
                            })
                        ></button>
                    </span>
                </label>
            </div>
            <Show when=move || wrong.get()>
                <Unfit testid="network-error" />
            </Show>
        </li>
    }
}

/// One hidden dense layer.
#[component]
fn Dense(index: usize) -> impl IntoView {
    let page = expect_context::<Page>();
    let width = page.slice(move |state| state.settings.network.dense.get(index).copied().unwrap_or(1));
    let wrong = page.slice(move |state| {
        let layer = state.settings.network.convolutions.len() + index + 1;
        state.network_error().as_ref().and_then(failing) == Some(layer)
    });
    let set = move |width: usize| {
        edit(page, |network| {
            if let Some(dense) = network.dense.get_mut(index) {
                *dense = width;
            }
        });
    };
    view! {
        <li class="layer" class:wrong=move || wrong.get()>
            <b>{move || page.lang.get().dense_title(index + 1)}</b>
            <label class="gives">
                {page.say(Lang::width)}
                <Number
                    testid=format!("dense-{}-width", index + 1)
                    most=MAX_WIDTH
                    value=Signal::derive(move || width.get())
                    set=Callback::new(set)
                />
            </label>
            <Handles kind=Kind::Dense index />
            <Show when=move || wrong.get()>
                <Unfit testid="network-error" />
            </Show>
        </li>
    }
}

/// Moves a layer among its like, or takes it out.
#[component]
fn Handles(kind: Kind, index: usize) -> impl IntoView {
    let page = expect_context::<Page>();
    let len = page.slice(move |state| kind.len(&state.settings.network));
    let title = move || kind.title(page.lang.get(), index);
    let testid = move |index: usize, what: &str| format!("{}-{}-{what}", kind.name(), index + 1);
    let shift = move |up: bool| {
        let to = if up { index.wrapping_sub(1) } else { index + 1 };
        if to >= len.get_untracked() {
            return;
        }
        edit(page, |network| match kind {
            Kind::Convolution => network.convolutions.swap(index, to),
            Kind::Dense => network.dense.swap(index, to),
        });
        let lang = page.lang.get_untracked();
        page.announce(lang.moved(&kind.title(lang, index), &kind.title(lang, to)));
        // Rows stay where they are and show other values, so the focus follows the layer by hand.
        let follow = testid(to, if up { "up" } else { "down" });
        after(0, move || focus(&follow));
    };
    let remove = move |_| {
        edit(page, |network| match kind {
            Kind::Convolution => {
                network.convolutions.remove(index);
            }
            Kind::Dense => {
                network.dense.remove(index);
            }
        });
        let left = len.get_untracked();
        let next = match left {
            0 => format!("network-add-{}", if kind == Kind::Convolution { "convolution" } else { "dense" }),
            _ => testid(index.min(left - 1), "remove"),
        };
        after(0, move || focus(&next));
    };
    view! {
        <span class="handles">
            <button
                class="icon"
                data-testid=testid(index, "up")
                aria-label=move || page.lang.get().move_layer(&title(), true)
                aria-disabled=(index == 0).then_some("true")
                on:click=handler(move |_| shift(true))
            >
                "↑"
            </button>
            <button
                class="icon"
                data-testid=testid(index, "down")
                aria-label=move || page.lang.get().move_layer(&title(), false)
                aria-disabled=move || (index + 1 >= len.get()).then_some("true")
                on:click=handler(move |_| shift(false))
            >
                "↓"
            </button>
            <button
                class="icon"
                data-testid=testid(index, "remove")
                aria-label=move || page.lang.get().remove_layer(&title())
                on:click=handler(remove)
            >
                "✕"
            </button>
        </span>
    }
}

fn focus(testid: &str) {
    let element = document().query_selector(&format!("[data-testid={testid}]")).ok().flatten();
    if let Some(element) = element.and_then(|element| element.dyn_into::<HtmlElement>().ok()) {
        let _ = element.focus();
    }
}

/// A whole number from 1 on.
#[component]
fn Number(testid: String, most: usize, value: Signal<usize>, set: Callback<usize>) -> impl IntoView {
    let page = expect_context::<Page>();
    let error = RwSignal::new(None::<Bounds>);
    let take = Callback::new(move |text: String| {
        let mut number = value.get_untracked();
        let taken = bounded(text.trim(), 1..=most, &mut number);
        error.set(taken.err());
        if error.with_untracked(Option::is_none) {
            set.run(number);
        }
    });
    let text = memo(move || value.get().to_string());
    view! {
        <span class="in" class:wrong=move || error.with(Option::is_some)>
            <Entry id=testid.clone() testid value=text set=take error />
        </span>
        {live(move || error.get().map(|bounds| view! { <em class="wrong" role="alert">{page.lang.get().bounds(&bounds)}</em> }))}
    }
}

/// The network, layer by layer, as Keras prints it.
#[component]
fn Summary() -> impl IntoView {
    let page = expect_context::<Page>();
    let config = page.slice(|state| state.settings.network.clone());
    let summary = memo(move || summarize(&config.get()).ok());
    let shape = |output: &[usize]| output.iter().map(usize::to_string).collect::<Vec<_>>().join(" × ");
    view! {
        <table class="tbl summary" data-testid="summary" hidden=move || summary.with(Option::is_none)>
            <thead>
                <tr>
                    <th>{page.say(Lang::layer)}</th>
                    <th>{page.say(Lang::output_shape)}</th>
                    <th class="num">{page.say(Lang::parameters)}</th>
                </tr>
            </thead>
            <tbody>
                {live(move || {
                    summary
                        .get()
                        .into_iter()
                        .flat_map(|summary| summary.layers)
                        .map(|layer| {
                            view! {
                                <tr>
                                    <td>{layer.name}</td>
                                    <td>{shape(&layer.output)}</td>
                                    <td class="num">{count(layer.parameters as u32)}</td>
                                </tr>
                            }
                        })
                        .views()
                })}
            </tbody>
            <tfoot>
                <tr>
                    <td colspan="2">{page.say(Lang::total)}</td>
                    <td class="num" data-testid="summary-total">
                        {move || summary.get().map(|summary| count(summary.parameters() as u32))}
                    </td>
                </tr>
            </tfoot>
        </table>
    }
}
