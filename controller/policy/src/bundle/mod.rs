//! What the compiler makes of one domain at one generation, the same for every host that needs it.
//!
//! It names no map and no byte layout: the agent lowers it to those alone.

use std::net::IpAddr;

use ipnet::IpNet;

mod judge;
mod shared;

pub use shared::{Digest, Shared};

/// An agent that has this reads everything in this module.
pub const FEATURE_BUNDLE_V2: &str = "bundle-v2";

/// An agent that has this answers DHCP and router solicitations as subnets say. A domain needs it that has such a subnet.
pub const FEATURE_SERVICES: &str = "services";

/// An agent that has this delivers multicast and broadcast. A domain needs it that has a network with it.
pub const FEATURE_MULTICAST: &str = "multicast";

/// An agent that has this enforces on the NIC of a machine, which the overlay does not reach. A bundle needs it that has
/// a bare-metal interface, also where that is another host's: packets to it go another way.
pub const FEATURE_BARE_METAL: &str = "bare-metal";

/// An agent that has this knows address pairs that several interfaces share. A domain needs it that has one.
pub const FEATURE_SHARED_PAIRS: &str = "shared-pairs";

/// The class of the stack of the host that the other end runs on; no address has it. 0 is no class.
pub const CLASS_HOST: u32 = 1;

/// One domain, compiled; cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bundle {
    /// Never reused.
    pub domain_id: u32,
    /// `tenant/domain`.
    pub name: String,
    /// Of the state it was compiled from.
    pub generation: u64,
    /// What an agent must know to read it right.
    pub features: Vec<String>,
    /// Where packets go.
    pub topology: Shared<Topology>,
    /// Which packets may.
    pub policy: Shared<CompiledPolicy>,
    /// Every interface of the domain, by ascending id.
    pub interfaces: Vec<Shared<CompiledInterface>>,
}

/// Networks, hosts and the uplink of a domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topology {
    /// VNI of packets on their way to the uplink.
    pub transit_vni: u32,
    /// By name.
    pub networks: Vec<CompiledNetwork>,
    /// The way out.
    pub uplink: Option<CompiledUplink>,
    /// Every host that an interface or the uplink names, by name.
    pub hosts: Vec<CompiledHost>,
}

/// A network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompiledNetwork {
    /// Its name in the domain.
    pub name: String,
    /// 1–16777215.
    pub vni: u32,
    /// Bytes of the inner IP packet; 0: what the host's underlay allows.
    pub mtu: u32,
    /// Its subnets.
    pub subnets: Vec<CompiledSubnet>,
    /// Whether multicast and broadcast of its interfaces are delivered in it.
    pub multicast: bool,
    /// Seconds for which an address handed out is good; 0: none is.
    pub lease: u32,
    /// DNS names.
    pub search_domains: Vec<String>,
}

/// A subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompiledSubnet {
    /// Its prefix.
    pub cidr: IpNet,
    /// Its gateway.
    pub gateway: IpAddr,
    /// Resolvers, of its family.
    pub dns: Vec<IpAddr>,
    /// Whether addresses in it are handed out.
    pub dhcp: bool,
    /// Whether its gateway is announced as a router; IPv6 alone.
    pub ra: bool,
    /// Further routes, of its family.
    pub routes: Vec<CompiledRoute>,
}

/// A route that workloads are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompiledRoute {
    /// Its prefix.
    pub to: IpNet,
    /// Of an IPv6 one, the gateway.
    pub via: IpAddr,
}

impl CompiledSubnet {
    /// A subnet without services.
    pub fn new(cidr: IpNet, gateway: IpAddr) -> Self {
        Self { cidr, gateway, dns: Vec::new(), dhcp: false, ra: false, routes: Vec::new() }
    }
}

/// A domain's way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompiledUplink {
    /// The host that has it.
    pub host: String,
    /// Its device there.
    pub device: String,
    /// Address and on-link prefix, at most one of each family.
    pub addresses: Vec<IpNet>,
    /// At most one of each family.
    pub next_hops: Vec<IpAddr>,
}

