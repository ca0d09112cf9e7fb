//! What an image says of a flow: the look-ups that the programs do in its maps, one after the other.
//!
//! Tests set it against [`Bundle::judge`](ringfence_policy::bundle::Bundle::judge) on one side and against the programs on
//! the other.

use std::net::IpAddr;

use ringfence_policy::evaluate::{End, Flow, Traffic};

use super::image::Image;
use crate::bpf::{
    AddrKey, Ip, PrefixKey, RowKey, Run, Span,
    consts::{
        RF_CLASS_HOST, RF_CLASS_NONE, RF_PREFIX_FIXED_BITS, RF_TABLE_ICMP, RF_TABLE_ICMP6, RF_TABLE_OTHER,
        RF_TABLE_SCTP, RF_TABLE_TCP, RF_TABLE_UDP,
    },
};

/// What comes of the look-ups.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Judgement {
    /// The slot in force.
    pub slot: u32,
    /// Class of the source and of the destination.
    pub classes: [u32; 2],
    /// The run that covers the number, in the words of `RF_ALLOW_*`, `RF_SHADOW_*`, `RF_STATEFUL_*` and `RF_LOG_*`; all
    /// zero, which is denied by the default: there is none.
    pub run: Run,
}

impl Image {
    /// Judges the first packet of a flow in a domain. Neither end is a gateway: those are never judged.
    pub fn judge(&self, domain_id: u32, flow: &Flow) -> Judgement {
        let Some((index, _)) = self.domains.iter().find(|(_, domain)| domain.id == domain_id) else {
            return Judgement::default();
        };
        let slot = self.word(*index).slot;
        let classes = [flow.source, flow.destination].map(|end| self.class(domain_id, slot, end));
        let [from_class, to_class] = classes;
        let both_known = classes.iter().all(|class| *class != RF_CLASS_NONE);
        let profile = self
            .profile_index(RowKey { domain_id, from_class, to_class }, slot)
            .or_else(|| self.profile_index(default_row(domain_id), slot))
            .filter(|_| both_known)
            .and_then(|index| self.profiles.get(&index));
        let (table, number) = place(flow.traffic);
        let run = profile.and_then(|profile| self.run(profile.table[table as usize], number));
        Judgement { slot, classes, run: run.unwrap_or_default() }
    }

    /// An interface's address has a class of its own; another that of the longest prefix that holds it.
    fn class(&self, domain_id: u32, slot: u32, end: End) -> u32 {
        let End::Address(address) = end else { return RF_CLASS_HOST };
        if let Some(addr) = self.addrs.get(&AddrKey { domain_id, ip: Ip::from(address) }) {
            return addr.class_id[slot as usize];
        }
        let holding = (0..=128).rev().map(|length| PrefixKey {
            prefixlen: RF_PREFIX_FIXED_BITS + length,
            domain_id,
            slot,
            ip: masked(address, length),
        });
        holding.into_iter().find_map(|key| self.prefixes.get(&key).copied()).unwrap_or(RF_CLASS_NONE)
    }

    fn profile_index(&self, key: RowKey, slot: u32) -> Option<u32> {
        self.rows.get(&key).map(|row| row.profile[slot as usize]).filter(|index| *index != 0)
    }

    /// The last run that begins at or before the number.
    fn run(&self, span: Span, number: u16) -> Option<Run> {
        self.table(span).into_iter().rev().find(|run| run.first <= number)
    }
}

/// Stands for pairs of known classes without a row of their own.
fn default_row(domain_id: u32) -> RowKey {
    RowKey { domain_id, from_class: RF_CLASS_NONE, to_class: RF_CLASS_NONE }
}

/// The address without what lies behind its first bits.
fn masked(address: IpAddr, bits: u32) -> Ip {
    let all = u128::from_be_bytes(Ip::from(address).bytes);
    let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
    Ip { bytes: (all & mask).to_be_bytes() }
}

/// The table of a profile and the number in it.
fn place(traffic: Traffic) -> (u32, u16) {
    match traffic {
        Traffic::Tcp(port) => (RF_TABLE_TCP, port),
        Traffic::Udp(port) => (RF_TABLE_UDP, port),
        Traffic::Sctp(port) => (RF_TABLE_SCTP, port),
        Traffic::Icmp(kind, code) => (RF_TABLE_ICMP, u16::from_be_bytes([kind, code])),
        Traffic::Icmp6(kind, code) => (RF_TABLE_ICMP6, u16::from_be_bytes([kind, code])),
        Traffic::Other(protocol) => (RF_TABLE_OTHER, protocol.into()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
