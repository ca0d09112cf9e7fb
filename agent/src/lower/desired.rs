//! What this host should enforce, before anything has an index, a slot or an epoch.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ipnet::IpNet;

use crate::{
    bpf::{Host, Run, consts::RF_TABLES},
    services::Served,
};

/// The runs of a profile, for each protocol table.
pub type Tables = [Vec<Run>; RF_TABLES as usize];

/// The desired state of this host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Desired {
    /// This host's own underlay addresses, which it names as the outer source.
    pub here: Host,
    /// By ifindex.
    pub devices: BTreeMap<u32, Role>,
    /// Which built-in rules of NICs name the addresses of a prefix, `RF_BUILTIN_*`; the longest prefix counts.
    pub builtins: BTreeMap<IpNet, u32>,
    /// By domain id.
    pub domains: BTreeMap<u32, DomainState>,
    /// What interfaces of this host are told, by interface id.
    pub served: BTreeMap<u32, Served>,
    /// The most connections that one interface may open here; `None`: as the tables allow.
    pub conn_budget: Option<u32>,
}

/// What a device should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Of a workload: the interface's id.
    Workload(u32),
    /// NIC of this machine as a bare-metal workload: the interface's id.
    Nic(u32),
    /// The VXLAN device.
    Overlay,
    /// Uplink of a domain: its id.
    Uplink(u32),
    /// The host's own.
    Host,
}

/// One domain as this host sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DomainState {
    /// VNI toward the uplink.
    pub transit_vni: u32,
    /// Way out.
    pub uplink: Option<UplinkState>,
    /// By VNI; the transit VNI is not among them.
    pub networks: BTreeMap<u32, NetworkState>,
    /// By VNI: networks with members on this host in which something is for all members.
    pub groups: BTreeMap<u32, GroupState>,
    /// Whose the addresses of a prefix are that have no entry in `addrs`, by prefix; the longest counts.
    pub subnets: BTreeMap<IpNet, SubnetState>,
    /// Who may hold the addresses that several share; such a one has a place in `subnets`, too.
    pub claims: BTreeMap<IpAddr, ClaimsState>,
    /// By interface id.
    pub interfaces: BTreeMap<u32, InterfaceState>,
    /// By address.
    pub addrs: BTreeMap<IpAddr, Owner>,
    /// Class of addresses that have no entry in `addrs`, by prefix; the longest counts.
    pub prefixes: BTreeMap<IpNet, u32>,
    /// Place in `profiles` by (from class, to class): rows with a local class, and where the default is to allow that of
    /// `RF_CLASS_NONE` on both sides.
    pub rows: BTreeMap<(u32, u32), usize>,
    /// What rows point to.
    pub profiles: Vec<Tables>,
}

/// A network: who answers for it when a packet is too big.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetworkState {
    /// Gateway of its first IPv4 subnet.
    pub gateway4: Option<Ipv4Addr>,
    /// Gateway of its first IPv6 subnet.
    pub gateway6: Option<Ipv6Addr>,
}

/// Who gets a copy of what is for all members of a network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupState {
    /// `RF_GROUP_*`.
    pub flags: u32,
    /// Bytes of L3 that every member takes.
    pub mtu: u32,
    /// Ids of the members on this host, in order.
    pub local: Vec<u32>,
    /// The other hosts with members, each once.
    pub hosts: Vec<Place>,
}

/// A domain's way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UplinkState {
    /// Its host.
    pub place: Place,
    /// Its device, when it is here and present; else 0.
    pub ifindex: u32,
    /// Bytes of L3 toward it from here.
    pub mtu: u32,
    /// IPv4 next hop.
    pub next_hop4: Option<Ipv4Addr>,
    /// IPv6 next hop.
    pub next_hop6: Option<Ipv6Addr>,
}

/// Where something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On this host.
    Here,
    /// On another one.
    At(Host),
    /// On a host that no tunnel from here reaches: it has not registered, or has no underlay of a common family.
    Unreachable,
}

/// An interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceState {
    /// Of its network.
    pub vni: u32,
    /// Bytes of L3 that reach it.
    pub mtu: u16,
    /// Its address.
    pub mac: [u8; 6],
    /// `RF_IFACE_*`.
    pub flags: u32,
    /// Its host.
    pub place: Place,
    /// Its device, when it is here and present; else 0.
    pub ifindex: u32,
}

/// A subnet or an address pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubnetState {
    /// Of the network: of a pair, its interface's.
    pub vni: u32,
    /// `None`: the addresses are on-link and nobody's, unless they are shared.
    pub holder: Option<Holder>,
    /// Who has it is found out by the programs, among `claims`.
    pub shared: bool,
}

/// Who may hold a shared address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClaimsState {
    /// Of their network.
    pub vni: u32,
    /// In order of their ids.
    pub claimants: Vec<Holder>,
}

/// Who uses the addresses of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its id.
    pub interface: u32,
    /// The MAC address that answers for them.
    pub mac: [u8; 6],
}

/// Whose an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// An interface's.
    Interface {
        /// Its id.
        id: u32,
        /// The address's class, never 0.
        class_id: u32,
    },
    /// The gateway of the network with this VNI.
    Gateway(u32),
}
