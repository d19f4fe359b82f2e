//! The running system as the tests speak to it.
//!
//! One system serves all tests of a run: the real binaries, deployed from `template.yaml`. Tests keep out
//! of each other's way by using credentials of their own. This file is long because it holds the tests'
//! whole vocabulary.

mod apart;
pub(crate) mod consumers;
pub(crate) mod gitops;
pub(crate) mod queues;
mod trace;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use bucketwheel::aws::{Account, DynamoTable, Secrets, SqsQueue};
use bucketwheel::call::Outcome;
use bucketwheel::event::Envelope;
use bucketwheel::ports::{Attributes, Key, Outgoing, Queue, Table};
use bucketwheel::seal::Keyring;
use bucketwheel::signature::sign;
use bucketwheel::store;
use bucketwheel_local::{Local, Options};
use bucketwheel_sandbox::person::{Decision, Person, Visit};
use bucketwheel_sandbox::seed;
use futures_util::StreamExt as _;
use reqwest::StatusCode;
use secrecy::SecretString;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::sync::OnceCell;

use crate::command::bucketwheel;

/// How long a test waits for something that happens elsewhere.
const PATIENCE: Duration = Duration::from_secs(120);

/// The running system, shared by all tests.
struct System {
    local: Local,
    /// The file by which the command finds it.
    profile: PathBuf,
    events: Mutex<Vec<String>>,
    results: Mutex<Vec<Outcome>>,
    changes: Mutex<Vec<String>>,
    /// Written while the sandbox gives out short-lived tokens, read by those who connect as usual.
    unusual: tokio::sync::RwLock<()>,
    /// Ends it.
    over: tokio::sync::Notify,
}

/// One test's view of it, with connections of its own: they end with the test's runtime.
pub(crate) struct World {
    system: Arc<System>,
    pub(crate) http: reqwest::Client,
    account: Account,
}

static SYSTEM: OnceCell<Arc<System>> = OnceCell::const_new();

impl World {
    /// The system; the first test to ask starts it. It ends with the process: the stand-in notices.
    pub(crate) async fn running() -> World {
        // One consumer serves all tests; those of the limit set it themselves. A spent refresh token is
        // refused at once; access tokens live on, so that a test which refreshes does not disturb one that
        // calls.
        let usual = || {
            let parameters = vec![("CallsPerHour".to_owned(), "1000000".to_owned())];
            let behaviour = json!({
                "grace_window_seconds": 0, "old_access_token_dies": false,
                "rate_limit": 1_000_000, "raw_rate_limit": 1_000_000,
            });
            // Ready-made binaries, such as some of an earlier version; else they are built.
            let binaries = std::env::var_os("BUCKETWHEEL_BINARIES").map(Into::into);
            (Options { parameters, binaries, ..Options::default() }, behaviour)
        };
        World::of(SYSTEM.get_or_init(|| Self::start(usual())).await.clone())
    }

