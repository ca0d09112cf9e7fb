//! Devices that go from one bearer to another: until no program can send the former's packets there, nobody bears them.

use std::collections::BTreeSet;

use super::gone;
use crate::{
    bpf::{Device, DeviceKind, Iface, consts::RF_IFACE_BARE_METAL},
    lower::image::Image,
    reconcile::action::Action,
};

/// Whose packets a device gets: the kind, and the id of the interface or of the uplink's domain.
type Bearer = (DeviceKind, u32);

/// Devices of the target that something observed takes for somebody else's.
pub(super) fn handed_over(observed: &Image, target: &Image) -> BTreeSet<u32> {
    let known = observed.devices.iter().map(|(ifindex, device)| (*ifindex, bearer(observed, device)));
    // An entry may outlive its device's, and send packets there as long as an address leads to it.
    let ifaces = observed.ifaces.values();
    let sent = ifaces.map(|iface| (iface.ifindex, (kind(iface), iface.id)));
    let domains = observed.domains.values();
    let sent_out = domains.map(|domain| (domain.uplink_ifindex, (DeviceKind::RF_DEVICE_UPLINK, domain.id)));
    known
        .chain(sent)
        .chain(sent_out)
        .filter(|(ifindex, before)| target.devices.get(ifindex).is_some_and(|device| bearer(target, device) != *before))
        .map(|(ifindex, _)| ifindex)
        .collect()
}

/// Entries that the target has not are emptied: whoever bears their device next gets nothing of theirs, and a connection
/// that still bears the index finds no interface there.
pub(super) fn forgotten<'a>(observed: &'a Image, target: &'a Image) -> impl Iterator<Item = Action> + use<'a> {
    gone(&observed.ifaces, &target.ifaces).map(|index| Action::PutIface(index, Iface::default()))
}

fn kind(iface: &Iface) -> DeviceKind {
    if iface.flags & RF_IFACE_BARE_METAL == 0 { DeviceKind::RF_DEVICE_WORKLOAD } else { DeviceKind::RF_DEVICE_NIC }
}

fn bearer(image: &Image, device: &Device) -> Bearer {
    let id = match device.kind {
        DeviceKind::RF_DEVICE_WORKLOAD | DeviceKind::RF_DEVICE_NIC => {
            image.ifaces.get(&device.r#ref).map_or(0, |iface| iface.id)
        }
        DeviceKind::RF_DEVICE_UPLINK => image.domains.get(&device.r#ref).map_or(0, |domain| domain.id),
        _ => 0,
    };
    (device.kind, id)
}
