//! Rules of one pair of classes at one moment → a profile: for each protocol, every number has its deciding rules.

use std::{collections::BTreeSet, ops::RangeInclusive};

use super::order::OrderedRule;
use crate::{
    bundle::{Outcome, Profile, Run},
    model::{Action, IcmpTypes, Mode, Ports, Side, Traffic},
};

/// A pair of ends, as far as rules that match both leave it open.
pub(super) struct Pair<'a> {
    pub(super) from_votes: bool,
    pub(super) to_votes: bool,
    /// What port names mean on the destination.
    pub(super) ports: &'a [(String, u16)],
    /// What becomes of what no rule decides.
    pub(super) default_allows: bool,
}

/// What the rules, given in the order in which they are asked, come to.
pub(super) fn profile(rules: &[&OrderedRule<'_>], pair: &Pair<'_>) -> Profile {
    let votes = Votes {
        from: Vote::new(rules, Side::From, pair.from_votes),
        to: Vote::new(rules, Side::To, pair.to_votes),
        pair,
    };
    Profile {
        tcp: votes.table(Table::Tcp),
        udp: votes.table(Table::Udp),
        sctp: votes.table(Table::Sctp),
        icmp: votes.table(Table::Icmp),
        icmp6: votes.table(Table::Icmp6),
        other: votes.table(Table::Other),
    }
}

/// A table of a profile.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Table {
    Tcp,
    Udp,
    Sctp,
    Icmp,
    Icmp6,
    Other,
}

impl Table {
    fn all(self) -> RangeInclusive<u16> {
        match self {
            Self::Other => 0..=u8::MAX.into(),
            _ => 0..=u16::MAX,
        }
    }

    /// The protocol whose numbers it is of.
    fn protocol(self) -> Option<u8> {
        match self {
            Self::Tcp => Some(6),
            Self::Udp => Some(17),
            Self::Sctp => Some(132),
            Self::Icmp => Some(1),
            Self::Icmp6 => Some(58),
            Self::Other => None,
        }
    }

    /// The numbers of this table that a rule's traffic speaks of.
    fn numbers(self, traffic: &Traffic, ports: &[(String, u16)]) -> Option<RangeInclusive<u16>> {
        match (self, traffic) {
            (_, Traffic::Any) => Some(self.all()),
            (Self::Tcp, Traffic::Tcp(wanted))
            | (Self::Udp, Traffic::Udp(wanted))
            | (Self::Sctp, Traffic::Sctp(wanted)) => match wanted {
                Ports::Range(range) => Some(range.first()..=range.last()),
                Ports::Named(wanted) => {
                    ports.iter().find(|(name, _)| name == wanted).map(|(_, number)| *number..=*number)
                }
            },
            (Self::Icmp, Traffic::Icmp(types)) | (Self::Icmp6, Traffic::Icmp6(types)) => {
                let number = |kind: u8, code: u8| u16::from_be_bytes([kind, code]);
                Some(match *types {
                    IcmpTypes::All => self.all(),
                    IcmpTypes::Type(kind) => number(kind, 0)..=number(kind, u8::MAX),
                    IcmpTypes::Code(kind, code) => number(kind, code)..=number(kind, code),
                })
            }
            // The number of ICMP in an IPv6 packet, and of ICMPv6 in an IPv4 one, is just a number.
            (Self::Other, Traffic::Protocol(number)) => Some((*number).into()..=(*number).into()),
            (_, Traffic::Protocol(number)) => (self.protocol() == Some(*number)).then(|| self.all()),
            _ => None,
        }
    }
}

/// The rules that bind a side, by whether policies in audit are left out; `None`: it does not vote.
struct Vote<'a> {
    enforced: Vec<&'a OrderedRule<'a>>,
    /// `None`: the same.
    shadow: Option<Vec<&'a OrderedRule<'a>>>,
}

impl<'a> Vote<'a> {
    fn new(rules: &[&'a OrderedRule<'a>], side: Side, votes: bool) -> Option<Self> {
        let bind = || rules.iter().copied().filter(move |ordered| ordered.rule.binds.binds(side));
        let enforced: Vec<_> = bind().filter(|ordered| ordered.mode == Mode::Enforce).collect();
        let shadow = (enforced.len() != bind().count()).then(|| bind().collect());
        votes.then_some(Self { enforced, shadow })
    }
}

/// Both sides.
struct Votes<'a> {
    from: Option<Vote<'a>>,
    to: Option<Vote<'a>>,
    pair: &'a Pair<'a>,
}

