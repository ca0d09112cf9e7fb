//! The programs load, and a second load takes over what the first pinned.

use std::collections::BTreeSet;

use libbpf_rs::{MapHandle, MapType};
use ringfence_agent::bpf::{BpfError, Datapath, Device, DeviceKind, Hook, Pod, check_kernel};

use crate::net::{ifindex, private_network, sh};
use crate::world::{maps_of, options};

fn device() -> Device {
    Device { kind: DeviceKind::RF_DEVICE_HOST, r#ref: 5, counter: 6, ..Device::zeroed() }
}

#[test]
fn this_kernel_is_good_enough() {
    check_kernel(&options().pin_dir).unwrap();
}

#[test]
fn every_program_loads_and_a_restart_keeps_maps_mark_and_links() {
    private_network();
    let options = options();
    let mut first = Datapath::open(&options).unwrap();
    first.maps().devices.put(4, &device()).unwrap();
    first.maps().devices.put(70_000, &device()).unwrap();
    first.attach(Hook::FromWorkload, 1).unwrap();
    let mark = first.mark();
    drop(first);

    let second = Datapath::open(&options).unwrap();
    assert_eq!(second.mark(), mark);
    assert_eq!(second.maps().devices.entries().unwrap(), [(4, device()), (70_000, device())]);
    assert_eq!(second.attached().unwrap(), BTreeSet::from([(Hook::FromWorkload, 1)]));
    std::fs::remove_dir_all(&options.pin_dir).unwrap();
}

#[test]
fn a_pinned_map_of_another_shape_is_refused_by_name() {
    let options = options();
    let maps = maps_of(&options);
    std::fs::create_dir_all(&maps).unwrap();
    let path = maps.join("rf_hosts");
    let opts =
        libbpf_sys::bpf_map_create_opts { sz: size_of::<libbpf_sys::bpf_map_create_opts>() as _, ..Default::default() };
    let mut other = MapHandle::create(MapType::Array, Some("rf_hosts"), 4, 8, 3, &opts).unwrap();
    other.pin(&path).unwrap();
    let error = Datapath::open(&options).unwrap_err();
    std::fs::remove_dir_all(&options.pin_dir).unwrap();
    match error {
        BpfError::Layout { path: named, field: "value size", found: 8, wanted: 24 } => {
            assert_eq!(named, path);
        }
        other => panic!("{other}"),
    }
}

#[test]
fn links_that_are_gone_are_not_listed_and_their_pins_go() {
    private_network();
    let options = options();
    let mut datapath = Datapath::open(&options).unwrap();
    sh("ip link add veth0 type veth peer name veth1");
    let a = ifindex("veth0");
    datapath.attach(Hook::FromWorkload, a).unwrap();
    datapath.attach(Hook::ToWorkload, a).unwrap();
    let both = BTreeSet::from([(Hook::FromWorkload, a), (Hook::ToWorkload, a)]);
    assert_eq!(datapath.attached().unwrap(), both);
    datapath.detach(Hook::ToWorkload, a).unwrap();
    assert_eq!(datapath.attached().unwrap(), BTreeSet::from([(Hook::FromWorkload, a)]));
    sh("ip link del dev veth0");
    assert_eq!(datapath.attached().unwrap(), BTreeSet::new());
    assert_eq!(std::fs::read_dir(options.pin_dir.join("links")).unwrap().count(), 0);
    std::fs::remove_dir_all(&options.pin_dir).unwrap();
}

#[test]
fn a_start_passes_over_a_link_that_went_and_renews_the_others() {
    private_network();
    let options = options();
    let mut first = Datapath::open(&options).unwrap();
    sh("ip link add veth0 type veth peer name veth1");
    let device = ifindex("veth0");
    first.attach(Hook::FromWorkload, device).unwrap();
    first.attach(Hook::FromWorkload, 1).unwrap();
    // A name whose link is gone by the time it is opened.
    let links = options.pin_dir.join("links");
    std::os::unix::fs::symlink("nowhere", links.join("to_workload-1")).unwrap();
    sh("ip link del dev veth0");
    let second = Datapath::open(&options).unwrap();
    assert_eq!(second.attached().unwrap(), BTreeSet::from([(Hook::FromWorkload, 1)]));
    assert_eq!(std::fs::read_dir(&links).unwrap().count(), 1);
    std::fs::remove_dir_all(&options.pin_dir).unwrap();
}
