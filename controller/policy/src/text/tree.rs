//! Text → nodes. Objects need a small part of YAML; what could make a small text mean a large tree, or a
//! line mean another than it says (anchors, aliases, merge keys, tags), is refused.

use std::collections::HashMap;

use serde_yaml::granit_parser::{Event, Marker, Parser, ScalarStyle};

use super::{
    SourceFile, TextError,
    node::{Content, Entry, Node, Place},
    reader::join,
    syntax::explain,
};

/// Deeper than any object is.
const DEPTH_MAX: usize = 16;

/// A document.
pub(super) struct Tree {
    /// Its content, as far as it could be read.
    pub(super) root: Node,
    /// Whether its end was met; if not, more may be missing than `errors` tell.
    pub(super) is_whole: bool,
    /// What is wrong with it; which object it is, they do not name.
    pub(super) errors: Vec<TextError>,
}

/// A collection whose end has not been met.
enum Open {
    List(Place, Vec<Node>),
    Map(OpenMap),
}

struct OpenMap {
    place: Place,
    entries: Vec<Entry>,
    /// Where each key stands.
    keys: HashMap<String, Place>,
    pending: Option<Key>,
}

/// A key whose value has not been met; `None`: a key that was refused.
struct Key {
    place: Place,
    text: Option<String>,
}

struct Builder<'a> {
    file: &'a SourceFile,
    open: Vec<Open>,
    documents: Vec<Tree>,
    /// Of the document being read.
    errors: Vec<TextError>,
}

/// The documents of a file, less those that are empty. After an error of syntax nothing more can be read.
pub(super) fn parse(file: &SourceFile) -> Vec<Tree> {
    let mut builder = Builder { file, open: Vec::new(), documents: Vec::new(), errors: Vec::new() };
    for next in Parser::new_from_str(&file.text) {
        let proceed = match next {
            Ok((event, span)) => builder.event(event, Place::from(span.start)),
            Err(error) => {
                builder.error((*error.marker()).into(), format!("is no YAML: {}", explain(&error.info())));
                false
            }
        };
        if !proceed {
            builder.abandon();
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
            Event::MappingStart(..) => return self.enter(place, Open::Map(OpenMap::new(place))),
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
            Some(Open::Map(OpenMap { place, entries, .. })) => Node { place, content: Content::Map(entries) },
            None => return,
        };
        self.value(node, false);
    }

    /// Ends the document where it is, with what is known of it.
    fn abandon(&mut self) {
        let documents = self.documents.len();
        while !self.open.is_empty() {
            self.leave();
        }
        if self.documents.len() == documents {
            self.document(Node { place: Place::START, content: Content::Refused });
        }
        if let Some(last) = self.documents.last_mut() {
            last.is_whole = false;
        }
    }

    fn document(&mut self, root: Node) {
        let errors = std::mem::take(&mut self.errors);
        if !matches!(root.content, Content::Null) || !errors.is_empty() {
            self.documents.push(Tree { root, is_whole: true, errors });
        }
    }

    /// Puts a whole value where it belongs. `plain`: text without quotes.
    fn value(&mut self, node: Node, plain: bool) {
        match self.open.last_mut() {
            None => self.document(node),
            Some(Open::List(_, nodes)) => nodes.push(node),
            Some(Open::Map(map)) => match map.pending.take() {
                Some(Key { place, text: Some(key) }) => map.entries.push(Entry { place, key, value: node }),
                Some(Key { text: None, .. }) => {}
                None => {
                    let text = self.key(&node, plain);
                    if let Some(Open::Map(map)) = self.open.last_mut() {
                        map.keys.extend(text.clone().map(|text| (text, node.place)));
                        map.pending = Some(Key { place: node.place, text });
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
                Some(first) => {
                    let message = format!("duplicate key {key:?}: line {} has it already; keep one", first.line);
                    self.error_at(node.place, join(&self.path(), key), message);
                    return None;
                }
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
            Some(Open::Map(map)) => map.keys.get(key).copied(),
            _ => None,
        }
    }

    /// The path of the value that is next; where a key is next, of its mapping.
    fn path(&self) -> String {
        self.open.iter().fold(String::new(), |path, open| match open {
            Open::List(_, nodes) => format!("{path}[{}]", nodes.len()),
            Open::Map(OpenMap { pending: Some(Key { text: Some(key), .. }), .. }) => join(&path, key),
            Open::Map(_) => path,
        })
    }

    fn error(&mut self, place: Place, message: String) {
        self.error_at(place, self.path(), message);
    }

    fn error_at(&mut self, place: Place, field: String, message: String) {
        let location = place.location(&self.file.name);
        self.errors.push(TextError { location, object: String::new(), field, message });
    }
}

impl OpenMap {
    fn new(place: Place) -> Self {
        Self { place, entries: Vec::new(), keys: HashMap::new(), pending: None }
    }
}

/// Whether YAML takes a text without quotes for a number or a truth value.
fn is_no_text(plain: &str) -> bool {
    matches!(plain, "true" | "false") || plain.parse::<f64>().is_ok()
}
