//! Ethernet frames, from the few things that a test is about.

use std::net::IpAddr;

use crate::checksum;

pub type Mac = [u8; 6];

pub const SYN: u8 = 0x02;
pub const ACK: u8 = 0x10;
pub const FIN: u8 = 0x01;
pub const RST: u8 = 0x04;

pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const ICMP: u8 = 1;
pub const ICMPV6: u8 = 58;
pub const SCTP: u8 = 132;

/// An IP packet in a frame; `build` fills in lengths and checksums.
#[derive(Clone, Debug)]
pub struct Packet {
    pub src_mac: Mac,
    pub dst_mac: Mac,
    pub src: IpAddr,
    pub dst: IpAddr,
    pub ttl: u8,
    pub l4_proto: u8,
    /// IPv4 options, a multiple of 4 bytes.
    pub options: Vec<u8>,
    /// Header and payload, with a checksum of zero.
    pub l4: Vec<u8>,
    /// Where the checksum is in it.
    checksum_at: Option<usize>,
}

impl Packet {
    fn new(src: IpAddr, dst: IpAddr, l4_proto: u8, l4: Vec<u8>, at: Option<usize>) -> Self {
        let (src_mac, dst_mac) = ([0; 6], [0; 6]);
        Self { src_mac, dst_mac, src, dst, ttl: 64, l4_proto, options: vec![], l4, checksum_at: at }
    }

    pub fn tcp(src: IpAddr, dst: IpAddr, ports: (u16, u16), flags: u8) -> Self {
        let mut l4 = ports_header(ports);
        l4.extend([0, 0, 0, 1, 0, 0, 0, 0, 5 << 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
        Self::new(src, dst, TCP, l4, Some(16))
    }

    pub fn udp(src: IpAddr, dst: IpAddr, ports: (u16, u16)) -> Self {
        let mut l4 = ports_header(ports);
        l4.extend([0, 8, 0, 0]);
        Self::new(src, dst, UDP, l4, Some(6))
    }

    /// A common header, and the chunk of a beginning; its checksum, a CRC, stays zero.
    pub fn sctp(src: IpAddr, dst: IpAddr, ports: (u16, u16)) -> Self {
        let mut l4 = ports_header(ports);
        l4.extend([0; 8]);
        l4.extend([1, 0, 0, 4]);
        Self::new(src, dst, SCTP, l4, None)
    }

    /// An ICMP or ICMPv6 message, by the family.
    pub fn icmp(src: IpAddr, dst: IpAddr, kind: (u8, u8), rest: [u8; 4]) -> Self {
        let l4_proto = if src.is_ipv4() { ICMP } else { ICMPV6 };
        let mut l4 = vec![kind.0, kind.1, 0, 0];
        l4.extend(rest);
        Self::new(src, dst, l4_proto, l4, Some(2))
    }

    pub fn echo_request(src: IpAddr, dst: IpAddr, id: u16) -> Self {
        let kind = if src.is_ipv4() { 8 } else { 128 };
        Self::icmp(src, dst, (kind, 0), [(id >> 8) as u8, id as u8, 0, 1])
    }

    pub fn echo_reply(src: IpAddr, dst: IpAddr, id: u16) -> Self {
        let kind = if src.is_ipv4() { 0 } else { 129 };
        Self::icmp(src, dst, (kind, 0), [(id >> 8) as u8, id as u8, 0, 1])
    }

    pub fn other(src: IpAddr, dst: IpAddr, l4_proto: u8) -> Self {
        Self::new(src, dst, l4_proto, vec![0; 8], None)
    }

    pub fn macs(mut self, src: Mac, dst: Mac) -> Self {
        (self.src_mac, self.dst_mac) = (src, dst);
        self
    }

    pub fn ttl(mut self, ttl: u8) -> Self {
        self.ttl = ttl;
        self
    }

    /// Adds bytes behind what is there.
    pub fn payload(mut self, bytes: &[u8]) -> Self {
        self.l4.extend(bytes);
        self
    }

    /// Makes the IP packet `length` bytes long.
    pub fn length(mut self, length: usize) -> Self {
        let header = if self.src.is_ipv4() { 20 + self.options.len() } else { 40 };
        self.l4.resize(length - header, 0x5a);
        self
    }

    /// The IP packet alone.
    pub fn ip(&self) -> Vec<u8> {
        let mut l4 = self.l4.clone();
        if self.l4_proto == UDP {
            let length = l4.len() as u16;
            l4[4..6].copy_from_slice(&length.to_be_bytes());
        }
        if let Some(at) = self.checksum_at {
            let sum = if self.l4_proto == ICMP {
                checksum::sum(&l4)
            } else {
                checksum::transport_sum(self.src, self.dst, self.l4_proto, &l4)
            };
            l4[at..at + 2].copy_from_slice(&(!sum).to_be_bytes());
        }
        let mut ip = match (self.src, self.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                let words = 5 + self.options.len() / 4;
                let mut ip = vec![0x40 | words as u8, 0];
                ip.extend(((words * 4 + l4.len()) as u16).to_be_bytes());
                ip.extend([0, 1, 0x40, 0, self.ttl, self.l4_proto, 0, 0]);
                ip.extend(src.octets());
                ip.extend(dst.octets());
                ip.extend(&self.options);
                let sum = !checksum::sum(&ip);
                ip[10..12].copy_from_slice(&sum.to_be_bytes());
                ip
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                let mut ip = vec![0x60, 0, 0, 0];
                ip.extend((l4.len() as u16).to_be_bytes());
                ip.extend([self.l4_proto, self.ttl]);
                ip.extend(src.octets());
                ip.extend(dst.octets());
                ip
            }
            _ => panic!("a packet has one family"),
        };
        ip.extend(l4);
        ip
    }

    pub fn build(&self) -> Vec<u8> {
        let ethertype = if self.src.is_ipv4() { 0x0800 } else { 0x86dd };
        ethernet(self.dst_mac, self.src_mac, ethertype, &self.ip())
    }
}

fn ports_header((source, dest): (u16, u16)) -> Vec<u8> {
    [source.to_be_bytes(), dest.to_be_bytes()].concat()
}

pub fn ethernet(dst: Mac, src: Mac, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = [dst, src].concat();
    frame.extend(ethertype.to_be_bytes());
    frame.extend(payload);
    frame
}

/// An ARP packet for Ethernet and IPv4.
pub fn arp(operation: u16, sender: (Mac, [u8; 4]), target: (Mac, [u8; 4])) -> Vec<u8> {
    let mut arp = vec![0, 1, 8, 0, 6, 4];
    arp.extend(operation.to_be_bytes());
    arp.extend(sender.0);
    arp.extend(sender.1);
    arp.extend(target.0);
    arp.extend(target.1);
    arp
}

/// The error that a router or host sends about `about`, an IP packet.
pub fn icmp_error(src: IpAddr, dst: IpAddr, about: &[u8]) -> Packet {
    let kind = if src.is_ipv4() { (3, 1) } else { (1, 0) };
    Packet::icmp(src, dst, kind, [0; 4]).payload(&about[..about.len().min(64)])
}
