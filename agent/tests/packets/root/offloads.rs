//! What a guest leaves to the devices behind it must not change what was judged. On real devices,
//! since a test run has neither a tag beside the frame nor an unfinished checksum.

use std::collections::BTreeMap;

use ringfence_agent::bpf::Reason;
use ringfence_agent::bpf::consts::{RF_TABLE_OTHER, RF_TABLE_TCP, RF_TABLE_UDP};

use crate::builder::{Packet, SYN, arp, ethernet, icmp_error};
use crate::checksum::assert_right;
use crate::guest::Guest;
use crate::net::sh;
use crate::pieces::{DESTINATION, HOP_BY_HOP, extended, framed, options, part};
use crate::raw::{LeftChecksum, RawSocket};
use crate::world::World;

/// web may send to app, whose device finishes checksums as a physical one without the offload does.
struct Wire {
    world: World,
    web: RawSocket,
    app: RawSocket,
    guests: [Guest; 2],
}

impl Wire {
    fn new() -> Self {
        let mut world = World::new();
        for table in [RF_TABLE_TCP, RF_TABLE_UDP, RF_TABLE_OTHER] {
            world.allow(1, 2, table);
        }
        let (web, app) = (world.web, world.app);
        let web = Guest::workload(&mut world, "web", &web);
        let app = Guest::workload(&mut world, "app", &app);
        // The kernels on both sides are to say nothing of their own meanwhile.
        let quiet = |device: &str| {
            sh(&format!("ip addr flush dev {device}; echo 1 >/proc/sys/net/ipv6/conf/{device}/disable_ipv6"));
        };
        for (guest, device) in [(&web, "web"), (&app, "app")] {
            guest.inside(move || quiet(&format!("{device}-in")));
            quiet(device);
        }
        sh("ethtool -K app tx off >/dev/null");
        Self {
            web: web.inside(|| RawSocket::on("web-in")),
            app: app.inside(|| RawSocket::on("app-in")),
            world,
            guests: [web, app],
        }
    }

    /// What arrives at app when web sends this.
    fn send(&self, frame: &[u8], left: Option<LeftChecksum>) -> Vec<Vec<u8>> {
        self.web.send(frame, left);
        self.app.received()
    }

    #[track_caller]
    fn refused(&self, frame: &[u8], left: Option<LeftChecksum>, reason: Reason) {
        let (arrived, moved) = self.world.moved(|| self.send(frame, left));
        let expected = format!("device {} {}", self.world.web.ifindex, reason.name());
        assert_eq!(moved, BTreeMap::from([(expected, 1)]), "{left:?}");
        assert_eq!(arrived, Vec::<Vec<u8>>::new(), "{left:?}");
    }

    fn packet(&self, packet: Packet) -> Vec<u8> {
        self.world.bridged(&self.world.web, &self.world.app, packet)
    }
}

fn left(start: u16, offset: u16) -> Option<LeftChecksum> {
    Some(LeftChecksum { start, offset })
}

#[test]
fn a_checksum_of_the_packets_own_or_of_what_it_carries_is_finished_on_the_way() {
    let wire = Wire::new();
    let (web, app) = (wire.world.web, wire.world.app);
    for v6 in [false, true] {
        let (src, dst, l4) = (web.ip(v6), app.ip(v6), if v6 { 54 } else { 34 });
        let udp = wire.packet(Packet::udp(src, dst, (4000, 53)).payload(&[7; 64]));
        let tcp = wire.packet(Packet::tcp(src, dst, (4000, 80), SYN));
        let other = wire.packet(Packet::other(src, dst, 47).payload(&[7; 64]));
        for (frame, left) in [
            (&udp, left(l4, 6)),
            (&tcp, left(l4, 16)),
            (&udp, left(l4 + 8, 0)),
            (&udp, left(l4 + 16, 6)),
            (&other, left(l4 + 8, 6)),
        ] {
            let arrived = wire.send(frame, left);
            assert_eq!(arrived.len(), 1, "{left:?}");
            let place = left.map_or(0, |left| usize::from(left.start + left.offset));
            let changed: Vec<usize> = (0..frame.len()).filter(|at| arrived[0][*at] != frame[*at]).collect();
            assert!(changed.iter().all(|at| [place, place + 1].contains(at)), "{left:?}: {changed:?}");
            assert!(!changed.is_empty(), "{left:?}");
        }
    }
}

