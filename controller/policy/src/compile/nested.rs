//! Values by prefix, where the longest prefix counts.

use std::{
    collections::{BTreeSet, HashMap},
    net::IpAddr,
};

use ipnet::IpNet;

/// What prefixes, which may hold one another, stand for.
pub(super) struct Nested<T> {
    values: HashMap<IpNet, T>,
    /// Lengths in use, for IPv4 and IPv6.
    lengths: [BTreeSet<u8>; 2],
}

impl<T> Nested<T> {
    /// The value of the longest prefix that holds an address.
    pub(super) fn of(&self, address: IpAddr) -> Option<&T> {
        self.around(address, u8::MAX)
    }

    /// The value of the longest prefix that holds another or is it.
    pub(super) fn holding(&self, prefix: &IpNet) -> Option<&T> {
        self.around(prefix.addr(), prefix.prefix_len())
    }

    /// Every prefix.
    pub(super) fn prefixes(&self) -> impl Iterator<Item = IpNet> {
        self.values.keys().copied()
    }

    fn around(&self, address: IpAddr, longest: u8) -> Option<&T> {
        let lengths = self.lengths[usize::from(address.is_ipv6())].range(..=longest).rev();
        let around = lengths.filter_map(|length| IpNet::new(address, *length).ok());
        around.map(|prefix| prefix.trunc()).find_map(|prefix| self.values.get(&prefix))
    }
}

impl<T> FromIterator<(IpNet, T)> for Nested<T> {
    fn from_iter<I: IntoIterator<Item = (IpNet, T)>>(values: I) -> Self {
        let values: HashMap<IpNet, T> = values.into_iter().collect();
        let mut lengths = [BTreeSet::new(), BTreeSet::new()];
        for prefix in values.keys() {
            lengths[usize::from(prefix.addr().is_ipv6())].insert(prefix.prefix_len());
        }
        Self { values, lengths }
    }
}

/// The prefixes, each after those that hold it, with the place of the longest other one that does.
pub(super) fn parents(prefixes: &BTreeSet<IpNet>) -> Vec<(IpNet, Option<usize>)> {
    // In this order a prefix comes right after those that hold it, and what they hold before it.
    let mut around: Vec<(IpNet, usize)> = Vec::new();
    let mut found = Vec::with_capacity(prefixes.len());
    for (place, prefix) in prefixes.iter().enumerate() {
        while around.pop_if(|(other, _)| !other.contains(prefix)).is_some() {}
        found.push((*prefix, around.last().map(|(_, parent)| *parent)));
        around.push((*prefix, place));
    }
    found
}
