//! Where packets go: topology and interfaces of a bundle.

use std::net::IpAddr;

use ipnet::IpNet;
use ringfence_proto::v1;

use super::error::{InvalidMessage, each};
use crate::bundle::{
    CLASS_HOST, CompiledHost, CompiledInterface, CompiledNetwork, CompiledPair, CompiledRoute, CompiledSubnet,
    CompiledUplink, Topology,
};

/// 24 bits; 0 is none.
const VNI_MAX: u32 = 0xff_ffff;

pub(super) fn topology_from_wire(message: v1::Topology) -> Result<Topology, InvalidMessage> {
    let v1::Topology { transit_vni, networks, uplink, hosts } = message;
    Ok(Topology {
        transit_vni: vni("transit_vni", transit_vni)?,
        networks: each("networks", networks, network_from_wire)?,
        uplink: uplink.map(uplink_from_wire).transpose().map_err(|error| error.within("uplink"))?,
        hosts: each("hosts", hosts, |v1::CompiledHost { name, underlay }| {
            let underlay = each("underlay", underlay, |bytes| address("", &bytes))?;
            Ok(CompiledHost { name, underlay })
        })?,
    })
}

pub(super) fn topology_to_wire(topology: &Topology) -> v1::Topology {
    let Topology { transit_vni, networks, uplink, hosts } = topology;
    let host = |host: &CompiledHost| {
        let CompiledHost { name, underlay } = host;
        v1::CompiledHost { name: name.clone(), underlay: underlay.iter().copied().map(bytes).collect() }
    };
    v1::Topology {
        transit_vni: *transit_vni,
        networks: networks.iter().map(network_to_wire).collect(),
        uplink: uplink.as_ref().map(uplink_to_wire),
        hosts: hosts.iter().map(host).collect(),
    }
}

pub(super) fn interface_from_wire(message: v1::CompiledInterface) -> Result<CompiledInterface, InvalidMessage> {
    let v1::CompiledInterface {
        id,
        workload,
        name,
        vni: number,
        mac,
        host,
        device,
        addresses,
        pairs,
        no_port_security,
        bare_metal,
    } = message;
    if id == 0 {
        return Err(InvalidMessage::new("id", "is 0, which stands for no interface"));
    }
    let addresses = each("addresses", addresses, |message| {
        let v1::ClassedAddress { address: bytes, class_id } = message;
        Ok((address("address", &bytes)?, class(class_id)?))
    })?;
    let pairs = each("pairs", pairs, |v1::CompiledPair { prefix: cidr, mac, shared }| {
        Ok(CompiledPair { prefix: prefix("prefix", cidr)?, mac: mac_from_wire(mac)?, shared })
    })?;
    Ok(CompiledInterface {
        id,
        workload,
        name,
        vni: vni("vni", number)?,
        mac: mac_from_wire(mac)?,
        host,
        device,
        addresses,
        pairs,
        port_security: !no_port_security,
        bare_metal,
    })
}

fn mac_from_wire(mac: Vec<u8>) -> Result<[u8; 6], InvalidMessage> {
    mac.try_into().map_err(|mac: Vec<u8>| {
        let message = format!("has {} bytes instead of 6", mac.len());
        InvalidMessage::new("mac", message)
    })
}

pub(super) fn interface_to_wire(interface: &CompiledInterface) -> v1::CompiledInterface {
    let CompiledInterface { id, workload, name, vni, mac, host, device, addresses, pairs, port_security, bare_metal } =
        interface;
    let pair = |CompiledPair { prefix, mac, shared }: &CompiledPair| v1::CompiledPair {
        prefix: Some(prefix_to_wire(prefix)),
        mac: mac.to_vec(),
        shared: *shared,
    };
    let address =
        |(address, class_id): &(IpAddr, u32)| v1::ClassedAddress { address: bytes(*address), class_id: *class_id };
    v1::CompiledInterface {
        id: *id,
        workload: workload.clone(),
        name: name.clone(),
        vni: *vni,
        mac: mac.to_vec(),
        host: host.clone(),
        device: device.clone(),
        addresses: addresses.iter().map(address).collect(),
        pairs: pairs.iter().map(pair).collect(),
        no_port_security: !port_security,
        bare_metal: *bare_metal,
    }
}

fn network_from_wire(message: v1::CompiledNetwork) -> Result<CompiledNetwork, InvalidMessage> {
    let v1::CompiledNetwork { name, vni: number, mtu, subnets, multicast, lease_s, search_domains } = message;
    Ok(CompiledNetwork {
        name,
        vni: vni("vni", number)?,
        mtu,
        subnets: each("subnets", subnets, subnet_from_wire)?,
        multicast,
        lease: lease_s,
        search_domains,
    })
}

fn network_to_wire(network: &CompiledNetwork) -> v1::CompiledNetwork {
    let CompiledNetwork { name, vni, mtu, subnets, multicast, lease, search_domains } = network;
    v1::CompiledNetwork {
        name: name.clone(),
        vni: *vni,
        mtu: *mtu,
        subnets: subnets.iter().map(subnet_to_wire).collect(),
        multicast: *multicast,
        lease_s: *lease,
        search_domains: search_domains.clone(),
    }
}

