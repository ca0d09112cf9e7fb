//! A network as written → validated, as far as the object alone tells.

use std::{net::IpAddr, ops::RangeInclusive};

use ipnet::IpNet;

use super::{
    Network, Route, Subnet,
    address::{check_all_routed, is_reserved_in, parse_address, parse_prefix},
    fault::Faults,
};
use crate::object::{NetworkSpec, RouteSpec, SubnetSpec};

/// Bytes of the inner IP packet: what every IPv4 host takes, and jumbo frames (RFC 791 3.2).
const MTU: RangeInclusive<u32> = 576..=9000;

/// The least that IPv6 runs on, RFC 8200 5.
const MTU_IPV6: u32 = 1280;

/// 24 bits; 0 is kept for "none" (RFC 7348 4).
const VNI: RangeInclusive<u32> = 1..=0xff_ffff;

/// Seconds: long enough to be asked for again in time, short enough that a change is heard of.
const LEASE: RangeInclusive<u32> = 60..=30 * 86_400;

/// Seconds of a lease where none is given.
const LEASE_DEFAULT: u32 = 3600;

/// What every client takes is a DHCPv4 message of 548 bytes, 308 of them for options (RFC 2131 2): a network
/// within these bounds needs no more.
const DNS_MAX: usize = 4;
const ROUTES_MAX: usize = 8;
const SEARCH_DOMAINS_MAX: usize = 6;
const SEARCH_LETTERS_MAX: usize = 72;

/// IPv6 subnets of a network that one router advertisement and one DHCPv6 message have room for within 1280 bytes.
const SERVED_IPV6_MAX: usize = 3;

/// The prefix that a host makes its own address in (RFC 4862 5.5.3, RFC 2464 4).
const SLAAC_LENGTH: u8 = 64;

pub(super) fn network(faults: &mut Faults, spec: &NetworkSpec) -> Option<Network> {
    let NetworkSpec { subnets, mtu, vni, multicast, lease: wanted, search_domains } = spec;
    faults.filled("subnets", subnets, "give the network a subnet");
    let network = Network {
        subnets: faults.each("subnets", subnets, subnet),
        mtu: *mtu,
        vni: *vni,
        multicast: *multicast,
        lease: wanted.as_deref().and_then(|text| lease(faults, text)).unwrap_or(LEASE_DEFAULT),
        search_domains: search_domains.clone(),
    };
    if let Some(mtu) = *mtu {
        if !MTU.contains(&mtu) {
            faults.add("mtu", format!("{mtu} is out of range: write 576 to 9000"));
        } else if mtu < MTU_IPV6 && network.subnets.iter().any(|s| s.gateway.is_ipv6()) {
            let message = format!("{mtu} is too small for IPv6: write 1280 or more");
            faults.add("mtu", message);
        }
    }
    if let Some(vni) = vni.filter(|vni| !VNI.contains(vni)) {
        faults.add("vni", format!("{vni} is out of range: write 1 to 16777215"));
    }
    check_search_domains(faults, search_domains);
    let complete = network.subnets.len() == subnets.len();
    if complete {
        check_services(faults, &network, wanted.is_some());
    }
    complete.then_some(network)
}

/// Whether somebody tells workloads what the network says.
fn check_services(faults: &mut Faults, network: &Network, has_lease: bool) {
    let subnets = &network.subnets;
    if has_lease && !subnets.iter().any(|subnet| subnet.dhcp) {
        faults.add("lease", "no subnet has dhcp: true, which gives leases: add that, or remove the lease");
    }
    if !network.search_domains.is_empty() && !subnets.iter().any(|subnet| subnet.dhcp || subnet.ra) {
        let message = "no subnet has dhcp or ra: true, which tell them: add that, or remove the search domains";
        faults.add("searchDomains", message);
    }
    let served = subnets.iter().enumerate().filter(|(_, s)| s.cidr.addr().is_ipv6() && (s.dhcp || s.ra));
    if let Some((index, _)) = served.clone().nth(SERVED_IPV6_MAX) {
        let message = "is one IPv6 subnet too many with dhcp or ra: at most 3 of a network fit into one message";
        faults.add(format!("subnets[{index}]"), format!("{message}: put it into another network"));
    }
}

/// Seconds.
fn lease(faults: &mut Faults, text: &str) -> Option<u32> {
    let split = text.len().saturating_sub(1);
    let (number, unit) = if text.is_char_boundary(split) { text.split_at(split) } else { (text, "") };
    let seconds = match unit {
        "s" => Some(1),
        "m" => Some(60),
        "h" => Some(3600),
        "d" => Some(86_400),
        _ => None,
    };
    let digits = !number.is_empty() && number.bytes().all(|c| c.is_ascii_digit());
    let Some(unit) = seconds.filter(|_| digits) else {
        faults.add("lease", format!("{text:?} is no time: write a number and s, m, h or d, like 1h"));
        return None;
    };
    let seconds = number.parse::<u32>().ok().and_then(|number| number.checked_mul(unit));
    let lease = seconds.filter(|seconds| LEASE.contains(seconds));
    if lease.is_none() {
        faults.add("lease", format!("{text} is out of range: write 1m to 30d"));
    }
    lease
}

fn check_search_domains(faults: &mut Faults, domains: &[String]) {
    let named = faults.each("searchDomains", domains, |faults, field, name| {
        if !is_domain_name(name) {
            let message = "is no domain name: write lower-case letters, digits, - and dots, like corp.example";
            faults.add(field, format!("{name:?} {message}"));
            return None;
        }
        Some(name.len())
    });
    if named.len() > SEARCH_DOMAINS_MAX {
        faults.add("searchDomains", "are more than 6: a DHCP message has no room for them; remove some");
    } else if named.iter().sum::<usize>() > SEARCH_LETTERS_MAX {
        let message = "are longer than 72 letters together: a DHCP message has no room for them; remove some";
        faults.add("searchDomains", message);
    }
}

