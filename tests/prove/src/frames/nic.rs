//! NICs of machines: what passes them whatever policy says, by the table in docs/OPERATING.md, and frames of that.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ringfence_agent::engine::{
    DEVICE_MAC, GATEWAY_MAC, VXLAN_PORT,
    raw::{FAR, HERE, STRANGER, Way},
};

use super::{
    draft::Draft,
    read::{Carried, Frame, Packet, Says},
    seats::{Here, Seats},
    talk::{Shot, Talker},
};

/// Ports of a server and of its client.
fn dhcp_ports(v6: bool) -> (u16, u16) {
    if v6 { (547, 546) } else { (67, 68) }
}

impl Seats<'_> {
    /// Whether a built-in rule lets a frame pass, by a way through a NIC.
    pub fn is_built_in(&self, way: Way, frame: &Frame) -> bool {
        let into = match way {
            Way::IntoNic(_) => true,
            Way::OutOfNic(_) => false,
            _ => return false,
        };
        let packet = match &frame.carries {
            Carried::Arp(_) => return true,
            Carried::Ip(packet) if packet.fragment.is_some() => return false,
            Carried::Ip(packet) => packet,
        };
        let v6 = packet.src.is_ipv6();
        let (server, client) = dhcp_ports(v6);
        match &packet.says {
            // Redirects are 137.
            Says::Icmp { kind: 133..=136, .. } if v6 => packet.ttl == 255,
            Says::Icmp { kind, .. } if v6 && packet.ttl == 1 && is_listening(*kind, into) => true,
            Says::Icmp { quote: Some(quote), .. } if into && is_too_big(packet) => {
                quote.src == packet.dst
                    && quote.says == Says::Udp(quoted_port(&quote.says), VXLAN_PORT)
                    && self.is_underlay(quote.dst)
            }
            Says::Udp(from, to) if [*from, *to] == if into { [server, client] } else { [client, server] } => true,
            Says::Udp(_, VXLAN_PORT) => self.is_underlay(if into { packet.src } else { packet.dst }),
            _ => false,
        }
    }

    fn is_underlay(&self, address: IpAddr) -> bool {
        self.here != Here::All && [HERE, FAR].contains(&address)
    }
}

/// RFC 2710, RFC 3810: a query, or a report and its end.
fn is_listening(kind: u8, into: bool) -> bool {
    if into { kind == 130 } else { matches!(kind, 131 | 132 | 143) }
}

fn is_too_big(packet: &Packet) -> bool {
    let wanted = if packet.src.is_ipv4() { (3, 4) } else { (2, 0) };
    matches!(packet.says, Says::Icmp { kind, code, .. } if (kind, code) == wanted)
}

fn quoted_port(says: &Says) -> u16 {
    if let Says::Udp(from, _) = says { *from } else { 0 }
}

impl Talker<'_> {
    /// What a built-in rule may speak for, or nearly.
    pub fn at_nic(&mut self) -> Option<Shot> {
        let machines: Vec<_> = self.seats.interfaces().filter(|it| it.bare_metal && self.seats.is_here(it)).collect();
        let machine = *self.random.pick(&machines)?;
        let v6 = self.random.chance(50);
        let own = machine.addresses.iter().map(|(address, _)| *address).find(|it| it.is_ipv6() == v6)?;
        let into = self.random.chance(50);
        let peer = match self.random.one([0, 1, 2, 3]) {
            _ if v6 => IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7)),
            0 => FAR,
            1 => STRANGER,
            2 => HERE,
            _ => IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7)),
        };
        let (src, dst) = if into { (peer, own) } else { (own, peer) };
        let (server, client) = dhcp_ports(v6);
        let udp = |from: u16, to: u16| {
            let [from, to] = [from, to].map(u16::to_be_bytes);
            (17, [&from[..], &to, &[0, 16, 0, 0], &[0; 8]].concat())
        };
        let icmp = |kind: u8, code: u8, rest: &[u8]| {
            (if v6 { 58 } else { 1 }, [&[kind, code, 0, 0, 0, 0, 5, 0], rest].concat())
        };
        let base = Draft { src_mac: machine.mac, dst_mac: GATEWAY_MAC, ..self.bare(src, dst) };
        let (protocol, upper) = match self.random.below(5) {
            0 => udp(server, client),
            1 => udp(client, server),
            2 => udp(self.random.one([4789, 30_000]), VXLAN_PORT),
            3 => icmp(self.random.one([130, 131, 132, 133, 134, 135, 136, 137, 143]), 0, &[0; 24]),
            _ => {
                let (protocol, upper) = udp(30_000, VXLAN_PORT);
                let about = Draft { src: dst, dst: src, protocol, upper, ..base.clone() };
                let (kind, code) = if v6 { (2, 0) } else { self.random.one([(3, 4), (3, 4), (3, 1)]) };
                icmp(kind, code, &about.packet())
            }
        };
        let ttl = self.random.one([255, 64, 1]);
        let (src_mac, dst_mac) = if into { ([2, 0xee, 0, 0, 0, 1], DEVICE_MAC) } else { (machine.mac, GATEWAY_MAC) };
        let way = if into { Way::IntoNic(machine.id) } else { Way::OutOfNic(machine.id) };
        let frame = Draft { src_mac, dst_mac, ttl, protocol, upper, ..base }.frame();
        Some(Shot { way, frame, gso_size: 0, plain: false })
    }
}
