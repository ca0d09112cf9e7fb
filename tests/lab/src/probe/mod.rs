//! Who reaches whom: real sockets ask, real sockets answer, and every payload says whose it is.

pub mod asker;
pub mod checksum;
pub mod expectation;
pub mod matrix;
pub mod message;
pub mod responder;
pub mod socket;

use std::{fmt, net::IpAddr};

use ringfence_policy::evaluate::Traffic;

use crate::netns::Namespace;

/// Somebody with addresses: a workload, or a place outside of a domain.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// `tenant/domain`.
    pub domain: String,
    /// A workload's name, or the place's.
    pub name: String,
    /// Where its sockets are.
    pub namespace: Namespace,
    /// At most one of each family.
    pub addresses: Vec<IpAddr>,
}

/// What can be asked of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// A TCP port.
    Tcp(u16),
    /// A UDP port.
    Udp(u16),
    /// ICMP or ICMPv6 echo.
    Echo,
}

/// What the lab asks everybody: ports that the example's rules name, the ends of its ranges, one
/// beyond, and one that a deny names.
pub const SERVICES: [Service; 8] = [
    Service::Tcp(443),
    Service::Tcp(8080),
    Service::Tcp(8090),
    Service::Tcp(8091),
    Service::Tcp(5432),
    Service::Tcp(22),
    Service::Udp(4000),
    Service::Echo,
];

/// A question: does `source` reach `target`?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// Place of the asking endpoint.
    pub asker: usize,
    /// The asker's address.
    pub source: IpAddr,
    /// Whom it asks.
    pub target: IpAddr,
    /// What it asks.
    pub service: Service,
}

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Somebody answered, and said who.
    Answered {
        /// `tenant/domain` of the answerer.
        domain: String,
        /// Its name.
        name: String,
    },
    /// A host said that nobody listens: the question passed where nobody should have been.
    Refused,
    /// Nothing came back in time.
    Silence,
}

impl Endpoint {
    /// Its address of the same family as `other`.
    pub fn address_like(&self, other: IpAddr) -> Option<IpAddr> {
        self.addresses.iter().copied().find(|own| own.is_ipv4() == other.is_ipv4())
    }

    /// Its address of a family.
    pub fn address(&self, ipv4: bool) -> Option<IpAddr> {
        self.addresses.iter().copied().find(|own| own.is_ipv4() == ipv4)
    }
}

impl Service {
    /// The traffic of its first packet to `target`.
    pub fn traffic(self, target: IpAddr) -> Traffic {
        match self {
            Self::Tcp(port) => Traffic::Tcp(port),
            Self::Udp(port) => Traffic::Udp(port),
            Self::Echo if target.is_ipv4() => Traffic::Icmp(8, 0),
            Self::Echo => Traffic::Icmp6(128, 0),
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(port) => write!(f, "tcp/{port}"),
            Self::Udp(port) => write!(f, "udp/{port}"),
            Self::Echo => f.write_str("echo"),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered { domain, name } => write!(f, "an answer from {name} of {domain}"),
            Self::Refused => f.write_str("a refusal"),
            Self::Silence => f.write_str("silence"),
        }
    }
}
