//! Collects what is wrong with one object, so that its author hears of all of it at once.

use std::{collections::HashMap, fmt::Display};

/// One thing wrong with an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Path in the object as in the file; empty: all of it.
    pub(crate) field: String,
    /// What is wrong and what to do.
    pub(crate) message: String,
}

/// What is wrong with one object so far.
#[derive(Debug, Default)]
pub(super) struct Faults {
    list: Vec<Fault>,
}

impl Faults {
    /// Notes a fault.
    pub(super) fn add(&mut self, field: impl Into<String>, message: impl Display) {
        self.list.push(Fault { field: field.into(), message: message.to_string() });
    }

    /// The value, or nothing and a fault.
    pub(super) fn ok<T, E: Display>(&mut self, field: impl Into<String>, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.add(field, error)).ok()
    }

    /// Notes a fault if a list that must have elements has none.
    pub(super) fn filled<T>(&mut self, field: impl Into<String>, list: &[T], wanted: &str) {
        if list.is_empty() {
            self.add(field, format!("is empty: {wanted}"));
        }
    }

    /// Each element read, without those that are wrong.
    pub(super) fn each<I, T>(
        &mut self,
        field: &str,
        list: &[I],
        mut read: impl FnMut(&mut Self, &str, &I) -> Option<T>,
    ) -> Vec<T> {
        let read_one = |(index, item)| read(self, &format!("{field}[{index}]"), item);
        list.iter().enumerate().filter_map(read_one).collect()
    }

    /// Notes a fault at each name that an earlier element of the list has.
    pub(super) fn distinct<'a>(&mut self, list: &str, names: impl Iterator<Item = &'a str>) {
        let mut seen = HashMap::new();
        for (index, name) in names.enumerate() {
            if let Some(first) = seen.get(name) {
                self.add(
                    format!("{list}[{index}].name"),
                    format!("duplicate name {name:?}: {list}[{first}] has it; choose another"),
                );
            } else {
                seen.insert(name, index);
            }
        }
    }

    /// The value if nothing is wrong.
    pub(super) fn verdict<T>(self, value: Option<T>) -> Result<T, Vec<Fault>> {
        match value {
            Some(value) if self.list.is_empty() => Ok(value),
            _ => Err(self.list),
        }
    }
}
