//! Traces: what an input's context is, what is told of how it was processed, and where that goes.
//!
//! [`context`] reads, derives and writes W3C trace contexts, [`span`] is what is told: both pure. [`tracer`] follows the
//! sampled inputs of one lane. [`export`] sends spans to a collector and never holds a lane up: [`otlp`] is what is sent,
//! [`collector`] where to.

pub mod collector;
pub mod context;
pub mod export;
mod otlp;
pub mod span;
pub mod tracer;

pub use self::context::{Context, Ratio};
