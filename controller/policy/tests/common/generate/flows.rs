//! The flows and moments at which rules begin and cease to match.

use std::{collections::BTreeSet, net::IpAddr};

use ringfence_policy::{
    evaluate::{End, Flow, Traffic},
    model::{self, Domain, IcmpTypes, Ports},
};

/// Addresses that are no interface's own: in the prefixes that rules name and in none, in pairs and in none, on a
/// subnet and off, gateways, and such as are not unicast. The programs drop what goes to the latter two before any
/// rule is asked; what rules say of them is the same everywhere nevertheless.
const OTHERS: [&str; 15] = [
    "203.0.113.7",
    "203.0.113.20",
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

/// A case asks so many flows about.
const FLOWS: usize = 1500;

/// Flows between the ends that matter, of the traffic that matters: the ends of each rule's ranges and what is just
/// beyond them, and the protocols that only `any` speaks of. Some of all, evenly; which depends on the domain.
pub(super) fn some(domain: &Domain) -> Vec<Flow> {
    let interfaces = domain.workloads().flat_map(|(_, workload)| &workload.interfaces);
    let mut addresses: Vec<IpAddr> = interfaces.flat_map(|interface| interface.addresses.clone()).collect();
    addresses.extend(OTHERS.iter().map(|text| text.parse::<IpAddr>().unwrap()));
    let traffic = telling_traffic(domain);
    let mut flows = Vec::new();
    for address in &addresses {
        let others = addresses.iter().filter(|other| other.is_ipv4() == address.is_ipv4());
        let to = others.map(|other| (End::Address(*address), End::Address(*other)));
        let host = [(End::Host, End::Address(*address)), (End::Address(*address), End::Host)];
        for (source, destination) in to.chain(host) {
            let of_family = traffic.iter().filter(|traffic| match traffic {
                Traffic::Icmp(..) | Traffic::Other(58) => address.is_ipv4(),
                Traffic::Icmp6(..) | Traffic::Other(1) => address.is_ipv6(),
                _ => true,
            });
            flows.extend(of_family.map(|traffic| Flow { source, destination, traffic: *traffic }));
        }
    }
    let step = (flows.len() / FLOWS).max(1);
    flows.into_iter().step_by(step).collect()
}

/// The moments at which a rule begins or ceases to hold, and those just before.
pub(super) fn moments(domain: &Domain) -> Vec<u64> {
    let windows = domain.policies().flat_map(|(_, policy)| &policy.rules).map(|rule| rule.window);
    let turns = windows.flat_map(|window| [window.not_before, window.not_after]).flatten();
    let moments = turns.flat_map(|moment| [moment.saturating_sub(1), moment]).chain([0]);
    moments.collect::<BTreeSet<u64>>().into_iter().collect()
}

fn telling_traffic(domain: &Domain) -> Vec<Traffic> {
    let mut ports = BTreeSet::from([0, u16::MAX]);
    let mut types = BTreeSet::from([0, u16::MAX]);
    let around = |numbers: &mut BTreeSet<u16>, first: u16, last: u16| {
        numbers.extend([first.saturating_sub(1), first, last, last.saturating_add(1)]);
    };
    for traffic in domain.policies().flat_map(|(_, policy)| &policy.rules).flat_map(|rule| &rule.traffic) {
        use model::Traffic as Of;
        match traffic {
            Of::Tcp(Ports::Range(range)) | Of::Udp(Ports::Range(range)) | Of::Sctp(Ports::Range(range)) => {
                around(&mut ports, range.first(), range.last());
            }
            Of::Icmp(IcmpTypes::Type(kind)) | Of::Icmp6(IcmpTypes::Type(kind)) => {
                around(&mut types, u16::from_be_bytes([*kind, 0]), u16::from_be_bytes([*kind, u8::MAX]));
            }
            Of::Icmp(IcmpTypes::Code(kind, code)) | Of::Icmp6(IcmpTypes::Code(kind, code)) => {
                let number = u16::from_be_bytes([*kind, *code]);
                around(&mut types, number, number);
            }
            _ => {}
        }
    }
    for port in domain.workloads().flat_map(|(_, workload)| workload.ports.values()) {
        around(&mut ports, *port, *port);
    }
    let of_ports = ports.iter().flat_map(|port| [Traffic::Tcp(*port), Traffic::Udp(*port), Traffic::Sctp(*port)]);
    let of_types = types.iter().map(|number| number.to_be_bytes());
    let of_types = of_types.flat_map(|[kind, code]| [Traffic::Icmp(kind, code), Traffic::Icmp6(kind, code)]);
    let numbers = [0, 1, 2, 46, 47, 58, 59, 254, 255].map(Traffic::Other);
    of_ports.chain(of_types).chain(numbers).collect()
}
