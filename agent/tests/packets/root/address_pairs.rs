//! Addresses and MACs beside an interface's own: who may send as them, and where they are.

use ringfence_agent::bpf::consts::RF_TABLE_UDP;
use ringfence_agent::bpf::{Action, Datapath, Hook, Reason, SubnetKey, TestContext, Tunnel};

use crate::builder::{Mac, Packet, arp, ethernet, icmp_error};
use crate::net::ip;
use crate::world::{BACK, DOMAIN_ID, FAR_V4, GATEWAY_MAC, NEXT_HOP_MAC, UPLINK_MAC, Workload, World, addr_key};

const FROM: Hook = Hook::FromWorkload;
/// Of app's pair 10.9.0.0/16 and fd09::/32.
const PAIR_MAC: Mac = [0, 0, 0x5e, 0, 1, 9];
const PAIRED: [&str; 2] = ["10.9.0.7", "fd09::7"];
/// Class of app's pair.
const CLASS: u32 = 7;

/// app has the pair; what web and it send each other by UDP is allowed.
fn world() -> World {
    let mut world = World::new();
    for (prefix, bits) in [("10.9.0.0", 16), ("fd09::", 32)] {
        world.pair(&world.app, prefix, bits, PAIR_MAC);
        world.classed(prefix, bits, CLASS);
    }
    for (from, to) in [(1, CLASS), (CLASS, 1), (CLASS, 3), (3, CLASS), (9, CLASS), (CLASS, 9)] {
        world.allow(from, to, RF_TABLE_UDP);
    }
    world
}

#[test]
fn a_pairs_address_is_sent_from_by_its_interface_with_its_own_mac_or_the_pairs() {
    let world = world();
    let (web, app) = (world.web, world.app);
    for (port, source) in PAIRED.into_iter().enumerate() {
        let packet = Packet::udp(ip(source), web.ip(ip(source).is_ipv6()), (1, 10 + port as u16));
        for mac in [app.mac, PAIR_MAC] {
            let (_, decision) = world.passes(FROM, app.ifindex, &packet.clone().macs(mac, web.mac).build());
            assert_eq!(decision.ifindex, web.ifindex);
        }
        let other = packet.clone().macs(world.cache.mac, web.mac).build();
        world.drops(FROM, app.ifindex, &other, Reason::SourceMac);
        let thief = packet.macs(world.cache.mac, GATEWAY_MAC).build();
        world.drops(FROM, world.cache.ifindex, &thief, Reason::SourceAddress);
    }
    // The pair's MAC is for the pair's addresses only.
    let own = Packet::udp(app.v4, web.v4, (1, 2)).macs(PAIR_MAC, web.mac).build();
    world.drops(FROM, app.ifindex, &own, Reason::SourceMac);
    let beyond = Packet::udp(ip("10.10.0.1"), web.v4, (1, 2)).macs(PAIR_MAC, web.mac).build();
    world.drops(FROM, app.ifindex, &beyond, Reason::SourceMac);
}

#[test]
fn a_pairs_address_is_judged_by_its_prefixes_class_and_its_flow_goes_both_ways() {
    let world = world();
    let (web, app) = (world.web, world.app);
    for paired in PAIRED.map(ip) {
        let own = web.ip(paired.is_ipv6());
        let there = Packet::udp(own, paired, (4000, 53)).macs(web.mac, PAIR_MAC).build();
        let back = Packet::udp(paired, own, (53, 4000)).macs(PAIR_MAC, web.mac).build();
        let (_, decision) = world.passes(FROM, web.ifindex, &there);
        assert_eq!((decision.ifindex, decision.from_class, decision.to_class), (app.ifindex, 1, CLASS));
        for (ifindex, frame) in [(app.ifindex, &back), (web.ifindex, &there)] {
            let (_, decision) = world.passes(FROM, ifindex, frame);
            assert_eq!(decision.judged, 0);
        }
        world.bump_address(DOMAIN_ID, paired);
        let (_, decision) = world.passes(FROM, app.ifindex, &back);
        assert_eq!(decision.judged, 1);
    }
    assert_eq!(world.only_conn().1.iface, [web.index, app.index], "web has no lesser address than 10.9: {PAIRED:?}");
}

