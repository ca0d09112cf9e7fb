//! Observed and desired maps → the steps between them, in an order that is safe to stop after any of them. Pure.
//!
//! 0. **Let go**: devices that are gone, or go from one bearer to another, are nobody's: they pass nothing.
//! 1. **Prepare**: what nothing refers to yet is written: hosts, profiles, interfaces, domains, and each changed domain's
//!    *inactive* slot. Packets are judged as before; addresses that go from one to another are nobody's for a while.
//! 2. **Switch**: one store per changed domain, its word. From it on packets are judged by the new state.
//! 3. **Judge again**: epochs of the addresses that mean something else now are raised (`stale`). After the switch, since a
//!    program reads epochs first and the word after: one that races is judged again needlessly, never by what is gone.
//! 4. **Finish**, after a grace period: the other slot is brought to the same, and what no slot needs is removed. A last
//!    grace period, and indexes that became free may be handed out by the next plan. What lost its entry or its holder
//!    only here was judged by it after the switch, too, and is judged again.
//! 5. **Hand over**: devices that were let go get their new bearer; no packet for the former is under way any more.
//!
//! In between the plans both slots are equal. An array entry that nothing refers to stays as it is.

use std::collections::{BTreeMap, BTreeSet};

use super::action::Action;
use crate::{
    bpf::Device,
    lower::image::{Image, Word},
};

mod classes;
mod handover;
mod holders;
mod slots;
mod stale;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
mod view;

use handover::{forgotten, handed_over};
use holders::Holders;
use slots::{Slots, differing};
use stale::Stale;
use view::View;

/// What else than the maps a plan depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// The last plan ended.
    Settled,
    /// The last plan was cut off, or nobody knows: epochs may be missing a step, so every flow is judged again.
    Interrupted,
}

/// The steps from the observed to the target maps; the words of the target do not count.
pub fn plan(observed: &Image, target: &Image, start: Start) -> Vec<Action> {
    let view = View::new(observed, target);
    let differ = differing(&view);
    let stale = Stale::find(&view, &differ, start);
    let slots = Slots::new(&view, &differ, &stale.domains);
    let holders = Holders::new(&view);
    let mut steps = Vec::new();
    if start == Start::Interrupted {
        steps.push(Action::Grace);
    }
    let handed_over = handed_over(observed, target);
    remove_devices(observed, target, &handed_over, &mut steps);
    let forwarding = put_forwarding(observed, target);
    let staged = slots.staged();
    let switched = slots.words();
    let judged_again = stale.places.into_iter().map(Action::BumpEpoch);
    let mut finished = slots.finished();
    finished.extend(holders.finished());
    let late_stale = Stale::by_the_finish(&view, &finished);
    let removed = remove_forwarding(observed, target);

    let late = target.devices.iter().map(|(ifindex, device)| (*ifindex, *device));
    let late: Vec<_> = late.filter(|(ifindex, _)| handed_over.contains(ifindex)).collect();
    let at_once = changed(&observed.devices, &target.devices).filter(|(ifindex, _)| !handed_over.contains(ifindex));
    steps.extend(forwarding);
    steps.extend(holders.staged());
    put_devices(observed, at_once, &mut steps);
    steps.extend(staged);
    if !switched.is_empty() {
        steps.push(Action::Grace);
    }
    steps.extend(switched.iter().map(|(domain, word)| Action::StoreWord(*domain, *word)));
    steps.extend(judged_again);
    if !finished.is_empty() || !removed.is_empty() || !late.is_empty() {
        steps.push(Action::Grace);
        steps.extend(finished);
        steps.extend(removed);
        steps.push(Action::Grace);
        // After it: a program may have found the ends of a flow before an entry went, and read the epochs thereafter.
        steps.extend(raised_again(&view, &switched, &late_stale.domains));
        steps.extend(late_stale.places.into_iter().map(Action::BumpEpoch));
        put_devices(&Image::default(), late, &mut steps);
    }
    if steps == [Action::Grace] {
        steps.clear();
    }
    steps
}

/// The words of domains that stay, one epoch on from what they switched to.
fn raised_again(view: &View<'_>, switched: &BTreeMap<u32, Word>, domains: &BTreeSet<u32>) -> Vec<Action> {
    let indexes = domains.iter().filter_map(|id| view.index(*id));
    let words = indexes.filter(|index| view.target.domains.contains_key(index)).filter_map(|index| {
        let Word { slot, epoch } = switched.get(&index).copied()?;
        Some(Action::StoreWord(index, Word { slot, epoch: epoch.wrapping_add(1) }))
    });
    words.collect()
}

