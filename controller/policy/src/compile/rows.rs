//! Which pairs of classes have rules, and what those rules come to.

use std::collections::HashMap;

use super::{CompileError, classes::Classes, order::Ordered, tables};
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
    let matching = |peers: &[Peer]| -> Vec<usize> {
        let matched = |place: &usize| peers.iter().any(|peer| numbered[*place].1.is_matched_by(peer));
        (0..numbered.len()).filter(matched).collect()
    };
    let mut seen: Vec<Seen> =
        numbered.iter().map(|(id, class)| Seen { id: *id, votes: class.votes(), as_source: Vec::new() }).collect();
    let mut destinations = Vec::with_capacity(ordered.rules.len());
    for (place, ordered) in ordered.rules.iter().enumerate() {
        for source in matching(&ordered.rule.from) {
            seen[source].as_source.push(place);
        }
        destinations.push(matching(&ordered.rule.to));
    }
    let mut rows = Vec::new();
    let mut profiles = Profiles::new(ordered);
    for source in &seen {
        let mut matched: Vec<Vec<usize>> = vec![Vec::new(); seen.len()];
        for rule in &source.as_source {
            for destination in &destinations[*rule] {
                matched[*destination].push(*rule);
            }
        }
        for (destination, rules) in seen.iter().zip(matched) {
            if rules.is_empty() || !(source.votes || destination.votes) {
                continue;
            }
            let profile = profiles.of(rules, source.votes, destination.votes);
            rows.push(Row { from_class: source.id, to_class: destination.id, profile });
        }
        if rows.len() > ROWS_MAX {
            return Err(too_many(domain, ordered, &destinations));
        }
    }
    Ok((rows, profiles.list))
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
fn too_many(domain: &Domain, ordered: &Ordered<'_>, destinations: &[Vec<usize>]) -> CompileError {
    let widest = ordered.rules.iter().zip(destinations).max_by_key(|(_, destinations)| destinations.len());
    let name = widest.and_then(|(widest, _)| ordered.names.get(usize::try_from(widest.ordinal).ok()?));
    let name = name.map_or("", |name| &name.name);
    CompileError::TooManyRows(format!(
        "domain {}: its rules match more than {ROWS_MAX} pairs of classes: use fewer overlapping segments \
         and prefixes, or narrower peers; the widest rule is {name}",
        domain.name(),
    ))
}
