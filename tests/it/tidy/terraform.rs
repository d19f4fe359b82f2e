//! The Terraform module says what template.yaml says. It is generated, so a difference means that somebody
//! changed the template and did not run `.ci/run terraform`.

use std::collections::BTreeSet;
use std::fs;

use saphyr::{LoadableYamlNode, Yaml};

use super::template::{described, entries, field, said};
use super::{no_breach, root};

/// The bodies of all resources of this type in one file of the module, with their names.
fn resources(file: &str, kind: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(root().join("infra/terraform").join(file)).unwrap();
    let blocks =
        text.split("\nresource \"").skip(1).filter_map(|block| block.strip_prefix(&format!("{kind}\" \"")));
    blocks
        .map(|block| {
            let body = block.split("\n}\n").next().unwrap();
            (body.split('"').next().unwrap().to_owned(), body.to_owned())
        })
        .collect()
}

/// The values of `name = "value"` in a block.
fn quoted<'b>(body: &'b str, name: &str) -> Option<&'b str> {
    let line = body.lines().find(|line| line.split('=').next().unwrap().trim() == name)?;
    line.split('"').nth(1)
}

/// Everything of the form `verb:Action` in a block.
fn actions(body: &str) -> BTreeSet<String> {
    let services = ["dynamodb:", "logs:", "secretsmanager:", "sqs:"];
    let texts = body.lines().skip(1).flat_map(|line| line.split('"').skip(1).step_by(2));
    texts.filter(|text| services.iter().any(|it| text.starts_with(it))).map(str::to_owned).collect()
}

#[test]
fn functions_settings_routes_and_permissions_are_the_same() {
    let mut breaches = Vec::new();
    let functions = resources("main.tf", "aws_lambda_function");
    let policies = resources("main.tf", "aws_iam_role_policy");
    let template = described();
    assert_eq!(functions.len(), template.len(), "run .ci/run terraform");
    let mut routes = BTreeSet::new();
    for (name, described) in &template {
        let own = |body: &str| body.contains(&format!("/{name}.zip"));
        let Some((label, body)) = functions.iter().find(|(_, body)| own(body)) else {
            breaches.push(format!("{name} is not there"));
            continue;
        };
        let named = body.lines().filter_map(|line| line.split_whitespace().next());
        let given: BTreeSet<_> =
            named.filter(|word| word.starts_with("BUCKETWHEEL_")).map(str::to_owned).collect();
        let wanted: BTreeSet<_> = described.environment.keys().cloned().collect();
        breaches.extend((given != wanted).then(|| format!("{name}: other settings")));

        let policy = policies.iter().find(|(it, _)| *it == format!("{label}_role"));
        let granted = policy.map(|(_, body)| actions(body)).unwrap_or_default();
        let wanted: BTreeSet<_> =
            described.grants.iter().map(|grant| grant.split(' ').next().unwrap().to_owned()).collect();
        breaches.extend((granted != wanted).then(|| format!("{name}: other permissions")));
        routes.extend(described.routes.iter().cloned());
    }
    let there: BTreeSet<_> = resources("main.tf", "aws_apigatewayv2_route")
        .iter()
        .map(|(_, body)| quoted(body, "route_key").unwrap().to_owned())
        .collect();
    breaches.extend((there != routes).then(|| "other routes".to_owned()));
    no_breach("infra/terraform says what template.yaml says; run .ci/run terraform", &breaches);
}

#[test]
fn queues_and_alarms_are_the_same() {
    let count = |path: &str, kind: &str| {
        let text = fs::read_to_string(root().join("infra/stacks").join(path)).unwrap();
        let documents = Yaml::load_from_str(&text).unwrap();
        let all = entries(field(&documents[0], "Resources"));
        all.into_iter()
            .filter(|(_, it)| said(field(it, "Type")) == kind)
            .map(|(name, _)| name.to_lowercase())
            .collect()
    };
    let there = |file: &str, kind: &str| -> BTreeSet<String> {
        resources(file, kind).into_iter().map(|(name, _)| name.replace('_', "")).collect()
    };
    let queues: BTreeSet<String> = count("queues.yaml", "AWS::SQS::Queue");
    assert_eq!(there("queues.tf", "aws_sqs_queue"), queues, "run .ci/run terraform");
    let alarms: BTreeSet<String> = count("alarms.yaml", "AWS::CloudWatch::Alarm");
    assert_eq!(there("alarms.tf", "aws_cloudwatch_metric_alarm"), alarms, "run .ci/run terraform");
}
