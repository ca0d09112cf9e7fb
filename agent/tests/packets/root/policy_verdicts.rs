//! What policy says is what happens, by which rules, from when on.

use ringfence_agent::bpf::consts::{RF_TABLE_ICMP, RF_TABLE_ICMP6, RF_TABLE_TCP, RF_TABLE_UDP};
use ringfence_agent::bpf::{Action, Hook, Reason};

use crate::builder::{ACK, Packet, SYN};
use crate::net::ip;
use crate::world::{ALLOW, ALLOW_FROM, ALLOW_TO, DENY, DOMAIN, DOMAIN_ID, Workload, World, addr_key};

const FROM: Hook = Hook::FromWorkload;

fn syn(world: &World, port: u16) -> Vec<u8> {
    let packet = Packet::tcp(world.web.v4, world.app.v4, (40000, port), SYN);
    world.bridged(&world.web, &world.app, packet)
}

#[test]
fn each_number_gets_the_verdict_and_the_rules_of_its_run() {
    let mut world = World::new();
    let runs =
        [(0, DENY, 1, 2), (80, ALLOW, 3, 4), (81, ALLOW_FROM, 5, 6), (443, ALLOW_TO, 7, 8), (8080, ALLOW, 9, 10)];
    world.row(0, 1, 2, RF_TABLE_TCP, &runs);
    let cases = [
        (0, DENY, 1, 2),
        (79, DENY, 1, 2),
        (80, ALLOW, 3, 4),
        (81, ALLOW_FROM, 5, 6),
        (442, ALLOW_FROM, 5, 6),
        (443, ALLOW_TO, 7, 8),
        (8079, ALLOW_TO, 7, 8),
        (8080, ALLOW, 9, 10),
        (65535, ALLOW, 9, 10),
    ];
    for (port, verdict, from_rule, to_rule) in cases {
        let frame = syn(&world, port);
        let decision = if verdict == ALLOW {
            let (_, decision) = world.passes(FROM, world.web.ifindex, &frame);
            assert_eq!((decision.action, decision.ifindex), (Action::RF_ACTION_LOCAL, world.app.ifindex));
            decision
        } else {
            world.drops(FROM, world.web.ifindex, &frame, Reason::PolicyDeny)
        };
        assert_eq!(
            (decision.judged, decision.allows, decision.from_rule, decision.to_rule),
            (1, u32::from(verdict), from_rule, to_rule),
            "port {port}"
        );
        assert_eq!((decision.from_class, decision.to_class), (1, 2));
    }
}

#[test]
fn a_missing_row_and_a_missing_table_deny() {
    let mut world = World::new();
    world.drops(FROM, world.web.ifindex, &syn(&world, 80), Reason::PolicyDeny);
    world.allow(1, 2, RF_TABLE_UDP);
    let decision = world.drops(FROM, world.web.ifindex, &syn(&world, 80), Reason::PolicyDeny);
    assert_eq!((decision.from_rule, decision.to_rule), (0, 0));
    world.allow(1, 2, RF_TABLE_TCP);
    world.passes(FROM, world.web.ifindex, &syn(&world, 80));
}

#[test]
fn the_row_of_no_classes_is_for_known_ones_without_a_row_of_their_own() {
    let mut world = World::new();
    world.row(0, 0, 0, RF_TABLE_TCP, &[(0, ALLOW, 0, 0)]);
    let (_, decision) = world.passes(FROM, world.web.ifindex, &syn(&world, 80));
    assert_eq!((decision.from_class, decision.to_class, decision.from_rule, decision.to_rule), (1, 2, 0, 0));
    // Its other slot has none, and a row of their own speaks for all its numbers.
    world.datapath.maps().words.store(DOMAIN, 1, 2).unwrap();
    world.drops(FROM, world.web.ifindex, &syn(&world, 81), Reason::PolicyDeny);
    world.datapath.maps().words.store(DOMAIN, 0, 3).unwrap();
    world.row(1, 1, 2, RF_TABLE_TCP, &[(0, DENY, 5, 6)]);
    world.passes(FROM, world.web.ifindex, &syn(&world, 81));
    world.row(0, 1, 2, RF_TABLE_TCP, &[(0, DENY, 5, 6)]);
    world.drops(FROM, world.web.ifindex, &syn(&world, 82), Reason::PolicyDeny);
}

