//! Nothing is never everything: what selects nobody matches nobody, what is empty is refused, and no policy's mere
//! presence changes a default. (Failures of other systems: an empty selector that is lost on the way and then allows
//! all; the first policy that flips a default; a pass that is lost between tiers.)
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

use common::{
    GROUND,
    cast::{CAST, domain_of, holds, policy, verdict},
};
use proptest::prelude::*;
use ringfence_proto::v1;

/// A rule that allows all traffic from and to these.
fn allow(name: &str, from: &str, to: &str) -> String {
    policy(name, "", &[&format!("name: r, from: [{from}], to: [{to}], action: allow, traffic: [any]")])
}

const NOBODY: &str = "kind: Segment\ndomain: acme/prod\nname: nobody\nmatch: {role: none}\n---\n";

/// Everyone asks everyone, and nothing passes.
const NOTHING_PASSES: [&str; 5] = [
    "from: web-1, to: db-1, traffic: tcp/443, expect: deny, rule: default/deny",
    "from: db-1, to: web-1, traffic: tcp/443, expect: deny, rule: default/deny",
    "from: web-2, to: 203.0.113.9, traffic: tcp/443, expect: deny, rule: default/deny",
    "from: 203.0.113.9, to: web-2, traffic: tcp/443, expect: deny, rule: default/deny",
    "from: host, to: web-2, traffic: tcp/443, expect: deny, rule: default/deny",
];

#[test]
fn a_segment_that_selects_nobody_matches_nobody_on_either_side() {
    holds(&(NOBODY.to_owned() + &allow("to", "any", "segment/nobody")), &NOTHING_PASSES);
    holds(&(NOBODY.to_owned() + &allow("from", "segment/nobody", "any")), &NOTHING_PASSES);
}

#[test]
fn labels_that_no_workload_has_match_nobody() {
    holds(&allow("p", "any", "{labels: {role: none}}"), &NOTHING_PASSES);
    holds(&allow("p", "{labels: {role: none}}", "any"), &NOTHING_PASSES);
}

#[test]
fn a_deny_to_nobody_denies_nobody() {
    let deny = "name: r, from: [any], to: [segment/nobody], action: deny, traffic: [any], priority: 1";
    let policies = NOBODY.to_owned() + &policy("no", "", &[deny]) + &allow("yes", "any", "any");
    holds(&policies, &["from: web-2, to: db-1, traffic: tcp/1, expect: allow, rule: yes/r"]);
}

#[test]
fn a_segment_whose_last_workload_leaves_matches_nobody_from_then_on() {
    let db = allow("p", "any", "segment/db");
    holds(
        &db,
        &["from: web-2, to: db-1, traffic: tcp/1, expect: deny, rule: default/deny"]
            .map(|_| "from: web-2, to: db-1, traffic: tcp/1, expect: allow"),
    );
    let gone = CAST.replace("labels: {role: db}", "labels: {}");
    let domain = domain_of(&format!("{GROUND}{gone}{db}"));
    assert!(!verdict(&domain, "from: web-2, to: db-1, traffic: tcp/1").allows());
}

#[test]
fn an_address_set_of_one_family_says_nothing_of_the_other() {
    let set = "kind: AddressSet\ndomain: acme/prod\nname: office\naddresses: [198.51.100.0/24]\n---\n";
    let policies = set.to_owned() + &allow("p", "addresses/office, workload/web-1", "addresses/office, workload/web-1");
    holds(
        &policies,
        &[
            "from: web-1, to: 198.51.100.7, traffic: tcp/443, expect: allow",
            "from: web-1, to: \"2001:db8::1\", traffic: tcp/443, expect: deny, rule: default/deny",
        ],
    );
}

#[test]
fn an_except_that_leaves_nothing_matches_nothing() {
    let halves = "{cidr: 0.0.0.0/0, except: [0.0.0.0/1, 128.0.0.0/1]}";
    holds(&allow("p", "any", halves), &NOTHING_PASSES);
    holds(&allow("p", halves, "any"), &NOTHING_PASSES);
}

