//! A bundle sent whole, or as a change from the one held.

use std::collections::{BTreeMap, HashSet};

use prost::Message;
use ringfence_proto::v1;
use sha2::{Digest as _, Sha256};

use super::{
    bundle::{interface_from_wire, interface_to_wire, topology_from_wire, topology_to_wire},
    error::{InvalidMessage, each, required},
    policy::{policy_from_wire, policy_to_wire},
};
use crate::bundle::{Bundle, CompiledInterface, Digest, FEATURE_BUNDLE_V2, Shared};

/// Content digest of a bundle: equal states have equal digests, whatever their history. The generation is not
/// content: two generations of one state have one digest.
///
/// It is the SHA-256 of what the bundle is called and of its parts' digests, each made once for all bundles that
/// share the part. Before [`FEATURE_BUNDLE_V2`] it was that of the whole encoding.
pub fn digest(bundle: &Bundle) -> Digest {
    if !bundle.features.iter().any(|feature| feature == FEATURE_BUNDLE_V2) {
        return sha256(&v1::DomainUpdate { generation: 0, ..content(bundle) });
    }
    let Bundle { domain_id, name, generation: _, features, topology, policy, interfaces } = bundle;
    let (domain_id, name, features) = (*domain_id, name.clone(), features.clone());
    let called = v1::DomainUpdate { domain_id, name, features, ..v1::DomainUpdate::default() };
    let mut digest = Sha256::new_with_prefix(sha256(&called));
    digest.update(topology.digest(|topology| sha256(&topology_to_wire(topology))));
    digest.update(policy.digest(|policy| sha256(&policy_to_wire(policy))));
    for interface in interfaces {
        digest.update(interface.digest(|interface| sha256(&interface_to_wire(interface))));
    }
    digest.finalize().into()
}

/// The encoding is a function of the content: no maps, fields in the order of their tags.
fn sha256(message: &impl Message) -> Digest {
    Sha256::digest(message.encode_to_vec()).into()
}

/// The whole bundle.
pub fn whole_update(bundle: &Bundle) -> v1::DomainUpdate {
    v1::DomainUpdate { digest: digest(bundle).to_vec(), ..content(bundle) }
}

/// What changed from `base` to `bundle`; the whole bundle if nothing can be built on `base`.
pub fn change_update(base: &Bundle, bundle: &Bundle) -> v1::DomainUpdate {
    let same_domain = (base.domain_id, &base.name) == (bundle.domain_id, &bundle.name);
    if base.generation == 0 || !same_domain {
        return whole_update(bundle);
    }
    let held: BTreeMap<u32, &Shared<CompiledInterface>> = base.interfaces.iter().map(|i| (i.id, i)).collect();
    let kept: HashSet<u32> = bundle.interfaces.iter().map(|i| i.id).collect();
    let differs = |interface: &&Shared<CompiledInterface>| held.get(&interface.id) != Some(interface);
    v1::DomainUpdate {
        domain_id: bundle.domain_id,
        name: bundle.name.clone(),
        generation: bundle.generation,
        base_generation: base.generation,
        features: bundle.features.clone(),
        topology: (base.topology != bundle.topology).then(|| topology_to_wire(&bundle.topology)),
        policy: (base.policy != bundle.policy).then(|| policy_to_wire(&bundle.policy)),
        interfaces: bundle.interfaces.iter().filter(differs).map(|i| interface_to_wire(i)).collect(),
        removed_interface_ids: held.into_keys().filter(|id| !kept.contains(id)).collect(),
        digest: digest(bundle).to_vec(),
    }
}

/// The bundle after an update; `base` is what is held of this domain.
///
/// # Errors
/// A message that is not well formed, a change from something else than `base`, or a result whose digest
/// is not the one promised.
pub fn apply_update(base: Option<&Bundle>, mut update: v1::DomainUpdate) -> Result<Bundle, InvalidMessage> {
    let promised = std::mem::take(&mut update.digest);
    let bundle = read_update(base, update)?;
    if digest(&bundle)[..] != promised[..] {
        let message = "does not match what the update makes: ask for the whole bundle";
        return Err(InvalidMessage::new("digest", message));
    }
    Ok(bundle)
}

