//! Domains that the maps enforce and of which no state is here, since its file is damaged or another version's: they stay
//! as they are until the controller sends them, or lets them go. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::image::Image;
use crate::bpf::{Addr, Device, DeviceKind, PrefixKey, Row, consts::RF_BUILTIN_UNDERLAY};

/// Puts all that the observed maps hold of these domains (ids) into the target; what the target has under the same key
/// wins. A plan that was cut off may have left half a state in the slot that is not in force: both get what is in force, so
/// that a plan that switches these domains finds the same behind the switch.
pub fn keep(target: &mut Image, observed: &Image, domains: &BTreeSet<u32>) {
    let indexes = || observed.domains.iter().filter(|(_, domain)| domains.contains(&domain.id));
    let of_domain = |id: &u32| domains.contains(id);
    fill(&mut target.domains, &observed.domains, |_, domain| of_domain(&domain.id));
    fill(&mut target.vnis, &observed.vnis, |_, vni| of_domain(&vni.domain_id));
    fill_slots(target, observed, domains);
    fill(&mut target.subnets, &observed.subnets, |key, _| of_domain(&key.domain_id));
    fill(&mut target.claims, &observed.claims, |key, _| of_domain(&key.domain_id));
    fill(&mut target.ifaces, &observed.ifaces, |_, iface| of_domain(&iface.domain_id));
    let groups: BTreeSet<u32> = target.vnis.values().map(|vni| vni.group).filter(|group| *group != 0).collect();
    fill(&mut target.groups, &observed.groups, |index, _| groups.contains(index));
    let devices = devices(observed, domains);
    fill(&mut target.devices, &observed.devices, |ifindex, _| devices.contains(ifindex));
    let of_uplinks = indexes().map(|(_, domain)| domain.uplink_host);
    let of_ifaces = observed.ifaces.values().filter(|iface| of_domain(&iface.domain_id)).map(|iface| iface.host);
    let of_groups = groups.iter().filter_map(|index| observed.groups.get(index));
    let of_groups = of_groups.flat_map(|group| group.host.into_iter().take(group.hosts as usize));
    let hosts: BTreeSet<u32> = of_uplinks.chain(of_ifaces).chain(of_groups).collect();
    fill(&mut target.hosts, &observed.hosts, |index, _| hosts.contains(index));
    // What the target counts is without the interfaces of these, which have their part of the tables, too.
    if !domains.is_empty() && observed.limits.share <= target.limits.share {
        target.limits = observed.limits;
    }
    // Whose peers they are is not known any more, so none of them is cut off.
    let peers = observed.builtins.iter().filter(|(_, kinds)| !domains.is_empty() && **kinds & RF_BUILTIN_UNDERLAY != 0);
    for (key, kinds) in peers {
        *target.builtins.entry(*key).or_insert(*kinds) |= RF_BUILTIN_UNDERLAY;
    }
    let rows = observed.rows.iter().filter(|(key, _)| of_domain(&key.domain_id));
    let profiles: BTreeSet<u32> = rows.flat_map(|(_, row)| row.profile).collect();
    fill(&mut target.profiles, &observed.profiles, |index, _| profiles.contains(index));
    let spans = observed.profiles.iter().filter(|(index, _)| profiles.contains(index)).flat_map(|(_, it)| it.table);
    for span in spans {
        let places = observed.runs.range(span.start..span.start.saturating_add(span.count));
        places.for_each(|(place, run)| _ = target.runs.entry(*place).or_insert(*run));
    }
}

