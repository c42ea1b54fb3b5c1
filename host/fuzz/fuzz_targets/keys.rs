//! Fuzzes keys, subjects and filters.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pelton_fuzz::targets::keys(data));
