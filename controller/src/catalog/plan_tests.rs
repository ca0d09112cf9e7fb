//! What a change costs, seen in what it shares with the state before.

use std::time::SystemTime;

use ringfence_policy::{
    bundle::Bundle,
    text::{self, SourceFile},
};

use super::*;

const DOMAIN: &str = "acme/prod";

const GROUND: &str = "{kind: Tenant, name: acme}\n---\n{kind: Domain, name: acme/prod}\n---\n{kind: Network, domain: \
                      acme/prod, name: front, subnets: [{cidr: 10.1.0.0/24, gateway: 10.1.0.1}]}\n---\n{kind: Segment, \
                      domain: acme/prod, name: web, match: {role: web}}\n---\n{kind: Policy, domain: acme/prod, name: shop, \
                      rules: [{name: all, from: [any], to: [segment/web], action: allow, traffic: [tcp/80]}]}\n";

/// A workload of the segment on a host.
fn workload(n: usize, host: &str) -> String {
    format!(
        "---\n{{kind: Workload, domain: acme/prod, name: w-{n}, labels: {{role: web}}, interfaces: [{{name: eth0, network: front, \
         mac: \"02:00:00:00:00:0{n}\", addresses: [10.1.0.1{n}], host: {host}}}]}}\n"
    )
}

/// Makes a change; the rows of numbers it wrote, and the domain as it is then.
fn make(catalog: &mut Catalog, yaml: &str) -> (usize, Bundle) {
    let file = SourceFile { name: "test.yaml".to_owned(), text: yaml.to_owned() };
    let documents = text::parse(&[file]).unwrap();
    let upserts = documents.into_iter().map(|document| (document.object, "test.yaml".to_owned())).collect();
    let change = Change { upserts, ..Change::default() };
    let commit = catalog.plan(&change, SystemTime::UNIX_EPOCH).unwrap().commit.unwrap();
    let rows = commit.transaction.ids.len();
    (rows, catalog.install(commit).remove(DOMAIN).unwrap().unwrap())
}

#[test]
fn a_workload_that_changes_or_joins_costs_itself_and_shares_the_rest() {
    let mut catalog = Catalog::default();
    let all: String = (1..=5).map(|n| workload(n, "h1")).collect();
    let (_, first) = make(&mut catalog, &format!("{GROUND}{all}{}", workload(6, "h2")));

    let (rows, moved) = make(&mut catalog, &workload(3, "h2"));
    assert_eq!(rows, 0, "it keeps its numbers");
    let (rows, joined) = make(&mut catalog, &workload(7, "h2"));
    assert_eq!(rows, 1, "one interface has a number now");

    for (before, after, differ) in [(&first, &moved, 1), (&moved, &joined, 0)] {
        assert!(before.policy.is_same(&after.policy));
        let kept = before.interfaces.iter().zip(&after.interfaces).filter(|(was, is)| !was.is_same(is));
        assert_eq!(kept.count(), differ);
    }
    assert_eq!((first.interfaces.len(), joined.interfaces.len()), (6, 7));
}
