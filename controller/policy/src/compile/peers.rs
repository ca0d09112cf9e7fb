//! What rules in force tell addresses apart by.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
};

use ipnet::IpNet;

use crate::model::{Domain, Peer, Selector};

/// The segments and prefixes that rules name. Labels that no such segment asks for play no part.
pub(super) struct Peers<'a> {
    segments: Vec<(&'a str, &'a Selector)>,
    label_keys: BTreeSet<&'a str>,
    prefixes: BTreeSet<IpNet>,
    /// Lengths of the prefixes, for IPv4 and IPv6.
    lengths: [BTreeSet<u8>; 2],
    /// Segments by what a workload's labels say under the keys asked for.
    selected: HashMap<BTreeMap<&'a str, &'a str>, Vec<&'a str>>,
}

impl<'a> Peers<'a> {
    pub(super) fn new(domain: &'a Domain) -> Self {
        let rules = domain.policies.values().flat_map(|policy| &policy.rules);
        let peers: BTreeSet<&Peer> = rules.flat_map(|rule| rule.from.iter().chain(&rule.to)).collect();
        let segment = |peer: &&Peer| match peer {
            Peer::Segment(name) => domain.segments.get_key_value(name),
            _ => None,
        };
        let prefix = |peer: &&Peer| match peer {
            Peer::Cidr { prefix, .. } => Some(*prefix),
            _ => None,
        };
        let segments: Vec<_> = peers.iter().filter_map(segment).map(|(name, s)| (name.as_str(), s)).collect();
        let prefixes: BTreeSet<_> = peers.iter().filter_map(prefix).collect();
        let mut lengths = [BTreeSet::new(), BTreeSet::new()];
        for prefix in &prefixes {
            lengths[family(prefix.addr())].insert(prefix.prefix_len());
        }
        Self {
            label_keys: segments.iter().flat_map(|(_, selector)| selector.keys()).collect(),
            segments,
            prefixes,
            lengths,
            selected: HashMap::new(),
        }
    }

    /// The segments that hold a workload with these labels, by name.
    pub(super) fn segments_of(&mut self, labels: &'a BTreeMap<String, String>) -> &[&'a str] {
        let asked = self.label_keys.iter().filter_map(|key| labels.get_key_value(*key));
        let asked: BTreeMap<_, _> = asked.map(|(key, value)| (key.as_str(), value.as_str())).collect();
        self.selected.entry(asked).or_insert_with(|| {
            let holding = self.segments.iter().filter(|(_, selector)| selector.matches(labels));
            holding.map(|(name, _)| *name).collect()
        })
    }

    /// The prefixes that hold an address, the shortest first.
    pub(super) fn prefixes_of(&self, address: IpAddr) -> Vec<IpNet> {
        self.prefixes_around(address, u8::MAX)
    }

    /// The prefixes that hold another, itself included if a rule names it, the shortest first.
    pub(super) fn prefixes_holding(&self, prefix: &IpNet) -> Vec<IpNet> {
        self.prefixes_around(prefix.addr(), prefix.prefix_len())
    }

    fn prefixes_around(&self, address: IpAddr, longest: u8) -> Vec<IpNet> {
        let lengths = self.lengths[family(address)].range(..=longest);
        let around = lengths.filter_map(|length| IpNet::new(address, *length).ok()).map(|prefix| prefix.trunc());
        around.filter(|prefix| self.prefixes.contains(prefix)).collect()
    }

    /// Every prefix that a rule names.
    pub(super) fn prefixes(&self) -> impl Iterator<Item = IpNet> {
        self.prefixes.iter().copied()
    }
}

fn family(address: IpAddr) -> usize {
    usize::from(address.is_ipv6())
}
