//! The life of a connection.

use ringfence_agent::bpf::consts::{RF_HOST_NONE, RF_TABLE_ICMP, RF_TABLE_TCP, RF_TABLE_UDP};
use ringfence_agent::bpf::{Action, ConnState, Hook, Reason};

use crate::builder::{ACK, FIN, Packet, RST, SYN};
use crate::net::ip;
use crate::world::{DOMAIN, DOMAIN_ID, FAR, GATEWAY_MAC, NEXT_HOP_MAC, OUTSIDE, UPLINK_MAC, Workload, World, addr_key};

const FROM: Hook = Hook::FromWorkload;

/// web opens to app, from port 4000 to 80.
struct Flow {
    world: World,
}

impl Flow {
    fn new() -> Self {
        let mut world = World::new();
        world.allow(1, 2, RF_TABLE_TCP);
        world.allow(1, 2, RF_TABLE_UDP);
        world.allow(1, 2, RF_TABLE_ICMP);
        Self { world }
    }

    fn send(&self, from: &Workload, to: &Workload, packet: Packet) {
        let frame = self.world.bridged(from, to, packet);
        self.world.passes(FROM, from.ifindex, &frame);
    }

    fn web(&self, flags: u8) {
        let (web, app) = (self.world.web, self.world.app);
        self.send(&web, &app, Packet::tcp(web.v4, app.v4, (4000, 80), flags));
    }

    fn web_frame(&self, flags: u8) -> Vec<u8> {
        let (web, app) = (self.world.web, self.world.app);
        self.world.bridged(&web, &app, Packet::tcp(web.v4, app.v4, (4000, 80), flags))
    }

    fn app(&self, flags: u8) {
        let (web, app) = (self.world.web, self.world.app);
        self.send(&app, &web, Packet::tcp(app.v4, web.v4, (80, 4000), flags));
    }

    fn state(&self) -> ConnState {
        self.world.only_conn().1.state
    }
}

#[test]
fn tcp_goes_through_its_states() {
    let flow = Flow::new();
    flow.web(SYN);
    assert_eq!(flow.state(), ConnState::RF_CONN_OPENING);
    flow.app(SYN | ACK);
    assert_eq!(flow.state(), ConnState::RF_CONN_OPENING, "who asked has not answered");
    flow.web(ACK);
    assert_eq!(flow.state(), ConnState::RF_CONN_ESTABLISHED);
    flow.web(FIN | ACK);
    assert_eq!(flow.state(), ConnState::RF_CONN_CLOSING);
    flow.app(FIN | ACK);
    assert_eq!(flow.state(), ConnState::RF_CONN_CLOSED);
    flow.web(ACK);
    assert_eq!(flow.state(), ConnState::RF_CONN_CLOSED);
    let (_, conn) = flow.world.only_conn();
    assert_eq!(conn.packets, [4, 2], "web has the lesser address");
    assert_eq!(conn.bytes, [160, 80]);
    assert_eq!((conn.iface, conn.origin, conn.origin_iface), ([1, 2], 0, 1));
}

#[test]
fn a_reset_closes() {
    let flow = Flow::new();
    flow.web(SYN);
    flow.app(RST | ACK);
    assert_eq!(flow.state(), ConnState::RF_CONN_CLOSED);
}

#[test]
fn a_reset_that_both_sides_ignore_does_not_close() {
    let flow = Flow::new();
    flow.web(SYN);
    flow.app(SYN | ACK);
    flow.web(ACK);
    flow.app(RST);
    flow.app(RST | ACK);
    // What was on its way when its receiver closed proves nothing.
    flow.web(ACK);
    flow.web(ACK);
    assert_eq!(flow.state(), ConnState::RF_CONN_CLOSED);
    flow.app(ACK);
    assert_eq!(flow.state(), ConnState::RF_CONN_ESTABLISHED);
    flow.web(FIN | ACK);
    flow.app(RST);
    flow.web(ACK);
    flow.app(ACK);
    assert_eq!(flow.state(), ConnState::RF_CONN_CLOSING);
    flow.app(FIN | ACK);
    flow.web(ACK);
    flow.app(ACK);
    assert_eq!(flow.state(), ConnState::RF_CONN_CLOSED, "what both have ended stays so");
}

#[test]
fn tcp_without_a_connection_must_begin_with_a_syn() {
    let flow = Flow::new();
    let world = &flow.world;
    for flags in [0, ACK, SYN | ACK, RST, FIN, SYN | FIN, SYN | RST] {
        let packet = Packet::tcp(world.web.v4, world.app.v4, (4000, 80), flags);
        let frame = world.bridged(&world.web, &world.app, packet);
        world.drops(FROM, world.web.ifindex, &frame, Reason::TcpNotSyn);
    }
    flow.web(SYN);
}

