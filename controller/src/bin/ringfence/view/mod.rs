//! Answers as data with stable field names, and the tables made from them. Pure.

pub(crate) mod counters;
pub(crate) mod interfaces;
pub(crate) mod objects;
pub(crate) mod status;
pub(crate) mod tables;
pub(crate) mod tested;
pub(crate) mod trace;
