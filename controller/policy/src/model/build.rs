//! The objects of one domain → the validated domain.
//!
//! Objects come in the order of blame: those stored before come first, then those of the request in
//! its order. Of two that cannot both be, the later one is told, and the earlier one named to it.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::IpAddr,
    sync::Arc,
};

use ipnet::IpNet;

use super::{
    Domain, Network, Peer, Policy, Uplink,
    address::overlap,
    decode::{Part, decode},
    finding::{Finding, Holder},
    interfaces::Held,
};
use crate::object::{Kind, Object, ObjectKey, PLATFORM};

/// Builds a domain from its objects, or says everything that is wrong with them.
pub(super) fn build(name: &str, objects: &[(&ObjectKey, &Object)]) -> Result<Domain, Vec<Finding>> {
    let mut builder = Builder::new(name, objects);
    for (key, object) in objects {
        match decode(object) {
            Ok(part) => builder.add(key, part),
            Err(faults) => builder.findings.extend(faults.into_iter().map(|fault| Finding {
                key: (*key).clone(),
                fault,
                missing: None,
            })),
        }
    }
    builder.finish()
}

/// The names there are, whatever is wrong with the objects that bear them.
type Names<'a> = HashMap<Kind, HashSet<&'a str>>;

struct Builder<'a> {
    domain: Domain,
    objects: &'a [(&'a ObjectKey, &'a Object)],
    names: Names<'a>,
    /// Prefixes held, by their first address.
    prefixes: BTreeMap<IpAddr, (IpNet, Holder)>,
    findings: Vec<Finding>,
}

impl<'a> Builder<'a> {
    fn new(name: &str, objects: &'a [(&'a ObjectKey, &'a Object)]) -> Self {
        let mut names = Names::new();
        for (key, _) in objects {
            names.entry(key.kind).or_default().insert(key.name.as_str());
        }
        Self {
            domain: Domain { name: name.into(), ..Domain::default() },
            objects,
            names,
            prefixes: BTreeMap::new(),
            findings: Vec::new(),
        }
    }

    fn add(&mut self, key: &ObjectKey, part: Part) {
        let name = Arc::from(key.name.as_str());
        match part {
            Part::Tenant => {}
            Part::Domain { default_allows, uplink } => {
                self.domain.default_allows = default_allows;
                if let Some(uplink) = &uplink {
                    self.check_uplink(key, uplink);
                }
                self.domain.uplink = uplink;
            }
            Part::Network(network) => {
                self.check_subnets(key, &network);
                self.domain.networks.insert(name, Arc::new(network));
            }
            Part::Workload(workload) => {
                self.domain.workloads.insert(name, Arc::new(workload));
            }
            Part::Segment(selector) => {
                self.domain.segments.insert(name, Arc::new(selector));
            }
            Part::AddressSet(set) => {
                self.domain.address_sets.insert(name, Arc::new(set));
            }
            Part::Policy(policy) => {
                self.check_peers(key, &policy);
                self.domain.policies.insert(name, Arc::new(policy));
            }
        }
    }

    /// Checks what needs every part, and gives the domain if nothing is wrong with any.
    fn finish(mut self) -> Result<Domain, Vec<Finding>> {
        let itself = ObjectKey { kind: Kind::Domain, domain: String::new(), name: self.domain.name.clone() };
        let mut held = Held::default();
        for (key, _) in self.objects {
            if !self.names.contains_key(&Kind::Domain) {
                self.findings.push(Finding::missing(key, "domain", itself.clone()));
            }
            if let (Kind::Workload, Some(workload)) = (key.kind, self.domain.workloads.get(key.name.as_str())) {
                let has_network = |name: &str| has(&self.names, Kind::Network, name);
                self.findings.extend(held.take(&self.domain, has_network, key, workload));
            }
        }
        self.domain.held = Arc::new(held);
        if self.findings.is_empty() { Ok(self.domain) } else { Err(self.findings) }
    }

    fn check_uplink(&mut self, key: &ObjectKey, uplink: &Uplink) {
        for (index, prefix) in uplink.addresses.iter().enumerate() {
            self.claim_prefix(key, format!("uplink.addresses[{index}]"), prefix.trunc());
        }
    }

