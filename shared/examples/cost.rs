//! What Bucketwheel costs on AWS, from list prices: writes the tables of `infra/cost.md`.
//!
//! ```sh
//! cargo run -q -p bucketwheel --example cost > infra/cost.md
//! ```
//!
//! Prices are those of us-east-1 on 2026-11-21, without free tiers, and each names its page. How much is used
//! is read from the code: change it here when the code does more or less.

use std::io::Write as _;

use bucketwheel::metric::Metric;

/// Something that AWS sells: dollars for one, and where it says so.
struct Price {
    what: &'static str,
    dollars: f64,
    page: &'static str,
}

const API_REQUEST: Price = price("HTTP API request", 1.00e-6, "api-gateway");
const LAMBDA_REQUEST: Price = price("Lambda request", 0.20e-6, "lambda");
const GB_SECOND: Price = price("Lambda GB-second, arm64", 0.000_013_333_4, "lambda");
const SQS: Price = price("SQS request, standard", 0.40e-6, "sqs");
const FIFO: Price = price("SQS request, FIFO", 0.50e-6, "sqs");
const WRITE: Price = price("DynamoDB write of 1 KB", 0.625e-6, "dynamodb");
const READ: Price = price("DynamoDB strong read of 4 KB", 0.125e-6, "dynamodb");
const LOG_GB: Price = price("GB of logs taken in", 0.50, "cloudwatch");
const METRIC: Price = price("metric for a month", 0.30, "cloudwatch");
const ALARM: Price = price("alarm for a month", 0.10, "cloudwatch");
const DASHBOARD: Price = price("dashboard for a month", 3.00, "cloudwatch");
const SECRET: Price = price("secret for a month", 0.40, "secrets-manager");
const SECRET_READ: Price = price("read of a secret", 5.0e-6, "secrets-manager");
const SCHEDULE: Price = price("run of a schedule", 1.00e-6, "eventbridge");

const PRICES: [&Price; 14] = [
    &API_REQUEST,
    &LAMBDA_REQUEST,
    &GB_SECOND,
    &SQS,
    &FIFO,
    &WRITE,
    &READ,
    &LOG_GB,
    &METRIC,
    &ALARM,
    &DASHBOARD,
    &SECRET,
    &SECRET_READ,
    &SCHEDULE,
];

const fn price(what: &'static str, dollars: f64, page: &'static str) -> Price {
    Price { what, dollars, page }
}

/// Memory of a function, in GB, as template.yaml sets it.
const MEMORY: f64 = 0.25;
const MILLION: f64 = 1e6;
const MINUTES_A_MONTH: f64 = 43_200.0;
/// The sweep and the drain each minute, the rounds every five.
const WAKES_A_MONTH: f64 = MINUTES_A_MONTH * 2.2;
/// A token lives for two hours and is renewed twenty to thirty minutes before its end, by chance.
const REFRESHES_A_MONTH: f64 = MINUTES_A_MONTH / 95.0;

/// How many of something, and why so many.
type Use = (&'static Price, f64, &'static str);

fn alarms() -> f64 {
    let stack = include_str!("../../infra/stacks/alarms.yaml");
    f64::from(u32::try_from(stack.matches("Type: AWS::CloudWatch::Alarm").count()).unwrap_or_default())
}

fn webhooks() -> Vec<Use> {
    vec![
        (&API_REQUEST, MILLION, "one each"),
        (&LAMBDA_REQUEST, MILLION, "one each"),
        (&GB_SECOND, MILLION * 0.015 * MEMORY, "15 ms, most of it waiting for the table and the queue"),
        (
            &READ,
            MILLION * 2.0,
            "the hook, which a process remembers for a minute; what waits of this repository",
        ),
        (&FIFO, MILLION, "one message; one more for each further 64 KB"),
        (&LOG_GB, 1.3, "1.3 KB: the delivery, its metric, Lambda's report"),
        (&FIFO, MILLION * 0.2, "your automation's receive and delete, in batches of ten"),
    ]
}

fn credential() -> Vec<Use> {
    vec![
        (&READ, REFRESHES_A_MONTH * 6.0, "tokens of 8 KB read twice, the credential, the index"),
        (&WRITE, REFRESHES_A_MONTH * 20.0, "claim and commit on an item of 8 KB; each moves it in the index"),
        (&GB_SECOND, REFRESHES_A_MONTH * 0.6 * MEMORY, "0.6 s assumed, most of it waiting for Bitbucket"),
        (&LOG_GB, REFRESHES_A_MONTH * 300.0 / 1e9, "one line"),
    ]
}

