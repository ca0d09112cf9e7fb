//! Carries plans out: the only place that writes maps.

use super::action::Action;
use crate::{
    bpf::{BpfError, DropKey, Maps, Reason, consts::RF_PASSED, rcu_grace_period},
    lower::image::Image,
};

/// Carries out the steps in order, on the maps and on the image that says what they hold.
///
/// # Errors
/// The first step that fails ends it; the image is that of the steps before.
pub(crate) fn apply(maps: &Maps, image: &mut Image, steps: &[Action]) -> Result<(), BpfError> {
    for step in steps {
        carry_out(maps, step)?;
        image.apply(step);
    }
    Ok(())
}

fn carry_out(maps: &Maps, step: &Action) -> Result<(), BpfError> {
    match step {
        Action::PutDevice(ifindex, device) => maps.devices.put(*ifindex, device),
        Action::DeleteDevice(ifindex) => maps.devices.delete(*ifindex),
        Action::PutIface(index, iface) => maps.ifaces.put(index, iface),
        Action::PutHost(index, host) => maps.hosts.put(index, host),
        Action::PutDomain(index, domain) => maps.domains.put(index, domain),
        Action::DeleteDomain(index) => maps.domains.delete(index),
        Action::PutGroup(index, group) => maps.groups.put(index, group),
        Action::PutVni(number, vni) => maps.vnis.put(number, vni),
        Action::DeleteVni(number) => maps.vnis.delete(number),
        Action::PutAddr(key, addr) => maps.addrs.put(key, addr),
        Action::DeleteAddr(key) => maps.addrs.delete(key),
        Action::PutPrefix(key, class_id) => maps.prefixes.put(key, class_id),
        Action::DeletePrefix(key) => maps.prefixes.delete(key),
        Action::PutSubnet(key, vni) => maps.subnets.put(key, vni),
        Action::DeleteSubnet(key) => maps.subnets.delete(key),
        Action::PutClaims(key, claims) => maps.claims.put(key, claims),
        Action::DeleteClaims(key) => {
            maps.claims.delete(key)?;
            maps.shared.delete(key)
        }
        Action::PutBuiltin(key, kinds) => maps.builtins.put(key, kinds),
        Action::DeleteBuiltin(key) => maps.builtins.delete(key),
        Action::PutRow(key, row) => maps.rows.put(key, row),
        Action::DeleteRow(key) => maps.rows.delete(key),
        Action::PutProfile(index, profile) => maps.profiles.put(index, profile),
        Action::PutRun(place, run) => maps.runs.put(place, run),
        Action::PutLimits(limits) => maps.limits.put(&0, limits),
        Action::ResetCounters { ifindex, counter } => {
            // A row or a place beyond the end was written by somebody else, and is nothing that counts.
            if *counter < RF_PASSED {
                maps.passed.reset(counter)?;
            }
            Reason::all().try_for_each(|reason| maps.drops.reset(&DropKey { ifindex: *ifindex, reason: reason as u32 }))
        }
        Action::Grace => rcu_grace_period(),
        Action::StoreWord(domain, word) => maps.words.store(*domain, word.slot, word.epoch),
        Action::BumpEpoch(place) => match maps.epochs.bump(*place) {
            Err(BpfError::Index { .. }) => Ok(()),
            bumped => bumped,
        },
    }
}
