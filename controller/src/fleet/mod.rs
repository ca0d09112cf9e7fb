//! What every host needs, has and reported: the state between the catalog and the agents' sessions.
//!
//! A session holds no copy of it. The fleet leaves it news of what changed, by name, and the session
//! comes and looks; so nothing here waits for a slow agent. No I/O, and the time is a parameter.

pub mod admission;
mod compiled;
pub mod delivery;
mod inbox;
mod view;

pub use self::{
    compiled::Compiled,
    inbox::{Inbox, News, Question},
    view::{DeviceState, DomainView, HostProgress, HostView, InterfaceView},
};

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use ringfence_policy::wire::FEATURE_REMOVAL_ACK;
use ringfence_proto::v1;
use tokio::sync::{oneshot, watch};

use self::admission::{Acked, Admission};

/// Holds every domain as published and every host as it last spoke.
#[derive(Debug)]
pub struct Fleet {
    /// How long an interface waits for the other hosts of its domain.
    patience: Duration,
    domains: BTreeMap<u32, Domain>,
    names: BTreeMap<String, u32>,
    hosts: BTreeMap<String, Host>,
    /// Domains with an interface that waits.
    waiting: BTreeSet<u32>,
    /// Wakes whoever follows how far the hosts are.
    progress: watch::Sender<()>,
}

/// A domain as published.
#[derive(Debug)]
struct Domain {
    compiled: Arc<Compiled>,
    admission: Admission,
    /// Every host that needs it, with what it acked last; 0: nothing.
    acked: Acked,
    /// The generation a host refused last, and why.
    refused: BTreeMap<String, (u64, String)>,
    /// Hosts that it needs no longer and that have not said yet that it is gone there.
    leaving: BTreeSet<String>,
}

/// A host that a domain needs or an agent speaks for.
#[derive(Debug, Default)]
struct Host {
    domains: BTreeSet<u32>,
    /// Of the connection that speaks for it.
    inbox: Option<Arc<Inbox>>,
    /// Device of each interface that its agent enforces.
    devices: BTreeMap<u32, String>,
    /// What its agent found changed by somebody else, and put back.
    put_back: Vec<v1::PutBack>,
    /// Its agent says when a domain is gone; those that do not are not waited for.
    acks_removal: bool,
}

/// The host's agent is not connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("its agent is not connected")]
pub struct NotConnected;

// === impl Fleet ===

impl Fleet {
    /// A fleet that has these domains, stored before, and has heard of no agent yet.
    pub fn new(stored: impl IntoIterator<Item = Compiled>, patience: Duration, now: Instant) -> Self {
        let mut fleet = Self {
            patience,
            domains: BTreeMap::new(),
            names: BTreeMap::new(),
            hosts: BTreeMap::new(),
            waiting: BTreeSet::new(),
            progress: watch::Sender::new(()),
        };
        for compiled in stored {
            // Which interfaces were up is not stored: as for new ones, the hosts' acks tell, and the deadline. An
            // agent sets no device down because it is not told that it is up, so that this cuts nothing that runs.
            let id = compiled.bundle.domain_id;
            let mut domain = Domain::new(Arc::new(compiled));
            domain.admission.follow(None, &domain.compiled.bundle, now, patience);
            fleet.place(domain);
            fleet.settle(id, now);
        }
        fleet
    }

    /// Makes this the state of a domain and tells the hosts concerned.
    pub fn publish(&mut self, compiled: Compiled, now: Instant) {
        let compiled = Arc::new(compiled);
        let id = compiled.bundle.domain_id;
        let (base, mut domain) = match self.domains.remove(&id) {
            Some(before) => (Some(before.compiled.clone()), Domain { compiled, ..before }),
            None => (None, Domain::new(compiled)),
        };
        let base = base.as_ref().map(|base| &base.bundle);
        let readmit = domain.admission.follow(base, &domain.compiled.bundle, now, self.patience);
        let before: BTreeSet<String> = domain.acked.keys().cloned().collect();
        let asked = domain.acked.iter().filter(|(host, acked)| self.may_enforce(host, **acked));
        domain.leaving.extend(asked.map(|(host, _)| host.clone()));
        self.place(domain);
        let needed = self.domains.get(&id).into_iter().flat_map(|domain| domain.acked.keys().cloned());
        let concerned: BTreeSet<String> = needed.chain(before.iter().cloned()).collect();
        for host in &concerned {
            self.tell(host, |news| {
                news.domains.insert(id);
                news.admission |= readmit.contains(host);
            });
        }
        for host in &before {
            self.leave_if_gone(host, id);
        }
        self.settle(id, now);
        self.progress.send_replace(());
    }

    /// Forgets a domain that is gone and tells the hosts that needed it.
    pub fn withdraw(&mut self, name: &str) {
        let Some(id) = self.names.remove(name) else { return };
        let Some(domain) = self.domains.remove(&id) else { return };
        self.waiting.remove(&id);
        for host in domain.acked.keys() {
            self.tell(host, |news| {
                news.domains.insert(id);
                news.admission = true;
            });
            self.leave_if_gone(host, id);
        }
        self.progress.send_replace(());
    }

