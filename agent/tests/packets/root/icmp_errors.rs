//! ICMP errors reach the sender of what they quote, from the other side of its flow.

use std::net::IpAddr;

use ringfence_agent::bpf::consts::{
    RF_IFACE_BARE_METAL, RF_TABLE_ICMP, RF_TABLE_ICMP6, RF_TABLE_SCTP, RF_TABLE_TCP, RF_TABLE_UDP,
};
use ringfence_agent::bpf::{Action, Hook, Iface, Reason};

use crate::builder::{Packet, SYN, icmp_error};
use crate::net::ip;
use crate::pieces::{DESTINATION, HOP_BY_HOP, authentication, extended, framed, options, part};
use crate::world::{NEXT_HOP_MAC, OUTSIDE, OUTSIDE6, UPLINK_MAC, World};

const FROM: Hook = Hook::FromWorkload;

fn world() -> World {
    let mut world = World::new();
    for to in [2, 9] {
        for table in [RF_TABLE_TCP, RF_TABLE_UDP, RF_TABLE_SCTP, RF_TABLE_ICMP, RF_TABLE_ICMP6] {
            world.allow(1, to, table);
        }
    }
    world
}

#[test]
fn an_error_about_a_flow_passes_to_its_sender() {
    let world = world();
    let (web, app) = (world.web, world.app);
    for asked in [
        Packet::udp(web.v4, app.v4, (4000, 53)),
        Packet::udp(web.v6, app.v6, (4000, 53)),
        Packet::tcp(web.v4, app.v4, (4000, 80), SYN),
        Packet::sctp(web.v4, app.v4, (4000, 36412)),
        Packet::sctp(web.v6, app.v6, (4000, 36412)),
        Packet::echo_request(web.v4, app.v4, 3),
        Packet::echo_request(web.v6, app.v6, 3),
    ] {
        let error = icmp_error(asked.dst, asked.src, &asked.ip());
        let frame = world.bridged(&app, &web, error);
        world.drops(FROM, app.ifindex, &frame, Reason::NoConnection);
        world.passes(FROM, web.ifindex, &world.bridged(&web, &app, asked));
        let (output, decision) = world.passes(FROM, app.ifindex, &frame);
        assert_eq!((decision.action, decision.ifindex), (Action::RF_ACTION_LOCAL, web.ifindex));
        assert_eq!(output.packet, frame);
    }
}

#[test]
fn an_error_from_a_third_party_or_to_another_does_not_pass() {
    let world = world();
    let (web, app, cache) = (world.web, world.app, world.cache);
    let asked = Packet::udp(web.v4, app.v4, (4000, 53));
    world.passes(FROM, web.ifindex, &world.bridged(&web, &app, asked.clone()));
    let third = world.routed(&cache, icmp_error(cache.v4, web.v4, &asked.ip()));
    world.drops(FROM, cache.ifindex, &third, Reason::NoConnection);
    let to_another = world.routed(&app, icmp_error(app.v4, cache.v4, &asked.ip()));
    world.drops(FROM, app.ifindex, &to_another, Reason::NoConnection);
    let spoofed = world.bridged(&cache, &web, icmp_error(app.v4, web.v4, &asked.ip()));
    world.drops(FROM, cache.ifindex, &spoofed, Reason::SourceAddress);
}

#[test]
fn an_error_about_a_flow_that_was_cut_does_not_pass() {
    let mut world = world();
    let (web, app) = (world.web, world.app);
    let asked = Packet::udp(web.v4, app.v4, (4000, 53));
    world.passes(FROM, web.ifindex, &world.bridged(&web, &app, asked.clone()));
    world.row(0, 1, 2, RF_TABLE_UDP, &[(0, 0, 1, 1)]);
    world.bump_domain();
    let frame = world.bridged(&app, &web, icmp_error(app.v4, web.v4, &asked.ip()));
    world.drops(FROM, app.ifindex, &frame, Reason::NoConnection);
}

#[test]
fn a_router_beyond_the_uplink_may_tell_of_a_flow_there() {
    let world = world();
    let web = world.web;
    for (src, dst, router) in [(web.v4, OUTSIDE, "192.0.2.77"), (web.v6, OUTSIDE6, "2001:db8::77")] {
        let asked = Packet::udp(src, ip(dst), (4000, 53));
        let error = icmp_error(ip(router), src, &asked.ip()).macs(NEXT_HOP_MAC, UPLINK_MAC).build();
        world.drops(Hook::FromUplink, world.uplink, &error, Reason::NoConnection);
        world.passes(FROM, web.ifindex, &world.routed(&web, asked));
        let (_, decision) = world.passes(Hook::FromUplink, world.uplink, &error);
        assert_eq!(decision.ifindex, web.ifindex);
    }
}

/// What goes to a machine leaves by the uplink, and its path may be narrower behind it.
#[test]
fn a_router_on_the_way_to_a_machine_may_tell_of_a_flow_there() {
    let mut world = world();
    world.allow(1, 4, RF_TABLE_UDP);
    let (web, app, db) = (world.web, world.app, world.db);
    let maps = world.datapath.maps();
    let iface = maps.ifaces.get(&db.index).unwrap().unwrap();
    maps.ifaces.put(&db.index, &Iface { flags: RF_IFACE_BARE_METAL, ..iface }).unwrap();
    for (v6, router) in [(false, "192.0.2.77"), (true, "2001:db8::77")] {
        let asked = Packet::udp(web.ip(v6), db.ip(v6), (4000, 53));
        let error = icmp_error(ip(router), asked.src, &asked.ip()).macs(NEXT_HOP_MAC, UPLINK_MAC).build();
        world.drops(Hook::FromUplink, world.uplink, &error, Reason::NoConnection);
        world.passes(FROM, web.ifindex, &world.routed(&web, asked.clone()));
        let (_, decision) = world.passes(Hook::FromUplink, world.uplink, &error);
        assert_eq!(decision.ifindex, web.ifindex);
        let third = world.bridged(&app, &web, icmp_error(app.ip(v6), web.ip(v6), &asked.ip()));
        world.drops(FROM, app.ifindex, &third, Reason::NoConnection);
    }
}

