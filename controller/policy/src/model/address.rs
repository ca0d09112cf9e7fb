//! Addresses and prefixes, read strictly: one way to write each.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// What no workload's address is in: this network, loopback, link-local, multicast and reserved (RFC 6890);
/// unspecified, loopback, link-local and multicast (RFC 4291 2.4).
const NOT_ROUTED: [IpNet; 8] = [
    v4([0, 0, 0, 0], 8),
    v4([127, 0, 0, 0], 8),
    v4([169, 254, 0, 0], 16),
    v4([224, 0, 0, 0], 3),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 128)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8)),
];

const fn v4([a, b, c, d]: [u8; 4], length: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length))
}

/// A text that is no address of the sort asked for.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum AddressError {
    /// Not an IP address.
    #[error("{0:?} is no IP address: write it like 10.1.0.11 or fd00:1::11")]
    NotAnAddress(String),
    /// Multicast, broadcast, loopback, unspecified or link-local.
    #[error("{0} is no address a workload can have: write a unicast address that is routed")]
    NotRouted(IpAddr),
    /// Addresses that are none of a workload's are inside.
    #[error("{0} holds {1}, in which no workload can have an address: write a longer prefix")]
    HoldsNotRouted(IpNet, IpNet),
    /// `::ffff:a.b.c.d`.
    #[error("{0} is an IPv4 address inside an IPv6 address: write the IPv4 address alone")]
    Mapped(IpAddr),
    /// Not `ADDRESS/LENGTH`.
    #[error("{0:?} is no prefix: write ADDRESS/LENGTH, like 10.1.0.0/24 or fd00:1::/64")]
    NotAPrefix(String),
    /// Bits set beyond the length.
    #[error("{0} has bits set beyond its length: write {1}")]
    NotCanonical(IpNet, IpNet),
    /// Not six octets.
    #[error("{0:?} is no MAC address: write six hexadecimal octets, like 02:00:00:00:01:01")]
    NotAMac(String),
    /// The group bit is set, or all of it is zero.
    #[error("{0} is no MAC address an interface can have: write a unicast address")]
    MacNotUnicast(Mac),
}

/// A MAC address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac([u8; 6]);

impl Mac {
    /// In the order sent.
    pub fn octets(self) -> [u8; 6] {
        self.0
    }

    /// A MAC address that an interface can have.
    pub(super) fn parse_unicast(text: &str) -> Result<Self, AddressError> {
        let mac: Self = text.parse()?;
        if mac.0[0] & 1 != 0 || mac.0 == [0; 6] {
            return Err(AddressError::MacNotUnicast(mac));
        }
        Ok(mac)
    }
}

impl FromStr for Mac {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = || AddressError::NotAMac(text.into());
        let mut octets = [0; 6];
        let mut parts = text.split(':');
        for octet in &mut octets {
            let part = parts.next().ok_or_else(malformed)?;
            if part.len() != 2 || !part.bytes().all(|c| c.is_ascii_hexdigit()) {
                return Err(malformed());
            }
            *octet = u8::from_str_radix(part, 16).map_err(|_| malformed())?;
        }
        match parts.next() {
            None => Ok(Self(octets)),
            Some(_) => Err(malformed()),
        }
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

/// An address that packets are routed to.
pub(super) fn parse_address(text: &str) -> Result<IpAddr, AddressError> {
    let address: IpAddr = text.parse().map_err(|_| AddressError::NotAnAddress(text.into()))?;
    check_routed(address)?;
    Ok(address)
}

/// A prefix without bits beyond its length.
pub(super) fn parse_prefix(text: &str) -> Result<IpNet, AddressError> {
    let prefix = parse_interface_prefix(text)?;
    if prefix != prefix.trunc() {
        return Err(AddressError::NotCanonical(prefix, prefix.trunc()));
    }
    Ok(prefix)
}

/// A prefix without bits beyond its length; an address is the prefix of itself alone.
pub(super) fn parse_prefix_or_address(text: &str) -> Result<IpNet, AddressError> {
    match text.parse::<IpAddr>() {
        Ok(address) => check_unmapped(address).map(|()| IpNet::from(address)),
        Err(_) => parse_prefix(text),
    }
}

/// A prefix, or an address, that has addresses which packets are routed to.
pub(super) fn parse_routed_prefix(text: &str) -> Result<IpNet, AddressError> {
    let prefix = parse_prefix_or_address(text)?;
    match NOT_ROUTED.iter().any(|other| other.contains(&prefix)) {
        true => Err(AddressError::NotRouted(prefix.network())),
        false => Ok(prefix),
    }
}

/// An address with the length of its on-link prefix.
pub(super) fn parse_interface_prefix(text: &str) -> Result<IpNet, AddressError> {
    let prefix: IpNet = text.parse().map_err(|_| AddressError::NotAPrefix(text.into()))?;
    check_unmapped(prefix.addr())?;
    Ok(prefix)
}

/// Whether packets are routed to this address.
pub(super) fn check_routed(address: IpAddr) -> Result<(), AddressError> {
    check_unmapped(address)?;
    match NOT_ROUTED.iter().any(|prefix| prefix.contains(&address)) {
        true => Err(AddressError::NotRouted(address)),
        false => Ok(()),
    }
}

/// Whether packets are routed to every address of a prefix.
pub(super) fn check_all_routed(prefix: IpNet) -> Result<(), AddressError> {
    check_routed(prefix.network())?;
    match NOT_ROUTED.iter().find(|other| overlap(other, &prefix)) {
        Some(other) => Err(AddressError::HoldsNotRouted(prefix, *other)),
        None => Ok(()),
    }
}

/// Whether an address is no IPv4 address in IPv6's clothes (RFC 4291 2.5.5.2).
pub(crate) fn check_unmapped(address: IpAddr) -> Result<(), AddressError> {
    match address {
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => Err(AddressError::Mapped(address)),
        _ => Ok(()),
    }
}

/// Whether no host can have this address of a prefix: the network's own (IPv6: the routers' anycast
/// address, RFC 4291 2.6.1) or the broadcast address. A point-to-point prefix has neither (RFC 3021,
/// RFC 6164).
pub(super) fn is_reserved_in(address: IpAddr, prefix: &IpNet) -> bool {
    let host_bits = prefix.max_prefix_len() - prefix.prefix_len();
    let broadcast = matches!(prefix, IpNet::V4(_)) && address == prefix.broadcast();
    host_bits > 1 && (address == prefix.network() || broadcast)
}

/// Whether two prefixes have an address in common.
pub(super) fn overlap(a: &IpNet, b: &IpNet) -> bool {
    a.contains(b) || b.contains(a)
}
