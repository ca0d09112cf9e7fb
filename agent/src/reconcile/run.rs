//! The loop: woken by the controller's word, a device event or a timer, it makes one pass and answers.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use ringfence_policy::bundle::Bundle;
use ringfence_proto::v1;
use tokio::{
    runtime::Handle,
    sync::{mpsc, watch},
};

use super::{
    clock,
    devices::is_enforced,
    held::Held,
    machine::{Machine, Outcome, PassError},
    recount::Recount,
};
use crate::{
    counters,
    lower::{desired::Role, next_boundary},
    services::Announcements,
};

mod states;
mod trace;

/// Between two looks at devices, links and, if it is cheap, maps: whoever changes one has it put back within two of them.
const RESYNC: Duration = Duration::from_secs(1);
/// Reading the maps back may take one part in so many of the time.
const READ_BACK_SHARE: u32 = 20;
/// After a pass that failed.
const RETRY: Duration = Duration::from_secs(1);
/// Between two collections of counters of devices that are gone.
const COLLECT: Duration = Duration::from_secs(5);

/// What the controller says.
#[derive(Debug)]
pub enum Event {
    /// A domain's state, whole or changed.
    Update(Box<v1::DomainUpdate>),
    /// This host needs the domain no longer.
    Removed(u32),
    /// The interfaces that may be up.
    Admission(Vec<u32>),
    /// Counters are asked for, under this number.
    Counters(u64),
    /// What the programs would say of a flow is asked for.
    Trace(v1::TraceAsked),
}

/// What the loop tells the session.
#[derive(Debug)]
pub struct Outputs {
    /// Acks, nacks, counters and traces, in order.
    pub answers: mpsc::UnboundedSender<v1::AgentMessage>,
    /// What is enforced, for Hello; `None` before the first pass.
    pub held: watch::Sender<Option<Vec<v1::HeldDomain>>>,
    /// Interfaces whose device enforces.
    pub devices: watch::Sender<v1::Devices>,
    /// What somebody else changed here, and was put back.
    pub put_back: watch::Sender<v1::PutBacks>,
    /// What workloads here hear unasked.
    pub announcements: watch::Sender<Announcements>,
}

/// The state of the loop.
#[derive(Debug)]
pub struct Reconciler {
    machine: Machine,
    host: String,
    up_deadline: Duration,
    runtime: Handle,
    outputs: Outputs,
    held: Held,
    /// From disk, until the first look at the devices tells what this host can enforce.
    loaded: Vec<Bundle>,
    admitted: BTreeSet<u32>,
    admitted_unsaved: bool,
    /// Why the disk is behind, as it was told last.
    disk_fault: Option<String>,
    /// By interface id: since when its device enforces.
    enforced: BTreeMap<u32, Instant>,
    next_read_back: Instant,
    next_collection: Instant,
    recount: Recount,
}

impl Reconciler {
    /// A loop over this machine that starts from what was persisted.
    pub fn new(
        machine: Machine,
        host: String,
        up_deadline: Duration,
        runtime: Handle,
        outputs: Outputs,
    ) -> Result<Self, crate::persist::PersistError> {
        let loaded = machine.store.load()?;
        let now = Instant::now();
        Ok(Self {
            machine,
            host,
            up_deadline,
            runtime,
            outputs,
            held: Held::default(),
            loaded: loaded.bundles,
            admitted: loaded.admitted,
            admitted_unsaved: false,
            disk_fault: None,
            enforced: BTreeMap::new(),
            next_read_back: now,
            next_collection: now + COLLECT,
            recount: Recount::new(),
        })
    }

    /// Runs until nobody can send events any more; blocks its thread.
    pub fn run(mut self, mut events: mpsc::Receiver<Event>, mut devices: mpsc::Receiver<()>) {
        loop {
            let at = clock::now().as_secs();
            let wait = match self.pass(at) {
                Ok(()) => RESYNC.min(self.until_next_up()),
                Err(error) => {
                    tracing::error!(%error, "pass failed; it is tried again");
                    RETRY
                }
            };
            self.collect();
            let boundary = next_boundary(self.held.bundles(), at);
            let runtime = self.runtime.clone();
            let woken = runtime.block_on(async {
                tokio::select! {
                    event = events.recv() => event.map(Some),
                    Some(()) = devices.recv() => Some(None),
                    () = tokio::time::sleep(wait) => Some(None),
                    () = clock::other_than(at, boundary) => Some(None),
                }
            });
            let Some(first) = woken else { return };
            // Everything that waits is done in one pass.
            let mut next = first;
            while let Some(event) = next {
                self.take_in(event);
                next = events.try_recv().ok();
            }
        }
    }

