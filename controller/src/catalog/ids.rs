//! The numbers a domain's parts go by. Pure: what is in use and what is wanted give what to hand out.
//!
//! No number is handed out twice, also not when a name is made again: the counters only rise and
//! are stored with every commit.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use ringfence_policy::{compile::DomainIds, model::Domain};

/// The first VNI the controller hands out; those below are left to networks that name their own.
pub const FIRST_VNI: u32 = 0x10_0000;
/// The last of VXLAN's 24 bits.
const LAST_VNI: u32 = 0xff_ffff;

/// The next number of each sort to hand out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counters {
    /// Of objects.
    pub uid: u64,
    /// Of domains.
    pub domain: u32,
    /// Of interfaces.
    pub interface: u32,
    /// Of rules.
    pub rule: u32,
    /// Of networks and transits.
    pub vni: u32,
}

/// What a number is given to. Every variant starts with its domain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum IdKey {
    /// A domain.
    Domain(String),
    /// A domain's VNI toward its uplink.
    Transit(String),
    /// Domain, network: a VNI.
    Network(String, String),
    /// Domain, workload, interface.
    Interface(String, String, String),
    /// Domain, policy, rule.
    Rule(String, String, String),
}

/// Why a number cannot be handed out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// A network asks for a VNI in use.
    #[error("VNI {vni} is taken by {owner}; name another one or leave it out")]
    VniTaken {
        /// Of the network that asks.
        domain: String,
        /// The network that asks.
        network: String,
        /// What it asks for.
        vni: u32,
        /// Who has it.
        owner: Box<IdKey>,
    },
    /// Every number of a sort was handed out.
    #[error("no {sort} is left to hand out to domain {domain}")]
    Exhausted {
        /// The domain that needs one.
        domain: String,
        /// Of what.
        sort: &'static str,
    },
}

/// Every number in use.
#[derive(Clone, Debug, Default)]
pub struct Ids {
    counters: Counters,
    domains: BTreeMap<String, DomainIds>,
    vnis: BTreeMap<u32, IdKey>,
}

/// What a change hands out and gives back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// The counters after it.
    pub counters: Counters,
    /// The numbers of each domain touched; `None`: it is gone.
    pub domains: BTreeMap<String, Option<DomainIds>>,
    /// The rows that differ; `None`: no longer in use.
    pub rows: BTreeMap<IdKey, Option<u32>>,
}

// === impl Counters ===

impl Default for Counters {
    fn default() -> Self {
        Self { uid: 1, domain: 1, interface: 1, rule: 1, vni: FIRST_VNI }
    }
}

// === impl IdKey ===

impl IdKey {
    /// The domain it is part of, or is.
    pub fn domain(&self) -> &str {
        let (Self::Domain(domain)
        | Self::Transit(domain)
        | Self::Network(domain, _)
        | Self::Interface(domain, ..)
        | Self::Rule(domain, ..)) = self;
        domain
    }
}

impl fmt::Display for IdKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(domain) => write!(f, "domain {domain}"),
            Self::Transit(domain) => write!(f, "the uplink of domain {domain}"),
            Self::Network(domain, network) => write!(f, "network {domain}/{network}"),
            Self::Interface(domain, workload, name) => {
                write!(f, "interface {domain}/{workload}/{name}")
            }
            Self::Rule(domain, policy, rule) => write!(f, "rule {domain}/{policy}/{rule}"),
        }
    }
}

// === impl Ids ===

impl Ids {
    /// What a store holds.
    pub fn load(counters: Counters, rows: &BTreeMap<IdKey, u32>) -> Self {
        let mut ids = Self { counters, ..Self::default() };
        for (key, &id) in rows {
            let of = ids.domains.entry(key.domain().to_owned()).or_default();
            match key {
                IdKey::Domain(_) => of.domain = id,
                IdKey::Transit(_) => of.transit_vni = id,
                IdKey::Network(_, network) => {
                    of.networks.insert(network.clone(), id);
                }
                IdKey::Interface(_, workload, interface) => {
                    of.interfaces.insert((workload.clone(), interface.clone()), id);
                }
                IdKey::Rule(_, policy, rule) => {
                    of.rules.insert((policy.clone(), rule.clone()), id);
                }
            }
            if let IdKey::Transit(_) | IdKey::Network(..) = key {
                ids.vnis.insert(id, key.clone());
            }
        }
        ids
    }

    /// The numbers of a domain.
    pub fn domain(&self, name: &str) -> Option<&DomainIds> {
        self.domains.get(name)
    }

    /// Whether a domain ever had this number.
    pub fn handed_out(&self, domain: u32) -> bool {
        domain < self.counters.domain
    }

    /// What to hand out and give back so that each domain touched (`None`: gone) has what it needs.
    ///
    /// # Errors
    /// When a network asks for a VNI that another has, or a sort of number is used up.
    pub fn allocate(&self, touched: &BTreeMap<String, Option<&Domain>>) -> Result<Allocation, IdError> {
        let mut vnis = Vnis::new(self, touched.keys());
        let present = || touched.iter().filter_map(|(name, domain)| Some((name, (*domain)?)));
        for (name, domain) in present() {
            if let Some(held) = self.domains.get(name) {
                vnis.keep(name, domain, held);
            }
        }
        for (name, domain) in present() {
            vnis.ask(name, domain)?;
        }
        let mut counters = self.counters;
        let mut domains = BTreeMap::new();
        let mut rows = BTreeMap::new();
        for (name, domain) in touched {
            let held = self.domains.get(name);
            let wanted = match domain {
                Some(domain) => Some(number(name, domain, held, &mut counters, &mut vnis)?),
                None => None,
            };
            rows.extend(difference(name, held, wanted.as_ref()));
            domains.insert(name.clone(), wanted);
        }
        Ok(Allocation { counters, domains, rows })
    }