fn subnet_from_wire(message: v1::CompiledSubnet) -> Result<CompiledSubnet, InvalidMessage> {
    let v1::CompiledSubnet { cidr, gateway, dns, dhcp, ra, routes } = message;
    let cidr = prefix("cidr", cidr)?;
    Ok(CompiledSubnet {
        cidr,
        gateway: address("gateway", &gateway)?,
        dns: each("dns", dns, |bytes| of_family("", address("", &bytes)?, &cidr))?,
        dhcp,
        ra,
        routes: each("routes", routes, |v1::CompiledRoute { to, via }| {
            let to = prefix("to", to)?;
            of_family("to", to.addr(), &cidr)?;
            Ok(CompiledRoute { to, via: of_family("via", address("via", &via)?, &cidr)? })
        })?,
    })
}

fn subnet_to_wire(subnet: &CompiledSubnet) -> v1::CompiledSubnet {
    let CompiledSubnet { cidr, gateway, dns, dhcp, ra, routes } = subnet;
    let route = |CompiledRoute { to, via }: &CompiledRoute| v1::CompiledRoute {
        to: Some(prefix_to_wire(to)),
        via: bytes(*via),
    };
    v1::CompiledSubnet {
        cidr: Some(prefix_to_wire(cidr)),
        gateway: bytes(*gateway),
        dns: dns.iter().copied().map(bytes).collect(),
        dhcp: *dhcp,
        ra: *ra,
        routes: routes.iter().map(route).collect(),
    }
}

/// An address of a prefix's family.
fn of_family(field: &str, address: IpAddr, prefix: &IpNet) -> Result<IpAddr, InvalidMessage> {
    if address.is_ipv4() == prefix.addr().is_ipv4() {
        Ok(address)
    } else {
        Err(InvalidMessage::new(field, format!("{address} is of the other family than {prefix}")))
    }
}

fn uplink_from_wire(message: v1::CompiledUplink) -> Result<CompiledUplink, InvalidMessage> {
    let v1::CompiledUplink { host, device, addresses, next_hops } = message;
    Ok(CompiledUplink {
        host,
        device,
        addresses: each("addresses", addresses, |message| address_in_prefix("", Some(message)))?,
        next_hops: each("next_hops", next_hops, |bytes| address("", &bytes))?,
    })
}

fn uplink_to_wire(uplink: &CompiledUplink) -> v1::CompiledUplink {
    let CompiledUplink { host, device, addresses, next_hops } = uplink;
    v1::CompiledUplink {
        host: host.clone(),
        device: device.clone(),
        addresses: addresses.iter().map(prefix_to_wire).collect(),
        next_hops: next_hops.iter().copied().map(bytes).collect(),
    }
}

fn vni(field: &str, number: u32) -> Result<u32, InvalidMessage> {
    if (1..=VNI_MAX).contains(&number) {
        Ok(number)
    } else {
        Err(InvalidMessage::new(field, format!("{number} is no VNI: it is not 1 to {VNI_MAX}")))
    }
}

/// The class of an address.
pub(super) fn class(class_id: u32) -> Result<u32, InvalidMessage> {
    match class_id {
        0 => Err(InvalidMessage::new("class_id", "is 0, which stands for no class")),
        CLASS_HOST => Err(InvalidMessage::new("class_id", "is 1, which stands for the host's stack")),
        class_id => Ok(class_id),
    }
}

/// 4 or 16 bytes in network order. An IPv4 address in IPv6 form is refused: it would be two keys.
fn address(field: &str, bytes: &[u8]) -> Result<IpAddr, InvalidMessage> {
    let address = if let Ok(v4) = <[u8; 4]>::try_from(bytes) {
        IpAddr::from(v4)
    } else if let Ok(v6) = <[u8; 16]>::try_from(bytes) {
        IpAddr::from(v6)
    } else {
        let message = format!("has {} bytes instead of 4 or 16", bytes.len());
        return Err(InvalidMessage::new(field, message));
    };
    if address.to_canonical() != address {
        return Err(InvalidMessage::new(field, format!("{address} is an IPv4 address in IPv6 form")));
    }
    Ok(address)
}

fn bytes(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

/// A prefix without bits beyond its length.
pub(super) fn prefix(field: &str, message: Option<v1::Prefix>) -> Result<IpNet, InvalidMessage> {
    let prefix = address_in_prefix(field, message)?;
    if prefix.trunc() != prefix {
        return Err(InvalidMessage::new(field, format!("{prefix} has bits set beyond its length")));
    }
    Ok(prefix)
}

fn address_in_prefix(field: &str, message: Option<v1::Prefix>) -> Result<IpNet, InvalidMessage> {
    let message = message.ok_or_else(|| InvalidMessage::new(field, "is missing"))?;
    let v1::Prefix { address: bytes, length } = message;
    let address = address("address", &bytes).map_err(|error| error.within(field))?;
    let too_long = || InvalidMessage::new("length", format!("{length} is too long")).within(field);
    let length = u8::try_from(length).map_err(|_| too_long())?;
    IpNet::new(address, length).map_err(|_| too_long())
}

pub(super) fn prefix_to_wire(prefix: &IpNet) -> v1::Prefix {
    v1::Prefix { address: bytes(prefix.addr()), length: prefix.prefix_len().into() }
}
