//! What a user is told, word for word: file, line, column, object, field, and what to do.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

#[path = "../common/mod.rs"]
mod common;

mod between;
mod checklist;
mod expectations;
mod rules;
mod services;
mod values;
mod workloads;
mod yaml;

use common::{lines, read};
use ringfence_policy::{
    model::Model,
    object::Object,
    text::{SourceFile, parse},
};

const WORKLOAD: &str = r#"kind: Workload
domain: acme/prod
name: web-1
labels: {role: web}
interfaces:
  - {name: eth0, network: front, mac: "02:00:00:00:01:01", addresses: [10.1.0.11], host: h1}
"#;

/// Everything wrong with a text by itself.
fn text_errors(text: &str) -> String {
    lines(&read(text).unwrap_err())
}

/// Everything wrong with a text that is sound by itself, as a client tells it: the server's findings with
/// the lines of the file.
fn model_errors(text: &str) -> String {
    let documents = read(text).unwrap_or_else(|errors| panic!("{}", lines(&errors)));
    let objects: Vec<Object> = documents.iter().map(|document| document.object.clone()).collect();
    let invalid = Model::default().change(&objects, &[]).unwrap_err();
    let line = |invalid: &ringfence_policy::model::Invalid| {
        let location = documents[invalid.index.unwrap()].locate(&invalid.field);
        format!("{location}: {}: {}: {}", invalid.key, invalid.field, invalid.message)
    };
    invalid.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Asserts, of each text, everything that is wrong with it by itself.
#[track_caller]
fn told(cases: &[(String, &str)]) {
    for (text, expected) in cases {
        assert_eq!(&text_errors(text), expected, "{text}");
    }
}

/// A text as it is.
fn raw(text: &str) -> String {
    text.into()
}

/// Fields in flow style: these, after those of the others that are not among them.
fn fields(others: &[(&str, &str)], these: &str) -> String {
    let others = others.iter().filter(|(key, _)| !these.starts_with(&format!("{key}: ")));
    others.map(|(key, value)| format!("{key}: {value}, ")).collect::<String>() + these
}

/// A policy of one rule with these fields, which stands on line 5.
fn rule(fields: &str) -> String {
    format!("kind: Policy\ndomain: acme/prod\nname: shop\nrules:\n  - {{{fields}}}\n")
}

/// The same, which differs in some from one that is right.
fn rule_more(these: &str) -> String {
    let right = [("name", "r"), ("from", "[any]"), ("to", "[any]"), ("action", "allow"), ("traffic", "[any]")];
    rule(&fields(&right, these))
}

fn rule_from(peers: &str) -> String {
    rule(&format!("name: r, from: {peers}, to: [any], action: allow, traffic: [any]"))
}

fn rule_traffic(traffic: &str) -> String {
    rule(&format!("name: r, from: [any], to: [any], action: allow, traffic: {traffic}"))
}

/// A policy with these fields, and a rule unless they have some.
fn policy_more(these: &str) -> String {
    let rules = "rules: [{name: r, from: [any], to: [any], action: allow, traffic: [any]}]\n";
    let rules = if these.starts_with("rules:") { "" } else { rules };
    format!("kind: Policy\ndomain: acme/prod\nname: shop\n{these}\n{rules}")
}

fn domain(these: &str) -> String {
    format!("kind: Domain\nname: acme/prod\n{these}\n")
}

fn uplink(uplink: &str) -> String {
    domain(&format!("uplink: {uplink}"))
}

fn network(these: &str) -> String {
    format!("kind: Network\ndomain: acme/prod\nname: front\n{these}\n")
}

fn set(these: &str) -> String {
    format!("kind: AddressSet\ndomain: acme/prod\nname: office\n{these}\n")
}

fn segment(these: &str) -> String {
    format!("kind: Segment\ndomain: acme/prod\nname: web\n{these}\n")
}

const INTERFACE: [(&str, &str); 5] = [
    ("name", "eth0"),
    ("network", "front"),
    ("mac", "\"02:00:00:00:01:01\""),
    ("addresses", "[10.1.0.11]"),
    ("host", "h1"),
];

fn workload(these: &str) -> String {
    let interface = fields(&INTERFACE, "");
    format!("kind: Workload\ndomain: acme/prod\nname: web-1\ninterfaces: [{{{interface}}}]\n{these}\n")
}

/// A workload of one interface, which stands on line 5.
fn interface(these: &str) -> String {
    let interface = fields(&INTERFACE, these);
    format!("kind: Workload\ndomain: acme/prod\nname: web-1\ninterfaces:\n  - {{{interface}}}\n")
}

/// An expectation of one flow, which stands on line 5.
fn flow(these: &str) -> String {
    let right = [("from", "web-1"), ("to", "host"), ("traffic", "tcp/80"), ("expect", "allow")];
    let flow = fields(&right, these);
    format!("kind: Expectation\ndomain: acme/prod\nname: e\nflows:\n  - {{{flow}}}\n")
}

#[test]
fn an_unknown_field_is_named_with_the_nearest_known() {
    assert_eq!(
        text_errors(&WORKLOAD.replace("labels:", "lables:")),
        "f.yaml:4:1: Workload acme/prod/web-1: lables: unknown field \"lables\": did you mean labels?"
    );
    assert_eq!(
        text_errors("kind: Tenant\nname: acme\ncolour: red\n"),
        "f.yaml:3:1: Tenant acme: colour: unknown field \"colour\": known are kind, name"
    );
}

#[test]
fn an_object_that_comes_twice_names_both_places() {
    let file = |name: &str| SourceFile { name: name.into(), text: WORKLOAD.into() };
    let errors = parse(&[file("a.yaml"), file("b.yaml")]).unwrap_err();
    assert_eq!(
        lines(&errors),
        "b.yaml:3:7: Workload acme/prod/web-1: name: duplicate object: a.yaml:3:7 is the same one; keep one of them"
    );
}

#[test]
fn every_error_of_every_file_is_told_at_once() {
    let files = [("a.yaml", "kind: Tenant\nnmae: acme\n"), ("b.yaml", "kind: Tenant\nname: Acme\n---\nkind: Domain\n")];
    let files = files.map(|(name, text)| SourceFile { name: name.into(), text: text.into() });
    assert_eq!(
        lines(&parse(&files).unwrap_err()),
        "a.yaml:1:1: Tenant: name: is missing: add it\n\
         a.yaml:2:1: Tenant: nmae: unknown field \"nmae\": did you mean name?\n\
         b.yaml:2:7: Tenant Acme: name: \"Acme\" is no name: write lower-case letters, digits and hyphens, beginning \
         and ending with a letter or digit\n\
         b.yaml:4:1: Domain: name: is missing: add it"
    );
}

#[test]
fn a_value_that_cannot_be_is_told_beside_a_field_that_cannot_be_read() {
    let text = "kind: Policy\ndomain: acme\nname: shop\nrules:\n\
                - {name: a, from: any, to: [any], action: alow, traffic: [tcp/90-80]}\n\
                - {from: [any], to: [], action: deny, traffic: [any], prio: 1}\n";
    assert_eq!(
        text_errors(text),
        "f.yaml:2:9: Policy acme/shop: domain: \"acme\" is no domain name: write TENANT/DOMAIN\n\
         f.yaml:5:19: Policy acme/shop: rules[0].from: is \"any\": write a list, like [a, b]\n\
         f.yaml:5:43: Policy acme/shop: rules[0].action: \"alow\" is no action: write allow, deny or pass\n\
         f.yaml:5:59: Policy acme/shop: rules[0].traffic[0]: reversed port range 90-80: write 80-90\n\
         f.yaml:6:3: Policy acme/shop: rules[1].name: is missing: add it\n\
         f.yaml:6:21: Policy acme/shop: rules[1].to: is empty: write `any` to mean every destination\n\
         f.yaml:6:55: Policy acme/shop: rules[1].prio: unknown field \"prio\": known are name, from, to, action, \
         traffic, priority, side, log, notBefore, notAfter"
    );
}
