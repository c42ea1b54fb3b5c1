//! The demo's data as published, its app, and the independent count: what the demo shares with the bench and the soak.
#![allow(missing_docs, reason = "not for others")]
#![allow(clippy::indexing_slicing, reason = "a tool for developers may end with a panic")]

pub mod app;
pub mod count;
pub mod data;
pub mod figures;
pub mod money;
pub mod read;
pub mod retail;
pub mod stored;
pub mod supervise;
pub mod table;
