//! The per-host agent: it wires workloads and keeps the programs that decide their packets told.
//!
//! ```text
//!  controller ──session──▶ bundles ──lower──▶ desired maps and devices
//!                 ▲                               │
//!            acks │                            reconcile: observe → plan → apply
//!                 │                               │
//!              persist ◀── enforced ◀── bpf (maps, programs), netlink (devices)
//! ```
//!
//! Invariants: `lower`, `services` (but for its sender), `trace` and `reconcile::{plan, devices, held}` are pure; only `reconcile::{apply, machine}` and `defaults`
//! change the host; nothing here stands in a packet's way, so the agent may die at any line.

pub mod bpf;
pub mod config;
mod counters;
mod defaults;
pub mod engine;
pub mod lower;
pub mod netlink;
pub mod persist;
pub mod reconcile;
pub mod rescue;
pub mod run;
pub mod services;
pub mod session;
pub mod teardown;
mod trace;

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod testing;
