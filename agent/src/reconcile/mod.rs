//! Observe → plan → apply.
//!
//! | file | what |
//! |---|---|
//! | `action` | a step on the maps, as data |
//! | `plan` | observed and desired maps → steps (pure) |
//! | `devices` | observed and desired devices → steps (pure) |
//! | `observe` | the maps as they are |
//! | `apply` | carries steps on maps out |
//! | `clock` | the wall clock, by which rules begin and end |
//! | `before` | devices that were there before us |
//! | `put_back` | what somebody else changed here (pure) |
//! | `held` | states held, and how far each has come (pure) |
//! | `unfinished` | the note that a plan is being carried out |
//! | `ways` | devices by which the host reaches its controller and others (pure) |
//! | `machine` | this host: one pass over all of the above; `look`: what it starts from; `prepare`: what the maps should hold |
//! | `run` | the loop: answers given, time; `states`: what is held on its way; `trace`: a flow that is asked about |

pub mod action;
pub(crate) mod apply;
mod before;
pub(crate) mod clock;
pub mod devices;
mod held;
pub mod machine;
pub(crate) mod observe;
pub mod plan;
mod put_back;
mod recount;
mod run;
mod unfinished;
mod ways;

pub use run::{Event, Outputs, Reconciler};
