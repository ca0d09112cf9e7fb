//! A flood is refused beyond the budget of who floods, and nobody else notices.

use std::net::IpAddr;

use ringfence_agent::bpf::consts::{
    RF_BUDGET_INBOUND, RF_BUDGET_INBOUND_HALF, RF_BUDGET_OUTSIDE, RF_BUDGET_OUTSIDE_HALF, RF_BUDGET_OWN,
    RF_BUDGET_OWN_HALF, RF_BUDGETS, RF_TABLE_TCP, RF_TABLE_UDP,
};
use ringfence_agent::bpf::{Device, DeviceKind, Hook, Pod, Reason};

use crate::builder::{ACK, FIN, Packet, RST, SYN};
use crate::net::ip;
use crate::world::{DOMAIN, DOMAIN_ID, FAR, GATEWAY_MAC, NEXT_HOP_MAC, UPLINK_MAC, Workload, World};

const FROM: Hook = Hook::FromWorkload;
/// The loopback device plays many.
const LOOPBACK: u32 = 1;
/// In the order of `RF_BUDGET_*`: own, inbound, outside, each with its half-open.
const LIMITS: [u64; RF_BUDGETS as usize] = [40, 10, 80, 20, 40, 10];

/// web, cache and db may all speak to app and to each other; so may outside.
fn world() -> World {
    let mut world = World::new();
    for (from, to) in [(1, 2), (2, 1), (3, 2), (2, 3), (1, 3), (3, 1), (9, 2), (9, 3), (9, 4), (1, 9)] {
        world.allow(from, to, RF_TABLE_TCP);
        world.allow(from, to, RF_TABLE_UDP);
    }
    world.limit(&LIMITS);
    world
}

impl World {
    fn used(&self, workload: &Workload) -> [u64; RF_BUDGETS as usize] {
        self.datapath.maps().accounts.load(workload.index).unwrap().used
    }

    fn refused(&self, workload: &Workload, budget: u32) -> u64 {
        self.datapath.maps().accounts.load(workload.index).unwrap().refused[budget as usize]
    }

    fn tcp(&self, from: &Workload, to: &Workload, ports: (u16, u16), flags: u8) -> Vec<u8> {
        self.routed(from, Packet::tcp(from.v4, to.v4, ports, flags))
    }

    fn opens(&self, from: &Workload, to: &Workload, port: u16) {
        self.passes(FROM, from.ifindex, &self.tcp(from, to, (port, 80), SYN));
    }

    /// With all three packets of the handshake.
    fn establishes(&self, from: &Workload, to: &Workload, port: u16) {
        self.opens(from, to, port);
        self.passes(FROM, to.ifindex, &self.tcp(to, from, (80, port), SYN | ACK));
        self.passes(FROM, from.ifindex, &self.tcp(from, to, (port, 80), ACK));
    }

    /// A packet of an established flow still passes, by its connection.
    fn goes_on(&self, from: &Workload, to: &Workload, port: u16) {
        let (_, decision) = self.passes(FROM, from.ifindex, &self.tcp(from, to, (port, 80), ACK));
        assert_eq!(decision.judged, 0);
    }

    fn opens_from_outside(&self, from: IpAddr, to: &Workload) -> Vec<u8> {
        Packet::tcp(from, to.v4, (7000, 80), SYN).macs(NEXT_HOP_MAC, UPLINK_MAC).build()
    }

    /// Every account counts just what the connections say.
    #[track_caller]
    fn counts_are_exact(&self) {
        let maps = self.datapath.maps();
        let counted = maps.count_charges().unwrap();
        for account in 0..maps.accounts.capacity() {
            let used = maps.accounts.load(account).unwrap().used;
            for (budget, used) in (0..).zip(used) {
                assert_eq!(used, counted.get(&(account, budget)).copied().unwrap_or(0), "account {account}, {budget}");
            }
        }
    }
}

