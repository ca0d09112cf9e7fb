//! In and out of the domain.

use ringfence_agent::bpf::consts::{RF_HOST_NONE, RF_TABLE_TCP, RF_TABLE_UDP};
use ringfence_agent::bpf::{Action, Hook, Reason, TestContext};

use crate::builder::{ACK, Packet, SYN, arp, ethernet};
use crate::net::ip;
use crate::world::{BACK, FAR, FRONT, GATEWAY_MAC, NEXT_HOP_MAC, OUTSIDE, TRANSIT, UPLINK_MAC, World};

fn world() -> World {
    let mut world = World::new();
    for (from, to) in [(1, 9), (9, 1), (9, 4)] {
        world.allow(from, to, RF_TABLE_TCP);
    }
    world
}

fn from_outside(packet: Packet) -> Vec<u8> {
    packet.macs(NEXT_HOP_MAC, UPLINK_MAC).build()
}

#[test]
fn a_packet_to_outside_leaves_by_the_uplink_and_its_reply_comes_back() {
    let world = world();
    let (web, outside) = (world.web, ip(OUTSIDE));
    let out = world.routed(&web, Packet::tcp(web.v4, outside, (4000, 443), SYN));
    let (output, decision) = world.passes(Hook::FromWorkload, web.ifindex, &out);
    assert_eq!((decision.action, decision.ifindex), (Action::RF_ACTION_UPLINK, world.uplink));
    assert_eq!(decision.to_class, 9);
    assert_eq!(output.packet[22], 63, "TTL");
    let reply = from_outside(Packet::tcp(outside, web.v4, (443, 4000), SYN | ACK));
    let (output, decision) = world.passes(Hook::FromUplink, world.uplink, &reply);
    assert_eq!((decision.judged, decision.ifindex), (0, web.ifindex));
    let expected = Packet::tcp(outside, web.v4, (443, 4000), SYN | ACK).ttl(63);
    assert_eq!(output.packet, expected.macs(GATEWAY_MAC, web.mac).build());
}

#[test]
fn the_uplink_of_another_host_is_reached_by_the_transit_network() {
    let world = world();
    world.uplink_at(FAR);
    let web = world.web;
    let out = world.routed(&web, Packet::tcp(web.v4, ip(OUTSIDE), (4000, 443), SYN));
    let (output, decision) = world.passes(Hook::FromWorkload, web.ifindex, &out);
    assert_eq!(decision.action, Action::RF_ACTION_OVERLAY);
    assert_eq!((decision.vni, decision.remote_host, decision.ifindex), (TRANSIT, FAR, world.overlay));
    assert_eq!(&output.packet[..6], GATEWAY_MAC);
}

#[test]
fn a_domain_without_an_uplink_has_no_route_out() {
    let world = world();
    world.uplink_at(RF_HOST_NONE);
    let out = world.routed(&world.web, Packet::tcp(world.web.v4, ip(OUTSIDE), (4000, 443), SYN));
    world.drops(Hook::FromWorkload, world.web.ifindex, &out, Reason::NoRoute);
}

#[test]
fn what_comes_in_goes_to_its_network_here_or_by_the_overlay() {
    let world = world();
    let outside = ip(OUTSIDE);
    let here = from_outside(Packet::tcp(outside, world.web.v4, (4000, 443), SYN));
    let (_, decision) = world.passes(Hook::FromUplink, world.uplink, &here);
    assert_eq!((decision.action, decision.ifindex), (Action::RF_ACTION_LOCAL, world.web.ifindex));
    let there = from_outside(Packet::tcp(outside, world.db.v4, (4000, 443), SYN));
    let (output, decision) = world.passes(Hook::FromUplink, world.uplink, &there);
    assert_eq!((decision.vni, decision.remote_host), (BACK, FAR));
    assert_eq!((&output.packet[..6], &output.packet[6..12]), (&world.db.mac[..], &GATEWAY_MAC[..]));
    assert_ne!(BACK, FRONT);
    let unasked = from_outside(Packet::udp(outside, world.web.v4, (4000, 443)));
    world.drops(Hook::FromUplink, world.uplink, &unasked, Reason::PolicyDeny);
}

