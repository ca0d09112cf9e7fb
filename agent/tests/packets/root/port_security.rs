//! Nobody sends as somebody else.

use ringfence_agent::bpf::consts::RF_TABLE_UDP;
use ringfence_agent::bpf::{Hook, Reason};

use crate::builder::Packet;
use crate::net::ip;
use crate::world::{GATEWAY_MAC, OUTSIDE, World};

const FROM: Hook = Hook::FromWorkload;

fn world() -> World {
    let mut world = World::new();
    for (from, to) in [(1, 2), (2, 2), (9, 2), (3, 2), (1, 9)] {
        world.allow(from, to, RF_TABLE_UDP);
    }
    world
}

#[test]
fn the_source_mac_is_the_interfaces() {
    let world = world();
    let packet = Packet::udp(world.web.v4, world.app.v4, (1, 2));
    for mac in [world.app.mac, GATEWAY_MAC, [0; 6]] {
        let frame = packet.clone().macs(mac, world.app.mac).build();
        world.drops(FROM, world.web.ifindex, &frame, Reason::SourceMac);
    }
}

#[test]
fn the_source_address_is_the_interfaces() {
    let world = world();
    for source in [world.app.v4, world.cache.v4, ip(OUTSIDE), ip("10.1.0.99"), ip("10.1.0.1")] {
        let packet = Packet::udp(source, world.app.v4, (1, 2));
        let frame = world.bridged(&world.web, &world.app, packet);
        world.drops(FROM, world.web.ifindex, &frame, Reason::SourceAddress);
    }
}

#[test]
fn a_connection_is_no_way_round_the_guard() {
    let world = world();
    let packet = Packet::udp(world.web.v4, world.app.v4, (1, 2));
    world.passes(FROM, world.web.ifindex, &world.bridged(&world.web, &world.app, packet.clone()));
    // The same tuple by the other interface, with its own MAC and the other's address.
    let frame = packet.macs(world.cache.mac, GATEWAY_MAC).build();
    world.drops(FROM, world.cache.ifindex, &frame, Reason::SourceAddress);
}

#[test]
fn the_destination_mac_is_the_gateways_or_the_destinations() {
    let world = world();
    let (web, app) = (world.web, world.app);
    let near = Packet::udp(web.v4, app.v4, (1, 2));
    let frame = near.macs(web.mac, world.cache.mac).build();
    world.drops(FROM, web.ifindex, &frame, Reason::DestinationMac);
    let outside = Packet::udp(web.v4, ip(OUTSIDE), (1, 2)).macs(web.mac, app.mac).build();
    world.drops(FROM, web.ifindex, &outside, Reason::DestinationMac);
}

#[test]
fn another_network_is_reached_by_the_gateway_only() {
    let world = world();
    let (cache, app) = (world.cache, world.app);
    let packet = Packet::udp(cache.v4, app.v4, (1, 2));
    let frame = world.bridged(&cache, &app, packet.clone());
    world.drops(FROM, cache.ifindex, &frame, Reason::DestinationMac);
    let (output, _) = world.passes(FROM, cache.ifindex, &world.routed(&cache, packet.clone()));
    let expected = packet.ttl(63).macs(GATEWAY_MAC, app.mac).build();
    assert_eq!(output.packet, expected, "MACs and TTL as a router leaves them");
}

#[test]
fn a_bridged_packet_is_left_as_it_is() {
    let world = world();
    let frame = world.bridged(&world.web, &world.app, Packet::udp(world.web.v4, world.app.v4, (1, 2)));
    let (output, _) = world.passes(FROM, world.web.ifindex, &frame);
    assert_eq!(output.packet, frame);
    assert_eq!(output.mark, world.datapath.mark());
}

#[test]
fn groups_and_link_local_have_their_reasons() {
    let world = world();
    let web = world.web;
    for (dst, mac) in
        [("224.0.0.251", [1, 0, 0x5e, 0, 0, 0xfb]), ("255.255.255.255", [0xff; 6]), ("10.1.0.255", [0xff; 6])]
    {
        let frame = Packet::udp(web.v4, ip(dst), (1, 2)).macs(web.mac, mac).build();
        world.drops(FROM, web.ifindex, &frame, Reason::Multicast);
    }
    let group = Packet::udp(web.v6, ip("ff02::fb"), (1, 2)).macs(web.mac, [0x33, 0x33, 0, 0, 0, 1]);
    world.drops(FROM, web.ifindex, &group.build(), Reason::Multicast);
    for (src, dst) in [(web.v6, ip("fe80::1")), (ip("fe80::ff:fe00:101"), world.app.v6)] {
        let frame = Packet::udp(src, dst, (1, 2)).macs(web.mac, world.app.mac).build();
        world.drops(FROM, web.ifindex, &frame, Reason::LinkLocal);
    }
}

#[test]
fn a_device_without_an_interface_passes_nothing() {
    let world = world();
    let frame = world.bridged(&world.web, &world.app, Packet::udp(world.web.v4, world.app.v4, (1, 2)));
    for hook in Hook::ALL {
        world.drops(hook, 1, &frame, Reason::UnknownDevice);
    }
    // Known, but as something else.
    world.drops(FROM, world.uplink, &frame, Reason::UnknownDevice);
    world.drops(Hook::FromOverlay, world.web.ifindex, &frame, Reason::UnknownDevice);
}

#[test]
fn the_last_hop_of_a_route_is_counted_and_ttl_one_ends() {
    let world = world();
    let packet = Packet::udp(world.cache.v4, world.app.v4, (1, 2)).ttl(1);
    world.drops(FROM, world.cache.ifindex, &world.routed(&world.cache, packet), Reason::TtlExpired);
    let near = Packet::udp(world.web.v4, world.app.v4, (1, 2)).ttl(1);
    world.passes(FROM, world.web.ifindex, &world.bridged(&world.web, &world.app, near));
}
