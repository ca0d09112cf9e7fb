//! What only one object of all domains may hold: a VNI, and a device on a host.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Domain,
    finding::{Finding, Holder},
};
use crate::object::{Kind, ObjectKey};

/// Who holds what. A clone shares everything; a change copies the hosts it touches.
#[derive(Clone, Debug, Default)]
pub(super) struct Exclusive {
    vnis: Arc<BTreeMap<u32, Holder>>,
    devices: BTreeMap<String, Arc<BTreeMap<String, Holder>>>,
}

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
                if let Some(devices) = self.devices.get_mut(host) {
                    Arc::make_mut(devices).remove(device);
                }
                if self.devices.get(host).is_some_and(|d| d.is_empty()) {
                    self.devices.remove(host);
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
                let devices = Arc::make_mut(self.devices.entry(host.clone()).or_default());
                let Some(other) = devices.get(&device) else {
                    devices.insert(device, holder);
                    return None;
                };
                (other.clone(), format!("device {device:?} of host {host}"))
            }
        };
        let message = format!("{what} belongs to {other}: choose another");
        Some(Finding::new(&holder.key, holder.field, message))
    }
}

/// Everything that a domain's objects hold alone.
pub(super) fn claims(domain: &Domain) -> Vec<Claim> {
    let mut claims = Vec::new();
    let mut add = |kind, name: &str, field: String, what| {
        let domain = match kind {
            Kind::Domain => String::new(),
            _ => domain.name.clone(),
        };
        let name = name.into();
        let key = ObjectKey { kind, domain, name };
        let holder = Holder { key, field };
        claims.push(Claim { what, holder });
    };
    if let Some(uplink) = &domain.uplink {
        let device = What::Device { host: uplink.host.clone(), device: uplink.device.clone() };
        add(Kind::Domain, &domain.name, "uplink.device".into(), device);
    }
    for (name, network) in &domain.networks {
        if let Some(vni) = network.vni {
            add(Kind::Network, name, "vni".into(), What::Vni(vni));
        }
    }
    for (name, workload) in &domain.workloads {
        for (index, interface) in workload.interfaces.iter().enumerate() {
            let device = What::Device { host: interface.host.clone(), device: interface.device.clone() };
            let field = format!("interfaces[{index}].device");
            add(Kind::Workload, name, field, device);
        }
    }
    claims
}