#[test]
fn a_checksum_that_would_be_written_over_what_was_judged_is_refused() {
    let wire = Wire::new();
    let (web, app) = (wire.world.web, wire.world.app);
    for v6 in [false, true] {
        let (src, dst, l4) = (web.ip(v6), app.ip(v6), if v6 { 54 } else { 34 });
        let udp = wire.packet(Packet::udp(src, dst, (4000, 53)).payload(&[7; 64]));
        // Ports, length, beside the field, addresses.
        for left in [left(l4, 0), left(l4, 2), left(l4, 4), left(l4, 5), left(l4, 7), left(l4 - 8, 4), left(20, 6)] {
            wire.refused(&udp, left, Reason::ChecksumPlace);
        }
        wire.refused(&udp, left(l4 + 2, 4), Reason::ChecksumPlace);
        let tcp = wire.packet(Packet::tcp(src, dst, (4000, 80), SYN));
        wire.refused(&tcp, left(l4, 13), Reason::ChecksumPlace);
    }
    let question = arp(1, (web.mac, [10, 1, 0, 11]), ([0; 6], [10, 1, 0, 12]));
    let frame = ethernet([0xff; 6], web.mac, 0x0806, &question);
    wire.refused(&frame, left(22, 0), Reason::ChecksumPlace);
}

#[test]
fn no_tag_leaves_behind_a_priority_tag() {
    let wire = Wire::new();
    let (web, app) = (wire.world.web, wire.world.app);
    let inner = Packet::udp(web.v4, app.v4, (4000, 53)).ip();
    let tagged = |tags: &[(u16, u16)]| {
        let mut frame = [app.mac, web.mac].concat();
        for (ethertype, vid) in tags {
            frame.extend(ethertype.to_be_bytes());
            frame.extend(vid.to_be_bytes());
        }
        frame.extend(0x0800u16.to_be_bytes());
        frame.extend(&inner);
        frame
    };
    for outer in [0x8100, 0x88a8] {
        for second in [(0x8100, 100), (0x8100, 0), (0x88a8, 100)] {
            wire.refused(&tagged(&[(outer, 0), second]), None, Reason::VlanTagged);
        }
        wire.refused(&tagged(&[(outer, 0), (0x8100, 0), (0x8100, 100)]), None, Reason::VlanTagged);
    }
    let plain = wire.packet(Packet::udp(web.v4, app.v4, (4000, 53)));
    assert_eq!(wire.send(&tagged(&[(0x8100, 0)]), None), [plain]);
}

#[test]
fn what_an_icmp_error_quotes_is_judged_and_stays_as_it_was() {
    let mut wire = Wire::new();
    wire.world.allow(2, 1, RF_TABLE_UDP);
    let (web, app) = (wire.world.web, wire.world.app);
    let asked = Packet::udp(app.v4, web.v4, (4000, 53)).payload(&[7; 32]);
    wire.app.send(&wire.world.bridged(&app, &web, asked.clone()), None);
    wire.web.received();
    let error = wire.packet(icmp_error(web.v4, app.v4, &asked.ip()));
    // The quoted source port, 20 bytes behind the ICMP header.
    wire.refused(&error, left(42, 20), Reason::ChecksumPlace);
}

