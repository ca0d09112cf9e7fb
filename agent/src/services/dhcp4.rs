//! DHCPv4 messages of the server (RFC 2131, options RFC 2132).

use std::net::{IpAddr, Ipv4Addr};

use ipnet::Ipv4Net;

use super::{Message, Served, Served4, dns_names, frame::Frame};
use crate::bpf::Service;

/// From the server's port to the client's.
const PORTS: [u16; 2] = [67, 68];
const BOOTREPLY: u8 = 2;
const ETHERNET: u8 = 1;
const COOKIE: [u8; 4] = [99, 130, 83, 99];
/// Less than a BOOTP message some clients and relays drop (RFC 1542 2.1).
const SHORTEST: usize = 300;

/// Which of a server's messages it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// An address with its lease.
    Lease,
    /// What goes with an address that the client has from elsewhere.
    Inform,
    /// A refusal.
    Nak,
}

/// What the programs send to the interface.
pub(super) fn messages(served: &Served, v4: &Served4, gateway_mac: [u8; 6]) -> Vec<Message> {
    let message = |service, kind| {
        let address = (kind == Kind::Lease).then(|| IpAddr::V4(v4.address.addr()));
        let payload = payload(served, v4, kind);
        (service, address, Frame::udp4([served.mac, gateway_mac], v4.gateway, PORTS, &payload))
    };
    vec![
        message(Service::RF_SERVICE_DHCP4, Kind::Lease),
        message(Service::RF_SERVICE_DHCP4_INFORM, Kind::Inform),
        message(Service::RF_SERVICE_DHCP4_NAK, Kind::Nak),
    ]
}

/// Transaction, flags, addresses and the message type are the programs' to fill in.
fn payload(served: &Served, v4: &Served4, kind: Kind) -> Vec<u8> {
    let mut bytes = vec![BOOTREPLY, ETHERNET, 6, 0];
    // xid, secs and flags, ciaddr, yiaddr, siaddr, giaddr
    bytes.extend([0; 24]);
    bytes.extend(served.mac);
    // The rest of chaddr, sname, file
    bytes.extend([0; 10 + 64 + 128]);
    bytes.extend(COOKIE);
    // First, where the programs look for it.
    option(&mut bytes, 53, &[0]);
    option(&mut bytes, 54, &v4.gateway.octets());
    if kind != Kind::Nak {
        network(&mut bytes, served, v4);
    }
    if kind == Kind::Lease {
        option(&mut bytes, 51, &served.lease.to_be_bytes());
        // RFC 2131 4.4.5
        option(&mut bytes, 58, &(served.lease / 2).to_be_bytes());
        option(&mut bytes, 59, &(served.lease - served.lease / 8).to_be_bytes());
    }
    bytes.push(255);
    bytes.resize(bytes.len().max(SHORTEST), 0);
    bytes
}

fn network(bytes: &mut Vec<u8>, served: &Served, v4: &Served4) {
    option(bytes, 1, &v4.address.netmask().octets());
    option(bytes, 3, &v4.gateway.octets());
    option(bytes, 6, &v4.dns.iter().flat_map(Ipv4Addr::octets).collect::<Vec<_>>());
    option(bytes, 15, served.search_domains.first().map_or(&[], |name| name.as_bytes()));
    option(bytes, 26, &served.mtu.to_be_bytes());
    option(bytes, 119, &dns_names(&served.search_domains));
    // Who reads this one does not read option 3 (RFC 3442): the default route is among them.
    let default = (Ipv4Net::default(), v4.gateway);
    option(bytes, 121, &std::iter::once(&default).chain(&v4.routes).flat_map(route).collect::<Vec<_>>());
}

/// Length, the octets of the prefix that matter, router (RFC 3442).
fn route((to, via): &(Ipv4Net, Ipv4Addr)) -> Vec<u8> {
    let length = to.prefix_len();
    let octets = to.network().octets();
    [&[length], &octets[..usize::from(length.div_ceil(8))], &via.octets()].concat()
}

/// Nothing where there is nothing to say.
fn option(bytes: &mut Vec<u8>, tag: u8, value: &[u8]) {
    if let Some(length) = u8::try_from(value.len()).ok().filter(|length| *length > 0) {
        bytes.extend([tag, length]);
        bytes.extend(value);
    }
}
