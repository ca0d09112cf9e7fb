//! Multicast and broadcast: to all members of a network that wants it, once each, and to nobody else.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ringfence_agent::bpf::consts::{RF_COPIES, RF_GROUP_MULTICAST, RF_HOST_NONE};
use ringfence_agent::bpf::{Action, Hook, Reason};

use crate::builder::{Mac, Packet};
use crate::far::{FarHost, Listener, STRANGER};
use crate::guest::Guest;
use crate::net::{ip, sh};
use crate::raw::RawSocket;
use crate::world::{BACK, FAR, FAR_V4, FRONT, Workload, World};

const FROM: Hook = Hook::FromWorkload;
const BROADCAST: Mac = [0xff; 6];

/// What arrived at a workload.
type Frames = Vec<Vec<u8>>;

/// The MAC that a group address has.
fn group_mac(group: IpAddr) -> Mac {
    match group {
        IpAddr::V4(v4) => {
            let [_, b, c, d] = v4.octets();
            [1, 0, 0x5e, b & 0x7f, c, d]
        }
        IpAddr::V6(v6) => {
            let last = v6.octets();
            [0x33, 0x33, last[12], last[13], last[14], last[15]]
        }
    }
}

/// To a group, with a TTL that no router would let pass.
fn to_group(from: &Workload, group: &str) -> Packet {
    let group = ip(group);
    let packet = Packet::udp(from.ip(group.is_ipv6()), group, (5353, 5353)).payload(b"who is there?");
    packet.ttl(1).macs(from.mac, group_mac(group))
}

fn broadcast(from: &Workload, to: &str) -> Packet {
    Packet::udp(from.v4, ip(to), (4000, 4000)).payload(b"hello all").macs(from.mac, BROADCAST)
}

/// web, app and, on the other host, db's neighbour are members of front; cache and db of back.
struct Net {
    far: FarHost,
    web: RawSocket,
    app: RawSocket,
    cache: RawSocket,
    there: Listener,
    _guests: Vec<Guest>,
}

impl Net {
    fn new() -> Self {
        let mut far = FarHost::new();
        let mut guests = Vec::new();
        let (web, app, cache) = (far.world.web, far.world.app, far.world.cache);
        let mut wire = |device: &str, workload: Workload| {
            let guest = Guest::workload(&mut far.world, device, &workload);
            let inner = format!("{device}-in");
            let socket = guest.inside(move || {
                // Its kernel is to say nothing of its own meanwhile.
                sh(&format!("ip addr flush dev {inner}; echo 1 >/proc/sys/net/ipv6/conf/{inner}/disable_ipv6"));
                RawSocket::on(&inner)
            });
            sh(&format!("echo 1 >/proc/sys/net/ipv6/conf/{device}/disable_ipv6"));
            guests.push(guest);
            socket
        };
        let sockets = (wire("web", web), wire("app", app), wire("cache", cache));
        far.world.group(FRONT, RF_GROUP_MULTICAST, &[1, 2], &[FAR]);
        far.world.group(BACK, RF_GROUP_MULTICAST, &[3], &[FAR]);
        let there = far.listen(FAR_V4);
        let net = Self { far, web: sockets.0, app: sockets.1, cache: sockets.2, there, _guests: guests };
        net.received();
        net
    }

    fn world(&self) -> &World {
        &self.far.world
    }

    /// What arrived at web, app, cache and the other host.
    fn received(&self) -> ([Frames; 3], Vec<(u32, Vec<u8>)>) {
        ([&self.web, &self.app, &self.cache].map(RawSocket::received), self.there.received())
    }
}

#[test]
fn without_the_networks_word_multicast_and_broadcast_are_dropped() {
    let world = World::new();
    let web = world.web;
    world.group(FRONT, 0, &[1, 2], &[FAR]);
    for group in ["224.0.0.251", "239.1.2.3", "ff02::fb"] {
        world.drops(FROM, web.ifindex, &to_group(&web, group).build(), Reason::Multicast);
    }
    for to in ["255.255.255.255", "10.1.0.255"] {
        world.drops(FROM, web.ifindex, &broadcast(&web, to).build(), Reason::Multicast);
    }
}

