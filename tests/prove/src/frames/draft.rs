//! Packets as they are written: everything a frame is made of, before mutation.

use std::net::IpAddr;

use super::read::ETHERNET;

/// A packet and the frame around it; lengths, next headers and checksums follow.
#[derive(Clone, Debug)]
pub struct Draft {
    /// Of whom.
    pub src_mac: [u8; 6],
    /// To whom.
    pub dst_mac: [u8; 6],
    /// Tag control of an 802.1Q tag.
    pub tag: Option<u16>,
    /// The source.
    pub src: IpAddr,
    /// The destination, of the same family.
    pub dst: IpAddr,
    /// TTL, or hop limit.
    pub ttl: u8,
    /// Options of IPv4, of whole 4 bytes.
    pub options: Vec<u8>,
    /// Extension headers of IPv6: their number and all of their bytes but the first.
    pub extensions: Vec<(u8, Vec<u8>)>,
    /// Identification of its fragments.
    pub id: u16,
    /// The upper layer's number.
    pub protocol: u8,
    /// The upper layer, header and payload; its checksum is filled in.
    pub upper: Vec<u8>,
}

/// Where one part of a packet begins and ends, in bytes of what is cut.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    /// A multiple of 8.
    pub start: usize,
    /// A multiple of 8, or the end.
    pub end: usize,
}

impl Draft {
    /// The packet in one frame.
    pub fn frame(&self) -> Vec<u8> {
        let upper = self.summed();
        let (next, extensions) = chained(&self.extensions, self.protocol);
        if self.src.is_ipv4() {
            self.framed(&self.ipv4(&upper, 0))
        } else {
            self.framed(&self.ipv6(next, &[extensions, upper].concat()))
        }
    }

    /// The packet in parts. Extension headers of IPv6 are in what is cut, but for hop-by-hop options.
    pub fn fragments(&self, cuts: &[Cut]) -> Vec<Vec<u8>> {
        let upper = self.summed();
        let hops = self.extensions.iter().take_while(|(number, _)| *number == 0).count();
        let (each_hop, ends) = self.extensions.split_at(hops);
        let (next, carried) = chained(ends, self.protocol);
        let whole = if self.src.is_ipv4() { upper } else { [carried, upper].concat() };
        let part = |cut: &Cut| {
            let bytes = &whole[cut.start.min(whole.len())..cut.end.min(whole.len())];
            let more = cut.end < whole.len();
            let place = ((cut.start / 8) as u16, u16::from(more));
            if self.src.is_ipv4() {
                return self.framed(&self.ipv4(bytes, place.1 << 13 | place.0));
            }
            let mut header = vec![next, 0];
            header.extend((place.0 << 3 | place.1).to_be_bytes());
            header.extend(u32::from(self.id).to_be_bytes());
            let (first, hop_by_hop) = chained(each_hop, 44);
            self.framed(&self.ipv6(first, &[&hop_by_hop[..], &header, bytes].concat()))
        };
        cuts.iter().map(part).collect()
    }

    /// The bytes that fragments are cut from.
    pub fn carried(&self) -> usize {
        let ends = self.extensions.iter().filter(|(number, _)| *number != 0);
        let extensions: usize = ends.map(|(_, rest)| 1 + rest.len()).sum();
        self.upper.len() + if self.src.is_ipv4() { 0 } else { extensions }
    }

    /// The IP packet alone, as an error quotes it.
    pub fn packet(&self) -> Vec<u8> {
        let untagged = Self { tag: None, ..self.clone() };
        untagged.frame().split_off(ETHERNET)
    }

    fn framed(&self, packet: &[u8]) -> Vec<u8> {
        let mut frame = [self.dst_mac, self.src_mac].concat();
        if let Some(tag) = self.tag {
            frame.extend([0x81, 0]);
            frame.extend(tag.to_be_bytes());
        }
        frame.extend(if self.src.is_ipv4() { [8, 0] } else { [0x86, 0xdd] });
        frame.extend(packet);
        frame
    }

    fn ipv4(&self, payload: &[u8], place: u16) -> Vec<u8> {
        let words = 5 + self.options.len() / 4;
        let mut header = vec![0x40 | words as u8, 0];
        header.extend(((words * 4 + payload.len()) as u16).to_be_bytes());
        header.extend(self.id.to_be_bytes());
        header.extend(place.to_be_bytes());
        header.extend([self.ttl, self.protocol, 0, 0]);
        header.extend(octets(self.src));
        header.extend(octets(self.dst));
        header.extend(&self.options);
        let sum = !folded(sum(&header));
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        header.extend(payload);
        header
    }

    fn ipv6(&self, next: u8, payload: &[u8]) -> Vec<u8> {
        let mut header = vec![0x60, 0, 0, 0];
        header.extend((payload.len() as u16).to_be_bytes());
        header.extend([next, self.ttl]);
        header.extend(octets(self.src));
        header.extend(octets(self.dst));
        header.extend(payload);
        header
    }

    /// The upper layer with its checksum (RFC 1071), where it is one that has it; SCTP's is left zero.
    fn summed(&self) -> Vec<u8> {
        let mut upper = self.upper.clone();
        let at = match self.protocol {
            6 => 16,
            17 => 6,
            1 | 58 => 2,
            _ => return upper,
        };
        if upper.len() < at + 2 {
            return upper;
        }
        upper[at..at + 2].fill(0);
        let mut total = sum(&upper);
        if self.protocol != 1 {
            let pseudo = [octets(self.src), octets(self.dst)].concat();
            total += sum(&pseudo) + u64::from(self.protocol) + upper.len() as u64;
        }
        let sum = !folded(total);
        upper[at..at + 2].copy_from_slice(&sum.to_be_bytes());
        upper
    }
}

/// The number of the first header, and all of them, each naming the next.
fn chained(extensions: &[(u8, Vec<u8>)], last: u8) -> (u8, Vec<u8>) {
    let (mut next, mut bytes) = (last, Vec::new());
    for (number, rest) in extensions.iter().rev() {
        bytes = [&[next], &rest[..], &bytes].concat();
        next = *number;
    }
    (next, bytes)
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

fn sum(bytes: &[u8]) -> u64 {
    let word = |pair: &[u8]| u64::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
    bytes.chunks(2).map(word).sum()
}

fn folded(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// Whether the checksum of an IPv4 header holds.
pub fn ipv4_sum_holds(packet: &[u8]) -> bool {
    let header = packet.first().map_or(0, |first| usize::from(first & 0x0f) * 4);
    packet.get(..header).is_some_and(|header| folded(sum(header)) == 0xffff)
}
