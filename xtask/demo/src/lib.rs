//! The demo's data as published: what the demo and the bench share.
#![allow(missing_docs, reason = "not for others")]
#![cfg_attr(test, allow(clippy::indexing_slicing, reason = "a test may end with a panic"))]

pub mod data;
pub mod retail;
