//! The validated model: values that cannot be wrong.
//!
//! ```text
//!  Object ──decode──▶ Part ──build, step──▶ Domain ──┐
//!                                                   ├─change──▶ Model
//!              what all domains share ──exclusive──┘
//! ```
//!
//! A model never changes: [`Model::change`] makes the next one, which shares every domain that the
//! change does not touch.

use std::{collections::BTreeMap, sync::Arc};

use ipnet::IpNet;
use sha2::{Digest, Sha256};

use crate::object::{Object, ObjectKey};

mod address;
mod build;
mod change;
mod decode;
mod decode_network;
mod decode_policy;
mod decode_workload;
mod exclusive;
mod fault;
mod finding;
mod interfaces;
mod moment;
mod name;
mod selector;
mod sharing;
mod step;
mod traffic;
mod types;

pub(crate) use address::check_unmapped;
pub use address::{AddressError, Mac};
pub use change::{Change, What};
pub(crate) use decode::check;
pub use decode_policy::DEFAULT_PRIORITY;
pub(crate) use decode_policy::PEERS;
pub use moment::{MomentError, format_moment, parse_moment};
pub use name::{NameError, check_host};
pub(crate) use name::{check_object, check_part, split_domain};
pub use selector::Selector;
pub use traffic::{IcmpTypes, PortRange, Ports, Traffic, TrafficError};
pub use types::{
    Action, AddressPair, AddressSet, Binds, Interface, Mode, Network, Peer, Policy, Route, Rule, Side, Subnet, Tier,
    Uplink, Window, Workload,
};

/// The rule that decides where no rule of a policy does, in a domain whose default is to deny (DESIGN 3.8).
pub const DEFAULT_DENY: &str = "default/deny";

/// The same in a domain whose default is to allow.
pub const DEFAULT_ALLOW: &str = "default/allow";

/// The objects that belong together: a domain with all in it, or the tenants. A copy shares them all.
type Scope = BTreeMap<Arc<ObjectKey>, Arc<Object>>;

/// Parts of a domain by name. A copy shares them all.
pub(crate) type Named<T> = BTreeMap<Arc<str>, Arc<T>>;

/// Everything, validated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    /// Every object as its author wrote it, by domain; the tenants under the empty name.
    scopes: BTreeMap<String, Arc<Scope>>,
    domains: BTreeMap<String, Arc<Domain>>,
    /// Policies of the platform, named `*/NAME`.
    platform: Arc<BTreeMap<String, Policy>>,
    exclusive: exclusive::Exclusive,
}

/// One domain, validated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Domain {
    name: String,
    /// What becomes of what no rule decides.
    pub(crate) default_allows: bool,
    pub(crate) uplink: Option<Uplink>,
    pub(crate) networks: Named<Network>,
    pub(crate) workloads: Named<Workload>,
    pub(crate) segments: Named<Selector>,
    pub(crate) address_sets: Named<AddressSet>,
    pub(crate) policies: Named<Policy>,
    /// Policies of the platform, named `*/NAME`.
    pub(crate) platform: Arc<BTreeMap<String, Policy>>,
    held: Arc<interfaces::Held>,
}

/// One thing wrong with a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The object it is about.
    pub key: ObjectKey,
    /// Its place among the upserts; `None` when a deletion or an object already stored is at fault.
    pub index: Option<usize>,
    /// Path in it as in the file, `rules[2].traffic[0]`; empty: all of it.
    pub field: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// What a domain's interface needs to be wired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InterfaceRef<'a> {
    /// Workload.
    pub workload: &'a str,
    /// Interface.
    pub name: &'a str,
    /// Host.
    pub host: &'a str,
    /// Device on the host.
    pub device: &'a str,
}

impl Model {
    /// The model with these objects added or replaced and those deleted, all or nothing.
    ///
    /// # Errors
    /// Everything that is wrong with the change, in the order of the request.
    pub fn change(&self, upserts: &[Object], deletes: &[ObjectKey]) -> Result<Change, Vec<Invalid>> {
        change::change(self, upserts, deletes)
    }

