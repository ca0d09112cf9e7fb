//! The observed maps as programs read them now, beside the target: one slot of each domain is in force.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    bpf::{Addr, PrefixKey, RowKey, SubnetKey, consts::RF_IFACE_SHARED},
    lower::image::Image,
};

/// Both ends of a plan.
pub(super) struct View<'a> {
    pub(super) observed: &'a Image,
    pub(super) target: &'a Image,
    /// By domain id: its index and the slot in force.
    domains: BTreeMap<u32, (u32, u32)>,
    /// By domain id: keys of either end in the slot in force.
    prefixes: BTreeMap<u32, BTreeSet<PrefixKey>>,
    /// By domain id: keys of either end.
    subnets: BTreeMap<u32, BTreeSet<SubnetKey>>,
    /// Ids of the domains that the observed maps do not know.
    pub(super) fresh: BTreeSet<u32>,
}

impl<'a> View<'a> {
    pub(super) fn new(observed: &'a Image, target: &'a Image) -> Self {
        let domains = observed
            .domains
            .iter()
            .chain(&target.domains)
            .map(|(index, domain)| (domain.id, (*index, observed.word(*index).slot)))
            .collect();
        let held: BTreeSet<u32> = observed.domains.values().map(|domain| domain.id).collect();
        let fresh = target.domains.values().map(|domain| domain.id).filter(|id| !held.contains(id)).collect();
        let none = (BTreeMap::new(), BTreeMap::new());
        let mut view = Self { observed, target, domains, prefixes: none.0, subnets: none.1, fresh };
        for key in observed.prefixes.keys().chain(target.prefixes.keys()) {
            if key.slot == view.slot(key.domain_id) {
                view.prefixes.entry(key.domain_id).or_default().insert(*key);
            }
        }
        for key in observed.subnets.keys().chain(target.subnets.keys()) {
            view.subnets.entry(key.domain_id).or_default().insert(*key);
        }
        view
    }

    /// Ids of the domains of either end.
    pub(super) fn domain_ids(&self) -> impl Iterator<Item = u32> {
        self.domains.keys().copied()
    }

    /// The index of a domain; `None`: neither end knows it.
    pub(super) fn index(&self, domain_id: u32) -> Option<u32> {
        self.domains.get(&domain_id).map(|(index, _)| *index)
    }

    /// The slot in force.
    pub(super) fn slot(&self, domain_id: u32) -> u32 {
        self.domains.get(&domain_id).map_or(0, |(_, slot)| *slot)
    }

    /// Keys of a domain's prefixes in the slot in force, of either end.
    pub(super) fn prefixes_in_force(&self, domain_id: u32) -> impl Iterator<Item = &PrefixKey> {
        self.prefixes.get(&domain_id).into_iter().flatten()
    }

    /// Keys of a domain's subnets and address pairs, of either end.
    pub(super) fn subnets(&self, domain_id: u32) -> impl Iterator<Item = &SubnetKey> {
        self.subnets.get(&domain_id).into_iter().flatten()
    }

    /// The class of an observed address in the slot in force.
    pub(super) fn class_in_force(&self, addr: &Addr, domain_id: u32) -> u32 {
        addr.class_id[self.slot(domain_id) as usize]
    }

    /// The profile of a row in the slot in force; 0: no row.
    pub(super) fn row_in_force(&self, key: &RowKey) -> u32 {
        self.observed.rows.get(key).map_or(0, |row| row.profile[self.slot(key.domain_id) as usize])
    }

    /// The profile of a row of the target; 0: no row.
    pub(super) fn target_row(&self, key: &RowKey) -> u32 {
        self.target.rows.get(key).map_or(0, |row| row.profile[0])
    }

    /// The id of the interface under an observed and under a target index; `None`: none. Those who share are as one.
    pub(super) fn owners(&self, held: u32, wanted: u32) -> (Option<u32>, Option<u32>) {
        let id = |image: &Image, index: u32| match index {
            RF_IFACE_SHARED => Some(RF_IFACE_SHARED),
            index => image.ifaces.get(&index).map(|iface| iface.id),
        };
        (id(self.observed, held), id(self.target, wanted))
    }
}
