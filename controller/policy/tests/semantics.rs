//! What rules mean, case by case, of the evaluator that is the definition. The numbers are those of DESIGN 3.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

use common::{
    GROUND,
    cast::{CAST, domain_of, flow, holds, policy, stage, verdict},
};
use ringfence_policy::evaluate::{evaluate, reply_passes};

const ALLOW_ALL: &str = "from: [any], to: [any], action: allow, traffic: [any]";
const DENY_ALL: &str = "from: [any], to: [any], action: deny, traffic: [any]";
const PASS_ALL: &str = "from: [any], to: [any], action: pass, traffic: [any]";

/// A rule of a name.
fn named(name: &str, rest: &str) -> String {
    format!("name: {name}, {rest}")
}

/// A policy of one rule, named `r`.
fn one(name: &str, fields: &str, rule: &str) -> String {
    policy(name, fields, &[&named("r", rule)])
}

// === 1: two sides ===

#[test]
fn a_flow_passes_if_both_sides_allow_it() {
    let out = one("out", "", &format!("{ALLOW_ALL}, side: from"));
    let inward = one("in", "", &format!("{ALLOW_ALL}, side: to"));
    holds(&out, &["from: web-1, to: db-1, traffic: tcp/1, expect: deny, rule: default/deny"]);
    holds(&inward, &["from: web-1, to: db-1, traffic: tcp/1, expect: deny, rule: default/deny"]);
    holds(&(out + &inward), &["from: web-1, to: db-1, traffic: tcp/1, expect: allow, rule: in/r"]);
}

#[test]
fn a_side_that_is_no_workload_does_not_vote() {
    let out = one("out", "", &format!("{ALLOW_ALL}, side: from"));
    holds(
        &out,
        &[
            "from: web-1, to: 203.0.113.9, traffic: tcp/1, expect: allow, rule: out/r",
            "from: 203.0.113.9, to: web-1, traffic: tcp/1, family: ipv4, expect: deny, rule: default/deny",
            "from: web-1, to: host, traffic: tcp/1, expect: allow, rule: out/r",
        ],
    );
    assert_eq!(verdict(&stage(&out), "from: 203.0.113.9, to: db-1, traffic: tcp/1").from, None);
}

#[test]
fn a_rule_binds_both_sides_unless_it_says_which() {
    let domain = stage(&one("p", "", ALLOW_ALL));
    let both = verdict(&domain, "from: web-2, to: db-1, traffic: tcp/1");
    assert_eq!(both.from, both.to);
    let domain = stage(&one("p", "", &format!("{ALLOW_ALL}, side: to")));
    let to = verdict(&domain, "from: web-2, to: db-1, traffic: tcp/1");
    assert_eq!((to.from.unwrap().enforced.rule, to.to.unwrap().enforced.rule), ("default/deny".into(), "p/r".into()));
}

#[test]
fn a_tier_or_pass_of_one_side_says_nothing_to_the_other() {
    // The source's side passes the guard tier; the destination's is decided there.
    let guard = policy(
        "guard",
        "tier: guard",
        &[&named("skip", &format!("{PASS_ALL}, side: from, priority: 1")), &named("stop", DENY_ALL)],
    );
    let domain = stage(&(guard + &one("base", "tier: baseline", ALLOW_ALL)));
    let verdict = verdict(&domain, "from: web-2, to: db-1, traffic: tcp/1");
    assert_eq!(verdict.from.unwrap().enforced.rule, "base/r");
    assert_eq!(verdict.to.unwrap().enforced.rule, "guard/stop");
}

// === 2: tiers ===

#[test]
fn tiers_are_asked_guard_then_tenant_then_baseline() {
    let tier = |name: &str, rule| one(name, &format!("tier: {name}"), rule);
    let asked = "from: web-2, to: db-1, traffic: tcp/1";
    let late = format!("{DENY_ALL}, priority: 0");
    let all = tier("guard", ALLOW_ALL) + &tier("tenant", &late) + &tier("baseline", &late);
    holds(&all, &[&format!("{asked}, expect: allow, rule: guard/r")]);
    holds(
        &(tier("tenant", ALLOW_ALL) + &tier("baseline", &late)),
        &[&format!("{asked}, expect: allow, rule: tenant/r")],
    );
    holds(&tier("baseline", ALLOW_ALL), &[&format!("{asked}, expect: allow, rule: baseline/r")]);
}

#[test]
fn in_a_tier_the_least_priority_decides_whatever_the_policy() {
    let late = one("a", "", &format!("{DENY_ALL}, priority: 11"));
    let early = one("b", "", &format!("{ALLOW_ALL}, priority: 10"));
    holds(&(late + &early), &["from: web-2, to: db-1, traffic: tcp/1, expect: allow, rule: b/r"]);
}

