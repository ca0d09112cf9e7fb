//! Cases: flows built to hit each rule of a world, and to miss it by little.

use std::net::IpAddr;

use ipnet::IpNet;
use ringfence_policy::{
    evaluate::{End, Flow, Traffic},
    model::{self, IcmpTypes, Peer, Ports, Rule, Workload},
};

use crate::{
    ground::Ground,
    random::Random,
    world::{BOUNDARIES, EPOCH},
};

/// One question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// The flow.
    pub flow: Flow,
    /// The port, or echo identifier, that it comes from.
    pub source_port: u16,
    /// The policy and the place of the rule that it was made for.
    pub made_for: Option<(String, usize)>,
}

/// Addresses beyond every domain, on subnets and nobody's, and such as no packet of a flow has.
const ELSEWHERE: [&str; 16] = [
    "203.0.113.7",
    "203.0.113.8",
    "203.0.113.200",
    "198.51.100.1",
    "10.9.9.9",
    "192.0.2.77",
    "172.31.0.1",
    "172.31.0.2",
    "2001:db8::7",
    "2001:db8::8",
    "2001:db8:9::1",
    "2600::1",
    "fd00:9::1",
    "10.1.0.200",
    "fd00:1::200",
    "224.0.0.5",
];
/// Ports that no rule names.
const PORTS: [u16; 6] = [0, 22, 79, 82, 444, 65_535];
const PROTOCOLS: [u8; 5] = [2, 47, 50, 89, 255];

/// Makes the cases of one world.
pub struct Maker<'a> {
    ground: &'a Ground,
    random: Random,
    /// Ends whose side votes.
    voters: Vec<End>,
    /// What every address of a rule's prefixes begins and ends with, and what is just beyond; and the rest of the world.
    others: Vec<End>,
}

impl<'a> Maker<'a> {
    /// For the cases of a world that follow from a seed.
    pub fn new(ground: &'a Ground, seed: u64) -> Self {
        let mut voters = Vec::new();
        let mut others: Vec<End> = ELSEWHERE.iter().filter_map(|text| text.parse().ok()).map(End::Address).collect();
        let workloads = ground.domain.workloads();
        workloads.for_each(|(_, workload)| voters.extend(ends_of(workload)));
        let rules = ground.domain.policies().flat_map(|(_, policy)| &policy.rules);
        for peer in rules.flat_map(|rule| rule.from.iter().chain(&rule.to)) {
            if let Peer::Cidr { prefix, except } = peer {
                except.iter().chain([prefix]).for_each(|prefix| others.extend(edges(prefix)));
            }
        }
        others.extend(ground.gateways().map(End::Address));
        others.push(End::Host);
        Self { ground, random: Random::new(seed), voters, others }
    }

    /// Moments at which the world is asked: at the ends of windows and just off them, if it has any.
    pub fn moments(&mut self, count: usize) -> Vec<u64> {
        let mut rules = self.ground.domain.policies().flat_map(|(_, policy)| &policy.rules);
        if !rules.any(|rule| rule.window != model::Window::default()) {
            return vec![EPOCH];
        }
        let moment = |random: &mut Random| EPOCH + random.one(BOUNDARIES) + random.one([0, 0, 1]) - random.one([0, 1]);
        let mut moments: Vec<u64> = (0..count).map(|_| moment(&mut self.random)).collect();
        moments.sort_unstable();
        moments.dedup();
        moments
    }

    /// A case; `None` if chance led nowhere.
    pub fn case(&mut self) -> Option<Case> {
        let domain = &self.ground.domain;
        let rules: Vec<(&str, usize, &Rule)> = domain
            .policies()
            .flat_map(|(name, policy)| policy.rules.iter().enumerate().map(move |(place, rule)| (name, place, rule)))
            .collect();
        let (policy, place, rule) = *self.random.pick(&rules)?;
        // At most one of these is off, so that what is near the rule and beside it comes often.
        let off = self.random.below(5);
        let source = self.end(&rule.from, off == 0)?;
        let destination = self.partner(&rule.to, source, off == 1)?;
        let (source, destination) = self.with_a_vote(source, destination);
        let traffic = self.traffic(rule, destination, off == 2);
        let v6 = [source, destination].iter().any(|end| matches!(end, End::Address(IpAddr::V6(_))));
        let flow = Flow { source, destination, traffic: of_family(traffic, v6) };
        let source_port = self.random.one([40_000, 1, 80, 443, 8080, 65_535]);
        Some(Case { flow, source_port, made_for: Some((policy.to_owned(), place)) })
    }

