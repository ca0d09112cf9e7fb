//! Between a workload and the stack of its host: what policy says of the class of the host, and nothing else.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use ringfence_agent::bpf::consts::{RF_CLASS_HOST, RF_TABLE_UDP};
use ringfence_agent::bpf::{Action, Device, DeviceKind, Hook, Pod, Reason, TestContext};

use crate::builder::{Mac, Packet, icmp_error};
use crate::guest::Guest;
use crate::net::{ip, sh};
use crate::world::{
    ALLOW, DOMAIN, DOMAIN_ID, GATEWAY_MAC, NEXT_HOP_MAC, OUTSIDE, STATEFUL, UPLINK_MAC, Workload, World, enforced,
};

const FROM: Hook = Hook::FromWorkload;
const TO: Hook = Hook::ToWorkload;
/// Class of web here, since the fixture's is the host's.
const CLASS: u32 = 5;
/// An address of the host, as any other could be.
const HOST: &str = "192.168.9.1";

/// Of web's device, on the host's side.
const DEVICE_MAC: Mac = [0x02, 0xee, 0, 0, 0, 0x77];

struct Beside {
    world: World,
    web: Workload,
}

impl Beside {
    fn new(change: impl FnOnce(&mut ringfence_agent::bpf::Options)) -> Self {
        let world = World::with(change);
        let web = Workload { class: CLASS, ..world.web };
        world.put_workload(DOMAIN, DOMAIN_ID, &web);
        sh("ip link set dev web address 02:ee:00:00:00:77");
        Self { world, web }
    }

    fn of_host(&self, packet: Packet) -> Vec<u8> {
        packet.macs(DEVICE_MAC, self.web.mac).build()
    }

    fn toward_host(&self, packet: Packet) -> Vec<u8> {
        packet.macs(self.web.mac, DEVICE_MAC).build()
    }
}

#[test]
fn a_packet_of_the_hosts_own_is_judged_as_the_host_whatever_its_address() {
    let mut beside = Beside::new(|_| {});
    let web = beside.web;
    for source in [HOST, OUTSIDE, "10.1.0.12", "10.1.0.1"] {
        let frame = beside.of_host(Packet::udp(ip(source), web.v4, (4000, 53)));
        let decision = beside.world.drops(TO, web.ifindex, &frame, Reason::FromHost);
        assert_eq!((decision.judged, decision.from_class, decision.to_class), (1, RF_CLASS_HOST, CLASS));
    }
    beside.world.allow(RF_CLASS_HOST, CLASS, RF_TABLE_UDP);
    for source in [HOST, OUTSIDE, "10.1.0.12", "10.1.0.1"] {
        let frame = beside.of_host(Packet::udp(ip(source), web.v4, (4000, 53)));
        for judged in [1, 0] {
            let (output, decision) = beside.world.passes(TO, web.ifindex, &frame);
            assert_eq!((decision.action, decision.judged), (Action::RF_ACTION_DELIVER, judged));
            assert_eq!((output.packet == frame, output.mark), (true, 0));
        }
    }
}

#[test]
fn only_frames_for_the_workload_itself_reach_it() {
    let mut beside = Beside::new(|_| {});
    let (web, app) = (beside.web, beside.world.app);
    beside.world.allow(RF_CLASS_HOST, CLASS, RF_TABLE_UDP);
    beside.world.allow(RF_CLASS_HOST, app.class, RF_TABLE_UDP);
    let good = Packet::udp(ip(HOST), web.v4, (4000, 53));
    for frame in [
        good.clone().macs(DEVICE_MAC, app.mac).build(),
        beside.of_host(Packet::udp(ip(HOST), app.v4, (4000, 53))),
        beside.of_host(Packet::udp(ip(HOST), ip(OUTSIDE), (4000, 53))),
        beside.of_host(Packet::udp(ip(HOST), ip("224.0.0.1"), (4000, 53))),
    ] {
        beside.world.drops(TO, web.ifindex, &frame, Reason::FromHost);
    }
    assert_eq!(beside.world.datapath.maps().conns4.entries().unwrap(), []);
    beside.world.passes(TO, web.ifindex, &beside.of_host(good));
}

