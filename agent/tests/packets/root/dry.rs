//! A dry run says what would become of a packet, and leaves everything as it is.

use std::path::PathBuf;

use ringfence_agent::bpf::consts::RF_TABLE_UDP;
use ringfence_agent::bpf::{
    Action, Boot, BpfError, Datapath, Decision, DryRun, Hook, Pod, Reason, Run, TestContext, Tunnel,
};

use crate::builder::Packet;
use crate::net::ip;
use crate::world::{
    ALLOW, DENY, FAR_V4, FAR_V6, FRONT, GATEWAY_MAC, SHADOW_SHIFT, STATEFUL, TRANSIT, Workload, World, maps_of,
};

const FROM: Hook = Hook::FromWorkload;

fn asked(dry: &mut DryRun, workload: &Workload, frame: &[u8]) -> Decision {
    let context = TestContext { ifindex: workload.ifindex, ..TestContext::default() };
    dry.decide(FROM, frame, &context).unwrap()
}

/// Names of everything under the pin folder.
fn pins(world: &World) -> Vec<PathBuf> {
    let dir = &world.options.pin_dir;
    let folders = [dir.clone(), dir.join("links"), maps_of(&world.options)];
    let names = |folder: &PathBuf| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut pins: Vec<PathBuf> = folders.iter().flat_map(names).collect();
    pins.sort();
    pins
}

#[test]
fn a_dry_run_judges_by_the_maps_in_force_and_writes_to_none() {
    let mut world = World::new();
    let (web, app) = (world.web, world.app);
    let audited = Run {
        first: 0,
        verdict: ALLOW | DENY << SHADOW_SHIFT,
        notes: STATEFUL,
        from_rule: 1,
        to_rule: 2,
        shadow_from_rule: 3,
        shadow_to_rule: 4,
    };
    world.row_of(0, 1, 2, RF_TABLE_UDP, &[audited]);
    let there = world.bridged(&web, &app, Packet::udp(web.v4, app.v4, (4000, 53)));
    let back = world.bridged(&app, &web, Packet::udp(app.v4, web.v4, (53, 4000)));
    world.run(FROM, web.ifindex, &there);
    let state = |world: &World| {
        let maps = world.datapath.maps();
        (maps.conns4.entries().unwrap(), world.counters(), world.decision(), pins(world))
    };
    let before = state(&world);
    let mut dry = Datapath::open_dry(&world.options).unwrap();
    for port in [53, 54] {
        let frame = world.bridged(&web, &app, Packet::udp(web.v4, app.v4, (4000, port)));
        let decision = asked(&mut dry, &web, &frame);
        assert_eq!((decision.reason, decision.judged, decision.from_rule, decision.to_rule), (0, 1, 1, 2));
        assert_eq!((decision.action, decision.ifindex), (Action::RF_ACTION_LOCAL, app.ifindex));
        assert_eq!((decision.shadow_allows, decision.shadow_from_rule), (0, 3));
    }
    let decision = asked(&mut dry, &app, &back);
    assert_eq!(Reason::from_number(decision.reason), Some(Reason::PolicyDeny), "a connection speaks for nothing");
    drop(dry);
    assert_eq!(state(&world), before);
}

#[test]
fn a_dry_run_asks_for_frames_of_other_hosts() {
    let mut world = World::new();
    world.allow(4, 1, RF_TABLE_UDP);
    let mut dry = Datapath::open_dry(&world.options).unwrap();
    let frame = Packet::udp(world.db.v4, world.web.v4, (4000, 53)).macs(GATEWAY_MAC, world.web.mac).build();
    for (vni, remote, reason) in [
        (FRONT, FAR_V4, None),
        (FRONT, FAR_V6, None),
        (FRONT, "198.51.100.3", Some(Reason::OuterSource)),
        (FRONT, "2001:db8:f::3", Some(Reason::OuterSource)),
        (TRANSIT, FAR_V4, Some(Reason::WrongVni)),
        (4_000_000, FAR_V4, Some(Reason::UnknownVni)),
    ] {
        let tunnel = Some(Tunnel { vni, remote: ip(remote) });
        let context = TestContext { ifindex: world.overlay, tunnel, ..TestContext::default() };
        let decision = dry.decide(Hook::FromOverlay, &frame, &context).unwrap();
        assert_eq!(Reason::from_number(decision.reason), reason, "{vni} {remote}");
    }
}

#[test]
fn a_dry_run_refuses_maps_of_another_layout_and_makes_none_that_are_missing() {
    let world = World::new();
    std::fs::remove_file(maps_of(&world.options).join("rf_rows")).unwrap();
    let before = pins(&world);
    match Datapath::open_dry(&world.options).unwrap_err() {
        BpfError::Pin { path, action: "open", .. } => assert!(path.ends_with("rf_rows")),
        other => panic!("{other}"),
    }
    assert_eq!(pins(&world), before);
    let boot = libbpf_rs::MapHandle::from_pinned_path(world.options.pin_dir.join("rf_boot")).unwrap();
    let other = Boot { layout: 1, mark: world.datapath.mark() };
    libbpf_rs::MapCore::update(&boot, &[0; 4], other.bytes(), libbpf_rs::MapFlags::ANY).unwrap();
    match Datapath::open_dry(&world.options).unwrap_err() {
        BpfError::Layout { field: "layout", found: 1, .. } => {}
        other => panic!("{other}"),
    }
}
