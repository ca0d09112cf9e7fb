//! Links stay first on their devices, beside whoever else runs programs there.

use std::collections::BTreeSet;
use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use libbpf_rs::query::{LinkTypeInfo, MapInfoIter, ProgInfoIter, ProgInfoQueryOptions};
use libbpf_rs::{Link, MapCore, MapHandle};
use ringfence_agent::bpf::consts::RF_TABLE_UDP;
use ringfence_agent::bpf::{Datapath, Hook, Options, release_nics};

use crate::foreign::{Foreign, Place};
use crate::guest::Guest;
use crate::net::{ifindex, private_network, sh};
use crate::world::{World, maps_of, options};

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
fn what_is_no_link_under_a_links_name_stops_nothing_and_is_removed() {
    let mut bench = Bench::new();
    let links = bench.options.pin_dir.join("links");
    let [device, next] = ["from_workload-7000", "to_workload-7000-next"].map(|name| links.join(name));
    for stray in [&device, &next] {
        fs::create_dir(stray).unwrap();
    }
    assert!(bench.is_attached());
    assert!(!device.exists());
    // What is not empty is somebody's and stays.
    fs::create_dir_all(device.join("inside")).unwrap();
    assert!(bench.is_attached());
    // In place of a pin that was there, and in the way of the next one.
    fs::remove_file(bench.pin()).unwrap();
    fs::create_dir(bench.pin()).unwrap();
    fs::create_dir(links.join(format!("from_workload-{}-next", bench.device))).unwrap();
    assert!(!bench.is_attached());
    bench.datapath.attach(FROM, bench.device).unwrap();
    assert!(bench.is_attached());
    // Nor does it stop an agent that starts, or a rescue.
    fs::create_dir(links.join("from_host-7000")).unwrap();
    fs::create_dir_all(next.join("inside")).unwrap();
    release_nics(&bench.options.pin_dir).unwrap();
    assert!(!links.join("from_host-7000").exists());
    bench.datapath = Datapath::open(&bench.options).unwrap();
    assert!(bench.is_attached());
}

#[test]
fn a_map_under_a_links_name_is_no_link() {
    let mut bench = Bench::new();
    fs::rename(maps_of(&bench.options).join("rf_hosts"), bench.pin()).unwrap();
    assert!(!bench.is_attached());
    bench.datapath.attach(FROM, bench.device).unwrap();
    assert!(bench.is_attached());
    fs::rename(maps_of(&bench.options).join("rf_rows"), bench.pin()).unwrap();
    bench.datapath.detach(FROM, bench.device).unwrap();
    assert!(!bench.pin().exists());
}

#[test]
fn a_program_goes_off_its_device_whoever_holds_the_link() {
    let mut bench = Bench::new();
    let held = Link::open(bench.pin()).unwrap();
    bench.datapath.detach(FROM, bench.device).unwrap();
    assert!(!bench.pin().exists());
    let info = held.info().unwrap();
    assert!(matches!(info.info, LinkTypeInfo::Tcx(tcx) if tcx.ifindex == 0), "it runs on the device still");
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

/// Sends datagrams from web to cache until one is delivered by our programs; whether it arrives.
#[track_caller]
fn arrives(world: &World, web: &Guest, socket: &UdpSocket) -> bool {
    let target = socket.local_addr().unwrap();
    let delivered = || world.datapath.maps().passed.get(&world.cache.index).unwrap().unwrap().to;
    let (before, begun) = (delivered(), Instant::now());
    while delivered() == before {
        assert!(begun.elapsed() < Duration::from_secs(10), "nothing is delivered");
        web.inside(move || UdpSocket::bind("0.0.0.0:0").unwrap().send_to(&before.to_be_bytes(), target).unwrap());
    }
    // Some of those before may be waiting still.
    let mut number = [0; 8];
    while socket.recv(&mut number).is_ok() {
        if number == before.to_be_bytes() {
            return true;
        }
    }
    false
}

#[test]
fn who_comes_after_us_decides_on_what_we_pass_and_leaves_us_as_we_were() {
    let mut world = World::new();
    world.allow(1, 3, RF_TABLE_UDP);
    let (web, cache) = (world.web, world.cache);
    let sender = Guest::workload(&mut world, "web", &web);
    let receiver = Guest::workload(&mut world, "cache", &cache);
    let socket = receiver.inside(move || UdpSocket::bind(SocketAddr::new(cache.v4, 5002)).unwrap());
    socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert!(arrives(&world, &sender, &socket));
    let ours = world.datapath.attached().unwrap();
    let theirs = Foreign::dropping().attach(cache.ifindex, Place::Last);
    assert!(!arrives(&world, &sender, &socket), "what ours let pass was not theirs to drop");
    drop(theirs);
    assert!(arrives(&world, &sender, &socket));
    assert_eq!(world.datapath.attached().unwrap(), ours);
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

/// The kernel's numbers of the maps that our program on ingress uses, but those of one load.
fn maps_in_use(bench: &Bench) -> BTreeSet<u32> {
    let opts = ProgInfoQueryOptions::default().include_map_ids(true);
    let id = bench.datapath.program(FROM).id();
    let program = ProgInfoIter::with_query_opts(opts).find(|program| program.id == id).unwrap();
    let shared: BTreeSet<_> =
        MapInfoIter::default().filter(|map| map.name.to_string_lossy().starts_with("rf_")).map(|map| map.id).collect();
    program.map_ids.into_iter().filter(|map| shared.contains(map)).collect()
}

#[test]
fn a_program_that_is_loaded_once_more_uses_the_maps_in_force_though_their_pins_are_gone() {
    let mut bench = Bench::new();
    let (before, program) = (maps_in_use(&bench), bench.datapath.program(FROM).id());
    let pinned = maps_of(&bench.options).join("rf_rows");
    assert!(before.contains(&MapHandle::from_pinned_path(&pinned).unwrap().info().unwrap().info.id));
    fs::remove_file(&pinned).unwrap();
    let foreign = Foreign::load();
    let _first = foreign.attach(bench.device, Place::First);
    bench.datapath.attach(FROM, bench.device).unwrap();
    assert_ne!(bench.datapath.program(FROM).id(), program);
    assert_eq!(maps_in_use(&bench), before);
    assert!(!pinned.exists(), "a map was made");
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
