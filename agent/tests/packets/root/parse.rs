//! What cannot be parsed has a reason.

use ringfence_agent::bpf::consts::{RF_TABLE_TCP, RF_TABLE_UDP};
use ringfence_agent::bpf::{Hook, Reason};

use crate::builder::{Packet, SYN, ethernet};
use crate::world::World;

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
fn fragments_have_a_reason_in_both_families() {
    let world = world();
    let [v4, v6] = packets(&world).map(|packet| world.bridged(&world.web, &world.app, packet));
    for frame in [with_byte(&v4, 20, 0x20), with_byte(&v4, 21, 1), with_byte(&v6, 20, 44)] {
        world.drops(Hook::FromWorkload, world.web.ifindex, &frame, Reason::Fragment);
    }
}

#[test]
fn extension_headers_and_the_other_familys_icmp_are_not_supported() {
    let world = world();
    let [_, v6] = packets(&world).map(|packet| world.bridged(&world.web, &world.app, packet));
    for next_header in [0, 43, 51, 60, 1] {
        let frame = with_byte(&v6, 20, next_header);
        world.drops(Hook::FromWorkload, world.web.ifindex, &frame, Reason::UnsupportedProtocol);
    }
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