#[test]
fn a_frame_to_a_pairs_address_bears_the_pairs_mac() {
    let world = world();
    let (web, app, cache) = (world.web, world.app, world.cache);
    for paired in PAIRED.map(ip) {
        let v6 = paired.is_ipv6();
        let near = Packet::udp(web.ip(v6), paired, (4000, 53));
        world.drops(FROM, web.ifindex, &near.clone().macs(web.mac, app.mac).build(), Reason::DestinationMac);
        world.passes(FROM, web.ifindex, &near.clone().macs(web.mac, PAIR_MAC).build());
        world.drops(FROM, web.ifindex, &near.macs(web.mac, app.mac).build(), Reason::DestinationMac);
        // Twice: as the first packet, and by the connection.
        let far = Packet::udp(cache.ip(v6), paired, (4000, 53));
        for judged in [1, 0] {
            let (output, decision) = world.passes(FROM, cache.ifindex, &world.routed(&cache, far.clone()));
            assert_eq!((decision.judged, decision.ifindex), (judged, app.ifindex));
            assert_eq!(output.packet, far.clone().ttl(63).macs(GATEWAY_MAC, PAIR_MAC).build());
        }
    }
    // Its own address keeps its own MAC, also by an entry within the pair.
    world.put_workload(1, DOMAIN_ID, &Workload { v4: ip("10.9.0.8"), class: CLASS, ..app });
    let own = Packet::udp(web.v4, ip("10.9.0.8"), (4000, 53));
    world.drops(FROM, web.ifindex, &own.clone().macs(web.mac, PAIR_MAC).build(), Reason::DestinationMac);
    world.passes(FROM, web.ifindex, &own.macs(web.mac, app.mac).build());
}

#[test]
fn of_nested_pairs_the_longest_counts_and_an_interfaces_own_address_before_all() {
    let world = world();
    let (web, app, cache) = (world.web, world.app, world.cache);
    world.pair(&cache, "10.9.1.0", 24, cache.mac);
    let from = |source, workload: &Workload| Packet::udp(ip(source), web.v4, (1, 2)).macs(workload.mac, GATEWAY_MAC);
    world.passes(FROM, cache.ifindex, &from("10.9.1.5", &cache).build());
    world.drops(FROM, app.ifindex, &from("10.9.1.6", &app).build(), Reason::SourceAddress);
    world.passes(FROM, app.ifindex, &from("10.9.2.5", &app).build());
    world.put_workload(1, DOMAIN_ID, &Workload { v4: ip("10.9.2.9"), class: CLASS, ..cache });
    world.drops(FROM, app.ifindex, &from("10.9.2.9", &app).build(), Reason::SourceAddress);
    world.passes(FROM, cache.ifindex, &from("10.9.2.9", &cache).build());
}

#[test]
fn a_pairs_address_never_comes_in_from_outside_nor_from_another_host() {
    let world = world();
    let packet = Packet::udp(ip(PAIRED[0]), world.web.v4, (1, 2));
    let outside = packet.clone().macs(NEXT_HOP_MAC, UPLINK_MAC).build();
    world.drops(Hook::FromUplink, world.uplink, &outside, Reason::Spoofed);
    let mut dry = Datapath::open_dry(&world.options).unwrap();
    let tunnel = Some(Tunnel { vni: world.web.vni, remote: ip(FAR_V4) });
    let context = TestContext { ifindex: world.overlay, tunnel, ..TestContext::default() };
    let frame = packet.macs(GATEWAY_MAC, world.web.mac).build();
    let decision = dry.decide(Hook::FromOverlay, &frame, &context).unwrap();
    assert_eq!(Reason::from_number(decision.reason), Some(Reason::OuterSource));
    // Of a workload on that host it comes from there.
    world.pair(&world.db, "10.9.0.0", 16, PAIR_MAC);
    let decision = dry.decide(Hook::FromOverlay, &frame, &context).unwrap();
    assert_eq!((decision.reason, decision.ifindex), (0, world.web.ifindex));
}

#[test]
fn a_pairs_address_on_another_host_is_reached_there_by_its_mac() {
    let mut world = world();
    world.pair(&world.db, "10.9.0.0", 16, PAIR_MAC);
    world.allow(1, CLASS, RF_TABLE_UDP);
    let web = world.web;
    let packet = Packet::udp(web.v4, ip(PAIRED[0]), (4000, 53));
    let (output, decision) = world.passes(FROM, web.ifindex, &world.routed(&web, packet.clone()));
    assert_eq!((decision.action, decision.vni, decision.remote_host), (Action::RF_ACTION_OVERLAY, BACK, world.db.host));
    assert_eq!(output.packet, packet.ttl(63).macs(GATEWAY_MAC, PAIR_MAC).build());
}

/// An ARP question of a workload as a MAC (of frame and of sender) with an address.
fn asks(macs: (Mac, Mac), sender: [u8; 4], target: [u8; 4]) -> Vec<u8> {
    ethernet([0xff; 6], macs.0, 0x0806, &arp(1, (macs.1, sender), ([0; 6], target)))
}

