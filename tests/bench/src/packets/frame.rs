//! A TCP packet as it is on the wire.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Without which a packet opens nothing.
pub(super) const SYN: u8 = 0x02;
/// Of a flow under way.
pub(super) const ACK: u8 = 0x10;

/// Hop limit of every frame; the stage restores it.
pub(super) const TTL: u8 = 64;

/// What it carries: enough for the least that a test run takes in either family.
const PAYLOAD: [u8; 12] = [0; 12];

/// What tells frames apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub(super) macs: [[u8; 6]; 2],
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    /// Source and destination.
    pub(super) ports: [u16; 2],
    pub(super) flags: u8,
}

impl Frame {
    /// Destination and source, as they come first.
    pub(super) fn mac_bytes(&self) -> [u8; 12] {
        let mut bytes = [0; 12];
        let [destination, source] = self.macs;
        bytes[..6].copy_from_slice(&destination);
        bytes[6..].copy_from_slice(&source);
        bytes
    }

    /// The same flow's other packets.
    pub(super) fn with_flags(self, flags: u8) -> Self {
        Self { flags, ..self }
    }

    /// All of it. The TCP checksum is zero: whether it holds is for those to see who the packet is for.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let ports = self.ports.map(u16::to_be_bytes).concat();
        let rest = [0, 0, 0, 1, 0, 0, 0, 1, 5 << 4, self.flags, 0xff, 0xff, 0, 0, 0, 0];
        let tcp = [&ports[..], &rest, &PAYLOAD].concat();
        let (ethertype, ip) = match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => ([0x08, 0x00], ipv4(source, destination, tcp.len())),
            (source, destination) => ([0x86, 0xdd], ipv6(v6(source), v6(destination), tcp.len())),
        };
        [&self.mac_bytes()[..], &ethertype, &ip, &tcp].concat()
    }

    /// TTL, protocol and checksum of its IPv4 header, as the stage restores them; 0 of an IPv6 packet.
    pub(super) fn ip_head(&self) -> u32 {
        match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let header = ipv4(source, destination, 20 + PAYLOAD.len());
                u32::from_ne_bytes([header[8], header[9], header[10], header[11]])
            }
            _ => 0,
        }
    }
}

fn v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

fn ipv4(source: Ipv4Addr, destination: Ipv4Addr, carried: usize) -> Vec<u8> {
    let [high, low] = length(20 + carried);
    let start = [0x45, 0, high, low, 0, 1, 0x40, 0, TTL, 6, 0, 0];
    let mut header = [&start[..], &source.octets(), &destination.octets()].concat();
    let sum = header.chunks_exact(2).map(|word| u32::from(word[0]) << 8 | u32::from(word[1])).sum::<u32>();
    let folded = (sum & 0xffff) + (sum >> 16);
    // 20 bytes carry once at most.
    let checksum = !((folded & 0xffff) + (folded >> 16)) as u16;
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    header
}

fn ipv6(source: Ipv6Addr, destination: Ipv6Addr, carried: usize) -> Vec<u8> {
    let [high, low] = length(carried);
    [&[0x60, 0, 0, 0, high, low, 6, TTL][..], &source.octets(), &destination.octets()].concat()
}

fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).unwrap_or(u16::MAX).to_be_bytes()
}
