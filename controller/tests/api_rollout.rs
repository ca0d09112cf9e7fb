//! Following a change to the hosts.
#![allow(clippy::unwrap_used, clippy::panic)]

mod api_support;

use api_support::{A_WHILE, Api, SHOP, key, policy, soon};
use ringfence_proto::v1::{self, Kind, agent_message::Message as FromAgent, controller_message::Message as ToAgent};
use tonic::{Code, Streaming};

type Progress = Streaming<v1::RolloutProgress>;

async fn rollout(api: &mut Api, generations: &[v1::DomainGeneration]) -> Progress {
    let request = v1::RolloutRequest { wait_for: generations.to_vec() };
    api.client.rollout(request).await.unwrap().into_inner()
}

async fn next(progress: &mut Progress) -> Option<v1::RolloutProgress> {
    soon("the rollout goes on", progress.message()).await.unwrap()
}

/// Host, connected, whether it has the generation waited for.
fn hosts(progress: &v1::RolloutProgress) -> Vec<(&str, bool, bool)> {
    let domain = &progress.domains[0];
    let row = |host: &'_ v1::HostRollout| host.acked >= domain.generation;
    domain.hosts.iter().map(|host| (host.host.as_str(), host.connected, row(host))).collect()
}

#[tokio::test]
async fn a_rollout_ends_when_every_host_concerned_has_acked() {
    let mut api = Api::start().await;
    api.apply(SHOP).await.unwrap();
    let (mut first, mut second) = (api.agent("h1").await, api.agent("h2").await);
    first.next_admission().await;
    second.next_admission().await;
    let applied = api.apply(&policy(8080)).await.unwrap();
    let wanted = applied.generations[0].generation;
    let mut progress = rollout(&mut api, &applied.generations).await;

    let told = next(&mut progress).await.unwrap();
    assert_eq!(hosts(&told), [("h1", true, false), ("h2", true, false)]);
    first.follow_to(wanted).await;
    let told = loop {
        let told = next(&mut progress).await.unwrap();
        if hosts(&told)[0].2 {
            break told;
        }
    };
    assert_eq!((hosts(&told)[1], told.done), (("h2", true, false), false));
    second.follow_to(wanted).await;
    let mut last = told;
    while let Some(told) = next(&mut progress).await {
        last = told;
    }
    assert!(last.done);
    api.stop().await;
}

#[tokio::test]
async fn a_host_that_never_registered_is_told_and_waited_for() {
    let mut api = Api::start().await;
    let applied = api.apply(SHOP).await.unwrap();
    let mut progress = rollout(&mut api, &applied.generations).await;
    let told = next(&mut progress).await.unwrap();
    assert_eq!((hosts(&told), told.done), (vec![("h1", false, false), ("h2", false, false)], false));
    assert!(tokio::time::timeout(A_WHILE, progress.message()).await.is_err(), "nothing more to tell");
    api.stop().await;
}

#[tokio::test]
async fn a_refusal_ends_the_rollout_undone_with_its_reason() {
    let mut api = Api::start().await;
    api.apply(SHOP).await.unwrap();
    api.delete(&[key(Kind::Workload, "acme/prod", "app-1")]).await.unwrap();
    let mut agent = api.agent("h1").await;
    agent.follow().await;
    let applied = api.apply(&policy(8080)).await.unwrap();
    let mut progress = rollout(&mut api, &applied.generations).await;
    let update = agent.next_update().await;
    agent.refuse(&update, "the table is full").await;
    let mut last = None;
    while let Some(told) = next(&mut progress).await {
        last = Some(told);
    }
    let last = last.unwrap();
    assert_eq!((last.done, last.domains[0].hosts[0].nacked.as_str()), (false, "the table is full"));
    api.stop().await;
}

#[tokio::test]
async fn a_later_generation_counts_for_an_earlier_one() {
    let mut api = Api::start().await;
    api.apply(SHOP).await.unwrap();
    api.delete(&[key(Kind::Workload, "acme/prod", "app-1")]).await.unwrap();
    let earlier = api.apply(&policy(1)).await.unwrap();
    let later = api.apply(&policy(2)).await.unwrap();
    let mut agent = api.agent("h1").await;
    agent.follow_to(later.generations[0].generation).await;
    let mut progress = rollout(&mut api, &earlier.generations).await;
    while let Some(told) = next(&mut progress).await {
        assert_eq!(told.domains[0].hosts.len(), 1);
    }
    api.stop().await;
}

