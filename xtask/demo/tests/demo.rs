//! The demo as its user sees it: it checks itself, it goes on after a crash, and it leaves nothing running.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    time::Duration,
};

use anyhow::{Context, Result};
use async_nats::jetstream;
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use pelton_tests::{Running, eventually, plugins};

const DEADLINE: Duration = Duration::from_secs(90);
/// Few lines, so that the test is quick; half of them come at 1,000 a second.
const LINES: usize = 2_000;

#[tokio::test]
async fn an_altered_number_is_found() -> Result<()> {
    let demo = Demo::new()?;
    let mut kept = demo.start(&["--keep"])?;
    demo.says("Everything keeps running").await?;
    assert_eq!(demo.run(&["--check-only"]).await?.code(), Some(0));

    let note: serde_json::Value = serde_json::from_slice(&fs::read(demo.folder().join("demo.json"))?)?;
    let client = async_nats::connect(note["nats"].as_str().context("no address")?).await?;
    let bucket = jetstream::new(client).get_key_value("demo").await?;
    let key = "by-country.1.United=20Kingdom";
    let mut value: serde_json::Value = serde_json::from_slice(&bucket.get(key).await?.context("no value")?)?;
    value["units"] = (value["units"].as_i64().context("no number")? + 1).into();
    bucket.put(key, value.to_string().into()).await?;

    assert_eq!(demo.run(&["--check-only"]).await?.code(), Some(1));
    assert!(demo.output()?.contains("United Kingdom"));
    kept.terminate().await?;
    demo.leaves_nothing_running().await
}

#[tokio::test]
async fn a_killed_demo_goes_on_and_agrees() -> Result<()> {
    let demo = Demo::new()?;
    for stage in ["publish", "Going on", "catch up"] {
        let mut killed = demo.start(&[])?;
        demo.says(stage).await?;
        killed.kill9()?;
        demo.leaves_nothing_running().await?;
    }
    assert_eq!(demo.run(&[]).await?.code(), Some(0));
    assert!(demo.output()?.contains("Going on with the interrupted demo"));
    demo.leaves_nothing_running().await
}

/// Demos in one folder, on a short data file.
struct Demo {
    temporary: tempfile::TempDir,
}

impl Demo {
    fn new() -> Result<Self> {
        let temporary = tempfile::tempdir()?;
        let slice = File::open(Path::new(env!("CARGO_MANIFEST_DIR")).join("data/online-retail-slice.csv.gz"))?;
        let mut short = GzEncoder::new(File::create(temporary.path().join("data.csv.gz"))?, Compression::fast());
        for line in BufReader::new(GzDecoder::new(slice)).lines().take(LINES + 1) {
            writeln!(short, "{}", line?)?;
        }
        short.finish()?;
        Ok(Self { temporary })
    }

    fn start(&self, options: &[&str]) -> Result<Running> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pelton-demo"));
        command.arg("--folder").arg(self.folder()).arg("--data").arg(self.temporary.path().join("data.csv.gz"));
        command.args(options).env("PELTON_PLUGINS", plugins()?).stdout(File::create(self.printed())?);
        Running::spawn(command)
    }

    async fn run(&self, options: &[&str]) -> Result<ExitStatus> {
        self.start(options)?.wait(DEADLINE).await
    }

    async fn says(&self, text: &str) -> Result<()> {
        let said = eventually(text, DEADLINE, async || Ok(self.output()?.contains(text).then_some(())));
        said.await.with_context(|| self.output().unwrap_or_default())
    }

    fn output(&self) -> Result<String> {
        Ok(fs::read_to_string(self.printed())?)
    }

    /// Every process of a demo names its folder.
    async fn leaves_nothing_running(&self) -> Result<()> {
        let folder = self.folder().display().to_string();
        eventually("the end of all processes", DEADLINE, async || {
            let running = fs::read_dir("/proc")?.flatten().any(|process| {
                let arguments = fs::read(process.path().join("cmdline")).unwrap_or_default();
                String::from_utf8_lossy(&arguments).contains(&folder)
            });
            Ok((!running).then_some(()))
        })
        .await
    }

    fn folder(&self) -> PathBuf {
        self.temporary.path().join("demo")
    }

    fn printed(&self) -> PathBuf {
        self.temporary.path().join("printed")
    }
}
