//! The parts of a validated domain. Whoever holds one may rely on what its comments say.

use std::{collections::BTreeMap, fmt, net::IpAddr};

use ipnet::IpNet;

use super::{Mac, Traffic};

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
}

/// A subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Subnet {
    /// No bits beyond its length.
    pub cidr: IpNet,
    /// Inside it, and no interface's.
    pub gateway: IpAddr,
}

/// A workload.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Workload {
    /// What segments select by.
    pub labels: BTreeMap<String, String>,
    /// At least one; names are unique among them.
    pub interfaces: Vec<Interface>,
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
}

/// A named, ordered list of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// At least one; names are unique among them.
    pub rules: Vec<Rule>,
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
}

/// Whom a rule speaks of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Peer {
    /// Every unicast address.
    Any,
    /// Every unicast address that is no interface's and no gateway's.
    Outside,
    /// The addresses of the workloads of a segment of the domain.
    Segment(String),
    /// Every address of a prefix, interfaces included.
    Cidr(IpNet),
}

/// What a rule does. At one priority deny comes before allow, which is the order here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// The side refuses.
    Deny,
    /// The side agrees.
    Allow,
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
            Self::Cidr(prefix) => write!(f, "{prefix}"),
        }
    }
}
