//! Everything that was committed, and what a change to it would make. Pure: it reads no clock, waits
//! for nobody and writes nothing; see [`crate::controller`] for who does.

pub mod host;
pub mod ids;
mod load;
mod plan;

pub use self::{
    load::LoadError,
    plan::{Change, Commit, Plan, Refusal},
};

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use ringfence_policy::{bundle::Bundle, compile::Compilation, model::Model, object::ObjectKey};
use ringfence_proto::v1;

use self::ids::Ids;

/// Holds the committed state in memory.
#[derive(Debug, Default)]
pub struct Catalog {
    revision: u64,
    model: Model,
    /// As committed, with meta; hosts included, which the model does not know.
    objects: BTreeMap<ObjectKey, Arc<v1::Object>>,
    ids: Ids,
    /// Underlay addresses of every host that registered.
    hosts: Hosts,
    /// Every domain as it was compiled last: the next state is compiled from it.
    compilations: BTreeMap<String, Compilation>,
}

/// Underlay addresses by host.
type Hosts = Arc<BTreeMap<String, Vec<IpAddr>>>;

// === impl Catalog ===

impl Catalog {
    /// Of the last commit; 0: nothing was committed yet.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Every object, by kind, domain and name.
    pub fn objects(&self) -> &BTreeMap<ObjectKey, Arc<v1::Object>> {
        &self.objects
    }

    /// Every domain, validated.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// The number of a domain.
    pub fn domain_id(&self, name: &str) -> Option<u32> {
        Some(self.ids.domain(name)?.domain)
    }

    /// The generation that a domain was compiled as.
    pub fn generation(&self, name: &str) -> Option<u64> {
        Some(self.compilations.get(name)?.bundle().generation)
    }

    /// Makes a commit, decided from this state and stored since, the state. Gives back the domains
    /// touched, compiled; `None`: gone.
    pub fn install(&mut self, commit: Commit) -> BTreeMap<String, Option<Bundle>> {
        let Commit { transaction, compilations, model, hosts, allocation } = commit;
        self.revision = transaction.revision;
        self.model = model;
        self.hosts = hosts;
        self.ids.install(allocation);
        for key in &transaction.deletes {
            self.objects.remove(key);
        }
        self.objects.extend(transaction.upserts);
        let mut bundles = BTreeMap::new();
        for (name, compilation) in compilations {
            bundles.insert(name.clone(), compilation.as_ref().map(|compilation| compilation.bundle().clone()));
            match compilation {
                Some(compilation) => self.compilations.insert(name, compilation),
                None => self.compilations.remove(&name),
            };
        }
        bundles
    }
}
