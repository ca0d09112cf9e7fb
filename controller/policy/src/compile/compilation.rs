//! A domain compiled, from which its next state is compiled at the cost of what changed.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, HashSet},
    fmt,
    net::IpAddr,
    sync::Arc,
};

use super::{CompileError, DomainIds, anew, classes::Classes, members::Members, wiring};
use crate::{
    bundle::Bundle,
    model::{Domain, Workload},
};

/// Workloads of a domain from which on its classes are kept: a smaller one's are made again in less time than it takes
/// to tell of a change, and there are many of those.
const KEPT_FROM: usize = 16;

/// A bundle with what it was compiled from. Cheap to clone.
#[derive(Clone)]
pub struct Compilation {
    domain: Arc<Domain>,
    bundle: Bundle,
    /// `None`: it is made again when it is needed.
    parts: Option<Parts>,
}

/// What the next state is compiled with.
#[derive(Clone)]
struct Parts {
    classes: Arc<Classes>,
    members: Members,
}

/// A workload in one state and the next; in one of them at least.
type Changed<'a> = (&'a str, Option<&'a Workload>, Option<&'a Workload>);

impl Compilation {
    /// Compiles a domain. `hosts` are the underlay addresses of those that have registered.
    ///
    /// # Errors
    /// See [`compile`](super::compile).
    pub fn new(
        domain: &Arc<Domain>,
        ids: &DomainIds,
        hosts: &BTreeMap<String, Vec<IpAddr>>,
        generation: u64,
    ) -> Result<Self, CompileError> {
        let (bundle, classes, members) = anew(domain, ids, hosts, generation)?;
        Ok(Self::keeping(domain, bundle, Parts { classes: Arc::new(classes), members }))
    }

    fn keeping(domain: &Arc<Domain>, bundle: Bundle, parts: Parts) -> Self {
        let parts = (domain.workloads.len() >= KEPT_FROM).then_some(parts);
        Self { domain: domain.clone(), bundle, parts }
    }

    /// The parts kept, or made again.
    fn parts(&self) -> Result<Parts, CompileError> {
        if let Some(parts) = &self.parts {
            return Ok(parts.clone());
        }
        let mut members = Members::default();
        self.bundle.interfaces.iter().for_each(|interface| members.add(interface));
        Ok(Parts { classes: Arc::new(Classes::new(&self.domain)?), members })
    }

    /// Compiles the next state of this domain: what [`Compilation::new`] would make of it, provided that what is in
    /// both states has the id it had. Where only workloads come, go or change, and no class does, it costs in
    /// proportion to those, and the bundle shares all else with the one before.
    ///
    /// # Errors
    /// See [`compile`](super::compile).
    pub fn next(
        &self,
        domain: &Arc<Domain>,
        ids: &DomainIds,
        hosts: &BTreeMap<String, Vec<IpAddr>>,
        generation: u64,
    ) -> Result<Self, CompileError> {
        match self.moved(domain, ids, hosts, generation)? {
            Some(next) => Ok(next),
            None => Self::new(domain, ids, hosts, generation),
        }
    }

    /// What was compiled.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// The next state, if it has the classes of this one and the same rules between them.
    fn moved(
        &self,
        domain: &Arc<Domain>,
        ids: &DomainIds,
        hosts: &BTreeMap<String, Vec<IpAddr>>,
        generation: u64,
    ) -> Result<Option<Self>, CompileError> {
        if ids.domain != self.bundle.domain_id || !same_policy(&self.domain, domain) {
            return Ok(None);
        }
        let changed = changed(&self.domain, domain);
        let pairs = |workload: &Workload| workload.interfaces.iter().any(|interface| !interface.pairs.is_empty());
        if changed.iter().flat_map(|(_, before, after)| before.iter().chain(after)).any(|workload| pairs(workload)) {
            return Ok(None);
        }
        let Parts { classes, members: before } = self.parts()?;
        let mut members = before.clone();
        let mut interfaces = self.bundle.interfaces.clone();
        let gone: HashSet<&str> = changed.iter().filter(|(_, before, _)| before.is_some()).map(|(n, ..)| *n).collect();
        if !gone.is_empty() {
            interfaces.retain(|interface| {
                let stays = !gone.contains(interface.workload.as_str());
                if !stays {
                    members.remove(interface);
                }
                stays
            });
        }
        for (name, _, after) in changed {
            let Some(workload) = after else { continue };
            let Some(compiled) = wiring::interfaces(domain, ids, &classes, (name, workload))? else {
                return Ok(None);
            };
            compiled.iter().for_each(|interface| members.add(interface));
            interfaces.extend(compiled);
        }
        if !members.same_classes(&before) {
            return Ok(None);
        }
        interfaces.sort_by_key(|interface| interface.id);
        let topology = wiring::topology(domain, ids, members.hosts(), hosts)?;
        let topology = if topology == *self.bundle.topology { self.bundle.topology.clone() } else { topology.into() };
        let bundle = Bundle {
            domain_id: self.bundle.domain_id,
            name: self.bundle.name.clone(),
            generation,
            features: wiring::features(domain, &members),
            topology,
            policy: self.bundle.policy.clone(),
            interfaces,
        };
        Ok(Some(Self::keeping(domain, bundle, Parts { classes, members })))
    }
}

impl fmt::Debug for Compilation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compilation").field("bundle", &self.bundle).finish_non_exhaustive()
    }
}

/// Whether two states tell addresses apart by the same peers, and have the same rules.
fn same_policy(before: &Domain, after: &Domain) -> bool {
    (before.name(), before.default_allows) == (after.name(), after.default_allows)
        && before.networks == after.networks
        && before.segments == after.segments
        && before.address_sets == after.address_sets
        && before.policies == after.policies
        && (Arc::ptr_eq(&before.platform, &after.platform) || before.platform == after.platform)
}

/// The workloads that differ, by name.
fn changed<'a>(before: &'a Domain, after: &'a Domain) -> Vec<Changed<'a>> {
    let mut changed = Vec::new();
    let (mut before, mut after) = (before.workloads().peekable(), after.workloads().peekable());
    loop {
        let order = match (before.peek(), after.peek()) {
            (None, None) => return changed,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some((was, _)), Some((is, _))) => was.cmp(is),
        };
        let was = if order.is_le() { before.next() } else { None };
        let is = if order.is_ge() { after.next() } else { None };
        let (content, new) = (was.map(|(_, workload)| workload), is.map(|(_, workload)| workload));
        let same = matches!((content, new), (Some(was), Some(is)) if std::ptr::eq(was, is) || was == is);
        if let Some((name, _)) = was.or(is).filter(|_| !same) {
            changed.push((name, content, new));
        }
    }
}
