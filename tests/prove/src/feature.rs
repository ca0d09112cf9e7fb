//! Features of the language (DESIGN section 3), and which pairs of them a run has covered.

use std::{collections::BTreeMap, fmt};

use ringfence_policy::object::{LabelTest, Object, PLATFORM, PeerSpec, PolicySpec, Requirement, RuleSpec, Spec};

macro_rules! features {
    ($($name:ident $text:literal,)+) => {
        /// One of them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs, reason = "each is what its text says")]
        pub enum Feature { $($name,)+ }

        impl Feature {
            /// Every feature.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];
        }

        impl fmt::Display for Feature {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$name => $text,)+ })
            }
        }
    };
}

features! {
    DefaultDeny "default deny",
    DefaultAllow "default allow",
    Guard "tier guard",
    Tenant "tier tenant",
    Baseline "tier baseline",
    Allow "allow",
    Deny "deny",
    Pass "pass",
    Priority "priority",
    Tie "ties of priority",
    BothSides "both sides",
    FromSide "side from",
    ToSide "side to",
    Platform "platform policy",
    Audit "mode audit",
    Stateless "stateless",
    Log "log",
    NotBefore "notBefore",
    NotAfter "notAfter",
    Any "peer any",
    Outside "peer outside",
    Host "peer host",
    Segment "peer segment",
    Workload "peer workload",
    Labels "peer labels",
    Cidr "peer cidr",
    Except "except",
    AddressSet "peer addresses",
    LabelEquals "label equals",
    LabelIn "label in",
    LabelNotIn "label notIn",
    LabelExists "label exists",
    LabelAbsent "label exists: false",
    AnyTraffic "traffic any",
    Tcp "tcp",
    Udp "udp",
    Sctp "sctp",
    PortRange "port range",
    NamedPort "named port",
    Icmp "icmp",
    Icmp6 "icmp6",
    IcmpType "ICMP type",
    IcmpCode "ICMP code",
    Protocol "proto number",
    Ipv4 "IPv4",
    Ipv6 "IPv6",
    SeveralAddresses "several addresses",
    Pair "address pair",
    NestedPair "address pair in a pair",
    PrefixInPair "rule's prefix in a pair",
    NoPortSecurity "portSecurity: false",
}

/// No case has both.
const EXCLUSIVE: [(Feature, Feature); 2] =
    [(Feature::DefaultDeny, Feature::DefaultAllow), (Feature::Ipv4, Feature::Ipv6)];

/// Some features.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features(u64);

impl Features {
    /// With another.
    pub fn add(&mut self, feature: Feature) {
        self.0 |= 1 << feature as u32;
    }

    /// With others.
    pub fn join(&mut self, others: Self) {
        self.0 |= others.0;
    }

    /// With another, if that holds.
    pub fn add_if(&mut self, holds: bool, feature: Feature) {
        if holds {
            self.add(feature);
        }
    }

    fn has(self, feature: Feature) -> bool {
        self.0 >> (feature as u32) & 1 == 1
    }
}

/// The features of every rule, by policy as the definition names it, in order.
pub fn of_rules(objects: &[Object]) -> BTreeMap<String, Vec<Features>> {
    let segments: BTreeMap<&str, &[Requirement]> = objects
        .iter()
        .filter_map(|object| match &object.spec {
            Spec::Segment(segment) => Some((object.name.as_str(), segment.requirements.as_slice())),
            _ => None,
        })
        .collect();
    let policies = objects.iter().filter_map(|object| match &object.spec {
        Spec::Policy(policy) => Some((object, policy)),
        _ => None,
    });
    policies
        .map(|(object, policy)| {
            let platform = object.domain == PLATFORM;
            let name = if platform { format!("{PLATFORM}/{}", object.name) } else { object.name.clone() };
            let mut shared = of_policy(policy);
            shared.add_if(platform, Feature::Platform);
            let rules = policy.rules.iter().map(|rule| {
                let mut features = shared;
                of_rule(&mut features, rule, &segments);
                features
            });
            (name, rules.collect())
        })
        .collect()
}

fn of_policy(policy: &PolicySpec) -> Features {
    let mut features = Features::default();
    features.add(match policy.tier.as_deref() {
        Some("guard") => Feature::Guard,
        Some("baseline") => Feature::Baseline,
        _ => Feature::Tenant,
    });
    features.add_if(policy.mode.as_deref() == Some("audit"), Feature::Audit);
    features.add_if(policy.stateless, Feature::Stateless);
    features
}

fn of_rule(features: &mut Features, rule: &RuleSpec, segments: &BTreeMap<&str, &[Requirement]>) {
    features.add(match rule.action.as_str() {
        "deny" => Feature::Deny,
        "pass" => Feature::Pass,
        _ => Feature::Allow,
    });
    features.add(match rule.side.as_deref() {
        Some("from") => Feature::FromSide,
        Some("to") => Feature::ToSide,
        _ => Feature::BothSides,
    });
    features.add_if(rule.priority.is_some(), Feature::Priority);
    features.add_if(rule.log, Feature::Log);
    features.add_if(rule.not_before.is_some(), Feature::NotBefore);
    features.add_if(rule.not_after.is_some(), Feature::NotAfter);
    rule.from.iter().chain(&rule.to).for_each(|peer| of_peer(features, peer, segments));
    rule.traffic.iter().for_each(|traffic| of_traffic(features, traffic));
}