/// Labels of letters, digits and hyphens (RFC 1123 2.1), without the dot of the root.
fn is_domain_name(name: &str) -> bool {
    let sign = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    let is_label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(sign) && !label.starts_with('-') && !label.ends_with('-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

fn subnet(faults: &mut Faults, field: &str, spec: &SubnetSpec) -> Option<Subnet> {
    let SubnetSpec { cidr, gateway, dns, dhcp, ra, routes } = spec;
    let gateway_field = format!("{field}.gateway");
    let cidr_field = format!("{field}.cidr");
    let cidr = faults.ok(&cidr_field, parse_prefix(cidr));
    let gateway = faults.ok(&gateway_field, parse_address(gateway));
    let (cidr, gateway) = (cidr?, gateway?);
    if cidr.prefix_len() == 0 {
        faults.add(cidr_field, "holds every address: write a longer prefix");
        return None;
    }
    faults.ok(&cidr_field, check_all_routed(cidr))?;
    if !cidr.contains(&gateway) {
        faults.add(gateway_field, format!("{gateway} is outside {cidr}: choose an address inside"));
        return None;
    }
    if is_reserved_in(gateway, &cidr) {
        let message = format!("{gateway} is the network or broadcast address of {cidr}");
        faults.add(gateway_field, format!("{message}: choose one between them"));
        return None;
    }
    let subnet = Subnet {
        cidr,
        gateway,
        dns: faults.each(&format!("{field}.dns"), dns, |faults, field, text| {
            let address = faults.ok(field, parse_address(text))?;
            of_family(faults, field, address, &cidr).then_some(address)
        }),
        dhcp: *dhcp,
        ra: *ra,
        routes: faults
            .each(&format!("{field}.routes"), routes, |faults, field, spec| route(faults, field, spec, &cidr, gateway)),
    };
    check_subnet_services(faults, field, spec, &subnet);
    Some(subnet)
}

/// Whether the subnet has who tells what it says.
fn check_subnet_services(faults: &mut Faults, field: &str, spec: &SubnetSpec, subnet: &Subnet) {
    let Subnet { cidr, dhcp, ra, .. } = *subnet;
    let at = |part: &str| format!("{field}.{part}");
    if ra && cidr.addr().is_ipv4() {
        faults.add(at("ra"), "is for IPv6 alone: remove it; with dhcp: true the gateway is told by DHCP");
    }
    if ra && !dhcp && cidr.addr().is_ipv6() && cidr.prefix_len() != SLAAC_LENGTH {
        let message = format!("a workload makes its own address in a /64 alone, and {cidr} is none");
        faults.add(at("ra"), format!("{message}: write a /64, or add dhcp: true"));
    }
    if !spec.dns.is_empty() && !dhcp && !ra {
        let wanted = if cidr.addr().is_ipv4() { "dhcp: true" } else { "dhcp: true or ra: true" };
        faults.add(at("dns"), format!("nobody tells them to workloads: add {wanted}, or remove them"));
    }
    if !spec.routes.is_empty() {
        match cidr {
            IpNet::V4(_) if !dhcp => {
                faults.add(at("routes"), "DHCP tells routes, which the subnet has not: add dhcp: true");
            }
            IpNet::V6(_) if !ra => {
                let message = "router advertisements tell IPv6 routes, which the subnet has not: add ra: true";
                faults.add(at("routes"), message);
            }
            _ => {}
        }
    }
    if spec.dns.len() > DNS_MAX {
        faults.add(at("dns"), "are more than 4: a DHCP message has no room for them; remove some");
    }
    if spec.routes.len() > ROUTES_MAX {
        faults.add(at("routes"), "are more than 8: a DHCP message has no room for them; remove some");
    }
}

fn route(
    faults: &mut Faults,
    field: &str,
    RouteSpec { to, via }: &RouteSpec,
    cidr: &IpNet,
    gateway: IpAddr,
) -> Option<Route> {
    let (to_field, via_field) = (format!("{field}.to"), format!("{field}.via"));
    let to = faults.ok(&to_field, parse_prefix(to));
    let via = faults.ok(&via_field, parse_address(via));
    let (to, via) = (to?, via?);
    if !of_family(faults, &to_field, to.addr(), cidr) {
        return None;
    }
    if to.prefix_len() == 0 {
        faults.add(to_field, "is the default route, which goes to the gateway: write a longer prefix");
        return None;
    }
    if cidr.addr().is_ipv6() && via != gateway {
        let message = "is not the gateway, and a router announces IPv6 routes through itself alone";
        faults.add(via_field, format!("{via} {message}: write {gateway}"));
        return None;
    }
    if !cidr.contains(&via) || is_reserved_in(via, cidr) {
        faults.add(via_field, format!("{via} is no neighbour in {cidr}: write a router of that subnet"));
        return None;
    }
    Some(Route { to, via })
}

fn of_family(faults: &mut Faults, field: &str, address: IpAddr, cidr: &IpNet) -> bool {
    let same = address.is_ipv4() == cidr.addr().is_ipv4();
    if !same {
        let family = if cidr.addr().is_ipv4() { "IPv4" } else { "IPv6" };
        faults.add(field, format!("{address} is of the other family than {cidr}: write an {family} one"));
    }
    same
}
