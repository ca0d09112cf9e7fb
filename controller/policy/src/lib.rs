//! What a policy means.
//!
//! ```text
//!  YAML ──text──▶ Object ──model──▶ Model ──compile──▶ Bundle ──wire──▶ agents
//!                   ▲                 │
//!  gRPC ──wire──────┘                 └──evaluate──▶ Verdict   (the definition of right)
//! ```
//!
//! A file may also hold [`expectation`]s, which are asked of either form and sent to nobody.
//!
//! This crate is pure: no I/O, no clock, no randomness, no async.

pub mod bundle;
pub mod compile;
pub mod evaluate;
pub mod expectation;
pub mod explain;
pub mod model;
pub mod object;
pub mod settings;
pub mod text;
pub mod wire;
