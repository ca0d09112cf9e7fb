//! Addresses that several interfaces share: who announces one holds it, on every host, until another does.

use std::net::IpAddr;

use ringfence_agent::bpf::consts::{RF_HOST_HERE, RF_IFACE_SHARED, RF_TABLE_UDP};
use ringfence_agent::bpf::{Action, Claim, Claims, Decision, Hook, Ip, Pod, Reason, Shared, Subnet, SubnetKey, bucket};

use crate::builder::{Mac, Packet, arp, ethernet};
use crate::far::{FarHost, Listener, STRANGER};
use crate::guest::Guest;
use crate::net::{ip, sh};
use crate::raw::RawSocket;
use crate::world::{DOMAIN_ID, FAR, FAR_V4, FRONT, Workload, World, addr_key};

const FROM: Hook = Hook::FromWorkload;
const NOBODY: Mac = [0; 6];
const BROADCAST: Mac = [0xff; 6];
/// VRRP's for group 9 (RFC 9568 7.3).
const VIRTUAL: Mac = [0, 0, 0x5e, 0, 1, 9];
const CLASS: u32 = 7;

/// What arrived at a workload.
type Frames = Vec<Vec<u8>>;

fn shared(v6: bool) -> IpAddr {
    ip(if v6 { "fd00:1::50" } else { "10.1.0.50" })
}

fn v4(address: IpAddr) -> [u8; 4] {
    match address {
        IpAddr::V4(v4) => v4.octets(),
        IpAddr::V6(_) => panic!("{address} is not IPv4"),
    }
}

fn v6(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V6(v6) => v6.octets(),
        IpAddr::V4(_) => panic!("{address} is not IPv6"),
    }
}

/// As RFC 5227 3 and RFC 4861 7.2.6 have it, and as every member gets it, whatever form it was made in.
fn announcement(mac: Mac, is_v6: bool) -> Vec<u8> {
    let address = shared(is_v6);
    if !is_v6 {
        return ethernet(BROADCAST, mac, 0x0806, &arp(1, (mac, v4(address)), (NOBODY, v4(address))));
    }
    Packet::icmp(address, ip("ff02::1"), (136, 0), [0x20, 0, 0, 0])
        .payload(&v6(address))
        .payload(&[2, 1])
        .payload(&mac)
        .ttl(255)
        .macs(mac, [0x33, 0x33, 0, 0, 0, 1])
        .build()
}

fn question(from: &Workload, is_v6: bool) -> Vec<u8> {
    let address = shared(is_v6);
    if !is_v6 {
        return ethernet(BROADCAST, from.mac, 0x0806, &arp(1, (from.mac, v4(from.v4)), (NOBODY, v4(address))));
    }
    Packet::icmp(from.v6, ip("ff02::1:ff00:50"), (135, 0), [0; 4])
        .payload(&v6(address))
        .payload(&[1, 1])
        .payload(&from.mac)
        .ttl(255)
        .macs(from.mac, [0x33, 0x33, 0xff, 0, 0, 0x50])
        .build()
}

fn answer(from: &Workload, to: &Workload, is_v6: bool) -> Vec<u8> {
    let address = shared(is_v6);
    if !is_v6 {
        return ethernet(to.mac, from.mac, 0x0806, &arp(2, (from.mac, v4(address)), (to.mac, v4(to.v4))));
    }
    Packet::icmp(address, to.v6, (136, 0), [0x60, 0, 0, 0])
        .payload(&v6(address))
        .payload(&[2, 1])
        .payload(&from.mac)
        .ttl(255)
        .macs(from.mac, to.mac)
        .build()
}

/// app, here, and spare, on the other host, share an address in front; web may ask it.
struct Net {
    far: FarHost,
    spare: Workload,
    web: RawSocket,
    app: RawSocket,
    there: Listener,
    _guests: Vec<Guest>,
}

