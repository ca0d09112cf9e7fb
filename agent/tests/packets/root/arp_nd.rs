//! ARP and neighbour discovery.

use std::net::IpAddr;

use ringfence_agent::bpf::{Action, Hook, Reason};

use crate::builder::{Mac, Packet, arp, ethernet};
use crate::checksum::assert_right;
use crate::net::ip;
use crate::world::{GATEWAY_MAC, Workload, World};

const FROM: Hook = Hook::FromWorkload;
const NOBODY: Mac = [0; 6];

fn octets(address: IpAddr) -> [u8; 4] {
    match address {
        IpAddr::V4(v4) => v4.octets(),
        IpAddr::V6(_) => panic!("{address} is not IPv4"),
    }
}

fn request(from: &Workload, target: IpAddr) -> Vec<u8> {
    let question = arp(1, (from.mac, octets(from.v4)), (NOBODY, octets(target)));
    ethernet([0xff; 6], from.mac, 0x0806, &question)
}

#[test]
fn arp_is_answered_for_the_gateway_and_for_neighbours() {
    let world = World::new();
    let web = world.web;
    for (target, mac) in [(ip("10.1.0.1"), GATEWAY_MAC), (world.app.v4, world.app.mac)] {
        let (output, decision) = world.passes(FROM, web.ifindex, &request(&web, target));
        assert_eq!((decision.action, decision.ifindex), (Action::RF_ACTION_ANSWER, web.ifindex));
        let answer = arp(2, (mac, octets(target)), (web.mac, octets(web.v4)));
        assert_eq!(output.packet, ethernet(web.mac, mac, 0x0806, &answer));
        assert_eq!(output.mark, world.datapath.mark());
    }
}

#[test]
fn arp_for_others_and_for_oneself_stays_unanswered() {
    let world = World::new();
    let web = world.web;
    // Another network's gateway and interface, one's own.
    for target in ["10.2.0.1", "10.2.0.13", "10.1.0.11"] {
        world.drops(FROM, web.ifindex, &request(&web, ip(target)), Reason::UnansweredNeighbour);
    }
    let probe = arp(1, (web.mac, [0; 4]), (NOBODY, octets(web.v4)));
    let frame = ethernet([0xff; 6], web.mac, 0x0806, &probe);
    world.drops(FROM, web.ifindex, &frame, Reason::UnansweredNeighbour);
    let announcement = arp(2, (web.mac, octets(web.v4)), ([0xff; 6], octets(web.v4)));
    let frame = ethernet([0xff; 6], web.mac, 0x0806, &announcement);
    world.drops(FROM, web.ifindex, &frame, Reason::UnansweredNeighbour);
}

#[test]
fn arp_speaks_for_its_own_interface_only() {
    let world = World::new();
    let (web, app) = (world.web, world.app);
    for sender in [(web.mac, octets(app.v4)), (app.mac, octets(web.v4)), (web.mac, [10, 1, 0, 1])] {
        let frame = ethernet([0xff; 6], web.mac, 0x0806, &arp(1, sender, (NOBODY, [10, 1, 0, 1])));
        world.drops(FROM, web.ifindex, &frame, Reason::ArpSender);
    }
    let mut short = request(&web, ip("10.1.0.1"));
    short.truncate(40);
    world.drops(FROM, web.ifindex, &short, Reason::Malformed);
}

fn solicitation(from: &Workload, src: IpAddr, target: IpAddr) -> Packet {
    let IpAddr::V6(target) = target else { panic!("{target} is not IPv6") };
    Packet::icmp(src, ip("ff02::1:ff00:1"), (135, 0), [0; 4])
        .payload(&target.octets())
        .payload(&[1, 1])
        .payload(&from.mac)
        .ttl(255)
        .macs(from.mac, [0x33, 0x33, 0xff, 0, 0, 1])
}

fn advertisement(mac: Mac, target: IpAddr, dst: IpAddr, flags: u8) -> Packet {
    let IpAddr::V6(octets) = target else { panic!("{target} is not IPv6") };
    Packet::icmp(target, dst, (136, 0), [flags, 0, 0, 0])
        .payload(&octets.octets())
        .payload(&[2, 1])
        .payload(&mac)
        .ttl(255)
}

#[test]
fn solicitations_are_answered_for_the_gateway_and_for_neighbours() {
    let world = World::new();
    let web = world.web;
    let (link_local, made_up) = (ip("fe80::ff:fe00:101"), ip("fe80::1234:5678:9abc:def0"));
    for (target, mac) in [(ip("fd00:1::1"), GATEWAY_MAC), (world.app.v6, world.app.mac)] {
        for src in [web.v6, link_local, made_up] {
            let frame = solicitation(&web, src, target).build();
            let (output, _) = world.passes(FROM, web.ifindex, &frame);
            let flags = if mac == GATEWAY_MAC { 0xe0 } else { 0x60 };
            let answer = advertisement(mac, target, src, flags).macs(mac, web.mac).build();
            assert_eq!(output.packet, answer);
            assert_right(&output.packet[14..]);
        }
    }
}

#[test]
fn a_probe_for_anothers_address_is_told_to_all_nodes_and_one_for_ones_own_is_not_answered() {
    let world = World::new();
    let (web, app) = (world.web, world.app);
    let frame = solicitation(&web, ip("::"), app.v6).build();
    let (output, _) = world.passes(FROM, web.ifindex, &frame);
    let answer = advertisement(app.mac, app.v6, ip("ff02::1"), 0x20).macs(app.mac, [0x33, 0x33, 0, 0, 0, 1]).build();
    assert_eq!(output.packet, answer);
    let own = solicitation(&web, ip("::"), web.v6).build();
    world.drops(FROM, web.ifindex, &own, Reason::UnansweredNeighbour);
}

#[test]
fn nd_speaks_for_its_own_interface_only_and_comes_from_the_link() {
    let world = World::new();
    let (web, app) = (world.web, world.app);
    for src in [app.v6, ip("fe80::52:46ff:fe00:1"), ip("fd00:1::1")] {
        let frame = solicitation(&web, src, ip("fd00:1::1")).build();
        world.drops(FROM, web.ifindex, &frame, Reason::ArpSender);
    }
    let far = solicitation(&web, web.v6, ip("fd00:1::1")).ttl(254).build();
    world.drops(FROM, web.ifindex, &far, Reason::Malformed);
    let packet = Packet::icmp(web.v6, ip("ff02::1"), (136, 0), [0; 4]).payload(&[0; 16]);
    let advertisement = packet.ttl(255).macs(web.mac, [0x33, 0x33, 0, 0, 0, 1]).build();
    world.drops(FROM, web.ifindex, &advertisement, Reason::UnansweredNeighbour);
}
