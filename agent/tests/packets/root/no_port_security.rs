//! An interface without port security sends as nobody, but never as somebody else.

use ringfence_agent::bpf::consts::{RF_IFACE_NO_PORT_SECURITY, RF_IFACE_NOBODY, RF_TABLE_UDP};
use ringfence_agent::bpf::{Addr, Device, Hook, Iface, Reason, SubnetKey};

use crate::builder::{Mac, Packet, arp, ethernet, icmp_error};
use crate::net::{ip, sh};
use crate::world::{
    DOMAIN_ID, GATEWAY_MAC, NEXT_HOP_MAC, OUTSIDE, OUTSIDE_CLASS, OUTSIDE6, UPLINK_MAC, Workload, World, addr_key,
};

const FROM: Hook = Hook::FromWorkload;
const ANY_MAC: Mac = [2, 0xab, 0, 0, 0, 7];
/// An index that nothing has.
const NEW_INDEX: u32 = 6;
/// Of web's device, on the host's side.
const DEVICE_MAC: Mac = [0x02, 0xee, 0, 0, 0, 0x77];

fn world() -> World {
    let mut world = World::new();
    for (from, to) in [(OUTSIDE_CLASS, 2), (1, 2), (2, 1)] {
        world.allow(from, to, RF_TABLE_UDP);
    }
    world.without_port_security(&world.web);
    world
}

#[test]
fn any_mac_and_any_address_that_is_nobodys_pass_and_are_judged_as_outside() {
    let world = world();
    let (web, app) = (world.web, world.app);
    for source in [OUTSIDE, OUTSIDE6, "10.1.0.99", "fd00:1::99"] {
        let packet = Packet::udp(ip(source), app.ip(ip(source).is_ipv6()), (4000, 53));
        for (mac, judged) in [(ANY_MAC, 1), (web.mac, 0)] {
            let (_, decision) = world.passes(FROM, web.ifindex, &packet.clone().macs(mac, app.mac).build());
            assert_eq!((decision.judged, decision.ifindex), (judged, app.ifindex));
            assert_eq!(decision.from_class, if judged == 1 { OUTSIDE_CLASS } else { 0 });
        }
    }
    let own = Packet::udp(web.v4, app.v4, (4000, 53)).macs(ANY_MAC, app.mac).build();
    let (_, decision) = world.passes(FROM, web.ifindex, &own);
    assert_eq!(decision.from_class, 1);
}

#[test]
fn what_answers_an_address_that_is_nobodys_goes_back_to_who_sent_from_it() {
    let world = world();
    let (web, app) = (world.web, world.app);
    for source in [OUTSIDE, "10.1.0.99"] {
        let asked = Packet::udp(ip(source), app.v4, (4000, 53));
        world.passes(FROM, web.ifindex, &asked.macs(ANY_MAC, GATEWAY_MAC).build());
        let answer = Packet::udp(app.v4, ip(source), (53, 4000));
        for judged in [0, 1] {
            let (output, decision) = world.passes(FROM, app.ifindex, &world.routed(&app, answer.clone()));
            assert_eq!((decision.judged, decision.ifindex), (judged, web.ifindex), "{source}");
            assert_eq!(output.packet, answer.clone().ttl(63).macs(GATEWAY_MAC, web.mac).build());
            world.bump_domain();
        }
    }
}