#[test]
fn a_syn_on_a_closed_connection_is_judged_in_its_own_direction() {
    let flow = Flow::new();
    flow.web(SYN);
    flow.app(RST);
    let world = &flow.world;
    // From app to web nothing is allowed, whatever web once opened.
    let packet = Packet::tcp(world.app.v4, world.web.v4, (80, 4000), SYN);
    let frame = world.bridged(&world.app, &world.web, packet);
    let decision = world.drops(FROM, world.app.ifindex, &frame, Reason::PolicyDeny);
    assert_eq!((decision.from_class, decision.to_class), (2, 1));
    flow.web(SYN);
    assert_eq!(flow.state(), ConnState::RF_CONN_OPENING);
    assert_eq!(world.only_conn().1.packets, [1, 0], "a new entry");
}

#[test]
fn udp_is_answered_only_where_it_was_asked() {
    let flow = Flow::new();
    let world = &flow.world;
    let (web, app) = (world.web, world.app);
    let answer = world.bridged(&app, &web, Packet::udp(app.v4, web.v4, (53, 4000)));
    world.drops(FROM, app.ifindex, &answer, Reason::PolicyDeny);
    flow.send(&web, &app, Packet::udp(web.v4, app.v4, (4000, 53)));
    flow.send(&app, &web, Packet::udp(app.v4, web.v4, (53, 4000)));
    assert_eq!(flow.state(), ConnState::RF_CONN_ESTABLISHED);
    let elsewhere = world.bridged(&app, &web, Packet::udp(app.v4, web.v4, (53, 4001)));
    world.drops(FROM, app.ifindex, &elsewhere, Reason::PolicyDeny);
}

#[test]
fn an_echo_reply_needs_its_request_and_a_request_back_is_no_reply() {
    let flow = Flow::new();
    let world = &flow.world;
    let (web, app) = (world.web, world.app);
    for id in [0, 7] {
        let reply = world.bridged(&app, &web, Packet::echo_reply(app.v4, web.v4, id));
        world.drops(FROM, app.ifindex, &reply, Reason::NoConnection);
        flow.send(&web, &app, Packet::echo_request(web.v4, app.v4, id));
        world.passes(FROM, app.ifindex, &reply);
    }
    // The identifier that both could use is zero: there the entry is the same, and refuses.
    let back = world.bridged(&app, &web, Packet::echo_request(app.v4, web.v4, 7));
    world.drops(FROM, app.ifindex, &back, Reason::PolicyDeny);
    let back = world.bridged(&app, &web, Packet::echo_request(app.v4, web.v4, 0));
    world.drops(FROM, app.ifindex, &back, Reason::NoConnection);
}

#[test]
fn an_expired_entry_speaks_for_nothing_and_makes_way() {
    let flow = Flow::new();
    flow.web(SYN);
    flow.app(SYN | ACK);
    let world = &flow.world;
    let (key, mut conn) = world.only_conn();
    conn.state = ConnState::RF_CONN_CLOSED;
    conn.seen_ns = now_ns() - 6_000_000_000;
    // What the agent writes has no timer: it is as if that were late.
    world.datapath.maps().conns4.put(&key, &conn).unwrap();
    let packet = Packet::tcp(world.web.v4, world.app.v4, (4000, 80), ACK);
    let frame = world.bridged(&world.web, &world.app, packet);
    world.drops(FROM, world.web.ifindex, &frame, Reason::TcpNotSyn);
    flow.web(SYN);
    assert_eq!(world.only_conn().1.state, ConnState::RF_CONN_OPENING);
}

fn now_ns() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).unwrap();
    now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64
}

#[test]
fn both_families_keep_their_own_entries() {
    let flow = Flow::new();
    let (web, app) = (flow.world.web, flow.world.app);
    flow.send(&web, &app, Packet::tcp(web.v6, app.v6, (4000, 80), SYN));
    flow.send(&app, &web, Packet::tcp(app.v6, web.v6, (80, 4000), SYN | ACK));
    let maps = flow.world.datapath.maps();
    assert_eq!(maps.conns4.entries().unwrap().len(), 0);
    assert_eq!(maps.conns6.entries().unwrap().len(), 1);
}