#[test]
fn a_syn_flood_is_refused_beyond_what_its_sender_may_have_half_open() {
    let world = world();
    let (web, app, cache) = (world.web, world.app, world.cache);
    world.establishes(&web, &cache, 1);
    world.establishes(&cache, &app, 1);
    for port in 100..110 {
        world.opens(&web, &app, port);
    }
    for port in 110..150 {
        world.drops(FROM, web.ifindex, &world.tcp(&web, &app, (port, 80), SYN), Reason::HalfOpenBudget);
    }
    assert_eq!(world.refused(&web, RF_BUDGET_OWN_HALF), 40);
    assert_eq!(world.used(&web)[..2], [11, 10]);
    // Its own established flow, another's to the same destination, and new ones of that other.
    world.goes_on(&web, &cache, 1);
    world.goes_on(&cache, &app, 1);
    world.establishes(&cache, &app, 2);
    world.establishes(&app, &cache, 3);
    world.counts_are_exact();
}

#[test]
fn a_udp_scan_is_refused_alike_and_one_that_is_answered_by_the_budget_of_its_own() {
    let world = world();
    let (web, app, cache) = (world.web, world.app, world.cache);
    let udp = |from: &Workload, to: &Workload, ports| world.routed(from, Packet::udp(from.v4, to.v4, ports));
    for port in 1..=40 {
        world.passes(FROM, web.ifindex, &udp(&web, &app, (9, port)));
        world.passes(FROM, app.ifindex, &udp(&app, &web, (port, 9)));
    }
    assert_eq!(world.used(&web)[..4], [40, 0, 0, 0]);
    assert_eq!(world.used(&app)[..4], [0, 0, 40, 0]);
    world.drops(FROM, web.ifindex, &udp(&web, &app, (9, 41)), Reason::ConnBudget);
    assert_eq!(world.refused(&web, RF_BUDGET_OWN), 1);
    for port in 1..=10 {
        world.passes(FROM, cache.ifindex, &udp(&cache, &web, (9, port)));
    }
    world.drops(FROM, cache.ifindex, &udp(&cache, &web, (9, 11)), Reason::HalfOpenBudget);
    // What answers belongs to the flow of who asked: nobody pays twice.
    world.passes(FROM, web.ifindex, &udp(&web, &cache, (10, 9)));
    world.passes(FROM, cache.ifindex, &udp(&cache, &web, (9, 11)));
    world.counts_are_exact();
}

#[test]
fn a_handshake_that_its_sender_never_ends_stays_half_open() {
    let world = world();
    let (web, app) = (world.web, world.app);
    for port in 1..=10 {
        world.opens(&web, &app, port);
        world.passes(FROM, app.ifindex, &world.tcp(&app, &web, (80, port), SYN | ACK));
    }
    world.drops(FROM, web.ifindex, &world.tcp(&web, &app, (11, 80), SYN), Reason::HalfOpenBudget);
    world.passes(FROM, web.ifindex, &world.tcp(&web, &app, (1, 80), ACK));
    world.opens(&web, &app, 11);
    world.counts_are_exact();
}

#[test]
fn one_originator_alone_never_fills_a_destination() {
    let world = world();
    let (web, app, cache) = (world.web, world.app, world.cache);
    (100..140).for_each(|port| world.establishes(&web, &app, port));
    world.drops(FROM, web.ifindex, &world.tcp(&web, &app, (140, 80), SYN), Reason::ConnBudget);
    (100..140).for_each(|port| world.establishes(&cache, &app, port));
    world.counts_are_exact();
}

/// Workloads of front, all played by the loopback device.
struct Crowd<'a> {
    world: &'a World,
    like: Workload,
}

impl Crowd<'_> {
    fn member(&self, n: u32) -> Workload {
        let [.., high, low] = n.to_be_bytes();
        let member = Workload {
            index: 100 + n,
            ifindex: LOOPBACK,
            mac: [2, 0, 0, 9, high, low],
            v4: ip(&format!("10.1.{}.{low}", 100 + u32::from(high))),
            v6: ip(&format!("fd00:1::9:{n:x}")),
            ..self.like
        };
        self.world.put_workload(DOMAIN, DOMAIN_ID, &member);
        member
    }

    fn sends(&self, member: &Workload, packet: Packet) -> Option<Reason> {
        let kind = DeviceKind::RF_DEVICE_WORKLOAD;
        let device = Device { kind, r#ref: member.index, counter: 5, ..Device::zeroed() };
        self.world.datapath.maps().devices.put(LOOPBACK, &device).unwrap();
        self.world.run(FROM, LOOPBACK, &packet.macs(member.mac, GATEWAY_MAC).build());
        Reason::from_number(self.world.decision().reason)
    }
}

