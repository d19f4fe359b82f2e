//! What template.yaml says of each function.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use saphyr::{LoadableYamlNode, Yaml};

use super::root;

/// An action and what it is done to, as the template writes it: `dynamodb:GetItem Data.Outputs.TableArn`.
pub(super) type Grant = String;

/// What template.yaml says of one function.
pub(super) struct Described {
    pub(super) environment: BTreeMap<String, String>,
    pub(super) grants: BTreeSet<Grant>,
    /// The ARNs of the queues that wake it.
    pub(super) queues: Vec<String>,
    /// `GET /path`.
    pub(super) routes: Vec<String>,
    /// Its log group.
    pub(super) logs: String,
}

/// The functions of template.yaml, by the name of their package.
pub(super) fn described() -> BTreeMap<String, Described> {
    let text = fs::read_to_string(root().join("template.yaml")).unwrap();
    let documents = Yaml::load_from_str(&text).unwrap();
    let template = &documents[0];
    let resources = field(template, "Resources");
    let globals = variables(field(field(field(template, "Globals"), "Function"), "Environment"));
    let of_type = |wanted: &'static str| {
        entries(resources).into_iter().filter(move |(_, resource)| said(field(resource, "Type")) == wanted)
    };
    let mut functions = BTreeMap::new();
    for (name, function) in of_type("AWS::Serverless::Function") {
        let properties = field(function, "Properties");
        let binary = said(field(field(field(function, "Metadata"), "BuildProperties"), "Binary"));
        assert_eq!(said(field(properties, "CodeUri")), format!("functions/{binary}/"), "{name}");

        let mut environment = globals.clone();
        environment.extend(variables(field(properties, "Environment")));
        let role = said(field(properties, "Role"));
        let role = field(resources, role.strip_suffix(".Arn").unwrap());
        let queues = match maybe(properties, "Events") {
            Some(events) => entries(events)
                .into_iter()
                .filter(|(_, event)| said(field(event, "Type")) == "SQS")
                .map(|(_, event)| said(field(field(event, "Properties"), "Queue")))
                .collect(),
            None => Vec::new(),
        };
        let integrations: Vec<_> = of_type("AWS::ApiGatewayV2::Integration")
            .filter(|(_, it)| {
                let uri = said(field(field(it, "Properties"), "IntegrationUri"));
                uri.split(',').any(|target| target == format!("{name}.Arn"))
            })
            .map(|(integration, _)| format!("integrations/{integration}"))
            .collect();
        let routes = of_type("AWS::ApiGatewayV2::Route")
            .map(|(_, route)| field(route, "Properties"))
            .filter(|route| integrations.contains(&said(field(route, "Target"))))
            .map(|route| said(field(route, "RouteKey")))
            .collect();
        let logs = said(field(field(properties, "LoggingConfig"), "LogGroup"));
        functions.insert(binary, Described { environment, grants: grants(role), queues, routes, logs });
    }
    functions
}

fn grants(role: &Yaml<'_>) -> BTreeSet<Grant> {
    let mut grants = BTreeSet::new();
    for policy in list(field(field(role, "Properties"), "Policies")) {
        for statement in list(field(field(policy, "PolicyDocument"), "Statement")) {
            assert_eq!(said(field(statement, "Effect")), "Allow");
            for action in list(field(statement, "Action")) {
                let resources = list(field(statement, "Resource"));
                grants
                    .extend(resources.iter().map(|resource| format!("{} {}", said(action), said(resource))));
            }
        }
    }
    grants
}

fn variables(environment: &Yaml<'_>) -> BTreeMap<String, String> {
    let variables = entries(field(environment, "Variables"));
    variables.into_iter().map(|(name, value)| (name.to_owned(), said(chosen(value)))).collect()
}

/// Of a choice, what is chosen where its condition holds.
fn chosen<'a, 'i>(node: &'a Yaml<'i>) -> &'a Yaml<'i> {
    match node {
        Yaml::Tagged(tag, inner) if tag.suffix == "If" => list(inner)[1],
        other => other,
    }
}

/// A node without its tag: `!Ref X`.
fn bare<'a, 'i>(node: &'a Yaml<'i>) -> &'a Yaml<'i> {
    match node {
        Yaml::Tagged(_, inner) => bare(inner),
        other => other,
    }
}

pub(super) fn maybe<'a, 'i>(node: &'a Yaml<'i>, name: &str) -> Option<&'a Yaml<'i>> {
    bare(node).as_mapping_get(name)
}

pub(super) fn field<'a, 'i>(node: &'a Yaml<'i>, name: &str) -> &'a Yaml<'i> {
    maybe(node, name)
        .unwrap_or_else(|| panic!("template.yaml has no {name} where one was expected: {node:?}"))
}

pub(super) fn entries<'a, 'i>(node: &'a Yaml<'i>) -> Vec<(&'a str, &'a Yaml<'i>)> {
    let mapping = bare(node).as_mapping().unwrap();
    mapping.iter().map(|(name, value)| (name.as_str().unwrap(), value)).collect()
}

/// A list; one alone may stand for a list of one.
pub(super) fn list<'a, 'i>(node: &'a Yaml<'i>) -> Vec<&'a Yaml<'i>> {
    bare(node).as_sequence().map_or_else(|| vec![node], |list| list.iter().collect())
}

/// A value in one way of writing: `!GetAtt A.B`, `!Sub ${A.B}` and `!Ref A` become `A.B` and `A`.
pub(super) fn said(node: &Yaml<'_>) -> String {
    match node {
        Yaml::Tagged(tag, inner) if tag.suffix == "Sub" => said(inner).replace("${", "").replace('}', ""),
        Yaml::Tagged(_, inner) => said(inner),
        Yaml::Sequence(items) => items.iter().map(said).collect::<Vec<_>>().join(","),
        scalar => scalar.as_str().unwrap_or_default().to_owned(),
    }
}
