//! Frames as hosts write them and as nobody does, into the real programs.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use ringfence_agent::engine::Engine;
use ringfence_prove::frames::{
    run::{Plan, run, shrunk},
    script::Script,
};

/// What must have become of some frame, or nothing was tried. What is not here no test run reaches.
const REACHED: &[&str] = &[
    "answered",
    "arp_sender",
    "destination_mac",
    "extension_header",
    "fragment",
    "from_host",
    "of an open flow, dropped",
    "of an open flow, passed",
    "gateway_service",
    "link_local",
    "malformed",
    "martian",
    "multicast",
    "no_connection",
    "no_route",
    "on its way",
    "outer_source",
    "policy_deny",
    "source_address",
    "source_mac",
    "spoofed",
    "tcp_not_syn",
    "to an interface here",
    "to an interface here, by what is known of its flow",
    "to another host",
    "to another host, by what is known of its flow",
    "to the uplink",
    "to the uplink, by what is known of its flow",
    "ttl_expired",
    "unanswered_neighbour",
    "unknown_vni",
    "unsupported_ethertype",
    "unsupported_protocol",
    "vlan_tagged",
    "wrong_vni",
];

/// What some frame must have been that passed.
const PASSED: &[&str] = &[
    "ARP",
    "ICMP error",
    "extension headers of IPv6",
    "first fragment",
    "later fragment",
    "options of IPv4",
    "priority tag",
];

#[test]
fn nothing_passes_that_the_definition_denies() {
    let mut engine = Engine::open().unwrap();
    let plan = Plan { seed: 500_000, frames: 200_000, time: Duration::from_secs(60) };
    let (done, found) = run(&mut engine, &plan, |_| ()).unwrap();
    if let Some(found) = found {
        let found = shrunk(&mut engine, &found);
        panic!("world {}: {}\n{}", found.seed, found.wrong, found.script.text(&found.wrong).unwrap());
    }
    let mut reached = BTreeMap::<&str, u64>::new();
    for ((program, outcome), count) in &done.outcomes {
        println!("{count:>9} {program:<14} {outcome}");
        *reached.entry(outcome).or_default() += count;
    }
    println!("{} frames in {} worlds, {:.1} s", done.frames, done.worlds, done.took.as_secs_f64());
    let missed: Vec<_> = PASSED.iter().filter(|shape| !done.shapes.contains_key(*shape)).collect();
    assert_eq!(missed, Vec::<&&str>::new(), "what never passed");
    let missed: Vec<_> = REACHED.iter().filter(|outcome| !reached.contains_key(*outcome)).collect();
    assert_eq!(missed, Vec::<&&str>::new(), "what became of no frame");
    let counted = engine.drops().unwrap().into_iter();
    let counted: BTreeMap<_, _> = counted.map(|(reason, count)| (reason.unwrap().name(), count)).collect();
    assert_eq!(done.drops, counted, "drops that were seen, and those that were counted");
}

#[test]
fn frames_that_were_wrong_once_are_right() {
    let mut engine = Engine::open().unwrap();
    let mut kept: Vec<_> = fs::read_dir(Path::new("../corpus/frames")).unwrap().map(|it| it.unwrap().path()).collect();
    kept.sort();
    assert!(!kept.is_empty());
    for path in kept {
        let script = Script::read(&path).unwrap();
        assert!(script.steps.len() > 1, "{} sends nothing", path.display());
        assert_eq!(script.play(&mut engine).unwrap(), None, "{}", path.display());
    }
}
