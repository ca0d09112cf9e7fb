//! What the compiled form looks like, beyond being right: small, stable, bounded.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

use std::collections::BTreeSet;

use common::{bundle, domain, generate, ground, ids, policy, segment, workload};
use proptest::prelude::*;
use ringfence_policy::{
    bundle::{
        Bundle, CompiledNetwork, CompiledSubnet, FEATURE_BUNDLE_V2, FEATURE_MULTICAST, FEATURE_SERVICES, Outcome, Run,
    },
    compile::compile,
    object::{NetworkSpec, Object, Spec},
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

fn class_of_prefix(bundle: &Bundle, prefix: &str) -> u32 {
    bundle.policy.prefixes.iter().find(|classed| classed.prefix.to_string() == prefix).unwrap().class_id
}

/// What (allows, by which ordinal) come to on either side where no policy is in audit.
fn run(first: u16, (from_allows, from_rule): (bool, u32), (to_allows, to_rule): (bool, u32)) -> Run {
    let enforced = Outcome { from_allows, to_allows, from_rule, to_rule };
    Run { first, enforced, shadow: enforced }
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
    let run = |first, allows, rule| run(first, (allows, rule), (allows, rule));
    let profile = &bundle.policy.profiles[usize::try_from(row.profile).unwrap()];
    assert_eq!(profile.tcp, [run(0, false, 0), run(80, true, 1), run(100, false, 0), run(65535, false, 2)]);
    assert_eq!(profile.udp, [run(0, false, 0)]);
    let names: Vec<_> = bundle.policy.rules.iter().map(|rule| (rule.id, rule.name.as_str())).collect();
    assert_eq!(names, [(0, "default/deny"), (100, "shop/a"), (101, "shop/b")]);
}

#[test]
fn a_side_that_is_no_workload_allows_by_ordinal_0() {
    let bundle = bundle(&domain(&shop(&["in deny outside -> segment/web any"])));
    assert_eq!(bundle.policy.rows.len(), 1);
    assert_eq!(bundle.policy.rows[0].from_class, class_of_prefix(&bundle, "0.0.0.0/0"));
    assert_eq!(bundle.policy.profiles[0].icmp6, [run(0, (true, 0), (false, 1))]);
}

#[test]
fn gateways_and_what_is_not_unicast_are_classes_of_their_own_without_outside() {
    let bundle = bundle(&domain(&shop(&["out allow segment/web -> outside any"])));
    let class = |text| class_of_prefix(&bundle, text);
    let gateways: BTreeSet<u32> = ["10.1.0.1/32", "10.2.0.1/32", "fd00:1::1/128"].map(class).into();
    let not_unicast: BTreeSet<u32> = ["224.0.0.0/4", "255.255.255.255/32", "ff00::/8"].map(class).into();
    assert_eq!((bundle.policy.prefixes.len(), gateways.len(), not_unicast.len()), (8, 1, 1));
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
    assert_eq!(bundle.features, [FEATURE_BUNDLE_V2]);
}

#[test]
fn a_domain_asks_agents_for_what_it_uses_and_no_more() {
    let features = |change: fn(&mut NetworkSpec)| {
        let mut objects = shop(&["r allow any -> any any"]);
        objects.iter_mut().for_each(|object| {
            if let Spec::Network(spec) = &mut object.spec {
                change(spec);
            }
        });
        bundle(&domain(&objects)).features
    };
    assert_eq!(features(|_| {}), [FEATURE_BUNDLE_V2]);
    assert_eq!(features(|network| network.subnets[0].dhcp = true), [FEATURE_BUNDLE_V2, FEATURE_SERVICES]);
    assert_eq!(features(|network| network.multicast = true), [FEATURE_BUNDLE_V2, FEATURE_MULTICAST]);
}

#[test]
fn a_network_without_services_reads_as_it_did_before_there_were_any() {
    let network = bundle(&domain(&shop(&["r allow any -> any any"]))).topology.networks[0].clone();
    let CompiledNetwork { name, vni, mtu, subnets, .. } = network.clone();
    let subnets = subnets.iter().map(|subnet| CompiledSubnet::new(subnet.cidr, subnet.gateway)).collect();
    assert_eq!(network, CompiledNetwork { name, vni, mtu, subnets, ..CompiledNetwork::default() });
}

#[test]
fn an_id_that_was_not_handed_out_is_named() {
    let domain = domain(&shop(&["r allow any -> any any"]));
    let mut ids = ids(&domain);
    ids.interfaces.remove(&("web-1".to_owned(), "eth0".to_owned()));
    let error = compile(&domain, &ids, &Default::default(), 1).unwrap_err();
    assert_eq!(error.to_string(), "domain acme/prod: no id was handed out for interface web-1/eth0");
}

proptest! {
    #[test]
    fn every_bundle_is_well_formed(objects in generate::domain_objects()) {
        let bundle = bundle(&domain(&objects));
        let classes = bundle.interfaces.iter().flat_map(|interface| interface.addresses.iter().map(|(_, class)| *class));
        let inside: BTreeSet<u32> = classes.collect();
        let outside: BTreeSet<u32> = bundle.policy.prefixes.iter().filter(|p| !p.votes).map(|p| p.class_id).collect();
        prop_assert!(!inside.contains(&0) && !outside.contains(&0));
        let votes: BTreeSet<u32> = bundle.policy.prefixes.iter().filter(|p| p.votes).map(|p| p.class_id).collect();
        let votes = &inside | &votes;
        prop_assert!(votes.is_disjoint(&outside));
        prop_assert!(bundle.policy.rows.is_sorted());
        let unique: BTreeSet<_> = bundle.policy.profiles.iter().collect();
        prop_assert_eq!(unique.len(), bundle.policy.profiles.len());
        for row in &bundle.policy.rows {
            prop_assert!(votes.contains(&row.from_class) || votes.contains(&row.to_class));
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
