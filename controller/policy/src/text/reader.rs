//! Reads fields out of nodes. It notes where each field stands and what is wrong, and goes on.

use super::{
    Places, TextError,
    later::Later,
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

/// A mapping whose keys are all known.
pub(super) struct Fields<'n> {
    path: String,
    place: Place,
    entries: &'n [Entry],
}

/// A value and the path to it.
pub(super) struct Field<'n> {
    pub(super) path: String,
    pub(super) node: &'n Node,
}

impl<'a> Reader<'a> {
    pub(super) fn new(file: &'a str) -> Self {
        Self { file, title: String::new(), places: Places::new(), errors: Vec::new() }
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

    /// The fields of a mapping; each that is neither known nor accepted is told.
    pub(super) fn fields<'n>(
        &mut self,
        field: &Field<'n>,
        known: &[&'static str],
        later: &[Later],
    ) -> Option<Fields<'n>> {
        let Content::Map(entries) = &field.node.content else {
            self.mismatch(field, &format!("a mapping of {}", known.join(", ")));
            return None;
        };
        for entry in entries {
            let path = join(&field.path, &entry.key);
            self.places.insert(path.clone(), entry.value.place);
            if !known.contains(&entry.key.as_str()) {
                self.unknown(entry, &path, known, later);
            }
        }
        Some(Fields { path: field.path.clone(), place: field.node.place, entries })
    }

    fn unknown(&mut self, entry: &Entry, path: &str, known: &[&'static str], later: &[Later]) {
        if let Some(later) = later.iter().find(|later| later.name == entry.key) {
            if !later.accepts(&entry.value) {
                let message = format!("is not supported yet: {}", later.advice());
                self.error(entry.place, path, message);
            }
            return;
        }
        let advice = match nearest(&entry.key, known.iter().copied()) {
            Some(name) => format!("did you mean {name}?"),
            None => format!("known are {}", known.join(", ")),
        };
        self.error(entry.place, path, format!("unknown field {:?}: {advice}", entry.key));
    }

    /// A field that must be there.
    pub(super) fn required<'n>(&mut self, fields: &Fields<'n>, name: &str) -> Option<Field<'n>> {
        let found = fields.get(name);
        if found.is_none() {
            self.error(fields.place, &join(&fields.path, name), "is missing: add it");
        }
        found
    }

    /// Text, with or without quotes.
    pub(super) fn text(&mut self, field: &Field<'_>) -> Option<String> {
        let text = field.node.text().map(str::to_owned);
        if text.is_none() {
            self.mismatch(field, "text");
        }
        text
    }

    /// Text of a field that must be there.
    pub(super) fn required_text(&mut self, fields: &Fields<'_>, name: &str) -> Option<String> {
        let field = self.required(fields, name)?;
        self.text(&field)
    }

    /// A whole number that need not be there: `Some(None)` if it is not.
    pub(super) fn number(&mut self, fields: &Fields<'_>, name: &str) -> Option<Option<u32>> {
        let Some(field) = fields.get(name) else { return Some(None) };
        let number = field.node.text().and_then(|text| text.parse().ok());
        if number.is_none() {
            self.mismatch(&field, "a whole number");
        }
        number.map(Some)
    }

    /// `true` or `false`.
    pub(super) fn truth(&mut self, field: &Field<'_>) -> Option<bool> {
        let truth = field.node.text().and_then(|text| text.parse().ok());
        if truth.is_none() {
            self.mismatch(field, "true or false");
        }
        truth
    }

    /// Each element of a list, read; nothing if one could not be.
    pub(super) fn list<'n, T>(
        &mut self,
        field: &Field<'n>,
        mut read: impl FnMut(&mut Self, &Field<'n>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Content::List(nodes) = &field.node.content else {
            self.mismatch(field, "a list, like [a, b]");
            return None;
        };
        let mut elements = Vec::with_capacity(nodes.len());
        for (index, node) in nodes.iter().enumerate() {
            let path = format!("{}[{index}]", field.path);
            self.places.insert(path.clone(), node.place);
            elements.push(read(self, &Field { path, node }));
        }
        elements.into_iter().collect()
    }

    /// A list that must be there.
    pub(super) fn required_list<'n, T>(
        &mut self,
        fields: &Fields<'n>,
        name: &str,
        read: impl FnMut(&mut Self, &Field<'n>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let field = self.required(fields, name)?;
        self.list(&field, read)
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
    /// A field that need not be there.
    pub(super) fn get(&self, name: &str) -> Option<Field<'n>> {
        let entry = self.entries.iter().find(|entry| entry.key == name)?;
        Some(Field { path: join(&self.path, name), node: &entry.value })
    }
}

/// The path of a field of a mapping.
pub(super) fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.into() } else { format!("{path}.{name}") }
}
