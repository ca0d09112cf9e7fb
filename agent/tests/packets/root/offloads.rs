//! What a guest leaves to the devices behind it must not change what was judged. On real devices,
//! since a test run has neither a tag beside the frame nor an unfinished checksum.

use std::collections::BTreeMap;

use ringfence_agent::bpf::Reason;
use ringfence_agent::bpf::consts::{RF_TABLE_OTHER, RF_TABLE_TCP, RF_TABLE_UDP};

use crate::builder::{Packet, SYN, arp, ethernet, icmp_error};
use crate::guest::Guest;
use crate::net::sh;
use crate::raw::{LeftChecksum, RawSocket};
use crate::world::World;

/// web may send to app, whose device finishes checksums as a physical one without the offload does.
struct Wire {
    world: World,
    web: RawSocket,
    app: RawSocket,
    _guests: [Guest; 2],
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
            _guests: [web, app],
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
