//! Which flows an expected flow stands for, and what their verdicts come to.

use std::net::IpAddr;

use super::{ExpectedFlow, Family, Outcome, Place, Port, Question};
use crate::{
    evaluate::{End, Flow, Traffic, Verdict, owner},
    model::{Domain, Interface, Workload},
};

/// Why a flow cannot be asked of a domain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// An end that the domain does not have.
    #[error("there is no workload {workload} in {domain}: add it or correct the name")]
    NoWorkload {
        /// The field that names it, `from` or `to`.
        field: &'static str,
        /// Its name.
        workload: String,
        /// `tenant/domain`.
        domain: String,
    },
    /// An end that the workload does not have.
    #[error("workload {workload} has no interface {interface}: write one of {}", known.join(", "))]
    NoInterface {
        /// The field that names it, `from` or `to`.
        field: &'static str,
        /// Its workload.
        workload: String,
        /// Its name.
        interface: String,
        /// The names it has.
        known: Vec<String>,
    },
    /// A name that is no port of the destination.
    #[error("{to} has no port named {name}: add it to the ports of that workload, or write a number")]
    NoPort {
        /// The destination as written.
        to: String,
        /// The name.
        name: String,
    },
    /// No address pair has a family that both ends, the traffic and `family` have.
    #[error(
        "{from} and {to} have no two addresses between which {traffic} can go: correct an end, the traffic or the family"
    )]
    NoPair {
        /// The source as written.
        from: String,
        /// The destination as written.
        to: String,
        /// The traffic.
        traffic: String,
    },
    /// Neither end has an address to ask with.
    #[error("the host is both ends: write a workload or an address for one of them")]
    OnlyHosts,
    /// No side votes, whatever the policies say: an expected deny would hold for ever.
    #[error(
        "{from} to {to}, {traffic}: neither end is a workload of {domain}, so no policy is asked: name a workload, or an \
         address that one has"
    )]
    Unjudged {
        /// The source as written.
        from: String,
        /// The destination as written.
        to: String,
        /// The traffic.
        traffic: String,
        /// `tenant/domain`.
        domain: String,
    },
}

/// A flow that was asked, and what both sides said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The flow.
    pub flow: Flow,
    /// What both sides said.
    pub verdict: Verdict,
}

/// What became of an expected flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What all address pairs come to.
    pub got: Outcome,
    /// The rule that decides: the one expected if it does, else that of the first pair that tells against what was
    /// expected; `None`: ambiguous, or no policy was asked.
    pub rule: Option<String>,
    /// Whether it is what was expected, rule included.
    pub ok: bool,
    /// Every pair asked, at least one.
    pub asked: Vec<Asked>,
}

impl AskError {
    /// The field of the expected flow that is at fault.
    pub fn field(&self) -> &'static str {
        match self {
            Self::NoWorkload { field, .. } | Self::NoInterface { field, .. } => field,
            Self::NoPort { .. } => "traffic",
            Self::NoPair { .. } | Self::OnlyHosts | Self::Unjudged { .. } => "to",
        }
    }
}

impl ExpectedFlow {
    /// Asks an engine, of every address pair that the flow stands for; `now` is when, if the flow does not say.
    ///
    /// # Errors
    /// See [`AskError`]; and whatever the engine says.
    pub fn ask<E: From<AskError>>(
        &self,
        domain: &Domain,
        now: u64,
        mut judge: impl FnMut(&Flow, u64) -> Result<Verdict, E>,
    ) -> Result<Answer, E> {
        let at = self.at.unwrap_or(now);
        let flows = self.questions(domain)?;
        let is_owned = |end| owner(domain, end).is_some();
        if !flows.iter().any(|flow| is_owned(flow.source) || is_owned(flow.destination)) {
            let Self { from, to, traffic, .. } = self;
            let (from, to, traffic) = (from.to_string(), to.to_string(), traffic.to_string());
            return Err(AskError::Unjudged { from, to, traffic, domain: domain.name().into() }.into());
        }
        let asked = flows.into_iter().map(|flow| Ok(Asked { flow, verdict: judge(&flow, at)? }));
        Ok(self.answer(asked.collect::<Result<_, E>>()?))
    }

    /// The flows it stands for: one for each address pair of a family that both ends and the traffic have.
    ///
    /// # Errors
    /// See [`AskError`].
    pub fn questions(&self, domain: &Domain) -> Result<Vec<Flow>, AskError> {
        let sources = addresses(domain, "from", &self.from)?;
        let destinations = addresses(domain, "to", &self.to)?;
        let traffic = self.traffic(domain)?;
        let pairs: Vec<(End, End, Family)> = match (sources, destinations) {
            (None, None) => return Err(AskError::OnlyHosts),
            (Some(from), None) => from.into_iter().map(|a| (a.into(), End::Host, Family::of(a))).collect(),
            (None, Some(to)) => to.into_iter().map(|b| (End::Host, b.into(), Family::of(b))).collect(),
            (Some(from), Some(to)) => from
                .iter()
                .flat_map(|a| to.iter().map(move |b| (*a, *b)))
                // What has the same address at both ends is never sent.
                .filter(|(a, b)| a != b && Family::of(*a) == Family::of(*b))
                .map(|(a, b)| (a.into(), b.into(), Family::of(a)))
                .collect(),
        };
        let wanted =
            |family| family_of(traffic).is_none_or(|of| of == family) && self.family.is_none_or(|of| of == family);
        let asked = pairs.into_iter().filter(|(.., family)| wanted(*family));
        let flows: Vec<Flow> = asked.map(|(source, destination, _)| Flow { source, destination, traffic }).collect();
        if flows.is_empty() {
            let Self { from, to, traffic, .. } = self;
            let (from, to, traffic) = (from.to_string(), to.to_string(), traffic.to_string());
            return Err(AskError::NoPair { from, to, traffic });
        }
        Ok(flows)
    }

