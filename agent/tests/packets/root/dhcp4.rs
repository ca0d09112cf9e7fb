//! DHCPv4, as another implementation reads the answers.

use std::net::{IpAddr, Ipv4Addr};

use dhcproto::v4::{DhcpOption, Flags, Message, MessageType, Opcode, OptionCode};
use dhcproto::{Decodable, Decoder, Encodable};
use proptest::prelude::*;
use ringfence_agent::bpf::{Action, Hook, Reason};

use crate::builder::{Packet, UDP};
use crate::checksum::assert_right;
use crate::net::ip;
use crate::served::{DNS4, LEASE, served};
use crate::world::{GATEWAY_MAC, Workload, World};

const FROM: Hook = Hook::FromWorkload;
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 1);
const ANYBODY: Ipv4Addr = Ipv4Addr::BROADCAST;
const NONE: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

fn v4(address: IpAddr) -> Ipv4Addr {
    match address {
        IpAddr::V4(v4) => v4,
        IpAddr::V6(_) => panic!("{address} is not IPv4"),
    }
}

/// A message of a client.
fn message(from: &Workload, kind: MessageType, options: Vec<DhcpOption>) -> Message {
    let mut message = Message::new_with_id(0x1234_5678, NONE, NONE, NONE, NONE, &from.mac);
    message.opts_mut().insert(DhcpOption::MessageType(kind));
    for option in options {
        message.opts_mut().insert(option);
    }
    message
}

/// As a client without an address sends it.
fn broadcast(from: &Workload, message: &Message) -> Vec<u8> {
    frame(from, NONE, ANYBODY, &message.to_vec().unwrap())
}

fn frame(from: &Workload, src: Ipv4Addr, dst: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
    let mac = if dst == ANYBODY { [0xff; 6] } else { GATEWAY_MAC };
    Packet::udp(src.into(), dst.into(), (68, 67)).payload(payload).macs(from.mac, mac).build()
}

struct Answer {
    to: ([u8; 6], Ipv4Addr),
    message: Message,
}

/// The answer to a frame, whose every checksum is right.
#[track_caller]
fn answer(world: &World, frame: &[u8]) -> Answer {
    let (output, decision) = world.passes(FROM, world.web.ifindex, frame);
    assert_eq!((decision.action, decision.ifindex), (Action::RF_ACTION_ANSWER, world.web.ifindex));
    assert_eq!(output.mark, world.datapath.mark());
    let bytes = output.packet;
    assert_right(&bytes[14..]);
    assert_eq!((&bytes[6..12], bytes[23]), (&GATEWAY_MAC[..], UDP));
    assert_eq!(bytes[26..30], GATEWAY.octets());
    assert_eq!(bytes[34..38], [0, 67, 0, 68]);
    assert_eq!(usize::from(u16::from_be_bytes([bytes[38], bytes[39]])), bytes.len() - 34);
    let message = Message::decode(&mut Decoder::new(&bytes[42..])).unwrap();
    assert_eq!((message.opcode(), message.xid()), (Opcode::BootReply, 0x1234_5678));
    assert_eq!((message.siaddr(), message.giaddr()), (NONE, NONE));
    assert_eq!(message.chaddr(), world.web.mac);
    let to = <[u8; 4]>::try_from(&bytes[30..34]).unwrap();
    Answer { to: (bytes[..6].try_into().unwrap(), to.into()), message }
}

fn option(answer: &Answer, code: OptionCode) -> Option<&DhcpOption> {
    answer.message.opts().get(code)
}

