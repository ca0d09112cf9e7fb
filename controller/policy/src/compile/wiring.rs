//! What of a domain is not policy: where packets go, and the interfaces with the classes of their addresses.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use super::{CompileError, DomainIds, classes::Classes, members::Members, missing};
use crate::{
    bundle::{
        CompiledHost, CompiledInterface, CompiledNetwork, CompiledPair, CompiledRoute, CompiledSubnet, CompiledUplink,
        FEATURE_BARE_METAL, FEATURE_BUNDLE_V2, FEATURE_MULTICAST, FEATURE_SERVICES, FEATURE_SHARED_PAIRS, Shared,
        Topology,
    },
    model::{Domain, Network, Route, Subnet, Uplink, Workload},
};

/// What an agent must know to read the bundle of a domain right: what is not used is not asked for, so that agents
/// from before go on reading domains that do without.
pub(super) fn features(domain: &Domain, members: &Members) -> Vec<String> {
    let used = [
        (FEATURE_BUNDLE_V2, true),
        (FEATURE_SERVICES, domain.networks.values().any(|network| is_served(network))),
        (FEATURE_SHARED_PAIRS, domain.has_shared_pairs()),
        (FEATURE_MULTICAST, domain.networks.values().any(|network| network.multicast)),
        (FEATURE_BARE_METAL, members.bare_metal()),
    ];
    used.into_iter().filter(|(_, used)| *used).map(|(feature, _)| feature.into()).collect()
}

fn is_served(network: &Network) -> bool {
    network.subnets.iter().any(|subnet| subnet.dhcp || subnet.ra)
}

/// The topology of a domain whose interfaces run on hosts with these names.
pub(super) fn topology<'a>(
    domain: &'a Domain,
    ids: &DomainIds,
    running: impl Iterator<Item = &'a String>,
    underlay: &BTreeMap<String, Vec<IpAddr>>,
) -> Result<Topology, CompileError> {
    let networks = domain.networks.iter().map(|(name, network)| {
        Ok(CompiledNetwork {
            name: name.to_string(),
            vni: vni(domain, ids, name)?,
            mtu: network.mtu.unwrap_or_default(),
            subnets: network.subnets.iter().map(subnet).collect(),
            multicast: network.multicast,
            // A network without services is to read as it did before there were any.
            lease: if is_served(network) { network.lease } else { 0 },
            search_domains: network.search_domains.clone(),
        })
    });
    let uplink = domain.uplink.as_ref().map(|uplink| {
        let Uplink { host, device, addresses, next_hops } = uplink.clone();
        CompiledUplink { host, device, addresses, next_hops }
    });
    let of_uplink = domain.uplink.iter().map(|uplink| &uplink.host);
    let hosts: BTreeSet<&String> = running.chain(of_uplink).collect();
    let addresses = |name: &String| underlay.get(name).cloned().unwrap_or_default();
    let host = |name: &String| CompiledHost { name: name.clone(), underlay: addresses(name) };
    Ok(Topology {
        transit_vni: ids.transit_vni,
        networks: networks.collect::<Result<_, _>>()?,
        hosts: hosts.into_iter().map(host).collect(),
        uplink,
    })
}

fn subnet(subnet: &Subnet) -> CompiledSubnet {
    let Subnet { cidr, gateway, dns, dhcp, ra, routes } = subnet.clone();
    let route = |Route { to, via }| CompiledRoute { to, via };
    CompiledSubnet { cidr, gateway, dns, dhcp, ra, routes: routes.into_iter().map(route).collect() }
}

/// The interfaces of a workload; `None`: an address is in a class that there was not when the classes were made.
pub(super) fn interfaces(
    domain: &Domain,
    ids: &DomainIds,
    classes: &Classes,
    (name, workload): (&str, &Workload),
) -> Result<Option<Vec<Shared<CompiledInterface>>>, CompileError> {
    let mut compiled = Vec::with_capacity(workload.interfaces.len());
    for (interface, classed) in workload.interfaces.iter().zip(classes.of_workload(name, workload)) {
        let known = classed.into_iter().map(|(address, class)| Some((address, class?)));
        let Some(mut addresses) = known.collect::<Option<Vec<_>>>() else { return Ok(None) };
        addresses.sort_unstable();
        let key = (name.to_owned(), interface.name.clone());
        let id = ids.interfaces.get(&key).copied();
        let pairs = interface.pairs.iter();
        let interface = CompiledInterface {
            id: id.ok_or_else(|| missing(domain, format!("interface {name}/{}", interface.name)))?,
            workload: key.0,
            name: key.1,
            vni: vni(domain, ids, &interface.network)?,
            mac: interface.mac.octets(),
            host: interface.host.clone(),
            device: interface.device.clone(),
            addresses,
            pairs: pairs
                .map(|pair| CompiledPair {
                    prefix: pair.prefix,
                    mac: pair.mac.octets(),
                    shared: domain.is_shared(&pair.prefix),
                })
                .collect(),
            port_security: interface.port_security,
            bare_metal: workload.bare_metal,
        };
        compiled.push(interface.into());
    }
    Ok(Some(compiled))
}

fn vni(domain: &Domain, ids: &DomainIds, network: &str) -> Result<u32, CompileError> {
    let vni = ids.networks.get(network).copied();
    vni.ok_or_else(|| missing(domain, format!("network {network}")))
}
