//! What a lab for some objects is made of. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use anyhow::{Context, Result, bail};
use ipnet::IpNet;
use ringfence_policy::{
    model::derived_device,
    object::{InterfaceSpec, NetworkSpec, Object, Spec, UplinkSpec},
};

/// What VXLAN over IPv4 and over IPv6 takes of the underlay's bytes.
const OVERHEAD: [u32; 2] = [50, 70];

/// Bytes of an IP packet that the underlay carries.
pub fn underlay_mtu(jumbo: bool) -> u32 {
    if jumbo { 9000 } else { 1500 }
}

/// An address somewhere on the internet; every tenant's outside has it.
pub const INTERNET: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x113, 0, 0, 0, 0, 9))];

/// The administrators' office in the example; every tenant's outside has it too.
pub const OFFICE: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x5100, 0, 0, 0, 0, 7))];

/// Where the first domain's router is on the underlay; the others come before it.
const FIRST_ROUTER: u8 = 254;

/// The outer addresses of the overlay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Underlay {
    /// 10.99.0.0/24.
    #[default]
    Ipv4,
    /// fd99::/64.
    Ipv6,
}

/// Everything to build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// By name.
    pub hosts: Vec<MachinePlan>,
    /// Interfaces of workloads.
    pub attachments: Vec<Attachment>,
    /// Ways out.
    pub uplinks: Vec<Uplink>,
    /// Hosts that are workloads themselves.
    pub machines: Vec<Machine>,
    /// Worlds outside of a domain that are on the underlay, too: the routers of its machines.
    pub routers: Vec<Router>,
}

/// A machine on the underlay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachinePlan {
    /// Its name.
    pub name: String,
    /// Its underlay addresses: IPv4, IPv6.
    pub addresses: [IpNet; 2],
    /// Of its device on the underlay.
    pub mac: String,
}

/// A bare-metal workload, whose NIC is its host's device on the underlay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// `tenant/domain`.
    pub domain: String,
    /// The workload.
    pub workload: String,
    /// The host that it is.
    pub host: String,
    /// Its addresses, which the underlay gave it.
    pub addresses: Vec<IpAddr>,
    /// The routers on its network.
    pub gateways: Vec<IpAddr>,
}

/// Between the underlay and the outside of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Router {
    /// `tenant/domain`.
    pub domain: String,
    /// As it is on the underlay.
    pub plan: MachinePlan,
}

/// A link between a workload's namespace and its host's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// `tenant/domain`.
    pub domain: String,
    /// The workload.
    pub workload: String,
    /// The device inside the workload.
    pub interface: String,
    /// The host.
    pub host: String,
    /// The device on the host.
    pub device: String,
    /// Of the device inside the workload.
    pub mac: String,
    /// Bytes of an IP packet.
    pub mtu: u32,
    /// With the length of their subnets.
    pub addresses: Vec<IpNet>,
    /// Default routers, one for each family of the network.
    pub gateways: Vec<IpAddr>,
}

/// A link between a host and the world outside of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uplink {
    /// `tenant/domain`.
    pub domain: String,
    /// The host.
    pub host: String,
    /// The device on the host.
    pub device: String,
    /// The world's addresses on the link: the domain's next hops.
    pub next_hops: Vec<IpNet>,
    /// The domain's addresses on the link: the world's way to it.
    pub via: Vec<IpAddr>,
}

impl Layout {
    /// What these objects need.
    pub fn of(objects: &[Object], underlay: Underlay, underlay_mtu: u32) -> Result<Self> {
        let overlay_mtu = underlay_mtu - OVERHEAD[underlay as usize];
        let networks: BTreeMap<(&str, &str), &NetworkSpec> = objects
            .iter()
            .filter_map(|object| match &object.spec {
                Spec::Network(spec) => Some(((&*object.domain, &*object.name), spec)),
                _ => None,
            })
            .collect();
        let mut layout = Self::default();
        for object in objects {
            match &object.spec {
                Spec::Workload(spec) => {
                    for interface in &spec.interfaces {
                        let network = networks
                            .get(&(&*object.domain, &*interface.network))
                            .with_context(|| format!("{}: no such network", object.key()))?;
                        if spec.bare_metal {
                            layout.machines.push(bare_metal(object, interface, network)?);
                        } else {
                            layout.attachments.push(attachment(object, interface, network, overlay_mtu)?);
                        }
                    }
                }
                Spec::Domain(spec) => {
                    if let Some(spec) = &spec.uplink {
                        layout.uplinks.push(uplink(&object.name, spec)?);
                    }
                }
                _ => {}
            }
        }
        let hosts: BTreeSet<&String> = (layout.attachments.iter().map(|link| &link.host))
            .chain(layout.uplinks.iter().map(|uplink| &uplink.host))
            .chain(layout.machines.iter().map(|machine| &machine.host))
            .collect();
        let routed: BTreeSet<&String> = layout.machines.iter().map(|machine| &machine.domain).collect();
        let routed = routed.into_iter().filter(|domain| layout.uplinks.iter().any(|uplink| uplink.domain == **domain));
        let routers = (0..).zip(routed).map(|(n, domain)| Router {
            domain: domain.clone(),
            plan: machine(&format!("router-{n}"), FIRST_ROUTER - n),
        });
        layout.routers = routers.collect();
        layout.hosts = (11..=254).zip(hosts).map(|(n, name)| machine(name, n)).collect();
        Ok(layout)
    }
}

