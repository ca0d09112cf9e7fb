//! Validated domain → bundle.
//!
//! ```text
//!  peers in use ──classes──▶ classes of addresses ─┐
//!                                                  ├─rows──▶ rows ──▶ profiles
//!  rules ──order──▶ rules, most decisive first ────┘           (tables)
//! ```
//!
//! The output depends on the domain and its ids alone, never on what was compiled before.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use crate::{
    bundle::{
        Bundle, CompiledHost, CompiledInterface, CompiledNetwork, CompiledPair, CompiledPolicy, CompiledSubnet,
        CompiledUplink, FEATURE_BUNDLE_V2, Shared, Topology,
    },
    model::{Domain, Uplink},
};

mod classes;
mod order;
mod peers;
mod rows;
mod tables;

use classes::Classes;
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
/// A domain that would need more classes or rows than a host holds; ids that lack a part of the domain.
pub fn compile(
    domain: &Domain,
    ids: &DomainIds,
    hosts: &BTreeMap<String, Vec<IpAddr>>,
    generation: u64,
) -> Result<Bundle, CompileError> {
    let ordered = Ordered::new(domain, ids)?;
    let classes = Classes::new(domain)?;
    let (rows, profiles) = rows::compile(domain, &ordered, &classes)?;
    Ok(Bundle {
        domain_id: ids.domain,
        name: domain.name().into(),
        generation,
        features: vec![FEATURE_BUNDLE_V2.into()],
        topology: topology(domain, ids, hosts)?.into(),
        policy: CompiledPolicy {
            default_allows: domain.default_allows,
            prefixes: classes.prefixes(),
            rows,
            profiles,
            rules: ordered.names,
        }
        .into(),
        interfaces: interfaces(domain, ids, &classes)?.into_iter().map(Shared::from).collect(),
    })
}

fn topology(domain: &Domain, ids: &DomainIds, hosts: &BTreeMap<String, Vec<IpAddr>>) -> Result<Topology, CompileError> {
    let networks = domain.networks.iter().map(|(name, network)| {
        let subnet = |subnet: &crate::model::Subnet| CompiledSubnet { cidr: subnet.cidr, gateway: subnet.gateway };
        Ok(CompiledNetwork {
            name: name.clone(),
            vni: vni(domain, ids, name)?,
            mtu: network.mtu.unwrap_or_default(),
            subnets: network.subnets.iter().map(subnet).collect(),
        })
    });
    let uplink = domain.uplink.as_ref().map(|uplink| {
        let Uplink { host, device, addresses, next_hops } = uplink.clone();
        CompiledUplink { host, device, addresses, next_hops }
    });
    let named: BTreeSet<&str> =
        domain.interfaces().map(|interface| interface.host).chain(domain.uplink().map(|(host, _)| host)).collect();
    let host = |name: &str| CompiledHost { name: name.into(), underlay: hosts.get(name).cloned().unwrap_or_default() };
    Ok(Topology {
        transit_vni: ids.transit_vni,
        networks: networks.collect::<Result<_, _>>()?,
        uplink,
        hosts: named.into_iter().map(host).collect(),
    })
}

fn interfaces(domain: &Domain, ids: &DomainIds, classes: &Classes) -> Result<Vec<CompiledInterface>, CompileError> {
    let mut compiled = Vec::new();
    for (workload, content) in domain.workloads() {
        for interface in &content.interfaces {
            let key = (workload.to_owned(), interface.name.clone());
            let id = ids.interfaces.get(&key).copied();
            let mut addresses: Vec<_> =
                interface.addresses.iter().filter_map(|address| Some((*address, classes.of(address)?))).collect();
            addresses.sort_unstable();
            compiled.push(CompiledInterface {
                id: id.ok_or_else(|| missing(domain, format!("interface {workload}/{}", interface.name)))?,
                workload: workload.into(),
                name: interface.name.clone(),
                vni: vni(domain, ids, &interface.network)?,
                mac: interface.mac.octets(),
                host: interface.host.clone(),
                device: interface.device.clone(),
                addresses,
                pairs: interface
                    .pairs
                    .iter()
                    .map(|pair| CompiledPair { prefix: pair.prefix, mac: pair.mac.octets() })
                    .collect(),
                port_security: interface.port_security,
            });
        }
    }
    compiled.sort_unstable_by_key(|interface| interface.id);
    Ok(compiled)
}

fn vni(domain: &Domain, ids: &DomainIds, network: &str) -> Result<u32, CompileError> {
    let vni = ids.networks.get(network).copied();
    vni.ok_or_else(|| missing(domain, format!("network {network}")))
}

fn missing(domain: &Domain, part: String) -> CompileError {
    CompileError::MissingId { domain: domain.name().into(), part }
}