#[test]
fn a_fragment_leaves_no_checksum_to_anybody() {
    let wire = Wire::new();
    let (web, app) = (wire.world.web, wire.world.app);
    for v6 in [false, true] {
        let udp = Packet::udp(web.ip(v6), app.ip(v6), (4000, 53)).payload(&[7; 64]).ip();
        let l4 = if v6 { 62 } else { 34 };
        for (start, end) in [(0, 32), (32, 64)] {
            let frame = framed(web.mac, app.mac, &part(&udp, 7, start, end, true));
            for left in [left(l4, 6), left(l4 + 8, 0), left(l4 + 16, 6)] {
                wire.refused(&frame, left, Reason::ChecksumPlace);
            }
        }
        let first = framed(web.mac, app.mac, &part(&udp, 7, 0, 32, true));
        assert_eq!(wire.send(&first, None), [first]);
    }
}

#[test]
fn a_checksum_behind_extension_headers_is_finished_in_its_own_place() {
    let wire = Wire::new();
    let (web, app) = (wire.world.web, wire.world.app);
    let udp = Packet::udp(web.v6, app.v6, (4000, 53)).payload(&[7; 64]).ip();
    let frame = framed(web.mac, app.mac, &extended(&udp, &[options(HOP_BY_HOP, 0), options(DESTINATION, 1)]));
    let arrived = wire.send(&frame, left(78, 6));
    let changed: Vec<usize> = (0..frame.len()).filter(|at| arrived[0][*at] != frame[*at]).collect();
    assert!(!changed.is_empty() && changed.iter().all(|at| [84, 85].contains(at)), "{changed:?}");
    // In the options, or where the header would be without them.
    for left in [left(54, 6), left(62, 6), left(70, 6)] {
        wire.refused(&frame, left, Reason::ChecksumPlace);
    }
}

#[test]
fn an_answer_about_extension_headers_and_an_unfinished_checksum_is_right() {
    let wire = Wire::new();
    let (web, app, maps) = (wire.world.web, wire.world.app, wire.world.datapath.maps());
    sh("ethtool -K web tx off >/dev/null");
    let mut iface = maps.ifaces.get(&app.index).unwrap().unwrap();
    iface.mtu = 1300;
    maps.ifaces.put(&app.index, &iface).unwrap();
    let udp = Packet::udp(web.v6, app.v6, (4000, 53)).payload(&[7; 1250]).ip();
    let chain = [options(DESTINATION, 9), options(DESTINATION, 3)];
    let frame = framed(web.mac, app.mac, &extended(&udp, &chain));
    wire.web.send(&frame, left(54 + 80 + 32, 6));
    let told = wire.web.received();
    let too_big = told.iter().find(|frame| frame[20] == 58 && frame[54] == 2).expect("an answer");
    assert_right(&too_big[14..]);
    assert_eq!(too_big[58..62], 1300u32.to_be_bytes());
}

#[test]
fn headers_that_the_kernel_keeps_apart_are_pulled_together() {
    let wire = Wire::new();
    let (web, app, maps) = (wire.world.web, wire.world.app, wire.world.datapath.maps());
    let mut iface = maps.ifaces.get(&app.index).unwrap().unwrap();
    iface.mtu = 9000;
    maps.ifaces.put(&app.index, &iface).unwrap();
    for guest in &wire.guests {
        guest.inside(|| sh("ip -o link show type veth | cut -d: -f2 | cut -d@ -f1 | xargs -I% ip link set % mtu 9000"));
    }
    sh("ip link set web mtu 9000; ip link set app mtu 9000");
    // Beyond a page a packet socket keeps no more than the Ethernet header in front.
    for v6 in [false, true] {
        let plain = Packet::udp(web.ip(v6), app.ip(v6), (4000, 53)).payload(&[7; 5000]).ip();
        let mut sent = vec![plain.clone(), part(&plain, 7, 0, 4800, true), part(&plain, 7, 4800, 5008, false)];
        if v6 {
            sent.push(extended(&plain, &[options(HOP_BY_HOP, 3), options(DESTINATION, 60)]));
        }
        for ip in sent {
            let frame = framed(web.mac, app.mac, &ip);
            let (arrived, moved) = wire.world.moved(|| wire.send(&frame, None));
            assert_eq!(arrived.len(), 1, "{moved:?}");
            let seen = arrived[0].len();
            assert_eq!(arrived[0], frame[..seen]);
        }
    }
}
