//! The object API as a client sees it.
#![allow(clippy::unwrap_used, clippy::panic)]

mod api_support;

use api_support::{A_WHILE, Api, PATIENCE, SHOP, invalid, key, objects, policy, soon};
use prost::Message as _;
use ringfence_controller::store::Disk;
use ringfence_proto::v1::{self, Kind, change::What, watch_event::Event};
use tonic::{Code, Streaming};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

async fn get(api: &mut Api, kind: Kind, domain: &str, name: &str) -> Vec<v1::Object> {
    let request = v1::GetRequest { kind: kind.into(), domain: domain.to_owned(), name: name.to_owned() };
    api.client.get(request).await.unwrap().into_inner().objects
}

fn whats(changes: &[v1::Change]) -> Vec<What> {
    changes.iter().map(|change| change.what()).collect()
}

#[tokio::test]
async fn what_was_applied_is_there_with_meta_and_source() {
    let mut api = Api::start().await;
    let response = api.apply(SHOP).await.unwrap();
    assert_eq!(response.revision, 1);
    assert_eq!(whats(&response.changes), [What::Created; 7]);
    assert_eq!(response.generations, [v1::DomainGeneration { domain: "acme/prod".to_owned(), generation: 1 }]);

    let found = get(&mut api, Kind::Workload, "acme/prod", "web-1").await;
    let [web] = &found[..] else { panic!("one object, not {found:?}") };
    assert_eq!((web.source.as_str(), web.meta.unwrap().created_revision), ("test.yaml", 1));
    assert_eq!(get(&mut api, Kind::Unspecified, "acme/prod", "").await.len(), 6, "the domain and what is in it");
    assert_eq!(get(&mut api, Kind::Unspecified, "", "").await.len(), 7);
    assert_eq!(get(&mut api, Kind::Policy, "", "").await, []);
    api.stop().await;
}

#[tokio::test]
async fn applying_the_same_again_changes_nothing() {
    let mut api = Api::start().await;
    api.apply(SHOP).await.unwrap();
    let response = api.apply(SHOP).await.unwrap();
    assert_eq!(response.revision, 1);
    assert_eq!(whats(&response.changes), [What::Unchanged; 7]);
    assert_eq!(response.generations, []);
    api.stop().await;
}

#[tokio::test]
async fn a_change_keeps_the_uid_and_a_name_made_again_gets_another() {
    let mut api = Api::start().await;
    api.apply(&format!("{SHOP}---\n{}", policy(8080))).await.unwrap();
    let first = get(&mut api, Kind::Policy, "", "shop").await[0].meta.unwrap();
    api.apply(&policy(9090)).await.unwrap();
    let changed = get(&mut api, Kind::Policy, "", "shop").await[0].meta.unwrap();
    assert_eq!((changed.uid, changed.created_revision, changed.changed_revision), (first.uid, 1, 2));

    let deleted = api.delete(&[key(Kind::Policy, "acme/prod", "shop")]).await.unwrap();
    assert_eq!((deleted.revision, whats(&deleted.changes)), (3, vec![What::Deleted]));
    assert_eq!(deleted.generations[0].generation, 3);
    api.apply(&policy(9090)).await.unwrap();
    let again = get(&mut api, Kind::Policy, "", "shop").await[0].meta.unwrap();
    assert_ne!(again.uid, first.uid);
    api.stop().await;
}

#[tokio::test]
async fn one_invalid_object_leaves_everything_as_it_was() {
    let mut api = Api::start().await;
    api.apply(SHOP).await.unwrap();
    let mut request = objects(&policy(8080));
    request.extend(objects(
        "{kind: Policy, domain: acme/prod, name: bad, rules: [{name: x, from: [segment/nobody], to: [any], \
         action: allow, traffic: [any]}]}",
    ));
    let request = v1::ApplyRequest { objects: request, ..v1::ApplyRequest::default() };
    let status = api.client.apply(request).await.unwrap_err();
    let list = invalid(&status);
    let [wrong] = &list[..] else { panic!("one thing is wrong, not {list:?}") };
    assert_eq!((wrong.object_index, wrong.field.as_str()), (1, "rules[0].from[0]"));
    assert_eq!(wrong.key, Some(key(Kind::Policy, "acme/prod", "bad")));
    assert!(status.message().contains("policy acme/prod/bad: rules[0].from[0]: "), "{}", status.message());
    assert_eq!(api.revision().await, 1);
    assert_eq!(get(&mut api, Kind::Policy, "", "").await, []);
    api.stop().await;
}

#[tokio::test]
async fn an_object_without_a_spec_is_told_by_its_place() {
    let mut api = Api::start().await;
    let mut request = objects("{kind: Tenant, name: acme}");
    request.push(v1::Object { name: "empty".to_owned(), ..v1::Object::default() });
    let request = v1::ApplyRequest { objects: request, ..v1::ApplyRequest::default() };
    let list = invalid(&api.client.apply(request).await.unwrap_err());
    assert_eq!((list[0].object_index, list[0].field.as_str()), (1, "spec"));
    assert_eq!(api.revision().await, 0);
    api.stop().await;
}

