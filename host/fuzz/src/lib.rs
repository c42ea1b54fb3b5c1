//! The host's pure modules, built without its engine and its NATS client, and the fuzz targets over them.
//!
//! `dlq` is pure too, but left out: what it keeps comes from `lane`, which knows the engine.

// The targets say `pelton::…`, so that the host's own tests can replay what was found.
extern crate self as pelton;

#[path = "../../src"]
mod host {
    pub mod cloudevents;
    pub mod config;
    pub mod effects;
    pub mod event;
    pub mod policy;
    pub mod route;
    pub mod subject;
}

pub use host::{cloudevents, config, effects, event, policy, route, subject};

pub mod targets;
