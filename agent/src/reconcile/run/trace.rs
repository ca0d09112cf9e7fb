//! A flow that the controller asks about: the dry build of the programs answers, from the maps in force.

use ringfence_proto::v1;

use super::Reconciler;
use crate::{
    reconcile::machine::PassError,
    trace::{self, Unanswered},
};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum TraceError {
    #[error(transparent)]
    Unanswered(#[from] Unanswered),
    #[error(transparent)]
    Programs(#[from] PassError),
}

impl Reconciler {
    pub(super) fn take_trace(&mut self, asked: v1::TraceAsked) {
        let request_id = asked.request_id;
        let report = match self.trace(asked) {
            Ok(verdict) => v1::TraceReport { request_id, verdict: Some(verdict), error: String::new() },
            Err(error) => v1::TraceReport { request_id, verdict: None, error: error.to_string() },
        };
        self.answer(v1::agent_message::Message::Trace(report));
    }

    fn trace(&mut self, asked: v1::TraceAsked) -> Result<v1::LiveVerdict, TraceError> {
        let flow = trace::flow(asked.flow)?;
        let bundle = self.held.in_force(asked.domain_id).ok_or(Unanswered::Domain(asked.domain_id))?;
        let question = trace::question(bundle, &flow, self.machine.here())?;
        let decision = self.machine.ask(&question)?;
        let (_, image) = self.machine.maps().ok_or(PassError::NotLoaded)?;
        Ok(trace::verdict(bundle, image, self.machine.here(), question.hook, &decision))
    }
}
