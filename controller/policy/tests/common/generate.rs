//! Generated domains, and the flows that tell a right bundle from a wrong one.

use std::{collections::BTreeSet, net::IpAddr};

use proptest::prelude::*;
use ringfence_policy::{
    evaluate::{Flow, Traffic},
    model::{self, Domain},
    object::{LabelTest, Object, PeerSpec, PolicySpec, Requirement, RuleSpec, SegmentSpec, Spec, WorkloadSpec},
};

use super::{ground, object};

const CIDRS: [&str; 15] = [
    "0.0.0.0/0",
    "10.0.0.0/8",
    "10.1.0.0/24",
    "10.1.0.1/32",
    "10.1.0.11/32",
    "192.0.0.0/2",
    "224.0.0.0/24",
    "255.255.255.255/32",
    "203.0.113.0/24",
    "203.0.113.7/32",
    "::/0",
    "fd00::/16",
    "fd00:1::12/128",
    "2001:db8::/32",
    "ff02::/16",
];
const PORTS: [u32; 6] = [0, 80, 81, 443, 65534, 65535];
const ROLES: [&str; 3] = ["web", "app", "db"];
const SEGMENTS: usize = 4;

/// Addresses that are no interface's: in the prefixes above and in none, on a subnet and off, gateways, and such
/// as are not unicast. The programs drop what goes to the latter two before any rule is asked; what rules say of
/// them is the same everywhere nevertheless.
const OUTSIDE: [&str; 15] = [
    "203.0.113.7",
    "203.0.113.8",
    "198.51.100.1",
    "10.1.0.200",
    "10.9.9.9",
    "10.1.0.1",
    "10.2.0.1",
    "224.0.0.5",
    "239.1.1.1",
    "255.255.255.255",
    "fd00:1::200",
    "2001:db8::1",
    "2600::1",
    "fd00:1::1",
    "ff02::5",
];

/// The objects of one domain.
pub fn domain_objects() -> impl Strategy<Value = Vec<Object>> {
    let workloads = prop::collection::vec(labels(), 1..5);
    let segments = prop::collection::vec(prop::collection::vec(requirement(), 1..3), SEGMENTS);
    let policies = prop::collection::vec(prop::collection::vec(rule(), 1..5), 1..4);
    (workloads, segments, policies).prop_map(|(workloads, segments, policies)| {
        let mut objects = ground();
        objects.extend((11..).zip(workloads).map(workload));
        objects.extend(
            segments
                .into_iter()
                .enumerate()
                .map(|(index, requirements)| object(&format!("s{index}"), Spec::Segment(SegmentSpec { requirements }))),
        );
        objects.extend(policies.into_iter().enumerate().map(|(index, mut rules)| {
            for (place, rule) in rules.iter_mut().enumerate() {
                rule.name = format!("r{place}");
            }
            object(&format!("p{index}"), Spec::Policy(PolicySpec { rules, ..PolicySpec::default() }))
        }));
        objects
    })
}

