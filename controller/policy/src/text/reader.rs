//! Reads fields out of nodes. It notes where each field stands and what is wrong, and goes on with an empty
//! value in its place.

use std::fmt::Display;

use super::{
    Places, TextError,
    node::{Content, Entry, Node, Place},
    suggest::nearest,
};

/// One document being read.
pub(super) struct Reader<'a> {
    file: &'a str,
    /// Which object it is, as far as it could be read: `Workload acme/prod/web-1`.
    pub(super) title: String,
    pub(super) places: Places,
    pub(super) errors: Vec<TextError>,
}

/// The fields of a mapping.
pub(super) struct Fields<'n> {
    path: String,
    place: Place,
    /// `None`: it is no mapping, of which its author has been told.
    entries: Option<&'n [Entry]>,
}

/// A value and the path to it.
pub(super) struct Field<'n> {
    pub(super) path: String,
    pub(super) node: &'n Node,
}

impl<'a> Reader<'a> {
    pub(super) fn new(file: &'a str, title: String) -> Self {
        Self { file, title, places: Places::new(), errors: Vec::new() }
    }

    /// Notes what is wrong with a field.
    pub(super) fn error(&mut self, place: Place, path: &str, message: impl Into<String>) {
        self.errors.push(TextError {
            location: place.location(self.file),
            object: self.title.clone(),
            field: path.into(),
            message: message.into(),
        });
    }

    /// The fields of a mapping; each that is not known is told.
    pub(super) fn fields<'n>(&mut self, field: &Field<'n>, known: &[&'static str]) -> Fields<'n> {
        let mut fields = Fields { path: field.path.clone(), place: field.node.place, entries: None };
        let Content::Map(entries) = &field.node.content else {
            self.mismatch(field, &format!("a mapping of {}", known.join(", ")));
            return fields;
        };
        for entry in entries {
            let path = join(&field.path, &entry.key);
            self.places.insert(path.clone(), entry.value.place);
            if !known.contains(&entry.key.as_str()) {
                self.unknown(entry, &path, known);
            }
        }
        fields.entries = Some(entries);
        fields
    }

    fn unknown(&mut self, entry: &Entry, path: &str, known: &[&'static str]) {
        let advice = match nearest(&entry.key, known.iter().copied()) {
            Some(name) => format!("did you mean {name}?"),
            None => format!("known are {}", known.join(", ")),
        };
        self.error(entry.place, path, format!("unknown field {:?}: {advice}", entry.key));
    }

    /// A field that must be there.
    pub(super) fn required<'n>(&mut self, fields: &Fields<'n>, name: &str) -> Option<Field<'n>> {
        let found = fields.get(name);
        if found.is_none() && fields.are_read() {
            self.error(fields.place, &join(&fields.path, name), "is missing: add it");
        }
        found
    }

    /// Text, with or without quotes.
    pub(super) fn text(&mut self, field: &Field<'_>) -> String {
        let text = field.node.text().map(str::to_owned);
        self.of_sort(field, text, "text")
    }

    /// Text of a field that must be there.
    pub(super) fn required_text(&mut self, fields: &Fields<'_>, name: &str) -> String {
        self.required(fields, name).map(|field| self.text(&field)).unwrap_or_default()
    }

    /// Text of a field that need not be there.
    pub(super) fn given_text(&mut self, fields: &Fields<'_>, name: &str) -> Option<String> {
        fields.get(name).map(|field| self.text(&field))
    }

    /// What the text of a field that must be there says; `None`: nothing that can be, of which its author has been told.
    pub(super) fn required_value<T, E: Display>(
        &mut self,
        fields: &Fields<'_>,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let field = self.required(fields, name)?;
        self.value(&field, parse)
    }

