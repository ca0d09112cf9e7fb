//! DHCPv6, as another implementation reads the answers.

use std::net::{IpAddr, Ipv6Addr};

use dhcproto::v6::{DhcpOption, DhcpOptions, IAAddr, IANA, Message, MessageType, OptionCode, Status};
use dhcproto::{Decodable, Decoder, Encodable};
use ringfence_agent::bpf::{Action, Hook, Reason};

use crate::builder::Packet;
use crate::checksum::assert_right;
use crate::net::ip;
use crate::served::{DNS6, LEASE, made_of_mac, served};
use crate::world::{GATEWAY_MAC, Workload, World};

const FROM: Hook = Hook::FromWorkload;
const SERVERS: &str = "ff02::1:2";
const IAID: u32 = 0xaabb_ccdd;
/// Of odd and even length.
const DUIDS: [&[u8]; 3] = [&[0, 3, 0, 1, 2, 0, 0, 0, 1, 1], &[0, 2, 0, 0, 9], &[7; 130]];

fn v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V6(v6) => v6,
        IpAddr::V4(_) => panic!("{address} is not IPv6"),
    }
}

fn server() -> Vec<u8> {
    [&[0, 3, 0, 1], &GATEWAY_MAC[..]].concat()
}

fn association(addresses: &[Ipv6Addr]) -> DhcpOption {
    let mut opts = DhcpOptions::new();
    for addr in addresses {
        let address = IAAddr { addr: *addr, preferred_life: 0, valid_life: 0, opts: DhcpOptions::new() };
        opts.insert(DhcpOption::IAAddr(address));
    }
    DhcpOption::IANA(IANA { id: IAID, t1: 0, t2: 0, opts })
}

fn client(duid: &[u8]) -> DhcpOption {
    DhcpOption::ClientId(duid.to_vec())
}

fn message(kind: MessageType, options: Vec<DhcpOption>) -> Message {
    let mut message = Message::new_with_id(kind, [1, 2, 3]);
    options.into_iter().for_each(|option| message.opts_mut().insert(option));
    message
}

fn frame(from: &Workload, payload: &[u8]) -> Vec<u8> {
    let src = made_of_mac("fe80::", from.mac);
    let packet = Packet::udp(src, ip(SERVERS), (546, 547)).payload(payload);
    packet.macs(from.mac, [0x33, 0x33, 0, 1, 0, 2]).build()
}

/// The answer to a message.
#[track_caller]
fn answer(world: &World, asked: &Message) -> Message {
    let web = world.web;
    let (output, decision) = world.passes(FROM, web.ifindex, &frame(&web, &asked.to_vec().unwrap()));
    assert_eq!((decision.action, decision.ifindex), (Action::RF_ACTION_ANSWER, web.ifindex));
    let bytes = output.packet;
    assert_eq!((&bytes[..6], &bytes[6..12]), (&web.mac[..], &GATEWAY_MAC[..]));
    assert_right(&bytes[14..]);
    assert_eq!(bytes[22..38], v6(made_of_mac("fe80::", GATEWAY_MAC)).octets());
    assert_eq!(bytes[38..54], v6(made_of_mac("fe80::", web.mac)).octets());
    let length = u16::try_from(bytes.len() - 54).unwrap().to_be_bytes();
    assert_eq!((&bytes[18..20], &bytes[58..60]), (&length[..], &length[..]));
    assert_eq!(bytes[54..58], [2, 35, 2, 34]);
    let answer = Message::decode(&mut Decoder::new(&bytes[62..])).unwrap();
    assert_eq!(answer.xid(), [1, 2, 3]);
    assert_eq!(answer.opts().get(OptionCode::ServerId), Some(&DhcpOption::ServerId(server())));
    assert_eq!(answer.opts().get(OptionCode::ClientId), asked.opts().get(OptionCode::ClientId));
    answer
}

/// The addresses given, with their lifetimes, under the client's own association.
fn given(answer: &Message) -> Vec<(Ipv6Addr, u32, u32)> {
    let Some(DhcpOption::IANA(IANA { id, t1, t2, opts })) = answer.opts().get(OptionCode::IANA) else { return vec![] };
    assert_eq!((*id, *t1, *t2), (IAID, LEASE / 2, LEASE / 5 * 4));
    let address = |option: &DhcpOption| match option {
        DhcpOption::IAAddr(IAAddr { addr, preferred_life, valid_life, .. }) => (*addr, *preferred_life, *valid_life),
        other => panic!("{other:?}"),
    };
    opts.iter().map(address).collect()
}

#[track_caller]
fn assert_network(answer: &Message) {
    let dns = DNS6.map(|text| v6(ip(text))).to_vec();
    assert_eq!(answer.opts().get(OptionCode::DomainNameServers), Some(&DhcpOption::DomainNameServers(dns)));
    let Some(DhcpOption::DomainSearchList(names)) = answer.opts().get(OptionCode::DomainSearchList) else {
        panic!("no search domains: {answer:?}")
    };
    assert_eq!(names.iter().map(ToString::to_string).collect::<Vec<_>>(), ["corp.example.", "example."]);
}

