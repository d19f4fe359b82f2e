//! The corpora of `tests/fuzz` through the functions of its targets, so that neither goes stale where nobody
//! fuzzes.

#[path = "../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "the targets are a crate of their own")]
mod checks;

use std::path::Path;

type Check = fn(&[u8]);

const TARGETS: [(&str, Check); 10] = [
    ("api_answer", checks::api_answer),
    ("call", checks::call),
    ("connect", checks::connect),
    ("envelope", checks::envelope),
    ("events", checks::events),
    ("filter", checks::filter),
    ("request", checks::request),
    ("sealed", checks::sealed),
    ("signature", checks::signature),
    ("token_answer", checks::token_answer),
];

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().into_string().expect("a name")).collect();
    names.sort();
    names
}

#[test]
fn what_the_fuzzers_found_does_no_harm() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    for (target, check) in TARGETS {
        let corpus = home.join("corpus").join(target);
        let names = names(&corpus);
        assert!(names.len() > 3, "{target} has next to no corpus");
        for name in names {
            let input = std::fs::read(corpus.join(&name)).expect("a file");
            // The whole, and what is left of it when it breaks off.
            for end in [input.len(), input.len() / 2, input.len().saturating_sub(1)] {
                println!("{target}/{name}, {end} bytes");
                check(&input[..end]);
            }
        }
    }
}

#[test]
fn each_target_is_one_of_these() {
    let targets = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/fuzz_targets");
    let known: Vec<_> = TARGETS.iter().map(|(name, _)| format!("{name}.rs")).collect();
    assert_eq!(names(&targets), known);
}
