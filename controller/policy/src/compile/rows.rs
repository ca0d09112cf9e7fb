//! Which pairs of classes have rules, and what those rules come to.
//!
//! Many classes are sources of the same rules, or destinations: they are looked at together. And many rules have
//! the same sources and destinations: they are, too.

use std::collections::BTreeMap;

use super::{
    CompileError,
    bounds::{Beyond, Budget, ROWS_MAX, culprits, too_many_matches, too_many_rows, too_many_runs},
    classes::{Class, Classes},
    distinct::{Distinct, Lists},
    order::Ordered,
    profiles::{Asked, Profiles, Timeline},
};
use crate::{
    bundle::{Profile, Row},
    model::{Binds, Domain, Side},
};

/// The rows of a domain sorted by pair, and the profiles they point to.
///
/// A pair has a row if a rule matches it and binds a side of it that votes.
pub(super) fn compile(
    domain: &Domain,
    ordered: &Ordered<'_>,
    classes: &Classes,
) -> Result<(Vec<Row>, Vec<Profile>), CompileError> {
    let numbered = classes.numbered();
    let mut budget = Budget::new();
    let told_apart = || culprits(&classes.peers, numbered.iter().map(|(_, class)| *class));
    let refused = |beyond: Beyond| match beyond {
        Beyond::Matches => too_many_matches(domain, &told_apart()),
        Beyond::Runs(rules) => too_many_runs(domain, &rules),
    };
    let matching = Matching::new(ordered, classes, &numbered, &mut budget).map_err(refused)?;
    let mut profiles = Profiles::new(ordered, domain.default_allows);
    let mut rows = Vec::new();
    for (source, members) in &matching.sources {
        let reached = matching.reached_from(source, &mut profiles, &mut budget).map_err(refused)?;
        if rows.len() + members.len() * reached.len() > ROWS_MAX {
            return Err(too_many_rows(domain, &matching.widest(ordered), &told_apart()));
        }
        for from_class in members {
            rows.extend(reached.iter().map(|(to_class, Timeline { profile, later })| Row {
                from_class: *from_class,
                to_class: *to_class,
                profile: *profile,
                later: later.clone(),
            }));
        }
    }
    rows.sort_unstable();
    Ok((rows, profiles.into_list()))
}

/// Classes that are sources of the same lists of peers.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Source {
    lists: Vec<usize>,
    votes: bool,
}

/// Classes that are destinations of the same lists of peers, on which port names mean the same.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Destination {
    lists: Vec<usize>,
    votes: bool,
    ports: Vec<(String, u16)>,
}

/// Rules with the same peers.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Group {
    from: usize,
    to: usize,
    binds: Binds,
}

/// Who is matched by what.
struct Matching {
    /// Borne by classes, by id.
    sources: Vec<(Source, Vec<u32>)>,
    destinations: Vec<(Destination, Vec<u32>)>,
    /// The groups of each list of sources, with their rules.
    groups: Vec<Vec<(Group, Vec<u32>)>>,
    /// The places of the destinations of each list.
    reached: Vec<Vec<usize>>,
}

impl Matching {
    fn new(
        ordered: &Ordered<'_>,
        classes: &Classes,
        numbered: &[(u32, &Class)],
        budget: &mut Budget,
    ) -> Result<Self, Beyond> {
        let peers = &classes.peers;
        let (mut from, mut to, mut groups) = (Lists::new(peers), Lists::new(peers), Distinct::new());
        for (place, ordered) in (0..).zip(&ordered.rules) {
            let rule = ordered.rule;
            let group = Group { from: from.place(peers, &rule.from), to: to.place(peers, &rule.to), binds: rule.binds };
            groups.add(group, place);
        }
        let (mut sources, mut destinations) = (Distinct::new(), Distinct::new());
        for (id, class) in numbered {
            let votes = class.votes();
            sources.add(Source { lists: from.holding(class, budget)?, votes }, *id);
            let lists = to.holding(class, budget)?;
            destinations.add(Destination { lists, votes, ports: class.ports.clone() }, *id);
        }
        let mut by_from: Vec<Vec<_>> = vec![Vec::new(); from.len()];
        for (group, rules) in groups.list {
            by_from[group.from].push((group, rules));
        }
        let destinations = destinations.list;
        let mut reached: Vec<Vec<usize>> = vec![Vec::new(); to.len()];
        for (place, (destination, _)) in destinations.iter().enumerate() {
            destination.lists.iter().for_each(|list| reached[*list].push(place));
        }
        Ok(Self { sources: sources.list, destinations, groups: by_from, reached })
    }

    /// The rules that match from a source, by the place of the destination.
    fn matched_from(&self, source: &Source, budget: &mut Budget) -> Result<BTreeMap<usize, Vec<usize>>, Beyond> {
        let mut matched: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (group, rules) in source.lists.iter().flat_map(|list| &self.groups[*list]) {
            let from = source.votes && group.binds.binds(Side::From);
            let to = group.binds.binds(Side::To);
            for place in &self.reached[group.to] {
                if from || (to && self.destinations[*place].0.votes) {
                    budget.spend(rules.len())?;
                    matched.entry(*place).or_default().extend(rules.iter().map(|rule| *rule as usize));
                }
            }
        }
        Ok(matched)
    }

    /// The classes that rules match from a source, with what those come to.
    fn reached_from(
        &self,
        source: &Source,
        profiles: &mut Profiles<'_>,
        budget: &mut Budget,
    ) -> Result<Vec<(u32, Timeline)>, Beyond> {
        let mut reached = Vec::new();
        for (place, mut rules) in self.matched_from(source, budget)? {
            let (Destination { votes, ports, .. }, members) = &self.destinations[place];
            rules.sort_unstable();
            let asked = Asked { rules, from_votes: source.votes, to_votes: *votes, ports: ports.clone() };
            let timeline = profiles.of(asked, budget)?;
            reached.extend(members.iter().map(|class| (*class, timeline.clone())));
        }
        Ok(reached)
    }

    /// The rule that matches the most pairs of classes.
    fn widest(&self, ordered: &Ordered<'_>) -> String {
        let mut sources = vec![0; self.groups.len()];
        for (source, members) in &self.sources {
            source.lists.iter().for_each(|list| sources[*list] += members.len());
        }
        let destinations = |list: usize| self.reached[list].iter().map(|place| self.destinations[*place].1.len());
        let pairs = |group: &Group| sources[group.from] * destinations(group.to).sum::<usize>();
        let widest = self.groups.iter().flatten().max_by_key(|(group, _)| pairs(group));
        let rule = widest.and_then(|(_, rules)| ordered.rules.get(*rules.first()? as usize));
        let name = rule.and_then(|rule| ordered.names.get(rule.ordinal as usize));
        name.map_or_else(String::new, |rule| rule.name.clone())
    }
}
