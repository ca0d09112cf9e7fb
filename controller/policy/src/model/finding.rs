//! What is wrong with a change: of the state it would make, and then in the terms of the request.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Invalid, fault::Fault};
use crate::object::ObjectKey;

/// How many referrers a refused deletion names.
const REFERRERS_NAMED: usize = 5;

/// One thing wrong with an object of the state that a change would make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// The object it is about.
    pub(super) key: ObjectKey,
    /// What is wrong with it.
    pub(super) fault: Fault,
    /// The object it refers to that is not there, if that is what is wrong.
    pub(super) missing: Option<ObjectKey>,
}

/// Who holds something that only one may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Holder {
    pub(super) key: ObjectKey,
    pub(super) field: String,
}

impl Finding {
    /// A fault of an object.
    pub(super) fn new(key: &ObjectKey, field: impl Into<String>, message: String) -> Self {
        Self { key: key.clone(), fault: Fault { field: field.into(), message }, missing: None }
    }

    /// A reference to nothing.
    pub(super) fn missing(key: &ObjectKey, field: impl Into<String>, target: ObjectKey) -> Self {
        let message = format!("there is no {target}: add it or correct the name");
        Self { missing: Some(target), ..Self::new(key, field, message) }
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.key, self.field)
    }
}

/// The findings in terms of the request, in which upserts have places: a reference to something deleted is the
/// deletion's fault.
pub(super) fn told(
    findings: &[Finding],
    places: &HashMap<ObjectKey, usize>,
    deletes: &BTreeSet<&ObjectKey>,
) -> Vec<Invalid> {
    let mut invalid = Vec::new();
    let mut referrers: BTreeMap<&ObjectKey, Vec<String>> = BTreeMap::new();
    for Finding { key, fault, missing } in findings {
        if let Some(target) = missing.as_ref().and_then(|target| deletes.get(target)) {
            referrers.entry(target).or_default().push(format!("{key} ({})", fault.field));
            continue;
        }
        invalid.push(Invalid {
            key: key.clone(),
            index: places.get(key).copied(),
            field: fault.field.clone(),
            message: fault.message.clone(),
        });
    }
    invalid.extend(referrers.into_iter().map(|(target, referrers)| Invalid {
        key: target.clone(),
        index: None,
        field: String::new(),
        message: still_used(&referrers),
    }));
    invalid
}

fn still_used(referrers: &[String]) -> String {
    let named = &referrers[..referrers.len().min(REFERRERS_NAMED)];
    let more = match referrers.len() - named.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let named = named.join(", ");
    format!("is still used by {named}{more}: delete or change that first, or in the same change")
}
