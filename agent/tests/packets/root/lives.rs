//! Entries end by themselves, whoever runs.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use libbpf_rs::{MapCore, MapHandle};
use ringfence_agent::bpf::consts::{RF_BUDGETS, RF_TABLE_TCP, RF_TABLE_UDP};
use ringfence_agent::bpf::{AnswerTimeouts, ConnState, Datapath, Hook, Options, TcpTimeouts, Timeouts};

use crate::builder::{ACK, FIN, Packet, RST, SYN};
use crate::world::{World, maps_of};

const FROM: Hook = Hook::FromWorkload;
const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(300);
/// A machine that builds something else meanwhile is slow.
const PATIENCE: Duration = Duration::from_secs(10);

fn timeouts() -> Timeouts {
    let answer = AnswerTimeouts { unanswered: SHORT, answered: LONG };
    Timeouts {
        tcp: TcpTimeouts { opening: LONG, established: LONG, closing: LONG, closed: SHORT },
        udp: answer,
        icmp: answer,
        sctp: answer,
        other: answer,
    }
}

/// web may speak to app.
fn world(timeouts: Timeouts) -> World {
    let mut world = World::with(|options| options.timeouts = timeouts);
    world.allow(1, 2, RF_TABLE_TCP);
    world.allow(1, 2, RF_TABLE_UDP);
    world
}

impl World {
    fn web_sends(&self, port: u16, flags: u8) {
        let packet = Packet::tcp(self.web.v4, self.app.v4, (port, 80), flags);
        self.passes(FROM, self.web.ifindex, &self.bridged(&self.web, &self.app, packet));
    }

    fn app_sends(&self, port: u16, flags: u8) {
        let packet = Packet::tcp(self.app.v4, self.web.v4, (80, port), flags);
        self.passes(FROM, self.app.ifindex, &self.bridged(&self.app, &self.web, packet));
    }

    fn shakes_hands(&self, port: u16) {
        self.web_sends(port, SYN);
        self.app_sends(port, SYN | ACK);
        self.web_sends(port, ACK);
    }

    fn left(&self) -> usize {
        let maps = self.datapath.maps();
        maps.conns4.entries().unwrap().len() + maps.conns6.entries().unwrap().len()
    }

    fn accounts_are_empty(&self) {
        for workload in [self.web, self.app] {
            let used = self.datapath.maps().accounts.load(workload.index).unwrap().used;
            assert_eq!(used, [0; RF_BUDGETS as usize]);
        }
    }
}

/// Waits until it is so.
#[track_caller]
fn soon(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_is_over_goes_by_itself_and_what_is_not_stays() {
    let world = world(timeouts());
    world.shakes_hands(1);
    world.shakes_hands(2);
    world.shakes_hands(3);
    world.web_sends(2, RST);
    world.web_sends(3, FIN | ACK);
    world.app_sends(3, FIN | ACK);
    let (web, app) = (world.web, world.app);
    for (from, to) in [(web.v4, app.v4), (web.v6, app.v6)] {
        let frame = world.bridged(&web, &app, Packet::udp(from, to, (1, 2)));
        world.passes(FROM, web.ifindex, &frame);
    }
    assert_eq!(world.left(), 5);
    soon("closed and unanswered ones go", || world.left() == 1);
    assert_eq!(world.only_conn().1.state, ConnState::RF_CONN_ESTABLISHED);
    world.web_sends(1, RST);
    soon("the last one, too", || world.left() == 0);
    world.accounts_are_empty();
}

#[test]
fn a_packet_puts_the_end_off() {
    let world = world(timeouts());
    let frame = world.bridged(&world.web, &world.app, Packet::udp(world.web.v4, world.app.v4, (1, 2)));
    let begin = Instant::now();
    while begin.elapsed() < 3 * SHORT {
        world.passes(FROM, world.web.ifindex, &frame);
        std::thread::sleep(SHORT / 10);
        // On a machine that sleeps too long the flow may begin anew, which proves nothing.
    }
    assert!(world.only_conn().1.packets[0] > 10);
    soon("it goes", || world.left() == 0);
    world.accounts_are_empty();
}

#[test]
fn an_entry_that_was_judged_again_ends_all_the_same() {
    let world = world(timeouts());
    world.shakes_hands(1);
    world.bump_domain();
    world.web_sends(1, ACK);
    world.web_sends(1, RST);
    soon("it goes", || world.left() == 0);
    world.shakes_hands(1);
    world.web_sends(1, RST);
    world.bump_domain();
    world.web_sends(1, ACK);
    soon("judged again when it was over", || world.left() == 0);
    world.accounts_are_empty();
}

#[test]
fn entries_end_while_no_process_is_there() {
    // Long enough for a slow machine to make them all.
    let mut timeouts = timeouts();
    timeouts.tcp.closed = 10 * SHORT;
    let mut world = world(timeouts);
    (1..=20).for_each(|port| {
        world.shakes_hands(port);
        world.web_sends(port, RST);
    });
    // The pins are all that is left: the world must not take them away.
    let pins = std::mem::replace(&mut world.options.pin_dir, PathBuf::from("/nowhere"));
    let maps = maps_of(&Options { pin_dir: pins.clone(), ..world.options.clone() });
    drop(world);
    let conns = || MapHandle::from_pinned_path(maps.join("rf_conns4")).unwrap().keys().count();
    assert!(conns() > 0);
    soon("timers run on", || conns() == 0);
    std::fs::remove_dir_all(&pins).unwrap();
}

#[test]
fn entries_of_programs_before_end_after_an_upgrade_as_do_those_after_it() {
    let mut world = world(timeouts());
    world.shakes_hands(1);
    world.shakes_hands(2);
    world.web_sends(2, RST);
    world.datapath = Datapath::open(&world.options).unwrap();
    world.shakes_hands(3);
    // One of before that goes on under the new programs, and one that they make.
    world.web_sends(1, RST);
    world.web_sends(3, RST);
    soon("all go", || world.left() == 0);
    world.accounts_are_empty();
}

#[test]
fn a_burst_of_flows_opens_and_ends_though_timers_run_out() {
    let mut timeouts = timeouts();
    timeouts.udp.unanswered = 10 * SHORT;
    let world = world(timeouts);
    world.limit(&[20_000; RF_BUDGETS as usize]);
    // In one go: the kernel has timers for a part of them only, newer kernels for less.
    let frames: Vec<_> = (1..=6000)
        .map(|port| world.bridged(&world.web, &world.app, Packet::udp(world.web.v4, world.app.v4, (port, 2))))
        .collect();
    for frame in &frames {
        assert_eq!(world.run(FROM, world.web.ifindex, frame).action, 7, "redirected");
    }
    // Whoever wants to begin looks after those that wait, and if it be in vain.
    world.limit(&[0; RF_BUDGETS as usize]);
    let again = world.bridged(&world.web, &world.app, Packet::udp(world.web.v4, world.app.v4, (9, 3)));
    std::thread::sleep(timeouts.udp.unanswered);
    soon("all end", || {
        (0..2000).for_each(|_| drop(world.run(FROM, world.web.ifindex, &again)));
        world.left() == 0
    });
    world.accounts_are_empty();
}
