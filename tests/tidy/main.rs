//! Habits that a test can hold. A habit worth breaking somewhere is broken in its list of exceptions, with a
//! reason.

mod unread;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const FILE_LINES_MAX: usize = 800;
const LINE_CHARS_MAX: usize = 120;

/// Documents that are read in one sitting, and the lines they may have. The others have one subject each, and are
/// looked things up in.
const SHORT_DOCUMENTS: [(&str, usize); 2] = [("README.md", 150), ("src/ARCHITECTURE.md", 150)];

/// The only homes of unsafe code; an ending slash is a folder.
const UNSAFE_HOMES: [&str; 3] = ["src/store/bytes/item.rs", "src/store/memory/page.rs", "src/sys/"];

/// What the top level of the repository holds, beside dotfiles.
const TOP_LEVEL: [&str; 7] = ["Cargo.toml", "Cargo.lock", "src", "tests", "bench-scripts", "README.md", "LICENSE"];

/// Who may sleep: the wire tests' one way to look again at another process, which has no event to wait for.
const SLEEPERS: [&str; 1] = ["tests/wire/server.rs"];

/// A source file, read.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// Lines with their numbers, as `path:number`.
    fn lines(&self) -> impl Iterator<Item = (String, &str)> {
        self.text.lines().enumerate().map(|(number, line)| (format!("{}:{}", self.path, number + 1), line))
    }

    /// The same without comments and without what stands after the file's first `mod tests`.
    fn code_lines(&self) -> impl Iterator<Item = (String, &str)> {
        let end = self.text.find("#[cfg(test)]\nmod tests").unwrap_or(self.text.len());
        let lines = self.text[..end].lines().count();
        self.lines().take(lines).map(|(at, line)| (at, line.split("//").next().unwrap_or_default()))
    }

    fn is_test(&self) -> bool {
        self.path.starts_with("tests/") || self.path.ends_with("/tests.rs")
    }
}

fn rust_files() -> Vec<Source> {
    ["src", "tests"].iter().flat_map(|folder| rust_files_in(Path::new(folder))).collect()
}

fn rust_files_in(folder: &Path) -> Vec<Source> {
    let mut paths = Vec::new();
    collect(folder, "rs", &mut paths);
    let read = |path: PathBuf| Source {
        text: fs::read_to_string(&path).expect("a source"),
        path: path.to_string_lossy().into_owned(),
    };
    paths.into_iter().map(read).collect()
}

fn collect(folder: &Path, wanted: &str, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            // A package of its own inside the tests keeps its build there.
            if path.file_name() != Some("target".as_ref()) {
                collect(&path, wanted, paths);
            }
        } else if path.extension().is_some_and(|ending| ending == wanted) {
            paths.push(path);
        }
    }
}

fn assert_none(what: &str, found: &[String]) {
    assert!(found.is_empty(), "{what}: {found:#?}");
}

#[test]
fn files_begin_with_what_they_own_and_stay_short() {
    let mut found = Vec::new();
    for file in rust_files() {
        // The library's words are in ARCHITECTURE.md.
        let first = file.text.lines().next().unwrap_or_default();
        if !first.starts_with("//!") && !first.starts_with("#![doc = include_str!") {
            found.push(format!("{} does not begin with //!", file.path));
        }
        let lines = file.text.lines().count();
        if lines >= FILE_LINES_MAX {
            found.push(format!("{} has {lines} lines", file.path));
        }
    }
    assert_none("files", &found);
}

#[test]
fn lines_fit_a_screen() {
    let mut found = Vec::new();
    for file in rust_files() {
        found.extend(file.lines().filter(|(_, line)| line.chars().count() > LINE_CHARS_MAX).map(|(at, _)| at));
    }
    assert_none("long lines", &found);
}

#[test]
fn the_server_does_not_give_up_or_print() {
    let stubs = [".unwrap()", concat!("todo", "!("), concat!("unimplemented", "!("), concat!("dbg", "!(")];
    let prints = [concat!("println", "!("), concat!("eprintln", "!("), concat!("print", "!(")];
    let mut found = Vec::new();
    for file in rust_files().into_iter().filter(|file| file.path.starts_with("src/") && !file.is_test()) {
        let may_print = file.path == "src/main.rs" || file.path.starts_with("src/config/");
        for (at, line) in file.code_lines() {
            let is_stub = stubs.iter().any(|word| line.contains(word));
            if is_stub || !may_print && prints.iter().any(|word| line.contains(word)) {
                found.push(format!("{at}: {}", line.trim()));
            }
        }
    }
    assert_none("in src", &found);
}

