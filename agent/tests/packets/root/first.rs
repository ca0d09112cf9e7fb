//! The short way of a first packet (`first.h`) does what the long way does. A packet that begins anew what an entry is about
//! goes the long way, which replaces the entry; so every packet here is sent twice: over none, and over one that was cut.

use ringfence_agent::bpf::consts::{RF_TABLE_TCP, RF_TABLE_UDP};
use ringfence_agent::bpf::{Hook, Reason, TestContext, Way};

use super::quick::{Entries, addressed, edit, seen};
use crate::builder::{ACK, Packet, SYN};
use crate::world::{ALLOW, ALLOW_TO, DENY, Workload, World};

const FROM: Hook = Hook::FromWorkload;
const PORTS: (u16, u16) = (4000, 80);
const DENIED_PORT: u16 = 81;

/// web may ask app (one network), cache (another) and db (another, on another host) at one port, by TCP and UDP.
fn world() -> World {
    let mut world = World::new();
    for to in [2, 3, 4] {
        for table in [RF_TABLE_TCP, RF_TABLE_UDP] {
            world.row(0, 1, to, table, &[(0, DENY, 1, 2), (PORTS.1, ALLOW, 3, 4), (DENIED_PORT, ALLOW_TO, 5, 6)]);
        }
    }
    world
}

fn opens(v6: bool, udp: bool, from: &Workload, to: &Workload, port: u16) -> Packet {
    let (src, dst, ports) = (from.ip(v6), to.ip(v6), (PORTS.0, port));
    if udp { Packet::udp(src, dst, ports) } else { Packet::tcp(src, dst, ports, SYN) }
}

/// What the two ways see of a packet and leave of its flow, and which ways they were; no flow is left then.
fn both(world: &World, from: &Workload, frame: &[u8]) -> ([String; 2], [Way; 2]) {
    let look = || {
        let seen = seen(world, from.ifindex, frame, TestContext::default());
        let way = world.decision().way;
        let Entries(mut v4, mut v6) = Entries::of(world);
        // When it was is all that may differ.
        v4.iter_mut().for_each(|(_, conn)| conn.seen_ns = 0);
        v6.iter_mut().for_each(|(_, conn)| conn.seen_ns = 0);
        (format!("{seen} {v4:?} {v6:?}"), way)
    };
    let (short, first) = look();
    edit(world, |conn| (conn.denied, conn.origin) = (1, 1 - conn.origin));
    let (long, second) = look();
    Entries::of(world).delete(world);
    ([short, long], [first, second])
}

fn every(check: impl Fn(bool, bool)) {
    for (v6, udp) in [(false, false), (false, true), (true, false), (true, true)] {
        check(v6, udp);
    }
}

#[test]
fn what_opens_a_flow_leaves_the_same_entry_and_goes_to_the_same_place() {
    let world = &world();
    every(|v6, udp| {
        let web = world.web;
        for to in [world.app, world.cache, world.db] {
            let frame = addressed(&web, &to, opens(v6, udp, &web, &to, PORTS.1).payload(b"abc"));
            let ([short, long], ways) = both(world, &web, &frame);
            assert_eq!(short, long);
            assert!(short.starts_with('7'), "{short}");
            assert_eq!(ways, [Way::RF_WAY_FIRST, Way::RF_WAY_LONG]);
        }
    });
}

#[test]
fn what_policy_denies_is_dropped_by_the_same_rules_and_has_no_entry() {
    let world = &world();
    every(|v6, udp| {
        let web = world.web;
        for to in [world.app, world.cache, world.db] {
            let frame = addressed(&web, &to, opens(v6, udp, &web, &to, DENIED_PORT));
            let decision = world.drops(FROM, web.ifindex, &frame, Reason::PolicyDeny);
            assert_eq!((decision.from_rule, decision.to_rule, decision.way), (5, 6, Way::RF_WAY_FIRST));
            assert_eq!((decision.judged, decision.allows), (1, u32::from(ALLOW_TO)));
            assert!(Entries::of(world).is_empty());
        }
    });
}

#[test]
fn what_opens_nothing_goes_the_long_way() {
    let world = &world();
    for v6 in [false, true] {
        let (web, app) = (world.web, world.app);
        for flags in [ACK, SYN | ACK] {
            let packet = Packet::tcp(web.ip(v6), app.ip(v6), PORTS, flags);
            let decision = world.drops(FROM, web.ifindex, &addressed(&web, &app, packet), Reason::TcpNotSyn);
            assert_eq!(decision.way, Way::RF_WAY_LONG);
        }
    }
}

#[test]
fn what_serves_dhcp_or_comes_from_anothers_address_is_refused_as_ever() {
    let mut world = world();
    world.allow(1, 2, RF_TABLE_UDP);
    let (web, app) = (world.web, world.app);
    for (v6, port) in [(false, 68), (true, 546)] {
        let frame = addressed(&web, &app, opens(v6, true, &web, &app, port));
        world.drops(FROM, web.ifindex, &frame, Reason::DhcpServer);
    }
    every(|v6, udp| {
        let frame = addressed(&web, &app, opens(v6, udp, &world.cache, &app, PORTS.1));
        world.drops(FROM, web.ifindex, &frame, Reason::SourceAddress);
    });
}
