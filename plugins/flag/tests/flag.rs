//! What is announced about given lines: the cases, which hold in every language, and what Rust says beyond them.

use flag::Flag;
use pelton_sdk::testing::{cases, event_raw, given};
use retail::testing::DAMAGED;

#[test]
fn all_cases_hold() {
    cases::<Flag, _>("cases");
}

#[test]
fn damaged_lines_are_rejected_with_their_fault() {
    for (payload, fault) in DAMAGED {
        given::<Flag>().when(event_raw(*payload)).then_rejects(fault);
    }
}
