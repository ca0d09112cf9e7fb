//! From what a store holds to a catalog: everything is validated and compiled anew.

use std::{collections::BTreeMap, fmt::Display, sync::Arc};

use ringfence_policy::{
    bundle::Bundle,
    compile::{Compilation, CompileError},
    model::Model,
    object::{Kind, Object, ObjectKey},
    wire::{self, InvalidMessage},
};
use ringfence_proto::v1;

use super::{
    Catalog,
    host::{self, InvalidHost},
    ids::{IdKey, Ids},
};
use crate::store::Contents;

/// Why what a store holds cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// An object cannot be read.
    #[error("stored {key}: {source}")]
    Object {
        /// The object.
        key: ObjectKey,
        /// Why.
        source: InvalidMessage,
    },
    /// A stored host cannot be.
    #[error("stored host: {0}")]
    Host(#[from] InvalidHost),
    /// The objects do not make a valid state together.
    #[error("the stored objects are not valid together: {0}")]
    Invalid(String),
    /// A domain lacks its numbers or its generation.
    #[error("stored domain {domain} has no {part}; restore the store from a backup")]
    Incomplete {
        /// The domain.
        domain: String,
        /// What it lacks.
        part: &'static str,
    },
    /// A number is in use that the store says was never handed out: it would be handed out again.
    #[error("stored {what} has {sort} {found}, and the next to hand out is {next}; restore the store from a backup")]
    Ahead {
        /// What has it.
        what: String,
        /// Of what it is.
        sort: &'static str,
        /// What it has.
        found: u64,
        /// The counter.
        next: u64,
    },
    /// A domain cannot be compiled.
    #[error("stored domain {domain}: {source}")]
    Compile {
        /// The domain.
        domain: String,
        /// Why.
        source: CompileError,
    },
}

// === impl Catalog ===

impl Catalog {
    /// The catalog of what a store holds, and every domain compiled.
    ///
    /// # Errors
    /// When it is not what a controller of this version would have stored.
    pub fn load(contents: Contents) -> Result<(Self, Vec<Bundle>), LoadError> {
        check_numbers(&contents)?;
        let Contents { revision, counters, objects, ids, generations } = contents;
        let mut catalog = Self { revision, ids: Ids::load(counters, &ids), ..Self::default() };
        let mut specs: Vec<Object> = Vec::new();
        for (key, object) in &objects {
            if key.kind == Kind::Host {
                let underlay = host::parse_underlay(&key.name, underlay(object))?;
                Arc::make_mut(&mut catalog.hosts).insert(key.name.clone(), underlay);
            } else {
                let spec = wire::object_from_wire(v1::Object::clone(object))
                    .map_err(|source| LoadError::Object { key: key.clone(), source })?;
                specs.push(spec);
            }
        }
        catalog.objects = objects;
        catalog.model = Model::default()
            .change(&specs, &[])
            .map_err(|invalid| {
                let lines =
                    invalid.iter().map(|invalid| format!("{}: {}: {}", invalid.key, invalid.field, invalid.message));
                LoadError::Invalid(lines.collect::<Vec<_>>().join("; "))
            })?
            .model;
        let mut bundles = Vec::new();
        let mut compilations = BTreeMap::new();
        for (name, domain) in catalog.model.domains() {
            let incomplete = |part| LoadError::Incomplete { domain: name.clone(), part };
            let ids = catalog.ids.domain(name).ok_or_else(|| incomplete("numbers"))?;
            let generation = *generations.get(name).ok_or_else(|| incomplete("generation"))?;
            let compilation = Compilation::new(domain, ids, &catalog.hosts, generation)
                .map_err(|source| LoadError::Compile { domain: name.clone(), source })?;
            bundles.push(compilation.bundle().clone());
            compilations.insert(name.clone(), compilation);
        }
        catalog.compilations = compilations;
        Ok((catalog, bundles))
    }
}

/// Every number in use is below the one to hand out next.
fn check_numbers(contents: &Contents) -> Result<(), LoadError> {
    let Contents { revision, counters, objects, ids, generations } = contents;
    let below = |what: &dyn Display, sort, found: u64, next: u64| {
        if found < next { Ok(()) } else { Err(LoadError::Ahead { what: what.to_string(), sort, found, next }) }
    };
    for (key, object) in objects {
        let meta = object.meta.unwrap_or_default();
        below(key, "uid", meta.uid, counters.uid)?;
        below(key, "revision", meta.changed_revision, revision.saturating_add(1))?;
    }
    for (key, &id) in ids {
        match key {
            IdKey::Domain(_) => below(key, "id", id.into(), counters.domain.into())?,
            IdKey::Interface(..) => below(key, "id", id.into(), counters.interface.into())?,
            IdKey::Rule(..) => below(key, "id", id.into(), counters.rule.into())?,
            IdKey::Transit(_) => below(key, "VNI", id.into(), counters.vni.into())?,
            // It may be one that was asked for; handing out skips what is in use.
            IdKey::Network(..) => {}
        }
    }
    for (domain, &generation) in generations {
        below(&format_args!("domain {domain}"), "generation", generation, revision.saturating_add(1))?;
    }
    Ok(())
}

fn underlay(object: &v1::Object) -> &[String] {
    match &object.spec {
        Some(v1::object::Spec::Host(spec)) => &spec.underlay,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::ids::Counters;

    /// A store of one domain, whose numbers are all 1 or the first VNI.
    fn stored() -> Contents {
        let key = ObjectKey { kind: Kind::Domain, domain: String::new(), name: "acme/prod".to_owned() };
        let meta = v1::ObjectMeta { uid: 1, created_revision: 1, changed_revision: 1 };
        let object = v1::Object { meta: Some(meta), ..v1::Object::default() };
        let name = || "acme/prod".to_owned();
        let counters = Counters::default();
        Contents {
            revision: 1,
            counters: Counters { uid: 2, domain: 2, interface: 2, rule: 2, vni: counters.vni + 1 },
            objects: BTreeMap::from([(key, Arc::new(object))]),
            ids: BTreeMap::from([
                (IdKey::Domain(name()), 1),
                (IdKey::Transit(name()), counters.vni),
                (IdKey::Interface(name(), "w".to_owned(), "eth0".to_owned()), 1),
                (IdKey::Rule(name(), "p".to_owned(), "r".to_owned()), 1),
            ]),
            generations: BTreeMap::from([(name(), 1)]),
        }
    }

    #[test]
    fn a_counter_that_is_not_above_all_in_use_is_refused() {
        assert!(check_numbers(&stored()).is_ok());
        type Change = fn(&mut Contents);
        let put_back: [(&str, Change); 6] = [
            ("uid", |contents| contents.counters.uid = 1),
            ("domain acme/prod has id", |contents| contents.counters.domain = 1),
            ("interface", |contents| contents.counters.interface = 1),
            ("rule", |contents| contents.counters.rule = 1),
            ("VNI", |contents| contents.counters.vni -= 1),
            ("generation 2", |contents| *contents.generations.values_mut().next().unwrap() = 2),
        ];
        for (part, change) in put_back {
            let mut contents = stored();
            change(&mut contents);
            let error = check_numbers(&contents).unwrap_err().to_string();
            assert!(error.contains(part), "{part:?} in: {error}");
        }
    }
}
