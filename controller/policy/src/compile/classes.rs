//! Which addresses no rule tells apart.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use sha2::{Digest, Sha256};

use super::{
    CompileError, bounds,
    nested::{Nested, parents},
    peers::{Peers, Places},
};
use crate::{
    bundle::{CLASS_HOST, ClassedPrefix},
    model::{Domain, Peer, Workload},
};

/// Addresses that are not unicast: IPv4 multicast and broadcast (RFC 1112 4, RFC 919 7), IPv6 multicast
/// (RFC 4291 2.7).
const NOT_UNICAST: [IpNet; 3] = [
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(224, 0, 0, 0), 4)),
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::BROADCAST, 32)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8)),
];

/// Every address, of either family.
const EVERYWHERE: [IpNet; 2] = [
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0)),
];

/// What rules can tell of an end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Class {
    sort: Sort,
    /// The peers in use that match it.
    pub(super) peers: Places,
    /// What the port names in rules to it mean there.
    pub(super) ports: Vec<(String, u16)>,
}

/// Whose an end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Sort {
    /// A workload's, by an interface's own address or by a pair: its side votes.
    Workload,
    /// A gateway's.
    Gateway,
    /// Nobody's in the domain.
    Outside,
    /// Nobody's anywhere.
    NotUnicast,
    /// The host's.
    Host,
}

/// Every class of a domain.
pub(super) struct Classes {
    pub(super) peers: Peers,
    ids: HashMap<Class, u32>,
    prefixes: Vec<ClassedPrefix>,
}

impl Classes {
    pub(super) fn new(domain: &Domain) -> Result<Self, CompileError> {
        let peers = Peers::new(domain)?;
        let mut classes: BTreeSet<Class> = BTreeSet::new();
        for (name, workload) in domain.workloads() {
            let of_workload = peers.of_workload(name, workload);
            let addresses = workload.interfaces.iter().flat_map(|interface| &interface.addresses);
            classes.extend(addresses.map(|address| of_address(&peers, &of_workload, workload, *address)));
            if classes.len() > bounds::CLASSES_MAX {
                return Err(bounds::too_many_classes(domain, &peers, &classes));
            }
        }
        let prefixes = prefixes(domain, &peers);
        classes.extend(prefixes.iter().map(|(_, class)| class.clone()));
        let mut ids = number(&peers, classes);
        let classed = |(prefix, class): (IpNet, Class)| {
            Some(ClassedPrefix { prefix, class_id: *ids.get(&class)?, votes: class.votes() })
        };
        let prefixes = prefixes.into_iter().filter_map(classed).collect();
        ids.insert(Class::new(&peers, Sort::Host, Vec::new()), CLASS_HOST);
        Ok(Self { peers, ids, prefixes })
    }

    /// The classes of a workload's addresses, in the order of its interfaces and theirs; `None`: one that no
    /// workload had when the classes were made.
    pub(super) fn of_workload(
        &self,
        name: &str,
        workload: &Workload,
    ) -> impl Iterator<Item = Vec<(IpAddr, Option<u32>)>> {
        let of_workload = self.peers.of_workload(name, workload);
        workload.interfaces.iter().map(move |interface| {
            let class = |address| of_address(&self.peers, &of_workload, workload, address);
            interface.addresses.iter().map(|address| (*address, self.ids.get(&class(*address)).copied())).collect()
        })
    }

    /// The classes of addresses that are no interface's own; the longest prefix counts.
    pub(super) fn prefixes(&self) -> Vec<ClassedPrefix> {
        self.prefixes.clone()
    }

    /// Every class with its number, by number.
    pub(super) fn numbered(&self) -> Vec<(u32, &Class)> {
        let mut numbered: Vec<_> = self.ids.iter().map(|(class, id)| (*id, class)).collect();
        numbered.sort_unstable_by_key(|(id, _)| *id);
        numbered
    }
}

impl Class {
    fn new(peers: &Peers, sort: Sort, mut matching: Places) -> Self {
        matching.extend(sort.peers().iter().filter_map(|peer| peers.place(peer)));
        matching.sort_unstable();
        matching.dedup();
        Self { sort, peers: matching, ports: Vec::new() }
    }

    /// Whether its side votes.
    pub(super) fn votes(&self) -> bool {
        self.sort == Sort::Workload
    }

    /// What makes it this class, and no other: the peers that follow from whose it is need no saying.
    fn identity(&self, peers: &Peers) -> String {
        let implied = self.sort.peers();
        let named = self.peers.iter().filter_map(|place| peers.at(*place)).filter(|peer| !implied.contains(peer));
        let ports = self.ports.iter().map(|(name, number)| format!("{name}={number}"));
        let word = std::iter::once(self.sort.word().to_owned());
        word.chain(named.map(ToString::to_string)).chain(ports).collect::<Vec<_>>().join("\n")
    }
}

