//! An agent that speaks the protocol and enforces nothing.

use ringfence_proto::v1::{
    self, agent_client::AgentClient, agent_message::Message as Says, controller_message::Message as Hears,
};
use tokio::{runtime::Runtime, sync::mpsc};
use tokio_stream::{StreamExt, wrappers::UnboundedReceiverStream};

/// What it does with a generation.
#[derive(Clone, Copy)]
pub(crate) enum Answer {
    /// Acks it, and says that its devices enforce.
    Ack,
    /// Nacks it for this reason.
    Nack(&'static str),
    /// Says nothing.
    Nothing,
}

/// Connected until dropped.
pub(crate) struct Agent {
    // Dropping it ends the connection.
    _runtime: Runtime,
}

impl Agent {
    pub(crate) fn start(controller: &super::Controller, host: &'static str, answer: Answer) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let url = controller.url();
        runtime.spawn(serve(url, host, answer));
        controller.until("status -o json", |run| {
            let hosts = run.json()["hosts"].clone();
            hosts.as_array().unwrap().iter().any(|known| known["name"] == host && known["connected"] == true)
        });
        Self { _runtime: runtime }
    }
}

async fn serve(url: String, host: &'static str, answer: Answer) {
    let (says, outgoing) = mpsc::unbounded_channel();
    let say = |message| says.send(v1::AgentMessage { message: Some(message) }).unwrap();
    let underlay = vec![format!("192.0.2.{}", host.trim_start_matches('h'))];
    say(Says::Hello(v1::Hello { host: host.into(), underlay, version: "0.1.0".into(), ..Default::default() }));
    let mut enforced_generation = 0;
    let mut client = AgentClient::connect(url).await.unwrap();
    let mut hears = client.sync(UnboundedReceiverStream::new(outgoing)).await.unwrap().into_inner();
    while let Some(Ok(v1::ControllerMessage { message: Some(message) })) = hears.next().await {
        match (message, answer) {
            (Hears::Update(update), Answer::Ack) => {
                let (domain_id, generation) = (update.domain_id, update.generation);
                enforced_generation = generation;
                say(Says::Ack(v1::Ack { domain_id, generation }));
                let ours = update.interfaces.into_iter().filter(|interface| interface.host == host);
                let enforced = ours.map(|ours| v1::EnforcedDevice { interface_id: ours.id, device: ours.device });
                say(Says::Devices(v1::Devices { enforced: enforced.collect() }));
            }
            (Hears::Update(update), Answer::Nack(reason)) => {
                let (domain_id, generation) = (update.domain_id, update.generation);
                say(Says::Nack(v1::Nack { domain_id, generation, reason: reason.into() }));
            }
            (Hears::Counters(asked), Answer::Ack) => {
                let drops = vec![v1::DropCounter { reason: "unknown_device".into(), packets: 3 }];
                let device = v1::DeviceCounters { device: "tap-x".into(), drops, ..Default::default() };
                say(Says::Counters(v1::CountersReport {
                    request_id: asked.request_id,
                    devices: vec![device],
                    ..Default::default()
                }));
            }
            (Hears::Trace(asked), Answer::Ack) => {
                let rule = || "shop/to-app".to_owned();
                let verdict = v1::LiveVerdict {
                    generation: enforced_generation,
                    hook: "from_workload".into(),
                    passes: true,
                    judged: true,
                    from_allows: true,
                    to_allows: true,
                    from_rule_name: rule(),
                    to_rule_name: rule(),
                    target: "overlay h2".into(),
                    ..Default::default()
                };
                let (request_id, verdict) = (asked.request_id, Some(verdict));
                say(Says::Trace(v1::TraceReport { request_id, verdict, ..Default::default() }));
            }
            _ => {}
        }
    }
}
