//! Observe → plan → apply.
//!
//! | file | what |
//! |---|---|
//! | `action` | a step on the maps, as data |
//! | `plan` | observed and desired maps → steps (pure) |
//! | `devices` | observed and desired devices → steps (pure) |
//! | `observe` | the maps as they are |
//! | `apply` | carries steps on maps out |
//! | `machine` | this host: one pass over all of the above |
//! | `held` | the bundles held, and what was answered for them |
//! | `run` | the loop |

pub mod action;
mod apply;
pub mod devices;
pub mod machine;
mod observe;
pub mod plan;
mod run;

pub use run::{Event, Outputs, Reconciler};
