//! The validated model: values that cannot be wrong.

use std::{collections::BTreeMap, sync::Arc};

use crate::object::{Object, ObjectKey};

/// Everything, validated.
#[derive(Clone, Debug, Default)]
pub struct Model {}

/// One domain, validated.
#[derive(Debug, PartialEq, Eq)]
pub struct Domain {}

/// One thing wrong with a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The object it is about.
    pub key: ObjectKey,
    /// Its place among the upserts; `None` when a deletion or an object already stored is at fault.
    pub index: Option<usize>,
    /// Path in it as in the file, `rules[2].traffic[0]`; empty: all of it.
    pub field: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// What a domain's interface needs to be wired.
pub struct InterfaceRef<'a> {
    /// Workload.
    pub workload: &'a str,
    /// Interface.
    pub name: &'a str,
    /// Host.
    pub host: &'a str,
    /// Device on the host.
    pub device: &'a str,
}

impl Model {
    /// The model with these objects added or replaced and those deleted, all or nothing.
    pub fn change(&self, _upserts: &[Object], _deletes: &[ObjectKey]) -> Result<Self, Vec<Invalid>> {
        todo!()
    }
    /// Every domain by name.
    pub fn domains(&self) -> &BTreeMap<String, Arc<Domain>> {
        todo!()
    }
}

impl Domain {
    /// `tenant/domain`.
    pub fn name(&self) -> &str {
        todo!()
    }
    /// Name and the VNI asked for.
    pub fn networks(&self) -> impl Iterator<Item = (&str, Option<u32>)> {
        std::iter::empty()
    }
    /// By workload, then interface.
    pub fn interfaces(&self) -> impl Iterator<Item = InterfaceRef<'_>> {
        std::iter::empty()
    }
    /// (policy, rule).
    pub fn rules(&self) -> impl Iterator<Item = (&str, &str)> {
        std::iter::empty()
    }
    /// Host and device of the uplink.
    pub fn uplink(&self) -> Option<(&str, &str)> {
        todo!()
    }
}

/// The device of an interface that names none: `rf` and 12 hexadecimal digits.
pub fn derived_device(_domain: &str, _workload: &str, _interface: &str) -> String {
    todo!()
}
