//! A host that runs workloads already is taken in without cutting their flows.

use std::{
    fs,
    time::{Duration, Instant},
};

use ringfence_lab::{
    cabling::ip_batch,
    lab::{Lab, Options},
    stream::{DatagramStream, EchoStream},
    wait,
};

use super::turn;

/// Three workloads of one network on one host; only the first may speak to the second.
const OBJECTS: &str = r#"
kind: Tenant
name: acme
---
kind: Domain
name: acme/prod
---
kind: Network
domain: acme/prod
name: front
subnets: [{cidr: 10.1.0.0/24, gateway: 10.1.0.1}]
---
kind: Workload
domain: acme/prod
name: one
labels: {role: one}
interfaces: [{name: eth0, network: front, mac: "02:00:00:00:01:01", addresses: [10.1.0.11], host: h1, device: dev-one}]
---
kind: Workload
domain: acme/prod
name: two
labels: {role: two}
interfaces: [{name: eth0, network: front, mac: "02:00:00:00:01:02", addresses: [10.1.0.12], host: h1, device: dev-two}]
---
kind: Workload
domain: acme/prod
name: three
labels: {role: three}
interfaces: [{name: eth0, network: front, mac: "02:00:00:00:01:03", addresses: [10.1.0.13], host: h1, device: dev-three}]
---
kind: Segment
domain: acme/prod
name: one
match: {role: one}
---
kind: Segment
domain: acme/prod
name: two
match: {role: two}
---
kind: Policy
domain: acme/prod
name: all
rules:
  - {name: speak, from: [segment/one], to: [segment/two], action: allow, traffic: [tcp, udp]}
"#;

#[test]
fn flows_that_run_over_a_bridge_go_on_under_policy_and_those_it_denies_are_cut() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let objects = folder.path().join("objects.yaml");
    fs::write(&objects, OBJECTS).unwrap();
    let bare = Options { bare: true, shared: true, ..Options::default() };
    let mut lab = Lab::raise(&[&objects], &bare).unwrap();
    let host = &lab.host("h1").unwrap().namespace;
    let mut bridge = String::from("link add br0 type bridge\nlink set br0 up\n");
    for device in ["dev-one", "dev-two", "dev-three"] {
        bridge += &format!("link set {device} master br0 up\n");
    }
    ip_batch(host, &bridge).unwrap();
    let [one, two, three] = ["one", "two", "three"].map(|name| lab.endpoint("acme/prod", name).unwrap().clone());
    let datagrams = DatagramStream::start(&one, &two, true, 4001, 64).unwrap();
    let allowed = EchoStream::start(&one, &two, true, 8084, 64).unwrap();
    // One that asks and one that is only answered: policy lets neither begin.
    let denied = EchoStream::start(&one, &three, true, 8084, 64).unwrap();

    lab.start_controller(&bare).unwrap();
    lab.cli_ok(&["apply", "--no-wait", "-f", &objects.display().to_string()]).unwrap();
    lab.start_agents(&bare).unwrap();
    lab.wait_until_settled(true).unwrap();
    let settled = Instant::now();
    let before = allowed.echoes();
    wait::until("the flow that is allowed goes on", Duration::from_secs(10), || Ok(allowed.echoes() > before + 200))
        .unwrap();
    assert!(denied.last_echo() < settled, "a flow that no rule allows goes on");
    // Programs decide, and the bridge no more: a device that is taken in has passed packets.
    let counters = lab.cli_ok(&["counters", "-o", "json"]).unwrap().answer;
    assert!(counters.contains("dev-one"), "{counters}");
    assert_eq!(allowed.retransmissions().unwrap(), 0);
    allowed.finish().unwrap();
    let delivery = datagrams.finish().unwrap();
    assert_eq!(delivery.lost, [0_u64; 0], "of {} datagrams", delivery.sent);
}
