//! To and from other hosts, by real VXLAN: a test run has no tunnel key.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::thread::sleep;
use std::time::Duration;

use ringfence_agent::bpf::consts::{RF_IFACE_BARE_METAL, RF_TABLE_UDP};
use ringfence_agent::bpf::{Action, Decision, Hook, Iface, Pod, Reason};

use crate::builder::{Packet, arp, ethernet};
use crate::guest::Guest;
use crate::net::{ip, sh};
use crate::world::{BACK, DOMAIN, FAR, FAR_V4, FAR_V6, FRONT, GATEWAY_MAC, OUTSIDE, TRANSIT, World};

/// A machine that is no host of ours, on the same underlay.
const STRANGER: &str = "198.51.100.3";
const VXLAN_PORT: u16 = 4789;

/// The other host: a namespace with sockets in the place of its kernel's VXLAN.
struct FarHost {
    world: World,
    guest: Guest,
}

impl FarHost {
    fn new() -> Self {
        let mut world = World::new();
        for (from, to) in [(4, 1), (1, 4), (9, 1), (1, 9), (4, 9), (4, 3)] {
            world.allow(from, to, RF_TABLE_UDP);
        }
        sh("ip link add under type veth peer name under-in");
        let guest = Guest::with_device("under-in");
        sh("ip addr add 198.51.100.1/24 dev under; ip addr add 2001:db8:f::1/64 dev under nodad; \
            ip link set dev under up");
        guest.inside(|| {
            sh("ip addr add 198.51.100.2/24 dev under-in; ip addr add 198.51.100.3/24 dev under-in; \
                ip addr add 2001:db8:f::2/64 dev under-in nodad; ip link set dev under-in up");
        });
        let overlay = world.overlay;
        world.datapath.attach(Hook::FromOverlay, overlay).unwrap();
        Self { world, guest }
    }

    /// What the host decided about a frame that came in by VXLAN from `outer`.
    fn sends(&self, outer: &str, vni: u32, frame: &[u8]) -> Decision {
        let outer = ip(outer);
        let here = ip(if outer.is_ipv4() { "198.51.100.1" } else { "2001:db8:f::1" });
        let mut datagram = vec![8, 0, 0, 0];
        datagram.extend((vni << 8).to_be_bytes());
        datagram.extend(frame);
        let decisions = || self.world.datapath.maps().decisions.get(&0).unwrap().unwrap_or_else(Decision::zeroed);
        let before = decisions().count;
        self.guest.inside(move || {
            let socket = UdpSocket::bind(SocketAddr::new(outer, 0)).unwrap();
            socket.send_to(&datagram, SocketAddr::new(here, VXLAN_PORT)).unwrap();
        });
        for _ in 0..200 {
            let decision = decisions();
            if decision.count != before {
                return decision;
            }
            sleep(Duration::from_millis(10));
        }
        panic!("nothing came in");
    }

    #[track_caller]
    fn refused(&self, outer: &str, vni: u32, frame: &[u8], reason: Reason) {
        let (decision, moved) = self.world.moved(|| self.sends(outer, vni, frame));
        assert_eq!(Reason::from_number(decision.reason), Some(reason));
        let expected = format!("device {} {}", self.world.overlay, reason.name());
        assert_eq!(moved, [(expected, 1)].into());
    }

    /// From db, routed by its host, to web.
    fn to_web(&self, v6: bool) -> Packet {
        let world = &self.world;
        let packet = Packet::udp(world.db.ip(v6), world.web.ip(v6), (4000, 53));
        packet.macs(GATEWAY_MAC, world.web.mac)
    }
}

#[test]
fn a_frame_from_the_senders_host_is_delivered_over_both_underlays() {
    let far = FarHost::new();
    for (outer, v6) in [(FAR_V4, false), (FAR_V4, true), (FAR_V6, false), (FAR_V6, true)] {
        let decision = far.sends(outer, FRONT, &far.to_web(v6).build());
        assert_eq!(Reason::from_number(decision.reason), None);
        assert_eq!((decision.action, decision.ifindex), (Action::RF_ACTION_LOCAL, far.world.web.ifindex));
    }
}

#[test]
fn a_frame_from_another_host_is_refused_also_for_a_known_flow() {
    let far = FarHost::new();
    let frame = far.to_web(false).build();
    far.refused(STRANGER, FRONT, &frame, Reason::OuterSource);
    far.sends(FAR_V4, FRONT, &frame);
    far.refused(STRANGER, FRONT, &frame, Reason::OuterSource);
    assert_eq!(far.sends(FAR_V4, FRONT, &frame).reason, 0);
}

#[test]
fn sources_of_this_host_and_of_nobody_are_refused() {
    let far = FarHost::new();
    let world = &far.world;
    for source in [world.app.v4, world.cache.v4, ip("10.1.0.1"), ip("10.2.0.99"), ip(OUTSIDE)] {
        let packet = Packet::udp(source, world.web.v4, (4000, 53));
        far.refused(FAR_V4, FRONT, &packet.macs(GATEWAY_MAC, world.web.mac).build(), Reason::OuterSource);
    }
    // Outside comes from the uplink's host, once that is the other one.
    world.uplink_at(FAR);
    let packet = Packet::udp(ip(OUTSIDE), world.web.v4, (4000, 53));
    let frame = packet.macs(GATEWAY_MAC, world.web.mac).build();
    assert_eq!(far.sends(FAR_V4, FRONT, &frame).reason, 0);
    far.refused(STRANGER, FRONT, &frame, Reason::OuterSource);
}