impl Sort {
    /// The peers that match all of it.
    fn peers(self) -> &'static [Peer] {
        match self {
            Self::Workload | Self::Gateway => &[Peer::Any],
            Self::Outside => &[Peer::Any, Peer::Outside],
            Self::NotUnicast => &[],
            Self::Host => &[Peer::Any, Peer::Host],
        }
    }

    /// What it is called in the identity of a class, on which its number rests.
    fn word(self) -> &'static str {
        match self {
            Self::Workload => "workload",
            Self::Gateway => "gateway",
            Self::Outside => "outside",
            Self::NotUnicast => "not-unicast",
            Self::Host => "host",
        }
    }
}

/// The class of an interface's own address.
fn of_address(peers: &Peers, of_workload: &[u32], workload: &Workload, address: IpAddr) -> Class {
    owned(peers, of_workload, workload, peers.of_address(address))
}

/// The class of a workload's addresses.
fn owned(peers: &Peers, of_workload: &[u32], workload: &Workload, by_address: &[u32]) -> Class {
    let class = Class::new(peers, Sort::Workload, [of_workload, by_address].concat());
    Class { ports: peers.ports_of(&class.peers, workload), ..class }
}

/// The classes of addresses that are no interface's own, by prefix. A prefix that says what the next longer one
/// around it says is left out, unless it is a pair's: who has it must find it.
fn prefixes(domain: &Domain, peers: &Peers) -> Vec<(IpNet, Class)> {
    let subnets = domain.networks.values().flat_map(|network| &network.subnets);
    let gateways: BTreeSet<IpNet> = subnets.map(|subnet| IpNet::from(subnet.gateway)).collect();
    let with_pairs = domain.workloads().filter(|(_, workload)| workload.interfaces.iter().any(|i| !i.pairs.is_empty()));
    let pairs: Nested<(Places, &Workload)> = with_pairs
        .flat_map(|(name, workload)| {
            let of_workload = peers.of_workload(name, workload);
            let of_labels = peers.of_labels(workload);
            let pairs = workload.interfaces.iter().flat_map(|interface| &interface.pairs);
            pairs.map(move |pair| {
                let matching = if domain.is_shared(&pair.prefix) { &of_labels } else { &of_workload };
                (pair.prefix, (matching.clone(), workload))
            })
        })
        .collect();
    let class = |prefix: &IpNet| {
        let by_address = peers.of_prefix(prefix);
        if gateways.contains(prefix) {
            Class::new(peers, Sort::Gateway, by_address.to_vec())
        } else if NOT_UNICAST.iter().any(|holding| holding.contains(prefix)) {
            Class::new(peers, Sort::NotUnicast, by_address.to_vec())
        } else if let Some((of_workload, workload)) = pairs.holding(prefix) {
            owned(peers, of_workload, workload, by_address)
        } else {
            Class::new(peers, Sort::Outside, by_address.to_vec())
        }
    };
    let owned: BTreeSet<IpNet> = pairs.prefixes().collect();
    let told_apart = peers.prefixes().chain(EVERYWHERE).chain(NOT_UNICAST);
    let told_apart = told_apart.chain(gateways.iter().copied()).chain(owned.iter().copied()).collect();
    let parents = parents(&told_apart);
    let classed: Vec<(IpNet, Class)> = parents.iter().map(|(prefix, _)| (*prefix, class(prefix))).collect();
    let says_more = |(prefix, parent): &(IpNet, Option<usize>), class: &Class| {
        let around = parent.and_then(|parent| classed.get(parent));
        owned.contains(prefix) || around.is_none_or(|(_, around)| around != class)
    };
    let kept = parents.iter().zip(&classed).filter(|(parent, (_, class))| says_more(parent, class));
    kept.map(|(_, classed)| classed.clone()).collect()
}

/// Numbers classes by what they are, so that a class keeps its number when others come and go. Where two
/// would have one number, the second by identity takes the next that is free.
fn number(peers: &Peers, classes: BTreeSet<Class>) -> HashMap<Class, u32> {
    let classes: BTreeMap<String, Class> = classes.into_iter().map(|class| (class.identity(peers), class)).collect();
    let mut taken = BTreeSet::from([0, CLASS_HOST]);
    let mut ids = HashMap::with_capacity(classes.len());
    for (identity, class) in classes {
        let [a, b, c, d, ..] = <[u8; 32]>::from(Sha256::digest(identity));
        let mut id = u32::from_be_bytes([a, b, c, d]);
        while !taken.insert(id) {
            id = id.wrapping_add(1);
        }
        ids.insert(class, id);
    }
    ids
}
