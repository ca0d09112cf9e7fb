//! The peers that rules name, and which of them match an end. Labels, sets and ports that no rule asks for play
//! no part.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
};

use ipnet::IpNet;

use super::{
    CompileError,
    bounds::{self, Budget},
    nested::{Nested, parents},
    selectors::Selectors,
};
use crate::model::{Domain, Peer, Ports, Rule, Traffic, Workload};

/// Peers by their places in the list of those in use; ascending.
pub(super) type Places = Vec<u32>;

/// Every peer in use, each once.
pub(super) struct Peers {
    list: Vec<Peer>,
    selectors: Selectors,
    workloads: HashMap<String, u32>,
    /// Those that match by address.
    addresses: Nested<Places>,
    /// Names of ports in rules to a peer, by its place.
    ports: Vec<BTreeSet<String>>,
}

impl Peers {
    pub(super) fn new(domain: &Domain) -> Result<Self, CompileError> {
        let rules = || domain.policies().flat_map(|(_, policy)| &policy.rules);
        let mut list: Vec<&Peer> = rules().flat_map(|rule| rule.from.iter().chain(&rule.to)).collect();
        list.sort_unstable();
        list.dedup();
        let list: Vec<Peer> = list.into_iter().cloned().collect();
        let numbered = || (0..).zip(&list);
        let selectors = numbered().filter_map(|(place, peer)| match peer {
            Peer::Segment(name) => Some((place, domain.segment(name)?)),
            Peer::Labels(selector) => Some((place, selector)),
            _ => None,
        });
        let workloads = numbered().filter_map(|(place, peer)| match peer {
            Peer::Workload(name) => Some((name.clone(), place)),
            _ => None,
        });
        let mut peers = Self {
            selectors: selectors.collect(),
            workloads: workloads.collect(),
            addresses: by_address(domain, &list)?,
            ports: vec![BTreeSet::new(); list.len()],
            list,
        };
        for rule in rules() {
            peers.note_ports(rule);
        }
        Ok(peers)
    }

    fn note_ports(&mut self, rule: &Rule) {
        let names: Vec<&String> = rule.traffic.iter().filter_map(port_name).collect();
        if names.is_empty() {
            return;
        }
        for place in self.places(&rule.to) {
            self.ports[place as usize].extend(names.iter().copied().cloned());
        }
    }

    /// The places of peers that rules name.
    pub(super) fn places(&self, peers: &[Peer]) -> Places {
        let mut places: Places = peers.iter().filter_map(|peer| self.place(peer)).collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    /// The place of a peer, if a rule names it.
    pub(super) fn place(&self, peer: &Peer) -> Option<u32> {
        self.list.binary_search(peer).ok().and_then(|place| u32::try_from(place).ok())
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// The peer at a place.
    pub(super) fn at(&self, place: u32) -> Option<&Peer> {
        self.list.get(place as usize)
    }

    /// Those that match a workload, whatever its address.
    pub(super) fn of_workload(&self, name: &str, workload: &Workload) -> Places {
        let mut places = self.of_labels(workload);
        places.extend(self.workloads.get(name));
        places
    }

    /// Those that match a workload by its labels alone, as they do an address that several share.
    pub(super) fn of_labels(&self, workload: &Workload) -> Places {
        self.selectors.matching(&workload.labels).collect()
    }

    /// Those that match an address, whoever has it.
    pub(super) fn of_address(&self, address: IpAddr) -> &[u32] {
        self.addresses.of(address).map_or(&[], Vec::as_slice)
    }

    /// Those that match, whoever has them, the addresses of a prefix that no longer one of
    /// [`Self::prefixes`] holds.
    pub(super) fn of_prefix(&self, prefix: &IpNet) -> &[u32] {
        self.addresses.holding(prefix).map_or(&[], Vec::as_slice)
    }

    /// The prefixes by which they tell addresses apart.
    pub(super) fn prefixes(&self) -> impl Iterator<Item = IpNet> {
        self.addresses.prefixes()
    }

    /// What the port names in rules to some peers mean on a workload.
    pub(super) fn ports_of(&self, places: &[u32], workload: &Workload) -> Vec<(String, u16)> {
        if workload.ports.is_empty() {
            return Vec::new();
        }
        let names: BTreeSet<&String> = places.iter().flat_map(|place| &self.ports[*place as usize]).collect();
        names.into_iter().filter_map(|name| Some((name.clone(), *workload.ports.get(name)?))).collect()
    }
}

fn port_name(traffic: &Traffic) -> Option<&String> {
    match traffic {
        Traffic::Tcp(Ports::Named(name)) | Traffic::Udp(Ports::Named(name)) | Traffic::Sctp(Ports::Named(name)) => {
            Some(name)
        }
        _ => None,
    }
}

/// What peers match by address: every prefix where that changes, with those that match from there on.
fn by_address(domain: &Domain, list: &[Peer]) -> Result<Nested<Places>, CompileError> {
    /// Where peers begin and cease to match.
    #[derive(Default)]
    struct Turn {
        begin: Vec<u32>,
        cease: Vec<u32>,
    }
    let mut turns: BTreeMap<IpNet, Turn> = BTreeMap::new();
    for (place, peer) in (0..).zip(list) {
        match peer {
            Peer::Cidr { prefix, except } => {
                turns.entry(*prefix).or_default().begin.push(place);
                for prefix in except {
                    turns.entry(*prefix).or_default().cease.push(place);
                }
            }
            Peer::Addresses(name) => {
                for prefix in domain.address_set(name).into_iter().flat_map(|set| &set.prefixes) {
                    turns.entry(*prefix).or_default().begin.push(place);
                }
            }
            _ => {}
        }
    }
    let parents = parents(&turns.keys().copied().collect());
    let mut budget = Budget::new();
    let mut matching: Vec<Places> = Vec::with_capacity(parents.len());
    for ((_, parent), turn) in parents.iter().zip(turns.values()) {
        let mut places = parent.and_then(|parent| matching.get(parent)).cloned().unwrap_or_default();
        places.extend(&turn.begin);
        places.retain(|place| !turn.cease.contains(place));
        places.sort_unstable();
        places.dedup();
        if budget.spend(places.len()).is_err() {
            let widest = places.iter().filter_map(|place| list.get(*place as usize));
            return Err(bounds::too_many_matches(domain, &bounds::first_of(widest)));
        }
        matching.push(places);
    }
    Ok(parents.into_iter().map(|(prefix, _)| prefix).zip(matching).collect())
}
