//! What the manual shows is what the language takes.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

use common::objects;
use ringfence_policy::{model::Model, object::Kind};

const MANUAL: &str = include_str!("../../../docs/POLICY.md");

/// The blocks of the manual in one language.
fn blocks(language: &str) -> Vec<&'static str> {
    let opening = format!("```{language}\n");
    MANUAL.split(opening.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn every_example_of_the_manual_applies() {
    let examples = blocks("yaml");
    assert_eq!(examples.len(), 1);
    for example in examples {
        let change = Model::default().change(&objects(example), &[]);
        let kinds: Vec<_> = change.unwrap_or_else(|invalid| panic!("{invalid:?}")).objects;
        for kind in [Kind::Tenant, Kind::Domain, Kind::Network, Kind::Workload, Kind::Segment, Kind::Policy] {
            assert!(kinds.iter().any(|(key, _)| key.kind == kind), "the manual shows no {kind}");
        }
    }
}

#[test]
fn every_condition_of_the_manual_is_one() {
    let conditions = blocks("yaml").concat();
    let conditions: Vec<_> = conditions
        .lines()
        .filter_map(|line| Some(line.split_once("#   - ")?.1.split_once('}')?.0))
        .map(|condition| format!("{condition}}}"))
        .collect();
    assert_eq!(conditions.len(), 4);
    let text = format!("kind: Segment\ndomain: acme/prod\nname: s\nmatch: [{}]\n", conditions.join(", "));
    assert_eq!(objects(&text).len(), 1);
}

#[test]
fn every_value_that_the_manual_accepts_is_accepted() {
    let accepted = |row: &str| {
        let row = MANUAL.lines().find(|line| line.starts_with(&format!("| {row} |"))).unwrap();
        let values: Vec<_> = row.split('`').skip(1).step_by(2).collect();
        assert!(!values.is_empty());
        values.join(", ")
    };
    let text = format!(
        "{{kind: Domain, name: acme/prod, {}}}\n---\n\
         {{kind: Network, domain: acme/prod, name: n, subnets: [{{cidr: 10.1.0.0/24, gateway: 10.1.0.1, {}}}]}}\n---\n\
         {{kind: Workload, domain: acme/prod, name: w, interfaces: [{{name: eth0, network: n, \
         mac: \"02:00:00:00:01:01\", addresses: [10.1.0.11], host: h1, {}}}]}}\n---\n\
         {{kind: Policy, domain: acme/prod, name: p, {}, \
         rules: [{{name: r, from: [any], to: [any], action: deny, traffic: [any], {}}}]}}\n",
        accepted("Domain"),
        accepted("Network, in a subnet"),
        accepted("Workload, in an interface"),
        accepted("Policy"),
        accepted("Policy, in a rule"),
    );
    assert_eq!(objects(&text).len(), 4);
}
