//! See `inputs/command_line.rs`.
#![no_main]

#[path = "../inputs/mod.rs"]
mod inputs;

libfuzzer_sys::fuzz_target!(|input: &[u8]| inputs::command_line::play(input));
