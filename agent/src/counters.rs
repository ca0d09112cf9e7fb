//! Counters of the programs → what the controller shows.

use std::collections::{BTreeMap, BTreeSet};

use ringfence_proto::v1;

use crate::{
    bpf::{AuditKey, BpfError, Device, DeviceKind, Maps, Reason},
    lower::image::Image,
    netlink::Link,
};

mod accounts;

/// Everything that is counted, under no request's number.
pub(crate) fn report(
    maps: &Maps,
    image: &Image,
    links: &BTreeMap<String, Link>,
) -> Result<v1::CountersReport, BpfError> {
    Ok(v1::CountersReport {
        request_id: 0,
        devices: read(maps, image, links)?,
        audit: read_audit(maps, image)?,
        accounts: accounts::read(maps, image)?,
    })
}

/// What passed and what was dropped, for every device that is known or dropped something; of the host's
/// own only those that counted.
fn read(maps: &Maps, image: &Image, links: &BTreeMap<String, Link>) -> Result<Vec<v1::DeviceCounters>, BpfError> {
    let names: BTreeMap<u32, &str> = links.values().map(|link| (link.ifindex, link.name.as_str())).collect();
    let mut devices: BTreeMap<u32, v1::DeviceCounters> = BTreeMap::new();
    let named = |ifindex: u32| v1::DeviceCounters {
        device: names.get(&ifindex).map_or_else(|| format!("device {ifindex}, gone"), |name| (*name).to_owned()),
        ..v1::DeviceCounters::default()
    };
    for (ifindex, device) in &image.devices {
        let passed = maps.passed.get(&device.counter)?.unwrap_or_default();
        let interface_id = match device.kind {
            DeviceKind::RF_DEVICE_WORKLOAD | DeviceKind::RF_DEVICE_NIC => {
                image.ifaces.get(&device.r#ref).map_or(0, |iface| iface.id)
            }
            _ => 0,
        };
        let counters = v1::DeviceCounters {
            interface_id,
            passed_from: passed.from,
            passed_to: passed.to,
            passed_built_in: passed.builtin,
            ..named(*ifindex)
        };
        devices.insert(*ifindex, counters);
    }
    for (key, packets) in maps.drops.entries()? {
        let reason = Reason::from_number(key.reason)
            .map_or_else(|| format!("reason_{}", key.reason), |reason| reason.name().to_owned());
        let device = devices.entry(key.ifindex).or_insert_with(|| named(key.ifindex));
        device.drops.push(v1::DropCounter { reason, packets });
    }
    for device in devices.values_mut() {
        device.drops.sort_by(|one, other| one.reason.cmp(&other.reason));
    }
    devices.retain(|ifindex, counters| is_told(image.devices.get(ifindex), counters));
    Ok(devices.into_values().collect())
}

/// What policies in audit would turn, of the domains that are here, by domain and rule.
fn read_audit(maps: &Maps, image: &Image) -> Result<Vec<v1::AuditCounter>, BpfError> {
    let here: BTreeSet<u32> = image.domains.values().map(|domain| domain.id).collect();
    let mut entries = maps.audit.entries()?;
    entries.retain(|(key, _)| here.contains(&key.domain_id));
    entries.sort_by_key(|(key, _)| (key.domain_id, key.rule, key.allows));
    let counter = |(key, judgements): (AuditKey, u64)| v1::AuditCounter {
        domain_id: key.domain_id,
        rule_id: key.rule,
        allows: key.allows != 0,
        judgements,
    };
    Ok(entries.into_iter().map(counter).collect())
}

/// No program of ours runs on the host's own devices, so most of them never count.
fn is_told(device: Option<&Device>, counters: &v1::DeviceCounters) -> bool {
    let counted = counters.passed_from != 0 || counters.passed_to != 0 || !counters.drops.is_empty();
    counted || device.is_none_or(|device| device.kind != DeviceKind::RF_DEVICE_HOST)
}

/// Frees the counters of devices that are gone and never were known; those of known ones go with their entry. What was
/// counted of policies in audit goes with its domain.
pub(crate) fn forget_gone(maps: &Maps, image: &Image, links: &BTreeMap<String, Link>) -> Result<(), BpfError> {
    let there: BTreeSet<u32> = links.values().map(|link| link.ifindex).chain(image.devices.keys().copied()).collect();
    let drops = maps.drops.entries()?;
    drops.iter().filter(|(key, _)| !there.contains(&key.ifindex)).try_for_each(|(key, _)| maps.drops.reset(key))?;
    let here: BTreeSet<u32> = image.domains.values().map(|domain| domain.id).collect();
    let audit = maps.audit.entries()?;
    audit.iter().filter(|(key, _)| !here.contains(&key.domain_id)).try_for_each(|(key, _)| maps.audit.reset(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bpf::Pod;

    #[test]
    fn the_hosts_own_devices_are_told_only_if_they_counted() {
        let device = |kind| Device { kind, counter: 1, ..Device::zeroed() };
        let (host, workload) = (device(DeviceKind::RF_DEVICE_HOST), device(DeviceKind::RF_DEVICE_WORKLOAD));
        let none = v1::DeviceCounters::default();
        assert!(!is_told(Some(&host), &none));
        assert!(is_told(Some(&workload), &none));
        assert!(is_told(None, &none));
        assert!(is_told(Some(&host), &v1::DeviceCounters { passed_to: 1, ..none }));
    }
}
