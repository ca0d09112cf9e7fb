//! The reference evaluator: slow, obvious, the definition of what is right.
//!
//! It reads the validated model and nothing else, and shares no code with the compiler, so that each can
//! be tested against the other. The numbers below are those of DESIGN section 3, "Semantics".
//!
//! 1. *Two sides.* The side of an end that is a workload's votes, another does not. A rule binds both sides
//!    unless it says which.
//! 2. *Tiers.* guard, then tenant, then baseline. In a tier the matching rule with the least (priority, deny
//!    before pass before allow) decides; pass and no match go to the next tier, the end of all is the domain's
//!    default. Policies of the platform are asked like the domain's own.
//! 3. *Nothing crosses domains*: a flow is asked of one domain.
//! 4. *Stateful.* [`reply_passes`].
//! 7. *Audit.* Each vote is two decisions: *enforced* leaves policies in audit out, *shadow* does not.
//! 8. *One rule identity.* Ties are broken by policy name, then by the rule's place in the policy.
//! 10. *Time.* A rule outside its window matches nothing.
//! 13. *Labels*: see [`Selector::matches`].
//!
//! Whose an address is: a gateway's, if a subnet says so; else the interface's that has it as its own; else, if it
//! is unicast, the interface's whose address pair holds it, the longest prefix counting; else nobody's. Several
//! interfaces may share the pair of one address; their workloads are alike in labels and ports, so it is all one which of
//! them has it, but no peer matches it by a workload's name.
//!
//! It speaks of policy alone. That a gateway answers echo requests, that an address of a subnet which is no
//! interface's cannot be reached, that sources are not spoofed: the programs see to that before policy is
//! asked.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::model::{
    Action, Domain, IcmpTypes, Interface, Mode, Peer, Policy, Ports, Rule, Selector, Side, Tier, Workload,
};

/// The first packet of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// Who opens it.
    pub source: End,
    /// Who is asked; an address of the same family.
    pub destination: End,
    /// Protocol and number.
    pub traffic: Traffic,
}

/// One end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// Whoever has this address.
    Address(IpAddr),
    /// The stack of the machine that the other end runs on, whatever address it uses.
    Host,
}

/// What a flow carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    pub from: Option<Vote>,
    /// The destination's side.
    pub to: Option<Vote>,
}

/// What one side says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote {
    /// What becomes of the packet.
    pub enforced: Decision,
    /// What would, if policies in audit decided.
    pub shadow: Decision,
}

/// A decision and its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Whether it allows.
    pub allows: bool,
    /// `policy/rule`, or the domain's default.
    pub rule: String,
    /// Whether a flow it allows is tracked on its behalf.
    pub stateful: bool,
    /// Whether the rule asks for a log.
    pub log: bool,
}

/// A rule that matches a flow on one side.
#[derive(Clone, Copy, Debug)]
pub struct Matched<'a> {
    /// `NAME`, or `*/NAME`.
    pub policy_name: &'a str,
    /// The policy.
    pub policy: &'a Policy,
    /// Its place in the policy.
    pub index: usize,
    /// The rule.
    pub rule: &'a Rule,
}

impl From<IpAddr> for End {
    fn from(address: IpAddr) -> Self {
        Self::Address(address)
    }
}

impl Verdict {
    /// Every side that votes allows, and at least one votes.
    pub fn allows(&self) -> bool {
        self.votes().next().is_some() && self.votes().all(|vote| vote.enforced.allows)
    }

    /// The same, if policies in audit decided.
    pub fn shadow_allows(&self) -> bool {
        self.votes().next().is_some() && self.votes().all(|vote| vote.shadow.allows)
    }

    /// Whether a flow that passes is tracked: some side wants it.
    pub fn is_tracked(&self) -> bool {
        self.allows() && self.votes().any(|vote| vote.enforced.stateful)
    }

    fn votes(&self) -> impl Iterator<Item = &Vote> {
        [&self.from, &self.to].into_iter().flatten()
    }
}

