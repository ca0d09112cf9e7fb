//! What an interface may be among the others of its domain.

use std::{
    collections::{BTreeSet, HashMap, hash_map::Entry},
    hash::Hash,
    net::IpAddr,
    sync::Arc,
};

use ipnet::IpNet;

use super::{
    Domain, Interface, Mac, Network, Workload,
    address::is_reserved_in,
    finding::{Finding, Holder},
    sharing::why_not_shared,
};
use crate::object::{Kind, ObjectKey};

/// What the interfaces of a domain hold alone; it follows from its workloads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    addresses: HashMap<IpAddr, Place>,
    /// More than one place: the pair is shared.
    pairs: HashMap<IpNet, BTreeSet<Place>>,
    /// By network.
    macs: HashMap<Arc<str>, HashMap<Mac, Place>>,
    /// By network; it has interfaces of one kind.
    members: HashMap<Arc<str>, Members>,
}

/// Interfaces in a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Members {
    bare_metal: u32,
    others: u32,
}

/// Where in a domain something is held.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) workload: Arc<str>,
    pub(super) interface: u32,
    /// Among the interface's addresses or pairs.
    pub(super) part: u32,
}

impl Held {
    /// Whether several interfaces have the pair of this prefix.
    pub(super) fn is_shared(&self, prefix: &IpNet) -> bool {
        self.pairs.get(prefix).is_some_and(|claimants| claimants.len() > 1)
    }

    /// Whether several interfaces have some pair.
    pub(super) fn has_shared(&self) -> bool {
        self.pairs.values().any(|claimants| claimants.len() > 1)
    }

    /// Gives back what a workload holds.
    pub(super) fn release(&mut self, name: &str, workload: &Workload) {
        for interface in &workload.interfaces {
            for address in &interface.addresses {
                self.addresses.remove(address);
            }
            for pair in &interface.pairs {
                if let Entry::Occupied(mut claimants) = self.pairs.entry(pair.prefix) {
                    claimants.get_mut().retain(|place| *place.workload != *name);
                    if claimants.get().is_empty() {
                        claimants.remove();
                    }
                }
            }
            if let Some(macs) = self.macs.get_mut(interface.network.as_str()) {
                macs.remove(&interface.mac);
            }
            if self.macs.get(interface.network.as_str()).is_some_and(HashMap::is_empty) {
                self.macs.remove(interface.network.as_str());
            }
            self.leave(&interface.network, workload.bare_metal);
        }
    }

    /// Takes what a workload of a domain claims, and says everything that is wrong with its interfaces there.
    /// `has_network`: whether there is one of that name, whatever is wrong with it.
    pub(super) fn take(
        &mut self,
        domain: &Domain,
        has_network: impl Fn(&str) -> bool,
        key: &ObjectKey,
        workload: &Workload,
    ) -> Vec<Finding> {
        let mut findings = Vec::new();
        let name: Arc<str> = key.name.as_str().into();
        for (index, interface) in (0..).zip(&workload.interfaces) {
            if !has_network(&interface.network) {
                let target =
                    ObjectKey { kind: Kind::Network, domain: key.domain.clone(), name: interface.network.clone() };
                findings.push(Finding::missing(key, format!("interfaces[{index}].network"), target));
            }
            if !self.join(&interface.network, workload.bare_metal) {
                let (network, are) = (&interface.network, if workload.bare_metal { "none" } else { "bare metal" });
                let message = format!(
                    "the other workloads of network {network} are {are}: choose another, since the overlay reaches no \
                     bare-metal machine"
                );
                findings.push(Finding::new(key, format!("interfaces[{index}].network"), message));
            }
            let mut claims = Claims { key, name: &name, index, findings: &mut findings };
            let network = domain.networks.get(interface.network.as_str());
            self.take_interface(&mut claims, network.map(|network| &**network), interface);
            findings.extend(self.take_pairs(domain, key, (&name, workload), index));
        }
        findings
    }

