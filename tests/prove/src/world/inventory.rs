//! Networks and workloads.

use std::collections::{BTreeMap, BTreeSet};

use ringfence_policy::object::{
    AddressPairSpec, InterfaceSpec, NetworkSpec, Object, Spec, SubnetSpec, UplinkSpec, WorkloadSpec,
};

use super::object;
use crate::random::Random;

/// Number and subnets of each network; addresses are the subnet's text with a number in place of its last part.
const NETWORKS: [(&str, &[(&str, &str)]); 3] = [
    ("front", &[("10.1.0.0/24", "10.1.0.1"), ("fd00:1::/64", "fd00:1::1")]),
    ("back", &[("10.2.0.0/24", "10.2.0.1"), ("10.3.0.0/25", "10.3.0.126"), ("fd00:2::/64", "fd00:2::ff")]),
    ("side", &[("fd00:7::/112", "fd00:7::1")]),
];

/// Prefixes of address pairs: inside a subnet and nested, around a subnet, over an interface's own address and over a
/// gateway, off every subnet and nested, single addresses, and with rules' prefixes inside and around.
const PAIRS: [&str; 18] = [
    "10.3.0.0/24",
    "fd00:7::/64",
    "10.1.0.128/26",
    "10.1.0.136/29",
    "10.1.0.12/30",
    "10.1.0.0/29",
    "172.16.0.0/16",
    "172.16.5.0/24",
    "172.16.5.128/25",
    "172.31.0.1/32",
    "10.2.0.200/32",
    "203.0.113.0/28",
    "fd00:1::80/121",
    "fd00:1::88/125",
    "fd00:5::/48",
    "fd00:5:0:1::/64",
    "2001:db8:9::/64",
    "fd00:2::1:0/112",
];

/// The label that no rule asks for.
const SERIAL: &str = "serial";

pub(super) fn uplink() -> UplinkSpec {
    UplinkSpec {
        host: "h1".to_owned(),
        device: "out".to_owned(),
        addresses: vec!["192.0.2.2/24".to_owned()],
        next_hops: vec!["192.0.2.1".to_owned()],
    }
}

pub(super) fn networks(random: &mut Random) -> Vec<Object> {
    let count = random.between(1, NETWORKS.len());
    let networks = NETWORKS.iter().take(count).map(|(name, subnets)| {
        let subnet = |(cidr, gateway): &(&str, &str)| SubnetSpec {
            cidr: (*cidr).to_owned(),
            gateway: (*gateway).to_owned(),
            ..SubnetSpec::default()
        };
        let subnets = subnets.iter().map(subnet).collect();
        object((*name).to_owned(), Spec::Network(NetworkSpec { subnets, ..NetworkSpec::default() }))
    });
    networks.collect()
}

pub(super) fn workloads(random: &mut Random, networks: &[Object]) -> Vec<Object> {
    let mut pairs: BTreeSet<&str> = PAIRS.into_iter().filter(|_| random.chance(25)).collect();
    let mut number = 10;
    let count = random.between(1, 5);
    let workload = |name: usize| {
        let interfaces = (0..random.one([1, 1, 1, 2])).map(|_| {
            number += 1;
            interface(random, networks.len(), number, &mut pairs)
        });
        let interfaces = interfaces.collect();
        let spec = WorkloadSpec { interfaces, labels: labels(random, name), ports: ports(random), bare_metal: false };
        object(format!("w{name}"), Spec::Workload(spec))
    };
    (0..count).map(workload).collect()
}

fn labels(random: &mut Random, name: usize) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::from([(SERIAL.to_owned(), format!("n{name}"))]);
    if random.chance(80) {
        labels.insert("role".to_owned(), random.one(super::peers::ROLES).to_owned());
    }
    if random.chance(40) {
        labels.insert("stage".to_owned(), random.one(super::peers::STAGES).to_owned());
    }
    labels
}

fn ports(random: &mut Random) -> BTreeMap<String, u32> {
    let mut ports = BTreeMap::new();
    for name in super::rules::PORT_NAMES {
        if random.chance(60) {
            ports.insert(name.to_owned(), random.one([80, 443, 8080]));
        }
    }
    ports
}

fn interface(random: &mut Random, networks: usize, number: u8, pairs: &mut BTreeSet<&str>) -> InterfaceSpec {
    let (network, subnets) = NETWORKS[random.below(networks)];
    let mut addresses = Vec::new();
    for (cidr, _) in subnets {
        // Some interfaces lack a family, some have several addresses of one.
        for more in 0..random.one([0, 1, 1, 1, 2]) {
            addresses.push(address(cidr, number + more * 20));
        }
    }
    if addresses.is_empty() {
        addresses.extend(subnets.first().map(|(cidr, _)| address(cidr, number)));
    }
    let mut address_pairs = Vec::new();
    while address_pairs.len() < 3 && random.chance(60) {
        let Some(prefix) = pairs.pop_first() else { break };
        let mac = random.chance(50).then(|| format!("02:00:5e:00:01:{number:02x}"));
        address_pairs.push(AddressPairSpec { mac, prefix: prefix.to_owned() });
    }
    InterfaceSpec {
        name: format!("eth{number}"),
        network: network.to_owned(),
        mac: format!("02:00:00:00:00:{number:02x}"),
        addresses,
        host: random.one(["h1", "h2"]).to_owned(),
        device: None,
        address_pairs,
        port_security: random.one([None, None, Some(true), Some(false)]),
    }
}

/// An address of a subnet by its number there.
fn address(cidr: &str, number: u8) -> String {
    let base = cidr.split('/').next().unwrap_or_default();
    match base.strip_suffix(".0") {
        Some(v4) => format!("{v4}.{number}"),
        None => format!("{base}{number:x}"),
    }
}
