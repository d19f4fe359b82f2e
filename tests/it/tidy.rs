//! The rules of the house, checked by reading the files: layout and imports here, the rest in the modules.

mod agreement;
mod code;
mod commands;
mod mutations;
mod stacks;
mod template;
mod terraform;
mod watch;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The folder of the root Cargo.toml.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A file of this repository.
struct File {
    /// Its path from the root, with slashes.
    path: String,
    text: String,
}

/// The text files below these folders (or at the top: `""`), without what is generated.
fn files(folders: &[&str]) -> Vec<File> {
    let (root, mut found) = (root(), Vec::new());
    let mut todo: Vec<_> = folders.iter().map(|folder| root.join(folder)).collect();
    while let Some(folder) = todo.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let kind = entry.file_type().unwrap();
            let generated = ["target", "__pycache__", ".git", "node_modules", "dist"].contains(&&*name)
                || name.starts_with(".translated-");
            if generated || kind.is_symlink() {
                continue;
            }
            if kind.is_dir() {
                todo.push(entry.path());
            } else if let Ok(text) = fs::read_to_string(entry.path()) {
                let path = entry.path().strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
                found.push(File { path, text });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// The Rust files below these folders.
fn sources(folders: &[&str]) -> Vec<File> {
    files(folders).into_iter().filter(|file| file.path.ends_with(".rs")).collect()
}

impl File {
    fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/") || self.path.starts_with("tests/")
    }

    /// The file without its module of tests, which stands at its end.
    fn without_tests(&self) -> &str {
        self.text.split("#[cfg(test)]\nmod tests {").next().unwrap()
    }

    /// What the compiler reads: no comment lines, no tests.
    fn code(&self) -> String {
        let lines = self.without_tests().lines().filter(|line| !line.trim_start().starts_with("//"));
        lines.map(|line| format!("{line}\n")).collect()
    }
}

/// The names of the packages below functions/.
pub(crate) fn functions() -> Vec<String> {
    let folders = fs::read_dir(root().join("functions")).unwrap();
    let mut names: Vec<_> = folders
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().join("Cargo.toml").exists())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(names.len() > 3, "these cannot be all functions: {names:?}");
    names
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether `code` has `word` standing alone.
fn has_word(code: &str, word: &str) -> bool {
    code.match_indices(word)
        .any(|(at, _)| !code[..at].ends_with(is_word) && !code[at + word.len()..].starts_with(is_word))
}

/// What follows `krate::` anywhere, also as a group: `{a, b::{c}}` gives a and b.
fn modules_named(code: &str, krate: &str) -> BTreeSet<String> {
    let prefix = format!("{krate}::");
    let mut names = BTreeSet::new();
    for (at, _) in code.match_indices(&prefix) {
        if code[..at].ends_with(|c| is_word(c) || c == ':') {
            continue;
        }
        let rest = &code[at + prefix.len()..];
        let Some(group) = rest.strip_prefix('{') else {
            names.extend(first_word(rest));
            continue;
        };
        for item in group_items(group) {
            names.extend(first_word(&item));
        }
    }
    names
}

fn first_word(text: &str) -> Option<String> {
    let word: String = text.trim_start().chars().take_while(|c| is_word(*c)).collect();
    (!word.is_empty()).then_some(word)
}

/// The items of a group, from behind its opening brace on.
fn group_items(group: &str) -> Vec<String> {
    let (mut depth, mut items) = (0, vec![String::new()]);
    for c in group.chars() {
        match c {
            '}' if depth == 0 => break,
            ',' if depth == 0 => items.push(String::new()),
            _ => {
                depth += i32::from(c == '{') - i32::from(c == '}');
                items.last_mut().unwrap().push(c);
            }
        }
    }
    items
}

/// Fails with every breach in its message.
fn no_breach(rule: &str, breaches: &[String]) {
    assert!(breaches.is_empty(), "{rule}\n  {}\n", breaches.join("\n  "));
}

#[test]
fn the_top_level_is_the_seven_names() {
    let seven = ["Cargo.toml", "README.md", "template.yaml", "functions", "shared", "infra", "tests"];
    let besides = ["Cargo.lock", "RELIABILITY.md", "target"];
    let there: BTreeSet<_> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with('.') && !besides.contains(&&**name))
        .collect();
    assert_eq!(there, BTreeSet::from(seven.map(str::to_owned)), "all but dotfiles has its place below these");
}

#[test]
fn only_main_files_name_the_adapters() {
    let mut breaches = Vec::new();
    for file in sources(&["functions"]) {
        if file.path.ends_with("/src/main.rs") {
            continue;
        }
        for name in ["aws", "config", "telemetry"] {
            if modules_named(&file.code(), "bucketwheel").contains(name) {
                breaches.push(format!("{} names bucketwheel::{name}", file.path));
            }
        }
    }
    for file in sources(&["functions", "infra", "shared", "tests"]) {
        let adapter = file.path == "shared/src/aws.rs" || file.path.starts_with("shared/src/aws/");
        let sdk = concat!("aws_", "sdk_");
        if !adapter && file.code().contains(sdk) {
            breaches.push(format!("{} names an SDK of AWS", file.path));
        }
    }
    no_breach("adapters are chosen in main.rs, and no type of an SDK leaves shared/src/aws", &breaches);
}

