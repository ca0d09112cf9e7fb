//! The two slots of each domain: what is staged in the inactive one, which domains switch, and how both become equal.

use std::collections::{BTreeMap, BTreeSet};

use super::{changed, gone, view::View};
use crate::{
    bpf::{Addr, AddrKey, PrefixKey, Row, RowKey},
    lower::image::Word,
    reconcile::action::Action,
};

/// What happens to the slots on the way from the observed to the target maps.
pub(super) struct Slots<'a> {
    view: &'a View<'a>,
    /// Ids of the domains that switch, and whether their epoch is raised.
    switches: BTreeMap<u32, bool>,
}

/// Ids of the domains of which anything in the slots changes.
pub(super) fn differing(view: &View<'_>) -> BTreeSet<u32> {
    let (observed, target) = (view.observed, view.target);
    let row_differs = |key: &&RowKey| view.row_in_force(key) != view.target_row(key);
    let rows = observed.rows.keys().chain(target.rows.keys()).filter(row_differs).map(|key| key.domain_id);
    let prefix_differs = |key: &&PrefixKey| observed.prefixes.get(key) != target.prefixes.get(key);
    let prefixes = view.domain_ids().filter(|id| view.prefixes_in_force(*id).any(|key| prefix_differs(&key)));
    // The address as the slot in force has it.
    let only_slot = |addr: &Addr, id| Addr { class_id: [view.class_in_force(addr, id); 2], ..*addr };
    let addr_differs = |key: &&AddrKey| {
        let in_force = observed.addrs.get(key).map(|addr| only_slot(addr, key.domain_id));
        in_force != target.addrs.get(key).map(|addr| only_slot(addr, key.domain_id))
    };
    let addrs = observed.addrs.keys().chain(target.addrs.keys()).filter(addr_differs).map(|key| key.domain_id);
    rows.chain(prefixes).chain(addrs).collect()
}

impl<'a> Slots<'a> {
    /// `differ`: what [`differing`] found; `raised`: the domains whose epoch is raised.
    pub(super) fn new(view: &'a View<'a>, differ: &BTreeSet<u32>, raised: &BTreeSet<u32>) -> Self {
        // What is left over of a domain that nobody knows has no word; it is removed, not switched.
        let known = differ.union(raised).filter(|id| view.index(**id).is_some());
        Self { view, switches: known.map(|id| (*id, raised.contains(id))).collect() }
    }

    /// Writes the inactive slot of every domain that switches.
    pub(super) fn staged(&self) -> Vec<Action> {
        let addrs = self.staged_addrs().into_iter().map(|(key, addr)| Action::PutAddr(key, addr));
        let rows = self.staged_rows().into_iter().map(|(key, row)| Action::PutRow(key, row));
        let prefixes = self.staged_prefixes().into_iter().map(|(key, class_id)| match class_id {
            Some(class_id) => Action::PutPrefix(key, class_id),
            None => Action::DeletePrefix(key),
        });
        addrs.chain(rows).chain(prefixes).collect()
    }

    /// The new word of every domain that switches, by index.
    pub(super) fn words(&self) -> BTreeMap<u32, Word> {
        // A domain that was here before may have left connections: above every epoch ever used, none is current.
        let unused = self.view.observed.words.values().map(|word| word.epoch).max().unwrap_or(0).wrapping_add(1);
        self.switches
            .iter()
            .filter_map(|(id, raised)| Some((id, raised, self.view.index(*id)?)))
            .map(|(id, raised, index)| {
                let Word { slot, epoch: held } = self.view.observed.word(index);
                let epoch = if self.view.fresh.contains(id) { unused } else { held.wrapping_add(u32::from(*raised)) };
                (index, Word { slot: 1 - slot, epoch })
            })
            .collect()
    }

