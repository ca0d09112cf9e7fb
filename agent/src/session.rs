//! The stream to the controller: Hello, updates in, answers out, again and again.
//!
//! It decides nothing. Without a controller the host enforces what it has; the stream is tried again after a delay that
//! doubles up to [`LONGEST_DELAY`].

use std::{net::IpAddr, time::Duration};

use ringfence_policy::wire::FEATURE_REMOVAL_ACK;
use ringfence_proto::v1::{self, agent_client::AgentClient, agent_message, controller_message};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;

use crate::{lower::admit::FEATURES, reconcile::Event};

const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A dead controller is noticed within twice this time.
const KEEPALIVE: Duration = Duration::from_secs(5);
/// Answers under way; the loop's queue holds the rest.
const IN_FLIGHT: usize = 64;
/// A whole domain fits; the default of 4 MiB does not hold one of 10,000 workloads.
const LARGEST_MESSAGE: usize = 256 << 20;

/// Who this agent is.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The host's name.
    pub host: String,
    /// Its underlay addresses.
    pub underlay: Vec<IpAddr>,
}

/// The session's ends of the loop's channels.
#[derive(Debug)]
pub struct Channels {
    /// To the loop.
    pub events: mpsc::Sender<Event>,
    /// Acks, nacks, counters and traces.
    pub answers: mpsc::UnboundedReceiver<v1::AgentMessage>,
    /// What is enforced; `None` before the first pass.
    pub held: watch::Receiver<Option<Vec<v1::HeldDomain>>>,
    /// Interfaces whose device enforces.
    pub devices: watch::Receiver<v1::Devices>,
    /// What somebody else changed here, and was put back.
    pub put_back: watch::Receiver<v1::PutBacks>,
}

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("cannot connect: {0}")]
    Connect(#[from] tonic::transport::Error),
    #[error("the controller says: {0}")]
    Status(Box<tonic::Status>),
    #[error("the controller refuses this agent: {0}")]
    Refused(String),
    #[error("the controller ended the stream")]
    Closed,
    #[error("the agent ends")]
    Stopping,
}

impl From<tonic::Status> for Ended {
    fn from(status: tonic::Status) -> Self {
        Self::Status(Box::new(status))
    }
}

/// Keeps a stream to the controller until the loop is gone.
pub async fn run(endpoint: Endpoint, identity: Identity, mut channels: Channels) {
    let endpoint = endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .keep_alive_while_idle(true);
    let mut delay = FIRST_DELAY;
    loop {
        let mut synced = false;
        let ended = stream(&endpoint, &identity, &mut channels, &mut synced).await;
        let Err(reason) = ended;
        if matches!(reason, Ended::Stopping) {
            return;
        }
        if synced {
            delay = FIRST_DELAY;
        }
        // One line for each loss; the attempts after it are told only to who asks.
        if delay == FIRST_DELAY {
            tracing::warn!(%reason, "no controller; what is held stays enforced");
        } else {
            tracing::debug!(%reason, ?delay, "no controller yet");
        }
        tokio::time::sleep(delay).await;
        delay = (delay * 2).min(LONGEST_DELAY);
    }
}

async fn stream(
    endpoint: &Endpoint,
    identity: &Identity,
    channels: &mut Channels,
    synced: &mut bool,
) -> Result<std::convert::Infallible, Ended> {
    let mut client = AgentClient::new(endpoint.connect().await?).max_decoding_message_size(LARGEST_MESSAGE);
    let (out, outgoing) = mpsc::channel(IN_FLIGHT);
    // Answers to a stream that ended are not for this one: Hello tells what is held.
    while channels.answers.try_recv().is_ok() {}
    let hello = hello(identity, channels.held.borrow_and_update().clone().unwrap_or_default());
    send(&out, agent_message::Message::Hello(hello)).await?;
    let mut incoming = client.sync(ReceiverStream::new(outgoing)).await?.into_inner();
    let devices = channels.devices.borrow_and_update().clone();
    send(&out, agent_message::Message::Devices(devices)).await?;
    let put_back = channels.put_back.borrow_and_update().clone();
    send(&out, agent_message::Message::PutBack(put_back)).await?;
    tracing::info!(controller = %endpoint.uri(), "connected");
    loop {
        tokio::select! {
            message = incoming.message() => {
                let message = message?.ok_or(Ended::Closed)?;
                match message.message {
                    Some(controller_message::Message::Synced(_)) => *synced = true,
                    Some(controller_message::Message::Refused(reason)) => return Err(Ended::Refused(reason)),
                    Some(message) => pass_on(&channels.events, message).await?,
                    // A newer controller's word that this agent does not know asks nothing of it.
                    None => {}
                }
            }
            answer = channels.answers.recv() => {
                out.send(answer.ok_or(Ended::Stopping)?).await.map_err(|_| Ended::Closed)?;
            }
            changed = channels.devices.changed() => {
                changed.map_err(|_| Ended::Stopping)?;
                let devices = channels.devices.borrow_and_update().clone();
                send(&out, agent_message::Message::Devices(devices)).await?;
            }
            changed = channels.put_back.changed() => {
                changed.map_err(|_| Ended::Stopping)?;
                let put_back = channels.put_back.borrow_and_update().clone();
                send(&out, agent_message::Message::PutBack(put_back)).await?;
            }
        }
    }
}

fn hello(identity: &Identity, held: Vec<v1::HeldDomain>) -> v1::Hello {
    v1::Hello {
        host: identity.host.clone(),
        underlay: identity.underlay.iter().map(ToString::to_string).collect(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        features: FEATURES.iter().chain([&FEATURE_REMOVAL_ACK]).map(ToString::to_string).collect(),
        held,
    }
}

async fn pass_on(events: &mpsc::Sender<Event>, message: controller_message::Message) -> Result<(), Ended> {
    let event = match message {
        controller_message::Message::Update(update) => Event::Update(Box::new(update)),
        controller_message::Message::RemovedDomainId(id) => Event::Removed(id),
        controller_message::Message::Admission(admission) => Event::Admission(admission.interface_ids),
        controller_message::Message::Counters(asked) => Event::Counters(asked.request_id),
        controller_message::Message::Trace(asked) => Event::Trace(asked),
        controller_message::Message::Synced(_) | controller_message::Message::Refused(_) => return Ok(()),
    };
    events.send(event).await.map_err(|_| Ended::Stopping)
}

async fn send(out: &mpsc::Sender<v1::AgentMessage>, message: agent_message::Message) -> Result<(), Ended> {
    out.send(v1::AgentMessage { message: Some(message) }).await.map_err(|_| Ended::Closed)
}
