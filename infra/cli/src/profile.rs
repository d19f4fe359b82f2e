//! Where a deployment is: a file that only its owner can read. A local system writes it and takes it
//! away again; for a deployed stack `bucketwheel profile` writes it from the stack's outputs.

mod error;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use bucketwheel::aws::{Account, Secrets};
use bucketwheel::config::{Settings, from_env};
use bucketwheel_local::{KEY, Options};
use clap::Args;
pub(crate) use error::Error;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Where everything is.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    /// Where browsers and Bitbucket find it: scheme, host and port.
    pub(crate) public_url: String,
    pub(crate) bitbucket_url: String,
    /// Only of a local system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sandbox_url: Option<String>,
    pub(crate) region: String,
    /// Only of a local system: where its AWS is. Without it the real one is used, with the credentials of the
    /// environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) aws_endpoint: Option<String>,
    pub(crate) table: String,
    pub(crate) events_queue: String,
    pub(crate) results_queue: String,
    pub(crate) hook_keyring: String,
    pub(crate) access_keyring: String,
    pub(crate) refresh_keyring: String,
    pub(crate) app_secret: String,
    pub(crate) operator_secret: String,
    /// If it is not here it is read from the operator secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) operator_token: Option<String>,
    /// The header in which a sign-on in front of the console wants its token. The token itself is in
    /// `BUCKETWHEEL_SIGN_ON_TOKEN`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sign_on_header: Option<String>,
}

/// What `bucketwheel profile` is told.
#[derive(Debug, Args)]
pub(crate) struct Written {
    /// What `aws cloudformation describe-stacks --stack-name …` prints, as a file; - reads it from the input
    outputs: PathBuf,
    /// The stack's region
    #[arg(long)]
    region: String,
    /// The header of a sign-on in front of the console: the parameter OidcHeader
    #[arg(long)]
    sign_on_header: Option<String>,
}

#[derive(Deserialize)]
struct OperatorSecret {
    token: SecretString,
}

impl Profile {
    pub(crate) fn load(path: &Path) -> Result<Self, Error> {
        let unreadable = |reason| Error::Unreadable { path: path.to_owned(), reason };
        let text = fs::read_to_string(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::NotRunning(path.to_owned()),
            _ => unreadable(error.to_string()),
        })?;
        serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))
    }

    /// Writes the profile of a deployed stack to `path`, from the stack's outputs.
    pub(crate) fn write(wanted: Written, path: &Path) -> Result<Self, Error> {
        let Written { outputs, region, sign_on_header } = wanted;
        let unreadable = |reason: String| Error::NoOutputs { path: outputs.clone(), reason };
        let text = match outputs.to_str() {
            Some("-") => io::read_to_string(io::stdin()),
            _ => fs::read_to_string(&outputs),
        };
        let text = text.map_err(|error| unreadable(error.to_string()))?;
        let described = serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))?;
        let profile = Self { sign_on_header, ..Self::of_stack(&described, region)? };
        profile.save(path)?;
        Ok(profile)
    }

    fn of_stack(described: &Value, region: String) -> Result<Self, Error> {
        let list = described.pointer("/Stacks/0/Outputs").unwrap_or(described).as_array();
        let mut outputs: BTreeMap<&str, &str> = list
            .into_iter()
            .flatten()
            .filter_map(|output| Some((output["OutputKey"].as_str()?, output["OutputValue"].as_str()?)))
            .collect();
        let mut lacking = Vec::new();
        let mut take = |name: &'static str| {
            outputs.remove(name).map(str::to_owned).unwrap_or_else(|| {
                lacking.push(name);
                String::new()
            })
        };
        let profile = Self {
            public_url: take("PublicUrl"),
            bitbucket_url: take("BitbucketUrl"),
            region,
            table: take("TableName"),
            events_queue: take("EventsQueueUrl"),
            results_queue: take("ResultsQueueUrl"),
            hook_keyring: take("HookKeyringName"),
            access_keyring: take("AccessKeyringName"),
            refresh_keyring: take("RefreshKeyringName"),
            app_secret: take("AppSecretName"),
            operator_secret: take("OperatorSecretName"),
            ..Self::default()
        };
        if lacking.is_empty() { Ok(profile) } else { Err(Error::Outputs(lacking)) }
    }

    /// Whether a local system may write its profile here: not over a deployed one's.
    pub(crate) fn may_publish(path: &Path) -> Result<(), Error> {
        match Self::load(path) {
            Err(Error::NotRunning(_)) => Ok(()),
            Ok(before) if before.aws_endpoint.is_some() => Ok(()),
            _ => Err(Error::NotLocal(path.to_owned())),
        }
    }

    pub(crate) fn save(&self, path: &Path) -> Result<(), Error> {
        write(path, &json!(self))
    }

    /// AWS, as the operator may use it.
    pub(crate) fn account(&self) -> Result<Account, Error> {
        let environment = from_env();
        let lookup = |name: &str| match (name, &self.aws_endpoint) {
            ("AWS_REGION", _) => Some(self.region.clone()),
            ("AWS_ENDPOINT_URL", endpoint) => endpoint.clone(),
            ("AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY", Some(_)) => Some(KEY.to_owned()),
            (_, Some(_)) => None,
            (name, None) => environment.optional(name),
        };
        let mut settings = Settings::new(lookup);
        let account = Account::from(&mut settings);
        settings.finish()?;
        Ok(account)
    }

    /// The token that opens the console.
    pub(crate) async fn token(&self) -> Result<String, Error> {
        if let Some(token) = &self.operator_token {
            return Ok(token.clone());
        }
        let secret: OperatorSecret = Secrets::new(&self.account()?).json(&self.operator_secret).await?;
        Ok(secret.token.expose_secret().to_owned())
    }

    /// The header and the token for a sign-on in front of the console.
    pub(crate) fn signed_on(&self) -> Option<(String, String)> {
        Some((self.sign_on_header.clone()?, from_env().optional("BUCKETWHEEL_SIGN_ON_TOKEN")?))
    }
}

