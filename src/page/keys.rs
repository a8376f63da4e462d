//! The list of keys.

use leptos::prelude::*;

use super::Page;
use super::browser::{recall, remember};
use super::modal::Modal;
use super::words::{Lang, Text};
use crate::page::reactive::{Views, handler};

/// The list of keys, and the switch that turns them off.
#[component]
pub fn Keys() -> impl IntoView {
    let page = expect_context::<Page>();
    let on = RwSignal::new(recall("keys").as_deref() != Some("off"));
    let keys: [(&str, Text); 7] = [
        ("T", Lang::key_train),
        ("S", Lang::key_step),
        ("C", Lang::key_clear),
        ("0–9", Lang::key_label),
        ("R", Lang::key_recipe),
        ("?", Lang::key_list),
        ("Esc", Lang::key_escape),
    ];
    let rows = keys.map(|(key, words)| {
        view! {
            <div class="key">
                <dt>
                    <kbd>{key}</kbd>
                </dt>
                <dd>{page.say(words)}</dd>
            </div>
        }
    });
    view! {
        <Modal open=page.keys class="over" testid="keys" title=Lang::keyboard>
            <div class="body">
                <dl class="keylist">{rows.views()}</dl>
                <div class="field">
                    <label for="keys-on">{page.say(Lang::shortcuts)}</label>
                    <span class="in bare">
                        <button
                            class="sw"
                            class:on=move || on.get()
                            id="keys-on"
                            data-testid="keys-on"
                            role="switch"
                            aria-checked=move || on.get().to_string()
                            on:click=handler(move |_| {
                                on.update(|on| *on = !*on);
                                remember("keys", (!on.get_untracked()).then_some("off"));
                            })
                        ></button>
                    </span>
                </div>
            </div>
        </Modal>
    }
}
