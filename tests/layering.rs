//! The house's rule: a module names only those above it in the table, so no cycle can be written.
//!
//! The sources are read as text: paths that begin with `crate::`, `super::` or, in the program, `flagstone::`.
//! Comments, strings of a line and the tests in a file do not count: a test may look down to what it needs.

use std::collections::BTreeMap;
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
    ("protocol", &["base"]),
    ("store", &["base", "time", "telemetry"]),
    ("auth", &["base", "telemetry"]),
    ("net", &["base", "telemetry"]),
    ("command", &["base", "time", "telemetry", "protocol", "store", "auth"]),
    ("conn", &["base", "time", "telemetry", "protocol", "command"]),
    ("config", &["base", "protocol", "store", "net", "command", "conn", "auth"]),
    ("server", &["base", "time", "telemetry", "protocol", "store", "auth", "net", "command", "conn", "config"]),
    ("main", &["base", "protocol", "store", "config", "server"]),
    // `lib.rs` declares the modules and names none.
    ("lib", &[]),
];

/// `config` knows the layers it makes options for by these words only.
const CONFIG_MAY_NAME: &[(&str, &[&str])] = &[
    ("protocol", &["VERSION"]),
    ("store", &["Options"]),
    ("net", &["Options", "Endpoint", "Port", "parse_list"]),
    ("command", &["Options", "Tuning"]),
    ("conn", &["Options"]),
    ("auth", &["Options"]),
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
    let mut wrong = Vec::new();
    for file in sources(Path::new("src/config")) {
        let text = fs::read_to_string(&file).expect("a source");
        for import in imports(&text, &module_path(&file)) {
            let words = CONFIG_MAY_NAME.iter().find(|(module, _)| *module == import.module).map(|(_, words)| words);
            if words.is_some_and(|words| {
                !matches!(import.word.as_str(), "" | "self") && !words.contains(&import.word.as_str())
            }) {
                wrong.push(format!("{} names {}::{}", file.display(), import.module, import.word));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
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

/// `src/store/slab/mod.rs` is `[store, slab]`.
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
    let code = without_comments(before_tests(text));
    let roots =
        [("crate::", 0), ("flagstone::", 0), ("super::super::super::", 3), ("super::super::", 2), ("super::", 1)];
    let mut found = Vec::new();
    for (root, up) in roots {
        // `super` leads to the crate's root only from that depth.
        if up != 0 && from.len() != up {
            continue;
        }
        for (start, _) in code.match_indices(root) {
            let is_path_inside = code[..start].ends_with("::") || code[..start].ends_with(is_word);
            if !is_path_inside {
                found.extend(names(&code[start + root.len()..]));
            }
        }
    }
    found
}

/// The first segments of a path or of a group of paths, and the segments after them.
fn names(rest: &str) -> Vec<Import> {
    let Some(group) = rest.strip_prefix('{') else { return heads(rest) };
    let mut found = Vec::new();
    for path in top_level_parts(group) {
        found.extend(heads(path.trim()));
    }
    found
}

/// `store::{Options, Store}` is two imports of `store`; `store` is one, of no word.
fn heads(path: &str) -> Vec<Import> {
    let module: String = path.chars().take_while(|letter| is_word(*letter)).collect();
    if !module.starts_with(|letter: char| letter.is_ascii_lowercase()) {
        return Vec::new();
    }
    let import = |word: &str| Import { module: module.clone(), word: word.to_owned() };
    let Some(after) = path[module.len()..].strip_prefix("::") else { return vec![import("")] };
    let words = match after.strip_prefix('{') {
        Some(group) => top_level_parts(group),
        None => vec![after],
    };
    words.into_iter().map(|word| import(word.trim().split(|c| !is_word(c)).next().unwrap_or_default())).collect()
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