    /// The same of a field that need not be there, in which case it says nothing.
    pub(super) fn given_value<T, E: Display>(
        &mut self,
        fields: &Fields<'_>,
        name: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<Option<T>> {
        match fields.get(name) {
            None => Some(None),
            Some(field) => self.value(&field, parse).map(Some),
        }
    }

    fn value<T, E: Display>(&mut self, field: &Field<'_>, parse: impl FnOnce(&str) -> Result<T, E>) -> Option<T> {
        let Some(text) = field.node.text() else {
            self.mismatch(field, "text");
            return None;
        };
        parse(text).map_err(|error| self.error(field.node.place, &field.path, error.to_string())).ok()
    }

    /// A whole number that need not be there.
    pub(super) fn number(&mut self, fields: &Fields<'_>, name: &str) -> Option<u32> {
        self.whole_number(&fields.get(name)?)
    }

    /// A whole number.
    pub(super) fn whole_number(&mut self, field: &Field<'_>) -> Option<u32> {
        let digits = |text: &&str| text.bytes().all(|c| c.is_ascii_digit());
        let written = field.node.text().filter(digits);
        let wanted = if written.is_some_and(|text| !text.is_empty()) { "a smaller number" } else { "a whole number" };
        self.of_sort(field, written.and_then(|text| text.parse().ok()).map(Some), wanted)
    }

    /// `true` or `false`.
    pub(super) fn truth(&mut self, field: &Field<'_>) -> bool {
        let truth = field.node.text().and_then(|text| text.parse().ok());
        self.of_sort(field, truth, "true or false")
    }

    /// `true` or `false`, which it is if it is not there.
    pub(super) fn given_truth(&mut self, fields: &Fields<'_>, name: &str) -> bool {
        fields.get(name).is_some_and(|field| self.truth(&field))
    }

    /// Each element of a list, read.
    pub(super) fn list<'n, T>(
        &mut self,
        field: &Field<'n>,
        mut read: impl FnMut(&mut Self, &Field<'n>) -> T,
    ) -> Vec<T> {
        let Content::List(nodes) = &field.node.content else {
            self.mismatch(field, "a list, like [a, b]");
            return Vec::new();
        };
        let elements = nodes.iter().enumerate().map(|(index, node)| {
            let path = format!("{}[{index}]", field.path);
            self.places.insert(path.clone(), node.place);
            read(self, &Field { path, node })
        });
        elements.collect()
    }

    /// A list that must be there.
    pub(super) fn required_list<'n, T>(
        &mut self,
        fields: &Fields<'n>,
        name: &str,
        read: impl FnMut(&mut Self, &Field<'n>) -> T,
    ) -> Vec<T> {
        self.required(fields, name).map(|field| self.list(&field, read)).unwrap_or_default()
    }

    /// A list that need not be there.
    pub(super) fn given_list<'n, T>(
        &mut self,
        fields: &Fields<'n>,
        name: &str,
        read: impl FnMut(&mut Self, &Field<'n>) -> T,
    ) -> Vec<T> {
        fields.get(name).map(|field| self.list(&field, read)).unwrap_or_default()
    }

    /// The value, or an empty one and an error.
    fn of_sort<T: Default>(&mut self, field: &Field<'_>, value: Option<T>, wanted: &str) -> T {
        if value.is_none() {
            self.mismatch(field, wanted);
        }
        value.unwrap_or_default()
    }

    /// Tells that a value is of the wrong sort, unless its author has been told of it.
    pub(super) fn mismatch(&mut self, field: &Field<'_>, wanted: &str) {
        let found = match &field.node.content {
            Content::Refused => return,
            Content::Null => "has no value",
            Content::Text(text) => {
                return self.error(field.node.place, &field.path, format!("is {text:?}: write {wanted}"));
            }
            Content::List(_) => "is a list",
            Content::Map(_) => "is a mapping",
        };
        self.error(field.node.place, &field.path, format!("{found}: write {wanted}"));
    }
}

impl<'n> Fields<'n> {
    /// Whether there is a mapping; if not, its author has been told.
    pub(super) fn are_read(&self) -> bool {
        self.entries.is_some()
    }

    /// A field that need not be there.
    pub(super) fn get(&self, name: &str) -> Option<Field<'n>> {
        let entry = self.entries?.iter().find(|entry| entry.key == name)?;
        Some(Field { path: join(&self.path, name), node: &entry.value })
    }
}

/// The path of a field of a mapping.
pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.into() } else { format!("{path}.{name}") }
}
