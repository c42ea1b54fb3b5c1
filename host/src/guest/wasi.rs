//! A WASI with nothing in it, for components whose toolchain imports it: no files, no sockets, no environment. The clock
//! shows the event's time and stands still; randomness is seeded by the event's id; output goes to the log.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use wasmtime::component::{Linker, Resource};
use wasmtime_wasi::p2::DynPollable;
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, ResourceTable, WasiCtx, WasiCtxView, WasiView};

use super::log::Log;
use super::random::Seeded;
use super::state::State;
use crate::event::Event;

/// The WASI side of a store.
pub struct Wasi {
    context: WasiCtx,
    table: ResourceTable,
    time: EventTime,
    random: SharedRandom,
}

impl Wasi {
    pub(super) fn new(log: &Log) -> Self {
        let (time, random) = (EventTime::default(), SharedRandom::default());
        let mut builder = WasiCtx::builder();
        builder
            .stdout(log.clone())
            .stderr(log.clone())
            .wall_clock(time.clone())
            .monotonic_clock(time.clone())
            .secure_random(random.clone())
            .insecure_random(random.clone())
            .insecure_random_seed(0)
            .max_random_size(RANDOM)
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false);
        Self { context: builder.build(), table: ResourceTable::new(), time, random }
    }

    /// Sets clock and seed to those of `event`.
    pub(super) fn begin(&self, event: &Event) {
        let time = OffsetDateTime::parse(&event.time, &Rfc3339).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        self.time.0.store(u64::try_from(time.unix_timestamp_nanos()).unwrap_or(0), Ordering::Relaxed);
        self.random.with(|random| *random = Seeded::of(&event.id));
    }

    /// The next 32 random bits of this event.
    pub(super) fn random(&self) -> u32 {
        (self.random.with(Seeded::next) >> 32) as u32
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi.context, table: &mut self.wasi.table }
    }
}

/// The event's time in nanoseconds since 1970.
#[derive(Clone, Default)]
struct EventTime(Arc<AtomicU64>);

impl HostWallClock for EventTime {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

impl HostMonotonicClock for EventTime {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The event's randomness, shared between WASI and Pelton's own interface.
#[derive(Clone, Default)]
struct SharedRandom(Arc<Mutex<Seeded>>);

impl SharedRandom {
    fn with<T>(&self, use_it: impl FnOnce(&mut Seeded) -> T) -> T {
        let mut random = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        use_it(&mut random)
    }
}

impl rand_core::TryRng for SharedRandom {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        self.try_next_u64().map(|bits| (bits >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(self.with(Seeded::next))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        for chunk in bytes.chunks_mut(8) {
            let drawn = self.try_next_u64()?.to_le_bytes();
            chunk.iter_mut().zip(drawn).for_each(|(to, from)| *to = from);
        }
        Ok(())
    }
}

/// The most random bytes of one call: a call of the host must come to an end by itself.
const RANDOM: u64 = 64 << 10;

/// Links WASI 0.2 for those plugins that import it. For the same reason nothing waits for the clock, which stands still.
pub fn add_to_linker(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_sync(linker)?;
    linker.allow_shadowing(true);
    let mut clock = linker.instance("wasi:clocks/monotonic-clock@0.2.12")?;
    for name in ["subscribe-instant", "subscribe-duration"] {
        clock.func_wrap(name, |_, (_,): (u64,)| -> wasmtime::Result<(Resource<DynPollable>,)> {
            Err(wasmtime::Error::msg("a plugin cannot wait: its clock shows the event's time and stands still"))
        })?;
    }
    Ok(())
}

/// Whether `import` is an interface of the WASI that is linked.
pub fn has(import: &str) -> bool {
    const PACKAGES: [&str; 6] =
        ["wasi:cli/", "wasi:clocks/", "wasi:filesystem/", "wasi:io/", "wasi:random/", "wasi:sockets/"];
    PACKAGES.iter().any(|package| import.starts_with(package))
}
