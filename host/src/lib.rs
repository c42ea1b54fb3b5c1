//! Pelton: reads events from NATS JetStream, runs each through sandboxed WebAssembly plugins, and commits what they
//! answer exactly once.
//!
//! Data flows one way, and each step is a module of its own:
//!
//! [`source`] → [`event`] + [`cloudevents`] → [`route`] → [`lane`] → [`guest`] → [`effects`] → [`commit`] → the app
//! stream. [`host`] wires them together.

pub mod cases;
pub mod causes;
pub mod cli;
pub mod cloudevents;
pub mod commit;
pub mod config;
pub mod control;
pub mod dev;
pub mod dlq;
pub mod doctor;
pub mod effects;
pub mod event;
mod failpoint;
pub mod graph;
pub mod guest;
pub mod host;
pub mod http;
pub mod lag;
pub mod lane;
pub mod lint;
pub mod metrics;
pub mod notify;
pub mod ownership;
pub mod permissions;
pub mod policy;
pub mod query;
pub mod route;
pub mod service;
#[cfg(test)]
mod simulation;
pub mod source;
pub mod status;
pub mod subject;
pub mod tap;
pub mod telemetry;
pub mod top;
pub mod traces;
pub mod trial;
pub mod verify;
