//! The two slots of each domain: what is staged in the inactive one, which domains switch, and how both become equal.

use std::collections::{BTreeMap, BTreeSet};

use super::{Start, changed, gone};
use crate::{
    bpf::{Addr, AddrKey, Domain, PrefixKey, Row, RowKey},
    lower::image::{Image, Word},
    reconcile::action::Action,
};

/// What happens to the slots on the way from the observed to the target maps.
pub(super) struct Slots<'a> {
    observed: &'a Image,
    target: &'a Image,
    /// By domain id: its index and the slot in force.
    domains: BTreeMap<u32, (u32, u32)>,
    /// Ids of the domains that switch, and whether their epoch is raised.
    switches: BTreeMap<u32, bool>,
    fresh: BTreeSet<u32>,
}

impl<'a> Slots<'a> {
    pub(super) fn new(observed: &'a Image, target: &'a Image, start: Start) -> Self {
        let domains = observed
            .domains
            .iter()
            .chain(&target.domains)
            .map(|(index, domain)| (domain.id, (*index, observed.word(*index).slot)))
            .collect();
        let held: BTreeSet<u32> = observed.domains.values().map(|domain| domain.id).collect();
        let fresh = target.domains.values().map(|domain| domain.id).filter(|id| !held.contains(id)).collect();
        let mut slots = Self { observed, target, domains, switches: BTreeMap::new(), fresh };
        slots.find_switches(start);
        slots
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
        let unused = self.observed.words.values().map(|word| word.epoch).max().unwrap_or(0).wrapping_add(1);
        self.switches
            .iter()
            .filter_map(|(id, raised)| Some((id, raised, self.domains.get(id)?)))
            .map(|(id, raised, (index, slot))| {
                let held = self.observed.word(*index).epoch;
                let epoch = if self.fresh.contains(id) { unused } else { held.wrapping_add(u32::from(*raised)) };
                (*index, Word { slot: 1 - slot, epoch })
            })
            .collect()
    }

    /// Brings both slots to the target, from the observed state and what was staged on it.
    pub(super) fn finished(&self) -> Vec<Action> {
        let mut addrs = self.observed.addrs.clone();
        addrs.extend(self.staged_addrs());
        let mut rows = self.observed.rows.clone();
        rows.extend(self.staged_rows());
        let mut prefixes = self.observed.prefixes.clone();
        for (key, class_id) in self.staged_prefixes() {
            match class_id {
                Some(class_id) => drop(prefixes.insert(key, class_id)),
                None => drop(prefixes.remove(&key)),
            }
        }
        let mut steps = Vec::new();
        steps.extend(changed(&addrs, &self.target.addrs).map(|(key, addr)| Action::PutAddr(key, addr)));
        steps.extend(gone(&addrs, &self.target.addrs).map(Action::DeleteAddr));
        steps.extend(changed(&rows, &self.target.rows).map(|(key, row)| Action::PutRow(key, row)));
        steps.extend(gone(&rows, &self.target.rows).map(Action::DeleteRow));
        steps.extend(changed(&prefixes, &self.target.prefixes).map(|(key, class_id)| Action::PutPrefix(key, class_id)));
        steps.extend(gone(&prefixes, &self.target.prefixes).map(Action::DeletePrefix));
        steps
    }

    fn find_switches(&mut self, start: Start) {
        let (observed, target) = (self.observed, self.target);
        let mut raised: BTreeSet<u32> = self.fresh.clone();
        if start == Start::Interrupted {
            raised.extend(self.domains.keys());
        }
        let id_of = |index: u32| observed.domains.get(&index).or(target.domains.get(&index)).map(|domain| domain.id);
        // An MTU is no part of a verdict.
        let otherwise = |(index, domain): &(u32, Domain)| {
            let judged = |domain: &Domain| Domain { uplink_mtu: 0, ..*domain };
            observed.domains.get(index).map(judged) != Some(judged(domain))
        };
        raised.extend(
            changed(&observed.domains, &target.domains).filter(otherwise).filter_map(|(index, _)| id_of(index)),
        );
        raised.extend(gone(&observed.domains, &target.domains).filter_map(id_of));
        raised.extend(changed(&observed.subnets, &target.subnets).map(|(key, _)| key.domain_id));
        raised.extend(gone(&observed.subnets, &target.subnets).map(|key| key.domain_id));
        let row_differs = |key: &RowKey| self.row_in_force(key) != self.target_row(key);
        let rows = observed.rows.keys().chain(target.rows.keys()).filter(|key| row_differs(key));
        raised.extend(rows.map(|key| key.domain_id));
        let in_force = |key: &&PrefixKey| key.slot == self.slot(key.domain_id);
        let prefixes = observed.prefixes.keys().chain(target.prefixes.keys()).filter(in_force);
        raised.extend(
            prefixes.filter(|key| observed.prefixes.get(key) != target.prefixes.get(key)).map(|key| key.domain_id),
        );
        let addr_differs = |key: &AddrKey| {
            let in_force = observed.addrs.get(key).map(|addr| self.only_slot(*addr, key.domain_id));
            let wanted = target.addrs.get(key).map(|addr| self.only_slot(*addr, key.domain_id));
            in_force != wanted
        };
        let addrs = observed.addrs.keys().chain(target.addrs.keys()).filter(|key| addr_differs(key));
        let mut switches: BTreeMap<u32, bool> = addrs.map(|key| (key.domain_id, false)).collect();
        switches.extend(raised.into_iter().map(|id| (id, true)));
        // What is left over of a domain that nobody knows has no word; it is removed, not switched.
        switches.retain(|id, _| self.domains.contains_key(id));
        self.switches = switches;
    }

