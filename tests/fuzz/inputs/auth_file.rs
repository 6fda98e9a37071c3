//! A line of what a client says, user and password with a space between, and the file of tokens behind it.

use flagstone::auth::{Gate, TOKENS_MAX, Tokens};

pub(crate) fn play(input: &[u8]) {
    let (said, file) = split(input, b'\n');
    let Ok(tokens) = Tokens::parse(file) else { return };
    let (user, password) = split(said, b' ');
    let lines = file.split(|&byte| byte == b'\n').take(TOKENS_MAX).filter(|line| line.contains(&b':'));
    let is_there =
        lines.map(|line| split(line.strip_suffix(b"\r").unwrap_or(line), b':')).any(|it| it == (user, password));
    assert_eq!(Gate::new(tokens).opens_to(user, password), is_there, "the file's first lines open, and nothing else");
}

/// What is before the first such byte and what is behind it.
fn split(bytes: &[u8], at: u8) -> (&[u8], &[u8]) {
    let place = bytes.iter().position(|&byte| byte == at).unwrap_or(bytes.len());
    (&bytes[..place], bytes.get(place + 1..).unwrap_or_default())
}
