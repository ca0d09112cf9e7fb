//! Address services: what the interfaces of this host are told by DHCPv4, DHCPv6 and router advertisements.
//!
//! ```text
//!  Bundle ──lower──▶ Served ──replies──▶ frames ──▶ rf_services ──programs──▶ answers, with or without an agent
//!                       └─router──▶ frames ──schedule──▶ announce ──▶ unsolicited advertisements
//! ```
//!
//! Frames are whole but for what a question decides; where that is, and how it is filled in, `agent/bpf/{dhcp4,dhcp6,router}.h`
//! say. All is pure but for [`announce`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

use crate::bpf::{Ip, Reply, Service, ServiceKey, consts::RF_REPLY_MAX};

pub(crate) mod announce;
mod dhcp4;
mod dhcp6;
mod frame;
mod packet_socket;
mod router;
mod schedule;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;

pub use announce::Announcements;
pub use schedule::Announced;
/// What an interface of this host is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// Its MAC address.
    pub mac: [u8; 6],
    /// Bytes of L3 that reach it.
    pub mtu: u16,
    /// Seconds.
    pub lease: u32,
    /// DNS names.
    pub search_domains: Vec<String>,
    /// By DHCPv4.
    pub v4: Option<Served4>,
    /// By DHCPv6 and router advertisements: the subnets in which it has an address.
    pub v6: Vec<Served6>,
}

/// The address that an interface gets by DHCPv4, and what goes with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served4 {
    /// With the length of its subnet.
    pub address: Ipv4Net,
    /// The router, which is the server, too.
    pub gateway: Ipv4Addr,
    /// Resolvers.
    pub dns: Vec<Ipv4Addr>,
    /// Further routes.
    pub routes: Vec<(Ipv4Net, Ipv4Addr)>,
}

/// An IPv6 subnet with services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served6 {
    /// Its prefix.
    pub cidr: Ipv6Net,
    /// The interface's addresses in it.
    pub addresses: Vec<Ipv6Addr>,
    /// Resolvers.
    pub dns: Vec<Ipv6Addr>,
    /// Further routes, to its gateway.
    pub routes: Vec<Ipv6Net>,
    /// Whether DHCPv6 gives the addresses.
    pub dhcp: bool,
    /// Whether its gateway is announced.
    pub ra: bool,
}

/// What the programs answer an interface, but for what does not fit a frame.
pub fn replies(interface_id: u32, served: &Served, gateway_mac: [u8; 6]) -> Vec<(ServiceKey, Reply)> {
    let v4 = served.v4.iter().flat_map(|v4| dhcp4::messages(served, v4, gateway_mac));
    let v6 = dhcp6::messages(served, gateway_mac).into_iter();
    let router = router::advertisement(served, gateway_mac, router::LIFETIME)
        .map(|message| (Service::RF_SERVICE_ROUTER, None, message));
    v4.chain(v6)
        .chain(router)
        .filter_map(|(service, address, message)| {
            let key = ServiceKey { iface_id: interface_id, service };
            Some((key, reply(address, &message)?))
        })
        .collect()
}

/// What an interface hears unasked; `None`: nothing.
pub fn announced(served: &Served, gateway_mac: [u8; 6]) -> Option<Announced> {
    let frame = |lifetime| router::advertisement(served, gateway_mac, lifetime).map(|frame| frame.to_all_nodes());
    Some(Announced { frame: frame(router::LIFETIME)?, last: frame(0)? })
}

/// A message for the programs, and the address in it that is handed out.
type Message = (Service, Option<IpAddr>, frame::Frame);

fn reply(address: Option<IpAddr>, message: &frame::Frame) -> Option<Reply> {
    let mut frame = [0; RF_REPLY_MAX as usize];
    let bytes = message.bytes();
    frame.get_mut(..bytes.len())?.copy_from_slice(bytes);
    Some(Reply {
        len: u16::try_from(bytes.len()).ok()?,
        sum: message.sum().to_be(),
        address: address.map_or_else(Ip::default, Ip::from),
        align: [0; 2],
        frame,
    })
}

/// The gateway's link-local address: fe80::/64 with the modified EUI-64 of its MAC (RFC 4291, appendix A).
fn link_local(mac: [u8; 6]) -> Ipv6Addr {
    eui64(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), mac)
}

/// The address that an interface makes of a /64 and its MAC (RFC 4862 5.5.3, RFC 2464 4).
fn eui64(prefix: Ipv6Addr, [a, b, c, d, e, f]: [u8; 6]) -> Ipv6Addr {
    let interface = u128::from(u64::from_be_bytes([a ^ 2, b, c, 0xff, 0xfe, d, e, f]));
    Ipv6Addr::from(u128::from(prefix) & !u128::from(u64::MAX) | interface)
}

/// DNS names as labels, each with its length before it (RFC 1035 3.1).
fn dns_names(names: &[String]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for name in names {
        for label in name.split('.') {
            // The language has none longer than 63.
            bytes.push(u8::try_from(label.len()).unwrap_or(0));
            bytes.extend(label.bytes());
        }
        bytes.push(0);
    }
    bytes
}
