//! Router advertisements (RFC 4861 4.2) with resolvers (RFC 8106) and routes (RFC 4191).

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use super::{Served, Served6, dns_names, eui64, frame::Frame, link_local};

/// Seconds for which the gateway is a router, and resolvers and routes hold: as long as can be said (RFC 8319 4). It is
/// there as long as the host is, also while no agent runs to announce it again.
pub(crate) const LIFETIME: u16 = u16::MAX;

const ADVERTISEMENT: u8 = 134;
const HOP_LIMIT: u8 = 64;
const MANAGED: u8 = 0x80;
const OTHER: u8 = 0x40;

const SOURCE: u8 = 1;
const PREFIX: u8 = 3;
const MTU: u8 = 5;
const ROUTE: u8 = 24;
const DNS: u8 = 25;
const DOMAINS: u8 = 31;

const ON_LINK: u8 = 0x80;
const AUTONOMOUS: u8 = 0x40;
/// Seconds, as RFC 4861 6.2.1 has them: 30 and 7 days.
const VALID: u32 = 2_592_000;
const PREFERRED: u32 = 604_800;

/// IPv6 runs on no less, and a host heeds no less (RFC 8200 5, RFC 4861 6.3.4).
const MTU_MIN: u16 = 1280;

/// What an interface is announced; `None`: nothing. With a lifetime of 0 it says that the gateway is a router no longer.
pub(crate) fn advertisement(served: &Served, gateway_mac: [u8; 6], lifetime: u16) -> Option<Frame> {
    let subnets: Vec<&Served6> = served.v6.iter().filter(|subnet| subnet.ra).collect();
    if subnets.is_empty() {
        return None;
    }
    let managed = subnets.iter().any(|subnet| subnet.dhcp);
    let dns: Vec<Ipv6Addr> = subnets.iter().flat_map(|subnet| subnet.dns.clone()).collect();
    let other = managed || !dns.is_empty() || !served.search_domains.is_empty();
    let flags = if managed { MANAGED } else { 0 } | if other { OTHER } else { 0 };
    // Reachable and retransmission time: unspecified.
    let mut bytes = vec![ADVERTISEMENT, 0, 0, 0, HOP_LIMIT, flags];
    bytes.extend(lifetime.to_be_bytes());
    bytes.extend([0; 8]);
    option(&mut bytes, SOURCE, &gateway_mac);
    if served.mtu >= MTU_MIN {
        option(&mut bytes, MTU, &[&[0; 4][..], &served.mtu.to_be_bytes()].concat());
    }
    let lifetime = u32::from(lifetime).to_be_bytes();
    for subnet in subnets {
        option(&mut bytes, PREFIX, &prefix(served, subnet));
        for to in &subnet.routes {
            option(&mut bytes, ROUTE, &route(to, lifetime));
        }
    }
    let lasting = |value: Vec<u8>| [&[0, 0], &lifetime[..], &value].concat();
    if !dns.is_empty() {
        option(&mut bytes, DNS, &lasting(dns.iter().flat_map(Ipv6Addr::octets).collect()));
    }
    if !served.search_domains.is_empty() {
        option(&mut bytes, DOMAINS, &lasting(dns_names(&served.search_domains)));
    }
    Some(Frame::nd([served.mac, gateway_mac], link_local(gateway_mac), &bytes))
}

/// Only who may use the address that it would make of the prefix is told to make it.
fn prefix(served: &Served, subnet: &Served6) -> Vec<u8> {
    let own = eui64(subnet.cidr.network(), served.mac);
    let autonomous = !subnet.dhcp && subnet.addresses.contains(&own);
    let flags = ON_LINK | if autonomous { AUTONOMOUS } else { 0 };
    let mut value = vec![subnet.cidr.prefix_len(), flags];
    value.extend(VALID.to_be_bytes());
    value.extend(PREFERRED.to_be_bytes());
    value.extend([0; 4]);
    value.extend(subnet.cidr.network().octets());
    value
}

/// Of medium preference (RFC 4191 2.3).
fn route(to: &Ipv6Net, lifetime: [u8; 4]) -> Vec<u8> {
    let octets = to.network().octets();
    let held = if to.prefix_len() <= 64 { &octets[..8] } else { &octets[..] };
    [&[to.prefix_len(), 0], &lifetime[..], held].concat()
}

/// A type, a length in units of 8 bytes, the value, and zeros up to such a unit.
fn option(bytes: &mut Vec<u8>, kind: u8, value: &[u8]) {
    let units = (2 + value.len()).div_ceil(8);
    // Within the bounds of the language none is longer.
    bytes.extend([kind, u8::try_from(units).unwrap_or(u8::MAX)]);
    let end = bytes.len() - 2 + units * 8;
    bytes.extend(value);
    bytes.resize(end, 0);
}
