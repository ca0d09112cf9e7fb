//! Validated domain → bundle.

use std::{collections::BTreeMap, net::IpAddr};

use crate::{bundle::Bundle, model::Domain};

/// The numbers the controller handed out for a domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DomainIds {
    /// Of the domain.
    pub domain: u32,
    /// VNI toward the uplink.
    pub transit_vni: u32,
    /// VNI by network.
    pub networks: BTreeMap<String, u32>,
    /// By (workload, interface).
    pub interfaces: BTreeMap<(String, String), u32>,
    /// By (policy, rule).
    pub rules: BTreeMap<(String, String), u32>,
}

/// Why a domain cannot be compiled.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum CompileError {
    /// More classes than fit.
    #[error("{0}")]
    TooManyClasses(String),
}

/// Compiles one domain.
pub fn compile(
    _domain: &Domain,
    _ids: &DomainIds,
    _hosts: &BTreeMap<String, Vec<IpAddr>>,
    _generation: u64,
) -> Result<Bundle, CompileError> {
    todo!()
}
