//! Records what this version writes, for the upgrade tests of later ones: its store, and the updates that
//! an agent was sent, each after its length. Run it once, when a version is released.
#![allow(clippy::unwrap_used, clippy::panic)]

#[path = "../tests/api_support/mod.rs"]
mod api_support;

use std::{fs, path::PathBuf};

use api_support::{Api, PATIENCE, SHOP, policy};
use prost::Message as _;
use ringfence_controller::store::{Disk, FILE};

#[tokio::main]
async fn main() {
    let version = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(env!("CARGO_PKG_VERSION"));
    fs::create_dir_all(&version).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let mut api = Api::start_on(Box::new(Disk::open(directory.path()).unwrap()), PATIENCE).await;
    api.apply(SHOP).await.unwrap();
    let mut agent = api.agent("h1").await;
    let mut stream = Vec::new();
    for port in 1..=3 {
        let update = agent.next_update().await;
        update.encode_length_delimited(&mut stream).unwrap();
        agent.enforce(update).await;
        api.apply(&policy(port)).await.unwrap();
    }
    drop(agent);
    api.stop().await;
    fs::write(version.join("agent-stream.bin"), stream).unwrap();
    fs::copy(directory.path().join(FILE), version.join(FILE)).unwrap();
}
