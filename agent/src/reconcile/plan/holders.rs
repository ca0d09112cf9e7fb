//! Subnets and address pairs, which are not kept by slot: whoever holds a stretch of addresses is judged by its class, so
//! one that changes hands is on-link and nobody's from before the switch until after it.

use std::collections::BTreeMap;

use super::{changed, gone, view::View};
use crate::{
    bpf::{Subnet, SubnetKey},
    reconcile::action::Action,
};

/// What happens to subnets and pairs.
pub(super) struct Holders<'a> {
    view: &'a View<'a>,
    staged: BTreeMap<SubnetKey, Subnet>,
}

impl<'a> Holders<'a> {
    pub(super) fn new(view: &'a View<'a>) -> Self {
        let (observed, target) = (&view.observed.subnets, &view.target.subnets);
        let held = |key: &SubnetKey| observed.get(key).copied().unwrap_or_default();
        let changed = changed(observed, target).map(|(key, wanted)| {
            let (before, after) = view.owners(held(&key).iface, wanted.iface);
            (key, if before == after { wanted } else { vacant(wanted) })
        });
        let left = gone(observed, target).map(|key| (key, vacant(held(&key))));
        let staged = changed.chain(left).filter(|(key, staged)| observed.get(key) != Some(staged)).collect();
        Self { view, staged }
    }

    /// Before the switch.
    pub(super) fn staged(&self) -> impl Iterator<Item = Action> {
        self.staged.iter().map(|(key, subnet)| Action::PutSubnet(*key, *subnet))
    }

    /// After it, once nobody judges by the state before.
    pub(super) fn finished(&self) -> Vec<Action> {
        let mut staged = self.view.observed.subnets.clone();
        staged.extend(&self.staged);
        let target = &self.view.target.subnets;
        let puts = changed(&staged, target).map(|(key, subnet)| Action::PutSubnet(key, subnet));
        puts.chain(gone(&staged, target).map(Action::DeleteSubnet)).collect()
    }
}

/// On-link and nobody's.
fn vacant(subnet: Subnet) -> Subnet {
    Subnet { vni: subnet.vni, ..Subnet::default() }
}
