//! Which addresses no rule tells apart.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use sha2::{Digest, Sha256};

use super::{CompileError, peers::Peers};
use crate::{
    bundle::ClassedPrefix,
    model::{Domain, Peer},
};

fn cidr(prefix: IpNet) -> Peer {
    Peer::Cidr { prefix, except: Vec::new() }
}

/// Classes of interface addresses that a domain may have (DESIGN 4).
const CLASSES_MAX: usize = 4096;

/// How many peers the error about too many classes names.
const PEERS_NAMED: usize = 5;

/// Addresses that are not unicast: IPv4 multicast and broadcast (RFC 1112 4, RFC 919 7), IPv6 multicast
/// (RFC 4291 2.7).
const NOT_UNICAST: [IpNet; 3] = [
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(224, 0, 0, 0), 4)),
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::BROADCAST, 32)),
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8)),
];

/// What rules can tell of an address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Class {
    sort: Sort,
    /// Segments in use that its workload is in, by name.
    segments: Vec<String>,
    /// Prefixes in use that hold it, the shortest first.
    prefixes: Vec<IpNet>,
}

/// Whose an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Sort {
    /// An interface's: its side votes.
    Interface,
    /// A gateway's.
    Gateway,
    /// Nobody's in the domain.
    Outside,
    /// Nobody's anywhere.
    NotUnicast,
}

/// Every class of a domain.
pub(super) struct Classes {
    ids: BTreeMap<Class, u32>,
    addresses: HashMap<IpAddr, u32>,
    prefixes: BTreeMap<IpNet, u32>,
}

impl Classes {
    pub(super) fn new(domain: &Domain) -> Result<Self, CompileError> {
        let mut peers = Peers::new(domain);
        let mut addresses = Vec::new();
        for (_, workload) in domain.workloads() {
            let segments: Vec<String> = peers.segments_of(&workload.labels).iter().map(ToString::to_string).collect();
            for address in workload.interfaces.iter().flat_map(|interface| &interface.addresses) {
                let prefixes = peers.prefixes_of(*address);
                addresses.push((*address, Class { sort: Sort::Interface, segments: segments.clone(), prefixes }));
            }
        }
        let inside: BTreeSet<&Class> = addresses.iter().map(|(_, class)| class).collect();
        if inside.len() > CLASSES_MAX {
            return Err(too_many(domain, &inside));
        }
        let everywhere = [IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())];
        let subnets = domain.networks.values().flat_map(|network| &network.subnets);
        let gateways: BTreeSet<IpNet> = subnets.map(|subnet| IpNet::from(subnet.gateway)).collect();
        let told_apart = peers.prefixes().chain(everywhere).chain(NOT_UNICAST).chain(gateways.iter().copied());
        let external: BTreeSet<IpNet> = told_apart.collect();
        let external: Vec<_> = external
            .into_iter()
            .map(|prefix| {
                let sort = if gateways.contains(&prefix) {
                    Sort::Gateway
                } else if NOT_UNICAST.iter().any(|holding| holding.contains(&prefix)) {
                    Sort::NotUnicast
                } else {
                    Sort::Outside
                };
                let prefixes = peers.prefixes_holding(&prefix);
                (prefix, Class { sort, segments: Vec::new(), prefixes })
            })
            .collect();
        let ids = number(inside.into_iter().chain(external.iter().map(|(_, class)| class)));
        Ok(Self {
            addresses: addresses.iter().filter_map(|(address, class)| Some((*address, *ids.get(class)?))).collect(),
            prefixes: external.iter().filter_map(|(prefix, class)| Some((*prefix, *ids.get(class)?))).collect(),
            ids,
        })
    }

    /// The class of an interface's address.
    pub(super) fn of(&self, address: &IpAddr) -> Option<u32> {
        self.addresses.get(address).copied()
    }

    /// The classes of addresses that are no interface's; the longest prefix counts.
    pub(super) fn prefixes(&self) -> Vec<ClassedPrefix> {
        self.prefixes
            .iter()
            .map(|(prefix, id)| ClassedPrefix { prefix: *prefix, class_id: *id, votes: false })
            .collect()
    }

    /// Every class with its number, by number.
    pub(super) fn numbered(&self) -> Vec<(u32, &Class)> {
        let mut numbered: Vec<_> = self.ids.iter().map(|(class, id)| (*id, class)).collect();
        numbered.sort_unstable_by_key(|(id, _)| *id);
        numbered
    }
}