/// Gives web's interface a new index and other flags, as the agent does: first all of it by the new index, then the old
/// one loses its device. No domain is switched, and no address that is nobody's told of it.
fn renew_web(world: &World, flags: u32) {
    let (maps, web) = (world.datapath.maps(), world.web);
    let old = maps.ifaces.get(&web.index).unwrap().unwrap();
    maps.ifaces.put(&NEW_INDEX, &Iface { flags, ..old }).unwrap();
    let device = maps.devices.get(web.ifindex).unwrap().unwrap();
    maps.devices.put(web.ifindex, &Device { r#ref: NEW_INDEX, ..device }).unwrap();
    for address in [web.v4, web.v6] {
        let key = addr_key(DOMAIN_ID, address);
        let addr = maps.addrs.get(&key).unwrap().unwrap();
        maps.addrs.put(&key, &Addr { iface: NEW_INDEX, ..addr }).unwrap();
        world.bump_address(DOMAIN_ID, address);
    }
}

#[test]
fn such_a_flow_ends_when_port_security_begins() {
    for source in ["10.1.0.99", "203.0.113.66"] {
        let world = world();
        let (web, app) = (world.web, world.app);
        let asked = Packet::udp(ip(source), app.v4, (4000, 53)).macs(web.mac, app.mac).build();
        world.passes(FROM, web.ifindex, &asked);
        renew_web(&world, 0);
        let answer = world.routed(&app, Packet::udp(app.v4, ip(source), (53, 4000)));
        for _ in ["current", "stale"] {
            world.drops(FROM, web.ifindex, &asked, Reason::SourceAddress);
            world.drops(FROM, app.ifindex, &answer, Reason::NoRoute);
            world.bump_domain();
        }
    }
}

#[test]
fn what_answers_such_a_flow_never_goes_to_who_has_its_index_next() {
    let world = world();
    let (web, app, cache) = (world.web, world.app, world.cache);
    let asked = Packet::udp(ip("203.0.113.66"), app.v4, (4000, 53)).macs(web.mac, app.mac).build();
    world.passes(FROM, web.ifindex, &asked);
    renew_web(&world, 0);
    let maps = world.datapath.maps();
    let other = maps.ifaces.get(&cache.index).unwrap().unwrap();
    // Not even to one without port security.
    let other = Iface { id: 4242, flags: RF_IFACE_NO_PORT_SECURITY, ..other };
    maps.ifaces.put(&web.index, &other).unwrap();
    let device = maps.devices.get(cache.ifindex).unwrap().unwrap();
    maps.devices.put(cache.ifindex, &Device { r#ref: web.index, ..device }).unwrap();
    let answer = world.routed(&app, Packet::udp(app.v4, ip("203.0.113.66"), (53, 4000)));
    let spoofed = Packet::udp(ip("203.0.113.66"), app.v4, (4000, 53)).macs(cache.mac, GATEWAY_MAC).build();
    let error = icmp_error(app.v4, ip("203.0.113.66"), &Packet::udp(ip("203.0.113.66"), app.v4, (4000, 53)).ip());
    world.drops(FROM, app.ifindex, &world.routed(&app, error), Reason::NoConnection);
    for _ in ["current", "stale"] {
        world.drops(FROM, app.ifindex, &answer, Reason::NoRoute);
        world.drops(FROM, cache.ifindex, &spoofed, Reason::SourceAddress);
        world.bump_domain();
    }
}

#[test]
fn such_a_flow_goes_on_when_its_interface_gets_another_index() {
    let world = world();
    let (web, app) = (world.web, world.app);
    let asked = Packet::udp(ip("203.0.113.66"), app.v4, (4000, 53)).macs(web.mac, app.mac).build();
    let answer = world.routed(&app, Packet::udp(app.v4, ip("203.0.113.66"), (53, 4000)));
    world.passes(FROM, web.ifindex, &asked);
    renew_web(&world, RF_IFACE_NO_PORT_SECURITY);
    for judged in [0, 1] {
        let (_, decision) = world.passes(FROM, app.ifindex, &answer);
        assert_eq!((decision.ifindex, decision.judged), (web.ifindex, judged));
        world.passes(FROM, web.ifindex, &asked);
        world.bump_domain();
    }
}

#[test]
fn addresses_of_others_stay_theirs() {
    let world = world();
    let (web, app) = (world.web, world.app);
    world.pair(&world.cache, "10.9.0.0", 16, world.cache.mac);
    for source in [app.v4, world.cache.v4, world.db.v4, ip("10.1.0.1"), ip("10.2.0.1"), ip("10.9.0.7"), ip("224.0.0.9")]
    {
        for mac in [web.mac, ANY_MAC] {
            let frame = Packet::udp(source, app.v4, (4000, 53)).macs(mac, app.mac).build();
            world.drops(FROM, web.ifindex, &frame, Reason::SourceAddress);
        }
    }
}

#[test]
fn what_changes_hands_is_not_its_to_take() {
    let mut world = world();
    let (web, app) = (world.web, world.app);
    world.classed("10.9.0.0", 16, 1);
    world.pair(&Workload { index: RF_IFACE_NOBODY, ..world.cache }, "10.9.0.0", 16, [0; 6]);
    let frame = Packet::udp(ip("10.9.0.7"), app.v4, (4000, 53)).macs(web.mac, app.mac).build();
    world.drops(FROM, web.ifindex, &frame, Reason::SourceAddress);
    let asks = arp(1, (web.mac, [10, 9, 0, 7]), ([0; 6], [10, 1, 0, 12]));
    world.drops(FROM, web.ifindex, &ethernet([0xff; 6], web.mac, 0x0806, &asks), Reason::ArpSender);
    world.allow(2, 1, RF_TABLE_UDP);
    let there = world.routed(&app, Packet::udp(app.v4, ip("10.9.0.7"), (53, 4000)));
    world.drops(FROM, app.ifindex, &there, Reason::NoRoute);
}

#[test]
fn a_flow_of_outside_is_no_way_in_for_it() {
    let mut world = world();
    world.allow(OUTSIDE_CLASS, 2, RF_TABLE_UDP);
    let (web, app) = (world.web, world.app);
    let packet = Packet::udp(ip(OUTSIDE), app.v4, (4000, 53));
    let outside = packet.clone().macs(NEXT_HOP_MAC, UPLINK_MAC).build();
    world.passes(Hook::FromUplink, world.uplink, &outside);
    let behind = packet.macs(web.mac, app.mac).build();
    for judged in [0, 1] {
        world.drops(FROM, web.ifindex, &behind, Reason::SourceAddress);
        let (_, decision) = world.passes(Hook::FromUplink, world.uplink, &outside);
        assert_eq!(decision.judged, judged);
        world.bump_domain();
    }
}

#[test]
fn nor_is_a_flow_of_its_own_one_for_outside() {
    let world = world();
    let (web, app) = (world.web, world.app);
    let packet = Packet::udp(ip(OUTSIDE), app.v4, (4000, 53));
    let behind = packet.clone().macs(web.mac, app.mac).build();
    world.passes(FROM, web.ifindex, &behind);
    let outside = packet.macs(NEXT_HOP_MAC, UPLINK_MAC).build();
    for judged in [0, 1] {
        world.drops(Hook::FromUplink, world.uplink, &outside, Reason::Spoofed);
        let (_, decision) = world.passes(FROM, web.ifindex, &behind);
        assert_eq!(decision.judged, judged);
        world.bump_domain();
    }
}

#[test]
fn others_on_the_host_are_guarded_as_ever() {
    let world = world();
    let (app, web) = (world.app, world.web);
    let packet = Packet::udp(ip(OUTSIDE), web.v4, (4000, 53));
    world.drops(FROM, app.ifindex, &packet.clone().macs(app.mac, web.mac).build(), Reason::SourceAddress);
    world.drops(FROM, app.ifindex, &packet.macs(ANY_MAC, web.mac).build(), Reason::SourceMac);
}

#[test]
fn nobody_votes_between_nobodys_address_and_the_uplink_or_the_host_so_it_is_denied() {
    let mut world = world();
    let web = world.web;
    // As a domain is that allows by default.
    world.allow(0, 0, RF_TABLE_UDP);
    sh("ip link set dev web address 02:ee:00:00:00:77");
    let source = ip("203.0.113.66");
    let outside = Packet::udp(source, ip(OUTSIDE), (4000, 53)).macs(web.mac, GATEWAY_MAC).build();
    let host = Packet::udp(source, ip("192.168.9.1"), (4000, 53)).macs(web.mac, DEVICE_MAC).build();
    for frame in [outside, host] {
        let decision = world.drops(FROM, web.ifindex, &frame, Reason::PolicyDeny);
        assert_eq!((decision.judged, decision.allows, decision.from_class), (1, 0, OUTSIDE_CLASS));
    }
    let own = Packet::udp(web.v4, ip(OUTSIDE), (4000, 53)).macs(web.mac, GATEWAY_MAC).build();
    world.passes(FROM, web.ifindex, &own);
}

#[test]
fn such_a_flow_to_a_workload_ends_when_the_workload_leaves() {
    let mut world = world();
    world.allow(0, 0, RF_TABLE_UDP);
    let (web, app) = (world.web, world.app);
    let asked = Packet::udp(ip("203.0.113.66"), app.v4, (4000, 53));
    let asked = asked.macs(web.mac, GATEWAY_MAC).build();
    world.passes(FROM, web.ifindex, &asked);
    let maps = world.datapath.maps();
    maps.addrs.delete(&addr_key(DOMAIN_ID, app.v4)).unwrap();
    let subnet = SubnetKey { prefixlen: 32 + 96 + 24, domain_id: DOMAIN_ID, ip: ip("10.1.0.0").into() };
    maps.subnets.delete(&subnet).unwrap();
    world.bump_domain();
    world.drops(FROM, web.ifindex, &asked, Reason::PolicyDeny);
}

#[test]
fn arp_may_bear_any_mac_and_nobodys_address() {
    let world = world();
    let (web, app) = (world.web, world.app);
    let asks = |mac: Mac, sender| ethernet([0xff; 6], mac, 0x0806, &arp(1, (mac, sender), ([0; 6], [10, 1, 0, 12])));
    for sender in [[10, 1, 0, 11], [10, 1, 0, 99], [203, 0, 113, 9]] {
        let (output, _) = world.passes(FROM, web.ifindex, &asks(ANY_MAC, sender));
        assert_eq!((&output.packet[..6], &output.packet[6..12]), (&ANY_MAC[..], &app.mac[..]));
    }
    for sender in [[10, 1, 0, 12], [10, 2, 0, 13], [10, 1, 0, 1]] {
        world.drops(FROM, web.ifindex, &asks(ANY_MAC, sender), Reason::ArpSender);
    }
}
