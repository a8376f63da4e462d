//! Leptos' building blocks with their types erased. Leptos compiles them anew for every closure and every type
//! that they are given; the page's binary has each of these once, or once for each type of value.

use std::hash::{DefaultHasher, Hash, Hasher};

use leptos::prelude::*;

/// A value that is computed anew when a signal that it was computed from has changed. Who reads it follows only the
/// value itself.
pub fn memo<T: PartialEq + Send + Sync + 'static>(value: impl Fn() -> T + Send + Sync + 'static) -> Memo<T> {
    fn erased<T: PartialEq + Send + Sync + 'static>(value: Box<dyn Fn() -> T + Send + Sync>) -> Memo<T> {
        Memo::new(move |_| value())
    }
    erased(Box::new(value))
}

/// Does `work`, and does it again whenever a signal that it read has changed.
pub fn effect(work: impl FnMut() + 'static) {
    fn erased(mut work: Box<dyn FnMut()>) {
        Effect::new(move |_| work());
    }
    erased(Box::new(work));
}

/// Does `work` each time that the count has changed; not at first. What `work` reads is not followed.
pub fn on_change(count: impl Fn() -> u32 + 'static, work: impl Fn() + 'static) {
    let mut before = None;
    effect(move || {
        let now = count();
        if before.replace(now).is_some_and(|before| before != now) {
            untrack(&work);
        }
    });
}

/// A view for each item. It stays while an item of its key stays: what the view depends on and doesn't follow itself
/// belongs into the key.
pub fn rows<T: Send + 'static, K: Hash, V: IntoView + 'static>(
    items: impl Fn() -> Vec<T> + Send + 'static,
    key: impl Fn(&T) -> K + Send + 'static,
    view: impl Fn(T) -> V + Clone + Send + 'static,
) -> impl IntoView {
    type Row = (u64, Box<dyn FnOnce() -> AnyView + Send>);
    fn erased(rows: Box<dyn Fn() -> Vec<Row> + Send>) -> AnyView {
        view! { <For each=rows key=|(key, _)| *key children=|(_, view)| view() /> }.into_any()
    }
    let row = move |item: T| -> Row {
        // Of a few hundred items two have the same 64 bits once in 10¹⁴ times.
        let mut hasher = DefaultHasher::new();
        key(&item).hash(&mut hasher);
        let view = view.clone();
        (hasher.finish(), Box::new(move || view(item).into_any()))
    };
    erased(Box::new(move || items().into_iter().map(&row).collect()))
}
