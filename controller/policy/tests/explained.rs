//! Explanations: what they tell is what happens.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

use common::{domain, generate, objects};
use proptest::prelude::*;
use ringfence_policy::{
    evaluate::{Decision, End, Flow, Traffic, Vote, evaluate},
    explain::{Part, SideExplanation, explain, interface_of},
    object::{Object, Spec},
};

const TIERS: &str = r#"
{kind: Tenant, name: acme}
---
{kind: Domain, name: acme/prod}
---
{kind: Network, domain: acme/prod, name: front, subnets: [{cidr: 10.1.0.0/24, gateway: 10.1.0.1}]}
---
kind: Workload
domain: acme/prod
name: web-1
interfaces:
  - {name: eth0, network: front, mac: "02:00:00:00:01:01", addresses: [10.1.0.11], host: h1}
  - {name: eth1, network: front, mac: "02:00:00:00:01:02", addresses: [10.1.0.12], host: h2, addressPairs: [{prefix: 10.9.0.0/16}]}
---
kind: Policy
domain: "*"
name: floor
tier: guard
rules:
  - {name: skip, from: [any], to: [any], action: pass, traffic: [tcp/22], priority: 5}
  - {name: late, from: [any], to: [any], action: deny, traffic: [tcp], priority: 9}
---
kind: Policy
domain: acme/prod
name: shop
rules:
  - {name: in, from: [any], to: [any], action: allow, traffic: [tcp/22], side: to}
  - {name: wide, from: [outside], to: [any], action: allow, traffic: [tcp]}
---
kind: Policy
domain: acme/prod
name: trial
mode: audit
rules:
  - {name: stop, from: [outside], to: [any], action: deny, traffic: [tcp/22], priority: 1}
"#;

fn ssh(from: &str, to: &str) -> Flow {
    let end = |text: &str| End::Address(text.parse().unwrap());
    Flow { source: end(from), destination: end(to), traffic: Traffic::Tcp(22) }
}

#[test]
fn every_rule_that_matches_is_told_in_order_with_its_part() {
    let domain = domain(&objects(TIERS));
    let told = explain(&domain, &ssh("203.0.113.9", "10.1.0.11"), 0);
    assert_eq!(told.from, None, "the outside has no vote");
    let SideExplanation { workload, matched, enforced, shadow, otherwise } = told.to.unwrap();
    let parts: Vec<_> = matched.iter().map(|matched| (matched.rule.as_str(), matched.part)).collect();
    assert_eq!(workload, "web-1");
    assert_eq!(
        parts,
        [
            ("*/floor/skip", Part::Passes),
            ("*/floor/late", Part::Unasked),
            ("trial/stop", Part::WouldDecide),
            ("shop/in", Part::Decides),
            ("shop/wide", Part::Unasked),
        ]
    );
    let decided = |decision: &Decision| (decision.allows, decision.rule.clone());
    assert_eq!(decided(&enforced), (true, "shop/in".into()));
    assert_eq!(decided(&shadow), (false, "trial/stop".into()));
    assert_eq!(decided(&otherwise.unwrap()), (true, "shop/wide".into()));
}

#[test]
fn the_default_is_nothing_to_take_away() {
    let domain = domain(&objects(TIERS));
    let told = explain(&domain, &ssh("10.1.0.11", "203.0.113.9"), 0).from.unwrap();
    assert_eq!((told.enforced.rule.as_str(), told.otherwise), ("default/deny", None));
}

#[test]
fn an_address_is_of_the_interface_that_has_it_or_holds_it_in_a_pair() {
    let domain = domain(&objects(TIERS));
    let host = |address: &str| {
        let (_, interface) = interface_of(&domain, End::Address(address.parse().unwrap()))?;
        Some(interface.host.as_str())
    };
    assert_eq!(host("10.1.0.11"), Some("h1"));
    assert_eq!(host("10.9.8.7"), Some("h2"));
    assert_eq!(host("203.0.113.9"), None);
    assert_eq!(interface_of(&domain, End::Host), None);
}

/// The same objects without a rule, and without its policy if it is the only one there.
fn without(objects: &[Object], rule: &str) -> Vec<Object> {
    let (policy, name) = rule.rsplit_once('/').unwrap();
    let mut rest = objects.to_vec();
    for object in &mut rest {
        let full = if object.domain == "*" { format!("*/{}", object.name) } else { object.name.clone() };
        if let Spec::Policy(spec) = &mut object.spec
            && full == policy
        {
            spec.rules.retain(|rule| rule.name != name);
        }
    }
    rest.retain(|object| !matches!(&object.spec, Spec::Policy(spec) if spec.rules.is_empty()));
    rest
}

fn check(objects: &[Object], flow: &Flow) -> Result<(), TestCaseError> {
    let domain = domain(objects);
    let told = explain(&domain, flow, 0);
    prop_assert_eq!(&told.verdict, &evaluate(&domain, flow, 0));
    let votes = [&told.verdict.from, &told.verdict.to];
    for (place, (side, vote)) in [&told.from, &told.to].into_iter().zip(votes).enumerate() {
        let both = side.as_ref().map(|side| Vote { enforced: side.enforced.clone(), shadow: side.shadow.clone() });
        prop_assert_eq!(&both, vote);
        let Some(side) = side else { continue };
        let deciding: Vec<_> = side.matched.iter().filter(|matched| matched.part == Part::Decides).collect();
        prop_assert_eq!(deciding.is_empty(), side.otherwise.is_none());
        for decider in deciding {
            prop_assert_eq!(&decider.rule, &side.enforced.rule);
            let absent = evaluate(&common::domain(&without(objects, &decider.rule)), flow, 0);
            let absent = [absent.from, absent.to][place].clone().unwrap().enforced;
            prop_assert_eq!(side.otherwise.as_ref(), Some(&absent));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn what_would_decide_is_what_decides_once_the_rule_is_gone(objects in generate::domain_objects()) {
        for flow in generate::flows(&domain(&objects)) {
            check(&objects, &flow)?;
        }
    }
}
