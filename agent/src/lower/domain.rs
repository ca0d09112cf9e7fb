//! One bundle → what this host enforces of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ringfence_policy::bundle::{Bundle, CompiledInterface, CompiledNetwork, CompiledUplink};

use super::{
    Site,
    desired::{DomainState, InterfaceState, NetworkState, Owner, Place, UplinkState},
    groups::groups,
    pairs::Pairs,
    policy,
};
use crate::bpf::{
    Host, Ip, be32,
    consts::{RF_HOST_V6, RF_IFACE_BARE_METAL, RF_IFACE_NO_PORT_SECURITY},
};

/// Lowers a bundle for this host, as it holds at a moment in seconds since 1970-01-01T00:00:00Z.
pub(super) fn lower(bundle: &Bundle, site: &Site, at: u64) -> DomainState {
    let places: BTreeMap<&str, Place> = bundle
        .topology
        .hosts
        .iter()
        .map(|host| (host.name.as_str(), place(&host.name, &host.underlay, site)))
        .collect();
    let place_of = |host: &str| places.get(host).copied().unwrap_or(Place::Unreachable);
    let mut addrs = BTreeMap::new();
    let physical = physical(bundle);
    let networks = || bundle.topology.networks.iter().filter(|network| !physical.contains(&network.vni));
    for network in networks() {
        addrs.extend(network.subnets.iter().map(|subnet| (subnet.gateway, Owner::Gateway(network.vni))));
    }
    for interface in &bundle.interfaces {
        for (address, class_id) in &interface.addresses {
            addrs.insert(*address, Owner::Interface { id: interface.id, class_id: *class_id });
        }
    }
    let pairs = Pairs::new(bundle);
    let interfaces = interfaces(bundle, site, place_of);
    let (rows, profiles) = policy::lower(bundle, &pairs, site, at);
    DomainState {
        transit_vni: bundle.topology.transit_vni,
        uplink: bundle.topology.uplink.as_ref().map(|uplink| uplink_state(uplink, place_of(&uplink.host), site)),
        networks: bundle.topology.networks.iter().map(|network| (network.vni, network_state(network))).collect(),
        subnets: pairs.subnets(networks()),
        claims: pairs.claims().clone(),
        groups: groups(bundle, &interfaces, site),
        interfaces,
        addrs,
        prefixes: policy::prefixes(bundle),
        rows,
        profiles,
    }
}

/// The networks of bare-metal machines. Their gateways are routers of the physical network, and who else is there may well
/// have an address of theirs: to the programs both are nobody's, as all that is beyond the uplink.
fn physical(bundle: &Bundle) -> BTreeSet<u32> {
    bundle.interfaces.iter().filter(|interface| interface.bare_metal).map(|interface| interface.vni).collect()
}

fn interfaces(bundle: &Bundle, site: &Site, place_of: impl Fn(&str) -> Place) -> BTreeMap<u32, InterfaceState> {
    let mtus: BTreeMap<u32, u32> = bundle.topology.networks.iter().map(|network| (network.vni, network.mtu)).collect();
    bundle
        .interfaces
        .iter()
        .map(|interface| {
            let place = if interface.host == site.host { Place::Here } else { place_of(&interface.host) };
            let state = InterfaceState {
                vni: interface.vni,
                mtu: mtu(mtus.get(&interface.vni).copied().unwrap_or(0), site.overlay_mtu),
                mac: interface.mac,
                flags: flags(interface),
                place,
                ifindex: if place == Place::Here { site.ifindex(&interface.device) } else { 0 },
            };
            (interface.id, state)
        })
        .collect()
}

fn flags(interface: &CompiledInterface) -> u32 {
    let port_security = if interface.port_security { 0 } else { RF_IFACE_NO_PORT_SECURITY };
    let bare_metal = if interface.bare_metal { RF_IFACE_BARE_METAL } else { 0 };
    port_security | bare_metal
}

/// The network's MTU, or what the overlay allows, whichever is less.
pub(super) fn mtu(network: u32, overlay: u32) -> u16 {
    let mtu = if network == 0 { overlay } else { network.min(overlay) };
    u16::try_from(mtu).unwrap_or(u16::MAX)
}

fn network_state(network: &CompiledNetwork) -> NetworkState {
    let gateways = || network.subnets.iter().map(|subnet| subnet.gateway);
    NetworkState { gateway4: first_v4(gateways()), gateway6: first_v6(gateways()) }
}

fn uplink_state(uplink: &CompiledUplink, place: Place, site: &Site) -> UplinkState {
    let here = uplink.host == site.host;
    let link = site.links.get(&uplink.device).filter(|_| here);
    let next_hops = || uplink.next_hops.iter().copied();
    UplinkState {
        place: if here { Place::Here } else { place },
        ifindex: link.map_or(0, |link| link.ifindex),
        mtu: link.map_or(site.overlay_mtu, |link| link.mtu),
        next_hop4: first_v4(next_hops()),
        next_hop6: first_v6(next_hops()),
    }
}

fn first_v4(mut addresses: impl Iterator<Item = IpAddr>) -> Option<Ipv4Addr> {
    addresses.find_map(|address| match address {
        IpAddr::V4(v4) => Some(v4),
        IpAddr::V6(_) => None,
    })
}

fn first_v6(mut addresses: impl Iterator<Item = IpAddr>) -> Option<Ipv6Addr> {
    addresses.find_map(|address| match address {
        IpAddr::V6(v6) => Some(v6),
        IpAddr::V4(_) => None,
    })
}

fn place(name: &str, underlay: &[IpAddr], site: &Site) -> Place {
    if name == site.host {
        return Place::Here;
    }
    let has = |of: &[IpAddr], family: fn(&IpAddr) -> bool| of.iter().any(family);
    // IPv4 first: its outer header is the shorter one.
    if has(underlay, IpAddr::is_ipv4) && has(&site.underlay, IpAddr::is_ipv4) {
        Place::At(host(underlay, 0))
    } else if has(underlay, IpAddr::is_ipv6) && has(&site.underlay, IpAddr::is_ipv6) {
        Place::At(host(underlay, RF_HOST_V6))
    } else {
        Place::Unreachable
    }
}

/// A host by its underlay addresses.
pub(super) fn host(underlay: &[IpAddr], flags: u32) -> Host {
    let v4 = first_v4(underlay.iter().copied());
    let v6 = first_v6(underlay.iter().copied());
    Host { v4: v4.map_or(0, be32), flags, v6: v6.map_or_else(Ip::default, |v6| Ip::from(IpAddr::V6(v6))) }
}
