//! The per-host agent.

pub mod bpf;
pub mod config;
mod counters;
pub mod lower;
pub mod netlink;
pub mod persist;
pub mod reconcile;
pub mod run;
pub mod session;
pub mod teardown;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod testing;
