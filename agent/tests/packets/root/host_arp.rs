//! ARP between a workload and the stack of its host.

use ringfence_agent::bpf::{Action, Hook, Reason};

use crate::builder::{Mac, arp, ethernet};
use crate::net::sh;
use crate::world::{Workload, World};

const FROM: Hook = Hook::FromWorkload;
const TO: Hook = Hook::ToWorkload;
const NOBODY: Mac = [0; 6];
const EVERYBODY: Mac = [0xff; 6];
/// Of web's device, on the host's side.
const DEVICE_MAC: Mac = [0x02, 0xee, 0, 0, 0, 0x77];
const HOST: [u8; 4] = [192, 168, 9, 1];
const WEB: [u8; 4] = [10, 1, 0, 11];
const APP: [u8; 4] = [10, 1, 0, 12];

fn world() -> (World, Workload) {
    let world = World::with(|options| options.guard = true);
    sh("ip link set dev web address 02:ee:00:00:00:77");
    let web = world.web;
    (world, web)
}

#[test]
fn a_question_for_nobodys_address_goes_to_the_hosts_stack_and_no_other() {
    let (world, web) = world();
    let asks = |target| ethernet(EVERYBODY, web.mac, 0x0806, &arp(1, (web.mac, WEB), (NOBODY, target)));
    // Somewhere else, beyond the uplink, and in its subnet.
    for target in [HOST, [203, 0, 113, 9], [10, 1, 0, 77]] {
        let frame = asks(target);
        let (output, decision) = world.passes(FROM, web.ifindex, &frame);
        assert_eq!((decision.action, decision.ifindex), (Action::RF_ACTION_STACK, web.ifindex));
        assert_eq!((&output.packet, output.mark), (&frame, !world.datapath.mark()));
    }
    for target in [APP, [10, 1, 0, 1]] {
        let (_, decision) = world.passes(FROM, web.ifindex, &asks(target));
        assert_eq!(decision.action, Action::RF_ACTION_ANSWER);
    }
    world.drops(FROM, web.ifindex, &asks([10, 2, 0, 13]), Reason::UnansweredNeighbour);
    world.pair(&world.app, "10.1.0.200", 32, world.app.mac);
    let (_, decision) = world.passes(FROM, web.ifindex, &asks([10, 1, 0, 200]));
    assert_eq!(decision.action, Action::RF_ACTION_ANSWER);
}

#[test]
fn the_stack_is_told_only_what_it_was_told_itself() {
    let (world, web) = world();
    let says = |to: Mac, sender, target| ethernet(to, web.mac, 0x0806, &arp(2, (web.mac, sender), (to, target)));
    let (_, decision) = world.passes(FROM, web.ifindex, &says(DEVICE_MAC, WEB, HOST));
    assert_eq!(decision.action, Action::RF_ACTION_STACK);
    world.drops(FROM, web.ifindex, &says(DEVICE_MAC, APP, HOST), Reason::ArpSender);
    world.drops(FROM, web.ifindex, &says(DEVICE_MAC, [10, 1, 0, 1], HOST), Reason::ArpSender);
    world.drops(FROM, web.ifindex, &says(EVERYBODY, WEB, HOST), Reason::UnansweredNeighbour);
    world.drops(FROM, web.ifindex, &says(DEVICE_MAC, WEB, APP), Reason::UnansweredNeighbour);
}

#[test]
fn the_host_asks_for_the_workload_and_answers_it_by_addresses_of_its_own() {
    let (world, web) = world();
    let says = |operation, sender, target| {
        ethernet(web.mac, DEVICE_MAC, 0x0806, &arp(operation, (DEVICE_MAC, sender), (web.mac, target)))
    };
    for operation in [1, 2] {
        let frame = says(operation, HOST, WEB);
        let (output, decision) = world.passes(TO, web.ifindex, &frame);
        assert_eq!((decision.action, output.packet == frame), (Action::RF_ACTION_DELIVER, true));
        for (sender, target) in [(HOST, APP), (HOST, HOST), (APP, WEB), ([10, 1, 0, 1], WEB), (WEB, WEB)] {
            world.drops(TO, web.ifindex, &says(operation, sender, target), Reason::FromHost);
        }
    }
    let mut other = says(1, HOST, WEB);
    other[15] = 6;
    world.drops(TO, web.ifindex, &other, Reason::FromHost);
}