    /// What the verdicts on [`ExpectedFlow::questions`] come to.
    pub fn answer(&self, asked: Vec<Asked>) -> Answer {
        let passing = asked.iter().filter(|asked| asked.verdict.allows()).count();
        let got = match passing {
            0 => Outcome::Deny,
            all if all == asked.len() => Outcome::Allow,
            _ => Outcome::Ambiguous,
        };
        let expected = |asked: &&Asked| match &self.rule {
            Some(rule) => deciders(&asked.verdict).any(|decider| decider == rule),
            None => true,
        };
        let stray = asked.iter().find(|asked| !expected(asked));
        let rule = match (got, stray, &self.rule) {
            (Outcome::Ambiguous, ..) => None,
            (_, None, Some(rule)) => Some(rule.clone()),
            (_, stray, _) => {
                let told = stray.or(asked.first());
                told.and_then(|asked| deciders(&asked.verdict).next().map(str::to_owned))
            }
        };
        Answer { got, rule, ok: got == self.expect && stray.is_none(), asked }
    }

    /// The traffic to ask, a port's name resolved on the destination.
    fn traffic(&self, domain: &Domain) -> Result<Traffic, AskError> {
        let port = |port: &Port| match port {
            Port::Number(number) => Ok(*number),
            Port::Named(name) => {
                let missing = || AskError::NoPort { to: self.to.to_string(), name: name.clone() };
                destination(domain, &self.to).and_then(|workload| workload.ports.get(name)).copied().ok_or_else(missing)
            }
        };
        Ok(match &self.traffic {
            Question::Tcp(of) => Traffic::Tcp(port(of)?),
            Question::Udp(of) => Traffic::Udp(port(of)?),
            Question::Sctp(of) => Traffic::Sctp(port(of)?),
            Question::Icmp(kind, code) => Traffic::Icmp(*kind, *code),
            Question::Icmp6(kind, code) => Traffic::Icmp6(*kind, *code),
            Question::Protocol(number) => Traffic::Other(*number),
        })
    }
}

/// The rules that `rule` of an expected flow may name: that which denies, the source's side first, or each that allows.
fn deciders(verdict: &Verdict) -> impl Iterator<Item = &str> {
    let allows = verdict.allows();
    let votes = [&verdict.from, &verdict.to].into_iter().flatten();
    let telling = votes.filter(move |vote| vote.enforced.allows == allows).map(|vote| vote.enforced.rule.as_str());
    telling.take(if allows { 2 } else { 1 })
}

/// The only family that traffic has, if it has but one.
fn family_of(traffic: Traffic) -> Option<Family> {
    match traffic {
        Traffic::Icmp(..) => Some(Family::Ipv4),
        Traffic::Icmp6(..) => Some(Family::Ipv6),
        _ => None,
    }
}

/// The addresses of an end; `None`: the host, whatever its addresses.
fn addresses(domain: &Domain, field: &'static str, place: &Place) -> Result<Option<Vec<IpAddr>>, AskError> {
    let of = |interfaces: &[Interface]| interfaces.iter().flat_map(|i| i.addresses.clone()).collect();
    Ok(match place {
        Place::Host => None,
        Place::Address(address) => Some(vec![*address]),
        Place::Workload(name) => Some(of(&workload(domain, field, name)?.interfaces)),
        Place::Interface { workload: name, interface } => {
            let interfaces = &workload(domain, field, name)?.interfaces;
            let found = interfaces.iter().find(|known| known.name == *interface);
            let missing = || AskError::NoInterface {
                field,
                workload: name.clone(),
                interface: interface.clone(),
                known: interfaces.iter().map(|known| known.name.clone()).collect(),
            };
            Some(found.ok_or_else(missing)?.addresses.clone())
        }
    })
}

fn workload<'a>(domain: &'a Domain, field: &'static str, name: &str) -> Result<&'a Workload, AskError> {
    let missing = || AskError::NoWorkload { field, workload: name.into(), domain: domain.name().into() };
    domain.workload(name).ok_or_else(missing)
}

/// The workload that is asked, if it is one.
fn destination<'a>(domain: &'a Domain, place: &Place) -> Option<&'a Workload> {
    match place {
        Place::Workload(name) | Place::Interface { workload: name, .. } => domain.workload(name),
        Place::Address(address) => owner(domain, (*address).into()).map(|(_, workload)| workload),
        Place::Host => None,
    }
}
