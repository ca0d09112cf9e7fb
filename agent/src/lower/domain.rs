//! One bundle → what this host enforces of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ringfence_policy::bundle::{self, Bundle, CompiledNetwork, CompiledUplink, Outcome};

use super::{
    Site,
    desired::{DomainState, InterfaceState, NetworkState, Owner, Place, Tables, UplinkState},
};
use crate::bpf::{
    Host, Ip, Run, be32,
    consts::{RF_ALLOW_FROM, RF_ALLOW_TO, RF_HOST_V6},
};

/// Lowers a bundle for this host.
pub(super) fn lower(bundle: &Bundle, site: &Site) -> DomainState {
    let places: BTreeMap<&str, Place> = bundle
        .topology
        .hosts
        .iter()
        .map(|host| (host.name.as_str(), place(&host.name, &host.underlay, site)))
        .collect();
    let place_of = |host: &str| places.get(host).copied().unwrap_or(Place::Unreachable);
    let mut addrs = BTreeMap::new();
    let mut subnets = BTreeMap::new();
    for network in &bundle.topology.networks {
        for subnet in &network.subnets {
            subnets.insert(subnet.cidr.trunc(), network.vni);
            addrs.insert(subnet.gateway, Owner::Gateway(network.vni));
        }
    }
    for interface in &bundle.interfaces {
        for (address, class_id) in &interface.addresses {
            addrs.insert(*address, Owner::Interface { id: interface.id, class_id: *class_id });
        }
    }
    let local = local_classes(bundle, site);
    let is_local = |row: &&bundle::Row| local.contains(&row.from_class) || local.contains(&row.to_class);
    DomainState {
        transit_vni: bundle.topology.transit_vni,
        uplink: bundle.topology.uplink.as_ref().map(|uplink| uplink_state(uplink, place_of(&uplink.host), site)),
        networks: bundle.topology.networks.iter().map(|network| (network.vni, network_state(network))).collect(),
        subnets,
        interfaces: interfaces(bundle, site, place_of),
        addrs,
        prefixes: bundle.policy.prefixes.iter().map(|classed| (classed.prefix, classed.class_id)).collect(),
        rows: bundle
            .policy
            .rows
            .iter()
            .filter(is_local)
            // A row without its profile denies, as a missing row does.
            .filter(|row| (row.profile as usize) < bundle.policy.profiles.len())
            .map(|row| ((row.from_class, row.to_class), row.profile as usize))
            .collect(),
        profiles: bundle.policy.profiles.iter().map(|profile| tables(profile, &bundle.policy.rules)).collect(),
    }
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
                place,
                ifindex: if place == Place::Here { site.ifindex(&interface.device) } else { 0 },
            };
            (interface.id, state)
        })
        .collect()
}

/// The network's MTU, or what the overlay allows, whichever is less.
fn mtu(network: u32, overlay: u32) -> u16 {
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

/// The classes this host judges for: its interfaces', and on the uplink host those of the outside.
fn local_classes(bundle: &Bundle, site: &Site) -> BTreeSet<u32> {
    let of_interfaces = bundle
        .interfaces
        .iter()
        .filter(|interface| interface.host == site.host)
        .flat_map(|interface| interface.addresses.iter().map(|(_, class)| *class));
    let uplink_here = bundle.topology.uplink.as_ref().is_some_and(|uplink| uplink.host == site.host);
    let outside = bundle.policy.prefixes.iter().filter(|_| uplink_here).map(|classed| classed.class_id);
    of_interfaces.chain(outside).collect()
}

fn tables(profile: &bundle::Profile, rules: &[bundle::RuleName]) -> Tables {
    let bundle::Profile { tcp, udp, sctp, icmp, icmp6, other } = profile;
    // In the order of RF_TABLE_*.
    [tcp, udp, sctp, icmp, icmp6, other].map(|runs| runs.iter().map(|run| lower_run(run, rules)).collect())
}

fn lower_run(run: &bundle::Run, rules: &[bundle::RuleName]) -> Run {
    // Ordinal 0 is the default, which the maps write as id 0.
    let id = |ordinal: u32| match ordinal {
        0 => 0,
        _ => rules.get(ordinal as usize).map_or(0, |rule| rule.id),
    };
    let Outcome { from_allows, to_allows, from_rule, to_rule } = run.enforced;
    let from = if from_allows { RF_ALLOW_FROM } else { 0 };
    let to = if to_allows { RF_ALLOW_TO } else { 0 };
    Run {
        first: run.first,
        verdict: (from | to) as u8,
        notes: 0,
        from_rule: id(from_rule),
        to_rule: id(to_rule),
        shadow_from_rule: id(run.shadow.from_rule),
        shadow_to_rule: id(run.shadow.to_rule),
    }
}
