//! What the programs answer for the services of networks, and what is announced beside that.

use std::collections::BTreeMap;

use super::{Machine, PassError};
use crate::{
    bpf::{BpfError, Maps, Reply, ServiceKey},
    lower::desired::{Desired, Role},
    services::{Announcements, announced, replies},
};

impl Machine {
    /// Brings the programs' answers to what is desired. Each is whole by itself, so no order matters.
    pub(super) fn bring_replies(&mut self, desired: &Desired) -> Result<(), PassError> {
        let gateway_mac = self.config.gateway_mac;
        let wanted: BTreeMap<ServiceKey, Reply> =
            desired.served.iter().flat_map(|(id, served)| replies(*id, served, gateway_mac)).collect();
        let maps = self.datapath()?.maps();
        let mut held = match &self.replies {
            Some(held) => held.clone(),
            None => maps.services.entries()?.into_iter().collect(),
        };
        for (key, reply) in wanted.iter().filter(|(key, reply)| held.get(key) != Some(reply)) {
            maps.services.put(key, reply)?;
        }
        held.retain(|key, _| !wanted.contains_key(key));
        held.keys().try_for_each(|key| maps.services.delete(key))?;
        self.replies = Some(wanted);
        Ok(())
    }

    /// What the workloads on these devices hear unasked.
    pub fn announcements(&self, desired: &Desired) -> Announcements {
        let Ok(datapath) = self.datapath() else { return Announcements::default() };
        let mut devices = BTreeMap::new();
        for (ifindex, role) in &desired.devices {
            let Role::Workload(id) = role else { continue };
            let announced = desired.served.get(id).and_then(|served| announced(served, self.config.gateway_mac));
            devices.extend(announced.map(|announced| (*ifindex, announced)));
        }
        Announcements { mark: datapath.mark(), devices }
    }
}

/// Reads the programs' answers anew, if they were known; the map's name if they are others.
pub(super) fn differing_replies(
    maps: &Maps,
    known: &mut Option<BTreeMap<ServiceKey, Reply>>,
) -> Result<Vec<&'static str>, BpfError> {
    let Some(known) = known else { return Ok(Vec::new()) };
    let observed: BTreeMap<ServiceKey, Reply> = maps.services.entries()?.into_iter().collect();
    let differs = *known != observed;
    *known = observed;
    Ok(if differs { vec![maps.services.name()] } else { Vec::new() })
}
