//! What released versions wrote is read by this one: a store, and the messages an agent was sent.
//!
//! `fixtures/VERSION/` holds both; `cargo run -p ringfence-controller --example record_release` records
//! those of a version about to be released.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod api_support;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use api_support::{Api, PATIENCE, policy};
use prost::Message as _;
use ringfence_controller::store::{Disk, FILE};
use ringfence_policy::{bundle::Bundle, wire};
use ringfence_proto::v1::{self, Kind};

/// Updates as the agent got them, each after its length.
const STREAM: &str = "agent-stream.bin";

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

/// The folder of every version that was recorded.
fn versions() -> Vec<PathBuf> {
    let versions: Vec<_> = fs::read_dir(fixtures()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!versions.is_empty(), "no version was recorded");
    versions
}

#[tokio::test]
async fn a_store_of_every_version_is_served_and_goes_on_from_there() {
    for version in versions() {
        let directory = tempfile::tempdir().unwrap();
        fs::copy(version.join(FILE), directory.path().join(FILE)).unwrap();
        let mut api = Api::start_on(Box::new(Disk::open(directory.path()).unwrap()), PATIENCE).await;
        let before = api.revision().await;
        let request = v1::GetRequest { kind: Kind::Workload.into(), ..v1::GetRequest::default() };
        let workloads = api.client.get(request).await.unwrap().into_inner().objects;
        let names: Vec<_> = workloads.iter().map(|workload| workload.name.as_str()).collect();
        assert_eq!(names, ["app-1", "web-1"], "{}", version.display());
        let applied = api.apply(&policy(1)).await.unwrap();
        assert_eq!(applied.revision, before + 1, "{}", version.display());
        let mut agent = api.agent("h1").await;
        agent.follow_to(applied.generations[0].generation).await;
        drop(agent);
        api.stop().await;
    }
}

/// The updates that an agent was sent, in order.
fn recorded(version: &Path) -> Vec<v1::DomainUpdate> {
    let recorded = fs::read(version.join(STREAM)).unwrap();
    let mut rest = &recorded[..];
    let mut updates = Vec::new();
    while !rest.is_empty() {
        updates.push(v1::DomainUpdate::decode_length_delimited(&mut rest).unwrap());
    }
    updates
}

/// Numbers that must never change: the domain's, and by name those of its interfaces and rules.
fn numbers(update: &v1::DomainUpdate) -> (u32, BTreeMap<String, u32>) {
    let interfaces = update.interfaces.iter().map(|interface| (interface.workload.clone(), interface.id));
    let rules = update.policy.iter().flat_map(|policy| &policy.rules).map(|rule| (rule.name.clone(), rule.id));
    (update.domain_id, interfaces.chain(rules).collect())
}

#[tokio::test]
async fn generation_and_numbers_are_those_that_the_old_version_handed_out() {
    for version in versions() {
        let directory = tempfile::tempdir().unwrap();
        fs::copy(version.join(FILE), directory.path().join(FILE)).unwrap();
        let mut api = Api::start_on(Box::new(Disk::open(directory.path()).unwrap()), PATIENCE).await;
        let old = recorded(&version).into_iter().reduce(|before, next| v1::DomainUpdate {
            interfaces: if next.interfaces.is_empty() { before.interfaces } else { next.interfaces },
            ..next
        });
        let old = old.unwrap();
        // The store was written once more after the last update that was recorded.
        let generation = api.status().await.domains[0].generation;
        assert_eq!(generation, old.generation + 1, "{}", version.display());
        let mut agent = api.agent("h1").await;
        assert_eq!(numbers(&agent.next_update().await), numbers(&old), "{}", version.display());
        drop(agent);
        api.stop().await;
    }
}

/// The features that the agent of a version was sent, and so knew.
fn known_features(version: &Path) -> BTreeSet<String> {
    recorded(version).into_iter().flat_map(|update| update.features).collect()
}

#[tokio::test]
async fn an_agent_of_0_1_0_refuses_the_new_language_by_name_and_keeps_what_it_enforces() {
    let version = fixtures().join("0.1.0");
    let directory = tempfile::tempdir().unwrap();
    fs::copy(version.join(FILE), directory.path().join(FILE)).unwrap();
    let mut api = Api::start_on(Box::new(Disk::open(directory.path()).unwrap()), PATIENCE).await;
    let held = recorded(&version).pop().unwrap();
    let held = v1::HeldDomain { domain_id: held.domain_id, generation: held.generation, digest: held.digest };
    let mut agent = api.agent_holding("h1", std::slice::from_ref(&held)).await;
    let update = agent.next_update().await;
    let known = known_features(&version);
    let unknown = update.features.iter().find(|feature| !known.contains(*feature)).expect("the bundle is a new one");
    let reason = format!("needs feature {unknown:?}, which this agent lacks; upgrade the agent");
    assert_eq!(reason, "needs feature \"bundle-v2\", which this agent lacks; upgrade the agent");
    agent.refuse(&update, &reason).await;
    let host = loop {
        let status = api.status().await;
        let host = status.domains[0].hosts.iter().find(|host| host.host == "h1").unwrap().clone();
        if !host.nacked.is_empty() {
            break host;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((host.nacked, host.acked), (reason, held.generation), "it is named, with what it enforces still");
    drop(agent);
    api.stop().await;
}

#[test]
fn the_agent_stream_of_every_version_leads_to_the_state_it_names() {
    for version in versions() {
        let mut held: Option<Bundle> = None;
        let mut updates = 0;
        for update in recorded(&version) {
            let digest = update.digest.clone();
            let bundle = wire::apply_update(held.as_ref(), update).unwrap();
            assert_eq!(wire::digest(&bundle).to_vec(), digest, "update {updates} of {}", version.display());
            held = Some(bundle);
            updates += 1;
        }
        assert!(updates > 1, "{} holds a change", version.display());
    }
}
