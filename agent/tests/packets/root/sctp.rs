//! SCTP: ports as of TCP, and an entry as of UDP.

use ringfence_agent::bpf::consts::RF_TABLE_SCTP;
use ringfence_agent::bpf::{ConnState, Hook, Reason};

use crate::builder::Packet;
use crate::pieces::{extended, fragments, framed, options};
use crate::world::{ALLOW, DENY, World};

const FROM: Hook = Hook::FromWorkload;

fn world() -> World {
    let mut world = World::new();
    for slot in [0, 1] {
        let runs = [(0, DENY, 1, 1), (36412, ALLOW, 11, 12), (36413, DENY, 1, 1)];
        world.row(slot, 1, 2, RF_TABLE_SCTP, &runs);
    }
    world
}

#[test]
fn an_association_passes_to_the_port_that_policy_allows_and_back() {
    let world = world();
    let (web, app) = (world.web, world.app);
    let asks = |port| world.bridged(&web, &app, Packet::sctp(web.v4, app.v4, (4000, port)));
    let answers = world.bridged(&app, &web, Packet::sctp(app.v4, web.v4, (36412, 4000)));
    world.drops(FROM, app.ifindex, &answers, Reason::PolicyDeny);
    assert_eq!(world.drops(FROM, web.ifindex, &asks(36411), Reason::PolicyDeny).from_rule, 1);
    assert_eq!(world.passes(FROM, web.ifindex, &asks(36412)).1.from_rule, 11);
    world.passes(FROM, app.ifindex, &answers);
    let (key, conn) = world.only_conn();
    assert_eq!((key.l4_proto, key.port.map(u16::from_be)), (132, [4000, 36412]));
    assert_eq!((conn.state, conn.packets), (ConnState::RF_CONN_ESTABLISHED, [1, 1]));
}

#[test]
fn half_a_header_is_malformed() {
    let world = world();
    let (web, app) = (world.web, world.app);
    for v6 in [false, true] {
        let mut packet = Packet::sctp(web.ip(v6), app.ip(v6), (4000, 36412));
        packet.l4.truncate(11);
        world.drops(FROM, web.ifindex, &world.bridged(&web, &app, packet), Reason::Malformed);
    }
}

#[test]
fn it_passes_in_fragments_and_behind_extension_headers() {
    let world = world();
    let (web, app) = (world.web, world.app);
    for v6 in [false, true] {
        let packet = Packet::sctp(web.ip(v6), app.ip(v6), (4000, 36412)).payload(&[3; 100]).ip();
        for piece in fragments(&packet, 7, &[48]) {
            world.passes(FROM, web.ifindex, &framed(web.mac, app.mac, &piece));
        }
    }
    let packet = Packet::sctp(web.v6, app.v6, (4001, 36412)).ip();
    let packet = extended(&packet, &[options(60, 1)]);
    world.passes(FROM, web.ifindex, &framed(web.mac, app.mac, &packet));
}