    fn staged_addrs(&self) -> BTreeMap<AddrKey, Addr> {
        let keys: BTreeSet<&AddrKey> = self.observed.addrs.keys().chain(self.target.addrs.keys()).collect();
        keys.into_iter()
            .filter(|key| self.switches.contains_key(&key.domain_id))
            .filter_map(|key| {
                let held = self.observed.addrs.get(key);
                let staged = self.staged_addr(key.domain_id, held, self.target.addrs.get(key))?;
                (held != Some(&staged)).then_some((*key, staged))
            })
            .collect()
    }

    fn staged_addr(&self, domain_id: u32, held: Option<&Addr>, wanted: Option<&Addr>) -> Option<Addr> {
        let active = self.slot(domain_id) as usize;
        let mut staged = *wanted.or(held)?;
        staged.class_id[1 - active] = wanted.map_or(0, |addr| addr.class_id[1 - active]);
        // Another owner must not be judged by its predecessor's class: until the switch the address is nobody's.
        let same_owner =
            wanted.is_none() || held.zip(wanted).is_some_and(|(held, wanted)| self.same_owner(held, wanted));
        staged.class_id[active] = held.filter(|_| same_owner).map_or(0, |addr| addr.class_id[active]);
        Some(staged)
    }

    fn same_owner(&self, held: &Addr, wanted: &Addr) -> bool {
        let held = self.observed.ifaces.get(&held.iface).map(|iface| iface.id);
        let wanted = self.target.ifaces.get(&wanted.iface).map(|iface| iface.id);
        held == wanted
    }

    fn staged_rows(&self) -> BTreeMap<RowKey, Row> {
        let keys: BTreeSet<&RowKey> = self.observed.rows.keys().chain(self.target.rows.keys()).collect();
        keys.into_iter()
            .filter(|key| self.switches.contains_key(&key.domain_id))
            .filter_map(|key| {
                let active = self.slot(key.domain_id) as usize;
                let mut staged = Row { profile: [self.target_row(key); 2] };
                staged.profile[active] = self.row_in_force(key);
                let held = self.observed.rows.get(key).copied().unwrap_or_default();
                (held != staged).then_some((*key, staged))
            })
            .collect()
    }

    /// `None`: the key goes.
    fn staged_prefixes(&self) -> BTreeMap<PrefixKey, Option<u32>> {
        let keys = self.observed.prefixes.keys().chain(self.target.prefixes.keys());
        keys.filter(|key| self.switches.contains_key(&key.domain_id) && key.slot != self.slot(key.domain_id))
            .filter(|key| self.observed.prefixes.get(key) != self.target.prefixes.get(key))
            .map(|key| (*key, self.target.prefixes.get(key).copied()))
            .collect()
    }

    /// The slot in force.
    fn slot(&self, domain_id: u32) -> u32 {
        self.domains.get(&domain_id).map_or(0, |(_, slot)| *slot)
    }

    fn row_in_force(&self, key: &RowKey) -> u32 {
        self.observed.rows.get(key).map_or(0, |row| row.profile[self.slot(key.domain_id) as usize])
    }

    fn target_row(&self, key: &RowKey) -> u32 {
        self.target.rows.get(key).map_or(0, |row| row.profile[0])
    }

    /// The address as the slot in force has it.
    fn only_slot(&self, addr: Addr, domain_id: u32) -> Addr {
        Addr { class_id: [addr.class_id[self.slot(domain_id) as usize]; 2], ..addr }
    }
}