#[test]
fn what_answers_the_host_goes_to_its_stack_by_the_connection() {
    let mut beside = Beside::new(|options| options.guard = true);
    let web = beside.web;
    beside.world.allow(RF_CLASS_HOST, CLASS, RF_TABLE_UDP);
    let answer = Packet::udp(web.v4, ip(HOST), (53, 4000));
    let answers = [beside.toward_host(answer.clone()), answer.macs(web.mac, GATEWAY_MAC).build()];
    beside.world.drops(FROM, web.ifindex, &answers[0], Reason::PolicyDeny);
    beside.world.passes(TO, web.ifindex, &beside.of_host(Packet::udp(ip(HOST), web.v4, (4000, 53))));
    for judged in [0, 1] {
        for frame in &answers {
            let (output, decision) = beside.world.passes(FROM, web.ifindex, frame);
            assert_eq!((decision.action, decision.ifindex), (Action::RF_ACTION_STACK, web.ifindex));
            assert_eq!((&output.packet, output.mark), (frame, !beside.world.datapath.mark()));
            if decision.judged == 1 {
                assert_eq!((judged, decision.from_class, decision.to_class), (1, RF_CLASS_HOST, CLASS));
            }
        }
        beside.world.bump_domain();
    }
    let error = icmp_error(web.v4, ip(HOST), &Packet::udp(ip(HOST), web.v4, (4000, 53)).ip());
    beside.world.bump_domain();
    beside.world.passes(FROM, web.ifindex, &answers[0]);
    let (_, decision) = beside.world.passes(FROM, web.ifindex, &beside.toward_host(error));
    assert_eq!(decision.action, Action::RF_ACTION_STACK);
}

#[test]
fn a_frame_to_the_devices_own_mac_is_judged_as_to_the_host() {
    let mut beside = Beside::new(|_| {});
    let web = beside.web;
    let frame = beside.toward_host(Packet::udp(web.v4, ip(HOST), (4000, 53)));
    let decision = beside.world.drops(FROM, web.ifindex, &frame, Reason::PolicyDeny);
    assert_eq!((decision.from_class, decision.to_class), (CLASS, RF_CLASS_HOST));
    beside.world.allow(CLASS, RF_CLASS_HOST, RF_TABLE_UDP);
    let (_, decision) = beside.world.passes(FROM, web.ifindex, &frame);
    assert_eq!(decision.action, Action::RF_ACTION_STACK);
    let answer = beside.of_host(Packet::udp(ip(HOST), web.v4, (53, 4000)));
    let (_, decision) = beside.world.passes(TO, web.ifindex, &answer);
    assert_eq!(decision.judged, 0);
    // Its source is guarded as ever.
    let spoofed = beside.toward_host(Packet::udp(beside.world.app.v4, ip(HOST), (4000, 53)));
    beside.world.drops(FROM, web.ifindex, &spoofed, Reason::SourceAddress);
}

#[test]
fn what_the_host_answers_to_a_flow_that_became_stateless_is_judged_as_the_hosts() {
    let mut beside = Beside::new(|_| {});
    let web = beside.web;
    let asked = beside.toward_host(Packet::udp(web.v4, ip(HOST), (4000, 53)));
    let answer = beside.of_host(Packet::udp(ip(HOST), web.v4, (53, 4000)));
    for notes in [STATEFUL, 0] {
        beside.world.row_of(0, CLASS, RF_CLASS_HOST, RF_TABLE_UDP, &[enforced((0, ALLOW, 1, 2), notes)]);
        beside.world.bump_domain();
        beside.world.passes(FROM, web.ifindex, &asked);
    }
    beside.world.drops(TO, web.ifindex, &answer, Reason::FromHost);
    beside.world.allow(RF_CLASS_HOST, CLASS, RF_TABLE_UDP);
    beside.world.bump_domain();
    beside.world.passes(TO, web.ifindex, &answer);
}

#[test]
fn where_no_guard_reads_a_mark_the_stack_sees_none() {
    let mut beside = Beside::new(|_| {});
    let web = beside.web;
    beside.world.allow(CLASS, RF_CLASS_HOST, RF_TABLE_UDP);
    let frame = beside.toward_host(Packet::udp(web.v4, ip(HOST), (4000, 53)));
    let context = TestContext { ifindex: web.ifindex, mark: 7, ..TestContext::default() };
    let output = beside.world.datapath.test_run(FROM, &frame, &context).unwrap();
    assert_eq!((beside.world.decision().action, output.mark), (Action::RF_ACTION_STACK, 0));
}

#[test]
fn what_went_to_the_stack_is_not_admitted_where_the_stack_sends_it_on() {
    let beside = Beside::new(|_| {});
    let frame = beside.of_host(Packet::udp(beside.world.app.v4, beside.web.v4, (4000, 53)));
    let context =
        TestContext { ifindex: beside.web.ifindex, mark: !beside.world.datapath.mark(), ..TestContext::default() };
    beside.world.datapath.test_run(TO, &frame, &context).unwrap();
    assert_eq!(Reason::from_number(beside.world.decision().reason), Some(Reason::FromHost));
}

