//! How many interfaces and addresses a domain's hosts and classes have, so that it is known when one goes.

use std::collections::BTreeMap;

use crate::bundle::CompiledInterface;

/// Counts; nothing has a count of 0.
#[derive(Clone, Debug, Default)]
pub(super) struct Members {
    /// Addresses of interfaces by class.
    classes: BTreeMap<u32, usize>,
    /// Interfaces by host.
    hosts: BTreeMap<String, usize>,
    /// Interfaces that are NICs.
    bare_metal: usize,
}

impl Members {
    pub(super) fn add(&mut self, interface: &CompiledInterface) {
        for (_, class) in &interface.addresses {
            *self.classes.entry(*class).or_default() += 1;
        }
        match self.hosts.get_mut(&interface.host) {
            Some(count) => *count += 1,
            None => {
                self.hosts.insert(interface.host.clone(), 1);
            }
        }
        self.bare_metal += usize::from(interface.bare_metal);
    }

    pub(super) fn remove(&mut self, interface: &CompiledInterface) {
        for (_, class) in &interface.addresses {
            take(&mut self.classes, class);
        }
        take(&mut self.hosts, &interface.host);
        self.bare_metal -= usize::from(interface.bare_metal);
    }

    /// Whether some interface is a NIC.
    pub(super) fn bare_metal(&self) -> bool {
        self.bare_metal != 0
    }

    /// Whether both have the same classes, of however many addresses.
    pub(super) fn same_classes(&self, other: &Self) -> bool {
        self.classes.keys().eq(other.classes.keys())
    }

    /// Hosts that run an interface, by name.
    pub(super) fn hosts(&self) -> impl Iterator<Item = &String> {
        self.hosts.keys()
    }
}

fn take<K: Ord>(counts: &mut BTreeMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}
