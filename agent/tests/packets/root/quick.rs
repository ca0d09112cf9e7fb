//! The quick way (`quick.h`) does what the long way does. A packet of a flow that was silent for two seconds goes the
//! long way, so every packet here is sent twice: over an entry that was just used, and over the same one made older.

use std::collections::BTreeMap;

use ringfence_agent::bpf::consts::{RF_TABLE_TCP, RF_TABLE_UDP};
use ringfence_agent::bpf::{Conn, Conn4Key, Conn6Key, ConnState, Hook, TestContext, Way};

use crate::builder::{ACK, FIN, Mac, Packet, RST, SYN};
use crate::world::{DOMAIN_ID, GATEWAY_MAC, Workload, World};

const FROM: Hook = Hook::FromWorkload;
const PORTS: (u16, u16) = (4000, 80);
const STRANGER: Mac = [2, 0, 0, 0, 9, 9];
const SILENCE_NS: u64 = 2_000_000_000;

/// web, with flows to app (one network), cache (another) and db (another, on another host), of both families by TCP
/// and UDP, all answered.
fn world() -> World {
    let mut world = World::new();
    for to in [2, 3, 4] {
        world.allow(1, to, RF_TABLE_TCP);
        world.allow(1, to, RF_TABLE_UDP);
    }
    let web = world.web;
    for to in [world.app, world.cache, world.db] {
        for v6 in [false, true] {
            let opens = [Packet::tcp(web.ip(v6), to.ip(v6), PORTS, SYN), Packet::udp(web.ip(v6), to.ip(v6), PORTS)];
            for packet in opens {
                world.passes(FROM, web.ifindex, &addressed(&web, &to, packet));
            }
        }
    }
    // As if they were answered: what comes from another host cannot be told by a test run.
    edit(&world, |conn| conn.state = ConnState::RF_CONN_ESTABLISHED);
    world
}

pub(super) fn edit(world: &World, change: impl Fn(&mut Conn)) {
    let mut entries = Entries::of(world);
    entries.0.iter_mut().for_each(|(_, conn)| change(conn));
    entries.1.iter_mut().for_each(|(_, conn)| change(conn));
    entries.put(world);
}

/// Of both families.
pub(super) struct Entries(pub(super) Vec<(Conn4Key, Conn)>, pub(super) Vec<(Conn6Key, Conn)>);

impl Entries {
    pub(super) fn of(world: &World) -> Self {
        let maps = world.datapath.maps();
        Self(maps.conns4.entries().unwrap(), maps.conns6.entries().unwrap())
    }

    fn put(&self, world: &World) {
        let maps = world.datapath.maps();
        self.0.iter().for_each(|(key, conn)| maps.conns4.put(key, conn).unwrap());
        self.1.iter().for_each(|(key, conn)| maps.conns6.put(key, conn).unwrap());
    }

    pub(super) fn delete(&self, world: &World) {
        let maps = world.datapath.maps();
        self.0.iter().for_each(|(key, _)| maps.conns4.delete(key).unwrap());
        self.1.iter().for_each(|(key, _)| maps.conns6.delete(key).unwrap());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty() && self.1.is_empty()
    }
}

pub(super) fn addressed(from: &Workload, to: &Workload, packet: Packet) -> Vec<u8> {
    packet.macs(from.mac, if from.vni == to.vni { to.mac } else { GATEWAY_MAC }).build()
}

/// Everything that can be seen of a packet, but which way it went: result, bytes, mark, decision, what was counted, what
/// the entries say.
pub(super) fn seen(world: &World, ifindex: u32, frame: &[u8], context: TestContext) -> String {
    let context = TestContext { ifindex, ..context };
    let (output, moved) = world.moved(|| world.datapath.test_run(FROM, frame, &context).unwrap());
    let mut decision = world.decision();
    (decision.count, decision.way) = (0, Way::RF_WAY_LONG);
    let entries = Entries::of(world);
    let mut conns = BTreeMap::new();
    let told = |conn: &Conn| {
        let Conn { packets, bytes, state, tcp_flags, denied, .. } = *conn;
        format!("{packets:?} {bytes:?} {state:?} {tcp_flags:?} {denied:?}")
    };
    conns.extend(entries.0.iter().map(|(key, conn)| (format!("{key:?}"), told(conn))));
    conns.extend(entries.1.iter().map(|(key, conn)| (format!("{key:?}"), told(conn))));
    format!("{} {:?} {} {decision:?} {moved:?} {conns:?}", output.action, output.packet, output.mark)
}

/// Both ways see the same; `passes` is what it comes to.
#[track_caller]
fn same(world: &World, from: &Workload, frame: &[u8], context: TestContext, passes: bool) {
    let [quick, long] = both(world, from, frame, context);
    assert_eq!(quick, long);
    assert_eq!(quick.starts_with('7'), passes, "{quick}");
}

/// What the quick way makes of a packet, and what the long way does; the entries are as before then.
fn both(world: &World, from: &Workload, frame: &[u8], context: TestContext) -> [String; 2] {
    let before = Entries::of(world);
    let quick = seen(world, from.ifindex, frame, context);
    before.put(world);
    edit(world, |conn| conn.seen_ns -= SILENCE_NS);
    let long = seen(world, from.ifindex, frame, context);
    before.put(world);
    [quick, long]
}

