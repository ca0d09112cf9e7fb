//! The parts of a validated domain. Whoever holds one may rely on what its comments say.

use std::{collections::BTreeMap, fmt, net::IpAddr};

use ipnet::IpNet;

use super::{Mac, Selector, Traffic};

/// A network: one layer-2 broadcast domain.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Network {
    /// At least one; none overlaps another of the domain.
    pub subnets: Vec<Subnet>,
    /// Bytes of the inner IP packet, 576–9000; `None`: what the underlay allows.
    pub mtu: Option<u32>,
    /// VNI asked for, 1–16777215, no other network's; `None`: the controller allocates one.
    pub vni: Option<u32>,
    /// Whether its workloads may send multicast and broadcast to each other.
    pub multicast: bool,
    /// Seconds for which an address handed out is good, a minute to 30 days.
    pub lease: u32,
    /// DNS names; no more than fit into a DHCP message of every client.
    pub search_domains: Vec<String>,
}

/// A subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Subnet {
    /// No bits beyond its length.
    pub cidr: IpNet,
    /// Inside it, and no interface's.
    pub gateway: IpAddr,
    /// Of its family; empty where it has neither `dhcp` nor `ra`.
    pub dns: Vec<IpAddr>,
    /// Whether its workloads get their addresses in it by DHCP.
    pub dhcp: bool,
    /// Whether its gateway is announced to them as a router: IPv6, and a /64 unless it has `dhcp`.
    pub ra: bool,
    /// Of its family; empty where nothing would tell them.
    pub routes: Vec<Route>,
}

/// A route that workloads are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Neither all addresses, nor bits beyond its length.
    pub to: IpNet,
    /// Inside the subnet; of an IPv6 one, its gateway.
    pub via: IpAddr,
}

/// A workload.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Workload {
    /// What segments select by.
    pub labels: BTreeMap<String, String>,
    /// What a port name in a rule means on it.
    pub ports: BTreeMap<String, u16>,
    /// At least one; names are unique among them.
    pub interfaces: Vec<Interface>,
    /// It is the machine that all its interfaces name as their host: their devices are NICs of it. Only such workloads are
    /// in their networks.
    pub bare_metal: bool,
}

/// A workload's attachment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Interface {
    /// Unique in the workload.
    pub name: String,
    /// A network of the domain.
    pub network: String,
    /// Unique in the network.
    pub mac: Mac,
    /// At least one, each in a subnet of the network and unique in the domain.
    pub addresses: Vec<IpAddr>,
    /// The host that runs it.
    pub host: String,
    /// The host-side device, unique on the host.
    pub device: String,
    /// Further addresses it may use.
    pub pairs: Vec<AddressPair>,
    /// `false`: it may send with any source MAC, and from addresses that are nobody's.
    pub port_security: bool,
}

/// Addresses that an interface may use besides its own: they are its own to policy, but for those that another
/// interface has as its own or by a longer pair, and but for gateways.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressPair {
    /// Another interface may have a pair of the same prefix only if it is a single address; then they share it: one holds
    /// it at a time, all are in one network, and their workloads have the same labels and ports.
    pub prefix: IpNet,
    /// Their MAC address.
    pub mac: Mac,
}

/// A named list of prefixes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddressSet {
    /// At least one.
    pub prefixes: Vec<IpNet>,
}

/// A named, ordered list of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// When it is asked.
    pub tier: Tier,
    /// Whether it decides, or only what would be.
    pub mode: Mode,
    /// Whether what it allows makes no connection by itself (DESIGN 3.4).
    pub stateless: bool,
    /// At least one; names are unique among them.
    pub rules: Vec<Rule>,
}

/// In which order policies are asked, which is the order here (DESIGN 3.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tier {
    /// First.
    Guard,
    /// Then.
    #[default]
    Tenant,
    /// Last.
    Baseline,
}

