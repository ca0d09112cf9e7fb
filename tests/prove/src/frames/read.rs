//! What a frame says, read byte by byte from the RFCs and from nothing else: slow, obvious, and written apart from the
//! programs, so that each can be set against the other.
//!
//! Strict where a packet is judged: every byte that says who speaks to whom about what must be there, once, and inside of
//! what the headers around it say is theirs. What judges nothing (checksums, the length field of UDP, the content of
//! options) is for the receiver to refuse.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ringfence_agent::engine::Tuple;
use ringfence_policy::evaluate::Traffic;

const ARP: u16 = 0x0806;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const VLAN: u16 = 0x8100;
/// An Ethernet header without a tag.
pub const ETHERNET: usize = 14;

/// An Ethernet frame that carries something read here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// To whom.
    pub dst_mac: [u8; 6],
    /// Of whom.
    pub src_mac: [u8; 6],
    /// Whether it bears a priority tag, of no network.
    pub tagged: bool,
    /// Where what it carries begins.
    pub at: usize,
    /// What it carries.
    pub carries: Carried,
}

/// What a frame carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carried {
    /// RFC 826; `None`: not for IPv4 on Ethernet, or cut short.
    Arp(Option<Arp>),
    /// An IP packet.
    Ip(Packet),
}

/// An ARP message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arp {
    /// 1: a request.
    pub operation: u16,
    /// Of the sender.
    pub sender: ([u8; 6], Ipv4Addr),
    /// Who is asked for.
    pub target: Ipv4Addr,
}

/// An IP packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// The source.
    pub src: IpAddr,
    /// The destination.
    pub dst: IpAddr,
    /// TTL, or hop limit.
    pub ttl: u8,
    /// Bytes of the packet, from the IP header on.
    pub length: usize,
    /// The part it is, unless it is whole.
    pub fragment: Option<Fragment>,
    /// What it says; of a later fragment only the protocol is known.
    pub says: Says,
}

/// A part of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// The identification that all parts share.
    pub id: u32,
    /// The protocol that the first header after this one is of.
    pub next: u8,
    /// Where in the whole its first byte stands.
    pub offset: usize,
    /// Whether more follow.
    pub more: bool,
    /// Of a first one: bytes from its start on that were judged and that no later one may change.
    pub judged: usize,
}

/// The upper layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Says {
    /// Source port, destination port, flags.
    Tcp(u16, u16, u8),
    /// Source port, destination port.
    Udp(u16, u16),
    /// The same.
    Sctp(u16, u16),
    /// ICMP of its family: type, code, identifier of an echo, and what an error quotes.
    Icmp {
        /// Its type.
        kind: u8,
        /// Its code.
        code: u8,
        /// Of an echo, or its reply.
        id: u16,
        /// Of an error, if that can be read.
        quote: Option<Box<Quote>>,
    },
    /// Another protocol.
    Other(u8),
    /// Nothing: the rest of a packet whose first fragment said it.
    Rest,
}

/// A packet that an ICMP error tells of, as far as it is quoted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Who had sent it.
    pub src: IpAddr,
    /// To whom.
    pub dst: IpAddr,
    /// What it said.
    pub says: Says,
}

/// Why a frame says nothing that may pass.
pub type Malformed = &'static str;

/// Reads a frame.
///
/// # Errors
/// What is wrong with it.
pub fn read(frame: &[u8]) -> Result<Frame, Malformed> {
    let mac = |at: usize| Some(*frame.get(at..)?.first_chunk::<6>()?);
    let (Some(dst_mac), Some(src_mac)) = (mac(0), mac(6)) else { return Err("no MAC addresses") };
    let mut at = ETHERNET;
    let mut kind = u16_at(frame, 12).ok_or("no ethertype")?;
    let tagged = kind == VLAN;
    if tagged {
        // IEEE 802.1Q: the lower 12 bits are the network; 0 is none.
        if u16_at(frame, 14).ok_or("half a tag")? & 0x0fff != 0 {
            return Err("of a VLAN");
        }
        kind = u16_at(frame, 16).ok_or("half a tag")?;
        at += 4;
    }
    let carried = &frame[at.min(frame.len())..];
    let carries = match kind {
        ARP => Carried::Arp(arp(carried)),
        IPV4 => Carried::Ip(ipv4(carried)?),
        IPV6 => Carried::Ip(ipv6(carried)?),
        _ => return Err("an ethertype that is not ours"),
    };
    Ok(Frame { dst_mac, src_mac, tagged, at, carries })
}

