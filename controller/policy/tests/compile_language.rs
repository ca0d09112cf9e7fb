//! What the compiler makes of each part of the language.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

use common::{GROUND, bundle, domain, objects};
use ringfence_policy::bundle::{Bundle, CLASS_HOST, Profile, Row, Run};

const CAST: &str = r#"
kind: Workload
domain: acme/prod
name: web-1
labels: {role: web}
ports: {https: 443, admin: 9}
interfaces:
  - {name: eth0, network: front, mac: "02:00:00:00:01:01", addresses: [10.1.0.11, "fd00:1::11"], host: h1}
---
kind: Workload
domain: acme/prod
name: web-2
labels: {role: web}
ports: {https: 8443, admin: 9}
interfaces:
  - {name: eth0, network: front, mac: "02:00:00:00:01:02", addresses: [10.1.0.12], host: h1}
---
kind: Workload
domain: acme/prod
name: db-1
labels: {role: db, serial: x7}
interfaces:
  - name: eth0
    network: back
    mac: "02:00:00:00:01:03"
    addresses: [10.2.0.11]
    addressPairs: [{prefix: 10.1.0.0/24}]
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

/// The cast under further objects, each written in one flow mapping a line.
fn compiled(further: &[&str]) -> Bundle {
    bundle(&domain(&objects(&format!("{GROUND}{CAST}{}", further.join("\n---\n")))))
}

/// One policy with one rule between the two segments.
fn between(rest: &str) -> Bundle {
    compiled(&[&policy("p", "", &[&format!("{{name: r, from: [segment/web], to: [segment/db], {rest}}}")])])
}

fn policy(name: &str, attributes: &str, rules: &[&str]) -> String {
    format!("{{kind: Policy, domain: acme/prod, name: {name}, {attributes} rules: [{}]}}", rules.join(", "))
}

/// The class of an interface's first address.
fn class(bundle: &Bundle, workload: &str) -> u32 {
    bundle.interfaces.iter().find(|interface| interface.workload == workload).unwrap().addresses[0].1
}

/// The class of a prefix, and whether it votes.
fn prefix(bundle: &Bundle, prefix: &str) -> Option<(u32, bool)> {
    let classed = bundle.policy.prefixes.iter().find(|classed| classed.prefix.to_string() == prefix)?;
    Some((classed.class_id, classed.votes))
}

fn row(bundle: &Bundle, from_class: u32, to_class: u32) -> Option<&Row> {
    bundle.policy.rows.iter().find(|row| (row.from_class, row.to_class) == (from_class, to_class))
}

fn profile(bundle: &Bundle, from: &str, to: &str) -> Profile {
    let row = row(bundle, class(bundle, from), class(bundle, to)).unwrap();
    bundle.policy.profiles[row.profile as usize].clone()
}

/// First number, what each side says, and by which rule's name, of what is enforced.
fn told(bundle: &Bundle, runs: &[Run]) -> Vec<String> {
    let name = |ordinal: u32| &bundle.policy.rules[ordinal as usize].name;
    let one = |run: &Run| {
        let (of, shadow) = (run.enforced, run.shadow);
        let shadow = if of == shadow { String::new() } else { format!(", shadow {}", name(shadow.to_rule)) };
        let word = |allows| if allows { "allow" } else { "deny" };
        let (from, to) = (word(of.from_allows), word(of.to_allows));
        format!("{}: {from} {}, {to} {}{shadow}", run.first, name(of.from_rule), name(of.to_rule))
    };
    runs.iter().map(one).collect()
}

#[test]
fn a_pass_leaves_its_tier_and_no_other() {
    let ends = "from: [segment/web], to: [segment/db]";
    let bundle = compiled(&[
        &policy(
            "g",
            "tier: guard,",
            &[
                &format!("{{name: pass, {ends}, action: pass, traffic: [tcp/80-89], priority: 1}}"),
                &format!("{{name: no, {ends}, action: deny, traffic: [tcp/80-99]}}"),
            ],
        ),
        &policy("t", "", &[&format!("{{name: yes, {ends}, action: allow, traffic: [tcp/85-99]}}")]),
        &policy("b", "tier: baseline,", &[&format!("{{name: rest, {ends}, action: allow, traffic: [tcp/80]}}")]),
    ]);
    let tcp = profile(&bundle, "web-1", "db-1").tcp;
    assert_eq!(
        told(&bundle, &tcp),
        [
            "0: deny default/deny, deny default/deny",
            "80: allow b/rest, allow b/rest",
            "81: deny default/deny, deny default/deny",
            "85: allow t/yes, allow t/yes",
            "90: deny g/no, deny g/no",
            "100: deny default/deny, deny default/deny",
        ]
    );
}

#[test]
fn a_policy_in_audit_decides_the_shadow_alone() {
    let ends = "from: [segment/web], to: [segment/db]";
    let bundle = compiled(&[
        &policy("a", "mode: audit,", &[&format!("{{name: no, {ends}, action: deny, traffic: [tcp/80]}}")]),
        &policy("e", "", &[&format!("{{name: yes, {ends}, action: allow, traffic: [tcp]}}")]),
    ]);
    let tcp = profile(&bundle, "web-1", "db-1").tcp;
    let expected =
        ["0: allow e/yes, allow e/yes", "80: allow e/yes, allow e/yes, shadow a/no", "81: allow e/yes, allow e/yes"];
    assert_eq!(told(&bundle, &tcp), expected);
}

