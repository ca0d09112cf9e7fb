//! Explaining a flow, and asking the host that sees it first.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures::future::join_all;
use ringfence_policy::{
    evaluate::{End, Flow, Traffic},
    explain::Explanation,
};
use ringfence_proto::v1;
use tokio::{sync::oneshot::Receiver, time::timeout};
use tonic::Status;

use crate::{
    controller::Controller,
    fleet::NotConnected,
    trace::{self, agreement, first_host},
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
    request: &v1::TraceRequest,
    patience: Duration,
) -> Result<v1::TraceResponse, Status> {
    // A clock before 1970 is 1970.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (mut response, asked) = {
        let catalog = controller.catalog();
        let traced =
            trace::trace(catalog.model(), request, now).map_err(|error| Status::invalid_argument(error.to_string()))?;
        let name = traced.domain.name();
        let fleet = controller.fleet();
        let generation = fleet.domain(name).map_or(0, |view| view.generation);
        let domain_id = catalog.domain_id(name).unwrap_or_default();
        let ask = |(flow, explained): &(Flow, Explanation)| {
            let host = first_host(traced.domain, flow);
            let question = v1::TraceAsked { request_id: 0, domain_id, flow: Some(flow_to_wire(flow)) };
            let answer = host.as_deref().map(|host| fleet.ask_trace(host, question));
            Asked { host, explained: explained.clone(), answer }
        };
        let asked: Vec<Asked> = if request.live { traced.flows.iter().map(ask).collect() } else { Vec::new() };
        (traced.to_wire(generation), asked)
    };
    let generation = response.generation;
    let answers = join_all(asked.into_iter().map(|asked| asked.live(generation, patience))).await;
    for (flow, live) in response.flows.iter_mut().zip(answers) {
        flow.live = Some(live);
    }
    Ok(response)
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