#[test]
fn every_other_member_gets_one_copy_as_it_was_sent_and_nobody_else_any() {
    let net = Net::new();
    let web = net.world().web;
    let groups = ["224.0.0.251", "239.1.2.3", "ff02::fb"].map(|group| to_group(&web, group));
    let broadcasts = ["255.255.255.255", "10.1.0.255"].map(|to| broadcast(&web, to));
    // A link-local source is an interface's own by its MAC.
    let link_local = Packet::udp(ip("fe80::ff:fe00:101"), ip("ff02::fb"), (5353, 5353));
    let link_local = link_local.macs(web.mac, group_mac(ip("ff02::fb")));
    for packet in groups.into_iter().chain(broadcasts).chain([link_local]) {
        let frame = packet.build();
        let (_, moved) = net.world().moved(|| net.web.send(&frame, None));
        let ([at_web, at_app, at_cache], there) = net.received();
        assert_eq!(at_app, vec![frame.clone()], "{}", packet.dst);
        assert_eq!(there, vec![(FRONT, frame)], "{}", packet.dst);
        assert_eq!((at_web, at_cache), (vec![], vec![]), "{}", packet.dst);
        assert_eq!(moved, BTreeMap::from([("1 from".to_owned(), 1), ("2 to".to_owned(), 1)]));
        assert_eq!(net.world().decision().action, Action::RF_ACTION_COPIES);
    }
    assert!(net.world().datapath.maps().conns4.entries().unwrap().is_empty());
    assert!(net.world().datapath.maps().conns6.entries().unwrap().is_empty());
}

#[test]
fn what_comes_from_another_host_goes_to_the_members_here_and_no_further() {
    let net = Net::new();
    let db = net.world().db;
    for group in ["239.1.2.3", "ff02::fb"] {
        let frame = to_group(&db, group).build();
        let (decision, moved) = net.world().moved(|| net.far.sends(FAR_V4, BACK, &frame));
        assert_eq!(decision.reason, 0);
        let ([at_web, at_app, at_cache], there) = net.received();
        assert_eq!(at_cache, vec![frame]);
        assert_eq!((at_web, at_app, there), (vec![], vec![], vec![]));
        assert_eq!(moved, BTreeMap::from([("100 from".to_owned(), 1), ("3 to".to_owned(), 1)]));
    }
    let link_local = Packet::udp(ip("fe80::ff:fe00:104"), ip("ff02::fb"), (5353, 5353));
    let frame = link_local.macs(db.mac, group_mac(ip("ff02::fb"))).build();
    assert_eq!(net.far.sends(FAR_V4, BACK, &frame).reason, 0);
    assert_eq!(net.cache.received(), vec![frame]);
}

#[test]
fn from_another_host_only_its_own_members_are_heard() {
    let far = FarHost::new();
    let (db, cache) = (far.world.db, far.world.cache);
    far.world.group(FRONT, RF_GROUP_MULTICAST, &[1, 2], &[FAR]);
    far.world.group(BACK, RF_GROUP_MULTICAST, &[3], &[FAR]);
    let frame = to_group(&db, "239.1.2.3").build();
    far.refused(STRANGER, BACK, &frame, Reason::OuterSource);
    far.refused(FAR_V4, FRONT, &frame, Reason::WrongVni);
    far.refused(FAR_V4, BACK, &to_group(&cache, "239.1.2.3").build(), Reason::OuterSource);
    let other_mac = to_group(&db, "239.1.2.3").macs(cache.mac, group_mac(ip("239.1.2.3")));
    far.refused(FAR_V4, BACK, &other_mac.build(), Reason::SourceMac);
    let link_local = |address: &str| Packet::udp(ip(address), ip("ff02::fb"), (1, 2));
    let own = link_local("fe80::ff:fe00:104").macs(db.mac, group_mac(ip("ff02::fb"))).build();
    far.refused(STRANGER, BACK, &own, Reason::OuterSource);
    let made_up = link_local("fe80::1").macs(db.mac, group_mac(ip("ff02::fb"))).build();
    far.refused(FAR_V4, BACK, &made_up, Reason::SourceAddress);
    assert_eq!(far.sends(FAR_V4, BACK, &frame).reason, 0);
    far.world.group(BACK, 0, &[3], &[FAR]);
    far.refused(FAR_V4, BACK, &frame, Reason::Multicast);
}