    /// Takes a connection for a host, in place of an older one. The inbox that it is given has news of everything.
    pub fn connect(&mut self, hello: &v1::Hello, now: Instant) -> Arc<Inbox> {
        let (name, held) = (hello.host.as_str(), hello.held.as_slice());
        let inbox = Arc::new(Inbox::default());
        let host = self.hosts.entry(name.to_owned()).or_default();
        host.devices.clear();
        host.put_back.clear();
        host.acks_removal = hello.features.iter().any(|feature| feature == FEATURE_REMOVAL_ACK);
        for (id, domain) in &mut self.domains {
            if !(host.acks_removal && held.iter().any(|held| held.domain_id == *id)) {
                domain.leaving.remove(name);
            }
        }
        if let Some(older) = host.inbox.replace(inbox.clone()) {
            older.leave(|news| news.replaced = true);
        }
        let needed = host.domains.clone();
        for id in &needed {
            let said = held.iter().find(|held| held.domain_id == *id);
            if let Some(domain) = self.domains.get_mut(id) {
                domain.resume(name, said);
            }
            self.settle(*id, now);
        }
        inbox.leave(|news| {
            news.domains = held.iter().map(|held| held.domain_id).chain(needed).collect();
            news.admission = true;
        });
        self.progress.send_replace(());
        inbox
    }

    /// Notes that a connection ended, unless a newer one took its place.
    pub fn disconnect(&mut self, name: &str, inbox: &Arc<Inbox>) {
        let Some(host) = self.hosts.get_mut(name) else { return };
        if host.inbox.as_ref().is_some_and(|current| Arc::ptr_eq(current, inbox)) {
            host.inbox = None;
            self.prune(name);
            self.progress.send_replace(());
        }
    }

    /// A host enforces this generation of a domain.
    pub fn acked(&mut self, host: &str, domain: u32, generation: u64, now: Instant) {
        let Some(state) = self.domains.get_mut(&domain) else { return };
        if let Some(acked) = state.acked.get_mut(host) {
            *acked = generation;
            state.refused.remove(host);
            self.settle(domain, now);
            self.progress.send_replace(());
        }
    }

    /// A host found this changed by somebody else, and put it back.
    pub fn puts_back(&mut self, name: &str, put_back: Vec<v1::PutBack>) {
        if let Some(host) = self.hosts.get_mut(name) {
            host.put_back = put_back;
        }
    }

    /// A domain that a host needed is gone there.
    pub fn removed(&mut self, host: &str, domain: u32) {
        if self.domains.get_mut(&domain).is_some_and(|domain| domain.leaving.remove(host)) {
            self.progress.send_replace(());
        }
    }

    /// A host is deleted: nobody waits for what it may still enforce.
    pub fn forget(&mut self, host: &str) {
        for domain in self.domains.values_mut() {
            domain.leaving.remove(host);
        }
        self.progress.send_replace(());
    }

    /// A host refused this generation of a domain.
    pub fn refused(&mut self, host: &str, domain: u32, generation: u64, reason: String) {
        let Some(state) = self.domains.get_mut(&domain) else { return };
        if state.acked.contains_key(host) {
            state.refused.insert(host.to_owned(), (generation, reason));
            self.progress.send_replace(());
        }
    }

    /// A host is offered again what it refused of these domains: it has not answered to that yet.
    pub fn offers_again(&mut self, host: &str, domains: &BTreeSet<u32>) {
        for id in domains {
            if let Some(domain) = self.domains.get_mut(id) {
                domain.refused.remove(host);
                self.progress.send_replace(());
            }
        }
    }

    /// The devices that a host's agent enforces, by interface.
    pub fn enforces(&mut self, host: &str, devices: BTreeMap<u32, String>) {
        if let Some(host) = self.hosts.get_mut(host) {
            host.devices = devices;
        }
    }

    /// Admits every interface that has waited long enough.
    pub fn expire(&mut self, now: Instant) {
        for id in self.waiting.clone() {
            self.settle(id, now);
        }
    }

    /// When [`Self::expire`] has something to do.
    pub fn next_deadline(&self) -> Option<Instant> {
        let waiting = self.waiting.iter().filter_map(|id| self.domains.get(id));
        waiting.filter_map(|domain| domain.admission.next_deadline()).min()
    }

    /// A domain's state, if the host needs it.
    pub fn needed(&self, host: &str, domain: u32) -> Option<Arc<Compiled>> {
        let domain = self.domains.get(&domain)?;
        domain.acked.contains_key(host).then(|| domain.compiled.clone())
    }

    /// A domain's state as published.
    pub fn published(&self, name: &str) -> Option<Arc<Compiled>> {
        Some(self.domains.get(self.names.get(name)?)?.compiled.clone())
    }

    /// The domains, by name, that need a host.
    pub fn domains_on(&self, host: &str) -> BTreeSet<String> {
        let ids = self.hosts.get(host).into_iter().flat_map(|host| &host.domains);
        ids.filter_map(|id| self.domains.get(id)).map(|domain| domain.compiled.bundle.name.clone()).collect()
    }