#[test]
fn arp_for_a_pairs_address_is_answered_with_the_pairs_mac() {
    let world = world();
    let (web, app) = (world.web, world.app);
    let (output, _) = world.passes(FROM, web.ifindex, &asks((web.mac, web.mac), [10, 1, 0, 11], [10, 9, 0, 7]));
    let answer = arp(2, (PAIR_MAC, [10, 9, 0, 7]), (web.mac, [10, 1, 0, 11]));
    assert_eq!(output.packet, ethernet(web.mac, PAIR_MAC, 0x0806, &answer));
    // Not to who has it, and not in another network.
    let own = asks((app.mac, app.mac), [10, 1, 0, 12], [10, 9, 0, 7]);
    world.drops(FROM, app.ifindex, &own, Reason::UnansweredNeighbour);
    let cache = world.cache;
    let elsewhere = asks((cache.mac, cache.mac), [10, 2, 0, 13], [10, 9, 0, 7]);
    world.drops(FROM, cache.ifindex, &elsewhere, Reason::UnansweredNeighbour);
}

#[test]
fn arp_speaks_for_a_pairs_address_with_its_own_mac_or_the_pairs() {
    let world = world();
    let (web, app) = (world.web, world.app);
    for macs in [(app.mac, app.mac), (app.mac, PAIR_MAC), (PAIR_MAC, PAIR_MAC)] {
        let (output, _) = world.passes(FROM, app.ifindex, &asks(macs, [10, 9, 0, 7], [10, 1, 0, 11]));
        assert_eq!((&output.packet[..6], &output.packet[6..12]), (&macs.0[..], &web.mac[..]));
    }
    for (macs, sender, reason) in [
        ((PAIR_MAC, PAIR_MAC), [10, 1, 0, 12], Reason::SourceMac),
        ((app.mac, PAIR_MAC), [10, 1, 0, 12], Reason::ArpSender),
        ((app.mac, app.mac), [10, 10, 0, 7], Reason::ArpSender),
        ((app.mac, web.mac), [10, 9, 0, 7], Reason::ArpSender),
    ] {
        world.drops(FROM, app.ifindex, &asks(macs, sender, [10, 1, 0, 11]), reason);
    }
    let thief = asks((web.mac, web.mac), [10, 9, 0, 7], [10, 1, 0, 12]);
    world.drops(FROM, web.ifindex, &thief, Reason::ArpSender);
}

#[test]
fn neighbour_discovery_knows_pairs_too() {
    let world = world();
    let (web, app) = (world.web, world.app);
    let solicitation = |src, mac, target: &str| {
        let std::net::IpAddr::V6(target) = ip(target) else { panic!("{target} is not IPv6") };
        let packet = Packet::icmp(src, ip("ff02::1:ff00:7"), (135, 0), [0; 4]).payload(&target.octets());
        packet.ttl(255).macs(mac, [0x33, 0x33, 0xff, 0, 0, 7]).build()
    };
    let (output, _) = world.passes(FROM, web.ifindex, &solicitation(web.v6, web.mac, PAIRED[1]));
    assert_eq!(output.packet[6..12], PAIR_MAC);
    assert!(output.packet.ends_with(&PAIR_MAC));
    let (output, _) = world.passes(FROM, app.ifindex, &solicitation(ip(PAIRED[1]), PAIR_MAC, "fd00:1::11"));
    assert_eq!((&output.packet[..6], &output.packet[6..12]), (&PAIR_MAC[..], &web.mac[..]));
    world.drops(FROM, web.ifindex, &solicitation(ip(PAIRED[1]), web.mac, "fd00:1::12"), Reason::ArpSender);
}

#[test]
fn an_error_about_a_pairs_flow_comes_back_to_it() {
    let world = world();
    let (web, app) = (world.web, world.app);
    let asked = Packet::udp(ip(PAIRED[0]), web.v4, (4000, 53));
    world.passes(FROM, app.ifindex, &asked.clone().macs(PAIR_MAC, web.mac).build());
    let error = icmp_error(web.v4, ip(PAIRED[0]), &asked.ip());
    let (_, decision) = world.passes(FROM, web.ifindex, &error.macs(web.mac, PAIR_MAC).build());
    assert_eq!(decision.ifindex, app.ifindex);
}

#[test]
fn a_pair_that_is_gone_ends_its_flows() {
    let world = world();
    let (web, app) = (world.web, world.app);
    let frame = Packet::udp(ip(PAIRED[0]), web.v4, (4000, 53)).macs(app.mac, web.mac).build();
    world.passes(FROM, app.ifindex, &frame);
    let key = SubnetKey { prefixlen: 32 + 96 + 16, domain_id: DOMAIN_ID, ip: ip("10.9.0.0").into() };
    world.datapath.maps().subnets.delete(&key).unwrap();
    world.bump_domain();
    world.drops(FROM, app.ifindex, &frame, Reason::SourceAddress);
    assert!(world.datapath.maps().addrs.get(&addr_key(DOMAIN_ID, app.v4)).unwrap().is_some());
}
