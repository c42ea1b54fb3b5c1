//! Three servers, three hosts, and a proxy between each of them, so that each host can be cut off by itself.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use pelton_demo::app;
use pelton_tests::{Cluster, Host, Proxy, oracle, proxy::Mode};

use crate::folder::Folder;

/// Hosts.
pub const HOSTS: usize = 3;
/// Servers, which all hold all streams.
pub const NODES: usize = 3;
/// How long a heartbeat counts: short, so that there are takeovers.
const TTL: &str = "3s";

/// All that runs.
pub struct Fleet {
    pub cluster: Cluster,
    hosts: Vec<Member>,
}

/// A host with its way to the servers.
struct Member {
    config: PathBuf,
    log: PathBuf,
    /// One for each server.
    proxies: Vec<Proxy>,
    /// None while it is not to run.
    host: Option<Host>,
    /// How often it was started.
    starts: u32,
}

impl Fleet {
    /// Starts the servers, and makes ready what the hosts need.
    pub async fn start(folder: &Folder) -> Result<Self> {
        // What a host maps of its own text depends on what the system has in memory of it: all, for all of them.
        io::copy(&mut fs::File::open(pelton_tests::binary("pelton")?)?, &mut io::sink())?;
        let cluster = Cluster::start_in(&folder.servers()).await?;
        fs::write(folder.operator(), config(&cluster.url(), folder))?;
        let mut hosts = Vec::new();
        for number in 0..HOSTS {
            let mut proxies = Vec::new();
            for address in cluster.addresses() {
                proxies.push(Proxy::start(address).await?);
            }
            let urls: Vec<String> = proxies.iter().map(|proxy| format!("nats://{}", proxy.address())).collect();
            let path = folder.host(number);
            fs::write(&path, config(&urls.join(","), folder))?;
            let log = path.with_extension("log");
            hosts.push(Member { config: path, log, proxies, host: None, starts: 0 });
        }
        Ok(Self { cluster, hosts })
    }

    /// Starts a host, or starts it again.
    pub fn start_host(&mut self, number: usize) -> Result<()> {
        let member = self.member(number)?;
        member.host = Some(Host::start(&member.config, &member.log)?);
        member.starts += 1;
        Ok(())
    }

    /// Ends a host at once.
    pub fn kill_host(&mut self, number: usize) -> Result<()> {
        let host = self.member(number)?.host.take();
        host.map_or(Ok(()), |mut host| host.kill9())
    }

    /// Asks a host to end, and gives it out: it may take its time.
    pub fn take_host(&mut self, number: usize) -> Result<Option<Host>> {
        Ok(self.member(number)?.host.take())
    }

    /// The host, if it runs.
    pub fn host(&mut self, number: usize) -> Result<Option<&mut Host>> {
        Ok(self.member(number)?.host.as_mut())
    }

    /// The processes that are to run: each host's number, how often it was started, and its process.
    pub fn processes(&self) -> Vec<(usize, u32, u32)> {
        let running = self.hosts.iter().enumerate();
        running.filter_map(|(number, member)| Some((number, member.starts, member.host.as_ref()?.id()))).collect()
    }

    /// Has a host's connections be treated so.
    pub fn network(&mut self, number: usize, mode: Mode) -> Result<()> {
        self.member(number)?.proxies.iter().for_each(|proxy| proxy.set(mode));
        Ok(())
    }

    /// Cuts a host's connections.
    pub fn cut(&mut self, number: usize) -> Result<()> {
        self.member(number)?.proxies.iter().for_each(Proxy::cut);
        Ok(())
    }

    /// The hosts that ended by themselves, with the last line of their logs. They are to be started again, as a service
    /// manager does.
    pub fn ended(&mut self) -> Result<Vec<(usize, String)>> {
        let mut ended = Vec::new();
        for (number, member) in self.hosts.iter_mut().enumerate() {
            let Some(host) = &mut member.host else { continue };
            if let Some(status) = host.ended()? {
                let last = host.log()?.pop().unwrap_or_default();
                member.host = None;
                ended.push((number, format!("{status}: {last}")));
            }
        }
        Ok(ended)
    }

    fn member(&mut self, number: usize) -> Result<&mut Member> {
        self.hosts.get_mut(number).with_context(|| format!("there is no host {number}"))
    }
}

fn config(url: &str, folder: &Folder) -> String {
    let head = format!(
        "app = \"demo\"\nnats = {{ url = \"{url}\" }}\nhttp = {{ listen = \"127.0.0.1:0\" }}\n\
         stream = {{ replicas = {NODES} }}\nhosts = {{ ttl = \"{TTL}\" }}\n"
    );
    let plugins = folder.plugins();
    head + &ours(&plugins) + &app::modules(&plugins)
}

/// The oracle's modules, with their plugins.
fn ours(plugins: &Path) -> String {
    oracle::MODULES.replace("plugin = \"", &format!("plugin = \"{}/", plugins.display()))
}
