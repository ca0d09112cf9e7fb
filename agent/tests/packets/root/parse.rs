//! What cannot be parsed has a reason.

use std::net::IpAddr;

use ringfence_agent::bpf::consts::{RF_TABLE_TCP, RF_TABLE_UDP};
use ringfence_agent::bpf::{Hook, Reason};

use crate::builder::{Packet, SYN, ethernet};
use crate::net::ip;
use crate::world::{GATEWAY_MAC, NEXT_HOP_MAC, OUTSIDE, OUTSIDE6, World};

fn packets(world: &World) -> [Packet; 2] {
    [false, true].map(|v6| Packet::tcp(world.web.ip(v6), world.app.ip(v6), (4000, 80), SYN))
}

fn world() -> World {
    let mut world = World::new();
    world.allow(1, 2, RF_TABLE_TCP);
    world.allow(1, 2, RF_TABLE_UDP);
    world
}

#[test]
fn every_cut_of_a_packet_is_malformed() {
    let world = world();
    for packet in packets(&world) {
        let frame = world.bridged(&world.web, &world.app, packet);
        // The kernel test-runs nothing shorter than its IP header.
        let header = if frame[12] == 8 { 34 } else { 54 };
        for length in header..frame.len() {
            world.drops(Hook::FromWorkload, world.web.ifindex, &frame[..length], Reason::Malformed);
        }
        world.passes(Hook::FromWorkload, world.web.ifindex, &frame);
    }
}

/// One byte of the frame is changed.
fn with_byte(frame: &[u8], at: usize, value: u8) -> Vec<u8> {
    let mut frame = frame.to_vec();
    frame[at] = value;
    frame
}

#[test]
fn headers_that_contradict_themselves_are_malformed() {
    let world = world();
    let [v4, v6] = packets(&world).map(|packet| world.bridged(&world.web, &world.app, packet));
    let cases = [
        ("version 6 in IPv4", with_byte(&v4, 14, 0x65)),
        ("header of 16 bytes", with_byte(&v4, 14, 0x44)),
        ("header longer than the packet", with_byte(&v4, 14, 0x4f)),
        ("total length less than the headers", with_byte(&v4, 17, 39)),
        ("total length more than the frame", with_byte(&v4, 17, 41)),
        ("TCP header of 16 bytes", with_byte(&v4, 46, 0x40)),
        ("TCP header longer than the packet", with_byte(&v4, 46, 0x60)),
        ("version 4 in IPv6", with_byte(&v6, 14, 0x40)),
        ("payload less than the header", with_byte(&v6, 19, 19)),
        ("payload more than the frame", with_byte(&v6, 19, 21)),
    ];
    for (what, frame) in cases {
        eprintln!("{what}");
        world.drops(Hook::FromWorkload, world.web.ifindex, &frame, Reason::Malformed);
    }
}

#[test]
fn ipv4_options_are_stepped_over() {
    let world = world();
    let mut packet = Packet::udp(world.web.v4, world.app.v4, (4000, 53));
    packet.options = vec![1; 40];
    let frame = world.bridged(&world.web, &world.app, packet);
    world.passes(Hook::FromWorkload, world.web.ifindex, &frame);
    let (key, _) = world.only_conn();
    assert_eq!(key.port.map(u16::from_be), [4000, 53]);
}

#[test]
fn the_other_familys_icmp_is_not_supported() {
    let world = world();
    let [_, v6] = packets(&world).map(|packet| world.bridged(&world.web, &world.app, packet));
    let frame = with_byte(&v6, 20, 1);
    world.drops(Hook::FromWorkload, world.web.ifindex, &frame, Reason::UnsupportedProtocol);
    let odd = Packet::other(world.web.v4, world.app.v4, 58);
    let frame = world.bridged(&world.web, &world.app, odd);
    world.drops(Hook::FromWorkload, world.web.ifindex, &frame, Reason::UnsupportedProtocol);
}

