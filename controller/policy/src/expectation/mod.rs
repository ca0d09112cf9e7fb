//! What an author expects of the policies: flows and what should become of them (DESIGN 3.11).
//!
//! ```text
//!  Expectation ──questions──▶ Flow, moment ──an engine──▶ Verdict ──answer──▶ Answer
//!                   ▲
//!                 Domain
//! ```
//!
//! The engine is whoever can judge a flow: the reference evaluator, or the programs of a kernel.

use std::{fmt, net::IpAddr};

mod ask;
mod words;

pub use ask::{Answer, AskError, Asked};
pub use words::WordError;
pub(crate) use words::parse_rule;

/// Flows of a domain, and what should become of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// `tenant/domain`.
    pub domain: String,
    /// Unique among the expectations of the domain.
    pub name: String,
    /// At least one.
    pub flows: Vec<ExpectedFlow>,
}

/// A flow, and what should become of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedFlow {
    /// Who opens it.
    pub from: Place,
    /// Who is asked.
    pub to: Place,
    /// What is asked.
    pub traffic: Question,
    /// What should become of it.
    pub expect: Outcome,
    /// The rule that should decide; never with [`Outcome::Ambiguous`].
    pub rule: Option<String>,
    /// The only family to ask; `None`: all that both ends and the traffic have.
    pub family: Option<Family>,
    /// When it is asked, in seconds since 1970-01-01T00:00:00Z; `None`: whenever the asking is done.
    pub at: Option<u64>,
}

/// An end of a flow: `web-1`, `web-1/eth0`, `10.1.0.11`, `host`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Every address of a workload.
    Workload(String),
    /// Every address of an interface.
    Interface {
        /// Its workload.
        workload: String,
        /// Its name in the workload.
        interface: String,
    },
    /// This address, whoever has it.
    Address(IpAddr),
    /// The stack of the machine that the other end runs on.
    Host,
}

/// One sort of packet: `tcp/8080`, `udp/53`, `sctp/5`, `tcp/https`, `icmp`, `icmp/3/4`, `icmp6/128`, `proto/47`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// TCP to a port.
    Tcp(Port),
    /// UDP to a port.
    Udp(Port),
    /// SCTP to a port.
    Sctp(Port),
    /// ICMP (type, code); IPv4 only.
    Icmp(u8, u8),
    /// ICMPv6 (type, code); IPv6 only.
    Icmp6(u8, u8),
    /// Another protocol by number.
    Protocol(u8),
}

/// A port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Port {
    /// By number.
    Number(u16),
    /// The one that the destination's workload has under this name.
    Named(String),
}

/// What becomes of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every address pair that was asked passes.
    Allow,
    /// None does.
    Deny,
    /// Some do and some do not.
    Ambiguous,
}

/// A family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl Family {
    /// That of an address.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::Ipv4 } else { Self::Ipv6 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Workload(name) => f.write_str(name),
            Self::Interface { workload, interface } => write!(f, "{workload}/{interface}"),
            Self::Address(address) => address.fmt(f),
            Self::Host => f.write_str("host"),
        }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(port) => write!(f, "tcp/{port}"),
            Self::Udp(port) => write!(f, "udp/{port}"),
            Self::Sctp(port) => write!(f, "sctp/{port}"),
            Self::Icmp(kind, code) => write!(f, "icmp/{kind}/{code}"),
            Self::Icmp6(kind, code) => write!(f, "icmp6/{kind}/{code}"),
            Self::Protocol(number) => write!(f, "proto/{number}"),
        }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Named(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Ambiguous => "ambiguous",
        })
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
        })
    }
}