/// The bundle that an update makes, whatever its digest.
///
/// # Errors
/// As [`apply_update`].
pub fn read_update(base: Option<&Bundle>, update: v1::DomainUpdate) -> Result<Bundle, InvalidMessage> {
    let v1::DomainUpdate {
        domain_id,
        name,
        generation,
        base_generation,
        features,
        topology,
        policy,
        interfaces,
        removed_interface_ids,
        digest: _,
    } = update;
    if domain_id == 0 {
        return Err(InvalidMessage::new("domain_id", "is 0, which stands for no domain"));
    }
    let base = match base_generation {
        0 => None,
        _ => Some(base_of(base, domain_id, &name, base_generation)?),
    };
    let topology = topology.map(|topology| topology_from_wire(topology).map(Shared::from));
    let topology = topology.transpose().map_err(|error| error.within("topology"))?;
    let policy = policy.map(|policy| policy_from_wire(policy).map(Shared::from));
    let policy = policy.transpose().map_err(|error| error.within("policy"))?;
    let interfaces = each("interfaces", interfaces, interface_from_wire)?;
    let held = base.map_or(&[][..], |base| &base.interfaces);
    let bundle = Bundle {
        domain_id,
        name,
        generation,
        features,
        topology: required("topology", topology.or_else(|| base.map(|base| base.topology.clone())))?,
        policy: required("policy", policy.or_else(|| base.map(|base| base.policy.clone())))?,
        interfaces: merge(held, interfaces, &removed_interface_ids)?,
    };
    check_interfaces(&bundle)?;
    Ok(bundle)
}

/// The bundle without its digest.
fn content(bundle: &Bundle) -> v1::DomainUpdate {
    let Bundle { domain_id, name, generation, features, topology, policy, interfaces } = bundle;
    v1::DomainUpdate {
        domain_id: *domain_id,
        name: name.clone(),
        generation: *generation,
        base_generation: 0,
        features: features.clone(),
        topology: Some(topology_to_wire(topology)),
        policy: Some(policy_to_wire(policy)),
        interfaces: interfaces.iter().map(|i| interface_to_wire(i)).collect(),
        removed_interface_ids: Vec::new(),
        digest: Vec::new(),
    }
}

/// What a change builds on, if it is what is held.
fn base_of<'a>(
    held: Option<&'a Bundle>,
    domain_id: u32,
    name: &str,
    generation: u64,
) -> Result<&'a Bundle, InvalidMessage> {
    let held = held.filter(|held| (held.domain_id, held.name.as_str()) == (domain_id, name));
    let found = held.map(|held| held.generation).unwrap_or_default();
    held.filter(|held| held.generation == generation).ok_or_else(|| {
        let message = format!("{generation} is not the generation held, {found}: ask for the whole bundle");
        InvalidMessage::new("base_generation", message)
    })
}

/// Interfaces held, with those removed gone and those sent in place, by ascending id.
fn merge(
    held: &[Shared<CompiledInterface>],
    sent: Vec<CompiledInterface>,
    removed: &[u32],
) -> Result<Vec<Shared<CompiledInterface>>, InvalidMessage> {
    let mut by_id: BTreeMap<u32, Shared<CompiledInterface>> = held.iter().map(|i| (i.id, i.clone())).collect();
    for (index, id) in removed.iter().enumerate() {
        if by_id.remove(id).is_none() {
            let field = format!("removed_interface_ids[{index}]");
            return Err(InvalidMessage::new(field, format!("{id} is not held")));
        }
    }
    let mut ids = HashSet::new();
    for (index, interface) in sent.into_iter().enumerate() {
        if !ids.insert(interface.id) {
            let field = format!("interfaces[{index}].id");
            return Err(InvalidMessage::new(field, format!("{} comes twice", interface.id)));
        }
        by_id.insert(interface.id, interface.into());
    }
    Ok(by_id.into_values().collect())
}

/// No address is two interfaces'.
fn check_interfaces(bundle: &Bundle) -> Result<(), InvalidMessage> {
    let mut addresses = HashSet::new();
    for interface in &bundle.interfaces {
        let twice = interface.addresses.iter().find(|(address, _)| !addresses.insert(*address));
        if let Some((address, _)) = twice {
            let message = format!("{address} of interface {} is another's too", interface.id);
            return Err(InvalidMessage::new("interfaces", message));
        }
    }
    Ok(())
}