#[test]
fn a_thousand_originators_against_one_destination_starve_nobody_else() {
    let world = world();
    let (web, app, cache) = (world.web, world.app, world.cache);
    world.establishes(&cache, &app, 1);
    let crowd = Crowd { world: &world, like: web };
    let mut refused = 0;
    let mut opened = 0;
    for n in 1..=1000 {
        let member = crowd.member(n);
        let to_app = |port| Packet::tcp(member.v4, app.v4, (port, 80), SYN);
        for port in [1, 2] {
            match crowd.sends(&member, to_app(port)) {
                None => opened += 1,
                Some(Reason::DestinationBudget) => refused += 1,
                other => panic!("{other:?}"),
            }
        }
        // To others it may speak as before, and was charged for nothing that was refused.
        if n == 1000 {
            assert_eq!(crowd.sends(&member, Packet::tcp(member.v4, cache.v4, (1, 80), SYN)), None);
            assert_eq!(world.used(&member)[..2], [1, 1]);
        }
    }
    assert_eq!((opened, refused), (20, 1980));
    assert_eq!(world.refused(&app, RF_BUDGET_INBOUND_HALF), 1980);
    world.goes_on(&cache, &app, 1);
    // The destination opens, is reached from outside, and others are reached.
    world.establishes(&app, &cache, 5);
    world.passes(Hook::FromUplink, world.uplink, &world.opens_from_outside(ip("203.0.113.9"), &app));
    world.establishes(&cache, &web, 6);
    world.counts_are_exact();
}

#[test]
fn a_thousand_established_flows_fill_a_destination_and_no_more() {
    let world = world();
    let app = world.app;
    let crowd = Crowd { world: &world, like: world.web };
    for n in 1..=80 {
        let member = crowd.member(n);
        assert_eq!(crowd.sends(&member, Packet::tcp(member.v4, app.v4, (1, 80), SYN)), None, "{n}");
        let frame = world.routed(&app, Packet::tcp(app.v4, member.v4, (80, 1), SYN | ACK));
        world.run(FROM, app.ifindex, &frame);
        crowd.sends(&member, Packet::tcp(member.v4, app.v4, (1, 80), ACK));
    }
    assert_eq!(world.used(&app)[RF_BUDGET_INBOUND as usize..4], [80, 0]);
    let last = crowd.member(81);
    let packet = Packet::tcp(last.v4, app.v4, (1, 80), SYN);
    assert_eq!(crowd.sends(&last, packet), Some(Reason::DestinationBudget));
    assert_eq!(world.refused(&app, RF_BUDGET_INBOUND), 1);
    world.counts_are_exact();
}

#[test]
fn a_flood_from_outside_leaves_inside_clients_and_other_destinations_alone() {
    let world = world();
    let (web, app, cache) = (world.web, world.app, world.cache);
    for n in 1..=50u8 {
        let frame = world.opens_from_outside(IpAddr::from([203, 0, 113, n]), &app);
        if n <= 10 {
            world.passes(Hook::FromUplink, world.uplink, &frame);
        } else {
            world.drops(Hook::FromUplink, world.uplink, &frame, Reason::OutsideBudget);
        }
    }
    assert_eq!(world.refused(&app, RF_BUDGET_OUTSIDE_HALF), 40);
    assert_eq!(world.used(&app), [0, 0, 0, 0, 10, 10]);
    world.establishes(&web, &app, 1);
    world.passes(Hook::FromUplink, world.uplink, &world.opens_from_outside(ip("203.0.113.9"), &cache));
    world.counts_are_exact();
}

#[test]
fn an_uplinks_host_keeps_the_budgets_of_workloads_elsewhere() {
    let world = world();
    for n in 1..=10u8 {
        let frame = world.opens_from_outside(IpAddr::from([203, 0, 113, n]), &world.db);
        world.passes(Hook::FromUplink, world.uplink, &frame);
    }
    let frame = world.opens_from_outside(ip("203.0.113.99"), &world.db);
    world.drops(Hook::FromUplink, world.uplink, &frame, Reason::OutsideBudget);
    assert_eq!(world.used(&world.db)[RF_BUDGET_OUTSIDE as usize], 10);
    assert_eq!(world.db.host, FAR);
}