/// Whether a policy decides (DESIGN 3.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// It does.
    #[default]
    Enforce,
    /// It says what would be if it did.
    Audit,
}

/// A rule. None of its lists is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule {
    /// Unique in the policy.
    pub name: String,
    /// Sources.
    pub from: Vec<Peer>,
    /// Destinations.
    pub to: Vec<Peer>,
    /// What becomes of what it matches.
    pub action: Action,
    /// What it matches between them.
    pub traffic: Vec<Traffic>,
    /// The least decides.
    pub priority: u16,
    /// Which sides it binds.
    pub binds: Binds,
    /// Whether flows it decides are logged.
    pub log: bool,
    /// When it holds.
    pub window: Window,
}

/// Which sides of a flow a rule binds (DESIGN 3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Binds {
    /// Both.
    #[default]
    Both,
    /// The egress of the source.
    From,
    /// The ingress of the destination.
    To,
}

/// One of the two sides of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The egress of the source.
    From,
    /// The ingress of the destination.
    To,
}

/// When a rule holds: seconds since 1970-01-01T00:00:00Z, half-open (DESIGN 3.10).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    /// From then on; `None`: from ever.
    pub not_before: Option<u64>,
    /// Until just before then, which is later than `not_before`; `None`: for ever.
    pub not_after: Option<u64>,
}

/// Whom a rule speaks of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Peer {
    /// Every unicast address, and the host.
    Any,
    /// Every unicast address that is no interface's and no gateway's.
    Outside,
    /// The stack of the machine that the other end runs on.
    Host,
    /// The addresses of the workloads of a segment of the domain.
    Segment(String),
    /// The addresses of a workload of the domain.
    Workload(String),
    /// The addresses of the workloads that a selector selects.
    Labels(Selector),
    /// Every address of a prefix, interfaces included, but for those in `except`.
    Cidr {
        /// The prefix.
        prefix: IpNet,
        /// Inside it; sorted.
        except: Vec<IpNet>,
    },
    /// Every address of an address set of the domain, interfaces included.
    Addresses(String),
}

/// What a rule does. At one priority deny comes before pass, and pass before allow, which is the order here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// The side refuses.
    Deny,
    /// The tier says nothing: the next one is asked.
    Pass,
    /// The side agrees.
    Allow,
}

impl Binds {
    /// Whether a rule binds that side.
    pub fn binds(self, side: Side) -> bool {
        match self {
            Self::Both => true,
            Self::From => side == Side::From,
            Self::To => side == Side::To,
        }
    }
}

impl Window {
    /// How many moments it names.
    pub(crate) fn ends(self) -> usize {
        usize::from(self.not_before.is_some()) + usize::from(self.not_after.is_some())
    }

    /// Whether a moment is inside.
    pub fn holds(self, at: u64) -> bool {
        self.not_before.is_none_or(|start| start <= at) && self.not_after.is_none_or(|end| at < end)
    }
}

/// A domain's way out.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Uplink {
    /// The host that has the device.
    pub host: String,
    /// The device, unique on the host.
    pub device: String,
    /// Address and on-link prefix, at most one of each family.
    pub addresses: Vec<IpNet>,
    /// One for each family of the addresses, inside that prefix.
    pub next_hops: Vec<IpAddr>,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Outside => f.write_str("outside"),
            Self::Segment(name) => write!(f, "segment/{name}"),
            Self::Host => f.write_str("host"),
            Self::Workload(name) => write!(f, "workload/{name}"),
            Self::Labels(selector) => write!(f, "{{labels: {selector}}}"),
            Self::Cidr { prefix, except } if except.is_empty() => write!(f, "{{cidr: {prefix}}}"),
            Self::Cidr { prefix, except } => {
                let except: Vec<_> = except.iter().map(ToString::to_string).collect();
                write!(f, "{{cidr: {prefix}, except: [{}]}}", except.join(", "))
            }
            Self::Addresses(name) => write!(f, "addresses/{name}"),
        }
    }
}