#[test]
fn imports_flow_one_way() {
    let pure = "call connect credential event gitops metric missed rotation seal signature token trace";
    let pure: Vec<_> = pure.split(' ').collect();
    const OUTSIDE: [&str; 7] = ["aws", "bitbucket", "config", "memory", "ports", "store", "telemetry"];
    let mut breaches = Vec::new();
    for file in sources(&["shared/src"]).into_iter().filter(|file| !file.is_test()) {
        let room = file.path.trim_start_matches("shared/src/").trim_end_matches(".rs");
        let room = room.split('/').next().unwrap();
        let forbidden: &[&str] = match room {
            _ if pure.contains(&room) => &OUTSIDE,
            "ports" => &["aws", "bitbucket", "config", "memory", "store", "telemetry"],
            "store" => &["aws", "bitbucket", "config", "memory", "telemetry"],
            "bitbucket" => &["aws", "config", "memory", "store", "telemetry"],
            _ => continue,
        };
        let code = file.code();
        let named = modules_named(&code, "crate");
        let wrong = forbidden.iter().filter(|name| named.contains(**name));
        breaches.extend(wrong.map(|name| format!("{} names crate::{name}", file.path)));
        let edges: &[&str] = match room {
            _ if pure.contains(&room) => {
                &["async", "std::env", "Timestamp::now", "SystemTime::now", "Instant::now"]
            }
            _ => &["std::env", "Timestamp::now", "SystemTime::now"],
        };
        let wrong = edges.iter().filter(|word| has_word(&code, word));
        breaches.extend(wrong.map(|word| format!("{} says {word}", file.path)));
    }
    for room in pure {
        assert!(root().join(format!("shared/src/{room}.rs")).exists(), "the pure room {room} has moved");
    }
    no_breach(
        "the pure rooms know nothing of the outside, and ports nothing of what is behind them",
        &breaches,
    );
}

#[test]
fn a_function_never_imports_another() {
    let (functions, mut breaches) = (functions(), Vec::new());
    for file in files(&["functions"]) {
        let own = file.path.split('/').nth(1).unwrap();
        for other in functions.iter().filter(|other| *other != own) {
            let krate = other.replace('-', "_");
            let imports = file.path.ends_with(".rs") && !modules_named(&file.code(), &krate).is_empty();
            let depends = file.path.ends_with("/Cargo.toml")
                && file.text.lines().any(|line| {
                    line.strip_prefix(&**other).is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
                        || line.contains(&format!("path = \"../{other}\""))
                });
            if imports || depends {
                breaches.push(format!("{} names {other}", file.path));
            }
        }
    }
    no_breach("functions talk through queues and the table; what they share lies in shared", &breaches);
}

#[test]
fn main_files_stay_wiring() {
    let mains = sources(&["functions"]).into_iter().filter(|file| file.path.ends_with("/src/main.rs"));
    let long: Vec<_> = mains
        .map(|file| (file.text.lines().count(), file.path))
        .filter(|(lines, _)| *lines > 60)
        .map(|(lines, path)| format!("{path} has {lines} lines"))
        .collect();
    no_breach("a main.rs is wiring, at most 60 lines: what it decides belongs into lib.rs", &long);
}

#[test]
fn long_files_explain_themselves() {
    let explains = |file: &File| {
        let doc = file.text.lines().take_while(|line| line.starts_with("//!")).map(|line| line[3..].trim());
        doc.collect::<Vec<_>>().join(" ").contains("This file is long because ")
    };
    let long: Vec<_> = sources(&["functions", "infra", "shared", "tests"])
        .iter()
        .filter(|file| !file.is_test() || file.path.starts_with("tests/"))
        .map(|file| (file.without_tests().lines().count(), file))
        .filter(|(lines, file)| *lines > 300 && !explains(file))
        .map(|(lines, file)| format!("{} has {lines} lines", file.path))
        .collect();
    no_breach("over 300 lines, a file's doc says: \"This file is long because ...\"", &long);
}

#[test]
fn no_private_words() {
    // Put together here, so that this file does not contain what it looks for.
    let folders = ["home", "root", "Users", "work", "tmp/bash"].map(|name| format!("/{name}/"));
    let hosts = ["artifactory", "jfrog", "nexus3", "index.crates.", "registry.npmjs", "pypi.org/simple"];
    let mut breaches = Vec::new();
    for file in files(&[""]) {
        if file.path == "tests/it/tidy.rs" || file.path == "Cargo.lock" {
            continue;
        }
        for (number, line) in file.text.lines().enumerate() {
            let mut report = |word: &str| breaches.push(format!("{}:{}: {word}", file.path, number + 1));
            for folder in &folders {
                let inside = |at: usize| line[..at].ends_with(|c: char| is_word(c) || "}.-".contains(c));
                if line.match_indices(&**folder).any(|(at, _)| !inside(at)) {
                    report(folder);
                }
            }
            let lower = line.to_lowercase();
            hosts.iter().filter(|host| lower.contains(**host)).for_each(|host| report(host));
        }
    }
    no_breach("nothing tells where or how this was made", &breaches);
}
