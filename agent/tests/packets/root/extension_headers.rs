//! IPv6 extension headers are stepped over, and hide nothing.

use ringfence_agent::bpf::consts::{RF_EXTENSION_BYTES, RF_EXTENSIONS, RF_TABLE_OTHER, RF_TABLE_TCP};
use ringfence_agent::bpf::{Hook, Reason};

use crate::builder::{ACK, ICMPV6, Packet, SYN};
use crate::net::ip;
use crate::pieces::{
    AH, DESTINATION, Extension, HOP_BY_HOP, authentication, extended, fragment_header, framed, options, routing,
};
use crate::world::{ALLOW, DENY, GATEWAY_MAC, NEXT_HOP_MAC, OUTSIDE6, UPLINK_MAC, World};

const FROM: Hook = Hook::FromWorkload;

/// web may reach TCP port 80 of app and of the internet.
fn world() -> World {
    let mut world = World::new();
    for to in [2, 9] {
        for slot in [0, 1] {
            world.row(slot, 1, to, RF_TABLE_TCP, &[(0, DENY, 1, 1), (80, ALLOW, 11, 12), (81, DENY, 1, 1)]);
        }
    }
    world
}

fn to_app(world: &World, port: u16) -> Vec<u8> {
    Packet::tcp(world.web.v6, world.app.v6, (4000, port), SYN).ip()
}

fn frame(world: &World, port: u16, chain: &[Extension]) -> Vec<u8> {
    framed(world.web.mac, world.app.mac, &extended(&to_app(world, port), chain))
}

#[test]
fn every_kind_is_stepped_over_and_policy_sees_what_is_behind() {
    let world = world();
    let all = [
        options(HOP_BY_HOP, 2),
        options(DESTINATION, 0),
        routing(4),
        fragment_header(1, 0, false),
        authentication(),
        options(DESTINATION, 5),
    ];
    let chains = all.iter().map(std::slice::from_ref).chain([&all[..]]);
    for (n, chain) in chains.enumerate() {
        let frame_to = |port| frame(&world, port, chain);
        let denied = world.drops(FROM, world.web.ifindex, &frame_to(22), Reason::PolicyDeny);
        assert_eq!((denied.judged, denied.from_class, denied.to_class), (1, 1, 2));
        let (output, decision) = world.passes(FROM, world.web.ifindex, &frame_to(80));
        assert_eq!(output.packet, frame_to(80));
        assert_eq!(decision.judged, u32::from(n == 0), "the first makes the connection of all");
    }
    let conns = world.datapath.maps().conns6.entries().unwrap();
    let [(key, conn)] = conns[..] else { panic!("{conns:?}") };
    assert_eq!(key.port.map(u16::from_be), [4000, 80]);
    assert_eq!((key.l4_proto, conn.packets), (6, [7, 0]));
}

#[test]
fn a_reply_behind_extension_headers_finds_its_connection() {
    let world = world();
    let (web, app) = (world.web, world.app);
    world.passes(FROM, web.ifindex, &framed(web.mac, app.mac, &to_app(&world, 80)));
    let reply = Packet::tcp(app.v6, web.v6, (80, 4000), SYN | ACK).ip();
    let reply = framed(app.mac, web.mac, &extended(&reply, &[options(DESTINATION, 0)]));
    let (_, decision) = world.passes(FROM, app.ifindex, &reply);
    assert_eq!(decision.judged, 0);
}

#[test]
fn a_router_changes_the_hop_limit_and_nothing_behind_it() {
    let world = world();
    let packet = Packet::tcp(world.web.v6, ip(OUTSIDE6), (4000, 80), SYN).ip();
    let packet = extended(&packet, &[options(HOP_BY_HOP, 0), options(DESTINATION, 1)]);
    let (output, _) = world.passes(FROM, world.web.ifindex, &framed(world.web.mac, GATEWAY_MAC, &packet));
    let mut expected = packet;
    expected[7] -= 1;
    assert_eq!(output.packet[14..], expected);
}

#[test]
fn headers_out_of_order_too_many_too_long_or_of_routing_type_0_have_a_reason() {
    let world = world();
    let many = |n: u32| vec![options(DESTINATION, 0); n as usize];
    let long = |bytes: u32| vec![options(DESTINATION, (bytes / 16 - 1) as u8); 2];
    world.passes(FROM, world.web.ifindex, &frame(&world, 80, &many(RF_EXTENSIONS)));
    world.passes(FROM, world.web.ifindex, &frame(&world, 80, &long(RF_EXTENSION_BYTES)));
    let bad = [
        vec![options(DESTINATION, 0), options(HOP_BY_HOP, 0)],
        vec![options(HOP_BY_HOP, 0), options(HOP_BY_HOP, 0)],
        vec![routing(0)],
        vec![options(HOP_BY_HOP, 0), routing(0)],
        vec![fragment_header(1, 0, false), fragment_header(1, 0, false)],
        many(RF_EXTENSIONS + 1),
        long(RF_EXTENSION_BYTES + 16),
    ];
    for chain in bad {
        world.drops(FROM, world.web.ifindex, &frame(&world, 80, &chain), Reason::ExtensionHeader);
    }
}

