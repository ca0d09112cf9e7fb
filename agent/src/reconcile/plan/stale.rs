//! Which flows are judged again: those whose verdict may have changed, and no others.
//!
//! A connection is stale once its domain's epoch is raised, or that of one of its addresses. So an address that means
//! something else raises its own, and the domain's is raised where the verdict between two classes changed. What classes
//! are called is no part of a verdict: those of before are followed to what they are called now.

use std::collections::BTreeSet;

use super::{
    Start, changed,
    classes::{Classes, addrs},
    differences, gone,
    view::View,
};
use crate::{
    bpf::{
        Domain, Iface, Ip, PrefixKey, SubnetKey, bucket,
        consts::{RF_IFACE_NO_PORT_SECURITY, RF_PREFIX_FIXED_BITS, RF_SUBNET_FIXED_BITS},
    },
    lower::lasting,
    reconcile::action::Action,
};

/// Bits of the address in a key that stands for one address.
const WHOLE: u32 = 128;

/// What is to be raised.
#[derive(Default)]
pub(super) struct Stale {
    /// Ids of domains whose flows are all judged again.
    pub(super) domains: BTreeSet<u32>,
    /// Places of the epochs of addresses.
    pub(super) places: BTreeSet<u32>,
}

impl Stale {
    /// `differ`: the domains of which anything in the slots changes.
    pub(super) fn find(view: &View<'_>, differ: &BTreeSet<u32>, start: Start) -> Self {
        let mut stale = Self { domains: view.fresh.clone(), places: BTreeSet::new() };
        if start == Start::Interrupted {
            stale.domains.extend(view.domain_ids());
        }
        stale.ways_out(view);
        stale.subnets(view);
        stale.open(view);
        stale.left(view);
        // No connection of a domain that is fresh is current.
        for domain_id in differ.difference(&view.fresh) {
            let classes = Classes::follow(view, *domain_id);
            if classes.verdict_changed(view) {
                stale.domains.insert(*domain_id);
            }
            stale.prefixes(view, &classes);
            stale.addresses(view, &classes);
        }
        stale
    }

    /// What the last steps on entries raise once more. Between the switch and them a flow is judged with the entry of an
    /// address that has none in the new state, or with nobody as the holder of its stretch. All of it is among what
    /// [`Stale::find`] raises.
    pub(super) fn by_the_finish(view: &View<'_>, finished: &[Action]) -> Self {
        let mut stale = Self::default();
        for step in finished {
            match step {
                Action::DeleteAddr(key) => stale.places.extend(view.observed.addrs.get(key).map(|addr| addr.epoch)),
                Action::PutSubnet(key, _) | Action::DeleteSubnet(key) => stale.subnet(key),
                _ => {}
            }
        }
        stale
    }

    /// How packets leave a domain; an MTU is no part of a verdict.
    fn ways_out(&mut self, view: &View<'_>) {
        let (observed, target) = (&view.observed.domains, &view.target.domains);
        let judged = |domain: &Domain| Domain { uplink_mtu: 0, ..*domain };
        let otherwise = |(index, domain): &(u32, Domain)| observed.get(index).map(judged) != Some(judged(domain));
        self.domains.extend(changed(observed, target).filter(otherwise).map(|(_, domain)| domain.id));
        self.domains.extend(gone(observed, target).filter_map(|index| observed.get(&index)).map(|domain| domain.id));
    }

    /// Connections of addresses that are nobody's stand behind an interface without port security: they are reached by
    /// the domain alone.
    fn open(&mut self, view: &View<'_>) {
        let is_open = |iface: &Iface| iface.flags & RF_IFACE_NO_PORT_SECURITY != 0;
        let ifaces = differences(&view.observed.ifaces, &view.target.ifaces);
        let other = ifaces.filter_map(|(_, held, wanted)| {
            held.filter(|held| is_open(held) && wanted.map(lasting) != Some(lasting(held)))
        });
        self.domains.extend(other.map(|iface| iface.domain_id));
    }

    fn subnets(&mut self, view: &View<'_>) {
        let (observed, target) = (&view.observed.subnets, &view.target.subnets);
        differences(observed, target).for_each(|(key, ..)| self.subnet(&key));
        // Who held a shared address may be no claimant any more.
        let claims = differences(&view.observed.claims, &view.target.claims);
        self.places.extend(claims.map(|(key, ..)| bucket(key.domain_id, &key.ip)));
    }

    fn subnet(&mut self, SubnetKey { prefixlen, domain_id, ip }: &SubnetKey) {
        self.addresses_of(*domain_id, prefixlen.saturating_sub(RF_SUBNET_FIXED_BITS), ip);
    }

    fn prefixes(&mut self, view: &View<'_>, classes: &Classes) {
        let (observed, target) = (&view.observed.prefixes, &view.target.prefixes);
        // One that came or went leaves its addresses to another, whether or not anything of its class stays.
        let is_other = |key: &&PrefixKey| {
            let called = observed.get(key).map(|class| classes.now(*class));
            called != target.get(key).map(|class| Some(*class))
        };
        let other = view.prefixes_in_force(classes.domain_id).filter(is_other);
        for PrefixKey { prefixlen, domain_id, ip, .. } in other {
            self.addresses_of(*domain_id, prefixlen.saturating_sub(RF_PREFIX_FIXED_BITS), ip);
        }
    }

    /// One address without an entry has a bucket; all of a longer stretch are reached by the domain alone.
    fn addresses_of(&mut self, domain_id: u32, bits: u32, ip: &Ip) {
        if bits == WHOLE {
            self.places.insert(bucket(domain_id, ip));
        } else {
            self.domains.insert(domain_id);
        }
    }

    /// Addresses whose class, interface or meaning changed, and the bucket that stood for one while it was unknown.
    fn addresses(&mut self, view: &View<'_>, classes: &Classes) {
        for (key, addr) in addrs(&view.target.addrs, classes.domain_id) {
            let held = view.observed.addrs.get(key);
            let is_steady = held.is_some_and(|held| {
                let class_id = view.class_in_force(held, key.domain_id);
                (held.iface, held.gateway_vni) == (addr.iface, addr.gateway_vni)
                    && classes.now(class_id) == Some(addr.class_id[0])
            });
            if !is_steady {
                self.places.insert(addr.epoch);
                self.places.extend(held.map(|held| held.epoch));
                self.places.insert(bucket(key.domain_id, &key.ip));
            }
        }
    }

    fn left(&mut self, view: &View<'_>) {
        let left = differences(&view.observed.addrs, &view.target.addrs).filter(|(_, _, wanted)| wanted.is_none());
        self.places.extend(left.filter_map(|(_, held, _)| held).map(|addr| addr.epoch));
    }
}