    fn end(&mut self, peers: &[Peer], off: bool) -> Option<End> {
        if off {
            let from = if self.random.chance(50) { &self.voters } else { &self.others };
            return self.random.pick(from).copied();
        }
        let peer = self.random.pick(peers)?;
        let candidates = self.candidates(peer);
        self.random.pick(&candidates).or_else(|| self.random.pick(&self.voters)).copied()
    }

    /// An end of the same family.
    fn partner(&mut self, peers: &[Peer], source: End, off: bool) -> Option<End> {
        for attempt in 0..12 {
            let end = self.end(peers, off || attempt > 8)?;
            if fit(source, end) {
                return Some(end);
            }
        }
        None
    }

    /// Nearly always a workload is at one end, since no program is asked else.
    fn with_a_vote(&mut self, source: End, destination: End) -> (End, End) {
        let votes = |end| self.voters.contains(&end);
        if votes(source) || votes(destination) || self.random.chance(3) {
            return (source, destination);
        }
        let fitting: Vec<End> =
            self.voters.iter().copied().filter(|end| fit(*end, source) && fit(*end, destination)).collect();
        match self.random.pick(&fitting) {
            Some(voter) if self.random.chance(50) => (*voter, destination),
            Some(voter) => (source, *voter),
            None => (source, destination),
        }
    }

    fn candidates(&self, peer: &Peer) -> Vec<End> {
        let domain = &self.ground.domain;
        let of = |wanted: &dyn Fn(&str, &Workload) -> bool| -> Vec<End> {
            domain
                .workloads()
                .filter(|(name, workload)| wanted(name, workload))
                .flat_map(|(_, it)| ends_of(it))
                .collect()
        };
        match peer {
            Peer::Any => [self.voters.as_slice(), &self.others].concat(),
            Peer::Outside => self.others.clone(),
            Peer::Host => vec![End::Host],
            Peer::Labels(selector) => of(&|_, workload| selector.matches(&workload.labels)),
            Peer::Workload(wanted) => of(&|name, _| name == wanted),
            Peer::Cidr { prefix, except } => {
                let inside = |end: &&End| matches!(end, End::Address(address) if prefix.contains(address));
                let edges = except.iter().chain([prefix]).flat_map(edges);
                self.voters.iter().filter(inside).copied().chain(edges).collect()
            }
            // Segments and sets are named: their members are among all others.
            _ => [self.voters.as_slice(), &self.others].concat(),
        }
    }

    fn traffic(&mut self, rule: &Rule, destination: End, off: bool) -> Traffic {
        let wanted = self.random.pick(&rule.traffic).filter(|_| !off);
        let near = |random: &mut Random, first: u16, last: u16| {
            let between = first + (random.below(usize::from(last - first) + 1) as u16);
            random.one([first, last, first, last, first.wrapping_sub(1), last.wrapping_add(1), between])
        };
        let port = |maker: &mut Self, ports: &Ports| match ports {
            Ports::Range(range) => near(&mut maker.random, range.first(), range.last()),
            Ports::Named(name) => {
                let port = maker.named(name, destination);
                near(&mut maker.random, port, port)
            }
        };
        match wanted {
            Some(model::Traffic::Tcp(ports)) => Traffic::Tcp(port(self, ports)),
            Some(model::Traffic::Udp(ports)) => Traffic::Udp(port(self, ports)),
            Some(model::Traffic::Sctp(ports)) => Traffic::Sctp(port(self, ports)),
            Some(model::Traffic::Icmp(types)) => {
                let (kind, code) = self.message(types, 8);
                Traffic::Icmp(kind, code)
            }
            Some(model::Traffic::Icmp6(types)) => {
                let (kind, code) = self.message(types, 128);
                Traffic::Icmp6(kind, code)
            }
            Some(model::Traffic::Protocol(number)) => {
                let number =
                    self.random.one([*number, *number, *number, number.wrapping_add(1), number.wrapping_sub(1)]);
                self.of_protocol(number)
            }
            _ => {
                let number = self.random.one([6, 6, 17, 132, 1, 58, 47]);
                self.of_protocol(number)
            }
        }
    }

