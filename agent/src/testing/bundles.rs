//! Small random states of a host: two domains with the same addresses, few enough values that everything collides.

use std::net::IpAddr;

use ipnet::IpNet;
use proptest::{collection::vec, prelude::*};
use ringfence_policy::bundle::{
    Bundle, ClassedPrefix, CompiledHost, CompiledInterface, CompiledNetwork, CompiledPolicy, CompiledSubnet,
    CompiledUplink, Outcome, Profile, Row, RuleName, Run, Topology,
};

use crate::lower::{LinkRef, Site};

/// The bundles of a host, by domain id; one at most of each.
pub(crate) fn states() -> impl Strategy<Value = Vec<Bundle>> {
    let bundles = (proptest::option::weighted(0.8, bundle(1)), proptest::option::weighted(0.8, bundle(2)));
    // Devices wander from one interface to another, and workloads' devices become uplinks.
    (bundles, prop_oneof![3 => Just(0), 2 => 1..8_u32]).prop_map(|((one, two), turn)| {
        let mut bundles: Vec<Bundle> = one.into_iter().chain(two).collect();
        for bundle in &mut bundles {
            let uplink = bundle.topology.uplink.iter_mut().map(|uplink| &mut uplink.device);
            let interfaces = bundle.interfaces.iter_mut().map(|interface| &mut interface.device);
            uplink.chain(interfaces).for_each(|name| *name = turned(name, turn));
        }
        bundles
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
    }
}

/// One domain.
pub(crate) fn bundle(domain_id: u32) -> impl Strategy<Value = Bundle> {
    let interfaces = vec((0..4_u32, 0..3_usize, 1..4_u32, any::<bool>()), 0..4);
    let rows = vec((1..5_u32, 1..5_u32, 0..3_u32), 0..6);
    let prefixes = vec((0..3_usize, 4..6_u32), 0..3);
    let profiles = vec(profile(), 3);
    let uplink = proptest::option::of(0..3_usize);
    let network_mtu = prop_oneof![Just(0), Just(1300)];
    (interfaces, rows, prefixes, profiles, uplink, network_mtu, any::<bool>()).prop_map(
        move |(interfaces, rows, prefixes, profiles, uplink, mtu, moved)| {
            let mut bundle = Bundle {
                domain_id,
                name: format!("t/{domain_id}"),
                topology: topology(domain_id, uplink, mtu, moved).into(),
                policy: CompiledPolicy {
                    prefixes: prefixes
                        .into_iter()
                        .map(|(net, class_id)| ClassedPrefix {
                            prefix: NETS[net].parse().unwrap(),
                            class_id,
                            votes: false,
                        })
                        .collect(),
                    rows: Vec::new(),
                    profiles,
                    rules: (0..4).map(|rule| rule_name(domain_id * 10 + rule, rule)).collect(),
                    default_allows: false,
                }
                .into(),
                ..Bundle::default()
            };
            for (place, (address, host, class, v6)) in interfaces.into_iter().enumerate() {
                interface(&mut bundle, place, address, host, class, v6);
            }
            for (from_class, to_class, profile) in rows {
                if !bundle.policy.rows.iter().any(|row| (row.from_class, row.to_class) == (from_class, to_class)) {
                    bundle.policy.rows.push(Row { from_class, to_class, profile, later: Vec::new() });
                }
            }
            bundle
        },
    )
}

fn rule_name(id: u32, rule: u32) -> RuleName {
    RuleName { id, name: rule.to_string(), stateless: false, log: false }
}

const NETS: [&str; 3] = ["0.0.0.0/0", "203.0.113.0/24", "::/0"];

fn interface(bundle: &mut Bundle, place: usize, address: u32, host: usize, class: u32, v6: bool) {
    let text = if v6 { format!("fd00::{}", address + 2) } else { format!("10.0.0.{}", address + 2) };
    let ip: IpAddr = text.parse().unwrap();
    if bundle.interfaces.iter().any(|other| other.addresses.iter().any(|(held, _)| *held == ip)) {
        return;
    }
    // Ids say domain and place, so that an address wanders from one interface to another between states.
    let id = bundle.domain_id * 100 + place as u32;
    let number = (bundle.domain_id - 1) * 3 + place as u32;
    let interface = CompiledInterface {
        id,
        workload: format!("w{place}"),
        name: "eth0".to_owned(),
        vni: bundle.domain_id * 1000,
        mac: [2, 0, 0, 0, 0, place as u8],
        host: format!("h{}", host + 1),
        device: device(number),
        addresses: vec![(ip, class)],
        pairs: Vec::new(),
        port_security: true,
    };
    bundle.interfaces.push(interface.into());
}

fn topology(domain_id: u32, uplink: Option<usize>, mtu: u32, moved: bool) -> Topology {
    let subnet = |cidr: &str, gateway: &str| CompiledSubnet { cidr: net(cidr), gateway: address(gateway) };
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
    let table = || vec((0..3_u16, any::<bool>(), any::<bool>(), 0..4_u32), 0..3).prop_map(runs);
    (table(), table()).prop_map(|(tcp, udp)| Profile {
        tcp,
        udp,
        sctp: runs(Vec::new()),
        icmp: runs(Vec::new()),
        icmp6: runs(Vec::new()),
        other: runs(Vec::new()),
    })
}

fn runs(parts: Vec<(u16, bool, bool, u32)>) -> Vec<Run> {
    let run = |first, from_allows, to_allows, from_rule| {
        let enforced = Outcome { from_allows, to_allows, from_rule, to_rule: 0 };
        Run { first, enforced, shadow: enforced }
    };
    let denied = run(0, false, false, 0);
    let mut first = 0;
    let rest = parts.into_iter().map(|(step, from_allows, to_allows, rule)| {
        first += 1 + step;
        run(first, from_allows, to_allows, rule)
    });
    [denied].into_iter().chain(rest).collect()
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