#[test]
fn a_rule_without_a_priority_has_1000() {
    let asked = "from: web-2, to: db-1, traffic: tcp/1";
    let with = |priority| one("a", "", &format!("{ALLOW_ALL}, priority: {priority}")) + &one("b", "", DENY_ALL);
    holds(&with(999), &[&format!("{asked}, expect: allow, rule: a/r")]);
    holds(&with(1000), &[&format!("{asked}, expect: deny, rule: b/r")]);
}

#[test]
fn at_one_priority_deny_comes_before_pass_and_pass_before_allow() {
    let asked = "from: web-2, to: db-1, traffic: tcp/1";
    let base = one("base", "tier: baseline", DENY_ALL);
    let rules = |rules: &[&str]| {
        let named: Vec<_> = rules.iter().enumerate().map(|(index, rule)| named(&format!("r{index}"), rule)).collect();
        policy("p", "", &named.iter().map(String::as_str).collect::<Vec<_>>()) + &base
    };
    holds(&rules(&[ALLOW_ALL, PASS_ALL, DENY_ALL]), &[&format!("{asked}, expect: deny, rule: p/r2")]);
    holds(&rules(&[ALLOW_ALL, PASS_ALL]), &[&format!("{asked}, expect: deny, rule: base/r")]);
    holds(&rules(&[ALLOW_ALL]), &[&format!("{asked}, expect: allow, rule: p/r0")]);
}

#[test]
fn the_end_of_all_tiers_is_the_domain_s_default() {
    holds("", &["from: web-2, to: db-1, traffic: tcp/1, expect: deny, rule: default/deny"]);
    let ground = GROUND.replace("name: acme/prod", "name: acme/prod\ndefault: allow");
    let deny = one("p", "", "from: [any], to: [any], action: deny, traffic: [tcp/1]");
    let domain = domain_of(&(ground + CAST + &deny));
    let allowed = verdict(&domain, "from: web-2, to: db-1, traffic: tcp/2");
    assert_eq!(allowed.to.as_ref().unwrap().enforced.rule, "default/allow");
    assert!(allowed.allows() && allowed.is_tracked());
    assert!(!verdict(&domain, "from: web-2, to: db-1, traffic: tcp/1").allows());
}

#[test]
fn policies_of_the_platform_hold_in_every_domain_and_sort_first() {
    let platform = one("*/p", "", DENY_ALL);
    let own = one("a", "", DENY_ALL);
    holds(&(own + &platform), &["from: web-2, to: db-1, traffic: tcp/1, expect: deny, rule: \"*/p/r\""]);
    let labels = "from: [{labels: {role: web}}], to: [{labels: {role: db}}], action: allow, traffic: [any]";
    holds(
        &one("*/p", "tier: baseline", labels),
        &[
            "from: web-2, to: db-1, traffic: tcp/1, expect: allow, rule: \"*/p/r\"",
            "from: db-1, to: web-2, traffic: tcp/1, expect: deny, rule: default/deny",
        ],
    );
}

// === 4: stateful ===

/// Whether the answer to `web-2` asking `db-1` passes.
fn answered(policies: &str) -> bool {
    let domain = stage(policies);
    let opened = verdict(&domain, "from: web-2, to: db-1, traffic: tcp/1");
    assert!(opened.allows());
    let reply = flow("from: db-1, to: web-2, traffic: tcp/1, expect: allow").questions(&domain).unwrap()[0];
    reply_passes(&domain, &opened, &reply, 0)
}

const THERE: &str = "from: [segment/web], to: [segment/db], action: allow, traffic: [any]";
const BACK: &str = "from: [segment/db], to: [segment/web], action: allow, traffic: [any]";

#[test]
fn an_answer_passes_a_side_whose_deciding_rule_was_stateful() {
    assert!(answered(&one("p", "", THERE)));
}

#[test]
fn an_answer_is_judged_afresh_on_a_side_whose_deciding_rule_was_stateless() {
    let mixed =
        one("out", "", &format!("{THERE}, side: from")) + &one("in", "stateless: true", &format!("{THERE}, side: to"));
    assert!(!answered(&mixed));
    // The destination of the flow is the source of the answer: its egress is asked.
    let back = |side| one("back", "", &format!("{BACK}, side: {side}"));
    assert!(answered(&(mixed.clone() + &back("from"))));
    assert!(!answered(&(mixed + &back("to"))));
}