    /// Starts a system on a runtime of its own, which outlives every test's.
    async fn start((options, behaviour): (Options, Value)) -> Arc<System> {
        let (send, receive) = tokio::sync::oneshot::channel();
        thread::spawn(|| {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let local = bucketwheel_local::start(options, &|step| println!("{step} …")).await;
                let local = local.unwrap_or_else(|error| panic!("{error}"));
                let profile = local.logs().with_file_name("profile.json");
                std::fs::write(&profile, local.profile().to_string()).expect("the profile is written");
                let system = Arc::new(System {
                    local,
                    profile,
                    events: Mutex::default(),
                    results: Mutex::default(),
                    changes: Mutex::default(),
                    unusual: tokio::sync::RwLock::default(),
                    over: tokio::sync::Notify::new(),
                });
                let world = World::of(system.clone());
                world.behave(behaviour).await;
                assert!(send.send(system.clone()).is_ok(), "somebody waits for the system");
                tokio::select! {
                    _ = async { tokio::join!(world.collect_events(), world.collect_results(), world.collect_changes()) } => {}
                    () = system.over.notified() => {}
                }
            });
        });
        receive.await.expect("the system starts")
    }

    fn of(system: Arc<System>) -> Self {
        let account = proof::account(&system.local.aws_endpoint);
        Self { system, http: proof::client().expect("a client"), account }
    }

    pub(crate) fn local(&self) -> &Local {
        &self.system.local
    }

    /// The command, which finds this system.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = bucketwheel();
        command.args(arguments).arg("--profile").arg(&self.system.profile);
        command
    }

    async fn collect_events(&self) {
        self.collect(&self.local().outputs.events_queue_url, |text| locked(&self.system.events).push(text))
            .await;
    }

    async fn collect_results(&self) {
        let keep = |text: String| {
            locked(&self.system.results)
                .push(serde_json::from_str(&text).expect("an outcome on the results queue"));
        };
        self.collect(&self.local().outputs.results_queue_url, keep).await;
    }

    async fn collect(&self, url: &str, keep: impl Fn(String)) {
        let queue = SqsQueue::new(&self.account, url.to_owned());
        loop {
            for message in queue.receive(20).await.unwrap_or_default() {
                queue.delete(&message).await.expect("deleted");
                keep(message.body);
            }
        }
    }

    // ---- operators and people ----

    /// Asks the console's JSON API as the operator.
    pub(crate) async fn operator(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let method = method.parse().expect("a method");
        let request = self.http.request(method, format!("{}/api/{path}", self.local().public_url));
        let request = request.bearer_auth(&self.local().outputs.operator_token);
        let answer = proof::with_body(request, body).send().await.expect("the console answers");
        (answer.status(), answer.json().await.unwrap_or_default())
    }

    /// A connect link and the credential it makes.
    pub(crate) async fn connect_link(&self, label: &str) -> (String, String) {
        let body = json!({"workspace": seed::WORKSPACE, "label": label});
        let (status, link) = self.operator("POST", "connect-links", Some(body)).await;
        assert_eq!(status, StatusCode::CREATED, "{link}");
        (text(&link["url"]), text(&link["credential"]))
    }

    /// Ada connects her account; gives the credential.
    pub(crate) async fn connect(&self, label: &str) -> String {
        let _usual = self.system.unusual.read().await;
        self.connect_now(label).await
    }

    async fn connect_now(&self, label: &str) -> String {
        let (link, credential) = self.connect_link(label).await;
        let landed = self.visit(&mut self.person(), &link, Decision::Grant).await;
        assert_eq!(landed.parameter("connected").as_deref(), Some(credential.as_str()), "{}", landed.url);
        credential
    }

    /// Ada connects her account with an access token that is due for a refresh at once.
    pub(crate) async fn connect_due(&self, label: &str) -> String {
        self.connect_for(label, 540).await
    }

    /// Ada connects her account with an access token that lives for so many seconds.
    pub(crate) async fn connect_for(&self, label: &str, seconds: u32) -> String {
        let _unusual = self.system.unusual.write().await;
        self.behave(json!({"access_token_lifetime": seconds})).await;
        let credential = self.connect_now(label).await;
        self.behave(json!({"access_token_lifetime": 7200})).await;
        credential
    }

    /// A person with a new browser.
    pub(crate) fn person(&self) -> Person {
        Person::new(seed::ADA_UUID).expect("a browser")
    }

    /// Follows a connect link to its end. Without an operator's session that is the login page, which
    /// carries the same parameters.
    pub(crate) async fn visit(&self, person: &mut Person, link: &str, decision: Decision) -> Visit {
        let consent = person.open(link).await.expect("the link opens");
        assert_eq!(consent.url.path(), "/site/oauth2/authorize", "{}", consent.url);
        person.decide(&consent, decision).await.expect("the browser comes back")
    }

    /// Opens a page of the console as a signed-in operator.
    pub(crate) async fn page(&self, path: &str) -> Visit {
        let mut operator = self.person();
        let url = |path: &str| format!("{}{path}", self.local().public_url);
        let token = self.local().outputs.operator_token.as_str();
        operator.submit(&url("/login"), &[("token", token)]).await.expect("the login answers");
        operator.open(&url(path)).await.expect("the page opens")
    }

    // ---- webhooks ----

    /// Registers a hook for the credential and gives the secret that Bitbucket was told.
    pub(crate) async fn hook(&self, credential: &str, repository: &str) -> SecretString {
        let action = json!({"action": "ensure_hook", "repository": repository, "events": ["repo:push"]});
        let outcome = self.call(credential, action).await;
        assert!(outcome.error.is_none(), "{outcome:?}");
        let state = self.sandbox("GET", "state?reveal=true", None).await;
        let hooks = state["hooks"].as_array().expect("hooks");
        let ours = |hook: &&Value| hook["url"].as_str().is_some_and(|url| url.ends_with(credential));
        let hook = hooks.iter().find(ours).expect("the hook is at Bitbucket");
        SecretString::from(text(&hook["secret"]))
    }

    /// Posts a body to the webhook address, signed with the secret.
    pub(crate) async fn deliver(
        &self,
        credential: &str,
        event_key: &str,
        body: &[u8],
        secret: &SecretString,
    ) -> StatusCode {
        self.deliver_signed(credential, event_key, body, Some(&sign(body, secret))).await
    }

    /// Posts a body to the webhook address with any signature.
    pub(crate) async fn deliver_signed(
        &self,
        credential: &str,
        event_key: &str,
        body: &[u8],
        signature: Option<&str>,
    ) -> StatusCode {
        let url = format!("{}/webhooks/bitbucket-cloud/{credential}", self.local().public_url);
        let mut request = self
            .http
            .post(url)
            .header("content-type", "application/json")
            .header("x-event-key", event_key)
            .header("x-attempt-number", "1");
        if let Some(signature) = signature {
            request = request.header("x-hub-signature", signature);
        }
        request.body(body.to_vec()).send().await.expect("the webhook address answers").status()
    }

    /// The bodies of a credential's events, once there are `count`, in the order of the queue.
    pub(crate) async fn events(&self, credential: &str, count: usize) -> Vec<(String, Vec<u8>)> {
        let of_credential = || {
            let texts = locked(&self.system.events).clone();
            let envelopes = texts.iter().map(|text| Envelope::parse(text).expect("an envelope"));
            let ours = envelopes.filter(|envelope| envelope.credentialid.as_str() == credential);
            ours.map(|e| (e.r#type.clone(), e.body().expect("a body"))).collect::<Vec<_>>()
        };
        until("the events come", async || Some(of_credential()).filter(|events| events.len() >= count)).await
    }

    // ---- refreshes ----

    /// Runs the refresher now, as the schedule does.
    pub(crate) async fn sweep(&self) -> Value {
        let report = self.local().invoke("token-refresh", "{}").await.expect("the refresher answers");
        serde_json::from_slice(&report).expect("a report")
    }

    /// What the table holds of a credential's tokens.
    pub(crate) async fn tokens(&self, credential: &str) -> Attributes {
        self.item(&format!("CRED#{credential}"), "TOKENS").await.expect("tokens")
    }

    /// The access token that the table holds sealed.
    pub(crate) async fn access_token(&self, credential: &str) -> String {
        let ring = self.keyring(&self.local().outputs.access_keyring).await;
        let credential = credential.parse().expect("an id");
        let tokens =
            store::tokens::get(&self.table(), &credential).await.expect("the table answers").expect("tokens");
        tokens.access(&ring, &credential).expect("it opens").reveal().to_owned()
    }

    /// The refresh token that the table holds sealed.
    pub(crate) async fn refresh_token(&self, credential: &str) -> String {
        let ring = self.keyring(&self.local().outputs.refresh_keyring).await;
        let credential = credential.parse().expect("an id");
        let tokens =
            store::tokens::get(&self.table(), &credential).await.expect("the table answers").expect("tokens");
        tokens.refresh(&ring, &credential).expect("it opens").expect("one").reveal().to_owned()
    }

    /// What Bitbucket thinks of that token.
    pub(crate) async fn standing(&self, credential: &str) -> String {
        let token = self.refresh_token(credential).await;
        let checked =
            self.sandbox("POST", "refresh-tokens/check", Some(json!({ "refresh_token": token }))).await;
        text(&checked["state"])
    }

    pub(crate) async fn keyring(&self, name: &str) -> Keyring {
        Secrets::new(&self.account).keyring(name).await.expect("the keyring")
    }

    pub(crate) async fn generation(&self, credential: &str) -> u64 {
        self.tokens(credential).await["generation"].as_u64().expect("a generation")
    }

    // ---- calls ----

    /// Puts a call on the calls queue and takes its outcome off the results queue.
    pub(crate) async fn call(&self, credential: &str, call: Value) -> Outcome {
        let (status, submitted) =
            self.operator("POST", "calls", Some(json!({"credential": credential, "call": call}))).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{submitted}");
        self.result(&text(&submitted["id"])).await
    }

    /// Puts a text on the calls queue.
    pub(crate) async fn submit(&self, text: String) {
        let queue = SqsQueue::new(&self.account, self.local().outputs.calls_queue_url.clone());
        queue.send(Outgoing::plain(text)).await.expect("sent");
    }

    /// Puts many texts on the calls queue.
    pub(crate) async fn submit_all(&self, texts: Vec<String>) {
        let queue = &SqsQueue::new(&self.account, self.local().outputs.calls_queue_url.clone());
        let sent = texts.into_iter().map(async |text| queue.send(Outgoing::plain(text)).await.expect("sent"));
        futures_util::stream::iter(sent).buffer_unordered(20).collect::<()>().await;
    }

    /// The outcome that comes on the results queue.
    pub(crate) async fn result(&self, id: &str) -> Outcome {
        until("the outcome comes", async || {
            locked(&self.system.results).iter().find(|o| o.id.as_str() == id && o.part.is_none()).cloned()
        })
        .await
    }

    /// How many outcomes came on the results queue for this call.
    pub(crate) fn results(&self, id: &str) -> usize {
        locked(&self.system.results).iter().filter(|outcome| outcome.id.as_str() == id).count()
    }

    /// The cause of the dead letter of the calls queue with this text.
    pub(crate) async fn dead_letter(&self, text: &str) -> String {
        let queue = SqsQueue::new(&self.account, self.local().outputs.calls_dlq_url.clone());
        until("the dead letter comes", async || {
            let received = queue.receive(1).await.expect("received");
            received.into_iter().find(|m| m.body == text).and_then(|m| m.cause)
        })
        .await
    }

    /// The parts of a paginated call that came on the results queue.
    pub(crate) fn parts(&self, id: &str) -> Vec<Outcome> {
        let of_call = |o: &&Outcome| o.id.as_str() == id && o.part.is_some();
        locked(&self.system.results).iter().filter(of_call).cloned().collect()
    }

    /// Holds everybody off who uses the sandbox's switches, or connects, until it is dropped.
    pub(crate) async fn alone(&self) -> tokio::sync::RwLockWriteGuard<'_, ()> {
        self.system.unusual.write().await
    }

    /// The requests that the sandbox has had with this method and this text in their path.
    pub(crate) async fn requests(&self, method: &str, path: &str) -> Vec<Value> {
        let all = self.sandbox("GET", "requests", None).await;
        let fits = |line: &&Value| line["method"] == method && text(&line["path"]).contains(path);
        all["values"].as_array().expect("requests").iter().filter(fits).cloned().collect()
    }

    // ---- behind the scenes ----

    /// One item of the table.
    pub(crate) async fn item(&self, pk: &str, sk: &str) -> Option<Attributes> {
        self.table().get(&Key::new(pk, sk)).await.expect("the table answers")
    }

    pub(crate) fn secrets(&self) -> Secrets {
        Secrets::new(&self.account)
    }

    pub(crate) fn table(&self) -> DynamoTable {
        DynamoTable::new(&self.account, self.local().outputs.table_name.clone())
    }

    /// Sets switches of the sandbox.
    pub(crate) async fn behave(&self, switches: Value) {
        self.sandbox("PATCH", "behaviour", Some(switches)).await;
    }

    /// Asks the sandbox's own controls.
    pub(crate) async fn sandbox(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let sandbox = self.local().sandbox_url.as_deref().expect("a sandbox");
        let request =
            self.http.request(method.parse().expect("a method"), format!("{sandbox}/_sandbox/{path}"));
        let answer = proof::with_body(request, body).send().await.expect("the sandbox answers");
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap_or_default());
        answer.json().await.unwrap_or_default()
    }
}

/// Waits until there is something.
pub(crate) async fn until<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, looking).await;
    found.unwrap_or_else(|_| panic!("waited {} s in vain until {what}", PATIENCE.as_secs()))
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("a text, not {value}")).to_owned()
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
