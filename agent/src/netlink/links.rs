//! Devices and their addresses, as the kernel lists them.

use std::{collections::BTreeMap, net::IpAddr};

use futures::TryStreamExt;
use ipnet::IpNet;
use netlink_packet_route::{
    address::{AddressAttribute, AddressMessage, AddressProtocol},
    link::{InfoData, InfoKind, InfoVxlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage},
};

use super::{Netlink, NetlinkError, failed};

/// Marks addresses that we added (IFA_PROTO), so that nobody else's is ever removed.
pub(super) const OUR_PROTOCOL: AddressProtocol = AddressProtocol::Other(0x52);

/// A network device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its index.
    pub ifindex: u32,
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: LinkKind,
    /// Set up by an administrator or by us.
    pub up: bool,
    /// Bytes of L3.
    pub mtu: u32,
    /// Its MAC address; zeros: it has none.
    pub mac: [u8; 6],
    /// Its addresses.
    pub addresses: Vec<Address>,
    /// The device it rides on, by ifindex: a VLAN's, a macvlan's. A veth's other end is none.
    pub lower: Option<u32>,
    /// The bond or bridge that it is a part of, by ifindex.
    pub master: Option<u32>,
}

/// What a device is, as far as the agent treats them differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkKind {
    /// One end of a pair; the usual device of a container.
    Veth,
    /// TUN or TAP; the usual device of a virtual machine.
    Tun,
    /// VXLAN.
    Vxlan(Vxlan),
    /// Anything else.
    Other,
}

/// A VXLAN device, as far as ours must be so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vxlan {
    /// Tunnel keys come with the packets.
    pub external: bool,
    /// It learns where MAC addresses are.
    pub learning: bool,
    /// UDP port.
    pub port: u16,
}

/// An address of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// With its on-link prefix.
    pub net: IpNet,
    /// We put it there.
    pub ours: bool,
}

impl Netlink {
    /// Every device with its addresses, by name.
    pub async fn links(&self) -> Result<BTreeMap<String, Link>, NetlinkError> {
        let messages: Vec<LinkMessage> =
            self.handle.link().get().execute().try_collect().await.map_err(failed("*", "be listed"))?;
        let mut links: BTreeMap<u32, Link> = messages.into_iter().map(link).map(|link| (link.ifindex, link)).collect();
        let addresses: Vec<AddressMessage> =
            self.handle.address().get().execute().try_collect().await.map_err(failed("*", "list addresses"))?;
        for message in addresses {
            let address = address(&message);
            if let (Some(link), Some(address)) = (links.get_mut(&message.header.index), address) {
                link.addresses.push(address);
            }
        }
        Ok(links.into_values().map(|link| (link.name.clone(), link)).collect())
    }
}

fn link(message: LinkMessage) -> Link {
    let mut link = Link {
        ifindex: message.header.index,
        name: String::new(),
        kind: LinkKind::Other,
        up: message.header.flags.contains(LinkFlags::Up),
        mtu: 0,
        mac: [0; 6],
        addresses: Vec::new(),
        lower: None,
        master: None,
    };
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name = name,
            LinkAttribute::Mtu(mtu) => link.mtu = mtu,
            LinkAttribute::Address(mac) => link.mac = mac.try_into().unwrap_or_default(),
            LinkAttribute::LinkInfo(infos) => link.kind = kind(&infos),
            LinkAttribute::Link(lower) => link.lower = Some(lower),
            LinkAttribute::Controller(master) => link.master = Some(master),
            _ => {}
        }
    }
    if link.kind == LinkKind::Veth {
        link.lower = None;
    }
    link
}

fn kind(infos: &[LinkInfo]) -> LinkKind {
    let mut vxlan = Vxlan::default();
    for info in infos {
        if let LinkInfo::Data(InfoData::Vxlan(data)) = info {
            vxlan = vxlan_of(data);
        }
    }
    infos
        .iter()
        .find_map(|info| match info {
            LinkInfo::Kind(InfoKind::Veth) => Some(LinkKind::Veth),
            LinkInfo::Kind(InfoKind::Tun) => Some(LinkKind::Tun),
            LinkInfo::Kind(InfoKind::Vxlan) => Some(LinkKind::Vxlan(vxlan)),
            _ => None,
        })
        .unwrap_or(LinkKind::Other)
}

fn vxlan_of(data: &[InfoVxlan]) -> Vxlan {
    let mut vxlan = Vxlan::default();
    for info in data {
        match info {
            InfoVxlan::CollectMetadata(external) => vxlan.external = *external,
            InfoVxlan::Learning(learning) => vxlan.learning = *learning,
            InfoVxlan::Port(port) => vxlan.port = *port,
            _ => {}
        }
    }
    vxlan
}

fn address(message: &AddressMessage) -> Option<Address> {
    let mut ours = false;
    let (mut local, mut remote): (Option<IpAddr>, Option<IpAddr>) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Local(ip) => local = Some(*ip),
            // The peer's on point-to-point devices; IPv6 has only this one.
            AddressAttribute::Address(ip) => remote = Some(*ip),
            AddressAttribute::Protocol(protocol) => ours = *protocol == OUR_PROTOCOL,
            _ => {}
        }
    }
    let net = IpNet::new(local.or(remote)?, message.header.prefix_len).ok()?;
    Some(Address { net, ours })
}
