//! The house's rule: a module names only those above it in the table, so no cycle can be written.
//!
//! The sources are read as text: paths that begin with `crate::`, `super::` or, in the program, `flagstone::`.
//! Comments, strings of a line and the tests in a file do not count: a test may look down to what it needs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const BASE: [&str; 5] = ["limits", "bytes", "sync", "hash", "sys"];

/// Who may name whom, beside itself. Modules of the base do not name each other.
const TABLE: &[(&str, &[&str])] = &[
    ("limits", &[]),
    ("bytes", &[]),
    ("sync", &[]),
    ("hash", &[]),
    ("sys", &[]),
    ("time", &["base"]),
    ("telemetry", &["base"]),
    ("operation", &["time"]),
    ("protocol", &["base", "time", "telemetry", "operation"]),
    ("store", &["base", "time", "telemetry", "operation"]),
    ("auth", &["base", "telemetry"]),
    ("tls", &["base", "time"]),
    ("net", &["base", "telemetry", "tls"]),
    ("command", &["base", "time", "telemetry", "operation", "protocol", "store", "auth", "tls"]),
    ("conn", &["base", "time", "telemetry", "operation", "protocol", "command"]),
    ("config", &["base", "telemetry", "protocol", "store", "tls", "net", "command", "auth"]),
    ("server", &["base", "time", "telemetry", "protocol", "store", "auth", "tls", "net", "command", "conn", "config"]),
    ("main", &["base", "telemetry", "protocol", "store", "config", "server"]),
    // Pages, and no code.
    ("docs", &[]),
    // `lib.rs` declares the modules and names none.
    ("lib", &[]),
];

/// `config` knows the layers it makes options for by these words only.
const CONFIG_MAY_NAME: &[(&str, &[&str])] = &[
    ("telemetry", &["LogFormat"]),
    ("protocol", &["Dialect", "OWN_VERSION", "VERSION"]),
    ("store", &["Options", "Restart"]),
    ("tls", &["Ciphers", "ClientCertificate", "Lowest", "Options", "Verify"]),
    ("net", &["Options", "Endpoint", "ListenAddress", "Port", "Spoken", "TlsTag", "parse_list", "parse_mode"]),
    ("command", &["Options", "Tuning"]),
    ("auth", &["Options"]),
];

/// The rooms of the store, from the bottom up: a file names its own and those before it, and calls no method of the
/// `Store` that a room behind it has. Beside them lies the facade, which nobody inside names.
const STORE_ROOMS: [&str; 13] = [
    "bytes",
    "words",
    "memory",
    "index",
    "policy",
    "evict",
    "shared",
    "local",
    "under_lock",
    "recovery",
    "supply",
    "operations",
    "background",
];

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Import {
    module: String,
    /// The segment after the module, or nothing.
    word: String,
}

