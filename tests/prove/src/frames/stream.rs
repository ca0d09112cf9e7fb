//! Streams: flows that are opened, answered, and then carry much both ways, as most packets of a network do.

use std::net::IpAddr;

use ringfence_policy::evaluate::{End, Flow, Traffic};

use super::{
    draft::Draft,
    talk::{ACK, SYN, Shot, Talker, upper},
};

const PSH: u8 = 0x08;
/// Streams of a world that are under way at once.
const ALIVE: usize = 12;
/// Bytes of payload: little, and around what a device takes of TCP and UDP of both families.
const PAYLOADS: [usize; 14] = [0, 0, 1, 8, 40, 200, 1000, 1440, 1441, 1452, 1460, 1461, 1472, 1473];

/// A flow that was opened.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream {
    flow: Flow,
    port: u16,
}

impl Talker<'_> {
    /// A new stream, or more of one that is under way.
    pub fn stream(&mut self, flow: Option<Flow>) -> Vec<Shot> {
        let alive = self.random.pick(&self.streams).copied().filter(|_| self.random.chance(65));
        if let Some(stream) = alive {
            return self.carry(stream);
        }
        let flow = flow.filter(|flow| matches!(flow.traffic, Traffic::Tcp(_) | Traffic::Udp(_)));
        let Some(flow) = flow.filter(|_| self.random.chance(50)).or_else(|| self.between_interfaces()) else {
            return Vec::new();
        };
        let stream = Stream { flow, port: self.next_port() };
        if self.streams.len() == ALIVE {
            let gone = self.random.below(ALIVE);
            self.streams.swap_remove(gone);
        }
        self.streams.push(stream);
        let opens = [(false, SYN), (true, SYN | ACK), (false, ACK)];
        let mut shots: Vec<Shot> =
            opens.into_iter().filter_map(|(answers, flags)| self.segment(stream, answers, flags, 0)).collect();
        shots.extend(self.carry(stream));
        shots
    }

    /// Some of what a stream carries, from either side.
    fn carry(&mut self, stream: Stream) -> Vec<Shot> {
        let mut shots = Vec::new();
        for _ in 0..self.random.between(3, 10) {
            let flags = self.random.one([ACK, ACK, ACK | PSH]);
            let payload = self.random.one(PAYLOADS);
            let answers = self.random.chance(50);
            shots.extend(self.segment(stream, answers, flags, payload));
        }
        shots
    }

    /// A segment, or a datagram, of whom the flow is from or of who answers; none if this host does not see it.
    fn segment(&mut self, Stream { flow, port }: Stream, answers: bool, flags: u8, payload: usize) -> Option<Shot> {
        let [from, to] = if answers { [flow.destination, flow.source] } else { [flow.source, flow.destination] };
        let (way, _) = self.seats.way(from, to)?;
        let (protocol, mut bytes) = upper(flow.traffic, port, flags);
        if answers {
            bytes[..4].rotate_left(2);
        }
        // TCP that a device cuts to segments.
        let many = flags & PSH != 0 && payload > 0 && self.random.chance(30);
        let gso_size = if many { self.random.one([100, 1400, 1440, 1441, 1460, 1461]) } else { 0 };
        bytes.resize(bytes.len() + if many { 2000 } else { payload }, 7);
        let ttl = self.random.one([64, 64, 64, 64, 64, 64, 2, 1]);
        let draft = Draft { protocol, upper: bytes, ttl, ..self.draft(from, to)? };
        Some(Shot { way, frame: draft.frame(), gso_size, plain: false })
    }

    /// Between two of the interfaces' own addresses, to a port that rules name.
    fn between_interfaces(&mut self) -> Option<Flow> {
        let own: Vec<IpAddr> =
            self.seats.interfaces().flat_map(|it| it.addresses.iter().map(|(address, _)| *address)).collect();
        let source = *self.random.pick(&own)?;
        let others: Vec<IpAddr> =
            own.into_iter().filter(|it| *it != source && it.is_ipv4() == source.is_ipv4()).collect();
        let destination = *self.random.pick(&others)?;
        let port = self.random.one([80, 443, 8080, 81]);
        let traffic = self.random.one([Traffic::Tcp(port), Traffic::Udp(port)]);
        Some(Flow { source: End::Address(source), destination: End::Address(destination), traffic })
    }
}
