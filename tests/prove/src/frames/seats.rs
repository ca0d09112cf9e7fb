//! Whose an address is, and by what way its packets come: read from the bundle's interfaces, not from the maps.

use std::net::IpAddr;

use ipnet::IpNet;
use ringfence_agent::engine::{
    GATEWAY_MAC,
    raw::{FAR, Way},
};
use ringfence_policy::{bundle::CompiledInterface, evaluate::End};

use crate::ground::Ground;

/// The host that frames are sent into: one of two, or one that runs everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Here {
    /// Every workload.
    All,
    /// Those of this host.
    One(&'static str),
}

/// Who sits where.
#[derive(Clone, Copy, Debug)]
pub struct Seats<'a> {
    /// The world.
    pub ground: &'a Ground,
    /// The host.
    pub here: Here,
}

/// Who has an address.
#[derive(Clone, Copy, Debug)]
pub enum Owner<'a> {
    /// A gateway.
    Gateway,
    /// An interface, and the MAC address it uses there.
    Interface(&'a CompiledInterface, [u8; 6]),
    /// Nobody, in a subnet.
    OnLink,
    /// Nobody of the domain.
    Outside,
    /// Nobody: it is no unicast address.
    NotUnicast,
}

impl<'a> Seats<'a> {
    /// Every interface.
    pub fn interfaces(&self) -> impl Iterator<Item = &'a CompiledInterface> {
        self.ground.bundle.interfaces.iter().map(|interface| &**interface)
    }

    /// Of an id.
    pub fn interface(&self, id: u32) -> Option<&'a CompiledInterface> {
        self.interfaces().find(|interface| interface.id == id)
    }

    /// Whether the host runs it.
    pub fn is_here(&self, interface: &CompiledInterface) -> bool {
        match self.here {
            Here::All => true,
            Here::One(host) => interface.host == host,
        }
    }

    /// Whether a frame can come by a way.
    pub fn has(&self, way: Way) -> bool {
        match way {
            Way::Workload(id) | Way::Host(id) => self.interface(id).is_some_and(|it| self.is_here(it)),
            _ => true,
        }
    }

    /// Who has an address.
    pub fn owner(&self, address: IpAddr) -> Owner<'a> {
        if self.ground.is_gateway(address) {
            return Owner::Gateway;
        }
        if let Some(own) = self.interfaces().find(|it| it.addresses.iter().any(|(own, _)| *own == address)) {
            return Owner::Interface(own, own.mac);
        }
        let group = match address {
            IpAddr::V4(v4) => v4.octets()[0] >= 224,
            IpAddr::V6(v6) => v6.is_multicast() || v6.is_unspecified(),
        };
        if group {
            return Owner::NotUnicast;
        }
        let pairs = self.interfaces().flat_map(|it| it.pairs.iter().map(move |pair| (pair.prefix, pair.mac, it)));
        let length = |(prefix, ..): &(IpNet, [u8; 6], &CompiledInterface)| prefix.prefix_len();
        match pairs.filter(|(prefix, ..)| prefix.contains(&address)).max_by_key(length) {
            Some((_, mac, interface)) => Owner::Interface(interface, mac),
            None if self.ground.subnet(address).is_some() => Owner::OnLink,
            None => Owner::Outside,
        }
    }

    /// By what way a packet of a source comes, and with which MAC addresses of its sender; `None`: this host never sees
    /// it.
    pub fn way(&self, source: End, destination: End) -> Option<(Way, [u8; 6])> {
        let other = match destination {
            End::Address(address) => Some(self.owner(address)),
            End::Host => None,
        };
        let device = [0; 6];
        match (source, other) {
            (End::Address(address), _) => match (self.owner(address), other) {
                (Owner::Interface(interface, mac), _) if self.is_here(interface) => {
                    Some((Way::Workload(interface.id), mac))
                }
                (Owner::Interface(..), Some(Owner::Interface(to, _))) if self.is_here(to) => {
                    Some((Way::Overlay { vni: to.vni, remote: FAR }, GATEWAY_MAC))
                }
                (Owner::Interface(..), Some(Owner::Outside)) => {
                    let vni = self.ground.bundle.topology.transit_vni;
                    Some((Way::Overlay { vni, remote: FAR }, GATEWAY_MAC))
                }
                (Owner::Interface(..), _) => None,
                _ => Some((Way::Uplink, [2, 0xee, 0, 0, 0, 1])),
            },
            (End::Host, Some(Owner::Interface(to, _))) if self.is_here(to) => Some((Way::Host(to.id), device)),
            (End::Host, _) => None,
        }
    }
}
