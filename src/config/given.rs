//! The flags that were given, on the command line and in the file of `--config`, and the questions asked of them.

use std::ffi::OsString;
use std::fmt::Display;
use std::path::Path;

use clap::ArgMatches;

use super::exit::{Exit, USAGE, shown};
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

/// Who speaks about flags: the command line, or a line of the file.
#[derive(Clone, Copy, Debug)]
struct Source<'a> {
    place: Option<&'a str>,
    flags: &'a ArgMatches,
}

impl Flags {
    /// Takes the command line apart, and the file it names.
    ///
    /// # Errors
    /// When a text is asked for, or a flag is none; and when the file cannot be read or has such a line.
    pub(super) fn parse(args: Vec<OsString>) -> Result<Self, Exit> {
        let mut flags = Self { command: flags::parse(args)?, lines: Vec::new() };
        flags.answer_texts()?;
        // What is generated names the file, which need not be there yet.
        if flags.value("generate").is_none()
            && let Some(path) = flags.command.get_one::<String>("config").cloned()
        {
            flags.lines = read_file(&path)?;
        }
        Ok(flags)
    }

    /// Whether a switch is on.
    pub(super) fn has(&self, name: &str) -> bool {
        self.by_weight(name).any(|source| source.flags.get_flag(name))
    }

    /// The value that counts.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.by_weight(name).find_map(|source| source.flags.get_one::<String>(name)).map(String::as_str)
    }

    /// All values of a flag that adds up, the weightiest last.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.all_placed(name).map(|(value, _)| value)
    }

    /// The same with the lines of the file that they stand in.
    pub(super) fn all_placed<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a str, Option<&'a str>)> {
        let sources: Vec<Source<'a>> = self.by_weight(name).collect();
        let values = |source: Source<'a>| {
            let values = source.flags.get_many::<String>(name).unwrap_or_default();
            values.map(move |value| (value.as_str(), source.place))
        };
        sources.into_iter().rev().flat_map(values)
    }

    /// How many `-v`.
    pub(super) fn verbosity(&self) -> u8 {
        match self.command.get_count("verbose") {
            0 => self.lines.iter().fold(0, |sum, line| line.flags.get_count("verbose").saturating_add(sum)),
            count => count,
        }
    }

    /// Who may speak about a flag, the command line first, then the file from its end.
    fn by_weight<'a>(&'a self, name: &str) -> impl Iterator<Item = Source<'a>> {
        let is_decided = PLACES.contains(&name) && PLACES.iter().any(|place| self.command.contains_id(place));
        let lines = self.lines.iter().rev().filter(move |_| !is_decided);
        let command = Source { place: None, flags: &self.command };
        std::iter::once(command).chain(lines.map(|line| Source { place: Some(&line.place), flags: &line.flags }))
    }

    /// A flag as it was given and counts, for a refusal: `-c 0`, `-S (FILE:3)`. Not given, its short form.
    pub(super) fn given(&self, name: &str) -> String {
        let form = flags::form(name);
        let by_value = |source: &Source<'_>| source.flags.get_one::<String>(name).is_some();
        let by_switch = |source: &Source<'_>| source.flags.get_flag(name);
        let is_switch = flags::is_switch(name);
        let Some(source) =
            self.by_weight(name).find(if is_switch { &by_switch as &dyn Fn(&_) -> _ } else { &by_value })
        else {
            return form;
        };
        if is_switch {
            return source.place.map_or_else(|| form.clone(), |place| format!("{form} ({place})"));
        }
        let values = source.flags.get_many::<String>(name).unwrap_or_default();
        let all: Vec<&str> = values.map(String::as_str).collect();
        shown(&form, &all.join(","), source.place)
    }

    /// The value of one flag is refused: why, and what would do.
    pub(super) fn refuse(&self, code: i32, name: &str, why: impl Display, remedy: impl Display) -> Exit {
        Exit::refused(code, why, self.given(name), remedy)
    }

    /// Flags that do not fit together are refused: why, and what would do.
    pub(super) fn refuse_together(&self, names: [&str; 2], why: impl Display, remedy: impl Display) -> Exit {
        let given = names.map(|name| self.given(name)).join(" with ");
        Exit::refused(USAGE, why, given, remedy)
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
    let unreadable =
        |error| Exit::refused(USAGE, error, format!("--config={path}"), "name a file of flags that can be read");
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
        if let Some(name) = ["config", "generate", "check"].into_iter().find(|name| flags.contains_id(name)) {
            return Err(refused(line.number, &format!("--{name} is for the command line alone; leave it out")));
        }
        read.push(Line { place: format!("{path}:{}", line.number), flags });
    }
    Ok(read)
}
