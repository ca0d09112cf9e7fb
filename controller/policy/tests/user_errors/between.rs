//! Objects that are sound alone and not together.

use super::{WORKLOAD, common::GROUND, model_errors, rule, rule_from};

#[test]
fn a_segment_that_does_not_exist_is_named() {
    let text = format!("{GROUND}{}", rule("name: r, from: [any], to: [segment/web], action: allow, traffic: [any]"));
    assert_eq!(
        model_errors(&text),
        "f.yaml:25:33: Policy acme/prod/shop: rules[0].to[0]: \
         there is no Segment acme/prod/web: add it or correct the name"
    );
}

#[test]
fn an_address_that_two_interfaces_have_names_the_other_holder() {
    let second = WORKLOAD.replace("web-1", "web-2").replace("01:01", "01:02");
    assert_eq!(
        model_errors(&format!("{GROUND}{WORKLOAD}---\n{second}")),
        "f.yaml:33:72: Workload acme/prod/web-2: interfaces[0].addresses[0]: 10.1.0.11 is the address of \
         Workload acme/prod/web-1 (interfaces[0].addresses[0]): choose another"
    );
}

#[test]
fn a_mac_that_two_interfaces_of_a_network_have_names_the_other_holder() {
    let second = WORKLOAD.replace("web-1", "web-2").replace("10.1.0.11", "10.1.0.12");
    assert_eq!(
        model_errors(&format!("{GROUND}{WORKLOAD}---\n{second}")),
        "f.yaml:33:39: Workload acme/prod/web-2: interfaces[0].mac: 02:00:00:00:01:01 is the MAC address of \
         Workload acme/prod/web-1 (interfaces[0].mac) in network front: choose another"
    );
}

#[test]
fn an_address_outside_its_network_is_told_the_subnets() {
    assert_eq!(
        model_errors(&format!("{GROUND}{}", WORKLOAD.replace("10.1.0.11", "10.2.0.11"))),
        "f.yaml:26:72: Workload acme/prod/web-1: interfaces[0].addresses[0]: 10.2.0.11 is outside its network \
         front (10.1.0.0/24, fd00:1::/64): choose an address inside"
    );
}

/// What is wrong with a text after the ground, which has 21 lines.
#[track_caller]
fn told_on_ground(text: &str, expected: &str) {
    assert_eq!(model_errors(&format!("{GROUND}{text}")), expected);
}

#[test]
fn a_peer_that_names_nothing_there_is_told_what_is_missing() {
    let advice = "add it or correct the name";
    for (peer, missing) in [
        ("segment/web", "Segment acme/prod/web"),
        ("workload/web-1", "Workload acme/prod/web-1"),
        ("addresses/office", "AddressSet acme/prod/office"),
    ] {
        told_on_ground(
            &rule_from(&format!("[{peer}]")),
            &format!("f.yaml:25:22: Policy acme/prod/shop: rules[0].from[0]: there is no {missing}: {advice}"),
        );
    }
}

#[test]
fn a_policy_of_the_platform_names_nothing_of_a_domain() {
    for peer in ["host", "segment/web", "workload/web-1", "addresses/office"] {
        told_on_ground(
            &rule_from(&format!("[any, {peer}]")).replace("acme/prod", "\"*\""),
            &format!(
                "f.yaml:25:27: Policy */shop: rules[0].from[1]: {peer} means nothing in every domain: a policy of the \
                 platform names any, outside, {{cidr: PREFIX}} or {{labels: {{KEY: VALUE}}}}"
            ),
        );
    }
}

#[test]
fn an_address_that_no_workload_can_have_in_its_subnet_is_told_why() {
    for (address, why) in [
        ("10.1.0.1", "is the gateway of network front: choose another"),
        ("10.1.0.255", "is the network or broadcast address of 10.1.0.0/24: choose one between them"),
    ] {
        told_on_ground(
            &WORKLOAD.replace("10.1.0.11", address),
            &format!("f.yaml:26:72: Workload acme/prod/web-1: interfaces[0].addresses[0]: {address} {why}"),
        );
    }
}

#[test]
fn a_network_that_is_not_there_is_named() {
    told_on_ground(
        &WORKLOAD.replace("network: front", "network: frnt"),
        "f.yaml:26:27: Workload acme/prod/web-1: interfaces[0].network: there is no Network acme/prod/frnt: add it or \
         correct the name",
    );
}

/// Two workloads that share an address, the second with these changes.
fn sharing(prefix: &str, changes: &[(&str, &str)]) -> String {
    let first = WORKLOAD.replace("host: h1", &format!("host: h1, addressPairs: [{{prefix: {prefix}}}]"));
    let mut second = first.replace("web-1", "web-2").replace("01:01", "01:02").replace(".11", ".12");
    for (old, new) in changes {
        assert!(second.contains(old), "{old}");
        second = second.replace(old, new);
    }
    format!("{first}---\n{second}")
}

