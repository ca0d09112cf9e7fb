//! Frames from the gateway, with addresses of the receiver and checksums left out where a question decides them.

use std::net::{Ipv4Addr, Ipv6Addr};

const ETHERNET: usize = 14;
const IPV4: usize = 20;
const IPV6: usize = 40;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;
/// Of DHCP; RFC 1700.
const TTL: u8 = 64;
/// Neighbour discovery comes from the link, RFC 4861 4.2.
const ND_HOP_LIMIT: u8 = 255;

/// A frame whose receiver and checksums are zero.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    bytes: Vec<u8>,
    /// Where its IP header ends.
    l4: usize,
}

impl Frame {
    /// UDP over IPv4; the receiver's MAC is known.
    pub(super) fn udp4([to, from]: [[u8; 6]; 2], source: Ipv4Addr, ports: [u16; 2], payload: &[u8]) -> Self {
        let mut bytes = [&to[..], &from, &[0x08, 0x00, 0x45, 0]].concat();
        bytes.extend(length(IPV4 + 8 + payload.len()));
        bytes.extend([0, 0, 0, 0, TTL, UDP, 0, 0]);
        bytes.extend(source.octets());
        bytes.extend([0; 4]);
        udp(&mut bytes, ports, payload);
        Self { bytes, l4: ETHERNET + IPV4 }
    }

    /// UDP over IPv6.
    pub(super) fn udp6(macs: [[u8; 6]; 2], source: Ipv6Addr, ports: [u16; 2], payload: &[u8]) -> Self {
        let mut bytes = ipv6(macs, source, 8 + payload.len(), UDP, TTL);
        udp(&mut bytes, ports, payload);
        Self { bytes, l4: ETHERNET + IPV6 }
    }

    /// Neighbour discovery.
    pub(super) fn nd(macs: [[u8; 6]; 2], source: Ipv6Addr, message: &[u8]) -> Self {
        let mut bytes = ipv6(macs, source, message.len(), ICMPV6, ND_HOP_LIMIT);
        bytes.extend(message);
        Self { bytes, l4: ETHERNET + IPV6 }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The sum of pseudo-header and L4 as they stand (RFC 1071), not complemented.
    pub(super) fn sum(&self) -> u16 {
        let (header, l4) = self.bytes.split_at(self.l4);
        let (protocol, addresses) = match self.l4 - ETHERNET {
            IPV4 => (header[ETHERNET + 9], &header[ETHERNET + 12..]),
            _ => (header[ETHERNET + 6], &header[ETHERNET + 8..]),
        };
        sum(&[addresses, l4, &[0, protocol], &length(l4.len())])
    }

    /// The frame of neighbour discovery to all nodes.
    pub(super) fn to_all_nodes(&self) -> Vec<u8> {
        let to = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
        let checksum = !sum(&[&self.sum().to_be_bytes(), &to.octets()]);
        let mut bytes = self.bytes.clone();
        bytes.splice(..6, [0x33, 0x33, 0, 0, 0, 1]);
        bytes.splice(ETHERNET + 24..ETHERNET + 40, to.octets());
        bytes.splice(self.l4 + 2..self.l4 + 4, checksum.to_be_bytes());
        bytes
    }
}

fn ipv6([to, from]: [[u8; 6]; 2], source: Ipv6Addr, payload: usize, protocol: u8, hop_limit: u8) -> Vec<u8> {
    let mut bytes = [&to[..], &from, &[0x86, 0xdd, 0x60, 0, 0, 0]].concat();
    bytes.extend(length(payload));
    bytes.extend([protocol, hop_limit]);
    bytes.extend(source.octets());
    bytes.extend([0; 16]);
    bytes
}

fn udp(bytes: &mut Vec<u8>, ports: [u16; 2], payload: &[u8]) {
    ports.iter().for_each(|port| bytes.extend(port.to_be_bytes()));
    bytes.extend(length(8 + payload.len()));
    bytes.extend([0, 0]);
    bytes.extend(payload);
}

/// No frame is so long; one that were does not fit the programs' table.
fn length(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}

/// The ones' complement sum of parts, each from an even place on.
fn sum(parts: &[&[u8]]) -> u16 {
    let words = parts
        .iter()
        .flat_map(|part| part.chunks(2))
        .map(|word| u64::from(u16::from_be_bytes([word[0], word.get(1).copied().unwrap_or(0)])));
    let mut sum: u64 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap_or(u16::MAX)
}
