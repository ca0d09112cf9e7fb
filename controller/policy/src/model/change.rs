//! One model → the next, all or nothing.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use super::{
    Domain, Invalid, Model, Policy, Scope,
    build::{build, build_platform},
    decode::decode,
    exclusive::{Exclusive, claims, workload_claims},
    finding::{Finding, told},
    name::split_domain,
    step::step,
};
use crate::object::{Kind, Object, ObjectKey, PLATFORM};

/// A change that every check passed.
#[derive(Clone, Debug)]
pub struct Change {
    /// The model after it.
    pub model: Model,
    /// What became of each object asked for: upserts in their order, then deletions in theirs.
    pub objects: Vec<(ObjectKey, What)>,
    /// Domains whose objects differ from before; one that is not in the model is gone.
    pub touched: BTreeSet<String>,
}

/// What became of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It was not there before.
    Created,
    /// It was there and says something else now.
    Changed,
    /// It said the same already.
    Unchanged,
    /// It says the same and comes from another file set; for who keeps sources, which a model does not.
    Source,
    /// It is there no longer.
    Deleted,
}

/// A change being made.
struct Draft<'a> {
    before: &'a Model,
    /// Place of each object among the upserts.
    places: HashMap<ObjectKey, usize>,
    deletes: BTreeSet<&'a ObjectKey>,
    /// The scopes that differ, as they will be.
    scopes: BTreeMap<String, Scope>,
    /// The objects that differ, by scope.
    changed: BTreeMap<String, Vec<ObjectKey>>,
    /// Whether domains may be made from what they were, which says less of what is wrong.
    may_step: bool,
    objects: Vec<(ObjectKey, What)>,
    findings: Vec<Finding>,
}

/// A domain that differs.
struct Next {
    domain: Domain,
    /// It was made from what it was: only what changed needs a look.
    is_step: bool,
}

pub(super) fn change(before: &Model, upserts: &[Object], deletes: &[ObjectKey]) -> Result<Change, Vec<Invalid>> {
    // Whoever is wrong hears of everything that is, in the order in which objects were asked for.
    attempt(before, upserts, deletes, true).or_else(|_| attempt(before, upserts, deletes, false))
}

fn attempt(before: &Model, upserts: &[Object], deletes: &[ObjectKey], may_step: bool) -> Result<Change, Vec<Invalid>> {
    let mut draft = Draft {
        before,
        places: HashMap::new(),
        deletes: deletes.iter().collect(),
        scopes: BTreeMap::new(),
        changed: BTreeMap::new(),
        may_step,
        objects: Vec::new(),
        findings: Vec::new(),
    };
    let twice = draft.upsert(upserts);
    draft.delete(deletes);
    let platform = draft.build_platform();
    let domains = draft.build_domains();
    draft.check_tenants();
    let exclusive = draft.check_exclusive(&domains);
    let touched = draft.touched();
    if draft.findings.is_empty() && twice.is_empty() {
        let objects = std::mem::take(&mut draft.objects);
        let model = draft.into_model(domains, platform, exclusive);
        return Ok(Change { model, objects, touched });
    }
    let mut invalid = told(&draft.findings, &draft.places, &draft.deletes);
    invalid.extend(twice);
    invalid.sort_by(|a, b| (a.index, &a.key).cmp(&(b.index, &b.key)));
    Err(invalid)
}

/// Where an object is kept: with its domain, or with the tenants.
pub(super) fn scope_of(key: &ObjectKey) -> &str {
    match key.kind {
        Kind::Tenant | Kind::Host => "",
        Kind::Domain => &key.name,
        _ => &key.domain,
    }
}

