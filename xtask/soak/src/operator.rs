//! What operators do while all that happens: other plugins, other numbers of lanes, replays. They ask again if it fails.

use std::{
    fs::{self, File},
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result};
use pelton_tests::{Running, binary};
use serde_json::Value;
use tokio::time::sleep_until;

use crate::{
    folder::Folder,
    journal::{Journal, now},
    plan::Act,
};

/// How long a command may take: a replay whose host dies waits 65 s for its answer.
const PATIENCE: Duration = Duration::from_secs(90);
/// How often a command is given that does not succeed.
const TRIES: u32 = 20;

/// An operator with a terminal.
pub struct Operator<'a> {
    folder: &'a Folder,
    journal: Arc<Journal>,
    /// The oracle's plugin as it was built.
    plugin: Vec<u8>,
    /// How many others there have been.
    plugins: u32,
}

/// What a command came to.
struct Done {
    succeeded: bool,
    printed: Value,
    said: String,
}

impl<'a> Operator<'a> {
    pub fn new(folder: &'a Folder, journal: Arc<Journal>) -> Result<Self> {
        Ok(Self { folder, journal, plugin: fs::read(folder.plugin("oracle"))?, plugins: 0 })
    }

    /// Does what is planned, one after the other; what comes late is done late.
    pub async fn work(mut self, acts: &[(Duration, Act)]) -> Result<()> {
        for (at, act) in acts {
            sleep_until((self.journal.begin() + *at).into()).await;
            match act {
                Act::Swap => self.swap().await?,
                Act::Scale(lanes) => {
                    // All lanes are taken anew.
                    let since = now();
                    self.scale(*lanes).await?;
                    self.journal.trouble(since);
                }
                Act::Replay => self.replay().await?,
            }
        }
        Ok(())
    }

    /// Puts another plugin in the place of the one that hosts start with, and has those that run go over to it.
    async fn swap(&mut self) -> Result<()> {
        self.plugins += 1;
        // A custom section, which changes nothing but the digest.
        let number = u8::try_from(self.plugins % 128)?;
        let (place, draft) = (self.folder.plugin("oracle"), self.folder.file("draft.wasm"));
        fs::write(&draft, [self.plugin.as_slice(), &[0, 3, 1, b'v', number]].concat())?;
        fs::rename(draft, place)?;
        for attempt in 0..TRIES {
            // The first input may be one that is to be rejected: then the old plugin returns, and it is done again.
            let untried = (attempt >= TRIES / 2).then_some("--untried");
            let done = self.pelton(&[&["module", "swap", "oracle"][..], untried.as_slice()].concat()).await?;
            let outcome = done.text("outcome").or_else(|| done.text("swap")).unwrap_or_default();
            self.journal.say(&format!("swap: {outcome}{}", done.said));
            if done.succeeded {
                self.journal.count("plugins swapped", 1);
                return Ok(());
            }
            self.journal.count(if outcome == "returns" { "swaps that returned" } else { "swaps asked for again" }, 1);
        }
        anyhow::bail!("a swap did not succeed {TRIES} times")
    }

    async fn scale(&mut self, lanes: u16) -> Result<()> {
        for _ in 0..TRIES {
            let done = self.pelton(&["module", "scale", "oracle", "--lanes", &lanes.to_string()]).await?;
            self.journal.say(&format!("scale to {lanes} lanes: {}", if done.succeeded { "done" } else { &done.said }));
            if done.succeeded {
                self.journal.count("lanes scaled", 1);
                return Ok(());
            }
            if done.said.contains("lanes already") {
                // A try before this one got so far and did not hear of it: the module may be paused still.
                return self.resume().await;
            }
            self.journal.count("scales asked for again", 1);
            self.resume().await?;
        }
        anyhow::bail!("a scale did not succeed {TRIES} times")
    }

    async fn resume(&mut self) -> Result<()> {
        for _ in 0..TRIES {
            if self.pelton(&["module", "resume", "oracle"]).await?.succeeded {
                return Ok(());
            }
        }
        anyhow::bail!("a resume did not succeed {TRIES} times")
    }

    async fn replay(&mut self) -> Result<()> {
        let done = self.pelton(&["dlq", "replay", "--all"]).await?;
        let answers = done.printed.as_array().map(Vec::as_slice).unwrap_or_default();
        let replayed = answers.iter().filter(|answer| answer.get("outcome").is_some_and(|it| it == "replayed")).count();
        self.journal.say(&format!("replay: {replayed} of {} dead letters{}", answers.len(), done.said));
        self.journal.count("dead letters replayed", replayed as u64);
        self.journal.count("replays that stay dead letters", (answers.len() - replayed) as u64);
        Ok(())
    }

    /// Runs a command. It ends with the soak, whatever way that ends.
    async fn pelton(&self, arguments: &[&str]) -> Result<Done> {
        let (out, err) = (self.folder.file("operator.out"), self.folder.file("operator.err"));
        let mut command = Command::new(binary("pelton")?);
        command.args(arguments).args(["-o", "json", "-c"]).arg(self.folder.operator());
        command.stdout(File::create(&out)?).stderr(Stdio::from(File::create(&err)?));
        let mut running = Running::spawn(command)?;
        let status = running.wait(PATIENCE).await;
        let printed = serde_json::from_slice(&fs::read(&out)?).unwrap_or_default();
        let said = fs::read_to_string(&err).context("what a command said")?;
        let last = said.lines().last().map(|line| format!(" ({line})")).unwrap_or_default();
        let said = if status.is_err() { format!(" (no end after {PATIENCE:?})") } else { last };
        Ok(Done { succeeded: status.is_ok_and(|status| status.success()), printed, said })
    }
}

impl Done {
    fn text(&self, field: &str) -> Option<String> {
        Some(self.printed.get(field)?.as_str()?.to_owned())
    }
}