#[test]
fn the_row_of_no_classes_is_not_for_unknown_ones() {
    let mut world = World::new();
    world.row(0, 0, 0, RF_TABLE_TCP, &[(0, ALLOW, 0, 0)]);
    for unknown in [vec![world.web], vec![world.app], vec![world.web, world.app]] {
        for known in [world.web, world.app] {
            world.put_workload(DOMAIN, DOMAIN_ID, &known);
        }
        for workload in unknown {
            world.put_workload(DOMAIN, DOMAIN_ID, &Workload { class: 0, ..workload });
        }
        world.drops(FROM, world.web.ifindex, &syn(&world, 80), Reason::PolicyDeny);
    }
}

#[test]
fn the_word_chooses_the_slot() {
    let mut world = World::new();
    world.row(1, 1, 2, RF_TABLE_TCP, &[(0, ALLOW, 1, 2)]);
    world.drops(FROM, world.web.ifindex, &syn(&world, 80), Reason::PolicyDeny);
    world.datapath.maps().words.store(DOMAIN, 1, 2).unwrap();
    let (_, decision) = world.passes(FROM, world.web.ifindex, &syn(&world, 80));
    assert_eq!((decision.slot, decision.domain_epoch), (1, 2));
}

#[test]
fn an_interface_that_the_slot_does_not_know_is_not_outside() {
    let mut world = World::new();
    world.allow(9, 2, RF_TABLE_TCP);
    let key = addr_key(DOMAIN_ID, world.web.v4);
    let mut addr = world.datapath.maps().addrs.get(&key).unwrap().unwrap();
    addr.class_id = [0, 1];
    world.datapath.maps().addrs.put(&key, &addr).unwrap();
    world.drops(FROM, world.web.ifindex, &syn(&world, 80), Reason::PolicyDeny);
}

#[test]
fn a_new_deny_cuts_the_flow_in_both_directions_and_a_new_allow_lets_it_go_on() {
    let mut world = World::new();
    world.row(0, 1, 2, RF_TABLE_TCP, &[(0, ALLOW, 1, 2)]);
    let (web, app) = (world.web, world.app);
    let there = world.bridged(&web, &app, Packet::tcp(web.v4, app.v4, (4000, 80), ACK));
    let back = world.bridged(&app, &web, Packet::tcp(app.v4, web.v4, (80, 4000), SYN | ACK));
    world.passes(FROM, web.ifindex, &syn_of(&world, 4000));
    let (_, decision) = world.passes(FROM, app.ifindex, &back);
    assert_eq!(decision.judged, 0, "a reply goes by the connection");

    world.row(0, 1, 2, RF_TABLE_TCP, &[(0, DENY, 8, 9)]);
    let (_, decision) = world.passes(FROM, web.ifindex, &there);
    assert_eq!(decision.judged, 0, "nobody said yet that anything changed");
    world.bump_domain();
    // The reply comes first: judged in the direction the flow was opened in, by class 1 to 2.
    let decision = world.drops(FROM, app.ifindex, &back, Reason::PolicyDeny);
    assert_eq!((decision.judged, decision.from_class, decision.to_rule), (1, 1, 9));
    let decision = world.drops(FROM, web.ifindex, &there, Reason::PolicyDeny);
    assert_eq!(decision.judged, 0, "known to be denied");
    assert_eq!(world.only_conn().1.denied, 1);

    world.row(0, 1, 2, RF_TABLE_TCP, &[(0, ALLOW, 5, 6)]);
    world.bump_domain();
    let (_, decision) = world.passes(FROM, web.ifindex, &there);
    assert_eq!((decision.judged, decision.from_rule), (1, 5));
    let (_, decision) = world.passes(FROM, app.ifindex, &back);
    assert_eq!(decision.judged, 0);
}

fn syn_of(world: &World, port: u16) -> Vec<u8> {
    let packet = Packet::tcp(world.web.v4, world.app.v4, (port, 80), SYN);
    world.bridged(&world.web, &world.app, packet)
}

#[test]
fn an_epoch_of_either_address_makes_a_flow_be_judged_again_and_no_other_does() {
    let mut world = World::new();
    world.allow(1, 2, RF_TABLE_TCP);
    let frame = syn(&world, 80);
    world.passes(FROM, world.web.ifindex, &frame);
    for (address, judged) in [(world.web.v4, 1), (world.app.v4, 1), (world.db.v4, 0), (world.web.v6, 0)] {
        world.bump_address(DOMAIN_ID, address);
        let (_, decision) = world.passes(FROM, world.web.ifindex, &frame);
        assert_eq!(decision.judged, judged, "{address}");
        let (_, decision) = world.passes(FROM, world.web.ifindex, &frame);
        assert_eq!(decision.judged, 0, "once only");
    }
}

