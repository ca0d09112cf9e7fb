//! Router discovery.

use std::net::IpAddr;

use ringfence_agent::bpf::{Action, Hook, Reason};
use ringfence_agent::services::{Served, Served6, announced};

use crate::builder::Packet;
use crate::checksum::assert_right;
use crate::net::ip;
use crate::served::{DNS6, made_of_mac, served};
use crate::world::{GATEWAY_MAC, Workload, World};

const FROM: Hook = Hook::FromWorkload;

fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V6(v6) => v6.octets(),
        IpAddr::V4(_) => panic!("{address} is not IPv6"),
    }
}

fn solicitation(from: &Workload, src: IpAddr) -> Packet {
    Packet::icmp(src, ip("ff02::2"), (133, 0), [0; 4]).ttl(255).macs(from.mac, [0x33, 0x33, 0, 0, 0, 2])
}

/// An advertisement taken apart (RFC 4861 4.2): flags, router lifetime, and each option's type and value.
struct Advertisement {
    flags: u8,
    lifetime: u16,
    options: Vec<(u8, Vec<u8>)>,
}

fn read(frame: &[u8]) -> Advertisement {
    assert_right(&frame[14..]);
    assert_eq!((frame[20], frame[21]), (58, 255));
    assert_eq!(frame[22..38], octets(made_of_mac("fe80::", GATEWAY_MAC)));
    let message = &frame[54..];
    assert_eq!((&message[..2], message[4], &message[8..16]), (&[134, 0][..], 64, &[0; 8][..]));
    let mut options = Vec::new();
    let mut rest = &message[16..];
    while let [kind, units, ..] = rest {
        let (option, after) = rest.split_at(usize::from(*units) * 8);
        options.push((*kind, option[2..].to_vec()));
        rest = after;
    }
    Advertisement { flags: message[5], lifetime: u16::from_be_bytes([message[6], message[7]]), options }
}

impl Advertisement {
    fn only(&self, kind: u8) -> &[u8] {
        let found: Vec<_> = self.options.iter().filter(|(of, _)| *of == kind).collect();
        assert_eq!(found.len(), 1, "type {kind}");
        &found[0].1
    }
}

/// With addresses made by the workload itself, of its MAC.
fn slaac(workload: &Workload) -> Served {
    let mut served = served(workload);
    let IpAddr::V6(own) = made_of_mac("fd00:1::", workload.mac) else { panic!("no IPv6") };
    served.v6[0].dhcp = false;
    served.v6[0].addresses = vec![own];
    served
}

#[test]
fn a_solicitation_is_answered_to_who_asks_or_to_all() {
    let world = World::new();
    let web = world.web;
    world.serve(&web, &served(&web));
    let of_mac = made_of_mac("fe80::", web.mac);
    for (src, to, mac) in [
        (of_mac, of_mac, web.mac),
        (ip("fe80::1234:5678"), ip("fe80::1234:5678"), web.mac),
        (ip("::"), ip("ff02::1"), [0x33, 0x33, 0, 0, 0, 1]),
    ] {
        let (output, decision) = world.passes(FROM, web.ifindex, &solicitation(&web, src).build());
        assert_eq!((decision.action, output.mark), (Action::RF_ACTION_ANSWER, world.datapath.mark()));
        assert_eq!((&output.packet[..6], &output.packet[6..12]), (&mac[..], &GATEWAY_MAC[..]));
        assert_eq!(output.packet[38..54], octets(to));
        read(&output.packet);
    }
}

#[test]
fn the_gateway_announces_what_the_network_says() {
    let world = World::new();
    let web = world.web;
    world.serve(&web, &served(&web));
    let frame = solicitation(&web, made_of_mac("fe80::", web.mac)).build();
    let managed = read(&world.passes(FROM, web.ifindex, &frame).0.packet);
    assert_eq!((managed.flags, managed.lifetime), (0xc0, 65535));
    assert_eq!(managed.only(1), GATEWAY_MAC);
    assert_eq!(managed.only(5), [0, 0, 0, 0, 0x05, 0xaa]);
    let prefix = managed.only(3);
    assert_eq!(prefix[..2], [64, 0x80], "on-link, and no address is to be made in it");
    assert_eq!(prefix[2..10], [2_592_000_u32.to_be_bytes(), 604_800_u32.to_be_bytes()].concat());
    assert_eq!(prefix[14..], octets(ip("fd00:1::")));
    let lasting = [0, 0, 0xff, 0xff];
    let route = managed.only(24);
    assert_eq!((&route[..2], &route[2..6], &route[6..]), (&[48, 0][..], &lasting[..], &octets(ip("fd09::"))[..8]));
    let dns = managed.only(25);
    assert_eq!((&dns[2..6], &dns[6..]), (&lasting[..], &DNS6.map(|text| octets(ip(text))).concat()[..]));
    let names = b"\x04corp\x07example\x00\x07example\x00";
    assert_eq!(&managed.only(31)[6..6 + names.len()], names);

    world.serve(&web, &slaac(&web));
    let autonomous = read(&world.passes(FROM, web.ifindex, &frame).0.packet);
    assert_eq!((autonomous.flags, autonomous.only(3)[1]), (0x40, 0xc0));
    // Who may not use the address that it would make is not told to make it.
    let mut fixed = slaac(&web);
    fixed.v6[0].addresses = vec!["fd00:1::11".parse().unwrap()];
    fixed.v6[0].dns.clear();
    fixed.search_domains.clear();
    world.serve(&web, &fixed);
    let fixed = read(&world.passes(FROM, web.ifindex, &frame).0.packet);
    assert_eq!((fixed.flags, fixed.only(3)[1]), (0, 0x80));
}