/// The machine whose underlay addresses end in `n`.
pub fn machine(name: &str, n: u8) -> MachinePlan {
    let v6 = Ipv6Addr::new(0xfd99, 0, 0, 0, 0, 0, 0, u16::from(n));
    MachinePlan {
        name: name.to_owned(),
        addresses: [net(IpAddr::V4(Ipv4Addr::new(10, 99, 0, n)), 24), net(IpAddr::V6(v6), 64)],
        mac: format!("02:00:00:99:00:{n:02x}"),
    }
}

fn net(address: IpAddr, length: u8) -> IpNet {
    // Only a length beyond the family's is an error, and then one address is what is left.
    IpNet::new(address, length).unwrap_or_else(|_| IpNet::from(address))
}

fn bare_metal(object: &Object, interface: &InterfaceSpec, network: &NetworkSpec) -> Result<Machine> {
    let parsed = |texts: &mut dyn Iterator<Item = &String>| texts.map(|text| Ok(text.parse()?)).collect::<Result<_>>();
    Ok(Machine {
        domain: object.domain.clone(),
        workload: object.name.clone(),
        host: interface.host.clone(),
        addresses: parsed(&mut interface.addresses.iter())?,
        gateways: parsed(&mut network.subnets.iter().map(|subnet| &subnet.gateway))?,
    })
}

fn attachment(
    object: &Object,
    interface: &InterfaceSpec,
    network: &NetworkSpec,
    overlay_mtu: u32,
) -> Result<Attachment> {
    let subnets = network
        .subnets
        .iter()
        .map(|subnet| Ok((subnet.cidr.parse()?, subnet.gateway.parse()?)))
        .collect::<Result<Vec<(IpNet, IpAddr)>>>()?;
    let addresses = interface
        .addresses
        .iter()
        .map(|text| {
            let address: IpAddr = text.parse()?;
            match subnets.iter().find(|(cidr, _)| cidr.contains(&address)) {
                Some((cidr, _)) => Ok(net(address, cidr.prefix_len())),
                None => bail!("{}: {address} is in no subnet of its network", object.key()),
            }
        })
        .collect::<Result<_>>()?;
    Ok(Attachment {
        domain: object.domain.clone(),
        workload: object.name.clone(),
        interface: interface.name.clone(),
        host: interface.host.clone(),
        device: interface
            .device
            .clone()
            .unwrap_or_else(|| derived_device(&object.domain, &object.name, &interface.name)),
        mac: interface.mac.clone(),
        mtu: network.mtu.unwrap_or(overlay_mtu),
        addresses,
        gateways: subnets.into_iter().map(|(_, gateway)| gateway).collect(),
    })
}

fn uplink(domain: &str, spec: &UplinkSpec) -> Result<Uplink> {
    let own = spec.addresses.iter().map(|text| Ok(text.parse()?)).collect::<Result<Vec<IpNet>>>()?;
    let next_hops = spec
        .next_hops
        .iter()
        .map(|text| {
            let address: IpAddr = text.parse()?;
            let on_link = own.iter().find(|net| net.contains(&address));
            let on_link = on_link.with_context(|| format!("Domain {domain}: {address} is not on the uplink"))?;
            Ok(net(address, on_link.prefix_len()))
        })
        .collect::<Result<_>>()?;
    Ok(Uplink {
        domain: domain.to_owned(),
        host: spec.host.clone(),
        device: spec.device.clone(),
        next_hops,
        via: own.iter().map(IpNet::addr).collect(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::files::{example, read_objects};

    fn shop() -> Vec<Object> {
        read_objects(&[&example("shop.yaml")]).unwrap()
    }

    #[test]
    fn the_example_needs_three_hosts_and_an_uplink_for_each_tenant() {
        let layout = Layout::of(&shop(), Underlay::Ipv4, 1500).unwrap();
        let hosts: Vec<&str> = layout.hosts.iter().map(|host| host.name.as_str()).collect();
        assert_eq!(hosts, ["h1", "h2", "h3"]);
        let uplinks: Vec<&str> = layout.uplinks.iter().map(|uplink| uplink.device.as_str()).collect();
        assert_eq!(uplinks, ["out-acme", "out-globex"]);
    }

    #[test]
    fn a_network_without_an_mtu_has_what_the_overlay_leaves() {
        for (underlay, front) in [(Underlay::Ipv4, 1450), (Underlay::Ipv6, 1430)] {
            let layout = Layout::of(&shop(), underlay, 1500).unwrap();
            let mtu_of = |workload: &str| layout.attachments.iter().find(|link| link.workload == workload).unwrap().mtu;
            assert_eq!((mtu_of("web-1"), mtu_of("app-1")), (front, 1400));
        }
    }

    #[test]
    fn an_interface_in_a_network_that_is_not_there_is_refused() {
        let mut objects = shop();
        objects.retain(|object| !matches!(object.spec, Spec::Network(_)));
        let error = Layout::of(&objects, Underlay::Ipv4, 1500).unwrap_err().to_string();
        assert_eq!(error, "Workload acme/prod/web-1: no such network");
    }
}
