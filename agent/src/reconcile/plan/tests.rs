//! Plans carried out step by step on a simulated kernel, from and to random states.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::vec, prelude::*, sample::Index, strategy::ValueTree};

use super::{Action, Start, plan};
use crate::{
    bpf::{DeviceKind, Iface, consts::RF_IFACE_NOBODY},
    lower::{Site, assign, image::Image, lasting, lower},
    testing::{
        bundles::{State, site, states},
        meaning::{Judgement, holders, in_force, meaning},
    },
};

mod judged_again;

use judged_again::check_judged_again;

/// The maps of a host, and the steps of its last plan.
#[derive(Clone, Default)]
struct Kernel {
    image: Image,
    epochs: BTreeMap<u32, u64>,
}

impl Kernel {
    fn steps_to(&self, state: &State, start: Start) -> Vec<Action> {
        let target = assign(&lower(&state.bundles, &site(), state.at), &self.image).unwrap();
        plan(&self.image, &target, start)
    }

    fn take(&mut self, step: &Action) {
        self.image.apply(step);
        if let Action::BumpEpoch(place) = step {
            *self.epochs.entry(*place).or_default() += 1;
        }
    }

    fn bring(&mut self, state: &State) {
        self.steps_to(state, Start::Settled).iter().for_each(|step| self.take(step));
    }
}

/// What a domain is judged by, less addresses that go from one interface to another: those may be nobody's for a while.
fn without(judgement: &Judgement, moved: &BTreeSet<[u8; 16]>) -> Judgement {
    let mut rest = judgement.clone();
    rest.classes.retain(|key, _| !moved.contains(&key.ip.bytes));
    rest
}

fn moved(before: &Judgement, after: &Judgement) -> BTreeSet<[u8; 16]> {
    let other_owner = |key, owner: u32| after.classes.get(key).is_some_and(|(id, _)| *id != owner);
    let keys = before.classes.iter().filter(|(key, (id, _))| other_owner(key, *id));
    keys.map(|(key, _)| key.ip.bytes).collect()
}

/// Every step leaves every domain judged wholly by the old or wholly by the new state, and old only before new.
fn check_each_step(kernel: &mut Kernel, steps: &[Action]) {
    let before = in_force(&kernel.image);
    let mut end = kernel.clone();
    steps.iter().for_each(|step| end.take(step));
    let after = in_force(&end.image);
    let mut switched = BTreeSet::new();
    for (place, step) in steps.iter().enumerate() {
        kernel.take(step);
        for (id, now) in in_force(&kernel.image) {
            let old = before.get(&id).cloned().unwrap_or_default();
            let new = after.get(&id).cloned().unwrap_or_default();
            let wandering = moved(&old, &new);
            let is_new = without(&now, &BTreeSet::new()) == new;
            let is_old = without(&now, &wandering) == without(&old, &wandering)
                && now.classes.iter().all(|(key, owner)| old.classes.get(key) == Some(owner));
            assert!(
                is_new || is_old && !switched.contains(&id),
                "after step {place} of {steps:#?}\ndomain {id}: {now:#?}"
            );
            if is_new && new != old {
                switched.insert(id);
            }
        }
    }
}

/// A stretch of addresses is held by whom the state holds by which its domain is judged, or withheld from everybody; never
/// withheld if both states have the same holder.
fn check_holders(kernel: &Kernel, steps: &[Action]) {
    let mut now = kernel.clone();
    let mut end = kernel.clone();
    steps.iter().for_each(|step| end.take(step));
    let (before, after) = (holders(&kernel.image), holders(&end.image));
    let mut switched = BTreeSet::new();
    for (place, step) in steps.iter().enumerate() {
        if let Action::StoreWord(index, _) = step {
            let domain = [&end, kernel].into_iter().find_map(|state| state.image.domains.get(index));
            switched.extend(domain.map(|domain| domain.id));
        }
        now.take(step);
        let held = holders(&now.image);
        for key in before.keys().chain(after.keys()) {
            let of_state = if switched.contains(&key.domain_id) { &after } else { &before };
            let is_steady = before.get(key) == after.get(key);
            let is_right = held.get(key) == of_state.get(key) || !is_steady && !held.contains_key(key);
            assert!(is_right, "after step {place} of {steps:#?}\n{key:?} is held by {:?}", held.get(key));
            let of_state = if switched.contains(&key.domain_id) { &end } else { kernel };
            let [entry, expected] = [&now, of_state].map(|kernel| kernel.image.subnets.get(key));
            let is_shut = is_steady
                || held.contains_key(key)
                || entry == expected
                || entry.is_some_and(|subnet| subnet.iface == RF_IFACE_NOBODY);
            assert!(is_shut, "after step {place} of {steps:#?}\n{key:?} is free to be used");
        }
    }
}