#[test]
fn icmp_is_judged_by_type_and_code() {
    let mut world = World::new();
    world.row(0, 1, 2, RF_TABLE_ICMP, &[(0, DENY, 0, 0), (8 << 8, ALLOW, 1, 2), ((8 << 8) + 1, DENY, 0, 0)]);
    let (web, app) = (world.web, world.app);
    let echo = world.bridged(&web, &app, Packet::echo_request(web.v4, app.v4, 7));
    world.passes(FROM, web.ifindex, &echo);
    let stamp = world.bridged(&web, &app, Packet::icmp(web.v4, app.v4, (13, 0), [0; 4]));
    world.drops(FROM, web.ifindex, &stamp, Reason::PolicyDeny);
}

#[test]
fn without_policy_what_is_denied_passes_unasked_and_leaves_no_connection() {
    let world = World::with(|options| options.verdict_off = true);
    let (web, app) = (world.web, world.app);
    // The long way and the quick one, and back.
    for (from, to, flags) in [(web, app, SYN), (web, app, ACK), (app, web, ACK)] {
        let frame = world.bridged(&from, &to, Packet::tcp(from.v4, to.v4, (40000, 80), flags));
        let (_, decision) = world.passes(FROM, from.ifindex, &frame);
        assert_eq!((decision.action, decision.ifindex), (Action::RF_ACTION_LOCAL, to.ifindex));
        assert_eq!(decision.judged, 0);
    }
    assert!(world.datapath.maps().conns4.entries().unwrap().is_empty());
}

#[test]
fn without_policy_a_source_address_is_still_the_senders() {
    let world = World::with(|options| options.verdict_off = true);
    let (web, app, cache) = (world.web, world.app, world.cache);
    for flags in [SYN, ACK] {
        let spoofed = world.bridged(&web, &app, Packet::tcp(cache.v4, app.v4, (40000, 80), flags));
        world.drops(FROM, web.ifindex, &spoofed, Reason::SourceAddress);
    }
}

#[test]
fn an_echo_with_a_code_is_a_message_of_its_own_and_no_part_of_an_echos_connection() {
    let mut world = World::new();
    let (web, app) = (world.web, world.app);
    for (table, kind, from, to) in [(RF_TABLE_ICMP, 8_u16, web.v4, app.v4), (RF_TABLE_ICMP6, 128, web.v6, app.v6)] {
        let runs = [(0, DENY, 1, 2), (kind << 8 | 5, ALLOW, 3, 4), (kind << 8 | 6, DENY, 1, 2)];
        world.row(0, 1, 2, table, &runs);
        let echo = |code| world.bridged(&web, &app, Packet::icmp(from, to, (kind as u8, code), [0, 7, 0, 1]));
        for _ in 0..2 {
            world.drops(FROM, web.ifindex, &echo(0), Reason::PolicyDeny);
            // What it is allowed for opens nothing for others.
            let (_, decision) = world.passes(FROM, web.ifindex, &echo(5));
            assert_eq!((decision.judged, decision.from_rule, decision.to_rule), (1, 3, 4));
            world.bump_domain();
        }
        let to_gateway =
            Packet::icmp(from, if from.is_ipv4() { ip("10.1.0.1") } else { ip("fd00:1::1") }, (kind as u8, 5), [0; 4]);
        world.drops(FROM, web.ifindex, &world.routed(&web, to_gateway), Reason::GatewayService);
    }
}

#[test]
fn a_reply_with_a_code_answers_no_echo() {
    let mut world = World::new();
    let (web, app) = (world.web, world.app);
    world.allow(1, 2, RF_TABLE_ICMP);
    world.passes(FROM, web.ifindex, &world.bridged(&web, &app, Packet::echo_request(web.v4, app.v4, 7)));
    let reply = |code| world.bridged(&app, &web, Packet::icmp(app.v4, web.v4, (0, code), [0, 7, 0, 1]));
    world.drops(FROM, app.ifindex, &reply(1), Reason::PolicyDeny);
    world.passes(FROM, app.ifindex, &reply(0));
}
