//! What a bundle must not make of this machine's own NICs. Pure.
//!
//! Built-in rules keep the machine reachable whatever policy says; what is refused here would take more from it than a policy
//! can mean to: all of its own traffic, since the NIC is another than the bundle says, or that of a peer, since an address is.

use std::net::IpAddr;

use ringfence_policy::bundle::{Bundle, CompiledInterface};

use super::{Refusal, Reserved, Way, named};

/// Whether the interfaces of this machine, if the bundle has any, leave it what it needs.
pub(super) fn admit(bundle: &Bundle, host: &str, reserved: &Reserved) -> Result<(), Refusal> {
    let own = || bundle.interfaces.iter().filter(|interface| interface.bare_metal && interface.host == host);
    let Some(first) = own().next() else { return Ok(()) };
    let Some(controller) = reserved.controller else {
        return Err(Refusal::ControllerByName { claimant: named(bundle, first) });
    };
    for interface in own() {
        let device = &interface.device;
        let carried = reserved.ways.iter().find(|(_, way)| way.below.contains(device));
        if let Some((way, _)) = carried {
            let (device, claimant, way) = (device.clone(), named(bundle, interface), way.clone());
            return Err(Refusal::CarriesWay { device, claimant, way });
        }
        if let Some(wrong) = reserved.ways.get(device).and_then(|way| not_the_nic(interface, way)) {
            return Err(Refusal::NotTheNic { device: device.clone(), claimant: named(bundle, interface), wrong });
        }
    }
    keep_addresses(bundle, controller)
}

/// What an interface says that its NIC is not. An address may still have to be assigned, as at boot: but a NIC that has
/// others of its family has all it will have.
fn not_the_nic(interface: &CompiledInterface, way: &Way) -> Option<String> {
    if interface.mac != way.mac {
        let octets = interface.mac.map(|octet| format!("{octet:02x}"));
        return Some(format!("MAC address {}", octets.join(":")));
    }
    let assigned = |like: &IpAddr| {
        let routed = |held: &&IpAddr| !matches!(held, IpAddr::V6(v6) if v6.is_unicast_link_local());
        way.addresses.iter().filter(routed).any(|held| held.is_ipv4() == like.is_ipv4())
    };
    let mut own = interface.addresses.iter().map(|(address, _)| address);
    let strange = own.find(|address| assigned(address) && !way.addresses.contains(address))?;
    Some(format!("address {strange}"))
}

/// The controller's address, and those of hosts, are nobody's in the domain but that machine's itself.
fn keep_addresses(bundle: &Bundle, controller: IpAddr) -> Result<(), Refusal> {
    let refuse = |address: IpAddr, interface: &CompiledInterface, whose: String| {
        Err(Refusal::TakesAddress { address, claimant: named(bundle, interface), whose })
    };
    let has = |interface: &CompiledInterface, address: IpAddr| {
        interface.addresses.iter().any(|(own, _)| *own == address)
            || interface.pairs.iter().any(|pair| pair.prefix.contains(&address))
    };
    let hosts = bundle.topology.hosts.iter();
    let hosts: Vec<_> = hosts.flat_map(|host| host.underlay.iter().map(move |address| (*address, host))).collect();
    for interface in &bundle.interfaces {
        // The controller may run on a machine that is a workload, whichever that is.
        if !interface.bare_metal && has(interface, controller) {
            return refuse(controller, interface, "the controller".to_owned());
        }
        let is_itself = |host: &str| interface.bare_metal && interface.host == host;
        if let Some((address, host)) =
            hosts.iter().find(|(address, host)| !is_itself(&host.name) && has(interface, *address))
        {
            return refuse(*address, interface, format!("host {}", host.name));
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