/// Whom a packet that is sent to a device is meant for, and whom a device is known as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Bearer {
    Interface(u32),
    UplinkOf(u32),
    Nobody(u32),
}

/// Where packets for each may be sent as long as a program runs that began by now.
fn ways(image: &Image) -> BTreeSet<(Bearer, u32)> {
    let interfaces = image.ifaces.values().map(|iface| (Bearer::Interface(iface.id), iface.ifindex));
    let uplinks = image.domains.values().map(|domain| (Bearer::UplinkOf(domain.id), domain.uplink_ifindex));
    interfaces.chain(uplinks).filter(|(_, ifindex)| *ifindex != 0).collect()
}

fn known_as(image: &Image, ifindex: u32) -> Option<Bearer> {
    let device = image.devices.get(&ifindex)?;
    Some(match device.kind {
        DeviceKind::RF_DEVICE_WORKLOAD => Bearer::Interface(image.ifaces.get(&device.r#ref)?.id),
        DeviceKind::RF_DEVICE_UPLINK => Bearer::UplinkOf(image.domains.get(&device.r#ref)?.id),
        kind => Bearer::Nobody(kind.0),
    })
}

/// At no step can a packet for one reach a device that is known as another's, however long its program takes.
fn check_no_device_gets_anothers_packets(kernel: &Kernel, steps: &[Action]) {
    let mut image = kernel.image.clone();
    let mut under_way = ways(&image);
    for (place, step) in steps.iter().enumerate() {
        image.apply(step);
        if *step == Action::Grace {
            under_way.clear();
        }
        under_way.extend(ways(&image));
        for (bearer, ifindex) in &under_way {
            let known = known_as(&image, *ifindex);
            assert!(
                known.is_none_or(|known| known == *bearer),
                "after step {place} of {steps:#?}\na packet for {bearer:?} reaches device {ifindex} of {known:?}"
            );
        }
    }
}

/// No entry that something refers to at the start turns into another: packets in flight may still read it.
fn check_nothing_in_use_changes(image: &Image, steps: &[Action]) {
    let held = image.subnets.values().map(|subnet| subnet.iface);
    let ifaces: BTreeSet<u32> = image.addrs.values().map(|addr| addr.iface).chain(held).collect();
    let hosts: BTreeSet<u32> =
        ifaces.iter().filter_map(|index| image.ifaces.get(index)).map(|held| held.host).collect();
    let profiles: BTreeSet<u32> = image.rows.values().flat_map(|row| row.profile).collect();
    let spans = profiles.iter().filter_map(|index| image.profiles.get(index)).flat_map(|profile| profile.table);
    let runs: BTreeSet<u32> = spans.flat_map(|span| span.start..span.start + span.count).collect();
    let groups: BTreeSet<u32> = image.vnis.values().map(|vni| vni.group).collect();
    let mut now = image.clone();
    for step in steps {
        now.apply(step);
        match step {
            Action::PutIface(index, iface) if *iface == Iface::default() => {
                let refers = |held: u32| held == *index;
                assert!(!now.addrs.values().any(|addr| refers(addr.iface)), "interface {index} is in use");
                assert!(!now.subnets.values().any(|subnet| refers(subnet.iface)), "interface {index} is in use");
            }
            Action::PutIface(index, iface) if ifaces.contains(index) => {
                assert_eq!(lasting(&image.ifaces[index]), lasting(iface));
            }
            Action::PutHost(index, _) => assert!(!hosts.contains(index), "host {index} is in use"),
            Action::PutGroup(index, _) => assert!(!groups.contains(index), "group {index} is in use"),
            Action::PutProfile(index, _) => assert!(!profiles.contains(index), "profile {index} is in use"),
            Action::PutRun(place, _) => assert!(!runs.contains(place), "run {place} is in use"),
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_step_is_wholly_old_or_wholly_new(history in vec(states(), 2..5)) {
        let mut kernel = Kernel::default();
        for state in &history {
            let before = kernel.clone();
            let steps = kernel.steps_to(state, Start::Settled);
            check_nothing_in_use_changes(&kernel.image, &steps);
            check_no_device_gets_anothers_packets(&kernel, &steps);
            check_holders(&kernel, &steps);
            check_each_step(&mut kernel, &steps);
            check_judged_again(&before, &kernel, &steps);
        }
    }

    #[test]
    fn the_end_depends_on_the_state_and_not_on_the_way(mut history in vec(states(), 1..4)) {
        let last = history.last().unwrap().clone();
        let mut alone = Kernel::default();
        alone.bring(&last);
        let mut reversed: Vec<State> = history.iter().rev().cloned().collect();
        reversed.push(last.clone());
        let doubled: Vec<State> = history.iter().flat_map(|state| [state.clone(), state.clone()]).collect();
        let with_empty: Vec<State> = history.iter().flat_map(|state| [state.clone(), State::default()]).chain([last.clone()]).collect();
        history.push(last);
        for way in [history, reversed, doubled, with_empty] {
            let mut kernel = Kernel::default();
            way.iter().for_each(|state| kernel.bring(state));
            prop_assert_eq!(meaning(&kernel.image), meaning(&alone.image));
        }
    }

    #[test]
    fn an_unchanged_state_has_an_empty_plan(history in vec(states(), 1..4)) {
        let mut kernel = Kernel::default();
        for state in &history {
            kernel.bring(state);
            prop_assert_eq!(kernel.steps_to(state, Start::Settled), vec![]);
        }
    }

    #[test]
    fn a_plan_cut_off_anywhere_is_taken_up_and_every_flow_judged_again(from in states(), to in states(), cut in any::<Index>()) {
        let mut kernel = Kernel::default();
        kernel.bring(&from);
        let steps = kernel.steps_to(&to, Start::Settled);
        let done = if steps.is_empty() { 0 } else { cut.index(steps.len()) };
        steps[..done].iter().for_each(|step| kernel.take(step));
        let words = kernel.image.words.clone();
        let rest = kernel.steps_to(&to, Start::Interrupted);
        check_no_device_gets_anothers_packets(&kernel, &rest);
        check_each_step(&mut kernel, &rest);
        prop_assert_eq!(kernel.steps_to(&to, Start::Settled), vec![]);
        let mut alone = Kernel::default();
        alone.bring(&to);
        prop_assert_eq!(meaning(&kernel.image), meaning(&alone.image));
        for index in kernel.image.domains.keys() {
            prop_assert_ne!(words.get(index), kernel.image.words.get(index));
        }
    }

    #[test]
    fn a_domain_that_returns_meets_no_epoch_of_its_own(state in states(), between in states()) {
        let mut kernel = Kernel::default();
        kernel.bring(&state);
        let highest = kernel.image.words.values().map(|word| word.epoch).max().unwrap_or(0);
        kernel.bring(&State::default());
        let mut between = between;
        between.bundles.retain(|bundle| bundle.domain_id == 2);
        kernel.bring(&between);
        kernel.bring(&state);
        for (index, domain) in &kernel.image.domains {
            if domain.id == 1 {
                prop_assert!(kernel.image.word(*index).epoch > highest);
            }
        }
    }
}

#[test]
fn another_mtu_of_the_underlay_disturbs_no_flow() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for _ in 0..50 {
        let state = states().new_tree(&mut runner).unwrap().current();
        let mut kernel = Kernel::default();
        kernel.bring(&state);
        let site = Site { overlay_mtu: 1200, ..site() };
        let target = assign(&lower(&state.bundles, &site, state.at), &kernel.image).unwrap();
        let steps = plan(&kernel.image, &target, Start::Settled);
        let only_puts = |step: &Action| {
            // Packets of no flow go by a group, and who is in it stays.
            matches!(step, Action::PutIface(..) | Action::PutDomain(..) | Action::PutGroup(..) | Action::PutVni(..))
        };
        assert!(steps.iter().all(only_puts), "{steps:#?}");
    }
}