    /// Every domain by name.
    pub fn domains(&self) -> &BTreeMap<String, Arc<Domain>> {
        &self.domains
    }

    /// Every object as its author wrote it: the tenants, then domain by domain.
    pub fn objects(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.scopes.values().flat_map(|scope| scope.values())
    }

    /// An object as its author wrote it.
    pub fn object(&self, key: &ObjectKey) -> Option<&Arc<Object>> {
        self.scopes.get(change::scope_of(key))?.get(key)
    }
}

impl Domain {
    /// `tenant/domain`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Name and the VNI asked for.
    pub fn networks(&self) -> impl Iterator<Item = (&str, Option<u32>)> {
        self.networks.iter().map(|(name, n)| (&**name, n.vni))
    }

    /// Name and content, by name.
    pub fn workloads(&self) -> impl Iterator<Item = (&str, &Workload)> {
        self.workloads.iter().map(|(name, w)| (&**name, &**w))
    }

    /// A workload by name.
    pub fn workload(&self, name: &str) -> Option<&Workload> {
        self.workloads.get(name).map(|workload| &**workload)
    }

    /// Whether several interfaces have the address pair of this prefix: one of them holds the address at a time.
    pub fn is_shared(&self, prefix: &IpNet) -> bool {
        self.held.is_shared(prefix)
    }

    /// Whether there is such a pair.
    pub fn has_shared_pairs(&self) -> bool {
        self.held.has_shared()
    }

    /// What a segment selects, by its name.
    pub fn segment(&self, name: &str) -> Option<&Selector> {
        self.segments.get(name).map(|selector| &**selector)
    }

    /// An address set by name.
    pub fn address_set(&self, name: &str) -> Option<&AddressSet> {
        self.address_sets.get(name).map(|set| &**set)
    }

    /// Whether what no rule decides is allowed.
    pub fn default_allows(&self) -> bool {
        self.default_allows
    }

    /// `default/deny`, or `default/allow`.
    pub fn default_rule(&self) -> &'static str {
        if self.default_allows { DEFAULT_ALLOW } else { DEFAULT_DENY }
    }

    /// Name and content of every policy in force here, by name: first those of the platform, named `*/NAME`.
    pub fn policies(&self) -> impl Iterator<Item = (&str, &Policy)> {
        let platform = self.platform.iter().map(|(name, policy)| (name.as_str(), policy));
        platform.chain(self.policies.iter().map(|(name, policy)| (&**name, &**policy)))
    }

    /// By workload, then interface.
    pub fn interfaces(&self) -> impl Iterator<Item = InterfaceRef<'_>> {
        self.workloads.iter().flat_map(|(workload, content)| {
            content.interfaces.iter().map(|interface| InterfaceRef {
                workload,
                name: &interface.name,
                host: &interface.host,
                device: &interface.device,
            })
        })
    }

    /// (policy, rule).
    pub fn rules(&self) -> impl Iterator<Item = (&str, &str)> {
        self.policies().flat_map(|(policy, content)| content.rules.iter().map(move |rule| (policy, rule.name.as_str())))
    }

    /// Host and device of the uplink.
    pub fn uplink(&self) -> Option<(&str, &str)> {
        let uplink = self.uplink.as_ref()?;
        Some((&uplink.host, &uplink.device))
    }
}

/// The device of an interface that names none: `rf` and 12 hexadecimal digits.
pub fn derived_device(domain: &str, workload: &str, interface: &str) -> String {
    // No name holds a zero octet, so no two triples run together.
    let digest = Sha256::digest([domain, workload, interface].join("\0"));
    let digits = digest.iter().take(6).map(|octet| format!("{octet:02x}"));
    std::iter::once("rf".to_owned()).chain(digits).collect()
}
