//! Flows of stateless rules: without an entry where nobody wants one, and answers judged by who is stateless.

use ringfence_agent::bpf::consts::{RF_STATEFUL_FROM, RF_STATEFUL_TO, RF_TABLE_ICMP, RF_TABLE_TCP, RF_TABLE_UDP};
use ringfence_agent::bpf::{Decision, Hook, Reason};

use crate::builder::{ACK, Packet, SYN, icmp_error};
use crate::net::ip;
use crate::world::{
    ALLOW, ALLOW_FROM, ALLOW_TO, DENY, NEXT_HOP_MAC, OUTSIDE, STATEFUL, UPLINK_MAC, Workload, World, enforced,
};

const FROM: Hook = Hook::FromWorkload;
const FROM_SIDE: u8 = RF_STATEFUL_FROM as u8;
const TO_SIDE: u8 = RF_STATEFUL_TO as u8;

/// One verdict for a whole table, by rules 11 and 12 with these notes.
fn row(world: &mut World, from: u32, to: u32, table: u32, verdict: u8, notes: u8) {
    world.row_of(0, from, to, table, &[enforced((0, verdict, 11, 12), notes)]);
}

fn frame(world: &World, from: &Workload, to: &Workload, packet: impl Fn(&Workload, &Workload) -> Packet) -> Vec<u8> {
    world.bridged(from, to, packet(from, to))
}

fn tcp(flags: u8, ports: (u16, u16)) -> impl Fn(&Workload, &Workload) -> Packet {
    move |from, to| Packet::tcp(from.v4, to.v4, ports, flags)
}

fn udp(ports: (u16, u16)) -> impl Fn(&Workload, &Workload) -> Packet {
    move |from, to| Packet::udp(from.v4, to.v4, ports)
}

#[track_caller]
fn untracked(world: &World) {
    assert_eq!(world.datapath.maps().conns4.entries().unwrap(), []);
}

#[test]
fn what_no_side_wants_tracked_has_no_entry_and_every_packet_is_judged() {
    let mut world = World::new();
    row(&mut world, 1, 2, RF_TABLE_UDP, ALLOW, 0);
    let (web, app) = (world.web, world.app);
    let there = frame(&world, &web, &app, udp((4000, 53)));
    let back = frame(&world, &app, &web, udp((53, 4000)));
    for _ in 0..2 {
        let (_, decision) = world.passes(FROM, web.ifindex, &there);
        assert_eq!((decision.judged, decision.from_rule, decision.to_rule), (1, 11, 12));
        untracked(&world);
    }
    world.drops(FROM, app.ifindex, &back, Reason::PolicyDeny);
    row(&mut world, 2, 1, RF_TABLE_UDP, ALLOW, 0);
    let (_, decision) = world.passes(FROM, app.ifindex, &back);
    assert_eq!((decision.judged, decision.from_class), (1, 2));
    untracked(&world);
}

#[test]
fn tcp_and_echo_in_mid_stream_pass_where_all_voting_sides_are_stateless() {
    for (verdict, notes, passes) in [
        (ALLOW, 0, true),
        (ALLOW, FROM_SIDE, false),
        (ALLOW, TO_SIDE, false),
        (ALLOW, STATEFUL, false),
        (ALLOW_FROM, 0, false),
        (ALLOW_TO, 0, false),
    ] {
        let mut world = World::new();
        for table in [RF_TABLE_TCP, RF_TABLE_ICMP] {
            row(&mut world, 1, 2, table, verdict, notes);
        }
        let (web, app) = (world.web, world.app);
        let stray = [
            (frame(&world, &web, &app, tcp(ACK, (4000, 80))), Reason::TcpNotSyn),
            (frame(&world, &web, &app, tcp(SYN | ACK, (4000, 80))), Reason::TcpNotSyn),
            (frame(&world, &web, &app, |from, to| Packet::echo_reply(from.v4, to.v4, 7)), Reason::NoConnection),
        ];
        for (frame, reason) in stray {
            if passes {
                world.passes(FROM, web.ifindex, &frame);
            } else {
                world.drops(FROM, web.ifindex, &frame, reason);
            }
            untracked(&world);
        }
    }
}

