//! What must hold of any bytes that reach us: of a file, an object and an update. A target panics where it does not.
//!
//! `cargo test -p ringfence-policy --test fuzz_corpus` runs the same functions over `tests/corpus/fuzz/TARGET`. To look for
//! more, `cargo +nightly fuzz run TARGET tests/corpus/fuzz/TARGET --fuzz-dir tests/fuzz`.

use std::collections::HashSet;

use prost::Message as _;
use ringfence_policy::{
    bundle::Bundle,
    evaluate::evaluate,
    expectation::AskError,
    model::Model,
    object::{Object, Spec},
    text::{Contents, SourceFile, TextError, parse_all, render},
    wire::{apply_update, change_update, object_from_wire, object_to_wire, read_update, whole_update},
};
use ringfence_proto::v1;

/// Where objects are put: a tenant, its domain, a network and a segment.
const GROUND: &str = "
kind: Tenant
name: acme
---
kind: Domain
name: acme/prod
---
kind: Network
domain: acme/prod
name: front
subnets: [{cidr: 10.1.0.0/24, gateway: 10.1.0.1}, {cidr: \"fd00:1::/64\", gateway: \"fd00:1::1\"}]
---
kind: Segment
domain: acme/prod
name: web
match: {role: web}
";

/// A file: it is read or told, with a place and in our words; what is read is written and read back the same, becomes a
/// model or is told, and its expectations are answered.
pub fn yaml(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let contents = match read(text) {
        Ok(contents) => contents,
        Err(errors) => return assert_told(&errors),
    };
    let objects: Vec<Object> = contents.documents.iter().map(|document| document.object.clone()).collect();
    assert_written(&objects);
    if let Some(model) = changed(&Model::default(), &objects) {
        answer(&model, &contents);
    }
}

/// An object's message: it is read or told; what is read goes back to the wire and into a model, or is told.
pub fn object(data: &[u8]) {
    let Ok(message) = v1::Object::decode(data) else { return };
    let Ok(object) = object_from_wire(message) else { return };
    let again = object_from_wire(object_to_wire(&object));
    assert_eq!(again.as_ref(), Ok(&object), "an object is not what it was after a way over the wire");
    let ground: Vec<Object> = read(GROUND)
        .map(|contents| contents.documents)
        .unwrap_or_default()
        .into_iter()
        .map(|document| document.object)
        .collect();
    let Some(ground) = changed(&Model::default(), &ground) else { panic!("the ground is sound") };
    if changed(&ground, std::slice::from_ref(&object)).is_some() && !matches!(object.spec, Spec::Host(_)) {
        assert_written(&[object]);
    }
}

/// Two updates of a domain, the first of as many bytes as the first two say: what each makes is what arrives if it is
/// sent, whole or as a change.
pub fn update(data: &[u8]) {
    let Some((length, data)) = data.split_first_chunk::<2>() else { return };
    let (first, second) = data.split_at(usize::from(u16::from_le_bytes(*length)).min(data.len()));
    let read = |base: Option<&Bundle>, data| read_update(base, v1::DomainUpdate::decode(data).ok()?).ok();
    let Some(base) = read(None, first) else { return };
    assert_eq!(apply_update(None, whole_update(&base)).as_ref(), Ok(&base));
    let Some(next) = read(Some(&base), second) else { return };
    assert_eq!(apply_update(None, whole_update(&next)).as_ref(), Ok(&next));
    assert_eq!(apply_update(Some(&base), change_update(&base, &next)).as_ref(), Ok(&next));
}

fn read(text: &str) -> Result<Contents, Vec<TextError>> {
    parse_all(&[SourceFile { name: "f".into(), text: text.into() }])
}

/// The parser's own words, which no author should meet.
const JARGON: [&str; 5] = ["while parsing", "while scanning", "did not find", "scalar", "simple key"];

fn assert_told(errors: &[TextError]) {
    assert!(!errors.is_empty(), "refused without a word");
    for error in errors {
        let message = error.message.strip_prefix("is no YAML: ");
        let jargon = message.and_then(|message| JARGON.iter().find(|word| message.contains(*word)));
        assert!(jargon.is_none() && !error.message.is_empty(), "told in jargon: {error}");
        assert!(error.location.line > 0 && error.location.column > 0, "told of no place: {error}");
    }
}

/// What is written is read back the same.
fn assert_written(objects: &[Object]) {
    let text = render(objects);
    let contents = read(&text).unwrap_or_else(|errors| panic!("{errors:?}\n{text}"));
    assert!(
        contents.documents.iter().map(|document| &document.object).eq(objects),
        "is another when read back:\n{text}"
    );
}

/// The model with these objects, or nothing and every object told once at least.
fn changed(model: &Model, objects: &[Object]) -> Option<Model> {
    let keys: HashSet<_> = objects.iter().map(Object::key).collect();
    match model.change(objects, &[]) {
        Ok(change) => Some(change.model),
        Err(invalid) => {
            let about_us = |one: &ringfence_policy::model::Invalid| one.index.is_some() && keys.contains(&one.key);
            assert!(invalid.iter().any(about_us), "refused, and none of the objects is at fault: {invalid:?}");
            assert!(invalid.iter().all(|one| !one.message.is_empty()), "{invalid:?}");
            None
        }
    }
}

/// Every expected flow of a domain that is there has an answer, or is told why not.
fn answer(model: &Model, contents: &Contents) {
    for expectation in contents.expectations.iter().map(|document| &document.expectation) {
        let Some(domain) = model.domains().get(&expectation.domain) else { continue };
        for flow in &expectation.flows {
            let asked = flow.ask(domain, 0, |flow, at| Ok::<_, AskError>(evaluate(domain, flow, at)));
            match asked {
                Ok(answer) => assert!(!answer.asked.is_empty()),
                Err(error) => assert!(matches!(error, AskError::Unjudged { .. }) || flow.questions(domain).is_err()),
            }
        }
    }
}
