//! Internet checksums, written again from RFC 1071 and apart from the programs'.

use std::net::IpAddr;

/// The ones' complement sum of big-endian words, an odd byte being the high one of its word.
pub fn sum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = 0;
    for word in bytes.chunks(2) {
        sum += u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// The sum of an upper-layer packet with its pseudo-header; 0xffff if its checksum is right.
pub fn transport_sum(src: IpAddr, dst: IpAddr, l4_proto: u8, l4: &[u8]) -> u16 {
    let mut bytes = Vec::new();
    match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            bytes.extend(src.octets());
            bytes.extend(dst.octets());
            bytes.extend([0, l4_proto]);
            bytes.extend((l4.len() as u16).to_be_bytes());
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            bytes.extend(src.octets());
            bytes.extend(dst.octets());
            bytes.extend((l4.len() as u32).to_be_bytes());
            bytes.extend([0, 0, 0, l4_proto]);
        }
        _ => panic!("a packet has one family"),
    }
    bytes.extend(l4);
    sum(&bytes)
}

/// Panics unless every checksum of an IP packet (TCP, UDP, ICMP, ICMPv6) is right.
pub fn assert_right(ip: &[u8]) {
    if ip[0] >> 4 == 4 {
        let header = usize::from(ip[0] & 15) * 4;
        assert_eq!(sum(&ip[..header]), 0xffff, "IPv4 header checksum");
        let (src, dst) = (address4(&ip[12..16]), address4(&ip[16..20]));
        if ip[9] == 1 {
            assert_eq!(sum(&ip[header..]), 0xffff, "ICMP checksum");
        } else {
            assert_eq!(transport_sum(src, dst, ip[9], &ip[header..]), 0xffff, "L4 checksum");
        }
    } else {
        let (src, dst) = (address6(&ip[8..24]), address6(&ip[24..40]));
        assert_eq!(transport_sum(src, dst, ip[6], &ip[40..]), 0xffff, "L4 checksum");
    }
}

fn address4(bytes: &[u8]) -> IpAddr {
    IpAddr::from(<[u8; 4]>::try_from(bytes).unwrap())
}

fn address6(bytes: &[u8]) -> IpAddr {
    IpAddr::from(<[u8; 16]>::try_from(bytes).unwrap())
}
