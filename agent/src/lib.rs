//! The per-host agent.

pub mod bpf;
pub mod lower;
pub mod reconcile;
