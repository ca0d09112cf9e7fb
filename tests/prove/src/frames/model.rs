//! What passed before: connections and first fragments, as a set that grows. The programs may forget, this does not before it has to;
//! so what passes by it is what somebody had let pass.

use std::{collections::BTreeSet, net::IpAddr};

use ringfence_agent::engine::raw::Way;
use ringfence_policy::evaluate::{End, Flow, Traffic};

use super::read::{Packet, Says};

/// The first packet of a flow, as far as answers are told by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Opener {
    /// Who sent it: the address, or the host.
    pub ends: [End; 2],
    /// Both addresses.
    pub addresses: [IpAddr; 2],
    /// Both ports; of an echo its identifier and 0.
    pub ports: [u16; 2],
    /// What policy was asked.
    pub traffic: Traffic,
}

/// A first fragment that passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct First {
    /// By what way it came.
    pub way: Way,
    /// Both addresses.
    pub addresses: [IpAddr; 2],
    /// Its identification.
    pub id: u32,
    /// The protocol that its fragment header names.
    pub next: u8,
    /// Bytes that no later one may change.
    pub judged: usize,
    /// Its flow.
    pub opener: Opener,
    /// Whether it opened nothing itself.
    pub stray: bool,
}

/// What passed.
#[derive(Clone, Debug, Default)]
pub struct Model {
    openers: BTreeSet<Opener>,
    firsts: BTreeSet<First>,
}

impl Model {
    /// Remembers a packet that passed and may open a flow.
    pub fn opened(&mut self, opener: Opener) {
        self.openers.insert(opener);
    }

    /// Nothing was sent for so long that every connection is over.
    pub fn silent(&mut self) {
        self.openers.clear();
    }

    /// Remembers a first fragment that passed.
    pub fn began(&mut self, first: First) {
        self.firsts.insert(first);
    }

    /// What opened flows of which a packet with these addresses and ports is one, in the same direction or the other.
    pub fn flows_of(&self, packet: &Opener) -> impl Iterator<Item = (&Opener, bool)> {
        let key = packet.key();
        let answers = Opener::turned(key);
        self.openers.iter().filter_map(move |opener| {
            let of = opener.key();
            if of == key { Some((opener, false)) } else { (of == answers).then_some((opener, true)) }
        })
    }

    /// First fragments of the packet that a later one is a part of.
    pub fn firsts_of(&self, way: Way, packet: &Packet) -> impl Iterator<Item = &First> {
        let addresses = [packet.src, packet.dst];
        let part = packet.fragment;
        self.firsts.iter().filter(move |it| {
            let same = part.is_some_and(|part| it.id == part.id && (packet.src.is_ipv6() || it.next == part.next));
            it.way == way && it.addresses == addresses && same
        })
    }
}

/// Protocol, addresses, ports.
type Key = (u8, [IpAddr; 2], [u16; 2]);

impl Opener {
    /// Of a packet, given its ends; `None`: it is the rest of one.
    pub fn of(packet: &Packet, ends: [End; 2]) -> Option<Self> {
        let traffic = packet.traffic()?;
        let addresses = [packet.src, packet.dst];
        Some(Self { ends, addresses, ports: ports(&packet.says, packet.src.is_ipv6()), traffic })
    }

    /// Of a packet that is quoted.
    pub fn quoted(says: &Says, addresses: [IpAddr; 2]) -> Self {
        let v6 = addresses[0].is_ipv6();
        let ends = addresses.map(End::Address);
        let traffic = match *says {
            Says::Tcp(_, port, _) => Traffic::Tcp(port),
            Says::Udp(_, port) => Traffic::Udp(port),
            Says::Sctp(_, port) => Traffic::Sctp(port),
            Says::Icmp { kind, code, .. } if v6 => Traffic::Icmp6(kind, code),
            Says::Icmp { kind, code, .. } => Traffic::Icmp(kind, code),
            Says::Other(protocol) => Traffic::Other(protocol),
            Says::Rest => Traffic::Other(0),
        };
        Self { ends, addresses, ports: ports(says, v6), traffic }
    }

    /// The flow that policy is asked about.
    pub fn flow(&self) -> Flow {
        Flow { source: self.ends[0], destination: self.ends[1], traffic: self.traffic }
    }

    fn key(&self) -> Key {
        (self.traffic.protocol(), self.addresses, self.ports)
    }

    fn turned((protocol, [src, dst], [from, to]): Key) -> Key {
        (protocol, [dst, src], [to, from])
    }
}

/// An echo's identifier is the port of who asks.
fn ports(says: &Says, v6: bool) -> [u16; 2] {
    match *says {
        Says::Tcp(from, to, _) | Says::Udp(from, to) | Says::Sctp(from, to) => [from, to],
        Says::Icmp { kind, code: 0, id, .. } if kind == if v6 { 128 } else { 8 } => [id, 0],
        Says::Icmp { kind, code: 0, id, .. } if kind == if v6 { 129 } else { 0 } => [0, id],
        _ => [0, 0],
    }
}
