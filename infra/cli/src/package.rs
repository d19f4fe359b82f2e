//! `bucketwheel package`: what a deployment without SAM uploads.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::screen::Screen;

/// Where the binaries are, and where the packages go.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The folder with the binaries: NAME/bootstrap from cargo-lambda, or NAME from cargo
    #[arg(long, value_name = "FOLDER", default_value = "target/lambda")]
    binaries: PathBuf,
    /// The folder to write; it is made if it is not there
    #[arg(long, value_name = "FOLDER", default_value = "target/package")]
    out: PathBuf,
}

pub(crate) fn run(arguments: &Arguments, screen: Screen) -> Result<(), bucketwheel_local::Error> {
    let packages = bucketwheel_local::package(&arguments.binaries, &arguments.out)?;
    let rows: Vec<_> = packages
        .iter()
        .map(|done| {
            let kib = done.bytes.div_ceil(1024);
            json!({ "function": done.function, "bytes": done.bytes, "kib": kib, "sha256": done.digest })
        })
        .collect();
    screen.table(&rows, &[("FUNCTION", "/function"), ("KIB", "/kib"), ("SHA256", "/sha256")], "");
    let out = arguments.out.display();
    screen.aside("Deploy it with:");
    screen.aside(&format!(
        "  aws cloudformation package --template-file {out}/template.yaml --s3-bucket BUCKET \\\n    \
         --output-template-file {out}/packaged.yaml"
    ));
    screen.aside(&format!(
        "  aws cloudformation deploy --template-file {out}/packaged.yaml --stack-name bucketwheel \\\n    \
         --capabilities CAPABILITY_IAM CAPABILITY_AUTO_EXPAND"
    ));
    Ok(())
}
