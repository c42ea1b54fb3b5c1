//! A real browser without a window, driven by WebDriver: what a person would see and do on the page of a host.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Value, json};

use crate::{Http, Running, eventually, tools};

/// How long the browser may take to start, and the page to become what is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A browser with one page open.
pub struct Browser {
    driver: Http,
    session: String,
    _running: Running,
    _folder: tempfile::TempDir,
}

/// Where the browser was installed by `cargo xtask test`; none, which is said, if it could not be: only Debian and its
/// relatives have one to be unpacked.
#[allow(clippy::print_stderr, reason = "a test that is left out says so")]
pub fn installed() -> Result<Option<PathBuf>> {
    let folder = tools()?.join("browser");
    if folder.join("installed").exists() {
        return Ok(Some(folder));
    }
    eprintln!("left out: there is no browser; `cargo xtask test` installs one or says why not");
    Ok(None)
}

impl Browser {
    /// Starts the browser that is installed in `folder`.
    pub async fn start(folder: &Path) -> Result<Self> {
        let own = tempfile::tempdir()?;
        let log = own.path().join("driver.log");
        let root = folder.join("root");
        let mut command = Command::new(root.join("usr/bin/chromedriver"));
        let libraries = root.join("usr/lib").join(format!("{}-linux-gnu", env::consts::ARCH));
        let libraries = env::join_paths([libraries.clone(), libraries.join("pulseaudio")])?;
        command.arg("--port=0").env("LD_LIBRARY_PATH", libraries);
        // What the browser leaves when it is ended goes with the folder.
        command.env("HOME", own.path()).env("TMPDIR", own.path());
        command.stdout(fs::File::create(&log)?).stderr(Stdio::null());
        let running = Running::spawn(command)?;
        let port: u16 = eventually("the browser's driver", PATIENCE, async || {
            let said = fs::read_to_string(&log)?;
            let port = said.split_once("successfully on port ").and_then(|(_, port)| port.split_once('.'));
            Ok(port.and_then(|(port, _)| port.parse().ok()))
        })
        .await?;
        let driver = Http::at(([127, 0, 0, 1], port).into());
        let binary = root.join("usr/lib/chromium/chromium-headless-shell");
        // Over a pipe, so that it ends with its driver, however that ends.
        let arguments = [
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--remote-debugging-pipe",
        ];
        let options = json!({ "binary": binary, "args": arguments });
        let capabilities = json!({ "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" } });
        let wish = json!({ "capabilities": { "alwaysMatch": capabilities } });
        let session = call(&driver, "POST", "/session", &wish).await?;
        let session = session.get("sessionId").and_then(Value::as_str).context("no session")?.to_owned();
        Ok(Self { driver, session, _running: running, _folder: own })
    }

    async fn call(&self, path: &str, body: &Value) -> Result<Value> {
        call(&self.driver, "POST", &format!("/session/{}{path}", self.session), body).await
    }

    /// Pretends to be a screen of this size, dark or light.
    pub async fn screen(&self, (width, height): (u32, u32), dark: bool) -> Result<()> {
        let metrics = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.devtools("Emulation.setDeviceMetricsOverride", &metrics).await?;
        let scheme = json!({ "name": "prefers-color-scheme", "value": if dark { "dark" } else { "light" } });
        self.devtools("Emulation.setEmulatedMedia", &json!({ "features": [scheme] })).await?;
        Ok(())
    }

    async fn devtools(&self, command: &str, parameters: &Value) -> Result<Value> {
        self.call("/goog/cdp/execute", &json!({ "cmd": command, "params": parameters })).await
    }

    /// Opens an address.
    pub async fn open(&self, url: &str) -> Result<()> {
        self.call("/url", &json!({ "url": url })).await.map(|_| ())
    }

    /// Runs a script in the page; gives what it returns.
    pub async fn run(&self, script: &str) -> Result<Value> {
        self.call("/execute/sync", &json!({ "script": script, "args": [] })).await
    }

    /// What a person reads on the page.
    pub async fn text(&self) -> Result<String> {
        Ok(self.run("return document.body.innerText").await?.as_str().unwrap_or_default().to_owned())
    }

    /// Waits until the page shows all of `parts`; gives its text.
    pub async fn shows(&self, parts: &[&str]) -> Result<String> {
        let mut last = String::new();
        let seen = eventually("the page", PATIENCE, async || {
            last = self.text().await?;
            Ok(parts.iter().all(|part| last.contains(part)).then_some(()))
        });
        seen.await.with_context(|| format!("the page does not show all of {parts:?}:\n{last}"))?;
        Ok(last)
    }

    /// Waits until the script's value is true.
    pub async fn until(&self, script: &str) -> Result<()> {
        eventually(script, PATIENCE, async || Ok((self.run(script).await? == true).then_some(()))).await
    }

    /// Clicks the first button or link with this label that is seen.
    pub async fn click(&self, label: &str) -> Result<()> {
        let label = serde_json::to_string(label)?;
        let found = format!(
            "const seen = [...document.querySelectorAll('dialog[open] button, button, a')].find((one) => \
             one.innerText.trim() === {label} && one.offsetParent !== null && !one.disabled); return seen ?? null"
        );
        let element = eventually(&label, PATIENCE, async || Ok(Some(self.run(&found).await?).filter(|v| !v.is_null())));
        let element = element.await?;
        let id = element.as_object().and_then(|element| element.values().next()?.as_str()).context("no element")?;
        self.call(&format!("/element/{id}/click"), &json!({})).await.map(|_| ())
    }

    /// Types into whatever has the focus; `\u{e004}` is the tab key, `\u{e007}` enter.
    pub async fn types(&self, text: &str) -> Result<()> {
        let each = text
            .chars()
            .flat_map(|key| ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key.to_string() })));
        let keys = json!({ "type": "key", "id": "keyboard", "actions": each.collect::<Vec<_>>() });
        self.call("/actions", &json!({ "actions": [keys] })).await.map(|_| ())
    }

    /// Keeps a picture of the page in `target/screenshots`.
    pub async fn picture(&self, name: &str) -> Result<()> {
        let folder = tools()?.with_file_name("screenshots");
        fs::create_dir_all(&folder)?;
        let taken = call(&self.driver, "GET", &format!("/session/{}/screenshot", self.session), &Value::Null).await?;
        fs::write(folder.join(format!("{name}.png")), BASE64.decode(taken.as_str().unwrap_or_default())?)?;
        Ok(())
    }

    /// What the browser complained of since it was last asked: errors of scripts, refusals of its policy.
    pub async fn complaints(&self) -> Result<Vec<String>> {
        let log = self.call("/se/log", &json!({ "type": "browser" })).await?;
        let entries = log.as_array().into_iter().flatten();
        Ok(entries.filter_map(|entry| entry["message"].as_str().map(str::to_owned)).collect())
    }
}

/// One command of WebDriver; gives its value.
async fn call(driver: &Http, method: &str, path: &str, body: &Value) -> Result<Value> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = driver.send(method, path, &[("content-type", "application/json")], body).await?.json()?;
    let value = answer.get("value").cloned().unwrap_or_default();
    match value.get("error").and_then(Value::as_str) {
        Some(error) => bail!("{path}: {error}: {value}"),
        None => Ok(value),
    }
}