#[test]
fn a_port_s_name_that_the_destination_lacks_matches_no_port() {
    let policies = policy("p", "", &["name: r, from: [any], to: [any], action: allow, traffic: [tcp/none]"]);
    holds(&policies, &NOTHING_PASSES);
    holds(&policies, &["from: web-2, to: db-1, traffic: tcp/0, expect: deny"]);
}

#[test]
fn a_rule_outside_its_window_is_as_if_it_were_not_there() {
    let rule = "name: r, from: [any], to: [any], action: allow, traffic: [any], notBefore: 2030-01-01T00:00:00Z";
    holds(&policy("p", "", &[rule]), &NOTHING_PASSES);
}

#[test]
fn a_first_policy_changes_nothing_for_what_it_does_not_match() {
    let unmatched =
        ["web-1", "web-2", "vm-1"].map(|to| format!("from: 203.0.113.9, to: {to}, traffic: tcp/1, family: ipv4"));
    // Allowed stays allowed, denied stays denied, whatever the one policy does to db-1.
    for (default, action) in [("allow", "allow"), ("allow", "deny"), ("deny", "allow"), ("deny", "deny")] {
        let ground = GROUND.replace("name: acme/prod", &format!("name: acme/prod\ndefault: {default}"));
        let first = policy(
            "first",
            "",
            &[&format!("name: r, from: [any], to: [segment/db], action: {action}, traffic: [any]")],
        );
        let (before, after) = (domain_of(&format!("{ground}{CAST}")), domain_of(&format!("{ground}{CAST}{first}")));
        for flow in &unmatched {
            assert_eq!(verdict(&before, flow), verdict(&after, flow), "{default} {action} {flow}");
        }
    }
}

#[test]
fn pass_skips_the_rest_of_its_own_tier_alone() {
    let all = |name: &str, rest: &str| format!("name: {name}, from: [any], to: [any], traffic: [any], {rest}");
    let tier = |name: &str, rules: &[&str]| policy(name, &format!("tier: {name}"), rules);
    let guard = tier("guard", &[&all("skip", "action: pass, priority: 1"), &all("stop", "action: deny")]);
    let tenant = tier("tenant", &[&all("stop", "action: deny")]);
    holds(&(guard + &tenant), &["from: web-2, to: db-1, traffic: tcp/1, expect: deny, rule: tenant/stop"]);
}

#[test]
fn a_pass_in_the_first_tier_reaches_the_last_across_one_without_rules() {
    let all = |name: &str, rest: &str| format!("name: {name}, from: [any], to: [any], traffic: [any], {rest}");
    let tier = |name: &str, rules: &[&str]| policy(name, &format!("tier: {name}"), rules);
    let guard = tier("guard", &[&all("skip", "action: pass, priority: 1"), &all("stop", "action: deny")]);
    let baseline = |action: &str| tier("baseline", &[&all("last", &format!("action: {action}"))]);
    holds(
        &(guard.clone() + &baseline("allow")),
        &["from: web-2, to: db-1, traffic: tcp/1, expect: allow, rule: baseline/last"],
    );
    holds(
        &(guard.clone() + &baseline("deny")),
        &["from: web-2, to: db-1, traffic: tcp/1, expect: deny, rule: baseline/last"],
    );
    holds(&guard, &["from: web-2, to: db-1, traffic: tcp/1, expect: deny, rule: default/deny"]);
    let passes = tier("tenant", &[&all("skip", "action: pass")]) + &baseline("allow");
    holds(&(guard + &passes), &["from: web-2, to: db-1, traffic: tcp/1, expect: allow, rule: baseline/last"]);
}

