//! wasmtime without Pelton, with one limit more in each variant.

use anyhow::{Context, Result};
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{
    Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store, StoreLimits, StoreLimitsBuilder,
};

use self::pelton::plugin::types::Event;
use super::Work;

wasmtime::component::bindgen!({ path: "../wit/v0.1", world: "handler-plugin" });

/// wasmtime with some limits.
pub struct Variant {
    /// Which.
    pub name: &'static str,
    pre: HandlerPluginPre<Data>,
    deadline: bool,
    limiter: bool,
    counted: bool,
}

/// What a store carries.
struct Data(StoreLimits);

/// The component made of a core module.
pub fn component(module: &[u8]) -> Result<Vec<u8>> {
    wit_component::ComponentEncoder::default().validate(true).module(module)?.encode()
}

/// Each variant has what the one before it has.
pub fn variants(component: &[u8]) -> Result<Vec<Variant>> {
    let of = |name, deadline, limiter, counted| {
        let engine = Engine::new(&config(deadline)).map_err(anyhow::Error::from)?;
        let component = Component::new(&engine, component).map_err(anyhow::Error::from)?;
        let mut linker = Linker::new(&engine);
        HandlerPlugin::add_to_linker::<_, HasSelf<_>>(&mut linker, |data: &mut Data| data)?;
        let pre = HandlerPluginPre::new(linker.instantiate_pre(&component)?)?;
        anyhow::Ok(Variant { name, pre, deadline, limiter, counted })
    };
    Ok(vec![
        of("wasmtime alone, pooled", false, false, false)?,
        of("+ deadline (an epoch check at each loop and function)", true, false, false)?,
        of("+ memory, tables, instances (asked when they grow)", true, true, false)?,
        of("+ host call bytes, handles (other numbers to compare with)", true, true, true)?,
    ])
}

fn config(deadline: bool) -> Config {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(64).total_core_instances(256).total_memories(64).total_tables(256);
    let mut config = Config::new();
    config.epoch_interruption(deadline).allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

impl Variant {
    fn store(&self) -> Store<Data> {
        let limits = StoreLimitsBuilder::new().memory_size(64 << 20).table_elements(100_000).instances(200).build();
        let mut store = Store::new(self.pre.engine(), Data(limits));
        if self.deadline {
            store.set_epoch_deadline(1_000);
        }
        if self.limiter {
            store.limiter(|data| &mut data.0);
        }
        if self.counted {
            store.set_hostcall_fuel(16 << 20);
            store.set_max_component_handles(1_000);
        }
        store
    }

    /// Makes an instance and drops it.
    pub fn instantiate(&self) -> Result<()> {
        self.pre.instantiate(self.store())?;
        Ok(())
    }

    /// Calls one instance.
    pub fn call(&self) -> Result<Work<'_>> {
        let mut store = self.store();
        let plugin = self.pre.instantiate(&mut store)?;
        let event = event();
        Ok(Box::new(move || {
            if self.deadline {
                store.set_epoch_deadline(1_000);
            }
            let effects = plugin.pelton_plugin_handler().call_handle(&mut store, &event)?;
            effects.ok().context("the guest failed")?;
            Ok(())
        }))
    }
}

/// The event that [`own`](super::own) hands over too, as the WIT has it.
fn event() -> Event {
    let super::own::Input { event, key, stream, sequence } = super::own::Input::new();
    Event {
        id: event.id,
        source: event.source,
        kind: event.kind,
        subject: event.subject,
        key: key.to_string(),
        stream: stream.to_owned(),
        sequence: sequence.to_string(),
        time: event.time,
        content_type: event.content_type,
        correlation: event.correlation,
        causation: event.causation,
        attributes: Vec::new(),
        data: event.data.to_vec(),
    }
}

impl pelton::plugin::types::Host for Data {}

impl pelton::plugin::views::Host for Data {
    fn get(&mut self, _: String, _: String) -> Option<Vec<u8>> {
        None
    }
}

impl pelton::plugin::log::Host for Data {
    fn log(&mut self, _: pelton::plugin::log::Level, _: String) {}
}

impl pelton::plugin::config::Host for Data {
    fn get(&mut self, _: String) -> Option<String> {
        None
    }
}

impl pelton::plugin::random::Host for Data {
    fn next(&mut self) -> u32 {
        0
    }
}
