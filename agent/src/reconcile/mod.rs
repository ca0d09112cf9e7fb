//! Observe → plan → apply.
pub mod action;
pub mod plan;
