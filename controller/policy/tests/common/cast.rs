//! A small domain with a known cast, and expectations of it as a table.

use std::sync::Arc;

use ringfence_policy::{
    evaluate::{Flow, Verdict, evaluate},
    expectation::{AskError, ExpectedFlow},
    model::{Domain, Model},
    text::{SourceFile, parse_all},
};

use super::{DOMAIN, GROUND, lines};

/// Two of `role: web`, one of `role: db`, and `vm-1` without a role, which routes 10.9.0.0/16 but for 10.9.1.0/24, which
/// `web-2` does, and what is nobody's of its neighbours' subnet.
pub const CAST: &str = r#"
kind: Workload
domain: acme/prod
name: web-1
labels: {role: web, stage: test}
ports: {https: 443}
interfaces:
  - {name: eth0, network: front, mac: "02:00:00:00:01:01", addresses: [10.1.0.11, "fd00:1::11"], host: h1}
---
kind: Workload
domain: acme/prod
name: web-2
labels: {role: web}
ports: {https: 8443}
interfaces:
  - name: eth0
    network: front
    mac: "02:00:00:00:01:02"
    addresses: [10.1.0.12]
    addressPairs: [{prefix: 10.9.1.0/24}]
    host: h1
---
kind: Workload
domain: acme/prod
name: db-1
labels: {role: db}
interfaces:
  - {name: eth0, network: back, mac: "02:00:00:00:01:03", addresses: [10.2.0.11], host: h1}
---
kind: Workload
domain: acme/prod
name: vm-1
interfaces:
  - name: eth0
    network: back
    mac: "02:00:00:00:01:04"
    addresses: [10.2.0.12]
    addressPairs: [{prefix: 10.9.0.0/16}, {prefix: 10.1.0.0/24}]
    host: h1
---
kind: Segment
domain: acme/prod
name: web
match: {role: web}
---
kind: Segment
domain: acme/prod
name: db
match: {role: db}
---
"#;

/// The domain of the cast under further objects.
pub fn stage(objects: &str) -> Arc<Domain> {
    domain_of(&format!("{GROUND}{CAST}{objects}"))
}

/// The domain of a text that is right.
pub fn domain_of(text: &str) -> Arc<Domain> {
    let documents = super::read(text).unwrap_or_else(|errors| panic!("{}", lines(&errors)));
    let objects: Vec<_> = documents.into_iter().map(|document| document.object).collect();
    let change = Model::default().change(&objects, &[]);
    let model = change.unwrap_or_else(|invalid| panic!("{invalid:#?}")).model;
    model.domains()[DOMAIN].clone()
}

/// A policy of rules in flow style, one a line.
pub fn policy(name: &str, fields: &str, rules: &[&str]) -> String {
    let rules: Vec<_> = rules.iter().map(|rule| format!("  - {{{rule}}}\n")).collect();
    let (domain, name) = match name.strip_prefix("*/") {
        Some(name) => ("\"*\"", name),
        None => (DOMAIN, name),
    };
    format!("kind: Policy\ndomain: {domain}\nname: {name}\n{fields}\nrules:\n{}---\n", rules.concat())
}

/// A flow in flow style, `from: web-1, to: db-1, traffic: tcp/1, expect: allow`.
pub fn flow(text: &str) -> ExpectedFlow {
    let text = format!("kind: Expectation\ndomain: acme/prod\nname: e\nflows: [{{{text}}}]\n");
    let contents = parse_all(&[SourceFile { name: "flow".into(), text }]);
    let contents = contents.unwrap_or_else(|errors| panic!("{}", lines(&errors)));
    contents.expectations[0].expectation.flows[0].clone()
}

/// Asserts that every flow comes out as expected under these policies, at second 0 if it does not say.
#[track_caller]
pub fn holds(policies: &str, flows: &[&str]) {
    let domain = stage(policies);
    for text in flows {
        let judge = |flow: &Flow, at| Ok::<_, AskError>(evaluate(&domain, flow, at));
        let answer = flow(text).ask(&domain, 0, judge).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert!(answer.ok, "{text}: got {} by {:?}", answer.got, answer.rule);
    }
}

/// What both sides say of a flow of one address pair at second 0; what it should be is not looked at.
pub fn verdict(domain: &Domain, text: &str) -> Verdict {
    let asked = flow(&format!("{text}, expect: allow")).questions(domain).unwrap();
    assert_eq!(asked.len(), 1, "{text} is more than one flow");
    evaluate(domain, &asked[0], 0)
}