#[test]
fn a_member_speaks_to_a_group_as_itself_only() {
    let world = World::new();
    let (web, app) = (world.web, world.app);
    world.group(FRONT, RF_GROUP_MULTICAST, &[1, 2], &[]);
    let as_app = to_group(&app, "239.1.2.3").macs(web.mac, group_mac(ip("239.1.2.3")));
    world.drops(FROM, web.ifindex, &as_app.build(), Reason::SourceAddress);
    let with_mac = to_group(&web, "239.1.2.3").macs(app.mac, group_mac(ip("239.1.2.3")));
    world.drops(FROM, web.ifindex, &with_mac.build(), Reason::SourceMac);
    for source in ["fe80::ff:fe00:102", "fe80::1", "::", "fd00:1::99"] {
        let packet = Packet::udp(ip(source), ip("ff02::fb"), (1, 2)).macs(web.mac, group_mac(ip("ff02::fb")));
        world.drops(FROM, web.ifindex, &packet.build(), Reason::SourceAddress);
    }
}

/// A receiver may take a packet for its own address out of a frame for all: past policy.
#[test]
fn an_address_of_one_receiver_never_travels_in_a_frame_for_all() {
    let world = World::new();
    let (web, app, db) = (world.web, world.app, world.db);
    world.group(FRONT, RF_GROUP_MULTICAST, &[1, 2], &[]);
    // Of a member, of another network, on-link and nobody's, another subnet's broadcast, the gateway's.
    for to in [app.v4, db.v4, ip("10.1.0.77"), ip("10.2.0.255"), ip("10.1.0.1")] {
        for mac in [BROADCAST, group_mac(ip("239.1.2.3"))] {
            let packet = Packet::udp(web.v4, to, (1, 2)).macs(web.mac, mac);
            world.drops(FROM, web.ifindex, &packet.build(), Reason::DestinationMac);
        }
    }
    let packet = Packet::udp(web.v6, app.v6, (1, 2)).macs(web.mac, group_mac(app.v6));
    world.drops(FROM, web.ifindex, &packet.build(), Reason::DestinationMac);
    for (group, mac) in [("239.1.2.3", app.mac), ("239.1.2.3", BROADCAST), ("ff02::fb", app.mac), ("ff01::1", [0; 6])] {
        let mac = if mac == [0; 6] { group_mac(ip(group)) } else { mac };
        let packet = to_group(&web, group).macs(web.mac, mac);
        world.drops(FROM, web.ifindex, &packet.build(), Reason::DestinationMac);
    }
}

#[test]
fn fragments_are_not_copied() {
    let world = World::new();
    let web = world.web;
    world.group(FRONT, RF_GROUP_MULTICAST, &[1, 2], &[]);
    // More fragments; offset 800, the last one.
    for part in [[0x20, 0], [0, 100]] {
        let mut frame = to_group(&web, "239.1.2.3").length(100).build();
        frame[20..22].copy_from_slice(&part);
        world.drops(FROM, web.ifindex, &frame, Reason::Fragment);
    }
}

#[test]
fn what_is_too_long_for_the_network_is_dropped_and_nobody_is_told() {
    let world = World::new();
    let web = world.web;
    world.group(FRONT, RF_GROUP_MULTICAST, &[1, 2], &[]);
    for group in ["239.1.2.3", "ff02::fb"] {
        world.drops(FROM, web.ifindex, &to_group(&web, group).length(1451).build(), Reason::TooBig);
        let output = world.run(FROM, web.ifindex, &to_group(&web, group).length(1450).build());
        assert_eq!((output.action, world.decision().reason), (2, 0));
    }
}

#[test]
fn beyond_the_bound_nothing_is_copied() {
    let mut world = World::new();
    let (web, app) = (world.web, world.app);
    world.datapath.attach(Hook::ToWorkload, app.ifindex).unwrap();
    sh("ip link set dev app up; ip link set dev app-in up");
    let frame = to_group(&web, "239.1.2.3").build();
    let app_got = || world.datapath.maps().passed.get(&2).unwrap().unwrap().to;
    for index in 100..100 + RF_COPIES {
        let silent = Workload { index, ifindex: 0, v4: ip("10.1.1.1"), v6: ip("fd00:1::1:1"), ..world.app };
        world.put_workload(1, 71, &silent);
    }
    let others: Vec<u32> = (100..100 + RF_COPIES).collect();
    let members = |count: usize| [&[1, 2], &others[..count - 1]].concat();
    world.group(FRONT, RF_GROUP_MULTICAST, &members(RF_COPIES as usize), &[]);
    world.run(FROM, web.ifindex, &frame);
    assert_eq!((world.decision().reason, app_got()), (0, 1));
    // One member more, or one host.
    world.group(FRONT, RF_GROUP_MULTICAST, &members(RF_COPIES as usize + 1), &[]);
    world.drops(FROM, web.ifindex, &frame, Reason::ReplicationBound);
    world.group(FRONT, RF_GROUP_MULTICAST, &members(RF_COPIES as usize), &[FAR]);
    world.drops(FROM, web.ifindex, &frame, Reason::ReplicationBound);
    assert_eq!(app_got(), 1);
}

