//! What connections take of budgets, counted anew: a race between CPUs, or a program that ended between two steps, may
//! leave a count behind that no entry stands for, and a budget must not leak away.
//!
//! Programs open and delete while the table is read, so a difference proves nothing alone: it is no difference if the
//! count passed by it meanwhile, and is believed as far as two recounts in turn say it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use crate::{
    bpf::{BpfError, Limits, Maps},
    lower::image::Image,
};

/// Between two recounts of a host that has nothing to correct.
const INTERVAL: Duration = Duration::from_secs(60);
/// A recount may take one part in so many of the time.
const SHARE: u32 = 20;

/// Of an account and a budget (`RF_BUDGET_*`).
type Place = (u32, u32);

/// Where programs count what is borrowed.
const COMMON: Place = (0, 0);

/// Recounts, one after another.
#[derive(Debug)]
pub(super) struct Recount {
    next: Instant,
    /// What the last recount found too much (or too little) of.
    suspected: BTreeMap<Place, i64>,
}

impl Recount {
    /// The first one is due at once: what an agent before left behind is not known.
    pub(super) fn new() -> Self {
        Self { next: Instant::now(), suspected: BTreeMap::new() }
    }

    /// Recounts, if it is time to, and corrects what two recounts agree on.
    ///
    /// # Errors
    /// Maps that cannot be read; the next recount begins anew.
    pub(super) fn pass(&mut self, maps: &Maps, image: &Image) -> Result<(), BpfError> {
        let begun = Instant::now();
        if begun < self.next {
            return Ok(());
        }
        self.next = begun + INTERVAL;
        let last = std::mem::take(&mut self.suspected);
        let mut accounts: BTreeSet<u32> = image.ifaces.values().map(|iface| iface.account).collect();
        accounts.extend(last.keys().map(|(account, _)| *account));
        accounts.insert(COMMON.0);
        let before = read(maps, &accounts)?;
        let mut counted = maps.count_charges()?;
        counted.insert(COMMON, borrowed(&counted, &image.limits));
        let after = read(maps, &accounts)?;
        let found = drifts(&before, &counted, &after);
        for ((account, budget), drift) in agreed(&last, &found) {
            tracing::warn!(account, budget, drift, "a count of connections was wrong; it is corrected");
            maps.accounts.add_used(account, budget, -drift)?;
        }
        // Soon again, if something is to be agreed on.
        let pause = if found.is_empty() { INTERVAL } else { Duration::ZERO };
        self.suspected = found.into_iter().filter(|(place, _)| !last.contains_key(place)).collect();
        self.next = Instant::now() + pause.max(begun.elapsed() * SHARE);
        Ok(())
    }
}

/// What is in use beyond shares.
fn borrowed(counted: &BTreeMap<Place, u64>, limits: &Limits) -> u64 {
    let share = |budget: u32| limits.share.get(budget as usize).copied().unwrap_or_default();
    counted.iter().map(|((_, budget), used)| used.saturating_sub(share(*budget))).sum()
}

/// What accounts say is in use of connections.
fn read(maps: &Maps, accounts: &BTreeSet<u32>) -> Result<BTreeMap<Place, i64>, BpfError> {
    let mut read = BTreeMap::new();
    for account in accounts {
        let used = maps.accounts.load(*account)?.used;
        read.extend((0..).zip(used).map(|(budget, used)| ((*account, budget), used.cast_signed())));
    }
    Ok(read)
}

/// By how much accounts say more than was counted; what lies between their two words is no difference.
fn drifts(
    before: &BTreeMap<Place, i64>,
    counted: &BTreeMap<Place, u64>,
    after: &BTreeMap<Place, i64>,
) -> BTreeMap<Place, i64> {
    let drift = |(place, before): (&Place, &i64)| {
        let after = after.get(place).copied().unwrap_or(*before);
        let counted = counted.get(place).map_or(0, |counted| counted.cast_signed());
        let (least, most) = (after.min(*before), after.max(*before));
        (*place, (least - counted).max(0) + (most - counted).min(0))
    };
    before.iter().map(drift).filter(|(_, drift)| *drift != 0).collect()
}

/// As far as both say it, in the same direction.
fn agreed(last: &BTreeMap<Place, i64>, found: &BTreeMap<Place, i64>) -> BTreeMap<Place, i64> {
    let both = found.iter().filter_map(|(place, now)| Some((*place, *last.get(place)?, *now)));
    let same = both.filter(|(_, last, now)| (*last > 0) == (*now > 0));
    same.map(|(place, last, now)| (place, if now > 0 { last.min(now) } else { last.max(now) })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place = (7, 0);

    fn found(before: i64, counted: u64, after: i64) -> i64 {
        let of = |used| BTreeMap::from([(PLACE, used)]);
        drifts(&of(before), &BTreeMap::from([(PLACE, counted)]), &of(after)).get(&PLACE).copied().unwrap_or(0)
    }

    #[test]
    fn a_count_that_passes_by_is_no_difference() {
        assert_eq!([found(5, 5, 5), found(5, 7, 9), found(9, 7, 5)], [0, 0, 0]);
        assert_eq!([found(5, 3, 5), found(4, 3, 9), found(2, 5, 3), found(-2, 0, -2)], [2, 1, -2, -2]);
    }

    #[test]
    fn only_what_two_recounts_say_is_corrected() {
        let of = |drift: i64| BTreeMap::from([(PLACE, drift)]);
        let both = |last, now| agreed(&of(last), &of(now)).get(&PLACE).copied();
        assert_eq!([both(3, 5), both(5, 3), both(-3, -5), both(3, -3)], [Some(3), Some(3), Some(-3), None]);
        assert!(agreed(&BTreeMap::new(), &of(3)).is_empty());
    }
}
