//! An agent without a datapath: it holds bundles and says what a test tells it to.

use std::collections::BTreeMap;

use ringfence_policy::{bundle::Bundle, wire};
use ringfence_proto::v1::{
    self, agent_client::AgentClient, agent_message::Message as FromAgent, controller_message::Message as ToAgent,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming, transport::Channel};

use super::{A_WHILE, soon};

pub(crate) struct FakeAgent {
    outgoing: mpsc::Sender<v1::AgentMessage>,
    incoming: Streaming<v1::ControllerMessage>,
    /// What it enforces: every update that it acked.
    pub(crate) held: BTreeMap<u32, Bundle>,
    /// Updates seen, whole or change.
    pub(crate) updates: usize,
}

impl FakeAgent {
    pub(crate) async fn connect(channel: Channel, host: &str, underlay: &str, held: &[v1::HeldDomain]) -> Self {
        let (outgoing, messages) = mpsc::channel(16);
        let hello = v1::Hello {
            host: host.to_owned(),
            underlay: vec![underlay.to_owned()],
            version: "0.1.0".to_owned(),
            features: vec![wire::FEATURE_REMOVAL_ACK.to_owned()],
            held: held.to_vec(),
        };
        outgoing.send(v1::AgentMessage { message: Some(FromAgent::Hello(hello)) }).await.unwrap();
        let mut client = AgentClient::new(channel).max_decoding_message_size(usize::MAX);
        let stream = soon("the stream opens", client.sync(ReceiverStream::new(messages))).await.unwrap();
        Self { outgoing, incoming: stream.into_inner(), held: BTreeMap::new(), updates: 0 }
    }

    /// The next message, or how the stream ended.
    pub(crate) async fn receive(&mut self) -> Result<Option<ToAgent>, Status> {
        let message = soon("the controller says something", self.incoming.message()).await?;
        Ok(message.map(|message| message.message.unwrap()))
    }

    pub(crate) async fn next(&mut self) -> ToAgent {
        self.receive().await.unwrap().unwrap()
    }

    pub(crate) async fn next_update(&mut self) -> v1::DomainUpdate {
        loop {
            match self.next().await {
                ToAgent::Update(update) => {
                    self.updates += 1;
                    return update;
                }
                ToAgent::Synced(_) | ToAgent::Admission(_) => {}
                other => panic!("not an update: {other:?}"),
            }
        }
    }

    /// The next admission, past updates, which it enforces and acks.
    pub(crate) async fn next_admission(&mut self) -> Vec<u32> {
        loop {
            match self.next().await {
                ToAgent::Admission(admission) => return admission.interface_ids,
                ToAgent::Update(update) => self.enforce(update).await,
                ToAgent::Synced(_) => {}
                other => panic!("not an admission: {other:?}"),
            }
        }
    }

    /// Waits for the next update, enforces and acks it. Gives its generation.
    pub(crate) async fn follow(&mut self) -> u64 {
        let update = self.next_update().await;
        let generation = update.generation;
        self.enforce(update).await;
        generation
    }

    /// Enforces and acks until it holds a generation of a domain.
    pub(crate) async fn follow_to(&mut self, generation: u64) {
        while self.follow().await < generation {}
    }

    pub(crate) async fn enforce(&mut self, update: v1::DomainUpdate) {
        let (domain_id, generation, digest) = (update.domain_id, update.generation, update.digest.clone());
        let bundle = wire::apply_update(self.held.get(&domain_id), update).unwrap();
        assert_eq!(wire::digest(&bundle).to_vec(), digest, "the digest is of what the update leads to");
        self.held.insert(domain_id, bundle);
        self.send(FromAgent::Ack(v1::Ack { domain_id, generation })).await;
    }

    pub(crate) async fn refuse(&mut self, update: &v1::DomainUpdate, reason: &str) {
        let nack = v1::Nack { domain_id: update.domain_id, generation: update.generation, reason: reason.to_owned() };
        self.send(FromAgent::Nack(nack)).await;
    }

    pub(crate) async fn send(&self, message: FromAgent) {
        self.outgoing.send(v1::AgentMessage { message: Some(message) }).await.unwrap();
    }

    /// What it would say it holds when it connects again.
    pub(crate) fn holding(&self) -> Vec<v1::HeldDomain> {
        let held = self.held.values().map(|bundle| v1::HeldDomain {
            domain_id: bundle.domain_id,
            generation: bundle.generation,
            digest: wire::digest(bundle).to_vec(),
        });
        held.collect()
    }

    /// Nothing but admissions comes for a while.
    pub(crate) async fn is_sent_nothing(&mut self) {
        let quiet = async {
            loop {
                match self.next().await {
                    ToAgent::Admission(_) | ToAgent::Synced(_) => {}
                    other => return other,
                }
            }
        };
        if let Ok(message) = tokio::time::timeout(A_WHILE, quiet).await {
            panic!("nothing was to come, but: {message:?}");
        }
    }
}