impl<'a> Draft<'a> {
    /// Puts the upserts in place; an object that comes twice is told where it comes again.
    fn upsert(&mut self, upserts: &[Object]) -> Vec<Invalid> {
        let mut twice = Vec::new();
        for (index, object) in upserts.iter().enumerate() {
            let key = object.key();
            if let Some(first) = self.places.get(&key) {
                let message = format!("object {first} of this change is the same one: keep one");
                twice.push(Invalid { key, index: Some(index), field: "name".into(), message });
                continue;
            }
            if self.deletes.contains(&key) {
                let message = "is deleted by the same change: do one or the other".into();
                self.findings.push(Finding::new(&key, "", message));
            }
            let what = match self.before.object(&key) {
                None => What::Created,
                Some(stored) if **stored == *object => What::Unchanged,
                Some(_) => What::Changed,
            };
            if what != What::Unchanged {
                self.scope(&key).insert(Arc::new(key.clone()), Arc::new(object.clone()));
                self.note(&key);
            }
            self.objects.push((key.clone(), what));
            self.places.insert(key, index);
        }
        twice
    }

    fn delete(&mut self, deletes: &[ObjectKey]) {
        for key in deletes {
            // One that the same change brings is told already.
            if self.before.object(key).is_none() && !self.places.contains_key(key) {
                let message = "there is no such object: nothing to delete".into();
                self.findings.push(Finding::new(key, "", message));
                continue;
            }
            // Named twice, it is deleted once.
            if self.scope(key).remove(key).is_some() {
                self.note(key);
                self.objects.push((key.clone(), What::Deleted));
            }
        }
    }

    /// Notes that an object differs.
    fn note(&mut self, key: &ObjectKey) {
        self.changed.entry(scope_of(key).into()).or_default().push(key.clone());
    }

    /// The objects of a scope that differ.
    fn changed(&self, scope: &str) -> &[ObjectKey] {
        self.changed.get(scope).map(Vec::as_slice).unwrap_or_default()
    }

    /// The scope of an object as it will be.
    fn scope(&mut self, key: &ObjectKey) -> &mut Scope {
        let name = scope_of(key);
        self.scopes.entry(name.into()).or_insert_with(|| {
            let stored = self.before.scopes.get(name);
            stored.map(|scope| (**scope).clone()).unwrap_or_default()
        })
    }

