//! template.yaml and the code agree: settings, routes, permissions.

use std::collections::BTreeSet;

use super::code::coded;
use super::template::{Described, Grant, described};
use super::{functions, has_word, no_breach};

#[test]
fn the_template_gives_each_function_exactly_the_settings_it_reads() {
    let (described, mut breaches) = (described(), Vec::new());
    for function in functions() {
        let Some(template) = described.get(&function) else {
            breaches.push(format!("{function} is not in template.yaml"));
            continue;
        };
        let read = coded(&function).settings();
        let given: BTreeSet<_> = template.environment.keys().cloned().collect();
        breaches.extend(
            read.difference(&given).map(|name| format!("{function} reads {name} and is not given it")),
        );
        breaches.extend(
            given.difference(&read).map(|name| format!("{function} is given {name} and does not read it")),
        );
    }
    no_breach("the template gives each function exactly the settings that its main.rs reads", &breaches);
}

/// Whether API Gateway hands requests for `path`, a path of the code, over by `route`.
fn leads(route: &str, path: &str) -> bool {
    let (mut route, mut path) = (route.split('/'), path.split('/'));
    loop {
        match (route.next(), path.next()) {
            (None, None) => return true,
            (Some(segment), Some(_)) if segment.ends_with("+}") => return true,
            (Some(a), Some(b)) if a == b || a.starts_with('{') && b.starts_with('{') => {}
            _ => return false,
        }
    }
}

#[test]
fn every_route_of_the_template_is_served_by_its_function() {
    let mut breaches = Vec::new();
    for (function, template) in described() {
        let code = coded(&function);
        let served = code.routes();
        for route in &template.routes {
            let (method, path) = route.split_once(' ').unwrap();
            let reaches = |(code_path, methods): &(String, Vec<&str>)| {
                leads(path, code_path)
                    && (method == "ANY" || methods.contains(&method) || methods.contains(&"ANY"))
            };
            // A function without a router reads the variables of its path from the event.
            let parameters =
                code.all.split("struct PathParameters").nth(1).and_then(|rest| rest.split('}').next());
            let mut variables = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
            let reads = served.is_empty()
                && parameters.is_some_and(|fields| variables.all(|name| has_word(fields, name)));
            if !served.iter().any(reaches) && !reads {
                breaches.push(format!("{route} leads to {function}, which does not serve it"));
            }
        }
        for (path, methods) in &served {
            for method in methods {
                let reached = template.routes.iter().any(|route| {
                    let (by, route) = route.split_once(' ').unwrap();
                    leads(route, path) && (by == "ANY" || by == *method)
                });
                if !reached {
                    breaches.push(format!("{function} serves {method} {path}, and no route leads there"));
                }
            }
        }
    }
    no_breach("every route of the template is served, and what is served has a route", &breaches);
}

/// What the function must be allowed to do. A kind of adapter that is not known here is a breach: the test
/// must be told what it may do.
fn needed(function: &str, template: &Described) -> Result<BTreeSet<Grant>, String> {
    let code = coded(function);
    let value = |variable: &str| {
        let setting = code.setting_of(variable);
        let value = template.environment.get(setting);
        value
            .cloned()
            .ok_or_else(|| format!("{function} reads {setting}, which template.yaml does not give it"))
    };
    let mut needed = BTreeSet::new();
    for action in ["logs:CreateLogStream", "logs:PutLogEvents"] {
        needed.insert(format!("{action} {}.Arn", template.logs));
    }
    for queue in &template.queues {
        for action in ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"] {
            needed.insert(format!("{action} {queue}"));
        }
    }

    for adapter in code.adapters() {
        match adapter {
            "Account" | "Host" => {}
            "DynamoTable" => {
                for variable in code.arguments("DynamoTable::new(") {
                    let table = value(variable)?.replace("TableName", "TableArn");
                    for action in code.done_to_the_table() {
                        needed.insert(action.replace("TABLE", &table));
                    }
                }
            }
            "SqsQueue" => {
                for variable in code.arguments("SqsQueue::new(") {
                    let arn = value(variable)?.strip_suffix("Url").map(|queue| format!("{queue}Arn"));
                    needed
                        .insert(format!("sqs:SendMessage {}", arn.ok_or("a queue is not given by its URL")?));
                }
            }
            "SqsInbox" => {
                for variables in code.all_arguments("SqsInbox::new(") {
                    let &[_, queue, dead] = variables.as_slice() else {
                        return Err("an inbox has two queues".into());
                    };
                    for (variable, action) in [(queue, "ChangeMessageVisibility"), (dead, "SendMessage")] {
                        let arn = value(variable)?.strip_suffix("Url").map(|queue| format!("{queue}Arn"));
                        needed.insert(format!(
                            "sqs:{action} {}",
                            arn.ok_or("a queue is not given by its URL")?
                        ));
                    }
                }
            }
            "SqsBacklog" => {
                for variables in code.all_arguments("SqsBacklog::new(") {
                    let &[_, queue, dead] = variables.as_slice() else {
                        return Err("a backlog has two queues".into());
                    };
                    let living = ["SendMessage", "GetQueueAttributes"];
                    let of_the_dead =
                        ["ReceiveMessage", "DeleteMessage", "ChangeMessageVisibility", "GetQueueAttributes"];
                    for (variable, actions) in [(queue, &living[..]), (dead, &of_the_dead[..])] {
                        let arn = value(variable)?.strip_suffix("Url").map(|queue| format!("{queue}Arn"));
                        let arn = arn.ok_or("a queue is not given by its URL")?;
                        needed.extend(actions.iter().map(|action| format!("sqs:{action} {arn}")));
                    }
                }
            }
            "SecretKeyring" => {
                for variable in code.arguments("SecretKeyring::new(") {
                    needed.insert(format!("secretsmanager:GetSecretValue {}", value(variable)?));
                }
            }
            "Secrets" => {
                for variable in
                    [".keyring(", ".json(", ".reader(", ".text("].iter().flat_map(|read| code.arguments(read))
                {
                    needed.insert(format!("secretsmanager:GetSecretValue {}", value(variable)?));
                }
            }
            other => return Err(format!("{function} makes a {other}: say in this test what it may do")),
        }
    }
    Ok(needed)
}

#[test]
fn the_template_grants_each_function_what_its_ports_need() {
    let mut breaches = Vec::new();
    for (function, template) in described() {
        match needed(&function, &template) {
            Err(breach) => breaches.push(breach),
            Ok(needed) => {
                let missing = needed.difference(&template.grants);
                breaches.extend(missing.map(|grant| format!("{function} needs and lacks {grant}")));
                let spare = template.grants.difference(&needed);
                breaches.extend(spare.map(|grant| format!("{function} has and does not need {grant}")));
            }
        }
    }
    no_breach("the template grants each function what it needs, and nothing else", &breaches);
}
