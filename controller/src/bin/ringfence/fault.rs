//! What is wrong with objects, shown where it stands in the user's files.

use std::{collections::HashMap, fmt};

use ringfence_policy::{
    model::Invalid,
    object::ObjectKey,
    text::{Document, Location, SourceFile, TextError},
    wire::{key_from_wire, key_to_wire},
};
use ringfence_proto::v1;

/// Everything wrong with what was asked. Displays each fault and, where it stands in a file, that line with a mark
/// under the place.
#[derive(Debug)]
pub(crate) struct Report {
    faults: Vec<Fault>,
    /// How many more there are that were not told.
    more: u32,
    files: Vec<SourceFile>,
    /// What was not done because of it.
    undone: &'static str,
}

/// Of a request to change something.
const NOT_CHANGED: &str = "nothing was changed";
/// Of a question.
const NOT_ANSWERED: &str = "nothing was asked";

/// One thing wrong.
#[derive(Debug, PartialEq, Eq)]
enum Fault {
    /// With something in the files.
    Placed(TextError),
    /// With an object that stands in no file given.
    Stored { object: String, field: String, message: String },
}

impl Report {
    /// What the reader of the files found.
    pub(crate) fn of_text(errors: Vec<TextError>, files: Vec<SourceFile>) -> Self {
        Self { faults: errors.into_iter().map(Fault::Placed).collect(), more: 0, files, undone: NOT_CHANGED }
    }

    /// What the controller found; `documents` are the objects sent, in the order sent.
    pub(crate) fn of_invalid(list: v1::InvalidList, documents: &[Document], files: Vec<SourceFile>) -> Self {
        let v1::InvalidList { invalid, more } = list;
        let faults = invalid.into_iter().map(|invalid| place(invalid, documents)).collect();
        Self { faults, more, files, undone: NOT_CHANGED }
    }

    /// What the model finds wrong with objects that are sent nowhere.
    pub(crate) fn of_model(invalid: Vec<Invalid>, documents: &[Document], files: Vec<SourceFile>) -> Self {
        let wire = |invalid: Invalid| v1::Invalid {
            key: Some(key_to_wire(&invalid.key)),
            object_index: invalid.index.and_then(|index| u32::try_from(index).ok()).unwrap_or_default(),
            field: invalid.field,
            message: invalid.message,
        };
        let list = v1::InvalidList { invalid: invalid.into_iter().map(wire).collect(), more: 0 };
        Self::of_invalid(list, documents, files).of_question()
    }

    /// The same of who asked something, and changes nothing anyway.
    pub(crate) fn of_question(self) -> Self {
        Self { undone: NOT_ANSWERED, ..self }
    }
}

/// Finds the document an entry is about: the one sent at its index if that bears its key, else any that does. An
/// entry about an object already stored carries an index that means nothing, hence the comparison.
fn place(invalid: v1::Invalid, documents: &[Document]) -> Fault {
    let v1::Invalid { key, object_index, field, message } = invalid;
    let key = key.and_then(|key| key_from_wire(key).ok());
    let bears_key = |document: &&Document| Some(document.object.key()) == key;
    let at_index = usize::try_from(object_index).ok().and_then(|index| documents.get(index)).filter(bears_key);
    let object = key.as_ref().map(ObjectKey::to_string).unwrap_or_default();
    match at_index.or_else(|| documents.iter().find(bears_key)) {
        Some(document) => Fault::Placed(TextError { location: document.locate(&field), object, field, message }),
        None => Fault::Stored { object, field, message },
    }
}

/// The lines of the files, cut once for all that is wrong with them.
pub(crate) struct Lines<'a>(HashMap<&'a str, Vec<&'a str>>);

// === impl Lines ===

impl<'a> Lines<'a> {
    /// Those of these files.
    pub(crate) fn of(files: &'a [SourceFile]) -> Self {
        Self(files.iter().map(|file| (file.name.as_str(), file.text.lines().collect())).collect())
    }

    fn at(&self, location: &Location) -> Option<&'a str> {
        let index = usize::try_from(location.line).ok()?.checked_sub(1)?;
        self.0.get(location.file.as_str())?.get(index).copied()
    }
}

/// The line a place is in, numbered, and a mark under its column; empty if there is no such line.
fn excerpt(location: &Location, lines: &Lines<'_>) -> String {
    marked(location, lines, |_| 1)
}

/// The same with all of the value marked that begins there.
pub(crate) fn underlined(location: &Location, lines: &Lines<'_>) -> String {
    marked(location, lines, |rest| rest.split([',', '}', ']', '#']).next().map_or(1, |value| value.trim_end().len()))
}