    fn take_in(&mut self, event: Event) {
        match event {
            Event::Update(update) => self.take_update(*update),
            Event::Removed(domain_id) => {
                if self.held.remove(domain_id) {
                    tracing::info!(domain_id, "domain is needed here no longer");
                }
            }
            Event::Admission(ids) => {
                let admitted = ids.into_iter().collect();
                self.admitted_unsaved |= self.admitted != admitted;
                self.admitted = admitted;
            }
            Event::Trace(asked) => self.take_trace(asked),
            Event::Counters(request_id) => {
                let links = self.machine.links();
                let read = self.machine.maps().map(|(maps, image)| counters::report(maps, image, links));
                match read.transpose() {
                    Ok(report) => {
                        let report = v1::CountersReport { request_id, ..report.unwrap_or_default() };
                        self.answer(v1::agent_message::Message::Counters(report));
                    }
                    Err(error) => tracing::error!(%error, "counters cannot be read"),
                }
            }
        }
    }

    /// Brings the host to what holds at a moment, in seconds since 1970-01-01T00:00:00Z.
    fn pass(&mut self, at: u64) -> Result<(), PassError> {
        if Instant::now() >= self.next_read_back {
            let begun = Instant::now();
            self.machine.read_back()?;
            tracing::debug!(elapsed = ?begun.elapsed(), "maps read back");
            self.next_read_back = Instant::now() + RESYNC.max(begun.elapsed() * READ_BACK_SHARE);
        }
        let site = self.machine.look_around()?;
        self.held.inherit(self.machine.take_inherited());
        self.take_loaded();
        let outcome = self.enforce(&site, at)?;
        if !outcome.waits {
            self.held.enforced();
        }
        self.acknowledge();
        // Until its programs are replaced the earlier release's word of what is enforced stands.
        if !outcome.waits {
            self.publish(&outcome);
        }
        self.outputs.put_back.send_if_modified(|last| replace(last, self.machine.put_back()));
        Ok(())
    }

    fn publish(&mut self, outcome: &Outcome) {
        let now = Instant::now();
        let mut enforced = BTreeMap::new();
        let mut devices = Vec::new();
        for (name, link) in self.machine.links() {
            if let Some(role @ (Role::Workload(interface_id) | Role::Nic(interface_id))) =
                outcome.desired.devices.get(&link.ifindex)
                && is_enforced(*role, link.ifindex, &outcome.attached)
            {
                let since = self.enforced.get(interface_id).copied().unwrap_or(now);
                enforced.insert(*interface_id, since);
                devices.push(v1::EnforcedDevice { interface_id: *interface_id, device: name.clone() });
            }
        }
        self.enforced = enforced;
        self.outputs.devices.send_if_modified(|last| replace(last, v1::Devices { enforced: devices }));
        let mut announcements = self.machine.announcements(&outcome.desired);
        // A device that is down hears nothing: it is announced once it is up.
        let is_up = |ifindex: &u32| self.machine.links().values().any(|link| link.ifindex == *ifindex && link.up);
        announcements.devices.retain(|ifindex, _| is_up(ifindex));
        self.outputs.announcements.send_if_modified(|last| replace(last, announcements));
    }

    fn may_come_up(&self) -> BTreeSet<u32> {
        let overdue = self.enforced.iter().filter(|(_, since)| since.elapsed() >= self.up_deadline);
        overdue.map(|(id, _)| *id).chain(self.admitted.iter().copied()).collect()
    }

    fn until_next_up(&self) -> Duration {
        let waiting = self.enforced.iter().filter(|(id, _)| !self.admitted.contains(id));
        let left = waiting.map(|(_, since)| self.up_deadline.saturating_sub(since.elapsed()));
        left.filter(|left| !left.is_zero()).min().unwrap_or(RESYNC)
    }

    fn collect(&mut self) {
        self.machine.collect_carried();
        let Some((maps, image)) = self.machine.maps().filter(|_| Instant::now() >= self.next_collection) else {
            return;
        };
        if let Err(error) = counters::forget_gone(maps, image, self.machine.links()) {
            tracing::error!(%error, "counters of devices that are gone cannot be freed");
        }
        if let Err(error) = self.recount.pass(maps, image) {
            tracing::error!(%error, "connections cannot be counted");
        }
        self.next_collection = Instant::now() + COLLECT;
    }

    fn refuse(&self, bundle: &Bundle, reason: String) {
        self.nack(bundle.domain_id, bundle.generation, reason);
    }

    fn nack(&self, domain_id: u32, generation: u64, reason: String) {
        tracing::error!(domain_id, generation, %reason, "refused");
        self.answer(v1::agent_message::Message::Nack(v1::Nack { domain_id, generation, reason }));
    }

    fn answer(&self, message: v1::agent_message::Message) {
        // Without a session nobody waits for an answer; Hello tells the next one what is held.
        let _ = self.outputs.answers.send(v1::AgentMessage { message: Some(message) });
    }
}

fn replace<T: PartialEq>(last: &mut T, next: T) -> bool {
    let changed = *last != next;
    *last = next;
    changed
}