fn calls() -> Vec<Use> {
    vec![
        (&SQS, MILLION * 1.2, "send; receive and delete in batches of ten"),
        (&LAMBDA_REQUEST, MILLION / 5.0, "batches of five"),
        (&GB_SECOND, MILLION * 0.1 * MEMORY, "half a second at Bitbucket, five at a time"),
        (&READ, MILLION * 8.0, "the call, credential, tokens of 8 KB, four for the allowance"),
        (&WRITE, MILLION * 8.0, "two counters, the journal of every second call, an outcome of 4 KB"),
        (&SQS, MILLION * 1.2, "the outcome, and your automation's receive and delete"),
        (&LOG_GB, 1.0, "1 KB: the call, and its share of metrics and reports"),
    ]
}

fn standing() -> Vec<Use> {
    vec![
        (&SECRET, 5.0, "three keyrings, the operator's, the consumer's"),
        (&SECRET_READ, 5.0 * 20.0 * 24.0 * 30.0, "each warm function reads its rings every three minutes"),
        (
            &METRIC,
            f64::from(u32::try_from(Metric::ALL.len()).unwrap_or_default()),
            "the table of shared/src/metric.rs",
        ),
        (&ALARM, alarms(), "infra/stacks/alarms.yaml"),
        (&DASHBOARD, 1.0, "more than the fifty metrics that are free"),
        (&SCHEDULE, WAKES_A_MONTH, "sweep and drain each minute, rounds every five"),
        (&LAMBDA_REQUEST, WAKES_A_MONTH, "the same"),
        (&GB_SECOND, WAKES_A_MONTH * 0.1 * MEMORY, "100 ms each"),
        (&READ, MINUTES_A_MONTH * 12.0, "the shards of the index, what is parked"),
        (&SQS, 2.0 * 5.0 * 3.0 * MINUTES_A_MONTH, "Lambda polls both queues with five pollers, 20 s each"),
        (&LOG_GB, WAKES_A_MONTH * 1_200.0 / 1e9, "1.2 KB each"),
    ]
}

fn table(title: &str, uses: &[Use]) -> String {
    let mut text = format!("## {title}\n\n| what | how many | why | $ |\n|---|---:|---|---:|\n");
    for (price, count, why) in uses {
        let cost = count * price.dollars;
        text += &format!("| {} | {} | {why} | {} |\n", price.what, number(*count), dollars(cost));
    }
    let sum: f64 = uses.iter().map(|(price, count, _)| count * price.dollars).sum();
    text + &format!("| **together** | | | **{}** |\n\n", dollars(sum))
}

fn number(count: f64) -> String {
    if count < 10.0 && count.fract() > 0.0 { format!("{count:.2}") } else { format!("{count:.0}") }
}

fn dollars(cost: f64) -> String {
    if cost < 0.01 { format!("{cost:.4}") } else { format!("{cost:.2}") }
}

fn main() -> std::io::Result<()> {
    let mut text = "# What it costs\n\n\
        Made by `cargo run -q -p bucketwheel --example cost > infra/cost.md`: list prices of us-east-1 on 2026-11-21,\n\
        without free tiers and taxes. The uses are read from the code; reads of a delivery and writes of a refresh are\n\
        counted at the binaries by `cargo test --test it scale`. Sizes are those with the sandbox's tokens of over\n\
        2,500 characters, and times are assumed, so measure yours. Data transfer out is not in it: answers are small.\n\n"
        .to_owned();
    text += &table("A million webhooks", &webhooks());
    text += &table("A credential for a month", &credential());
    text += &table("A million calls", &calls());
    text += &table("The installation for a month, with nothing to do", &standing());
    text += "## Levers\n\n\
        - **Metrics and alarms** are most of a small installation's bill. Remove the alarms that you do not answer.\n\
        - **Logs**: `LogLevel=warn` halves them; `LogRetentionDays` decides what they cost to keep.\n\
        - **Credentials**: a refresh writes the whole item, which Bitbucket's long tokens make large. A chain that is\n\
        \x20 refreshed only when it is needed costs almost nothing.\n\
        - **Calls**: `\"reply\": \"store\"` saves a message, `fields` makes outcomes smaller, `paginate` many calls one.\n\
        - **Webhooks**: choose the events of a hook. Bodies over 64 KB count as several messages.\n\
        - **Architecture**: x86_64 costs a quarter more per GB-second. `Tracing=Active` adds $5 per million traces.\n\
        - **A key of your own** (`KmsKey`): $1 a month, and $0.03 for each 10,000 uses by queues, table and secrets.\n\n\
        ## Prices\n\n| what | $ | page |\n|---|---:|---|\n";
    for Price { what, dollars, page } in PRICES {
        text += &format!("| {what} | {dollars} | <https://aws.amazon.com/{page}/pricing/> |\n");
    }
    std::io::stdout().lock().write_all(text.as_bytes())
}