#[test]
fn a_client_gets_its_interfaces_address_whatever_it_calls_itself() {
    let world = World::new();
    let web = world.web;
    let mut served = served(&web);
    let address = (v6(web.v6), LEASE, LEASE);
    // Search domains of even and odd length, so that the client's name begins at either place.
    for names in [["corp.example", "example"], ["corp.example", "a.example"]] {
        served.search_domains = names.map(Into::into).to_vec();
        world.serve(&web, &served);
        for duid in DUIDS {
            let solicit = vec![client(duid), association(&[])];
            let advertised = answer(&world, &message(MessageType::Solicit, solicit));
            assert_eq!((advertised.msg_type(), given(&advertised)), (MessageType::Advertise, vec![address]));
            assert_eq!(advertised.opts().get(OptionCode::RapidCommit), None);
            for kind in [MessageType::Request, MessageType::Renew] {
                let options = vec![client(duid), DhcpOption::ServerId(server()), association(&[v6(web.v6)])];
                let reply = answer(&world, &message(kind, options));
                assert_eq!((reply.msg_type(), given(&reply)), (MessageType::Reply, vec![address]));
            }
            let rebind = answer(&world, &message(MessageType::Rebind, vec![client(duid), association(&[v6(web.v6)])]));
            assert_eq!((rebind.msg_type(), given(&rebind)), (MessageType::Reply, vec![address]));
            let rapid = vec![client(duid), DhcpOption::RapidCommit, association(&[])];
            let reply = answer(&world, &message(MessageType::Solicit, rapid));
            assert_eq!((reply.msg_type(), given(&reply)), (MessageType::Reply, vec![address]));
            assert_eq!(reply.opts().get(OptionCode::RapidCommit), Some(&DhcpOption::RapidCommit));
        }
    }
}

#[test]
fn who_asks_for_no_address_is_told_the_rest() {
    let world = World::new();
    world.serve(&world.web, &served(&world.web));
    for options in [vec![], vec![client(DUIDS[1])]] {
        let reply = answer(&world, &message(MessageType::InformationRequest, options));
        assert_eq!((reply.msg_type(), given(&reply)), (MessageType::Reply, vec![]));
        assert_network(&reply);
        // The decoder names the information refresh time, and leaves what it says to us.
        let Some(DhcpOption::Unknown(refresh)) = reply.opts().get(OptionCode::InformationRefreshTime) else {
            panic!("{reply:?}")
        };
        assert_eq!(refresh.data(), LEASE.to_be_bytes());
    }
}

#[test]
fn a_client_that_moved_is_told_whether_its_address_is_of_this_link() {
    let world = World::new();
    let web = world.web;
    world.serve(&web, &served(&web));
    for (address, status) in [(web.v6, Status::Success), (world.app.v6, Status::NotOnLink)] {
        let options = vec![client(DUIDS[0]), association(&[v6(address)])];
        let reply = answer(&world, &message(MessageType::Confirm, options));
        let Some(DhcpOption::StatusCode(code)) = reply.opts().get(OptionCode::StatusCode) else { panic!("{reply:?}") };
        assert_eq!((reply.msg_type(), code.status), (MessageType::Reply, status));
    }
    for kind in [MessageType::Release, MessageType::Decline] {
        let options = vec![client(DUIDS[0]), DhcpOption::ServerId(server()), association(&[v6(web.v6)])];
        let reply = answer(&world, &message(kind, options));
        let Some(DhcpOption::StatusCode(code)) = reply.opts().get(OptionCode::StatusCode) else { panic!("{reply:?}") };
        assert_eq!((code.status, given(&reply)), (Status::Success, vec![]));
    }
}

#[test]
fn what_is_no_question_to_this_server_has_no_answer() {
    let world = World::new();
    let web = world.web;
    let drops = |asked: &Message, reason| {
        world.drops(FROM, web.ifindex, &frame(&web, &asked.to_vec().unwrap()), reason);
    };
    let solicit = message(MessageType::Solicit, vec![client(DUIDS[0]), association(&[])]);
    drops(&solicit, Reason::DhcpUnanswered);
    world.serve(&web, &served(&web));
    answer(&world, &solicit);
    let other = DhcpOption::ServerId(vec![0, 3, 0, 1, 2, 0, 0, 0, 9, 9]);
    let own = DhcpOption::ServerId(server());
    for (kind, options) in [
        (MessageType::Solicit, vec![association(&[])]),
        (MessageType::Solicit, vec![client(DUIDS[0])]),
        (MessageType::Request, vec![client(DUIDS[0]), other, association(&[])]),
        (MessageType::Request, vec![client(DUIDS[0]), association(&[])]),
        (MessageType::Rebind, vec![client(DUIDS[0]), own, association(&[])]),
        (MessageType::Confirm, vec![client(DUIDS[0]), association(&[])]),
        (MessageType::Reply, vec![client(DUIDS[0]), association(&[])]),
    ] {
        drops(&message(kind, options), Reason::DhcpUnanswered);
    }
    // Too long a name, a message cut in an option, and one from elsewhere.
    drops(&message(MessageType::Solicit, vec![client(&[1; 131]), association(&[])]), Reason::Malformed);
    let whole = solicit.to_vec().unwrap();
    for length in [0, 3, 5, 9, whole.len() - 1] {
        world.drops(FROM, web.ifindex, &frame(&web, &whole[..length]), Reason::Malformed);
    }
    let packet = Packet::udp(world.app.v6, ip(SERVERS), (546, 547)).payload(&whole);
    let spoofed = packet.macs(web.mac, [0x33, 0x33, 0, 1, 0, 2]).build();
    world.drops(FROM, web.ifindex, &spoofed, Reason::SourceAddress);
}

#[test]
fn nobody_else_is_a_server() {
    let world = World::new();
    let (web, app) = (world.web, world.app);
    let advertise = Packet::udp(web.v6, app.v6, (547, 546)).macs(web.mac, app.mac);
    world.drops(FROM, web.ifindex, &advertise.build(), Reason::DhcpServer);
    world.without_port_security(&web);
    world.drops(FROM, web.ifindex, &advertise.build(), Reason::PolicyDeny);
}