fn of_peer(features: &mut Features, peer: &PeerSpec, segments: &BTreeMap<&str, &[Requirement]>) {
    match peer {
        PeerSpec::Name(name) => match name.split_once('/') {
            Some(("segment", name)) => {
                features.add(Feature::Segment);
                of_labels(features, segments.get(name).copied().unwrap_or_default());
            }
            Some(("workload", _)) => features.add(Feature::Workload),
            Some(_) => features.add(Feature::AddressSet),
            None => features.add(match name.as_str() {
                "outside" => Feature::Outside,
                "host" => Feature::Host,
                _ => Feature::Any,
            }),
        },
        PeerSpec::Cidr { except, .. } => {
            features.add(Feature::Cidr);
            features.add_if(!except.is_empty(), Feature::Except);
        }
        PeerSpec::Labels(requirements) => {
            features.add(Feature::Labels);
            of_labels(features, requirements);
        }
    }
}

fn of_labels(features: &mut Features, requirements: &[Requirement]) {
    for requirement in requirements {
        features.add(match requirement.test {
            LabelTest::Equals(_) => Feature::LabelEquals,
            LabelTest::In(_) => Feature::LabelIn,
            LabelTest::NotIn(_) => Feature::LabelNotIn,
            LabelTest::Exists(true) => Feature::LabelExists,
            LabelTest::Exists(false) => Feature::LabelAbsent,
        });
    }
}

fn of_traffic(features: &mut Features, traffic: &str) {
    let (protocol, rest) = traffic.split_once('/').map_or((traffic, None), |(protocol, rest)| (protocol, Some(rest)));
    features.add(match protocol {
        "tcp" => Feature::Tcp,
        "udp" => Feature::Udp,
        "sctp" => Feature::Sctp,
        "icmp" => Feature::Icmp,
        "icmp6" => Feature::Icmp6,
        "proto" => Feature::Protocol,
        _ => Feature::AnyTraffic,
    });
    let Some(rest) = rest else { return };
    match protocol {
        "icmp" | "icmp6" if rest.contains('/') => features.add(Feature::IcmpCode),
        "icmp" | "icmp6" => features.add(Feature::IcmpType),
        "tcp" | "udp" | "sctp" => {
            features.add_if(rest.contains('-'), Feature::PortRange);
            features.add_if(rest.starts_with(|c: char| c.is_ascii_alphabetic()), Feature::NamedPort);
        }
        _ => {}
    }
}

/// Cases by pair of features.
#[derive(Clone, Debug)]
pub struct Coverage {
    cases: Vec<Vec<u64>>,
}

impl Default for Coverage {
    fn default() -> Self {
        let all = Feature::ALL.len();
        Self { cases: vec![vec![0; all]; all] }
    }
}

impl Coverage {
    /// Counts a case that had these.
    pub fn count(&mut self, features: Features) {
        let present: Vec<usize> = (0..Feature::ALL.len()).filter(|place| features.0 >> place & 1 == 1).collect();
        for (nth, one) in present.iter().enumerate() {
            for other in present.iter().skip(nth) {
                self.cases[*one][*other] += 1;
            }
        }
    }

    /// Adds what another run covered.
    pub fn join(&mut self, other: &Self) {
        let rows = self.cases.iter_mut().zip(&other.cases);
        rows.for_each(|(mine, theirs)| mine.iter_mut().zip(theirs).for_each(|(mine, theirs)| *mine += theirs));
    }

    /// How many features were in some case.
    pub fn features(&self) -> usize {
        (0..Feature::ALL.len()).filter(|place| self.cases[*place][*place] > 0).count()
    }

    /// Every pair that can be, with the number of its cases, the rarest first.
    pub fn pairs(&self) -> Vec<(u64, Feature, Feature)> {
        let mut pairs = Vec::new();
        for (place, one) in Feature::ALL.iter().enumerate() {
            for (other_place, other) in Feature::ALL.iter().enumerate().skip(place + 1) {
                if !EXCLUSIVE.contains(&(*one, *other)) {
                    pairs.push((self.cases[place][other_place], *one, *other));
                }
            }
        }
        pairs.sort_unstable();
        pairs
    }
}

impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> =
            Feature::ALL.iter().filter(|feature| self.has(**feature)).map(ToString::to_string).collect();
        f.write_str(&names.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_that_no_case_had_is_the_rarest() {
        let mut coverage = Coverage::default();
        for one in Feature::ALL {
            for other in Feature::ALL.iter().filter(|other| (*one, **other) != (Feature::Guard, Feature::Log)) {
                let mut features = Features::default();
                features.add(*one);
                features.add_if((*other, *one) != (Feature::Guard, Feature::Log), *other);
                coverage.count(features);
            }
        }
        let none: Vec<_> = coverage.pairs().into_iter().take_while(|(cases, ..)| *cases == 0).collect();
        assert_eq!(none, [(0, Feature::Guard, Feature::Log)]);
        assert_eq!(coverage.features(), Feature::ALL.len());
    }
}
