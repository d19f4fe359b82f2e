//! What fails in front of a function's own code is a 5xx: Bitbucket sends such a delivery again, and drops one
//! that is answered 4xx.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::world::World;

/// A function that takes an invocation from the Runtime API and then does this.
fn takes_one_and(then: &str) -> String {
    let runtime = "os.environ['AWS_LAMBDA_RUNTIME_API']";
    format!(
        "#!/usr/bin/env python3\nimport os, signal, time, urllib.request\n\
         urllib.request.urlopen('http://' + {runtime} + '/2018-06-01/runtime/invocation/next').read()\n{then}\n"
    )
}

/// A folder with the functions' own programs, of which these are replaced.
fn functions(replaced: &[(&str, &str)]) -> PathBuf {
    let own = Path::new(env!("CARGO_TARGET_TMPDIR")).join("platform");
    let _ = fs::remove_dir_all(&own);
    fs::create_dir_all(&own).expect("a folder");
    for name in super::tidy::functions() {
        let script = replaced.iter().find(|(it, _)| *it == name).map_or("#!/bin/sh\nexit 1\n", |(_, it)| it);
        fs::write(own.join(&name), script).expect("written");
        fs::set_permissions(own.join(&name), fs::Permissions::from_mode(0o755)).expect("executable");
    }
    own
}

#[tokio::test]
async fn a_function_that_does_not_start_dies_or_is_slow_is_a_5xx_to_whoever_asked() {
    let dies = takes_one_and("os.kill(os.getpid(), signal.SIGKILL)");
    let sleeps = takes_one_and("time.sleep(600)");
    let world = World::with_functions(functions(&[("console", &dies), ("webhook-ingest", &sleeps)])).await;
    let url = &world.local().public_url;
    let asked = [
        ("does not start", world.http.get(format!("{url}/connect/x"))),
        ("dies", world.http.get(format!("{url}/credentials"))),
        ("is slow", world.http.post(format!("{url}/webhooks/bitbucket-cloud/x")).body("{}")),
    ];
    for (what, request) in asked {
        let status = request.send().await.expect("an answer").status();
        println!("a function that {what}: {status}");
        assert!(status.is_server_error(), "a function that {what} is answered {status}");
        // The API gives up before the function's time-out, which would be a 500.
        assert_eq!(what == "is slow", status == 503, "a function that {what} is answered {status}");
    }
    world.stop();
}
