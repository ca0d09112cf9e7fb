//! Small random states of a host: two domains with the same addresses, few enough values that everything collides.

use std::{collections::BTreeMap, net::IpAddr};

use ipnet::IpNet;
use proptest::{collection::vec, prelude::*};
use ringfence_policy::bundle::{
    Bundle, ClassedPrefix, CompiledHost, CompiledInterface, CompiledNetwork, CompiledPair, CompiledPolicy,
    CompiledSubnet, CompiledUplink, Outcome, Profile, Row, RuleName, Run, Topology,
};

use crate::lower::{LinkRef, Site};

/// What a host holds at a moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    /// By domain id; one at most of each.
    pub(crate) bundles: Vec<Bundle>,
    /// Seconds since 1970-01-01T00:00:00Z.
    pub(crate) at: u64,
}

/// States of a host.
pub(crate) fn states() -> impl Strategy<Value = State> {
    let bundles = (proptest::option::weighted(0.8, bundle(1)), proptest::option::weighted(0.8, bundle(2)));
    // Devices wander from one interface to another, and workloads' devices become uplinks.
    (bundles, prop_oneof![3 => Just(0), 2 => 1..8_u32], 0..=MOMENTS).prop_map(|((one, two), turn, at)| {
        let mut bundles: Vec<Bundle> = one.into_iter().chain(two).collect();
        for bundle in &mut bundles {
            let uplink = bundle.topology.uplink.iter_mut().map(|uplink| &mut uplink.device);
            let interfaces = bundle.interfaces.iter_mut().map(|interface| &mut interface.device);
            uplink.chain(interfaces).for_each(|name| *name = turned(name, turn));
        }
        State { bundles, at }
    })
}

fn turned(name: &str, turn: u32) -> String {
    let place = (0..DEVICES).find(|place| device(*place) == name).unwrap();
    device((place + turn) % DEVICES)
}

/// Of each domain three interfaces' devices, then each domain's uplink.
const DEVICES: u32 = 8;

/// The host that the bundles are lowered for: `h1`, with devices for the first interfaces and the uplinks.
pub(crate) fn site() -> Site {
    let device = |place: u32| (device(place), LinkRef { ifindex: 100 + place, mtu: 1500 });
    Site {
        host: "h1".to_owned(),
        underlay: vec![address("192.0.2.1")],
        overlay_mtu: 1450,
        overlay_ifindex: 9,
        links: (0..DEVICES).map(device).collect(),
        own: vec![1],
        ..Site::default()
    }
}

/// Classes of interfaces and of what lies in address pairs.
const INSIDE: std::ops::Range<u32> = 2..5;
/// Classes of what is nobody's.
const OUTSIDE: std::ops::Range<u32> = 5..7;
/// Moments at which a timed row may change.
pub(crate) const MOMENTS: u64 = 4;

/// One domain.
pub(crate) fn bundle(domain_id: u32) -> impl Strategy<Value = Bundle> {
    let interface = (0..4_u32, 0..3_usize, INSIDE, any::<bool>(), pair(), prop::bool::weighted(0.8));
    let interfaces = vec(interface, 0..4);
    let uplink = proptest::option::of(0..3_usize);
    let network_mtu = prop_oneof![Just(0), Just(1300)];
    (interfaces, policy(domain_id), uplink, network_mtu, any::<[bool; 2]>()).prop_map(
        move |(interfaces, policy, uplink, mtu, [moved, multicast])| {
            let mut bundle = Bundle {
                domain_id,
                name: format!("t/{domain_id}"),
                topology: topology(domain_id, uplink, mtu, moved).into(),
                policy: policy.into(),
                ..Bundle::default()
            };
            bundle.topology.networks[0].multicast = multicast;
            for (place, (address, host, class, v6, pair, port_security)) in interfaces.into_iter().enumerate() {
                interface_at(&mut bundle, place, (address, v6, class), host, pair, port_security);
            }
            bundle
        },
    )
}

/// Now and then an address pair, with the class of its addresses: within the subnet, around it, apart from it.
fn pair() -> impl Strategy<Value = Option<(IpNet, u32)>> {
    let nets = prop::sample::select(vec![
        "10.0.0.0/24",
        "10.0.0.64/28",
        "10.0.0.0/16",
        "172.16.0.0/30",
        "172.16.0.1/32",
        "::/0",
    ]);
    proptest::option::weighted(0.4, (nets.prop_map(net), INSIDE))
}

fn policy(domain_id: u32) -> impl Strategy<Value = CompiledPolicy> {
    let class = || 1..OUTSIDE.end;
    let later = vec((1..=MOMENTS, 0..3_u32), 0..3);
    let rows = vec((class(), class(), 0..3_u32, later), 0..8);
    let outside = prop::sample::select(vec!["0.0.0.0/0", "203.0.113.0/24", "::/0"]);
    let prefixes = vec((outside, OUTSIDE), 0..3);
    let rules = vec((any::<bool>(), any::<bool>()), 4);
    (rows, prefixes, vec(profile(), 3), rules, prop::bool::weighted(0.3)).prop_map(
        move |(rows, prefixes, profiles, rules, default_allows)| {
            let rows: BTreeMap<(u32, u32), Row> = rows
                .into_iter()
                .map(|(from_class, to_class, profile, later)| {
                    let later: BTreeMap<u64, u32> = later.into_iter().collect();
                    ((from_class, to_class), Row { from_class, to_class, profile, later: later.into_iter().collect() })
                })
                .collect();
            let prefixes: BTreeMap<&str, u32> = prefixes.into_iter().collect();
            let named = rules.into_iter().zip(0..);
            CompiledPolicy {
                default_allows,
                prefixes: prefixes
                    .into_iter()
                    .map(|(prefix, class_id)| ClassedPrefix { prefix: net(prefix), class_id, votes: false })
                    .collect(),
                rows: rows.into_values().collect(),
                profiles,
                rules: named.map(|(flags, rule)| rule_name(domain_id * 10 + rule, rule, flags)).collect(),
            }
        },
    )
}