    fn check_subnets(&mut self, key: &ObjectKey, network: &Network) {
        for (index, subnet) in network.subnets.iter().enumerate() {
            self.claim_prefix(key, format!("subnets[{index}].cidr"), subnet.cidr);
        }
    }

    /// The prefixes held are disjoint, so only the neighbours by first address can overlap.
    fn claim_prefix(&mut self, key: &ObjectKey, field: String, prefix: IpNet) {
        let (first, last) = (prefix.network(), prefix.broadcast());
        let before = self.prefixes.range(..=first).next_back();
        let after = self.prefixes.range(first..=last).next();
        let clash = before.into_iter().chain(after).map(|(_, held)| held).find(|(other, _)| overlap(other, &prefix));
        if let Some((other, holder)) = clash {
            let message = format!("{prefix} overlaps {other} of {holder}: choose another prefix");
            self.findings.push(Finding::new(key, field, message));
            return;
        }
        let key = key.clone();
        self.prefixes.insert(first, (prefix, Holder { key, field }));
    }

    fn check_peers(&mut self, key: &ObjectKey, policy: &Policy) {
        for (field, kind, name) in missing_peers(policy, |kind, name| has(&self.names, kind, name)) {
            let target = ObjectKey { kind, domain: key.domain.clone(), name: name.into() };
            self.findings.push(Finding::missing(key, field, target));
        }
    }
}

/// The peers of a policy that name what is not there, each with its field.
pub(super) fn missing_peers(
    policy: &Policy,
    has: impl Fn(Kind, &str) -> bool,
) -> impl Iterator<Item = (String, Kind, &str)> {
    peers(policy).filter_map(move |(field, peer)| {
        let (kind, name) = match peer {
            Peer::Segment(name) => (Kind::Segment, name),
            Peer::Workload(name) => (Kind::Workload, name),
            Peer::Addresses(name) => (Kind::AddressSet, name),
            _ => return None,
        };
        (!has(kind, name)).then_some((field, kind, name.as_str()))
    })
}

/// Every peer of a policy, with its field.
fn peers(policy: &Policy) -> impl Iterator<Item = (String, &Peer)> {
    policy.rules.iter().enumerate().flat_map(|(index, rule)| {
        [("from", &rule.from), ("to", &rule.to)].into_iter().flat_map(move |(side, peers)| {
            let field = move |place| format!("rules[{index}].{side}[{place}]");
            peers.iter().enumerate().map(move |(place, peer)| (field(place), peer))
        })
    })
}

/// Builds the policies of the platform, named `*/NAME`, or says everything that is wrong with them.
pub(super) fn build_platform(objects: &[(&ObjectKey, &Object)]) -> Result<BTreeMap<String, Policy>, Vec<Finding>> {
    let mut policies = BTreeMap::new();
    let mut findings = Vec::new();
    for (key, object) in objects {
        match decode(object) {
            Ok(Part::Policy(policy)) => {
                let foreign =
                    |peer: &Peer| matches!(peer, Peer::Any | Peer::Outside | Peer::Labels(_) | Peer::Cidr { .. });
                findings.extend(peers(&policy).filter(|(_, peer)| !foreign(peer)).map(|(field, peer)| {
                    let message = format!(
                        "{peer} means nothing in every domain: a policy of the platform names any, outside, {{cidr: PREFIX}} \
                         or {{labels: {{KEY: VALUE}}}}"
                    );
                    Finding::new(key, field, message)
                }));
                policies.insert(format!("{PLATFORM}/{}", key.name), policy);
            }
            Ok(_) => {}
            Err(faults) => {
                findings.extend(faults.into_iter().map(|fault| Finding { key: (*key).clone(), fault, missing: None }));
            }
        }
    }
    if findings.is_empty() { Ok(policies) } else { Err(findings) }
}

fn has(names: &Names<'_>, kind: Kind, name: &str) -> bool {
    names.get(&kind).is_some_and(|names| names.contains(name))
}
