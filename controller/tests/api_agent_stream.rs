//! The agent stream as an agent sees it.
#![allow(clippy::unwrap_used, clippy::panic)]

mod api_support;

use std::time::Duration;

use api_support::{Api, FakeAgent, PATIENCE, SHOP, key, policy, soon};
use ringfence_controller::store::{Disk, Memory};
use ringfence_proto::v1::{
    self, Kind, agent_message::Message as FromAgent, controller_message::Message as ToAgent, interface_status::State,
};
use tonic::Code;

const H3: &str = r#"
{kind: Workload, domain: acme/prod, name: db-1, labels: {role: db}, interfaces:
 [{name: eth0, network: front, mac: "02:00:00:00:01:03", addresses: [10.1.0.13], host: h3}]}
"#;

async fn shop() -> Api {
    let mut api = Api::start().await;
    api.apply(SHOP).await.unwrap();
    api
}

/// An agent that has all there is.
async fn synced(api: &Api, host: &str) -> FakeAgent {
    let mut agent = api.agent(host).await;
    agent.follow().await;
    agent
}

/// The number of a workload's only interface.
fn interface_of(agent: &FakeAgent, workload: &str) -> u32 {
    let mut interfaces = agent.held.values().flat_map(|bundle| &bundle.interfaces);
    interfaces.find(|interface| interface.workload == workload).unwrap().id
}

/// What the controller refuses an agent with, as the last word of the stream.
async fn refused(agent: &mut FakeAgent) -> String {
    loop {
        if let ToAgent::Refused(reason) = agent.next().await {
            assert!(agent.receive().await.unwrap().is_none(), "nothing follows");
            return reason;
        }
    }
}

#[tokio::test]
async fn an_agent_gets_its_domains_then_synced_then_its_admission() {
    let api = shop().await;
    let mut agent = api.agent("h1").await;
    let ToAgent::Update(update) = agent.next().await else { panic!("the update comes first") };
    assert_eq!((update.name.as_str(), update.base_generation, update.interfaces.len()), ("acme/prod", 0, 2));
    assert_eq!(agent.next().await, ToAgent::Synced(v1::Synced {}));
    assert!(matches!(agent.next().await, ToAgent::Admission(_)));
    api.stop().await;
}

#[tokio::test]
async fn an_agent_gets_only_the_domains_that_its_host_needs() {
    let mut api = shop().await;
    api.apply("{kind: Domain, name: acme/dev}").await.unwrap();
    let mut agent = api.agent("h9").await;
    assert_eq!(agent.next().await, ToAgent::Synced(v1::Synced {}));
    agent.is_sent_nothing().await;
    api.stop().await;
}

#[tokio::test]
async fn a_host_with_the_uplink_and_no_interface_needs_the_domain() {
    let mut api = shop().await;
    let mut agent = api.agent("h9").await;
    agent.is_sent_nothing().await;
    let uplink = "{kind: Domain, name: acme/prod, uplink: {host: h9, device: out, addresses: [192.0.2.2/24], nextHops: [192.0.2.1]}}";
    api.apply(uplink).await.unwrap();
    assert_eq!(agent.next_update().await.topology.unwrap().uplink.unwrap().host, "h9");
    api.stop().await;
}

#[tokio::test]
async fn registering_tells_the_others_where_to_tunnel_to() {
    let api = shop().await;
    let mut first = synced(&api, "h1").await;
    let _second = api.agent("h2").await;
    let update = first.next_update().await;
    assert_ne!(update.base_generation, 0, "a change, not the whole");
    let hosts = update.topology.unwrap().hosts;
    let underlay: Vec<_> = hosts.iter().map(|host| (host.name.as_str(), host.underlay.len())).collect();
    assert_eq!(underlay, [("h1", 1), ("h2", 1)]);
    api.stop().await;
}

#[tokio::test]
async fn registering_the_same_again_changes_no_generation() {
    let mut api = shop().await;
    drop(synced(&api, "h1").await);
    let before = api.revision().await;
    let mut again = synced(&api, "h1").await;
    again.is_sent_nothing().await;
    assert_eq!(api.revision().await, before);
    api.stop().await;
}

#[tokio::test]
async fn a_change_is_sent_as_a_change() {
    let mut api = shop().await;
    let mut agent = synced(&api, "h1").await;
    let applied = api.apply(&policy(8080)).await.unwrap();
    let update = agent.next_update().await;
    assert_eq!(update.generation, applied.generations[0].generation);
    assert_eq!(update.base_generation, agent.held.values().next().unwrap().generation);
    assert!(update.topology.is_none(), "only the policy changed");
    agent.enforce(update).await;
    agent.is_sent_nothing().await;
    api.stop().await;
}

