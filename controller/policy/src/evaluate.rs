//! The reference evaluator: slow, obvious, the definition of what is right.
//!
//! It reads the validated model and nothing else, and shares no code with the compiler, so that each can
//! be tested against the other. The numbers below are those of DESIGN section 3, "Semantics"; of its
//! tiers there is one so far.
//!
//! 1. *Two sides.* The side of an address that is an interface's votes, another does not. A rule binds
//!    both sides.
//! 2. *Order.* Of the rules that match, the one with the least (priority, deny before allow) decides; the
//!    end of all is the default, deny.
//! 3. *Nothing crosses domains*: a flow is asked of one domain.
//! 8. *One rule identity.* Ties are broken by policy name, then by the rule's place in the policy.
//!
//! It speaks of policy alone. That a gateway answers echo requests, that an address of a subnet which is no
//! interface's cannot be reached, that sources are not spoofed: the programs see to that before policy is
//! asked.

use std::net::IpAddr;

use crate::model::{self, Action, DEFAULT_DENY, Domain, Peer, Rule};

/// The first packet of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Source address.
    pub source: IpAddr,
    /// Destination address, of the same family.
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
        let mut votes = [&self.from, &self.to].into_iter().flatten().peekable();
        votes.peek().is_some() && votes.all(|decision| decision.allows)
    }
}

/// Judges a flow.
pub fn evaluate(domain: &Domain, flow: &Flow) -> Verdict {
    let decision = decide(domain, flow);
    let vote = |address| is_interface(domain, address).then(|| decision.clone());
    Verdict { from: vote(flow.source), to: vote(flow.destination) }
}

/// What a side that votes says. Every rule binds both sides, so both say the same.
fn decide(domain: &Domain, flow: &Flow) -> Decision {
    let mut candidates = Vec::new();
    for (policy, content) in &domain.policies {
        for (index, rule) in content.rules.iter().enumerate() {
            if rule_matches(domain, rule, flow) {
                candidates.push((rule.priority, rule.action, policy, index, &rule.name));
            }
        }
    }
    match candidates.into_iter().min() {
        Some((_, action, policy, _, name)) => {
            Decision { allows: action == Action::Allow, rule: format!("{policy}/{name}") }
        }
        None => Decision { allows: false, rule: DEFAULT_DENY.into() },
    }
}

fn rule_matches(domain: &Domain, rule: &Rule, flow: &Flow) -> bool {
    rule.from.iter().any(|peer| peer_matches(domain, peer, flow.source))
        && rule.to.iter().any(|peer| peer_matches(domain, peer, flow.destination))
        && rule.traffic.iter().any(|traffic| traffic_matches(traffic, flow.traffic))
}

fn peer_matches(domain: &Domain, peer: &Peer, address: IpAddr) -> bool {
    match peer {
        Peer::Any => is_unicast(address),
        Peer::Outside => is_unicast(address) && !is_interface(domain, address) && !is_gateway(domain, address),
        Peer::Segment(name) => is_member(domain, name, address),
        Peer::Cidr(prefix) => prefix.contains(&address),
    }
}

fn traffic_matches(rule: &model::Traffic, flow: Traffic) -> bool {
    match (rule, flow) {
        (model::Traffic::Any, _)
        | (model::Traffic::Icmp, Traffic::Icmp(..))
        | (model::Traffic::Icmp6, Traffic::Icmp6(..)) => true,
        (model::Traffic::Tcp(ports), Traffic::Tcp(port)) | (model::Traffic::Udp(ports), Traffic::Udp(port)) => {
            ports.contains(port)
        }
        _ => false,
    }
}

fn is_unicast(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_multicast() && !v4.is_broadcast(),
        IpAddr::V6(v6) => !v6.is_multicast(),
    }
}

fn is_interface(domain: &Domain, address: IpAddr) -> bool {
    let mut interfaces = domain.workloads.values().flat_map(|workload| &workload.interfaces);
    interfaces.any(|interface| interface.addresses.contains(&address))
}

fn is_gateway(domain: &Domain, address: IpAddr) -> bool {
    let mut subnets = domain.networks.values().flat_map(|network| &network.subnets);
    subnets.any(|subnet| subnet.gateway == address)
}

/// Whether the address is of a workload that the segment selects.
fn is_member(domain: &Domain, segment: &str, address: IpAddr) -> bool {
    let Some(selector) = domain.segments.get(segment) else { return false };
    let selected = domain.workloads.values().filter(|workload| selector.matches(&workload.labels));
    selected.flat_map(|workload| &workload.interfaces).any(|interface| interface.addresses.contains(&address))
}