#[test]
fn a_chain_that_leaves_the_packet_is_cut_off() {
    let world = world();
    let chain = [options(HOP_BY_HOP, 0), options(DESTINATION, 1), authentication()];
    let whole = extended(&to_app(&world, 80), &chain);
    for length in 40..whole.len() {
        let mut cut = whole[..length].to_vec();
        cut[4..6].copy_from_slice(&(length as u16 - 40).to_be_bytes());
        // What pads the frame is no part of the packet.
        let frame = [framed(world.web.mac, world.app.mac, &cut), whole[length..].to_vec()].concat();
        let chain_ends = 40 + 8 + 16 + 24;
        let reason = if length < chain_ends { Reason::ExtensionHeader } else { Reason::Malformed };
        world.drops(FROM, world.web.ifindex, &frame, reason);
    }
    world.passes(FROM, world.web.ifindex, &framed(world.web.mac, world.app.mac, &whole));
}

#[test]
fn esp_and_no_next_header_end_the_chain_as_protocols_of_their_own() {
    let mut world = world();
    for slot in [0, 1] {
        let runs = [(0, DENY, 1, 1), (50, ALLOW, 2, 2), (51, DENY, 3, 3), (59, ALLOW, 4, 4), (60, DENY, 5, 5)];
        world.row(slot, 1, 2, RF_TABLE_OTHER, &runs);
    }
    let (web, app) = (world.web, world.app);
    for (proto, rule) in [(50, Some(2)), (59, Some(4)), (47, None)] {
        let packet = extended(&Packet::other(web.v6, app.v6, proto).ip(), &[options(DESTINATION, 0)]);
        let frame = framed(web.mac, app.mac, &packet);
        match rule {
            Some(rule) => assert_eq!(world.passes(FROM, web.ifindex, &frame).1.from_rule, rule),
            None => assert_eq!(world.drops(FROM, web.ifindex, &frame, Reason::PolicyDeny).from_rule, 1),
        }
    }
    // In IPv4 AH is a protocol like any; there is no chain.
    let ah = Packet::other(web.v4, app.v4, AH);
    let decision = world.drops(FROM, web.ifindex, &world.bridged(&web, &app, ah), Reason::PolicyDeny);
    assert_eq!(decision.from_rule, 3);
}

#[test]
fn neighbour_discovery_and_router_messages_do_not_hide() {
    let world = world();
    let chains = [
        vec![options(HOP_BY_HOP, 0)],
        vec![options(DESTINATION, 0)],
        vec![routing(4)],
        vec![fragment_header(1, 0, false)],
    ];
    for kind in 133..=137 {
        for chain in &chains {
            let message = Packet::icmp(world.web.v6, world.app.v6, (kind, 0), [0; 4]).ttl(255).payload(&[0; 16]);
            let packet = extended(&message.ip(), chain);
            let frame = framed(world.web.mac, world.app.mac, &packet);
            world.drops(FROM, world.web.ifindex, &frame, Reason::ExtensionHeader);
            let outside = Packet::icmp(ip(OUTSIDE6), world.app.v6, (kind, 0), [0; 4]).ttl(255).payload(&[0; 16]);
            let frame = framed(NEXT_HOP_MAC, UPLINK_MAC, &extended(&outside.ip(), chain));
            world.drops(Hook::FromUplink, world.uplink, &frame, Reason::ExtensionHeader);
        }
    }
}

#[test]
fn a_multicast_listener_report_is_multicast() {
    let world = world();
    // RFC 3810 5.2: a router alert in a hop-by-hop header, from a link-local address.
    let report = Packet::icmp(ip("fe80::ff:fe00:101"), ip("ff02::16"), (143, 0), [0; 4]).ttl(1);
    assert_eq!(report.l4_proto, ICMPV6);
    let alert = (HOP_BY_HOP, vec![0, 0, 5, 2, 0, 0, 1, 0]);
    let frame = framed(world.web.mac, [0x33, 0x33, 0, 0, 0, 0x16], &extended(&report.ip(), &[alert]));
    world.drops(FROM, world.web.ifindex, &frame, Reason::Multicast);
}

#[test]
fn a_gateway_answers_no_echo_behind_extension_headers() {
    let world = world();
    let request = Packet::echo_request(world.web.v6, ip("fd00:1::1"), 5).ip();
    world.passes(FROM, world.web.ifindex, &framed(world.web.mac, GATEWAY_MAC, &request));
    let request = extended(&request, &[options(DESTINATION, 0)]);
    let frame = framed(world.web.mac, GATEWAY_MAC, &request);
    world.drops(FROM, world.web.ifindex, &frame, Reason::GatewayService);
}
