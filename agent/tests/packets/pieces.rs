//! IP packets with extension headers, and cut into fragments.

use crate::builder::{Mac, ethernet};

pub const HOP_BY_HOP: u8 = 0;
pub const ROUTING: u8 = 43;
pub const FRAGMENT: u8 = 44;
pub const AH: u8 = 51;
pub const DESTINATION: u8 = 60;

/// An extension header: what it is, and its bytes, of which the first is filled in.
pub type Extension = (u8, Vec<u8>);

/// Options of no meaning, `units` times 8 bytes beyond the first.
pub fn options(kind: u8, units: u8) -> Extension {
    let mut bytes = vec![0; 8 + 8 * usize::from(units)];
    bytes[1] = units;
    (kind, bytes)
}

/// Without segments that are left.
pub fn routing(kind: u8) -> Extension {
    (ROUTING, vec![0, 0, kind, 0, 0, 0, 0, 0])
}

/// With an integrity value of 12 bytes.
pub fn authentication() -> Extension {
    let mut bytes = vec![0x77; 24];
    bytes[1] = 4;
    (AH, bytes)
}

pub fn fragment_header(id: u32, offset: u16, more: bool) -> Extension {
    let mut bytes = vec![0, 0];
    bytes.extend((offset | u16::from(more)).to_be_bytes());
    bytes.extend(id.to_be_bytes());
    (FRAGMENT, bytes)
}

/// An IPv6 packet with these headers before what it carries.
pub fn extended(ip: &[u8], chain: &[Extension]) -> Vec<u8> {
    let (mut out, mut next_at) = (ip[..40].to_vec(), 6);
    let carried = ip[6];
    for (kind, bytes) in chain {
        out[next_at] = *kind;
        next_at = out.len();
        out.extend(bytes);
    }
    out[next_at] = carried;
    out.extend(&ip[40..]);
    let length = (out.len() - 40) as u16;
    out[4..6].copy_from_slice(&length.to_be_bytes());
    out
}

/// The part of an IP packet's payload from `start` to `end`, as a fragment; it says that more follow unless it is told
/// that it is the last.
pub fn part(ip: &[u8], id: u16, start: usize, end: usize, more: bool) -> Vec<u8> {
    let offset = start as u16;
    if ip[0] >> 4 == 6 {
        let mut header = ip[..40].to_vec();
        header.extend(&ip[40 + start..40 + end]);
        return extended(&header, &[fragment_header(id.into(), offset, more)]);
    }
    let length = usize::from(ip[0] & 15) * 4;
    let mut out = ip[..length].to_vec();
    out.extend(&ip[length + start..length + end]);
    let total = out.len() as u16;
    out[2..4].copy_from_slice(&total.to_be_bytes());
    out[4..6].copy_from_slice(&id.to_be_bytes());
    out[6..8].copy_from_slice(&((offset / 8) | (u16::from(more) << 13)).to_be_bytes());
    out[10..12].fill(0);
    let sum = !crate::checksum::sum(&out[..length]);
    out[10..12].copy_from_slice(&sum.to_be_bytes());
    out
}

/// An IP packet as fragments that begin at 0 and at these offsets.
pub fn fragments(ip: &[u8], id: u16, cuts: &[usize]) -> Vec<Vec<u8>> {
    let payload = ip.len() - if ip[0] >> 4 == 6 { 40 } else { usize::from(ip[0] & 15) * 4 };
    let starts = std::iter::once(0).chain(cuts.iter().copied());
    let ends = cuts.iter().copied().chain([payload]);
    starts.zip(ends).map(|(start, end)| part(ip, id, start, end, end < payload)).collect()
}

/// The packet in a frame.
pub fn framed(src: Mac, dst: Mac, ip: &[u8]) -> Vec<u8> {
    ethernet(dst, src, if ip[0] >> 4 == 4 { 0x0800 } else { 0x86dd }, ip)
}
