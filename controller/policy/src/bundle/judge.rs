//! What a bundle says of a flow: the look-ups that the programs do, one after the other.
//!
//! Tests set it against the reference evaluator on one side and against the programs on the other.

use std::net::IpAddr;

use super::{Bundle, Profile, Run};
use crate::{
    evaluate::{Decision, Flow, Traffic, Verdict},
    model::DEFAULT_DENY,
};

impl Bundle {
    /// Judges a flow as an agent that holds this bundle does.
    pub fn judge(&self, flow: &Flow) -> Verdict {
        let (from_class, from_votes) = self.class(flow.source);
        let (to_class, to_votes) = self.class(flow.destination);
        let pair = (from_class, to_class);
        let row = self.policy.rows.iter().find(|row| (Some(row.from_class), Some(row.to_class)) == pair);
        let profile = row.and_then(|row| self.policy.profiles.get(usize::try_from(row.profile).ok()?));
        let run = profile.and_then(|profile| run(profile, flow.traffic));
        let side = |votes: bool, allows: fn(&Run) -> (bool, u32)| {
            let denied = Decision { allows: false, rule: DEFAULT_DENY.into() };
            votes.then(|| run.map_or(denied, |run| self.decision(allows(run))))
        };
        Verdict {
            from: side(from_votes, |run| (run.from_allows, run.from_rule)),
            to: side(to_votes, |run| (run.to_allows, run.to_rule)),
        }
    }

    /// The class of an address, and whether it is an interface's and its side votes.
    fn class(&self, address: IpAddr) -> (Option<u32>, bool) {
        let mut interfaces = self.interfaces.iter().flat_map(|interface| &interface.addresses);
        if let Some((_, class)) = interfaces.find(|(other, _)| *other == address) {
            return (Some(*class), true);
        }
        let holding = self.policy.prefixes.iter().filter(|(prefix, _)| prefix.contains(&address));
        let longest = holding.max_by_key(|(prefix, _)| prefix.prefix_len());
        (longest.map(|(_, class)| *class), false)
    }

    fn decision(&self, (allows, ordinal): (bool, u32)) -> Decision {
        let name = usize::try_from(ordinal).ok().and_then(|ordinal| self.policy.rules.get(ordinal));
        Decision { allows, rule: name.map_or_else(|| DEFAULT_DENY.into(), |name| name.name.clone()) }
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
