//! Hosts as network namespaces, with real controllers and agents, and real sockets in the workloads.
//!
//! ```text
//!   fabric namespace: a bridge, 10.99.0.0/24
//!     ├── controller        ringfence-controller, and the CLI
//!     ├── h1, h2, h3        ringfence-agent each; host sides of workload links and uplinks
//!     │     ├─veth─ workload namespaces (web-1, app-1, …) of every tenant
//!     │     └─veth─ outside namespaces, one a tenant: the world behind its uplink
//! ```
//!
//! [`lab::Lab::raise`] makes all that from the objects of a policy file and takes it away when
//! dropped; what a killed lab left is removed by the next one ([`registry`]). [`probe`] asks who
//! reaches whom, [`stream`] keeps flows running while something happens to them.
//!
//! Everything needs root, and a kernel and tools as for the agent itself, plus iproute2.

#![allow(clippy::print_stdout, reason = "the demo talks to a person at a terminal")]

pub mod cabling;
pub mod daemon;
pub mod demo;
pub mod fatal;
pub mod files;
pub mod guest;
pub mod interrupt;
pub mod lab;
pub mod layout;
pub mod netfilter;
pub mod netns;
pub mod probe;
pub mod registry;
pub mod stream;
mod style;
mod sys;
pub mod transfer;
pub mod wait;