impl Net {
    fn new() -> Self {
        let mut far = FarHost::new();
        let (web, app) = (far.world.web, far.world.app);
        let spare = Workload {
            index: 5,
            ifindex: 0,
            mac: [2, 0, 0, 0, 1, 5],
            v4: ip("10.1.0.15"),
            v6: ip("fd00:1::15"),
            host: FAR,
            ..app
        };
        far.world.put_workload(1, DOMAIN_ID, &spare);
        far.world.allow(1, CLASS, RF_TABLE_UDP);
        far.world.group(FRONT, 0, &[1, 2], &[FAR]);
        for (address, bits) in [(shared(false), 32), (shared(true), 128)] {
            let text = address.to_string();
            far.world.classed(&text, bits, CLASS);
            share(&far.world, address, &[&app, &spare]);
        }
        let mut guests = Vec::new();
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
        let sockets = (wire("web", web), wire("app", app));
        let there = far.listen(FAR_V4);
        let net = Self { far, spare, web: sockets.0, app: sockets.1, there, _guests: guests };
        net.received();
        net
    }

    fn world(&self) -> &World {
        &self.far.world
    }

    /// What arrived at web, app and the other host.
    fn received(&self) -> (Frames, Frames, Vec<(u32, Vec<u8>)>) {
        (self.web.received(), self.app.received(), self.there.received())
    }

    fn holder(&self, v6: bool) -> Option<(u32, Mac)> {
        let held: Option<Shared> = self.world().datapath.maps().shared.get(&addr_key(DOMAIN_ID, shared(v6))).unwrap();
        held.map(|held| (held.iface_id, held.mac))
    }

    fn epoch(&self, v6: bool) -> u64 {
        self.world().datapath.maps().epochs.load(bucket(DOMAIN_ID, &Ip::from(shared(v6)))).unwrap()
    }

    /// What becomes of what web asks the shared address, in a frame for `mac`.
    fn asks(&self, mac: Mac, v6: bool) -> Decision {
        let web = self.world().web;
        let packet = Packet::udp(web.ip(v6), shared(v6), (4000, 53)).macs(web.mac, mac);
        self.world().run(FROM, web.ifindex, &packet.build());
        self.world().decision()
    }
}

/// Lets these hold an address.
fn share(world: &World, address: IpAddr, claimants: &[&Workload]) {
    let maps = world.datapath.maps();
    let key = SubnetKey { prefixlen: 32 + 128, domain_id: DOMAIN_ID, ip: address.into() };
    maps.subnets.put(&key, &Subnet { vni: FRONT, iface: RF_IFACE_SHARED, bits: 128, ..Subnet::zeroed() }).unwrap();
    let mut claims = Claims { vni: FRONT, ..Claims::zeroed() };
    for (place, workload) in claims.of.iter_mut().zip(claimants) {
        *place = Claim { iface: workload.index, mac: VIRTUAL, ..Claim::zeroed() };
    }
    maps.claims.put(&addr_key(DOMAIN_ID, address), &claims).unwrap();
}

fn reason(decision: &Decision) -> Option<Reason> {
    Reason::from_number(decision.reason)
}

#[test]
fn who_announces_an_address_holds_it_and_every_member_hears() {
    let net = Net::new();
    let app = net.world().app;
    for v6 in [false, true] {
        assert_eq!(reason(&net.asks(app.mac, v6)), Some(Reason::SharedAddress));
        // Its own MAC or its pair's; gratuitous, or as an answer to nobody. No verdict depends on the MAC.
        for (mac, frame, moved) in [
            (app.mac, announcement(app.mac, v6), 1),
            (VIRTUAL, announcement(VIRTUAL, v6), 0),
            (app.mac, answer(&app, &app, v6), 0),
        ] {
            let (epoch, frame) = (net.epoch(v6), [frame, vec![0x5a; 9]].concat());
            net.app.send(&frame, None);
            let (at_web, at_app, there) = net.received();
            let heard = announcement(mac, v6);
            assert_eq!((at_web, at_app, there), (vec![heard.clone()], vec![], vec![(FRONT, heard)]), "IPv6: {v6}");
            assert_eq!(net.holder(v6), Some((1002, mac)));
            assert_eq!(net.epoch(v6), epoch + moved);
            let decision = net.asks(mac, v6);
            assert_eq!((reason(&decision), decision.ifindex), (None, app.ifindex));
        }
        // Said again, it changes nothing.
        let epoch = net.epoch(v6);
        net.app.send(&announcement(app.mac, v6), None);
        net.received();
        assert_eq!(net.epoch(v6), epoch);
    }
}

