//! Arguments, a line each. What is refused has a text and an exit status.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use flagstone::config::Config;

pub(crate) fn play(input: &[u8]) {
    let lines = input.split(|&byte| byte == b'\n').filter(|line| !line.contains(&0));
    let arguments =
        std::iter::once(OsString::from("flagstone")).chain(lines.map(|line| OsString::from_vec(line.into())));
    if let Err(exit) = Config::from_args(arguments) {
        assert!(!exit.message.is_empty(), "a refusal says why");
    }
}
