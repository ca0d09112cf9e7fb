//! What a rule says of the protocol and its numbers.

use std::str::FromStr;

use super::name::check_port_name;

/// Traffic that a rule speaks of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Traffic {
    /// Every protocol.
    Any,
    /// TCP.
    Tcp(Ports),
    /// UDP.
    Udp(Ports),
    /// SCTP.
    Sctp(Ports),
    /// ICMP: IPv4 only.
    Icmp(IcmpTypes),
    /// ICMPv6: IPv6 only.
    Icmp6(IcmpTypes),
    /// IPv4's protocol, or the header that ends IPv6's chain.
    Protocol(u8),
}

/// Which destination ports.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ports {
    /// These.
    Range(PortRange),
    /// The one that the destination's workload has under this name; none if it has none.
    Named(String),
}

/// Which ICMP messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IcmpTypes {
    /// All.
    All,
    /// Those of a type.
    Type(u8),
    /// Those of a type and a code.
    Code(u8, u8),
}

/// Destination ports, both ends included; never reversed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    first: u16,
    last: u16,
}

/// A text that is no traffic.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrafficError {
    /// The ends are the wrong way round.
    #[error("reversed port range {first}-{last}: write {last}-{first}")]
    Reversed {
        /// As written.
        first: u16,
        /// As written.
        last: u16,
    },
    /// Neither a number that is small enough nor a name.
    #[error("{0:?} is no port: write a number from 0 to 65535, a range like 8080-8090, or a port's name")]
    NotAPort(String),
    /// Not a number, or too great.
    #[error("{0:?} is no {1}: write a number from 0 to 255")]
    NotAnOctet(String, &'static str),
    /// The language does not have it.
    #[error(
        "{0:?} is no traffic: write any, tcp, tcp/443, udp/5000-5010, sctp, tcp/NAME, icmp, icmp/8, icmp/3/4, icmp6 or \
         proto/47"
    )]
    Unknown(String),
}

impl PortRange {
    /// Every port.
    pub const ALL: Self = Self { first: 0, last: u16::MAX };

    /// The first port.
    pub fn first(self) -> u16 {
        self.first
    }

    /// The last port, included.
    pub fn last(self) -> u16 {
        self.last
    }

    /// Whether the port is one of these.
    pub fn contains(self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }
}

impl FromStr for Ports {
    type Err = TrafficError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if check_port_name(text).is_ok() {
            return Ok(Self::Named(text.into()));
        }
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (parse_port(first, text)?, parse_port(last, text)?);
        if first > last {
            return Err(TrafficError::Reversed { first, last });
        }
        Ok(Self::Range(PortRange { first, last }))
    }
}

/// `whole` is what the user wrote, for the error.
fn parse_port(text: &str, whole: &str) -> Result<u16, TrafficError> {
    let digits = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().ok_or_else(|| TrafficError::NotAPort(whole.into()))
}

fn parse_octet(text: &str, what: &'static str) -> Result<u8, TrafficError> {
    let digits = !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().ok_or_else(|| TrafficError::NotAnOctet(text.into(), what))
}

impl FromStr for IcmpTypes {
    type Err = TrafficError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            None => Ok(Self::Type(parse_octet(text, "ICMP type")?)),
            Some((kind, code)) => Ok(Self::Code(parse_octet(kind, "ICMP type")?, parse_octet(code, "ICMP code")?)),
        }
    }
}

impl FromStr for Traffic {
    type Err = TrafficError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let every_port = Ports::Range(PortRange::ALL);
        match text.split_once('/') {
            None => match text {
                "any" => Ok(Self::Any),
                "tcp" => Ok(Self::Tcp(every_port)),
                "udp" => Ok(Self::Udp(every_port)),
                "sctp" => Ok(Self::Sctp(every_port)),
                "icmp" => Ok(Self::Icmp(IcmpTypes::All)),
                "icmp6" => Ok(Self::Icmp6(IcmpTypes::All)),
                _ => Err(TrafficError::Unknown(text.into())),
            },
            Some(("tcp", ports)) => ports.parse().map(Self::Tcp),
            Some(("udp", ports)) => ports.parse().map(Self::Udp),
            Some(("sctp", ports)) => ports.parse().map(Self::Sctp),
            Some(("icmp", types)) => types.parse().map(Self::Icmp),
            Some(("icmp6", types)) => types.parse().map(Self::Icmp6),
            Some(("proto", number)) => parse_octet(number, "protocol").map(Self::Protocol),
            Some(_) => Err(TrafficError::Unknown(text.into())),
        }
    }
}
