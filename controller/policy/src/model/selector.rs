//! Which workloads a segment holds.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

/// Conditions on labels, all of which must hold; at least one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Selector {
    pub(super) conditions: Vec<Condition>,
}

/// One condition on a label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Condition {
    pub(super) key: String,
    pub(super) test: Test,
}

/// What must hold of a label's value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Test {
    /// It is one of these.
    In(BTreeSet<String>),
    /// It is none of these, or there is no such label (DESIGN 3.13).
    NotIn(BTreeSet<String>),
    /// There is such a label.
    Present,
    /// There is no such label.
    Absent,
}

impl Selector {
    /// A label, and values one of which it must have; `None`: it is asked for none so.
    pub(crate) fn required(&self) -> Option<(&str, &BTreeSet<String>)> {
        self.conditions.iter().find_map(|condition| match &condition.test {
            Test::In(values) => Some((condition.key.as_str(), values)),
            _ => None,
        })
    }

    /// Whether a workload with these labels is selected.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.conditions.iter().all(|condition| {
            let value = labels.get(&condition.key);
            match &condition.test {
                Test::In(values) => value.is_some_and(|value| values.contains(value)),
                Test::NotIn(values) => value.is_none_or(|value| !values.contains(value)),
                Test::Present => value.is_some(),
                Test::Absent => value.is_none(),
            }
        })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let conditions: Vec<_> = self.conditions.iter().map(ToString::to_string).collect();
        write!(f, "[{}]", conditions.join(", "))
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, test } = self;
        let list = |values: &BTreeSet<String>| values.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        match test {
            Test::In(values) => write!(f, "{{key: {key}, in: [{}]}}", list(values)),
            Test::NotIn(values) => write!(f, "{{key: {key}, notIn: [{}]}}", list(values)),
            Test::Present => write!(f, "{{key: {key}, exists: true}}"),
            Test::Absent => write!(f, "{{key: {key}, exists: false}}"),
        }
    }
}
