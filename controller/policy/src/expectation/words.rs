//! How the parts of an expectation are written.

use std::{net::IpAddr, str::FromStr};

use super::{Family, Outcome, Place, Port, Question};
use crate::model::{self, AddressError, DEFAULT_ALLOW, DEFAULT_DENY, IcmpTypes, Ports, TrafficError};

/// What `icmp` asks: an echo request, RFC 792.
const ECHO_REQUEST: Question = Question::Icmp(8, 0);

/// What `icmp6` asks: an echo request, RFC 4443 4.1.
const ECHO_REQUEST_6: Question = Question::Icmp6(128, 0);

/// A text that is no part of an expectation.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum WordError {
    /// Neither a workload's or interface's name nor an address.
    #[error("{0:?} is no end of a flow: write WORKLOAD, WORKLOAD/INTERFACE, an address or host")]
    NotAPlace(String),
    /// More than one sort of packet.
    #[error(
        "{0:?} is more than one question: write tcp/PORT, udp/PORT, sctp/PORT, icmp, icmp/TYPE, icmp/TYPE/CODE, \
         icmp6 or proto/NUMBER"
    )]
    NotOneQuestion(String),
    /// A protocol that has ports or types, by number.
    #[error("{0:?} does not say which packet: write {1}")]
    HasParts(String, &'static str),
    /// Not one of three.
    #[error("{0:?} is no outcome: write allow, deny or ambiguous")]
    NotAnOutcome(String),
    /// Not one of two.
    #[error("{0:?} is no family: write ipv4 or ipv6")]
    NotAFamily(String),
    /// Not `POLICY/RULE`.
    #[error("{0:?} is no rule: write POLICY/RULE, */POLICY/RULE, default/deny or default/allow")]
    NotARule(String),
    /// No traffic at all.
    #[error(transparent)]
    Traffic(#[from] TrafficError),
    /// An address that no packet bears.
    #[error(transparent)]
    Address(#[from] AddressError),
}

impl FromStr for Place {
    type Err = WordError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "host" {
            return Ok(Self::Host);
        }
        if let Ok(address) = text.parse::<IpAddr>() {
            model::check_unmapped(address)?;
            return Ok(Self::Address(address));
        }
        let wrong = |_| WordError::NotAPlace(text.into());
        let (workload, interface) = text.split_once('/').map_or((text, None), |(w, i)| (w, Some(i)));
        model::check_object(workload).map_err(wrong)?;
        Ok(match interface {
            None => Self::Workload(workload.into()),
            Some(interface) => {
                model::check_part(interface).map_err(wrong)?;
                Self::Interface { workload: workload.into(), interface: interface.into() }
            }
        })
    }
}

impl FromStr for Question {
    type Err = WordError;

    /// Of the traffic that a rule may name, what is one sort of packet.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let port = |ports| match ports {
            Ports::Named(name) => Ok(Port::Named(name)),
            Ports::Range(range) if range.first() == range.last() => Ok(Port::Number(range.first())),
            Ports::Range(_) => Err(WordError::NotOneQuestion(text.into())),
        };
        let with_parts = |advice| Err(WordError::HasParts(text.into(), advice));
        match text.parse()? {
            model::Traffic::Any => Err(WordError::NotOneQuestion(text.into())),
            model::Traffic::Tcp(ports) => port(ports).map(Self::Tcp),
            model::Traffic::Udp(ports) => port(ports).map(Self::Udp),
            model::Traffic::Sctp(ports) => port(ports).map(Self::Sctp),
            model::Traffic::Icmp(IcmpTypes::All) => Ok(ECHO_REQUEST),
            model::Traffic::Icmp(IcmpTypes::Type(kind)) => Ok(Self::Icmp(kind, 0)),
            model::Traffic::Icmp(IcmpTypes::Code(kind, code)) => Ok(Self::Icmp(kind, code)),
            model::Traffic::Icmp6(IcmpTypes::All) => Ok(ECHO_REQUEST_6),
            model::Traffic::Icmp6(IcmpTypes::Type(kind)) => Ok(Self::Icmp6(kind, 0)),
            model::Traffic::Icmp6(IcmpTypes::Code(kind, code)) => Ok(Self::Icmp6(kind, code)),
            model::Traffic::Protocol(1) => with_parts("icmp/TYPE/CODE"),
            model::Traffic::Protocol(6) => with_parts("tcp/PORT"),
            model::Traffic::Protocol(17) => with_parts("udp/PORT"),
            model::Traffic::Protocol(58) => with_parts("icmp6/TYPE/CODE"),
            model::Traffic::Protocol(132) => with_parts("sctp/PORT"),
            model::Traffic::Protocol(number) => Ok(Self::Protocol(number)),
        }
    }
}

impl FromStr for Outcome {
    type Err = WordError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "allow" => Ok(Self::Allow),
            "deny" => Ok(Self::Deny),
            "ambiguous" => Ok(Self::Ambiguous),
            _ => Err(WordError::NotAnOutcome(text.into())),
        }
    }
}

impl FromStr for Family {
    type Err = WordError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "ipv4" => Ok(Self::Ipv4),
            "ipv6" => Ok(Self::Ipv6),
            _ => Err(WordError::NotAFamily(text.into())),
        }
    }
}

/// A rule as verdicts name it.
pub(crate) fn parse_rule(text: &str) -> Result<String, WordError> {
    let parts: Vec<&str> = text.strip_prefix("*/").unwrap_or(text).split('/').collect();
    let is_rule = match parts[..] {
        [policy, rule] => model::check_object(policy).is_ok() && model::check_part(rule).is_ok(),
        _ => false,
    };
    match is_rule || [DEFAULT_DENY, DEFAULT_ALLOW].contains(&text) {
        true => Ok(text.into()),
        false => Err(WordError::NotARule(text.into())),
    }
}
