//! What is handed over is counted where it is handed over, and only what was admitted is.

use ringfence_agent::bpf::{Action, Hook, Passed, Reason, TestContext};

use crate::builder::Packet;
use crate::world::World;

#[test]
fn only_marked_packets_reach_a_workload() {
    let world = World::new();
    let frame = world.bridged(&world.app, &world.web, Packet::udp(world.app.v4, world.web.v4, (1, 2)));
    world.drops(Hook::ToWorkload, world.web.ifindex, &frame, Reason::FromHost);
    let wrong = TestContext { ifindex: world.web.ifindex, mark: !world.datapath.mark(), ..TestContext::default() };
    let output = world.datapath.test_run(Hook::ToWorkload, &frame, &wrong).unwrap();
    assert_eq!(output.action, 2);
    let marked = TestContext { mark: world.datapath.mark(), ..wrong };
    let (output, moved) = world.moved(|| world.datapath.test_run(Hook::ToWorkload, &frame, &marked).unwrap());
    assert_eq!((output.action, output.mark), (-1, 0));
    assert_eq!(moved, [("1 to".to_owned(), 1)].into());
    assert_eq!(world.decision().action, Action::RF_ACTION_DELIVER);
}

#[test]
fn a_counter_of_a_device_starts_again_when_told() {
    let world = World::new();
    let frame = world.bridged(&world.app, &world.web, Packet::udp(world.app.v4, world.web.v4, (1, 2)));
    for _ in 0..3 {
        world.drops(Hook::FromWorkload, world.app.ifindex, &frame, Reason::PolicyDeny);
    }
    let maps = world.datapath.maps();
    let (key, count) = maps.drops.entries().unwrap()[0];
    assert_eq!((key.ifindex, key.reason, count), (world.app.ifindex, Reason::PolicyDeny as u32, 3));
    maps.drops.reset(&key).unwrap();
    assert_eq!(maps.drops.get(&key).unwrap(), None);
    maps.passed.reset(&1).unwrap();
    assert_eq!(maps.passed.get(&1).unwrap(), Some(Passed { from: 0, to: 0, builtin: 0 }));
}