/// A host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompiledHost {
    /// Its name.
    pub name: String,
    /// Its underlay addresses; empty until it registers.
    pub underlay: Vec<IpAddr>,
}

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompiledInterface {
    /// Never reused.
    pub id: u32,
    /// Its workload's name.
    pub workload: String,
    /// Its own name.
    pub name: String,
    /// Of its network.
    pub vni: u32,
    /// Its MAC address.
    pub mac: [u8; 6],
    /// The host that runs it.
    pub host: String,
    /// Its host-side device.
    pub device: String,
    /// Its addresses with their classes.
    pub addresses: Vec<(IpAddr, u32)>,
    /// Further addresses it may use; their classes are those of [`CompiledPolicy::prefixes`].
    pub pairs: Vec<CompiledPair>,
    /// `false`: it may send with any source MAC, and from addresses that are nobody's.
    pub port_security: bool,
    /// Its device is a NIC of its host: the overlay does not reach it, the domain's uplink does.
    pub bare_metal: bool,
}

/// Addresses that an interface may use besides its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompiledPair {
    /// No other interface of the domain has a pair of this prefix, unless it is shared.
    pub prefix: IpNet,
    /// Their MAC address.
    pub mac: [u8; 6],
    /// Other interfaces of the network have a pair of this prefix, which is a single address: one of them holds it at a
    /// time.
    pub shared: bool,
}

/// Classes and what may pass between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompiledPolicy {
    /// What a pair of known classes without a row gets.
    pub default_allows: bool,
    /// Classes of addresses that are no interface's own, by prefix; the longest counts.
    pub prefixes: Vec<ClassedPrefix>,
    /// Sorted by (from, to).
    pub rows: Vec<Row>,
    /// What rows point to.
    pub profiles: Vec<Profile>,
    /// What an ordinal names; ordinal 0 is the domain's default.
    pub rules: Vec<RuleName>,
}

/// The class of a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClassedPrefix {
    /// The prefix.
    pub prefix: IpNet,
    /// Neither 0 nor [`CLASS_HOST`].
    pub class_id: u32,
    /// Whether it lies in an address pair, so that its side votes.
    pub votes: bool,
}

/// From one class to another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// Class of the source.
    pub from_class: u32,
    /// Class of the destination.
    pub to_class: u32,
    /// Index into [`CompiledPolicy::profiles`].
    pub profile: u32,
    /// Other profiles from later moments on, ascending: seconds since 1970-01-01T00:00:00Z, and the index.
    pub later: Vec<(u64, u32)>,
}

/// For each protocol the whole number space, cut into runs of one verdict.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Profile {
    /// By destination port.
    pub tcp: Vec<Run>,
    /// By destination port.
    pub udp: Vec<Run>,
    /// By destination port.
    pub sctp: Vec<Run>,
    /// By type × 256 + code.
    pub icmp: Vec<Run>,
    /// By type × 256 + code.
    pub icmp6: Vec<Run>,
    /// By protocol number.
    pub other: Vec<Run>,
}

/// From `first` to the next run's `first`; a table's first run starts at 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Run {
    /// The first number it covers.
    pub first: u16,
    /// What becomes of the packet.
    pub enforced: Outcome,
    /// What would, were policies in audit enforced.
    pub shadow: Outcome,
}

/// What both sides say, and by which rules. A side that is no workload of ours allows, by ordinal 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Outcome {
    /// Whether the source's side allows.
    pub from_allows: bool,
    /// Whether the destination's side allows.
    pub to_allows: bool,
    /// Ordinal of the deciding rule of the source's side.
    pub from_rule: u32,
    /// Ordinal of the deciding rule of the destination's side.
    pub to_rule: u32,
}

/// A rule, as far as the programs and those who read what they say need it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleName {
    /// Never reused.
    pub id: u32,
    /// `policy/rule`, `*/policy/rule`.
    pub name: String,
    /// Of its policy: what it allows makes no connection on its behalf.
    pub stateless: bool,
    /// Flows it decides are logged.
    pub log: bool,
}

impl Profile {
    /// How many runs it has.
    pub fn runs(&self) -> usize {
        let Self { tcp, udp, sctp, icmp, icmp6, other } = self;
        [tcp, udp, sctp, icmp, icmp6, other].into_iter().map(Vec::len).sum()
    }
}

impl Row {
    /// The profile at a moment, in seconds since 1970-01-01T00:00:00Z.
    pub fn profile_at(&self, at: u64) -> u32 {
        self.later.iter().rev().find(|(since, _)| *since <= at).map_or(self.profile, |(_, profile)| *profile)
    }
}
