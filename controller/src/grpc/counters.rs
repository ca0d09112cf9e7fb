//! Asking hosts for their counters.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures::future::join_all;
use ringfence_proto::v1;
use tokio::{
    sync::oneshot::Receiver,
    time::{Instant, timeout_at},
};

use crate::{
    controller::Controller,
    fleet::{Compiled, NotConnected},
};

/// What the numbers that agents report stand for.
#[derive(Default)]
struct Names {
    owners: BTreeMap<u32, Owner>,
    domains: BTreeMap<u32, Arc<Compiled>>,
}

/// Who an interface belongs to.
#[derive(Clone)]
struct Owner {
    domain: String,
    workload: String,
    interface: String,
}

/// The counters of a domain (empty: all) on a host (empty: all). Every host is asked at once and has
/// the same time to answer.
pub(super) async fn collect(
    controller: &Controller,
    domain: &str,
    host: &str,
    timeout: Duration,
) -> v1::CountersResponse {
    let (names, questions) = ask(controller, domain, host);
    let deadline = Instant::now() + timeout;
    let answers = questions.into_iter().map(|(host, question)| async move {
        let answer = match question {
            Err(NotConnected) => Err(NotConnected.to_string()),
            Ok(answer) => match timeout_at(deadline, answer).await {
                Ok(Ok(report)) => Ok(report),
                Ok(Err(_)) => Err("its agent disconnected before it answered".to_owned()),
                Err(_) => Err(format!("its agent did not answer within {timeout:?}")),
            },
        };
        (host, answer)
    });
    let mut response = v1::CountersResponse::default();
    for (host, answer) in join_all(answers).await {
        match answer {
            Ok(v1::CountersReport { request_id: _, devices, audit, accounts }) => {
                let rows = devices.into_iter().map(|device| row(&host, device, &names.owners));
                response.interfaces.extend(rows.filter(|row| domain.is_empty() || row.domain == domain));
                let rows = accounts.into_iter().filter_map(|account| connections(&host, account, &names.owners));
                response.connections.extend(rows.filter(|row| domain.is_empty() || row.domain == domain));
                response.audit.extend(audit.into_iter().filter_map(|counter| audited(&host, &counter, &names)));
            }
            Err(message) => response.errors.push(v1::HostError { host, message }),
        }
    }
    response
}

type Questions = BTreeMap<String, Result<Receiver<v1::CountersReport>, NotConnected>>;

/// Asks every host concerned, and notes what the numbers of these domains stand for.
fn ask(controller: &Controller, domain: &str, host: &str) -> (Names, Questions) {
    let fleet = controller.fleet();
    let wanted = fleet.domain_names().filter(|name| domain.is_empty() || *name == domain);
    let mut names = Names::default();
    let mut hosts: BTreeSet<String> = BTreeSet::new();
    for name in wanted {
        names.domains.extend(fleet.published(name).map(|compiled| (compiled.bundle.domain_id, compiled)));
        for view in fleet.interfaces(name) {
            let owner = Owner {
                domain: name.to_owned(),
                workload: view.interface.workload.clone(),
                interface: view.interface.name.clone(),
            };
            names.owners.insert(view.interface.id, owner);
        }
        hosts.extend(fleet.domain(name).into_iter().flat_map(|view| view.hosts).map(|progress| progress.host));
    }
    if domain.is_empty() {
        hosts.extend(fleet.hosts().into_keys().map(str::to_owned));
    }
    if !host.is_empty() {
        // Asked for by name: an answer or an error, never silence.
        hosts = BTreeSet::from([host.to_owned()]);
    }
    let questions = hosts.into_iter().map(|host| {
        let question = fleet.ask(&host);
        (host, question)
    });
    let questions = questions.collect();
    (names, questions)
}

/// A count by name; `None`: of a domain that was not asked about.
fn audited(host: &str, counter: &v1::AuditCounter, names: &Names) -> Option<v1::RuleAudit> {
    let v1::AuditCounter { domain_id, rule_id, allows, judgements } = *counter;
    let bundle = &names.domains.get(&domain_id)?.bundle;
    let rule = bundle.policy.rules.iter().find(|rule| rule.id == rule_id);
    Some(v1::RuleAudit {
        host: host.to_owned(),
        domain: bundle.name.clone(),
        rule: rule.map(|rule| rule.name.clone()).unwrap_or_default(),
        allows,
        judgements,
    })
}

fn row(host: &str, device: v1::DeviceCounters, owners: &BTreeMap<u32, Owner>) -> v1::InterfaceCounters {
    let v1::DeviceCounters { interface_id, device, passed_from, passed_to, drops, passed_built_in } = device;
    let owner = owners.get(&interface_id);
    let of = |part: fn(&Owner) -> &String| owner.map(part).cloned().unwrap_or_default();
    v1::InterfaceCounters {
        host: host.to_owned(),
        domain: of(|owner| &owner.domain),
        workload: of(|owner| &owner.workload),
        interface: of(|owner| &owner.interface),
        device,
        passed_from,
        passed_to,
        drops,
        passed_built_in,
    }
}

/// `None`: of an interface that is gone, or of a domain that was not asked about.
fn connections(
    host: &str,
    account: v1::AccountCounters,
    owners: &BTreeMap<u32, Owner>,
) -> Option<v1::InterfaceConnections> {
    let v1::AccountCounters { interface_id, own, inbound, outside, filled_by } = account;
    let Owner { domain, workload, interface } = owners.get(&interface_id)?;
    let share = |v1::OriginatorCounter { interface_id, connections }| {
        let Owner { domain, workload, interface } = owners.get(&interface_id)?.clone();
        Some(v1::InboundShare { domain, workload, interface, connections })
    };
    Some(v1::InterfaceConnections {
        host: host.to_owned(),
        domain: domain.clone(),
        workload: workload.clone(),
        interface: interface.clone(),
        own,
        inbound,
        outside,
        filled_by: filled_by.into_iter().filter_map(share).collect(),
    })
}
