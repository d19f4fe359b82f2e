//! `bucketwheel package`: what a deployment without SAM uploads.

use std::path::PathBuf;

use clap::Args;

use crate::verbs::say;

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

pub(crate) fn run(arguments: &Arguments) -> Result<(), bucketwheel_local::Error> {
    for done in bucketwheel_local::package(&arguments.binaries, &arguments.out)? {
        let kib = done.bytes.div_ceil(1024);
        say(&format!("{:<16} {kib:>6} KiB  sha256 {}", done.function, done.digest));
    }
    let out = arguments.out.display();
    say("Deploy it with:");
    say(&format!(
        "  aws cloudformation package --template-file {out}/template.yaml --s3-bucket BUCKET \\\n    \
         --output-template-file {out}/packaged.yaml"
    ));
    say(&format!(
        "  aws cloudformation deploy --template-file {out}/packaged.yaml --stack-name bucketwheel \\\n    \
         --capabilities CAPABILITY_IAM CAPABILITY_AUTO_EXPAND"
    ));
    Ok(())
}
