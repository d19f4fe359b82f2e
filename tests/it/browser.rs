//! A real browser: Chromium, driven through chromedriver by the WebDriver protocol
//! (<https://www.w3.org/TR/webdriver2/>). Where there is none, tests say that they skip; with
//! `BUCKETWHEEL_BROWSER=required`, as the continuous integration has it, they fail.

mod element;

use std::env;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

use self::element::Element;
use crate::world::{World, until};

/// The key under which WebDriver names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// The keys that have no letter.
pub(crate) const TAB: &str = "\u{e004}";
pub(crate) const ENTER: &str = "\u{e007}";
pub(crate) const SPACE: &str = " ";

/// One at a time: a browser is the heaviest thing that the tests start.
static ONE: Mutex<()> = Mutex::const_new(());

/// A browser with a profile of its own.
pub(crate) struct Browser {
    driver: Child,
    http: reqwest::Client,
    session: String,
    /// Where the console is.
    home: String,
    profile: PathBuf,
    _one: MutexGuard<'static, ()>,
}

/// Starts the driver on a free port. It finds one for IPv4 and gives up where that is taken for IPv6; then
/// another try helps.
fn start(driver: &Path) -> Option<(Child, u16)> {
    // A group of its own, so that nothing is left when it is ended.
    let mut driver = Command::new(driver)
        .arg("--port=0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .ok()?;
    let mut said = BufReader::new(driver.stdout.take()?).lines().map_while(Result::ok);
    let port = |line: String| line.split("successfully on port ").nth(1)?.trim_end_matches('.').parse().ok();
    let Some(port) = said.find_map(port) else {
        let _ = driver.wait();
        return None;
    };
    std::thread::spawn(move || said.for_each(drop));
    Some((driver, port))
}

impl Browser {
    /// A new browser, or none where none is installed.
    pub(crate) async fn new(world: &World) -> Option<Browser> {
        let (Some(driver), Some(chromium)) =
            (program("chromedriver"), program("chromium").or_else(|| program("google-chrome")))
        else {
            assert!(!required(), "chromium and chromedriver are required and not installed");
            println!("SKIPPED: chromium and chromedriver are not installed");
            return None;
        };
        let one = ONE.lock().await;
        let profile = env::temp_dir().join(format!("bucketwheel-browser-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&profile);
        let (driver, port) = (0..5).find_map(|_| start(&driver)).expect("chromedriver starts");
        let mut browser = Browser {
            driver,
            http: world.http.clone(),
            session: format!("http://127.0.0.1:{port}/session"),
            home: world.local().public_url.clone(),
            profile: profile.clone(),
            _one: one,
        };
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--hide-scrollbars",
            "--force-color-profile=srgb",
            "--lang=en-GB",
            "--window-size=1280,900",
            &format!("--user-data-dir={}", profile.display()),
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"binary": chromium, "args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let begun = browser.ask("POST", "", Some(wanted)).await.expect("a session begins");
        browser.session = format!("{}/{}", browser.session, begun["sessionId"].as_str().expect("its id"));
        Some(browser)
    }

    /// A new browser whose operator is signed in.
    pub(crate) async fn signed_in(world: &World) -> Option<Browser> {
        let browser = Browser::new(world).await?;
        browser.open("/login").await;
        browser.sign_in(world).await;
        Some(browser)
    }

    /// Signs in on the login page that is open.
    pub(crate) async fn sign_in(&self, world: &World) {
        self.find("#token").await.fill(&world.local().outputs.operator_token).await;
        self.press("Sign in").await;
        self.sees("Sign out").await;
    }

    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Result<Value, Value> {
        let request = self.http.request(method.parse().expect("a method"), format!("{}{path}", self.session));
        let answer = proof::with_body(request, body).send().await.expect("chromedriver answers");
        let good = answer.status().is_success();
        let value = answer.json::<Value>().await.expect("JSON")["value"].take();
        if good { Ok(value) } else { Err(value) }
    }

    async fn get(&self, path: &str) -> Value {
        self.ask("GET", path, None).await.unwrap_or_else(|error| panic!("GET {path}: {error:#}"))
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        self.ask("POST", path, Some(body)).await.unwrap_or_else(|error| panic!("POST {path}: {error:#}"))
    }

    /// Opens a page of the console, or any whole address.
    pub(crate) async fn open(&self, path: &str) {
        let url = if path.starts_with('/') { format!("{}{path}", self.home) } else { path.to_owned() };
        self.post("/url", json!({"url": url})).await;
    }

    /// Where the browser is.
    pub(crate) async fn address(&self) -> String {
        self.get("/url").await.as_str().expect("an address").to_owned()
    }

    /// The text that a reader sees.
    pub(crate) async fn text(&self) -> String {
        self.find("body").await.text().await
    }

    /// Waits until a reader sees this text.
    pub(crate) async fn sees(&self, text: &str) {
        until(&format!("the page says {text:?}"), async || {
            // Between two pages there is none.
            let body =
                self.ask("POST", "/element", Some(json!({"using": "css selector", "value": "body"}))).await;
            let id = body.ok()?[ELEMENT].as_str()?.to_owned();
            let seen = self.ask("GET", &format!("/element/{id}/text"), None).await.ok()?;
            seen.as_str()?.contains(text).then_some(())
        })
        .await;
    }

    /// The first element that a CSS selector finds; waits for it.
    pub(crate) async fn find(&self, css: &str) -> Element<'_> {
        let id = until(&format!("the page has {css}"), async || {
            let found =
                self.ask("POST", "/element", Some(json!({"using": "css selector", "value": css}))).await;
            Some(found.ok()?[ELEMENT].as_str()?.to_owned())
        })
        .await;
        Element::new(self, id)
    }

    /// How many elements a CSS selector finds.
    pub(crate) async fn count(&self, css: &str) -> usize {
        let found = self.post("/elements", json!({"using": "css selector", "value": css})).await;
        found.as_array().expect("a list").len()
    }

    /// Clicks the button or the link with this text. While a page gives way to the next, it may be gone
    /// between the look and the click.
    pub(crate) async fn press(&self, text: &str) {
        let named = format!("(normalize-space(.)='{text}')");
        let path = format!("//button[{named}]|//a[{named}]|//summary[{named}]");
        until(&format!("{text:?} can be pressed"), async || {
            let found = self.ask("POST", "/element", Some(json!({"using": "xpath", "value": path}))).await;
            let id = found.ok()?[ELEMENT].as_str()?.to_owned();
            self.ask("POST", &format!("/element/{id}/click"), Some(json!({}))).await.ok().map(drop)
        })
        .await;
    }

    /// Types on the keyboard, wherever the focus is.
    pub(crate) async fn keys(&self, keys: &str) {
        let presses = keys.chars().flat_map(|key| {
            let key = key.to_string();
            [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})]
        });
        let presses: Vec<_> = presses.collect();
        self.post("/actions", json!({"actions": [{"type": "key", "id": "keyboard", "actions": presses}]}))
            .await;
    }

    /// What has the focus: its text, its label or its name.
    pub(crate) async fn focus(&self) -> String {
        let found = self.script("const e = document.activeElement; return e.labels?.[0]?.innerText || e.innerText || e.name || e.tagName").await;
        found.as_str().expect("a text").trim().to_owned()
    }

    /// Runs a script in the page and gives what it returns; a promise is waited for.
    pub(crate) async fn script(&self, script: &str) -> Value {
        self.post("/execute/sync", json!({"script": script, "args": []})).await
    }

    /// Asks the browser itself (the Chrome DevTools Protocol).
    pub(crate) async fn devtools(&self, command: &str, parameters: Value) -> Value {
        self.post("/goog/cdp/execute", json!({"cmd": command, "params": parameters})).await
    }

    /// Light or dark, as the reader's system has it.
    pub(crate) async fn scheme(&self, scheme: &str) {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.devtools("Emulation.setEmulatedMedia", features).await;
    }

    /// The width of the window, in pixels of CSS; a narrow one is a phone's.
    pub(crate) async fn width(&self, width: u32) {
        let size = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600});
        self.devtools("Emulation.setDeviceMetricsOverride", size).await;
    }

    /// A picture of the page from its top, as WebP: a third of the size of a PNG.
    pub(crate) async fn picture(&self, width: u32, most: u32) -> Vec<u8> {
        let height = self.script("return document.documentElement.scrollHeight").await;
        let height = height.as_u64().unwrap_or_default().min(most.into());
        let clip = json!({"x": 0, "y": 0, "width": width, "height": height, "scale": 1});
        let how = json!({"format": "webp", "quality": 75, "captureBeyondViewport": true, "clip": clip});
        let picture = self.devtools("Page.captureScreenshot", how).await;
        STANDARD.decode(picture["data"].as_str().expect("a picture")).expect("base64")
    }

    /// What the browser complained about since it was last asked: refused by the policy, not found, not run.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let log = self.post("/se/log", json!({"type": "browser"})).await;
        let lines = log.as_array().expect("lines").iter();
        lines.filter(|line| line["level"] == "SEVERE").map(|line| line["message"].to_string()).collect()
    }

    /// Forgets all cookies of the console, as at the end of a session.
    pub(crate) async fn forget(&self) {
        self.ask("DELETE", "/cookie", None).await.expect("no cookies");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let group = format!("-{}", self.driver.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.driver.wait();
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}

/// Whether a missing browser is a failure.
pub(crate) fn required() -> bool {
    env::var_os("BUCKETWHEEL_BROWSER").is_some_and(|value| value == "required")
}

/// A program on the path.
fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|program| program.is_file())
}
