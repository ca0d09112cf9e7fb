//! The reference evaluator: slow, obvious, the definition of what is right.

use std::net::IpAddr;

use crate::model::Domain;

/// The first packet of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Protocol and number.
    pub traffic: Traffic,
}

/// What a flow carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Traffic {
    /// TCP to a port.
    Tcp(u16),
    /// UDP to a port.
    Udp(u16),
    /// SCTP to a port.
    Sctp(u16),
    /// ICMP (type, code); IPv4 only.
    Icmp(u8, u8),
    /// ICMPv6 (type, code); IPv6 only.
    Icmp6(u8, u8),
    /// Another protocol by number.
    Other(u8),
}

/// What both sides say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The source's side; `None`: no workload of ours, no vote.
    pub from: Option<Decision>,
    /// The destination's side.
    pub to: Option<Decision>,
}

/// What one side says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether it allows.
    pub allows: bool,
    /// `policy/rule`, or `default/deny`.
    pub rule: String,
}

impl Verdict {
    /// Both sides allow, and at least one voted.
    pub fn allows(&self) -> bool {
        todo!()
    }
}

/// Judges a flow.
pub fn evaluate(_domain: &Domain, _flow: &Flow) -> Verdict {
    todo!()
}
