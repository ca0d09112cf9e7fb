//! What is too long for the path is answered.

use ringfence_agent::bpf::consts::{RF_TABLE_SCTP, RF_TABLE_TCP, RF_TABLE_UDP};
use ringfence_agent::bpf::{Hook, Ip, Pod, Reason, TestContext, Vni};

use crate::builder::{ACK, Packet, SYN};
use crate::checksum::assert_right;
use crate::net::ip;
use crate::world::{BACK, FRONT, GATEWAY_MAC, NEXT_HOP_MAC, OUTSIDE, OUTSIDE6, UPLINK_MAC, World};

const REDIRECT: i32 = 7;

fn world() -> World {
    let mut world = World::new();
    for (from, to) in [(1, 3), (1, 9), (9, 1), (1, 4)] {
        world.allow(from, to, RF_TABLE_TCP);
        world.allow(from, to, RF_TABLE_UDP);
    }
    world
}

/// The answer's IP packet: right checksums, from the gateway to the sender, telling the MTU and
/// quoting the beginning of what was sent.
fn assert_answer(answer: &[u8], sent: &Packet, gateway: &str, mtu: u16) {
    let asked = sent.ip();
    assert_right(answer);
    let (header, kind, length) = if sent.src.is_ipv4() { (20, [3, 4], 576) } else { (40, [2, 0], 1280) };
    assert_eq!(answer.len(), length);
    assert_eq!(answer[header..header + 2], kind);
    assert_eq!(answer[header + 6..header + 8], mtu.to_be_bytes());
    assert_eq!(answer[header + 8..], asked[..length - header - 8], "the quote");
    let about = Packet::other(ip(gateway), sent.src, 0).ip();
    let addresses = if sent.src.is_ipv4() { 12..20 } else { 8..40 };
    assert_eq!(answer[addresses.clone()], about[addresses]);
}

#[test]
fn a_long_packet_is_answered_by_the_gateway_of_its_senders_network() {
    let world = world();
    let web = world.web;
    for (src, dst, gateway) in [(web.v4, world.cache.v4, "10.1.0.1"), (web.v6, world.cache.v6, "fd00:1::1")] {
        let fits = Packet::udp(src, dst, (4000, 53)).length(1450);
        world.passes(Hook::FromWorkload, web.ifindex, &world.routed(&web, fits.clone()));
        let sent = fits.length(1451);
        let frame = world.routed(&web, sent.clone());
        let ((), moved) = world.moved(|| {
            let output = world.run(Hook::FromWorkload, web.ifindex, &frame);
            assert_eq!((output.action, output.mark), (REDIRECT, world.datapath.mark()));
            assert_eq!(output.packet[..6], web.mac);
            assert_eq!(output.packet[6..12], GATEWAY_MAC);
            assert_answer(&output.packet[14..], &sent, gateway, 1450);
        });
        assert_eq!(world.decision().reason, Reason::TooBig as u32);
        assert_eq!(moved, [(format!("device {} too_big", web.ifindex), 1)].into());
    }
}

#[test]
fn options_of_the_quoted_header_do_not_upset_the_checksum() {
    let world = world();
    let mut sent = Packet::udp(world.web.v4, world.cache.v4, (4000, 53));
    sent.options = vec![1; 24];
    let sent = sent.length(1460);
    let frame = world.routed(&world.web, sent.clone());
    let output = world.run(Hook::FromWorkload, world.web.ifindex, &frame);
    assert_answer(&output.packet[14..], &sent, "10.1.0.1", 1450);
}

#[test]
fn the_uplinks_mtu_and_what_comes_in_by_it_count_too() {
    let world = world();
    let web = world.web;
    for (inside, outside, gateway) in [(web.v4, ip(OUTSIDE), "10.1.0.1"), (web.v6, ip(OUTSIDE6), "fd00:1::1")] {
        let out = Packet::udp(inside, outside, (4000, 53)).length(1501);
        let output = world.run(Hook::FromWorkload, web.ifindex, &world.routed(&web, out.clone()));
        assert_answer(&output.packet[14..], &out, gateway, 1500);
        let back = Packet::udp(outside, inside, (5000, 53)).length(1451);
        let frame = back.clone().macs(NEXT_HOP_MAC, UPLINK_MAC).build();
        let output = world.run(Hook::FromUplink, world.uplink, &frame);
        assert_eq!(output.action, REDIRECT);
        assert_eq!((&output.packet[..6], &output.packet[6..12]), (&NEXT_HOP_MAC[..], &UPLINK_MAC[..]));
        assert_answer(&output.packet[14..], &back, gateway, 1450);
    }
}

#[test]
fn a_segmented_packet_is_measured_by_its_segments() {
    let world = world();
    let web = world.web;
    let open = Packet::tcp(web.v4, world.cache.v4, (4000, 80), SYN);
    world.passes(Hook::FromWorkload, web.ifindex, &world.routed(&web, open));
    let long = Packet::tcp(web.v4, world.cache.v4, (4000, 80), ACK).length(3400);
    let frame = world.routed(&web, long);
    // 20 of IPv4, 20 of TCP, and the segment's payload.
    for (gso_size, reason) in [(1410, 0), (1411, Reason::TooBig as u32)] {
        let context = TestContext { ifindex: web.ifindex, gso_size, gso_segs: 3, ..TestContext::default() };
        world.datapath.test_run(Hook::FromWorkload, &frame, &context).unwrap();
        assert_eq!(world.decision().reason, reason, "segments of {gso_size}");
    }
}

#[test]
fn without_a_gateway_or_with_less_than_the_quote_nothing_is_said() {
    let world = world();
    let (web, maps) = (world.web, world.datapath.maps());
    let mut iface = maps.ifaces.get(&world.db.index).unwrap().unwrap();
    iface.mtu = 400;
    maps.ifaces.put(&world.db.index, &iface).unwrap();
    let short = Packet::udp(web.v4, world.db.v4, (4000, 53)).length(500);
    world.drops(Hook::FromWorkload, web.ifindex, &world.routed(&web, short), Reason::TooBig);
    assert_eq!(world.db.vni, BACK);
}

/// Of SCTP each segment has a length of its own, which the size of 0xffff stands for (GSO_BY_FRAGS).
#[test]
fn a_packet_of_segments_of_several_lengths_is_not_too_big_as_a_whole() {
    let mut world = world();
    world.allow(1, 3, RF_TABLE_SCTP);
    let web = world.web;
    let long = Packet::sctp(web.v4, world.cache.v4, (4000, 36412)).length(3400);
    let frame = world.routed(&web, long);
    for (gso_size, reason) in [(0, Reason::TooBig as u32), (0xffff, 0)] {
        let context = TestContext { ifindex: web.ifindex, gso_size, gso_segs: 3, ..TestContext::default() };
        world.datapath.test_run(Hook::FromWorkload, &frame, &context).unwrap();
        assert_eq!(world.decision().reason, reason, "{gso_size}");
    }
}

#[test]
fn a_network_without_a_gateway_of_the_family_tells_nobody() {
    let world = world();
    let (web, maps) = (world.web, world.datapath.maps());
    let network = maps.vnis.get(&FRONT).unwrap().unwrap();
    maps.vnis.put(&FRONT, &Vni { gateway4: 0, gateway6: Ip::zeroed(), ..network }).unwrap();
    for (src, dst) in [(web.v4, world.cache.v4), (web.v6, world.cache.v6)] {
        let long = Packet::udp(src, dst, (4000, 53)).length(1451);
        world.drops(Hook::FromWorkload, web.ifindex, &world.routed(&web, long), Reason::TooBig);
    }
}
