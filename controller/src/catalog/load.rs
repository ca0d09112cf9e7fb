//! From what a store holds to a catalog: everything is validated and compiled anew.

use ringfence_policy::{
    bundle::Bundle,
    compile::{CompileError, compile},
    model::Model,
    object::{Kind, Object, ObjectKey},
    wire::{self, InvalidMessage},
};
use ringfence_proto::v1;

use super::{
    Catalog,
    host::{self, InvalidHost},
    ids::Ids,
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
        let Contents { revision, counters, objects, ids, generations } = contents;
        let mut catalog = Self { revision, ids: Ids::load(counters, &ids), ..Self::default() };
        let mut specs: Vec<Object> = Vec::new();
        for (key, object) in &objects {
            if key.kind == Kind::Host {
                let underlay = host::parse_underlay(&key.name, underlay(object))?;
                catalog.hosts.insert(key.name.clone(), underlay);
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
        for (name, domain) in catalog.model.domains() {
            let incomplete = |part| LoadError::Incomplete { domain: name.clone(), part };
            let ids = catalog.ids.domain(name).ok_or_else(|| incomplete("numbers"))?;
            let generation = *generations.get(name).ok_or_else(|| incomplete("generation"))?;
            let bundle = compile(domain, ids, &catalog.hosts, generation)
                .map_err(|source| LoadError::Compile { domain: name.clone(), source })?;
            bundles.push(bundle);
        }
        Ok((catalog, bundles))
    }
}

fn underlay(object: &v1::Object) -> &[String] {
    match &object.spec {
        Some(v1::object::Spec::Host(spec)) => &spec.underlay,
        _ => &[],
    }
}