#[test]
fn an_error_that_quotes_what_cannot_be_read_is_about_no_flow_whatever_policy_says_of_errors() {
    let mut world = world();
    let (web, app, cache) = (world.web, world.app, world.cache);
    for table in [RF_TABLE_ICMP, RF_TABLE_ICMP6] {
        world.allow(3, 1, table);
    }
    let [v4, v6] = [(web.v4, app.v4), (web.v6, app.v6)].map(|(src, dst)| Packet::udp(src, dst, (4000, 53)).ip());
    let changed = |packet: &[u8], at: usize, byte| {
        let mut packet = packet.to_vec();
        packet[at] = byte;
        packet
    };
    let mut quotes = vec![
        (web.v4, vec![]),
        (web.v4, v4[..27].to_vec()),
        (web.v6, v6[..47].to_vec()),
        // Another version, a header that is too short, a later fragment, the other family's ICMP.
        (web.v4, changed(&v4, 0, 0x65)),
        (web.v4, changed(&v4, 0, 0x44)),
        (web.v4, changed(&v4, 7, 1)),
        (web.v4, changed(&v4, 9, 58)),
        (web.v6, changed(&v6, 0, 0x40)),
        (web.v6, changed(&v6, 6, 1)),
        // Of a packet that its receiver did not send.
        (web.v4, Packet::udp(app.v4, cache.v4, (4000, 53)).ip()),
    ];
    for (src, dst) in [(web.v4, app.v4), (web.v6, app.v6)] {
        // Bytes of a later fragment are no ports.
        quotes.push((src, part(&Packet::udp(src, dst, (4000, 53)).payload(&[7; 64]).ip(), 3, 48, 72, false)));
    }
    for extension in [0, 43, 44, 51, 60] {
        quotes.push((web.v6, changed(&v6, 6, extension)));
    }
    for (to, quote) in quotes {
        let from = if to.is_ipv4() { cache.v4 } else { cache.v6 };
        let frame = world.routed(&cache, icmp_error(from, to, &quote));
        world.drops(FROM, cache.ifindex, &frame, Reason::NoConnection);
        // What pads a frame is no part of the packet.
        let padded = [frame, vec![0; 60]].concat();
        world.drops(FROM, cache.ifindex, &padded, Reason::NoConnection);
    }
    for (to, quote) in [(web.v4, v4), (web.v6, v6)] {
        let from = if to.is_ipv4() { cache.v4 } else { cache.v6 };
        let (_, decision) = world.passes(FROM, cache.ifindex, &world.routed(&cache, icmp_error(from, to, &quote)));
        assert_eq!(decision.judged, 1, "of no flow that is tracked");
    }
}

fn forget_flows(world: &World) {
    let maps = world.datapath.maps();
    for (key, _) in maps.conns4.entries().unwrap() {
        maps.conns4.delete(&key).unwrap();
    }
    for (key, _) in maps.conns6.entries().unwrap() {
        maps.conns6.delete(&key).unwrap();
    }
}

/// The error about `about`, all of which it quotes.
fn whole_quote(src: IpAddr, dst: IpAddr, about: &[u8]) -> Packet {
    let kind = if src.is_ipv4() { (3, 4) } else { (2, 0) };
    Packet::icmp(src, dst, kind, [0, 0, 5, 0xdc]).payload(about)
}

#[test]
fn an_error_about_what_had_extension_headers_or_was_cut_passes_to_its_sender() {
    let world = world();
    let (web, app) = (world.web, world.app);
    for v6 in [false, true] {
        let asked = Packet::udp(web.ip(v6), app.ip(v6), (4000, 53)).payload(&[7; 64]).ip();
        let mut sent = vec![part(&asked, 3, 0, 48, true)];
        if v6 {
            sent.push(extended(&asked, &[options(HOP_BY_HOP, 0), options(DESTINATION, 3), authentication()]));
            sent.push(part(&extended(&asked, &[options(DESTINATION, 0)]), 4, 0, 48, true));
        }
        for about in &sent {
            let error = world.bridged(&app, &web, whole_quote(app.ip(v6), web.ip(v6), about));
            forget_flows(&world);
            world.drops(FROM, app.ifindex, &error, Reason::NoConnection);
            world.passes(FROM, web.ifindex, &framed(web.mac, app.mac, about));
            let (output, decision) = world.passes(FROM, app.ifindex, &error);
            assert_eq!((decision.judged, decision.ifindex), (0, web.ifindex));
            assert_eq!(output.packet, error);
        }
        // A later fragment has no ports, and nobody is to tell of it (RFC 1122 3.2.2).
        let later = part(&asked, 3, 48, 72, false);
        let error = world.bridged(&app, &web, whole_quote(app.ip(v6), web.ip(v6), &later));
        world.drops(FROM, app.ifindex, &error, Reason::NoConnection);
    }
}
