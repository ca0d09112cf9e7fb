//! The controller: one validated model of everything that was committed, compiled once per domain
//! and handed to every host that needs it.
//!
//! ```text
//!  grpc/objects ──▶ controller ──▶ catalog (plan: pure) ──▶ store (commit: one transaction)
//!                       │
//!                       └── publish ──▶ fleet (what each host needs, has and reported)
//!                                         ▲ │
//!                        acks, devices ───┘ └──▶ grpc/session ──▶ agents
//! ```
//!
//! * [`catalog`] decides what a change means; it neither waits nor writes.
//! * [`store`] makes a decided change durable, all of it or none.
//! * [`fleet`] knows how far each host has come, and nothing of how messages travel.
//! * [`controller`] ties the three together under one writer.
//! * [`trace`] explains what policies do with a flow, for the service and for files alike.
//! * [`grpc`] is the only place that knows `tonic::Status`.

pub mod args;
pub mod catalog;
pub mod controller;
pub mod fleet;
pub mod grpc;
pub mod server;
pub mod store;
pub mod trace;
