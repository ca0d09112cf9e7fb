//! Policies in audit change no verdict: what they would change is counted, by the rule that would decide.

use std::collections::BTreeMap;

use ringfence_agent::bpf::consts::{RF_LOG_FROM, RF_TABLE_TCP};
use ringfence_agent::bpf::{Decision, Hook, Reason, Run};

use crate::builder::{ACK, Packet, SYN};
use crate::net::ip;
use crate::world::{
    ALLOW, ALLOW_FROM, ALLOW_TO, DENY, NEXT_HOP_MAC, OUTSIDE, SHADOW_SHIFT, STATEFUL, UPLINK_MAC, World,
};

const FROM: Hook = Hook::FromWorkload;

/// Rules 1 and 2 are enforced, 3 and 4 would be.
fn run(enforced: u8, shadow: u8) -> Run {
    Run {
        first: 0,
        verdict: enforced | shadow << SHADOW_SHIFT,
        notes: STATEFUL | RF_LOG_FROM as u8,
        from_rule: 1,
        to_rule: 2,
        shadow_from_rule: 3,
        shadow_to_rule: 4,
    }
}

/// What was decided about a packet, and the audit counters that moved.
fn judged(world: &World, hook: Hook, ifindex: u32, frame: &[u8]) -> (Decision, BTreeMap<String, u64>) {
    let (_, mut moved) = world.moved(|| world.run(hook, ifindex, frame));
    moved.retain(|name, _| name.starts_with("audit"));
    (world.decision(), moved)
}

fn counted<const N: usize>(names: [&str; N]) -> BTreeMap<String, u64> {
    names.map(|name| (format!("audit rule {name}"), 1)).into()
}

#[test]
fn the_enforced_verdict_holds_and_each_side_counts_what_the_shadow_would_turn() {
    for (enforced, shadow, expected) in [
        (ALLOW, ALLOW, counted([])),
        (DENY, DENY, counted([])),
        (ALLOW, ALLOW_TO, counted(["3 would deny"])),
        (ALLOW, ALLOW_FROM, counted(["4 would deny"])),
        (ALLOW, DENY, counted(["3 would deny", "4 would deny"])),
        (ALLOW_TO, ALLOW, counted(["3 would allow"])),
        (ALLOW_FROM, ALLOW_TO, counted(["3 would deny", "4 would allow"])),
    ] {
        let mut world = World::new();
        world.row_of(0, 1, 2, RF_TABLE_TCP, &[run(enforced, shadow)]);
        let syn = Packet::tcp(world.web.v4, world.app.v4, (4000, 80), SYN);
        let frame = world.bridged(&world.web, &world.app, syn);
        let (decision, moved) = judged(&world, FROM, world.web.ifindex, &frame);
        assert_eq!(moved, expected, "{enforced} {shadow}");
        assert_eq!(decision.reason == 0, enforced == ALLOW);
        assert_eq!(
            (decision.allows, decision.from_rule, decision.to_rule, decision.notes),
            (u32::from(enforced), 1, 2, u32::from(STATEFUL) | RF_LOG_FROM)
        );
        assert_eq!(
            (decision.shadow_allows, decision.shadow_from_rule, decision.shadow_to_rule),
            (u32::from(shadow << SHADOW_SHIFT), 3, 4)
        );
    }
}

#[test]
fn only_the_side_of_this_host_counts() {
    let mut world = World::new();
    world.row_of(0, 1, 4, RF_TABLE_TCP, &[run(ALLOW, DENY)]);
    world.row_of(0, 9, 1, RF_TABLE_TCP, &[run(ALLOW, DENY)]);
    let syn = Packet::tcp(world.web.v4, world.db.v4, (4000, 80), SYN);
    let (_, moved) = judged(&world, FROM, world.web.ifindex, &world.routed(&world.web, syn));
    assert_eq!(moved, counted(["3 would deny"]), "db is on another host");
    let syn = Packet::tcp(ip(OUTSIDE), world.web.v4, (4000, 80), SYN).macs(NEXT_HOP_MAC, UPLINK_MAC);
    let (_, moved) = judged(&world, Hook::FromUplink, world.uplink, &syn.build());
    assert_eq!(moved, counted(["4 would deny"]), "outside has no side");
}

#[test]
fn a_flow_counts_when_it_is_judged_and_when_it_is_judged_again_whoever_sends() {
    let mut world = World::new();
    world.row_of(0, 1, 2, RF_TABLE_TCP, &[run(ALLOW, ALLOW_TO)]);
    let (web, app) = (world.web, world.app);
    let there = |flags| world.bridged(&web, &app, Packet::tcp(web.v4, app.v4, (4000, 80), flags));
    let (syn, ack) = (there(SYN), there(ACK));
    let reply = world.bridged(&app, &web, Packet::tcp(app.v4, web.v4, (80, 4000), SYN | ACK));
    assert_eq!(judged(&world, FROM, web.ifindex, &syn).1, counted(["3 would deny"]));
    assert_eq!(judged(&world, FROM, app.ifindex, &reply).1, counted([]));
    assert_eq!(judged(&world, FROM, web.ifindex, &ack).1, counted([]));
    world.bump_domain();
    let (decision, moved) = judged(&world, FROM, app.ifindex, &reply);
    assert_eq!((decision.judged, moved), (1, counted(["3 would deny"])));
    assert_eq!(judged(&world, FROM, web.ifindex, &ack).1, counted([]));
}

#[test]
fn a_reply_that_has_a_flow_judged_again_counts_the_sides_as_the_flow_was_opened() {
    let mut world = World::new();
    world.row_of(0, 9, 1, RF_TABLE_TCP, &[run(ALLOW, ALLOW_FROM)]);
    let web = world.web;
    let syn = Packet::tcp(ip(OUTSIDE), web.v4, (4000, 80), SYN).macs(NEXT_HOP_MAC, UPLINK_MAC);
    world.run(Hook::FromUplink, world.uplink, &syn.build());
    world.bump_domain();
    let reply = world.routed(&web, Packet::tcp(web.v4, ip(OUTSIDE), (80, 4000), SYN | ACK));
    let (decision, moved) = judged(&world, FROM, web.ifindex, &reply);
    assert_eq!((Reason::from_number(decision.reason), decision.judged), (None, 1));
    assert_eq!(moved, counted(["4 would deny"]), "web is who was asked");
}