impl Class {
    /// Whether its side votes.
    pub(super) fn votes(&self) -> bool {
        self.sort == Sort::Interface
    }

    /// Every peer that matches its addresses.
    pub(super) fn peers(&self) -> impl Iterator<Item = Peer> {
        let any = (self.sort != Sort::NotUnicast).then_some(Peer::Any);
        let outside = (self.sort == Sort::Outside).then_some(Peer::Outside);
        let segments = self.segments.iter().cloned().map(Peer::Segment);
        let prefixes = self.prefixes.iter().copied().map(cidr);
        any.into_iter().chain(outside).chain(segments).chain(prefixes)
    }

    /// What makes it this class, and no other.
    fn identity(&self) -> String {
        let Self { sort, segments, prefixes } = self;
        let prefixes: Vec<_> = prefixes.iter().map(ToString::to_string).collect();
        format!("{} {} {}", sort.word(), segments.join(","), prefixes.join(","))
    }
}

impl Sort {
    /// What it is called in the identity of a class, on which its number rests.
    fn word(self) -> &'static str {
        match self {
            Self::Interface => "interface",
            Self::Gateway => "gateway",
            Self::Outside => "outside",
            Self::NotUnicast => "not-unicast",
        }
    }
}

/// Numbers classes by what they are, so that a class keeps its number when others come and go. Where two
/// would have one number, the second in order takes the next that is free.
fn number<'a>(classes: impl Iterator<Item = &'a Class>) -> BTreeMap<Class, u32> {
    let classes: BTreeSet<&Class> = classes.collect();
    let mut taken = BTreeSet::from([0, 1]);
    let mut ids = BTreeMap::new();
    for class in classes {
        let [a, b, c, d, ..] = <[u8; 32]>::from(Sha256::digest(class.identity()));
        let mut id = u32::from_be_bytes([a, b, c, d]);
        while !taken.insert(id) {
            id = id.wrapping_add(1);
        }
        ids.insert(class.clone(), id);
    }
    ids
}

/// Names the peers that split the addresses most: without each, how many classes fewer there would be.
fn too_many(domain: &Domain, classes: &BTreeSet<&Class>) -> CompileError {
    let segments = classes.iter().flat_map(|class| class.segments.iter().cloned().map(Peer::Segment));
    let prefixes = classes.iter().flat_map(|class| class.prefixes.iter().copied().map(cidr));
    let peers: BTreeSet<Peer> = segments.chain(prefixes).collect();
    let mut splits: Vec<(usize, Peer)> = peers
        .into_iter()
        .map(|peer| {
            let without: BTreeSet<Class> = classes.iter().map(|class| class.without(&peer)).collect();
            (classes.len() - without.len(), peer)
        })
        .collect();
    splits.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let named: Vec<_> = splits.iter().take(PEERS_NAMED).map(|(_, peer)| peer.to_string()).collect();
    CompileError::TooManyClasses(format!(
        "domain {}: its rules tell {} classes of interface addresses apart, {CLASSES_MAX} are possible: \
         use fewer overlapping segments and prefixes; those that split most are {}",
        domain.name(),
        classes.len(),
        named.join(", "),
    ))
}

impl Class {
    /// What it would be if no rule named this peer.
    fn without(&self, peer: &Peer) -> Self {
        let mut class = self.clone();
        class.segments.retain(|name| !matches!(peer, Peer::Segment(other) if other == name));
        class.prefixes.retain(|prefix| !matches!(peer, Peer::Cidr { prefix: other, .. } if other == prefix));
        class
    }
}
