//! A machine's NIC: built-in rules first, then policy for the machine's own addresses, and nothing else.

use ringfence_agent::bpf::consts::{
    RF_BUILTIN_CONTROLLER, RF_BUILTIN_SSH, RF_BUILTIN_UNDERLAY, RF_CLASS_HOST, RF_CONNS, RF_HOST_HERE,
    RF_IFACE_BARE_METAL, RF_TABLE_TCP, RF_TABLE_UDP,
};
use ringfence_agent::bpf::{
    Action, BuiltinKey, Conn, Conn4Key, Decision, Device, DeviceKind, Hook, Iface, Pod, Reason,
};

use crate::builder::{ACK, Mac, Packet, RST, SYN, arp, ethernet, icmp_error};
use crate::net::{ifindex, ip, sh};
use crate::world::{DOMAIN, DOMAIN_ID, FAR, FAR_V4, NEXT_HOP_MAC, OUTSIDE, UPLINK_MAC, Workload, World};

const OUT: Hook = Hook::FromHost;
const IN: Hook = Hook::ToHost;
/// Of this machine's NIC, and of the router on its network.
const NIC_MAC: Mac = [0x02, 0xee, 0, 0, 0, 0x55];
const ROUTER_MAC: Mac = [0x02, 0xee, 0, 0, 0, 0x56];
/// An address of the NIC that its interface has not.
const UNLISTED: &str = "172.16.0.77";
const CONTROLLER: &str = "192.0.2.99";
const OFFICE: &str = "10.99.0.5";
const OUTSIDE_CLASS: u32 = 9;

struct Machine {
    world: World,
    /// This machine, and another one.
    own: Workload,
    peer: Workload,
}

