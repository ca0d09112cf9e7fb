//! Whom rules speak of: segments, address sets, prefixes.

use ringfence_policy::object::{AddressSetSpec, Kind, LabelTest, Object, PeerSpec, Requirement, SegmentSpec, Spec};

use super::object;
use crate::random::Random;

/// Values of the label `role`.
pub(super) const ROLES: [&str; 3] = ["web", "app", "db"];
/// Values of the label `stage`.
pub(super) const STAGES: [&str; 2] = ["test", "live"];

/// Prefixes of rules, each with what may be left out of it: over everything, over subnets, inside them, over and inside
/// address pairs, beyond, single addresses, and what is not unicast.
const PREFIXES: [(&str, &[&str]); 26] = [
    ("0.0.0.0/0", &["10.0.0.0/8", "203.0.113.0/24", "0.0.0.0/1"]),
    ("10.0.0.0/8", &["10.1.0.0/24", "10.1.0.11/32", "10.2.0.0/16"]),
    ("10.1.0.0/24", &["10.1.0.128/26", "10.1.0.12/32", "10.1.0.138/31"]),
    ("10.1.0.128/25", &["10.1.0.136/29"]),
    ("10.1.0.136/30", &["10.1.0.137/32"]),
    ("10.1.0.1/32", &[]),
    ("10.1.0.11/32", &[]),
    ("10.2.0.0/15", &["10.2.0.200/32", "10.3.0.0/25"]),
    ("172.16.0.0/12", &["172.16.5.0/24", "172.31.0.1/32"]),
    ("172.16.5.64/26", &["172.16.5.96/27"]),
    ("172.16.5.128/25", &["172.16.5.255/32"]),
    ("203.0.113.0/24", &["203.0.113.7/32", "203.0.113.128/25"]),
    ("203.0.113.4/30", &["203.0.113.5/32"]),
    ("203.0.113.7/32", &[]),
    ("192.0.0.0/2", &["224.0.0.0/4", "203.0.113.0/24"]),
    ("255.255.255.255/32", &[]),
    ("::/0", &["fd00::/8", "2001:db8::/32"]),
    ("fd00::/16", &["fd00:1::/64", "fd00:5::/48"]),
    ("fd00:1::/64", &["fd00:1::80/121", "fd00:1::b/128"]),
    ("fd00:1::8a/127", &["fd00:1::8b/128"]),
    ("fd00:5:0:1::/64", &["fd00:5:0:1::8/125"]),
    ("fd00:4::/31", &["fd00:5:0:1::/64"]),
    ("2001:db8::/32", &["2001:db8:9::/64", "2001:db8::7/128"]),
    ("2001:db8:9::/65", &["2001:db8:9::1/128"]),
    ("2001:db8::7/128", &[]),
    ("ff00::/8", &["ff02::/16"]),
];

/// What rules of the domain may name.
pub(super) struct Names {
    names: Vec<String>,
}

impl Names {
    pub(super) fn of(lists: [&[Object]; 3]) -> Self {
        let reference = |object: &Object| {
            let kind = match object.kind() {
                Kind::Workload => "workload",
                Kind::Segment => "segment",
                _ => "addresses",
            };
            format!("{kind}/{}", object.name)
        };
        Self { names: lists.into_iter().flatten().map(reference).collect() }
    }
}

pub(super) fn segments(random: &mut Random) -> Vec<Object> {
    let segment = |n| {
        let requirements = requirements(random);
        object(format!("s{n}"), Spec::Segment(SegmentSpec { requirements }))
    };
    (0..3).map(segment).collect()
}

pub(super) fn address_sets(random: &mut Random) -> Vec<Object> {
    let count = random.between(1, 2);
    let set = |n| {
        let addresses = (0..random.between(1, 3)).map(|_| random.one(PREFIXES).0.to_owned()).collect();
        object(format!("a{n}"), Spec::AddressSet(AddressSetSpec { addresses }))
    };
    (0..count).map(set).collect()
}

/// A peer of a rule of the domain.
pub(super) fn domain_peer(random: &mut Random, names: &Names) -> PeerSpec {
    match random.below(10) {
        0 => PeerSpec::Name("host".to_owned()),
        1..5 => PeerSpec::Name(random.pick(&names.names).cloned().unwrap_or_else(|| "any".to_owned())),
        _ => platform_peer(random),
    }
}

/// A peer of a rule of the platform.
pub(super) fn platform_peer(random: &mut Random) -> PeerSpec {
    match random.below(6) {
        0 => PeerSpec::Name("any".to_owned()),
        1 => PeerSpec::Name("outside".to_owned()),
        2 | 3 => PeerSpec::Labels(requirements(random)),
        _ => {
            let (cidr, excepts) = random.one(PREFIXES);
            let except = excepts.iter().filter(|_| random.chance(40)).map(|text| (*text).to_owned()).collect();
            PeerSpec::Cidr { cidr: cidr.to_owned(), except }
        }
    }
}

fn requirements(random: &mut Random) -> Vec<Requirement> {
    (0..random.one([1, 1, 2])).map(|_| requirement(random)).collect()
}

fn requirement(random: &mut Random) -> Requirement {
    let of_role = random.chance(70);
    let key = if of_role { "role" } else { "stage" };
    let value = |random: &mut Random| if of_role { random.one(ROLES) } else { random.one(STAGES) }.to_owned();
    let test = match random.below(5) {
        0 => LabelTest::In(vec![value(random), value(random)]),
        1 => LabelTest::NotIn(vec![value(random)]),
        2 => LabelTest::Exists(random.chance(50)),
        _ => LabelTest::Equals(value(random)),
    };
    Requirement { key: key.to_owned(), test }
}
