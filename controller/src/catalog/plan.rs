//! What a change would make of the catalog: everything that will be stored and published, or why not.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::SystemTime,
};

use ringfence_policy::{
    compile::{Compilation, CompileError, DomainIds},
    model::{Invalid, Model, What},
    object::{Kind, Object, ObjectKey},
    wire,
};
use ringfence_proto::v1;

use super::{
    Catalog, Hosts,
    host::{self, InvalidHost, Registration},
    ids::{Allocation, IdError},
};
use crate::store::{AuditEntry, Transaction};

/// What someone asks for.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Objects to make or replace, each with the file set it comes from.
    pub upserts: Vec<(Object, String)>,
    /// Objects to delete.
    pub deletes: Vec<ObjectKey>,
    /// A file set whose objects are deleted, too, unless they are among the upserts.
    pub prune: Option<String>,
    /// Refuse unless the store stands at this revision.
    pub if_revision: Option<u64>,
}

/// What a change would do.
#[derive(Debug)]
pub struct Plan {
    /// Of each object, in the order asked for.
    pub changes: Vec<(ObjectKey, What)>,
    /// What to store and publish; `None`: nothing changes.
    pub commit: Option<Commit>,
}

/// What a change stores and publishes.
#[derive(Debug)]
pub struct Commit {
    /// For the store.
    pub transaction: Transaction,
    /// The domains touched, compiled; `None`: gone.
    pub(super) compilations: BTreeMap<String, Option<Compilation>>,
    pub(super) model: Model,
    pub(super) hosts: Hosts,
    pub(super) allocation: Allocation,
}

/// Why a change cannot be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Someone else was first.
    #[error("the store stands at revision {revision}, not {asked}: read again, then ask again")]
    Stale {
        /// What was asked for.
        asked: u64,
        /// What it is.
        revision: u64,
    },
    /// The state after it would not be valid.
    #[error("{} of the objects cannot be as asked", .0.len())]
    Invalid(Vec<Invalid>),
    /// The host cannot be.
    #[error(transparent)]
    Host(#[from] InvalidHost),
}

/// A change, before numbers and bundles.
struct Draft<'a> {
    model: Model,
    hosts: Hosts,
    objects: Vec<(ObjectKey, What, Option<v1::Object>)>,
    touched: BTreeSet<String>,
    upserts: &'a [(Object, String)],
}

// === impl Catalog ===

impl Catalog {
    /// What a change would do.
    ///
    /// # Errors
    /// When the state after it would not be valid, or the store stands elsewhere than asked for.
    pub fn plan(&self, change: &Change, now: SystemTime) -> Result<Plan, Refusal> {
        if let Some(asked) = change.if_revision.filter(|asked| *asked != self.revision) {
            return Err(Refusal::Stale { asked, revision: self.revision });
        }
        let (host_deletes, mut deletes): (Vec<_>, Vec<_>) =
            change.deletes.iter().cloned().partition(|key| key.kind == Kind::Host);
        // Named twice, it is deleted once, as an object of any kind.
        let host_deletes: BTreeSet<ObjectKey> = host_deletes.into_iter().collect();
        let absent: Vec<_> = host_deletes.iter().filter(|key| !self.objects.contains_key(key)).map(unknown).collect();
        if !absent.is_empty() {
            return Err(Refusal::Invalid(absent));
        }
        let specs: Vec<Object> = change.upserts.iter().map(|(object, _)| object.clone()).collect();
        let pruned = self.pruned(change);
        deletes.extend(pruned.iter().cloned());
        let next = self.model.change(&specs, &deletes).map_err(|invalid| {
            Refusal::Invalid(invalid.into_iter().map(|invalid| not_pruned(invalid, &pruned, change)).collect())
        })?;
        // Judged by what will be: the same change may move or delete who needs the host.
        let needed: Vec<_> = host_deletes.iter().filter_map(|key| host::still_needed(key, &next.model)).collect();
        if !needed.is_empty() {
            return Err(Refusal::Invalid(needed));
        }
        let mut hosts = self.hosts.clone();
        for key in &host_deletes {
            Arc::make_mut(&mut hosts).remove(&key.name);
        }
        let upserts = next.objects.iter().zip(&change.upserts).map(|((key, what), (object, source))| {
            let object = v1::Object { source: source.clone(), ..wire::object_to_wire(object) };
            let same_source = self.objects.get(key).is_some_and(|before| before.source == object.source);
            let what = if *what == What::Unchanged && !same_source { What::Source } else { *what };
            (key.clone(), what, Some(object))
        });
        let deletes = next.objects.iter().skip(specs.len()).map(|(key, _)| key.clone());
        let deletes = deletes.chain(host_deletes.iter().cloned()).map(|key| (key, What::Deleted, None));
        let objects = upserts.chain(deletes).collect();
        let draft = Draft { model: next.model, hosts, objects, touched: next.touched, upserts: &change.upserts };
        self.settle(draft, now)
    }

