//! README's first command finds its program.

use std::fs;

use super::root;

#[test]
fn cargo_run_means_the_bucketwheel_command() {
    let workspace = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let members = workspace.split("members = [").nth(1).unwrap().split(']').next().unwrap();
    let mut packages: Vec<_> =
        members.split(',').map(|path| path.trim().trim_matches('"').to_owned()).collect();
    packages.retain(|path| path != "functions/*");
    packages.extend(super::functions().iter().map(|name| format!("functions/{name}")));
    // With two of them, cargo asks which one is meant.
    let meant: Vec<_> = packages
        .iter()
        .filter(|path| {
            fs::read_to_string(root().join(path).join("Cargo.toml")).unwrap().contains("\ndefault-run")
        })
        .collect();
    assert_eq!(meant, ["infra/cli"]);
}
