//! Objects as their author wrote them: shape, not yet meaning. [`crate::model`] gives them meaning.

use std::{collections::BTreeMap, fmt};

/// The domain of policies that hold in every domain.
pub const PLATFORM: &str = "*";

/// What kinds of object there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Who owns domains.
    Tenant,
    /// An isolated routing domain.
    Domain,
    /// A layer-2 broadcast domain inside a domain.
    Network,
    /// A VM, a container or a machine.
    Workload,
    /// A named label selector.
    Segment,
    /// Named, ordered rules.
    Policy,
    /// A machine that runs an agent; made by the controller.
    Host,
    /// A named list of prefixes.
    AddressSet,
}

/// Names one object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// Its kind.
    pub kind: Kind,
    /// `tenant/domain`, or [`PLATFORM`]; empty for Tenant, Domain and Host.
    pub domain: String,
    /// Unique among its kind in its domain.
    pub name: String,
}

/// One object as its author wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// `tenant/domain`, or [`PLATFORM`]; empty for Tenant, Domain and Host.
    pub domain: String,
    /// Unique among its kind in its domain.
    pub name: String,
    /// What it says.
    pub spec: Spec,
}

/// What an object says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spec {
    /// See [`Kind::Tenant`].
    Tenant,
    /// See [`Kind::Domain`].
    Domain(DomainSpec),
    /// See [`Kind::Network`].
    Network(NetworkSpec),
    /// See [`Kind::Workload`].
    Workload(WorkloadSpec),
    /// See [`Kind::Segment`].
    Segment(SegmentSpec),
    /// See [`Kind::Policy`].
    Policy(PolicySpec),
    /// See [`Kind::Host`].
    Host(HostSpec),
    /// See [`Kind::AddressSet`].
    AddressSet(AddressSetSpec),
}

/// A routing domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DomainSpec {
    /// How it reaches what is no interface of it.
    pub uplink: Option<UplinkSpec>,
    /// `deny` or `allow`: what becomes of what no rule decides; `None`: `deny`.
    pub default: Option<String>,
}

/// A domain's way out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UplinkSpec {
    /// The host that has the device.
    pub host: String,
    /// The device on that host.
    pub device: String,
    /// `ADDRESS/LENGTH`, at most one of each family.
    pub addresses: Vec<String>,
    /// At most one of each family.
    pub next_hops: Vec<String>,
}

/// A network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkSpec {
    /// Its subnets, at least one.
    pub subnets: Vec<SubnetSpec>,
    /// Bytes of the inner IP packet; `None`: what the underlay allows.
    pub mtu: Option<u32>,
    /// VXLAN network identifier; `None`: the controller allocates one.
    pub vni: Option<u32>,
    /// Whether its workloads may send multicast and broadcast to each other.
    pub multicast: bool,
    /// How long an address handed out is good for, `90s`, `30m`, `12h` or `7d`; `None`: an hour.
    pub lease: Option<String>,
    /// Where its workloads look for names without a dot.
    pub search_domains: Vec<String>,
}

/// A subnet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubnetSpec {
    /// Its prefix.
    pub cidr: String,
    /// The address its workloads use as router.
    pub gateway: String,
    /// Resolvers that its workloads are told.
    pub dns: Vec<String>,
    /// Whether its workloads get their addresses in it by DHCP.
    pub dhcp: bool,
    /// Whether its gateway is announced to them as a router; IPv6 alone.
    pub ra: bool,
    /// Further routes that they are told.
    pub routes: Vec<RouteSpec>,
}

/// A route that workloads are told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteSpec {
    /// Its prefix.
    pub to: String,
    /// The router's address in the subnet.
    pub via: String,
}

/// A workload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkloadSpec {
    /// What segments select by.
    pub labels: BTreeMap<String, String>,
    /// What `tcp/NAME` in a rule means on it: port by name.
    pub ports: BTreeMap<String, u32>,
    /// Its attachments.
    pub interfaces: Vec<InterfaceSpec>,
    /// Whether it is the machine its interfaces name as their host.
    pub bare_metal: bool,
}

/// A workload's attachment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InterfaceSpec {
    /// Unique in the workload.
    pub name: String,
    /// The network it is in.
    pub network: String,
    /// Its MAC address.
    pub mac: String,
    /// Its addresses, each inside a subnet of its network.
    pub addresses: Vec<String>,
    /// The host that runs it.
    pub host: String,
    /// The host-side device; `None`: [`crate::model::derived_device`].
    pub device: Option<String>,
    /// Further addresses it may use.
    pub address_pairs: Vec<AddressPairSpec>,
    /// `false`: it may send with any source MAC, and from addresses that are nobody's in the domain; `None`: `true`.
    pub port_security: Option<bool>,
}

