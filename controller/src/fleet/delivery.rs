//! What one agent has of each domain and what to send it next. Pure.
//!
//! One update is outstanding for a domain at a time, and the next starts from what was acked last:
//! however many commits an agent sleeps through, it costs two states of each domain and no history.

use std::{collections::BTreeMap, sync::Arc};

use ringfence_proto::v1::{self, controller_message::Message};

use super::Compiled;

/// Holds where one agent is.
#[derive(Debug, Default)]
pub struct Delivery {
    domains: BTreeMap<u32, Position>,
}

#[derive(Debug, Default)]
struct Position {
    /// What the agent enforces, as far as it is known.
    held: Option<Arc<Compiled>>,
    /// What it was sent and has not answered yet.
    outstanding: Option<Arc<Compiled>>,
    /// The generation it refused last; it is not sent again.
    refused: u64,
}

// === impl Delivery ===

impl Delivery {
    /// An agent that starts with what it says it has. A domain of which it has what is current needs
    /// nothing; of another generation it has no base here, so that it is sent whole.
    pub fn resume(held: &[v1::HeldDomain], current: impl Fn(u32) -> Option<Arc<Compiled>>) -> Self {
        let domains = held.iter().map(|held| {
            let same = current(held.domain_id).filter(|current| has(held, current));
            (held.domain_id, Position { held: same, ..Position::default() })
        });
        Self { domains: domains.collect() }
    }

    /// What to send now that `current` (`None`: the host needs it no longer) is a domain's state.
    pub fn next(&mut self, domain: u32, current: Option<&Arc<Compiled>>) -> Option<Message> {
        let Some(current) = current else {
            return self.domains.remove(&domain).map(|_| Message::RemovedDomainId(domain));
        };
        let position = self.domains.entry(domain).or_default();
        let generation = current.bundle.generation;
        let held = position.held.as_ref().map(|held| held.bundle.generation);
        if position.outstanding.is_some() || held == Some(generation) || position.refused == generation {
            return None;
        }
        let update = current.update_from(position.held.as_deref());
        position.outstanding = Some(current.clone());
        Some(Message::Update(update))
    }

    /// Notes an ack. `false`: that generation is not outstanding.
    pub fn acked(&mut self, domain: u32, generation: u64) -> bool {
        let Some(position) = self.answered(domain, generation) else { return false };
        position.held = position.outstanding.take();
        true
    }

    /// Notes a nack. `false`: that generation is not outstanding.
    pub fn nacked(&mut self, domain: u32, generation: u64) -> bool {
        let Some(position) = self.answered(domain, generation) else { return false };
        position.outstanding = None;
        position.refused = generation;
        true
    }

    fn answered(&mut self, domain: u32, generation: u64) -> Option<&mut Position> {
        let outstanding =
            |position: &&mut Position| position.outstanding.as_ref().is_some_and(|o| o.bundle.generation == generation);
        self.domains.get_mut(&domain).filter(outstanding)
    }
}

/// Whether what an agent holds is this.
pub fn has(held: &v1::HeldDomain, current: &Compiled) -> bool {
    held.generation == current.bundle.generation && held.digest == current.digest
}
