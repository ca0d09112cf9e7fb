//! What the maps hold: one field for each, in their own types.
//!
//! An array entry that is all zero is absent; one that nothing refers to is free, whatever it holds.

use std::{collections::BTreeMap, net::Ipv6Addr};

use ipnet::{IpNet, Ipv6Net};

use crate::bpf::{
    Addr, AddrKey, BuiltinKey, Claims, Device, Domain, Group, Host, Iface, Ip, Limits, PrefixKey, Profile, Row, RowKey,
    Run, Span, Subnet, SubnetKey, Vni,
    consts::{RF_PREFIX_FIXED_BITS, RF_RUNS, RF_SUBNET_FIXED_BITS},
};

/// Everything that the agent writes into the maps but the address epochs, which are only ever raised.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// By ifindex.
    pub devices: BTreeMap<u32, Device>,
    /// By interface index, from 1.
    pub ifaces: BTreeMap<u32, Iface>,
    /// By host index, from 1.
    pub hosts: BTreeMap<u32, Host>,
    /// By domain index.
    pub domains: BTreeMap<u32, Domain>,
    /// By domain index; one outlives its domain, so that an epoch is never seen twice.
    pub words: BTreeMap<u32, Word>,
    /// By VNI.
    pub vnis: BTreeMap<u32, Vni>,
    /// By group index, from 1.
    pub groups: BTreeMap<u32, Group>,
    /// What an address of a domain is.
    pub addrs: BTreeMap<AddrKey, Addr>,
    /// Class of addresses that are no interface's.
    pub prefixes: BTreeMap<PrefixKey, u32>,
    /// Whose the addresses of a prefix are that have no entry of their own.
    pub subnets: BTreeMap<SubnetKey, Subnet>,
    /// Who shares an address.
    pub claims: BTreeMap<AddrKey, Claims>,
    /// Which built-in rules of NICs name an address: `RF_BUILTIN_*`.
    pub builtins: BTreeMap<BuiltinKey, u32>,
    /// Profile index by slot; 0: no row in that slot.
    pub rows: BTreeMap<RowKey, Row>,
    /// By profile index, from 1.
    pub profiles: BTreeMap<u32, Profile>,
    /// By place.
    pub runs: BTreeMap<u32, Run>,
    /// Of every account alike.
    pub limits: Limits,
}

/// By which state of a domain packets are judged; written in one piece.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Word {
    /// 0 or 1.
    pub slot: u32,
    /// Raised when a verdict may have changed.
    pub epoch: u32,
}

impl Image {
    /// The runs of one table of a profile; one that denies by default from 0 on is all zero, so absent. A span beyond the
    /// end was written by somebody else, and has none.
    pub fn table(&self, span: Span) -> Vec<Run> {
        let places = span.start..span.start.checked_add(span.count).filter(|end| *end <= RF_RUNS).unwrap_or(span.start);
        places.map(|place| self.runs.get(&place).copied().unwrap_or_default()).collect()
    }

    /// The word of a domain index.
    pub fn word(&self, domain: u32) -> Word {
        self.words.get(&domain).copied().unwrap_or_default()
    }
}

/// Key of a class of outside addresses.
pub fn prefix_key(domain_id: u32, slot: u32, net: IpNet) -> PrefixKey {
    PrefixKey { prefixlen: RF_PREFIX_FIXED_BITS + bits(net), domain_id, slot, ip: Ip::from(net.network()) }
}

/// Entries of a subnet or an address pair. Since IPv4 addresses are mapped into IPv6, a prefix as short as `::/0` would
/// hold them, too: it is cut into those around them.
pub fn subnet_entries(domain_id: u32, net: IpNet, subnet: Subnet) -> impl Iterator<Item = (SubnetKey, Subnet)> {
    around_mapped(net).into_iter().map(move |part| {
        let key = SubnetKey { prefixlen: RF_SUBNET_FIXED_BITS + bits(part), domain_id, ip: Ip::from(part.network()) };
        // A prefix has at most 128 bits.
        (key, Subnet { bits: bits(part) as u8, ..subnet })
    })
}

/// Keys of a built-in rule's prefix, as [`subnet_keys`].
pub fn builtin_keys(net: IpNet) -> impl Iterator<Item = BuiltinKey> {
    around_mapped(net).into_iter().map(|net| BuiltinKey { prefixlen: bits(net), ip: Ip::from(net.network()) })
}

/// The parts of a prefix that hold addresses of its own family only.
fn around_mapped(net: IpNet) -> Vec<IpNet> {
    let IpNet::V6(mut rest) = net else { return vec![net] };
    let mut parts = Vec::new();
    while rest.contains(&MAPPED) && rest != MAPPED {
        let Ok(mut halves) = rest.subnets(rest.prefix_len() + 1) else { break };
        let (Some(low), Some(high)) = (halves.next(), halves.next()) else { break };
        let (with, without) = if low.contains(&MAPPED) { (low, high) } else { (high, low) };
        parts.push(IpNet::V6(without));
        rest = with;
    }
    if !rest.contains(&MAPPED) {
        parts.push(IpNet::V6(rest));
    }
    parts
}

/// Where IPv4 addresses lie in IPv6 (RFC 4291 2.5.5.2).
const MAPPED: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96);

/// Length of a prefix over 16-byte addresses.
fn bits(net: IpNet) -> u32 {
    match net {
        IpNet::V4(v4) => 96 + u32::from(v4.prefix_len()),
        IpNet::V6(v6) => u32::from(v6.prefix_len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_pair_of_everything_holds_every_ipv6_address_and_no_ipv4_address() {
        let parts = around_mapped(IpNet::V6(Ipv6Net::default()));
        let holds =
            |address: Ipv6Addr| parts.iter().filter(|part| part.contains(&std::net::IpAddr::V6(address))).count();
        for text in ["::", "::fffe:ffff:ffff", "::1:0:0:0", "2001:db8::1", "ffff:ffff::"] {
            assert_eq!(text.parse().map(holds), Ok(1), "{text}");
        }
        for text in ["::ffff:0.0.0.0", "::ffff:203.0.113.77", "::ffff:255.255.255.255"] {
            assert_eq!(text.parse().map(holds), Ok(0), "{text}");
        }
    }
}
