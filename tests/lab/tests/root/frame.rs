//! Ethernet frames, octet by octet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ringfence_lab::probe::checksum::internet_checksum;

pub(super) const UDP: u8 = 17;
pub(super) const TCP: u8 = 6;
pub(super) const ICMP: u8 = 1;
pub(super) const ICMP6: u8 = 58;

/// A frame from `source` to `target` that carries `tag` where its protocol has room for it: a UDP
/// payload, an echo request's data, or the sequence number of a SYN.
pub(super) fn frame(macs: [[u8; 6]; 2], source: IpAddr, target: IpAddr, protocol: u8, tag: u32) -> Vec<u8> {
    let [source_mac, target_mac] = macs;
    let payload = transport(source, target, protocol, tag);
    let (ethertype, packet) = match (source, target) {
        (IpAddr::V4(source), IpAddr::V4(target)) => (0x0800_u16, ipv4(source, target, protocol, &payload)),
        (IpAddr::V6(source), IpAddr::V6(target)) => (0x86dd, ipv6(source, target, protocol, &payload)),
        _ => panic!("{source} and {target} are not of one family"),
    };
    [&target_mac[..], &source_mac, &ethertype.to_be_bytes(), &packet].concat()
}

/// A frame as above of TCP or UDP, from and to ports of one's own.
pub(super) fn frame_of_ports(macs: [[u8; 6]; 2], ends: [IpAddr; 2], protocol: u8, ports: [u16; 2]) -> Vec<u8> {
    let [source, target] = ends;
    let mut frame = frame(macs, source, target, protocol, 0);
    let l4 = if source.is_ipv4() { 14 + 20 } else { 14 + 40 };
    let checksum = l4 + if protocol == UDP { 6 } else { 16 };
    for (place, port) in [(l4, ports[0]), (l4 + 2, ports[1])] {
        frame[place..place + 2].copy_from_slice(&port.to_be_bytes());
    }
    frame[checksum..checksum + 2].fill(0);
    let header = pseudo_header(source, target, protocol, frame.len() - l4);
    let sum = internet_checksum(&[&header, &frame[l4..]].concat());
    frame[checksum..checksum + 2].copy_from_slice(&sum);
    frame
}

/// The MAC address of a multicast group, or broadcast.
pub(super) fn group_mac(target: IpAddr) -> [u8; 6] {
    match target {
        IpAddr::V4(it) if it.is_multicast() => {
            let [_, b, c, d] = it.octets();
            [0x01, 0x00, 0x5e, b & 0x7f, c, d]
        }
        IpAddr::V4(_) => [0xff; 6],
        IpAddr::V6(it) => {
            let [.., a, b, c, d] = it.octets();
            [0x33, 0x33, a, b, c, d]
        }
    }
}

fn ipv4(source: Ipv4Addr, target: Ipv4Addr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut header = vec![0x45, 0];
    header.extend((20 + payload.len() as u16).to_be_bytes());
    header.extend([0, 0, 0x40, 0, 64, protocol, 0, 0]);
    header.extend(source.octets());
    header.extend(target.octets());
    let sum = internet_checksum(&header);
    header[10..12].copy_from_slice(&sum);
    [&header, payload].concat()
}

fn ipv6(source: Ipv6Addr, target: Ipv6Addr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut header = vec![0x60, 0, 0, 0];
    header.extend((payload.len() as u16).to_be_bytes());
    header.extend([protocol, 64]);
    header.extend(source.octets());
    header.extend(target.octets());
    [&header, payload].concat()
}

fn transport(source: IpAddr, target: IpAddr, protocol: u8, tag: u32) -> Vec<u8> {
    let tag = tag.to_be_bytes();
    let (mut segment, place) = match protocol {
        UDP => ([&[0x1e, 0x61, 0x1e, 0x61, 0, 12, 0, 0][..], &tag].concat(), 6),
        TCP => {
            // Ports 7777, no acknowledgement, 20 octets of header, SYN, a window.
            let rest = [0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0];
            ([&[0x1e, 0x61, 0x1e, 0x61][..], &tag, &rest].concat(), 16)
        }
        ICMP => ([&[8, 0, 0, 0, 0, 1, 0, 1][..], &tag].concat(), 2),
        ICMP6 => ([&[128, 0, 0, 0, 0, 1, 0, 1][..], &tag].concat(), 2),
        _ => panic!("protocol {protocol} is not known here"),
    };
    let sum = if protocol == ICMP {
        internet_checksum(&segment)
    } else {
        internet_checksum(&[&pseudo_header(source, target, protocol, segment.len()), &segment[..]].concat())
    };
    segment[place..place + 2].copy_from_slice(&sum);
    segment
}

fn pseudo_header(source: IpAddr, target: IpAddr, protocol: u8, length: usize) -> Vec<u8> {
    let mut header = Vec::new();
    for address in [source, target] {
        match address {
            IpAddr::V4(it) => header.extend(it.octets()),
            IpAddr::V6(it) => header.extend(it.octets()),
        }
    }
    // The same sum in both families: zeros do not count.
    header.extend((length as u32).to_be_bytes());
    header.extend([0, 0, 0, protocol]);
    header
}