const HELD: &str = "f.yaml:33:118: Workload acme/prod/web-2: interfaces[0].addressPairs[0].prefix: 10.1.0.99/32 is the \
                    address pair of Workload acme/prod/web-1 (interfaces[0].addressPairs[0].prefix), ";

#[test]
fn only_a_single_address_may_be_shared() {
    let held = HELD.replace("10.1.0.99/32", "10.1.0.96/30");
    let wanted = "and only a single address (/32) may be shared: choose another prefix";
    told_on_ground(&sharing("10.1.0.96/30", &[]), &format!("{held}{wanted}"));
}

#[test]
fn those_who_share_an_address_are_alike_to_policy() {
    let wanted = "whose workload has other labels or ports: give both the same, since policy says the same of a shared \
                  address whoever holds it";
    let other_labels = sharing("10.1.0.99", &[("role: web", "role: db")]);
    told_on_ground(&other_labels, &format!("{HELD}{wanted}"));
}

#[test]
fn those_who_share_an_address_are_in_one_network() {
    let elsewhere = sharing("10.1.0.99", &[("network: front", "network: back"), ("10.1.0.12", "10.2.0.12")]);
    let held = HELD.replace("33:118", "33:117");
    let wanted = "in another network: those who share an address must be in one";
    told_on_ground(&elsewhere, &format!("{held}{wanted}"));
}

#[test]
fn no_more_than_eight_share_an_address() {
    let first = WORKLOAD.replace("host: h1", "host: h1, addressPairs: [{prefix: 10.1.0.99}]");
    let of = |n: u8| {
        let other = first.replace("web-1", &format!("web-{n}")).replace("01:01", &format!("01:0{n}"));
        other.replace("10.1.0.11", &format!("10.1.0.1{n}"))
    };
    let all: Vec<String> = (1..=9).map(of).collect();
    let held = HELD.replace("33:118", "82:118").replace("web-2", "web-9");
    let wanted = "and 8 interfaces share it already: no more may";
    told_on_ground(&all.join("---\n"), &format!("{held}{wanted}"));
}

#[test]
fn an_interface_has_a_pair_once() {
    let twice = "host: h1, addressPairs: [{prefix: 10.1.0.99}, {prefix: 10.1.0.99, mac: \"02:00:00:00:00:99\"}]";
    told_on_ground(
        &WORKLOAD.replace("host: h1", twice),
        "f.yaml:26:139: Workload acme/prod/web-1: interfaces[0].addressPairs[1].prefix: 10.1.0.99/32 is the address \
         pair of Workload acme/prod/web-1 (interfaces[0].addressPairs[0].prefix), and an interface needs it once: \
         delete one",
    );
}

#[test]
fn a_device_that_two_interfaces_have_names_the_other_holder() {
    let first = WORKLOAD.replace("host: h1", "host: h1, device: tap1");
    let second = first.replace("web-1", "web-2").replace("01:01", "01:02").replace(".11", ".12");
    told_on_ground(
        &format!("{first}---\n{second}"),
        "f.yaml:33:102: Workload acme/prod/web-2: interfaces[0].device: device \"tap1\" of host h1 belongs to Workload \
         acme/prod/web-1 (interfaces[0].device): choose another",
    );
}

#[test]
fn a_vni_that_two_networks_have_names_the_other_holder() {
    let network = |name: &str, number: u8| {
        format!(
            "kind: Network\ndomain: acme/prod\nname: {name}\nvni: 7\n\
             subnets: [{{cidr: 10.{number}.0.0/24, gateway: 10.{number}.0.1}}]\n"
        )
    };
    told_on_ground(
        &format!("{}---\n{}", network("one", 3), network("two", 4)),
        "f.yaml:30:6: Network acme/prod/two: vni: VNI 7 belongs to Network acme/prod/one (vni): choose another",
    );
}

#[test]
fn a_subnet_that_overlaps_another_names_it() {
    told_on_ground(
        "kind: Network\ndomain: acme/prod\nname: wide\nsubnets: [{cidr: 10.0.0.0/8, gateway: 10.0.0.1}]\n",
        "f.yaml:24:18: Network acme/prod/wide: subnets[0].cidr: 10.0.0.0/8 overlaps 10.1.0.0/24 of Network \
         acme/prod/front (subnets[0].cidr): choose another prefix",
    );
}

#[test]
fn a_domain_or_tenant_that_is_not_there_is_named() {
    assert_eq!(
        model_errors("kind: Domain\nname: acme/prod\n"),
        "f.yaml:2:7: Domain acme/prod: name: there is no Tenant acme: add it or correct the name"
    );
    assert_eq!(
        model_errors(WORKLOAD),
        "f.yaml:2:9: Workload acme/prod/web-1: domain: there is no Domain acme/prod: add it or correct the name\n\
         f.yaml:6:27: Workload acme/prod/web-1: interfaces[0].network: there is no Network acme/prod/front: add it or \
         correct the name"
    );
}
