//! Conversations: frames that a flow is made of, as hosts write them and as they never would.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ringfence_agent::engine::{
    DEVICE_MAC, GATEWAY_MAC,
    raw::{FAR, STRANGER, Way},
};
use ringfence_policy::evaluate::{End, Flow, Traffic};

use super::{
    draft::{Cut, Draft},
    seats::{Owner, Seats},
    stream::Stream,
};
use crate::random::Random;

/// What the host's stack sends from: no address of any world.
pub const HOST: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(198, 18, 255, 254)), IpAddr::V6(Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, 0xfffe))];
pub(super) const SYN: u8 = 0x02;
const RST: u8 = 0x04;
pub(super) const ACK: u8 = 0x10;

/// A frame on its way in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shot {
    /// By what way.
    pub way: Way,
    /// Its bytes.
    pub frame: Vec<u8>,
    /// Payload of each segment that it stands for; 0: it is one packet.
    pub gso_size: u32,
    /// Whether it is plainly valid and alone with its ports, so that it must pass if policy says so.
    pub plain: bool,
}

/// Makes conversations in one world.
pub struct Talker<'a> {
    /// Who sits where by now.
    pub seats: Seats<'a>,
    /// Where chance comes from.
    pub random: Random,
    port: u16,
    pub(super) streams: Vec<Stream>,
}

impl<'a> Talker<'a> {
    /// For the conversations that follow from a seed.
    pub fn new(seats: Seats<'a>, seed: u64) -> Self {
        Self { seats, random: Random::new(seed), port: 20_000, streams: Vec::new() }
    }

    /// Frames of a flow, in an order in which they may come; none if this host sees none of it.
    pub fn conversation(&mut self, flow: &Flow) -> Vec<Shot> {
        let own_port = self.next_port();
        let plain = self.random.chance(50);
        let port = if plain { own_port } else { self.random.one([own_port, 80, 443, 8080, 40_000]) };
        let flags = if plain { SYN } else { self.random.one([SYN, SYN, SYN, ACK, RST, 0, SYN | ACK, 0xff]) };
        let Some(mut opener) = self.draft(flow.source, flow.destination) else { return Vec::new() };
        (opener.protocol, opener.upper) = upper(flow.traffic, port, flags);
        let payload = self.random.one([0, 0, 1, 40, 200]);
        opener.upper.extend((0..payload).map(|place| place as u8));
        if plain {
            self.extend(&mut opener);
        } else {
            self.decorate(&mut opener);
        }
        let ends = [flow.source, flow.destination];
        let mut shots = self.shots(&opener, ends, plain);
        let Some(reply) = self.reply(&opener, flow, plain) else { return shots };
        let turned = [flow.destination, flow.source];
        shots.extend(self.shots(&reply, turned, plain && !matches!(flow.traffic, Traffic::Other(_))));
        if flow.traffic.protocol() == 6 {
            // The last of the handshake.
            let mut last = opener.clone();
            if let Some(flags) = last.upper.get_mut(13) {
                *flags = ACK;
            }
            shots.extend(self.shots(&last, ends, false));
        }
        if self.random.chance(40) {
            let (about, of) = if self.random.chance(50) { (&opener, turned) } else { (&reply, ends) };
            shots.extend(self.error(about, of));
        }
        if !plain && self.random.chance(30) {
            shots.reverse();
        }
        shots
    }