/// Everything that a network says, but for a lease.
#[track_caller]
fn assert_network(answer: &Answer) {
    assert_eq!(option(answer, OptionCode::ServerIdentifier), Some(&DhcpOption::ServerIdentifier(GATEWAY)));
    assert_eq!(option(answer, OptionCode::SubnetMask), Some(&DhcpOption::SubnetMask([255, 255, 255, 0].into())));
    assert_eq!(option(answer, OptionCode::Router), Some(&DhcpOption::Router(vec![GATEWAY])));
    let dns = DNS4.map(|text| v4(ip(text))).to_vec();
    assert_eq!(option(answer, OptionCode::DomainNameServer), Some(&DhcpOption::DomainNameServer(dns)));
    assert_eq!(option(answer, OptionCode::InterfaceMtu), Some(&DhcpOption::InterfaceMtu(1450)));
    assert_eq!(option(answer, OptionCode::DomainName), Some(&DhcpOption::DomainName("corp.example".into())));
    let Some(DhcpOption::DomainSearch(names)) = option(answer, OptionCode::DomainSearch) else { panic!("no search") };
    assert_eq!(names.iter().map(ToString::to_string).collect::<Vec<_>>(), ["corp.example.", "example."]);
    let Some(DhcpOption::ClasslessStaticRoute(routes)) = option(answer, OptionCode::ClasslessStaticRoute) else {
        panic!("no routes")
    };
    let routes: Vec<_> = routes.iter().map(|(to, via)| format!("{to} {via}")).collect();
    assert_eq!(routes, ["0.0.0.0/0 10.1.0.1", "172.16.0.0/12 10.1.0.9", "192.0.2.7/32 10.1.0.9"]);
}

#[track_caller]
fn assert_lease(answer: &Answer) {
    let times = [OptionCode::AddressLeaseTime, OptionCode::Renewal, OptionCode::Rebinding];
    let expected =
        [DhcpOption::AddressLeaseTime(LEASE), DhcpOption::Renewal(LEASE / 2), DhcpOption::Rebinding(LEASE / 8 * 7)];
    assert_eq!(times.map(|code| option(answer, code).cloned()), expected.map(Some));
}

#[test]
fn a_client_is_offered_its_interfaces_address_and_gets_it() {
    let world = World::new();
    let web = world.web;
    world.serve(&web, &served(&web));
    let discover = message(&web, MessageType::Discover, vec![]);
    let offer = answer(&world, &broadcast(&web, &discover));
    assert_eq!(offer.message.opts().msg_type(), Some(MessageType::Offer));
    assert_eq!((offer.message.yiaddr(), offer.message.ciaddr()), (v4(web.v4), NONE));
    assert_eq!(offer.to, (web.mac, v4(web.v4)));
    assert_network(&offer);
    assert_lease(&offer);
    let chosen = vec![DhcpOption::RequestedIpAddress(v4(web.v4)), DhcpOption::ServerIdentifier(GATEWAY)];
    let ack = answer(&world, &broadcast(&web, &message(&web, MessageType::Request, chosen)));
    assert_eq!(ack.message.opts().msg_type(), Some(MessageType::Ack));
    assert_eq!((ack.message.yiaddr(), ack.to), (v4(web.v4), (web.mac, v4(web.v4))));
    assert_network(&ack);
    assert_lease(&ack);
}

#[test]
fn a_client_that_cannot_take_unicast_yet_is_told_by_broadcast() {
    let world = World::new();
    let web = world.web;
    world.serve(&web, &served(&web));
    let mut discover = message(&web, MessageType::Discover, vec![]);
    discover.set_flags(Flags::default().set_broadcast());
    let offer = answer(&world, &broadcast(&web, &discover));
    assert_eq!(offer.to, ([0xff; 6], ANYBODY));
    assert!(offer.message.flags().broadcast());
    assert_eq!(offer.message.yiaddr(), v4(web.v4));
}

#[test]
fn a_lease_is_renewed_by_unicast_to_the_gateway_and_by_broadcast() {
    let world = World::new();
    let web = world.web;
    world.serve(&web, &served(&web));
    let mut request = message(&web, MessageType::Request, vec![]);
    request.set_ciaddr(v4(web.v4));
    for to in [GATEWAY, ANYBODY] {
        let ack = answer(&world, &frame(&web, v4(web.v4), to, &request.to_vec().unwrap()));
        assert_eq!(ack.message.opts().msg_type(), Some(MessageType::Ack));
        assert_eq!((ack.message.ciaddr(), ack.message.yiaddr()), (v4(web.v4), v4(web.v4)));
        assert_eq!(ack.to, (web.mac, v4(web.v4)));
        assert_lease(&ack);
    }
}

