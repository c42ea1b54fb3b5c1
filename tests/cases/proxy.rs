//! The proxy of the soak does what it says: else the soak would prove nothing.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use pelton_tests::{Cluster, Proxy, SOON, proxy::Mode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// A time in which what is not swallowed would arrive.
const A_WHILE: Duration = Duration::from_millis(300);

/// A connection through a proxy, and its other end.
struct Line {
    proxy: Proxy,
    listener: TcpListener,
    client: TcpStream,
    server: TcpStream,
}

impl Line {
    async fn new() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let proxy = Proxy::start(listener.local_addr()?).await?;
        let client = TcpStream::connect(proxy.address()).await?;
        let (server, _) = listener.accept().await?;
        Ok(Self { proxy, listener, client, server })
    }

    /// The same proxy with another connection.
    async fn again(self) -> Result<Self> {
        let client = TcpStream::connect(self.proxy.address()).await?;
        let (server, _) = timeout(SOON, self.listener.accept()).await.context("no connection arrives")??;
        Ok(Self { client, server, ..self })
    }

    async fn passes_both_ways(&mut self) -> Result<()> {
        passes(&mut self.client, &mut self.server).await?;
        passes(&mut self.server, &mut self.client).await
    }

    async fn is_closed(&mut self) -> Result<()> {
        for end in [&mut self.client, &mut self.server] {
            let mut byte = [0];
            // Some ends hear of it as an end, some as an error.
            let read = timeout(SOON, end.read(&mut byte)).await.context("it stays open")?;
            ensure!(read.unwrap_or(0) == 0, "it passes bytes");
        }
        Ok(())
    }
}

async fn passes(from: &mut TcpStream, to: &mut TcpStream) -> Result<()> {
    from.write_all(b"jet").await?;
    let mut read = [0; 3];
    timeout(SOON, to.read_exact(&mut read)).await.context("nothing arrives")??;
    ensure!(&read == b"jet", "{read:?}");
    Ok(())
}

async fn is_swallowed(from: &mut TcpStream, to: &mut TcpStream) -> Result<()> {
    from.write_all(b"jet").await?;
    let mut read = [0; 3];
    ensure!(timeout(A_WHILE, to.read(&mut read)).await.is_err(), "it hears of it");
    Ok(())
}

#[tokio::test]
async fn bytes_pass_both_ways_and_an_end_that_closes_is_told_to_the_other() -> Result<()> {
    let mut line = Line::new().await?;
    line.passes_both_ways().await?;
    drop(line.client);
    timeout(SOON, line.server.read_to_end(&mut Vec::new())).await.context("it stays open")??;
    Ok(())
}

#[tokio::test]
async fn a_cut_closes_all_connections_and_new_ones_come() -> Result<()> {
    let mut line = Line::new().await?;
    line.proxy.cut();
    line.is_closed().await?;
    line.again().await?.passes_both_ways().await
}

#[tokio::test]
async fn what_is_away_has_no_connections_until_it_is_mended() -> Result<()> {
    let mut line = Line::new().await?;
    line.proxy.set(Mode::Away);
    line.is_closed().await?;
    let mut refused = TcpStream::connect(line.proxy.address()).await?;
    timeout(SOON, refused.read(&mut [0])).await.context("it stays open")?.ok();
    line.proxy.set(Mode::Through);
    line.again().await?.passes_both_ways().await
}

#[tokio::test]
async fn a_half_open_connection_swallows_one_way_and_is_closed_when_it_is_mended() -> Result<()> {
    for (up, down) in [(true, false), (false, true), (true, true)] {
        let mut line = Line::new().await?;
        line.passes_both_ways().await?;
        line.proxy.set(Mode::HalfOpen { up, down });
        if up {
            is_swallowed(&mut line.client, &mut line.server).await?;
        } else {
            passes(&mut line.client, &mut line.server).await?;
        }
        if down {
            is_swallowed(&mut line.server, &mut line.client).await?;
        } else {
            passes(&mut line.server, &mut line.client).await?;
        }
        line.proxy.set(Mode::Through);
        line.is_closed().await?;
        line.again().await?.passes_both_ways().await?;
    }
    Ok(())
}

#[tokio::test]
async fn delayed_bytes_arrive_later_and_in_order() -> Result<()> {
    let mut line = Line::new().await?;
    line.proxy.set(Mode::Delayed(A_WHILE));
    let begin = Instant::now();
    line.passes_both_ways().await?;
    assert!(begin.elapsed() >= 2 * A_WHILE);
    line.proxy.set(Mode::Through);
    line.passes_both_ways().await
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_a_cluster_hear_of_no_address_but_those_they_were_given() -> Result<()> {
    let cluster = Cluster::start().await?;
    for address in cluster.addresses() {
        let proxy = Proxy::start(address).await?;
        let client = async_nats::connect(proxy.address().to_string()).await?;
        assert_eq!(client.server_info().connect_urls, Vec::<String>::new(), "past the proxy");
        client.flush().await?;
    }
    Ok(())
}
