//! One agent's session: what it says goes to the fleet, what is new there goes to it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use ringfence_proto::v1::{self, agent_message::Message as FromAgent, controller_message::Message as ToAgent};
use tokio::sync::mpsc;
use tonic::{Status, Streaming};
use tracing::{debug, warn};

use crate::{
    controller::Controller,
    fleet::{Inbox, News, Question, delivery::Delivery},
};

/// Holds one agent's connection. Dropping it disconnects the host, however the connection ended.
pub(super) struct Session {
    controller: Arc<Controller>,
    host: String,
    inbox: Arc<Inbox>,
    delivery: Delivery,
    outgoing: mpsc::Sender<Result<v1::ControllerMessage, Status>>,
    /// Questions that the agent was sent and has not answered yet.
    asked: BTreeMap<u64, Question>,
    last_request: u64,
    synced: bool,
}

/// How a session ended.
pub(super) enum Ended {
    /// The agent closed the stream, or went away.
    Left,
    /// The stream broke, or the agent broke the protocol.
    Failed(Status),
    /// A newer connection of the same host took its place.
    Replaced,
}

// === impl Session ===

impl Session {
    /// Connects a host that has been registered.
    pub(super) fn new(
        controller: Arc<Controller>,
        hello: &v1::Hello,
        outgoing: mpsc::Sender<Result<v1::ControllerMessage, Status>>,
    ) -> Self {
        let (inbox, delivery) = {
            let mut fleet = controller.fleet();
            let inbox = fleet.connect(hello, Instant::now());
            (inbox, Delivery::resume(&hello.held, |domain| fleet.needed(&hello.host, domain)))
        };
        Self {
            controller,
            host: hello.host.clone(),
            inbox,
            delivery,
            outgoing,
            asked: BTreeMap::new(),
            last_request: 0,
            synced: false,
        }
    }

    /// Serves the agent until either side ends it.
    pub(super) async fn run(mut self, incoming: &mut Streaming<v1::AgentMessage>) -> Ended {
        loop {
            let step = tokio::select! {
                message = incoming.message() => match message {
                    Ok(Some(message)) => self.hear(message).await,
                    Ok(None) => Err(Ended::Left),
                    Err(status) => Err(Ended::Failed(status)),
                },
                news = self.inbox.take() => self.tell(news).await,
            };
            if let Err(ended) = step {
                return ended;
            }
        }
    }

    /// What the agent says.
    async fn hear(&mut self, message: v1::AgentMessage) -> Result<(), Ended> {
        match message.message {
            Some(FromAgent::Ack(v1::Ack { domain_id, generation: 0 })) => {
                debug!(domain_id, "removal acked");
                self.controller.fleet().removed(&self.host, domain_id);
            }
            Some(FromAgent::Ack(v1::Ack { domain_id, generation })) => {
                if self.delivery.acked(domain_id, generation) {
                    debug!(domain_id, generation, "acked");
                    let again = self.delivery.again();
                    {
                        let mut fleet = self.controller.fleet();
                        fleet.acked(&self.host, domain_id, generation, Instant::now());
                        fleet.offers_again(&self.host, &again);
                    }
                    self.update(domain_id).await?;
                    self.update_each(again).await?;
                } else {
                    warn!(domain_id, generation, "ack of what is not outstanding ignored");
                }
            }
            Some(FromAgent::Nack(v1::Nack { domain_id, generation, reason })) => {
                if self.delivery.nacked(domain_id, generation) {
                    warn!(domain_id, generation, %reason, "nacked");
                    self.controller.fleet().refused(&self.host, domain_id, generation, reason);
                    self.update(domain_id).await?;
                } else {
                    warn!(domain_id, generation, "nack of what is not outstanding ignored");
                }
            }
            Some(FromAgent::Devices(v1::Devices { enforced })) => {
                let devices = enforced.into_iter().map(|device| (device.interface_id, device.device)).collect();
                self.controller.fleet().enforces(&self.host, devices);
            }
            Some(FromAgent::PutBack(v1::PutBacks { put_back })) => {
                self.controller.fleet().puts_back(&self.host, put_back);
            }
            // Whoever asked may have given up.
            Some(FromAgent::Counters(report)) => match self.asked.remove(&report.request_id) {
                Some(Question::Counters(answer)) => _ = answer.send(report),
                _ => debug!("counters that nobody asked for ignored"),
            },
            Some(FromAgent::Trace(report)) => match self.asked.remove(&report.request_id) {
                Some(Question::Trace(_, answer)) => _ = answer.send(report),
                _ => debug!("a trace that nobody asked for ignored"),
            },
            Some(FromAgent::Hello(_)) => {
                return Err(Ended::Failed(Status::invalid_argument("an agent says hello once")));
            }
            // A message of a newer agent that this version does not know.
            None => debug!("unknown message ignored"),
        }
        Ok(())
    }

    /// What is new for the agent.
    async fn tell(&mut self, news: News) -> Result<(), Ended> {
        let News { domains, admission, questions, replaced } = news;
        if replaced {
            return Err(Ended::Replaced);
        }
        // What goes makes room for what comes: a device or a VNI may move from one to the other.
        let (needed, gone) = {
            let fleet = self.controller.fleet();
            domains.into_iter().partition(|domain| fleet.needed(&self.host, *domain).is_some())
        };
        self.update_each(gone).await?;
        self.update_each(needed).await?;
        let again = self.delivery.again();
        self.controller.fleet().offers_again(&self.host, &again);
        self.update_each(again).await?;
        if !self.synced {
            self.synced = true;
            self.send(ToAgent::Synced(v1::Synced {})).await?;
        }
        if admission {
            let interface_ids = self.controller.fleet().admitted(&self.host).into_iter().collect();
            self.send(ToAgent::Admission(v1::Admission { interface_ids })).await?;
        }
        self.asked.retain(|_, question| !question.is_abandoned());
        for question in questions {
            self.last_request += 1;
            let request_id = self.last_request;
            let message = match &question {
                Question::Counters(_) => ToAgent::Counters(v1::CountersAsked { request_id }),
                Question::Trace(asked, _) => ToAgent::Trace(v1::TraceAsked { request_id, ..asked.clone() }),
            };
            self.asked.insert(request_id, question);
            self.send(message).await?;
        }
        Ok(())
    }

    /// Sends what a domain's state, as it is now, asks for.
    async fn update(&mut self, domain: u32) -> Result<(), Ended> {
        let current = self.controller.fleet().needed(&self.host, domain);
        match self.delivery.next(domain, current.as_ref()) {
            Some(message) => self.send(message).await,
            None => {
                if current.is_none() {
                    // It came and went before the agent was told: there is nothing to remove.
                    self.controller.fleet().removed(&self.host, domain);
                }
                Ok(())
            }
        }
    }

    async fn update_each(&mut self, domains: BTreeSet<u32>) -> Result<(), Ended> {
        for domain in domains {
            self.update(domain).await?;
        }
        Ok(())
    }

    async fn send(&self, message: ToAgent) -> Result<(), Ended> {
        let message = v1::ControllerMessage { message: Some(message) };
        self.outgoing.send(Ok(message)).await.map_err(|_| Ended::Left)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.controller.fleet().disconnect(&self.host, &self.inbox);
    }
}