    /// What a port's name means on who is asked, or on somebody else.
    fn named(&mut self, name: &str, destination: End) -> u16 {
        let workloads = || self.ground.domain.workloads().map(|(_, workload)| workload);
        let there = workloads().find(|workload| ends_of(workload).any(|end| end == destination));
        let anywhere: Vec<u16> = workloads().filter_map(|workload| workload.ports.get(name).copied()).collect();
        let there = there.and_then(|workload| workload.ports.get(name)).copied();
        match there {
            Some(port) if self.random.chance(70) => port,
            _ => self.random.pick(&anywhere).copied().unwrap_or(80),
        }
    }

    fn message(&mut self, types: &IcmpTypes, echo: u8) -> (u8, u8) {
        let code = self.random.one([0, 0, 1, 255]);
        match types {
            IcmpTypes::All => (self.random.one([echo, echo, 13, 14, 255]), code),
            IcmpTypes::Type(kind) => (kind.wrapping_add(self.random.one([0, 0, 0, 1, 255])), code),
            IcmpTypes::Code(kind, code) => {
                let code = code.wrapping_add(self.random.one([0, 0, 0, 1, 255]));
                (kind.wrapping_add(self.random.one([0, 0, 0, 0, 1])), code)
            }
        }
    }

    /// A flow of a protocol, in the words it has.
    fn of_protocol(&mut self, number: u8) -> Traffic {
        let port = self.random.one(PORTS);
        match number {
            6 => Traffic::Tcp(port),
            17 => Traffic::Udp(port),
            132 => Traffic::Sctp(port),
            1 => Traffic::Icmp(8, 0),
            58 => Traffic::Icmp6(128, 0),
            // Extension headers of IPv6 and reserved numbers are no protocols.
            0 | 43 | 44 | 51 | 60 => Traffic::Other(self.random.one(PROTOCOLS)),
            other => Traffic::Other(other),
        }
    }
}

/// ICMP of the other family becomes its like.
fn of_family(traffic: Traffic, v6: bool) -> Traffic {
    match (traffic, v6) {
        (Traffic::Icmp(8, code), true) => Traffic::Icmp6(128, code),
        (Traffic::Icmp(kind, code), true) => Traffic::Icmp6(kind, code),
        (Traffic::Icmp6(128, code), false) => Traffic::Icmp(8, code),
        (Traffic::Icmp6(kind, code), false) => Traffic::Icmp(kind, code),
        (same, _) => same,
    }
}

/// Addresses of a workload: its own, and the edges of its pairs.
fn ends_of(workload: &Workload) -> impl Iterator<Item = End> {
    workload.interfaces.iter().flat_map(|interface| {
        let own = interface.addresses.iter().copied().map(End::Address);
        own.chain(interface.pairs.iter().flat_map(|pair| edges(&pair.prefix)))
    })
}

/// First and last address of a prefix, and those just beyond.
fn edges(prefix: &IpNet) -> Vec<End> {
    let (first, last) = (prefix.network(), prefix.broadcast());
    [moved(first, -1), Some(first), moved(first, 1), Some(last), moved(last, 1)]
        .into_iter()
        .flatten()
        .map(End::Address)
        .collect()
}

fn moved(address: IpAddr, by: i8) -> Option<IpAddr> {
    Some(match address {
        IpAddr::V4(v4) => IpAddr::V4(u32::from(v4).checked_add_signed(by.into())?.into()),
        IpAddr::V6(v6) => IpAddr::V6(u128::from(v6).checked_add_signed(by.into())?.into()),
    })
}

/// Whether a packet can go from one to the other; to the same address none is ever sent.
fn fit(one: End, other: End) -> bool {
    match (one, other) {
        (End::Address(one), End::Address(other)) => one.is_ipv4() == other.is_ipv4() && one != other,
        (End::Host, End::Host) => false,
        _ => true,
    }
}