/// web asks app on TCP, and app answers from 80 to 4000: what became of both.
fn asked_and_answered(world: &World) -> (Decision, Decision) {
    let (web, app) = (world.web, world.app);
    let syn = frame(world, &web, &app, tcp(SYN, (4000, 80)));
    let answer = frame(world, &app, &web, tcp(SYN | ACK, (80, 4000)));
    let (_, asked) = world.passes(FROM, web.ifindex, &syn);
    world.run(FROM, app.ifindex, &answer);
    (asked, world.decision())
}

#[test]
fn an_answer_passes_a_stateless_side_only_if_that_side_allows_it_afresh() {
    // The answer's source is app: the to side of the flow is the from side of the answer.
    for (notes, answer, passes) in [
        (FROM_SIDE, ALLOW_FROM, true),
        (FROM_SIDE, ALLOW, true),
        (FROM_SIDE, ALLOW_TO, false),
        (FROM_SIDE, DENY, false),
        (TO_SIDE, ALLOW_TO, true),
        (TO_SIDE, ALLOW, true),
        (TO_SIDE, ALLOW_FROM, false),
        (TO_SIDE, DENY, false),
        (STATEFUL, DENY, true),
    ] {
        let mut world = World::new();
        row(&mut world, 1, 2, RF_TABLE_TCP, ALLOW, notes);
        // Only the port that the answer goes to.
        let runs = [(0, !answer & ALLOW, 1, 2), (4000, answer, 3, 4), (4001, !answer & ALLOW, 5, 6)];
        world.row_of(0, 2, 1, RF_TABLE_TCP, &runs.map(|run| enforced(run, 0)));
        let (asked, answered) = asked_and_answered(&world);
        assert_eq!(asked.reply_denied, u32::from(!passes), "{notes} {answer}");
        let reason = if passes { None } else { Some(Reason::PolicyDeny) };
        assert_eq!((Reason::from_number(answered.reason), answered.judged), (reason, 0), "{notes} {answer}");
        let (web, app) = (world.web, world.app);
        world.passes(FROM, web.ifindex, &frame(&world, &web, &app, tcp(ACK, (4000, 80))));
        assert_eq!(world.only_conn().1.reply_denied, u8::from(!passes));
    }
}

#[test]
fn without_a_row_for_the_answer_a_stateless_side_refuses_it() {
    let mut world = World::new();
    row(&mut world, 1, 2, RF_TABLE_TCP, ALLOW, FROM_SIDE);
    let (_, answered) = asked_and_answered(&world);
    assert_eq!(Reason::from_number(answered.reason), Some(Reason::PolicyDeny));
}

#[test]
fn an_echo_is_answered_as_an_echo_reply() {
    for (v6, table, reply) in [(false, RF_TABLE_ICMP, 0), (true, ringfence_agent::bpf::consts::RF_TABLE_ICMP6, 129)] {
        let mut world = World::new();
        row(&mut world, 1, 2, table, ALLOW, FROM_SIDE);
        let first = reply << 8;
        let runs = [(0, DENY, 1, 2), (first, ALLOW, 3, 4), (first + 1, DENY, 5, 6)];
        let runs = if reply == 0 { &runs[1..] } else { &runs[..] };
        world.row_of(0, 2, 1, table, &runs.iter().map(|run| enforced(*run, 0)).collect::<Vec<_>>());
        let (web, app) = (world.web, world.app);
        let request = world.bridged(&web, &app, Packet::echo_request(web.ip(v6), app.ip(v6), 7));
        let reply = world.bridged(&app, &web, Packet::echo_reply(app.ip(v6), web.ip(v6), 7));
        let (_, decision) = world.passes(FROM, web.ifindex, &request);
        assert_eq!(decision.reply_denied, 0);
        world.passes(FROM, app.ifindex, &reply);
    }
}

#[test]
fn a_change_of_the_answers_verdict_cuts_and_mends_the_flow() {
    let mut world = World::new();
    row(&mut world, 1, 2, RF_TABLE_TCP, ALLOW, FROM_SIDE);
    row(&mut world, 2, 1, RF_TABLE_TCP, ALLOW, 0);
    assert_eq!(asked_and_answered(&world).1.reason, 0);
    let (web, app) = (world.web, world.app);
    let answer = frame(&world, &app, &web, tcp(ACK, (80, 4000)));
    row(&mut world, 2, 1, RF_TABLE_TCP, DENY, 0);
    world.bump_domain();
    let decision = world.drops(FROM, app.ifindex, &answer, Reason::PolicyDeny);
    assert_eq!((decision.judged, decision.from_class, decision.reply_denied), (1, 1, 1));
    world.passes(FROM, web.ifindex, &frame(&world, &web, &app, tcp(ACK, (4000, 80))));
    row(&mut world, 2, 1, RF_TABLE_TCP, ALLOW, 0);
    world.bump_domain();
    world.passes(FROM, app.ifindex, &answer);
}

