//! Models of the store's protocols: loom runs them in every order that threads and memory allow, up to a number of
//! preemptions, on the store's own types.
//!
//! A model's store has one stripe, pages of 16 KiB and two classes: four small chunks a page, or one extent. Header
//! fields are loom's atomics; keys and values are watched as a whole each, so that a read and a write that
//! nothing orders are found even where no byte differs. Counters are left out. Loom knows SeqCst fences, and takes
//! SeqCst accesses for weaker than they are; the store has none.
//!
//! Each model has been seen to fail without the rule it names.

mod calls;
mod eviction;
mod flush;
mod free;
mod moves;
mod pins;
mod ring;
mod stripe;

use super::memory::classes::ClassId;
use super::{Fetch, FetchOutcome, Local, Mode, Options, Store, StoreOutcome, StoreRequest, Value};
use crate::sync::Arc;
use crate::time::{Expiry, Seconds};

/// The class of small items.
const SMALL: ClassId = ClassId(0);
const NOW: Seconds = Seconds(10);

/// Explores a model up to so many preemptions.
fn explore(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = ::loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    // Making a store alone takes some thousands.
    builder.max_branches = 1_000_000;
    builder.check(model);
}

fn spawn<R: 'static>(work: impl FnOnce() -> R + 'static) -> ::loom::thread::JoinHandle<R> {
    ::loom::thread::spawn(work)
}

/// A store of a few pages.
fn open() -> Arc<Store> {
    open_as(true)
}

fn open_as(evict: bool) -> Arc<Store> {
    let options = Options {
        limit_bytes: 127 << 10,
        evict,
        item_bytes_max: 64 << 10,
        growth_factor: Some(100.0),
        chunk_bytes_min: Some(4000),
        workers: 1,
        ..Options::default()
    };
    Arc::new(Store::open(&options).expect("a small store"))
}

fn set(store: &Store, local: &mut Local, key: &str, value: &[u8]) -> StoreOutcome {
    store_as(store, local, key, Mode::Set, Expiry::Never, value)
}

fn store_as(store: &Store, local: &mut Local, key: &str, mode: Mode, expiry: Expiry, value: &[u8]) -> StoreOutcome {
    let request =
        StoreRequest { key: store.key(key.as_bytes()), mode, client_flags: 0, expiry, shows_cas: false, extras: None };
    store.store(local, &request, value, NOW)
}

/// A small value and its version.
fn get(store: &Store, local: &mut Local, key: &str) -> Option<(Vec<u8>, u64)> {
    let fetch = Fetch { touch: None, value: true, cas: true, extras: None };
    let found = store.fetch(local, store.key(key.as_bytes()), fetch, NOW, |item| match item.value {
        Value::Whole(bytes) => (bytes.to_vec(), item.cas),
        _ => panic!("the value is small"),
    });
    if let FetchOutcome::Hit(hit) = found { Some(hit) } else { None }
}

fn delete(store: &Store, local: &mut Local, key: &str) {
    store.delete(local, store.key(key.as_bytes()), None, NOW);
}

/// All give back what they hold, and everything must add up.
fn audit(store: &Store, locals: &mut [Local]) {
    for local in locals {
        store.surrender(local);
    }
    if let Err(error) = store.audit() {
        panic!("{error}");
    }
}
