//! What one agent has of each domain and what to send it next. Pure.
//!
//! One update is outstanding for a domain at a time, and the next starts from what was acked last:
//! however many commits an agent sleeps through, it costs two states of each domain and no history.
//!
//! What an agent refused may be refused for what another domain still claims there (a device, a VNI). So
//! it is offered again once another domain changed on that host, and not before: it ends when all is quiet.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::Arc,
};

use ringfence_proto::v1::{self, controller_message::Message};

use super::Compiled;

/// Holds where one agent is.
#[derive(Debug, Default)]
pub struct Delivery {
    domains: BTreeMap<u32, Position>,
    /// Domains whose last answer was a refusal.
    refused: BTreeSet<u32>,
    /// Those of them that may be taken by now: something else changed on the host since.
    again: BTreeSet<u32>,
}

#[derive(Debug, Default)]
struct Position {
    /// What the agent enforces, as far as it is known.
    held: Option<Arc<Compiled>>,
    /// What it was sent and has not answered yet.
    outstanding: Option<Arc<Compiled>>,
    /// The generation it refused last; it is not sent again for its own sake.
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
        Self { domains: domains.collect(), ..Self::default() }
    }

    /// What to send now that `current` (`None`: the host needs it no longer) is a domain's state.
    pub fn next(&mut self, domain: u32, current: Option<&Arc<Compiled>>) -> Option<Message> {
        let Some(current) = current else {
            self.domains.remove(&domain)?;
            self.changed(domain);
            return Some(Message::RemovedDomainId(domain));
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
        self.changed(domain);
        true
    }

    /// Notes a nack. `false`: that generation is not outstanding. The reason may be that the agent has not
    /// the base that it is thought to have, so that the next update is whole.
    pub fn nacked(&mut self, domain: u32, generation: u64) -> bool {
        let Some(position) = self.answered(domain, generation) else { return false };
        position.outstanding = None;
        position.held = None;
        position.refused = generation;
        self.refused.insert(domain);
        true
    }

    /// Takes the domains refused before the last change of another: they are to be offered again.
    pub fn again(&mut self) -> BTreeSet<u32> {
        let again = mem::take(&mut self.again);
        for domain in &again {
            if let Some(position) = self.domains.get_mut(domain) {
                position.refused = 0;
            }
        }
        again
    }

    /// A domain is enforced anew, or gone.
    fn changed(&mut self, domain: u32) {
        self.refused.remove(&domain);
        self.again.remove(&domain);
        self.again.append(&mut self.refused);
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

#[cfg(test)]
mod tests {
    use ringfence_policy::bundle::Bundle;

    use super::*;

    fn compiled(generation: u64) -> Arc<Compiled> {
        Arc::new(Compiled::new(Bundle { domain_id: 7, name: "acme/prod".to_owned(), generation, ..Bundle::default() }))
    }

    /// Base and generation of an update, if it is one.
    fn update(message: Option<Message>) -> Option<(u64, u64)> {
        match message? {
            Message::Update(update) => Some((update.base_generation, update.generation)),
            other => panic!("not an update: {other:?}"),
        }
    }

    #[test]
    fn one_update_is_outstanding_and_the_next_starts_from_what_was_acked() {
        let mut delivery = Delivery::default();
        assert_eq!(update(delivery.next(7, Some(&compiled(1)))), Some((0, 1)));
        for generation in 2..100 {
            assert_eq!(update(delivery.next(7, Some(&compiled(generation)))), None, "one at a time");
        }
        assert!(delivery.acked(7, 1));
        assert_eq!(update(delivery.next(7, Some(&compiled(99)))), Some((1, 99)));
    }

    #[test]
    fn a_refused_generation_is_not_sent_again_and_a_newer_one_is() {
        let mut delivery = Delivery::default();
        let _ = delivery.next(7, Some(&compiled(1)));
        assert!(delivery.acked(7, 1));
        let _ = delivery.next(7, Some(&compiled(2)));
        assert!(delivery.nacked(7, 2));
        assert_eq!(update(delivery.next(7, Some(&compiled(2)))), None);
        assert_eq!(update(delivery.next(7, Some(&compiled(3)))), Some((0, 3)), "whole: the base may be what is wrong");
    }

    #[test]
    fn a_refused_generation_is_offered_again_once_after_another_domain_changed() {
        let mut delivery = Delivery::default();
        let refuse = |delivery: &mut Delivery| {
            assert_eq!(update(delivery.next(7, Some(&compiled(2)))), Some((0, 2)));
            assert!(delivery.nacked(7, 2));
        };
        let _ = delivery.next(8, Some(&compiled(2)));
        refuse(&mut delivery);
        assert!(delivery.again().is_empty(), "nothing changed since");
        assert!(delivery.acked(8, 2));
        assert_eq!(delivery.again(), [7].into());
        refuse(&mut delivery);
        assert!(delivery.again().is_empty(), "it is not its own reason");
        let _ = delivery.next(8, None);
        assert_eq!(delivery.again(), [7].into(), "a domain that goes changes the host too");
    }

    #[test]
    fn answers_to_what_is_not_outstanding_change_nothing() {
        let mut delivery = Delivery::default();
        let _ = delivery.next(7, Some(&compiled(2)));
        assert!(!delivery.acked(7, 1));
        assert!(!delivery.nacked(8, 2));
        assert!(delivery.acked(7, 2));
        assert!(!delivery.acked(7, 2));
    }

    #[test]
    fn an_agent_that_has_what_is_current_is_sent_nothing() {
        let current = compiled(4);
        let held = |generation, digest: &[u8]| v1::HeldDomain { domain_id: 7, generation, digest: digest.to_vec() };
        let resume = |held| Delivery::resume(&[held], |_| Some(current.clone())).next(7, Some(&current));
        assert_eq!(update(resume(held(4, &current.digest))), None);
        assert_eq!(update(resume(held(4, &[0; 32]))), Some((0, 4)), "another content is sent whole");
        assert_eq!(update(resume(held(3, &current.digest))), Some((0, 4)), "no base for an older one");
    }

    #[test]
    fn a_domain_that_goes_is_removed_once() {
        let mut delivery = Delivery::default();
        let _ = delivery.next(7, Some(&compiled(1)));
        assert_eq!(delivery.next(7, None), Some(Message::RemovedDomainId(7)));
        assert_eq!(delivery.next(7, None), None);
        assert!(!delivery.acked(7, 1), "the answer to what was sent before comes too late");
        assert_eq!(update(delivery.next(7, Some(&compiled(3)))), Some((0, 3)));
    }
}