#[test]
fn unsafe_code_stays_at_home_and_says_why() {
    let opening = concat!("un", "safe ");
    let mut found = Vec::new();
    for file in rust_files().into_iter().filter(|file| file.path.starts_with("src/")) {
        let at_home =
            UNSAFE_HOMES.iter().any(|home| file.path == *home || home.ends_with('/') && file.path.starts_with(home));
        let lines: Vec<&str> = file.text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if !code.contains(opening) {
                continue;
            }
            let at = format!("{}:{}", file.path, number + 1);
            if !at_home {
                found.push(format!("{at} is not in a home of unsafe code"));
            } else if code.contains(concat!("un", "safe {")) && !is_excused(&lines[..number]) {
                found.push(format!("{at} has no SAFETY above it"));
            }
        }
    }
    assert_none("unsafe", &found);
}

/// Whether the comment right above says SAFETY; a statement may have begun between the two.
fn is_excused(above: &[&str]) -> bool {
    let comment = above
        .iter()
        .rev()
        .skip_while(|line| !line.trim_start().starts_with("//"))
        .take_while(|line| line.trim_start().starts_with("//"));
    let distance = above.iter().rev().take_while(|line| !line.trim_start().starts_with("//")).count();
    distance <= 3 && comment.into_iter().any(|line| line.contains("SAFETY:"))
}

#[test]
fn tests_do_not_sleep() {
    let words = [concat!("thread::", "sleep"), concat!("sleep", "_ms(")];
    let mut found = Vec::new();
    for file in rust_files().into_iter().filter(|file| !SLEEPERS.contains(&file.path.as_str())) {
        let is_asleep = |line: &str| words.iter().any(|word| line.contains(word));
        found.extend(file.lines().filter(|(_, line)| is_asleep(line)).map(|(at, _)| at));
    }
    assert_none("sleeps", &found);
}

#[test]
fn short_documents_are_read_in_one_sitting() {
    for (path, lines_max) in SHORT_DOCUMENTS {
        let lines = fs::read_to_string(path).expect("it is there").lines().count();
        assert!(lines <= lines_max, "{path}: {lines} lines");
    }
}

#[test]
fn documents_lead_to_files_that_are_there() {
    let mut found = Vec::new();
    for path in documents() {
        let text = fs::read_to_string(&path).expect("a document");
        let folder = path.parent().expect("a file is in a folder");
        for target in link_targets(&text) {
            let file = target.split('#').next().unwrap_or_default();
            if !target.contains("://") && !file.is_empty() && !folder.join(file).exists() {
                found.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert_none("links that lead nowhere", &found);
}

#[test]
fn every_page_is_shown_with_its_links() {
    let module = fs::read_to_string("src/docs/mod.rs").expect("it is there");
    let links = fs::read_to_string("src/docs/links.txt").expect("it is there");
    let mut found = Vec::new();
    for path in documents().into_iter().filter(|path| path.starts_with("src/docs")) {
        let name = name(&path);
        if !module.contains(&format!("include_str!(\"{name}\")")) {
            found.push(format!("src/docs/mod.rs does not show {name}"));
        }
        let text = fs::read_to_string(&path).expect("a page");
        let labels = text.lines().filter_map(definition).map(|(label, _)| format!("[{label}]: "));
        found.extend(labels.filter(|label| !links.contains(label)).map(|label| format!("{name}: {label}")));
    }
    assert_none("pages", &found);
}

/// All Markdown files of the project.
fn documents() -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for folder in ["src", "tests", "bench-scripts"] {
        collect(Path::new(folder), "md", &mut paths);
    }
    paths.push(PathBuf::from("README.md"));
    paths
}

/// Where a text's links lead: `[text](target)`, and `[label]: target` on a line of its own.
fn link_targets(text: &str) -> Vec<&str> {
    let inline = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let defined = text.lines().filter_map(definition).map(|(_, target)| target);
    inline.chain(defined).collect()
}

/// The label and the target of a link's definition.
fn definition(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix('[')?.split_once("]: ")
}

#[test]
fn the_top_level_is_tidy() {
    // What git does not know is nobody's business; without git (a packed source) the folder itself is asked.
    let tracked = Command::new("git").args(["ls-files"]).output().ok().filter(|output| output.status.success());
    let names: Vec<String> = match tracked {
        Some(output) => String::from_utf8_lossy(&output.stdout).lines().map(first_part).collect(),
        None => fs::read_dir(".").expect("a folder").map(|entry| name(&entry.expect("an entry").path())).collect(),
    };
    let known = |name: &String| name.starts_with('.') || name == "target" || TOP_LEVEL.contains(&name.as_str());
    let found: Vec<String> = names.into_iter().filter(|name| !known(name)).collect();
    assert_none("at the top level", &found);
}

fn first_part(path: &str) -> String {
    path.split('/').next().unwrap_or_default().to_owned()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[test]
fn every_dependency_has_a_reason() {
    let manifest = fs::read_to_string("Cargo.toml").expect("it is there");
    let mut is_dependencies = false;
    let mut found = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            is_dependencies = line.contains("dependencies");
        } else if is_dependencies && !line.trim().is_empty() && !line.starts_with('#') && !line.contains(" # ") {
            found.push(line.to_owned());
        }
    }
    assert_none("without a reason", &found);
}
