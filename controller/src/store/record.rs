//! How keys and values look in the file. Text keys, their parts joined by NUL (which no name may
//! hold), so that a damaged record can be named; values are protobuf.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prost::Message;
use ringfence_policy::object::{Kind, ObjectKey};
use ringfence_proto::v1;

use super::{AuditEntry, StoreError};
use crate::catalog::ids::IdKey;

const SEPARATOR: char = '\0';

/// Table of objects: key → `v1::Object` with meta.
pub(super) const OBJECTS: &str = "objects";
/// Table of numbers in use: key → number.
pub(super) const IDS: &str = "ids";
/// Table of generations: domain → generation.
pub(super) const GENERATIONS: &str = "generations";
/// Table of single numbers: name → number.
pub(super) const META: &str = "meta";
/// The audit trail: revision after the commit → [`AuditRecord`].
pub(super) const AUDIT: &str = "audit";

const KINDS: [Kind; 8] = [
    Kind::Tenant,
    Kind::Domain,
    Kind::Network,
    Kind::Workload,
    Kind::Segment,
    Kind::AddressSet,
    Kind::Policy,
    Kind::Host,
];

/// An audit entry as stored.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct AuditRecord {
    /// Nanoseconds since 1970.
    #[prost(uint64, tag = "1")]
    when: u64,
    #[prost(string, repeated, tag = "2")]
    what: Vec<String>,
    #[prost(uint64, tag = "3")]
    from_revision: u64,
    #[prost(uint64, tag = "4")]
    to_revision: u64,
}

// === objects ===

pub(super) fn object_key(key: &ObjectKey) -> String {
    join(&[&key.kind.to_string(), &key.domain, &key.name])
}

pub(super) fn parse_object_key(text: &str) -> Result<ObjectKey, StoreError> {
    let corrupt = |reason: &str| corrupt(OBJECTS, text, reason);
    let parts: Vec<&str> = text.split(SEPARATOR).collect();
    let [kind, domain, name] = parts[..] else {
        return Err(corrupt("the key does not have three parts"));
    };
    let kind = KINDS
        .into_iter()
        .find(|known| known.to_string() == kind)
        .ok_or_else(|| corrupt("the key names no known kind"))?;
    Ok(ObjectKey { kind, domain: domain.to_owned(), name: name.to_owned() })
}

/// Decodes an object and checks that it is the one its key names.
pub(super) fn parse_object(key: &str, value: &[u8]) -> Result<(ObjectKey, v1::Object), StoreError> {
    let named = parse_object_key(key)?;
    let object = v1::Object::decode(value).map_err(|error| corrupt(OBJECTS, key, &error.to_string()))?;
    if object.domain != named.domain || object.name != named.name {
        return Err(corrupt(OBJECTS, key, "it holds another object"));
    }
    if object.meta.is_none() || object.spec.is_none() {
        return Err(corrupt(OBJECTS, key, "it lacks its meta or its spec"));
    }
    Ok((named, object))
}

// === ids ===

pub(super) fn id_key(key: &IdKey) -> String {
    match key {
        IdKey::Domain(domain) => join(&["domain", domain]),
        IdKey::Transit(domain) => join(&["transit", domain]),
        IdKey::Network(domain, network) => join(&["network", domain, network]),
        IdKey::Interface(domain, workload, name) => join(&["interface", domain, workload, name]),
        IdKey::Rule(domain, policy, rule) => join(&["rule", domain, policy, rule]),
    }
}

pub(super) fn parse_id_key(text: &str) -> Result<IdKey, StoreError> {
    let parts: Vec<&str> = text.split(SEPARATOR).collect();
    Ok(match parts[..] {
        ["domain", domain] => IdKey::Domain(domain.into()),
        ["transit", domain] => IdKey::Transit(domain.into()),
        ["network", domain, network] => IdKey::Network(domain.into(), network.into()),
        ["interface", domain, workload, name] => IdKey::Interface(domain.into(), workload.into(), name.into()),
        ["rule", domain, policy, rule] => IdKey::Rule(domain.into(), policy.into(), rule.into()),
        _ => return Err(corrupt(IDS, text, "the key names nothing that has a number")),
    })
}

// === audit ===

/// An entry as bytes.
pub(super) fn audit(entry: &AuditEntry) -> Vec<u8> {
    let since = entry.when.duration_since(UNIX_EPOCH).unwrap_or_default();
    AuditRecord {
        when: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX),
        what: entry.what.clone(),
        from_revision: entry.from_revision,
        to_revision: entry.to_revision,
    }
    .encode_to_vec()
}

pub(super) fn parse_audit(revision: u64, value: &[u8]) -> Result<AuditEntry, StoreError> {
    let record =
        AuditRecord::decode(value).map_err(|error| corrupt(AUDIT, &revision.to_string(), &error.to_string()))?;
    Ok(AuditEntry {
        when: SystemTime::UNIX_EPOCH + Duration::from_nanos(record.when),
        what: record.what,
        from_revision: record.from_revision,
        to_revision: record.to_revision,
    })
}

// === helpers ===

pub(super) fn corrupt(table: &'static str, key: &str, reason: &str) -> StoreError {
    StoreError::Corrupt { table, key: key.replace(SEPARATOR, " "), reason: reason.to_owned() }
}

fn join(parts: &[&str]) -> String {
    parts.join("\0")
}
