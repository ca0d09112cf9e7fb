//! YAML in and out, with positions.

use std::fmt;

use crate::object::Object;

/// A file's name and text.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// As the user named it.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// An object and where it stands.
#[derive(Clone, Debug)]
pub struct Document {
    /// The object.
    pub object: Object,
}

/// A place in a file; line and column from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// File.
    pub file: String,
    /// Line.
    pub line: u64,
    /// Column.
    pub column: u64,
}

/// What is wrong with a text. Displays as `FILE:LINE:COLUMN: OBJECT: FIELD: MESSAGE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextError {
    /// Where.
    pub location: Location,
    /// Which object, as far as it could be read.
    pub object: String,
    /// Path in it.
    pub field: String,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for TextError {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}

impl Document {
    /// Where a field stands (`rules[2].traffic[0]`); the nearest parent when it is absent.
    pub fn locate(&self, _field: &str) -> Location {
        todo!()
    }
}

/// Reads every document of every file, or says everything that is wrong with them.
pub fn parse(_files: &[SourceFile]) -> Result<Vec<Document>, Vec<TextError>> {
    todo!()
}

/// Writes objects as one YAML text that [`parse`] reads back.
pub fn render(_objects: &[Object]) -> String {
    todo!()
}
