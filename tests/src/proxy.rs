//! A TCP proxy that does to connections what networks do: it cuts them, refuses them, holds their bytes back, or lets them
//! stand half open.

use std::{net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy, sink},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep_until},
};

/// Bytes read at a time.
const CHUNK: usize = 16 << 10;
/// Chunks on their way in one direction.
const ON_THE_WAY: usize = 1_024;

/// What a proxy does to its connections.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Mode {
    /// Bytes pass.
    #[default]
    Through,
    /// Bytes arrive so much later.
    Delayed(Duration),
    /// What comes from these sides is swallowed, and nobody is told. A connection that lost bytes so is closed when the
    /// mode changes, as one is of which one side had given up.
    HalfOpen {
        /// Whether what clients send is swallowed.
        up: bool,
        /// Whether what the server sends is swallowed.
        down: bool,
    },
    /// There are no connections, and new ones are closed at once.
    Away,
}

/// A proxy in front of one address. Dropped, it closes its connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    state: Arc<watch::Sender<State>>,
    _tasks: JoinSet<()>,
}

/// What the connections look at.
#[derive(Clone, Copy, Debug, Default)]
struct State {
    mode: Mode,
    /// How often all connections were cut.
    cuts: u64,
}

impl Proxy {
    /// Listens on a free port for connections to `target`.
    pub async fn start(target: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("a proxy finds no port")?;
        let address = listener.local_addr()?;
        let state = Arc::new(watch::Sender::new(State::default()));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, target, state.clone()));
        Ok(Self { address, state, _tasks: tasks })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Does this to its connections from now on.
    pub fn set(&self, mode: Mode) {
        self.state.send_modify(|state| state.mode = mode);
    }

    /// Closes all its connections; new ones may come.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.cuts += 1);
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, state: Arc<watch::Sender<State>>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => drop(connections.spawn(connection(client, target, state.subscribe()))),
                // Out of handles, for a moment.
                Err(_) => tokio::task::yield_now().await,
            },
            Some(_) = connections.join_next() => (),
        }
    }
}

/// Serves one connection until a side closes it, or it is cut.
async fn connection(client: TcpStream, target: SocketAddr, mut state: watch::Receiver<State>) {
    let begun = *state.borrow_and_update();
    if begun.mode == Mode::Away {
        return;
    }
    let Ok(server) = TcpStream::connect(target).await else { return };
    // What is sent in one piece is to arrive without waiting for more.
    if client.set_nodelay(true).and(server.set_nodelay(true)).is_err() {
        return;
    }
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::select! {
        () = pass(from_client, to_server, state.clone(), |up, _| up) => (),
        () = pass(from_server, to_client, state.clone(), |_, down| down) => (),
        () = cut(state, begun.cuts) => (),
    }
}

/// Waits until the connection is to be closed.
async fn cut(mut state: watch::Receiver<State>, cuts: u64) {
    loop {
        let now = *state.borrow_and_update();
        if now.cuts != cuts || now.mode == Mode::Away || state.changed().await.is_err() {
            return;
        }
    }
}

/// Passes bytes one way. Ends when a side closes, or when it would go on behind bytes that were swallowed.
async fn pass(
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
    state: watch::Receiver<State>,
    swallows: fn(bool, bool) -> bool,
) {
    let (sender, arrivals) = mpsc::channel(ON_THE_WAY);
    let mut delivering = pin!(deliver(arrivals, to));
    tokio::select! {
        () = &mut delivering => return,
        () = take(from, sender, state, swallows) => (),
    }
    // What was sent before the end arrives.
    delivering.await;
}

/// Bytes, and when they are to arrive.
type Chunk = (Instant, Vec<u8>);

/// Reads what one side sends, until it closes or bytes were swallowed.
async fn take(
    mut from: OwnedReadHalf,
    arrivals: mpsc::Sender<Chunk>,
    mut state: watch::Receiver<State>,
    swallows: fn(bool, bool) -> bool,
) {
    let swallowed = |state: State| matches!(state.mode, Mode::HalfOpen { up, down } if swallows(up, down));
    loop {
        let now = *state.borrow_and_update();
        if swallowed(now) {
            return swallow(&mut from, &mut state, swallowed).await;
        }
        let mut chunk = vec![0; CHUNK];
        let read = tokio::select! {
            read = from.read(&mut chunk) => read,
            changed = state.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
        };
        let Ok(count @ 1..) = read else { return };
        chunk.truncate(count);
        let late = if let Mode::Delayed(late) = now.mode { late } else { Duration::ZERO };
        if arrivals.send((Instant::now() + late, chunk)).await.is_err() {
            return;
        }
    }
}

/// Reads for nobody, until that is over or the side closes.
async fn swallow(from: &mut OwnedReadHalf, state: &mut watch::Receiver<State>, swallowed: impl Fn(State) -> bool) {
    let mended = async {
        loop {
            let now = *state.borrow_and_update();
            if !swallowed(now) || state.changed().await.is_err() {
                return;
            }
        }
    };
    let mut nobody = sink();
    tokio::select! {
        _ = copy(from, &mut nobody) => (),
        () = mended => (),
    }
}

/// Writes each chunk when its time has come.
async fn deliver(mut arrivals: mpsc::Receiver<Chunk>, mut to: OwnedWriteHalf) {
    while let Some((at, chunk)) = arrivals.recv().await {
        if at > Instant::now() {
            sleep_until(at).await;
        }
        if to.write_all(&chunk).await.is_err() {
            return;
        }
    }
}