#[test]
fn the_most_that_a_network_may_say_fits() {
    let world = World::new();
    let web = world.web;
    let mut most = served(&web);
    most.search_domains = ["a".repeat(12).as_str(); 6].map(Into::into).to_vec();
    let subnet = |n: u16| Served6 {
        cidr: format!("fd00:{n}::/64").parse().unwrap(),
        addresses: vec![format!("fd00:{n}::1").parse().unwrap()],
        dns: (1..5).map(|host| format!("fd00:{n}::{host}").parse().unwrap()).collect(),
        routes: (1..9).map(|to| format!("fd09:{n}::{to}/128").parse().unwrap()).collect(),
        dhcp: true,
        ra: true,
    };
    most.v6 = (1..4).map(subnet).collect();
    world.serve(&web, &most);
    let frame = solicitation(&web, made_of_mac("fe80::", web.mac)).build();
    let packet = world.passes(FROM, web.ifindex, &frame).0.packet;
    assert!(packet.len() - 14 <= 1280, "{}", packet.len());
    assert_eq!(read(&packet).options.len(), 2 + 3 + 24 + 2);
}

#[test]
fn what_is_announced_unasked_is_admitted_and_the_last_one_takes_it_back() {
    let world = World::new();
    let web = world.web;
    let said = announced(&served(&web), GATEWAY_MAC).unwrap();
    for (frame, lifetime) in [(&said.frame, 65535), (&said.last, 0)] {
        assert_eq!(frame[..6], [0x33, 0x33, 0, 0, 0, 1]);
        assert_eq!(frame[38..54], octets(ip("ff02::1")));
        let advertisement = read(frame);
        assert_eq!(advertisement.lifetime, lifetime);
        assert_eq!(advertisement.only(25)[2..6], u32::from(lifetime).to_be_bytes());
        // Only with our mark: the host's own stack announces nothing.
        world.drops(Hook::ToWorkload, web.ifindex, frame, Reason::FromHost);
    }
    assert_eq!(announced(&Served { v6: vec![], ..served(&web) }, GATEWAY_MAC), None);
}

#[test]
fn without_a_router_a_solicitation_has_no_answer_and_with_a_code_it_is_none() {
    let world = World::new();
    let web = world.web;
    let frame = solicitation(&web, ip("::")).build();
    world.drops(FROM, web.ifindex, &frame, Reason::UnansweredNeighbour);
    world.serve(&web, &served(&web));
    let coded =
        Packet::icmp(ip("::"), ip("ff02::2"), (133, 1), [0; 4]).ttl(255).macs(web.mac, [0x33, 0x33, 0, 0, 0, 2]);
    world.drops(FROM, web.ifindex, &coded.build(), Reason::Malformed);
    let far = solicitation(&web, ip("::")).ttl(254);
    world.drops(FROM, web.ifindex, &far.build(), Reason::Malformed);
    let gateways = solicitation(&web, made_of_mac("fe80::", GATEWAY_MAC));
    world.drops(FROM, web.ifindex, &gateways.build(), Reason::ArpSender);
}

#[test]
fn nobody_else_is_a_router() {
    let world = World::new();
    let (web, app) = (world.web, world.app);
    let mac = [2, 0, 0x5e, 0, 1, 1];
    world.pair(&web, "fd00:1::200", 128, mac);
    let said = |kind, src: IpAddr, mac| {
        Packet::icmp(src, app.v6, (kind, 0), [0; 4]).payload(&[0; 32]).ttl(255).macs(mac, app.mac).build()
    };
    for kind in [134, 137] {
        for (src, mac) in [(made_of_mac("fe80::", web.mac), web.mac), (web.v6, web.mac), (ip("fd00:1::200"), mac)] {
            world.drops(FROM, web.ifindex, &said(kind, src, mac), Reason::RouterGuard);
        }
    }
    // Who may send as anybody may route: then it is judged as any packet.
    world.without_port_security(&web);
    world.drops(FROM, web.ifindex, &said(134, web.v6, web.mac), Reason::PolicyDeny);
}

#[test]
fn the_announced_address_of_the_gateway_is_found_and_says_that_it_is_a_router() {
    let world = World::new();
    let web = world.web;
    let own = made_of_mac("fe80::", web.mac);
    for target in [made_of_mac("fe80::", GATEWAY_MAC), ip("fd00:1::1"), world.app.v6] {
        let question = Packet::icmp(own, target, (135, 0), [0; 4]).payload(&octets(target)).payload(&[1, 1]);
        // As a host makes sure that its router is still there: by unicast.
        let frame = question.payload(&web.mac).ttl(255).macs(web.mac, GATEWAY_MAC).build();
        let packet = world.passes(FROM, web.ifindex, &frame).0.packet;
        assert_right(&packet[14..]);
        let is_router = target != world.app.v6;
        assert_eq!((packet[54], packet[58]), (136, if is_router { 0xe0 } else { 0x60 }), "{target}");
        let mac = if is_router { GATEWAY_MAC } else { world.app.mac };
        assert_eq!(packet[packet.len() - 6..], mac);
    }
}
