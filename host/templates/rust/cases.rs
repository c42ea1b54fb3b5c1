//! The cases hold natively too, where a debugger can look in.

#[test]
fn all_cases_hold() {
    pelton_sdk::testing::cases::<{{crate}}::Plugin, _>("cases");
}