fn plain(v6: bool, udp: bool, from: &Workload, to: &Workload) -> Packet {
    let (src, dst) = (from.ip(v6), to.ip(v6));
    if udp { Packet::udp(src, dst, PORTS) } else { Packet::tcp(src, dst, PORTS, ACK) }
}

/// Of IPv6 or not, of UDP or not.
fn every(world: &World, check: impl Fn(bool, bool)) {
    let before = Entries::of(world);
    for (v6, udp) in [(false, false), (false, true), (true, false), (true, true)] {
        check(v6, udp);
        before.put(world);
    }
}

#[test]
fn what_passes_goes_to_the_same_place_with_the_same_bytes_and_counters() {
    let world = &world();
    every(world, |v6, udp| {
        let web = world.web;
        for to in [world.app, world.cache, world.db] {
            let packet = plain(v6, udp, &web, &to).payload(b"abc");
            same(world, &web, &addressed(&web, &to, packet), TestContext::default(), true);
        }
        let (app, cache) = (world.app, world.cache);
        for from in [app, cache] {
            let (src, dst) = (from.ip(v6), web.ip(v6));
            let back = (PORTS.1, PORTS.0);
            let packet = if udp { Packet::udp(src, dst, back) } else { Packet::tcp(src, dst, back, ACK) };
            same(world, &from, &addressed(&from, &web, packet), TestContext::default(), true);
        }
    });
}

#[test]
fn a_flow_that_is_open_and_not_silent_takes_the_quick_way() {
    let world = &world();
    every(world, |v6, udp| {
        let web = world.web;
        for to in [world.app, world.cache, world.db] {
            let frame = addressed(&web, &to, plain(v6, udp, &web, &to));
            edit(world, |conn| conn.seen_ns -= SILENCE_NS);
            assert_eq!(world.passes(FROM, web.ifindex, &frame).1.way, Way::RF_WAY_LONG);
            // Which was a packet of the flow, too.
            assert_eq!(world.passes(FROM, web.ifindex, &frame).1.way, Way::RF_WAY_QUICK);
        }
    });
}

#[test]
fn a_stale_entry_is_judged_again() {
    let world = &world();
    every(world, |v6, udp| {
        let (web, app) = (world.web, world.app);
        let frame = addressed(&web, &app, plain(v6, udp, &web, &app));
        world.bump_domain();
        same(world, &web, &frame, TestContext::default(), true);
        edit(world, |conn| conn.domain_epoch += 1);
        world.bump_address(DOMAIN_ID, app.ip(v6));
        same(world, &web, &frame, TestContext::default(), true);
    });
}

#[test]
fn who_may_not_send_does_not() {
    let world = &world();
    every(world, |v6, udp| {
        let (web, app, cache) = (world.web, world.app, world.cache);
        let packet = || plain(v6, udp, &web, &app);
        let context = TestContext::default();
        // With another's MAC, to another's MAC, from another's device.
        same(world, &web, &packet().macs(STRANGER, app.mac).build(), context, false);
        same(world, &web, &packet().macs(web.mac, STRANGER).build(), context, false);
        same(world, &cache, &packet().macs(cache.mac, app.mac).build(), context, false);
        // The same where nothing but whose the device is stands in its way.
        let other = plain(v6, udp, &web, &cache).macs(app.mac, GATEWAY_MAC).build();
        same(world, &app, &other, context, false);
        // Into another network without the gateway; with a TTL that ends there.
        let routed = || plain(v6, udp, &web, &cache);
        same(world, &web, &routed().macs(web.mac, cache.mac).build(), context, false);
        same(world, &web, &routed().macs(web.mac, GATEWAY_MAC).ttl(1).build(), context, false);
    });
}

#[test]
fn what_an_entry_refuses_is_refused() {
    let world = &world();
    every(world, |v6, udp| {
        let (web, app) = (world.web, world.app);
        let frame = addressed(&web, &app, plain(v6, udp, &web, &app));
        edit(world, |conn| conn.denied = 1);
        same(world, &web, &frame, TestContext::default(), false);
        edit(world, |conn| (conn.denied, conn.reply_denied, conn.origin) = (0, 1, 1 - conn.origin));
        same(world, &web, &frame, TestContext::default(), false);
    });
}

#[test]
fn what_is_too_long_is_told_so_and_segments_are_measured() {
    let world = &world();
    every(world, |v6, udp| {
        let (web, app) = (world.web, world.app);
        let frame = addressed(&web, &app, plain(v6, udp, &web, &app).payload(&[7; 1460]));
        let (quick, _) = world.moved(|| world.run(FROM, web.ifindex, &frame));
        assert_ne!(quick.packet, frame, "a message to the sender takes its place");
        if !udp {
            let segments = TestContext { gso_size: 1300, gso_segs: 2, ..TestContext::default() };
            same(world, &web, &frame, segments, true);
        }
    });
}

#[test]
fn what_changes_the_state_of_a_connection_changes_it() {
    let world = &world();
    let (web, app) = (world.web, world.app);
    for flags in [FIN | ACK, RST, RST | ACK, SYN, SYN | ACK, 0] {
        let frame = addressed(&web, &app, Packet::tcp(web.v4, app.v4, PORTS, flags));
        same(world, &web, &frame, TestContext::default(), true);
    }
}
