//! A YAML document as a tree that knows where each part stands.

use super::Location;

/// A line and a column, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: u64,
    pub(super) column: u64,
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) content: Content,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// Text, with or without quotes.
    Text(String),
    /// Nothing, `~` or `null`, without quotes.
    Null,
    /// A sequence.
    List(Vec<Node>),
    /// A mapping in the order written; no key comes twice.
    Map(Vec<Entry>),
    /// Something refused, of which the author has been told.
    Refused,
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) place: Place,
    pub(super) key: String,
    pub(super) value: Node,
}

impl Place {
    /// The beginning of a file.
    pub(super) const START: Self = Self { line: 1, column: 1 };

    /// The place in a file.
    pub(super) fn location(self, file: &str) -> Location {
        Location { file: file.into(), line: self.line, column: self.column }
    }
}

impl Node {
    /// The value under a key, if this is a mapping that has it.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match &self.content {
            Content::Map(entries) => entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value),
            _ => None,
        }
    }

    /// The text, if it is one.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) => Some(text),
            _ => None,
        }
    }
}