impl Traffic {
    /// The number of the protocol.
    pub fn protocol(self) -> u8 {
        match self {
            Self::Tcp(_) => 6,
            Self::Udp(_) => 17,
            Self::Sctp(_) => 132,
            Self::Icmp(..) => 1,
            Self::Icmp6(..) => 58,
            Self::Other(number) => number,
        }
    }
}

/// Judges the first packet of a flow at a moment, in seconds since 1970-01-01T00:00:00Z.
pub fn evaluate(domain: &Domain, flow: &Flow, at: u64) -> Verdict {
    let vote = |side, end| {
        owner(domain, end)?;
        let matched = matching(domain, flow, at, side);
        let enforced = matched.iter().copied().filter(|matched| matched.policy.mode == Mode::Enforce);
        Some(Vote { enforced: decide(domain, enforced), shadow: decide(domain, matched.iter().copied()) })
    };
    Verdict { from: vote(Side::From, flow.source), to: vote(Side::To, flow.destination) }
}

/// Whether an answer passes to a flow that [`Verdict::is_tracked`]: on a side whose deciding rule was stateful, and else
/// if that side allows the answer afresh.
pub fn reply_passes(domain: &Domain, opened: &Verdict, reply: &Flow, at: u64) -> bool {
    let afresh = evaluate(domain, reply, at);
    let passes = |opened: &Option<Vote>, afresh: &Option<Vote>| match (opened, afresh) {
        (Some(opened), Some(afresh)) => opened.enforced.stateful || afresh.enforced.allows,
        _ => true,
    };
    // The flow's source is the reply's destination.
    passes(&opened.from, &afresh.to) && passes(&opened.to, &afresh.from)
}

/// Every rule that binds a side and matches a flow at a moment, in the order in which they are asked, those in
/// audit included.
pub fn matching<'a>(domain: &'a Domain, flow: &Flow, at: u64, side: Side) -> Vec<Matched<'a>> {
    let ends = [flow.source, flow.destination].map(|end| Party::new(domain, end));
    let mut matching = Vec::new();
    for (policy_name, policy) in domain.policies() {
        for (index, rule) in policy.rules.iter().enumerate() {
            if rule.binds.binds(side) && rule.window.holds(at) && rule_matches(domain, rule, &ends, flow.traffic) {
                matching.push(Matched { policy_name, policy, index, rule });
            }
        }
    }
    let order = |m: &Matched<'a>| (m.policy.tier, m.rule.priority, m.rule.action, m.policy_name, m.index);
    matching.sort_by_key(order);
    matching
}

/// What rules that match come to, given in the order in which they are asked.
pub fn decide<'a>(domain: &Domain, matched: impl IntoIterator<Item = Matched<'a>>) -> Decision {
    let mut passed: Option<Tier> = None;
    for Matched { policy_name, policy, rule, .. } in matched {
        if passed == Some(policy.tier) {
            continue;
        }
        if rule.action == Action::Pass {
            passed = Some(policy.tier);
            continue;
        }
        return Decision {
            allows: rule.action == Action::Allow,
            rule: format!("{policy_name}/{}", rule.name),
            stateful: !policy.stateless,
            log: rule.log,
        };
    }
    Decision { allows: domain.default_allows(), rule: domain.default_rule().into(), stateful: true, log: false }
}

/// An end, and whose it is: found out once for all rules.
struct Party<'a> {
    end: End,
    owner: Option<(&'a str, &'a Workload)>,
    is_shared: bool,
    is_gateway: bool,
}

impl<'a> Party<'a> {
    fn new(domain: &'a Domain, end: End) -> Self {
        let is_gateway = matches!(end, End::Address(address) if is_gateway(domain, address));
        let is_shared = matches!(end, End::Address(address) if is_shared(domain, address));
        Self { end, owner: owner(domain, end), is_shared, is_gateway }
    }
}

