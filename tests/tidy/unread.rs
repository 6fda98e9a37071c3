//! Finds what the crate declares and nobody names, and fields that are written and never read: what the compiler cannot
//! say of a library's public items.
//!
//! Sources are read as tokens, without their tests, and by name alone: of two things with one name the use of either
//! counts for both, so that nothing in use is found.

use std::collections::BTreeSet;
use std::path::Path;

use super::{assert_none, rust_files_in};

/// Words before the name of an item.
const DECLARING: [&str; 8] = ["fn", "struct", "enum", "union", "trait", "type", "const", "static"];

#[test]
fn what_is_declared_is_named_by_somebody() {
    let files = files();
    let named: BTreeSet<&str> = files.iter().flat_map(|file| named(&file.tokens())).collect();
    let mut found = Vec::new();
    for file in files.iter().filter(|file| file.is_library) {
        let unnamed = declared(&file.tokens()).into_iter().filter(|name| !named.contains(name));
        found.extend(unnamed.map(|name| format!("{}: {name}", file.path)));
    }
    assert_none("named nowhere else", &found);
}

#[test]
fn a_field_is_read_by_somebody() {
    let files = files();
    let read: BTreeSet<&str> = files.iter().flat_map(|file| read(&file.tokens())).collect();
    let mut found = Vec::new();
    for file in files.iter().filter(|file| file.is_library) {
        // One with an underscore is there for what its end does.
        let unread = fields(&file.tokens()).into_iter().filter(|name| !name.starts_with('_') && !read.contains(name));
        found.extend(unread.map(|name| format!("{}: {name}", file.path)));
    }
    assert_none("never read", &found);
}

#[test]
fn the_reader_of_tokens_sees_all_forms() {
    let file = File {
        path: String::new(),
        is_library: true,
        text: "use a::unused; struct S<'a> { read: &'a str, written: u32, pub(crate) counted: u64 } // comment\n\
            impl Deref for S { fn deref(&self) -> char { '\"' } }\n\
            fn f(s: S) { s.counted += 1; (s.written, s.counted) = (1, 2); g(\"quoted\", s.read == S { written: 3 }) }\n\
            #[cfg(test)]\nmod tests { fn hidden() { s.written } }\n#[test] fn also_hidden() {}\n"
            .to_owned(),
    };
    let tokens = file.tokens();
    assert_eq!(declared(&tokens), ["S", "f"]);
    assert_eq!(fields(&tokens), ["read", "written", "counted"]);
    let (named, read) = (named(&tokens), read(&tokens));
    for name in ["unused", "comment", "quoted", "hidden", "f"] {
        assert!(!named.contains(&name), "{name}");
    }
    assert!(named.contains(&"g") && named.contains(&"S") && read.contains(&"read"));
    assert!(!read.contains(&"written") && !read.contains(&"counted"));
}

struct File {
    path: String,
    text: String,
    /// Of the library: its items are to be used. Others only use them.
    is_library: bool,
}

fn files() -> Vec<File> {
    let mut files = Vec::new();
    for source in ["src", "bench-scripts"].iter().flat_map(|folder| rust_files_in(Path::new(folder))) {
        let name = Path::new(&source.path).file_stem().unwrap_or_default();
        let is_test = name == "tests" || name == "testing" || source.path.contains("loom");
        if !is_test {
            let is_library = source.path.starts_with("src/");
            files.push(File { path: source.path, text: source.text, is_library });
        }
    }
    files
}

impl File {
    /// Words and single signs, without comments, quotations and tests.
    fn tokens(&self) -> Vec<&str> {
        let mut tokens = Vec::new();
        let mut rest = self.text.as_str();
        while let Some(first) = rest.chars().next() {
            let len = match first {
                '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
                '"' => quotation_len(rest, '"'),
                'r' if rest.starts_with("r\"") || rest.starts_with("r#\"") => raw_quotation_len(rest),
                '\'' if is_character(rest) => quotation_len(rest, '\''),
                first if is_word(first) => rest.find(|letter| !is_word(letter)).unwrap_or(rest.len()),
                first => first.len_utf8(),
            };
            let (token, after) = rest.split_at(len);
            let is_quotation = token.ends_with(['"', '\'']) && token.len() > 1 || token.starts_with("r#\"");
            if !token.starts_with("//") && !is_quotation && !first.is_whitespace() {
                tokens.push(token);
            }
            rest = after;
        }
        without_tests(&tokens)
    }
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// Whether a single quote begins a character and not a lifetime.
fn is_character(rest: &str) -> bool {
    let mut letters = rest.chars().skip(1);
    letters.next() == Some('\\') || letters.next() == Some('\'')
}

fn quotation_len(rest: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, letter) in rest.char_indices().skip(1) {
        if letter == quote && !is_escaped {
            return at + 1;
        }
        is_escaped = letter == '\\' && !is_escaped;
    }
    rest.len()
}

