//! What many classes or rules have in common, each once.

use std::{collections::HashMap, hash::Hash};

use super::{
    bounds::{Beyond, Budget},
    classes::Class,
    peers::{Peers, Places},
};
use crate::model::Peer;

/// Values, each once, with what bears them; in the order in which they came.
pub(super) struct Distinct<T> {
    places: HashMap<T, usize>,
    pub(super) list: Vec<(T, Vec<u32>)>,
}

impl<T: Clone + Eq + Hash> Distinct<T> {
    pub(super) fn new() -> Self {
        Self { places: HashMap::new(), list: Vec::new() }
    }

    pub(super) fn add(&mut self, value: T, bearer: u32) {
        let next = self.list.len();
        let place = *self.places.entry(value).or_insert_with_key(|value| {
            self.list.push((value.clone(), Vec::new()));
            next
        });
        self.list[place].1.push(bearer);
    }
}

/// The lists of peers on one side of rules, each once; referred to by place.
pub(super) struct Lists {
    places: HashMap<Places, usize>,
    /// The places of the lists that a peer, by its own place, is in.
    by_peer: Vec<Vec<usize>>,
}

impl Lists {
    pub(super) fn new(peers: &Peers) -> Self {
        Self { places: HashMap::new(), by_peer: vec![Vec::new(); peers.len()] }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// The place of a rule's list.
    pub(super) fn place(&mut self, peers: &Peers, list: &[Peer]) -> usize {
        let next = self.places.len();
        *self.places.entry(peers.places(list)).or_insert_with_key(|list| {
            list.iter().for_each(|peer| self.by_peer[*peer as usize].push(next));
            next
        })
    }

    /// The lists that match a class.
    pub(super) fn holding(&self, class: &Class, budget: &mut Budget) -> Result<Vec<usize>, Beyond> {
        let by_peer = || class.peers.iter().map(|peer| &self.by_peer[*peer as usize]);
        budget.spend(by_peer().map(Vec::len).sum())?;
        let mut lists: Vec<usize> = by_peer().flatten().copied().collect();
        lists.sort_unstable();
        lists.dedup();
        Ok(lists)
    }
}