/// Addresses that an interface may use besides its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressPairSpec {
    /// Their MAC address; `None`: the interface's.
    pub mac: Option<String>,
    /// A prefix, or an address.
    pub prefix: String,
}

/// A segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SegmentSpec {
    /// ANDed; at least one.
    pub requirements: Vec<Requirement>,
}

/// One condition on a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The label's key.
    pub key: String,
    /// What must hold of its value.
    pub test: LabelTest,
}

/// What must hold of a label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelTest {
    /// The value is this.
    Equals(String),
    /// The value is one of these.
    In(Vec<String>),
    /// The value is none of these, or there is no such label.
    NotIn(Vec<String>),
    /// There is (not) such a label.
    Exists(bool),
}

/// A named list of prefixes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressSetSpec {
    /// Prefixes or addresses, at least one.
    pub addresses: Vec<String>,
}

/// A policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PolicySpec {
    /// `guard`, `tenant` or `baseline`; `None`: `tenant`.
    pub tier: Option<String>,
    /// `enforce` or `audit`; `None`: `enforce`.
    pub mode: Option<String>,
    /// Whether what it allows makes no connection by itself.
    pub stateless: bool,
    /// Its rules in order.
    pub rules: Vec<RuleSpec>,
}

/// A rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleSpec {
    /// Unique in the policy.
    pub name: String,
    /// Sources.
    pub from: Vec<PeerSpec>,
    /// Destinations.
    pub to: Vec<PeerSpec>,
    /// `allow`, `deny` or `pass`.
    pub action: String,
    /// `any`, `tcp`, `tcp/443`, `udp/5000-5010`, `tcp/https`, `icmp/3/4`, `icmp6`, `proto/47`.
    pub traffic: Vec<String>,
    /// 0–65535, the least decides; `None`: 1000.
    pub priority: Option<u32>,
    /// The side it binds, `from` or `to`; `None`: both.
    pub side: Option<String>,
    /// Whether flows it decides are logged.
    pub log: bool,
    /// RFC 3339: it holds from then on.
    pub not_before: Option<String>,
    /// RFC 3339: it holds until just before then.
    pub not_after: Option<String>,
}

/// One side of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerSpec {
    /// `any`, `outside`, `host`, `segment/NAME`, `workload/NAME`, `addresses/NAME`.
    Name(String),
    /// `{cidr: PREFIX, except: [PREFIX]}`.
    Cidr {
        /// The prefix.
        cidr: String,
        /// What of it is left out.
        except: Vec<String>,
    },
    /// `{labels: SELECTOR}`: ANDed, at least one.
    Labels(Vec<Requirement>),
}

/// A host, as registered by its agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostSpec {
    /// Where its overlay traffic comes from and goes to; at most one of each family.
    pub underlay: Vec<String>,
    /// Version of the agent that registered last.
    pub agent_version: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

// === impl Kind ===

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tenant => "Tenant",
            Self::Domain => "Domain",
            Self::Network => "Network",
            Self::Workload => "Workload",
            Self::Segment => "Segment",
            Self::Policy => "Policy",
            Self::Host => "Host",
            Self::AddressSet => "AddressSet",
        })
    }
}

// === impl ObjectKey ===

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.domain.is_empty() {
            write!(f, "{} {}", self.kind, self.name)
        } else {
            write!(f, "{} {}/{}", self.kind, self.domain, self.name)
        }
    }
}

// === impl Object ===

impl Object {
    /// Its kind.
    pub fn kind(&self) -> Kind {
        match self.spec {
            Spec::Tenant => Kind::Tenant,
            Spec::Domain(_) => Kind::Domain,
            Spec::Network(_) => Kind::Network,
            Spec::Workload(_) => Kind::Workload,
            Spec::Segment(_) => Kind::Segment,
            Spec::Policy(_) => Kind::Policy,
            Spec::Host(_) => Kind::Host,
            Spec::AddressSet(_) => Kind::AddressSet,
        }
    }

    /// What names it.
    pub fn key(&self) -> ObjectKey {
        ObjectKey { kind: self.kind(), domain: self.domain.clone(), name: self.name.clone() }
    }
}
