//! TCP between hosts that do not follow the book, and what was under way before our programs.

use ringfence_agent::bpf::consts::RF_TABLE_TCP;
use ringfence_agent::bpf::{ConnState, Hook, Reason};

use crate::builder::{ACK, FIN, Packet, RST, SYN};
use crate::world::{ALLOW, DENY, STATEFUL, TestRun, Workload, World, enforced};

const FROM: Hook = Hook::FromWorkload;
const PSH: u8 = 0x08;
const ONLY_80: [TestRun; 3] = [(0, DENY, 1, 1), (80, ALLOW, 11, 12), (81, DENY, 1, 1)];

/// web may open to port 80 of app, and nobody anything else.
struct Pair {
    world: World,
    web: Workload,
    app: Workload,
}

impl Pair {
    fn new() -> Self {
        let mut world = World::new();
        for slot in [0, 1] {
            world.row(slot, 1, 2, RF_TABLE_TCP, &ONLY_80);
            world.row(slot, 2, 1, RF_TABLE_TCP, &[(0, DENY, 1, 1)]);
        }
        Self { web: world.web, app: world.app, world }
    }

    fn web_sends(&self, flags: u8) -> Vec<u8> {
        self.world.bridged(&self.web, &self.app, Packet::tcp(self.web.v4, self.app.v4, (4000, 80), flags))
    }

    fn app_sends(&self, flags: u8) -> Vec<u8> {
        self.world.bridged(&self.app, &self.web, Packet::tcp(self.app.v4, self.web.v4, (80, 4000), flags))
    }

    #[track_caller]
    fn web(&self, flags: u8) -> ConnState {
        self.world.passes(FROM, self.web.ifindex, &self.web_sends(flags));
        self.world.only_conn().1.state
    }

    #[track_caller]
    fn app(&self, flags: u8) -> ConnState {
        self.world.passes(FROM, self.app.ifindex, &self.app_sends(flags));
        self.world.only_conn().1.state
    }

    fn opened(self) -> Self {
        self.web(SYN);
        self.app(SYN | ACK);
        self.web(ACK);
        self
    }

    /// The device was there before our programs, for so many seconds from now.
    fn was_there(&self, workload: &Workload, seconds: i64) {
        let devices = &self.world.datapath.maps().devices;
        let mut device = devices.get(workload.ifindex).unwrap().unwrap();
        let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).unwrap();
        device.adopt_until_ns = ((now.tv_sec() + seconds) * 1_000_000_000) as u64;
        devices.put(workload.ifindex, &device).unwrap();
    }
}

#[test]
fn two_that_open_to_each_other_at_once_have_one_connection() {
    let pair = Pair::new();
    assert_eq!(pair.web(SYN), ConnState::RF_CONN_OPENING);
    // RFC 9293 3.5: app's SYN is no answer by its flags, but it belongs to what web may open.
    assert_eq!(pair.app(SYN), ConnState::RF_CONN_OPENING);
    assert_eq!(pair.web(SYN | ACK), ConnState::RF_CONN_OPENING);
    assert_eq!(pair.app(SYN | ACK), ConnState::RF_CONN_ESTABLISHED, "both have acknowledged");
    let (_, conn) = pair.world.only_conn();
    assert_eq!((conn.origin_iface, conn.packets), (pair.web.index, [2, 2]));
}

#[test]
fn one_side_may_end_and_the_other_go_on() {
    let pair = Pair::new().opened();
    assert_eq!(pair.web(FIN | ACK), ConnState::RF_CONN_CLOSING);
    for _ in 0..3 {
        assert_eq!(pair.app(PSH | ACK), ConnState::RF_CONN_CLOSING);
        assert_eq!(pair.web(ACK), ConnState::RF_CONN_CLOSING);
    }
    assert_eq!(pair.app(FIN | ACK), ConnState::RF_CONN_CLOSED);
}

#[test]
fn a_port_may_be_used_again_while_the_last_connection_waits() {
    let pair = Pair::new().opened();
    pair.web(FIN | ACK);
    pair.app(FIN | ACK);
    assert_eq!(pair.web(ACK), ConnState::RF_CONN_CLOSED);
    // RFC 9293 3.6.1: a SYN from TIME_WAIT's other side opens anew, and is judged as such.
    let (_, decision) = pair.world.passes(FROM, pair.web.ifindex, &pair.web_sends(SYN));
    assert_eq!(decision.judged, 1);
    assert_eq!(pair.app(SYN | ACK), ConnState::RF_CONN_OPENING);
    assert_eq!(pair.web(ACK), ConnState::RF_CONN_ESTABLISHED);
    assert_eq!(pair.world.only_conn().1.packets, [2, 1], "of the new one");
}