#[test]
fn an_entry_outlives_the_last_stateful_rule_and_answers_are_judged_then() {
    let mut world = World::new();
    row(&mut world, 1, 2, RF_TABLE_TCP, ALLOW, STATEFUL);
    assert_eq!(asked_and_answered(&world).1.reason, 0);
    let (web, app) = (world.web, world.app);
    row(&mut world, 1, 2, RF_TABLE_TCP, ALLOW, 0);
    world.bump_domain();
    world.passes(FROM, web.ifindex, &frame(&world, &web, &app, tcp(ACK, (4000, 80))));
    world.drops(FROM, app.ifindex, &frame(&world, &app, &web, tcp(ACK, (80, 4000))), Reason::PolicyDeny);
    assert_eq!(world.only_conn().1.reply_denied, 1);
}

#[test]
fn a_side_without_a_vote_refuses_no_answer() {
    let mut world = World::new();
    let web = world.web;
    let syn = Packet::tcp(ip(OUTSIDE), web.v4, (4000, 80), SYN).macs(NEXT_HOP_MAC, UPLINK_MAC).build();
    let answer = world.routed(&web, Packet::tcp(web.v4, ip(OUTSIDE), (80, 4000), SYN | ACK));
    row(&mut world, 9, 1, RF_TABLE_TCP, ALLOW, TO_SIDE);
    let (_, decision) = world.passes(Hook::FromUplink, world.uplink, &syn);
    assert_eq!(decision.reply_denied, 0, "there is no row from web to outside");
    world.passes(FROM, web.ifindex, &answer);
    // Nor does it want an entry.
    let maps = world.datapath.maps();
    maps.conns4.delete(&world.only_conn().0).unwrap();
    row(&mut world, 9, 1, RF_TABLE_TCP, ALLOW, 0);
    world.passes(Hook::FromUplink, world.uplink, &syn);
    untracked(&world);
    world.drops(FROM, web.ifindex, &answer, Reason::TcpNotSyn);
}

#[test]
fn an_error_about_an_untracked_flow_is_judged_as_what_it_is() {
    let mut world = World::new();
    row(&mut world, 1, 2, RF_TABLE_UDP, ALLOW, 0);
    let (web, app) = (world.web, world.app);
    let asked = Packet::udp(web.v4, app.v4, (4000, 53));
    world.passes(FROM, web.ifindex, &world.bridged(&web, &app, asked.clone()));
    let error = world.bridged(&app, &web, icmp_error(app.v4, web.v4, &asked.ip()));
    world.drops(FROM, app.ifindex, &error, Reason::NoConnection);
    // Unreachable, host: type 3, code 1.
    let runs = [(0, DENY, 0, 0), (3 << 8 | 1, ALLOW, 21, 22), (3 << 8 | 2, DENY, 0, 0)];
    for notes in [0, STATEFUL] {
        world.row_of(0, 2, 1, RF_TABLE_ICMP, &runs.map(|run| enforced(run, notes)));
        let (_, decision) = world.passes(FROM, app.ifindex, &error);
        assert_eq!((decision.judged, decision.from_rule, decision.to_rule), (1, 21, 22));
        untracked(&world);
    }
}

#[test]
fn an_error_about_a_tracked_flow_goes_by_it_whatever_policy_says_of_errors() {
    let mut world = World::new();
    row(&mut world, 1, 2, RF_TABLE_UDP, ALLOW, STATEFUL);
    row(&mut world, 3, 1, RF_TABLE_ICMP, ALLOW, 0);
    let (web, app, cache) = (world.web, world.app, world.cache);
    let asked = Packet::udp(web.v4, app.v4, (4000, 53));
    world.passes(FROM, web.ifindex, &world.bridged(&web, &app, asked.clone()));
    let third = world.routed(&cache, icmp_error(cache.v4, web.v4, &asked.ip()));
    world.drops(FROM, cache.ifindex, &third, Reason::NoConnection);
}