#[test]
fn the_program_answers_with_the_mac_that_the_holder_announced() {
    let net = Net::new();
    let (world, web, app) = (net.world(), net.world().web, net.world().app);
    net.app.send(&announcement(VIRTUAL, false), None);
    net.received();
    let (output, decision) = world.passes(FROM, web.ifindex, &question(&web, false));
    assert_eq!(decision.action, Action::RF_ACTION_ANSWER);
    let from_virtual = Workload { mac: VIRTUAL, ..app };
    assert_eq!(output.packet, answer(&from_virtual, &web, false));
}

#[test]
fn another_hosts_claimant_takes_over_and_flows_follow() {
    let net = Net::new();
    let (world, web, app, spare) = (net.world(), net.world().web, net.world().app, net.spare);
    for v6 in [false, true] {
        net.app.send(&announcement(app.mac, v6), None);
        net.received();
        assert_eq!(net.asks(app.mac, v6).action, Action::RF_ACTION_LOCAL);
        let decision = net.far.sends(FAR_V4, FRONT, &announcement(spare.mac, v6));
        assert_eq!(reason(&decision), None);
        let (at_web, at_app, there) = net.received();
        let heard = vec![announcement(spare.mac, v6)];
        assert_eq!((at_web, at_app, there), (heard.clone(), heard, vec![]));
        // The flow there was is judged again, and goes to the other host.
        let decision = net.asks(spare.mac, v6);
        assert_eq!((reason(&decision), decision.action, decision.remote_host), (None, Action::RF_ACTION_OVERLAY, FAR));
        assert_eq!(reason(&net.asks(app.mac, v6)), Some(Reason::DestinationMac));
        // Who had it says no more in its name.
        let late = Packet::udp(shared(v6), web.ip(v6), (53, 4000)).macs(app.mac, web.mac).build();
        world.drops(FROM, app.ifindex, &late, Reason::SharedAddress);
        let back = Packet::udp(shared(v6), web.ip(v6), (53, 4000)).macs(spare.mac, web.mac).build();
        assert_eq!(reason(&net.far.sends(FAR_V4, FRONT, &back)), None);
        net.received();
    }
}

#[test]
fn nobody_else_moves_a_shared_address() {
    let net = Net::new();
    let (world, web, app, spare) = (net.world(), net.world().web, net.world().app, net.spare);
    for v6 in [false, true] {
        net.app.send(&announcement(app.mac, v6), None);
        net.received();
        for mac in [web.mac, app.mac, VIRTUAL] {
            let frame = announcement(mac, v6);
            world.drops(FROM, web.ifindex, &frame, Reason::ArpSender);
        }
        world.drops(FROM, app.ifindex, &announcement(spare.mac, v6), Reason::ArpSender);
        for (outer, mac) in [(STRANGER, spare.mac), (FAR_V4, app.mac), (FAR_V4, web.mac)] {
            net.far.refused(outer, FRONT, &announcement(mac, v6), Reason::OuterSource);
        }
        assert_eq!(net.holder(v6), Some((1002, app.mac)));
    }
}

