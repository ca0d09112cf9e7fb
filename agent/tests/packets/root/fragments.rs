//! Fragments pass as their first one did, in any order after it, and nothing rewrites what was judged.

use ringfence_agent::bpf::consts::{
    RF_FRAGMENT_S, RF_FRAGMENT_YIELD_MS, RF_FRAGS_EACH, RF_TABLE_ICMP, RF_TABLE_ICMP6, RF_TABLE_OTHER, RF_TABLE_TCP,
    RF_TABLE_UDP,
};
use ringfence_agent::bpf::{Action, FragsKey, Hook, Reason, TestContext};

use crate::builder::{ICMPV6, Packet, SYN, icmp_error};
use crate::net::ip;
use crate::pieces::{DESTINATION, extended, fragment_header, fragments, framed, options, part};
use crate::world::{
    ALLOW, DENY, GATEWAY_MAC, NEXT_HOP_MAC, OUTSIDE, OUTSIDE6, TestRun, UPLINK_MAC, Workload, World, enforced,
};

const FROM: Hook = Hook::FromWorkload;
const ONLY_80: [TestRun; 3] = [(0, DENY, 1, 1), (80, ALLOW, 11, 12), (81, DENY, 1, 1)];

/// web may ask app and db on port 80, and ping them.
fn world() -> World {
    let mut world = World::new();
    for slot in [0, 1] {
        for to in [2, 4, 9] {
            world.row(slot, 1, to, RF_TABLE_UDP, &ONLY_80);
            world.row(slot, 1, to, RF_TABLE_TCP, &ONLY_80);
        }
    }
    for table in [RF_TABLE_ICMP, RF_TABLE_ICMP6] {
        world.allow(1, 2, table);
    }
    world
}

fn datagram(world: &World, v6: bool, port: u16) -> Vec<u8> {
    Packet::udp(world.web.ip(v6), world.app.ip(v6), (4000, port)).payload(&[7; 100]).ip()
}

/// As web sends it to app.
fn from_web(world: &World, ip: &[u8]) -> Vec<u8> {
    framed(world.web.mac, world.app.mac, ip)
}

#[test]
fn later_fragments_pass_in_any_order_after_the_first_and_by_its_connection() {
    let world = world();
    let web = world.web;
    for v6 in [false, true] {
        let pieces = fragments(&datagram(&world, v6, 80), 7, &[24, 48, 72]);
        let [first, second, third, last] = &pieces[..] else { panic!("{pieces:?}") };
        for early in [second, last] {
            world.drops(FROM, web.ifindex, &from_web(&world, early), Reason::Fragment);
        }
        assert_eq!(world.passes(FROM, web.ifindex, &from_web(&world, first)).1.judged, 1);
        for (n, later) in [last, second, third, second].into_iter().enumerate() {
            let frame = from_web(&world, later);
            let (output, decision) = world.passes(FROM, web.ifindex, &frame);
            assert_eq!((output.packet, decision.ifindex), (frame, world.app.ifindex), "{n}");
            assert_eq!(decision.judged, 0, "by the connection");
        }
    }
    let (key, conn) = world.only_conn();
    assert_eq!((key.port.map(u16::from_be), conn.packets), ([4000, 80], [5, 0]));
}

#[test]
fn what_follows_a_first_fragment_that_did_not_pass_does_not_either() {
    let world = world();
    let web = world.web;
    for v6 in [false, true] {
        let pieces = fragments(&datagram(&world, v6, 22), 7, &[48]);
        world.drops(FROM, web.ifindex, &from_web(&world, &pieces[0]), Reason::PolicyDeny);
        world.drops(FROM, web.ifindex, &from_web(&world, &pieces[1]), Reason::Fragment);
        // Nor does one whose first could not get away.
        let packet = Packet::udp(web.ip(v6), world.db.ip(v6), (4000, 80)).payload(&[7; 100]);
        let pieces = fragments(&packet.ip(), 8, &[48]);
        let mut first = framed(web.mac, GATEWAY_MAC, &pieces[0]);
        // TTL or hop limit of 1.
        let ttl = if v6 { 21 } else { 22 };
        first[ttl] = 1;
        world.drops(FROM, web.ifindex, &first, Reason::TtlExpired);
        world.drops(FROM, web.ifindex, &framed(web.mac, GATEWAY_MAC, &pieces[1]), Reason::Fragment);
    }
}

