//! Which interfaces may share the pair of an address: whoever holds it, policy must say the same of it, and a frame must
//! find it.

use std::collections::BTreeSet;

use ipnet::IpNet;

use super::{Domain, Workload, interfaces::Place};

/// Interfaces that may share an address. Routers of one group are seldom more than three, and the programs look at all.
const CLAIMANTS_MAX: usize = 8;

/// Why a workload's claim of a pair may not stand beside the claims of others, and which of them stands against it; `None`:
/// it may.
pub(super) fn why_not_shared<'a>(
    domain: &Domain,
    claimants: &'a BTreeSet<Place>,
    workload: &Workload,
    claim: &Place,
    prefix: IpNet,
) -> Option<(&'a Place, String)> {
    let holder = claimants.first()?;
    let of_same = |place: &&Place| (&place.workload, place.interface) == (&claim.workload, claim.interface);
    if let Some(same) = claimants.iter().find(of_same) {
        return Some((same, "and an interface needs it once: delete one".into()));
    }
    let length = prefix.max_prefix_len();
    if prefix.prefix_len() != length {
        return Some((holder, format!("and only a single address (/{length}) may be shared: choose another prefix")));
    }
    if claimants.len() >= CLAIMANTS_MAX {
        return Some((holder, format!("and {CLAIMANTS_MAX} interfaces share it already: no more may")));
    }
    let of_holder = if holder.workload == claim.workload { workload } else { domain.workload(&holder.workload)? };
    let network = |workload: &Workload, place: &Place| {
        workload.interfaces.get(place.interface as usize).map(|interface| interface.network.clone())
    };
    if network(of_holder, holder) != network(workload, claim) {
        return Some((holder, "in another network: those who share an address must be in one".into()));
    }
    if (&of_holder.labels, &of_holder.ports) != (&workload.labels, &workload.ports) {
        let advice = "whose workload has other labels or ports: give both the same, since policy says the same of a \
                      shared address whoever holds it";
        return Some((holder, advice.into()));
    }
    None
}