/// The devices by which these domains are entered here.
pub fn devices(observed: &Image, domains: &BTreeSet<u32>) -> BTreeSet<u32> {
    let of_iface = |device: &Device| observed.ifaces.get(&device.r#ref).map(|iface| iface.domain_id);
    let of_uplink = |device: &Device| observed.domains.get(&device.r#ref).map(|domain| domain.id);
    let domain = |device: &Device| match device.kind {
        DeviceKind::RF_DEVICE_WORKLOAD | DeviceKind::RF_DEVICE_NIC => of_iface(device),
        DeviceKind::RF_DEVICE_UPLINK => of_uplink(device),
        _ => None,
    };
    let devices = observed.devices.iter().filter(|(_, device)| domain(device).is_some_and(|id| domains.contains(&id)));
    devices.map(|(ifindex, _)| *ifindex).collect()
}

/// What is in slots, in both as it is in the one in force.
fn fill_slots(target: &mut Image, observed: &Image, domains: &BTreeSet<u32>) {
    let known = observed.domains.iter().map(|(index, domain)| (domain.id, observed.word(*index).slot));
    let known: BTreeMap<u32, u32> = known.collect();
    let in_force = |id: u32| domains.contains(&id).then(|| known.get(&id).copied().unwrap_or(0));
    for (key, addr) in &observed.addrs {
        let Some(slot) = in_force(key.domain_id) else { continue };
        target.addrs.entry(*key).or_insert(Addr { class_id: [addr.class_id[slot as usize]; 2], ..*addr });
    }
    for (key, row) in &observed.rows {
        let Some(slot) = in_force(key.domain_id) else { continue };
        let profile = row.profile[slot as usize];
        // 0: only the other slot has it.
        if profile != 0 {
            target.rows.entry(*key).or_insert(Row { profile: [profile; 2] });
        }
    }
    for (key, class_id) in observed.prefixes.iter().filter(|(key, _)| in_force(key.domain_id) == Some(key.slot)) {
        for slot in [0, 1] {
            target.prefixes.entry(PrefixKey { slot, ..*key }).or_insert(*class_id);
        }
    }
}

fn fill<K: Ord + Copy, V: Copy>(target: &mut BTreeMap<K, V>, observed: &BTreeMap<K, V>, keep: impl Fn(&K, &V) -> bool) {
    for (key, value) in observed.iter().filter(|(key, value)| keep(key, value)) {
        target.entry(*key).or_insert(*value);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        lower::{assign, lower},
        reconcile::{
            action::Action,
            plan::{Start, plan},
        },
        testing::{
            bundles::{State, site, states},
            meaning::in_force,
        },
    };

    fn apply(image: &mut Image, steps: &[Action]) {
        steps.iter().for_each(|step| image.apply(step));
    }

    fn steps_to(image: &Image, state: &State) -> Vec<Action> {
        plan(image, &assign(&lower(&state.bundles, &site(), state.at), image).unwrap(), Start::Settled)
    }

    proptest! {
        #[test]
        fn a_domain_without_a_state_stays_as_it_is_and_costs_no_step(state in states()) {
            let observed = assign(&lower(&state.bundles, &site(), state.at), &Image::default()).unwrap();
            for bundle in &state.bundles {
                let others = state.bundles.iter().filter(|other| other.domain_id != bundle.domain_id);
                let mut target = assign(&lower(others, &site(), state.at), &observed).unwrap();
                keep(&mut target, &observed, &BTreeSet::from([bundle.domain_id]));
                prop_assert_eq!(plan(&observed, &target, Start::Settled), []);
            }
        }

        #[test]
        fn a_domain_whose_plan_was_cut_off_is_judged_by_what_is_in_force(
            states in [states(), states(), states()],
            cut in any::<prop::sample::Index>(),
        ) {
            let [first, before, after] = &states;
            let mut cut_off = Image::default();
            for state in [first, before] {
                let steps = steps_to(&cut_off, state);
                apply(&mut cut_off, &steps);
            }
            let steps = steps_to(&cut_off, after);
            apply(&mut cut_off, &steps[..cut.index(steps.len() + 1)]);
            for (domain_id, judgement) in in_force(&cut_off) {
                let others = after.bundles.iter().filter(|other| other.domain_id != domain_id);
                let mut target = assign(&lower(others, &site(), after.at), &cut_off).unwrap();
                keep(&mut target, &cut_off, &BTreeSet::from([domain_id]));
                let mut now = cut_off.clone();
                for step in plan(&cut_off, &target, Start::Interrupted) {
                    now.apply(&step);
                    let is_judged = in_force(&now).remove(&domain_id);
                    prop_assert_eq!(is_judged.as_ref(), Some(&judgement), "after {:?}", step);
                }
                // Whichever slot a later plan switches to.
                now.words.values_mut().for_each(|word| word.slot = 1 - word.slot);
                let is_judged = in_force(&now).remove(&domain_id);
                prop_assert_eq!(is_judged.as_ref(), Some(&judgement));
            }
        }
    }
}