#[tokio::test]
async fn a_domain_that_no_host_needs_is_done_at_once() {
    let mut api = Api::start().await;
    let applied = api.apply("{kind: Tenant, name: acme}\n---\n{kind: Domain, name: acme/prod}").await.unwrap();
    let mut progress = rollout(&mut api, &applied.generations).await;
    assert!(next(&mut progress).await.unwrap().done);
    assert_eq!(next(&mut progress).await, None);
    api.stop().await;
}

#[tokio::test]
async fn a_domain_that_is_deleted_meanwhile_concerns_no_host() {
    let mut api = Api::start().await;
    let applied = api.apply(SHOP).await.unwrap();
    let mut progress = rollout(&mut api, &applied.generations).await;
    assert!(!next(&mut progress).await.unwrap().done);
    let keys = applied.changes.iter().filter_map(|change| change.key.clone());
    let keys: Vec<_> = keys.filter(|key| key.kind() != Kind::Tenant).collect();
    api.delete(&keys).await.unwrap();
    assert!(next(&mut progress).await.unwrap().done);
    api.stop().await;
}

#[tokio::test]
async fn an_unknown_domain_is_not_found() {
    let mut api = Api::start().await;
    let unknown = v1::DomainGeneration { domain: "acme/nothing".to_owned(), generation: 1 };
    let status = api.client.rollout(v1::RolloutRequest { wait_for: vec![unknown] }).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::NotFound, "there is no domain acme/nothing"));
    api.stop().await;
}

#[tokio::test]
async fn a_host_that_leaves_a_domain_is_waited_for_until_it_says_that_it_is_gone() {
    let mut api = Api::start().await;
    api.apply(SHOP).await.unwrap();
    let mut first = api.agent("h1").await;
    let mut second = api.agent("h2").await;
    let registered = loop {
        let hosts = api.status().await.hosts;
        if hosts.iter().all(|host| host.connected) {
            break api.revision().await;
        }
    };
    first.follow_to(registered).await;
    second.follow_to(registered).await;
    let deleted = api.delete(&[key(Kind::Workload, "acme/prod", "app-1")]).await.unwrap();
    let wanted = deleted.generations[0].clone();
    first.follow_to(wanted.generation).await;
    let mut follower = rollout(&mut api, std::slice::from_ref(&wanted)).await;
    let progress = loop {
        let progress = next(&mut follower).await.unwrap();
        if progress.domains[0].hosts[0].acked == wanted.generation {
            break progress;
        }
    };
    assert!(!progress.done, "h2 enforces it still");
    assert_eq!((progress.domains[0].hosts[1].host.as_str(), progress.domains[0].hosts[1].acked), ("h2", 0));
    let domain_id = loop {
        if let ToAgent::RemovedDomainId(id) = second.next().await {
            break id;
        }
    };
    second.send(FromAgent::Ack(v1::Ack { domain_id, generation: 0 })).await;
    let progress = next(&mut follower).await.unwrap();
    assert!(progress.done);
    assert_eq!(progress.domains[0].hosts.len(), 1);
    assert!(next(&mut follower).await.is_none());
    api.stop().await;
}

#[tokio::test]
async fn a_host_that_is_deleted_after_its_workloads_is_not_waited_for() {
    let mut api = Api::start().await;
    api.apply(SHOP).await.unwrap();
    let mut first = api.agent("h1").await;
    let mut second = api.agent("h2").await;
    let registered = loop {
        let status = api.status().await;
        if status.hosts.iter().all(|host| host.connected) {
            break status.revision;
        }
    };
    second.follow_to(registered).await;
    while api.status().await.domains[0].hosts[1].acked < registered {
        tokio::task::yield_now().await;
    }
    drop(second);
    while api.status().await.hosts[1].connected {
        tokio::task::yield_now().await;
    }
    let moved = api.delete(&[key(Kind::Workload, "acme/prod", "app-1")]).await.unwrap();
    first.follow_to(moved.generations[0].generation).await;
    let mut progress = rollout(&mut api, &moved.generations).await;
    let told = next(&mut progress).await.unwrap();
    assert_eq!((hosts(&told)[1], told.done), (("h2", false, false), false), "it may enforce it still");

    api.delete(&[key(Kind::Host, "", "h2")]).await.unwrap();
    let mut last = told;
    while let Some(told) = next(&mut progress).await {
        last = told;
    }
    assert!(last.done);
    assert_eq!(last.domains[0].hosts.len(), 1);
    assert_eq!(api.status().await.hosts.len(), 1);
    api.stop().await;
}
