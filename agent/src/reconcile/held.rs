//! Which states this host holds, and how far each has come: taken in, enforced, on disk. Pure.
//!
//! A state is acked once it is enforced and on disk, so that no restart goes back behind what was acked. Disk and kernel
//! may each fail on their own; neither waits for the other.

use std::collections::{BTreeMap, BTreeSet};

use ringfence_policy::bundle::Bundle;

/// The states of this host's domains.
#[derive(Debug, Default)]
pub(super) struct Held {
    bundles: BTreeMap<u32, Bundle>,
    /// Not enforced yet, the newest last.
    pending: Vec<Pending>,
    /// Let go, and in the programs still.
    leaving: BTreeSet<u32>,
    /// Enforced and not acked: by domain id, the generation; 0: it is gone.
    unacked: BTreeMap<u32, u64>,
    /// What the programs enforce from before this agent, until its state is here or it is let go.
    inherited: BTreeSet<u32>,
    /// Domains whose file is not what is held.
    unsaved: BTreeSet<u32>,
}

#[derive(Debug)]
struct Pending {
    domain_id: u32,
    /// What was enforced before.
    before: Option<Bundle>,
    /// What was enforced before is of an earlier agent, and no state of it is here.
    was_inherited: bool,
}

impl Held {
    /// Takes in a state that is on disk already.
    pub(super) fn restore(&mut self, bundle: Bundle) {
        self.inherited.remove(&bundle.domain_id);
        self.bundles.insert(bundle.domain_id, bundle);
    }

    /// Takes in a new state.
    pub(super) fn take(&mut self, bundle: Bundle) {
        let domain_id = bundle.domain_id;
        let replaced = self.bundles.insert(domain_id, bundle);
        let earlier = self.pending.iter().position(|pending| pending.domain_id == domain_id);
        let inherited = self.inherited.remove(&domain_id);
        let pending = match earlier {
            Some(place) => self.pending.remove(place),
            None => Pending { domain_id, before: replaced, was_inherited: inherited },
        };
        self.pending.push(pending);
        self.leaving.remove(&domain_id);
        self.unacked.remove(&domain_id);
        self.unsaved.insert(domain_id);
    }

    /// The programs enforce these domains.
    pub(super) fn inherit(&mut self, domains: BTreeSet<u32>) {
        let known = |id: &u32| self.bundles.contains_key(id) || self.leaving.contains(id);
        let inherited: Vec<u32> = domains.into_iter().filter(|id| !known(id)).collect();
        self.inherited.extend(inherited);
    }

    /// Domains that they enforce and of which no state is here, since its file is damaged or another version's.
    pub(super) fn inherited(&self) -> &BTreeSet<u32> {
        &self.inherited
    }

    /// Lets a domain go; whether it was held.
    pub(super) fn remove(&mut self, domain_id: u32) -> bool {
        self.pending.retain(|pending| pending.domain_id != domain_id);
        self.leaving.insert(domain_id);
        self.inherited.remove(&domain_id);
        self.unacked.remove(&domain_id);
        self.unsaved.insert(domain_id);
        self.bundles.remove(&domain_id).is_some()
    }

    /// Goes back to what was enforced before the newest state that is not.
    pub(super) fn withdraw(&mut self) -> Option<Bundle> {
        let Pending { domain_id, before, was_inherited } = self.pending.pop()?;
        self.unsaved.insert(domain_id);
        if was_inherited {
            self.inherited.insert(domain_id);
        }
        match before {
            Some(before) => self.bundles.insert(domain_id, before),
            None => self.bundles.remove(&domain_id),
        }
    }

    /// All that is held is enforced, and nothing else.
    pub(super) fn enforced(&mut self) {
        self.unacked.extend(std::mem::take(&mut self.leaving).into_iter().map(|domain_id| (domain_id, 0)));
        for Pending { domain_id, .. } in self.pending.drain(..) {
            if let Some(bundle) = self.bundles.get(&domain_id) {
                self.unacked.insert(domain_id, bundle.generation);
            }
        }
    }

