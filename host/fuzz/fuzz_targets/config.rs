//! Fuzzes config files.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pelton_fuzz::targets::config(data));