    /// What the file set made that is to be pruned, and what is no longer in it. A host is no file's.
    fn pruned(&self, change: &Change) -> BTreeSet<ObjectKey> {
        let Some(source) = &change.prune else { return BTreeSet::new() };
        let kept: BTreeSet<ObjectKey> = change.upserts.iter().map(|(object, _)| object.key()).collect();
        let made = self.objects.iter().filter(|(key, object)| key.kind != Kind::Host && object.source == *source);
        made.map(|(key, _)| key.clone()).filter(|key| !kept.contains(key)).collect()
    }

    /// What registering a host, which the domains `hosted` need, would do.
    ///
    /// # Errors
    /// When another host has one of its addresses, or a domain that needs it no longer compiles.
    pub fn plan_registration(
        &self,
        registration: &Registration,
        hosted: BTreeSet<String>,
        now: SystemTime,
    ) -> Result<Plan, Refusal> {
        registration.check_unique(&self.hosts)?;
        let key = host::key(&registration.name);
        let stored = self.objects.get(&key).map(Arc::as_ref);
        let object = registration.object(stored);
        let known = self.hosts.get(&registration.name) == Some(&registration.underlay);
        let what = match stored {
            None => What::Created,
            Some(stored) if known && stored.spec == object.spec => {
                // The usual case when agents come back, many at once: it costs no copy of anything.
                return Ok(Plan { changes: vec![(key, What::Unchanged)], commit: None });
            }
            Some(_) => What::Changed,
        };
        let mut hosts = self.hosts.clone();
        Arc::make_mut(&mut hosts).insert(registration.name.clone(), registration.underlay.clone());
        self.settle(
            Draft {
                model: self.model.clone(),
                hosts,
                objects: vec![(key, what, Some(object))],
                touched: if known { BTreeSet::new() } else { hosted },
                upserts: &[],
            },
            now,
        )
    }

    /// Hands out numbers, compiles what is touched, and puts together what to store.
    fn settle(&self, draft: Draft<'_>, now: SystemTime) -> Result<Plan, Refusal> {
        let Draft { model, hosts, objects, touched, upserts } = draft;
        let changes = objects.iter().map(|(key, what, _)| (key.clone(), *what)).collect();
        if objects.iter().all(|(_, what, _)| *what == What::Unchanged) {
            return Ok(Plan { changes, commit: None });
        }
        let revision = self.revision + 1;
        let domains = model.domains();
        let wanted = touched
            .into_iter()
            .map(|name| {
                let domain = domains.get(&name).map(Arc::as_ref);
                (name, domain)
            })
            .collect();
        let mut allocation =
            self.ids.allocate(&wanted).map_err(|error| Refusal::Invalid(vec![number_refused(&error, upserts)]))?;
        let compilations = self.compile_all(&model, &allocation, &hosts, revision)?;
        let audit = audit(&objects, self.revision, now);
        let (stored, deletes) = self.stored(objects, revision, &mut allocation.counters.uid);
        let transaction = Transaction {
            revision,
            counters: allocation.counters,
            upserts: stored,
            deletes,
            ids: allocation.rows.clone(),
            generations: compilations
                .iter()
                .map(|(name, compilation)| (name.clone(), compilation.as_ref().map(|_| revision)))
                .collect(),
            audit,
        };
        Ok(Plan { changes, commit: Some(Commit { transaction, compilations, model, hosts, allocation }) })
    }

