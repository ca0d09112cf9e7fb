//! What the compiled form looks like, beyond being right: small, stable, bounded.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use common::{bundle, domain, generate, ground, ids, network, policy, segment, try_bundle, workload};
use proptest::prelude::*;
use ringfence_policy::{
    bundle::{Bundle, FEATURE_BUNDLE_V1, Run},
    compile::{CompileError, compile},
    object::{Object, Spec},
};

fn shop(rules: &[&str]) -> Vec<Object> {
    let mut objects = ground();
    objects.extend([
        workload("web-1", "web", "front", 1, "10.1.0.11"),
        workload("db-1", "db", "back", 2, "10.2.0.11"),
        segment("web"),
        segment("db"),
        policy("shop", rules),
    ]);
    objects
}

fn class_of(bundle: &Bundle, workload: &str) -> u32 {
    let interface = bundle.interfaces.iter().find(|interface| interface.workload == workload).unwrap();
    interface.addresses[0].1
}

#[test]
fn a_pair_without_a_rule_has_no_row() {
    let bundle = bundle(&domain(&shop(&["to-db allow segment/web -> segment/db tcp/5432"])));
    let pairs: Vec<_> = bundle.policy.rows.iter().map(|row| (row.from_class, row.to_class)).collect();
    assert_eq!(pairs, [(class_of(&bundle, "web-1"), class_of(&bundle, "db-1"))]);
}

#[test]
fn a_table_covers_every_number_and_joins_equal_neighbours() {
    let rules = ["a allow segment/web -> segment/db tcp/80-89,tcp/90-99", "b deny any -> segment/db tcp/65535 1"];
    let bundle = bundle(&domain(&shop(&rules)));
    let pair = (class_of(&bundle, "web-1"), class_of(&bundle, "db-1"));
    let row = bundle.policy.rows.iter().find(|row| (row.from_class, row.to_class) == pair).unwrap();
    let run =
        |first, allows, rule| Run { first, from_allows: allows, to_allows: allows, from_rule: rule, to_rule: rule };
    let profile = &bundle.policy.profiles[usize::try_from(row.profile).unwrap()];
    assert_eq!(profile.tcp, [run(0, false, 0), run(80, true, 1), run(100, false, 0), run(65535, false, 2)]);
    assert_eq!(profile.udp, [run(0, false, 0)]);
    let names: Vec<_> = bundle.policy.rules.iter().map(|rule| (rule.id, rule.name.as_str())).collect();
    assert_eq!(names, [(0, "default/deny"), (100, "shop/a"), (101, "shop/b")]);
}

#[test]
fn a_side_that_is_no_workload_allows_by_ordinal_0() {
    let bundle = bundle(&domain(&shop(&["in deny outside -> segment/web any"])));
    let everywhere = bundle.policy.prefixes.iter().find(|(prefix, _)| prefix.prefix_len() == 0).unwrap();
    assert_eq!(bundle.policy.rows.len(), 1);
    assert_eq!(bundle.policy.rows[0].from_class, everywhere.1);
    let denied = Run { first: 0, from_allows: true, to_allows: false, from_rule: 0, to_rule: 1 };
    assert_eq!(bundle.policy.profiles[0].icmp6, [denied]);
}

#[test]
fn gateways_and_what_is_not_unicast_are_classes_of_their_own_without_outside() {
    let bundle = bundle(&domain(&shop(&["out allow segment/web -> outside any"])));
    let prefixes = &bundle.policy.prefixes;
    let class = |text: &str| prefixes.iter().find(|(prefix, _)| prefix.to_string() == text).unwrap().1;
    let gateways: BTreeSet<u32> = ["10.1.0.1/32", "10.2.0.1/32", "fd00:1::1/128"].map(class).into();
    let not_unicast: BTreeSet<u32> = ["224.0.0.0/4", "255.255.255.255/32", "ff00::/8"].map(class).into();
    assert_eq!((prefixes.len(), gateways.len(), not_unicast.len()), (8, 1, 1));
    let outside: BTreeSet<u32> = bundle.policy.rows.iter().map(|row| row.to_class).collect();
    assert_eq!(outside, BTreeSet::from([class("0.0.0.0/0")]));
}