impl Frame {
    /// Whose connection speaks for it, if it is whole and of a protocol with ports.
    pub fn tuple(&self) -> Option<Tuple> {
        let Carried::Ip(packet) = &self.carries else { return None };
        let (protocol, source, destination) = match packet.says {
            Says::Tcp(source, destination, _) => (6, source, destination),
            Says::Udp(source, destination) => (17, source, destination),
            _ => return None,
        };
        let whole = packet.fragment.is_none();
        whole.then_some(Tuple { addresses: [packet.src, packet.dst], ports: [source, destination], protocol })
    }
}

impl Packet {
    /// The question that policy is asked of it as the first packet of a flow; `None`: of the rest of a packet none.
    pub fn traffic(&self) -> Option<Traffic> {
        Some(match self.says {
            Says::Tcp(_, port, _) => Traffic::Tcp(port),
            Says::Udp(_, port) => Traffic::Udp(port),
            Says::Sctp(_, port) => Traffic::Sctp(port),
            Says::Icmp { kind, code, .. } if self.src.is_ipv4() => Traffic::Icmp(kind, code),
            Says::Icmp { kind, code, .. } => Traffic::Icmp6(kind, code),
            Says::Other(protocol) => Traffic::Other(protocol),
            Says::Rest => return None,
        })
    }
}

fn arp(bytes: &[u8]) -> Option<Arp> {
    let head = bytes.first_chunk::<28>()?;
    if head[..6] != [0, 1, 8, 0, 6, 4] {
        return None;
    }
    let ip = |at: usize| Ipv4Addr::new(head[at], head[at + 1], head[at + 2], head[at + 3]);
    let mut mac = [0; 6];
    mac.copy_from_slice(&head[8..14]);
    Some(Arp { operation: u16::from_be_bytes([head[6], head[7]]), sender: (mac, ip(14)), target: ip(24) })
}