    /// The objects of a scope in the order of blame.
    fn objects<'s>(&self, scope: &'s Scope) -> Vec<(&'s ObjectKey, &'s Object)> {
        let mut objects: Vec<(&ObjectKey, &Object)> = scope.iter().map(|(key, object)| (&**key, &**object)).collect();
        objects.sort_by_cached_key(|(key, _)| self.places.get(*key));
        objects
    }

    /// Builds the platform's policies, if they differ.
    fn build_platform(&mut self) -> Option<Arc<BTreeMap<String, Policy>>> {
        let objects = self.objects(self.scopes.get(PLATFORM)?);
        match build_platform(&objects) {
            Ok(policies) => Some(Arc::new(policies)),
            Err(findings) => {
                self.findings.extend(findings);
                None
            }
        }
    }

    /// A domain that differs, if it can be made from what it was.
    fn step(&self, name: &str, scope: &Scope) -> Option<Domain> {
        let before = self.before.domains.get(name).filter(|_| self.may_step)?;
        step(before, scope, self.changed(name))
    }

    /// Makes every domain that differs.
    fn build_domains(&mut self) -> Vec<Next> {
        let mut domains = Vec::new();
        for (name, scope) in self.scopes.iter().filter(|(name, _)| *name != PLATFORM) {
            if let Some(domain) = self.step(name, scope) {
                domains.push(Next { domain, is_step: true });
                continue;
            }
            let objects = self.objects(scope);
            if name.is_empty() {
                let faults = objects.iter().filter_map(|(key, object)| {
                    let faults = decode(object).err()?;
                    Some(faults.into_iter().map(|fault| Finding { key: (*key).clone(), fault, missing: None }))
                });
                self.findings.extend(faults.flatten());
            } else if !objects.is_empty() {
                match build(name, &objects) {
                    Ok(domain) => domains.push(Next { domain, is_step: false }),
                    Err(findings) => self.findings.extend(findings),
                }
            }
        }
        domains
    }

    /// Every domain has its tenant: those that differ, and those whose tenant goes.
    fn check_tenants(&mut self) {
        let none = Scope::new();
        let stored = self.before.scopes.get("").map_or(&none, |scope| scope);
        let tenants = self.scopes.get("").unwrap_or(stored);
        let tenant_key = |name: &str| ObjectKey { kind: Kind::Tenant, domain: String::new(), name: name.into() };
        let domain_key = |name: &str| ObjectKey { kind: Kind::Domain, domain: String::new(), name: name.into() };
        let new = self.scopes.iter().filter_map(|(name, scope)| {
            let key = domain_key(name);
            scope.contains_key(&key).then_some(key)
        });
        let gone = self.deletes.iter().filter(|key| key.kind == Kind::Tenant);
        let bereft = gone.flat_map(|tenant| {
            let prefix = format!("{}/", tenant.name);
            let names = self.before.scopes.range(prefix.clone()..);
            names
                .map(|(name, _)| name)
                .take_while(move |name| name.starts_with(&prefix))
                .filter(|name| !self.scopes.contains_key(*name))
                .map(|name| domain_key(name))
        });
        let missing: Vec<_> = new
            .chain(bereft)
            .filter_map(|key| {
                // A name that is none is told already.
                let tenant = tenant_key(split_domain(&key.name).ok()?.0);
                (!tenants.contains_key(&tenant)).then(|| Finding::missing(&key, "name", tenant))
            })
            .collect();
        self.findings.extend(missing);
    }

    /// Who holds what in the state to be.
    fn check_exclusive(&mut self, domains: &[Next]) -> Exclusive {
        let mut exclusive = self.before.exclusive.clone();
        let steps: BTreeSet<&str> = domains.iter().filter(|next| next.is_step).map(|next| next.domain.name()).collect();
        let claimed = |domain: &Domain| match steps.contains(domain.name()) {
            false => claims(domain),
            true => {
                let workloads = self.changed(domain.name()).iter().filter(|key| key.kind == Kind::Workload);
                workloads.flat_map(|key| workload_claims(domain, &key.name)).collect()
            }
        };
        for old in self.scopes.keys().filter_map(|name| self.before.domains.get(name)) {
            claimed(old).iter().for_each(|claim| exclusive.release(claim));
        }
        let mut wanted: Vec<_> = domains.iter().flat_map(|next| claimed(&next.domain)).collect();
        wanted.sort_by_cached_key(|claim| self.places.get(&claim.holder.key));
        let findings: Vec<_> = wanted.into_iter().filter_map(|claim| exclusive.take(claim)).collect();
        self.findings.extend(findings);
        exclusive
    }

    /// The domains that differ: all of them, if the platform's policies do.
    fn touched(&self) -> BTreeSet<String> {
        let all = self.scopes.contains_key(PLATFORM).then_some(&self.before.domains);
        let names = self.scopes.keys().chain(all.into_iter().flat_map(BTreeMap::keys));
        names.filter(|name| !name.is_empty() && *name != PLATFORM).cloned().collect()
    }

    fn into_model(
        self,
        domains: Vec<Next>,
        platform: Option<Arc<BTreeMap<String, Policy>>>,
        exclusive: Exclusive,
    ) -> Model {
        let mut model = self.before.clone();
        model.exclusive = exclusive;
        if let Some(platform) = platform {
            for domain in model.domains.values_mut() {
                Arc::make_mut(domain).platform = platform.clone();
            }
            model.platform = platform;
        }
        let platform = model.platform.clone();
        for (name, scope) in self.scopes {
            model.domains.remove(&name);
            if scope.is_empty() {
                model.scopes.remove(&name);
            } else {
                model.scopes.insert(name, Arc::new(scope));
            }
        }
        let in_force = |domain| Domain { platform: platform.clone(), ..domain };
        let domains = domains.into_iter().map(|next| (next.domain.name.clone(), Arc::new(in_force(next.domain))));
        model.domains.extend(domains);
        model
    }
}