    /// Brings both slots to the target, from the observed state and what was staged on it.
    pub(super) fn finished(&self) -> Vec<Action> {
        let mut addrs = self.view.observed.addrs.clone();
        addrs.extend(self.staged_addrs());
        let mut rows = self.view.observed.rows.clone();
        rows.extend(self.staged_rows());
        let mut prefixes = self.view.observed.prefixes.clone();
        for (key, class_id) in self.staged_prefixes() {
            match class_id {
                Some(class_id) => drop(prefixes.insert(key, class_id)),
                None => drop(prefixes.remove(&key)),
            }
        }
        let mut steps = Vec::new();
        steps.extend(changed(&addrs, &self.view.target.addrs).map(|(key, addr)| Action::PutAddr(key, addr)));
        steps.extend(gone(&addrs, &self.view.target.addrs).map(Action::DeleteAddr));
        steps.extend(changed(&rows, &self.view.target.rows).map(|(key, row)| Action::PutRow(key, row)));
        steps.extend(gone(&rows, &self.view.target.rows).map(Action::DeleteRow));
        steps.extend(
            changed(&prefixes, &self.view.target.prefixes).map(|(key, class_id)| Action::PutPrefix(key, class_id)),
        );
        steps.extend(gone(&prefixes, &self.view.target.prefixes).map(Action::DeletePrefix));
        steps
    }

    fn staged_addrs(&self) -> BTreeMap<AddrKey, Addr> {
        let keys: BTreeSet<&AddrKey> = self.view.observed.addrs.keys().chain(self.view.target.addrs.keys()).collect();
        keys.into_iter()
            .filter(|key| self.switches.contains_key(&key.domain_id))
            .filter_map(|key| {
                let held = self.view.observed.addrs.get(key);
                let staged = self.staged_addr(key.domain_id, held, self.view.target.addrs.get(key))?;
                (held != Some(&staged)).then_some((*key, staged))
            })
            .collect()
    }

    fn staged_addr(&self, domain_id: u32, held: Option<&Addr>, wanted: Option<&Addr>) -> Option<Addr> {
        let active = self.view.slot(domain_id) as usize;
        let mut staged = *wanted.or(held)?;
        staged.class_id[1 - active] = wanted.map_or(0, |addr| addr.class_id[1 - active]);
        // Another owner must not be judged by its predecessor's class: until the switch the address is nobody's.
        let same_owner =
            wanted.is_none() || held.zip(wanted).is_some_and(|(held, wanted)| self.same_owner(held, wanted));
        staged.class_id[active] = held.filter(|_| same_owner).map_or(0, |addr| addr.class_id[active]);
        Some(staged)
    }

    fn same_owner(&self, held: &Addr, wanted: &Addr) -> bool {
        let (held, wanted) = self.view.owners(held.iface, wanted.iface);
        held == wanted
    }

    fn staged_rows(&self) -> BTreeMap<RowKey, Row> {
        let keys: BTreeSet<&RowKey> = self.view.observed.rows.keys().chain(self.view.target.rows.keys()).collect();
        keys.into_iter()
            .filter(|key| self.switches.contains_key(&key.domain_id))
            .filter_map(|key| {
                let active = self.view.slot(key.domain_id) as usize;
                let mut staged = Row { profile: [self.view.target_row(key); 2] };
                staged.profile[active] = self.view.row_in_force(key);
                let held = self.view.observed.rows.get(key).copied().unwrap_or_default();
                (held != staged).then_some((*key, staged))
            })
            .collect()
    }

    /// `None`: the key goes.
    fn staged_prefixes(&self) -> BTreeMap<PrefixKey, Option<u32>> {
        let keys = self.view.observed.prefixes.keys().chain(self.view.target.prefixes.keys());
        keys.filter(|key| self.switches.contains_key(&key.domain_id) && key.slot != self.view.slot(key.domain_id))
            .filter(|key| self.view.observed.prefixes.get(key) != self.view.target.prefixes.get(key))
            .map(|key| (*key, self.view.target.prefixes.get(key).copied()))
            .collect()
    }
}
