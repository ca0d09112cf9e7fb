//! What only one object of all domains may hold: a VNI, and a device on a host.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Domain, Interface,
    finding::{Finding, Holder},
};
use crate::object::{Kind, ObjectKey};

/// Who holds what. A clone shares everything; a change copies the hosts it touches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Exclusive {
    vnis: Arc<BTreeMap<u32, Holder>>,
    /// By host.
    devices: BTreeMap<Arc<str>, Arc<Devices>>,
}

/// Who holds each device of a host.
type Devices = BTreeMap<Arc<str>, Arc<Holder>>;

/// Something an object of a domain holds alone.
pub(super) struct Claim {
    what: What,
    pub(super) holder: Holder,
}

enum What {
    Vni(u32),
    Device { host: String, device: String },
}

impl Exclusive {
    /// Gives back what a claim holds.
    pub(super) fn release(&mut self, claim: &Claim) {
        match &claim.what {
            What::Vni(vni) => {
                Arc::make_mut(&mut self.vnis).remove(vni);
            }
            What::Device { host, device } => {
                if let Some(devices) = self.devices.get_mut(host.as_str()) {
                    Arc::make_mut(devices).remove(device.as_str());
                }
                if self.devices.get(host.as_str()).is_some_and(|d| d.is_empty()) {
                    self.devices.remove(host.as_str());
                }
            }
        }
    }

    /// Takes what is claimed, or says who holds it.
    pub(super) fn take(&mut self, claim: Claim) -> Option<Finding> {
        let Claim { what, holder } = claim;
        let (other, what) = match what {
            What::Vni(vni) => {
                let vnis = Arc::make_mut(&mut self.vnis);
                let Some(other) = vnis.get(&vni) else {
                    vnis.insert(vni, holder);
                    return None;
                };
                (other.clone(), format!("VNI {vni}"))
            }
            What::Device { host, device } => {
                let devices = Arc::make_mut(self.devices.entry(host.as_str().into()).or_default());
                let Some(other) = devices.get(device.as_str()) else {
                    devices.insert(device.into(), Arc::new(holder));
                    return None;
                };
                ((**other).clone(), format!("device {device:?} of host {host}"))
            }
        };
        let message = format!("{what} belongs to {other}: choose another");
        Some(Finding::new(&holder.key, holder.field, message))
    }
}

/// Everything that a domain's objects hold alone.
pub(super) fn claims(domain: &Domain) -> Vec<Claim> {
    let mut claims = Vec::new();
    if let Some(uplink) = &domain.uplink {
        let what = What::Device { host: uplink.host.clone(), device: uplink.device.clone() };
        let key = ObjectKey { kind: Kind::Domain, domain: String::new(), name: domain.name.clone() };
        claims.push(Claim { what, holder: Holder { key, field: "uplink.device".into() } });
    }
    for (name, network) in &domain.networks {
        if let Some(vni) = network.vni {
            let key = ObjectKey { kind: Kind::Network, domain: domain.name.clone(), name: name.to_string() };
            claims.push(Claim { what: What::Vni(vni), holder: Holder { key, field: "vni".into() } });
        }
    }
    claims.extend(domain.workloads.keys().flat_map(|name| workload_claims(domain, name)));
    claims
}

/// Everything that a workload of a domain holds alone; nothing if there is none of that name.
pub(super) fn workload_claims(domain: &Domain, name: &str) -> Vec<Claim> {
    let interfaces = domain.workloads.get(name).into_iter().flat_map(|workload| &workload.interfaces);
    let claim = |(index, interface): (usize, &Interface)| {
        let what = What::Device { host: interface.host.clone(), device: interface.device.clone() };
        let key = ObjectKey { kind: Kind::Workload, domain: domain.name.clone(), name: name.into() };
        Claim { what, holder: Holder { key, field: format!("interfaces[{index}].device") } }
    };
    interfaces.enumerate().map(claim).collect()
}
