//! A controller in this process, served on a free port of the loopback, and agents that speak the real
//! protocol to it.

#![allow(clippy::unwrap_used, clippy::panic)]
#![allow(dead_code, reason = "every test file uses its part of it")]

mod agent;

pub(crate) use agent::FakeAgent;

use std::{
    future::Future,
    sync::{Arc, Weak},
    time::Duration,
};

use prost::Message as _;
use ringfence_controller::{
    controller::Controller,
    server::{ServeError, Server, Shutdown, ShutdownTrigger},
    store::{Memory, Store},
};
use ringfence_policy::{
    text::{self, SourceFile},
    wire,
};
use ringfence_proto::v1::{self, ringfence_client::RingfenceClient};
use tokio::task::JoinHandle;
use tonic::{Code, Status, transport::Channel};

/// Longer than anything here takes, also on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// Long enough for something that should not happen to happen.
pub(crate) const A_WHILE: Duration = Duration::from_millis(300);

/// How long interfaces wait, unless a test says otherwise: longer than any test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3600);

/// Two workloads on two hosts.
pub(crate) const SHOP: &str = r#"
{kind: Tenant, name: acme}
---
{kind: Domain, name: acme/prod}
---
{kind: Network, domain: acme/prod, name: front, subnets: [{cidr: 10.1.0.0/24, gateway: 10.1.0.1}]}
---
kind: Workload
domain: acme/prod
name: web-1
labels: {role: web}
interfaces: [{name: eth0, network: front, mac: "02:00:00:00:01:01", addresses: [10.1.0.11], host: h1}]
---
kind: Workload
domain: acme/prod
name: app-1
labels: {role: app}
interfaces: [{name: eth0, network: front, mac: "02:00:00:00:01:02", addresses: [10.1.0.12], host: h2}]
---
{kind: Segment, domain: acme/prod, name: web, match: {role: web}}
---
{kind: Segment, domain: acme/prod, name: app, match: {role: app}}
"#;

/// A policy that lets `web` reach `app` at a TCP port.
pub(crate) fn policy(port: u16) -> String {
    format!(
        "{{kind: Policy, domain: acme/prod, name: shop, rules: [{{name: to-app, from: [segment/web], \
         to: [segment/app], action: allow, traffic: [tcp/{port}]}}]}}\n"
    )
}

/// A running controller.
pub(crate) struct Api {
    pub(crate) client: RingfenceClient<Channel>,
    channel: Channel,
    trigger: ShutdownTrigger,
    served: JoinHandle<Result<(), ServeError>>,
    controller: Weak<Controller>,
}

impl Api {
    /// With an empty store in memory.
    pub(crate) async fn start() -> Self {
        Self::start_on(Box::new(Memory::default()), PATIENCE).await
    }

    /// With what this store holds.
    pub(crate) async fn start_on(store: Box<dyn Store>, patience: Duration) -> Self {
        let controller = Controller::open(store, patience).unwrap();
        let weak = Arc::downgrade(&controller);
        let server = Server::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let address = format!("http://{}", server.address());
        let (trigger, shutdown) = Shutdown::new();
        let served = tokio::spawn(server.serve(controller, shutdown));
        let channel = Channel::from_shared(address).unwrap().connect().await.unwrap();
        Self { client: RingfenceClient::new(channel.clone()), channel, trigger, served, controller: weak }
    }

    /// Stops it as a signal would, and waits until the store is closed.
    pub(crate) async fn stop(self) {
        self.trigger.begin();
        drop((self.client, self.channel));
        soon("the server stops", self.served).await.unwrap().unwrap();
        soon("the store closes", async {
            while self.controller.strong_count() > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    pub(crate) async fn apply(&mut self, yaml: &str) -> Result<v1::ApplyResponse, Status> {
        let request = v1::ApplyRequest { objects: objects(yaml), ..v1::ApplyRequest::default() };
        Ok(self.client.apply(request).await?.into_inner())
    }

    pub(crate) async fn delete(&mut self, keys: &[v1::ObjectKey]) -> Result<v1::DeleteResponse, Status> {
        let request = v1::DeleteRequest { keys: keys.to_vec(), if_revision: 0 };
        Ok(self.client.delete(request).await?.into_inner())
    }

    /// Of the store.
    pub(crate) async fn revision(&mut self) -> u64 {
        self.status().await.revision
    }

    pub(crate) async fn status(&mut self) -> v1::StatusResponse {
        self.client.status(v1::StatusRequest {}).await.unwrap().into_inner()
    }

    /// An agent that holds nothing. Hosts are `h1` … `h9`.
    pub(crate) async fn agent(&self, host: &str) -> FakeAgent {
        self.agent_holding(host, &[]).await
    }

    pub(crate) async fn agent_holding(&self, host: &str, held: &[v1::HeldDomain]) -> FakeAgent {
        let underlay = format!("192.0.2.{}", host.trim_start_matches('h'));
        self.agent_at(host, &underlay, held).await
    }

    pub(crate) async fn agent_at(&self, host: &str, underlay: &str, held: &[v1::HeldDomain]) -> FakeAgent {
        FakeAgent::connect(self.channel.clone(), host, underlay, held).await
    }

    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }
}

/// Objects as the command line sends them.
pub(crate) fn objects(yaml: &str) -> Vec<v1::Object> {
    let file = SourceFile { name: "test.yaml".to_owned(), text: yaml.to_owned() };
    let documents = text::parse(&[file]).unwrap();
    let objects = documents
        .iter()
        .map(|document| v1::Object { source: "test.yaml".to_owned(), ..wire::object_to_wire(&document.object) });
    objects.collect()
}

pub(crate) fn key(kind: v1::Kind, domain: &str, name: &str) -> v1::ObjectKey {
    v1::ObjectKey { kind: kind.into(), domain: domain.to_owned(), name: name.to_owned() }
}

/// What INVALID_ARGUMENT carries.
pub(crate) fn invalid(status: &Status) -> Vec<v1::Invalid> {
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    v1::InvalidList::decode(status.details()).unwrap().invalid
}

/// What a future gives, or a failure that says what did not happen.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(SOON, future).await {
        Ok(value) => value,
        Err(_) => panic!("not in time: {what}"),
    }
}