#[test]
fn a_copy_that_cannot_leave_is_a_drop_of_its_own() {
    let world = World::new();
    let web = world.web;
    world.group(FRONT, RF_GROUP_MULTICAST, &[1, 2], &[RF_HOST_NONE]);
    sh("ip link set dev app up; ip link set dev app-in up");
    let frame = to_group(&web, "239.1.2.3").build();
    let (_, moved) = world.moved(|| world.run(FROM, web.ifindex, &frame));
    let expected = [("1 from".to_owned(), 1), (format!("device {} no_host", web.ifindex), 1)];
    assert_eq!(moved, BTreeMap::from(expected));
}

#[test]
fn a_dhcp_server_on_another_host_is_heard_only_if_it_has_no_port_security() {
    let far = FarHost::new();
    let db = far.world.db;
    far.world.group(BACK, RF_GROUP_MULTICAST, &[3], &[FAR]);
    let offer = Packet::udp(db.v4, ip("255.255.255.255"), (67, 68)).macs(db.mac, BROADCAST).build();
    far.refused(FAR_V4, BACK, &offer, Reason::DhcpServer);
    let link_local = Packet::udp(ip("fe80::ff:fe00:104"), ip("ff02::1"), (547, 546));
    far.refused(FAR_V4, BACK, &link_local.macs(db.mac, group_mac(ip("ff02::1"))).build(), Reason::DhcpServer);
    far.world.without_port_security(&db);
    assert_eq!(far.sends(FAR_V4, BACK, &offer).reason, 0);
}

#[test]
fn a_router_without_port_security_is_heard_on_its_own_host_alone() {
    let net = Net::new();
    let web = net.world().web;
    net.world().without_port_security(&web);
    let advertisement = Packet::icmp(ip("fe80::ff:fe00:101"), ip("ff02::1"), (134, 0), [0; 4]);
    let frame = advertisement.payload(&[0; 8]).ttl(255).macs(web.mac, group_mac(ip("ff02::1"))).build();
    net.web.send(&frame, None);
    assert_eq!(net.received(), ([vec![], vec![frame], vec![]], vec![]));
}

/// RFC 3590: who has no address yet, or one of its own making, reports the groups that it listens to.
#[test]
fn listeners_report_from_any_link_local_address_and_from_none() {
    let far = FarHost::new();
    let (web, db) = (far.world.web, far.world.db);
    far.world.group(FRONT, RF_GROUP_MULTICAST, &[1, 2], &[]);
    far.world.group(BACK, RF_GROUP_MULTICAST, &[3], &[FAR]);
    let says = |from: &Workload, source: &str, kind| {
        let packet = Packet::icmp(ip(source), ip("ff02::16"), (kind, 0), [0; 4]).ttl(1);
        packet.macs(from.mac, group_mac(ip("ff02::16"))).build()
    };
    for source in ["::", "fe80::1234"] {
        let output = far.world.run(FROM, web.ifindex, &says(&web, source, 143));
        let decision = far.world.decision();
        assert_eq!((output.action, decision.reason, decision.action), (2, 0, Action::RF_ACTION_COPIES), "{source}");
        assert_eq!(far.sends(FAR_V4, BACK, &says(&db, source, 143)).reason, 0);
        far.refused(STRANGER, BACK, &says(&db, source, 143), Reason::OuterSource);
        // A query is a router's.
        far.world.drops(FROM, web.ifindex, &says(&web, source, 130), Reason::SourceAddress);
    }
}

#[test]
fn what_leaves_by_the_overlay_bears_no_mark_of_the_copies_here() {
    let world = World::new();
    let web = world.web;
    sh("ip link set dev app up; ip link set dev app-in up");
    world.group(FRONT, RF_GROUP_MULTICAST, &[1, 2], &[FAR]);
    assert_eq!(world.run(FROM, web.ifindex, &to_group(&web, "239.1.2.3").build()).mark, 0);
}

#[test]
fn a_group_that_lost_its_members_is_within_the_bound() {
    let world = World::new();
    let web = world.web;
    world.group(FRONT, RF_GROUP_MULTICAST, &[], &[]);
    world.run(FROM, web.ifindex, &to_group(&web, "239.1.2.3").build());
    let decision = world.decision();
    assert_eq!((decision.reason, decision.action), (0, Action::RF_ACTION_COPIES));
}
