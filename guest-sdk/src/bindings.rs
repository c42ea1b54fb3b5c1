//! What `wit-bindgen` makes of the WIT. Not for plugins: the macros of this crate reach in here, nobody else does.
//!
//! Each role has a world of its own here, and its description reaches only the plugins that call the role's macro.
//! All worlds share the types and imports of the world `imports`.
#![allow(unsafe_code, missing_docs, reason = "generated code, documented in the WIT")]

wit_bindgen::generate!({
    path: "../wit/v0.1",
    world: "imports",
    generate_unused_types: true,
    additional_derives: [Eq, PartialEq],
});

macro_rules! role {
    ($role:ident, $world:literal) => {
        pub mod $role {
            wit_bindgen::generate!({
                path: "../wit/v0.1",
                world: $world,
                pub_export_macro: true,
                export_macro_name: "export",
                with: {
                    "pelton:plugin/types@0.1.0": crate::bindings::pelton::plugin::types,
                    "pelton:plugin/views@0.1.0": crate::bindings::pelton::plugin::views,
                    "pelton:plugin/log@0.1.0": crate::bindings::pelton::plugin::log,
                    "pelton:plugin/config@0.1.0": crate::bindings::pelton::plugin::config,
                    "pelton:plugin/random@0.1.0": crate::bindings::pelton::plugin::random,
                },
            });
        }
    };
}

role!(handler, "handler-plugin");
role!(projector, "projector-plugin");