fn rule_matches(domain: &Domain, rule: &Rule, [source, destination]: &[Party<'_>; 2], flow: Traffic) -> bool {
    rule.from.iter().any(|peer| peer_matches(domain, peer, source))
        && rule.to.iter().any(|peer| peer_matches(domain, peer, destination))
        && rule.traffic.iter().any(|traffic| traffic_matches(traffic, flow, destination))
}

fn peer_matches(domain: &Domain, peer: &Peer, party: &Party<'_>) -> bool {
    let Party { end, owner, is_shared, is_gateway } = party;
    let End::Address(address) = *end else { return matches!(peer, Peer::Any | Peer::Host) };
    let selected = |selector: &Selector| owner.is_some_and(|(_, workload)| selector.matches(&workload.labels));
    match peer {
        Peer::Any => is_unicast(address),
        Peer::Outside => is_unicast(address) && owner.is_none() && !is_gateway,
        Peer::Host => false,
        Peer::Segment(name) => domain.segment(name).is_some_and(selected),
        Peer::Labels(selector) => selected(selector),
        Peer::Workload(name) => !is_shared && owner.is_some_and(|(owner, _)| owner == name),
        Peer::Cidr { prefix, except } => {
            prefix.contains(&address) && !except.iter().any(|except| except.contains(&address))
        }
        Peer::Addresses(name) => {
            domain.address_set(name).is_some_and(|set| set.prefixes.iter().any(|prefix| prefix.contains(&address)))
        }
    }
}

fn traffic_matches(rule: &crate::model::Traffic, flow: Traffic, destination: &Party<'_>) -> bool {
    use crate::model::Traffic as Of;
    match (rule, flow) {
        (Of::Any, _) => true,
        (Of::Tcp(ports), Traffic::Tcp(port))
        | (Of::Udp(ports), Traffic::Udp(port))
        | (Of::Sctp(ports), Traffic::Sctp(port)) => match ports {
            Ports::Range(range) => range.contains(port),
            Ports::Named(name) => {
                destination.owner.is_some_and(|(_, workload)| workload.ports.get(name) == Some(&port))
            }
        },
        (Of::Icmp(types), Traffic::Icmp(kind, code)) | (Of::Icmp6(types), Traffic::Icmp6(kind, code)) => match types {
            IcmpTypes::All => true,
            IcmpTypes::Type(wanted) => *wanted == kind,
            IcmpTypes::Code(wanted, wanted_code) => (*wanted, *wanted_code) == (kind, code),
        },
        (Of::Protocol(number), traffic) => *number == traffic.protocol(),
        _ => false,
    }
}

/// Neither multicast nor broadcast.
fn is_unicast(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_multicast() && !v4.is_broadcast(),
        IpAddr::V6(v6) => !v6.is_multicast(),
    }
}

fn is_gateway(domain: &Domain, address: IpAddr) -> bool {
    let mut subnets = domain.networks.values().flat_map(|network| &network.subnets);
    subnets.any(|subnet| subnet.gateway == address)
}

/// Whether several interfaces have it by a pair, and none as its own.
fn is_shared(domain: &Domain, address: IpAddr) -> bool {
    let interfaces = || domain.workloads().flat_map(|(_, workload)| &workload.interfaces);
    let has_pair = |interface: &&Interface| interface.pairs.iter().any(|pair| pair.prefix == IpNet::from(address));
    interfaces().filter(has_pair).count() > 1 && !interfaces().any(|own| own.addresses.contains(&address))
}

/// The workload that has an end; of several that share it, any.
pub(crate) fn owner(domain: &Domain, end: End) -> Option<(&str, &Workload)> {
    let End::Address(address) = end else { return None };
    if is_gateway(domain, address) {
        return None;
    }
    let own =
        domain.workloads().find(|(_, workload)| workload.interfaces.iter().any(|i| i.addresses.contains(&address)));
    own.or_else(|| {
        let pairs = domain.workloads().flat_map(|(name, workload)| {
            let pairs = workload.interfaces.iter().flat_map(|interface| &interface.pairs);
            pairs.map(move |pair| (pair.prefix, (name, workload)))
        });
        let holding = pairs.filter(|(prefix, _)| is_unicast(address) && prefix.contains(&address));
        holding.max_by_key(|(prefix, _)| prefix.prefix_len()).map(|(_, owner)| owner)
    })
}
