//! Leptos' building blocks with their types erased. Leptos compiles them anew for every closure and every type
//! that they are given; the page's binary has each of these once, or once for each type of value.

use std::any::Any;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::marker::PhantomData;
use std::sync::Arc;

use leptos::html::ElementType;
use leptos::prelude::*;
use wasm_bindgen::JsCast;

/// `Fn` and no more. A `dyn Fn` is a `FnOnce` too, and has code for that in each of hundreds of closures.
trait Call<V> {
    fn call(&self) -> V;
}

impl<V, F: Fn() -> V> Call<V> for F {
    fn call(&self) -> V {
        self()
    }
}

/// A value that is computed anew when a signal that it was computed from has changed. Who reads it follows only the
/// value itself.
pub struct Memo<T> {
    value: leptos::prelude::Memo<Value>,
    of: PhantomData<fn() -> T>,
}

impl<T> Clone for Memo<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Memo<T> {}

/// Makes a [`Memo`].
pub fn memo<T: PartialEq + Send + Sync + 'static>(value: impl Fn() -> T + Send + Sync + 'static) -> Memo<T> {
    fn erased(value: Box<dyn Call<Value> + Send + Sync>) -> leptos::prelude::Memo<Value> {
        leptos::prelude::Memo::new(move |_| value.call())
    }
    Memo { value: erased(Box::new(move || Value(Arc::new(value())))), of: PhantomData }
}

/// A [`Memo`] of a part of what a signal holds. The signal is read in one place for all parts, not in each.
pub fn part_of<S, T>(signal: RwSignal<S>, part: impl Fn(&S) -> T + Send + Sync + 'static) -> Memo<T>
where
    S: Send + Sync + 'static,
    T: PartialEq + Send + Sync + 'static,
{
    trait Part<S> {
        fn of(&self, whole: &S) -> Value;
    }
    impl<S, F: Fn(&S) -> Value> Part<S> for F {
        fn of(&self, whole: &S) -> Value {
            self(whole)
        }
    }
    fn erased<S: Send + Sync + 'static>(
        signal: RwSignal<S>,
        part: Box<dyn Part<S> + Send + Sync>,
    ) -> leptos::prelude::Memo<Value> {
        leptos::prelude::Memo::new(move |_| signal.with(|whole| part.of(whole)))
    }
    let part = move |whole: &S| Value(Arc::new(part(whole)));
    Memo { value: erased(signal, Box::new(part)), of: PhantomData }
}

impl<T: 'static> Memo<T> {
    /// The value, which is followed from now on.
    pub fn get(self) -> T
    where
        T: Clone,
    {
        self.with(T::clone)
    }

    /// The value, now.
    pub fn get_untracked(self) -> T
    where
        T: Clone,
    {
        self.with_untracked(T::clone)
    }

    /// What `part` makes of the value, which is followed from now on.
    pub fn with<V>(self, part: impl FnOnce(&T) -> V) -> V {
        part(self.value.get().read())
    }

    /// What `part` makes of the value, now.
    pub fn with_untracked<V>(self, part: impl FnOnce(&T) -> V) -> V {
        part(self.value.get_untracked().read())
    }

    /// Follows the value.
    pub fn track(self) {
        self.value.track();
    }
}

/// What a [`Memo`] holds: to Leptos all of them are of one type.
#[derive(Clone)]
struct Value(Arc<dyn Comparable>);

/// A value that can be compared with another one of its type.
trait Comparable: Any + Send + Sync {
    fn equals(&self, other: &Value) -> bool;
}

impl<T: PartialEq + Send + Sync + 'static> Comparable for T {
    fn equals(&self, other: &Value) -> bool {
        self == other.read::<T>()
    }
}

impl Value {
    fn read<T: 'static>(&self) -> &T {
        let value: &dyn Any = &*self.0;
        value.downcast_ref().expect("a memo's values are of one type")
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.0.equals(other)
    }
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

/// Does `work` once an element is there.
pub fn on_load<E>(element: NodeRef<E>, work: impl FnOnce(E::Output) + 'static)
where
    E: ElementType + 'static,
    E::Output: JsCast + Clone + 'static,
{
    let mut work = Some(work);
    effect(move || {
        if let Some(element) = element.get()
            && let Some(work) = work.take()
        {
            work(element);
        }
    });
}

/// A view that is made anew when a signal that it read has changed.
pub fn live<V: IntoView + 'static>(view: impl Fn() -> V + Send + 'static) -> AnyView {
    fn erased(view: Box<dyn Call<AnyView> + Send>) -> AnyView {
        (move || view.call()).into_any()
    }
    erased(Box::new(move || view().into_any()))
}

/// What is there while a condition holds.
#[component]
pub fn Show<W: Fn() -> bool + Send + Sync + 'static>(
    /// The condition.
    when: W,
    /// What is there.
    children: ChildrenFn,
) -> impl IntoView {
    let when = memo(when);
    live(move || when.get().then(|| children()))
}

/// What is done at an event of an element: `on:click=handler(move |_| …)`.
pub fn handler<E: 'static>(work: impl FnMut(E) + 'static) -> impl FnMut(E) {
    trait Handle<E> {
        fn handle(&mut self, event: E);
    }
    impl<E, F: FnMut(E)> Handle<E> for F {
        fn handle(&mut self, event: E) {
            self(event);
        }
    }
    fn erased<E: 'static>(mut work: Box<dyn Handle<E>>) -> impl FnMut(E) + use<E> {
        move |event| work.handle(event)
    }
    erased(Box::new(work))
}

/// Views one after the other.
pub trait Views {
    /// Them, of one type whatever they are.
    fn views(self) -> Vec<AnyView>;
}

impl<I: IntoIterator<Item: IntoView + 'static>> Views for I {
    fn views(self) -> Vec<AnyView> {
        self.into_iter().map(IntoAny::into_any).collect()
    }
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