#[test]
fn addresses_that_no_rule_tells_apart_are_one_class() {
    let mut objects = shop(&["to-db allow segment/web -> segment/db any"]);
    objects.push(workload("web-2", "web", "front", 3, "10.1.0.12"));
    objects.push(workload("idle-1", "idle", "front", 4, "10.1.0.13"));
    objects.push(workload("spare-1", "spare", "front", 5, "10.1.0.14"));
    let bundle = bundle(&domain(&objects));
    assert_eq!(class_of(&bundle, "web-1"), class_of(&bundle, "web-2"));
    assert_eq!(class_of(&bundle, "idle-1"), class_of(&bundle, "spare-1"));
    assert_ne!(class_of(&bundle, "web-1"), class_of(&bundle, "idle-1"));
}

#[test]
fn policy_does_not_change_when_a_workload_joins_a_class() {
    let rules = ["to-db allow segment/web -> segment/db any", "in allow 203.0.113.0/24 -> segment/web tcp/443"];
    let mut objects = shop(&rules);
    let before = bundle(&domain(&objects));
    objects.push(workload("web-0", "web", "front", 3, "10.1.0.12"));
    let after = bundle(&domain(&objects));
    assert_eq!(before.policy, after.policy);
    assert_eq!(after.interfaces.len(), 3);
}

#[test]
fn a_class_keeps_its_number_when_others_come() {
    let before = bundle(&domain(&shop(&["to-db allow segment/web -> segment/db any"])));
    let mut objects = shop(&["in allow outside -> segment/app any", "to-db allow segment/web -> segment/db any"]);
    objects.push(workload("app-1", "app", "front", 3, "10.1.0.12"));
    objects.push(segment("app"));
    let after = bundle(&domain(&objects));
    for name in ["web-1", "db-1"] {
        assert_eq!(class_of(&before, name), class_of(&after, name));
    }
}

#[test]
fn topology_names_every_host_registered_or_not() {
    let mut objects = shop(&["r allow any -> any any"]);
    if let Spec::Workload(spec) = &mut objects.iter_mut().find(|object| object.name == "db-1").unwrap().spec {
        spec.interfaces[0].host = "h2".into();
    }
    let bundle = bundle(&domain(&objects));
    let hosts: Vec<_> = bundle.topology.hosts.iter().map(|host| (host.name.as_str(), host.underlay.len())).collect();
    assert_eq!(hosts, [("h1", 1), ("h2", 0)]);
    assert_eq!(bundle.topology.networks.iter().map(|network| network.vni).collect::<Vec<_>>(), [701, 702]);
    assert_eq!(bundle.features, [FEATURE_BUNDLE_V1]);
}

#[test]
fn an_id_that_was_not_handed_out_is_named() {
    let domain = domain(&shop(&["r allow any -> any any"]));
    let mut ids = ids(&domain);
    ids.interfaces.remove(&("web-1".to_owned(), "eth0".to_owned()));
    let error = compile(&domain, &ids, &Default::default(), 1).unwrap_err();
    assert_eq!(error.to_string(), "domain acme/prod: no id was handed out for interface web-1/eth0");
}