    /// What is no flow: ARP, neighbour discovery, DHCP, of workloads and of others.
    pub fn aside(&mut self) -> Option<Shot> {
        let interfaces: Vec<_> = self.seats.interfaces().filter(|it| self.seats.is_here(it)).collect();
        let interface = *self.random.pick(&interfaces)?;
        let other = *self.random.pick(&interfaces)?;
        let own = |it: &ringfence_policy::bundle::CompiledInterface, v4: bool| {
            it.addresses.iter().map(|(address, _)| *address).find(|address| address.is_ipv4() == v4)
        };
        let mac = if self.random.chance(80) { interface.mac } else { other.mac };
        let gateways: Vec<IpAddr> = self.seats.ground.gateways().collect();
        let way = self.random.one([Way::Workload(interface.id), Way::Workload(interface.id), Way::Uplink]);
        let wanted = |random: &mut Random, v4: bool| {
            let known = [own(other, v4), random.pick(&gateways).copied().filter(|it| it.is_ipv4() == v4)];
            random.one([known[0], known[1], known[1]])
        };
        let frame = if self.random.chance(50) {
            let (Some(IpAddr::V4(sender)), Some(IpAddr::V4(target))) =
                (own(interface, true), wanted(&mut self.random, true))
            else {
                return None;
            };
            let sender = if self.random.chance(85) { sender } else { Ipv4Addr::UNSPECIFIED };
            let operation = self.random.one([1, 1, 1, 2]);
            let body =
                [&[0, 1, 8, 0, 6, 4, 0, operation], &mac[..], &sender.octets(), &[0; 6], &target.octets()].concat();
            [&[0xff; 6], &mac[..], &[8, 6], &body].concat()
        } else {
            let (Some(source), Some(IpAddr::V6(target))) = (own(interface, false), wanted(&mut self.random, false))
            else {
                return None;
            };
            let kind = self.random.one([135, 135, 135, 136, 133, 134, 137]);
            let mut upper = vec![kind, 0, 0, 0, 0, 0, 0, 0];
            upper.extend(target.octets());
            upper.extend([&[1, 1], &mac[..]].concat());
            let draft = Draft {
                src_mac: mac,
                dst_mac: [0x33, 0x33, 0xff, 0, 0, 1],
                ttl: self.random.one([255, 255, 255, 64]),
                protocol: 58,
                upper,
                ..self.bare(source, IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 1)))
            };
            draft.frame()
        };
        Some(Shot { way, frame, gso_size: 0, plain: false })
    }

    /// A way that need not be the right one.
    pub fn any_way(&mut self) -> Way {
        let interfaces: Vec<_> = self.seats.interfaces().collect();
        let here: Vec<_> = interfaces.iter().filter(|it| self.seats.is_here(it)).collect();
        let id = self.random.pick(&here).map(|interface| interface.id);
        match (self.random.below(8), id) {
            (0..=3, Some(id)) => Way::Workload(id),
            (4, Some(id)) => Way::Host(id),
            (5, _) => Way::Uplink,
            (6, _) => Way::HostToUplink,
            _ => self.any_overlay(),
        }
    }

    /// A tunnel that need not be the right one.
    pub fn any_overlay(&mut self) -> Way {
        let interfaces: Vec<_> = self.seats.interfaces().collect();
        let vni = self.random.pick(&interfaces).map_or(0, |interface| interface.vni);
        let transit = self.seats.ground.bundle.topology.transit_vni;
        let vni = self.random.one([vni, vni, vni, transit, 9]);
        Way::Overlay { vni, remote: self.random.one([FAR, FAR, FAR, STRANGER]) }
    }

    /// A port of a flow's own, so that nothing else is about it.
    pub(super) fn next_port(&mut self) -> u16 {
        self.port = 20_000 + (self.port + 1 - 20_000) % 40_000;
        self.port
    }

    fn bare(&self, src: IpAddr, dst: IpAddr) -> Draft {
        Draft {
            src_mac: DEVICE_MAC,
            dst_mac: GATEWAY_MAC,
            tag: None,
            src,
            dst,
            ttl: 64,
            options: Vec::new(),
            extensions: Vec::new(),
            id: self.port,
            protocol: 0,
            upper: Vec::new(),
        }
    }

    /// Addresses and MAC addresses of a packet between two ends.
    pub(super) fn draft(&mut self, source: End, destination: End) -> Option<Draft> {
        let v6 = [source, destination].iter().any(|end| matches!(end, End::Address(IpAddr::V6(_))));
        let of = |end| match end {
            End::Address(address) => address,
            End::Host => HOST[usize::from(v6)],
        };
        let (way, src_mac) = self.seats.way(source, destination)?;
        let to = match destination {
            End::Address(address) => self.seats.owner(address),
            End::Host => Owner::Outside,
        };
        let near = match (way, to) {
            (Way::Workload(id), Owner::Interface(to, mac)) => {
                (self.seats.interface(id).map(|it| it.vni) == Some(to.vni)).then_some(mac)
            }
            _ => None,
        };
        let dst_mac = match (way, to, destination) {
            (Way::Workload(_), _, End::Host) | (Way::Uplink, ..) => DEVICE_MAC,
            (Way::Host(_) | Way::Overlay { .. }, Owner::Interface(_, mac), _) => mac,
            _ => near.filter(|_| self.random.chance(50)).unwrap_or(GATEWAY_MAC),
        };
        Some(Draft { src_mac, dst_mac, ..self.bare(of(source), of(destination)) })
    }

    /// What answers a packet.
    fn reply(&mut self, opener: &Draft, flow: &Flow, plain: bool) -> Option<Draft> {
        let mut reply = self.draft(flow.destination, flow.source)?;
        reply.protocol = opener.protocol;
        reply.upper.clone_from(&opener.upper);
        match flow.traffic {
            Traffic::Tcp(_) | Traffic::Udp(_) | Traffic::Sctp(_) => {
                reply.upper[..4].rotate_left(2);
                if let (Traffic::Tcp(_), Some(flags)) = (flow.traffic, reply.upper.get_mut(13)) {
                    *flags = if plain { SYN | ACK } else { self.random.one([SYN | ACK, ACK, RST | ACK, SYN]) };
                }
            }
            Traffic::Icmp(8, 0) => reply.upper[0] = 0,
            Traffic::Icmp6(128, 0) => reply.upper[0] = 129,
            _ if plain => return None,
            _ => {}
        }
        if plain {
            self.extend(&mut reply);
        } else {
            self.decorate(&mut reply);
        }
        Some(reply)
    }

    /// An ICMP error about a packet, from whom it was for, or from somebody else.
    fn error(&mut self, about: &Draft, [source, destination]: [End; 2]) -> Vec<Shot> {
        let Some(mut draft) = self.draft(source, destination) else { return Vec::new() };
        let mut quoted = about.packet();
        if self.random.chance(15) {
            super::mutate::mutate(&mut self.random, &mut quoted, &[]);
        }
        if self.random.chance(20) {
            quoted.truncate(self.random.below(60));
        }
        let v4 = draft.src.is_ipv4();
        let (kind, code) = if v4 {
            self.random.one([(3, 1), (3, 4), (11, 0), (12, 0)])
        } else {
            self.random.one([(1, 0), (2, 0), (3, 0), (4, 0)])
        };
        draft.protocol = if v4 { 1 } else { 58 };
        draft.upper = vec![kind, code, 0, 0, 0, 0, 5, 0];
        draft.upper.extend(quoted);
        self.shots(&draft, [source, destination], false)
    }

    /// What hosts write now and then, as they do: options and extension headers that are right, in the order of RFC 8200
    /// 4.1.
    fn extend(&mut self, draft: &mut Draft) {
        let random = &mut self.random;
        if draft.src.is_ipv4() {
            draft.options = vec![1; random.one([0, 0, 0, 4, 40])];
            return;
        }
        let mut numbers = vec![0, 60, 43, 51, 60];
        numbers.retain(|_| random.chance(15));
        draft.extensions = numbers.into_iter().map(|number| (number, extension(random, number, 0, 4))).collect();
    }

    /// What hosts seldom write: options, extension headers, tags, short lives.
    fn decorate(&mut self, draft: &mut Draft) {
        let random = &mut self.random;
        draft.ttl = random.one([64, 64, 64, 64, 255, 2, 1, 0]);
        draft.tag = random.one([None, None, None, None, Some(0), Some(0xa000), Some(7)]);
        if draft.src.is_ipv4() {
            let words = random.one([0, 0, 1, 3, 10]);
            draft.options = (0..words * 4).map(|_| random.one([0, 1, 1, 7, 0x83])).collect();
        } else {
            for _ in 0..random.one([0, 0, 0, 1, 2, 3, 9]) {
                let number = random.one([0, 60, 60, 43, 51, 44, 135]);
                let units = random.one([0, 0, 1, 2]);
                let routing = random.one([0, 2, 4, 4]);
                draft.extensions.push((number, extension(random, number, units, routing)));
            }
            if random.chance(70) {
                draft.extensions.sort_by_key(|(number, _)| *number != 0);
                let hops = draft.extensions.iter().filter(|(number, _)| *number == 0).count();
                draft.extensions.drain(..hops.saturating_sub(1));
            }
        }
    }

    /// The packet as one frame, or in parts.
    fn shots(&mut self, draft: &Draft, ends: [End; 2], plain: bool) -> Vec<Shot> {
        let Some((way, _)) = self.seats.way(ends[0], ends[1]) else { return Vec::new() };
        if plain && self.random.chance(20) {
            // In order, the first with all headers in it (RFC 7112).
            let carried = draft.carried();
            let heads = carried - draft.upper.len() + 24;
            let cuts = [
                Cut { start: 0, end: heads.next_multiple_of(8) },
                Cut { start: heads.next_multiple_of(8), end: carried },
            ];
            let cuts = if carried > cuts[0].end { &cuts[..] } else { &cuts[..1] };
            let frames = draft.fragments(cuts).into_iter();
            return frames.map(|frame| Shot { way, frame, gso_size: 0, plain }).collect();
        }
        if plain || self.random.chance(70) {
            let gso_size = if !plain && self.random.chance(5) { self.random.one([1, 100, 1400]) } else { 0 };
            return vec![Shot { way, frame: draft.frame(), gso_size, plain }];
        }
        let mut cuts = self.cuts(draft.carried());
        if self.random.chance(30) {
            let swap = self.random.below(cuts.len());
            cuts.swap(0, swap);
        }
        if self.random.chance(20) {
            cuts.remove(self.random.below(cuts.len()));
        }
        let frames = draft.fragments(&cuts);
        frames.into_iter().map(|frame| Shot { way, frame, gso_size: 0, plain: false }).collect()
    }

    /// Parts that cover a packet, once or more than once.
    fn cuts(&mut self, carried: usize) -> Vec<Cut> {
        let mut cuts = Vec::new();
        let mut start = 0;
        while start < carried {
            let end = start + 8 * self.random.one([1, 2, 3, 3, 5, 20]);
            let back = if self.random.chance(10) { 8 * self.random.between(1, 3) } else { 0 };
            cuts.push(Cut { start: start - back.min(start), end });
            start = end;
        }
        if cuts.is_empty() {
            cuts.push(Cut { start: 0, end: 8 });
        }
        cuts
    }
}