type Labels = (Option<&'static str>, bool);

fn labels() -> impl Strategy<Value = Labels> {
    (prop::option::of(prop::sample::select(&ROLES[..])), any::<bool>())
}

/// A workload in the front network, with an address of each family.
fn workload((number, (role, is_test)): (u8, Labels)) -> Object {
    let name = format!("w{number}");
    let mut workload = super::workload(&name, "", "front", number, &format!("10.1.0.{number}"));
    if let Spec::Workload(WorkloadSpec { labels, interfaces, .. }) = &mut workload.spec {
        labels.clear();
        labels.extend(role.map(|role| ("role".to_owned(), role.to_owned())));
        labels.extend(is_test.then(|| ("stage".to_owned(), "test".to_owned())));
        labels.insert("serial".into(), name);
        interfaces[0].addresses.push(format!("fd00:1::{number}"));
    }
    workload
}

fn requirement() -> impl Strategy<Value = Requirement> {
    let role = || prop::sample::select(&ROLES[..]).prop_map(str::to_owned);
    let test = prop_oneof![
        role().prop_map(LabelTest::Equals),
        prop::collection::vec(role(), 1..3).prop_map(LabelTest::In),
        prop::collection::vec(role(), 1..3).prop_map(LabelTest::NotIn),
        any::<bool>().prop_map(LabelTest::Exists),
    ];
    let key = prop::sample::select(vec!["role", "stage"]).prop_map(str::to_owned);
    (key, test).prop_map(|(key, test)| Requirement { key, test })
}

fn rule() -> impl Strategy<Value = RuleSpec> {
    let peers = || prop::collection::vec(peer(), 1..3);
    let traffic = prop::collection::vec(traffic(), 1..3);
    let priority = prop::option::of(prop::sample::select(vec![10_u32, 999, 1000, 1001]));
    (peers(), peers(), any::<bool>(), traffic, priority).prop_map(|(from, to, allow, traffic, priority)| RuleSpec {
        name: String::new(),
        from,
        to,
        action: if allow { "allow" } else { "deny" }.into(),
        traffic,
        priority,
        ..RuleSpec::default()
    })
}

fn peer() -> impl Strategy<Value = PeerSpec> {
    let name = |name: &str| Just(PeerSpec::Name(name.into()));
    prop_oneof![
        name("any"),
        name("outside"),
        (0..SEGMENTS).prop_map(|index| PeerSpec::Name(format!("segment/s{index}"))),
        prop::sample::select(&CIDRS[..]).prop_map(|cidr| PeerSpec::Cidr { cidr: cidr.into(), except: Vec::new() }),
    ]
}

fn traffic() -> impl Strategy<Value = String> {
    let port = || prop::sample::select(&PORTS[..]);
    let ranges = (prop::sample::select(vec!["tcp", "udp"]), port(), port())
        .prop_map(|(protocol, a, b)| format!("{protocol}/{}-{}", a.min(b), a.max(b)));
    prop_oneof![ranges, prop::sample::select(vec!["any", "tcp", "udp", "icmp", "icmp6"]).prop_map(str::to_owned)]
}

/// Every flow between the addresses that matter, of the traffic that matters: the ends of each rule's
/// ranges and what is just beyond them, and the protocols that only `any` speaks of.
pub fn flows(domain: &Domain) -> Vec<Flow> {
    let interfaces = domain.workloads().flat_map(|(_, workload)| &workload.interfaces);
    let mut addresses: Vec<IpAddr> = interfaces.flat_map(|interface| interface.addresses.clone()).collect();
    addresses.extend(OUTSIDE.iter().map(|text| text.parse::<IpAddr>().unwrap()));
    let traffic = telling_traffic(domain);
    let mut flows = Vec::new();
    for source in &addresses {
        for destination in addresses.iter().filter(|other| other.is_ipv4() == source.is_ipv4()) {
            let of_family = traffic.iter().filter(|traffic| match traffic {
                Traffic::Icmp(..) => source.is_ipv4(),
                Traffic::Icmp6(..) => source.is_ipv6(),
                _ => true,
            });
            flows.extend(of_family.map(|t| Flow {
                source: (*source).into(),
                destination: (*destination).into(),
                traffic: *t,
            }));
        }
    }
    flows
}

fn telling_traffic(domain: &Domain) -> Vec<Traffic> {
    let mut ports = BTreeSet::from([0, u16::MAX]);
    for traffic in domain.policies().flat_map(|(_, policy)| &policy.rules).flat_map(|rule| &rule.traffic) {
        if let model::Traffic::Tcp(model::Ports::Range(range)) | model::Traffic::Udp(model::Ports::Range(range)) =
            traffic
        {
            ports.extend([range.first(), range.last()]);
            ports.extend([range.first().saturating_sub(1), range.last().saturating_add(1)]);
        }
    }
    let mut traffic: Vec<Traffic> = ports.iter().flat_map(|port| [Traffic::Tcp(*port), Traffic::Udp(*port)]).collect();
    traffic.extend([Traffic::Sctp(80), Traffic::Icmp(8, 0), Traffic::Icmp6(128, 0), Traffic::Other(47)]);
    traffic
}
