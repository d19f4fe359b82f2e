//! What the stacks promise of queues, table, secrets and functions.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use bucketwheel::event::Synthetic;
use bucketwheel::trace::Trace;
use saphyr::{LoadableYamlNode, Yaml};
use serde_json::Value;

use super::template::{entries, field, list, maybe, said};
use super::{no_breach, root};

/// AWS: the visibility of a queue is at least six times the timeout of the function that it wakes
/// (<https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html>).
const FACTOR: u32 = 6;

fn with<T>(path: &str, read: impl FnOnce(&Yaml<'_>) -> T) -> T {
    let text = fs::read_to_string(root().join(path)).unwrap();
    let documents = Yaml::load_from_str(&text).unwrap();
    read(&documents[0])
}

fn number(node: &Yaml<'_>) -> u32 {
    u32::try_from(node.as_integer().unwrap()).unwrap()
}

fn of_type<'a, 'i>(stack: &'a Yaml<'i>, wanted: &str) -> Vec<(&'a str, &'a Yaml<'i>)> {
    let resources = entries(field(stack, "Resources")).into_iter();
    resources.filter(|(_, it)| said(field(it, "Type")) == wanted).collect()
}

#[test]
fn every_queue_is_encrypted_kept_long_and_has_a_dead_letter_queue() {
    let mut breaches = Vec::new();
    with("infra/stacks/queues.yaml", |stack| {
        let queues: BTreeMap<_, _> = of_type(stack, "AWS::SQS::Queue").into_iter().collect();
        for (name, queue) in &queues {
            let it = field(queue, "Properties");
            let says = |property| maybe(it, property).map(said).unwrap_or_default();
            let mut must = |right: bool, what: &str| {
                if !right {
                    breaches.push(format!("{name}: {what}"));
                }
            };
            must(
                says("SqsManagedSseEnabled").contains("HasKey"),
                "not encrypted by SQS where there is no key",
            );
            must(says("KmsMasterKeyId").contains("KmsKey"), "not encrypted by the operator's key");
            must(
                maybe(it, "MessageRetentionPeriod").is_some_and(|it| number(it) == 1_209_600),
                "not kept for 14 days",
            );
            let fifo = maybe(it, "FifoQueue").is_some();
            if name.ends_with("Dlq") {
                must(queues.contains_key(name.trim_end_matches("Dlq")), "belongs to no queue");
                continue;
            }
            let redrive = field(it, "RedrivePolicy");
            must(said(field(redrive, "deadLetterTargetArn")) == format!("{name}Dlq.Arn"), "no dead letters");
            must(number(field(redrive, "maxReceiveCount")) >= 5, "gives up early");
            let dead = field(queues[&*format!("{name}Dlq")], "Properties");
            must(fifo == maybe(dead, "FifoQueue").is_some(), "its dead letters are of another type");
            if fifo {
                must(says("FifoThroughputLimit") == "perMessageGroupId", "no high throughput");
                must(says("DeduplicationScope") == "messageGroup", "no high throughput");
            }
        }
    });
    no_breach("queues are as they are promised", &breaches);
}

#[test]
fn a_drain_ends_before_its_functions_time_out_and_before_the_next_begins() {
    let timeout = with("template.yaml", |stack| {
        let function = field(field(field(stack, "Resources"), "WebhookIngest"), "Properties");
        number(field(function, "Timeout"))
    });
    // Beside it: the notes that a drain took place and what was counted, 0.9 s.
    let longest = webhook_ingest::DRAIN + webhook_ingest::ENDS + Duration::from_secs(1);
    assert!(longest < Duration::from_secs(timeout.into()), "{longest:?} of {timeout} s");
    assert!(longest < Duration::from_secs(60), "{longest:?} of a minute");
}

#[test]
fn a_function_that_a_queue_wakes_may_fail_in_part_and_is_not_hurried() {
    let mut breaches = Vec::new();
    with("template.yaml", |stack| {
        let visibilities =
            field(field(field(field(stack, "Resources"), "Queues"), "Properties"), "Parameters");
        for (name, function) in of_type(stack, "AWS::Serverless::Function") {
            let it = field(function, "Properties");
            let timeout = number(field(it, "Timeout"));
            let events = maybe(it, "Events").map(entries).unwrap_or_default();
            for (event, source) in events {
                let source_is = field(source, "Properties");
                if said(field(source, "Type")) != "SQS" {
                    continue;
                }
                let queue = said(field(source_is, "Queue"));
                let queue = queue.trim_start_matches("Queues.Outputs.").trim_end_matches("Arn");
                let visibility = maybe(visibilities, &format!("{queue}VisibilitySeconds")).map(number);
                if visibility.is_none_or(|seconds| seconds < FACTOR * timeout) {
                    breaches.push(format!(
                        "{name}: {queue} is hidden for {visibility:?} s, {FACTOR} × {timeout} is due"
                    ));
                }
                let parts = maybe(source_is, "FunctionResponseTypes").map(list).unwrap_or_default();
                if !parts.iter().any(|part| said(part) == "ReportBatchItemFailures") {
                    breaches.push(format!("{name}: {event} fails as a whole"));
                }
                if maybe(source_is, "ScalingConfig").and_then(|it| maybe(it, "MaximumConcurrency")).is_none()
                {
                    breaches.push(format!("{name}: {event} has no maximum concurrency"));
                }
            }
        }
    });
    no_breach("queues wake functions as AWS advises", &breaches);
}

#[test]
fn what_outlives_the_code_is_retained_and_protected() {
    let mut breaches = Vec::new();
    with("infra/stacks/data.yaml", |stack| {
        for (name, resource) in entries(field(stack, "Resources")) {
            let says = |property| maybe(resource, property).map(said).unwrap_or_default();
            if !says("DeletionPolicy").starts_with("Retain") || says("UpdateReplacePolicy") != "Retain" {
                breaches.push(format!("{name} goes with the stack"));
            }
            let it = field(resource, "Properties");
            match &*said(field(resource, "Type")) {
                "AWS::DynamoDB::Table" => {
                    let truth =
                        |a, b| maybe(it, a).and_then(|it| maybe(it, b)).and_then(Yaml::as_bool) == Some(true);
                    let right = [
                        said(field(it, "BillingMode")) == "PAY_PER_REQUEST",
                        truth("PointInTimeRecoverySpecification", "PointInTimeRecoveryEnabled"),
                        truth("TimeToLiveSpecification", "Enabled"),
                        truth("SSESpecification", "SSEEnabled"),
                        said(field(it, "DeletionProtectionEnabled")) == "DeletionProtection",
                    ];
                    breaches.extend((!right.iter().all(|it| *it)).then(|| format!("{name}: {right:?}")));
                }
                "AWS::SecretsManager::Secret" => {
                    breaches.extend(
                        maybe(it, "KmsKeyId").is_none().then(|| format!("{name}: no key of the operator's")),
                    );
                }
                other => breaches.push(format!("{name} is a {other}: say in this test what protects it")),
            }
        }
    });
    no_breach("table and secrets survive the stack", &breaches);
}

#[test]
fn nothing_is_granted_on_everything_where_aws_knows_better() {
    // X-Ray knows no resources: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsx-ray.html
    const WITHOUT_RESOURCES: [&str; 2] = ["xray:PutTraceSegments", "xray:PutTelemetryRecords"];
    let mut breaches = Vec::new();
    with("template.yaml", |stack| {
        let roles = of_type(stack, "AWS::IAM::Role").into_iter().flat_map(|(name, role)| {
            list(field(field(role, "Properties"), "Policies")).into_iter().map(move |policy| (name, policy))
        });
        let policies =
            of_type(stack, "AWS::IAM::Policy").into_iter().map(|(name, it)| (name, field(it, "Properties")));
        for (name, policy) in roles.chain(policies) {
            for statement in list(field(field(policy, "PolicyDocument"), "Statement")) {
                let starred = list(field(statement, "Resource")).iter().any(|it| said(it).contains('*'));
                for action in list(field(statement, "Action")) {
                    let action = said(action);
                    if action.contains('*') || starred && !WITHOUT_RESOURCES.contains(&&*action) {
                        breaches.push(format!("{name}: {action}"));
                    }
                }
            }
        }
    });
    no_breach("no action and no resource of a grant has a star", &breaches);
}

/// What the pipe of fanout.yaml does with a message, as EventBridge documents it: `<$.body>` is the message's
/// text, read as JSON where it is JSON
/// (<https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-input-transformation.html>). The stand-in
/// has no pipe from a queue to a bus, so this is as near as a test comes here.
#[test]
fn the_fan_out_reads_the_queue_fills_the_bus_and_may_do_nothing_else() {
    with("infra/stacks/fanout.yaml", |stack| {
        let resources = field(stack, "Resources");
        let pipe = field(field(resources, "Pipe"), "Properties");
        assert_eq!(said(field(pipe, "Source")), "EventsQueueArn");
        assert_eq!(
            (said(field(pipe, "Target")), said(field(pipe, "RoleArn"))),
            ("Bus.Arn".into(), "PipeRole.Arn".into())
        );
        let role = field(field(resources, "PipeRole"), "Properties");
        let mut grants = Vec::new();
        for policy in list(field(role, "Policies")) {
            for statement in list(field(field(policy, "PolicyDocument"), "Statement")) {
                let on = said(field(statement, "Resource"));
                grants.extend(
                    list(field(statement, "Action")).into_iter().map(|it| format!("{} {on}", said(it))),
                );
            }
        }
        let needed = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"];
        let needed = needed.map(|action| format!("{action} EventsQueueArn")).into_iter();
        assert_eq!(grants, needed.chain(["events:PutEvents Bus.Arn".to_owned()]).collect::<Vec<_>>());

        let parameters = field(pipe, "TargetParameters");
        let source = said(field(field(parameters, "EventBridgeEventBusParameters"), "Source"));
        let credential = "c1".parse().expect("an id");
        let enveloped = Synthetic {
            credential: &credential,
            event_key: "repo:push",
            body: br#"{"repository":{"uuid":"{r}","full_name":"w/r"},"note":"\"<$.body>\""}"#,
            hook_id: None,
            about: "a test",
            trace: &Trace::new([3; 24]),
            found_at: jiff::Timestamp::UNIX_EPOCH,
        }
        .envelope();
        let template = said(field(parameters, "InputTemplate"));
        let detail = template.replacen("<$.attributes.SequenceNumber>", "18849496460467696128", 1);
        let detail = detail.replacen("<$.body>", &enveloped.text, 1);
        let detail: Value = serde_json::from_str(&detail).expect("the template makes JSON of an envelope");
        assert_eq!(detail["sequence"], "18849496460467696128");
        assert_eq!(detail["event"], serde_json::from_str::<Value>(&enveloped.text).expect("JSON"));

        // The rule of README.md beside it takes this event.
        let readme = fs::read_to_string(root().join("infra/stacks/README.md")).unwrap();
        let rule = readme.lines().find(|line| line.starts_with(r#"{"source":"#)).expect("a rule");
        let rule: Value = serde_json::from_str(rule).expect("JSON");
        assert_eq!(rule["source"][0], source.as_str());
        assert_eq!(rule["detail"]["event"]["type"][0], detail["event"]["type"]);
    });
}
