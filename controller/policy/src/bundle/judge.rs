//! What a bundle says of a flow: the look-ups that the programs do, one after the other.
//!
//! Tests set it against the reference evaluator on one side and against the programs on the other.

use super::{Bundle, CLASS_HOST, Outcome, Profile, Run};
use crate::{
    evaluate::{Decision, End, Flow, Traffic, Verdict, Vote},
    model::{DEFAULT_ALLOW, DEFAULT_DENY},
};

impl Bundle {
    /// Judges a flow as an agent that holds this bundle does, at a moment in seconds since 1970-01-01T00:00:00Z.
    pub fn judge(&self, flow: &Flow, at: u64) -> Verdict {
        let (from_class, from_votes) = self.class(flow.source);
        let (to_class, to_votes) = self.class(flow.destination);
        let pair = (from_class, to_class);
        let row = self.policy.rows.iter().find(|row| (Some(row.from_class), Some(row.to_class)) == pair);
        let known = from_class.is_some() && to_class.is_some();
        let allows = known && self.policy.default_allows;
        let by_default = Outcome { from_allows: allows, to_allows: allows, from_rule: 0, to_rule: 0 };
        let (enforced, shadow) = match row {
            None => (by_default, by_default),
            Some(row) => {
                let profile = usize::try_from(row.profile_at(at)).ok().and_then(|at| self.policy.profiles.get(at));
                let run = profile.and_then(|profile| run(profile, flow.traffic));
                let denied = Outcome { from_allows: false, to_allows: false, from_rule: 0, to_rule: 0 };
                run.map_or((denied, denied), |run| (run.enforced, run.shadow))
            }
        };
        let vote = |votes: bool, side: fn(&Outcome) -> (bool, u32)| {
            votes.then(|| Vote { enforced: self.decision(side(&enforced)), shadow: self.decision(side(&shadow)) })
        };
        Verdict {
            from: vote(from_votes, |outcome| (outcome.from_allows, outcome.from_rule)),
            to: vote(to_votes, |outcome| (outcome.to_allows, outcome.to_rule)),
        }
    }

    /// The class of an end, and whether its side votes.
    fn class(&self, end: End) -> (Option<u32>, bool) {
        let End::Address(address) = end else { return (Some(CLASS_HOST), false) };
        let mut interfaces = self.interfaces.iter().flat_map(|interface| &interface.addresses);
        if let Some((_, class)) = interfaces.find(|(other, _)| *other == address) {
            return (Some(*class), true);
        }
        let holding = self.policy.prefixes.iter().filter(|classed| classed.prefix.contains(&address));
        let longest = holding.max_by_key(|classed| classed.prefix.prefix_len());
        longest.map_or((None, false), |classed| (Some(classed.class_id), classed.votes))
    }

    fn decision(&self, (allows, ordinal): (bool, u32)) -> Decision {
        let rule = usize::try_from(ordinal).ok().filter(|ordinal| *ordinal > 0).and_then(|o| self.policy.rules.get(o));
        let default = if self.policy.default_allows { DEFAULT_ALLOW } else { DEFAULT_DENY };
        Decision {
            allows,
            rule: rule.map_or_else(|| default.into(), |rule| rule.name.clone()),
            stateful: rule.is_none_or(|rule| !rule.stateless),
            log: rule.is_some_and(|rule| rule.log),
        }
    }
}

/// The run that covers a number: the last one that begins at or before it.
fn run(profile: &Profile, traffic: Traffic) -> Option<&Run> {
    let (table, number) = match traffic {
        Traffic::Tcp(port) => (&profile.tcp, port),
        Traffic::Udp(port) => (&profile.udp, port),
        Traffic::Sctp(port) => (&profile.sctp, port),
        Traffic::Icmp(kind, code) => (&profile.icmp, u16::from_be_bytes([kind, code])),
        Traffic::Icmp6(kind, code) => (&profile.icmp6, u16::from_be_bytes([kind, code])),
        Traffic::Other(protocol) => (&profile.other, protocol.into()),
    };
    table.iter().rev().find(|run| run.first <= number)
}