#[test]
fn no_module_names_one_below_it() {
    let mut wrong = Vec::new();
    for file in sources(Path::new("src")) {
        let from = module_path(&file);
        let top = from.first().map_or("lib", String::as_str).to_owned();
        let allowed = allowed(&top);
        assert!(allowed.is_some(), "{}: not in the table", file.display());
        let allowed = allowed.unwrap_or_default();
        let text = fs::read_to_string(&file).expect("a source");
        for import in imports(&text, &from) {
            if import.module != top && !allowed.contains(&import.module.as_str()) {
                wrong.push(format!("{} names {}", file.display(), import.module));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn config_knows_of_other_layers_only_their_options() {
    let (mut wrong, mut used) = (Vec::new(), BTreeSet::new());
    for file in sources(Path::new("src/config")) {
        let text = fs::read_to_string(&file).expect("a source");
        for import in imports(&text, &module_path(&file)) {
            let words = CONFIG_MAY_NAME.iter().find(|(module, _)| *module == import.module).map(|(_, words)| words);
            if words.is_some_and(|words| {
                !matches!(import.word.as_str(), "" | "self") && !words.contains(&import.word.as_str())
            }) {
                wrong.push(format!("{} names {}::{}", file.display(), import.module, import.word));
            }
            used.insert(import.module);
        }
    }
    let unused = CONFIG_MAY_NAME.iter().filter(|(module, _)| !used.contains(*module));
    wrong.extend(unused.map(|(module, _)| format!("nobody names {module}")));
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_room_of_the_store_names_only_those_below_it() {
    let mut wrong = Vec::new();
    for (file, text, from) in rooms() {
        let own = room(&from[1]);
        for path in paths(&text, &from).iter().filter(|path| path.first().is_some_and(|top| top == "store")) {
            let other = path.get(1).and_then(|name| room(name));
            if own.is_none() || other.is_none_or(|other| Some(other) > own) {
                wrong.push(format!("{} names {}", file.display(), path.join("::")));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Methods of one type stand in many files, and no import tells of their calls.
#[test]
fn a_room_of_the_store_calls_no_method_of_one_above_it() {
    let mut homes: BTreeMap<String, usize> = BTreeMap::new();
    for (_, text, from) in rooms() {
        let own = room(&from[1]).expect("a room");
        for name in words_behind(&methods_of_store(&text), "fn ") {
            homes.entry(name).and_modify(|home| *home = own.min(*home)).or_insert(own);
        }
    }
    let mut wrong = Vec::new();
    for (file, text, from) in rooms() {
        let own = room(&from[1]).expect("a room");
        for name in words_behind(&methods_of_store(&text), "self.") {
            if homes.get(&name).is_some_and(|home| *home > own) {
                wrong.push(format!("{} calls {name}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn files_import_each_other_in_one_direction() {
    let mut files: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let sources = sources(Path::new("src"));
    let names: Vec<String> = sources.iter().map(|file| module_path(file).join("::")).collect();
    for (file, name) in sources.iter().zip(&names).filter(|(file, _)| !is_model(file)) {
        let text = fs::read_to_string(file).expect("a source");
        let named = paths(&text, &module_path(file)).into_iter().filter_map(|path| home_of(&path, &names));
        files.insert(name.clone(), named.filter(|other| other != name).collect());
    }
    // Who names nobody that is left goes, until nobody does.
    while let Some(free) = files.iter().find(|(_, named)| !named.iter().any(|other| files.contains_key(other))) {
        let free = free.0.clone();
        files.remove(&free);
    }
    assert!(files.is_empty(), "in circles, or above one: {files:#?}");
}

/// The longest of these modules that a path leads through.
fn home_of(path: &[String], modules: &[String]) -> Option<String> {
    (1..=path.len()).rev().map(|len| path[..len].join("::")).find(|module| modules.contains(module))
}

/// The files in the store's rooms, their texts and where they stand.
fn rooms() -> impl Iterator<Item = (PathBuf, String, Vec<String>)> {
    let files = sources(Path::new("src/store")).into_iter().filter(|file| !is_model(file));
    files
        .map(|file| (fs::read_to_string(&file).expect("a source"), module_path(&file), file))
        .filter(|(_, from, _)| from.len() > 1)
        .map(|(text, from, file)| (file, text, from))
}

fn room(name: &str) -> Option<usize> {
    STORE_ROOMS.iter().position(|room| *room == name)
}

/// Models look into everything.
fn is_model(file: &Path) -> bool {
    file.components().any(|part| part.as_os_str() == "loom")
}

/// The text of all `impl Store` in a file.
fn methods_of_store(text: &str) -> String {
    let code = without_comments(before_tests(text));
    let blocks = code.split("\nimpl Store {\n").skip(1);
    blocks.map(|block| block.split("\n}\n").next().unwrap_or_default()).collect()
}

/// The words in front of a bracket that follow right behind `before`.
fn words_behind(code: &str, before: &str) -> Vec<String> {
    let words = code.split(before).skip(1).map(|rest| {
        let word: String = rest.chars().take_while(|letter| is_word(*letter)).collect();
        let is_called = rest[word.len()..].starts_with(['(', '<']);
        is_called.then_some(word)
    });
    words.flatten().collect()
}

#[test]
fn the_table_has_no_cycle() {
    let mut above: Vec<&str> = Vec::new();
    for (module, _) in TABLE {
        for other in allowed(module).expect("in the table") {
            assert!(above.contains(&other), "{module} may name {other}, which is not above it");
        }
        above.push(module);
    }
}

fn allowed(module: &str) -> Option<Vec<&'static str>> {
    let (_, words) = TABLE.iter().find(|(name, _)| *name == module)?;
    let (base, others): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| **word == "base");
    Some(if base.is_empty() { others } else { BASE.into_iter().chain(others).collect() })
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|ending| ending == "rs") && path.file_stem() != Some("tests".as_ref()) {
            files.push(path);
        }
    }
    files
}

/// `src/store/index/mod.rs` is `[store, index]`.
fn module_path(file: &Path) -> Vec<String> {
    let inside = file.strip_prefix("src").expect("a source").with_extension("");
    let mut path: Vec<String> = inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if path.last().is_some_and(|last| last == "mod") {
        path.pop();
    }
    path
}

/// What a text names of the crate's top-level modules.
fn imports(text: &str, from: &[String]) -> Vec<Import> {
    let paths = paths(text, from).into_iter().filter(|path| is_module(path.first()));
    let mut named: Vec<Import> = Vec::new();
    for mut path in paths {
        path.resize(path.len().max(2), String::new());
        named.push(Import { word: path.remove(1), module: path.remove(0) });
    }
    named
}

fn is_module(segment: Option<&String>) -> bool {
    segment.is_some_and(|segment| segment.starts_with(|letter: char| letter.is_ascii_lowercase()))
}

/// All paths in a text that begin at the crate's root or beside its module, from the root on: `use super::a::{B, c::D}`
/// in `x::y` is `x::a::B` and `x::a::c::D`.
fn paths(text: &str, from: &[String]) -> Vec<Vec<String>> {
    let code = without_comments(before_tests(text));
    let mut found = Vec::new();
    for root in ["crate::", "flagstone::", "self::", "super::"] {
        for (start, _) in code.match_indices(root) {
            if code[..start].ends_with("::") || code[..start].ends_with(is_word) {
                continue;
            }
            let (mut rest, mut up) = (&code[start + root.len()..], usize::from(root == "super::"));
            while let Some(behind) = rest.strip_prefix("super::") {
                (rest, up) = (behind, up + 1);
            }
            let is_absolute = matches!(root, "crate::" | "flagstone::");
            // A module inside a file goes up no further than the file's own.
            let depth = if is_absolute { 0 } else { from.len().saturating_sub(up) };
            found.extend(expand(rest).into_iter().map(|path| [&from[..depth], &path].concat()));
        }
    }
    found
}

/// The paths of a path's text: groups are taken apart.
fn expand(text: &str) -> Vec<Vec<String>> {
    if let Some(group) = text.strip_prefix('{') {
        return top_level_parts(group).into_iter().flat_map(|part| expand(part.trim())).collect();
    }
    let segment: String = text.chars().take_while(|letter| is_word(*letter)).collect();
    let behind = text[segment.len()..].strip_prefix("::");
    let mut paths = behind.map_or_else(Vec::new, expand);
    if paths.is_empty() {
        paths.push(Vec::new());
    }
    paths.iter_mut().for_each(|path| path.insert(0, segment.clone()));
    paths
}

/// The parts between commas of a group whose opening brace has been read, up to its closing one.
fn top_level_parts(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0, 0, Vec::new());
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => {
                parts.push(&group[start..at]);
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.retain(|part| !part.trim().is_empty());
    parts
}

fn before_tests(text: &str) -> &str {
    text.find("#[cfg(test)]\nmod tests")
        .or_else(|| text.find("#[cfg(all(test, not(loom)))]\nmod tests {"))
        .or_else(|| text.find("#[cfg(test)]\npub(crate) mod testing"))
        .map_or(text, |at| &text[..at])
}

fn without_comments(text: &str) -> String {
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

#[test]
fn the_reader_of_imports_sees_all_forms() {
    let text = "use crate::net::{self, Port};\nuse crate::{limits, store::{Options, slab::Page}};\n\
        // crate::comment\nfn f() { crate::sys::memory::map(); super::time::now() }\n\
        #[cfg(test)]\nmod tests { use crate::server::Clock; }\n";
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for import in imports(text, &["command".to_owned()]) {
        found.entry(import.module).or_default().push(import.word);
    }
    let expected = [
        ("limits", vec![""]),
        ("net", vec!["self", "Port"]),
        ("store", vec!["Options", "slab"]),
        ("sys", vec!["memory"]),
        ("time", vec!["now"]),
    ];
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (module, words) in expected {
        assert_eq!(found[module], words, "{module}");
    }
}
