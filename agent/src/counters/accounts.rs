//! What interfaces have of the connection tables, what they were refused, and who fills a destination.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use ringfence_proto::v1;

use crate::{
    bpf::{
        Account, BpfError, Limits, Maps,
        consts::{
            RF_BUDGET_INBOUND, RF_BUDGET_INBOUND_HALF, RF_BUDGET_OUTSIDE, RF_BUDGET_OUTSIDE_HALF, RF_BUDGET_OWN,
            RF_BUDGET_OWN_HALF, RF_HOST_HERE,
        },
    },
    lower::image::Image,
};

/// Originators that are named for a destination.
const NAMED: usize = 3;

/// Of every interface here, and of those elsewhere that have or were refused anything here.
pub(super) fn read(maps: &Maps, image: &Image) -> Result<Vec<v1::AccountCounters>, BpfError> {
    // While an interface changes its index it has two entries, and one account.
    let known: BTreeMap<u32, (u32, bool)> =
        image.ifaces.values().map(|iface| (iface.account, (iface.id, iface.host == RF_HOST_HERE))).collect();
    let mut told = Vec::new();
    for (account, (id, here)) in known.iter().filter(|(account, _)| **account != 0) {
        let counts = maps.accounts.load(*account)?;
        if *here || counts != Account::default() {
            told.push((*account, *id, counts));
        }
    }
    let refused = |counts: &Account| [RF_BUDGET_INBOUND, RF_BUDGET_INBOUND_HALF].map(|it| counts.refused[it as usize]);
    let full: BTreeSet<u32> =
        told.iter().filter(|(.., counts)| refused(counts) != [0, 0]).map(|(account, ..)| *account).collect();
    let fillers = if full.is_empty() { BTreeMap::new() } else { fillers(maps, &full)? };
    let id = |account: &u32| known.get(account).map_or(0, |(id, _)| *id);
    let counters = told.into_iter().map(|(account, interface_id, counts)| {
        let filled_by = fillers.get(&account).map_or_else(Vec::new, |by| top(by, id));
        v1::AccountCounters { filled_by, ..counters(interface_id, &counts, &image.limits) }
    });
    Ok(counters.collect())
}

fn counters(interface_id: u32, counts: &Account, limits: &Limits) -> v1::AccountCounters {
    let of = |budget: u32, half: u32| {
        let (budget, half) = (budget as usize, half as usize);
        Some(v1::BudgetUse {
            used: not_negative(counts.used[budget]),
            limit: limits.of[budget],
            half_open: not_negative(counts.used[half]),
            half_open_limit: limits.of[half],
            refused: counts.refused[budget],
            half_open_refused: counts.refused[half],
        })
    };
    v1::AccountCounters {
        interface_id,
        own: of(RF_BUDGET_OWN, RF_BUDGET_OWN_HALF),
        inbound: of(RF_BUDGET_INBOUND, RF_BUDGET_INBOUND_HALF),
        outside: of(RF_BUDGET_OUTSIDE, RF_BUDGET_OUTSIDE_HALF),
        filled_by: Vec::new(),
    }
}

/// A count that a race left below zero is zero until it is corrected.
fn not_negative(count: u64) -> u64 {
    count.cast_signed().max(0).cast_unsigned()
}

/// Connections that interfaces have opened to these accounts, by destination and originator.
fn fillers(maps: &Maps, full: &BTreeSet<u32>) -> Result<BTreeMap<u32, BTreeMap<u32, u64>>, BpfError> {
    let mut fillers: BTreeMap<u32, BTreeMap<u32, u64>> = BTreeMap::new();
    maps.visit_charges(|charge| {
        let [opener, asked] = charge.account;
        if charge.from_outside == 0 && full.contains(&asked) {
            *fillers.entry(asked).or_default().entry(opener).or_default() += 1;
        }
    })?;
    Ok(fillers)
}

fn top(by: &BTreeMap<u32, u64>, id: impl Fn(&u32) -> u32) -> Vec<v1::OriginatorCounter> {
    let mut most: Vec<_> = by.iter().map(|(account, connections)| (Reverse(*connections), id(account))).collect();
    most.sort_unstable();
    let named = most.into_iter().take(NAMED);
    named.map(|(Reverse(connections), interface_id)| v1::OriginatorCounter { interface_id, connections }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_most_is_named_first_and_few_are_named() {
        let by = BTreeMap::from([(1, 5), (2, 9), (3, 9), (4, 1)]);
        let named: Vec<_> =
            top(&by, |account| account + 100).iter().map(|it| (it.interface_id, it.connections)).collect();
        assert_eq!(named, [(102, 9), (103, 9), (101, 5)]);
    }

    #[test]
    fn a_count_below_zero_is_told_as_none() {
        let mut counts = Account::default();
        counts.used[RF_BUDGET_OWN as usize] = u64::MAX;
        counts.refused[RF_BUDGET_OWN_HALF as usize] = 4;
        let own = counters(7, &counts, &Limits::default()).own.unwrap_or_default();
        assert_eq!((own.used, own.half_open_refused), (0, 4));
    }
}
