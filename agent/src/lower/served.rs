//! What the interfaces of this host are told by the services of their networks.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ipnet::IpNet;
use ringfence_policy::bundle::{Bundle, CompiledInterface, CompiledNetwork, CompiledRoute, CompiledSubnet};

use super::desired::{DomainState, Place};
use crate::services::{Served, Served4, Served6};

/// Of one domain, by interface id; who is told nothing is not among them.
pub(super) fn lower(bundle: &Bundle, state: &DomainState) -> BTreeMap<u32, Served> {
    let networks: BTreeMap<u32, &CompiledNetwork> =
        bundle.topology.networks.iter().map(|network| (network.vni, network)).collect();
    let local = bundle.interfaces.iter().filter_map(|interface| {
        let here = state.interfaces.get(&interface.id).filter(|state| state.place == Place::Here)?;
        let network = networks.get(&interface.vni)?;
        let served = Served {
            mac: interface.mac,
            mtu: here.mtu,
            lease: network.lease,
            search_domains: network.search_domains.clone(),
            v4: v4(interface, network),
            v6: network.subnets.iter().filter_map(|subnet| v6(interface, subnet)).collect(),
        };
        (served.v4.is_some() || !served.v6.is_empty()).then_some((interface.id, served))
    });
    local.collect()
}

/// The least of its addresses in a subnet with DHCP.
fn v4(interface: &CompiledInterface, network: &CompiledNetwork) -> Option<Served4> {
    let served = interface.addresses.iter().filter_map(|(address, _)| {
        let (IpAddr::V4(address), subnet) = (*address, subnet_of(network, *address)?) else { return None };
        let (IpNet::V4(cidr), IpAddr::V4(gateway)) = (subnet.cidr, subnet.gateway) else { return None };
        let route = |CompiledRoute { to, via }: &CompiledRoute| match (to, via) {
            (IpNet::V4(to), IpAddr::V4(via)) => Some((*to, *via)),
            _ => None,
        };
        Some(Served4 {
            address: ipnet::Ipv4Net::new(address, cidr.prefix_len()).ok()?,
            gateway,
            dns: subnet.dns.iter().filter_map(of_v4).collect(),
            routes: subnet.routes.iter().filter_map(route).collect(),
        })
    });
    served.min_by_key(|served| served.address.addr())
}

fn subnet_of(network: &CompiledNetwork, address: IpAddr) -> Option<&CompiledSubnet> {
    network.subnets.iter().find(|subnet| subnet.dhcp && subnet.cidr.contains(&address))
}

fn v6(interface: &CompiledInterface, subnet: &CompiledSubnet) -> Option<Served6> {
    let IpNet::V6(cidr) = subnet.cidr else { return None };
    let addresses: Vec<Ipv6Addr> =
        interface.addresses.iter().filter_map(|(address, _)| of_v6(address)).filter(|a| cidr.contains(a)).collect();
    let route = |route: &CompiledRoute| match route.to {
        IpNet::V6(to) => Some(to),
        IpNet::V4(_) => None,
    };
    let served = Served6 {
        cidr,
        addresses,
        dns: subnet.dns.iter().filter_map(of_v6).collect(),
        routes: subnet.routes.iter().filter_map(route).collect(),
        dhcp: subnet.dhcp,
        ra: subnet.ra,
    };
    (!served.addresses.is_empty() && (served.dhcp || served.ra)).then_some(served)
}

fn of_v4(address: &IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(v4) => Some(*v4),
        IpAddr::V6(_) => None,
    }
}

fn of_v6(address: &IpAddr) -> Option<Ipv6Addr> {
    match address {
        IpAddr::V6(v6) => Some(*v6),
        IpAddr::V4(_) => None,
    }
}
