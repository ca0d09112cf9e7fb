//! To and from other hosts, by real VXLAN: a test run has no tunnel key.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use ringfence_agent::bpf::consts::{RF_IFACE_BARE_METAL, RF_TABLE_UDP};
use ringfence_agent::bpf::{Action, Hook, Iface, Reason};

use crate::builder::{Packet, arp, ethernet};
use crate::far::{FarHost, STRANGER, VXLAN_PORT};
use crate::guest::Guest;
use crate::net::ip;
use crate::pieces::{fragments, framed};
use crate::world::{
    BACK, DOMAIN, FAR, FAR_V4, FAR_V6, FRONT, GATEWAY_MAC, NEXT_HOP_MAC, OUTSIDE, TRANSIT, UPLINK_MAC, World,
};

/// The other host, with what the flows here need.
fn far_host() -> FarHost {
    let mut far = FarHost::new();
    for (from, to) in [(4, 1), (1, 4), (9, 1), (1, 9), (4, 9), (4, 3)] {
        far.world.allow(from, to, RF_TABLE_UDP);
    }
    far
}

/// From db, routed by its host, to web.
fn to_web(world: &World, v6: bool) -> Packet {
    let packet = Packet::udp(world.db.ip(v6), world.web.ip(v6), (4000, 53));
    packet.macs(GATEWAY_MAC, world.web.mac)
}

#[test]
fn a_frame_from_the_senders_host_is_delivered_over_both_underlays() {
    let far = far_host();
    for (outer, v6) in [(FAR_V4, false), (FAR_V4, true), (FAR_V6, false), (FAR_V6, true)] {
        let decision = far.sends(outer, FRONT, &to_web(&far.world, v6).build());
        assert_eq!(Reason::from_number(decision.reason), None);
        assert_eq!((decision.action, decision.ifindex), (Action::RF_ACTION_LOCAL, far.world.web.ifindex));
    }
}

#[test]
fn a_frame_from_another_host_is_refused_also_for_a_known_flow() {
    let far = far_host();
    let frame = to_web(&far.world, false).build();
    far.refused(STRANGER, FRONT, &frame, Reason::OuterSource);
    far.sends(FAR_V4, FRONT, &frame);
    far.refused(STRANGER, FRONT, &frame, Reason::OuterSource);
    assert_eq!(far.sends(FAR_V4, FRONT, &frame).reason, 0);
}

#[test]
fn sources_of_this_host_and_of_nobody_are_refused() {
    let far = far_host();
    let world = &far.world;
    for source in [world.app.v4, world.cache.v4, ip("10.1.0.1"), ip("10.2.0.99"), ip(OUTSIDE)] {
        let packet = Packet::udp(source, world.web.v4, (4000, 53));
        far.refused(FAR_V4, FRONT, &packet.macs(GATEWAY_MAC, world.web.mac).build(), Reason::OuterSource);
    }
    // Outside comes from the uplink's host, once that is the other one.
    world.uplink_at(FAR);
    let packet = Packet::udp(ip(OUTSIDE), world.web.v4, (4000, 53));
    let frame = packet.macs(GATEWAY_MAC, world.web.mac).build();
    assert_eq!(far.sends(FAR_V4, FRONT, &frame).reason, 0);
    far.refused(STRANGER, FRONT, &frame, Reason::OuterSource);
}

/// A machine is reached by the domain's uplink, so its packets come by the overlay from there, and from nowhere else: least
/// of all from the host that the machine is.
#[test]
fn a_bare_metal_machine_comes_only_from_the_uplinks_host() {
    let far = far_host();
    let maps = far.world.datapath.maps();
    let iface = maps.ifaces.get(&far.world.db.index).unwrap().unwrap();
    maps.ifaces.put(&far.world.db.index, &Iface { flags: RF_IFACE_BARE_METAL, ..iface }).unwrap();
    let frame = to_web(&far.world, false).build();
    far.refused(FAR_V4, FRONT, &frame, Reason::OuterSource);
    let domain = maps.domains.get(&DOMAIN).unwrap().unwrap();
    far.world.uplink_at(FAR);
    let decision = far.sends(FAR_V4, FRONT, &frame);
    assert_eq!((decision.reason, decision.ifindex), (0, far.world.web.ifindex));
    // Nor once the flow is established.
    let answer = Packet::udp(far.world.web.v4, far.world.db.v4, (53, 4000));
    far.world.passes(Hook::FromWorkload, far.world.web.ifindex, &far.world.routed(&far.world.web, answer));
    assert_eq!(far.sends(FAR_V4, FRONT, &frame).reason, 0);
    maps.domains.put(&DOMAIN, &domain).unwrap();
    far.refused(FAR_V4, FRONT, &frame, Reason::OuterSource);
}