/// A machine is reached by the domain's uplink, so its packets come by the overlay from there, and from nowhere else: least
/// of all from the host that the machine is.
#[test]
fn a_bare_metal_machine_comes_only_from_the_uplinks_host() {
    let far = FarHost::new();
    let maps = far.world.datapath.maps();
    let iface = maps.ifaces.get(&far.world.db.index).unwrap().unwrap();
    maps.ifaces.put(&far.world.db.index, &Iface { flags: RF_IFACE_BARE_METAL, ..iface }).unwrap();
    let frame = far.to_web(false).macs(GATEWAY_MAC, far.world.web.mac).build();
    far.refused(FAR_V4, FRONT, &frame, Reason::OuterSource);
    far.world.uplink_at(FAR);
    let decision = far.sends(FAR_V4, FRONT, &frame);
    assert_eq!((decision.reason, decision.ifindex), (0, far.world.web.ifindex));
}

#[test]
fn the_vni_is_known_and_the_destinations() {
    let far = FarHost::new();
    let frame = far.to_web(false).build();
    far.refused(FAR_V4, 4_000_000, &frame, Reason::UnknownVni);
    far.refused(FAR_V4, BACK, &frame, Reason::WrongVni);
    far.refused(FAR_V4, TRANSIT, &frame, Reason::WrongVni);
}

#[test]
fn the_transit_network_leads_to_the_uplink_and_nowhere_else() {
    let far = FarHost::new();
    let world = &far.world;
    let packet = Packet::udp(world.db.v4, ip(OUTSIDE), (4000, 53)).macs(GATEWAY_MAC, GATEWAY_MAC);
    let decision = far.sends(FAR_V4, TRANSIT, &packet.build());
    assert_eq!((decision.action, decision.ifindex), (Action::RF_ACTION_UPLINK, world.uplink));
    far.refused(FAR_V4, BACK, &packet.build(), Reason::WrongVni);
}

#[test]
fn frames_that_no_host_of_ours_sends_are_refused() {
    let far = FarHost::new();
    let world = &far.world;
    let wrong_mac = far.to_web(false).macs(GATEWAY_MAC, world.app.mac).build();
    far.refused(FAR_V4, FRONT, &wrong_mac, Reason::DestinationMac);
    let question = arp(1, (world.db.mac, [10, 2, 0, 14]), ([0; 6], [10, 1, 0, 11]));
    let frame = ethernet([0xff; 6], world.db.mac, 0x0806, &question);
    far.refused(FAR_V4, FRONT, &frame, Reason::UnansweredNeighbour);
    let group = Packet::udp(world.db.v4, ip("224.0.0.9"), (1, 2)).macs(GATEWAY_MAC, [1, 0, 0x5e, 0, 0, 9]);
    far.refused(FAR_V4, FRONT, &group.build(), Reason::Multicast);
    assert!(world.datapath.maps().domains.get(&DOMAIN).unwrap().is_some());
}

/// What arrives at the other host when web sends one datagram to `target`.
fn received(far: &mut FarHost, web: &Guest, listen: &str, target: IpAddr) -> (SocketAddr, Vec<u8>) {
    let listen = SocketAddr::new(ip(listen), VXLAN_PORT);
    let socket = far.guest.inside(move || UdpSocket::bind(listen).unwrap());
    socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    web.inside(move || {
        let any = if target.is_ipv4() { "0.0.0.0:4000" } else { "[::]:4000" };
        UdpSocket::bind(any).unwrap().send_to(b"hello", SocketAddr::new(target, 53)).unwrap()
    });
    let mut datagram = vec![0; 2000];
    let (length, from) = socket.recv_from(&mut datagram).unwrap();
    datagram.truncate(length);
    (from, datagram)
}

#[test]
fn a_packet_to_another_host_bears_its_vni_and_its_final_macs() {
    let mut far = FarHost::new();
    let workload = far.world.web;
    let web = Guest::workload(&mut far.world, "web", &workload);
    for (underlay, flags, here) in
        [(FAR_V4, 0, "198.51.100.1"), (FAR_V6, ringfence_agent::bpf::consts::RF_HOST_V6, "2001:db8:f::1")]
    {
        let maps = far.world.datapath.maps();
        let mut host = maps.hosts.get(&FAR).unwrap().unwrap();
        host.flags = flags;
        maps.hosts.put(&FAR, &host).unwrap();
        for v6 in [false, true] {
            let (src, dst) = (workload.ip(v6), far.world.db.ip(v6));
            let (from, datagram) = received(&mut far, &web, underlay, dst);
            assert_eq!(from.ip(), ip(here));
            assert_eq!(datagram[..4], [8, 0, 0, 0]);
            assert_eq!(datagram[4..8], (BACK << 8).to_be_bytes());
            let inner = &datagram[8..];
            assert_eq!((&inner[..6], &inner[6..12]), (&far.world.db.mac[..], &GATEWAY_MAC[..]));
            let ttl = if v6 { inner[14 + 7] } else { inner[14 + 8] };
            assert_eq!(ttl, 63);
            assert!(inner.ends_with(b"hello"), "{src} to {dst}");
        }
    }
}
