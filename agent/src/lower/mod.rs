//! Bundles → maps. Pure: what a host should enforce follows from the bundles, the host and its devices, and the indexes
//! it is written under follow from that and from what the maps hold already; from nothing else. The moment is an input like
//! any other: rules that begin and end make the same bundles mean something else.
//!
//! ```text
//! Bundle ──domain──▶ Desired ──assign (indexes)──▶ Image ──reconcile::plan──▶ Vec<Action>
//! ```

use std::{collections::BTreeMap, net::IpAddr};

use ipnet::IpNet;
use ringfence_policy::bundle::Bundle;

pub mod admit;
pub mod adopt;
mod assign;
mod budgets;
mod builtins;
pub mod desired;
mod domain;
mod groups;
pub mod image;
mod indexes;
pub mod judge;
pub mod keep;
mod pairs;
mod policy;
mod served;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
mod time;

pub(crate) use assign::lasting;
pub use assign::{Full, assign};
pub use budgets::DEFAULT_CONN_BUDGET;
use desired::{Desired, Role};
pub use time::next_boundary;

use crate::bpf::consts::RF_IFACE_BARE_METAL;

/// This host, as far as lowering depends on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Site {
    /// Its name.
    pub host: String,
    /// Its underlay addresses.
    pub underlay: Vec<IpAddr>,
    /// Bytes of L3 that fit through the overlay.
    pub overlay_mtu: u32,
    /// The VXLAN device; 0: not there.
    pub overlay_ifindex: u32,
    /// Its devices by name.
    pub links: BTreeMap<String, LinkRef>,
    /// Devices that are the host's own, by ifindex.
    pub own: Vec<u32>,
    /// Where the controller is, as far as that is known.
    pub controller: Option<IpAddr>,
    /// Who may open SSH to this machine whatever policy says.
    pub ssh: Vec<IpNet>,
    /// The most connections that one interface may open on this host; `None`: as its tables allow.
    pub conn_budget: Option<u32>,
}

/// What lowering needs of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkRef {
    /// Its index.
    pub ifindex: u32,
    /// Bytes of L3.
    pub mtu: u32,
}

impl Site {
    fn ifindex(&self, device: &str) -> u32 {
        self.links.get(device).map_or(0, |link| link.ifindex)
    }
}

/// What this host should enforce at a moment, in seconds since 1970-01-01T00:00:00Z.
pub fn lower<'a>(bundles: impl IntoIterator<Item = &'a Bundle>, site: &Site, at: u64) -> Desired {
    let bundles: Vec<&Bundle> = bundles.into_iter().collect();
    let builtins = builtins::lower(bundles.iter().copied(), site);
    let (mut domains, mut served) = (BTreeMap::new(), BTreeMap::new());
    for bundle in bundles {
        let domain = domain::lower(bundle, site, at);
        served.extend(served::lower(bundle, &domain));
        domains.insert(bundle.domain_id, domain);
    }
    let mut devices: BTreeMap<u32, Role> = site.own.iter().map(|ifindex| (*ifindex, Role::Host)).collect();
    for (domain_id, domain) in &domains {
        for (interface_id, interface) in &domain.interfaces {
            let is_nic = interface.flags & RF_IFACE_BARE_METAL != 0;
            let role = if is_nic { Role::Nic } else { Role::Workload };
            devices.insert(interface.ifindex, role(*interface_id));
        }
        if let Some(uplink) = &domain.uplink {
            devices.insert(uplink.ifindex, Role::Uplink(*domain_id));
        }
    }
    devices.insert(site.overlay_ifindex, Role::Overlay);
    // 0 stands for a device that is absent.
    devices.remove(&0);
    Desired { here: domain::host(&site.underlay, 0), devices, builtins, domains, served, conn_budget: site.conn_budget }
}
