//! The numbers a domain's parts go by. Pure: what is in use and what is wanted give what to hand out.
//!
//! No number is handed out twice, also not when a name is made again: the counters only rise and
//! are stored with every commit.

mod vnis;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fmt,
    sync::Arc,
};

use ringfence_policy::{compile::DomainIds, model::Domain};
use vnis::Vnis;

/// The first VNI the controller hands out; those below are left to networks that name their own.
pub const FIRST_VNI: u32 = 0x10_0000;

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
    domains: BTreeMap<String, Arc<DomainIds>>,
    vnis: BTreeMap<u32, IdKey>,
}

/// What a change hands out and gives back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// The counters after it.
    pub counters: Counters,
    /// The numbers of each domain touched; `None`: it is gone.
    pub domains: BTreeMap<String, Option<Arc<DomainIds>>>,
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
        let mut vnis = BTreeMap::new();
        let mut domains: BTreeMap<String, DomainIds> = BTreeMap::new();
        for (key, &id) in rows {
            let of = domains.entry(key.domain().to_owned()).or_default();
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
                vnis.insert(id, key.clone());
            }
        }
        let domains = domains.into_iter().map(|(name, ids)| (name, Arc::new(ids))).collect();
        Self { counters, domains, vnis }
    }

    /// The numbers of a domain.
    pub fn domain(&self, name: &str) -> Option<&DomainIds> {
        self.domains.get(name).map(Arc::as_ref)
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
            let wanted = match (domain, held) {
                // The usual case, which costs no copy of anything: its parts say something else and are the same.
                (Some(domain), Some(held)) if fits(held, domain) => Some(held.clone()),
                (Some(domain), _) => {
                    let held = held.map(Arc::as_ref);
                    let wanted = number(name, domain, held, &mut counters, &mut vnis)?;
                    rows.extend(difference(name, held, Some(&wanted)));
                    Some(Arc::new(wanted))
                }
                (None, held) => {
                    rows.extend(difference(name, held.map(Arc::as_ref), None));
                    None
                }
            };
            domains.insert(name.clone(), wanted);
        }
        Ok(Allocation { counters, domains, rows })
    }

    /// Makes an allocation, decided from this state, the state.
    pub fn install(&mut self, allocation: Allocation) {
        self.counters = allocation.counters;
        for name in allocation.domains.keys() {
            let held = self.domains.remove(name);
            for vni in held.iter().flat_map(|held| vnis_of(held)) {
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

/// Whether a domain needs just the numbers that it holds.
fn fits(held: &DomainIds, domain: &Domain) -> bool {
    let networks = domain.networks().map(|(name, asked)| (name, asked.or_else(|| held.networks.get(name).copied())));
    let interfaces: BTreeSet<Pair<'_>> = interfaces(domain).collect();
    let rules: BTreeSet<Pair<'_>> = domain.rules().collect();
    networks.eq(held.networks.iter().map(|(name, vni)| (name.as_str(), Some(*vni))))
        && interfaces.into_iter().eq(held.interfaces.keys().map(pair))
        && rules.into_iter().eq(held.rules.keys().map(pair))
}

/// What is numbered in a domain: (workload, interface), (policy, rule).
type Pair<'a> = (&'a str, &'a str);

fn pair((of, name): &(String, String)) -> Pair<'_> {
    (of, name)
}

fn interfaces(domain: &Domain) -> impl Iterator<Item = Pair<'_>> {
    domain.interfaces().map(|interface| (interface.workload, interface.name))
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
        interfaces: held.map(|held| held.interfaces.clone()).unwrap_or_default(),
        rules: held.map(|held| held.rules.clone()).unwrap_or_default(),
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
    renumber(&mut ids.interfaces, interfaces(domain), &mut counters.interface)
        .ok_or_else(|| exhausted(name, "interface id"))?;
    renumber(&mut ids.rules, domain.rules(), &mut counters.rule).ok_or_else(|| exhausted(name, "rule id"))?;
    Ok(ids)
}

/// Takes the numbers of what is wanted no longer from those held, and hands out what is missing, in the order wanted.
/// `None`: there are not enough.
fn renumber<'a>(
    held: &mut BTreeMap<(String, String), u32>,
    wanted: impl Iterator<Item = Pair<'a>>,
    counter: &mut u32,
) -> Option<()> {
    let wanted: Vec<Pair<'_>> = wanted.collect();
    let needed: HashSet<Pair<'_>> = wanted.iter().copied().collect();
    held.retain(|key, _| needed.contains(&pair(key)));
    let kept: HashSet<Pair<'_>> = held.keys().map(pair).collect();
    let missing: Vec<Pair<'_>> = wanted.into_iter().filter(|wanted| !kept.contains(wanted)).collect();
    for (of, name) in missing {
        held.insert((of.to_owned(), name.to_owned()), take(counter)?);
    }
    Some(())
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
    let none = DomainIds::default();
    let of = || name.to_owned();
    let (before, after) = (held.unwrap_or(&none), wanted.unwrap_or(&none));
    let networks = changed(&before.networks, &after.networks);
    let interfaces = changed(&before.interfaces, &after.interfaces);
    let rules = changed(&before.rules, &after.rules);
    let mut rows: BTreeMap<IdKey, Option<u32>> = BTreeMap::new();
    rows.extend(networks.map(|(network, id)| (IdKey::Network(of(), network.clone()), id)));
    rows.extend(interfaces.map(|((of_it, it), id)| (IdKey::Interface(of(), of_it.clone(), it.clone()), id)));
    rows.extend(rules.map(|((policy, rule), id)| (IdKey::Rule(of(), policy.clone(), rule.clone()), id)));
    let domain = wanted.map(|wanted| wanted.domain);
    if held.map(|held| held.domain) != domain {
        rows.insert(IdKey::Domain(of()), domain);
    }
    let transit = wanted.map(|wanted| wanted.transit_vni);
    if held.map(|held| held.transit_vni) != transit {
        rows.insert(IdKey::Transit(of()), transit);
    }
    rows
}

/// The keys whose number differs, with the number they have then.
fn changed<'a, K: Ord>(
    before: &'a BTreeMap<K, u32>,
    after: &'a BTreeMap<K, u32>,
) -> impl Iterator<Item = (&'a K, Option<u32>)> {
    let gone = before.keys().filter(|key| !after.contains_key(key)).map(|key| (key, None));
    let new = after.iter().filter(|(key, id)| before.get(key) != Some(id)).map(|(key, id)| (key, Some(*id)));
    gone.chain(new)
}

#[cfg(test)]
#[path = "ids_tests.rs"]
mod tests;
