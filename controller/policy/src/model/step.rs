//! A domain → the next, looking at no more than what changes in it.
//!
//! Most changes are of workloads, policies, segments and address sets, and sound: then nothing that stays has to be read
//! again. For all else, and to tell what is wrong, there is [`build`](super::build::build), which looks at everything.

use std::sync::Arc;

use super::{
    Domain, Named, Scope,
    build::missing_peers,
    decode::{Part, decode},
};
use crate::object::{Kind, ObjectKey};

/// The domain after a change of these objects of its, whose scope this is then; `None`: it has to be built.
pub(super) fn step(before: &Domain, scope: &Scope, changed: &[ObjectKey]) -> Option<Domain> {
    let mut domain = before.clone();
    let mut held = (*before.held).clone();
    for key in changed {
        match key.kind {
            Kind::Workload => {
                if let Some(workload) = domain.workloads.remove(key.name.as_str()) {
                    held.release(&key.name, &workload);
                }
            }
            Kind::Policy => drop(domain.policies.remove(key.name.as_str())),
            Kind::Segment => drop(domain.segments.remove(key.name.as_str())),
            Kind::AddressSet => drop(domain.address_sets.remove(key.name.as_str())),
            Kind::Tenant | Kind::Domain | Kind::Network | Kind::Host => return None,
        }
    }
    for key in changed {
        let Some(object) = scope.get(key) else { continue };
        match decode(object).ok()? {
            Part::Workload(workload) => {
                let has_network = |name: &str| domain.networks.contains_key(name);
                if !held.take(&domain, has_network, key, &workload).is_empty() {
                    return None;
                }
                put(&mut domain.workloads, key, workload);
            }
            Part::Policy(policy) => put(&mut domain.policies, key, policy),
            Part::Segment(selector) => put(&mut domain.segments, key, selector),
            Part::AddressSet(set) => put(&mut domain.address_sets, key, set),
            Part::Tenant | Part::Domain { .. } | Part::Network(_) => return None,
        }
    }
    domain.held = Arc::new(held);
    is_whole(&domain, scope, changed).then_some(domain)
}

fn put<T>(named: &mut Named<T>, key: &ObjectKey, part: T) {
    named.insert(key.name.as_str().into(), Arc::new(part));
}

/// Whether every peer names something that is there: of the policies that changed, and of all if something is gone.
fn is_whole(domain: &Domain, scope: &Scope, changed: &[ObjectKey]) -> bool {
    let has = |kind, name: &str| match kind {
        Kind::Segment => domain.segments.contains_key(name),
        Kind::Workload => domain.workloads.contains_key(name),
        _ => domain.address_sets.contains_key(name),
    };
    let is_gone = |key: &ObjectKey| key.kind != Kind::Policy && !scope.contains_key(key);
    let sound = |policy| missing_peers(policy, has).next().is_none();
    if changed.iter().any(is_gone) {
        domain.policies.values().all(|policy| sound(policy))
    } else {
        let policies = changed.iter().filter(|key| key.kind == Kind::Policy);
        policies.filter_map(|key| domain.policies.get(key.name.as_str())).all(|policy| sound(policy))
    }
}
