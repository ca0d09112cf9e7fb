//! What the maps hold: one field for each, in their own types.
//!
//! An array entry that is all zero is absent; one that nothing refers to is free, whatever it holds.

use std::collections::BTreeMap;

use ipnet::IpNet;

use crate::bpf::{
    Addr, AddrKey, Device, Domain, Host, Iface, Ip, PrefixKey, Profile, Row, RowKey, Run, Span, Subnet, SubnetKey, Vni,
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
    /// What an address of a domain is.
    pub addrs: BTreeMap<AddrKey, Addr>,
    /// Class of addresses that are no interface's.
    pub prefixes: BTreeMap<PrefixKey, u32>,
    /// Whose the addresses of a prefix are that have no entry of their own.
    pub subnets: BTreeMap<SubnetKey, Subnet>,
    /// Profile index by slot; 0: no row in that slot.
    pub rows: BTreeMap<RowKey, Row>,
    /// By profile index, from 1.
    pub profiles: BTreeMap<u32, Profile>,
    /// By place.
    pub runs: BTreeMap<u32, Run>,
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
    /// The runs of one table of a profile; one that denies by default from 0 on is all zero, so absent.
    pub fn table(&self, span: Span) -> Vec<Run> {
        let places = span.start..span.start.saturating_add(span.count.min(RF_RUNS));
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

/// Key of a subnet.
pub fn subnet_key(domain_id: u32, net: IpNet) -> SubnetKey {
    SubnetKey { prefixlen: RF_SUBNET_FIXED_BITS + bits(net), domain_id, ip: Ip::from(net.network()) }
}

/// Length of a prefix over 16-byte addresses.
fn bits(net: IpNet) -> u32 {
    match net {
        IpNet::V4(v4) => 96 + u32::from(v4.prefix_len()),
        IpNet::V6(v6) => u32::from(v6.prefix_len()),
    }
}
