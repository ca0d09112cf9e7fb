//! The programs as an agent loads them, over the maps that an agent would fill for a domain.

use std::{collections::BTreeMap, path::Path};

use anyhow::Context;
use ringfence_agent::{
    bpf::{Datapath, Limits, Options, Reason, Timeouts, consts::RF_BUDGETS},
    engine::put_in_force,
    lower::{LinkRef, image::Image},
};

use super::cloud::{self, Scale, Who};

/// As agents have it by default.
pub(crate) const GATEWAY_MAC: [u8; 6] = [0x02, 0x52, 0x46, 0, 0, 1];

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
            vxlan_port: 4789,
            controller_port: 0,
            guard: false,
            timeouts: Timeouts::default(),
            record: false,
            tunnel_in_cb: false,
            verdict_off: false,
        })?;
        let bundle = cloud::bundle(scale)?;
        let link = |ifindex| LinkRef { ifindex, mtu: 1450 };
        let links = BTreeMap::from([
            (Who::Client.device(), link(devices.client)),
            (Who::Local.device(), link(devices.local)),
            (Who::Routed.device(), link(devices.routed)),
        ]);
        let site = cloud::site(0, links, devices.overlay);
        put_in_force(datapath.maps(), &mut Image::default(), [&bundle], &site, 0)?;
        // One interface opens more flows here than it may: each budget is for as many as the table has.
        datapath.maps().limits.put(
            &0,
            &Limits {
                of: [i64::MAX.unsigned_abs(); RF_BUDGETS as usize],
                share: [i64::MAX.unsigned_abs(); RF_BUDGETS as usize],
                common: 0,
            },
        )?;
        let front = bundle.topology.networks.iter().find(|network| network.name == "front");
        Ok(Self { datapath, vni: front.context("the domain has no network")?.vni })
    }

    /// What was dropped so far and why, for who did not expect it.
    pub(super) fn dropped(&self) -> String {
        let drops = self.datapath.maps().drops.entries().unwrap_or_default();
        let told = drops.into_iter().filter_map(|(key, count)| {
            Reason::from_number(key.reason).map(|reason| format!("{} {count}", reason.name()))
        });
        format!("dropped: {}", told.collect::<Vec<_>>().join(", "))
    }

    /// Deletes every connection; how many there were.
    pub(super) fn forget(&self) -> anyhow::Result<usize> {
        let maps = self.datapath.maps();
        let (v4, v6) = (maps.conns4.entries()?, maps.conns6.entries()?);
        v4.iter().try_for_each(|(key, _)| maps.conns4.delete(key))?;
        v6.iter().try_for_each(|(key, _)| maps.conns6.delete(key))?;
        Ok(v4.len() + v6.len())
    }
}
