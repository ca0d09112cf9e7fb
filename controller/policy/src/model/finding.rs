//! What is wrong with a change, before it is told in the terms of the request.

use super::fault::Fault;
use crate::object::ObjectKey;

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
