//! Devices that were there before our programs: for a while a flow that is under way may get a connection there. Pure.

use std::collections::BTreeSet;

use super::image::Image;
use crate::bpf::{Device, DeviceKind};

/// How long. A flow that says nothing in that time begins anew; TCP's own keepalive is longer, a busy flow's pause is not.
pub const ADOPTION_NS: u64 = 120_000_000_000;

/// Lets devices of `before` that become a workload's by the target take in what runs until `until_ns`
/// (CLOCK_MONOTONIC). One that is a workload's in the observed maps already keeps what it was given.
pub fn adopt(target: &mut Image, observed: &Image, before: &BTreeSet<u32>, until_ns: u64) {
    for (ifindex, device) in &mut target.devices {
        let known = observed.devices.get(ifindex).is_some_and(is_of_interface);
        if is_of_interface(device) && !known && before.contains(ifindex) {
            device.adopt_until_ns = until_ns;
        }
    }
}

/// Whether a device is an interface's.
pub fn is_of_interface(device: &Device) -> bool {
    matches!(device.kind, DeviceKind::RF_DEVICE_WORKLOAD | DeviceKind::RF_DEVICE_NIC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bpf::Pod;

    fn image(devices: &[(u32, DeviceKind, u64)]) -> Image {
        let devices = devices.iter().map(|(ifindex, kind, adopt_until_ns)| {
            (*ifindex, Device { kind: *kind, adopt_until_ns: *adopt_until_ns, ..Device::zeroed() })
        });
        Image { devices: devices.collect(), ..Image::default() }
    }

    #[test]
    fn only_a_device_that_was_there_before_and_is_new_to_the_maps_takes_in_what_runs() {
        use DeviceKind as Kind;
        let observed = image(&[(1, Kind::RF_DEVICE_WORKLOAD, 5), (2, Kind::RF_DEVICE_HOST, 0)]);
        let mut target = image(&[
            (1, Kind::RF_DEVICE_WORKLOAD, 5),
            (2, Kind::RF_DEVICE_NIC, 0),
            (3, Kind::RF_DEVICE_WORKLOAD, 0),
            (4, Kind::RF_DEVICE_UPLINK, 0),
            (5, Kind::RF_DEVICE_WORKLOAD, 0),
        ]);
        adopt(&mut target, &observed, &BTreeSet::from([1, 2, 3, 4]), 99);
        let until: Vec<u64> = target.devices.values().map(|device| device.adopt_until_ns).collect();
        assert_eq!(until, [5, 99, 99, 0, 0]);
    }
}
