//! Who gets a copy of what is for all members of a network.

use std::collections::{BTreeMap, BTreeSet};

use ringfence_policy::bundle::{Bundle, CompiledNetwork};

use super::{
    Site,
    desired::{GroupState, InterfaceState, Place},
};
use crate::bpf::consts::{RF_GROUP_MULTICAST, RF_IFACE_BARE_METAL};

/// By VNI: the networks with members on this host that want multicast, or share an address, whose holder all are told. A bare-metal machine has its own stack on the network
/// and is no member.
pub(super) fn groups(
    bundle: &Bundle,
    interfaces: &BTreeMap<u32, InterfaceState>,
    site: &Site,
) -> BTreeMap<u32, GroupState> {
    let sharing = bundle.interfaces.iter().filter(|interface| interface.pairs.iter().any(|pair| pair.shared));
    let sharing: BTreeSet<u32> = sharing.map(|interface| interface.vni).collect();
    let wanted = |network: &&CompiledNetwork| network.multicast || sharing.contains(&network.vni);
    let groups =
        bundle.topology.networks.iter().filter(wanted).map(|network| (network.vni, group(network, interfaces, site)));
    groups.filter(|(_, group)| !group.local.is_empty()).collect()
}

fn group(network: &CompiledNetwork, interfaces: &BTreeMap<u32, InterfaceState>, site: &Site) -> GroupState {
    let mut group = GroupState {
        flags: if network.multicast { RF_GROUP_MULTICAST } else { 0 },
        mtu: super::domain::mtu(network.mtu, site.overlay_mtu).into(),
        ..GroupState::default()
    };
    let is_member = |state: &InterfaceState| state.vni == network.vni && state.flags & RF_IFACE_BARE_METAL == 0;
    for (id, state) in interfaces.iter().filter(|(_, state)| is_member(state)) {
        match state.place {
            Place::Here => group.local.push(*id),
            place if !group.hosts.contains(&place) => group.hosts.push(place),
            _ => {}
        }
    }
    group
}