/// Writes the profile of a local system; the file is removed when the guard is dropped, unless another system
/// has taken it over.
pub(crate) fn publish(profile: &Value, path: &Path) -> Result<Published, Error> {
    write(path, profile)?;
    let public_url = profile["public_url"].as_str().unwrap_or_default().to_owned();
    Ok(Published { path: path.to_owned(), public_url })
}

pub(crate) struct Published {
    path: PathBuf,
    public_url: String,
}

impl Drop for Published {
    fn drop(&mut self) {
        if Profile::load(&self.path).is_ok_and(|there| there.public_url == self.public_url) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Where the file is unless somebody says otherwise.
pub(crate) fn usual_path() -> PathBuf {
    Options::default().state.join("running.json")
}

fn write(path: &Path, profile: &Value) -> Result<(), Error> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(path).and_then(|mut file| file.write_all(format!("{profile:#}").as_bytes()));
    written.map_err(|source| Error::Write { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: [&str; 10] = [
        "PublicUrl",
        "BitbucketUrl",
        "TableName",
        "EventsQueueUrl",
        "ResultsQueueUrl",
        "HookKeyringName",
        "AccessKeyringName",
        "RefreshKeyringName",
        "AppSecretName",
        "OperatorSecretName",
    ];

    #[test]
    fn a_stacks_outputs_make_a_profile_and_what_is_lacking_is_named() {
        let outputs: Vec<_> = NAMES
            .iter()
            .map(|name| json!({"OutputKey": name, "OutputValue": format!("the {name}")}))
            .collect();
        for described in [json!(outputs), json!({"Stacks": [{"Outputs": outputs}]})] {
            let profile = Profile::of_stack(&described, "eu-central-1".to_owned()).expect("a profile");
            assert_eq!((profile.table.as_str(), profile.region.as_str()), ("the TableName", "eu-central-1"));
            assert_eq!((profile.aws_endpoint, profile.operator_token), (None, None));
        }
        let without = Profile::of_stack(&json!(outputs[1..]), String::new()).expect_err("refused");
        assert!(without.to_string().contains("lack PublicUrl"), "{without}");
    }

    #[test]
    fn a_local_system_leaves_the_profiles_of_others_alone() {
        let path = std::env::temp_dir().join(format!("bucketwheel-profile-{}.json", std::process::id()));
        let deployed = Profile { public_url: "https://a.example".to_owned(), ..Profile::default() };
        deployed.save(&path).expect("saved");
        assert!(matches!(Profile::may_publish(&path), Err(Error::NotLocal(_))));
        let local = |url: &str| {
            let (public_url, aws_endpoint) = (url.to_owned(), Some(url.to_owned()));
            json!(Profile { public_url, aws_endpoint, ..Profile::default() })
        };
        let first = publish(&local("http://localhost:1"), &path).expect("published");
        assert!(Profile::may_publish(&path).is_ok());
        let second = publish(&local("http://localhost:2"), &path).expect("published");
        drop(first);
        assert_eq!(Profile::load(&path).expect("the second one's").public_url, "http://localhost:2");
        drop(second);
        assert!(matches!(Profile::load(&path), Err(Error::NotRunning(_))));
        assert!(Profile::may_publish(&path).is_ok());
    }

    #[test]
    fn the_template_has_every_output_that_a_profile_is_made_of() {
        let template = include_str!("../../../template.yaml");
        let (_, outputs) = template.split_once("\nOutputs:\n").expect("outputs");
        for name in NAMES {
            assert!(
                outputs.contains(&format!("\n  {name}:\n")) || outputs.starts_with(&format!("  {name}:\n")),
                "{name}"
            );
        }
    }
}