/// Every list that could come empty out of a message, emptied.
fn emptied() -> Vec<(&'static str, v1::Object)> {
    let policies = "{labels: [{key: role, in: [web]}]}, {labels: [{key: role, notIn: [web]}]}";
    let text = format!(
        "{}{}kind: AddressSet\ndomain: acme/prod\nname: office\naddresses: [198.51.100.0/24]\n",
        allow("p", policies, "any"),
        NOBODY
    );
    let objects = common::objects(&text).iter().map(ringfence_policy::wire::object_to_wire).collect::<Vec<_>>();
    let mut emptied = Vec::new();
    let mut empty = |field, index: usize, change: &dyn Fn(&mut v1::object::Spec)| {
        let mut object: v1::Object = objects[index].clone();
        change(object.spec.as_mut().unwrap());
        emptied.push((field, object));
    };
    fn rule(spec: &mut v1::object::Spec) -> &mut v1::Rule {
        match spec {
            v1::object::Spec::Policy(policy) => &mut policy.rules[0],
            _ => panic!("no policy"),
        }
    }
    fn labels(spec: &mut v1::object::Spec, peer: usize) -> &mut Vec<v1::Requirement> {
        match rule(spec).from[peer].peer.as_mut().unwrap() {
            v1::peer::Peer::Labels(labels) => &mut labels.r#match,
            _ => panic!("no labels"),
        }
    }
    fn values(requirement: &mut v1::Requirement) -> &mut Vec<String> {
        match requirement.test.as_mut().unwrap() {
            v1::requirement::Test::In(list) | v1::requirement::Test::NotIn(list) => &mut list.values,
            _ => panic!("no list"),
        }
    }
    empty("rules", 0, &|spec| match spec {
        v1::object::Spec::Policy(policy) => policy.rules.clear(),
        _ => panic!("no policy"),
    });
    empty("rules[0].from", 0, &|spec| rule(spec).from.clear());
    empty("rules[0].to", 0, &|spec| rule(spec).to.clear());
    empty("rules[0].traffic", 0, &|spec| rule(spec).traffic.clear());
    empty("rules[0].from[0].labels", 0, &|spec| labels(spec, 0).clear());
    empty("rules[0].from[0].labels[0].in", 0, &|spec| values(&mut labels(spec, 0)[0]).clear());
    empty("rules[0].from[1].labels[0].notIn", 0, &|spec| values(&mut labels(spec, 1)[0]).clear());
    empty("match", 1, &|spec| match spec {
        v1::object::Spec::Segment(segment) => segment.r#match.clear(),
        _ => panic!("no segment"),
    });
    empty("addresses", 2, &|spec| match spec {
        v1::object::Spec::AddressSet(set) => set.addresses.clear(),
        _ => panic!("no address set"),
    });
    emptied
}

#[test]
fn a_list_that_was_lost_on_the_wire_is_refused_and_never_read_as_all() {
    let before = common::model(&common::ground());
    for (field, object) in emptied() {
        let object = ringfence_policy::wire::object_from_wire(object).unwrap();
        let invalid = before.change(&[object], &[]).unwrap_err();
        assert!(
            invalid.iter().any(|one| one.field == field && one.message.starts_with("is empty: ")),
            "{field}: {invalid:?}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_rule_with_a_peer_that_matches_nobody_changes_no_verdict(objects in common::generate::domain_objects()) {
        let domain = common::domain(&objects);
        let mut with = objects.clone();
        with.extend(common::objects(&(NOBODY.to_owned() + &policy("aa", "", &[
            "name: a, from: [segment/nobody], to: [any], action: allow, traffic: [any], priority: 0",
            "name: b, from: [any], to: [{labels: {role: none}}], action: deny, traffic: [any], priority: 0",
        ]))));
        let after = common::domain(&with);
        for flow in common::generate::flows(&domain).into_iter().step_by(7) {
            let judge = |domain| ringfence_policy::evaluate::evaluate(domain, &flow, 0);
            prop_assert_eq!(judge(&domain), judge(&after));
        }
    }
}