/// RFC 791.
fn ipv4(bytes: &[u8]) -> Result<Packet, Malformed> {
    let head = bytes.first_chunk::<20>().ok_or("IPv4 header cut short")?;
    let header = usize::from(head[0] & 0x0f) * 4;
    let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
    if head[0] >> 4 != 4 || header < 20 || length < header {
        return Err("IPv4 header contradicts itself");
    }
    let payload = bytes.get(header..length).ok_or("IPv4 packet cut short")?;
    let ip = |at: usize| IpAddr::from([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let place = u16::from_be_bytes([head[6], head[7]]);
    let (offset, more) = (usize::from(place & 0x1fff) * 8, place & 0x2000 != 0);
    let id = u32::from(u16::from_be_bytes([head[4], head[5]]));
    let next = head[9];
    let mut fragment = None;
    if offset > 0 || more {
        fragment = Some(part(id, next, offset, more, payload.len())?);
    }
    let (says, judged) = if offset > 0 { (Says::Rest, 0) } else { upper(next, payload, false)? };
    let fragment = fragment.map(|it| Fragment { judged, ..it });
    Ok(Packet { src: ip(12), dst: ip(16), ttl: head[8], length, fragment, says })
}

/// RFC 8200.
fn ipv6(bytes: &[u8]) -> Result<Packet, Malformed> {
    let head = bytes.first_chunk::<40>().ok_or("IPv6 header cut short")?;
    if head[0] >> 4 != 6 {
        return Err("IPv6 header contradicts itself");
    }
    let length = 40 + usize::from(u16::from_be_bytes([head[4], head[5]]));
    let payload = bytes.get(40..length).ok_or("IPv6 packet cut short")?;
    let ip = |at: usize| {
        let mut octets = [0; 16];
        octets.copy_from_slice(&head[at..at + 16]);
        IpAddr::from(octets)
    };
    let (src, dst, ttl) = (ip(8), ip(24), head[7]);
    let Chain { fragment, next, at, base } = chain(head[6], payload, false)?;
    let (says, judged) = match fragment {
        Some(Fragment { offset: 1.., .. }) => (Says::Rest, 0),
        _ => upper(next, &payload[at..], true)?,
    };
    // An atomic fragment (RFC 6946) is a whole packet.
    let fragment = fragment.filter(|it| it.offset > 0 || it.more);
    let fragment = fragment.map(|it| Fragment { judged: at - base + judged, ..it });
    Ok(Packet { src, dst, ttl, length, fragment, says })
}

/// Where the extension headers of a packet end.
struct Chain {
    fragment: Option<Fragment>,
    /// The protocol of what follows.
    next: u8,
    /// Where that begins.
    at: usize,
    /// Where what the fragment carries begins.
    base: usize,
}

/// RFC 8200 section 4, RFC 4302, RFC 5095. `quoted`: of a packet that may be cut off.
fn chain(first: u8, payload: &[u8], quoted: bool) -> Result<Chain, Malformed> {
    let mut chain = Chain { fragment: None, next: first, at: 0, base: 0 };
    let mut headers = 0;
    loop {
        let header = payload.get(chain.at..).unwrap_or_default();
        let size = match chain.next {
            0 if headers > 0 => return Err("hop-by-hop options that are not first"),
            0 | 60 => 8 + 8 * usize::from(*header.get(1).ok_or("extension header cut short")?),
            43 => {
                if *header.get(2).ok_or("extension header cut short")? == 0 {
                    return Err("a routing header of type 0");
                }
                8 + 8 * usize::from(header[1])
            }
            51 => 8 + 4 * usize::from(*header.get(1).ok_or("extension header cut short")?),
            44 => 8,
            _ => return Ok(chain),
        };
        if header.len() < size {
            return Err("extension header cut short");
        }
        if chain.next == 44 {
            if chain.fragment.is_some() {
                return Err("a fragment of a fragment");
            }
            let place = u16::from_be_bytes([header[2], header[3]]);
            let id = u32::from_be_bytes([header[4], header[5], header[6], header[7]]);
            let (offset, more) = (usize::from(place & 0xfff8), place & 1 != 0);
            let carried = header.len() - size;
            chain.base = chain.at + size;
            let fragment = Fragment { id, next: header[0], offset, more, judged: 0 };
            chain.fragment = Some(if quoted { fragment } else { part(id, header[0], offset, more, carried)? });
            if offset > 0 {
                return Ok(Chain { next: header[0], at: chain.base, ..chain });
            }
        }
        chain.next = header[0];
        chain.at += size;
        headers += 1;
    }
}

/// RFC 791 3.2, RFC 8200 4.5: parts but the last are of whole 8 bytes, and none reaches beyond the longest packet.
fn part(id: u32, next: u8, offset: usize, more: bool, carried: usize) -> Result<Fragment, Malformed> {
    if more && !carried.is_multiple_of(8) {
        return Err("a fragment that is not of whole 8 bytes");
    }
    if offset + carried > 65535 {
        return Err("a fragment beyond the longest packet");
    }
    Ok(Fragment { id, next, offset, more, judged: 0 })
}

/// The upper layer of a whole packet, or of a first fragment, which must have all of its header (RFC 1858, RFC 7112);
/// and how many of its bytes were judged.
fn upper(protocol: u8, bytes: &[u8], v6: bool) -> Result<(Says, usize), Malformed> {
    let (says, judged) = says(protocol, bytes, v6)?;
    let whole = match says {
        Says::Tcp(..) => {
            let header = usize::from(bytes.get(12).ok_or("TCP header cut short")? >> 4) * 4;
            if header < 20 {
                return Err("TCP header contradicts itself");
            }
            header
        }
        Says::Sctp(..) => 12,
        Says::Udp(..) | Says::Icmp { .. } => 8,
        Says::Other(_) | Says::Rest => 0,
    };
    if bytes.len() < whole {
        return Err("upper header cut short");
    }
    Ok((says, judged))
}

/// What can be told of the first bytes of an upper layer, and how many tell it.
fn says(protocol: u8, bytes: &[u8], v6: bool) -> Result<(Says, usize), Malformed> {
    let cut = "upper header cut short";
    let ports = || Some((u16_at(bytes, 0)?, u16_at(bytes, 2)?));
    Ok(match protocol {
        6 => {
            let (source, destination) = ports().ok_or(cut)?;
            // Flags that are quoted may be cut off; they are not needed there.
            (Says::Tcp(source, destination, bytes.get(13).copied().unwrap_or(0)), 14)
        }
        17 => ports().map(|(source, destination)| (Says::Udp(source, destination), 4)).ok_or(cut)?,
        132 => ports().map(|(source, destination)| (Says::Sctp(source, destination), 4)).ok_or(cut)?,
        1 | 58 if v6 != (protocol == 58) => return Err("ICMP of the other family"),
        1 | 58 => {
            let head = bytes.first_chunk::<8>().ok_or(cut)?;
            let (kind, code) = (head[0], head[1]);
            let error = if v6 { (1..=4).contains(&kind) } else { matches!(kind, 3 | 11 | 12) };
            let quote = if error { quote(&bytes[8..], v6) } else { None };
            // What is quoted decides, too: 8 bytes behind the longest headers that are read.
            let judged = if error { bytes.len().max(8) } else { 8 };
            (Says::Icmp { kind, code, id: u16::from_be_bytes([head[4], head[5]]), quote: quote.map(Box::new) }, judged)
        }
        other => (Says::Other(other), 0),
    })
}

/// What an error quotes (RFC 792, RFC 4443): the IP header and at least 8 bytes more.
fn quote(bytes: &[u8], v6: bool) -> Option<Quote> {
    if v6 {
        let head = bytes.first_chunk::<40>()?;
        let ip = |at: usize| Some(IpAddr::V6(Ipv6Addr::from(*head.get(at..)?.first_chunk::<16>()?)));
        let chain = chain(head[6], &bytes[40..], true).ok()?;
        if head[0] >> 4 != 6 || chain.fragment.is_some_and(|it| it.offset > 0) {
            return None;
        }
        let (says, _) = says_quoted(chain.next, bytes.get(40 + chain.at..)?, true)?;
        return Some(Quote { src: ip(8)?, dst: ip(24)?, says });
    }
    let head = bytes.first_chunk::<20>()?;
    let header = usize::from(head[0] & 0x0f) * 4;
    let later = u16::from_be_bytes([head[6], head[7]]) & 0x1fff != 0;
    if head[0] >> 4 != 4 || header < 20 || later {
        return None;
    }
    let ip = |at: usize| IpAddr::from([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let (says, _) = says_quoted(head[9], bytes.get(header..)?, false)?;
    Some(Quote { src: ip(12), dst: ip(16), says })
}

fn says_quoted(protocol: u8, bytes: &[u8], v6: bool) -> Option<(Says, usize)> {
    if bytes.len() < 8 {
        return None;
    }
    let (mut said, judged) = says(protocol, bytes, v6).ok()?;
    if let Says::Icmp { quote, .. } = &mut said {
        *quote = None;
    }
    Some((said, judged))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}
