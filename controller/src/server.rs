//! The listener and what is served on it, from the first connection to the last.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use ringfence_proto::v1::{self, agent_server::AgentServer, ringfence_server::RingfenceServer};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use tonic::transport::{Server as Transport, server::TcpIncoming};
use tracing::{info, warn};

use crate::{
    controller::Controller,
    grpc::{AgentService, MAX_AGENT_MESSAGE, MAX_REQUEST, RingfenceService},
};

/// A peer that is silent for this long is asked whether it is there …
const KEEPALIVE: Duration = Duration::from_secs(10);
/// … and is gone when it does not answer for this long.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long connections may take to end at the shutdown. Streams end at once; this bounds the rest.
const DRAIN: Duration = Duration::from_secs(5);

/// Why the services cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}; check --listen")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The descriptors that reflection serves are damaged.
    #[error("cannot serve reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The transport failed.
    #[error("the server failed: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// Signals cannot be waited for.
    #[error("cannot wait for signals: {0}")]
    Signals(std::io::Error),
}

/// A listener that is not served yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

/// Tells when to stop. Clones tell the same.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Receiver<bool>);

/// Begins the shutdown when told to, or when dropped.
#[derive(Debug)]
pub struct ShutdownTrigger(watch::Sender<bool>);

// === impl Server ===

impl Server {
    /// Listens on an address; port 0 is any free one.
    ///
    /// # Errors
    /// When it cannot.
    pub async fn bind(address: SocketAddr) -> Result<Self, ServeError> {
        let failed = |source| ServeError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the shutdown, and then until every connection has ended or had its time to.
    ///
    /// # Errors
    /// When the transport fails.
    pub async fn serve(self, controller: Arc<Controller>, shutdown: Shutdown) -> Result<(), ServeError> {
        let (health, health_service) = tonic_health::server::health_reporter();
        health.set_serving::<RingfenceServer<RingfenceService>>().await;
        health.set_serving::<AgentServer<AgentService>>().await;
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(v1::FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .build_v1()?;
        let objects = RingfenceService::new(controller.clone(), shutdown.clone());
        let agents = AgentService::new(controller.clone(), shutdown.clone());
        let served = Transport::builder()
            .http2_keepalive_interval(Some(KEEPALIVE))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .add_service(health_service)
            .add_service(reflection)
            .add_service(RingfenceServer::new(objects).max_decoding_message_size(MAX_REQUEST))
            .add_service(AgentServer::new(agents).max_decoding_message_size(MAX_AGENT_MESSAGE))
            .serve_with_incoming_shutdown(
                TcpIncoming::from(self.listener).with_nodelay(Some(true)),
                shutdown.clone().begun(),
            );
        let overdue = async {
            shutdown.begun().await;
            tokio::time::sleep(DRAIN).await;
        };
        tokio::select! {
            result = served => result?,
            () = controller.admit_in_time() => {}
            () = overdue => warn!("connections still open after the drain"),
        }
        Ok(())
    }
}

// === impl Shutdown ===

impl Shutdown {
    /// A shutdown and what begins it.
    pub fn new() -> (ShutdownTrigger, Self) {
        let (trigger, shutdown) = watch::channel(false);
        (ShutdownTrigger(trigger), Self(shutdown))
    }

    /// Waits for the shutdown to begin.
    pub async fn begun(mut self) {
        // A trigger that is gone has no other meaning than to stop.
        let _ = self.0.wait_for(|begun| *begun).await;
    }
}

// === impl ShutdownTrigger ===

impl ShutdownTrigger {
    /// Begins the shutdown.
    pub fn begin(&self) {
        self.0.send_replace(true);
    }

    /// Begins the shutdown at SIGTERM or SIGINT.
    ///
    /// # Errors
    /// When they cannot be waited for.
    pub async fn begin_on_signal(self) -> Result<(), ServeError> {
        let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Signals)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Signals)?;
        let name = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        info!(signal = name, "stopping");
        self.begin();
        Ok(())
    }
}
