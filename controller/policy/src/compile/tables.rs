//! Rules of one pair of classes → a profile: for each protocol, every number has its deciding rule.

use std::collections::BTreeMap;

use super::order::OrderedRule;
use crate::{
    bundle::{Outcome, Profile, Run},
    model::{Action, PortRange, Ports, Traffic},
};

/// What the rules come to, the most decisive first. A side that does not vote allows by ordinal 0.
pub(super) fn profile(rules: &[&OrderedRule<'_>], from_votes: bool, to_votes: bool) -> Profile {
    let table = |numbers: fn(&Traffic) -> Option<PortRange>| {
        let mut painted = Painted::default();
        for ordered in rules.iter().rev() {
            let allows = ordered.rule.action == Action::Allow;
            for range in ordered.rule.traffic.iter().filter_map(numbers) {
                painted.paint(range, Deciding { ordinal: ordered.ordinal, allows });
            }
        }
        painted.runs(from_votes, to_votes)
    };
    Profile {
        tcp: table(|traffic| match traffic {
            Traffic::Any => Some(PortRange::ALL),
            Traffic::Tcp(Ports::Range(ports)) => Some(*ports),
            _ => None,
        }),
        udp: table(|traffic| match traffic {
            Traffic::Any => Some(PortRange::ALL),
            Traffic::Udp(Ports::Range(ports)) => Some(*ports),
            _ => None,
        }),
        sctp: table(|traffic| (*traffic == Traffic::Any).then_some(PortRange::ALL)),
        icmp: table(|traffic| matches!(traffic, Traffic::Any | Traffic::Icmp(_)).then_some(PortRange::ALL)),
        icmp6: table(|traffic| matches!(traffic, Traffic::Any | Traffic::Icmp6(_)).then_some(PortRange::ALL)),
        other: table(|traffic| (*traffic == Traffic::Any).then_some(PortRange::ALL)),
    }
}

/// The rule that decides a number; the default is the domain's, deny.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Deciding {
    ordinal: u32,
    allows: bool,
}

/// A number space in which what is painted later covers what was painted before.
struct Painted {
    /// By the first number of each stretch; 0 is always there.
    stretches: BTreeMap<u16, Deciding>,
}

impl Default for Painted {
    fn default() -> Self {
        Self { stretches: BTreeMap::from([(0, Deciding::default())]) }
    }
}

impl Painted {
    fn paint(&mut self, range: PortRange, deciding: Deciding) {
        let (first, last) = (range.first(), range.last());
        let beneath = self.stretches.range(..=last).next_back().map(|(_, beneath)| *beneath).unwrap_or_default();
        let covered: Vec<u16> = self.stretches.range(first..=last).map(|(first, _)| *first).collect();
        for covered in covered {
            self.stretches.remove(&covered);
        }
        self.stretches.insert(first, deciding);
        // What was beneath the last number goes on after it, unless something begins there.
        if let Some(next) = last.checked_add(1) {
            self.stretches.entry(next).or_insert(beneath);
        }
    }

    /// The stretches as runs; neighbours that are equal are one.
    fn runs(&self, from_votes: bool, to_votes: bool) -> Vec<Run> {
        let side = |votes: bool, deciding: Deciding| match votes {
            true => (deciding.allows, deciding.ordinal),
            false => (true, 0),
        };
        let mut runs = Vec::with_capacity(self.stretches.len());
        let mut before = None;
        for (&first, &deciding) in &self.stretches {
            if before == Some(deciding) {
                continue;
            }
            before = Some(deciding);
            let (from_allows, from_rule) = side(from_votes, deciding);
            let (to_allows, to_rule) = side(to_votes, deciding);
            let enforced = Outcome { from_allows, to_allows, from_rule, to_rule };
            runs.push(Run { first, enforced, shadow: enforced });
        }
        runs
    }
}
