//! Links stay first on their devices, beside whoever else runs programs there.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use libbpf_rs::Link;
use ringfence_agent::bpf::{Datapath, Hook, Options};

use crate::foreign::{Foreign, Place};
use crate::net::{ifindex, private_network, sh};
use crate::world::{maps_of, options};

const FROM: Hook = Hook::FromWorkload;

/// The programs on a veth of a namespace of its own.
struct Bench {
    options: Options,
    datapath: Datapath,
    device: u32,
}

impl Bench {
    fn new() -> Self {
        private_network();
        sh("ip link add veth0 type veth peer name veth1");
        let options = options();
        let mut datapath = Datapath::open(&options).unwrap();
        let device = ifindex("veth0");
        datapath.attach(FROM, device).unwrap();
        Self { options, datapath, device }
    }

    fn is_attached(&self) -> bool {
        self.datapath.attached().unwrap() == BTreeSet::from([(FROM, self.device)])
    }

    fn pin(&self) -> std::path::PathBuf {
        self.options.pin_dir.join(format!("links/from_workload-{}", self.device))
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.options.pin_dir);
    }
}

#[test]
fn a_link_that_was_detached_is_seen_and_put_back() {
    let mut bench = Bench::new();
    Link::open(bench.pin()).unwrap().detach().unwrap();
    assert!(!bench.is_attached());
    bench.datapath.attach(FROM, bench.device).unwrap();
    assert!(bench.is_attached());
}

#[test]
fn a_link_with_somebodys_program_is_seen_and_gets_ours_again() {
    let mut bench = Bench::new();
    let foreign = Foreign::load();
    foreign.put_into(&bench.pin());
    assert!(!bench.is_attached());
    bench.datapath.attach(FROM, bench.device).unwrap();
    assert!(bench.is_attached());
}

#[test]
fn who_goes_before_us_is_put_behind_us_and_stays_attached() {
    let mut bench = Bench::new();
    let [one, other] = [Foreign::load(), Foreign::load()];
    let after = one.attach(bench.device, Place::Last);
    assert!(bench.is_attached(), "who comes after us does no harm");
    let before = other.attach(bench.device, Place::First);
    assert!(!bench.is_attached());
    bench.datapath.attach(FROM, bench.device).unwrap();
    assert!(bench.is_attached());
    assert!(after.is_on(bench.device) && before.is_on(bench.device));
    // Nor does anything of ours touch theirs, or theirs ours.
    drop(before);
    assert!(bench.is_attached());
    bench.datapath.detach(FROM, bench.device).unwrap();
    assert!(after.is_on(bench.device));
}

#[test]
fn a_former_role_of_ours_behind_the_new_one_is_nobody_elses() {
    let mut bench = Bench::new();
    bench.datapath.attach(Hook::FromUplink, bench.device).unwrap();
    let both = BTreeSet::from([(FROM, bench.device), (Hook::FromUplink, bench.device)]);
    assert_eq!(bench.datapath.attached().unwrap(), both);
}

#[test]
fn a_classifier_of_clsact_stays_when_ours_come_and_go() {
    let mut bench = Bench::new();
    sh("tc qdisc add dev veth0 clsact; tc filter add dev veth0 ingress protocol all u32 match u32 0 0 flowid 1:1");
    assert!(bench.is_attached());
    bench.datapath.detach(FROM, bench.device).unwrap();
    let shown = Command::new("tc").args(["filter", "show", "dev", "veth0", "ingress"]).output().unwrap();
    assert!(String::from_utf8_lossy(&shown.stdout).contains("u32"));
    bench.datapath.attach(FROM, bench.device).unwrap();
    sh("tc qdisc del dev veth0 clsact");
    assert!(bench.is_attached());
}

#[test]
fn a_device_that_left_the_namespace_is_not_mistaken_for_one_that_gets_its_number() {
    let mut bench = Bench::new();
    let name = format!("rf-left-{}-{}", std::process::id(), bench.device);
    sh(&format!("ip netns add {name}; ip link set veth0 netns {name}"));
    assert_eq!(bench.datapath.attached().unwrap(), BTreeSet::new());
    assert!(!bench.pin().exists(), "its link went with it");
    sh(&format!("ip link add other index {} type veth peer name other1", bench.device));
    assert_eq!(bench.datapath.attached().unwrap(), BTreeSet::new());
    bench.datapath.attach(FROM, bench.device).unwrap();
    assert!(bench.is_attached());
    sh(&format!("ip netns del {name}"));
}

#[test]
fn a_pin_of_a_map_that_was_removed_or_replaced_is_put_back() {
    let bench = Bench::new();
    let (rows, hosts) = (maps_of(&bench.options).join("rf_rows"), maps_of(&bench.options).join("rf_hosts"));
    assert!(bench.datapath.keep_pins().unwrap().is_empty());
    fs::remove_file(&rows).unwrap();
    fs::rename(&hosts, &rows).unwrap();
    let mut put_back = bench.datapath.keep_pins().unwrap();
    put_back.sort();
    assert_eq!(put_back, ["rf_hosts", "rf_rows"]);
    assert!(bench.datapath.keep_pins().unwrap().is_empty());
}
