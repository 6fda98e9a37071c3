//! The file of `--config`, in the form that Debian's wrapper of memcached reads (`/etc/memcached.conf`): taken apart
//! into lines of words. What the words mean is not decided here.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

/// More of a file is not read: it is no file of flags.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// Lines that Debian's wrapper leaves out, by how they begin: who starts us decides about daemons, and nobody wants
/// help.
const SKIPPED: [&str; 2] = ["-d", "-h"];
/// The one word of the file that is no flag. What is logged goes to stderr, which the service manager keeps.
const LOGFILE: &str = "logfile";

/// A line that says something.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Counted from 1.
    pub(super) number: usize,
    /// Flags and values, without quotes.
    pub(super) words: Vec<String>,
}

/// What is wrong with a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    /// Counted from 1.
    pub(super) number: usize,
    /// Why, and what would do.
    pub(super) why: String,
}

/// The whole file.
///
/// # Errors
/// When it cannot be read, or is longer than a file of flags.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    fs::File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut text)?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("it is longer than {} KiB", FILE_BYTES_MAX >> 10)));
    }
    Ok(text)
}

/// The lines that count.
///
/// # Errors
/// The first line that is none of flags.
pub(super) fn lines(text: &[u8]) -> Result<Vec<Line>, Wrong> {
    let mut lines = Vec::new();
    for (number, bytes) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        let wrong = |why: &str| Wrong { number, why: why.to_owned() };
        let text = std::str::from_utf8(bytes).map_err(|_| wrong("it is not UTF-8; write it in UTF-8"))?;
        let line = without_comment(text).trim();
        if line.is_empty() || SKIPPED.iter().any(|start| line.starts_with(start)) {
            continue;
        }
        let words =
            words(line).map_err(|quote| wrong(&format!("a {quote} is not closed; close it, or write \\{quote}")))?;
        match words.first() {
            Some(first) if first.starts_with('-') => lines.push(Line { number, words }),
            Some(first) if first == LOGFILE => {}
            first => {
                let first = first.map_or("", String::as_str);
                let why = format!(
                    "\"{first}\" is no flag; a line is a flag as of the command line, {LOGFILE}, or begins with #"
                );
                return Err(wrong(&why));
            }
        }
    }
    Ok(lines)
}

/// A comment begins anywhere with a `#` that has no backslash before it, also within quotes.
fn without_comment(line: &str) -> &str {
    let starts = |at: &usize| !line[..*at].ends_with('\\');
    let end = line.match_indices('#').map(|(at, _)| at).find(starts).unwrap_or(line.len());
    &line[..end]
}

/// The words as a shell would take them apart, to which Debian's wrapper gives the line: quotes and backslashes. What
/// else a shell does to a line is not done.
///
/// # Errors
/// The quote that is not closed, or the backslash behind which nothing is.
fn words(line: &str) -> Result<Vec<String>, char> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            (None | Some('"'), '\\') => {
                let next = letters.next().ok_or('\\')?;
                if quote.is_some() && !matches!(next, '"' | '\\' | '#') {
                    word.get_or_insert_default().push('\\');
                }
                word.get_or_insert_default().push(next);
            }
            (None, letter) if letter.is_whitespace() => words.extend(word.take()),
            (_, letter) => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    quote.map_or(Ok(words), Err)
}

#[cfg(test)]
mod tests {
    use super::{Line, lines};

    fn read(text: &str) -> Vec<(usize, Vec<String>)> {
        let lines = lines(text.as_bytes()).expect(text);
        lines.into_iter().map(|Line { number, words }| (number, words)).collect()
    }

    #[test]
    fn lines_are_read_as_debians_wrapper_reads_them() {
        let text = "# a comment\n\n-d\n  -daemon -p 5\n-h\nlogfile /var/log/memcached.log\n\t-m 64 # megabytes\r\n-vv\n\
            -l 127.0.0.1,::1\n--threads=2 -M\n   # -p 1\n";
        let expected: [(usize, &[&str]); 4] =
            [(7, &["-m", "64"]), (8, &["-vv"]), (9, &["-l", "127.0.0.1,::1"]), (10, &["--threads=2", "-M"])];
        let expected = expected.map(|(number, words)| (number, words.iter().map(|word| (*word).to_owned()).collect()));
        assert_eq!(read(text), expected);
    }

    #[test]
    fn words_are_taken_apart_as_by_a_shell() {
        for (line, expected) in [
            ("-D '|'", vec!["-D", "|"]),
            ("-D \\#", vec!["-D", "#"]),
            ("-D \"\\#\"", vec!["-D", "#"]),
            ("-s \"/run/a b\"", vec!["-s", "/run/a b"]),
            ("-s /run/a\\ b", vec!["-s", "/run/a b"]),
            ("-s ''", vec!["-s", ""]),
            ("-s 'a\\b'", vec!["-s", "a\\b"]),
            ("-l a;b", vec!["-l", "a;b"]),
        ] {
            let read = read(line).remove(0).1;
            assert_eq!(read, expected, "{line}");
        }
    }

    #[test]
    fn what_is_no_flag_is_refused_with_its_line() {
        for (text, number, word) in [
            ("-m 64\nuser memcache\n", 2, "\"user\" is no flag"),
            ("\n\n-s 'a\n", 3, "is not closed"),
            ("-s a\\", 1, "is not closed"),
            ("''", 1, "is no flag"),
        ] {
            let wrong = lines(text.as_bytes()).expect_err(text);
            assert_eq!(wrong.number, number, "{text}");
            assert!(wrong.why.contains(word), "{text}: {}", wrong.why);
        }
        assert_eq!(lines(b"-m 64\n-s \xff\n").expect_err("no UTF-8").number, 2);
    }
}
