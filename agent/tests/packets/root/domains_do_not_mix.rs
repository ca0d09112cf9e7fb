//! Two domains with the same addresses: what one is allowed, the other does not get.

use ringfence_agent::bpf::consts::{RF_HOST_HERE, RF_TABLE_TCP};
use ringfence_agent::bpf::{Hook, Reason};

use crate::builder::{ACK, Packet, SYN};
use crate::net::{ip, sh};
use crate::world::{Workload, World};

const OTHER: u32 = 2;
const OTHER_ID: u32 = 72;

/// The other domain's twins of web and app: same addresses, MACs and classes, other devices.
fn twins(world: &World) -> [Workload; 2] {
    sh("ip link add web2 type veth peer name web2-in; ip link add app2 type veth peer name app2-in");
    world.put_domain(OTHER, OTHER_ID, 901, [300, 400]);
    [(world.web, 5, "web2"), (world.app, 6, "app2")].map(|(original, index, device)| {
        let ifindex = crate::net::ifindex(device);
        let twin = Workload { index, ifindex, vni: 300, host: RF_HOST_HERE, ..original };
        world.put_workload(OTHER, OTHER_ID, &twin);
        twin
    })
}

#[test]
fn the_same_packet_is_another_flow_in_another_domain() {
    let mut world = World::new();
    let [web2, app2] = twins(&world);
    world.allow(1, 2, RF_TABLE_TCP);
    for v6 in [false, true] {
        let (src, dst) = (world.web.ip(v6), world.app.ip(v6));
        let syn = world.bridged(&world.web, &world.app, Packet::tcp(src, dst, (4000, 80), SYN));
        let reply = world.bridged(&world.app, &world.web, Packet::tcp(dst, src, (80, 4000), SYN | ACK));
        let (_, decision) = world.passes(Hook::FromWorkload, world.web.ifindex, &syn);
        assert_eq!(decision.ifindex, world.app.ifindex);
        // The rows are of the first domain, and so is the connection.
        world.drops(Hook::FromWorkload, web2.ifindex, &syn, Reason::PolicyDeny);
        world.drops(Hook::FromWorkload, app2.ifindex, &reply, Reason::TcpNotSyn);
        let (_, decision) = world.passes(Hook::FromWorkload, world.app.ifindex, &reply);
        assert_eq!(decision.ifindex, world.web.ifindex);
    }
}

#[test]
fn an_address_that_only_the_other_domain_has_is_outside() {
    let mut world = World::new();
    twins(&world);
    let lone = Workload { v4: ip("10.1.0.66"), v6: ip("fd00:1::66"), index: 6, ..world.app };
    world.put_workload(OTHER, OTHER_ID, &lone);
    world.allow(1, 2, RF_TABLE_TCP);
    for address in [lone.v4, lone.v6] {
        let src = world.web.ip(address.is_ipv6());
        let frame = world.routed(&world.web, Packet::tcp(src, address, (4000, 80), SYN));
        world.drops(Hook::FromWorkload, world.web.ifindex, &frame, Reason::NoRoute);
    }
}

#[test]
fn an_epoch_of_one_domain_does_not_touch_the_others_flows() {
    let mut world = World::new();
    twins(&world);
    world.allow(1, 2, RF_TABLE_TCP);
    let syn = Packet::tcp(world.web.v4, world.app.v4, (4000, 80), SYN);
    let frame = world.bridged(&world.web, &world.app, syn);
    world.passes(Hook::FromWorkload, world.web.ifindex, &frame);
    world.datapath.maps().words.store(OTHER, 1, 99).unwrap();
    let (_, decision) = world.passes(Hook::FromWorkload, world.web.ifindex, &frame);
    assert_eq!(decision.judged, 0);
}