#[tokio::test]
async fn one_update_is_outstanding_and_a_slow_agent_skips_to_the_latest_state() {
    let mut api = shop().await;
    let mut agent = synced(&api, "h1").await;
    let mut last = 0;
    for port in 1..=200 {
        last = api.apply(&policy(port)).await.unwrap().generations[0].generation;
    }
    let first = agent.next_update().await;
    agent.is_sent_nothing().await;
    agent.enforce(first).await;
    agent.follow_to(last).await;
    assert!(agent.updates <= 3, "200 commits cost a slow agent {} updates", agent.updates);

    let mut fresh = synced(&api, "h1").await;
    assert_eq!(agent.held, fresh.held, "history does not matter");
    fresh.is_sent_nothing().await;
    api.stop().await;
}

#[tokio::test]
async fn an_agent_that_comes_back_with_what_is_current_is_sent_nothing() {
    let mut api = shop().await;
    let agent = synced(&api, "h1").await;
    let (held, holding) = (agent.held.clone(), agent.holding());
    drop(agent);
    let mut back = api.agent_holding("h1", &holding).await;
    back.is_sent_nothing().await;

    back.held = held;
    api.apply(&policy(8080)).await.unwrap();
    let update = back.next_update().await;
    assert_eq!(update.base_generation, holding[0].generation, "it resumes from what it held");
    back.enforce(update).await;
    api.stop().await;
}

#[tokio::test]
async fn an_agent_resumes_across_a_restart_of_the_controller() {
    let directory = tempfile::tempdir().unwrap();
    let mut api = Api::start_on(Box::new(Disk::open(directory.path()).unwrap()), PATIENCE).await;
    api.apply(SHOP).await.unwrap();
    let agent = synced(&api, "h1").await;
    api.stop().await;
    let api = Api::start_on(Box::new(Disk::open(directory.path()).unwrap()), PATIENCE).await;
    let mut back = api.agent_holding("h1", &agent.holding()).await;
    assert_eq!(back.next().await, ToAgent::Synced(v1::Synced {}));
    back.is_sent_nothing().await;
    drop(back);
    api.stop().await;
}

#[tokio::test]
async fn an_agent_that_holds_another_content_is_sent_the_whole() {
    let mut api = shop().await;
    let agent = synced(&api, "h1").await;
    let mut holding = agent.holding();
    holding[0].digest[0] ^= 1;
    let mut back = api.agent_holding("h1", &holding).await;
    assert_eq!(back.next_update().await.base_generation, 0);
    assert_eq!(api.status().await.domains[0].hosts[0].acked, 0, "what it holds is no generation of ours");
    api.stop().await;
}

#[tokio::test]
async fn what_an_agent_holds_and_no_longer_needs_is_removed() {
    let mut api = shop().await;
    let agent = synced(&api, "h1").await;
    let (id, holding) = (*agent.held.keys().next().unwrap(), agent.holding());
    drop(agent);
    api.delete(&[key(Kind::Workload, "acme/prod", "web-1")]).await.unwrap();
    let mut agent = api.agent_holding("h1", &holding).await;
    assert_eq!(agent.next().await, ToAgent::RemovedDomainId(id));
    assert_eq!(agent.next().await, ToAgent::Synced(v1::Synced {}));
    api.stop().await;
}

#[tokio::test]
async fn a_store_that_is_older_than_what_a_host_enforces_takes_nothing_from_it() {
    let mut api = shop().await;
    let mut agent = synced(&api, "h1").await;
    api.apply(&policy(8080)).await.unwrap();
    let generation = agent.follow().await;
    let holding = agent.holding();
    api.stop().await;

    // Lost: no domain has that number. Put back: the domain is there, not the generation.
    for mut api in [Api::start().await, shop().await] {
        let revision = api.revision().await;
        let reason = refused(&mut api.agent_holding("h1", &holding).await).await;
        for part in
            [&format!("generation {generation} of"), &format!("at revision {revision}"), "backup", "--state-dir"]
        {
            assert!(reason.contains(part), "{part:?} in: {reason}");
        }
        assert_eq!(api.revision().await, revision, "nothing was registered");
        api.stop().await;
    }
}