    /// Takes the address pairs of an interface, beside those who share them.
    fn take_pairs(
        &mut self,
        domain: &Domain,
        key: &ObjectKey,
        (name, workload): (&Arc<str>, &Workload),
        interface: u32,
    ) -> Vec<Finding> {
        let mut findings = Vec::new();
        let pairs = workload.interfaces.get(interface as usize).into_iter().flat_map(|interface| &interface.pairs);
        for (part, pair) in (0..).zip(pairs) {
            let claim = Place { workload: name.clone(), interface, part };
            let claimants = self.pairs.entry(pair.prefix).or_default();
            if let Some((holder, reason)) = why_not_shared(domain, claimants, workload, &claim, pair.prefix) {
                let key_of_holder = ObjectKey { name: holder.workload.to_string(), ..key.clone() };
                let holder = Holder { key: key_of_holder, field: pair_field(holder.interface, holder.part) };
                let message = format!("{} is the address pair of {holder}, {reason}", pair.prefix);
                findings.push(Finding::new(key, pair_field(interface, part), message));
            } else {
                claimants.insert(claim);
            }
        }
        findings
    }

    /// Counts a member of a network in; whether the others are of its kind.
    fn join(&mut self, network: &str, bare_metal: bool) -> bool {
        let members = self.members.entry(network.into()).or_default();
        let (own, others) = members.kinds(bare_metal);
        *own += 1;
        *others == 0
    }

    fn leave(&mut self, network: &str, bare_metal: bool) {
        let Some(members) = self.members.get_mut(network) else { return };
        *members.kinds(bare_metal).0 -= 1;
        if *members == Members::default() {
            self.members.remove(network);
        }
    }

    fn take_interface(&mut self, claims: &mut Claims<'_>, network: Option<&Network>, interface: &Interface) {
        let Interface { network: name, mac, .. } = interface;
        let macs = self.macs.entry(name.as_str().into()).or_default();
        claims.take(macs, *mac, 0, mac_field, |holder| {
            format!("{mac} is the MAC address of {holder} in network {name}: choose another")
        });
        for (part, address) in (0..).zip(&interface.addresses) {
            if let Some(network) = network
                && let Err(message) = check_address(*address, name, network)
            {
                claims.findings.push(Finding::new(claims.key, address_field(claims.index, part), message));
            }
            claims.take(&mut self.addresses, *address, part, address_field, |holder| {
                format!("{address} is the address of {holder}: choose another")
            });
        }
    }
}

impl Members {
    /// The count of a kind, and that of the other.
    fn kinds(&mut self, bare_metal: bool) -> (&mut u32, &mut u32) {
        let Self { bare_metal: metal, others } = self;
        if bare_metal { (metal, others) } else { (others, metal) }
    }
}

/// The claims of one interface.
struct Claims<'a> {
    key: &'a ObjectKey,
    name: &'a Arc<str>,
    /// Of the interface.
    index: u32,
    findings: &'a mut Vec<Finding>,
}

impl Claims<'_> {
    /// Takes what nobody holds, or tells who does.
    fn take<K: Eq + Hash>(
        &mut self,
        held: &mut HashMap<K, Place>,
        wanted: K,
        part: u32,
        field: fn(u32, u32) -> String,
        told: impl FnOnce(Holder) -> String,
    ) {
        match held.entry(wanted) {
            Entry::Vacant(entry) => {
                entry.insert(Place { workload: self.name.clone(), interface: self.index, part });
            }
            Entry::Occupied(entry) => {
                let Place { workload, interface, part: other } = entry.get();
                let key = ObjectKey { name: workload.to_string(), ..self.key.clone() };
                let holder = Holder { key, field: field(*interface, *other) };
                self.findings.push(Finding::new(self.key, field(self.index, part), told(holder)));
            }
        }
    }
}

fn mac_field(interface: u32, _: u32) -> String {
    format!("interfaces[{interface}].mac")
}

fn address_field(interface: u32, part: u32) -> String {
    format!("interfaces[{interface}].addresses[{part}]")
}

fn pair_field(interface: u32, part: u32) -> String {
    format!("interfaces[{interface}].addressPairs[{part}].prefix")
}

/// Whether an interface in the network can have the address.
fn check_address(address: IpAddr, name: &str, network: &Network) -> Result<(), String> {
    let inside = network.subnets.iter().find(|s| s.cidr.contains(&address));
    let Some(subnet) = inside else {
        let subnets: Vec<_> = network.subnets.iter().map(|s| s.cidr.to_string()).collect();
        let subnets = subnets.join(", ");
        return Err(format!("{address} is outside its network {name} ({subnets}): choose an address inside"));
    };
    if address == subnet.gateway {
        return Err(format!("{address} is the gateway of network {name}: choose another"));
    }
    if is_reserved_in(address, &subnet.cidr) {
        let cidr = subnet.cidr;
        return Err(format!("{address} is the network or broadcast address of {cidr}: choose one between them"));
    }
    Ok(())
}