    /// Makes an allocation, decided from this state, the state.
    pub fn install(&mut self, allocation: Allocation) {
        self.counters = allocation.counters;
        for name in allocation.domains.keys() {
            let held = self.domains.remove(name);
            for vni in held.iter().flat_map(vnis_of) {
                self.vnis.remove(&vni);
            }
        }
        for (name, ids) in allocation.domains {
            let Some(ids) = ids else { continue };
            self.vnis.insert(ids.transit_vni, IdKey::Transit(name.clone()));
            for (network, &vni) in &ids.networks {
                self.vnis.insert(vni, IdKey::Network(name.clone(), network.clone()));
            }
            self.domains.insert(name, ids);
        }
    }
}

/// Who has which VNI while a change is decided.
struct Vnis<'a> {
    ids: &'a Ids,
    released: BTreeSet<u32>,
    claimed: BTreeMap<u32, IdKey>,
}

// === impl Vnis ===

impl<'a> Vnis<'a> {
    /// Starts with every VNI of the domains touched given back.
    fn new<'b>(ids: &'a Ids, touched: impl Iterator<Item = &'b String>) -> Self {
        let released = touched.filter_map(|name| ids.domains.get(name)).flat_map(vnis_of).collect();
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
    fn keep(&mut self, name: &str, domain: &Domain, held: &DomainIds) {
        self.claimed.insert(held.transit_vni, IdKey::Transit(name.to_owned()));
        for (network, asked) in domain.networks() {
            if let (None, Some(&vni)) = (asked, held.networks.get(network)) {
                self.claimed.insert(vni, IdKey::Network(name.to_owned(), network.to_owned()));
            }
        }
    }

    /// Claims what a domain's networks ask for by number.
    fn ask(&mut self, name: &str, domain: &Domain) -> Result<(), IdError> {
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
    fn next(&mut self, domain: &str, counters: &mut Counters) -> Result<u32, IdError> {
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

/// A domain's numbers: those it holds and still needs, and new ones for the rest.
fn number(
    name: &str,
    domain: &Domain,
    held: Option<&DomainIds>,
    counters: &mut Counters,
    vnis: &mut Vnis<'_>,
) -> Result<DomainIds, IdError> {
    let mut ids = DomainIds {
        domain: match held {
            Some(held) => held.domain,
            None => take(&mut counters.domain).ok_or_else(|| exhausted(name, "domain id"))?,
        },
        transit_vni: match held {
            Some(held) => held.transit_vni,
            None => vnis.next(name, counters)?,
        },
        ..DomainIds::default()
    };
    for (network, asked) in domain.networks() {
        let kept = held.and_then(|held| held.networks.get(network).copied());
        let vni = match asked.or(kept) {
            Some(vni) => vni,
            None => vnis.next(name, counters)?,
        };
        ids.networks.insert(network.to_owned(), vni);
    }
    for interface in domain.interfaces() {
        let key = (interface.workload.to_owned(), interface.name.to_owned());
        let kept = held.and_then(|held| held.interfaces.get(&key).copied());
        let id = kept.or_else(|| take(&mut counters.interface)).ok_or_else(|| exhausted(name, "interface id"))?;
        ids.interfaces.insert(key, id);
    }
    for (policy, rule) in domain.rules() {
        let key = (policy.to_owned(), rule.to_owned());
        let kept = held.and_then(|held| held.rules.get(&key).copied());
        let id = kept.or_else(|| take(&mut counters.rule)).ok_or_else(|| exhausted(name, "rule id"))?;
        ids.rules.insert(key, id);
    }
    Ok(ids)
}

/// The counter's number, if it is not the last; the last is never handed out.
fn take(counter: &mut u32) -> Option<u32> {
    let id = *counter;
    *counter = id.checked_add(1)?;
    Some(id)
}

fn exhausted(domain: &str, sort: &'static str) -> IdError {
    IdError::Exhausted { domain: domain.to_owned(), sort }
}

fn vnis_of(ids: &DomainIds) -> impl Iterator<Item = u32> {
    ids.networks.values().copied().chain([ids.transit_vni])
}

/// The rows to write so that a store that has `held` has `wanted`.
fn difference(name: &str, held: Option<&DomainIds>, wanted: Option<&DomainIds>) -> BTreeMap<IdKey, Option<u32>> {
    let held = held.map(|ids| rows(name, ids)).unwrap_or_default();
    let wanted = wanted.map(|ids| rows(name, ids)).unwrap_or_default();
    let gone = held.keys().filter(|key| !wanted.contains_key(key));
    let gone = gone.map(|key| (key.clone(), None)).collect::<Vec<_>>();
    wanted
        .into_iter()
        .filter(|(key, id)| held.get(key) != Some(id))
        .map(|(key, id)| (key, Some(id)))
        .chain(gone)
        .collect()
}

fn rows(name: &str, ids: &DomainIds) -> BTreeMap<IdKey, u32> {
    let DomainIds { domain, transit_vni, networks, interfaces, rules } = ids;
    let of = || name.to_owned();
    let networks = networks.iter().map(|(network, &vni)| (IdKey::Network(of(), network.clone()), vni));
    let interfaces = interfaces
        .iter()
        .map(|((workload, interface), &id)| (IdKey::Interface(of(), workload.clone(), interface.clone()), id));
    let rules = rules.iter().map(|((policy, rule), &id)| (IdKey::Rule(of(), policy.clone(), rule.clone()), id));
    [(IdKey::Domain(of()), *domain), (IdKey::Transit(of()), *transit_vni)]
        .into_iter()
        .chain(networks)
        .chain(interfaces)
        .chain(rules)
        .collect()
}

#[cfg(test)]
#[path = "ids_tests.rs"]
mod tests;