#[test]
fn a_rule_binds_the_side_it_names() {
    let bundle = between("action: allow, traffic: [any], side: to");
    let expected = ["0: deny default/deny, allow p/r"];
    assert_eq!(told(&bundle, &profile(&bundle, "web-1", "db-1").sctp), expected);
}

#[test]
fn a_rule_that_binds_no_side_that_votes_makes_no_row() {
    let rule = "{name: r, from: [outside], to: [segment/db], action: allow, traffic: [any], side: from}";
    assert_eq!(compiled(&[&policy("p", "", &[rule])]).policy.rows, []);
}

#[test]
fn icmp_is_told_apart_by_type_and_code() {
    let bundle = between("action: allow, traffic: [icmp/8, icmp6/1/4]");
    let profile = profile(&bundle, "web-1", "db-1");
    let firsts = |runs: &[Run]| runs.iter().map(|run| (run.first, run.enforced.to_allows)).collect::<Vec<_>>();
    assert_eq!(firsts(&profile.icmp), [(0, false), (0x800, true), (0x900, false)]);
    assert_eq!(firsts(&profile.icmp6), [(0, false), (0x104, true), (0x105, false)]);
}

#[test]
fn a_protocol_by_number_is_the_one_that_has_a_name_too() {
    for (number, tables) in [(6, "tcp"), (17, "udp"), (132, "sctp"), (1, "icmp"), (58, "icmp6"), (47, "")] {
        let bundle = between(&format!("action: allow, traffic: [proto/{number}]"));
        let Profile { tcp, udp, sctp, icmp, icmp6, other } = profile(&bundle, "web-1", "db-1");
        for (name, table) in [("tcp", tcp), ("udp", udp), ("sctp", sctp), ("icmp", icmp), ("icmp6", icmp6)] {
            let all: Vec<_> = table.iter().map(|run| run.enforced.to_allows).collect();
            assert_eq!(all, [name == tables], "proto/{number} in {name}");
        }
        let other: Vec<_> = other.iter().map(|run| (run.first, run.enforced.to_allows)).collect();
        assert_eq!(other, [(0, false), (number, true), (number + 1, false)], "proto/{number}");
    }
}

#[test]
fn the_last_protocol_number_ends_its_table() {
    let bundle = between("action: allow, traffic: [proto/255]");
    let other = profile(&bundle, "web-1", "db-1").other;
    assert_eq!(other.iter().map(|run| run.first).collect::<Vec<_>>(), [0, 255]);
}

#[test]
fn a_port_name_is_what_the_destination_says_and_splits_only_whom_rules_ask() {
    let rule = "{name: r, from: [segment/db], to: [segment/web], action: allow, traffic: [tcp/https]}";
    let named = compiled(&[&policy("p", "", &[rule])]);
    assert_ne!(class(&named, "web-1"), class(&named, "web-2"));
    let firsts = |to| profile(&named, "db-1", to).tcp.iter().map(|run| run.first).collect::<Vec<_>>();
    assert_eq!((firsts("web-1"), firsts("web-2")), (vec![0, 443, 444], vec![0, 8443, 8444]));
    // The same name in a rule to others, and another name that means the same on both.
    let admin = "{name: a, from: [any], to: [segment/web], action: allow, traffic: [udp/admin]}";
    let other = "{name: o, from: [any], to: [segment/db], action: allow, traffic: [tcp/https]}";
    let together = compiled(&[&policy("p", "", &[admin, other])]);
    assert_eq!(class(&together, "web-1"), class(&together, "web-2"));
}

#[test]
fn what_a_prefix_excepts_is_another_class() {
    let peer = "{cidr: 203.0.113.0/24, except: [203.0.113.64/26]}";
    let rule = format!("{{name: r, from: [{peer}], to: [segment/db], action: allow, traffic: [any]}}");
    let bundle = compiled(&[&policy("p", "", &[&rule])]);
    let class_of = |text| prefix(&bundle, text).unwrap().0;
    assert_eq!(class_of("203.0.113.64/26"), class_of("0.0.0.0/0"));
    assert!(row(&bundle, class_of("203.0.113.0/24"), class(&bundle, "db-1")).is_some());
    assert!(row(&bundle, class_of("0.0.0.0/0"), class(&bundle, "db-1")).is_none());
}

#[test]
fn a_pair_votes_as_its_workload_but_for_the_gateway_inside() {
    let bundle = between("action: allow, traffic: [any]");
    assert_eq!(prefix(&bundle, "10.1.0.0/24"), Some((class(&bundle, "db-1"), true)));
    assert!(!prefix(&bundle, "10.1.0.1/32").unwrap().1);
    assert_ne!(prefix(&bundle, "10.1.0.1/32").unwrap().0, class(&bundle, "db-1"));
    assert_eq!(class(&bundle, "web-1"), class(&bundle, "web-2"), "an interface's own address comes first");
}