#[test]
fn a_tag_is_dropped_unless_it_names_no_vlan() {
    let world = world();
    let [v4, _] = packets(&world);
    let tagged = |vid: u16| {
        let mut inner = (0x2000 | vid).to_be_bytes().to_vec();
        inner.extend(0x0800u16.to_be_bytes());
        inner.extend(v4.ip());
        ethernet(world.app.mac, world.web.mac, 0x8100, &inner)
    };
    world.drops(Hook::FromWorkload, world.web.ifindex, &tagged(5), Reason::VlanTagged);
    let (output, _) = world.passes(Hook::FromWorkload, world.web.ifindex, &tagged(0));
    let untagged = world.bridged(&world.web, &world.app, v4);
    assert_eq!(output.packet, untagged);
}

#[test]
fn an_ethertype_of_no_use_is_refused() {
    let world = world();
    let frame = ethernet(world.app.mac, world.web.mac, 0x88cc, &[0; 64]);
    world.drops(Hook::FromWorkload, world.web.ifindex, &frame, Reason::UnsupportedEthertype);
}

/// An IPv4 address as IPv6 writes it, which the tables have for the IPv4 address itself.
fn mapped(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) => IpAddr::V6(v4.to_ipv6_mapped()),
        IpAddr::V6(_) => address,
    }
}

#[test]
fn addresses_that_no_packet_may_bear_are_refused_from_everywhere() {
    let mut world = world();
    for (from, to) in [(1, 9), (9, 2)] {
        world.allow(from, to, RF_TABLE_UDP);
    }
    let (web, app) = (world.web, world.app);
    let pairs = [
        (mapped(web.v4), mapped(app.v4)),
        (mapped(web.v4), app.v6),
        (web.v6, mapped(app.v4)),
        (ip("::1"), app.v6),
        (web.v6, ip("::1")),
        (web.v6, mapped(ip(OUTSIDE))),
        (ip("127.0.0.1"), app.v4),
        (web.v4, ip("127.1.2.3")),
        (ip("0.0.0.0"), app.v4),
        (web.v4, ip("0.1.2.3")),
    ];
    for (src, dst) in pairs {
        let frame = world.routed(&web, Packet::udp(src, dst, (1, 2)));
        world.drops(Hook::FromWorkload, web.ifindex, &frame, Reason::Martian);
    }
    for (src, dst) in [
        (mapped(ip(OUTSIDE)), mapped(app.v4)),
        (ip(OUTSIDE6), mapped(app.v4)),
        (ip("::1"), app.v6),
        (ip("127.0.0.1"), app.v4),
        (ip("0.0.0.0"), app.v4),
    ] {
        let frame = Packet::udp(src, dst, (1, 2)).macs(NEXT_HOP_MAC, GATEWAY_MAC).build();
        world.drops(Hook::FromUplink, world.uplink, &frame, Reason::Martian);
    }
}

#[test]
fn an_ipv4_address_is_no_neighbour_in_ipv6() {
    let world = world();
    let target = mapped(world.app.v4);
    let IpAddr::V6(octets) = target else { panic!("{target}") };
    let question = Packet::icmp(world.web.v6, ip("ff02::1:ff00:c"), (135, 0), [0; 4]);
    let frame = question.payload(&octets.octets()).ttl(255).macs(world.web.mac, [0x33, 0x33, 0xff, 0, 0, 12]).build();
    world.drops(Hook::FromWorkload, world.web.ifindex, &frame, Reason::UnansweredNeighbour);
}

#[test]
fn options_are_stepped_over_but_a_source_route_is_refused() {
    let world = world();
    let (web, app) = (world.web, world.app);
    let with = |options: &[u8]| {
        let mut packet = Packet::udp(web.v4, app.v4, (4000, 53));
        packet.options = options.to_vec();
        world.bridged(&web, &app, packet)
    };
    // Record route, and after the end of options anything.
    for options in [&[7, 7, 4, 0, 0, 0, 0, 0][..], &[1, 1, 1, 0], &[0, 131, 3, 4]] {
        world.passes(Hook::FromWorkload, web.ifindex, &with(options));
    }
    for kind in [131, 137] {
        for options in [[kind, 7, 4, 192, 0, 2, 1, 0], [1, 7, 3, 4, kind, 3, 4, 0]] {
            world.drops(Hook::FromWorkload, web.ifindex, &with(&options), Reason::SourceRoute);
        }
    }
    for options in [[7, 0, 4, 0], [7, 5, 4, 0]] {
        world.drops(Hook::FromWorkload, web.ifindex, &with(&options), Reason::Malformed);
    }
}
