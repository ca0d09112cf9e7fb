//! Explaining a flow, and asking the host that sees it first.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures::future::join_all;
use ringfence_policy::{
    evaluate::{End, Flow, Traffic},
    explain::Explanation,
    model::Domain,
};
use ringfence_proto::v1;
use tokio::{sync::oneshot::Receiver, time::timeout};
use tonic::Status;

use crate::{
    controller::Controller,
    fleet::NotConnected,
    trace::{self, TraceError, Traced, agreement, first_host},
};

/// A host that was asked, and what it is held against.
struct Asked {
    host: Option<String>,
    explained: Explanation,
    answer: Option<Result<Receiver<v1::TraceReport>, NotConnected>>,
}

/// The explanation of every address pair and, if asked for, what the programs of a host say of it.
pub(super) async fn trace(
    controller: &Controller,
    request: v1::TraceRequest,
    patience: Duration,
) -> Result<v1::TraceResponse, Status> {
    // A clock before 1970 is 1970.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let refused = |error: TraceError| Status::invalid_argument(error.to_string());
    let (domain, generation, domain_id) = {
        let catalog = controller.catalog();
        let domain = trace::choose(catalog.model(), &request.domain).map_err(refused)?.clone();
        let name = domain.name();
        let generation = catalog.generation(name).unwrap_or_default();
        let domain_id = catalog.domain_id(name).unwrap_or_default();
        (domain, generation, domain_id)
    };
    // A large domain takes a while: neither the threads that serve nor who wants to commit waits for it.
    let explained = tokio::task::spawn_blocking(move || explain(domain, &request, now)).await;
    let ended = |_| Status::internal("the explanation ended early; this is a bug of the controller");
    let (traced, hosts) = explained.map_err(ended)?.map_err(refused)?;
    let mut response = traced.to_wire(generation);
    let asked: Vec<Asked> = {
        let fleet = controller.fleet();
        let ask = |(host, (flow, explained)): (Option<String>, (Flow, Explanation))| {
            let question = v1::TraceAsked { request_id: 0, domain_id, flow: Some(flow_to_wire(&flow)) };
            let answer = host.as_deref().map(|host| fleet.ask_trace(host, question));
            Asked { host, explained, answer }
        };
        hosts.into_iter().zip(traced.flows).map(ask).collect()
    };
    let answers = join_all(asked.into_iter().map(|asked| asked.live(generation, patience))).await;
    for (flow, live) in response.flows.iter_mut().zip(answers) {
        flow.live = Some(live);
    }
    Ok(response)
}

/// Every address pair explained, and the host to ask of each: none, unless hosts are to be asked.
fn explain(
    domain: Arc<Domain>,
    request: &v1::TraceRequest,
    now: u64,
) -> Result<(Traced, Vec<Option<String>>), TraceError> {
    let traced = trace::trace(domain, request, now)?;
    let asked = if request.live { traced.flows.as_slice() } else { &[] };
    let hosts = asked.iter().map(|(flow, _)| first_host(&traced.domain, flow)).collect();
    Ok((traced, hosts))
}

impl Asked {
    async fn live(self, generation: u64, patience: Duration) -> v1::LiveTrace {
        let Self { host, explained, answer } = self;
        let report = match answer {
            None => Err("neither end is on a host, and the domain has no uplink".to_owned()),
            Some(Err(NotConnected)) => Err(NotConnected.to_string()),
            Some(Ok(answer)) => match timeout(patience, answer).await {
                Ok(Ok(v1::TraceReport { verdict: Some(verdict), error, .. })) if error.is_empty() => Ok(verdict),
                Ok(Ok(report)) if report.error.is_empty() => {
                    Err("its agent gave an answer without a verdict".to_owned())
                }
                Ok(Ok(report)) => Err(report.error),
                Ok(Err(_)) => Err("its agent disconnected before it answered".to_owned()),
                Err(_) => Err(format!("its agent did not answer within {patience:?}")),
            },
        };
        let host = host.unwrap_or_default();
        match report {
            Err(error) => v1::LiveTrace { host, error, ..v1::LiveTrace::default() },
            Ok(verdict) => live_trace(host, generation, &explained, verdict),
        }
    }
}

fn live_trace(host: String, generation: u64, explained: &Explanation, verdict: v1::LiveVerdict) -> v1::LiveTrace {
    let agreement = agreement(explained, generation, &verdict);
    let side = |votes: bool, allows: bool, rule: &str| {
        let default = if allows { "default/allow" } else { "default/deny" };
        let rule = if rule.is_empty() { default } else { rule };
        (votes && verdict.judged).then(|| v1::TracedDecision { allows, rule: rule.to_owned() })
    };
    v1::LiveTrace {
        host,
        error: String::new(),
        generation: verdict.generation,
        from: side(explained.from.is_some(), verdict.from_allows, &verdict.from_rule_name),
        to: side(explained.to.is_some(), verdict.to_allows, &verdict.to_rule_name),
        hook: verdict.hook,
        passes: verdict.passes,
        reason: verdict.reason,
        target: verdict.target,
        agreement: agreement.into(),
    }
}

/// The host itself has no address here: it is known by where a packet comes from.
fn flow_to_wire(flow: &Flow) -> v1::TraceFlow {
    let bytes = |end| match end {
        End::Address(std::net::IpAddr::V4(address)) => address.octets().to_vec(),
        End::Address(std::net::IpAddr::V6(address)) => address.octets().to_vec(),
        End::Host => Vec::new(),
    };
    let number = match flow.traffic {
        Traffic::Tcp(port) | Traffic::Udp(port) | Traffic::Sctp(port) => port.into(),
        Traffic::Icmp(kind, code) | Traffic::Icmp6(kind, code) => u16::from_be_bytes([kind, code]).into(),
        Traffic::Other(_) => 0,
    };
    v1::TraceFlow {
        source: bytes(flow.source),
        destination: bytes(flow.destination),
        protocol: flow.traffic.protocol().into(),
        number,
    }
}
