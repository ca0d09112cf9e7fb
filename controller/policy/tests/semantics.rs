//! What rules mean, case by case, of the evaluator that is the definition.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

use common::{domain, ground, policy, segment, workload};
use ringfence_policy::evaluate::{End, Flow, Traffic, Verdict, evaluate};

const WEB: &str = "10.1.0.11";
const DB: &str = "10.2.0.11";
const OUTSIDE: &str = "203.0.113.9";

/// What both sides say of a flow under the rules of one policy.
fn judge(rules: &[&str], from: &str, to: &str, traffic: Traffic) -> Verdict {
    judge_policies(&[("shop", rules)], from, to, traffic)
}

fn judge_policies(policies: &[(&str, &[&str])], from: &str, to: &str, traffic: Traffic) -> Verdict {
    let mut objects = ground();
    objects.extend([
        workload("web-1", "web", "front", 1, WEB),
        workload("db-1", "db", "back", 2, DB),
        segment("web"),
        segment("db"),
    ]);
    objects.extend(policies.iter().map(|(name, rules)| policy(name, rules)));
    let flow =
        Flow { source: End::Address(from.parse().unwrap()), destination: End::Address(to.parse().unwrap()), traffic };
    evaluate(&domain(&objects), &flow, 0)
}

/// The rule that decides on the destination's side.
fn decider(verdict: &Verdict) -> &str {
    &verdict.to.as_ref().unwrap().enforced.rule
}

#[test]
fn what_no_rule_matches_is_denied_by_default() {
    let verdict = judge(&["r allow segment/web -> segment/db tcp/5432"], WEB, DB, Traffic::Tcp(5433));
    assert!(!verdict.allows());
    assert_eq!(decider(&verdict), "default/deny");
}

#[test]
fn the_least_priority_decides() {
    let rules = ["yes allow any -> any any 10", "no deny any -> any any 11"];
    let verdict = judge(&rules, WEB, DB, Traffic::Tcp(1));
    assert!(verdict.allows());
    assert_eq!(decider(&verdict), "shop/yes");
}

#[test]
fn deny_beats_allow_at_the_same_priority() {
    let rules = ["yes allow any -> any any", "no deny any -> any any 1000"];
    assert_eq!(decider(&judge(&rules, WEB, DB, Traffic::Tcp(1))), "shop/no");
}

#[test]
fn ties_are_broken_by_policy_name_then_by_place() {
    let two = ["z allow any -> any any", "a allow any -> any any"];
    let verdict = judge_policies(&[("b", &two), ("a", &two)], WEB, DB, Traffic::Tcp(1));
    assert_eq!(decider(&verdict), "a/z");
}

#[test]
fn a_side_that_is_no_workload_does_not_vote() {
    let rules = ["in allow outside -> segment/web tcp/443"];
    let verdict = judge(&rules, OUTSIDE, WEB, Traffic::Tcp(443));
    assert_eq!(verdict.from, None);
    assert!(verdict.allows());
    let nobody = judge(&["r allow any -> any any"], OUTSIDE, "198.51.100.1", Traffic::Tcp(443));
    assert_eq!((&nobody.from, &nobody.to), (&None, &None));
    assert!(!nobody.allows());
}

#[test]
fn outside_is_no_interface_and_no_gateway() {
    let rules = ["r allow segment/web -> outside any"];
    assert!(judge(&rules, WEB, OUTSIDE, Traffic::Tcp(1)).allows());
    assert!(!judge(&rules, WEB, DB, Traffic::Tcp(1)).allows());
    assert!(!judge(&rules, WEB, "10.2.0.1", Traffic::Tcp(1)).allows());
}

#[test]
fn a_prefix_matches_interfaces_too() {
    assert!(judge(&["r allow 10.1.0.0/24 -> 10.2.0.0/24 any"], WEB, DB, Traffic::Tcp(1)).allows());
}

#[test]
fn any_is_never_multicast() {
    assert!(judge(&["r allow any -> any any"], WEB, OUTSIDE, Traffic::Udp(1)).allows());
    for group in ["224.0.0.5", "255.255.255.255"] {
        assert!(!judge(&["r allow any -> any any"], WEB, group, Traffic::Udp(1)).allows());
    }
}

#[test]
fn a_range_holds_both_its_ends_and_only_its_protocol() {
    let rules = ["r allow any -> any tcp/80-90"];
    for (traffic, allows) in [
        (Traffic::Tcp(79), false),
        (Traffic::Tcp(80), true),
        (Traffic::Tcp(90), true),
        (Traffic::Tcp(91), false),
        (Traffic::Udp(80), false),
        (Traffic::Sctp(80), false),
    ] {
        assert_eq!(judge(&rules, WEB, DB, traffic).allows(), allows, "{traffic:?}");
    }
}

#[test]
fn icmp_and_icmp6_are_two_things_and_only_any_speaks_of_the_rest() {
    let icmp = |traffic| judge(&["r allow any -> any icmp"], WEB, DB, traffic).allows();
    assert!(icmp(Traffic::Icmp(8, 0)));
    assert!(!icmp(Traffic::Icmp6(128, 0)));
    assert!(!icmp(Traffic::Other(47)));
    assert!(judge(&["r allow any -> any any"], WEB, DB, Traffic::Other(47)).allows());
}
