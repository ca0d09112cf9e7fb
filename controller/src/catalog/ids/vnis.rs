//! Who has which VXLAN network identifier.

use std::collections::{BTreeMap, BTreeSet};

use ringfence_policy::{compile::DomainIds, model::Domain};

use super::{Counters, IdError, IdKey, Ids, exhausted, vnis_of};

/// The last of VXLAN's 24 bits.
const LAST_VNI: u32 = 0xff_ffff;

/// Who has which VNI while a change is decided.
pub(super) struct Vnis<'a> {
    ids: &'a Ids,
    released: BTreeSet<u32>,
    claimed: BTreeMap<u32, IdKey>,
}

// === impl Vnis ===

impl<'a> Vnis<'a> {
    /// Starts with every VNI of the domains touched given back.
    pub(super) fn new<'b>(ids: &'a Ids, touched: impl Iterator<Item = &'b String>) -> Self {
        let released = touched.filter_map(|name| ids.domains.get(name)).flat_map(|held| vnis_of(held)).collect();
        Self { ids, released, claimed: BTreeMap::new() }
    }

    fn owner(&self, vni: u32) -> Option<&IdKey> {
        match self.claimed.get(&vni) {
            None if self.released.contains(&vni) => None,
            None => self.ids.vnis.get(&vni),
            claimed => claimed,
        }
    }

    /// Claims what a domain holds and keeps.
    pub(super) fn keep(&mut self, name: &str, domain: &Domain, held: &DomainIds) {
        self.claimed.insert(held.transit_vni, IdKey::Transit(name.to_owned()));
        for (network, asked) in domain.networks() {
            if let (None, Some(&vni)) = (asked, held.networks.get(network)) {
                self.claimed.insert(vni, IdKey::Network(name.to_owned(), network.to_owned()));
            }
        }
    }

    /// Claims what a domain's networks ask for by number.
    pub(super) fn ask(&mut self, name: &str, domain: &Domain) -> Result<(), IdError> {
        for (network, asked) in domain.networks() {
            let Some(vni) = asked else { continue };
            if let Some(owner) = self.owner(vni) {
                return Err(IdError::VniTaken {
                    domain: name.to_owned(),
                    network: network.to_owned(),
                    vni,
                    owner: Box::new(owner.clone()),
                });
            }
            self.claimed.insert(vni, IdKey::Network(name.to_owned(), network.to_owned()));
        }
        Ok(())
    }

    /// The next VNI that nobody has.
    pub(super) fn next(&mut self, domain: &str, counters: &mut Counters) -> Result<u32, IdError> {
        while counters.vni <= LAST_VNI {
            let vni = counters.vni;
            counters.vni += 1;
            if self.owner(vni).is_none() {
                return Ok(vni);
            }
        }
        Err(exhausted(domain, "VNI"))
    }
}