fn raw_quotation_len(rest: &str) -> usize {
    let end = if rest.starts_with("r#") { "\"#" } else { "\"" };
    let start = end.len() + 1;
    rest[start..].find(end).map_or(rest.len(), |at| start + at + end.len())
}

/// Leaves out each item with an attribute that is about tests.
fn without_tests<'t>(tokens: &[&'t str]) -> Vec<&'t str> {
    let mut kept = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at..].starts_with(&["#", "["]) {
            let end = at + 1 + closing(&tokens[at + 1..], "[", "]");
            if tokens[at..end].contains(&"test") {
                at = end + item_len(&tokens[end..]);
                continue;
            }
        }
        kept.push(tokens[at]);
        at += 1;
    }
    kept
}

/// Tokens of an item: up to its semicolon or the end of its block.
fn item_len(tokens: &[&str]) -> usize {
    let Some(end) = tokens.iter().position(|token| matches!(*token, ";" | "{")) else { return tokens.len() };
    if tokens[end] == ";" { end + 1 } else { end + closing(&tokens[end..], "{", "}") }
}

/// Tokens of a group that begins here, its closing sign included.
fn closing(tokens: &[&str], open: &str, close: &str) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        depth += usize::from(*token == open);
        if *token == close {
            depth -= 1;
            if depth == 0 {
                return at + 1;
            }
        }
    }
    tokens.len()
}

/// Names that items get here. What implements a trait is called by the trait's name.
fn declared<'t>(tokens: &[&'t str]) -> Vec<&'t str> {
    let mut names = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at] == "impl" {
            let head = tokens[at..].iter().position(|token| matches!(*token, "{" | ";")).unwrap_or(0);
            let is_trait = tokens[at..at + head].windows(2).any(|pair| pair[0] == "for" && pair[1] != "<");
            at += if is_trait { item_len(&tokens[at..]) } else { 1 };
            continue;
        }
        if declares(tokens, at) {
            names.push(tokens[at + 1]);
        }
        at += 1;
    }
    names
}

/// Whether an item's name stands behind this word.
fn declares(tokens: &[&str], at: usize) -> bool {
    let name = tokens.get(at + 1).copied().unwrap_or_default();
    let is_pointer = at > 0 && tokens[at - 1] == "*";
    DECLARING.contains(&tokens[at])
        && !is_pointer
        && name.starts_with(is_word)
        && !DECLARING.contains(&name)
        && name != "_"
        && name != "unsafe"
}

/// Names that are used: neither where they are declared nor only imported.
fn named<'t>(tokens: &[&'t str]) -> Vec<&'t str> {
    let mut names = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at] == "use" {
            at += tokens[at..].iter().position(|token| *token == ";").unwrap_or(1);
        } else if declares(tokens, at) {
            at += 2;
        } else {
            names.push(tokens[at]);
            at += 1;
        }
    }
    names
}

/// Names of the fields of structs.
fn fields<'t>(tokens: &[&'t str]) -> Vec<&'t str> {
    let mut names = Vec::new();
    for at in (0..tokens.len()).filter(|at| tokens[*at] == "struct") {
        let Some(open) = tokens[at..].iter().position(|token| matches!(*token, "{" | ";" | "(")) else { continue };
        let body = &tokens[at + open..];
        if body[0] != "{" {
            continue;
        }
        let body = &body[..closing(body, "{", "}")];
        for at in (1..body.len() - 1).filter(|at| is_key(body, *at)) {
            if matches!(body[at - 1], "{" | "," | "pub" | ")" | "]") {
                names.push(body[at]);
            }
        }
    }
    names
}

/// Whether a name and a colon stand here: where a field is declared or gets its first value.
fn is_key(tokens: &[&str], at: usize) -> bool {
    tokens[at].starts_with(is_word)
        && tokens.get(at + 1) == Some(&":")
        && tokens.get(at + 2) != Some(&":")
        && (at == 0 || tokens[at - 1] != ":")
}

/// Names whose value is looked at: neither keys nor what something is assigned to.
fn read<'t>(tokens: &[&'t str]) -> Vec<&'t str> {
    let mut names = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let begins = at == 0 || matches!(tokens[at - 1], ";" | "{" | "}");
        if begins && tokens[at] == "(" {
            let end = at + closing(&tokens[at..], "(", ")");
            if is_assignment(&tokens[end..]) {
                at = end;
                continue;
            }
        }
        let is_written = at > 0 && tokens[at - 1] == "." && is_assignment(&tokens[at + 1..]);
        if !is_key(tokens, at) && !is_written {
            names.push(tokens[at]);
        }
        at += 1;
    }
    names
}

/// Whether an assignment's sign comes first, alone or with an operator.
fn is_assignment(tokens: &[&str]) -> bool {
    let sign = match tokens {
        ["+" | "-" | "*" | "/" | "%" | "|" | "&" | "^", rest @ ..] => rest,
        _ => tokens,
    };
    matches!(sign, ["=", next, ..] if !matches!(*next, "=" | ">"))
}
