//! Validated domain → bundle.
//!
//! ```text
//!  peers in use ──classes──▶ classes of addresses ─┐
//!  (peers, selectors, nested)                      ├─rows──▶ rows ──▶ profiles over time ──▶ tables
//!  rules ──order──▶ rules as they are asked ───────┘
//! ```
//!
//! The output depends on the domain, its ids and the hosts' addresses alone, never on what was compiled before;
//! [`Compilation`] only comes by it faster, where little has changed.

use std::{collections::BTreeMap, net::IpAddr};

use crate::{
    bundle::{Bundle, CompiledPolicy},
    model::Domain,
};

mod bounds;
mod classes;
mod compilation;
mod distinct;
mod members;
mod nested;
mod order;
mod peers;
mod profiles;
mod rows;
mod selectors;
mod tables;
mod wiring;

use classes::Classes;
pub use compilation::Compilation;
use members::Members;
use order::Ordered;

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
    /// More rows than fit.
    #[error("{0}")]
    TooManyRows(String),
    /// Rules that overlap so much that it would take too long.
    #[error("{0}")]
    TooManyMatches(String),
    /// Numbers and moments are cut into too many pieces.
    #[error("{0}")]
    TooManyRuns(String),
    /// The ids lack a part of the domain.
    #[error("domain {domain}: no id was handed out for {part}")]
    MissingId {
        /// The domain.
        domain: String,
        /// `interface web-1/eth0`.
        part: String,
    },
}

/// Compiles one domain. `hosts` are the underlay addresses of those that have registered.
///
/// # Errors
/// A domain that would need more classes or rows than a host holds, or whose rules overlap too much; ids that lack a
/// part of the domain.
pub fn compile(
    domain: &Domain,
    ids: &DomainIds,
    hosts: &BTreeMap<String, Vec<IpAddr>>,
    generation: u64,
) -> Result<Bundle, CompileError> {
    Ok(anew(domain, ids, hosts, generation)?.0)
}

/// Compiles a domain from nothing.
fn anew(
    domain: &Domain,
    ids: &DomainIds,
    hosts: &BTreeMap<String, Vec<IpAddr>>,
    generation: u64,
) -> Result<(Bundle, Classes, Members), CompileError> {
    let ordered = Ordered::new(domain, ids)?;
    let classes = Classes::new(domain)?;
    let (rows, profiles) = rows::compile(domain, &ordered, &classes)?;
    let mut interfaces = Vec::new();
    for workload in domain.workloads() {
        interfaces.extend(wiring::interfaces(domain, ids, &classes, workload)?.into_iter().flatten());
    }
    interfaces.sort_unstable_by_key(|interface| interface.id);
    let mut members = Members::default();
    interfaces.iter().for_each(|interface| members.add(interface));
    let policy = CompiledPolicy {
        default_allows: domain.default_allows,
        prefixes: classes.prefixes(),
        rows,
        profiles,
        rules: ordered.names,
    };
    let bundle = Bundle {
        domain_id: ids.domain,
        name: domain.name().into(),
        generation,
        features: wiring::features(domain, &members),
        topology: wiring::topology(domain, ids, members.hosts(), hosts)?.into(),
        policy: policy.into(),
        interfaces,
    };
    Ok((bundle, classes, members))
}

fn missing(domain: &Domain, part: String) -> CompileError {
    CompileError::MissingId { domain: domain.name().into(), part }
}