    /// Every domain touched, compiled from its last state; `None`: gone.
    fn compile_all(
        &self,
        model: &Model,
        allocation: &Allocation,
        hosts: &Hosts,
        revision: u64,
    ) -> Result<BTreeMap<String, Option<Compilation>>, Refusal> {
        let compile_one = |(name, ids): (&String, &Option<Arc<DomainIds>>)| {
            let compiled =
                model.domains().get(name).zip(ids.as_ref()).map(|(domain, ids)| match self.compilations.get(name) {
                    Some(before) => before.next(domain, ids, hosts, revision),
                    None => Compilation::new(domain, ids, hosts, revision),
                });
            let refused = |error: CompileError| Refusal::Invalid(vec![domain_refused(name, error.to_string())]);
            Ok((name.clone(), compiled.transpose().map_err(refused)?))
        };
        allocation.domains.iter().map(compile_one).collect()
    }

    /// The objects to write, with meta, and the keys to delete.
    fn stored(
        &self,
        objects: Vec<(ObjectKey, What, Option<v1::Object>)>,
        revision: u64,
        uid: &mut u64,
    ) -> (BTreeMap<ObjectKey, Arc<v1::Object>>, Vec<ObjectKey>) {
        let mut upserts = BTreeMap::new();
        let mut deletes = Vec::new();
        for (key, what, object) in objects {
            match object {
                None => deletes.push(key),
                Some(_) if what == What::Unchanged => {}
                Some(object) => {
                    let meta = Some(self.meta(&key, revision, uid));
                    upserts.insert(key, Arc::new(v1::Object { meta, ..object }));
                }
            }
        }
        (upserts, deletes)
    }

    /// The meta of an object changed at a revision; a new one gets a uid.
    fn meta(&self, key: &ObjectKey, revision: u64, uid: &mut u64) -> v1::ObjectMeta {
        match self.objects.get(key).and_then(|before| before.meta) {
            Some(meta) => v1::ObjectMeta { changed_revision: revision, ..meta },
            None => {
                *uid += 1;
                v1::ObjectMeta { uid: *uid - 1, created_revision: revision, changed_revision: revision }
            }
        }
    }
}

fn unknown(key: &ObjectKey) -> Invalid {
    Invalid {
        key: key.clone(),
        index: None,
        field: String::new(),
        message: "there is no such object: nothing to delete".to_owned(),
    }
}

/// Says of what cannot be deleted why it was to be, if its author did not ask for that by name.
fn not_pruned(invalid: Invalid, pruned: &BTreeSet<ObjectKey>, change: &Change) -> Invalid {
    match &change.prune {
        Some(source) if pruned.contains(&invalid.key) => {
            let message = format!("is no longer in file set {source:?} and would be pruned, but {}", invalid.message);
            Invalid { message, ..invalid }
        }
        _ => invalid,
    }
}

fn domain_refused(name: &str, message: String) -> Invalid {
    Invalid {
        key: ObjectKey { kind: Kind::Domain, domain: String::new(), name: name.to_owned() },
        index: None,
        field: String::new(),
        message,
    }
}

fn number_refused(error: &IdError, upserts: &[(Object, String)]) -> Invalid {
    match error {
        IdError::VniTaken { domain, network, .. } => {
            let key = ObjectKey { kind: Kind::Network, domain: domain.clone(), name: network.clone() };
            Invalid {
                index: upserts.iter().position(|(object, _)| object.key() == key),
                key,
                field: "vni".to_owned(),
                message: error.to_string(),
            }
        }
        IdError::Exhausted { domain, .. } => domain_refused(domain, error.to_string()),
    }
}

fn audit(objects: &[(ObjectKey, What, Option<v1::Object>)], revision: u64, now: SystemTime) -> AuditEntry {
    AuditEntry {
        when: now,
        what: objects
            .iter()
            .filter(|(_, what, _)| *what != What::Unchanged)
            .map(|(key, what, _)| format!("{} {key}", verb(*what)))
            .collect(),
        from_revision: revision,
        to_revision: revision + 1,
    }
}

fn verb(what: What) -> &'static str {
    match what {
        What::Created => "created",
        What::Changed => "changed",
        What::Unchanged => "kept",
        What::Source => "changed the source of",
        What::Deleted => "deleted",
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
