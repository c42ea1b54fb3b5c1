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

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    /// The files of the released interface. Plugins in the world depend on every letter that a toolchain reads.
    const RELEASED: [&str; 3] = [
        include_str!("../../../../wit/v0.1/types.wit"),
        include_str!("../../../../wit/v0.1/imports.wit"),
        include_str!("../../../../wit/v0.1/roles.wit"),
    ];
    /// `cat types.wit imports.wit roles.wit | sha256sum`
    const DIGEST: &str = "c0d4dc4d00dce6da6f400e5df2c56fbe8e02ca6ba4ada18ad933875a675aa5ee";

    #[test]
    fn the_released_interface_is_what_it_was() {
        let found = format!("{:x}", Sha256::digest(RELEASED.concat()));
        assert_eq!(found, DIGEST, "wit/v0.1 is released: a change belongs into a new folder beside it");
    }
}