impl Votes<'_> {
    /// A table; neighbours that are equal are one run.
    fn table(&self, table: Table) -> Vec<Run> {
        let decided = |rules: &Vec<&OrderedRule<'_>>| decided(rules, table, self.pair);
        let side = |vote: &Option<Vote<'_>>| {
            let Some(vote) = vote else { return (vec![(0, Deciding::ABSTAINS)], None) };
            (decided(&vote.enforced), vote.shadow.as_ref().map(decided))
        };
        let ((from, from_shadow), (to, to_shadow)) = (side(&self.from), side(&self.to));
        let shadow = (from_shadow.as_ref().unwrap_or(&from), to_shadow.as_ref().unwrap_or(&to));
        let firsts: BTreeSet<u16> = [&from, &to, shadow.0, shadow.1].into_iter().flatten().map(|(n, _)| *n).collect();
        let mut runs: Vec<Run> = Vec::with_capacity(firsts.len());
        for first in firsts {
            let enforced = outcome(at(&from, first), at(&to, first));
            let shadow = outcome(at(shadow.0, first), at(shadow.1, first));
            if runs.last().is_none_or(|run| (run.enforced, run.shadow) != (enforced, shadow)) {
                runs.push(Run { first, enforced, shadow });
            }
        }
        runs
    }
}

fn outcome(from: Deciding, to: Deciding) -> Outcome {
    Outcome { from_allows: from.allows, to_allows: to.allows, from_rule: from.ordinal, to_rule: to.ordinal }
}

/// The rule that decides a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Deciding {
    ordinal: u32,
    allows: bool,
}

impl Deciding {
    /// A side that is no workload of ours.
    const ABSTAINS: Self = Self { ordinal: 0, allows: true };
}

/// Who decides a number, of stretches by their first number, 0 among them.
fn at(stretches: &[(u16, Deciding)], number: u16) -> Deciding {
    let after = stretches.partition_point(|(first, _)| *first <= number);
    after.checked_sub(1).and_then(|place| stretches.get(place)).map_or(Deciding::ABSTAINS, |(_, deciding)| *deciding)
}

/// Who decides each number, by the first number of each stretch. It goes through the numbers with the rules that
/// speak of the present one at hand.
fn decided(rules: &[&OrderedRule<'_>], table: Table, pair: &Pair<'_>) -> Vec<(u16, Deciding)> {
    let default = Deciding { ordinal: 0, allows: pair.default_allows };
    let mut turns = Vec::new();
    for (place, ordered) in rules.iter().enumerate() {
        for range in merged(ordered.rule.traffic.iter().filter_map(|traffic| table.numbers(traffic, pair.ports))) {
            turns.push((*range.start(), place, true));
            if range.end() < table.all().end() {
                turns.push((range.end() + 1, place, false));
            }
        }
    }
    turns.sort_unstable();
    let mut speaking = BTreeSet::new();
    let mut stretches = vec![(0, default)];
    for turns in turns.chunk_by(|(a, ..), (b, ..)| a == b) {
        for (_, place, begins) in turns {
            if *begins {
                speaking.insert(*place)
            } else {
                speaking.remove(place)
            };
        }
        let Some((number, ..)) = turns.first() else { continue };
        let deciding = first_to_decide(rules, &speaking).unwrap_or(default);
        if *number == 0 {
            stretches.clear();
        }
        if stretches.last().is_none_or(|(_, before)| *before != deciding) {
            stretches.push((*number, deciding));
        }
    }
    stretches
}

/// Ranges without overlap, in order.
fn merged(ranges: impl Iterator<Item = RangeInclusive<u16>>) -> Vec<RangeInclusive<u16>> {
    let mut ranges: Vec<_> = ranges.collect();
    ranges.sort_unstable_by_key(|range| *range.start());
    let mut merged: Vec<RangeInclusive<u16>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut().filter(|last| range.start() <= last.end()) {
            Some(last) => *last = *last.start()..=*range.end().max(last.end()),
            None => merged.push(range),
        }
    }
    merged
}

/// The first rule that allows or denies; one that passes ends its tier.
fn first_to_decide(rules: &[&OrderedRule<'_>], speaking: &BTreeSet<usize>) -> Option<Deciding> {
    let mut from = 0;
    loop {
        let ordered = rules.get(*speaking.range(from..).next()?)?;
        if ordered.rule.action != Action::Pass {
            return Some(Deciding { ordinal: ordered.ordinal, allows: ordered.rule.action == Action::Allow });
        }
        from = rules.partition_point(|other| other.tier <= ordered.tier);
    }
}