fn rule_name(id: u32, rule: u32, (stateless, log): (bool, bool)) -> RuleName {
    RuleName { id, name: rule.to_string(), stateless, log }
}

fn interface_at(
    bundle: &mut Bundle,
    place: usize,
    (address, v6, class): (u32, bool, u32),
    host: usize,
    pair: Option<(IpNet, u32)>,
    port_security: bool,
) {
    let text = if v6 { format!("fd00::{}", address + 2) } else { format!("10.0.0.{}", address + 2) };
    let ip: IpAddr = text.parse().unwrap();
    if bundle.interfaces.iter().any(|other| other.addresses.iter().any(|(held, _)| *held == ip)) {
        return;
    }
    // A prefix is in one pair at most, unless it is a single address, which may be shared.
    let is_held = |net: &IpNet| bundle.interfaces.iter().flat_map(|other| &other.pairs).any(|held| held.prefix == *net);
    let pair = pair.filter(|(net, _)| net.prefix_len() == 32 || !is_held(net));
    let shared = pair.is_some_and(|(net, _)| is_held(&net));
    for other in &mut bundle.interfaces {
        if pair.is_some_and(|(net, _)| other.pairs.iter().any(|held| held.prefix == net)) {
            other.pairs.iter_mut().for_each(|held| held.shared = true);
        }
    }
    if let Some((prefix, class_id)) = pair {
        bundle.policy.prefixes.retain(|classed| classed.prefix != prefix);
        bundle.policy.prefixes.push(ClassedPrefix { prefix, class_id, votes: true });
    }
    // Ids say domain and place, so that an address wanders from one interface to another between states.
    let id = bundle.domain_id * 100 + place as u32;
    let number = (bundle.domain_id - 1) * 3 + place as u32;
    let mac = [2, 0, 0, 0, 0, place as u8];
    bundle.interfaces.push(
        CompiledInterface {
            id,
            workload: format!("w{place}"),
            name: "eth0".to_owned(),
            vni: bundle.domain_id * 1000,
            mac,
            host: format!("h{}", host + 1),
            device: device(number),
            addresses: vec![(ip, class)],
            pairs: pair.into_iter().map(|(prefix, _)| CompiledPair { prefix, mac, shared }).collect(),
            port_security,
            bare_metal: false,
        }
        .into(),
    );
}

fn topology(domain_id: u32, uplink: Option<usize>, mtu: u32, moved: bool) -> Topology {
    let subnet = |cidr: &str, gateway: &str| CompiledSubnet::new(net(cidr), address(gateway));
    let peer = if moved { "192.0.2.22" } else { "192.0.2.2" };
    let host = |name: &str, underlay: &[&str]| CompiledHost {
        name: name.to_owned(),
        underlay: underlay.iter().map(|text| address(text)).collect(),
    };
    Topology {
        transit_vni: domain_id * 1000 + 1,
        networks: vec![CompiledNetwork {
            name: "n".to_owned(),
            vni: domain_id * 1000,
            mtu,
            subnets: vec![subnet("10.0.0.0/24", "10.0.0.1"), subnet("fd00::/64", "fd00::1")],
            ..CompiledNetwork::default()
        }],
        uplink: uplink.map(|host| CompiledUplink {
            host: format!("h{}", host + 1),
            device: device(5 + domain_id),
            addresses: vec![net("198.51.100.2/24")],
            next_hops: vec![address("198.51.100.1")],
        }),
        hosts: vec![host("h1", &["192.0.2.1"]), host("h2", &[peer]), host("h3", &[])],
    }
}

fn profile() -> impl Strategy<Value = Profile> {
    let table = || vec((0..3_u16, outcome(), outcome()), 0..3).prop_map(runs);
    (table(), table()).prop_map(|(tcp, udp)| Profile {
        tcp,
        udp,
        sctp: runs(Vec::new()),
        icmp: runs(Vec::new()),
        icmp6: runs(Vec::new()),
        other: runs(Vec::new()),
    })
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let side = || (any::<bool>(), 0..4_u32);
    (side(), side()).prop_map(|((from_allows, from_rule), (to_allows, to_rule))| Outcome {
        from_allows,
        to_allows,
        from_rule,
        to_rule,
    })
}

fn runs(parts: Vec<(u16, Outcome, Outcome)>) -> Vec<Run> {
    let denied = Outcome { from_allows: false, to_allows: false, from_rule: 0, to_rule: 0 };
    let mut first = 0;
    let rest = parts.into_iter().map(|(step, enforced, shadow)| {
        first += 1 + step;
        Run { first, enforced, shadow }
    });
    [Run { first: 0, enforced: denied, shadow: denied }].into_iter().chain(rest).collect()
}

fn device(place: u32) -> String {
    format!("rf{place}")
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}