#[tokio::test]
async fn a_dry_run_says_what_would_be_and_does_nothing() {
    let mut api = Api::start().await;
    let request = v1::ApplyRequest { objects: objects(SHOP), dry_run: true, ..Default::default() };
    let response = api.client.apply(request).await.unwrap().into_inner();
    assert_eq!((response.revision, whats(&response.changes)), (0, vec![What::Created; 7]));
    assert_eq!(get(&mut api, Kind::Unspecified, "", "").await, []);
    api.stop().await;
}

#[tokio::test]
async fn a_change_from_another_revision_is_aborted() {
    let mut api = Api::start().await;
    api.apply(SHOP).await.unwrap();
    api.apply(&policy(8080)).await.unwrap();
    let stale = v1::ApplyRequest { objects: objects(&policy(1)), if_revision: 1, ..Default::default() };
    let status = api.client.apply(stale).await.unwrap_err();
    assert_eq!(status.code(), Code::Aborted, "{status}");
    let current = v1::ApplyRequest { objects: objects(&policy(1)), if_revision: 2, ..Default::default() };
    assert_eq!(api.client.apply(current).await.unwrap().into_inner().revision, 3);
    api.stop().await;
}

#[tokio::test]
async fn deleting_is_all_or_nothing_and_names_what_is_not_there() {
    let mut api = Api::start().await;
    api.apply(SHOP).await.unwrap();
    let keys = [key(Kind::Segment, "acme/prod", "web"), key(Kind::Segment, "acme/prod", "nobody")];
    let list = invalid(&api.delete(&keys).await.unwrap_err());
    assert_eq!((list[0].object_index, list[0].key.as_ref()), (1, Some(&keys[1])));
    let still = get(&mut api, Kind::Segment, "", "web").await;
    assert_eq!(still.len(), 1);
    api.stop().await;
}

