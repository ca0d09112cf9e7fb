//! The service that agents connect to.

use std::sync::Arc;

use futures::StreamExt;
use ringfence_proto::v1::{
    self, agent_message::Message as FromAgent, agent_server::Agent, controller_message::Message as ToAgent,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use tracing::{Instrument, info, info_span, warn};

use super::{
    Answers, error,
    session::{Ended, Session},
};
use crate::{
    catalog::{Refusal, host::Registration},
    controller::{ChangeError, Controller},
    server::Shutdown,
};

/// Messages to an agent that may wait for the transport. More would only be memory: what a session has
/// to say is decided when there is room to say it.
const OUTGOING: usize = 4;

/// The service `ringfence.v1.Agent`.
pub struct AgentService {
    controller: Arc<Controller>,
    shutdown: Shutdown,
}

// === impl AgentService ===

impl AgentService {
    /// The service of a controller; its sessions end at the shutdown.
    pub fn new(controller: Arc<Controller>, shutdown: Shutdown) -> Self {
        Self { controller, shutdown }
    }
}

#[tonic::async_trait]
impl Agent for AgentService {
    type SyncStream = Answers<v1::ControllerMessage>;

    async fn sync(&self, request: Request<Streaming<v1::AgentMessage>>) -> Result<Response<Self::SyncStream>, Status> {
        let (outgoing, answers) = mpsc::channel(OUTGOING);
        let controller = self.controller.clone();
        let shutdown = self.shutdown.clone();
        tokio::spawn(async move {
            let incoming = request.into_inner();
            tokio::select! {
                () = serve(controller, incoming, &outgoing) => {}
                () = shutdown.begun() => {}
            }
        });
        Ok(Response::new(ReceiverStream::new(answers).boxed()))
    }
}

type Outgoing = mpsc::Sender<Result<v1::ControllerMessage, Status>>;

/// One connection of an agent, from its hello to its end.
async fn serve(controller: Arc<Controller>, mut incoming: Streaming<v1::AgentMessage>, outgoing: &Outgoing) {
    let hello = match greet(&mut incoming).await {
        Ok(hello) => hello,
        Err(status) => return give_up(outgoing, status).await,
    };
    let span = info_span!("agent", host = %hello.host);
    async {
        if let Err(failure) = register(&controller, &hello).await {
            return match failure {
                ChangeError::Refused(Refusal::Stale { .. }) | ChangeError::Store(_) | ChangeError::Abandoned(_) => {
                    give_up(outgoing, error::change(failure, |_| None)).await;
                }
                ChangeError::Refused(refusal) => refuse(outgoing, refusal.to_string()).await,
            };
        }
        let session = Session::new(controller, &hello, outgoing.clone());
        info!(version = %hello.version, held = hello.held.len(), "agent connected");
        match session.run(&mut incoming).await {
            Ended::Left => info!("agent disconnected"),
            Ended::Failed(status) => give_up(outgoing, status).await,
            Ended::Replaced => {
                warn!("agent replaced by a newer connection of the same host");
                refuse(outgoing, "a newer connection of this host took its place".to_owned()).await;
            }
        }
    }
    .instrument(span)
    .await;
}

/// The agent speaks first, and says hello.
async fn greet(incoming: &mut Streaming<v1::AgentMessage>) -> Result<v1::Hello, Status> {
    match incoming.message().await?.and_then(|first| first.message) {
        Some(FromAgent::Hello(hello)) => Ok(hello),
        _ => Err(Status::invalid_argument("the first message of an agent is its hello")),
    }
}

async fn register(controller: &Arc<Controller>, hello: &v1::Hello) -> Result<(), ChangeError> {
    let registration = Registration::new(&hello.host, &hello.underlay, &hello.version).map_err(Refusal::from)?;
    controller.register(registration, hello.held.clone()).await?;
    Ok(())
}

/// Tells the agent that it is refused; it would be refused again.
async fn refuse(outgoing: &Outgoing, reason: String) {
    warn!(%reason, "agent refused");
    // An agent that is gone needs no reason.
    let _ = outgoing.send(Ok(v1::ControllerMessage { message: Some(ToAgent::Refused(reason)) })).await;
}

/// Ends the stream with an error; the agent may try again.
async fn give_up(outgoing: &Outgoing, status: Status) {
    warn!(error = %status, "agent not served");
    // An agent that is gone needs no reason.
    let _ = outgoing.send(Err(status)).await;
}
