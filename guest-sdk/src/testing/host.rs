//! The host's place: what a plugin imports comes from the kit's state on this thread.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::log::Level;

/// What the kit knows between events.
#[derive(Debug, Default)]
pub struct State {
    pub views: BTreeMap<(String, String), Vec<u8>>,
    pub settings: BTreeMap<String, String>,
    pub random: u64,
    pub log: Vec<String>,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

/// Runs `call` with `state` on this thread and hands back what became of it.
pub fn run<T>(state: State, call: impl FnOnce() -> T) -> (State, T) {
    STATE.set(state);
    let answer = call();
    (STATE.take(), answer)
}

pub fn view(view: &str, key: &str) -> Option<Vec<u8>> {
    let place = (view.to_owned(), key.to_owned());
    STATE.with_borrow(|state| state.views.get(&place).cloned())
}

pub fn setting(name: &str) -> Option<String> {
    STATE.with_borrow(|state| state.settings.get(name).cloned())
}

/// SplitMix64, which is short and good enough.
pub fn random() -> u32 {
    STATE.with_borrow_mut(|state| {
        state.random = state.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 32) as u32
    })
}

pub fn log(level: Level, message: &str) {
    let level = match level {
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    };
    STATE.with_borrow_mut(|state| state.log.push(format!("{level}: {message}")));
}

/// Natively a panic is seen as it is.
pub fn log_panics() {}