#[tokio::test]
async fn a_host_cannot_be_written_and_goes_only_without_its_agent() {
    let mut api = Api::start().await;
    let host = v1::Object {
        name: "h1".to_owned(),
        spec: Some(v1::object::Spec::Host(v1::HostSpec::default())),
        ..v1::Object::default()
    };
    let request = v1::ApplyRequest { objects: vec![host], ..v1::ApplyRequest::default() };
    invalid(&api.client.apply(request).await.unwrap_err());

    let mut agent = api.agent("h1").await;
    agent.next_admission().await;
    let list = invalid(&api.delete(&[key(Kind::Host, "", "h1")]).await.unwrap_err());
    assert!(list[0].message.contains("stop the agent first"), "{list:?}");
    drop(agent);
    soon("the host is deleted", async {
        while api.delete(&[key(Kind::Host, "", "h1")]).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(get(&mut api, Kind::Host, "", "").await, []);
    api.stop().await;
}

#[tokio::test]
async fn everything_is_there_again_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let mut api = Api::start_on(Box::new(Disk::open(directory.path()).unwrap()), PATIENCE).await;
    api.apply(SHOP).await.unwrap();
    api.apply(&policy(8080)).await.unwrap();
    let mut agent = api.agent("h1").await;
    agent.follow().await;
    let before = (get(&mut api, Kind::Unspecified, "", "").await, agent.held.clone());
    api.stop().await;

    let mut api = Api::start_on(Box::new(Disk::open(directory.path()).unwrap()), PATIENCE).await;
    let mut agent = api.agent("h1").await;
    agent.follow().await;
    assert_eq!((get(&mut api, Kind::Unspecified, "", "").await, agent.held.clone()), before);
    let next = api.apply(&policy(9090)).await.unwrap();
    assert_eq!(
        next.generations[0].generation,
        before.0.iter().map(|o| o.meta.unwrap().changed_revision).max().unwrap() + 1
    );
    drop(agent);
    api.stop().await;
    let audit = Disk::open(directory.path()).unwrap().audit().unwrap();
    assert_eq!(audit.last().unwrap().what, ["changed Policy acme/prod/shop"]);
    assert!(audit.iter().zip(audit.iter().skip(1)).all(|(a, b)| a.to_revision == b.from_revision));
}

async fn event(stream: &mut Streaming<v1::WatchEvent>) -> Event {
    soon("an event comes", stream.message()).await.unwrap().unwrap().event.unwrap()
}

#[tokio::test]
async fn a_watcher_is_told_what_is_there_then_what_changes() {
    let mut api = Api::start().await;
    api.apply(SHOP).await.unwrap();
    let request = v1::WatchRequest { kind: Kind::Policy.into(), domain: String::new() };
    let mut stream = api.client.watch(request).await.unwrap().into_inner();
    assert_eq!(event(&mut stream).await, Event::Synced(1));
    api.apply(&policy(8080)).await.unwrap();
    api.apply("{kind: Segment, domain: acme/prod, name: db, match: {role: db}}").await.unwrap();
    api.delete(&[key(Kind::Policy, "acme/prod", "shop")]).await.unwrap();
    assert!(matches!(event(&mut stream).await, Event::Upserted(object) if object.name == "shop"));
    assert_eq!(event(&mut stream).await, Event::Deleted(key(Kind::Policy, "acme/prod", "shop")));
    api.stop().await;
}

#[tokio::test]
async fn a_watcher_that_starts_while_objects_change_misses_none() {
    let mut api = Api::start().await;
    api.apply(SHOP).await.unwrap();
    let mut writer = api.client.clone();
    let writes = tokio::spawn(async move {
        for port in 1..=40 {
            let request = v1::ApplyRequest { objects: objects(&policy(port)), ..v1::ApplyRequest::default() };
            writer.apply(request).await.unwrap();
        }
    });
    let request = v1::WatchRequest { kind: Kind::Policy.into(), domain: String::new() };
    let mut stream = api.client.watch(request).await.unwrap().into_inner();
    let mut revisions = Vec::new();
    let mut synced = None;
    while revisions.last() != Some(&41) {
        match event(&mut stream).await {
            Event::Upserted(object) => revisions.push(object.meta.unwrap().changed_revision),
            Event::Synced(revision) => synced = Some(revision),
            Event::Deleted(key) => panic!("deleted: {key:?}"),
        }
    }
    writes.await.unwrap();
    let first = revisions[0];
    assert_eq!(revisions, (first..=41).collect::<Vec<_>>(), "each once, from the snapshot on");
    assert!(synced.is_some());
    api.stop().await;
}

#[tokio::test]
async fn streams_end_when_the_controller_stops() {
    let mut api = Api::start().await;
    let policies = v1::WatchRequest { kind: Kind::Policy.into(), domain: String::new() };
    let mut watch = api.client.watch(policies).await.unwrap().into_inner();
    assert_eq!(event(&mut watch).await, Event::Synced(0));
    let mut agent = api.agent("h1").await;
    agent.next_admission().await;
    let begun = std::time::Instant::now();
    api.stop().await;
    assert!(begun.elapsed() < A_WHILE * 5, "{:?}", begun.elapsed());
    assert!(watch.message().await.unwrap().is_none());
    assert!(agent.receive().await.unwrap().is_none());
}

#[tokio::test]
async fn health_says_that_both_services_serve() {
    let api = Api::start().await;
    let mut health = HealthClient::new(api.channel());
    for service in ["", "ringfence.v1.Ringfence", "ringfence.v1.Agent"] {
        let answer = health.check(HealthCheckRequest { service: service.to_owned() }).await.unwrap().into_inner();
        assert_eq!(answer.status(), ServingStatus::Serving, "{service:?}");
    }
    drop(health);
    api.stop().await;
}

#[tokio::test]
async fn a_host_is_deleted_by_its_whole_key_and_once() {
    let mut api = Api::start().await;
    api.apply(SHOP).await.unwrap();
    let mut first = api.agent("h1").await;
    first.follow().await;
    let mut second = api.agent("h2").await;
    second.follow().await;
    first.follow().await;
    drop(second);
    soon("h2 is away", async {
        while api.status().await.hosts[1].connected {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;

    let revision = api.revision().await;
    let misplaced = api.delete(&[key(Kind::Host, "acme/prod", "h2")]).await.unwrap_err();
    assert_eq!(invalid(&misplaced)[0].message, "there is no such object: nothing to delete");
    assert_eq!(api.revision().await, revision);
    first.is_sent_nothing().await;

    let h2 = key(Kind::Host, "", "h2");
    let needed = api.delete(std::slice::from_ref(&h2)).await.unwrap_err();
    let message = &invalid(&needed)[0].message;
    assert!(message.starts_with("is still where Workload acme/prod/app-1 runs: "), "{message}");
    assert_eq!(api.revision().await, revision);
    let app = key(Kind::Workload, "acme/prod", "app-1");
    let deleted = api.delete(&[h2.clone(), app, h2]).await.unwrap();
    assert_eq!(deleted.changes.len(), 2, "named twice, it is deleted once");
    let topology = first.next_update().await.topology.unwrap();
    assert_eq!(topology.hosts.len(), 1, "nobody tunnels to it any more");
    api.stop().await;
}

#[tokio::test]
async fn a_client_with_usual_bounds_hears_of_what_is_wrong_however_much_it_is() {
    let mut api = Api::start().await;
    api.apply(SHOP).await.unwrap();
    for count in [20, 60, 1000] {
        let rule = |n| format!("{{name: r{n}, from: [segment/missing-{n}], to: [any], action: allow, traffic: [tcp]}}");
        let rules: Vec<_> = (0..count).map(rule).collect();
        let policy = format!("{{kind: Policy, domain: acme/prod, name: shop, rules: [{}]}}", rules.join(", "));
        let status = api.apply(&policy).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{count}: {status}");
        let list = v1::InvalidList::decode(status.details()).unwrap();
        assert_eq!(list.invalid.len() + list.more as usize, count);
    }
    api.stop().await;
}
