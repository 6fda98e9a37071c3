//! Plays the inputs that fuzzing has kept (`tests/fuzz/corpus`), without a fuzzer and with all assertions.

#[path = "../fuzz/inputs/mod.rs"]
mod inputs;

use std::fs;
use std::path::Path;

fn play_all(target: &str, play: impl Fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target);
    let mut played = 0;
    for entry in fs::read_dir(&folder).expect("the corpus is part of the sources") {
        let path = entry.expect("a file").path();
        println!("{}", path.display());
        play(&fs::read(path).expect("a file"));
        played += 1;
    }
    assert_ne!(played, 0, "{} holds inputs", folder.display());
}

#[test]
fn sessions() {
    play_all("session", inputs::session::play);
}

#[test]
fn command_lines() {
    play_all("command_line", inputs::command_line::play);
}

#[test]
fn auth_files() {
    play_all("auth_file", inputs::auth_file::play);
}

#[test]
fn memory_files() {
    play_all("memory_file", inputs::memory_file::play);
}
