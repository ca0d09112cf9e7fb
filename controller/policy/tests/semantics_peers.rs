//! Whom a peer matches and what traffic is, case by case, of the evaluator that is the definition.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

use common::cast::{holds, policy, stage, verdict};

/// A policy of one rule that allows all traffic between two lists of peers.
fn between(from: &str, to: &str) -> String {
    policy("p", "", &[&format!("name: r, from: [{from}], to: [{to}], action: allow, traffic: [any]")])
}

/// Who of these `web-2` may ask, if a rule lets it ask this peer.
#[track_caller]
fn matches(peer: &str, these: &[&str], not_those: &[&str]) {
    let policies = between("workload/web-2", peer);
    let expect =
        |to: &&str, what: &str| format!("from: web-2, to: \"{to}\", traffic: udp/1, family: ipv4, expect: {what}");
    let flows: Vec<_> =
        these.iter().map(|to| expect(to, "allow")).chain(not_those.iter().map(|to| expect(to, "deny"))).collect();
    holds(&policies, &flows.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn any_is_workloads_outside_and_the_host_and_never_multicast() {
    matches("any", &["web-1", "203.0.113.9", "host"], &["224.0.0.5", "255.255.255.255"]);
}

#[test]
fn outside_is_unicast_and_no_interface_s_no_gateway_and_no_host() {
    matches("outside", &["203.0.113.9", "10.2.0.200"], &["web-1", "10.1.0.1", "host", "224.0.0.5"]);
}

#[test]
fn a_segment_is_the_addresses_of_the_workloads_it_selects() {
    matches("segment/web", &["web-1"], &["db-1", "203.0.113.9", "10.1.0.1", "host"]);
}

#[test]
fn a_workload_is_its_addresses() {
    matches("workload/web-1", &["web-1"], &["db-1", "203.0.113.9", "host"]);
}

#[test]
fn labels_select_as_a_segment_does() {
    matches("{labels: {role: web, stage: test}}", &["web-1"], &["db-1", "vm-1", "203.0.113.9"]);
    matches("{labels: [{key: role, in: [web, db]}]}", &["web-1", "db-1"], &["vm-1"]);
    matches("{labels: [{key: role, exists: false}]}", &["vm-1"], &["web-1", "203.0.113.9"]);
}

#[test]
fn not_in_matches_a_workload_without_the_label() {
    matches("{labels: [{key: role, notIn: [db]}]}", &["web-1", "vm-1"], &["db-1", "203.0.113.9"]);
}

#[test]
fn a_prefix_matches_interfaces_gateways_and_multicast_but_not_the_host() {
    matches("{cidr: 10.0.0.0/8}", &["web-1", "10.1.0.1"], &["203.0.113.9", "host"]);
    matches("{cidr: 0.0.0.0/0}", &["web-1", "224.0.0.5", "203.0.113.9"], &["host"]);
}

#[test]
fn except_takes_its_prefixes_out_of_the_peer_alone() {
    matches("{cidr: 10.0.0.0/8, except: [10.2.0.0/24, 10.1.0.1/32]}", &["web-1"], &["db-1", "10.1.0.1"]);
    matches("{cidr: 10.0.0.0/8, except: [10.2.0.0/24]}, workload/db-1", &["web-1", "db-1"], &["vm-1"]);
}

#[test]
fn an_address_set_matches_every_address_in_it() {
    let set = "kind: AddressSet\ndomain: acme/prod\nname: office\naddresses: [10.2.0.11, 198.51.100.0/24]\n---\n";
    holds(
        &(set.to_owned() + &between("any", "addresses/office")),
        &[
            "from: web-2, to: db-1, traffic: tcp/1, expect: allow",
            "from: web-2, to: 198.51.100.7, traffic: tcp/1, expect: allow",
            "from: web-2, to: vm-1, traffic: tcp/1, expect: deny",
        ],
    );
}

#[test]
fn the_host_is_matched_by_host_and_any_whatever_its_address() {
    holds(
        &between("host", "any"),
        &[
            "from: host, to: db-1, traffic: tcp/22, expect: allow",
            "from: web-2, to: db-1, traffic: tcp/22, expect: deny",
            "from: 172.16.0.1, to: db-1, traffic: tcp/22, expect: deny",
        ],
    );
    holds(&between("any", "host"), &["from: web-1, to: host, traffic: tcp/22, expect: allow"]);
}

// === whose an address is ===

#[test]
fn an_address_in_a_pair_votes_as_the_pair_s_workload_the_longest_first() {
    let edge = r#"kind: Workload
domain: acme/prod
name: edge
interfaces:
  - name: eth0
    network: back
    mac: "02:00:00:00:01:05"
    addresses: [10.2.0.13]
    addressPairs: [{prefix: 192.0.0.0/2}]
    host: h1
---
"#;
    let rule = |name| {
        policy(name, "", &[&format!("name: r, from: [any], to: [workload/{name}], action: allow, traffic: [any]")])
    };
    let domain = stage(&(edge.to_owned() + &["web-2", "vm-1", "edge"].map(rule).concat()));
    let owner = |address: &str| {
        verdict(&domain, &format!("from: 8.8.8.8, to: {address}, traffic: tcp/1")).to.map(|vote| vote.enforced.rule)
    };
    assert_eq!(owner("10.9.0.7").as_deref(), Some("vm-1/r"));
    assert_eq!(owner("10.9.1.7").as_deref(), Some("web-2/r"));
    assert_eq!(owner("203.0.113.9").as_deref(), Some("edge/r"));
    // An interface's own address and a gateway are stronger than a pair that holds them, and a pair is unicast.
    assert_eq!(owner("10.1.0.12").as_deref(), Some("web-2/r"));
    assert_eq!(owner("10.1.0.200").as_deref(), Some("vm-1/r"));
    assert_eq!(owner("10.1.0.1"), None);
    assert_eq!(owner("224.0.0.5"), None);
    assert_eq!(owner("9.9.9.9"), None);
}

#[test]
fn an_address_in_a_pair_is_not_outside() {
    matches("outside", &[], &["10.9.0.7"]);
}

// === traffic ===

/// Whether a rule about some traffic matches a question.
#[track_caller]
fn speaks_of(traffic: &str, these: &[&str], not_those: &[&str]) {
    let policies = policy("p", "", &[&format!("name: r, from: [any], to: [any], action: allow, traffic: [{traffic}]")]);
    let expect = |asked: &&str, what: &str| {
        format!(
            "from: web-1, to: \"{}\", traffic: {asked}, expect: {what}",
            if asked.starts_with("icmp6") { "2001:db8::1" } else { "203.0.113.9" }
        )
    };
    let flows: Vec<_> = these
        .iter()
        .map(|asked| expect(asked, "allow"))
        .chain(not_those.iter().map(|asked| expect(asked, "deny")))
        .collect();
    holds(&policies, &flows.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn any_traffic_is_every_protocol() {
    speaks_of("any", &["tcp/0", "udp/65535", "sctp/1", "icmp/255/255", "icmp6", "proto/47"], &[]);
}

#[test]
fn a_range_holds_both_its_ends_and_only_its_protocol() {
    speaks_of("tcp/80-90", &["tcp/80", "tcp/90"], &["tcp/79", "tcp/91", "udp/80", "sctp/80"]);
    speaks_of("udp/53", &["udp/53"], &["udp/54", "tcp/53"]);
    speaks_of("sctp", &["sctp/0", "sctp/65535"], &["tcp/1", "udp/1"]);
    speaks_of("sctp/5", &["sctp/5"], &["sctp/6"]);
}

#[test]
fn icmp_and_icmp6_are_two_things() {
    speaks_of("icmp", &["icmp", "icmp/3/4"], &["icmp6", "proto/47"]);
    speaks_of("icmp6", &["icmp6", "icmp6/1/4"], &["icmp"]);
}

#[test]
fn a_type_holds_every_code_and_a_code_only_itself() {
    speaks_of("icmp/3", &["icmp/3/0", "icmp/3/4"], &["icmp/8/0"]);
    speaks_of("icmp/3/4", &["icmp/3/4"], &["icmp/3/3", "icmp/4/4"]);
    speaks_of("icmp6/128/0", &["icmp6/128/0"], &["icmp6/128/1", "icmp6/129"]);
}

#[test]
fn a_protocol_s_number_matches_it_by_whatever_name() {
    speaks_of("proto/47", &["proto/47"], &["proto/50", "tcp/47"]);
    speaks_of("proto/6", &["tcp/1", "tcp/65535"], &["udp/1"]);
    speaks_of("proto/1", &["icmp/8/0"], &["icmp6"]);
    speaks_of("proto/58", &["icmp6/128/0"], &["icmp"]);
}

#[test]
fn a_port_s_name_is_what_the_destination_s_workload_says() {
    let policies = policy("p", "", &["name: r, from: [any], to: [any], action: allow, traffic: [tcp/https]"]);
    holds(
        &policies,
        &[
            "from: db-1, to: web-1, traffic: tcp/443, expect: allow",
            "from: db-1, to: web-1, traffic: tcp/8443, expect: deny",
            "from: db-1, to: web-2, traffic: tcp/8443, expect: allow",
            "from: db-1, to: 10.9.1.7, traffic: tcp/8443, expect: allow",
            "from: db-1, to: web-1, traffic: udp/443, expect: deny",
            // The source has the name; what matters is the destination.
            "from: web-1, to: db-1, traffic: tcp/443, expect: deny",
            "from: web-1, to: 203.0.113.9, traffic: tcp/443, expect: deny",
        ],
    );
}

/// Two routers that share an address, alike but in name.
fn routers() -> String {
    let router = |n: u8| {
        format!(
            "kind: Workload\ndomain: acme/prod\nname: router-{n}\nlabels: {{role: router}}\nports: {{bgp: 179}}\ninterfaces:\n\
             - {{name: eth0, network: front, mac: \"02:00:00:00:02:0{n}\", addresses: [10.1.0.2{n}], host: h{n}, \
             addressPairs: [{{prefix: 10.1.0.99}}]}}\n---\n"
        )
    };
    [router(1), router(2)].concat()
}

#[test]
fn a_shared_address_is_its_claimants_by_labels_and_ports_and_nobody_s_by_name() {
    let flows = |expect: &str| format!("from: web-1, to: 10.1.0.99, traffic: tcp/179, expect: {expect}");
    let rule = |to: &str, traffic: &str| {
        let rule = format!("name: r, from: [workload/web-1], to: [{to}], action: allow, traffic: [{traffic}]");
        [routers(), policy("p", "", &[&rule])].concat()
    };
    for to in ["{labels: {role: router}}", "any", "{cidr: 10.1.0.99/32}"] {
        holds(&rule(to, "any"), &[&flows("allow")]);
        holds(&rule(to, "tcp/bgp"), &[&flows("allow")]);
    }
    for to in ["workload/router-1", "workload/router-2", "outside", "segment/web"] {
        holds(&rule(to, "any"), &[&flows("deny")]);
    }
    // From it, its side votes as the claimants' would.
    let answer = ["from: 10.1.0.99, to: web-1, traffic: udp/1, expect: allow"];
    holds(&[routers(), between("{labels: {role: router}}", "workload/web-1")].concat(), &answer);
}
