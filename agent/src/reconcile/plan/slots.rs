//! The two slots of each domain: what is staged in the inactive one, which domains switch, and how both become equal.

use std::collections::{BTreeMap, BTreeSet};

use super::{differences, view::View};
use crate::{
    bpf::{Addr, AddrKey, PrefixKey, Row, RowKey},
    lower::image::Word,
    reconcile::action::Action,
};

/// What happens to the slots on the way from the observed to the target maps. Where both have the same there is nothing to
/// stage, since both slots are equal between plans.
pub(super) struct Slots<'a> {
    view: &'a View<'a>,
    /// Ids of the domains that switch, and whether their epoch is raised.
    switches: BTreeMap<u32, bool>,
    /// What is written into the inactive slots; of prefixes, `None`: the key goes.
    addrs: BTreeMap<AddrKey, Addr>,
    rows: BTreeMap<RowKey, Row>,
    prefixes: BTreeMap<PrefixKey, Option<u32>>,
}

/// Ids of the domains of which anything in the slots changes.
pub(super) fn differing(view: &View<'_>) -> BTreeSet<u32> {
    let (observed, target) = (view.observed, view.target);
    let rows = differences(&observed.rows, &target.rows).map(|(key, ..)| key);
    let rows = rows.filter(|key| view.row_in_force(key) != view.target_row(key)).map(|key| key.domain_id);
    let prefixes = differences(&observed.prefixes, &target.prefixes).map(|(key, ..)| key);
    let prefixes = prefixes.filter(|key| key.slot == view.slot(key.domain_id)).map(|key| key.domain_id);
    // The address as the slot in force has it.
    let only_slot = |addr: &Addr, id| Addr { class_id: [view.class_in_force(addr, id); 2], ..*addr };
    let addrs = differences(&observed.addrs, &target.addrs);
    let addrs = addrs.filter(|(key, held, wanted)| {
        held.map(|addr| only_slot(addr, key.domain_id)) != wanted.map(|addr| only_slot(addr, key.domain_id))
    });
    rows.chain(prefixes).chain(addrs.map(|(key, ..)| key.domain_id)).collect()
}

impl<'a> Slots<'a> {
    /// `differ`: what [`differing`] found; `raised`: the domains whose epoch is raised.
    pub(super) fn new(view: &'a View<'a>, differ: &BTreeSet<u32>, raised: &BTreeSet<u32>) -> Self {
        // What is left over of a domain that nobody knows has no word; it is removed, not switched.
        let known = differ.union(raised).filter(|id| view.index(**id).is_some());
        let switches = known.map(|id| (*id, raised.contains(id))).collect();
        let none = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut slots = Self { view, switches, addrs: none.0, rows: none.1, prefixes: none.2 };
        (slots.addrs, slots.rows, slots.prefixes) =
            (slots.staged_addrs(), slots.staged_rows(), slots.staged_prefixes());
        slots
    }

    /// Writes the inactive slot of every domain that switches.
    pub(super) fn staged(&self) -> impl Iterator<Item = Action> {
        let addrs = self.addrs.iter().map(|(key, addr)| Action::PutAddr(*key, *addr));
        let rows = self.rows.iter().map(|(key, row)| Action::PutRow(*key, *row));
        let prefixes = self.prefixes.iter().map(|(key, class_id)| match class_id {
            Some(class_id) => Action::PutPrefix(*key, *class_id),
            None => Action::DeletePrefix(*key),
        });
        addrs.chain(rows).chain(prefixes)
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
        let (observed, target) = (self.view.observed, self.view.target);
        let mut steps = Vec::new();
        for (key, held, wanted) in differences(&observed.addrs, &target.addrs) {
            let now = self.addrs.get(&key).or(held);
            steps.extend(to(now, wanted, |addr| Action::PutAddr(key, *addr), Action::DeleteAddr(key)));
        }
        for (key, held, wanted) in differences(&observed.rows, &target.rows) {
            let now = self.rows.get(&key).or(held);
            steps.extend(to(now, wanted, |row| Action::PutRow(key, *row), Action::DeleteRow(key)));
        }
        for (key, held, wanted) in differences(&observed.prefixes, &target.prefixes) {
            let now = self.prefixes.get(&key).map_or(held, Option::as_ref);
            steps.extend(to(now, wanted, |class_id| Action::PutPrefix(key, *class_id), Action::DeletePrefix(key)));
        }
        steps
    }

    fn switches(&self, domain_id: u32) -> bool {
        self.switches.contains_key(&domain_id)
    }

    fn staged_addrs(&self) -> BTreeMap<AddrKey, Addr> {
        let differences = differences(&self.view.observed.addrs, &self.view.target.addrs);
        differences
            .filter(|(key, ..)| self.switches(key.domain_id))
            .filter_map(|(key, held, wanted)| {
                let staged = self.staged_addr(key.domain_id, held, wanted)?;
                (held != Some(&staged)).then_some((key, staged))
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
        let differences = differences(&self.view.observed.rows, &self.view.target.rows);
        differences
            .filter(|(key, ..)| self.switches(key.domain_id))
            .filter_map(|(key, held, _)| {
                let active = self.view.slot(key.domain_id) as usize;
                let mut staged = Row { profile: [self.view.target_row(&key); 2] };
                staged.profile[active] = self.view.row_in_force(&key);
                (held.copied().unwrap_or_default() != staged).then_some((key, staged))
            })
            .collect()
    }

    fn staged_prefixes(&self) -> BTreeMap<PrefixKey, Option<u32>> {
        let differences = differences(&self.view.observed.prefixes, &self.view.target.prefixes);
        differences
            .filter(|(key, ..)| self.switches(key.domain_id) && key.slot != self.view.slot(key.domain_id))
            .map(|(key, _, wanted)| (key, wanted.copied()))
            .collect()
    }
}

/// The step from what an entry is to what is wanted.
fn to<V: PartialEq>(
    now: Option<&V>,
    wanted: Option<&V>,
    put: impl FnOnce(&V) -> Action,
    delete: Action,
) -> Option<Action> {
    match wanted {
        _ if now == wanted => None,
        Some(wanted) => Some(put(wanted)),
        None => Some(delete),
    }
}