#[test]
fn sources_of_the_domains_own_and_other_nonsense_do_not_come_in() {
    let world = world();
    for source in ["10.1.0.12", "10.1.0.1", "10.1.0.77", "10.2.0.14", "224.0.0.1"] {
        let frame = from_outside(Packet::tcp(ip(source), world.web.v4, (4000, 443), SYN));
        world.drops(Hook::FromUplink, world.uplink, &frame, Reason::Spoofed);
    }
    // Nor by way of a connection between two interfaces.
    let mut world = world;
    world.allow(1, 2, RF_TABLE_UDP);
    let packet = Packet::udp(world.web.v4, world.app.v4, (1, 2));
    let frame = world.bridged(&world.web, &world.app, packet);
    world.passes(Hook::FromWorkload, world.web.ifindex, &frame);
    let back = from_outside(Packet::udp(world.app.v4, world.web.v4, (2, 1)));
    world.drops(Hook::FromUplink, world.uplink, &back, Reason::Spoofed);
}

#[test]
fn what_is_for_no_interface_goes_nowhere() {
    let world = world();
    for (target, reason) in [
        ("10.1.0.1", Reason::GatewayService),
        ("10.1.0.77", Reason::NoRoute),
        ("198.51.100.77", Reason::PolicyDeny),
        ("224.0.0.5", Reason::Multicast),
    ] {
        let frame = from_outside(Packet::tcp(ip(OUTSIDE), ip(target), (4000, 443), SYN));
        world.drops(Hook::FromUplink, world.uplink, &frame, reason);
    }
    let elsewhere = Packet::tcp(ip(OUTSIDE), world.web.v4, (4000, 443), SYN);
    let frame = elsewhere.macs(NEXT_HOP_MAC, [2, 9, 9, 9, 9, 9]).build();
    world.drops(Hook::FromUplink, world.uplink, &frame, Reason::DestinationMac);
}

#[test]
fn outside_never_passes_through_to_outside() {
    let mut world = world();
    // As a domain is that allows by default: nobody votes.
    world.allow(0, 0, RF_TABLE_TCP);
    let frame = from_outside(Packet::tcp(ip(OUTSIDE), ip("198.51.100.77"), (4000, 443), SYN));
    let decision = world.drops(Hook::FromUplink, world.uplink, &frame, Reason::PolicyDeny);
    assert_eq!((decision.judged, decision.allows), (1, 0));
}

#[test]
fn neighbours_on_the_uplink_are_the_stacks_and_routers_there_are_not() {
    let world = world();
    let question = arp(1, (NEXT_HOP_MAC, [192, 0, 2, 1]), ([0; 6], [192, 0, 2, 2]));
    let frame = ethernet([0xff; 6], NEXT_HOP_MAC, 0x0806, &question);
    let (output, decision) = world.passes(Hook::FromUplink, world.uplink, &frame);
    assert_eq!((output.action, decision.action), (-1, Action::RF_ACTION_STACK));
    let nd = |kind, ttl| {
        Packet::icmp(ip("2001:db8::1"), ip("ff02::1"), (kind, 0), [0; 4])
            .payload(&[0; 16])
            .ttl(ttl)
            .macs(NEXT_HOP_MAC, [0x33, 0x33, 0, 0, 0, 1])
            .build()
    };
    world.passes(Hook::FromUplink, world.uplink, &nd(135, 255));
    world.passes(Hook::FromUplink, world.uplink, &nd(136, 255));
    world.drops(Hook::FromUplink, world.uplink, &nd(135, 64), Reason::UnansweredNeighbour);
    world.drops(Hook::FromUplink, world.uplink, &nd(134, 255), Reason::UnansweredNeighbour);
}

#[test]
fn only_admitted_packets_and_questions_for_the_next_hop_leave() {
    let world = world();
    let packet = Packet::udp(ip("192.0.2.2"), ip(OUTSIDE), (1, 2)).macs(UPLINK_MAC, NEXT_HOP_MAC);
    world.drops(Hook::ToUplink, world.uplink, &packet.build(), Reason::FromHost);
    let marked = TestContext { ifindex: world.uplink, mark: world.datapath.mark(), ..TestContext::default() };
    let output = world.datapath.test_run(Hook::ToUplink, &packet.build(), &marked).unwrap();
    assert_eq!((output.action, output.mark), (-1, 0), "the mark ends here");
    let ask = |target| {
        let question = arp(1, (UPLINK_MAC, [192, 0, 2, 2]), ([0; 6], target));
        ethernet([0xff; 6], UPLINK_MAC, 0x0806, &question)
    };
    world.passes(Hook::ToUplink, world.uplink, &ask([192, 0, 2, 1]));
    world.drops(Hook::ToUplink, world.uplink, &ask([192, 0, 2, 7]), Reason::FromHost);
}
