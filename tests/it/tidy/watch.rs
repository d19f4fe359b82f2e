//! Every alarm and every graph shows a metric that somebody writes, and every alarm has a runbook.

use std::collections::BTreeSet;
use std::fs;

use bucketwheel::metric::{DIMENSION, Metric, NAMESPACE};
use saphyr::{LoadableYamlNode, Yaml};
use serde_json::Value;

use super::template::{entries, field, list, said};
use super::{functions, no_breach, root, sources};

/// What AWS writes by itself, with the dimension by which it is asked for here:
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html>,
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-metrics.html>,
/// <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html>.
const OF_AWS: [(&str, &str, &str); 8] = [
    ("AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName"),
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName"),
    ("AWS/ApiGateway", "Count", "ApiId"),
    ("AWS/ApiGateway", "4xx", "ApiId"),
    ("AWS/ApiGateway", "5xx", "ApiId"),
    ("AWS/Lambda", "Errors", "FunctionName"),
    ("AWS/Lambda", "Throttles", "FunctionName"),
    ("AWS/Lambda", "Duration", "FunctionName"),
];

/// A metric that is watched, and where.
struct Watched {
    by: String,
    namespace: String,
    name: String,
    dimension: String,
    value: String,
}

fn stack() -> String {
    fs::read_to_string(root().join("infra/stacks/alarms.yaml")).unwrap()
}

fn alarms() -> Vec<Watched> {
    let text = stack();
    let documents = Yaml::load_from_str(&text).unwrap();
    let resources = entries(field(&documents[0], "Resources"));
    let alarms = resources.into_iter().filter(|(_, it)| said(field(it, "Type")) == "AWS::CloudWatch::Alarm");
    alarms
        .map(|(name, alarm)| {
            let properties = field(alarm, "Properties");
            let text = |name| said(field(properties, name));
            assert!(text("AlarmDescription").ends_with(&format!(". Runbook - {name}")), "{name}");
            let dimensions = list(field(properties, "Dimensions"));
            Watched {
                by: name.to_owned(),
                namespace: text("Namespace"),
                name: text("MetricName"),
                dimension: said(field(dimensions[0], "Name")),
                value: said(field(dimensions[0], "Value")),
            }
        })
        .collect()
}

fn graphs() -> Vec<Watched> {
    let text = stack();
    let body = text.split("DashboardBody: !Sub |").nth(1).unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    let mut watched = Vec::new();
    for widget in body["widgets"].as_array().unwrap() {
        for metric in widget["properties"]["metrics"].as_array().unwrap() {
            let text = |at: usize| metric[at].as_str().unwrap().replace("${", "").replace('}', "");
            watched.push(Watched {
                by: widget["properties"]["title"].to_string(),
                namespace: text(0),
                name: text(1),
                dimension: text(2),
                value: text(3),
            });
        }
    }
    watched
}

/// The metrics that a function's code counts.
fn counted(function: &str) -> BTreeSet<&'static str> {
    let code: String = sources(&[&format!("functions/{function}/src")]).iter().map(|it| it.code()).collect();
    let says = |metric: &&Metric| super::has_word(&code, &format!("{metric:?}"));
    Metric::ALL.iter().filter(says).map(|metric| metric.name()).collect()
}

#[test]
fn every_metric_that_is_watched_is_written() {
    let mut breaches = Vec::new();
    for Watched { by, namespace, name, dimension, value } in alarms().into_iter().chain(graphs()) {
        let of_aws = OF_AWS.contains(&(&*namespace, &*name, &*dimension));
        let function = value.strip_prefix("Name-").unwrap_or_default();
        let known = functions().iter().any(|known| known == function);
        let ours = namespace == NAMESPACE && dimension == DIMENSION && counted(function).contains(&*name);
        let right = if dimension == "QueueName" || dimension == "ApiId" { of_aws } else { known };
        if !(right && (of_aws || ours)) {
            breaches.push(format!("{by}: nobody writes {namespace} {name} of {dimension} {value}"));
        }
    }
    no_breach("alarms and graphs watch what is written", &breaches);
}

#[test]
fn every_metric_is_counted_and_shown() {
    let counted: BTreeSet<_> = functions().iter().flat_map(|function| counted(function)).collect();
    let shown: BTreeSet<_> = graphs().into_iter().map(|graph| graph.name).collect();
    let mut breaches = Vec::new();
    for metric in Metric::ALL {
        if !counted.contains(metric.name()) {
            breaches.push(format!("nobody counts {}", metric.name()));
        }
        if !shown.contains(metric.name()) {
            breaches.push(format!("the dashboard does not show {}", metric.name()));
        }
    }
    no_breach("what is in the table of metrics is counted, and shown on the dashboard", &breaches);
}

#[test]
fn every_alarm_has_a_runbook() {
    let readme = fs::read_to_string(root().join("infra/stacks/README.md")).unwrap();
    let books: Vec<_> = readme.split("\n### ").skip(1).map(|book| book.split_once('\n').unwrap()).collect();
    let alarms: BTreeSet<_> = alarms().into_iter().map(|alarm| alarm.by).collect();
    let mut breaches = Vec::new();
    for alarm in &alarms {
        match books.iter().find(|(name, _)| name == alarm) {
            None => breaches.push(format!("{alarm} has none")),
            Some((_, book)) => {
                let parts = ["**Means**", "**Look**", "**Do**"];
                let missing = parts.iter().filter(|part| !book.contains(**part));
                breaches.extend(missing.map(|part| format!("{alarm}: without {part}")));
            }
        }
    }
    let spare = books.iter().filter(|(name, _)| !alarms.contains(*name));
    breaches.extend(spare.map(|(name, _)| format!("{name} is no alarm")));
    no_breach("every alarm has a runbook: what it means, how to look, what to do", &breaches);
}

#[test]
fn the_canary_is_stopped_by_alarms_that_exist() {
    let text = fs::read_to_string(root().join("infra/stacks/canary.yaml")).unwrap();
    let documents = Yaml::load_from_str(&text).unwrap();
    let group = field(field(&documents[0], "Resources"), "Group");
    let watched = list(field(field(field(group, "Properties"), "AlarmConfiguration"), "Alarms"));
    let named = |alarm: &&Yaml<'_>| said(field(alarm, "Name"));
    let rings = stack();
    let missing =
        |name: &String| !rings.contains(&format!("AlarmName: !Sub {}\n", name.replace("Name-", "${Name}-")));
    let breaches: Vec<_> = watched.iter().map(named).filter(missing).collect();
    assert!(!watched.is_empty());
    no_breach("the canary is stopped by alarms that exist", &breaches);
}
