//! Subnets and address pairs, which are not kept by slot: whoever holds a stretch of addresses is judged by its class, so
//! one that changes hands is withheld from before the switch until after it: nobody has it, and nobody may speak from it.

use std::collections::BTreeMap;

use super::{differences, view::View};
use crate::{
    bpf::{Subnet, SubnetKey, consts::RF_IFACE_NOBODY},
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
        let staged = differences(observed, target).filter_map(|(key, held, wanted)| {
            let owners = view.owners(held.map_or(0, |held| held.iface), wanted.map_or(0, |wanted| wanted.iface));
            let subnet = *wanted.or(held)?;
            // A plan that was cut off may have withheld it; the class in force may still be a pair's.
            let is_steady = owners.0 == owners.1 && held.is_none_or(|held| held.iface != RF_IFACE_NOBODY);
            let staged = if is_steady { subnet } else { withheld(subnet) };
            (held != Some(&staged)).then_some((key, staged))
        });
        let staged = staged.collect();
        Self { view, staged }
    }

    /// Before the switch.
    pub(super) fn staged(&self) -> impl Iterator<Item = Action> {
        self.staged.iter().map(|(key, subnet)| Action::PutSubnet(*key, *subnet))
    }

    /// After it, once nobody judges by the state before.
    pub(super) fn finished(&self) -> Vec<Action> {
        let differences = differences(&self.view.observed.subnets, &self.view.target.subnets);
        let steps = differences.filter_map(|(key, held, wanted)| match wanted {
            Some(subnet) if self.staged.get(&key).or(held) == Some(subnet) => None,
            Some(subnet) => Some(Action::PutSubnet(key, *subnet)),
            None => Some(Action::DeleteSubnet(key)),
        });
        steps.collect()
    }
}

/// Of no interface that there is, so that not even one without port security takes it for unused.
fn withheld(subnet: Subnet) -> Subnet {
    Subnet { vni: subnet.vni, iface: RF_IFACE_NOBODY, ..Subnet::default() }
}