#[test]
fn a_flow_is_tracked_if_either_side_s_rule_is_stateful() {
    let tracked = |policies: &str| verdict(&stage(policies), "from: web-2, to: db-1, traffic: tcp/1").is_tracked();
    let (from, to) = (format!("{THERE}, side: from"), format!("{THERE}, side: to"));
    assert!(!tracked(&one("p", "stateless: true", THERE)));
    assert!(tracked(&(one("a", "", &from) + &one("b", "stateless: true", &to))));
    assert!(tracked(&(one("a", "stateless: true", &from) + &one("b", "", &to))));
    assert!(!tracked(&one("p", "", &from)), "it does not pass");
}

// === 7: audit ===

#[test]
fn enforced_leaves_audit_out_and_shadow_does_not() {
    let enforced = one("b", "", ALLOW_ALL);
    let audit = one("a", "mode: audit", DENY_ALL);
    let verdict = verdict(&stage(&(enforced + &audit)), "from: web-2, to: db-1, traffic: tcp/1");
    assert!(verdict.allows() && !verdict.shadow_allows());
    let vote = verdict.from.unwrap();
    assert_eq!((vote.enforced.rule.as_str(), vote.shadow.rule.as_str()), ("b/r", "a/r"));
}

#[test]
fn a_pass_in_audit_opens_the_next_tier_to_shadow_alone() {
    let guard = policy("guard", "tier: guard\nmode: audit", &[&named("skip", &format!("{PASS_ALL}, priority: 1"))])
        + &one("strict", "tier: guard", DENY_ALL);
    let verdict = verdict(&stage(&(guard + &one("open", "", ALLOW_ALL))), "from: web-2, to: db-1, traffic: tcp/1");
    assert!(!verdict.allows() && verdict.shadow_allows());
}

// === 8: one rule identity ===

#[test]
fn ties_are_broken_by_policy_name_then_by_place() {
    let two = [&*named("z", ALLOW_ALL), &named("a", ALLOW_ALL)];
    let asked = "from: web-2, to: db-1, traffic: tcp/1, expect: allow, rule: a/z";
    holds(&(policy("b", "", &two) + &policy("a", "", &two)), &[asked]);
}

#[test]
fn the_deciding_rule_says_whether_to_log() {
    let log = |first: &str| {
        let rules = [named("a", &format!("{ALLOW_ALL}{first}")), named("b", &format!("{ALLOW_ALL}, log: true"))];
        let domain = stage(&policy("p", "", &[&rules[0], &rules[1]]));
        verdict(&domain, "from: web-2, to: db-1, traffic: tcp/1").to.unwrap().enforced.log
    };
    assert!(log(", log: true") && !log(""));
}

// === 9: the unknown ===

#[test]
fn what_no_side_votes_on_does_not_pass_even_where_the_default_is_to_allow() {
    let ground = GROUND.replace("name: acme/prod", "name: acme/prod\ndefault: allow");
    let domain = domain_of(&(ground + &one("p", "", ALLOW_ALL)));
    assert!(!verdict(&domain, "from: 203.0.113.9, to: 203.0.113.10, traffic: tcp/1").allows());
    assert!(!verdict(&domain, "from: 203.0.113.9, to: host, traffic: tcp/1").allows());
}

// === 10: time ===

#[test]
fn a_window_holds_its_beginning_and_not_its_end() {
    let timed = format!("{ALLOW_ALL}, notBefore: 2026-12-01T06:00:00Z, notAfter: 2026-12-01T07:00:00+01:00");
    assert!(common::read(&one("p", "", &timed)).is_err(), "the two are the same moment");
    let timed = timed.replace("T07", "T08");
    let at = |time: &str, expect: &str| {
        format!("from: web-2, to: db-1, traffic: tcp/1, at: 2026-12-01T{time}Z, expect: {expect}")
    };
    holds(
        &one("p", "", &timed),
        &[
            &at("05:59:59", "deny, rule: default/deny"),
            &at("06:00:00", "allow, rule: p/r"),
            &at("06:59:59", "allow"),
            &at("07:00:00", "deny"),
        ],
    );
}

#[test]
fn a_rule_with_one_bound_holds_for_ever_on_the_other_side_of_it() {
    let at = |at: u64, bound: &str| {
        let domain = stage(&one("p", "", &format!("{ALLOW_ALL}, {bound}: 1970-01-01T00:01:00Z")));
        let asked = flow("from: web-2, to: db-1, traffic: tcp/1, expect: allow").questions(&domain).unwrap()[0];
        evaluate(&domain, &asked, at).allows()
    };
    assert!(!at(59, "notBefore") && at(60, "notBefore") && at(u64::MAX, "notBefore"));
    assert!(at(0, "notAfter") && at(59, "notAfter") && !at(60, "notAfter"));
}