#[test]
fn who_has_an_address_of_its_own_setting_is_told_the_rest_without_a_lease() {
    let world = World::new();
    let web = world.web;
    world.serve(&web, &served(&web));
    let mut inform = message(&web, MessageType::Inform, vec![]);
    inform.set_ciaddr(v4(web.v4));
    let ack = answer(&world, &frame(&web, v4(web.v4), ANYBODY, &inform.to_vec().unwrap()));
    assert_eq!(ack.message.opts().msg_type(), Some(MessageType::Ack));
    assert_eq!((ack.message.ciaddr(), ack.message.yiaddr()), (v4(web.v4), NONE));
    assert_eq!(ack.to, (web.mac, v4(web.v4)));
    assert_network(&ack);
    assert_eq!(option(&ack, OptionCode::AddressLeaseTime), None);
    inform.set_ciaddr(v4(world.app.v4));
    let other = frame(&web, v4(web.v4), ANYBODY, &inform.to_vec().unwrap());
    world.drops(FROM, web.ifindex, &other, Reason::DhcpUnanswered);
}

#[test]
fn another_address_is_refused() {
    let world = World::new();
    let (web, app) = (world.web, world.app);
    world.serve(&web, &served(&web));
    let wanted = vec![DhcpOption::RequestedIpAddress(v4(app.v4))];
    let mut held = message(&web, MessageType::Request, vec![]);
    held.set_ciaddr(v4(app.v4));
    for request in [message(&web, MessageType::Request, wanted), message(&web, MessageType::Request, vec![]), held] {
        let nak = answer(&world, &broadcast(&web, &request));
        assert_eq!(nak.message.opts().msg_type(), Some(MessageType::Nak));
        assert_eq!((nak.message.yiaddr(), nak.message.ciaddr(), nak.to), (NONE, NONE, ([0xff; 6], ANYBODY)));
        assert_eq!(nak.message.opts().iter().count(), 2, "type and server alone");
    }
}

#[test]
fn what_needs_no_answer_or_is_anothers_has_none() {
    let world = World::new();
    let (web, app) = (world.web, world.app);
    let drops = |frame: &[u8], reason| {
        world.drops(FROM, web.ifindex, frame, reason);
    };
    let discover = message(&web, MessageType::Discover, vec![]);
    // The network has no DHCP.
    drops(&broadcast(&web, &discover), Reason::DhcpUnanswered);
    world.serve(&web, &served(&web));
    answer(&world, &broadcast(&web, &discover));
    for kind in [MessageType::Decline, MessageType::Release, MessageType::Offer, MessageType::LeaseQuery] {
        drops(&broadcast(&web, &message(&web, kind, vec![])), Reason::DhcpUnanswered);
    }
    // Another server was chosen; another's hardware; passed on by a relay; no question at all.
    let chosen = vec![DhcpOption::RequestedIpAddress(v4(web.v4)), DhcpOption::ServerIdentifier([10, 1, 0, 99].into())];
    drops(&broadcast(&web, &message(&web, MessageType::Request, chosen)), Reason::DhcpUnanswered);
    drops(&broadcast(&web, &message(&app, MessageType::Discover, vec![])), Reason::DhcpUnanswered);
    let mut relayed = discover.clone();
    relayed.set_giaddr([10, 1, 0, 99]);
    drops(&broadcast(&web, &relayed), Reason::DhcpUnanswered);
    let mut reply = discover.clone();
    reply.set_opcode(Opcode::BootReply);
    drops(&broadcast(&web, &reply), Reason::DhcpUnanswered);
    // Without a source nothing else passes, and from the outside not even that.
    let other = Packet::udp(ip("0.0.0.0"), ip("255.255.255.255"), (68, 69)).macs(web.mac, [0xff; 6]).build();
    drops(&other, Reason::Martian);
    let outside = Packet::udp(ip("0.0.0.0"), app.v4, (68, 67)).macs([2, 0xee, 0, 0, 0, 1], GATEWAY_MAC).build();
    world.drops(Hook::FromUplink, world.uplink, &outside, Reason::Martian);
}

