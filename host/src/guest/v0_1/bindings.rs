//! What wasmtime generates from `wit/v0.1`: the imports once, and each role's world on top of them.
#![allow(missing_docs, clippy::all, clippy::restriction, reason = "generated; the WIT is documented")]

wasmtime::component::bindgen!({
    path: "../wit/v0.1",
    world: "imports",
    imports: { default: trappable },
});

pub mod handler {
    wasmtime::component::bindgen!({
        path: "../wit/v0.1",
        world: "handler-plugin",
        imports: { default: trappable },
        with: {
            "pelton:plugin/types": super::pelton::plugin::types,
            "pelton:plugin/views": super::pelton::plugin::views,
            "pelton:plugin/log": super::pelton::plugin::log,
            "pelton:plugin/config": super::pelton::plugin::config,
            "pelton:plugin/random": super::pelton::plugin::random,
        },
    });
}

pub mod projector {
    wasmtime::component::bindgen!({
        path: "../wit/v0.1",
        world: "projector-plugin",
        imports: { default: trappable },
        with: {
            "pelton:plugin/types": super::pelton::plugin::types,
            "pelton:plugin/views": super::pelton::plugin::views,
            "pelton:plugin/log": super::pelton::plugin::log,
            "pelton:plugin/config": super::pelton::plugin::config,
            "pelton:plugin/random": super::pelton::plugin::random,
        },
    });
}
