//! What a host holds at most of a domain (DESIGN 4), and whose fault it is when a domain needs more.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
};

use super::{CompileError, classes::Class, peers::Peers};
use crate::model::{Domain, Peer};

/// Classes of interface addresses that a domain may have.
pub(super) const CLASSES_MAX: usize = 4096;

/// Rows that a host holds; one host may need all of a domain's.
pub(super) const ROWS_MAX: usize = 1_000_000;

/// Runs of all profiles of a domain, at all moments: four times what a host holds of all its domains at one.
pub(super) const RUNS_MAX: usize = 1_000_000;

/// Matches that the compiler goes through: of rules with classes and with pairs of them, of peers with prefixes. What
/// fits a host stays far below; one commit cannot keep the controller busy for longer, or fill its memory.
const MATCHES_MAX: usize = 32_000_000;

/// More than may be.
pub(super) enum Beyond {
    /// [`MATCHES_MAX`].
    Matches,
    /// [`RUNS_MAX`]: the names of the rules that cut numbers and moments into the most.
    Runs(String),
}

/// What is left of [`MATCHES_MAX`].
pub(super) struct Budget(usize);

impl Budget {
    pub(super) fn new() -> Self {
        Self(MATCHES_MAX)
    }

    /// Goes through some matches.
    pub(super) fn spend(&mut self, matches: usize) -> Result<(), Beyond> {
        self.0 = self.0.checked_sub(matches).ok_or(Beyond::Matches)?;
        Ok(())
    }
}

/// How many culprits an error names.
pub(super) const NAMED: usize = 5;

/// Names what tells most of these classes apart.
pub(super) fn too_many_classes(domain: &Domain, peers: &Peers, classes: &BTreeSet<Class>) -> CompileError {
    CompileError::TooManyClasses(format!(
        "domain {}: its rules tell more than {CLASSES_MAX} classes of interface addresses apart: use fewer \
         overlapping segments, prefixes and port names; those that split most are {}",
        domain.name(),
        culprits(peers, classes.iter()),
    ))
}

/// Names the rule that matches most pairs of classes, and what tells most of them apart.
pub(super) fn too_many_rows(domain: &Domain, widest: &str, culprits: &str) -> CompileError {
    CompileError::TooManyRows(format!(
        "domain {}: its rules match more than {ROWS_MAX} pairs of classes: use fewer overlapping segments, prefixes \
         and port names, or narrower peers; the widest rule is {widest}, and those that split most are {culprits}",
        domain.name(),
    ))
}

/// Names what overlaps.
pub(super) fn too_many_matches(domain: &Domain, culprits: &str) -> CompileError {
    CompileError::TooManyMatches(format!(
        "domain {}: its rules overlap in more than {MATCHES_MAX} places: use narrower peers, fewer rules for the same \
         traffic, or fewer prefixes inside others; those to look at first are {culprits}",
        domain.name(),
    ))
}

/// Names what cuts numbers and moments.
pub(super) fn too_many_runs(domain: &Domain, rules: &str) -> CompileError {
    CompileError::TooManyRuns(format!(
        "domain {}: its rules cut ports and times into more than {RUNS_MAX} pieces: use fewer ports, ranges and time windows \
         between the same peers; the rules to look at first are {rules}",
        domain.name(),
    ))
}

/// Something that tells classes apart.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Culprit<'a> {
    Peer(u32),
    Port(&'a str),
}

/// The peers and port names without which there would be the fewest classes. It costs no more than to read the
/// classes once: what a class would be without one of its parts is known by the sum of the hashes of the others.
pub(super) fn culprits<'a>(peers: &Peers, classes: impl Iterator<Item = &'a Class>) -> String {
    let classes: Vec<(Vec<(Culprit<'_>, u64)>, u64)> = classes
        .map(|class| {
            let peers = class.peers.iter().map(|place| (Culprit::Peer(*place), hash(place)));
            let ports = class.ports.iter().map(|port| (Culprit::Port(&port.0), hash(port)));
            let parts: Vec<_> = peers.chain(ports).collect();
            let sum = parts.iter().fold(hash(&class.votes()), |sum, (_, part)| sum.wrapping_add(*part));
            (parts, sum)
        })
        .collect();
    let sums: HashSet<u64> = classes.iter().map(|(_, sum)| *sum).collect();
    let mut seen = HashSet::new();
    // By culprit: how many classes would be another one without it, and how many it is a part of.
    let mut splits: BTreeMap<Culprit<'_>, (usize, usize)> = BTreeMap::new();
    for (parts, sum) in &classes {
        for (culprit, part) in parts {
            let without = sum.wrapping_sub(*part);
            let another = sums.contains(&without) || !seen.insert((*culprit, without));
            let (split, of) = splits.entry(*culprit).or_default();
            *split += usize::from(another);
            *of += 1;
        }
    }
    let mut splits: Vec<_> = splits.into_iter().collect();
    splits.sort_by_key(|(culprit, (split, of))| (Reverse(*split), *of, *culprit));
    let named = splits.into_iter().take(NAMED).filter_map(|(culprit, _)| match culprit {
        Culprit::Peer(place) => peers.at(place).map(ToString::to_string),
        Culprit::Port(name) => Some(format!("port {name}")),
    });
    named.collect::<Vec<_>>().join(", ")
}

/// The first of some peers.
pub(super) fn first_of<'a>(peers: impl Iterator<Item = &'a Peer>) -> String {
    peers.take(NAMED).map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
