//! What an expectation asks, and what its answer is.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

use std::sync::Arc;

use common::{DOMAIN, GROUND};
use ringfence_policy::{
    evaluate::{Flow, Traffic, evaluate},
    expectation::{Answer, AskError, ExpectedFlow, Outcome},
    model::{Domain, Model},
    text::{SourceFile, parse, parse_all},
};

/// Two workloads of both families and one of IPv4 alone.
const WORKLOADS: &str = r#"
kind: Workload
domain: acme/prod
name: web-1
interfaces:
  - {name: eth0, network: front, mac: "02:00:00:00:01:01", addresses: [10.1.0.11, "fd00:1::11"], host: h1}
  - {name: eth1, network: back, mac: "02:00:00:00:01:02", addresses: [10.2.0.11], host: h1}
---
kind: Workload
domain: acme/prod
name: app-1
ports: {http: 8080}
interfaces:
  - {name: eth0, network: front, mac: "02:00:00:00:01:03", addresses: [10.1.0.12, "fd00:1::12"], host: h1}
---
kind: Workload
domain: acme/prod
name: db-1
interfaces:
  - {name: eth0, network: back, mac: "02:00:00:00:01:04", addresses: [10.2.0.13], host: h1}
---
"#;

/// The domain under these rules, and an expected flow in it.
fn world(rules: &[&str], flow: &str) -> (Arc<Domain>, ExpectedFlow) {
    let rules: Vec<_> = rules.iter().map(|rule| format!("  - {{{rule}}}\n")).collect();
    let text = format!(
        "{GROUND}{WORKLOADS}kind: Policy\ndomain: acme/prod\nname: shop\nrules:\n{}---\n\
         kind: Expectation\ndomain: acme/prod\nname: shop\nflows:\n  - {{{flow}}}\n",
        rules.concat()
    );
    let contents = parse_all(&[SourceFile { name: "f.yaml".into(), text }])
        .unwrap_or_else(|errors| panic!("{}", common::lines(&errors)));
    let objects: Vec<_> = contents.documents.into_iter().map(|document| document.object).collect();
    let model = Model::default().change(&objects, &[]).unwrap().model;
    (model.domains()[DOMAIN].clone(), contents.expectations[0].expectation.flows[0].clone())
}

fn answer(rules: &[&str], flow: &str) -> Result<Answer, AskError> {
    let (domain, flow) = world(rules, flow);
    flow.ask(&domain, 0, |flow: &Flow, at| Ok(evaluate(&domain, flow, at)))
}

const OPEN: &str = "name: all, from: [any], to: [any], action: allow, traffic: [any]";
const OPEN_IPV4: &str = r#"name: v4, from: [any], to: [{cidr: 0.0.0.0/0}], action: allow, traffic: [any]"#;
const OUT_ONLY: &str = "name: out, from: [any], to: [any], action: allow, traffic: [any], side: from";

/// How many pairs are asked.
fn pairs(flow: &str) -> usize {
    answer(&[OPEN], &format!("{flow}, expect: allow")).unwrap().asked.len()
}

#[test]
fn every_address_pair_of_a_common_family_that_the_traffic_has_is_asked() {
    assert_eq!(pairs("from: web-1, to: app-1, traffic: tcp/1"), 3);
    assert_eq!(pairs("from: web-1, to: app-1, traffic: icmp"), 2);
    assert_eq!(pairs("from: web-1, to: app-1, traffic: icmp6"), 1);
    assert_eq!(pairs("from: web-1, to: db-1, traffic: tcp/1"), 2);
    assert_eq!(pairs("from: web-1, to: 10.1.0.12, traffic: tcp/1"), 2);
    assert_eq!(pairs("from: web-1, to: host, traffic: tcp/1"), 3);
    assert_eq!(pairs("from: host, to: db-1, traffic: tcp/1"), 1);
    // From an address to itself nothing is sent.
    assert_eq!(pairs("from: web-1, to: web-1, traffic: tcp/1"), 2);
}

#[test]
fn an_interface_an_address_or_a_family_narrows_what_is_asked() {
    assert_eq!(pairs("from: web-1/eth0, to: app-1, traffic: tcp/1"), 2);
    assert_eq!(pairs("from: web-1/eth1, to: app-1/eth0, traffic: tcp/1"), 1);
    assert_eq!(pairs("from: web-1, to: app-1, traffic: tcp/1, family: ipv6"), 1);
    assert_eq!(pairs("from: web-1, to: host, traffic: tcp/1, family: ipv4"), 2);
}

#[test]
fn pairs_that_disagree_are_ambiguous() {
    let ask =
        |expect: &str| answer(&[OPEN_IPV4], &format!("from: web-1, to: app-1, traffic: tcp/1, {expect}")).unwrap();
    let both = ask("expect: allow");
    assert_eq!((both.got, both.ok, both.rule), (Outcome::Ambiguous, false, None));
    assert!(ask("expect: ambiguous").ok);
    assert!(ask("expect: allow, family: ipv4").ok);
    assert!(ask("expect: deny, family: ipv6").ok);
}