    /// The interfaces of a host that are up, by ascending id.
    pub fn admitted(&self, host: &str) -> BTreeSet<u32> {
        let ids = self.hosts.get(host).into_iter().flat_map(|host| &host.domains);
        ids.filter_map(|id| self.domains.get(id)).flat_map(|domain| domain.admission.up_on(host)).collect()
    }

    /// Asks a host's agent for its counters.
    ///
    /// # Errors
    /// When its agent is not connected.
    pub fn ask(&self, host: &str) -> Result<oneshot::Receiver<v1::CountersReport>, NotConnected> {
        let (question, answer) = oneshot::channel();
        self.question(host, Question::Counters(question))?;
        Ok(answer)
    }

    /// Asks a host's agent what its programs would do with the first packet of a flow.
    ///
    /// # Errors
    /// When its agent is not connected.
    pub fn ask_trace(
        &self,
        host: &str,
        asked: v1::TraceAsked,
    ) -> Result<oneshot::Receiver<v1::TraceReport>, NotConnected> {
        let (question, answer) = oneshot::channel();
        self.question(host, Question::Trace(asked, question))?;
        Ok(answer)
    }

    fn question(&self, host: &str, question: Question) -> Result<(), NotConnected> {
        let inbox = self.hosts.get(host).and_then(|host| host.inbox.as_ref()).ok_or(NotConnected)?;
        inbox.leave(|news| news.questions.push(question));
        Ok(())
    }

    /// Wakes after anything that [`DomainView`] or [`HostView`] shows may have changed.
    pub fn progress(&self) -> watch::Receiver<()> {
        self.progress.subscribe()
    }

    /// Puts a domain in place, on the hosts that it needs and no others.
    fn place(&mut self, mut domain: Domain) {
        let bundle = &domain.compiled.bundle;
        let (id, name) = (bundle.domain_id, bundle.name.clone());
        let needed: BTreeSet<&str> = bundle.topology.hosts.iter().map(|host| host.name.as_str()).collect();
        domain.acked.retain(|host, _| needed.contains(host.as_str()));
        domain.refused.retain(|host, _| needed.contains(host.as_str()));
        domain.leaving.retain(|host| !needed.contains(host.as_str()));
        for host in needed {
            domain.acked.entry(host.to_owned()).or_default();
            self.hosts.entry(host.to_owned()).or_default().domains.insert(id);
        }
        self.names.insert(name, id);
        self.domains.insert(id, domain);
    }

    /// Whether a host may have a domain of which it acked this, and will say when it is gone.
    fn may_enforce(&self, name: &str, acked: u64) -> bool {
        self.hosts.get(name).is_some_and(|host| host.acks_removal && (acked > 0 || host.inbox.is_some()))
    }

    /// Takes a domain off a host that no longer needs it.
    fn leave_if_gone(&mut self, name: &str, domain: u32) {
        if self.needed(name, domain).is_none()
            && let Some(host) = self.hosts.get_mut(name)
        {
            host.domains.remove(&domain);
            self.prune(name);
        }
    }

    /// Forgets a host that no domain needs and no agent speaks for.
    fn prune(&mut self, name: &str) {
        let idle = |host: &Host| host.domains.is_empty() && host.inbox.is_none();
        if self.hosts.get(name).is_some_and(idle) {
            self.hosts.remove(name);
        }
    }

    /// Admits the interfaces of a domain that can be, and tells their hosts.
    fn settle(&mut self, id: u32, now: Instant) {
        let Some(domain) = self.domains.get_mut(&id) else { return };
        let changed = domain.admission.settle(&domain.acked, now);
        if domain.admission.next_deadline().is_some() {
            self.waiting.insert(id);
        } else {
            self.waiting.remove(&id);
        }
        for host in changed {
            self.tell(&host, |news| news.admission = true);
        }
    }

    fn tell(&self, host: &str, change: impl FnOnce(&mut News)) {
        if let Some(inbox) = self.hosts.get(host).and_then(|host| host.inbox.as_ref()) {
            inbox.leave(change);
        }
    }
}

// === impl Domain ===

impl Domain {
    fn new(compiled: Arc<Compiled>) -> Self {
        Self {
            compiled,
            admission: Admission::default(),
            acked: Acked::new(),
            refused: BTreeMap::new(),
            leaving: BTreeSet::new(),
        }
    }

    /// Notes what a host that connects says it enforces. The current generation with another content
    /// counts for nothing; whether an older one had the content it had here is not known any more.
    fn resume(&mut self, host: &str, held: Option<&v1::HeldDomain>) {
        let current = self.compiled.bundle.generation;
        let from_here = |held: &&v1::HeldDomain| held.generation < current || delivery::has(held, &self.compiled);
        let acked = held.filter(from_here).map_or(0, |held| held.generation);
        self.acked.insert(host.to_owned(), acked);
        self.refused.remove(host);
    }
}
