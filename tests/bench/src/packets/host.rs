//! The programs as an agent loads them, over the maps that an agent would fill for a domain.

use std::{collections::BTreeMap, path::Path};

use anyhow::Context;
use ringfence_agent::{
    bpf::{Conn4Key, Conn6Key, Datapath, Options, Timeouts},
    engine::put_in_force,
    lower::{LinkRef, image::Image},
};

use super::cloud::{self, Scale, Who};

/// As agents have it by default.
pub(super) const GATEWAY_MAC: [u8; 6] = [0x02, 0x52, 0x46, 0, 0, 1];

/// The devices that frames come in by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Devices {
    /// The client's.
    pub(super) client: u32,
    /// Of who is in its network.
    pub(super) local: u32,
    /// Of who is in another.
    pub(super) routed: u32,
    /// The VXLAN device.
    pub(super) overlay: u32,
}

/// A host with one domain.
pub(super) struct Host {
    pub(super) datapath: Datapath,
    /// Of the network that the client is in.
    pub(super) vni: u32,
}

impl Host {
    pub(super) fn open(pins: &Path, scale: Scale, devices: Devices) -> anyhow::Result<Self> {
        let datapath = Datapath::open(&Options {
            pin_dir: pins.join(format!("{}-{}", scale.rules, scale.workloads)),
            overlay_ifindex: devices.overlay,
            gateway_mac: GATEWAY_MAC,
            guard: false,
            timeouts: Timeouts::default(),
            vxlan_port: 4789,
            controller_port: 0,
            record: false,
            #[cfg(debug_assertions)]
            verdict_off: false,
        })?;
        let bundle = cloud::bundle(scale)?;
        let link = |ifindex| LinkRef { ifindex, mtu: 1450 };
        let links = BTreeMap::from([
            (Who::Client.device(), link(devices.client)),
            (Who::Local.device(), link(devices.local)),
            (Who::Routed.device(), link(devices.routed)),
        ]);
        let site = cloud::site(links, devices.overlay);
        put_in_force(datapath.maps(), &mut Image::default(), [&bundle], &site, 0)?;
        let front = bundle.topology.networks.iter().find(|network| network.name == "front");
        Ok(Self { datapath, vni: front.context("the domain has no network")?.vni })
    }

    /// Deletes every connection.
    pub(super) fn forget(&self) -> anyhow::Result<()> {
        let maps = self.datapath.maps();
        for key in keys::<Conn4Key>(maps.conns4.entries()?) {
            maps.conns4.delete(&key)?;
        }
        for key in keys::<Conn6Key>(maps.conns6.entries()?) {
            maps.conns6.delete(&key)?;
        }
        Ok(())
    }
}

fn keys<K>(entries: Vec<(K, ringfence_agent::bpf::Conn)>) -> impl Iterator<Item = K> {
    entries.into_iter().map(|(key, _)| key)
}