#[tokio::test]
async fn a_domain_whose_last_interface_leaves_a_host_is_removed_there() {
    let mut api = shop().await;
    let mut agent = synced(&api, "h1").await;
    let id = *agent.held.keys().next().unwrap();
    api.delete(&[key(Kind::Workload, "acme/prod", "web-1")]).await.unwrap();
    let removed = async {
        loop {
            match agent.next().await {
                ToAgent::Synced(_) | ToAgent::Admission(_) => {}
                other => return other,
            }
        }
    };
    assert_eq!(removed.await, ToAgent::RemovedDomainId(id));
    agent.send(FromAgent::Ack(v1::Ack { domain_id: id, generation: 0 })).await;
    agent.is_sent_nothing().await;
    let status = api.status().await;
    let hosts: Vec<_> = status.domains[0].hosts.iter().map(|host| host.host.as_str()).collect();
    assert_eq!(hosts, ["h2"]);
    api.stop().await;
}

#[tokio::test]
async fn a_nacked_generation_is_not_sent_again_and_the_next_is() {
    let mut api = shop().await;
    let mut agent = synced(&api, "h1").await;
    let held = agent.held.values().next().unwrap().generation;
    api.apply(&policy(8080)).await.unwrap();
    let update = agent.next_update().await;
    agent.refuse(&update, "feature `x` is unknown").await;
    agent.is_sent_nothing().await;
    let status = api.status().await;
    let host = &status.domains[0].hosts[0];
    assert_eq!((host.acked, host.nacked.as_str()), (held, "feature `x` is unknown"));

    api.apply(&policy(9090)).await.unwrap();
    let update = agent.next_update().await;
    assert_eq!(update.base_generation, 0, "whole: the base may be what was wrong");
    agent.enforce(update).await;
    api.stop().await;
}

/// A domain with one workload on h1, with this device.
fn one_device(domain: &str, vni: u32, device: &str) -> String {
    format!(
        "{{kind: Domain, name: acme/{domain}}}\n---\n\
         {{kind: Network, domain: acme/{domain}, name: n, vni: {vni}, subnets: [{{cidr: 10.1.0.0/24, gateway: 10.1.0.1}}]}}\n---\n\
         {{kind: Workload, domain: acme/{domain}, name: w, interfaces: [{{name: eth0, network: n, \
         mac: \"02:00:00:00:00:01\", addresses: [10.1.0.9], host: h1, device: {device}}}]}}\n---\n"
    )
}

#[tokio::test]
async fn a_device_that_moves_between_domains_arrives_once_the_other_gave_it_up() {
    let mut api = Api::start().await;
    let tenant = "{kind: Tenant, name: acme}\n---\n";
    let before = format!("{tenant}{}{}", one_device("a", 50, "tap1"), one_device("b", 60, "tap2"));
    api.apply(&before).await.unwrap();
    let mut agent = synced(&api, "h1").await;
    agent.follow().await;
    agent.is_sent_nothing().await;

    let after = format!("{}{}", one_device("a", 50, "tap2"), one_device("b", 60, "tap3"));
    let applied = api.apply(&after).await.unwrap();
    let update = agent.next_update().await;
    assert_eq!(update.name, "acme/a", "by ascending id");
    agent.refuse(&update, "device \"tap2\" is claimed by acme/b").await;
    let update = agent.next_update().await;
    assert_eq!(update.name, "acme/b");
    agent.enforce(update).await;
    let update = agent.next_update().await;
    assert_eq!((update.name.as_str(), update.generation), ("acme/a", applied.generations[0].generation));
    let hosts = api.status().await.domains.remove(0).hosts;
    assert_eq!(hosts[0].nacked, "", "it is not refused: it is asked again");
    agent.refuse(&update, "device \"tap2\" is claimed all the same").await;
    agent.is_sent_nothing().await;
    api.stop().await;
}

#[tokio::test]
async fn a_domain_that_goes_is_removed_before_another_takes_its_device() {
    let mut api = Api::start().await;
    let tenant = "{kind: Tenant, name: acme}\n---\n";
    api.apply(&format!("{tenant}{}{}", one_device("a", 50, "tap1"), one_device("b", 60, "tap2"))).await.unwrap();
    let mut agent = synced(&api, "h1").await;
    agent.follow().await;
    agent.is_sent_nothing().await;
    api.apply(&one_device("a", 50, "tap3")).await.unwrap();
    let update = agent.next_update().await;
    agent.refuse(&update, "device \"tap3\" is claimed").await;
    agent.is_sent_nothing().await;
    api.delete(&[key(Kind::Workload, "acme/b", "w")]).await.unwrap();
    assert!(matches!(agent.next().await, ToAgent::RemovedDomainId(2)));
    assert_eq!(agent.next_update().await.name, "acme/a");
    api.stop().await;
}

