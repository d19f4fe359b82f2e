//! `tests/mutations` replaces texts and names tests. Here it is kept from rotting: each text is there once,
//! and so is each test.

use std::fs;

use serde_json::Value;

use super::{no_breach, root, sources};

#[test]
fn what_the_mutations_replace_and_the_tests_they_name_are_there() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let mutations: Value = serde_json::from_str(&read("tests/mutations.json")).unwrap();
    let sources = sources(&["functions", "shared", "tests"]);
    let mut breaches = Vec::new();
    for mutation in mutations.as_array().unwrap() {
        let text = |name: &str| mutation[name].as_str().unwrap();
        let found = read(text("file")).matches(text("old")).count();
        if found != 1 {
            breaches.push(format!("{} has this text {found} times: {}", text("file"), text("old")));
        }
        let test = format!("fn {}(", text("test"));
        if !sources.iter().any(|file| file.text.contains(&test)) {
            breaches.push(format!("there is no test {}", text("test")));
        }
    }
    no_breach("tests/mutations finds what it replaces and what has to notice", &breaches);
}
