//! This machine is `h1`; it reaches its controller and other hosts by `eno1`, and rides on no other device.

use std::collections::{BTreeMap, BTreeSet};

use ringfence_policy::bundle::{CompiledHost, CompiledPair, CompiledUplink, Topology};

use super::*;

const NIC: [u8; 6] = [2, 0, 0, 0, 0, 1];

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn interface(id: u32, host: &str, own: &str) -> CompiledInterface {
    CompiledInterface {
        id,
        workload: format!("w{id}"),
        name: "eth0".to_owned(),
        vni: 10,
        mac: NIC,
        host: host.to_owned(),
        device: "eno1".to_owned(),
        addresses: vec![(address(own), 5)],
        pairs: Vec::new(),
        port_security: true,
        bare_metal: true,
    }
}

fn reserved() -> Reserved {
    let way = Way { mac: NIC, addresses: vec![address("192.0.2.1"), address("fe80::1")], below: BTreeSet::new() };
    Reserved {
        devices: ["lo", "rf-overlay", "eno1"].map(str::to_owned).into(),
        ways: BTreeMap::from([("eno1".to_owned(), way)]),
        controller: Some(address("192.0.2.9")),
        addresses: vec![address("192.0.2.1")],
        gateway_mac: [2, 0, 0, 0, 0, 9],
    }
}

fn bundle(interfaces: Vec<CompiledInterface>) -> Bundle {
    let host = |name: &str, underlay: &str| CompiledHost { name: name.to_owned(), underlay: vec![address(underlay)] };
    let topology = Topology {
        transit_vni: 11,
        hosts: vec![host("h1", "192.0.2.1"), host("h2", "192.0.2.2")],
        ..Topology::default()
    };
    let interfaces = interfaces.into_iter().map(Into::into).collect();
    Bundle { domain_id: 1, name: "t/d".to_owned(), topology: topology.into(), interfaces, ..Bundle::default() }
}

fn told(bundle: &Bundle, reserved: &Reserved) -> String {
    let admitted = super::super::admit(bundle, [].iter(), "h1", reserved);
    admitted.map_or_else(|refusal| refusal.to_string(), |()| "admitted".to_owned())
}

#[test]
fn a_machine_may_claim_the_nic_by_which_it_is_reached() {
    assert_eq!(told(&bundle(vec![interface(1, "h1", "192.0.2.1")]), &reserved()), "admitted");
}

#[test]
fn nobody_else_may() {
    let mut vm = interface(1, "h1", "10.0.0.1");
    vm.bare_metal = false;
    let refused = told(&bundle(vec![vm]), &reserved());
    assert!(refused.contains("claims device \"eno1\", which is this host's own"), "{refused}");
    let mut uplink = bundle(Vec::new());
    uplink.topology.uplink = Some(CompiledUplink {
        host: "h1".to_owned(),
        device: "eno1".to_owned(),
        addresses: vec!["198.51.100.2/24".parse().unwrap()],
        next_hops: Vec::new(),
    });
    let refused = told(&uplink, &reserved());
    assert!(refused.starts_with("the uplink of t/d claims device \"eno1\""), "{refused}");
}

#[test]
fn what_is_no_nic_is_not_claimed_as_one() {
    for device in ["lo", "rf-overlay"] {
        let claim = CompiledInterface { device: device.to_owned(), ..interface(1, "h1", "192.0.2.1") };
        let refused = told(&bundle(vec![claim]), &reserved());
        assert!(refused.contains("which is this host's own"), "{refused}");
    }
}

#[test]
fn a_mac_address_that_the_nic_has_not_is_refused() {
    let mut wrong = interface(1, "h1", "192.0.2.1");
    wrong.mac = [2, 0, 0, 0, 0, 7];
    let wrong = bundle(vec![wrong]);
    assert_eq!(
        told(&wrong, &reserved()),
        "interface w1/eth0 of t/d claims \"eno1\", by which this machine reaches its controller or other hosts, with MAC \
         address 02:00:00:00:00:07; write what the NIC has"
    );
    let elsewhere = Reserved { ways: BTreeMap::new(), devices: BTreeSet::new(), ..reserved() };
    assert_eq!(told(&wrong, &elsewhere), "admitted", "a NIC that nothing here depends on");
}

#[test]
fn an_address_that_the_nic_has_not_is_refused_once_it_has_one_of_that_family() {
    let refused = told(&bundle(vec![interface(1, "h1", "192.0.2.77")]), &reserved());
    assert!(refused.contains("with address 192.0.2.77"), "{refused}");
    assert_eq!(
        told(&bundle(vec![interface(1, "h1", "2001:db8::1")]), &reserved()),
        "admitted",
        "link-local does not count"
    );
    let mut booting = reserved();
    booting.ways.get_mut("eno1").unwrap().addresses.clear();
    assert_eq!(told(&bundle(vec![interface(1, "h1", "192.0.2.77")]), &booting), "admitted");
}

#[test]
fn a_nic_that_carries_the_way_tagged_or_bonded_is_refused() {
    let mut tagged = reserved();
    let way = tagged.ways.remove("eno1").unwrap();
    let below = BTreeSet::from(["eno1".to_owned()]);
    tagged.ways.insert("eno1.7".to_owned(), Way { below, ..way });
    tagged.devices = ["eno1.7".to_owned()].into();
    let refused = told(&bundle(vec![interface(1, "h1", "192.0.2.1")]), &tagged);
    assert!(refused.contains("claims \"eno1\", which carries \"eno1.7\""), "{refused}");
}

#[test]
fn the_controllers_address_is_no_other_workloads() {
    let mut vm = CompiledInterface { device: "tap1".to_owned(), ..interface(2, "h2", "192.0.2.9") };
    vm.bare_metal = false;
    let claimed = bundle(vec![interface(1, "h1", "192.0.2.1"), vm.clone()]);
    assert_eq!(
        told(&claimed, &reserved()),
        "interface w2/eth0 of t/d has 192.0.2.9, which is the address of the controller; give it another"
    );
    let itself = bundle(vec![interface(1, "h1", "192.0.2.1"), interface(2, "h3", "192.0.2.9")]);
    assert_eq!(told(&itself, &reserved()), "admitted", "its machine may be a workload");
    vm.addresses = vec![(address("10.0.0.1"), 5)];
    vm.pairs = vec![CompiledPair { prefix: "192.0.2.8/30".parse().unwrap(), mac: NIC, shared: false }];
    let refused = told(&bundle(vec![interface(1, "h1", "192.0.2.1"), vm]), &reserved());
    assert!(refused.contains("has 192.0.2.9"), "in an address pair: {refused}");
}

#[test]
fn a_hosts_address_is_that_machines_alone() {
    let of = |host: &str| bundle(vec![interface(1, "h1", "192.0.2.1"), interface(2, host, "192.0.2.2")]);
    assert_eq!(told(&of("h2"), &reserved()), "admitted");
    assert_eq!(
        told(&of("h3"), &reserved()),
        "interface w2/eth0 of t/d has 192.0.2.2, which is the address of host h2; give it another"
    );
}

#[test]
fn a_controller_that_is_given_by_name_is_refused() {
    let by_name = Reserved { controller: None, ..reserved() };
    let refused = told(&bundle(vec![interface(1, "h1", "192.0.2.1")]), &by_name);
    assert!(refused.contains("give this agent the controller's address in --controller"), "{refused}");
    let elsewhere = bundle(vec![interface(1, "h2", "192.0.2.2")]);
    assert_eq!(told(&elsewhere, &by_name), "admitted", "another machine's affair");
}
