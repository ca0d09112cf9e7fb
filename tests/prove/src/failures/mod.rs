//! The protections against the failures of docs/FAILURES.md: how each is taken out, and the tests that fail then.
//! `make plant LAYER=failures` takes them out one by one and runs these tests; `tests/failures.rs` holds the document to
//! what is here.

mod agent;
mod flows;
mod lab;
mod packets;

/// A bug: a text that stands once in a file, and what it becomes.
#[derive(Clone, Copy, Debug)]
pub struct Bug {
    /// What is wrong then.
    pub name: &'static str,
    /// In the tree.
    pub file: &'static str,
    /// As it is.
    pub right: &'static str,
    /// As it becomes.
    pub wrong: &'static str,
}

/// Tests that are built and run together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Suite {
    /// Unit tests of the agent.
    Agent,
    /// Packets into the real programs.
    Packets,
    /// The proof chain and packet fuzzing, as CI runs them.
    Programs,
    /// Hosts with agents, in network namespaces.
    Lab,
}

/// What protects from a failure, as the bug that takes it out.
#[derive(Clone, Copy, Debug)]
pub struct Protection {
    /// As docs/FAILURES.md numbers them: "F1".
    pub failure: &'static str,
    /// Takes it out.
    pub bug: Bug,
    /// Each fails without it. The names of functions, without their modules.
    pub tests: &'static [(Suite, &'static [&'static str])],
}

impl Protection {
    /// Those that fail without it.
    pub fn tests(&self) -> impl Iterator<Item = &'static str> {
        self.tests.iter().flat_map(|(_, names)| names.iter().copied())
    }
}

/// All of them.
pub const PROTECTIONS: &[&[Protection]] =
    &[packets::PROTECTIONS, flows::PROTECTIONS, agent::PROTECTIONS, lab::PROTECTIONS];