#[tokio::test]
async fn a_newer_connection_of_a_host_takes_the_place_of_the_older() {
    let mut api = shop().await;
    let mut older = synced(&api, "h1").await;
    let mut newer = synced(&api, "h1").await;
    assert!(refused(&mut older).await.contains("newer connection"));
    api.apply(&policy(8080)).await.unwrap();
    newer.follow().await;
    assert!(api.status().await.hosts[0].connected, "the end of the older does not disconnect the host");
    api.stop().await;
}

#[tokio::test]
async fn a_second_agent_of_one_name_does_not_take_the_host_from_the_first() {
    let mut api = shop().await;
    let mut first = synced(&api, "h1").await;
    let revision = api.revision().await;
    let mut second = api.agent_at("h1", "192.0.2.77", &[]).await;
    assert!(refused(&mut second).await.contains("an agent of this name is connected"));
    assert_eq!(api.revision().await, revision);
    first.is_sent_nothing().await;
    drop((first, second));
    // Once it is gone the host may be elsewhere.
    soon("h1 moves", async {
        loop {
            let mut moved = api.agent_at("h1", "192.0.2.77", &[]).await;
            if let ToAgent::Update(update) = moved.next().await {
                break assert_eq!(update.topology.unwrap().hosts[0].underlay, [[192, 0, 2, 77]]);
            }
        }
    })
    .await;
    api.stop().await;
}

#[tokio::test]
async fn an_agent_that_cannot_be_is_refused_with_the_reason() {
    let api = shop().await;
    let mut nameless = api.agent_at("", "192.0.2.1", &[]).await;
    assert!(refused(&mut nameless).await.contains("--host"));
    let mut nowhere = api.agent_at("h1", "everywhere", &[]).await;
    assert!(refused(&mut nowhere).await.contains("\"everywhere\""));
    let _first = synced(&api, "h1").await;
    let mut thief = api.agent_at("h2", "192.0.2.1", &[]).await;
    assert!(refused(&mut thief).await.contains("is the underlay address of host h1"));
    api.stop().await;
}

#[tokio::test]
async fn an_agent_that_says_hello_twice_is_cut_off() {
    let api = shop().await;
    let mut agent = synced(&api, "h1").await;
    agent.send(FromAgent::Hello(v1::Hello::default())).await;
    let status = loop {
        match agent.receive().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("ended without a reason"),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::InvalidArgument, "{status}");
    api.stop().await;
}

#[tokio::test]
async fn an_interface_is_admitted_when_every_other_host_knows_it() {
    let mut api = shop().await;
    let mut first = api.agent("h1").await;
    let mut second = api.agent("h2").await;
    assert_eq!(first.next_admission().await, [0_u32; 0], "h2 knows nothing yet");
    second.next_admission().await;
    // h2 has acked, and so learns of h1, in whatever order: at last each knows the other's.
    while first.next_admission().await.is_empty() {}

    api.apply(H3).await.unwrap();
    let mut third = api.agent("h3").await;
    assert_eq!(third.next_admission().await, [0_u32; 0], "h1 and h2 have not acked it");
    let registered = api.revision().await;
    first.follow_to(registered).await;
    second.follow_to(registered).await;
    while third.next_admission().await.is_empty() {}
    api.stop().await;
}

#[tokio::test]
async fn an_interface_is_admitted_after_the_deadline_when_a_host_is_away() {
    let mut api = Api::start_on(Box::<Memory>::default(), Duration::from_millis(200)).await;
    api.apply(SHOP).await.unwrap();
    let mut agent = api.agent("h1").await;
    while agent.next_admission().await.is_empty() {}
    let status = api.status().await;
    let web = status.domains[0].interfaces.iter().find(|interface| interface.workload == "web-1").unwrap();
    assert_eq!(web.hosts_behind, 1);
    api.stop().await;
}

#[tokio::test]
async fn an_interface_is_not_admitted_before_others_know_where_its_host_is() {
    let mut api = shop().await;
    let mut first = synced(&api, "h1").await;
    let mut second = api.agent("h2").await;
    assert_eq!(second.next_admission().await, [0_u32; 0], "h1 enforces a state without h2's address");
    let status = api.status().await;
    let app = status.domains[0].interfaces.iter().find(|interface| interface.host == "h2").unwrap();
    assert_eq!(app.hosts_behind, 1);
    first.follow().await;
    while second.next_admission().await.is_empty() {}
    api.stop().await;
}

