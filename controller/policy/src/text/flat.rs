//! A mapping of keys to values and lists of values, which is how daemons are configured.

use super::{
    Location, SourceFile, TextError,
    node::{Content, Entry},
    reader::{Field, Reader},
    tree::{self, Tree},
};

/// A key with its values.
pub(crate) struct Pair {
    pub(crate) key: String,
    /// Where its value stands.
    pub(crate) location: Location,
    /// `None`: it has none that can be read, of which the author has been told.
    pub(crate) values: Option<Vec<String>>,
}

/// Reads a file of one mapping, and says everything that is wrong with it; an empty file has no pairs.
pub(crate) fn parse(file: &SourceFile) -> (Vec<Pair>, Vec<TextError>) {
    let mut reader = Reader::new(&file.name, String::new());
    let mut pairs = Vec::new();
    let mut trees = tree::parse(file).into_iter();
    if let Some(Tree { root, is_whole, errors }) = trees.next() {
        reader.errors.extend(errors);
        match &root.content {
            Content::Map(entries) => pairs.extend(entries.iter().map(|entry| pair(&mut reader, &file.name, entry))),
            _ if is_whole => {
                let field = Field { path: String::new(), node: &root };
                reader.mismatch(&field, "a mapping of key to value or list of values");
            }
            _ => {}
        }
    }
    if let Some(second) = trees.next() {
        reader.error(second.root.place, "", "is a second document: write everything in one");
    }
    reader.errors.sort_by_key(|error| (error.location.line, error.location.column));
    (pairs, reader.errors)
}

fn pair(reader: &mut Reader<'_>, file: &str, entry: &Entry) -> Pair {
    let told = reader.errors.len();
    let field = Field { path: entry.key.clone(), node: &entry.value };
    let values = match &entry.value.content {
        Content::List(_) => reader.list(&field, Reader::text),
        Content::Text(text) => vec![text.clone()],
        _ => {
            reader.mismatch(&field, "a value, or a list of values");
            Vec::new()
        }
    };
    let is_read = reader.errors.len() == told && !matches!(entry.value.content, Content::Refused);
    Pair { key: entry.key.clone(), location: entry.value.place.location(file), values: is_read.then_some(values) }
}
