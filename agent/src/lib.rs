//! The per-host agent.

pub mod bpf;