#[test]
fn a_prefix_of_a_rule_inside_a_pair_votes() {
    let rule = "{name: r, from: [{cidr: 10.1.0.128/25}], to: [segment/web], action: allow, traffic: [any]}";
    let bundle = compiled(&[&policy("p", "", &[rule])]);
    let (inside, votes) = prefix(&bundle, "10.1.0.128/25").unwrap();
    assert!(votes && inside != class(&bundle, "db-1"));
    assert!(row(&bundle, inside, class(&bundle, "web-1")).is_some());
}

#[test]
fn the_host_is_class_1() {
    let rule = "{name: r, from: [host], to: [segment/db], action: allow, traffic: [any]}";
    let bundle = compiled(&[&policy("p", "", &[rule])]);
    let pairs: Vec<_> = bundle.policy.rows.iter().map(|row| (row.from_class, row.to_class)).collect();
    assert_eq!(pairs, [(CLASS_HOST, class(&bundle, "db-1"))]);
}

#[test]
fn a_default_to_allow_is_named_and_is_what_no_rule_decides() {
    let text = format!("{GROUND}{CAST}").replace("name: acme/prod\n---", "name: acme/prod\ndefault: allow\n---");
    let rule = "{name: r, from: [segment/web], to: [segment/db], action: deny, traffic: [tcp/22]}";
    let bundle = bundle(&domain(&objects(&format!("{text}{}", policy("p", "", &[rule])))));
    assert!(bundle.policy.default_allows);
    assert_eq!((bundle.policy.rules[0].id, bundle.policy.rules[0].name.as_str()), (0, "default/allow"));
    assert_eq!(told(&bundle, &profile(&bundle, "web-1", "db-1").udp), ["0: allow default/allow, allow default/allow"]);
}

#[test]
fn a_window_is_another_profile_from_its_moments_on() {
    let moments = "notBefore: \"1970-01-01T00:01:40Z\", notAfter: \"1970-01-01T00:03:20Z\"";
    let bundle = between(&format!("action: allow, traffic: [any], {moments}"));
    let row = row(&bundle, class(&bundle, "web-1"), class(&bundle, "db-1")).unwrap();
    let turns: Vec<_> = row.later.iter().map(|(since, _)| *since).collect();
    assert_eq!(turns, [100, 200]);
    let allows = |at| bundle.policy.profiles[row.profile_at(at) as usize].tcp[0].enforced.to_allows;
    assert_eq!([0, 99, 100, 199, 200].map(allows), [false, false, true, true, false]);
    assert_eq!(row.later[1].1, row.profile, "what was before is again");
}

#[test]
fn a_moment_at_which_nothing_changes_is_no_turn() {
    let ends = "from: [segment/web], to: [segment/db], action: allow, traffic: [any]";
    let rules = [
        format!("{{name: always, {ends}, priority: 1}}"),
        format!("{{name: later, {ends}, notBefore: \"1970-01-01T00:01:40Z\"}}"),
    ];
    let bundle = compiled(&[&policy("p", "", &rules.each_ref().map(String::as_str))]);
    assert!(bundle.policy.rows.iter().all(|row| row.later.is_empty()));
}

#[test]
fn a_rule_that_does_not_hold_yet_makes_its_classes_already() {
    let with = |window: &str| between(&format!("action: allow, traffic: [any]{window}"));
    let (now, later) = (with(""), with(", notBefore: \"2999-01-01T00:00:00Z\""));
    assert_eq!((now.interfaces, &now.policy.prefixes), (later.interfaces, &later.policy.prefixes));
}

#[test]
fn a_rules_name_carries_what_is_asked_of_its_flows() {
    let rules = [
        "{name: a, from: [any], to: [any], action: allow, traffic: [any], log: true}",
        "{name: b, from: [any], to: [any], action: allow, traffic: [any]}",
    ];
    let platform = policy("p", "", &[rules[1]]).replace("acme/prod", "\"*\"");
    let bundle = compiled(&[&policy("p", "stateless: true,", &rules), &platform]);
    let names = bundle.policy.rules.iter().map(|rule| (rule.name.as_str(), rule.stateless, rule.log));
    let expected = [("default/deny", false, false), ("*/p/b", false, false), ("p/a", true, true), ("p/b", true, false)];
    assert_eq!(names.collect::<Vec<_>>(), expected);
}

#[test]
fn what_no_rule_asks_for_costs_nothing() {
    let rule = policy("p", "", &["{name: r, from: [segment/web], to: [segment/db], action: allow, traffic: [tcp/1]}"]);
    let plain = compiled(&[&rule]);
    let unused = [
        "{kind: Segment, domain: acme/prod, name: unused, match: {serial: x7}}",
        "{kind: AddressSet, domain: acme/prod, name: unused, addresses: [10.1.0.0/25, 192.0.2.0/24]}",
    ];
    let with = compiled(&[&rule, unused[0], unused[1]]);
    assert_eq!(plain, with);
}