#[test]
fn a_fragment_of_another_packet_or_from_elsewhere_does_not_pass() {
    let mut world = world();
    for slot in [0, 1] {
        world.row(slot, 2, 1, RF_TABLE_UDP, &ONLY_80);
    }
    let (web, app) = (world.web, world.app);
    for v6 in [false, true] {
        let whole = datagram(&world, v6, 80);
        world.passes(FROM, web.ifindex, &from_web(&world, &fragments(&whole, 7, &[48])[0]));
        let later = fragments(&whole, 7, &[48]).remove(1);
        let other_id = fragments(&whole, 8, &[48]).remove(1);
        world.drops(FROM, web.ifindex, &from_web(&world, &other_id), Reason::Fragment);
        let other_target = Packet::udp(web.ip(v6), world.cache.ip(v6), (4000, 80)).payload(&[7; 100]).ip();
        let other_target = fragments(&other_target, 7, &[48]).remove(1);
        world.drops(FROM, web.ifindex, &framed(web.mac, GATEWAY_MAC, &other_target), Reason::Fragment);
        // The same addresses by another device: another's source.
        world.drops(FROM, app.ifindex, &framed(app.mac, app.mac, &later), Reason::Fragment);
        world.passes(FROM, web.ifindex, &from_web(&world, &later));
    }
    // In IPv4 the protocol is part of what a packet is known by, in IPv6 only the first one's says it.
    let mut later = fragments(&datagram(&world, false, 80), 7, &[48]).remove(1);
    (later[9], later[10], later[11]) = (6, 0, 0);
    world.drops(FROM, web.ifindex, &from_web(&world, &later), Reason::Fragment);
    let mut later = fragments(&datagram(&world, true, 80), 7, &[48]).remove(1);
    later[40] = 6;
    let (_, decision) = world.passes(FROM, web.ifindex, &from_web(&world, &later));
    assert_eq!(decision.judged, 0, "still of the UDP flow");
}

#[test]
fn nothing_reaches_into_what_was_judged() {
    let world = world();
    let web = world.web;
    for v6 in [false, true] {
        // A TCP header of 24 bytes, of which the first fragment must have all.
        let mut packet = Packet::tcp(web.ip(v6), world.app.ip(v6), (4000, 80), SYN);
        packet.l4[12] = 6 << 4;
        let packet = packet.payload(&[1; 80]).ip();
        for end in [8, 16] {
            world.drops(FROM, web.ifindex, &from_web(&world, &part(&packet, 9, 0, end, true)), Reason::Malformed);
        }
        world.passes(FROM, web.ifindex, &from_web(&world, &part(&packet, 9, 0, 40, true)));
        for start in [8, 16] {
            world.drops(FROM, web.ifindex, &from_web(&world, &part(&packet, 9, start, 64, true)), Reason::Fragment);
        }
        world.passes(FROM, web.ifindex, &from_web(&world, &part(&packet, 9, 24, 64, true)));
        // Behind eight bytes of UDP nothing was judged, but offset 1 is refused whatever it is over.
        let packet = datagram(&world, v6, 80);
        world.passes(FROM, web.ifindex, &from_web(&world, &part(&packet, 10, 0, 8, true)));
        world.drops(FROM, web.ifindex, &from_web(&world, &part(&packet, 10, 8, 64, true)), Reason::Fragment);
        world.passes(FROM, web.ifindex, &from_web(&world, &part(&packet, 10, 16, 64, true)));
    }
}

#[test]
fn of_two_first_fragments_the_longer_header_counts() {
    let world = world();
    let web = world.web;
    // A receiver may take either for the first. In IPv6 they may be of different protocols.
    let udp = datagram(&world, true, 80);
    let tcp = Packet::tcp(web.v6, world.app.v6, (4000, 80), SYN).payload(&[1; 80]).ip();
    let behind = |options_len: u8| {
        let bare = extended(&tcp[..80], &[fragment_header(7, 0, true), options(DESTINATION, options_len)]);
        from_web(&world, &bare)
    };
    world.passes(FROM, web.ifindex, &behind(3));
    world.passes(FROM, web.ifindex, &from_web(&world, &part(&udp, 7, 0, 40, true)));
    world.drops(FROM, web.ifindex, &from_web(&world, &part(&udp, 7, 40, 48, true)), Reason::Fragment);
    world.passes(FROM, web.ifindex, &from_web(&world, &part(&udp, 7, 56, 64, true)));
}