#[test]
fn the_vni_is_known_and_the_destinations() {
    let far = far_host();
    let frame = to_web(&far.world, false).build();
    far.refused(FAR_V4, 4_000_000, &frame, Reason::UnknownVni);
    far.refused(FAR_V4, BACK, &frame, Reason::WrongVni);
    far.refused(FAR_V4, TRANSIT, &frame, Reason::WrongVni);
}

#[test]
fn the_transit_network_leads_to_the_uplink_and_nowhere_else() {
    let far = far_host();
    let world = &far.world;
    let packet = Packet::udp(world.db.v4, ip(OUTSIDE), (4000, 53)).macs(GATEWAY_MAC, GATEWAY_MAC);
    let decision = far.sends(FAR_V4, TRANSIT, &packet.build());
    assert_eq!((decision.action, decision.ifindex), (Action::RF_ACTION_UPLINK, world.uplink));
    far.refused(FAR_V4, BACK, &packet.build(), Reason::WrongVni);
}

#[test]
fn frames_that_no_host_of_ours_sends_are_refused() {
    let far = far_host();
    let world = &far.world;
    let wrong_mac = to_web(&far.world, false).macs(GATEWAY_MAC, world.app.mac).build();
    far.refused(FAR_V4, FRONT, &wrong_mac, Reason::DestinationMac);
    let question = arp(1, (world.db.mac, [10, 2, 0, 14]), ([0; 6], [10, 1, 0, 11]));
    let frame = ethernet([0xff; 6], world.db.mac, 0x0806, &question);
    far.refused(FAR_V4, FRONT, &frame, Reason::UnansweredNeighbour);
    let group = Packet::udp(world.db.v4, ip("224.0.0.9"), (1, 2)).macs(GATEWAY_MAC, [1, 0, 0x5e, 0, 0, 9]);
    far.refused(FAR_V4, FRONT, &group.build(), Reason::Multicast);
    assert!(world.datapath.maps().domains.get(&DOMAIN).unwrap().is_some());
}

/// What arrives at the other host when web sends one datagram to `target`.
fn received(far: &mut FarHost, web: &Guest, listen: &str, target: IpAddr) -> (SocketAddr, Vec<u8>) {
    let listen = SocketAddr::new(ip(listen), VXLAN_PORT);
    let socket = far.guest.inside(move || UdpSocket::bind(listen).unwrap());
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    web.inside(move || {
        let any = if target.is_ipv4() { "0.0.0.0:4000" } else { "[::]:4000" };
        UdpSocket::bind(any).unwrap().send_to(b"hello", SocketAddr::new(target, 53)).unwrap()
    });
    let mut datagram = vec![0; 2000];
    let (length, from) = socket.recv_from(&mut datagram).unwrap();
    datagram.truncate(length);
    (from, datagram)
}