/// As many workloads, each in a class of its own by the bits of its number.
fn workloads_in_classes(bits: u32) -> Vec<Object> {
    let mut objects = ground();
    objects.push(network("large", "10.64.0.0/16", "10.64.0.1"));
    for bit in 0..bits {
        objects.push(segment(&format!("b{bit}")));
        if let Some(Spec::Segment(spec)) = objects.last_mut().map(|object| &mut object.spec) {
            spec.requirements[0].key = format!("b{bit}");
            spec.requirements[0].test = ringfence_policy::object::LabelTest::Exists(true);
        }
    }
    for number in 0..1_u32 << bits {
        let [_, _, high, low] = number.to_be_bytes();
        let address = format!("10.64.{}.{low}", high + 1);
        let mut workload = workload(&format!("w{number}"), "x", "large", 0, &address);
        if let Spec::Workload(spec) = &mut workload.spec {
            spec.interfaces[0].mac = format!("02:00:00:01:{high:02x}:{low:02x}");
            spec.labels
                .extend((0..bits).filter(|bit| number >> bit & 1 == 1).map(|bit| (format!("b{bit}"), "1".into())));
        }
        objects.push(workload);
    }
    let segments: Vec<_> = (0..bits).map(|bit| format!("segment/b{bit}")).collect();
    objects.push(policy("p", &[&format!("r allow {} -> 203.0.113.0/24 any", segments.join(","))]));
    objects
}

#[test]
fn as_many_classes_as_fit_are_compiled_and_one_more_is_refused_by_name() {
    let mut objects = workloads_in_classes(12);
    assert!(try_bundle(&domain(&objects)).is_ok());
    // It has no labels either, as the first workload, from which the prefix tells it apart.
    objects.push(workload("one-more", "x", "large", 9, "10.64.0.9"));
    objects.push(policy("q", &["r deny 10.64.1.0/32 -> any any"]));
    let Err(CompileError::TooManyClasses(told)) = try_bundle(&domain(&objects)) else { panic!("compiled") };
    assert!(
        told.starts_with("domain acme/prod: its rules tell 4097 classes of interface addresses apart, 4096 are"),
        "{told}"
    );
    assert!(told.contains("segment/b0"), "{told}");
}

#[test]
fn a_rule_of_very_many_prefixes_costs_in_proportion() {
    let prefixes: Vec<_> = (0..20_000).map(|n| format!("100.{}.{}.0/24", n >> 8, n & 255)).collect();
    let domain = domain(&shop(&[&format!("r allow {} -> any any", prefixes.join(","))]));
    let start = Instant::now();
    let bundle = bundle(&domain);
    // Every pair of prefixes looked at would take minutes; this takes about a second on a slow machine.
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert_eq!(bundle.policy.rows.len(), 20_000);
}

#[test]
fn more_rows_than_a_host_holds_are_refused_by_the_rule() {
    let mut objects = workloads_in_classes(10);
    objects.push(policy("wide", &["r allow any -> any any"]));
    let Err(CompileError::TooManyRows(told)) = try_bundle(&domain(&objects)) else { panic!("compiled") };
    assert!(told.contains("the widest rule is wide/r"), "{told}");
}

proptest! {
    #[test]
    fn every_bundle_is_well_formed(objects in generate::domain_objects()) {
        let bundle = bundle(&domain(&objects));
        let classes = bundle.interfaces.iter().flat_map(|interface| interface.addresses.iter().map(|(_, class)| *class));
        let inside: BTreeSet<u32> = classes.collect();
        let outside: BTreeSet<u32> = bundle.policy.prefixes.iter().map(|(_, class)| *class).collect();
        prop_assert!(!inside.contains(&0) && !outside.contains(&0));
        prop_assert!(inside.is_disjoint(&outside));
        prop_assert!(bundle.policy.rows.is_sorted());
        let unique: BTreeSet<_> = bundle.policy.profiles.iter().collect();
        prop_assert_eq!(unique.len(), bundle.policy.profiles.len());
        for row in &bundle.policy.rows {
            prop_assert!(inside.contains(&row.from_class) || inside.contains(&row.to_class));
        }
        for table in bundle.policy.profiles.iter().flat_map(|p| [&p.tcp, &p.udp, &p.sctp, &p.icmp, &p.icmp6, &p.other]) {
            prop_assert_eq!(table[0].first, 0);
            for pair in table.windows(2) {
                prop_assert!(pair[0].first < pair[1].first);
                prop_assert_ne!(pair[0], Run { first: pair[0].first, ..pair[1] });
            }
        }
    }
}
