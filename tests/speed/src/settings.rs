//! What template.yaml gives the functions where every parameter has its default. No condition holds then.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use saphyr::{LoadableYamlNode as _, Yaml};

const QUEUE: &str = "https://sqs.eu-central-1.amazonaws.com/111122223333/queue.fifo";

/// Environment variables with their values.
pub(crate) type Variables = Vec<(String, String)>;

/// The environment variables of each function, by the name of its package.
pub(crate) fn settings(project: &Path) -> Result<BTreeMap<String, Variables>, Box<dyn Error>> {
    let text = fs::read_to_string(project.join("template.yaml"))?;
    let documents = Yaml::load_from_str(&text)?;
    let template = documents.first().ok_or("template.yaml is empty")?;
    let globals = at(template, &["Globals", "Function"]);
    let resources = at(template, &["Resources"]).and_then(Yaml::as_mapping).into_iter().flatten();
    let properties = resources.filter_map(|(_, resource)| at(resource, &["Properties"]));
    let functions = properties.filter_map(|own| {
        let package = at(own, &["CodeUri"])?.as_str()?.strip_prefix("functions/")?.strip_suffix('/')?;
        let given = [globals, Some(own)].into_iter().flatten();
        let variables = given.filter_map(|given| at(given, &["Environment", "Variables"])?.as_mapping());
        let read = variables.flatten().map(|(name, value)| {
            let name = name.as_str().unwrap_or_default().to_owned();
            let value = said(template, value).ok_or_else(|| format!("{name} is given in a new way"))?;
            Ok((name, value))
        });
        Some(read.collect::<Result<_, _>>().map(|variables| (package.to_owned(), variables)))
    });
    functions.collect()
}

fn at<'a, 'i>(node: &'a Yaml<'i>, path: &[&str]) -> Option<&'a Yaml<'i>> {
    path.iter().try_fold(node, |node, name| node.as_mapping_get(name))
}

/// A value as a text. What is made elsewhere is known by the name of its output, but for queues.
fn said(template: &Yaml<'_>, value: &Yaml<'_>) -> Option<String> {
    match value {
        Yaml::Tagged(tag, inner) => match &*tag.suffix {
            "If" => said(template, inner.as_sequence()?.get(2)?),
            "Ref" => said(template, at(template, &["Parameters", inner.as_str()?, "Default"])?),
            "GetAtt" => {
                let output = inner.as_str()?.rsplit('.').next()?;
                Some(if output.ends_with("Url") { QUEUE } else { output }.to_owned())
            }
            _ => None,
        },
        scalar => scalar.as_str().map(str::to_owned).or_else(|| Some(scalar.as_integer()?.to_string())),
    }
}
