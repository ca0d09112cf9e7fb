//! DHCPv6 messages of the server (RFC 8415, options of RFC 3646).

use std::net::{IpAddr, Ipv6Addr};

use super::{Message, Served, dns_names, frame::Frame, link_local};
use crate::bpf::Service;

/// From the server's port to the client's.
const PORTS: [u16; 2] = [547, 546];

const SERVER_ID: u16 = 2;
const IA_NA: u16 = 3;
const IA_ADDR: u16 = 5;
const STATUS: u16 = 13;
const DNS: u16 = 23;
const DOMAINS: u16 = 24;
const REFRESH: u16 = 32;

const SUCCESS: u16 = 0;
const NOT_ON_LINK: u16 = 4;

/// What the programs send to the interface. Type, transaction, IAID and the client's identifier are theirs to fill in.
pub(super) fn messages(served: &Served, gateway_mac: [u8; 6]) -> Vec<Message> {
    let given: Vec<Ipv6Addr> =
        served.v6.iter().filter(|subnet| subnet.dhcp).flat_map(|subnet| subnet.addresses.clone()).collect();
    let told = told(served);
    let message = |service, address: Option<Ipv6Addr>, options: &[u8]| {
        let mut payload = vec![0; 4];
        option(&mut payload, SERVER_ID, &duid(gateway_mac));
        payload.extend(options);
        let frame = Frame::udp6([served.mac, gateway_mac], link_local(gateway_mac), PORTS, &payload);
        (service, address.map(IpAddr::V6), frame)
    };
    let status = |code: u16| {
        let mut bytes = Vec::new();
        option(&mut bytes, STATUS, &code.to_be_bytes());
        bytes
    };
    let mut messages = Vec::new();
    if let Some(first) = given.first() {
        let options = [association(&given, served.lease), told.clone()].concat();
        messages.push(message(Service::RF_SERVICE_DHCP6, Some(*first), &options));
        messages.push(message(Service::RF_SERVICE_DHCP6_SUCCESS, None, &status(SUCCESS)));
        messages.push(message(Service::RF_SERVICE_DHCP6_OFF_LINK, None, &status(NOT_ON_LINK)));
    }
    if !served.v6.is_empty() {
        let mut options = told;
        option(&mut options, REFRESH, &served.lease.max(REFRESH_MIN).to_be_bytes());
        messages.push(message(Service::RF_SERVICE_DHCP6_STATELESS, None, &options));
    }
    messages
}

/// RFC 8415 21.23: less is not heeded.
const REFRESH_MIN: u32 = 600;

/// The server's identifier: DUID-LL of Ethernet, by the gateway's MAC (RFC 8415 11.4).
fn duid(gateway_mac: [u8; 6]) -> Vec<u8> {
    [&[0, 3, 0, 1], &gateway_mac[..]].concat()
}

/// Resolvers and search domains.
fn told(served: &Served) -> Vec<u8> {
    let mut bytes = Vec::new();
    let dns = served.v6.iter().flat_map(|subnet| &subnet.dns);
    option(&mut bytes, DNS, &dns.flat_map(Ipv6Addr::octets).collect::<Vec<_>>());
    option(&mut bytes, DOMAINS, &dns_names(&served.search_domains));
    bytes
}

/// T1 and T2 as RFC 8415 21.4 recommends them.
fn association(addresses: &[Ipv6Addr], lease: u32) -> Vec<u8> {
    let (renew, rebind) = (lease / 2, lease / 5 * 4);
    let mut value = [[0; 4], renew.to_be_bytes(), rebind.to_be_bytes()].concat();
    for address in addresses {
        let lifetimes = [lease.to_be_bytes(); 2].concat();
        option(&mut value, IA_ADDR, &[&address.octets()[..], &lifetimes].concat());
    }
    let mut bytes = Vec::new();
    option(&mut bytes, IA_NA, &value);
    bytes
}

/// Nothing where there is nothing to say.
fn option(bytes: &mut Vec<u8>, code: u16, value: &[u8]) {
    if let Some(length) = u16::try_from(value.len()).ok().filter(|length| *length > 0) {
        bytes.extend(code.to_be_bytes());
        bytes.extend(length.to_be_bytes());
        bytes.extend(value);
    }
}