fn marked(location: &Location, lines: &Lines<'_>, width: impl FnOnce(&str) -> usize) -> String {
    let (Some(line), Ok(column)) = (lines.at(location), usize::try_from(location.column)) else {
        return String::new();
    };
    let number = location.line.to_string();
    // A tab stays a tab, so that the mark stands under its place whatever a tab's width.
    let indent: String =
        line.chars().take(column.saturating_sub(1)).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    let rest: String = line.chars().skip(column.saturating_sub(1)).collect();
    let mark = "^".repeat(width(&rest).max(1));
    format!("\n {number} | {line}\n {:width$} | {indent}{mark}", "", width = number.len())
}

// === impl Fault ===

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Placed(error) => error.fmt(f),
            Self::Stored { object, field, message } => {
                for part in [object, field] {
                    if !part.is_empty() {
                        write!(f, "{part}: ")?;
                    }
                }
                f.write_str(message)
            }
        }
    }
}

// === impl Report ===

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = Lines::of(&self.files);
        for fault in &self.faults {
            write!(f, "{fault}")?;
            if let Fault::Placed(error) = fault {
                f.write_str(&excerpt(&error.location, &lines))?;
            }
            f.write_str("\n")?;
        }
        if self.more > 0 {
            return write!(f, "and {} errors more; {}", self.more, self.undone);
        }
        match self.faults.len() {
            1 => write!(f, "1 error; {}", self.undone),
            count => write!(f, "{count} errors; {}", self.undone),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ringfence_policy::text;

    use super::*;

    const TEXT: &str = "kind: Segment\ndomain: acme/prod\nname: web\nmatch: {role: web}\n";

    fn file(text: &str) -> SourceFile {
        SourceFile { name: "shop.yaml".into(), text: text.into() }
    }

    fn at(line: u64, column: u64) -> Location {
        Location { file: "shop.yaml".into(), line, column }
    }

    fn invalid(name: &str, object_index: u32, field: &str) -> v1::Invalid {
        let key = v1::ObjectKey { kind: v1::Kind::Segment.into(), domain: "acme/prod".into(), name: name.into() };
        v1::Invalid { key: Some(key), object_index, field: field.into(), message: "is wrong".into() }
    }

    fn list(invalid: v1::Invalid) -> v1::InvalidList {
        v1::InvalidList { invalid: vec![invalid], more: 0 }
    }

    #[test]
    fn a_mark_stands_under_the_column() {
        assert_eq!(excerpt(&at(2, 9), &Lines::of(&[file(TEXT)])), "\n 2 | domain: acme/prod\n   |         ^");
    }

    #[test]
    fn a_tab_before_the_place_is_kept_before_the_mark() {
        assert_eq!(excerpt(&at(1, 3), &Lines::of(&[file("a\tb\n")])), "\n 1 | a\tb\n   |  \t^");
    }

    #[test]
    fn a_place_beyond_the_text_has_no_excerpt() {
        assert_eq!(excerpt(&at(99, 1), &Lines::of(&[file(TEXT)])), "");
        assert_eq!(excerpt(&at(0, 1), &Lines::of(&[file(TEXT)])), "");
    }

    #[test]
    fn what_the_controller_refuses_is_placed_in_the_file() {
        let files = vec![file(TEXT)];
        let documents = text::parse(&files).unwrap();
        let report = Report::of_invalid(list(invalid("web", 0, "match")), &documents, files);
        let shown = report.to_string();
        assert!(shown.starts_with("shop.yaml:4:"), "{shown}");
        assert!(shown.contains("is wrong\n 4 | match: {role: web}\n"), "{shown}");
        assert!(shown.ends_with("1 error; nothing was changed"), "{shown}");
    }

    #[test]
    fn of_two_objects_with_one_name_the_index_tells_which() {
        let files = vec![file(&format!("{TEXT}---\n{}", TEXT.replace("web", "app")))];
        let documents = text::parse(&files).unwrap();
        let twice = [documents[0].clone(), documents[1].clone(), documents[0].clone()];
        assert_eq!(place(invalid("app", 1, ""), &twice), place(invalid("app", 2, ""), &twice));
        let Fault::Placed(placed) = place(invalid("app", 1, "match"), &twice) else { unreachable!() };
        assert_eq!(placed.location.line, 9);
    }

    #[test]
    fn an_object_in_no_file_is_named_without_a_place() {
        let files = vec![file(TEXT)];
        let documents = text::parse(&files).unwrap();
        let report = Report::of_invalid(list(invalid("db", 0, "match")), &documents, files);
        assert_eq!(report.to_string(), "Segment acme/prod/db: match: is wrong\n1 error; nothing was changed");
    }
}