/// All bytes of an extension header but the first. `routing`: the type of a routing header.
fn extension(random: &mut Random, number: u8, units: u8, routing: u8) -> Vec<u8> {
    let size = match number {
        44 => return vec![0, 0, random.one([0, 1]), 0, 0, 0, 1],
        51 => 8 + 4 * (usize::from(units) + 1),
        _ => 8 + 8 * usize::from(units),
    };
    let mut rest = vec![0; size - 1];
    rest[0] = if number == 51 { units + 1 } else { units };
    match number {
        // PadN (RFC 8200 4.2) over all of it.
        0 | 60 => (rest[1], rest[2]) = (1, (size - 4) as u8),
        43 => rest[1] = routing,
        _ => {}
    }
    rest
}

/// The upper layer's number and header.
pub(super) fn upper(traffic: Traffic, port: u16, flags: u8) -> (u8, Vec<u8>) {
    let ports = |to: u16, rest: &[u8]| [&port.to_be_bytes(), &to.to_be_bytes(), rest].concat();
    let header = match traffic {
        Traffic::Tcp(to) => ports(to, &[0, 0, 0, 1, 0, 0, 0, 0, 5 << 4, flags, 0xff, 0xff, 0, 0, 0, 0]),
        Traffic::Udp(to) => ports(to, &[0, 8, 0, 0]),
        Traffic::Sctp(to) => ports(to, &[0; 8]),
        Traffic::Icmp(kind, code) | Traffic::Icmp6(kind, code) => {
            let [high, low] = port.to_be_bytes();
            vec![kind, code, 0, 0, high, low, 0, 1]
        }
        Traffic::Other(_) => vec![0; 8],
    };
    (traffic.protocol(), header)
}
