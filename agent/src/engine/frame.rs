//! The packets that stand for a flow, and their frames.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ringfence_policy::evaluate::{End, Flow, Traffic};

use super::{EngineError, stage::Entry};

/// What the host's stack sends from and is sent to here: the programs know it by the way a packet goes, not by that.
const HOST_V4: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 18, 255, 254));
/// The same.
const HOST_V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 2, 0, 0, 0, 0, 0, 0xfffe));

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP6: u8 = 58;
const SCTP: u8 = 132;
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;
const TTL: u8 = 64;

/// A packet of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    /// Who sends it.
    pub(super) source: End,
    /// To whom.
    pub(super) destination: End,
    /// The protocol's number.
    pub(super) protocol: u8,
    /// Source and destination as the connection's key has them: ports; the asker's echo identifier; else zeros.
    pub(super) ports: (u16, u16),
    /// ICMP type and code.
    icmp: Option<(u8, u8)>,
    /// Whether it is TCP's answer.
    answers: bool,
}

impl Packet {
    /// The first one.
    ///
    /// # Errors
    /// Ends of two families; a protocol by number that has a name of its own.
    pub(crate) fn opening(flow: &Flow, source_port: u16) -> Result<Self, EngineError> {
        let refused = |why| Err(EngineError::NoPacket { flow: *flow, why });
        if let (End::Address(source), End::Address(destination)) = (flow.source, flow.destination)
            && source.is_ipv4() != destination.is_ipv4()
        {
            return refused("its ends are of two families; write two addresses of one");
        }
        let (ports, icmp) = match flow.traffic {
            Traffic::Tcp(port) | Traffic::Udp(port) | Traffic::Sctp(port) => ((source_port, port), None),
            Traffic::Icmp(kind, code) | Traffic::Icmp6(kind, code) => {
                let echo = is_request(flow.traffic.protocol(), (kind, code));
                ((if echo { source_port } else { 0 }, 0), Some((kind, code)))
            }
            Traffic::Other(TCP | UDP | SCTP) => return refused("write tcp/PORT, udp/PORT or sctp/PORT"),
            Traffic::Other(ICMP | ICMP6) => return refused("write icmp/TYPE/CODE or icmp6/TYPE/CODE"),
            Traffic::Other(_) => ((0, 0), None),
        };
        let Flow { source, destination, traffic } = *flow;
        Ok(Self { source, destination, protocol: traffic.protocol(), ports, icmp, answers: false })
    }

    /// What answers it; nothing answers an ICMP message that is no echo request.
    pub(super) fn reply(&self) -> Option<Self> {
        let icmp = match self.icmp {
            None => None,
            Some(kind) if is_request(self.protocol, kind) => Some((if self.protocol == ICMP { 0 } else { 129 }, 0)),
            Some(_) => return None,
        };
        let (source, destination) = (self.destination, self.source);
        Some(Self { source, destination, ports: (self.ports.1, self.ports.0), icmp, answers: true, ..*self })
    }

    /// The packet as the first of a flow.
    pub(super) fn flow(&self) -> Flow {
        let traffic = match (self.protocol, self.icmp) {
            (TCP, _) => Traffic::Tcp(self.ports.1),
            (UDP, _) => Traffic::Udp(self.ports.1),
            (SCTP, _) => Traffic::Sctp(self.ports.1),
            (ICMP, Some((kind, code))) => Traffic::Icmp(kind, code),
            (ICMP6, Some((kind, code))) => Traffic::Icmp6(kind, code),
            (other, _) => Traffic::Other(other),
        };
        Flow { source: self.source, destination: self.destination, traffic }
    }

    /// Source and destination, one family.
    pub(super) fn addresses(&self) -> (IpAddr, IpAddr) {
        let v6 = [self.source, self.destination].iter().any(|end| matches!(end, End::Address(IpAddr::V6(_))));
        let of = |end| match end {
            End::Address(address) => address,
            End::Host if v6 => HOST_V6,
            End::Host => HOST_V4,
        };
        (of(self.source), of(self.destination))
    }

    /// Header of its protocol. Checksums are zero: whether they hold is for those to see who the packet is for.
    fn l4(&self) -> Vec<u8> {
        let ports = [self.ports.0.to_be_bytes(), self.ports.1.to_be_bytes()].concat();
        let rest: &[u8] = match self.protocol {
            TCP => {
                let flags = if self.answers { SYN | ACK } else { SYN };
                &[0, 0, 0, 1, 0, 0, 0, 0, 5 << 4, flags, 0xff, 0xff, 0, 0, 0, 0]
            }
            UDP => &[0, 8, 0, 0],
            SCTP => &[0; 8],
            _ => {
                let (kind, code) = self.icmp.unwrap_or_default();
                // Of an echo and its reply the identifier is the asker's port.
                let [high, low] = self.ports.0.max(self.ports.1).to_be_bytes();
                let mut message = vec![kind, code, 0, 0, high, low, 0, 1];
                if is_error(self.protocol, kind) {
                    message.extend(self.quoted());
                }
                return message;
            }
        };
        [&ports, rest].concat()
    }

    /// What an error tells its receiver of: a datagram that it sent, of no connection.
    fn quoted(&self) -> Vec<u8> {
        let (source, destination) = self.addresses();
        let datagram = [0, 0, 0, 0, 0, 8, 0, 0];
        [ip_header(destination, source, UDP, datagram.len()), datagram.to_vec()].concat()
    }
}

/// The frame in which it enters.
pub(crate) fn build(packet: &Packet, entry: &Entry) -> Vec<u8> {
    let l4 = packet.l4();
    let (source, destination) = packet.addresses();
    let ethertype = if source.is_ipv6() { [0x86, 0xdd] } else { [0x08, 0x00] };
    let ip = ip_header(source, destination, packet.protocol, l4.len());
    [&entry.dst_mac[..], &entry.src_mac, &ethertype, &ip, &l4].concat()
}

/// The header of a packet that carries so many bytes.
fn ip_header(source: IpAddr, destination: IpAddr, protocol: u8, carried: usize) -> Vec<u8> {
    match (source, destination) {
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let mut header = vec![0x60, 0, 0, 0];
            header.extend(length(carried));
            header.extend([protocol, TTL]);
            header.extend([source.octets(), destination.octets()].concat());
            header
        }
        (source, destination) => {
            let octets = |address| match address {
                IpAddr::V4(v4) => v4.octets(),
                IpAddr::V6(_) => [0; 4],
            };
            let mut header = vec![0x45, 0];
            header.extend(length(20 + carried));
            header.extend([0, 1, 0x40, 0, TTL, protocol, 0, 0]);
            header.extend([octets(source), octets(destination)].concat());
            header
        }
    }
}

fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).unwrap_or(u16::MAX).to_be_bytes()
}

/// Of an ICMP type and code.
fn is_request(protocol: u8, kind: (u8, u8)) -> bool {
    matches!((protocol, kind), (ICMP, (8, 0)) | (ICMP6, (128, 0)))
}

/// Of an ICMP type.
fn is_error(protocol: u8, kind: u8) -> bool {
    matches!((protocol, kind), (ICMP, 3 | 11 | 12) | (ICMP6, 1..=4))
}