#[test]
fn a_question_for_an_address_that_nobody_is_known_to_hold_goes_to_those_who_may() {
    let net = Net::new();
    let (world, web, app, spare) = (net.world(), net.world().web, net.world().app, net.spare);
    for v6 in [false, true] {
        net.web.send(&[question(&web, v6), vec![0x5a; 9]].concat(), None);
        let asked = question(&web, v6);
        assert_eq!(net.received(), (vec![], vec![asked.clone()], vec![(FRONT, asked)]), "IPv6: {v6}");
        // From the other host to the claimant here, and no further.
        assert_eq!(reason(&net.far.sends(FAR_V4, FRONT, &question(&spare, v6))), None);
        assert_eq!(net.received(), (vec![], vec![question(&spare, v6)], vec![]));
        net.far.refused(STRANGER, FRONT, &question(&spare, v6), Reason::OuterSource);
        net.far.refused(FAR_V4, FRONT, &question(&web, v6), Reason::OuterSource);
        // What answers is an announcement.
        net.app.send(&answer(&app, &web, v6), None);
        let heard = announcement(app.mac, v6);
        assert_eq!(net.received(), (vec![heard.clone()], vec![], vec![(FRONT, heard)]));
        let (_, decision) = world.passes(FROM, web.ifindex, &question(&web, v6));
        assert_eq!(decision.action, Action::RF_ACTION_ANSWER);
    }
}

#[test]
fn who_may_take_an_address_is_not_told_that_it_is_taken() {
    let net = Net::new();
    let (world, web, app, spare) = (net.world(), net.world().web, net.world().app, net.spare);
    assert_eq!(app.host, RF_HOST_HERE);
    assert_eq!(reason(&net.far.sends(FAR_V4, FRONT, &announcement(spare.mac, false))), None);
    let probe = |from: &Workload| {
        ethernet(BROADCAST, from.mac, 0x0806, &arp(1, (from.mac, [0; 4]), (NOBODY, v4(shared(false)))))
    };
    world.drops(FROM, app.ifindex, &probe(&app), Reason::UnansweredNeighbour);
    let (_, decision) = world.passes(FROM, web.ifindex, &probe(&web));
    assert_eq!(decision.action, Action::RF_ACTION_ANSWER);
}

#[test]
fn who_announces_without_end_is_heard_a_few_times_a_second_and_has_nothing_judged_again() {
    let net = Net::new();
    let (world, app) = (net.world(), net.world().app);
    // Many, since the machine may pause for a second in between.
    let until_refused = |macs: [Mac; 2]| {
        (0..1000).find_map(|n| {
            world.run(FROM, app.ifindex, &announcement(macs[n % 2], false));
            let reason = reason(&world.decision());
            reason.map(|reason| (reason, n))
        })
    };
    world.run(FROM, app.ifindex, &announcement(app.mac, false));
    let epoch = net.epoch(false);
    let (why, _) = until_refused([app.mac; 2]).unwrap();
    assert_eq!(why, Reason::AnnouncementRate);
    let (why, heard) = until_refused([VIRTUAL, app.mac]).unwrap();
    assert_eq!(why, Reason::AnnouncementRate);
    assert!(heard >= 1, "some takeovers are no flood");
    let held = net.holder(false);
    let frame = announcement(if held == Some((1002, VIRTUAL)) { app.mac } else { VIRTUAL }, false);
    if reason(&{
        world.run(FROM, app.ifindex, &frame);
        world.decision()
    })
    .is_some()
    {
        assert_eq!(net.holder(false), held, "what is refused is not learnt");
    }
    assert_eq!(net.epoch(false), epoch);
}

#[test]
fn who_holds_an_address_on_another_host_may_ask_from_it() {
    let net = Net::new();
    let (world, app, spare) = (net.world(), net.world().app, net.spare);
    let second = ip("10.1.0.51");
    share(world, second, &[&app, &spare]);
    assert_eq!(reason(&net.far.sends(FAR_V4, FRONT, &announcement(spare.mac, false))), None);
    net.received();
    let own = (spare.mac, v4(shared(false)));
    let asks = ethernet(BROADCAST, spare.mac, 0x0806, &arp(1, own, (NOBODY, v4(second))));
    assert_eq!(reason(&net.far.sends(FAR_V4, FRONT, &asks)), None);
    assert_eq!(net.received(), (vec![], vec![asks.clone()], vec![]));
    net.far.refused(STRANGER, FRONT, &asks, Reason::SharedAddress);
    let other = ethernet(BROADCAST, VIRTUAL, 0x0806, &arp(1, (VIRTUAL, own.1), (NOBODY, v4(second))));
    net.far.refused(FAR_V4, FRONT, &other, Reason::OuterSource);
}
