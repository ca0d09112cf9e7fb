//! The classes of a domain before a change, followed to what they are called after it.

use std::collections::{BTreeMap, BTreeSet};

use super::view::View;
use crate::{
    bpf::{
        Addr, AddrKey, Ip, RowKey,
        consts::{RF_CLASS_HOST, RF_CLASS_NONE, RF_HOST_HERE, RF_IFACE_NO_PORT_SECURITY},
    },
    lower::image::Image,
};

/// Of one domain.
pub(super) struct Classes {
    pub(super) domain_id: u32,
    /// By the name before. A class without members that stay is not among them.
    now: BTreeMap<u32, u32>,
    /// Those of before that have members on this host, or may have: what is outside is asked for wherever the uplink is.
    here_before: BTreeSet<u32>,
    /// The same after.
    here_now: BTreeSet<u32>,
}

impl Classes {
    /// A class keeps its name as long as a member keeps it. Else it is what most of its members are, if that is a name that
    /// nobody had: those who went over to a class that was there are newcomers, and it is theirs alone to be judged again.
    pub(super) fn follow(view: &View<'_>, domain_id: u32) -> Self {
        // By the name before and the name now.
        let mut members: BTreeMap<(u32, u32), u32> = BTreeMap::new();
        for key in view.prefixes_in_force(domain_id) {
            let [before, now] = [view.observed, view.target].map(|image| image.prefixes.get(key).copied());
            if let Some(pair) = before.zip(now) {
                *members.entry(pair).or_default() += 1;
            }
        }
        for (key, held) in addrs(&view.observed.addrs, domain_id) {
            if let Some(addr) = view.target.addrs.get(key) {
                *members.entry((view.class_in_force(held, domain_id), addr.class_id[0])).or_default() += 1;
            }
        }
        let names: BTreeSet<u32> = members.keys().map(|(before, _)| *before).collect();
        let mut best: BTreeMap<u32, (bool, u32, u32)> = BTreeMap::new();
        // No class is none, whatever it was before.
        for ((before, now), members) in members.into_iter().filter(|((_, now), _)| *now != RF_CLASS_NONE) {
            if now == before || !names.contains(&now) {
                let best = best.entry(before).or_default();
                *best = (*best).max((now == before, members, now));
            }
        }
        let followed = best.into_iter().map(|(before, (.., now))| (before, now));
        Self {
            domain_id,
            now: followed.chain([RF_CLASS_NONE, RF_CLASS_HOST].map(|class| (class, class))).collect(),
            here_before: here(view, view.observed, domain_id, |addr| view.class_in_force(addr, domain_id)),
            here_now: here(view, view.target, domain_id, |addr| addr.class_id[0]),
        }
    }

    /// What a class of before is called now; `None`: nothing of it stayed.
    pub(super) fn now(&self, before: u32) -> Option<u32> {
        self.now.get(&before).copied()
    }

    /// Whether two classes of which members stayed, at least one of them on this host, are judged otherwise.
    pub(super) fn verdict_changed(&self, view: &View<'_>) -> bool {
        let mut before: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        self.now.iter().for_each(|(class, now)| before.entry(*now).or_default().push(*class));
        let none = Vec::new();
        let called = |now: &u32| before.get(now).unwrap_or(&none);
        let of_now = self.rows(&view.target.rows).flat_map(|key| {
            let from = called(&key.from_class).iter();
            from.flat_map(move |from| called(&key.to_class).iter().map(move |to| (*from, *to)))
        });
        let of_before = self.rows(&view.observed.rows).map(|key| (key.from_class, key.to_class));
        let mut pairs = of_before.chain(of_now);
        pairs.any(|(from, to)| self.pair_changed(view, from, to))
    }

    fn pair_changed(&self, view: &View<'_>, from: u32, to: u32) -> bool {
        let (Some(from_now), Some(to_now)) = (self.now(from), self.now(to)) else { return false };
        let is_default = (from, to) == (RF_CLASS_NONE, RF_CLASS_NONE);
        let is_here = [from, to].iter().any(|class| self.here_before.contains(class))
            && [from_now, to_now].iter().any(|class| self.here_now.contains(class));
        let key = |from_class, to_class| RowKey { domain_id: self.domain_id, from_class, to_class };
        let default = key(RF_CLASS_NONE, RF_CLASS_NONE);
        let or = |profile: u32, default: u32| if profile == 0 { default } else { profile };
        let held = or(view.row_in_force(&key(from, to)), view.row_in_force(&default));
        let wanted = or(view.target_row(&key(from_now, to_now)), view.target_row(&default));
        (is_default || is_here) && held != wanted
    }

    fn rows<'a, V>(&self, rows: &'a BTreeMap<RowKey, V>) -> impl Iterator<Item = &'a RowKey> + use<'a, V> {
        let key = |class| RowKey { domain_id: self.domain_id, from_class: class, to_class: class };
        rows.range(key(0)..=key(u32::MAX)).map(|(key, _)| key)
    }
}

/// Addresses of a domain.
pub(super) fn addrs(addrs: &BTreeMap<AddrKey, Addr>, domain_id: u32) -> impl Iterator<Item = (&AddrKey, &Addr)> {
    let key = |byte| AddrKey { domain_id, ip: Ip { bytes: [byte; 16] } };
    addrs.range(key(0)..=key(u8::MAX))
}

/// Classes of a domain of which flows may be judged on this host: its interfaces', and all prefixes' where the uplink is,
/// or an interface with an address pair or without port security.
fn here(view: &View<'_>, image: &Image, domain_id: u32, class: impl Fn(&Addr) -> u32) -> BTreeSet<u32> {
    let local = |index: u32| image.ifaces.get(&index).filter(|iface| iface.host == RF_HOST_HERE);
    let own = addrs(&image.addrs, domain_id).filter(|(_, addr)| local(addr.iface).is_some());
    let mut classes: BTreeSet<u32> = own.map(|(_, addr)| class(addr)).collect();
    let is_open = |addr: &Addr| local(addr.iface).is_some_and(|iface| iface.flags & RF_IFACE_NO_PORT_SECURITY != 0);
    let domain = view.index(domain_id).and_then(|index| image.domains.get(&index));
    let beyond = domain.is_some_and(|domain| domain.uplink_host == RF_HOST_HERE)
        || view.subnets(domain_id).any(|key| image.subnets.get(key).is_some_and(|held| local(held.iface).is_some()))
        || image.claims.iter().any(|(key, claims)| {
            key.domain_id == domain_id && claims.of.iter().any(|claim| local(claim.iface).is_some())
        })
        || addrs(&image.addrs, domain_id).any(|(_, addr)| is_open(addr));
    if beyond {
        classes.extend(view.prefixes_in_force(domain_id).filter_map(|key| image.prefixes.get(key)));
    }
    classes
}