#[test]
fn nobody_else_speaks_on_a_connection_of_the_host() {
    let mut beside = Beside::new(|_| {});
    let web = beside.web;
    beside.world.allow(RF_CLASS_HOST, CLASS, RF_TABLE_UDP);
    beside.world.allow(9, CLASS, RF_TABLE_UDP);
    let packet = Packet::udp(ip(OUTSIDE), web.v4, (4000, 53));
    let of_host = beside.of_host(packet.clone());
    beside.world.passes(TO, web.ifindex, &of_host);
    let outside = packet.macs(NEXT_HOP_MAC, UPLINK_MAC).build();
    let answer = Packet::udp(web.v4, ip(OUTSIDE), (53, 4000));
    let error = icmp_error(ip("192.0.2.77"), web.v4, &answer.ip()).macs(NEXT_HOP_MAC, UPLINK_MAC).build();
    for judged in [0, 1] {
        beside.world.drops(Hook::FromUplink, beside.world.uplink, &outside, Reason::Spoofed);
        let (_, decision) = beside.world.passes(TO, web.ifindex, &of_host);
        assert_eq!((decision.judged, decision.from_class), (judged, judged * RF_CLASS_HOST));
        beside.world.drops(Hook::FromUplink, beside.world.uplink, &error, Reason::NoConnection);
        beside.world.bump_domain();
    }
}

#[test]
fn the_host_does_not_speak_on_a_connection_of_others() {
    let mut beside = Beside::new(|_| {});
    let web = beside.web;
    beside.world.allow(RF_CLASS_HOST, CLASS, RF_TABLE_UDP);
    beside.world.allow(9, CLASS, RF_TABLE_UDP);
    let packet = Packet::udp(ip(OUTSIDE), web.v4, (4001, 53));
    let outside = packet.clone().macs(NEXT_HOP_MAC, UPLINK_MAC).build();
    beside.world.passes(Hook::FromUplink, beside.world.uplink, &outside);
    for judged in [0, 1] {
        beside.world.drops(TO, web.ifindex, &beside.of_host(packet.clone()), Reason::FromHost);
        let (_, decision) = beside.world.passes(Hook::FromUplink, beside.world.uplink, &outside);
        assert_eq!(decision.judged, judged);
        beside.world.bump_domain();
    }
}

#[test]
fn sockets_of_host_and_workload_talk_through_the_guard_where_policy_says_so() {
    let mut beside = Beside::new(|options| options.guard = true);
    let web = beside.web;
    let guest = Guest::workload(&mut beside.world, "web", &web);
    // As the agent sets it; who has which address they find out by ARP.
    sh("echo 1 > /proc/sys/net/ipv4/conf/web/arp_ignore; ip addr add 192.168.9.1/32 dev web; \
        ip route add 10.1.0.11 dev web src 192.168.9.1");
    guest.inside(|| sh("ip route add 192.168.9.1 dev web-in"));
    let loopback = Device { kind: DeviceKind::RF_DEVICE_HOST, ..Device::zeroed() };
    beside.world.datapath.maps().devices.put(1, &loopback).unwrap();
    beside.world.datapath.guard().unwrap();
    let socket = |address: &str| {
        let socket = UdpSocket::bind(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        socket
    };
    let host = socket("192.168.9.1:900");
    let inside = guest.inside(move || socket("10.1.0.11:901"));
    let (at_host, at_guest): (SocketAddr, SocketAddr) =
        ("192.168.9.1:900".parse().unwrap(), "10.1.0.11:901".parse().unwrap());
    let arrives = |from: &UdpSocket, to: &UdpSocket, address| {
        from.send_to(b"hello", address).unwrap();
        to.recv(&mut [0; 8]).is_ok()
    };
    assert!(!arrives(&inside, &host, at_host));
    assert!(!arrives(&host, &inside, at_guest));
    beside.world.allow(CLASS, RF_CLASS_HOST, RF_TABLE_UDP);
    assert!(arrives(&inside, &host, at_host));
    assert!(arrives(&host, &inside, at_guest), "as an answer");
    beside.world.datapath.detach(FROM, web.ifindex).unwrap();
    // The kernel takes it off a while after its pin is gone.
    let begun = Instant::now();
    while arrives(&inside, &host, at_host) && begun.elapsed() < Duration::from_secs(5) {}
    assert!(!arrives(&inside, &host, at_host), "what no program admitted, the guard drops");
}
