//! The flags that were given, on the command line and in the file of `--config`, and the questions asked of them.

use std::ffi::OsString;
use std::path::Path;

use clap::ArgMatches;

use super::exit::Exit;
use super::{file, flags, help};

/// The flags that say where to listen: of the file they count only if the command line has neither.
const PLACES: [&str; 2] = ["listen", "unix-socket"];

/// The flags taken apart.
#[derive(Debug)]
pub(super) struct Flags {
    command: ArgMatches,
    /// Lines of the file, in its order.
    lines: Vec<Line>,
}

/// A line of the file of `--config`.
#[derive(Debug)]
struct Line {
    /// `FILE:NUMBER`.
    place: String,
    flags: ArgMatches,
}

impl Flags {
    /// Takes the command line apart, and the file it names.
    ///
    /// # Errors
    /// When a text is asked for, or a flag is none; and when the file cannot be read or has such a line.
    pub(super) fn parse(args: Vec<OsString>) -> Result<Self, Exit> {
        let mut flags = Self { command: flags::parse(args)?, lines: Vec::new() };
        flags.answer_texts()?;
        if let Some(path) = flags.command.get_one::<String>("config").cloned() {
            flags.lines = read_file(&path)?;
        }
        Ok(flags)
    }

    /// Whether a switch is on.
    pub(super) fn has(&self, name: &str) -> bool {
        self.by_weight(name).any(|flags| flags.get_flag(name))
    }

    /// The value that counts.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.by_weight(name).find_map(|flags| flags.get_one::<String>(name)).map(String::as_str)
    }

    /// All values of a flag that adds up, the weightiest last.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let sources: Vec<&ArgMatches> = self.by_weight(name).collect();
        let values = |flags: &'a ArgMatches| flags.get_many::<String>(name).unwrap_or_default();
        sources.into_iter().rev().flat_map(values).map(String::as_str)
    }

    /// How many `-v`.
    pub(super) fn verbosity(&self) -> u8 {
        match self.command.get_count("verbose") {
            0 => self.lines.iter().fold(0, |sum, line| line.flags.get_count("verbose").saturating_add(sum)),
            count => count,
        }
    }

    /// Who may speak about a flag, the command line first, then the file from its end.
    fn by_weight<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a ArgMatches> {
        let is_decided = PLACES.contains(&name) && PLACES.iter().any(|place| self.command.contains_id(place));
        let lines = self.lines.iter().rev().filter(move |_| !is_decided);
        std::iter::once(&self.command).chain(lines.map(|line| &line.flags))
    }

    fn answer_texts(&self) -> Result<(), Exit> {
        if self.has("help") {
            return Err(Exit::text(help::text()));
        }
        if self.has("version") {
            return Err(Exit::text(help::version()));
        }
        if self.has("license") {
            return Err(Exit::text(help::license()));
        }
        Ok(())
    }
}

fn read_file(path: &str) -> Result<Vec<Line>, Exit> {
    let unreadable = |error| Exit::usage(format!("--config={path}: {error}; name a file of flags that can be read"));
    let text = file::read(Path::new(path)).map_err(unreadable)?;
    let refused = |number: usize, why: &str| Exit::usage(format!("{path}:{number}: {why}"));
    let lines = file::lines(&text).map_err(|wrong| refused(wrong.number, &wrong.why))?;
    let mut read = Vec::with_capacity(lines.len());
    for line in lines {
        let words = std::iter::once("flagstone".to_owned()).chain(line.words).map(OsString::from).collect();
        let flags = flags::parse(words)
            .map_err(|exit| refused(line.number, exit.message.lines().next().unwrap_or_default()))?;
        if let Some(stray) = flags.get_many::<String>("words").and_then(|mut words| words.next()) {
            return Err(refused(line.number, &format!("\"{stray}\" is no flag; put a value with spaces into quotes")));
        }
        if flags.contains_id("config") {
            return Err(refused(line.number, "--config names the file, and is not for use in it; leave it out"));
        }
        read.push(Line { place: format!("{path}:{}", line.number), flags });
    }
    Ok(read)
}