#[test]
fn lengths_that_no_packet_can_have_are_malformed() {
    let world = world();
    let web = world.web;
    for v6 in [false, true] {
        let packet = datagram(&world, v6, 80);
        let refused = |piece: &[u8]| world.drops(FROM, web.ifindex, &from_web(&world, piece), Reason::Malformed);
        // Not a multiple of 8 bytes, though others follow.
        refused(&part(&packet, 7, 0, 47, true));
        world.passes(FROM, web.ifindex, &from_web(&world, &part(&packet, 7, 0, 48, true)));
        refused(&part(&packet, 7, 48, 55, true));
        refused(&part(&packet, 7, 48, 48, false));
        // The longest packet there is has 65,535 bytes: with its header in IPv4, without in IPv6.
        let at = |offset: u16, length: usize| {
            let mut piece = part(&packet, 7, 48, 48 + length, false);
            if v6 {
                piece[42..44].copy_from_slice(&offset.to_be_bytes());
            } else {
                piece[6..8].copy_from_slice(&(offset / 8).to_be_bytes());
                piece[10..12].fill(0);
                let sum = !crate::checksum::sum(&piece[..20]);
                piece[10..12].copy_from_slice(&sum.to_be_bytes());
            }
            piece
        };
        let fits = if v6 { 7 + 8 } else { 7 + 4 };
        let offset = if v6 { 65520 } else { 65504 };
        world.passes(FROM, web.ifindex, &from_web(&world, &at(offset, fits)));
        refused(&at(offset, fits + 1));
        refused(&at(65528, if v6 { 8 } else { 1 }));
    }
    // A fragment that stands for several.
    let first = from_web(&world, &fragments(&datagram(&world, false, 80), 9, &[48])[0]);
    let context = TestContext { ifindex: web.ifindex, gso_size: 16, gso_segs: 2, ..TestContext::default() };
    world.datapath.test_run(FROM, &first, &context).unwrap();
    assert_eq!(Reason::from_number(world.decision().reason), Some(Reason::Malformed));
}

#[test]
fn a_first_fragment_has_the_whole_chain_and_the_header_behind_it() {
    let world = world();
    let web = world.web;
    // RFC 7112: the options are in the part that is cut, and the cut goes through them.
    let packet = extended(&datagram(&world, true, 80), &[options(DESTINATION, 1)]);
    let first = part(&packet, 7, 0, 8, true);
    world.drops(FROM, web.ifindex, &from_web(&world, &first), Reason::ExtensionHeader);
    world.drops(FROM, web.ifindex, &from_web(&world, &part(&packet, 7, 0, 16, true)), Reason::Malformed);
    world.passes(FROM, web.ifindex, &from_web(&world, &part(&packet, 7, 0, 24, true)));
    // Options and UDP header were judged.
    world.drops(FROM, web.ifindex, &from_web(&world, &part(&packet, 7, 16, 64, true)), Reason::Fragment);
    let (_, decision) = world.passes(FROM, web.ifindex, &from_web(&world, &part(&packet, 7, 24, 64, true)));
    assert_eq!(decision.judged, 0);
}

#[test]
fn an_atomic_fragment_is_a_whole_packet() {
    let world = world();
    let atomic = |port| extended(&datagram(&world, true, port), &[fragment_header(7, 0, false)]);
    world.passes(FROM, world.web.ifindex, &from_web(&world, &atomic(80)));
    world.drops(FROM, world.web.ifindex, &from_web(&world, &atomic(22)), Reason::PolicyDeny);
    assert_eq!(world.datapath.maps().frags.entries().unwrap().len(), 0, "nothing follows it");
}

