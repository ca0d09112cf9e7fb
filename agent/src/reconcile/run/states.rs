//! States of domains on their way: admitted, fitted into the tables, written to disk, acked or refused.

use ringfence_policy::{bundle::Bundle, wire};
use ringfence_proto::v1;

use super::{Reconciler, replace};
use crate::{
    lower::{
        Site,
        admit::{Refusal, admit},
    },
    reconcile::machine::{Outcome, PassError, Prepared},
};

impl Reconciler {
    pub(super) fn take_update(&mut self, update: v1::DomainUpdate) {
        let (domain_id, generation) = (update.domain_id, update.generation);
        let taken = wire::apply_update(self.held.get(domain_id), update).map_err(|invalid| invalid.to_string());
        match taken.and_then(|bundle| self.admit(&bundle).map(|()| bundle).map_err(|refusal| refusal.to_string())) {
            Ok(bundle) => self.held.take(bundle),
            Err(reason) => self.nack(domain_id, generation, reason),
        }
    }

    fn admit(&self, bundle: &Bundle) -> Result<(), Refusal> {
        let others = self.held.bundles().filter(|other| other.domain_id != bundle.domain_id);
        admit(bundle, others, &self.host, &self.machine.reserved())
    }

    /// What is on disk may be of another agent or other settings: each state is judged as if the controller had sent it.
    /// The file of one that is refused stays, and the controller hears why when it sends the state again.
    pub(super) fn take_loaded(&mut self) {
        for bundle in std::mem::take(&mut self.loaded) {
            match self.admit(&bundle) {
                Ok(()) => self.held.restore(bundle),
                Err(refusal) => tracing::error!(domain = %bundle.name, %refusal, "a state on disk is left out"),
            }
        }
    }

    pub(super) fn enforce(&mut self, site: &Site, at: u64) -> Result<Outcome, PassError> {
        let prepared = self.fit(site, at)?;
        // On disk before in force: an agent that is killed in between goes on to the new state, not back.
        self.save();
        let bundles: Vec<&Bundle> = self.held.bundles().collect();
        self.machine.enforce(prepared, &bundles, self.held.inherited(), &self.may_come_up())
    }

    fn prepare(&mut self, site: &Site, at: u64) -> Result<Prepared, PassError> {
        let bundles: Vec<&Bundle> = self.held.bundles().collect();
        self.machine.prepare(&bundles, self.held.inherited(), site, at)
    }

    /// Prepares what is held. If the tables do not hold it, what is pending is taken back, the newest arrival first, until
    /// they do; then each is tried again in order of arrival, and those that do not fit are refused.
    fn fit(&mut self, site: &Site, at: u64) -> Result<Prepared, PassError> {
        let mut aside = Vec::new();
        let prepared = loop {
            match self.prepare(site, at) {
                Err(PassError::Full(full)) => match self.held.withdraw() {
                    Some(newest) => aside.push(newest),
                    None => {
                        aside.iter().for_each(|bundle| self.refuse(bundle, full.to_string()));
                        return Err(full.into());
                    }
                },
                other => break other?,
            }
        };
        if aside.is_empty() {
            return Ok(prepared);
        }
        for bundle in aside.into_iter().rev() {
            self.held.take(bundle);
            if let Err(PassError::Full(full)) = self.prepare(site, at)
                && let Some(bundle) = self.held.withdraw()
            {
                self.refuse(&bundle, full.to_string());
            }
        }
        self.prepare(site, at)
    }

    /// Brings the disk to what is held. A full disk must not stop enforcement: it is tried again at every pass.
    fn save(&mut self) {
        let mut fault = None;
        for (domain_id, bundle) in self.held.unsaved() {
            let saved = match bundle {
                Some(bundle) => self.machine.store.save_domain(&bundle),
                None => self.machine.store.remove_domain(domain_id),
            };
            match saved {
                Ok(()) => self.held.saved(domain_id),
                Err(error) => fault = Some(error.to_string()),
            }
        }
        if self.admitted_unsaved {
            match self.machine.store.save_admitted(&self.admitted) {
                Ok(()) => self.admitted_unsaved = false,
                Err(error) => fault = Some(error.to_string()),
            }
        }
        if let Some(fault) = fault.as_ref().filter(|fault| self.disk_fault.as_ref() != Some(fault)) {
            tracing::error!(%fault, "the state is enforced and not on disk; it is not acked before it is");
        }
        self.disk_fault = fault;
    }

    /// Tells what is enforced and on disk.
    pub(super) fn acknowledge(&mut self) {
        for (domain_id, generation) in self.held.due_acks() {
            match self.held.get(domain_id) {
                Some(bundle) => tracing::info!(domain = %bundle.name, generation, "enforced"),
                None => tracing::info!(domain_id, "gone"),
            }
            self.answer(v1::agent_message::Message::Ack(v1::Ack { domain_id, generation }));
        }
        let held = self
            .held
            .told()
            .map(|(domain_id, settled)| v1::HeldDomain {
                domain_id,
                generation: settled.map_or(0, |bundle| bundle.generation),
                digest: settled.map_or_else(Vec::new, |bundle| wire::digest(bundle).to_vec()),
            })
            .collect();
        self.outputs.held.send_if_modified(|last| replace(last, Some(held)));
    }
}