#[test]
fn a_flow_follows_an_address_that_moves_to_another_host() {
    let mut world = World::new();
    world.allow(1, 3, RF_TABLE_TCP);
    let (web, cache) = (world.web, world.cache);
    let from_web = |flags| world.routed(&web, Packet::tcp(web.v4, cache.v4, (4000, 80), flags));
    let from_cache = |flags| world.routed(&cache, Packet::tcp(cache.v4, web.v4, (80, 4000), flags));
    world.passes(FROM, web.ifindex, &from_web(SYN));
    world.passes(FROM, cache.ifindex, &from_cache(SYN | ACK));

    world.bump_address(DOMAIN_ID, cache.v4);
    let moved = Workload { index: 7, ifindex: 0, host: FAR, ..cache };
    world.put_workload(DOMAIN, DOMAIN_ID, &moved);

    let (_, decision) = world.passes(FROM, web.ifindex, &from_web(ACK));
    assert_eq!((decision.action, decision.remote_host), (Action::RF_ACTION_OVERLAY, FAR));
    let (_, conn) = world.only_conn();
    assert_eq!((conn.iface, conn.remote_host, conn.state), ([1, 7], FAR, ConnState::RF_CONN_ESTABLISHED));
    world.drops(FROM, cache.ifindex, &from_cache(ACK), Reason::SourceAddress);
}

#[test]
fn a_flow_ends_when_its_address_is_nobodys() {
    let flow = Flow::new();
    flow.web(SYN);
    let world = &flow.world;
    world.datapath.maps().addrs.delete(&addr_key(DOMAIN_ID, world.app.v4)).unwrap();
    world.bump_domain();
    let packet = Packet::tcp(world.web.v4, world.app.v4, (4000, 80), ACK);
    let frame = world.bridged(&world.web, &world.app, packet);
    world.drops(FROM, world.web.ifindex, &frame, Reason::NoRoute);
}

#[test]
fn an_interface_keeps_its_flows_while_it_gets_a_new_index() {
    let flow = Flow::new();
    flow.web(SYN);
    flow.app(SYN | ACK);
    let world = &flow.world;
    let maps = world.datapath.maps();
    let (web, app) = (world.web, world.app);
    // The device refers to the new index, the addresses and the flow to the old.
    let mut iface = maps.ifaces.get(&web.index).unwrap().unwrap();
    iface.mtu = 1400;
    maps.ifaces.put(&6, &iface).unwrap();
    let mut device = maps.devices.get(web.ifindex).unwrap().unwrap();
    device.r#ref = 6;
    maps.devices.put(web.ifindex, &device).unwrap();
    let (_, decision) = world.passes(FROM, web.ifindex, &flow.web_frame(ACK));
    assert_eq!(decision.judged, 0);
    flow.app(ACK);
    flow.send(&web, &app, Packet::udp(web.v4, app.v4, (1, 2)));
    // An index of another interface is not its own.
    device.r#ref = world.cache.index;
    maps.devices.put(web.ifindex, &device).unwrap();
    let packet = Packet::tcp(web.v4, app.v4, (4000, 80), ACK).macs(world.cache.mac, app.mac);
    world.drops(FROM, web.ifindex, &packet.build(), Reason::SourceAddress);
}

#[test]
fn a_packet_that_does_not_get_away_opens_no_connection() {
    let mut world = World::new();
    for (from, to) in [(1, 2), (1, 3), (1, 9)] {
        world.allow(from, to, RF_TABLE_UDP);
    }
    let (web, app, cache) = (world.web, world.app, world.cache);
    let maps = world.datapath.maps();
    let to = |target, mac| Packet::udp(web.v4, target, (1, 2)).macs(web.mac, mac);
    let outside = ip(OUTSIDE);
    let passing = Packet::udp(outside, ip("198.51.100.77"), (1, 2)).macs(NEXT_HOP_MAC, UPLINK_MAC);
    world.drops(Hook::FromUplink, world.uplink, &passing.build(), Reason::PolicyDeny);
    let long = to(app.v4, app.mac).length(1451).build();
    world.run(FROM, web.ifindex, &long);
    assert_eq!(Reason::from_number(world.decision().reason), Some(Reason::TooBig));
    world.uplink_at(RF_HOST_NONE);
    let mut absent = maps.ifaces.get(&app.index).unwrap().unwrap();
    absent.ifindex = 0;
    maps.ifaces.put(&app.index, &absent).unwrap();
    for (packet, reason) in [
        (to(app.v4, cache.mac), Reason::DestinationMac),
        (to(app.v4, app.mac), Reason::NoDevice),
        (to(cache.v4, GATEWAY_MAC).ttl(1), Reason::TtlExpired),
        (to(outside, GATEWAY_MAC), Reason::NoRoute),
    ] {
        world.drops(FROM, web.ifindex, &packet.build(), reason);
    }
    assert_eq!(maps.conns4.entries().unwrap(), []);
    // Nor does one keep a flow alive.
    let frame = to(cache.v4, GATEWAY_MAC);
    world.passes(FROM, web.ifindex, &frame.clone().build());
    world.drops(FROM, web.ifindex, &frame.ttl(1).build(), Reason::TtlExpired);
    assert_eq!(world.only_conn().1.packets.iter().sum::<u64>(), 1);
}
