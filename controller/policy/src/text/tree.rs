//! Text → nodes. Objects need a small part of YAML; what could make a small text mean a large tree, or a
//! line mean another than it says (anchors, aliases, merge keys, tags), is refused.

use serde_yaml::granit_parser::{Event, Marker, Parser, ScalarStyle};

use super::{
    SourceFile, TextError,
    node::{Content, Entry, Node, Place},
};

/// Deeper than any object is.
const DEPTH_MAX: usize = 16;

/// A collection whose end has not been met.
enum Open {
    List(Place, Vec<Node>),
    Map(Place, Vec<Entry>, Option<Key>),
}

/// A key whose value has not been met; `None`: a key that was refused.
struct Key {
    place: Place,
    text: Option<String>,
}

struct Builder<'a> {
    file: &'a SourceFile,
    open: Vec<Open>,
    documents: Vec<Node>,
    errors: &'a mut Vec<TextError>,
}

/// The documents of a file that are not empty. After an error of syntax nothing more can be read.
pub(super) fn parse(file: &SourceFile, errors: &mut Vec<TextError>) -> Vec<Node> {
    let mut builder = Builder { file, open: Vec::new(), documents: Vec::new(), errors };
    for next in Parser::new_from_str(&file.text) {
        let proceed = match next {
            Ok((event, span)) => builder.event(event, Place::from(span.start)),
            Err(error) => {
                builder.error((*error.marker()).into(), format!("is no YAML: {}", error.info()));
                false
            }
        };
        if !proceed {
            break;
        }
    }
    builder.documents
}

impl From<Marker> for Place {
    /// Lines count from 1 already, columns from 0.
    fn from(marker: Marker) -> Self {
        let number = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        Self { line: number(marker.line()), column: number(marker.col()).saturating_add(1) }
    }
}

impl Builder<'_> {
    /// Takes an event; whether to go on.
    fn event(&mut self, event: Event<'_>, place: Place) -> bool {
        if event.tag().is_some() {
            self.error(place, "tags are not part of the language: remove it".into());
        }
        if event.anchor_id().is_some() {
            self.error(place, "anchors are not part of the language: write the value out".into());
        }
        match event {
            Event::Scalar(text, style, ..) => {
                let plain = style == ScalarStyle::Plain;
                let null = plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let content = if null { Content::Null } else { Content::Text(text.into_owned()) };
                self.value(Node { place, content }, plain);
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                self.error(place, "aliases are not part of the language: write the value out".into());
                self.value(Node { place, content: Content::Refused }, false);
            }
            Event::SequenceStart(..) => return self.enter(place, Open::List(place, Vec::new())),
            Event::MappingStart(..) => return self.enter(place, Open::Map(place, Vec::new(), None)),
            Event::SequenceEnd | Event::MappingEnd => self.leave(),
            _ => {}
        }
        true
    }

    fn enter(&mut self, place: Place, collection: Open) -> bool {
        if self.open.len() == DEPTH_MAX {
            self.error(place, format!("is nested more than {DEPTH_MAX} deep: no object is"));
            return false;
        }
        self.open.push(collection);
        true
    }

    fn leave(&mut self) {
        let node = match self.open.pop() {
            Some(Open::List(place, nodes)) => Node { place, content: Content::List(nodes) },
            Some(Open::Map(place, entries, _)) => Node { place, content: Content::Map(entries) },
            None => return,
        };
        self.value(node, false);
    }

    /// Puts a whole value where it belongs. `plain`: text without quotes.
    fn value(&mut self, node: Node, plain: bool) {
        match self.open.last_mut() {
            None if matches!(node.content, Content::Null) => {}
            None => self.documents.push(node),
            Some(Open::List(_, nodes)) => nodes.push(node),
            Some(Open::Map(_, entries, key)) => match key.take() {
                Some(Key { place, text: Some(key) }) => entries.push(Entry { place, key, value: node }),
                Some(Key { text: None, .. }) => {}
                None => {
                    let text = self.key(&node, plain);
                    if let Some(Open::Map(_, _, key)) = self.open.last_mut() {
                        *key = Some(Key { place: node.place, text });
                    }
                }
            },
        }
    }

    /// The text of a key, or nothing and an error.
    fn key(&mut self, node: &Node, plain: bool) -> Option<String> {
        let message = match &node.content {
            Content::Text(key) if plain && key == "<<" => {
                "merge keys are not part of the language: write the fields out".into()
            }
            Content::Text(key) if plain && is_no_text(key) => format!("key {key} is no text: put it in quotes"),
            Content::Text(key) => match self.first_place(key) {
                None => return Some(key.clone()),
                Some(first) => format!("duplicate key {key:?}: line {} has it already; keep one", first.line),
            },
            Content::Refused => return None,
            Content::Null | Content::List(_) | Content::Map(_) => "a key must be text".into(),
        };
        self.error(node.place, message);
        None
    }

    /// Where the innermost mapping has this key already.
    fn first_place(&self, key: &str) -> Option<Place> {
        match self.open.last() {
            Some(Open::Map(_, entries, _)) => entries.iter().find(|entry| entry.key == key).map(|e| e.place),
            _ => None,
        }
    }

    fn error(&mut self, place: Place, message: String) {
        self.errors.push(TextError {
            location: place.location(&self.file.name),
            object: String::new(),
            field: String::new(),
            message,
        });
    }
}

/// Whether YAML takes a text without quotes for a number or a truth value.
fn is_no_text(plain: &str) -> bool {
    matches!(plain, "true" | "false") || plain.parse::<f64>().is_ok()
}