impl Machine {
    fn new() -> Self {
        let world = World::new();
        sh("ip link add nic type veth peer name nic-in; ip link set dev nic address 02:ee:00:00:00:55 up");
        let metal = |index: u8, ifindex, host| Workload {
            index: index.into(),
            ifindex,
            mac: if ifindex == 0 { ROUTER_MAC } else { NIC_MAC },
            v4: ip(&format!("172.16.0.{index}")),
            v6: ip(&format!("fd16::{index}")),
            class: index.into(),
            vni: 300,
            host,
        };
        let machine = Self { own: metal(5, ifindex("nic"), RF_HOST_HERE), peer: metal(6, 0, FAR), world };
        let maps = machine.world.datapath.maps();
        for workload in [machine.own, machine.peer] {
            machine.world.put_workload(DOMAIN, DOMAIN_ID, &workload);
            let iface = maps.ifaces.get(&workload.index).unwrap().unwrap();
            maps.ifaces.put(&workload.index, &Iface { flags: RF_IFACE_BARE_METAL, ..iface }).unwrap();
        }
        let device = Device { kind: DeviceKind::RF_DEVICE_NIC, r#ref: 5, counter: 5, ..Device::zeroed() };
        maps.devices.put(machine.own.ifindex, &device).unwrap();
        machine.names(CONTROLLER, 128, RF_BUILTIN_CONTROLLER);
        machine.names(FAR_V4, 128, RF_BUILTIN_UNDERLAY);
        machine.names("10.99.0.0", 112, RF_BUILTIN_SSH);
        machine
    }

    fn names(&self, prefix: &str, prefixlen: u32, kinds: u32) {
        let key = BuiltinKey { prefixlen, ip: ip(prefix).into() };
        self.world.datapath.maps().builtins.put(&key, &kinds).unwrap();
    }

    fn frame(&self, hook: Hook, packet: Packet) -> Vec<u8> {
        let (src, dst) = if hook == OUT { (NIC_MAC, ROUTER_MAC) } else { (ROUTER_MAC, NIC_MAC) };
        packet.macs(src, dst).build()
    }

    #[track_caller]
    fn drops(&self, hook: Hook, packet: Packet, reason: Reason) -> Decision {
        self.world.drops(hook, self.own.ifindex, &self.frame(hook, packet), reason)
    }

    /// It goes on to the kernel as it came, counted for its direction and nowhere else.
    #[track_caller]
    fn passes(&self, hook: Hook, packet: Packet) -> Decision {
        let frame = self.frame(hook, packet);
        let builtin = self.built_in();
        let (output, moved) = self.world.moved(|| self.world.run(hook, self.own.ifindex, &frame));
        let decision = self.world.decision();
        assert_eq!((output.action, Reason::from_number(decision.reason)), (-1, None));
        assert_eq!((decision.action, output.packet == frame), (Action::RF_ACTION_DELIVER, true));
        let direction = if hook == OUT { "5 from" } else { "5 to" };
        assert_eq!((moved, self.built_in()), ([(direction.to_owned(), 1)].into(), builtin));
        decision
    }

    /// A built-in rule lets it pass: nobody judged it, and it left no trace but in its own counter.
    #[track_caller]
    fn is_built_in(&self, hook: Hook, frame: &[u8]) {
        let before = self.built_in();
        let (output, moved) = self.world.moved(|| self.world.run(hook, self.own.ifindex, frame));
        let decision = self.world.decision();
        assert_eq!((output.action, decision.judged, Reason::from_number(decision.reason)), (-1, 0, None));
        assert_eq!((moved, self.built_in()), ([].into(), before + 1));
        assert!(self.world.datapath.maps().conns4.entries().unwrap().is_empty());
    }

    fn built_in(&self) -> u64 {
        self.world.datapath.maps().passed.get(&5).unwrap().unwrap().builtin
    }
}

#[test]
fn what_a_machine_says_and_hears_is_judged_for_it() {
    let mut machine = Machine::new();
    let own = machine.own;
    let out = Packet::udp(own.v4, ip(OUTSIDE), (4000, 53));
    let back = Packet::udp(ip(OUTSIDE), own.v4, (53, 4000));
    let decision = machine.drops(OUT, out.clone(), Reason::PolicyDeny);
    assert_eq!((decision.from_class, decision.to_class), (own.class, OUTSIDE_CLASS));
    machine.drops(IN, back.clone(), Reason::PolicyDeny);
    machine.world.allow(own.class, OUTSIDE_CLASS, RF_TABLE_UDP);
    assert_eq!(machine.passes(OUT, out.clone()).judged, 1);
    assert_eq!(machine.passes(IN, back.clone()).judged, 0, "its answer, by the connection");
    assert_eq!(machine.passes(OUT, out).judged, 0);
    machine.drops(IN, Packet::udp(ip(OUTSIDE), own.v4, (53, 4001)), Reason::PolicyDeny);
}

#[test]
fn between_machines_each_judges_at_its_own_nic_and_both_sides_count() {
    let mut machine = Machine::new();
    let (own, peer) = (machine.own, machine.peer);
    let packet = |v6| Packet::tcp(peer.ip(v6), own.ip(v6), (4000, 443), SYN);
    for v6 in [false, true] {
        let decision = machine.drops(IN, packet(v6), Reason::PolicyDeny);
        assert_eq!((decision.from_class, decision.to_class), (peer.class, own.class));
    }
    machine.world.allow(peer.class, own.class, RF_TABLE_TCP);
    for v6 in [false, true] {
        assert_eq!(machine.passes(IN, packet(v6)).allows, 3);
        machine.passes(OUT, Packet::tcp(own.ip(v6), peer.ip(v6), (443, 4000), SYN | ACK));
    }
}

#[test]
fn a_workload_behind_the_overlay_is_heard_by_the_nic_as_itself() {
    let mut machine = Machine::new();
    let (web, own) = (machine.world.web, machine.own);
    let packet = Packet::tcp(web.v4, own.v4, (4000, 443), SYN);
    let decision = machine.drops(IN, packet.clone(), Reason::PolicyDeny);
    assert_eq!((decision.from_class, decision.to_class), (web.class, own.class));
    machine.world.allow(web.class, own.class, RF_TABLE_TCP);
    machine.passes(IN, packet);
}

#[test]
fn only_the_machines_own_addresses_and_mac_leave_and_none_of_them_comes_in() {
    let mut machine = Machine::new();
    let own = machine.own;
    for class in [OUTSIDE_CLASS, machine.peer.class, machine.world.web.class] {
        machine.world.allow(class, OUTSIDE_CLASS, RF_TABLE_UDP);
        machine.world.allow(class, own.class, RF_TABLE_UDP);
        machine.world.allow(own.class, class, RF_TABLE_UDP);
    }
    let others = [UNLISTED, OUTSIDE, "172.16.0.6", "10.1.0.11", "10.1.0.1", "224.0.0.9"];
    for source in others {
        machine.drops(OUT, Packet::udp(ip(source), ip(OUTSIDE), (1, 2)), Reason::SourceAddress);
    }
    let strange = Packet::udp(own.v4, ip(OUTSIDE), (1, 2)).macs([2, 9, 9, 9, 9, 9], ROUTER_MAC).build();
    machine.world.drops(OUT, own.ifindex, &strange, Reason::SourceMac);
    machine.drops(IN, Packet::udp(own.v4, own.v4, (1, 2)), Reason::Spoofed);
    machine.drops(IN, Packet::udp(ip("10.1.0.1"), own.v4, (1, 2)), Reason::Spoofed);
    machine.passes(OUT, Packet::udp(own.v4, ip(OUTSIDE), (1, 2)));
    // Nor by way of that connection.
    machine.drops(IN, Packet::udp(own.v4, ip(OUTSIDE), (1, 2)), Reason::Spoofed);
}

#[test]
fn an_address_of_the_nic_that_is_not_listed_is_nobodys() {
    let mut machine = Machine::new();
    let peer = machine.peer;
    // The peer may speak to outside, which the address is to policy.
    machine.world.allow(peer.class, OUTSIDE_CLASS, RF_TABLE_UDP);
    machine.drops(IN, Packet::udp(peer.v4, ip(UNLISTED), (1, 2)), Reason::NoRoute);
    machine.world.allow(0, 0, RF_TABLE_UDP);
    machine.drops(IN, Packet::udp(ip(OUTSIDE), ip(UNLISTED), (1, 2)), Reason::PolicyDeny);
}

#[test]
fn frames_for_others_and_groups_are_not_the_machines() {
    let machine = Machine::new();
    let own = machine.own;
    let packet = Packet::udp(ip(OUTSIDE), own.v4, (1, 2));
    let other = packet.clone().macs(ROUTER_MAC, [2, 9, 9, 9, 9, 9]).build();
    machine.world.drops(IN, own.ifindex, &other, Reason::DestinationMac);
    let broadcast = packet.macs(ROUTER_MAC, [0xff; 6]).build();
    machine.world.drops(IN, own.ifindex, &broadcast, Reason::Multicast);
    machine.drops(OUT, Packet::udp(own.v4, ip("224.0.0.251"), (5353, 5353)), Reason::Multicast);
    let lldp = ethernet([1, 0x80, 0xc2, 0, 0, 0xe], ROUTER_MAC, 0x88cc, &[0; 46]);
    machine.world.drops(IN, own.ifindex, &lldp, Reason::UnsupportedEthertype);
}

#[test]
fn neighbours_routers_and_dhcp_are_built_in() {
    let machine = Machine::new();
    let question = arp(1, (NIC_MAC, [172, 16, 0, 5]), ([0; 6], [172, 16, 0, 1]));
    for hook in [OUT, IN] {
        machine.is_built_in(hook, &ethernet([0xff; 6], NIC_MAC, 0x0806, &question));
        for kind in 133..=136 {
            let packet = Packet::icmp(ip("fe80::1"), ip("ff02::1"), (kind, 0), [0; 4]).payload(&[0; 16]).ttl(255);
            machine.is_built_in(hook, &packet.clone().macs(NIC_MAC, [0x33, 0x33, 0, 0, 0, 1]).build());
            machine.drops(hook, packet.ttl(64), Reason::Multicast);
        }
        let redirect = Packet::icmp(ip("fe80::1"), ip("fe80::2"), (137, 0), [0; 4]).payload(&[0; 32]).ttl(255);
        machine.drops(hook, redirect, Reason::LinkLocal);
    }
    let listening = |kind: u8| Packet::icmp(ip("fe80::5"), ip("ff02::16"), (kind, 0), [0; 4]).payload(&[0; 16]).ttl(1);
    for (hook, other, kinds) in [(OUT, IN, &[131, 132, 143][..]), (IN, OUT, &[130])] {
        for kind in kinds {
            machine.is_built_in(hook, &machine.frame(hook, listening(*kind)));
            machine.drops(hook, listening(*kind).ttl(2), Reason::Multicast);
            machine.drops(other, listening(*kind), Reason::Multicast);
        }
    }
    let asks = [
        Packet::udp(ip("0.0.0.0"), ip("255.255.255.255"), (68, 67)),
        Packet::udp(machine.own.v4, ip("172.16.0.1"), (68, 67)),
        Packet::udp(ip("fe80::5"), ip("ff02::1:2"), (546, 547)),
    ];
    let answers = [
        Packet::udp(ip("172.16.0.1"), ip("255.255.255.255"), (67, 68)),
        Packet::udp(ip("172.16.0.1"), machine.own.v4, (67, 68)),
        Packet::udp(ip("fe80::1"), ip("fe80::5"), (547, 546)),
    ];
    for (ask, answer) in asks.into_iter().zip(answers) {
        machine.is_built_in(OUT, &machine.frame(OUT, ask));
        machine.is_built_in(IN, &machine.frame(IN, answer));
    }
    machine.drops(OUT, Packet::udp(ip("0.0.0.0"), ip("255.255.255.255"), (68, 69)), Reason::Martian);
    // It is no server.
    machine.drops(OUT, Packet::udp(machine.own.v4, ip(OUTSIDE), (67, 68)), Reason::PolicyDeny);
    machine.drops(IN, Packet::udp(ip(OUTSIDE), machine.own.v4, (68, 67)), Reason::PolicyDeny);
}

#[test]
fn the_overlay_between_known_hosts_is_built_in() {
    let machine = Machine::new();
    let (own, far) = (machine.own, ip(FAR_V4));
    machine.is_built_in(OUT, &machine.frame(OUT, Packet::udp(own.v4, far, (50_000, 4789))));
    machine.is_built_in(IN, &machine.frame(IN, Packet::udp(far, own.v4, (50_000, 4789))));
    machine.drops(IN, Packet::udp(far, own.v4, (4789, 50_000)), Reason::PolicyDeny);
    machine.drops(IN, Packet::udp(ip(OUTSIDE), own.v4, (50_000, 4789)), Reason::PolicyDeny);
    machine.drops(OUT, Packet::udp(own.v4, ip(OUTSIDE), (50_000, 4789)), Reason::PolicyDeny);
    machine.drops(OUT, Packet::tcp(own.v4, far, (50_000, 4789), SYN), Reason::PolicyDeny);
}

#[test]
fn ssh_to_the_machine_is_built_in_for_whom_settings_name() {
    let machine = Machine::new();
    let own = machine.own;
    for address in [own.v4, ip(UNLISTED)] {
        machine.is_built_in(IN, &machine.frame(IN, Packet::tcp(ip(OFFICE), address, (40_000, 22), SYN)));
        machine.is_built_in(OUT, &machine.frame(OUT, Packet::tcp(address, ip(OFFICE), (22, 40_000), SYN | ACK)));
        machine.is_built_in(OUT, &machine.frame(OUT, Packet::tcp(address, ip(OFFICE), (22, 40_000), RST)));
    }
    machine.drops(IN, Packet::tcp(ip(OUTSIDE), own.v4, (40_000, 22), SYN), Reason::PolicyDeny);
    // The port is no way out, and none to others.
    machine.drops(OUT, Packet::tcp(own.v4, ip(OFFICE), (22, 40_000), SYN), Reason::PolicyDeny);
    machine.drops(OUT, Packet::tcp(own.v4, ip(OFFICE), (40_000, 22), SYN), Reason::PolicyDeny);
    machine.drops(IN, Packet::udp(ip(OFFICE), own.v4, (40_000, 22)), Reason::PolicyDeny);
}

#[test]
fn agent_and_controller_are_built_in_on_either_machine() {
    let machine = Machine::new();
    let (own, controller) = (machine.own, ip(CONTROLLER));
    machine.is_built_in(OUT, &machine.frame(OUT, Packet::tcp(own.v4, controller, (40_000, 7420), SYN)));
    machine.is_built_in(IN, &machine.frame(IN, Packet::tcp(controller, own.v4, (7420, 40_000), SYN | ACK)));
    machine.drops(IN, Packet::tcp(controller, own.v4, (7420, 40_000), SYN), Reason::PolicyDeny);
    machine.drops(OUT, Packet::tcp(own.v4, ip(OUTSIDE), (40_000, 7420), SYN), Reason::PolicyDeny);
    machine.drops(OUT, Packet::tcp(own.v4, controller, (40_000, 7421), SYN), Reason::PolicyDeny);
    // Where the controller is this very machine.
    machine.names("172.16.0.5", 128, RF_BUILTIN_CONTROLLER);
    machine.is_built_in(IN, &machine.frame(IN, Packet::tcp(ip(OUTSIDE), own.v4, (40_000, 7420), SYN)));
    machine.is_built_in(OUT, &machine.frame(OUT, Packet::tcp(own.v4, ip(OUTSIDE), (7420, 40_000), SYN | ACK)));
}

#[test]
fn a_path_that_is_too_narrow_for_what_is_built_in_may_say_so() {
    let machine = Machine::new();
    let (own, far, router) = (machine.own, ip(FAR_V4), ip("172.16.0.1"));
    let tells = |about: &Packet, kind: (u8, u8)| {
        let mut error = icmp_error(router, own.v4, &about.ip());
        error.l4[..2].copy_from_slice(&[kind.0, kind.1]);
        error
    };
    let sent = Packet::udp(own.v4, far, (50_000, 4789)).payload(&[0; 16]);
    machine.is_built_in(IN, &machine.frame(IN, tells(&sent, (3, 4))));
    machine.drops(IN, tells(&sent, (3, 3)), Reason::NoConnection);
    machine.drops(OUT, tells(&sent, (3, 4)), Reason::SourceAddress);
    // Of a packet that was never sent so, or by another.
    let other = Packet::udp(own.v4, far, (50_000, 4790)).payload(&[0; 16]);
    machine.drops(IN, tells(&other, (3, 4)), Reason::NoConnection);
    let anothers = Packet::udp(machine.peer.v4, far, (50_000, 4789)).payload(&[0; 16]);
    machine.drops(IN, tells(&anothers, (3, 4)), Reason::NoConnection);
}

/// A path MTU of the machine's own flows is learnt as everywhere.
#[test]
fn an_error_about_a_flow_of_the_machine_passes() {
    let mut machine = Machine::new();
    let own = machine.own;
    machine.world.allow(own.class, OUTSIDE_CLASS, RF_TABLE_UDP);
    let sent = Packet::udp(own.v4, ip(OUTSIDE), (4000, 53)).payload(&[0; 16]);
    machine.passes(OUT, sent.clone());
    machine.passes(IN, icmp_error(ip("172.16.0.1"), own.v4, &sent.ip()));
}

/// A machine serves before its agent is there.
#[test]
fn tcp_that_was_under_way_before_the_programs_goes_on_for_a_while_if_policy_allows_it() {
    let mut machine = Machine::new();
    let own = machine.own;
    let packet = |out: bool| match out {
        true => Packet::tcp(own.v4, ip(OUTSIDE), (443, 4000), ACK),
        false => Packet::tcp(ip(OUTSIDE), own.v4, (4000, 443), ACK),
    };
    let maps = machine.world.datapath.maps();
    let device = maps.devices.get(own.ifindex).unwrap().unwrap();
    machine.world.allow(OUTSIDE_CLASS, own.class, RF_TABLE_TCP);
    machine.drops(OUT, packet(true), Reason::TcpNotSyn);
    let maps = machine.world.datapath.maps();
    maps.devices.put(own.ifindex, &Device { adopt_until_ns: u64::MAX, ..device }).unwrap();
    // Judged the other way round, since that is how it was opened.
    machine.passes(OUT, packet(true));
    machine.passes(IN, packet(false));
    machine.drops(OUT, Packet::udp(own.v4, ip(OUTSIDE), (443, 4000)), Reason::PolicyDeny);
}

#[test]
fn built_in_rules_need_no_room_and_nothing_known_of_the_nic() {
    let machine = Machine::new();
    let (own, maps) = (machine.own, machine.world.datapath.maps());
    let ssh = machine.frame(IN, Packet::tcp(ip(OFFICE), own.v4, (40_000, 22), SYN));
    maps.devices.delete(own.ifindex).unwrap();
    let output = machine.world.run(IN, own.ifindex, &ssh);
    assert_eq!((output.action, machine.world.decision().reason), (-1, 0));
    machine.drops(IN, Packet::udp(ip(OUTSIDE), own.v4, (1, 2)), Reason::UnknownDevice);
}

#[test]
fn a_full_table_refuses_new_flows_and_no_built_in_packet() {
    let mut machine = Machine::new();
    let own = machine.own;
    machine.world.allow(own.class, OUTSIDE_CLASS, RF_TABLE_UDP);
    let maps = machine.world.datapath.maps();
    for n in 0..RF_CONNS {
        let key = Conn4Key { domain_id: 99, ip: [n, 0], ..Conn4Key::zeroed() };
        maps.conns4.put(&key, &Conn { seen_ns: u64::MAX, ..Conn::zeroed() }).unwrap();
    }
    machine.drops(OUT, Packet::udp(own.v4, ip(OUTSIDE), (1, 2)), Reason::TableFull);
    let ssh = machine.frame(IN, Packet::tcp(ip(OFFICE), own.v4, (40_000, 22), SYN));
    let output = machine.world.run(IN, own.ifindex, &ssh);
    assert_eq!((output.action, machine.world.decision().reason), (-1, 0));
}

#[test]
fn a_workload_reaches_a_machine_by_the_uplink_and_it_answers_by_it() {
    let mut machine = Machine::new();
    let (web, peer) = (machine.world.web, machine.peer);
    machine.world.allow(web.class, peer.class, RF_TABLE_TCP);
    let out = machine.world.routed(&web, Packet::tcp(web.v4, peer.v4, (4000, 443), SYN));
    let (_, decision) = machine.world.passes(Hook::FromWorkload, web.ifindex, &out);
    assert_eq!((decision.action, decision.ifindex), (Action::RF_ACTION_UPLINK, machine.world.uplink));
    let back = Packet::tcp(peer.v4, web.v4, (443, 4000), SYN | ACK).macs(NEXT_HOP_MAC, UPLINK_MAC).build();
    let (_, decision) = machine.world.passes(Hook::FromUplink, machine.world.uplink, &back);
    assert_eq!((decision.judged, decision.ifindex), (0, web.ifindex));
    // It says nothing of who else comes in by the uplink.
    let spoofed = Packet::tcp(machine.world.app.v4, web.v4, (1, 2), SYN).macs(NEXT_HOP_MAC, UPLINK_MAC).build();
    machine.world.drops(Hook::FromUplink, machine.world.uplink, &spoofed, Reason::Spoofed);
    let through = Packet::tcp(ip(OUTSIDE), peer.v4, (1, 2), SYN).macs(NEXT_HOP_MAC, UPLINK_MAC).build();
    machine.world.allow(OUTSIDE_CLASS, peer.class, RF_TABLE_TCP);
    machine.world.drops(Hook::FromUplink, machine.world.uplink, &through, Reason::NoRoute);
}

#[test]
fn a_local_workload_that_speaks_to_the_machine_directly_speaks_to_the_host() {
    let mut machine = Machine::new();
    let (web, own) = (machine.world.web, machine.own);
    sh("ip link set dev web address 02:ee:00:00:00:77");
    let packet = Packet::udp(web.v4, own.v4, (1, 2));
    let direct = packet.clone().macs(web.mac, [0x02, 0xee, 0, 0, 0, 0x77]).build();
    // Class 1 is the host's, and the fixture's web has it, too.
    let web = Workload { class: 7, ..web };
    machine.world.put_workload(DOMAIN, DOMAIN_ID, &web);
    let decision = machine.world.drops(Hook::FromWorkload, web.ifindex, &direct, Reason::PolicyDeny);
    assert_eq!(decision.to_class, RF_CLASS_HOST);
    machine.world.allow(web.class, RF_CLASS_HOST, RF_TABLE_UDP);
    let (_, decision) = machine.world.passes(Hook::FromWorkload, web.ifindex, &direct);
    assert_eq!(decision.action, Action::RF_ACTION_STACK);
    // What policy says of the host is nothing about the machine by its NIC: not by that connection, either.
    machine.drops(IN, packet, Reason::NoRoute);
}
