//! Whose the addresses of a prefix are that have no entry of their own: the longest address pair that holds them says.

use std::collections::BTreeMap;

use ipnet::IpNet;
use ringfence_policy::bundle::{Bundle, CompiledNetwork};

use super::desired::{Holder, SubnetState};

/// The address pairs of a domain, by prefix.
pub(super) struct Pairs {
    by_prefix: BTreeMap<IpNet, SubnetState>,
}

impl Pairs {
    pub(super) fn new(bundle: &Bundle) -> Self {
        let by_prefix = bundle.interfaces.iter().flat_map(|interface| {
            let state = |mac| SubnetState { vni: interface.vni, holder: Some(Holder { interface: interface.id, mac }) };
            interface.pairs.iter().map(move |pair| (pair.prefix.trunc(), state(pair.mac)))
        });
        Self { by_prefix: by_prefix.collect() }
    }

    /// The interface whose pair holds the prefix; the longest pair counts.
    pub(super) fn owner(&self, prefix: IpNet) -> Option<u32> {
        self.holding(prefix)?.holder.map(|holder| holder.interface)
    }

    /// The networks' subnets and the pairs. A subnet that lies in a pair has that pair's holder: what is no interface's own
    /// there is the holder's as elsewhere in the pair.
    pub(super) fn subnets<'a>(
        &self,
        networks: impl Iterator<Item = &'a CompiledNetwork>,
    ) -> BTreeMap<IpNet, SubnetState> {
        let subnets = networks.flat_map(|network| {
            let vacant = SubnetState { vni: network.vni, holder: None };
            network.subnets.iter().map(move |subnet| (subnet.cidr.trunc(), vacant))
        });
        let held = subnets.map(|(net, vacant)| (net, self.holding(net).copied().unwrap_or(vacant)));
        held.chain(self.by_prefix.iter().map(|(net, state)| (*net, *state))).collect()
    }

    fn holding(&self, prefix: IpNet) -> Option<&SubnetState> {
        if self.by_prefix.is_empty() {
            return None;
        }
        let mut lengths = (0..=prefix.prefix_len()).rev();
        lengths.find_map(|length| self.by_prefix.get(&IpNet::new(prefix.addr(), length).ok()?.trunc()))
    }
}