    /// Domains whose file is to be written (what is held of them), or removed (`None`).
    pub(super) fn unsaved(&self) -> Vec<(u32, Option<Bundle>)> {
        self.unsaved.iter().map(|domain_id| (*domain_id, self.bundles.get(domain_id).cloned())).collect()
    }

    /// The domain's file is what is held.
    pub(super) fn saved(&mut self, domain_id: u32) {
        self.unsaved.remove(&domain_id);
    }

    /// What to ack now, each once: domain id and generation; 0: it is gone.
    pub(super) fn due_acks(&mut self) -> BTreeMap<u32, u64> {
        let (later, now) = std::mem::take(&mut self.unacked).into_iter().partition(|(id, _)| self.unsaved.contains(id));
        self.unacked = later;
        now
    }

    /// Every domain of which something is here still, with the state that a controller may rely on, which is one that is
    /// enforced and on disk.
    pub(super) fn told(&self) -> impl Iterator<Item = (u32, Option<&Bundle>)> {
        let here: BTreeSet<u32> =
            self.bundles.keys().chain(&self.leaving).chain(&self.unsaved).chain(&self.inherited).copied().collect();
        here.into_iter()
            .map(|domain_id| (domain_id, self.bundles.get(&domain_id).filter(|_| self.is_settled(domain_id))))
    }

    fn is_settled(&self, domain_id: u32) -> bool {
        !self.unsaved.contains(&domain_id) && self.pending.iter().all(|pending| pending.domain_id != domain_id)
    }

    /// All of it.
    pub(super) fn bundles(&self) -> impl Iterator<Item = &Bundle> + Clone {
        self.bundles.values()
    }

    /// The state of a domain that the programs decide by.
    pub(super) fn in_force(&self, domain_id: u32) -> Option<&Bundle> {
        match self.pending.iter().find(|pending| pending.domain_id == domain_id) {
            Some(pending) => pending.before.as_ref(),
            None => self.bundles.get(&domain_id),
        }
    }

