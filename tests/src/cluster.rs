//! Three nats-servers with JetStream on free ports, which hold streams together.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    time::Duration,
};

use anyhow::{Context, Result};
use async_nats::jetstream::{self, stream};
use tempfile::TempDir;

use crate::{SOON, Server, wait::eventually};

const NODES: usize = 3;
/// How long the nodes may take to answer while they may have no leader.
const ASKED: Duration = Duration::from_secs(1);

/// A running cluster. Dropped, its nodes are killed, and their stores are removed.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Server>,
    _temporary: Option<TempDir>,
}

impl Cluster {
    /// Starts a cluster, and waits until it stores streams on all nodes.
    pub async fn start() -> Result<Self> {
        let temporary = tempfile::tempdir()?;
        let cluster = Self::start_in(temporary.path()).await?;
        Ok(Self { _temporary: Some(temporary), ..cluster })
    }

    /// Starts a cluster whose stores and logs are in `folder`, which stays.
    pub async fn start_in(folder: &Path) -> Result<Self> {
        let ports = free_ports()?;
        let routes = ports.iter().map(route).collect::<Vec<_>>().join(",");
        let mut nodes = Vec::new();
        for (node, port) in ports.iter().enumerate() {
            let name = format!("node-{node}");
            let listen = route(port);
            // Clients keep to the addresses that they were given, which may be those of proxies.
            let told = ["-n", &name, "--cluster_name", "tests", "--cluster", &listen, "--routes", &routes];
            let told = told.into_iter().chain(["--no_advertise=true"]).map(str::to_owned).collect();
            nodes.push(Server::start_as(&folder.join(&name), told).await?);
        }
        let cluster = Self { nodes, _temporary: None };
        cluster.ready().await?;
        Ok(cluster)
    }

    /// The addresses for clients, with commas between them.
    pub fn url(&self) -> String {
        self.urls().join(",")
    }

    /// The address of each node for clients.
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Server::url).collect()
    }

    /// The same, as sockets.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(|node| (Ipv4Addr::LOCALHOST, node.port()).into()).collect()
    }

    /// The process of each node.
    pub fn processes(&self) -> Vec<u32> {
        self.nodes.iter().map(Server::id).collect()
    }

    /// Connects a client to one of the nodes; it goes over to another when that node ends.
    pub async fn client(&self) -> Result<async_nats::Client> {
        let urls = self.urls();
        async_nats::connect(&urls[..]).await.with_context(|| format!("cannot connect to {urls:?}"))
    }

    /// Ends a node at once, as a crash would.
    pub fn kill9(&mut self, node: usize) -> Result<()> {
        self.node(node)?.kill9()
    }

    /// Starts a node again on the same ports and store, after [Self::kill9].
    pub async fn restart(&mut self, node: usize) -> Result<()> {
        self.node(node)?.restart().await
    }

    /// Lets a node do nothing, as a machine that hangs would, until [`Cluster::wake`].
    pub fn freeze(&mut self, node: usize) -> Result<()> {
        self.node(node)?.freeze()
    }

    /// Lets a frozen node go on.
    pub fn wake(&mut self, node: usize) -> Result<()> {
        self.node(node)?.wake()
    }

    fn node(&mut self, node: usize) -> Result<&mut Server> {
        self.nodes.get_mut(node).with_context(|| format!("there is no node {node}"))
    }

    /// The node that leads a stream, once there is one that runs.
    pub async fn leader(&self, stream: &str) -> Result<usize> {
        let what = format!("a leader of {stream}");
        eventually(&what, SOON, async || {
            let Some(cluster) = self.peers(stream).await? else { return Ok(None) };
            let node = cluster.leader.as_deref().and_then(|leader| leader.strip_prefix("node-"));
            Ok(node.map(str::parse).transpose()?)
        })
        .await
    }

    /// Waits until all nodes hold all of a stream.
    pub async fn in_step(&self, stream: &str) -> Result<()> {
        let what = format!("all nodes to hold all of {stream}");
        eventually(&what, SOON, async || {
            let Some(cluster) = self.peers(stream).await? else { return Ok(None) };
            let current = cluster.replicas.iter().filter(|replica| replica.current && replica.lag.unwrap_or(0) == 0);
            Ok((cluster.leader.is_some() && current.count() == NODES - 1).then_some(()))
        })
        .await
    }

    /// Who holds a stream; none while nobody says so.
    async fn peers(&self, stream: &str) -> Result<Option<stream::ClusterInfo>> {
        let stream = jetstream::new(self.client().await?).get_stream(stream).await;
        Ok(stream.ok().and_then(|stream| stream.cached_info().cluster.clone()))
    }

    /// Waits until the nodes have a leader that knows them all: before, none places a stream on all of them.
    async fn ready(&self) -> Result<()> {
        let mut context = jetstream::new(self.client().await?);
        // Without a leader nobody answers.
        context.set_timeout(ASKED);
        let config = stream::Config { name: "READY".into(), num_replicas: NODES, ..stream::Config::default() };
        eventually("a cluster that stores streams on all nodes", SOON, async || {
            Ok(context.create_stream(config.clone()).await.ok())
        })
        .await?;
        context.delete_stream("READY").await?;
        Ok(())
    }
}

/// Ports that nobody listens on. A node has to be told those of the others' before they are there.
fn free_ports() -> Result<Vec<u16>> {
    let listeners: Vec<_> = (0..NODES).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}

fn route(port: &u16) -> String {
    format!("nats://127.0.0.1:{port}")
}
