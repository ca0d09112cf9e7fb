//! What released versions wrote is read by this one: a store, and the messages an agent was sent.
//!
//! `fixtures/VERSION/` holds both; `cargo run -p ringfence-controller --example record_release` records
//! those of a version about to be released.
#![allow(clippy::unwrap_used, clippy::panic)]

mod api_support;

use std::{fs, path::PathBuf};

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

#[test]
fn the_agent_stream_of_every_version_leads_to_the_state_it_names() {
    for version in versions() {
        let recorded = fs::read(version.join(STREAM)).unwrap();
        let mut rest = &recorded[..];
        let mut held: Option<Bundle> = None;
        let mut updates = 0;
        while !rest.is_empty() {
            let update = v1::DomainUpdate::decode_length_delimited(&mut rest).unwrap();
            let digest = update.digest.clone();
            let bundle = wire::apply_update(held.as_ref(), update).unwrap();
            assert_eq!(wire::digest(&bundle).to_vec(), digest, "update {updates} of {}", version.display());
            held = Some(bundle);
            updates += 1;
        }
        assert!(updates > 1, "{} holds a change", version.display());
    }
}
