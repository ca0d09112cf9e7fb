//! YAML in and out, with positions.
//!
//! ```text
//!  text ──tree──▶ Node ──reader, object──▶ Object ──model's check──▶ Document
//! ```
//!
//! Every step goes on after an error, so that the author hears of all of them at once. What the language
//! will have and this version lacks is refused by name; where such a field says exactly what this version
//! does (`tier: tenant`, `log: false`), it is accepted and means nothing further.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
};

use crate::{
    model,
    object::{Object, ObjectKey},
};

pub(crate) mod flat;
mod later;
mod node;
mod object;
mod reader;
mod render;
mod suggest;
mod tree;

pub use render::render;

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
    file: Arc<str>,
    places: Places,
}

/// Where the fields of an object stand, by path; the empty path is the object.
type Places = BTreeMap<String, node::Place>;

/// A place in a file; line and column from 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// File.
    pub file: String,
    /// Line.
    pub line: u64,
    /// Column.
    pub column: u64,
}

/// What is wrong with a text. Displays as `FILE:LINE:COLUMN: OBJECT: FIELD: MESSAGE`, without the parts
/// that are empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
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

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column } = self;
        write!(f, "{file}:{line}:{column}")
    }
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { location, object, field, message } = self;
        write!(f, "{location}: ")?;
        for part in [object, field] {
            if !part.is_empty() {
                write!(f, "{part}: ")?;
            }
        }
        f.write_str(message)
    }
}

impl Document {
    /// Where a field stands (`rules[2].traffic[0]`); the nearest parent when it is absent.
    pub fn locate(&self, field: &str) -> Location {
        locate(&self.file, &self.places, field)
    }
}

fn locate(file: &str, places: &Places, field: &str) -> Location {
    let mut path = field;
    loop {
        if let Some(place) = places.get(path) {
            return place.location(file);
        }
        match path.rfind(['.', '[']) {
            Some(end) => path = &path[..end],
            None if path.is_empty() => return node::Place::START.location(file),
            None => path = "",
        }
    }
}

/// Reads every document of every file, or says everything that is wrong with them, file by file in the
/// order of their lines.
///
/// # Errors
/// Text that is no YAML, fields that are no object's, values that no object can have, whatever else there
/// is, and objects that come twice.
pub fn parse(files: &[SourceFile]) -> Result<Vec<Document>, Vec<TextError>> {
    let mut documents = Vec::new();
    let mut errors = Vec::new();
    for file in files {
        let mut found = Vec::new();
        for tree in tree::parse(file) {
            documents.extend(read_document(file, tree, &mut found));
        }
        found.sort_by_key(|error| (error.location.line, error.location.column));
        errors.extend(found);
    }
    errors.extend(duplicates(&documents));
    if errors.is_empty() { Ok(documents) } else { Err(errors) }
}

/// One document, or nothing and its errors.
fn read_document(file: &SourceFile, tree: tree::Tree, errors: &mut Vec<TextError>) -> Option<Document> {
    let tree::Tree { root, is_whole, errors: mut unread } = tree;
    let title = object::title(&root);
    for error in &mut unread {
        error.object.clone_from(&title);
    }
    if !is_whole {
        errors.append(&mut unread);
        return None;
    }
    let mut reader = reader::Reader::new(&file.name, title);
    let object = object::read(&mut reader, &root);
    let reader::Reader { title, places, errors: misread, .. } = reader;
    unread.extend(misread);
    let mut found = unread.clone();
    for fault in object.iter().flat_map(model::check) {
        // An empty value that stands for one that could not be read is not news.
        let related =
            |error: &TextError| is_inside(&fault.field, &error.field) || is_inside(&error.field, &fault.field);
        if unread.iter().any(related) {
            continue;
        }
        found.push(TextError {
            location: locate(&file.name, &places, &fault.field),
            object: title.clone(),
            field: fault.field,
            message: fault.message,
        });
    }
    let sound = found.is_empty();
    errors.append(&mut found);
    let document = |object| Document { object, file: file.name.as_str().into(), places };
    object.filter(|_| sound).map(document)
}

/// Whether a field is another or a part of it.
fn is_inside(field: &str, other: &str) -> bool {
    let rest = field.strip_prefix(other);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// An error at each object that an earlier document is already.
fn duplicates(documents: &[Document]) -> Vec<TextError> {
    let mut seen: HashMap<ObjectKey, Location> = HashMap::new();
    let mut errors = Vec::new();
    for document in documents {
        let key = document.object.key();
        let location = document.locate("name");
        match seen.get(&key) {
            Some(first) => errors.push(TextError {
                location,
                object: key.to_string(),
                field: "name".into(),
                message: format!("duplicate object: {first} is the same one; keep one of them"),
            }),
            None => {
                seen.insert(key, location);
            }
        }
    }
    errors
}
