//! Generated domains with every feature of the language, and the flows that tell a right bundle from a wrong one.

use proptest::prelude::*;
use ringfence_policy::{
    evaluate::Flow,
    model::Domain,
    object::{
        AddressPairSpec, AddressSetSpec, DomainSpec, InterfaceSpec, LabelTest, NetworkSpec, Object, PLATFORM,
        Requirement, RouteSpec, SegmentSpec, Spec, WorkloadSpec,
    },
};

use super::{ground, object};

pub mod flows;
mod policies;

const ROLES: [&str; 3] = ["web", "app", "db"];
const SEGMENTS: usize = 3;
const SETS: usize = 2;
/// Workloads are called `w11` and so on; rules name those that are always there.
const WORKLOADS: [&str; 2] = ["w11", "w12"];

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

/// Prefixes of address pairs: in one another, around a gateway, around interfaces' own addresses and around
/// what is not unicast.
const PAIRS: [&str; 8] = [
    "0.0.0.0/0",
    "10.0.0.0/8",
    "10.1.0.0/24",
    "10.9.9.0/24",
    "203.0.113.0/28",
    "192.0.0.0/2",
    "fd00:1::/64",
    "2001:db8::1/128",
];

/// The objects of one domain, and policies of the platform.
pub fn domain_objects() -> impl Strategy<Value = Vec<Object>> {
    let default = prop::option::of(prop::sample::select(vec!["allow", "deny"]));
    let workloads = prop::collection::vec(workload(), WORKLOADS.len()..5);
    let pairs = prop::collection::vec(prop::option::weighted(0.3, any::<prop::sample::Index>()), PAIRS.len());
    let segments = prop::collection::vec(requirements(), SEGMENTS);
    let sets = prop::collection::vec(prop::collection::vec(prop::sample::select(&CIDRS[..]), 1..4), SETS);
    let policies = prop::collection::vec(policies::of_domain(), 1..5);
    let platform = prop::collection::vec(policies::of_platform(), 0..2);
    let served = any::<bool>();
    (default, workloads, pairs, segments, sets, policies, platform, served).prop_map(
        |(default, workloads, pairs, segments, sets, policies, platform, served)| {
            let mut objects = ground();
            if let Some(Spec::Network(network)) = objects.get_mut(2).filter(|_| served).map(|o| &mut o.spec) {
                serve(network);
            }
            if let Some(Spec::Domain(DomainSpec { default: of, .. })) = objects.get_mut(1).map(|o| &mut o.spec) {
                *of = default.map(str::to_owned);
            }
            let of_segment = |requirements| Spec::Segment(SegmentSpec { requirements });
            objects.extend(named("s", segments.into_iter().map(of_segment)));
            let of_set =
                |addresses: Vec<&str>| AddressSetSpec { addresses: addresses.into_iter().map(Into::into).collect() };
            objects.extend(named("a", sets.into_iter().map(of_set).map(Spec::AddressSet)));
            objects.extend(workloads_with(workloads, &pairs));
            objects.extend(named("p", policies.into_iter().map(Spec::Policy)));
            let of_platform = named("p", platform.into_iter().map(Spec::Policy));
            objects.extend(of_platform.map(|object| Object { domain: PLATFORM.into(), ..object }));
            objects
        },
    )
}

/// Gives a network of both families every service there is.
pub fn serve(network: &mut NetworkSpec) {
    network.multicast = true;
    network.lease = Some("90s".into());
    network.search_domains = vec!["corp.example".into(), "example".into()];
    let said = [("10.1.0.2", "172.16.0.0/12", "10.1.0.9"), ("fd00:1::2", "fd09::/16", "fd00:1::1")];
    for (subnet, (dns, to, via)) in network.subnets.iter_mut().zip(said) {
        subnet.dns = vec![dns.into()];
        subnet.dhcp = true;
        subnet.ra = subnet.cidr.contains(':');
        subnet.routes = vec![RouteSpec { to: to.into(), via: via.into() }];
    }
}

/// See [`flows::all`].
pub fn flows(domain: &Domain) -> Vec<Flow> {
    flows::all(domain)
}

/// Objects of the domain, numbered.
fn named(prefix: &'static str, specs: impl Iterator<Item = Spec>) -> impl Iterator<Item = Object> {
    specs.enumerate().map(move |(number, spec)| object(&format!("{prefix}{number}"), spec))
}

/// A workload's labels, its ports, and whether it has a second interface.
fn workload() -> impl Strategy<Value = (WorkloadSpec, bool)> {
    let role = prop::option::of(prop::sample::select(&ROLES[..]));
    let port = || prop::option::of(prop::sample::select(vec![80, 443, 65535]));
    (role, any::<bool>(), port(), port(), any::<bool>()).prop_map(|(role, is_test, web, admin, two)| {
        let mut workload = WorkloadSpec::default();
        workload.labels.extend(role.map(|role| ("role".to_owned(), role.to_owned())));
        workload.labels.extend(is_test.then(|| ("stage".to_owned(), "test".to_owned())));
        workload.ports.extend(web.map(|port| ("web".to_owned(), port)));
        workload.ports.extend(admin.map(|port| ("admin".to_owned(), port)));
        (workload, two)
    })
}

/// Workloads in the front network, with an address of each family and a label of their own; some in the back
/// network too. Each pair is nobody's or one workload's.
fn workloads_with(workloads: Vec<(WorkloadSpec, bool)>, pairs: &[Option<prop::sample::Index>]) -> Vec<Object> {
    let count = workloads.len();
    let numbered = (11_u8..).zip(workloads).enumerate();
    numbered
        .map(|(place, (number, (mut spec, two)))| {
            let name = format!("w{number}");
            spec.labels.insert("serial".into(), name.clone());
            let owned = PAIRS.iter().zip(pairs).filter(|(_, owner)| owner.is_some_and(|o| o.index(count) == place));
            let pairs = owned.map(|(prefix, _)| AddressPairSpec { mac: None, prefix: (*prefix).into() }).collect();
            let front = vec![format!("10.1.0.{number}"), format!("fd00:1::{number}")];
            spec.interfaces.push(InterfaceSpec { address_pairs: pairs, ..interface("front", number, front) });
            if two {
                spec.interfaces.push(interface("back", number, vec![format!("10.2.0.{number}")]));
            }
            object(&name, Spec::Workload(spec))
        })
        .collect()
}

fn interface(network: &str, number: u8, addresses: Vec<String>) -> InterfaceSpec {
    InterfaceSpec {
        name: network.into(),
        network: network.into(),
        mac: format!("02:00:00:00:00:{number:02x}"),
        addresses,
        host: format!("h{}", number % 3 + 1),
        port_security: number.is_multiple_of(2).then_some(false),
        ..InterfaceSpec::default()
    }
}

fn requirements() -> impl Strategy<Value = Vec<Requirement>> {
    let role = || prop::sample::select(&ROLES[..]).prop_map(str::to_owned);
    let test = prop_oneof![
        role().prop_map(LabelTest::Equals),
        prop::collection::vec(role(), 1..3).prop_map(LabelTest::In),
        prop::collection::vec(role(), 1..3).prop_map(LabelTest::NotIn),
        any::<bool>().prop_map(LabelTest::Exists),
    ];
    let key = prop::sample::select(vec!["role", "stage"]).prop_map(str::to_owned);
    prop::collection::vec((key, test).prop_map(|(key, test)| Requirement { key, test }), 1..3)
}
