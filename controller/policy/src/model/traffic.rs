//! What a rule says of the protocol and its numbers.

use std::str::FromStr;

/// Traffic that a rule speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Traffic {
    /// Every protocol.
    Any,
    /// TCP to these ports.
    Tcp(PortRange),
    /// UDP to these ports.
    Udp(PortRange),
    /// ICMP of every type: IPv4 only.
    Icmp,
    /// ICMPv6 of every type: IPv6 only.
    Icmp6,
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
    /// Not a number, or too great.
    #[error("{0:?} is no port: write a number from 0 to 65535, or a range like 8080-8090")]
    NotAPort(String),
    /// A port that the workload would name.
    #[error("port name {0:?} is not supported yet: write the number")]
    PortName(String),
    /// The language has it, this version does not.
    #[error("{0:?} is not supported yet: write any, tcp, udp, icmp or icmp6")]
    NotYet(String),
    /// The language does not have it.
    #[error("{0:?} is no traffic: write any, tcp, tcp/443, udp/5000-5010, icmp or icmp6")]
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

impl FromStr for PortRange {
    type Err = TrafficError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (parse_port(first, text)?, parse_port(last, text)?);
        if first > last {
            return Err(TrafficError::Reversed { first, last });
        }
        Ok(Self { first, last })
    }
}

/// `whole` is what the user wrote, for the error.
fn parse_port(text: &str, whole: &str) -> Result<u16, TrafficError> {
    if text == whole && text.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Err(TrafficError::PortName(whole.into()));
    }
    if text.is_empty() || !text.bytes().all(|c| c.is_ascii_digit()) {
        return Err(TrafficError::NotAPort(whole.into()));
    }
    text.parse().map_err(|_| TrafficError::NotAPort(whole.into()))
}

impl FromStr for Traffic {
    type Err = TrafficError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            None => match text {
                "any" => Ok(Self::Any),
                "tcp" => Ok(Self::Tcp(PortRange::ALL)),
                "udp" => Ok(Self::Udp(PortRange::ALL)),
                "icmp" => Ok(Self::Icmp),
                "icmp6" => Ok(Self::Icmp6),
                "sctp" => Err(TrafficError::NotYet(text.into())),
                _ => Err(TrafficError::Unknown(text.into())),
            },
            Some(("tcp", ports)) => ports.parse().map(Self::Tcp),
            Some(("udp", ports)) => ports.parse().map(Self::Udp),
            Some(("sctp" | "icmp" | "icmp6" | "proto", _)) => Err(TrafficError::NotYet(text.into())),
            Some(_) => Err(TrafficError::Unknown(text.into())),
        }
    }
}