#[test]
fn what_comes_after_a_reset_passes_and_opens_nothing() {
    let pair = Pair::new().opened();
    assert_eq!(pair.web(RST), ConnState::RF_CONN_CLOSED);
    assert_eq!(pair.app(PSH | ACK), ConnState::RF_CONN_CLOSED, "it was on its way");
    let back = pair.world.bridged(&pair.app, &pair.web, Packet::tcp(pair.app.v4, pair.web.v4, (80, 4000), SYN));
    let decision = pair.world.drops(FROM, pair.app.ifindex, &back, Reason::PolicyDeny);
    assert_eq!((decision.from_class, decision.to_class), (2, 1));
}

#[test]
fn a_flow_under_way_is_adopted_from_its_openers_first_segment() {
    let pair = Pair::new();
    pair.world.drops(FROM, pair.web.ifindex, &pair.web_sends(ACK), Reason::TcpNotSyn);
    pair.was_there(&pair.web, 60);
    let (_, decision) = pair.world.passes(FROM, pair.web.ifindex, &pair.web_sends(ACK));
    assert_eq!((decision.judged, decision.from_class, decision.to_class), (1, 1, 2));
    let (_, conn) = pair.world.only_conn();
    assert_eq!((conn.state, conn.origin, conn.origin_iface), (ConnState::RF_CONN_ESTABLISHED, 0, 1));
    assert_eq!((conn.from_rule, conn.to_rule), (11, 12));
    let (_, decision) = pair.world.passes(FROM, pair.app.ifindex, &pair.app_sends(ACK));
    assert_eq!(decision.judged, 0);
}

#[test]
fn a_flow_under_way_is_adopted_from_the_other_side_too() {
    let pair = Pair::new();
    pair.world.drops(FROM, pair.app.ifindex, &pair.app_sends(PSH | ACK), Reason::TcpNotSyn);
    // Of either end's device it is enough.
    pair.was_there(&pair.web, 60);
    let (_, decision) = pair.world.passes(FROM, pair.app.ifindex, &pair.app_sends(PSH | ACK));
    assert_eq!((decision.judged, decision.from_class, decision.to_class), (1, 1, 2), "as web opened it");
    let (_, conn) = pair.world.only_conn();
    assert_eq!((conn.origin, conn.origin_iface, conn.packets), (0, 1, [0, 1]));
    assert_eq!(conn.state, ConnState::RF_CONN_ESTABLISHED);
    pair.web(ACK);
    assert_eq!(pair.app(FIN | ACK), ConnState::RF_CONN_CLOSING);
}

#[test]
fn where_both_directions_are_allowed_the_sender_is_the_opener() {
    let mut pair = Pair::new();
    pair.world.allow(2, 1, RF_TABLE_TCP);
    pair.was_there(&pair.app, 60);
    pair.app(ACK);
    assert_eq!(pair.world.only_conn().1.origin_iface, pair.app.index);
}

#[test]
fn nothing_is_adopted_that_policy_denies_both_ways_or_that_opens_or_too_late() {
    let pair = Pair::new();
    pair.was_there(&pair.web, 60);
    for flags in [0, FIN, SYN | FIN] {
        pair.world.drops(FROM, pair.web.ifindex, &pair.web_sends(flags), Reason::TcpNotSyn);
    }
    let other = Packet::tcp(pair.web.v4, pair.app.v4, (4000, 22), ACK);
    let frame = pair.world.bridged(&pair.web, &pair.app, other);
    pair.world.drops(FROM, pair.web.ifindex, &frame, Reason::TcpNotSyn);
    // What opens is judged as such: app may not.
    pair.world.drops(FROM, pair.app.ifindex, &pair.app_sends(SYN), Reason::PolicyDeny);
    pair.was_there(&pair.web, -1);
    for (device, frame) in [(pair.web.ifindex, pair.web_sends(ACK)), (pair.app.ifindex, pair.app_sends(ACK))] {
        pair.world.drops(FROM, device, &frame, Reason::TcpNotSyn);
    }
    assert_eq!(pair.world.datapath.maps().conns4.entries().unwrap(), []);
}

#[test]
fn an_adopted_answer_needs_what_a_stateless_side_says_of_it() {
    let mut pair = Pair::new();
    // web's side is stateless and lets nothing in.
    for slot in [0, 1] {
        pair.world.row_of(slot, 1, 2, RF_TABLE_TCP, &[enforced((0, ALLOW, 11, 12), STATEFUL & 2)]);
    }
    pair.was_there(&pair.web, 60);
    pair.world.drops(FROM, pair.app.ifindex, &pair.app_sends(ACK), Reason::PolicyDeny);
    assert_eq!(pair.web(ACK), ConnState::RF_CONN_ESTABLISHED);
}
