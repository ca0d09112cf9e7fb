//! Which pairs of classes have rules, and what those rules come to.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{
    CompileError,
    classes::{Class, Classes},
    order::Ordered,
    tables,
};
use crate::{
    bundle::{Profile, Row},
    model::{Domain, Peer},
};

/// Rows that a host holds (DESIGN 4); one host may need all of a domain's.
const ROWS_MAX: usize = 1_000_000;

/// A class as rules see it.
struct Seen {
    id: u32,
    votes: bool,
    /// Places in the order of the rules that have it as a source.
    as_source: Vec<usize>,
}

/// The rows of a domain sorted by pair, and the profiles they point to.
///
/// A pair has a row if a rule matches it. Pairs without an interface on either side are never judged.
pub(super) fn compile(
    domain: &Domain,
    ordered: &Ordered<'_>,
    classes: &Classes,
) -> Result<(Vec<Row>, Vec<Profile>), CompileError> {
    let numbered = classes.numbered();
    let matching = Matching::new(&numbered);
    let mut seen: Vec<Seen> =
        numbered.iter().map(|(id, class)| Seen { id: *id, votes: class.votes(), as_source: Vec::new() }).collect();
    let mut destinations = Vec::with_capacity(ordered.rules.len());
    for (place, ordered) in ordered.rules.iter().enumerate() {
        for source in matching.any_of(&ordered.rule.from) {
            if let Some(source) = seen.get_mut(source) {
                source.as_source.push(place);
            }
        }
        destinations.push(Destinations::new(matching.any_of(&ordered.rule.to), &numbered));
    }
    let mut rows = Vec::new();
    let mut profiles = Profiles::new(ordered);
    for source in &seen {
        // Only what some rule matches is visited: most sources meet few of the classes.
        let mut matched: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for rule in &source.as_source {
            for destination in destinations.get(*rule).into_iter().flat_map(|d| d.judged_from(source)) {
                matched.entry(*destination).or_default().push(*rule);
            }
        }
        for (destination, rules) in matched {
            let Some(destination) = seen.get(destination) else { continue };
            let profile = profiles.of(rules, source.votes, destination.votes);
            rows.push(Row { from_class: source.id, to_class: destination.id, profile, later: Vec::new() });
        }
        if rows.len() > ROWS_MAX {
            return Err(too_many(domain, ordered, &destinations));
        }
    }
    Ok((rows, profiles.list))
}

/// Places of classes by the peers that match them.
struct Matching(BTreeMap<Peer, Vec<usize>>);

impl Matching {
    fn new(numbered: &[(u32, &Class)]) -> Self {
        let mut places: BTreeMap<Peer, Vec<usize>> = BTreeMap::new();
        for (place, (_, class)) in numbered.iter().enumerate() {
            for peer in class.peers() {
                places.entry(peer).or_default().push(place);
            }
        }
        Self(places)
    }

    /// The places of the classes that one of these peers matches, in order.
    fn any_of(&self, peers: &[Peer]) -> BTreeSet<usize> {
        peers.iter().filter_map(|peer| self.0.get(peer)).flatten().copied().collect()
    }
}

/// The places of the classes that a rule has as destinations.
struct Destinations {
    all: Vec<usize>,
    /// Those whose side votes.
    voting: Vec<usize>,
}

impl Destinations {
    fn new(places: BTreeSet<usize>, numbered: &[(u32, &Class)]) -> Self {
        let votes = |place: &usize| numbered.get(*place).is_some_and(|(_, class)| class.votes());
        Self { voting: places.iter().copied().filter(votes).collect(), all: places.into_iter().collect() }
    }

    /// Those that are judged from a source: of two sides one votes at least.
    fn judged_from(&self, source: &Seen) -> &[usize] {
        if source.votes { &self.all } else { &self.voting }
    }
}

/// Profiles, each of them once.
struct Profiles<'a> {
    ordered: &'a Ordered<'a>,
    list: Vec<Profile>,
    by_content: HashMap<Profile, u32>,
    by_rules: HashMap<(Vec<usize>, bool, bool), u32>,
}

impl<'a> Profiles<'a> {
    fn new(ordered: &'a Ordered<'a>) -> Self {
        Self { ordered, list: Vec::new(), by_content: HashMap::new(), by_rules: HashMap::new() }
    }

    /// The place of the profile that these rules, given by their places in the order, come to.
    fn of(&mut self, rules: Vec<usize>, from_votes: bool, to_votes: bool) -> u32 {
        let key = (rules, from_votes, to_votes);
        if let Some(place) = self.by_rules.get(&key) {
            return *place;
        }
        let matched: Vec<_> = key.0.iter().map(|place| &self.ordered.rules[*place]).collect();
        let profile = tables::profile(&matched, from_votes, to_votes);
        let place = *self.by_content.entry(profile).or_insert_with_key(|profile| {
            let place = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
            self.list.push(profile.clone());
            place
        });
        self.by_rules.insert(key, place);
        place
    }
}

/// Names the rule that speaks of the most destinations.
fn too_many(domain: &Domain, ordered: &Ordered<'_>, destinations: &[Destinations]) -> CompileError {
    let widest = ordered.rules.iter().zip(destinations).max_by_key(|(_, destinations)| destinations.all.len());
    let name = widest.and_then(|(widest, _)| ordered.names.get(usize::try_from(widest.ordinal).ok()?));
    let name = name.map_or("", |name| &name.name);
    CompileError::TooManyRows(format!(
        "domain {}: its rules match more than {ROWS_MAX} pairs of classes: use fewer overlapping segments \
         and prefixes, or narrower peers; the widest rule is {name}",
        domain.name(),
    ))
}