#[tokio::test]
async fn after_a_restart_of_the_controller_the_acks_tell_what_is_up() {
    let directory = tempfile::tempdir().unwrap();
    let mut api = Api::start_on(Box::new(Disk::open(directory.path()).unwrap()), PATIENCE).await;
    api.apply(SHOP).await.unwrap();
    let (mut first, mut second) = (synced(&api, "h1").await, synced(&api, "h2").await);
    first.follow().await;
    second.is_sent_nothing().await;
    let holding = (first.holding(), second.holding());
    drop((first, second));
    api.stop().await;

    let api = Api::start_on(Box::new(Disk::open(directory.path()).unwrap()), PATIENCE).await;
    let mut first = api.agent_holding("h1", &holding.0).await;
    assert_eq!(first.next_admission().await, [0_u32; 0], "h2 has not said that it knows it");
    let mut second = api.agent_holding("h2", &holding.1).await;
    assert_eq!(second.next_admission().await.len(), 1, "h1 has");
    assert_eq!(first.next_admission().await.len(), 1);
    drop((first, second));
    api.stop().await;
}

#[tokio::test]
async fn status_follows_what_agents_report() {
    let mut api = shop().await;
    let mut first = synced(&api, "h1").await;
    let mut second = synced(&api, "h2").await;
    first.follow().await;
    let id = interface_of(&first, "web-1");
    let state = |status: &v1::StatusResponse| {
        let mut interfaces = status.domains[0].interfaces.iter();
        interfaces.find(|interface| interface.workload == "web-1").unwrap().state()
    };
    assert_eq!(state(&api.status().await), State::NoDevice);
    let devices = vec![v1::EnforcedDevice { interface_id: id, device: "tap1".to_owned() }];
    first.send(FromAgent::Devices(v1::Devices { enforced: devices })).await;
    second.is_sent_nothing().await;
    soon("the interface is up", async {
        while state(&api.status().await) != State::Up {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let status = api.status().await;
    let hosts: Vec<_> =
        status.hosts.iter().map(|h| (h.name.as_str(), h.connected, h.interfaces, h.interfaces_up)).collect();
    assert_eq!(hosts, [("h1", true, 1, 1), ("h2", true, 1, 0)]);
    assert_eq!((status.hosts[0].agent_version.as_str(), status.hosts[0].domains), ("0.1.0", 1));
    api.stop().await;
}

#[tokio::test]
async fn counters_come_with_names_and_hosts_that_do_not_answer_are_named() {
    let api = shop().await;
    let mut first = synced(&api, "h1").await;
    let mut silent = api.agent("h9").await;
    silent.is_sent_nothing().await;
    let id = interface_of(&first, "web-1");
    let mut client = api.client.clone();
    let asked = tokio::spawn(async move { client.counters(v1::CountersRequest::default()).await });
    let request_id = loop {
        match first.next().await {
            ToAgent::Counters(asked) => break asked.request_id,
            ToAgent::Update(update) => first.enforce(update).await,
            _ => {}
        }
    };
    let drops = vec![v1::DropCounter { reason: "policy_deny".to_owned(), packets: 3 }];
    let named = v1::DeviceCounters {
        interface_id: id,
        device: "tap1".to_owned(),
        passed_from: 5,
        passed_to: 6,
        drops,
        passed_built_in: 2,
    };
    let overlay = v1::DeviceCounters { device: "rf-overlay".to_owned(), ..v1::DeviceCounters::default() };
    let share = |interface_id| v1::OriginatorCounter { interface_id, connections: 4 };
    let account = |interface_id, filled_by| v1::AccountCounters { interface_id, filled_by, ..Default::default() };
    let accounts = vec![account(id, vec![share(id), share(u32::MAX)]), account(u32::MAX, Vec::new())];
    let devices = vec![named, overlay];
    first.send(FromAgent::Counters(v1::CountersReport { request_id, devices, accounts, ..Default::default() })).await;

    let response = soon("the counters come", asked).await.unwrap().unwrap().into_inner();
    let rows: Vec<_> =
        response.interfaces.iter().map(|row| (row.host.as_str(), row.workload.as_str(), row.passed_from)).collect();
    assert_eq!(rows, [("h1", "web-1", 5), ("h1", "", 0)]);
    assert_eq!(response.interfaces[0].domain, "acme/prod");
    assert_eq!(response.interfaces[0].passed_built_in, 2);
    // Of an interface that is gone nobody is told.
    assert_eq!(response.connections.len(), 1);
    let connections = &response.connections[0];
    assert_eq!((connections.host.as_str(), connections.workload.as_str()), ("h1", "web-1"));
    let filled: Vec<_> = connections.filled_by.iter().map(|it| (it.workload.as_str(), it.connections)).collect();
    assert_eq!(filled, [("web-1", 4)]);
    let errors: Vec<_> = response.errors.iter().map(|error| (error.host.as_str(), error.message.as_str())).collect();
    assert_eq!(errors, [("h2", "its agent is not connected"), ("h9", "its agent did not answer within 2s")]);
    api.stop().await;
}