#[test]
fn a_packet_to_another_host_bears_its_vni_and_its_final_macs() {
    let mut far = far_host();
    let workload = far.world.web;
    let web = Guest::workload(&mut far.world, "web", &workload);
    for (underlay, flags, here) in
        [(FAR_V4, 0, "198.51.100.1"), (FAR_V6, ringfence_agent::bpf::consts::RF_HOST_V6, "2001:db8:f::1")]
    {
        let maps = far.world.datapath.maps();
        let mut host = maps.hosts.get(&FAR).unwrap().unwrap();
        host.flags = flags;
        maps.hosts.put(&FAR, &host).unwrap();
        for v6 in [false, true] {
            let (src, dst) = (workload.ip(v6), far.world.db.ip(v6));
            let (from, datagram) = received(&mut far, &web, underlay, dst);
            assert_eq!(from.ip(), ip(here));
            assert_eq!(datagram[..4], [8, 0, 0, 0]);
            assert_eq!(datagram[4..8], (BACK << 8).to_be_bytes());
            let inner = &datagram[8..];
            assert_eq!((&inner[..6], &inner[6..12]), (&far.world.db.mac[..], &GATEWAY_MAC[..]));
            let ttl = if v6 { inner[14 + 7] } else { inner[14 + 8] };
            assert_eq!(ttl, 63);
            assert!(inner.ends_with(b"hello"), "{src} to {dst}");
        }
    }
}

#[test]
fn fragments_come_in_after_their_first_one_and_from_its_host() {
    let far = far_host();
    let world = &far.world;
    for v6 in [false, true] {
        let packet = Packet::udp(world.db.ip(v6), world.web.ip(v6), (4000, 53)).payload(&[7; 100]).ip();
        let pieces = fragments(&packet, 7, &[48]).into_iter().map(|piece| framed(GATEWAY_MAC, world.web.mac, &piece));
        let [first, later] = &pieces.collect::<Vec<_>>()[..] else { panic!("two pieces") };
        far.refused(FAR_V4, FRONT, later, Reason::Fragment);
        far.refused(STRANGER, FRONT, first, Reason::OuterSource);
        far.refused(FAR_V4, FRONT, later, Reason::Fragment);
        assert_eq!(far.sends(FAR_V4, FRONT, first).reason, 0);
        far.refused(STRANGER, FRONT, later, Reason::OuterSource);
        let decision = far.sends(FAR_V4, FRONT, later);
        assert_eq!((decision.reason, decision.ifindex), (0, world.web.ifindex));
    }
}

#[test]
fn an_answer_must_come_by_the_way_on_which_its_source_lives() {
    let far = far_host();
    let world = &far.world;
    let (web, db) = (world.web, world.db);
    // web asks db, which is on the other host, and the outside, by the uplink here.
    for to in [db.v4, ip(OUTSIDE)] {
        let frame = world.routed(&web, Packet::udp(web.v4, to, (4000, 53)));
        world.passes(Hook::FromWorkload, web.ifindex, &frame);
    }
    let answer = |from: IpAddr| Packet::udp(from, web.v4, (53, 4000));
    let by_overlay = |from| answer(from).macs(GATEWAY_MAC, web.mac).build();
    let by_uplink = |from| answer(from).macs(NEXT_HOP_MAC, UPLINK_MAC).build();
    far.refused(STRANGER, FRONT, &by_overlay(db.v4), Reason::OuterSource);
    far.refused(FAR_V4, FRONT, &by_overlay(ip(OUTSIDE)), Reason::OuterSource);
    world.drops(Hook::FromUplink, world.uplink, &by_uplink(db.v4), Reason::Spoofed);
    let by_another = answer(db.v4).macs(world.cache.mac, GATEWAY_MAC).build();
    world.drops(Hook::FromWorkload, world.cache.ifindex, &by_another, Reason::SourceAddress);

    let decision = far.sends(FAR_V4, FRONT, &by_overlay(db.v4));
    assert_eq!((decision.reason, decision.judged), (0, 0), "by its connection");
    // Now that it is established, too.
    far.refused(STRANGER, FRONT, &by_overlay(db.v4), Reason::OuterSource);
    let (_, decision) = world.passes(Hook::FromUplink, world.uplink, &by_uplink(ip(OUTSIDE)));
    assert_eq!(decision.judged, 0);
    // Where the uplink is the other host's by now, its way is the right one, and the flow goes on.
    world.uplink_at(FAR);
    let decision = far.sends(FAR_V4, FRONT, &by_overlay(ip(OUTSIDE)));
    assert_eq!((decision.reason, decision.judged), (0, 0));
    far.refused(STRANGER, FRONT, &by_overlay(ip(OUTSIDE)), Reason::OuterSource);
}