#[test]
fn a_rule_is_the_one_that_denies_the_source_s_side_first_or_either_that_allows() {
    let ask =
        |rules: &[&str], flow: &str| answer(rules, &format!("from: web-1, to: app-1, traffic: tcp/1, {flow}")).unwrap();
    let allowed = |rule: &str| {
        ask(&[OUT_ONLY, &OPEN.replace("name: all", "name: in, side: to")], &format!("expect: allow, rule: {rule}")).ok
    };
    assert!(allowed("shop/out") && allowed("shop/in"));
    assert!(!allowed("shop/else"));
    // The destination's side alone denies, by its default.
    let denied = |rule: &str| ask(&[OUT_ONLY], &format!("expect: deny, rule: {rule}")).ok;
    assert!(denied("default/deny") && !denied("shop/out"));
    // Both deny: the source's side is told.
    let no = "from: [any], to: [any], action: deny, traffic: [any]";
    let both = [&*format!("name: no-in, side: to, {no}"), &*format!("name: no-out, side: from, {no}")];
    let told = ask(&both, "expect: deny, rule: shop/no-in");
    assert_eq!((told.ok, told.rule.as_deref()), (false, Some("shop/no-out")));
}

#[test]
fn a_rule_must_decide_every_pair_and_the_one_where_another_does_is_told() {
    let v6 = r#"name: v6, from: [any], to: [{cidr: "::/0"}], action: allow, traffic: [any]"#;
    let got = answer(&[OPEN_IPV4, v6], "from: web-1, to: app-1, traffic: tcp/1, expect: allow, rule: shop/v4").unwrap();
    assert_eq!((got.got, got.ok, got.rule.as_deref()), (Outcome::Allow, false, Some("shop/v6")));
}

#[test]
fn what_no_policy_is_asked_about_is_no_expectation() {
    for (from, to) in [("203.0.113.9", "203.0.113.10"), ("10.2.0.99", "10.1.0.1"), ("host", "10.2.0.99")] {
        let error = answer(&[OPEN], &format!("from: {from}, to: {to}, traffic: tcp/1, expect: deny")).unwrap_err();
        assert_eq!(error.field(), "to");
        assert_eq!(
            error.to_string(),
            format!(
                "{from} to {to}, tcp/1: neither end is a workload of acme/prod, so no policy is asked: name a workload, or \
                 an address that one has"
            )
        );
    }
    assert!(answer(&[OPEN], "from: 203.0.113.9, to: 10.2.0.13, traffic: tcp/1, expect: allow").unwrap().ok);
    assert!(answer(&[OPEN], "from: host, to: 10.2.0.13, traffic: tcp/1, expect: allow").unwrap().ok);
}

#[test]
fn a_port_s_name_is_the_destination_s() {
    let asked = |flow: &str| answer(&[OPEN], flow).map(|answer| answer.asked[0].flow);
    let flow = asked("from: web-1, to: 10.1.0.12, traffic: tcp/http, expect: allow").unwrap();
    assert_eq!(flow.traffic, Traffic::Tcp(8080));
    let error = asked("from: app-1, to: web-1, traffic: tcp/http, expect: allow").unwrap_err();
    assert_eq!(error.field(), "traffic");
    assert_eq!(
        error.to_string(),
        "web-1 has no port named http: add it to the ports of that workload, or write a number"
    );
}

#[test]
fn a_flow_is_asked_when_it_says_or_now() {
    let timed = format!("{OPEN}, notBefore: 1970-01-01T00:01:00Z");
    let ask = |at: &str, now| {
        let (domain, flow) = world(&[&timed], &format!("from: web-1, to: db-1, traffic: tcp/1, expect: allow{at}"));
        flow.ask(&domain, now, |flow: &Flow, at| Ok::<_, AskError>(evaluate(&domain, flow, at))).unwrap().ok
    };
    assert!(!ask("", 59) && ask("", 60));
    assert!(ask(", at: 1970-01-01T00:01:00Z", 0) && !ask(", at: 1970-01-01T00:00:59Z", 60));
}

#[test]
fn what_cannot_be_asked_is_told_with_its_field() {
    let cases = [
        (
            "from: web-2, to: db-1, traffic: tcp/1",
            "from",
            "there is no workload web-2 in acme/prod: add it or correct the name",
        ),
        ("from: web-1, to: db-1/eth1, traffic: tcp/1", "to", "workload db-1 has no interface eth1: write one of eth0"),
        (
            "from: web-1, to: db-1, traffic: icmp6",
            "to",
            "web-1 and db-1 have no two addresses between which icmp6/128/0 can go: correct an end, the traffic or the family",
        ),
        (
            "from: host, to: host, traffic: tcp/1",
            "to",
            "the host is both ends: write a workload or an address for one of them",
        ),
    ];
    for (flow, field, message) in cases {
        let error = answer(&[OPEN], &format!("{flow}, expect: deny")).unwrap_err();
        assert_eq!((error.field(), error.to_string().as_str()), (field, message));
    }
}

#[test]
fn a_client_that_sends_objects_does_not_see_expectations() {
    let text =
        "kind: Expectation\ndomain: acme/prod\nname: e\nflows: [{from: a, to: host, traffic: icmp, expect: deny}]\n";
    let file = [SourceFile { name: "f.yaml".into(), text: text.into() }];
    assert_eq!(parse(&file).unwrap().len(), 0);
    let contents = parse_all(&file).unwrap();
    let document = &contents.expectations[0];
    assert_eq!(document.expectation.flows[0].to.to_string(), "host");
    assert_eq!(document.locate("flows[0].traffic").to_string(), "f.yaml:4:38");
}