#[test]
fn messages_that_are_cut_or_contradict_themselves_are_malformed() {
    let world = World::new();
    let web = world.web;
    world.serve(&web, &served(&web));
    let good = message(&web, MessageType::Discover, vec![]).to_vec().unwrap();
    let options = 240;
    let with = |tail: &[u8]| frame(&web, NONE, ANYBODY, &[&good[..options], tail].concat());
    answer(&world, &with(&[53, 1, 1, 255]));
    answer(&world, &with(&[0, 0, 12, 3, b'a', b'b', b'c', 53, 1, 1, 255, 0, 0]));
    let endless = [53, 1, 1].into_iter().chain([0; 200]).collect::<Vec<u8>>();
    for tail in [&[53, 1, 1][..], &[53, 2, 1, 1, 255], &[53], &[50, 4, 10, 1, 0], &[53, 1, 1, 12, 250, 255], &endless] {
        world.drops(FROM, web.ifindex, &with(tail), Reason::Malformed);
    }
    for length in [0, 3, 100, 239, 240] {
        world.drops(FROM, web.ifindex, &frame(&web, NONE, ANYBODY, &good[..length]), Reason::Malformed);
    }
    let mut no_cookie = good.clone();
    no_cookie[237] ^= 1;
    world.drops(FROM, web.ifindex, &frame(&web, NONE, ANYBODY, &no_cookie), Reason::Malformed);
}

#[test]
fn nobody_else_is_a_server() {
    let world = World::new();
    let (web, app) = (world.web, world.app);
    world.serve(&web, &served(&web));
    for ports in [(67, 68), (1234, 68)] {
        for dst in [app.v4, ip("255.255.255.255")] {
            let mac = if dst == app.v4 { app.mac } else { [0xff; 6] };
            let offer = Packet::udp(web.v4, dst, ports).macs(web.mac, mac).build();
            world.drops(FROM, web.ifindex, &offer, Reason::DhcpServer);
        }
    }
    // Nor behind an address pair.
    let mac = [2, 0, 0x5e, 0, 1, 1];
    world.pair(&web, "10.1.0.200", 32, mac);
    let offer = Packet::udp(ip("10.1.0.200"), app.v4, (67, 68)).macs(mac, app.mac).build();
    world.drops(FROM, web.ifindex, &offer, Reason::DhcpServer);
    // But who may send as anybody may serve: then it is judged as any packet.
    world.without_port_security(&web);
    let offer = Packet::udp(web.v4, app.v4, (67, 68)).macs(web.mac, app.mac).build();
    world.drops(FROM, web.ifindex, &offer, Reason::PolicyDeny);
}

#[test]
fn whatever_is_sent_to_a_server_only_the_interfaces_own_address_is_handed_out() {
    let world = World::new();
    let web = world.web;
    world.serve(&web, &served(&web));
    let mut good = message(&web, MessageType::Request, vec![DhcpOption::RequestedIpAddress(v4(web.v4))]);
    good.set_ciaddr(NONE);
    let good = good.to_vec().unwrap();
    let edit = (0..good.len(), any::<u8>());
    let edits = proptest::collection::vec(edit, 0..6);
    let config = ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(edits in edits, cut in 0..400_usize)| {
        let mut bytes = good.clone();
        for (place, byte) in edits {
            bytes[place] = byte;
        }
        bytes.truncate(cut.max(1));
        let output = world.run(FROM, web.ifindex, &frame(&web, NONE, ANYBODY, &bytes));
        if world.decision().action == Action::RF_ACTION_ANSWER {
            assert_right(&output.packet[14..]);
            let answer = Message::decode(&mut Decoder::new(&output.packet[42..])).unwrap();
            let nak = answer.opts().msg_type() == Some(MessageType::Nak);
            let given = if nak || answer.ciaddr() == v4(web.v4) { answer.ciaddr() } else { answer.yiaddr() };
            prop_assert_eq!(given, if nak { NONE } else { v4(web.v4) });
            prop_assert_eq!(answer.chaddr(), &web.mac[..]);
        } else {
            let reason = Reason::from_number(world.decision().reason);
            prop_assert!(matches!(reason, Some(Reason::Malformed | Reason::DhcpUnanswered)), "{:?}", reason);
        }
    });
}
