//! The process's one engine: what of wasm is on, how memory is pooled, and the clock that ends calls.

use std::collections::BTreeMap;
use std::time::Duration;

use wasmtime::{Config, Enabled, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::config::{LARGEST_MEMORY, MOST_INSTANCES, MOST_TABLES};

/// How often running guests look whether their deadline is over.
pub const TICK: Duration = Duration::from_millis(10);
/// Instances that may exist at once.
pub const INSTANCES: u32 = 256;
/// Linear memories of one plugin.
const MEMORIES: u32 = 4;
/// Slots of instances that are gone, whose memory stays with the process to be used again.
const WARM: u32 = 16;
/// Tables of one plugin, not their elements.
const TABLES: u32 = 50;

/// The engine could not be made.
#[derive(Debug, thiserror::Error)]
#[error("wasm engine: {0}")]
pub struct EngineError(String);

/// What runs plugins; clones share it.
#[derive(Clone)]
pub struct Engine(pub(super) wasmtime::Engine);

impl Engine {
    /// An engine whose guests have `stack` bytes of stack, with a thread that ticks as long as the engine lives.
    pub fn new(stack: usize) -> Result<Self, EngineError> {
        let engine = wasmtime::Engine::new(&config(stack)).map_err(|e| EngineError(format!("{e:#}")))?;
        let weak = engine.weak();
        let tick = move || {
            while let Some(engine) = weak.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(TICK);
            }
        };
        let named = std::thread::Builder::new().name("epoch".to_owned());
        named.spawn(tick).map_err(|e| EngineError(format!("cannot start the thread that ends calls: {e}")))?;
        Ok(Self(engine))
    }
}

/// The engines of a process: one, unless modules have stacks of different sizes, which only an engine can set.
#[derive(Default)]
pub struct Engines(BTreeMap<usize, Engine>);

impl Engines {
    /// The engine whose guests have `stack` bytes of stack.
    pub fn with_stack(&mut self, stack: usize) -> Result<Engine, EngineError> {
        if let Some(engine) = self.0.get(&stack) {
            return Ok(engine.clone());
        }
        let engine = Engine::new(stack)?;
        self.0.insert(stack, engine.clone());
        Ok(engine)
    }
}

/// Threads, garbage collection with its references, exceptions and asynchronous components are not even built in: most of wasmtime's advisories lie
/// in them, and no plugin needs them.
fn config(stack: usize) -> Config {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(INSTANCES)
        .total_core_instances(INSTANCES * MOST_INSTANCES as u32)
        .total_memories(INSTANCES * MEMORIES)
        .total_tables(INSTANCES * TABLES)
        .max_core_instances_per_component(MOST_INSTANCES as u32)
        .max_tables_per_component(TABLES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_module(TABLES)
        .max_component_instance_size(4 << 20)
        .max_core_instance_size(4 << 20)
        .table_elements(MOST_TABLES)
        .max_memory_size(LARGEST_MEMORY)
        .linear_memory_keep_resident(1 << 20)
        .max_unused_warm_slots(WARM)
        .pagemap_scan(Enabled::Auto);
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .wasm_backtrace_max_frames(std::num::NonZeroUsize::new(32))
        .epoch_interruption(true)
        .max_wasm_stack(stack)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}
