//! Whose the addresses of a prefix are that have no entry of their own: the longest address pair that holds them says.

use std::{collections::BTreeMap, net::IpAddr};

use ipnet::IpNet;
use ringfence_policy::bundle::{Bundle, CompiledNetwork};

use super::desired::{ClaimsState, Holder, SubnetState};

/// The address pairs of a domain, by prefix.
pub(super) struct Pairs {
    by_prefix: BTreeMap<IpNet, SubnetState>,
    claims: BTreeMap<IpAddr, ClaimsState>,
}

impl Pairs {
    pub(super) fn new(bundle: &Bundle) -> Self {
        let mut pairs = Self { by_prefix: BTreeMap::new(), claims: BTreeMap::new() };
        for interface in &bundle.interfaces {
            let vni = interface.vni;
            for pair in &interface.pairs {
                let held = Holder { interface: interface.id, mac: pair.mac };
                let prefix = pair.prefix.trunc();
                if pair.shared {
                    let claims = pairs.claims.entry(prefix.addr()).or_default();
                    claims.vni = vni;
                    claims.claimants.push(held);
                }
                let holder = Some(held).filter(|_| !pair.shared);
                pairs.by_prefix.insert(prefix, SubnetState { vni, holder, shared: pair.shared });
            }
        }
        pairs
    }

    /// The interfaces whose pair holds the prefix; the longest pair counts.
    pub(super) fn owners(&self, prefix: IpNet) -> impl Iterator<Item = u32> {
        let held = self.holding(prefix);
        let one = held.and_then(|state| state.holder);
        let claims = held.filter(|state| state.shared).and_then(|_| self.claims.get(&prefix.addr()));
        one.into_iter()
            .chain(claims.into_iter().flat_map(|claims| claims.claimants.iter().copied()))
            .map(|held| held.interface)
    }

    /// Who may hold the addresses that are shared.
    pub(super) fn claims(&self) -> &BTreeMap<IpAddr, ClaimsState> {
        &self.claims
    }

    /// The networks' subnets and the pairs. A subnet that lies in a pair has that pair's holder: what is no interface's own
    /// there is the holder's as elsewhere in the pair.
    pub(super) fn subnets<'a>(
        &self,
        networks: impl Iterator<Item = &'a CompiledNetwork>,
    ) -> BTreeMap<IpNet, SubnetState> {
        let subnets = networks.flat_map(|network| {
            let vacant = SubnetState { vni: network.vni, holder: None, shared: false };
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