#[test]
fn pings_in_fragments_and_their_replies_pass_and_errors_and_discovery_do_not() {
    let world = world();
    let (web, app) = (world.web, world.app);
    for v6 in [false, true] {
        let long = |packet: Packet, id| fragments(&packet.payload(&[9; 200]).ip(), id, &[96]);
        for piece in long(Packet::echo_request(web.ip(v6), app.ip(v6), 5), 1) {
            world.passes(FROM, web.ifindex, &from_web(&world, &piece));
        }
        for piece in long(Packet::echo_reply(app.ip(v6), web.ip(v6), 5), 2) {
            assert_eq!(world.passes(FROM, app.ifindex, &framed(app.mac, web.mac, &piece)).1.judged, 0);
        }
        let about = Packet::echo_request(web.ip(v6), app.ip(v6), 5).ip();
        let error = long(icmp_error(app.ip(v6), web.ip(v6), &about), 3);
        world.drops(FROM, app.ifindex, &framed(app.mac, web.mac, &error[0]), Reason::Fragment);
        world.drops(FROM, app.ifindex, &framed(app.mac, web.mac, &error[1]), Reason::Fragment);
        // To a gateway, which puts nothing together.
        let gateway = ip(if v6 { "fd00:1::1" } else { "10.1.0.1" });
        let ping = long(Packet::echo_request(web.ip(v6), gateway, 6), 4);
        world.drops(FROM, web.ifindex, &framed(web.mac, GATEWAY_MAC, &ping[0]), Reason::GatewayService);
        world.drops(FROM, web.ifindex, &framed(web.mac, GATEWAY_MAC, &ping[1]), Reason::Fragment);
    }
    let advertisement = Packet::icmp(web.v6, app.v6, (134, 0), [0; 4]).ttl(255).payload(&[0; 64]);
    assert_eq!(advertisement.l4_proto, ICMPV6);
    let pieces = fragments(&advertisement.ip(), 4, &[16]);
    world.drops(FROM, web.ifindex, &from_web(&world, &pieces[0]), Reason::ExtensionHeader);
    world.drops(FROM, web.ifindex, &from_web(&world, &pieces[1]), Reason::Fragment);
}

#[test]
fn protocols_without_ports_are_judged_by_their_number() {
    let mut world = world();
    for slot in [0, 1] {
        world.row(slot, 1, 2, RF_TABLE_OTHER, &[(0, DENY, 1, 1), (47, ALLOW, 2, 2), (48, DENY, 1, 1)]);
    }
    for v6 in [false, true] {
        for (id, proto, passes) in [(7, 47, true), (8, 46, false)] {
            let packet = Packet::other(world.web.ip(v6), world.app.ip(v6), proto).payload(&[5; 56]);
            let [first, later] = &fragments(&packet.ip(), id, &[32])[..] else { panic!() };
            if passes {
                world.passes(FROM, world.web.ifindex, &from_web(&world, first));
                world.passes(FROM, world.web.ifindex, &from_web(&world, later));
            } else {
                world.drops(FROM, world.web.ifindex, &from_web(&world, first), Reason::PolicyDeny);
                world.drops(FROM, world.web.ifindex, &from_web(&world, later), Reason::Fragment);
            }
        }
    }
}

#[test]
fn a_policy_change_cuts_a_packet_in_the_middle() {
    let mut world = world();
    let web = world.web;
    let pieces = fragments(&datagram(&world, false, 80), 7, &[24, 48]);
    world.passes(FROM, web.ifindex, &from_web(&world, &pieces[0]));
    world.passes(FROM, web.ifindex, &from_web(&world, &pieces[1]));
    world.row(0, 1, 2, RF_TABLE_UDP, &[(0, DENY, 5, 6)]);
    world.bump_domain();
    let decision = world.drops(FROM, web.ifindex, &from_web(&world, &pieces[2]), Reason::PolicyDeny);
    assert_eq!((decision.judged, decision.from_rule), (1, 5));
}

#[test]
fn a_later_fragment_opens_no_connection() {
    let world = world();
    let web = world.web;
    let pieces = fragments(&datagram(&world, false, 80), 7, &[48]);
    world.passes(FROM, web.ifindex, &from_web(&world, &pieces[0]));
    let (key, _) = world.only_conn();
    world.datapath.maps().conns4.delete(&key).unwrap();
    world.drops(FROM, web.ifindex, &from_web(&world, &pieces[1]), Reason::Fragment);
    assert_eq!(world.datapath.maps().conns4.entries().unwrap(), []);
}

