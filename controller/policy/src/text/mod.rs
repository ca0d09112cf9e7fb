//! YAML in and out, with positions.
//!
//! ```text
//!  text ──tree──▶ Node ─┬─reader, object──▶ Object ──model's check──▶ Document
//!                       └─reader, expectation──▶ Expectation
//! ```
//!
//! Every step goes on after an error, so that the author hears of all of them at once.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
};

use crate::{expectation::Expectation, model, object::Object};

mod expectation;
pub(crate) mod flat;
mod node;
mod object;
mod reader;
mod render;
mod suggest;
mod syntax;
mod tree;

use object::Read;
pub use render::render;

/// A file's name and text.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// As the user named it.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// What files hold.
#[derive(Clone, Debug, Default)]
pub struct Contents {
    /// Objects, in the order written.
    pub documents: Vec<Document>,
    /// Expectations, in the order written.
    pub expectations: Vec<ExpectationDocument>,
}

/// An object and where it stands.
#[derive(Clone, Debug)]
pub struct Document {
    /// The object.
    pub object: Object,
    source: Source,
}

/// An expectation and where it stands.
#[derive(Clone, Debug)]
pub struct ExpectationDocument {
    /// The expectation.
    pub expectation: Expectation,
    source: Source,
}

/// Where a document stands.
#[derive(Clone, Debug)]
struct Source {
    file: Arc<str>,
    places: Places,
}

/// Where the fields of a document stand, by path; the empty path is the document.
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
        self.source.locate(field)
    }
}

impl ExpectationDocument {
    /// Where a field stands (`flows[2].rule`); the nearest parent when it is absent.
    pub fn locate(&self, field: &str) -> Location {
        self.source.locate(field)
    }
}

impl Source {
    fn locate(&self, field: &str) -> Location {
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

/// Reads every object of every file, or says everything that is wrong with them, file by file in the order of
/// their lines. Expectations are read too, and left out.
///
/// # Errors
/// See [`parse_all`].
pub fn parse(files: &[SourceFile]) -> Result<Vec<Document>, Vec<TextError>> {
    parse_all(files).map(|contents| contents.documents)
}

/// Reads every object and every expectation of every file, or says everything that is wrong with them, file by file
/// in the order of their lines.
///
/// # Errors
/// Text that is no YAML, fields that are no object's, values that no object can have, whatever else there
/// is, and objects that come twice.
pub fn parse_all(files: &[SourceFile]) -> Result<Contents, Vec<TextError>> {
    let mut contents = Contents::default();
    let mut errors = Vec::new();
    for file in files {
        let mut found = Vec::new();
        for tree in tree::parse(file) {
            read_document(file, tree, &mut contents, &mut found);
        }
        found.sort_by_key(|error| (error.location.line, error.location.column));
        errors.extend(found);
    }
    errors.extend(duplicates(&contents));
    if errors.is_empty() { Ok(contents) } else { Err(errors) }
}

/// Adds one document to the contents, or what is wrong with it to the errors.
fn read_document(file: &SourceFile, tree: tree::Tree, contents: &mut Contents, errors: &mut Vec<TextError>) {
    let tree::Tree { root, is_whole, errors: mut unread } = tree;
    let title = object::title(&root);
    for error in &mut unread {
        error.object.clone_from(&title);
    }
    if !is_whole {
        errors.append(&mut unread);
        return;
    }
    let mut reader = reader::Reader::new(&file.name, title);
    let read = object::read(&mut reader, &root);
    let reader::Reader { title, places, errors: misread, .. } = reader;
    unread.extend(misread);
    let mut found = unread.clone();
    let object = match &read {
        Some(Read::Object(object)) => Some(object),
        _ => None,
    };
    for fault in object.into_iter().flat_map(model::check) {
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
    if !found.is_empty() {
        errors.append(&mut found);
        return;
    }
    let source = Source { file: file.name.as_str().into(), places };
    match read {
        Some(Read::Object(object)) => contents.documents.push(Document { object, source }),
        Some(Read::Expectation(expectation)) => contents.expectations.push(ExpectationDocument { expectation, source }),
        None => {}
    }
}

/// Whether a field is another or a part of it.
fn is_inside(field: &str, other: &str) -> bool {
    let rest = field.strip_prefix(other);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// An error at each document that an earlier one is already.
fn duplicates(contents: &Contents) -> Vec<TextError> {
    let mut seen: HashMap<String, Location> = HashMap::new();
    let objects = contents.documents.iter().map(|document| (document.object.key().to_string(), &document.source));
    let expectations = contents.expectations.iter().map(|document| {
        let Expectation { domain, name, .. } = &document.expectation;
        (format!("Expectation {domain}/{name}"), &document.source)
    });
    let mut errors = Vec::new();
    for (object, source) in objects.chain(expectations) {
        let location = source.locate("name");
        let Some(first) = seen.get(&object) else {
            seen.insert(object, location);
            continue;
        };
        let message = format!("duplicate object: {first} is the same one; keep one of them");
        errors.push(TextError { location, object, field: "name".into(), message });
    }
    errors
}
