//! Fuzzes what a message says of its event.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pelton_fuzz::targets::envelope(data));