/// The kernel hands out numbers of gone devices again, so these go first; with them those that change hands.
fn remove_devices(observed: &Image, target: &Image, handed_over: &BTreeSet<u32>, steps: &mut Vec<Action>) {
    let stays = |ifindex: &u32| target.devices.contains_key(ifindex) && !handed_over.contains(ifindex);
    for (ifindex, device) in observed.devices.iter().filter(|(ifindex, _)| !stays(ifindex)) {
        steps.push(Action::DeleteDevice(*ifindex));
        steps.push(Action::ResetCounters { ifindex: *ifindex, counter: device.counter });
    }
}

/// Devices that are new or changed; what `observed` does not have counts from zero.
fn put_devices(observed: &Image, devices: impl IntoIterator<Item = (u32, Device)>, steps: &mut Vec<Action>) {
    for (ifindex, device) in devices {
        if observed.devices.get(&ifindex).is_none_or(|held| held.counter != device.counter) {
            steps.push(Action::ResetCounters { ifindex, counter: device.counter });
        }
        steps.push(Action::PutDevice(ifindex, device));
    }
}

/// What packets need to find their way, referred to before referring, and what of it an interface may use.
fn put_forwarding(observed: &Image, target: &Image) -> Vec<Action> {
    let mut steps = Vec::new();
    if observed.limits != target.limits {
        steps.push(Action::PutLimits(target.limits));
    }
    steps.extend(changed(&observed.hosts, &target.hosts).map(|(key, value)| Action::PutHost(key, value)));
    let held_run = |place| observed.runs.get(place).copied().unwrap_or_default();
    let runs = target.runs.iter().filter(|(place, run)| held_run(place) != **run);
    steps.extend(runs.map(|(place, run)| Action::PutRun(*place, *run)));
    steps.extend(changed(&observed.profiles, &target.profiles).map(|(key, value)| Action::PutProfile(key, value)));
    steps.extend(changed(&observed.domains, &target.domains).map(|(key, value)| Action::PutDomain(key, value)));
    steps.extend(changed(&observed.ifaces, &target.ifaces).map(|(key, value)| Action::PutIface(key, value)));
    steps.extend(changed(&observed.claims, &target.claims).map(|(key, value)| Action::PutClaims(key, value)));
    steps.extend(changed(&observed.groups, &target.groups).map(|(key, value)| Action::PutGroup(key, Box::new(value))));
    steps.extend(changed(&observed.vnis, &target.vnis).map(|(key, value)| Action::PutVni(key, value)));
    steps.extend(changed(&observed.builtins, &target.builtins).map(|(key, value)| Action::PutBuiltin(key, value)));
    steps
}

/// The reverse, for what the target does not have.
fn remove_forwarding(observed: &Image, target: &Image) -> Vec<Action> {
    let mut steps = Vec::new();
    steps.extend(gone(&observed.builtins, &target.builtins).map(Action::DeleteBuiltin));
    steps.extend(gone(&observed.vnis, &target.vnis).map(Action::DeleteVni));
    steps.extend(gone(&observed.claims, &target.claims).map(Action::DeleteClaims));
    steps.extend(gone(&observed.domains, &target.domains).map(Action::DeleteDomain));
    steps.extend(forgotten(observed, target));
    steps
}

/// Entries of `target` that `observed` has not or has otherwise.
fn changed<'a, K: Ord + Copy, V: PartialEq + Copy>(
    observed: &'a BTreeMap<K, V>,
    target: &'a BTreeMap<K, V>,
) -> impl Iterator<Item = (K, V)> + use<'a, K, V> {
    differences(observed, target).filter_map(|(key, _, wanted)| Some((key, *wanted?)))
}

/// Keys of `observed` that `target` has not.
fn gone<'a, K: Ord + Copy, V: PartialEq>(
    observed: &'a BTreeMap<K, V>,
    target: &'a BTreeMap<K, V>,
) -> impl Iterator<Item = K> + use<'a, K, V> {
    differences(observed, target).filter(|(_, _, wanted)| wanted.is_none()).map(|(key, ..)| key)
}

/// Every key that the two do not have alike, in order, with what each has. One walk over both: little changes in much.
fn differences<'a, K: Ord + Copy, V: PartialEq>(
    observed: &'a BTreeMap<K, V>,
    target: &'a BTreeMap<K, V>,
) -> impl Iterator<Item = (K, Option<&'a V>, Option<&'a V>)> {
    let (mut held, mut wanted) = (observed.iter().peekable(), target.iter().peekable());
    std::iter::from_fn(move || {
        loop {
            let (before, after) = (held.peek().copied(), wanted.peek().copied());
            let key = *before.into_iter().chain(after).map(|(key, _)| key).min()?;
            let before = held.next_if(|(held, _)| **held == key).map(|(_, value)| value);
            let after = wanted.next_if(|(wanted, _)| **wanted == key).map(|(_, value)| value);
            if before != after {
                return Some((key, before, after));
            }
        }
    })
}