#[test]
fn a_flow_that_is_refused_is_judged_and_counted_as_one_that_policy_allowed() {
    let world = world();
    world.limit(&[0; RF_BUDGETS as usize]);
    let (web, app) = (world.web, world.app);
    let decision = world.drops(FROM, web.ifindex, &world.tcp(&web, &app, (1, 80), SYN), Reason::ConnBudget);
    assert_eq!((decision.judged, decision.allows), (1, 3));
    assert_eq!(world.used(&web), [0; RF_BUDGETS as usize]);
}

#[test]
fn who_replaces_an_entry_hands_its_charge_on() {
    let mut world = world();
    let (web, app) = (world.web, world.app);
    world.establishes(&web, &app, 1);
    world.opens(&web, &app, 2);
    // Judged again, and allowed; judged again, and denied; and allowed once more.
    world.bump_domain();
    world.passes(FROM, web.ifindex, &world.tcp(&web, &app, (1, 80), ACK));
    for slot in [0, 1] {
        world.row(slot, 1, 2, RF_TABLE_TCP, &[(0, 0, 0, 0)]);
    }
    world.bump_domain();
    for (port, flags) in [(1, ACK), (2, ACK)] {
        world.drops(FROM, web.ifindex, &world.tcp(&web, &app, (port, 80), flags), Reason::PolicyDeny);
    }
    assert_eq!(world.used(&web)[..2], [2, 1]);
    world.counts_are_exact();
    world.allow(1, 2, RF_TABLE_TCP);
    world.bump_domain();
    world.passes(FROM, web.ifindex, &world.tcp(&web, &app, (1, 80), ACK));
    // Its destination moves to another interface, which pays for what is opened to it from then on.
    world.bump_address(DOMAIN_ID, app.v4);
    let moved = Workload { index: 8, ..app };
    world.put_workload(DOMAIN, DOMAIN_ID, &moved);
    world.passes(FROM, web.ifindex, &world.tcp(&web, &app, (1, 80), ACK));
    world.opens(&web, &app, 3);
    assert_eq!((world.used(&app)[2], world.used(&moved)[2]), (2, 1));
    world.counts_are_exact();
}

#[test]
fn a_port_that_is_used_again_is_charged_once() {
    let world = world();
    let (web, app) = (world.web, world.app);
    for round in 0..60 {
        world.establishes(&web, &app, 1);
        if round % 2 == 0 {
            world.passes(FROM, web.ifindex, &world.tcp(&web, &app, (1, 80), RST));
        } else {
            world.passes(FROM, web.ifindex, &world.tcp(&web, &app, (1, 80), FIN | ACK));
            world.passes(FROM, app.ifindex, &world.tcp(&app, &web, (80, 1), FIN | ACK));
        }
    }
    assert_eq!(world.used(&web)[..2], [1, 0]);
    world.counts_are_exact();
}

#[test]
fn what_all_have_in_common_is_lent_once_and_leaves_everybody_its_share() {
    let world = world();
    let [web, app, cache] = [&world.web, &world.app, &world.cache];
    let mut shares = LIMITS;
    (shares[RF_BUDGET_OWN as usize], shares[RF_BUDGET_INBOUND as usize]) = (2, 80);
    world.share(&LIMITS, &shares, 3);
    let common = || world.datapath.maps().accounts.load(0).unwrap().used[0];
    (0..5).for_each(|port| world.establishes(web, app, 1000 + port));
    assert_eq!(common(), 3);
    world.drops(FROM, web.ifindex, &world.tcp(web, app, (1005, 80), SYN), Reason::ConnBudget);
    // Another has its share all the same, and no more.
    (0..2).for_each(|port| world.establishes(cache, app, 2000 + port));
    world.drops(FROM, cache.ifindex, &world.tcp(cache, app, (2002, 80), SYN), Reason::ConnBudget);
    assert_eq!(common(), 3);
}