#[test]
fn fragments_leave_by_the_overlay_and_cross_the_uplink() {
    let mut world = world();
    for slot in [0, 1] {
        world.row(slot, 9, 1, RF_TABLE_UDP, &ONLY_80);
    }
    let (web, db) = (world.web, world.db);
    for v6 in [false, true] {
        for (to, action) in [
            (db.ip(v6), Action::RF_ACTION_OVERLAY),
            (ip(if v6 { OUTSIDE6 } else { OUTSIDE }), Action::RF_ACTION_UPLINK),
        ] {
            let packet = Packet::udp(web.ip(v6), to, (4000, 80)).payload(&[7; 100]).ip();
            for piece in fragments(&packet, 7, &[48]) {
                let (output, decision) = world.passes(FROM, web.ifindex, &framed(web.mac, GATEWAY_MAC, &piece));
                assert_eq!(decision.action, action);
                let ttl = if v6 { 7 } else { 8 };
                assert_eq!(output.packet[14 + ttl], piece[ttl] - 1);
            }
        }
        let outside = ip(if v6 { OUTSIDE6 } else { OUTSIDE });
        let from_outside = Packet::udp(outside, web.ip(v6), (4000, 80)).payload(&[7; 100]).ip();
        let pieces = fragments(&from_outside, 9, &[48]);
        let uplink = |piece: &[u8]| framed(NEXT_HOP_MAC, UPLINK_MAC, piece);
        world.drops(Hook::FromUplink, world.uplink, &uplink(&pieces[1]), Reason::Fragment);
        for piece in &pieces {
            let (_, decision) = world.passes(Hook::FromUplink, world.uplink, &uplink(piece));
            assert_eq!(decision.ifindex, web.ifindex);
        }
    }
}

const HOUR_NS: u64 = 3_600_000_000_000;

/// The places of what an interface sends.
fn places(of: &Workload) -> FragsKey {
    FragsKey { account: of.index, inbound: 0 }
}

/// Moves the time at which every first fragment that web sent was seen.
fn age(world: &World, seconds: f64) {
    let frags = &world.datapath.maps().frags;
    let mut known = frags.get(&places(&world.web)).unwrap().unwrap();
    for frag in known.frag.iter_mut().filter(|frag| frag.seen_ns != 0) {
        frag.seen_ns = frag.seen_ns.saturating_add_signed((-seconds * 1e9) as i64);
    }
    frags.put(&places(&world.web), &known).unwrap();
}

/// Lets these first fragments of web pass, all seen an hour from now, so that none gives way meanwhile.
fn fill(world: &World, firsts: impl Iterator<Item = Vec<u8>>) {
    for (n, first) in firsts.enumerate() {
        world.passes(FROM, world.web.ifindex, &first);
        let frags = &world.datapath.maps().frags;
        let mut known = frags.get(&places(&world.web)).unwrap().unwrap();
        known.frag[n].seen_ns += HOUR_NS;
        frags.put(&places(&world.web), &known).unwrap();
    }
}

#[test]
fn a_flood_of_first_fragments_is_refused_and_starves_nobody_else() {
    let mut world = world();
    for slot in [0, 1] {
        world.row(slot, 2, 1, RF_TABLE_UDP, &ONLY_80);
    }
    let (web, app) = (world.web, world.app);
    let first = |id: u16| from_web(&world, &fragments(&datagram(&world, false, 80), id, &[48])[0]);
    let later = |id: u16| from_web(&world, &fragments(&datagram(&world, false, 80), id, &[48])[1]);
    let bound = RF_FRAGS_EACH as u16;
    fill(&world, (0..bound).map(&first));
    world.drops(FROM, web.ifindex, &first(bound), Reason::FragmentBudget);
    world.drops(FROM, web.ifindex, &later(bound), Reason::Fragment);
    let mine = Packet::udp(app.v4, web.v4, (4000, 80)).payload(&[7; 100]).ip();
    for piece in fragments(&mine, 1, &[48]) {
        world.passes(FROM, app.ifindex, &framed(app.mac, web.mac, &piece));
    }
    // A packet that is complete makes room for another.
    world.passes(FROM, web.ifindex, &later(0));
    world.passes(FROM, web.ifindex, &first(bound));
    world.drops(FROM, web.ifindex, &first(bound + 1), Reason::FragmentBudget);
}