    /// Of one domain.
    pub(super) fn get(&self, domain_id: u32) -> Option<&Bundle> {
        self.bundles.get(&domain_id)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn bundle(domain_id: u32, generation: u64) -> Bundle {
        Bundle { domain_id, generation, ..Bundle::default() }
    }

    fn acked(held: &mut Held) -> Vec<(u32, u64)> {
        held.due_acks().into_iter().collect()
    }

    fn settled(held: &Held) -> usize {
        held.told().filter(|(_, settled)| settled.is_some()).count()
    }

    #[test]
    fn what_is_here_still_is_told_whether_or_not_a_controller_may_rely_on_it() {
        let told = |held: &Held| held.told().map(|(id, settled)| (id, settled.is_some())).collect::<Vec<_>>();
        let mut held = Held::default();
        held.restore(bundle(1, 7));
        held.take(bundle(2, 8));
        held.enforced();
        assert_eq!(told(&held), [(1, true), (2, false)], "2 is not on disk");
        held.remove(1);
        assert_eq!(told(&held), [(1, false), (2, false)], "1 is in the programs still");
        held.saved(1);
        held.saved(2);
        held.enforced();
        assert_eq!(told(&held), [(2, true)]);
    }

    #[test]
    fn what_is_enforced_from_before_is_told_until_its_state_is_here_or_it_is_let_go() {
        let mut held = Held::default();
        held.restore(bundle(1, 7));
        held.inherit(BTreeSet::from([1, 2, 3]));
        assert_eq!(held.inherited(), &BTreeSet::from([2, 3]));
        assert_eq!(
            held.told().map(|(id, settled)| (id, settled.is_some())).collect::<Vec<_>>(),
            [(1, true), (2, false), (3, false)]
        );
        held.take(bundle(2, 8));
        assert!(!held.remove(3));
        assert!(held.inherited().is_empty());
    }

    #[test]
    fn a_state_is_acked_once_it_is_enforced_and_on_disk() {
        for disk_first in [true, false] {
            let mut held = Held::default();
            held.take(bundle(1, 7));
            for disk in [disk_first, !disk_first] {
                assert_eq!((acked(&mut held), settled(&held)), (vec![], 0));
                if disk { held.saved(1) } else { held.enforced() }
            }
            assert_eq!((acked(&mut held), settled(&held)), (vec![(1, 7)], 1));
            assert_eq!(acked(&mut held), []);
        }
    }

    #[test]
    fn a_domain_that_is_let_go_is_acked_once_it_is_gone_from_programs_and_disk() {
        let mut held = Held::default();
        held.restore(bundle(1, 7));
        assert!(held.remove(1));
        held.saved(1);
        assert_eq!(acked(&mut held), []);
        held.enforced();
        assert_eq!(acked(&mut held), [(1, 0)]);
        held.enforced();
        assert_eq!(acked(&mut held), []);
        // One that comes back before is not gone.
        held.remove(1);
        held.take(bundle(1, 8));
        held.saved(1);
        held.enforced();
        assert_eq!(acked(&mut held), [(1, 8)]);
    }

    #[test]
    fn what_is_pending_is_not_in_force() {
        let mut held = Held::default();
        held.restore(bundle(1, 7));
        held.take(bundle(1, 8));
        held.take(bundle(2, 8));
        assert_eq!((held.in_force(1), held.in_force(2)), (Some(&bundle(1, 7)), None));
        held.enforced();
        assert_eq!((held.in_force(1), held.in_force(2)), (Some(&bundle(1, 8)), Some(&bundle(2, 8))));
    }

    #[test]
    fn what_cannot_be_written_is_tried_again_as_it_is_then() {
        let mut held = Held::default();
        held.take(bundle(1, 7));
        held.enforced();
        held.take(bundle(1, 8));
        assert_eq!(held.unsaved(), [(1, Some(bundle(1, 8)))]);
        held.saved(1);
        assert_eq!(acked(&mut held), []);
        assert!(held.remove(1));
        assert_eq!(held.unsaved(), [(1, None)]);
    }

    #[test]
    fn a_domain_from_before_stays_if_the_state_that_was_to_replace_it_goes_back() {
        let mut held = Held::default();
        held.inherit(BTreeSet::from([1, 2]));
        for generation in [7, 8] {
            held.take(bundle(1, generation));
            assert_eq!(held.inherited(), &BTreeSet::from([2]));
        }
        assert_eq!(held.withdraw(), Some(bundle(1, 8)));
        assert_eq!((held.inherited(), held.get(1)), (&BTreeSet::from([1, 2]), None));
        // It is tried once more, and let go after that.
        held.take(bundle(1, 8));
        held.withdraw();
        assert_eq!(held.inherited(), &BTreeSet::from([1, 2]));
        held.take(bundle(1, 9));
        held.remove(1);
        assert_eq!((held.withdraw(), held.inherited()), (None, &BTreeSet::from([2])));
    }

    #[test]
    fn the_newest_arrival_goes_back_first_to_what_was_enforced() {
        let mut held = Held::default();
        held.restore(bundle(9, 1));
        for (domain_id, generation) in [(9, 2), (1, 3), (9, 4)] {
            held.take(bundle(domain_id, generation));
        }
        assert_eq!(held.withdraw(), Some(bundle(9, 4)));
        assert_eq!(held.get(9), Some(&bundle(9, 1)));
        assert_eq!(held.withdraw(), Some(bundle(1, 3)));
        assert_eq!(held.get(1), None);
        assert_eq!(held.withdraw(), None);
        // Files that were written before go back too.
        assert_eq!(held.unsaved(), [(1, None), (9, Some(bundle(9, 1)))]);
    }
}
