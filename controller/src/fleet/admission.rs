//! Which interfaces of a domain may be `up`. Pure; the time is a parameter.
//!
//! An interface is up once every other host of its domain enforces a generation that knows it, so that
//! its first packet is not refused for being unknown, or once it has waited long enough: a host that is
//! away must not keep the others' workloads down. What is up stays up while it stays where it is.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    time::{Duration, Instant},
};

use ringfence_policy::bundle::{Bundle, CompiledInterface};

/// How each interface of one domain stands.
#[derive(Debug, Default)]
pub struct Admission {
    interfaces: BTreeMap<u32, Standing>,
    /// Those that are not up, so that an ack costs nothing when all are.
    waiting: BTreeSet<u32>,
}

/// How an interface stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The host that runs it.
    pub host: String,
    /// The first generation that knows it as it is now.
    pub known_since: u64,
    /// When it is up whoever has acked.
    pub up_at_latest: Instant,
    /// It is up.
    pub up: bool,
}

/// The last generation that each host of a domain acked.
pub type Acked = BTreeMap<String, u64>;

// === impl Admission ===

impl Admission {
    /// The interfaces of a domain that was stored before this process started: they are up. They were
    /// admitted, or waited, before; taking them down to ask again would cut what runs.
    pub fn stored(bundle: &Bundle, now: Instant) -> Self {
        let standings = bundle.interfaces.iter().map(|interface| {
            let host = interface.host.clone();
            let standing = Standing { host, known_since: bundle.generation, up_at_latest: now, up: true };
            (interface.id, standing)
        });
        Self { interfaces: standings.collect(), waiting: BTreeSet::new() }
    }

    /// Follows a domain from one state to the next. Gives the hosts whose set of up interfaces changed.
    pub fn follow(
        &mut self,
        before: Option<&Bundle>,
        bundle: &Bundle,
        now: Instant,
        patience: Duration,
    ) -> BTreeSet<String> {
        let mut changed = BTreeSet::new();
        let mut old = mem::take(&mut self.interfaces);
        for interface in &bundle.interfaces {
            let was = before.and_then(|before| find(before, interface.id)).zip(old.remove(&interface.id));
            let standing = match &was {
                Some((was, stood)) if same_wiring(was, interface) => stood.clone(),
                was => Standing {
                    host: interface.host.clone(),
                    known_since: bundle.generation,
                    up_at_latest: now + patience,
                    up: was.as_ref().is_some_and(|(was, stood)| stood.up && same_place(was, interface)),
                },
            };
            changed.extend(was.filter(|(_, stood)| stood.up && !standing.up).map(|(_, stood)| stood.host));
            self.interfaces.insert(interface.id, standing);
        }
        let down = self.interfaces.iter().filter(|(_, standing)| !standing.up);
        self.waiting = down.map(|(id, _)| *id).collect();
        changed.extend(old.into_values().filter(|standing| standing.up).map(|standing| standing.host));
        changed
    }

    /// Admits whom it can. Gives the hosts whose set of up interfaces changed.
    pub fn settle(&mut self, acked: &Acked, now: Instant) -> BTreeSet<String> {
        let mut changed = BTreeSet::new();
        let floor = Floor::of(acked);
        self.waiting.retain(|id| {
            let Some(standing) = self.interfaces.get_mut(id) else { return false };
            standing.up = now >= standing.up_at_latest || floor.without(&standing.host) >= standing.known_since;
            if standing.up {
                changed.insert(standing.host.clone());
            }
            !standing.up
        });
        changed
    }

    /// When the next interface is up whoever has acked.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.waiting.iter().filter_map(|id| self.interfaces.get(id)).map(|standing| standing.up_at_latest).min()
    }

    /// How an interface stands.
    pub fn standing(&self, id: u32) -> Option<&Standing> {
        self.interfaces.get(&id)
    }

    /// The interfaces of a host that are up.
    pub fn up_on<'a>(&'a self, host: &'a str) -> impl Iterator<Item = u32> {
        let up = self.interfaces.iter().filter(move |(_, standing)| standing.up && standing.host == host);
        up.map(|(id, _)| *id)
    }
}

/// How many hosts of the domain, other than its own, do not know an interface as it is now.
pub fn behind(standing: &Standing, acked: &Acked) -> usize {
    acked.iter().filter(|(host, acked)| **host != standing.host && **acked < standing.known_since).count()
}

/// The two lowest generations acked: what all hosts but any one have acked, without asking each.
struct Floor<'a> {
    lowest: Option<(u64, &'a str)>,
    second: u64,
}

impl<'a> Floor<'a> {
    fn of(acked: &'a Acked) -> Self {
        let mut acked: Vec<_> = acked.iter().map(|(host, acked)| (*acked, host.as_str())).collect();
        acked.sort_unstable();
        Self { lowest: acked.first().copied(), second: acked.get(1).map_or(u64::MAX, |(acked, _)| *acked) }
    }

    /// What every host but this one has acked.
    fn without(&self, host: &str) -> u64 {
        match self.lowest {
            Some((_, lowest)) if lowest == host => self.second,
            Some((acked, _)) => acked,
            None => u64::MAX,
        }
    }
}

fn find(bundle: &Bundle, id: u32) -> Option<&CompiledInterface> {
    let place = bundle.interfaces.binary_search_by_key(&id, |interface| interface.id).ok()?;
    bundle.interfaces.get(place)
}

/// Whether others forward to it and accept from it as before. Classes are policy, not wiring.
fn same_wiring(was: &CompiledInterface, is: &CompiledInterface) -> bool {
    let addresses = |interface: &CompiledInterface| -> BTreeSet<_> {
        interface.addresses.iter().map(|(address, _)| *address).collect()
    };
    same_place(was, is) && was.vni == is.vni && was.mac == is.mac && addresses(was) == addresses(is)
}

fn same_place(was: &CompiledInterface, is: &CompiledInterface) -> bool {
    was.host == is.host && was.device == is.device
}
