//! Profiles, each of them once.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
};

use super::{
    bounds::{Beyond, Budget, NAMED, RUNS_MAX},
    order::{Ordered, OrderedRule},
    tables::{self, Pair},
};
use crate::bundle::Profile;

/// The profiles of a pair of classes as time goes by: places among [`Profiles::into_list`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Timeline {
    /// From ever.
    pub(super) profile: u32,
    /// Others from later moments on, ascending.
    pub(super) later: Vec<(u64, u32)>,
}

/// What a pair of ends is asked by.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Asked {
    /// Places of the rules in the order in which they are asked, ascending.
    pub(super) rules: Vec<usize>,
    pub(super) from_votes: bool,
    pub(super) to_votes: bool,
    /// What port names in rules mean on the destination.
    pub(super) ports: Vec<(String, u16)>,
}

/// Every profile made so far.
pub(super) struct Profiles<'a> {
    ordered: &'a Ordered<'a>,
    default_allows: bool,
    by_content: HashMap<Profile, u32>,
    by_question: HashMap<Asked, Timeline>,
    /// Of all of them.
    runs: usize,
}

impl<'a> Profiles<'a> {
    pub(super) fn new(ordered: &'a Ordered<'a>, default_allows: bool) -> Self {
        Self { ordered, default_allows, by_content: HashMap::new(), by_question: HashMap::new(), runs: 0 }
    }

    /// What the rules asked come to.
    pub(super) fn of(&mut self, asked: Asked, budget: &mut Budget) -> Result<Timeline, Beyond> {
        if let Some(timeline) = self.by_question.get(&asked) {
            return Ok(timeline.clone());
        }
        let rules: Vec<_> = asked.rules.iter().filter_map(|place| self.ordered.rules.get(*place)).collect();
        let windows = rules.iter().map(|ordered| ordered.rule.window);
        let moments = windows.flat_map(|window| [window.not_before, window.not_after]).flatten();
        let moments: BTreeSet<u64> = moments.filter(|moment| *moment > 0).collect();
        let mut timeline = Timeline { profile: self.at(0, &rules, &asked, budget)?, later: Vec::new() };
        let mut before = timeline.profile;
        for moment in moments {
            let profile = self.at(moment, &rules, &asked, budget)?;
            if profile != before {
                timeline.later.push((moment, profile));
                before = profile;
            }
        }
        self.by_question.insert(asked, timeline.clone());
        Ok(timeline)
    }

    /// The place of the profile at a moment.
    fn at(
        &mut self,
        moment: u64,
        rules: &[&'a OrderedRule<'a>],
        asked: &Asked,
        budget: &mut Budget,
    ) -> Result<u32, Beyond> {
        let in_force: Vec<_> = rules.iter().copied().filter(|ordered| ordered.rule.window.holds(moment)).collect();
        budget.spend(rules.len() + in_force.iter().map(|ordered| ordered.rule.traffic.len()).sum::<usize>())?;
        let pair = Pair {
            from_votes: asked.from_votes,
            to_votes: asked.to_votes,
            ports: &asked.ports,
            default_allows: self.default_allows,
        };
        let next = u32::try_from(self.by_content.len()).unwrap_or(u32::MAX);
        let profile = tables::profile(&in_force, &pair);
        let runs = profile.runs();
        let place = *self.by_content.entry(profile).or_insert(next);
        if place == next {
            self.runs += runs;
        }
        if self.runs > RUNS_MAX { Err(Beyond::Runs(self.finest(rules))) } else { Ok(place) }
    }

    /// Names the rules that cut numbers and moments into the most pieces.
    fn finest(&self, rules: &[&OrderedRule<'_>]) -> String {
        let mut rules = rules.to_vec();
        let pieces = |ordered: &OrderedRule<'_>| ordered.rule.traffic.len() + ordered.rule.window.ends();
        rules.sort_by_key(|ordered| Reverse(pieces(ordered)));
        let named = rules.iter().take(NAMED).filter_map(|rule| self.ordered.names.get(rule.ordinal as usize));
        named.map(|rule| rule.name.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// The profiles by their places.
    pub(super) fn into_list(self) -> Vec<Profile> {
        let mut profiles: Vec<(u32, Profile)> =
            self.by_content.into_iter().map(|(profile, at)| (at, profile)).collect();
        profiles.sort_unstable_by_key(|(place, _)| *place);
        profiles.into_iter().map(|(_, profile)| profile).collect()
    }
}