#[test]
fn the_outside_has_places_of_its_own() {
    let mut world = world();
    for slot in [0, 1] {
        world.row(slot, 9, 1, RF_TABLE_UDP, &ONLY_80);
    }
    let packet = Packet::udp(ip(OUTSIDE), world.web.v4, (4000, 80)).payload(&[7; 100]).ip();
    world.passes(Hook::FromUplink, world.uplink, &framed(NEXT_HOP_MAC, UPLINK_MAC, &fragments(&packet, 1, &[48])[0]));
    world.passes(FROM, world.web.ifindex, &from_web(&world, &fragments(&datagram(&world, false, 80), 1, &[48])[0]));
    let mut keys: Vec<FragsKey> =
        world.datapath.maps().frags.entries().unwrap().into_iter().map(|(key, _)| key).collect();
    keys.sort();
    assert_eq!(keys, [places(&world.web), FragsKey { account: world.web.index, inbound: 1 }]);
}

#[test]
fn a_first_fragment_is_good_for_a_while_and_its_place_sooner_anothers() {
    let world = world();
    let web = world.web;
    let piece = |id, n: usize| from_web(&world, &fragments(&datagram(&world, false, 80), id, &[24, 48])[n]);
    world.passes(FROM, web.ifindex, &piece(1, 0));
    age(&world, f64::from(RF_FRAGMENT_S) - 5.0);
    world.passes(FROM, web.ifindex, &piece(1, 1));
    age(&world, 5.1);
    world.drops(FROM, web.ifindex, &piece(1, 2), Reason::Fragment);
    fill(&world, (2..=RF_FRAGS_EACH as u16 + 1).map(|id| piece(id, 0)));
    world.drops(FROM, web.ifindex, &piece(100, 0), Reason::FragmentBudget);
    age(&world, 3600.0 + f64::from(RF_FRAGMENT_YIELD_MS) / 1000.0);
    world.passes(FROM, web.ifindex, &piece(100, 0));
    world.passes(FROM, web.ifindex, &piece(100, 1));
    world.drops(FROM, web.ifindex, &piece(2, 1), Reason::Fragment);
    world.passes(FROM, web.ifindex, &piece(3, 1));
}

#[test]
fn a_first_fragment_that_is_too_long_is_answered_and_a_later_one_is_not() {
    let world = world();
    let web = world.web;
    for v6 in [false, true] {
        let packet = Packet::udp(web.ip(v6), world.db.ip(v6), (4000, 80)).payload(&[7; 4000]).ip();
        let sent = |start, end| framed(web.mac, GATEWAY_MAC, &part(&packet, 7, start, end, true));
        let (output, moved) = world.moved(|| world.run(FROM, web.ifindex, &sent(0, 1480)));
        assert_eq!((output.action, world.decision().reason), (7, Reason::TooBig as u32));
        crate::checksum::assert_right(&output.packet[14..]);
        assert_eq!(moved, [(format!("device {} too_big", web.ifindex), 1)].into());
        world.passes(FROM, web.ifindex, &sent(0, 1200));
        world.drops(FROM, web.ifindex, &sent(1200, 2680), Reason::TooBig);
    }
}

#[test]
fn stateless_flows_in_fragments_pass_without_a_connection() {
    let mut world = World::new();
    let run = enforced((0, ALLOW, 1, 2), 0);
    for slot in [0, 1] {
        world.row_of(slot, 1, 2, RF_TABLE_UDP, &[run]);
    }
    for piece in fragments(&datagram(&world, false, 80), 7, &[48]) {
        assert_eq!(world.passes(FROM, world.web.ifindex, &from_web(&world, &piece)).1.judged, 1);
    }
    assert_eq!(world.datapath.maps().conns4.entries().unwrap(), []);
}
