//! The list of attacks in `.github/THREATS.md`, against the tests that it names.

use std::fs;
use std::path::Path;

#[test]
fn every_attack_of_the_threat_model_names_a_test_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the root");
    let threats = fs::read_to_string(root.join(".github/THREATS.md")).expect("the threat model");
    let tried = threats.split("## What was tried").nth(1).expect("the list of attacks");
    let rows: Vec<_> = tried.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    for attack in [
        "forged",
        "replayed",
        "truncated",
        "oversized",
        "header confusion",
        "state fixation",
        "link reuse",
        "open redirect",
        "SSRF by call path",
        "SSRF by `next`",
        "CSRF",
        "session theft",
        "session forgery",
        "XSS",
        "timing",
        "zip bomb",
        "JSON bomb",
        "Bitbucket's answer",
        "algorithm confusion",
    ] {
        assert!(rows.iter().any(|row| row.contains(attack)), "the list says nothing of {attack}");
    }
    let mut sources = Vec::new();
    let mut folders = vec![root.join("tests/it"), root.join("functions"), root.join("shared/src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push((
                    path.starts_with(root.join("tests")),
                    fs::read_to_string(path).expect("a source"),
                ));
            }
        }
    }
    for row in rows {
        let named = row.rsplit('|').nth(1).expect("a column of tests");
        let mut words = named.split('`').skip(1);
        let mut tests = 0;
        while let (Some(test), Some(after)) = (words.next(), words.next()) {
            let begins =
                |source: &str| ["()", "(\n"].iter().find_map(|end| source.find(&format!("fn {test}{end}")));
            let found = sources.iter().find_map(|(runs, source)| Some((runs, &source[..begins(source)?])));
            let (runs, before) = found.unwrap_or_else(|| panic!("there is no test {test}"));
            // Its attributes and its doc stand between it and the blank line before.
            let is_ignored = before.rsplit("\n\n").next().is_some_and(|lines| lines.contains("#[ignore"));
            let said = match (runs, is_ignored) {
                (true, false) => "",
                (false, false) => " (in memory)",
                (true, true) => " (by hand)",
                (false, true) => " (in memory and by hand)",
            };
            assert_eq!(after.split(',').next().map(str::trim_end), Some(said), "{test} in: {row}");
            tests += 1;
        }
        assert!(tests > 0, "{row}");
    }
}
